//! Which deliveries may go now: heads of their keys, due, in order; what need not go is suppressed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use mutt_model::Timestamp;
use mutt_model::delivery::{HeldBy, NoticeKind};

use super::deliveries::{self, BRIEF};
use super::types::Uid;
use super::{Conn, lanes};
use crate::deliveries::{Brief, COALESCE_MAX, PROBLEM_DEAD, may_coalesce, relief};
use crate::store::StoreError;

/// The statement of [`heads`]. The sum keeps the planner on the index by seq, which ends at the limit.
pub(super) static HEADS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {BRIEF} FROM deliveries WHERE sink = $1 AND state = 0 AND head AND due_at + 0 <= $2
         ORDER BY seq LIMIT $3"
    )
});

/// The statement of [`heads_of`].
pub(super) static HEADS_OF: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {BRIEF} FROM deliveries WHERE sink = $1 AND key = ANY($2) AND state < 3
            AND head AND state = 0 AND due_at <= $3 ORDER BY seq LIMIT $4"
    )
});

/// The first heads of keys, due at `due` or before.
pub(super) async fn heads(
    conn: &Conn,
    sink: &str,
    limit: i64,
    due: i64,
) -> Result<Vec<Brief>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    Ok(deliveries::briefs(&conn.all(&HEADS, &[&sink, &due, &limit]).await?))
}

/// The heads of keys that are locked: as they are, and as they stay.
pub(super) async fn heads_of(
    conn: &Conn,
    sink: &str,
    keys: &[&str],
    limit: i64,
    due: i64,
) -> Result<Vec<Brief>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    Ok(deliveries::briefs(&conn.all(&HEADS_OF, &[&sink, &keys, &due, &limit]).await?))
}

/// Suppresses what need not go, starting at these heads; the states that these had. When there are any,
/// keys have other heads now. The caller counts them.
pub(super) async fn relieve(
    conn: &Conn,
    sink: &str,
    heads: &[Brief],
    coalesce: bool,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
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
        return Ok(Vec::new());
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
    Ok(over.iter().map(|(row, _)| row.state).collect())
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
