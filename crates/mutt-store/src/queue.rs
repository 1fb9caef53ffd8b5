//! The event queue, first durable hand-over: what it promises to every backend and every caller.

mod check;
mod cursor;
mod embedded;
mod format;
#[doc(hidden)]
pub mod fs;
mod reader;
mod recover;
mod salvage;
mod scan;
mod state;
mod writer;

pub use check::{CheckReport, SegmentReport, check};
pub use embedded::{EmbeddedQueue, QueueOptions};
pub(crate) use state::lock;

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::{Batch, Timestamp};

use crate::state::EngineState;

/// Why a queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A cap is met: events, bytes or free disk. Nothing was appended; try again after a while.
    #[error("the event queue is full: {0}")]
    Full(FullBecause),
    /// The disk or server refused. Whether the batch is stored is unknown only where `unknown` says so.
    #[error("the event queue cannot {doing}: {why}")]
    Io {
        /// What was tried: `append`, `read`, `acknowledge`.
        doing: &'static str,
        /// The system's own words.
        why: String,
    },
    /// A record was written by another version; it is kept and must not be acknowledged.
    #[error("the event queue holds a record of format {0}, which this version does not read")]
    Format(u16),
    /// The lease on the shard has gone to another owner; nothing was changed.
    #[error("the lease on shard {0} has moved on")]
    LeaseLost(u16),
    /// The directory belongs to another running process.
    #[error("{0}")]
    InUse(String),
    /// The queue is shutting down.
    #[error("the event queue is closed")]
    Closed,
}

/// Which cap was met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FullBecause {
    /// `queue.max_events`
    Events,
    /// `queue.max_bytes`
    Bytes,
    /// `queue.min_free`
    Disk,
}

impl FullBecause {
    /// The configuration key that sets this cap.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Events => "queue.max_events",
            Self::Bytes => "queue.max_bytes",
            Self::Disk => "queue.min_free",
        }
    }
}

impl std::fmt::Display for FullBecause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the cap {} is met", self.key())
    }
}

/// The right to read one shard, as the queue gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLease {
    /// The shard.
    pub shard: u16,
    /// Grows with every owner; a commit and an acknowledgement name it.
    pub generation: u64,
}

/// A claim gives out no further batch when those before it have this many bytes, so that large events
/// make neither one huge answer nor one huge commit. Its first batch is always given out.
pub const CLAIM_BYTES: usize = 4 << 20;

/// Where a claimed batch stands in its shard; opaque to callers, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64, pub u64);

/// A batch that was claimed and not yet acknowledged.
#[derive(Clone, Debug)]
pub struct ClaimedBatch {
    /// Where it stands; acknowledged up to and including.
    pub position: Position,
    /// How often it was claimed before, durable or at least honest within one process.
    pub deliveries_before: u32,
    /// The batch.
    pub batch: Batch,
}

/// How much is waiting, and what was counted, cumulative since the queue was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Events appended and not acknowledged nor lost: exact.
    pub pending_events: u64,
    /// Batches of these.
    pub pending_batches: u64,
    /// Bytes that the queue occupies on disk or in memory.
    pub bytes: u64,
    /// Events ever appended (durably).
    pub appended_events: u64,
    /// Events ever acknowledged.
    pub acknowledged_events: u64,
    /// Events that were appended and can no longer be read.
    pub lost_events: u64,
    /// Events refused or dropped before the append, by reason; cumulative and kept.
    pub dropped: BTreeMap<String, u64>,
    /// When the oldest waiting batch was received.
    pub oldest_received_at: Option<Timestamp>,
    /// Synced commits so far in this process (for benchmarks and metrics).
    pub syncs: u64,
    /// Damaged files set aside and kept, with what was wrong.
    pub set_aside: Vec<String>,
    /// Of the dropped and the lost ones, what spills have told: by spill.
    pub settled: BTreeMap<String, Losses>,
    /// The part of it that waits on local disk for a queue on a server; none where nothing can spill.
    pub spill: Option<SpillStats>,
}

/// What a spill never handed on, cumulative since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Events dropped before the append, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events that were appended to the spill and can no longer be read.
    pub lost: u64,
}

/// What waits in a spill. Its events are in the pending and appended numbers of [`QueueStats`] too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpillStats {
    /// Its directory on this host.
    pub place: String,
    /// Since when everything appended is spilled; none while appends go to the server.
    pub spilling_since: Option<Timestamp>,
    /// Why: what the server, or the way to it, said last.
    pub why: Option<String>,
    /// When the oldest event in it was received.
    pub oldest_received_at: Option<Timestamp>,
    /// Events in it.
    pub pending_events: u64,
    /// Batches of these.
    pub pending_batches: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Events ever spilled.
    pub spilled_events: u64,
    /// Events ever moved from it to the server.
    pub drained_events: u64,
}

/// Room that was reserved before the first append of a request; given back when dropped unused.
pub trait Reservation: Any + Send + Sync + std::fmt::Debug {
    /// Takes what is left of it (events, bytes), which the caller then gives back itself. For the
    /// queue that made it.
    fn take(&mut self) -> (u64, u64);
}

/// The event queue. At least once: a claimed batch that is not acknowledged is claimed again.
///
/// Order is the order of appends within a shard. One owner at a time holds a shard's lease.
#[async_trait]
pub trait EventQueue: Send + Sync + std::fmt::Debug {
    /// The number of shards, fixed when the queue was created.
    fn shards(&self) -> u16;

    /// Sets room aside for a request of this size, so that it is accepted whole or refused whole.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] when the caps do not leave it.
    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError>;

    /// Appends batches in order; durable when it returns. Concurrent appends share one sync.
    /// `reservation` is used up first where one is given; otherwise the caps are checked here.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] with nothing appended; [`QueueError::Io`] when it is not durable (a
    /// repeat by the sender then may make a duplicate, which its key recognises).
    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError>;

    /// Takes or renews the lease of a shard. `None` while another owner holds it.
    ///
    /// # Errors
    ///
    /// [`QueueError::Io`].
    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError>;

    /// The next batches after those already claimed under this lease, in order, at most `batches`, and
    /// fewer when they reach [`CLAIM_BYTES`].
    /// Waits up to `wait` for the first one. A new generation starts at the first unacknowledged.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`], [`QueueError::Format`] (nothing after it is given out),
    /// [`QueueError::Io`].
    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError>;

    /// Marks everything of the shard up to and including `position` as done and gives space back.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] with nothing changed, [`QueueError::Io`].
    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError>;

    /// Lets claims under this lease start again at the first unacknowledged batch (after a failed
    /// commit).
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`].
    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError>;

    /// Adds to the kept drop counters.
    fn count_dropped(&self, reason: &str, events: u64);

    /// Takes what a spill before it never handed on into its own numbers, as soon as it can and each
    /// event once, however often it is told. For a queue on a server, whose numbers everybody sees.
    fn settle(&self, _spill: &str, _losses: Losses) {}

    /// Whether a batch that is claimed with `deliveries_before` 0 was surely never claimed before: then
    /// one whose receipt stands already is a second entry, whose first one was not recognised.
    fn counts_deliveries(&self) -> bool {
        false
    }

    /// Whether the engine answers; an engine of this process always does.
    fn state(&self) -> EngineState {
        EngineState::Ready
    }

    /// What is waiting and what was counted; on a server as of the last answer.
    fn stats(&self) -> QueueStats;

    /// Asks the server for the numbers that other processes changed, so that [`EventQueue::stats`]
    /// tells of now; returns without them when it does not answer.
    async fn refresh(&self) {}

    /// Makes counters durable and releases files; appends after it are refused.
    async fn close(&self);
}
