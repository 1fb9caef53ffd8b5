//! Failover under load (rows 25 and 26 of the fault matrix): a master that dies, also while its replica
//! is in full synchronisation, and one that is cut off from replica and Sentinels while clients still
//! reach it.
//!
//! With a replica counted for each append, everything that was acknowledged is read from the new master.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mutt_model::Clock;
use mutt_store::queue::{EventQueue, QueueError};
use mutt_store::redis::{Durability, RedisOptions, RedisQueue, RedisUrl};
use mutt_store::state::EngineState;

use super::super::support::{NO_WAIT, TTL, batch, number};
use super::{patiently, until};
use crate::link::net::{Node, Proxy};

/// Where the replica's connections come from, so that the proxy knows them.
const REPLICA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Where the Sentinels' come from.
const SENTINEL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Appends that must be acknowledged before a fault, and again after it.
const MANY: usize = 200;
/// Ingestors at once.
const WRITERS: usize = 4;

/// A master behind a proxy, a replica and three Sentinels.
struct Site {
    first: Node,
    second: Node,
    sentinels: Vec<Node>,
    wire: Proxy,
}

impl Site {
    async fn start(durability: Durability) -> Self {
        let port = crate::link::net::free_port();
        let wire = Proxy::before(port).await;
        let announced = wire.port.to_string();
        // A small backlog: whoever was away for long must take everything anew.
        let basis = [
            "--appendonly",
            "yes",
            "--appendfsync",
            if durability.fsync() { "always" } else { "everysec" },
            "--repl-backlog-size",
            "16384",
            "--replica-announce-ip",
            "127.0.0.1",
        ];
        let own = ["--replica-announce-port", &announced];
        let ports = ["--port", &port.to_string()];
        let first = Node::start_at(port, &ports, &[&basis[..], &own].concat(), &[]);
        let master = format!("127.0.0.1 {announced}");
        let from = REPLICA.to_string();
        let own = ["--replicaof", &master, "--bind-source-addr", &from];
        let second = Node::start(&[&basis[..], &own].concat());
        let guard = format!(
            "bind-source-addr {SENTINEL}\nsentinel monitor mutt {master} 2\nsentinel down-after-milliseconds mutt 1000\nsentinel failover-timeout mutt 5000\n"
        );
        let sentinels: Vec<_> = (0..3).map(|_| Node::sentinel(&guard, &[])).collect();
        first.tells(&["INFO", "replication"], "state=online").await;
        for sentinel in &sentinels {
            sentinel.tells(&["SENTINEL", "MASTER", "mutt"], "num-other-sentinels\n2").await;
            sentinel.tells(&["SENTINEL", "MASTER", "mutt"], "num-slaves\n1").await;
        }
        Self { first, second, sentinels, wire }
    }

    fn options(&self, durability: Durability) -> RedisOptions {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let url = format!("redis+sentinel://{}/mutt", hosts.join(","));
        RedisOptions {
            timeout: Duration::from_secs(2),
            durability,
            accept_failover_loss: true,
            ..crate::redis_server::options(&RedisUrl::parse(&url).unwrap().to_string())
        }
    }

    async fn promoted(&self) {
        let port = self.second.port.to_string();
        for sentinel in &self.sentinels {
            sentinel.tells(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mutt"], &port).await;
        }
        self.second.tells(&["INFO", "replication"], "role:master").await;
    }

    /// The first one follows the second, as the Sentinels would order after ten seconds.
    async fn follows(&self) {
        let port = self.second.port.to_string();
        self.first.command(&["REPLICAOF", "127.0.0.1", &port]);
        self.second.tells(&["INFO", "replication"], "state=online").await;
    }
}

/// What happens to the master.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    KillInFullSync,
    Partition,
    /// It is started again before anybody misses it, as a unit with `Restart=always` is.
    RestartAtOnce,
}

impl Fault {
    /// Happens and is over: there is one master, and the other one is its replica.
    async fn happen(self, site: &mut Site) {
        match self {
            Self::Kill => {
                site.first.kill();
                site.promoted().await;
                site.first.restart();
            }
            Self::KillInFullSync => {
                site.first.command(&["CONFIG", "SET", "repl-timeout", "2"]);
                site.first.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "60"]);
                site.wire.hold(&[REPLICA]);
                site.first.tells(&["INFO", "replication"], "connected_slaves:0").await;
                // More than the backlog keeps.
                let junk = "x".repeat(32 << 10);
                for n in 0..4 {
                    site.first.command(&["SET", &format!("junk{n}"), &junk]);
                }
                site.wire.hold(&[]);
                site.first.tells(&["INFO", "replication"], "state=wait_bgsave").await;
                site.first.kill();
                site.promoted().await;
                site.first.restart();
            }
            Self::Partition => {
                site.wire.hold(&[REPLICA, SENTINEL]);
                site.promoted().await;
                site.wire.hold(&[]);
            }
            Self::RestartAtOnce => {
                for sentinel in &site.sentinels {
                    let patient = ["SENTINEL", "SET", "mutt", "down-after-milliseconds", "60000"];
                    assert_eq!(sentinel.command(&patient), "OK");
                }
                site.first.kill();
                site.first.restart();
                site.first.tells(&["INFO", "replication"], "state=online").await;
                return;
            }
        }
        site.follows().await;
    }
}

#[derive(Debug, Default)]
struct Outcome {
    acknowledged: usize,
    /// Acknowledged and not there.
    lost: usize,
    /// There more than once.
    twice: usize,
    /// Answers that said no; each was tried again.
    refused: u64,
}

/// Several Ingestors append under a fault, each batch until it is acknowledged; afterwards another
/// process reads everything.
#[expect(clippy::disallowed_methods, reason = "a test's own tasks")]
async fn scenario(durability: Durability, fault: Fault, seed: u64) -> Outcome {
    let mut site = Site::start(durability).await;
    let queue = Arc::new(super::ready(site.options(durability)).await);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let (next, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (queue, stop) = (Arc::clone(&queue), Arc::clone(&stop));
            let (next, refused) = (Arc::clone(&next), Arc::clone(&refused));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let batch = batch(n, 3, 200);
                    loop {
                        match queue.append(vec![batch.clone()], None).await {
                            Ok(()) => {
                                acknowledged.lock().unwrap().insert(n);
                                break;
                            }
                            Err(QueueError::Io { .. }) => {
                                refused.fetch_add(1, Ordering::SeqCst);
                                if stop.load(Ordering::SeqCst) {
                                    break;
                                }
                            }
                            Err(other) => panic!("{other}"),
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    until("appends before the fault", || count() > MANY).await;
    let mut random = fastrand::Rng::with_seed(seed);
    tokio::time::sleep(Duration::from_millis(random.u64(0..200))).await;
    fault.happen(&mut site).await;
    let after = count();
    until("appends after the fault", || count() > after + MANY).await;
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    queue.close().await;
    let found = all(&site.options(durability)).await;
    let acknowledged = acknowledged.lock().unwrap();
    let there: BTreeSet<u64> = found.iter().copied().collect();
    Outcome {
        acknowledged: acknowledged.len(),
        lost: acknowledged.difference(&there).count(),
        twice: found.len() - there.len(),
        refused: refused.load(Ordering::SeqCst),
    }
}

/// The numbers of everything that can be read, as another process reads it.
async fn all(options: &RedisOptions) -> Vec<u64> {
    let reader: RedisQueue = super::ready(options.clone()).await;
    let lease = patiently(async || reader.lease(0, "reader", TTL).await).await.unwrap();
    let mut found = Vec::new();
    loop {
        let some = patiently(async || reader.claim(lease, 100, NO_WAIT).await).await;
        if some.is_empty() {
            return found;
        }
        found.extend(some.iter().map(|claimed| number(&claimed.batch)));
    }
}

#[track_caller]
fn nothing_lost(outcome: &Outcome) {
    println!("{outcome:?}");
    assert!(outcome.acknowledged > 2 * MANY, "{outcome:?}");
    assert_eq!((outcome.lost, outcome.twice), (0, 0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_loses_nothing_that_its_replica_confirmed() {
    nothing_lost(&scenario(Durability::Replica(1), Fault::Kill, 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_killed_while_its_replica_synchronises_loses_nothing_confirmed() {
    let outcome = scenario(Durability::Replica(1), Fault::KillInFullSync, 2).await;
    assert!(outcome.refused > 0, "acknowledged without a replica: {outcome:?}");
    nothing_lost(&outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_cut_off_acknowledges_nothing_that_is_lost() {
    let outcome = scenario(Durability::Replica(1), Fault::Partition, 3).await;
    assert!(outcome.refused > 0, "acknowledged without a replica: {outcome:?}");
    nothing_lost(&outcome);
}

/// A master without its data would be followed by its replica into emptiness: such a server is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_started_again_at_once_still_has_what_was_confirmed() {
    nothing_lost(&scenario(Durability::Replica(1), Fault::RestartAtOnce, 4).await);
    let forgetful = Node::start(&[]);
    let options = RedisOptions {
        durability: Durability::Replica(1),
        ..crate::redis_server::options(&forgetful.url())
    };
    let queue = RedisQueue::open(options, Clock::default());
    let mut why = String::new();
    until("the refusal", || {
        if let EngineState::Away { code, why: words, .. } = queue.state() {
            why = format!("{code} {words}");
        }
        why.contains("CONFIG SET appendonly yes")
    })
    .await;
    assert!(why.contains("MUTT-S032"), "{why}");
}

/// With both promises the same holds, and each append is synced besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_with_fsync_and_replica() {
    nothing_lost(&scenario(Durability::FsyncReplica(1), Fault::Kill, 5).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_cut_off_loses_nothing_with_fsync_and_replica() {
    let outcome = scenario(Durability::FsyncReplica(1), Fault::Partition, 6).await;
    assert!(outcome.refused > 0, "acknowledged without a replica: {outcome:?}");
    nothing_lost(&outcome);
}

/// What is tried in the long forms: two that promise to survive a failover, two that do not.
const DURABILITIES: [(&str, Durability); 4] = [
    ("replica", Durability::Replica(1)),
    ("fsync+replica", Durability::FsyncReplica(1)),
    ("fsync", Durability::Fsync),
    ("fast", Durability::Fast),
];

/// Rounds of these faults with each durability; what each one loses stands in a table at the end.
/// `MUTT_SOAK_ROUNDS` (default 5) and `MUTT_SOAK_SEED` (default 1) choose.
#[expect(clippy::disallowed_methods, reason = "a test's own switches")]
async fn soak(row: u32, faults: &[Fault]) {
    let of = |name, default| {
        std::env::var(name).ok().map_or(default, |value| value.parse::<u64>().unwrap())
    };
    let (rounds, seed) = (of("MUTT_SOAK_ROUNDS", 5), of("MUTT_SOAK_SEED", 1));
    println!("row {row}: seed {seed}, {rounds} rounds");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut table: BTreeMap<(String, &str), Outcome> = BTreeMap::new();
    for round in 0..rounds {
        for fault in faults {
            for (name, durability) in DURABILITIES {
                println!("round {round}, {fault:?}, {name}");
                let outcome = scenario(durability, *fault, random.u64(..)).await;
                if durability.replicas() > 0 {
                    nothing_lost(&outcome);
                } else {
                    println!("{outcome:?}");
                }
                let sum = table.entry((format!("{fault:?}"), name)).or_default();
                sum.acknowledged += outcome.acknowledged;
                sum.lost += outcome.lost;
                sum.twice += outcome.twice;
                sum.refused += outcome.refused;
            }
        }
    }
    println!("row {row}: batches of three events, seed {seed}, {rounds} rounds of each line");
    for ((fault, name), sum) in &table {
        println!(
            "row {row}: {fault:<15} {name:<13} acknowledged {:>6}, lost {:>6}, twice {}, refused {}",
            sum.acknowledged, sum.lost, sum.twice, sum.refused
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/soak runs it"]
async fn soak_row_25_sentinel_failover() {
    soak(25, &[Fault::Kill, Fault::KillInFullSync, Fault::RestartAtOnce]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/soak runs it"]
async fn soak_row_26_partition_and_heal() {
    soak(26, &[Fault::Partition]).await;
}
