//! Whole frames: the lines of testdata/syslog with what is expected of them, hostile bytes, and the
//! corpora where they are present.

use mutt_model::{Id, Timestamp};
use proptest::prelude::*;

use super::*;

mod alike;
mod corpora;
mod grammar;
mod score;
#[path = "../../../../fuzz/src/sound.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets, which use more of it")]
mod sound;
mod vendors;

const RECEIVED: &str = "2026-08-06T12:00:00Z";

fn frame<'a>(raw: &'a [u8]) -> Frame<'a> {
    Frame {
        id: Id::default(),
        received_at: Timestamp::parse_rfc3339(RECEIVED).expect("a time"),
        listener: "syslog-udp",
        peer: "192.0.2.7:40022",
        raw,
    }
}

fn event(raw: &[u8]) -> Event<'_> {
    decode(frame(raw), &Options::default())
}

/// One field of an event by its name; `-` for none.
fn field(event: &Event<'_>, name: &str) -> String {
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or("-").to_owned();
    match name {
        "host" => event.host.to_string(),
        "relay" => text(&event.relay),
        "device_time" => event.device_time.map_or("-".to_owned(), |at| at.to_string()),
        "time_note" => text(&event.time_note),
        "facility" => event.facility.map_or("-".to_owned(), |n| n.to_string()),
        "severity" => event.severity.map_or("-".to_owned(), |s| s.number().to_string()),
        "app" => text(&event.app),
        "procid" => text(&event.procid),
        "msgid" => text(&event.msgid),
        "mnemonic" => text(&event.mnemonic),
        "resource" => text(&event.resource),
        "structured_data" => text(&event.structured_data),
        "fields" => text(&event.fields),
        "message" => event.message.to_string(),
        "format" => event.parse.format.to_string(),
        "status" => event.parse.status.name().to_owned(),
        "notes" => event.parse.notes.replace('\n', "; "),
        other => panic!("no field {other}"),
    }
}

fn check_line(line: &str, expected: &[(&str, &str)], wrong: &mut Vec<String>) {
    let event = event(line.as_bytes());
    let default = [("status", "ok"), ("notes", "")];
    let given = |name: &str| expected.iter().any(|(n, _)| *n == name);
    let all = default.iter().filter(|(name, _)| !given(name)).chain(expected);
    for (name, value) in all {
        let got = field(&event, name);
        if got != *value {
            wrong.push(format!("{line}\n    {name}: {got}\n    wanted: {value}"));
        }
    }
    for end in 0..=line.len() {
        let cut = &line.as_bytes()[..end];
        let event = self::event(cut);
        if !is_sound(&event, cut) {
            wrong.push(format!("{line}\n    cut at {end} is not sound: {event:?}"));
        }
    }
}

fn check_file(file: &str) {
    let (mut wrong, mut line, mut expected) = (Vec::new(), None, Vec::new());
    for text in file.lines().filter(|text| !text.starts_with('#') && !text.is_empty()) {
        match text.strip_prefix("    ") {
            Some(pair) => {
                let (name, value) = pair.split_once(':').expect("name: value");
                expected.push((name, value.strip_prefix(' ').unwrap_or(value)));
            }
            None => {
                if let Some(line) = line.replace(text) {
                    check_line(line, &expected, &mut wrong);
                }
                expected.clear();
            }
        }
    }
    check_line(line.expect("a line"), &expected, &mut wrong);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lines_of_rfc5424() {
    check_file(include_str!("../../testdata/syslog/rfc5424.txt"));
}

#[test]
fn lines_of_rfc3164() {
    check_file(include_str!("../../testdata/syslog/rfc3164.txt"));
}

#[test]
fn lines_of_cisco_and_arista() {
    check_file(include_str!("../../testdata/syslog/cisco.txt"));
}

#[test]
fn lines_of_other_vendors() {
    check_file(include_str!("../../testdata/syslog/vendors.txt"));
}

/// What holds for every decoder, and notes of the closed set; the raw bytes are not masked.
fn is_sound(event: &Event<'_>, raw: &[u8]) -> bool {
    let time_note = event.time_note.as_deref().unwrap_or_default();
    let timed = time_note.starts_with("uptime ")
        || time_note.split(", ").all(|part| part.is_empty() || notes::TIME.contains(&part));
    timed
        && event.parse.notes.lines().all(|note| notes::ALL.contains(&note))
        && *event.raw == *raw
        && sound::unsound(event, raw).is_none()
}

#[test]
fn bytes_that_are_no_text() {
    let check = |raw: &[u8], message: &str, notes: &str| {
        let event = event(raw);
        assert_eq!((&*event.message, &*event.parse.notes), (message, notes), "{raw:?}");
        assert!(is_sound(&event, raw));
    };
    check(b"<13>Aug  6 10:00:00 h a: Z\xfcrich", "Zürich", "latin-1 assumed");
    check(b"<13>Aug  6 10:00:00 h a: x\x80\xfe", "x\u{fffd}\u{fffd}", "invalid utf-8 replaced");
    check(b"<13>Aug  6 10:00:00 h a: x\0y", "x\u{fffd}y", "nul replaced");
    check(b"<13>Aug  6 10:00:00 h a: netscreen\0", "netscreen", "");
    check(b"<13>Aug  6 10:00:00 h a: text\r\n", "text", "");
    check(b"<13>Aug  6 10:00:00 h a: two\nlines\x1b[31m\n", "two\nlines\x1b[31m", "");
}

#[test]
fn nothing_is_an_event_too() {
    for raw in [&b""[..], b"\n", b"\0\0", b"   "] {
        let event = event(raw);
        assert_eq!(event.parse.status, ParseStatus::Failed);
        assert!(is_sound(&event, raw));
    }
}

#[test]
fn what_is_plain_text_is_borrowed() {
    let raw = b"<13>1 2026-08-06T10:00:00Z h a p m - text";
    let event = event(raw);
    for text in [&event.host, &event.message, event.app.as_ref().expect("app")] {
        assert!(matches!(text, Cow::Borrowed(_)));
    }
}

/// What messages are made of, to be put together in any order.
const PIECES: &[&str] = &[
    "<13>",
    "<191>",
    "<192>",
    "<",
    ">",
    "1 ",
    "2026-08-06T10:00:00.1Z ",
    "Aug  6 10:00:00 ",
    "2026 Aug  6 ",
    "10:00:00",
    " CEST",
    "+02:00",
    "*",
    ".",
    "1w2d: ",
    "45: ",
    ": ",
    "host ",
    "r1: ",
    "RP/0/RSP0/CPU0:",
    "rpd[12]: ",
    "app: ",
    "[a@1 k=\"v\"]",
    "[a k=\"",
    "\"",
    "\\",
    "]",
    "%LINK-3-UPDOWN: ",
    "%%01IFNET/4/IF_STATE(l):",
    "Interface ",
    "Gi0/1,",
    "neighbor ",
    "(ip:",
    "10.0.0.1",
    "ethernet 1/1",
    "date=2026-08-06 ",
    "time=10:00:00 ",
    "devname=\"f\" ",
    "eventtime=1785996000 ",
    "1,2026/08/06 10:00:00,1,SYSTEM,x,0,",
    ",,,,\"",
    "BOM%",
    "NetScreen device_id=fw1  [Root]system-notification-00257(traffic): ",
    "start_time=\"2026-08-06 10:00:00\" src zone=Trust a b=c ",
    "08/06/2026:10:00:00 GMT ns1 0-PPE-0 : default TCP CONN_DELINK 1 0 : ",
    "(\"U7LT,802aa8000001,v3.7\") ",
    "802aa8000001,UAP-AC-Lite-6.8.2: ",
    "[WAN_IN-default-D]IN=eth0 ",
    "TMNX: ",
    "17 Base SYSTEM-WARNING-tmnxStateChange-2009 [CHASSIS]: ",
    "bgp|1|2|3|W: ",
    "#ILO 4: ",
    "08/06/2026 10:00 ",
    "00076 ports: ",
    "Event|401|LOG_INFO|AMM|1/1|",
    "Event [1] [1-1] [t] [vim.event.X] [info] ",
    "info hostd[12] ",
    "[Originator@6876 sub=x] ",
    "named: ",
    "06-Aug-2026 10:00:00.123 ",
    "queries: info: ",
    "CEF:0|v|p|1|id|name|5|",
    "CEF: 0|",
    "src=1 cs1Label=a\\=b cs1=x y ",
    "rt=1785996000123 dvchost=d ",
    "LEEF:2.0|v|p|1|id|0x5E|",
    "LEEF:1.0|v|p|1|id|",
    "devTime=06/08/2026^devTimeFormat=dd/MM/yyyy^",
    "a=1\tb=2|c=3",
    "[action:\"Accept\"; ",
    "time:\"1785996000\"; origin:\"o\";]",
    "time=1785996000|hostname=h|product=p|",
    "6Aug2026 10:00:00 accept o >eth0 rule: 1; ",
    "[x@2620 origin=\"o\" time=\"1785996000\"]",
    "[Originator@6876 sub=x]",
    "id=firewall sn=1 time=\"2026-08-06 10:00:00 UTC\" fw=f ",
    "device_name=\"SFW\" log_id=\"1\" timestamp=\"2026-08-06T10:00:00+0200\" ",
    "firewall: msg_id=\"1\" Deny a b 52 tcp 20 127 192.0.2.1 192.0.2.2 1 2 (p)",
    "firewall,info forward: in:a out:b, proto TCP (SYN), 192.0.2.1:1->[::1]:2, len 3",
    "1 1515988859.626061236 n flows src=1 pattern: allow all",
    "ASM:a=\"1\",b=\"2\",c=\"3\"",
    "{\"a\":[1,{\"b\":\"\\u0000\"}],\"a\":2}",
    "@cee: ",
    "'x y' ",
    "01010028:5: ",
    "notice ",
    "1 2026-08-06T10:00:00Z o a p m - ",
    "\u{feff}",
    "- ",
    "-",
    " ",
    "\u{fc}",
    "\0",
    "\n",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(PIECES).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => "\\PC{0,8}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_make_a_sound_event(raw in prop_oneof![
        3 => pieces(),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]) {
        let event = event(&raw);
        prop_assert!(is_sound(&event, &raw), "{:?}", event);
        alike::check(&raw);
    }
}
