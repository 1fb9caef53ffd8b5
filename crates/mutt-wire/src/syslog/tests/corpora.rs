//! Lines of others, read where the corpora lie beside the project: what MUTT reads of them agrees
//! with what their authors say they mean.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

pub(super) fn corpora() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    if !path.is_dir() {
        println!("skipped: corpora not present");
        return None;
    }
    Some(path)
}

fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            cases(&path, found);
        } else if path.file_name().is_some_and(|name| name == "syslog.msg") {
            found.push(path);
        }
    }
}

/// How many facts of a kind there are and how many agree.
#[derive(Default)]
struct Score {
    agree: usize,
    wrong: Vec<String>,
}

impl Score {
    fn count(&mut self, case: &str, got: &str, wanted: &str) {
        if got == wanted {
            self.agree += 1;
        } else {
            self.wrong.push(format!("{case}: got {got}, wanted {wanted}"));
        }
    }

    fn floor(&self, what: &str, floor: usize) {
        println!("{what}: {} of {} agree", self.agree, self.agree + self.wrong.len());
        for wrong in &self.wrong {
            println!("  {wrong}");
        }
        assert!(self.agree >= floor, "{what}: {} agree, at least {floor} should", self.agree);
    }
}

/// Civil time of a moment in UTC as the oracle writes it, `14:03:12`.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// What the oracle says of one fact, and what MUTT reads: column, got, wanted.
type Fact = (&'static str, String, String);

/// A case of the oracle: where it lies, and its facts.
fn oracle(folder: &Path, file: &Path) -> (String, Vec<Fact>) {
    let raw = std::fs::read(file).expect("a readable file");
    let yang = std::fs::read(file.with_file_name("yang.json")).expect("yang.json");
    let yang: Value = serde_json::from_slice(&yang).expect("JSON");
    let event = event(&raw);
    let case = file.parent().and_then(|p| p.strip_prefix(folder).ok()).expect("inside");
    let case = case.display().to_string();
    assert!(is_sound(&event, &raw), "{case}");
    assert_ne!(event.parse.format, format::UNKNOWN, "{case}");
    let details = &yang["message_details"];
    let text = |name: &str| details[name].as_str().unwrap_or_default().trim().to_owned();
    let numbers = |name: &str| yang[name].as_u64().or(details[name].as_u64());
    let number = |name: &str| numbers(name).map_or("none".to_owned(), |n| n.to_string());
    let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let mut facts = vec![
        ("host", event.host.to_string(), yang["host"].as_str().unwrap_or_default().to_owned()),
        ("severity", field(&event, "severity"), number("severity")),
        ("facility", field(&event, "facility"), number("facility")),
    ];
    let written = text("time");
    if written.len() >= 8 && details["timeZone"].is_null() {
        let got = event.device_time.map(clock).unwrap_or_default();
        facts.push(("device_time", got, written[..8].to_owned()));
    }
    // The oracle's text begins behind its tag; ours holds the mnemonic too.
    let (ours, theirs) = (event.message.trim(), text("message"));
    let same = if ours.ends_with(&theirs) { &theirs } else { ours };
    facts.push(("message", same.to_owned(), theirs.clone()));
    let process = text("processName");
    if !process.is_empty() && event.mnemonic.as_deref() != Some(&process) {
        facts.push(("app", dash(event.app.as_deref()), process));
    }
    let tag = text("tag");
    if tag.contains('-') && tag.bytes().any(|b| b.is_ascii_digit()) {
        facts.push(("mnemonic", dash(event.mnemonic.as_deref()), tag));
    }
    let message = &yang["yang_message"];
    let places = [
        message["interfaces"]["interface"].as_object(),
        message["bgp"]["neighbors"]["neighbor"].as_object(),
    ];
    for name in places.into_iter().flatten().filter_map(|place| place.keys().next()) {
        facts.push(("resource", dash(event.resource.as_deref()), name.clone()));
    }
    (case, facts)
}

fn oracles() -> Option<Vec<(String, Vec<Fact>)>> {
    let folder = corpora()?;
    let mut files = Vec::new();
    cases(&folder.join("napalm-logs"), &mut files);
    files.sort();
    Some(files.iter().map(|file| oracle(&folder, file)).collect())
}

#[test]
fn network_devices_mean_what_their_oracle_says() {
    let Some(oracles) = oracles() else { return };
    let mut scores = std::collections::BTreeMap::<&str, Score>::new();
    for (case, facts) in &oracles {
        for (column, got, wanted) in facts {
            scores.entry(column).or_default().count(case, got, wanted);
        }
    }
    println!("{} cases", oracles.len());
    let mut floor = |column: &str, least: usize| {
        scores.remove(column).unwrap_or_default().floor(column, least);
    };
    floor("host", 128);
    floor("device_time", 127);
    floor("severity", 133);
    floor("facility", 133);
    floor("message", 133);
    floor("app", 83);
    floor("mnemonic", 46);
    floor("resource", 61);
}

#[test]
fn the_score_of_the_oracle_is_what_is_kept() {
    let Some(oracles) = oracles() else { return };
    let mut score = std::collections::BTreeMap::<String, super::score::Tally>::new();
    for (case, facts) in &oracles {
        // `napalm-logs/eos/BGP_DOWN/case`
        let os = case.split('/').nth(1).unwrap_or_default().to_owned();
        let tally = score.entry(os).or_default();
        tally.lines += 1;
        for (column, got, wanted) in facts {
            tally.count(column, got == wanted);
        }
    }
    let score = score.iter().map(|(os, tally)| (os.clone(), tally.to_json("cases")));
    super::score::kept("napalm-logs", Value::Object(score.collect()));
}

#[test]
fn naughty_strings_survive() {
    let Some(folder) = corpora() else { return };
    let file = std::fs::read(folder.join("text/blns.txt")).expect("a readable file");
    for line in file.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        for header in [
            &b""[..],
            b"<13>",
            b"<13>Aug  6 10:00:00 h app: ",
            b"<13>1 2026-08-06T10:00:00Z h a p m - ",
        ] {
            let raw = [header, line].concat();
            let event = event(&raw);
            assert!(is_sound(&event, &raw), "{event:?}");
            if header.len() > 10 && std::str::from_utf8(line).is_ok() {
                let whole = String::from_utf8_lossy(line);
                let whole = whole.trim_start_matches([' ', '\u{feff}']).trim_end_matches('\r');
                assert_eq!(event.message, whole, "the text is whole");
                assert_eq!(event.host, "h");
            }
        }
    }
}

/// The UDP payloads of a capture that has Ethernet or raw IPv4 frames; enough for these files.
fn payloads(pcap: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = pcap.get(24..).unwrap_or_default();
    while let (Some(head), Some(_)) = (rest.get(..16), rest.get(16)) {
        let length = u32::from_le_bytes(head[8..12].try_into().expect("four bytes")) as usize;
        let Some(packet) = rest.get(16..16 + length) else { break };
        rest = &rest[16 + length..];
        if let Some(payload) = packet.get(14 + 20 + 8..) {
            out.push(payload.to_vec());
        }
    }
    out
}

#[test]
fn captured_datagrams_survive() {
    let Some(folder) = corpora() else { return };
    let mut score = serde_json::Map::new();
    for name in ["zeek-syslog-missing-pri", "zeek-syslog-single-udp", "tcpdump-syslog_udp"] {
        let file =
            std::fs::read(folder.join(format!("pcap/{name}.pcap"))).expect("a readable file");
        let mut tally = super::score::Tally::default();
        for raw in payloads(&file) {
            let event = event(&raw);
            println!("{name}: {} {} {:?}", event.parse.format, event.host, event.message);
            assert!(is_sound(&event, &raw));
            tally.lines += 1;
            // No oracle goes with the captures: what is counted is what the bytes show.
            let written = String::from_utf8_lossy(&raw);
            let priority = written.starts_with('<');
            tally.count("severity", event.severity.is_some() == priority);
            tally.count("facility", event.facility.is_some() == priority);
            let whole = written.trim_end_matches(['\n', '\r', '\0']).ends_with(&*event.message);
            tally.count("message", whole && !event.message.is_empty());
        }
        assert!(tally.lines > 0, "{name}");
        score.insert(name.to_owned(), tally.to_json("datagrams"));
    }
    super::score::kept("pcap", Value::Object(score));
}
