//! The contract of deliveries: order, leases, lanes, coalescing, replay.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::delivery::{DeadReason, Delivery, DeliveryState, HeldBy, Next};
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_store::store::{LaneReport, ReplayFilter, SinkLease, Store, StoreError};

use super::support::*;

fn keys(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|d| d.key.as_str()).collect()
}

async fn state_of(store: &Arc<dyn Store>, delivery: &Delivery) -> (DeliveryState, Option<String>) {
    let life = store.delivery(delivery.id).await.unwrap().unwrap();
    (life.delivery.state, life.delivery.reason)
}

async fn coalesced(store: &Arc<dyn Store>, lease: &SinkLease) -> Vec<Delivery> {
    store.take_due(lease, 10, true, START).await.unwrap()
}

pub(super) async fn order_within_a_key_and_between_keys(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Problem), (2, "b", Problem)]).await;
    let lease = lease(&store).await;
    let first = take(&store, &lease, 10).await;
    assert_eq!(keys(&first), ["a", "b"], "heads only, in order");
    assert!(take(&store, &lease, 10).await.is_empty(), "the rest waits for its head");
    finish(&store, &lease, first[0].id, Next::RetryAt(at(5))).await;
    assert!(take(&store, &lease, 10).await.is_empty(), "not before its time");
    assert_eq!(store.next_due(SINK).await.unwrap(), Some(at(5)));
    let again = store.take_due(&lease, 10, false, at(5)).await.unwrap();
    assert_eq!((again[0].id, again[0].attempts), (first[0].id, 1), "the same id again");
    finish(&store, &lease, again[0].id, Next::Delivered).await;
    let second = take(&store, &lease, 10).await;
    assert_eq!(keys(&second), ["a"]);
    let life = store.delivery(first[0].id).await.unwrap().unwrap();
    assert_eq!(life.attempts.len(), 2);
    assert_eq!(life.delivery.state, DeliveryState::Delivered);
    assert_eq!(life.delivery.first_attempt_at, Some(START));
    assert!(life.delivery.ended_at.is_some());
}

pub(super) async fn a_lease_is_exclusive_and_fences(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let ttl = Duration::from_secs(30);
    let first = store.lease_sink(SINK, "one", ttl, false).await.unwrap().unwrap();
    assert_eq!(store.lease_sink(SINK, "two", ttl, false).await.unwrap(), None);
    assert_eq!(
        store.lease_sink(SINK, "one", ttl, false).await.unwrap(),
        Some(first.clone()),
        "renewed"
    );
    let taken = take(&store, &first, 1).await;
    assert_eq!(store.lanes().await.unwrap()[0].owner.as_deref(), Some("one"));
    // A lease of no length is over at once.
    store.lease_sink(SINK, "one", Duration::ZERO, false).await.unwrap().unwrap();
    let second = store.lease_sink(SINK, "two", ttl, false).await.unwrap().unwrap();
    assert!(second.generation > first.generation);
    let late =
        store.finish(&first, vec![attempted(taken[0].id, Next::Delivered)], LaneReport::default());
    assert!(matches!(late.await, Err(StoreError::LeaseLost)));
    let late = store.take_due(&first, 1, false, START).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    assert!(matches!(store.give_back(&first, &[]).await, Err(StoreError::LeaseLost)));
    let again = take(&store, &second, 1).await;
    assert_eq!(again[0].id, taken[0].id, "the new owner finds it pending");
}

pub(super) async fn a_fault_holds_the_lane_and_a_probe_releases_it(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "b", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 1).await;
    finish(&store, &lease, taken[0].id, Next::HoldLane("401".to_owned())).await;
    let lane = store.lanes().await.unwrap().remove(0);
    assert_eq!((lane.held_by, lane.held_reason.as_deref()), (Some(HeldBy::Fault), Some("401")));
    assert_eq!((lane.pending, lane.held), (0, 2));
    assert_eq!(state_of(&store, &taken[0]).await.0, DeliveryState::Held);
    commit_changes(&store, &[(2, "c", Problem)]).await;
    assert_eq!(store.delivery_ledger().await.unwrap().held, 3, "what is new is held too");
    assert!(take(&store, &lease, 10).await.is_empty());
    assert_eq!(store.next_due(SINK).await.unwrap(), None);

    store.ask_probe(SINK).await.unwrap();
    assert!(store.next_due(SINK).await.unwrap().is_some());
    let probe = take(&store, &lease, 10).await;
    assert_eq!(keys(&probe), ["a"], "one real delivery");
    assert!(take(&store, &lease, 10).await.is_empty(), "one probe for one asking");
    finish(&store, &lease, probe[0].id, Next::HoldLane("401 still".to_owned())).await;
    assert!(store.lanes().await.unwrap()[0].held_by.is_some());
    store.ask_probe(SINK).await.unwrap();
    let probe = take(&store, &lease, 10).await;
    finish(&store, &lease, probe[0].id, Next::Delivered).await;
    let lane = store.lanes().await.unwrap().remove(0);
    assert_eq!((lane.held_by, lane.pending, lane.held), (None, 2, 0));
    assert_eq!(keys(&take(&store, &lease, 10).await), ["b", "c"]);
}

pub(super) async fn a_hold_by_hand_stays(store: Arc<dyn Store>) {
    let nobody = store.hold_lane("nobody", &actor("anna")).await;
    assert!(matches!(nobody, Err(StoreError::NotFound(_))));
    store.declare_sinks(&[SINK.to_owned()]).await.unwrap();
    commit_changes(&store, &[(0, "a", Problem), (1, "b", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 1).await;
    let lane = store.hold_lane(SINK, &actor("anna")).await.unwrap();
    assert_eq!((lane.held_by, lane.held), (Some(HeldBy::Hand), 1));
    finish(&store, &lease, taken[0].id, Next::Delivered).await;
    store.ask_probe(SINK).await.unwrap();
    assert!(take(&store, &lease, 10).await.is_empty(), "no probe, no release by success");
    let lane = store.release_lane(SINK, &actor("anna")).await.unwrap();
    assert_eq!((lane.held_by, lane.pending), (None, 1));
    assert_eq!(take(&store, &lease, 10).await.len(), 1);
    let log = store.changes(10, None).await.unwrap().items;
    let said: Vec<_> = log.iter().map(|c| (c.action.as_str(), c.object_id.as_str())).collect();
    assert_eq!(said, [("release", SINK), ("hold", SINK)]);
}

pub(super) async fn waiting_repeats_coalesce_into_the_newest(store: Arc<dyn Store>) {
    let mut steps = vec![(0, "a", Problem)];
    steps.extend((1..5).map(|s| (s, "a", Problem)));
    steps.push((9, "a", Clear));
    commit_changes(&store, &steps).await;
    let lease = lease(&store).await;
    // The problem has been tried: it is no pair that never left.
    let opened = take(&store, &lease, 1).await;
    finish(&store, &lease, opened[0].id, Next::RetryAt(START)).await;
    let opened = coalesced(&store, &lease).await;
    assert_eq!(opened[0].notice.stands_for, 1);
    finish(&store, &lease, opened[0].id, Next::Delivered).await;
    let newest = coalesced(&store, &lease).await;
    assert_eq!((newest[0].notice.stands_for, newest[0].notice.alert.count), (4, 5));
    finish(&store, &lease, newest[0].id, Next::Delivered).await;
    let cleared = coalesced(&store, &lease).await;
    assert_eq!(cleared[0].notice.kind.name(), "cleared");
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.delivered, ledger.suppressed, ledger.leased), (2, 3, 1));
}

pub(super) async fn a_pair_that_never_left_is_suppressed(store: Arc<dyn Store>) {
    let steps = [(0, "a", Problem), (1, "a", Problem), (2, "a", Clear), (3, "a", Problem)];
    commit_changes(&store, &steps).await;
    let lease = lease(&store).await;
    let taken = coalesced(&store, &lease).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].notice.event.as_ref().unwrap()["message"], "a at 3");
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.suppressed, ledger.leased, ledger.created), (3, 1, 4));
}

pub(super) async fn a_dead_problem_releases_its_key(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Clear), (2, "a", Problem)]).await;
    let lease = lease(&store).await;
    let opened = take(&store, &lease, 10).await;
    finish(&store, &lease, opened[0].id, Next::Dead(DeadReason::Refused)).await;
    assert_eq!(
        state_of(&store, &opened[0]).await,
        (DeliveryState::Dead, Some("refused".to_owned()))
    );
    let later = take(&store, &lease, 10).await;
    assert_eq!(later[0].notice.event.as_ref().unwrap()["message"], "a at 2");
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.dead, ledger.suppressed, ledger.leased), (1, 1, 1));
}

pub(super) async fn replays_are_refused_when_overtaken(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Problem), (2, "b", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 10).await;
    for delivery in &taken {
        finish(&store, &lease, delivery.id, Next::Dead(DeadReason::Expired)).await;
    }
    let newer = take(&store, &lease, 10).await;
    let one = ReplayFilter { id: Some(taken[0].id), ..ReplayFilter::default() };
    let refused = store.replay(one.clone(), false, &actor("anna"), START).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "a newer one is on its way");
    finish(&store, &lease, newer[0].id, Next::Delivered).await;
    let refused = store.replay(one.clone(), false, &actor("anna"), START).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "a newer one was delivered");
    let all = ReplayFilter { reason: Some("expired".to_owned()), ..ReplayFilter::default() };
    let done = store.replay(all, false, &actor("anna"), START).await.unwrap();
    assert_eq!((done.replayed, done.passed_over), (1, 1));
    let done = store.replay(one, true, &actor("anna"), START).await.unwrap();
    assert_eq!(done.replayed, 1, "forced");
    let again = take(&store, &lease, 10).await;
    assert_eq!(again.iter().map(|d| d.id).collect::<Vec<_>>(), [taken[0].id, taken[1].id]);
    assert_eq!(store.delivery_ledger().await.unwrap().dead, 0);
    let nobody = ReplayFilter { id: Some(fresh_id(START)), ..ReplayFilter::default() };
    let missing = store.replay(nobody, false, &actor("anna"), START).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
    let alive = ReplayFilter { id: Some(newer[0].id), ..ReplayFilter::default() };
    let delivered = store.replay(alive, true, &actor("anna"), START).await;
    assert!(matches!(delivered, Err(StoreError::Conflict(_))), "only the dead are replayed");
}

pub(super) async fn what_was_given_back_comes_again_untried(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 1).await;
    store.give_back(&lease, &[taken[0].id]).await.unwrap();
    let again = take(&store, &lease, 1).await;
    assert_eq!((again[0].id, again[0].attempts), (taken[0].id, 0));
}
