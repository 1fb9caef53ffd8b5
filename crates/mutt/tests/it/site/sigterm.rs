//! SIGTERM under load, as an upgrade sends it: each service in turn, then all of them. Nothing is lost,
//! also of TCP peers that react to our half-close, and each ends within its time.

use std::time::Duration;

use super::load::{Loaded, PROCESSES, balance, soak_seed};
use crate::support::peers::Peers;
use crate::support::senders::Load;
use crate::support::{Site, Stopwatch};

/// `shutdown_timeout`, below the unit's TimeoutStopSec.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// How often the long form stops each process.
const ROUNDS: usize = 10;

/// Stops a process, which must end well, and gives how long that took.
#[track_caller]
fn stop(site: &mut Site, name: &str) -> Duration {
    let watch = Stopwatch::start();
    site.stop(name);
    let took = watch.elapsed();
    assert!(took < SHUTDOWN, "{name}: {took:?}");
    took
}

/// Stops one process and starts it again under load.
#[track_caller]
fn turn(loaded: &mut Loaded, peers: &Peers, name: &str) -> Duration {
    let took = stop(&mut loaded.site, name);
    if name == "ingestor" {
        peers.away();
    }
    loaded.start(name);
    if name == "ingestor" {
        peers.aim(loaded.site.program(name));
    }
    loaded.goes_on();
    took
}

#[test]
fn row_04_sigterm_under_load_loses_nothing() {
    let mut loaded = Loaded::new(&PROCESSES, Load::CALM, 4);
    let peers = Peers::start(4);
    peers.aim(loaded.site.program("ingestor"));
    let mut longest = Duration::ZERO;
    for name in PROCESSES {
        longest = longest.max(turn(&mut loaded, &peers, name));
    }
    // The whole site, in flow order, and back.
    for name in PROCESSES {
        longest = longest.max(stop(&mut loaded.site, name));
    }
    peers.away();
    for name in PROCESSES {
        loaded.start(name);
    }
    peers.aim(loaded.site.program("ingestor"));
    loaded.goes_on();
    println!("row 4: the longest stop took {longest:?}");
    whole(loaded, peers);
}

/// Ends the load: no connection was cut, and all that was sent is audited once.
#[track_caller]
fn whole(loaded: Loaded, peers: Peers) {
    let Loaded { site, senders, receiver } = loaded;
    let mut told = senders.finish();
    let cut = peers.finish(&mut told);
    assert_eq!(cut, 0, "messages over connections that were cut off");
    let counted = balance(site, &receiver, told);
    assert_eq!(counted.told.acknowledged, counted.told.sent);
    println!("row 4: {counted}");
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_04_sigterm() {
    let seed = soak_seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut loaded = Loaded::new(&PROCESSES, Load::CALM, seed);
    let peers = Peers::start(4);
    peers.aim(loaded.site.program("ingestor"));
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let mut names = PROCESSES;
        random.shuffle(&mut names);
        for name in names {
            longest = longest.max(turn(&mut loaded, &peers, name));
        }
    }
    println!("row 4: seed {seed}, {ROUNDS} rounds, the longest stop took {longest:?}");
    whole(loaded, peers);
}
