//! What an Ingestor has spilled is seen where the Web UI runs, which is another process on another data
//! directory: in the list of processes, the ledger with its place, the event queue's numbers and doctor.

use serde_json::{Value, json};

use crate::support::site::SERVICES;
use crate::support::{Site, until};

const EVENT: &str = r#"{"hostname":"edge-r1","severity":5,"message":"nobody is told of this"}"#;

/// The Ingestor as the Web UI lists it.
fn ingestor(site: &Site) -> Option<Value> {
    let list = site.program("web-ui").api().get("/api/v2/processes");
    let mut items = list["items"].as_array().unwrap().iter();
    let hears =
        |process: &&Value| process["services"].as_array().unwrap().contains(&"ingestor".into());
    items.find(hears).cloned()
}

#[test]
fn a_spill_is_seen_in_the_whole_site_while_it_fills_and_until_it_is_empty() {
    let mut site = Site::new();
    site.start_all(&SERVICES);
    site.ready();
    assert_eq!(site.ingest("ingestor", EVENT).status, 200);
    // What other processes did stands in Redis, and is read each second.
    until("one is in the books", || {
        let events = site.program("web-ui").api().ledger().events;
        (events.received == 1 && events.audited == 1 && events.unaccounted == 0).then_some(())
    });
    let listed = until("the Ingestor reports", || ingestor(&site));
    assert_eq!((&listed["live"], &listed["spilled_events"]), (&json!(true), &json!(0)));
    site.redis.kill();
    for _ in 0..7 {
        assert_eq!(site.ingest("ingestor", EVENT).status, 200);
    }
    let listed = until("its spill is told", || {
        ingestor(&site).filter(|process| process["spilled_events"] == 7)
    });
    let place = listed["spill"]["place"].as_str().unwrap().to_owned();
    let dir = site.program("ingestor").data_dir().join("spill");
    assert_eq!(place, dir.display().to_string(), "{listed}");
    assert!(listed["spill"]["oldest_received_at"].is_string(), "{listed}");
    assert_eq!(listed["dependencies"]["event queue"]["ready"], false, "{listed}");
    let mut api = site.program("web-ui").api();
    let events = api.ledger().events;
    assert_eq!((events.pending, events.audited), (7, 1), "{events:?}");
    assert_eq!(events.unaccounted, 0, "{events:?}");
    let place = format!("{}:{place}", listed["host"].as_str().unwrap());
    assert_eq!(events.spilled.get(&place), Some(&7), "{events:?}");
    let queue = api.get("/api/v2/queue");
    assert_eq!(
        (&queue["pending_events"], &queue["spills"][0]["pending_events"]),
        (&json!(7), &json!(7))
    );
    assert!(queue["spills"][0]["oldest_age_seconds"].is_u64(), "{queue}");
    let said = site.doctor();
    assert!(said.contains(&format!("7 events lie in the spill {place}")), "{said}");
    // It is killed: what it left is still told, and its successor drains it.
    site.kill("ingestor");
    assert_eq!(api.ledger().events.pending, 7);
    site.start("ingestor");
    site.redis.restart();
    let ledger = site.at_rest();
    assert_eq!((ledger.events.received, ledger.events.audited), (8, 8));
    assert!(ledger.events.spilled.is_empty(), "{ledger:?}");
    assert_eq!(site.audited(), 8);
    let said = site.doctor();
    assert!(!said.contains("lie in the spill"), "{said}");
    site.stop_all();
}

/// What the Ingestor counted as dropped for want of room.
fn dropped(site: &Site) -> u64 {
    let metric = "mutt_ingest_dropped_total";
    site.program("ingestor").ingestor_metric(metric, &["reason=\"queue_full\""]) as u64
}

#[test]
fn what_a_full_spill_drops_is_in_the_ledger_of_the_site_once() {
    let mut site = Site::new();
    site.configure("queue.spill", "max_events = 1000");
    site.start_all(&["ingestor", "alerter", "web-ui"]);
    site.ready();
    site.redis.kill();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = site.program("ingestor").syslog_udp();
    // A sender that cannot be made to wait, until something of it is dropped.
    until("the spill is full", || {
        for n in 0..200 {
            let message = format!("<13>1 2026-11-29T12:00:00Z edge-r1 - - - - burst {n}");
            socket.send_to(message.as_bytes(), to).unwrap();
        }
        (dropped(&site) > 0).then_some(())
    });
    site.redis.restart();
    let events = until("it is told and at rest", || {
        let events = site.program("web-ui").api().ledger().events;
        let told = events.dropped.get("queue_full") == Some(&dropped(&site));
        (told && events.pending == 0 && events.unaccounted == 0 && events.audited > 0)
            .then_some(events)
    });
    // Also after another start of the Ingestor.
    site.kill("ingestor");
    site.start("ingestor");
    site.ready();
    assert_eq!(site.ingest("ingestor", EVENT).status, 200);
    let audited = events.audited + 1;
    let later = until("one more is audited", || {
        let events = site.program("web-ui").api().ledger().events;
        (events.audited == audited && events.unaccounted == 0).then_some(events)
    });
    assert_eq!(later.dropped, events.dropped);
    site.stop_all();
}

#[test]
fn an_ingestor_follows_the_settings_and_needs_no_store() {
    let mut site = Site::new();
    site.kill_postgres();
    site.start_all(&["ingestor", "web-ui"]);
    assert_eq!(site.ingest("ingestor", EVENT).status, 200, "the store is away");
    assert_eq!(site.readiness("ingestor").0, 200);
    site.start_postgres();
    let body = json!({"value": "warn", "reason": "a test"});
    let mut api = site.program("web-ui").api();
    let version = until("the setting is made", || {
        let answer = api.call("PUT", "/api/v2/config/log.level", Some(&body)).ok()?;
        [200, 201].contains(&answer.status).then(|| answer.json()["version"].clone())
    });
    until("the Ingestor reports it", || {
        ingestor(&site).filter(|process| process["settings"] == version)
    });
    let in_force = site.program("ingestor").ingestor_metric("mutt_settings_version", &[]);
    assert_eq!(Some(in_force), version.as_f64());
    // It ends without the words of a higher level.
    let log = site.stop("ingestor");
    assert!(log.contains("settings are in force") && !log.contains("\"ended\""), "{log}");
    until("it ended in order", || ingestor(&site).is_none().then_some(()));
    // Told not to, it opens no store.
    site.setup_of("ingestor").set("ingestor", "report = false");
    site.start("ingestor");
    site.ready();
    assert_eq!(site.ingest("ingestor", EVENT).status, 200);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mutt-ingestor'";
    assert_eq!(site.count(open), 0);
    assert!(ingestor(&site).is_none());
    site.stop_all();
}
