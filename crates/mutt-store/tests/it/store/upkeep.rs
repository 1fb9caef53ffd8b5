//! The contract of upkeep: ageing, retention.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::alert::{AlertState, ClearedBy, Repeat};
use mutt_model::delivery::{DeadReason, Next};
use mutt_model::event::DedupKey;
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_model::rule::{Handling, Rule};
use mutt_store::queue::QueueStats;
use mutt_store::store::{AlertQuery, EventQuery, RetentionPolicy, RuleChange, Store};

use super::support::*;

pub(super) async fn alerts_age_out(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (10, "b", Problem)]).await;
    let sinks = [route(SINK, Repeat::Every)];
    assert_eq!(store.clear_aged(&sinks, 10, at(3_599)).await.unwrap(), 0);
    assert_eq!(store.clear_aged(&sinks, 10, at(3_605)).await.unwrap(), 1);
    let cleared = AlertQuery { state: Some(AlertState::Cleared), ..AlertQuery::default() };
    let alerts = store.alerts(&cleared, 10, None).await.unwrap().items;
    assert_eq!((alerts[0].key.as_str(), &alerts[0].cleared_by), ("a", &Some(ClearedBy::Age)));
    assert_eq!(store.delivery_ledger().await.unwrap().created, 3, "its clear is delivered");
    let done = commit_changes(&store, &[(4_000, "a", Problem)]).await;
    assert_eq!(done.transitions.len(), 1, "the next event opens it anew");
}

pub(super) async fn retention_removes_and_the_ledger_outlives_it(store: Arc<dyn Store>) {
    for _ in 0..2 {
        let rule = RuleChange::CreateRule(Box::new(Rule::contains("x", Handling::Ignore)));
        store.change_rules(rule, None, &actor("anna"), START).await.unwrap();
    }
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Clear), (2, "b", Problem)]).await;
    let odd = [(event(3, "r1", "x"), unhandled("x"))];
    store.commit(work(vec![batch(&odd)])).await.unwrap();
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 10).await;
    finish(&store, &lease, taken[0].id, Next::Delivered).await;
    finish(&store, &lease, taken[1].id, Next::Dead(DeadReason::Refused)).await;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let policy = RetentionPolicy {
        handled: days(90),
        unhandled: days(14),
        alerts: days(30),
        changes: days(365),
        ..RetentionPolicy::default()
    };
    let after = |n: i64| at(n * 86_400 + 60);
    let done = store.retain(&policy, after(15)).await.unwrap();
    assert_eq!(done.removed.get("audit_unhandled"), Some(&1));
    assert_eq!(store.rule_set(Some(1)).await.unwrap().version, 1, "an audit row names it");
    let done = store.retain(&policy, after(31)).await.unwrap();
    assert_eq!(done.removed.get("deliveries"), Some(&2));
    assert_eq!(done.removed.get("alerts"), Some(&1));
    assert!(store.delivery(taken[0].id).await.unwrap().is_none());
    let done = store.retain(&policy, after(91)).await.unwrap();
    assert_eq!(done.removed.get("audit_handled"), Some(&3));
    assert!(store.rule_set(Some(1)).await.is_err(), "no audit row names it any more");
    assert!(store.events(&EventQuery::default(), 9, None).await.unwrap().items.is_empty());
    let queue = QueueStats { appended_events: 4, ..QueueStats::default() };
    let ledger = store.ledger(&queue).await.unwrap();
    assert_eq!((ledger.events.audited, ledger.events.unaccounted), (4, 0));
    let deliveries = ledger.deliveries;
    assert_eq!((deliveries.created, deliveries.delivered, deliveries.dead), (3, 1, 1));
    assert_eq!(deliveries.pending, 1, "what is owed is never removed");
    assert_eq!(store.lanes().await.unwrap()[0].dead, 0);
    let done = store.retain(&RetentionPolicy { changes: days(1), ..policy }, after(92)).await;
    assert_eq!(done.unwrap().removed.get("changes"), Some(&2));
}

pub(super) async fn keys_of_repeats_outlive_a_backlog(store: Arc<dyn Store>) {
    let keyed = |seconds, key: u8| {
        let mut event = event(seconds, "r1", "x");
        let keep_until = at(seconds + 600);
        event.dedup = Some(DedupKey { digest: [key; 16], keep_until });
        (event, unhandled("x"))
    };
    store.commit(work(vec![batch(&[keyed(0, 1)])])).await.unwrap();
    let policy = RetentionPolicy::default();
    // Hours later the repeat that came at once is still in the event queue.
    let done = store.retain(&policy, at(20_000)).await.unwrap();
    assert_eq!(done.removed.get("dedup"), None, "valid by received_at");
    let done = store.commit(work(vec![batch(&[keyed(300, 1), keyed(900, 2)])])).await.unwrap();
    assert_eq!((done.audited, done.duplicates), (1, 1));
    let done = store.retain(&policy, at(20_000)).await.unwrap();
    assert_eq!(done.removed.get("dedup"), Some(&1), "what came last is past the first one's time");
}
