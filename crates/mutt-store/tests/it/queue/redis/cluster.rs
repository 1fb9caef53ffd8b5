//! The queue over a Redis Cluster: the contract, shards on several nodes, and replicas that the Cluster
//! knows, also while they do not follow.

use mutt_model::Clock;
use mutt_store::queue::EventQueue as _;
use mutt_store::redis::link::hash_tag;
use mutt_store::redis::{Durability, RedisOptions, RedisQueue};
use mutt_store::state::EngineState;

use super::super::support::{NO_WAIT, OWNER, TTL, append, balanced, batch, numbers};
use super::{contract, leased, patiently, ready, until};
use crate::link::cluster::{nodes, owner, replica_of};
use crate::link::net::Node;
use crate::redis_server::FSYNC;

fn options(nodes: &[Node], durability: Durability) -> RedisOptions {
    let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    RedisOptions {
        durability,
        accept_failover_loss: durability == Durability::Fsync,
        ..crate::redis_server::options(&format!("redis+cluster://{}", hosts.join(",")))
    }
}

#[tokio::test]
async fn the_queue_on_a_cluster_keeps_the_contract() {
    let nodes = nodes(FSYNC).await;
    contract(&options(&nodes, Durability::Fsync)).await;
    // Shards on several nodes are one queue.
    let shards = 8;
    let options = RedisOptions { shards, ..options(&nodes, Durability::Fsync) };
    let queue = ready(options).await;
    let mut ids = mutt_model::IdSource::from_entropy();
    let now = Clock::default().wall();
    let batches = (0..shards).map(|shard| {
        let mut builder = mutt_model::BatchBuilder::new(ids.next(now), shard);
        let source = mutt_model::Source::Syslog;
        let id = ids.next(now);
        builder.push(&mutt_model::Event::from_raw(id, now, source, "syslog-tcp", "peer", b"up"));
        builder.finish()
    });
    let batches: Vec<_> = batches.collect();
    patiently(async || queue.append(batches.clone(), None).await).await;
    for shard in 0..shards {
        let held = queue.lease(shard, OWNER, TTL).await.unwrap().unwrap();
        let claimed = queue.claim(held, 9, NO_WAIT).await.unwrap();
        assert_eq!(claimed.len(), 1, "shard {shard}");
        queue.acknowledge(held, claimed[0].position).await.unwrap();
    }
    balanced(&queue.stats());
    assert_eq!(queue.stats().acknowledged_events, u64::from(shards));
}

/// The port of the node that serves the only shard of a queue.
fn serving(nodes: &[Node]) -> u16 {
    owner(nodes, &hash_tag("mutt", 0))
}

#[tokio::test]
async fn replicas_that_the_cluster_knows_and_that_do_not_follow_are_counted() {
    let nodes = nodes(FSYNC).await;
    let port = serving(&nodes);
    let _follows = replica_of(&nodes, port, FSYNC).await;
    let mut other = replica_of(&nodes, port, FSYNC).await;
    other.kill();
    let gone = format!("port={},", other.port);
    let master = nodes.iter().find(|node| node.port == port).unwrap();
    until("it no longer follows", || !master.command(&["INFO", "replication"]).contains(&gone))
        .await;
    let queue = RedisQueue::open(options(&nodes, Durability::Replica(1)), Clock::default());
    until("it is refused", || match queue.state() {
        EngineState::Away { code, why, .. } => {
            code.id == "MUTT-S032" && why.contains("set queue.replicas = 2")
        }
        EngineState::Ready => panic!("a replica that may be promoted is not counted"),
    })
    .await;
}

#[tokio::test]
async fn a_failover_of_a_cluster_loses_nothing_that_its_replica_confirmed() {
    let mut nodes = nodes(FSYNC).await;
    let port = serving(&nodes);
    let replica = replica_of(&nodes, port, FSYNC).await;
    let queue = ready(options(&nodes, Durability::FsyncReplica(1))).await;
    append(&queue, 0..20, 2).await;
    let master = nodes.iter_mut().find(|node| node.port == port).unwrap();
    master.kill();
    replica.tells(&["INFO", "replication"], "role:master").await;
    // It comes back as a replica of the one that was promoted.
    master.restart();
    replica.tells(&["INFO", "replication"], "state=online").await;
    patiently(async || queue.append(vec![batch(20, 2, 64)], None).await).await;
    let held = leased(&queue, OWNER).await;
    let mut found = Vec::new();
    loop {
        let some = patiently(async || queue.claim(held, 64, NO_WAIT).await).await;
        if some.is_empty() {
            break;
        }
        found.extend(numbers(&some));
    }
    assert_eq!(found, (0..21).collect::<Vec<_>>());
    balanced(&queue.stats());
}
