//! Each process of a site dies at one exact step, once for each named fail point of the production
//! engines, and once more while it recovers from that.

use mutt_model::failpoint;

use super::load::{Counted, Loaded};
use crate::support::senders::Load;
use crate::support::{Site, until};

/// Enough to meet every step, and to fill and remove files of the spill.
const LOAD: Load = Load { http: 3, filling: 3_000, informs: 1, ..Load::CALM };
/// Small files in the spill, so that they are filled and removed: an eighth of it each.
const SPILL_CAP: &str = "max_bytes = \"32MiB\"";
/// More events than one of these files holds.
const MORE_THAN_A_FILE: f64 = 1_400.0;

/// While the Ingestor appends to Redis.
const APPEND: &[&str] = &["redis.append.before_send:20", "redis.append.after_answer:20"];
/// When it begins to spill.
const FIRST_SPILLED: &str = "spill.append.before_store";
/// While it spills, since Redis is away.
const SPILL: &[&str] = &[
    "spill.append.after_store:5",
    "queue.append.before_write:5",
    "queue.append.torn_write:5",
    "queue.append.before_sync:5",
    "queue.append.after_sync:5",
    "queue.roll.after_create",
];
/// While it drains the spill, since Redis is back.
const DRAIN: &[&str] = &[
    "spill.drain.after_claim",
    "spill.drain.before_ack",
    "spill.drain.after_ack",
    "queue.ack.before_write",
    "queue.ack.after_write",
    "queue.trim.before_unlink",
];
/// While the Ingestor opens a spill with a torn end.
const RECOVER: &[&str] = &["queue.recover.before_truncate", "queue.recover.after_truncate"];
/// While an Alerter judges, commits to PostgreSQL and acknowledges to Redis.
const JUDGE: &[&str] = &[
    "alerter.after_judge:5",
    "store.commit.before_begin:5",
    "store.commit.before_commit:5",
    "store.commit.after_commit:5",
    "alerter.before_ack:5",
    "redis.ack.before_send:5",
    "redis.ack.after_answer:5",
];
/// While a Forwarder delivers.
const DELIVER: &[&str] =
    &["forwarder.before_attempt:5", "forwarder.after_attempt:5", "forwarder.after_record:5"];

/// What one shard's owner does for the others, so that an armed one has work.
const REST: [&str; 4] = ["alerter", "moog-forwarder", "remediation", "web-ui"];

fn ingestor_and_rest() -> Loaded {
    let receiver = super::load::slow_receiver(2);
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "rate = \"10000/s\"").configure("queue.spill", SPILL_CAP);
    let names: Vec<&str> = std::iter::once("ingestor").chain(REST).collect();
    Loaded::with(site, receiver, &names, LOAD)
}

/// Kills the Ingestor and starts it with an armed fail point.
fn arm(loaded: &mut Loaded, point: &str) {
    loaded.site.kill("ingestor");
    loaded.site.start_with("ingestor", Some(point));
    loaded.aim();
}

/// The armed Ingestor dies, and is started again.
#[track_caller]
fn dies(loaded: &mut Loaded, point: &str) {
    loaded.site.dies_at("ingestor", point);
    loaded.start("ingestor");
    loaded.goes_on();
}

fn depth(loaded: &Loaded) -> f64 {
    loaded.site.program("ingestor").ingestor_metric("mutt_queue_spill_depth", &[])
}

#[track_caller]
fn drained(loaded: &Loaded) {
    until("the spill is empty", || (depth(loaded) == 0.0).then_some(()));
}

/// Dies at a step of draining: what was spilled meets a Redis that is back.
#[track_caller]
fn dies_draining(loaded: &mut Loaded, point: &str) {
    drained(loaded);
    loaded.site.redis.kill();
    loaded.goes_on();
    if point.starts_with("queue.trim.") {
        until("more than a file", || (depth(loaded) > MORE_THAN_A_FILE).then_some(()));
    }
    loaded.site.kill("ingestor");
    loaded.site.redis.restart();
    loaded.site.dies_at_start("ingestor", point);
}

#[track_caller]
fn all_there(loaded: Loaded) -> Counted {
    let counted = loaded.check();
    assert_eq!(counted.told.acknowledged, counted.told.sent);
    counted
}

#[test]
fn row_02_the_ingestor_dies_at_every_step_of_an_append() {
    let mut loaded = ingestor_and_rest();
    for point in APPEND {
        arm(&mut loaded, point);
        dies(&mut loaded, point);
    }
    // Nothing is spilled and nobody sends until Redis is away: what comes then is the first.
    loaded.senders.rest();
    drained(&loaded);
    loaded.site.redis.kill();
    arm(&mut loaded, FIRST_SPILLED);
    dies(&mut loaded, FIRST_SPILLED);
    for point in SPILL {
        arm(&mut loaded, point);
        dies(&mut loaded, point);
    }
    loaded.site.redis.restart();
    println!("row 2, append: {}", all_there(loaded));
}

#[test]
fn row_02_the_ingestor_dies_at_every_step_of_a_drain() {
    let mut loaded = ingestor_and_rest();
    for point in DRAIN {
        dies_draining(&mut loaded, point);
        loaded.start("ingestor");
        loaded.goes_on();
    }
    println!("row 2, drain: {}", all_there(loaded));
}

/// An Alerter for each of these points, which is armed with it and dies there under load.
#[track_caller]
fn alerters_die(loaded: &mut Loaded, points: &[&str]) {
    for point in points {
        loaded.site.start_with(&format!("alerter-{point}"), Some(point));
    }
    for point in points {
        loaded.site.dies_at(&format!("alerter-{point}"), point);
    }
}

#[test]
fn row_02_alerters_die_at_every_step() {
    let mut loaded = Loaded::new(&["ingestor", "alerter", "moog-forwarder", "web-ui"], LOAD, 2);
    // The one that lives hands a shard over to each, and takes it back when its lease has ended.
    alerters_die(&mut loaded, JUDGE);
    println!("row 2, judge and commit: {}", all_there(loaded));
}

#[test]
fn row_02_forwarders_die_at_every_step() {
    let receiver = super::load::slow_receiver(2);
    let mut site = Site::new();
    let names: Vec<String> =
        DELIVER.iter().map(|point| format!("moog-forwarder-{point}")).collect();
    // Each knows a sink more than the one before it, so that each finds one that nobody serves yet.
    for (number, (name, point)) in names.iter().zip(DELIVER).enumerate() {
        site.webhook(&format!("hook-{number}"), &receiver.url(), "rate = \"10000/s\"");
        site.start_with(name, Some(point));
        site.ready();
    }
    let mut loaded = Loaded::with(site, receiver, &["ingestor", "alerter", "web-ui"], LOAD);
    for (name, point) in names.iter().zip(DELIVER) {
        loaded.site.dies_at(name, point);
    }
    loaded.site.start("moog-forwarder");
    println!("row 2, deliver: {}", all_there(loaded));
}

#[test]
fn row_03_the_ingestor_dies_again_while_it_recovers() {
    let mut loaded = ingestor_and_rest();
    loaded.site.redis.kill();
    for again in [&RECOVER[..1], &RECOVER[1..], RECOVER] {
        arm(&mut loaded, "queue.append.torn_write:5");
        loaded.site.dies_at("ingestor", "queue.append.torn_write:5");
        for point in again {
            loaded.site.dies_at_start("ingestor", point);
        }
        loaded.start("ingestor");
        loaded.goes_on();
    }
    loaded.site.redis.restart();
    // What a death left in the spill is drained, and that dies, too.
    for (first, then) in [
        ("spill.drain.before_ack", "spill.drain.before_ack"),
        ("spill.drain.after_claim", "queue.ack.before_write"),
    ] {
        dies_draining(&mut loaded, first);
        loaded.site.dies_at_start("ingestor", then);
        loaded.start("ingestor");
        loaded.goes_on();
    }
    println!("row 3, the Ingestor: {}", all_there(loaded));
}

#[test]
fn row_03_an_alerter_dies_again_while_it_recovers() {
    let mut loaded = Loaded::new(&["ingestor", "alerter", "moog-forwarder", "web-ui"], LOAD, 3);
    // Its batches are committed and not acknowledged: those who take its shards meet them again, and
    // die again before, in and after the commit that finds their receipts.
    loaded.site.stop("alerter");
    alerters_die(&mut loaded, &["store.commit.after_commit:3"]);
    alerters_die(
        &mut loaded,
        &["store.commit.before_commit", "alerter.before_ack", "redis.ack.after_answer"],
    );
    loaded.site.start("alerter");
    println!("row 3, Alerters: {}", all_there(loaded));
}

#[test]
fn every_fail_point_of_the_production_engines_is_tested() {
    // Archives are mutt-store's, an event that kills whoever judges it is row 30 of the matrix, and the
    // import has tests of its own.
    let elsewhere = ["store.archive.", "alerter.judge", "import."];
    let tested: Vec<&str> = [APPEND, &[FIRST_SPILLED], SPILL, DRAIN, RECOVER, JUDGE, DELIVER]
        .concat()
        .iter()
        .map(|point| point.split(':').next().unwrap())
        .collect();
    let here =
        failpoint::NAMES.iter().filter(|name| !elsewhere.iter().any(|e| name.starts_with(e)));
    let missing: Vec<_> = here.filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "add to a list here: {missing:?}");
}
