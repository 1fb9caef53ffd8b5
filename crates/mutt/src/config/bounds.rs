//! Named limits that are not configuration: everything has a limit, and CONFIG.md lists it with what
//! happens when it is met.

/// A limit of the program.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Name of the constant.
    pub name: &'static str,
    /// Its value as text.
    pub value: fn() -> String,
    /// What it limits.
    pub what: &'static str,
    /// What happens when it is met.
    pub met: &'static str,
}

/// All of them, in the order of the reference.
pub const BOUNDS: &[Bound] = &[
    Bound {
        name: "BATCH_EVENTS_MAX",
        value: || mutt_model::batch::BATCH_EVENTS_MAX.to_string(),
        what: "Events in one batch.",
        met: "The batch is appended and the next one begins.",
    },
    Bound {
        name: "BATCH_BYTES_MAX",
        value: || {
            mutt_model::amount::format_size(
                u64::try_from(mutt_model::batch::BATCH_BYTES_MAX).unwrap_or(u64::MAX),
            )
        },
        what: "Bytes in one batch.",
        met: "The batch is appended and the next one begins.",
    },
    Bound {
        name: "AHEAD_BATCHES_MAX",
        value: || crate::services::ingestor::pipeline::AHEAD_BATCHES_MAX.to_string(),
        what: "Batches that one TCP connection has read ahead of an append on its way.",
        met: "The connection is not read until the append is durable; the sender holds back.",
    },
    Bound {
        name: "AHEAD_BYTES_MAX",
        value: || size(crate::services::ingestor::pipeline::AHEAD_BYTES_MAX),
        what: "Bytes that all TCP connections together have read and that are not durable yet.",
        met: "Each connection may still have one batch; otherwise it is not read.",
    },
    Bound {
        name: "AHEAD_DATAGRAMS_MAX",
        value: || size(crate::services::ingestor::pipeline::AHEAD_DATAGRAMS_MAX),
        what: "Bytes that one UDP socket has read and that are not durable yet.",
        met: "The socket is not read until an append is through; what its receive buffer does not hold the kernel drops and counts.",
    },
    Bound {
        name: "BATCH_AGE_MAX",
        value: || mutt_model::amount::format_duration(mutt_model::batch::BATCH_AGE_MAX),
        what: "How long a batch waits for more events.",
        met: "The batch is appended as it is.",
    },
    Bound {
        name: "PAGE_MAX",
        value: || mutt_store::store::PAGE_MAX.to_string(),
        what: "Items on one page of the REST API.",
        met: "next_cursor leads to the next page.",
    },
    Bound {
        name: "SCAN_BUDGET_ROWS",
        value: || mutt_store::store::SCAN_BUDGET_ROWS.to_string(),
        what: "Rows that a search by text looks at for one page.",
        met: "The page ends early and next_cursor goes on.",
    },
    Bound {
        name: "OID_ARCS_MAX",
        value: || mutt_model::oid::OID_ARCS_MAX.to_string(),
        what: "Arcs of an OID.",
        met: "The trap is kept with its raw bytes, parse status partial.",
    },
    Bound {
        name: "ATTEMPT_DETAIL_MAX",
        value: || mutt_model::delivery::ATTEMPT_DETAIL_MAX.to_string(),
        what: "Bytes of a sink's answer that an attempt keeps.",
        met: "The answer is cut there.",
    },
    Bound {
        name: "CONFIG_FILE_BYTES_MAX",
        value: || mutt_model::amount::format_size(super::tree::CONFIG_FILE_BYTES_MAX),
        what: "Length of a configuration file.",
        met: "The file is refused (MUTT-C006).",
    },
    Bound {
        name: "SECRET_FILE_BYTES_MAX",
        value: || mutt_model::amount::format_size(crate::secrets::SECRET_FILE_BYTES_MAX),
        what: "Length of a secret's file.",
        met: "The secret is refused (MUTT-C004).",
    },
    Bound {
        name: "ANSWER_BYTES_MAX",
        value: || size(crate::secrets::vault::ANSWER_BYTES_MAX),
        what: "Length of an answer of Vault.",
        met: "It counts as no answer (MUTT-C010); the last good secrets stay in force.",
    },
    Bound {
        name: "RETRY_PAUSE_MAX",
        value: || duration(crate::secrets::keyring::RETRY_PAUSE_MAX),
        what: "Longest pause between tries of a Vault that does not answer.",
        met: "It is tried again at this pace.",
    },
    Bound {
        name: "RECORDS_MAX",
        value: || mutt_wire::http::RECORDS_MAX.to_string(),
        what: "Records in one HTTP request, whatever ingestor.http.max_records says.",
        met: "413 (MUTT-I003).",
    },
    Bound {
        name: "SPREAD_MAX",
        value: || size(mutt_wire::http::SPREAD_MAX),
        what: "Labels or attributes that the records of one HTTP request share, written to each event.",
        met: "413 (MUTT-I003); smaller batches pass.",
    },
    Bound {
        name: "RATIO_MAX",
        value: || mutt_wire::http::unpack::RATIO_MAX.to_string(),
        what: "How many times its size an HTTP body of more than 1 MiB may unpack to.",
        met: "413 (MUTT-I003).",
    },
    Bound {
        name: "ZSTD_WINDOW_MAX",
        value: || size(mutt_wire::http::unpack::ZSTD_WINDOW_MAX),
        what: "Window that a zstd body may ask for (RFC 9659).",
        met: "400 (MUTT-I001).",
    },
    Bound {
        name: "ENGINES_MAX",
        value: || mutt_wire::snmp::usm::ENGINES_MAX.to_string(),
        what: "SNMP engines whose clocks and keys are remembered; only those that have shown to know a key.",
        met: "Those that were silent for longest are forgotten and learned anew with their next trap.",
    },
    Bound {
        name: "PENDING_MAX",
        value: || crate::services::ingestor::snmp_usm::PENDING_MAX.to_string(),
        what: "Refused SNMPv3 senders (address, engine, user) that `mutt_ingest_usm_pending` tells apart.",
        met: "The one that was refused longest ago is forgotten; all are counted.",
    },
    Bound {
        name: "REPORTS_MAX",
        value: || crate::services::ingestor::snmp_usm::REPORTS_MAX.to_string(),
        what: "SNMPv3 reports in one second, to all senders.",
        met: "No further report leaves in this second; the sender asks again.",
    },
    Bound {
        name: "REPORTS_PER_ADDRESS_MAX",
        value: || crate::services::ingestor::snmp_usm::REPORTS_PER_ADDRESS_MAX.to_string(),
        what: "SNMPv3 reports in one second, to one address.",
        met: "No further report leaves to it in this second; the sender asks again.",
    },
    Bound {
        name: "MESSAGE_MAX",
        value: || size(mutt_wire::snmp::stream::MESSAGE_MAX),
        what: "Bytes of one SNMP message over TCP.",
        met: "The connection is closed and counted: nothing says where the next message begins.",
    },
    Bound {
        name: "DATAGRAM_MAX",
        value: || size(crate::net::udp::DATAGRAM_MAX),
        what: "Bytes of one datagram.",
        met: "No larger datagram exists.",
    },
    Bound {
        name: "HEADER_TIMEOUT",
        value: || duration(crate::net::http::HEADER_TIMEOUT),
        what: "How long the head of an HTTP request may take to arrive.",
        met: "The connection is closed.",
    },
    Bound {
        name: "HANDSHAKE_TIMEOUT",
        value: || duration(crate::net::http::HANDSHAKE_TIMEOUT),
        what: "How long a TLS handshake may take.",
        met: "The connection is closed.",
    },
    Bound {
        name: "HANDSHAKES_MAX",
        value: || crate::services::ingestor::streams::HANDSHAKES_MAX.to_string(),
        what: "TLS handshakes of one syslog or RELP listener that are under way at one time.",
        met: "Further connections wait for HANDSHAKE_WAIT.",
    },
    Bound {
        name: "HANDSHAKES_PER_SOURCE_MAX",
        value: || crate::services::ingestor::streams::HANDSHAKES_PER_SOURCE_MAX.to_string(),
        what: "Of these, those of one source.",
        met: "Its further connections wait for HANDSHAKE_WAIT; those of others go on.",
    },
    Bound {
        name: "HANDSHAKE_WAIT",
        value: || duration(crate::services::ingestor::streams::HANDSHAKE_WAIT),
        what: "How long a connection waits for its turn with the TLS handshake.",
        met: "The connection is closed and counted as refused (MUTT-I006).",
    },
    Bound {
        name: "PROXY_HEADER_TIMEOUT",
        value: || duration(crate::services::ingestor::streams::PROXY_HEADER_TIMEOUT),
        what: "How long the header of the PROXY protocol may take to arrive.",
        met: "The connection is closed and counted (MUTT-I030).",
    },
    Bound {
        name: "WINDOW_MAX",
        value: || crate::services::ingestor::answered::WINDOW_MAX.to_string(),
        what: "Messages of one connection of RELP or SNMP that are not answered yet.",
        met: "The connection is not read until some are durable and answered.",
    },
    Bound {
        name: "FRAME_BYTES_MAX",
        value: || size(mutt_wire::relp::FRAME_BYTES_MAX),
        what: "Length of a RELP frame, whatever ingestor.syslog.max_message says.",
        met: "The connection is closed and counted (MUTT-I032).",
    },
    Bound {
        name: "CORRELATION_ID_MAX",
        value: || size(crate::services::ingestor::http::CORRELATION_ID_MAX),
        what: "Length of a client's X-Correlation-ID.",
        met: "A new one is given instead.",
    },
    Bound {
        name: "MATCH_STRING_BYTES_MAX",
        value: || size(mutt_rules::validate::MATCH_STRING_BYTES_MAX),
        what: "Length of a rule's match_string.",
        met: "The rule is refused.",
    },
    Bound {
        name: "REGEX_SIZE_LIMIT",
        value: || size(mutt_rules::validate::REGEX_SIZE_LIMIT),
        what: "Size of a compiled regex.",
        met: "The rule is refused.",
    },
    Bound {
        name: "REGEX_NEST_LIMIT",
        value: || mutt_rules::validate::REGEX_NEST_LIMIT.to_string(),
        what: "Nesting of a regex.",
        met: "The rule is refused.",
    },
    Bound {
        name: "TEMPLATE_BYTES_MAX",
        value: || size(mutt_rules::template::TEMPLATE_BYTES_MAX),
        what: "Length of the template of an unhandled message.",
        met: "The template is cut there.",
    },
    Bound {
        name: "COMMIT_PAUSE_MAX",
        value: || duration(crate::services::alerter::COMMIT_PAUSE_MAX),
        what: "Longest pause between tries of a failed commit.",
        met: "The commit is tried again at this pace.",
    },
    Bound {
        name: "FAILURES_MAX",
        value: || crate::supervise::FAILURES_MAX.to_string(),
        what: "Failures of one stage within a minute.",
        met: "The process ends with exit code 1 (MUTT-P001).",
    },
];

fn size(bytes: usize) -> String {
    mutt_model::amount::format_size(u64::try_from(bytes).unwrap_or(u64::MAX))
}

fn duration(time: std::time::Duration) -> String {
    mutt_model::amount::format_duration(time)
}
