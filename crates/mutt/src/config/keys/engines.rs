//! Keys of the program, the event queue, the store and secrets' Vault.

use super::{Key, Kind, key};

const PRODUCTION: &str = "it comes with the production engines (Redis, PostgreSQL)";
const VAULT: &str = "secrets from Vault come with the production engines; use { file = ... }, { env = ... } or { credential = ... }";

pub(super) const KEYS: &[Key] = &[
    key(
        "data_dir",
        Kind::Path,
        "./mutt-data",
        "Directory of the embedded event queue, the SQLite store and the first-start secrets. It belongs to one running process.",
        "A second process on the same directory is refused with MUTT-S003.",
    ),
    key(
        "shutdown_timeout",
        Kind::Duration { min: "1s", max: "10m" },
        "30s",
        "How long shutdown may take from SIGTERM to exit.",
        "Met: the process ends anyway and logs MUTT-P002; what was acknowledged is durable. Keep it below the unit's TimeoutStopSec.",
    ),
    key(
        "queue.url",
        Kind::Choice(&["embedded"]),
        "embedded",
        "The engine of the event queue.",
        "Redis comes with the production engines.",
    ),
    key("queue.password", Kind::Later(PRODUCTION), "", "Password of the Redis engine.", ""),
    key(
        "queue.max_events",
        Kind::Count { min: 1_000, max: 1_000_000_000 },
        "1000000",
        "Events that may wait in the event queue.",
        "Met: HTTP senders get 503 with Retry-After, TCP senders are no longer read, UDP events are dropped and counted (MUTT-I004). Too low: refusals in a short outage of the store. Too high: only the disk limits.",
    ),
    key(
        "queue.max_bytes",
        Kind::Size { min: "1MiB", max: "100TiB" },
        "4GiB",
        "Bytes that the event queue may occupy.",
        "Met: as queue.max_events.",
    ),
    key(
        "queue.min_free",
        Kind::Size { min: "0B", max: "100TiB" },
        "1GiB",
        "Free space on the disk of data_dir that the event queue leaves to others.",
        "Met: as queue.max_events. Too low: a full disk stops the store and other programs first.",
    ),
    key(
        "store.url",
        Kind::Choice(&["sqlite"]),
        "sqlite",
        "The engine of the store.",
        "PostgreSQL comes with the production engines.",
    ),
    key("store.password", Kind::Later(PRODUCTION), "", "Password of the PostgreSQL role.", ""),
    key(
        "store.max_bytes",
        Kind::Size { min: "16MiB", max: "100TiB" },
        "5GiB",
        "Cap of the SQLite store.",
        "Met: the oldest audit rows are removed before their time, unhandled ones first (MUTT-R002). Too low: a short audit.",
    ),
    key(
        "store.retention.handled",
        Kind::Duration { min: "1h", max: "3650d" },
        "90d",
        "How long audit rows of handled events are kept.",
        "Too high: store.max_bytes is met first.",
    ),
    key(
        "store.retention.unhandled",
        Kind::Duration { min: "1h", max: "3650d" },
        "14d",
        "How long audit rows of unhandled events are kept.",
        "Too high: store.max_bytes is met first.",
    ),
    key(
        "store.retention.alerts",
        Kind::Duration { min: "1h", max: "3650d" },
        "90d",
        "How long cleared alerts and ended deliveries with their attempts are kept.",
        "Too low: a dead delivery is gone before somebody replays it.",
    ),
    key(
        "store.retention.changes",
        Kind::Duration { min: "1d", max: "3650d" },
        "365d",
        "How long the change log is kept.",
        "",
    ),
    key("vault.url", Kind::Later(VAULT), "", "Address of Vault.", ""),
    key("vault.role_id", Kind::Later(VAULT), "", "AppRole role id.", ""),
    key("vault.secret_id", Kind::Later(VAULT), "", "AppRole secret id.", ""),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "The least important log lines that are written.",
        "error hides warnings that carry codes; debug and trace are for short use.",
    ),
    key(
        "log.format",
        Kind::Choice(&["auto", "text", "json"]),
        "auto",
        "Log lines for people, or one JSON object a line; `auto` is text on a terminal, else JSON.",
        "",
    ),
];
