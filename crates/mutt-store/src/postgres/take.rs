//! Which deliveries may go now: heads of their keys, due, in order; what need not go is suppressed.

use std::collections::{BTreeMap, BTreeSet};

use mutt_model::Timestamp;
use mutt_model::delivery::{Delivery, HeldBy, NoticeKind};

use super::deliveries::{self, BRIEF, COLUMNS, held_by};
use super::lanes::{self, Report};
use super::transaction::transaction;
use super::types::Uid;
use super::{Conn, PostgresStore};
use crate::deliveries::{
    Brief, COALESCE_MAX, LEASED, PROBLEM_DEAD, ROUNDS_MAX, may_coalesce, relief,
};
use crate::store::{SinkLease, StoreError};

/// What one transaction did.
struct Round {
    taken: Vec<Delivery>,
    /// Whether something was suppressed, so that other heads may stand now.
    relieved: bool,
}

pub(super) async fn due(
    store: &PostgresStore,
    lease: &SinkLease,
    limit: usize,
    coalesce: bool,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    for _ in 0..ROUNDS_MAX {
        let round = transaction!(store, "take deliveries", |conn| {
            round(&conn, lease, limit, coalesce, now).await
        })?;
        // Locks of keys are taken once in a transaction: other keys come with the next one.
        if !round.taken.is_empty() || !round.relieved {
            return Ok(round.taken);
        }
    }
    Ok(Vec::new())
}

async fn round(
    conn: &Conn,
    lease: &SinkLease,
    limit: usize,
    coalesce: bool,
    now: Timestamp,
) -> Result<Round, StoreError> {
    let mut lane = Report::check(conn, lease).await?;
    let (limit, due) = match held_by(lane.held_by) {
        Some(HeldBy::Fault) if lane.probe => (1, i64::MAX),
        Some(_) => return Ok(Round { taken: Vec::new(), relieved: false }),
        None => (i64::try_from(limit).unwrap_or(i64::MAX), now.0),
    };
    let sink = lease.sink.as_str();
    let probing = lane.held_by.is_some();
    let found = heads(conn, sink, limit, due).await?;
    if found.is_empty() {
        return Ok(Round { taken: Vec::new(), relieved: false });
    }
    deliveries::lock(conn, &found).await?;
    let keys: BTreeSet<String> = found.into_iter().map(|row| row.key).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let mut relieved = false;
    let mut taken = heads_of(conn, sink, &keys, limit, due).await?;
    if probing {
        lane.take_probe();
        lane.save(conn).await?;
    } else {
        for _ in 0..ROUNDS_MAX {
            if !relieve(conn, sink, &taken, coalesce, now).await? {
                break;
            }
            relieved = true;
            taken = heads_of(conn, sink, &keys, limit, due).await?;
        }
    }
    Ok(Round { taken: lease_rows(conn, &taken).await?, relieved })
}

async fn heads(conn: &Conn, sink: &str, limit: i64, due: i64) -> Result<Vec<Brief>, StoreError> {
    let sql = format!(
        // The sum keeps the planner on the index by seq, which ends at the limit.
        "SELECT {BRIEF} FROM deliveries WHERE sink = $1 AND state = 0 AND head AND due_at + 0 <= $2
         ORDER BY seq LIMIT $3"
    );
    Ok(deliveries::briefs(&conn.all(&sql, &[&sink, &due, &limit]).await?))
}

/// The heads of keys that are locked: as they are, and as they stay.
async fn heads_of(
    conn: &Conn,
    sink: &str,
    keys: &[String],
    limit: i64,
    due: i64,
) -> Result<Vec<Brief>, StoreError> {
    let sql = format!(
        "SELECT {BRIEF} FROM deliveries WHERE sink = $1 AND key = ANY($2) AND state < 3
            AND head AND state = 0 AND due_at <= $3 ORDER BY seq LIMIT $4"
    );
    Ok(deliveries::briefs(&conn.all(&sql, &[&sink, &keys, &due, &limit]).await?))
}

/// Suppresses what need not go, starting at these heads; true when keys have other heads now.
async fn relieve(
    conn: &Conn,
    sink: &str,
    heads: &[Brief],
    coalesce: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let clears: Vec<&Brief> = heads.iter().filter(|h| h.kind == NoticeKind::Cleared).collect();
    let dead = problems_dead(conn, sink, &clears).await?;
    let mut over: Vec<(&Brief, &'static str)> = clears
        .into_iter()
        .filter(|clear| dead.contains(&clear.seq))
        .map(|clear| (clear, PROBLEM_DEAD))
        .collect();
    let behind = if coalesce { behind(conn, sink, heads).await? } else { BTreeMap::new() };
    let mut newest = (Vec::new(), Vec::new());
    for head in heads {
        let Some(waiting) = behind.get(&head.key) else { continue };
        let relief = relief(head, waiting);
        if let Some((row, stands_for)) = relief.newest {
            newest.0.push(row.seq);
            newest.1.push(stands_for);
        }
        over.extend(relief.over);
    }
    if over.is_empty() {
        return Ok(false);
    }
    if !newest.0.is_empty() {
        conn.run(
            "UPDATE deliveries d SET stands_for = u.stands_for
             FROM unnest($1::bigint[], $2::bigint[]) AS u (seq, stands_for) WHERE d.seq = u.seq",
            &[&newest.0, &newest.1],
        )
        .await?;
    }
    deliveries::suppress(conn, sink, &over, now).await?;
    Ok(true)
}

/// Of these clears the places of those whose sink was never told of the alert and never will be:
/// something of it is dead, nothing of it delivered.
async fn problems_dead(
    conn: &Conn,
    sink: &str,
    clears: &[&Brief],
) -> Result<BTreeSet<i64>, StoreError> {
    if clears.is_empty() {
        return Ok(BTreeSet::new());
    }
    let alerts: Vec<Uid> = clears.iter().map(|row| Uid(row.alert_id)).collect();
    let seqs: Vec<i64> = clears.iter().map(|row| row.seq).collect();
    let rows = conn
        .all(
            "SELECT u.seq FROM unnest($2::uuid[], $3::bigint[]) AS u (alert, seq)
             WHERE NOT EXISTS (SELECT 1 FROM deliveries d
                    WHERE d.alert_id = u.alert AND d.sink = $1 AND d.state = 3)
                AND EXISTS (SELECT 1 FROM deliveries d
                    WHERE d.alert_id = u.alert AND d.sink = $1 AND d.state = 5)",
            &[&sink, &alerts, &seqs],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What waits behind heads that may be coalesced, by key, oldest first.
async fn behind(
    conn: &Conn,
    sink: &str,
    heads: &[Brief],
) -> Result<BTreeMap<String, Vec<Brief>>, StoreError> {
    let heads: Vec<&Brief> = heads.iter().filter(|head| may_coalesce(head)).collect();
    if heads.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: Vec<&str> = heads.iter().map(|row| row.key.as_str()).collect();
    let seqs: Vec<i64> = heads.iter().map(|row| row.seq).collect();
    let sql = format!(
        "SELECT w.* FROM unnest($2::text[], $3::bigint[]) AS h (key, seq) CROSS JOIN LATERAL
            (SELECT {BRIEF} FROM deliveries d WHERE d.sink = $1 AND d.key = h.key AND d.state < 3
                AND d.seq > h.seq ORDER BY d.seq LIMIT {COALESCE_MAX}) w"
    );
    let mut found: BTreeMap<String, Vec<Brief>> =
        keys.iter().map(|key| ((*key).to_owned(), Vec::new())).collect();
    for row in conn.all(&sql, &[&sink, &keys, &seqs]).await? {
        let row = deliveries::brief(&row);
        found.entry(row.key.clone()).or_default().push(row);
    }
    for waiting in found.values_mut() {
        waiting.sort_unstable_by_key(|row| row.seq);
    }
    Ok(found)
}

async fn lease_rows(conn: &Conn, rows: &[Brief]) -> Result<Vec<Delivery>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    conn.run("UPDATE deliveries SET state = 1 WHERE seq = ANY($1)", &[&seqs]).await?;
    deliveries::count_moves(conn, rows.iter().map(|row| (row.sink.as_str(), row.state, LEASED)))
        .await?;
    let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.seq = ANY($1) ORDER BY d.seq");
    deliveries::load(conn, &conn.all(&sql, &[&seqs]).await?).await
}

pub(super) async fn next_due(conn: &Conn, sink: &str) -> Result<Option<Timestamp>, StoreError> {
    let first: Option<i64> = conn
        .one("SELECT MIN(due_at) FROM deliveries WHERE sink = $1 AND state = 0 AND head", &[&sink])
        .await?
        .get(0);
    Ok(match lanes::held(conn, sink).await? {
        (None, _) => first.map(Timestamp),
        // A probe does not wait for backoff.
        (Some(HeldBy::Fault), true) => first.map(|_| Timestamp(0)),
        (Some(_), _) => None,
    })
}
