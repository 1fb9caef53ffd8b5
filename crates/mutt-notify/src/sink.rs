//! The sink: a configured target of deliveries. What it is made of, and how it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::alert::{Alert, AlertState};
use mutt_model::delivery::{Attempt, Delivery, DeliveryState, Notice, NoticeKind};
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use mutt_model::{Clock, Id, Secret, Severity, Timestamp};

use crate::http::HttpSink;

/// The whole of an attempt, from the connection to the last byte of the answer.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The connection alone.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Something that takes deliveries. It classifies, the loop obeys: a failure is data, never an error.
#[async_trait]
pub trait Sink: Send + Sync + fmt::Debug {
    /// The name in the configuration.
    fn name(&self) -> &str;

    /// What it is.
    fn kind(&self) -> SinkKind;

    /// Tries one delivery once. Ends within the sink's timeout.
    async fn send(&self, delivery: &Delivery) -> Attempt;

    /// Whether the sink can be reached and takes our credential, as far as can be told without
    /// sending anything that it could take for an event.
    async fn test(&self) -> TestResult;
}

/// What [`Sink::test`] found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TestResult {
    /// An HTTP answer came.
    pub reachable: bool,
    /// Whether the credential was taken; absent when the answer does not say.
    pub authorised: Option<bool>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Milliseconds until the answer or the failure.
    pub latency_ms: u64,
    /// As in an attempt: `http`, `timeout`, `connect`, `tls`, `redirect`, `body`.
    pub class: String,
    /// What was found, for people; no secret.
    pub detail: String,
}

/// The kinds of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkKind {
    /// Moogsoft Enterprise, webhook or REST LAM.
    Moogsoft,
    /// Moogsoft Cloud (APEX AIOps) Events API.
    MoogsoftCloud,
    /// Any receiver of JSON.
    Webhook,
}

impl SinkKind {
    /// All that can be built.
    pub const ALL: [Self; 3] = [Self::Moogsoft, Self::MoogsoftCloud, Self::Webhook];
    /// Names that the configuration knows and this version does not build yet.
    pub const LATER: [&'static str; 3] = ["pagerduty", "servicenow", "alertmanager"];

    /// The name in the configuration and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moogsoft => "moogsoft",
            Self::MoogsoftCloud => "moogsoft-cloud",
            Self::Webhook => "webhook",
        }
    }

    /// Reads a kind.
    ///
    /// # Errors
    ///
    /// When the name is unknown, or known and not built yet.
    pub fn parse(name: &str) -> Result<Self, BuildError> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(kind);
        }
        if Self::LATER.contains(&name) {
            return Err(BuildError::KindLater(name.to_owned()));
        }
        Err(BuildError::KindUnknown(name.to_owned()))
    }

    /// Whether this kind counts and deduplicates for itself, so that `repeat = "every"` is its
    /// default.
    #[must_use]
    pub const fn counts_repeats(self) -> bool {
        matches!(self, Self::Moogsoft | Self::MoogsoftCloud)
    }
}

/// How MUTT shows a sink who it is. Holds the resolved secret.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Bearer ...`
    Bearer(Secret),
    /// `Authorization: Basic ...`
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A header of its own, as `apiKey: ...`
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// All that a sink is made of, with the secrets resolved.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// What it is.
    pub kind: SinkKind,
    /// Where it is; may itself hold a secret (integration keys in path or query), so it is never
    /// shown.
    pub url: Secret,
    /// How MUTT shows who it is.
    pub auth: Option<Auth>,
    /// The whole of an attempt.
    pub timeout: Duration,
    /// The connection alone; also the longest silence while the answer is read.
    pub connect_timeout: Duration,
    /// Certificates (PEM) trusted instead of the machine's.
    pub ca_pem: Option<Vec<u8>>,
    /// A proxy; the environment is never asked for one.
    pub proxy: Option<Secret>,
    /// Where this MUTT stands, for `agent_location` and the source of CloudEvents; may be empty.
    pub location: String,
}

impl SinkConfig {
    /// A sink with the default timeouts, no credential and the machine's trusted certificates.
    #[must_use]
    pub fn new(kind: SinkKind, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: Secret::new(url),
            auth: None,
            timeout: TIMEOUT_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            ca_pem: None,
            proxy: None,
            location: String::new(),
        }
    }
}

/// Why a sink cannot be made. Never shows a secret or the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No such kind.
    #[error(
        "no kind of sink is called `{0}`; known: moogsoft, moogsoft-cloud, webhook, pagerduty, servicenow, alertmanager"
    )]
    KindUnknown(String),
    /// A kind that comes later.
    #[error(
        "sinks of kind `{0}` are not built in this version; use moogsoft, moogsoft-cloud or webhook"
    )]
    KindLater(String),
    /// The URL cannot be used.
    #[error("the url of the sink {0}")]
    Url(&'static str),
    /// The credential cannot be a header.
    #[error("the credential of the sink {0}")]
    Auth(&'static str),
    /// A timeout of zero.
    #[error("the timeouts of the sink must be above 0")]
    Timeout,
    /// The certificates cannot be read.
    #[error("the ca of the sink holds no certificate in PEM")]
    Ca,
    /// The proxy cannot be used.
    #[error("the proxy of the sink is no URL")]
    Proxy,
    /// The HTTP client cannot be made.
    #[error("the HTTP client of the sink cannot be made: {0}")]
    Client(String),
}

/// Makes a sink.
///
/// # Errors
///
/// When the configuration cannot work; nothing is connected here.
pub fn build(name: &str, config: SinkConfig, clock: Clock) -> Result<Arc<dyn Sink>, BuildError> {
    Ok(Arc::new(HttpSink::new(name, config, clock)?))
}

/// The one marked notice that `POST /sinks/{name}/test` sends. It is a clear, so that it pages
/// nobody and leaves nothing open in the target; it is in no store.
#[must_use]
pub fn test_delivery(sink: &str, id: Id, now: Timestamp) -> Delivery {
    let alert = Alert {
        id,
        key: "mutt_sink_test".to_owned(),
        problem: "mutt_sink_test".to_owned(),
        host: "mutt".to_owned(),
        resource: String::new(),
        state: AlertState::Cleared,
        severity: Severity::INFO,
        count: 1,
        first_seen: now,
        last_seen: now,
        cleared_at: Some(now),
        cleared_by: None,
        team: "mutt".to_owned(),
        decision: Handling::TicketOnly,
        environment: Environment::Dev,
        rule_id: None,
        message: "MUTT test notice: no action is needed".to_owned(),
        event_id: None,
        correlation_id: None,
        clear_after: Duration::ZERO,
        acknowledged_by: None,
        acknowledged_at: None,
        told: std::collections::BTreeMap::new(),
    };
    Delivery {
        id,
        sink: sink.to_owned(),
        seq: 0,
        key: alert.key.clone(),
        notice: Notice { kind: NoticeKind::Cleared, alert, event: None, stands_for: 1 },
        state: DeliveryState::Leased,
        reason: None,
        attempts: 0,
        created_at: now,
        due_at: now,
        first_attempt_at: None,
        ended_at: None,
    }
}
