//! The contract of a Forwarder's turn: what ended is recorded and what may go is leased, in one.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::delivery::{Delivery, DeliveryState, Finished, HeldBy, Next};
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_store::store::{LaneReport, SinkLease, Store, StoreError, Take};

use super::support::*;

async fn try_turn(
    store: &Arc<dyn Store>,
    lease: &SinkLease,
    finished: Vec<Finished>,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let report = LaneReport { breaker: "half_open".to_owned() };
    store.turn(lease, finished, report, Take { limit, coalesce: false }, START).await
}

async fn turn(
    store: &Arc<dyn Store>,
    lease: &SinkLease,
    finished: Vec<Finished>,
    limit: usize,
) -> Vec<Delivery> {
    try_turn(store, lease, finished, limit).await.unwrap()
}

/// What the event said that made each.
fn said(deliveries: &[Delivery]) -> Vec<&str> {
    let events = deliveries.iter().map(|delivery| delivery.notice.event.as_ref().unwrap());
    events.map(|event| event["message"].as_str().unwrap()).collect()
}

async fn of(store: &Arc<dyn Store>, delivery: &Delivery) -> Delivery {
    store.delivery(delivery.id).await.unwrap().unwrap().delivery
}

pub(super) async fn a_turn_that_ends_the_head_of_a_key_takes_the_next_of_it(store: Arc<dyn Store>) {
    let steps = [0, 1, 2].map(|second| (second, "a", Problem));
    commit_changes(&store, &steps).await;
    commit_changes(&store, &[(3, "b", Problem), (4, "c", Problem)]).await;
    let lease = lease(&store).await;
    let first = turn(&store, &lease, vec![], 1).await;
    assert_eq!(said(&first), ["a at 0"]);
    let next = turn(&store, &lease, vec![attempted(first[0].id, Next::Delivered)], 2).await;
    assert_eq!(said(&next), ["a at 1", "b at 3"], "by seq, at most so many");
    assert!(next.iter().all(|delivery| delivery.state == DeliveryState::Leased));
    assert_eq!(of(&store, &first[0]).await.state, DeliveryState::Delivered);
    // One that is tried again keeps what is behind it in its key waiting.
    let again = attempted(next[0].id, Next::RetryAt(at(60)));
    let rest = turn(&store, &lease, vec![again], 10).await;
    assert_eq!(said(&rest), ["c at 4"]);
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.delivered, ledger.leased, ledger.pending), (1, 2, 2));
    assert_eq!(store.lanes().await.unwrap()[0].breaker, "half_open", "the report is kept");
}

pub(super) async fn an_attempt_that_holds_the_lane_lets_its_turn_take_nothing(
    store: Arc<dyn Store>,
) {
    commit_changes(&store, &[(0, "a", Problem), (1, "b", Problem), (2, "c", Problem)]).await;
    let lease = lease(&store).await;
    let taken = turn(&store, &lease, vec![], 2).await;
    let ended = vec![
        attempted(taken[1].id, Next::Delivered),
        attempted(taken[0].id, Next::HoldLane("401".to_owned())),
    ];
    assert!(turn(&store, &lease, ended, 10).await.is_empty(), "not what it held, not what waited");
    let lane = store.lanes().await.unwrap().remove(0);
    assert_eq!((lane.held_by, lane.held, lane.pending), (Some(HeldBy::Fault), 2, 0));
    assert_eq!(store.delivery_ledger().await.unwrap().leased, 0);
    assert_eq!(of(&store, &taken[0]).await.attempts, 1);
    // What stays on its way when the lane is held releases it by its success.
    store.ask_probe(SINK).await.unwrap();
    assert_eq!(said(&turn(&store, &lease, vec![], 10).await), ["a at 0"], "one probe");
}

pub(super) async fn an_attempt_that_releases_the_lane_lets_its_turn_go_on(store: Arc<dyn Store>) {
    let steps = [(0, "a", Problem), (1, "a", Problem), (2, "b", Problem)];
    commit_changes(&store, &steps).await;
    let lease = lease(&store).await;
    let taken = turn(&store, &lease, vec![], 1).await;
    let held = attempted(taken[0].id, Next::HoldLane("401".to_owned()));
    assert!(turn(&store, &lease, vec![held], 10).await.is_empty());
    store.ask_probe(SINK).await.unwrap();
    let probe = turn(&store, &lease, vec![], 10).await;
    assert_eq!(said(&probe), ["a at 0"]);
    let ended = vec![attempted(probe[0].id, Next::Delivered)];
    let rest = turn(&store, &lease, ended, 10).await;
    assert_eq!(said(&rest), ["a at 1", "b at 2"]);
    let lane = store.lanes().await.unwrap().remove(0);
    assert_eq!((lane.held_by, lane.held, lane.pending), (None, 0, 0));
}

pub(super) async fn a_turn_under_a_lost_lease_changes_nothing(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "a", Problem), (2, "b", Problem)]).await;
    let lost = lease(&store).await;
    let taken = turn(&store, &lost, vec![], 1).await;
    let ttl = Duration::from_secs(30);
    let lease = store.lease_sink(SINK, "forwarder-1", ttl, true).await.unwrap().unwrap();
    let before = (store.lanes().await.unwrap(), store.delivery_ledger().await.unwrap());
    let ended = vec![attempted(taken[0].id, Next::Delivered)];
    let late = store.turn(
        &lost,
        ended,
        LaneReport { breaker: "open".to_owned() },
        Take { limit: 10, coalesce: true },
        START,
    );
    assert!(matches!(late.await, Err(StoreError::LeaseLost)));
    assert_eq!((store.lanes().await.unwrap(), store.delivery_ledger().await.unwrap()), before);
    let life = store.delivery(taken[0].id).await.unwrap().unwrap();
    assert_eq!((life.delivery.state, life.attempts.len()), (DeliveryState::Pending, 0));
    assert_eq!(said(&turn(&store, &lease, vec![], 10).await), ["a at 0", "b at 2"]);
}

pub(super) async fn what_the_lease_does_not_have_is_passed_over(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "b", Problem), (2, "c", Problem)]).await;
    let lease = lease(&store).await;
    let taken = turn(&store, &lease, vec![], 1).await;
    let waiting = store.deliveries(&Default::default(), 10, None).await.unwrap().items;
    let waiting = waiting.iter().find(|delivery| delivery.key == "b").unwrap();
    let ended = vec![
        attempted(waiting.id, Next::Delivered),
        attempted(fresh_id(START), Next::HoldLane("unknown".to_owned())),
        attempted(taken[0].id, Next::Delivered),
        attempted(taken[0].id, Next::HoldLane("a second time".to_owned())),
    ];
    let next = turn(&store, &lease, ended.clone(), 1).await;
    assert_eq!((said(&next), next[0].attempts), (vec!["b at 1"], 0), "it was not tried");
    // Said again, as after an answer that was lost: what was delivered stays so.
    let ended = vec![ended[2].clone(), ended[1].clone()];
    assert_eq!(said(&turn(&store, &lease, ended, 10).await), ["c at 2"]);
    let life = store.delivery(taken[0].id).await.unwrap().unwrap();
    assert_eq!((life.delivery.state, life.attempts.len()), (DeliveryState::Delivered, 1));
    assert_eq!(store.lanes().await.unwrap()[0].held_by, None);
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.delivered, ledger.leased), (1, 2));
}

pub(super) async fn however_many_pairs_never_left_none_of_them_goes(store: Arc<dyn Store>) {
    let pairs = (0..20).flat_map(|n| [(2 * n, "a", Problem), (2 * n + 1, "a", Clear)]);
    let steps: Vec<_> = pairs.chain([(40, "a", Problem)]).collect();
    commit_changes(&store, &steps).await;
    let lease = lease(&store).await;
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken = store.take_due(&lease, 10, true, START).await.unwrap();
        if !taken.is_empty() {
            break;
        }
    }
    assert_eq!(said(&taken), ["a at 40"]);
    let ledger = store.delivery_ledger().await.unwrap();
    assert_eq!((ledger.suppressed, ledger.leased, ledger.created), (40, 1, 41));
}
