//! Damage by name: what each costs, what it never costs, and what is kept.

use std::path::{Path, PathBuf};

use mutt_model::{Clock, Timestamp};
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueError, QueueOptions, QueueStats, check};
use proptest::prelude::*;

use super::support::{NO_WAIT, append, balanced, batch, claim_all, lease, numbers, roomy};

fn small() -> QueueOptions {
    QueueOptions { segment_bytes: 4 << 10, ..roomy() }
}

fn open(dir: &Path) -> EmbeddedQueue {
    EmbeddedQueue::open(dir, small(), Clock::default()).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    found.sort();
    found
}

/// A closed queue of 30 batches of two events over several files.
async fn filled(dir: &Path) -> Vec<PathBuf> {
    let queue = open(dir);
    append(&queue, 0..30, 2).await;
    queue.close().await;
    drop(queue);
    let files = segments(dir);
    assert!(files.len() >= 3, "{files:?}");
    files
}

/// Opens, reads everything, acknowledges it, opens again: the counters must say the same.
async fn read_all(dir: &Path) -> (Vec<u64>, QueueStats) {
    let queue = open(dir);
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    let stats = queue.stats();
    balanced(&stats);
    if let Some(last) = claimed.last() {
        queue.acknowledge(held, last.position).await.unwrap();
    }
    let done = queue.stats();
    balanced(&done);
    assert_eq!(done.pending_events, 0, "{done:?}");
    // Goes on in a new file.
    append(&queue, 1_000..1_001, 2).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [1_000]);
    queue.close().await;
    drop(queue);
    let queue = open(dir);
    let again = queue.stats();
    balanced(&again);
    assert_eq!((again.lost_events, again.pending_events), (stats.lost_events, 2));
    assert_eq!(again.acknowledged_events, done.acknowledged_events);
    (numbers(&claimed), stats)
}

fn kept_aside(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("damaged")).map_or(0, Iterator::count) / 2
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_an_event_costs_that_event() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path()).await;
    let bytes = std::fs::read(&files[1]).unwrap();
    let at = bytes.windows(9).position(|w| w == b"aaaaaaaaa").unwrap();
    flip(&files[1], at);
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!(found, (0..30).collect::<Vec<_>>(), "the batch comes with its other event");
    assert_eq!(stats.lost_events, 1);
    assert_eq!((stats.set_aside.len(), kept_aside(dir.path())), (1, 1));
}

#[tokio::test]
async fn a_damaged_record_header_costs_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path()).await;
    flip(&files[1], 72 + 9);
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!((found.len(), stats.lost_events), (29, 2));
    assert_eq!(kept_aside(dir.path()), 1);
}

#[tokio::test]
async fn a_damaged_segment_header_costs_nothing() {
    for which in [0, 1, usize::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path()).await;
        flip(&files[which.min(files.len() - 1)], 20);
        let (found, stats) = read_all(dir.path()).await;
        assert_eq!((found.len(), stats.lost_events), (30, 0), "segment {which}");
        assert_eq!(kept_aside(dir.path()), 1);
    }
}

#[tokio::test]
async fn a_missing_segment_is_counted() {
    for which in [0, 1, usize::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let files = filled(dir.path()).await;
        std::fs::remove_file(&files[which.min(files.len() - 1)]).unwrap();
        let (found, stats) = read_all(dir.path()).await;
        assert!(found.len() < 30);
        assert_eq!(found.len() as u64 * 2 + stats.lost_events, 60, "segment {which}: {stats:?}");
        assert_eq!(stats.set_aside.len(), 1);
    }
}

#[tokio::test]
async fn all_segments_missing_is_not_an_empty_queue() {
    let dir = tempfile::tempdir().unwrap();
    for file in filled(dir.path()).await {
        std::fs::remove_file(file).unwrap();
    }
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!((found.len(), stats.appended_events, stats.lost_events), (0, 60, 60));
}

#[tokio::test]
async fn a_segment_that_goes_missing_while_open_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let queue = open(dir.path());
    let held = lease(&queue).await;
    std::fs::remove_file(&segments(dir.path())[1]).unwrap();
    let found = claim_all(&queue, held).await.len() as u64;
    let stats = queue.stats();
    balanced(&stats);
    assert!(stats.lost_events > 0);
    assert_eq!(found * 2 + stats.lost_events, 60);
}

#[tokio::test]
async fn damage_in_the_file_that_is_written_to_is_met_while_open() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    append(&queue, 0..3, 2).await;
    let held = lease(&queue).await;
    let first = claim_all(&queue, held).await;
    queue.acknowledge(held, first[0].position).await.unwrap();
    // In place, as a disk does it: the open file sees it.
    let file = std::fs::File::options().read(true).write(true).open(&segments(dir.path())[0]);
    let bytes = std::fs::read(&segments(dir.path())[0]).unwrap();
    let second = 72 + 64 + first[0].batch.as_bytes().len().next_multiple_of(8);
    assert_eq!(&bytes[second..second + 4], b"MUTR");
    std::os::unix::fs::FileExt::write_at(&file.unwrap(), b"X", second as u64 + 10).unwrap();
    queue.rewind(held).await.unwrap();
    let again = claim_all(&queue, held).await;
    assert_eq!(numbers(&again), [2]);
    append(&queue, 3..6, 2).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [3, 4, 5]);
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.lost_events, stats.pending_events, kept_aside(dir.path())), (2, 8, 1));
    queue.close().await;
    drop(queue);
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!((found, stats.lost_events, stats.appended_events), (vec![2, 3, 4, 5], 2, 12));
}

#[tokio::test]
async fn a_cut_tail_of_acknowledged_appends_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path()).await;
    let last = files.last().unwrap();
    let length = std::fs::metadata(last).unwrap().len();
    std::fs::File::options().write(true).open(last).unwrap().set_len(length - 7).unwrap();
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!((found.len(), stats.lost_events), (29, 2));
}

#[tokio::test]
async fn an_unfinished_append_is_cut_off_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path()).await;
    let last = files.last().unwrap();
    let mut bytes = std::fs::read(last).unwrap();
    let length = bytes.len();
    bytes.extend_from_slice(&[7; 99]);
    std::fs::write(last, &bytes).unwrap();
    let queue = open(dir.path());
    assert_eq!(queue.stats().set_aside, Vec::<String>::new());
    drop(queue);
    assert_eq!(std::fs::metadata(last).unwrap().len() as usize, length);
    let (found, stats) = read_all(dir.path()).await;
    assert_eq!((found.len(), stats.lost_events), (30, 0));
}

#[tokio::test]
async fn a_missing_cursor_means_second_deliveries() {
    for damaged in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let queue = open(dir.path());
        append(&queue, 0..30, 2).await;
        let held = lease(&queue).await;
        let claimed = queue.claim(held, 20, NO_WAIT).await.unwrap();
        queue.acknowledge(held, claimed[19].position).await.unwrap();
        queue.close().await;
        drop(queue);
        let cursor = dir.path().join("cursor");
        if damaged {
            std::fs::write(&cursor, [0u8; 8192]).unwrap();
        } else {
            std::fs::remove_file(&cursor).unwrap();
        }
        let (found, stats) = read_all(dir.path()).await;
        assert_eq!(found.last(), Some(&29));
        assert!(found.len() >= 10 && found.len() < 30, "files before the cursor were given back");
        assert_eq!((stats.appended_events, stats.lost_events), (60, 0));
        assert_eq!(stats.set_aside.len(), 1);
    }
}

#[tokio::test]
async fn a_lost_cursor_never_goes_back_in_generations() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_secs(1_000));
    let generation = async |dir: &Path| {
        let queue = EmbeddedQueue::open(dir, small(), clock.clone()).unwrap();
        append(&queue, 0..1, 1).await;
        let held = lease(&queue).await;
        queue.close().await;
        held.generation
    };
    let mut seen = 0;
    // As it stands, without its cursor, with a cursor that is damaged or older, set aside whole.
    let old = dir.path().join("old");
    for how in 0..6 {
        let cursor = dir.path().join("queue/cursor");
        match how {
            2 => std::fs::copy(&cursor, &old).map(|_| ()).unwrap(),
            3 => std::fs::remove_file(&cursor).unwrap(),
            4 => std::fs::copy(&old, &cursor).map(|_| ()).unwrap(),
            5 => std::fs::rename(dir.path().join("queue"), dir.path().join("aside")).unwrap(),
            _ => {}
        }
        clock.advance(std::time::Duration::from_secs(60));
        let now = generation(&dir.path().join("queue")).await;
        assert!(now > seen, "step {how}: {now} after {seen}");
        seen = now;
    }
}

#[tokio::test]
async fn an_old_copy_means_second_deliveries() {
    let dir = tempfile::tempdir().unwrap();
    let (now, old) = (dir.path().join("now"), dir.path().join("old"));
    filled(&now).await;
    std::fs::create_dir(&old).unwrap();
    for entry in std::fs::read_dir(&now).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), old.join(entry.file_name())).unwrap();
    }
    read_all(&now).await;
    let (found, stats) = read_all(&old).await;
    assert_eq!((found.len(), stats.lost_events), (30, 0));
}

#[tokio::test]
async fn another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path()).await;
    let mut bytes = std::fs::read(&files[1]).unwrap();
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..68]);
    bytes[68..72].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&files[1], &bytes).unwrap();
    let refused = EmbeddedQueue::open(dir.path(), small(), Clock::default());
    assert!(matches!(refused, Err(QueueError::Format(9))), "{refused:?}");
    assert_eq!(std::fs::read(&files[1]).unwrap(), bytes);
    assert_eq!(segments(dir.path()).len(), files.len());
}

#[tokio::test]
async fn a_second_opener_is_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let refused = EmbeddedQueue::open(dir.path(), small(), Clock::default());
    let Err(QueueError::InUse(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(queue);
    open(dir.path());
}

#[tokio::test]
async fn space_comes_back_when_the_backlog_is_drained() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    for n in 0..200 {
        queue.append(vec![batch(n, 4, 200)], None).await.unwrap();
    }
    let full = queue.stats().bytes;
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    queue.acknowledge(held, claimed[199].position).await.unwrap();
    let stats = queue.stats();
    assert!(stats.bytes <= 8 << 10 && full > 100 << 10, "{full} {}", stats.bytes);
    assert_eq!(segments(dir.path()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_flipped_byte_costs_at_most_what_it_hits(place in 0.0f64..1.0, bit in 0u32..8) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let files = filled(dir.path()).await;
            let sizes: Vec<usize> =
                files.iter().map(|f| std::fs::metadata(f).unwrap().len() as usize).collect();
            let mut at = (place * sizes.iter().sum::<usize>() as f64) as usize;
            let mut file = 0;
            while at >= sizes[file] {
                at -= sizes[file];
                file += 1;
            }
            let mut bytes = std::fs::read(&files[file]).unwrap();
            bytes[at] ^= 1 << bit;
            std::fs::write(&files[file], bytes).unwrap();
            let (found, stats) = read_all(dir.path()).await;
            assert!(found.is_sorted());
            assert!(stats.lost_events <= 2, "{stats:?}");
            assert!(found.len() >= 29);
            assert_eq!(stats.appended_events, 60);
        });
    }
}

#[tokio::test]
async fn a_check_tells_what_is_there_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    append(&queue, 0..30, 2).await;
    let held = lease(&queue).await;
    let claimed = queue.claim(held, 10, NO_WAIT).await.unwrap();
    queue.acknowledge(held, claimed[0].position).await.unwrap();
    // While the queue is open.
    let report = check(dir.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.appended_events, report.pending_events), (60, 58));
    assert_eq!(report.segments.iter().map(|s| s.events).sum::<u64>(), 60);
    queue.close().await;
    drop(queue);

    let files = segments(dir.path());
    flip(&files[1], 72 + 9);
    flip(&files[2], 300);
    let before: Vec<_> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    let report = check(dir.path()).unwrap();
    assert!(!report.is_sound());
    let damaged: Vec<usize> = report.segments.iter().map(|s| s.damage.len()).collect();
    assert_eq!(damaged.iter().sum::<usize>(), 2, "{report:?}");
    assert_eq!(report.pending_events, 58);
    std::fs::remove_file(&files[1]).unwrap();
    let report = check(dir.path()).unwrap();
    assert!(report.damage[0].contains("are missing"), "{report:?}");
    let after: Vec<_> = segments(dir.path()).iter().map(|f| std::fs::read(f).unwrap()).collect();
    assert_eq!(after, [&before[..1], &before[2..]].concat());
    assert!(!dir.path().join("damaged").exists());
}
