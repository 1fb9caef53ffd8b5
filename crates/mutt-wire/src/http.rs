//! An HTTP body to records, and a record to an event. A body is refused only when it is no JSON; a
//! record is never refused: what it lacks or gets wrong is noted on its event.

mod record;
mod scan;
#[cfg(test)]
mod tests;

pub use self::record::{Decoded, FIELD_DEPTH_MAX, decode};
use self::scan::{Fault, Scanner};

/// Records that one body may hold.
pub const RECORDS_MAX: usize = 20_000;

/// Why a body is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is no JSON.
    NotJson {
        /// The octet, from 0.
        at: usize,
        /// The line, from 1.
        line: usize,
        /// The octet within the line, from 1.
        column: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// It holds more than [`RECORDS_MAX`] records.
    TooManyRecords,
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson { line, column, why, .. } => {
                write!(f, "the body is no JSON: line {line}, column {column}: {why}")
            }
            Self::TooManyRecords => write!(f, "the body holds more than {RECORDS_MAX} records"),
        }
    }
}

impl std::error::Error for BodyError {}

/// The records of a body, each the bytes as they came, in order: one value, values each on its own
/// line (newline-delimited JSON), or arrays of values. The content type plays no part.
///
/// # Errors
///
/// When the body is no JSON (one fault anywhere refuses all of it) or holds too many records.
pub fn records(body: &[u8]) -> Result<Vec<&[u8]>, BodyError> {
    let body_start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = body.get(body_start..).unwrap_or_default();
    let mut scanner = Scanner::new(text);
    let mut found = Vec::new();
    let outcome = collect(&mut scanner, &mut found);
    match outcome {
        Ok(true) => Ok(found),
        Ok(false) => Err(BodyError::TooManyRecords),
        Err(fault) => Err(not_json(body, body_start + fault.at, fault.why)),
    }
}

fn collect<'a>(scanner: &mut Scanner<'a>, found: &mut Vec<&'a [u8]>) -> Result<bool, Fault> {
    scanner.skip_space();
    loop {
        let fits = if scanner.peek() == Some(b'[') {
            collect_array(scanner, found)?
        } else {
            add(scanner.value()?.raw, found)
        };
        if !fits {
            return Ok(false);
        }
        let newline = scanner.skip_space();
        if scanner.peek().is_none() {
            return Ok(true);
        }
        if !newline {
            return scanner.fault("the next record must stand on a line of its own");
        }
    }
}

fn collect_array<'a>(scanner: &mut Scanner<'a>, found: &mut Vec<&'a [u8]>) -> Result<bool, Fault> {
    scanner.take(b'[');
    scanner.skip_space();
    if scanner.take(b']') {
        return Ok(true);
    }
    loop {
        if !add(scanner.value()?.raw, found) {
            return Ok(false);
        }
        scanner.skip_space();
        if scanner.take(b']') {
            return Ok(true);
        }
        if !scanner.take(b',') {
            return scanner.fault("a comma or the closing bracket must stand here");
        }
    }
}

fn add<'a>(raw: &'a [u8], found: &mut Vec<&'a [u8]>) -> bool {
    let fits = found.len() < RECORDS_MAX;
    if fits {
        found.push(raw);
    }
    fits
}

fn not_json(body: &[u8], at: usize, why: &'static str) -> BodyError {
    let before = &body[..at.min(body.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = at - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
    BodyError::NotJson { at, line, column, why }
}
