//! The embedded event queue: a segmented append-only log in one directory, one shard, one process.
//!
//! What it promises, and by which means:
//!
//! - **Durable before it is answered.** One thread writes. Appends that wait are written together and
//!   synced once; a new file's header and name are synced before its first record.
//! - **A failed write or sync is never tried again in the same file.** The file is sealed at its last
//!   good record and the log goes on in the next one.
//! - **Damage costs what it hits.** Each record's header has its own checksum and the counters of
//!   everything before it, so the events that cannot be read are counted exactly, the others are
//!   delivered in order, and the damaged file is kept in `damaged/`.
//! - **Nothing unread is deleted.** Caps refuse appends. Files whose records are all acknowledged are
//!   removed, except the last one, whose header keeps the counters.
//! - **Acknowledgements are handed to the system, not synced.** They survive the process; after a
//!   power cut the last ones are delivered again, which the store's receipts make harmless. They are
//!   synced before a file is removed, when a lease is given and at close.
//!
//! Files: `lock` (held by the process, names it), `cursor` (see `cursor.rs`), `segment-N.log` (see
//! `format.rs`), `damaged/`.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::{Batch, Clock, Timestamp};
use tokio::sync::{Notify, OwnedMutexGuard, mpsc, oneshot};

use super::format::extent_of;
use super::fs::{Fs, LockError, RealFs};
use super::state::{Shared, io_error, lock};
use super::writer::{Append, InFlight, Item, JOBS_MAX, Job, Writer};
use super::{
    ClaimedBatch, EventQueue, Losses, Position, QueueError, QueueStats, Reservation, ShardLease,
    recover,
};

/// The name of the lock's file.
const LOCK: &str = "lock";

/// Caps and sizes of an embedded queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// Unacknowledged events at most.
    pub max_events: u64,
    /// Bytes of unacknowledged records at most; the files take up to one segment more.
    pub max_bytes: u64,
    /// Disk that is left to others.
    pub min_free: u64,
    /// A new file is begun at this size.
    pub segment_bytes: u64,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_events: 1_000_000,
            max_bytes: 4 << 30,
            min_free: 1 << 30,
            segment_bytes: 64 << 20,
        }
    }
}

impl QueueOptions {
    /// Files are small beside the cap, so that space comes back while much is waiting; and small
    /// beside what a 32-bit extent can name.
    pub(crate) fn segment_bytes_effective(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes / 8).clamp(4 << 10, 1 << 30)
    }
}

/// The embedded event queue; see the module.
#[derive(Debug)]
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    claiming: Arc<tokio::sync::Mutex<()>>,
}

impl EmbeddedQueue {
    /// Opens or makes the queue in `dir`, mending what a crash or a damaged disk left. Blocking.
    ///
    /// # Errors
    ///
    /// [`QueueError::InUse`] names the process that holds it; [`QueueError::Format`] when another
    /// version wrote it; [`QueueError::Io`].
    pub fn open(dir: &Path, options: QueueOptions, clock: Clock) -> Result<Self, QueueError> {
        Self::open_on(Arc::new(RealFs), dir, options, clock)
    }

    /// The same on another file system; for tests that simulate a disk.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedQueue::open`].
    #[doc(hidden)]
    pub fn open_on(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: QueueOptions,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        fs.create_dir(dir).map_err(io_error("open"))?;
        let held = match fs.lock(&dir.join(LOCK)) {
            Ok(held) => held,
            Err(LockError::Io(e)) => return Err(io_error("open")(e)),
            Err(LockError::Held(pid)) => {
                let who = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                return Err(QueueError::InUse(format!(
                    "the event queue in {} is in use by {who}; stop it or choose another data_dir",
                    dir.display()
                )));
            }
        };
        let recovered = recover::open(&*fs, dir, &clock)?;
        let shared = Arc::new(Shared {
            fs,
            dir: dir.to_owned(),
            options,
            clock,
            cursor: Mutex::new(recovered.cursor),
            reader: Mutex::new(None),
            gate: Mutex::new(()),
            state: Mutex::new(recovered.state),
            arrived: Notify::new(),
            _lock: held,
        });
        shared.trim().map_err(io_error("open"))?;
        let (sender, receiver) = mpsc::channel(JOBS_MAX);
        let writer = Writer::new(Arc::clone(&shared), recovered.next_number);
        let thread = std::thread::Builder::new()
            .name("queue-writer".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(io_error("open"))?;
        Ok(Self {
            shared,
            jobs: Some(sender),
            writer: Mutex::new(Some(thread)),
            claiming: Arc::default(),
        })
    }

    fn jobs(&self) -> Result<&mpsc::Sender<Job>, QueueError> {
        self.jobs.as_ref().ok_or(QueueError::Closed)
    }

    /// Runs what may touch the disk where it does not hold up other tasks.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|e| Err(QueueError::Io { doing: "read", why: e.to_string() }))
    }

    fn take_room(
        &self,
        events: u64,
        bytes: u64,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<InFlight, QueueError> {
        let free = self.shared.free();
        let mut reservation = reservation;
        let taken = {
            let mut state = self.shared.state();
            if state.closed {
                return Err(QueueError::Closed);
            }
            let own = reservation.as_mut().map_or((0, 0), |r| r.take());
            state.reserved.0 = state.reserved.0.saturating_sub(own.0);
            state.reserved.1 = state.reserved.1.saturating_sub(own.1);
            // What was reserved was checked then; only what goes beyond it is checked now.
            if events > own.0 || bytes > own.1 {
                state.room(&self.shared.options, free, events, bytes).map_err(QueueError::Full)?;
            }
            state.in_flight.0 += events;
            state.in_flight.1 += bytes;
            InFlight { shared: Arc::clone(&self.shared), events, bytes }
        };
        Ok(taken)
    }

    /// Tells this queue from all others, as long as its files stand.
    pub(crate) fn identity(&self) -> String {
        format!("{:016x}", self.shared.state().salt)
    }

    /// What never leaves it.
    pub(crate) fn losses(&self) -> Losses {
        let stats = self.shared.state().stats();
        Losses { dropped: stats.dropped, lost: stats.lost_events }
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.shared.oldest_received_at()
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        // Without senders the thread finishes what it has and ends; the lock goes with it.
        self.jobs = None;
        if let Some(thread) = lock(&self.writer).take() {
            let _ = thread.join();
        }
    }
}

/// Room that was promised and not yet used.
#[derive(Debug)]
struct Room {
    shared: Arc<Shared>,
    left: (u64, u64),
}

impl Reservation for Room {
    fn take(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.left)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let (events, bytes) = self.left;
        if events > 0 || bytes > 0 {
            let mut state = self.shared.state();
            state.reserved.0 = state.reserved.0.saturating_sub(events);
            state.reserved.1 = state.reserved.1.saturating_sub(bytes);
        }
    }
}

/// Claimed batches on their way to the caller. When the caller has gone meanwhile, they are given
/// back, so that its next claim finds them.
struct HandedOut {
    shared: Arc<Shared>,
    batches: Vec<ClaimedBatch>,
    /// Nobody claims what comes after them before they were taken or given back.
    _turn: OwnedMutexGuard<()>,
}

impl HandedOut {
    fn take(mut self) -> Vec<ClaimedBatch> {
        std::mem::take(&mut self.batches)
    }
}

impl Drop for HandedOut {
    fn drop(&mut self) {
        if let Some(first) = self.batches.first() {
            self.shared.state().unclaim(first.position.0);
        }
    }
}

#[async_trait]
impl EventQueue for EmbeddedQueue {
    fn shards(&self) -> u16 {
        1
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        let free = self.shared.free();
        let mut state = self.shared.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        state.room(&self.shared.options, free, events, bytes).map_err(QueueError::Full)?;
        state.reserved.0 += events;
        state.reserved.1 += bytes;
        Ok(Box::new(Room { shared: Arc::clone(&self.shared), left: (events, bytes) }))
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        let events = batches.iter().map(|batch| u64::from(batch.len())).sum();
        let bytes = batches.iter().map(|batch| extent_of(batch.as_bytes().len())).sum();
        let room = self.take_room(events, bytes, reservation)?;
        if batches.is_empty() {
            return Ok(());
        }
        let now = self.shared.clock.wall();
        let item = |batch: Batch| Item {
            crc: crc32fast::hash(batch.as_bytes()),
            received_at: batch.iter().next().and_then(Result::ok).map_or(now, |e| e.received_at),
            batch,
        };
        let items = batches.into_iter().map(item).collect();
        let (answer, answered) = oneshot::channel();
        let job = Job::Append(Append { items, room, answer });
        self.jobs()?.send(job).await.map_err(|_| QueueError::Closed)?;
        answered.await.unwrap_or(Err(QueueError::Closed))
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        if shard != 0 {
            return Ok(None);
        }
        let owner = owner.to_owned();
        self.blocking(move |shared| shared.lease_now(&owner, ttl)).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        let waited = tokio::time::sleep(wait);
        tokio::pin!(waited);
        loop {
            let arrived = self.shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let shared = Arc::clone(&self.shared);
            let turn = Arc::clone(&self.claiming).lock_owned().await;
            let claim = move |here: &Shared| {
                let batches = here.claim_now(lease, batches)?;
                Ok(HandedOut { shared, batches, _turn: turn })
            };
            let claimed = self.blocking(claim).await?.take();
            if !claimed.is_empty() || batches == 0 {
                return Ok(claimed);
            }
            tokio::select! {
                () = &mut arrived => {}
                () = &mut waited => return Ok(Vec::new()),
            }
        }
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        self.blocking(move |shared| shared.acknowledge_now(lease, position)).await
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        let mut state = self.shared.state();
        state.check(lease)?;
        state.rewind();
        Ok(())
    }

    fn count_dropped(&self, reason: &str, events: u64) {
        let first = {
            let mut state = self.shared.state();
            match state.dropped.get_mut(reason) {
                Some(count) => *count += events,
                None => {
                    state.dropped.insert(reason.to_owned(), events);
                }
            }
            !std::mem::replace(&mut state.dirty, true)
        };
        // A writer that has no room for the note is at work and looks at the counters afterwards.
        if first && let Ok(jobs) = self.jobs() {
            let _ = jobs.try_send(Job::Note);
        }
    }

    fn stats(&self) -> QueueStats {
        let stats = self.shared.state().stats();
        QueueStats { oldest_received_at: self.oldest(), ..stats }
    }

    async fn close(&self) {
        self.shared.state().closed = true;
        self.shared.arrived.notify_waiters();
        let (done, closed) = oneshot::channel();
        if let Ok(jobs) = self.jobs()
            && jobs.send(Job::Close(done)).await.is_ok()
        {
            let _ = closed.await;
        }
    }
}
