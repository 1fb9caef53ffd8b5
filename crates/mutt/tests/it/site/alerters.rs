//! Three Alerters as three processes: they share the shards, take what a killed one held, and judge by
//! a new rule set within a second, also where no notification arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::deaf::Deaf;
use crate::support::{Site, Stopwatch, until};

const ALERTERS: [&str; 3] = ["alerter-1", "alerter-2", "alerter-3"];

/// Which process owns which shard.
fn owners(site: &Site) -> Vec<u32> {
    let owner = |shard: i32| {
        let said = site.redis.command(&["HGET", &format!("{{mutt:{shard}}}:state"), "owner"]);
        said.rsplit(':').next().and_then(|pid| pid.parse().ok()).unwrap_or(0)
    };
    (0..8).map(owner).collect()
}

/// Waits until these processes, and no others, own the shards.
#[track_caller]
fn shared(site: &Site, names: &[&str]) {
    let wanted: BTreeSet<u32> = names.iter().map(|name| site.program(name).id()).collect();
    until("the shards are shared", || {
        (owners(site).into_iter().collect::<BTreeSet<_>>() == wanted).then_some(())
    });
}

/// An event of each of so many hosts, so that every shard has some.
fn send(site: &Site, hosts: usize, word: &str) {
    let event = |host| json!({ "hostname": format!("h{host}"), "severity": 5, "message": word });
    let body = serde_json::Value::from_iter((0..hosts).map(event)).to_string();
    assert_eq!(site.ingest("ingestor", &body).status, 200);
}

#[test]
fn what_a_killed_alerter_held_is_taken_over() {
    let mut site = Site::new();
    site.start_all(&["ingestor", "web-ui"]);
    site.start_all(&ALERTERS);
    site.ready();
    shared(&site, &ALERTERS);
    send(&site, 200, "before");
    until("200 are audited", || (site.audited() == 200).then_some(()));
    // Its leases stand, its connections end: what comes for its shards now waits for another.
    site.kill("alerter-2");
    send(&site, 200, "after");
    until("400 are audited", || (site.audited() == 400).then_some(()));
    shared(&site, &["alerter-1", "alerter-3"]);
    site.start("alerter-2");
    shared(&site, &ALERTERS);
    let ledger = site.at_rest();
    assert_eq!((ledger.events.received, ledger.events.unaccounted), (400, 0));
    assert_eq!((ledger.events.audited, site.audited()), (400, 400));
    site.stop_all();
}

/// Development hosts in force at an Alerter.
fn in_force(site: &Site, name: &str) -> usize {
    site.program(name).metric("alerter", "mutt_alerter_cache_dev_hosts_count", &[]) as usize
}

/// Makes 100 changes through the Web UI; each must be in force at all three within a second.
#[track_caller]
fn change_100_times(site: &Site) {
    let mut api = site.program("web-ui").api();
    let begun = in_force(site, ALERTERS[0]);
    for change in 1..=100 {
        api.post("/api/v2/dev-hosts", &json!({ "hostname": format!("lab-{change}") }));
        let watch = Stopwatch::start();
        until("it is in force at all three", || {
            ALERTERS.iter().all(|name| in_force(site, name) == begun + change).then_some(())
        });
        let took = watch.elapsed();
        assert!(took < Duration::from_secs(1), "change {change}: {took:?}");
    }
}

#[test]
fn a_hundred_rule_changes_are_each_live_within_a_second_at_three_processes() {
    let mut site = Site::new();
    site.start("web-ui");
    site.start_all(&ALERTERS);
    site.ready();
    change_100_times(&site);
    site.stop_all();
}

#[test]
fn rule_changes_are_live_within_a_second_where_no_notification_arrives() {
    let mut site = Site::new();
    let deaf = Deaf::before(site.postgres.folder());
    site.start("web-ui");
    site.store_url(&deaf.url("mutt"));
    site.start_all(&ALERTERS);
    site.ready();
    change_100_times(&site);
    assert!(deaf.kept() >= 300, "only {} notifications were kept away", deaf.kept());
    site.stop_all();
}
