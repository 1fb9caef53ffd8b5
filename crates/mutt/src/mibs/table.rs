//! The compiled form on disk: a line that says what it was made from, the report, then one definition
//! a line, and a last line that says that it is whole.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use mutt_wire::snmp::names::DEFINITIONS_MAX;
use serde::{Deserialize, Serialize};

use super::compile::Compiled;

/// Of the file.
pub const FORMAT: u32 = 1;
/// A line longer than this is none of ours.
const LINE_MAX: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    digest: String,
    definitions: usize,
}

/// Writes it beside its place and puts it there whole.
///
/// # Errors
///
/// When the disk does not take it.
pub fn write(path: &Path, digest: &str, compiled: &Compiled) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut out = BufWriter::new(std::fs::File::create(&beside)?);
    let definitions = compiled.definitions.len();
    line(&mut out, &Head { format: FORMAT, digest: digest.to_owned(), definitions })?;
    line(&mut out, &compiled.report)?;
    for definition in &compiled.definitions {
        line(&mut out, definition)?;
    }
    out.write_all(b"end\n")?;
    out.flush()?;
    drop(out);
    std::fs::rename(beside, path)
}

fn line(out: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Reads it when it was made from what this digest stands for; `None` when it was not, or is not
/// whole.
#[must_use]
pub fn read(path: &Path, digest: &str) -> Option<Compiled> {
    let mut lines = BufReader::new(std::fs::File::open(path).ok()?);
    let mut text = String::new();
    let mut next = |text: &mut String| {
        text.clear();
        lines.by_ref().take(LINE_MAX).read_line(text).ok()
    };
    next(&mut text)?;
    let head: Head = serde_json::from_str(&text).ok()?;
    if head.format != FORMAT || head.digest != digest || head.definitions > DEFINITIONS_MAX {
        return None;
    }
    next(&mut text)?;
    let report = serde_json::from_str(&text).ok()?;
    let mut definitions = Vec::new();
    for _ in 0..head.definitions {
        next(&mut text)?;
        definitions.push(serde_json::from_str(&text).ok()?);
    }
    next(&mut text)?;
    (text == "end\n").then_some(Compiled { definitions, report })
}
