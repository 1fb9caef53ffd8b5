//! What one batcher saw of its sources since its last batch: counted without a lock, and added to the
//! table that all share when the batch is durable. Within a batch the gaps are too short to matter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mutt_model::event::peer_host;
use mutt_model::source::{HOST_BYTES_MAX, count_reason, cut};
use mutt_model::{Event, ParseStatus, Timestamp};

use super::hash::ByHash;
use super::{Sources, held};

/// Sources whose names a batcher remembers between batches; beyond it the oldest give their places.
const REMEMBERED: usize = 2_048;

/// Different reasons of parse failures of one source in one batch.
const REASONS: usize = 64;

/// One source in the open batch.
#[derive(Debug)]
struct Seen {
    /// As written by the device, so that most events need no lower case.
    host: String,
    /// In lower case, where that is something else.
    lower: Option<String>,
    /// Of the host as written, with the peer.
    hash: u64,
    /// The same of the host in lower case.
    shared_hash: u64,
    peer: String,
    /// The peer with its port, as the last event had it.
    whole_peer: String,
    format: String,
    events: u64,
    bytes: u64,
    first: Timestamp,
    last: Timestamp,
    skew_last: Option<i64>,
    skew_sum: i64,
    skews: u64,
    parse: [u64; 3],
    reasons: Vec<(String, u64)>,
}

impl Seen {
    /// Begins the next batch.
    fn forget(&mut self) {
        (self.events, self.bytes) = (0, 0);
        (self.skew_last, self.skew_sum, self.skews) = (None, 0, 0);
        self.parse = [0; 3];
        self.reasons.clear();
    }
}

/// See the module.
#[derive(Debug)]
pub struct LocalSources {
    shared: Arc<Sources>,
    listener: &'static str,
    seen: Vec<Seen>,
    by: ByHash<usize>,
    /// Those with events in the open batch.
    touched: Vec<usize>,
    latest: usize,
    /// Whose place is taken next when there is no more room.
    oldest: usize,
}

impl LocalSources {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(shared: &Arc<Sources>, listener: &'static str) -> Self {
        Self {
            shared: Arc::clone(shared),
            listener,
            seen: Vec::new(),
            by: ByHash::default(),
            touched: Vec::new(),
            latest: 0,
            oldest: 0,
        }
    }

    /// Counts one event.
    pub fn see(&mut self, event: &Event<'_>) {
        let at = match self.seen.get(self.latest) {
            Some(seen) if seen.host == *event.host && seen.whole_peer == *event.peer => self.latest,
            _ => self.find(event),
        };
        self.latest = at;
        let Some(seen) = self.seen.get_mut(at) else { return };
        if seen.events == 0 {
            seen.first = event.received_at;
            self.touched.push(at);
        }
        seen.events += 1;
        seen.bytes += event.raw.len() as u64;
        seen.last = event.received_at;
        if seen.format != *event.parse.format {
            event.parse.format.as_ref().clone_into(&mut seen.format);
        }
        if let Some(device) = event.device_time {
            let skew = device.0.saturating_sub(event.received_at.0);
            seen.skew_last = Some(skew);
            seen.skew_sum = seen.skew_sum.saturating_add(skew);
            seen.skews += 1;
        }
        if event.parse.status != ParseStatus::Ok {
            seen.parse[event.parse.status as usize] += 1;
            for note in event.parse.notes.lines() {
                // More than these in one batch are counted by their number alone.
                let room = seen.reasons.len() < REASONS;
                match seen.reasons.iter_mut().find(|(known, _)| known == note) {
                    Some((_, count)) => *count += 1,
                    None if room => seen.reasons.push((note.to_owned(), 1)),
                    None => {}
                }
            }
        }
    }

    /// The place of an event's source among those that are remembered.
    fn find(&mut self, event: &Event<'_>) -> usize {
        let (host, peer) = (cut(&event.host, HOST_BYTES_MAX), peer_host(&event.peer));
        let hash = self.shared.hash(host, peer);
        if let Some(at) = self.by.get(&hash)
            && let Some(seen) = self.seen.get_mut(*at)
        {
            event.peer.as_ref().clone_into(&mut seen.whole_peer);
            return *at;
        }
        let lower = (!host.is_ascii() || host.bytes().any(|b| b.is_ascii_uppercase()))
            .then(|| host.to_lowercase());
        let shared_hash = lower.as_deref().map_or(hash, |host| self.shared.hash(host, peer));
        // A place with events that are not durable yet is not given away: the list grows by as many.
        if self.seen.len() >= REMEMBERED
            && self.seen.get(self.oldest).is_some_and(|seen| seen.events == 0)
        {
            return self.replace(event, (host, lower), (hash, shared_hash));
        }
        let at = self.seen.len();
        self.by.insert(hash, at);
        self.seen.push(Seen {
            host: host.to_owned(),
            lower,
            hash,
            shared_hash,
            peer: peer.to_owned(),
            whole_peer: event.peer.to_string(),
            format: String::new(),
            events: 0,
            bytes: 0,
            first: event.received_at,
            last: event.received_at,
            skew_last: None,
            skew_sum: 0,
            skews: 0,
            parse: [0; 3],
            reasons: Vec::new(),
        });
        at
    }

    /// Gives the place of the one that was remembered first to another; its strings are used again.
    fn replace(
        &mut self,
        event: &Event<'_>,
        (host, lower): (&str, Option<String>),
        (hash, shared_hash): (u64, u64),
    ) -> usize {
        let at = self.oldest;
        self.oldest = (at + 1) % REMEMBERED;
        let Some(seen) = self.seen.get_mut(at) else { return at };
        self.by.remove(&seen.hash);
        self.by.insert(hash, at);
        host.clone_into(&mut seen.host);
        peer_host(&event.peer).clone_into(&mut seen.peer);
        event.peer.as_ref().clone_into(&mut seen.whole_peer);
        (seen.lower, seen.hash, seen.shared_hash) = (lower, hash, shared_hash);
        at
    }

    /// What was seen is durable: adds it to what all share.
    pub fn merge(&mut self) {
        self.tell(None);
    }

    /// What was seen is lost: counts it under its sources, which were not heard.
    pub fn dropped(&mut self, reason: &'static str) {
        self.tell(Some(reason));
    }

    fn tell(&mut self, dropped: Option<&'static str>) {
        if self.touched.is_empty() {
            return;
        }
        let mut table = held(&self.shared.table);
        for at in self.touched.drain(..) {
            let Some(seen) = self.seen.get_mut(at) else { continue };
            let host = seen.lower.as_deref().unwrap_or(&seen.host);
            if let Some(reason) = dropped {
                let key = (seen.shared_hash, host, seen.peer.as_str());
                self.shared.count_refused(&mut table, key, self.listener, reason, seen.events);
                seen.forget();
                continue;
            }
            match self.shared.place(&mut table, seen.shared_hash, host, &seen.peer) {
                Some(known) => {
                    let delta = &mut known.delta;
                    if let Some(last) = known.last {
                        delta.gaps.count(seen.first.since(last));
                    }
                    delta.gaps.count_many(Duration::ZERO, seen.events - 1);
                    known.last = known.last.max(Some(seen.last));
                    if delta.events == 0 {
                        delta.first = seen.first;
                        delta.last = seen.last;
                    }
                    delta.last = delta.last.max(seen.last);
                    delta.events += seen.events;
                    delta.bytes += seen.bytes;
                    if delta.listener != self.listener {
                        self.listener.clone_into(&mut delta.listener);
                    }
                    if delta.format != seen.format {
                        delta.format.clone_from(&seen.format);
                    }
                    delta.skew_last = seen.skew_last.or(delta.skew_last);
                    delta.skew_sum = delta.skew_sum.saturating_add(seen.skew_sum);
                    delta.skews += seen.skews;
                    delta.partial += seen.parse[ParseStatus::Partial as usize];
                    delta.failed += seen.parse[ParseStatus::Failed as usize];
                    for (reason, count) in &seen.reasons {
                        count_reason(&mut delta.reasons, reason, *count);
                    }
                    known.dirty = true;
                }
                None => {
                    self.shared.untracked.fetch_add(seen.events, Ordering::Relaxed);
                }
            }
            seen.forget();
        }
        // Between two calls there are as many as the events that are not durable yet: bounded, too.
        if self.seen.len() > REMEMBERED {
            self.seen.clear();
            self.by.clear();
            self.oldest = 0;
        }
    }
}
