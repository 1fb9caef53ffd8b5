//! What is SQLite's own: the file, its lock and versions, refused data, backup and restore, the cap.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mutt_model::alert::AlertState;
use mutt_model::audit::UNSTORABLE;
use mutt_model::delivery::{DeadReason, DeliveryState, Next};
use mutt_model::rule::RuleAction::Problem;
use mutt_store::retention::{NewHold, RetentionPolicy, RetentionStore as _};
use mutt_store::sqlite::{SqliteOptions, SqliteStore, restore, verify};
use mutt_store::store::{
    AlertQuery, CommitStore, CommitWork, DeliveryQuery, EventQuery, OpenError, ReadStore,
    SettingsChange, SettingsStore as _, SignalStore as _, Store, StoreError, UpkeepStore,
};
use rusqlite::Connection;

use super::support::*;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, options())
}

async fn commit_plain(store: &SqliteStore, messages: &[&str]) {
    let events: Vec<_> = messages.iter().map(|m| (event(0, "r1", m), unhandled(m))).collect();
    store.commit(work(vec![batch(&events)])).await.unwrap();
}

async fn messages(store: &dyn ReadStore) -> Vec<String> {
    let items = store.events(&EventQuery::default(), 1_000, None).await.unwrap().items;
    let mut messages: Vec<_> = items.iter().map(|e| e.event.message.to_string()).collect();
    messages.sort();
    messages
}

#[tokio::test]
async fn one_process_owns_the_file_and_what_was_committed_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open(&path).unwrap();
    commit_plain(&store, &["kept"]).await;
    let second = open(&path).map(|_| ());
    let Err(StoreError::Open(OpenError::InUse(why))) = second else { panic!("{second:?}") };
    assert!(why.contains(&std::process::id().to_string()), "{why}");
    store.close().await;
    let closed = store.event(fresh_id(START)).await;
    assert!(matches!(closed, Err(StoreError::Transient { .. })));
    let store = open(&path).unwrap();
    assert_eq!(messages(&store).await, ["kept"]);
}

#[tokio::test]
async fn files_of_others_and_of_newer_versions_are_refused_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    open(&path).unwrap().close().await;
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let newer = open(&path).map(|_| ());
    assert!(
        matches!(newer, Err(StoreError::Open(OpenError::Newer { found: 99, known: 6 }))),
        "{newer:?}"
    );
    let other = dir.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(open(&other), Err(StoreError::Open(OpenError::Other(_)))));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is no database at all, whatever its name says").unwrap();
    assert!(matches!(open(&text), Err(StoreError::Open(OpenError::Other(_)))));
}

/// A trigger stands for data that the engine refuses.
fn refuse(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn refused_data_is_found_by_halving_and_audited_from_its_raw_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open(&path).unwrap();
    refuse(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_handled WHEN NEW.host = 'bad'
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END;",
    );
    let mut events = Vec::new();
    for n in 0..50 {
        let event = event(n, if n == 17 || n == 40 { "bad" } else { "r1" }, &n.to_string());
        let verdict = alerting(&event, "k", Problem);
        events.push((event, verdict));
    }
    let work = work(vec![batch(&events)]);
    let done = store.commit(work.clone()).await.unwrap();
    assert_eq!((done.audited, done.handled, done.unstorable), (50, 48, 2));
    assert_eq!(done.deliveries.get(SINK), Some(&48), "what is refused changes no alert");
    let bad = store.event(events[17].0.id).await.unwrap().unwrap();
    assert_eq!(bad.judgement.decision.unwrap().name(), UNSTORABLE);
    assert_eq!((bad.event.raw.as_ref(), bad.event.message.as_ref()), (&b"17"[..], ""));
    assert_eq!(store.commit(work).await.unwrap().skipped_batches, 1);
    assert_eq!(store.delivery_ledger().await.unwrap().pending, 48);
}

#[tokio::test]
async fn an_event_that_no_row_can_hold_is_counted_lost_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open(&path).unwrap();
    refuse(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_unhandled
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END;",
    );
    let good = event(1, "r1", "good");
    let verdict = alerting(&good, "k", Problem);
    let events = [(event(0, "r1", "bad"), unhandled("bad")), (good, verdict)];
    let done = store.commit(work(vec![batch(&events)])).await.unwrap();
    assert_eq!((done.audited, done.lost, done.unstorable), (1, 1, 0));
}

#[tokio::test]
async fn a_backup_is_one_whole_file_and_restores_stopped_and_running() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let store = open(&path).unwrap();
    commit_plain(&store, &["before"]).await;
    let seen = Arc::new(Mutex::new((0, 0)));
    let progress = Arc::clone(&seen);
    store
        .backup(&copy, Box::new(move |done, all| *progress.lock().unwrap() = (done, all)))
        .await
        .unwrap();
    let (done, all) = *seen.lock().unwrap();
    assert!(done == all && all > 0, "{done} of {all}");
    verify(&copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a backup is its owner's only");
    let twice = store.backup(&copy, Box::new(|_, _| ())).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "never over an existing file");
    commit_plain(&store, &["after"]).await;
    assert!(matches!(restore(&copy, &path), Err(StoreError::Open(OpenError::InUse(_)))));

    store.replace_with(&copy).await.unwrap();
    assert_eq!(messages(&store).await, ["before"], "restored while running");
    commit_plain(&store, &["after the restore"]).await;
    store.close().await;
    restore(&copy, &path).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(messages(&store).await, ["before"], "restored while stopped");
    let mut kept = path.into_os_string();
    kept.push(".before-restore");
    let kept = open(Path::new(&kept)).unwrap();
    assert_eq!(messages(&kept).await, ["after the restore", "before"], "what stood there is kept");
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let store = open(&path).unwrap();
    let long = "x".repeat(3_000);
    for _ in 0..20 {
        commit_plain(&store, &[&long]).await;
    }
    store.backup(&copy, Box::new(|_, _| ())).await.unwrap();
    let whole = std::fs::read(&copy).unwrap();
    let check = async |bytes: &[u8]| {
        std::fs::write(&copy, bytes).unwrap();
        assert!(verify(&copy).is_err());
        assert!(store.replace_with(&copy).await.is_err());
        assert_eq!(messages(&store).await.len(), 20);
    };
    check(&whole[..whole.len() / 2]).await;
    check(b"no database").await;
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle / 4096 * 4096..][..4096].fill(0x5a);
    check(&damaged).await;
}

#[tokio::test]
async fn the_cap_takes_the_oldest_unhandled_first() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { max_bytes: 4 << 20, ..options() };
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&dir.path().join("store.db"), options).unwrap());
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let text = "x".repeat(400);
    for round in 0..20i64 {
        let events: Vec<_> =
            (0..1_000).map(|_| (event(round, "r1", &text), unhandled("x"))).collect();
        store.commit(work(vec![batch(&events)])).await.unwrap();
    }
    let policy = mutt_store::store::RetentionPolicy { max_bytes: 4 << 20, ..Default::default() };
    let done = store.retain(&policy, at(100)).await.unwrap();
    let (oldest, _) = store.tail(Some(0), 2).await.unwrap();
    assert!(oldest[0].judgement.handled, "the handled one stays");
    assert!(oldest[1].event.received_at > at(0), "the oldest unhandled ones went");
    assert_eq!(done.removed_by_cap, oldest[1].seq as u64 - 2, "also those between the rounds");
    assert!(oldest[1].seq < 18_000, "not many more than needed: {}", oldest[1].seq);
}

#[tokio::test]
async fn the_cap_takes_deliveries_that_are_over_before_handled_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let lease = lease(&store).await;
    for round in 0..200i64 {
        commit_changes(&store, &[(round, "a", Problem)]).await;
        let taken = take(&store, &lease, 1).await;
        let next = if round == 0 { Next::Dead(DeadReason::Refused) } else { Next::Delivered };
        finish(&store, &lease, taken[0].id, next).await;
    }
    commit_changes(&store, &[(300, "b", Problem)]).await;
    let policy = |max_bytes| mutt_store::store::RetentionPolicy { max_bytes, ..Default::default() };
    let path = dir.path().join("store.db");
    let pragma = |name: &str| -> u64 {
        let conn = Connection::open(&path).unwrap();
        conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap() as u64
    };
    let used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
    let before = store.delivery_ledger().await.unwrap();
    let states = async || -> Vec<_> {
        let all = store.deliveries(&DeliveryQuery::default(), 1_000, None).await.unwrap();
        all.items.iter().map(|d| d.state).collect()
    };
    // Only somewhat too large: a part of what was delivered goes, nothing else.
    let done = store.retain(&policy(used - 50_000), at(400)).await.unwrap();
    let left = states().await;
    assert!((10..190).contains(&done.removed_by_cap), "{}", done.removed_by_cap);
    assert_eq!(left.len() as u64, 201 - done.removed_by_cap);
    let (oldest, newest) = (left.last().unwrap(), left[0]);
    assert_eq!((*oldest, newest), (DeliveryState::Dead, DeliveryState::Pending));
    assert_eq!(messages(store.as_ref()).await.len(), 201, "the audit is whole");
    // Far too large: all of it, but not what is owed.
    store.retain(&policy(1), at(400)).await.unwrap();
    assert_eq!(states().await, [DeliveryState::Pending]);
    assert!(messages(store.as_ref()).await.is_empty());
    assert_eq!(store.delivery_ledger().await.unwrap(), before, "the ledger outlives them");
}

#[tokio::test]
async fn generations_outlive_a_restore() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let store = open(&path).unwrap();
    let by = async |store: &SqliteStore, generation| {
        let events = [(event(0, "r1", "x"), unhandled("x"))];
        store.commit(CommitWork { generation, ..work(vec![batch(&events)]) }).await
    };
    by(&store, 7).await.unwrap();
    store.backup(&copy, Box::new(|_, _| ())).await.unwrap();
    by(&store, 9).await.unwrap();
    store.replace_with(&copy).await.unwrap();
    assert!(matches!(by(&store, 8).await, Err(StoreError::LeaseLost)), "overtaken before");
    by(&store, 9).await.unwrap();
    store.close().await;
    restore(&copy, &path).unwrap();
    let store = open(&path).unwrap();
    assert!(matches!(by(&store, 8).await, Err(StoreError::LeaseLost)));
    // The backup of another event queue, which counted higher, does not fence off this one.
    let other = open(&dir.path().join("other.db")).unwrap();
    by(&other, 3).await.unwrap();
    other.replace_with(&copy).await.unwrap();
    by(&other, 3).await.unwrap();
}

#[tokio::test]
async fn restored_settings_are_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let store = open(&path).unwrap();
    let set = async |store: &SqliteStore, value: &str| {
        let edits = [("log.level".to_owned(), Some(value.to_owned()))].into();
        let change = SettingsChange::Edit(edits);
        store.change_settings(change, None, &actor("anna"), at(1)).await.unwrap()
    };
    let saved = set(&store, "debug").await;
    store.backup(&copy, Box::new(|_, _| ())).await.unwrap();
    set(&store, "warn").await;
    let mut rung = store.signals().settings.listen();
    rung.borrow_and_update();
    store.restore(&copy).await.unwrap();
    assert!(rung.has_changed().unwrap(), "whoever follows them is told");
    let stand = store.settings(None).await.unwrap();
    assert_eq!((stand.version, &stand.values), (3, &saved.values));
    set(&store, "error").await;
    store.close().await;
    restore(&copy, &path).unwrap();
    let store = open(&path).unwrap();
    let stand = store.settings(None).await.unwrap();
    assert_eq!((stand.version, &stand.values), (5, &saved.values), "also while stopped");
    let newest = store.settings_history(1, None).await.unwrap().items.remove(0);
    assert_eq!((newest.who.as_str(), newest.rolled_back_to), ("restore", Some(1)));
}

#[tokio::test]
async fn retention_goes_on_behind_more_held_rows_than_a_round_looks_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open(&path).unwrap();
    commit_plain(&store, &["goes"]).await;
    refuse(
        &path,
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000100)
         INSERT INTO audit_unhandled SELECT 1000 + n, unhex(printf('%032x', n)), 'held', NULL, 1,
            NULL, NULL, 0, NULL, NULL, x'' FROM c",
    );
    let held = NewHold { host: Some("held".to_owned()), ..NewHold::default() };
    store.add_hold(held, &actor("anna"), START).await.unwrap();
    let policy = RetentionPolicy { unhandled: Duration::ZERO, ..RetentionPolicy::default() };
    let done = store.retain(&policy, at(10)).await.unwrap();
    assert_eq!(done.removed.get("audit_unhandled"), Some(&1));
}

#[tokio::test]
async fn lists_stop_at_the_scan_budget_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 1).await;
    finish(&store, &lease, taken[0].id, Next::Delivered).await;
    refuse(
        &dir.path().join("store.db"),
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000)
         INSERT INTO deliveries SELECT 1000 + n, randomblob(16), 'other', 'k', 0, 3, 0, NULL, 1, 1,
            0, 0, 0, 0, randomblob(16), NULL, alert FROM c, (SELECT alert FROM deliveries LIMIT 1);
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000)
         INSERT INTO alerts SELECT randomblob(16), 'k' || n, 0, 'h', 'other', 'p',
            1 << 60, NULL, NULL, body FROM c, (SELECT body FROM alerts LIMIT 1)",
    );
    let wanted = DeliveryQuery {
        state: Some(DeliveryState::Delivered),
        sink: Some(SINK.to_owned()),
        ..DeliveryQuery::default()
    };
    let page = store.deliveries(&wanted, 5, None).await.unwrap();
    assert_eq!((page.items.len(), page.complete), (0, false), "fifty thousand were looked at");
    let page = store.deliveries(&wanted, 5, page.next_cursor.as_deref()).await.unwrap();
    assert_eq!((page.items.len(), page.complete, page.next_cursor), (1, true, None));
    let state = Some(AlertState::Open);
    let team = AlertQuery { team: Some("NetOps".to_owned()), state, ..AlertQuery::default() };
    let page = store.alerts(&team, 5, None).await.unwrap();
    assert_eq!((page.items.len(), page.complete), (0, false));
    let page = store.alerts(&team, 5, page.next_cursor.as_deref()).await.unwrap();
    assert_eq!((page.items.len(), page.complete, page.next_cursor), (1, true, None));
}
