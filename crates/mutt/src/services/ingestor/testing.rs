//! What tests of listeners need: the shared part over an event queue of a few events.

use std::borrow::Cow;
use std::sync::Arc;

use mutt_model::{Clock, Event, Id, Source, Timestamp};
use mutt_store::queue::{EmbeddedQueue, QueueOptions};

use super::{Ingest, ListenerMetrics};
use crate::health::{Engines, HealthBoard};
use crate::secrets::Keyring;
use crate::telemetry::metrics::ServiceMetrics;

/// When it is.
const START: Timestamp = Timestamp(1_764_000_000_000_000);

pub(super) struct Bench {
    pub(super) ingest: Arc<Ingest>,
    pub(super) metrics: ListenerMetrics,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Over a queue of so many events.
    pub(super) fn new(max_events: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let options = QueueOptions { max_events, min_free: 0, ..QueueOptions::default() };
        let queue = EmbeddedQueue::open(folder.path(), options, clock.clone()).unwrap();
        let board =
            HealthBoard::new(clock.clone(), Engines::default(), Keyring::empty(clock.clone()));
        let metrics = ServiceMetrics::new(&clock);
        let ingest = Arc::new(Ingest::new(Arc::new(queue), clock, Arc::new(board), &metrics));
        Self { metrics: ingest.listener("syslog-udp"), ingest, _folder: folder }
    }

    /// Events that were dropped for this reason.
    pub(super) fn dropped(&self, reason: &str) -> u64 {
        self.ingest.queue.stats().dropped.get(reason).copied().unwrap_or(0)
    }
}

pub(super) fn event(host: &str) -> Event<'_> {
    let peer = "192.0.2.1:514";
    let mut event =
        Event::from_raw(Id::default(), START, Source::Syslog, "syslog-udp", peer, b"raw");
    event.host = Cow::Borrowed(host);
    event
}
