//! Upkeep: alerts that age out, retention in small transactions, backup, closing.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::alert::{ClearedBy, SinkRoute};
use mutt_model::delivery::Attempt;
use mutt_model::{Id, Timestamp, failpoint};
use rusqlite::{Connection, OptionalExtension as _, Params};

use super::alerts::Book;
use super::commit::finish;
use super::engine::Writer;
use super::open::beside;
use super::totals::{Totals, signed};
use super::{SqliteStore, audit, backup, cap, deliveries, holds};
use crate::archive::Header;
use crate::counting::Rates;
use crate::store::{Committed, RetentionPolicy, StoreError, Upkeep, UpkeepStore};

/// Rows removed in one transaction of retention.
const CHUNK: i64 = 5_000;
/// Chunks of one table in one round; what is left comes with the next round.
const CHUNKS_MAX: usize = 200;
/// Receipts kept of each shard. Commits follow the queue's order, so that what can be claimed again
/// is among the newest.
const RECEIPTS_KEPT: i64 = 10_000;
/// Days of one table that one round archives; the rest comes with the next round.
const DAYS_MAX: usize = 31;
const DAY: Duration = Duration::from_secs(86_400);

impl SqliteStore {
    /// Runs a bounded DELETE again and again, each in its own job, so that commits come in between.
    async fn remove_by<P, E>(
        &self,
        upkeep: &mut Upkeep,
        table: &str,
        delete: impl Fn(&Connection) -> Result<P, E> + Clone + Send + 'static,
    ) -> Result<(), StoreError>
    where
        P: TryInto<u64> + Send + 'static,
        StoreError: From<E>,
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

/// A span of audit rows that may go.
#[derive(Clone, Copy)]
struct Going {
    handled: bool,
    /// Rows after this.
    after: Id,
    /// And before this.
    until: Id,
    /// Committed not after this.
    seq: i64,
}

/// Removes a chunk of the span around what is held: how many rows went, and after which row the rest
/// begins, if any is left.
fn remove_span(conn: &Connection, going: Going) -> rusqlite::Result<(u64, Option<Id>)> {
    let table = audit::table(going.handled);
    let (after, until) = (going.after.0, going.until.0);
    let chunk: Option<Id> = conn
        .prepare_cached(&format!(
            "SELECT id FROM {table} WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3"
        ))?
        .query_row((after.as_slice(), until.as_slice(), CHUNK - 1), |row| audit::id(row, 0))
        .optional()?;
    let not_held = if holds::any(conn)? { holds::NOT_HELD } else { "1" };
    let last = chunk.map_or(until, |id| id.0);
    let removed = conn
        .prepare_cached(&format!(
            "DELETE FROM {table} AS t WHERE t.id > ?1 AND t.id < ?2 AND t.id <= ?3 AND t.seq <= ?4
             AND {not_held}"
        ))?
        .execute((after.as_slice(), until.as_slice(), last.as_slice(), going.seq))?;
    Ok((removed as u64, chunk))
}

impl SqliteStore {
    /// Removes audit rows before `floor`; with an archive whole days, each put aside first.
    async fn remove_audit(
        &self,
        upkeep: &mut Upkeep,
        handled: bool,
        floor: Timestamp,
        archive: Option<&Path>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut going =
            Going { handled, after: Id::default(), until: Id::floor_of(floor), seq: i64::MAX };
        let Some(dir) = archive else { return self.remove_rows(upkeep, going).await };
        let floor = Id::floor_of(start_of_day(floor));
        for _ in 0..DAYS_MAX {
            let after = going.after;
            let first = self
                .search("look for old rows", move |conn| {
                    Ok(holds::oldest(conn, handled, after, floor)?)
                })
                .await?;
            let Some(first) = first else { return Ok(()) };
            let day = start_of_day(Timestamp(signed(first.millis()) * 1_000));
            let header = Header::new(handled, day, day.plus(DAY), now);
            let (path, dir) = (self.path().to_path_buf(), dir.to_path_buf());
            let put = backup::aside("archive", move || holds::put_aside(&path, &dir, header));
            going.until = Id::floor_of(day.plus(DAY));
            let put = match put.await {
                Ok(put) => put,
                Err(error) => return upkeep.go_on_after(error),
            };
            if let Some((archive, seq)) = put {
                upkeep.archives += 1;
                upkeep.archived_bytes += archive.bytes;
                self.write("list an archive", move |w| holds::list(&w.conn, &archive)).await?;
                failpoint::hit("store.archive.before_remove");
                self.remove_rows(upkeep, Going { seq, ..going }).await?;
                failpoint::hit("store.archive.after_remove");
            }
            // What came to this day meanwhile goes with the next round.
            going.after = before(going.until);
        }
        Ok(())
    }

    async fn remove_rows(&self, upkeep: &mut Upkeep, going: Going) -> Result<(), StoreError> {
        let mut going = going;
        for _ in 0..CHUNKS_MAX {
            let (removed, rest) =
                self.write("remove what is old", move |w| Ok(remove_span(&w.conn, going)?)).await?;
            if removed > 0 {
                *upkeep.removed.entry(audit::table(going.handled).to_owned()).or_default() +=
                    removed;
            }
            let Some(after) = rest else { break };
            going.after = after;
            if removed == 0 {
                // Held, and perhaps much more behind it: a reader looks for where it ends.
                let first = self
                    .search("look for old rows", move |conn| {
                        Ok(holds::oldest(conn, going.handled, after, going.until)?)
                    })
                    .await?;
                let Some(first) = first else { break };
                going.after = before(first);
            }
        }
        Ok(())
    }
}

/// The greatest id that is smaller.
fn before(id: Id) -> Id {
    Id((id.as_u128().saturating_sub(1)).to_be_bytes())
}

fn start_of_day(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.secs().div_euclid(86_400) * 86_400)
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

/// Ended deliveries by age; the newest seqs that keys have delivered go with the last of them.
fn remove_ended(conn: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let gone = deliveries::remove_ended(conn, false, before, CHUNK)?
        + deliveries::remove_ended(conn, true, before, CHUNK)?;
    if gone == 0 {
        conn.execute(
            "DELETE FROM key_delivered WHERE seq < COALESCE(
                (SELECT MIN(seq) FROM deliveries), (SELECT delivery_seq FROM totals))",
            [],
        )?;
    }
    Ok(gone)
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

/// Attempts before `before`, a chunk at a time. They are numbered as they were made, so that the oldest
/// are looked at only.
fn remove_attempts(conn: &Connection, before: Timestamp) -> Result<u64, StoreError> {
    let mut over = Vec::new();
    let mut oldest = conn.prepare_cached("SELECT n, body FROM attempts ORDER BY n LIMIT ?1")?;
    let mut rows = oldest.query([CHUNK])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_str().map_err(|e| StoreError::Data(e.to_string()))?;
        if serde_json::from_str::<Attempt>(body)?.at >= before {
            break;
        }
        over.push(row.get::<_, i64>(0)?);
    }
    let Some(newest) = over.last() else { return Ok(0) };
    let removed = conn.prepare_cached("DELETE FROM attempts WHERE n <= ?1")?.execute([newest])?;
    Ok(removed as u64)
}

/// The oldest receipts beyond those that are kept of each shard, a chunk at a time: the writer is
/// shared with the commits. The bound is worked out once for each shard, not for each row. Of these
/// only those whose batch is older than `before`.
fn remove_receipts(conn: &Connection, before: Id) -> rusqlite::Result<u64> {
    let mut next = conn.prepare_cached("SELECT MIN(shard) FROM receipts WHERE shard > ?1")?;
    let mut newest = conn.prepare_cached(
        "SELECT n FROM receipts INDEXED BY receipts_order
         WHERE shard = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2",
    )?;
    let mut delete = conn.prepare_cached(
        "DELETE FROM receipts WHERE n IN (SELECT n FROM receipts INDEXED BY receipts_order
         WHERE shard = ?1 AND n <= ?2 ORDER BY n LIMIT ?3) AND batch_id < ?4",
    )?;
    let (mut removed, mut shard) = (0, -1);
    while let Some(found) = next.query_row([shard], |row| row.get::<_, Option<i64>>(0))? {
        shard = found;
        let bound =
            newest.query_row((shard, RECEIPTS_KEPT), |row| row.get::<_, i64>(0)).optional()?;
        if let Some(bound) = bound {
            removed += delete.execute((shard, bound, CHUNK, before.0.as_slice()))? as u64;
        }
    }
    Ok(removed)
}

/// Keys of repeats that no event can meet any more. A key is valid by `received_at`, so that what
/// still waits in the event queue is measured by what was committed last, not by the wall clock.
fn dedup_over(conn: &Connection, now: Timestamp) -> rusqlite::Result<Timestamp> {
    let newest: Option<i64> = conn
        .prepare_cached("SELECT minute FROM rates WHERE audited > 0 ORDER BY minute DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    // The minute's start: events of one minute may be committed in another order.
    Ok(newest.map_or(Timestamp(0), |minute| now.min(Timestamp::from_secs(minute))))
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
        let cleared =
            self.write("clear aged alerts", move |w| clear_aged(w, &sinks, limit, now)).await?;
        if cleared > 0 {
            self.signals.deliveries.ring();
        }
        Ok(cleared)
    }

    async fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Upkeep, StoreError> {
        let mut done = Upkeep::default();
        let up = &mut done;
        self.write("forget released holds", |w| Ok(holds::forget_released(&w.conn)?)).await?;
        let archive = policy.archive.as_deref();
        self.remove_audit(up, false, now.minus(policy.unhandled), archive, now).await?;
        self.remove_audit(up, true, now.minus(policy.handled), archive, now).await?;
        let attempts = now.minus(policy.attempts);
        self.remove_by(up, "attempts", move |conn| remove_attempts(conn, attempts)).await?;
        let alerts = now.minus(policy.alerts);
        self.remove_by(up, "deliveries", move |conn| remove_ended(conn, alerts)).await?;
        self.remove_by(up, "alerts", move |conn| remove_alerts(conn, alerts)).await?;
        self.remove(up, "changes", "at < ?1", [now.minus(policy.changes).0]).await?;
        self.remove(up, "rates", "minute < ?1", [now.minus(policy.handled).secs()]).await?;
        let over = self.read("look for old keys", move |conn| Ok(dedup_over(conn, now)?)).await?;
        self.remove(up, "dedup", "keep_until < ?1", [over.0]).await?;
        let max_bytes = policy.max_bytes;
        for _ in 0..CHUNKS_MAX {
            let removed = self
                .on_writer("keep the cap", move |w| {
                    w.cap.max_bytes = max_bytes;
                    cap::step(w)
                })
                .await?;
            if removed == 0 {
                break;
            }
        }
        let receipts = Id::floor_of(now.minus(policy.receipts));
        self.remove_by(up, "receipts", move |conn| remove_receipts(conn, receipts)).await?;
        // What went between jobs since the last round counts too.
        up.removed_by_cap =
            self.on_writer("count", |w| Ok(std::mem::take(&mut w.cap.removed))).await?;
        let sets = self.write("remove what is old", |w| Ok(remove_rule_sets(&w.conn)?)).await?;
        if sets > 0 {
            *up.removed.entry("rule_sets".to_owned()).or_default() += sets;
        }
        if up.archive_error.is_none() {
            self.write("note the round", move |w| Ok(holds::note_run(&w.conn, now)?)).await?;
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
        // Its own connection, on a thread of its own.
        backup::aside("back up", move || backup::snapshot(&path, &target, &progress)).await
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
    use super::super::open;
    use super::*;

    #[test]
    fn receipts_beyond_those_that_are_kept_go_oldest_first_in_a_moment() {
        let mut conn = Connection::open_in_memory().unwrap();
        open::migrate(&mut conn, Path::new("in memory"), open::MIGRATIONS).unwrap();
        conn.execute_batch(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60000)
             INSERT INTO receipts SELECT n, n % 3 = 0, randomblob(16) FROM c",
        )
        .unwrap();
        while remove_receipts(&conn, Id([0xff; 16])).unwrap() > 0 {}
        let left = |shard: i64| -> (i64, i64) {
            let sql = "SELECT COUNT(*), MIN(n) FROM receipts WHERE shard = ?1";
            conn.query_row(sql, [shard], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(left(0), (RECEIPTS_KEPT, 45_001));
        assert_eq!(left(1), (RECEIPTS_KEPT, 30_003));
    }
}
