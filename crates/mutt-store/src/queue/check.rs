//! A look at a queue's files that changes nothing: what `muttctl queue check` tells. Also while
//! another process has the queue open.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::cursor::{self, Found};
use super::format::{
    HeaderError, Mark, SEGMENT_HEADER, SegmentHeader, segment_name, segment_number,
};
use super::fs::{Fs, RealFs};
use super::recover::CURSOR;
use super::salvage::DAMAGED;
use super::scan;

/// What a check found in one file of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// The file's name.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Whole records.
    pub records: u64,
    /// Events in them, and in damaged ones whose header is whole.
    pub events: u64,
    /// Events that earlier salvage has counted as lost.
    pub lost_events: u64,
    /// Each damage, and how many events it can cost at most.
    pub damage: Vec<String>,
    /// Bytes after the last whole record of the newest file: an append that is being written or was
    /// never finished. Not damage.
    pub unfinished_bytes: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Each file of the log, oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is wrong beside single files: missing ones, the cursor.
    pub damage: Vec<String>,
    /// Events appended and not acknowledged, as far as the files tell.
    pub pending_events: u64,
    /// Events ever appended, as far as the files tell.
    pub appended_events: u64,
    /// Damaged files that were set aside earlier.
    pub set_aside: Vec<String>,
}

impl CheckReport {
    /// Whether everything that was appended and not acknowledged can be read.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.segments.iter().all(|s| s.damage.is_empty())
    }
}

/// Checks the queue in `dir`: headers, order, checksums. Reads every byte; changes none.
///
/// # Errors
///
/// When the directory or a file cannot be read, or another version wrote it.
pub fn check(dir: &Path) -> io::Result<CheckReport> {
    check_on(&RealFs, dir)
}

fn check_on(fs: &dyn Fs, dir: &Path) -> io::Result<CheckReport> {
    let mut report = CheckReport::default();
    let cursor = match cursor::read(fs, &dir.join(CURSOR))? {
        Found::Cursor { cursor, .. } => Some(cursor),
        Found::Format(format) => return Err(other_format(format)),
        Found::Nothing => {
            report.damage.push("cursor: missing".to_owned());
            None
        }
        Found::Damaged => {
            report.damage.push("cursor: damaged".to_owned());
            None
        }
    };
    let mut numbers: Vec<u64> =
        fs.list(dir)?.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut headers = Vec::new();
    for number in numbers {
        // A file that was given back since the listing.
        let Ok(file) = fs.open(&dir.join(segment_name(number)), false) else { continue };
        let header = match scan::segment_header(&*file)? {
            Ok(header) => Some(header),
            Err(HeaderError::Format(format)) => return Err(other_format(format)),
            Err(HeaderError::Damaged) => None,
        };
        headers.push((number, header, file));
    }
    let salt = cursor
        .as_ref()
        .map(|c| c.salt)
        .or_else(|| headers.iter().find_map(|(_, h, _)| h.map(|h| h.salt)))
        .unwrap_or_default();
    let mut end = cursor.as_ref().and_then(|c| c.ack).map(|ack| (ack.seq, ack.appended));
    for (i, (number, header, file)) in headers.iter().enumerate() {
        let next = headers[i + 1..].iter().find_map(|(_, h, _)| *h);
        let first = header.map(|h| h.first()).or(end).unwrap_or_default();
        if let Some(end) = end.filter(|end| end.0 < first.0) {
            report.damage.push(format!(
                "before {}: {} batches with {} events are missing",
                segment_name(*number),
                first.0 - end.0,
                first.1.saturating_sub(end.1)
            ));
        }
        let segment = Looked { number: *number, header: *header, first, next, salt };
        let durable = cursor.as_ref().map(|c| (c.next_seq, c.appended));
        let (found, after) = segment.look(&**file, durable)?;
        report.segments.push(found);
        end = end.max(Some(after));
    }
    let found = end.unwrap_or_default();
    if let Some(cursor) = &cursor {
        if cursor.next_seq > found.0 {
            report.damage.push(format!(
                "at the end: {} batches with {} events are missing",
                cursor.next_seq - found.0,
                cursor.appended.saturating_sub(found.1)
            ));
        }
        report.appended_events = cursor.appended.max(found.1);
        let acknowledged = cursor.ack.map_or(0, |ack| ack.appended);
        report.pending_events = report.appended_events.saturating_sub(acknowledged);
    } else {
        report.appended_events = found.1;
        let start = headers.first().and_then(|(_, h, _)| *h).map_or(0, |h| h.appended);
        report.pending_events = found.1.saturating_sub(start);
    }
    report.set_aside = fs.list(&dir.join(DAMAGED))?;
    report.set_aside.retain(|name| !name.ends_with(".why"));
    report.set_aside.sort_unstable();
    Ok(report)
}

fn other_format(format: u16) -> io::Error {
    io::Error::other(format!("written in format {format} by another version"))
}

/// A segment file and what its neighbours say about it.
struct Looked {
    number: u64,
    header: Option<SegmentHeader>,
    first: (u64, u64),
    next: Option<SegmentHeader>,
    salt: u64,
}

impl Looked {
    /// What is in it, and where the log stands after it.
    fn look(
        &self,
        file: &dyn super::fs::FsFile,
        durable: Option<(u64, u64)>,
    ) -> io::Result<(SegmentReport, (u64, u64))> {
        let bytes = file.length()?;
        let start = Mark {
            segment: self.number,
            offset: SEGMENT_HEADER,
            seq: self.first.0,
            appended: self.first.1,
        };
        let stop = self.next.map(|next| next.first_seq);
        let mut found = scan::scan(file, self.salt, start, stop, true)?;
        let mut report = SegmentReport {
            file: segment_name(self.number),
            bytes,
            records: found.records,
            ..SegmentReport::default()
        };
        let due = match (self.next, durable) {
            (Some(next), _) => next.first(),
            (None, Some(durable)) if durable.0 > found.synced_seq => durable,
            (None, _) => (found.synced_seq, 0),
        };
        if self.next.is_none()
            && let Some(torn) = found.damage.iter().position(|d| d.seq() >= due.0)
        {
            found.end = found.damage[torn].start();
            found.damage.truncate(torn);
        }
        if self.header.is_none() {
            report.damage.push("the segment's header cannot be read".to_owned());
        }
        report.damage.extend(found.damage.iter().map(ToString::to_string));
        let adjoins = self.next.is_none_or(|next| next.number == self.number + 1);
        if found.end.seq < due.0 && (found.end.offset < bytes || adjoins) {
            report.damage.push(format!("the file is cut off at byte {}", found.end.offset));
        } else if self.next.is_none() {
            report.unfinished_bytes = bytes.saturating_sub(found.end.offset);
        }
        report.lost_events = found.lost;
        report.events = found.end.appended.saturating_sub(self.first.1).saturating_sub(found.lost);
        Ok((report, (found.end.seq, found.end.appended)))
    }
}
