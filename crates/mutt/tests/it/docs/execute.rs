//! Runs a document from top to bottom, as printed.

use std::path::Path;
use std::time::Duration;

use super::matching::compare;
use super::parse::{Block, Kind, Matching, Run};
use super::sandbox::{Ended, Sandbox, missing, read};
use super::states;
use crate::support::wait::{LONG, env, within};

/// How long a parser may take over a file.
const PARSE_TIME: Duration = Duration::from_secs(20);

/// What became of a document's blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) run: usize,
    pub(crate) parsed: usize,
    pub(crate) external: usize,
    pub(crate) skipped: usize,
}

/// Runs the blocks in order. A fault ends it: what follows stands on what failed.
pub(crate) fn execute(root: &Path, name: &str, blocks: &[Block]) -> Count {
    let mut count = Count::default();
    let mut sandbox = None;
    if let Some(why) = missing() {
        count.external = blocks.iter().filter(|b| matches!(b.kind, Kind::External { .. })).count();
        count.skipped = blocks.iter().filter(|b| matches!(b.kind, Kind::Run(_))).count();
        assert!(env("MUTT_REQUIRE_SANDBOX").is_none(), "{name} is not run: {why}");
        println!("skipped: the blocks of {name} are not run: {why}");
        return count;
    }
    for block in blocks {
        let place = format!("{name}:{}", block.line);
        match &block.kind {
            Kind::Run(run) => {
                if let Some(state) = run.state.as_deref().or(sandbox.is_none().then_some("fresh")) {
                    drop(sandbox.take());
                    states::enter(sandbox.insert(Sandbox::new(root)), state);
                }
                let sandbox = sandbox.as_mut().unwrap();
                let gone: Vec<&String> = run.needs.iter().filter(|n| !sandbox.has(n)).collect();
                if gone.is_empty() {
                    if run.background {
                        sandbox.start(&run.id, &block.text);
                        run.ready.into_iter().for_each(|port| sandbox.wait_for_port(port));
                    } else {
                        one(sandbox, &place, run, &block.text, output_of(blocks, &run.id));
                    }
                    count.run += 1;
                } else {
                    println!("skipped: {place} ({}): not installed: {gone:?}", run.id);
                    count.skipped += 1;
                }
            }
            Kind::Static { kind, file } => {
                let sandbox = sandbox.get_or_insert_with(|| Sandbox::new(root));
                parse(sandbox, &place, kind, &block.text);
                if let Some(file) = file {
                    sandbox.save(file, &block.text);
                }
                count.parsed += 1;
            }
            Kind::External { .. } => count.external += 1,
            Kind::Output { of, matching } => {
                if let Some(output) = sandbox.as_ref().and_then(|s| s.output_of_background(of)) {
                    shows_by_now(&place, &output, *matching, &block.text);
                }
            }
            Kind::Shown => {}
        }
    }
    count
}

/// The output block of a run block, where it has one.
pub(super) fn output_of<'a>(blocks: &'a [Block], id: &str) -> Option<(Matching, &'a str)> {
    blocks.iter().find_map(|block| match &block.kind {
        Kind::Output { of, matching } if of == id => Some((*matching, block.text.as_str())),
        _ => None,
    })
}

/// Runs a block to its end and compares what it printed.
pub(super) fn one(
    sandbox: &mut Sandbox,
    place: &str,
    run: &Run,
    text: &str,
    shown: Option<(Matching, &str)>,
) {
    let fits = |printed: &str| match shown {
        Some((matching, shown)) => compare(matching, shown, printed),
        None => Ok(()),
    };
    let fits = |ended: &Ended| {
        if ended.exit != run.exit {
            return Err(format!("exit {} instead of {}", ended.exit, run.exit));
        }
        fits(&ended.output)
    };
    let script = if run.terminal { sandbox.on_terminal(text) } else { text.to_owned() };
    let mut last = sandbox.run(&script, run.timeout);
    if let (Err(_), Some(time)) = (fits(&last), run.retry) {
        within(time, || {
            last = sandbox.run(&script, run.timeout);
            fits(&last).ok()
        });
    }
    let result = fits(&last);
    if result.is_err() {
        println!("--- the background printed\n{}", sandbox.printed());
    }
    assert!(result.is_ok(), "{}", fault(place, text, &result, &last.output));
}

/// What runs in the background has printed this when a reader gets here.
fn shows_by_now(place: &str, output: &Path, matching: Matching, shown: &str) {
    let found = within(LONG, || compare(matching, shown, &read(output)).ok());
    let printed = read(output);
    let result = compare(matching, shown, &printed);
    assert!(found.is_some(), "{}", fault(place, "(in the background)\n", &result, &printed));
}

fn fault(place: &str, text: &str, result: &Result<(), String>, printed: &str) -> String {
    let why = result.as_ref().err().map_or("", String::as_str);
    format!("{place}: {why}\n--- run\n{text}--- printed\n{printed}---")
}

/// Asks the program or parser that will read the file.
fn parse(sandbox: &mut Sandbox, place: &str, kind: &str, text: &str) {
    match kind {
        "mutt" => {
            sandbox.save("/run/checked.toml", text);
            let ended = sandbox.run("muttctl check --config /run/checked.toml", PARSE_TIME);
            assert_eq!(ended.exit, 0, "{place}: {}", ended.output);
        }
        "toml" => {
            let found = text.parse::<toml::Table>();
            assert!(found.is_ok(), "{place}: {found:?}");
        }
        "json" => {
            let found = serde_json::from_str::<serde_json::Value>(text);
            assert!(found.is_ok(), "{place}: {found:?}");
        }
        "systemd" => units(sandbox, place, text),
        other => panic!("{place}: no parser for static={other}"),
    }
}

/// systemd says what it does not understand on standard error and ends with 0 all the same.
fn units(sandbox: &mut Sandbox, place: &str, text: &str) {
    if !sandbox.has("systemd-analyze") {
        println!("skipped: {place}: not installed: systemd-analyze");
        return;
    }
    sandbox.save("/run/checked.service", text);
    let verify = "systemd-analyze verify --man=no --generators=no /run/checked.service";
    let ended = sandbox.run(verify, PARSE_TIME);
    assert!(ended.exit == 0 && ended.output.is_empty(), "{place}: {}", ended.output);
}
