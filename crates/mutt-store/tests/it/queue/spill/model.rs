//! Writers at work while the primary fails at random and the process is killed at random: nothing
//! acknowledged is lost, nothing is twice in the primary, and order holds within each shard.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mutt_model::{Batch, BatchBuilder, Event, Id, Source, Timestamp};
use mutt_store::queue::EventQueue as _;
use mutt_store::spill::SpillQueue;
use proptest::prelude::*;
use tokio::sync::watch;

use super::super::support::balanced;
use super::faulty::{Fault, Faulty};
use super::{drained, reopen, spill, until};

pub(super) const WRITERS: u64 = 6;
pub(super) const SHARDS: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Action {
    Fail(Fault),
    /// Lets this many appends be answered.
    Work(u64),
    /// The primary is away for this many appends, and senders do not rest until the spill is empty.
    Flap(u64),
    Kill,
    Close,
}

fn action() -> impl Strategy<Value = Action> {
    let fault = prop_oneof![
        3 => Just(Fault::None),
        2 => Just(Fault::Away),
        2 => Just(Fault::LostBefore),
        3 => Just(Fault::LostAfter),
        2 => Just(Fault::Half),
        1 => Just(Fault::Hang),
        2 => Just(Fault::Late),
    ];
    prop_oneof![
        6 => fault.prop_map(Action::Fail),
        8 => (1u64..40).prop_map(Action::Work),
        4 => (1u64..20).prop_map(Action::Flap),
        2 => Just(Action::Kill),
        1 => Just(Action::Close),
    ]
}

/// When a batch was first given to the queue, and when it was answered, by one counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    begun: u64,
    answered: u64,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    clock: AtomicU64,
    answered: AtomicU64,
    pub(super) spans: std::sync::Mutex<HashMap<Id, Span>>,
}

impl Record {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Waits until this many more appends were answered.
    pub(super) async fn grows(&self, appends: u64) {
        let target = self.answered.load(Ordering::SeqCst) + appends;
        until("appends are answered", || self.answered.load(Ordering::SeqCst) >= target).await;
    }
}

pub(super) type Slot = watch::Sender<Option<Arc<SpillQueue>>>;

fn make(writer: u64, n: u64) -> Batch {
    let mut id = [0u8; 16];
    id[..8].copy_from_slice(&writer.to_be_bytes());
    id[8..].copy_from_slice(&n.to_be_bytes());
    let shard = u16::try_from(writer % SHARDS).unwrap();
    let mut builder = BatchBuilder::new(Id(id), shard);
    for _ in 0..=n % 3 {
        let at = Timestamp::from_secs(n.cast_signed());
        builder.push(&Event::from_raw(Id(id), at, Source::Syslog, "syslog-tcp", "peer", b"words"));
    }
    builder.finish()
}

/// Appends one or two batches at a time and repeats what was not answered well, as a listener does.
pub(super) async fn write(
    writer: u64,
    slot: watch::Receiver<Option<Arc<SpillQueue>>>,
    record: Arc<Record>,
    stop: watch::Receiver<bool>,
) {
    let mut slot = slot;
    let mut n = 0;
    while !*stop.borrow() {
        let batches: Vec<Batch> = (n..=n + n % 2).map(|n| make(writer, n)).collect();
        n += batches.len() as u64;
        let begun = record.tick();
        loop {
            let Some(queue) = slot.borrow_and_update().clone() else {
                slot.changed().await.unwrap();
                continue;
            };
            let answer = tokio::select! {
                // The process was killed before the answer.
                _ = slot.changed() => continue,
                answer = async { queue.append(batches.clone(), None).await } => answer,
            };
            if answer.is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let span = Span { begun, answered: record.tick() };
        record.spans.lock().unwrap().extend(batches.iter().map(|b| (b.id(), span)));
        record.answered.fetch_add(1, Ordering::SeqCst);
    }
}

async fn act(action: Action, primary: &Arc<Faulty>, dir: &Path, slot: &Slot, record: &Record) {
    match action {
        Action::Fail(fault) => primary.fail(fault),
        Action::Work(appends) => record.grows(appends).await,
        Action::Flap(appends) => {
            for _ in 0..3 {
                primary.fail(Fault::Away);
                record.grows(appends).await;
                primary.fail(Fault::None);
                let queue = slot.borrow().clone().unwrap();
                until("spilling ends", || spill(&queue).spilling_since.is_none()).await;
            }
        }
        Action::Kill => {
            drop(slot.send_replace(None));
            slot.send_replace(Some(Arc::new(reopen(primary, dir).await)));
        }
        Action::Close => {
            let queue = slot.borrow().clone().unwrap();
            queue.close().await;
            drop(queue);
            drop(slot.send_replace(None));
            slot.send_replace(Some(Arc::new(reopen(primary, dir).await)));
        }
    }
    let queue = slot.borrow().clone().unwrap();
    let answered: u64 = events(record.spans.lock().unwrap().keys().copied());
    let stats = queue.stats();
    balanced(&stats);
    assert!(stats.appended_events >= answered, "{answered} answered: {stats:?}");
}

pub(super) fn events(ids: impl Iterator<Item = Id>) -> u64 {
    ids.map(|id| u64::from_be_bytes(id.0[8..].try_into().unwrap()) % 3 + 1).sum()
}

/// What was answered before another was begun stands before it.
pub(super) fn in_order(there: &[Batch], spans: &HashMap<Id, Span>) {
    for shard in 0..SHARDS {
        let of_shard = there.iter().filter(|b| u64::from(b.shard()) == shard);
        let (mut latest, mut last) = (0, HashMap::new());
        for batch in of_shard {
            let span = spans[&batch.id()];
            assert!(span.answered >= latest, "{:?} was overtaken", batch.id());
            latest = latest.max(span.begun);
            let id = batch.id().0;
            let (writer, n) = id.split_at(8);
            let before = last.insert(writer.to_vec(), n.to_vec());
            assert!(before.is_none_or(|before| before.as_slice() < n), "order of one writer");
        }
    }
}

async fn run(actions: &[Action]) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spill");
    let primary = Faulty::open(&dir.path().join("primary")).await;
    let slot = Slot::new(Some(Arc::new(reopen(&primary, &place).await)));
    let (stop, stopped) = watch::channel(false);
    let record = Arc::new(Record::default());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(writer, slot.subscribe(), Arc::clone(&record), stopped.clone()));
    }
    for action in actions {
        act(*action, &primary, &place, &slot, &record).await;
    }
    primary.fail(Fault::None);
    stop.send_replace(true);
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let queue = slot.borrow().clone().unwrap();
    drained(&queue).await;
    let there = primary.batches().await;
    let spans = record.spans.lock().unwrap().clone();
    let mut ids: Vec<Id> = there.iter().map(Batch::id).collect();
    in_order(&there, &spans);
    ids.sort();
    assert!(ids.windows(2).all(|two| two[0] != two[1]), "something is there twice");
    assert_eq!(ids.len(), spans.len(), "answered and there");
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!(stats.appended_events, events(ids.into_iter()), "received, counted once");
    let spilled = spill(&queue);
    assert_eq!(spilled.spilled_events, spilled.drained_events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 8, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_twice_or_overtaken(actions in proptest::collection::vec(action(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(run(&actions));
    }
}
