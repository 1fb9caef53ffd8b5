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
        causes ["the server is stopped or restarting", "network or firewall", "too many connections", "TLS that one side does not accept"],
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
    QUEUE_SPILLING = "MUTT-S050", "Events are spilled to local disk",
        means "The event queue's server is away or does not answer. The Ingestor goes on accepting: events are durable in its spill, in order, and move to the server by themselves when it is back. Until the spill is empty all events pass through it.",
        causes ["Redis is stopped, restarting or failing over", "the network between this host and Redis", "Redis refuses writes (disk full, too few replicas)"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Bring the server back; the message and `muttctl queue status` name what it said last. Nothing needs to be moved by hand.", "Do not remove the spill's folder: it holds acknowledged events."];
    QUEUE_SPILL_FULL = "MUTT-S051", "The spill is full",
        means "The event queue's server is away and the spill on local disk has met a cap. HTTP senders get 503 with Retry-After, TCP senders are no longer read, UDP events are dropped and counted. Nothing acknowledged is lost.",
        causes ["the server has been away for long", "the disk is nearly full (queue.min_free)"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Bring the event queue's server back; the spill then drains by itself.", "Raise queue.max_events or queue.max_bytes when the disk of data_dir has room."];
}
