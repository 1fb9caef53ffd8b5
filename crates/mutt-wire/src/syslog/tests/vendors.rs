//! Lines as the vendors' documents print them: every file of testdata/syslog/*.jsonl, one dialect a
//! file, one line a case. How a case is written stands in testdata/syslog/README.md.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::*;

/// Fewer lines than this are no table of a dialect.
const LINES_PER_DIALECT: usize = 3;

/// The named field of an event as JSON: `null` for what is absent.
pub(super) fn told(event: &Event<'_>, name: &str) -> Value {
    let json = |text: &Option<Cow<'_, str>>| {
        text.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"))
    };
    match name {
        "severity" => event.severity.map_or(Value::Null, |s| s.number().into()),
        "facility" => event.facility.map_or(Value::Null, Value::from),
        "fields" => json(&event.fields),
        "structured_data" => json(&event.structured_data),
        _ => match field(event, name) {
            text if text == "-" => Value::Null,
            text => Value::String(text),
        },
    }
}

/// Objects are compared by the keys that the case names, times by the moment they mean.
pub(super) fn agrees(name: &str, got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| agrees(name, got.get(key).unwrap_or(&Value::Null), value)),
        (Value::String(got), Value::String(wanted)) if name == "device_time" => {
            let moment = |text: &str| Timestamp::parse_rfc3339(text).expect("RFC 3339");
            moment(got) == moment(wanted)
        }
        _ => got == wanted,
    }
}

/// The event of a case, received when it says.
pub(super) fn decoded<'a>(case: &Value, raw: &'a [u8]) -> Event<'a> {
    let received = case["received_at"].as_str().unwrap_or(RECEIVED);
    let received_at = Timestamp::parse_rfc3339(received).expect("received_at");
    decode(Frame { received_at, ..frame(raw) }, &Options::default())
}

/// Every case of every file, with its place.
pub(super) fn cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/syslog");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("testdata/syslog")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in &files {
        let name = file.file_name().expect("a name").display().to_string();
        let text = std::fs::read_to_string(file).expect("a readable file");
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let place = format!("{name}:{}", at + 1);
            let case = serde_json::from_str(line).unwrap_or_else(|e| panic!("{place}: {e}"));
            cases.push((place, case));
        }
    }
    cases
}

fn check_case(place: &str, case: &Value, wrong: &mut Vec<String>) {
    let raw = case["raw"].as_str().expect("raw").as_bytes();
    assert!(case["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{place}: no doc");
    let event = decoded(case, raw);
    assert!(is_sound(&event, raw), "{place}: {event:?}");
    let expect = case["expect"].as_object().expect("expect");
    for name in ["format", "host", "message"] {
        assert!(expect.contains_key(name), "{place}: every case says {name}");
    }
    let ok = Value::from("ok");
    let status = (!expect.contains_key("status")).then_some(("status", &ok));
    for (name, wanted) in expect.iter().map(|(name, value)| (name.as_str(), value)).chain(status) {
        let got = told(&event, name);
        if !agrees(name, &got, wanted) {
            wrong.push(format!("{place} {name}\n    got    {got}\n    wanted {wanted}"));
        }
    }
    for end in 0..raw.len() {
        let cut = &raw[..end];
        assert!(is_sound(&self::event(cut), cut), "{place}: cut at {end} is not sound");
    }
}

#[test]
fn lines_of_the_vendors_documents_are_understood() {
    let (mut wrong, mut formats) = (Vec::new(), BTreeMap::<String, usize>::new());
    let mut files = BTreeMap::<String, usize>::new();
    for (place, case) in cases() {
        check_case(&place, &case, &mut wrong);
        *formats.entry(case["expect"]["format"].to_string()).or_default() += 1;
        let file = place.rsplit_once(':').map_or("", |(file, _)| file);
        *files.entry(file.to_owned()).or_default() += 1;
    }
    assert!(!files.is_empty());
    for (file, count) in &files {
        assert!(*count >= LINES_PER_DIALECT, "{file}: {count} lines");
    }
    println!("{} files: {formats:?}", files.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
