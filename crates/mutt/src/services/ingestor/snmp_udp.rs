//! SNMP traps and informs over UDP. An inform is answered after its event is durable, from the
//! address that was asked; a repeat of it is recognised in the store's commit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::{DedupKey, Secret, codes};
use mutt_wire::Frame;
use mutt_wire::snmp::{self, Community, InformReply};
use tokio_util::sync::CancellationToken;

use super::batcher::Batcher;
use super::syslog_udp::{DRAIN_WAIT, pause};
use super::told::Told;
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

/// The communities that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Communities {
    /// None is named: any (loopback only, held by the configuration).
    Any,
    /// These. None of them while their secrets are waited for: never any.
    Known(Vec<Secret>),
}

impl Communities {
    fn permit(&self, given: Option<&Community<'_>>) -> bool {
        match self {
            Self::Any => true,
            Self::Known(known) => {
                given.is_some_and(|given| known.iter().any(|known| given.matches(known)))
            }
        }
    }
}

/// What the listener accepts.
#[derive(Clone, Debug)]
pub struct Door {
    /// See [`Communities`].
    pub communities: Arc<ArcSwap<Communities>>,
    /// Senders with an unknown community.
    pub told: Arc<Told>,
    /// `ingestor.dedup_window_informs`
    pub dedup_window: Duration,
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
    let mut room = Room::default();
    let mut owed = Vec::new();
    loop {
        let wait = batcher.may_wait();
        let received = tokio::select! {
            () = stop.cancelled() => break,
            () = pause(wait) => Ok(0),
            received = receive(&ingest, &socket, &mut room, &mut batcher, &mut owed, &metrics, &door) => received,
        };
        received.map_err(|error| format!("{NAME} on {}: {error}", socket.local()))?;
        // An inform's sender waits for its answer: its batch is closed at once.
        let due = batcher.may_wait().is_some_and(|left| left.is_zero());
        if batcher.is_full() || due || !owed.is_empty() {
            flush(&socket, &mut batcher, &mut owed).await;
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &mut batcher, &mut owed, &metrics, &door);
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
    socket.receive(room, decoder(ingest, batcher, owed, metrics, door)).await
}

fn decoder(
    ingest: &Ingest,
    batcher: &mut Batcher,
    owed: &mut Vec<Owed>,
    metrics: &ListenerMetrics,
    door: &Door,
) -> impl FnMut(&[u8], SocketAddr, Option<IpAddr>) {
    move |bytes, peer, asked| {
        if bytes.is_empty() {
            ingest.dropped(metrics, "empty", 1);
            return;
        }
        let peer_text = peer.to_string();
        // Asked here and not before: the call may have waited for hours.
        let received_at = ingest.clock.wall();
        let id = batcher.id(received_at);
        let frame = Frame { id, received_at, listener: NAME, peer: &peer_text, raw: bytes };
        let mut decoded = snmp::decode(frame);
        let communities = door.communities.load();
        let known = communities.permit(decoded.community.as_ref());
        if !known {
            // For each sender, so that one of them cannot hide the others.
            if door.told.is_news(peer.ip(), ingest.clock.monotonic()) {
                tracing::warn!(code = %codes::INGEST_COMMUNITY, %peer, "a datagram with an unknown community was dropped: add it to ingestor.snmp.communities, or mend the sender; its next ones are only counted for a minute");
            }
            ingest.dropped(metrics, "community", 1);
            return;
        }
        if decoded.inform.is_some() {
            let community = decoded.community.map(|c| c.expose().to_vec()).unwrap_or_default();
            let keep_until = received_at.plus(door.dedup_window);
            decoded.event.dedup = Some(dedup_key(&peer_text, &community, decoded.pdu, keep_until));
        }
        batcher.push(&decoded.event);
        if let Some(reply) = decoded.inform {
            owed.push(Owed { reply, peer, asked });
        }
    }
}

fn dedup_key(
    peer: &str,
    community: &[u8],
    pdu: &[u8],
    keep_until: mutt_model::Timestamp,
) -> DedupKey {
    super::http::digest_key(&[b"inform", peer.as_bytes(), community, pdu], keep_until)
}
