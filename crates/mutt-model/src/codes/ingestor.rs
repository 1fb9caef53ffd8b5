//! Codes of the Ingestor.

super::codes! { INGESTOR:
    INGEST_NOT_JSON = "MUTT-I001", "The request body is no JSON",
        means "The HTTP client sent a body that is neither one JSON object, a JSON array nor newline-delimited JSON. Nothing of the request was taken.",
        causes ["the client sends text or form data", "the body was cut off on the way"],
        check ["muttctl send http --message test"],
        fix ["Send JSON; the message names the position of the first wrong byte."];
    INGEST_BAD_KEY = "MUTT-I002", "The ingest key is missing or wrong",
        means "The request carried no X-API-KEY or bearer token that the Ingestor knows. Nothing was taken.",
        causes ["the sender has an old key", "the header is missing", "the key file has a second line or blanks"],
        check ["muttctl send http --message test --key-file mutt-data/ingest-key"],
        fix ["Give the sender the key named in [[ingestor.http.keys]], or the one in <data_dir>/ingest-key."];
    INGEST_TOO_LARGE = "MUTT-I003", "The request is too large",
        means "The body, or what it unpacks to, is larger than ingestor.http.max_body, or holds more records than a request may.",
        causes ["the sender's batches are too large", "a compressed bomb"],
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
    INGEST_RECEIVE_FAILED = "MUTT-I010", "A listener's socket fails",
        means "Reading from a listener's socket gave an error that is not the peer's. The listener goes on after a pause.",
        causes ["the process ran out of file descriptors", "the network device went away"],
        check ["muttctl doctor"],
        fix ["Raise LimitNOFILE; otherwise read the system's own words in the message."];
}
