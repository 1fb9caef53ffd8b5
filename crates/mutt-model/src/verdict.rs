//! The verdict: the pure result of judging one event, and the change to an alert that it asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Severity;
use crate::id::Id;
use crate::rule::{Handling, RuleAction};
use crate::time::Timestamp;

/// Production, or a development host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Every host that is not named as a development host.
    #[default]
    Prod,
    /// A host in the list of development hosts.
    Dev,
}

impl Environment {
    /// `prod` or `dev`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prod => "prod",
            Self::Dev => "dev",
        }
    }
}

/// What judging one event gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// The rule that won; `None` for an unhandled event.
    pub rule_id: Option<i64>,
    /// Its decision for this environment; `None` for an unhandled event.
    pub decision: Option<Handling>,
    /// Where the host belongs.
    pub environment: Environment,
    /// The rule's team, else the device's, else the default.
    pub team: String,
    /// What happens to an alert; `None` when the decision does not deliver, unless a clear rule won: it
    /// clears whatever its decision.
    pub change: Option<AlertChange>,
    /// For an unhandled event the shape of its message, counted by host and template.
    pub template: Option<String>,
}

impl Verdict {
    /// Whether a rule won.
    #[must_use]
    pub fn handled(&self) -> bool {
        self.rule_id.is_some()
    }
}

/// What an event (or MUTT itself) asks of the alert with this key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertChange {
    /// The alert's key.
    pub key: String,
    /// Problem or clear.
    pub action: RuleAction,
    /// Name of the trouble.
    pub problem: String,
    /// The device.
    pub host: String,
    /// The thing on the device; may be empty.
    pub resource: String,
    /// Severity of the alert.
    pub severity: Severity,
    /// Who it is for.
    pub team: String,
    /// How it leaves.
    pub decision: Handling,
    /// Production or development.
    pub environment: Environment,
    /// The rule that asks; `None` for MUTT's own alerts.
    pub rule_id: Option<i64>,
    /// Clears by itself after this time without a matching event; zero never.
    #[serde(with = "crate::amount::duration_text")]
    pub clear_after: Duration,
    /// The event's message.
    pub message: String,
    /// The event's `received_at`.
    pub at: Timestamp,
    /// The event; `None` for MUTT's own alerts.
    pub event_id: Option<Id>,
    /// The event's correlation id.
    pub correlation_id: Option<String>,
}

impl AlertChange {
    /// The id that follows the event from the door to each attempt: the client's, else the event's.
    #[must_use]
    pub fn correlation(&self) -> Option<String> {
        self.correlation_id.clone().or_else(|| self.event_id.map(|id| id.to_string()))
    }
}
