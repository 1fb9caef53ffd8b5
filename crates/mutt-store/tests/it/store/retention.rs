//! The contract of retention: legal holds, archives, what goes when.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::delivery::Next;
use mutt_model::rule::RuleAction::Problem;
use mutt_store::retention::NewHold;
use mutt_store::store::{EventQuery, RetentionPolicy, Store, StoreError};

use super::support::*;

pub(crate) const DAY: i64 = 86_400;

pub(crate) fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// Unhandled rows for 14 days, handled ones for 90; archived before when a directory is given.
pub(crate) fn policy_with(archive: Option<&Path>) -> RetentionPolicy {
    RetentionPolicy {
        handled: days(90),
        unhandled: days(14),
        archive: archive.map(Path::to_path_buf),
        ..RetentionPolicy::default()
    }
}

/// One event of each host on each day; on even days a rule handles them.
pub(crate) async fn commit_days(store: &Arc<dyn Store>, days: std::ops::Range<i64>) {
    let mut events = Vec::new();
    for day in days {
        for host in ["Held", "other"] {
            let event = event(day * DAY, host, &format!("day {day} of {host}"));
            let verdict =
                if day % 2 == 0 { alerting(&event, host, Problem) } else { unhandled("x") };
            events.push((event, verdict));
        }
    }
    store.commit(work(vec![batch(&events)])).await.unwrap();
}

/// Messages that the audit holds.
pub(crate) async fn messages(store: &Arc<dyn Store>) -> BTreeSet<String> {
    let page = store.events(&EventQuery::default(), 1_000, None).await.unwrap();
    page.items.iter().map(|item| item.event.message.to_string()).collect()
}

pub(crate) fn named(days: &[(i64, &str)]) -> BTreeSet<String> {
    days.iter().map(|(day, host)| format!("day {day} of {host}")).collect()
}

pub(super) async fn held_rows_outlive_retention_until_they_are_released(store: Arc<dyn Store>) {
    commit_days(&store, 0..4).await;
    let hold =
        NewHold { host: Some("HELD".to_owned()), since: Some(at(0)), until: Some(at(2 * DAY)) };
    let hold = store.add_hold(hold, &actor("anna"), START).await.unwrap();
    let whole = NewHold { host: None, since: None, until: None };
    let whole = store.add_hold(whole, &actor("anna"), START).await.unwrap();
    let listed: Vec<i64> = store.holds().await.unwrap().iter().map(|hold| hold.id).collect();
    assert_eq!(listed, [whole.id, hold.id]);
    assert_eq!((hold.who.as_str(), hold.reason.as_str()), ("anna", "because"));
    let late = at(200 * DAY);
    let done = store.retain(&policy_with(None), late).await.unwrap();
    assert_eq!(done.removed.get("audit_handled").or(done.removed.get("audit_unhandled")), None);
    store.release_hold(whole.id, &actor("anna"), late).await.unwrap();
    let done = store.retain(&policy_with(None), late).await.unwrap();
    assert_eq!(done.removed.get("audit_handled"), Some(&3));
    assert_eq!(done.removed.get("audit_unhandled"), Some(&3));
    assert_eq!(messages(&store).await, named(&[(0, "Held"), (1, "Held")]), "by host and time");
    let again = store.retain(&policy_with(None), late).await.unwrap();
    assert_eq!(
        (again.removed.get("audit_handled"), again.partitions),
        (None, 0),
        "nothing is left to do"
    );
    store.release_hold(hold.id, &actor("bo"), late).await.unwrap();
    store.retain(&policy_with(None), late).await.unwrap();
    assert!(messages(&store).await.is_empty());
    assert!(store.holds().await.unwrap().is_empty());
    let gone = store.release_hold(hold.id, &actor("bo"), late).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
    let never = NewHold { host: None, since: Some(at(5)), until: Some(at(5)) };
    let refused = store.add_hold(never, &actor("anna"), START).await;
    assert!(matches!(refused, Err(StoreError::Data(_))));
    let log = store.changes(10, None).await.unwrap().items;
    let said: Vec<_> = log.iter().map(|c| (c.object.as_str(), c.action.as_str())).collect();
    assert_eq!(
        said,
        [("hold", "release"), ("hold", "release"), ("hold", "hold"), ("hold", "hold")]
    );
    assert_eq!(store.retention_state().await.unwrap().last_run, Some(late));
}

pub(super) async fn whole_days_are_archived_before_they_go_and_come_back(store: Arc<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    commit_days(&store, 0..4).await;
    let before = store.events(&EventQuery::default(), 100, None).await.unwrap().items;
    let hold = NewHold { host: Some("held".to_owned()), since: None, until: Some(at(DAY)) };
    let hold = store.add_hold(hold, &actor("anna"), START).await.unwrap();
    let policy = policy_with(Some(dir.path()));
    let late = at(200 * DAY);
    let done = store.retain(&policy, late).await.unwrap();
    assert_eq!(
        (done.archives, done.removed["audit_handled"], done.removed["audit_unhandled"]),
        (4, 3, 4)
    );
    assert_eq!(messages(&store).await, named(&[(0, "Held")]));
    let again = store.retain(&policy, late).await.unwrap();
    assert_eq!(again.archives, 0, "what is held is not archived");
    let archives = store.archives().await.unwrap();
    let rows: Vec<_> = archives.iter().map(|a| (a.table.as_str(), a.rows)).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3], ("audit_handled", 1), "newest first; without what is held");
    assert_eq!(done.archived_bytes, archives.iter().map(|a| a.bytes).sum::<u64>());
    let state = store.retention_state().await.unwrap();
    assert_eq!((state.holds, state.archives, state.archive_bytes), (1, 4, done.archived_bytes));
    // Back again, twice, and shielded from the next round.
    let (_, place) = store.tail(None, 1).await.unwrap();
    for archive in &archives {
        let file = dir.path().join(&archive.name);
        let back = store.restore_archive(&file, &actor("anna"), late).await.unwrap();
        assert_eq!((back.rows, back.present), (archive.rows, 0));
        let twice = store.restore_archive(&file, &actor("anna"), late).await.unwrap();
        assert_eq!((twice.rows, twice.present, twice.hold), (0, archive.rows, back.hold));
    }
    assert!(store.tail(Some(place), 10).await.unwrap().0.is_empty(), "nothing new came");
    store.retain(&policy, late).await.unwrap();
    let after = store.events(&EventQuery::default(), 100, None).await.unwrap().items;
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        assert_eq!((&after.event, &after.judgement), (&before.event, &before.judgement));
    }
    // Released, they go again; the archives that hold them are not written anew.
    for hold in store.holds().await.unwrap().iter().filter(|other| other.id != hold.id) {
        assert!(hold.archive.is_some());
        store.release_hold(hold.id, &actor("anna"), late).await.unwrap();
    }
    store.retain(&policy, late).await.unwrap();
    assert_eq!(messages(&store).await, named(&[(0, "Held")]));
    assert_eq!(store.archives().await.unwrap().len(), 4);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
}

pub(super) async fn a_damaged_archive_puts_nothing_back(store: Arc<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    commit_days(&store, 0..1).await;
    store.retain(&policy_with(Some(dir.path())), at(200 * DAY)).await.unwrap();
    let archive = store.archives().await.unwrap().remove(0);
    let path = dir.path().join(&archive.name);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let refused = store.restore_archive(&path, &actor("anna"), START).await;
    assert!(matches!(refused, Err(StoreError::Data(_))), "{refused:?}");
    assert!(messages(&store).await.is_empty());
    assert!(store.holds().await.unwrap().is_empty());
    let missing = store.restore_archive(&dir.path().join("no"), &actor("anna"), START).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
}

pub(super) async fn nothing_goes_that_could_not_be_archived_and_all_else_does(
    store: Arc<dyn Store>,
) {
    let dir = tempfile::tempdir().unwrap();
    commit_days(&store, 0..2).await;
    store
        .add_hold(
            NewHold { host: Some("x".to_owned()), ..NewHold::default() },
            &actor("anna"),
            START,
        )
        .await
        .unwrap();
    // A file stands where the directory should be.
    let taken = dir.path().join("archives");
    std::fs::write(&taken, b"").unwrap();
    let policy = RetentionPolicy { changes: days(1), ..policy_with(Some(&taken)) };
    let done = store.retain(&policy, at(200 * DAY)).await.unwrap();
    let told = done.archive_error.unwrap_or_default();
    assert!(told.contains(&taken.display().to_string()), "the folder is named: {told}");
    assert_eq!(messages(&store).await.len(), 4);
    assert_eq!(done.removed.get("changes"), Some(&1), "the rest of the round was done");
    assert_eq!(store.retention_state().await.unwrap().last_run, None, "no whole round");
    std::fs::remove_file(&taken).unwrap();
    let done = store.retain(&policy, at(200 * DAY)).await.unwrap();
    assert_eq!((done.archive_error, done.archives), (None, 2));
    assert!(messages(&store).await.is_empty());
    assert_eq!(store.retention_state().await.unwrap().last_run, Some(at(200 * DAY)));
}

/// More days than a round takes, each with something that is held.
pub(super) async fn what_is_held_keeps_nothing_else_from_going(store: Arc<dyn Store>) {
    let days = 0..40;
    let mut events = Vec::new();
    for day in days.clone() {
        for host in ["Held", "other"] {
            let event = event(day * DAY, host, &format!("day {day} of {host}"));
            events.push((event, unhandled("x")));
        }
    }
    store.commit(work(vec![batch(&events)])).await.unwrap();
    let held = NewHold { host: Some("held".to_owned()), ..NewHold::default() };
    store.add_hold(held, &actor("anna"), START).await.unwrap();
    let mut removed = 0;
    for _ in 0..2 {
        let done = store.retain(&policy_with(None), at(200 * DAY)).await.unwrap();
        removed += done.removed.get("audit_unhandled").copied().unwrap_or_default();
    }
    assert_eq!(removed, 40);
    let held: Vec<_> = days.map(|day| (day, "Held")).collect();
    assert_eq!(messages(&store).await, named(&held));
}

pub(super) async fn attempts_and_receipts_go_by_age(store: Arc<dyn Store>) {
    commit_changes(&store, &[(0, "a", Problem)]).await;
    let lease = lease(&store).await;
    let taken = take(&store, &lease, 1).await;
    finish(&store, &lease, taken[0].id, Next::RetryAt(at(1))).await;
    let policy =
        RetentionPolicy { attempts: days(1), receipts: days(1), ..RetentionPolicy::default() };
    let done = store.retain(&policy, Timestamp(at(DAY).0 - 1)).await.unwrap();
    assert_eq!(done.removed.get("attempts"), None);
    let done = store.retain(&policy, at(DAY + 1)).await.unwrap();
    assert_eq!(done.removed.get("attempts"), Some(&1));
    assert_eq!(done.removed.get("receipts"), None, "the newest of a shard stay");
    let life = store.delivery(taken[0].id).await.unwrap().unwrap();
    assert_eq!((life.attempts.len(), life.delivery.attempts), (0, 1));
}
