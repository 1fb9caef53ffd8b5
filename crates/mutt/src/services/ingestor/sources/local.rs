//! What one batcher saw of its sources since its last append: counted without a lock, and added to the
//! table that all share when the append is durable. Within an append the gaps are too short to matter.
//! While one is on its way, what is seen meanwhile is counted apart.

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

/// One source.
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
    /// What was seen of it: one is open, the other is on its way or empty.
    counts: [Counts; 2],
}

/// What was seen of one source.
#[derive(Debug, Default)]
struct Counts {
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

impl Counts {
    /// Begins anew.
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
    /// Those with events, by which of the counts they are in.
    touched: [Vec<usize>; 2],
    /// Which of the counts are open.
    open: usize,
    /// Whether the others are on their way.
    sealed: bool,
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
            touched: [Vec::new(), Vec::new()],
            open: 0,
            sealed: false,
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
        if seen.format != *event.parse.format {
            event.parse.format.as_ref().clone_into(&mut seen.format);
        }
        let seen = &mut seen.counts[self.open];
        if seen.events == 0 {
            seen.first = event.received_at;
            self.touched[self.open].push(at);
        }
        seen.events += 1;
        seen.bytes += event.raw.len() as u64;
        seen.last = event.received_at;
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
        let is_free = |seen: &Seen| seen.counts.iter().all(|counts| counts.events == 0);
        if self.seen.len() >= REMEMBERED && self.seen.get(self.oldest).is_some_and(is_free) {
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
            counts: Default::default(),
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

    /// What was seen so far is on its way: [`Self::merge`] or [`Self::dropped`] tells of it, and not of
    /// what is seen from now on.
    pub fn seal(&mut self) {
        if !self.sealed {
            self.sealed = true;
            self.open = 1 - self.open;
        }
    }

    /// What was on its way is durable, or all that was seen where nothing was: adds it to what all share.
    pub fn merge(&mut self) {
        let which = self.landed();
        self.tell(which, None);
    }

    /// The same is lost: counts it under its sources, which were not heard.
    pub fn dropped(&mut self, reason: &'static str) {
        let which = self.landed();
        self.tell(which, Some(reason));
    }

    /// What is not on its way is lost.
    pub fn dropped_open(&mut self, reason: &'static str) {
        self.tell(self.open, Some(reason));
    }

    fn landed(&mut self) -> usize {
        if std::mem::take(&mut self.sealed) { 1 - self.open } else { self.open }
    }

    fn tell(&mut self, which: usize, dropped: Option<&'static str>) {
        if self.touched[which].is_empty() {
            return;
        }
        let mut table = held(&self.shared.table);
        for at in self.touched[which].drain(..) {
            let Some(source) = self.seen.get_mut(at) else { continue };
            let host = source.lower.as_deref().unwrap_or(&source.host);
            let (hash, peer, seen) =
                (source.shared_hash, source.peer.as_str(), &mut source.counts[which]);
            if let Some(reason) = dropped {
                let key = (hash, host, peer);
                self.shared.count_refused(&mut table, key, self.listener, reason, seen.events);
                seen.forget();
                continue;
            }
            match self.shared.place(&mut table, hash, host, peer) {
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
                    if delta.format != source.format {
                        delta.format.clone_from(&source.format);
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
        drop(table);
        if self.seen.len() > REMEMBERED {
            self.shrink();
        }
    }

    /// Keeps those with events that were not told of: as many as such events at most, which are bounded.
    fn shrink(&mut self) {
        self.seen.retain(|seen| seen.counts.iter().any(|counts| counts.events > 0));
        self.by.clear();
        self.touched.iter_mut().for_each(Vec::clear);
        for (at, seen) in self.seen.iter().enumerate() {
            self.by.insert(seen.hash, at);
            for (touched, counts) in self.touched.iter_mut().zip(&seen.counts) {
                if counts.events > 0 {
                    touched.push(at);
                }
            }
        }
        self.oldest = 0;
    }
}
