//! The documents' runner: README.md and docs/operations/*.md do what they say. A shell block carries a
//! tag behind its language, which no reader sees:
//!
//! - ` ```bash run id=NAME ` is run as printed, in order, in a sandbox of the document's own (network,
//!   processes, /etc, /var, /usr, /opt; the working directory looks like a clone with its
//!   build). It ends with 0, or with `exit=N`; within `timeout=30s`; `retry=20s` repeats it until it
//!   does and shows what is printed below it. `state=NAME` begins a new sandbox in that state
//!   ([`states`]), without it the block goes on where the one before ended. `background` leaves it
//!   running until the state ends; `ready=PORT` waits for its listener. `needs=PROGRAM,...` skips it
//!   by name where one is not installed. `terminal` runs it on a terminal, where tables are drawn.
//!   `destructive` asks for a `> **WARNING:**` above it.
//! - ` ```text out=NAME match=same|contains|elided|regex ` is what that block prints; a block that
//!   prints nothing worth showing says `expect=none`.
//! - ` ```toml static=KIND [file=PATH] ` (kinds: mutt, toml, json, systemd) is parsed by what will
//!   read it, and saved where the reader is told to save it.
//! - ` ```bash external reason="..." ` needs a host that is not here; counted.
//!
//! Anything else that a reader would paste fails.

mod execute;
mod faults;
mod lint;
mod matching;
mod parse;
mod plan;
mod sandbox;
mod states;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file of the repository.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// Runs a document, when it is written.
fn document(name: &str) {
    if !root().join(name).exists() {
        println!("not written yet: {name}");
        return;
    }
    let sections = sections(name).into_iter().filter(|(state, _)| !is_drill(state));
    run(name, &sections.flat_map(|(_, blocks)| blocks).collect::<Vec<_>>());
}

fn run(name: &str, blocks: &[parse::Block]) {
    let count = execute::execute(&root(), name, blocks);
    println!(
        "{name}: {} blocks run, {} files parsed, {} external, {} skipped",
        count.run, count.parsed, count.external, count.skipped
    );
}

fn is_drill(state: &str) -> bool {
    faults::FAULTS.iter().any(|(name, _)| *name == state)
}

/// The blocks of a document by the state that they begin in.
fn sections(name: &str) -> Vec<(String, Vec<parse::Block>)> {
    let blocks = parse::blocks(&read(name)).unwrap_or_else(|faults| panic!("{name}:\n{faults:#?}"));
    let mut sections = vec![(String::new(), Vec::new())];
    for block in blocks {
        if let parse::Kind::Run(run) = &block.kind
            && let Some(state) = &run.state
        {
            sections.push((state.clone(), Vec::new()));
        }
        sections.last_mut().unwrap().1.push(block);
    }
    sections
}

/// Follows a runbook entry: the blocks that begin in the state of its fault.
pub(crate) fn drill(name: &str, state: &str) {
    for (found, blocks) in sections(name) {
        if found == state {
            run(name, &blocks);
        }
    }
}

/// What a runbook entry shows as printed.
pub(crate) fn shown(name: &str, state: &str) -> Vec<String> {
    let entry = sections(name).into_iter().filter(|(found, _)| found == state);
    let blocks = entry.flat_map(|(_, blocks)| blocks);
    let shown = blocks.filter(|block| matches!(block.kind, parse::Kind::Output { .. }));
    shown.map(|block| block.text).collect()
}

/// One test for each document, so that they run beside each other.
macro_rules! documents {
    ($($test:ident: $name:literal,)*) => {
        /// The documents that are run.
        const RUN: &[&str] = &[$($name),*];
        $(#[test] fn $test() { document($name); })*
    };
}

documents! {
    readme: "README.md",
    operations: "docs/operations/README.md",
    installation_guide: "docs/operations/INSTALLATION_GUIDE.md",
    production_engines: "docs/operations/PRODUCTION_ENGINES.md",
    senders: "docs/operations/SENDERS.md",
    service_operations: "docs/operations/SERVICE_OPERATIONS.md",
    troubleshooting: "docs/operations/TROUBLESHOOTING.md",
    troubleshooting_intake: "docs/operations/TROUBLESHOOTING_INTAKE.md",
    configuration_guide: "docs/operations/CONFIGURATION_GUIDE.md",
    monitoring_setup: "docs/operations/MONITORING_SETUP.md",
    backup_recovery: "docs/operations/BACKUP_RECOVERY.md",
    incident_response: "docs/operations/INCIDENT_RESPONSE.md",
    developer_onboarding: "docs/operations/DEVELOPER_ONBOARDING.md",
    testing_guide: "docs/operations/TESTING_GUIDE.md",
    security_operations: "docs/operations/SECURITY_OPERATIONS.md",
    performance_tuning: "docs/operations/PERFORMANCE_TUNING.md",
    upgrade_migration: "docs/operations/UPGRADE_MIGRATION.md",
}

#[test]
fn every_document_keeps_the_rules_and_is_run() {
    let mut faults = Vec::new();
    let documents = lint::documents(&root(), "docs/operations");
    for name in documents.iter().filter(|name| !RUN.contains(&name.as_str())) {
        faults.push(format!("{name}: it is not run: add it to `documents!`"));
    }
    // What is generated has nothing to run, and is published like the others.
    let generated = lint::documents(&root(), "docs/operations/reference");
    for name in documents.into_iter().chain(generated) {
        match parse::blocks(&read(&name)) {
            Ok(blocks) => {
                faults.extend(lint::lint(&name, &read(&name), &blocks));
                faults.extend(lint::syntax(&name, &blocks));
            }
            Err(found) => faults.extend(found.iter().map(|fault| format!("{name}:{fault}"))),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_configuration_guide_names_every_live_key_and_no_other() {
    use mutt::config::keys::{self, Apply};
    let guide = read("docs/operations/CONFIGURATION_GUIDE.md");
    let (_, table) = guide.split_once("| of | live |").expect("the table of live keys");
    let (table, _) = table.split_once("\n\n").unwrap();
    let named: BTreeSet<&str> = table.split('`').skip(1).step_by(2).collect();
    let live = keys::all().filter(|key| key.apply == Apply::Live).map(|key| key.path);
    assert_eq!(named, live.collect());
}
