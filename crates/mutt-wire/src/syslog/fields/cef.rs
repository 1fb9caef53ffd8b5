//! CEF, the Common Event Format of ArcSight: `CEF:0|vendor|product|version|class|name|severity|key=value ...`.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Value};
use super::pairs::{self, unescape, words};
use super::{graded, lacks_host, set_origin};
use crate::syslog::{Options, format, notes};
use crate::text::Words;

const HEADER: [&str; 7] = [
    "cef_version",
    "deviceVendor",
    "deviceProduct",
    "deviceVersion",
    "deviceEventClassId",
    "name",
    "severity",
];

/// `CEF:0|`; FortiOS puts a space before the version.
pub(crate) fn begins(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("CEF:") else { return false };
    let rest = rest.trim_start_matches(' ');
    let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.as_bytes().get(digits) == Some(&b'|')
}

/// The keys that the standard types as numbers.
fn is_number(key: &str) -> bool {
    static NUMBERS: Words<30> = Words::new([
        "cn1",
        "cn2",
        "cn3",
        "cfp1",
        "cfp2",
        "cfp3",
        "cfp4",
        "flexNumber1",
        "flexNumber2",
        "cnt",
        "spt",
        "dpt",
        "in",
        "out",
        "spid",
        "dpid",
        "dvcpid",
        "deviceProcessId",
        "sourceTranslatedPort",
        "destinationTranslatedPort",
        "fsize",
        "fileSize",
        "oldFileSize",
        "deviceDirection",
        "type",
        "eventId",
        "slat",
        "slong",
        "dlat",
        "dlong",
    ]);
    NUMBERS.contains(key)
}

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str, options: &Options) -> &'static str {
    let mut map = Map::with_capacity(48);
    let mut rest = message["CEF:".len()..].trim_start_matches(' ');
    for (at, name) in HEADER.iter().enumerate() {
        let (value, behind) = match bar(rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            // The severity may be the last thing that stands there.
            None => {
                if at + 1 < HEADER.len() {
                    notes::add(event, ParseStatus::Partial, notes::CEF_SHORT);
                }
                (rest, "")
            }
        };
        rest = behind;
        let number = matches!(*name, "severity" | "cef_version");
        map.push(*name, Value::typed(unescape(value.trim_matches(' '), b"|\\nr"), number));
    }
    extension(rest, &mut map);
    labelled(&mut map);
    envelope(event, &map, options);
    map.finish(event);
    format::CEF
}

/// Where the next bar without a backslash stands.
fn bar(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'|', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'|' {
            return Some(at);
        }
        at += 2;
    }
}

fn extension<'a>(text: &'a str, map: &mut Map<'a>) {
    let mut rest = text.trim_start_matches(' ');
    for _ in 0..=MAX_FIELDS {
        // What stands before the first key belongs to nobody.
        let Some((key, at)) = pairs::leading_key(rest) else {
            let (_, behind) = words(rest);
            if behind.is_empty() {
                return;
            }
            rest = behind;
            continue;
        };
        let (value, behind) = words(&rest[at..]);
        map.push(key, Value::typed(unescape(value, b"\\=|nr"), is_number(key)));
        rest = behind;
        if rest.is_empty() {
            return;
        }
    }
}

/// `cs1=x cs1Label=Policy` is also `Policy=x`; what is already called so stays as it is.
fn labelled<'a>(map: &mut Map<'a>) {
    let named: Vec<(Cow<'a, str>, Value<'a>)> = map
        .iter()
        .filter_map(|(key, value)| {
            let Value::Text(label) = value else { return None };
            let of = map.value(key.strip_suffix("Label")?)?;
            (!map.contains(label)).then(|| (label.clone(), of.clone()))
        })
        .collect();
    for (label, value) in named {
        map.push(label, value);
    }
}

fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>, options: &Options) {
    let vendor = map.get("deviceVendor").unwrap_or_default();
    // What a collector passes on names the device that saw it.
    let forwarded = vendor == "Palo Alto Networks" && map.get("deviceProduct") == Some("LF");
    if (lacks_host(event) || forwarded)
        && let Some(host) = map.first(&["dvchost", "deviceHostName", "dvc", "deviceAddress"])
    {
        set_origin(event, host);
    }
    if event.severity.is_none() {
        event.severity = map.get("severity").and_then(|word| match (vendor, word.parse::<u8>()) {
            // FortiOS writes its levels turned round.
            ("Fortinet", Ok(level @ 1..=8)) => Severity::new(8 - level),
            _ => graded(word),
        });
    }
    if event.app.is_none() {
        event.app = map.get("deviceProduct").map(Cow::Borrowed);
    }
    event.mnemonic = map.get("deviceEventClassId").map(Cow::Borrowed);
    event.resource = map.first(&["cs_resource", "resource"]).map(Cow::Borrowed);
    let zone = map.first(&["dtz", "deviceTimeZone"]);
    let keys = ["rt", "deviceReceiptTime", "FTNTFGTeventtime", "end", "start"];
    if let Some(text) = map.first(&keys) {
        clock::fill(event, Written { text, zone, pattern: None }, options);
    }
}
