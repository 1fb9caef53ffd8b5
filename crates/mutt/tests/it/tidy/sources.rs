//! What every source file has, and what must not stand in any.

use super::{File, files, has_extension, none, rust_files};

/// The only file that may allow unsafe code, with a SAFETY line for each block.
const UNSAFE_ALLOWED_IN: &str = "crates/mutt/src/net/socket_options.rs";

// The words are put together here, so that this file does not find itself.
const UNSAFE: &str = concat!("un", "safe");
const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];
const MACHINE_PATH: &str = concat!("/wo", "rk/");
const CORPORA: &str = concat!("shared", "/corpora");

#[test]
fn every_file_says_first_what_it_is_responsible_for() {
    let faults: Vec<String> = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| {
            format!(
                "{}: begin with a `//!` line that says what the file is responsible for",
                file.path
            )
        })
        .collect();
    none(&faults);
}

#[test]
fn modules_stand_beside_their_folder() {
    let faults: Vec<String> = files("crates", |name| name == "mod.rs")
        .iter()
        .map(|file| {
            format!("{}: move it to the folder's name with .rs, beside the folder", file.path)
        })
        .collect();
    none(&faults);
}

#[test]
fn nothing_is_left_unfinished() {
    let faults =
        lines_with(&rust_files(), |line| UNFINISHED.iter().any(|word| line.contains(word)));
    let faults: Vec<String> = faults
        .iter()
        .map(|place| format!("{place}: finish it, or open an issue and take the mark out"))
        .collect();
    none(&faults);
}

#[test]
fn unsafe_code_has_one_home() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let opens = [" {", " fn ", " impl ", " extern "]
                .iter()
                .any(|what| code.contains(&format!("{UNSAFE}{what}")));
            let allows = ["allow(", "expect("]
                .iter()
                .any(|how| code.contains(&format!("{how}{UNSAFE}_code")));
            if !opens && !allows {
                continue;
            }
            let place = format!("{}:{}", file.path, number + 1);
            if file.path != UNSAFE_ALLOWED_IN {
                faults.push(format!(
                    "{place}: use a safe wrapper (nix, socket2), or move it to {UNSAFE_ALLOWED_IN} and say in an ADR why"
                ));
            } else if opens
                && !lines[number.saturating_sub(4)..number].iter().any(|l| l.contains("SAFETY:"))
            {
                faults.push(format!("{place}: write a `// SAFETY:` line above it"));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_log_line_at_warn_or_above_carries_a_code() {
    let mut faults = Vec::new();
    for file in rust_files().iter().filter(|file| file.path.contains("/src/")) {
        for level in ["warn!(", "error!("] {
            for (at, _) in file.text.match_indices(&format!("tracing::{level}")) {
                let call = &file.text[at..];
                let call = &call[..call.find(");").unwrap_or(call.len())];
                if !call.contains("code") {
                    let line = file.text[..at].lines().count();
                    faults
                        .push(format!("{}:{line}: give it a code of mutt_model::codes", file.path));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn nothing_names_paths_of_one_machine() {
    let mut all = files("", |name| {
        ["rs", "md", "toml", "sh", "sql", "html", "yml", "yaml", "service", "spec"]
            .iter()
            .any(|extension| has_extension(name, extension))
    });
    all.extend(files("scripts", |name| !name.contains('.')));
    all.extend(files(".ci", |name| !name.contains('.')));
    let mut faults = lines_with(&all, |line| names_path(line, MACHINE_PATH));
    let outside_tests: Vec<File> = all.into_iter().filter(|file| !is_test(&file.path)).collect();
    faults.extend(lines_with(&outside_tests, |line| line.contains(CORPORA)));
    let faults: Vec<String> = faults
        .iter()
        .map(|place| format!("{place}: name no folder of one machine; corpora are looked up by tests alone, relative to the workspace"))
        .collect();
    none(&faults);
}

/// Whether `line` has `path` as the beginning of an absolute path.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '}' | '*')
        })
    })
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// `path:line` of each line that `is` accepts.
fn lines_with(files: &[File], is: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let hits = file.text.lines().enumerate().filter(|(_, line)| is(line));
        found.extend(hits.map(|(number, _)| format!("{}:{}", file.path, number + 1)));
    }
    found
}
