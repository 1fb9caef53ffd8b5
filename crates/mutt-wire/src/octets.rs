//! Searches for bytes of several kinds at once, eight bytes at a time: where fields are a few letters
//! long this is quicker than a search that first sets out its vectors.

const LOW: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that are below `least` (at most 0x80). Above the first byte that is
/// marked others may be marked wrongly.
#[inline(always)]
pub(crate) const fn below(word: u64, least: u8) -> u64 {
    word.wrapping_sub(LOW * least as u64) & !word
}

/// Marks the bytes of a word that are this one, with the same reservation.
#[inline(always)]
pub(crate) const fn is(word: u64, byte: u8) -> u64 {
    below(word ^ (LOW * byte as u64), 1)
}

/// Marks what JSON escapes.
#[inline(always)]
pub(crate) const fn escaped(word: u64) -> u64 {
    // The quote changes its place with the space, so that it stands behind the control characters.
    below(word ^ (LOW * 2), 0x21) | is(word, b'\\')
}

/// The high bit of a byte is set where the byte, of ASCII, is at least so much; none carries into the
/// next.
#[inline(always)]
const fn from(low: u64, least: u8) -> u64 {
    low + LOW * (0x80 - least) as u64
}

/// Marks what is no digit; nothing is marked wrongly.
#[inline(always)]
pub(crate) const fn no_digit(word: u64) -> u64 {
    let low = word & !HIGH;
    !(from(low, b'0') & !from(low, b'9' + 1) & !word)
}

/// Marks what is no letter, no digit, and none of the marks of names: `_`, `-`, `.` and `/`.
#[inline(always)]
pub(crate) const fn no_name(word: u64) -> u64 {
    let low = word & !HIGH;
    let folded = low | (LOW * 0x20);
    let letter = from(folded, b'a') & !from(folded, b'z' + 1);
    let digit = from(low, b'-') & !from(low, b'9' + 1);
    let underscore = !from(low ^ (LOW * b'_' as u64), 1);
    !((letter | digit | underscore) & !word)
}

/// Whether all bytes are digits.
#[inline(always)]
pub(crate) fn all_digits(bytes: &[u8]) -> bool {
    find(bytes, 0, no_digit).is_none_or(|at| at >= bytes.len())
}

/// Where, from `from` on, the first byte stands that `marks` marks; where it marks what is not ASCII,
/// that may be the end of the text.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], from: usize, marks: impl Fn(u64) -> u64) -> Option<usize> {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = marks(u64::from_le_bytes(*chunk)) & HIGH;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let left = bytes.len().checked_sub(at).filter(|left| *left > 0)?;
    // What is left, low bytes first; above it bytes of ones.
    let word = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * left),
        None => few(&bytes[at..]),
    };
    let found = marks(word | u64::MAX << (8 * left)) & HIGH;
    (found != 0).then(|| at + (found.trailing_zeros() / 8) as usize)
}

/// Fewer than eight bytes, the first of them lowest.
#[inline(always)]
fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let shift = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << shift;
    }
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        _ => 0,
    }
}

/// Where a byte last stands.
#[inline(always)]
pub(crate) fn rfind(bytes: &[u8], byte: u8) -> Option<usize> {
    let mut rest = bytes;
    while let Some((before, chunk)) = rest.split_last_chunk::<8>() {
        let differs = u64::from_le_bytes(*chunk) ^ (LOW * byte as u64);
        let found = !(from(differs & !HIGH, 1) | differs) & HIGH;
        if found != 0 {
            return Some(rest.len() - 1 - (found.leading_zeros() / 8) as usize);
        }
        rest = before;
    }
    rest.iter().rposition(|other| *other == byte)
}

/// How many bytes from `from` on are of a kind of the table.
#[inline(always)]
pub(crate) fn run(bytes: &[u8], from: usize, kind: &[bool; 256]) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at)
        && kind[usize::from(*byte)]
    {
        at += 1;
    }
    at - from
}

/// Whether two texts are the same, without a call for those of a few letters.
#[inline(always)]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match (one.first_chunk::<8>(), other.first_chunk::<8>()) {
        (Some(a), Some(b)) if one.len() <= 16 => {
            a == b && one.last_chunk::<8>() == other.last_chunk::<8>()
        }
        (Some(a), Some(b)) => a == b && one == other,
        _ => match (one.first_chunk::<4>(), other.first_chunk::<4>()) {
            (Some(a), Some(b)) => a == b && one.last_chunk::<4>() == other.last_chunk::<4>(),
            _ => one.iter().eq(other),
        },
    }
}

/// A number for a word, from its length and its ends: good enough for lists of keys.
#[inline(always)]
pub(crate) const fn hash(word: &[u8]) -> u8 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = if let (Some(first), Some(last)) = (word.first_chunk::<8>(), word.last_chunk::<8>())
    {
        u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
    } else if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << 32
    } else {
        match word {
            [] => 0,
            [one] => *one as u64,
            [one, .., last] => *one as u64 | (*last as u64) << 8 | (word[1] as u64) << 16,
        }
    };
    ((mixed ^ word.len() as u64).wrapping_mul(ODD) >> 56) as u8
}

/// A word and its hash.
pub(crate) const fn named(word: &'static str) -> (&'static str, u8) {
    (word, hash(word.as_bytes()))
}

/// Words that are known, found by their hash.
pub(crate) struct Keys<const N: usize> {
    words: [&'static str; N],
    /// For each hash its first word, counted from 1; 0 for none.
    first: [u8; 256],
    /// For each word the next one of its hash.
    next: [u8; N],
}

impl<const N: usize> Keys<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> Self {
        assert!(N < 256);
        let (mut first, mut next) = ([0; 256], [0; N]);
        let mut at = 0;
        while at < N {
            let hash = hash(words[at].as_bytes()) as usize;
            next[at] = first[hash];
            at += 1;
            first[hash] = at as u8;
        }
        Self { words, first, next }
    }

    /// Whether a word of this hash is one of them.
    #[inline(always)]
    pub(crate) fn contains(&'static self, word: &str, hash: u8) -> bool {
        self.any().contains(word, hash)
    }

    pub(crate) const fn any(&'static self) -> AnyKeys {
        AnyKeys { words: &self.words, first: &self.first, next: &self.next }
    }
}

/// Words that are known, however many.
#[derive(Clone, Copy)]
pub(crate) struct AnyKeys {
    words: &'static [&'static str],
    first: &'static [u8; 256],
    next: &'static [u8],
}

impl AnyKeys {
    /// Whether a word of this hash is one of them.
    #[inline(always)]
    pub(crate) fn contains(self, word: &str, hash: u8) -> bool {
        let mut at = usize::from(self.first[usize::from(hash)]);
        while at > 0 {
            if same(self.words[at - 1].as_bytes(), word.as_bytes()) {
                return true;
            }
            at = usize::from(self.next[at - 1]);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_words_are_found() {
        static KEYS: Keys<4> = Keys::new(["a", "srcport", "devicename", "a_key_of_many_letters"]);
        let check = |word: &str, expected: bool| {
            assert_eq!(KEYS.contains(word, hash(word.as_bytes())), expected, "{word}");
        };
        for word in KEYS.words {
            check(word, true);
        }
        check("", false);
        check("b", false);
        check("a_key_of_more_letters", false);
        check("srcports", false);
    }

    proptest! {
        #[test]
        fn bytes_are_found(bytes in proptest::collection::vec(any::<u8>(), 0..40), from in 0usize..48) {
            let plain = |kind: fn(&u8) -> bool| {
                let rest = bytes.get(from..).unwrap_or_default();
                rest.iter().position(kind).map(|at| from + at)
            };
            prop_assert_eq!(
                find(&bytes, from, escaped),
                plain(|b| *b < 0x20 || matches!(b, b'"' | b'\\'))
            );
            let name =
                |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
            prop_assert_eq!(
                find(&bytes, from, no_name).filter(|at| *at < bytes.len()),
                bytes.iter().skip(from).position(|b| !name(b)).map(|at| from + at)
            );
            prop_assert_eq!(all_digits(&bytes), bytes.iter().all(u8::is_ascii_digit));
            let space: Vec<u8> = bytes.iter().map(|b| if b % 5 > 0 { *b } else { b' ' }).collect();
            prop_assert_eq!(rfind(&space, b' '), space.iter().rposition(|b| *b == b' '));
            prop_assert_eq!(find(&bytes, from, |word| is(word, b'=')), plain(|b| *b == b'='));
            prop_assert_eq!(find(&bytes, from, |word| below(word, 0x23)), plain(|b| *b < 0x23));
        }

        #[test]
        fn digits_are_told(text in "[0-9]{0,20}", other in "[/0-9:]{0,12}") {
            prop_assert!(all_digits(text.as_bytes()));
            prop_assert_eq!(all_digits(other.as_bytes()), !other.contains(['/', ':']));
        }

        #[test]
        fn texts_are_compared(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            prop_assert_eq!(same(one.as_bytes(), other.as_bytes()), one == other);
            prop_assert!(same(one.as_bytes(), one.clone().as_bytes()));
        }
    }
}
