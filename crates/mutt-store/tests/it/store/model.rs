//! Random actions on deliveries against a small model; the ledger's equation holds after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use mutt_model::Id;
use mutt_model::delivery::{DeadReason, Delivery, Next};
use mutt_model::rule::RuleAction::{Clear, Problem};
use mutt_store::store::{ReplayFilter, SinkLease, Store};
use proptest::prelude::*;

use super::support::*;

#[derive(Clone, Debug)]
enum Action {
    Commit(u8, bool),
    Take(u8, bool),
    Finish(u8),
    GiveBack,
    Hold(bool),
    Probe,
    Replay(bool),
    NewOwner,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..3u8, any::<bool>()).prop_map(|(key, clear)| Action::Commit(key, clear)),
        4 => (1..4u8, any::<bool>()).prop_map(|(limit, coalesce)| Action::Take(limit, coalesce)),
        6 => (0..5u8).prop_map(Action::Finish),
        1 => Just(Action::GiveBack),
        1 => any::<bool>().prop_map(Action::Hold),
        1 => Just(Action::Probe),
        1 => any::<bool>().prop_map(Action::Replay),
        1 => Just(Action::NewOwner),
    ]
}

/// What a Forwarder knows: what it holds, and the newest seq that each key has seen leave.
struct Model {
    store: Arc<dyn Store>,
    lease: SinkLease,
    leased: Vec<Delivery>,
    left: BTreeMap<String, i64>,
    created: u64,
    delivered: u64,
    replayed: bool,
    owners: u32,
    seconds: i64,
}

impl Model {
    async fn step(&mut self, action: Action) {
        self.seconds += 1;
        match action {
            Action::Commit(key, clear) => {
                let key = ["a", "b", "c"][usize::from(key)];
                let what = if clear { Clear } else { Problem };
                let done = commit_changes(&self.store, &[(self.seconds, key, what)]).await;
                self.created += done.deliveries.values().sum::<u64>();
            }
            Action::Take(limit, coalesce) => self.take(limit, coalesce).await,
            Action::Finish(how) => self.finish(how).await,
            Action::GiveBack => {
                let ids: Vec<Id> = self.leased.drain(..).map(|d| d.id).collect();
                self.store.give_back(&self.lease, &ids).await.unwrap();
            }
            Action::Hold(true) => {
                self.store.hold_lane(SINK, &actor("anna")).await.unwrap();
            }
            Action::Hold(false) => {
                self.store.release_lane(SINK, &actor("anna")).await.unwrap();
            }
            Action::Probe => self.store.ask_probe(SINK).await.unwrap(),
            Action::Replay(force) => {
                let all = ReplayFilter::default();
                let done = self.store.replay(all, force, &actor("anna"), START).await.unwrap();
                self.replayed |= force && done.replayed > 0;
            }
            Action::NewOwner => {
                self.owners += 1;
                let over = std::time::Duration::ZERO;
                let owner = format!("forwarder-{}", self.owners);
                let lease =
                    self.store.lease_sink(SINK, &owner, over, false).await.unwrap().unwrap();
                let late = self.store.give_back(&self.lease, &[]).await;
                assert!(late.is_err(), "the last owner is fenced off");
                self.lease = lease;
                self.leased.clear();
            }
        }
        self.check().await;
    }

    async fn take(&mut self, limit: u8, coalesce: bool) {
        let limit = usize::from(limit);
        let taken = self.store.take_due(&self.lease, limit, coalesce, START).await.unwrap();
        assert!(taken.len() <= limit);
        for delivery in taken {
            let other = self.leased.iter().find(|d| d.key == delivery.key);
            assert!(other.is_none(), "two of one key at once");
            self.leased.push(delivery);
        }
    }

    async fn finish(&mut self, how: u8) {
        let Some(delivery) = self.leased.pop() else { return };
        let next = match how {
            0 => Next::RetryAt(START),
            1 => Next::HoldLane("401".to_owned()),
            2 => Next::Dead(DeadReason::Refused),
            _ => Next::Delivered,
        };
        if next == Next::Delivered {
            self.delivered += 1;
            let left = self.left.entry(delivery.key.clone()).or_default();
            assert!(self.replayed || delivery.seq > *left, "order within a key");
            *left = delivery.seq.max(*left);
        }
        finish(&self.store, &self.lease, delivery.id, next).await;
    }

    async fn check(&self) {
        let ledger = self.store.delivery_ledger().await.unwrap();
        let sum = ledger.pending
            + ledger.leased
            + ledger.held
            + ledger.delivered
            + ledger.suppressed
            + ledger.dead;
        assert_eq!(ledger.created, sum, "{ledger:?}");
        assert_eq!((ledger.created, ledger.delivered), (self.created, self.delivered));
        assert_eq!(ledger.leased, self.leased.len() as u64);
    }

    /// At the end everything that is owed leaves, in order: no key is stuck.
    async fn drain(&mut self) {
        self.store.release_lane(SINK, &actor("anna")).await.unwrap();
        loop {
            self.take(3, false).await;
            if self.leased.is_empty() {
                break;
            }
            while !self.leased.is_empty() {
                self.finish(3).await;
            }
        }
        let ledger = self.store.delivery_ledger().await.unwrap();
        assert_eq!((ledger.pending, ledger.held, ledger.leased), (0, 0, 0));
        self.check().await;
    }
}

async fn run_on_sqlite(actions: Vec<Action>) {
    let dir = tempfile::tempdir().unwrap();
    run(sqlite(dir.path()), actions).await;
}

async fn run_on_postgres(actions: Vec<Action>) {
    let server = crate::postgres::server::Server::migrated(&[]).await;
    run(server.store().await, actions).await;
}

async fn run(store: Arc<dyn Store>, actions: Vec<Action>) {
    let over = std::time::Duration::ZERO;
    let lease = store.lease_sink(SINK, "forwarder-0", over, false).await.unwrap().unwrap();
    let mut model = Model {
        store,
        lease,
        leased: Vec::new(),
        left: BTreeMap::new(),
        created: 0,
        delivered: 0,
        replayed: false,
        owners: 0,
        seconds: 0,
    };
    for action in actions {
        model.step(action).await;
    }
    model.drain().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn deliveries_keep_the_ledger_and_their_order(actions in prop::collection::vec(action(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run_on_sqlite(actions));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn deliveries_keep_the_ledger_and_their_order_on_postgres(actions in prop::collection::vec(action(), 20..50)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run_on_postgres(actions));
    }
}
