//! What the web service is given: the store, the running program behind a trait, clock and limits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::alert::SinkRoute;
use mutt_model::{Clock, Secret, Timestamp};
use mutt_store::queue::QueueStats;
use mutt_store::store::{Actor, ProcessReport, Settings, Store};
use serde::{Deserialize, Serialize};

use crate::auth::{Auth, Mark};
use crate::live::Live;
use crate::pages::Pages;

/// What a token may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything.
    Viewer,
    /// Acts on alerts, deliveries and lanes.
    Operator,
    /// Changes rules, development hosts and teams; makes backups.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// `viewer`, `operator` or `admin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A token of `[[web_ui.tokens]]`.
#[derive(Clone, Debug)]
pub struct Token {
    /// The name that the change log shows.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its value.
    pub secret: Secret,
}

/// The state of one service, for health pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceHealth {
    /// `ingestor`, `alerter`, `moog-forwarder`, `remediation`, `web-ui`.
    pub name: String,
    /// Whether it does its work.
    pub ready: bool,
    /// A few words: `running`, `waiting for the store`.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What is wrong, when something is.
    pub detail: Option<String>,
}

/// Something that everybody who looks should know: a failed reload, a setting that needs a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `info`, `warning` or `error`.
    pub level: String,
    /// An error code, where there is one.
    pub code: Option<String>,
    /// One sentence.
    pub text: String,
}

/// What a test of a sink gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkTest {
    /// Whether the sink accepted the test notice.
    pub ok: bool,
    /// Its HTTP status, where an answer came.
    pub status: Option<u16>,
    /// How long it took.
    pub latency_ms: u64,
    /// What it said; no secret.
    pub detail: String,
}

/// Why the program did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request is wrong.
    #[error("{0}")]
    Bad(String),
    /// The present state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// Try again later.
    #[error("{0}")]
    Unavailable(String),
}

/// The running program, as far as the web service needs it. Everything may change while it runs.
#[async_trait]
pub trait Program: Send + Sync + std::fmt::Debug {
    /// The tokens that are valid now.
    fn tokens(&self) -> Arc<[Token]>;
    /// The event queue's numbers as of now, or as last known while its server does not answer.
    async fn queue(&self) -> QueueStats;
    /// Whether this process filed the report: its spill is in [`Program::queue`] already.
    fn is_own(&self, _report: &ProcessReport) -> bool {
        false
    }
    /// The effective configuration, secrets redacted.
    fn config(&self) -> serde_json::Value;
    /// Every key of the configuration with these settings over it; `None`: those in force.
    fn keys(&self, settings: Option<&Settings>) -> Vec<KeyState>;
    /// Whether a key may be set to a value (`None`: returned to the configuration) over these
    /// settings; who may do it.
    ///
    /// # Errors
    ///
    /// [`HookError::NotFound`] for an unknown key, [`HookError::Bad`] with what is allowed.
    fn check_setting(
        &self,
        key: &str,
        value: Option<&str>,
        settings: &Settings,
    ) -> Result<Role, HookError>;
    /// The live keys that the earlier system knew by other names: its name and the key.
    fn earlier_keys(&self) -> Vec<(String, &'static str)>;
    /// What a key of the earlier system and its value are here; `None` for a name that it did not know.
    fn earlier_setting(&self, name: &str, value: &str) -> Option<(&'static str, String)>;
    /// The text of a MIB file, whatever it is written in, and the modules that begin in it.
    fn read_mib(&self, octets: &[u8]) -> (String, Vec<String>) {
        (String::from_utf8_lossy(octets).into_owned(), Vec::new())
    }
    /// How the MIB files of this process fared; `None` without an Ingestor in it.
    fn mibs(&self) -> Option<serde_json::Value> {
        None
    }
    /// The configured sinks.
    fn sinks(&self) -> Vec<SinkRoute>;
    /// `alerter.default_team`
    fn default_team(&self) -> String;
    /// The services of this process.
    fn services(&self) -> Vec<ServiceHealth>;
    /// What everybody should know.
    fn notices(&self) -> Vec<Notice>;
    /// A new rule-set version stands in the store; the Alerter may load it at once.
    fn rules_changed(&self, version: i64);
    /// One answered request, for `mutt_webui_api_requests_total`: the route's template, never the path.
    fn observe(&self, endpoint: &str, method: &str, status: u16, took: Duration);
    /// Sends a test notice through a sink, outside its lane.
    ///
    /// # Errors
    ///
    /// [`HookError`] when there is no such sink or it cannot be tried.
    async fn test_sink(&self, name: &str) -> Result<SinkTest, HookError>;
    /// Writes a backup to `file`, which the program checks (inside the backups folder, or an absolute
    /// path that it allows). Returns the file's full path and size.
    ///
    /// # Errors
    ///
    /// [`HookError`] when the path is not allowed or the copy fails.
    async fn backup(&self, file: &str) -> Result<BackupDone, HookError>;
    /// Puts the backup `file` (found as for a backup) in the place of the store, while running.
    ///
    /// # Errors
    ///
    /// [`HookError`] when the file is not allowed or is no whole backup; nothing is changed then.
    async fn restore(&self, file: &str) -> Result<BackupDone, HookError>;
}

/// A configuration key as it stands in this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyState {
    /// `sinks.moog.rate`
    pub key: String,
    /// What is in force; secrets are references.
    pub value: serde_json::Value,
    /// Without file, environment and settings.
    pub default: Option<String>,
    /// Where the value comes from: `default`, a file's line, a variable, or `setting KEY`.
    pub source: String,
    /// `live`, `reload` or `restart`.
    pub apply: String,
    /// What may be written.
    pub range: String,
    /// Its type, with units.
    pub unit: String,
    /// Who may set it; `None` where it is not live.
    pub role: Option<Role>,
    /// What it does.
    pub what: String,
    /// The setting that was made, as written.
    pub setting: Option<String>,
    /// Why that setting is not used.
    pub ignored: Option<String>,
}

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDone {
    /// Where it lies.
    pub file: String,
    /// Its size.
    pub bytes: u64,
}

/// What the caller hands over.
#[derive(Clone, Debug)]
pub struct WebParts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The running program.
    pub program: Arc<dyn Program>,
    /// Time.
    pub clock: Clock,
    /// The program's version, as `3.0.0`.
    pub version: String,
    /// Whether people reach the service by TLS: the cookie then is `Secure`.
    pub secure: bool,
    /// Becomes true at shutdown: live streams end, so that they do not hold it up.
    pub stop: tokio::sync::watch::Receiver<bool>,
}

/// The web service's state, cheap to clone.
#[derive(Clone, Debug)]
pub struct WebState(Arc<Inner>);

#[derive(Debug)]
/// What a [`WebState`] holds; its fields are for this crate alone.
pub struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) clock: Clock,
    pub(crate) version: String,
    pub(crate) secure: bool,
    pub(crate) stop: tokio::sync::watch::Receiver<bool>,
    pub(crate) auth: Auth,
    pub(crate) live: Live,
    pub(crate) pages: Pages,
}

impl std::ops::Deref for WebState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl WebState {
    /// The state of one web service.
    ///
    /// # Errors
    ///
    /// When the machine gives no randomness for session ids, or a page template is broken.
    pub fn new(parts: WebParts) -> Result<Self, String> {
        let auth = Auth::new().map_err(|_| "the machine gives no random numbers".to_owned())?;
        let pages = Pages::new().map_err(|err| format!("a page template is broken: {err}"))?;
        let WebParts { store, program, clock, version, secure, stop } = parts;
        Ok(Self(Arc::new(Inner {
            store,
            program,
            clock,
            version,
            secure,
            stop,
            auth,
            live: Live::default(),
            pages,
        })))
    }
}

/// Who asks, as the guard of a route found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The token's name.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The token's digest: a token that was changed is another one.
    pub(crate) mark: Mark,
    /// The session's digest, when it came by cookie.
    pub(crate) session: Option<[u8; 32]>,
}

impl Principal {
    pub(crate) fn actor(&self, reason: Option<String>) -> Actor {
        Actor { name: self.name.clone(), reason: reason.filter(|r| !r.trim().is_empty()) }
    }
}
