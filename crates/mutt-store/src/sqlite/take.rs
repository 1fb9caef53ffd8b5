//! Which deliveries may go now: heads of their keys, due, in order; what need not go is suppressed.

use mutt_model::Timestamp;
use mutt_model::delivery::{Delivery, HeldBy, NoticeKind};
use rusqlite::Connection;

use super::deliveries::{self, Brief, LEASED, SUPPRESSED};
use super::lanes;
use super::totals::signed;
use crate::deliveries::{COALESCE_MAX, PROBLEM_DEAD, ROUNDS_MAX, may_coalesce, relief};
use crate::store::{SinkLease, StoreError};

/// Leases what may go. The caller has checked the lease.
pub(super) fn due(
    conn: &Connection,
    lease: &SinkLease,
    limit: usize,
    coalesce: bool,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    let sink = lease.sink.as_str();
    let (held, probe) = lanes::held(conn, sink)?;
    let taken = match held {
        Some(HeldBy::Fault) if probe => {
            let first = heads(conn, sink, 1, None)?;
            if !first.is_empty() {
                lanes::set_probe(conn, sink, false)?;
            }
            first
        }
        Some(_) => Vec::new(),
        None => choose(conn, sink, limit, coalesce, now)?,
    };
    let mut deliveries = Vec::with_capacity(taken.len());
    for row in &taken {
        deliveries::set_state(conn, row, LEASED)?;
        deliveries.extend(deliveries::load(conn, row.id)?);
    }
    Ok(deliveries)
}

fn heads(
    conn: &Connection,
    sink: &str,
    limit: usize,
    due: Option<Timestamp>,
) -> rusqlite::Result<Vec<Brief>> {
    deliveries::briefs(
        conn,
        // The plus keeps the planner on the index by seq, which ends at the limit.
        "sink = ?1 AND state = 0 AND head = 1 AND +due_at <= ?2 ORDER BY seq LIMIT ?3",
        (sink, due.map_or(i64::MAX, |at| at.0), signed(limit as u64)),
    )
}

fn choose(
    conn: &Connection,
    sink: &str,
    limit: usize,
    coalesce: bool,
    now: Timestamp,
) -> Result<Vec<Brief>, StoreError> {
    let mut candidates = heads(conn, sink, limit, Some(now))?;
    for _ in 0..ROUNDS_MAX {
        let mut changed = false;
        for row in &candidates {
            changed |= relieve(conn, row, coalesce, now)?;
        }
        if !changed {
            return Ok(candidates);
        }
        candidates = heads(conn, sink, limit, Some(now))?;
    }
    // Keys that still change wait for the next call.
    let mut settled = Vec::new();
    for row in candidates {
        if !relieve(conn, &row, coalesce, now)? {
            settled.push(row);
        }
    }
    Ok(settled)
}

/// Suppresses what need not go, starting at this head; true when the key has another head now.
fn relieve(
    conn: &Connection,
    head: &Brief,
    coalesce: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if head.kind == NoticeKind::Cleared && problem_is_dead(conn, head)? {
        deliveries::end(conn, head, SUPPRESSED, Some(PROBLEM_DEAD), now)?;
        return Ok(true);
    }
    if !coalesce || !may_coalesce(head) {
        return Ok(false);
    }
    let waiting = deliveries::briefs(
        conn,
        "sink = ?1 AND key = ?2 AND state < 3 AND seq > ?3 ORDER BY seq LIMIT ?4",
        (&head.sink, &head.key, head.seq, COALESCE_MAX),
    )?;
    let relief = relief(head, &waiting);
    if let Some((newest, stands_for)) = relief.newest {
        conn.prepare_cached("UPDATE deliveries SET stands_for = ?2 WHERE seq = ?1")?
            .execute((newest.seq, stands_for))?;
    }
    for (row, reason) in &relief.over {
        deliveries::end(conn, row, SUPPRESSED, Some(reason), now)?;
    }
    Ok(!relief.over.is_empty())
}

/// Whether the sink was never told of the alert and never will be: something of it is dead, nothing
/// of it delivered.
fn problem_is_dead(conn: &Connection, clear: &Brief) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        // Most often the first row was delivered, which ends it.
        "SELECT NOT EXISTS (SELECT 1 FROM deliveries
                WHERE alert_id = ?1 AND sink = ?2 AND state = 3)
            AND EXISTS (SELECT 1 FROM deliveries
                WHERE alert_id = ?1 AND sink = ?2 AND state = 5)",
    )?
    .query_row((clear.alert_id.0.as_slice(), &clear.sink), |row| row.get(0))
}

pub(super) fn next_due(conn: &Connection, sink: &str) -> Result<Option<Timestamp>, StoreError> {
    let first = || -> rusqlite::Result<Option<i64>> {
        conn.prepare_cached(
            "SELECT MIN(due_at) FROM deliveries WHERE sink = ?1 AND state = 0 AND head = 1",
        )?
        .query_row([sink], |row| row.get(0))
    };
    Ok(match lanes::held(conn, sink)? {
        (None, _) => first()?.map(Timestamp),
        // A probe does not wait for backoff.
        (Some(HeldBy::Fault), true) => first()?.map(|_| Timestamp(0)),
        (Some(_), _) => None,
    })
}
