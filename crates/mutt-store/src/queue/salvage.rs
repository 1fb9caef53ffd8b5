//! Puts damaged files aside and leaves regular ones in their place: what can be read stays at its
//! offset, what cannot becomes a record that only counts.
//!
//! A damaged file is never deleted: it keeps a name in `damaged/`, with a `.why` beside it. The
//! rewritten file replaces it by one rename, so that a crash in between repeats the work and never
//! loses a file.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use mutt_model::{Batch, BatchBuilder, Timestamp};

use super::format::{
    Mark, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, segment_name,
};
use super::fs::{Fs, FsFile};
use super::scan::{Damage, read_through};

/// The directory for what was set aside.
pub(crate) const DAMAGED: &str = "damaged";
/// Ending of files that are not finished; removed at open.
pub(crate) const TEMPORARY: &str = ".tmp";

/// A place where files of the queue are repaired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workshop<'a> {
    pub(crate) fs: &'a dyn Fs,
    pub(crate) dir: &'a Path,
    pub(crate) salt: u64,
}

/// A file as it stands after its repair.
#[derive(Clone, Debug)]
pub(crate) struct Repaired {
    pub(crate) header: SegmentHeader,
    pub(crate) len: u64,
    /// What happened, for people.
    pub(crate) note: String,
}

impl Workshop<'_> {
    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(segment_name(number))
    }

    /// Keeps `name` in `damaged/`; moved there when `replaced` is false, else given a second name.
    pub(crate) fn set_aside(&self, name: &str, why: &str, replaced: bool) -> io::Result<String> {
        let damaged = self.dir.join(DAMAGED);
        self.fs.create_dir(&damaged)?;
        let taken = self.fs.list(&damaged)?;
        let kept = (0u32..)
            .map(|n| format!("{name}.{n}"))
            .find(|kept| !taken.contains(kept))
            .unwrap_or_else(|| name.to_owned());
        let why_file = self.fs.create(&damaged.join(format!("{kept}.why")))?;
        why_file.write_at(&mut [IoSlice::new(why.as_bytes()), IoSlice::new(b"\n")], 0)?;
        if replaced {
            self.fs.link(&self.dir.join(name), &damaged.join(&kept))?;
        } else {
            self.fs.rename(&self.dir.join(name), &damaged.join(&kept))?;
        }
        self.fs.sync_dir(&damaged)?;
        if !replaced {
            self.fs.sync_dir(self.dir)?;
        }
        Ok(format!("{DAMAGED}/{kept}: {why}"))
    }

    /// Rewrites a damaged segment. `header` is its own header or one made from its neighbours; what
    /// stands after `end` in the file is left out.
    pub(crate) fn rewrite(
        &self,
        header: SegmentHeader,
        damage: &[Damage],
        end: u64,
    ) -> io::Result<Repaired> {
        let name = segment_name(header.number);
        let source = self.fs.open(&self.path(header.number), false)?;
        let temporary = self.dir.join(format!("{name}{TEMPORARY}"));
        let target = self.fs.create(&temporary)?;
        copy(&*source, &*target, end)?;
        let mut lost = 0u64;
        for damage in damage {
            lost += self.mend(&*source, &*target, damage)?;
        }
        let header = SegmentHeader { lost_inside: header.lost_inside + lost, ..header };
        target.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
        target.sync()?;
        let len = target.length()?;
        let mut why: Vec<String> = damage.iter().map(ToString::to_string).collect();
        if why.is_empty() {
            why.push("the segment's header cannot be read".to_owned());
        }
        let why = format!("{}; {lost} events are lost", why.join(", "));
        let note = self.set_aside(&name, &why, true)?;
        self.fs.rename(&temporary, &self.path(header.number))?;
        self.fs.sync_dir(self.dir)?;
        Ok(Repaired { header, len, note })
    }

    /// Makes a segment that stands for one that is missing: it only counts.
    pub(crate) fn stand_in(
        &self,
        header: SegmentHeader,
        until: (u64, u64),
    ) -> io::Result<Repaired> {
        let name = segment_name(header.number);
        let (first, seq) = (header.first_seq, until.0);
        let lost = until.1.saturating_sub(header.appended);
        let temporary = self.dir.join(format!("{name}{TEMPORARY}"));
        let target = self.fs.create(&temporary)?;
        self.tombstones(&*target, header.start(), until, 0)?;
        let header = SegmentHeader { lost_inside: lost, ..header };
        target.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
        target.sync()?;
        self.fs.rename(&temporary, &self.path(header.number))?;
        self.fs.sync_dir(self.dir)?;
        let note = format!("{name}: missing, with {} batches; {lost} events are lost", seq - first);
        Ok(Repaired { header, len: target.length()?, note })
    }

    /// Writes what stands for one damage; how many events it costs.
    fn mend(&self, source: &dyn FsFile, target: &dyn FsFile, damage: &Damage) -> io::Result<u64> {
        match *damage {
            Damage::Payload { at, header } => self.mend_payload(source, target, at, header),
            Damage::Gap { from, to } => {
                let room = to.offset - from.offset;
                self.tombstones(target, from, (to.seq, to.appended), room)?;
                Ok(damage.events())
            }
            Damage::Tail { from, seq, appended } => {
                self.tombstones(target, from, (seq, appended), 0)?;
                Ok(damage.events())
            }
        }
    }

    /// Keeps the events of a damaged batch that can still be read, under the batch's id.
    fn mend_payload(
        &self,
        source: &dyn FsFile,
        target: &dyn FsFile,
        at: Mark,
        header: RecordHeader,
    ) -> io::Result<u64> {
        let mut bytes = vec![0u8; header.payload_len as usize];
        let length = read_through(source, &mut bytes, at.offset + RECORD_HEADER as u64)?;
        bytes.truncate(length);
        let mut payload = Vec::new();
        let mut events = 0;
        if let Ok(batch) = Batch::open(bytes) {
            let mut builder = BatchBuilder::new(batch.id(), batch.shard());
            for event in batch.iter().take(header.events as usize).flatten() {
                builder.push(&event);
            }
            events = builder.events();
            if events > 0 && builder.bytes() <= header.payload_len as usize {
                payload = builder.finish().as_bytes().to_vec();
            } else {
                events = 0;
            }
        }
        let lost = header.events - events;
        let header = RecordHeader {
            events,
            lost: header.lost + lost,
            payload_len: payload.len() as u32,
            payload_crc: crc32fast::hash(&payload),
            ..header
        };
        let head = header.encode(self.salt);
        target.write_at(&mut [IoSlice::new(&head), IoSlice::new(&payload)], at.offset)?;
        Ok(u64::from(lost))
    }

    /// Writes records that only count, from `from` to what was counted at its end. `room` is what
    /// the last of them takes at least, so that the record after them stays where it is.
    fn tombstones(
        &self,
        target: &dyn FsFile,
        from: Mark,
        (seq, appended): (u64, u64),
        room: u64,
    ) -> io::Result<()> {
        let header = RecordHeader {
            seq: from.seq,
            appended: from.appended,
            received_at: Timestamp(0),
            extent: u32::try_from(room.max(RECORD_HEADER as u64)).map_err(io::Error::other)?,
            payload_len: 0,
            events: 0,
            lost: u32::try_from(appended.saturating_sub(from.appended))
                .map_err(io::Error::other)?,
            span: u32::try_from(seq.saturating_sub(from.seq)).map_err(io::Error::other)?,
            payload_crc: 0,
            in_group: 0,
        };
        target.write_at(&mut [IoSlice::new(&header.encode(self.salt))], from.offset)?;
        Ok(())
    }
}

fn copy(source: &dyn FsFile, target: &dyn FsFile, end: u64) -> io::Result<()> {
    let mut bytes = vec![0u8; 1 << 20];
    let mut at = SEGMENT_HEADER;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
        let read = read_through(source, &mut bytes[..want], at)?;
        if read == 0 {
            break;
        }
        target.write_at(&mut [IoSlice::new(&bytes[..read])], at)?;
        at += read as u64;
    }
    Ok(())
}
