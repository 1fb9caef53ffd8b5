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
/// Bytes of closed batches that all connections together may have until they are durable; each may
/// always have one batch.
pub const AHEAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An append on its way.
struct Flight {
    future: BoxFuture<'static, Result<(), QueueError>>,
    collected: Collected,
    /// Its part of what is not durable.
    bytes: usize,
}

/// See the module.
pub struct Pipeline {
    ingest: Arc<Ingest>,
    listener: ListenerMetrics,
    /// Takes the events.
    pub batcher: Batcher,
    waiting: Vec<Collected>,
    /// Bytes of what waits and of what is on its way.
    ahead: usize,
    flight: Option<Flight>,
    durable: u64,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let waiting: u64 = self.waiting.drain(..).map(|collected| collected.events).sum();
        if waiting > 0 {
            self.ingest.dropped(&self.listener, "not_durable", waiting);
            self.batcher.drop_sources("not_durable");
        }
        self.landed(self.ahead);
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
            durable: 0,
        }
    }

    /// How many events were made durable so far; they became so in the order in which they came.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
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
        (self.waiting.is_empty() && self.flight.is_none())
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
                self.durable += done.events;
                // The queue takes this sender's events: what of them still waits is tried until it is
                // taken.
                self.batcher.note_sources();
                self.landed(flight.bytes);
                // What was begun meanwhile does not wait for its age.
                self.close();
                self.launch();
                true
            }
            Err(_) => {
                self.fly(flight.collected, flight.bytes, APPEND_PAUSE);
                false
            }
        }
    }

    fn launch(&mut self) -> bool {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        let Some(mut all) = waiting.next() else { return false };
        waiting.for_each(|more| all.add(more));
        // Nothing else is on its way: it is all of what is not durable.
        self.fly(all, self.ahead, Duration::ZERO);
        true
    }

    /// So many bytes are no longer held for an append.
    fn landed(&mut self, bytes: usize) {
        self.ahead -= bytes;
        self.ingest.ahead.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn fly(&mut self, collected: Collected, bytes: usize, pause: Duration) {
        let (ingest, batches) = (Arc::clone(&self.ingest), collected.batches.clone());
        let future = Box::pin(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            ingest.append(batches).await
        });
        self.flight = Some(Flight { future, collected, bytes });
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
            self.batcher.drop_sources("not_durable");
            self.landed(self.ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, event};
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_are_ahead_until_they_are_durable() {
        let bench = Bench::new(3);
        let mut pipeline = Pipeline::new(&bench.ingest, &bench.metrics);
        let close = |pipeline: &mut Pipeline| {
            (0..2).for_each(|_| pipeline.batcher.push(&event("r1")));
            pipeline.close();
            bench.ingest.ahead.load(Ordering::Relaxed)
        };
        assert!(close(&mut pipeline) > 0);
        assert!(pipeline.progress().await, "there is room for two");
        assert_eq!(bench.ingest.ahead.load(Ordering::Relaxed), 0);
        let ahead = close(&mut pipeline);
        assert!(!pipeline.progress().await, "and none for four");
        assert_eq!(bench.ingest.ahead.load(Ordering::Relaxed), ahead, "on its way, not durable");
        assert!(pipeline.has_room());
        // Others have the rest of the room: one batch each, on its way or waiting.
        bench.ingest.ahead.fetch_add(AHEAD_BYTES_MAX, Ordering::Relaxed);
        assert!(!pipeline.has_room());
        assert!(Pipeline::new(&bench.ingest, &bench.metrics).has_room());
        let stop = CancellationToken::new();
        stop.cancel();
        pipeline.settle(&stop).await;
        assert_eq!(bench.ingest.ahead.load(Ordering::Relaxed), AHEAD_BYTES_MAX);
        assert_eq!(bench.dropped("not_durable"), 2);
        let told = bench.ingest.sources.drain(9);
        assert_eq!((told[0].events, told[0].dropped["not_durable"]), (2, 2));
        // One whose task is stopped in the middle counts what it had.
        close(&mut pipeline);
        pipeline.batcher.push(&event("r1"));
        drop(pipeline);
        assert_eq!(bench.ingest.ahead.load(Ordering::Relaxed), AHEAD_BYTES_MAX);
        assert_eq!(bench.dropped("not_durable"), 5);
    }
}
