//! What one batcher saw of its sources since its last append: counted without a lock, and added to the
//! table that all share when the append is durable. Within an append the gaps are too short to matter.
//! While one is on its way, what is seen meanwhile is counted apart.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mutt_model::event::peer_host;
use mutt_model::source::{HOST_BYTES_MAX, count_reason, cut};
use mutt_model::{Event, ParseStatus, Timestamp};

use super::hash::ByHash;
use super::{Sources, Table, held};

/// Different reasons of parse failures of one source in one append.
const REASONS: usize = 64;
/// Formats that are told apart; decoders know fewer.
const FORMATS: usize = 256;
/// Places that are kept for the next append; a flood of strangers gives back what it took beyond it.
const KEPT: usize = 4_096;

/// One source.
#[derive(Debug)]
struct Seen {
    /// Of the host as the device wrote it, in the names.
    host: Range<usize>,
    /// Of the peer with the port of its first event, likewise.
    peer: Range<usize>,
    /// Of the host in lower case, with the peer.
    shared_hash: u64,
    /// Its place among the formats.
    format: usize,
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

/// The sources of the events of one append. There are as many as these events at most, and those are
/// bounded.
#[derive(Debug, Default)]
struct Page {
    seen: Vec<Seen>,
    /// By the hash of the host as written, with the peer.
    by: ByHash<usize>,
    /// Names one after the other: hosts that change with each event cost no allocation.
    names: String,
    latest: usize,
}

impl Page {
    fn clear(&mut self) {
        if self.seen.len() > KEPT {
            *self = Self::default();
            return;
        }
        self.seen.clear();
        self.by.clear();
        self.names.clear();
    }
}

/// See the module.
#[derive(Debug)]
pub struct LocalSources {
    shared: Arc<Sources>,
    listener: &'static str,
    formats: Vec<String>,
    open: Page,
    /// What is on its way.
    sealed: Option<Page>,
    spare: Page,
}

impl LocalSources {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(shared: &Arc<Sources>, listener: &'static str) -> Self {
        Self {
            shared: Arc::clone(shared),
            listener,
            formats: Vec::new(),
            open: Page::default(),
            sealed: None,
            spare: Page::default(),
        }
    }

    /// Counts one event.
    pub fn see(&mut self, event: &Event<'_>) {
        let page = &self.open;
        let is_latest = page.seen.get(page.latest).is_some_and(|seen| {
            page.names.get(seen.host.clone()) == Some(&*event.host)
                && page.names.get(seen.peer.clone()) == Some(&*event.peer)
        });
        if !is_latest {
            self.open.latest = self.find(event);
        }
        let format = self.format(event, self.open.latest);
        let Some(seen) = self.open.seen.get_mut(self.open.latest) else { return };
        seen.format = format;
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
                // More than these in one append are counted by their number alone.
                let room = seen.reasons.len() < REASONS;
                match seen.reasons.iter_mut().find(|(known, _)| known == note) {
                    Some((_, count)) => *count += 1,
                    None if room => seen.reasons.push((note.to_owned(), 1)),
                    None => {}
                }
            }
        }
    }

    /// The place of an event's source in the open page.
    fn find(&mut self, event: &Event<'_>) -> usize {
        let (host, peer) = (cut(&event.host, HOST_BYTES_MAX), peer_host(&event.peer));
        let hash = self.shared.hash(host, peer);
        let Page { seen, by, names, .. } = &mut self.open;
        let at = *by.entry(hash).or_insert(seen.len());
        if at < seen.len() {
            return at;
        }
        let shared_hash =
            if is_lower(host) { hash } else { self.shared.hash(&host.to_lowercase(), peer) };
        let mut name = |text: &str| {
            let start = names.len();
            names.push_str(text);
            start..names.len()
        };
        seen.push(Seen {
            host: name(host),
            peer: name(&event.peer),
            shared_hash,
            format: 0,
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

    /// The place of an event's format among those that were met; most sources have one.
    fn format(&mut self, event: &Event<'_>, at: usize) -> usize {
        let format = event.parse.format.as_ref();
        let last = self.open.seen.get(at).map_or(0, |seen| seen.format);
        if self.formats.get(last).is_some_and(|known| known == format) {
            return last;
        }
        if let Some(known) = self.formats.iter().position(|known| known == format) {
            return known;
        }
        if self.formats.len() < FORMATS {
            self.formats.push(format.to_owned());
            return self.formats.len() - 1;
        }
        last
    }

    /// What was seen so far is on its way: [`Self::merge`] or [`Self::dropped`] tells of it, and not of
    /// what is seen from now on.
    pub fn seal(&mut self) {
        if self.sealed.is_none() {
            let next = std::mem::take(&mut self.spare);
            self.sealed = Some(std::mem::replace(&mut self.open, next));
        }
    }

    /// What was on its way is durable, or all that was seen where nothing was: adds it to what all share.
    pub fn merge(&mut self) {
        self.seal();
        self.tell(None);
    }

    /// The same is lost: counts it under its sources, which were not heard.
    pub fn dropped(&mut self, reason: &'static str) {
        self.seal();
        self.tell(Some(reason));
    }

    /// What is not on its way is lost.
    pub fn dropped_open(&mut self, reason: &'static str) {
        let sealed = self.sealed.take();
        self.dropped(reason);
        self.sealed = sealed;
    }

    /// Tells of what is sealed.
    fn tell(&mut self, dropped: Option<&'static str>) {
        let Some(mut page) = self.sealed.take() else { return };
        if !page.seen.is_empty() {
            let mut table = held(&self.shared.table);
            for seen in &page.seen {
                self.tell_one(&mut table, &page.names, seen, dropped);
            }
        }
        page.clear();
        self.spare = page;
    }

    fn tell_one(&self, table: &mut Table, names: &str, seen: &Seen, dropped: Option<&'static str>) {
        let host = names.get(seen.host.clone()).unwrap_or_default();
        let peer = peer_host(names.get(seen.peer.clone()).unwrap_or_default());
        let host = if is_lower(host) { Cow::Borrowed(host) } else { host.to_lowercase().into() };
        let (hash, host) = (seen.shared_hash, host.as_ref());
        if let Some(reason) = dropped {
            let key = (hash, host, peer);
            self.shared.count_refused(table, key, self.listener, reason, seen.events);
            return;
        }
        let Some(known) = self.shared.place(table, hash, host, peer) else {
            self.shared.untracked.fetch_add(seen.events, Ordering::Relaxed);
            return;
        };
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
        if let Some(format) = self.formats.get(seen.format)
            && delta.format != *format
        {
            delta.format.clone_from(format);
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
}

/// Whether a host's name needs no lower case made for it.
fn is_lower(host: &str) -> bool {
    host.is_ascii() && !host.bytes().any(|byte| byte.is_ascii_uppercase())
}
