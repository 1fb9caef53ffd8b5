//! Batches on their way to the event queue, for a sender that can be made to wait: while one append is
//! made durable, what follows is read and decoded and goes with the next one. Order is kept: one
//! append at a time, and what is refused is tried again before anything after it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mutt_store::queue::QueueError;
use tokio_util::sync::CancellationToken;

use super::batcher::{Batcher, Collected};
use super::{APPEND_PAUSE, Ingest, ListenerMetrics};

/// Closed batches that one connection may have read ahead of an append on its way.
pub const AHEAD_BATCHES_MAX: usize = 16;
/// Bytes that all connections together may have read ahead; each may always have one batch.
pub const AHEAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An append on its way.
struct Flight {
    future: BoxFuture<'static, Result<(), QueueError>>,
    collected: Collected,
}

/// See the module.
pub struct Pipeline {
    ingest: Arc<Ingest>,
    listener: ListenerMetrics,
    /// Takes the events.
    pub batcher: Batcher,
    waiting: Vec<Collected>,
    ahead: usize,
    flight: Option<Flight>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.ingest.ahead.fetch_sub(self.ahead, Ordering::Relaxed);
    }
}

impl Pipeline {
    /// A pipeline without events.
    #[must_use]
    pub fn new(ingest: &Arc<Ingest>, listener: &ListenerMetrics) -> Self {
        Self {
            ingest: Arc::clone(ingest),
            listener: listener.clone(),
            batcher: Batcher::new(ingest, listener),
            waiting: Vec::new(),
            ahead: 0,
            flight: None,
        }
    }

    /// Closes the open batch; it goes with the next append.
    pub fn close(&mut self) {
        if self.batcher.is_empty() {
            return;
        }
        let collected = self.batcher.take();
        let bytes = collected.batches.iter().map(|batch| batch.as_bytes().len()).sum();
        self.ahead += bytes;
        self.ingest.ahead.fetch_add(bytes, Ordering::Relaxed);
        self.waiting.push(collected);
    }

    /// Whether the sender may be read further.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < AHEAD_BATCHES_MAX
                && self.ingest.ahead.load(Ordering::Relaxed) < AHEAD_BYTES_MAX)
    }

    /// How long the open batch may wait for company; `None` when nothing is open, or when it goes with
    /// what follows an append on its way.
    #[must_use]
    pub fn may_wait(&self) -> Option<Duration> {
        if self.flight.is_some() { None } else { self.batcher.may_wait() }
    }

    /// Makes what waits durable, one append after the other. Returns after each append, `false` when
    /// it was refused (it is tried again by the next call); never returns while there is nothing to do.
    /// May be dropped and called again at any time.
    pub async fn progress(&mut self) -> bool {
        if self.flight.is_none() && !self.launch() {
            return std::future::pending().await;
        }
        let Some(flight) = &mut self.flight else { return true };
        let result = flight.future.as_mut().await;
        let Some(flight) = self.flight.take() else { return true };
        match result {
            Ok(()) => {
                let done = &flight.collected;
                self.listener.stored(done.events, done.bytes, done.parse);
                // What was begun meanwhile does not wait for its age.
                self.close();
                self.launch();
                true
            }
            Err(_) => {
                self.fly(flight.collected, APPEND_PAUSE);
                false
            }
        }
    }

    fn launch(&mut self) -> bool {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        let Some(mut all) = waiting.next() else { return false };
        waiting.for_each(|more| all.add(more));
        self.ingest.ahead.fetch_sub(std::mem::take(&mut self.ahead), Ordering::Relaxed);
        self.fly(all, Duration::ZERO);
        true
    }

    fn fly(&mut self, collected: Collected, pause: Duration) {
        let (ingest, batches) = (Arc::clone(&self.ingest), collected.batches.clone());
        let future = Box::pin(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            ingest.append(batches).await
        });
        self.flight = Some(Flight { future, collected });
    }

    /// Makes everything durable that was taken. When `stop` says that there is no time left, what the
    /// queue refuses is dropped and counted.
    pub async fn settle(&mut self, stop: &CancellationToken) {
        self.close();
        while self.flight.is_some() || !self.waiting.is_empty() {
            if self.progress().await || !stop.is_cancelled() {
                continue;
            }
            let flight = self.flight.take().map_or(0, |flight| flight.collected.events);
            let waiting: u64 = self.waiting.drain(..).map(|collected| collected.events).sum();
            self.ingest.dropped(&self.listener, "not_durable", flight + waiting);
        }
    }
}
