//! Row 31: Redis is away, once and again and again. The Ingestor spills, and drains in the order of each
//! source when it is back.

use std::time::Duration;

use super::{LOAD, Loaded, seed};
use crate::support::senders::Load;
use crate::support::wait::dawdle;
use crate::support::{Site, Stopwatch, until};

/// Redis is away so long, under load; it ends with the spill empty where `drained`.
#[track_caller]
fn away(loaded: &mut Loaded, time: Duration, drained: bool) {
    loaded.site.redis.kill();
    let watch = Stopwatch::start();
    loaded.answered(50);
    dawdle(time.saturating_sub(watch.elapsed()));
    loaded.site.redis.restart();
    if drained {
        let spilling =
            || loaded.site.program("ingestor").ingestor_metric("mutt_queue_spilling", &[]) == 1.0;
        until("the spill is drained", || (!spilling()).then_some(()));
    }
}

#[track_caller]
fn settled(loaded: Loaded) {
    let metric = |name| loaded.site.program("ingestor").ingestor_metric(name, &[]);
    let spilled = metric("mutt_queue_spilled_events_total");
    assert!(spilled > 0.0);
    println!("row 31: {spilled} events were spilled");
    let counted = loaded.settle_whole(31);
    assert_eq!(counted.told.refused, 0, "it accepts all the time");
}

#[test]
fn a_redis_that_comes_and_goes_costs_neither_an_event_nor_the_order() {
    let mut loaded = Loaded::start(Site::new(), &["alerter"]);
    away(&mut loaded, Duration::from_secs(2), true);
    for _ in 0..3 {
        away(&mut loaded, Duration::from_millis(100), false);
    }
    settled(loaded);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_31_redis_away() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut site = Site::new();
    site.start_all(&["web-ui", "ingestor", "alerter"]);
    // What ten minutes bring must fit into the spill, and be judged in a few.
    let mut loaded = Loaded::under(site, Load { records: 1, ..LOAD });
    for _ in 0..30 {
        away(&mut loaded, Duration::from_millis(random.u64(0..3_000)), random.bool());
    }
    away(&mut loaded, Duration::from_secs(600), false);
    for _ in 0..10 {
        away(&mut loaded, Duration::from_millis(random.u64(0..1_000)), false);
    }
    settled(loaded);
}
