//! Pairs of key and value as devices write them: `key=value`, `key="a value"`, `key:"value";`, and
//! values of several words that end where the next key begins.

use std::borrow::Cow;

use crate::octets::{below, escaped, find, is, no_name, run};

const MAX_KEY: usize = 64;

/// A value as it stands in the message, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    pub(crate) text: &'a str,
    pub(crate) quoted: bool,
    /// Nothing in it is escaped, and JSON escapes nothing in it.
    pub(crate) plain: bool,
    /// Where backslashes stand before quotes and backslashes only and JSON escapes nothing else, so that
    /// it writes the text as it stands: its length without them. Else 0.
    pub(crate) as_json: usize,
}

impl<'a> Raw<'a> {
    #[inline(always)]
    pub(crate) fn unquoted(text: &'a str, plain: bool) -> Self {
        Self { text, quoted: false, plain, as_json: 0 }
    }
}

/// Letters, digits and the few marks that keys have.
static KEY: [bool; 256] = {
    let mut kind = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        kind[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'[' | b']' | b'@' | b'/'
        );
        byte += 1;
    }
    kind
};

/// True for what may be a key: a word of letters, digits and a few marks.
pub(crate) fn is_key(word: &str) -> bool {
    let bytes = word.as_bytes();
    run(bytes, 0, &KEY) == bytes.len() && may_be_key(bytes)
}

/// True for a word of a key's letters that is neither too long nor without any letter.
#[inline(always)]
fn may_be_key(word: &[u8]) -> bool {
    word.len() <= MAX_KEY
        && word.first().is_some_and(|first| {
            first.is_ascii_alphabetic() || word.iter().any(u8::is_ascii_alphabetic)
        })
}

/// Where the letters of a key end that begins at `from`.
#[inline(always)]
fn letters(bytes: &[u8], from: usize) -> usize {
    let end = find(bytes, from, no_name).unwrap_or(bytes.len());
    match bytes.get(end) {
        Some(b'@' | b'[' | b']') => end + run(bytes, end, &KEY),
        _ => end,
    }
}

/// Where the key ends with which a text begins, this mark behind it.
#[inline]
pub(crate) fn key_before(bytes: &[u8], mark: u8) -> Option<usize> {
    let end = letters(bytes, 0);
    (bytes.get(end) == Some(&mark) && may_be_key(&bytes[..end])).then_some(end)
}

/// Where the key ends that begins at `from`, an `=` behind it.
#[inline(always)]
fn key_end(bytes: &[u8], from: usize) -> Option<usize> {
    let end = letters(bytes, from);
    (bytes.get(end) == Some(&b'=') && may_be_key(&bytes[from..end])).then_some(end)
}

/// The key at the front of a text with `=` behind it; the number is where the value begins.
#[inline]
pub(crate) fn leading_key(text: &str) -> Option<(&str, usize)> {
    let first = text.as_bytes().first()?;
    if !first.is_ascii_alphabetic() && *first != b'_' {
        return None;
    }
    let end = key_end(text.as_bytes(), 0)?;
    Some((&text[..end], end + 1))
}

/// Pairs with spaces (or commas) between them.
pub(crate) struct Spaced<'a> {
    text: &'a str,
    at: usize,
    /// Where the key ends that was seen to begin at `at`; 0 for none.
    key_end: usize,
    /// A value without quotes goes on to the next ` key=`, not to the next space.
    many_words: bool,
}

impl<'a> Spaced<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, key_end: 0, many_words: false }
    }

    pub(crate) fn of_many_words(text: &'a str) -> Self {
        Self { many_words: true, ..Self::new(text) }
    }

    /// The key that comes next: where it begins and ends.
    #[inline(always)]
    fn key(&mut self) -> Option<(usize, usize)> {
        let seen = std::mem::take(&mut self.key_end);
        if seen > 0 {
            return Some((self.at, seen));
        }
        let bytes = self.text.as_bytes();
        loop {
            while let Some(b' ' | b',' | b'\t') = bytes.get(self.at) {
                self.at += 1;
            }
            if let Some(end) = key_end(bytes, self.at) {
                return Some((self.at, end));
            }
            // A stray word, or a value without its key: the pairs go on behind it.
            self.at += memchr::memchr2(b'=', b' ', bytes.get(self.at..)?)? + 1;
        }
    }

    /// The value that begins here.
    #[inline(always)]
    fn value(&mut self, from: usize) -> Raw<'a> {
        let bytes = self.text.as_bytes();
        if let Some(b'"' | b'\'') = bytes.get(from)
            && let Some((raw, behind)) = quoted(self.text, from)
        {
            self.at = behind;
            return raw;
        }
        let found = if self.many_words { words(self.text, from) } else { word(self.text, from) };
        (self.at, self.key_end) = (found.behind, found.key_end);
        Raw::unquoted(found.text, found.plain)
    }
}

impl<'a> Iterator for Spaced<'a> {
    type Item = (&'a str, Raw<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (start, end) = self.key()?;
        let value = self.value(end + 1);
        Some((&self.text[start..end], value))
    }
}

/// Pairs with one separator between them, `=` or `:` between key and value.
pub(crate) struct Separated<'a> {
    text: &'a str,
    at: usize,
    by: u8,
}

impl<'a> Separated<'a> {
    /// `by` is an ASCII character.
    pub(crate) fn new(text: &'a str, by: u8) -> Self {
        Self { text, at: 0, by }
    }

    fn skip_spaces(&mut self) {
        while self.text.as_bytes().get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// The value that begins here; the pairs go on behind its separator.
    #[inline(always)]
    fn value(&mut self) -> Raw<'a> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        if let Some(b'"' | b'\'') = bytes.get(from)
            && let Some((raw, behind)) = quoted(self.text, from)
        {
            self.at = match find(bytes, behind, |word| is(word, self.by)) {
                Some(separator) => separator + 1,
                None => bytes.len(),
            };
            return raw;
        }
        let (mut at, mut plain) = (from, true);
        let end = loop {
            let Some(found) = find(bytes, at, |word| escaped(word) | is(word, self.by)) else {
                break bytes.len();
            };
            if bytes[found] == self.by {
                break found;
            }
            plain = false;
            at = found + if bytes[found] == b'\\' { 2 } else { 1 };
        };
        self.at = bytes.len().min(end + 1);
        Raw::unquoted(without_end(self.text, from, end), plain)
    }
}

impl<'a> Iterator for Separated<'a> {
    type Item = (&'a str, Raw<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        loop {
            self.skip_spaces();
            let start = self.at;
            let end = letters(bytes, start);
            let usual = matches!(bytes.get(end), Some(b'=' | b':'))
                && bytes[end] != self.by
                && may_be_key(&bytes[start..end]);
            let end = if usual {
                end
            } else {
                start + memchr::memchr3(b'=', b':', self.by, bytes.get(start..)?)?
            };
            self.at = end + 1;
            if bytes[end] == self.by {
                continue;
            }
            if self.by != b' ' {
                self.skip_spaces();
            }
            let value = self.value();
            if usual {
                return Some((&self.text[start..end], value));
            }
            let key = self.text[start..end].trim_end_matches(' ');
            // The old log of Check Point has keys of two words: `ICMP Type: 8`.
            if (1..=MAX_KEY).contains(&key.len()) && key.split(' ').all(is_key) {
                return Some((key, value));
            }
        }
    }
}

/// A value in quotes that begins at `from`, and where what is behind it begins. A quote closes where
/// something ends behind it: so texts with quotes that nobody escaped stay whole. One that never closes
/// takes all.
#[inline(always)]
fn quoted(text: &str, from: usize) -> Option<(Raw<'_>, usize)> {
    match text.as_bytes()[from] {
        b'"' => quoted_by::<b'"'>(text, from + 1),
        _ => quoted_by::<b'\''>(text, from + 1),
    }
}

#[inline(always)]
fn quoted_by<const MARK: u8>(text: &str, start: usize) -> Option<(Raw<'_>, usize)> {
    let bytes = text.as_bytes();
    // How often something is escaped, and whether JSON would have it so.
    let (mut at, mut escapes, mut as_json) = (start, 0, true);
    let marks = |word| if MARK == b'"' { escaped(word) } else { escaped(word) | is(word, MARK) };
    let raw = |end: usize, escapes: usize, as_json: bool| Raw {
        text: &text[start..end],
        quoted: true,
        plain: as_json && escapes == 0,
        as_json: if as_json && escapes > 0 { end - start - escapes } else { 0 },
    };
    while let Some(found) = find(bytes, at, marks) {
        at = found + 1;
        match bytes[found] {
            mark if mark == MARK => {
                if let None | Some(b' ' | b',' | b';' | b'|' | b']' | b'\t' | b'.') = bytes.get(at)
                {
                    return Some((raw(found, escapes, as_json), at));
                }
                as_json &= MARK != b'"';
            }
            b'\\' => {
                as_json &= matches!(bytes.get(at), Some(b'"' | b'\\'));
                at += 1;
                escapes += 1;
            }
            _ => as_json = false,
        }
    }
    // An apostrophe that does not close is a letter.
    (MARK == b'"').then(|| (raw(bytes.len(), escapes, as_json), bytes.len()))
}

/// What stands between two places, without the spaces at its end.
#[inline(always)]
fn without_end(text: &str, from: usize, to: usize) -> &str {
    let text = &text[from..to];
    if text.ends_with(' ') { text.trim_end_matches(' ') } else { text }
}

/// A value without quotes.
pub(crate) struct Found<'a> {
    pub(crate) text: &'a str,
    /// Where what stands behind it begins.
    pub(crate) behind: usize,
    /// Where the key ends that begins there; 0 for none.
    key_end: usize,
    pub(crate) plain: bool,
}

/// The word that begins at `from`.
#[inline(always)]
fn word(text: &str, from: usize) -> Found<'_> {
    let bytes = text.as_bytes();
    let (mut at, mut plain) = (from, true);
    // Below the byte behind the quote are the space, `!` and what JSON escapes.
    while let Some(found) = find(bytes, at, |word| below(word, b'"' + 1) | is(word, b'\\')) {
        if bytes[found] == b' ' {
            return Found { text: &text[from..found], behind: found, key_end: 0, plain };
        }
        plain &= bytes[found] == b'!';
        at = found + 1;
    }
    Found { text: &text[from..], behind: bytes.len(), key_end: 0, plain }
}

/// A value of several words that begins at `from`: up to the space before the next `key=`; an escaped
/// `=` is part of it.
#[inline(always)]
pub(crate) fn words(text: &str, from: usize) -> Found<'_> {
    let bytes = text.as_bytes();
    let (mut at, mut plain) = (from, true);
    while let Some(found) = find(bytes, at, |word| below(word, b'"' + 1) | is(word, b'\\')) {
        at = found + 1;
        match bytes[found] {
            b' ' => {
                let end = letters(bytes, at);
                if bytes.get(end) == Some(&b'=') && may_be_key(&bytes[at..end]) {
                    let text = without_end(text, from, found);
                    return Found { text, behind: at, key_end: end, plain };
                }
                at = end;
            }
            b'\\' => (at, plain) = (at + 1, false),
            byte => plain &= byte == b'!',
        }
    }
    Found { text: without_end(text, from, bytes.len()), behind: bytes.len(), key_end: 0, plain }
}

/// The text with its escapes resolved: a backslash goes where one of `escaped` stands behind it;
/// `n` and `r` among them stand for line feed and carriage return.
pub(crate) fn unescape<'a>(text: &'a str, escaped: &[u8]) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr::memchr(b'\\', bytes) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let (mut from, mut at) = (0, first);
    loop {
        match bytes.get(at + 1) {
            Some(byte) if escaped.contains(byte) => {
                out.push_str(&text[from..at]);
                out.push(match byte {
                    b'n' => '\n',
                    b'r' => '\r',
                    other => char::from(*other),
                });
                from = at + 2;
                at += 2;
            }
            _ => at += 1,
        }
        match bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
            Some(found) => at += found,
            None => break,
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(pairs: impl Iterator<Item = (&'a str, Raw<'a>)>) -> String {
        let pairs: Vec<String> = pairs.map(|(key, raw)| format!("{key}<{}>", raw.text)).collect();
        pairs.join(" ")
    }

    #[test]
    fn pairs_with_spaces_between() {
        let check = |text: &str, one: &str, many: &str| {
            assert_eq!(shown(Spaced::new(text)), one, "{text}");
            assert_eq!(shown(Spaced::of_many_words(text)), many, "{text}");
        };
        check("a=1 b=\"x y\" c=", "a<1> b<x y> c<>", "a<1> b<x y> c<>");
        check("a=1, b=2", "a<1,> b<2>", "a<1,> b<2>");
        check("c=United States d=1", "c<United> d<1>", "c<United States> d<1>");
        check("a= b=2", "a<> b<2>", "a<> b<2>");
        check("stray a=1 (SYN) b=2", "a<1> b<2>", "a<1 (SYN)> b<2>");
        check("a=\"q \\\"r\\\" s\" b=1", "a<q \\\"r\\\" s> b<1>", "a<q \\\"r\\\" s> b<1>");
        check("a=\"\"Fri 17\"\" b=1", "a<\"Fri 17\"> b<1>", "a<\"Fri 17\"> b<1>");
        check("a='x y' b=don't", "a<x y> b<don't>", "a<x y> b<don't>");
        check("u=http://h/?a=b&c=d e=1", "u<http://h/?a=b&c=d> e<1>", "u<http://h/?a=b&c=d> e<1>");
        check("a=\"open b=1", "a<open b=1>", "a<open b=1>");
        check("a=x\\=y z=1", "a<x\\=y> z<1>", "a<x\\=y> z<1>");
        check("=1 12=3 a=1", "a<1>", "a<1>");
        check("", "", "");
    }

    #[test]
    fn pairs_with_one_separator() {
        let check = |text: &str, by: u8, expected: &str| {
            assert_eq!(shown(Separated::new(text, by)), expected, "{text}");
        };
        check("a:\"x; y\"; b:\"2\";]", b';', "a<x; y> b<2>");
        check("a=1|b=x\\|y|c=[ 1_3 ]|", b'|', "a<1> b<x\\|y> c<[ 1_3 ]>");
        check("rule: 9; ICMP Type: 8; proto: udp;", b';', "rule<9> ICMP Type<8> proto<udp>");
        check("a=\"1\",b=\"x,y\",c=\"\"", b',', "a<1> b<x,y> c<>");
        check("origin=1.1.1.1|2.2.2.2|n=1", b'|', "origin<1.1.1.1> n<1>");
        check("no pairs", b';', "");
    }

    #[test]
    fn escapes_are_resolved() {
        let check = |text: &str, expected: &str| {
            assert_eq!(unescape(text, b"\\=|nr"), expected, "{text}");
        };
        check("plain", "plain");
        check("a\\=b", "a=b");
        check("a\\\\nb", "a\\nb");
        check("a\\nb\\", "a\nb\\");
        check("C:\\temp", "C:\\temp");
        check("\\|\\x\\|", "|\\x|");
        check("é\\=é", "é=é");
    }
}
