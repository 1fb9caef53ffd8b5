//! Pairs of key and value as devices write them: `key=value`, `key="a value"`, `key:"value";`, and
//! values of several words that end where the next key begins.

use std::borrow::Cow;

use crate::text::{kind, made_of, near};

const MAX_KEY: usize = 64;

/// A value as it stands in the message, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    pub(crate) text: &'a str,
    pub(crate) quoted: bool,
}

/// True for what may be a key: a word of letters, digits and a few marks.
pub(crate) fn is_key(word: &str) -> bool {
    const KEY: u16 = kind::LETTER
        | kind::DIGIT
        | kind::UNDERSCORE
        | kind::DOT
        | kind::HYPHEN
        | kind::BRACKET
        | kind::AT
        | kind::SLASH;
    word.len() <= MAX_KEY && made_of(word, KEY).is_some_and(|seen| seen & kind::LETTER != 0)
}

/// The key at the front of a text with `=` behind it; the number is where the value begins.
pub(crate) fn leading_key(text: &str) -> Option<(&str, usize)> {
    let front = &text.as_bytes()[..text.len().min(MAX_KEY + 1)];
    let at = memchr::memchr2(b'=', b' ', front)?;
    let letter = front[0].is_ascii_alphabetic() || front[0] == b'_';
    (letter && front[at] == b'=' && is_key(&text[..at])).then(|| (&text[..at], at + 1))
}

/// Pairs with spaces (or commas) between them.
pub(crate) struct Spaced<'a> {
    rest: &'a str,
    /// A value without quotes goes on to the next ` key=`, not to the next space.
    many_words: bool,
}

impl<'a> Spaced<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, many_words: false }
    }

    pub(crate) fn of_many_words(text: &'a str) -> Self {
        Self { rest: text, many_words: true }
    }
}

impl<'a> Iterator for Spaced<'a> {
    type Item = (&'a str, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let [b' ' | b',' | b'\t', ..] = self.rest.as_bytes() {
                self.rest = &self.rest[1..];
            }
            let at = memchr::memchr2(b'=', b' ', self.rest.as_bytes())?;
            let (key, behind) = self.rest.split_at(at);
            if !behind.starts_with('=') || !is_key(key) {
                // A stray word, or a value without its key: the pairs go on behind it.
                self.rest = &behind[1..];
                continue;
            }
            let value = &behind[1..];
            let (text, rest, quoted) = match quoted(value) {
                Some((text, rest)) => (text, rest, true),
                None if self.many_words => {
                    let (text, rest) = words(value);
                    (text, rest, false)
                }
                None => {
                    let len = near(b' ', value.as_bytes()).unwrap_or(value.len());
                    let (text, rest) = value.split_at(len);
                    (text, rest, false)
                }
            };
            self.rest = rest;
            return Some((key, Raw { text, quoted }));
        }
    }
}

/// Pairs with one separator between them, `=` or `:` between key and value.
pub(crate) struct Separated<'a> {
    rest: &'a str,
    by: u8,
}

impl<'a> Separated<'a> {
    /// `by` is an ASCII character.
    pub(crate) fn new(text: &'a str, by: u8) -> Self {
        Self { rest: text, by }
    }

    /// Behind the next separator.
    fn behind(&self, text: &'a str) -> &'a str {
        match memchr::memchr(self.by, text.as_bytes()) {
            Some(at) => &text[at + 1..],
            None => "",
        }
    }
}

impl<'a> Iterator for Separated<'a> {
    type Item = (&'a str, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_start_matches(' ');
            let at = memchr::memchr3(b'=', b':', self.by, self.rest.as_bytes())?;
            let (key, behind) = self.rest.split_at(at);
            let sign = behind.as_bytes()[0];
            if sign == self.by {
                self.rest = &behind[1..];
                continue;
            }
            let spaced = &behind[1..];
            let value = if self.by == b' ' { spaced } else { spaced.trim_start_matches(' ') };
            let (text, quoted) = if let Some((text, rest)) = quoted(value) {
                self.rest = self.behind(rest);
                (text, true)
            } else {
                let len = unescaped(value, self.by).unwrap_or(value.len());
                self.rest = value.get(len + 1..).unwrap_or("");
                (value[..len].trim_end_matches(' '), false)
            };
            let key = key.trim_end_matches(' ');
            // The old log of Check Point has keys of two words: `ICMP Type: 8`.
            if (1..=MAX_KEY).contains(&key.len()) && key.split(' ').all(is_key) {
                return Some((key, Raw { text, quoted }));
            }
        }
    }
}

/// Where `byte` first stands without a backslash before it.
fn unescaped(text: &str, byte: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(byte, b'\\', bytes.get(at..)?)?;
        if bytes[at] == byte {
            return Some(at);
        }
        at += 2;
    }
}

/// A value in quotes and what stands behind it. A quote closes where something ends behind it: so
/// texts with quotes that nobody escaped stay whole. One that never closes takes all.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mark = text.bytes().next().filter(|b| matches!(b, b'"' | b'\''))?;
    let inside = &text[1..];
    let bytes = inside.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(mark, b'\\', rest)) {
        at += found;
        if bytes[at] != mark {
            at += 2;
            continue;
        }
        if matches!(bytes.get(at + 1), None | Some(b' ' | b',' | b';' | b'|' | b']' | b'\t' | b'.'))
        {
            return Some((&inside[..at], &inside[at + 1..]));
        }
        at += 1;
    }
    // An apostrophe that does not close is a letter.
    (mark == b'"').then_some((inside, ""))
}

/// A value of several words: up to the space before the next `key=`; an escaped `=` is part of it.
pub(crate) fn words(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut at, mut word) = (0, 0);
    while let Some(found) =
        bytes.get(at..).and_then(|rest| memchr::memchr3(b' ', b'=', b'\\', rest))
    {
        at += found;
        match bytes[at] {
            b'\\' => at += 2,
            b' ' => {
                at += 1;
                word = at;
            }
            _ if word > 0 && is_key(&text[word..at]) => {
                return (text[..word].trim_end_matches(' '), &text[word..]);
            }
            _ => at += 1,
        }
    }
    (text.trim_end_matches(' '), "")
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
