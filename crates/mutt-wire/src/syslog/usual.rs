//! Frames as nearly every sender writes them: priority, a usual header, a text that no dialect has
//! fields in. All is read before the event is made, which is large, and then it is made once.
//!
//! Whatever is odd is left to the readers of the parts, which give the same event.

use std::borrow::Cow;

use mutt_model::{Event, Severity, Source, event::Parse};

use super::legacy::{self, Header, node_fields};
use super::mnemonic::{self, Found};
use super::zone::{self, Sync};
use super::{
    Options, devices, fields, format, ftd, relay_of, resource, rfc5424, stamp::Stamp,
    written_priority,
};
use crate::frame::{Frame, host_of};

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

/// Reads a frame; `None` where anything is odd.
#[inline]
pub(super) fn read(text: &str) -> Option<Told<'_>> {
    let (priority, rest) = written_priority(text)?;
    let priority = priority?;
    if rfc5424::begins(rest) { by_fields(priority, rest) } else { by_parts(priority, rest) }
}

/// RFC 5424 without structured data.
#[inline]
fn by_fields(priority: u8, text: &str) -> Option<Told<'_>> {
    let header = rfc5424::Usual::read(text)?;
    let message = header.rest.strip_prefix("- ")?;
    let bare = match message.as_bytes().first()? {
        b'%' => false,
        b'B' => !message.starts_with("BOM"),
        first => first.is_ascii_graphic(),
    };
    let device = header.app.is_some_and(mnemonic::is_device_process);
    if !bare || device || !fields::is_plain(message) || !devices::is_plain(message, header.app) {
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
        found: Found {
            mnemonic: None,
            severity: None,
            format: format::RFC5424,
            look_for_resource: false,
            text_at: 0,
        },
    })
}

/// RFC 3164 and what network devices write.
#[inline]
fn by_parts(priority: u8, text: &str) -> Option<Told<'_>> {
    let mut header = Header::default();
    let legacy::Usual { app, procid, message } = legacy::Usual::read(text, &mut header)?;
    let (stamp, sync) = header.stamp?;
    // A number may be a sequence, and BIND writes a stamp of its own.
    let odd = matches!(message.as_bytes().first()?, b'0'..=b'9') || app == Some("named");
    if odd || !fields::is_plain(message) {
        return None;
    }
    let found = mnemonic::read(message, app, header.dialect(app.is_some()));
    let plain = match found.mnemonic {
        Some(name) => found.format != format::CISCO_ASA || !ftd::has_pairs(name),
        None => devices::is_plain(message, app),
    };
    plain.then_some(Told {
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

impl<'a> Told<'a> {
    /// Makes the event.
    #[inline]
    pub(super) fn event(self, frame: Frame<'a>, options: &Options) -> Event<'a> {
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
        let resource = match look_for_resource {
            true => resource::find(&self.message[text_at..], format),
            false => None,
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
            structured_data: None,
            fields: self.node.map(node_fields),
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
