//! Frames as nearly every sender writes them: priority, a usual header, a text that no dialect has
//! fields in. All is read before the event is made, which is large, and then it is made once.
//!
//! Whatever is odd is left to the readers of the parts, which give the same event.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity, Source, event::Parse};

use super::legacy::{self, Header, node_fields};
use super::mnemonic::{self, Found};
use super::zone::{self, Sync};
use super::{
    Options, devices, fields, format, ftd, netscaler, notes, relay_of, resource, rfc5424,
    stamp::Stamp,
    structured::{self, Structured},
    take_priority, ubiquiti, written_priority,
};
use crate::frame::{Frame, host_of};
use crate::text::behind_spaces;

/// All that a frame tells.
pub(super) struct Told<'a> {
    priority: u8,
    host: Option<&'a str>,
    relay: Option<&'a str>,
    stamp: Stamp<'a>,
    sync: Sync,
    app: Option<&'a str>,
    procid: Option<&'a str>,
    msgid: Option<&'a str>,
    node: Option<&'a str>,
    message: &'a str,
    found: Found<'a>,
}

/// What is found in a message of which its reader tells all.
const NOTHING: Found<'static> = Found {
    mnemonic: None,
    severity: None,
    format: format::RFC3164,
    look_for_resource: false,
    text_at: 0,
};

/// What structured data tell beside it.
#[derive(Default)]
struct Data<'a> {
    json: Option<String>,
    fields: Option<String>,
    resource: Option<&'a str>,
}

/// Makes the event of a frame.
#[inline]
pub(super) fn decode<'a>(frame: Frame<'a>, text: &'a str, options: &Options) -> Event<'a> {
    if let Some((Some(priority), rest)) = written_priority(text) {
        match rest.as_bytes() {
            [b'1', b' ', ..] => {
                if let Some(header) = rfc5424::Usual::read(rest) {
                    return match &by_fields(priority, &header) {
                        Some(told) => told.event(frame, options),
                        None => with_data(frame, priority, header, options),
                    };
                }
            }
            // What begins with a stamp begins with no fields.
            [b'A'..=b'Z', ..] | [b'1'..=b'9', _, _, _, b'-', ..] => {
                if let Some((stamp, host, behind)) = legacy::stamp_and_host(rest) {
                    if behind.starts_with(": %") {
                        // Only Cisco's firewalls set their host between a stamp and a colon.
                        let header = Header { cisco: true, ..Header::of(stamp, host) };
                        let tag = legacy::Usual::of(&behind[2..]);
                        // Those of FTD that have pairs have more to read.
                        let pairs = behind.as_bytes().get(9..14) == Some(b"43000");
                        let told = if pairs { None } else { by_parts(priority, &header, &tag) };
                        return match told {
                            Some(told) => told.event(frame, options),
                            None => with_body(frame, priority, &header, tag, options),
                        };
                    }
                    if fields::begins(behind) {
                        let header = Header::of(stamp, host);
                        return with_fields(frame, priority, &header, behind, options);
                    }
                    if let Some(tag) = tag(behind, &stamp, host) {
                        if let Some(reader) = devices::shaped(tag.message) {
                            let header = (priority, &stamp, host);
                            return with_shape(frame, header, tag, reader, options);
                        }
                        return match found_by_host(&tag) {
                            Some(found) => {
                                by_host(priority, &stamp, host, &tag, found).event(frame, options)
                            }
                            None => {
                                with_body(frame, priority, &Header::of(stamp, host), tag, options)
                            }
                        };
                    }
                    if let Some(device) = legacy::own_device(behind, &stamp, host) {
                        let header = (priority, &stamp, host);
                        return with_device(frame, header, (behind, device), options);
                    }
                } else if let Some(told) =
                    by_colon(priority, rest).or_else(|| by_node(priority, rest))
                {
                    return told.event(frame, options);
                }
            }
            [b'0'..=b'9' | b':' | b'*' | b'.', ..] if !rfc5424::begins(rest) => {
                if let Some(told) = by_colon(priority, rest).or_else(|| by_node(priority, rest)) {
                    return told.event(frame, options);
                }
                let mut header = Header::default();
                if let Some(tag) = legacy::Usual::read(rest, &mut header) {
                    return match by_parts(priority, &header, &tag) {
                        Some(told) => told.event(frame, options),
                        None => with_body(frame, priority, &header, tag, options),
                    };
                }
            }
            [b' ' | b'a'..=b'z', ..] => {
                let rest = behind_spaces(rest);
                if fields::begins(rest) {
                    return with_fields(frame, priority, &Header::default(), rest, options);
                }
            }
            _ => {}
        }
    } else if legacy::is_bare(text) {
        return bare(frame, text);
    }
    super::decode_text(frame, text, options)
}

/// Behind a usual header there is more to read.
#[inline(never)]
fn with_data<'a>(
    frame: Frame<'a>,
    priority: u8,
    header: rfc5424::Usual<'a>,
    options: &Options,
) -> Event<'a> {
    match structured::read(header.rest) {
        Some(data) => match by_data(priority, &header, &data) {
            Some((told, fields)) => {
                let Structured { json, resource, .. } = data;
                told.event_with(Data { json: Some(json), fields, resource }, frame, options)
            }
            None => with_odd_data(frame, priority, header, Some(data), options),
        },
        None => with_odd_data(frame, priority, header, None, options),
    }
}

/// Something is odd, or there are fields in the text.
#[inline(never)]
fn with_odd_data<'a>(
    frame: Frame<'a>,
    priority: u8,
    header: rfc5424::Usual<'a>,
    data: Option<Structured<'a>>,
    options: &Options,
) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    take_priority(&mut event, priority);
    rfc5424::read_usual(header, data, None, &mut event, options);
    event
}

#[inline(never)]
fn with_body<'a>(
    frame: Frame<'a>,
    priority: u8,
    header: &Header<'a>,
    tag: legacy::Usual<'a>,
    options: &Options,
) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    take_priority(&mut event, priority);
    legacy::read_usual(header, tag, &mut event, options);
    event
}

/// RFC 3164 with a message that begins as those of one device do.
#[inline(never)]
fn with_shape<'a>(
    frame: Frame<'a>,
    (priority, stamp, host): (u8, &Stamp<'a>, &'a str),
    tag: legacy::Usual<'a>,
    reader: devices::Reader,
    options: &Options,
) -> Event<'a> {
    let mut event = by_host(priority, stamp, host, &tag, NOTHING).event(frame, options);
    match reader(&mut event, tag.message) {
        Some(format) => event.parse.format = Cow::Borrowed(format),
        None => return with_body(frame, priority, &Header::of(*stamp, host), tag, options),
    }
    event
}

/// A text without a priority, a header and any mark: a message and no more.
#[inline(never)]
fn bare<'a>(frame: Frame<'a>, text: &'a str) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    event.message = Cow::Borrowed(text);
    event.parse = Parse {
        status: ParseStatus::Partial,
        format: Cow::Borrowed(format::UNKNOWN),
        notes: Cow::Borrowed(notes::BARE),
    };
    event
}

/// The description of a device stands where others have a tag.
#[inline(never)]
fn with_device<'a>(
    frame: Frame<'a>,
    (priority, stamp, host): (u8, &Stamp<'a>, &'a str),
    (text, device): (&'a str, ubiquiti::Device<'a>),
    options: &Options,
) -> Event<'a> {
    let tag = legacy::Usual::of(text);
    let mut event = by_host(priority, stamp, host, &tag, NOTHING).event(frame, options);
    legacy::read_device(text, device, true, &mut event);
    event
}

/// Fields, known by their first characters, stand where others have a tag.
#[inline(never)]
fn with_fields<'a>(
    frame: Frame<'a>,
    priority: u8,
    header: &Header<'a>,
    text: &'a str,
    options: &Options,
) -> Event<'a> {
    let mut event = frame.event(Source::Syslog);
    take_priority(&mut event, priority);
    legacy::read_with_fields(text, header, &mut event, options);
    event
}

/// False for a mnemonic, a byte order mark or its letters, and what is no word.
#[inline]
fn begins_plainly(message: &str) -> bool {
    match message.as_bytes().first() {
        Some(b'%') | None => false,
        Some(b'B') => !message.starts_with("BOM"),
        Some(first) => first.is_ascii_graphic(),
    }
}

/// RFC 5424 without structured data.
#[inline]
fn by_fields<'a>(priority: u8, header: &rfc5424::Usual<'a>) -> Option<Told<'a>> {
    let message = header.rest.strip_prefix("- ")?;
    let device = header.app.is_some_and(mnemonic::is_device_process);
    if !begins_plainly(message)
        || device
        || !fields::is_plain(message)
        || !devices::is_plain(message, header.app)
    {
        return None;
    }
    Some(Told {
        priority,
        host: header.host,
        relay: None,
        stamp: header.stamp,
        sync: Sync::Plain,
        app: header.app,
        procid: header.procid,
        msgid: header.msgid(),
        node: None,
        message,
        found: Found { format: format::RFC5424, ..NOTHING },
    })
}

/// RFC 5424 with structured data of which nothing is odd; and the fields that they are, too.
#[inline(always)]
fn by_data<'a>(
    priority: u8,
    header: &rfc5424::Usual<'a>,
    data: &Structured<'a>,
) -> Option<(Told<'a>, Option<String>)> {
    let (message, is_text) = header.message(data);
    let msgid = header.msgid();
    let dialect = data.dialect;
    let plain = match is_text {
        true => fields::is_plain(message),
        false => dialect == format::JUNIPER && fields::is_junos(message, msgid?.len()),
    };
    if !begins_plainly(message)
        || !plain
        || data.note.is_some()
        || !devices::is_plain(message, header.app)
    {
        return None;
    }
    let (mnemonic, fields) = match dialect {
        format::RFC5424 if header.app.is_some_and(mnemonic::is_device_process) => return None,
        format::RFC5424 => (None, None),
        format::JUNIPER => (msgid, None),
        format::F5 => (msgid.and_then(rfc5424::f5_number), Some(fields::braced(data.flat()?))),
        _ => return None,
    };
    let found = match dialect {
        format::RFC5424 => Found { format: dialect, ..NOTHING },
        _ if is_text => mnemonic::read(message, header.app, dialect),
        _ => Found { format: dialect, look_for_resource: true, ..NOTHING },
    };
    let told = Told {
        priority,
        host: header.host,
        relay: None,
        stamp: header.stamp,
        sync: Sync::Plain,
        app: header.app,
        procid: header.procid,
        msgid,
        node: None,
        message,
        found: Found { mnemonic: found.mnemonic.or(mnemonic), ..found },
    };
    Some((told, fields))
}

/// The tag behind a stamp and a host, or a mnemonic in its place.
#[inline]
fn tag<'a>(text: &'a str, stamp: &Stamp<'a>, host: &'a str) -> Option<legacy::Usual<'a>> {
    match text.as_bytes().first()? {
        b'%' if ubiquiti::device(text).is_none() => Some(legacy::Usual::of(text)),
        b'A'..=b'Z' | b'a'..=b'z' | b'/' => {
            legacy::usual_tag(text, stamp, host).or_else(|| legacy::levelled_tag(text, stamp, host))
        }
        _ => None,
    }
}

/// RFC 3164: `Aug  6 10:00:00 host tag[1]: text`
#[inline]
fn by_host<'a>(
    priority: u8,
    stamp: &Stamp<'a>,
    host: &'a str,
    tag: &legacy::Usual<'a>,
    found: Found<'a>,
) -> Told<'a> {
    let legacy::Usual { app, procid, message, .. } = *tag;
    Told {
        priority,
        host: Some(host),
        relay: None,
        stamp: *stamp,
        sync: Sync::Plain,
        app,
        procid,
        msgid: None,
        node: None,
        message,
        found,
    }
}

/// What the first words of a message behind a tag tell. BIG-IP writes a level before it.
#[inline]
fn found_by_host<'a>(tag: &legacy::Usual<'a>) -> Option<Found<'a>> {
    if tag.levelled { None } else { found(tag.message, tag.app, format::RFC3164) }
}

/// Cisco: `45: r1: *Aug  6 10:00:00.001 UTC: %LINK-3-UPDOWN: text`, sequence, host and mark where they
/// are.
#[inline]
fn by_colon(priority: u8, text: &str) -> Option<Told<'_>> {
    let (host, sync, stamp, message) = legacy::stamp_and_colon(text)?;
    if host.is_none() && netscaler::behind_word(message).is_some() {
        return None;
    }
    let dialect = if stamp.year_first { format::CISCO_NXOS } else { format::CISCO_IOS };
    let found = found(message, None, dialect)?;
    Some(Told {
        priority,
        host,
        relay: None,
        stamp,
        sync,
        app: None,
        procid: None,
        msgid: None,
        node: None,
        message,
        found,
    })
}

/// IOS-XR: `12: core1 LC/0/2/CPU0:Aug  6 10:00:00.123 UTC: ifmgr[123]: %PKT_INFRA-LINK-3-UPDOWN : text`
fn by_node(priority: u8, text: &str) -> Option<Told<'_>> {
    let (header, tag) = legacy::stamp_and_node(text)?;
    by_parts(priority, &header, &tag)
}

/// What network devices write, whatever stands in their headers.
fn by_parts<'a>(priority: u8, header: &Header<'a>, tag: &legacy::Usual<'a>) -> Option<Told<'a>> {
    let legacy::Usual { app, procid, message, .. } = *tag;
    let (stamp, sync) = header.stamp?;
    let found = found(message, app, header.dialect(app.is_some()))?;
    Some(Told {
        priority,
        host: header.host,
        relay: header.relay,
        stamp,
        sync,
        app,
        procid,
        msgid: None,
        node: header.node,
        message,
        found,
    })
}

/// What the first words of a message tell, where it has no fields and is of no device that is known by
/// the shape of its message.
#[inline]
fn found<'a>(message: &'a str, app: Option<&'a str>, dialect: &'static str) -> Option<Found<'a>> {
    // A number may be a sequence, and BIND writes a stamp of its own.
    let odd = message.as_bytes().first()?.is_ascii_digit() || app == Some("named");
    if odd || !fields::is_plain(message) {
        return None;
    }
    let found = mnemonic::read(message, app, dialect);
    let plain = match found.mnemonic {
        Some(name) => found.format != format::CISCO_ASA || !ftd::has_pairs(name),
        None => devices::is_plain(message, app),
    };
    plain.then_some(found)
}

impl<'a> Told<'a> {
    /// Makes the event.
    #[inline]
    pub(super) fn event(&self, frame: Frame<'a>, options: &Options) -> Event<'a> {
        self.event_with(Data::default(), frame, options)
    }

    #[inline(always)]
    fn event_with(&self, data: Data<'a>, frame: Frame<'a>, options: &Options) -> Event<'a> {
        let Frame { id, received_at, listener, peer, raw } = frame;
        let text = |text: Option<&'a str>| text.map(Cow::Borrowed);
        let sender = host_of(peer);
        let (host, relay) = match self.host {
            Some(host) => (host, relay_of(host, self.relay, sender)),
            None => (sender, None),
        };
        let zone = options.zone_of(host, relay, peer);
        let (device_time, time_note) = zone::resolve(&self.stamp, self.sync, received_at, zone);
        let Found { mnemonic, format, look_for_resource, text_at, .. } = self.found;
        let resource = match data.resource {
            None if look_for_resource => resource::find(&self.message[text_at..], format),
            resource => resource.map(Cow::Borrowed),
        };
        Event {
            id,
            received_at,
            device_time,
            time_note,
            source: Source::Syslog,
            listener: Cow::Borrowed(listener),
            peer: Cow::Borrowed(peer),
            host: Cow::Borrowed(host),
            relay: text(relay),
            facility: Some(self.priority >> 3),
            severity: Severity::new(self.priority & 7),
            app: text(self.app),
            procid: text(self.procid),
            msgid: text(self.msgid),
            mnemonic: text(mnemonic),
            resource,
            message: Cow::Borrowed(self.message),
            structured_data: data.json.map(Cow::Owned),
            fields: data.fields.map(Cow::Owned).or_else(|| self.node.map(node_fields)),
            trap_oid: None,
            trap_name: None,
            varbinds: None,
            parse: Parse { format: Cow::Borrowed(format), ..Parse::default() },
            raw: Cow::Borrowed(raw),
            correlation_id: None,
            dedup: None,
        }
    }
}
