//! The environment names of v2: understood ones become keys, the others are reported by `check`.
//!
//! They rank below the file: a file is written for this version, an environment may be left over.

use super::env::EnvSource;
use super::error::Origin;
use super::tree::{self, Node};

/// How the value of an understood name is written in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is, lower-cased.
    Lower,
    /// As it is.
    Same,
    /// A number.
    Number,
    /// A number of seconds.
    Seconds,
    /// A number of days.
    Days,
    /// A port on every interface became a port on loopback.
    Port,
    /// `true`, `1`, `yes`, `on` choose the first text, others the second.
    Switch(&'static str, &'static str),
    /// The name itself becomes a secret reference.
    Secret,
    /// Part of a URL that several names make: see [`engines`].
    Part,
}

/// Names that are understood, with the key that they set.
const UNDERSTOOD: &[(&str, &str, Form)] = &[
    ("LOG_LEVEL", "log.level", Form::Lower),
    ("LOG_JSON_ENABLED", "log.format", Form::Switch("json", "text")),
    ("REDIS_HOST", "queue.url", Form::Part),
    ("REDIS_PORT", "queue.url", Form::Part),
    ("REDIS_DB", "queue.url", Form::Part),
    ("REDIS_TLS_ENABLED", "queue.url", Form::Part),
    ("REDIS_CA_CERT_PATH", "queue.tls.ca", Form::Same),
    ("REDIS_PASSWORD", "queue.password", Form::Secret),
    ("DB_HOST", "store.url", Form::Part),
    ("DB_PORT", "store.url", Form::Part),
    ("DB_NAME", "store.url", Form::Part),
    ("DB_USER", "store.url", Form::Part),
    ("DB_TLS_ENABLED", "store.tls.mode", Form::Switch("require", "off")),
    ("DB_TLS_CA_CERT_PATH", "store.tls.ca", Form::Same),
    ("DB_POOL_MAX_CONN", "store.pool", Form::Number),
    ("DB_PASS", "store.password", Form::Secret),
    ("DB_PASSWORD", "store.password", Form::Secret),
    ("SERVER_PORT_INGESTOR", "ingestor.http.listen", Form::Port),
    ("MAX_INGEST_QUEUE_SIZE", "queue.max_events", Form::Number),
    ("HEALTH_PORT_ALERTER", "alerter.listen", Form::Port),
    ("METRICS_PORT_ALERTER", "alerter.metrics_listen", Form::Port),
    ("UNHANDLED_THRESHOLD", "alerter.unhandled_threshold", Form::Number),
    ("UNHANDLED_EXPIRY_SECONDS", "alerter.unhandled_window", Form::Seconds),
    ("UNHANDLED_DEFAULT_TEAM", "alerter.default_team", Form::Same),
    ("HEALTH_PORT_MOOG", "moog_forwarder.listen", Form::Port),
    ("METRICS_PORT_MOOG", "moog_forwarder.metrics_listen", Form::Port),
    ("HEALTH_PORT_REMEDIATION", "remediation.listen", Form::Port),
    ("METRICS_PORT_REMEDIATION", "remediation.metrics_listen", Form::Port),
    ("REMEDIATION_INTERVAL", "remediation.interval", Form::Seconds),
    ("REMEDIATION_BATCH_SIZE", "remediation.redrive_batch", Form::Number),
    ("SERVER_PORT_WEBUI", "web_ui.listen", Form::Port),
    ("EVENT_RETENTION_DAYS", "store.retention.handled", Form::Days),
    ("RETENTION_EVENT_AUDIT_DAYS", "store.retention.handled", Form::Days),
    ("CONFIG_AUDIT_RETENTION_DAYS", "store.retention.changes", Form::Days),
    ("RETENTION_AUDIT_DAYS", "store.retention.changes", Form::Days),
    ("RETENTION_DLQ_DAYS", "store.retention.alerts", Form::Days),
    ("INGEST_API_KEY", "ingestor.http.keys", Form::Secret),
    ("WEBUI_API_KEY", "web_ui.tokens", Form::Secret),
    ("MOOG_WEBHOOK_URL", "sinks.moog.url", Form::Same),
    ("MOOG_API_KEY", "sinks.moog.auth", Form::Secret),
    ("MOOG_WEBHOOK_TIMEOUT", "sinks.moog.timeout", Form::Seconds),
    ("MOOG_RATE_LIMIT", "sinks.moog.rate", Form::Number),
    ("MOOG_RATE_PERIOD", "sinks.moog.rate", Form::Seconds),
];

/// Beginnings or whole names that v2 or its templates knew and that mean nothing now, with why.
const GONE: &[(&str, &str)] = &[
    ("REDIS_", "the connection to Redis needs no such setting; see queue"),
    ("DB_", "the connection to PostgreSQL needs no such setting; see store"),
    ("POSTGRES_", "v2's services read DB_HOST, DB_NAME and DB_USER; see store.url"),
    ("VAULT_", "secrets from Vault come with the production engines; use { file = ... }"),
    ("RATE_LIMIT_", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_MAX_RATE", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_RATE_WINDOW", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_QUEUE_", "the event queue is files under data_dir"),
    ("ALERT_QUEUE_NAME", "deliveries are rows of the store, not a list"),
    ("REQUIRED_FIELDS", "a record that lacks a field is accepted and flagged"),
    ("REQUIRED_MESSAGE_FIELDS", "a record that lacks a field is accepted and flagged"),
    ("DYNAMIC_CONFIG_ENABLED", "rules are always live; other keys apply with SIGHUP or a restart"),
    ("CACHE_RELOAD_INTERVAL", "rules are live within a second"),
    ("RULE_CACHE_TTL", "rules are live within a second"),
    ("BRPOPLPUSH_TIMEOUT", "the event queue is files under data_dir"),
    ("METRICS_PREFIX", "metric names are fixed, see METRICS.md"),
    ("METRICS_CACHE_TTL", "the Web UI reads live counters"),
    ("METRICS_PORT_INGESTOR", "the Ingestor serves metrics on ingestor.http.listen"),
    ("AUDIT_LOG_PAGE_SIZE", "pages have limit and cursor parameters"),
    ("PROMETHEUS_URL", "objectives are computed from the store"),
    ("ALERTER_", "the Alerter needs no queue names, heartbeats, janitor or shedding any more"),
    ("MOOG_MAX_RETRIES", "a delivery is tried for sinks.moog.retry_for, not a number of times"),
    ("MOOG_RETRY_", "back-off is built in"),
    ("RETRY_", "back-off is built in"),
    ("MOOG_HEALTH_", "a held lane is probed with a real delivery"),
    ("MOOG_", "the Moog Forwarder needs no queue names, heartbeats or janitor any more"),
    ("CIRCUIT_BREAKER_", "the breaker opens after 5 failures and probes every 30 s"),
    ("REMEDIATION_", "Remediation redrives expired deliveries by itself"),
    ("DEAD_LETTER_QUEUE", "dead is a state of a delivery"),
    ("DLQ_NAME", "dead is a state of a delivery"),
    ("MAX_POISON_RETRIES", "a refused delivery is replayed by hand"),
    ("POISON_MESSAGE_MAX_RETRIES", "a refused delivery is replayed by hand"),
    ("PROCESSING_LIST_PREFIX", "the event queue is files under data_dir"),
    ("UNHANDLED_", "see alerter.unhandled_threshold and alerter.unhandled_window"),
    ("BACKPRESSURE_", "the caps of the event queue are the back-pressure"),
    ("RETENTION_", "see store.retention"),
    ("EVENT_ARCHIVE_RETENTION_YEARS", "there is no archive table; see store.retention"),
    ("OTEL_", "traces are not exported"),
    ("SLO_", "objectives are fixed, see /api/v2/slo"),
    ("POD_NAME", "a process needs no name of its own"),
    ("JANITOR_INTERVAL", "leases end by themselves"),
    ("HEARTBEAT_", "leases end by themselves"),
    ("INGESTOR_", "see ingestor.http.listen"),
    ("WEBUI_", "see web_ui.listen"),
    ("SERVER_PORT_", "see the listen keys of the services"),
    ("MUTT_API_KEY", "see web_ui.tokens"),
    ("PROMETHEUS_ENABLED", "metrics are always served"),
];

/// What `check` says of one v2 name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The environment name.
    pub name: String,
    /// The key that it sets; `None` when it means nothing now.
    pub key: Option<&'static str>,
    /// In words.
    pub what: String,
}

/// Every v2 name of this environment: understood as which key, or why it means nothing now.
#[must_use]
pub fn notes(env: &dyn EnvSource) -> Vec<Note> {
    let mut vars = env.vars();
    vars.sort();
    vars.into_iter()
        .filter_map(|(name, _)| {
            if let Some((_, key, form)) = UNDERSTOOD.iter().find(|(known, ..)| *known == name) {
                let port = if *form == Form::Port { ", on 127.0.0.1" } else { "" };
                let what = format!("understood as {key}{port}; the file wins where it says more");
                return Some(Note { name, key: Some(key), what });
            }
            let (_, why) = GONE.iter().find(|(gone, _)| {
                name == *gone || (gone.ends_with('_') && name.starts_with(gone))
            })?;
            Some(Note { name, key: None, what: format!("not used: {why}") })
        })
        .collect()
}

/// Every understood name with its key, for the reference.
pub fn understood() -> impl Iterator<Item = (&'static str, &'static str)> {
    UNDERSTOOD.iter().map(|(name, key, _)| (*name, *key))
}

/// The configuration that the understood names of this environment make.
#[must_use]
pub fn tree(env: &dyn EnvSource) -> Node {
    let mut root = Node::empty();
    apply(env, &mut root);
    root
}

/// Lays understood names under what the file says. Those of the Moog sink count only when
/// `MOOG_WEBHOOK_URL` makes one.
pub(super) fn apply(env: &dyn EnvSource, root: &mut Node) {
    let moog_in_file = root.get(&["sinks", "moog"]).is_some();
    let moog_url = env.var("MOOG_WEBHOOK_URL").filter(|url| !url.trim().is_empty());
    let (redis, db) = engines(env, root);
    for (name, key, form) in UNDERSTOOD {
        let Some(value) = env.var(name).filter(|value| !value.trim().is_empty()) else { continue };
        let path: Vec<&str> = key.split('.').collect();
        let moog = key.starts_with("sinks.moog.");
        if (moog && (moog_in_file || moog_url.is_none())) || (!moog && root.get(&path).is_some()) {
            continue;
        }
        // A setting of an engine that this environment does not choose means nothing.
        let unused = (name.starts_with("REDIS_") && !redis) || (name.starts_with("DB_") && !db);
        if unused || *form == Form::Part {
            continue;
        }
        let origin = Origin::Env((*name).to_owned());
        if *name == "MOOG_RATE_LIMIT" {
            root.set(&path, Node::text(&rate(&value, env), origin));
        } else if *name != "MOOG_RATE_PERIOD" {
            root.set(&path, node(name, &value, *form, origin));
        }
    }
    if moog_url.is_some() && !moog_in_file {
        let origin = Origin::Env("MOOG_WEBHOOK_URL".to_owned());
        root.set(&["sinks", "moog", "kind"], Node::text("moogsoft", origin));
    }
}

/// v2's hosts, ports, names and switches as URLs, where the file names no engine. Says which of Redis
/// and PostgreSQL this environment has chosen.
fn engines(env: &dyn EnvSource, root: &mut Node) -> (bool, bool) {
    let of = |name: &str, default: &str| {
        let value = env.var(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let off = |name: &str| ["false", "0", "no", "off"].contains(&of(name, "true").as_str());
    let mut chosen = |host: &str, key: [&str; 2], url: String| {
        let is_chosen = !of(host, "").is_empty() && root.get(&key).is_none();
        if is_chosen {
            root.set(&key, Node::text(&url, Origin::Env(host.to_owned())));
        }
        is_chosen
    };
    let scheme = if off("REDIS_TLS_ENABLED") { "redis" } else { "rediss" };
    let (host, port) = (of("REDIS_HOST", ""), of("REDIS_PORT", "6379"));
    let db = of("REDIS_DB", "0");
    let path = if db == "0" { String::new() } else { format!("/{db}") };
    let redis = chosen("REDIS_HOST", ["queue", "url"], format!("{scheme}://{host}:{port}{path}"));
    let (host, port) = (of("DB_HOST", ""), of("DB_PORT", "5432"));
    let (user, name) = (of("DB_USER", "mutt_user"), of("DB_NAME", "mutt_db"));
    let url = format!("postgres://{user}@{host}:{port}/{name}");
    let postgres = chosen("DB_HOST", ["store", "url"], url);
    if postgres && root.get(&["store", "tls", "mode"]).is_none() {
        // v2 encrypted by default and did not check whom it talked to.
        let mode = if off("DB_TLS_ENABLED") { "off" } else { "require" };
        root.set(&["store", "tls", "mode"], Node::text(mode, Origin::Env("DB_HOST".to_owned())));
    }
    (redis, postgres)
}

/// v2's limit and period as one rate.
fn rate(limit: &str, env: &dyn EnvSource) -> String {
    let period = env.var("MOOG_RATE_PERIOD").and_then(|period| period.trim().parse::<f64>().ok());
    match (limit.trim().parse::<f64>(), period.unwrap_or(1.0)) {
        (Ok(limit), period) if period > 0.0 => format!("{}/s", limit / period),
        _ => limit.to_owned(),
    }
}

fn node(name: &str, value: &str, form: Form, origin: Origin) -> Node {
    let value = value.trim();
    let text = match form {
        Form::Lower => {
            value.to_ascii_lowercase().replace("warning", "warn").replace("critical", "error")
        }
        Form::Same | Form::Part => value.to_owned(),
        Form::Number => {
            return tree::parse_value(value, &origin).unwrap_or_else(|_| Node::text(value, origin));
        }
        Form::Seconds => match value.parse::<f64>() {
            Ok(seconds) if seconds.fract() != 0.0 => format!("{:.0}ms", seconds * 1000.0),
            _ => format!("{}s", value.trim_end_matches(".0")),
        },
        Form::Days => format!("{value}d"),
        Form::Port => format!("127.0.0.1:{value}"),
        Form::Switch(on, off) => {
            let yes = ["true", "1", "yes", "on"].contains(&value.to_ascii_lowercase().as_str());
            (if yes { on } else { off }).to_owned()
        }
        Form::Secret => {
            let reference = format!("{{ env = \"{name}\" }}");
            let written = match name {
                "INGEST_API_KEY" => format!("[{{ name = \"v2\", key = {reference} }}]"),
                "WEBUI_API_KEY" => {
                    format!("[{{ name = \"v2\", role = \"admin\", token = {reference} }}]")
                }
                "REDIS_PASSWORD" | "DB_PASS" | "DB_PASSWORD" => reference,
                _ => format!("{{ bearer = {reference} }}"),
            };
            return tree::parse_value(&written, &origin).unwrap_or_else(|_| Node::empty());
        }
    };
    Node::text(&text, origin)
}
