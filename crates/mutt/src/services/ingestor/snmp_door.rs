//! What every SNMP listener does with a message: who may send it, the event, and the answer that it is
//! owed at once or once its event is durable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::{DedupKey, Secret, Timestamp, codes};
use mutt_wire::Frame;
use mutt_wire::snmp::names::Names;
use mutt_wire::snmp::{self, Community, InformReply};

use super::batcher::Batcher;
use super::connection::Proxy;
use super::snmp_usm::Usm;
use super::told::Told;
use super::{Ingest, ListenerMetrics};

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

/// What an SNMP listener accepts.
#[derive(Clone, Debug)]
pub struct Door {
    /// See [`Communities`].
    pub communities: Arc<ArcSwap<Communities>>,
    /// The names of OIDs in force.
    pub names: Arc<ArcSwap<Names>>,
    /// SNMPv3.
    pub usm: Arc<Usm>,
    /// Senders with an unknown community.
    pub told: Arc<Told>,
    /// `ingestor.dedup_window_informs`
    pub dedup_window: Duration,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The device, or who passes its messages on.
    pub peer: SocketAddr,
    /// The same as it stands in the event.
    pub text: &'a str,
    /// The proxy that named the peer.
    pub proxy: Option<&'a Proxy>,
    /// When its message was read.
    pub received_at: Timestamp,
}

/// What a message is owed.
#[derive(Debug)]
pub enum Answer {
    /// At once: a report.
    Now(Vec<u8>),
    /// When the event that was pushed last is durable.
    Durable(InformReply),
}

impl Door {
    /// Takes one message into the open batch, or drops and counts it.
    pub fn take(
        &self,
        (ingest, metrics): (&Ingest, &ListenerMetrics),
        batcher: &mut Batcher,
        from: Origin<'_>,
        bytes: &[u8],
    ) -> Option<Answer> {
        if bytes.is_empty() {
            ingest.dropped(metrics, "empty", 1);
            return None;
        }
        let Origin { peer, text, proxy, received_at } = from;
        let id = batcher.id(received_at);
        let frame = Frame { id, received_at, listener: metrics.name, peer: text, raw: bytes };
        if snmp::is_v3(bytes) {
            return self.take_v3((ingest, metrics), batcher, from, frame);
        }
        let mut decoded = snmp::decode(frame, &self.names.load());
        let communities = self.communities.load();
        let known = communities.permit(decoded.community.as_ref());
        if !known && decoded.community.is_none() {
            if self.told.is_news_about(
                peer.ip(),
                [metrics.name, "framing"],
                ingest.clock.monotonic(),
            ) {
                let why = &*decoded.event.message;
                tracing::warn!(code = %codes::INGEST_USM_MALFORMED, %peer, why, "a datagram without a community was dropped, since only known communities are taken; the next ones of its sender are only counted for a minute");
            }
            ingest.dropped(metrics, "framing", 1);
            return None;
        }
        if !known {
            // For each sender, so that one of them cannot hide the others.
            if self.told.is_news(peer.ip(), ingest.clock.monotonic()) {
                tracing::warn!(code = %codes::INGEST_COMMUNITY, %peer, "a datagram with an unknown community was dropped: add it to ingestor.snmp.communities, or mend the sender; its next ones are only counted for a minute");
            }
            ingest.dropped(metrics, "community", 1);
            return None;
        }
        if decoded.inform.is_some() {
            let community = decoded.community.map(|c| c.expose().to_vec()).unwrap_or_default();
            decoded.event.dedup =
                Some(self.dedup_key(peer, [&community, decoded.pdu], received_at));
        }
        if let Some(proxy) = proxy {
            proxy.note(&mut decoded.event);
        }
        batcher.push(&decoded.event);
        decoded.inform.map(Answer::Durable)
    }

    fn take_v3(
        &self,
        (ingest, metrics): (&Ingest, &ListenerMetrics),
        batcher: &mut Batcher,
        Origin { peer, proxy, .. }: Origin<'_>,
        frame: Frame<'_>,
    ) -> Option<Answer> {
        let mut taken = match self.usm.open((ingest, metrics), peer.ip(), frame, &self.names.load())
        {
            Ok(taken) => taken,
            Err(report) => return report.map(Answer::Now),
        };
        if taken.inform.is_some() {
            let key = self.dedup_key(peer, [&taken.user, &taken.pdu], frame.received_at);
            taken.event.dedup = Some(key);
        }
        if let Some(proxy) = proxy {
            proxy.note(&mut taken.event);
        }
        batcher.push(&taken.event);
        taken.inform.map(Answer::Durable)
    }

    /// A repeated inform has the same address, security name and PDU. The port counts for nothing: a
    /// device that asks again may do so from another socket. Two informs of one device differ in their
    /// request id, and in the sysUpTime that leads their varbinds.
    fn dedup_key(
        &self,
        peer: SocketAddr,
        [name, pdu]: [&[u8]; 2],
        received_at: Timestamp,
    ) -> DedupKey {
        let keep_until = received_at.plus(self.dedup_window);
        let address = peer.ip().to_canonical().to_string();
        super::http::digest_key(&[b"inform", address.as_bytes(), name, pdu], keep_until)
    }
}
