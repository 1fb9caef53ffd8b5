//! The contract of rules, searches, the tail and what people do to alerts.

use std::sync::Arc;

use mutt_model::alert::{AlertState, ClearedBy, Repeat};
use mutt_model::rule::RuleAction::Problem;
use mutt_model::rule::{Handling, Rule};
use mutt_store::store::{
    AlertAct, AlertQuery, DeliveryQuery, EventQuery, Expected, RuleChange, SCAN_BUDGET_ROWS, Store,
    StoreError, tag,
};

use super::support::*;

pub(super) async fn every_change_makes_a_version(store: Arc<dyn Store>) {
    let change = async |change| store.change_rules(change, None, &actor("anna"), START).await;
    assert_eq!(store.rule_set_version().await.unwrap(), 0);
    assert!(store.rule_set(None).await.unwrap().rules.is_empty());
    let rule = Rule::contains("down", Handling::PageOnly);
    let (set, _) = change(RuleChange::First(vec![rule.clone()])).await.unwrap();
    assert_eq!((set.version, set.rules[0].id), (1, 1));
    let (set, _) = change(RuleChange::First(vec![])).await.unwrap();
    assert_eq!((set.version, set.rules.len()), (1, 1), "the first set is written once");
    let (_, id) = change(RuleChange::CreateRule(Box::new(rule.clone()))).await.unwrap();
    let mut changed = Rule::contains("up", Handling::Ignore);
    changed.id = id.unwrap();
    change(RuleChange::UpdateRule(Box::new(changed.clone()))).await.unwrap();
    change(RuleChange::DeleteRule(changed.id)).await.unwrap();
    let gone = change(RuleChange::UpdateRule(Box::new(changed.clone()))).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
    let (_, next) = change(RuleChange::CreateRule(Box::new(rule))).await.unwrap();
    assert_eq!(next, Some(3), "an id is never given twice");
    change(RuleChange::AddDevHost("Lab-1".to_owned())).await.unwrap();
    let twice = change(RuleChange::AddDevHost("LAB-1".to_owned())).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    let team = |create| RuleChange::SetTeam { host: "R1".into(), team: "Core".into(), create };
    change(team(true)).await.unwrap();
    assert!(matches!(change(team(true)).await, Err(StoreError::Conflict(_))));
    change(team(false)).await.unwrap();
    let set = store.rule_set(None).await.unwrap();
    assert_eq!(set.version, store.rule_set_version().await.unwrap());
    assert!(set.dev_hosts.contains("lab-1"));
    assert_eq!(set.teams.get("r1").map(String::as_str), Some("Core"));
    change(RuleChange::RemoveDevHost("lab-1".to_owned())).await.unwrap();
    change(RuleChange::RemoveTeam("r1".to_owned())).await.unwrap();
    assert_eq!(store.rule_set(Some(3)).await.unwrap().rules[1], changed, "earlier sets are kept");
    let unknown = store.rule_set(Some(99)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
    let log = store.changes(2, None).await.unwrap();
    assert_eq!(log.items[0].object, "team");
    assert_eq!(log.items[0].who, "anna");
    let next = store.changes(2, log.next_cursor.as_deref()).await.unwrap();
    assert_eq!(next.items[0].id, log.items[1].id - 1);
}

pub(super) async fn of_two_who_change_the_same_the_second_is_told(store: Arc<dyn Store>) {
    let who = actor("anna");
    let change = async |change, expected| store.change_rules(change, expected, &who, START).await;
    let stale = |done: Result<_, StoreError>, words: &str| {
        let Err(StoreError::Stale(why)) = done else { panic!("{words}: {done:?}") };
        assert!(why.contains(words), "{why}");
    };
    let down = Rule::contains("down", Handling::PageOnly);
    let (set, _) = change(RuleChange::First(vec![down.clone(), down]), None).await.unwrap();
    let seen = Some(Expected::Object(tag(&set.rules[0])));
    let mut mine = set.rules[0].clone();
    mine.priority = 5;
    let update = |rule: &Rule| RuleChange::UpdateRule(Box::new(rule.clone()));
    // What happens to another rule is nobody's business here.
    change(RuleChange::DeleteRule(2), Some(Expected::Version(1))).await.unwrap();
    change(update(&mine), seen.clone()).await.unwrap();
    stale(change(update(&set.rules[0]), seen.clone()).await, &tag(&mine));
    stale(change(RuleChange::DeleteRule(1), seen.clone()).await, "rule 1 is");
    stale(change(RuleChange::DeleteRule(1), Some(Expected::Version(1))).await, "version 3, not 1");
    assert_eq!(store.rule_set(None).await.unwrap().rules, [mine.clone()], "nothing was changed");
    let gone = change(RuleChange::DeleteRule(2), seen).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");

    let team = |team: &str| RuleChange::SetTeam {
        host: "R1".to_owned(),
        team: team.to_owned(),
        create: false,
    };
    let core = Some(Expected::Object(tag(&("r1", "Core"))));
    change(team("Core"), None).await.unwrap();
    change(team("Edge"), core.clone()).await.unwrap();
    stale(change(team("Lab"), core.clone()).await, "the team of r1");
    stale(change(RuleChange::RemoveTeam("r1".to_owned()), core).await, "the team of r1");
    let edge = Some(Expected::Object(tag(&("r1", "Edge"))));
    change(RuleChange::RemoveTeam("r1".to_owned()), edge.clone()).await.unwrap();
    let gone = change(team("Lab"), edge).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
}

pub(super) async fn a_development_host_gets_another_name_in_one_version(store: Arc<dyn Store>) {
    let change = async |change| store.change_rules(change, None, &actor("anna"), START).await;
    let rename = |from: &str, to: &str| RuleChange::RenameDevHost {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    for host in ["lab-1", "lab-2"] {
        change(RuleChange::AddDevHost(host.to_owned())).await.unwrap();
    }
    let taken = change(rename("lab-1", "LAB-2")).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    let (set, _) = change(rename("LAB-1", "Lab-3")).await.unwrap();
    assert_eq!(set.version, 3, "what was refused made no version");
    assert_eq!(set.dev_hosts.iter().collect::<Vec<_>>(), ["lab-2", "lab-3"]);
    assert_eq!(change(rename("lab-3", "LAB-3")).await.unwrap().0.version, 3, "the same name");
    let gone = change(rename("lab-1", "lab-4")).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    let log = store.changes(1, None).await.unwrap();
    let entry = &log.items[0];
    assert_eq!((entry.action.as_str(), entry.object_id.as_str()), ("update", "lab-1"));
    assert_eq!(entry.new, Some("lab-3".into()));
}

pub(super) async fn searches_find_and_page(store: Arc<dyn Store>) {
    let mut events = Vec::new();
    for n in 0..20i64 {
        let event = event(n, if n % 2 == 0 { "Even" } else { "odd" }, &format!("Number {n}"));
        let verdict = if n % 4 == 0 { alerting(&event, "k", Problem) } else { unhandled("n") };
        events.push((event, verdict));
    }
    store.commit(work(vec![batch(&events[..9]), batch(&events[9..])])).await.unwrap();
    let check = async |query: EventQuery, expected: &[i64]| {
        for limit in [1usize, 3, 100] {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page = store.events(&query, limit, cursor.as_deref()).await.unwrap();
                assert!(page.items.len() <= limit && page.complete);
                found.extend(
                    page.items.iter().map(|e| (e.event.received_at.0 - START.0) / 1_000_000),
                );
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{query:?} by {limit}");
        }
    };
    let any = EventQuery::default;
    let all: Vec<i64> = (0..20).rev().collect();
    check(any(), &all).await;
    check(EventQuery { handled: Some(true), ..any() }, &[16, 12, 8, 4, 0]).await;
    check(EventQuery { rule: Some(7), host: Some("EVEN".into()), ..any() }, &[16, 12, 8, 4, 0])
        .await;
    check(EventQuery { host: Some("odd".into()), since: Some(at(15)), ..any() }, &[19, 17, 15])
        .await;
    check(EventQuery { until: Some(at(2)), ..any() }, &[1, 0]).await;
    check(EventQuery { q: Some("number 1".into()), until: Some(at(12)), ..any() }, &[11, 10, 1])
        .await;
    check(EventQuery { severity: Some(3), since: Some(at(19)), ..any() }, &[19]).await;
    check(EventQuery { severity: Some(4), ..any() }, &[]).await;
    let wrong = store.events(&any(), 1, Some("nonsense")).await;
    assert!(matches!(wrong, Err(StoreError::Data(_))));
    let event_id = Some(events[4].0.id);
    let made = DeliveryQuery { event: event_id, ..DeliveryQuery::default() };
    assert_eq!(store.deliveries(&made, 10, None).await.unwrap().items.len(), 1);
    let by_two = store.deliveries(&DeliveryQuery::default(), 2, None).await.unwrap();
    let rest = store.deliveries(&DeliveryQuery::default(), 9, by_two.next_cursor.as_deref()).await;
    assert_eq!(rest.unwrap().items.len(), 5, "five alert events and two meta-alerts in all");
}

pub(super) async fn a_search_stops_at_its_budget_and_goes_on(store: Arc<dyn Store>) {
    let oldest = (event(0, "r1", "the needle"), unhandled("x"));
    store.commit(work(vec![batch(&[oldest])])).await.unwrap();
    for _ in 0..SCAN_BUDGET_ROWS / 5_000 {
        let hay = |_| {
            let events: Vec<_> =
                (0..1_000).map(|_| (event(1, "r1", "hay"), unhandled("x"))).collect();
            batch(&events)
        };
        store.commit(work((0..5).map(hay).collect())).await.unwrap();
    }
    let query = EventQuery { q: Some("Needle".to_owned()), ..EventQuery::default() };
    let page = store.events(&query, 10, None).await.unwrap();
    assert_eq!((page.items.len(), page.complete), (0, false), "it says that it stopped early");
    let rest = store.events(&query, 10, Some(&page.next_cursor.unwrap())).await.unwrap();
    assert_eq!((rest.items.len(), rest.complete, rest.next_cursor), (1, true, None));
    assert_eq!(rest.items[0].event.message, "the needle");
}

pub(super) async fn the_tail_follows_commits(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let (none, place) = store.tail(None, 10).await.unwrap();
    assert!(none.is_empty(), "only what comes from now on");
    let later = [(event(1, "r1", "x"), unhandled("x")), (event(2, "r1", "y"), unhandled("y"))];
    store.commit(work(vec![batch(&later)])).await.unwrap();
    commit_changes(&store, &[(3, "a", Problem)]).await;
    let (first, place) = store.tail(Some(place), 2).await.unwrap();
    let (rest, end) = store.tail(Some(place), 2).await.unwrap();
    let messages: Vec<_> = first.iter().chain(&rest).map(|e| e.event.message.to_string()).collect();
    assert_eq!(messages, ["x", "y", "a at 3"], "both tables, in order of commit");
    assert_eq!(store.tail(Some(end), 2).await.unwrap(), (vec![], end));
}

pub(super) async fn people_act_on_alerts(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem), (1, "b", Problem)]).await;
    let open = AlertQuery { state: Some(AlertState::Open), ..AlertQuery::default() };
    let page = store.alerts(&open, 1, None).await.unwrap();
    let rest = store.alerts(&open, 5, page.next_cursor.as_deref()).await.unwrap().items;
    assert_eq!((page.items[0].key.as_str(), rest[0].key.as_str()), ("b", "a"), "newest first");
    let by = |f: fn(&mut AlertQuery)| {
        let mut query = AlertQuery::default();
        f(&mut query);
        query
    };
    for (query, expected) in [
        (by(|q| q.host = Some("R1".into())), 2),
        (by(|q| q.team = Some("netops".into())), 2),
        (by(|q| q.problem = Some("power".into())), 0),
        (by(|q| q.q = Some("A AT".into())), 1),
    ] {
        assert_eq!(store.alerts(&query, 5, None).await.unwrap().items.len(), expected, "{query:?}");
    }
    let id = rest[0].id;
    let sinks = [route(SINK, Repeat::Every)];
    let act = async |act| store.act_on_alert(id, act, &actor("anna"), &sinks, at(9)).await;
    let alert = act(AlertAct::Acknowledge).await.unwrap();
    assert_eq!(alert.acknowledged_by.as_deref(), Some("anna"));
    act(AlertAct::Note("cable pulled".to_owned())).await.unwrap();
    let alert = act(AlertAct::Clear).await.unwrap();
    assert_eq!(alert.cleared_by, Some(ClearedBy::Hand("anna".to_owned())));
    assert!(matches!(act(AlertAct::Clear).await, Err(StoreError::Conflict(_))));
    assert!(matches!(act(AlertAct::Acknowledge).await, Err(StoreError::Conflict(_))));
    let (alert, timeline) = store.alert(id).await.unwrap().unwrap();
    assert_eq!(
        (alert.state, alert.acknowledged_by.as_deref()),
        (AlertState::Cleared, Some("anna"))
    );
    let said: Vec<_> = timeline.iter().map(|e| e.what.as_str()).collect();
    assert_eq!(said, ["opened", "acknowledged", "note", "cleared"]);
    let told = DeliveryQuery { alert: Some(id), ..DeliveryQuery::default() };
    let told = store.deliveries(&told, 5, None).await.unwrap().items;
    assert_eq!(told[0].notice.kind.name(), "cleared");
    assert_eq!(told[0].notice.event, None, "no event stands behind a hand");
    let unknown = fresh_id(START);
    let missing = store.act_on_alert(unknown, AlertAct::Clear, &actor("x"), &sinks, START).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
    assert_eq!(store.changes(9, None).await.unwrap().items.len(), 3);
}
