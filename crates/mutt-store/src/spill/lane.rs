//! The one task through which appends pass, so that where they go changes between two of them.

use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mutt_model::{codes, failpoint};
use tokio::sync::{mpsc, oneshot};

use super::drain::{Drain, Step};
use super::group::{Group, Job, Stored, Target};
use super::{Shared, code_of};
use crate::queue::{EventQueue, FullBecause, QueueError, lock};
use crate::state::EngineState;

/// Why the lane ends: somebody who closes waits for it, or nobody can call any more.
type Ended = Option<oneshot::Sender<()>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, jobs: mpsc::Receiver<Job>) -> Self {
        Self { shared, jobs }
    }

    /// Lives until it is closed or every caller has gone.
    pub(super) async fn run(mut self) {
        let ended = loop {
            let way =
                if self.shared.is_spilling() { self.spilling().await } else { self.direct().await };
            if let ControlFlow::Break(ended) = way {
                break ended;
            }
        };
        self.jobs.close();
        while let Some(job) = self.jobs.recv().await {
            match job {
                Job::Append(append) => drop(append.answer.send(Err(QueueError::Closed))),
                Job::Close(answer) => drop(answer.send(())),
            }
        }
        if let Some(answer) = ended {
            let _ = answer.send(());
        }
    }

    /// To the primary, group by group, until one must be spilled.
    async fn direct(&mut self) -> ControlFlow<Ended> {
        while !self.shared.is_spilling() {
            let first = match self.jobs.recv().await {
                Some(Job::Append(first)) => first,
                Some(Job::Close(answer)) => return ControlFlow::Break(Some(answer)),
                None => return ControlFlow::Break(None),
            };
            let (group, closing) = Group::collect(first, &mut self.jobs);
            self.shared.to_primary(group).await;
            if closing.is_some() {
                return ControlFlow::Break(closing);
            }
        }
        ControlFlow::Continue(())
    }

    /// Everything to the spill, and the spill to the primary, until the spill is empty. Nothing is on
    /// its way to either when this ends.
    async fn spilling(&mut self) -> ControlFlow<Ended> {
        let mut storing: Option<BoxFuture<'static, ()>> = None;
        let mut draining = Some(Drain::new(Arc::clone(&self.shared)).boxed_step());
        let mut closing = None;
        // Whether the spill was added to since the present step of the drain began.
        let mut added = false;
        // The drain found nothing, and rests until what is being stored is there.
        let mut resting = None;
        // Batches that may be stored before the next step, while the primary takes what is drained: three
        // quarters of what it takes, so that the spill becomes empty under any load.
        let mut room: Option<i64> = None;
        loop {
            if storing.is_none() {
                if closing.is_some() {
                    // A step on its way is dropped: the next start repeats it under the same ids.
                    return ControlFlow::Break(closing);
                }
                if let Some(drain) = resting.take() {
                    if !added {
                        self.shared.spilling_ended();
                        return ControlFlow::Continue(());
                    }
                    added = false;
                    draining = Some(Drain::boxed_step(drain));
                }
            }
            tokio::select! {
                job = self.jobs.recv(), if storing.is_none() && room.is_none_or(|room| room > 0) => match job {
                    Some(Job::Append(first)) => {
                        let (group, close) = Group::collect(first, &mut self.jobs);
                        closing = close;
                        room = room.map(|room| room - group.batches());
                        added = true;
                        let shared = Arc::clone(&self.shared);
                        storing = Some(Box::pin(async move { shared.to_spill(group, None).await; }));
                    }
                    Some(Job::Close(answer)) => closing = Some(answer),
                    None => return ControlFlow::Break(None),
                },
                () = ended(&mut storing) => storing = None,
                (drain, step) = ended(&mut draining) => match step {
                    Step::Empty => {
                        draining = None;
                        resting = Some(drain);
                        room = Some(room.unwrap_or(0).min(0));
                    }
                    Step::Moved(_) | Step::Waited => {
                        room = step.room(room);
                        added = storing.is_some();
                        draining = Some(drain.boxed_step());
                    }
                },
            }
        }
    }
}

/// Waits for the future that is there; for ever where there is none.
async fn ended<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

impl Shared {
    /// Stores a group in the primary, or in the spill when the primary is away or does not answer.
    async fn to_primary(&self, group: Group) {
        let (group, why, tried) = match self.primary.state() {
            EngineState::Away { why, .. } => (group, why, None),
            EngineState::Ready => {
                let target = Target::Primary(self.options.append_timeout);
                match group.store(&*self.primary, target).await {
                    Stored::All | Stored::Full(_) => return self.accepts(),
                    Stored::Not(group, QueueError::Closed) => {
                        return group.refuse(&QueueError::Closed);
                    }
                    Stored::Not(group, error) => (group, error.to_string(), Some(error)),
                }
            }
        };
        failpoint::hit("spill.append.before_store");
        if self.to_spill(group, tried.as_ref()).await {
            self.spilling_began(why);
        }
    }

    /// Stores a group in the spill; whether any of it was. `tried`: the primary may have it as well, so
    /// that a refusal must not say that nothing was appended.
    async fn to_spill(&self, group: Group, tried: Option<&QueueError>) -> bool {
        let result = group.store(&self.spill, Target::Spill { unknown: tried.is_some() }).await;
        failpoint::hit("spill.append.after_store");
        match result {
            Stored::All => {
                self.accepts();
                true
            }
            Stored::Full(error) => {
                self.refuses(&error);
                self.spill.stats().pending_events > 0
            }
            Stored::Not(group, error) => {
                self.refuses(&error);
                group.refuse(&error);
                self.spill.stats().pending_events > 0
            }
        }
    }

    fn spilling_began(&self, why: String) {
        tracing::warn!(
            code = codes::QUEUE_SPILLING.id,
            place = self.place,
            why,
            "the event queue's server does not take events; they are spilled to local disk"
        );
        let mut status = lock(&self.status);
        status.spilling_since = Some(self.clock.wall());
        status.why = Some(why);
    }

    fn spilling_ended(&self) {
        let since = {
            let mut status = lock(&self.status);
            status.why = None;
            status.spilling_since.take()
        };
        let seconds = since.map_or(0, |since| self.clock.wall().since(since).as_secs());
        tracing::info!(
            place = self.place,
            seconds,
            "the spill is empty; events go to the event queue's server again"
        );
    }

    /// The primary's last word while it refused.
    pub(super) fn still_away(&self, why: String) {
        lock(&self.status).why = Some(why);
    }

    fn accepts(&self) {
        if lock(&self.status).refused.take().is_some() {
            tracing::info!(place = self.place, "events are accepted again");
        }
    }

    fn refuses(&self, error: &QueueError) {
        let code = code_of(error);
        let why = match error {
            // Its caps have keys of their own.
            QueueError::Full(FullBecause::Events) => "queue.spill.max_events is met".to_owned(),
            QueueError::Full(FullBecause::Bytes) => "queue.spill.max_bytes is met".to_owned(),
            other => other.to_string(),
        };
        let mut status = lock(&self.status);
        if status.refused.is_none() {
            tracing::warn!(
                code = code.id,
                place = self.place,
                why,
                "the spill does not take events either; senders are held back"
            );
            status.refused = Some((self.clock.wall(), code, why));
        }
    }
}
