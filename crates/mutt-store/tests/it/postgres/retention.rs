//! Retention on PostgreSQL: one at a time, what a killed one leaves, rows that come meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, failpoint};
use mutt_store::postgres::{PgOptions, PgRole, PostgresStore};
use mutt_store::retention::RetentionStore as _;
use mutt_store::store::{SignalStore as _, Store, StoreError, UpkeepStore as _};

use super::server::{PATIENCE, Server, until};
use crate::store::retention::{DAY, commit_days, messages, named, policy_with};
use crate::store::support::*;

const URL: &str = "MUTT_TEST_STORE_URL";
const DIR: &str = "MUTT_TEST_ARCHIVE_DIR";
const POINT: &str = "MUTT_TEST_STORE_FAILPOINT";

/// Not a test by itself: a Remediation that its fail point ends.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test says what to do")]
    let of = |name| std::env::var(name).unwrap();
    failpoint::arm(&of(POINT)).unwrap();
    let owner = PgRole { user: "mutt_owner".to_owned(), passwords: Default::default() };
    let options =
        PgOptions { owner: Some(owner), accept_no_fsync: true, ..PgOptions::new(of(URL)) };
    // Its lease is over at once by the clock of the next one.
    let store = PostgresStore::open(&options, Clock::manual(START)).unwrap();
    until("the store is ready", || store.state().is_ready()).await;
    store.retain(&policy_with(Some(Path::new(&of(DIR)))), at(200 * DAY)).await.unwrap();
}

#[tokio::test]
async fn a_round_that_was_cut_off_leaves_the_partition_or_a_whole_archive() {
    for point in failpoint::NAMES.iter().filter(|name| name.starts_with("store.archive.")) {
        let server = Server::migrated(&[]).await;
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = server.store().await;
        commit_days(&store, 0..4).await;
        let all = messages(&store).await;
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::retention::child", "--ignored"])
            .env(URL, server.options().url)
            .env(DIR, dir.path())
            .env(POINT, point)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{point} was not met");
        // What is not in the audit any more stands in an archive that is listed and whole.
        let clock = Clock::manual(at(3_600));
        let store = PostgresStore::open(&server.options(), clock).unwrap();
        until("the store is ready", || store.state().is_ready()).await;
        let store: Arc<dyn Store> = Arc::new(store);
        let policy = policy_with(Some(dir.path()));
        let done = store.retain(&policy, at(200 * DAY)).await.unwrap();
        assert!(!done.elsewhere, "{point}");
        assert!(messages(&store).await.is_empty(), "{point}");
        let archives = store.archives().await.unwrap();
        assert_eq!(archives.iter().map(|a| a.rows).sum::<u64>(), 8, "{point}: each row once");
        let files: BTreeSet<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, archives.iter().map(|a| a.name.clone()).collect(), "{point}");
        for archive in &archives {
            let file = dir.path().join(&archive.name);
            store.restore_archive(&file, &actor("anna"), at(200 * DAY)).await.unwrap();
        }
        assert_eq!(messages(&store).await, all, "{point}");
    }
}

#[tokio::test]
async fn one_of_several_remediations_works_at_a_time() {
    let server = Server::migrated(&[]).await;
    let (one, two) = (server.store().await, server.store().await);
    let store: Arc<dyn Store> = one.clone();
    commit_days(&store, 0..2).await;
    let done = one.retain(&policy_with(None), at(DAY)).await.unwrap();
    assert!(!done.elsewhere);
    let late = at(200 * DAY);
    let other = two.retain(&policy_with(None), late).await.unwrap();
    assert!(other.elsewhere, "the lease stands by the store's clock");
    assert_eq!(messages(&store).await.len(), 4);
    let done = one.retain(&policy_with(None), late).await.unwrap();
    assert_eq!((done.removed["audit_handled"], done.removed["audit_unhandled"]), (2, 2));
    assert!(done.partitions >= 4, "{done:?}");
    let backup = two.backup(Path::new("/nowhere"), Box::new(|_, _| ())).await;
    let Err(StoreError::Conflict(words)) = backup else { panic!("{backup:?}") };
    assert!(words.contains("pg_dump"), "{words}");
}

/// A partition that takes longer than the lease: no other Remediation begins the same.
#[tokio::test]
async fn the_lease_is_renewed_while_one_partition_is_worked_on() {
    let server = Server::migrated(&[]).await;
    let clock = Clock::manual(START);
    let options = PgOptions { lock_timeout: PATIENCE, ..server.options() };
    let one = PostgresStore::open(&options, clock.clone()).unwrap();
    until("the store is ready", || one.state().is_ready()).await;
    let one: Arc<dyn Store> = Arc::new(one);
    commit_days(&one, 0..2).await;
    let admin = server.superuser("mutt").await;
    let wait_for = async |sql: &str, wanted: i64| {
        let begun = Clock::System.monotonic();
        while admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            assert!(Clock::System.monotonic() - begun < PATIENCE, "never: {sql} = {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let part = "audit_unhandled_p20251125";
    let lock = format!("BEGIN; LOCK TABLE {part} IN ACCESS EXCLUSIVE MODE");
    admin.batch_execute(&lock).await.unwrap();
    let others = async {
        let sql = format!(
            "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = '{part}'::regclass"
        );
        wait_for(&sql, 1).await;
        for round in 1..=3 {
            clock.advance(Duration::from_secs(400));
            let until = at(400 * round + 600).0;
            wait_for("SELECT lease_until FROM leases WHERE name = 'upkeep'", until).await;
        }
        let two = PostgresStore::open(&server.options(), Clock::manual(at(1_300))).unwrap();
        until("the other store is ready", || two.state().is_ready()).await;
        let done = two.retain(&policy_with(None), at(200 * DAY)).await.unwrap();
        admin.batch_execute("COMMIT").await.unwrap();
        done
    };
    let policy = policy_with(None);
    let (done, other) = tokio::join!(one.retain(&policy, at(200 * DAY)), others);
    assert!(other.elsewhere, "{other:?}");
    let done = done.unwrap();
    assert!(!done.elsewhere, "{done:?}");
    assert!(messages(&one).await.is_empty());
}

/// The chain of receipts is sound while rows are held, gone and back again.
#[tokio::test]
async fn the_chain_knows_what_retention_took_and_what_came_back() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let as_store: Arc<dyn Store> = store.clone();
    commit_days(&as_store, 0..3).await;
    let dir = tempfile::tempdir().unwrap();
    let held =
        mutt_store::retention::NewHold { host: Some("held".to_owned()), ..Default::default() };
    store.add_hold(held, &actor("anna"), START).await.unwrap();
    let policy = policy_with(Some(dir.path()));
    store.retain(&policy, at(200 * DAY)).await.unwrap();
    assert_eq!(messages(&as_store).await, named(&[(0, "Held"), (1, "Held"), (2, "Held")]));
    // It was made whole before the parent was locked to take it.
    let client = server.superuser("mutt").await;
    let part = "audit_handled_p20251124";
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM pg_index i WHERE i.indrelid = 'audit_handled'::regclass),
            (SELECT COUNT(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
                JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = '{part}'::regclass AND c.relname LIKE '{part}_held_%'),
            (SELECT COUNT(*) FROM pg_constraint
                WHERE conrelid = '{part}'::regclass AND contype = 'c')"
    );
    let row = client.query_one(&sql, &[]).await.unwrap();
    let counts: Vec<i64> = (0..3).map(|at| row.get(at)).collect();
    assert_eq!(counts, [4, 4, 1], "indexes of the parent and of the partition; its condition");
    let report = store.verify_chain(None, &|_, _| ()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.rows, report.retired), (3, 3));
    for archive in store.archives().await.unwrap() {
        let file = dir.path().join(&archive.name);
        store.restore_archive(&file, &actor("anna"), at(200 * DAY)).await.unwrap();
    }
    let report = store.verify_chain(None, &|_, _| ()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.rows, report.retired), (6, 0), "as they were committed");
}
