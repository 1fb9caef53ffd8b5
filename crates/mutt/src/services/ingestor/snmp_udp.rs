//! SNMP traps and informs over UDP. An inform is answered after its event is durable, from the
//! address that was asked; a repeat of it is recognised in the store's commit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mutt_wire::snmp::InformReply;
use tokio_util::sync::CancellationToken;

use super::batcher::Batcher;
use super::snmp_door::{Answer, Door, Origin};
use super::syslog_udp::{DRAIN_WAIT, pause};
use super::{Ingest, ListenerMetrics};
use crate::net::udp::{Listener, Room};

/// The listener's name in events and metrics.
pub const NAME: &str = "snmp-udp";

/// What an answer needs once its event is durable.
struct Owed {
    reply: InformReply,
    peer: SocketAddr,
    asked: Option<IpAddr>,
}

/// Reads one socket until `stop`, then what the kernel still holds.
///
/// # Errors
///
/// When the socket fails; the supervisor starts the stage again.
pub async fn run(
    ingest: Arc<Ingest>,
    socket: Arc<Listener>,
    door: Door,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = ingest.listener(NAME);
    let mut batcher = Batcher::new(&ingest, &metrics);
    let mut room = Room::counting(&metrics.arrived);
    let mut owed = Vec::new();
    loop {
        let wait = batcher.may_wait();
        let received = tokio::select! {
            () = stop.cancelled() => break,
            () = pause(wait) => Ok(0),
            received = receive(&ingest, &socket, &mut room, &mut batcher, &mut owed, &metrics, &door) => received,
        };
        if let Err(error) = received {
            // The stage starts again without what was collected.
            flush(&socket, &mut batcher, &mut owed).await;
            return Err(format!("{NAME} on {}: {error}", socket.local()));
        }
        // An inform's sender waits for its answer: its batch is closed at once.
        let due = batcher.may_wait().is_some_and(|left| left.is_zero());
        if batcher.is_full() || due || !owed.is_empty() {
            flush(&socket, &mut batcher, &mut owed).await;
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &socket, &mut batcher, &mut owed, &metrics, &door);
        let more = socket.receive_now(&mut room, each).unwrap_or(0);
        flush(&socket, &mut batcher, &mut owed).await;
        // Senders go on sending: what comes after this time is the next run's, or the kernel's.
        if more == 0 || ingest.clock.monotonic() >= late {
            return Ok(());
        }
    }
}

async fn flush(socket: &Listener, batcher: &mut Batcher, owed: &mut Vec<Owed>) {
    let durable = batcher.flush_or_drop().await;
    for answer in owed.drain(..) {
        if durable
            && let Err(error) = socket.answer(answer.reply.datagram(), answer.peer, answer.asked)
        {
            tracing::debug!(%error, peer = %answer.peer, "an inform's answer was not sent; it will be repeated");
        }
    }
}

async fn receive(
    ingest: &Ingest,
    socket: &Listener,
    room: &mut Room,
    batcher: &mut Batcher,
    owed: &mut Vec<Owed>,
    metrics: &ListenerMetrics,
    door: &Door,
) -> std::io::Result<usize> {
    socket.receive(room, decoder(ingest, socket, batcher, owed, metrics, door)).await
}

fn decoder(
    ingest: &Ingest,
    socket: &Listener,
    batcher: &mut Batcher,
    owed: &mut Vec<Owed>,
    metrics: &ListenerMetrics,
    door: &Door,
) -> impl FnMut(&[u8], SocketAddr, Option<IpAddr>) {
    move |bytes, peer, asked| {
        if !ingest.admits(metrics, peer.ip()) {
            return;
        }
        let text = peer.to_string();
        let from = Origin { peer, text: &text, proxy: None };
        match door.take((ingest, metrics), batcher, from, bytes) {
            None => {}
            Some(Answer::Durable(reply)) => owed.push(Owed { reply, peer, asked }),
            Some(Answer::Now(report)) => {
                if let Err(error) = socket.answer(&report, peer, asked) {
                    tracing::debug!(%error, %peer, "a report was not sent; it will be asked for again");
                }
            }
        }
    }
}
