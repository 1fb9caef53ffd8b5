//! Two Moog Forwarders as two processes: each with a sink of its own at the same time, and both with the
//! same one, which one of them serves while the other stands by.

use serde_json::json;

use crate::support::{Receiver, Reply, Site, until};

const FORWARDERS: [&str; 2] = ["moog-forwarder-1", "moog-forwarder-2"];
const COUNT: usize = 40;

/// Opens an alert on each of so many hosts.
fn open(site: &Site, word: &str) {
    let event = |n| {
        json!({
            "hostname": format!("{word}-{n}"), "severity": 3,
            "message": "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
        })
    };
    let body = serde_json::Value::from_iter((0..COUNT).map(event)).to_string();
    assert_eq!(site.ingest("ingestor", &body).status, 200);
}

/// The process that serves a sink, as the Web UI says.
fn owner(site: &Site, sink: &str) -> Option<u32> {
    let list = site.program("web-ui").api().get("/api/v2/sinks");
    let mut sinks = list["items"].as_array().unwrap().iter();
    let found = sinks.find(|item| item["name"] == sink)?;
    found["owner"].as_str()?.split(':').nth(1)?.parse().ok()
}

/// Each delivery was received once.
#[track_caller]
fn once(receiver: &Receiver, count: usize) {
    until("all are delivered", || (receiver.count() >= count).then_some(()));
    let seen = receiver.seen();
    let ids: std::collections::BTreeSet<&str> = seen.iter().map(|s| s.id()).collect();
    assert_eq!((seen.len(), ids.len()), (count, count));
}

#[test]
fn two_forwarders_serve_different_sinks_at_the_same_time() {
    let (a, b) = (Receiver::answering(Reply::status(200)), Receiver::answering(Reply::status(200)));
    let mut site = Site::new();
    site.prepare(FORWARDERS[0]).webhook("a", &a.url(), "rate = \"1000/s\"");
    site.prepare(FORWARDERS[1]).webhook("b", &b.url(), "rate = \"1000/s\"");
    site.webhook("a", &a.url(), "").webhook("b", &b.url(), "");
    site.start_all(&["ingestor", "alerter", "web-ui"]);
    site.start_all(&FORWARDERS);
    site.ready();
    open(&site, "first");
    once(&a, COUNT);
    once(&b, COUNT);
    let at = |name: &str| Some(site.program(name).id());
    assert_eq!((owner(&site, "a"), owner(&site, "b")), (at(FORWARDERS[0]), at(FORWARDERS[1])));
    // One that stops holds nobody else up.
    site.stop(FORWARDERS[0]);
    open(&site, "second");
    once(&b, 2 * COUNT);
    assert_eq!(a.count(), COUNT);
    site.start(FORWARDERS[0]);
    once(&a, 2 * COUNT);
    let deliveries = site.at_rest().deliveries;
    assert_eq!((deliveries.created, deliveries.delivered), (160, 160), "{deliveries:?}");
    site.stop_all();
}

#[test]
fn two_forwarders_share_no_sink_and_the_other_takes_it_over() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "rate = \"1000/s\"");
    site.start_all(&["ingestor", "alerter", "web-ui"]);
    site.start_all(&FORWARDERS);
    site.ready();
    open(&site, "first");
    once(&receiver, COUNT);
    let serves = owner(&site, "hook").unwrap();
    let (one, other) = if site.program(FORWARDERS[0]).id() == serves {
        (FORWARDERS[0], FORWARDERS[1])
    } else {
        (FORWARDERS[1], FORWARDERS[0])
    };
    assert_eq!(site.program(one).id(), serves);
    site.stop(one);
    open(&site, "second");
    once(&receiver, 2 * COUNT);
    assert_eq!(owner(&site, "hook"), Some(site.program(other).id()));
    // The one that comes back stands by.
    site.start(one);
    site.ready();
    open(&site, "third");
    once(&receiver, 3 * COUNT);
    assert_eq!(owner(&site, "hook"), Some(site.program(other).id()));
    // One that stood still for longer than its lease stands by when it wakes, and is ready.
    let halted = site.halt(other);
    let serves = site.program(one).id();
    until("the sink is taken over", || (owner(&site, "hook") == Some(serves)).then_some(()));
    drop(halted);
    until("the loss is told", || {
        site.program(other).log().contains("the lane starts anew").then_some(())
    });
    site.ready();
    let deliveries = site.at_rest().deliveries;
    assert_eq!((deliveries.created, deliveries.delivered), (120, 120), "{deliveries:?}");
    site.stop_all();
}
