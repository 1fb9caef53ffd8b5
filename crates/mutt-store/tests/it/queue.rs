//! Tests of the event queue: the contract of every backend, and the embedded log's faults.

mod contract;
mod failpoints;
mod invariants;
mod known_errors;
mod model;
mod redis;
mod sim;
mod spill;
mod support;

use std::sync::Arc;

use mutt_model::Clock;
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueOptions};

#[tokio::test]
async fn the_embedded_queue_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    contract::queue_contract(async |options: QueueOptions| {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        let clock = Clock::default();
        Arc::new(EmbeddedQueue::open(&dir, options, clock).unwrap()) as Arc<dyn EventQueue>
    })
    .await;
}
