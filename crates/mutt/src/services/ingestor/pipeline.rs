//! Batches on their way to the event queue: while one append is made durable, what follows is read and
//! decoded and goes with the next one. Order is kept: one append at a time. What is refused is tried again
//! before anything after it where the sender can be made to wait, and dropped and counted where it cannot.

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
/// Bytes of closed batches that one datagram socket may have until they are durable; beyond it the socket
/// is not read, and the kernel counts what its buffer does not hold.
pub const AHEAD_DATAGRAMS_MAX: usize = 32 * 1024 * 1024;

/// What becomes of events that the queue refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They are tried again; the sender is not read meanwhile and holds back.
    Retried,
    /// They are dropped and counted: their sender cannot be made to wait.
    Dropped,
}

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
    refused: Refused,
    /// Takes the events.
    pub batcher: Batcher,
    waiting: Vec<Collected>,
    /// Bytes of what waits and of what is on its way.
    ahead: usize,
    flight: Option<Flight>,
    durable: u64,
    passed: u64,
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
            self.batcher.drop_open_sources("not_durable");
        }
        self.landed(self.ahead);
    }
}

impl Pipeline {
    /// A pipeline without events.
    #[must_use]
    pub fn new(ingest: &Arc<Ingest>, listener: &ListenerMetrics, refused: Refused) -> Self {
        Self {
            ingest: Arc::clone(ingest),
            listener: listener.clone(),
            refused,
            batcher: Batcher::new(ingest, listener),
            waiting: Vec::new(),
            ahead: 0,
            flight: None,
            durable: 0,
            passed: 0,
        }
    }

    /// How many events were made durable so far; they became so in the order in which they came.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// How many events are through so far, in the order in which they came: durable, or refused for good.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Closes the open batch; it goes with the next append.
    pub fn close(&mut self) {
        if self.batcher.is_empty() {
            return;
        }
        let collected = self.batcher.take();
        let bytes = collected.batches.iter().map(|batch| batch.as_bytes().len()).sum();
        self.ahead += bytes;
        if self.refused == Refused::Retried {
            self.ingest.ahead.fetch_add(bytes, Ordering::Relaxed);
        }
        self.waiting.push(collected);
    }

    /// Whether the sender may be read further.
    #[must_use]
    pub fn has_room(&self) -> bool {
        if self.refused == Refused::Dropped {
            return self.ahead < AHEAD_DATAGRAMS_MAX;
        }
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

    /// Whether the open batch should be closed: full, or old with nothing on its way that it could follow.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.batcher.is_full() || self.may_wait().is_some_and(|left| left.is_zero())
    }

    /// Makes what waits durable, one append after the other. Returns after each append, `false` when
    /// it was refused (see [`Refused`]); never returns while there is nothing to do. May be dropped and
    /// called again at any time.
    pub async fn progress(&mut self) -> bool {
        if self.flight.is_none() && !self.launch() {
            return std::future::pending().await;
        }
        let Some(flight) = &mut self.flight else { return true };
        let result = flight.future.as_mut().await;
        let Some(flight) = self.flight.take() else { return true };
        let done = &flight.collected;
        match (&result, self.refused) {
            (Ok(()), _) => {
                self.listener.stored(done.events, done.bytes, done.parse);
                self.durable += done.events;
                self.batcher.note_sources();
            }
            (Err(error), Refused::Dropped) => {
                let reason = match error {
                    QueueError::Full(_) => "queue_full",
                    _ => "not_durable",
                };
                self.ingest.dropped(&self.listener, reason, done.events);
                self.batcher.drop_sources(reason);
            }
            (Err(_), Refused::Retried) => {
                self.fly(flight.collected, flight.bytes, APPEND_PAUSE);
                return false;
            }
        }
        self.passed += done.events;
        self.landed(flight.bytes);
        if self.refused == Refused::Retried {
            // What was begun meanwhile does not wait for its age: its sender may wait for us.
            self.close();
        }
        self.launch();
        result.is_ok()
    }

    fn launch(&mut self) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        // All that was taken goes: its sources are those of this append.
        self.close();
        self.batcher.seal_sources();
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
        if self.refused == Refused::Retried {
            self.ingest.ahead.fetch_sub(bytes, Ordering::Relaxed);
        }
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

    /// Whether everything that was taken is through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batcher.is_empty() && self.waiting.is_empty() && self.flight.is_none()
    }

    /// Makes everything durable that was taken. When `stop` says that there is no time left, what the
    /// queue refuses is dropped and counted, whatever [`Refused`] says.
    pub async fn settle(&mut self, stop: &CancellationToken) {
        self.close();
        while self.flight.is_some() || !self.waiting.is_empty() {
            let took = self.progress().await;
            if took || self.refused == Refused::Dropped || !stop.is_cancelled() {
                continue;
            }
            let flight = self.flight.take().map_or(0, |flight| flight.collected.events);
            let waiting: u64 = self.waiting.drain(..).map(|collected| collected.events).sum();
            self.ingest.dropped(&self.listener, "not_durable", flight + waiting);
            self.batcher.drop_sources("not_durable");
            self.batcher.drop_open_sources("not_durable");
            self.landed(self.ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use mutt_model::batch::BATCH_EVENTS_MAX;

    use super::super::testing::{Bench, event};
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_are_ahead_until_they_are_durable() {
        let bench = Bench::new(3);
        let mut pipeline = Pipeline::new(&bench.ingest, &bench.metrics, Refused::Retried);
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
        assert!(Pipeline::new(&bench.ingest, &bench.metrics, Refused::Retried).has_room());
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

    #[tokio::test(flavor = "multi_thread")]
    async fn a_source_is_heard_when_its_events_are_durable_and_what_is_refused_is_counted_once() {
        let bench = Bench::new(3);
        let mut pipeline = Pipeline::new(&bench.ingest, &bench.metrics, Refused::Dropped);
        let push = |pipeline: &mut Pipeline, host: &str, count: usize| {
            (0..count).for_each(|_| pipeline.batcher.push(&event(host)));
            pipeline.close();
        };
        push(&mut pipeline, "r1", 2);
        assert!(bench.ingest.sources.is_empty());
        // What comes while an append is on its way is not part of it.
        let _ = pipeline.progress().now_or_never();
        push(&mut pipeline, "r1", 2);
        while pipeline.passed() < 4 {
            pipeline.progress().await;
        }
        push(&mut pipeline, "r2", 1);
        assert!(pipeline.progress().await, "there is room for one more");
        let mut told = bench.ingest.sources.drain(9);
        told.sort_by(|a, b| a.key.cmp(&b.key));
        let seen: Vec<_> =
            told.iter().map(|d| (d.events, d.dropped.get("queue_full").copied())).collect();
        assert_eq!(seen, [(2, Some(2)), (1, None)], "{told:?}");
        assert_eq!((bench.dropped("queue_full"), pipeline.durable()), (2, 3));
        // One whose task is stopped in the middle counts what it had.
        pipeline.batcher.push(&event("r1"));
        pipeline.close();
        pipeline.batcher.push(&event("r1"));
        drop(pipeline);
        assert_eq!(bench.dropped("not_durable"), 2);
        let told = bench.ingest.sources.drain(9);
        assert_eq!((told[0].events, told[0].dropped["not_durable"]), (0, 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_socket_that_cannot_wait_reads_a_bounded_amount_ahead() {
        let bench = Bench::new(1_000_000);
        let mut pipeline = Pipeline::new(&bench.ingest, &bench.metrics, Refused::Dropped);
        let (host, mut sent) = ("h".repeat(500), 0);
        while pipeline.has_room() {
            (0..BATCH_EVENTS_MAX).for_each(|_| pipeline.batcher.push(&event(&host)));
            sent += BATCH_EVENTS_MAX as u64;
            pipeline.close();
            assert!(sent < 100_000, "it reads without end");
        }
        assert_eq!(
            bench.ingest.ahead.load(Ordering::Relaxed),
            0,
            "that is the room of connections"
        );
        // Connections that hold all of their room do not keep it from being read.
        bench.ingest.ahead.fetch_add(AHEAD_BYTES_MAX, Ordering::Relaxed);
        assert!(pipeline.progress().await);
        assert!(pipeline.has_room());
        // At the end everything is made durable, though there is no time left.
        pipeline.batcher.push(&event("r1"));
        let stop = CancellationToken::new();
        stop.cancel();
        pipeline.settle(&stop).await;
        assert_eq!((pipeline.durable(), pipeline.passed()), (sent + 1, sent + 1));
        assert_eq!(bench.ingest.queue.stats().appended_events, sent + 1);
    }
}
