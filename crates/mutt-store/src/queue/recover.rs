//! Opening a log that a killed process, a power cut or a damaged disk left behind: cuts off what was
//! never acknowledged, sets damage aside, and makes the files regular again before anything is read.

use std::io;
use std::path::Path;

use mutt_model::{Clock, failpoint};
use ring::rand::SecureRandom;

use super::QueueError;
use super::cursor::{self, Cursor, CursorFile, Found};
use super::format::{
    HeaderError, Mark, SEGMENT_HEADER, SegmentHeader, segment_name, segment_number,
};
use super::fs::{Fs, FsFile};
use super::salvage::{DAMAGED, Repaired, TEMPORARY, Workshop};
use super::scan::{self, Damage, Scan};
use super::state::{Segment, State, io_error};

/// The name of the cursor's file.
pub(crate) const CURSOR: &str = "cursor";

/// What was found and made ready.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) cursor: CursorFile,
    pub(crate) next_number: u64,
}

/// A segment file as it was found.
#[derive(Debug)]
struct Part {
    number: u64,
    header: Option<SegmentHeader>,
    file: Box<dyn FsFile>,
}

/// The segment that goes on, as far as it can be told.
#[derive(Clone, Copy, Debug)]
struct Follower {
    number: u64,
    first: (u64, u64),
}

impl Part {
    /// Where the log stands at its begin: by its header, else by the first record in it that can be
    /// recognised.
    fn follower(&self, salt: u64) -> io::Result<Option<Follower>> {
        let first = match self.header {
            Some(header) => Some(header.first()),
            None => self.first_record(salt)?.map(|first| (first.seq, first.appended)),
        };
        Ok(first.map(|first| Follower { number: self.number, first }))
    }

    fn first_record(&self, salt: u64) -> io::Result<Option<Mark>> {
        let nowhere = Mark { segment: self.number, offset: SEGMENT_HEADER, seq: 0, appended: 0 };
        scan::first_record(&*self.file, salt, nowhere)
    }
}

struct Recovery<'a> {
    workshop: Workshop<'a>,
    cursor: Option<Cursor>,
    segments: Vec<Segment>,
    notes: Vec<String>,
    /// Where the walked part of the log ends; `None` before the first segment.
    end: Option<(u64, u64)>,
}

/// Reads everything that says where the log stands, and mends it.
pub(crate) fn open(fs: &dyn Fs, dir: &Path, clock: &Clock) -> Result<Recovered, QueueError> {
    let path = dir.join(CURSOR);
    let read_error = io_error("open");
    let found = cursor::read(fs, &path).map_err(&read_error)?;
    if let Found::Format(format) = found {
        return Err(QueueError::Format(format));
    }
    let names = fs.list(dir).map_err(&read_error)?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
        fs.unlink(&dir.join(name)).map_err(&read_error)?;
    }
    let parts = parts(fs, dir, &names)?;
    let known = match &found {
        Found::Cursor { cursor, .. } => Some(cursor.clone()),
        _ => None,
    };
    let salt = match (&known, parts.iter().find_map(|p| p.header)) {
        (Some(cursor), _) => cursor.salt,
        (None, Some(header)) => header.salt,
        (None, None) => random().map_err(&read_error)?,
    };
    let mut recovery = Recovery {
        workshop: Workshop { fs, dir, salt },
        cursor: known,
        segments: Vec::new(),
        notes: kept_notes(fs, dir).map_err(&read_error)?,
        end: None,
    };
    let next_number = parts.iter().map(|p| p.number).max().map_or(1, |n| n + 1);
    recovery.walk(&parts)?;
    let next_number = recovery.missing_end(next_number).map_err(&read_error)?;
    if matches!(found, Found::Damaged) {
        let why = "the cursor cannot be read; batches may be delivered again";
        let note = recovery.workshop.set_aside(CURSOR, why, false).map_err(&read_error)?;
        recovery.notes.push(note);
    } else if matches!(found, Found::Nothing) && !parts.is_empty() {
        recovery.notes.push("cursor: missing; batches may be delivered again".to_owned());
    }
    let mut state = recovery.state().map_err(&read_error)?;
    state.generation = next_generation(state.generation, clock);
    let file = match found {
        Found::Cursor { version, slot, .. } => {
            CursorFile::open(fs, &path, version, slot).and_then(|mut file| {
                file.write(&state.cursor())?;
                file.sync()?;
                Ok(file)
            })
        }
        _ => CursorFile::create(fs, &path, &state.cursor()),
    };
    Ok(Recovered { state, cursor: file.map_err(&read_error)?, next_number })
}

/// Above what was given out so far, also where the cursor that knew it is lost, set aside or an old
/// copy: the store refuses a generation lower than one it has seen. Leases are given out more seldom
/// than once a second, so that the seconds since the epoch are above any count begun earlier.
fn next_generation(known: u64, clock: &Clock) -> u64 {
    known.saturating_add(1).max(u64::try_from(clock.wall().secs()).unwrap_or(0))
}

fn parts(fs: &dyn Fs, dir: &Path, names: &[String]) -> Result<Vec<Part>, QueueError> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut parts = Vec::with_capacity(numbers.len());
    for number in numbers {
        let file = fs.open(&dir.join(segment_name(number)), true).map_err(io_error("open"))?;
        let header = match scan::segment_header(&*file).map_err(io_error("open"))? {
            Ok(header) if header.number == number => Some(header),
            Err(HeaderError::Format(format)) => return Err(QueueError::Format(format)),
            _ => None,
        };
        parts.push(Part { number, header, file });
    }
    Ok(parts)
}

fn random() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("no randomness"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// What was set aside by earlier runs, in the words of their time.
fn kept_notes(fs: &dyn Fs, dir: &Path) -> io::Result<Vec<String>> {
    let damaged = dir.join(DAMAGED);
    let mut names = fs.list(&damaged)?;
    names.retain(|name| !name.ends_with(".why"));
    names.sort_unstable();
    let note = |name: &String| {
        let mut why = vec![0u8; 4096];
        let read = fs
            .open(&damaged.join(format!("{name}.why")), false)
            .and_then(|file| file.read_at(&mut why, 0));
        why.truncate(read.unwrap_or(0));
        format!("{DAMAGED}/{name}: {}", String::from_utf8_lossy(&why).trim_end())
    };
    Ok(names.iter().map(note).collect())
}

impl Recovery<'_> {
    /// Goes through the segments in order; each is regular and counted when it is passed.
    fn walk(&mut self, parts: &[Part]) -> Result<(), QueueError> {
        for (i, part) in parts.iter().enumerate() {
            let next = self.follower(&parts[i + 1..]).map_err(io_error("open"))?;
            let header = match part.header {
                Some(header) => header,
                None => match self.header_from_neighbours(part).map_err(io_error("open"))? {
                    Some(header) => header,
                    None => continue,
                },
            };
            self.missing_before(header).map_err(io_error("open"))?;
            let adjoins = parts.get(i + 1).is_some_and(|n| {
                n.number == part.number + 1 && n.header.is_some() && part.header.is_some()
            });
            match next {
                Some(next) if adjoins => {
                    let len = part.file.length().map_err(io_error("open"))?;
                    self.pass(header, len, next.first);
                }
                _ => self.examine(part, header, next)?,
            }
        }
        Ok(())
    }

    fn follower(&self, parts: &[Part]) -> io::Result<Option<Follower>> {
        for part in parts {
            if let Some(follower) = part.follower(self.workshop.salt)? {
                return Ok(Some(follower));
            }
        }
        Ok(None)
    }

    /// Makes up the header of a segment whose own cannot be read; `None` when no record was ever
    /// acknowledged out of it, which ends in its removal.
    fn header_from_neighbours(&mut self, part: &Part) -> io::Result<Option<SegmentHeader>> {
        let salt = self.workshop.salt;
        let first = part.first_record(salt)?;
        let before = self.end.or_else(|| {
            self.cursor.as_ref().and_then(|c| c.ack).map(|ack| (ack.seq, ack.appended))
        });
        let durable = self.cursor.as_ref().map_or(0, |c| c.next_seq);
        let (first_seq, appended) = match (first, before) {
            (Some(first), _) if first.offset == SEGMENT_HEADER => (first.seq, first.appended),
            (Some(first), Some(before)) if before.0 <= first.seq => before,
            (Some(first), _) => (first.seq, first.appended),
            (None, Some(before)) if before.0 < durable => before,
            (None, _) => {
                self.discard_unborn(part)?;
                return Ok(None);
            }
        };
        let lost_before = self.segments.iter().map(|s| s.lost).sum();
        let number = part.number;
        Ok(Some(SegmentHeader { number, first_seq, appended, lost_before, lost_inside: 0, salt }))
    }

    /// A file that was made and never held an acknowledged record.
    fn discard_unborn(&mut self, part: &Part) -> io::Result<()> {
        let name = segment_name(part.number);
        if part.file.length()? <= SEGMENT_HEADER {
            self.workshop.fs.unlink(&self.workshop.dir.join(name))?;
            return self.workshop.fs.sync_dir(self.workshop.dir);
        }
        let why = "neither its header nor any record can be read";
        let note = self.workshop.set_aside(&name, why, false)?;
        self.notes.push(note);
        Ok(())
    }

    /// Counts the records between the last passed segment (or the cursor) and this one as lost.
    fn missing_before(&mut self, header: SegmentHeader) -> io::Result<()> {
        let known = self.end.or_else(|| {
            self.cursor.as_ref().and_then(|c| c.ack).map(|ack| (ack.seq, ack.appended))
        });
        let Some((seq, appended)) = known else { return Ok(()) };
        if seq >= header.first_seq {
            return Ok(());
        }
        self.stand_in(header.number.saturating_sub(1), (seq, appended), header.first())
    }

    fn stand_in(&mut self, number: u64, from: (u64, u64), until: (u64, u64)) -> io::Result<()> {
        let header = SegmentHeader {
            number,
            first_seq: from.0,
            appended: from.1,
            lost_before: self.segments.iter().map(|s| s.lost).sum(),
            lost_inside: 0,
            salt: self.workshop.salt,
        };
        let repaired = self.workshop.stand_in(header, until)?;
        self.repaired(repaired, until);
        Ok(())
    }

    fn repaired(&mut self, repaired: Repaired, end: (u64, u64)) {
        tracing::error!(
            code = mutt_model::codes::ALERTER_QUEUE_DAMAGED.id,
            note = repaired.note,
            "event queue: damage found at open"
        );
        self.notes.push(repaired.note);
        self.pass(repaired.header, repaired.len, end);
    }

    fn pass(&mut self, header: SegmentHeader, len: u64, end: (u64, u64)) {
        let first = header.start();
        self.segments.push(Segment { number: header.number, first, len, lost: header.lost_inside });
        self.end = Some(end);
    }

    /// Walks the records of a segment that is the last one, has no readable header or whose
    /// follower is not there, and mends it.
    fn examine(
        &mut self,
        part: &Part,
        header: SegmentHeader,
        next: Option<Follower>,
    ) -> Result<(), QueueError> {
        let first = header.start();
        let stop = next.map(|next| next.first.0);
        let found = scan::scan(&*part.file, self.workshop.salt, first, stop, true)
            .map_err(io_error("open"))?;
        if let Some(format) = found.format {
            return Err(QueueError::Format(format));
        }
        self.mend(part, header, next, found).map_err(io_error("open"))
    }

    fn mend(
        &mut self,
        part: &Part,
        header: SegmentHeader,
        next: Option<Follower>,
        mut found: Scan,
    ) -> io::Result<()> {
        let len = part.file.length()?;
        // What must be there: up to the next segment, or what was surely synced.
        let due = match next {
            Some(next) => next.first,
            None => self
                .cursor
                .as_ref()
                .map_or((found.synced_seq, 0), |c| (c.next_seq.max(found.synced_seq), c.appended)),
        };
        if next.is_none() {
            // The last group may be torn: it was never acknowledged.
            let torn = found.damage.iter().position(|d| d.seq() >= due.0);
            if let Some(torn) = torn {
                found.end = found.damage[torn].start();
                found.damage.truncate(torn);
            }
        }
        let short = found.end.seq < due.0;
        if short && (found.end.offset < len || next.is_some_and(|n| n.number == part.number + 1)) {
            found.damage.push(Damage::Tail { from: found.end, seq: due.0, appended: due.1 });
        }
        if !found.damage.is_empty() || part.header.is_none() {
            let repaired = self.workshop.rewrite(header, &found.damage, found.end.offset)?;
            let tail = matches!(found.damage.last(), Some(Damage::Tail { .. }));
            let end = if tail { due } else { (found.end.seq, found.end.appended) };
            self.repaired(repaired, end);
            return Ok(());
        }
        if next.is_none() && found.end.offset < len {
            failpoint::hit("queue.recover.before_truncate");
            tracing::info!(
                segment = segment_name(part.number),
                bytes = len - found.end.offset,
                "event queue: an unfinished append was cut off; it was never acknowledged"
            );
            part.file.set_len(found.end.offset)?;
            failpoint::hit("queue.recover.after_truncate");
            part.file.sync()?;
        }
        self.pass(header, found.end.offset.min(len), (found.end.seq, found.end.appended));
        Ok(())
    }

    /// Counts what the cursor knows as durable after the last file; the number of the next one.
    fn missing_end(&mut self, next_number: u64) -> io::Result<u64> {
        let Some(cursor) = &self.cursor else { return Ok(next_number) };
        let due = (cursor.next_seq, cursor.appended);
        let (from, number) = match (self.end, cursor.ack) {
            (Some(end), _) => (end, next_number),
            (None, Some(ack)) => ((ack.seq, ack.appended), next_number.max(ack.segment + 1)),
            (None, None) => return Ok(next_number),
        };
        if from.0 < due.0 {
            self.stand_in(number, from, due)?;
            return Ok(number + 1);
        }
        if self.end.is_none() {
            self.end = Some(from);
        }
        Ok(number)
    }

    /// The counters and places that follow from the regular files.
    fn state(self) -> io::Result<State> {
        let (next_seq, appended) = self.end.unwrap_or((0, 0));
        let mut state = State::new(self.workshop.salt, self.segments.into(), self.notes);
        (state.next_seq, state.appended) = (next_seq, appended);
        let start =
            state.segments.front().map_or(
                Mark { segment: 0, offset: SEGMENT_HEADER, seq: next_seq, appended },
                |s| s.first,
            );
        if let Some(cursor) = self.cursor {
            state.generation = cursor.generation;
            state.dropped = cursor.dropped;
            state.lost_acked = cursor.lost_acked;
            state.ack = cursor.ack.unwrap_or(start);
            state.claimed_before = cursor.claimed_seq;
            if cursor.head_deliveries > 0 {
                state.deliveries.push_back((state.ack.seq, cursor.head_deliveries));
            }
        } else {
            state.ack = start;
            let first = state.segments.front().map(|s| s.number);
            state.lost_acked = match first {
                Some(number) => self.workshop.lost_before(number)?,
                None => 0,
            };
        }
        let workshop = self.workshop;
        state.ack = workshop.locate(&state)?;
        state.read = state.ack;
        for segment in state.segments.iter().filter(|s| s.number > state.ack.segment) {
            state.lost_pending += segment.lost;
            state.pending_bytes += segment.len.saturating_sub(SEGMENT_HEADER);
        }
        if let Some(segment) = state.segment_of(state.ack.seq)
            && segment.number == state.ack.segment
        {
            let rest = segment.len.saturating_sub(state.ack.offset);
            let lost = if segment.lost > 0 { workshop.lost_after(state.ack)? } else { 0 };
            state.pending_bytes += rest;
            state.lost_pending += lost;
        }
        Ok(state)
    }
}

impl Workshop<'_> {
    fn lost_before(&self, number: u64) -> io::Result<u64> {
        let file = self.fs.open(&self.dir.join(segment_name(number)), false)?;
        Ok(scan::segment_header(&*file)?.map_or(0, |header| header.lost_before))
    }

    /// Lost events in the rest of a segment.
    fn lost_after(&self, mark: Mark) -> io::Result<u64> {
        let file = self.fs.open(&self.dir.join(segment_name(mark.segment)), false)?;
        Ok(scan::scan(&*file, self.salt, mark, None, false)?.lost)
    }

    /// The acknowledged place in today's files; they may have been rewritten or copied back since.
    fn locate(&self, state: &State) -> io::Result<Mark> {
        let mark = state.ack;
        let Some(segment) = state.segment_of(mark.seq) else {
            return Ok(state.segments.front().map_or(mark, |s| s.first));
        };
        if segment.first.seq == mark.seq {
            return Ok(segment.first);
        }
        let file = self.fs.open(&self.dir.join(segment_name(segment.number)), false)?;
        let there = mark.segment == segment.number
            && (mark.offset == segment.len || scan::record_at(&*file, self.salt, mark)?.is_ok());
        if there {
            return Ok(mark);
        }
        let found = scan::scan(&*file, self.salt, segment.first, Some(mark.seq), false)?;
        Ok(found.end)
    }
}
