//! LEEF, the Log Event Extended Format of QRadar, 1.0 and 2.0:
//! `LEEF:2.0|vendor|product|version|event id|delimiter|key=value...`.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type, Value};
use super::pairs::{self, Raw, words};
use super::{graded, lacks_host, set_origin};
use crate::octets::{Keys, escaped, find, hash, is, named};
use crate::syslog::{Options, format, notes};
use crate::text::{without_blanks, without_spaces};

const HEADER: [(&str, u8); 4] =
    [named("vendor"), named("product"), named("product_version"), named("event_id")];

/// `LEEF:1.0|`
pub(crate) fn begins(text: &str) -> bool {
    version(text).is_some()
}

/// The version and what stands behind its bar.
fn version(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("LEEF:")?.trim_start_matches(' ');
    let len = rest.bytes().take(5).take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let behind = rest[len..].strip_prefix('|')?;
    (len > 0).then_some((&rest[..len], behind))
}

/// The keys that the document types as numbers.
static NUMBERS: Keys<13> = Keys::new([
    "sev",
    "srcPort",
    "dstPort",
    "srcPreNATPort",
    "dstPreNATPort",
    "srcPostNATPort",
    "dstPostNATPort",
    "srcBytes",
    "dstBytes",
    "totalBytes",
    "srcPackets",
    "dstPackets",
    "totalPackets",
]);

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str, options: &Options) -> &'static str {
    let Some((version, mut rest)) = version(message) else { return format::LEEF };
    let mut map = Map::of_pairs(message, 24);
    map.push_text(named("leef_version"), version);
    for (at, name) in HEADER.iter().enumerate() {
        let (value, behind) = match memchr::memchr(b'|', rest.as_bytes()) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => {
                if at + 1 < HEADER.len() {
                    notes::add(event, ParseStatus::Partial, notes::LEEF_SHORT);
                }
                (rest, "")
            }
        };
        map.push_text(*name, without_spaces(value));
        rest = behind;
    }
    let (delimiter, attributes) = delimiter(version, rest);
    read_attributes(attributes, delimiter, &mut map);
    envelope(event, &map, options);
    map.finish(event);
    format::LEEF
}

/// The delimiter between attributes, and the attributes. Version 2 names it, as a character or as
/// `x5E` or `0x5E`; without a name it is a tab. Senders that know no tab write bars or spaces.
fn delimiter<'a>(version: &str, rest: &'a str) -> (char, &'a str) {
    if version.starts_with('2')
        && let Some(end) = rest.bytes().take(32).position(|b| b == b'|')
        && let Some(named) = named_delimiter(&rest[..end])
    {
        return (named, &rest[end + 1..]);
    }
    let is_bar = |at: usize| pairs::leading_key(&rest[at + 1..]).is_some();
    let found = match memchr::memchr2(b'\t', b'|', rest.as_bytes()) {
        Some(at) if rest.as_bytes()[at] == b'|' && is_bar(at) => '|',
        None => ' ',
        _ if !rest.contains('\t') => ' ',
        _ => '\t',
    };
    (found, rest)
}

fn named_delimiter(text: &str) -> Option<char> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (None, _) => return Some('\t'),
        (Some(one), None) => return Some(one),
        _ => {}
    }
    if text == "\\t" {
        return Some('\t');
    }
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'))?;
    if hex.len() > 4 {
        return None;
    }
    char::from_u32(u32::from_str_radix(hex, 16).ok()?)
}

fn read_attributes<'a>(text: &'a str, delimiter: char, map: &mut Map<'a>) {
    match u8::try_from(delimiter) {
        Ok(b' ') => spaced(text, map),
        Ok(by) if by.is_ascii() => separated(text, by, map),
        _ => {
            for part in text.split(delimiter).take(MAX_FIELDS + 1) {
                push(part, find(part.as_bytes(), 0, escaped).is_none(), map);
            }
        }
    }
}

fn spaced<'a>(text: &'a str, map: &mut Map<'a>) {
    let mut at = text.len() - text.trim_start_matches(' ').len();
    for _ in 0..=MAX_FIELDS {
        let Some((key, len)) = pairs::leading_key(&text[at..]) else { return };
        let value = words(text, at + len);
        let hash = hash(key.as_bytes());
        let raw = Raw { text: value.text, quoted: false, plain: value.plain };
        map.push_pair((key, hash), raw, b"", Type::number(NUMBERS.contains(key, hash)));
        at = value.behind;
    }
}

fn separated<'a>(text: &'a str, by: u8, map: &mut Map<'a>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for _ in 0..=MAX_FIELDS {
        let (mut at, mut plain) = (start, true);
        let end = loop {
            match find(bytes, at, |word| escaped(word) | is(word, by)) {
                None => break bytes.len(),
                Some(end) if bytes[end] == by => break end,
                Some(odd) => (at, plain) = (odd + 1, false),
            }
        };
        push(&text[start..end], plain, map);
        if end == bytes.len() {
            return;
        }
        start = end + 1;
    }
}

/// Adds `key=value`; `plain` when JSON escapes nothing in it.
fn push<'a>(part: &'a str, plain: bool, map: &mut Map<'a>) {
    let Some(at) = find(part.as_bytes(), 0, |word| is(word, b'=')) else { return };
    let (key, value) = (without_spaces(&part[..at]), without_blanks(&part[at + 1..]));
    let hash = hash(key.as_bytes());
    let of = Type::number(NUMBERS.contains(key, hash));
    if plain {
        map.push_plain((key, hash), value, of);
    } else {
        map.push(key, Value::typed(Cow::Borrowed(value), of == Type::Number));
    }
}

fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>, options: &Options) {
    let host = map.first(&["identHostName", "dvchost", "DeviceName", "devName", "origin"]);
    if lacks_host(event)
        && let Some(host) = host
    {
        set_origin(event, host);
    }
    if event.severity.is_none() {
        let word = map.first(&["sev", "severity", "Severity", "syslog_severity"]);
        event.severity = word.and_then(graded);
    }
    if event.app.is_none() {
        event.app = map.get("product").map(Cow::Borrowed);
    }
    event.mnemonic = map.get("event_id").map(Cow::Borrowed);
    event.resource = map.get("resource").map(Cow::Borrowed);
    if let Some(text) = map.get("devTime") {
        let pattern = map.get("devTimeFormat");
        clock::fill(event, Written { text, zone: None, pattern }, options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_named_or_known() {
        let check = |version: &str, rest: &str, expected: (char, &str)| {
            assert_eq!(delimiter(version, rest), expected, "{rest}");
        };
        check("2.0", "^|a=1^b=2", ('^', "a=1^b=2"));
        check("2.0", "x5E|a=1^b=2", ('^', "a=1^b=2"));
        check("2.0", "0x5E|a=1^b=2", ('^', "a=1^b=2"));
        check("2.0", "0x09|a=1\tb=2", ('\t', "a=1\tb=2"));
        check("2.0", "¦|a=1¦b=2", ('¦', "a=1¦b=2"));
        check("2.0", "|a=1\tb=2", ('\t', "a=1\tb=2"));
        check("2.0", "cat=x\tb=2", ('\t', "cat=x\tb=2"));
        check("2.0", " |a=1 b=2", (' ', "a=1 b=2"));
        check("1.0", "a=1\tb=2|3", ('\t', "a=1\tb=2|3"));
        check("1.0", "a=1|b=2", ('|', "a=1|b=2"));
        check("1.0", "a=1 b=2", (' ', "a=1 b=2"));
        check("1.0", "", (' ', ""));
    }
}
