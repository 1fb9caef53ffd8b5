//! The contract of commits: once, fenced, whole.

use std::sync::Arc;

use mutt_model::alert::{AlertState, Repeat, Transition};
use mutt_model::delivery::NoticeKind;
use mutt_model::event::DedupKey;
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_model::{Batch, Severity};
use mutt_store::queue::QueueStats;
use mutt_store::store::{AlertQuery, DeliveryQuery, EventQuery, JudgedBatch, Store, StoreError};

use super::support::*;

pub(super) async fn a_commit_writes_everything_once(store: Arc<dyn Store>) {
    let problem = event(0, "R1", "link down");
    let events = [
        (problem.clone(), alerting(&problem, "link/r1", Problem)),
        (event(1, "r2", "odd"), unhandled("odd")),
    ];
    let work = work(vec![batch(&events)]);
    let done = store.commit(work.clone()).await.unwrap();
    assert_eq!((done.audited, done.handled, done.skipped_batches), (2, 1, 0));
    assert_eq!(done.deliveries.get(SINK), Some(&1));
    assert!(matches!(done.transitions[..], [(_, Transition::Opened)]));
    let again = store.commit(work.clone()).await.unwrap();
    assert_eq!((again.audited, again.skipped_batches), (0, 1), "skipped whole by its receipt");
    assert_eq!(again.duplicates, 0, "it was given out before");
    // A second entry of the queue with the same batch: never given out, and known all the same.
    let mut second = work;
    second.batches[0].first = true;
    let done = store.commit(second).await.unwrap();
    assert_eq!((done.audited, done.skipped_batches, done.duplicates), (0, 1, 2));

    let page = store.events(&EventQuery::default(), 10, None).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let first = store.event(problem.id).await.unwrap().unwrap();
    assert_eq!(first.event, problem, "the event comes back as it was");
    assert_eq!(first.judgement.rule_id, Some(7));
    let alerts = store.alerts(&AlertQuery::default(), 10, None).await.unwrap().items;
    assert_eq!((alerts.len(), alerts[0].count), (1, 1));
    assert_eq!(first.judgement.alert_id, Some(alerts[0].id));
    let deliveries = store.deliveries(&DeliveryQuery::default(), 10, None).await.unwrap().items;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].notice.event.as_ref().unwrap()["message"], "link down");

    let queue = QueueStats { appended_events: 4, acknowledged_events: 4, ..Default::default() };
    let ledger = store.ledger(&queue).await.unwrap();
    let events = ledger.events;
    assert_eq!((events.audited, events.duplicates, events.unaccounted), (2, 2, 0));
    assert_eq!((ledger.deliveries.created, ledger.deliveries.pending), (1, 1));
    let rates = store.rates(at(-60)).await.unwrap();
    let sums =
        rates.iter().fold((0, 0, 0), |s, r| (s.0 + r.audited, s.1 + r.handled, s.2 + r.deliveries));
    assert_eq!(sums, (2, 1, 1));
}

pub(super) async fn an_overtaken_owner_writes_nothing(store: Arc<dyn Store>) {
    let one = |generation| {
        let mut work = work(vec![batch(&[(event(0, "r1", "x"), unhandled("x"))])]);
        work.generation = generation;
        work
    };
    store.commit(one(5)).await.unwrap();
    assert!(matches!(store.commit(one(4)).await, Err(StoreError::LeaseLost)));
    store.commit(one(5)).await.unwrap();
    store.commit(one(6)).await.unwrap();
    let mut other_shard = one(1);
    other_shard.shard = 1;
    store.commit(other_shard).await.unwrap();
    let page = store.events(&EventQuery::default(), 10, None).await.unwrap();
    assert_eq!(page.items.len(), 4, "the overtaken commit left nothing");
}

pub(super) async fn repeats_by_key_are_dropped_and_counted(store: Arc<dyn Store>) {
    let keyed = |seconds| {
        let mut event = event(seconds, "r1", "x");
        event.dedup = Some(DedupKey { digest: [3; 16], keep_until: at(seconds + 60) });
        (event, unhandled("x"))
    };
    let done = store.commit(work(vec![batch(&[keyed(0), keyed(1)])])).await.unwrap();
    assert_eq!((done.audited, done.duplicates), (1, 1), "within one transaction");
    let done = store.commit(work(vec![batch(&[keyed(59)])])).await.unwrap();
    assert_eq!((done.audited, done.duplicates), (0, 1), "in a later one");
    let done = store.commit(work(vec![batch(&[keyed(61)])])).await.unwrap();
    assert_eq!((done.audited, done.duplicates), (1, 0), "the window has passed");
    let queue = QueueStats { appended_events: 4, ..QueueStats::default() };
    let ledger = store.ledger(&queue).await.unwrap();
    assert_eq!((ledger.events.duplicates, ledger.events.unaccounted), (2, 0));
}

pub(super) async fn an_alert_lives_through_a_batch(store: Arc<dyn Store>) {
    let steps =
        [(0, "k", Problem), (1, "k", Problem), (2, "k", Clear), (3, "k", Clear), (4, "k", Problem)];
    let done = commit_changes(&store, &steps).await;
    assert_eq!(done.deliveries.get(SINK), Some(&4), "the second clear found nothing");
    let kinds: Vec<_> = store
        .deliveries(&DeliveryQuery::default(), 10, None)
        .await
        .unwrap()
        .items
        .iter()
        .rev()
        .map(|d| d.notice.kind)
        .collect();
    use NoticeKind::{Cleared, Opened, Repeated};
    assert_eq!(kinds, [Opened, Repeated, Cleared, Opened]);
    let alerts = store.alerts(&AlertQuery::default(), 10, None).await.unwrap().items;
    let states: Vec<_> = alerts.iter().map(|a| (a.state, a.count)).collect();
    assert_eq!(states, [(AlertState::Open, 1), (AlertState::Cleared, 2)], "opened anew");

    let mut worse = event(5, "r1", "worse");
    worse.severity = Some(Severity::CRITICAL);
    let verdict = alerting(&worse, "k", Problem);
    let done = store.commit(work(vec![batch(&[(worse, verdict)])])).await.unwrap();
    assert!(matches!(done.transitions[..], [(_, Transition::SeverityChanged { .. })]));
    let (alert, timeline) = store.alert(alerts[0].id).await.unwrap().unwrap();
    assert_eq!(alert.severity, Severity::CRITICAL);
    let said: Vec<_> = timeline.iter().map(|e| (e.what.as_str(), e.who.as_str())).collect();
    assert_eq!(said, [("opened", "rule 7"), ("severity_changed", "rule 7")]);
    let query = EventQuery { alert: Some(alerts[0].id), ..EventQuery::default() };
    assert_eq!(store.events(&query, 10, None).await.unwrap().items.len(), 2);
}

pub(super) async fn unhandled_shapes_raise_one_meta_alert_for_each_window(store: Arc<dyn Store>) {
    let times = |seconds: &[i64], host: &str| -> Vec<_> {
        seconds.iter().map(|s| (event(*s, host, "odd 1"), unhandled("odd <n>"))).collect()
    };
    let mut raised = Vec::new();
    for seconds in [&[0, 1][..], &[2], &[3, 4, 5], &[3_600], &[3_601, 3_602, 3_603]] {
        let work = work(vec![batch(&times(seconds, "R1"))]);
        raised.push(store.commit(work).await.unwrap().meta_alerts);
    }
    assert_eq!(raised, [0, 1, 0, 0, 1]);
    let done = store.commit(work(vec![batch(&times(&[6, 7], "r2"))])).await.unwrap();
    assert_eq!(done.meta_alerts, 0, "another host counts for itself");
    let alerts = store.alerts(&AlertQuery::default(), 10, None).await.unwrap().items;
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!((alert.problem.as_str(), alert.count, alert.rule_id), ("unhandled", 2, None));
    assert!(alert.key.starts_with("unhandled/r1/"), "{}", alert.key);
    assert_eq!(alert.message, "3 events on R1 within 1h match no rule: odd <n>");
}

pub(super) async fn an_event_that_stands_already_is_a_duplicate(store: Arc<dyn Store>) {
    let first = (event(0, "r1", "x"), unhandled("x"));
    let key_event = event(1, "r1", "y");
    let keyed = alerting(&key_event, "k", Problem);
    store.commit(work(vec![batch(std::slice::from_ref(&first))])).await.unwrap();
    // The same event in another batch: the primary key is the second line behind the receipt.
    let done = store.commit(work(vec![batch(&[first, (key_event, keyed)])])).await.unwrap();
    assert_eq!((done.audited, done.duplicates, done.unstorable), (1, 1, 0));
    assert_eq!(done.deliveries.get(SINK), Some(&1), "its neighbour is whole");
}

pub(super) async fn damaged_events_are_counted_lost(store: Arc<dyn Store>) {
    let whole =
        batch(&[(event(0, "r1", "a"), unhandled("a")), (event(1, "r1", "b"), unhandled("b"))]);
    let mut bytes = whole.batch.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 0xff;
    let verdicts = vec![whole.verdicts[0].clone(), None];
    let damaged =
        JudgedBatch { batch: Arc::new(Batch::open(bytes).unwrap()), verdicts, first: false };
    let done = store.commit(work(vec![damaged])).await.unwrap();
    assert_eq!((done.audited, done.lost), (1, 1));
    let queue = QueueStats { appended_events: 2, ..QueueStats::default() };
    let ledger = store.ledger(&queue).await.unwrap();
    assert_eq!((ledger.events.lost, ledger.events.unaccounted), (1, 0));
}

pub(super) async fn mutts_own_alerts_pass_by_one_sink(store: Arc<dyn Store>) {
    let mut policy = policy();
    policy.sinks.push(route("other", Repeat::Every));
    let change = alerting(&event(0, "mutt", "lane held"), "mutt/lane", Problem).change.unwrap();
    let done = store.raise(change, Arc::new(policy), Some(SINK), START).await.unwrap();
    assert_eq!(done.deliveries.keys().collect::<Vec<_>>(), ["other"]);
    assert_eq!(done.transitions.len(), 1);
}
