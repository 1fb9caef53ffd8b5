//! CEF, the Common Event Format of ArcSight: `CEF:0|vendor|product|version|class|name|severity|key=value ...`.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type};
use super::pairs::{self, Raw, unescape, words};
use super::{graded, lacks_host, set_origin};
use crate::octets::{Keys, escaped, find, hash, named};
use crate::syslog::{Options, format, notes};
use crate::text::without_spaces;

/// The parts of the header with their hashes; which of them are numbers.
const HEADER: [((&str, u8), bool); 7] = [
    (named("cef_version"), true),
    (named("deviceVendor"), false),
    (named("deviceProduct"), false),
    (named("deviceVersion"), false),
    (named("deviceEventClassId"), false),
    (named("name"), false),
    (named("severity"), true),
];

/// `CEF:0|`; FortiOS puts a space before the version.
pub(crate) fn begins(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("CEF:") else { return false };
    let rest = rest.trim_start_matches(' ');
    let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.as_bytes().get(digits) == Some(&b'|')
}

/// The keys that the standard types as numbers.
static NUMBERS: Keys<30> = Keys::new([
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

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str, options: &Options) -> &'static str {
    // Labels write values again.
    let mut map = Map::sized(message, 32, message.len() + message.len() / 4 + 128);
    let mut rest = message["CEF:".len()..].trim_start_matches(' ');
    for (at, (name, number)) in HEADER.iter().enumerate() {
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
        let value = without_spaces(value);
        let plain = find(value.as_bytes(), 0, escaped).is_none();
        map.push_pair(*name, Raw::unquoted(value, plain), b"|\\nr", Type::number(*number));
    }
    extension(rest, &mut map);
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
    let bytes = text.as_bytes();
    let mut at = bytes.iter().position(|byte| *byte != b' ').unwrap_or(bytes.len());
    let mut labels = Vec::new();
    for _ in 0..=MAX_FIELDS {
        // What stands before the first key belongs to nobody.
        let Some((key, len)) = pairs::leading_key(&text[at..]) else {
            at = words(text, at).behind;
            if at == bytes.len() {
                break;
            }
            continue;
        };
        let value = words(text, at + len);
        let raw = Raw::unquoted(value.text, value.plain);
        let hash = hash(key.as_bytes());
        let before = map.len();
        map.push_pair((key, hash), raw, b"\\=|nr", Type::number(NUMBERS.contains(key, hash)));
        if key.ends_with("Label") && map.len() > before {
            labels.push((&key[..key.len() - "Label".len()], raw.text));
        }
        at = value.behind;
        if at == bytes.len() {
            break;
        }
    }
    if !labels.is_empty() {
        labelled(&labels, map);
    }
}

/// `cs1=x cs1Label=Policy` is also `Policy=x`; what is already called so stays as it is.
fn labelled(labels: &[(&str, &str)], map: &mut Map<'_>) {
    let named: Vec<(usize, Cow<'_, str>)> = labels
        .iter()
        .filter_map(|(of, label)| Some((map.find(of)?, unescape(label, b"\\=|nr"))))
        .filter(|(_, label)| !matches!(&**label, "true" | "false") && !map.contains(label))
        .collect();
    for (of, label) in named {
        map.push_again(&label, of);
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
