//! The thread that writes: appends that wait are written together, synced once and answered.

use std::io::{self, IoSlice};
use std::sync::Arc;

use mutt_model::{Batch, Timestamp, failpoint};
use tokio::sync::{mpsc, oneshot};

use super::format::{
    Mark, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, extent_of, segment_name,
};
use super::fs::FsFile;
use super::state::{Cached, Segment, Shared, io_error, lock};
use super::{FullBecause, QueueError};

/// Appends that may wait for the writer.
pub(crate) const JOBS_MAX: usize = 128;
/// A group is closed at this size.
const GROUP_BYTES_MAX: u64 = 8 << 20;

/// A batch on its way into the log.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) batch: Batch,
    pub(crate) crc: u32,
    pub(crate) received_at: Timestamp,
}

/// Room that is taken from the caps until the batches stand in the log or were refused.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.in_flight.0 -= self.events;
        state.in_flight.1 -= self.bytes;
    }
}

/// One caller's append.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) items: Vec<Item>,
    pub(crate) room: InFlight,
    pub(crate) answer: oneshot::Sender<Result<(), QueueError>>,
}

/// What the thread is asked.
#[derive(Debug)]
pub(crate) enum Job {
    Append(Append),
    /// Counters changed: hand the cursor to the system.
    Note,
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Active {
    number: u64,
    file: Box<dyn FsFile>,
    /// Bytes that are on stable storage.
    good: u64,
    records: u64,
}

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    next_number: u64,
    /// The last write failed; said once, not for each append that is refused meanwhile.
    failing: bool,
}

/// What one append of a group costs when it fails.
struct Refusal {
    full: bool,
    doing: &'static str,
    error: io::Error,
}

impl Refusal {
    fn answer(&self) -> QueueError {
        if self.full {
            QueueError::Full(FullBecause::Disk)
        } else {
            QueueError::Io { doing: self.doing, why: self.error.to_string() }
        }
    }
}

fn refusal(doing: &'static str) -> impl Fn(io::Error) -> Refusal {
    move |error| {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        Refusal { full, doing, error }
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, next_number: u64) -> Self {
        Self { shared, active: None, next_number, failing: false }
    }

    /// Works until every sender is gone or a close was asked.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            let mut group = Vec::new();
            let mut bytes = 0u64;
            let mut closing = None;
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Append(append) => {
                        bytes += append.room.bytes;
                        group.push(append);
                    }
                    Job::Note => {}
                    Job::Close(done) => closing = Some(done),
                }
                if bytes < GROUP_BYTES_MAX && closing.is_none() {
                    next = jobs.try_recv().ok();
                }
            }
            self.append(group);
            if self.shared.state().dirty {
                self.note_failure("acknowledge", self.shared.persist(false));
            }
            if let Some(done) = closing {
                jobs.close();
                self.note_failure("close", self.shared.persist(true));
                let _ = done.send(());
                return;
            }
        }
    }

    fn note_failure(&self, doing: &'static str, result: io::Result<()>) {
        if let Err(e) = result {
            tracing::warn!(code = mutt_model::codes::INGEST_NOT_DURABLE.id, error = %io_error(doing)(e), "event queue cursor");
        }
    }

    fn append(&mut self, group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        // Salvage of the file that is written to waits for this, and this for it.
        let shared = Arc::clone(&self.shared);
        let _gate = lock(&shared.gate);
        if self.active.as_ref().is_some_and(|a| shared.state().replaced == Some(a.number)) {
            self.active = None;
        }
        let result = self.write(&group);
        self.tell(result.as_ref().err());
        if let Err(refusal) = &result {
            self.poison(refusal);
        }
        match result {
            Ok((at, headers)) => self.publish(group, at, &headers),
            Err(refusal) => {
                for append in group {
                    drop(append.room);
                    let _ = append.answer.send(Err(refusal.answer()));
                }
            }
        }
    }

    /// Writes and syncs a group; where it stands and its headers.
    fn write(&mut self, group: &[Append]) -> Result<(Mark, Vec<RecordHeader>), Refusal> {
        let shared = Arc::clone(&self.shared);
        let (salt, seq, appended) = {
            let state = shared.state();
            (state.salt, state.next_seq, state.appended)
        };
        self.roll_when_due(salt, seq, appended).map_err(refusal("append"))?;
        let Some(active) = self.active.as_ref() else {
            return Err(refusal("append")(io::Error::other("no segment")));
        };
        let at = Mark { segment: active.number, offset: active.good, seq, appended };
        let items = || group.iter().flat_map(|append| &append.items);
        let headers = headers(at, items());
        let heads: Vec<[u8; RECORD_HEADER]> = headers.iter().map(|h| h.encode(salt)).collect();
        let mut slices = Vec::with_capacity(3 * heads.len());
        for ((item, header), head) in items().zip(&headers).zip(&heads) {
            let payload = item.batch.as_bytes();
            slices.push(IoSlice::new(head));
            slices.push(IoSlice::new(payload));
            let padding = header.extent as usize - RECORD_HEADER - payload.len();
            slices.push(IoSlice::new(&[0u8; 8][..padding]));
        }
        failpoint::hit("queue.append.before_write");
        if failpoint::due("queue.append.torn_write") {
            tear(active, &slices);
        }
        active.file.write_at(&mut slices, active.good).map_err(refusal("append"))?;
        failpoint::hit("queue.append.before_sync");
        active.file.sync().map_err(|error| Refusal { full: false, doing: "append", error })?;
        failpoint::hit("queue.append.after_sync");
        Ok((at, headers))
    }

    fn roll_when_due(&mut self, salt: u64, seq: u64, appended: u64) -> io::Result<()> {
        let limit = self.shared.options.segment_bytes_effective();
        if self.active.as_ref().is_some_and(|a| a.records == 0 || a.good < limit) {
            return Ok(());
        }
        if let Some(full) = self.active.take() {
            // A consumer that keeps up reads from the cache, one far behind from the disk: the log
            // takes no more of the system's page cache than the segment that it writes, and the
            // next one finds those pages warm.
            full.file.release();
        }
        let number = self.next_number;
        let lost_before = {
            let state = self.shared.state();
            state.lost_acked + state.lost_pending
        };
        let header =
            SegmentHeader { number, first_seq: seq, appended, lost_before, lost_inside: 0, salt };
        let path = self.shared.segment_path(number);
        let made = (|| {
            let file = self.shared.fs.create(&path)?;
            file.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
            file.sync()?;
            failpoint::hit("queue.roll.after_create");
            self.shared.fs.sync_dir(&self.shared.dir)?;
            Ok(file)
        })();
        let file = match made {
            Ok(file) => file,
            Err(e) => {
                // Without a record it stands for nothing; the next append tries the same name.
                let _ = self.shared.fs.unlink(&path);
                return Err(e);
            }
        };
        self.next_number += 1;
        let first = Mark { segment: number, offset: SEGMENT_HEADER, seq, appended };
        self.shared.state().segments.push_back(Segment {
            number,
            first,
            len: SEGMENT_HEADER,
            lost: 0,
        });
        self.active = Some(Active { number, file, good: SEGMENT_HEADER, records: 0 });
        Ok(())
    }

    /// Says in the log when writing begins to fail and when it works again.
    fn tell(&mut self, refusal: Option<&Refusal>) {
        match refusal {
            Some(refusal) if !self.failing => tracing::error!(
                code = mutt_model::codes::INGEST_NOT_DURABLE.id,
                segment = self.active.as_ref().map(|a| segment_name(a.number)),
                error = %refusal.error,
                "event queue: a write failed; appends are refused until one works"
            ),
            None if self.failing => tracing::info!("event queue: appends are durable again"),
            _ => {}
        }
        self.failing = refusal.is_some();
    }

    /// After a failed write or sync nothing about the file's end can be trusted: it is sealed where
    /// it was good, and the next append goes into a new file.
    fn poison(&mut self, refusal: &Refusal) {
        let Some(active) = self.active.take() else { return };
        // Best effort: what stands after the good length is ignored when the next segment says
        // where it begins.
        let cut = active.file.set_len(active.good).and_then(|()| active.file.sync());
        if cut.is_ok() && refusal.full {
            // Out of space and cleanly taken back: the file is as good as before.
            self.active = Some(active);
        }
    }

    fn publish(&mut self, group: Vec<Append>, at: Mark, headers: &[RecordHeader]) {
        let mut headers = headers.iter();
        let mut mark = at;
        let mut state = self.shared.state();
        let mut answers = Vec::with_capacity(group.len());
        let mut rooms = Vec::with_capacity(group.len());
        for append in group {
            for (item, header) in append.items.into_iter().zip(&mut headers) {
                let next = mark.after(header);
                let Item { batch, received_at, .. } = item;
                state.cache(Cached { at: mark, next, received_at, batch });
                mark = next;
            }
            rooms.push(append.room);
            answers.push(append.answer);
        }
        state.next_seq = mark.seq;
        state.appended = mark.appended;
        state.pending_bytes += mark.offset - at.offset;
        state.syncs += 1;
        if let Some(segment) = state.segments.back_mut() {
            segment.len = mark.offset;
        }
        drop(state);
        if let Some(active) = self.active.as_mut() {
            active.good = mark.offset;
            active.records += mark.seq - at.seq;
        }
        drop(rooms);
        for answer in answers {
            let _ = answer.send(Ok(()));
        }
        self.shared.arrived.notify_waiters();
    }
}

fn headers<'a>(mut mark: Mark, items: impl Iterator<Item = &'a Item>) -> Vec<RecordHeader> {
    items
        .enumerate()
        .map(|(i, item)| {
            let payload = item.batch.as_bytes().len();
            let header = RecordHeader {
                seq: mark.seq,
                appended: mark.appended,
                received_at: item.received_at,
                extent: extent_of(payload) as u32,
                payload_len: payload as u32,
                events: item.batch.len(),
                lost: 0,
                span: 1,
                payload_crc: item.crc,
                in_group: i as u32,
            };
            mark = mark.after(&header);
            header
        })
        .collect()
}

/// The armed fail point: half of what was to be written reaches the file, then the process ends.
fn tear(active: &Active, slices: &[IoSlice<'_>]) {
    let bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
    // Records end at multiples of eight: an odd length is never the end of one.
    let half = &bytes[..(bytes.len() / 2) | 1];
    let _ = active.file.write_at(&mut [IoSlice::new(half)], active.good);
    std::process::abort();
}
