//! One JSON record to an event: what senders call host, time, severity, program and message finds its
//! place, anything else is kept.

use std::borrow::Cow;
use std::net::IpAddr;

use mutt_model::event::{facility_number, peer_host};
use mutt_model::{Event, ParseStatus, Severity, Source, Timestamp, oid};

use super::members::{Members, note_repairs, plain};
use super::scan::{Kind, Repairs, Scanner, write_clean};
use crate::Frame;
use crate::snmp::names::Names;
use crate::{snmp, syslog};

/// How deep a kept field may nest; a deeper one is kept as its text.
pub const FIELD_DEPTH_MAX: usize = 64;

/// The names under which senders write the host: ours, then rsyslog's, syslog-ng's, journald's and
/// OpenTelemetry's.
const HOST: &[&str] =
    &["hostname", "host", "HOST", "_HOSTNAME", "host.name", "fromhost", "nodename", "node_name"];
/// The same of the time: `date` is Fluent Bit's, `timereported` rsyslog's.
const TIME: &[&str] =
    &["timestamp", "@timestamp", "time", "date", "ISODATE", "timereported", "DATE"];
/// The same of the severity.
const SEVERITY: &[&str] =
    &["syslog_severity", "severity", "syslogseverity", "PRIORITY", "LEVEL", "level", "priority"];
/// The same of the facility.
const FACILITY: &[&str] =
    &["facility", "syslogfacility", "syslogfacility-text", "FACILITY", "SYSLOG_FACILITY"];
/// The same of the program.
const PROGRAM: &[&str] = &[
    "program",
    "appname",
    "app-name",
    "app_name",
    "programname",
    "PROGRAM",
    "ident",
    "SYSLOG_IDENTIFIER",
    "app",
];
/// The same of the process.
const PROCID: &[&str] = &["procid", "proc_id", "pid", "PID", "_PID", "SYSLOG_PID"];
/// The same of the kind of message.
const MSGID: &[&str] = &["msgid", "msg_id", "MSGID"];
/// The same of the message; `log` is what containers write and Fluent Bit reads.
const MESSAGE: &[&str] = &["msg", "MESSAGE", "MSG", "log", "short_message", "body"];

/// What a record gave.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The event; its raw bytes are the record's own.
    pub event: Event<'a>,
    /// The sender's `event_id`, by which a repeat is recognised.
    pub event_id: Option<String>,
}

/// How members are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'n> {
    /// Whether it is remarked on that host, time or message are missing.
    pub(super) absences: bool,
    /// Whether what found its place stays among the fields, too: labels say what a stream is.
    pub(super) keep: bool,
    /// Whether the message is among the members.
    pub(super) message: bool,
    /// What OIDs are called.
    pub(super) names: &'n Names,
}

/// Decodes one record; `frame.raw` is what [`super::records`] gave.
#[must_use]
pub fn decode(frame: Frame<'_>) -> Decoded<'_> {
    decode_with(frame, Names::builtin())
}

/// The same with the names in force.
pub(super) fn decode_with<'a>(frame: Frame<'a>, names: &Names) -> Decoded<'a> {
    let mut event = frame.event(Source::Http);
    event.parse.format = Cow::Borrowed("json");
    // Nearly every record is an object: read at once, without a look at the whole before.
    if let Ok(members) = Members::scan(frame.raw) {
        return decode_object(event, members, names);
    }
    match Scanner::new(frame.raw).value() {
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

fn decode_object<'a>(mut event: Event<'a>, mut members: Members<'a>, names: &Names) -> Decoded<'a> {
    if members.repeated {
        event.note(ParseStatus::Partial, "a key stands twice, the last counts");
    }
    fill(&mut event, &mut members, Reading { absences: true, keep: false, message: true, names });
    let event_id = members.text("event_id").map(Cow::into_owned);
    keep_fields(&mut event, members);
    Decoded { event, event_id }
}

/// What is left of the members becomes the event's fields.
pub(super) fn keep_fields(event: &mut Event<'_>, members: Members<'_>) {
    let mut deep = false;
    let (fields, repairs) = members.into_fields(&mut deep);
    event.fields = fields.map(Cow::Owned);
    if deep {
        event.note(ParseStatus::Partial, "a field nests too deep and is kept as text");
    }
    note_repairs(event, repairs);
}

/// Puts what the members name in its place, as far as the event does not have it yet; says whether
/// they name the host.
pub(super) fn fill<'a>(
    event: &mut Event<'a>,
    members: &mut Members<'a>,
    reading: Reading<'_>,
) -> bool {
    let named = take_host(event, members, reading);
    take_time(event, members, reading);
    take_severity(event, members, reading);
    take_facility(event, members, reading);
    take_priority(event, members, reading);
    if event.app.is_none() {
        event.app = taken(members, PROGRAM, reading);
    }
    if event.procid.is_none() {
        event.procid = taken(members, PROCID, reading);
    }
    if event.msgid.is_none() {
        event.msgid = taken(members, MSGID, reading);
    }
    if event.app.is_none()
        && let Some(tag) = taken(members, &["syslogtag"], reading)
    {
        let (program, process) = without_process(&tag);
        event.app = program.map(|text| Cow::Owned(text.to_owned()));
        event.procid = event.procid.take().or(process.map(|text| Cow::Owned(text.to_owned())));
    }
    if reading.message {
        let trap_text = take_trap(event, members, reading.names);
        take_message(event, members, trap_text, reading);
    }
    named
}

fn taken<'a>(
    members: &mut Members<'a>,
    keys: &[&str],
    reading: Reading<'_>,
) -> Option<Cow<'a, str>> {
    let (key, text) = members.first(keys)?;
    if !reading.keep {
        members.remove(key);
    }
    Some(text)
}

/// `sshd[4711]:` into its program and its process.
fn without_process(tag: &str) -> (Option<&str>, Option<&str>) {
    let tag = tag.trim().trim_end_matches(':');
    let some = |text: &'_ str| !text.is_empty();
    match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((program, process)) => {
            (Some(program).filter(|t| some(t)), Some(process).filter(|t| some(t)))
        }
        None => (Some(tag).filter(|t| some(t)), None),
    }
}

fn take_host<'a>(event: &mut Event<'a>, members: &mut Members<'a>, reading: Reading<'_>) -> bool {
    let address = members.text("source_ip").filter(|text| text.trim().parse::<IpAddr>().is_ok());
    let named = taken(members, HOST, reading);
    let is_named = named.is_some();
    if let Some(host) = named {
        event.host = trimmed(host);
    } else {
        if reading.absences {
            event.note(ParseStatus::Partial, "no hostname");
        }
        if let Some(address) = &address {
            event.host = trimmed(address.clone());
        }
    }
    // Only where the record says its origin's address is it known that the client merely passed it on.
    let peer = peer_host(&event.peer);
    if address.is_some_and(|address| !same_address(address.trim(), peer)) && !peer.is_empty() {
        event.relay = Some(Cow::Owned(peer.to_owned()));
    }
    is_named
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

fn take_time<'a>(event: &mut Event<'a>, members: &mut Members<'a>, reading: Reading<'_>) {
    if event.device_time.is_some() {
        return;
    }
    let mut understood = true;
    for key in TIME {
        let Some(text) = members.text(key) else { continue };
        if let Some((at, note)) = read_time(text.trim()) {
            event.device_time = Some(at);
            event.time_note = note.map(Cow::Borrowed);
            if !reading.keep {
                members.remove(key);
            }
            return;
        }
        // Other systems write much under the other names; it is kept as a field.
        understood &= *key != "timestamp";
    }
    if !understood {
        event.note(ParseStatus::Partial, "timestamp not understood");
    } else if reading.absences {
        event.note(ParseStatus::Partial, "no timestamp");
    }
}

/// RFC 3339; the same without zone, taken as UTC; or the time since the epoch.
pub(super) fn read_time(text: &str) -> Option<(Timestamp, Option<&'static str>)> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some((at, None));
    }
    if let Some(at) = read_epoch(text) {
        return Some((at, Some("epoch")));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
    Some((Timestamp(at.as_microsecond()), Some("zone assumed utc")))
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size.
pub(super) fn read_epoch(text: &str) -> Option<Timestamp> {
    // Whole numbers exactly: those of nanoseconds are beyond what a double holds.
    if let Ok(number) = text.parse::<i64>() {
        let micros = match number.unsigned_abs() {
            // Seconds reach the year 5138 and milliseconds begin in 1973.
            0..100_000_000_000 => number.checked_mul(1_000_000)?,
            100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000)?,
            100_000_000_000_000..100_000_000_000_000_000 => number,
            _ => number / 1_000,
        };
        return Some(Timestamp(micros));
    }
    let number = text.parse::<f64>().ok()?;
    let micros = match number.abs() {
        seconds if seconds < 1e11 => number * 1e6,
        millis if millis < 1e14 => number * 1e3,
        micros if micros < 1e17 => number,
        _ => return None,
    };
    Some(Timestamp(micros.round() as i64))
}

fn take_severity<'a>(event: &mut Event<'a>, members: &mut Members<'a>, reading: Reading<'_>) {
    if event.severity.is_some() {
        return;
    }
    for key in SEVERITY {
        let Some(text) = members.text(key) else { continue };
        match read_severity(&text) {
            Some(severity) => {
                event.severity = Some(severity);
                if !reading.keep {
                    members.remove(key);
                }
                return;
            }
            // Under the other names stands much that is no severity of ours.
            None if matches!(*key, "syslog_severity" | "severity") => {
                event.note(ParseStatus::Partial, &format!("{key} not understood"));
            }
            None => {}
        }
    }
}

/// As syslog has them, and the perceived severities of ITU-T X.733 that event managers speak.
pub(super) fn read_severity(text: &str) -> Option<Severity> {
    let x733 = || match text.trim().to_ascii_lowercase().as_str() {
        "major" => Some(Severity::ERROR),
        "minor" => Some(Severity::WARNING),
        "indeterminate" | "cleared" => Some(Severity::NOTICE),
        _ => None,
    };
    Severity::parse(text).or_else(x733)
}

fn take_facility<'a>(event: &mut Event<'a>, members: &mut Members<'a>, reading: Reading<'_>) {
    if event.facility.is_some() {
        return;
    }
    for key in FACILITY {
        let Some(text) = members.text(key) else { continue };
        match facility_number(text.trim()) {
            Some(number) => {
                event.facility = Some(number);
                if !reading.keep {
                    members.remove(key);
                }
                return;
            }
            None if *key == "facility" => {
                event.note(ParseStatus::Partial, "facility not understood");
            }
            None => {}
        }
    }
}

/// Both in one number, as in syslog's `<PRI>`: what Fluent Bit's parser and rsyslog's JSON call `pri`.
fn take_priority<'a>(event: &mut Event<'a>, members: &mut Members<'a>, reading: Reading<'_>) {
    if event.severity.is_some() && event.facility.is_some() {
        return;
    }
    for key in ["pri", "priority"] {
        let number = members.text(key).and_then(|text| text.trim().parse::<u8>().ok());
        let Some(number) = number.filter(|number| *number <= 191) else { continue };
        event.severity = event.severity.or(Severity::new(number & 7));
        event.facility = event.facility.or(Some(number >> 3));
        if !reading.keep {
            members.remove(key);
        }
        return;
    }
}

/// Trap OID and varbinds; gives the text that a trap without message has.
fn take_trap(event: &mut Event<'_>, members: &mut Members<'_>, names: &Names) -> Option<String> {
    let bound = members.peek("varbinds").and_then(|value| {
        let fits =
            matches!(value.kind, Kind::Array | Kind::Object) && value.depth <= FIELD_DEPTH_MAX;
        let mut text = String::new();
        write_clean(value.raw, &mut text, &mut members.repairs);
        fits.then(|| snmp::varbinds_from_json(names, &text)).flatten()
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
    Some(snmp::describe(event, names, trap_oid, bound))
}

/// The message under our name; else a text under a name of another.
fn message_of<'a>(members: &mut Members<'a>) -> Option<(&'static str, Kind, Cow<'a, str>)> {
    if let Some(value) = members.peek("message") {
        return Some(("message", value.kind, plain(&value, &mut members.repairs)));
    }
    MESSAGE.iter().find_map(|key| {
        let value = members.peek(key).filter(|value| value.kind == Kind::Text)?;
        Some((*key, Kind::Text, plain(&value, &mut members.repairs)))
    })
}

fn take_message<'a>(
    event: &mut Event<'a>,
    members: &mut Members<'a>,
    trap_text: Option<String>,
    reading: Reading<'_>,
) {
    let Some((key, kind, text)) = message_of(members) else {
        if reading.absences {
            event.note(ParseStatus::Partial, "no message");
        }
        if let Some(text) = trap_text {
            event.message = Cow::Owned(text);
        }
        return;
    };
    if kind != Kind::Text {
        event.note(ParseStatus::Partial, "message is no text");
    }
    if !reading.keep {
        members.remove(key);
    }
    say(event, text);
}

/// The message of an event, read as from syslog.
pub(super) fn say<'a>(event: &mut Event<'a>, text: Cow<'a, str>) {
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
        syslog::read_words(event, message);
    }
}
