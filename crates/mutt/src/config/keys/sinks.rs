//! Keys of the sinks.

use super::{Key, Kind, Role, key, required};

pub(super) const KEYS: &[Key] = &[
    required(
        "sinks.*.kind",
        Kind::Choice(&["moogsoft", "moogsoft-cloud", "webhook"]),
        "Which protocol the sink speaks.",
    ),
    required("sinks.*.url", Kind::Url, "Where deliveries are sent."),
    key("sinks.*.auth.bearer", Kind::Secret, "", "Sent as `Authorization: Bearer`.", ""),
    required("sinks.*.auth.basic.user", Kind::Text, "User of HTTP basic authentication."),
    required("sinks.*.auth.basic.password", Kind::Secret, "Its password."),
    required("sinks.*.auth.header.name", Kind::Text, "Name of a header of its own."),
    required("sinks.*.auth.header.value", Kind::Secret, "Value of that header."),
    key(
        "sinks.*.rate",
        Kind::Rate,
        "50/s",
        "Deliveries that leave at most.",
        "Met: deliveries wait, repeats of one key are coalesced; nothing is lost. Too low: a flood is told late.",
    ).live(Role::Operator),
    key(
        "sinks.*.retry_for",
        Kind::Duration { min: "1s", max: "30d" },
        "24h",
        "How long a delivery is tried before it is dead, reason expired.",
        "Met: Remediation sends it again when the sink is healthy (MUTT-F004).",
    ).live(Role::Admin),
    key("sinks.*.teams", Kind::Texts, "[]", "Only alerts of these teams; none: all.", ""),
    key(
        "sinks.*.decisions",
        Kind::Decisions,
        "[]",
        "Only alerts of these decisions; none: every delivering one.",
        "",
    ),
    key(
        "sinks.*.environments",
        Kind::Environments,
        "[]",
        "Only alerts of these environments; none: all.",
        "",
    ),
    key(
        "sinks.*.repeat",
        Kind::Choice(&["every", "changes"]),
        "",
        "What leaves while an alert is open: every matching event, or opened, severity, cleared and reminders. Default: every for moogsoft and moogsoft-cloud, changes for the others.",
        "",
    ),
    key(
        "sinks.*.repeat_interval",
        Kind::Duration { min: "0s", max: "30d" },
        "4h",
        "Time between reminders with repeat = \"changes\" while events still arrive; 0s: none.",
        "Too low: reminders become noise.",
    ),
    key(
        "sinks.*.timeout",
        Kind::Duration { min: "100ms", max: "5m" },
        "10s",
        "How long one attempt may take.",
        "Met: the attempt failed and is repeated (MUTT-F001). Too low: a slow sink gets doubles.",
    ),
    key(
        "sinks.*.in_flight",
        Kind::Count { min: 1, max: 256 },
        "8",
        "Attempts at one time, of different alert keys.",
        "Too high: the sink is crowded. Too low: a slow sink limits the rate.",
    ).live(Role::Operator),
    key(
        "sinks.*.probe_interval",
        Kind::Duration { min: "100ms", max: "1h" },
        "30s",
        "Time between probes of an open breaker or a held lane; a probe is a real delivery.",
        "Too low: a sink in trouble is asked often. Too high: alerts arrive late after the trouble.",
    ).live(Role::Operator),
    key("sinks.*.ca", Kind::Path, "", "PEM file; trust this CA instead of the host's.", ""),
];
