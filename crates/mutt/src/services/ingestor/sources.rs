//! The sources that this Ingestor hears: what is seen of each is added up in memory, bounded, and told
//! to the store from time to time; who may send, and how much, is asked here before anything is decoded.

mod hash;
mod local;
pub mod policy;
mod steady;

use std::collections::hash_map::Entry as Place;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::source::{
    SourceDelta, SourceKey, UsmState, add_counts, add_usm, count_reason, cut,
};
use mutt_model::{Clock, Timestamp};
use tokio::sync::watch;

pub use local::LocalSources;
pub use policy::{NOT_ALLOWED, Policy, SOURCE_LIMIT};

use hash::{ByHash, Seed};
use policy::Buckets;
use steady::Steady;

/// Sources that are remembered when nothing is configured.
pub const SOURCES_DEFAULT: usize = 20_000;
/// One that was not heard for so long may give its place to a new one.
pub const IDLE: Duration = Duration::from_secs(86_400);
/// A full table is searched for idle ones this often.
const PURGE_PERIOD: Duration = Duration::from_secs(60);
/// Texts of an SNMP engine and user are cut to so many bytes.
const USM_BYTES_MAX: usize = 64;

/// What the SNMP listener tells of an engine and user that it met.
#[derive(Clone, Copy, Debug)]
pub struct UsmNote<'a> {
    /// The authoritative engine's id, hexadecimal.
    pub engine_id: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// `noAuthNoPriv`, `authNoPriv` or `authPriv`.
    pub level: &'static str,
    /// Why the message was refused (`unknown engine`, `unknown user` wait for somebody who makes them
    /// known); `None` when it was taken.
    pub error: Option<&'static str>,
    /// `snmpEngineBoots` as the message says.
    pub boots: u32,
    /// `snmpEngineTime` as the message says.
    pub time: u32,
}

/// A source as this process knows it.
#[derive(Debug)]
struct Known {
    /// What was not told to the store yet.
    delta: SourceDelta,
    /// Its last event; `None` before the first.
    last: Option<Timestamp>,
    /// Whether there is anything to tell.
    dirty: bool,
}

#[derive(Debug, Default)]
struct Table {
    by: ByHash<Known>,
    purged_at: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub struct Sources {
    clock: Clock,
    seed: Seed,
    table: Mutex<Table>,
    /// Users of SNMPv3 whose messages are taken.
    steady: Mutex<Steady>,
    max: AtomicUsize,
    /// Events of sources that found no place.
    untracked: AtomicU64,
    policy: ArcSwap<Policy>,
    /// Tells that the policy was changed.
    changes: watch::Sender<()>,
    /// Whether anybody is refused or limited: asked for each datagram.
    guarded: AtomicBool,
    buckets: Mutex<Buckets>,
}

impl Sources {
    /// An empty table for so many sources; everybody may send.
    #[must_use]
    pub fn new(clock: Clock, max: usize) -> Self {
        Self {
            clock,
            seed: Seed::default(),
            table: Mutex::default(),
            steady: Mutex::default(),
            max: AtomicUsize::new(max.max(1)),
            untracked: AtomicU64::new(0),
            policy: ArcSwap::default(),
            changes: watch::Sender::default(),
            guarded: AtomicBool::new(false),
            buckets: Mutex::default(),
        }
    }

    /// Who may send, and how much, from now on.
    pub fn set_policy(&self, policy: Policy) {
        let old = self.policy.load_full();
        if *old == policy {
            return;
        }
        let same_limits = old.limits == policy.limits;
        self.guarded.store(!policy.is_open(), Ordering::Release);
        self.policy.store(policy.into());
        if !same_limits {
            *held(&self.buckets) = Buckets::default();
        }
        self.changes.send_replace(());
    }

    /// Tells of each change of who may send.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Sources that are remembered at most.
    pub fn set_max(&self, max: usize) {
        self.max.store(max.max(1), Ordering::Relaxed);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        held(&self.table).by.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events of sources that found no place in the table.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    /// Whether this peer may send one datagram through this listener: `None` when it may, else the
    /// reason that is counted. What is refused is counted for the source here.
    pub fn admit(&self, peer: IpAddr, listener: &'static str) -> Option<&'static str> {
        if !self.guarded.load(Ordering::Acquire) {
            return None;
        }
        let policy = self.policy.load();
        let reason = if !policy.allows(peer, listener) {
            NOT_ALLOWED
        } else if policy.has_limits()
            && !held(&self.buckets).take(&policy, peer, self.clock.monotonic())
        {
            SOURCE_LIMIT
        } else {
            return None;
        };
        self.refused(peer, listener, reason, 1);
        Some(reason)
    }

    /// Whether this peer may connect to this listener.
    #[must_use]
    pub fn may_connect(&self, peer: IpAddr, listener: &'static str) -> bool {
        !self.guarded.load(Ordering::Acquire) || self.policy.load().allows(peer, listener)
    }

    /// Charges events that were read from a stream; how long it is not read now, when it is over its
    /// limit. With 0 it only asks.
    #[must_use]
    pub fn charge(&self, peer: IpAddr, events: u64) -> Option<Duration> {
        if !self.guarded.load(Ordering::Acquire) {
            return None;
        }
        let policy = self.policy.load();
        if !policy.has_limits() {
            return None;
        }
        held(&self.buckets).charge(&policy, peer, events, self.clock.monotonic())
    }

    /// Counts that a stream was not read for so long because it was over its limit.
    pub fn held_back(&self, peer: IpAddr, listener: &'static str, time: Duration) {
        self.with(&own_key(peer), listener, |known| {
            known.delta.held += 1;
            known.delta.held_ms += u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        });
    }

    /// Counts what was refused before it was decoded.
    pub fn refused(&self, peer: IpAddr, listener: &'static str, reason: &str, events: u64) {
        let key = own_key(peer);
        let key = (self.hash(&key.host, &key.peer), key.host.as_str(), key.peer.as_str());
        self.count_refused(&mut held(&self.table), key, listener, reason, events);
    }

    /// Strangers take half of the room at most: who is refused cannot push out who is heard.
    fn is_crowded(&self, table: &Table, hash: u64) -> bool {
        table.by.len() >= self.max.load(Ordering::Relaxed) / 2 && !table.by.contains_key(&hash)
    }

    /// Counts what was not taken of a source: by its hash, host in lower case, and peer.
    fn count_refused(
        &self,
        table: &mut Table,
        (hash, host, peer): (u64, &str, &str),
        listener: &'static str,
        reason: &str,
        events: u64,
    ) {
        if self.is_crowded(table, hash) {
            return;
        }
        if let Some(known) = self.place(table, hash, host, peer) {
            if known.delta.listener != listener {
                listener.clone_into(&mut known.delta.listener);
            }
            count_reason(&mut known.delta.dropped, reason, events);
            known.dirty = true;
        }
    }

    /// Notes how a user of an SNMP engine fares. One that goes on as before costs a lock and a hash.
    pub fn usm(&self, peer: IpAddr, at: Timestamp, note: UsmNote<'_>) {
        // One user name on many engines, one engine behind many addresses.
        let who = self.seed.hash(note.engine_id.as_bytes(), note.user.as_bytes());
        let hash = who ^ self.seed.hash(&octets(peer), b"usm");
        if note.error.is_none() && held(&self.steady).goes_on(hash, at, &note) {
            return;
        }
        // Control characters of strangers are none of ours.
        let plain = |text: &str| {
            let kept = cut(text, USM_BYTES_MAX).chars();
            kept.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>()
        };
        let key = own_key(peer);
        let hash_of_peer = self.hash(&key.host, &key.peer);
        if note.error.is_some() && self.is_crowded(&held(&self.table), hash_of_peer) {
            return;
        }
        let state = UsmState {
            engine_id: plain(note.engine_id),
            user: plain(note.user),
            level: note.level.to_owned(),
            boots: note.boots,
            time: note.time,
            at,
            error: note.error.map(str::to_owned),
            taken: u64::from(note.error.is_none()),
            refused: u64::from(note.error.is_some()),
        };
        if note.error.is_none() {
            held(&self.steady).remember(hash, peer, &state, self.clock.monotonic());
        } else {
            held(&self.steady).changed(hash);
        }
        self.with(&own_key(peer), "", |known| add_usm(&mut known.delta.usm, &state));
    }

    /// What was counted of users that go on as before is told with the next: the process ends.
    pub fn tell_all(&self) {
        held(&self.steady).all_due();
    }

    fn with(&self, key: &SourceKey, listener: &str, change: impl FnOnce(&mut Known)) {
        let hash = self.hash(&key.host, &key.peer);
        let mut table = held(&self.table);
        if let Some(known) = self.place(&mut table, hash, &key.host, &key.peer) {
            if known.delta.listener.is_empty() {
                listener.clone_into(&mut known.delta.listener);
            }
            change(known);
            known.dirty = true;
        }
    }

    /// The hash of a source; the host in lower case.
    fn hash(&self, host: &str, peer: &str) -> u64 {
        self.seed.hash(host.as_bytes(), peer.as_bytes())
    }

    /// A source's place in the table; `None` when there is no room for one more.
    fn place<'t>(
        &self,
        table: &'t mut Table,
        hash: u64,
        host: &str,
        peer: &str,
    ) -> Option<&'t mut Known> {
        let max = self.max.load(Ordering::Relaxed);
        if table.by.len() >= max && !table.by.contains_key(&hash) && !self.purge(table, max) {
            return None;
        }
        match table.by.entry(hash) {
            // Two sources of one hash: with a seed that nobody knows, that is not worth a longer key.
            Place::Occupied(known) => Some(known.into_mut())
                .filter(|known| known.delta.key.host == host && known.delta.key.peer == peer),
            Place::Vacant(room) => {
                let key = SourceKey { host: host.to_owned(), peer: peer.to_owned() };
                let delta = SourceDelta { key, ..SourceDelta::default() };
                Some(room.insert(Known { delta, last: None, dirty: false }))
            }
        }
    }

    /// Lets those go that were not heard for long and have nothing to tell; whether there is room now.
    fn purge(&self, table: &mut Table, max: usize) -> bool {
        let now = self.clock.monotonic();
        if table.purged_at.is_some_and(|at| now.saturating_sub(at) < PURGE_PERIOD) {
            return false;
        }
        table.purged_at = Some(now);
        let before = self.clock.wall().minus(IDLE);
        table.by.retain(|_, known| known.dirty || known.last.is_some_and(|last| last >= before));
        table.by.len() < max
    }

    /// What is to be told to the store, at most so many sources.
    #[must_use]
    pub fn drain(&self, most: usize) -> Vec<SourceDelta> {
        let due = held(&self.steady).due(self.clock.monotonic());
        for (peer, state) in due {
            self.with(&own_key(peer), "", |known| add_usm(&mut known.delta.usm, &state));
        }
        let mut table = held(&self.table);
        let mut told = Vec::new();
        for known in table.by.values_mut().filter(|known| known.dirty).take(most) {
            let key = known.delta.key.clone();
            let listener = known.delta.listener.clone();
            let format = known.delta.format.clone();
            let next = SourceDelta { key, listener, format, ..SourceDelta::default() };
            told.push(std::mem::replace(&mut known.delta, next));
            known.dirty = false;
        }
        told
    }

    /// Takes back what could not be told; it is told with the next.
    pub fn keep(&self, deltas: Vec<SourceDelta>) {
        let mut table = held(&self.table);
        for mut early in deltas {
            let hash = self.hash(&early.key.host, &early.key.peer);
            let (host, peer) = (early.key.host.clone(), early.key.peer.clone());
            let Some(known) = self.place(&mut table, hash, &host, &peer) else { continue };
            let late = std::mem::take(&mut known.delta);
            join(&mut early, late, self.clock.wall());
            known.delta = early;
            known.dirty = true;
        }
    }
}

/// Adds what was seen later to what was seen before.
fn join(early: &mut SourceDelta, late: SourceDelta, now: Timestamp) {
    if late.events > 0 {
        if early.events == 0 {
            early.first = late.first;
        }
        early.last = late.last;
    }
    if !late.listener.is_empty() {
        early.listener = late.listener;
    }
    if !late.format.is_empty() {
        early.format = late.format;
    }
    early.events += late.events;
    early.bytes += late.bytes;
    early.gaps.add(&late.gaps, now);
    early.skew_last = late.skew_last.or(early.skew_last);
    early.skew_sum = early.skew_sum.saturating_add(late.skew_sum);
    early.skews += late.skews;
    early.partial += late.partial;
    early.failed += late.failed;
    add_counts(&mut early.reasons, &late.reasons);
    add_counts(&mut early.dropped, &late.dropped);
    early.held_ms += late.held_ms;
    early.held += late.held;
    for state in &late.usm {
        add_usm(&mut early.usm, state);
    }
}

/// An address as IPv6 writes it.
fn octets(peer: IpAddr) -> [u8; 16] {
    match peer {
        IpAddr::V4(peer) => peer.to_ipv6_mapped().octets(),
        IpAddr::V6(peer) => peer.octets(),
    }
}

/// The source that a peer is itself.
fn own_key(peer: IpAddr) -> SourceKey {
    let peer = peer.to_string();
    SourceKey { host: peer.clone(), peer }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
