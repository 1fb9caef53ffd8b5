//! Three Alerters as three processes: they share the shards, take what a killed one held, and judge by
//! a new rule set within a second, also where no notification arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::deaf::Deaf;
use crate::support::{Site, Stopwatch, until};

const ALERTERS: [&str; 3] = ["alerter-1", "alerter-2", "alerter-3"];

/// Waits until these processes, and no others, own the shards.
#[track_caller]
fn shared(site: &Site, names: &[&str]) {
    let wanted: BTreeSet<u32> = names.iter().map(|name| site.program(name).id()).collect();
    until("the shards are shared", || {
        (site.owners().into_iter().collect::<BTreeSet<_>>() == wanted).then_some(())
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

/// Makes 100 changes of a setting through the Web UI; each must be in force at all three within a second.
#[track_caller]
fn set_100_times(site: &Site) {
    let mut api = site.program("web-ui").api();
    let mut slowest = Duration::ZERO;
    for change in 1..=100 {
        let body = json!({ "value": 1_000 + change, "reason": "a test" });
        let key = "/api/v2/config/alerter.unhandled_threshold";
        let answer = api.call("PUT", key, Some(&body)).unwrap();
        assert_eq!(answer.status, if change == 1 { 201 } else { 200 });
        let version = answer.json()["version"].as_f64().unwrap();
        let watch = Stopwatch::start();
        until("it is in force at all three", || {
            let at = |name| site.program(name).metric("alerter", "mutt_settings_version", &[]);
            ALERTERS.iter().all(|name| at(name) >= version).then_some(())
        });
        slowest = slowest.max(watch.elapsed());
        assert!(slowest < Duration::from_secs(1), "change {change}: {slowest:?}");
    }
    println!("100 settings, each in force at three Alerters, the slowest after {slowest:?}");
}

/// Three Alerters over a site, at which something is changed a hundred times.
fn three_alerters(change_100_times: fn(&Site)) {
    let mut site = Site::new();
    site.start("web-ui");
    site.start_all(&ALERTERS);
    site.ready();
    change_100_times(&site);
    site.stop_all();
}

/// The same where nothing is told to them.
fn three_deaf_alerters(change_100_times: fn(&Site)) {
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

#[test]
fn a_hundred_settings_are_each_live_within_a_second_at_three_processes() {
    three_alerters(set_100_times);
}

#[test]
fn settings_are_live_within_a_second_where_no_notification_arrives() {
    three_deaf_alerters(set_100_times);
}

#[test]
fn a_hundred_rule_changes_are_each_live_within_a_second_at_three_processes() {
    three_alerters(change_100_times);
}

#[test]
fn rule_changes_are_live_within_a_second_where_no_notification_arrives() {
    three_deaf_alerters(change_100_times);
}
