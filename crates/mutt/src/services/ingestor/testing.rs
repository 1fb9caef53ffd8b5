//! What tests of listeners need: the shared part over an event queue of a few events.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::{Batch, Clock, Event, Id, Source, Timestamp};
use mutt_store::queue::{
    ClaimedBatch, EmbeddedQueue, EventQueue, Position, QueueError, QueueOptions, QueueStats,
    Reservation, ShardLease,
};
use tokio::sync::Semaphore;

use super::{Ingest, ListenerMetrics};
use crate::health::{Engines, HealthBoard};
use crate::secrets::Keyring;
use crate::telemetry::metrics::ServiceMetrics;

/// When it is.
const START: Timestamp = Timestamp(1_764_000_000_000_000);

pub(super) struct Bench {
    pub(super) ingest: Arc<Ingest>,
    /// Appends that may go on: as many as one likes, until [`Bench::hold`].
    pub(super) gate: Arc<Semaphore>,
    pub(super) metrics: ListenerMetrics,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Over a queue of so many events.
    pub(super) fn new(max_events: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let options = QueueOptions { max_events, min_free: 0, ..QueueOptions::default() };
        let queue = EmbeddedQueue::open(folder.path(), options, clock.clone()).unwrap();
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let queue = Held { queue, gate: Arc::clone(&gate) };
        let board =
            HealthBoard::new(clock.clone(), Engines::default(), Keyring::empty(clock.clone()));
        let metrics = ServiceMetrics::new(&clock);
        let ingest = Arc::new(Ingest::new(Arc::new(queue), clock, Arc::new(board), &metrics));
        Self { metrics: ingest.listener("syslog-udp"), ingest, gate, _folder: folder }
    }

    /// Appends that begin from now on wait for [`Bench::release`], as if the disk stood still.
    pub(super) fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn release(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Events that were dropped for this reason.
    pub(super) fn dropped(&self, reason: &str) -> u64 {
        self.ingest.queue.stats().dropped.get(reason).copied().unwrap_or(0)
    }
}

pub(super) fn event(host: &str) -> Event<'_> {
    let peer = "192.0.2.1:514";
    let mut event =
        Event::from_raw(Id::default(), START, Source::Syslog, "syslog-udp", peer, b"raw");
    event.host = Cow::Borrowed(host);
    event
}

/// An event queue whose appends can be made to wait.
#[derive(Debug)]
struct Held {
    queue: EmbeddedQueue,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl EventQueue for Held {
    fn shards(&self) -> u16 {
        self.queue.shards()
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        self.queue.reserve(events, bytes).await
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        let _permit = self.gate.acquire().await;
        self.queue.append(batches, reservation).await
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        self.queue.lease(shard, owner, ttl).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        self.queue.claim(lease, batches, wait).await
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        self.queue.acknowledge(lease, position).await
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        self.queue.rewind(lease).await
    }

    fn count_dropped(&self, reason: &str, events: u64) {
        self.queue.count_dropped(reason, events);
    }

    fn stats(&self) -> QueueStats {
        self.queue.stats()
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}
