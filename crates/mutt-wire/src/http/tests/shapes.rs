//! Every shape in which clients send: bodies of testdata/http, and what by-hand bodies become.

use mutt_model::{Event, Id, ParseStatus, Timestamp};
use proptest::prelude::*;

use crate::Frame;
use crate::http::{
    BodyError, Defaults, Query, RECORDS_MAX, Record, Shape, With, decode_record, read,
};
use crate::snmp::names::Names;
use crate::syslog;

fn frame() -> Frame<'static> {
    let (id, received_at) = (Id([1; 16]), Timestamp(1_795_464_100_000_000));
    Frame { id, received_at, listener: "http", peer: "192.0.2.7:40022", raw: b"" }
}

fn event<'a>(record: &Record<'a>, defaults: &Defaults) -> Event<'a> {
    let with = With { options: &syslog::Options::default(), names: Names::builtin() };
    decode_record(frame(), record, defaults, with).event
}

fn events(shape: Shape, body: &[u8]) -> Vec<Event<'_>> {
    let records = read(shape, body).unwrap_or_else(|e| panic!("{e}"));
    records.iter().map(|record| event(record, &Defaults::default())).collect()
}

/// `host severity facility app[procid] format time | message | fields`.
fn told(event: &Event<'_>) -> String {
    let number = |n: Option<u8>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{} {} {} {}[{}] {} {} | {} | {} | {}",
        event.host,
        number(event.severity.map(|s| s.number())),
        number(event.facility),
        event.app.as_deref().unwrap_or("-"),
        event.procid.as_deref().unwrap_or("-"),
        event.parse.format,
        event.device_time.map_or("-".to_owned(), |t| (t.0 - 1_795_464_000_000_000).to_string()),
        event.message,
        event.fields.as_deref().unwrap_or("-"),
        event.parse.notes.replace('\n', ", "),
    )
}

#[track_caller]
fn check(shape: Shape, body: &str, expected: &[&str]) {
    let events = events(shape, body.as_bytes());
    let told: Vec<_> = events.iter().map(told).collect();
    assert_eq!(told, expected, "{body}");
}

#[test]
fn bodies_as_clients_document_them() {
    let file = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/http/");
        std::fs::read_to_string(format!("{folder}{name}")).unwrap()
    };
    check(
        Shape::Json,
        &file("rsyslog-single.json"),
        &[
            "edge-r1 3 23 -[-] json 250000 | %LINK-3-UPDOWN: Interface Gi0/1, changed state to down \
           | {\"timegenerated\":\"2026-11-23T20:00:00.251000+00:00\"} | ",
        ],
    );
    check(
        Shape::Text,
        &file("rsyslog-newline.txt"),
        &[
            "edge-r1 3 23 rpd[4711] rfc5424 250000 | BGP peer 192.0.2.9 went down | - | ",
            "edge-r2 3 23 sshd[77] rfc3164 1000000 | session closed | - | ",
        ],
    );
    check(
        Shape::Json,
        &file("rsyslog-jsonarray.json"),
        &[
            "edge-r1 2 23 chassisd[12] json 0 | fan 2 failed | - | ",
            "edge-r1 5 23 chassisd[12] json 1000000 | fan 2 recovered | - | ",
        ],
    );
    check(
        Shape::Json,
        &file("rsyslog-kafkarest.json"),
        &[
            "edge-r1 2 - -[-] json - | fan 2 failed | - | no timestamp",
            "edge-r2 2 4 su[5] json 0 | failed for root | - | ",
        ],
    );
    let loki = [
        "edge-r1 3 23 rpd[-] loki 250000 | BGP peer 192.0.2.9 went down \
         | {\"host\":\"edge-r1\",\"facility\":\"local7\",\"severity\":\"err\",\"program\":\"rpd\"} | ",
        "core-9 3 23 sshd[77] loki 1000000 | session closed \
         | {\"host\":\"edge-r2\",\"job\":\"syslog\"} | ",
        "edge-r2 4 - syslog[-] loki 2000000 | plain words \
         | {\"host\":\"edge-r2\",\"job\":\"syslog\",\"detected_level\":\"warn\",\"trace_id\":\"ab12\"} | ",
    ];
    check(Shape::Loki, &file("rsyslog-lokirest.json"), &loki);
    check(Shape::Json, &file("rsyslog-lokirest.json"), &loki);
    check(
        Shape::Json,
        &file("syslog-ng.json"),
        &[
            "edge-r1 3 23 rpd[4711] json 250000 | BGP peer 192.0.2.9 went down \
             | {\"SOURCE\":\"s_net\",\"LEGACY_MSGHDR\":\"rpd[4711]: \",\"HOST_FROM\":\"relay1\",\
             \"DATE\":\"Nov 23 21:00:00\"} | ",
            "edge-r2 5 0 kernel[-] json - | link up | {\"DATE\":\"Nov 23 21:00:01\"} | no timestamp",
        ],
    );
    check(
        Shape::Json,
        &file("vector.ndjson"),
        &[
            "edge-r1 3 23 rpd[4711] json 250000 | BGP peer 192.0.2.9 went down \
             | {\"host\":\"edge-r1\",\"source_ip\":\"192.0.2.7\",\"source_type\":\"syslog\",\"version\":1} | ",
            "edge-r2 - - -[-] json 1000000 | disk is nearly full \
             | {\"file\":\"/var/log/app.log\",\"source_type\":\"file\"} | ",
        ],
    );
    check(
        Shape::Json,
        &file("fluent-bit.json_stream"),
        &[
            "edge-r1 3 23 rpd[4711] json 250000 | BGP peer 192.0.2.9 went down \
             | {\"time\":\"Nov 23 20:00:00\"} | ",
            "edge-r2 4 - -[-] json 1000000 | disk is nearly full | - | ",
        ],
    );
    check(
        Shape::Loki,
        &file("loki.json"),
        &["edge-r4 3 - billing[-] loki 250000 | payment failed \
           | {\"msg\":\"payment failed\",\"amount\":12,\"service_name\":\"billing\",\
           \"instance\":\"edge-r4\",\"level\":\"error\"} | "],
    );
}

#[test]
fn records_of_the_event_collector() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/http/splunk-hec.json");
    check(
        Shape::Hec,
        &std::fs::read_to_string(folder).unwrap(),
        &[
            "edge-r1 3 23 rpd[4711] hec 250000 | BGP peer 192.0.2.9 went down \
             | {\"source\":\"udp:514\",\"sourcetype\":\"syslog\",\"index\":\"net\"} | ",
            "edge-r2 4 - -[-] hec 1000000 | disk is nearly full \
             | {\"disk\":{\"used\":97},\"site\":\"b7\"} | ",
            "192.0.2.7 - - -[-] hec - | no envelope | - | no hostname",
            "edge-r3 - - -[-] hec - | {\"a\":1} | {\"a\":1} | ",
        ],
    );
    check(
        Shape::Hec,
        r#"{"host":"h","time":"soon"}[{"host":"h","event":7},{"host":"h","event":"%LINK-3-UPDOWN: x"}]"#
            .replace("}[", "}\n[")
            .as_str(),
        &[
            "h - - -[-] hec - |  | {\"time\":\"soon\"} | no event, time not understood",
            "h - - -[-] hec - | 7 | - | ",
            "h 3 - -[-] hec - | %LINK-3-UPDOWN: x | - | ",
        ],
    );
    let pairs = [("host", "h9"), ("sourcetype", "st"), ("time", "1795464000"), ("index", "")];
    let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let defaults = Query { pairs: pairs.into() }.defaults();
    let body = b"plain words\r\n\n<34>Nov 23 20:00:01 core su: no\n{\"a\":1}";
    let records = read(Shape::HecRaw, body).unwrap();
    let found: Vec<_> = records.iter().map(|record| told(&event(record, &defaults))).collect();
    assert_eq!(
        found,
        [
            "h9 - - -[-] hec 0 | plain words | {\"sourcetype\":\"st\"} | ",
            "core 2 4 su[-] rfc3164 1000000 | no | {\"sourcetype\":\"st\"} | ",
            "h9 - - -[-] hec 0 | {\"a\":1} | {\"a\":1,\"sourcetype\":\"st\"} | ",
        ]
    );
}

#[test]
fn text_is_lines_and_json_that_is_called_text_is_json() {
    check(
        Shape::Text,
        "{\"hostname\":\"h\",\"message\":\"m\",\"timestamp\":1795464000}\n<13>broken {\n{\"a\":",
        &[
            "h - - -[-] json 0 | m | - | ",
            "192.0.2.7 5 1 -[-] unknown - | broken { | - | no header",
            "192.0.2.7 - - -[-] unknown - | {\"a\": | - | no priority, no header",
        ],
    );
    check(
        Shape::Text,
        "[{\"hostname\":\"h\",\"message\":\"m\",\"timestamp\":1795464000}]",
        &["h - - -[-] json 0 | m | - | "],
    );
    let defaults = Defaults {
        host: Some("h1".to_owned()),
        app: Some("rpd".to_owned()),
        facility: Some(23),
        severity: mutt_model::Severity::new(3),
        ..Defaults::default()
    };
    let records = read(Shape::Text, b"words").unwrap();
    let found = event(&records[0], &defaults);
    assert_eq!((found.host.as_ref(), found.app.as_deref()), ("h1", Some("rpd")));
    assert_eq!((found.facility, found.severity.map(|s| s.number())), (Some(23), Some(3)));
}

#[test]
fn a_batch_that_is_none_stays_a_record() {
    for body in [
        r#"{"records":[{"value":1},{"other":2}]}"#,
        r#"{"records":[{"value":1}],"more":1}"#,
        r#"{"records":{"value":1}}"#,
        r#"{"streams":[{"stream":{},"values":[["1"]]}]}"#,
        r#"{"streams":[{"stream":{},"values":[[{},"x"]]}]}"#,
        r#"{"streams":[{"values":[["1","x",5]]}]}"#,
        r#"{"streams":7}"#,
    ] {
        let records = read(Shape::Loki, body.as_bytes()).unwrap();
        assert_eq!(records.len(), 1, "{body}");
        let event = event(&records[0], &Defaults::default());
        assert_eq!((event.parse.format.as_ref(), event.raw.as_ref()), ("json", body.as_bytes()));
        assert_eq!(event.parse.status, ParseStatus::Partial);
    }
    assert!(read(Shape::Loki, br#"{"streams":[]}"#).unwrap().is_empty());
    assert!(read(Shape::Json, br#"{"records":[]}"#).unwrap().is_empty());
}

#[test]
fn what_records_share_is_spread_within_a_bound() {
    let label = "x".repeat(32 * 1024);
    let values = "[\"1\",\"l\"],".repeat(3_000);
    let body = format!(
        "{{\"streams\":[{{\"stream\":{{\"a\":\"{label}\"}},\"values\":[{}]}}]}}",
        values.trim_end_matches(',')
    );
    assert_eq!(read(Shape::Loki, body.as_bytes()).unwrap_err(), BodyError::TooWide);
    let lines = "x\n".repeat(RECORDS_MAX + 1);
    assert_eq!(read(Shape::Text, lines.as_bytes()).unwrap_err(), BodyError::TooManyRecords);
}

/// A message with one field after the other.
fn message(fields: &[(u8, Wire<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, wire) in fields {
        match wire {
            Wire::Varint(value) => {
                out.push(number << 3);
                varint(*value, &mut out);
            }
            Wire::Fixed(value) => {
                out.push((number << 3) | 1);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Wire::Bytes(bytes) => {
                out.push((number << 3) | 2);
                varint(bytes.len() as u64, &mut out);
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    message(&[(1, Wire::Bytes(key.as_bytes())), (2, Wire::Bytes(value))])
}

fn text(value: &str) -> Vec<u8> {
    message(&[(1, Wire::Bytes(value.as_bytes()))])
}

/// The same request as testdata/http/otlp.json.
fn request() -> Vec<u8> {
    use Wire::{Bytes, Fixed, Varint};
    let list = message(&[(1, Bytes(&text("a"))), (1, Bytes(&message(&[(3, Varint(2))])))]);
    let map = message(&[(1, Bytes(&pair("k", &text("v"))))]);
    let number = |n| message(&[(3, Varint(n))]);
    let attributes = [
        pair("count", &number(9_007_199_254_740_993)),
        pair("ratio", &message(&[(4, Fixed(0.5f64.to_bits()))])),
        pair("late", &message(&[(2, Varint(1))])),
        pair("tags", &message(&[(5, Bytes(&list))])),
        pair("map", &message(&[(6, Bytes(&map))])),
    ];
    let mut first = message(&[
        (1, Fixed(1_795_464_000_250_000_000)),
        (11, Fixed(1_795_464_000_300_000_000)),
        (2, Varint(18)),
        (3, Bytes(b"Critical")),
        (5, Bytes(&text("payment failed"))),
        (9, Bytes(b"\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c")),
        (10, Bytes(b"\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74")),
    ]);
    for attribute in &attributes {
        first.extend(message(&[(6, Bytes(attribute))]));
    }
    let body = message(&[(6, Bytes(&message(&[(1, Bytes(&pair("msg", &text("from a map"))))])))]);
    let second = message(&[
        (11, Fixed(1_795_464_001_000_000_000)),
        (2, Varint(13)),
        (5, Bytes(&body)),
        (6, Bytes(&pair("hostname", &text("edge-r1")))),
        (6, Bytes(&pair("appname", &text("rpd")))),
        (6, Bytes(&pair("facility", &number(23)))),
    ]);
    let scope = message(&[(1, Bytes(b"my.library")), (2, Bytes(b"1.0.0"))]);
    let scope_logs = message(&[(2, Bytes(&first)), (1, Bytes(&scope)), (2, Bytes(&second))]);
    let resource = message(&[
        (1, Bytes(&pair("service.name", &text("billing")))),
        (1, Bytes(&pair("host.name", &text("node-7")))),
    ]);
    message(&[(1, Bytes(&message(&[(2, Bytes(&scope_logs)), (1, Bytes(&resource))])))])
}

#[test]
fn otlp_says_the_same_in_both_encodings() {
    let shared = "\"resource\":{\"service.name\":\"billing\",\"host.name\":\"node-7\"},\
                  \"scope\":{\"name\":\"my.library\",\"version\":\"1.0.0\"}}";
    let expected = [
        format!(
            "node-7 2 - billing[-] otlp 250000 | payment failed | {{\"count\":9007199254740993,\
             \"ratio\":0.5,\"late\":true,\"tags\":[\"a\",2],\"map\":{{\"k\":\"v\"}},\
             \"severity_text\":\"Critical\",\"trace_id\":\"5b8efff798038103d269b633813fc60c\",\
             \"span_id\":\"eee19b7ec3c1b174\",{shared} | "
        ),
        format!(
            "edge-r1 4 23 rpd[-] otlp 1000000 | from a map | {{\"msg\":\"from a map\",\
             \"hostname\":\"edge-r1\",\"appname\":\"rpd\",\"facility\":23,{shared} | "
        ),
    ];
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/http/otlp.json");
    let json = std::fs::read(file).unwrap();
    for (shape, body) in [(Shape::OtlpJson, json), (Shape::OtlpProto, request())] {
        let found: Vec<_> = events(shape, &body).iter().map(told).collect();
        assert_eq!(found, expected, "{shape:?}");
    }
    let body = request();
    let events = events(Shape::OtlpProto, &body);
    assert_eq!(events[1].time_note.as_deref(), Some("time observed"));
    assert!(body.windows(events[0].raw.len()).any(|w| w == events[0].raw.as_ref()));
}

#[test]
fn what_is_no_otlp_is_refused_with_the_reason() {
    let refused = |shape, body: &[u8]| read(shape, body).unwrap_err().to_string();
    assert!(read(Shape::OtlpProto, b"").unwrap().is_empty());
    assert!(read(Shape::OtlpJson, b"{}").unwrap().is_empty());
    assert!(read(Shape::OtlpJson, b"{\"resourceLogs\":[{\"scopeLogs\":null}],\"new\":1}").is_ok());
    let check = |shape, body: &[u8], why: &str| {
        let said = refused(shape, body);
        assert!(said.ends_with(why), "{body:?}: {said}");
    };
    check(Shape::OtlpProto, b"{\"resourceLogs\":[]}", "a field has an unknown wire type");
    check(Shape::OtlpProto, b"\x0a\xff\xff\xff\xff\x0f", "the message ends within a field");
    check(Shape::OtlpProto, &[0x0a, 0xff], "the message ends within a field");
    check(Shape::OtlpProto, &[0x08, 1], "a field has the wrong wire type");
    check(Shape::OtlpProto, &[0x00, 1], "a field has no possible number");
    check(Shape::OtlpProto, &[0xff; 11], "a number is too long");
    check(Shape::OtlpJson, b"[]", "an object must stand where none does");
    check(Shape::OtlpJson, b"{\"resourceLogs\":{}}", "an array must stand where none does");
    check(Shape::OtlpJson, b"{} {}", "more follows the request");
    check(Shape::OtlpJson, b"{", "a key in quotes must stand here");
    let wrong = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}"#;
    check(Shape::OtlpJson, wrong, "a number must stand where none does");
}

#[test]
fn values_that_nest_without_end_are_cut() {
    let mut value = text("inmost");
    for _ in 0..200 {
        let list = message(&[(1, Wire::Bytes(&value))]);
        value = message(&[(5, Wire::Bytes(&list))]);
    }
    let log = message(&[(6, Wire::Bytes(&pair("deep", &value)))]);
    let logs = message(&[(2, Wire::Bytes(&log))]);
    let body = message(&[(1, Wire::Bytes(&message(&[(2, Wire::Bytes(&logs))])))]);
    let found = &events(Shape::OtlpProto, &body)[0];
    assert!(found.parse.notes.contains("nests too deep"), "{}", found.parse.notes);
    let deep = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{}{{\"intValue\":1}}{}}}]}}]}}]}}",
        "{\"arrayValue\":{\"values\":[".repeat(5_000),
        "]}}".repeat(5_000)
    );
    let found = &events(Shape::OtlpJson, deep.as_bytes())[0];
    assert!(found.parse.notes.contains("nests too deep"), "{}", found.parse.notes);
}

/// What holds for every record of every shape.
fn check_total(shape: Shape, body: &[u8]) {
    let Ok(records) = read(shape, body) else { return };
    for record in &records {
        let event = event(record, &Defaults::default());
        assert_eq!(event.raw.as_ref(), record.raw());
        assert!(!event.host.is_empty() && !event.parse.format.is_empty());
        if let Some(json) = &event.fields {
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        assert!(!event.message.contains('\0') && !event.host.contains('\0'));
    }
}

const SHAPES: [Shape; 7] = [
    Shape::Json,
    Shape::Text,
    Shape::Loki,
    Shape::Hec,
    Shape::HecRaw,
    Shape::OtlpJson,
    Shape::OtlpProto,
];

proptest! {
    #[test]
    fn any_bytes_are_records_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        SHAPES.into_iter().for_each(|shape| check_total(shape, &body));
    }

    #[test]
    fn a_damaged_request_never_panics(
        at in any::<proptest::sample::Index>(), byte: u8, cut in any::<proptest::sample::Index>()
    ) {
        let mut body = request();
        let place = at.index(body.len());
        body[place] = byte;
        check_total(Shape::OtlpProto, &body);
        check_total(Shape::OtlpProto, &body[..cut.index(body.len())]);
    }

    #[test]
    fn a_damaged_body_never_panics(
        file in 0..SAMPLES.len(), at in any::<proptest::sample::Index>(), byte: u8
    ) {
        let mut body = SAMPLES[file].to_vec();
        let place = at.index(body.len());
        body[place] = byte;
        SHAPES.into_iter().for_each(|shape| check_total(shape, &body));
    }
}

const SAMPLES: [&[u8]; 5] = [
    include_bytes!("../../../../../testdata/http/otlp.json"),
    include_bytes!("../../../../../testdata/http/splunk-hec.json"),
    include_bytes!("../../../../../testdata/http/rsyslog-lokirest.json"),
    include_bytes!("../../../../../testdata/http/rsyslog-kafkarest.json"),
    include_bytes!("../../../../../testdata/http/rsyslog-newline.txt"),
];
