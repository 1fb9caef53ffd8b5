//! Settings reach services that run as processes of their own, without a restart: a lane's rate at the
//! Moog Forwarder, retention and the time between rounds at Remediation.

use serde_json::Value;

use crate::support::site::SERVICES;
use crate::support::{Receiver, Reply, Site, until};

fn link(site: &Site, port: usize, state: &str) {
    let text = format!("%LINK-3-UPDOWN: Interface Gi0/{port}, changed state to {state}");
    let event = format!(r#"{{"hostname":"edge-r1","severity":3,"message":"{text}"}}"#);
    assert_eq!(site.ingest("ingestor", &event).status, 200);
}

/// `muttctl config set`; waits until every process works with it, and says so.
fn set(site: &Site, key: &str, value: &str, version: u64) {
    site.ask(&["config", "set", key, value, "--reason", "a test"]);
    until(&format!("version {version} everywhere"), || {
        let told = site.ask(&["processes", "--json"]);
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["settings"].as_u64();
        let all = told.lines().all(|line| of(line) == Some(version));
        (all && told.lines().count() == SERVICES.len()).then_some(())
    });
}

fn cleared(site: &Site) -> i64 {
    site.count("SELECT count(*) FROM mutt.alerts WHERE cleared")
}

#[test]
fn forwarder_and_remediation_follow_settings_as_processes_of_their_own() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "rate = \"1/h\"");
    site.configure("remediation", "interval = \"1d\"");
    site.start_all(&SERVICES);
    site.ready();
    for port in 0..3 {
        link(&site, port, "down");
    }
    until("all are audited", || (site.audited() == 3).then_some(()));
    // One token was there; whatever follows waits an hour, unless the rate is another one.
    until("one delivery", || (receiver.count() == 1).then_some(()));
    set(&site, "sinks.hook.rate", "100/s", 1);
    until("the others", || (receiver.count() == 3).then_some(()));
    link(&site, 0, "up");
    until("one is cleared", || (receiver.count() == 4 && cleared(&site) == 1).then_some(()));
    assert_eq!(site.at_rest().deliveries.delivered, 4);
    // Older than the new setting and younger than the one of the start; no round is due today.
    site.execute("UPDATE mutt.alerts SET cleared_at = cleared_at - 7200000000 WHERE cleared");
    set(&site, "store.retention.alerts", "1h", 2);
    until("retention has removed it", || (cleared(&site) == 0).then_some(()));
    assert_eq!(site.count("SELECT count(*) FROM mutt.alerts"), 2);
    set(&site, "remediation.interval", "1s", 3);
    // A round that the setting itself has rung is over or under way; what ages now needs the next ones.
    for port in ["Gi0/1", "Gi0/2"] {
        let of = format!("NOT cleared AND body LIKE '%{port}%'");
        site.execute(&format!("UPDATE mutt.alerts SET ages_out_at = 1 WHERE {of}"));
        until(&format!("{port} is cleared by age"), || {
            let told = receiver.seen();
            let told = told
                .iter()
                .any(|seen| seen.kind() == "cleared" && seen.body.to_string().contains(port));
            told.then_some(())
        });
    }
    assert!(SERVICES.iter().all(|name| !site.ended(name)));
    site.stop_all();
}
