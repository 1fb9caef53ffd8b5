//! Error codes of the running program, each provoked for real; what was seen is kept for ERRORS.md.
//! Codes of the command line and of doors are provoked where those are tested.

mod events;
mod outside;
mod postgres;
mod redis;
mod stage;
mod start;

use std::path::Path;
use std::process::Command;

use crate::provoked::provoked;
use crate::support::{Program, until};

/// Keeps the first log line with this code.
#[track_caller]
fn logged(program: &Program, code: &str) {
    let line = until(&format!("{code} in the log"), || {
        program.log().lines().find(|line| line.contains(code)).map(ToOwned::to_owned)
    });
    provoked(code, &line);
}

/// Changes the store's file past the running program.
fn sql(data_dir: &Path, text: &str) {
    let file = rusqlite::Connection::open(data_dir.join("mutt.db")).unwrap();
    file.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    file.execute_batch(text).unwrap();
}

/// From now on the program can open no further file and take no further connection.
fn no_more_files(program: &mut Program) {
    let id = program.process().id();
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let limit = format!("--nofile={open}:{open}");
    let status = Command::new("prlimit").args(["--pid", &id.to_string(), &limit]).status();
    assert!(status.unwrap().success());
}

/// The only file of the event queue.
fn segment(data_dir: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(data_dir.join("queue")).unwrap();
    let mut segments: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    segments.pop().unwrap()
}
