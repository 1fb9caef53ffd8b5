//! What an Alerter takes at once, and what it does when the queue or the store refuses: over a queue that
//! notes what was asked of it and may refuse to acknowledge and to rewind.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mutt::services::alerter::{BATCHES_FIRST, BYTES_PER_COMMIT};
use mutt_model::batch::BATCH_BYTES_MAX;
use mutt_model::{Batch, BatchBuilder, Clock, Event, IdSource, Source};
use mutt_store::queue::{
    CLAIM_BYTES, ClaimedBatch, EmbeddedQueue, EventQueue, Position, QueueError, QueueOptions,
    QueueStats, Reservation, ShardLease,
};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{
    CommitPolicy, CommitStore as _, CommitWork, ReadStore as _, RuleChange, RuleStore as _,
};

use super::alerters::{Process, actor, until};

/// What was asked of a queue.
#[derive(Debug, Default)]
struct Noted {
    /// Batches that each claim asked for that gave some.
    asked: Vec<usize>,
    /// Claimed and not acknowledged: position, bytes.
    claimed: Vec<(Position, usize)>,
    /// Bytes that each acknowledgement took.
    rounds: Vec<usize>,
}

/// See the module.
#[derive(Debug)]
struct Watched {
    queue: EmbeddedQueue,
    /// So many acknowledgements fail.
    refuse: AtomicU32,
    /// And so many calls to rewind after that of a shard's beginning.
    refuse_rewinds: AtomicU32,
    noted: Mutex<Noted>,
}

impl Watched {
    fn noted<T>(&self, with: impl FnOnce(&mut Noted) -> T) -> T {
        with(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether there was one left.
fn one_less(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn refused(doing: &'static str) -> QueueError {
    QueueError::Io { doing, why: "the test refuses".to_owned() }
}

#[async_trait]
impl EventQueue for Watched {
    fn shards(&self) -> u16 {
        self.queue.shards()
    }

    async fn reserve(&self, events: u64, bytes: u64) -> Result<Box<dyn Reservation>, QueueError> {
        self.queue.reserve(events, bytes).await
    }

    async fn append(
        &self,
        batches: Vec<Batch>,
        reservation: Option<Box<dyn Reservation>>,
    ) -> Result<(), QueueError> {
        self.queue.append(batches, reservation).await
    }

    async fn lease(
        &self,
        shard: u16,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<ShardLease>, QueueError> {
        self.queue.lease(shard, owner, ttl).await
    }

    async fn claim(
        &self,
        lease: ShardLease,
        batches: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedBatch>, QueueError> {
        let claimed = self.queue.claim(lease, batches, wait).await?;
        self.noted(|noted| {
            if !claimed.is_empty() {
                noted.asked.push(batches);
            }
            noted.claimed.extend(claimed.iter().map(|c| (c.position, c.batch.as_bytes().len())));
        });
        Ok(claimed)
    }

    async fn acknowledge(&self, lease: ShardLease, position: Position) -> Result<(), QueueError> {
        if one_less(&self.refuse) {
            return Err(refused("acknowledge"));
        }
        self.queue.acknowledge(lease, position).await?;
        self.noted(|noted| {
            let own = noted.claimed.extract_if(.., |(at, _)| *at <= position);
            let bytes = own.map(|(_, bytes)| bytes).sum();
            noted.rounds.push(bytes);
        });
        Ok(())
    }

    async fn rewind(&self, lease: ShardLease) -> Result<(), QueueError> {
        let began = self.noted(|noted| !noted.claimed.is_empty());
        if began && one_less(&self.refuse_rewinds) {
            return Err(refused("rewind"));
        }
        self.noted(|noted| noted.claimed.clear());
        self.queue.rewind(lease).await
    }

    fn count_dropped(&self, reason: &str, events: u64) {
        self.queue.count_dropped(reason, events);
    }

    fn stats(&self) -> QueueStats {
        self.queue.stats()
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

/// A store with rules, and a queue whose first `refuse` acknowledgements fail.
async fn engines(dir: &std::path::Path, refuse: u32) -> (Arc<SqliteStore>, Arc<Watched>) {
    let store = SqliteStore::open(&dir.join("mutt.db"), SqliteOptions::default()).unwrap();
    let first = RuleChange::First(mutt_rules::first_rule_set());
    store.change_rules(first, None, &actor(), Clock::System.wall()).await.unwrap();
    let options = QueueOptions { min_free: 0, ..QueueOptions::default() };
    let queue = EmbeddedQueue::open(&dir.join("queue"), options, Clock::System).unwrap();
    let watched = Watched {
        queue,
        refuse: AtomicU32::new(refuse),
        refuse_rewinds: AtomicU32::new(0),
        noted: Mutex::default(),
    };
    (Arc::new(store), Arc::new(watched))
}

/// So many batches, each of so many events of this size.
async fn append(queue: &Watched, batches: usize, events: usize, size: usize) {
    let mut ids = IdSource::from_entropy();
    let now = Clock::System.wall();
    let raw = vec![b'x'; size];
    for _ in 0..batches {
        let mut builder = BatchBuilder::new(ids.next(now), 0);
        for _ in 0..events {
            let id = ids.next(now);
            builder.push(&Event::from_raw(id, now, Source::Http, "http", "peer", &raw));
        }
        queue.append(vec![builder.finish()], None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acknowledgement_that_failed_is_made_again_without_a_further_event() {
    let dir = tempfile::tempdir().unwrap();
    let (store, queue) = engines(dir.path(), 2).await;
    append(&queue, 3, 2, 100).await;
    let _process = Process::over(Arc::clone(&queue) as _, &store, "one");
    until("the queue is at rest", async || queue.stats().pending_events == 0).await;
    let ledger = store.ledger(&queue.stats()).await.unwrap().events;
    assert_eq!((ledger.audited, ledger.duplicates, ledger.unaccounted), (6, 0, 0), "{ledger:?}");
    assert_eq!(queue.refuse.load(Ordering::SeqCst), 0, "it was refused");
}

/// Otherwise the acknowledgement of a later round would cover what was claimed and never committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_commit_that_failed_nothing_is_claimed_before_the_queue_is_back_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (store, queue) = engines(dir.path(), 0).await;
    // One round is committed, the next one is claimed meanwhile, and a third one waits.
    let batches = 3 * BATCHES_FIRST;
    append(&queue, batches, 1_000, 20).await;
    queue.refuse_rewinds.store(3, Ordering::SeqCst);
    // Somebody else writes for longer than a commit waits.
    let other = rusqlite::Connection::open(dir.path().join("mutt.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let _process = Process::over(Arc::clone(&queue) as _, &store, "one");
    until("a commit has failed", async || queue.refuse_rewinds.load(Ordering::SeqCst) < 3).await;
    other.execute_batch("ROLLBACK").unwrap();
    until("the queue is at rest", async || queue.stats().pending_events == 0).await;
    let ledger = store.ledger(&queue.stats()).await.unwrap().events;
    let all = batches as u64 * 1_000;
    assert_eq!((ledger.audited, ledger.unaccounted, ledger.lost), (all, 0, 0), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn large_events_are_committed_in_rounds_of_bounded_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, queue) = engines(dir.path(), 0).await;
    // More than one round, far fewer events than a round may have.
    let batches = BYTES_PER_COMMIT * 2 / BATCH_BYTES_MAX;
    append(&queue, batches, 1, BATCH_BYTES_MAX / 4 * 3).await;
    let _process = Process::over(Arc::clone(&queue) as _, &store, "one");
    until("the queue is at rest", async || queue.stats().pending_events == 0).await;
    let rounds = queue.noted(|noted| noted.rounds.clone());
    let most = BYTES_PER_COMMIT + CLAIM_BYTES + 2 * BATCH_BYTES_MAX;
    assert!(rounds.iter().all(|bytes| *bytes <= most), "{rounds:?}");
    assert!(
        rounds.iter().any(|bytes| *bytes >= BYTES_PER_COMMIT),
        "one round was full: {rounds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_round_that_cannot_be_committed_is_tried_in_smaller_parts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, queue) = engines(dir.path(), 0).await;
    append(&queue, 2 * BATCHES_FIRST, 1_000, 20).await;
    // The store knows of a later owner: it refuses every commit.
    let policy = CommitPolicy {
        unhandled_threshold: 0,
        unhandled_window: Duration::from_secs(60),
        default_team: "NETO".to_owned(),
        sinks: Vec::new(),
    };
    let later = CommitWork {
        shard: 0,
        generation: u64::from(u32::MAX),
        ruleset: 1,
        batches: Vec::new(),
        policy: Arc::new(policy),
        now: Clock::System.wall(),
    };
    store.commit(later).await.unwrap();
    let _process = Process::over(Arc::clone(&queue) as _, &store, "one");
    until("parts of one batch are tried", async || {
        queue.noted(|noted| noted.asked.last() == Some(&1))
    })
    .await;
}
