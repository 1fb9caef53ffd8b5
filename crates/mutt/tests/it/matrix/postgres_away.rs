//! Row 33: PostgreSQL is away, read-only, without room or without a connection left. Ingest goes on, each
//! code says which it is, and audit and deliveries catch up by themselves.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{Loaded, seed};
use crate::provoked::provoked;
use crate::support::disk::Disk;
use crate::support::wait::dawdle;
use crate::support::{Receiver, Reply, Site, until};

/// A site that delivers, under load.
fn delivering(mut site: Site, receiver: &Receiver) -> Loaded {
    site.webhook("hook", &receiver.url(), "rate = \"10000/s\"");
    site.start("moog-forwarder");
    Loaded::start(site, &["alerter"])
}

/// What a service says of the store.
fn said(site: &Site, service: &str) -> Option<String> {
    let (_, json) = site.readiness(service);
    let lack = json["missing"].as_array()?.iter().find(|lack| lack["dependency"] == "store")?;
    Some(lack["code"].as_str()?.to_owned())
}

/// Waits until a service says this of the store.
#[track_caller]
fn says(site: &Site, service: &str, code: Option<&str>) {
    let mut last = None;
    let found = crate::support::wait::within(crate::support::wait::LONG, || {
        last = said(site, service);
        (last.as_deref() == code).then_some(())
    });
    assert!(found.is_some(), "{service}: {last:?}, not {code:?}");
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Away,
    ReadOnly,
    Connections,
}

impl Fault {
    fn code(self) -> &'static str {
        match self {
            Self::Away => "MUTT-S020",
            Self::ReadOnly => "MUTT-S025",
            Self::Connections => "MUTT-S027",
        }
    }

    fn begins(self, site: &mut Site) {
        match self {
            Self::Away => site.kill_postgres(),
            Self::ReadOnly => {
                site.execute("ALTER SYSTEM SET default_transaction_read_only = on");
                site.execute("SELECT pg_reload_conf()");
            }
            Self::Connections => {
                site.execute("ALTER ROLE mutt CONNECTION LIMIT 0");
                site.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mutt'",
                );
            }
        }
    }

    fn ends(self, site: &mut Site) {
        match self {
            Self::Away => site.start_postgres(),
            Self::ReadOnly => {
                site.execute("ALTER SYSTEM RESET default_transaction_read_only");
                site.execute("SELECT pg_reload_conf()");
            }
            Self::Connections => site.execute("ALTER ROLE mutt CONNECTION LIMIT -1"),
        }
    }

    /// Begins, is told by its code, and ends after this time; then what came meanwhile is audited.
    #[track_caller]
    fn happens(self, loaded: &mut Loaded, time: Duration) {
        self.begins(&mut loaded.site);
        for service in ["alerter", "moog-forwarder", "web-ui"] {
            says(&loaded.site, service, Some(self.code()));
        }
        loaded.answered(50);
        let (status, json) = loaded.site.readiness("ingestor");
        assert_eq!(status, 200, "{json}");
        dawdle(time);
        self.ends(&mut loaded.site);
        says(&loaded.site, "alerter", None);
        loaded.audited(50);
        loaded.site.ready();
    }
}

/// Ends the load; nothing is lost, and everything that was owed is delivered.
#[track_caller]
fn settled(loaded: Loaded, receiver: &Receiver) {
    let counted = loaded.settle_whole(33);
    let deliveries = &counted.ledger.deliveries;
    println!("row 33: delivered {}, requests {}", deliveries.delivered, receiver.count());
    assert!(deliveries.delivered > 0 && deliveries.dead == 0, "{deliveries:?}");
    assert_eq!(counted.told.refused, 0, "ingest goes on all the time");
}

#[track_caller]
fn once(fault: Fault) {
    let receiver = Receiver::answering(Reply::status(200));
    let mut loaded = delivering(Site::new(), &receiver);
    fault.happens(&mut loaded, Duration::ZERO);
    settled(loaded, &receiver);
}

#[test]
fn a_postgresql_that_becomes_read_only_is_told_and_waited_for() {
    once(Fault::ReadOnly);
}

#[test]
fn a_postgresql_without_a_connection_left_is_told_and_waited_for() {
    once(Fault::Connections);
}

/// A site whose PostgreSQL has its tables on a small disk of its own.
fn on_a_disk() -> Option<(Disk, Site)> {
    let disk = Disk::new(192)?;
    // The server's user must come in.
    let parent = disk.path().parent().unwrap().to_owned();
    std::fs::set_permissions(parent, PermissionsExt::from_mode(0o755)).unwrap();
    let site = Site::on(&disk.path());
    Some((disk, site))
}

/// The disk of PostgreSQL fills up and has room again.
#[track_caller]
fn filled(loaded: &Loaded, disk: &Disk) {
    let filler = disk.fill();
    says(&loaded.site, "alerter", Some("MUTT-S040"));
    loaded.answered(50);
    filler.remove();
    says(&loaded.site, "alerter", None);
    loaded.audited(50);
}

#[test]
fn a_postgresql_whose_disk_is_full_is_told_and_waited_for() {
    let Some((disk, site)) = on_a_disk() else { return };
    let loaded = Loaded::start(site, &["alerter"]);
    filled(&loaded, &disk);
    let log = loaded.site.program("alerter").log();
    let line = until("the log tells", || log.lines().find(|line| line.contains("MUTT-S040")));
    // Which file of the server it was, and how many events waited, differs.
    let masked = regex::Regex::new(r"could not .*\[53100\]")
        .unwrap()
        .replace(line, "could not extend file [53100]");
    let masked = regex::Regex::new(r#"("?events"?[=:])\d+"#).unwrap().replace(&masked, "${1}100");
    provoked("MUTT-S040", &masked);
    loaded.settle_whole(33);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_33_postgres_away() {
    let mut random = fastrand::Rng::with_seed(seed());
    let receiver = Receiver::answering(Reply::status(200));
    let mut loaded = delivering(Site::new(), &receiver);
    for _ in 0..12 {
        let fault = random.choice([Fault::Away, Fault::ReadOnly, Fault::Connections]).unwrap();
        println!("row 33: {fault:?}");
        fault.happens(&mut loaded, Duration::from_millis(random.u64(0..5_000)));
    }
    Fault::Away.happens(&mut loaded, Duration::from_secs(120));
    settled(loaded, &receiver);
    let Some((disk, site)) = on_a_disk() else { return };
    let loaded = Loaded::start(site, &["alerter"]);
    for _ in 0..5 {
        filled(&loaded, &disk);
    }
    loaded.settle_whole(33);
}
