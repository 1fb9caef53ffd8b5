//! Many damages at once, and power cuts while damage is being mended: the counters still agree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mutt_model::Clock;
use mutt_store::queue::fs::Fs as _;
use mutt_store::queue::{EmbeddedQueue, EventQueue, FullBecause, QueueError, QueueOptions};
use proptest::prelude::*;

use super::sim::SimFs;
use super::support::{OWNER, TTL, append, balanced, batch, claim_all, lease, number, roomy};

const DIR: &str = "/q";

fn open(fs: &SimFs) -> Result<EmbeddedQueue, QueueError> {
    let options = QueueOptions { segment_bytes: 4 << 10, ..roomy() };
    EmbeddedQueue::open_on(Arc::new(fs.clone()), Path::new(DIR), options, Clock::default())
}

fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let mut names = fs.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.ends_with(".log"));
    names.sort();
    names.iter().map(|name| Path::new(DIR).join(name)).collect()
}

/// 30 batches of two events over several files, closed.
async fn filled() -> SimFs {
    let fs = SimFs::default();
    let queue = open(&fs).unwrap();
    append(&queue, 0..30, 2).await;
    queue.close().await;
    drop(queue);
    assert!(segments(&fs).len() >= 4);
    fs
}

/// Reads and acknowledges everything; batches found and events lost.
async fn drain(fs: &SimFs) -> (Vec<(u64, u32)>, u64) {
    let queue = open(fs).unwrap();
    balanced(&queue.stats());
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    let stats = queue.stats();
    balanced(&stats);
    let found: Vec<_> = claimed.iter().map(|c| (number(&c.batch), c.batch.len())).collect();
    let events: u64 = found.iter().map(|(_, e)| u64::from(*e)).sum();
    assert_eq!(stats.pending_events, events, "{stats:?}");
    if let Some(last) = claimed.last() {
        queue.acknowledge(held, last.position).await.unwrap();
    }
    let done = queue.stats();
    balanced(&done);
    assert_eq!((done.pending_events, done.acknowledged_events), (0, events), "{done:?}");
    append(&queue, 1_000..1_001, 2).await;
    queue.close().await;
    drop(queue);
    let again = open(fs).unwrap().stats();
    balanced(&again);
    assert_eq!((again.pending_events, again.lost_events), (2, stats.lost_events), "{again:?}");
    (found, stats.lost_events)
}

/// Damages a filled queue, lets the power go after `changes` changes of the mending, and reads.
async fn power_cut_while_mending(
    changes: u32,
    damage: impl Fn(&SimFs, &[PathBuf]),
) -> (usize, u64) {
    let fs = filled().await;
    damage(&fs, &segments(&fs));
    fs.die_after(changes);
    if let Ok(queue) = open(&fs)
        && let Ok(Some(held)) = queue.lease(0, OWNER, TTL).await
    {
        while queue.claim(held, 5, TTL / 60_000).await.is_ok_and(|some| !some.is_empty()) {}
    }
    fs.crash(&mut fastrand::Rng::with_seed(changes.into()));
    let (found, lost) = drain(&fs).await;
    (found.len(), lost)
}

#[tokio::test]
async fn a_power_cut_while_damage_is_mended_changes_nothing() {
    for changes in 0..25 {
        let met_by_a_reader = |fs: &SimFs, files: &[PathBuf]| fs.flip(&files[1], 72 + 9);
        assert_eq!(power_cut_while_mending(changes, met_by_a_reader).await, (29, 2));
        let met_at_open = |fs: &SimFs, files: &[PathBuf]| fs.flip(&files[2], 20);
        assert_eq!(power_cut_while_mending(changes, met_at_open).await, (30, 0));
        let missing = |fs: &SimFs, files: &[PathBuf]| fs.lose(&files[1]);
        let (found, lost) = power_cut_while_mending(changes, missing).await;
        assert_eq!((found as u64 * 2 + lost, found < 30), (60, true));
    }
}

#[tokio::test]
async fn a_block_that_cannot_be_read_costs_the_records_in_it() {
    for at in [100, 1_500, 4_000] {
        let fs = filled().await;
        fs.spoil(&segments(&fs)[1], at);
        let (found, lost) = drain(&fs).await;
        let events: u64 = found.iter().map(|(_, e)| u64::from(*e)).sum();
        assert_eq!(events + lost, 60);
        assert!(lost > 0 && found.len() > 15, "{lost} {}", found.len());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_resumes_by_itself() {
    let fs = SimFs::default();
    let options = QueueOptions { min_free: 10_000, ..roomy() };
    let clock = Clock::default();
    let queue =
        EmbeddedQueue::open_on(Arc::new(fs.clone()), Path::new(DIR), options, clock).unwrap();
    append(&queue, 0..1, 2).await;
    for left in [10_100, 300, 0] {
        fs.limit_space(Some(left));
        let refused = queue.append(vec![batch(1, 2, 400)], None).await;
        assert!(matches!(refused, Err(QueueError::Full(FullBecause::Disk))), "{refused:?}");
        assert_eq!(queue.stats().appended_events, 2);
        // Reading and acknowledging go on.
        let held = lease(&queue).await;
        assert!(!claim_all(&queue, held).await.is_empty());
        queue.rewind(held).await.unwrap();
    }
    fs.limit_space(None);
    append(&queue, 1..3, 2).await;
    let held = lease(&queue).await;
    assert_eq!(claim_all(&queue, held).await.len(), 3);
    balanced(&queue.stats());
}

#[derive(Clone, Debug)]
enum Damage {
    Flip { file: usize, place: f64 },
    Cut { file: usize, place: f64 },
    Lose { file: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => (0usize..9, 0.0f64..1.0).prop_map(|(file, place)| Damage::Flip { file, place }),
        // Headers of segments and first records, which a random place seldom hits.
        2 => (0usize..9, 0.0f64..0.03).prop_map(|(file, place)| Damage::Flip { file, place }),
        1 => (0usize..9, 0.0f64..1.0).prop_map(|(file, place)| Damage::Cut { file, place }),
        1 => (0usize..9).prop_map(|file| Damage::Lose { file }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_damaged_the_counters_agree(all in proptest::collection::vec(damage(), 1..6)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let fs = filled().await;
            for damage in &all {
                let files = segments(&fs);
                let Some(last) = files.len().checked_sub(1) else { break };
                let at = |path: &Path, place: f64| {
                    let length = fs.open(path, false).unwrap().length().unwrap();
                    (length as f64 * place) as usize
                };
                match *damage {
                    Damage::Flip { file, place } => {
                        let path = &files[file.min(last)];
                        if at(path, 1.0) > 0 {
                            fs.flip(path, at(path, place));
                        }
                    }
                    Damage::Cut { file, place } => {
                        let path = &files[file.min(last)];
                        let open = fs.open(path, true).unwrap();
                        open.set_len(at(path, place) as u64).unwrap();
                    }
                    Damage::Lose { file } => fs.lose(&files[file.min(last)]),
                }
            }
            let (found, lost) = drain(&fs).await;
            let numbers: BTreeSet<u64> = found.iter().map(|(n, _)| *n).collect();
            assert!(found.is_sorted_by_key(|(n, _)| n), "order");
            assert_eq!(numbers.len(), found.len(), "nothing comes twice");
            let events: u64 = found.iter().map(|(_, e)| u64::from(*e)).sum();
            assert_eq!(events + lost, 60, "each event is read or counted as lost");
        });
    }
}
