//! Keys of the five services.

use super::{Key, Kind, Role, key, required};

const CLOCK: &str = "reject: dropped and counted (MUTT-I055). warn: taken and flagged; a trap that was recorded can then be sent again by anyone.";
const METRICS: &str =
    "Address of v2's second listener, metrics only (METRICS_PORT_...). Unset: none.";
const UNSAFE: &str = "Beyond loopback it needs tls or behind_proxy = true (MUTT-C005). Port 0: the kernel chooses, the summary prints it.";
const HEALTH: &str = "Address of health and metrics of this service. Port 0: the kernel chooses, the summary prints it.";
const CONNECTIONS: &str = "Met: further connections are closed at once and counted (MUTT-I006). Each costs one file descriptor.";
const RCVBUF: &str = "Too low: the kernel drops datagrams in a burst, counted per socket. Above net.core.rmem_max the kernel refuses the rest (MUTT-I008).";

const ALLOWED: &str = "Others are refused and counted (reason not_allowed, MUTT-I070): datagrams are dropped, connections closed, HTTP gets 403. A reload closes connections of those that are no longer allowed, too.";

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
        "ingestor.http.keys[].rate",
        Kind::Rate,
        "",
        "Events that may come with this key; unset: no limit.",
        "Met: 429 with Retry-After that names the key (MUTT-I040); counted by key. Too low: senders keep what they have.",
    )
    .reloaded(),
    key(
        "ingestor.http.keys[].burst",
        Kind::Count { min: 1, max: 10_000_000 },
        "",
        "Events that may come at once before the rate holds; unset: what the rate gives in ten seconds.",
        "A larger request passes when this many are saved up, and is paid off before the next.",
    )
    .reloaded(),
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
        "ingestor.http.allow",
        Kind::Networks,
        "[]",
        "Who may send to these listeners, in the place of ingestor.allow.",
        ALLOWED,
    ).reloaded(),
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
    required(
        "ingestor.syslog.tls[].listen",
        Kind::Address,
        "Address of a syslog listener over TLS (RFC 5425; usual port 6514), both framings.",
    ),
    required(
        "ingestor.syslog.tls[].cert",
        Kind::Path,
        "PEM file with the certificate chain. It and the key are read again when they change; open connections go on.",
    ),
    required("ingestor.syslog.tls[].key", Kind::Secret, "PEM private key."),
    key(
        "ingestor.syslog.tls[].client_ca",
        Kind::Path,
        "",
        "PEM file; senders must show a certificate of this CA.",
        "",
    ),
    required(
        "ingestor.syslog.relp[].listen",
        Kind::Address,
        "Address of a RELP listener (usual port 2514). relp = [\"IP:PORT\"] is the same without TLS.",
    ),
    key(
        "ingestor.syslog.relp[].cert",
        Kind::Path,
        "",
        "PEM file with the certificate chain: RELP over TLS.",
        "It and key stand together.",
    ),
    key("ingestor.syslog.relp[].key", Kind::Secret, "", "PEM private key.", ""),
    key(
        "ingestor.syslog.relp[].client_ca",
        Kind::Path,
        "",
        "PEM file; senders must show a certificate of this CA.",
        "",
    ),
    key(
        "ingestor.syslog.proxy_protocol",
        Kind::Choice(&["off", "required"]),
        "off",
        "required: each connection of the TCP, TLS and RELP listeners begins with a PROXY header (version 1 or 2), which names the device.",
        "required: a connection without a good header, or from an address outside proxy_sources, is closed and counted (MUTT-I030).",
    ),
    key(
        "ingestor.syslog.proxy_sources",
        Kind::Networks,
        "[]",
        "Addresses and networks of the proxies that are believed.",
        "Needed with proxy_protocol = required.",
    ),
    key(
        "ingestor.syslog.udp_sockets",
        Kind::Count { min: 1, max: 64 },
        "1",
        "Sockets, each with a task of its own, for each UDP address (SO_REUSEPORT).",
        "The kernel chooses the socket by the sender's address and port: one loud device stays on one socket. More sockets than processors gain nothing.",
    ),
    key(
        "ingestor.syslog.max_connections_per_source",
        Kind::Count { min: 1, max: 100_000 },
        "512",
        "Most connections of one address (IPv6: of one /64) to one TCP, TLS or RELP listener.",
        CONNECTIONS,
    ),
    key(
        "ingestor.syslog.message_timeout",
        Kind::Duration { min: "1s", max: "1h" },
        "60s",
        "How long a message that was begun may take to arrive.",
        "Met: what is there is kept and flagged, and the connection is closed and counted. Too low: senders on slow links connect again and again.",
    ),
    key(
        "ingestor.syslog.keepalive",
        Kind::Duration { min: "1s", max: "1d" },
        "60s",
        "A connection is silent for this long: the kernel asks whether the sender is there, and closes after three unanswered questions.",
        "Too high: connections of devices that lost power are kept.",
    ),
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
        "Most connections of one TCP, TLS or RELP listener.",
        CONNECTIONS,
    ),
    key(
        "ingestor.syslog.idle_timeout",
        Kind::Duration { min: "1s", max: "30d" },
        "24h",
        "A TCP, TLS or RELP connection without a byte for this long is closed.",
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
        "ingestor.syslog.allow",
        Kind::Networks,
        "[]",
        "Who may send to these listeners, in the place of ingestor.allow.",
        ALLOWED,
    ).reloaded(),
    key(
        "ingestor.syslog.zone",
        Kind::Zone,
        "UTC",
        "Zone of device times that carry none.",
        "Wrong: `device_time` is off by hours; `received_at` is not. `time_note` says `zone assumed`.",
    ),
    required(
        "ingestor.syslog.zones[].sources",
        Kind::SourcePatterns,
        "Sources whose clocks run in another zone: matched against the sender's address, the host that the message names and its relay. The first rule that matches holds.",
    ),
    required("ingestor.syslog.zones[].zone", Kind::Zone, "Their zone."),
    key(
        "ingestor.snmp.udp",
        Kind::Addresses,
        "[\"127.0.0.1:9162\"]",
        "SNMP trap and inform listeners. [] switches them off.",
        "Port 162 needs CAP_NET_BIND_SERVICE.",
    ),
    key(
        "ingestor.snmp.tcp",
        Kind::Addresses,
        "[]",
        "SNMP listeners over TCP (RFC 3430).",
        "Port 162 needs CAP_NET_BIND_SERVICE.",
    ),
    key(
        "ingestor.snmp.communities",
        Kind::SecretList,
        "",
        "Known communities of SNMP v1 and v2c. None: any, on loopback only; with SNMPv3 users and no community: none is taken.",
        "Beyond loopback at least one is needed (MUTT-C005). Unknown ones are dropped and counted (MUTT-I009).",
    ).reloaded(),
    required(
        "ingestor.snmp.users[].name",
        Kind::Text,
        "The security name of an SNMPv3 user, at most 32 octets.",
    )
    .reloaded(),
    key(
        "ingestor.snmp.users[].engine_id",
        Kind::Text,
        "",
        "Engine id in hexadecimal: the entry is for this engine. Unset: for every engine without an entry of its own.",
        "",
    )
    .reloaded(),
    required(
        "ingestor.snmp.users[].auth.protocol",
        Kind::Choice(&["MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"]),
        "How the user's messages are authenticated.",
    )
    .reloaded(),
    required(
        "ingestor.snmp.users[].auth.secret",
        Kind::Secrets,
        "The password, at least 8 octets; two: current and next.",
    )
    .reloaded(),
    required(
        "ingestor.snmp.users[].priv.protocol",
        Kind::Choice(&["DES", "AES-128", "AES-192", "AES-256", "AES-192-C", "AES-256-C"]),
        "How the user's messages are encrypted; needs auth. -C: the key is extended as Cisco's devices do.",
    )
    .reloaded(),
    required(
        "ingestor.snmp.users[].priv.secret",
        Kind::Secrets,
        "The password, at least 8 octets; two: current and next.",
    )
    .reloaded(),
    key(
        "ingestor.snmp.time_window",
        Kind::Choice(&["reject", "warn"]),
        "reject",
        "What becomes of an authentic v3 trap whose clock is more than 150 s behind what its engine said before.",
        CLOCK,
    )
    .reloaded(),
    required(
        "ingestor.snmp.devices[].sources",
        Kind::Networks,
        "Addresses and networks of devices; the first entry that names one counts.",
    )
    .reloaded(),
    key(
        "ingestor.snmp.devices[].time_window",
        Kind::Choice(&["reject", "warn"]),
        "reject",
        "As ingestor.snmp.time_window, for these devices: those whose clock stands still or begins anew.",
        CLOCK,
    )
    .reloaded(),
    key(
        "ingestor.snmp.proxy_protocol",
        Kind::Choice(&["off", "required"]),
        "off",
        "required: each connection of the TCP listeners begins with a PROXY header (version 1 or 2), which names the device.",
        "required: a connection without a good header, or from an address outside proxy_sources, is closed and counted (MUTT-I030).",
    ),
    key(
        "ingestor.snmp.proxy_sources",
        Kind::Networks,
        "[]",
        "Addresses and networks of the proxies that are believed.",
        "Needed with proxy_protocol = required.",
    ),
    key(
        "ingestor.snmp.max_connections",
        Kind::Count { min: 1, max: 100_000 },
        "1024",
        "Most connections of one TCP listener.",
        CONNECTIONS,
    ),
    key(
        "ingestor.snmp.max_connections_per_source",
        Kind::Count { min: 1, max: 100_000 },
        "512",
        "Most connections of one address (IPv6: of one /64) to one TCP listener.",
        CONNECTIONS,
    ),
    key(
        "ingestor.snmp.idle_timeout",
        Kind::Duration { min: "1s", max: "30d" },
        "24h",
        "A TCP connection without a byte for this long is closed. One without a whole message has a minute.",
        "Too low: quiet devices connect again and again.",
    ),
    key(
        "ingestor.snmp.receive_buffer",
        Kind::Size { min: "64KiB", max: "1GiB" },
        "8MiB",
        "Receive buffer of each SNMP socket.",
        RCVBUF,
    ),
    key(
        "ingestor.snmp.allow",
        Kind::Networks,
        "[]",
        "Who may send to these listeners, in the place of ingestor.allow.",
        ALLOWED,
    ).reloaded(),
    key(
        "ingestor.snmp.mib_dirs",
        Kind::Texts,
        "[]",
        "Folders with MIB files. []: <data_dir>/mibs and /etc/mutt/mibs.",
        "The first file that has a module counts. What does not load: muttctl mib check (MUTT-I061).",
    ).reloaded(),
    key(
        "ingestor.allow",
        Kind::Networks,
        "[]",
        "Addresses and networks that may send. []: all of them.",
        ALLOWED,
    ).reloaded(),
    required(
        "ingestor.limits[].sources",
        Kind::Networks,
        "Sources that are limited, each for itself; the first table that names one counts.",
    )
    .reloaded(),
    required(
        "ingestor.limits[].rate",
        Kind::Rate,
        "Events of one source. Above it datagrams are dropped and counted, streams are held back (MUTT-I071).",
    )
    .reloaded(),
    key(
        "ingestor.limits[].burst",
        Kind::Count { min: 1, max: 10_000_000 },
        "1000",
        "Events of one source at once.",
        "Too low: a device that has much to say for a moment loses datagrams.",
    ).reloaded(),
    key(
        "ingestor.max_sources",
        Kind::Count { min: 100, max: 1_000_000 },
        "20000",
        "Sources that are remembered, by each Ingestor and by the store. About 1 KiB each.",
        "Met: events of new sources are taken, but not told apart (mutt_ingest_sources_untracked_total); in the store the oldest go.",
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
    key(
        "ingestor.report",
        Kind::Flag,
        "true",
        "An Ingestor alone tells the store on PostgreSQL that it lives and what it has spilled, and follows the settings there. It never waits for it.",
        "false: no connection to PostgreSQL from its host; muttctl processes, doctor and a Web UI elsewhere do not see it nor its spill.",
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
        "remediation.quiet.enabled",
        Kind::Flag,
        "true",
        "Whether an alert is raised when a source or a relay goes quiet.",
        "false: alerts that stand are cleared.",
    ).live(Role::Operator),
    key(
        "remediation.quiet.history",
        Kind::Duration { min: "1s", max: "365d" },
        "24h",
        "A source is watched when it was heard over so long a time.",
        "Too low: its ways are not known yet, and alerts are false.",
    ).live(Role::Operator),
    key(
        "remediation.quiet.factor",
        Kind::Count { min: 1, max: 1_000 },
        "3",
        "A source is quiet when it is silent for so many times the gap that 99 of 100 of its gaps do not exceed.",
        "Too low: false alerts. Too high: late ones.",
    ).live(Role::Operator),
    key(
        "remediation.quiet.floor",
        Kind::Duration { min: "1s", max: "365d" },
        "5m",
        "Silence that is shorter is never told.",
        "Too low: short breaks make alerts.",
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
