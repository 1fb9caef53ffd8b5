//! Random actions on the queue over a real Redis, held against a plain list.

use std::time::Duration;

use mutt_store::queue::{EventQueue, Position, QueueError, ShardLease};
use mutt_store::redis::{RedisOptions, RedisQueue};
use proptest::prelude::*;

use super::super::support::{NO_WAIT, OWNER, TTL, balanced, batch, number, numbers};
use super::{leased, patiently, ready};
use crate::redis_server::RedisServer;

#[derive(Clone, Debug)]
enum Action {
    Append {
        batches: usize,
        events: u32,
        size: usize,
    },
    /// The newest batches once more, as after a lost answer.
    Repeat(usize),
    Claim(usize),
    Acknowledge(usize),
    Rewind,
    TakeOver,
    /// The server is killed and started again.
    Kill,
    /// This process dies; another one goes on.
    Reopen,
    /// An entry is deleted by hand.
    Delete(usize),
    Drop(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1usize..4, 1u32..5, 1usize..1500)
            .prop_map(|(batches, events, size)| Action::Append { batches, events, size }),
        2 => (1usize..4).prop_map(Action::Repeat),
        5 => (1usize..6).prop_map(Action::Claim),
        4 => (1usize..6).prop_map(Action::Acknowledge),
        1 => Just(Action::Rewind),
        1 => Just(Action::TakeOver),
        1 => Just(Action::Kill),
        1 => Just(Action::Reopen),
        1 => (0usize..8).prop_map(Action::Delete),
        1 => (1u64..9).prop_map(Action::Drop),
    ]
}

struct World<'a> {
    server: &'a mut RedisServer,
    options: RedisOptions,
    queue: RedisQueue,
    lease: ShardLease,
    owner: String,
    /// Not acknowledged: number, events, the mark in the stream, how often it was claimed.
    waiting: Vec<(u64, u32, u64, u32)>,
    claimed: Vec<Position>,
    /// What was deleted by hand and not yet passed by a claim.
    deleted: u64,
    next: u64,
    mark: u64,
    acknowledged: u64,
    dropped: u64,
    recent: Vec<(u64, u32)>,
}

impl World<'_> {
    async fn act(&mut self, action: &Action) {
        match *action {
            Action::Append { batches, events, size } => {
                let new: Vec<u64> = (self.next..).take(batches).collect();
                self.next += batches as u64;
                let made = new.iter().map(|n| batch(*n, events, size)).collect();
                self.queue.append(made, None).await.unwrap();
                for n in new {
                    self.mark += u64::from(events);
                    self.waiting.push((n, events, self.mark, 0));
                    self.recent.push((n, events));
                }
            }
            Action::Repeat(count) => {
                let last = self.recent.iter().rev().take(count).rev();
                let made = last.map(|(n, events)| batch(*n, *events, 9)).collect();
                self.queue.append(made, None).await.unwrap();
            }
            Action::Claim(count) => self.claim(count).await,
            Action::Acknowledge(count) => self.acknowledge(count).await,
            Action::Rewind => {
                self.queue.rewind(self.lease).await.unwrap();
                self.claimed.clear();
            }
            Action::TakeOver => {
                self.queue.lease(0, &self.owner, Duration::ZERO).await.unwrap();
                self.owner.push('x');
                let taken = self.queue.lease(0, &self.owner, TTL).await.unwrap().unwrap();
                assert!(taken.generation > self.lease.generation);
                let old = self.queue.claim(self.lease, 1, NO_WAIT).await;
                assert!(matches!(old, Err(QueueError::LeaseLost(0))));
                self.lease = taken;
                self.claimed.clear();
            }
            Action::Kill => {
                self.server.kill();
                self.server.restart();
                self.lease = leased(&self.queue, &self.owner).await;
            }
            Action::Reopen => {
                self.queue.lease(0, &self.owner, Duration::ZERO).await.unwrap();
                self.queue.close().await;
                self.queue = ready(self.options.clone()).await;
                self.owner.push('y');
                self.lease = leased(&self.queue, &self.owner).await;
                self.claimed.clear();
            }
            Action::Delete(which) => self.delete(which),
            Action::Drop(events) => {
                self.queue.count_dropped("queue_full", events);
                self.dropped += events;
            }
        }
        self.agree().await;
    }

    async fn claim(&mut self, count: usize) {
        let claimed = self.queue.claim(self.lease, count, NO_WAIT).await.unwrap();
        let from = self.claimed.len();
        let until = (from + count).min(self.waiting.len());
        let expected = &mut self.waiting[from..until];
        assert!(
            numbers(&claimed).iter().eq(expected.iter().map(|(n, ..)| n)),
            "{:?} for {expected:?}",
            numbers(&claimed)
        );
        for (found, (n, events, _, times)) in claimed.iter().zip(expected) {
            assert_eq!((found.batch.len(), number(&found.batch)), (*events, *n));
            assert_eq!(found.deliveries_before, *times, "batch {n}");
            *times += 1;
        }
        self.claimed.extend(claimed.iter().map(|c| c.position));
    }

    async fn acknowledge(&mut self, count: usize) {
        let count = count.min(self.claimed.len());
        if count == 0 {
            return;
        }
        self.queue.acknowledge(self.lease, self.claimed[count - 1]).await.unwrap();
        self.claimed.drain(..count);
        let done = self.waiting.drain(..count);
        self.acknowledged += done.map(|(_, events, ..)| u64::from(events)).sum::<u64>();
    }

    /// Only what is not in anybody's hand.
    fn delete(&mut self, which: usize) {
        let at = self.claimed.len() + which;
        if at >= self.waiting.len() {
            return;
        }
        let (_, events, mark, _) = self.waiting.remove(at);
        let id = format!("{mark}-{events}");
        let stream = format!("{{{}:0}}:stream", self.options.prefix);
        assert_eq!(self.server.command(&["XDEL", &stream, &id]), "1", "{id}");
        self.deleted += u64::from(events);
    }

    async fn agree(&self) {
        // A look brings what others did.
        patiently(async || self.queue.lease(0, &self.owner, TTL).await).await;
        let stats = self.queue.stats();
        balanced(&stats);
        let waiting: u64 = self.waiting.iter().map(|(_, events, ..)| u64::from(*events)).sum();
        assert_eq!(stats.appended_events, self.mark, "{stats:?}");
        assert_eq!(stats.pending_batches, self.waiting.len() as u64, "{stats:?}");
        assert_eq!(stats.acknowledged_events, self.acknowledged, "{stats:?}");
        // What was deleted is pending until a claim meets the hole, then lost.
        assert_eq!(stats.pending_events + stats.lost_events, waiting + self.deleted, "{stats:?}");
        assert!(stats.lost_events <= self.deleted, "{stats:?}");
        assert_eq!(stats.dropped.values().sum::<u64>(), self.dropped, "{stats:?}");
    }

    /// Everything is read and done: nothing is left over.
    async fn finish(&mut self) {
        while self.claimed.len() < self.waiting.len() {
            self.claim(7).await;
        }
        self.claim(1).await;
        self.acknowledge(usize::MAX).await;
        self.claim(1).await;
        let stats = self.queue.stats();
        assert_eq!((stats.pending_events, stats.lost_events), (0, self.deleted), "{stats:?}");
        balanced(&stats);
    }
}

#[test]
fn the_queue_on_redis_agrees_with_a_list() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = std::cell::RefCell::new(RedisServer::durable());
    let next = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(actions in proptest::collection::vec(action(), 1..50))| {
        next.set(next.get() + 1);
        let mut server = server.borrow_mut();
        let options = RedisOptions { prefix: format!("mutt{}", next.get()), ..server.options() };
        runtime.block_on(async {
            let queue = ready(options.clone()).await;
            let lease = leased(&queue, OWNER).await;
            let mut world = World {
                server: &mut server,
                options,
                queue,
                lease,
                owner: OWNER.to_owned(),
                waiting: Vec::new(),
                claimed: Vec::new(),
                deleted: 0,
                next: 0,
                mark: 0,
                acknowledged: 0,
                dropped: 0,
                recent: Vec::new(),
            };
            for action in &actions {
                world.act(action).await;
            }
            world.finish().await;
        });
    });
}

/// What happens to a server that keeps only its snapshots.
#[derive(Clone, Debug)]
enum Turn {
    /// By one of two processes.
    Append {
        other: bool,
        batches: usize,
    },
    /// The owner reads this many and acknowledges so many of them.
    Work(usize, usize),
    Save,
    /// Back to the last snapshot.
    Crash,
    Flush,
    /// A second passes: both have looked.
    Look,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (any::<bool>(), 1usize..4).prop_map(|(other, batches)| Turn::Append { other, batches }),
        5 => (1usize..6, 0usize..6).prop_map(|(claim, done)| Turn::Work(claim, done)),
        2 => Just(Turn::Save),
        2 => Just(Turn::Crash),
        1 => Just(Turn::Flush),
        1 => Just(Turn::Look),
    ]
}

/// Whatever one disaster takes, each answered event is read and acknowledged or counted as lost, once.
async fn history(server: &mut RedisServer, turns: &[Turn]) {
    let options =
        RedisOptions { durability: mutt_store::redis::Durability::Fast, ..server.options() };
    let queues = [ready(options.clone()).await, ready(options).await];
    let owner = &queues[0];
    let (mut next, mut answered) = (0u64, 0u64);
    let mut done = std::collections::BTreeSet::new();
    let look = async || {
        for queue in &queues {
            patiently(async || queue.lease(0, "nobody", Duration::ZERO).await).await;
        }
    };
    for turn in turns {
        match *turn {
            Turn::Append { other, batches } => {
                let queue = &queues[usize::from(other)];
                let made: Vec<_> = (next..).take(batches).map(|n| batch(n, 2, 9)).collect();
                patiently(async || queue.append(made.clone(), None).await).await;
                next += batches as u64;
                answered += batches as u64 * 2;
            }
            Turn::Work(claim, take) => {
                let lease = leased(owner, OWNER).await;
                let claimed = patiently(async || owner.claim(lease, claim, NO_WAIT).await).await;
                if let Some(last) = claimed.iter().take(take).next_back() {
                    owner.acknowledge(lease, last.position).await.unwrap();
                    done.extend(claimed.iter().take(take).map(|c| number(&c.batch)));
                }
                owner.rewind(lease).await.unwrap();
            }
            Turn::Save => assert_eq!(server.command(&["SAVE"]), "OK"),
            // Between two disasters each process has looked, as it does each second.
            Turn::Crash => {
                server.kill();
                server.restart();
                look().await;
            }
            Turn::Flush => {
                assert_eq!(server.command(&["FLUSHALL"]), "OK");
                look().await;
            }
            Turn::Look => look().await,
        }
    }
    look().await;
    let lease = leased(owner, OWNER).await;
    loop {
        let claimed = patiently(async || owner.claim(lease, 9, NO_WAIT).await).await;
        let Some(last) = claimed.last() else { break };
        owner.acknowledge(lease, last.position).await.unwrap();
        done.extend(claimed.iter().map(|c| number(&c.batch)));
    }
    let stats = owner.stats();
    balanced(&stats);
    let read = done.len() as u64 * 2;
    let counted = (stats.appended_events, stats.acknowledged_events, stats.lost_events);
    assert_eq!(counted, (answered, read, answered - read), "{stats:?}");
    assert_eq!(stats.pending_events, 0);
}

#[test]
fn a_server_that_keeps_only_snapshots_loses_nothing_uncounted() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() };
    proptest!(config, |(turns in proptest::collection::vec(turn(), 1..25))| {
        let mut server = RedisServer::start(&["--appendonly", "no"]);
        runtime.block_on(history(&mut server, &turns));
    });
}
