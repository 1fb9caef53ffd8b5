//! The targets for MIB files: the first look over a text, and all of the loader.

use mutt_wire::snmp::names::{DEFINITIONS_MAX, NAME_MAX, Names};

use crate::corpus;
use crate::loader::compile::{Given, compile};
use crate::loader::text;
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "mib_text", run: run_mib_text, seeds: seeds_mib_text },
    Target { name: "mib_compile", run: run_mib_compile, seeds: seeds_mib_compile },
];

/// The files of a folder, in order.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(corpus::root().join(folder)).expect("a folder of MIBs");
    let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.is_file())
        .map(|path| std::fs::read(path).expect("a MIB"))
        .collect()
}

fn seeds_mib_text() -> Vec<Vec<u8>> {
    let text = "A-MIB { 1 x(2) } DEFINITIONS ::= BEGIN -- c -- \"q\r\n\"\r\nM MACRO ::= BEGIN END\r\nEND\n";
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut seeds = vec![
        text.as_bytes().to_vec(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        [b"\xff\xfe".to_vec(), units.iter().flat_map(|unit| unit.to_le_bytes()).collect()].concat(),
        [b"\xfe\xff".to_vec(), units.iter().flat_map(|unit| unit.to_be_bytes()).collect()].concat(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        format!("A DEFINITIONS ::= BEGIN\nx ::= {}", "{[(".repeat(30)).into_bytes(),
        format!("\"{}\" \"{}", "word\n".repeat(60), "word\n".repeat(60)).into_bytes(),
    ];
    seeds.extend(files("testdata/mibs/broken"));
    seeds
}

fn run_mib_text(data: &[u8]) {
    let mended = text::repair(data);
    assert!(!mended.contains(['\r', '\0', '\u{1a}']), "{mended:?}");
    assert!(mended.len() <= data.len() * 2, "a byte of Latin-1 is two at most");
    let newlines = mended.matches('\n').count();
    let outline = text::outline(&mended);
    let mut last = 1;
    for module in &outline.modules {
        assert!(!module.name.is_empty() && mended.contains(&module.name), "{module:?}");
        assert!((last..=newlines + 1).contains(&module.line), "{module:?}");
        last = module.line;
    }
    let slim = text::slim(&mended);
    assert_eq!(slim.matches('\n').count(), newlines, "lines stay");
    assert!(slim.len() <= mended.len());
    // Only prose is gone.
    assert_eq!(text::outline(&slim), outline);
    assert_eq!(text::slim(&slim).matches('\n').count(), newlines);
}

/// Stands between the files of an input.
const NEXT_FILE: u8 = 0x0c;

fn seeds_mib_compile() -> Vec<Vec<u8>> {
    let own = files("testdata/mibs");
    let mut seeds = own.clone();
    seeds.extend(files("testdata/mibs/broken"));
    seeds.push(own.join(&NEXT_FILE));
    seeds
}

fn run_mib_compile(data: &[u8]) {
    let files = data.split(|byte| *byte == NEXT_FILE).enumerate();
    let files = files.map(|(at, bytes)| Given { file: at.to_string(), bytes: Ok(bytes.to_vec()) });
    let compiled = compile(files).expect("no file makes the library give up");
    let report = &compiled.report;
    let told = report.loaded + report.partial + report.failed + report.duplicate;
    assert_eq!(told, report.entries.len());
    for entry in &report.entries {
        let lines = data.len() + 1;
        assert!(entry.problems.iter().all(|problem| problem.line <= lines), "{entry:?}");
    }
    let definitions = &compiled.definitions;
    assert!(report.names == definitions.len() && definitions.len() <= DEFINITIONS_MAX);
    assert!(definitions.is_sorted_by(|a, b| a.oid < b.oid), "in order, each once");
    for definition in definitions {
        assert!(!definition.name.is_empty() && definition.name.len() <= NAME_MAX);
    }
    // Whatever is defined, the decoder's table takes it, and finds it.
    let some: Vec<String> = definitions.iter().step_by(97).map(|made| dotted(&made.oid)).collect();
    let names = Names::with(compiled.definitions);
    for oid in &some {
        let _ = names.find(oid).map(|found| found.display(oid));
    }
}

fn dotted(oid: &[u32]) -> String {
    oid.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}
