//! The watch over a store with history: times are passed in by a clock that is moved by hand.

use std::collections::BTreeSet;

use mutt_model::source::quiet::QuietPolicy;
use mutt_model::source::{Gaps, SourceDelta};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{ProcessReport, RetentionPolicy, SocketReport};

use super::*;

const START: i64 = 1_764_000_000;

struct Site {
    _dir: tempfile::TempDir,
    clock: Clock,
    store: Arc<dyn Store>,
    watch: QuietWatch,
    memory: Memory,
    limits: Limits,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_secs(START));
    let options = SqliteOptions { clock: clock.clone(), ..SqliteOptions::default() };
    let store = SqliteStore::open(&dir.path().join("store.db"), options).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let policy = CommitPolicy {
        unhandled_threshold: 0,
        unhandled_window: Duration::from_secs(1),
        default_team: "NETO".to_owned(),
        sinks: Vec::new(),
    };
    let limits = Limits {
        retention: RetentionPolicy::default(),
        interval: Duration::from_secs(60),
        redrive_batch: 1,
        quiet: QuietPolicy::default(),
        keep_sources: Duration::from_secs(90 * 86_400),
        max_sources: 20_000,
    };
    let watch = QuietWatch {
        store: Arc::clone(&store),
        policy: Arc::new(arc_swap::ArcSwap::from_pointee(policy)),
        limits: watch::Sender::new(limits.clone()).subscribe(),
        clock: clock.clone(),
        owner: "a".to_owned(),
        metrics: QuietMetrics::new(&ServiceMetrics::new(&clock)),
    };
    Site { _dir: dir, clock, store, watch, memory: Memory::default(), limits }
}

impl Site {
    /// The Ingestor reports, with so many datagrams dropped by the kernel.
    async fn ingestor(&self, kernel_drops: u64) {
        let socket = SocketReport { kernel_drops, ..SocketReport::default() };
        let listener = ListenerReport {
            name: "syslog-udp".to_owned(),
            sockets: vec![socket],
            ..ListenerReport::default()
        };
        let report = ProcessReport {
            id: "p1".to_owned(),
            services: BTreeSet::from(["ingestor".to_owned()]),
            host: "here".to_owned(),
            listeners: vec![listener],
            ..ProcessReport::default()
        };
        self.store.report_process(&report).await.unwrap();
    }

    /// Two days of an event each 30 seconds that end now.
    async fn history(&self, hosts: &[String], peer: &str) {
        let now = self.clock.wall();
        let mut gaps = Gaps::default();
        gaps.count_many(Duration::from_secs(30), 5_760);
        let delta = |host: &String| SourceDelta {
            key: SourceKey::new(host, peer),
            listener: "syslog-udp".to_owned(),
            first: now.minus(Duration::from_secs(2 * 86_400)),
            last: now,
            events: 5_760,
            gaps: gaps.clone(),
            ..SourceDelta::default()
        };
        let deltas = hosts.iter().map(delta).collect();
        self.store.report_sources("here", deltas).await.unwrap();
    }

    async fn speaks(&self, host: &str, peer: &str) {
        let now = self.clock.wall();
        let delta = SourceDelta {
            key: SourceKey::new(host, peer),
            listener: "syslog-udp".to_owned(),
            first: now,
            last: now,
            events: 1,
            ..SourceDelta::default()
        };
        self.store.report_sources("here", vec![delta]).await.unwrap();
    }

    async fn round(&mut self) {
        self.watch.round(&mut self.memory, &self.limits).await.unwrap();
    }

    /// Open alerts by problem and host.
    async fn open(&self) -> Vec<(String, String)> {
        let query = AlertQuery { state: Some(AlertState::Open), ..AlertQuery::default() };
        let found = self.store.alerts(&query, 1_000, None).await.unwrap().items;
        let mut open: Vec<_> = found
            .into_iter()
            .map(|alert| (alert.problem, format!("{}/{}", alert.host, alert.resource)))
            .collect();
        open.sort();
        open
    }

    /// Lets time pass with reports and rounds; those named speak on.
    async fn pass(&mut self, seconds: u64, drops_each: u64, speaking: &[(&str, &str)]) {
        for step in 0..seconds / 10 {
            self.clock.advance(Duration::from_secs(10));
            self.ingestor(step * drops_each).await;
            for (host, peer) in speaking {
                self.speaks(host, peer).await;
            }
            self.round().await;
        }
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("h{n}")).collect()
}

fn pair(problem: &str, about: &str) -> (String, String) {
    (problem.to_owned(), about.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_goes_quiet_is_told_with_its_team_and_cleared_by_its_next_event() {
    let mut site = site();
    site.ingestor(0).await;
    site.history(&["r1".to_owned(), "r2".to_owned()], "192.0.2.1").await;
    site.pass(290, 0, &[("r2", "192.0.2.1")]).await;
    assert_eq!(site.open().await, []);
    site.pass(30, 0, &[("r2", "192.0.2.1")]).await;
    assert_eq!(site.open().await, [pair(SOURCE_QUIET, "r1/192.0.2.1")]);
    site.pass(600, 0, &[("r2", "192.0.2.1")]).await;
    assert_eq!(site.open().await.len(), 1, "once");
    site.speaks("r1", "192.0.2.1").await;
    site.round().await;
    assert_eq!(site.open().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_goes_quiet_is_one_alert_for_a_thousand_sources() {
    let mut site = site();
    site.ingestor(0).await;
    site.history(&names(1_000), "192.0.2.9").await;
    site.history(&["r2".to_owned()], "192.0.2.1").await;
    site.pass(400, 0, &[("r2", "192.0.2.1")]).await;
    assert_eq!(site.open().await, [pair(RELAY_QUIET, "mutt/192.0.2.9")]);
    let counts = site.store.source_counts().await.unwrap();
    assert_eq!((counts.all, counts.quiet), (1_001, 1_000));
    let some: Vec<String> = names(200);
    let some: Vec<_> = some.iter().map(|host| (host.as_str(), "192.0.2.9")).collect();
    site.pass(20, 0, &some).await;
    assert_eq!(site.open().await, [], "one clear, and the others get the time to speak");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_starved_socket_is_an_alert_about_us() {
    let mut site = site();
    site.ingestor(0).await;
    site.history(&names(5), "192.0.2.9").await;
    site.history(&["r1".to_owned()], "192.0.2.1").await;
    site.pass(400, 7, &[]).await;
    assert_eq!(site.open().await, [pair(DEAF, "mutt/ingestor")]);
    // The kernel drops nothing more, and all speak again.
    let hosts = names(5);
    let mut speaking: Vec<_> = hosts.iter().map(|host| (host.as_str(), "192.0.2.9")).collect();
    speaking.push(("r1", "192.0.2.1"));
    site.pass(300, 0, &speaking).await;
    assert_eq!(site.open().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_begins_while_mutt_is_deaf_tells_of_it_once() {
    let mut site = site();
    site.ingestor(0).await;
    site.history(&names(5), "192.0.2.9").await;
    site.clock.advance(Duration::from_secs(400));
    for _ in 0..4 {
        site.clock.advance(Duration::from_secs(10));
        site.round().await;
    }
    assert_eq!(site.open().await, [pair(DEAF, "mutt/ingestor")]);
    // The next Remediation knows what the one before it told, and takes it back.
    site.memory = Memory::default();
    site.pass(300, 0, &[("h0", "192.0.2.9"), ("h1", "192.0.2.9")]).await;
    assert_eq!(site.open().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingestor_that_is_gone_is_an_alert_about_us_and_its_sources_get_time_when_it_is_back() {
    let mut site = site();
    site.ingestor(0).await;
    site.history(&names(5), "192.0.2.9").await;
    for _ in 0..40 {
        site.clock.advance(Duration::from_secs(10));
        site.round().await;
    }
    assert_eq!(site.open().await, [pair(DEAF, "mutt/ingestor")]);
    site.pass(200, 0, &[]).await;
    assert!(site.open().await.iter().all(|(problem, _)| problem == DEAF));
    site.pass(700, 0, &[]).await;
    assert_eq!(site.open().await, [pair(RELAY_QUIET, "mutt/192.0.2.9")], "now it is theirs");
}
