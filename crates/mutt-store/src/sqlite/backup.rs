//! Backup and restore: whole copies through SQLite's online backup, verified before they are used.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mutt_model::Clock;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::engine::Writer;
use super::open::{self, APPLICATION_ID, MIGRATIONS, beside, pragma};
use super::totals::{Totals, unsigned};
use super::{SqliteStore, settings};
pub(super) use crate::aside::aside;
use crate::store::{SettingsVersion, StoreError};

/// Pages copied between two reports of progress.
const STEP_PAGES: i32 = 1_024;

fn failed(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Transient { doing: "back up", why: format!("{}: {why}", path.display()) }
}

/// Copies everything that `from` sees into the new file `to`: first beside it, so that a file under
/// the final name is always whole.
pub(super) fn copy(
    from: &Connection,
    to: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<(), StoreError> {
    let part = beside(to, ".part");
    let _ = fs::remove_file(&part);
    let copied = copy_pages(from, &part, progress).and_then(|()| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(|e| failed(&part, e))?;
        fs::rename(&part, to).map_err(|e| failed(to, e))?;
        sync_folder_of(to)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| failed(folder, e))
}

fn copy_pages(from: &Connection, to: &Path, progress: &dyn Fn(u64, u64)) -> Result<(), StoreError> {
    // Rules, hosts and messages are nobody else's: not even for the moment before a chmod.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|e| failed(to, e))?;
    let mut target = Connection::open(to).map_err(|e| failed(to, e))?;
    step_through(from, &mut target, progress)?;
    // One file, without a log beside it.
    target.execute_batch("PRAGMA journal_mode = DELETE")?;
    target.close().map_err(|(_, e)| failed(to, e))
}

fn step_through(
    from: &Connection,
    to: &mut Connection,
    progress: &dyn Fn(u64, u64),
) -> Result<(), StoreError> {
    let backup = Backup::new(from, to)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let at = backup.progress();
        let all = unsigned(i64::from(at.pagecount));
        progress(all - unsigned(i64::from(at.remaining)).min(all), all);
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            other => {
                let why = format!("{other:?}");
                return Err(StoreError::Transient { doing: "copy the store", why });
            }
        }
    }
}

/// A consistent copy of the store at `path` while it runs: one snapshot, held until all is copied.
pub(super) fn snapshot(
    path: &Path,
    target: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<(), StoreError> {
    if target.exists() {
        return Err(StoreError::Conflict(format!("{} exists already", target.display())));
    }
    let mut conn = open::open_reader(path, 1 << 20)?;
    let held = conn.transaction()?;
    held.query_row("SELECT seq FROM totals", [], |_| Ok(()))?;
    copy(&held, target, progress)
}

/// Opens a backup for reading and checks that it is a whole store of MUTT that this version reads.
///
/// # Errors
///
/// [`StoreError::Data`] when it is not; [`StoreError::Open`] when it is newer or not a store.
pub fn verify(backup: &Path) -> Result<(), StoreError> {
    open_verified(backup).map(|_| ())
}

fn open_verified(backup: &Path) -> Result<Connection, StoreError> {
    let not_whole = |why: String| StoreError::Data(format!("{}: {why}", backup.display()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(backup, flags).map_err(|e| not_whole(e.to_string()))?;
    let id = pragma(&conn, "application_id").map_err(|e| not_whole(e.to_string()))?;
    if id != APPLICATION_ID {
        return Err(not_whole("it is no backup of MUTT".to_owned()));
    }
    open::check_ours(&conn, backup, MIGRATIONS.len())?;
    let verdict: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|e| not_whole(e.to_string()))?;
    if verdict == "ok" { Ok(conn) } else { Err(not_whole(verdict)) }
}

/// Puts a verified copy of `backup` in the place of the store at `target`, which must not be in use.
/// What stood there is kept as `<target>.before-restore`.
///
/// # Errors
///
/// [`StoreError::Data`] when the backup is not whole, [`StoreError::Open`] when the target is in
/// use, [`StoreError::Transient`] for the file system; the target is unchanged in each case.
pub fn restore(backup: &Path, target: &Path) -> Result<(), StoreError> {
    let from = open_verified(backup)?;
    let _lock = open::lock(target)?;
    let fresh = beside(target, ".restored");
    copy(&from, &fresh, &|_, _| ())?;
    verify(&fresh)?;
    if target.exists() {
        // A store that cannot be read any more has nothing to carry over.
        if let Ok(before) = Connection::open(target).and_then(|old| Before::of(&old)) {
            before.carry_over(&Connection::open(&fresh)?)?;
        }
        set_aside(target)?;
    }
    fs::rename(&fresh, target).map_err(|e| failed(target, e))?;
    sync_folder_of(target)
}

/// The log of the old store must never meet the new file: it is written back first, or moved away
/// with a file that cannot be opened.
fn set_aside(target: &Path) -> Result<(), StoreError> {
    if let Ok(old) = Connection::open(target) {
        let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let _ = old.close();
    }
    let kept = beside(target, ".before-restore");
    for suffix in ["-wal", "-shm"] {
        let log = beside(target, suffix);
        let _ = fs::remove_file(beside(&kept, suffix));
        if log.exists() {
            fs::rename(&log, beside(&kept, suffix)).map_err(|e| failed(&log, e))?;
        }
    }
    let _ = fs::remove_file(&kept);
    fs::hard_link(target, &kept).map_err(|e| failed(&kept, e))
}

fn replace(writer: &mut Writer, path: &Path, from: &Connection) -> Result<(), StoreError> {
    if pragma(from, "page_size")? != pragma(&writer.conn, "page_size")? {
        return Err(StoreError::Conflict(
            "the backup has another page size; restore it while MUTT is stopped".to_owned(),
        ));
    }
    let before = Before::of(&writer.conn)?;
    // All pages in one step: one transaction, so that a crash leaves the old or the new store.
    let step = Backup::new(from, &mut writer.conn)?.step(-1)?;
    if step != StepResult::Done {
        let why = format!("{step:?}");
        return Err(StoreError::Transient { doing: "restore", why });
    }
    writer.conn.flush_prepared_statement_cache();
    writer.conn.execute_batch("PRAGMA journal_mode = WAL")?;
    open::migrate(&mut writer.conn, path, MIGRATIONS)?;
    before.carry_over(&writer.conn)?;
    open::forget_leases(&writer.conn)
}

/// What outlives a restore.
struct Before {
    totals: Totals,
    /// Generations of the shards' leases.
    shards: Vec<(i64, i64)>,
    /// The version of the settings; `None` before there were any.
    settings: Option<i64>,
}

impl Before {
    fn of(conn: &Connection) -> rusqlite::Result<Self> {
        let shards = conn
            .prepare("SELECT shard, generation FROM shards")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let settings = settings::version(conn).ok();
        Ok(Self { totals: Totals::load(conn)?, shards, settings })
    }

    /// What was counted of events outlives a restore, as it outlives retention: the event queue
    /// counts on, and the ledger must balance. Orders and ids given out never go back, so that a live
    /// stream goes on and no two rules ever had one id. The generations are those of the event queue
    /// that is here: those in the backup may be of another one, which counts otherwise.
    /// Settings become a new version with the restored content, so that whoever follows them looks.
    fn carry_over(&self, conn: &Connection) -> Result<(), StoreError> {
        let (restored, before) = (Totals::load(conn)?, &self.totals);
        Totals {
            seq: restored.seq.max(before.seq),
            delivery_seq: restored.delivery_seq.max(before.delivery_seq),
            rule_id: restored.rule_id.max(before.rule_id),
            audited: restored.audited.max(before.audited),
            duplicates: restored.duplicates.max(before.duplicates),
            lost: restored.lost.max(before.lost),
            ..restored
        }
        .save(conn)?;
        conn.execute("DELETE FROM shards", [])?;
        let mut insert = conn.prepare("INSERT INTO shards VALUES (?1, ?2)")?;
        self.shards.iter().try_for_each(|row| insert.execute(*row).map(|_| ()))?;
        self.carry_settings_over(conn)
    }

    fn carry_settings_over(&self, conn: &Connection) -> Result<(), StoreError> {
        let newest = self.settings.unwrap_or(0);
        // A copy of an earlier schema has none; it begins anew when it is opened.
        let Ok(restored) = settings::version(conn) else { return Ok(()) };
        if newest == 0 || newest < restored {
            return Ok(());
        }
        let mut stand = settings::load(conn, None)?;
        stand.version = newest + 1;
        let entry = SettingsVersion {
            version: stand.version,
            at: Clock::System.wall(),
            who: "restore".to_owned(),
            reason: None,
            rolled_back_to: Some(restored),
            edits: Vec::new(),
        };
        settings::write(conn, &stand, &entry)
    }
}

impl SqliteStore {
    /// Restores a backup while running: it is verified aside, then its pages replace the store's own in one
    /// transaction on the writing thread. Readers see the old store until then. Sink leases are
    /// forgotten; what was counted of events is carried over, so that the ledger still balances.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] or [`StoreError::Open`] when the backup is not whole or newer,
    /// [`StoreError::Transient`]; the store is unchanged in each case.
    pub async fn replace_with(&self, backup: &Path) -> Result<(), StoreError> {
        let (backup, path) = (backup.to_path_buf(), self.path().to_path_buf());
        // Reading all of it takes minutes: not where commits wait.
        let from = aside("restore", move || open_verified(&backup)).await?;
        self.on_writer("restore", move |writer| replace(writer, &path, &from)).await?;
        for bell in [&self.signals.rules, &self.signals.settings, &self.signals.deliveries] {
            bell.ring();
        }
        Ok(())
    }
}
