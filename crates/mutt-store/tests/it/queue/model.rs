//! Random actions on the embedded queue over the simulated disk, held against a plain list.
//!
//! What must hold after every action: an append that was answered well is never lost and keeps its
//! place; nothing is invented; the counters agree to the event.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mutt_model::Clock;
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueError, QueueOptions, ShardLease};
use proptest::prelude::*;

use super::sim::SimFs;
use super::support::{
    NO_WAIT, OWNER, TTL, balanced, batch, claim_all, lease, number, numbers, roomy,
};

#[derive(Clone, Debug)]
enum Action {
    Append {
        batches: usize,
        events: u32,
        size: usize,
    },
    Claim(usize),
    /// Acknowledges this many of what is claimed.
    Acknowledge(usize),
    Rewind,
    /// Another owner takes the shard over.
    TakeOver,
    Crash(u64),
    Kill,
    Restart,
    FailWrites(u32),
    FailSyncs(u32),
    LimitSpace(u64),
    FreeSpace,
    Drop(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1usize..4, 1u32..5, 1usize..1500)
            .prop_map(|(batches, events, size)| Action::Append { batches, events, size }),
        5 => (1usize..6).prop_map(Action::Claim),
        4 => (1usize..6).prop_map(Action::Acknowledge),
        1 => Just(Action::Rewind),
        1 => Just(Action::TakeOver),
        2 => any::<u64>().prop_map(Action::Crash),
        1 => Just(Action::Kill),
        1 => Just(Action::Restart),
        1 => (1u32..3).prop_map(Action::FailWrites),
        1 => (1u32..4).prop_map(Action::FailSyncs),
        1 => (0u64..9000).prop_map(Action::LimitSpace),
        2 => Just(Action::FreeSpace),
        1 => (1u64..9).prop_map(Action::Drop),
    ]
}

fn options() -> QueueOptions {
    QueueOptions { segment_bytes: 4 << 10, ..roomy() }
}

struct World {
    fs: SimFs,
    queue: EmbeddedQueue,
    lease: ShardLease,
    owner: String,
    /// What must be claimed, in order: batch number and events.
    waiting: Vec<(u64, u32)>,
    /// How many of these are claimed.
    claimed: Vec<mutt_store::queue::Position>,
    acknowledged: Vec<(u64, u32)>,
    /// Appends that failed: they may show up after a restart.
    doubtful: BTreeSet<u64>,
    next: u64,
    dropped: u64,
    /// A fault was armed that an acknowledgement may meet too.
    faulty: bool,
}

fn open(fs: &SimFs) -> Result<EmbeddedQueue, QueueError> {
    EmbeddedQueue::open_on(Arc::new(fs.clone()), Path::new("/q"), options(), Clock::default())
}

impl World {
    async fn new() -> Self {
        let fs = SimFs::default();
        let queue = open(&fs).unwrap();
        let lease = lease(&queue).await;
        Self {
            fs,
            queue,
            lease,
            owner: OWNER.to_owned(),
            waiting: Vec::new(),
            claimed: Vec::new(),
            acknowledged: Vec::new(),
            doubtful: BTreeSet::new(),
            next: 0,
            dropped: 0,
            faulty: false,
        }
    }

    async fn act(&mut self, action: &Action) {
        match *action {
            Action::Append { batches, events, size } => self.append(batches, events, size).await,
            Action::Claim(batches) => self.claim(batches).await,
            Action::Acknowledge(count) => self.acknowledge(count).await,
            Action::Rewind => {
                self.queue.rewind(self.lease).await.unwrap();
                self.claimed.clear();
            }
            Action::TakeOver => self.take_over().await,
            Action::Crash(seed) => {
                self.fs.limit_space(None);
                self.fs.crash(&mut fastrand::Rng::with_seed(seed));
                self.reopen(true).await;
            }
            Action::Kill => {
                self.fs.kill();
                self.fs.limit_space(None);
                self.reopen(false).await;
            }
            Action::Restart => {
                self.fs.limit_space(None);
                self.fs.fail_writes(0);
                self.fs.fail_syncs(0);
                self.queue.close().await;
                self.fs.kill();
                self.reopen(false).await;
            }
            Action::FailWrites(times) => self.fs.fail_writes(times),
            Action::FailSyncs(times) => self.fs.fail_syncs(times),
            Action::LimitSpace(bytes) => self.fs.limit_space(Some(bytes)),
            Action::FreeSpace => self.fs.limit_space(None),
            Action::Drop(events) => {
                self.queue.count_dropped("queue_full", events);
                self.dropped += events;
            }
        }
        self.faulty |= matches!(
            action,
            Action::FailWrites(_) | Action::FailSyncs(_) | Action::LimitSpace(_) | Action::Drop(_)
        );
        self.agree();
    }

    async fn append(&mut self, batches: usize, events: u32, size: usize) {
        let new: Vec<u64> = (self.next..).take(batches).collect();
        self.next += batches as u64;
        let made = new.iter().map(|n| batch(*n, events, size)).collect();
        match self.queue.append(made, None).await {
            Ok(()) => self.waiting.extend(new.into_iter().map(|n| (n, events))),
            Err(QueueError::Full(_) | QueueError::Io { .. }) => self.doubtful.extend(new),
            Err(e) => panic!("{e}"),
        }
    }

    async fn claim(&mut self, batches: usize) {
        let claimed = self.queue.claim(self.lease, batches, NO_WAIT).await.unwrap();
        let expected = self.waiting.iter().skip(self.claimed.len()).take(batches);
        assert!(numbers(&claimed).iter().eq(expected.map(|(n, _)| n)), "{:?}", numbers(&claimed));
        self.claimed.extend(claimed.iter().map(|c| c.position));
    }

    async fn acknowledge(&mut self, count: usize) {
        let count = count.min(self.claimed.len());
        if count == 0 {
            return;
        }
        // A fault of the disk is answered, and what is known in memory stays true.
        let done = self.queue.acknowledge(self.lease, self.claimed[count - 1]).await;
        assert!(done.is_ok() || self.faulty, "{done:?}");
        self.claimed.drain(..count);
        self.acknowledged.extend(self.waiting.drain(..count));
    }

    async fn take_over(&mut self) {
        let given_up = self.queue.lease(0, &self.owner, std::time::Duration::ZERO).await;
        self.owner.push('x');
        let taken = match given_up {
            Ok(_) => self.queue.lease(0, &self.owner, TTL).await,
            Err(e) => Err(e),
        };
        match taken {
            Ok(Some(taken)) => {
                assert!(taken.generation > self.lease.generation);
                self.lease = taken;
            }
            Ok(None) => panic!("the lease was given up"),
            Err(e) => {
                assert!(self.faulty, "{e}");
                self.fs.fail_writes(0);
                self.fs.fail_syncs(0);
                self.lease = self.queue.lease(0, &self.owner, TTL).await.unwrap().unwrap();
            }
        }
        self.claimed.clear();
    }

    /// Opens again and reads what there is. After a power cut acknowledged batches may come back.
    async fn reopen(&mut self, power_cut: bool) {
        let before = self.lease.generation;
        self.queue = EmbeddedQueue::open_on(
            Arc::new(SimFs::default()),
            Path::new("/elsewhere"),
            options(),
            Clock::default(),
        )
        .unwrap();
        self.queue = open(&self.fs).unwrap();
        self.lease = self.queue.lease(0, &self.owner, TTL).await.unwrap().unwrap();
        assert!(self.lease.generation > before, "a generation was given out twice");
        let all = claim_all(&self.queue, self.lease).await;
        let found: Vec<(u64, u32)> =
            all.iter().map(|c| (number(&c.batch), c.batch.len())).collect();
        assert!(found.is_sorted_by_key(|(n, _)| n), "order: {found:?}");
        let there: BTreeSet<u64> = found.iter().map(|(n, _)| *n).collect();
        for (n, _) in &self.waiting {
            assert!(there.contains(n), "acknowledged append {n} is lost; found {there:?}");
        }
        let waiting: BTreeSet<u64> = self.waiting.iter().map(|(n, _)| *n).collect();
        for n in there.difference(&waiting) {
            let came_back = self.acknowledged.iter().any(|(a, _)| a == n);
            assert!(
                self.doubtful.contains(n) || (came_back && (power_cut || self.faulty)),
                "batch {n} came from nowhere"
            );
        }
        self.acknowledged.retain(|(n, _)| !there.contains(n));
        self.waiting = found;
        self.claimed.clear();
        self.faulty = false;
        self.queue.rewind(self.lease).await.unwrap();
        if power_cut {
            self.dropped = self.queue.stats().dropped.values().sum();
        }
    }

    fn agree(&self) {
        let stats = self.queue.stats();
        balanced(&stats);
        let events = |list: &[(u64, u32)]| list.iter().map(|(_, e)| u64::from(*e)).sum::<u64>();
        assert_eq!(stats.pending_events, events(&self.waiting), "{stats:?}");
        assert_eq!(stats.pending_batches, self.waiting.len() as u64);
        assert_eq!(stats.lost_events, 0, "{stats:?}");
        assert!(stats.acknowledged_events >= events(&self.acknowledged));
        assert!(stats.set_aside.is_empty(), "{:?}", stats.set_aside);
        assert!(stats.dropped.values().sum::<u64>() <= self.dropped);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn the_log_agrees_with_a_list(actions in proptest::collection::vec(action(), 1..60)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for action in &actions {
                world.act(action).await;
            }
            world.act(&Action::Crash(7)).await;
        });
    }
}
