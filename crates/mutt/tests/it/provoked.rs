//! What a test saw when it provoked an error code, kept in `testdata/errors/CODE.txt`: ERRORS.md shows
//! it, so that its examples are real.

use std::path::PathBuf;

/// Where the captured lines lie.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/errors")
}

/// Compares what was seen with what is kept; `MUTT_WRITE_EXPECTED=1` keeps it.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
pub(crate) fn provoked(code: &str, seen: &str) {
    assert!(seen.contains(code), "{code} is not in: {seen}");
    let seen = normalised(seen);
    let file = folder().join(format!("{code}.txt"));
    if std::env::var("MUTT_WRITE_EXPECTED").is_ok_and(|value| value == "1") {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&file, format!("{seen}\n")).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        kept.trim_end(),
        seen,
        "{} differs; when the new text is right: MUTT_WRITE_EXPECTED=1 cargo nextest run -p mutt",
        file.display()
    );
}

/// Times, ids, temporary folders, ports and process ids differ from run to run.
pub(crate) fn normalised(text: &str) -> String {
    let plain = without_colour(text.trim_end());
    let mut out = String::with_capacity(plain.len());
    let (mut word, mut last) = (String::new(), String::new());
    for c in plain.chars() {
        if c.is_whitespace() || matches!(c, '"' | '`' | '(' | ')' | ',' | '=') {
            out.push_str(&replaced(&word, &last));
            last = std::mem::take(&mut word);
            out.push(c);
        } else {
            word.push(c);
        }
    }
    out.push_str(&replaced(&word, &last));
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('\u{1b}');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        out.push_str(&part[end..]);
    }
    out
}

fn replaced(word: &str, last: &str) -> String {
    let core = word.trim_end_matches([':', ';', '.']);
    let tail = &word[core.len()..];
    if last == "process" && core.parse::<u32>().is_ok() {
        return format!("1234{tail}");
    }
    if mutt_model::Timestamp::parse_rfc3339(core).is_some() {
        return format!("2026-11-23T12:00:00.000000Z{tail}");
    }
    if core.parse::<mutt_model::Id>().is_ok() {
        return format!("01980f5e-7c1a-7000-8000-000000000000{tail}");
    }
    let tmp = std::env::temp_dir();
    let tmp = tmp.to_string_lossy();
    if let Some((before, rest)) = word.split_once(&format!("{tmp}/.tmp")) {
        let rest = rest.split_once('/').map_or_else(String::new, |(_, rest)| format!("/{rest}"));
        return format!("{before}/tmp/mutt{rest}");
    }
    // A port that the kernel chose, behind an address of loopback.
    if let Some((before, rest)) = word.split_once("127.")
        && let Some((address, port)) = rest.split_once(':')
        && address.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
        let chosen = port[..digits].parse::<u16>().is_ok_and(|port| port == 0 || port >= 20_000);
        if chosen {
            return format!("{before}127.0.0.1:PORT{}", &port[digits..]);
        }
    }
    word.to_owned()
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let check = |text: &str, expected: &str| assert_eq!(normalised(text), expected);
    check("at 2026-01-02T03:04:05.6Z: x\n", "at 2026-11-23T12:00:00.000000Z: x");
    check("http://127.0.0.1:43210/api", "http://127.0.0.1:PORT/api");
    check("127.0.0.1:8090", "127.0.0.1:8090");
    check("http://127.18.3.4:43210/", "http://127.0.0.1:PORT/");
    check("process 77; 5", "process 1234; 5");
    check("\u{1b}[1;31merror\u{1b}[0m: no", "error: no");
    let tmp = std::env::temp_dir();
    check(&format!("{}/.tmpAbC/mutt.toml:3", tmp.display()), "/tmp/mutt/mutt.toml:3");
}
