//! What one process knows of the queue: each shard as last told, room that is promised, drops that
//! are not yet told, what is claimed here.

use std::collections::{BTreeMap, VecDeque};

use mutt_model::Timestamp;
use mutt_model::codes::Code;

use super::script::{Memory, Status};
use crate::queue::{FullBecause, Losses, QueueStats};

/// Lines of history that a claim may still be of.
const LINES_MAX: usize = 8;

/// What was claimed under the present lease of a shard.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) generation: u64,
    /// The next claim begins behind this mark, or at the first unacknowledged.
    pub(super) cursor: u64,
    /// Claimed and not acknowledged: mark, and the number of its line in `lines`.
    claimed: VecDeque<(u64, u64)>,
    /// Lines of history, each with its number, so that a mark of an earlier one is known as such.
    lines: VecDeque<(u64, String)>,
}

impl Reading {
    /// Another lease begins at the first unacknowledged.
    pub(super) fn begin(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.rewind();
        }
    }

    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
        self.claimed.clear();
    }

    /// The number of the line that the shard is in now.
    fn line(&mut self, line: &str) -> u64 {
        if let Some((number, last)) = self.lines.back()
            && last == line
        {
            return *number;
        }
        let number = self.lines.back().map_or(0, |(number, _)| number + 1);
        self.lines.push_back((number, line.to_owned()));
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
        number
    }

    /// Takes a batch as claimed; the second part of its position.
    pub(super) fn claim(&mut self, mark: u64, line: &str) -> u64 {
        let number = self.line(line);
        self.cursor = mark;
        self.claimed.push_back((mark, number));
        number
    }

    /// The last batch claimed here up to this position: its mark, and the line that it is of.
    pub(super) fn claimed_to(&self, mark: u64, number: u64) -> Option<(u64, &str)> {
        let (_, line) = self.lines.iter().find(|(n, _)| *n == number)?;
        let own = self.claimed.iter().filter(|(m, n)| *n == number && *m <= mark);
        own.map(|(m, _)| *m).max().map(|m| (m, line.as_str()))
    }

    pub(super) fn finish(&mut self, mark: u64, number: u64) {
        self.claimed.retain(|(m, n)| *n > number || *m > mark);
    }
}

/// One shard.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// As last told.
    pub(super) status: Status,
    pub(super) memory: Memory,
    pub(super) reading: Reading,
    /// Calls are numbered, so that an older answer does not overwrite a newer one.
    issued: u64,
    seen: u64,
    /// What the server said instead of an answer: since when, what `muttctl explain` tells about, why.
    pub(super) trouble: Option<(Timestamp, Code, String)>,
}

impl Shard {
    /// The number of the next call, and what is told with it.
    pub(super) fn issue(&mut self) -> (u64, Memory) {
        self.issued += 1;
        (self.issued, self.memory.clone())
    }

    /// Takes an answer in. Says how many events are newly known to be lost.
    pub(super) fn learn(&mut self, issued: u64, mut status: Status) -> u64 {
        let first = self.seen == 0;
        let newest = issued > self.seen;
        if status.line == self.memory.line {
            status.cum = status.cum.max(self.memory.cum);
            status.ack = status.ack.max(self.memory.ack);
            status.acked = status.acked.max(self.memory.acked);
        } else if !newest {
            return 0;
        }
        if !first && status.line != self.memory.line && self.reading.cursor > status.shared {
            // It came back with less than what was claimed here: what stands there now is read.
            self.reading.cursor = 0;
        }
        self.memory.line.clone_from(&status.line);
        (self.memory.cum, self.memory.ack, self.memory.acked) =
            (status.cum, status.ack, status.acked);
        if !newest {
            let now = &mut self.status;
            (now.cum, now.ack, now.acked) = (status.cum, status.ack, status.acked);
            return 0;
        }
        self.seen = issued;
        let lost = if first { 0 } else { status.lost.saturating_sub(self.status.lost) };
        self.status = status;
        lost
    }

    pub(super) fn pending(&self) -> u64 {
        self.status.cum.saturating_sub(self.status.acked).saturating_sub(self.status.lost)
    }
}

/// Everything that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) shards: Vec<Shard>,
    /// Promised to requests that were not yet appended: events, bytes.
    pub(super) reserved: (u64, u64),
    /// On their way to the server.
    pub(super) in_flight: (u64, u64),
    pub(super) drops: Drops,
    pub(super) syncs: u64,
    pub(super) closed: bool,
}

impl State {
    /// Whether there is room for this much beside what is promised already.
    pub(super) fn room(
        &self,
        (max_events, max_bytes): (u64, u64),
        events: u64,
        bytes: u64,
    ) -> Result<(), FullBecause> {
        let pending: u64 = self.shards.iter().map(Shard::pending).sum();
        let held: u64 = self.shards.iter().map(|shard| shard.status.bytes).sum();
        if pending + self.in_flight.0 + self.reserved.0 + events > max_events {
            return Err(FullBecause::Events);
        }
        if held + self.in_flight.1 + self.reserved.1 + bytes > max_bytes {
            return Err(FullBecause::Bytes);
        }
        Ok(())
    }

    /// What the caps leave to one shard beside what waits in the others.
    pub(super) fn left_to(&self, shard: usize, (max_events, max_bytes): (u64, u64)) -> (u64, u64) {
        let others = || self.shards.iter().enumerate().filter(|(n, _)| *n != shard);
        let pending: u64 = others().map(|(_, other)| other.pending()).sum();
        let held: u64 = others().map(|(_, other)| other.status.bytes).sum();
        (max_events.saturating_sub(pending), max_bytes.saturating_sub(held))
    }

    pub(super) fn stats(&self) -> QueueStats {
        let sum = |of: fn(&Shard) -> u64| self.shards.iter().map(of).sum::<u64>();
        let in_spills = self.drops.lost_in_spills();
        QueueStats {
            pending_events: sum(Shard::pending),
            pending_batches: sum(|shard| shard.status.batches),
            bytes: sum(|shard| shard.status.bytes),
            appended_events: sum(|shard| shard.status.cum) + in_spills,
            acknowledged_events: sum(|shard| shard.status.acked),
            lost_events: sum(|shard| shard.status.lost) + in_spills,
            dropped: self.drops.all(),
            settled: self.drops.settled(),
            oldest_received_at: self.shards.iter().filter_map(|shard| shard.status.oldest).min(),
            syncs: self.syncs,
            set_aside: Vec::new(),
            spill: None,
        }
    }
}

/// What events lost in a spill are counted under, beside the reasons.
const LOST: &str = "lost in spills";
/// The server keeps what a spill has told it under this, the spill and the reason, beside the totals that
/// it is a part of: what is told twice is added once, and both are lost or healed together.
const TOLD: &str = "spill ";

/// Drop counters: as the server keeps them, and what it was not yet told.
#[derive(Debug, Default)]
pub(super) struct Drops {
    kept: BTreeMap<String, u64>,
    /// Totals of spills before this queue.
    spills: BTreeMap<String, Losses>,
    unsent: BTreeMap<String, u64>,
    /// Told under this token; without an answer it is told again under the same.
    sending: Option<(u64, BTreeMap<String, u64>)>,
}

impl Drops {
    pub(super) fn count(&mut self, reason: &str, events: u64) {
        *self.unsent.entry(reason.to_owned()).or_default() += events;
    }

    /// What a spill has never handed on.
    /// Totals only grow: of two that settle at one time the later one may have counted before.
    pub(super) fn settle(&mut self, spill: &str, losses: Losses) {
        let settled = self.spills.entry(spill.to_owned()).or_default();
        settled.lost = settled.lost.max(losses.lost);
        for (reason, events) in losses.dropped {
            let total = settled.dropped.entry(reason).or_default();
            *total = events.max(*total);
        }
    }

    /// What spills have to tell: where it is kept, the reason, the total.
    pub(super) fn of_spills(&self) -> Vec<(String, &str, u64)> {
        let all = self.spills.iter().flat_map(|(spill, losses)| {
            let dropped = losses.dropped.iter().map(|(reason, events)| (reason.as_str(), *events));
            let every = dropped.chain([(LOST, losses.lost)]);
            every.map(move |(reason, total)| (format!("{TOLD}{spill}:{reason}"), reason, total))
        });
        let known = |field: &str| self.kept.get(field).copied().unwrap_or(0);
        all.filter(|(field, _, total)| *total > known(field)).collect()
    }

    /// What spills have told the server.
    fn settled(&self) -> BTreeMap<String, Losses> {
        let mut settled: BTreeMap<String, Losses> = BTreeMap::new();
        for (field, events) in &self.kept {
            let told = field.strip_prefix(TOLD).and_then(|told| told.split_once(':'));
            let Some((spill, reason)) = told else { continue };
            let losses = settled.entry(spill.to_owned()).or_default();
            if reason == LOST {
                losses.lost = *events;
            } else {
                losses.dropped.insert(reason.to_owned(), *events);
            }
        }
        settled
    }

    fn lost_in_spills(&self) -> u64 {
        self.kept.get(LOST).copied().unwrap_or(0)
    }

    /// What to tell: token, what is known of the totals, what is new.
    pub(super) fn send(&mut self) -> (u64, BTreeMap<String, u64>, BTreeMap<String, u64>) {
        if self.sending.is_none() && !self.unsent.is_empty() {
            self.sending = Some((fastrand::u64(..), std::mem::take(&mut self.unsent)));
        }
        let (token, new) = self.sending.clone().unwrap_or_default();
        (token, self.kept.clone(), new)
    }

    /// The server keeps these now.
    pub(super) fn told(&mut self, token: u64, kept: BTreeMap<String, u64>) {
        self.sending.take_if(|(sent, _)| *sent == token);
        self.kept = kept;
    }

    fn all(&self) -> BTreeMap<String, u64> {
        let mut all = self.kept.clone();
        all.retain(|reason, _| reason != LOST && !reason.starts_with(TOLD));
        let sending = self.sending.iter().flat_map(|(_, new)| new);
        for (reason, events) in sending.chain(&self.unsent) {
            *all.entry(reason.clone()).or_default() += events;
        }
        all
    }
}
