//! Row 27: somebody sets Redis up wrongly while it runs. It is noticed at the next connection and from
//! time to time, refused by its code, and the Ingestor spills until it is mended.

use std::time::Duration;

use serde_json::Value;

use super::{Loaded, seed};
use crate::support::wait::dawdle;
use crate::support::{Site, until};

/// What is set wrongly, the code that tells it, and what mends it.
const WRONG: [(&[&str], &str, &[&str]); 3] = [
    (&["maxmemory-policy", "allkeys-lru"], "MUTT-S030", &["maxmemory-policy", "noeviction"]),
    (&["appendonly", "no"], "MUTT-S031", &["appendonly", "yes"]),
    (&["appendfsync", "everysec"], "MUTT-S031", &["appendfsync", "always"]),
];

fn set(site: &Site, pair: &[&str]) {
    assert_eq!(site.redis.command(&["CONFIG", "SET", pair[0], pair[1]]), "OK");
}

/// What a service says of the event queue.
fn said(site: &Site, service: &str, list: &str) -> Option<Value> {
    let (_, json) = site.readiness(service);
    json[list].as_array()?.iter().find(|lack| lack["dependency"] == "event queue").cloned()
}

/// Sets something wrongly under load, waits until each says so, mends it, waits until all goes on.
#[track_caller]
fn refused_and_mended(loaded: &Loaded, at: usize, reconnect: bool) {
    let (wrong, code, right) = WRONG[at];
    let site = &loaded.site;
    set(site, wrong);
    if reconnect {
        site.redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    let why = until("the Alerter names what is wrong", || {
        let lack = said(site, "alerter", "missing").filter(|lack| lack["code"] == code)?;
        Some(lack["why"].as_str().unwrap().to_owned())
    });
    assert!(why.contains("CONFIG SET"), "it names the command that mends it: {why}");
    until("the Ingestor spills", || {
        said(site, "ingestor", "notes").filter(|note| note["code"] == "MUTT-S050")
    });
    until("the log tells", || site.program("alerter").log().contains(code).then_some(()));
    // It accepts all the time.
    loaded.answered(50);
    set(site, right);
    until("the Ingestor spills no more", || {
        said(site, "ingestor", "notes").is_none().then_some(())
    });
    site.ready();
    loaded.answered(50);
}

#[test]
fn a_redis_that_is_set_up_wrongly_under_way_is_refused_and_nothing_is_lost() {
    let loaded = Loaded::start(Site::new(), &["alerter"]);
    refused_and_mended(&loaded, 0, true);
    refused_and_mended(&loaded, 1, true);
    loaded.settle_whole(27);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_27_redis_policy() {
    let mut random = fastrand::Rng::with_seed(seed());
    let loaded = Loaded::start(Site::new(), &["alerter"]);
    for _ in 0..10 {
        dawdle(Duration::from_millis(random.u64(0..2_000)));
        refused_and_mended(&loaded, random.usize(0..WRONG.len()), random.bool());
    }
    loaded.settle_whole(27);
}
