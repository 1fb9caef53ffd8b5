//! Commits on PostgreSQL: poisoned rows, common keys, days that have no partition yet.

use std::collections::BTreeSet;

use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_store::store::{CommitStore as _, StoreError};

use super::server::Server;
use crate::store::support::*;

#[tokio::test]
async fn a_commit_is_whole_and_once() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let problem = event(0, "R1", "down");
    let verdict = alerting(&problem, "k", Problem);
    let over = event(1, "R1", "up");
    let clear = alerting(&over, "k", Clear);
    let events = [(problem, verdict), (event(2, "r2", "odd"), unhandled("odd")), (over, clear)];
    let work = work(vec![batch(&events)]);
    let done = store.commit(work.clone()).await.unwrap();
    assert_eq!((done.audited, done.handled, done.transitions.len()), (3, 2, 2));
    assert_eq!(done.deliveries.get(SINK), Some(&2));
    let again = store.commit(work).await.unwrap();
    assert_eq!((again.audited, again.skipped_batches), (0, 1));
    let client = server.superuser("mutt").await;
    let row = client
        .query_one(
            "SELECT (SELECT COUNT(*) FROM audit), (SELECT COUNT(*) FROM alerts WHERE cleared),
                (SELECT SUM(audited)::bigint FROM totals), (SELECT SUM(n)::bigint FROM delivery_counts),
                (SELECT COUNT(*) FROM deliveries WHERE head), (SELECT COUNT(*) FROM receipts)",
            &[],
        )
        .await
        .unwrap();
    let counts: Vec<i64> = (0..6).map(|at| row.get(at)).collect();
    assert_eq!(counts, [3, 1, 3, 2, 1, 1]);
}

#[tokio::test]
async fn poisoned_events_are_found_and_their_neighbours_are_whole() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let mut events = Vec::new();
    for at in 0..40 {
        let poisoned = [3, 17, 39].contains(&at);
        let host = if poisoned { "r\u{0}1" } else { "r1" };
        let event = event(at, host, "down");
        let verdict = alerting(&event, &format!("k{at}"), Problem);
        events.push((event, verdict));
    }
    // A key that no text column holds, on a good host.
    let odd = event(50, "r2", "down");
    let verdict = alerting(&odd, "k\u{0}", Problem);
    events.push((odd, verdict));
    let done = store.commit(work(vec![batch(&events)])).await.unwrap();
    assert_eq!((done.audited, done.unstorable, done.lost), (41, 4, 0));
    assert_eq!(done.deliveries.get(SINK), Some(&37));
    let client = server.superuser("mutt").await;
    let sql = "SELECT COUNT(*) FROM audit WHERE decision = 'unstorable' AND NOT handled";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 4);
}

#[tokio::test]
async fn two_owners_of_a_shard_are_fenced() {
    let server = Server::migrated(&[]).await;
    let (old, new) = (server.store().await, server.store().await);
    let one = |generation| {
        let mut work = work(vec![batch(&[(event(0, "r1", "x"), unhandled("x"))])]);
        work.generation = generation;
        work
    };
    old.commit(one(1)).await.unwrap();
    new.commit(one(2)).await.unwrap();
    assert!(matches!(old.commit(one(1)).await, Err(StoreError::LeaseLost)));
    let client = server.superuser("mutt").await;
    let rows = client.query_one("SELECT COUNT(*) FROM audit", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 2, "the overtaken commit left nothing");
}

#[tokio::test]
async fn days_without_partitions_get_them_also_after_they_were_dropped() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let at_day = |day: i64| work(vec![batch(&[(event(day * 86_400, "r1", "x"), unhandled("x"))])]);
    assert_eq!(store.commit(at_day(-400)).await.unwrap().audited, 1);
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    let sql = "SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relkind = 'r' AND c.relname LIKE 'audit_unhandled_p2024%'";
    let rows = owner.query(sql, &[]).await.unwrap();
    let names: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let [name] = names.iter().collect::<Vec<_>>()[..] else { panic!("{names:?}") };
    owner.batch_execute(&format!("DROP TABLE {name}")).await.unwrap();
    let done = store.commit(at_day(-400)).await.unwrap();
    assert_eq!((done.audited, done.unstorable), (1, 0), "made anew");
}

/// Four shards open, repeat and clear the same keys in other orders: nobody waits for ever, no alert
/// stands twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_with_common_keys_do_not_wait_in_circles() {
    let server = Server::migrated(&["deadlock_timeout=50ms"]).await;
    let store = server.store().await;
    let run = |shard: u16| {
        let store = std::sync::Arc::clone(&store);
        async move {
            let mut made = 0;
            for round in 0..12i64 {
                let mut events = Vec::new();
                for step in 0..60i64 {
                    let key = if shard.is_multiple_of(2) { step } else { 59 - step };
                    let event = event(round, "r1", "x");
                    let action = if (step + round) % 3 == 0 { Clear } else { Problem };
                    let verdict = alerting(&event, &format!("k{}", key % 20), action);
                    events.push((event, verdict));
                    let odd = crate::store::support::event(round, "r1", "odd");
                    events.push((odd, unhandled(&format!("odd {}", key % 7))));
                }
                let mut work = work(vec![batch(&events)]);
                work.shard = shard;
                made += store.commit(work).await.unwrap().deliveries.values().sum::<u64>();
            }
            made
        }
    };
    let made = tokio::join!(run(0), run(1), run(2), run(3));
    let made = made.0 + made.1 + made.2 + made.3;
    let client = server.superuser("mutt").await;
    let row = client
        .query_one(
            "SELECT (SELECT COUNT(*) FROM deliveries), (SELECT COUNT(*) FROM audit),
                (SELECT COUNT(*) FROM (SELECT key FROM deliveries GROUP BY key
                    HAVING COUNT(*) FILTER (WHERE head) <> 1) AS odd),
                (SELECT deadlocks FROM pg_stat_database WHERE datname = 'mutt')",
            &[],
        )
        .await
        .unwrap();
    let found: Vec<i64> = (0..4).map(|at| row.get(at)).collect();
    assert_eq!(found, [i64::try_from(made).unwrap(), 4 * 12 * 120, 0, 0]);
}
