//! Replays: dead deliveries become pending again, under the same id.

use std::collections::BTreeMap;

use mutt_model::delivery::{DeliveryState, NoticeKind};
use mutt_model::{Id, Timestamp};
use rusqlite::Connection;
use serde_json::json;

use super::alerts;
use super::deliveries::{self, Brief, DEAD, WAITING};
use super::lanes;
use super::rules::log_change;
use super::totals::{signed, unsigned};
use crate::deliveries::{PROBLEM_DEAD, REPLAY_MAX};
use crate::store::{Actor, Change, ReplayFilter, Replayed, StoreError};

pub(super) fn replay(
    conn: &Connection,
    which: &ReplayFilter,
    force: bool,
    actor: &Actor,
    now: Timestamp,
) -> Result<Replayed, StoreError> {
    let (rows, passed_over) = match which.id {
        Some(id) => (vec![single(conn, id, force)?], 0),
        None => matching(conn, which, force)?,
    };
    let mut done = Replayed { passed_over, ..Replayed::default() };
    let mut problems = BTreeMap::new();
    for row in rows {
        again(conn, &row, now)?;
        done.replayed += 1;
        if row.state == DEAD && row.kind != NoticeKind::Cleared {
            problems.insert((row.alert_id, row.sink), row.key);
        }
    }
    for ((alert, sink), key) in problems {
        owe_clear(conn, alert, &sink, &key, now)?;
    }
    log(conn, which, done, force, actor, now)?;
    Ok(done)
}

fn single(conn: &Connection, id: Id, force: bool) -> Result<Brief, StoreError> {
    let row = deliveries::brief(conn, id)?
        .ok_or_else(|| StoreError::NotFound(format!("no delivery has the id {id}")))?;
    let held = lanes::held(conn, &row.sink)?.0.is_some();
    if row.state != DEAD && !(row.state == WAITING && held) {
        return Err(StoreError::Conflict(
            "only dead and held deliveries can be replayed".to_owned(),
        ));
    }
    if row.state == DEAD && !force && is_overtaken(conn, &row)? {
        return Err(StoreError::Conflict(
            "its key has delivered something newer since, or has it on its way; force replays it all the same".to_owned(),
        ));
    }
    Ok(row)
}

/// The rows of a filter and how many were passed over before the limit was reached: these never
/// stand in the way of those behind them.
fn matching(
    conn: &Connection,
    which: &ReplayFilter,
    force: bool,
) -> Result<(Vec<Brief>, u64), StoreError> {
    let limit = signed(which.limit.unwrap_or(REPLAY_MAX).min(REPLAY_MAX));
    match which.state.unwrap_or(DeliveryState::Dead) {
        DeliveryState::Dead => dead(conn, which, force, limit),
        DeliveryState::Held => {
            let held = deliveries::briefs(
                conn,
                "state = 0 AND state < 3 AND (?1 IS NULL OR sink = ?1) AND sink IN
                 (SELECT sink FROM lanes WHERE held_by IS NOT NULL) ORDER BY seq LIMIT ?2",
                (&which.sink, limit),
            )?;
            Ok((held, 0))
        }
        other => Err(StoreError::Conflict(format!(
            "{} deliveries cannot be replayed, only dead and held ones",
            other.name()
        ))),
    }
}

fn dead(
    conn: &Connection,
    which: &ReplayFilter,
    force: bool,
    limit: i64,
) -> Result<(Vec<Brief>, u64), StoreError> {
    // By its own condition where a reason is given, so that the index by reason serves.
    let reason = if which.reason.is_some() { "reason = ?2" } else { "?2 IS NULL" };
    let condition = format!("state = 5 AND (?1 IS NULL OR sink = ?1) AND {reason}");
    let filter = (&which.sink, &which.reason);
    let rows = deliveries::briefs(
        conn,
        &format!("{condition} AND (?3 OR NOT {OVERTAKEN}) ORDER BY seq LIMIT ?4"),
        (filter.0, filter.1, force, limit),
    )?;
    if force {
        return Ok((rows, 0));
    }
    let until = match rows.last() {
        Some(last) if signed(rows.len() as u64) == limit => last.seq,
        _ => i64::MAX,
    };
    let sql =
        format!("SELECT COUNT(*) FROM deliveries WHERE {condition} AND seq < ?3 AND {OVERTAKEN}");
    let passed_over = conn
        .prepare_cached(&sql)?
        .query_row((filter.0, filter.1, until), |row| row.get(0))
        .map(unsigned)?;
    Ok((rows, passed_over))
}

/// Whether its key has delivered something newer since, or is about to: what is on its way may arrive.
const OVERTAKEN: &str = "(EXISTS (SELECT 1 FROM key_delivered k
        WHERE k.sink = deliveries.sink AND k.key = deliveries.key AND k.seq > deliveries.seq)
    OR EXISTS (SELECT 1 FROM deliveries l WHERE l.sink = deliveries.sink
        AND l.key = deliveries.key AND l.state = 1 AND l.seq > deliveries.seq))";

fn is_overtaken(conn: &Connection, row: &Brief) -> rusqlite::Result<bool> {
    conn.prepare_cached(&format!("SELECT {OVERTAKEN} FROM deliveries WHERE seq = ?1"))?
        .query_row([row.seq], |row| row.get(0))
}

/// A clear that was suppressed because its problem was dead is owed again: the problem goes out after
/// all, and would stay open at the sink for ever. Not where the key has a newer problem open that the
/// sink knows: that one would be cleared by it.
fn owe_clear(
    conn: &Connection,
    alert: Id,
    sink: &str,
    key: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let clears = deliveries::briefs(
        conn,
        "alert_id = ?1 AND sink = ?2 AND state = 4 AND reason = ?3",
        (alert.0.as_slice(), sink, PROBLEM_DEAD),
    )?;
    for clear in clears {
        if is_overtaken(conn, &clear)? && alerts::is_open(conn, key)? {
            continue;
        }
        again(conn, &clear, now)?;
    }
    Ok(())
}

/// Due at once, `retry_for` counts anew. One in a held lane stays held; its lane is probed.
fn again(conn: &Connection, row: &Brief, now: Timestamp) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE deliveries SET due_at = ?2, reason = NULL, ended_at = NULL,
            first_attempt_at = NULL WHERE seq = ?1",
    )?
    .execute((row.seq, now.0))?;
    if row.state == WAITING {
        lanes::ask_probe(conn, &row.sink)?;
    } else {
        deliveries::back_to_waiting(conn, row)?;
    }
    Ok(())
}

fn log(
    conn: &Connection,
    which: &ReplayFilter,
    done: Replayed,
    force: bool,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    if done.replayed == 0 {
        return Ok(());
    }
    let object_id = which.id.map_or_else(|| "filter".to_owned(), |id| id.to_string());
    log_change(
        conn,
        &Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: "delivery".to_owned(),
            object_id,
            action: "replay".to_owned(),
            old: None,
            new: Some(json!({
                "filter": which, "force": force,
                "replayed": done.replayed, "passed_over": done.passed_over,
            })),
            reason: actor.reason.clone(),
        },
    )
}
