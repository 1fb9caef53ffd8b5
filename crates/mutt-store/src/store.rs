//! The store, second durable hand-over: what it promises to every backend and every caller, by use.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::alert::{Alert, SinkRoute, Transition};
use mutt_model::audit::AuditedEvent;
use mutt_model::delivery::{Delivery, DeliveryState, Finished, Lane};
use mutt_model::ledger::{DeliveryLedger, Ledger};
use mutt_model::verdict::{AlertChange, Verdict};
use mutt_model::{Batch, Id, ParseStatus, Timestamp};
use serde::{Deserialize, Serialize};

use crate::queue::QueueStats;
pub use crate::retention::{RetentionPolicy, RetentionStore, Upkeep};
use crate::signal::Signals;
use crate::state::EngineState;

pub(crate) mod mibs;
mod rules;
mod settings;
mod sources;
mod upkeep;

pub use mibs::{
    MIB_BYTES_MAX, MIB_NAME_MAX, MIB_OTHER_ENDINGS, MIBS_BYTES_MAX, MIBS_MAX, Mib, MibStore,
    NewMib, other_ending,
};
pub use rules::{Expected, RuleChange, RuleStore, tag};
pub use settings::{
    Dependency, ListenerReport, PROCESS_REPORT_PERIOD, PROCESS_TTL, PROCESSES_MAX, Process,
    ProcessReport, ProcessSpill, Recorded, SETTINGS_BYTES_MAX, SETTINGS_VERSIONS_KEPT,
    SPILL_REMEMBERED, SettingEdit, Settings, SettingsChange, SettingsStore, SettingsVersion,
    SocketReport, diff,
};
pub(crate) use settings::{no_version, plan};
pub use sources::{
    REPORT_SOURCES_MAX, SourceAct, SourceCounts, SourceQuery, SourceState, SourceStore, SourceWatch,
};
pub use upkeep::UpkeepStore;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try again: locked, away, out of space.
    #[error("the store cannot {doing} now: {why}")]
    Transient {
        /// What was tried.
        doing: &'static str,
        /// The engine's own words.
        why: String,
    },
    /// Try again when a person has mended what the code tells: read-only, full, no connection left.
    #[error("the store cannot {doing} now: {why}")]
    Hindered {
        /// What `muttctl explain` tells about.
        code: Box<mutt_model::codes::Code>,
        /// What was tried.
        doing: &'static str,
        /// The engine's own words.
        why: String,
    },
    /// The data itself was refused; the same call will be refused again.
    #[error("the store refuses the data: {0}")]
    Data(String),
    /// The shard or sink lease has gone to another owner; nothing was written.
    #[error("the lease has moved on")]
    LeaseLost,
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The object's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// What the caller expects to stand does not stand any more; nothing was changed.
    #[error("{0}")]
    Stale(String),
    /// Schema newer than this program, file not ours, or it cannot be opened.
    #[error("{0}")]
    Open(OpenError),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// MUTT-S001
    #[error("the store has schema version {found}, this program knows {known}; it was not changed")]
    Newer {
        /// In the file.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// MUTT-S003
    #[error("{0}")]
    InUse(String),
    /// MUTT-S002
    #[error("cannot open the store: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Hindered { .. })
    }

    /// What a person must mend, where that is known.
    #[must_use]
    pub fn hindrance(&self) -> Option<mutt_model::codes::Code> {
        match self {
            Self::Hindered { code, .. } => Some(**code),
            _ => None,
        }
    }
}

/// Who changes something, for the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The token's name, or `muttctl`, `remediation` ...
    pub name: String,
    /// Why, where it was said.
    pub reason: Option<String>,
}

// ---- commit -----------------------------------------------------------------------------------

/// A batch with the verdict for each of its events, in order. An event that failed its checksum has
/// no verdict (`None`); it is counted lost.
#[derive(Clone, Debug)]
pub struct JudgedBatch {
    /// The batch.
    pub batch: Arc<Batch>,
    /// One entry for each event of the batch.
    pub verdicts: Vec<Option<Verdict>>,
    /// It was surely never given out before. Whose receipt stands all the same was appended twice: its
    /// events are duplicates.
    pub first: bool,
}

/// What counting across events needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitPolicy {
    /// `alerter.unhandled_threshold`; 0 switches meta-alerts off.
    pub unhandled_threshold: u64,
    /// `alerter.unhandled_window`
    pub unhandled_window: Duration,
    /// `alerter.default_team`
    pub default_team: String,
    /// Where alerts leave.
    pub sinks: Vec<SinkRoute>,
}

/// The shard of what an import commits: it never went through the event queue, so nothing of it is
/// counted in the ledger or the rates.
pub const IMPORT_SHARD: u16 = u16::MAX;

/// One transaction's work: several batches of one shard, each with its own receipt.
#[derive(Clone, Debug)]
pub struct CommitWork {
    /// The shard.
    pub shard: u16,
    /// Generation of the shard's lease, checked in the transaction: a commit with a generation lower
    /// than one seen before is refused with [`StoreError::LeaseLost`].
    pub generation: u64,
    /// Version of the rule set that judged.
    pub ruleset: i64,
    /// In queue order.
    pub batches: Vec<JudgedBatch>,
    /// Counting and routing.
    pub policy: Arc<CommitPolicy>,
    /// The moment of the commit, for `created_at` of deliveries.
    pub now: Timestamp,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// Audit rows written.
    pub audited: u64,
    /// Of these, handled.
    pub handled: u64,
    /// Repeats dropped by their key, or by the receipt of their batch where it was appended twice.
    pub duplicates: u64,
    /// Events that could not be read from the batch.
    pub lost: u64,
    /// Batches whose receipt stood already; skipped whole.
    pub skipped_batches: u64,
    /// Events audited from their raw bytes alone.
    pub unstorable: u64,
    /// Deliveries made, by sink.
    pub deliveries: BTreeMap<String, u64>,
    /// Alerts opened, cleared, changed: (alert, transition), without plain repeats.
    pub transitions: Vec<(Alert, Transition)>,
    /// Meta-alerts raised.
    pub meta_alerts: u64,
}

impl Committed {
    /// Counts a batch whose receipt stood already.
    pub(crate) fn skip(&mut self, judged: &JudgedBatch) {
        self.skipped_batches += 1;
        if judged.first {
            self.duplicates += u64::from(judged.batch.len());
        }
    }
}

/// The Alerter's side.
#[async_trait]
pub trait CommitStore: Send + Sync {
    /// Commits in one transaction on stable storage: receipts, audit rows, alert changes, counters,
    /// deliveries. A batch whose receipt stands is skipped whole, so the call may be repeated after
    /// an unknown outcome. Data that is refused is bisected inside and audited as unstorable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`] with nothing (or everything: repeat the call) committed;
    /// [`StoreError::LeaseLost`].
    async fn commit(&self, work: CommitWork) -> Result<Committed, StoreError>;

    /// Applies one change that no event asked for (MUTT's own alerts: lane held, queue damaged),
    /// makes deliveries to all sinks but `except`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn raise(
        &self,
        change: AlertChange,
        policy: Arc<CommitPolicy>,
        except: Option<&str>,
        now: Timestamp,
    ) -> Result<Committed, StoreError>;
}

// ---- deliveries -------------------------------------------------------------------------------

/// The right to serve one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkLease {
    /// The sink.
    pub sink: String,
    /// Grows with every owner; checked on every write.
    pub generation: i64,
}

/// What a Forwarder tells of its lane, for people to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneReport {
    /// `closed`, `open`, `half_open`.
    pub breaker: String,
}

/// How many deliveries a Forwarder can use now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Take {
    /// At most so many; 0: none is asked for.
    pub limit: usize,
    /// The limiter holds back: waiting repeats of a key become one.
    pub coalesce: bool,
}

/// The Moog Forwarder's side.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Takes or renews a sink's lease by the store's clock; `None` while another owner holds it. A
    /// new owner finds the deliveries that the last one had leased pending again. With `fresh` the
    /// caller starts anew and knows nothing of what it had leased: even the same owner is a new one.
    /// Renewals pass false.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn lease_sink(
        &self,
        sink: &str,
        owner: &str,
        ttl: Duration,
        fresh: bool,
    ) -> Result<Option<SinkLease>, StoreError>;

    /// Records attempts and what follows, and leases deliveries that may be tried now, in one
    /// transaction: what ended lets the next of its key go at once.
    ///
    /// A hold holds the lane and makes its waiting deliveries held; an accepted delivery in a lane held
    /// by fault releases it.
    ///
    /// Leased is what is pending, due, and the first unfinished one of its key, in order of `seq`, at
    /// most `take.limit`. In a held lane nothing but, once a probe was asked for, its first delivery
    /// (while nothing can leave, repeats of an alert wait as one; they are counted as made and
    /// suppressed). A clear whose problem is dead, and (with `take.coalesce`) a pair that never left, are
    /// suppressed here.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`], [`StoreError::Transient`].
    async fn turn(
        &self,
        lease: &SinkLease,
        finished: Vec<Finished>,
        report: LaneReport,
        take: Take,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// A [`turn`](Self::turn) that only leases.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`], [`StoreError::Transient`].
    async fn take_due(
        &self,
        lease: &SinkLease,
        limit: usize,
        coalesce: bool,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.turn(lease, Vec::new(), LaneReport::default(), Take { limit, coalesce }, now).await
    }

    /// A [`turn`](Self::turn) that only records.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`], [`StoreError::Transient`].
    async fn finish(
        &self,
        lease: &SinkLease,
        finished: Vec<Finished>,
        report: LaneReport,
    ) -> Result<(), StoreError> {
        self.turn(lease, finished, report, Take::default(), Timestamp(0)).await.map(drop)
    }

    /// When the next pending delivery of this sink is due, if any waits.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn next_due(&self, sink: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Gives leased deliveries back untried (shutdown, breaker opened in between).
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`], [`StoreError::Transient`].
    async fn give_back(&self, lease: &SinkLease, deliveries: &[Id]) -> Result<(), StoreError>;

    /// All lanes of known sinks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn lanes(&self) -> Result<Vec<Lane>, StoreError>;

    /// Makes the configured sinks known (lanes exist from then on).
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn declare_sinks(&self, sinks: &[String]) -> Result<(), StoreError>;

    /// Holds a lane by hand.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn hold_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError>;

    /// Releases a lane, by hand.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn release_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError>;

    /// Asks for one real delivery of a lane held by fault to be tried.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn ask_probe(&self, sink: &str) -> Result<(), StoreError>;

    /// Makes dead deliveries pending again, for the same id; a clear that was suppressed because its
    /// problem was dead comes with it. Without `force` one that is older than
    /// what its key has delivered since is refused (single) or passed over (filter).
    /// Returns how many were replayed and how many passed over.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Transient`].
    async fn replay(
        &self,
        which: ReplayFilter,
        force: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Replayed, StoreError>;
}

/// Which dead deliveries to replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// One delivery.
    #[serde(default)]
    pub id: Option<Id>,
    /// Of this state; only `dead` and `held` can be replayed. Default dead.
    #[serde(default)]
    pub state: Option<DeliveryState>,
    /// Of this sink.
    #[serde(default)]
    pub sink: Option<String>,
    /// `refused` or `expired`.
    #[serde(default)]
    pub reason: Option<String>,
    /// At most this many, oldest first.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Pending again.
    pub replayed: u64,
    /// Passed over: their key has delivered something newer.
    pub passed_over: u64,
}

// ---- reading ----------------------------------------------------------------------------------

/// A search of the audit. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventQuery {
    /// Exact host, case-insensitive.
    pub host: Option<String>,
    /// Case-insensitive substring of the message.
    pub q: Option<String>,
    /// This severity.
    pub severity: Option<u8>,
    /// Won by this rule.
    pub rule: Option<i64>,
    /// Handled or unhandled only.
    pub handled: Option<bool>,
    /// Touching this alert.
    pub alert: Option<Id>,
    /// `received_at` not before.
    pub since: Option<Timestamp>,
    /// `received_at` before.
    pub until: Option<Timestamp>,
    /// How much of it was understood.
    pub parse: Option<ParseStatus>,
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back for the next page; `None` at the end.
    pub next_cursor: Option<String>,
    /// False when the scan budget was met before the page was full: go on with the cursor.
    pub complete: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next_cursor: None, complete: true }
    }
}

/// An alert with what happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// `opened`, `severity_changed`, `cleared`, `acknowledged`, `note`.
    pub what: String,
    /// Who: `rule 7`, a token's name, `age`.
    pub who: String,
    /// The words of a note, or details.
    pub text: Option<String>,
    /// The event behind it.
    pub event_id: Option<Id>,
}

/// What a person does to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertAct {
    /// Somebody works on it.
    Acknowledge,
    /// It is over.
    Clear,
    /// Words for the timeline.
    Note(String),
}

/// A delivery with its tries.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryLife {
    /// The delivery.
    pub delivery: Delivery,
    /// Oldest first.
    pub attempts: Vec<mutt_model::delivery::Attempt>,
}

/// An entry of the change log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Grows.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// The token's name.
    pub who: String,
    /// `rule`, `dev_host`, `team`, `lane`, `alert`, `delivery`, `config`.
    pub object: String,
    /// Its id or name.
    pub object_id: String,
    /// `create`, `update`, `delete`, `hold`, `release`, `replay`, `redrive`, `acknowledge` ...
    pub action: String,
    /// Before.
    pub old: Option<serde_json::Value>,
    /// After.
    pub new: Option<serde_json::Value>,
    /// Why.
    pub reason: Option<String>,
}

/// Events of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteRate {
    /// Start of the minute, seconds since the epoch.
    pub minute: i64,
    /// Audited.
    pub audited: u64,
    /// Of these handled.
    pub handled: u64,
    /// Deliveries made.
    pub deliveries: u64,
}

/// Reading, for API, UI and CLI. Lists are newest first; `limit` is at most [`PAGE_MAX`].
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// Searches the audit within the scan budget.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn events(
        &self,
        query: &EventQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<AuditedEvent>, StoreError>;

    /// One event.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn event(&self, id: Id) -> Result<Option<AuditedEvent>, StoreError>;

    /// Which of these events stand in the audit, asked at once; each with the moment of its receipt.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn standing(&self, events: &[(Timestamp, Id)]) -> Result<HashSet<Id>, StoreError>;

    /// Rows committed after `seq`, oldest first, for the live stream; with `seq` `None` only the
    /// place to start from. Returns the rows and the new place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn tail(
        &self,
        seq: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<AuditedEvent>, i64), StoreError>;

    /// Alerts by state, host, team, problem (exact, case-insensitive), newest `last_seen` first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn alerts(
        &self,
        query: &AlertQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Alert>, StoreError>;

    /// One alert with its timeline.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn alert(&self, id: Id) -> Result<Option<(Alert, Vec<TimelineEntry>)>, StoreError>;

    /// Does something to an alert on a person's behalf; a clear makes its deliveries.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Transient`].
    async fn act_on_alert(
        &self,
        id: Id,
        act: AlertAct,
        actor: &Actor,
        sinks: &[SinkRoute],
        now: Timestamp,
    ) -> Result<Alert, StoreError>;

    /// Deliveries by state, sink, alert.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn deliveries(
        &self,
        query: &DeliveryQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Delivery>, StoreError>;

    /// One delivery with its attempts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn delivery(&self, id: Id) -> Result<Option<DeliveryLife>, StoreError>;

    /// The change log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] for a wrong cursor, [`StoreError::Transient`].
    async fn changes(&self, limit: usize, cursor: Option<&str>)
    -> Result<Page<Change>, StoreError>;

    /// The ledger, with the event queue's part given by the caller.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn ledger(&self, queue: &QueueStats) -> Result<Ledger, StoreError>;

    /// The deliveries' part alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn delivery_ledger(&self) -> Result<DeliveryLedger, StoreError>;

    /// How many deliveries are dead, by reason (`refused`, `expired`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn dead_by_reason(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Events per minute since `since`, oldest first; minutes without events are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn rates(&self, since: Timestamp) -> Result<Vec<MinuteRate>, StoreError>;
}

/// A page holds at most this many items.
pub const PAGE_MAX: usize = 1_000;
/// A search that filters by text looks at most at this many rows for one page.
pub const SCAN_BUDGET_ROWS: usize = 50_000;

/// Which alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertQuery {
    /// Open or cleared.
    pub state: Option<mutt_model::alert::AlertState>,
    /// Host.
    pub host: Option<String>,
    /// Team.
    pub team: Option<String>,
    /// Problem.
    pub problem: Option<String>,
    /// Case-insensitive substring of key or message.
    pub q: Option<String>,
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryQuery {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this sink.
    pub sink: Option<String>,
    /// Of this alert.
    pub alert: Option<Id>,
    /// Made for this event.
    pub event: Option<Id>,
}

// ---- the whole -------------------------------------------------------------------------------

/// What a store tells without being asked.
pub trait SignalStore: Send + Sync {
    /// Rung when rules, settings or deliveries change: in this process, and with PostgreSQL in others.
    fn signals(&self) -> Signals;

    /// Whether the engine answers; an engine of this process always does.
    fn state(&self) -> EngineState {
        EngineState::Ready
    }
}

/// The whole store, as the program holds it.
pub trait Store:
    CommitStore
    + DeliveryStore
    + RuleStore
    + SettingsStore
    + MibStore
    + ReadStore
    + UpkeepStore
    + RetentionStore
    + SourceStore
    + SignalStore
    + std::fmt::Debug
{
}

impl<T> Store for T where
    T: CommitStore
        + DeliveryStore
        + RuleStore
        + SettingsStore
        + MibStore
        + ReadStore
        + UpkeepStore
        + RetentionStore
        + SourceStore
        + SignalStore
        + std::fmt::Debug
{
}
