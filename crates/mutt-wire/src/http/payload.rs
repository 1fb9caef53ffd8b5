//! What a sender calls line, body or event, with what it says about it, to an event: the text may be a
//! JSON object, a whole syslog line or plain words.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity, Source, Timestamp};

use super::With;
use super::members::{Members, note_repairs, plain};
use super::record::{Decoded, Reading, fill, keep_fields, say};
use super::scan::{Kind, Repairs, Scanned, Scanner, write_clean};
use crate::{Frame, syslog};

/// The parts of one record of a shape that carries texts in an envelope.
#[derive(Default)]
pub(super) struct Parts<'p> {
    /// `parse.format`.
    pub(super) format: &'static str,
    /// The sender's text; none where the members are all there is.
    pub(super) text: Option<Cow<'p, str>>,
    /// What stands for the message where neither text nor members have one.
    pub(super) fallback: Option<Cow<'p, str>>,
    /// What the sender says about it.
    pub(super) members: Members<'p>,
    /// Whether members that found their place stay fields, too.
    pub(super) keep: bool,
    /// The envelope's host: stronger than any other.
    pub(super) host: Option<Cow<'p, str>>,
    /// A host for an event that names none: a collector's own.
    pub(super) weak_host: Option<Cow<'p, str>>,
    /// The envelope's program: weaker than any other.
    pub(super) weak_app: Option<Cow<'p, str>>,
    /// The envelope's time.
    pub(super) time: Option<Timestamp>,
    /// The envelope's severity: stronger than any other.
    pub(super) severity: Option<Severity>,
}

/// An object alone in a text.
pub(super) fn object_in(text: &str) -> Option<Scanned<'_>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut scanner = Scanner::new(text.as_bytes());
    let value = scanner.value().ok()?;
    scanner.skip_space();
    (scanner.peek().is_none() && value.kind == Kind::Object).then_some(value)
}

/// Whether a text is a syslog line with its `<PRI>`.
pub(super) fn is_syslog(text: &str) -> bool {
    let Some(rest) = text.trim_start().strip_prefix('<') else { return false };
    let digits = rest.bytes().take(4).take_while(u8::is_ascii_digit).count();
    (1..=3).contains(&digits) && rest.as_bytes().get(digits) == Some(&b'>')
}

/// The text of a value: a text is itself, anything else its JSON.
pub(super) fn text_of<'a>(value: &Scanned<'a>, repairs: &mut Repairs) -> Cow<'a, str> {
    plain(value, repairs)
}

/// The event of these parts; its raw bytes are the frame's.
pub(super) fn assemble<'a>(frame: Frame<'a>, parts: Parts<'_>, with: With<'_>) -> Decoded<'a> {
    let text = parts.text.as_deref();
    let object = text.and_then(object_in);
    let mut event = match text.filter(|text| object.is_none() && is_syslog(text)) {
        Some(line) => {
            let raw = line.as_bytes();
            let mut event = syslog::decode(Frame { raw, ..frame }, with.options);
            event.source = Source::Http;
            event.raw = Cow::Borrowed(&[]);
            event
        }
        None => Frame { raw: &[], ..frame }.event(Source::Http),
    };
    let is_line = !event.parse.format.is_empty();
    event.parse.format = Cow::Borrowed(parts.format);
    let peer = Frame { raw: &[], ..frame }.event(Source::Http).host;
    let said = event.fields.take();
    let mut members = Members::default();
    if let Some(object) = &object {
        members.merge_object(object.raw);
    }
    if let Some(said) = said.as_deref() {
        members.merge_object(said.as_bytes());
    }
    members.merge(parts.members);
    if members.repeated {
        event.note(ParseStatus::Partial, "a key stands twice, the last counts");
    }
    if let Some(time) = parts.time {
        event.device_time = Some(time);
        event.time_note = None;
    }
    event.severity = parts.severity.or(event.severity);
    let line_host = is_line.then(|| event.host.clone()).filter(|host| *host != peer);
    let message = parts.text.is_none() || object.is_some();
    let reading = Reading { absences: false, keep: parts.keep, message, names: with.names };
    let named = fill(&mut event, &mut members, reading);
    let host = parts.host.clone().filter(|host| !host.trim().is_empty()).or(line_host);
    match host {
        Some(host) => event.host = host,
        None if named => {}
        None => match parts.weak_host.clone() {
            Some(host) => event.host = host,
            None => event.note(ParseStatus::Partial, "no hostname"),
        },
    }
    event.app = event.app.take().or_else(|| parts.weak_app.clone());
    let text = text.map(Cow::Borrowed);
    match text {
        Some(text) if object.is_none() && !is_line => say(&mut event, text),
        Some(text) if object.is_some() && event.message.is_empty() => say(&mut event, text),
        None if event.message.is_empty() => {
            if let Some(fallback) = parts.fallback.as_deref() {
                say(&mut event, Cow::Borrowed(fallback));
            }
        }
        _ => {}
    }
    let event_id = members.text("event_id").map(Cow::into_owned);
    keep_fields(&mut event, members);
    let mut owned: Event<'a> = event.into_owned();
    owned.raw = Cow::Borrowed(frame.raw);
    Decoded { event: owned, event_id }
}

/// The compact JSON of a value, as a message for an event that has none.
pub(super) fn compact<'p>(value: &Scanned<'_>, repairs: &mut Repairs) -> Cow<'p, str> {
    let mut out = String::new();
    write_clean(value.raw, &mut out, repairs);
    Cow::Owned(out)
}

/// What stands for a line where the line itself does not say it: of a request's query or headers.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The device.
    pub host: Option<String>,
    /// The program.
    pub app: Option<String>,
    /// 0 to 23.
    pub facility: Option<u8>,
    /// 0 to 7.
    pub severity: Option<Severity>,
    /// The time.
    pub time: Option<Timestamp>,
    /// Further fields by name.
    pub fields: Vec<(&'static str, String)>,
}

impl Defaults {
    fn fields(&self) -> String {
        let fields: serde_json::Map<_, _> =
            self.fields.iter().map(|(k, v)| ((*k).to_owned(), v.as_str().into())).collect();
        serde_json::Value::Object(fields).to_string()
    }
}

/// One line of text: a JSON object or, as from the syslog listeners, whatever a device says. `plain`:
/// a line without `<PRI>` is plain words of this format, not a syslog line that lacks it.
pub(super) fn line<'a>(
    frame: Frame<'a>,
    defaults: &Defaults,
    plain: Option<&'static str>,
    with: With<'_>,
) -> Decoded<'a> {
    let (text, repair) = crate::text::clean(frame.raw);
    if plain.is_none() && object_in(&text).is_some() {
        return super::record::decode_with(frame, with.names);
    }
    let has_priority = is_syslog(&text);
    if let (Some(format), false) = (plain, has_priority) {
        let fields = defaults.fields();
        let members = Members::read(fields.as_bytes());
        let host = defaults.host.as_deref().map(Cow::Borrowed);
        let app = defaults.app.as_deref().map(Cow::Borrowed);
        let parts = Parts {
            format,
            text: Some(Cow::Borrowed(&text)),
            members,
            keep: true,
            host,
            weak_app: app,
            time: defaults.time,
            severity: defaults.severity,
            ..Parts::default()
        };
        let mut decoded = assemble(frame, parts, with);
        if let Some(note) = repair.note() {
            decoded.event.note(ParseStatus::Partial, note);
        }
        return decoded;
    }
    let mut event = syslog::decode(frame, with.options);
    event.source = Source::Http;
    apply(&mut event, defaults);
    Decoded { event, event_id: None }
}

/// Fills in what the line did not say.
fn apply(event: &mut Event<'_>, defaults: &Defaults) {
    let peer = mutt_model::event::peer_host(&event.peer).to_owned();
    if let Some(host) = defaults.host.as_ref().filter(|_| event.host == peer) {
        event.host = Cow::Owned(host.clone());
    }
    event.app = event.app.take().or_else(|| defaults.app.clone().map(Cow::Owned));
    event.facility = event.facility.or(defaults.facility);
    event.severity = event.severity.or(defaults.severity);
    event.device_time = event.device_time.or(defaults.time);
    if !defaults.fields.is_empty() {
        let (own, more) = (event.fields.take(), defaults.fields());
        let mut members = Members::default();
        if let Some(own) = own.as_deref() {
            members.merge_object(own.as_bytes());
        }
        members.merge_object(more.as_bytes());
        let (fields, repairs) = members.into_fields(&mut false);
        event.fields = fields.map(Cow::Owned);
        note_repairs(event, repairs);
    }
}
