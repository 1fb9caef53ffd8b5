//! The event queue on a real Redis: the contract, and what a server may do to it.

mod cluster;
mod failover;
mod faults;
mod model;
mod refusals;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::Clock;
use mutt_store::queue::{EventQueue, QueueError, QueueOptions, QueueStats};
use mutt_store::redis::{RedisOptions, RedisQueue};

use super::contract::queue_contract;
use super::support::{OWNER, TTL};
use crate::redis_server::{PATIENCE, RedisServer};

/// A queue that is there.
async fn ready(options: RedisOptions) -> RedisQueue {
    let queue = RedisQueue::open(options, Clock::default());
    until("the queue is there", || queue.state().is_ready()).await;
    queue
}

/// Waits for what other tasks bring about.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    while !condition() {
        assert!(clock.monotonic() < until, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Repeats what a server that comes back refuses at first.
async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, QueueError>) -> T {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    loop {
        match call().await {
            Ok(done) => return done,
            Err(QueueError::Io { .. }) if clock.monotonic() < until => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The lease of the first shard, also while the server comes back.
async fn leased(queue: &RedisQueue, owner: &str) -> mutt_store::queue::ShardLease {
    patiently(async || queue.lease(0, owner, TTL).await).await.expect("the shard is free")
}

/// Counters as another process sees them that has just come.
async fn seen_by_another(server: &RedisServer) -> QueueStats {
    let other = ready(server.options()).await;
    patiently(async || other.lease(0, OWNER, TTL).await).await;
    other.stats()
}

/// Each part of the contract has a prefix of its own, which in a Cluster falls into another slot.
async fn contract(options: &RedisOptions) {
    let next = Cell::new(0);
    queue_contract(async |caps: QueueOptions| {
        next.set(next.get() + 1);
        let options = RedisOptions {
            prefix: format!("mutt{}", next.get()),
            max_events: caps.max_events,
            max_bytes: caps.max_bytes,
            ..options.clone()
        };
        Arc::new(ready(options).await) as Arc<dyn EventQueue>
    })
    .await;
}

#[tokio::test]
async fn the_redis_queue_keeps_the_contract() {
    let server = RedisServer::durable();
    contract(&server.options()).await;
}

/// Commands, their options and the shapes of their answers are those of Redis 6.2: here they are its own.
#[tokio::test]
async fn the_redis_queue_keeps_the_contract_on_redis_6_2() {
    let mut server = RedisServer::of_rhel_9();
    assert!(server.command(&["INFO", "server"]).contains("redis_version:6.2."));
    contract(&server.options()).await;
    // And what a server that comes back says of itself.
    let queue = ready(server.options()).await;
    server.kill();
    until("the server is missed", || !queue.state().is_ready()).await;
    server.restart();
    until("the queue is there again", || queue.state().is_ready()).await;
}
