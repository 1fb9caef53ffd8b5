//! Measures the two candidates for the embedded event queue side by side: the segmented log and
//! SQLite as a log (ADR 0001). Prints a table; takes less than a minute.
//!
//! `cargo run --release -p mutt-store --example queue_engines [DIR]`

use std::error::Error;
use std::io::{IoSlice, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Clock, Event, Id, IdSource, Source};
use mutt_store::queue::fs::{Fs, RealFs};
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueOptions};
use rusqlite::Connection;

type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long each figure is measured.
const ROUND: Duration = Duration::from_millis(1_500);
/// Files of both engines are begun anew at this size.
const SEGMENT: u64 = 64 << 20;
const SIZES: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Done<()> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "target".to_owned());
    let dir = tempfile::tempdir_in(dir)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "| engine | payload | commits/s | MB/s | bytes written per byte |")?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
    for size in SIZES {
        for (name, preallocate) in [("bare append", false), ("bare append, preallocated", true)] {
            let figure = bare(&dir.path().join("bare"), size, preallocate)?;
            figure.print(&mut out, name, size)?;
        }
        log(&dir.path().join(format!("log-{size}")), size).await?.print(&mut out, "log", size)?;
        let figure = sqlite(&dir.path().join(format!("sqlite-{size}")), size)?;
        figure.print(&mut out, "sqlite", size)?;
    }
    let figure = busy(&dir.path().join("busy")).await?;
    figure.print(&mut out, "log, 8 senders and a reader", 256 << 10)?;
    writeln!(out)?;
    writeln!(out, "{}", log_damage(&dir.path().join("log-damage")).await?)?;
    writeln!(out, "{}", sqlite_damage(&dir.path().join("sqlite-damage"))?)?;
    Ok(())
}

struct Figure {
    commits: u64,
    payload: u64,
    written: u64,
    took: Duration,
}

impl Figure {
    fn print(&self, out: &mut impl Write, name: &str, size: usize) -> Done<()> {
        let seconds = self.took.as_secs_f64();
        writeln!(
            out,
            "| {name} | {} KiB | {:.0} | {:.0} | {:.2} |",
            size >> 10,
            self.commits as f64 / seconds,
            self.payload as f64 / 1e6 / seconds,
            self.written as f64 / self.payload as f64
        )?;
        Ok(())
    }
}

/// Counts what a piece of work commits and what reaches the block layer meanwhile.
struct Meter {
    clock: Clock,
    start: Duration,
    written: u64,
    commits: u64,
    payload: u64,
}

impl Meter {
    fn start() -> Done<Self> {
        let clock = Clock::default();
        let (start, written) = (clock.monotonic(), written()?);
        Ok(Self { clock, start, written, commits: 0, payload: 0 })
    }

    fn running(&self) -> bool {
        self.clock.monotonic() - self.start < ROUND
    }

    fn count(&mut self, payload: usize) {
        self.commits += 1;
        self.payload += payload as u64;
    }

    fn finish(self) -> Done<Figure> {
        let took = self.clock.monotonic() - self.start;
        let written = written()? - self.written;
        Ok(Figure { commits: self.commits, payload: self.payload, written, took })
    }
}

fn written() -> Done<u64> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.unwrap_or("0").parse()?)
}

/// Batches that make up `size` bytes.
fn batches(size: usize, ids: &mut IdSource) -> Vec<Batch> {
    let clock = Clock::default();
    let mut left = size;
    let mut all = Vec::new();
    while left > 0 {
        let one = left.min(512 << 10);
        let mut builder = BatchBuilder::new(ids.next(clock.wall()), 0);
        let raw = vec![b'x'; 256];
        while builder.bytes() + 400 < one {
            let at = clock.wall();
            builder.push(&Event::from_raw(Id([1; 16]), at, Source::Syslog, "udp", "peer", &raw));
        }
        all.push(builder.finish());
        left -= one;
    }
    all
}

fn bytes_of(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.as_bytes().len()).sum()
}

fn options() -> QueueOptions {
    QueueOptions {
        max_events: u64::MAX / 2,
        max_bytes: 1 << 40,
        min_free: 0,
        segment_bytes: SEGMENT,
    }
}

/// What the disk gives to one file that grows, and whether reserving its blocks helps.
fn bare(path: &Path, size: usize, preallocate: bool) -> Done<Figure> {
    let file = RealFs.create(path)?;
    let payload = vec![b'x'; size];
    if preallocate {
        let named = std::fs::File::options().write(true).open(path)?;
        let all = nix::fcntl::FallocateFlags::empty();
        nix::fcntl::fallocate(&named, all, 0, 1 << 30)?;
        file.sync()?;
    }
    let mut meter = Meter::start()?;
    while meter.running() && meter.payload < 1 << 30 {
        file.write_at(&mut [IoSlice::new(&payload)], meter.payload)?;
        file.sync()?;
        meter.count(size);
    }
    let figure = meter.finish()?;
    std::fs::remove_file(path)?;
    Ok(figure)
}

async fn log(dir: &Path, size: usize) -> Done<Figure> {
    let queue = EmbeddedQueue::open(dir, options(), Clock::default())?;
    let made = batches(size, &mut IdSource::new(1));
    let mut meter = Meter::start()?;
    while meter.running() {
        queue.append(made.clone(), None).await?;
        meter.count(bytes_of(&made));
    }
    let figure = meter.finish()?;
    drop(queue);
    std::fs::remove_dir_all(dir)?;
    Ok(figure)
}

/// Group commit at work: commits are syncs, shared by senders.
async fn busy(dir: &Path) -> Done<Figure> {
    let queue = Arc::new(EmbeddedQueue::open(dir, options(), Clock::default())?);
    let made = batches(256 << 10, &mut IdSource::new(1));
    let mut meter = Meter::start()?;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (queue, made) = (Arc::clone(&queue), made.clone());
        senders.spawn(async move {
            let meter = Meter::start()?;
            let mut payload = 0u64;
            while meter.running() {
                queue.append(made.clone(), None).await?;
                payload += bytes_of(&made) as u64;
            }
            Done::Ok(payload)
        });
    }
    let lease = queue.lease(0, "reader", Duration::from_secs(60)).await?.ok_or("no lease")?;
    while meter.running() {
        let claimed = queue.claim(lease, 16, Duration::from_millis(100)).await?;
        if let Some(last) = claimed.last() {
            queue.acknowledge(lease, last.position).await?;
        }
    }
    while let Some(payload) = senders.join_next().await {
        meter.payload += payload??;
    }
    meter.commits = queue.stats().syncs;
    let figure = meter.finish()?;
    drop(queue);
    std::fs::remove_dir_all(dir)?;
    Ok(figure)
}

fn database(path: &Path) -> Done<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE record (seq INTEGER PRIMARY KEY, events INTEGER, payload BLOB);",
    )?;
    Ok(db)
}

/// Batches as blobs; a new file when one is full.
fn sqlite(dir: &Path, size: usize) -> Done<Figure> {
    std::fs::create_dir(dir)?;
    let made = batches(size, &mut IdSource::new(1));
    let mut file = 0;
    let mut db = database(&dir.join("0.db"))?;
    let mut meter = Meter::start()?;
    let mut filled = 0;
    while meter.running() {
        let commit = db.transaction()?;
        for batch in &made {
            let mut insert =
                commit.prepare_cached("INSERT INTO record (events, payload) VALUES (?1, ?2)")?;
            insert.execute((batch.len(), batch.as_bytes()))?;
        }
        commit.commit()?;
        meter.count(bytes_of(&made));
        filled += bytes_of(&made) as u64;
        if filled >= SEGMENT {
            file += 1;
            filled = 0;
            db = database(&dir.join(format!("{file}.db")))?;
        }
    }
    drop(db);
    let figure = meter.finish()?;
    std::fs::remove_dir_all(dir)?;
    Ok(figure)
}

const BACKLOG: usize = 64;

/// One byte flipped in the middle of a backlog; then the rest is read and drained.
async fn log_damage(dir: &Path) -> Done<String> {
    let options = QueueOptions { segment_bytes: 4 << 20, ..options() };
    let queue = EmbeddedQueue::open(dir, options.clone(), Clock::default())?;
    let made = batches(256 << 10, &mut IdSource::new(1));
    for _ in 0..BACKLOG {
        queue.append(made.clone(), None).await?;
    }
    let full = queue.stats().bytes;
    queue.close().await;
    drop(queue);
    flip(&dir.join("segment-000000000002.log"))?;
    let queue = EmbeddedQueue::open(dir, options, Clock::default())?;
    let lease = queue.lease(0, "reader", Duration::from_secs(60)).await?.ok_or("no lease")?;
    let mut read = 0;
    loop {
        let claimed = queue.claim(lease, 16, Duration::ZERO).await?;
        let Some(last) = claimed.last() else { break };
        read += claimed.iter().map(|c| u64::from(c.batch.len())).sum::<u64>();
        queue.acknowledge(lease, last.position).await?;
    }
    let stats = queue.stats();
    Ok(format!(
        "log: of {} events {read} were read after one flipped byte, {} counted as lost; \
         the drained backlog gave {} of {} KiB back",
        stats.appended_events,
        stats.lost_events,
        (full - stats.bytes) >> 10,
        full >> 10
    ))
}

fn sqlite_damage(dir: &Path) -> Done<String> {
    std::fs::create_dir(dir)?;
    let made = batches(256 << 10, &mut IdSource::new(1));
    let events = u64::from(made[0].len());
    for file in 0..4 {
        let db = database(&dir.join(format!("{file}.db")))?;
        for _ in 0..BACKLOG / 4 {
            let payload = made[0].as_bytes();
            db.execute(
                "INSERT INTO record (events, payload) VALUES (?1, ?2)",
                (made[0].len(), payload),
            )?;
        }
    }
    let full = size_of(dir)?;
    flip(&dir.join("1.db"))?;
    let (mut read, mut unseen, mut error) = (0, 0, String::from("none"));
    for file in 0..4 {
        let db = Connection::open(dir.join(format!("{file}.db")))?;
        let mut select = db.prepare("SELECT payload FROM record ORDER BY seq")?;
        let mut rows = select.query([])?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let payload: Vec<u8> = row.get(0)?;
                    // Only our own checksum of each event notices.
                    let whole = Batch::open(payload).map(|b| b.iter().flatten().count() as u64);
                    let whole = whole.unwrap_or(0);
                    (read, unseen) = (read + whole, unseen + events - whole);
                }
                Ok(None) => break,
                Err(e) => {
                    error = e.to_string();
                    break;
                }
            }
        }
    }
    for file in 0..4 {
        let db = Connection::open(dir.join(format!("{file}.db")))?;
        let _ = db.execute("DELETE FROM record", []);
    }
    let drained = size_of(dir)?;
    Ok(format!(
        "sqlite: of {} events {read} were read after one flipped byte, SQLite reported {error}, \
         {unseen} were found by the checksums of the batches alone; deleting the rows gave {} of {} \
         KiB back (removing whole files gives the rest)",
        events * BACKLOG as u64,
        full.saturating_sub(drained) >> 10,
        full >> 10
    ))
}

fn size_of(dir: &Path) -> Done<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

fn flip(path: &Path) -> Done<()> {
    let middle = std::fs::metadata(path)?.len() / 2;
    flip_at(path, usize::try_from(middle)?)
}

fn flip_at(path: &Path, at: usize) -> Done<()> {
    let mut bytes = std::fs::read(path)?;
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes)?;
    Ok(())
}
