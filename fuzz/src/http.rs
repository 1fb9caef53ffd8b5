//! The targets for HTTP ingest: each shape of a body.

use mutt_wire::http::{self, Query, Shape};
use mutt_wire::snmp::names::Names;
use mutt_wire::syslog;

use crate::bound::{Bound, bounded};
use crate::given::frame;
use crate::sound::assert_sound;
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "http_json", run: run_http_json, seeds: seeds_http_json },
    Target { name: "http_text", run: run_http_text, seeds: seeds_http_text },
    Target { name: "http_hec", run: run_http_hec, seeds: seeds_http_hec },
    Target { name: "otlp_json", run: run_otlp_json, seeds: seeds_otlp_json },
    Target { name: "otlp_proto", run: run_otlp_proto, seeds: seeds_otlp_proto },
];

/// Each record of a body is a reference, each member of one an entry.
const RECORDS: Bound = Bound { per_byte: 512, fixed: 256 << 10 };
/// Events that one input may ask for: more records of a body are read and not decoded.
const EVENTS_MAX: usize = 64;

/// Reads a body and decodes its records.
fn body(shape: Shape, data: &[u8]) {
    let records = bounded(data.len(), RECORDS, || http::read(shape, data));
    let Ok(records) = records else { return };
    assert!(records.len() <= http::RECORDS_MAX);
    let (defaults, options) = (Query::default().defaults(), syslog::Options::default());
    for record in records.iter().take(EVENTS_MAX) {
        let raw = record.raw();
        let with = http::With { options: &options, names: Names::builtin() };
        let decode = || http::decode_record(frame("http", raw), record, &defaults, with);
        // Attributes of a resource belong to each of its records.
        let decoded = bounded(data.len(), RECORDS, decode);
        assert_eq!(*decoded.event.raw, *raw);
        assert_sound(&decoded.event, raw);
        let again = decode();
        assert_eq!((again.event, again.event_id), (decoded.event, decoded.event_id));
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn seeds_http_json() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"message":"link down","host":"r1","severity":"error","timestamp":"2026-08-06T10:00:00Z"}"#,
        r#"[{"message":"a","facility":3,"event_id":"x1"},{"msg":"b","level":6,"deep":{"a":[1,2,{"b":null}]}}]"#,
        "{\"message\":\"one\"}\n{\"message\":\"two\",\"time\":1785996000.25}\n",
        r#"{"trap_oid":"1.3.6.1.6.3.1.1.5.3","varbinds":[{"oid":"1.3.6.1.2.1.2.2.1.1.12","type":"INTEGER","value":12}]}"#,
        r#"{"varbinds":{"1.3.6.1.2.1.2.2.1.2.12":"Gi0/1"},"message":"\u00fc\ud83d\ude00\u0000\n\"q\""}"#,
        r#"{"raw":"<13>Aug  6 10:00:00 h app[1]: text","syslog":"<13>x"}"#,
        r#"[[],{},"<13>Aug  6 10:00:00 h app[1]: text",1.5e-9,-0,true,false,null]"#,
        r#"{"records":[{"value":{"message":"x"}}]}"#,
        r#"{"streams":[{"stream":{"host":"h","app":"a"},"values":[["1785996000000000000","line"],["1785996000000000001","<13>x",{"k":"v"}]]}]}"#,
    ])
}

fn run_http_json(data: &[u8]) {
    body(Shape::Json, data);
    body(Shape::Loki, data);
}

fn seeds_http_text() -> Vec<Vec<u8>> {
    texts(&[
        "<13>Aug  6 10:00:00 h app[1]: text\nplain words\r\n\n{\"message\":\"x\"}\n",
        "{\"message\":\"x\"}\n{\"message\":\"y\"}",
        "{\"broken\": \nline\n",
    ])
}

fn run_http_text(data: &[u8]) {
    body(Shape::Text, data);
    body(Shape::HecRaw, data);
}

fn seeds_http_hec() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"time":1785996000.123,"host":"h","source":"s","sourcetype":"t","index":"i","event":"text","fields":{"a":"b"}}{"event":{"message":"x","severity":"error"}}"#,
        r#"{"time":"1785996000","event":"<13>Aug  6 10:00:00 h app[1]: text"} [{"event":1},{"event":null}]"#,
    ])
}

fn run_http_hec(data: &[u8]) {
    body(Shape::Hec, data);
}

fn seeds_otlp_json() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}},{"key":"service.name","value":{"stringValue":"s"}}]},"scopeLogs":[{"scope":{"name":"x","version":"1"},"logRecords":[{"timeUnixNano":"1785996000000000000","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"text"},"attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":1.5}]}}}],"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"}]}]}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"message","value":{"stringValue":"m"}}]}}},{"body":{"bytesValue":"AQID"}}]}]}]}"#,
    ])
}

fn run_otlp_json(data: &[u8]) {
    body(Shape::OtlpJson, data);
}

/// A field of protobuf that carries others.
fn nested(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

fn seeds_otlp_proto() -> Vec<Vec<u8>> {
    let text = |text: &str| nested(1, text.as_bytes());
    let pair = |key: &str, value: &[u8]| [text(key), nested(2, value)].concat();
    let host = nested(1, &pair("host.name", &text("h")));
    let number = nested(1, &pair("n", b"\x18\x07"));
    let resource = nested(1, &[host, number].concat());
    let mut record = b"\x09\x00\x00\x40\x11\x53\x0e\xc9\x18\x10\x11".to_vec();
    record.extend(nested(3, b"ERROR"));
    record.extend(nested(5, &text("text of the record")));
    record.extend(nested(6, &pair("list", &nested(5, &nested(1, &text("in a list"))))));
    record.extend(nested(9, &[7; 16]));
    record.extend(nested(10, &[9; 8]));
    let scope = [nested(1, &text("scope")), nested(2, &record), nested(2, &record)].concat();
    let scope = nested(2, &scope);
    vec![nested(1, &[resource, scope.clone()].concat()), nested(1, &scope)]
}

fn run_otlp_proto(data: &[u8]) {
    body(Shape::OtlpProto, data);
}
