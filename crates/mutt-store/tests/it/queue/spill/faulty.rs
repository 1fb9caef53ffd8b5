//! A primary that fails as told: it knows the ids of late, as the real one does.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::{Batch, Clock, Id, Timestamp, codes};
use mutt_store::queue::{
    ClaimedBatch, EmbeddedQueue, EventQueue, FullBecause, Position, QueueError, QueueStats,
    Reservation, ShardLease,
};
use mutt_store::state::EngineState;
use tokio::sync::watch;

use super::super::support::{NO_WAIT, TTL, claim_all, roomy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It knows that it is away.
    Away,
    /// The request is lost.
    LostBefore,
    /// The reply is lost.
    LostAfter,
    /// Half of the batches arrive, then the connection ends.
    Half,
    /// No answer at all.
    Hang,
    /// No answer, and it is applied when the fault is over.
    Late,
    Full,
}

#[expect(clippy::disallowed_methods, reason = "a server's work does not end with its client")]
fn on_the_server<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

#[derive(Debug)]
struct Core {
    log: EmbeddedQueue,
    ids: tokio::sync::Mutex<HashSet<Id>>,
}

impl Core {
    /// As on a server: what has begun there is not undone when the client goes away.
    async fn apply(self: &Arc<Self>, batches: &[Batch]) -> Result<(), QueueError> {
        let (core, batches) = (Arc::clone(self), batches.to_vec());
        on_the_server(async move { core.store(&batches).await }).await.unwrap()
    }

    async fn store(&self, batches: &[Batch]) -> Result<(), QueueError> {
        let mut ids = self.ids.lock().await;
        // One call may hold a batch twice: once spilled before a kill, once repeated by its sender.
        let new = batches.iter().filter(|batch| ids.insert(batch.id())).cloned().collect();
        self.log.append(new, None).await
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    core: Arc<Core>,
    fault: watch::Sender<Fault>,
    /// Calls of append, and whether the last one carried a reservation.
    pub(crate) calls: Mutex<(u64, bool)>,
}

impl Faulty {
    pub(crate) async fn open(dir: &Path) -> Arc<Self> {
        Self::with(EmbeddedQueue::open(dir, roomy(), Clock::default()).unwrap()).await
    }

    pub(crate) async fn with(log: EmbeddedQueue) -> Arc<Self> {
        let there = read(&log).await;
        let ids = there.iter().map(|claimed| claimed.batch.id()).collect();
        let core = Arc::new(Core { log, ids: tokio::sync::Mutex::new(ids) });
        Arc::new(Self { core, fault: watch::Sender::new(Fault::None), calls: Mutex::default() })
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Everything in it, in order, whatever its fault.
    pub(crate) async fn batches(&self) -> Vec<Batch> {
        read(&self.core.log).await.into_iter().map(|claimed| claimed.batch).collect()
    }
}

async fn read(log: &EmbeddedQueue) -> Vec<ClaimedBatch> {
    let lease = log.lease(0, "reader", TTL).await.unwrap().unwrap();
    log.rewind(lease).await.unwrap();
    let all = claim_all(log, lease).await;
    log.lease(0, "reader", Duration::ZERO).await.unwrap();
    all
}

fn gone(why: &str) -> QueueError {
    QueueError::Io { doing: "append", why: why.to_owned() }
}

#[async_trait]
impl EventQueue for Faulty {
    fn shards(&self) -> u16 {
        8
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        match *self.fault.borrow() {
            Fault::Full => return Err(QueueError::Full(FullBecause::Events)),
            Fault::None => {}
            _ => return Err(gone("no reservation")),
        }
        self.core.log.reserve(events, bytes).await
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        {
            let mut calls = self.calls.lock().unwrap();
            *calls = (calls.0 + 1, reservation.is_some());
        }
        let fault = *self.fault.borrow();
        match fault {
            Fault::None => self.core.apply(&batches).await,
            Fault::Away => Err(gone("connection refused")),
            Fault::LostBefore => Err(gone("connection reset")),
            Fault::LostAfter => {
                self.core.apply(&batches).await?;
                Err(gone("connection reset before the reply"))
            }
            Fault::Half => {
                self.core.apply(&batches[..batches.len() / 2]).await?;
                Err(gone("connection reset halfway"))
            }
            Fault::Hang => std::future::pending().await,
            Fault::Late => {
                let (core, mut changed) = (Arc::clone(&self.core), self.fault.subscribe());
                on_the_server(async move {
                    changed.wait_for(|now| *now != Fault::Late).await.unwrap();
                    core.apply(&batches).await.unwrap();
                });
                std::future::pending().await
            }
            Fault::Full => Err(QueueError::Full(FullBecause::Events)),
        }
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        self.core.log.lease(shard, owner, ttl).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        _wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        self.core.log.claim(lease, batches, NO_WAIT).await
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        self.core.log.acknowledge(lease, position).await
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        self.core.log.rewind(lease).await
    }

    fn count_dropped(&self, reason: &str, events: u64) {
        self.core.log.count_dropped(reason, events);
    }

    fn state(&self) -> EngineState {
        if *self.fault.borrow() == Fault::Away {
            let (since, code) = (Timestamp::from_secs(7), codes::QUEUE_OPEN);
            return EngineState::Away { since, code, why: "connection refused".to_owned() };
        }
        EngineState::Ready
    }

    fn stats(&self) -> QueueStats {
        self.core.log.stats()
    }

    async fn close(&self) {}
}
