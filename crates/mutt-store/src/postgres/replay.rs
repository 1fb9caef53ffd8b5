//! Replays: dead deliveries become pending again, under the same id.

use std::collections::BTreeMap;

use mutt_model::delivery::{DeliveryState, NoticeKind};
use mutt_model::{Id, Timestamp};
use serde_json::json;

use super::deliveries::{self, BRIEF};
use super::rules::log_change;
use super::types::Uid;
use super::{Conn, lanes};
use crate::deliveries::{Brief, DEAD, PROBLEM_DEAD, REPLAY_MAX, WAITING};
use crate::store::{Actor, Change, ReplayFilter, Replayed, StoreError};

const OVERTAKEN: &str = "(EXISTS (SELECT 1 FROM key_delivered k
        WHERE k.sink = d.sink AND k.key = d.key AND k.seq > d.seq)
    OR EXISTS (SELECT 1 FROM deliveries l
        WHERE l.sink = d.sink AND l.key = d.key AND l.state = 1 AND l.seq > d.seq))";

pub(super) async fn replay(
    conn: &Conn,
    which: &ReplayFilter,
    force: bool,
    actor: &Actor,
    now: Timestamp,
) -> Result<Replayed, StoreError> {
    // Lanes before keys, as everybody does.
    conn.all("SELECT 1 FROM lanes ORDER BY sink FOR UPDATE", &[]).await?;
    let (found, passed_over) = match which.id {
        Some(id) => (vec![single(conn, id, force).await?], 0),
        None => matching(conn, which, force).await?,
    };
    deliveries::lock(conn, &found).await?;
    let rows = as_they_are(conn, &found).await?;
    again(conn, &rows, now).await?;
    owe_clears(conn, &rows, now).await?;
    let done = Replayed { replayed: rows.len() as u64, passed_over };
    log(conn, which, done, force, actor, now).await?;
    Ok(done)
}

/// The rows once more, now that their keys are locked: what was done with since is left out.
async fn as_they_are(conn: &Conn, found: &[Brief]) -> Result<Vec<Brief>, StoreError> {
    let seqs: Vec<i64> = found.iter().map(|row| row.seq).collect();
    let states: BTreeMap<i64, i64> = found.iter().map(|row| (row.seq, row.state)).collect();
    let sql = format!("SELECT {BRIEF} FROM deliveries WHERE seq = ANY($1) ORDER BY seq");
    let mut rows = deliveries::briefs(&conn.all(&sql, &[&seqs]).await?);
    rows.retain(|row| states.get(&row.seq) == Some(&row.state));
    Ok(rows)
}

async fn single(conn: &Conn, id: Id, force: bool) -> Result<Brief, StoreError> {
    let sql = format!("SELECT {BRIEF}, {OVERTAKEN} FROM deliveries d WHERE id = $1");
    let found = conn
        .opt(&sql, &[&Uid(id)])
        .await?
        .ok_or_else(|| StoreError::NotFound(format!("no delivery has the id {id}")))?;
    let row = deliveries::brief(&found);
    let held = lanes::held(conn, &row.sink).await?.0.is_some();
    if row.state != DEAD && !(row.state == WAITING && held) {
        return Err(StoreError::Conflict(
            "only dead and held deliveries can be replayed".to_owned(),
        ));
    }
    if row.state == DEAD && !force && found.get(9) {
        return Err(StoreError::Conflict(
            "its key has delivered something newer since, or has it on its way; force replays it all the same".to_owned(),
        ));
    }
    Ok(row)
}

/// The rows of a filter and how many were passed over before the limit was reached: these never
/// stand in the way of those behind them.
async fn matching(
    conn: &Conn,
    which: &ReplayFilter,
    force: bool,
) -> Result<(Vec<Brief>, u64), StoreError> {
    let limit = i64::try_from(which.limit.unwrap_or(REPLAY_MAX).min(REPLAY_MAX)).unwrap_or(0);
    match which.state.unwrap_or(DeliveryState::Dead) {
        DeliveryState::Dead => dead(conn, which, force, limit).await,
        DeliveryState::Held => {
            let sql = format!(
                "SELECT {BRIEF} FROM deliveries WHERE state = 0 AND ($1::text IS NULL OR sink = $1)
                    AND sink IN (SELECT sink FROM lanes WHERE held_by IS NOT NULL)
                 ORDER BY seq LIMIT $2"
            );
            let rows = conn.all(&sql, &[&which.sink, &limit]).await?;
            Ok((deliveries::briefs(&rows), 0))
        }
        other => Err(StoreError::Conflict(format!(
            "{} deliveries cannot be replayed, only dead and held ones",
            other.name()
        ))),
    }
}

async fn dead(
    conn: &Conn,
    which: &ReplayFilter,
    force: bool,
    limit: i64,
) -> Result<(Vec<Brief>, u64), StoreError> {
    let condition = "d.state = 5 AND ($1::text IS NULL OR d.sink = $1)
        AND ($2::text IS NULL OR d.reason = $2)";
    let sql = format!(
        "SELECT {BRIEF} FROM deliveries d WHERE {condition} AND ($3 OR NOT {OVERTAKEN})
         ORDER BY d.seq LIMIT $4"
    );
    let rows = conn.all(&sql, &[&which.sink, &which.reason, &force, &limit]).await?;
    let rows = deliveries::briefs(&rows);
    if force {
        return Ok((rows, 0));
    }
    let full = i64::try_from(rows.len()).is_ok_and(|n| n == limit);
    let until = rows.last().filter(|_| full).map_or(i64::MAX, |last| last.seq);
    let sql = format!(
        "SELECT COUNT(*) FROM deliveries d WHERE {condition} AND d.seq < $3 AND {OVERTAKEN}"
    );
    let over: i64 = conn.one(&sql, &[&which.sink, &which.reason, &until]).await?.get(0);
    Ok((rows, u64::try_from(over).unwrap_or(0)))
}

/// A clear that was suppressed because its problem was dead is owed again: the problem goes out after
/// all, and would stay open at the sink for ever. Not where the key has a newer problem open that the
/// sink knows: that one would be cleared by it.
async fn owe_clears(conn: &Conn, rows: &[Brief], now: Timestamp) -> Result<(), StoreError> {
    let problems: BTreeMap<(Id, &str), ()> = rows
        .iter()
        .filter(|row| row.state == DEAD && row.kind != NoticeKind::Cleared)
        .map(|row| ((row.alert_id, row.sink.as_str()), ()))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let alerts: Vec<Uid> = problems.keys().map(|(alert, _)| Uid(*alert)).collect();
    let sinks: Vec<&str> = problems.keys().map(|(_, sink)| *sink).collect();
    let sql = format!(
        "SELECT {BRIEF} FROM deliveries d WHERE d.state = 4 AND d.reason = $3
            AND (d.alert_id, d.sink) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
            AND NOT ({OVERTAKEN}
                AND EXISTS (SELECT 1 FROM alerts a WHERE a.key = d.key AND NOT a.cleared))"
    );
    let clears = conn.all(&sql, &[&alerts, &sinks, &PROBLEM_DEAD]).await?;
    again(conn, &deliveries::briefs(&clears), now).await
}

/// Due at once, `retry_for` counts anew. One in a held lane stays held; its lane is probed.
async fn again(conn: &Conn, rows: &[Brief], now: Timestamp) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    conn.run(
        "UPDATE deliveries SET state = 0, due_at = $2, reason = NULL, ended_at = NULL,
            first_attempt_at = NULL WHERE seq = ANY($1)",
        &[&seqs, &now.0],
    )
    .await?;
    deliveries::count_moves(conn, rows.iter().map(|row| (row.sink.as_str(), row.state, WAITING)))
        .await?;
    let mut by_sink: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows {
        by_sink.entry(&row.sink).or_default().push(&row.key);
    }
    for (sink, keys) in by_sink {
        deliveries::rehead(conn, sink, keys).await?;
    }
    let held: Vec<&str> =
        rows.iter().filter(|row| row.state == WAITING).map(|row| row.sink.as_str()).collect();
    lanes::ask_probes(conn, &held).await
}

async fn log(
    conn: &Conn,
    which: &ReplayFilter,
    done: Replayed,
    force: bool,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    if done.replayed == 0 {
        return Ok(());
    }
    let entry = Change {
        id: 0,
        at: now,
        who: actor.name.clone(),
        object: "delivery".to_owned(),
        object_id: which.id.map_or_else(|| "filter".to_owned(), |id| id.to_string()),
        action: "replay".to_owned(),
        old: None,
        new: Some(json!({
            "filter": which, "force": force,
            "replayed": done.replayed, "passed_over": done.passed_over,
        })),
        reason: actor.reason.clone(),
    };
    log_change(conn, &entry).await
}
