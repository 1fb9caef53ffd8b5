//! The spill before a primary that fails: what is accepted where, and how it gets there.

mod crash;
mod faulty;
mod model;
mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, Timestamp};
use mutt_store::queue::{
    EmbeddedQueue, EventQueue, FullBecause, QueueError, QueueOptions, SpillStats,
};
use mutt_store::spill::{SpillOptions, SpillQueue};

use self::faulty::{Fault, Faulty};
use super::contract;
use super::support::{Shared, append, balanced, batch, number, roomy};

/// Pauses that no test waits for; long enough for a busy machine to answer.
fn quick() -> SpillOptions {
    SpillOptions {
        append_timeout: Duration::from_millis(200),
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(20),
    }
}

fn open(primary: &Arc<Faulty>, dir: &Path, caps: QueueOptions) -> Result<SpillQueue, QueueError> {
    let primary = Arc::clone(primary) as Shared;
    SpillQueue::open(primary, dir, caps, quick(), Clock::default())
}

/// Opens when the queue that was dropped has let go of its files.
async fn reopen(primary: &Arc<Faulty>, dir: &Path) -> SpillQueue {
    let mut opened = None;
    until("the spill is free", || {
        opened = match open(primary, dir, roomy()) {
            Err(QueueError::InUse(_)) => None,
            other => Some(other.unwrap()),
        };
        opened.is_some()
    })
    .await;
    opened.unwrap()
}

/// Waits for a condition.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let waited = async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !so() {
            looks.tick().await;
        }
    };
    let limit = Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, waited).await.is_ok(), "in vain: {what}");
}

fn spill(queue: &SpillQueue) -> SpillStats {
    queue.stats().spill.unwrap()
}

async fn drained(queue: &SpillQueue) {
    until("the spill is drained", || spill(queue).spilling_since.is_none()).await;
    assert_eq!(spill(queue).pending_events, 0);
}

async fn there(primary: &Faulty) -> Vec<u64> {
    primary.batches().await.iter().map(number).collect()
}

#[tokio::test]
async fn the_spill_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    contract::queue_contract(async |options: QueueOptions| {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        let clock = Clock::default();
        let primary =
            Arc::new(EmbeddedQueue::open(&dir.join("primary"), options, clock.clone()).unwrap());
        let spill = dir.join("spill");
        let queue =
            SpillQueue::open(primary as Shared, &spill, roomy(), SpillOptions::default(), clock);
        Arc::new(queue.unwrap()) as Shared
    })
    .await;
}

#[tokio::test]
async fn what_the_primary_does_not_take_is_spilled_and_drained_in_order() {
    for fault in
        [Fault::Away, Fault::LostBefore, Fault::LostAfter, Fault::Half, Fault::Hang, Fault::Late]
    {
        let dir = tempfile::tempdir().unwrap();
        let primary = Faulty::open(&dir.path().join("primary")).await;
        let queue = open(&primary, &dir.path().join("spill"), roomy()).unwrap();
        append(&queue, 0..3, 2).await;
        assert_eq!(spill(&queue).spilled_events, 0, "{fault:?}");
        primary.fail(fault);
        append(&queue, 3..9, 2).await;
        let during = spill(&queue);
        assert!(during.spilling_since.is_some() && during.why.is_some(), "{fault:?} {during:?}");
        assert_eq!((during.pending_events, during.spilled_events), (12, 12), "{fault:?}");
        assert!(queue.state().is_ready(), "it accepts");
        let stats = queue.stats();
        assert!(stats.appended_events >= 18, "{fault:?} {stats:?}");
        primary.fail(Fault::None);
        append(&queue, 9..12, 2).await;
        drained(&queue).await;
        append(&queue, 12..14, 2).await;
        assert_eq!(there(&primary).await, (0..14).collect::<Vec<_>>(), "{fault:?}");
        let stats = queue.stats();
        balanced(&stats);
        assert_eq!((stats.appended_events, stats.pending_events), (28, 28), "{fault:?}");
        let after = spill(&queue);
        assert_eq!(after.drained_events, after.spilled_events);
        assert_eq!((after.why, after.bytes < 1 << 20), (None, true));
    }
}

#[tokio::test]
async fn a_full_primary_is_back_pressure() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let queue = open(&primary, &dir.path().join("spill"), roomy()).unwrap();
    primary.fail(Fault::Full);
    let refused = queue.append(vec![batch(0, 1, 9)], None).await;
    assert!(matches!(refused, Err(QueueError::Full(FullBecause::Events))), "{refused:?}");
    assert!(matches!(queue.reserve(1, 9).await, Err(QueueError::Full(_))));
    assert_eq!(spill(&queue).spilled_events, 0);
    // Full while there is something to drain: the drain waits, nothing is lost.
    primary.fail(Fault::Away);
    append(&queue, 1..40, 1).await;
    primary.fail(Fault::Full);
    until("the drain met it", || spill(&queue).why.is_some_and(|why| why.contains("full"))).await;
    append(&queue, 40..42, 1).await;
    assert_eq!(spill(&queue).pending_events, 41);
    primary.fail(Fault::None);
    drained(&queue).await;
    assert_eq!(there(&primary).await, (1..42).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_spill_refuses_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let caps = QueueOptions { max_events: 10, ..roomy() };
    let queue = open(&primary, &dir.path().join("spill"), caps).unwrap();
    primary.fail(Fault::Away);
    append(&queue, 0..5, 2).await;
    let refused = queue.append(vec![batch(5, 1, 9)], None).await;
    assert!(matches!(refused, Err(QueueError::Full(FullBecause::Events))), "{refused:?}");
    let mutt_store::state::EngineState::Away { code, .. } = queue.state() else {
        panic!("nothing is accepted")
    };
    assert_eq!(code, mutt_model::codes::QUEUE_SPILL_FULL);
    assert!(queue.reserve(1, 1).await.is_err());
    primary.fail(Fault::None);
    drained(&queue).await;
    append(&queue, 5..6, 1).await;
    assert!(queue.state().is_ready());
    assert_eq!(there(&primary).await, (0..6).collect::<Vec<_>>());
    // What may have been stored is not answered as "nothing was appended".
    primary.fail(Fault::LostAfter);
    let doubtful = queue.append(vec![batch(6, 11, 9)], None).await;
    assert!(matches!(doubtful, Err(QueueError::Io { .. })), "{doubtful:?}");
    primary.fail(Fault::None);
    append(&queue, 6..7, 11).await;
    assert_eq!(there(&primary).await, (0..7).collect::<Vec<_>>(), "its repeat counts nothing");
}

#[tokio::test]
async fn room_is_reserved_where_the_append_will_go() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let caps = QueueOptions { max_events: 10, ..roomy() };
    let queue = open(&primary, &dir.path().join("spill"), caps).unwrap();
    // The primary's, and used there.
    let room = queue.reserve(2, 200).await.unwrap();
    queue.append(vec![batch(0, 2, 9)], Some(room)).await.unwrap();
    assert!(primary.calls.lock().unwrap().1);
    // The primary's, but spilled: the caps of the spill are asked.
    let room = queue.reserve(8, 800).await.unwrap();
    primary.fail(Fault::Away);
    queue.append(vec![batch(1, 8, 9)], Some(room)).await.unwrap();
    // The spill's own.
    assert!(queue.reserve(3, 300).await.is_err());
    let room = queue.reserve(2, 200).await.unwrap();
    assert!(queue.append(vec![batch(2, 1, 9)], None).await.is_err(), "it is promised");
    queue.append(vec![batch(3, 2, 9)], Some(room)).await.unwrap();
    // The spill's, but drained meanwhile.
    primary.fail(Fault::None);
    drained(&queue).await;
    primary.fail(Fault::Away);
    let room = queue.reserve(10, 1_000).await.unwrap();
    primary.fail(Fault::None);
    queue.append(vec![batch(4, 10, 9)], Some(room)).await.unwrap();
    drained(&queue).await;
    assert!(!primary.calls.lock().unwrap().1, "another queue's room is not handed on");
    primary.fail(Fault::Away);
    append(&queue, 5..6, 10).await;
    assert_eq!(queue.stats().pending_events, 32);
}

#[tokio::test]
async fn a_spill_that_was_left_is_drained_first() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let place = dir.path().join("spill");
    let queue = open(&primary, &place, roomy()).unwrap();
    primary.fail(Fault::LostAfter);
    append(&queue, 0..6, 1).await;
    queue.count_dropped("queue_full", 4);
    queue.close().await;
    assert!(matches!(queue.append(vec![batch(9, 1, 1)], None).await, Err(QueueError::Closed)));
    drop(queue);
    primary.fail(Fault::Away);
    let queue = reopen(&primary, &place).await;
    let left = spill(&queue);
    assert_eq!(left.spilling_since, Some(Timestamp::from_secs(0)), "since its oldest was received");
    assert_eq!((left.pending_events, left.place), (6, place.display().to_string()));
    primary.fail(Fault::Full);
    append(&queue, 6..8, 1).await;
    assert_eq!(spill(&queue).pending_events, 8, "behind what was left");
    primary.fail(Fault::None);
    drained(&queue).await;
    assert_eq!(there(&primary).await, (0..8).collect::<Vec<_>>());
    let stats = queue.stats();
    assert_eq!((stats.appended_events, stats.dropped["queue_full"]), (8, 4));
}
