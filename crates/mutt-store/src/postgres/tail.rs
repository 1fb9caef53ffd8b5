//! The tail: rows in the order of their transactions, none skipped, however many shards commit.
//!
//! `seq` begins with the number of the transaction that wrote the row, and a receipt says which rows it
//! wrote. A transaction with a smaller number may commit later than one with a greater: so only rows
//! are given whose transaction is older than every transaction that is still under way
//! (`pg_snapshot_xmin`). A long transaction on the same server holds the tail back; nothing is lost.

use mutt_model::audit::AuditedEvent;
use tokio_postgres::types::{ToSql, Type};

use super::{Conn, audit};
use crate::store::{PAGE_MAX, StoreError};

/// Rows of one transaction at most, as `seq` counts them.
const OF_ONE: i64 = 1 << 20;
/// Receipts that one call looks at.
const RECEIPTS_MAX: i64 = 256;

/// The first `seq` that is not settled yet: all before it is committed or never will be.
async fn unsettled(conn: &Conn) -> Result<i64, StoreError> {
    let row = conn
        .one(
            "SELECT (base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint) * 1048576
             FROM seq_base",
            &[],
        )
        .await?;
    Ok(row.get(0))
}

pub(super) async fn after(
    conn: &Conn,
    place: Option<i64>,
    limit: usize,
) -> Result<(Vec<AuditedEvent>, i64), StoreError> {
    let end = unsettled(conn).await?;
    // A place beyond the end is one from before a restore.
    let Some(place) = place.filter(|place| *place < end) else { return Ok((Vec::new(), end - 1)) };
    let limit = limit.clamp(1, PAGE_MAX);
    let receipts = conn
        .all(
            "SELECT seq_first, seq_first + rows, first_at, last_at FROM receipts
             WHERE seq_first > $1 AND seq_first < $2 AND rows > 0 AND seq_first + rows - 1 > $3
             ORDER BY seq_first LIMIT $4",
            &[&(place - OF_ONE), &end, &place, &RECEIPTS_MAX],
        )
        .await?;
    let mut items = Vec::new();
    for receipt in &receipts {
        if items.len() >= limit {
            break;
        }
        let (first, over): (i64, i64) = (receipt.get(0), receipt.get(1));
        let (from, to): (i64, i64) = (receipt.get(2), receipt.get(3));
        let first = first.max(place + 1);
        let wanted = i64::try_from(limit - items.len()).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT {} FROM audit WHERE received_at >= $1 AND received_at <= $2
                AND seq >= $3 AND seq < $4 ORDER BY seq LIMIT $5",
            audit::COLUMNS
        );
        let params: [(&(dyn ToSql + Sync), Type); 5] = [
            (&from, Type::INT8),
            (&to, Type::INT8),
            (&first, Type::INT8),
            (&over, Type::INT8),
            (&wanted, Type::INT8),
        ];
        for row in audit::query(conn, &sql, &params).await? {
            items.push(audit::from_row(&row)?);
        }
    }
    // With nothing more to come before the end, the place moves on to it.
    let all = receipts.len() < usize::try_from(RECEIPTS_MAX).unwrap_or(0) && items.len() < limit;
    let last = match (items.last(), receipts.last()) {
        _ if all => end - 1,
        (Some(item), _) => item.seq,
        // Rows that retention took since.
        (None, Some(receipt)) => receipt.get::<_, i64>(1) - 1,
        (None, None) => place,
    };
    Ok((items, last.max(place)))
}
