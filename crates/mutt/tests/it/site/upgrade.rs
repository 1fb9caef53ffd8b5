//! A rolling upgrade under load, as UPGRADE_MIGRATION.md tells it: the schema is expanded first, then
//! every process is stopped and started again, one after the other. In the end what was sent is what
//! was acknowledged and what stands in the audit, each once, and every delivery has its end.
//!
//! One program plays both versions; the schema of the version after it is played by a migration that
//! this program does not know: it adds to the tables that are written all the time. So an old program
//! works on the new schema, and is started on it. MUTT_UPGRADE_FROM names another program for the old
//! version.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::senders::{Load, Senders, answered};
use crate::support::streams::Streams;
use crate::support::wait::env;
use crate::support::{Receiver, Reply, Site, Stopwatch, until};

/// In the order of the document.
const ALERTERS: [&str; 2] = ["alerter-1", "alerter-2"];
const OTHERS: [&str; 3] = ["moog-forwarder", "remediation", "web-ui"];
const INGESTORS: [&str; 2] = ["ingestor-1", "ingestor-2"];
/// What is answered and written between two steps, so that all of it is under load.
const BETWEEN: usize = 100;
/// The long form, unless the environment says otherwise.
const LONG_ROUNDS: usize = 6;
/// The deliveries of a whole run may wait in the end.
const BACKLOG_TIME: Duration = Duration::from_secs(240);

/// A step of the schema as a later version may bring it, in one transaction as its owner; one that meets
/// the locks of work is tried again, as `muttctl db migrate` does.
fn step(site: &Site, sql: &str) -> i64 {
    let sql = format!(
        "BEGIN; SET LOCAL ROLE mutt_owner; SET LOCAL search_path = mutt; SET LOCAL lock_timeout = '5s';
         {sql};
         INSERT INTO schema_version SELECT MAX(version) + 1, MAX(needs), 0 FROM schema_version; COMMIT"
    );
    until("the step is done", || {
        let done = site.try_execute(&sql);
        if done.is_err() {
            site.execute("ROLLBACK");
        }
        done.ok()
    });
    site.count("SELECT MAX(version) FROM mutt.schema_version")
}

/// Adds only: what stands knows nothing of it and works on.
fn expand(site: &Site, round: usize) -> i64 {
    let sql = format!(
        "ALTER TABLE audit_handled ADD COLUMN later_{round} text;
         ALTER TABLE audit_unhandled ADD COLUMN later_{round} text;
         ALTER TABLE receipts ADD COLUMN later_{round} text DEFAULT 'of before';
         ALTER TABLE alerts ADD COLUMN later_{round} bigint NOT NULL DEFAULT 0;
         ALTER TABLE deliveries ADD COLUMN later_{round} text;
         ALTER TABLE processes ADD COLUMN later_{round} text;
         CREATE TABLE later_{round} (id bigint PRIMARY KEY);
         GRANT SELECT ON later_{round} TO mutt"
    );
    step(site, &sql)
}

/// Takes away what no program that runs uses.
fn contract(site: &Site, round: usize) -> i64 {
    let sql = format!(
        "ALTER TABLE alerts DROP COLUMN later_{round};
         DROP TABLE later_{round}"
    );
    step(site, &sql)
}

/// The processes that live, by id, as the Web UI lists them.
fn live(site: &Site) -> BTreeSet<String> {
    let list = site.program("web-ui").api().get("/api/v2/processes");
    let items = list["items"].as_array().unwrap().iter();
    let live = items.filter(|process| process["live"] == true);
    live.map(|process| process["id"].as_str().unwrap().to_owned()).collect()
}

/// The load: HTTP and informs that repeat, TCP streams that heed a half-close.
struct Traffic {
    senders: Senders,
    streams: Streams,
}

impl Traffic {
    fn aim(&self, site: &Site) {
        let programs = INGESTORS.map(|name| site.program(name));
        self.senders.aim_at(&programs);
        self.streams.aim_at(&programs);
    }

    /// Lets the site catch up, so that what a slow machine has not judged yet does not pile up.
    #[track_caller]
    fn rests(&self, site: &Site) {
        self.senders.rest();
        self.streams.pause(true);
        site.program("web-ui").at_rest_within(BACKLOG_TIME);
        self.streams.pause(false);
        self.aim(site);
    }

    /// Waits until more was answered, written, audited and delivered than before.
    #[track_caller]
    fn moves(&self, site: &Site, receiver: &Receiver) {
        let (written, audited, told) = (self.streams.written(), site.audited(), receiver.count());
        answered(&self.senders, self.senders.acknowledged() + BETWEEN);
        until("TCP is written", || (self.streams.written() >= written + BETWEEN).then_some(()));
        until("more is audited", || (site.audited() > audited + 100).then_some(()));
        until("more is delivered", || (receiver.count() > told).then_some(()));
    }
}

/// Stops each process and starts it as the new version, one after the other.
#[track_caller]
fn roll(site: &mut Site, traffic: &Traffic, receiver: &Receiver) {
    for name in ALERTERS.into_iter().chain(OTHERS).chain(INGESTORS) {
        let ended = traffic.streams.ended();
        site.stop(name);
        site.setup_of(name).program(None);
        site.start(name);
        traffic.aim(site);
        if name.starts_with("ingestor") {
            until("its streams were ended in order", || {
                (traffic.streams.ended() > ended).then_some(())
            });
        }
        traffic.moves(site, receiver);
        site.ready();
    }
}

fn rounds(rounds: usize) {
    let watch = Stopwatch::start();
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "rate = \"10000/s\"");
    let old = env("MUTT_UPGRADE_FROM");
    for name in ALERTERS.into_iter().chain(OTHERS).chain(INGESTORS) {
        site.prepare(name).program(old.as_deref());
        site.start(name);
    }
    site.ready();
    let traffic = Traffic { senders: Senders::start(Load::STEADY), streams: Streams::start(4) };
    traffic.aim(&site);
    traffic.moves(&site, &receiver);
    let known = site.count("SELECT MAX(version) FROM mutt.schema_version");
    let begun = live(&site);
    for round in 1..=rounds {
        if round > 1 {
            traffic.rests(&site);
        }
        let expanded = expand(&site, round);
        assert_eq!(expanded, known + 2 * i64::try_from(round).unwrap() - 1);
        traffic.moves(&site, &receiver);
        roll(&mut site, &traffic, &receiver);
        contract(&site, round);
        traffic.moves(&site, &receiver);
    }
    // Each process of the beginning is gone, and all report.
    let all = ALERTERS.len() + OTHERS.len() + INGESTORS.len();
    let now = until("the old ones are gone", || {
        let now = live(&site);
        (now.is_disjoint(&begun) && now.len() == all).then_some(now)
    });
    let lines: BTreeSet<String> = traffic.streams.finish().into_iter().collect();
    let told = traffic.senders.finish();
    let ledger = site.program("web-ui").at_rest_within(BACKLOG_TIME);
    let audit = site.audit();
    let numbers = audit.numbers();
    let missing: Vec<&String> = lines.iter().filter(|n| !numbers.contains_key(*n)).collect();
    assert!(missing.is_empty(), "TCP lines lost {}: {:?}", missing.len(), missing.first());
    let mut sent = told.sent.clone();
    sent.extend(lines.iter().cloned());
    assert_eq!(told.sent, told.acknowledged, "what was sent was answered in the end");
    assert!(numbers.keys().eq(sent.iter()), "what nobody sent, or was lost");
    let twice: Vec<_> = numbers.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "twice {}: {:?}", twice.len(), twice.first());
    let (events, deliveries) = (&ledger.events, &ledger.deliveries);
    let all = sent.len() as u64;
    assert_eq!((events.audited, audit.events.len() as u64), (all, all), "{events:?}");
    assert_eq!((events.unaccounted, events.lost), (0, 0), "{events:?}");
    assert!(events.dropped.values().all(|dropped| *dropped == 0), "{events:?}");
    assert_eq!(told.refused, 0, "an Ingestor that lives or ends refuses nothing");
    // Every delivery has its end, and the receiver has seen what is called delivered.
    let seen: BTreeSet<String> = receiver.seen().iter().map(|s| s.id().to_owned()).collect();
    assert!(audit.delivered.iter().all(|id| seen.contains(id)));
    assert_eq!(deliveries.created, deliveries.delivered + deliveries.suppressed, "{deliveries:?}");
    assert_eq!(audit.delivered.len() as u64, deliveries.delivered, "{deliveries:?}");
    println!(
        "rolling upgrade: {rounds} rounds of {} processes in {:.0} s: sent {all} (HTTP and informs {}, TCP {}), acknowledged {all}, audited {all}, lost 0, twice 0; refused 0, repeated {}, recognised {}; deliveries {}, requests at the receiver {}",
        now.len(),
        watch.elapsed().as_secs_f64(),
        told.acknowledged.len(),
        lines.len(),
        told.repeated,
        events.duplicates,
        deliveries.delivered,
        receiver.count(),
    );
    site.stop_all();
}

#[test]
fn every_process_is_replaced_under_load_and_the_balance_is_exact() {
    rounds(1);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_rolling_upgrade() {
    rounds(env("MUTT_UPGRADE_ROUNDS").map_or(LONG_ROUNDS, |rounds| rounds.parse().unwrap()));
}
