//! What connections of syslog, RELP and SNMP have in common: the bytes that were read, how long a sender may
//! take, and frames into events.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, Event, ParseStatus, Timestamp};
use mutt_wire::syslog::framing::NOTE_CUT;
use mutt_wire::{Frame, syslog};
use prometheus_client::metrics::counter::Counter;

use super::pipeline::{Pipeline, Refused};
use super::streams::Limits;
use super::{Ingest, ListenerMetrics};

/// A connection reads into a buffer of at most this size, or of the longest message if that is longer.
pub const READ_BUFFER: usize = 256 * 1024;
/// A connection begins with this size: thousands of quiet senders cost little.
pub const READ_BUFFER_FIRST: usize = 8 * 1024;
/// At shutdown a sender gets this long to see our half-close and to end.
pub const HALF_CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// By the sender's will or ours.
    Well,
    /// Not a byte for too long.
    Idle,
    /// A message that was begun did not arrive.
    Slow,
    /// On the way.
    Broken(String),
    /// What came is no RELP.
    NoRelp(&'static str),
    /// What came is no SNMP.
    NoSnmp(&'static str),
}

/// Who sends over a connection.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The listener's name.
    pub listener: &'static str,
    /// Address and port of the sender.
    pub peer: String,
    /// The proxy that passes its connection on, where there is one.
    pub proxy: Option<Proxy>,
}

/// A connection that came through a proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The proxy's address.
    pub address: String,
    /// The sender's address.
    pub client: String,
}

impl Proxy {
    /// Says in the event who passed it on. A relay that the message itself names is nearer to the
    /// device than the proxy.
    pub fn note<'a>(&'a self, event: &mut Event<'a>) {
        if event.relay.as_ref().is_none_or(|relay| *relay == self.client) {
            event.relay = Some(self.address.as_str().into());
        }
    }
}

/// Bytes that were read and not yet taken.
#[derive(Debug)]
pub struct Inbox {
    buffer: Vec<u8>,
    filled: usize,
    most: usize,
}

impl Inbox {
    /// An empty one that holds at least `needed` bytes when it must.
    #[must_use]
    pub fn new(needed: usize) -> Self {
        Self { buffer: vec![0; READ_BUFFER_FIRST], filled: 0, most: READ_BUFFER.max(needed) }
    }

    /// Where more is read to.
    pub fn room(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            self.grow();
        }
        &mut self.buffer[self.filled..]
    }

    /// So much was read.
    pub fn filled(&mut self, count: usize) {
        self.filled += count;
        if self.filled == self.buffer.len() {
            // A sender that fills it has more to say.
            self.grow();
        }
    }

    fn grow(&mut self) {
        let length = (self.buffer.len() * 2).min(self.most);
        self.buffer.resize(length, 0);
    }

    /// What was read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Drops bytes from the front.
    pub fn drop_front(&mut self, count: usize) {
        self.take_out(0..count);
    }

    /// Drops bytes from the middle.
    pub fn take_out(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.buffer.copy_within(range.end..self.filled, range.start);
        self.filled -= range.len();
    }
}

/// Frames of one sender into events, and their way to the event queue.
#[derive(Debug)]
pub struct Intake {
    /// Where the events go.
    pub pipeline: Pipeline,
    /// Time of receipt.
    pub clock: Clock,
    /// Longest message.
    pub max_message: usize,
    /// How long the sender may take.
    pub patience: Patience,
    ingest: Arc<Ingest>,
    metrics: ListenerMetrics,
    sender: Sender,
    address: IpAddr,
    options: Arc<syslog::Options>,
    cut: Counter,
    /// Messages that the sender's limit does not know of yet.
    uncharged: u64,
    /// Over its limit the sender is not read until then.
    held_until: Option<Duration>,
}

impl Intake {
    /// For one connection.
    #[must_use]
    pub fn new(
        ingest: &Arc<Ingest>,
        metrics: &ListenerMetrics,
        sender: Sender,
        limits: &Limits,
    ) -> Self {
        let labels = vec![("listener", sender.listener.to_owned())];
        let address = sender.peer.parse::<SocketAddr>().map(|peer| peer.ip());
        Self {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            uncharged: 0,
            held_until: None,
            pipeline: Pipeline::new(ingest, metrics, Refused::Retried),
            clock: ingest.clock.clone(),
            max_message: limits.max_message,
            patience: Patience::new(
                limits.idle_timeout,
                limits.message_timeout,
                ingest.clock.monotonic(),
            ),
            ingest: Arc::clone(ingest),
            metrics: metrics.clone(),
            options: Arc::clone(&limits.options),
            cut: ingest.metrics.cut.get_or_create(&labels).clone(),
            sender,
        }
    }

    /// How long the sender is not read because it is over its limit.
    pub fn held(&mut self) -> Option<Duration> {
        let now = self.clock.monotonic();
        if let Some(until) = self.held_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        if self.uncharged == 0 && self.held_until.is_none() {
            return None;
        }
        let wait = self.ingest.sources.charge(self.address, std::mem::take(&mut self.uncharged));
        if let Some(wait) = wait {
            self.ingest.held_back(self.sender.listener, self.address, wait);
        }
        self.held_until = wait.map(|wait| now + wait);
        wait
    }

    /// One message into the open batch.
    pub fn message(&mut self, raw: &[u8], cut: bool, received_at: Timestamp) {
        self.uncharged += 1;
        self.metrics.arrived.inc();
        let id = self.pipeline.batcher.id(received_at);
        let Sender { listener, peer, proxy } = &self.sender;
        let frame = Frame { id, received_at, listener, peer, raw };
        let mut event = syslog::decode(frame, &self.options);
        if cut {
            self.cut.inc();
            event.note(ParseStatus::Partial, NOTE_CUT);
        }
        if let Some(proxy) = proxy {
            proxy.note(&mut event);
        }
        self.pipeline.batcher.push(&event);
        if self.pipeline.batcher.is_full() {
            self.pipeline.close();
        }
    }

    /// One SNMP message into the open batch; gives what it is owed.
    pub fn snmp(
        &mut self,
        door: &super::snmp_door::Door,
        peer: SocketAddr,
        raw: &[u8],
    ) -> Option<super::snmp_door::Answer> {
        self.uncharged += 1;
        self.metrics.arrived.inc();
        let from = super::snmp_door::Origin {
            peer,
            text: &self.sender.peer,
            proxy: self.sender.proxy.as_ref(),
            received_at: self.clock.wall(),
        };
        door.take((&self.ingest, &self.metrics), &mut self.pipeline.batcher, from, raw)
    }

    /// Counts what cannot be taken from a stream whose bounds are lost.
    pub fn lost(&self, reason: &'static str) {
        self.metrics.arrived.inc();
        self.ingest.dropped(&self.metrics, reason, 1);
    }

    /// Counts a message without a byte.
    pub fn empty(&self) {
        self.metrics.arrived.inc();
        self.ingest.dropped(&self.metrics, "empty", 1);
    }
}

/// How long a sender may take. It is measured while it is read, not while it is held back; times are
/// those of a monotonic clock.
#[derive(Debug)]
pub struct Patience {
    idle: Duration,
    message: Duration,
    heard: Duration,
    /// When the message that is not whole yet was begun.
    begun: Option<Duration>,
}

impl Patience {
    /// From now on.
    #[must_use]
    pub fn new(idle: Duration, message: Duration, now: Duration) -> Self {
        Self { idle, message, heard: now, begun: None }
    }

    /// Bytes came; `whole`: a message of them was whole, `rest`: another one is not.
    pub fn heard(&mut self, now: Duration, whole: bool, rest: bool) {
        self.heard = now;
        if !rest {
            self.begun = None;
        } else if whole || self.begun.is_none() {
            self.begun = Some(now);
        }
    }

    /// The sender is not read: it cannot be late.
    pub fn held_back(&mut self, now: Duration) {
        self.heard = now;
        self.begun = self.begun.map(|_| now);
    }

    /// How long it may still take.
    #[must_use]
    pub fn left(&self, now: Duration) -> Duration {
        let idle = self.heard + self.idle;
        self.begun.map_or(idle, |begun| idle.min(begun + self.message)).saturating_sub(now)
    }

    /// What it then was.
    #[must_use]
    pub fn over(&self) -> Ended {
        if self.begun.is_some() { Ended::Slow } else { Ended::Idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_grows_as_far_as_it_must_and_keeps_what_it_has() {
        let mut inbox = Inbox::new(300 * 1024);
        assert_eq!(inbox.room().len(), READ_BUFFER_FIRST);
        let mut written = 0_u8;
        while inbox.bytes().len() < 300 * 1024 {
            let room = inbox.room();
            assert!(!room.is_empty(), "it stalls");
            room[0] = written;
            written = written.wrapping_add(1);
            let count = room.len().min(1);
            inbox.filled(count);
            let rest = inbox.room().len();
            inbox.filled(rest);
        }
        assert_eq!(inbox.buffer.len(), 300 * 1024);
        let second = inbox.bytes()[READ_BUFFER_FIRST];
        inbox.take_out(0..READ_BUFFER_FIRST);
        assert_eq!((inbox.bytes()[0], inbox.bytes().len()), (second, 292 * 1024));
        inbox.drop_front(292 * 1024);
        assert!(inbox.bytes().is_empty());
    }

    #[test]
    fn a_sender_may_be_silent_for_long_and_a_message_may_not_take_long() {
        let secs = Duration::from_secs;
        let mut patience = Patience::new(secs(100), secs(10), secs(1_000));
        assert_eq!(patience.left(secs(1_000)), secs(100));
        patience.heard(secs(1_000), true, true);
        assert_eq!(patience.left(secs(1_000)), secs(10));
        patience.heard(secs(1_005), false, true);
        assert_eq!(patience.left(secs(1_005)), secs(5), "slow bytes do not help");
        patience.heard(secs(1_005), true, true);
        assert_eq!(patience.left(secs(1_005)), secs(10), "the next message has its own time");
        patience.held_back(secs(1_010));
        assert_eq!(patience.left(secs(1_010)), secs(10));
        assert!(matches!(patience.over(), Ended::Slow));
        patience.heard(secs(1_010), true, false);
        assert_eq!(patience.left(secs(1_010)), secs(100));
        assert_eq!(patience.left(secs(2_000)), Duration::ZERO);
        assert!(matches!(patience.over(), Ended::Idle));
    }
}
