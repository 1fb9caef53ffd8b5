//! Messages that are pairs throughout: vendors known by their first keys, and programs of nobody in
//! particular.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type};
use super::pairs::{self, Raw, Separated, Spaced};
use super::{graded, lacks_host, mark, set_origin};
use crate::octets::{AnyKeys, Keys, hash, named};
use crate::syslog::{Options, format};

/// A message of nobody in particular has at least so many pairs.
const FEWEST_PAIRS: usize = 3;

/// A vendor's pairs: how they are recognised and which of them the envelope needs.
struct Vendor {
    format: &'static str,
    /// The message begins with one of these.
    begins: &'static [&'static str],
    /// One of these stands early in it.
    early: &'static [&'static str],
    /// The fields that its document types as numbers.
    numbers: AnyKeys,
    host: &'static [Name],
    severity: &'static [Name],
    time: &'static [Name],
    zone: &'static [Name],
    mnemonic: &'static [Name],
    resource: &'static [Name],
}

/// A key with its hash.
type Name = (&'static str, u8);

const fn names<const N: usize>(words: [&'static str; N]) -> [Name; N] {
    let mut names = [("", 0); N];
    let mut at = 0;
    while at < N {
        names[at] = named(words[at]);
        at += 1;
    }
    names
}

/// How far a vendor's second mark is looked for.
const EARLY: usize = 160;

/// Numbers of SonicWall.
static SONICWALL_NUMBERS: Keys<21> = Keys::new([
    "pri",
    "c",
    "m",
    "n",
    "gcat",
    "sid",
    "ipspri",
    "spypri",
    "sent",
    "rcvd",
    "spkt",
    "rpkt",
    "cdur",
    "op",
    "result",
    "code",
    "type",
    "icmpCode",
    "appid",
    "catid",
    "vpnpolicyid",
]);

const SONICWALL: Vendor = Vendor {
    format: format::SONICWALL,
    begins: &["id="],
    early: &[" sn="],
    numbers: SONICWALL_NUMBERS.any(),
    host: &names(["fw"]),
    severity: &names(["pri"]),
    time: &names(["time"]),
    zone: &[],
    mnemonic: &names(["m"]),
    resource: &[],
};

/// Numbers of Stormshield.
static STORMSHIELD_NUMBERS: Keys<12> = Keys::new([
    "pri",
    "srcport",
    "dstport",
    "sent",
    "rcvd",
    "duration",
    "ruleid",
    "slotlevel",
    "icmptype",
    "icmpcode",
    "origdstport",
    "modsrcport",
]);

/// Stormshield writes the same front with a name for its device and the zone in a field.
const STORMSHIELD: Vendor = Vendor {
    format: format::STORMSHIELD,
    begins: &["id="],
    early: &[" fw="],
    numbers: STORMSHIELD_NUMBERS.any(),
    host: &names(["fw"]),
    severity: &names(["pri"]),
    time: &names(["time"]),
    zone: &names(["tz"]),
    mnemonic: &names(["logtype"]),
    resource: &names(["srcif"]),
};

/// Numbers of Sophos.
static SOPHOS_NUMBERS: Keys<27> = Keys::new([
    "log_version",
    "duration",
    "fw_rule_id",
    "nat_rule_id",
    "policy_type",
    "web_policy_id",
    "ips_policy_id",
    "appfilter_policy_id",
    "app_filter_policy_id",
    "src_port",
    "dst_port",
    "tran_src_port",
    "tran_dst_port",
    "src_trans_port",
    "dst_trans_port",
    "packets_sent",
    "packets_received",
    "bytes_sent",
    "bytes_received",
    "sent_pkts",
    "recv_pkts",
    "sent_bytes",
    "recv_bytes",
    "app_risk",
    "status_code",
    "http_status",
    "log_occurrence",
]);

const SOPHOS: Vendor = Vendor {
    format: format::SOPHOS,
    begins: &["device_name=", "device="],
    early: &[" log_id=", " device_id=", " device_serial_id=", " log_type="],
    numbers: SOPHOS_NUMBERS.any(),
    host: &[],
    severity: &names(["severity", "priority"]),
    time: &names(["timestamp"]),
    zone: &names(["timezone"]),
    mnemonic: &names(["log_id"]),
    resource: &[],
};

/// Numbers of BIG-IP.
static F5_NUMBERS: Keys<5> =
    Keys::new(["src_port", "dest_port", "response_code", "violation_rating", "route_domain"]);

const F5: Vendor = Vendor {
    format: format::F5_ASM,
    begins: &["ASM:", "f5_asm=", "unit_hostname="],
    early: &["=\""],
    numbers: F5_NUMBERS.any(),
    host: &names(["unit_hostname", "unit_host", "dvchost"]),
    severity: &names(["severity"]),
    time: &names(["date_time"]),
    zone: &[],
    mnemonic: &names(["attack_type", "anomaly_attack_type"]),
    resource: &names(["vs_name", "policy_name", "virtual_server"]),
};

static NO_NUMBERS: Keys<0> = Keys::new([]);

/// The pairs of nobody in particular: what logfmt calls its level and time.
const ANY: Vendor = Vendor {
    format: format::KEY_VALUE,
    begins: &[],
    early: &[],
    numbers: NO_NUMBERS.any(),
    host: &[],
    severity: &names(["level", "lvl", "severity"]),
    time: &names(["time", "ts", "timestamp"]),
    zone: &names(["tz"]),
    mnemonic: &[],
    resource: &[],
};

fn vendor(text: &str) -> Option<&'static Vendor> {
    const ALL: [&Vendor; 4] = [&SONICWALL, &STORMSHIELD, &SOPHOS, &F5];
    if !matches!(text.as_bytes().first_chunk(), Some(b"id" | b"de" | b"AS" | b"f5" | b"un")) {
        return None;
    }
    let front = &text.as_bytes()[..text.len().min(EARLY)];
    ALL.into_iter().find(|vendor| {
        vendor.begins.iter().any(|start| text.starts_with(start))
            && vendor.early.iter().any(|early| mark(front, early.as_bytes()).is_some())
    })
}

/// A vendor's message, which needs no header.
pub(crate) fn begins(text: &str) -> bool {
    vendor(text).is_some()
}

/// Reads the pairs; the format when they are a vendor's, or when there are enough of them.
pub(crate) fn read<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    options: &Options,
) -> Option<&'static str> {
    let text = message.strip_prefix("ASM:").unwrap_or(message);
    let (_, first_value) = pairs::leading_key(text)?;
    read_pairs(event, message, text, first_value, options)
}

/// The same of a message whose pairs are known to begin with a key before this place.
pub(crate) fn read_pairs<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    text: &'a str,
    first_value: usize,
    options: &Options,
) -> Option<&'static str> {
    let known = vendor(message);
    let of = known.unwrap_or(&ANY);
    let mut map = Map::of_pairs(text, 24);
    match separator(&text[first_value..]) {
        b' ' if known.is_some() => push_all(Spaced::of_many_words(text), &mut map, of),
        b' ' => push_all(Spaced::new(text), &mut map, of),
        by => push_all(Separated::new(text, by), &mut map, of),
    }
    if known.is_none() && map.len() < FEWEST_PAIRS {
        return None;
    }
    if text.len() != message.len() && event.app.is_none() {
        event.app = Some(Cow::Borrowed("ASM"));
    }
    envelope(event, &map, of, options);
    map.finish(event);
    Some(of.format)
}

fn push_all<'a>(pairs: impl Iterator<Item = (&'a str, Raw<'a>)>, map: &mut Map<'a>, of: &Vendor) {
    for (key, raw) in pairs.take(MAX_FIELDS + 1) {
        let hash = hash(key.as_bytes());
        let escapes = if raw.quoted { &b"\"\\"[..] } else { b"" };
        map.push_pair((key, hash), raw, escapes, Type::number(of.numbers.contains(key, hash)));
    }
}

/// What stands between pairs: seen behind the first value, with which this text begins.
fn separator(value: &str) -> u8 {
    let bytes = value.as_bytes();
    let by = match bytes.first() {
        Some(b'"') => memchr::memchr(b'"', &bytes[1..])
            .and_then(|end| bytes.get(end + 2).copied().filter(|_| end < bytes.len())),
        _ => bytes
            .iter()
            .position(|b| matches!(b, b' ' | b',' | b';' | b'|'))
            .filter(|&end| pairs::leading_key(value[end + 1..].trim_start()).is_some())
            .map(|end| bytes[end]),
    };
    by.filter(|by| matches!(by, b',' | b';' | b'|')).unwrap_or(b' ')
}

fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>, of: &Vendor, options: &Options) {
    if lacks_host(event)
        && let Some(host) = map.first_named(of.host)
    {
        set_origin(event, host);
    }
    if event.severity.is_none() {
        event.severity = map.first_named(of.severity).and_then(|word| match word.parse() {
            Ok(number) => Severity::new(number),
            Err(_) => graded(word),
        });
    }
    event.mnemonic = map.first_named(of.mnemonic).map(Cow::Borrowed);
    event.resource = map.first_named(of.resource).map(Cow::Borrowed);
    let zone = map.first_named(of.zone);
    match (map.first_named(of.time), map.get("date")) {
        // Sophos wrote its date and time apart.
        (None, Some(date)) => {
            let Some(time) = map.get("time") else { return };
            let text = format!("{date} {time}");
            clock::fill(event, Written { text: &text, zone, pattern: None }, options);
        }
        (Some(text), _) => clock::fill(event, Written { text, zone, pattern: None }, options),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_json_are_written_as_they_stand() {
        let check = |text: &'static str, expected: &str| {
            let mut map = Map::of_pairs(text, 4);
            push_all(Spaced::new(text), &mut map, &ANY);
            let mut event = Event::from_raw(
                mutt_model::Id::default(),
                mutt_model::Timestamp::default(),
                mutt_model::Source::Syslog,
                "",
                "",
                b"",
            );
            map.finish(&mut event);
            assert_eq!(event.fields.as_deref(), Some(expected), "{text}");
        };
        check(r#"a="q \"r\" \\s" b=1"#, r#"{"a":"q \"r\" \\s","b":"1"}"#);
        check(r#"a="q \"r" s" b='x\'y'"#, r#"{"a":"q \"r","b":"x\\'y"}"#);
        check(r#"a="C:\temp \"x\"""#, r#"{"a":"C:\\temp \"x\""}"#);
        check("a=\"\\\"x\\\" \t\"", "{\"a\":\"\\\"x\\\" \\t\"}");
    }

    #[test]
    fn separators_are_seen_behind_the_first_value() {
        let check = |text: &str, expected: u8| {
            assert_eq!(separator(&text[2..]), expected, "{text}");
        };
        check("a=1 b=2", b' ');
        check("a=1,b=2", b',');
        check("a=1, b=2", b',');
        check("a=1,2 b=2", b' ');
        check("a=\"1\",b=\"2\"", b',');
        check("a=\"1\"; b=\"2\"", b';');
        check("a=\"1\" b=\"2\"", b' ');
        check("a=1|b=2", b'|');
        check("a=\"", b' ');
        check("a=", b' ');
    }
}
