//! Row 29: an Alerter dies between its commit in PostgreSQL and the acknowledgement to the event queue.
//! A peer takes its shards over, meets the receipts, and nothing stands twice.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;

use super::{Loaded, seed};
use crate::support::Site;

/// Steps behind a commit that PostgreSQL has answered.
const STEPS: [&str; 2] = ["store.commit.after_commit", "alerter.before_ack"];

/// Starts this Alerter so that it dies at a step, for the nth time, while its peer lives.
#[track_caller]
fn dies(loaded: &mut Loaded, name: &str, step: &str, time: u32) {
    loaded.site.start_with(name, Some(&format!("{step}:{time}")));
    let mut program = loaded.site.take(name);
    let status = program.process().wait();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{}", program.log());
    // The peer has its shards when the lease has ended.
    loaded.audited(200);
}

#[test]
fn a_peer_takes_over_what_was_committed_and_not_acknowledged() {
    let mut loaded = Loaded::start(Site::new(), &["alerter-1"]);
    dies(&mut loaded, "alerter-2", STEPS[1], 3);
    loaded.settle_whole(29);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_29_alerter_dies() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut loaded = Loaded::start(Site::new(), &["alerter-1"]);
    for round in 0..20 {
        dies(&mut loaded, "alerter-2", STEPS[round % 2], random.u32(1..12));
    }
    loaded.settle_whole(29);
}
