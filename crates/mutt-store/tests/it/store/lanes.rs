//! The contract of lanes in trouble: new starts, faults that cost no time, repeats that wait, redrives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::delivery::{DeadReason, Delivery, DeliveryState, Next};
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_store::store::{DeliveryQuery, LaneReport, ReplayFilter, SinkLease, Store, StoreError};

use super::support::*;

async fn of(store: &Arc<dyn Store>, id: mutt_model::Id) -> Delivery {
    store.delivery(id).await.unwrap().unwrap().delivery
}

async fn pass(store: &Arc<dyn Store>, lease: &SinkLease, next: &Next) -> Delivery {
    let delivery = take(store, lease, 1).await.remove(0);
    finish(store, lease, delivery.id, next.clone()).await;
    delivery
}

pub(super) async fn a_fresh_start_is_a_new_owner(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let ttl = Duration::from_secs(30);
    let first = store.lease_sink(SINK, "one", ttl, true).await.unwrap().unwrap();
    let taken = take(&store, &first, 1).await;
    assert_eq!(store.lease_sink(SINK, "one", ttl, false).await.unwrap(), Some(first.clone()));
    assert_eq!(store.lease_sink(SINK, "two", ttl, true).await.unwrap(), None, "another holds it");
    // The same owner lost what it knew of its lane: its lease still runs.
    let second = store.lease_sink(SINK, "one", ttl, true).await.unwrap().unwrap();
    assert!(second.generation > first.generation);
    let late = store.finish(&first, vec![], LaneReport::default()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "its earlier self is fenced off");
    assert_eq!(take(&store, &second, 1).await[0].id, taken[0].id, "and was not left behind");
}

pub(super) async fn a_fault_of_the_lane_uses_up_no_retry_time(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let lease = lease(&store).await;
    let held = pass(&store, &lease, &Next::HoldLane("401".to_owned())).await;
    let after = of(&store, held.id).await;
    assert_eq!((after.attempts, after.first_attempt_at), (1, None));
    store.release_lane(SINK, &actor("anna")).await.unwrap();
    pass(&store, &lease, &Next::RetryAt(START)).await;
    assert_eq!(of(&store, held.id).await.first_attempt_at, Some(START));
}

pub(super) async fn repeats_of_an_outage_wait_as_one(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let lease = lease(&store).await;
    pass(&store, &lease, &Next::HoldLane("401".to_owned())).await;
    let repeats: Vec<_> = (1..=50).map(|s| (s, "a", Problem)).collect();
    let done = commit_changes(&store, &repeats).await;
    assert_eq!(done.deliveries.get(SINK), Some(&50), "each was made");
    for step in [(51, "a", Clear), (52, "a", Problem), (53, "a", Problem), (54, "b", Problem)] {
        commit_changes(&store, &[step]).await;
    }
    let rows = store.deliveries(&DeliveryQuery::default(), 100, None).await.unwrap().items;
    let shown: Vec<_> = rows
        .iter()
        .rev()
        .map(|d| (d.key.as_str(), d.notice.kind.name(), d.notice.stands_for, d.notice.alert.count))
        .collect();
    let expected = [
        ("a", "opened", 1, 1),
        ("a", "repeated", 50, 51),
        ("a", "cleared", 1, 51),
        ("a", "opened", 1, 1),
        ("a", "repeated", 1, 2),
        ("b", "opened", 1, 1),
    ];
    assert_eq!(shown, expected, "opened and cleared never join");
    assert_eq!(rows[4].notice.event.as_ref().unwrap()["message"], "a at 50", "it tells the newest");
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.created, ledger.held, ledger.suppressed), (55, 6, 49));
    store.release_lane(SINK, &actor("anna")).await.unwrap();
    pass(&store, &lease, &Next::Delivered).await;
    commit_changes(&store, &[(55, "a", Problem)]).await;
    assert_eq!(store.delivery_ledger().await.unwrap().suppressed, 49, "not while it can leave");
}

pub(super) async fn a_replayed_problem_takes_its_clear_along(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Clear)]).await;
    let lease = lease(&store).await;
    let dead = pass(&store, &lease, &Next::Dead(DeadReason::Expired)).await;
    assert!(take(&store, &lease, 1).await.is_empty(), "its clear is suppressed");
    let again = ReplayFilter { id: Some(dead.id), ..ReplayFilter::default() };
    let done = store.replay(again.clone(), false, &actor("anna"), START).await.unwrap();
    assert_eq!(done.replayed, 1);
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.created, ledger.pending, ledger.suppressed, ledger.dead), (2, 2, 0, 0));
    // Dead once more: so is its clear.
    pass(&store, &lease, &Next::Dead(DeadReason::Expired)).await;
    assert!(take(&store, &lease, 1).await.is_empty());
    store.replay(again, false, &actor("anna"), START).await.unwrap();
    let told = [pass(&store, &lease, &Next::Delivered).await.notice.kind.name(), {
        pass(&store, &lease, &Next::Delivered).await.notice.kind.name()
    }];
    assert_eq!(told, ["opened", "cleared"]);
}

pub(super) async fn a_forced_replay_clears_no_newer_problem(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Clear), (2, "a", Problem)]).await;
    let lease = lease(&store).await;
    let dead = pass(&store, &lease, &Next::Dead(DeadReason::Refused)).await;
    pass(&store, &lease, &Next::Delivered).await;
    let again = ReplayFilter { id: Some(dead.id), ..ReplayFilter::default() };
    store.replay(again, true, &actor("anna"), START).await.unwrap();
    pass(&store, &lease, &Next::Delivered).await;
    assert!(take(&store, &lease, 1).await.is_empty(), "the newer one stays open");
}

pub(super) async fn what_was_overtaken_stands_in_nobodys_way(store: Arc<dyn Store>) {
    let keys = ["a", "b", "c", "d"];
    let mut steps: Vec<_> = keys.iter().map(|key| (0, *key, Problem)).collect();
    steps.extend(keys[..3].iter().map(|key| (1, *key, Problem)));
    commit_changes(&store, &steps).await;
    let lease = lease(&store).await;
    for _ in keys {
        pass(&store, &lease, &Next::Dead(DeadReason::Expired)).await;
    }
    for key in &keys[..3] {
        assert_eq!(pass(&store, &lease, &Next::Delivered).await.key, *key);
    }
    let dead = |n| BTreeMap::from([("expired".to_owned(), n)]);
    assert_eq!(store.dead_by_reason().await.unwrap(), dead(4));
    let two = ReplayFilter {
        reason: Some("expired".to_owned()),
        limit: Some(2),
        ..ReplayFilter::default()
    };
    let done = store.replay(two.clone(), false, &actor("remediation"), START).await.unwrap();
    assert_eq!((done.replayed, done.passed_over), (1, 3));
    assert_eq!(pass(&store, &lease, &Next::Delivered).await.key, "d");
    assert_eq!(store.dead_by_reason().await.unwrap(), dead(3));
    let done = store.replay(two, true, &actor("anna"), START).await.unwrap();
    assert_eq!((done.replayed, done.passed_over), (2, 0), "force passes over nothing");
    let state = Some(DeliveryState::Dead);
    let left = DeliveryQuery { state, ..DeliveryQuery::default() };
    assert_eq!(store.deliveries(&left, 10, None).await.unwrap().items[0].key, "c");
}
