//! `muttctl hold` and `muttctl archive` against the real program: what is held stays, what retention
//! removes is archived first, and a restore really brings it back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{BatchBuilder, Clock, Event, IdSource, Source, Timestamp};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{CommitPolicy, CommitStore as _, CommitWork, JudgedBatch};
use serde_json::Value;

use super::{Place, Said};
use crate::provoked::provoked;
use crate::support::{Program, Setup, until};

const DAY: i64 = 86_400_000_000;

/// An unhandled event of each host, ten days old.
async fn aged(data_dir: &Path, hosts: &[&str]) {
    std::fs::create_dir_all(data_dir).unwrap();
    let store = SqliteStore::open(&data_dir.join("mutt.db"), SqliteOptions::default()).unwrap();
    let at = Timestamp(Clock::System.wall().0 - 10 * DAY);
    let mut ids = IdSource::from_entropy();
    let mut builder = BatchBuilder::new(ids.next(at), 0);
    for host in hosts {
        let id = ids.next(at);
        let mut event = Event::from_raw(id, at, Source::Syslog, "syslog-tcp", "peer", b"up");
        event.host = (*host).into();
        builder.push(&event);
    }
    let verdicts = vec![None; hosts.len()];
    let batches = vec![JudgedBatch { batch: Arc::new(builder.finish()), verdicts, first: false }];
    let policy = Arc::new(CommitPolicy {
        unhandled_threshold: 100,
        unhandled_window: Duration::from_secs(60),
        default_team: "NETO".to_owned(),
        sinks: vec![],
    });
    let work = CommitWork { shard: 0, generation: 1, ruleset: 1, batches, policy, now: at };
    store.commit(work).await.unwrap();
}

/// The program with a place to call it from.
struct Site {
    setup: Setup,
    place: Place,
}

impl Site {
    fn call(&self, program: &Program, words: &[&str]) -> Said {
        let url = format!("http://{}", program.pages());
        let token = program.admin_token();
        self.place.run_with(&[words, &["--url", &url]].concat(), &[("MUTT_TOKEN", &token)])
    }

    fn list(&self, program: &Program, words: &[&str]) -> Vec<Value> {
        let said = self.call(program, &[words, &["--json"]].concat());
        assert_eq!(said.exit, 0, "{said:?}");
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn hosts(&self, program: &Program) -> Vec<String> {
        let since = Timestamp(Clock::System.wall().0 - 11 * DAY).to_string();
        let events = self.list(program, &["events", "list", "--since", &since]);
        let mut hosts: Vec<String> =
            events.iter().map(|event| event["host"].as_str().unwrap().to_owned()).collect();
        hosts.sort_unstable();
        hosts
    }
}

impl Site {
    /// What metrics and doctor say after a round that archived two rows while one is held.
    fn numbers_are_told(&self, program: &Program) {
        let of = |name: &str, labels: &[&str]| program.metric("remediation", name, labels);
        let last = until("the round's numbers", || {
            let last = of("mutt_retention_last_run_timestamp_seconds", &[]);
            (last > 0.0 && of("mutt_retention_holds", &[]) == 1.0).then_some(last)
        });
        let age = Clock::System.wall().secs() as f64 - last;
        assert!((0.0..600.0).contains(&age), "{age}");
        let table = "table=\"audit_unhandled\"";
        assert_eq!(of("mutt_remediation_rows_removed_total", &[table]), 2.0);
        let listed = self.list(program, &["archive", "list"]);
        let bytes = listed[0]["bytes"].as_u64().unwrap() as f64;
        assert_eq!(of("mutt_retention_archived_bytes_total", &[]), bytes);
        assert!(of("mutt_store_bytes", &[]) > 0.0);
        let found = self.doctor(program, "retention");
        let (mark, what) = &found[0];
        assert!(mark == "ok" && what.starts_with("retention last ran "), "{found:?}");
    }

    /// Result and words of one of doctor's checks.
    fn doctor(&self, program: &Program, check: &str) -> Vec<(String, String)> {
        let said = self.call(program, &["doctor", "--json"]);
        let found = said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_it = found.filter(|found| found["check"] == check);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of_it.map(|found| (text(&found["result"]), text(&found["what"]))).collect()
    }
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_is_told_and_stops_nothing_else() {
    let mut site = Site { setup: Setup::new(), place: Place::new() };
    aged(site.setup.data_dir(), &["gone-r1"]).await;
    // The last whole round was seven hours ago, and none comes while rows stay.
    let last = Clock::System.wall().0 - 7 * 3_600_000_000;
    let store = rusqlite::Connection::open(site.setup.data_dir().join("mutt.db")).unwrap();
    store.execute("UPDATE retention SET last_run = ?1", [last]).unwrap();
    drop(store);
    let archives = site.setup.folder().join("archives");
    std::fs::write(&archives, "a file stands where the folder should be").unwrap();
    site.setup.set("store.retention", "unhandled = \"1d\"");
    site.setup.set("store.archive", &format!("dir = {archives:?}"));
    site.setup.set("remediation", "interval = \"1s\"");
    let program = site.setup.start();
    let line = until("MUTT-R003", || {
        program.log().lines().find(|line| line.contains("MUTT-R003")).map(ToOwned::to_owned)
    });
    provoked("MUTT-R003", &line);
    // Rounds go on, and Remediation does its work.
    let loops = || program.metric("remediation", "mutt_remediation_loops_total", &[]);
    let so_far = loops();
    until("rounds go on", || (loops() >= so_far + 3.0).then_some(()));
    let health = program.api().get("/api/v2/health");
    let services = health["services"].as_array().unwrap();
    let own = services.iter().find(|service| service["name"] == "remediation").unwrap();
    assert_eq!(
        (&own["ready"], &own["state"]),
        (&true.into(), &"running, without the archive".into()),
        "{own}"
    );
    let found = site.doctor(&program, "services");
    let told =
        |words: &str| found.iter().any(|(mark, what)| mark == "warn" && what.contains(words));
    assert!(told("Without the archive") && told("archives: File exists"), "{found:?}");
    let found = site.doctor(&program, "retention");
    assert!(found[0].0 == "bad" && found[0].1.contains("retention last ran 252"), "{found:?}");
    assert_eq!(program.log().matches("MUTT-R003").count(), 1, "it is told once");
    assert!(!program.log().contains("MUTT-R001") && !program.log().contains("succeed again"));
    assert_eq!(site.hosts(&program), ["gone-r1"]);
    // Mended; a changed limit is kept with the next round.
    std::fs::remove_file(&archives).unwrap();
    let set = ["config", "set", "remediation.interval", "2s", "--reason", "look again"];
    let said = site.call(&program, &set);
    assert_eq!(said.exit, 0, "{said:?}");
    until("archives are written again", || {
        program.log().contains("archives are written again").then_some(())
    });
    assert_eq!(site.hosts(&program), [""; 0]);
    assert_eq!(site.doctor(&program, "retention")[0].0, "ok");
    program.stop();
}

#[tokio::test]
async fn what_is_held_stays_and_an_archive_is_restored_by_the_commands() {
    let mut site = Site { setup: Setup::new(), place: Place::new() };
    aged(site.setup.data_dir(), &["held-r1", "gone-r1", "gone-r2"]).await;
    let program = site.setup.start();
    let said = site.call(&program, &["hold", "add", "--host", "held-r1"]);
    assert_eq!(said.exit, 2, "a hold says why: {said:?}");
    let add = ["hold", "add", "--host", "HELD-R1", "--reason", "case 7"];
    let said = site.call(&program, &add);
    assert!(said.exit == 0 && said.err.contains("outlive retention"), "{said:?}");
    let said = site.call(&program, &["hold", "list"]);
    assert!(said.out.contains("held-r1") && said.out.contains("case 7"), "{said:?}");
    let id = site.list(&program, &["hold", "list"])[0]["id"].to_string();
    assert_eq!(site.list(&program, &["archive", "list"]), Vec::<Value>::new());
    program.stop();

    let archives = site.place.path("archives");
    std::fs::create_dir(&archives).unwrap();
    site.setup.set("store.retention", "unhandled = \"1d\"");
    site.setup.set("store.archive", &format!("dir = {archives:?}"));
    let program = site.setup.start();
    until("retention", || (site.hosts(&program) == ["held-r1"]).then_some(()));
    site.numbers_are_told(&program);
    let listed = site.list(&program, &["archive", "list"]);
    assert_eq!((listed.len(), &listed[0]["rows"]), (1, &2.into()), "{listed:?}");
    let file = archives.join(listed[0]["name"].as_str().unwrap());

    // A copy with one octet changed is refused, and so is what is not there; nothing came in.
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = archives.join(format!("x-{}", listed[0]["name"].as_str().unwrap()));
    std::fs::write(&damaged, bytes).unwrap();
    for wrong in [&damaged, &archives.join("none.mutt.gz")] {
        let wrong = wrong.display().to_string();
        let said = site.call(&program, &["archive", "restore", &wrong, "--reason", "case 8"]);
        assert!(said.exit == 1 && said.err.contains("MUTT-"), "{said:?}");
    }
    assert_eq!(site.hosts(&program), ["held-r1"]);
    let file = file.display().to_string();
    for _ in 0..2 {
        // A second time adds nothing.
        let said = site.call(&program, &["archive", "restore", &file, "--reason", "case 8"]);
        assert_eq!(said.exit, 0, "{said:?}");
        assert_eq!(site.hosts(&program), ["gone-r1", "gone-r2", "held-r1"]);
    }
    let listed = site.list(&program, &["archive", "list"]);
    let restored = listed.iter().find(|archive| archive["rows"] == 2).unwrap();
    assert!(restored["restored_at"].is_string(), "{listed:?}");
    let holds = site.list(&program, &["hold", "list"]);
    assert!(holds.iter().any(|hold| hold["archive"].is_string()), "{holds:?}");

    let release = ["hold", "release", &id, "--reason", "case 7 is closed"];
    let said = site.call(&program, &release);
    assert!(said.exit == 0 && said.err.contains(&format!("released hold {id}")), "{said:?}");
    let said = site.call(&program, &release);
    assert_eq!(said.exit, 1, "{said:?}");
    let changes = site.call(&program, &["changes", "list"]).out;
    assert!(changes.contains("case 7 is closed") && changes.contains("case 8"), "{changes}");
    // What was restored stays behind the archive's own hold, until that is released, too.
    let own = holds.iter().find(|hold| hold["archive"].is_string()).unwrap()["id"].to_string();
    let said = site.call(&program, &["hold", "release", &own, "--reason", "case 8 is closed"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(site.list(&program, &["hold", "list"]), Vec::<Value>::new());
    program.stop();
    let program = site.setup.start();
    until("retention", || site.hosts(&program).is_empty().then_some(()));
    program.stop();
}
