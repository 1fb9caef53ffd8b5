//! What several targets are given: a frame, the lines of the fixtures.

use mutt_model::{Id, Timestamp};
use mutt_wire::Frame;

use crate::corpus;

/// A frame of a listener.
pub fn frame<'a>(listener: &'a str, raw: &'a [u8]) -> Frame<'a> {
    Frame {
        id: Id([7; 16]),
        received_at: Timestamp(1_786_017_600_000_000),
        listener,
        peer: "192.0.2.7:40022",
        raw,
    }
}

/// Lines of the fixtures in `testdata/syslog`: `.txt` has them as they are, `.jsonl` as `raw`.
pub fn fixture_lines() -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(corpus::root().join("crates/mutt-wire/testdata/syslog"));
    let mut lines = Vec::new();
    for file in folder.expect("testdata/syslog").flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        let name = file.file_name();
        if name.to_string_lossy().ends_with(".jsonl") {
            let records = bytes.split(|&b| b == b'\n');
            let records = records.filter_map(|line| serde_json::from_slice(line).ok());
            let raws = records.filter_map(|record: serde_json::Value| {
                record["raw"].as_str().map(|raw| raw.as_bytes().to_vec())
            });
            lines.extend(raws);
            continue;
        }
        if !name.to_string_lossy().ends_with(".txt") {
            continue;
        }
        let is_line = |line: &&[u8]| {
            !line.starts_with(b"#") && !line.starts_with(b"    ") && !line.is_empty()
        };
        lines.extend(bytes.split(|&b| b == b'\n').filter(is_line).map(<[u8]>::to_vec));
    }
    lines
}
