//! Replays: dead deliveries become pending again, under the same id.

use mutt_model::Timestamp;
use mutt_model::delivery::DeliveryState;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use super::deliveries::{self, Brief, DEAD, WAITING};
use super::lanes;
use super::rules::log_change;
use super::totals::signed;
use crate::store::{Actor, Change, ReplayFilter, Replayed, StoreError};

/// A filter without a limit replays this many in one call.
const REPLAY_MAX: u64 = 10_000;

pub(super) fn replay(
    conn: &Connection,
    which: &ReplayFilter,
    force: bool,
    actor: &Actor,
    now: Timestamp,
) -> Result<Replayed, StoreError> {
    let rows = match which.id {
        Some(id) => {
            let row = deliveries::brief(conn, id)?
                .ok_or_else(|| StoreError::NotFound(format!("no delivery has the id {id}")))?;
            let held = lanes::held(conn, &row.sink)?.0.is_some();
            if row.state != DEAD && !(row.state == WAITING && held) {
                return Err(StoreError::Conflict(
                    "only dead and held deliveries can be replayed".to_owned(),
                ));
            }
            vec![row]
        }
        None => matching(conn, which)?,
    };
    let mut done = Replayed::default();
    for row in rows {
        if row.state == DEAD && !force && is_overtaken(conn, &row)? {
            if which.id.is_some() {
                return Err(StoreError::Conflict(
                    "its key has delivered something newer since; force replays it all the same"
                        .to_owned(),
                ));
            }
            done.passed_over += 1;
            continue;
        }
        again(conn, &row, now)?;
        done.replayed += 1;
    }
    log(conn, which, done, force, actor, now)?;
    Ok(done)
}

fn matching(conn: &Connection, which: &ReplayFilter) -> Result<Vec<Brief>, StoreError> {
    let limit = signed(which.limit.unwrap_or(REPLAY_MAX).min(REPLAY_MAX));
    let rows = match which.state.unwrap_or(DeliveryState::Dead) {
        DeliveryState::Dead => deliveries::briefs(
            conn,
            "state = 5 AND (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR reason = ?2)
             ORDER BY seq LIMIT ?3",
            (&which.sink, &which.reason, limit),
        )?,
        DeliveryState::Held => deliveries::briefs(
            conn,
            "state = 0 AND state < 3 AND (?1 IS NULL OR sink = ?1)
             AND sink IN (SELECT sink FROM lanes WHERE held_by IS NOT NULL) ORDER BY seq LIMIT ?2",
            (&which.sink, limit),
        )?,
        other => {
            return Err(StoreError::Conflict(format!(
                "{} deliveries cannot be replayed, only dead and held ones",
                other.name()
            )));
        }
    };
    Ok(rows)
}

/// Whether its key has delivered something newer since.
fn is_overtaken(conn: &Connection, row: &Brief) -> rusqlite::Result<bool> {
    let newest: Option<i64> = conn
        .prepare_cached("SELECT seq FROM key_delivered WHERE sink = ?1 AND key = ?2")?
        .query_row((&row.sink, &row.key), |row| row.get(0))
        .optional()?;
    Ok(newest.is_some_and(|newest| newest > row.seq))
}

/// Due at once, `retry_for` counts anew. One in a held lane stays held; its lane is probed.
fn again(conn: &Connection, row: &Brief, now: Timestamp) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE deliveries SET due_at = ?2, reason = NULL, ended_at = NULL,
            first_attempt_at = NULL WHERE seq = ?1",
    )?
    .execute((row.seq, now.0))?;
    if row.state == DEAD {
        deliveries::back_to_waiting(conn, row)?;
    } else {
        lanes::ask_probe(conn, &row.sink)?;
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
