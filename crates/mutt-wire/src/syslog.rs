//! Syslog into events: RFC 5424, RFC 3164 and what network devices send instead. Total: every frame
//! becomes an event, whatever is odd is noted, the raw bytes stay as they came.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity, Source, event};

use crate::frame::Frame;
use crate::text;

mod fortinet;
pub mod framing;
mod legacy;
mod mnemonic;
mod paloalto;
mod resource;
mod rfc5424;
mod stamp;
mod structured;
mod tag;
mod zone;

pub use resource::canonical_interface;
pub use zone::{FUTURE_SKEW_SECONDS, Zone};

/// What the operator decides about reading syslog.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The zone of stamps that carry none; UTC by default.
    pub zone: Zone,
}

/// The names of `parse.format`.
pub mod format {
    /// RFC 5424, no dialect recognised in it.
    pub const RFC5424: &str = "rfc5424";
    /// RFC 3164, no dialect recognised in it.
    pub const RFC3164: &str = "rfc3164";
    /// Cisco IOS and IOS-XE.
    pub const CISCO_IOS: &str = "cisco-ios";
    /// Cisco IOS-XR.
    pub const CISCO_IOSXR: &str = "cisco-iosxr";
    /// Cisco NX-OS.
    pub const CISCO_NXOS: &str = "cisco-nxos";
    /// Cisco ASA, FTD and their forebears.
    pub const CISCO_ASA: &str = "cisco-asa";
    /// Juniper Junos, plain or structured.
    pub const JUNIPER: &str = "juniper";
    /// Arista EOS.
    pub const ARISTA_EOS: &str = "arista-eos";
    /// Huawei VRP and HPE Comware.
    pub const HUAWEI: &str = "huawei";
    /// Fortinet key=value.
    pub const FORTINET: &str = "fortinet";
    /// Palo Alto CSV.
    pub const PALOALTO: &str = "paloalto";
    /// No header was recognised.
    pub const UNKNOWN: &str = "unknown";
}

/// Makes the event of one syslog frame.
#[must_use]
pub fn decode<'a>(frame: Frame<'a>, options: &Options) -> Event<'a> {
    let end =
        frame.raw.iter().rposition(|b| !matches!(b, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
    match text::clean(&frame.raw[..end]) {
        (Cow::Borrowed(text), _) => {
            let mut event = frame.event(Source::Syslog);
            read(text, &mut event, options);
            event
        }
        (Cow::Owned(text), repair) => {
            let mut event = Frame { raw: &[], ..frame }.event(Source::Syslog);
            read(&text, &mut event, options);
            if let Some(note) = repair.note() {
                event.note(ParseStatus::Partial, note);
            }
            let mut owned: Event<'a> = event.into_owned();
            owned.raw = Cow::Borrowed(frame.raw);
            owned
        }
    }
}

fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    if text.trim_ascii().is_empty() {
        event.parse.format = Cow::Borrowed(format::UNKNOWN);
        event.note(ParseStatus::Failed, "empty");
        return;
    }
    let (text, counted) = without_count(text);
    if counted {
        event.note(ParseStatus::Partial, "octet count in front");
    }
    let rest = priority(text, event);
    if rfc5424::begins(rest) {
        rfc5424::read(rest, event, options);
    } else {
        legacy::read(rest, event, options);
    }
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
    let text = text.trim_start_matches(['\u{feff}', ' ']);
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'<') {
        event.note(ParseStatus::Partial, "no priority");
        return text;
    }
    let digits = bytes[1..].iter().take(5).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || bytes.get(1 + digits) != Some(&b'>') {
        event.note(ParseStatus::Partial, "malformed priority");
        return text;
    }
    let value = bytes[1..=digits].iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    match u8::try_from(value) {
        Ok(value) if value <= 191 && digits <= 3 => {
            event.facility = Some(value >> 3);
            event.severity = Severity::new(value & 7);
        }
        _ => event.note(ParseStatus::Partial, "malformed priority"),
    }
    &text[digits + 2..]
}

/// Puts in the host that the frame names. The event begins with the peer as its host; where the
/// device is another, the peer (or the relay that the header names) passed it on.
fn set_host<'a>(event: &mut Event<'a>, host: &'a str, relay: Option<&'a str>) {
    let peer = std::mem::replace(&mut event.host, Cow::Borrowed(host));
    event.relay = match relay {
        Some(relay) if !relay.eq_ignore_ascii_case(host) => Some(Cow::Borrowed(relay)),
        _ if peer.eq_ignore_ascii_case(host) || peer.is_empty() => None,
        _ => Some(peer),
    };
}

/// Reads what the message itself tells, whatever its header was: a vendor's mnemonic, the resource.
/// `dialect` is what the header told; the answer is the format.
pub(crate) fn read_message<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    dialect: &'static str,
) -> &'static str {
    event.message = Cow::Borrowed(message);
    let found = mnemonic::read(message, event.app.as_deref(), dialect);
    let format = found.format;
    if let Some(name) = found.mnemonic {
        event.mnemonic = Some(Cow::Borrowed(name));
    }
    if event.severity.is_none() {
        event.severity = found.severity;
    }
    if found.look_for_resource && event.resource.is_none() {
        event.resource = resource::find(&message[found.text_at..], format);
    }
    format
}

/// The number of a facility or severity never leaves its range; kept near the reader of `<PRI>`.
const _: () = assert!(191 >> 3 < event::FACILITIES.len());

#[cfg(test)]
mod tests;
