//! The process dies at one exact step, once for each named fail point, and once more in its recovery.

use std::time::Duration;

use mutt_model::failpoint;

use super::{check_all, setup, slow_receiver};
use crate::support::Setup;
use crate::support::senders::{Load, Senders};

/// Enough to meet every step several times.
const LOAD: Load = Load { http: 3, records: 5, filling: 3_000, informs: 1, pace: Duration::ZERO };

/// Starts with a fail point in the recovery, which is met before anything listens.
#[track_caller]
fn dies_at_start(setup: &Setup, point: &str) {
    setup.spawn(Some(point)).died(point);
}

/// Dies at `point` under load, then at each of `again` in the recovery; then everything is there.
fn dies(point: &str, again: &[&str]) {
    let receiver = slow_receiver(1);
    let mut setup = setup(&receiver);
    // The smallest cap makes the smallest files: rolled and removed within a moment.
    setup.set("queue", "max_events = 5000");
    let senders = Senders::start(LOAD);
    let program = setup.start_with(Some(point));
    senders.aim(&program);
    program.died(point);
    for next in again {
        dies_at_start(&setup, next);
    }
    let program = setup.start();
    senders.aim(&program);
    crate::support::senders::answered(&senders, senders.acknowledged() + 50);
    let (_, report) = check_all(program, senders, &receiver);
    println!("{point} {again:?}: {report}");
}

/// One test for each fail point, and the list of those that have one.
macro_rules! points {
    ($($test:ident $point:literal $($again:literal)*;)*) => {
        $(#[test]
        fn $test() {
            dies($point, &[$($again),*]);
        })*

        const TESTED: &[&str] = &[$($point, $($again,)*)*];
    };
}

points! {
    append_before_write "queue.append.before_write:20";
    append_torn_write "queue.append.torn_write:20";
    append_before_sync "queue.append.before_sync:20";
    append_after_sync "queue.append.after_sync:20";
    roll_after_create "queue.roll.after_create";
    acknowledge_before_write "queue.ack.before_write:5";
    acknowledge_after_write "queue.ack.after_write:5";
    trim_before_unlink "queue.trim.before_unlink";
    commit_before_begin "store.commit.before_begin:5";
    commit_before_commit "store.commit.before_commit:5";
    commit_after_commit "store.commit.after_commit:5";
    after_judge "alerter.after_judge:5";
    before_acknowledge "alerter.before_ack:5";
    before_attempt "forwarder.before_attempt:5";
    after_attempt "forwarder.after_attempt:5";
    after_record "forwarder.after_record:5";
    recovery_before_truncate "queue.append.torn_write:15" "queue.recover.before_truncate";
    recovery_after_truncate "queue.append.torn_write:15" "queue.recover.after_truncate";
    recovery_twice "queue.append.torn_write:15" "queue.recover.before_truncate" "queue.recover.after_truncate";
}

#[test]
fn every_fail_point_is_tested() {
    let tested: Vec<&str> = TESTED.iter().map(|t| t.split(':').next().unwrap()).collect();
    // The steps of servers and of the spill before them are ended by `site::points`, those of archives,
    // which stand on every backend, by mutt-store.
    // An event that kills whoever judges it: row 30 of the matrix.
    // Those of the import are ended by its own tests.
    let elsewhere = ["redis.", "spill.", "store.archive.", "alerter.judge", "import."];
    let here =
        failpoint::NAMES.iter().filter(|name| !elsewhere.iter().any(|e| name.starts_with(e)));
    let missing: Vec<_> = here.filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "add to `points!`: {missing:?}");
}
