//! An import that dies, at each of its steps and at moments that chance chooses: the next run goes on,
//! nothing is lost, nothing stands twice, and the last report is whole.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use mutt_model::failpoint;
use serde_json::Value;

use super::{AUDITED, Site, fill, numbers};
use crate::redis_server::RedisServer;
use crate::support::wait::{Stopwatch, dawdle};
use crate::support::{Audit, Setup};

/// Items of [`fill`] that can be taken, over all lists.
const QUEUED: usize = 627;

/// Where it dies, run after run: what comes before a step was done by the runs before.
const STEPS: &[&str] = &[
    "import.rules.after_change:3",
    "import.rules.after_change:2",
    "import.audit.before_commit",
    "store.commit.before_commit",
    "store.commit.after_commit",
    "import.audit.after_commit",
    "import.settings.after_change",
    "import.queue.after_stage",
    "import.queue.after_append",
    "import.queue.after_done",
    "import.queue.after_append:2",
    "import.queue.after_stage:3",
];

/// v2 with its lists, and a MUTT that takes its place.
struct Both {
    site: Site,
    redis: RedisServer,
    setup: Setup,
}

impl Both {
    async fn new() -> Self {
        let redis = RedisServer::durable();
        fill(&redis);
        let mut setup = Setup::new();
        // The rows are old: retention would remove them as soon as MUTT runs.
        setup.set("store.retention", "handled = \"3650d\"\nunhandled = \"3650d\"");
        Self { site: Site::new().await, redis, setup }
    }

    fn args(&self) -> Vec<String> {
        let config = self.setup.write().display().to_string();
        let url = format!("unix://{}", self.redis.socket().display());
        let args = ["--config", &config, "--database", &self.site.database(), "--redis", &url];
        args.into_iter().chain(["--apply"]).map(str::to_owned).collect()
    }

    /// A run to its end.
    fn whole(&self) -> Value {
        // The lock of the one that died ends by itself; a test does not wait for it.
        self.redis.command(&["DEL", "mutt:import:v2:lock:all"]);
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (exit, report) = self.site.import(&args);
        assert_eq!(exit, 1, "one item is no event: {report}");
        report
    }

    /// What the last report says, and what MUTT audits when it runs.
    fn judged(self, rows: u64) {
        let report = self.whole();
        for (what, count) in report["counts"].as_object().unwrap() {
            let [found, there, taken, refused] = numbers(&report, what);
            assert_eq!(found, there + taken + refused, "{what}: {count}");
        }
        let [found, there, taken, _] = numbers(&report, "event_audit_log");
        assert_eq!((found, there + taken), (rows, rows));
        assert_eq!(numbers(&report, "alert_rules")[0], 5);
        assert_eq!(numbers(&report, "mutt:ingest_queue")[0], 622);
        assert_eq!(numbers(&report, "mutt:ingest_queue")[3], 1);
        assert_eq!(numbers(&report, "mutt:config"), [1, 1, 0, 0]);
        let program = self.setup.start();
        let ledger = program.at_rest();
        assert_eq!(ledger.events.unaccounted, 0, "{ledger:?}");
        program.stop();
        let audit = Audit::read(self.setup.data_dir());
        let imported = usize::try_from(rows).unwrap() + 1;
        assert_eq!(audit.events.len(), imported + QUEUED, "{ledger:?}");
        let mut plain: Vec<&str> = audit.events.iter().map(|e| e.message.as_ref()).collect();
        plain.retain(|message| message.starts_with("plain "));
        let order = plain.clone();
        plain.sort_unstable();
        plain.dedup();
        assert_eq!((plain.len(), order.len()), (620, 620));
    }
}

#[tokio::test]
async fn an_import_that_dies_at_any_of_its_steps_is_run_again() {
    let both = Both::new().await;
    let names: Vec<&str> = STEPS.iter().map(|step| step.split(':').next().unwrap()).collect();
    let own = failpoint::NAMES.iter().filter(|name| name.starts_with("import."));
    let missing: Vec<_> = own.filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "add to STEPS: {missing:?}");
    let mut rows = AUDITED - 1;
    for (at, step) in STEPS.iter().enumerate() {
        if *step == "import.audit.after_commit" || *step == "store.commit.after_commit" {
            let row = format!(
                "INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id,
                 handling_decision) VALUES ('2025-11-11 10:00Z', 'edge-r{at}', 1, 'Ignore')"
            );
            both.site.sql(&row).await;
            rows += 1;
        }
        both.redis.command(&["DEL", "mutt:import:v2:lock:all"]);
        let args = both.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let died = both.site.command(&args).env("MUTT_FAILPOINT", step).output().unwrap();
        let said = String::from_utf8_lossy(&died.stderr);
        assert_eq!(died.status.signal(), Some(6), "{step}: {}{said}", died.status);
    }
    both.judged(rows);
}

#[tokio::test]
async fn an_import_that_is_killed_at_any_moment_is_run_again() {
    // How long it takes here tells where to kill.
    let first = Both::new().await;
    let watch = Stopwatch::start();
    first.whole();
    let all = watch.elapsed();
    let both = Both::new().await;
    let mut killed = 0;
    // From at once to the time that all of it takes: the runs before have done their part.
    for run in 1..=12 {
        both.redis.command(&["DEL", "mutt:import:v2:lock:all"]);
        let args = both.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = both.site.command(&args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        dawdle(all.mul_f64(fastrand::f64() * f64::from(run) / 12.0));
        let _ = child.kill();
        killed += u32::from(child.wait().unwrap().signal() == Some(9));
    }
    println!("killed {killed} of 12 runs");
    assert!(killed > 0, "every run ended before it could be killed");
    both.judged(AUDITED - 1);
}
