//! Codes of storage: event queue and store.

super::codes! { STORAGE:
    STORE_NEWER = "MUTT-S001", "The store was written by a newer version",
        means "The schema version in the store is higher than this program knows. It does not start and changes nothing.",
        causes ["a downgrade"],
        check ["muttctl doctor"],
        fix ["Start the newer version, or restore a backup made by this one."];
    STORE_OPEN = "MUTT-S002", "The store cannot be opened",
        means "The database file cannot be opened, created or locked.",
        causes ["file permissions", "the disk is full", "another process holds it"],
        check ["muttctl doctor"],
        fix ["Mend what the message names."];
    DATA_DIR_IN_USE = "MUTT-S003", "The data directory belongs to another running process",
        means "Embedded engines belong to one process; a second one on the same data_dir is refused.",
        causes ["MUTT runs already", "two units share one data_dir"],
        check ["muttctl doctor"],
        fix ["Stop the other process, or give this one another --data-dir."];
    QUEUE_OPEN = "MUTT-S004", "The event queue cannot be opened",
        means "The queue's directory cannot be read or written.",
        causes ["file permissions", "the disk is full"],
        check ["muttctl queue check"],
        fix ["Mend what the message names."];
    STORE_QUERY = "MUTT-S005", "The store could not answer",
        means "A query failed. Data is not affected.",
        causes ["the disk fails or is full", "the store is shutting down"],
        check ["muttctl doctor"],
        fix ["Try again; if it stays, check the disk."];
    BACKUP_FAILED = "MUTT-S006", "A backup or restore failed",
        means "The backup could not be written, or the file to restore is not whole. The running data was not changed.",
        causes ["no space at the target", "the file is not a backup of MUTT"],
        check ["muttctl doctor"],
        fix ["Choose a target with space, or another backup file."];
    STORE_AWAY = "MUTT-S020", "PostgreSQL does not answer",
        means "The store cannot be reached. Events are accepted into the event queue and judged when it is back.",
        causes ["the server is stopped or restarting", "network or firewall", "TLS that one side does not accept"],
        check ["muttctl db status"],
        fix ["Start the server or mend what the message names; MUTT reconnects by itself."];
    STORE_AUTH = "MUTT-S021", "PostgreSQL refuses the credentials",
        means "None of the passwords is taken, or pg_hba.conf does not let the role in. MUTT waits and tries again.",
        causes ["the password was changed at the server only", "pg_hba.conf"],
        check ["muttctl db status"],
        fix ["Put the right password where store.password points, or ALTER ROLE ... PASSWORD at the server."];
    STORE_OLDER = "MUTT-S022", "The store's schema is older than the program",
        means "The services wait until the schema has been brought forward; they never change it themselves.",
        causes ["a new installation", "an upgrade without its migration"],
        check ["muttctl db status"],
        fix ["Run `muttctl db migrate` once."];
    STORE_UNSAFE = "MUTT-S023", "PostgreSQL could lose what it acknowledged",
        means "fsync, full_page_writes or synchronous_commit is off. MUTT does not commit to such a server.",
        causes ["a server tuned for tests"],
        check ["muttctl db status"],
        fix ["As a superuser: ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf(); (the message names the setting)."];
    STORE_SERVER = "MUTT-S024", "The PostgreSQL server is too old",
        means "MUTT needs PostgreSQL 13 or later.",
        causes ["an old server"],
        check ["muttctl db status"],
        fix ["Upgrade the server, or point store.url at another one."];
    STORE_READ_ONLY = "MUTT-S025", "The PostgreSQL server is read-only",
        means "The server is a standby, or default_transaction_read_only is on. MUTT waits until it can write.",
        causes ["store.url points at a standby", "a failover is under way"],
        check ["muttctl db status"],
        fix ["Name all hosts in store.url, so that the one that can be written to is found."];
    AUDIT_ALTERED = "MUTT-S026", "The audit does not match its receipts",
        means "Rows of the audit were changed, removed or added after they were committed, or receipts were.",
        causes ["somebody with the owner's or a superuser's rights changed the tables", "a damaged disk", "a partial restore"],
        check ["muttctl audit verify --json"],
        fix ["Keep the report, find out who had access, and restore from a backup what is needed."];
    STORE_CONNECTIONS = "MUTT-S027", "PostgreSQL has no connection left",
        means "max_connections, or the limit of the role or of the database, is used up. What needs a connection waits; events stay in the event queue.",
        causes ["max_connections below the sum of store.pool of all processes", "CONNECTION LIMIT of the role", "another program that keeps connections"],
        check ["muttctl db status"],
        fix ["Raise max_connections (ALTER SYSTEM, then restart the server) or the role's limit, or lower store.pool; MUTT goes on by itself."];
    STORE_FULL = "MUTT-S040", "The disk of PostgreSQL is full",
        means "The server refuses to write because its disk is full. Events stay in the event queue; reading still works. A server that can no longer write its WAL ends itself, which is told as MUTT-S020.",
        causes ["retention keeps more than the disk holds", "WAL that a standby or an archive does not take"],
        check ["muttctl db status", "muttctl doctor"],
        fix ["Give the disk space, or shorten store.retention; MUTT goes on by itself."];
    STORE_TLS = "MUTT-S041", "TLS to PostgreSQL fails",
        means "PostgreSQL answers, and the two do not agree on TLS: its certificate is not believed, ours is not, or one of the files cannot be used. MUTT waits and tries again; events stay in the event queue.",
        causes ["store.tls.ca is not the authority of the server's certificate", "the server's certificate is for another name, or has expired", "the server wants a client certificate or does not believe ours", "the server has no TLS (ssl = off)", "store.tls.cert and store.tls.key do not belong together"],
        check ["muttctl db status", "openssl s_client -starttls postgres -connect HOST:5432 -CAfile CA.pem"],
        fix ["Mend the file that the message names; the next try uses it, and nothing needs a restart."];
    QUEUE_SPILLING = "MUTT-S050", "Events are spilled to local disk",
        means "The event queue's server is away or does not answer. The Ingestor goes on accepting: events are durable in its spill, in order, and move to the server by themselves when it is back. Until the spill is empty all events pass through it.",
        causes ["Redis is stopped, restarting or failing over", "the network between this host and Redis", "Redis refuses writes (disk full, too few replicas)"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Bring the server back; the message and `muttctl queue status` name what it said last. Nothing needs to be moved by hand.", "Do not remove the spill's folder: it holds acknowledged events."];
    QUEUE_SPILL_FULL = "MUTT-S051", "The spill is full",
        means "The event queue's server is away and the spill on local disk has met a cap. HTTP senders get 503 with Retry-After, TCP senders are no longer read, UDP events are dropped and counted. Nothing acknowledged is lost.",
        causes ["the server has been away for long", "the disk is nearly full (queue.min_free)"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Bring the event queue's server back; the spill then drains by itself.", "Raise queue.spill.max_events or queue.spill.max_bytes when the disk of data_dir has room."];
    REDIS_AWAY = "MUTT-S028", "Redis cannot be reached",
        means "No connection to the Redis of the event queue can be made, or none answers. The message names the server and the reason.",
        causes ["Redis is down, loading its data or failing over", "a firewall or a wrong address", "TLS: another authority, an expired certificate, a port without TLS"],
        check ["muttctl doctor", "redis-cli -h HOST -p PORT ping"],
        fix ["Mend what the message names. MUTT connects again by itself."];
    REDIS_REFUSED = "MUTT-S029", "Redis refuses the connection",
        means "Redis answers and does not let MUTT work: user, password, permission, database or the name of the master. It is tried again until it is mended.",
        causes ["the password was changed at the server only", "the user lacks a permission", "the URL names a database or master that is not there"],
        check ["muttctl doctor", "redis-cli -h HOST -p PORT acl getuser USER"],
        fix ["Run the command that the message names, or mend queue.url and queue.password. MUTT connects again by itself."];
    QUEUE_REDIS_EVICTS = "MUTT-S030", "Redis may delete the event queue",
        means "The server's maxmemory-policy lets it delete keys when its memory is used up, also the event queue. It is not used; what is spilled or refused is told by the Ingestor.",
        causes ["a server that was set up as a cache"],
        check ["redis-cli CONFIG GET maxmemory-policy"],
        fix ["redis-cli CONFIG SET maxmemory-policy noeviction, then: redis-cli CONFIG REWRITE"];
    QUEUE_REDIS_FSYNC = "MUTT-S031", "Redis does not sync before it answers",
        means "The event queue was promised to survive the server's power (fsync), and the server's settings do not keep that. It is not used.",
        causes ["appendonly is off", "appendfsync is not always", "no-appendfsync-on-rewrite is on"],
        check ["redis-cli CONFIG GET append*"],
        fix ["Run the commands that the message names, or choose another durability."];
    QUEUE_REDIS_REPLICAS = "MUTT-S032", "The replicas of Redis do not cover a failover",
        means "The event queue was promised to survive a failover, and the replicas that must confirm are not there or are not all that may be promoted, or a restart of the server would empty them too. It is not used.",
        causes ["a replica is down or still synchronises", "a replica was added", "appendonly is off"],
        check ["redis-cli INFO replication", "redis-cli CONFIG GET appendonly"],
        fix ["Start the missing replicas, set the number that the message names, or run the commands that it names."];
    QUEUE_REDIS_FAILOVER = "MUTT-S033", "The durability does not survive a failover",
        means "The URL names Sentinel or Cluster, which promote replicas, and the durability is fsync alone: what the promoted replica does not have would be lost. It is not used.",
        causes ["durability fsync with a Sentinel or Cluster URL"],
        check ["muttctl config show queue"],
        fix ["Choose durability fsync+replica or replica, or accept the loss: accept_failover_loss = true."];
    QUEUE_REDIS_VERSION = "MUTT-S034", "This Redis is too old",
        means "The event queue needs the commands of Redis 6.2.",
        causes ["a server before 6.2"],
        check ["redis-cli INFO server"],
        fix ["Update the server (RHEL 9 has 6.2)."];
    QUEUE_REDIS_ACL = "MUTT-S035", "The user of Redis may not do what the event queue needs",
        means "A command or setting that the event queue needs is not permitted to its user, so that it cannot work or cannot be checked.",
        causes ["the ACL of the user was written for another version", "CONFIG is renamed or forbidden at the server"],
        check ["redis-cli ACL GETUSER USER"],
        fix ["Run the ACL SETUSER command that the message names, then: redis-cli ACL SAVE (or CONFIG REWRITE)."];
    QUEUE_REDIS_SHARDS = "MUTT-S036", "The event queue in Redis has another number of shards",
        means "The number of shards is fixed when the queue is created. It is not used with another one, because the order of a host's events would be lost.",
        causes ["queue.shards was changed", "two installations share one server and prefix"],
        check ["muttctl config show queue"],
        fix ["Set the number that the message names, or give the queue another prefix."];
    QUEUE_REDIS_CANNOT_WRITE = "MUTT-S037", "Redis refuses to write",
        means "The server answers and does not take writes now. Senders are served by the spill or told to repeat; nothing acknowledged is lost.",
        causes ["the disk of the server is full (MISCONF)", "too few replicas (NOREPLICAS)", "a key of the queue was replaced by hand (WRONGTYPE)"],
        check ["redis-cli INFO persistence"],
        fix ["Mend what the server's words name; MUTT goes on by itself."];
    QUEUE_REDIS_LOST = "MUTT-S038", "Events in Redis can no longer be read",
        means "Entries of the event queue have gone from Redis unread. They are counted in lost; what is there is read on in order.",
        causes ["a key of the queue was deleted (DEL, FLUSHALL)", "a failover or a restart lost what the durability does not cover", "an old copy of the server's data was restored"],
        check ["muttctl queue status", "redis-cli INFO replication"],
        fix ["Nothing is to be done in MUTT. Find out who deleted it, or choose a durability that covers what happened."];
    QUEUE_REDIS_FAST = "MUTT-S039", "The event queue is fast and not durable",
        means "Durability is fast: answered events may be lost with the server, within the window that the message names.",
        causes ["queue.durability = fast"],
        check ["muttctl config show queue"],
        fix ["Choose fsync, replica or fsync+replica where no answered event may be lost."];
}
