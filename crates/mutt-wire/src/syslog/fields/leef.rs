//! LEEF, the Log Event Extended Format of QRadar, 1.0 and 2.0:
//! `LEEF:2.0|vendor|product|version|event id|delimiter|key=value...`.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Name, Type, Value};
use super::pairs::{self, Raw, words};
use super::{graded, lacks_host, set_origin};
use crate::octets::{Keys, escaped, find, hash, is};
use crate::syslog::{Options, format, notes};
use crate::text::{behind_spaces, near, without_blanks, without_spaces};

static VERSION: Name = Name::new("leef_version");
static HEADER: [Name; 4] = [
    Name::new("vendor"),
    Name::new("product"),
    Name::new("product_version"),
    Name::new("event_id"),
];

/// `LEEF:1.0|`
pub(crate) fn begins(text: &str) -> bool {
    version(text).is_some()
}

/// The version and what stands behind its bar.
fn version(text: &str) -> Option<(&str, &str)> {
    let rest = behind_spaces(text.strip_prefix("LEEF:")?);
    let len = match rest.as_bytes() {
        [b'1' | b'2', b'.', b'0', b'|', ..] => 3,
        bytes => bytes.iter().take(5).take_while(|b| b.is_ascii_digit() || **b == b'.').count(),
    };
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
    // Its header has values without their names.
    let mut map = Map::sized(message, 24, message.len() + 192);
    map.push_text(&VERSION, version, true);
    for (at, name) in HEADER.iter().enumerate() {
        let bar = |word| escaped(word) | is(word, b'|');
        let (end, plain) = look(rest.as_bytes(), 0, b'|', b'|', bar);
        let (value, behind) = match rest.get(end + 1..) {
            Some(behind) => (&rest[..end], behind),
            None => {
                if at + 1 < HEADER.len() {
                    notes::add(event, ParseStatus::Partial, notes::LEEF_SHORT);
                }
                (rest, "")
            }
        };
        map.push_text(name, without_spaces(value), plain);
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
        && let Some(end) = near(b'|', &rest.as_bytes()[..rest.len().min(32)])
        && let Some(named) = named_delimiter(&rest[..end])
    {
        return (named, &rest[end + 1..]);
    }
    let is_bar = |at: usize| pairs::leading_key(&rest[at + 1..]).is_some();
    let found = match memchr::memchr2(b'\t', b'|', rest.as_bytes()) {
        Some(at) if rest.as_bytes()[at] == b'\t' => '\t',
        Some(at) if is_bar(at) => '|',
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
        // JSON escapes it, so that one look finds it.
        Ok(b'\t') => separated(text, b'\t', escaped, map),
        Ok(by) if by.is_ascii() => separated(text, by, |word| escaped(word) | is(word, by), map),
        _ => {
            for part in text.split(delimiter).take(MAX_FIELDS + 1) {
                if let Some((key, value)) = part.split_once('=') {
                    push_odd(key, value, map);
                }
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
        let raw = Raw::unquoted(value.text, value.plain);
        map.push_pair((key, hash), raw, b"", Type::number(NUMBERS.contains(key, hash)));
        at = value.behind;
    }
}

/// `key=value` between delimiters; `ends` marks the delimiter and what JSON escapes.
#[inline(always)]
fn separated<'a>(text: &'a str, by: u8, ends: impl Fn(u64) -> u64, map: &mut Map<'a>) {
    let bytes = text.as_bytes();
    let (mut start, mut count) = (0, 0);
    while count <= MAX_FIELDS && start < bytes.len() {
        count += 1;
        let (equals, plain) = look(bytes, start, b'=', by, |word| ends(word) | is(word, b'='));
        if bytes.get(equals) != Some(&b'=') || by == b'=' {
            start = equals + 1;
            continue;
        }
        let (end, also_plain) = look(bytes, equals + 1, by, by, &ends);
        let (key, value) = (&text[start..equals], &text[equals + 1..end]);
        start = end + 1;
        if !plain || !also_plain {
            push_odd(key, value, map);
            continue;
        }
        let (key, value) = (without_spaces(key), without_blanks(value));
        let hash = hash(key.as_bytes());
        map.push_plain((key, hash), value, Type::number(NUMBERS.contains(key, hash)));
    }
}

/// Where, from `from` on, one of two bytes stands, or the end; and whether JSON escapes nothing before.
#[inline(always)]
fn look(
    bytes: &[u8],
    from: usize,
    one: u8,
    other: u8,
    marks: impl Fn(u64) -> u64,
) -> (usize, bool) {
    let (mut at, mut plain) = (from, true);
    while let Some(found) = find(bytes, at, &marks) {
        if bytes[found] == one || bytes[found] == other {
            return (found, plain);
        }
        (at, plain) = (found + 1, false);
    }
    (bytes.len(), plain)
}

#[inline(never)]
fn push_odd<'a>(key: &'a str, value: &'a str, map: &mut Map<'a>) {
    let (key, value) = (without_spaces(key), without_blanks(value));
    let number = NUMBERS.contains(key, hash(key.as_bytes()));
    map.push(key, Value::typed(Cow::Borrowed(value), number));
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
