//! What the embedded queue knows in memory: segments, counters, what is claimed, who may read.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mutt_model::{Batch, Clock, Timestamp};
use tokio::sync::Notify;

use super::cursor::{Cursor, CursorFile};
use super::embedded::QueueOptions;
use super::format::{Mark, SEGMENT_HEADER, segment_name};
use super::fs::{Fs, FsFile, FsLock};
use super::{FullBecause, QueueError, QueueStats};

/// What a reader that keeps up finds in memory.
const CACHE_BYTES: usize = 16 << 20;

/// One file of the log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Its first record.
    pub(crate) first: Mark,
    /// Its length as far as it counts.
    pub(crate) len: u64,
    /// Events inside it that cannot be read.
    pub(crate) lost: u64,
}

/// A durable batch that waits in memory for its reader.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) at: Mark,
    pub(crate) next: Mark,
    pub(crate) received_at: Timestamp,
    pub(crate) batch: Batch,
}

/// A record that was claimed under the present lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed {
    pub(crate) at: Mark,
    pub(crate) next: Mark,
    pub(crate) lost: u64,
    pub(crate) extent: u64,
    /// `None` for a record that only counts.
    pub(crate) received_at: Option<Timestamp>,
}

/// Who may read.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    pub(crate) owner: String,
    pub(crate) generation: u64,
    pub(crate) until: Duration,
}

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) salt: u64,
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) next_seq: u64,
    pub(crate) appended: u64,
    /// Bytes of unacknowledged records.
    pub(crate) pending_bytes: u64,
    pub(crate) reserved: (u64, u64),
    pub(crate) in_flight: (u64, u64),
    pub(crate) ack: Mark,
    pub(crate) lost_acked: u64,
    pub(crate) lost_pending: u64,
    pub(crate) read: Mark,
    /// Changes when the reader starts over.
    pub(crate) read_epoch: u64,
    pub(crate) claimed: VecDeque<Claimed>,
    /// Sequence numbers of unacknowledged records that were ever claimed, and how often.
    pub(crate) deliveries: VecDeque<(u64, u32)>,
    /// Records before this one were claimed by an earlier process.
    pub(crate) claimed_before: u64,
    pub(crate) cache: VecDeque<Cached>,
    pub(crate) cache_bytes: usize,
    pub(crate) lease: Option<Lease>,
    pub(crate) generation: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Counters changed that the cursor file does not have yet.
    pub(crate) dirty: bool,
    pub(crate) oldest: Option<(u64, Timestamp)>,
    pub(crate) syncs: u64,
    /// A file that was rewritten; the writer must not go on in its old one.
    pub(crate) replaced: Option<u64>,
    pub(crate) notes: Vec<String>,
    pub(crate) closed: bool,
}

/// The queue's parts that its threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) options: QueueOptions,
    pub(crate) clock: Clock,
    /// Taken before `state` where both are.
    pub(crate) cursor: Mutex<CursorFile>,
    /// The segment that is read from, so that it is opened once. Taken before `state`.
    pub(crate) reader: Mutex<Option<(u64, Box<dyn FsFile>)>>,
    /// Held while a group is written, and while the newest file is rewritten. Taken before `state`.
    pub(crate) gate: Mutex<()>,
    pub(crate) state: Mutex<State>,
    pub(crate) arrived: Notify,
    pub(crate) _lock: Box<dyn FsLock>,
}

/// Locks; a panic of another holder leaves counters that are still whole, because each change is
/// made at once.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the system in the queue's words.
pub(crate) fn io_error(doing: &'static str) -> impl Fn(io::Error) -> QueueError {
    move |e| QueueError::Io { doing, why: e.to_string() }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.dir.join(segment_name(number))
    }

    /// Hands the cursor to the system; with `sync` to stable storage.
    pub(crate) fn persist(&self, sync: bool) -> io::Result<()> {
        let mut file = lock(&self.cursor);
        let cursor = {
            let mut state = self.state();
            state.dirty = false;
            state.cursor()
        };
        let done = file.write(&cursor).and_then(|()| if sync { file.sync() } else { Ok(()) });
        if done.is_err() {
            self.state().dirty = true;
        }
        done
    }

    /// Removes the files before the first unacknowledged record. The last file always stays: its
    /// header knows the counters.
    pub(crate) fn trim(&self) -> io::Result<()> {
        if self.state().trimmable().is_none() {
            return Ok(());
        }
        // The cursor must not be behind what is gone, or the gap would be counted as lost.
        self.persist(true)?;
        loop {
            let Some(number) = self.state().trimmable() else { break };
            mutt_model::failpoint::hit("queue.trim.before_unlink");
            match self.fs.unlink(&self.segment_path(number)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            self.state().segments.pop_front();
            // An open file keeps its space.
            lock(&self.reader).take_if(|(open, _)| *open == number);
        }
        self.fs.sync_dir(&self.dir)
    }

    /// Free disk, as the system says.
    pub(crate) fn free(&self) -> u64 {
        self.fs.free_bytes(Path::new(&self.dir)).unwrap_or(u64::MAX)
    }
}

impl State {
    /// A queue with these files; its counters and places are set by the recovery.
    pub(crate) fn new(salt: u64, segments: VecDeque<Segment>, notes: Vec<String>) -> Self {
        let nowhere = Mark { segment: 0, offset: SEGMENT_HEADER, seq: 0, appended: 0 };
        Self {
            salt,
            segments,
            next_seq: 0,
            appended: 0,
            pending_bytes: 0,
            reserved: (0, 0),
            in_flight: (0, 0),
            ack: nowhere,
            lost_acked: 0,
            lost_pending: 0,
            read: nowhere,
            read_epoch: 0,
            claimed: VecDeque::new(),
            deliveries: VecDeque::new(),
            claimed_before: 0,
            cache: VecDeque::new(),
            cache_bytes: 0,
            lease: None,
            generation: 0,
            dropped: BTreeMap::new(),
            dirty: false,
            oldest: None,
            syncs: 0,
            replaced: None,
            notes,
            closed: false,
        }
    }

    pub(crate) fn pending(&self) -> u64 {
        self.appended.saturating_sub(self.ack.appended).saturating_sub(self.lost_pending)
    }

    /// Whether there is room for this much beside what is promised already.
    pub(crate) fn room(
        &self,
        options: &QueueOptions,
        free: u64,
        events: u64,
        bytes: u64,
    ) -> Result<(), FullBecause> {
        let promised_events = self.in_flight.0 + self.reserved.0 + events;
        let promised_bytes = self.in_flight.1 + self.reserved.1 + bytes;
        if self.pending() + promised_events > options.max_events {
            return Err(FullBecause::Events);
        }
        if self.pending_bytes + promised_bytes > options.max_bytes {
            return Err(FullBecause::Bytes);
        }
        if free < options.min_free.saturating_add(promised_bytes) {
            return Err(FullBecause::Disk);
        }
        Ok(())
    }

    /// The segment that holds the record with this sequence number (or will hold it).
    pub(crate) fn segment_of(&self, seq: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|s| s.first.seq <= seq);
        self.segments.get(after.checked_sub(1)?)
    }

    /// The same place in the log; at the end of a segment, the start of the one that goes on.
    pub(crate) fn place(&self, mark: Mark) -> Mark {
        match self.segment_of(mark.seq) {
            Some(segment) if segment.number != mark.segment => segment.first,
            _ => mark,
        }
    }

    fn trimmable(&self) -> Option<u64> {
        let second = self.segments.get(1)?;
        (second.first.seq <= self.ack.seq).then(|| self.segments[0].number)
    }

    /// What the cursor file should say.
    pub(crate) fn cursor(&self) -> Cursor {
        let claimed = self.deliveries.back().map_or(0, |(seq, _)| seq + 1);
        let head = match self.deliveries.front() {
            Some((seq, times)) if *seq == self.ack.seq => *times,
            _ => u32::from(self.ack.seq < self.claimed_before),
        };
        Cursor {
            salt: self.salt,
            generation: self.generation,
            ack: Some(self.place(self.ack)),
            lost_acked: self.lost_acked,
            next_seq: self.next_seq,
            appended: self.appended,
            claimed_seq: claimed.max(self.claimed_before),
            head_deliveries: head,
            dropped: self.dropped.clone(),
        }
    }

    /// Notes one more claim of a record; how often it was claimed before.
    pub(crate) fn count_delivery(&mut self, seq: u64) -> u32 {
        match self.deliveries.binary_search_by_key(&seq, |(seq, _)| *seq) {
            Ok(i) => {
                self.deliveries[i].1 += 1;
                self.deliveries[i].1 - 1
            }
            Err(i) => {
                let before = u32::from(seq < self.claimed_before);
                self.deliveries.insert(i, (seq, before + 1));
                before
            }
        }
    }

    /// Lets the reader start again at the first unacknowledged record.
    pub(crate) fn rewind(&mut self) {
        self.read_epoch += 1;
        self.read = self.ack;
        self.claimed.clear();
        while self.cache.front().is_some_and(|c| c.at.seq < self.read.seq) {
            self.uncache();
        }
    }

    /// Gives claims back that nobody took.
    pub(crate) fn unclaim(&mut self, seq: u64) {
        self.read_epoch += 1;
        while let Some(last) = self.claimed.pop_back_if(|c| c.at.seq >= seq) {
            self.read = last.at;
        }
    }

    pub(crate) fn uncache(&mut self) -> Option<Cached> {
        let cached = self.cache.pop_front()?;
        self.cache_bytes -= cached.batch.as_bytes().len();
        Some(cached)
    }

    /// Keeps a durable batch for a reader that is close behind. What does not fit is read from disk.
    pub(crate) fn cache(&mut self, cached: Cached) {
        let bytes = cached.batch.as_bytes().len();
        let joins = self.cache.back().is_none_or(|last| last.next.seq == cached.at.seq);
        if joins && self.cache_bytes + bytes <= CACHE_BYTES {
            self.cache_bytes += bytes;
            self.cache.push_back(cached);
        }
    }

    /// Takes one claimed record as done.
    pub(crate) fn finish_front(&mut self) {
        let Some(done) = self.claimed.pop_front() else { return };
        self.ack = done.next;
        self.lost_acked += done.lost;
        self.lost_pending = self.lost_pending.saturating_sub(done.lost);
        self.pending_bytes = self.pending_bytes.saturating_sub(done.extent);
        while self.deliveries.front().is_some_and(|(seq, _)| *seq < self.ack.seq) {
            self.deliveries.pop_front();
        }
    }

    /// Passes over records that only count, where nothing unacknowledged stands before them.
    pub(crate) fn pass_tombstones(&mut self) -> bool {
        let before = self.ack.seq;
        while self.claimed.front().is_some_and(|c| c.received_at.is_none()) {
            self.finish_front();
        }
        self.ack.seq != before
    }

    pub(crate) fn stats(&self) -> QueueStats {
        let lost = self.lost_acked + self.lost_pending;
        let pending = self.pending();
        QueueStats {
            pending_events: pending,
            pending_batches: if pending == 0 {
                0
            } else {
                self.next_seq.saturating_sub(self.ack.seq)
            },
            bytes: self.segments.iter().map(|s| s.len.max(SEGMENT_HEADER)).sum(),
            appended_events: self.appended,
            acknowledged_events: self.ack.appended.saturating_sub(self.lost_acked),
            lost_events: lost,
            dropped: self.dropped.clone(),
            oldest_received_at: None,
            syncs: self.syncs,
            set_aside: self.notes.clone(),
            settled: BTreeMap::new(),
            spill: None,
        }
    }
}
