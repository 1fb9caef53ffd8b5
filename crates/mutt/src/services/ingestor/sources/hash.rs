//! Hashes of sources: texts of strangers are hashed once for each event, with a seed of this process, and
//! the maps take the hash as it is.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};

/// A map by such a hash.
pub(super) type ByHash<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// Takes a hash for what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only numbers are ever hashed with this.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What nobody outside of this process knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64, u64);

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::new();
        // Odd, so that no multiplication loses bits of the text.
        Self(random.hash_one(1u8), random.hash_one(2u8) | 1)
    }
}

impl Seed {
    /// The hash of two texts: eight bytes at a time are multiplied with what came before, and both halves
    /// of the product are kept.
    pub(super) fn hash(self, one: &[u8], two: &[u8]) -> u64 {
        let state = self.fold(self.0 ^ one.len() as u64, self.1);
        self.add(self.add(state, one), two)
    }

    fn add(self, mut state: u64, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state = self.fold(state ^ u64::from_le_bytes(*word), self.1);
        }
        let last = rest.iter().fold(bytes.len() as u64, |last, byte| last << 8 | u64::from(*byte));
        self.fold(state ^ last, self.1)
    }

    fn fold(self, one: u64, two: u64) -> u64 {
        let product = u128::from(one) * u128::from(two);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded.wrapping_add(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn texts_that_differ_have_other_hashes_in_every_bit() {
        let seed = Seed::default();
        let mut seen = BTreeSet::new();
        let mut ones = [0u32; 64];
        for n in 0..20_000u32 {
            let (host, peer) = (format!("edge-r{n}"), format!("192.0.2.{}", n % 7));
            let hash = seed.hash(host.as_bytes(), peer.as_bytes());
            seen.insert(hash);
            (0..64).for_each(|bit| ones[bit] += u32::from(hash >> bit & 1 == 1));
        }
        assert_eq!(seen.len(), 20_000);
        assert!(ones.iter().all(|count| (8_000..12_000).contains(count)), "{ones:?}");
        // Where one text ends and the next begins matters; so does each length.
        let pairs =
            [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("\0", ""), ("", "\0"), ("", "")];
        let hashes: BTreeSet<u64> =
            pairs.iter().map(|(one, two)| seed.hash(one.as_bytes(), two.as_bytes())).collect();
        assert_eq!(hashes.len(), pairs.len());
        assert_ne!(seed.hash(b"a", b"b"), Seed::default().hash(b"a", b"b"));
    }
}
