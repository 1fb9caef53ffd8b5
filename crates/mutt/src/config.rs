//! The configuration as it is meant: validated structs that services are built from. What was written
//! (file, environment, command line) is read in [`tree`], checked against the registry in [`keys`],
//! and turned into [`Config`] by [`load`]. Nothing binds before all of it was understood.

pub mod bounds;
pub mod diff;
mod engine;
pub mod env;
mod error;
mod http;
pub mod keys;
mod listening;
pub mod live;
mod queue;
mod read;
mod refs;
mod safety;
mod sinks;
pub mod snmp;
mod sources;
mod store;
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

use mutt_model::amount;
use serde::{Serialize, Serializer};

pub use diff::diff;
pub use engine::{QueueUrl, StoreUrl};
pub use env::{EnvSource, ProcessEnv};
pub use error::{ConfigError, Origin};
pub use http::{ApiToken, HttpListener, IngestKey, Role, TlsConfig, WebUiConfig};
pub use listening::Listening;
pub use queue::{EngineTls, QueueConfig, QueueDurability, SentinelConfig, SpillConfig};
pub use refs::{ingest_key_slot, sink_slot, token_slot};
pub use sinks::{RepeatMode, SinkAuth, SinkConfig, SinkKind};
pub use snmp::SnmpConfig;
pub use sources::{LimitConfig, QuietConfig};
pub use store::{ArchiveConfig, OwnerConfig, RetentionConfig, StoreConfig, StoreTls, StoreTlsMode};
pub use suggest::nearest;
pub use syslog::{ProxyProtocol, SourceZone, StreamListener, SyslogConfig};
pub use vault::VaultConfig;

use crate::net::network::Network;

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
    listening::check(&config, root, errors);
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
