//! The contract of the registry of sources.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::source::quiet::{Mark, QuietPolicy};
use mutt_model::source::{Gaps, SourceDelta, SourceKey, Told, UsmState};
use mutt_store::store::{SourceAct, SourceQuery, SourceState, Store, StoreError};

use super::support::*;

const DAY: u64 = 86_400;

/// A source that spoke each minute for two days until `last` seconds after the start.
fn delta(host: &str, peer: &str, last: i64) -> SourceDelta {
    let last = at(last);
    let mut gaps = Gaps::default();
    gaps.count_many(Duration::from_secs(60), 2_880);
    SourceDelta {
        key: SourceKey::new(host, peer),
        listener: "syslog-udp".to_owned(),
        format: "rfc3164".to_owned(),
        first: last.minus(Duration::from_secs(2 * DAY)),
        last,
        events: 2_880,
        bytes: 100,
        gaps,
        ..SourceDelta::default()
    }
}

async fn report(store: &Arc<dyn Store>, deltas: &[SourceDelta]) {
    store.report_sources("here", deltas.to_vec()).await.unwrap();
}

async fn hosts(store: &Arc<dyn Store>, query: SourceQuery) -> Vec<String> {
    let page = store.sources(&query, 100, None).await.unwrap();
    page.items.into_iter().map(|source| source.key.host).collect()
}

pub(super) async fn reports_of_several_ingestors_are_added_up(store: Arc<dyn Store>) {
    let first = delta("r1", "192.0.2.1", 0);
    report(&store, &[first.clone(), delta("r2", "192.0.2.9", 0)]).await;
    let mut later = delta("r1", "192.0.2.1", 100);
    later.first = at(50);
    later.partial = 3;
    later.reasons.insert("no priority".to_owned(), 3);
    later.dropped.insert("source_limit".to_owned(), 7);
    store.report_sources("there", vec![later]).await.unwrap();
    let key = SourceKey::new("r1", "192.0.2.1");
    let seen = store.source(&key).await.unwrap().unwrap();
    assert_eq!((seen.facts.events, seen.facts.bytes, seen.facts.partial), (5_760, 200, 3));
    assert_eq!((seen.first_seen, seen.last_seen), (first.first, at(100)));
    assert_eq!((seen.heard_by.as_str(), seen.facts.format.as_str()), ("there", "rfc3164"));
    assert_eq!((seen.facts.reasons["no priority"], seen.facts.dropped["source_limit"]), (3, 7));
    assert!(seen.usual_gap() >= Duration::from_secs(60));
    assert_eq!(store.source(&SourceKey::new("r1", "192.0.2.9")).await.unwrap(), None);
}

pub(super) async fn reports_at_one_time_lose_nothing(store: Arc<dyn Store>) {
    let one = async |name: &str| {
        for _ in 0..5 {
            let deltas = (0..20).map(|n| delta(&format!("h{n}"), "192.0.2.1", n)).collect();
            store.report_sources(name, deltas).await.unwrap();
        }
    };
    tokio::join!(one("a"), one("b"), one("c"));
    let page = store.sources(&SourceQuery::default(), 100, None).await.unwrap();
    assert_eq!(page.items.len(), 20);
    assert!(page.items.iter().all(|source| source.facts.events == 15 * 2_880));
}

pub(super) async fn sources_are_found_and_paged(store: Arc<dyn Store>) {
    let mut odd = delta("edge_r3", "192.0.2.9", 0);
    odd.failed = 1;
    let mut strange = SourceDelta { key: SourceKey::new("192.0.2.7", "192.0.2.7"), ..odd.clone() };
    (strange.events, strange.failed) = (0, 0);
    strange.usm = vec![UsmState {
        user: "ops".to_owned(),
        error: Some("unknown user".to_owned()),
        at: at(1),
        refused: 1,
        ..UsmState::default()
    }];
    let plain = [delta("edge-r1", "192.0.2.9", 0), delta("edge-r2", "192.0.2.8", 0)];
    report(&store, &[plain[0].clone(), plain[1].clone(), odd, strange]).await;
    let all = ["192.0.2.7", "edge-r1", "edge-r2", "edge_r3"];
    assert_eq!(hosts(&store, SourceQuery::default()).await, all);
    let check =
        async |q: Option<&str>, state: Option<SourceState>, relay: Option<&str>, found: &[&str]| {
            let query =
                SourceQuery { q: q.map(str::to_owned), state, relay: relay.map(str::to_owned) };
            assert_eq!(hosts(&store, query.clone()).await, found, "{query:?}");
        };
    check(Some("EDGE-R"), None, None, &all[1..3]).await;
    check(Some("_"), None, None, &all[3..]).await;
    check(Some("2.8"), None, None, &all[2..3]).await;
    check(None, None, Some("192.0.2.9"), &["edge-r1", "edge_r3"]).await;
    check(None, Some(SourceState::Unparsed), None, &all[3..]).await;
    check(None, Some(SourceState::Pending), None, &all[..1]).await;
    check(None, Some(SourceState::Active), None, &all[1..]).await;
    check(None, Some(SourceState::Quiet), None, &[]).await;
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let query = SourceQuery::default();
        let page = store.sources(&query, 3, cursor.as_deref()).await.unwrap();
        seen.extend(page.items.into_iter().map(|source| source.key.host));
        let Some(next) = page.next_cursor else { break };
        cursor = Some(next);
    }
    assert_eq!(seen, all);
    let wrong = store.sources(&SourceQuery::default(), 3, Some("x")).await;
    assert!(matches!(wrong, Err(StoreError::Data(_))));
    let counts = store.source_counts().await.unwrap();
    assert_eq!((counts.all, counts.quiet, counts.pending, counts.unparsed), (4, 0, 1, 1));
}

pub(super) async fn people_mute_and_forget_sources(store: Arc<dyn Store>) {
    report(&store, &[delta("r1", "192.0.2.1", 0)]).await;
    let key = SourceKey::new("r1", "192.0.2.1");
    let act = async |what| store.act_on_source(&key, what, &actor("anna"), at(5)).await;
    act(SourceAct::Mute).await.unwrap();
    act(SourceAct::Mute).await.unwrap();
    assert!(store.source(&key).await.unwrap().unwrap().muted);
    report(&store, &[delta("r1", "192.0.2.1", 10)]).await;
    assert!(store.source(&key).await.unwrap().unwrap().muted, "a report leaves it muted");
    act(SourceAct::Unmute).await.unwrap();
    act(SourceAct::Forget).await.unwrap();
    assert_eq!(store.source(&key).await.unwrap(), None);
    assert!(matches!(act(SourceAct::Mute).await, Err(StoreError::NotFound(_))));
    let log = store.changes(9, None).await.unwrap().items;
    let told: Vec<_> = log.iter().map(|c| (c.object.as_str(), c.action.as_str())).collect();
    assert_eq!(told, [("source", "forget"), ("source", "unmute"), ("source", "mute")]);
    assert_eq!((log[0].object_id.as_str(), log[0].who.as_str()), ("r1@192.0.2.1", "anna"));
}

pub(super) async fn the_watch_sees_the_silent_ones_and_their_neighbours(store: Arc<dyn Store>) {
    let policy = QuietPolicy::default();
    let watch = async |owner: &str| {
        store.watch_sources(owner, Duration::from_secs(60), &policy).await.unwrap()
    };
    let now = watch("a").await.unwrap().now;
    let ago = |seconds: i64| (now.0 - START.0) / 1_000_000 - seconds;
    let mut young = delta("young", "192.0.2.3", ago(900));
    young.first = young.last;
    report(
        &store,
        &[
            delta("silent", "192.0.2.1", ago(900)),
            delta("beside", "192.0.2.1", ago(10)),
            delta("other", "192.0.2.2", ago(10)),
            young,
        ],
    )
    .await;
    let seen = watch("a").await.unwrap();
    let mut names: Vec<_> = seen.sources.iter().map(|s| s.key.host.as_str()).collect();
    names.sort_unstable();
    assert_eq!((names, seen.newest), (vec!["beside", "silent"], at(ago(10))));
    let silent = SourceKey::new("silent", "192.0.2.1");
    let mark = |told, remove| Mark {
        key: silent.clone(),
        told,
        told_last: at(ago(900)),
        excused: Some(at(ago(5))),
        remove,
    };
    store.mark_sources(vec![mark(Told::Alone, false)]).await.unwrap();
    let quiet = SourceQuery { state: Some(SourceState::Quiet), ..SourceQuery::default() };
    assert_eq!(hosts(&store, quiet).await, ["silent"]);
    let seen = watch("a").await.unwrap();
    let told = seen.sources.iter().find(|s| s.key == silent).unwrap();
    assert_eq!((told.told, told.told_last), (Told::Alone, at(ago(900))));
    assert_eq!((told.excused, told.usual_gap >= Duration::from_secs(60)), (at(ago(5)), true));
    // One that was told of goes when that was taken back.
    store.act_on_source(&silent, SourceAct::Forget, &actor("anna"), now).await.unwrap();
    assert_eq!(store.source(&silent).await.unwrap(), None);
    let seen = watch("a").await.unwrap();
    assert!(seen.sources.iter().any(|s| s.key == silent && s.forgotten));
    store.mark_sources(vec![mark(Told::No, true)]).await.unwrap();
    let seen = watch("a").await.unwrap();
    assert!(seen.sources.iter().all(|s| s.key != silent));
}

pub(super) async fn old_sources_go_and_the_oldest_beyond_the_cap(store: Arc<dyn Store>) {
    let policy = QuietPolicy::default();
    let now =
        store.watch_sources("a", Duration::from_secs(60), &policy).await.unwrap().unwrap().now;
    let ago = |seconds: i64| (now.0 - START.0) / 1_000_000 - seconds;
    let deltas: Vec<_> = (0..10).map(|n| delta(&format!("h{n}"), "192.0.2.1", ago(n))).collect();
    report(&store, &deltas).await;
    let keep = Duration::from_secs(DAY);
    assert_eq!(store.tidy_sources(keep, 10).await.unwrap(), 0);
    assert_eq!(store.tidy_sources(keep, 7).await.unwrap(), 3);
    assert_eq!(hosts(&store, SourceQuery::default()).await.len(), 7);
    let seen = store.source_counts().await.unwrap();
    assert_eq!(seen.all, 7);
    assert_eq!(Timestamp(0), Timestamp::default());
}
