//! The event queue on Redis: the promises of [`EventQueue`] by scripts on streams.
//!
//! - **A batch is an entry** of its shard's stream. The entry's id says how many events were appended
//!   up to it, so that what is missing is counted exactly and told as lost, whoever deleted it, when
//!   the shard's reader meets the hole.
//! - **No group, no trimming of what is unread.** A shard has one reader at a time, by a lease with a
//!   generation; each step of the reader is one script that checks the generation. How often a batch
//!   was given out is kept beside the stream and survives the reader.
//! - **An append is recognised** by its batch id for the last [`RECOGNISED`] batches of the shard:
//!   repeated after a lost answer it is stored once. One that is repeated later is a second entry: the
//!   store knows the batch by its receipt and counts it as duplicates.
//! - **A server that came back with less** (a failover, a restored file, FLUSHALL) is told by each
//!   process what that process knows: marks go on where they were, what is gone is counted.
//! - **The caps** hold exactly for one Ingestor. With several, each knows what waits in the other
//!   shards as of the last second, and the cap may be passed by what they append in it.
//! - **Counters** are exact for what this process did itself, and a second old for what others did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::codes::{self, Code};
use mutt_model::{Batch, Clock, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::append::{InFlight, Item, JOBS_MAX, Job, OVERHEAD};
use super::known::{Shard, State};
use super::link::{LinkError, Links};
use super::preflight::Checks;
use super::script::{self, Answer, Keys, NoAnswer, Script, Status};
use super::{Durability, RedisOptions, append, claim, keep};
use crate::queue::{
    ClaimedBatch, EventQueue, Losses, Position, QueueError, QueueStats, Reservation, ShardLease,
};
use crate::state::EngineState;

/// Batches of a shard by whose ids a repeated append is recognised.
pub const RECOGNISED: u64 = 16_384;

/// The event queue on Redis; see the module.
#[derive(Debug)]
pub struct RedisQueue {
    shared: Arc<Shared>,
    jobs: Vec<mpsc::Sender<Job>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: RedisOptions,
    pub(super) clock: Clock,
    opened: Timestamp,
    pub(super) links: Links,
    pub(super) checks: Arc<Checks>,
    pub(super) keys: Vec<Keys>,
    pub(super) ears: Vec<claim::Ear>,
    /// A drop was counted.
    pub(super) dropped: Notify,
    pub(super) stop: watch::Sender<bool>,
    state: Mutex<State>,
}

impl RedisQueue {
    /// Returns at once; connections are made beside it, and made again. Until there is one, calls
    /// fail with [`QueueError::Io`] and [`EventQueue::state`] says why. Must be called inside a
    /// runtime.
    #[must_use]
    pub fn open(options: RedisOptions, clock: Clock) -> Self {
        let checks = Arc::new(Checks::new(&options));
        let links = Links::new(&options, clock.clone(), Arc::clone(&checks) as _);
        let shards = usize::from(options.shards.max(1));
        let numbers = 0..options.shards.max(1);
        let shared = Arc::new(Shared {
            keys: numbers.clone().map(|n| Keys::new(&options.prefix, n)).collect(),
            ears: numbers.clone().map(|_| claim::Ear::default()).collect(),
            dropped: Notify::new(),
            stop: watch::Sender::new(false),
            state: Mutex::new(State {
                shards: (0..shards).map(|_| Shard::default()).collect(),
                ..State::default()
            }),
            options,
            opened: clock.wall(),
            clock,
            links,
            checks,
        });
        let mut jobs = Vec::with_capacity(shards);
        for shard in numbers {
            let (sender, receiver) = mpsc::channel(JOBS_MAX);
            jobs.push(sender);
            background(append::run(Arc::clone(&shared), shard, receiver));
            background(claim::listen(Arc::clone(&shared), shard));
        }
        background(keep::run(Arc::clone(&shared)));
        Self { shared, jobs }
    }

    fn room(
        &self,
        events: u64,
        bytes: u64,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<InFlight, QueueError> {
        let mut reservation = reservation;
        let taken = {
            let mut state = self.shared.state();
            if state.closed {
                return Err(QueueError::Closed);
            }
            let own = reservation.as_mut().map_or((0, 0), |r| r.take());
            state.reserved.0 = state.reserved.0.saturating_sub(own.0);
            state.reserved.1 = state.reserved.1.saturating_sub(own.1);
            if events > own.0 || bytes > own.1 {
                state.room(self.shared.caps(), events, bytes).map_err(QueueError::Full)?;
            }
            state.in_flight.0 += events;
            state.in_flight.1 += bytes;
            InFlight::new(Arc::clone(&self.shared), events, bytes)
        };
        Ok(taken)
    }
}

impl Drop for RedisQueue {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// The tasks of the queue live as long as the queue does, before and after the services.
#[allow(
    clippy::disallowed_methods,
    reason = "the engine owns its background tasks; all begin here"
)]
pub(super) fn background(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// Ends when the queue is closed or gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn caps(&self) -> (u64, u64) {
        (self.options.max_events, self.options.max_bytes)
    }

    /// Runs a script on a shard and takes its answer in. `arguments` adds the script's own.
    pub(super) async fn ask(
        &self,
        shard: u16,
        script: &Script,
        doing: &'static str,
        arguments: impl Fn(&mut ::redis::Cmd),
    ) -> Result<Answer, QueueError> {
        let mut source = false;
        loop {
            let n = usize::from(shard);
            let (issued, memory) = self.state().shards[n].issue();
            let mut cmd = script::call(script, source, &self.keys[n], self.options.shards, &memory);
            arguments(&mut cmd);
            let mut pipeline = ::redis::Pipeline::with_capacity(1);
            pipeline.add_command(cmd);
            let link = self.links.writer(shard).await.map_err(io(doing))?;
            let mut values = link.run(&pipeline, self.options.timeout).await.map_err(io(doing))?;
            match script::answer(values.pop().unwrap_or_default()) {
                Ok(answer) => {
                    self.learn(shard, issued, answer.status.clone());
                    return Ok(answer);
                }
                Err(NoAnswer::Unknown) if !source => source = true,
                Err(no) => return Err(self.refused(shard, doing, no)),
            }
        }
    }

    /// Takes an answer in and tells of what it says is lost.
    pub(super) fn learn(&self, shard: u16, issued: u64, status: Status) {
        self.learn_with(shard, issued, status, |_| {});
    }

    /// The same, with another change under the same lock.
    pub(super) fn learn_with(
        &self,
        shard: u16,
        issued: u64,
        status: Status,
        change: impl FnOnce(&mut State),
    ) {
        let lost = {
            let mut state = self.state();
            change(&mut state);
            let known = &mut state.shards[usize::from(shard)];
            known.trouble = None;
            known.learn(issued, status)
        };
        if lost > 0 {
            tracing::error!(code = %codes::QUEUE_REDIS_LOST, shard, lost, "events of the event queue on Redis can no longer be read");
        }
    }

    /// What a server said instead of an answer, in the queue's words; kept for [`EventQueue::state`].
    pub(super) fn refused(&self, shard: u16, doing: &'static str, no: NoAnswer) -> QueueError {
        let (code, why): (Code, String) = match no {
            NoAnswer::Memory(said) => {
                return QueueError::Io { doing, why: format!("Redis says: {said}") };
            }
            NoAnswer::Shards(made) => (
                codes::QUEUE_REDIS_SHARDS,
                format!(
                    "the queue in Redis was made with {made} shards and this process is set up for {}",
                    self.options.shards
                ),
            ),
            NoAnswer::NotPermitted(said) => {
                // The next connection looks at everything that the user may do, and until that is
                // enough the queue is away: half of what it does is no queue.
                self.links.leave_writer(shard, &said);
                (codes::QUEUE_REDIS_ACL, format!("{said}; run: {}", self.checks.acl_line()))
            }
            NoAnswer::Refused(said) => {
                (codes::QUEUE_REDIS_CANNOT_WRITE, format!("Redis says: {said}"))
            }
            NoAnswer::Unknown => {
                (codes::QUEUE_REDIS_CANNOT_WRITE, "Redis forgets its scripts".to_owned())
            }
        };
        let now = self.clock.wall();
        let mut state = self.state();
        let trouble = &mut state.shards[usize::from(shard)].trouble;
        let since = trouble.as_ref().map_or(now, |(since, ..)| *since);
        *trouble = Some((since, code, why.clone()));
        QueueError::Io { doing, why }
    }

    /// How the queue is: the connections first, then what servers say.
    pub(super) fn engine(&self) -> EngineState {
        if let Err(LinkError::Refused { code, why }) = self.checks.judge_setting() {
            return EngineState::Away { since: self.opened, code, why };
        }
        let links = self.links.state();
        if !links.is_ready() {
            return links;
        }
        let state = self.state();
        let trouble = state.shards.iter().filter_map(|shard| shard.trouble.clone());
        match trouble.min_by_key(|(since, ..)| *since) {
            Some((since, code, why)) => EngineState::Away { since, code, why },
            None => EngineState::Ready,
        }
    }

    pub(super) fn open(&self) -> Result<(), QueueError> {
        if self.state().closed { Err(QueueError::Closed) } else { Ok(()) }
    }
}

/// A connection's error in the queue's words.
pub(super) fn io(doing: &'static str) -> impl Fn(LinkError) -> QueueError {
    move |error| QueueError::Io { doing, why: error.to_string() }
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

#[async_trait]
impl EventQueue for RedisQueue {
    fn shards(&self) -> u16 {
        self.options().shards.max(1)
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        state.room(self.shared.caps(), events, bytes).map_err(QueueError::Full)?;
        state.reserved.0 += events;
        state.reserved.1 += bytes;
        Ok(Box::new(Room { shared: Arc::clone(&self.shared), left: (events, bytes) }))
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        let size = |batch: &Batch| batch.as_bytes().len() as u64 + OVERHEAD;
        let events = batches.iter().map(|batch| u64::from(batch.len())).sum();
        let bytes = batches.iter().map(size).sum();
        let mut room = self.room(events, bytes, reservation)?;
        let mut parts: Vec<Vec<Batch>> = vec![Vec::new(); self.jobs.len()];
        // A batch without events says nothing that could be lost.
        for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
            let shard = usize::from(batch.shard());
            let Some(part) = parts.get_mut(shard) else {
                let why = format!("the queue has no shard {shard}");
                return Err(QueueError::Io { doing: "append", why });
            };
            part.push(batch);
        }
        let now = self.shared.clock.wall();
        let mut answers = Vec::new();
        for (part, jobs) in parts.into_iter().zip(&self.jobs) {
            if part.is_empty() {
                continue;
            }
            let own_events = part.iter().map(|batch| u64::from(batch.len())).sum();
            let own_bytes = part.iter().map(size).sum();
            let (answer, answered) = oneshot::channel();
            let items = part.into_iter().map(|batch| Item::new(batch, now)).collect();
            let job = Job::Append { items, room: room.split(own_events, own_bytes), answer };
            jobs.send(job).await.map_err(|_| QueueError::Closed)?;
            answers.push(answered);
        }
        drop(room);
        let mut done = Vec::with_capacity(answers.len());
        for answered in answers {
            done.push(answered.await.unwrap_or(Err(QueueError::Closed)));
        }
        append::whole(done)
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        if shard >= self.shards() {
            return Ok(None);
        }
        self.shared.open()?;
        self.shared.lease(shard, owner, ttl).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        if lease.shard >= self.shards() {
            return Err(QueueError::LeaseLost(lease.shard));
        }
        self.shared.claim(lease, batches, wait).await
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        if lease.shard >= self.shards() {
            return Err(QueueError::LeaseLost(lease.shard));
        }
        self.shared.acknowledge(lease, position).await
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        if lease.shard >= self.shards() {
            return Err(QueueError::LeaseLost(lease.shard));
        }
        self.shared.rewind(lease).await
    }

    fn count_dropped(&self, reason: &str, events: u64) {
        self.shared.state().drops.count(reason, events);
        self.shared.dropped.notify_one();
    }

    fn settle(&self, spill: &str, losses: Losses) {
        self.shared.state().drops.settle(spill, losses);
        self.shared.dropped.notify_one();
    }

    /// They stand beside the batches and are as durable.
    fn counts_deliveries(&self) -> bool {
        self.options().durability != Durability::Fast
    }

    fn state(&self) -> EngineState {
        self.shared.engine()
    }

    fn stats(&self) -> QueueStats {
        self.shared.state().stats()
    }

    async fn refresh(&self) {
        // One that does not answer within the time of a command is away, and said to be.
        let _ = tokio::time::timeout(self.shared.options.timeout, self.shared.look_at_all()).await;
    }

    async fn close(&self) {
        let first = !std::mem::replace(&mut self.shared.state().closed, true);
        for ear in &self.shared.ears {
            ear.arrived.notify_waiters();
        }
        if !first {
            return;
        }
        for jobs in &self.jobs {
            let (done, closed) = oneshot::channel();
            if jobs.send(Job::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        }
        let _ = self.shared.tell_drops().await;
        self.shared.stop.send_replace(true);
    }
}

impl RedisQueue {
    /// What it was given.
    #[must_use]
    pub fn options(&self) -> &RedisOptions {
        &self.shared.options
    }
}
