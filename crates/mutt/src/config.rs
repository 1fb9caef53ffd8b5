//! The configuration as it is meant: validated structs that services are built from. What was written
//! (file, environment, command line) is read in [`tree`], checked against the registry in [`keys`],
//! and turned into [`Config`] by [`load`]. Nothing binds before all of it was understood.

pub mod bounds;
pub mod diff;
mod engine;
pub mod env;
mod error;
pub mod keys;
pub mod live;
mod read;
mod safety;
pub mod snmp;
mod sources;
mod suggest;
mod syslog;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod v2;
mod vault;
pub mod zones;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::amount;
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use serde::{Serialize, Serializer};

pub use diff::diff;
pub use engine::{QueueUrl, StoreUrl};
pub use env::{EnvSource, ProcessEnv};
pub use error::{ConfigError, Origin};
pub use snmp::SnmpConfig;
pub use sources::{LimitConfig, QuietConfig};
pub use suggest::nearest;
pub use syslog::{ProxyProtocol, SourceZone, StreamListener, SyslogConfig};
pub use vault::VaultConfig;

use crate::net::network::Network;
use crate::secrets::SecretRef;

/// The embedded event queue's folder in `data_dir`.
pub const QUEUE_DIR: &str = "queue";
/// The Ingestor's spill in `data_dir`.
pub const SPILL_DIR: &str = "spill";
/// The SQLite store in `data_dir`.
pub const STORE_FILE: &str = "mutt.db";
/// The addresses of a running program in `data_dir`, for `muttctl`.
pub const LISTENERS_FILE: &str = "listeners.json";

/// Everything that the five services need to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Where the embedded engines and first-start secrets lie.
    pub data_dir: PathBuf,
    /// How long shutdown may take.
    #[serde(with = "amount::duration_text")]
    pub shutdown_timeout: Duration,
    /// The event queue.
    pub queue: QueueConfig,
    /// The store.
    pub store: StoreConfig,
    /// The Ingestor and its listeners.
    pub ingestor: IngestorConfig,
    /// The Alerter.
    pub alerter: AlerterConfig,
    /// The Moog Forwarder.
    pub moog_forwarder: MoogForwarderConfig,
    /// Remediation.
    pub remediation: RemediationConfig,
    /// Where alerts leave, by name.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// The Web UI and the REST API.
    pub web_ui: WebUiConfig,
    /// Where secrets may lie.
    pub vault: Option<VaultConfig>,
    /// Log lines.
    pub log: LogConfig,
}

/// `[queue]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueConfig {
    /// Which engine, and where it is.
    pub url: QueueUrl,
    /// ACL user of Redis.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
    /// What an acknowledgement survives.
    pub durability: QueueDurability,
    /// Replicas that must have it.
    pub replicas: u64,
    /// How Sentinels are logged in to.
    pub sentinel: SentinelConfig,
    /// `fsync` alone with Sentinel or Cluster is meant.
    pub accept_failover_loss: bool,
    /// Shards of a new queue.
    pub shards: u64,
    /// For `rediss`.
    pub tls: EngineTls,
    /// One step of connecting, and one answer, may take this long.
    #[serde(with = "amount::duration_text")]
    pub timeout: Duration,
    /// Where the Ingestor keeps events while Redis is away.
    pub spill: SpillConfig,
    /// Waiting events at most.
    pub max_events: u64,
    /// Bytes at most.
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
    /// Free disk space that is left to others.
    #[serde(serialize_with = "size_text")]
    pub min_free: u64,
}

/// `[queue.sentinel]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SentinelConfig {
    /// ACL user of the Sentinels.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
}

/// `[queue.spill]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpillConfig {
    /// Events at most.
    pub max_events: u64,
    /// Bytes at most.
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
}

/// What an acknowledged event survives in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum QueueDurability {
    /// The end of the server process, power.
    #[serde(rename = "fsync")]
    Fsync,
    /// A failover.
    #[serde(rename = "replica")]
    Replica,
    /// Both.
    #[serde(rename = "fsync+replica")]
    FsyncReplica,
    /// Neither.
    #[serde(rename = "fast")]
    Fast,
}

impl QueueDurability {
    /// Whether replicas are waited for.
    #[must_use]
    pub fn waits_for_replicas(self) -> bool {
        matches!(self, Self::Replica | Self::FsyncReplica)
    }
}

/// `queue.tls`, and part of `store.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EngineTls {
    /// Trust this instead of the host's.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<SecretRef>,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreConfig {
    /// Which engine, and where it is.
    pub url: StoreUrl,
    /// Current, next.
    pub password: Vec<SecretRef>,
    /// The role that owns the tables.
    pub owner: OwnerConfig,
    /// TLS to PostgreSQL.
    pub tls: StoreTls,
    /// Connections at most.
    pub pool: usize,
    /// Connecting may take this long.
    #[serde(with = "amount::duration_text")]
    pub connect_timeout: Duration,
    /// One statement may take this long.
    #[serde(with = "amount::duration_text")]
    pub statement_timeout: Duration,
    /// A statement waits this long for a lock.
    #[serde(with = "amount::duration_text")]
    pub lock_timeout: Duration,
    /// The store's cap (SQLite).
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
    /// How long what is kept.
    pub retention: RetentionConfig,
    /// What becomes of audit rows before they go.
    pub archive: ArchiveConfig,
}

/// `[store.archive]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchiveConfig {
    /// Where archives are written; `None`: nothing is archived.
    pub dir: Option<PathBuf>,
}

/// `[store.owner]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnerConfig {
    /// The role; none: the one of the URL.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
}

/// `[store.tls]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreTls {
    /// What is checked; `None`: everything, and no TLS on loopback and unix sockets.
    pub mode: Option<StoreTlsMode>,
    /// CA, certificate, key.
    #[serde(flatten)]
    pub files: EngineTls,
}

/// What TLS to PostgreSQL checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreTlsMode {
    /// No TLS.
    Off,
    /// Encrypted, the server is not checked.
    Require,
    /// The certificate is checked.
    VerifyCa,
    /// Certificate and name are checked.
    VerifyFull,
}

/// `[store.retention]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionConfig {
    /// Handled audit rows.
    #[serde(with = "amount::duration_text")]
    pub handled: Duration,
    /// Unhandled audit rows.
    #[serde(with = "amount::duration_text")]
    pub unhandled: Duration,
    /// Cleared alerts; ended deliveries.
    #[serde(with = "amount::duration_text")]
    pub alerts: Duration,
    /// Attempts.
    #[serde(with = "amount::duration_text")]
    pub attempts: Duration,
    /// Receipts of batches.
    #[serde(with = "amount::duration_text")]
    pub receipts: Duration,
    /// The change log.
    #[serde(with = "amount::duration_text")]
    pub changes: Duration,
    /// Sources that are not heard any more.
    #[serde(with = "amount::duration_text")]
    pub sources: Duration,
}

/// `[ingestor]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IngestorConfig {
    /// HTTP ingest with health and metrics; `None` when `listen = "off"`.
    pub http: Option<HttpListener>,
    /// Syslog.
    pub syslog: SyslogConfig,
    /// SNMP traps and informs.
    pub snmp: SnmpConfig,
    /// Who may send; empty: everybody.
    pub allow: Vec<Network>,
    /// How much each source may send.
    pub limits: Vec<LimitConfig>,
    /// Sources that are remembered.
    pub max_sources: u64,
    /// How long an HTTP idempotency key is kept.
    #[serde(with = "amount::duration_text")]
    pub dedup_window_http: Duration,
    /// How long an inform is recognised.
    #[serde(with = "amount::duration_text")]
    pub dedup_window_informs: Duration,
    /// Whether an Ingestor alone reports to the store and follows the settings there.
    pub report: bool,
}

/// `[ingestor.http]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpListener {
    /// Who may send, in the place of `ingestor.allow`.
    pub allow: Vec<Network>,
    /// Address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// TLS of our own.
    pub tls: Option<TlsConfig>,
    /// A proxy in front does TLS.
    pub behind_proxy: bool,
    /// Who may send. Empty: the first-start key in `<data_dir>/ingest-key`.
    pub keys: Vec<IngestKey>,
    /// Largest body, packed and unpacked.
    #[serde(serialize_with = "size_text")]
    pub max_body: u64,
    /// Most records in one request.
    pub max_records: usize,
    /// Most connections at one time.
    pub max_connections: usize,
    /// How long one request may take to arrive.
    #[serde(with = "amount::duration_text")]
    pub request_timeout: Duration,
}

/// `tls = { cert, key, client_ca }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsConfig {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: SecretRef,
    /// Clients must show a certificate of this CA.
    pub client_ca: Option<PathBuf>,
}

/// `[[ingestor.http.keys]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IngestKey {
    /// Who it belongs to, for logs and metrics.
    pub name: String,
    /// Current, next.
    pub key: Vec<SecretRef>,
    /// Events per second; none: no limit.
    #[serde(serialize_with = "rate_text")]
    pub rate: Option<f64>,
    /// Events at once; none: ten seconds of the rate.
    pub burst: Option<u64>,
}

/// `[alerter]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlerterConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// v2's second listener, metrics only.
    pub metrics_listen: Option<SocketAddr>,
    /// The team when neither rule nor device names one.
    pub default_team: String,
    /// Events of one template on one host that make a meta-alert; 0: none.
    pub unhandled_threshold: u64,
    /// Within this.
    #[serde(with = "amount::duration_text")]
    pub unhandled_window: Duration,
}

/// `[moog_forwarder]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoogForwarderConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// v2's second listener, metrics only.
    pub metrics_listen: Option<SocketAddr>,
}

/// `[remediation]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemediationConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// v2's second listener, metrics only.
    pub metrics_listen: Option<SocketAddr>,
    /// Time between rounds.
    #[serde(with = "amount::duration_text")]
    pub interval: Duration,
    /// Expired deliveries made pending again in one round, for each sink.
    pub redrive_batch: u64,
    /// Which silence is told.
    pub quiet: QuietConfig,
}

/// `[sinks.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SinkConfig {
    /// Which protocol.
    pub kind: SinkKind,
    /// Where to.
    pub url: String,
    /// The credential.
    pub auth: Option<SinkAuth>,
    /// Deliveries per second at most; `None`: no limiter.
    #[serde(serialize_with = "rate_text")]
    pub rate: Option<f64>,
    /// A delivery is tried for this long.
    #[serde(with = "amount::duration_text")]
    pub retry_for: Duration,
    /// Only these teams; empty: all.
    pub teams: Vec<String>,
    /// Only these decisions; empty: every delivering one.
    pub decisions: Vec<Handling>,
    /// Only these environments; empty: all.
    pub environments: Vec<Environment>,
    /// How repeats leave.
    pub repeat: RepeatMode,
    /// Time between reminders with `repeat = "changes"`.
    #[serde(with = "amount::duration_text")]
    pub repeat_interval: Duration,
    /// One attempt may take this long.
    #[serde(with = "amount::duration_text")]
    pub timeout: Duration,
    /// Attempts at one time.
    pub in_flight: usize,
    /// Time between probes of an open breaker or a lane held by a fault.
    #[serde(with = "amount::duration_text")]
    pub probe_interval: Duration,
    /// Trust this CA instead of the host's.
    pub ca: Option<PathBuf>,
}

/// Which protocol a sink speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkKind {
    /// Moogsoft Onprem webhook.
    Moogsoft,
    /// Moogsoft Cloud events API.
    MoogsoftCloud,
    /// Any HTTP endpoint that takes JSON.
    Webhook,
}

impl SinkKind {
    /// All kinds with their names in the configuration.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Moogsoft, "moogsoft"),
        (Self::MoogsoftCloud, "moogsoft-cloud"),
        (Self::Webhook, "webhook"),
    ];

    /// The name in configuration, API and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("webhook", |(_, name)| name)
    }
}

/// How a sink recognises us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkAuth {
    /// `Authorization: Bearer`
    Bearer(SecretRef),
    /// `Authorization: Basic`
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretRef,
    },
    /// A header of its own.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

/// How repeats of an open alert leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RepeatMode {
    /// Every matching event.
    Every,
    /// Opened, severity, cleared, reminders.
    Changes,
}

impl SinkConfig {
    /// The sink as routing sees it.
    #[must_use]
    pub fn route(&self, name: &str) -> SinkRoute {
        SinkRoute {
            name: name.to_owned(),
            teams: self.teams.clone(),
            decisions: self.decisions.clone(),
            environments: self.environments.clone(),
            repeat: match self.repeat {
                RepeatMode::Every => Repeat::Every,
                RepeatMode::Changes => Repeat::Changes { interval: self.repeat_interval },
            },
        }
    }
}

/// `[web_ui]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebUiConfig {
    /// Address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// TLS of our own.
    pub tls: Option<TlsConfig>,
    /// A proxy in front does TLS.
    pub behind_proxy: bool,
    /// Who may use API and UI. Empty: the first-start token in `<data_dir>/admin-token`.
    pub tokens: Vec<ApiToken>,
    /// Most connections at one time.
    pub max_connections: usize,
}

/// `[[web_ui.tokens]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    /// Who, in the change log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Current, next.
    pub token: Vec<SecretRef>,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Read; act on alerts, deliveries and lanes.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The name in configuration and API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

/// Lines for people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the command line says on top of file and environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
}

/// Reads file, environment and command line into a [`Config`].
///
/// # Errors
///
/// Every error that was found, in the order of the file.
pub fn load(
    file: Option<&Path>,
    env: &dyn EnvSource,
    overrides: &Overrides,
) -> Result<Config, Vec<ConfigError>> {
    read_all(file, env, overrides).map(|read| read.config)
}

/// A configuration with what was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// What it means.
    pub config: Config,
    /// Each value that was written, with its place.
    pub tree: tree::Node,
}

/// As [`load`], with the tree.
///
/// # Errors
///
/// As [`load`].
pub fn read_all(
    file: Option<&Path>,
    env: &dyn EnvSource,
    overrides: &Overrides,
) -> Result<Read, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut root = written(file, env, &mut errors);
    if let Some(dir) = &overrides.data_dir {
        root.set(
            &["data_dir"],
            tree::Node::text(&dir.to_string_lossy(), Origin::CommandLine("--data-dir")),
        );
    }
    let config = understood(&root, &mut errors);
    if errors.is_empty() {
        Ok(Read { config, tree: root })
    } else {
        errors.sort_by_key(ConfigError::line);
        Err(errors)
    }
}

/// What a tree means; what is wrong goes to `errors`.
fn understood(root: &tree::Node, errors: &mut Vec<ConfigError>) -> Config {
    keys::check_tree(root, errors);
    let config = read::config(root, errors);
    safety::check(&config, root, errors);
    engine::check(&config, root, errors);
    vault::check(&config, root, errors);
    config
}

/// What file and environment say, each value with its place.
pub fn written(
    file: Option<&Path>,
    env: &dyn EnvSource,
    errors: &mut Vec<ConfigError>,
) -> tree::Node {
    let mut root = match file {
        Some(path) => tree::read_file(path, errors),
        None => tree::Node::empty(),
    };
    v2::apply(env, &mut root);
    env::apply(env, &mut root, errors);
    root
}

impl Config {
    /// The configuration without a file and without environment.
    ///
    /// # Errors
    ///
    /// Never in a program whose defaults are sane; a test holds that.
    pub fn defaults() -> Result<Self, Vec<ConfigError>> {
        load(None, &env::NoEnv, &Overrides::default())
    }

    /// As JSON for API and `muttctl config show`: references of secrets, never their values.
    #[must_use]
    pub fn redacted(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// All secret references with the key that names them; current and next stand under one key.
    #[must_use]
    pub fn secret_refs(&self) -> Vec<(String, &SecretRef)> {
        let mut all = Vec::new();
        self.engine_secrets(&mut all);
        if let Some(http) = &self.ingestor.http {
            if let Some(tls) = &http.tls {
                all.push(("ingestor.http.tls.key".to_owned(), &tls.key));
            }
            for key in &http.keys {
                all.extend(key.key.iter().map(|r| (ingest_key_slot(&key.name), r)));
            }
        }
        let syslog = &self.ingestor.syslog;
        for (name, doors) in [("tls", &syslog.tls), ("relp", &syslog.relp)] {
            for (at, door) in doors.iter().enumerate() {
                let key = door.tls.as_ref().map(|tls| &tls.key);
                all.extend(key.map(|key| (format!("ingestor.syslog.{name}[{at}].key"), key)));
            }
        }
        for community in &self.ingestor.snmp.communities {
            all.push(("ingestor.snmp.communities".to_owned(), community));
        }
        all.extend(self.ingestor.snmp.users.iter().flat_map(snmp::SnmpUser::secret_refs));
        for (name, sink) in &self.sinks {
            match &sink.auth {
                Some(SinkAuth::Bearer(secret)) => {
                    all.push((format!("sinks.{name}.auth.bearer"), secret));
                }
                Some(SinkAuth::Basic { password, .. }) => {
                    all.push((format!("sinks.{name}.auth.basic.password"), password));
                }
                Some(SinkAuth::Header { value, .. }) => {
                    all.push((format!("sinks.{name}.auth.header.value"), value));
                }
                None => {}
            }
        }
        if let Some(tls) = &self.web_ui.tls {
            all.push(("web_ui.tls.key".to_owned(), &tls.key));
        }
        for token in &self.web_ui.tokens {
            all.extend(token.token.iter().map(|r| (token_slot(&token.name), r)));
        }
        all
    }

    /// What opens Vault, where there is one.
    #[must_use]
    pub fn vault_refs(&self) -> Vec<(String, &SecretRef)> {
        let Some(vault) = &self.vault else { return Vec::new() };
        let mut all =
            vec![("vault.role_id", &vault.role_id), ("vault.secret_id", &vault.secret_id)];
        all.extend(vault.client_key.as_ref().map(|key| ("vault.client_key", key)));
        all.into_iter().map(|(key, reference)| (key.to_owned(), reference)).collect()
    }

    /// The secrets on this host that cannot be resolved or used now, as errors; Vault is not asked.
    #[must_use]
    pub fn unresolved(&self, env: &dyn EnvSource) -> Vec<ConfigError> {
        self.vault_refs()
            .into_iter()
            .chain(self.secret_refs())
            .filter(|(_, secret)| !secret.is_vault())
            .filter_map(|(key, secret)| {
                let why = match secret.resolve_in(env) {
                    Ok(value) => snmp::unfit(&key, &value)?,
                    Err(why) => why.to_string(),
                };
                Some(ConfigError::secret(&key, &why))
            })
            .collect()
    }
}

/// The key under which an ingest key's secrets stand.
#[must_use]
pub fn ingest_key_slot(name: &str) -> String {
    format!("ingestor.http.keys.{name}.key")
}

/// The key under which a token's secrets stand.
#[must_use]
pub fn token_slot(name: &str) -> String {
    format!("web_ui.tokens.{name}.token")
}

/// The key under which a sink's credential stands; `None` for a sink without one.
#[must_use]
pub fn sink_slot(name: &str, auth: Option<&SinkAuth>) -> Option<String> {
    let key = match auth? {
        SinkAuth::Bearer(_) => "bearer",
        SinkAuth::Basic { .. } => "basic.password",
        SinkAuth::Header { .. } => "header.value",
    };
    Some(format!("sinks.{name}.auth.{key}"))
}

fn size_text<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&amount::format_size(*bytes))
}

fn rate_text<S: Serializer>(rate: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match rate {
        Some(rate) => serializer.serialize_str(&format!("{rate}/s")),
        None => serializer.serialize_none(),
    }
}
