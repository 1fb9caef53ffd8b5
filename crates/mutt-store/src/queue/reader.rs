//! Claims, acknowledgements, leases: the reading side of the embedded queue.

use mutt_model::{Batch, BatchError, Timestamp, failpoint};

use super::format::{HeaderError, Mark, RecordHeader, SegmentHeader};
use super::salvage::Workshop;
use super::scan::{self, Damage};
use super::state::{Claimed, Lease, Shared, io_error, lock};
use super::{CLAIM_BYTES, ClaimedBatch, Position, QueueError, ShardLease};

/// What a look at the log for the next record gave.
enum Next {
    /// Nothing is there yet.
    End,
    Cached,
    /// A record that must be read from its file.
    Disk {
        at: Mark,
        epoch: u64,
    },
}

/// What a file holds at a place.
enum Read {
    Record(RecordHeader, Option<Batch>),
    Format(u16),
    Damaged,
}

impl Shared {
    /// The next batches under this lease, as many as are there, at most `batches` and about
    /// [`CLAIM_BYTES`].
    pub(crate) fn claim_now(
        &self,
        lease: ShardLease,
        batches: usize,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        while out.len() < batches && bytes < CLAIM_BYTES {
            let next = self.next(lease)?;
            let claimed = match next {
                Next::End => break,
                Next::Cached => Ok(self.claim_cached(lease)?),
                Next::Disk { at, epoch } => self.claim_from_disk(lease, at, epoch),
            };
            match claimed {
                Ok(Some(claimed)) => {
                    bytes += claimed.batch.as_bytes().len();
                    out.push(claimed);
                }
                Ok(None) => {}
                // What was claimed before it is given out first; the next call meets it again.
                Err(QueueError::Format(_) | QueueError::Io { .. }) if !out.is_empty() => break,
                Err(e) => return Err(e),
            }
        }
        if !out.is_empty() {
            // So that a record that kills its reader is known after a restart.
            let _ = self.persist(false);
        }
        Ok(out)
    }

    fn next(&self, lease: ShardLease) -> Result<Next, QueueError> {
        let mut state = self.state();
        state.check(lease)?;
        if state.read.seq >= state.next_seq {
            return Ok(Next::End);
        }
        while state.cache.front().is_some_and(|c| c.at.seq < state.read.seq) {
            state.uncache();
        }
        if state.cache.front().is_some_and(|c| c.at.seq == state.read.seq) {
            return Ok(Next::Cached);
        }
        Ok(Next::Disk { at: state.place(state.read), epoch: state.read_epoch })
    }

    fn claim_cached(&self, lease: ShardLease) -> Result<Option<ClaimedBatch>, QueueError> {
        let mut state = self.state();
        state.check(lease)?;
        if state.cache.front().is_none_or(|c| c.at.seq != state.read.seq) {
            return Ok(None);
        }
        let Some(cached) = state.uncache() else { return Ok(None) };
        state.read = cached.next;
        state.claimed.push_back(Claimed {
            at: cached.at,
            next: cached.next,
            lost: 0,
            extent: cached.next.offset - cached.at.offset,
            received_at: Some(cached.received_at),
        });
        let deliveries_before = state.count_delivery(cached.at.seq);
        let position = Position(cached.at.seq, 0);
        Ok(Some(ClaimedBatch { position, deliveries_before, batch: cached.batch }))
    }

    fn claim_from_disk(
        &self,
        lease: ShardLease,
        at: Mark,
        epoch: u64,
    ) -> Result<Option<ClaimedBatch>, QueueError> {
        let read = self.read_record(at).inspect_err(|_| {
            // What was opened may be what fails: the next try opens the file anew.
            lock(&self.reader).take();
        });
        let (header, batch) = match read.map_err(io_error("read"))? {
            Read::Record(header, batch) => (header, batch),
            Read::Format(format) => return Err(QueueError::Format(format)),
            Read::Damaged => {
                self.salvage(at).map_err(io_error("read"))?;
                return Ok(None);
            }
        };
        let mut state = self.state();
        state.check(lease)?;
        if state.read_epoch != epoch || state.read.seq != at.seq {
            return Ok(None);
        }
        let next = at.after(&header);
        state.read = next;
        state.claimed.push_back(Claimed {
            at,
            next,
            lost: header.lost.into(),
            extent: header.extent.into(),
            received_at: batch.is_some().then_some(header.received_at),
        });
        let Some(batch) = batch else {
            state.dirty |= state.pass_tombstones();
            return Ok(None);
        };
        let deliveries_before = state.count_delivery(at.seq);
        Ok(Some(ClaimedBatch { position: Position(at.seq, 0), deliveries_before, batch }))
    }

    fn read_record(&self, at: Mark) -> std::io::Result<Read> {
        let mut reader = lock(&self.reader);
        if reader.as_ref().is_none_or(|(number, _)| *number != at.segment) {
            let file = match self.fs.open(&self.segment_path(at.segment), false) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Read::Damaged),
                other => other?,
            };
            *reader = Some((at.segment, file));
        }
        let Some((_, file)) = reader.as_ref() else { return Ok(Read::Damaged) };
        let salt = self.state().salt;
        let header = match scan::record_at(&**file, salt, at)? {
            Ok(header) => header,
            Err(HeaderError::Format(format)) => return Ok(Read::Format(format)),
            Err(HeaderError::Damaged) => return Ok(Read::Damaged),
        };
        if header.is_tombstone() {
            return Ok(Read::Record(header, None));
        }
        let Some(payload) = scan::payload(&**file, at, &header)? else { return Ok(Read::Damaged) };
        Ok(match Batch::open(payload) {
            Ok(batch) => Read::Record(header, Some(batch)),
            Err(BatchError::Format(format)) => Read::Format(format),
            Err(_) => Read::Damaged,
        })
    }

    /// Rewrites a segment in which damage was met at `at`, and counts what it cost. Offsets stay;
    /// what stands before `at` was delivered and is left as it is.
    fn salvage(&self, at: Mark) -> std::io::Result<()> {
        let number = at.segment;
        let _gate = lock(&self.gate);
        let mut reader = lock(&self.reader);
        *reader = None;
        let (segment, stop, salt, lost_before) = {
            let state = self.state();
            let Some(i) = state.segments.iter().position(|s| s.number == number) else {
                return Ok(());
            };
            let end = (state.next_seq, state.appended);
            let stop = state.segments.get(i + 1).map_or(end, |s| (s.first.seq, s.first.appended));
            (state.segments[i].clone(), stop, state.salt, state.lost_acked + state.lost_pending)
        };
        let header = SegmentHeader {
            number,
            first_seq: segment.first.seq,
            appended: segment.first.appended,
            lost_before,
            lost_inside: segment.lost,
            salt,
        };
        let workshop = Workshop { fs: &*self.fs, dir: &self.dir, salt };
        let repaired = match self.fs.open(&self.segment_path(number), false) {
            Ok(file) => {
                let lost_before =
                    scan::segment_header(&*file)?.map_or(lost_before, |own| own.lost_before);
                let header = SegmentHeader { lost_before, ..header };
                let found = scan::scan(&*file, salt, at, Some(stop.0), true)?;
                let mut damage = found.damage;
                if found.end.seq < stop.0 {
                    damage.push(Damage::Tail { from: found.end, seq: stop.0, appended: stop.1 });
                }
                if damage.is_empty() {
                    return Err(std::io::Error::other("a record could not be read; trying again"));
                }
                workshop.rewrite(header, &damage, found.end.offset)?
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                workshop.stand_in(SegmentHeader { lost_inside: 0, ..header }, stop)?
            }
            Err(e) => return Err(e),
        };
        self.settle(number, &repaired);
        Ok(())
    }

    fn settle(&self, number: u64, repaired: &super::salvage::Repaired) {
        tracing::error!(
            code = mutt_model::codes::ALERTER_QUEUE_DAMAGED.id,
            note = repaired.note,
            "event queue: damage set aside"
        );
        let mut state = self.state();
        state.notes.push(repaired.note.clone());
        let Some(segment) = state.segments.iter_mut().find(|s| s.number == number) else { return };
        let more = repaired.header.lost_inside.saturating_sub(segment.lost);
        segment.lost += more;
        segment.len = segment.len.max(repaired.len);
        state.lost_pending += more;
        state.replaced = Some(number);
        // What waits in memory was counted from the file.
        while state.uncache().is_some() {}
    }

    /// When the oldest waiting batch was received; read from the log once for each.
    pub(crate) fn oldest_received_at(&self) -> Option<Timestamp> {
        let at = {
            let state = self.state();
            if state.pending() == 0 {
                return None;
            }
            let claimed = state.claimed.iter().find_map(|c| c.received_at);
            let cached = state.cache.front().filter(|c| c.at.seq == state.ack.seq);
            if let Some(known) = claimed.or_else(|| cached.map(|c| c.received_at)) {
                return Some(known);
            }
            match state.oldest {
                Some((seq, known)) if seq == state.ack.seq => return Some(known),
                _ => state.place(state.ack),
            }
        };
        let file = self.fs.open(&self.segment_path(at.segment), false).ok()?;
        let salt = self.state().salt;
        let mut mark = at;
        // Passes records that only count.
        let header = loop {
            let header = scan::record_at(&*file, salt, mark).ok()?.ok()?;
            if !header.is_tombstone() {
                break header;
            }
            mark = mark.after(&header);
        };
        self.state().oldest = Some((at.seq, header.received_at));
        Some(header.received_at)
    }

    /// Acknowledges, and gives files back.
    pub(crate) fn acknowledge_now(
        &self,
        lease: ShardLease,
        position: Position,
    ) -> Result<(), QueueError> {
        {
            let mut state = self.state();
            state.check(lease)?;
            while state.claimed.front().is_some_and(|c| c.at.seq <= position.0) {
                state.finish_front();
            }
            state.pass_tombstones();
        }
        failpoint::hit("queue.ack.before_write");
        self.persist(false).map_err(io_error("acknowledge"))?;
        failpoint::hit("queue.ack.after_write");
        self.trim().map_err(io_error("acknowledge"))
    }

    /// Takes or renews the lease.
    pub(crate) fn lease_now(
        &self,
        owner: &str,
        ttl: std::time::Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        let now = self.clock.monotonic();
        let generation = {
            let mut state = self.state();
            if state.closed {
                return Err(QueueError::Closed);
            }
            if let Some(lease) = state.lease.as_mut() {
                if lease.owner == owner && lease.until > now {
                    lease.until = now.saturating_add(ttl);
                    return Ok(Some(ShardLease { shard: 0, generation: lease.generation }));
                }
                if lease.until > now {
                    return Ok(None);
                }
            }
            state.generation += 1;
            let generation = state.generation;
            let until = now.saturating_add(ttl);
            state.lease = Some(Lease { owner: owner.to_owned(), generation, until });
            state.rewind();
            generation
        };
        // A generation must never be given out twice, also not after a power cut.
        if let Err(e) = self.persist(true) {
            self.state().lease = None;
            return Err(io_error("lease")(e));
        }
        Ok(Some(ShardLease { shard: 0, generation }))
    }
}

impl super::state::State {
    /// Whether the lease is still the present one. One that ran out is good until another owner
    /// takes the shard: nobody else has read meanwhile.
    pub(crate) fn check(&self, lease: ShardLease) -> Result<(), QueueError> {
        if self.closed {
            return Err(QueueError::Closed);
        }
        match &self.lease {
            Some(held) if lease.shard == 0 && held.generation == lease.generation => Ok(()),
            _ => Err(QueueError::LeaseLost(lease.shard)),
        }
    }
}
