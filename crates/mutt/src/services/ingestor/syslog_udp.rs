//! Syslog over UDP: many datagrams a call, one event each. A sender cannot be told to wait: when the
//! queue does not take a batch it is dropped and counted; what the kernel drops is a metric.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mutt_model::ParseStatus;
use mutt_wire::syslog::framing::NOTE_CUT;
use mutt_wire::{Frame, syslog};
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use super::batcher::Batcher;
use super::{Ingest, ListenerMetrics};
use crate::net::udp::{Listener, Room};

/// The listener's name in events and metrics.
pub const NAME: &str = "syslog-udp";
/// At shutdown datagrams are read for this long at most.
pub const DRAIN_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads one socket until `stop`, then what the kernel still holds.
///
/// # Errors
///
/// When the socket fails; the supervisor starts the stage again.
pub async fn run(
    ingest: Arc<Ingest>,
    socket: Arc<Listener>,
    reading: Reading,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = ingest.listener(NAME);
    let mut batcher = Batcher::new(&ingest, &metrics);
    let mut room = Room::counting(&metrics.arrived);
    let cut = ingest.metrics.cut.get_or_create(&vec![("listener", NAME.to_owned())]).clone();
    let mut state = State { reading, cut, last_peer: None, peer: String::new() };
    loop {
        let wait = batcher.may_wait();
        let received = tokio::select! {
            () = stop.cancelled() => break,
            () = pause(wait) => Ok(0),
            received = receive(&ingest, &socket, &mut room, &mut batcher, &metrics, &mut state) => received,
        };
        if let Err(error) = received {
            // The stage starts again without what was collected.
            batcher.flush_or_drop().await;
            return Err(format!("{NAME} on {}: {error}", socket.local()));
        }
        if batcher.is_full() || batcher.may_wait().is_some_and(|left| left.is_zero()) {
            batcher.flush_or_drop().await;
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &mut batcher, &metrics, &mut state);
        let more = socket.receive_now(&mut room, each).unwrap_or(0);
        batcher.flush_or_drop().await;
        // Senders go on sending: what comes after this time is the next run's, or the kernel's.
        if more == 0 || ingest.clock.monotonic() >= late {
            return Ok(());
        }
    }
}

/// Waits as long as an open batch may; for ever when none is open.
pub async fn pause(wait: Option<std::time::Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

async fn receive(
    ingest: &Ingest,
    socket: &Listener,
    room: &mut Room,
    batcher: &mut Batcher,
    metrics: &ListenerMetrics,
    state: &mut State,
) -> std::io::Result<usize> {
    socket.receive(room, decoder(ingest, batcher, metrics, state)).await
}

/// How datagrams are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `ingestor.syslog.max_message`
    pub max_message: usize,
    /// How texts are read.
    pub options: syslog::Options,
}

/// What goes from one call to the next.
struct State {
    reading: Reading,
    cut: Counter,
    /// The sender of the last datagram, and its text.
    last_peer: Option<SocketAddr>,
    peer: String,
}

fn decoder(
    ingest: &Ingest,
    batcher: &mut Batcher,
    metrics: &ListenerMetrics,
    state: &mut State,
) -> impl FnMut(&[u8], SocketAddr, Option<IpAddr>) {
    move |bytes, peer, _| {
        if bytes.is_empty() {
            ingest.dropped(metrics, "empty", 1);
            return;
        }
        if !ingest.admits(metrics, peer.ip()) {
            return;
        }
        let State { reading, cut, last_peer, peer: text } = &mut *state;
        if *last_peer != Some(peer) {
            text.clear();
            // Writing to memory does not fail.
            let _ = write!(text, "{peer}");
            *last_peer = Some(peer);
        }
        let kept = bytes.get(..reading.max_message);
        // Asked here and not before: the call may have waited for hours.
        let received_at = ingest.clock.wall();
        let id = batcher.id(received_at);
        let raw = kept.unwrap_or(bytes);
        let frame = Frame { id, received_at, listener: NAME, peer: text, raw };
        let mut event = syslog::decode(frame, &reading.options);
        if raw.len() < bytes.len() {
            cut.inc();
            event.note(ParseStatus::Partial, NOTE_CUT);
        }
        batcher.push(&event);
    }
}
