//! Fortinet: no header, `key=value` pairs with quoted values.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type};
use super::pairs::Spaced;
use super::set_origin;
use crate::octets::{Keys, find, hash, is};
use crate::syslog::{Options, format};

/// True for a log of FortiOS or one of its sisters: it begins with one of three keys and names its
/// device or its log id early.
#[inline]
pub(crate) fn begins(text: &str) -> bool {
    let first_key =
        text.starts_with("date=") || text.starts_with("logver=") || text.starts_with("timestamp=");
    first_key && is_named(text)
}

fn is_named(text: &str) -> bool {
    let front = &text.as_bytes()[..text.len().min(256)];
    let mut at = 0;
    while let Some(found) = find(front, at, |word| is(word, b'=')) {
        let key = &front[..found];
        if matches!(key, [.., b'd'] | [.., b'e'])
            && [&b"devname"[..], b"devid", b"logid", b"log_id", b"device_id"]
                .iter()
                .any(|known| key.ends_with(known))
        {
            return true;
        }
        at = found + 1;
    }
    false
}

/// The fields that the log reference types as integers.
static NUMBERS: Keys<73> = Keys::new([
    "eventtime",
    "srcport",
    "dstport",
    "src_port",
    "dst_port",
    "transport",
    "tranport",
    "sessionid",
    "session_id",
    "proto",
    "policyid",
    "policy_id",
    "shapingpolicyid",
    "duration",
    "sentbyte",
    "rcvdbyte",
    "sentpkt",
    "rcvdpkt",
    "sentdelta",
    "rcvddelta",
    "sentpktdelta",
    "rcvdpktdelta",
    "durationdelta",
    "lanin",
    "lanout",
    "wanin",
    "wanout",
    "appid",
    "attackid",
    "virusid",
    "cat",
    "countapp",
    "countav",
    "countcifs",
    "countdlp",
    "countdns",
    "countemail",
    "countff",
    "countips",
    "countssh",
    "countssl",
    "countwaf",
    "countweb",
    "crscore",
    "craction",
    "incidentserialno",
    "identifier",
    "icmpid",
    "count",
    "cpu",
    "mem",
    "disk",
    "totalsession",
    "setuprate",
    "sysuptime",
    "freediskstorage",
    "fazlograte",
    "disklograte",
    "filesize",
    "tunnelid",
    "nextstat",
    "channel",
    "signal",
    "noise",
    "snr",
    "vwlid",
    "srcserver",
    "dstserver",
    "masterdstserver",
    "mastersrcserver",
    "xid",
    "qtypeval",
    "logver",
]);

pub(crate) fn read<'a>(event: &mut Event<'a>, text: &'a str, options: &Options) -> &'static str {
    let mut map = Map::of_pairs(text, 24);
    for (key, raw) in Spaced::of_many_words(text).take(MAX_FIELDS + 1) {
        let hash = hash(key.as_bytes());
        let (escapes, of) = match raw.quoted {
            true => (&b"\""[..], Type::Text),
            false => (&b""[..], Type::number(NUMBERS.contains(key, hash))),
        };
        map.push_pair((key, hash), raw, escapes, of);
    }
    if let Some(host) = map.first(&["devname", "device_name", "devid", "device_id"]) {
        set_origin(event, host);
    }
    event.msgid = map.first(&["logid", "log_id"]).map(Cow::Borrowed);
    event.mnemonic.clone_from(&event.msgid);
    if event.severity.is_none() {
        event.severity = map.first(&["level", "pri"]).and_then(Severity::parse);
    }
    if event.app.is_none() {
        event.app = map.get("type").map(Cow::Borrowed);
    }
    event.resource =
        map.first(&["devintfname", "interface", "intf", "vpntunnel"]).map(Cow::Borrowed);
    read_time(event, &map, options);
    map.finish(event);
    format::FORTINET
}

/// `eventtime` counts seconds, milliseconds, microseconds or nanoseconds, by the release; else
/// `date=2026-08-06 time=10:00:00 tz="+0200"`. What a relay wrote before it is not the device's.
fn read_time(event: &mut Event<'_>, map: &Map<'_>, options: &Options) {
    if let Some(at) = map.get("eventtime").and_then(clock::epoch) {
        (event.device_time, event.time_note) = (Some(at), None);
        return;
    }
    let (Some(date), Some(time)) = (map.get("date"), map.get("time")) else { return };
    let text = format!("{date}T{time}");
    let zone = map.get("tz").filter(|zone| zone.starts_with(['+', '-']));
    let before = (event.device_time.take(), event.time_note.take());
    clock::fill(event, Written { text: &text, zone, pattern: None }, options);
    if event.device_time.is_none() {
        (event.device_time, event.time_note) = before;
    }
}
