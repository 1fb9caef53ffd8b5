//! One JSON record to an event.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use mutt_model::event::{facility_number, peer_host};
use mutt_model::{Event, ParseStatus, Severity, Source, Timestamp, oid};

use super::scan::{Kind, Repairs, Scanned, Scanner, unescape, write_clean, write_text};
use crate::Frame;
use crate::{snmp, syslog};

/// How deep a kept field may nest; a deeper one is kept as its text.
pub const FIELD_DEPTH_MAX: usize = 64;

/// What a record gave.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The event; its raw bytes are the record's own.
    pub event: Event<'a>,
    /// The sender's `event_id`, by which a repeat is recognised.
    pub event_id: Option<String>,
}

/// Decodes one record; `frame.raw` is what [`super::records`] gave.
#[must_use]
pub fn decode(frame: Frame<'_>) -> Decoded<'_> {
    let mut event = frame.event(Source::Http);
    event.parse.format = Cow::Borrowed("json");
    let mut scanner = Scanner::new(frame.raw);
    match scanner.value() {
        Ok(value) if value.kind == Kind::Object => decode_object(event, value.raw),
        Ok(value) => {
            let mut repairs = Repairs::default();
            event.message = plain(&value, &mut repairs);
            event.note(ParseStatus::Failed, "not an object");
            note_repairs(&mut event, repairs);
            Decoded { event, event_id: None }
        }
        Err(fault) => {
            event.message = crate::text::clean(frame.raw).0;
            event.note(ParseStatus::Failed, fault.why);
            Decoded { event, event_id: None }
        }
    }
}

/// A text is itself, any other value its JSON.
fn plain<'a>(value: &Scanned<'a>, repairs: &mut Repairs) -> Cow<'a, str> {
    if value.kind == Kind::Text {
        return unescape(value.raw, repairs);
    }
    let mut out = String::new();
    write_clean(value.raw, &mut out, repairs);
    Cow::Owned(out)
}

fn note_repairs(event: &mut Event<'_>, repairs: Repairs) {
    if repairs.nul {
        event.note(ParseStatus::Partial, "nul replaced");
    }
    if repairs.not_unicode {
        event.note(ParseStatus::Partial, "invalid utf-8 replaced");
    }
}

/// The members of a record, in order; of equal keys the last.
struct Members<'a> {
    items: Vec<Option<(Cow<'a, str>, Scanned<'a>)>>,
    index: HashMap<Cow<'a, str>, usize>,
    repairs: Repairs,
    repeated: bool,
}

impl<'a> Members<'a> {
    fn read(object: &'a [u8]) -> Self {
        let mut members = Self {
            items: Vec::new(),
            index: HashMap::new(),
            repairs: Repairs::default(),
            repeated: false,
        };
        let mut scanner = Scanner::new(object);
        scanner.take(b'{');
        loop {
            scanner.skip_space();
            // The object was scanned before: what fails here is its end.
            let Ok(key) = scanner.key() else { return members };
            let Ok(value) = scanner.value() else { return members };
            let key = unescape(key, &mut members.repairs);
            match members.index.get(&key) {
                Some(at) => {
                    members.repeated = true;
                    members.items[*at] = Some((key, value));
                }
                None => {
                    members.index.insert(key.clone(), members.items.len());
                    members.items.push(Some((key, value)));
                }
            }
            scanner.skip_space();
            if !scanner.take(b',') {
                return members;
            }
        }
    }

    fn peek(&self, key: &str) -> Option<Scanned<'a>> {
        let item = self.items.get(*self.index.get(key)?)?.as_ref()?;
        (item.1.kind != Kind::Null).then_some(item.1)
    }

    /// Takes a member out, so that it is not among the fields.
    fn remove(&mut self, key: &str) {
        if let Some(item) = self.index.get(key).and_then(|at| self.items.get_mut(*at)) {
            *item = None;
        }
    }

    /// A text that is not empty, left where it is.
    fn text(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let value = self.peek(key)?;
        let mut repairs = Repairs::default();
        let text = plain(&value, &mut repairs);
        let usable = matches!(value.kind, Kind::Text | Kind::Number) && !text.trim().is_empty();
        if !usable {
            return None;
        }
        self.repairs.nul |= repairs.nul;
        self.repairs.not_unicode |= repairs.not_unicode;
        Some(text)
    }

    /// What was not taken, as one JSON object.
    fn into_fields(self, deep: &mut bool) -> (Option<String>, Repairs) {
        let mut repairs = self.repairs;
        let mut out = String::from("{");
        for (key, value) in self.items.into_iter().flatten() {
            if out.len() > 1 {
                out.push(',');
            }
            write_text(&key, &mut out);
            out.push(':');
            if value.depth > FIELD_DEPTH_MAX {
                *deep = true;
                write_text(&String::from_utf8_lossy(value.raw), &mut out);
            } else {
                write_clean(value.raw, &mut out, &mut repairs);
            }
        }
        out.push('}');
        ((out.len() > 2).then_some(out), repairs)
    }
}

fn decode_object<'a>(mut event: Event<'a>, object: &'a [u8]) -> Decoded<'a> {
    let mut members = Members::read(object);
    if members.repeated {
        event.note(ParseStatus::Partial, "a key stands twice, the last counts");
    }
    take_host(&mut event, &mut members);
    take_time(&mut event, &mut members);
    take_severity(&mut event, &mut members);
    if let Some(text) = members.text("facility") {
        match facility_number(text.trim()) {
            Some(number) => {
                event.facility = Some(number);
                members.remove("facility");
            }
            None => event.note(ParseStatus::Partial, "facility not understood"),
        }
    }
    if let Some(program) = members.text("program") {
        event.app = Some(program);
        members.remove("program");
    }
    let trap_text = take_trap(&mut event, &mut members);
    take_message(&mut event, &mut members, trap_text);
    let event_id = members.text("event_id").map(Cow::into_owned);
    let mut deep = false;
    let (fields, repairs) = members.into_fields(&mut deep);
    event.fields = fields.map(Cow::Owned);
    if deep {
        event.note(ParseStatus::Partial, "a field nests too deep and is kept as text");
    }
    note_repairs(&mut event, repairs);
    Decoded { event, event_id }
}

fn take_host<'a>(event: &mut Event<'a>, members: &mut Members<'a>) {
    let address = members.text("source_ip").filter(|text| text.trim().parse::<IpAddr>().is_ok());
    let key = if members.text("hostname").is_some() { "hostname" } else { "host" };
    if let Some(host) = members.text(key) {
        event.host = trimmed(host);
        members.remove(key);
    } else {
        event.note(ParseStatus::Partial, "no hostname");
        if let Some(address) = &address {
            event.host = trimmed(address.clone());
        }
    }
    // Only where the record says its origin's address is it known that the client merely passed it on.
    let peer = peer_host(&event.peer);
    if address.is_some_and(|address| !same_address(address.trim(), peer)) && !peer.is_empty() {
        event.relay = Some(Cow::Owned(peer.to_owned()));
    }
}

fn same_address(a: &str, b: &str) -> bool {
    match (a.parse::<IpAddr>(), b.parse::<IpAddr>()) {
        (Ok(a), Ok(b)) => a.to_canonical() == b.to_canonical(),
        _ => a == b,
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

fn take_time(event: &mut Event<'_>, members: &mut Members<'_>) {
    let Some(text) = members.text("timestamp") else {
        event.note(ParseStatus::Partial, "no timestamp");
        return;
    };
    match read_time(text.trim()) {
        Some((at, note)) => {
            event.device_time = Some(at);
            event.time_note = note.map(Cow::Borrowed);
            members.remove("timestamp");
        }
        None => event.note(ParseStatus::Partial, "timestamp not understood"),
    }
}

/// RFC 3339; the same without zone, taken as UTC; or seconds, milliseconds or microseconds since the
/// epoch, told apart by their size.
fn read_time(text: &str) -> Option<(Timestamp, Option<&'static str>)> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some((at, None));
    }
    if let Ok(number) = text.parse::<f64>() {
        // Seconds reach the year 5138 and milliseconds begin in 1973.
        let micros = match number.abs() {
            seconds if seconds < 1e11 => number * 1e6,
            millis if millis < 1e14 => number * 1e3,
            micros if micros < 1e17 => number,
            _ => return None,
        };
        return Some((Timestamp(micros.round() as i64), Some("epoch")));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
    Some((Timestamp(at.as_microsecond()), Some("zone assumed utc")))
}

fn take_severity(event: &mut Event<'_>, members: &mut Members<'_>) {
    for key in ["syslog_severity", "severity"] {
        let Some(text) = members.text(key) else { continue };
        match read_severity(&text) {
            Some(severity) => {
                event.severity = Some(severity);
                members.remove(key);
                return;
            }
            None => event.note(ParseStatus::Partial, &format!("{key} not understood")),
        }
    }
}

/// As syslog has them, and the perceived severities of ITU-T X.733 that event managers speak.
fn read_severity(text: &str) -> Option<Severity> {
    let x733 = || match text.trim().to_ascii_lowercase().as_str() {
        "major" => Some(Severity::ERROR),
        "minor" => Some(Severity::WARNING),
        "indeterminate" | "cleared" => Some(Severity::NOTICE),
        _ => None,
    };
    Severity::parse(text).or_else(x733)
}

/// Trap OID and varbinds; gives the text that a trap without message has.
fn take_trap(event: &mut Event<'_>, members: &mut Members<'_>) -> Option<String> {
    let bound = members.peek("varbinds").and_then(|value| {
        let fits =
            matches!(value.kind, Kind::Array | Kind::Object) && value.depth <= FIELD_DEPTH_MAX;
        let mut text = String::new();
        write_clean(value.raw, &mut text, &mut members.repairs);
        fits.then(|| snmp::varbinds_from_json(&text)).flatten()
    });
    match bound {
        Some(_) => members.remove("varbinds"),
        None if members.peek("varbinds").is_some() => {
            event.note(ParseStatus::Partial, "varbinds not understood");
        }
        None => {}
    }
    let trap_oid = members.text("trap_oid").and_then(|text| {
        let normal = oid::normalise(&text).map(Cow::into_owned);
        match normal {
            Some(_) => members.remove("trap_oid"),
            None => event.note(ParseStatus::Partial, "trap_oid not understood"),
        }
        normal
    });
    if trap_oid.is_none() && bound.is_none() {
        return None;
    }
    Some(snmp::describe(event, trap_oid, &bound.unwrap_or_default()))
}

fn take_message<'a>(event: &mut Event<'a>, members: &mut Members<'a>, trap_text: Option<String>) {
    let Some(value) = members.peek("message") else {
        event.note(ParseStatus::Partial, "no message");
        if let Some(text) = trap_text {
            event.message = Cow::Owned(text);
        }
        return;
    };
    let text = plain(&value, &mut members.repairs);
    if value.kind != Kind::Text {
        event.note(ParseStatus::Partial, "message is no text");
    }
    members.remove("message");
    match text {
        Cow::Borrowed(text) => read_message(event, text.trim_end_matches(['\r', '\n'])),
        Cow::Owned(text) => {
            let mut probe = Event::from_raw(event.id, event.received_at, Source::Http, "", "", &[]);
            probe.app = event.app.clone();
            (probe.severity, probe.trap_oid) = (event.severity, event.trap_oid.clone());
            read_message(&mut probe, text.trim_end_matches(['\r', '\n']));
            let probe = probe.into_owned();
            event.message = probe.message;
            event.mnemonic = probe.mnemonic;
            event.severity = probe.severity;
            event.resource = event.resource.take().or(probe.resource);
        }
    }
}

/// A collector posts what a device said without its header: the vendor's mnemonic and the resource
/// are read as the syslog listener reads them. A whole syslog line stays a message as it is.
fn read_message<'a>(event: &mut Event<'a>, message: &'a str) {
    if event.trap_oid.is_some() {
        event.message = Cow::Borrowed(message);
    } else {
        syslog::read_message(event, message, syslog::format::RFC3164);
    }
}
