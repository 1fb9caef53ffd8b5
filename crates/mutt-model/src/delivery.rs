//! The delivery: one alert change owed to one sink; the attempt: one try of it; the lane: the order in
//! which a sink is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::id::Id;
use crate::time::Timestamp;

/// What of the alert a delivery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The alert was opened.
    Opened,
    /// One more event (sinks that count for themselves).
    Repeated,
    /// The severity differs.
    SeverityChanged,
    /// Still open, events still arrive.
    Reminder,
    /// It is over.
    Cleared,
}

impl NoticeKind {
    /// The name in API, store and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Repeated => "repeated",
            Self::SeverityChanged => "severity_changed",
            Self::Reminder => "reminder",
            Self::Cleared => "cleared",
        }
    }

    /// Whether a newer delivery of the same key may stand for it under a limiter.
    #[must_use]
    pub const fn coalesces(self) -> bool {
        matches!(self, Self::Repeated | Self::SeverityChanged | Self::Reminder)
    }
}

/// What a sink needs to know, as it was when the delivery was made. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What of the alert is told.
    pub kind: NoticeKind,
    /// The alert as it stood in that commit.
    pub alert: Alert,
    /// The event behind it, as the API shows it; absent for MUTT's own alerts, age and hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
    /// How many notices this one stands for (coalesced ones included).
    #[serde(default = "one")]
    pub stands_for: u64,
}

fn one() -> u64 {
    1
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its turn or for `due_at`.
    Pending,
    /// A Forwarder is trying it.
    Leased,
    /// Its lane is held.
    Held,
    /// The sink accepted it.
    Delivered,
    /// It need not be sent; the reason says why.
    Suppressed,
    /// Given up; see [`DeadReason`].
    Dead,
}

impl DeliveryState {
    /// All states, in the order of the ledger.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Leased, Self::Held, Self::Delivered, Self::Suppressed, Self::Dead];

    /// The name in API, store and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Suppressed => "suppressed",
            Self::Dead => "dead",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Why a delivery is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeadReason {
    /// The sink will never take this payload; replayed by hand.
    Refused,
    /// `retry_for` has passed; redriven by Remediation when the sink is healthy.
    Expired,
}

impl DeadReason {
    /// The name in API, store and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// One alert change owed to one sink. Its id is the idempotency key: the same in every attempt and
/// replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable across retries and replays.
    pub id: Id,
    /// The sink.
    pub sink: String,
    /// Grows with every delivery made; order within a key.
    pub seq: i64,
    /// The alert's key.
    pub key: String,
    /// What is told.
    pub notice: Notice,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why, for suppressed (`coalesced`, `problem dead`, `pair never left`) and dead (`refused`,
    /// `expired`).
    pub reason: Option<String>,
    /// Attempts so far (real tries only: a refusal by our own limiter or breaker is none).
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// The first real try; `retry_for` counts from here.
    pub first_attempt_at: Option<Timestamp>,
    /// The end of its life, for delivered, suppressed and dead.
    pub ended_at: Option<Timestamp>,
}

/// How a try ended: the sink classifies, the loop obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Accepted.
    Ok,
    /// Try again, not before the given time where the sink named one (Retry-After).
    Retry {
        /// What the sink asked for.
        after: Option<Duration>,
    },
    /// A fault of the lane (401, 403, 404, 407, 410, redirects, TLS): hold it, burn nothing.
    Hold,
    /// This payload will never be taken (400, 413, 415, 422).
    Poison,
}

impl Outcome {
    /// The name in API, store and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry { .. } => "retry",
            Self::Hold => "hold",
            Self::Poison => "poison",
        }
    }
}

/// One try of one delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
    /// Milliseconds until the answer or the failure.
    pub latency_ms: u64,
    /// A short class: `http`, `timeout`, `connect`, `tls`, `redirect`, `body`.
    pub class: String,
    /// What the sink said or the failure was, at most [`ATTEMPT_DETAIL_MAX`] bytes, no secret.
    pub detail: String,
}

/// A longer answer of a sink is cut to this many bytes before it is kept.
pub const ATTEMPT_DETAIL_MAX: usize = 500;

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is delivered.
    Delivered,
    /// It waits until then.
    RetryAt(Timestamp),
    /// Its lane is held, it with it; the text says why.
    HoldLane(String),
    /// It is dead.
    Dead(DeadReason),
}

/// An attempt to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Which delivery.
    pub delivery: Id,
    /// The try.
    pub attempt: Attempt,
    /// What follows.
    pub next: Next,
}

/// Who holds a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// An operator; only an operator releases it.
    Hand,
    /// A lane fault; it is probed with a real delivery and releases itself when that is accepted.
    Fault,
}

/// A sink's lane as everybody sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The sink's name.
    pub sink: String,
    /// Held, and by whom; `None` when it runs.
    pub held_by: Option<HeldBy>,
    /// Why.
    pub held_reason: Option<String>,
    /// Since when.
    pub held_since: Option<Timestamp>,
    /// `closed` (traffic flows), `open` (refusing), `half_open` (one probe), as its Forwarder says.
    pub breaker: String,
    /// Waiting deliveries.
    pub pending: u64,
    /// Deliveries in state held.
    pub held: u64,
    /// Dead deliveries.
    pub dead: u64,
    /// The last accepted delivery.
    pub last_ok_at: Option<Timestamp>,
    /// The last failed attempt and what it said.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// The Forwarder that owns it.
    pub owner: Option<String>,
}
