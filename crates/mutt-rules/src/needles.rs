//! Finding which of many literals a text holds, in one scan. Each literal is looked for by one window
//! of its bytes, the one that fewest other literals share, and then compared. A bit for the hash of each
//! window's first bytes rejects nearly every place in the text from a few tens of KiB, where an
//! automaton over all literals takes megabytes and a cache miss for nearly every byte.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

/// Bits of the filter for each literal: one place in sixteen at most passes by chance.
const BITS_EACH: usize = 16;
/// Fewest and most bits of the filter, as powers of two.
const BITS_MIN: u32 = 12;
const BITS_MAX: u32 = 24;

/// Literals ready to be looked for.
#[derive(Debug)]
pub(crate) struct Needles {
    /// All literals, one after the other, and where each begins.
    text: Box<[u8]>,
    starts: Box<[u32]>,
    /// A bit for the hash of each window's first four bytes.
    filter: Box<[u64]>,
    filter_shift: u32,
    /// Literals by a window of eight bytes, shorter ones by one of four.
    wide: Windows<8>,
    narrow: Windows<4>,
    /// Literals too short for a window, and their numbers.
    short: Option<(AhoCorasick, Box<[u32]>)>,
}

/// The literals that are looked for by a window of `N` bytes.
#[derive(Debug)]
struct Windows<const N: usize> {
    /// Literals by the hash of their window.
    places: Box<[Place]>,
    /// Where in `places` the literals begin whose hash starts with these bits.
    buckets: Box<[u32]>,
    bucket_bits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    hash: u64,
    literal: u32,
    /// Where in the literal the window begins.
    offset: u32,
}

/// Multiplication by an odd number loses nothing, so that equal hashes mean equal windows.
fn hash<const N: usize>(window: &[u8; N]) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(window);
    u64::from_le_bytes(wide).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn filter_hash(window: [u8; 4], shift: u32) -> usize {
    (u32::from_le_bytes(window).wrapping_mul(0x9e37_79b1) >> shift) as usize
}

/// How usual a byte is in folded log text; only a guess that breaks ties.
fn usual(byte: u8) -> u32 {
    match byte {
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 4,
        b'0'..=b'9' | b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' => 3,
        b'a'..=b'z' | b'-' | b'.' | b':' => 2,
        _ => 1,
    }
}

impl Needles {
    /// Makes literals ready; a literal is named by its position.
    ///
    /// # Errors
    ///
    /// There are more very short literals than their automaton can take.
    pub(crate) fn new(literals: &[&str]) -> Result<Self, BuildError> {
        let mut text = Vec::new();
        let mut starts = vec![0];
        let mut shorts: Vec<u32> = Vec::new();
        for (number, literal) in (0_u32..).zip(literals) {
            text.extend_from_slice(literal.as_bytes());
            starts.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            if literal.len() < 4 {
                shorts.push(number);
            }
        }
        let short = if shorts.is_empty() {
            None
        } else {
            let patterns = shorts.iter().map(|number| literals[*number as usize]);
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::DFA));
            Some((builder.build(patterns)?, shorts.into_boxed_slice()))
        };
        let wide = Windows::new(literals, |length| length >= 8);
        let narrow = Windows::new(literals, |length| (4..8).contains(&length));
        let firsts = wide.places.iter().chain(&narrow.places).filter_map(|place| {
            literals[place.literal as usize].as_bytes()[place.offset as usize..].first_chunk::<4>()
        });
        let wanted = (wide.places.len() + narrow.places.len()) * BITS_EACH;
        let bits = wanted.next_power_of_two().ilog2().clamp(BITS_MIN, BITS_MAX);
        let mut filter = vec![0_u64; 1 << (bits - 6)];
        for first in firsts {
            let bit = filter_hash(*first, 32 - bits);
            filter[bit >> 6] |= 1 << (bit & 63);
        }
        Ok(Self {
            filter: filter.into_boxed_slice(),
            filter_shift: 32 - bits,
            text: text.into_boxed_slice(),
            starts: starts.into_boxed_slice(),
            wide,
            narrow,
            short,
        })
    }

    /// Calls `found` for each literal that `text` holds, perhaps several times.
    pub(crate) fn each(&self, text: &str, mut found: impl FnMut(usize)) {
        let text = text.as_bytes();
        for (at, window) in text.array_windows::<4>().enumerate() {
            let bit = filter_hash(*window, self.filter_shift);
            if (self.filter[bit >> 6] >> (bit & 63)) & 1 != 0 {
                self.look_up(text, at, &mut found);
            }
        }
        if let Some((automaton, numbers)) = &self.short {
            for hit in automaton.find_overlapping_iter(text) {
                found(numbers[hit.pattern().as_usize()] as usize);
            }
        }
    }

    fn look_up(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize)) {
        for place in self.wide.at(&text[at..]).iter().chain(self.narrow.at(&text[at..])) {
            self.compare(text, place, at, found);
        }
    }

    /// Whether the literal of a window that was met at `at` stands around it.
    fn compare(&self, text: &[u8], place: &Place, at: usize, found: &mut impl FnMut(usize)) {
        let number = place.literal as usize;
        let (from, to) = (self.starts[number] as usize, self.starts[number + 1] as usize);
        let Some(start) = at.checked_sub(place.offset as usize) else { return };
        if text[start..].starts_with(&self.text[from..to]) {
            found(number);
        }
    }
}

impl<const N: usize> Windows<N> {
    fn new(literals: &[&str], takes: impl Fn(usize) -> bool) -> Self {
        let taken = || (0_u32..).zip(literals).filter(|(_, literal)| takes(literal.len()));
        let mut shared: HashMap<u64, u32> = HashMap::new();
        for window in taken().flat_map(|(_, literal)| literal.as_bytes().array_windows::<N>()) {
            *shared.entry(hash(window)).or_default() += 1;
        }
        let mut places: Vec<Place> = taken()
            .filter_map(|(literal, text)| {
                let windows = (0_u32..).zip(text.as_bytes().array_windows::<N>());
                let rarest = windows.min_by_key(|(_, window)| {
                    let usual: u32 = window.iter().copied().map(usual).sum();
                    (shared.get(&hash(window)).copied(), usual)
                });
                rarest.map(|(offset, window)| Place { hash: hash(window), literal, offset })
            })
            .collect();
        places.sort_unstable();
        let bucket_bits = places.len().max(2).next_power_of_two().ilog2();
        let starts = 0..=(1_u64 << bucket_bits);
        let bucket = |place: &Place| place.hash >> (64 - bucket_bits);
        let buckets = starts.map(|start| places.partition_point(|p| bucket(p) < start));
        Self {
            buckets: buckets.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect(),
            places: places.into_boxed_slice(),
            bucket_bits,
        }
    }

    /// The literals whose window stands at the start of `text`.
    fn at(&self, text: &[u8]) -> &[Place] {
        let Some(window) = text.first_chunk::<N>() else { return &[] };
        let hash = hash(window);
        let bucket = (hash >> (64 - self.bucket_bits)) as usize;
        let (from, to) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        let places = &self.places[from..to];
        let first = places.partition_point(|place| place.hash < hash);
        let count = places[first..].iter().take_while(|place| place.hash == hash).count();
        &places[first..first + count]
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn found(literals: &[&str], text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        Needles::new(literals).unwrap().each(text, |literal| found.push(literal));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn literals_of_every_length_are_found() {
        let literals = ["a", "ab", "abc", "abcd", "abcdefg", "abcdefgh", "abcdefghi", "é", "x"];
        let check = |text: &str, expected: &[usize]| {
            assert_eq!(found(&literals, text), expected, "{text}");
        };
        check("", &[]);
        check("é", &[7]);
        check("abc", &[0, 1, 2]);
        check("-abcdefgh", &[0, 1, 2, 3, 4, 5]);
        check("bcdefghiabcdefghi", &[0, 1, 2, 3, 4, 5, 6]);
        check("abcdefgxabcdefg", &[0, 1, 2, 3, 4, 8]);
    }

    proptest! {
        #[test]
        fn found_is_what_the_text_holds(literals in vec("[ab]{1,12}", 1..40), text in "[ab]{0,60}") {
            let literals: Vec<&str> = literals.iter().map(String::as_str).collect();
            let held = (0..literals.len()).filter(|at| text.contains(literals[*at]));
            prop_assert_eq!(found(&literals, &text), held.collect::<Vec<_>>());
        }
    }
}
