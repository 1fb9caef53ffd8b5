//! Opening the file: the lock, the pragmas, migrations.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use crate::store::{OpenError, StoreError};

/// "MUTT" in the file's header.
pub(super) const APPLICATION_ID: i64 = 0x4d55_5454;
/// Schema versions, oldest first; the version number is the position from 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_indexes.sql"),
    include_str!("../../migrations/0003_settings.sql"),
    include_str!("../../migrations/0004_retention.sql"),
    include_str!("../../migrations/0005_sources.sql"),
    include_str!("../../migrations/0006_mibs.sql"),
];
/// Page size of new files. Measured: 8 KiB doubles the log's bytes, as many pages get few rows each.
const PAGE_SIZE: u32 = 4096;

fn other(doing: &str, path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Open(OpenError::Other(format!("{doing} {}: {why}", path.display())))
}

/// `<path><suffix>`, beside the file.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the exclusive lock of the store at `path`; held until dropped.
pub(super) fn lock(path: &Path) -> Result<Flock<File>, StoreError> {
    let lock_path = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&lock_path)
        .map_err(|e| other("open", &lock_path, e))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut locked) => {
            let pid = std::process::id().to_string();
            locked
                .set_len(0)
                .and_then(|()| locked.rewind())
                .and_then(|()| locked.write_all(pid.as_bytes()))
                .map_err(|e| other("write", &lock_path, e))?;
            Ok(locked)
        }
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            Err(StoreError::Open(OpenError::InUse(format!(
                "the store {} is in use by process {}",
                path.display(),
                if pid.is_empty() { "(unknown)" } else { pid.trim() }
            ))))
        }
        Err((_, e)) => Err(other("lock", &lock_path, e)),
    }
}

/// Opens the write connection, migrated, under the lock.
pub(super) fn open(
    path: &Path,
    options: &SqliteOptions,
) -> Result<(Flock<File>, Connection), StoreError> {
    let lock = lock(path)?;
    let mut conn = Connection::open(path).map_err(|e| other("open", path, e))?;
    check_ours(&conn, path, MIGRATIONS.len())?;
    tune(&conn, options.cache_bytes).map_err(|e| other("open", path, e))?;
    migrate(&mut conn, path, MIGRATIONS)?;
    forget_leases(&conn)?;
    Ok((lock, conn))
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path, cache_bytes: usize) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| other("open", path, e))?;
    conn.execute_batch(&format!(
        "PRAGMA busy_timeout = 10000; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{}; PRAGMA query_only = 1",
        cache_bytes / 1024
    ))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn tune(conn: &Connection, cache_bytes: usize) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "PRAGMA busy_timeout = 10000; PRAGMA page_size = {PAGE_SIZE};
         PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = 0;
         PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 268435456; PRAGMA cache_size = -{}",
        cache_bytes / 1024
    ))?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

pub(super) fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Refuses files of others and of newer versions, before anything is written.
pub(super) fn check_ours(conn: &Connection, path: &Path, known: usize) -> Result<(), StoreError> {
    let read = |name| pragma(conn, name).map_err(|e| other("read", path, e));
    let (id, found) = (read("application_id")?, read("user_version")?);
    let objects: i64 = conn
        .query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|e| other("read", path, e))?;
    if id != APPLICATION_ID && (id != 0 || found != 0 || objects != 0) {
        return Err(other("open", path, "it is no store of MUTT"));
    }
    let known = i64::try_from(known).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Open(OpenError::Newer { found, known }));
    }
    Ok(())
}

/// Brings the schema forward, each version in its own transaction.
pub(super) fn migrate(
    conn: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let failed = |e: rusqlite::Error| other("migrate", path, e);
    let found = usize::try_from(pragma(conn, "user_version").map_err(failed)?).unwrap_or(0);
    if found == migrations.len() {
        return Ok(());
    }
    if found > 0 {
        let copy = beside(path, &format!(".before-v{}", migrations.len()));
        super::backup::copy(conn, &copy, &|_, _| ())?;
    }
    for (at, sql) in migrations.iter().enumerate().skip(found) {
        let tx = conn.transaction().map_err(failed)?;
        tx.execute_batch(sql).map_err(failed)?;
        tx.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}",
            at + 1
        ))
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

/// The file belongs to one process: leases of an earlier one are over.
pub(super) fn forget_leases(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE lanes SET owner = NULL, lease_until = 0 WHERE owner IS NOT NULL", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_goes_forward_and_keeps_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let mut conn = Connection::open(&path).unwrap();
        migrate(&mut conn, &path, &["CREATE TABLE a (x)"]).unwrap();
        assert!(!beside(&path, ".before-v1").exists(), "a new file needs no copy");
        conn.execute("INSERT INTO a VALUES (5)", []).unwrap();
        let two = ["CREATE TABLE a (x)", "ALTER TABLE a ADD y; UPDATE a SET y = x + 1"];
        migrate(&mut conn, &path, &two).unwrap();
        let y: i64 = conn.query_row("SELECT y FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((y, pragma(&conn, "user_version").unwrap()), (6, 2));
        let copy = Connection::open(beside(&path, ".before-v2")).unwrap();
        assert_eq!(pragma(&copy, "user_version").unwrap(), 1, "as it was before");
        let broken = [two[0], two[1], "CREATE TABLE b (x); SELECT nonsense"];
        assert!(migrate(&mut conn, &path, &broken).is_err());
        assert_eq!(pragma(&conn, "user_version").unwrap(), 2, "a failed one leaves nothing");
        assert!(conn.execute("SELECT * FROM b", []).is_err());
    }

    /// Queries that run for each batch must not walk what has ended.
    #[test]
    fn queries_use_their_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let (_lock, conn) = open(&dir.path().join("store.db"), &SqliteOptions::default()).unwrap();
        let check = |sql: &str, index: &str| {
            let mut plan = String::new();
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                plan.push_str(&row.get::<_, String>(3).unwrap());
                plan.push('\n');
            }
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}:\n{plan}");
        };
        let deliveries = "SELECT seq, alert FROM deliveries WHERE";
        check(
            &format!(
                "{deliveries} sink = ?1 AND state = 0 AND head = 1 AND +due_at <= ?2 ORDER BY seq"
            ),
            "deliveries_head",
        );
        check(
            "SELECT MIN(due_at) FROM deliveries WHERE sink = ?1 AND state = 0 AND head = 1",
            "deliveries_due",
        );
        check(
            &format!("{deliveries} sink = ?1 AND key = ?2 AND state < 3 AND seq > ?3 ORDER BY seq"),
            "deliveries_key",
        );
        check(&format!("{deliveries} sink = ?1 AND state = 1"), "deliveries_leased");
        check(
            &format!("{deliveries} state = 5 AND (?1 IS NULL OR sink = ?1) ORDER BY seq"),
            "deliveries_dead",
        );
        check(
            &format!("{deliveries} state = 0 AND state < 3 AND seq < ?1 ORDER BY seq DESC"),
            "deliveries_live",
        );
        check(
            &format!(
                "{deliveries} state = 5 AND (?1 IS NULL OR sink = ?1) AND reason = ?2 ORDER BY seq"
            ),
            "deliveries_dead_reason",
        );
        check(
            "SELECT reason, COUNT(*) FROM deliveries WHERE state = 5 GROUP BY reason",
            "deliveries_dead_reason",
        );
        check(&format!("{deliveries} state = 5 AND seq < ?1 ORDER BY seq DESC"), "deliveries_dead");
        check(&format!("{deliveries} alert_id = ?1 ORDER BY seq DESC"), "deliveries_alert");
        check(
            &format!(
                "{deliveries} state >= 3 AND (state = 5) = ?1 AND ended_at < ?2 ORDER BY ended_at"
            ),
            "deliveries_ended",
        );
        check("SELECT MIN(shard) FROM receipts WHERE shard > ?1", "receipts_order");
        check(
            "SELECT n FROM receipts WHERE shard = ?1 AND n <= ?2 ORDER BY n LIMIT 5",
            "receipts_order (shard=? AND n<?)",
        );
        check("SELECT body FROM alerts WHERE key = ?1 AND cleared = 0", "alerts_open");
        check(
            "SELECT key FROM alerts INDEXED BY alerts_age WHERE cleared = 0 AND ages_out_at <= ?1 ORDER BY ages_out_at",
            "alerts_age",
        );
        let audit = "SELECT body FROM audit_handled WHERE";
        check(&format!("{audit} host = ?1 AND id < ?2 ORDER BY id DESC"), "audit_handled_host");
        check(&format!("{audit} rule_id = ?1 ORDER BY id DESC"), "audit_handled_rule");
        check(&format!("{audit} alert_id = ?1 ORDER BY id DESC"), "audit_handled_alert");
        check(&format!("{audit} id >= ?1 AND id < ?2 ORDER BY id DESC"), "audit_handled_id");
    }
}
