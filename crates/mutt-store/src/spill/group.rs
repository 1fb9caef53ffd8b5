//! Appends that wait are stored together: one group, one answer for each of its callers.

use std::collections::VecDeque;
use std::time::Duration;

use mutt_model::Batch;
use tokio::sync::{mpsc, oneshot};

use super::Room;
use crate::queue::{EventQueue, QueueError, Reservation};

/// Appends that go together at most.
const GROUP_JOBS_MAX: usize = 128;
/// A group is closed at this size.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What the lane is asked.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    Close(oneshot::Sender<()>),
}

/// One caller's append.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) batches: Vec<Batch>,
    pub(super) room: Option<Room>,
    pub(super) answer: oneshot::Sender<Result<(), QueueError>>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.as_bytes().len()).sum()
    }
}

/// Appends in the order of their calls.
#[derive(Debug)]
pub(super) struct Group(Vec<Append>);

/// In which of the two queues a group is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Without an answer for this long, its outcome is not known.
    Primary(Duration),
    /// `unknown`: the primary may have it as well, so a refusal does not say "nothing was appended".
    Spill { unknown: bool },
}

impl Target {
    async fn append(
        self,
        queue: &dyn EventQueue,
        batches: Vec<Batch>,
        room: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        let append = queue.append(batches, room);
        match self {
            Self::Primary(limit) => match tokio::time::timeout(limit, append).await {
                Ok(result) => result,
                Err(_) => Err(no_answer(limit)),
            },
            Self::Spill { .. } => append.await,
        }
    }

    /// What a caller is told whose append did not fit.
    fn refusal(self, full: &QueueError) -> QueueError {
        match self {
            Self::Spill { unknown: true } => QueueError::Io {
                doing: "append",
                why: format!("the server did not answer, and the spill is no way out: {full}"),
            },
            _ => same(full),
        }
    }
}

/// The primary had its time.
pub(super) fn no_answer(limit: Duration) -> QueueError {
    QueueError::Io { doing: "append", why: format!("no answer within {limit:?}") }
}

/// What became of a group. Whoever is not in it was answered.
#[derive(Debug)]
pub(super) enum Stored {
    /// Durable.
    All,
    /// Some did not fit and were told so; the rest is durable.
    Full(QueueError),
    /// From here on, in order, it is not known to be stored.
    Not(Group, QueueError),
}

impl Group {
    /// `first` and what waits behind it; a wish to close, or the end of all callers, ends it.
    pub(super) fn collect(
        first: Append,
        jobs: &mut mpsc::Receiver<Job>,
    ) -> (Self, Option<oneshot::Sender<()>>) {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
            match jobs.try_recv() {
                Ok(Job::Append(append)) => {
                    bytes += append.bytes();
                    group.push(append);
                }
                Ok(Job::Close(answer)) => return (Self(group), Some(answer)),
                Err(_) => break,
            }
        }
        (Self(group), None)
    }

    /// Batches in it.
    pub(super) fn batches(&self) -> i64 {
        let batches: usize = self.0.iter().map(|append| append.batches.len()).sum();
        i64::try_from(batches).unwrap_or(i64::MAX)
    }

    /// Answers everybody alike.
    pub(super) fn refuse(self, error: &QueueError) {
        for append in self.0 {
            let _ = append.answer.send(Err(same(error)));
        }
    }

    /// Appends all in one call and answers. Where they do not fit together, one after the other, so
    /// that a large one does not refuse the small ones.
    pub(super) async fn store(self, queue: &dyn EventQueue, target: Target) -> Stored {
        let mut group = self;
        let all = group.0.iter().flat_map(|append| append.batches.clone()).collect();
        match target.append(queue, all, group.rooms(target)).await {
            Ok(()) => {
                group.0.into_iter().for_each(|append| drop(append.answer.send(Ok(()))));
                Stored::All
            }
            Err(error @ QueueError::Full(_)) if group.0.len() == 1 => {
                group.refuse(&target.refusal(&error));
                Stored::Full(error)
            }
            Err(QueueError::Full(_)) => group.store_singly(queue, target).await,
            Err(error) => Stored::Not(group, error),
        }
    }

    async fn store_singly(self, queue: &dyn EventQueue, target: Target) -> Stored {
        let mut left = VecDeque::from(self.0);
        let mut full = None;
        while let Some(append) = left.pop_front() {
            match target.append(queue, append.batches.clone(), None).await {
                Ok(()) => drop(append.answer.send(Ok(()))),
                Err(error @ QueueError::Full(_)) => {
                    drop(append.answer.send(Err(target.refusal(&error))));
                    full = Some(error);
                }
                Err(error) => {
                    left.push_front(append);
                    return Stored::Not(Self(left.into()), error);
                }
            }
        }
        full.map_or(Stored::All, Stored::Full)
    }

    /// Room that its appends reserved in this queue; that of the other queue is given back.
    fn rooms(&mut self, target: Target) -> Option<Box<dyn Reservation>> {
        let rooms = self.0.iter_mut().filter_map(|append| {
            let room = append.room.take()?;
            match target {
                Target::Primary(_) => room.primary,
                Target::Spill { .. } => room.spill,
            }
        });
        let rooms: Vec<_> = rooms.collect();
        if rooms.is_empty() { None } else { Some(Box::new(Joined(rooms))) }
    }
}

/// The rooms of several appends that go together.
#[derive(Debug)]
struct Joined(Vec<Box<dyn Reservation>>);

impl Reservation for Joined {
    fn take(&mut self) -> (u64, u64) {
        self.0.iter_mut().map(|room| room.take()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}

/// The same refusal for another caller.
fn same(error: &QueueError) -> QueueError {
    match error {
        QueueError::Full(because) => QueueError::Full(*because),
        QueueError::Io { doing, why } => QueueError::Io { doing, why: why.clone() },
        QueueError::Format(format) => QueueError::Format(*format),
        QueueError::LeaseLost(shard) => QueueError::LeaseLost(*shard),
        QueueError::InUse(why) => QueueError::InUse(why.clone()),
        QueueError::Closed => QueueError::Closed,
    }
}
