//! The spill before a real Redis that is killed under load and comes back, ten times.

use std::sync::Arc;

use mutt_model::{Batch, Clock};
use mutt_store::queue::EventQueue;
use mutt_store::redis::{RedisOptions, RedisQueue};
use mutt_store::spill::SpillQueue;
use tokio::sync::watch;

use super::super::support::{NO_WAIT, OWNER, TTL, append, balanced, roomy};
use super::model::{Record, SHARDS, Slot, WRITERS, events, in_order, write};
use super::{drained, quick, spill, until};
use crate::redis_server::RedisServer;

const ROUNDS: usize = 10;

fn open(server: &RedisServer, dir: &std::path::Path) -> SpillQueue {
    let shards = u16::try_from(SHARDS).unwrap();
    let options = RedisOptions { shards, ..server.options() };
    let primary = Arc::new(RedisQueue::open(options, Clock::default()));
    SpillQueue::open(primary, dir, roomy(), quick(), Clock::default()).unwrap()
}

/// Everything that Alerters would see, shard after shard.
async fn judged(queue: &SpillQueue) -> Vec<Batch> {
    let mut all = Vec::new();
    for shard in 0..u16::try_from(SHARDS).unwrap() {
        let lease = queue.lease(shard, OWNER, TTL).await.unwrap().unwrap();
        loop {
            let claimed = queue.claim(lease, 50, NO_WAIT).await.unwrap();
            let Some(last) = claimed.last() else { break };
            queue.acknowledge(lease, last.position).await.unwrap();
            all.extend(claimed.into_iter().map(|claimed| claimed.batch));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_under_load_ten_times_and_nothing_is_lost_doubled_or_overtaken() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = RedisServer::durable();
    let slot = Slot::new(Some(Arc::new(open(&server, dir.path()))));
    let (stop, stopped) = watch::channel(false);
    let record = Arc::new(Record::default());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(writer, slot.subscribe(), Arc::clone(&record), stopped.clone()));
    }
    let queue = slot.borrow().clone().unwrap();
    for round in 0..ROUNDS {
        record.grows(30).await;
        server.kill();
        record.grows(30).await;
        until("it is told", || spill(&queue).spilling_since.is_some()).await;
        server.restart();
        // Killed again while the spill is drained, every other time.
        if round % 2 == 0 {
            drained_under_load(&queue).await;
        }
    }
    stop.send_replace(true);
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    drained(&queue).await;
    let there = judged(&queue).await;
    let spans = record.spans.lock().unwrap().clone();
    in_order(&there, &spans);
    let mut ids: Vec<_> = there.iter().map(Batch::id).collect();
    ids.sort();
    assert!(ids.windows(2).all(|two| two[0] != two[1]), "something is there twice");
    assert_eq!(ids.len(), spans.len(), "answered and there");
    until("the counters agree", || {
        let stats = queue.stats();
        stats.pending_events == 0 && stats.appended_events == events(ids.iter().copied())
    })
    .await;
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!(stats.lost_events, 0, "{stats:?}");
    let seen = spill(&queue);
    assert_eq!(seen.spilled_events, seen.drained_events);
    assert!(seen.spilled_events > 0);
    println!("{} batches answered, {} events spilled", spans.len(), seen.spilled_events);
    queue.close().await;
}

async fn drained_under_load(queue: &SpillQueue) {
    until("spilling ends under load", || spill(queue).spilling_since.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_spill_never_hands_on_is_told_to_the_whole_site_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = RedisServer::durable();
    let queue = open(&server, dir.path());
    server.kill();
    append(&queue, 0..6, 2).await;
    queue.count_dropped("queue_full", 5);
    queue.count_dropped("queue_full", 2);
    assert_eq!(queue.stats().dropped.get("queue_full"), Some(&7), "kept here meanwhile");
    queue.close().await;
    drop(queue);
    // A record in it is damaged while nobody looks.
    let mut files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "log");
    let segment = files.find(is_segment).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[72 + 9] ^= 0x10;
    std::fs::write(&segment, bytes).unwrap();

    let mut queue = open(&server, dir.path());
    server.restart();
    drained(&queue).await;
    // As the Web UI and the Alerter see it.
    let shards = u16::try_from(SHARDS).unwrap();
    let other = RedisQueue::open(RedisOptions { shards, ..server.options() }, Clock::default());
    let told = async |queue: &dyn EventQueue, dropped: u64| {
        until("it is told", || {
            let stats = queue.stats();
            stats.dropped.get("queue_full") == Some(&dropped) && stats.lost_events == 2
        })
        .await;
        let stats = queue.stats();
        assert_eq!((stats.appended_events, stats.pending_events), (12, 10), "{stats:?}");
        assert_eq!(stats.dropped.len(), 1, "{stats:?}");
        balanced(&stats);
    };
    told(&other, 7).await;
    told(&queue, 7).await;
    // Told again after a restart, and after one of Redis: each event counts once.
    for dropped in 8..10 {
        queue.close().await;
        drop(queue);
        server.kill();
        server.restart();
        queue = open(&server, dir.path());
        queue.count_dropped("queue_full", 1);
        told(&other, dropped).await;
        told(&queue, dropped).await;
    }
    queue.close().await;
}
