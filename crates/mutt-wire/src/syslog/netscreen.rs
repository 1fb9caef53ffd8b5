//! ScreenOS: `NetScreen device_id=fw1  [Root]system-notification-00257(traffic): start_time="..." ...`.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::devices::until;
use super::fields::mark;
use super::{format, set_host};
use crate::octets::{all_digits, below, escaped, find, is};
use crate::text::{near, trimmed};
use crate::writer::Writer;

const BEGINS: &str = "NetScreen device_id=";
const MAX_PAIRS: usize = 48;

/// True where a message of ScreenOS begins.
pub(crate) fn begins(message: &str) -> bool {
    message.starts_with(BEGINS)
}

/// Reads the message. What stood before it like a tag is the firewall's name.
pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let behind = message.strip_prefix(BEGINS)?;
    let (device, behind) = until(behind, b' ')?;
    let device = device.trim_start_matches('[').trim_end_matches(']');
    let (vsys, behind) = until(behind.trim_start_matches(' ').strip_prefix('[')?, b']')?;
    let colon = colon_and_space(behind.as_bytes())?;
    let (name, text) = (&behind[..colon], &behind[colon + 2..]);
    let (mnemonic, kind) = match near(b'(', name.as_bytes()) {
        Some(at) => (&name[..at], name[at + 1..].trim_end_matches(')')),
        None => (name, ""),
    };
    let (_system, behind) = parted(mnemonic, b'-')?;
    let (level, number) = parted(behind, b'-')?;
    if number.is_empty() || !all_digits(number.as_bytes()) {
        return None;
    }
    if let (Some(Cow::Borrowed(name)), None) = (event.app.take(), &event.procid)
        && !event.host.eq_ignore_ascii_case(name)
    {
        set_host(event, name, None);
    }
    event.app = Some(Cow::Borrowed("NetScreen"));
    event.mnemonic = Some(Cow::Borrowed(mnemonic));
    event.msgid = Some(Cow::Borrowed(number));
    if event.severity.is_none() {
        event.severity = Severity::parse(level);
    }
    let mut json = Writer::new(message, message.len() + message.len() / 4);
    json.put(b"{\"");
    push_text(&mut json, b"device_id\":\"", device);
    push_text(&mut json, b"vsys\":\"", vsys);
    push_text(&mut json, b"type\":\"", kind);
    for pair in Pairs::new(text).take(MAX_PAIRS) {
        push(&mut json, pair);
    }
    // Without the quote of a next name and the comma before it.
    json.truncate(if json.len() > 2 { json.len() - 2 } else { 1 });
    json.put(b"}");
    event.fields = Some(Cow::Owned(json.finish()));
    event.message = Cow::Borrowed(message);
    Some(format::NETSCREEN)
}

/// Writes a text where it is not empty, its name before it, and what stands before the next.
#[inline(always)]
fn push_text<'a, const N: usize>(json: &mut Writer<'a>, name: &[u8; N], text: &'a str) {
    if text.is_empty() {
        return;
    }
    json.put(name);
    if find(text.as_bytes(), 0, escaped).is_none() {
        return json.part_and(text.as_bytes(), b"\",\"");
    }
    json.escaped(text);
    json.put(b"\",\"");
}

/// Writes a pair where it has a value, and what stands before the next.
#[inline(always)]
fn push<'a>(json: &mut Writer<'a>, Pair { name, value, plain }: Pair<'a>) {
    if value.is_empty() {
        return;
    }
    if plain {
        return json.pair((name.as_bytes(), b"\":\""), (value.as_bytes(), b"\",\""));
    }
    json.escaped(name);
    json.put(b"\":\"");
    json.escaped(value);
    json.put(b"\",\"");
}

/// Where a colon first stands with a space behind it.
fn colon_and_space(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at = find(bytes, at, |word| is(word, b':'))?;
        if bytes.get(at + 1) == Some(&b' ') {
            return Some(at);
        }
        at += 1;
    }
}

/// What stands before a byte and what behind it.
fn parted(text: &str, by: u8) -> Option<(&str, &str)> {
    near(by, text.as_bytes()).map(|at| (&text[..at], &text[at + 1..]))
}

/// When it happened: what `start_time` says, or what stands in brackets at the end.
pub(crate) fn time(message: &str) -> Option<&str> {
    // It is the first in quotes of most messages.
    if let Some(at) = mark(message.as_bytes(), b"start_time=\"") {
        return until(&message[at + 12..], b'"').map(|(time, _)| time);
    }
    let (_, behind) = message.strip_suffix(')')?.rsplit_once('(')?;
    Some(behind)
}

/// Keys may have two words (`src zone`), values may have spaces without quotes
/// (`service=tcp/port 8080`): a value ends where the next key begins.
struct Pairs<'a> {
    text: &'a str,
    key: Key,
}

struct Pair<'a> {
    name: &'a str,
    value: &'a str,
    /// JSON escapes nothing in them.
    plain: bool,
}

/// Where the next key begins and its equals sign stands; the end of the text for both where there is none.
#[derive(Clone, Copy)]
struct Key {
    begin: usize,
    equals: usize,
    /// JSON escapes nothing from where it was looked for to its equals sign.
    plain: bool,
}

impl Key {
    /// The key that comes next from `from` on.
    #[inline(always)]
    fn next(bytes: &[u8], from: usize) -> Self {
        let (mut at, mut word, mut plain) = (from, from, true);
        // Below the byte behind the quote are the space, `!` and what JSON escapes.
        let marks = |word| below(word, b'"' + 1) | is(word, b'=') | is(word, b'\\');
        while let Some(equals) = find(bytes, at, marks) {
            at = equals + 1;
            match bytes[equals] {
                b'=' => return Self { begin: begin(bytes, from, word, equals), equals, plain },
                b' ' => word = at,
                byte => plain &= byte == b'!',
            }
        }
        Self { begin: bytes.len(), equals: bytes.len(), plain }
    }
}

/// Where the key begins whose last word begins at `word`, not before `from`.
#[inline(always)]
fn begin(bytes: &[u8], from: usize, word: usize, end: usize) -> usize {
    const TWO_WORDS: [&[u8]; 4] = [b"src zone", b"dst zone", b"src-xlated ip", b"dst-xlated ip"];
    if matches!(&bytes[word..end], b"zone" | b"ip")
        && let Some(key) = TWO_WORDS.iter().find(|key| bytes[from..end].ends_with(key))
    {
        return end - key.len();
    }
    word
}

impl<'a> Pairs<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, key: Key::next(text.as_bytes(), 0) }
    }

    /// A value in quotes that begins here, where they are closed: its end, and whether JSON escapes
    /// nothing in it.
    #[inline(always)]
    fn quoted(&self, from: usize) -> Option<(usize, bool)> {
        let bytes = self.text.as_bytes();
        let at = find(bytes, from, escaped)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, true));
        }
        find(bytes, at, |word| is(word, b'"')).map(|at| (at, false))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (text, bytes, key) = (self.text, self.text.as_bytes(), self.key);
        if key.equals == bytes.len() {
            return None;
        }
        let (name, from) = (&text[key.begin..key.equals], key.equals + 1);
        if bytes.get(from) == Some(&b'"')
            && let Some((close, plain)) = self.quoted(from + 1)
        {
            self.key = Key::next(bytes, close + 1);
            return Some(Pair { name, value: &text[from + 1..close], plain: plain && key.plain });
        }
        self.key = Key::next(bytes, from);
        let value = &text[from..self.key.begin];
        let value = trimmed(value.strip_suffix(' ').unwrap_or(value));
        Some(Pair { name, value, plain: self.key.plain && key.plain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_end_where_the_next_key_begins() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found: Vec<_> = Pairs::new(text).map(|pair| (pair.name, pair.value)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("a=1 b=2", &[("a", "1"), ("b", "2")]);
        check(
            "service=tcp/port 8080 src zone=Trust dst zone= src-xlated ip=192.0.2.1 port=1",
            &[
                ("service", "tcp/port 8080"),
                ("src zone", "Trust"),
                ("dst zone", ""),
                ("src-xlated ip", "192.0.2.1"),
                ("port", "1"),
            ],
        );
        check("t=\"a = b\" zone=x ip=\"open", &[("t", "a = b"), ("zone", "x"), ("ip", "\"open")]);
        check("words and a=b c=\u{a0}", &[("a", "b"), ("c", "")]);
        check("no pairs", &[]);
    }
}
