//! Bodies and records: own ones, and the corpora.

use mutt_model::{Event, Id, ParseStatus, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::Frame;

mod shapes;

fn decoded(raw: &[u8]) -> Decoded<'_> {
    let (id, received_at) = (Id([1; 16]), Timestamp(5));
    decode(Frame { id, received_at, listener: "http", peer: "192.0.2.7:40022", raw })
}

fn event(raw: &str) -> Event<'_> {
    decoded(raw.as_bytes()).event
}

fn notes<'e>(event: &'e Event<'_>) -> (ParseStatus, &'e str) {
    (event.parse.status, event.parse.notes.as_ref())
}

#[test]
fn a_body_is_an_object_an_array_or_lines() {
    let check = |body: &str, expected: &[&str]| {
        let found = records(body.as_bytes()).unwrap();
        let found: Vec<_> = found.iter().map(|raw| std::str::from_utf8(raw).unwrap()).collect();
        assert_eq!(found, expected, "{body}");
    };
    check(r#"{"a":1}"#, &[r#"{"a":1}"#]);
    check(" { \"a\" : 1 }\r\n", &["{ \"a\" : 1 }"]);
    check("\u{feff}{}", &["{}"]);
    check("[]", &[]);
    check("[ ]\n", &[]);
    check(r#"[{"a":1}, 7 ,"x",[2]]"#, &[r#"{"a":1}"#, "7", "\"x\"", "[2]"]);
    check("{\"a\":1}\n{\"b\":[\n2]}\r\n\n{}", &["{\"a\":1}", "{\"b\":[\n2]}", "{}"]);
    check("[1,2]\n[3]", &["1", "2", "3"]);
    check("true", &["true"]);
}

#[test]
fn a_body_that_is_no_json_is_refused_as_a_whole_with_its_place() {
    let check = |body: &str, at, line, column, why| {
        assert_eq!(
            records(body.as_bytes()),
            Err(BodyError::NotJson { at, line, column, why }),
            "{body}"
        );
    };
    check("", 0, 1, 1, "the text ends where a value must stand");
    check(" \n", 2, 2, 1, "the text ends where a value must stand");
    check("\u{feff}x", 3, 1, 4, "a value must stand here");
    check("{\"a\":1}\n{\"b\":}", 13, 2, 6, "a value must stand here");
    check("{} []", 3, 1, 4, "the next record must stand on a line of its own");
    check("[] {}", 3, 1, 4, "the next record must stand on a line of its own");
    check("[{},]", 4, 1, 5, "a value must stand here");
    check("[{}", 3, 1, 4, "a comma or the closing bracket must stand here");
    check("{\"a\":1", 6, 1, 7, "the text ends within an array or object");
    let error = records(b"{}\n{").unwrap_err().to_string();
    assert_eq!(error, "the body is no JSON: line 2, column 2: a key in quotes must stand here");
}

#[test]
fn a_body_holds_so_many_records_and_no_more() {
    let body = format!("[{}1]", "1,".repeat(RECORDS_MAX - 1));
    assert_eq!(records(body.as_bytes()).unwrap().len(), RECORDS_MAX);
    let lines = "1\n".repeat(RECORDS_MAX + 1);
    assert_eq!(records(lines.as_bytes()), Err(BodyError::TooManyRecords));
}

#[test]
fn every_understood_field_finds_its_place() {
    let raw = concat!(
        r#"{"hostname":"edge-r1","message":"<131>link down\n","timestamp":"2026-11-23T21:00:00+01:00","#,
        r#""syslog_severity":3,"facility":"local7","program":"rpd","source":"syslog","#,
        r#""source_ip":"10.0.0.9","event_id":"e-1","rack":{"row":[1, 2]},"note":null}"#
    );
    let Decoded { event, event_id } = decoded(raw.as_bytes());
    assert_eq!(notes(&event), (ParseStatus::Ok, ""));
    assert_eq!(event.source, mutt_model::Source::Http);
    assert_eq!(event.parse.format, "json");
    assert_eq!((event.host.as_ref(), event.relay.as_deref()), ("edge-r1", Some("192.0.2.7")));
    assert_eq!(event.message, "<131>link down");
    assert_eq!(event.device_time, Timestamp::parse_rfc3339("2026-11-23T20:00:00Z"));
    assert_eq!(event.severity.map(|s| s.number()), Some(3));
    assert_eq!((event.facility, event.app.as_deref()), (Some(23), Some("rpd")));
    assert_eq!(event_id.as_deref(), Some("e-1"));
    assert_eq!(
        event.fields.as_deref(),
        Some(concat!(
            r#"{"source":"syslog","source_ip":"10.0.0.9","event_id":"e-1","#,
            r#""rack":{"row":[1,2]},"note":null}"#
        ))
    );
    assert_eq!(event.raw.as_ref(), raw.as_bytes());
}

#[test]
fn a_text_without_escapes_is_a_range_over_the_record() {
    let raw = r#"{"hostname":"h","message":"m","timestamp":"2026-11-23T21:00:00Z"}"#;
    let event = event(raw);
    assert!(matches!(event.message, std::borrow::Cow::Borrowed(_)));
    assert!(matches!(event.host, std::borrow::Cow::Borrowed(_)));
    assert_eq!(event.fields, None);
}

#[test]
fn what_a_record_lacks_or_gets_wrong_is_noted() {
    let check = |raw: &str, status, expected: &str| {
        let event = event(raw);
        assert_eq!(notes(&event), (status, expected), "{raw}");
        assert!(!event.host.is_empty());
    };
    let partial = ParseStatus::Partial;
    check("{}", partial, "no hostname\nno timestamp\nno message");
    check(r#"{"host":"h","message":"","timestamp":1764000000}"#, ParseStatus::Ok, "");
    let with = |rest: &str| {
        format!(r#"{{"hostname":"h","message":"m","timestamp":"2026-11-23T21:00:00Z",{rest}}}"#)
    };
    check(&with(r#""hostname":"g""#), partial, "a key stands twice, the last counts");
    check(&with(r#""severity":9"#), partial, "severity not understood");
    check(&with(r#""severity":"Major""#), ParseStatus::Ok, "");
    check(&with(r#""facility":"local9""#), partial, "facility not understood");
    check(&with(r#""trap_oid":"linkDown""#), partial, "trap_oid not understood");
    check(&with(r#""varbinds":[1]"#), partial, "varbinds not understood");
    check(
        &with(r#""message":7"#),
        partial,
        "a key stands twice, the last counts\nmessage is no text",
    );
    check(&with(r#""x":"\u0000""#), partial, "nul replaced");
    check(&with(r#""x":"\ud800""#), partial, "invalid utf-8 replaced");
    let deep = format!("\"x\":{}1{}", "[".repeat(65), "]".repeat(65));
    check(&with(&deep), partial, "a field nests too deep and is kept as text");
    check("[1]", ParseStatus::Failed, "not an object");
    check("\"text\"", ParseStatus::Failed, "not an object");
    check("{\"a\":", ParseStatus::Failed, "the text ends where a value must stand");
    assert_eq!(event("\"text\"").message, "text");
    assert_eq!(event("17").message, "17");
    assert_eq!(event(&with(r#""hostname":"g""#)).host, "g");
    assert_eq!(event(r#"{"source_ip":"10.0.0.9"}"#).host, "10.0.0.9");
    assert_eq!(event(r#"{"source_ip":"not an address"}"#).host, "192.0.2.7");
    let wrong = with(r#""severity":9,"facility":"local9""#);
    assert_eq!(event(&wrong).fields.as_deref(), Some(r#"{"severity":9,"facility":"local9"}"#));
}

#[test]
fn severities_and_times_as_the_field_writes_them() {
    let severity = |text: &str| {
        let raw = format!(r#"{{"severity":{text}}}"#);
        event(&raw).severity.map(|s| s.number())
    };
    assert_eq!(severity("4"), Some(4));
    assert_eq!(severity("\"2\""), Some(2));
    assert_eq!(severity("\"Warning\""), Some(4));
    assert_eq!(severity("\"Critical\""), Some(2));
    assert_eq!(severity("\"Minor\""), Some(4));
    assert_eq!(severity("true"), None);
    assert_eq!(severity("null"), None);
    let both = event(r#"{"severity":"Minor","syslog_severity":1}"#);
    assert_eq!(both.severity.map(|s| s.number()), Some(1));
    assert_eq!(both.fields.as_deref(), Some(r#"{"severity":"Minor"}"#));
    let time = |text: &str, micros: Option<i64>, note: Option<&str>| {
        let raw = format!(r#"{{"timestamp":{text}}}"#);
        let event = event(&raw);
        assert_eq!(event.device_time.map(|t| t.0), micros, "{text}");
        assert_eq!(event.time_note.as_deref(), note, "{text}");
    };
    let at = Some(1_764_000_000_500_000);
    time("\"2025-11-24T16:00:00.5000000Z\"", at, None);
    time("\"2025-11-24T16:00:00.5\"", at, Some("zone assumed utc"));
    time("\"2025-11-24 16:00:00.5\"", at, Some("zone assumed utc"));
    time("1764000000.5", at, Some("epoch"));
    time("\"1764000000500\"", at, Some("epoch"));
    time("1764000000500000", at, Some("epoch"));
    time("1e300", None, None);
    time("\"yesterday\"", None, None);
}

#[test]
fn a_trap_over_http_reads_as_one_over_snmp() {
    let raw = concat!(
        r#"{"hostname":"edge-r1","timestamp":"2026-11-23T21:00:00Z","trap_oid":".1.3.6.1.6.3.1.1.5.3","#,
        r#""varbinds":[{"oid":".1.3.6.1.2.1.2.2.1.1.12","type":"INTEGER","value":12},"#,
        r#"{"oid":"1.3.6.1.2.1.2.2.1.2.12","value":"GigabitEthernet0/1"}]}"#
    );
    let trap = event(raw);
    assert_eq!(notes(&trap), (ParseStatus::Partial, "no message"));
    assert_eq!(trap.trap_oid.as_deref(), Some("1.3.6.1.6.3.1.1.5.3"));
    assert_eq!(trap.trap_name.as_deref(), Some("linkDown"));
    assert_eq!(trap.resource.as_deref(), Some("GigabitEthernet0/1"));
    assert_eq!(trap.severity.map(|s| s.number()), Some(3));
    assert_eq!(trap.message, "linkDown ifIndex.12=12 ifDescr.12=GigabitEthernet0/1");
    assert_eq!(
        trap.varbinds.as_deref(),
        Some(concat!(
            r#"[{"oid":"1.3.6.1.2.1.2.2.1.1.12","name":"ifIndex.12","type":"INTEGER","value":12},"#,
            r#"{"oid":"1.3.6.1.2.1.2.2.1.2.12","name":"ifDescr.12","type":null,"value":"GigabitEthernet0/1"}]"#
        ))
    );
    let own = event(
        r#"{"trap_oid":"1.3.6.1.6.3.1.1.5.3","message":"ours","severity":6,"varbinds":{"1.3.6.1.2.1.2.2.1.2.1":"e0"}}"#,
    );
    assert_eq!((own.message.as_ref(), own.resource.as_deref()), ("ours", Some("e0")));
    assert_eq!(own.severity.map(|s| s.number()), Some(6));
    assert_eq!(event(r#"{"message":"m","trap_oid":null}"#).trap_oid, None);
}

#[test]
fn what_a_device_said_is_read_as_from_syslog() {
    let check = |message: &str, mnemonic: Option<&str>, resource: Option<&str>| {
        let raw = format!("{{\"message\":{}}}", serde_json::Value::from(message));
        let event = event(&raw);
        assert_eq!(event.message, message);
        assert_eq!((event.mnemonic.as_deref(), event.resource.as_deref()), (mnemonic, resource));
    };
    let down = "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down";
    check(down, Some("LINK-3-UPDOWN"), Some("GigabitEthernet0/1"));
    let quoted = format!("{down} \"x\"");
    check(&quoted, Some("LINK-3-UPDOWN"), Some("GigabitEthernet0/1"));
    check("<131>Nov 23 21:00:00 edge-r1 %LINK-3-UPDOWN: Interface Gi0/1", None, None);
}

/// What holds for every record.
fn check_total(raw: &[u8]) {
    let event = decoded(raw).event;
    assert_eq!(event.raw.as_ref(), raw);
    assert!(!event.host.is_empty());
    for json in [&event.fields, &event.varbinds].into_iter().flatten() {
        assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        assert!(!json.contains('\0') && !json.contains("\\u0000"), "{json}");
        assert!(json.len() <= 1_000 + raw.len() * 32);
    }
    assert!(!event.message.contains('\0') && !event.host.contains('\0'));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(
                "hostname|message|severity|trap_oid|varbinds|[a-z]{0,3}",
                inner,
                0..6
            )
            .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_records_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for raw in records(&body).unwrap_or_default() {
            check_total(raw);
        }
        check_total(&body);
    }

    #[test]
    fn whatever_is_json_is_taken(values in proptest::collection::vec(any_json(), 1..4), lines: bool) {
        let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
        let body = if lines { texts.join("\n") } else { format!("[{}]", texts.join(",")) };
        let found = records(body.as_bytes()).unwrap();
        if !lines {
            prop_assert_eq!(found.len(), values.len());
        }
        found.into_iter().for_each(check_total);
    }

    #[test]
    fn a_damaged_body_never_panics(
        value in any_json(),
        at in any::<proptest::sample::Index>(),
        byte: u8,
    ) {
        let mut body = value.to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        for raw in records(&body).unwrap_or_default() {
            check_total(raw);
        }
        check_total(&body);
    }
}

#[test]
fn the_json_test_suite_is_taken_and_refused_as_it_wants() {
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora/json");
    let Ok(entries) = std::fs::read_dir(root) else {
        println!("skipped: corpora not present");
        return;
    };
    let (mut taken, mut refused) = (0, 0);
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let body = std::fs::read(&path).unwrap();
        let found = records(&body);
        match name.split('_').next() {
            Some("y") => {
                taken += usize::from(
                    found.as_ref().map(|_| ()).map_err(|e| panic!("{name}: {e}")).is_ok(),
                )
            }
            Some("n") => {
                assert!(found.is_err(), "{name}");
                refused += 1;
            }
            _ => {}
        }
        found.unwrap_or_default().into_iter().for_each(check_total);
        check_total(&body);
    }
    assert!(taken > 80 && refused > 150, "{taken} {refused}");
}
