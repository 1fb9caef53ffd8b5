//! Three Alerters on one event queue of eight shards and one store: they share the shards, take what a
//! dead one held, and judge by a new rule set within a second.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt::health::{Engines, HealthBoard};
use mutt::services::alerter::rules::LiveRules;
use mutt::services::alerter::share::Share;
use mutt::services::alerter::suspects::Suspects;
use mutt::services::alerter::{Alerter, AlerterMetrics};
use mutt::telemetry::metrics::ServiceMetrics;
use mutt_model::{Batch, BatchBuilder, Clock, Event, IdSource, Source};
use mutt_rules::CompileOptions;
use mutt_store::queue::EventQueue;
use mutt_store::redis::{RedisOptions, RedisQueue};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{
    Actor, CommitPolicy, PROCESS_REPORT_PERIOD, ProcessReport, ReadStore as _, RuleChange,
    RuleStore as _, Store,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::redis_server::{PATIENCE, RedisServer};

const SHARDS: u16 = 8;

/// One Alerter as its process runs it; dropped, it is gone as after `kill -9`.
pub(super) struct Process {
    share: Arc<Share>,
    rules: Arc<LiveRules>,
    _tasks: JoinSet<()>,
}

impl Process {
    fn start(redis: &RedisServer, store: &Arc<SqliteStore>, name: &str) -> Self {
        let options = RedisOptions { shards: SHARDS, name: name.to_owned(), ..redis.options() };
        Self::over(Arc::new(RedisQueue::open(options, Clock::System)), store, name)
    }

    /// The same over any queue.
    pub(super) fn over(queue: Arc<dyn EventQueue>, store: &Arc<SqliteStore>, name: &str) -> Self {
        let shards = queue.shards();
        let whole: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
        let board = Arc::new(HealthBoard::new(
            Clock::System,
            Engines::default(),
            mutt::secrets::Keyring::empty(Clock::System),
        ));
        let metrics = ServiceMetrics::new(&Clock::System);
        let team = CompileOptions { default_team: "NETO".to_owned() };
        let rules = LiveRules::new(team, Clock::System, Arc::clone(&board), &metrics);
        let alerter = Arc::new(Alerter {
            queue,
            store: Arc::clone(&whole),
            rules: Arc::new(rules),
            policy: Arc::new(ArcSwap::from_pointee(CommitPolicy {
                unhandled_threshold: 0,
                unhandled_window: Duration::from_secs(60),
                default_team: "NETO".to_owned(),
                sinks: Vec::new(),
            })),
            clock: Clock::System,
            share: Arc::new(Share::new(shards)),
            owner: name.to_owned(),
            suspects: Suspects::default(),
            board,
            metrics: AlerterMetrics::new(&metrics),
        });
        let (share, rules) = (Arc::clone(&alerter.share), Arc::clone(&alerter.rules));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for shard in 0..shards {
            let (alerter, stop) = (Arc::clone(&alerter), stop.clone());
            tasks.spawn(async move { alerter.run(shard, stop).await.unwrap() });
        }
        let following = Arc::clone(&share).follow(Arc::clone(&whole), Clock::System, stop.clone());
        tasks.spawn(async move { following.await.unwrap() });
        let (followed, told, token) = (Arc::clone(&rules), Arc::clone(&whole), stop);
        tasks.spawn(async move { followed.follow(told, token).await.unwrap() });
        let report = ProcessReport {
            id: name.to_owned(),
            services: BTreeSet::from(["alerter".to_owned()]),
            ..ProcessReport::default()
        };
        tasks.spawn(async move {
            loop {
                whole.report_process(&report).await.unwrap();
                tokio::time::sleep(PROCESS_REPORT_PERIOD).await;
            }
        });
        Self { share, rules, _tasks: tasks }
    }
}

pub(super) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Clock::System.monotonic();
    while !condition().await {
        assert!(Clock::System.monotonic() - begun < PATIENCE * 2, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn held(processes: &[Process]) -> Vec<usize> {
    processes.iter().map(|process| process.share.held()).collect()
}

fn shared(processes: &[Process], most: usize) -> bool {
    let held = held(processes);
    held.iter().sum::<usize>() == usize::from(SHARDS) && held.iter().all(|h| (1..=most).contains(h))
}

/// A batch with one event for each shard.
fn batches(ids: &mut IdSource) -> Vec<Batch> {
    let now = Clock::System.wall();
    let mut batch = |shard| {
        let mut builder = BatchBuilder::new(ids.next(now), shard);
        let id = ids.next(now);
        builder.push(&Event::from_raw(id, now, Source::Syslog, "syslog-tcp", "peer", b"up"));
        builder.finish()
    };
    (0..SHARDS).map(&mut batch).collect()
}

pub(super) fn actor() -> Actor {
    Actor { name: "test".to_owned(), reason: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_alerters_share_the_shards_and_take_what_a_dead_one_held() {
    let redis = RedisServer::durable();
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("mutt.db"), SqliteOptions::default()).unwrap();
    let store = Arc::new(store);
    let first = RuleChange::First(mutt_rules::first_rule_set());
    store.change_rules(first, None, &actor(), Clock::System.wall()).await.unwrap();
    let options = RedisOptions { shards: SHARDS, ..redis.options() };
    let sender = RedisQueue::open(options, Clock::System);
    until("the queue is there", async || sender.state().is_ready()).await;
    let mut ids = IdSource::from_entropy();

    let mut processes = vec![Process::start(&redis, &store, "one")];
    until("one has all", async || shared(&processes, 8)).await;
    processes.push(Process::start(&redis, &store, "two"));
    processes.push(Process::start(&redis, &store, "three"));
    until("three share", async || shared(&processes, 3)).await;

    sender.append(batches(&mut ids), None).await.unwrap();
    let audited = async |events| {
        let stats = sender.stats();
        store.ledger(&stats).await.is_ok_and(|ledger| ledger.events.audited == events)
    };
    until("what every shard held is audited", async || audited(8).await).await;

    // As a kill -9: nothing is given back.
    drop(processes.remove(0));
    sender.append(batches(&mut ids), None).await.unwrap();
    let begun = Clock::System.monotonic();
    until("what the dead one left is audited", async || audited(16).await).await;
    let took = Clock::System.monotonic() - begun;
    assert!(took < Duration::from_secs(30), "{took:?}");
    until("two share", async || shared(&processes, 4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rule_change_is_in_force_within_a_second_at_the_last_of_three() {
    let redis = RedisServer::durable();
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("mutt.db"), SqliteOptions::default()).unwrap();
    let store = Arc::new(store);
    let names = ["one", "two", "three"];
    let processes: Vec<_> = names.map(|name| Process::start(&redis, &store, name)).into();
    assert!(processes.iter().all(|process| process.rules.current().is_none()));
    let first = RuleChange::First(mutt_rules::first_rule_set());
    store.change_rules(first, None, &actor(), Clock::System.wall()).await.unwrap();
    for change in 0..100 {
        let host = format!("lab-{change}");
        let add = RuleChange::AddDevHost(host);
        let (set, _) = store.change_rules(add, None, &actor(), Clock::System.wall()).await.unwrap();
        let in_force = async |version| {
            processes
                .iter()
                .all(|process| process.rules.current().is_some_and(|r| r.version() == version))
        };
        let begun = Clock::System.monotonic();
        until("it is in force at all three", async || in_force(set.version).await).await;
        let took = Clock::System.monotonic() - begun;
        assert!(took < Duration::from_secs(1), "change {change}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_that_was_appended_again_when_it_was_forgotten_is_counted_as_duplicates() {
    let redis = RedisServer::durable();
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("mutt.db"), SqliteOptions::default()).unwrap();
    let store = Arc::new(store);
    let first = RuleChange::First(mutt_rules::first_rule_set());
    store.change_rules(first, None, &actor(), Clock::System.wall()).await.unwrap();
    let options = RedisOptions { shards: SHARDS, ..redis.options() };
    let sender = RedisQueue::open(options, Clock::System);
    until("the queue is there", async || sender.state().is_ready()).await;
    let batches = batches(&mut IdSource::from_entropy());
    sender.append(batches.clone(), None).await.unwrap();
    let _process = Process::start(&redis, &store, "one");
    let at_rest = async |audited, duplicates| {
        let ledger = store.ledger(&sender.stats()).await.unwrap().events;
        (ledger.pending, ledger.audited, ledger.duplicates, ledger.unaccounted)
            == (0, audited, duplicates, 0)
    };
    until("each is audited", async || at_rest(8, 0).await).await;
    // As after very many other batches: the ids are no longer remembered.
    for shard in 0..SHARDS {
        redis.command(&["DEL", &format!("{{mutt:{shard}}}:recent")]);
    }
    sender.append(batches, None).await.unwrap();
    until("each is known as a repeat", async || at_rest(8, 8).await).await;
}
