//! Walks the records of one segment file and says what is whole, what is damaged and what is cut off.

use std::io;

use super::format::{
    ALIGN, HeaderError, Mark, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader,
};
use super::fs::FsFile;

/// A part of a segment that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The header is whole, the payload is not.
    Payload { at: Mark, header: RecordHeader },
    /// No header can be read between two places; what was counted is known from their difference.
    Gap { from: Mark, to: Mark },
    /// The file ends before the queue's counters say so.
    Tail { from: Mark, seq: u64, appended: u64 },
}

impl Damage {
    /// The first sequence number that it concerns.
    pub(crate) fn seq(&self) -> u64 {
        self.start().seq
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Mark {
        match *self {
            Self::Payload { at, .. } => at,
            Self::Gap { from, .. } | Self::Tail { from, .. } => from,
        }
    }

    /// Events that it can have cost at most.
    pub(crate) fn events(&self) -> u64 {
        match self {
            Self::Payload { header, .. } => u64::from(header.events),
            Self::Gap { from, to } => to.appended.saturating_sub(from.appended),
            Self::Tail { from, appended, .. } => appended.saturating_sub(from.appended),
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self {
            Self::Payload { .. } => "a record fails its checksum",
            Self::Gap { .. } => "records cannot be recognised",
            Self::Tail { .. } => "the file is cut off",
        };
        write!(f, "{what} at byte {} (at most {} events)", self.start().offset, self.events())
    }
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Whole records.
    pub(crate) records: u64,
    /// Where the last whole record ends.
    pub(crate) end: Mark,
    /// Events that earlier salvage gave up.
    pub(crate) lost: u64,
    /// Damage in order; a tail that is cut off is not in it, it is where `end` is.
    pub(crate) damage: Vec<Damage>,
    /// Records before this one were on stable storage when a later one was written.
    pub(crate) synced_seq: u64,
    /// A record of another format stands here.
    pub(crate) format: Option<u16>,
}

/// Reads the header of a segment file.
pub(crate) fn segment_header(file: &dyn FsFile) -> io::Result<Result<SegmentHeader, HeaderError>> {
    let mut bytes = [0u8; SEGMENT_HEADER as usize];
    let length = read_through(file, &mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes[..length]))
}

/// Reads the header of the record at `mark`; it must be the expected one and inside the file.
pub(crate) fn record_at(
    file: &dyn FsFile,
    salt: u64,
    mark: Mark,
) -> io::Result<Result<RecordHeader, HeaderError>> {
    let mut bytes = [0u8; RECORD_HEADER];
    let length = read_through(file, &mut bytes, mark.offset)?;
    Ok(RecordHeader::decode(&bytes[..length], salt).and_then(|header| {
        let expected = header.seq == mark.seq && header.appended == mark.appended;
        if expected { Ok(header) } else { Err(HeaderError::Damaged) }
    }))
}

/// Reads the payload of a record; `None` when it is not what was written.
pub(crate) fn payload(
    file: &dyn FsFile,
    mark: Mark,
    header: &RecordHeader,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0u8; header.payload_len as usize];
    let length = read_through(file, &mut bytes, mark.offset + RECORD_HEADER as u64)?;
    let whole = length == bytes.len() && crc32fast::hash(&bytes) == header.payload_crc;
    Ok(whole.then_some(bytes))
}

/// Walks from `from` to the end of the file or to the record `stop`. Payloads are checked when
/// `payloads` is set.
pub(crate) fn scan(
    file: &dyn FsFile,
    salt: u64,
    from: Mark,
    stop: Option<u64>,
    payloads: bool,
) -> io::Result<Scan> {
    let length = file.length()?;
    let mut scan = Scan {
        records: 0,
        end: from,
        lost: 0,
        damage: Vec::new(),
        synced_seq: from.seq,
        format: None,
    };
    while scan.end.offset < length && stop.is_none_or(|stop| scan.end.seq < stop) {
        let mark = scan.end;
        let header = match record_at(file, salt, mark)? {
            Ok(header) if mark.offset + u64::from(header.extent) <= length => header,
            Err(HeaderError::Format(format)) => {
                scan.format = Some(format);
                break;
            }
            _ => match next_header(file, salt, mark, stop, length)? {
                Some(to) => {
                    scan.damage.push(Damage::Gap { from: mark, to });
                    scan.end = to;
                    continue;
                }
                None => break,
            },
        };
        if payloads && payload(file, mark, &header)?.is_none() {
            scan.damage.push(Damage::Payload { at: mark, header });
        } else {
            scan.records += 1;
        }
        scan.lost += u64::from(header.lost);
        scan.synced_seq =
            scan.synced_seq.max(header.seq - u64::from(header.in_group).min(header.seq));
        scan.end = mark.after(&header);
    }
    Ok(scan)
}

/// The first record that can be recognised anywhere in a file.
pub(crate) fn first_record(file: &dyn FsFile, salt: u64, from: Mark) -> io::Result<Option<Mark>> {
    // The search looks at what comes after its start.
    let from = Mark { offset: from.offset - ALIGN as u64, ..from };
    next_header(file, salt, from, None, file.length()?)
}

/// Reads as [`FsFile::read_at`] does; blocks that the disk cannot give read as zeroes, so that a bad
/// block costs the records in it and nothing else.
pub(crate) fn read_through(file: &dyn FsFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    const EIO: i32 = 5;
    const BLOCK: usize = 4096;
    match file.read_at(bytes, offset) {
        Err(e) if e.raw_os_error() == Some(EIO) => {}
        other => return other,
    }
    let there = usize::try_from(file.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
    let wanted = bytes.len().min(there);
    for (i, block) in bytes[..wanted].chunks_mut(BLOCK).enumerate() {
        if file.read_at(block, offset + (i * BLOCK) as u64).is_err() {
            block.fill(0);
        }
    }
    Ok(wanted)
}

/// Searches for the next header that belongs to this queue and comes later.
fn next_header(
    file: &dyn FsFile,
    salt: u64,
    from: Mark,
    stop: Option<u64>,
    length: u64,
) -> io::Result<Option<Mark>> {
    const CHUNK: usize = 1 << 20;
    let mut start = from.offset;
    let mut bytes = vec![0u8; CHUNK + RECORD_HEADER];
    while start < length {
        let read = read_through(file, &mut bytes, start)?;
        for at in (0..CHUNK.min(read)).step_by(ALIGN) {
            let Ok(header) = RecordHeader::decode(&bytes[at..read], salt) else { continue };
            let offset = start + at as u64;
            let later =
                header.seq >= from.seq && offset > from.offset && header.appended >= from.appended;
            let inside = offset + u64::from(header.extent) <= length;
            if later && inside && stop.is_none_or(|stop| header.seq < stop) {
                let (seq, appended) = (header.seq, header.appended);
                return Ok(Some(Mark { segment: from.segment, offset, seq, appended }));
            }
        }
        start += CHUNK as u64;
    }
    Ok(None)
}
