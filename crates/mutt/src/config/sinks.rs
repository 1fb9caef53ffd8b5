//! `[sinks.NAME]`: where alerts leave, for whom and how.

use std::path::PathBuf;
use std::time::Duration;

use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::amount;
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use serde::Serialize;

use super::rate_text;
use crate::secrets::SecretRef;

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
