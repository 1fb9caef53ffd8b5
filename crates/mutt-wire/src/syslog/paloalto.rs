//! Palo Alto PAN-OS: comma-separated values behind any header.

use std::borrow::Cow;

use mutt_model::Event;

use super::{format, set_host};
use crate::text::push_json_str;

/// Columns that every log type begins with: place and name.
const COMMON: [(usize, &str); 5] =
    [(1, "receive_time"), (2, "serial"), (3, "type"), (4, "subtype"), (6, "generated_time")];
const SYSTEM: [(usize, &str); 6] = [
    (7, "vsys"),
    (8, "event_id"),
    (9, "object"),
    (12, "module"),
    (13, "severity"),
    (14, "description"),
];
/// Traffic and threat logs share their front.
const TRAFFIC: [(usize, &str); 12] = [
    (7, "src"),
    (8, "dst"),
    (11, "rule"),
    (14, "app"),
    (15, "vsys"),
    (16, "from"),
    (17, "to"),
    (24, "sport"),
    (25, "dport"),
    (29, "proto"),
    (30, "action"),
    (31, "bytes"),
];
const SYSTEM_DEVICE: usize = 22;
const TRAFFIC_DEVICE: usize = 52;
const MAX_COLUMNS: usize = 64;

/// Reads the columns when the message is such a log; gives the format then.
pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    // `1,2026/08/06 10:00:00,0011...,TRAFFIC,end,...`
    let bytes = message.as_bytes();
    let comma = bytes.iter().take(4).position(|&b| b == b',')?;
    let date = bytes.get(comma + 1..comma + 11)?;
    let digits = |range: std::ops::Range<usize>| date[range].iter().all(u8::is_ascii_digit);
    if !(digits(0..4) && date[4] == b'/' && digits(5..7) && date[7] == b'/' && digits(8..10)) {
        return None;
    }
    let mut columns = [""; MAX_COLUMNS];
    let count = split(message, &mut columns);
    let kind = columns[3];
    if count < 7 || kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return None;
    }
    let (names, device): (&[(usize, &str)], usize) = match kind {
        "SYSTEM" => (&SYSTEM, SYSTEM_DEVICE),
        "TRAFFIC" => (&TRAFFIC, TRAFFIC_DEVICE),
        "THREAT" => (&TRAFFIC[..11], MAX_COLUMNS),
        _ => (&[], MAX_COLUMNS),
    };
    let mut json = String::with_capacity(384);
    json.push('{');
    for (at, name) in COMMON.iter().chain(names) {
        if columns[*at].is_empty() {
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        push_json_str(&mut json, name);
        json.push(':');
        push_unquoted(&mut json, columns[*at]);
    }
    json.push('}');
    event.fields = Some(Cow::Owned(json));
    let serial = columns[2];
    let device = columns.get(device).copied().unwrap_or_default();
    // A header may name nothing, or the serial number in the host's place.
    if !device.is_empty() && (event.relay.is_none() || event.host == serial) {
        let peer = mutt_model::event::peer_host(&event.peer).to_owned();
        event.host = Cow::Owned(peer);
        set_host(event, device, None);
    }
    Some(format::PALOALTO)
}

/// Splits at commas outside of quotes; gives how many columns there are. Quotes stay on.
fn split<'a>(text: &'a str, columns: &mut [&'a str; MAX_COLUMNS]) -> usize {
    let bytes = text.as_bytes();
    let (mut count, mut from, mut at) = (0, 0, 0);
    while count < MAX_COLUMNS {
        if bytes.get(at) == Some(&b'"') {
            at = closing_quote(bytes, at + 1);
        }
        at += memchr::memchr(b',', &bytes[at..]).unwrap_or(bytes.len() - at);
        columns[count] = &text[from..at];
        count += 1;
        if at >= bytes.len() {
            break;
        }
        at += 1;
        from = at;
    }
    count
}

/// Behind the quote that closes; two in a row are one inside. The end when none closes.
fn closing_quote(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        at += found + 1;
        if bytes.get(at) != Some(&b'"') {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

fn push_unquoted(json: &mut String, column: &str) {
    match column.strip_prefix('"').map(|inside| inside.strip_suffix('"').unwrap_or(inside)) {
        Some(inside) if inside.contains("\"\"") => {
            push_json_str(json, &inside.replace("\"\"", "\""))
        }
        Some(inside) => push_json_str(json, inside),
        None => push_json_str(json, column),
    }
}
