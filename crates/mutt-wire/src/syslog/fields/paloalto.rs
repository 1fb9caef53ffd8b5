//! Palo Alto PAN-OS: comma-separated values behind any header, named as its documents name them.

use std::borrow::Cow;

use mutt_model::Event;
use mutt_model::event::peer_host;

use super::clock::{self, Written};
use super::map::{Map, Type, Value};
use super::{graded, set_origin};
use crate::octets::{escaped, find, is};
use crate::syslog::{Options, format};

mod columns;

use columns::{COMMON, Column, MAX_COLUMNS};

/// `1,2026/08/06 10:00:00,0011...,TRAFFIC,end,...`
pub(crate) fn begins(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(comma) = bytes.iter().take(4).position(|&b| b == b',') else { return false };
    let Some(date) = bytes.get(comma + 1..comma + 11) else { return false };
    let digits = |range: std::ops::Range<usize>| date[range].iter().all(u8::is_ascii_digit);
    bytes[..comma].iter().all(u8::is_ascii_digit)
        && (digits(0..4) && digits(5..7) && digits(8..10))
        && (date[4] == date[7] && matches!(date[4], b'/' | b'-'))
}

/// Reads the columns when the message is such a log; gives the format then.
pub(crate) fn read<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    options: &Options,
) -> Option<&'static str> {
    let (mut columns, mut plain) = ([""; MAX_COLUMNS], [true; MAX_COLUMNS]);
    let count = split(message, &mut columns, &mut plain);
    let kind = columns[3];
    if count < 7 || kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return None;
    }
    // The details of a change stand in the log only where a custom form asks for them: the flags
    // behind the sequence number tell.
    let detailed = columns[17].starts_with("0x") && !columns[15].starts_with("0x");
    let names = columns::of(kind, detailed).unwrap_or_default();
    let mut map = Map::sized(32, message.len() + count * 16);
    let columns = columns[..count].iter().zip(plain);
    push(COMMON.iter().chain(names).zip(columns), &mut map);
    envelope(event, &map, kind, options);
    map.finish(event);
    Some(format::PALOALTO)
}

/// Adds the columns that have a name and hold something.
#[inline]
fn push<'a, 'c>(
    columns: impl Iterator<Item = (&'static Column, (&'c &'a str, bool))>,
    map: &mut Map<'a>,
) where
    'a: 'c,
{
    for (column, (text, plain)) in columns {
        if text.is_empty() || column.name.0 == "-" {
            continue;
        }
        if plain {
            map.push_plain(column.name, text, Type::number(column.number));
        } else {
            map.push(column.name.0, Value::typed(unquoted(text), column.number));
        }
    }
}

fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>, kind: &'a str, options: &Options) {
    // A header may name nothing, or the serial number in the host's place.
    let serial = map.get("serial").unwrap_or_default();
    if let Some(device) = map.get("device_name")
        && (event.relay.is_none() || event.host == serial)
    {
        if event.host == serial {
            event.host = Cow::Owned(peer_host(&event.peer).to_owned());
        }
        set_origin(event, device);
    }
    if event.severity.is_none() {
        event.severity = map.get("severity").and_then(graded);
    }
    let named = matches!(kind, "SYSTEM" | "GLOBALPROTECT");
    let id = map.get("eventid").filter(|_| named).unwrap_or(kind);
    event.mnemonic = Some(Cow::Borrowed(id));
    event.resource = map.get("object").filter(|_| kind == "SYSTEM").map(Cow::Borrowed);
    if let Some(text) = map.first(&["high_res_timestamp", "time_generated", "receive_time"]) {
        clock::fill(event, Written::from(text), options);
    }
}

/// Splits at commas outside of quotes; gives how many columns there are. Quotes stay on. Columns in
/// which JSON escapes something are not plain.
fn split<'a>(
    text: &'a str,
    columns: &mut [&'a str; MAX_COLUMNS],
    plain: &mut [bool; MAX_COLUMNS],
) -> usize {
    let bytes = text.as_bytes();
    let (mut count, mut from, mut at) = (0, 0, 0);
    while count < MAX_COLUMNS {
        let comma = |word| is(word, b',');
        // Half of the columns of many logs are empty.
        if bytes.get(at) == Some(&b',') && count + 1 < MAX_COLUMNS {
            count += 1;
            at += 1;
            from = at;
            continue;
        }
        if bytes.get(at) == Some(&b'"') {
            plain[count] = false;
            at = find(bytes, closing_quote(bytes, at + 1), comma).unwrap_or(bytes.len());
        } else {
            at = find(bytes, at, |word| comma(word) | escaped(word)).unwrap_or(bytes.len());
            if bytes.get(at).is_some_and(|byte| *byte != b',') {
                plain[count] = false;
                at = find(bytes, at, comma).unwrap_or(bytes.len());
            }
        }
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

fn unquoted(column: &str) -> Cow<'_, str> {
    match column.strip_prefix('"').map(|inside| inside.strip_suffix('"').unwrap_or(inside)) {
        Some(inside) if inside.contains("\"\"") => Cow::Owned(inside.replace("\"\"", "\"")),
        Some(inside) => Cow::Borrowed(inside),
        None => Cow::Borrowed(column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_as_long_as_their_documents_say() {
        let at = |kind, name: &str| {
            let names = columns::of(kind, false).expect("a table");
            names.iter().position(|column| column.name.0 == name).map(|at| at + COMMON.len())
        };
        assert_eq!(at("TRAFFIC", "device_name"), Some(52));
        assert_eq!(at("TRAFFIC", "high_res_timestamp"), Some(102));
        assert_eq!(at("THREAT", "severity"), Some(34));
        assert_eq!(at("THREAT", "device_name"), Some(59));
        assert_eq!(at("SYSTEM", "device_name"), Some(22));
        assert_eq!(at("SYSTEM", "opaque"), Some(14));
        assert_eq!(at("DECRYPTION", "error"), Some(64));
        assert_eq!(at("GLOBALPROTECT", "device_name"), Some(47));
        for kind in ["TRAFFIC", "THREAT", "DECRYPTION", "CONFIG", "USERID"] {
            assert!(columns::of(kind, true).is_some_and(|n| n.len() + COMMON.len() < MAX_COLUMNS));
        }
    }
}
