//! Redis or PostgreSQL away: services that start first wait for them, and each says what it misses and
//! since when.

use serde_json::Value;

use crate::support::site::SERVICES;
use crate::support::wait::{LONG, within};
use crate::support::{Receiver, Reply, Site, until};

const DOWN: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;

/// What a service names: whether it is ready, what it misses, and what it notes.
fn cell(site: &Site, service: &str) -> (u16, String, String) {
    let (status, json) = site.readiness(service);
    let named = |list: &str| {
        let named = |lack: &Value| {
            assert!(lack["since"].is_string() && lack["why"].is_string(), "{json}");
            format!("{} {}", lack["dependency"].as_str().unwrap(), lack["code"].as_str().unwrap())
        };
        json[list].as_array().unwrap().iter().map(named).collect::<Vec<_>>().join(", ")
    };
    (status, named("missing"), named("notes"))
}

/// Waits until each service says so.
#[track_caller]
fn cells(site: &Site, expected: [(u16, &str, &str); 5]) {
    for (service, (status, missing, notes)) in SERVICES.into_iter().zip(expected) {
        let expected = (status, missing.to_owned(), notes.to_owned());
        let mut last = None;
        let found = within(LONG, || {
            let found = cell(site, service);
            let right = found == expected;
            last = Some(found);
            right.then_some(())
        });
        assert!(found.is_some(), "{service}: {expected:?}, not {last:?}");
    }
}

const READY: (u16, &str, &str) = (200, "", "");
const NO_REDIS: &str = "event queue MUTT-S028";
/// What an Alerter has not read yet.
const NO_RULES: &str = "rule set MUTT-A003";
const NO_STORE: &str = "store MUTT-S020";

#[test]
fn services_start_first_and_work_when_the_engines_come() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::bare();
    site.webhook("hook", &receiver.url(), "");
    site.redis.kill();
    site.kill_postgres();
    site.start_all(&SERVICES);
    assert_eq!(site.ingest("ingestor", DOWN).status, 200);
    cells(
        &site,
        [
            (200, "", "event queue MUTT-S050"),
            (503, &format!("{NO_REDIS}, {NO_STORE}, {NO_RULES}"), ""),
            (503, NO_STORE, ""),
            (503, NO_STORE, ""),
            (503, NO_STORE, NO_REDIS),
        ],
    );
    // The servers come, the schema is not there yet.
    site.redis.restart();
    site.start_postgres();
    let older = "store MUTT-S022";
    let alerter = format!("{older}, {NO_RULES}");
    cells(
        &site,
        [READY, (503, &alerter, ""), (503, older, ""), (503, older, ""), (503, older, "")],
    );
    site.migrate();
    site.ready();
    until("it is told", || (receiver.count() == 1).then_some(()));
    let ledger = site.at_rest();
    assert_eq!((ledger.events.audited, ledger.events.unaccounted), (1, 0));
    assert_eq!(site.audited(), 1);
    site.stop_all();
}

#[test]
fn each_service_names_the_engine_that_went_away_and_goes_on_when_it_is_back() {
    let mut site = Site::new();
    site.start_all(&SERVICES);
    site.ready();
    assert_eq!(site.ingest("ingestor", DOWN).status, 200);
    until("one is audited", || (site.audited() == 1).then_some(()));
    site.redis.kill();
    assert_eq!(site.ingest("ingestor", DOWN).status, 200);
    cells(
        &site,
        [
            (200, "", "event queue MUTT-S050"),
            (503, NO_REDIS, ""),
            READY,
            READY,
            (200, "", NO_REDIS),
        ],
    );
    site.redis.restart();
    until("two are audited", || (site.audited() == 2).then_some(()));
    cells(&site, [READY; 5]);
    site.kill_postgres();
    cells(
        &site,
        [READY, (503, NO_STORE, ""), (503, NO_STORE, ""), (503, NO_STORE, ""), (503, NO_STORE, "")],
    );
    assert_eq!(site.ingest("ingestor", DOWN).status, 200);
    site.start_postgres();
    cells(&site, [READY; 5]);
    until("three are audited", || (site.audited() == 3).then_some(()));
    let ledger = site.at_rest();
    assert_eq!((ledger.events.received, ledger.events.audited), (3, 3));
    site.stop_all();
}
