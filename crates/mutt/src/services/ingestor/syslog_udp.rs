//! Syslog over UDP: many datagrams a call, one event each. A sender cannot be told to wait: when the
//! queue does not take a batch it is dropped and counted; what the kernel drops is a metric.

use std::sync::Arc;

use mutt_wire::{Frame, syslog};
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
    options: syslog::Options,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = ingest.listener(NAME);
    let mut batcher = Batcher::new(&ingest, &metrics);
    let mut room = Room::default();
    loop {
        let wait = batcher.may_wait();
        let received = tokio::select! {
            () = stop.cancelled() => break,
            () = pause(wait) => Ok(0),
            received = receive(&ingest, &socket, &mut room, &mut batcher, &metrics, &options) => received,
        };
        received.map_err(|error| format!("{NAME} on {}: {error}", socket.local()))?;
        if batcher.is_full() || batcher.may_wait().is_some_and(|left| left.is_zero()) {
            batcher.flush_or_drop().await;
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &mut batcher, &metrics, &options);
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
    options: &syslog::Options,
) -> std::io::Result<usize> {
    socket.receive(room, decoder(ingest, batcher, metrics, options)).await
}

fn decoder(
    ingest: &Ingest,
    batcher: &mut Batcher,
    metrics: &ListenerMetrics,
    options: &syslog::Options,
) -> impl FnMut(&[u8], std::net::SocketAddr, Option<std::net::IpAddr>) {
    let mut last_peer = None;
    let mut peer_text = String::new();
    move |bytes, peer, _| {
        if bytes.is_empty() {
            ingest.dropped(metrics, "empty", 1);
            return;
        }
        if last_peer != Some(peer) {
            peer_text = peer.to_string();
            last_peer = Some(peer);
        }
        // Asked here and not before: the call may have waited for hours.
        let received_at = ingest.clock.wall();
        let id = batcher.id(received_at);
        let frame = Frame { id, received_at, listener: NAME, peer: &peer_text, raw: bytes };
        batcher.push(&syslog::decode(frame, options));
    }
}
