//! Syslog into events: RFC 5424, RFC 3164 and what network devices send instead. Total: every frame
//! becomes an event, whatever is odd is noted, the raw bytes stay as they came.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity, Source, event};

use crate::frame::Frame;
use crate::text;

mod devices;
pub mod dialects;
mod fields;
pub mod framing;
mod ftd;
mod hpe;
mod legacy;
mod mnemonic;
mod netscaler;
mod netscreen;
mod nokia;
pub mod notes;
mod resource;
mod rfc5424;
mod sources;
mod stamp;
mod structured;
mod tag;
mod ubiquiti;
mod usual;
mod vmware;
mod zone;

pub use dialects::format;
pub use resource::canonical_interface;
pub use sources::{SourcePattern, ZoneRule};
pub use zone::{FUTURE_SKEW_SECONDS, Zone};

/// What the operator decides about reading syslog.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The zone of stamps that carry none; UTC by default.
    pub zone: Zone,
    /// Sources whose clocks run in another zone; the first that matches.
    pub zones: Vec<ZoneRule>,
}

impl Options {
    /// The zone for what a device wrote.
    #[inline]
    fn zone_for(&self, event: &Event<'_>) -> zone::Assumed<'_> {
        self.zone_of(&event.host, event.relay.as_deref(), &event.peer)
    }

    #[inline]
    fn zone_of(&self, host: &str, relay: Option<&str>, peer: &str) -> zone::Assumed<'_> {
        let assumed = zone::Assumed { zone: &self.zone, by_rule: false };
        if self.zones.is_empty() {
            return assumed;
        }
        match sources::rule_for(&self.zones, host, relay, peer) {
            Some(zone) => zone::Assumed { zone, by_rule: true },
            None => assumed,
        }
    }
}

/// Makes the event of one syslog frame.
#[must_use]
pub fn decode<'a>(frame: Frame<'a>, options: &Options) -> Event<'a> {
    let raw = without_end(frame.raw);
    let Some(text) = text::plain(raw) else { return decode_repaired(frame, raw, options) };
    usual::decode(frame, text, options)
}

#[inline(never)]
fn decode_text<'a>(frame: Frame<'a>, text: &'a str, options: &Options) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    read(text, &mut event, options);
    event
}

#[inline]
fn without_end(raw: &[u8]) -> &[u8] {
    let mut raw = raw;
    while let [before @ .., b'\n' | b'\r' | 0] = raw {
        raw = before;
    }
    raw
}

#[cold]
fn decode_repaired<'a>(frame: Frame<'a>, raw: &[u8], options: &Options) -> Event<'a> {
    let (text, repair) = text::clean(raw);
    let mut event = Frame { raw: &[], ..frame }.event(Source::Syslog);
    read(&text, &mut event, options);
    if let Some(note) = repair.note() {
        notes::add(&mut event, ParseStatus::Partial, note);
    }
    let mut owned: Event<'a> = event.into_owned();
    owned.raw = Cow::Borrowed(frame.raw);
    owned
}

fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    let rest = match text.as_bytes() {
        [b'<', ..] => match written_priority(text) {
            Some((Some(value), behind)) => {
                take_priority(event, value);
                behind
            }
            _ => priority(text, event),
        },
        _ => match unusual_front(text, event) {
            Some(text) => priority(text, event),
            None => return,
        },
    };
    if rfc5424::begins(rest) {
        rfc5424::read(rest, None, event, options);
    } else {
        legacy::read(rest, event, options);
    }
}

/// What `decode` gives of a text, without the readers of usual headers.
#[cfg(test)]
fn decode_by_parts<'a>(frame: Frame<'a>, text: &'a str, options: &Options) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    if let Some(text) = unusual_front(text, &mut event) {
        let rest = priority(text, &mut event);
        if rfc5424::begins(rest) {
            rfc5424::read_fields(rest, None, &mut event, options);
        } else {
            legacy::read_parts(rest, &mut event, options);
        }
    }
    event
}

/// What does not begin with a priority: nothing at all, or an octet count, which is taken away.
fn unusual_front<'a>(text: &'a str, event: &mut Event<'_>) -> Option<&'a str> {
    if text.trim_ascii_start().is_empty() {
        event.parse.format = Cow::Borrowed(format::UNKNOWN);
        notes::add(event, ParseStatus::Failed, notes::EMPTY);
        return None;
    }
    let (text, counted) = without_count(text);
    if counted {
        notes::add(event, ParseStatus::Partial, notes::COUNTED);
    }
    Some(text)
}

/// An octet count that came where none belongs (a datagram): the text behind it.
fn without_count(text: &str) -> (&str, bool) {
    let bytes = text.as_bytes();
    if !bytes[0].is_ascii_digit() {
        return (text, false);
    }
    let digits = bytes.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
    match bytes.get(digits..digits + 2) {
        Some(b" <") if text[..digits].parse() == Ok(text.len() - digits - 1) => {
            (&text[digits + 1..], true)
        }
        _ => (text, false),
    }
}

/// Reads `<PRI>`; gives what stands behind it. A number above 191 is no priority: noted, and the
/// header behind it is read all the same.
fn priority<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let text = match text.as_bytes()[0] {
        b'<' => text,
        _ => text.trim_start_matches(['\u{feff}', ' ']),
    };
    if !text.starts_with('<') {
        notes::add(event, ParseStatus::Partial, notes::NO_PRIORITY);
        return text;
    }
    let Some((value, behind)) = written_priority(text) else {
        notes::add(event, ParseStatus::Partial, notes::BAD_PRIORITY);
        return text;
    };
    match value {
        Some(value) => take_priority(event, value),
        None => notes::add(event, ParseStatus::Partial, notes::BAD_PRIORITY),
    }
    behind
}

/// `<189>` and what stands behind it; the value is `None` when it is out of range.
#[inline(always)]
fn written_priority(text: &str) -> Option<(Option<u8>, &str)> {
    match text.as_bytes() {
        [b'<', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'>', ..] => {
            Some((Some((tens - b'0') * 10 + ones - b'0'), &text[4..]))
        }
        [b'<', b'1', tens @ b'0'..=b'8', ones @ b'0'..=b'9', b'>', ..] => {
            Some((Some(100 + (tens - b'0') * 10 + ones - b'0'), &text[5..]))
        }
        [b'<', ..] => odd_priority(text),
        _ => None,
    }
}

/// The same of one or three digits, or of more, which are no priority.
#[inline(never)]
fn odd_priority(text: &str) -> Option<(Option<u8>, &str)> {
    let bytes = text.as_bytes();
    let digits = bytes[1..].iter().take(5).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || bytes.get(1 + digits) != Some(&b'>') {
        return None;
    }
    let value = bytes[1..=digits].iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    let value = u8::try_from(value).ok().filter(|value| *value <= 191 && digits <= 3);
    Some((value, &text[digits + 2..]))
}

fn take_priority(event: &mut Event<'_>, value: u8) {
    event.facility = Some(value >> 3);
    event.severity = Severity::new(value & 7);
}

/// Puts in the host that the frame names. The event begins with the peer as its host; where the
/// device is another, the peer (or the relay that the header names) passed it on.
fn set_host<'a>(event: &mut Event<'a>, host: &'a str, relay: Option<&'a str>) {
    let peer = std::mem::replace(&mut event.host, Cow::Borrowed(host));
    event.relay = match peer {
        Cow::Borrowed(peer) => relay_of(host, relay, peer).map(Cow::Borrowed),
        Cow::Owned(peer) => relay_of(host, relay, &peer).map(|relay| Cow::Owned(relay.to_owned())),
    };
}

/// Who passed a message on: the relay that the header names, or the peer, where that is not the host.
#[inline]
fn relay_of<'a>(host: &str, relay: Option<&'a str>, peer: &'a str) -> Option<&'a str> {
    match relay {
        Some(relay) if !relay.eq_ignore_ascii_case(host) => Some(relay),
        _ if peer.eq_ignore_ascii_case(host) || peer.is_empty() => None,
        _ => Some(peer),
    }
}

/// Reads what the message itself tells, whatever its header was: a vendor's mnemonic, the shape of its
/// text, the resource. `dialect` is what the header told; the answer is the format.
pub(crate) fn read_message<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    dialect: &'static str,
) -> &'static str {
    event.message = Cow::Borrowed(message);
    if dialect == format::RFC5424 && !message.starts_with('%') {
        // Nothing of a vendor in the header, and no mnemonic.
        if let Some(format) = devices::read(event, message) {
            return format;
        }
        let device = event.app.as_deref().is_some_and(mnemonic::is_device_process);
        if device && event.resource.is_none() {
            event.resource = resource::find(message, dialect);
        }
        return dialect;
    }
    let found = mnemonic::read(message, event.app.as_deref(), dialect);
    if found.mnemonic.is_none()
        && let Some(format) = devices::read(event, message)
    {
        return format;
    }
    if found.format == format::CISCO_ASA && found.mnemonic.is_some_and(ftd::has_pairs) {
        event.fields = ftd::fields(&message[found.text_at..]);
    }
    take_found(event, message, &found)
}

/// Reads of a message that came without header no more than mnemonic, severity and resource: the rest
/// of the event is what its sender says.
pub(crate) fn read_words<'a>(event: &mut Event<'a>, message: &'a str) {
    event.message = Cow::Borrowed(message);
    let found = mnemonic::read(message, event.app.as_deref(), format::RFC3164);
    take_found(event, message, &found);
}

fn take_found<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    found: &mnemonic::Found<'a>,
) -> &'static str {
    if let Some(name) = found.mnemonic {
        event.mnemonic = Some(Cow::Borrowed(name));
    }
    if event.severity.is_none() {
        event.severity = found.severity;
    }
    if found.look_for_resource && event.resource.is_none() {
        event.resource = resource::find(&message[found.text_at..], found.format);
    }
    found.format
}

/// The number of a facility or severity never leaves its range; kept near the reader of `<PRI>`.
const _: () = assert!(191 >> 3 < event::FACILITIES.len());

#[cfg(test)]
mod tests;
