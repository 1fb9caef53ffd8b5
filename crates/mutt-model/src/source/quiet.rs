//! Which sources went quiet: pure, over what the store knows at one moment. A source alone, a whole
//! relay and our own deafness are told apart, so that one cause makes one alert.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{SourceKey, Told};
use crate::time::Timestamp;

/// A peer with so many sources behind it is a relay.
pub const RELAY_MIN: u64 = 3;
/// So many silent sources behind several peers, and nobody who speaks, are our own deafness.
pub const EVERYBODY_MIN: usize = 10;
/// Trouble of an Ingestor counts as lasting for so long after it was seen.
pub const TROUBLE_LASTS: Duration = Duration::from_secs(150);

/// `remediation.quiet.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietPolicy {
    /// Whether silence is told at all.
    pub enabled: bool,
    /// A source must have been heard over so long a time.
    pub history: Duration,
    /// Silence of so many usual gaps is unusual.
    pub factor: u32,
    /// Silence that is shorter is never unusual.
    pub floor: Duration,
}

impl Default for QuietPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            history: Duration::from_secs(86_400),
            factor: 3,
            floor: Duration::from_secs(300),
        }
    }
}

impl QuietPolicy {
    /// Silence beyond this is unusual for a source with that usual gap.
    #[must_use]
    pub fn allowed(&self, usual_gap: Duration) -> Duration {
        usual_gap.saturating_mul(self.factor).max(self.floor)
    }

    /// Whether a source was heard for long enough to know how it speaks.
    #[must_use]
    pub fn knows(&self, source: &Watched) -> bool {
        source.last_seen.since(source.first_seen) >= self.history
    }
}

/// What the watch needs of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub key: SourceKey,
    /// The listener that heard it last.
    pub listener: String,
    /// The host of the Ingestor that heard it last.
    pub heard_by: String,
    /// Its first event.
    pub first_seen: Timestamp,
    /// Its last event.
    pub last_seen: Timestamp,
    /// The gap that 99 of 100 do not exceed.
    pub usual_gap: Duration,
    /// Silence before this counts for nothing.
    pub excused: Timestamp,
    /// Nobody is to be told.
    pub muted: bool,
    /// It is to be removed.
    pub forgotten: bool,
    /// Whether somebody was told.
    pub told: Told,
    /// Its last event when somebody was told.
    pub told_last: Timestamp,
}

/// How well an Ingestor hears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ear {
    /// It hears since then.
    pub since: Timestamp,
    /// Its listeners.
    pub listeners: BTreeSet<String>,
    /// Trouble of one listener, or of all of them (`*`): when it was seen last, and what it was.
    pub trouble: BTreeMap<String, (Timestamp, String)>,
}

/// Trouble of all listeners.
pub const EVERY_LISTENER: &str = "*";

/// Everything that a judgement looks at.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By the store's clock.
    pub now: Timestamp,
    /// The silent ones, those that somebody was told of, those to be removed, and all others behind the
    /// same peers.
    pub sources: Vec<Watched>,
    /// The newest event of any source.
    pub newest: Timestamp,
    /// The Ingestors that report, by host.
    pub ears: BTreeMap<String, Ear>,
    /// Whether somebody was told that MUTT is deaf.
    pub deaf_told: bool,
}

/// What becomes of a source in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub key: SourceKey,
    /// Who was told.
    pub told: Told,
    /// Its last event, when it was told.
    pub told_last: Timestamp,
    /// Silence before this counts for nothing from now on.
    pub excused: Option<Timestamp>,
    /// It goes.
    pub remove: bool,
}

/// What is to be told, and noted once it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whom it is about.
    pub about: About,
    /// What is noted.
    pub marks: Vec<Mark>,
}

/// Whom an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A source is silent for so long; its usual gap.
    Quiet(SourceKey, Duration, Duration),
    /// It is heard again, or nobody is interested any more.
    Back(SourceKey),
    /// Nothing comes from behind a relay for so long: silent sources, and sources in all.
    RelayQuiet(String, Duration, u64, u64),
    /// It passes something on again.
    RelayBack(String),
    /// MUTT itself does not hear: why, and how many sources are silent by that.
    Deaf(String, u64),
    /// It hears again.
    Hears,
    /// Nobody is told.
    Nobody,
}

impl Mark {
    fn of(source: &Watched, told: Told) -> Self {
        let (key, told_last) = (source.key.clone(), source.last_seen);
        Self { key, told, told_last, excused: None, remove: false }
    }

    fn over(source: &Watched, excused: Option<Timestamp>) -> Self {
        Self { excused, remove: source.forgotten, ..Self::of(source, Told::No) }
    }
}

/// What is known of a relay.
#[derive(Default)]
struct Relay<'a> {
    /// All sources behind it whose ways are known.
    known: Vec<&'a Watched>,
    /// Those that are silent and were not told of.
    silent: Vec<&'a Watched>,
    /// Those that its alert covers.
    covered: Vec<&'a Watched>,
}

impl Relay<'_> {
    /// Whether nearly all who should have spoken after a moment did not.
    fn is_quiet_since(&self, moment: Timestamp, now: Timestamp) -> bool {
        let spoke = self.known.iter().filter(|s| s.last_seen > moment).count();
        let due = |s: &&&Watched| {
            s.last_seen <= moment && now.since(s.last_seen.max(s.excused)) > s.usual_gap
        };
        let overdue = self.known.iter().filter(due).count();
        self.known.len() as u64 >= RELAY_MIN && overdue >= 2 && spoke * 10 <= spoke + overdue
    }
}

/// Says who went quiet, who is back, and what is noted of each. Steps may be repeated.
#[must_use]
pub fn judge(view: &View, policy: &QuietPolicy) -> Vec<Step> {
    let now = view.now;
    let mut steps = Vec::new();
    let mut relays: BTreeMap<&str, Relay<'_>> = BTreeMap::new();
    let (mut masked, mut why) = (0u64, None);
    for source in &view.sources {
        let relay = relays.entry(source.key.peer.as_str()).or_default();
        let over = source.forgotten || source.muted || !policy.enabled;
        match source.told {
            Told::Alone if over || source.last_seen != source.told_last => {
                let about = About::Back(source.key.clone());
                steps.push(Step { about, marks: vec![Mark::over(source, None)] });
                continue;
            }
            Told::Relay => relay.covered.push(source),
            Told::No if source.forgotten => {
                steps.push(Step { about: About::Nobody, marks: vec![Mark::over(source, None)] });
                continue;
            }
            Told::Alone | Told::No => {}
        }
        if over || !policy.knows(source) {
            continue;
        }
        relay.known.push(source);
        if source.told != Told::No {
            continue;
        }
        let allowed = policy.allowed(source.usual_gap);
        let heard = source.last_seen.max(source.excused);
        if now.since(heard) <= allowed {
            continue;
        }
        match hearing(view, source) {
            Hearing::Deaf(reason) => {
                masked += 1;
                why.get_or_insert(reason);
            }
            Hearing::Since(since) if now.since(heard.max(since)) <= allowed => {}
            Hearing::Since(_) => relay.silent.push(source),
        }
    }
    let silent: Vec<&Watched> = relays.values().flat_map(|r| r.silent.iter().copied()).collect();
    let peers: BTreeSet<&str> = silent.iter().map(|s| s.key.peer.as_str()).collect();
    let last = silent.iter().map(|s| s.last_seen).max().unwrap_or_default();
    if silent.len() >= EVERYBODY_MIN && peers.len() > 1 && view.newest <= last {
        masked += silent.len() as u64;
        why.get_or_insert_with(|| "no source at all is heard".to_owned());
        relays.values_mut().for_each(|relay| relay.silent.clear());
    } else if view.deaf_told && why.is_none() {
        // It was us: whoever is still silent gets the time to speak.
        let marks = silent.iter().map(|s| Mark::over(s, Some(now))).collect();
        steps.push(Step { about: About::Nobody, marks });
        relays.values_mut().for_each(|relay| relay.silent.clear());
    }
    match why {
        Some(why) if !view.deaf_told => {
            steps.push(Step { about: About::Deaf(why, masked), marks: Vec::new() });
        }
        None if view.deaf_told => {
            steps.push(Step { about: About::Hears, marks: Vec::new() });
        }
        _ => {}
    }
    for (peer, relay) in relays {
        judge_relay(peer, &relay, now, policy, &mut steps);
    }
    steps
}

fn judge_relay(
    peer: &str,
    relay: &Relay<'_>,
    now: Timestamp,
    policy: &QuietPolicy,
    steps: &mut Vec<Step>,
) {
    if !relay.covered.is_empty() {
        let since = relay.covered.iter().map(|s| s.told_last).max().unwrap_or_default();
        if policy.enabled && relay.is_quiet_since(since, now) {
            let marks: Vec<Mark> =
                relay.silent.iter().map(|source| Mark::of(source, Told::Relay)).collect();
            if !marks.is_empty() {
                steps.push(Step { about: About::Nobody, marks });
            }
            return;
        }
        // Whoever is still silent gets the time to speak again.
        let still = relay.covered.iter().chain(&relay.silent);
        let marks = still.map(|source| Mark::over(source, Some(now))).collect();
        steps.push(Step { about: About::RelayBack(peer.to_owned()), marks });
        return;
    }
    let Some(last) = relay.silent.iter().map(|s| s.last_seen).max() else { return };
    if relay.is_quiet_since(last, now) {
        let silent = relay.known.iter().filter(|s| s.last_seen <= last).count() as u64;
        let (of, silence) = (relay.known.len() as u64, now.since(last));
        let marks = relay.silent.iter().map(|source| Mark::of(source, Told::Relay)).collect();
        let about = About::RelayQuiet(peer.to_owned(), silence, silent, of);
        steps.push(Step { about, marks });
        return;
    }
    for source in &relay.silent {
        let silence = now.since(source.last_seen);
        let about = About::Quiet(source.key.clone(), silence, source.usual_gap);
        steps.push(Step { about, marks: vec![Mark::of(source, Told::Alone)] });
    }
}

/// Whether the Ingestor that heard a source hears.
enum Hearing {
    /// Well, since then.
    Since(Timestamp),
    /// It does not, or did not a moment ago.
    Deaf(String),
}

fn hearing(view: &View, source: &Watched) -> Hearing {
    let host = &source.heard_by;
    let Some(ear) = view.ears.get(host) else {
        return Hearing::Deaf(format!("the Ingestor on {host} does not report"));
    };
    if !ear.listeners.contains(&source.listener) {
        return Hearing::Deaf(format!("the listener {} on {host} is closed", source.listener));
    }
    let mut since = ear.since;
    for listener in [source.listener.as_str(), EVERY_LISTENER] {
        let Some((at, what)) = ear.trouble.get(listener) else { continue };
        if view.now.since(*at) <= TROUBLE_LASTS {
            return Hearing::Deaf(format!("{what} on {host}"));
        }
        since = since.max(*at);
    }
    Hearing::Since(since)
}

#[cfg(test)]
mod tests;
