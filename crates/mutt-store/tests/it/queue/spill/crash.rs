//! A process of its own is ended at each step of the spill; what it had acknowledged is in the primary
//! after the next run, once and in order.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mutt_model::failpoint;

use super::super::support::{batch, number};
use super::faulty::{Fault, Faulty};
use super::{drained, reopen};
use mutt_store::queue::EventQueue as _;

const DIR: &str = "MUTT_TEST_SPILL_DIR";
const POINT: &str = "MUTT_TEST_SPILL_FAILPOINT";

/// Not a test by itself: what the child process does until its fail point ends it.
#[tokio::test]
#[ignore = "run by the tests below in a process of its own"]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "the parent test says what to do")]
    let (dir, point) = (std::env::var(DIR).unwrap(), std::env::var(POINT).unwrap());
    failpoint::arm(&point).unwrap();
    let dir = Path::new(&dir);
    let primary = Faulty::open(&dir.join("primary")).await;
    let queue = reopen(&primary, &dir.join("spill")).await;
    let appended = dir.join("appended");
    let start = recorded(&appended).last().map_or(0, |last| (last / 1_000 + 1) * 1_000);
    let faults = [Fault::None, Fault::LostAfter, Fault::Away, Fault::Half, Fault::None];
    for n in 0..200 {
        let fault = faults[usize::try_from(n / 4 % 5).unwrap()];
        primary.fail(fault);
        if fault == Fault::None && n % 4 == 0 {
            drained(&queue).await;
        }
        let n = start + 2 * n;
        queue.append(vec![batch(n, 2, 100), batch(n + 1, 1, 100)], None).await.unwrap();
        record(&appended, n);
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
    use std::os::unix::process::ExitStatusExt as _;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "queue::spill::crash::child", "--ignored"])
        .env(DIR, dir)
        .env(POINT, point)
        .output()
        .unwrap();
    let aborted = output.status.signal() == Some(6);
    assert!(aborted || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    aborted
}

async fn check(points: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for point in points {
        assert!(crash(dir.path(), point), "{point} was not met");
    }
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let queue = reopen(&primary, &dir.path().join("spill")).await;
    drained(&queue).await;
    let there: Vec<u64> = primary.batches().await.iter().map(number).collect();
    assert!(there.is_sorted_by(|a, b| a < b), "{points:?}: twice or out of order: {there:?}");
    for n in recorded(&dir.path().join("appended")) {
        let both = there.binary_search(&n).is_ok() && there.binary_search(&(n + 1)).is_ok();
        assert!(both, "{points:?}: {n} was acknowledged and is lost");
    }
    let stats = queue.stats();
    assert_eq!(stats.appended_events, there.iter().map(|n| 2 - n % 2).sum::<u64>(), "{points:?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_at_any_step() {
    for step in failpoint::NAMES.iter().filter(|name| name.starts_with("spill.")) {
        for time in ["1", "4"] {
            check(&[&format!("{step}:{time}")]).await;
        }
    }
}

#[tokio::test]
async fn a_crash_while_a_left_spill_is_drained_does_no_harm() {
    check(&["spill.append.after_store:3", "spill.drain.before_ack:1"]).await;
    check(&["spill.drain.before_ack:1", "spill.drain.before_ack:1"]).await;
    check(&["queue.append.after_sync:9", "spill.drain.after_claim:1"]).await;
    check(&["spill.drain.after_ack:1", "queue.ack.before_write:2"]).await;
}
