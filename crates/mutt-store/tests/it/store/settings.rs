//! The contract of settings by version, of reports of processes and of recorded changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mutt_model::Timestamp;
use mutt_store::store::{
    PAGE_MAX, ProcessReport, Recorded, SETTINGS_BYTES_MAX, SETTINGS_VERSIONS_KEPT, SettingEdit,
    Settings, SettingsChange, Store, StoreError, diff,
};

use super::support::*;

fn set(key: &str, value: &str) -> SettingsChange {
    SettingsChange::Edit(BTreeMap::from([(key.to_owned(), Some(value.to_owned()))]))
}

fn unset(key: &str) -> SettingsChange {
    SettingsChange::Edit(BTreeMap::from([(key.to_owned(), None)]))
}

async fn change(
    store: &Arc<dyn Store>,
    change: SettingsChange,
    expected: Option<i64>,
) -> Result<Settings, StoreError> {
    store.change_settings(change, expected, &actor("anna"), at(5)).await
}

fn values(settings: &Settings) -> Vec<(&str, &str)> {
    settings.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

pub(super) async fn each_change_of_settings_makes_a_version(store: Arc<dyn Store>) {
    assert_eq!(store.settings_version().await.unwrap(), 0);
    assert_eq!(store.settings(None).await.unwrap(), Settings::default());
    let first = change(&store, set("log.level", "debug"), Some(0)).await.unwrap();
    assert_eq!((first.version, values(&first)), (1, vec![("log.level", "debug")]));
    let same = change(&store, set("log.level", "debug"), None).await.unwrap();
    assert_eq!(same, first, "nothing changes, so no version is made");
    let second = change(&store, set("sinks.moog.rate", "5/s"), None).await.unwrap();
    let third = change(&store, unset("log.level"), Some(2)).await.unwrap();
    assert_eq!(values(&third), [("sinks.moog.rate", "5/s")]);
    assert_eq!(store.settings_version().await.unwrap(), 3);
    assert_eq!(store.settings(Some(2)).await.unwrap(), second, "earlier versions are kept");
    let edit = |key: &str, old: Option<&str>, new: Option<&str>| SettingEdit {
        key: key.to_owned(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    let expected =
        [edit("log.level", Some("debug"), None), edit("sinks.moog.rate", None, Some("5/s"))];
    assert_eq!(diff(&first, &third), expected);
    let back = change(&store, SettingsChange::RollBack(1), Some(3)).await.unwrap();
    assert_eq!((back.version, values(&back)), (4, values(&first)));
    let newest = store.settings_history(1, None).await.unwrap();
    let entry = &newest.items[0];
    assert_eq!((entry.version, entry.who.as_str(), entry.rolled_back_to), (4, "anna", Some(1)));
    assert_eq!((entry.at, entry.reason.as_deref()), (at(5), Some("because")));
    assert_eq!(entry.edits, diff(&third, &first));
    let rest = store.settings_history(9, newest.next_cursor.as_deref()).await.unwrap();
    let versions: Vec<_> = rest.items.iter().map(|entry| entry.version).collect();
    assert_eq!((versions, rest.next_cursor), (vec![3, 2, 1], None));
    let log = store.changes(9, None).await.unwrap().items;
    let told: Vec<_> =
        log.iter().map(|c| (c.object.as_str(), c.object_id.as_str(), c.action.as_str())).collect();
    let config = |key, action| ("config", key, action);
    assert_eq!(
        told,
        [
            config("sinks.moog.rate", "rollback"),
            config("log.level", "rollback"),
            config("log.level", "unset"),
            config("sinks.moog.rate", "set"),
            config("log.level", "set"),
        ]
    );
    assert_eq!((log[1].old.clone(), log[1].new.clone()), (None, Some("debug".into())));
}

pub(super) async fn settings_refuse_what_was_overtaken_or_is_not_there(store: Arc<dyn Store>) {
    let mut rung = store.signals().settings.listen();
    change(&store, set("log.level", "debug"), None).await.unwrap();
    assert!(rung.has_changed().unwrap(), "the bell is rung");
    rung.borrow_and_update();
    let overtaken = change(&store, set("log.level", "warn"), Some(0)).await;
    assert!(matches!(overtaken, Err(StoreError::Conflict(why)) if why.contains("version 1")));
    for (wrong, expected) in [(unset("log.format"), None), (SettingsChange::RollBack(7), Some(1))] {
        let refused = change(&store, wrong, expected).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    }
    let both = SettingsChange::Edit(BTreeMap::from([
        ("a.a".to_owned(), Some("1".to_owned())),
        ("b.b".to_owned(), None),
    ]));
    assert!(matches!(change(&store, both, None).await, Err(StoreError::NotFound(_))));
    let large = set("a.a", &"x".repeat(SETTINGS_BYTES_MAX));
    assert!(matches!(change(&store, large, None).await, Err(StoreError::Data(_))));
    assert!(matches!(store.settings(Some(2)).await, Err(StoreError::NotFound(_))));
    let wrong = store.settings_history(1, Some("x")).await;
    assert!(matches!(wrong, Err(StoreError::Data(_))));
    assert_eq!(values(&store.settings(None).await.unwrap()), [("log.level", "debug")]);
    assert_eq!(
        store.changes(9, None).await.unwrap().items.len(),
        1,
        "what is refused leaves nothing"
    );
}

pub(super) async fn writers_of_settings_do_not_lose_each_others_changes(store: Arc<dyn Store>) {
    let one = async |n: usize| {
        let key = format!("sinks.s{n}.rate");
        loop {
            let now = store.settings_version().await.unwrap();
            match change(&store, set(&key, "1/s"), Some(now)).await {
                Ok(settings) => return settings.version,
                Err(StoreError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let all = async { tokio::join!(one(1), one(2), one(3), one(4)) };
    let (a, b, c, d) = tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    assert_eq!(BTreeSet::from([a, b, c, d]), BTreeSet::from([1, 2, 3, 4]));
    assert_eq!(store.settings(None).await.unwrap().values.len(), 4);
}

pub(super) async fn old_versions_of_settings_go(store: Arc<dyn Store>) {
    for n in 0..SETTINGS_VERSIONS_KEPT + 3 {
        change(&store, set("log.level", &n.to_string()), None).await.unwrap();
    }
    let kept = store.settings_history(PAGE_MAX, None).await.unwrap().items;
    assert_eq!((kept.len(), kept.last().unwrap().version), (SETTINGS_VERSIONS_KEPT, 4));
    let gone = change(&store, SettingsChange::RollBack(3), None).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
}

fn report(id: &str, host: &str, service: &str) -> ProcessReport {
    ProcessReport {
        id: id.to_owned(),
        services: BTreeSet::from([service.to_owned()]),
        host: host.to_owned(),
        pid: 7,
        program: "3.0.0".to_owned(),
        started_at: START,
        data_dir: "/var/lib/mutt".to_owned(),
        ..ProcessReport::default()
    }
}

pub(super) async fn processes_are_listed_while_they_report(store: Arc<dyn Store>) {
    assert!(store.processes().await.unwrap().is_empty());
    let mut first = report("p1", "b", "alerter");
    store.report_process(&first).await.unwrap();
    store.report_process(&report("p2", "a", "ingestor")).await.unwrap();
    first.settings = Some(4);
    first.settings_ignored.insert("log.level".to_owned(), "not known".to_owned());
    store.report_process(&first).await.unwrap();
    let listed = store.processes().await.unwrap();
    let shown: Vec<_> = listed.iter().map(|p| (p.report.id.as_str(), p.live)).collect();
    assert_eq!(shown, [("p2", true), ("p1", true)], "by host, one row each");
    assert_eq!(listed[1].report, first, "the newest report as it was given");
    store.end_process("p1").await.unwrap();
    store.end_process("unknown").await.unwrap();
    assert_eq!(store.processes().await.unwrap().len(), 1);
}

pub(super) async fn what_was_done_elsewhere_is_recorded(store: Arc<dyn Store>) {
    let change = Recorded {
        object: "store",
        object_id: "mutt.db".to_owned(),
        action: "backup",
        old: None,
        new: Some(serde_json::json!({ "file": "copy.db" })),
    };
    store.record_change(change, &actor("anna"), Timestamp(START.0 + 1)).await.unwrap();
    let log = store.changes(5, None).await.unwrap().items;
    assert_eq!((log[0].object.as_str(), log[0].action.as_str()), ("store", "backup"));
    assert_eq!((log[0].who.as_str(), log[0].at), ("anna", Timestamp(START.0 + 1)));
    assert_eq!(log[0].new, Some(serde_json::json!({ "file": "copy.db" })));
}
