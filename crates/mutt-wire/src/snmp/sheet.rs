//! What a notification's varbinds become, written while they are read: the JSON of the list and the
//! text of the message.

mod ready;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use mutt_model::{Event, ParseStatus};

use super::arcs::Arcs;
use super::digits::{DIGITS_MAX, number_text, push_number, push_signed};
use super::names::direct::{LEAD, MIDDLE};
use super::names::{Convention, Found, Names, Role};
use super::subject;
use super::value::{Shown, Type};
use crate::text::{push_json_part, push_json_str};

pub(super) use self::ready::{Line, Quick};

/// How the note of an event begins whose OIDs are in no MIB that is loaded.
pub const MIB_MISSING: &str = "mib missing";

/// JSON that a varbind takes beside what its octets say, and its part of the message.
const ROOM: (usize, usize) = (90, 32);

/// The type of a value, as the wire or a sender of JSON says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'k> {
    Wire(&'static Type),
    Given(Option<&'k str>),
}

impl Kind<'_> {
    pub(super) fn is_oid(self) -> bool {
        match self {
            Self::Wire(of) => std::ptr::eq(of, &super::value::OID),
            Self::Given(name) => name == Some(super::value::OID.name),
        }
    }
}

/// One varbind.
#[derive(Debug)]
pub(super) struct Varbind<'n, 'v> {
    /// The object that it is an instance of, where that is known.
    pub(super) object: Option<Found<'n>>,
    /// The place that its OID lies under, where that is known: the object or what is above it.
    pub(super) place: Option<Found<'n>>,
    /// The name that its sender gives it.
    pub(super) given: Option<&'v str>,
    pub(super) kind: Kind<'v>,
    /// Never [`Shown::Oid`]: that has become a text.
    pub(super) value: Shown<'v>,
    /// What the MIB says that a number, a set of bits or an OID means.
    pub(super) label: Option<Cow<'n, str>>,
}

/// What was seen of a varbind whose object is known. Ranges are those of the JSON.
#[derive(Debug)]
struct Seen<'n> {
    object: Found<'n>,
    role: Role,
    oid: Range<usize>,
    told: Told,
}

/// A value that may be asked for again.
#[derive(Debug)]
enum Told {
    Nothing,
    Number(i64),
    Text(Range<usize>),
    /// A text that JSON escapes.
    Own(String),
}

/// An InetAddressType: what the InetAddress beside it is.
#[derive(Debug)]
pub(super) struct InetType {
    oid: String,
    instance: String,
    number: Option<i64>,
}

/// The varbinds as far as they are read.
#[derive(Debug)]
pub(crate) struct Sheet<'n> {
    names: &'n Names,
    json: String,
    message: String,
    /// Whether the message begins with the notification's name already.
    headed: bool,
    seen: Vec<Seen<'n>>,
    /// Varbinds without a name: the first, and how many more.
    missing: Option<(String, usize)>,
    /// snmpTrapOID, once its varbind was met: `None` in it where that holds no OID.
    trap_oid: Option<Option<String>>,
    trap: Option<Found<'n>>,
    /// Whether an InetAddress was met.
    pub(super) addressed: bool,
    pub(super) notes: Vec<String>,
    /// Where communities stand in the datagram that a proxy passed on in snmpTrapCommunity.
    pub(super) secrets: Vec<Range<usize>>,
}

impl<'n> Sheet<'n> {
    /// Room for a list of so many octets.
    pub(super) fn new(names: &'n Names, octets: usize) -> Self {
        // A varbind takes 14 octets at least, and most take 20.
        let varbinds = (octets / 20).clamp(2, 64);
        Self {
            names,
            json: String::with_capacity(varbinds * ROOM.0 + octets * 2),
            message: String::with_capacity(varbinds * ROOM.1 + octets),
            headed: false,
            seen: Vec::with_capacity(varbinds),
            missing: None,
            trap_oid: None,
            trap: None,
            addressed: false,
            notes: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub(super) fn names(&self) -> &'n Names {
        self.names
    }

    /// The list as JSON.
    #[cfg(test)]
    pub(super) fn json(&self) -> String {
        if self.json.is_empty() { "[]".to_owned() } else { format!("{}}}]", self.json) }
    }

    /// Says which notification it is. The first that says so counts.
    pub(super) fn name_trap(&mut self, oid: Option<&Arcs>) {
        let trap = oid.and_then(|oid| self.names.find_trap_arcs(oid));
        self.take_trap(oid, trap);
    }

    /// The same where it is known what its names are.
    pub(super) fn take_trap(&mut self, oid: Option<&Arcs>, trap: Option<Found<'n>>) {
        let text = oid.map(|oid| match trap.filter(|trap| trap.is_exact(oid)) {
            Some(trap) => trap.oid_text().map_or_else(|| oid.text(), str::to_owned),
            None => oid.text(),
        });
        self.take_trap_text(text, trap);
    }

    /// The same where the text of the OID is at hand.
    pub(super) fn take_trap_text(&mut self, text: Option<String>, trap: Option<Found<'n>>) {
        if self.trap_oid.is_some() {
            return;
        }
        self.trap = trap;
        if self.message.is_empty() {
            self.headed = true;
            self.message.push_str(head(self.trap.as_ref(), text.as_deref()));
        }
        self.trap_oid = Some(text);
    }

    /// Whether it is said which notification it is.
    pub(super) fn has_trap(&self) -> bool {
        matches!(self.trap_oid, Some(Some(_)))
    }

    /// Whether a varbind whose object is known has this OID.
    pub(super) fn holds(&self, oid: &Arcs) -> bool {
        let text = oid.text();
        self.seen.iter().any(|seen| self.json.get(seen.oid.clone()) == Some(&*text))
    }

    /// Appends one varbind.
    pub(super) fn put(&mut self, oid: &Arcs, varbind: Varbind<'n, '_>) {
        let Varbind { object, place, given, kind, value, label } = varbind;
        let json = &mut self.json;
        json.push_str(if json.is_empty() { "[{\"oid\":\"" } else { LEAD });
        let oid_at = json.len();
        let mut instance_at = oid_at;
        match place.and_then(|place| Some((place.oid_text()?, place.arcs()))) {
            Some((text, arcs)) => {
                json.push_str(text);
                instance_at = json.len();
                oid.push_rest(arcs, json);
            }
            None => oid.push(json),
        }
        let oid_at = oid_at..json.len();
        let mut key = Piece::Json(oid_at.clone());
        match (object, given) {
            (Some(object), _) => {
                json.push_str(MIDDLE);
                let at = json.len();
                if instance_at > oid_at.start && object.is_plain() {
                    // Without an index, the instance in words is that in numbers.
                    json.push_str(object.name());
                    json.extend_from_within(instance_at..oid_at.end);
                    key = Piece::Json(at..json.len());
                } else {
                    object.display_arcs(oid, json);
                    key = escaped(json, at);
                }
                push_kind(json, kind, true);
            }
            (None, Some(given)) => {
                json.push_str(MIDDLE);
                key = push_part(json, given);
                push_kind(json, kind, true);
            }
            (None, None) => {
                json.push_str("\",\"name\":null");
                push_kind(json, kind, false);
                match &mut self.missing {
                    Some((_, more)) => *more += 1,
                    None => {
                        let text = json.get(oid_at.clone()).unwrap_or_default();
                        self.missing = Some((text.to_owned(), 0));
                    }
                }
            }
        }
        self.put_value((object, oid_at), key, kind, &value, label.as_deref());
    }

    /// Appends one varbind of an object whose texts are ready, with its instance of one arc.
    #[inline]
    pub(super) fn put_ready(
        &mut self,
        (object, arc): (Found<'n>, u32),
        of: &'static Type,
        value: &Shown<'_>,
        label: Option<&str>,
    ) {
        let json = &mut self.json;
        let (lead, middle) = (object.lead(), object.middle());
        let mut room = [0; DIGITS_MAX];
        let instance = number_text(u64::from(arc), &mut room);
        if json.is_empty() {
            json.push('[');
            json.push_str(lead.get(2..).unwrap_or_default());
        } else {
            json.push_str(lead);
        }
        let from = (json.len() + LEAD.len()).saturating_sub(lead.len());
        json.push_str(instance);
        let oid_at = from..json.len();
        let name_at = json.len() + MIDDLE.len();
        json.push_str(middle);
        json.push_str(instance);
        let key = Piece::Json(name_at..json.len());
        json.push_str(of.json);
        self.put_value((Some(object), oid_at), key, Kind::Wire(of), value, label);
    }

    /// Appends the value, and the pair to the message.
    #[inline]
    fn put_value(
        &mut self,
        (object, oid): (Option<Found<'n>>, Range<usize>),
        key: Piece,
        kind: Kind<'_>,
        value: &Shown<'_>,
        label: Option<&str>,
    ) {
        let json = &mut self.json;
        let at = json.len();
        let told = push_value(json, value);
        let number = at..json.len();
        if let Some(label) = label {
            json.push_str(",\"label\":\"");
            push_json_part(json, label);
            json.push('"');
        }
        let role = object.map_or(Role::Plain, |object| object.role());
        if let Some(object) = object {
            self.seen.push(Seen { object, role, oid, told });
        }
        if role != Role::Envelope {
            let number = self.json.get(number).unwrap_or_default();
            let key = key.text(&self.json);
            write_pair(&mut self.message, key, kind.is_oid(), value, number, label);
        }
    }

    /// The types of the addresses, when there are both: the list is then to be read again with them.
    pub(super) fn inet_types(&self) -> Option<Vec<InetType>> {
        let inet = |seen: &&Seen<'_>| seen.object.convention() == Convention::InetType;
        if !self.addressed || !self.seen.iter().any(|seen| inet(&seen)) {
            return None;
        }
        let types = self.seen.iter().filter(inet).map(|seen| InetType {
            oid: self.json.get(seen.oid.clone()).unwrap_or_default().to_owned(),
            instance: self.instance(seen).to_owned(),
            number: if let Told::Number(number) = seen.told { Some(number) } else { None },
        });
        Some(types.collect())
    }

    fn instance(&self, seen: &Seen<'n>) -> &str {
        seen.object.instance(self.json.get(seen.oid.clone()).unwrap_or_default())
    }

    fn first(&self, role: Role) -> Option<&Seen<'n>> {
        self.seen.iter().find(|seen| seen.role == role)
    }

    /// The text of the first object with this role, without blanks around it.
    pub(super) fn text_of(&self, role: Role) -> Option<&str> {
        let text = match &self.first(role)?.told {
            Told::Text(range) => self.json.get(range.clone())?,
            Told::Own(text) => text,
            Told::Nothing | Told::Number(_) => return None,
        };
        let trimmed = match text.as_bytes() {
            [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
            _ => text.trim(),
        };
        Some(trimmed).filter(|text| !text.is_empty())
    }

    /// The number of the first object with this role.
    pub(super) fn number_of(&self, role: Role) -> Option<i64> {
        match self.first(role)?.told {
            Told::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The first `arcs` arcs of the instance of the first column whose name begins so.
    pub(super) fn instance_of(&self, prefix: &str, arcs: usize) -> Option<String> {
        let mut columns = self.seen.iter().filter(|seen| seen.object.name().starts_with(prefix));
        columns.find_map(|seen| {
            let instance = self.instance(seen);
            let parts: Vec<&str> = instance.split('.').take(arcs).collect();
            (parts.len() == arcs && !instance.is_empty()).then(|| parts.join("."))
        })
    }

    /// Names the notification and says what it means; gives the text that is its message. A severity
    /// that the event has already stays.
    pub(super) fn tell(mut self, event: &mut Event<'_>) -> String {
        for note in &self.notes {
            event.note(ParseStatus::Partial, note);
        }
        let trap_oid = self.trap_oid.take().flatten();
        if !self.headed {
            self.message.insert_str(0, head(self.trap.as_ref(), trap_oid.as_deref()));
        }
        if let Some(trap) = self.trap {
            event.resource = subject::resource(trap.subject(), &self).map(Cow::Owned);
            event.severity = event.severity.or(trap.severity());
            event.trap_name = Some(Cow::Owned(trap.name().to_owned()));
        } else {
            (event.resource, event.trap_name) = (None, None);
        }
        self.note_missing(event, trap_oid.as_deref());
        event.trap_oid = trap_oid.map(Cow::Owned);
        self.json.push_str(if self.json.is_empty() { "[]" } else { "}]" });
        event.varbinds = Some(Cow::Owned(self.json));
        self.message
    }

    /// What has no name is kept in numbers, and said, so that it can be mended: it is no fault of the
    /// device's and lowers no status.
    fn note_missing(&self, event: &mut Event<'_>, trap_oid: Option<&str>) {
        let trap_oid = trap_oid.filter(|_| self.trap.is_none());
        let (first, more) = match (trap_oid, &self.missing) {
            (Some(trap), Some((_, more))) => (trap, more + 1),
            (Some(trap), None) => (trap, 0),
            (None, Some((first, more))) => (first.as_str(), *more),
            (None, None) => return,
        };
        let mut note = String::with_capacity(MIB_MISSING.len() + first.len() + 16);
        note.push_str(MIB_MISSING);
        note.push_str(": ");
        note.push_str(first);
        if more > 0 {
            note.push_str(" and ");
            push_number(&mut note, more as u64);
            note.push_str(" more");
        }
        event.note(ParseStatus::Ok, &note);
    }
}

/// The number of the InetAddressType before an InetAddress of the same instance. Rows may have several;
/// the nearest before the address is its own.
pub(super) fn inet_type(types: &[InetType], object: &Found<'_>, oid: &Arcs) -> Option<i64> {
    if types.is_empty() {
        return None;
    }
    let oid = oid.text();
    let instance = object.instance(&oid);
    let before =
        |of: &&InetType| of.instance == instance && mutt_model::oid::compare(&of.oid, &oid).is_lt();
    types.iter().rfind(before)?.number
}

fn head<'t>(trap: Option<&Found<'t>>, trap_oid: Option<&'t str>) -> &'t str {
    trap.map(|trap| trap.name()).or(trap_oid).unwrap_or("notification")
}

/// A text that stands in the JSON, or beside it where it is escaped there.
enum Piece {
    Json(Range<usize>),
    Own(String),
}

impl Piece {
    fn text<'t>(&'t self, json: &'t str) -> &'t str {
        match self {
            Self::Json(range) => json.get(range.clone()).unwrap_or_default(),
            Self::Own(text) => text,
        }
    }
}

/// Appends a text for the inside of a JSON string.
fn push_part(json: &mut String, text: &str) -> Piece {
    let at = json.len();
    push_json_part(json, text);
    if json.len() - at == text.len() {
        Piece::Json(at..json.len())
    } else {
        Piece::Own(text.to_owned())
    }
}

/// Escapes what stands behind `at`, where that is needed.
fn escaped(json: &mut String, at: usize) -> Piece {
    let escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let written = json.as_bytes().get(at..).unwrap_or_default();
    if !written.iter().any(escaped) {
        return Piece::Json(at..json.len());
    }
    let text = json.split_off(at);
    push_part(json, &text)
}

fn push_kind(json: &mut String, kind: Kind<'_>, named: bool) {
    match kind {
        Kind::Wire(of) if named => json.push_str(of.json),
        Kind::Wire(of) => json.push_str(of.json.get(1..).unwrap_or_default()),
        Kind::Given(name) => {
            json.push_str(if named { "\",\"type\":" } else { ",\"type\":" });
            match name {
                Some(name) => push_json_str(json, name),
                None => json.push_str("null"),
            }
            json.push_str(",\"value\":");
        }
    }
}

fn push_value(json: &mut String, value: &Shown<'_>) -> Told {
    match value {
        Shown::Text(text) => {
            json.push('"');
            let piece = push_part(json, text);
            json.push('"');
            match piece {
                Piece::Json(range) => Told::Text(range),
                Piece::Own(text) => Told::Own(text),
            }
        }
        Shown::Number(number) => {
            push_signed(json, *number);
            Told::Number(*number)
        }
        Shown::Null | Shown::Oid => {
            json.push_str("null");
            Told::Nothing
        }
        Shown::Json(value) => {
            // Writing to a String cannot fail.
            let _ = write!(json, "{value}");
            value.as_i64().map_or(Told::Nothing, Told::Number)
        }
    }
}

/// Writes ` name=value` as it stands in a message.
fn write_pair(
    out: &mut String,
    key: &str,
    is_oid: bool,
    value: &Shown<'_>,
    number: &str,
    label: Option<&str>,
) {
    out.push(' ');
    out.push_str(key);
    out.push('=');
    let (shown, plain) = match value {
        Shown::Text(text) => (text.as_ref(), false),
        _ => (number, true),
    };
    match label {
        Some(name) if is_oid && !plain => out.push_str(name),
        Some(label) => {
            out.push_str(label);
            out.push('(');
            out.push_str(shown);
            out.push(')');
        }
        None if !plain && (shown.is_empty() || shown.bytes().any(is_blank)) => {
            out.push('"');
            out.extend(shown.chars().map(|c| if c.is_control() { ' ' } else { c }));
            out.push('"');
        }
        None => out.push_str(shown),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
