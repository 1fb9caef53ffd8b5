//! A Forwarder's turn: what ended is recorded and what may go is leased, in one transaction of few ways
//! to the server.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use mutt_model::Timestamp;
use mutt_model::delivery::{Delivery, Finished, HeldBy};
use tokio_postgres::Row;

use super::deliveries::{self, COLUMNS, LEASED_OF, held_by};
use super::ends::Ends;
use super::lanes::{CHECK, Report};
use super::take::{self, HEADS, HEADS_OF};
use super::{Conn, PostgresStore, locks};
use crate::deliveries::{Brief, LEASED, ROUNDS_MAX, SUPPRESSED};
use crate::store::{LaneReport, SinkLease, StoreError, Take};

/// What one transaction did.
struct Round {
    /// Rows of [`COLUMNS`] that are leased now.
    taken: Vec<Row>,
    /// Whether something was suppressed, so that other heads may stand now.
    relieved: bool,
}

pub(super) async fn turn(
    store: &PostgresStore,
    lease: &SinkLease,
    mut finished: &[Finished],
    report: &LaneReport,
    take: Take,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    for _ in 0..ROUNDS_MAX {
        let conn = store.conn("record attempts and take deliveries").await?;
        let round = match round(&conn, lease, finished, report, take, now).await {
            Ok(round) => round,
            Err(error) => return Err(conn.refuse(error).await),
        };
        // What was taken is read while the commit is flushed; if that fails it is taken anew.
        let (committed, taken) =
            futures_util::future::join(conn.commit(), deliveries::load(&conn, &round.taken)).await;
        committed?;
        // Locks of keys are taken once in a transaction: other keys come with the next one.
        if !round.taken.is_empty() || !round.relieved {
            return taken;
        }
        finished = &[];
    }
    Ok(Vec::new())
}

async fn round(
    conn: &Conn,
    lease: &SinkLease,
    finished: &[Finished],
    report: &LaneReport,
    take: Take,
    now: Timestamp,
) -> Result<Round, StoreError> {
    let sink = lease.sink.as_str();
    let limit = i64::try_from(take.limit).unwrap_or(i64::MAX);
    conn.ready(&[CHECK, &LEASED_OF, &HEADS]).await?;
    let (begun, lane, leased, found) = futures_util::future::join4(
        conn.begin(),
        Report::check(conn, lease),
        deliveries::leased(conn, sink, finished.iter().map(|one| one.delivery)),
        take::heads(conn, sink, limit, now.0),
    )
    .await;
    begun?;
    // In the order in which they were sent: of several failures the first is the cause.
    let (mut lane, leased, mut found, mut due) = (lane?, leased?, found?, now.0);
    let ends = Ends::of(finished, leased, &mut lane)?;
    lane.set_breaker(&report.breaker);
    let mut probing = false;
    match held_by(lane.held_by) {
        None => {}
        Some(HeldBy::Fault) if lane.probe && limit > 0 => {
            (probing, due) = (true, i64::MAX);
            found = take::heads(conn, sink, 1, due).await?;
        }
        Some(_) => found.clear(),
    }
    let limit = if probing { 1 } else { limit };
    if found.is_empty() && ends.moved.is_empty() {
        lane.save(conn).await?;
        return Ok(Round { taken: Vec::new(), relieved: false });
    }
    let looks = held_by(lane.held_by).is_none() || probing;
    let keys: BTreeSet<&str> =
        found.iter().map(|row| row.key.as_str()).chain(ends.keys()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut taken =
        lock_and_write(conn, sink, &ends, &keys, if looks { limit } else { 0 }, due).await?;
    let mut over = Vec::new();
    if probing {
        if !taken.is_empty() {
            lane.take_probe();
        }
    } else {
        over = until_all_may_go(conn, sink, &keys, &mut taken, take, limit, now).await?;
    }
    let moves = taken.iter().map(|row| (row.sink.as_str(), row.state, LEASED));
    let over_moves = over.iter().map(|from| (sink, *from, SUPPRESSED));
    conn.ready(&[&LEASE]).await?;
    // All are counted at once, at the end: rows of counts are locked in one order by everybody.
    let (taken, counted, saved) = futures_util::future::join3(
        lease_rows(conn, &taken),
        deliveries::count_moves(conn, ends.moves().chain(over_moves).chain(moves)),
        lane.save(conn),
    )
    .await;
    let taken = taken?;
    counted?;
    saved?;
    Ok(Round { taken, relieved: !over.is_empty() })
}

/// Suppresses what need not go of these keys, until their heads are such as may go; the states that
/// these had. Where that takes too many rounds nothing goes before the next transaction.
async fn until_all_may_go(
    conn: &Conn,
    sink: &str,
    keys: &[&str],
    taken: &mut Vec<Brief>,
    take: Take,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    let mut over = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let suppressed = take::relieve(conn, sink, taken, take.coalesce, now).await?;
        if suppressed.is_empty() {
            return Ok(over);
        }
        over.extend(suppressed);
        *taken = take::heads_of(conn, sink, keys, limit, now.0).await?;
    }
    taken.clear();
    Ok(over)
}

/// Locks these keys, writes what ended and looks for what may go: sent as one, in this order.
async fn lock_and_write(
    conn: &Conn,
    sink: &str,
    ends: &Ends,
    keys: &[&str],
    limit: i64,
    due: i64,
) -> Result<Vec<Brief>, StoreError> {
    conn.ready(&[locks::SHARED, locks::EACH, locks::ALL, &HEADS_OF]).await?;
    conn.ready(&Ends::STATEMENTS).await?;
    let (locked, written, heads) = futures_util::future::join3(
        locks::keys(conn, keys.iter().copied()),
        ends.write(conn, sink),
        take::heads_of(conn, sink, keys, limit, due),
    )
    .await;
    locked?;
    written?;
    heads
}

static LEASE: LazyLock<String> = LazyLock::new(|| {
    format!("UPDATE deliveries d SET state = 1 WHERE d.seq = ANY($1) RETURNING {COLUMNS}")
});

async fn lease_rows(conn: &Conn, rows: &[Brief]) -> Result<Vec<Row>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let mut rows = conn.all(&LEASE, &[&seqs]).await?;
    rows.sort_unstable_by_key(|row| row.get::<_, i64>(0));
    Ok(rows)
}
