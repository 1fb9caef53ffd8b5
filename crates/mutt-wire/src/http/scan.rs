//! Strict JSON (RFC 8259) as a scanner: it finds where values begin and end and refuses what the
//! grammar refuses. It does not recurse, so that no depth of nesting can exhaust the stack, and it
//! makes nothing of what it reads.
//!
//! Only the grammar decides. A number beyond the range of doubles, a lone surrogate or bytes within a
//! string that are no UTF-8 are for the record's decoder to remark on: a body is never refused for
//! what one record in it holds.

use std::borrow::Cow;

use crate::octets;
use crate::text::push_json_str;

/// Where and why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

/// What kind of value stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

/// A value as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanned<'a> {
    pub(crate) kind: Kind,
    /// How deep its arrays and objects nest; 0 for a scalar.
    pub(crate) depth: usize,
    pub(crate) raw: &'a [u8],
}

/// A number of so many bytes may leave the range of doubles without an exponent.
const LONG_NUMBER: usize = 300;

/// Walks over a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    /// Something was read that `write_clean` may write in another way: white space, an escape, a
    /// number that is long or has an exponent.
    pub(crate) odd: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, odd: false }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn fault<T>(&self, why: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, why })
    }

    /// Skips white space; says whether a newline was in it.
    pub(crate) fn skip_space(&mut self) -> bool {
        let mut newline = false;
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            newline |= self.peek() == Some(b'\n');
            self.odd = true;
            self.at += 1;
        }
        newline
    }

    /// Takes this byte when it stands here.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let stands = self.peek() == Some(byte);
        self.at += usize::from(stands);
        stands
    }

    /// One whole value, white space before it skipped.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Scanned<'a>, Fault> {
        self.skip_space();
        let start = self.at;
        let kind = self.kind()?;
        match kind {
            Kind::Object | Kind::Array => return self.nested(start, kind),
            Kind::Text => drop(self.text()?),
            Kind::Number => self.number()?,
            Kind::Bool | Kind::Null => self.word()?,
        }
        Ok(Scanned { kind, depth: 0, raw: &self.bytes[start..self.at] })
    }

    /// The array or object that begins here.
    fn nested(&mut self, start: usize, kind: Kind) -> Result<Scanned<'a>, Fault> {
        let (mut open, mut depth) = (Open::default(), 0);
        loop {
            let opened = self.begin(&mut open)?;
            depth = depth.max(open.depth);
            let another = (opened && self.first_inside(&mut open)?) || self.close(&mut open)?;
            if !another {
                return Ok(Scanned { kind, depth, raw: &self.bytes[start..self.at] });
            }
        }
    }

    /// The elements of the array that stands here, one by one.
    pub(super) fn elements(&mut self) -> Elements<'_, 'a> {
        Elements { scanner: self, begun: false, over: false }
    }

    /// The members of the object that stands here, one by one.
    pub(super) fn members(&mut self) -> MembersOf<'_, 'a> {
        MembersOf { scanner: self, begun: false, over: false }
    }

    fn kind(&self) -> Result<Kind, Fault> {
        Ok(match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            Some(_) => return self.fault("a value must stand here"),
            None => return self.fault("the text ends where a value must stand"),
        })
    }

    /// Takes a scalar, or the opening of an array or object; says whether it opened one.
    fn begin(&mut self, open: &mut Open) -> Result<bool, Fault> {
        self.skip_space();
        match self.kind()? {
            kind @ (Kind::Object | Kind::Array) => {
                self.at += 1;
                open.push(kind);
                return Ok(true);
            }
            Kind::Text => drop(self.text()?),
            Kind::Number => self.number()?,
            Kind::Bool | Kind::Null => self.word()?,
        }
        Ok(false)
    }

    /// After an opening: whether a value follows (an object's first key is then taken).
    fn first_inside(&mut self, open: &mut Open) -> Result<bool, Fault> {
        self.skip_space();
        match open.last() {
            Some(Kind::Object) if self.peek() != Some(b'}') => self.key().map(|_| true),
            Some(Kind::Array) => Ok(self.peek() != Some(b']')),
            _ => Ok(false),
        }
    }

    /// After a value: closes what ends here; whether another value follows.
    fn close(&mut self, open: &mut Open) -> Result<bool, Fault> {
        // An opening without content comes here too: its own bracket is then what stands here.
        while let Some(kind) = open.last() {
            self.skip_space();
            let end = if kind == Kind::Object { b'}' } else { b']' };
            if self.take(end) {
                open.pop();
            } else if self.take(b',') {
                if kind == Kind::Object {
                    self.skip_space();
                    self.key()?;
                }
                return Ok(true);
            } else if self.peek().is_none() {
                return self.fault("the text ends within an array or object");
            } else {
                return self.fault("a comma or the closing bracket must stand here");
            }
        }
        Ok(false)
    }

    /// An object's key and the colon after it.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<&'a [u8], Fault> {
        if self.peek() != Some(b'"') {
            return self.fault("a key in quotes must stand here");
        }
        let key = self.text()?;
        self.skip_space();
        if self.take(b':') { Ok(key) } else { self.fault("a colon must stand here") }
    }

    /// A text with its quotes.
    #[inline(always)]
    fn text(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            let found = octets::find(self.bytes, self.at, octets::escaped);
            self.at = found.unwrap_or(self.bytes.len());
            match self.peek() {
                None => return self.fault("the text ends within a string"),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fault("a control character within a string"),
            }
        }
        self.at += 1;
        Ok(&self.bytes[start..self.at])
    }

    #[inline(never)]
    fn escape(&mut self) -> Result<(), Fault> {
        self.odd = true;
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => 6,
            _ => return self.fault("an escape that does not exist"),
        };
        match self.bytes.get(self.at + 2..self.at + length) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                self.at += length;
                Ok(())
            }
            _ => self.fault("an escape without four hexadecimal digits"),
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let end = octets::find(self.bytes, start, octets::no_digit);
        self.at = end.unwrap_or(self.bytes.len()).min(self.bytes.len());
        if self.at == start { self.fault("a digit must stand here") } else { Ok(()) }
    }

    #[inline]
    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            self.odd = true;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        // Without an exponent it takes three hundred digits to leave the range of doubles.
        self.odd |= self.at - start >= LONG_NUMBER;
        Ok(())
    }

    fn word(&mut self) -> Result<(), Fault> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        for word in [b"true".as_slice(), b"false", b"null"] {
            if left.starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.fault("a word that is neither true, false nor null")
    }
}

/// The arrays and objects that are open, a bit each; only those that nest deep need a list.
#[derive(Default)]
struct Open {
    depth: usize,
    /// Of the innermost the lowest; set for an object.
    bits: u64,
    /// Bits of the outer ones, 64 each.
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, kind: Kind) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(kind == Kind::Object);
        self.depth += 1;
    }

    fn last(&self) -> Option<Kind> {
        let kind = if self.bits & 1 == 1 { Kind::Object } else { Kind::Array };
        (self.depth > 0).then_some(kind)
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }
}

/// Walks over the elements of the array that stands next.
pub(super) struct Elements<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    begun: bool,
    over: bool,
}

impl<'a> Iterator for Elements<'_, 'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.step().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<'a> Elements<'_, 'a> {
    fn step(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let scanner = &mut *self.scanner;
        scanner.skip_space();
        if !self.begun {
            self.begun = true;
            scanner.take(b'[');
            scanner.skip_space();
            if scanner.take(b']') {
                return Ok(None);
            }
        } else if scanner.take(b']') {
            return Ok(None);
        } else if !scanner.take(b',') {
            return scanner.fault("a comma or the closing bracket must stand here");
        }
        Ok(Some(scanner.value()?.raw))
    }
}

/// Walks over the members of the object that stands next: keys with their quotes.
pub(super) struct MembersOf<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    begun: bool,
    over: bool,
}

impl<'a> Iterator for MembersOf<'_, 'a> {
    type Item = Result<(&'a [u8], Scanned<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.step().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<'a> MembersOf<'_, 'a> {
    fn step(&mut self) -> Result<Option<(&'a [u8], Scanned<'a>)>, Fault> {
        let scanner = &mut *self.scanner;
        scanner.skip_space();
        if !self.begun {
            self.begun = true;
            if !scanner.take(b'{') {
                return scanner.fault("an object must stand here");
            }
            scanner.skip_space();
            if scanner.take(b'}') {
                return Ok(None);
            }
        } else if scanner.take(b'}') {
            return Ok(None);
        } else if !scanner.take(b',') {
            return scanner.fault("a comma or the closing bracket must stand here");
        }
        scanner.skip_space();
        let key = scanner.key()?;
        Ok(Some((key, scanner.value()?)))
    }
}

/// What had to be replaced when a string was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// U+0000, which no store of texts keeps.
    pub(crate) nul: bool,
    /// Bytes that are no UTF-8, or half a surrogate pair.
    pub(crate) not_unicode: bool,
}

/// The text within quotes, escapes resolved; what cannot be kept becomes U+FFFD.
pub(crate) fn unescape<'a>(quoted: &'a [u8], repairs: &mut Repairs) -> Cow<'a, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let text = match simdutf8::basic::from_utf8(inner) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(inner),
    };
    repairs.not_unicode |= matches!(text, Cow::Owned(_));
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match escape {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => rest = unescape_unicode(rest, &mut out, repairs),
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn unescape_unicode<'r>(rest: &'r str, out: &mut String, repairs: &mut Repairs) -> &'r str {
    let four = |text: &str| text.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let Some(unit) = four(rest) else { return rest };
    let after = &rest[4..];
    let pair = after.strip_prefix("\\u").and_then(four);
    let units = [unit, pair.unwrap_or(0)];
    let taken =
        if (0xd800..0xdc00).contains(&unit) && pair.is_some() { &units[..] } else { &units[..1] };
    match char::decode_utf16(taken.iter().copied()).next() {
        Some(Ok('\0')) => {
            repairs.nul = true;
            out.push(char::REPLACEMENT_CHARACTER);
            after
        }
        Some(Ok(c)) => {
            out.push(c);
            if c.len_utf16() == 2 { &after[6..] } else { after }
        }
        _ => {
            repairs.not_unicode = true;
            out.push(char::REPLACEMENT_CHARACTER);
            after
        }
    }
}

/// Writes a scanned value so that every reader of JSON takes it: no white space, strings repaired,
/// numbers beyond the range of doubles as strings.
pub(crate) fn write_clean(raw: &[u8], out: &mut String, repairs: &mut Repairs) {
    let mut scanner = Scanner::new(raw);
    while let Some(byte) = scanner.peek() {
        let start = scanner.at;
        match byte {
            b'"' => match scanner.text() {
                Ok(quoted) => match std::str::from_utf8(quoted) {
                    Ok(plain) if memchr::memchr(b'\\', quoted).is_none() => out.push_str(plain),
                    _ => push_json_str(out, &unescape(quoted, repairs)),
                },
                Err(_) => return,
            },
            b'-' | b'0'..=b'9' => match scanner.number() {
                Ok(()) => write_number(&raw[start..scanner.at], out),
                Err(_) => return,
            },
            b' ' | b'\t' | b'\n' | b'\r' => scanner.at += 1,
            other => {
                out.push(char::from(other));
                scanner.at += 1;
            }
        }
    }
}

fn write_number(raw: &[u8], out: &mut String) {
    let text = String::from_utf8_lossy(raw);
    let short = raw.len() < LONG_NUMBER && !raw.iter().any(|byte| matches!(byte, b'e' | b'E'));
    if short || text.parse::<f64>().is_ok_and(f64::is_finite) {
        out.push_str(&text);
    } else {
        push_json_str(out, &text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &[u8]) -> Result<usize, Fault> {
        let mut scanner = Scanner::new(text);
        let depth = scanner.value()?.depth;
        scanner.skip_space();
        if scanner.peek().is_none() { Ok(depth) } else { scanner.fault("more follows") }
    }

    #[test]
    fn the_grammar_and_nothing_else() {
        let check = |text: &str, expected: Result<usize, usize>| {
            assert_eq!(whole(text.as_bytes()).map_err(|fault| fault.at), expected, "{text}");
        };
        check("{}", Ok(1));
        check("[]", Ok(1));
        check(" [ { \"a\" : [ ] } , 1 ] ", Ok(3));
        check("[[],[[]]]", Ok(3));
        check("-0.5e+3", Ok(0));
        check("1e999", Ok(0));
        check("\"\\ud800\"", Ok(0));
        check("{\"a\":{},\"b\":[]}", Ok(2));
        check("", Err(0));
        check("{", Err(1));
        check("[1,]", Err(3));
        check("{\"a\":1,}", Err(7));
        check("{a:1}", Err(1));
        check("{\"a\" 1}", Err(5));
        check("01", Err(1));
        check("+1", Err(0));
        check("1.", Err(2));
        check("-", Err(1));
        check("nul", Err(0));
        check("\"a", Err(2));
        check("\"\\x\"", Err(1));
        check("\"\\u12g4\"", Err(1));
        check("\"\t\"", Err(1));
        check("[1}", Err(2));
        check("[] []", Err(3));
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
        assert_eq!(whole(&deep), Ok(200_000));
        assert!(whole(&deep[..200_000]).is_err());
    }

    #[test]
    fn strings_are_resolved_and_repaired() {
        let check = |quoted: &[u8], expected: &str, nul, not_unicode| {
            let mut repairs = Repairs::default();
            assert_eq!(unescape(quoted, &mut repairs), expected);
            assert_eq!(repairs, Repairs { nul, not_unicode }, "{expected}");
        };
        check(br#""a\n\t\"\\\/\u00e9""#, "a\n\t\"\\/\u{e9}", false, false);
        check(br#""\ud834\udd1e!""#, "\u{1d11e}!", false, false);
        check(br#""\ud834x""#, "\u{fffd}x", false, true);
        check(br#""\ud834\u0041""#, "\u{fffd}A", false, true);
        check(br#""\udd1e""#, "\u{fffd}", false, true);
        check(br#""a\u0000b""#, "a\u{fffd}b", true, false);
        check(b"\"a\xff\"", "a\u{fffd}", false, true);
    }

    #[test]
    fn what_is_written_is_taken_by_every_reader() {
        let mut out = String::new();
        let raw = b"{ \"a\" : [ 1 , 1e999, \"\\ud800\\u0000\", true, null, -1.50 ] }";
        write_clean(raw, &mut out, &mut Repairs::default());
        assert_eq!(out, "{\"a\":[1,\"1e999\",\"\u{fffd}\u{fffd}\",true,null,-1.50]}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
    }

    proptest! {
        #[test]
        fn what_serde_takes_is_taken(text in "[\\[\\]{}\",:0-9eE.+a-z\\\\ -]{0,24}") {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(whole(text.as_bytes()).is_ok(), theirs, "{}", text);
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = whole(&bytes);
            write_clean(&bytes, &mut String::new(), &mut Repairs::default());
            let _ = unescape(&bytes, &mut Repairs::default());
        }
    }
}
