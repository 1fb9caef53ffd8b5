//! Batches and readings that the queue's tests share.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Event, Id, Source, Timestamp};
use mutt_store::queue::{ClaimedBatch, EventQueue, QueueOptions, QueueStats, ShardLease};

pub(crate) const OWNER: &str = "alerter-1";
pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const NO_WAIT: Duration = Duration::ZERO;

/// Caps that no test meets by chance.
pub(crate) fn roomy() -> QueueOptions {
    QueueOptions { max_events: 1 << 40, max_bytes: 1 << 40, min_free: 0, segment_bytes: 64 << 10 }
}

/// Batch number `n` with this many events of this size; received at second `n`.
pub(crate) fn batch(n: u64, events: u32, size: usize) -> Batch {
    let mut id = [0u8; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    let mut builder = BatchBuilder::new(Id(id), 0);
    let at = Timestamp::from_secs(n.cast_signed());
    for i in 0..events {
        let raw = vec![b'a' + (i % 26) as u8; size];
        builder.push(&Event::from_raw(Id(id), at, Source::Syslog, "syslog-tcp", "peer", &raw));
    }
    builder.finish()
}

/// The number that a batch was made with.
pub(crate) fn number(batch: &Batch) -> u64 {
    let mut eight = [0u8; 8];
    eight.copy_from_slice(&batch.id().0[8..]);
    u64::from_be_bytes(eight)
}

pub(crate) async fn append(queue: &dyn EventQueue, numbers: std::ops::Range<u64>, events: u32) {
    for n in numbers {
        queue.append(vec![batch(n, events, 64)], None).await.unwrap();
    }
}

pub(crate) async fn lease(queue: &dyn EventQueue) -> ShardLease {
    queue.lease(0, OWNER, TTL).await.unwrap().expect("nobody else holds the shard")
}

/// Everything that can be claimed now, in batches of seven.
pub(crate) async fn claim_all(queue: &dyn EventQueue, lease: ShardLease) -> Vec<ClaimedBatch> {
    let mut all = Vec::new();
    loop {
        let some = queue.claim(lease, 7, NO_WAIT).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

pub(crate) fn numbers(claimed: &[ClaimedBatch]) -> Vec<u64> {
    claimed.iter().map(|c| number(&c.batch)).collect()
}

/// The queue's half of the ledger.
pub(crate) fn balanced(stats: &QueueStats) {
    let sum = stats.pending_events + stats.acknowledged_events + stats.lost_events;
    assert_eq!(stats.appended_events, sum, "{stats:?}");
}

pub(crate) type Shared = Arc<dyn EventQueue>;
