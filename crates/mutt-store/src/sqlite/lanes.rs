//! Lanes: leases of sinks, holding and releasing, what a Forwarder reports.

use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::delivery::{HeldBy, Lane};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::json;

use super::deliveries::{self, DEAD, LEASED, WAITING};
use super::rules::log_change;
use super::totals::unsigned;
use crate::store::{Actor, Change, SinkLease, StoreError};

const BY_HAND: i64 = 1;
const BY_FAULT: i64 = 2;

pub(super) fn declare(conn: &Connection, sink: &str) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO lanes (sink, probe, breaker, generation, lease_until)
         VALUES (?1, 0, 'closed', 0, 0) ON CONFLICT DO NOTHING",
    )?
    .execute([sink])?;
    Ok(())
}

pub(super) fn lease(
    conn: &Connection,
    sink: &str,
    owner: &str,
    ttl: Duration,
    fresh: bool,
    now: Timestamp,
) -> Result<Option<SinkLease>, StoreError> {
    declare(conn, sink)?;
    let (held, mut generation, until): (Option<String>, i64, i64) = conn
        .prepare_cached("SELECT owner, generation, lease_until FROM lanes WHERE sink = ?1")?
        .query_row([sink], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let stands = held.is_some() && until > now.0;
    if stands && held.as_deref() != Some(owner) {
        return Ok(None);
    }
    if fresh || !stands {
        generation += 1;
        let left = deliveries::briefs(conn, "sink = ?1 AND state = 1", [sink])?;
        for row in left {
            debug_assert_eq!(row.state, LEASED);
            deliveries::back_to_waiting(conn, &row)?;
        }
    }
    conn.prepare_cached(
        "UPDATE lanes SET owner = ?2, generation = ?3, lease_until = ?4 WHERE sink = ?1",
    )?
    .execute((sink, owner, generation, now.plus(ttl).0))?;
    Ok(Some(SinkLease { sink: sink.to_owned(), generation }))
}

/// Refuses a Forwarder whose lease has gone to another.
pub(super) fn check(conn: &Connection, lease: &SinkLease) -> Result<(), StoreError> {
    let generation: Option<i64> = conn
        .prepare_cached("SELECT generation FROM lanes WHERE sink = ?1")?
        .query_row([&lease.sink], |row| row.get(0))
        .optional()?;
    if generation == Some(lease.generation) { Ok(()) } else { Err(StoreError::LeaseLost) }
}

/// Who holds the lane, and whether a probe was asked for.
pub(super) fn held(conn: &Connection, sink: &str) -> Result<(Option<HeldBy>, bool), StoreError> {
    let found = conn
        .prepare_cached("SELECT held_by, probe FROM lanes WHERE sink = ?1")?
        .query_row([sink], |row| Ok((held_by(row.get(0)?), row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or((None, false)))
}

/// Whether nothing leaves now: held, or the breaker is not closed.
pub(super) fn is_blocked(conn: &Connection, sink: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM lanes
            WHERE sink = ?1 AND (held_by IS NOT NULL OR breaker <> 'closed'))",
    )?
    .query_row([sink], |row| row.get(0))
}

fn held_by(number: Option<i64>) -> Option<HeldBy> {
    number.map(|n| if n == BY_HAND { HeldBy::Hand } else { HeldBy::Fault })
}

pub(super) fn set_probe(conn: &Connection, sink: &str, probe: bool) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE lanes SET probe = ?2 WHERE sink = ?1")?.execute((sink, probe))?;
    Ok(())
}

pub(super) fn ask_probe(conn: &Connection, sink: &str) -> Result<(), StoreError> {
    conn.execute("UPDATE lanes SET probe = 1 WHERE sink = ?1 AND held_by = ?2", (sink, BY_FAULT))?;
    Ok(())
}

pub(super) fn set_breaker(conn: &Connection, sink: &str, breaker: &str) -> Result<(), StoreError> {
    if !breaker.is_empty() {
        conn.prepare_cached("UPDATE lanes SET breaker = ?2 WHERE sink = ?1 AND breaker <> ?2")?
            .execute((sink, breaker))?;
    }
    Ok(())
}

/// An accepted delivery; it releases a lane that a fault held.
pub(super) fn note_ok(conn: &Connection, sink: &str, at: Timestamp) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE lanes SET last_ok_at = ?2,
            held_reason = CASE held_by WHEN 2 THEN NULL ELSE held_reason END,
            held_since = CASE held_by WHEN 2 THEN NULL ELSE held_since END,
            probe = CASE held_by WHEN 2 THEN 0 ELSE probe END,
            held_by = CASE held_by WHEN 2 THEN NULL ELSE held_by END WHERE sink = ?1",
    )?
    .execute((sink, at.0))?;
    Ok(())
}

pub(super) fn note_error(
    conn: &Connection,
    sink: &str,
    detail: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE lanes SET last_error = ?2, last_error_at = ?3 WHERE sink = ?1")?
        .execute((sink, detail, at.0))?;
    Ok(())
}

/// A fault of the lane. A hold by hand stays one; a fault that stays keeps its beginning.
pub(super) fn hold_by_fault(
    conn: &Connection,
    sink: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE lanes SET held_by = 2, held_reason = ?2, held_since = COALESCE(held_since, ?3)
         WHERE sink = ?1 AND (held_by IS NULL OR held_by = 2)",
    )?
    .execute((sink, why, at.0))?;
    Ok(())
}

pub(super) fn hold(
    conn: &Connection,
    sink: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let before = one(conn, sink, now)?;
    conn.execute(
        "UPDATE lanes SET held_by = ?2, held_reason = ?3, held_since = COALESCE(held_since, ?4),
            probe = 0 WHERE sink = ?1",
        (sink, BY_HAND, &actor.reason, now.0),
    )?;
    log_lane(conn, &before, "hold", actor, now)
}

pub(super) fn release(
    conn: &Connection,
    sink: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let before = one(conn, sink, now)?;
    conn.execute(
        "UPDATE lanes SET held_by = NULL, held_reason = NULL, held_since = NULL, probe = 0
         WHERE sink = ?1",
        [sink],
    )?;
    log_lane(conn, &before, "release", actor, now)
}

fn log_lane(
    conn: &Connection,
    before: &Lane,
    action: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let after = one(conn, &before.sink, now)?;
    let shown = |lane: &Lane| json!({ "held_by": lane.held_by, "held_reason": lane.held_reason });
    log_change(
        conn,
        &Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: "lane".to_owned(),
            object_id: before.sink.clone(),
            action: action.to_owned(),
            old: Some(shown(before)),
            new: Some(shown(&after)),
            reason: actor.reason.clone(),
        },
    )?;
    Ok(after)
}

const COLUMNS: &str = "sink, held_by, held_reason, held_since, breaker, last_ok_at, last_error, \
    last_error_at, owner, lease_until";

fn from_row(conn: &Connection, row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Lane> {
    let sink: String = row.get(0)?;
    let count = |state: i64| -> rusqlite::Result<u64> {
        conn.prepare_cached("SELECT n FROM delivery_counts WHERE sink = ?1 AND state = ?2")?
            .query_row((&sink, state), |row| row.get(0))
            .optional()
            .map(|n| unsigned(n.unwrap_or(0)))
    };
    let held_by = held_by(row.get(1)?);
    let waiting = count(WAITING)?;
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|t| t.map(Timestamp));
    let until: i64 = row.get(9)?;
    Ok(Lane {
        held_by,
        held_reason: row.get(2)?,
        held_since: time(3)?,
        breaker: row.get(4)?,
        pending: if held_by.is_none() { waiting } else { 0 },
        held: if held_by.is_some() { waiting } else { 0 },
        dead: count(DEAD)?,
        last_ok_at: time(5)?,
        last_error: row.get(6)?,
        last_error_at: time(7)?,
        owner: row.get::<_, Option<String>>(8)?.filter(|_| until > now.0),
        sink,
    })
}

fn one(conn: &Connection, sink: &str, now: Timestamp) -> Result<Lane, StoreError> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM lanes WHERE sink = ?1"))?
        .query_row([sink], |row| from_row(conn, row, now))
        .optional()?
        .ok_or_else(|| StoreError::NotFound(format!("no sink is named {sink}")))
}

pub(super) fn all(conn: &Connection, now: Timestamp) -> Result<Vec<Lane>, StoreError> {
    Ok(conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM lanes ORDER BY sink"))?
        .query_map([], |row| from_row(conn, row, now))?
        .collect::<rusqlite::Result<_>>()?)
}
