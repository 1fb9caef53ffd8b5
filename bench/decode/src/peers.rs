//! Crates that read of a dialect what MUTT reads of it: the fields into a map, or the words that a
//! vendor puts between header and message. As a program would use them: the header by syslog_loose,
//! then the message by the crate for its form, where one crate does not read both.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::LazyLock;

use cef2hashmap::CefToHashMap;
use regex::Regex;
use syslog_loose::Variant;

use crate::patterns;

/// A peer for one dialect.
pub(crate) type Peer = (&'static str, Box<dyn Fn(&str)>);

/// The peers that read all of a line of this name.
pub(crate) fn of(name: &'static str) -> Vec<Peer> {
    fn peer(what: &'static str, read: impl Fn(&str) + 'static) -> Peer {
        (what, Box::new(read))
    }
    let mut peers = match name {
        "rfc5424" | "rfc5424 with data" | "juniper structured" | "f5-bigip structured" => {
            vec![peer("syslog_rfc5424 0.10: with data to a map", rfc5424)]
        }
        "fortinet" | "key-value" | "sonicwall" => {
            vec![peer("syslog_loose, tpt-logfmt-parse 0.3 to a map", logfmt)]
        }
        "paloalto" | "paloalto traffic" => {
            vec![peer("syslog_loose, csv-core 0.1 to a map", columns)]
        }
        "cef" | "cef long" => vec![peer("cef2hashmap 0.1", cef)],
        "json" => vec![peer("syslog_loose, serde_json to Value", json)],
        "checkpoint" | "f5-asm" => vec![peer("syslog_loose, regex 1 to a map", pairs)],
        "leef" => vec![peer("syslog_loose, split at tabs to a map", tabs)],
        _ => Vec::new(),
    };
    if let Some((pattern, time)) = patterns::of(name) {
        let read = move |line: &str| {
            let found = pattern.match_against(line).expect("a line of the pattern's dialect");
            black_box(found.get("time").or(found.get("start_time")).map(|text| time.read(text)));
            black_box(found.collect::<Vec<_>>());
        };
        peers.push(peer("grok 2.4 (PCRE2, JIT), chrono 0.4", read));
    }
    peers
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
    // What it makes beforehand is made once, and its buffers are kept; so are the columns' names.
    thread_local! {
        static READER: RefCell<csv_core::Reader> = RefCell::new(csv_core::Reader::new());
        static NAMES: Vec<String> = (0..160).map(|n| format!("column{n}")).collect();
    }
    let text = behind(line, "1,2").as_bytes();
    let (mut out, mut ends) = ([0; 2048], [0; 160]);
    let columns = READER.with_borrow_mut(|reader| {
        reader.reset();
        let (_, read, written, first) = reader.read_record(text, &mut out, &mut ends);
        let (more, ends) = (&mut out[written..], &mut ends[first..]);
        let (_, _, _, last) = reader.read_record(&text[read..], more, ends);
        first + last
    });
    NAMES.with(|names| {
        let begins = [0].into_iter().chain(ends);
        let texts =
            begins.zip(ends).take(columns).map(|(from, to)| std::str::from_utf8(&out[from..to]));
        let map: HashMap<&str, &str> =
            names.iter().map(String::as_str).zip(texts.map_while(Result::ok)).collect();
        assert!(black_box(map).len() > 7);
    });
}

fn cef(line: &str) {
    let fields: Result<HashMap<String, String>, _> = line.to_hashmap(false);
    assert!(black_box(fields).is_ok_and(|fields| fields.len() > 7));
}

fn json(line: &str) {
    let object = serde_json::from_str::<serde_json::Value>(behind(line, "{"));
    assert!(black_box(object).is_ok());
}

/// `key:"value"` and `key="value"`, a quote within doubled or escaped.
fn pairs(line: &str) {
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(\w+)[:=]"((?:[^"\\]|""|\\.)*)""#).expect("a pattern"));
    black_box(syslog_loose::parse_message(line, Variant::Either));
    let map: HashMap<&str, &str> = PAIR
        .captures_iter(line)
        .map(|pair| {
            let (_, [key, value]) = pair.extract();
            (key, value)
        })
        .collect();
    assert!(black_box(map).len() > 7);
}

fn tabs(line: &str) {
    let text = behind(line, "cat=");
    let map: HashMap<&str, &str> =
        text.split('\t').filter_map(|pair| pair.split_once('=')).collect();
    assert!(black_box(map).len() > 7);
}
