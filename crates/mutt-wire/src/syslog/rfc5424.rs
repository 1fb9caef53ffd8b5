//! RFC 5424: `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG`, with what devices get wrong.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::stamp::{self, Stamp};
use super::structured::{self, Structured};
use super::{Options, fields as body, format, notes, set_host, zone};
use crate::text::{behind_spaces, near};

/// True when a version and then a full date or `-` stand at the front.
#[inline]
pub(crate) fn begins(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'0'..=b'9')) {
        return false;
    }
    if let [b'1', b' ', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-', ..] = bytes {
        return true;
    }
    let version = bytes.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
    if !(1..=2).contains(&version) || bytes.get(version) != Some(&b' ') {
        return false;
    }
    let rest = behind_spaces(&text[version..]).as_bytes();
    match rest.first() {
        Some(b'-') => matches!(rest.get(1), None | Some(b' ')),
        Some(b'0'..=b'9') => {
            rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b'-'
        }
        _ => false,
    }
}

/// The same behind another header, where it is certain: the version is 1 and a whole date follows.
pub(crate) fn begins_inside(text: &str) -> bool {
    text.starts_with("1 ") && matches!(text.as_bytes().get(12), Some(b'T' | b't')) && begins(text)
}

/// Takes header fields from the front.
struct Fields<'a> {
    rest: &'a str,
    extra_space: bool,
    missing: bool,
}

impl<'a> Fields<'a> {
    /// The next field; `None` for `-` and for what is not there.
    fn next(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        if self.rest.is_empty() {
            self.missing = true;
            return None;
        }
        let len = near(b' ', self.rest.as_bytes()).unwrap_or(self.rest.len());
        let field = &self.rest[..len];
        self.rest = self.rest.get(len + 1..).unwrap_or("");
        (field != "-").then_some(field)
    }

    fn skip_spaces(&mut self) {
        if self.rest.starts_with(' ') {
            self.extra_space = true;
            self.rest = behind_spaces(self.rest);
        }
    }
}

/// The header as nearly every sender writes it: each field there, one space behind each.
pub(super) struct Usual<'a> {
    pub(super) stamp: Stamp<'a>,
    pub(super) host: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    pub(super) procid: Option<&'a str>,
    from_msgid: &'a str,
    pub(super) rest: &'a str,
}

impl<'a> Usual<'a> {
    #[inline]
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let dated = text.strip_prefix("1 ")?;
        // A whole date, or it is no RFC 5424.
        if !dated.as_bytes().first()?.is_ascii_digit() || *dated.as_bytes().get(4)? != b'-' {
            return None;
        }
        let (stamp, len) = stamp::internet(dated).or_else(|| stamp::read(dated))?;
        let from_host = dated[len..].strip_prefix(' ')?;
        let [app, procid, msgid, data] = spaces(from_host.as_bytes())?;
        // Something stands between them.
        if app == 0 || procid == app + 1 || msgid == procid + 1 || data == msgid + 1 {
            return None;
        }
        let rest = &from_host[data + 1..];
        // The document of LEEF ends the header here.
        if *rest.as_bytes().first()? == b' ' || body::begins(&from_host[app + 1..]) {
            return None;
        }
        Some(Self {
            stamp,
            host: written(&from_host[..app]),
            app: written(&from_host[app + 1..procid]),
            procid: written(&from_host[procid + 1..msgid]),
            from_msgid: &from_host[msgid + 1..],
            rest,
        })
    }

    #[inline]
    pub(super) fn msgid(&self) -> Option<&'a str> {
        written(&self.from_msgid[..self.from_msgid.len() - self.rest.len() - 1])
    }

    /// The message behind structured data, and whether it is a text; else the data are the message.
    #[inline]
    pub(super) fn message(&self, data: &Structured<'a>) -> (&'a str, bool) {
        match behind_spaces(data.rest) {
            "" => (without_nil(self.from_msgid), false),
            text => (text, true),
        }
    }
}

/// A field where one stands.
#[inline]
fn written(field: &str) -> Option<&str> {
    (field.as_bytes() != b"-").then_some(field)
}

/// Where the first four spaces stand; `None` when they are not all among the whole eights of bytes.
#[inline]
fn spaces(bytes: &[u8]) -> Option<[usize; 4]> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let (mut found, mut count, mut at) = ([0; 4], 0, 0);
    for chunk in bytes.as_chunks::<8>().0 {
        let differs = u64::from_le_bytes(*chunk) ^ (0x0101_0101_0101_0101 * 0x20);
        // The highest bit of each byte that is a space.
        let mut here = !(((differs & LOW) + LOW) | differs | LOW);
        while here != 0 {
            found[count] = at + (here.trailing_zeros() / 8) as usize;
            count += 1;
            if count == 4 {
                return Some(found);
            }
            here &= here - 1;
        }
        at += 8;
    }
    None
}

/// Reads a message. `relay` is who passed it on, where a header before this one says so.
pub(crate) fn read<'a>(
    text: &'a str,
    relay: Option<&'a str>,
    event: &mut Event<'a>,
    options: &Options,
) {
    match Usual::read(text) {
        Some(header) => read_usual(header, None, relay, event, options),
        None => read_fields(text, relay, event, options),
    }
}

/// The same behind a usual header; `data` is its structured data where they were read.
pub(super) fn read_usual<'a>(
    header: Usual<'a>,
    data: Option<Structured<'a>>,
    relay: Option<&'a str>,
    event: &mut Event<'a>,
    options: &Options,
) {
    take_origin(header.host, relay, Some(&header.stamp), event, options);
    event.app = header.app.map(Cow::Borrowed);
    event.procid = header.procid.map(Cow::Borrowed);
    let msgid = header.msgid();
    event.msgid = msgid.map(Cow::Borrowed);
    let fields = Fields { rest: header.rest, extra_space: false, missing: false };
    read_body((fields, data), header.from_msgid, msgid, event, options);
}

#[inline]
fn take_origin<'a>(
    host: Option<&'a str>,
    relay: Option<&'a str>,
    stamp: Option<&Stamp<'_>>,
    event: &mut Event<'a>,
    options: &Options,
) {
    match (host, relay) {
        (Some(host), relay) => set_host(event, host, relay),
        (None, Some(relay)) => set_host(event, relay, None),
        (None, None) => {}
    }
    if let Some(stamp) = stamp {
        let zone = options.zone_for(event);
        (event.device_time, event.time_note) =
            zone::resolve(stamp, zone::Sync::Plain, event.received_at, zone);
    }
}

/// What `read` does, field after field, whatever is odd with them.
pub(super) fn read_fields<'a>(
    text: &'a str,
    relay: Option<&'a str>,
    event: &mut Event<'a>,
    options: &Options,
) {
    let mut fields = Fields { rest: text, extra_space: false, missing: false };
    if fields.next() != Some("1") {
        notes::add(event, ParseStatus::Partial, notes::OTHER_VERSION);
    }
    let stamp = read_time(&mut fields, event);
    let host = fields.next();
    take_origin(host, relay, stamp.as_ref(), event, options);
    // The document of LEEF ends the header here.
    if body::begins(fields.rest)
        && let Some(found) = body::read(event, fields.rest, options)
    {
        event.parse.format = Cow::Borrowed(found);
        return;
    }
    event.app = fields.next().map(Cow::Borrowed);
    event.procid = fields.next().map(Cow::Borrowed);
    fields.skip_spaces();
    let from_msgid = fields.rest;
    let msgid = fields.next();
    event.msgid = msgid.map(Cow::Borrowed);
    read_body((fields, None), from_msgid, msgid, event, options);
}

/// Structured data and text.
fn read_body<'a>(
    (mut fields, data): (Fields<'a>, Option<Structured<'a>>),
    from_msgid: &'a str,
    msgid: Option<&'a str>,
    event: &mut Event<'a>,
    options: &Options,
) {
    fields.skip_spaces();
    if fields.missing {
        notes::add(event, ParseStatus::Partial, notes::CUT_SHORT);
    }
    if fields.extra_space {
        notes::add(event, ParseStatus::Partial, notes::EXTRA_SPACE);
    }
    let mut dialect = read_structured(&mut fields, data, event);
    match dialect {
        format::JUNIPER => event.mnemonic = msgid.map(Cow::Borrowed),
        format::F5 => event.mnemonic = msgid.and_then(f5_number).map(Cow::Borrowed),
        _ => {}
    }
    // Structured data without a text: what it says is the message, so that rules can match it.
    let message = if event.structured_data.is_some() && fields.rest.trim_start().is_empty() {
        without_nil(from_msgid)
    } else {
        read_bom(fields.rest, &mut dialect, event)
    };
    let fields = if body::is_plain(message) { None } else { body::read(event, message, options) };
    let found = fields.unwrap_or_else(|| super::read_message(event, message, dialect));
    event.parse.format = Cow::Borrowed(found);
}

fn read_time<'a>(fields: &mut Fields<'a>, event: &mut Event<'a>) -> Option<Stamp<'a>> {
    fields.skip_spaces();
    if fields.rest == "-" || fields.rest.starts_with("- ") {
        fields.next();
        return None;
    }
    match stamp::read(fields.rest) {
        Some((stamp, len)) if fields.rest[len..].starts_with(' ') || len == fields.rest.len() => {
            fields.rest = fields.rest[len..].strip_prefix(' ').unwrap_or("");
            Some(stamp)
        }
        _ => {
            fields.next();
            notes::add(event, ParseStatus::Partial, notes::BAD_TIMESTAMP);
            None
        }
    }
}

/// Reads the structured data; whose they are.
fn read_structured<'a>(
    fields: &mut Fields<'a>,
    data: Option<Structured<'a>>,
    event: &mut Event<'a>,
) -> &'static str {
    let rest = fields.rest;
    if rest == "-" || rest.starts_with("- ") {
        fields.rest = rest[1..].strip_prefix(' ').unwrap_or("");
        return format::RFC5424;
    }
    if !rest.starts_with('[') {
        if !fields.missing {
            notes::add(event, ParseStatus::Partial, notes::NO_DATA);
        }
        return format::RFC5424;
    }
    let Some(found) = data.or_else(|| structured::read(rest)) else {
        if !body::in_place_of_structured_data(rest) {
            notes::add(event, ParseStatus::Partial, notes::BAD_DATA);
        }
        return format::RFC5424;
    };
    if let Some(note) = found.note {
        let known = note == notes::UNQUOTED && found.dialect == format::VMWARE;
        let status = if known { ParseStatus::Ok } else { ParseStatus::Partial };
        notes::add(event, status, note);
    }
    event.resource = found.resource.map(Cow::Borrowed);
    let data = &rest[..rest.len() - found.rest.len()];
    body::of_structured_data(event, data, found.dialect, "", found.flat());
    event.structured_data = Some(Cow::Owned(found.json));
    fields.rest = found.rest.strip_prefix(' ').unwrap_or(found.rest);
    found.dialect
}

/// BIG-IP writes the message's number, perhaps with its level, in MSGID: `01490248:5:`.
#[inline]
pub(super) fn f5_number(msgid: &str) -> Option<&str> {
    let number = &msgid[..near(b':', msgid.as_bytes()).unwrap_or(msgid.len())];
    (!number.is_empty()).then_some(number)
}

/// Structured data that are the message, from MSGID on, without the sign that there is none.
#[inline]
fn without_nil(from_msgid: &str) -> &str {
    from_msgid.strip_prefix("- ").unwrap_or(from_msgid)
}

/// Strips the byte order mark, or the letters `BOM` that Cisco writes in its place.
fn read_bom<'a>(text: &'a str, dialect: &mut &'static str, event: &mut Event<'a>) -> &'a str {
    let text = behind_spaces(text);
    if text.starts_with('\u{feff}') {
        return text.trim_start_matches(['\u{feff}', ' ']);
    }
    match text.strip_prefix("BOM") {
        Some(text) if text.starts_with('%') => {
            *dialect = format::CISCO_IOS;
            notes::add(event, ParseStatus::Ok, notes::LITERAL_BOM);
            text
        }
        _ => text,
    }
}
