//! The writing side: one task for each shard sends what waits as one group, and answers when the
//! group is as durable as was asked for.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use mutt_model::{Batch, Timestamp, failpoint};
use tokio::sync::{mpsc, oneshot};

use super::known::State;
use super::queue::{RECOGNISED, Shared, stopped};
use super::script::{self, APPEND, NoAnswer, Verdict};
use crate::queue::{FullBecause, QueueError};

/// Appends that may wait for one shard.
pub(super) const JOBS_MAX: usize = 1_024;
/// A group is closed at this size; one append may carry it over.
const GROUP_BYTES: usize = 4 << 20;
/// What an entry takes beside its batch, roughly.
pub(super) const OVERHEAD: u64 = 128;
/// How long the server waits for its replicas, as a part of the time in which it must answer.
const REPLICAS_WAIT: f64 = 0.6;

/// A batch with what the server keeps beside it.
#[derive(Debug)]
pub(super) struct Item {
    batch: Batch,
    received_at: Timestamp,
}

impl Item {
    pub(super) fn new(batch: Batch, now: Timestamp) -> Self {
        let first = batch.iter().next().and_then(Result::ok).map(|event| event.received_at);
        Self { received_at: first.unwrap_or(now), batch }
    }
}

/// What a shard's writer does.
#[derive(Debug)]
pub(super) enum Job {
    Append { items: Vec<Item>, room: InFlight, answer: oneshot::Sender<Result<(), QueueError>> },
    Close(oneshot::Sender<()>),
}

/// Room that an append on its way takes.
#[derive(Debug)]
pub(super) struct InFlight {
    shared: Arc<Shared>,
    events: u64,
    bytes: u64,
}

impl InFlight {
    pub(super) fn new(shared: Arc<Shared>, events: u64, bytes: u64) -> Self {
        Self { shared, events, bytes }
    }

    /// A part of it.
    pub(super) fn split(&mut self, events: u64, bytes: u64) -> Self {
        self.events = self.events.saturating_sub(events);
        self.bytes = self.bytes.saturating_sub(bytes);
        Self { shared: Arc::clone(&self.shared), events, bytes }
    }

    /// Gives it back under a lock that is held.
    fn give_back(&mut self, state: &mut State) {
        let (events, bytes) = (std::mem::take(&mut self.events), std::mem::take(&mut self.bytes));
        state.in_flight.0 = state.in_flight.0.saturating_sub(events);
        state.in_flight.1 = state.in_flight.1.saturating_sub(bytes);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.events > 0 || self.bytes > 0 {
            let shared = Arc::clone(&self.shared);
            self.give_back(&mut shared.state());
        }
    }
}

/// One append in a group.
struct Waiting {
    items: Vec<Item>,
    room: InFlight,
    answer: oneshot::Sender<Result<(), QueueError>>,
    issued: u64,
}

/// Serves the appends of one shard until nobody sends any more.
pub(super) async fn run(shared: Arc<Shared>, shard: u16, mut jobs: mpsc::Receiver<Job>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let first = tokio::select! {
            first = jobs.recv() => first,
            () = stopped(&mut stop) => break,
        };
        let Some(first) = first else { break };
        let mut next = Some(first);
        let (mut group, mut bytes, mut closing) = (Vec::new(), 0, None);
        while let Some(job) = next.take() {
            match job {
                Job::Append { items, room, answer } => {
                    bytes += items.iter().map(|item| item.batch.as_bytes().len()).sum::<usize>();
                    group.push(Waiting { items, room, answer, issued: 0 });
                }
                Job::Close(done) => closing = Some(done),
            }
            if bytes < GROUP_BYTES && closing.is_none() {
                next = jobs.try_recv().ok();
            }
        }
        if !group.is_empty() {
            shared.append_group(shard, group).await;
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }
}

impl Shared {
    /// Sends a group in one write and answers each of its appends. The scripts and WAIT go over one
    /// connection or fail together; nothing is sent twice.
    async fn append_group(&self, shard: u16, mut group: Vec<Waiting>) {
        let sent = match self.links.writer(shard).await {
            Ok(link) => {
                let pipeline = self.group_pipeline(shard, &mut group);
                failpoint::hit("redis.append.before_send");
                let answer = link.run(&pipeline, self.options.timeout).await;
                failpoint::hit("redis.append.after_answer");
                answer
            }
            Err(error) => Err(error),
        };
        let mut values = match sent {
            Ok(values) => values.into_iter(),
            Err(error) => {
                let why = error.to_string();
                for waiting in group {
                    drop(waiting.room);
                    let io = QueueError::Io { doing: "append", why: why.clone() };
                    let _ = waiting.answer.send(Err(io));
                }
                return;
            }
        };
        let answers: Vec<Value> = values.by_ref().take(group.len()).collect();
        let replicas = u64::from(self.options.durability.replicas());
        let have = if replicas == 0 {
            0
        } else {
            values.next().as_ref().and_then(script::number).unwrap_or(0)
        };
        let durable = if have >= replicas {
            self.state().syncs += 1;
            None
        } else {
            // Replicas that stay away may mean that this node is cut off from the others.
            self.links.doubt();
            Some(format!(
                "{have} of {replicas} replicas have confirmed within {:?}, so whether it will last is unknown",
                self.replicas_wait()
            ))
        };
        for (mut waiting, value) in group.into_iter().zip(answers) {
            let done = self.appended(shard, &mut waiting, value);
            let done = match (&durable, done) {
                (Some(why), Ok(())) => Err(QueueError::Io { doing: "append", why: why.clone() }),
                (_, done) => done,
            };
            let _ = waiting.answer.send(done);
        }
    }

    fn replicas_wait(&self) -> Duration {
        self.options.timeout.mul_f64(REPLICAS_WAIT)
    }

    fn group_pipeline(&self, shard: u16, group: &mut [Waiting]) -> Pipeline {
        let n = usize::from(shard);
        let mut state = self.state();
        let (events, bytes) = state.left_to(n, self.caps());
        let mut pipeline = Pipeline::with_capacity(group.len() + 1);
        for (place, waiting) in group.iter_mut().enumerate() {
            let (issued, memory) = state.shards[n].issue();
            waiting.issued = issued;
            // The first one brings the script, so that none of the group is executed without those
            // before it.
            let mut cmd =
                script::call(&APPEND, place == 0, &self.keys[n], self.options.shards, &memory);
            cmd.arg(events).arg(bytes).arg(RECOGNISED);
            for Item { batch, received_at } in &waiting.items {
                cmd.arg(&batch.id().0[..])
                    .arg(batch.len())
                    .arg(received_at.micros())
                    .arg(OVERHEAD)
                    .arg(batch.as_bytes());
            }
            pipeline.add_command(cmd);
        }
        let replicas = self.options.durability.replicas();
        if replicas > 0 {
            let wait = u64::try_from(self.replicas_wait().as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("WAIT").arg(replicas).arg(wait);
        }
        pipeline
    }

    /// Takes one answer in; the room on its way becomes what waits in the same moment.
    fn appended(&self, shard: u16, waiting: &mut Waiting, value: Value) -> Result<(), QueueError> {
        match script::answer(value) {
            Ok(answer) => {
                self.learn_with(shard, waiting.issued, answer.status, |state| {
                    waiting.room.give_back(state);
                });
                match answer.verdict {
                    Verdict::Ok => Ok(()),
                    Verdict::Full(which) if which == "events" => {
                        Err(QueueError::Full(FullBecause::Events))
                    }
                    Verdict::Full(_) => Err(QueueError::Full(FullBecause::Bytes)),
                    Verdict::LeaseMoved | Verdict::Held => Err(QueueError::Io {
                        doing: "append",
                        why: "an answer that was not understood".into(),
                    }),
                }
            }
            // The server has less memory than the queue may take: for the sender it is full.
            Err(NoAnswer::Memory(_)) => Err(QueueError::Full(FullBecause::Bytes)),
            Err(no) => Err(self.refused(shard, "append", no)),
        }
    }
}

/// One answer for the parts of a request.
pub(super) fn whole(parts: Vec<Result<(), QueueError>>) -> Result<(), QueueError> {
    let all = parts.len();
    let mut full = None;
    let mut refused = 0;
    for part in parts {
        match part {
            Ok(()) => {}
            Err(QueueError::Full(because)) => {
                refused += 1;
                full = Some(because);
            }
            Err(error) => return Err(error),
        }
    }
    match full {
        None => Ok(()),
        Some(because) if refused == all => Err(QueueError::Full(because)),
        // Another Ingestor took the room in between: the sender must repeat, and what is stored
        // already is recognised.
        Some(because) => {
            let why = format!("a part of the request was appended; {because}");
            Err(QueueError::Io { doing: "append", why })
        }
    }
}
