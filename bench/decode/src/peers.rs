//! Crates that read the fields of a dialect into a map, too, as a program would use them: the header by
//! syslog_loose, then the message by the crate for its form, where one crate does not read both.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;

use cef2hashmap::CefToHashMap;
use syslog_loose::Variant;

/// The peer that reads the fields of a line of this name, and how. There is none on crates.io for
/// LEEF, for Check Point and for the pairs of BIG-IP.
pub(crate) fn of_fields(name: &str) -> Option<(&'static str, fn(&str))> {
    Some(match name {
        "rfc5424 with data" | "juniper structured" | "f5-bigip structured" => {
            ("syslog_rfc5424 0.10: structured data to a map", rfc5424)
        }
        "fortinet" | "key-value" | "sonicwall" => {
            ("syslog_loose 0.23, tpt-logfmt-parse 0.3 to a map", logfmt)
        }
        "paloalto" | "paloalto traffic" => ("syslog_loose 0.23, csv-core 0.1 to columns", columns),
        "cef" | "cef long" => ("cef2hashmap 0.1", cef),
        "json" => ("syslog_loose 0.23, serde_json to Value", json),
        _ => return None,
    })
}

/// The message behind its header, which is read by syslog_loose; `mark` is what it begins with.
fn behind<'a>(line: &'a str, mark: &str) -> &'a str {
    black_box(syslog_loose::parse_message(line, Variant::Either));
    &line[line.find(mark).expect("the mark of the message")..]
}

fn rfc5424(line: &str) {
    let message = syslog_rfc5424::parse_message(line);
    assert!(black_box(message).is_ok());
}

fn logfmt(line: &str) {
    let mark = ["date=", "time=", "id="].into_iter().find(|mark| line.contains(*mark));
    let pairs = tpt_logfmt_parse::parse_to_map(behind(line, mark.expect("a first key")));
    assert!(black_box(pairs).is_ok_and(|pairs| pairs.len() > 3));
}

fn columns(line: &str) {
    // What it makes beforehand is made once, and its buffers are kept.
    thread_local! {
        static READER: RefCell<csv_core::Reader> = RefCell::new(csv_core::Reader::new());
    }
    let text = behind(line, "1,2").as_bytes();
    let (mut out, mut ends) = ([0; 2048], [0; 160]);
    READER.with_borrow_mut(|reader| {
        reader.reset();
        let (_, read, written, _) = reader.read_record(text, &mut out, &mut ends);
        let (_, _, _, last) = reader.read_record(&text[read..], &mut out[written..], &mut ends);
        assert!(read == text.len() && black_box(last) <= 160);
    });
    black_box((out, ends));
}

fn cef(line: &str) {
    let fields: Result<HashMap<String, String>, _> = line.to_hashmap(false);
    assert!(black_box(fields).is_ok_and(|fields| fields.len() > 7));
}

fn json(line: &str) {
    let object = serde_json::from_str::<serde_json::Value>(behind(line, "{"));
    assert!(black_box(object).is_ok());
}
