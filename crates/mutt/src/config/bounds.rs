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
        what: "Bytes that all TCP connections together have read ahead.",
        met: "Each connection may still have one batch; otherwise it is not read.",
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
