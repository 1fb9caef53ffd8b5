//! Cisco Meraki: `1 1515988859.626061236 appliance flows src=... pattern: allow all`.

use std::borrow::Cow;

use mutt_model::Event;

use super::clock;
use super::map::{MAX_FIELDS, Map, Type};
use super::pairs::{self, Spaced};
use super::set_origin;
use crate::octets::hash;
use crate::syslog::format;

/// A version, seconds with a fraction, and a name behind them: the parts of the header.
fn header(text: &str) -> Option<[&str; 4]> {
    let (version, rest) = text.split_once(' ')?;
    if version.len() > 2 || !version.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (time, rest) = rest.split_once(' ')?;
    let (seconds, fraction) = time.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if seconds.len() != 10 || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let (name, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    (!name.is_empty() && !kind.is_empty()).then_some([time, name, kind, rest])
}

pub(crate) fn begins(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The space behind the version, and the seconds behind that.
    let near = |at: usize| bytes.get(at) == Some(&b' ') && bytes.get(at + 11) == Some(&b'.');
    (near(1) || near(2)) && header(text).is_some()
}

fn is_number(key: &str) -> bool {
    matches!(
        key,
        "sport" | "dport" | "priority" | "type" | "code" | "duration" | "rssi" | "channel" | "vap"
    )
}

pub(crate) fn read<'a>(event: &mut Event<'a>, text: &'a str) -> Option<&'static str> {
    let [time, name, kind, rest] = header(text)?;
    set_origin(event, name);
    event.device_time = clock::epoch(time);
    event.time_note = None;
    event.message = Cow::Borrowed(&text[text.len() - rest.len() - kind.len() - 1..]);
    if rest.is_empty() {
        event.message = Cow::Borrowed(kind);
    }
    let mut map = Map::with_capacity(text, 16);
    map.push("log_type", kind);
    event.app = Some(Cow::Borrowed(kind));
    event.mnemonic = event.app.clone();
    let (pairs, tail) = tail(rest);
    // `security_event ids_alerted signature=...`
    if let Some((word, behind)) = pairs.split_once(' ')
        && pairs::is_key(word)
        && pairs::leading_key(behind).is_some()
    {
        map.push("log_subtype", word);
        event.mnemonic = Some(Cow::Borrowed(word));
    }
    for (key, raw) in Spaced::new(pairs).take(MAX_FIELDS + 1) {
        map.push_pair((key, hash(key.as_bytes())), raw, b"", Type::number(is_number(key)));
    }
    if let Some((key, value)) = tail {
        map.push(key, value);
    }
    map.finish(event);
    Some(format::MERAKI)
}

/// The pairs, and the text behind ` pattern: ` or another word with a colon.
fn tail(text: &str) -> (&str, Option<(&str, &str)>) {
    let Some(at) = memchr::memmem::find(text.as_bytes(), b": ") else { return (text, None) };
    let from = memchr::memrchr(b' ', &text.as_bytes()[..at]).map_or(0, |space| space + 1);
    let key = &text[from..at];
    if !pairs::is_key(key) {
        return (text, None);
    }
    (text[..from].trim_end_matches(' '), Some((key, text[at + 2..].trim_matches(' '))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_a_version_a_time_and_a_name() {
        let check = |text: &str, expected: bool| assert_eq!(begins(text), expected, "{text}");
        check("1 1515988859.626061236 appliance flows src=192.0.2.1", true);
        check("1 1515988859.626061236 MX84 events", true);
        check("1 1515988859 appliance flows", false);
        check("1 2026-08-06T10:00:00.1Z h a", false);
        check("1515988859.626061236 appliance flows", false);
        check("", false);
    }
}
