//! Time as a value: [`Timestamp`] for what is written down, [`Clock`] for the one place that asks.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 with offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment this many microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment this many whole seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, never below zero (what a UUIDv7 carries).
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment moved into the future; stops at the largest moment.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment moved into the past; stops at the smallest moment.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 with offset; `None` when the text is none.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(at.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
    }
}

/// The one source of time. Wall time never steps back within one process; monotonic time is for
/// backoff, limiter and breaker. Pure code never holds a clock: it takes `now`.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clocks.
    #[default]
    System,
    /// A clock that a test moves by hand.
    Manual(Arc<ManualClock>),
}

/// The hand-moved clock of tests: wall and monotonic time advance together.
#[derive(Debug, Default)]
pub struct ManualClock {
    micros: AtomicI64,
    start: i64,
}

/// The latest wall time given out, so that `received_at` never steps back.
static LAST_WALL: AtomicI64 = AtomicI64::new(i64::MIN);
static MONOTONIC_START: OnceLock<std::time::Instant> = OnceLock::new();

impl Clock {
    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(ManualClock { micros: AtomicI64::new(start.0), start: start.0 }))
    }

    /// The present moment; never earlier than one that this process was given before.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks for the time")]
    pub fn wall(&self) -> Timestamp {
        match self {
            Self::System => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
                let last = LAST_WALL.fetch_max(now, Ordering::Relaxed);
                Timestamp(now.max(last))
            }
            Self::Manual(manual) => Timestamp(manual.micros.load(Ordering::SeqCst)),
        }
    }

    /// The machine's wall clock as it is now, also when it was set back (for noticing a step).
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks for the time")]
    pub fn wall_unclamped(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)),
            ),
            Self::Manual(_) => self.wall(),
        }
    }

    /// Time since a fixed start of this process; unaffected by steps of the wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks for the time")]
    pub fn monotonic(&self) -> Duration {
        match self {
            Self::System => MONOTONIC_START.get_or_init(std::time::Instant::now).elapsed(),
            Self::Manual(manual) => Duration::from_micros(
                u64::try_from(manual.micros.load(Ordering::SeqCst) - manual.start).unwrap_or(0),
            ),
        }
    }

    /// Moves a manual clock forward; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(manual) = self {
            manual
                .micros
                .fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_as_rfc3339_and_read_back() {
        let check = |micros: i64, text: &str| {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(Timestamp::parse_rfc3339(text), Some(Timestamp(micros)));
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1_764_000_000_123_456, "2025-11-24T16:00:00.123456Z");
        assert_eq!(
            Timestamp::parse_rfc3339("2025-11-24T18:00:00+02:00"),
            Some(Timestamp(1_764_000_000_000_000))
        );
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp::from_secs(100));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.wall(), Timestamp::from_secs(105));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
