//! The Ingestor: frames from every listener become events, events become batches, batches become
//! durable in the event queue; only then is a sender told so.

pub mod batcher;
pub mod http;
pub mod pipeline;
pub mod snmp_udp;
pub mod syslog_tcp;
pub mod syslog_udp;
pub mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use mutt_model::metrics as names;
use mutt_model::{Batch, Clock, ParseStatus, codes};
use mutt_store::queue::{EventQueue, QueueError, SpillStats};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use self::told::Told;
use crate::health::HealthBoard;
use crate::services::Service;
use crate::telemetry::metrics::{Counters, Gauges, ServiceMetrics, raise_to};

/// Pause before an append is tried again when the queue is full or its disk fails.
pub const APPEND_PAUSE: Duration = Duration::from_millis(100);

/// What all listeners share.
#[derive(Debug)]
pub struct Ingest {
    /// Where events become durable.
    pub queue: Arc<dyn EventQueue>,
    /// Time of receipt.
    pub clock: Clock,
    /// What is counted.
    pub metrics: IngestMetrics,
    board: Arc<HealthBoard>,
    /// Senders whose connection was one too many.
    pub refused: Told,
    /// Bytes that connections have read ahead of appends on their way; see [`pipeline`].
    pub ahead: AtomicUsize,
    /// Says "full" once and "room again" once, not for every batch.
    full: std::sync::atomic::AtomicBool,
}

/// The Ingestor's metrics.
#[derive(Debug)]
pub struct IngestMetrics {
    /// HTTP requests by outcome.
    pub requests: Counters,
    /// Seconds to a durable answer.
    pub latency: Histogram,
    received: Counters,
    bytes: Counters,
    parse: Counters,
    dropped: Counters,
    /// Open connections.
    pub connections: Gauges,
    /// Connections over the limit.
    pub refused: Counters,
    /// Receive buffers granted.
    pub receive_buffer: Gauges,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: Counters,
}

impl IngestMetrics {
    fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            requests: metrics.counters(&names::INGEST_REQUESTS),
            latency: metrics.histogram(&names::INGEST_LATENCY),
            received: metrics.counters(&names::INGEST_RECEIVED),
            bytes: metrics.counters(&names::INGEST_BYTES),
            parse: metrics.counters(&names::INGEST_PARSE),
            dropped: metrics.counters(&names::INGEST_DROPPED),
            connections: metrics.gauges(&names::INGEST_CONNECTIONS),
            refused: metrics.counters(&names::INGEST_REFUSED),
            receive_buffer: metrics.gauges(&names::INGEST_RCVBUF),
            kernel_drops: metrics.counters(&names::INGEST_KERNEL_DROPS),
        }
    }
}

/// One listener's counters, resolved once.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    name: &'static str,
    received: Counter,
    bytes: Counter,
    parse: [Counter; 3],
    dropped: Counters,
}

impl ListenerMetrics {
    /// Counts a batch that became durable.
    pub fn stored(&self, events: u64, bytes: u64, parse: [u64; 3]) {
        self.received.inc_by(events);
        self.bytes.inc_by(bytes);
        for (counter, by) in self.parse.iter().zip(parse) {
            if by > 0 {
                counter.inc_by(by);
            }
        }
    }
}

impl Ingest {
    /// The shared part, with the gauges of the event queue on every scrape.
    #[must_use]
    pub fn new(
        queue: Arc<dyn EventQueue>,
        clock: Clock,
        board: Arc<HealthBoard>,
        metrics: &ServiceMetrics,
    ) -> Self {
        queue_gauges(&queue, &clock, metrics);
        board.set(Service::Ingestor, true, "running");
        Self {
            board,
            ahead: AtomicUsize::new(0),
            refused: Told::default(),
            queue,
            clock,
            metrics: IngestMetrics::new(metrics),
            full: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Counters of one listener.
    #[must_use]
    pub fn listener(&self, name: &'static str) -> ListenerMetrics {
        let labels = vec![("listener", name.to_owned())];
        let parse = [ParseStatus::Ok, ParseStatus::Partial, ParseStatus::Failed].map(|status| {
            let mut labels = labels.clone();
            labels.push(("status", status.name().to_owned()));
            self.metrics.parse.get_or_create(&labels).clone()
        });
        ListenerMetrics {
            name,
            received: self.metrics.received.get_or_create(&labels).clone(),
            bytes: self.metrics.bytes.get_or_create(&labels).clone(),
            parse,
            dropped: self.metrics.dropped.clone(),
        }
    }

    /// Counts frames dropped before the append, in metric and ledger.
    pub fn dropped(&self, listener: &ListenerMetrics, reason: &'static str, events: u64) {
        if events == 0 {
            return;
        }
        let labels = vec![("listener", listener.name.to_owned()), ("reason", reason.to_owned())];
        listener.dropped.get_or_create(&labels).inc_by(events);
        self.queue.count_dropped(reason, events);
    }

    /// Appends once. The error is logged once until it is over.
    ///
    /// # Errors
    ///
    /// The queue's.
    pub async fn append(&self, batches: Vec<Batch>) -> Result<(), QueueError> {
        let result = self.queue.append(batches, None).await;
        self.say(result.as_ref().err());
        result
    }

    /// Says that the queue refuses, once, and that it takes again, once.
    pub fn say(&self, error: Option<&QueueError>) {
        match error {
            Some(error) if !self.full.swap(true, Ordering::Relaxed) => {
                let code = code_of(error);
                self.board.set(Service::Ingestor, false, "the event queue does not take events");
                tracing::warn!(%code, %error, "the event queue does not take events; senders are held back");
            }
            None if self.full.load(Ordering::Relaxed)
                && self.full.swap(false, Ordering::Relaxed) =>
            {
                self.board.set(Service::Ingestor, true, "running");
                tracing::info!("the event queue takes events again");
            }
            _ => {}
        }
    }
}

/// The code of a queue's refusal.
#[must_use]
pub fn code_of(error: &QueueError) -> codes::Code {
    match error {
        QueueError::Full(_) => codes::INGEST_QUEUE_FULL,
        _ => codes::INGEST_NOT_DURABLE,
    }
}

fn queue_gauges(queue: &Arc<dyn EventQueue>, clock: &Clock, metrics: &ServiceMetrics) {
    let depth = metrics.gauge(&names::INGEST_QUEUE_DEPTH);
    let bytes = metrics.gauge(&names::QUEUE_BYTES);
    let oldest = metrics.gauge(&names::QUEUE_OLDEST);
    let appended = metrics.counter(&names::QUEUE_APPENDED);
    let lost = metrics.counter(&names::QUEUE_LOST);
    let syncs = metrics.counter(&names::QUEUE_SYNCS);
    let show_spill = spill_gauges(metrics);
    let (queue, clock) = (Arc::clone(queue), clock.clone());
    metrics.on_scrape(move || {
        let stats = queue.stats();
        depth.set(stats.pending_events as f64);
        bytes.set(stats.bytes as f64);
        let age = stats.oldest_received_at.map_or(Duration::ZERO, |at| clock.wall().since(at));
        oldest.set(age.as_secs_f64());
        raise_to(&appended, stats.appended_events);
        raise_to(&lost, stats.lost_events);
        raise_to(&syncs, stats.syncs);
        show_spill(stats.spill.unwrap_or_default());
    });
}

/// Gauges of the spill; all 0 where nothing can spill.
fn spill_gauges(metrics: &ServiceMetrics) -> impl Fn(SpillStats) + Send + Sync + 'static {
    let spilling = metrics.gauge(&names::QUEUE_SPILLING);
    let depth = metrics.gauge(&names::QUEUE_SPILL_DEPTH);
    let bytes = metrics.gauge(&names::QUEUE_SPILL_BYTES);
    let spilled = metrics.counter(&names::QUEUE_SPILLED);
    let drained = metrics.counter(&names::QUEUE_DRAINED);
    move |spill| {
        spilling.set(f64::from(u8::from(spill.spilling_since.is_some())));
        depth.set(spill.pending_events as f64);
        bytes.set(spill.bytes as f64);
        raise_to(&spilled, spill.spilled_events);
        raise_to(&drained, spill.drained_events);
    }
}

/// A number that a listener mirrors into a metric at each scrape.
pub type Mirrored = Arc<AtomicU64>;
