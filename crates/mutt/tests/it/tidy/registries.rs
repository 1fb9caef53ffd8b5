//! What is declared in a registry is also used: a code that nothing says, a metric that nothing moves
//! and a fail point that no line has are promises that nobody keeps.

use super::{File, none, rust_files};

/// The words of `line` that are written as constants are.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Constants that a registry declares as `NAME = "START...`.
fn declared(files: &[File], folder: &str, start: &str) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.path.starts_with(folder))
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.trim_start().split_once(" = \""))
        .filter(|(_, value)| value.starts_with(start))
        .map(|(before, _)| before.rsplit(' ').next().unwrap_or(before).to_owned())
        .collect()
}

#[test]
fn what_a_registry_declares_is_used() {
    let files = rust_files();
    let (model, program): (Vec<&File>, Vec<&File>) = files
        .iter()
        .filter(|file| file.path.contains("/src/"))
        .partition(|file| file.path.starts_with("crates/mutt-model/"));
    let is_used = |name: &str| program.iter().any(|file| names(&file.text).any(|n| n == name));
    let codes = declared(&files, "crates/mutt-model/src/codes/", "MUTT-");
    let metrics = declared(&files, "crates/mutt-model/src/metrics.rs", "mutt_");
    assert!(codes.len() > 10 && metrics.len() > 10, "the registries are read wrongly");
    let mut faults: Vec<String> = codes
        .iter()
        .chain(&metrics)
        .filter(|name| !is_used(name))
        .map(|name| {
            format!(
                "{name}: nothing uses it: put it where it belongs, or take it out of its registry"
            )
        })
        .collect();
    let points = model.iter().find(|file| file.path.ends_with("/failpoint.rs")).unwrap();
    let points =
        points.text.split("NAMES: &[&str] = &[").nth(1).unwrap().split("];").next().unwrap();
    for point in points.split('"').skip(1).step_by(2) {
        let quoted = format!("\"{point}\"");
        if !program.iter().any(|file| file.text.contains(&quoted)) {
            faults.push(format!(
                "fail point {point}: no line has it: put it there, or take it out of NAMES"
            ));
        }
    }
    none(&faults);
}
