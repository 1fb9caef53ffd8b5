//! A source: a device seen, by its host and the address that its packets come from; what an Ingestor
//! tells of it, and how that is added to what is known.

pub mod gaps;
pub mod quiet;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::gaps::Gaps;
use crate::event::peer_host;
use crate::time::Timestamp;

/// A host's name in a key is cut to so many bytes.
pub const HOST_BYTES_MAX: usize = 255;
/// Different reasons of parse failures that are kept of one source; the others are counted as `other`.
pub const REASONS_MAX: usize = 16;
/// A reason is cut to so many bytes.
pub const REASON_BYTES_MAX: usize = 96;
/// Pairs of engine and user that are kept of one source; the one that was heard of longest ago goes.
pub const USM_STATES_MAX: usize = 8;
/// What is counted where a reason has no place of its own.
pub const OTHER: &str = "other";

/// Weight of a new mean in the smoothed skew.
const SKEW_WEIGHT: f64 = 1.0 / 8.0;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

/// What tells one source from another. Written `host@peer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceKey {
    /// The device that speaks, lower case.
    pub host: String,
    /// The address that sends its packets, without port: its own, or a relay's.
    pub peer: String,
}

impl SourceKey {
    /// The key of a host behind a peer, which may be given with its port.
    #[must_use]
    pub fn new(host: &str, peer: &str) -> Self {
        Self {
            host: cut(host, HOST_BYTES_MAX).to_lowercase(),
            peer: cut(peer_host(peer), HOST_BYTES_MAX).to_owned(),
        }
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.host, self.peer)
    }
}

impl FromStr for SourceKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('@') {
            Some((host, peer)) if !host.is_empty() && !peer.is_empty() => Ok(Self {
                host: cut(host, HOST_BYTES_MAX).to_lowercase(),
                peer: cut(peer, HOST_BYTES_MAX).to_owned(),
            }),
            _ => Err(format!("`{text}` is no source; one is written HOST@PEER")),
        }
    }
}

/// The longest part of a text that is not longer than so many bytes.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// How one user of one SNMP engine fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsmState {
    /// Hexadecimal.
    pub engine_id: String,
    /// The user's name.
    pub user: String,
    /// `noAuthNoPriv`, `authNoPriv`, `authPriv`.
    pub level: String,
    /// `snmpEngineBoots` as the device said last.
    pub boots: u32,
    /// `snmpEngineTime` as the device said last.
    pub time: u32,
    /// When it was heard of last.
    pub at: Timestamp,
    /// What was wrong with its last message; `None` when it was taken.
    pub error: Option<String>,
    /// Messages that were taken.
    pub taken: u64,
    /// Messages that were refused.
    pub refused: u64,
}

impl UsmState {
    /// Whether somebody has to make the engine or its user known.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.error.as_deref().is_some_and(|error| error.starts_with("unknown"))
    }
}

/// How far a device's clock is from ours: its time minus the time of receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// Of the last event that had a time, in milliseconds.
    pub last_ms: i64,
    /// Smoothed, in milliseconds.
    pub smoothed_ms: f64,
}

/// What one Ingestor saw of one source since it told of it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceDelta {
    /// Which source.
    pub key: SourceKey,
    /// The listener that heard it last; empty when none did.
    pub listener: String,
    /// Its dialect, as the decoder named it last.
    pub format: String,
    /// The first of these events; meaningless without events.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The times between them, and before the first where that is known.
    pub gaps: Gaps,
    /// Skew of the last event that had a time, in microseconds.
    pub skew_last: Option<i64>,
    /// Sum of the skews in microseconds.
    pub skew_sum: i64,
    /// Events with a time.
    pub skews: u64,
    /// Events of which a part was not understood.
    pub partial: u64,
    /// Events of which only the raw bytes could be had.
    pub failed: u64,
    /// Notes of those events.
    pub reasons: BTreeMap<String, u64>,
    /// What was refused before it became an event, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// How long it was not read because it was over its limit, in milliseconds.
    pub held_ms: u64,
    /// How often.
    pub held: u64,
    /// Its SNMP engines and users.
    pub usm: Vec<UsmState>,
}

/// What is known of a source by its Ingestors' reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Events ever heard.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Its dialect.
    pub format: String,
    /// Events a second, over about a minute, at `rated_at`.
    pub rate_minute: f64,
    /// The same over about an hour.
    pub rate_hour: f64,
    /// When the rates were worked out.
    pub rated_at: Timestamp,
    /// The times between its events.
    pub gaps: Gaps,
    /// Its clock.
    pub skew: Option<Skew>,
    /// Events of which a part was not understood.
    pub partial: u64,
    /// Events of which only the raw bytes could be had.
    pub failed: u64,
    /// Why.
    pub reasons: BTreeMap<String, u64>,
    /// Refused before the append, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Milliseconds in which it was not read because it was over its limit.
    pub held_ms: u64,
    /// How often.
    pub held: u64,
    /// Its SNMP engines and users.
    pub usm: Vec<UsmState>,
}

impl SourceFacts {
    /// Adds a report that came at `now`.
    pub fn add(&mut self, delta: &SourceDelta, now: Timestamp) {
        let since = now.since(self.rated_at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let events = delta.events as f64;
        self.rate_minute = aged(self.rate_minute, since, MINUTE) + events / MINUTE;
        self.rate_hour = aged(self.rate_hour, since, HOUR) + events / HOUR;
        self.rated_at = self.rated_at.max(now);
        self.events += delta.events;
        self.bytes += delta.bytes;
        if !delta.format.is_empty() {
            self.format.clone_from(&delta.format);
        }
        self.gaps.add(&delta.gaps, now);
        if let (Some(last), 1..) = (delta.skew_last, delta.skews) {
            #[expect(clippy::cast_precision_loss, reason = "smoothed anyway")]
            let mean = delta.skew_sum as f64 / delta.skews as f64 / 1_000.0;
            let before = self.skew.map_or(mean, |skew| skew.smoothed_ms);
            let smoothed_ms = before + (mean - before) * SKEW_WEIGHT;
            self.skew = Some(Skew { last_ms: last / 1_000, smoothed_ms });
        }
        self.partial += delta.partial;
        self.failed += delta.failed;
        add_counts(&mut self.reasons, &delta.reasons);
        add_counts(&mut self.dropped, &delta.dropped);
        self.held_ms += delta.held_ms;
        self.held += delta.held;
        for state in &delta.usm {
            add_usm(&mut self.usm, state);
        }
    }

    /// Events a second over about a minute and about an hour, as of `now`. A source that is younger
    /// than that is measured over its age.
    #[must_use]
    pub fn rates(&self, first_seen: Timestamp, now: Timestamp) -> (f64, f64) {
        let since = now.since(self.rated_at).as_secs_f64();
        let age = now.since(first_seen).as_secs_f64();
        let of = |rate: f64, over: f64| {
            let filled = 1.0 - (-age / over).exp();
            if filled > 0.01 { aged(rate, since, over) / filled } else { aged(rate, since, over) }
        };
        (of(self.rate_minute, MINUTE), of(self.rate_hour, HOUR))
    }

    /// Whether an engine or user of it waits to be made known.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.usm.iter().any(UsmState::is_pending)
    }
}

/// A rate that nothing was added to for so many seconds.
fn aged(rate: f64, seconds: f64, over: f64) -> f64 {
    rate * (-seconds / over).exp()
}

/// Adds counts by reason, of which only so many are kept apart.
pub fn add_counts(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (reason, count) in from {
        count_reason(to, reason, *count);
    }
}

/// Counts a reason.
pub fn count_reason(to: &mut BTreeMap<String, u64>, reason: &str, count: u64) {
    let reason = cut(reason, REASON_BYTES_MAX);
    if let Some(known) = to.get_mut(reason) {
        *known += count;
    } else if to.len() < REASONS_MAX {
        to.insert(reason.to_owned(), count);
    } else {
        *to.entry(OTHER.to_owned()).or_default() += count;
    }
}

/// Adds what was heard of an engine and user; its counts are added, all else is the newer one's.
pub fn add_usm(to: &mut Vec<UsmState>, heard: &UsmState) {
    let same =
        |known: &&mut UsmState| known.engine_id == heard.engine_id && known.user == heard.user;
    if let Some(known) = to.iter_mut().find(same) {
        let (taken, refused) = (known.taken + heard.taken, known.refused + heard.refused);
        if heard.at >= known.at {
            known.clone_from(heard);
        }
        (known.taken, known.refused) = (taken, refused);
        return;
    }
    if to.len() >= USM_STATES_MAX
        && let Some(oldest) =
            to.iter().enumerate().min_by_key(|(_, state)| state.at).map(|(at, _)| at)
    {
        to.remove(oldest);
    }
    to.push(heard.clone());
}

/// Whether somebody was told that a source is quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// It is not, or nobody was told yet.
    #[default]
    No,
    /// By an alert of its own.
    Alone,
    /// By the alert of its relay.
    Relay,
}

impl Told {
    /// As stored.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// What is stored with this number.
    #[must_use]
    pub const fn from_number(number: i16) -> Self {
        match number {
            1 => Self::Alone,
            2 => Self::Relay,
            _ => Self::No,
        }
    }
}

/// A source as the store has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenSource {
    /// Which.
    pub key: SourceKey,
    /// The listener that heard it last.
    pub listener: String,
    /// The host of the Ingestor that heard it last.
    pub heard_by: String,
    /// Its first event; the epoch when there was none.
    pub first_seen: Timestamp,
    /// Its last event; the epoch when there was none.
    pub last_seen: Timestamp,
    /// What Ingestors told of it.
    pub facts: SourceFacts,
    /// Whether its silence is nobody's business.
    pub muted: bool,
    /// Whether somebody was told of its silence.
    pub told: Told,
}

impl SeenSource {
    /// `quiet`, `pending` or `active`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.told != Told::No {
            "quiet"
        } else if self.facts.is_pending() {
            "pending"
        } else {
            "active"
        }
    }

    /// The gap that 99 of 100 do not exceed.
    #[must_use]
    pub fn usual_gap(&self) -> Duration {
        self.facts.gaps.p99()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read() {
        let key = SourceKey::new("Edge-R1", "192.0.2.7:514");
        assert_eq!(key.to_string(), "edge-r1@192.0.2.7");
        assert_eq!("edge-r1@192.0.2.7".parse(), Ok(key));
        let odd: SourceKey = "a@b@[::1".parse().unwrap();
        assert_eq!((odd.host.as_str(), odd.peer.as_str()), ("a@b", "[::1"));
        assert!("edge-r1".parse::<SourceKey>().is_err() && "@x".parse::<SourceKey>().is_err());
        let long = SourceKey::new(&"\u{e9}".repeat(200), "::1");
        assert_eq!(long.host.len(), 254, "cut between characters");
    }

    fn delta(events: u64, skew: Option<i64>) -> SourceDelta {
        let skews = u64::from(skew.is_some());
        SourceDelta {
            events,
            skew_last: skew,
            skew_sum: skew.unwrap_or(0),
            skews,
            ..SourceDelta::default()
        }
    }

    #[test]
    fn rates_settle_at_the_pace_and_fade() {
        let mut facts = SourceFacts::default();
        let at = Timestamp::from_secs;
        for step in 0..720 {
            facts.add(&delta(50, None), at(step * 5));
        }
        let now = at(720 * 5);
        let (minute, hour) = facts.rates(at(0), now);
        assert!((9.0..11.0).contains(&minute), "{minute}");
        assert!((9.0..11.0).contains(&hour), "{hour}");
        let (minute, hour) = facts.rates(at(0), now.plus(Duration::from_secs(600)));
        assert!(minute < 0.01 && hour > 5.0, "{minute} {hour}");
        let mut young = SourceFacts::default();
        young.add(&delta(60, None), at(30));
        let (minute, _) = young.rates(at(0), at(30));
        assert!((1.0..4.0).contains(&minute), "measured over its age: {minute}");
    }

    #[test]
    fn skew_is_smoothed_and_the_last_is_kept() {
        let mut facts = SourceFacts::default();
        facts.add(&delta(1, Some(-2_000_000)), Timestamp(0));
        assert_eq!(facts.skew, Some(Skew { last_ms: -2_000, smoothed_ms: -2_000.0 }));
        facts.add(&delta(1, Some(6_000_000)), Timestamp(0));
        assert_eq!(facts.skew, Some(Skew { last_ms: 6_000, smoothed_ms: -1_000.0 }));
        facts.add(&delta(1, None), Timestamp(0));
        assert_eq!(facts.skew.map(|skew| skew.last_ms), Some(6_000));
    }

    #[test]
    fn reasons_and_engines_are_bounded_and_nothing_is_uncounted() {
        let mut counts = BTreeMap::new();
        for n in 0..100 {
            count_reason(&mut counts, &format!("reason {n:03}"), 2);
        }
        assert_eq!(counts.values().sum::<u64>(), 200);
        assert_eq!((counts.len(), counts[OTHER]), (REASONS_MAX + 1, 168));
        let mut states = Vec::new();
        let heard = |user: &str, at: i64, error: Option<&str>| UsmState {
            user: user.to_owned(),
            at: Timestamp(at),
            error: error.map(str::to_owned),
            taken: u64::from(error.is_none()),
            refused: u64::from(error.is_some()),
            ..UsmState::default()
        };
        add_usm(&mut states, &heard("a", 1, Some("unknown user")));
        assert!(states[0].is_pending());
        add_usm(&mut states, &heard("a", 2, None));
        assert_eq!((states[0].taken, states[0].refused, states[0].is_pending()), (1, 1, false));
        for n in 0..20 {
            add_usm(&mut states, &heard(&format!("u{n}"), 10 + n, Some("wrong digest")));
        }
        assert_eq!(states.len(), USM_STATES_MAX);
        assert!(states.iter().all(|state| state.at.0 >= 22 && !state.is_pending()));
    }
}
