//! The notes that decoding syslog writes: a closed set, since they are counted and listed as reasons.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

/// There was nothing but white space.
pub const EMPTY: &str = "empty";
/// An octet count stood in front of a datagram.
pub const COUNTED: &str = "octet count in front";
/// No `<PRI>`.
pub const NO_PRIORITY: &str = "no priority";
/// Something in angle brackets that is no priority.
pub const BAD_PRIORITY: &str = "malformed priority";
/// Neither a stamp nor a known shape of message.
pub const NO_HEADER: &str = "no header";
/// Both of a text without priority and header, as they are joined.
pub(super) const BARE: &str = "no priority\nno header";
/// A header without a stamp.
pub const NO_TIMESTAMP: &str = "no timestamp";
/// RFC 5424 with something else in the stamp's place.
pub const BAD_TIMESTAMP: &str = "bad timestamp";
/// RFC 5424 with another version than 1.
pub const OTHER_VERSION: &str = "version is not 1";
/// RFC 5424 that ends inside its header.
pub const CUT_SHORT: &str = "header cut short";
/// RFC 5424 with more than one space between fields.
pub const EXTRA_SPACE: &str = "extra space in header";
/// RFC 5424 without structured data and without `-` in its place.
pub const NO_DATA: &str = "no structured data";
/// A bracket that begins no structured data, or data that do not end.
pub const BAD_DATA: &str = "malformed structured data";
/// Values without quotes, as VMware and Cisco write them.
pub const UNQUOTED: &str = "unquoted structured data";
/// One id twice: the second is kept as `id#2`.
pub const REPEATED_ID: &str = "repeated structured data id";
/// The letters `BOM` where the byte order mark belongs.
pub const LITERAL_BOM: &str = "literal BOM removed";

/// A message with more fields, or longer ones, than are kept.
pub const FIELDS_CUT: &str = "fields cut at the limit";
/// CEF with fewer than seven parts in its header.
pub const CEF_SHORT: &str = "cef header cut short";
/// LEEF with fewer than five.
pub const LEEF_SHORT: &str = "leef header cut short";
/// JSON with characters that no text may have.
pub const JSON_REPAIRED: &str = "json text repaired";

/// Every note that `parse.notes` of a syslog event may hold.
pub const ALL: [&str; 22] = [
    EMPTY,
    COUNTED,
    NO_PRIORITY,
    BAD_PRIORITY,
    NO_HEADER,
    NO_TIMESTAMP,
    BAD_TIMESTAMP,
    OTHER_VERSION,
    CUT_SHORT,
    EXTRA_SPACE,
    NO_DATA,
    BAD_DATA,
    UNQUOTED,
    REPEATED_ID,
    LITERAL_BOM,
    FIELDS_CUT,
    CEF_SHORT,
    LEEF_SHORT,
    JSON_REPAIRED,
    "nul replaced",
    "latin-1 assumed",
    "invalid utf-8 replaced",
];

/// Every part that `time_note` of a syslog event may hold, joined by `, `; beside them `uptime` with
/// what the device wrote.
pub const TIME: [&str; 11] = [
    "year guessed",
    "zone assumed",
    "zone by rule",
    "zone name unknown",
    "zone name ambiguous",
    "zone by receive time",
    "in a summer time gap",
    "in a summer time fold",
    "fraction cut",
    "clock not synchronised",
    "no such day",
];

/// Adds a note; the first one costs no allocation.
pub(crate) fn add(event: &mut Event<'_>, status: ParseStatus, note: &'static str) {
    if !event.parse.notes.is_empty() {
        return event.note(status, note);
    }
    if (status as u8) > (event.parse.status as u8) {
        event.parse.status = status;
    }
    event.parse.notes = Cow::Borrowed(note);
}
