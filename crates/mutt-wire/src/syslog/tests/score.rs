//! The score: for each dialect how many lines there are and how many facts of them are right, and the
//! same for the corpora of others. It is kept in testdata/syslog/score.json, which the document of the
//! dialects shows; `MUTT_WRITE_EXPECTED=1` keeps it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::*;
use crate::syslog::dialects;

/// The columns of the document.
pub(super) const COLUMNS: [&str; 8] =
    ["host", "device_time", "severity", "facility", "app", "mnemonic", "resource", "fields"];

/// Right and wanted, by column.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    counts: BTreeMap<&'static str, (u64, u64)>,
}

impl Tally {
    pub(super) fn count(&mut self, column: &'static str, right: bool) {
        let (agree, wanted) = self.counts.entry(column).or_default();
        *agree += u64::from(right);
        *wanted += 1;
    }

    pub(super) fn to_json(&self, lines: &str) -> Value {
        let mut out = Map::new();
        out.insert(lines.to_owned(), self.lines.into());
        for (column, (right, wanted)) in &self.counts {
            out.insert((*column).to_owned(), json!([right, wanted]));
        }
        Value::Object(out)
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/syslog/score.json")
}

/// Compares a part of the kept score, or keeps it.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
pub(super) fn kept(part: &str, seen: Value) {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let mut whole: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
    if std::env::var("MUTT_WRITE_EXPECTED").is_ok_and(|value| value == "1") {
        whole[part] = seen;
        std::fs::write(file(), lined(&whole)).expect("a file to write");
        return;
    }
    let names = |rows: &Value| rows.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let all: std::collections::BTreeSet<String> =
        [names(&whole[part]), names(&seen)].into_iter().flat_map(|names: Vec<_>| names).collect();
    let differ: Vec<String> = all
        .iter()
        .filter(|name| whole[part][name.as_str()] != seen[name.as_str()])
        .map(|name| format!("{name}: {} is now {}", whole[part][name], seen[name]))
        .collect();
    assert!(
        differ.is_empty(),
        "{}\ntestdata/syslog/score.json, {part}, differs; when the new figures are right: MUTT_WRITE_EXPECTED=1 cargo nextest run -p mutt-wire score -j 1, then scripts/gen-reference",
        differ.join("\n")
    );
}

/// One line for each dialect, so that a change is seen in one.
fn lined(whole: &Value) -> String {
    let mut out = String::from("{");
    for (at, (part, rows)) in whole.as_object().into_iter().flatten().enumerate() {
        out += &format!("{}\n  \"{part}\": {{", if at > 0 { "," } else { "" });
        for (at, (name, row)) in rows.as_object().into_iter().flatten().enumerate() {
            out += &format!("{}\n    \"{name}\": {row}", if at > 0 { "," } else { "" });
        }
        out += "\n  }";
    }
    out + "\n}\n"
}

#[test]
fn the_score_of_the_lines_is_what_is_kept() {
    let mut score = BTreeMap::<String, Tally>::new();
    for (place, case) in vendors::cases() {
        let raw = case["raw"].as_str().expect("raw").as_bytes();
        let event = vendors::decoded(&case, raw);
        let expect = case["expect"].as_object().expect("expect");
        let dialect = expect["format"].as_str().expect("format").to_owned();
        assert!(dialects::find(&dialect).is_some(), "{place}: {dialect} is not in the registry");
        let tally = score.entry(dialect).or_default();
        tally.lines += 1;
        for column in COLUMNS {
            if let Some(wanted) = expect.get(column).filter(|wanted| !wanted.is_null()) {
                let got = vendors::told(&event, column);
                tally.count(column, vendors::agrees(column, &got, wanted));
            }
        }
    }
    for dialect in dialects::ALL {
        let known = score.contains_key(dialect.format);
        assert!(known || dialect.format == format::UNKNOWN, "{} has no lines", dialect.format);
    }
    let score = score.iter().map(|(name, tally)| (name.clone(), tally.to_json("lines")));
    kept("lines", Value::Object(score.collect()));
}
