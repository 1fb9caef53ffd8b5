//! Real programs of the field. One that is not installed is named and its test skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::wait::env;

/// Where a program lies; prints a line when it is missing.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env("PATH").unwrap_or_default();
    let found = path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

/// syslog-ng's load generator: installed, named by MUTT_LOGGEN, or unpacked by scripts/install-tools.
pub(crate) fn loggen() -> Option<Command> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/loggen");
    let named = env("MUTT_LOGGEN").map(PathBuf::from);
    let file =
        named.or_else(|| unpacked.is_file().then_some(unpacked)).or_else(|| find("loggen"))?;
    Some(Command::new(file))
}

/// The syslog-ng daemon, unpacked by scripts/install-tools.
pub(crate) fn syslog_ng() -> Option<Command> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/syslog-ng");
    if !file.is_file() {
        println!("skipped: syslog-ng is not unpacked; run scripts/install-tools");
        return None;
    }
    Some(Command::new(file))
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    output
}
