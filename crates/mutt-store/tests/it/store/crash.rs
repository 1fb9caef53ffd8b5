//! A process of its own is ended at each step of a commit; the batch is whole or absent after, and
//! repeating it is right.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mutt_model::rule::RuleAction::Problem;
use mutt_model::{BatchBuilder, Id, failpoint};
use mutt_store::queue::QueueStats;
use mutt_store::sqlite::SqliteStore;
use mutt_store::store::{CommitStore, CommitWork, JudgedBatch, ReadStore, UpkeepStore as _};

use super::retention::{DAY, commit_days, messages, policy_with};
use super::support::*;

const DIR: &str = "MUTT_TEST_STORE_DIR";
const POINT: &str = "MUTT_TEST_STORE_FAILPOINT";
const EVENTS: u64 = 200;

/// The same work in every process.
fn the_work() -> CommitWork {
    let mut builder = BatchBuilder::new(Id([9; 16]), 0);
    let mut verdicts = Vec::new();
    for n in 0..EVENTS {
        let mut event = event(0, "r1", &n.to_string());
        event.id = Id(u128::from(n).to_be_bytes());
        builder.push(&event);
        verdicts.push(Some(alerting(&event, &format!("k{}", n % 10), Problem)));
    }
    work(vec![JudgedBatch { batch: Arc::new(builder.finish()), verdicts, first: false }])
}

/// Not a test by itself: what the child process does until its fail point ends it.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test says what to do")]
    let (dir, point) = (std::env::var(DIR).unwrap(), std::env::var(POINT).unwrap());
    failpoint::arm(&point).unwrap();
    let store = SqliteStore::open(&Path::new(&dir).join("store.db"), options()).unwrap();
    store.commit(the_work()).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_was_cut_off_is_whole_or_absent_and_may_be_repeated() {
    let points = failpoint::NAMES.iter().filter(|name| name.starts_with("store.commit."));
    for point in points {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::crash::child", "--ignored"])
            .env(DIR, dir.path())
            .env(POINT, point)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{point} was not met");
        let store = SqliteStore::open(&dir.path().join("store.db"), options()).unwrap();
        let queue = QueueStats { appended_events: EVENTS, ..QueueStats::default() };
        let audited = store.ledger(&queue).await.unwrap().events.audited;
        let whole = if *point == "store.commit.after_commit" { EVENTS } else { 0 };
        assert_eq!(audited, whole, "{point}");
        store.commit(the_work()).await.unwrap();
        let ledger = store.ledger(&queue).await.unwrap();
        assert_eq!((ledger.events.audited, ledger.events.unaccounted), (EVENTS, 0), "{point}");
        assert_eq!(ledger.deliveries.created, EVENTS, "{point}");
    }
}

const ARCHIVES: &str = "MUTT_TEST_ARCHIVE_DIR";

/// Not a test by itself: a Remediation that its fail point ends.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn archiver() {
    #[expect(clippy::disallowed_methods, reason = "the parent test says what to do")]
    let of = |name| std::env::var(name).unwrap();
    failpoint::arm(&of(POINT)).unwrap();
    let path = Path::new(&of(DIR)).join("store.db");
    let store = SqliteStore::open(&path, options()).unwrap();
    let policy = policy_with(Some(Path::new(&of(ARCHIVES))));
    store.retain(&policy, at(200 * DAY)).await.unwrap();
}

#[tokio::test]
async fn a_round_of_retention_that_was_cut_off_leaves_the_rows_or_a_whole_archive() {
    for point in failpoint::NAMES.iter().filter(|name| name.starts_with("store.archive.")) {
        let (dir, archives) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = sqlite(dir.path());
        commit_days(&store, 0..4).await;
        let all = messages(&store).await;
        store.close().await;
        drop(store);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::crash::archiver", "--ignored"])
            .env(DIR, dir.path())
            .env(ARCHIVES, archives.path())
            .env(POINT, point)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{point} was not met");
        let store = sqlite(dir.path());
        let policy = policy_with(Some(archives.path()));
        store.retain(&policy, at(200 * DAY)).await.unwrap();
        assert!(messages(&store).await.is_empty(), "{point}");
        let listed = store.archives().await.unwrap();
        assert_eq!(listed.iter().map(|a| a.rows).sum::<u64>(), 8, "{point}: each row once");
        assert_eq!(std::fs::read_dir(archives.path()).unwrap().count(), listed.len(), "{point}");
        for archive in &listed {
            let file = archives.path().join(&archive.name);
            store.restore_archive(&file, &actor("anna"), at(200 * DAY)).await.unwrap();
        }
        assert_eq!(messages(&store).await, all, "{point}");
    }
}
