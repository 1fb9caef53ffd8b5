//! SNMP traps and informs over UDP. An inform is answered after its event is durable, from the
//! address that was asked; a repeat of it is recognised in the store's commit.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mutt_wire::snmp::InformReply;
use tokio_util::sync::CancellationToken;

use super::pipeline::{Pipeline, Refused};
use super::snmp_door::{Answer, Door, Origin};
use super::syslog_udp::{DRAIN_WAIT, PeerText, pause};
use super::{Ingest, ListenerMetrics};
use crate::net::udp::{Listener, Receiver};

/// The listener's name in events and metrics.
pub const NAME: &str = "snmp-udp";

/// What an answer needs once its event is durable.
struct Owed {
    /// The number of the event.
    event: u64,
    reply: InformReply,
    peer: SocketAddr,
    asked: Option<IpAddr>,
}

/// What goes from one call to the next.
struct State {
    door: Door,
    /// In the order of their events.
    owed: VecDeque<Owed>,
    peer: PeerText,
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
    let mut pipeline = Pipeline::new(&ingest, &metrics, Refused::Dropped);
    let mut receiver = Receiver::new(&socket, &ingest.clock, &metrics.arrived);
    let mut state = State { door, owed: VecDeque::new(), peer: PeerText::default() };
    loop {
        let (wait, has_room) = (pipeline.may_wait(), pipeline.has_room());
        let ready = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            durable = pipeline.progress() => {
                answer(&socket, &mut state.owed, pipeline.passed(), durable);
                Ok(false)
            }
            ready = receiver.wait(), if has_room => ready.map(|()| true),
            () = pause(wait) => {
                pipeline.close();
                Ok(false)
            }
        };
        let taken = ready.and_then(|is_ready| {
            let each = decoder(&ingest, &socket, &mut pipeline, &metrics, &mut state);
            if is_ready { receiver.take(each) } else { Ok(0) }
        });
        if let Err(error) = taken {
            // The stage starts again without what was collected.
            settle(&socket, &mut pipeline, &mut state.owed).await;
            return Err(format!("{NAME} on {}: {error}", socket.local()));
        }
        // An inform's sender waits for its answer: its batch is closed at once, or with what is on its way.
        if pipeline.is_due() || (!state.owed.is_empty() && pipeline.may_wait().is_some()) {
            pipeline.close();
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &socket, &mut pipeline, &metrics, &mut state);
        let more = receiver.take_now(each).unwrap_or(0);
        // Senders go on sending: what comes after this time is the next run's, or the kernel's.
        if more == 0 || ingest.clock.monotonic() >= late {
            settle(&socket, &mut pipeline, &mut state.owed).await;
            return Ok(());
        }
        while !pipeline.has_room() {
            let durable = pipeline.progress().await;
            answer(&socket, &mut state.owed, pipeline.passed(), durable);
        }
    }
}

/// Makes everything durable that was taken, and answers.
async fn settle(socket: &Listener, pipeline: &mut Pipeline, owed: &mut VecDeque<Owed>) {
    pipeline.close();
    while !pipeline.is_empty() {
        let durable = pipeline.progress().await;
        answer(socket, owed, pipeline.passed(), durable);
    }
}

/// Answers what belongs to the append that ended with this event, or leaves it to be repeated.
fn answer(socket: &Listener, owed: &mut VecDeque<Owed>, passed: u64, durable: bool) {
    while let Some(answer) = owed.pop_front_if(|answer| answer.event <= passed) {
        if durable
            && let Err(error) = socket.answer(answer.reply.datagram(), answer.peer, answer.asked)
        {
            tracing::debug!(%error, peer = %answer.peer, "an inform's answer was not sent; it will be repeated");
        }
    }
}

fn decoder(
    ingest: &Ingest,
    socket: &Listener,
    pipeline: &mut Pipeline,
    metrics: &ListenerMetrics,
    state: &mut State,
) -> impl FnMut(&[u8], SocketAddr, Option<IpAddr>) {
    let mut now = None;
    move |bytes, peer, asked| {
        if !ingest.admits(metrics, peer.ip()) {
            return;
        }
        let State { door, owed, peer: texts } = &mut *state;
        // Once for what came in one call.
        let received_at = *now.get_or_insert_with(|| ingest.clock.wall());
        let from = Origin { peer, text: texts.of(peer), proxy: None, received_at };
        match door.take((ingest, metrics), &mut pipeline.batcher, from, bytes) {
            None => {}
            Some(Answer::Durable(reply)) => {
                owed.push_back(Owed { event: pipeline.batcher.pushed(), reply, peer, asked });
            }
            Some(Answer::Now(report)) => {
                if let Err(error) = socket.answer(&report, peer, asked) {
                    tracing::debug!(%error, %peer, "a report was not sent; it will be asked for again");
                }
            }
        }
        if pipeline.batcher.is_full() {
            pipeline.close();
        }
    }
}
