//! RFC 5424: `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG`, with what devices get wrong.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::{Options, format, set_host, stamp, structured, zone};

/// True when a version and then a full date or `-` stand at the front.
pub(crate) fn begins(text: &str) -> bool {
    let bytes = text.as_bytes();
    let version = bytes.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
    if !(1..=2).contains(&version) || bytes.get(version) != Some(&b' ') {
        return false;
    }
    let rest = text[version..].trim_start_matches(' ').as_bytes();
    match rest.first() {
        Some(b'-') => matches!(rest.get(1), None | Some(b' ')),
        Some(b'0'..=b'9') => {
            rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b'-'
        }
        _ => false,
    }
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
        let len = memchr::memchr(b' ', self.rest.as_bytes()).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(len);
        self.rest = rest.strip_prefix(' ').unwrap_or(rest);
        (field != "-").then_some(field)
    }

    fn skip_spaces(&mut self) {
        if self.rest.starts_with(' ') {
            self.extra_space = true;
            self.rest = self.rest.trim_start_matches(' ');
        }
    }
}

pub(crate) fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    let mut fields = Fields { rest: text, extra_space: false, missing: false };
    if fields.next() != Some("1") {
        event.note(ParseStatus::Partial, "version is not 1");
    }
    read_time(&mut fields, event, options);
    if let Some(host) = fields.next() {
        set_host(event, host, None);
    }
    event.app = fields.next().map(Cow::Borrowed);
    event.procid = fields.next().map(Cow::Borrowed);
    fields.skip_spaces();
    let from_msgid = fields.rest;
    let msgid = fields.next();
    event.msgid = msgid.map(Cow::Borrowed);
    fields.skip_spaces();
    if fields.missing {
        event.note(ParseStatus::Partial, "header cut short");
    }
    if fields.extra_space {
        event.note(ParseStatus::Partial, "extra space in header");
    }
    let junos = read_structured(&mut fields, event);
    if junos {
        event.mnemonic = msgid.map(Cow::Borrowed);
    }
    // Structured data without a text: what it says is the message, so that rules can match it.
    let mut dialect = if junos { format::JUNIPER } else { format::RFC5424 };
    let message = if fields.rest.trim_start().is_empty() && event.structured_data.is_some() {
        from_msgid.strip_prefix("- ").unwrap_or(from_msgid)
    } else {
        read_bom(fields.rest, &mut dialect, event)
    };
    let found = super::read_message(event, message, dialect);
    event.parse.format = Cow::Borrowed(super::paloalto::read(event, message).unwrap_or(found));
}

fn read_time<'a>(fields: &mut Fields<'a>, event: &mut Event<'a>, options: &Options) {
    fields.skip_spaces();
    if fields.rest == "-" || fields.rest.starts_with("- ") {
        fields.next();
        return;
    }
    match stamp::read(fields.rest) {
        Some((stamp, len)) if fields.rest[len..].starts_with(' ') || len == fields.rest.len() => {
            fields.rest = fields.rest[len..].strip_prefix(' ').unwrap_or("");
            (event.device_time, event.time_note) =
                zone::resolve(&stamp, zone::Sync::Plain, event.received_at, &options.zone);
        }
        _ => {
            fields.next();
            event.note(ParseStatus::Partial, "bad timestamp");
        }
    }
}

/// Reads the structured data; true when it is that of Junos.
fn read_structured<'a>(fields: &mut Fields<'a>, event: &mut Event<'a>) -> bool {
    let rest = fields.rest;
    if rest == "-" || rest.starts_with("- ") {
        fields.rest = rest[1..].strip_prefix(' ').unwrap_or("");
        return false;
    }
    if !rest.starts_with('[') {
        if !fields.missing {
            event.note(ParseStatus::Partial, "no structured data");
        }
        return false;
    }
    let Some(found) = structured::read(rest) else {
        event.note(ParseStatus::Partial, "malformed structured data");
        return false;
    };
    if let Some(note) = found.note {
        event.note(ParseStatus::Partial, note);
    }
    event.structured_data = Some(Cow::Owned(found.json));
    event.resource = found.resource.map(Cow::Borrowed);
    fields.rest = found.rest.strip_prefix(' ').unwrap_or(found.rest);
    found.junos
}

/// Strips the byte order mark, or the letters `BOM` that Cisco writes in its place.
fn read_bom<'a>(text: &'a str, dialect: &mut &'static str, event: &mut Event<'a>) -> &'a str {
    let text = text.trim_start_matches(' ');
    if text.starts_with('\u{feff}') {
        return text.trim_start_matches(['\u{feff}', ' ']);
    }
    match text.strip_prefix("BOM") {
        Some(text) if text.starts_with('%') => {
            *dialect = format::CISCO_IOS;
            event.note(ParseStatus::Ok, "literal BOM removed");
            text
        }
        _ => text,
    }
}
