//! Processes and servers that stand still under load (SIGSTOP, SIGCONT), for longer than any lease:
//! others take over, and what wakes writes nothing under a lease that moved on.

use std::time::Duration;

use super::load::{Loaded, PROCESSES, soak_seed};
use crate::support::senders::Load;
use crate::support::wait::dawdle;
use crate::support::{Stopwatch, until};

/// Longer than a shard's lease.
const BEYOND_LEASE: Duration = Duration::from_secs(11);
/// How long a thing of the long form stands still.
const LONG_HALT: Duration = Duration::from_secs(60);

/// Halts an Alerter until the other one owns every shard and has committed under load, at least for so
/// long.
#[track_caller]
fn halt_an_alerter(loaded: &Loaded, least: Duration) {
    let site = &loaded.site;
    let other = site.program("alerter-2").id();
    let halted = site.halt("alerter-1");
    let watch = Stopwatch::start();
    until("the other one owns every shard", || {
        site.owners().iter().all(|owner| *owner == other).then_some(())
    });
    let (audited, acknowledged) = (site.audited(), loaded.senders.acknowledged());
    until("the other one commits", || (site.audited() > audited + 100).then_some(()));
    until("senders are answered meanwhile", || {
        (loaded.senders.acknowledged() > acknowledged).then_some(())
    });
    dawdle(least.saturating_sub(watch.elapsed()));
    drop(halted);
    loaded.goes_on();
}

#[test]
fn row_05_an_alerter_stands_still_beyond_its_lease() {
    let names = ["ingestor", "alerter-1", "alerter-2", "moog-forwarder", "web-ui"];
    let loaded = Loaded::new(&names, Load::CALM, 5);
    until("both have shards", || {
        let (one, two) =
            (loaded.site.program("alerter-1").id(), loaded.site.program("alerter-2").id());
        let owners = loaded.site.owners();
        (owners.contains(&one) && owners.contains(&two)).then_some(())
    });
    halt_an_alerter(&loaded, BEYOND_LEASE);
    for server in ["redis", "postgres"] {
        let site = &loaded.site;
        let halted = if server == "redis" { site.halt_redis() } else { site.halt_postgres() };
        // Short of what counts as away: the next answer may come late, and counts.
        dawdle(Duration::from_secs(1));
        drop(halted);
        loaded.goes_on();
    }
    let counted = loaded.check();
    assert_eq!(counted.told.acknowledged, counted.told.sent);
    println!("row 5: {counted}");
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_05_pause() {
    let seed = soak_seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let watch = Stopwatch::start();
    let loaded = Loaded::new(&PROCESSES, Load::CALM, seed);
    halt_an_alerter(&loaded, LONG_HALT);
    let mut order =
        ["redis", "postgres", "ingestor", "moog-forwarder-1", "moog-forwarder-2", "remediation"];
    random.shuffle(&mut order);
    for name in order {
        let before = loaded.senders.acknowledged();
        let halted = match name {
            "redis" => loaded.site.halt_redis(),
            "postgres" => loaded.site.halt_postgres(),
            process => loaded.site.halt(process),
        };
        dawdle(LONG_HALT);
        let meanwhile = loaded.senders.acknowledged() - before;
        assert!(meanwhile > 0 || name == "ingestor", "{name}: nothing was taken meanwhile");
        drop(halted);
        loaded.goes_on();
        println!("{name} stood still for {LONG_HALT:?}: {meanwhile} acknowledged meanwhile");
    }
    let counted = loaded.check();
    assert_eq!(counted.told.acknowledged, counted.told.sent);
    let seconds = watch.elapsed().as_secs_f64();
    println!(
        "pauses: seed {seed}, {} things of {LONG_HALT:?} each in {seconds:.0} s; {counted}",
        order.len() + 1
    );
}
