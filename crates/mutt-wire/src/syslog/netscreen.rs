//! ScreenOS: `NetScreen device_id=fw1  [Root]system-notification-00257(traffic): start_time="..." ...`.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use mutt_model::{Event, Severity};

use super::devices::until;
use super::{format, set_host};
use crate::octets::{all_digits, escaped, find, is, rfind};
use crate::text::near;
use crate::writer::Writer;

const BEGINS: &str = "NetScreen device_id=";
static START_TIME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("start_time=\""));
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
    for (name, value) in [("device_id", device), ("vsys", vsys), ("type", kind)] {
        push(&mut json, Pair { name, value, plain: false });
    }
    Pairs::new(text).take(MAX_PAIRS).for_each(|pair| push(&mut json, pair));
    // Without the quote of a next name and the comma before it.
    json.truncate(if json.len() > 2 { json.len() - 2 } else { 1 });
    json.put(b"}");
    event.fields = Some(Cow::Owned(json.finish()));
    event.message = Cow::Borrowed(message);
    Some(format::NETSCREEN)
}

/// Writes a pair where it has a value, and what stands before the next.
#[inline]
fn push<'a>(json: &mut Writer<'a>, pair: Pair<'a>) {
    if pair.value.is_empty() {
        return;
    }
    if pair.plain {
        json.part_and(pair.name.as_bytes(), b"\":\"");
        return json.part_and(pair.value.as_bytes(), b"\",\"");
    }
    json.escaped(pair.name);
    json.put(b"\":\"");
    json.escaped(pair.value);
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
    // It is the first pair of most messages.
    let bytes = message.as_bytes();
    if let Some(at) = START_TIME.find(bytes) {
        return until(&message[at + 12..], b'"').map(|(time, _)| time);
    }
    let (_, behind) = message.strip_suffix(')')?.rsplit_once('(')?;
    Some(behind)
}

/// Keys may have two words (`src zone`), values may have spaces without quotes
/// (`service=tcp/port 8080`): a value ends where the next key begins.
struct Pairs<'a> {
    text: &'a str,
    /// Where the next key begins, or is looked for.
    at: usize,
    /// What stands behind it, where that is known.
    seen: Option<Equals>,
}

struct Pair<'a> {
    name: &'a str,
    value: &'a str,
    /// JSON escapes nothing in them.
    plain: bool,
}

/// Where an equals sign stands, and whether JSON escapes nothing before it.
#[derive(Clone, Copy)]
struct Equals {
    at: Option<usize>,
    plain: bool,
}

impl<'a> Pairs<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, seen: None }
    }

    #[inline]
    fn equals(&self, from: usize) -> Equals {
        let bytes = self.text.as_bytes();
        match find(bytes, from, |word| is(word, b'=') | escaped(word)) {
            Some(at) if bytes.get(at) != Some(&b'=') => {
                Equals { at: find(bytes, at, |word| is(word, b'=')), plain: false }
            }
            at => Equals { at, plain: true },
        }
    }

    /// A value in quotes that begins here, where they are closed: its end.
    #[inline]
    fn quoted(&self, from: usize) -> Option<Equals> {
        let bytes = self.text.as_bytes();
        let at = find(bytes, from, escaped)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(Equals { at: Some(at), plain: true });
        }
        let at = find(bytes, at, |word| is(word, b'"'))?;
        Some(Equals { at: Some(at), plain: false })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let seen = self.seen.take().unwrap_or_else(|| self.equals(self.at));
        let equals = seen.at?;
        let name = &text[key_at(bytes, self.at, equals)..equals];
        let from = equals + 1;
        if bytes.get(from) == Some(&b'"')
            && let Some(Equals { at: Some(close), plain }) = self.quoted(from + 1)
        {
            self.at = close + 1;
            return Some(Pair { name, value: &text[from + 1..close], plain: plain && seen.plain });
        }
        let next = self.equals(from);
        self.at = next.at.map_or(text.len(), |equals| key_at(bytes, from, equals));
        self.seen = Some(next);
        let value = trimmed(&text[from..self.at]);
        Some(Pair { name, value, plain: next.plain && seen.plain })
    }
}

/// A value without the spaces around it, which most have only behind it.
#[inline]
fn trimmed(text: &str) -> &str {
    let value = text.strip_suffix(' ').unwrap_or(text);
    match value.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => value,
        _ => value.trim(),
    }
}

/// Where the key begins that ends at `end`, not before `from`.
fn key_at(bytes: &[u8], from: usize, end: usize) -> usize {
    const TWO_WORDS: [&[u8]; 4] = [b"src zone", b"dst zone", b"src-xlated ip", b"dst-xlated ip"];
    let text = &bytes[from..end];
    let word = rfind(text, b' ').map_or(text, |at| &text[at + 1..]);
    if matches!(word, b"zone" | b"ip")
        && let Some(key) = TWO_WORDS.iter().find(|key| text.ends_with(key))
    {
        return end - key.len();
    }
    end - word.len()
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
