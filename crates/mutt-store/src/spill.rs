//! The spill: an event queue on a server that goes on accepting while the server is away.
//!
//! A [`SpillQueue`] stands before a primary (Redis) and owns an embedded queue on local disk, the
//! spill. What it promises, and by which means:
//!
//! - **One lane.** Every append of this process passes through one task, in the order of the calls;
//!   those that wait go together. One group at a time is on its way to the primary, so that nothing is
//!   answered, or stored, before what was received ahead of it.
//! - **Refused or unanswered means spilled.** The group goes to the spill with its batch ids and is
//!   answered when it is durable there. A primary that is full is back-pressure, not a reason to spill.
//! - **Once spilling, everything is spilled** until the spill is empty. The same task decides when that
//!   is, so no append can overtake the last spilled batch.
//! - **The drain repeats, it does not guess.** It appends what it claimed until the primary says that it
//!   is durable, then acknowledges the spill. The primary knows the ids of late and drops repeats; the
//!   store's receipts are the second line.
//! - **A spill that a killed process left is drained first**; appends are spilled behind it meanwhile.
//!
//! Spilled events are received and pending, once: they move from the spill's numbers to the primary's.
//! A batch whose append had no answer may stand in both until the drain has repeated it. What was dropped
//! here, and what was lost with a damaged file, is told to the primary, so that the whole site sees it.

mod drain;
mod group;
mod lane;

use std::any::Any;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::codes::{self, Code};
use mutt_model::{Batch, Clock, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::group::{Append, Job};
use self::lane::Lane;
use crate::queue::{
    ClaimedBatch, EmbeddedQueue, EventQueue, Position, QueueError, QueueOptions, QueueStats,
    Reservation, ShardLease, SpillStats, lock,
};
use crate::state::EngineState;

/// Appends that may wait for the lane.
const JOBS_MAX: usize = 128;

/// Times of a spill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillOptions {
    /// An append without an answer from the primary for this long counts as refused.
    pub append_timeout: Duration,
    /// The first pause of the drain after a refusal; doubled each time, with jitter.
    pub pause_min: Duration,
    /// The longest pause of the drain.
    pub pause_max: Duration,
}

impl Default for SpillOptions {
    fn default() -> Self {
        Self {
            append_timeout: Duration::from_secs(5),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(2),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct SpillQueue {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    lane: JoinHandle<()>,
}

/// What the lane and its callers share.
#[derive(Debug)]
struct Shared {
    primary: Arc<dyn EventQueue>,
    spill: EmbeddedQueue,
    place: String,
    options: SpillOptions,
    clock: Clock,
    status: Mutex<Status>,
}

/// Where appends go, and why.
#[derive(Debug, Default)]
struct Status {
    /// Everything goes to the spill since then.
    spilling_since: Option<Timestamp>,
    /// What the primary said last while it refused.
    why: Option<String>,
    /// Nothing can be accepted: the spill refuses as well.
    refused: Option<(Timestamp, Code, String)>,
    closed: bool,
}

impl SpillQueue {
    /// Opens the spill in `dir` before `primary`. What is found in it is drained first. Blocking; needs
    /// a running tokio runtime, on which its task lives until it is closed or dropped.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedQueue::open`], for `dir`. The primary may be away.
    pub fn open(
        primary: Arc<dyn EventQueue>,
        dir: &Path,
        caps: QueueOptions,
        options: SpillOptions,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        let spill = EmbeddedQueue::open(dir, caps, clock.clone())?;
        let left = spill.stats();
        let status = Status {
            spilling_since: (left.pending_events > 0)
                .then(|| left.oldest_received_at.unwrap_or_else(|| clock.wall())),
            why: (left.pending_events > 0).then(|| "left by the last run".to_owned()),
            ..Status::default()
        };
        let shared = Arc::new(Shared {
            primary,
            spill,
            place: dir.display().to_string(),
            options,
            clock,
            status: Mutex::new(status),
        });
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        shared.settle();
        let lane = Lane::new(Arc::clone(&shared), waiting);
        #[expect(
            clippy::disallowed_methods,
            reason = "the lane belongs to this queue as its writer thread does to an embedded one"
        )]
        let lane = tokio::spawn(lane.run());
        Ok(Self { shared, jobs, lane })
    }
}

impl Drop for SpillQueue {
    /// As a kill: what was not answered is not known to anybody, what was answered is durable.
    fn drop(&mut self) {
        self.lane.abort();
    }
}

impl Shared {
    /// Tells the primary what will never get there.
    fn settle(&self) {
        self.primary.settle(&self.spill.identity(), self.spill.losses());
    }

    fn is_spilling(&self) -> bool {
        lock(&self.status).spilling_since.is_some()
    }

    /// The spill's part of the numbers.
    fn spill_stats(&self, stats: &QueueStats) -> SpillStats {
        let status = lock(&self.status);
        SpillStats {
            place: self.place.clone(),
            spilling_since: status.spilling_since,
            why: status.why.clone(),
            oldest_received_at: stats.oldest_received_at,
            pending_events: stats.pending_events,
            pending_batches: stats.pending_batches,
            bytes: stats.bytes,
            spilled_events: stats.appended_events,
            drained_events: stats.acknowledged_events,
        }
    }
}

/// Room reserved in the queue to which appends went at that time.
#[derive(Debug)]
struct Room {
    primary: Option<Box<dyn Reservation>>,
    spill: Option<Box<dyn Reservation>>,
}

impl Room {
    fn of(reservation: Box<dyn Reservation>) -> Option<Self> {
        let any: Box<dyn Any> = reservation;
        any.downcast::<Self>().ok().map(|room| *room)
    }
}

impl Reservation for Room {
    fn take(&mut self) -> (u64, u64) {
        // Only the queue that made the inner one may take from it.
        (0, 0)
    }
}

#[async_trait]
impl EventQueue for SpillQueue {
    fn shards(&self) -> u16 {
        self.shared.primary.shards()
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        let shared = &self.shared;
        if !shared.is_spilling() && shared.primary.state().is_ready() {
            match shared.primary.reserve(events, bytes).await {
                Ok(room) => return Ok(Box::new(Room { primary: Some(room), spill: None })),
                // It has gone away since: the append will be spilled.
                Err(QueueError::Io { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let room = shared.spill.reserve(events, bytes).await?;
        Ok(Box::new(Room { primary: None, spill: Some(room) }))
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        let (answer, answered) = oneshot::channel();
        let room = reservation.and_then(Room::of);
        if lock(&self.shared.status).closed {
            return Err(QueueError::Closed);
        }
        if batches.is_empty() {
            return Ok(());
        }
        let job = Job::Append(Append { batches, room, answer });
        self.jobs.send(job).await.map_err(|_| QueueError::Closed)?;
        answered.await.unwrap_or(Err(QueueError::Closed))
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        self.shared.primary.lease(shard, owner, ttl).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        self.shared.primary.claim(lease, batches, wait).await
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        self.shared.primary.acknowledge(lease, position).await
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        self.shared.primary.rewind(lease).await
    }

    fn counts_deliveries(&self) -> bool {
        self.shared.primary.counts_deliveries()
    }

    /// Kept on local disk while the primary is not there to keep it.
    fn count_dropped(&self, reason: &str, events: u64) {
        let shared = &self.shared;
        if shared.is_spilling() || !shared.primary.state().is_ready() {
            shared.spill.count_dropped(reason, events);
            shared.settle();
        } else {
            shared.primary.count_dropped(reason, events);
        }
    }

    /// Ready as long as it accepts; [`QueueStats::spill`] says whether it spills and why. Who reads
    /// rather than appends asks the primary.
    fn state(&self) -> EngineState {
        match &lock(&self.shared.status).refused {
            None => EngineState::Ready,
            Some((since, code, why)) => {
                EngineState::Away { since: *since, code: *code, why: why.clone() }
            }
        }
    }

    fn stats(&self) -> QueueStats {
        let (primary, spill) = (self.shared.primary.stats(), self.shared.spill.stats());
        let mut dropped = primary.dropped;
        let settled = primary.settled.get(&self.shared.spill.identity()).cloned();
        let settled = settled.unwrap_or_default();
        for (reason, events) in &spill.dropped {
            let told = settled.dropped.get(reason).copied().unwrap_or(0);
            *dropped.entry(reason.clone()).or_default() += events.saturating_sub(told);
        }
        let lost_here = spill.lost_events.saturating_sub(settled.lost);
        let mut set_aside = primary.set_aside;
        set_aside.extend(spill.set_aside.iter().cloned());
        let oldest = [primary.oldest_received_at, spill.oldest_received_at];
        QueueStats {
            pending_events: primary.pending_events + spill.pending_events,
            pending_batches: primary.pending_batches + spill.pending_batches,
            bytes: primary.bytes + spill.bytes,
            // What was drained is counted by the primary; what was lost here is, once it was told.
            appended_events: primary.appended_events + spill.pending_events + lost_here,
            acknowledged_events: primary.acknowledged_events,
            lost_events: primary.lost_events + lost_here,
            settled: primary.settled,
            dropped,
            oldest_received_at: oldest.into_iter().flatten().min(),
            syncs: primary.syncs + spill.syncs,
            spill: Some(self.shared.spill_stats(&spill)),
            set_aside,
        }
    }

    async fn refresh(&self) {
        self.shared.primary.refresh().await;
    }

    /// What was called before is answered first. The spill stays as it is for the next start.
    async fn close(&self) {
        lock(&self.shared.status).closed = true;
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
        self.shared.spill.close().await;
        self.shared.primary.close().await;
    }
}

/// The code of a spill that refuses.
fn code_of(error: &QueueError) -> Code {
    match error {
        QueueError::Full(_) => codes::QUEUE_SPILL_FULL,
        QueueError::Format(_) => codes::ALERTER_RECORD_FORMAT,
        _ => codes::INGEST_NOT_DURABLE,
    }
}
