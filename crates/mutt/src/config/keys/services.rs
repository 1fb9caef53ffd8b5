//! Keys of the five services.

use super::{Key, Kind, Role, key, required};

const TLS: &str = "syslog over TLS comes with the intake capability; use ingestor.syslog.tcp on a trusted network";
const RELP: &str = "RELP comes with the intake capability; use ingestor.syslog.tcp";
const USM: &str = "SNMPv3 users come later; use communities on a trusted network";
const METRICS: &str =
    "Address of v2's second listener, metrics only (METRICS_PORT_...). Unset: none.";
const UNSAFE: &str = "Beyond loopback it needs tls or behind_proxy = true (MUTT-C005). Port 0: the kernel chooses, the summary prints it.";
const HEALTH: &str = "Address of health and metrics of this service. Port 0: the kernel chooses, the summary prints it.";
const CONNECTIONS: &str = "Met: further connections are closed at once and counted (MUTT-I006). Each costs one file descriptor.";
const RCVBUF: &str = "Too low: the kernel drops datagrams in a burst, counted per socket. Above net.core.rmem_max the kernel refuses the rest (MUTT-I008).";

pub(super) const KEYS: &[Key] = &[
    key(
        "ingestor.http.listen",
        Kind::AddressOrOff,
        "127.0.0.1:8080",
        "Address of HTTP ingest, health and metrics of the Ingestor.",
        UNSAFE,
    ),
    required("ingestor.http.tls.cert", Kind::Path, "PEM file with the certificate chain."),
    required("ingestor.http.tls.key", Kind::Secret, "PEM private key."),
    key(
        "ingestor.http.tls.client_ca",
        Kind::Path,
        "",
        "PEM file; clients must show a certificate of this CA.",
        "",
    ),
    key(
        "ingestor.http.behind_proxy",
        Kind::Flag,
        "false",
        "A proxy in front does TLS: permits a non-loopback listener without it.",
        "true without a proxy sends keys in clear.",
    ),
    required(
        "ingestor.http.keys[].name",
        Kind::Text,
        "Who sends with this key; stands in logs and metrics.",
    )
    .reloaded(),
    required("ingestor.http.keys[].key", Kind::Secrets, "The key; two: current and next.").reloaded(),
    key(
        "ingestor.http.max_body",
        Kind::Size { min: "64KiB", max: "256MiB" },
        "16MiB",
        "Largest request body, packed and unpacked.",
        "Met: 413 (MUTT-I003); rsyslog drops such a batch. Too high: memory, times max_connections.",
    ),
    key(
        "ingestor.http.max_records",
        Kind::Count { min: 1, max: 1_000_000 },
        "10000",
        "Most records in one request.",
        "Met: 413 (MUTT-I003).",
    ),
    key(
        "ingestor.http.max_connections",
        Kind::Count { min: 1, max: 100_000 },
        "1024",
        "Most HTTP connections at one time.",
        CONNECTIONS,
    ),
    key(
        "ingestor.http.request_timeout",
        Kind::Duration { min: "1s", max: "10m" },
        "30s",
        "How long one request may take to arrive.",
        "Met: the connection is closed. Too high: slow clients hold connections.",
    ),
    key(
        "ingestor.syslog.udp",
        Kind::Addresses,
        "[\"127.0.0.1:5514\"]",
        "UDP listeners. [] switches them off.",
        "Port 514 needs CAP_NET_BIND_SERVICE.",
    ),
    key(
        "ingestor.syslog.tcp",
        Kind::Addresses,
        "[\"127.0.0.1:5514\"]",
        "TCP listeners, both framings. [] switches them off.",
        "Port 514 needs CAP_NET_BIND_SERVICE.",
    ),
    key("ingestor.syslog.tls", Kind::Later(TLS), "", "TLS listeners.", ""),
    key("ingestor.syslog.relp", Kind::Later(RELP), "", "RELP listeners.", ""),
    key(
        "ingestor.syslog.max_message",
        Kind::Size { min: "480B", max: "64KiB" },
        "64KiB",
        "Longest syslog message.",
        "Met: the message is cut there and flagged.",
    ),
    key(
        "ingestor.syslog.max_connections",
        Kind::Count { min: 1, max: 100_000 },
        "2048",
        "Most connections of one TCP listener.",
        CONNECTIONS,
    ),
    key(
        "ingestor.syslog.idle_timeout",
        Kind::Duration { min: "1s", max: "30d" },
        "24h",
        "A TCP connection without a byte for this long is closed.",
        "Too low: quiet devices connect again and again.",
    ),
    key(
        "ingestor.syslog.receive_buffer",
        Kind::Size { min: "64KiB", max: "1GiB" },
        "8MiB",
        "Receive buffer of each UDP socket.",
        RCVBUF,
    ),
    key(
        "ingestor.snmp.udp",
        Kind::Addresses,
        "[\"127.0.0.1:9162\"]",
        "SNMP trap and inform listeners. [] switches them off.",
        "Port 162 needs CAP_NET_BIND_SERVICE.",
    ),
    key(
        "ingestor.snmp.communities",
        Kind::SecretList,
        "",
        "Known communities of SNMP v1 and v2c. None: any, on loopback only.",
        "Beyond loopback at least one is needed (MUTT-C005). Unknown ones are dropped and counted (MUTT-I009).",
    ).reloaded(),
    key("ingestor.snmp.users", Kind::Later(USM), "", "SNMPv3 users.", ""),
    key(
        "ingestor.snmp.receive_buffer",
        Kind::Size { min: "64KiB", max: "1GiB" },
        "8MiB",
        "Receive buffer of each SNMP socket.",
        RCVBUF,
    ),
    key(
        "ingestor.dedup_window_http",
        Kind::Duration { min: "1m", max: "30d" },
        "24h",
        "How long the Idempotency-Key or event_id of a record is kept.",
        "Too low: a late repeat becomes a second event. Too high: a larger store.",
    ),
    key(
        "ingestor.dedup_window_informs",
        Kind::Duration { min: "10s", max: "1d" },
        "10m",
        "How long an inform is recognised.",
        "Too low: a repeated inform becomes a second event.",
    ),
    key("alerter.listen", Kind::Address, "127.0.0.1:8082", HEALTH, ""),
    key("alerter.metrics_listen", Kind::Address, "", METRICS, ""),
    key(
        "alerter.default_team",
        Kind::Text,
        "NETO",
        "The team of an alert when neither rule nor device names one.",
        "",
    ).live(Role::Admin),
    key(
        "alerter.unhandled_threshold",
        Kind::Count { min: 0, max: 1_000_000_000 },
        "100",
        "Events of one template on one host that make a meta-alert; 0: no meta-alerts.",
        "Too low: chatty devices make noise. Too high: a new kind of trouble stays unseen.",
    ).live(Role::Operator),
    key(
        "alerter.unhandled_window",
        Kind::Duration { min: "1m", max: "30d" },
        "24h",
        "The time in which alerter.unhandled_threshold counts.",
        "",
    ).live(Role::Operator),
    key("moog_forwarder.listen", Kind::Address, "127.0.0.1:8084", HEALTH, ""),
    key("moog_forwarder.metrics_listen", Kind::Address, "", METRICS, ""),
    key("remediation.listen", Kind::Address, "127.0.0.1:8087", HEALTH, ""),
    key("remediation.metrics_listen", Kind::Address, "", METRICS, ""),
    key(
        "remediation.interval",
        Kind::Duration { min: "1s", max: "1d" },
        "60s",
        "Time between rounds: clear aged alerts, redrive expired deliveries, apply retention and cap.",
        "Too high: alerts are cleared late, the store may pass its cap between rounds.",
    ).live(Role::Operator),
    key(
        "remediation.redrive_batch",
        Kind::Count { min: 1, max: 1_000_000 },
        "1000",
        "Expired deliveries that one round makes pending again, for each sink.",
        "Too high: old alerts crowd out new ones after an outage.",
    ).live(Role::Operator),
    key(
        "web_ui.listen",
        Kind::Address,
        "127.0.0.1:8090",
        "Address of the Web UI and the REST API, health and metrics.",
        UNSAFE,
    ),
    required("web_ui.tls.cert", Kind::Path, "PEM file with the certificate chain."),
    required("web_ui.tls.key", Kind::Secret, "PEM private key."),
    key(
        "web_ui.tls.client_ca",
        Kind::Path,
        "",
        "PEM file; clients must show a certificate of this CA.",
        "",
    ),
    key(
        "web_ui.behind_proxy",
        Kind::Flag,
        "false",
        "A proxy in front does TLS: permits a non-loopback listener without it.",
        "true without a proxy sends tokens in clear.",
    ),
    required(
        "web_ui.tokens[].name",
        Kind::Text,
        "Who acts with this token; stands in the change log.",
    )
    .reloaded(),
    required(
        "web_ui.tokens[].role",
        Kind::Choice(&["viewer", "operator", "admin"]),
        "viewer reads; operator also acts on alerts, deliveries and lanes; admin does everything.",
    )
    .reloaded(),
    required("web_ui.tokens[].token", Kind::Secrets, "The token; two: current and next.")
        .reloaded(),
    key(
        "web_ui.max_connections",
        Kind::Count { min: 1, max: 100_000 },
        "1024",
        "Most connections at one time.",
        CONNECTIONS,
    ),
];
