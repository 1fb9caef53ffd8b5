//! Row 32: PostgreSQL goes away in a commit, before it arrives, or before its answer does, or with the
//! whole server. Each event stands in the audit exactly once.

use std::time::Duration;

use super::{Loaded, seed};
use crate::support::cutter::{Cut, Cutter};
use crate::support::wait::dawdle;
use crate::support::{Site, until};

/// An Alerter that reaches PostgreSQL through a cutter; the others reach it directly.
fn loaded() -> (Loaded, Cutter) {
    let mut site = Site::new();
    let cutter = Cutter::before(site.postgres.folder());
    site.start_all(&["web-ui", "ingestor"]);
    site.store_url(&cutter.url("mutt"));
    site.start("alerter");
    (Loaded::running(site), cutter)
}

/// The next commit is cut, and commits go on.
#[track_caller]
fn cut(loaded: &Loaded, cutter: &Cutter, how: Cut) {
    let before = cutter.cuts();
    cutter.next(how);
    until("a commit is cut", || (cutter.cuts() > before).then_some(()));
    loaded.audited(20);
}

#[track_caller]
fn server_killed(loaded: &mut Loaded) {
    loaded.site.kill_postgres();
    loaded.site.start_postgres();
    loaded.audited(20);
}

#[test]
fn a_commit_whose_answer_never_comes_stands_once() {
    let (mut loaded, cutter) = loaded();
    for how in [Cut::Answer, Cut::Commit, Cut::Answer] {
        cut(&loaded, &cutter, how);
    }
    server_killed(&mut loaded);
    loaded.settle_whole(32);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_32_commit_cut() {
    let mut random = fastrand::Rng::with_seed(seed());
    let (mut loaded, cutter) = loaded();
    for round in 0..50 {
        dawdle(Duration::from_millis(random.u64(0..300)));
        match round % 5 {
            0 | 1 => cut(&loaded, &cutter, Cut::Answer),
            2 => cut(&loaded, &cutter, Cut::Commit),
            _ => server_killed(&mut loaded),
        }
    }
    println!("row 32: {} commits cut off, 20 times the server killed", cutter.cuts());
    loaded.settle_whole(32);
}
