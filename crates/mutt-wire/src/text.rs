//! Text out of bytes that strangers sent: valid UTF-8 without U+0000, borrowed where it can be; and
//! the writing of JSON strings.

use std::borrow::Cow;

use crate::octets;

/// What had to be done to make a text of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: the bytes are the text.
    None,
    /// NUL bytes became U+FFFD.
    Nul,
    /// The bytes were evidently Latin-1 and were read as such.
    Latin1,
    /// Bytes that are no UTF-8 became U+FFFD.
    Replaced,
}

impl Repair {
    /// The note for `parse.notes`; `None` when nothing was done.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Nul => Some("nul replaced"),
            Self::Latin1 => Some("latin-1 assumed"),
            Self::Replaced => Some("invalid utf-8 replaced"),
        }
    }
}

/// The bytes as they are when nothing need be done to them.
#[must_use]
#[inline]
pub fn plain(bytes: &[u8]) -> Option<&str> {
    let text = simdutf8::basic::from_utf8(bytes).ok()?;
    (!has_nul(bytes)).then_some(text)
}

/// Whether a byte is zero: the least of them is, in as many lanes as the machine has.
#[inline]
fn has_nul(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<32>() else { return bytes.contains(&0) };
    let mut least = *last;
    for chunk in bytes.as_chunks::<32>().0 {
        for (least, byte) in least.iter_mut().zip(chunk) {
            *least = (*least).min(*byte);
        }
    }
    least.into_iter().fold(u8::MAX, u8::min) == 0
}

/// The bytes as a text that every store takes: valid UTF-8 without U+0000.
///
/// Bytes that are no UTF-8 are read as Latin-1 only when each of them stands where Latin-1 has a
/// printable character, nothing in the text is a UTF-8 sequence of several bytes, and the text was
/// not merely cut inside one; else they become U+FFFD.
#[must_use]
pub fn clean(bytes: &[u8]) -> (Cow<'_, str>, Repair) {
    match std::str::from_utf8(bytes) {
        Ok(text) if memchr::memchr(0, bytes).is_none() => (Cow::Borrowed(text), Repair::None),
        Ok(text) => (Cow::Owned(text.replace('\0', "\u{fffd}")), Repair::Nul),
        Err(error) => repair(bytes, error),
    }
}

fn repair(bytes: &[u8], error: std::str::Utf8Error) -> (Cow<'static, str>, Repair) {
    if error.error_len().is_some() && is_latin1(bytes) {
        let text = bytes.iter().map(|&b| if b == 0 { '\u{fffd}' } else { char::from(b) }).collect();
        return (Cow::Owned(text), Repair::Latin1);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() };
    (Cow::Owned(text), Repair::Replaced)
}

/// True when every byte above ASCII is a printable Latin-1 character and none of them begins a
/// valid UTF-8 sequence.
fn is_latin1(bytes: &[u8]) -> bool {
    bytes
        .utf8_chunks()
        .all(|chunk| chunk.valid().is_ascii() && chunk.invalid().iter().all(|&b| b >= 0xa0))
}

/// The text behind the spaces at its front.
#[inline]
pub(crate) fn behind_spaces(text: &str) -> &str {
    let mut bytes = text.as_bytes();
    while let [b' ', rest @ ..] = bytes {
        bytes = rest;
    }
    &text[text.len() - bytes.len()..]
}

/// The text without the spaces and tabs around it, which most have not.
#[inline(always)]
pub(crate) fn without_blanks(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] | [] => text,
        _ => text.trim_matches([' ', '\t']),
    }
}

/// The text without the spaces around it, which most have not.
#[inline(always)]
pub(crate) fn without_spaces(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] | [] => text,
        _ => text.trim_matches(' '),
    }
}

/// The text without the white space around it, which most have not.
#[inline(always)]
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] | [] => text,
        _ => text.trim(),
    }
}

/// Kinds of ASCII bytes, one bit each, so that a word is looked through once for what it is made of.
pub(crate) mod kind {
    pub(crate) const UPPER: u16 = 1;
    pub(crate) const LOWER: u16 = 1 << 1;
    pub(crate) const DIGIT: u16 = 1 << 2;
    /// What is above ASCII.
    pub(crate) const HIGH: u16 = 1 << 3;
    pub(crate) const UNDERSCORE: u16 = 1 << 4;
    pub(crate) const HYPHEN: u16 = 1 << 5;
    pub(crate) const SLASH: u16 = 1 << 6;
    pub(crate) const DOT: u16 = 1 << 7;
    pub(crate) const BRACKET: u16 = 1 << 8;
    pub(crate) const AT: u16 = 1 << 9;
    pub(crate) const COLON: u16 = 1 << 10;
    /// `+` and `#`
    pub(crate) const MARK: u16 = 1 << 11;
    /// Round brackets and the backslash.
    pub(crate) const ROUND: u16 = 1 << 12;
    pub(crate) const LETTER: u16 = UPPER | LOWER;

    pub(super) const OF: [u16; 256] = {
        let mut kinds = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            kinds[byte] = match byte as u8 {
                b'A'..=b'Z' => UPPER,
                b'a'..=b'z' => LOWER,
                b'0'..=b'9' => DIGIT,
                0x80..=0xff => HIGH,
                b'_' => UNDERSCORE,
                b'-' => HYPHEN,
                b'/' => SLASH,
                b'.' => DOT,
                b'[' | b']' => BRACKET,
                b'@' => AT,
                b':' => COLON,
                b'+' | b'#' => MARK,
                b'(' | b')' | b'\\' => ROUND,
                _ => 0,
            };
            byte += 1;
        }
        kinds
    };
}

/// Which bytes are of these kinds, where nobody asks of which of them.
pub(crate) const fn table(kinds: u16) -> [bool; 256] {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 256 {
        table[byte] = kind::OF[byte] & kinds != 0;
        byte += 1;
    }
    table
}

/// How many bytes at the front are of these kinds, and which of the kinds were seen.
#[inline]
pub(crate) fn run(bytes: &[u8], kinds: u16) -> (usize, u16) {
    let mut seen = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let of = kind::OF[usize::from(*byte)] & kinds;
        if of == 0 {
            return (at, seen);
        }
        seen |= of;
    }
    (bytes.len(), seen)
}

/// Which kinds a word is made of; `None` when a byte of it is of none of these.
#[inline]
pub(crate) fn made_of(word: &str, kinds: u16) -> Option<u16> {
    let (len, seen) = run(word.as_bytes(), kinds);
    (len == word.len()).then_some(seen)
}

/// Where a byte of ASCII first stands. For words of a few letters this is quicker than a search that
/// first sets out its vectors.
#[inline]
pub(crate) fn near(byte: u8, bytes: &[u8]) -> Option<usize> {
    octets::find(bytes, 0, |word| octets::is(word, byte))
}

/// The words between single spaces, as `split(' ')` gives them.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = near(b' ', text.as_bytes());
        rest = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// The longest word of a list.
const LONGEST: usize = 31;

/// Words that are known: a word is compared only with those of its length, and with none of them when
/// its first letter is none of theirs. Nearly every word that is asked for is not in the list.
pub(crate) struct Words<const N: usize> {
    words: [&'static str; N],
    /// The places of the words, by length.
    sorted: [u8; N],
    /// For each length where its words begin in `sorted`.
    begins: [u8; LONGEST + 2],
    /// For each length the first letters, as bits of their five low bits.
    first: [u32; LONGEST + 1],
    /// Those of all.
    letters: u32,
}

impl<const N: usize> Words<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> Self {
        assert!(N < 256);
        let (mut sorted, mut begins) = ([0; N], [0; LONGEST + 2]);
        let (mut first, mut letters) = ([0; LONGEST + 1], 0);
        let (mut len, mut count) = (0, 0);
        while len <= LONGEST {
            begins[len] = count as u8;
            let mut at = 0;
            while at < N {
                let word = words[at].as_bytes();
                if word.len() == len {
                    first[len] |= 1 << (word[0] & 31);
                    letters |= first[len];
                    sorted[count] = at as u8;
                    count += 1;
                }
                at += 1;
            }
            len += 1;
        }
        begins[len] = count as u8;
        assert!(count == N, "a word is longer than the longest");
        Self { words, sorted, begins, first, letters }
    }

    /// False where no word begins with this byte, for most.
    #[inline]
    pub(crate) fn may_begin(&self, byte: Option<&u8>) -> bool {
        byte.is_some_and(|byte| self.letters >> (byte & 31) & 1 != 0)
    }

    /// False for nearly every word that is not in the list.
    #[inline]
    pub(crate) fn may_hold(&self, word: &str) -> bool {
        match (self.first.get(word.len()), word.as_bytes()) {
            (Some(bits), [first, ..]) => bits >> (first & 31) & 1 != 0,
            _ => false,
        }
    }

    fn of_length(&self, len: usize) -> &[u8] {
        &self.sorted[usize::from(self.begins[len])..usize::from(self.begins[len + 1])]
    }

    /// Where the word stands in the list.
    #[inline]
    pub(crate) fn position(&self, word: &str) -> Option<usize> {
        if !self.may_hold(word) {
            return None;
        }
        let mut places = self.of_length(word.len()).iter().map(|at| usize::from(*at));
        places.find(|at| self.words[*at] == word)
    }

    #[inline]
    pub(crate) fn contains(&self, word: &str) -> bool {
        self.position(word).is_some()
    }

    #[inline]
    pub(crate) fn contains_ignore_case(&self, word: &str) -> bool {
        self.may_hold(word)
            && self
                .of_length(word.len())
                .iter()
                .any(|at| self.words[usize::from(*at)].eq_ignore_ascii_case(word))
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn push_json_str(out: &mut String, text: &str) {
    out.push('"');
    push_json_part(out, text);
    out.push('"');
}

/// Appends `text` escaped for the inside of a JSON string.
pub fn push_json_part(out: &mut String, text: &str) {
    each_json_part(text, |part| out.push_str(part));
}

/// Hands out the parts of `text` escaped for the inside of a JSON string.
#[inline]
pub(crate) fn each_json_part<'t>(text: &'t str, mut take: impl FnMut(&'t str)) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while let Some(next) = octets::find(bytes, at, octets::escaped) {
        at = next + 1;
        take(&text[from..next]);
        take(match bytes[next] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            byte => CONTROLS[usize::from(byte & 31)],
        });
        from = at;
    }
    take(&text[from..]);
}

/// How JSON writes the control characters.
#[rustfmt::skip]
static CONTROLS: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
    "\\u0008", "\\t", "\\n", "\\u000b", "\\u000c", "\\r", "\\u000e", "\\u000f",
    "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
    "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found() {
        for len in 0..80 {
            for at in 0..=len {
                let mut text = "a".repeat(len).into_bytes();
                text.insert(at, b' ');
                text.push(b' ');
                assert_eq!(near(b' ', &text), Some(at), "{len}");
                assert_eq!(near(b'x', &text), None);
            }
        }
        assert_eq!(behind_spaces("  a "), "a ");
        assert_eq!(behind_spaces("  "), "");
    }

    #[test]
    fn words_are_known() {
        static WORDS: Words<3> = Words::new(["named", "/kernel", "RT_FLOW"]);
        let check = |word: &str, expected: Option<usize>| {
            assert_eq!(WORDS.position(word), expected, "{word}");
        };
        check("named", Some(0));
        check("RT_FLOW", Some(2));
        check("rt_flow", None);
        check("/kernel", Some(1));
        check("", None);
        check(&"n".repeat(300), None);
        assert!(WORDS.contains_ignore_case("rt_flow") && !WORDS.contains("nimed"));
    }

    #[test]
    fn zeros_are_seen() {
        for len in 0..100 {
            let mut text = vec![b'a'; len];
            assert!(!has_nul(&text), "{len}");
            for at in 0..len {
                text[at] = 0;
                assert!(has_nul(&text), "{len} {at}");
                text[at] = 0xff;
            }
        }
    }

    #[test]
    fn bytes_become_text() {
        let check = |bytes: &[u8], text: &str, repair: Repair| {
            assert_eq!(clean(bytes), (Cow::Borrowed(text), repair), "{bytes:?}");
        };
        check(b"plain", "plain", Repair::None);
        check("Zürich".as_bytes(), "Zürich", Repair::None);
        check(b"a\0b", "a\u{fffd}b", Repair::Nul);
        check(b"Z\xfcrich", "Zürich", Repair::Latin1);
        check(b"M\xfcnchen Stra\xdfe", "München Straße", Repair::Latin1);
        check(b"cut \xc3", "cut \u{fffd}", Repair::Replaced);
        check(b"\x80\x81", "\u{fffd}\u{fffd}", Repair::Replaced);
        check(b"\xc3\xbc and \xfc", "ü and \u{fffd}", Repair::Replaced);
        check(b"\xff\0", "ÿ\u{fffd}", Repair::Latin1);
    }

    #[test]
    fn json_strings_are_escaped() {
        let mut out = String::new();
        push_json_str(&mut out, "a\"b\\c\nd\x1be\u{2028}");
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\u001be\u{2028}\"");
        assert_eq!(
            serde_json::from_str::<String>(&out).expect("valid JSON"),
            "a\"b\\c\nd\x1be\u{2028}"
        );
    }
}
