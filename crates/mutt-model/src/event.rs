//! The event: a normalised frame. In flight its texts are ranges over its batch's one buffer
//! (`Event<'batch>`); owned strings (`Event<'static>`) exist only at the edges.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::Timestamp;

/// Syslog severity, RFC 5424 section 6.2.1: 0 is the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

impl Severity {
    /// 0
    pub const EMERGENCY: Self = Self(0);
    /// 1
    pub const ALERT: Self = Self(1);
    /// 2
    pub const CRITICAL: Self = Self(2);
    /// 3
    pub const ERROR: Self = Self(3);
    /// 4
    pub const WARNING: Self = Self(4);
    /// 5
    pub const NOTICE: Self = Self(5);
    /// 6
    pub const INFO: Self = Self(6);
    /// 7
    pub const DEBUG: Self = Self(7);
    /// The names of the eight severities, most severe first.
    pub const NAMES: [&'static str; 8] =
        ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

    /// The severity with this number; `None` above 7.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 8 { Some(Self(number)) } else { None }
    }

    /// 0 (emergency) to 7 (debug).
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The name, lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.0)]
    }

    /// Reads a number or a name; the short forms of syslog.conf (`err`, `crit`, `emerg`, `warn`,
    /// `panic`, `informational`, `notification`, `fatal`) are understood in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<u8>() {
            return Self::new(number);
        }
        let is = |names: &[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(text));
        let number = match () {
            () if is(&["emergency", "emerg", "panic", "emergencies"]) => 0,
            () if is(&["alert", "alerts"]) => 1,
            () if is(&["critical", "crit", "fatal"]) => 2,
            () if is(&["error", "err", "errors"]) => 3,
            () if is(&["warning", "warn", "warnings"]) => 4,
            () if is(&["notice", "notification", "notifications"]) => 5,
            () if is(&["info", "informational", "information"]) => 6,
            () if is(&["debug", "debugging", "trace"]) => 7,
            () => return None,
        };
        Some(Self(number))
    }
}

impl TryFrom<u8> for Severity {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        Self::new(number).ok_or_else(|| format!("severity {number} is not in 0 to 7"))
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of the 24 facilities, RFC 5424 section 6.2.1, as syslog.conf spells them.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The number of a facility given by name or number.
#[must_use]
pub fn facility_number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (number < 24).then_some(number);
    }
    FACILITIES.iter().position(|n| n.eq_ignore_ascii_case(text)).and_then(|n| u8::try_from(n).ok())
}

/// How an event came to MUTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Source {
    /// Syslog over UDP, TCP, TLS or RELP.
    Syslog = 0,
    /// An SNMP trap or inform.
    Snmp = 1,
    /// HTTP JSON.
    Http = 2,
}

impl Source {
    /// The source with this number, as stored.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Syslog),
            1 => Some(Self::Snmp),
            2 => Some(Self::Http),
            _ => None,
        }
    }

    /// The name in API, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Snmp => "snmp",
            Self::Http => "http",
        }
    }
}

/// How much of a frame was understood. Nothing is refused for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum ParseStatus {
    /// Everything was understood.
    #[default]
    Ok = 0,
    /// Something was missing or odd; the notes say what.
    Partial = 1,
    /// Nothing but the raw bytes could be had.
    Failed = 2,
}

impl ParseStatus {
    /// The status of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Partial, Self::Failed].into_iter().find(|status| status.name() == text)
    }

    /// The status with this number, as stored.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Ok),
            1 => Some(Self::Partial),
            2 => Some(Self::Failed),
            _ => None,
        }
    }

    /// The name in API, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// What the decoder says of its own work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parse<'a> {
    /// How much was understood.
    pub status: ParseStatus,
    /// The form that was recognised: `rfc5424`, `rfc3164`, `cisco-ios`, `snmp-v2c`, `json` ...
    pub format: Cow<'a, str>,
    /// Notes joined by `\n`, each a short lower-case phrase (`no priority`); empty for none.
    pub notes: Cow<'a, str>,
}

/// The key by which a repeat of one record is recognised: a digest of the sender's key (or peer,
/// security name and PDU of an inform) and of the record's position. A repeat within the window is
/// dropped in the store's commit and counted in `duplicates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DedupKey {
    /// First 16 bytes of SHA-256 over key name, key and position.
    pub digest: [u8; 16],
    /// The key is kept until this moment.
    pub keep_until: Timestamp,
}

/// A normalised frame. Texts are valid UTF-8 without U+0000; `raw` keeps the bytes as they came
/// (communities of SNMP v1 and v2c overwritten with `*`). Absent is `None`, never an empty text,
/// but for `host` and `message`, which every event has (`host` falls back to the peer's address).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// UUIDv7, made once by the Ingestor for `received_at`, never recomputed.
    pub id: Id,
    /// When the frame was read from its socket.
    pub received_at: Timestamp,
    /// The time that the device wrote, where it wrote one.
    pub device_time: Option<Timestamp>,
    /// How `device_time` was worked out when it was not plain: `year guessed`, `zone assumed utc`.
    pub time_note: Option<Cow<'a, str>>,
    /// Which door.
    pub source: Source,
    /// The listener's name: `syslog-tcp`, `syslog-udp`, `snmp-udp`, `http`.
    pub listener: Cow<'a, str>,
    /// Address and port that sent the packet.
    pub peer: Cow<'a, str>,
    /// The device that speaks (origin).
    pub host: Cow<'a, str>,
    /// Who passed it on, where that is known and is not the device.
    pub relay: Option<Cow<'a, str>>,
    /// 0 to 23, RFC 5424 section 6.2.1.
    pub facility: Option<u8>,
    /// 0 to 7.
    pub severity: Option<Severity>,
    /// The tag or APP-NAME.
    pub app: Option<Cow<'a, str>>,
    /// PROCID.
    pub procid: Option<Cow<'a, str>>,
    /// MSGID.
    pub msgid: Option<Cow<'a, str>>,
    /// A vendor's mnemonic such as `LINK-3-UPDOWN`; it also stays in `message`.
    pub mnemonic: Option<Cow<'a, str>>,
    /// The thing on the device the event is about, where the decoder knows it: an interface, a peer.
    pub resource: Option<Cow<'a, str>>,
    /// The text after header and tag, without trailing newline.
    pub message: Cow<'a, str>,
    /// RFC 5424 structured data as JSON text: `{"id":{"name":"value"}}`.
    pub structured_data: Option<Cow<'a, str>>,
    /// Whatever else the sender named, as JSON text of one object.
    pub fields: Option<Cow<'a, str>>,
    /// The notification's OID in dotted form, without leading dot.
    pub trap_oid: Option<Cow<'a, str>>,
    /// Its name, where it is known.
    pub trap_name: Option<Cow<'a, str>>,
    /// Varbinds as JSON text: `[{"oid":..,"name":..,"type":..,"value":..}]`.
    pub varbinds: Option<Cow<'a, str>>,
    /// What the decoder says of its work.
    pub parse: Parse<'a>,
    /// The bytes as they arrived.
    pub raw: Cow<'a, [u8]>,
    /// The client's `X-Correlation-ID`; where there is none, the event's id stands for it.
    pub correlation_id: Option<Cow<'a, str>>,
    /// Where a repeat can be recognised.
    pub dedup: Option<DedupKey>,
}

impl<'a> Event<'a> {
    /// An event that holds nothing but its raw bytes and where they came from; decoders fill it in.
    #[must_use]
    #[inline]
    pub fn from_raw(
        id: Id,
        received_at: Timestamp,
        source: Source,
        listener: &'a str,
        peer: &'a str,
        raw: &'a [u8],
    ) -> Self {
        Self::from_parts(id, received_at, source, listener, peer, peer_host(peer), raw)
    }

    /// The same where the peer's address is known already.
    #[must_use]
    #[inline]
    pub fn from_parts(
        id: Id,
        received_at: Timestamp,
        source: Source,
        listener: &'a str,
        peer: &'a str,
        host: &'a str,
        raw: &'a [u8],
    ) -> Self {
        Self {
            id,
            received_at,
            device_time: None,
            time_note: None,
            source,
            listener: Cow::Borrowed(listener),
            peer: Cow::Borrowed(peer),
            host: Cow::Borrowed(host),
            relay: None,
            facility: None,
            severity: None,
            app: None,
            procid: None,
            msgid: None,
            mnemonic: None,
            resource: None,
            message: Cow::Borrowed(""),
            structured_data: None,
            fields: None,
            trap_oid: None,
            trap_name: None,
            varbinds: None,
            parse: Parse::default(),
            raw: Cow::Borrowed(raw),
            correlation_id: None,
            dedup: None,
        }
    }

    /// Adds one note and lowers the status to at least `status`.
    pub fn note(&mut self, status: ParseStatus, note: &str) {
        if (status as u8) > (self.parse.status as u8) {
            self.parse.status = status;
        }
        if self.parse.notes.is_empty() {
            self.parse.notes = Cow::Owned(note.to_owned());
        } else {
            let notes = self.parse.notes.to_mut();
            notes.push('\n');
            notes.push_str(note);
        }
    }

    /// A copy that owns its texts, for the edges.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        fn opt(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
            text.map(own)
        }
        Event {
            id: self.id,
            received_at: self.received_at,
            device_time: self.device_time,
            time_note: opt(self.time_note),
            source: self.source,
            listener: own(self.listener),
            peer: own(self.peer),
            host: own(self.host),
            relay: opt(self.relay),
            facility: self.facility,
            severity: self.severity,
            app: opt(self.app),
            procid: opt(self.procid),
            msgid: opt(self.msgid),
            mnemonic: opt(self.mnemonic),
            resource: opt(self.resource),
            message: own(self.message),
            structured_data: opt(self.structured_data),
            fields: opt(self.fields),
            trap_oid: opt(self.trap_oid),
            trap_name: opt(self.trap_name),
            varbinds: opt(self.varbinds),
            parse: Parse {
                status: self.parse.status,
                format: own(self.parse.format),
                notes: own(self.parse.notes),
            },
            raw: Cow::Owned(self.raw.into_owned()),
            correlation_id: opt(self.correlation_id),
            dedup: self.dedup,
        }
    }
}

/// The address of a peer without its port: `192.0.2.7:40022` gives `192.0.2.7`, `[::1]:9` gives `::1`.
#[must_use]
pub fn peer_host(peer: &str) -> &str {
    if let Some(rest) = peer.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match peer.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_read_by_number_and_name() {
        let check = |text: &str, expected: Option<u8>| {
            assert_eq!(Severity::parse(text).map(Severity::number), expected, "{text}");
        };
        check("3", Some(3));
        check("Warning", Some(4));
        check("ERR", Some(3));
        check("informational", Some(6));
        check("8", None);
        check("bad", None);
    }

    #[test]
    fn the_peer_without_its_port() {
        let check = |peer: &str, expected: &str| assert_eq!(peer_host(peer), expected);
        check("192.0.2.7:40022", "192.0.2.7");
        check("[2001:db8::1]:514", "2001:db8::1");
        check("2001:db8::1", "2001:db8::1");
        check("unix", "unix");
    }
}
