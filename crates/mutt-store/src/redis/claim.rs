//! The reading side: leases, claims, acknowledgements, and the ear that waits for the next batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::Value;
use mutt_model::{Batch, BatchError, failpoint};
use tokio::sync::Notify;

use super::queue::{Shared, stopped};
use super::script::{self, ACKNOWLEDGE, Answer, CLAIM, LEASE, LOOK, Verdict};
use crate::queue::{CLAIM_BYTES, ClaimedBatch, Position, QueueError, ShardLease};

/// Batches that one call gives out at most.
const CLAIMED_AT_ONCE: usize = 64;
/// How long the server holds a question for the next batch; then it is looked anew.
const LISTEN: Duration = Duration::from_secs(1);
/// The pause after a question that failed.
const DEAF: Duration = Duration::from_millis(250);

/// Where a claim of one shard waits.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// Something may be there.
    pub(super) arrived: Notify,
    /// Somebody waits for what follows `from`.
    wanted: Notify,
    from: AtomicU64,
    /// One claim at a time, so that none gives out what comes after another's.
    turn: tokio::sync::Mutex<()>,
}

/// Asks the server for what follows while somebody waits for it; on a connection of its own, because
/// the question blocks.
pub(super) async fn listen(shared: Arc<Shared>, shard: u16) {
    let ear = &shared.ears[usize::from(shard)];
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            () = ear.wanted.notified() => {}
            () = stopped(&mut stop) => return,
        }
        tokio::select! {
            () = shared.hear(shard, ear.from.load(Ordering::Relaxed)) => {}
            () = stopped(&mut stop) => return,
        }
        ear.arrived.notify_waiters();
    }
}

impl Shared {
    /// Waits for an entry behind this mark, not for ever; after a failure for a while.
    async fn hear(&self, shard: u16, from: u64) {
        if !self.ask_for_more(shard, from).await {
            tokio::time::sleep(DEAF).await;
        }
    }

    /// Whether the server answered.
    async fn ask_for_more(&self, shard: u16, from: u64) -> bool {
        let Ok(link) = self.links.reader(shard).await else { return false };
        let mut pipeline = ::redis::Pipeline::with_capacity(1);
        let wait = u64::try_from(LISTEN.as_millis()).unwrap_or(u64::MAX);
        pipeline
            .cmd("XREAD")
            .arg("COUNT")
            .arg(1)
            .arg("BLOCK")
            .arg(wait)
            .arg("STREAMS")
            .arg(self.keys[usize::from(shard)].stream())
            .arg(format!("{from}-{}", u64::MAX));
        match link.run(&pipeline, LISTEN + self.options.timeout).await {
            Ok(values) => !matches!(values.first(), Some(Value::ServerError(_)) | None),
            Err(_) => false,
        }
    }

    pub(super) async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).min(1 << 40);
        let answer = self
            .ask(shard, &LEASE, "lease", |cmd| {
                cmd.arg(owner).arg(millis);
            })
            .await?;
        if answer.verdict != Verdict::Ok {
            return Ok(None);
        }
        let generation = answer.status.generation;
        let mut state = self.state();
        let known = &mut state.shards[usize::from(shard)];
        known.reading.begin(generation);
        known.memory.generation = if millis == 0 { 0 } else { generation };
        owner.clone_into(&mut known.memory.owner);
        known.memory.ttl = millis;
        Ok(Some(ShardLease { shard, generation }))
    }

    pub(super) async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        let ear = &self.ears[usize::from(lease.shard)];
        let waited = tokio::time::sleep(wait);
        tokio::pin!(waited);
        loop {
            let arrived = ear.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            self.open()?;
            // Nothing is awaited behind it: what it takes as claimed reaches the caller.
            let claimed = self.claim_now(lease, batches).await?;
            if !claimed.is_empty() || batches == 0 || wait.is_zero() {
                return Ok(claimed);
            }
            let from = self.reading_from(lease);
            ear.from.store(from, Ordering::Relaxed);
            ear.wanted.notify_one();
            tokio::select! {
                () = &mut arrived => {}
                () = &mut waited => return Ok(Vec::new()),
            }
        }
    }

    /// The mark behind which the next batch is expected.
    fn reading_from(&self, lease: ShardLease) -> u64 {
        let state = self.state();
        let known = &state.shards[usize::from(lease.shard)];
        known.reading.cursor.max(known.status.ack)
    }

    /// The next batches that are there, each taken as claimed only when nothing is awaited any more.
    async fn claim_now(
        &self,
        lease: ShardLease,
        batches: usize,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        let _turn = self.ears[usize::from(lease.shard)].turn.lock().await;
        loop {
            let from = self.cursor(lease)?;
            let most = batches.min(CLAIMED_AT_ONCE);
            let answer = self
                .ask(lease.shard, &CLAIM, "read", |cmd| {
                    cmd.arg(lease.generation).arg(from).arg(most).arg(CLAIM_BYTES);
                })
                .await?;
            if answer.verdict != Verdict::Ok {
                return Err(self.lost(lease));
            }
            match self.take(lease, from, answer)? {
                Taken::Batches(batches) => return Ok(batches),
                Taken::Void => {}
                // Taken out, so that the next look counts it as lost.
                Taken::Damaged(mark) => self.look(lease.shard, lease.generation, mark).await?,
            }
        }
    }

    /// Takes what was given out as claimed.
    fn take(&self, lease: ShardLease, from: u64, answer: Answer) -> Result<Taken, QueueError> {
        let mut state = self.state();
        let reading = &mut state.shards[usize::from(lease.shard)].reading;
        if reading.cursor != from {
            return Ok(Taken::Void);
        }
        let mut out = Vec::with_capacity(answer.rest.len());
        for entry in answer.rest {
            match opened(entry) {
                Opened::Batch(mark, deliveries_before, batch) => {
                    let line = reading.claim(mark, &answer.status.line);
                    let position = Position(mark, line);
                    out.push(ClaimedBatch { position, deliveries_before, batch });
                }
                // What was claimed before it is given out first; the next call meets it again.
                _ if !out.is_empty() => break,
                Opened::Format(format) => return Err(QueueError::Format(format)),
                Opened::Damaged(mark) => return Ok(Taken::Damaged(mark)),
            }
        }
        Ok(Taken::Batches(out))
    }

    fn cursor(&self, lease: ShardLease) -> Result<u64, QueueError> {
        let state = self.state();
        let reading = &state.shards[usize::from(lease.shard)].reading;
        // A generation that was not given to this process, or was followed by another one.
        if reading.generation == lease.generation {
            Ok(reading.cursor)
        } else {
            Err(QueueError::LeaseLost(lease.shard))
        }
    }

    /// The lease is another's now.
    fn lost(&self, lease: ShardLease) -> QueueError {
        let mut state = self.state();
        let memory = &mut state.shards[usize::from(lease.shard)].memory;
        if memory.generation == lease.generation {
            memory.generation = 0;
        }
        QueueError::LeaseLost(lease.shard)
    }

    pub(super) async fn acknowledge(
        &self,
        lease: ShardLease,
        Position(mark, number): Position,
    ) -> Result<(), QueueError> {
        self.open()?;
        let target = {
            let state = self.state();
            let reading = &state.shards[usize::from(lease.shard)].reading;
            let own = (reading.generation == lease.generation).then_some(reading);
            own.and_then(|own| own.claimed_to(mark, number))
                .map(|(mark, line)| (mark, line.to_owned()))
        };
        let Some((mark, line)) = target else {
            // Done already, or never claimed here; the lease is looked at all the same.
            return self.look(lease.shard, lease.generation, 0).await;
        };
        failpoint::hit("redis.ack.before_send");
        let answer = self
            .ask(lease.shard, &ACKNOWLEDGE, "acknowledge", |cmd| {
                cmd.arg(lease.generation).arg(mark).arg(&line);
            })
            .await?;
        failpoint::hit("redis.ack.after_answer");
        if answer.verdict != Verdict::Ok {
            return Err(self.lost(lease));
        }
        let mut state = self.state();
        let reading = &mut state.shards[usize::from(lease.shard)].reading;
        if reading.generation == lease.generation {
            reading.finish(mark, number);
        }
        Ok(())
    }

    pub(super) async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        self.open()?;
        {
            let mut state = self.state();
            let reading = &mut state.shards[usize::from(lease.shard)].reading;
            if reading.generation != lease.generation {
                return Err(QueueError::LeaseLost(lease.shard));
            }
            // First, so that it is done also when the server does not answer.
            reading.rewind();
        }
        self.look(lease.shard, lease.generation, 0).await
    }

    /// Looks at a shard; with a generation, whether it is still the shard's; with a mark, takes out
    /// the entry there.
    pub(super) async fn look(
        &self,
        shard: u16,
        generation: u64,
        mark: u64,
    ) -> Result<(), QueueError> {
        let answer = self
            .ask(shard, &LOOK, "read", |cmd| {
                cmd.arg(generation).arg(mark);
            })
            .await?;
        match answer.verdict {
            Verdict::Ok => Ok(()),
            _ => Err(self.lost(ShardLease { shard, generation })),
        }
    }
}

/// What became of an answer to a claim.
enum Taken {
    Batches(Vec<ClaimedBatch>),
    /// Meanwhile the claims begin elsewhere: rewound, or the server came back with less.
    Void,
    /// The entry with this mark cannot be read.
    Damaged(u64),
}

/// An entry as it came.
enum Opened {
    Batch(u64, u32, Batch),
    Format(u16),
    Damaged(u64),
}

fn opened(entry: Value) -> Opened {
    let Value::Array(parts) = entry else { return Opened::Damaged(0) };
    let mut parts = parts.into_iter();
    let mut number = || parts.next().as_ref().and_then(script::number);
    let (mark, times) = (number().unwrap_or(0), number().unwrap_or(0));
    let Some(Value::BulkString(bytes)) = parts.next() else { return Opened::Damaged(mark) };
    match Batch::open(bytes) {
        Ok(batch) => Opened::Batch(mark, u32::try_from(times).unwrap_or(u32::MAX), batch),
        Err(BatchError::Format(format)) => Opened::Format(format),
        Err(_) => Opened::Damaged(mark),
    }
}
