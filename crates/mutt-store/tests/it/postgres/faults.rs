//! Row 32 of the faults: the postmaster is killed at random under load; what was answered stands once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mutt_model::rule::RuleAction::Problem;
use mutt_store::postgres::PostgresStore;
use mutt_store::store::{CommitStore as _, CommitWork, SignalStore as _, StoreError};

use super::server::{Server, until};
use crate::store::support::*;

fn load(shard: u16, round: i64) -> CommitWork {
    let mut events = Vec::new();
    for n in 0..30 {
        let event = event(round, &format!("r{n}"), "down");
        let verdict = alerting(&event, &format!("k{}", n % 5), Problem);
        events.push((event, verdict));
        events.push((crate::store::support::event(round, "r1", "odd"), unhandled("odd")));
    }
    let mut work = work(vec![batch(&events)]);
    work.shard = shard;
    work
}

/// Commits again and again, each until it has an answer: what an Alerter does.
async fn alerter(
    store: Arc<PostgresStore>,
    shard: u16,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> (u64, u64) {
    let (mut batches, mut unanswered) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let work = load(shard, i64::try_from(batches).unwrap());
        loop {
            match store.commit(work.clone()).await {
                Ok(_) => break,
                Err(StoreError::Transient { .. }) => {
                    unanswered += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        batches += 1;
        done.fetch_add(1, Ordering::Relaxed);
    }
    (batches, unanswered)
}

#[tokio::test]
async fn a_killed_postmaster_costs_nothing_that_was_answered() {
    let mut server = Server::migrated(&["fsync=on"]).await;
    let store = server.store().await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let run = |shard| alerter(Arc::clone(&store), shard, Arc::clone(&stop), Arc::clone(&done));
    let killer = async {
        for _ in 0..3 {
            let reached = done.load(Ordering::Relaxed) + 3;
            until("commits go on", || done.load(Ordering::Relaxed) >= reached).await;
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..40_000))).await;
            server.kill().await;
            until("it is noticed", || !store.state().is_ready()).await;
            server.start().await;
        }
        let reached = done.load(Ordering::Relaxed) + 3;
        until("commits go on", || done.load(Ordering::Relaxed) >= reached).await;
        stop.store(true, Ordering::Relaxed);
    };
    let ((one, lost_one), (two, lost_two), ()) = tokio::join!(run(0), run(1), killer);
    assert!(lost_one + lost_two > 0, "no commit was interrupted");
    let client = server.superuser("mutt").await;
    let row = client
        .query_one(
            "SELECT (SELECT COUNT(*) FROM receipts), (SELECT COUNT(*) FROM audit),
                (SELECT COUNT(DISTINCT id) FROM audit), (SELECT SUM(audited)::bigint FROM totals)",
            &[],
        )
        .await
        .unwrap();
    let found: Vec<i64> = (0..4).map(|at| row.get(at)).collect();
    let batches = i64::try_from(one + two).unwrap();
    assert_eq!(found, [batches, batches * 60, batches * 60, batches * 60]);
}

#[tokio::test]
async fn calls_are_refused_at_once_while_the_server_is_away() {
    let mut server = Server::migrated(&[]).await;
    let store = server.store().await;
    store.commit(load(0, 0)).await.unwrap();
    server.stop();
    until("it is noticed", || !store.state().is_ready()).await;
    let quick = tokio::time::timeout(Duration::from_secs(5), store.commit(load(0, 1))).await;
    assert!(matches!(quick.unwrap(), Err(StoreError::Transient { .. })));
    server.start().await;
    until("it comes back by itself", || store.state().is_ready()).await;
    store.commit(load(0, 2)).await.unwrap();
}
