//! Identifiers: UUIDv7 (RFC 9562 section 5.7) made once by the Ingestor, in order within a process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A UUIDv7: its first 48 bits are milliseconds of the moment it was made for, the next 12 the
/// fraction of that millisecond, the rest a random number that grows within the process. Sorting by
/// id is sorting by time. Used for events, batches, alerts and deliveries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// The smallest id that any moment at or after `at` can have; for range searches by time.
    #[must_use]
    pub fn floor_of(at: Timestamp) -> Self {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&at.millis().to_be_bytes()[2..]);
        bytes[6] = 0x70;
        let sub = sub_millis(at);
        bytes[6] |= (sub >> 8) as u8;
        bytes[7] = sub as u8;
        bytes[8] = 0x80;
        Self(bytes)
    }

    /// The millisecond of the moment that the id was made for.
    #[must_use]
    pub fn millis(self) -> u64 {
        let mut eight = [0u8; 8];
        eight[2..].copy_from_slice(&self.0[..6]);
        u64::from_be_bytes(eight)
    }

    /// The id as a number, for hashing and comparing.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

/// The 12 bits of RFC 9562 section 6.2 method 3: the microsecond within its millisecond.
fn sub_millis(at: Timestamp) -> u16 {
    let micros = at.micros().rem_euclid(1_000);
    u16::try_from(micros * 4096 / 1000).unwrap_or(0)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no UUID.
#[derive(Debug, thiserror::Error)]
#[error("not an id: expected 32 hexadecimal digits with hyphens, as 0198c5a2-...")]
pub struct IdError;

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0u8; 16];
        let mut digits = text.bytes().filter(|b| *b != b'-');
        for byte in &mut bytes {
            let mut nibble = || {
                digits.next().and_then(|d| (d as char).to_digit(16)).map(|d| d as u8).ok_or(IdError)
            };
            *byte = nibble()? << 4 | nibble()?;
        }
        if digits.next().is_some() {
            return Err(IdError);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes ids that grow: each is greater than the one before, also when the clock stands still.
#[derive(Debug)]
pub struct IdSource {
    random: fastrand::Rng,
    last: Id,
}

impl IdSource {
    /// A source whose random part starts from `seed` (a test gives a fixed one).
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), last: Id::default() }
    }

    /// A source seeded by the operating system.
    #[must_use]
    pub fn from_entropy() -> Self {
        Self::new(fastrand::u64(..))
    }

    /// The next id for the moment `at`.
    pub fn next(&mut self, at: Timestamp) -> Id {
        let mut id = Id::floor_of(at);
        if id.0[..8] > self.last.0[..8] {
            // A fresh tick: random, with the top bit of the counter clear so that it can grow.
            let random = self.random.u64(..) & 0x1fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
            id.0[8..].copy_from_slice(&random.to_be_bytes());
        } else {
            // The same tick, or a clock behind the last id: grow the number as a whole.
            let step = u128::from(self.random.u32(1..=0xffff));
            let mut grown = (self.last.as_u128() + step).to_be_bytes();
            if grown[8] & 0xc0 != 0x80 {
                // The 62 bits ran over (once in 2^45 ids of one tick): go to the next tick.
                grown = (self.last.as_u128() + (1 << 64)).to_be_bytes();
                grown[8] = 0x80;
            }
            id = Id(grown);
        }
        self.last = id;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_within_and_across_ticks_and_when_the_clock_steps_back() {
        let mut source = IdSource::new(7);
        let mut last = Id::default();
        for micros in [5_000_000i64, 5_000_000, 5_000_000, 5_000_001, 4_000_000, 6_000_000] {
            for _ in 0..1_000 {
                let id = source.next(Timestamp(micros));
                assert!(id > last, "{id} after {last}");
                assert_eq!(id.0[6] >> 4, 7, "version");
                assert_eq!(id.0[8] >> 6, 2, "variant");
                last = id;
            }
        }
    }

    #[test]
    fn an_id_is_written_and_read_back() {
        let id = IdSource::new(1).next(Timestamp::from_secs(1_764_000_000));
        assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
        assert_eq!(id.millis(), 1_764_000_000_000);
        assert!("0198".parse::<Id>().is_err());
        assert!("zz98c5a2-0000-7000-8000-000000000000".parse::<Id>().is_err());
    }

    #[test]
    fn floor_is_not_above_any_id_of_its_moment() {
        let at = Timestamp(1_764_000_000_123_456);
        let id = IdSource::new(3).next(at);
        assert!(Id::floor_of(at) <= id);
        assert!(Id::floor_of(Timestamp(at.0 + 1_000)) > id);
    }
}
