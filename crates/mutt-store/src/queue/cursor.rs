//! The small file beside the segments: how far was acknowledged, and the counters that no segment
//! carries.
//!
//! Two slots of 4 KiB, each with a version and a checksum. A write goes into one slot again and again
//! without a sync (an acknowledgement lost in a power cut means a second delivery, which the receipt
//! in the store makes harmless; a killed process loses nothing). A sync ends the slot's turn, so that
//! the slot written last before a sync is never touched until the other one is on stable storage.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;

use super::format::{Mark, le16, le32, le64};
use super::fs::{Fs, FsFile};

const SLOT: usize = 4096;
const MAGIC: &[u8; 8] = b"MUTTQCUR";
const FORMAT: u16 = 1;
const FIXED: usize = 128;
/// The name under which reasons are counted for which a slot has no room.
const OTHER: &str = "other";

/// What the cursor file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) salt: u64,
    /// The latest lease generation given out.
    pub(crate) generation: u64,
    /// The first unacknowledged record.
    pub(crate) ack: Option<Mark>,
    /// Lost events among those before `ack`.
    pub(crate) lost_acked: u64,
    /// The sequence number after the last durable record.
    pub(crate) next_seq: u64,
    /// Events appended so far.
    pub(crate) appended: u64,
    /// Records before this one were claimed at least once.
    pub(crate) claimed_seq: u64,
    /// How often the first unacknowledged record was claimed.
    pub(crate) head_deliveries: u32,
    /// Drops by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// What was found where the cursor should be.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Damaged,
    Format(u16),
    Cursor { cursor: Cursor, version: u64, slot: usize },
}

impl Cursor {
    fn encode(&self, version: u64) -> Vec<u8> {
        let mut out = vec![0u8; SLOT];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        let ack = self.ack.unwrap_or(Mark { segment: 0, offset: 0, seq: 0, appended: 0 });
        let numbers = [
            version,
            self.salt,
            self.generation,
            ack.segment,
            ack.offset,
            ack.seq,
            ack.appended,
            self.lost_acked,
            self.next_seq,
            self.appended,
            self.claimed_seq,
            u64::from(self.head_deliveries),
            u64::from(self.ack.is_some()),
        ];
        for (i, number) in numbers.iter().enumerate() {
            let at = 16 + i * 8;
            out[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let mut at = FIXED;
        let mut other = 0u64;
        let mut entries = 0u16;
        // Room for `other` and the checksum is kept free at the end.
        let end = SLOT - 64;
        for (reason, count) in &self.dropped {
            if reason.len() > 255 || at + 9 + reason.len() > end || reason == OTHER {
                other = other.saturating_add(*count);
                continue;
            }
            put_entry(&mut out, &mut at, reason, *count);
            entries += 1;
        }
        if other > 0 {
            put_entry(&mut out, &mut at, OTHER, other);
            entries += 1;
        }
        out[10..12].copy_from_slice(&entries.to_le_bytes());
        let crc = crc32fast::hash(&out[..SLOT - 4]);
        out[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The slot's version and content; `None` for an empty or damaged slot.
    fn decode(bytes: &[u8]) -> Option<Result<(u64, Self), u16>> {
        let bytes = bytes.get(..SLOT)?;
        if &bytes[..8] != MAGIC || crc32fast::hash(&bytes[..SLOT - 4]) != le32(bytes, SLOT - 4) {
            return None;
        }
        if le16(bytes, 8) != FORMAT {
            return Some(Err(le16(bytes, 8)));
        }
        let number = |i: usize| le64(bytes, 16 + i * 8);
        let mark =
            Mark { segment: number(3), offset: number(4), seq: number(5), appended: number(6) };
        let mut dropped = BTreeMap::new();
        let mut at = FIXED;
        for _ in 0..le16(bytes, 10) {
            let length = usize::from(*bytes.get(at)?);
            let reason = std::str::from_utf8(bytes.get(at + 1..at + 1 + length)?).ok()?;
            let count = bytes.get(at + 1 + length..at + 9 + length)?;
            dropped.insert(reason.to_owned(), le64(count, 0));
            at += 9 + length;
        }
        let cursor = Self {
            salt: number(1),
            generation: number(2),
            ack: (number(12) != 0).then_some(mark),
            lost_acked: number(7),
            next_seq: number(8),
            appended: number(9),
            claimed_seq: number(10),
            head_deliveries: u32::try_from(number(11)).unwrap_or(u32::MAX),
            dropped,
        };
        Some(Ok((number(0), cursor)))
    }
}

fn put_entry(out: &mut [u8], at: &mut usize, reason: &str, count: u64) {
    out[*at] = reason.len() as u8;
    out[*at + 1..*at + 1 + reason.len()].copy_from_slice(reason.as_bytes());
    *at += 1 + reason.len();
    out[*at..*at + 8].copy_from_slice(&count.to_le_bytes());
    *at += 8;
}

/// Reads the newest whole slot.
pub(crate) fn read(fs: &dyn Fs, path: &Path) -> io::Result<Found> {
    let file = match fs.open(path, false) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(e),
    };
    let mut bytes = vec![0u8; 2 * SLOT];
    let length = file.read_at(&mut bytes, 0)?;
    let mut best: Option<(u64, Cursor, usize)> = None;
    for slot in 0..2 {
        match bytes[..length].get(slot * SLOT..).and_then(Cursor::decode) {
            Some(Ok((version, cursor)))
                if best.as_ref().is_none_or(|(newest, ..)| version > *newest) =>
            {
                best = Some((version, cursor, slot));
            }
            Some(Ok(_)) | None => {}
            Some(Err(format)) => return Ok(Found::Format(format)),
        }
    }
    Ok(best.map_or(Found::Damaged, |(version, cursor, slot)| Found::Cursor {
        cursor,
        version,
        slot,
    }))
}

/// Writes the cursor.
#[derive(Debug)]
pub(crate) struct CursorFile {
    file: Box<dyn FsFile>,
    version: u64,
    slot: usize,
    unsynced: bool,
}

impl CursorFile {
    /// Goes on after the slot that was read.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, version: u64, slot: usize) -> io::Result<Self> {
        let file = fs.open(path, true)?;
        // The slot that was read may only be in the page cache: make it stable before the other one
        // is overwritten.
        file.sync()?;
        Ok(Self { file, version, slot: 1 - slot, unsynced: false })
    }

    /// Makes a new file that is on stable storage with its name.
    pub(crate) fn create(fs: &dyn Fs, path: &Path, cursor: &Cursor) -> io::Result<Self> {
        let file = fs.create(path)?;
        let mut this = Self { file, version: 0, slot: 0, unsynced: false };
        // Both slots, so that a disk that fills up later has room for either.
        for _ in 0..2 {
            this.write(cursor)?;
            this.sync()?;
        }
        fs.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        Ok(this)
    }

    /// Hands the cursor to the system; survives the process, not the machine.
    pub(crate) fn write(&mut self, cursor: &Cursor) -> io::Result<()> {
        self.version += 1;
        self.unsynced = true;
        let bytes = cursor.encode(self.version);
        self.file.write_at(&mut [IoSlice::new(&bytes)], (self.slot * SLOT) as u64)
    }

    /// Makes what was written survive the machine.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync()?;
            self.unsynced = false;
            self.slot = 1 - self.slot;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fs::RealFs;
    use super::*;

    fn sample() -> Cursor {
        Cursor {
            salt: 7,
            generation: 3,
            ack: Some(Mark { segment: 2, offset: 72, seq: 9, appended: 900 }),
            lost_acked: 1,
            next_seq: 12,
            appended: 1200,
            claimed_seq: 11,
            head_deliveries: 2,
            dropped: BTreeMap::from([("full".to_owned(), 5), ("too_large".to_owned(), 6)]),
        }
    }

    fn newest(path: &Path) -> Option<Cursor> {
        match read(&RealFs, path).unwrap() {
            Found::Cursor { cursor, .. } => Some(cursor),
            _ => None,
        }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        assert!(matches!(read(&RealFs, &path).unwrap(), Found::Nothing));
        let mut cursor = sample();
        let mut file = CursorFile::create(&RealFs, &path, &cursor).unwrap();
        assert_eq!(newest(&path), Some(cursor.clone()));
        let synced = cursor.clone();
        cursor.generation = 4;
        file.write(&cursor).unwrap();
        cursor.generation = 5;
        file.write(&cursor).unwrap();
        assert_eq!(newest(&path), Some(cursor.clone()));
        // The unsynced slot is torn: the synced one still stands.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(newest(&path), Some(synced));
        bytes[SLOT + 100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(read(&RealFs, &path).unwrap(), Found::Damaged));
    }

    #[test]
    fn more_reasons_than_a_slot_holds_are_counted_as_other() {
        let mut cursor = sample();
        cursor.dropped = (0..500).map(|i| (format!("reason-{i:03}"), 2)).collect();
        let (_, read) = Cursor::decode(&cursor.encode(1)).unwrap().unwrap();
        assert_eq!(read.dropped.values().sum::<u64>(), 1_000);
        assert!(read.dropped.contains_key(OTHER));
    }
}
