//! A process of its own is ended at each named step; what it had acknowledged must be there after.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mutt_model::{Clock, failpoint};
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueOptions};

use super::support::{NO_WAIT, balanced, batch, claim_all, lease, numbers, roomy};

const DIR: &str = "MUTT_TEST_QUEUE_DIR";
const POINT: &str = "MUTT_TEST_QUEUE_FAILPOINT";

fn open(dir: &Path) -> EmbeddedQueue {
    let options = QueueOptions { segment_bytes: 4 << 10, ..roomy() };
    EmbeddedQueue::open(dir, options, Clock::default()).unwrap()
}

/// Not a test by itself: what the child process does until its fail point ends it.
#[tokio::test]
#[ignore = "run by the tests below in a process of its own"]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test says what to do")]
    let (dir, point) = (std::env::var(DIR).unwrap(), std::env::var(POINT).unwrap());
    failpoint::arm(&point).unwrap();
    let dir = Path::new(&dir);
    let queue = open(dir);
    let held = lease(&queue).await;
    let start = queue.stats().appended_events * 100;
    for n in start..start + 60 {
        queue.append(vec![batch(n, 2, 100), batch(n + 1_000_000, 1, 100)], None).await.unwrap();
        record(&dir.join("appended"), n);
        if n % 5 == 4 {
            let claimed = queue.claim(held, 6, NO_WAIT).await.unwrap();
            record(&dir.join("delivered"), numbers(&claimed)[0]);
            for n in numbers(&claimed) {
                record(&dir.join("delivered"), n);
            }
            queue.acknowledge(held, claimed.last().unwrap().position).await.unwrap();
        }
    }
}

fn record(path: &Path, n: u64) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    writeln!(file, "{n}").unwrap();
}

fn recorded(path: &Path) -> BTreeSet<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Runs the child; whether it was ended by its fail point.
fn crash(dir: &Path, point: &str) -> bool {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", "queue::failpoints::child", "--ignored"])
        .env(DIR, dir)
        .env(POINT, point)
        .output()
        .unwrap();
    !output.status.success()
}

async fn check(points: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for point in points {
        assert!(crash(dir.path(), point), "{point} was not met");
    }
    let queue = open(dir.path());
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.lost_events, stats.set_aside.len()), (0, 0), "{points:?} {stats:?}");
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    let pending: u64 = claimed.iter().map(|c| u64::from(c.batch.len())).sum();
    assert_eq!(pending, stats.pending_events);
    let mut there: BTreeSet<u64> = numbers(&claimed).into_iter().collect();
    there.extend(recorded(&dir.path().join("delivered")));
    for n in recorded(&dir.path().join("appended")) {
        assert!(there.contains(&n) && there.contains(&(n + 1_000_000)), "{points:?}: {n} is lost");
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_at_any_step() {
    let steps = failpoint::NAMES.iter().filter(|n| n.starts_with("queue."));
    for step in steps.filter(|n| !n.contains("recover") && !n.contains("trim")) {
        for time in ["1", "3"] {
            check(&[&format!("{step}:{time}")]).await;
        }
    }
    check(&["queue.trim.before_unlink:1"]).await;
}

#[tokio::test]
async fn a_crash_during_recovery_is_recovered_from() {
    for step in ["queue.recover.before_truncate", "queue.recover.after_truncate"] {
        check(&["queue.append.torn_write:4", step, "queue.append.before_sync:2"]).await;
    }
}
