//! Upkeep: alerts that age out, retention in small transactions, the cap, backup, closing.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::alert::{ClearedBy, SinkRoute};
use mutt_model::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Params};

use super::alerts::Book;
use super::commit::finish;
use super::counting::{self, Rates};
use super::engine::Writer;
use super::open::{beside, pragma};
use super::totals::{Totals, signed, unsigned};
use super::{SqliteStore, audit, backup};
use crate::store::{Committed, RetentionPolicy, StoreError, Upkeep, UpkeepStore};

/// Rows removed in one transaction of retention.
const CHUNK: i64 = 5_000;
/// Audit rows removed in one transaction while the cap is passed.
const CAP_CHUNK: i64 = 2_000;
/// Chunks of one table in one round; what is left comes with the next round.
const CHUNKS_MAX: usize = 200;
/// Receipts kept of each shard. Commits follow the queue's order, so that what can be claimed again
/// is among the newest.
const RECEIPTS_KEPT: i64 = 10_000;
/// Audit rows written between two looks at the cap.
const CAP_EVERY: u64 = 10_000;
/// Audit rows written between two looks at the table of unhandled shapes.
const EVICT_EVERY: u64 = 20_000;

/// Pages in use, in bytes: free pages inside the file are used again before it grows.
fn used_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(conn, "page_count")? - pragma(conn, "freelist_count")?;
    Ok(unsigned(pages) * unsigned(pragma(conn, "page_size")?))
}

/// Between jobs: removes somewhat more than was written while the cap is passed.
pub(super) fn keep_cap(writer: &mut Writer) -> Result<(), StoreError> {
    if writer.written < CAP_EVERY {
        return Ok(());
    }
    let written = std::mem::take(&mut writer.written);
    writer.since_evict += written;
    if writer.since_evict >= EVICT_EVERY {
        writer.since_evict = 0;
        counting::evict(&writer.conn)?;
    }
    let mut left = signed(written.saturating_add(written / 4));
    while left > 0 {
        let over = used_bytes(&writer.conn)?.saturating_sub(writer.max_bytes);
        if over == 0 {
            return Ok(());
        }
        // Far above the cap large transactions save syncs; few rows are above 2 KiB, so that this
        // does not remove more than is needed.
        let rows = signed(over / 2_048).min(left).max(CAP_CHUNK);
        let removed = writer.transaction(|w| remove_oldest(&w.conn, rows))?;
        if removed == 0 {
            return Ok(());
        }
        left -= signed(removed);
    }
    Ok(())
}

/// The oldest audit rows, unhandled first.
fn remove_oldest(conn: &Connection, rows: i64) -> Result<u64, StoreError> {
    for handled in [false, true] {
        let table = audit::table(handled);
        let sql = format!(
            "DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?1)"
        );
        let removed = conn.prepare_cached(&sql)?.execute([rows])?;
        if removed > 0 {
            return Ok(removed as u64);
        }
    }
    Ok(0)
}

impl SqliteStore {
    /// Runs a bounded DELETE again and again, each in its own job, so that commits come in between.
    async fn remove_by<P>(
        &self,
        upkeep: &mut Upkeep,
        table: &str,
        delete: impl Fn(&Connection) -> rusqlite::Result<P> + Clone + Send + 'static,
    ) -> Result<(), StoreError>
    where
        P: TryInto<u64> + Send + 'static,
    {
        for _ in 0..CHUNKS_MAX {
            let delete = delete.clone();
            let removed = self
                .write("remove what is old", move |w| Ok(delete(&w.conn)?))
                .await?
                .try_into()
                .unwrap_or(0);
            if removed == 0 {
                break;
            }
            *upkeep.removed.entry(table.to_owned()).or_default() += removed;
        }
        Ok(())
    }

    async fn remove(
        &self,
        upkeep: &mut Upkeep,
        table: &'static str,
        condition: &str,
        params: impl Params + Clone + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let rowid = match table {
            "rates" => "minute",
            "dedup" => "digest",
            _ => "rowid",
        };
        let sql = format!(
            "DELETE FROM {table} WHERE {rowid} IN
             (SELECT {rowid} FROM {table} WHERE {condition} LIMIT {CHUNK})"
        );
        self.remove_by(upkeep, table, move |conn| {
            conn.prepare_cached(&sql)?.execute(params.clone())
        })
        .await
    }
}

fn clear_aged(
    writer: &mut Writer,
    sinks: &[SinkRoute],
    limit: usize,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let keys: Vec<String> = writer
        .conn
        .prepare_cached(
            "SELECT key FROM alerts INDEXED BY alerts_age WHERE cleared = 0 AND ages_out_at <= ?1
             ORDER BY ages_out_at LIMIT ?2",
        )?
        .query_map((now.0, signed(limit as u64)), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut totals = Totals::load(&writer.conn)?;
    let mut out = Committed::default();
    let (conn, ids) = (&writer.conn, &mut writer.ids);
    let mut book = Book::new(conn, ids, &mut totals, &mut out, sinks.iter(), now);
    for key in &keys {
        book.clear(key, now, ClearedBy::Age)?;
    }
    book.close()?;
    finish(&writer.conn, &totals, &out, Rates::default(), now)?;
    Ok(keys.len() as u64)
}

/// Ended deliveries with their attempts; what they counted stays in the ledger.
fn remove_ended(conn: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    conn.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone (seq INTEGER PRIMARY KEY)")?;
    conn.execute("DELETE FROM temp.gone", [])?;
    conn.execute(
        "INSERT INTO temp.gone SELECT seq FROM deliveries
         WHERE state >= 3 AND ended_at < ?1 LIMIT ?2",
        (before.0, CHUNK),
    )?;
    conn.execute(
        "UPDATE delivery_counts SET (n, removed) = (n - g.c, removed + g.c) FROM
         (SELECT sink, state, COUNT(*) AS c FROM deliveries
          WHERE seq IN (SELECT seq FROM temp.gone) GROUP BY sink, state) AS g
         WHERE delivery_counts.sink = g.sink AND delivery_counts.state = g.state",
        [],
    )?;
    conn.execute("DELETE FROM attempts WHERE delivery_seq IN (SELECT seq FROM temp.gone)", [])?;
    let gone =
        conn.execute("DELETE FROM deliveries WHERE seq IN (SELECT seq FROM temp.gone)", [])?;
    if gone == 0 {
        conn.execute(
            "DELETE FROM key_delivered WHERE seq < COALESCE(
                (SELECT MIN(seq) FROM deliveries), (SELECT delivery_seq FROM totals))",
            [],
        )?;
    }
    Ok(gone as u64)
}

/// Cleared alerts with their timelines.
fn remove_alerts(conn: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let ids: Vec<Id> = conn
        .prepare_cached(
            "SELECT id FROM alerts INDEXED BY alerts_cleared_at
             WHERE cleared = 1 AND cleared_at < ?1 LIMIT ?2",
        )?
        .query_map((before.0, CHUNK), |row| audit::id(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut timeline = conn.prepare_cached("DELETE FROM timeline WHERE alert_id = ?1")?;
    let mut alert = conn.prepare_cached("DELETE FROM alerts WHERE id = ?1")?;
    for id in &ids {
        timeline.execute([id.0.as_slice()])?;
        alert.execute([id.0.as_slice()])?;
    }
    Ok(ids.len() as u64)
}

/// Rule sets that no audit row names any more, except the one in force.
fn remove_rule_sets(conn: &Connection) -> rusqlite::Result<u64> {
    conn.execute(
        "DELETE FROM rule_set_use WHERE
            (handled = 1 AND newest < COALESCE((SELECT MIN(id) FROM audit_handled), x'ff'))
         OR (handled = 0 AND newest < COALESCE((SELECT MIN(id) FROM audit_unhandled), x'ff'))",
        [],
    )?;
    conn.execute(
        "DELETE FROM rule_sets WHERE version < (SELECT ruleset FROM totals)
         AND version NOT IN (SELECT version FROM rule_set_use)",
        [],
    )
    .map(|removed| removed as u64)
}

/// The oldest receipts beyond those that are kept of each shard, a chunk at a time: the writer is
/// shared with the commits. Looked at in the order of their numbers, once: a bound that is worked out
/// for each row anew would take minutes.
fn remove_receipts(conn: &Connection) -> rusqlite::Result<u64> {
    let shards: Vec<i64> = conn
        .prepare_cached("SELECT DISTINCT shard FROM receipts")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut newest = conn.prepare_cached(
        "SELECT n FROM receipts NOT INDEXED WHERE shard = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2",
    )?;
    let mut delete = conn.prepare_cached(
        "DELETE FROM receipts WHERE n IN (SELECT n FROM receipts NOT INDEXED
         WHERE n <= ?2 AND shard = ?1 ORDER BY n LIMIT ?3)",
    )?;
    let mut removed = 0;
    for shard in shards {
        let bound =
            newest.query_row((shard, RECEIPTS_KEPT), |row| row.get::<_, i64>(0)).optional()?;
        if let Some(bound) = bound {
            removed += delete.execute((shard, bound, CHUNK))? as u64;
        }
    }
    Ok(removed)
}

#[async_trait]
impl UpkeepStore for SqliteStore {
    async fn clear_aged(
        &self,
        sinks: &[SinkRoute],
        limit: usize,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sinks = sinks.to_vec();
        self.write("clear aged alerts", move |w| clear_aged(w, &sinks, limit, now)).await
    }

    async fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Upkeep, StoreError> {
        let mut done = Upkeep::default();
        let up = &mut done;
        let floor = |keep: Duration| Id::floor_of(now.minus(keep)).0.to_vec();
        self.remove(up, "audit_unhandled", "id < ?1", [floor(policy.unhandled)]).await?;
        self.remove(up, "audit_handled", "id < ?1", [floor(policy.handled)]).await?;
        let alerts = now.minus(policy.alerts);
        self.remove_by(up, "deliveries", move |conn| remove_ended(conn, alerts)).await?;
        self.remove_by(up, "alerts", move |conn| remove_alerts(conn, alerts)).await?;
        self.remove(up, "changes", "at < ?1", [now.minus(policy.changes).0]).await?;
        self.remove(up, "rates", "minute < ?1", [now.minus(policy.handled).secs()]).await?;
        self.remove(up, "dedup", "keep_until < ?1", [now.0]).await?;
        for _ in 0..CHUNKS_MAX {
            let max_bytes = policy.max_bytes;
            let removed = self
                .write("keep the cap", move |w| {
                    w.max_bytes = max_bytes;
                    if used_bytes(&w.conn)? <= max_bytes {
                        return Ok(0);
                    }
                    remove_oldest(&w.conn, CAP_CHUNK)
                })
                .await?;
            up.removed_by_cap += removed;
            if removed == 0 {
                break;
            }
        }
        self.remove_by(up, "receipts", remove_receipts).await?;
        let sets = self.write("remove what is old", |w| Ok(remove_rule_sets(&w.conn)?)).await?;
        if sets > 0 {
            *up.removed.entry("rule_sets".to_owned()).or_default() += sets;
        }
        Ok(done)
    }

    async fn restore(&self, backup: &Path) -> Result<(), StoreError> {
        self.replace_with(backup).await
    }

    async fn backup(
        &self,
        target: &Path,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<(), StoreError> {
        let (path, target) = (self.path().to_path_buf(), target.to_path_buf());
        // Its own connection, on a thread of its own, so that neither commits nor reads wait.
        let (reply, answer) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("store-backup".to_owned())
            .spawn(move || {
                let _ = reply.send(backup::snapshot(&path, &target, &progress));
            })
            .map_err(|e| StoreError::Transient { doing: "back up", why: e.to_string() })?;
        answer.await.unwrap_or_else(|_| {
            let why = "its thread failed".to_owned();
            Err(StoreError::Transient { doing: "back up", why })
        })
    }

    fn bytes(&self) -> u64 {
        ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| std::fs::metadata(beside(self.path(), suffix)).ok())
            .map(|file| file.len())
            .sum()
    }

    async fn close(&self) {
        self.stop_engine().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_beyond_those_that_are_kept_go_oldest_first_in_a_moment() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE receipts (n INTEGER PRIMARY KEY, shard INTEGER, batch_id BLOB);
             CREATE UNIQUE INDEX receipts_batch ON receipts (shard, batch_id);
             WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000)
             INSERT INTO receipts SELECT n, n % 3 = 0, randomblob(16) FROM c",
        )
        .unwrap();
        while remove_receipts(&conn).unwrap() > 0 {}
        let left = |shard: i64| -> (i64, i64) {
            let sql = "SELECT COUNT(*), MIN(n) FROM receipts WHERE shard = ?1";
            conn.query_row(sql, [shard], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(left(0), (RECEIPTS_KEPT, 45_001));
        assert_eq!(left(1), (RECEIPTS_KEPT, 30_003));
    }
}
