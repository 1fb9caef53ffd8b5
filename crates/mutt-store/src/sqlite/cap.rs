//! The cap on the store's size: what goes first when it is passed, how much at once, and the count.

use mutt_model::Timestamp;
use rusqlite::Connection;

use super::engine::Writer;
use super::open::pragma;
use super::totals::{signed, unsigned};
use super::{audit, counting, deliveries, holds};
use crate::store::StoreError;

/// Audit rows written between two looks at the cap.
const EVERY: u64 = 10_000;
/// Audit rows written between two looks at the table of unhandled shapes.
const EVICT_EVERY: u64 = 20_000;
/// Rows removed in one transaction at most: commits wait for it. Large ones write each index page of
/// a host once for many of its rows.
const CHUNK: i64 = 25_000;
/// A row with its part of the indexes is taken to be of this size, where none can be measured.
const ROW_BYTES: u64 = 1_024;

/// What the writer knows of the cap.
#[derive(Debug)]
pub(super) struct Cap {
    /// `store.max_bytes`
    pub(super) max_bytes: u64,
    /// Audit rows written since the cap was last looked at.
    pub(super) written: u64,
    /// Audit rows written since the table of unhandled shapes was last looked at.
    since_evict: u64,
    /// Rows removed because of the cap since upkeep last asked.
    pub(super) removed: u64,
}

impl Cap {
    pub(super) const fn new(max_bytes: u64) -> Self {
        Self { max_bytes, written: 0, since_evict: 0, removed: 0 }
    }
}

/// Pages in use, in bytes: free pages inside the file are used again before it grows.
fn used_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(conn, "page_count")? - pragma(conn, "freelist_count")?;
    Ok(unsigned(pages) * unsigned(pragma(conn, "page_size")?))
}

/// Between jobs: removes at most somewhat more than was written while the cap is passed.
pub(super) fn keep(writer: &mut Writer) -> Result<(), StoreError> {
    if writer.cap.written < EVERY {
        return Ok(());
    }
    let written = std::mem::take(&mut writer.cap.written);
    writer.cap.since_evict += written;
    if writer.cap.since_evict >= EVICT_EVERY {
        writer.cap.since_evict = 0;
        counting::evict(&writer.conn)?;
    }
    let mut left = written.saturating_add(written / 4);
    while left > 0 {
        let removed = step(writer)?;
        if removed == 0 {
            break;
        }
        left = left.saturating_sub(removed);
    }
    Ok(())
}

/// Removes one transaction's part of what is above the cap; 0 when nothing is.
pub(super) fn step(writer: &mut Writer) -> Result<u64, StoreError> {
    let used = used_bytes(&writer.conn)?;
    let over = used.saturating_sub(writer.cap.max_bytes);
    if over == 0 {
        return Ok(0);
    }
    let rows = signed(over / row_bytes(&writer.conn, used)? + 1).min(CHUNK);
    let removed = writer.transaction(|w| remove_oldest(&w.conn, rows))?;
    writer.cap.removed += removed;
    Ok(removed)
}

/// How much of the store stands for one audit row, all that hangs on it included.
fn row_bytes(conn: &Connection, used: u64) -> rusqlite::Result<u64> {
    let mut rows = 0;
    for handled in [false, true] {
        // Nearly one for each number, as the tables share them; two look-ups instead of a count.
        let sql = format!("SELECT MIN(seq), MAX(seq) FROM {}", audit::table(handled));
        let (first, last): (Option<i64>, Option<i64>) =
            conn.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows = rows.max(unsigned(last.unwrap_or(0) - first.unwrap_or(0)));
    }
    Ok(used.checked_div(rows).unwrap_or(ROW_BYTES).clamp(ROW_BYTES / 4, ROW_BYTES * 8))
}

/// What can be missed most easily first: unhandled events, deliveries that are over, handled events,
/// and at last the dead ones, which might still have been replayed. What is owed stays.
fn remove_oldest(conn: &Connection, rows: i64) -> Result<u64, StoreError> {
    let ever = Timestamp(i64::MAX);
    let mut removed = remove_audit(conn, false, rows)?;
    if removed == 0 {
        removed = deliveries::remove_ended(conn, false, ever, rows)?;
    }
    if removed == 0 {
        removed = remove_audit(conn, true, rows)?;
    }
    if removed == 0 {
        removed = deliveries::remove_ended(conn, true, ever, rows)?;
    }
    Ok(removed)
}

/// The oldest rows of an audit table: one range, so that whole pages go; around what is held.
fn remove_audit(conn: &Connection, handled: bool, rows: i64) -> rusqlite::Result<u64> {
    let table = audit::table(handled);
    let sql = if holds::any(conn)? {
        format!(
            "DELETE FROM {table} WHERE seq IN
             (SELECT t.seq FROM {table} t WHERE {} ORDER BY t.seq LIMIT ?1 + 1)",
            holds::NOT_HELD
        )
    } else {
        format!(
            "DELETE FROM {table} WHERE seq <= COALESCE(
                (SELECT seq FROM {table} ORDER BY seq LIMIT 1 OFFSET ?1),
                (SELECT MAX(seq) FROM {table}))"
        )
    };
    conn.prepare_cached(&sql)?.execute([rows - 1]).map(|removed| removed as u64)
}
