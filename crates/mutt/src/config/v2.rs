//! The environment names of v2: understood ones become keys, the others are reported by `check`.
//!
//! They rank below the file: a file is written for this version, an environment may be left over.

#[cfg(test)]
mod tests;
mod vault;

use super::env::EnvSource;
use super::error::Origin;
use super::live::live_key;
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
    /// Part of what several names make: see [`engines`] and [`vault`].
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
    ("DB_TLS_ENABLED", "store.tls.mode", Form::Part),
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
    ("VAULT_ADDR", "vault.url", Form::Part),
    ("VAULT_ROLE_ID", "vault.role_id", Form::Part),
    ("VAULT_SECRET_ID_FILE", "vault.secret_id", Form::Part),
    ("VAULT_SECRETS_PATH", "queue.password", Form::Part),
];

/// What v2 sent to Moogsoft each second when nothing was said.
const V2_RATE: &str = "50";

/// Beginnings or whole names that v2 or its templates knew and that mean nothing now, with why.
const GONE: &[(&str, &str)] = &[
    ("REDIS_", "the connection to Redis needs no such setting; see queue"),
    ("DB_", "the connection to PostgreSQL needs no such setting; see store"),
    ("POSTGRES_", "v2's services read DB_HOST, DB_NAME and DB_USER; see store.url"),
    ("VAULT_TOKEN", "MUTT signs in by AppRole and renews its token itself; see [vault]"),
    ("VAULT_", "v2's services did not need it, or the token is renewed by itself; see [vault]"),
    ("RATE_LIMIT_", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_MAX_RATE", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_RATE_WINDOW", "there is no ingest limiter: a full event queue says so itself"),
    ("INGEST_QUEUE_", "the event queue is files under data_dir"),
    ("ALERT_QUEUE_NAME", "deliveries are rows of the store, not a list"),
    ("REQUIRED_FIELDS", "a record that lacks a field is accepted and flagged"),
    ("REQUIRED_MESSAGE_FIELDS", "a record that lacks a field is accepted and flagged"),
    ("DYNAMIC_CONFIG_ENABLED", "live keys are always live: muttctl config set"),
    ("CACHE_RELOAD_INTERVAL", "rules are live within a second"),
    ("RULE_CACHE_TTL", "rules are live within a second"),
    ("BRPOPLPUSH_TIMEOUT", "the event queue is files under data_dir"),
    ("METRICS_RETENTION_DAYS", "metrics are kept by Prometheus"),
    ("METRICS_ENABLED", "metrics are always served"),
    ("LOG_RETENTION_DAYS", "logs are kept by journald"),
    ("MAX_QUEUE_DEPTH", "v2 did not use it; see queue.max_events"),
    ("API_RATE_LIMIT", "v2 did not use it; there is no limiter of the API"),
    ("METRICS_PREFIX", "metric names are fixed, see METRICS.md"),
    ("METRICS_CACHE_TTL", "the Web UI reads live counters"),
    ("METRICS_PORT", "v2 did not use it; see the listen keys of the services"),
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
    ("PROCESSING_LIST_PREFIX", "there are no processing lists: what is in work is leased"),
    ("PROCESSING_LIST_PREFIX_", "there are no processing lists: what is in work is leased"),
    ("LOG_FORMAT", "v2 did not use it; see log.format"),
    ("SERVICE_VERSION", "muttctl version says it, and every process reports its own"),
    ("DEPLOYMENT_ENV", "traces are not exported"),
    ("MUTT_INGEST_URL", "v2's trap script is gone: the Ingestor takes traps, see ingestor.snmp"),
    (
        "MUTT_INGEST_API_KEY",
        "v2's trap script is gone: the Ingestor takes traps, see ingestor.snmp",
    ),
    ("MUTT_CACERT", "v2's trap script is gone: the Ingestor takes traps, see ingestor.snmp"),
    ("MUTT_TESTING", "nothing here behaves otherwise for a test"),
    ("PYTEST_CURRENT_TEST", "nothing here behaves otherwise for a test"),
    ("UNHANDLED_", "see alerter.unhandled_threshold and alerter.unhandled_window"),
    ("BACKPRESSURE_", "the caps of the event queue are the back-pressure"),
    ("RETENTION_", "see store.retention"),
    (
        "EVENT_ARCHIVE_RETENTION_YEARS",
        "archives are files that stay until somebody removes them; see store.archive.dir",
    ),
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
    /// Whether something may be lost by not heeding it.
    pub warning: bool,
}

/// Every v2 name of this environment: understood as which key, or why it means nothing now.
#[must_use]
pub fn notes(env: &dyn EnvSource) -> Vec<Note> {
    let mut vars = env.vars();
    vars.sort();
    vars.into_iter()
        .filter_map(|(name, value)| {
            let note = |key, what: String| Note { name: name.clone(), key, what, warning: false };
            if keeps_everything(&name, &value) {
                return Some(Note { warning: true, ..note(None, REMOVES.to_owned()) });
            }
            if name.starts_with("VAULT_") && vault::place(env).is_none() {
                return Some(note(None, vault::NOT_ASKED.to_owned()));
            }
            if let Some((_, key, form)) = UNDERSTOOD.iter().find(|(known, ..)| *known == name) {
                let what = match (name.as_str(), form) {
                    ("VAULT_SECRETS_PATH", _) => vault::found_at(env, &value),
                    (_, Form::Port) => format!("understood as {key}, on 127.0.0.1{FILE_WINS}"),
                    _ => format!("understood as {key}{FILE_WINS}"),
                };
                return Some(note(Some(*key), what));
            }
            let (_, why) = GONE.iter().find(|(gone, _)| {
                name == *gone || (gone.ends_with('_') && name.starts_with(gone))
            })?;
            Some(note(None, format!("not used: {why}")))
        })
        .collect()
}

const FILE_WINS: &str = "; the file wins where it says more";
const REMOVES: &str = "not used, and MUTT does remove: what is older than store.retention says goes, and nothing switches that off. To keep everything, set the keys of store.retention to 3650d, and store.max_bytes high enough, before the first start; what is to stay longer is held (muttctl hold add --reason TEXT)";

/// Whether v2 was told to remove nothing.
fn keeps_everything(name: &str, value: &str) -> bool {
    match name {
        "RETENTION_ENABLED" | "RETENTION_ENFORCEMENT_ENABLED" => !is_yes(value),
        "RETENTION_DRY_RUN" => is_yes(value),
        _ => false,
    }
}

/// What v2 took for yes, where it took more than `true`.
fn is_yes(value: &str) -> bool {
    ["true", "1", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

/// Every understood name with its key, for the reference.
pub fn understood() -> impl Iterator<Item = (&'static str, &'static str)> {
    UNDERSTOOD.iter().map(|(name, key, _)| (*name, *key))
}

/// The key that one understood name sets, with its value as a setting holds it; not for what is part of
/// a URL or a secret.
#[must_use]
pub fn setting(name: &str, env: &dyn EnvSource) -> Option<(&'static str, String)> {
    let (name, key, form) = UNDERSTOOD.iter().find(|(known, ..)| *known == name)?;
    let value = env.var(name).filter(|value| !value.trim().is_empty())?;
    let text = match form {
        Form::Part | Form::Secret => return None,
        _ if *key == "sinks.moog.rate" => {
            rate(&env.var("MOOG_RATE_LIMIT").unwrap_or_else(|| V2_RATE.to_owned()), env)
        }
        _ => match node(name, &value, *form, Origin::Env((*name).to_owned())).to_json() {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    };
    Some((key, text))
}

/// v2's names of what is live here, as its dynamic keys were written, with the key. Half a rate is none.
pub fn live_names() -> impl Iterator<Item = (String, &'static str)> {
    let live = UNDERSTOOD.iter().filter(|(name, key, form)| {
        !matches!(form, Form::Part | Form::Secret)
            && *name != "MOOG_RATE_PERIOD"
            && live_key(key).is_ok()
    });
    live.map(|(name, key, _)| (name.to_ascii_lowercase(), *key))
}

/// The live key that a dynamic key of v2 sets, with its value here.
#[must_use]
pub fn live_setting(name: &str, value: &str) -> Option<(&'static str, String)> {
    live_names().find(|(known, _)| known == name)?;
    let name = name.to_ascii_uppercase();
    setting(&name, &vec![(name.as_str(), value)])
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
    let engines = engines(env, root);
    for (name, key, form) in UNDERSTOOD {
        let Some(value) = env.var(name).filter(|value| !value.trim().is_empty()) else { continue };
        let path: Vec<&str> = key.split('.').collect();
        let moog = key.starts_with("sinks.moog.");
        if (moog && (moog_in_file || moog_url.is_none())) || (!moog && root.get(&path).is_some()) {
            continue;
        }
        if engines.leave_out(name) || *form == Form::Part {
            continue;
        }
        let origin = Origin::Env((*name).to_owned());
        if *name == "MOOG_RATE_LIMIT" {
            root.set(&path, Node::text(&rate(&value, env), origin));
        } else if *name != "MOOG_RATE_PERIOD" {
            root.set(&path, node(name, &value, *form, origin));
        }
    }
    let moog = moog_url.is_some() && !moog_in_file;
    if moog {
        let origin = Origin::Env("MOOG_WEBHOOK_URL".to_owned());
        root.set(&["sinks", "moog", "kind"], Node::text("moogsoft", origin));
    }
    vault::apply(env, root, engines, moog);
}

/// Which of Redis and PostgreSQL this environment has chosen, and whether with TLS.
#[derive(Clone, Copy, Debug)]
struct Engines {
    redis: bool,
    redis_tls: bool,
    postgres: bool,
    postgres_tls: bool,
}

impl Engines {
    /// A setting of an engine that this environment does not choose means nothing, as does a CA without
    /// TLS.
    fn leave_out(self, name: &str) -> bool {
        match name {
            "REDIS_CA_CERT_PATH" => !(self.redis && self.redis_tls),
            "DB_TLS_CA_CERT_PATH" => !(self.postgres && self.postgres_tls),
            _ if name.starts_with("REDIS_") => !self.redis,
            _ if name.starts_with("DB_") => !self.postgres,
            _ => false,
        }
    }
}

/// v2's hosts, ports, names and switches as URLs, where the file names no engine.
fn engines(env: &dyn EnvSource, root: &mut Node) -> Engines {
    let of = |name: &str, default: &str| {
        let value = env.var(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    // Anything but `true` was off to v2, also `1`.
    let tls = |name: &str| of(name, "true").eq_ignore_ascii_case("true");
    let (redis_tls, postgres_tls) = (tls("REDIS_TLS_ENABLED"), tls("DB_TLS_ENABLED"));
    let mut chosen = |host: &str, key: [&str; 2], url: String| {
        let is_chosen = !of(host, "").is_empty() && root.get(&key).is_none();
        if is_chosen {
            root.set(&key, Node::text(&url, Origin::Env(host.to_owned())));
        }
        is_chosen
    };
    let scheme = if redis_tls { "rediss" } else { "redis" };
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
        let mode = if postgres_tls { "require" } else { "off" };
        root.set(&["store", "tls", "mode"], Node::text(mode, Origin::Env("DB_HOST".to_owned())));
    }
    Engines { redis, redis_tls, postgres, postgres_tls }
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
        Form::Switch(on, off) => (if is_yes(value) { on } else { off }).to_owned(),
        Form::Secret => {
            let written = credential(name, &format!("{{ env = \"{name}\" }}"));
            return tree::parse_value(&written, &origin).unwrap_or_else(|_| Node::empty());
        }
    };
    Node::text(&text, origin)
}

/// The value of a secret's key, as TOML, with a reference to where the secret lies.
fn credential(name: &str, reference: &str) -> String {
    match name {
        "INGEST_API_KEY" => format!("[{{ name = \"v2\", key = {reference} }}]"),
        "WEBUI_API_KEY" => format!("[{{ name = \"v2\", role = \"admin\", token = {reference} }}]"),
        "MOOG_API_KEY" => format!("{{ bearer = {reference} }}"),
        _ => reference.to_owned(),
    }
}
