//! The Ingestor: frames from every listener become events, events become batches, batches become
//! durable in the event queue; only then is a sender told so.

pub mod answered;
pub mod batcher;
pub mod connection;
pub mod http;
pub mod pipeline;
pub mod relp;
pub mod snmp_door;
pub mod snmp_engine;
pub mod snmp_tcp;
pub mod snmp_udp;
pub mod snmp_usm;
pub mod sources;
pub mod streams;
pub mod syslog_tcp;
pub mod syslog_udp;
#[cfg(test)]
mod testing;
pub mod told;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mutt_model::metrics as names;
use mutt_model::{Batch, Clock, ParseStatus, codes};
use mutt_store::queue::{EventQueue, QueueError, SpillStats};
use mutt_store::store::{ListenerReport, SocketReport};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use self::sources::{NOT_ALLOWED, SOURCES_DEFAULT, Sources};
use self::told::Told;
use crate::health::HealthBoard;
use crate::services::Service;
use crate::telemetry::metrics::{Counters, FloatCounters, Gauges, ServiceMetrics, raise_to};

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
    /// Who was heard, and who may send.
    pub sources: Arc<Sources>,
    /// Peers that were refused because of who they are or how much they send.
    kept_out: Told,
    /// What each listener counted, for the report of this process.
    tallies: Mutex<BTreeMap<&'static str, Tally>>,
    /// Senders whose connection was closed for what came over it.
    pub closed: Told,
    /// Senders over HTTP whose request was refused.
    pub requests: Told,
    /// Senders whose certificate was shown.
    pub introduced: Told,
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
    arrived: Counters,
    given_back: Counters,
    bytes: Counters,
    parse: Counters,
    dropped: Counters,
    /// Events over HTTP by the key that they came with.
    pub by_key: Counters,
    /// Open connections.
    pub connections: Gauges,
    /// Connections over the limit.
    pub refused: Counters,
    /// Connections of peers that may not send.
    pub not_allowed: Counters,
    /// Seconds in which streams over their limit were not read.
    pub held_back: FloatCounters,
    /// Connections that did not end by their sender's will.
    pub closed: Counters,
    /// Messages kept in part.
    pub cut: Counters,
    /// Receive buffers granted.
    pub receive_buffer: Gauges,
    /// Bytes waiting in receive buffers.
    pub receive_queue: Gauges,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: Counters,
}

impl IngestMetrics {
    fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            requests: metrics.counters(&names::INGEST_REQUESTS),
            latency: metrics.histogram(&names::INGEST_LATENCY),
            received: metrics.counters(&names::INGEST_RECEIVED),
            arrived: metrics.counters(&names::INGEST_ARRIVED),
            given_back: metrics.counters(&names::INGEST_GIVEN_BACK),
            bytes: metrics.counters(&names::INGEST_BYTES),
            parse: metrics.counters(&names::INGEST_PARSE),
            dropped: metrics.counters(&names::INGEST_DROPPED),
            by_key: metrics.counters(&names::INGEST_BY_KEY),
            connections: metrics.gauges(&names::INGEST_CONNECTIONS),
            refused: metrics.counters(&names::INGEST_REFUSED),
            not_allowed: metrics.counters(&names::INGEST_NOT_ALLOWED),
            held_back: metrics.float_counters(&names::INGEST_HELD_BACK),
            closed: metrics.counters(&names::INGEST_CLOSED),
            cut: metrics.counters(&names::INGEST_CUT),
            receive_queue: metrics.gauges(&names::INGEST_RCVQUEUE),
            receive_buffer: metrics.gauges(&names::INGEST_RCVBUF),
            kernel_drops: metrics.counters(&names::INGEST_KERNEL_DROPS),
        }
    }
}

/// A listener's counters, and its sockets: address, inode, granted buffer.
#[derive(Debug, Default)]
struct Tally {
    counters: Option<ListenerMetrics>,
    dropped: BTreeMap<&'static str, u64>,
    sockets: Vec<(String, u64, usize)>,
}

/// One listener's counters, resolved once.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    name: &'static str,
    /// Frames, where they are read; independent of what becomes of them.
    pub arrived: Counter,
    received: Counter,
    given_back: Counter,
    bytes: Counter,
    parse: [Counter; 3],
    dropped: Counters,
}

impl ListenerMetrics {
    /// Counts frames that their sender still has, or that hold no event.
    pub fn gave_back(&self, frames: u64) {
        self.given_back.inc_by(frames);
    }

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
        let sources = Arc::new(Sources::new(clock.clone(), SOURCES_DEFAULT));
        source_gauges(&sources, metrics);
        board.set(Service::Ingestor, true, "running");
        Self {
            board,
            ahead: AtomicUsize::new(0),
            refused: Told::default(),
            sources,
            kept_out: Told::default(),
            tallies: Mutex::default(),
            closed: Told::default(),
            requests: Told::default(),
            introduced: Told::default(),
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
        let metrics = ListenerMetrics {
            name,
            arrived: self.metrics.arrived.get_or_create(&labels).clone(),
            received: self.metrics.received.get_or_create(&labels).clone(),
            given_back: self.metrics.given_back.get_or_create(&labels).clone(),
            bytes: self.metrics.bytes.get_or_create(&labels).clone(),
            parse,
            dropped: self.metrics.dropped.clone(),
        };
        self.tally(name, |tally| tally.counters = Some(metrics.clone()));
        metrics
    }

    fn tally<T>(&self, name: &'static str, work: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        work(tallies.entry(name).or_default())
    }

    /// A datagram socket of a listener, whose drops are told in the report of this process.
    pub fn watch_socket(&self, name: &'static str, address: &str, inode: u64, granted: usize) {
        self.tally(name, |tally| tally.sockets.push((address.to_owned(), inode, granted)));
    }

    /// Whether the event queue does not take events now.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// What each listener counted since the start.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerReport> {
        let listed = crate::net::kernel::udp_sockets();
        let socket = |(address, inode, granted): &(String, u64, usize)| {
            let state = listed.get(inode).copied().unwrap_or_default();
            SocketReport {
                address: address.clone(),
                kernel_drops: state.drops,
                waiting: state.waiting,
                buffer: *granted as u64,
            }
        };
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |(name, tally): (&&'static str, &Tally)| {
            let of = |counter: fn(&ListenerMetrics) -> &Counter| {
                tally.counters.as_ref().map_or(0, |counters| counter(counters).get())
            };
            ListenerReport {
                name: (*name).to_owned(),
                // What became of frames is read before how many there are: nothing ends before it began.
                stored: of(|counters| &counters.received),
                bytes: of(|counters| &counters.bytes),
                given_back: of(|counters| &counters.given_back),
                dropped: tally.dropped.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
                arrived: of(|counters| &counters.arrived),
                sockets: tally.sockets.iter().map(socket).collect(),
            }
        };
        tallies.iter().map(report).collect()
    }

    /// Counts frames dropped before the append, in metric and ledger.
    pub fn dropped(&self, listener: &ListenerMetrics, reason: &'static str, events: u64) {
        if events == 0 {
            return;
        }
        let labels = vec![("listener", listener.name.to_owned()), ("reason", reason.to_owned())];
        listener.dropped.get_or_create(&labels).inc_by(events);
        self.tally(listener.name, |tally| *tally.dropped.entry(reason).or_default() += events);
        self.queue.count_dropped(reason, events);
    }

    /// Whether a datagram of this peer is taken; what is not is counted, and told of once in a while.
    pub fn admits(&self, listener: &ListenerMetrics, peer: IpAddr) -> bool {
        let Some(reason) = self.sources.admit(peer, listener.name) else { return true };
        self.dropped(listener, reason, 1);
        self.tell_kept_out(listener.name, peer, reason);
        false
    }

    /// Whether this peer may connect; one that may not is counted, and told of once in a while.
    pub fn lets_connect(&self, listener: &ListenerMetrics, peer: IpAddr) -> bool {
        let lets = self.sources.may_connect(peer, listener.name);
        if !lets {
            let labels = vec![("listener", listener.name.to_owned())];
            self.metrics.not_allowed.get_or_create(&labels).inc();
            self.sources.refused(peer, listener.name, NOT_ALLOWED, 1);
            self.tell_kept_out(listener.name, peer, NOT_ALLOWED);
        }
        lets
    }

    /// Counts that a stream over its limit was not read for so long, and tells of it once in a while.
    pub fn held_back(&self, listener: &'static str, peer: IpAddr, time: Duration) {
        self.sources.held_back(peer, listener, time);
        let labels = vec![("listener", listener.to_owned())];
        self.metrics.held_back.get_or_create(&labels).inc_by(time.as_secs_f64());
        self.tell_kept_out(listener, peer, sources::SOURCE_LIMIT);
    }

    fn tell_kept_out(&self, listener: &'static str, peer: IpAddr, reason: &'static str) {
        if !self.kept_out.is_news_about(peer, ["", reason], self.clock.monotonic()) {
            return;
        }
        if reason == NOT_ALLOWED {
            tracing::warn!(code = %codes::INGEST_NOT_ALLOWED, %peer, listener, "a sender that no allow-list names was refused: add it to ingestor.allow, or stop it; it is only counted for a minute");
        } else {
            tracing::warn!(code = %codes::INGEST_SOURCE_LIMIT, %peer, listener, "a sender is over its limit in ingestor.limits: its datagrams are dropped, its streams are held back; it is only counted for a minute");
        }
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

    /// Whether the queue took what was offered to it last.
    #[must_use]
    pub fn takes_events(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
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

fn source_gauges(sources: &Arc<Sources>, metrics: &ServiceMetrics) {
    let known = metrics.gauge(&names::INGEST_SOURCES);
    let untracked = metrics.counter(&names::INGEST_UNTRACKED);
    let sources = Arc::clone(sources);
    metrics.on_scrape(move || {
        known.set(sources.len() as f64);
        raise_to(&untracked, sources.untracked());
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
