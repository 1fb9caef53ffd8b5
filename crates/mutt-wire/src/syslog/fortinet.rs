//! Fortinet: no header, `key=value` pairs with quoted values.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity, Timestamp};

use super::stamp::{self, Stamp};
use super::zone::{self, Sync};
use super::{Options, format, set_host};
use crate::text::push_json_str;

/// True for a log of FortiOS: it begins with one of two keys and names its device early.
pub(crate) fn begins(text: &str) -> bool {
    if !(text.starts_with("date=") || text.starts_with("logver=")) {
        return false;
    }
    let front = &text.as_bytes()[..text.len().min(256)];
    [&b"devname="[..], b"devid=", b"logid="]
        .iter()
        .any(|key| memchr::memmem::find(front, key).is_some())
}

/// The pairs of a text.
struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', ',']);
            let at = memchr::memchr2(b'=', b' ', self.rest.as_bytes())?;
            let (key, behind) = self.rest.split_at(at);
            if behind.starts_with(' ') || key.is_empty() {
                // A stray word, or a value without its key: the pairs go on behind it.
                self.rest = &behind[1..];
                continue;
            }
            let (value, rest) = value(&behind[1..]);
            self.rest = rest;
            return Some((key, value));
        }
    }
}

/// A value and what stands behind it; quotes come off, escaped ones do not end it.
fn value(text: &str) -> (&str, &str) {
    if let Some(inside) = text.strip_prefix('"') {
        let bytes = inside.as_bytes();
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
        {
            at += found;
            if bytes[at] == b'"' {
                return (&inside[..at], &inside[at + 1..]);
            }
            at += 2;
        }
        return (inside, "");
    }
    let len = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    text.split_at(len)
}

/// The pairs that the envelope needs.
#[derive(Default)]
struct Known<'a> {
    date: &'a str,
    time: &'a str,
    zone: &'a str,
    event_time: &'a str,
    device: &'a str,
    device_id: &'a str,
    level: &'a str,
    log_id: &'a str,
}

pub(crate) fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    event.message = Cow::Borrowed(text);
    event.parse.format = Cow::Borrowed(format::FORTINET);
    let mut known = Known::default();
    let mut json = String::with_capacity(text.len() + text.len() / 3 + 2);
    json.push('{');
    for (key, value) in (Pairs { rest: text }) {
        match key {
            "date" => known.date = value,
            "time" => known.time = value,
            "tz" => known.zone = value,
            "eventtime" => known.event_time = value,
            "devname" => known.device = value,
            "devid" => known.device_id = value,
            "level" => known.level = value,
            "logid" => known.log_id = value,
            _ => {}
        }
        if json.len() > 1 {
            json.push(',');
        }
        push_json_str(&mut json, key);
        json.push(':');
        push_json_str(&mut json, value);
    }
    json.push('}');
    event.fields = Some(Cow::Owned(json));
    if let Some(host) = [known.device, known.device_id].into_iter().find(|host| !host.is_empty()) {
        set_host(event, host, None);
    }
    if !known.log_id.is_empty() {
        event.msgid = Some(Cow::Borrowed(known.log_id));
    }
    if event.severity.is_none() {
        event.severity = Severity::parse(known.level);
    }
    read_time(&known, event, options);
}

fn read_time<'a>(known: &Known<'a>, event: &mut Event<'a>, options: &Options) {
    if let Some(at) = epoch(known.event_time) {
        event.device_time = Some(at);
        return;
    }
    let Some(stamp) = written(known) else {
        if event.device_time.is_none() {
            event.note(ParseStatus::Partial, "no timestamp");
        }
        return;
    };
    (event.device_time, event.time_note) =
        zone::resolve(&stamp, Sync::Plain, event.received_at, &options.zone);
}

/// `eventtime` counts seconds, milliseconds, microseconds or nanoseconds, by the release.
fn epoch(digits: &str) -> Option<Timestamp> {
    let value: i64 = digits.parse().ok()?;
    Some(Timestamp::from_micros(match digits.len() {
        9..=10 => value.checked_mul(1_000_000)?,
        13 => value.checked_mul(1000)?,
        16 => value,
        19 => value / 1000,
        _ => return None,
    }))
}

/// `date=2026-08-06 time=10:00:00 tz="+0200"`
fn written<'a>(known: &Known<'a>) -> Option<Stamp<'a>> {
    let mut text = String::with_capacity(40);
    text.push_str(known.date);
    text.push('T');
    text.push_str(known.time);
    if known.zone.starts_with(['+', '-']) {
        text.push_str(known.zone);
    }
    let (stamp, len) = stamp::read(&text)?;
    (len == text.len()).then_some(Stamp { zone: None, ..stamp })
}
