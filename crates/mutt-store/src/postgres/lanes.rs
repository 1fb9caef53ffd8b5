//! Lanes on PostgreSQL: leases of sinks by the server's clock, holding and releasing.
//!
//! Whoever changes a lane or what it has leased locks its row first, so that a lease can only move
//! between two transactions of its owner.

use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::delivery::{HeldBy, Lane};
use serde_json::json;
use tokio_postgres::Row;

use super::deliveries::{self, BRIEF, held_by, small};
use super::rules::log_change;
use super::{Conn, PostgresStore};
use crate::deliveries::{DEAD, WAITING};
use crate::store::{Actor, Change, SinkLease, StoreError};

const BY_HAND: i16 = 1;
const BY_FAULT: i16 = 2;

/// PostgreSQL takes no U+0000 in text; what sinks say may hold one.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(super) async fn declare(conn: &Conn, sinks: &[String]) -> Result<(), StoreError> {
    conn.run(
        "INSERT INTO lanes (sink) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        &[&sinks],
    )
    .await?;
    Ok(())
}

pub(super) async fn lease(
    store: &PostgresStore,
    conn: &Conn,
    sink: &str,
    owner: &str,
    ttl: Duration,
    fresh: bool,
) -> Result<Option<SinkLease>, StoreError> {
    let sql = "SELECT owner, generation, lease_until FROM lanes WHERE sink = $1 FOR UPDATE";
    let row = match conn.opt(sql, &[&sink]).await? {
        Some(row) => row,
        None => {
            declare(conn, &[sink.to_owned()]).await?;
            conn.one(sql, &[&sink]).await?
        }
    };
    let (held, mut generation, until): (Option<String>, i64, i64) =
        (row.get(0), row.get(1), row.get(2));
    // Read after the row was locked: waiting for the lock takes time.
    let now = store.now(conn).await?;
    let stands = held.is_some() && until > now.0;
    if stands && held.as_deref() != Some(owner) {
        return Ok(None);
    }
    if fresh || !stands {
        generation += 1;
        let sql = format!("SELECT {BRIEF} FROM deliveries WHERE sink = $1 AND state = 1");
        let left = deliveries::briefs(&conn.all(&sql, &[&sink]).await?);
        deliveries::lock(conn, &left).await?;
        deliveries::back_to_waiting(conn, sink, &left).await?;
    }
    conn.run(
        "UPDATE lanes SET owner = $2, generation = $3, lease_until = $4 WHERE sink = $1",
        &[&sink, &owner, &generation, &now.plus(ttl).0],
    )
    .await?;
    Ok(Some(SinkLease { sink: sink.to_owned(), generation }))
}

/// Who holds a lane, and whether a probe was asked for.
pub(super) async fn held(conn: &Conn, sink: &str) -> Result<(Option<HeldBy>, bool), StoreError> {
    let row = conn.opt("SELECT held_by, probe FROM lanes WHERE sink = $1", &[&sink]).await?;
    Ok(row.map_or((None, false), |row| (held_by(row.get(0)), row.get(1))))
}

/// The statement of [`Report::check`].
pub(super) const CHECK: &str =
    "SELECT generation, held_by, held_reason, held_since, probe, breaker,
    last_ok_at, last_error, last_error_at FROM lanes WHERE sink = $1 FOR UPDATE";

/// A lane whose row this transaction has locked, as its owner changes it.
pub(super) struct Report {
    sink: String,
    pub(super) held_by: Option<i16>,
    held_reason: Option<String>,
    held_since: Option<i64>,
    pub(super) probe: bool,
    breaker: String,
    last_ok_at: Option<i64>,
    last_error: Option<String>,
    last_error_at: Option<i64>,
    changed: bool,
}

impl Report {
    /// Locks the lane and refuses a Forwarder whose lease has gone to another.
    pub(super) async fn check(conn: &Conn, lease: &SinkLease) -> Result<Self, StoreError> {
        let row = conn
            .opt(CHECK, &[&lease.sink])
            .await?
            .filter(|row| row.get::<_, i64>(0) == lease.generation)
            .ok_or(StoreError::LeaseLost)?;
        Ok(Self {
            sink: lease.sink.clone(),
            held_by: row.get(1),
            held_reason: row.get(2),
            held_since: row.get(3),
            probe: row.get(4),
            breaker: row.get(5),
            last_ok_at: row.get(6),
            last_error: row.get(7),
            last_error_at: row.get(8),
            changed: false,
        })
    }

    /// An accepted delivery; it releases a lane that a fault held.
    pub(super) fn note_ok(&mut self, at: Timestamp) {
        self.changed = true;
        self.last_ok_at = Some(at.0);
        if self.held_by == Some(BY_FAULT) {
            (self.held_by, self.held_reason, self.held_since) = (None, None, None);
            self.probe = false;
        }
    }

    pub(super) fn note_error(&mut self, detail: &str, at: Timestamp) {
        self.changed = true;
        (self.last_error, self.last_error_at) = (Some(clean(detail)), Some(at.0));
    }

    /// A fault of the lane. A hold by hand stays one; a fault that stays keeps its beginning.
    pub(super) fn hold_by_fault(&mut self, why: &str, at: Timestamp) {
        if self.held_by != Some(BY_HAND) {
            self.changed = true;
            self.held_by = Some(BY_FAULT);
            self.held_reason = Some(clean(why));
            self.held_since = self.held_since.or(Some(at.0));
        }
    }

    pub(super) fn set_breaker(&mut self, breaker: &str) {
        if !breaker.is_empty() && breaker != self.breaker {
            self.changed = true;
            breaker.clone_into(&mut self.breaker);
        }
    }

    pub(super) fn take_probe(&mut self) {
        self.changed = true;
        self.probe = false;
    }

    pub(super) async fn save(&self, conn: &Conn) -> Result<(), StoreError> {
        if self.changed {
            conn.run(
                "UPDATE lanes SET held_by = $2, held_reason = $3, held_since = $4, probe = $5,
                    breaker = $6, last_ok_at = $7, last_error = $8, last_error_at = $9
                 WHERE sink = $1",
                &[
                    &self.sink,
                    &self.held_by,
                    &self.held_reason,
                    &self.held_since,
                    &self.probe,
                    &self.breaker,
                    &self.last_ok_at,
                    &self.last_error,
                    &self.last_error_at,
                ],
            )
            .await?;
        }
        Ok(())
    }
}

/// Asks for probes of those lanes that a fault holds.
pub(super) async fn ask_probes(conn: &Conn, sinks: &[&str]) -> Result<(), StoreError> {
    conn.run(
        "UPDATE lanes SET probe = true WHERE sink = ANY($1) AND held_by = $2",
        &[&sinks, &BY_FAULT],
    )
    .await?;
    Ok(())
}

pub(super) async fn hold(
    conn: &Conn,
    sink: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let before = locked(conn, sink, now).await?;
    conn.run(
        "UPDATE lanes SET held_by = $2, held_reason = $3, held_since = COALESCE(held_since, $4),
            probe = false WHERE sink = $1",
        &[&sink, &BY_HAND, &actor.reason.as_deref().map(clean), &now.0],
    )
    .await?;
    log_lane(conn, &before, "hold", actor, now).await
}

pub(super) async fn release(
    conn: &Conn,
    sink: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let before = locked(conn, sink, now).await?;
    conn.run(
        "UPDATE lanes SET held_by = NULL, held_reason = NULL, held_since = NULL, probe = false
         WHERE sink = $1",
        &[&sink],
    )
    .await?;
    log_lane(conn, &before, "release", actor, now).await
}

async fn log_lane(
    conn: &Conn,
    before: &Lane,
    action: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Lane, StoreError> {
    let after = one(conn, &before.sink, now).await?;
    let shown = |lane: &Lane| json!({ "held_by": lane.held_by, "held_reason": lane.held_reason });
    let entry = Change {
        id: 0,
        at: now,
        who: actor.name.clone(),
        object: "lane".to_owned(),
        object_id: before.sink.clone(),
        action: action.to_owned(),
        old: Some(shown(before)),
        new: Some(shown(&after)),
        reason: actor.reason.clone(),
    };
    log_change(conn, &entry).await?;
    Ok(after)
}

async fn locked(conn: &Conn, sink: &str, now: Timestamp) -> Result<Lane, StoreError> {
    conn.opt("SELECT 1 FROM lanes WHERE sink = $1 FOR UPDATE", &[&sink]).await?;
    one(conn, sink, now).await
}

fn from_row(row: &Row, now: Timestamp) -> Lane {
    let held_by = held_by(row.get(1));
    let waiting = u64::try_from(row.get::<_, i64>(10)).unwrap_or(0);
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(Timestamp);
    Lane {
        sink: row.get(0),
        held_by,
        held_reason: row.get(2),
        held_since: time(3),
        breaker: row.get(4),
        pending: if held_by.is_none() { waiting } else { 0 },
        held: if held_by.is_some() { waiting } else { 0 },
        dead: u64::try_from(row.get::<_, i64>(11)).unwrap_or(0),
        last_ok_at: time(5),
        last_error: row.get(6),
        last_error_at: time(7),
        owner: row.get::<_, Option<String>>(8).filter(|_| row.get::<_, i64>(9) > now.0),
    }
}

async fn one(conn: &Conn, sink: &str, now: Timestamp) -> Result<Lane, StoreError> {
    all(conn, Some(sink), now)
        .await?
        .pop()
        .ok_or_else(|| StoreError::NotFound(format!("no sink is named {sink}")))
}

/// All lanes, or one.
pub(super) async fn all(
    conn: &Conn,
    sink: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Lane>, StoreError> {
    let rows = conn
        .all(
            "SELECT l.sink, l.held_by, l.held_reason, l.held_since, l.breaker, l.last_ok_at,
                l.last_error, l.last_error_at, l.owner, l.lease_until,
                COALESCE(SUM(c.n) FILTER (WHERE c.state = $2), 0)::bigint,
                COALESCE(SUM(c.n) FILTER (WHERE c.state = $3), 0)::bigint
             FROM lanes l LEFT JOIN delivery_counts c ON c.sink = l.sink
             WHERE $1::text IS NULL OR l.sink = $1 GROUP BY l.sink ORDER BY l.sink",
            &[&sink, &small(WAITING), &small(DEAD)],
        )
        .await?;
    Ok(rows.iter().map(|row| from_row(row, now)).collect())
}
