//! Lines of others, read where the corpora lie beside the project: what MUTT reads of them agrees
//! with what their authors say they mean.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn corpora() -> Option<PathBuf> {
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

#[test]
fn network_devices_mean_what_their_oracle_says() {
    let Some(folder) = corpora() else { return };
    let mut files = Vec::new();
    cases(&folder.join("napalm-logs"), &mut files);
    files.sort();
    let [mut host, mut time, mut severity, mut facility] =
        std::array::from_fn(|_| Score::default());
    let [mut app, mut mnemonic, mut interface] = std::array::from_fn(|_| Score::default());
    let mut unknown = Vec::new();
    for file in &files {
        let raw = std::fs::read(file).expect("a readable file");
        let yang = std::fs::read(file.with_file_name("yang.json")).expect("yang.json");
        let yang: Value = serde_json::from_slice(&yang).expect("JSON");
        let event = event(&raw);
        let case = file.parent().and_then(|p| p.strip_prefix(&folder).ok()).expect("inside");
        let case = case.display().to_string();
        assert!(is_sound(&event, &raw), "{case}");
        let details = &yang["message_details"];
        let text = |name: &str| details[name].as_str().unwrap_or_default().trim().to_owned();
        if event.parse.format == format::UNKNOWN {
            unknown.push(case.clone());
        }
        host.count(&case, &event.host, yang["host"].as_str().unwrap_or_default());
        let numbers = |name: &str| yang[name].as_u64().or(details[name].as_u64());
        severity.count(
            &case,
            &field(&event, "severity"),
            &numbers("severity").unwrap_or(9).to_string(),
        );
        facility.count(
            &case,
            &field(&event, "facility"),
            &numbers("facility").unwrap_or(99).to_string(),
        );
        let written = text("time");
        if written.len() >= 8 && details["timeZone"].is_null() {
            let got = event.device_time.map(clock).unwrap_or_default();
            time.count(&case, &got, &written[..8]);
        }
        let process = text("processName");
        if !process.is_empty() && event.mnemonic.as_deref() != Some(&process) {
            app.count(&case, event.app.as_deref().unwrap_or("-"), &process);
        }
        let tag = text("tag");
        if tag.contains('-') && tag.bytes().any(|b| b.is_ascii_digit()) {
            mnemonic.count(&case, event.mnemonic.as_deref().unwrap_or("-"), &tag);
        }
        let interfaces = yang["yang_message"]["interfaces"]["interface"].as_object();
        if let Some(name) = interfaces.and_then(|i| i.keys().next()) {
            interface.count(&case, event.resource.as_deref().unwrap_or("-"), name);
        }
        let neighbours = yang["yang_message"]["bgp"]["neighbors"]["neighbor"].as_object();
        if let Some(name) = neighbours.and_then(|i| i.keys().next()) {
            interface.count(&case, event.resource.as_deref().unwrap_or("-"), name);
        }
    }
    println!("{} cases, unknown: {unknown:?}", files.len());
    host.floor("host", 128);
    time.floor("time", 127);
    severity.floor("severity", 133);
    facility.floor("facility", 133);
    app.floor("app", 81);
    mnemonic.floor("mnemonic", 46);
    interface.floor("resource", 61);
    assert!(unknown.is_empty());
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
    let mut count = 0;
    for name in ["zeek-syslog-missing-pri", "zeek-syslog-single-udp", "tcpdump-syslog_udp"] {
        let file =
            std::fs::read(folder.join(format!("pcap/{name}.pcap"))).expect("a readable file");
        for raw in payloads(&file) {
            let event = event(&raw);
            println!("{name}: {} {} {:?}", event.parse.format, event.host, event.message);
            assert!(is_sound(&event, &raw));
            count += 1;
        }
    }
    assert!(count >= 3);
}
