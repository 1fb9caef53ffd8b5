//! An HTTP body to records, and a record to an event. A body is refused only when it is no JSON (or no
//! protobuf, where its sender says that it is); a record is never refused: what it lacks or gets wrong
//! is noted on its event.

mod hec;
mod loki;
mod members;
mod otlp;
mod payload;
mod record;
pub(crate) mod scan;
mod shape;
pub mod snappy;
#[cfg(test)]
mod tests;
pub mod unpack;

pub use self::hec::Query;
pub use self::payload::Defaults;
pub use self::record::{Decoded, FIELD_DEPTH_MAX, decode};
use self::scan::Fault;
pub use self::shape::{Record, Shape, read};
use crate::snmp::names::Names;
use crate::{Frame, syslog};

/// What records are read with beside what they say.
#[derive(Clone, Copy, Debug)]
pub struct With<'w> {
    /// How lines of text are read.
    pub options: &'w syslog::Options,
    /// The names of OIDs in force.
    pub names: &'w Names,
}

/// Records that one body may hold.
pub const RECORDS_MAX: usize = 20_000;
/// Octets to which the labels or attributes that records share may be spread: each record's event
/// carries them.
pub const SPREAD_MAX: usize = 64 * 1024 * 1024;

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
    /// It is no `ExportLogsServiceRequest`.
    NotOtlp {
        /// What is wrong.
        why: &'static str,
    },
    /// It holds more than [`RECORDS_MAX`] records.
    TooManyRecords,
    /// What its records share would be spread to more than [`SPREAD_MAX`].
    TooWide,
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson { line, column, why, .. } => {
                write!(f, "the body is no JSON: line {line}, column {column}: {why}")
            }
            Self::NotOtlp { why } => write!(f, "the body is no ExportLogsServiceRequest: {why}"),
            Self::TooManyRecords => write!(f, "the body holds more than {RECORDS_MAX} records"),
            Self::TooWide => write!(
                f,
                "the labels or attributes that records share, written to each of them, exceed {SPREAD_MAX} octets; send smaller batches"
            ),
        }
    }
}

impl std::error::Error for BodyError {}

/// The records of a body of JSON, each the bytes as they came, in order; see [`Shape::Json`].
///
/// # Errors
///
/// When the body is no JSON (one fault anywhere refuses all of it) or holds too many records.
pub fn records(body: &[u8]) -> Result<Vec<&[u8]>, BodyError> {
    Ok(read(Shape::Json, body)?.iter().map(Record::raw).collect())
}

/// Decodes one record of [`read`]; the frame's raw bytes are the record's.
#[must_use]
pub fn decode_record<'a>(
    frame: Frame<'a>,
    record: &Record<'a>,
    defaults: &Defaults,
    with: With<'_>,
) -> Decoded<'a> {
    record.decode(Frame { raw: record.raw(), ..frame }, defaults, with)
}

fn not_json(body: &[u8], fault: Fault) -> BodyError {
    let before = &body[..fault.at.min(body.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = fault.at - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
    BodyError::NotJson { at: fault.at, line, column, why: fault.why }
}
