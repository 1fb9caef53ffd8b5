//! The threads behind the store: one that writes, a few that read; callers await their answers.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mutt_model::IdSource;
use nix::fcntl::Flock;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::cap::{self, Cap};
use super::{SqliteOptions, SqliteStore, open};
use crate::store::StoreError;

/// Jobs that wait for a thread; more callers wait for room.
const QUEUED_JOBS: usize = 64;
/// Pages in the write-ahead log at which the writer checkpoints between jobs (64 MiB).
const CHECKPOINT_PAGES: i64 = 16_384;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// What the writing thread owns.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) ids: IdSource,
    pub(super) cap: Cap,
}

impl Writer {
    /// Runs `work` in one transaction on stable storage.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = work(self).and_then(|value| {
            self.conn.execute_batch("COMMIT")?;
            Ok(value)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    fn roll_back(&self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::debug!(%error, "rollback");
        }
    }

    /// What is due between jobs: the cap and the log.
    fn tidy(&mut self) {
        if let Err(error) = cap::keep(self) {
            tracing::debug!(%error, "the cap is kept with the next job");
        }
        let pages = |mode: &str| -> rusqlite::Result<i64> {
            self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1))
        };
        if pages("NOOP").unwrap_or(0) > CHECKPOINT_PAGES
            && let Err(error) = pages("PASSIVE")
        {
            tracing::debug!(%error, "the log is checkpointed with the next job");
        }
    }
}

/// The running threads and the ways to them.
pub(super) struct Engine {
    to_writer: Mutex<Option<mpsc::Sender<Job<Writer>>>>,
    to_readers: Mutex<Option<mpsc::Sender<Job<Connection>>>>,
    /// The reader that is kept for short queries: what the services ask often never waits behind
    /// people's searches.
    to_quick: Mutex<Option<mpsc::Sender<Job<Connection>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(super) fn start(
        lock: Flock<File>,
        conn: Connection,
        path: &Path,
        options: &SqliteOptions,
    ) -> Result<Self, StoreError> {
        let (to_writer, writer_jobs) = mpsc::channel(QUEUED_JOBS);
        let mut threads = Vec::new();
        let searching = options.readers.saturating_sub(1).max(1);
        let to_readers = readers("store-search", searching, path, options, &mut threads)?;
        let to_quick = readers("store-read", 1, path, options, &mut threads)?;
        let writer = Writer {
            conn,
            ids: options.id_seed.map_or_else(IdSource::from_entropy, IdSource::new),
            cap: Cap::new(options.max_bytes),
        };
        // The lock goes with the writer: it is given back after the last write.
        threads.push(spawn("store-write", move || write_loop(writer, writer_jobs, lock))?);
        Ok(Self {
            to_writer: Mutex::new(Some(to_writer)),
            to_readers: Mutex::new(Some(to_readers)),
            to_quick: Mutex::new(Some(to_quick)),
            threads: Mutex::new(threads),
        })
    }

    /// Finishes what was begun and waits for the threads.
    pub(super) fn stop(&self) {
        held(&self.to_writer).take();
        held(&self.to_readers).take();
        held(&self.to_quick).take();
        let threads = std::mem::take(&mut *held(&self.threads));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts reading threads that share one queue of jobs.
fn readers(
    name: &str,
    count: usize,
    path: &Path,
    options: &SqliteOptions,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<mpsc::Sender<Job<Connection>>, StoreError> {
    let (to_them, jobs) = mpsc::channel(QUEUED_JOBS);
    let jobs = Arc::new(Mutex::new(jobs));
    for n in 0..count {
        let conn = open::open_reader(path, options.cache_bytes / 8)?;
        let jobs = Arc::clone(&jobs);
        threads.push(spawn(&format!("{name}-{n}"), move || read_loop(conn, &jobs))?);
    }
    Ok(to_them)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| StoreError::Transient { doing: "start", why: e.to_string() })
}

fn write_loop(mut writer: Writer, mut jobs: mpsc::Receiver<Job<Writer>>, lock: Flock<File>) {
    while let Some(job) = jobs.blocking_recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut writer))).is_err() {
            tracing::debug!("a job of the store's writer panicked; its transaction is undone");
            writer.roll_back();
        }
        writer.tidy();
    }
    let _ = writer.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    drop(writer);
    drop(lock);
}

fn read_loop(mut conn: Connection, jobs: &Mutex<mpsc::Receiver<Job<Connection>>>) {
    loop {
        // One idle reader waits in the channel, the others for the mutex.
        let job = held(jobs).blocking_recv();
        let Some(job) = job else { return };
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut conn)));
    }
}

fn closed(doing: &'static str) -> StoreError {
    StoreError::Transient { doing, why: "the store is closed".to_owned() }
}

/// Names what was tried where the engine only knows that it failed.
fn naming(doing: &'static str) -> impl Fn(StoreError) -> StoreError {
    move |error| match error {
        StoreError::Transient { why, .. } => StoreError::Transient { doing, why },
        other => other,
    }
}

async fn ask<S, T: Send + 'static>(
    to: Option<mpsc::Sender<Job<S>>>,
    doing: &'static str,
    work: impl FnOnce(&mut S) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let job: Job<S> = Box::new(move |state| {
        let _ = reply.send(work(state));
    });
    to.ok_or_else(|| closed(doing))?.send(job).await.map_err(|_| closed(doing))?;
    answer
        .await
        .unwrap_or_else(|_| {
            Err(StoreError::Transient { doing, why: "the store's thread failed".to_owned() })
        })
        .map_err(naming(doing))
}

impl SqliteStore {
    /// Refuses new jobs, finishes those that wait, and returns when the files are released.
    pub(super) async fn stop_engine(&self) {
        let (done, over) = oneshot::channel();
        held(&self.engine.to_writer).take();
        held(&self.engine.to_readers).take();
        held(&self.engine.to_quick).take();
        let threads = std::mem::take(&mut *held(&self.engine.threads));
        // Joining may wait for a sync: on a thread of its own, not on the runtime.
        let joined = spawn("store-close", move || {
            for thread in threads {
                let _ = thread.join();
            }
            let _ = done.send(());
        });
        if joined.is_ok() {
            let _ = over.await;
        }
    }

    /// Runs `work` on the writing thread, in one transaction.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.on_writer(doing, move |writer| writer.transaction(work)).await
    }

    /// Runs `work` on the writing thread; it makes its own transactions.
    pub(super) async fn on_writer<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let to = held(&self.engine.to_writer).clone();
        ask(to, doing, work).await
    }

    /// Runs a short query in one snapshot, on the thread that is kept for these.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let to = held(&self.engine.to_quick).clone();
        ask(to, doing, in_snapshot(work)).await
    }

    /// Runs what may look at many rows in one snapshot, on a searching thread.
    pub(super) async fn search<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let to = held(&self.engine.to_readers).clone();
        ask(to, doing, in_snapshot(work)).await
    }
}

fn in_snapshot<T>(
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> impl FnOnce(&mut Connection) -> Result<T, StoreError> {
    move |conn| {
        let snapshot = conn.transaction()?;
        work(&snapshot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    use super::*;
    use crate::store::{DeliveryStore as _, RuleStore as _, UpkeepStore as _};

    fn store(dir: &Path) -> SqliteStore {
        SqliteStore::open(&dir.join("store.db"), SqliteOptions::default()).unwrap()
    }

    /// Work that is over when the sender is dropped.
    fn waiting() -> (SyncSender<()>, Arc<Mutex<Receiver<()>>>) {
        let (over, waiting) = sync_channel(1);
        (over, Arc::new(Mutex::new(waiting)))
    }

    #[tokio::test]
    async fn short_queries_do_not_wait_behind_searches() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let (over, waiting) = waiting();
        let search = || {
            let waiting = Arc::clone(&waiting);
            store.search("search", move |_| Ok(held(&waiting).recv().is_err()))
        };
        let quick = async {
            store.lanes().await.unwrap();
            let version = store.rule_set_version().await.unwrap();
            drop(over);
            version
        };
        let all = async { tokio::join!(search(), search(), search(), quick) };
        let done = tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        assert!(done.0.unwrap() && done.1.unwrap() && done.2.unwrap());
    }

    #[tokio::test]
    async fn a_backup_is_verified_while_the_writer_is_busy() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let copy = dir.path().join("copy.db");
        std::fs::write(&copy, b"no database").unwrap();
        let (over, waiting) = waiting();
        let busy = store.on_writer("work", move |_| Ok(held(&waiting).recv().is_err()));
        let refused = async {
            let refused = store.restore(&copy).await;
            drop(over);
            refused
        };
        let both = async { tokio::join!(busy, refused) };
        let (busy, refused) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert!(busy.unwrap() && matches!(refused, Err(StoreError::Data(_))));
    }
}
