//! Palo Alto PAN-OS: comma-separated values behind any header, named as its documents name them.

use std::borrow::Cow;

use mutt_model::event::peer_host;
use mutt_model::{Event, ParseStatus};

use super::clock::{self, Written};
use super::map::{MAX_BYTES, MAX_JSON, TRUTH, Value, is_number, truth};
use super::{graded, set_origin};
use crate::octets::{escaped, find, is};
use crate::syslog::{Options, format, notes};
use crate::writer::Writer;

mod columns;

use columns::{COMMON, Column, PARTS};

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
    let kind = column(message, 3)?;
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return None;
    }
    // The details of a change stand in the log only where a custom form asks for them: the flags
    // behind the sequence number tell.
    let flags = |at| column(message, at).is_some_and(|text| text.starts_with("0x"));
    let detailed = kind == "CONFIG" && flags(17) && !flags(15);
    let mut reader = Reader::new(message);
    if reader.columns(&COMMON) < COMMON.len() {
        return None;
    }
    reader.columns(columns::of(kind, detailed).unwrap_or_default());
    envelope(event, &reader.parts, kind, options);
    reader.finish(event);
    Some(format::PALOALTO)
}

/// One of the first columns.
fn column(message: &str, number: usize) -> Option<&str> {
    let mut at = 0;
    for _ in 0..number {
        let (end, _) = column_end(message.as_bytes(), at);
        at = end + 1;
    }
    message.get(at..column_end(message.as_bytes(), at).0)
}

/// Walks over the columns and writes those that have a name and hold something.
struct Reader<'a> {
    message: &'a str,
    /// Where the next column begins; behind the end when there is none.
    at: usize,
    /// `{"`, then each field and `,"` behind it.
    json: Writer<'a>,
    /// Keys and values.
    bytes: usize,
    cut: bool,
    /// There is as much text as is kept.
    full: bool,
    parts: [Option<&'a str>; PARTS.len() + 1],
}

impl<'a> Reader<'a> {
    fn new(message: &'a str) -> Self {
        let mut json = Writer::new(message, 2 * message.len() + 512);
        json.put(b"{\"");
        let parts = [None; PARTS.len() + 1];
        Self { message, at: 0, json, bytes: 0, cut: false, full: false, parts }
    }

    /// Takes these columns; how many of them there were.
    #[inline(always)]
    fn columns(&mut self, columns: &'static [Column]) -> usize {
        let bytes = self.message.as_bytes();
        for (count, column) in columns.iter().enumerate() {
            // Half of the columns of many logs are empty.
            if bytes.get(self.at) == Some(&b',') {
                self.at += 1;
                continue;
            }
            if self.at > bytes.len() {
                return count;
            }
            let start = self.at;
            let (end, plain) = column_end(bytes, start);
            self.at = end + 1;
            if column.len > 0 && end > start {
                self.push(column, &self.message[start..end], plain);
            }
        }
        columns.len()
    }

    #[inline(always)]
    fn push(&mut self, column: &Column, text: &'a str, plain: bool) {
        if !plain {
            return self.push_odd(column, text);
        }
        let truth = truth(text).is_some();
        let start = self.json.len();
        if !self.admits(column.len + if truth { TRUTH } else { text.len() }) {
            return;
        }
        if truth || (column.number && is_number(text)) {
            self.json.most_of(&column.written, column.len + 2);
            self.json.part_and(text.as_bytes(), b",\"");
        } else {
            self.json.most_of(&column.written, column.len + 3);
            self.json.part_and(text.as_bytes(), b"\",\"");
        }
        self.end(start, column, if truth { None } else { Some(text) });
    }

    #[inline(never)]
    fn push_odd(&mut self, column: &Column, text: &'a str) {
        let value = Value::typed(unquoted(text), column.number);
        let start = self.json.len();
        if value.len() == 0 || !self.admits(column.len + value.len()) {
            return;
        }
        self.json.most_of(&column.written, column.len + 2);
        value.push(&mut self.json);
        self.json.put(b",\"");
        self.end(start, column, value.raw());
    }

    fn admits(&mut self, bytes: usize) -> bool {
        if self.bytes + bytes > MAX_BYTES {
            self.cut = true;
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Ends a field that began at `start`.
    #[inline(always)]
    fn end(&mut self, start: usize, column: &Column, raw: Option<&'a str>) {
        if let Some(part) = self.parts.get_mut(column.part) {
            *part = raw;
        }
        if self.full || self.json.len() - 2 > MAX_JSON {
            self.json.truncate(start);
            (self.cut, self.full) = (true, true);
        }
    }

    fn finish(mut self, event: &mut Event<'a>) {
        if self.json.len() > 2 {
            self.json.truncate(self.json.len() - 2);
            self.json.put(b"}");
            event.fields = Some(Cow::Owned(self.json.finish()));
        }
        if self.cut {
            notes::add(event, ParseStatus::Partial, notes::FIELDS_CUT);
        }
    }
}

fn envelope<'a>(
    event: &mut Event<'a>,
    parts: &[Option<&'a str>; PARTS.len() + 1],
    kind: &'a str,
    options: &Options,
) {
    let [serial, device, severity, id, object, precise, generated, received, _] = *parts;
    // A header may name nothing, or the serial number in the host's place.
    let serial = serial.unwrap_or_default();
    if let Some(device) = device
        && (event.relay.is_none() || event.host == serial)
    {
        if event.host == serial {
            event.host = Cow::Owned(peer_host(&event.peer).to_owned());
        }
        set_origin(event, device);
    }
    if event.severity.is_none() {
        event.severity = severity.and_then(graded);
    }
    let named = matches!(kind, "SYSTEM" | "GLOBALPROTECT");
    event.mnemonic = Some(Cow::Borrowed(id.filter(|_| named).unwrap_or(kind)));
    event.resource = object.filter(|_| kind == "SYSTEM").map(Cow::Borrowed);
    if let Some(text) = precise.or(generated).or(received) {
        clock::fill(event, Written::from(text), options);
    }
}

/// Where the column ends that begins here: at a comma outside of quotes. Quotes stay on. A column in
/// which JSON escapes something is not plain.
#[inline(always)]
fn column_end(bytes: &[u8], from: usize) -> (usize, bool) {
    let comma = |word| is(word, b',');
    let found = find(bytes, from, |word| comma(word) | escaped(word)).unwrap_or(bytes.len());
    match bytes.get(found) {
        Some(b',') | None => (found, true),
        Some(_) => (odd_end(bytes, from, found), false),
    }
}

#[inline(never)]
fn odd_end(bytes: &[u8], from: usize, odd: usize) -> usize {
    let quoted = bytes[from] == b'"';
    let from = if quoted { closing_quote(bytes, from + 1) } else { odd };
    find(bytes, from, |word| is(word, b',')).unwrap_or(bytes.len())
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

    const KINDS: [&str; 12] = [
        "TRAFFIC",
        "THREAT",
        "SYSTEM",
        "CONFIG",
        "HIP-MATCH",
        "GLOBALPROTECT",
        "USERID",
        "CORRELATION",
        "DECRYPTION",
        "AUTHENTICATION",
        "IPTAG",
        "URL",
    ];

    #[test]
    fn tables_are_as_long_as_their_documents_say() {
        let at = |kind, name: &str| {
            let names = columns::of(kind, false).expect("a table");
            let named = |column: &Column| column.written[..column.len] == *name.as_bytes();
            names.iter().position(named).map(|at| at + COMMON.len())
        };
        assert_eq!(at("TRAFFIC", "device_name"), Some(52));
        assert_eq!(at("TRAFFIC", "high_res_timestamp"), Some(102));
        assert_eq!(at("THREAT", "severity"), Some(34));
        assert_eq!(at("THREAT", "device_name"), Some(59));
        assert_eq!(at("SYSTEM", "device_name"), Some(22));
        assert_eq!(at("SYSTEM", "opaque"), Some(14));
        assert_eq!(at("DECRYPTION", "error"), Some(64));
        assert_eq!(at("GLOBALPROTECT", "device_name"), Some(47));
    }

    #[test]
    fn no_log_has_a_name_twice() {
        for kind in KINDS {
            for detailed in [false, true] {
                let of = columns::of(kind, detailed).expect("a table");
                let columns: Vec<&Column> = COMMON.iter().chain(of).filter(|c| c.len > 0).collect();
                let names: std::collections::HashSet<&[u8]> =
                    columns.iter().map(|column| &column.written[..column.len]).collect();
                assert_eq!(names.len(), columns.len(), "{kind}");
            }
        }
    }
}
