//! Row 24: the power of the Redis host is cut under appends. With `fsync` everything that was
//! acknowledged is there when it is back, also where a replica confirms each append besides.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Clock, Event, Id, Source, Timestamp};
use mutt_store::queue::{EventQueue as _, QueueError};
use mutt_store::redis::{Durability, RedisOptions, RedisQueue};
use tokio::task::JoinSet;

use super::seed;
use crate::redis_server::{FSYNC, PATIENCE, RedisServer};
use crate::support::disk::Disk;
use crate::support::vault::free_port;

/// Ingestors at once.
const WRITERS: usize = 4;
/// Rounds of the long form.
const LONG_ROUNDS: usize = 20;

fn batch(n: u64) -> Batch {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    let mut builder = BatchBuilder::new(Id(id), 0);
    let at = Timestamp::from_secs(1_764_000_000);
    for _ in 0..3 {
        builder.push(&Event::from_raw(Id(id), at, Source::Syslog, "syslog-tcp", "peer", b"up"));
    }
    builder.finish()
}

fn number(batch: &Batch) -> u64 {
    u64::from_be_bytes(batch.id().0[8..].try_into().unwrap())
}

async fn ready(options: &RedisOptions) -> RedisQueue {
    let queue = RedisQueue::open(options.clone(), Clock::System);
    patient("the queue is there", || queue.state().is_ready()).await;
    queue
}

async fn patient(what: &str, mut so: impl FnMut() -> bool) {
    let until = Clock::System.monotonic() + PATIENCE;
    while !so() {
        assert!(Clock::System.monotonic() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the writers of all rounds know.
#[derive(Debug, Default)]
struct Known {
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    stop: AtomicBool,
}

/// Appends until it is told to end. What gets no answer is not tried again.
async fn write(queue: Arc<RedisQueue>, known: Arc<Known>) {
    while !known.stop.load(Ordering::SeqCst) {
        let n = known.next.fetch_add(1, Ordering::SeqCst);
        match queue.append(vec![batch(n)], None).await {
            Ok(()) => drop(known.acknowledged.lock().unwrap().insert(n)),
            Err(QueueError::Io { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Everything that can be read, as another process reads it.
async fn all(options: &RedisOptions) -> Vec<u64> {
    let reader = ready(options).await;
    let lease = reader.lease(0, "reader", PATIENCE).await.unwrap().unwrap();
    let mut found = Vec::new();
    loop {
        let some = reader.claim(lease, 500, Duration::ZERO).await.unwrap();
        if some.is_empty() {
            reader.lease(0, "reader", Duration::ZERO).await.unwrap();
            return found;
        }
        found.extend(some.iter().map(|claimed| number(&claimed.batch)));
    }
}

/// How the server goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    PowerCut,
    Kill,
}

/// The server whose host fails, and the replica of a durability that counts one, whose host does not.
fn servers(disk: &Disk, durability: Durability) -> (RedisServer, Option<RedisServer>) {
    let sync: &[&str] = if durability.fsync() {
        FSYNC
    } else {
        &["--appendonly", "yes", "--appendfsync", "everysec"]
    };
    let port = free_port().to_string();
    let settings = [sync, &["--bind", "127.0.0.1", "--port", &port]].concat();
    let server = RedisServer::start_in(disk.path().join("redis"), &settings);
    let replica = (durability.replicas() > 0).then(|| {
        let master = format!("127.0.0.1 {port}");
        RedisServer::start(&[sync, &["--replicaof", &master]].concat())
    });
    (server, replica)
}

/// So many faults at random moments; acknowledged, lost and twice at the end.
fn rounds(
    rounds: usize,
    durability: Durability,
    fault: Fault,
    seed: u64,
) -> Option<(usize, usize, usize)> {
    let mut disk = Disk::new(256)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let (mut server, _replica) = servers(&disk, durability);
    let options = RedisOptions { durability, timeout: Duration::from_secs(2), ..server.options() };
    let known = Arc::new(Known::default());
    let mut random = fastrand::Rng::with_seed(seed);
    let acknowledged = || known.acknowledged.lock().unwrap().len();
    for _ in 0..rounds {
        let before = acknowledged();
        let queue = Arc::new(runtime.block_on(ready(&options)));
        let mut writers = JoinSet::new();
        runtime.block_on(async {
            for _ in 0..WRITERS {
                writers.spawn(write(Arc::clone(&queue), Arc::clone(&known)));
            }
            patient("appends", || acknowledged() > before + 100).await;
            tokio::time::sleep(Duration::from_millis(random.u64(0..500))).await;
        });
        if fault == Fault::PowerCut {
            server.freeze();
            disk.cut();
            server.kill();
            disk.reboot();
        } else {
            server.kill();
        }
        known.stop.store(true, Ordering::SeqCst);
        runtime.block_on(async { while writers.join_next().await.is_some() {} });
        known.stop.store(false, Ordering::SeqCst);
        runtime.block_on(queue.close());
        server.restart();
    }
    let found = runtime.block_on(all(&options));
    let there: BTreeSet<u64> = found.iter().copied().collect();
    let acknowledged = known.acknowledged.lock().unwrap();
    let lost = acknowledged.difference(&there).count();
    let twice = found.len() - there.len();
    println!(
        "row 24: seed {seed}, {rounds} times {fault:?} of a server with {durability:?}, back before anybody misses it: acknowledged {}, read {}, lost {lost}, twice {twice}",
        acknowledged.len(),
        found.len()
    );
    Some((acknowledged.len(), lost, twice))
}

#[track_caller]
fn nothing_lost(outcome: Option<(usize, usize, usize)>) {
    // None: no disk can be had here, which was said.
    if let Some((acknowledged, lost, twice)) = outcome {
        assert!(acknowledged > 100);
        assert_eq!((lost, twice), (0, 0));
    }
}

#[test]
fn a_power_cut_of_redis_loses_nothing_that_was_acknowledged() {
    nothing_lost(rounds(2, Durability::Fsync, Fault::PowerCut, 1));
}

#[test]
fn a_power_cut_of_redis_loses_nothing_that_its_replica_has_confirmed_besides() {
    nothing_lost(rounds(1, Durability::FsyncReplica(1), Fault::PowerCut, 2));
}

/// What `fast` and `replica` lose is printed: they promise nothing of a host whose power fails.
#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_24_redis_power_cut() {
    nothing_lost(rounds(LONG_ROUNDS, Durability::Fsync, Fault::PowerCut, seed()));
    nothing_lost(rounds(LONG_ROUNDS, Durability::Fsync, Fault::Kill, seed()));
    nothing_lost(rounds(LONG_ROUNDS, Durability::FsyncReplica(1), Fault::PowerCut, seed()));
    rounds(LONG_ROUNDS, Durability::Replica(1), Fault::PowerCut, seed());
    rounds(LONG_ROUNDS, Durability::Fast, Fault::PowerCut, seed());
    rounds(LONG_ROUNDS, Durability::Fast, Fault::Kill, seed());
}
