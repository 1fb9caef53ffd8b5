//! The registry of metrics: each is declared once here. METRICS.md is generated from it, and what the
//! services export is built from it.

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations or sizes in buckets.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// As scraped.
    pub name: &'static str,
    /// What kind.
    pub kind: Kind,
    /// Label names with the closed set of values, or what the values are.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it counts, with unit.
    pub help: &'static str,
    /// Which service exports it.
    pub service: &'static str,
    /// For a name of the Python MUTT: what of its meaning changed; empty for a new name.
    pub v2: &'static str,
}

/// Buckets of latencies in seconds.
pub const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Buckets of requests to sinks in seconds.
pub const REQUEST_SECONDS: &[f64] = &[0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets of store writes in milliseconds.
pub const MILLIS: &[f64] =
    &[1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];

macro_rules! metrics {
    ($( $const:ident = $name:literal, $kind:expr, [$($label:literal = $values:literal),*], $service:literal, $help:literal, $v2:literal; )*) => {
        $(
            #[doc = $help]
            pub const $const: Metric = Metric {
                name: $name, kind: $kind, labels: &[$(($label, $values)),*],
                help: $help, service: $service, v2: $v2,
            };
        )*
        /// Every metric, by service.
        pub const ALL: &[Metric] = &[$($const),*];
    };
}

metrics! {
    SETTINGS_VERSION = "mutt_settings_version", Kind::Gauge, [], "every",
        "Version of the settings that are in force in this process; 0 before it has read them", "";
    INGEST_REQUESTS = "mutt_ingest_requests_total", Kind::Counter, ["status" = "success|fail", "reason" = "not_allowed|auth|secret|json|encoding|rate_limit|validation|queue_full|not_durable|too_large|\"\""], "ingestor",
        "HTTP ingest requests by outcome", "kept; reasons redis and unknown are gone, not_allowed, not_durable, too_large, secret and encoding are new; rate_limit is a key's own rate";
    INGEST_BY_KEY = "mutt_ingest_key_events_total", Kind::Counter, ["key" = "an ingest key's name", "outcome" = "accepted|held_back"], "ingestor",
        "Events over HTTP by ingest key: made durable, or answered 429 because the key sends more than its rate", "";
    INGEST_QUEUE_DEPTH = "mutt_ingest_queue_depth", Kind::Gauge, [], "ingestor",
        "Events waiting in the event queue", "kept; now exact at every scrape";
    INGEST_LATENCY = "mutt_ingest_latency_seconds", Kind::Histogram(SECONDS), [], "ingestor",
        "Seconds from a request's last byte to its durable answer", "kept";
    INGEST_RECEIVED = "mutt_ingest_received_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Events made durable, by listener", "";
    INGEST_ARRIVED = "mutt_ingest_arrived_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Frames counted where they are read: datagrams, messages of streams, records of HTTP requests. At rest this is stored, dropped and given back", "";
    INGEST_GIVEN_BACK = "mutt_ingest_given_back_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Frames that their sender still has or that hold no event: records of HTTP requests that were not answered 200, first steps of SNMPv3", "";
    INGEST_BYTES = "mutt_ingest_bytes_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Bytes of frames read, by listener", "";
    INGEST_PARSE = "mutt_ingest_parse_total", Kind::Counter, ["listener" = "a listener's name", "status" = "ok|partial|failed"], "ingestor",
        "Events by how much of them was understood", "";
    INGEST_DROPPED = "mutt_ingest_dropped_total", Kind::Counter, ["listener" = "a listener's name", "reason" = "queue_full|not_durable|community|oversize|framing|incomplete|connections|empty|not_allowed|source_limit|usm_malformed|usm_security_model|usm_unknown_engine|usm_unknown_user|usm_unsupported_level|usm_wrong_digest|usm_not_in_time_window|usm_decryption_error|\"\""], "ingestor",
        "Frames dropped before the append, by reason", "";
    INGEST_KERNEL_DROPS = "mutt_ingest_kernel_drops_total", Kind::Counter, ["listener" = "a listener's name", "socket" = "address and port"], "ingestor",
        "Datagrams that the kernel dropped at this socket", "";
    INGEST_RCVBUF = "mutt_ingest_receive_buffer_bytes", Kind::Gauge, ["listener" = "a listener's name", "socket" = "address and port"], "ingestor",
        "Receive buffer that the kernel granted", "";
    INGEST_CONNECTIONS = "mutt_ingest_connections", Kind::Gauge, ["listener" = "a listener's name"], "ingestor",
        "Open connections", "";
    INGEST_REFUSED = "mutt_ingest_connections_refused_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Connections closed because the listener, or their source, had as many as it may", "";
    INGEST_CLOSED = "mutt_ingest_connections_closed_total", Kind::Counter, ["listener" = "a listener's name", "reason" = "idle|slow|broken|tls|proxy|relp|snmp"], "ingestor",
        "Connections that ended otherwise than by their sender's will: silent too long, a message too slow, broken on the way, no TLS, no PROXY header, no RELP, no SNMP", "";
    INGEST_CUT = "mutt_ingest_cut_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Messages kept in part: above ingestor.syslog.max_message, or broken off", "";
    INGEST_RCVQUEUE = "mutt_ingest_receive_queue_bytes", Kind::Gauge, ["listener" = "a listener's name", "socket" = "address and port"], "ingestor",
        "Bytes that wait in the socket's receive buffer, with the kernel's overhead", "";
    INGEST_USM = "mutt_ingest_usm_total", Kind::Counter, ["listener" = "a listener's name", "result" = "usm_discovery|usm_time_sync|late|usm_malformed|usm_security_model|usm_unknown_engine|usm_unknown_user|usm_unsupported_level|usm_wrong_digest|usm_not_in_time_window|usm_decryption_error"], "ingestor",
        "SNMPv3 messages that were not taken by the reason, the first steps of informs (usm_discovery, usm_time_sync: nothing is lost), and traps taken although late", "";
    INGEST_USM_ENGINES = "mutt_ingest_usm_engines", Kind::Gauge, [], "ingestor",
        "SNMP engines whose clocks and keys are remembered", "";
    INGEST_USM_PENDING = "mutt_ingest_usm_pending", Kind::Gauge, [], "ingestor",
        "SNMPv3 senders (address, engine, user) that were refused since the users were last changed", "";
    INGEST_NOT_ALLOWED = "mutt_ingest_connections_not_allowed_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Connections refused because no allow-list names the peer", "";
    INGEST_HELD_BACK = "mutt_ingest_held_back_seconds_total", Kind::Counter, ["listener" = "a listener's name"], "ingestor",
        "Seconds in which streams of sources over their limit were not read", "";
    INGEST_SOURCES = "mutt_ingest_sources", Kind::Gauge, [], "ingestor",
        "Sources that this Ingestor remembers", "";
    INGEST_UNTRACKED = "mutt_ingest_sources_untracked_total", Kind::Counter, [], "ingestor",
        "Events of sources that found no place among those remembered; they were taken all the same", "";
    QUEUE_BYTES = "mutt_queue_bytes", Kind::Gauge, [], "ingestor",
        "Bytes that the event queue occupies", "";
    QUEUE_OLDEST = "mutt_queue_oldest_seconds", Kind::Gauge, [], "ingestor",
        "Age of the oldest waiting event in seconds", "";
    QUEUE_APPENDED = "mutt_queue_appended_events_total", Kind::Counter, [], "ingestor",
        "Events ever appended to the event queue; outlives restarts", "";
    QUEUE_LOST = "mutt_queue_lost_events_total", Kind::Counter, [], "ingestor",
        "Events that were appended and can no longer be read; outlives restarts", "";
    QUEUE_SYNCS = "mutt_queue_syncs_total", Kind::Counter, [], "ingestor",
        "Synced commits of the event queue since the start", "";
    QUEUE_SPILLING = "mutt_queue_spilling", Kind::Gauge, [], "ingestor",
        "1 while events are spilled to local disk because the event queue's server does not take them, else 0", "";
    QUEUE_SPILL_DEPTH = "mutt_queue_spill_depth", Kind::Gauge, [], "ingestor",
        "Events waiting in the spill on local disk; part of mutt_ingest_queue_depth", "";
    QUEUE_SPILL_BYTES = "mutt_queue_spill_bytes", Kind::Gauge, [], "ingestor",
        "Bytes that the spill occupies on local disk", "";
    QUEUE_SPILLED = "mutt_queue_spilled_events_total", Kind::Counter, [], "ingestor",
        "Events ever spilled to local disk; outlives restarts", "";
    QUEUE_DRAINED = "mutt_queue_drained_events_total", Kind::Counter, [], "ingestor",
        "Events ever moved from the spill to the event queue's server; outlives restarts", "";
    ALERTER_EVENTS = "mutt_alerter_events_processed_total", Kind::Counter, ["status" = "handled|unhandled|duplicate|unstorable|unjudged|lost|error"], "alerter",
        "Events judged and committed; error counts failed commits by their events", "kept; poison is gone (nothing is given up), duplicate, unstorable, unjudged and lost are new";
    ALERTER_FORWARDED = "mutt_alerter_alerts_forwarded_total", Kind::Counter, [], "alerter",
        "Deliveries made for sinks", "kept";
    ALERTER_META = "mutt_alerter_unhandled_meta_alerts_total", Kind::Counter, [], "alerter",
        "Meta-alerts raised", "kept";
    ALERTER_LATENCY = "mutt_alerter_processing_latency_seconds", Kind::Histogram(SECONDS), [], "alerter",
        "Seconds from claim to commit of a round", "kept; per round of batches instead of per event";
    ALERTER_RELOAD = "mutt_alerter_cache_reload_latency_seconds", Kind::Histogram(SECONDS), [], "alerter",
        "Seconds to load and compile a rule set", "kept";
    ALERTER_RELOAD_FAILURES = "mutt_alerter_cache_reload_failures_total", Kind::Counter, [], "alerter",
        "Rule sets that could not be loaded or compiled", "kept";
    ALERTER_RULES = "mutt_alerter_cache_rules_count", Kind::Gauge, [], "alerter",
        "Active rules in force", "kept";
    ALERTER_DEV_HOSTS = "mutt_alerter_cache_dev_hosts_count", Kind::Gauge, [], "alerter",
        "Development hosts in force", "kept";
    ALERTER_TEAMS = "mutt_alerter_cache_teams_count", Kind::Gauge, [], "alerter",
        "Devices with a team of their own", "kept";
    ALERTER_RULESET = "mutt_alerter_ruleset_version", Kind::Gauge, [], "alerter",
        "Version of the rule set in force", "";
    DB_WRITE = "mutt_db_write_latency_ms", Kind::Histogram(MILLIS), [], "alerter",
        "Milliseconds of a commit", "kept; one commit now holds many events";
    ALERTER_QUEUE_DEPTH = "mutt_alerter_queue_depth", Kind::Gauge, [], "alerter",
        "Deliveries waiting for their sinks", "kept: v2's alert queue is the waiting deliveries";
    ALERTER_BACKLOG = "mutt_alerter_backlog_seconds", Kind::Gauge, [], "alerter",
        "Age in seconds of the oldest event that is not judged", "";
    MOOG_REQUESTS = "mutt_moog_requests_total", Kind::Counter, ["sink" = "a sink's name", "status" = "success|fail", "reason" = "http|timeout|connect|tls|redirect|body|\"\""], "moog-forwarder",
        "Attempts, by outcome", "kept; label sink is new, rate_limit, retry_exhausted and circuit_open are gone (they are no attempts)";
    MOOG_LATENCY = "mutt_moog_request_latency_seconds", Kind::Histogram(REQUEST_SECONDS), ["sink" = "a sink's name"], "moog-forwarder",
        "Seconds from sending to the sink's answer", "kept; label sink is new";
    MOOG_DLQ = "mutt_moog_dlq_depth", Kind::Gauge, [], "moog-forwarder",
        "Dead deliveries", "kept: the dead letter queue is the state dead";
    MOOG_LIMITED = "mutt_moog_rate_limit_hits_total", Kind::Counter, ["sink" = "a sink's name"], "moog-forwarder",
        "Times that our own limiter made a delivery wait; nothing is lost by it", "kept; label sink is new";
    MOOG_PROCESSED = "mutt_moog_alerts_processed_total", Kind::Counter, ["status" = "success|dlq|error"], "moog-forwarder",
        "Deliveries delivered, dead, or to be tried again", "kept";
    BREAKER_STATE = "mutt_circuit_breaker_state", Kind::Gauge, ["name" = "a sink's name"], "moog-forwarder",
        "0 closed, 1 half open, 2 open", "kept";
    BREAKER_FAILURES = "mutt_circuit_breaker_failures", Kind::Gauge, ["name" = "a sink's name"], "moog-forwarder",
        "Failures in a row", "kept";
    BREAKER_CHANGES = "mutt_circuit_breaker_state_changes_total", Kind::Counter, ["name" = "a sink's name", "from_state" = "closed|half_open|open", "to_state" = "closed|half_open|open"], "moog-forwarder",
        "Changes of a breaker's state", "kept; every change is counted";
    LANE_HELD = "mutt_moog_lane_held", Kind::Gauge, ["sink" = "a sink's name"], "moog-forwarder",
        "1 while the lane is held", "";
    DELIVERIES = "mutt_moog_deliveries", Kind::Gauge, ["state" = "pending|leased|held|delivered|suppressed|dead"], "moog-forwarder",
        "Deliveries by state, cumulative for ended states", "";
    WEB_REQUESTS = "mutt_webui_api_requests_total", Kind::Counter, ["endpoint" = "the route's path", "status" = "success|fail_unknown|error_invalid"], "web-ui",
        "Requests by route and outcome", "kept; endpoint is the route for every route";
    WEB_LATENCY = "mutt_webui_api_latency_seconds", Kind::Histogram(SECONDS), ["endpoint" = "the route's path"], "web-ui",
        "Seconds to answer", "kept; endpoint is the route for every route";
    REMEDIATION_LOOPS = "mutt_remediation_loops_total", Kind::Counter, [], "remediation",
        "Rounds of Remediation", "kept";
    REMEDIATION_DLQ = "mutt_remediation_dlq_depth", Kind::Gauge, ["dlq_name" = "expired|refused"], "remediation",
        "Dead deliveries by reason", "kept; the names of the lists are gone";
    REMEDIATION_SUCCESS = "mutt_remediation_replay_success_total", Kind::Counter, [], "remediation",
        "Expired deliveries made pending again", "kept";
    REMEDIATION_FAIL = "mutt_remediation_replay_fail_total", Kind::Counter, ["reason" = "store|archive"], "remediation",
        "Rounds that failed", "kept; reason archive is new: audit rows could not be archived, the rest was done";
    REMEDIATION_POISON = "mutt_remediation_poison_messages_total", Kind::Counter, [], "remediation",
        "Deliveries found refused for good", "kept";
    REMEDIATION_HEALTH = "mutt_remediation_moog_health", Kind::Gauge, ["sink" = "a sink's name"], "remediation",
        "1 while a sink accepts deliveries", "kept; label sink is new";
    REMEDIATION_DURATION = "mutt_remediation_loop_duration_seconds", Kind::Histogram(SECONDS), [], "remediation",
        "Seconds of a round", "kept";
    REMEDIATION_AGED = "mutt_remediation_alerts_aged_out_total", Kind::Counter, [], "remediation",
        "Alerts cleared by age", "";
    REMEDIATION_REMOVED = "mutt_remediation_rows_removed_total", Kind::Counter, ["table" = "audit_handled|audit_unhandled|alerts|deliveries|attempts|changes|receipts|dedup|rates|rule_sets"], "remediation",
        "Rows removed by retention and cap", "";
    RETENTION_LAST_RUN = "mutt_retention_last_run_timestamp_seconds", Kind::Gauge, [], "remediation",
        "When retention last did a whole round, seconds since the epoch; 0 before the first", "";
    RETENTION_PARTITIONS = "mutt_retention_partitions_dropped_total", Kind::Counter, [], "remediation",
        "Partitions of the audit that retention dropped (PostgreSQL)", "";
    RETENTION_ARCHIVED_BYTES = "mutt_retention_archived_bytes_total", Kind::Counter, [], "remediation",
        "Bytes of archives that retention wrote", "";
    RETENTION_HOLDS = "mutt_retention_holds", Kind::Gauge, [], "remediation",
        "Legal holds that stand", "";
    REMEDIATION_STORE_BYTES = "mutt_store_bytes", Kind::Gauge, [], "remediation",
        "Bytes that the store occupies", "";
    SOURCES = "mutt_sources", Kind::Gauge, ["state" = "all|quiet|pending|muted|unparsed"], "remediation",
        "Sources in the registry, by state", "";
    SOURCE_ALERTS = "mutt_source_alerts_total", Kind::Counter, ["kind" = "source|relay|deaf"], "remediation",
        "Alerts raised because a source or a relay went quiet, or because MUTT itself does not hear", "";
    SOURCES_FORGOTTEN = "mutt_sources_forgotten_total", Kind::Counter, [], "remediation",
        "Sources that went by retention or cap", "";
    SECRET_CHANGES = "mutt_secret_changes_total", Kind::Counter, ["key" = "the configuration key"], "every",
        "Secrets that changed while they were in use and were taken over", "";
    SECRETS_MISSING = "mutt_secrets_missing", Kind::Gauge, [], "every",
        "Configuration keys whose secret was never read", "";
    SECRETS_STALE = "mutt_secrets_stale_seconds", Kind::Gauge, [], "every",
        "Seconds since a secret could last be read again at its place; 0 while all can", "";
    VAULT_UP = "mutt_vault_up", Kind::Gauge, [], "every",
        "1 while Vault gives every secret that it is asked for, 0 while it does not; absent without [vault]", "";
    VAULT_LOGINS = "mutt_vault_logins_total", Kind::Counter, ["outcome" = "ok|refused"], "every",
        "Logins at Vault", "";
    STAGE_RESTARTS = "mutt_stage_restarts_total", Kind::Counter, ["stage" = "a stage's name"], "every",
        "Stages that failed and were started again", "";
    BUILD_INFO = "mutt_build_info", Kind::Gauge, ["version" = "the program's version"], "every",
        "1; the version is in the label", "";
    UP_SECONDS = "mutt_uptime_seconds", Kind::Gauge, [], "every",
        "Seconds since the start", "";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_counters_end_in_total() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}", metric.name);
        }
    }
}
