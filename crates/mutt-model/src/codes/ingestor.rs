//! Codes of the Ingestor.

super::codes! { INGESTOR:
    INGEST_NOT_JSON = "MUTT-I001", "The request body is no JSON",
        means "The HTTP client sent a body that is neither one JSON object, objects one after the other, a JSON array nor newline-delimited JSON, or that is not packed as its Content-Encoding says. Nothing of the request was taken.",
        causes ["the client sends text or form data", "the body was cut off on the way"],
        check ["muttctl send http --message test"],
        fix ["Send JSON; the message names the position of the first wrong byte.", "Send lines of text with Content-Type text/plain."];
    INGEST_BAD_KEY = "MUTT-I002", "The ingest key is missing or wrong",
        means "The request carried no key that the Ingestor knows: as X-API-KEY, as a bearer token, as the password of basic authentication or behind the word Splunk. Nothing was taken.",
        causes ["the sender has an old key", "the header is missing", "the key file has a second line or blanks"],
        check ["muttctl send http --message test --key-file mutt-data/ingest-key"],
        fix ["Give the sender the key named in [[ingestor.http.keys]], or the one in <data_dir>/ingest-key."];
    INGEST_TOO_LARGE = "MUTT-I003", "The request is too large",
        means "The body, or what it unpacks to, is larger than ingestor.http.max_body, or holds more records than a request may.",
        causes ["the sender's batches are too large", "a compressed bomb", "labels or attributes that a batch shares would be written to each of its events and become too large"],
        check ["muttctl config show ingestor.http"],
        fix ["Let the sender use smaller batches, or raise ingestor.http.max_body."];
    INGEST_QUEUE_FULL = "MUTT-I004", "The event queue is full",
        means "A cap of the event queue is met. HTTP senders get 503 with Retry-After, TCP senders are no longer read, UDP events are dropped and counted. Nothing acknowledged is lost.",
        causes ["the Alerter does not keep up or stands still", "the store refuses commits", "the disk is nearly full (queue.min_free)"],
        check ["muttctl queue status", "muttctl doctor"],
        fix ["Mend what stops the Alerter (see the Alerter's log), then the queue drains by itself.", "Raise queue.max_events or queue.max_bytes when the disk has room."];
    INGEST_NOT_DURABLE = "MUTT-I005", "The event queue cannot make an append durable",
        means "Writing or syncing the event queue failed. The sender got 503 and must repeat; nothing acknowledged is lost.",
        causes ["the disk is full", "the disk or file system fails", "the data directory was made read-only"],
        check ["muttctl doctor"],
        fix ["Free space on or repair the disk of data_dir; ingest resumes by itself."];
    INGEST_TOO_MANY_CONNECTIONS = "MUTT-I006", "Too many connections",
        means "A listener has as many connections as its limit allows; the new one was closed and counted.",
        causes ["senders that never close connections", "a flood from one address"],
        check ["muttctl doctor"],
        fix ["Raise the listener's max_connections, or stop the sender that opens too many."];
    INGEST_BIND = "MUTT-I007", "A listener cannot take its address",
        means "The address and port named in the message are in use or may not be bound. The service does not start.",
        causes ["another program (rsyslogd, snmptrapd) holds the port", "a port below 1024 without the capability"],
        check ["muttctl doctor"],
        fix ["Mend what the message names: free the port, choose another one, or give the right to ports below 1024 (CAP_NET_BIND_SERVICE)."];
    INGEST_RCVBUF = "MUTT-I008", "The kernel refused the receive buffer",
        means "The UDP receive buffer is smaller than asked for; bursts may be dropped by the kernel (counted per socket).",
        causes ["net.core.rmem_max is small and the service has no CAP_NET_ADMIN"],
        check ["sysctl net.core.rmem_max"],
        fix ["sysctl -w net.core.rmem_max=16777216 and make it permanent in /etc/sysctl.d."];
    INGEST_COMMUNITY = "MUTT-I009", "A trap with an unknown community",
        means "A trap or inform came with a community that ingestor.snmp.communities does not name; it was dropped and counted.",
        causes ["the device has another community", "a scanner"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Add the community to ingestor.snmp.communities or mend the device."];
    INGEST_MIBS = "MUTT-I060", "The MIBs were not compiled",
        means "The process that reads the MIB files failed, took too long or wanted too much memory. The names that were in force before stay; events come as ever, with numbers where a name is missing.",
        causes ["a file that is no MIB, or one made to harm", "data_dir is full or not writable", "far more files than vendors have"],
        check ["muttctl mib check"],
        fix ["Take the files away that came last, then send SIGHUP; muttctl mib check FILE tries one alone."];
    INGEST_MIB_PARTIAL = "MUTT-I061", "Some MIBs did not load in whole",
        means "Of the MIB files in the folders and uploads some give no names, or only some. All others are in force. Events of the devices concerned come with numbers.",
        causes ["a module that others import is missing", "a file was cut off or is no MIB"],
        check ["muttctl mib check"],
        fix ["Add what the report names, then send SIGHUP, or upload it."];
    INGEST_RECEIVE_FAILED = "MUTT-I010", "A listener's socket fails",
        means "Reading from a listener's socket gave an error that is not the peer's. The listener goes on after a pause.",
        causes ["the process ran out of file descriptors", "the network device went away"],
        check ["muttctl doctor"],
        fix ["Raise LimitNOFILE; otherwise read the system's own words in the message."];
    INGEST_PROXY = "MUTT-I030", "A connection without a good PROXY header",
        means "ingestor.syslog.proxy_protocol is required, and a connection began with something else than a header of the PROXY protocol, or came from an address that ingestor.syslog.proxy_sources does not name. It was closed and counted (mutt_ingest_connections_closed_total, reason proxy). Told once a minute for each address.",
        causes ["a device sends to MUTT and not to the proxy", "the proxy does not send the header (HAProxy: send-proxy-v2; nginx: proxy_protocol on)", "the proxy has another address than the one in proxy_sources"],
        check ["muttctl config show ingestor.syslog"],
        fix ["Switch the header on at the proxy, or add its address to ingestor.syslog.proxy_sources; without a proxy set proxy_protocol to off."];
    INGEST_TLS = "MUTT-I031", "A sender's TLS handshake fails",
        means "A connection to a TLS listener of syslog or RELP was not established; it was closed and counted (mutt_ingest_connections_closed_total, reason tls). The message says what the TLS library said. Told once a minute for each address.",
        causes ["the sender speaks plaintext", "the sender does not trust MUTT's certificate, or knows it by another name", "client_ca is set and the sender shows no certificate of it", "the certificate has expired", "the sender speaks TLS 1.1 or older"],
        check ["openssl s_client -connect 127.0.0.1:6514"],
        fix ["Mend what the message names: give the sender the authority of MUTT's certificate, a certificate of its own, or the TLS listener's port."];
    INGEST_RELP = "MUTT-I032", "A sender breaks RELP",
        means "What came over a RELP connection is no RELP from some byte on; the connection was closed and counted (mutt_ingest_connections_closed_total, reason relp). Messages before it were taken and answered. Told once a minute for each address.",
        causes ["a sender of plain syslog connects to the RELP port", "the bytes were damaged on the way", "a scanner"],
        check ["muttctl config show ingestor.syslog"],
        fix ["Point plain syslog senders at ingestor.syslog.tcp, and RELP senders (rsyslog omrelp) at ingestor.syslog.relp."];
    INGEST_RATE = "MUTT-I040", "An ingest key sends more than its rate",
        means "A request came with a key that has sent more events than its rate allows. It was answered 429 with Retry-After and nothing of it was taken; the sender repeats it. The message names the key and its rate, mutt_ingest_key_events_total counts the events held back by key.",
        causes ["a device behind this sender floods", "the rate is too low for what the sender has to say", "several senders share one key"],
        check ["muttctl config show ingestor.http"],
        fix ["Find what floods behind the sender, or raise rate and burst of its [[ingestor.http.keys]] and reload.", "Give each sender a key of its own."];
    INGEST_ENCODING = "MUTT-I041", "The Content-Type or Content-Encoding is not understood",
        means "The body is packed or encoded in a way that the Ingestor does not read: answered 415, nothing of the request was taken.",
        causes ["Fluent Bit sends msgpack, its default", "Loki's clients send protobuf packed with snappy, their default", "a sender compresses with brotli or lz4"],
        check ["muttctl send http --message test"],
        fix ["Set what the message names: JSON as the format; gzip, deflate, zstd, snappy or nothing as the compression."];
    INGEST_NOT_OTLP = "MUTT-I042", "The body is no OpenTelemetry request",
        means "The body sent to /v1/logs is no ExportLogsServiceRequest in the encoding that its Content-Type names. Nothing of the request was taken.",
        causes ["traces or metrics are sent to the path of logs", "the Content-Type names the other encoding", "the body was cut off on the way"],
        check ["muttctl send http --message test"],
        fix ["Send logs only to /v1/logs, with application/x-protobuf or application/json as they are encoded."];
    INGEST_USM_USER = "MUTT-I050", "An SNMPv3 message of an unknown user",
        means "A v3 trap or inform names a user that [[ingestor.snmp.users]] does not have. It was dropped and counted (reason usm_unknown_user); no password was tried.",
        causes ["the user was not added to MUTT", "the device has another user name", "a scanner"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Add the user with its protocols and passwords to [[ingestor.snmp.users]] and send SIGHUP, or mend the device."];
    INGEST_USM_ENGINE = "MUTT-I051", "An SNMPv3 message of an unknown engine",
        means "The entries of this user in [[ingestor.snmp.users]] are for other engines, or an inform was secured for an engine that MUTT is not; or MUTT's own file with engine id and boots cannot be used. Dropped and counted (reason usm_unknown_engine).",
        causes ["the device was replaced and has a new engine id", "data_dir is new, so that MUTT has a new engine id: informs find it by themselves"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Add an entry with the engine id that the log names, or one without engine_id for every engine."];
    INGEST_USM_LEVEL = "MUTT-I052", "An SNMPv3 message at a level that its user does not have",
        means "A message without authentication for a user who has a key, or at a level for which the user has no protocol. It was dropped and counted (reason usm_unsupported_level).",
        causes ["the device sends noAuthNoPriv", "priv is missing in MUTT", "somebody tries to speak for the user"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Give the device's trap target and the user in MUTT the same security level."];
    INGEST_USM_DIGEST = "MUTT-I053", "An SNMPv3 message with a wrong digest",
        means "The message was not made with the authentication password and protocol that MUTT has for this user. It was dropped and counted (reason usm_wrong_digest).",
        causes ["another password", "another protocol (MD5, SHA-1, SHA-256 ...)", "the device's password was changed first", "forged or damaged on the way"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Set the password on both sides; name two secrets, [current, next], while devices are changed one by one.", "Where one name has other passwords on some devices, give these an entry with their engine_id."];
    INGEST_USM_DECRYPTION = "MUTT-I054", "An SNMPv3 message that cannot be decrypted",
        means "The message is authentic, but does not decrypt to a PDU with the privacy password and protocol that MUTT has. It was dropped and counted (reason usm_decryption_error).",
        causes ["another privacy password", "another privacy protocol", "AES-192 or AES-256 with the other form of extending keys"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Set privacy protocol and password on both sides; for Cisco's AES-192 and AES-256 write AES-192-C and AES-256-C."];
    INGEST_USM_TIME = "MUTT-I055", "An SNMPv3 message outside the time window",
        means "The message's boots or time are more than 150 s behind what its engine said before: recorded and sent again, or a device whose clock began anew. Dropped and counted (reason usm_not_in_time_window), or taken and flagged where time_window is warn.",
        causes ["the device lost its boots counter", "a device that always sends time 0", "two devices with one engine id (a copied virtual machine)", "somebody repeats a recorded trap"],
        check ["muttctl config show ingestor.snmp"],
        fix ["Mend the device's clock or give it an engine id of its own.", "Where that cannot be, name it in [[ingestor.snmp.devices]] with time_window = \"warn\"."];
    INGEST_USM_MALFORMED = "MUTT-I056", "An SNMP message that cannot be read",
        means "What came says that it is SNMPv3 and cannot be read as a message of the User-based Security Model, or a TCP connection, or a datagram where only known communities are taken, carries something else than SNMP. Dropped and counted (reasons usm_malformed, usm_security_model, framing, oversize).",
        causes ["a device with a faulty encoder", "a scanner", "another protocol sent to this port"],
        check ["muttctl doctor"],
        fix ["Look with tcpdump at what the sender named in the log really sends."];
    INGEST_NOT_ALLOWED = "MUTT-I070", "A sender that no allow-list names",
        means "A datagram or connection came from an address that neither ingestor.allow nor the listener's own list names; it was refused and counted (reason not_allowed).",
        causes ["a device that was not added to the list", "a relay or NAT in between has another address", "a scanner"],
        check ["muttctl sources list --q ADDRESS", "muttctl config show ingestor.allow"],
        fix ["Add the address or its network to ingestor.allow and reload (SIGHUP), or stop the sender."];
    INGEST_SOURCE_LIMIT = "MUTT-I071", "A sender is over its limit",
        means "A source sends more than a table of [[ingestor.limits]] allows: its datagrams are dropped and counted (reason source_limit), its streams are not read until it is within the limit again.",
        causes ["a device in a loop", "debugging left on at a device", "the limit is too low for a relay, whose sources share its address"],
        check ["muttctl sources list --q ADDRESS", "muttctl config show ingestor.limits"],
        fix ["Quieten the device, or raise the rate or burst that names it and reload (SIGHUP)."];
}
