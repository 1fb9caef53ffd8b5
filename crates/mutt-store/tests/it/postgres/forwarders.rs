//! Forwarders and readers on PostgreSQL: several processes, the server's clock, plans.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::delivery::Next;
use mutt_model::rule::RuleAction::Problem;
use mutt_model::{Clock, Timestamp};
use mutt_store::postgres::PostgresStore;
use mutt_store::store::{
    CommitStore as _, CommitWork, DeliveryStore as _, EventQuery, LaneReport, ReadStore as _,
    SignalStore as _, Store, StoreError,
};

use super::server::{PATIENCE, Server, until};
use crate::store::support::*;

/// A store by the real clocks: leases by the server's.
async fn by_the_servers_clock(server: &Server) -> Arc<PostgresStore> {
    let store = PostgresStore::open(&server.options(), Clock::System).unwrap();
    until("the store is ready", || store.state().is_ready()).await;
    Arc::new(store)
}

#[tokio::test]
async fn a_lease_ends_by_the_servers_clock_and_its_owner_is_fenced() {
    let server = Server::migrated(&[]).await;
    let (one, two) = (by_the_servers_clock(&server).await, by_the_servers_clock(&server).await);
    let as_store: Arc<dyn Store> = one.clone();
    commit_changes(&as_store, &[(0, "a", Problem), (1, "b", Problem)]).await;
    let now = Clock::System.wall();
    let ttl = Duration::from_millis(700);
    let first = one.lease_sink(SINK, "one", ttl, true).await.unwrap().unwrap();
    let taken = one.take_due(&first, 10, false, now).await.unwrap();
    assert_eq!(taken.len(), 2);
    assert_eq!(one.lanes().await.unwrap()[0].owner.as_deref(), Some("one"));
    let begun = Clock::System.monotonic();
    let second = loop {
        if let Some(lease) = two.lease_sink(SINK, "two", PATIENCE, true).await.unwrap() {
            break lease;
        }
        assert!(Clock::System.monotonic() - begun < PATIENCE, "the lease never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(second.generation > first.generation);
    let late = attempted(taken[0].id, Next::Delivered);
    let late = one.finish(&first, vec![late], LaneReport::default()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert!(matches!(one.take_due(&first, 1, false, now).await, Err(StoreError::LeaseLost)));
    assert!(one.lease_sink(SINK, "one", ttl, false).await.unwrap().is_none());
    let again = two.take_due(&second, 10, false, now).await.unwrap();
    let ids = |all: &[mutt_model::delivery::Delivery]| all.iter().map(|d| d.id).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&taken), "what was leased comes again");
}

/// Commits of several shards and Forwarders of several sinks at once: each key in order, none stuck,
/// and the ledger balances.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_is_stuck_or_overtaken_while_others_commit() {
    const ROUNDS: i64 = 30;
    let server = Server::migrated(&[]).await;
    // Two processes never draw the same ids.
    let other = mutt_store::postgres::PgOptions { id_seed: Some(2), ..server.options() };
    let stores = [server.store().await, server.store_with(&other).await];
    let committers = (0..2u16).map(|shard| {
        let store = Arc::clone(&stores[usize::from(shard)]);
        async move {
            for round in 0..ROUNDS {
                // Half of the keys are common to both shards.
                let events: Vec<_> = (0..6)
                    .map(|n| {
                        let event = event(round, &format!("r{shard}"), "down");
                        let key = if n < 3 { format!("k{n}") } else { format!("k{shard}-{n}") };
                        let verdict = alerting(&event, &key, Problem);
                        (event, verdict)
                    })
                    .collect();
                let work = CommitWork { shard, ..work(vec![batch(&events)]) };
                store.commit(work).await.unwrap();
            }
        }
    });
    let all = u64::try_from(2 * 6 * ROUNDS).unwrap();
    let forwarder = {
        let store = Arc::clone(&stores[0]);
        async move {
            let lease = store.lease_sink(SINK, "one", PATIENCE, true).await.unwrap().unwrap();
            let mut left = std::collections::BTreeMap::new();
            let (mut delivered, begun) = (0, Clock::System.monotonic());
            while delivered < all {
                if Clock::System.monotonic() - begun > PATIENCE {
                    let ledger = store.delivery_ledger().await.unwrap();
                    panic!("{delivered} of {all}: {ledger:?}");
                }
                let taken = store.take_due(&lease, 4, false, at(1_000)).await.unwrap();
                let mut done = Vec::new();
                for delivery in &taken {
                    let before = left.insert(delivery.key.clone(), delivery.seq);
                    assert!(before.is_none_or(|seq| seq < delivery.seq), "{}", delivery.key);
                    assert!(delivery.notice.event.is_some());
                    done.push(attempted(delivery.id, Next::Delivered));
                }
                delivered += done.len() as u64;
                store.finish(&lease, done, LaneReport::default()).await.unwrap();
            }
        }
    };
    let mut committers = committers;
    let (first, second) = (committers.next().unwrap(), committers.next().unwrap());
    tokio::join!(first, second, forwarder);
    let ledger = stores[1].delivery_ledger().await.unwrap();
    assert_eq!((ledger.created, ledger.delivered, ledger.pending), (all, all, 0));
}

#[tokio::test]
async fn the_tail_skips_no_row_of_a_transaction_that_commits_late() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let (_, place) = store.tail(None, 10).await.unwrap();
    // A transaction that began before the commits below and is still under way: a slow shard.
    let slow = server.superuser("mutt").await;
    slow.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    let one = |seconds| {
        work(vec![batch(&[(event(seconds, "r1", &seconds.to_string()), unhandled("x"))])])
    };
    store.commit(one(1)).await.unwrap();
    let (items, held) = store.tail(Some(place), 10).await.unwrap();
    assert!(items.is_empty() && held >= place, "nothing while an older one may still commit");
    // It commits a row of its own, with a smaller number.
    slow.batch_execute(
        "INSERT INTO audit_unhandled SELECT received_at, gen_random_uuid(),
            (base + pg_current_xact_id()::text::bigint) * 1048576, ruleset, rule_id, alert_id,
            severity, dev, 'slow', decision, team, body FROM audit_unhandled, seq_base;
         INSERT INTO receipts SELECT 7, 1, gen_random_uuid(), a.seq, 1, a.received_at, a.received_at,
            0, '', '', '' FROM audit_unhandled a WHERE host = 'slow';
         COMMIT",
    )
    .await
    .unwrap();
    store.commit(one(2)).await.unwrap();
    let (mut seen, mut place) = (Vec::new(), held);
    loop {
        let (items, next) = store.tail(Some(place), 1).await.unwrap();
        if items.is_empty() {
            break;
        }
        seen.extend(items.into_iter().map(|item| item.seq));
        place = next;
    }
    assert_eq!(seen.len(), 3, "none is skipped, a row at a time");
    assert!(seen.is_sorted());
    assert_eq!(store.tail(Some(i64::MAX), 5).await.unwrap().0, vec![], "a place of another store");
}

/// What is read by index from few partitions must stay so.
#[tokio::test]
async fn searches_are_ranges_of_an_index_newest_partition_first() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let mut events = Vec::new();
    for day in 0..10 {
        for n in 0..200 {
            let event = event(-day * 86_400 + n, &format!("r{}", n % 20), "x");
            events.push((event, unhandled("x")));
        }
    }
    for part in events.chunks(500) {
        store.commit(work(vec![batch(part)])).await.unwrap();
    }
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    owner.batch_execute("ANALYZE").await.unwrap();
    owner.batch_execute("SET enable_seqscan = on").await.unwrap();
    let explain = async |sql: String| {
        let rows =
            owner.query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}"), &[]).await;
        rows.unwrap().iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    };
    let (since, until) = (at(-86_400).0, at(300).0);
    let page = |from: i64, condition: &str| {
        format!(
            "SELECT received_at, id, body FROM audit_unhandled WHERE received_at >= {from}
                AND received_at <= {until} AND (received_at, id) < ({until},
                'ffffffff-ffff-ffff-ffff-ffffffffffff') AND {condition}
             ORDER BY received_at DESC, id DESC LIMIT 5"
        )
    };
    let plan = explain(page(since, "host = 'r3'")).await;
    assert!(plan.contains("Index Scan Backward using audit_unhandled_p"), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    assert_eq!(plan.matches("Index Scan").count(), 2, "two days' partitions: {plan}");
    let plan = explain(page(0, "host = 'r3'")).await;
    assert!(plan.contains("(never executed)"), "older partitions are not touched: {plan}");
    assert!(!plan.contains("Sort"), "{plan}");
    let by_id = format!(
        "SELECT body FROM audit WHERE received_at >= {0} AND received_at <= {0}
            AND id = '00000000-0000-7000-8000-000000000000' LIMIT 1",
        at(0).0
    );
    let plan = explain(by_id).await;
    assert_eq!(plan.matches("Scan").count(), 2, "one partition of each: {plan}");
    assert!(plan.contains("Index Scan using audit_unhandled_p"), "{plan}");
    let query = EventQuery { host: Some("R3".to_owned()), ..EventQuery::default() };
    let (mut found, mut cursor) = (0, None);
    loop {
        let page = store.events(&query, 7, cursor.as_deref()).await.unwrap();
        assert!(
            page.items.windows(2).all(|two| two[0].event.received_at > two[1].event.received_at)
        );
        found += page.items.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, 100, "over all partitions, by pages");
}

/// Taking stays a walk of small indexes however much has ended.
#[tokio::test]
async fn ended_deliveries_do_not_slow_what_is_due() {
    // Statistics change when the test says so.
    let server = Server::migrated(&["autovacuum=off"]).await;
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    owner
        .batch_execute(
            "INSERT INTO deliveries SELECT n, gen_random_uuid(), 'moog', 'k' || n % 1000, 0,
                CASE WHEN n % 50 = 0 THEN 5 ELSE 3 END, false, 'refused', 1, 1, n, n, n, n,
                gen_random_uuid(), NULL, '{}' FROM generate_series(1, 100000) n;
             SELECT setval('deliveries_seq', 100000); ANALYZE",
        )
        .await
        .unwrap();
    let store: Arc<dyn Store> = server.store().await;
    commit_changes(&store, &[(0, "k7", Problem), (1, "k8", Problem), (2, "k7", Problem)]).await;
    let plan = async |sql: &str| {
        let rows = owner.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    };
    // Which of them is a matter of costs that hardly differ; all leave out what has ended.
    let unfinished: &[&str] = &[
        "deliveries_head",
        "deliveries_due",
        "deliveries_key",
        "deliveries_key_head",
        "deliveries_live",
    ];
    let dead: &[&str] = &["deliveries_dead", "deliveries_dead_ended", "deliveries_dead_reason"];
    for (sql, indexes) in [
        (
            "SELECT seq FROM deliveries WHERE sink = 'moog' AND state = 0 AND head
             AND due_at + 0 <= 5 ORDER BY seq LIMIT 10",
            unfinished,
        ),
        (
            "SELECT MIN(due_at) FROM deliveries WHERE sink = 'moog' AND state = 0 AND head",
            unfinished,
        ),
        (
            "SELECT seq FROM deliveries WHERE state IN (3, 4) AND ended_at < 5 ORDER BY ended_at
             LIMIT 10",
            &["deliveries_over"],
        ),
        ("SELECT seq FROM deliveries WHERE state = 5 ORDER BY seq LIMIT 10", dead),
    ] {
        let plan = plan(sql).await;
        let mut words = plan.split_whitespace();
        let used = words.any(|word| indexes.contains(&word));
        assert!(used && !plan.contains("Seq Scan"), "{sql}: {plan}");
    }
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 10).await;
    assert_eq!(taken.len(), 2, "the heads of both keys");
    finish(&store, &lease, taken[0].id, Next::Delivered).await;
    assert_eq!(take(&store, &lease, 10).await[0].key, "k7");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_says_so() {
    let server = Server::migrated(&[]).await;
    let mut options = server.options();
    options.statement_timeout = Duration::from_millis(300);
    let store = server.store_with(&options).await;
    let lock = server.superuser("mutt").await;
    lock.batch_execute("BEGIN; LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let slow = store.alerts(&mutt_store::store::AlertQuery::default(), 10, None).await;
    let Err(StoreError::Transient { why, .. }) = slow else { panic!("{slow:?}") };
    assert!(why.contains("statement timeout"), "{why}");
    lock.batch_execute("COMMIT").await.unwrap();
    store.alerts(&mutt_store::store::AlertQuery::default(), 10, None).await.unwrap();
    assert_eq!(store.rates(Timestamp(0)).await.unwrap(), vec![]);
}
