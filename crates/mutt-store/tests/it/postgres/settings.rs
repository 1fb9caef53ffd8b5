//! Settings and reports of processes on PostgreSQL: between connections, and by the server's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mutt_store::postgres::PostgresStore;
use mutt_store::store::{
    ProcessReport, Recorded, Settings, SettingsChange, SettingsStore as _, SignalStore as _,
    StoreError, diff,
};

use super::server::{PATIENCE, Server};
use crate::store::support::*;

fn edit(key: &str, value: Option<&str>) -> SettingsChange {
    SettingsChange::Edit(BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]))
}

async fn change(
    store: &PostgresStore,
    change: SettingsChange,
    expected: Option<i64>,
) -> Result<Settings, StoreError> {
    store.change_settings(change, expected, &actor("anna"), at(5)).await
}

#[tokio::test]
async fn each_change_of_settings_is_a_version_and_rings_the_other_process() {
    let server = Server::migrated(&[]).await;
    let (store, other) = (server.store().await, server.store().await);
    let mut rung = other.signals().settings.listen();
    rung.borrow_and_update();
    assert_eq!(store.settings(None).await.unwrap(), Settings::default());
    let first = change(&store, edit("log.level", Some("debug")), Some(0)).await.unwrap();
    tokio::time::timeout(PATIENCE, rung.changed()).await.unwrap().unwrap();
    assert_eq!(other.settings(None).await.unwrap(), first);
    assert_eq!(other.settings_version().await.unwrap(), 1);
    let overtaken = change(&other, edit("log.level", Some("warn")), Some(0)).await;
    assert!(matches!(overtaken, Err(StoreError::Conflict(_))), "{overtaken:?}");
    let absent = change(&other, edit("log.format", None), None).await;
    assert!(matches!(absent, Err(StoreError::NotFound(_))), "{absent:?}");
    let second = change(&other, edit("log.level", None), Some(1)).await.unwrap();
    let back = change(&store, SettingsChange::RollBack(1), Some(2)).await.unwrap();
    assert_eq!((back.version, &back.values), (3, &first.values));
    let page = store.settings_history(2, None).await.unwrap();
    assert_eq!((page.items[0].version, page.items[0].rolled_back_to), (3, Some(1)));
    assert_eq!(page.items[0].edits, diff(&second, &back));
    let rest = store.settings_history(2, page.next_cursor.as_deref()).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].version, rest.next_cursor), (1, 1, None));
    let recorded = Recorded {
        object: "store",
        object_id: "db".to_owned(),
        action: "backup",
        old: None,
        new: None,
    };
    store.record_change(recorded, &actor("anna"), at(6)).await.unwrap();
    let client = server.superuser("mutt").await;
    let row = client.query_one("SELECT string_agg(action, ',' ORDER BY id) FROM changes", &[]);
    assert_eq!(row.await.unwrap().get::<_, &str>(0), "set,unset,rollback,backup");
}

#[tokio::test]
async fn writers_of_settings_do_not_lose_each_others_changes() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let one = |n: usize| {
        let store = Arc::clone(&store);
        async move {
            let set = || edit(&format!("sinks.s{n}.rate"), Some("1/s"));
            loop {
                let now = store.settings_version().await.unwrap();
                match change(&store, set(), Some(now)).await {
                    Ok(settings) => return settings.version,
                    Err(StoreError::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let all = async { tokio::join!(one(1), one(2), one(3), one(4)) };
    let (a, b, c, d) = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(BTreeSet::from([a, b, c, d]), BTreeSet::from([1, 2, 3, 4]));
    assert_eq!(store.settings(None).await.unwrap().values.len(), 4);
}

#[tokio::test]
async fn a_process_that_is_gone_is_listed_only_while_events_lie_in_its_spill() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let report = |id: &str, spilled_events| ProcessReport {
        id: id.to_owned(),
        services: BTreeSet::from(["ingestor".to_owned()]),
        host: "a".to_owned(),
        data_dir: "/var/lib/mutt".to_owned(),
        started_at: START,
        spilled_events,
        ..ProcessReport::default()
    };
    let shown = async || -> Vec<(String, bool)> {
        let listed = store.processes().await.unwrap();
        listed.into_iter().map(|p| (p.report.id, p.live)).collect()
    };
    let plain = ProcessReport { host: "b".to_owned(), ..report("plain", 0) };
    store.report_process(&plain).await.unwrap();
    store.report_process(&report("first", 7)).await.unwrap();
    assert_eq!(shown().await, [("first".to_owned(), true), ("plain".to_owned(), true)]);
    store.end_process("plain").await.unwrap();
    store.end_process("first").await.unwrap();
    assert_eq!(shown().await, [("first".to_owned(), false)]);
    store.report_process(&report("second", 7)).await.unwrap();
    assert_eq!(shown().await, [("second".to_owned(), true)], "its successor tells of it now");
}
