//! Events into batches, one open batch for each shard; closed when full or old.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::batch::{BATCH_AGE_MAX, Batch, BatchBuilder};
use mutt_model::{Event, Id, IdSource, Timestamp};

use super::sources::LocalSources;
use super::{Ingest, ListenerMetrics};

/// Collects the events of one listener task.
#[derive(Debug)]
pub struct Batcher {
    ingest: Arc<Ingest>,
    listener: ListenerMetrics,
    ids: IdSource,
    sources: LocalSources,
    open: Vec<Option<BatchBuilder>>,
    events: u64,
    bytes: u64,
    parse: [u64; 3],
    opened_at: Option<Duration>,
    full: bool,
    pushed: u64,
}

impl Batcher {
    /// A batcher without events.
    #[must_use]
    pub fn new(ingest: &Arc<Ingest>, listener: &ListenerMetrics) -> Self {
        let shards = usize::from(ingest.queue.shards());
        Self {
            ingest: Arc::clone(ingest),
            listener: listener.clone(),
            ids: IdSource::from_entropy(),
            sources: LocalSources::new(&ingest.sources, listener.name),
            open: (0..shards).map(|_| None).collect(),
            events: 0,
            bytes: 0,
            parse: [0; 3],
            opened_at: None,
            full: false,
            pushed: 0,
        }
    }

    /// How many events were added so far.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The id of the next event.
    pub fn id(&mut self, received_at: Timestamp) -> Id {
        self.ids.next(received_at)
    }

    /// Adds one event.
    pub fn push(&mut self, event: &Event<'_>) {
        self.sources.see(event);
        let shard = shard_of(&event.host, self.open.len());
        let batch_id = match &self.open[shard] {
            Some(_) => None,
            None => Some(self.ids.next(event.received_at)),
        };
        let builder = self.open[shard].get_or_insert_with(|| {
            BatchBuilder::new(batch_id.unwrap_or_default(), u16::try_from(shard).unwrap_or(0))
        });
        builder.push(event);
        self.full |= builder.is_full();
        self.events += 1;
        self.pushed += 1;
        self.bytes += event.raw.len() as u64;
        self.parse[event.parse.status as usize] += 1;
        if self.opened_at.is_none() {
            self.opened_at = Some(self.ingest.clock.monotonic());
        }
    }

    /// Whether a batch must be closed before more is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether there is nothing to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// How long the oldest event may still wait for company; `None` when there is no event.
    #[must_use]
    pub fn may_wait(&self) -> Option<Duration> {
        let opened = self.opened_at?;
        Some(BATCH_AGE_MAX.saturating_sub(self.ingest.clock.monotonic().saturating_sub(opened)))
    }

    /// Takes what was collected.
    ///
    /// Its sources are noted when it is durable: [`Self::note_sources`], or [`Self::drop_sources`].
    pub fn take(&mut self) -> Collected {
        let batches = self.open.iter_mut().filter_map(Option::take).map(BatchBuilder::finish);
        let collected = Collected {
            batches: batches.collect(),
            events: self.events,
            bytes: self.bytes,
            parse: self.parse,
        };
        self.events = 0;
        self.bytes = 0;
        self.parse = [0; 3];
        self.opened_at = None;
        self.full = false;
        collected
    }

    /// What was pushed so far is on its way: the next [`Self::note_sources`] or [`Self::drop_sources`] is
    /// about it, and not about what is pushed from now on.
    pub fn seal_sources(&mut self) {
        self.sources.seal();
    }

    /// What was on its way is durable, or what was pushed where nothing was: its sources were heard.
    pub fn note_sources(&mut self) {
        self.sources.merge();
    }

    /// The same is lost: it is counted under its sources, which were not heard.
    pub fn drop_sources(&mut self, reason: &'static str) {
        self.sources.dropped(reason);
    }

    /// What was pushed and is not on its way is lost.
    pub fn drop_open_sources(&mut self, reason: &'static str) {
        self.sources.dropped_open(reason);
    }
}

impl Drop for Batcher {
    /// A task that ends in the middle counts what it had.
    fn drop(&mut self) {
        if !self.is_empty() {
            self.ingest.dropped(&self.listener, "not_durable", self.events);
            self.drop_open_sources("not_durable");
        }
    }
}

/// Closed batches with what is counted once they are durable.
#[derive(Debug)]
pub struct Collected {
    /// In order.
    pub batches: Vec<Batch>,
    /// Events in them.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Events by parse status.
    pub parse: [u64; 3],
}

impl Collected {
    /// Adds what was collected after this.
    pub fn add(&mut self, more: Self) {
        self.batches.extend(more.batches);
        self.events += more.events;
        self.bytes += more.bytes;
        for (sum, part) in self.parse.iter_mut().zip(more.parse) {
            *sum += part;
        }
    }
}

/// The shard of a host: FNV-1a over its lower-case name. Fixed for ever: order within a host depends
/// on it.
#[must_use]
pub fn shard_of(host: &str, shards: usize) -> usize {
    if shards <= 1 {
        return 0;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in host.bytes() {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    }
    usize::try_from(hash % shards as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_shard_whatever_its_case() {
        assert_eq!(shard_of("Edge-R1", 8), shard_of("edge-r1", 8));
        assert_eq!(shard_of("anything", 1), 0);
        let used: std::collections::BTreeSet<_> =
            (0..100).map(|n| shard_of(&format!("host{n}"), 8)).collect();
        assert_eq!(used.len(), 8);
    }
}
