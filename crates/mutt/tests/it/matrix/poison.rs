//! Row 30: an event ends the process of whoever judges it. The batch that killed its Alerter again and
//! again is judged one event after the other; the one event is set aside with its reason, the others
//! flow.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde_json::json;

use super::{LOAD, Loaded, seed};
use crate::provoked::provoked;
use crate::support::senders::Load;
use crate::support::wait::within;
use crate::support::{Site, until};

/// Who judges a message with these words dies.
const WORDS: &str = "a poisonous message";
/// Three deaths of the batch, two of the event: see `services/alerter/suspects.rs`.
const DEATHS: usize = 5;

fn point() -> String {
    format!("alerter.judge={WORDS}")
}

/// Sends one poisonous event among others of the same host.
fn poison(site: &Site, host: &str) {
    let event = |words: &str| json!({ "hostname": host, "severity": 3, "message": words });
    let body = json!([event("before"), event(WORDS), event("after")]).to_string();
    assert_eq!(site.ingest("ingestor", &body).status, 200);
}

fn set_aside(site: &Site) -> i64 {
    site.count("SELECT count(*) FROM mutt.audit WHERE decision = 'unjudged'")
}

/// Runs an Alerter again and again, as systemd does, until so many events were set aside; how often it
/// died. `hurry`: the leases of the dead one are ended, instead of waiting ten seconds for it.
#[track_caller]
fn until_set_aside(site: &mut Site, name: &str, events: i64, hurry: bool) -> usize {
    let mut deaths = 0;
    loop {
        site.start_with(name, Some(&point()));
        let mut program = site.take(name);
        let died = within(super::BACKLOG_TIME, || {
            if let Some(status) = program.process().poll() {
                return Some(Some(status));
            }
            (set_aside(site) >= events).then_some(None)
        });
        let Some(status) = died.expect("it neither dies nor goes on") else {
            site.put(name, program);
            return deaths;
        };
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{}", program.log());
        deaths += 1;
        if hurry {
            for shard in 0..8 {
                site.redis.command(&["HSET", &format!("{{mutt:{shard}}}:state"), "until", "0"]);
            }
        }
    }
}

/// What the audit says of the poisonous events, and that all others are judged.
#[track_caller]
fn told(site: &Site, events: i64) {
    assert_eq!(set_aside(site), events);
    let alert = "SELECT count(*) FROM mutt.alerts WHERE problem = 'mutt-event-unjudged'";
    until("an alert tells", || (site.count(alert) > 0).then_some(()));
}

#[test]
fn an_event_that_kills_its_alerter_is_set_aside_and_the_others_flow() {
    let mut loaded = Loaded::start(Site::new(), &["alerter"]);
    loaded.site.stop("alerter");
    poison(&loaded.site, "poisoned-r1");
    let deaths = until_set_aside(&mut loaded.site, "alerter", 1, true);
    assert_eq!(deaths, DEATHS);
    told(&loaded.site, 1);
    let log = loaded.site.program("alerter").log();
    let line = log.lines().find(|line| line.contains("MUTT-A007")).unwrap();
    assert!(line.contains("an Alerter died 2 times judging it"), "{line}");
    provoked("MUTT-A007", line);
    let unjudged = ["status=\"unjudged\""];
    let program = loaded.site.program("alerter");
    assert_eq!(program.metric("alerter", "mutt_alerter_events_processed_total", &unjudged), 1.0);
    loaded.settle_whole(30);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_30_poison() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut site = Site::new();
    site.start_all(&["web-ui", "ingestor", "alerter-1"]);
    // Most of the time nobody judges.
    let mut loaded = Loaded::under(site, Load { http: 1, records: 1, ..LOAD });
    loaded.site.kill("alerter-1");
    let mut deaths = 0;
    for round in 1..=4 {
        // Now and then both: the one that comes takes the shards of the one that died.
        let name = format!("alerter-{}", random.usize(1..3));
        poison(&loaded.site, &format!("poisoned-r{}", random.usize(0..20)));
        deaths += until_set_aside(&mut loaded.site, &name, round, false);
        told(&loaded.site, round);
        println!("row 30: {round} set aside after {deaths} deaths");
        loaded.site.kill(&name);
    }
    loaded.site.start("alerter-3");
    loaded.site.ready();
    loaded.settle_whole(30);
}
