//! Deliveries on PostgreSQL: rows by the set, and what is asked of them.
//!
//! Whoever changes deliveries of a key holds its lock ([`super::locks`]); whoever also changes the lane
//! locks its row first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::audit::event_json;
use mutt_model::delivery::{Attempt, Delivery, DeliveryState, Finished, HeldBy, Lane, Notice};
use mutt_model::{Id, Timestamp};
use tokio_postgres::Row;

use super::lanes::{self, Report};
use super::transaction::transaction;
use super::types::Uid;
use super::{Conn, NO_SHARD, PostgresStore, audit, counts, locks, replay, signal, take, turn};
use crate::deliveries::{Brief, DELIVERED, LEASED, SUPPRESSED, WAITING, kind};
use crate::store::{
    Actor, DeliveryStore, LaneReport, ReplayFilter, Replayed, SinkLease, StoreError, Take,
};

/// A state as the column holds it.
pub(super) fn small(state: i64) -> i16 {
    i16::try_from(state).unwrap_or(0)
}

/// The columns of a [`Brief`].
pub(super) const BRIEF: &str = "seq, id, sink, key, kind, state, alert_id, attempts, stands_for";

pub(super) fn brief(row: &Row) -> Brief {
    Brief {
        seq: row.get(0),
        id: row.get::<_, Uid>(1).0,
        sink: row.get(2),
        key: row.get(3),
        kind: kind(i64::from(row.get::<_, i16>(4))),
        state: i64::from(row.get::<_, i16>(5)),
        alert_id: row.get::<_, Uid>(6).0,
        attempts: row.get(7),
        stands_for: row.get(8),
    }
}

pub(super) fn briefs(rows: &[Row]) -> Vec<Brief> {
    rows.iter().map(brief).collect()
}

/// Takes the locks of the keys of these rows.
pub(super) async fn lock<'a>(
    conn: &Conn,
    rows: impl IntoIterator<Item = &'a Brief>,
) -> Result<(), StoreError> {
    locks::keys(conn, rows.into_iter().map(|row| row.key.as_str())).await
}

/// Counts rows of sinks that have moved from one state to another.
pub(super) async fn count_moves(
    conn: &Conn,
    moves: impl IntoIterator<Item = (&str, i64, i64)>,
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for (sink, from, to) in moves {
        *sums.entry((sink, from)).or_default() -= 1;
        *sums.entry((sink, to)).or_default() += 1;
    }
    let mut changes: Vec<(&str, i16, i64, i64)> =
        sums.iter().map(|((sink, state), by)| (*sink, small(*state), *by, 0)).collect();
    counts::deliveries(conn, NO_SHARD, &mut changes).await
}

pub(super) const REHEAD: &str = "WITH first AS MATERIALIZED (
        SELECT k.key, COALESCE(
            (SELECT l.seq FROM deliveries l
                WHERE l.sink = $1 AND l.state = 1 AND l.key = k.key ORDER BY l.seq LIMIT 1),
            (SELECT w.seq FROM deliveries w
                WHERE w.sink = $1 AND w.key = k.key AND w.state < 3 ORDER BY w.seq LIMIT 1)
        ) AS seq FROM unnest($2::text[]) AS k (key)),
     off AS (
        UPDATE deliveries d SET head = false FROM first f
        WHERE d.sink = $1 AND d.key = f.key AND d.state < 3 AND d.head AND d.seq <> f.seq)
     UPDATE deliveries d SET head = true FROM first f WHERE d.seq = f.seq AND NOT d.head";

/// The head of a key is its first unfinished delivery; while one is leased no other may go.
pub(super) async fn rehead(
    conn: &Conn,
    sink: &str,
    keys: impl IntoIterator<Item = &str>,
) -> Result<(), StoreError> {
    let keys: Vec<&str> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if !keys.is_empty() {
        conn.run(REHEAD, &[&sink, &keys]).await?;
    }
    Ok(())
}

/// Ends rows of one sink, each with its reason, and lets the next of their keys go. Their keys are
/// locked; the caller counts them.
pub(super) async fn suppress(
    conn: &Conn,
    sink: &str,
    rows: &[(&Brief, &'static str)],
    at: Timestamp,
) -> Result<(), StoreError> {
    let seqs: Vec<i64> = rows.iter().map(|(row, _)| row.seq).collect();
    let reasons: Vec<&str> = rows.iter().map(|(_, reason)| *reason).collect();
    conn.run(
        "UPDATE deliveries d SET state = 4, reason = u.reason, ended_at = $3, head = false
         FROM unnest($1::bigint[], $2::text[]) AS u (seq, reason) WHERE d.seq = u.seq",
        &[&seqs, &reasons, &at.0],
    )
    .await?;
    rehead(conn, sink, rows.iter().map(|(row, _)| row.key.as_str())).await
}

/// Leased rows of a sink wait again. Their keys are locked.
pub(super) async fn back_to_waiting(
    conn: &Conn,
    sink: &str,
    rows: &[Brief],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    conn.run("UPDATE deliveries SET state = 0 WHERE seq = ANY($1)", &[&seqs]).await?;
    count_moves(conn, rows.iter().map(|row| (row.sink.as_str(), row.state, WAITING))).await?;
    rehead(conn, sink, rows.iter().map(|row| row.key.as_str())).await
}

/// The statement of [`leased`].
pub(super) static LEASED_OF: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {BRIEF} FROM deliveries WHERE id = ANY($1) AND sink = $2 AND state = 1")
});

/// What this lease has leased of these: nothing else may be changed by it. The lane's row is locked:
/// only its owner moves what is leased, so that it stays as it is.
pub(super) async fn leased(
    conn: &Conn,
    sink: &str,
    ids: impl IntoIterator<Item = Id>,
) -> Result<Vec<Brief>, StoreError> {
    let ids: Vec<Uid> = ids.into_iter().map(Uid).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(briefs(&conn.all(&LEASED_OF, &[&ids, &sink]).await?))
}

/// The columns that [`Loaded`] reads.
pub(super) const COLUMNS: &str = "d.seq, d.id, d.sink, d.key, d.kind, d.state, d.reason, \
    d.attempts, d.stands_for, d.created_at, d.due_at, d.first_attempt_at, d.ended_at, d.event_id, \
    d.alert, EXISTS (SELECT 1 FROM lanes l WHERE l.sink = d.sink AND l.held_by IS NOT NULL) AS held, \
    d.alert_id";

/// The state of a row of [`COLUMNS`].
pub(super) fn state(row: &Row) -> DeliveryState {
    match i64::from(row.get::<_, i16>(5)) {
        WAITING if row.get(15) => DeliveryState::Held,
        WAITING => DeliveryState::Pending,
        LEASED => DeliveryState::Leased,
        DELIVERED => DeliveryState::Delivered,
        SUPPRESSED => DeliveryState::Suppressed,
        _ => DeliveryState::Dead,
    }
}

/// Reads rows of [`COLUMNS`]; the events come from the audit, while they are kept there.
pub(super) async fn load(conn: &Conn, rows: &[Row]) -> Result<Vec<Delivery>, StoreError> {
    let event_id = |row: &Row| row.get::<_, Option<Uid>>(13).map(|id| id.0);
    let events = audit::by_ids(conn, rows.iter().filter_map(event_id)).await?;
    rows.iter()
        .map(|row| {
            let event = event_id(row).and_then(|id| events.get(&id));
            let time = |at: usize| row.get::<_, Option<i64>>(at).map(Timestamp);
            Ok(Delivery {
                id: row.get::<_, Uid>(1).0,
                sink: row.get(2),
                seq: row.get(0),
                key: row.get(3),
                notice: Notice {
                    kind: kind(i64::from(row.get::<_, i16>(4))),
                    alert: serde_json::from_str(row.get(14))?,
                    event: event.map(|e| event_json(&e.event, Some(&e.judgement))),
                    stands_for: u64::try_from(row.get::<_, i64>(8)).unwrap_or(0),
                },
                state: state(row),
                reason: row.get(6),
                attempts: u32::try_from(row.get::<_, i64>(7)).unwrap_or(u32::MAX),
                created_at: Timestamp(row.get(9)),
                due_at: Timestamp(row.get(10)),
                first_attempt_at: time(11),
                ended_at: time(12),
            })
        })
        .collect()
}

pub(super) async fn attempts(conn: &Conn, seq: i64) -> Result<Vec<Attempt>, StoreError> {
    let rows =
        conn.all("SELECT body FROM attempts WHERE delivery_seq = $1 ORDER BY n", &[&seq]).await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

impl PostgresStore {
    /// Tells Forwarders that something may leave; a hint that is lost is found by their period.
    pub(super) async fn ring_deliveries(&self) {
        self.signals.deliveries.ring();
        if let Ok(conn) = self.conn("tell of deliveries").await {
            signal::tell_deliveries(&conn).await;
        }
    }
}

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn lease_sink(
        &self,
        sink: &str,
        owner: &str,
        ttl: Duration,
        fresh: bool,
    ) -> Result<Option<SinkLease>, StoreError> {
        transaction!(self, "lease a sink", |conn| {
            lanes::lease(self, &conn, sink, owner, ttl, fresh).await
        })
    }

    async fn turn(
        &self,
        lease: &SinkLease,
        finished: Vec<Finished>,
        report: LaneReport,
        take: Take,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        turn::turn(self, lease, &finished, &report, take, now).await
    }

    async fn next_due(&self, sink: &str) -> Result<Option<Timestamp>, StoreError> {
        let conn = self.conn("look for deliveries").await?;
        take::next_due(&conn, sink).await
    }

    async fn give_back(&self, lease: &SinkLease, deliveries: &[Id]) -> Result<(), StoreError> {
        transaction!(self, "give deliveries back", |conn| {
            Report::check(&conn, lease).await?;
            let rows = leased(&conn, &lease.sink, deliveries.iter().copied()).await?;
            lock(&conn, &rows).await?;
            back_to_waiting(&conn, &lease.sink, &rows).await
        })
    }

    async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        let conn = self.conn("read the lanes").await?;
        let now = self.now(&conn).await?;
        lanes::all(&conn, None, now).await
    }

    async fn declare_sinks(&self, sinks: &[String]) -> Result<(), StoreError> {
        let conn = self.conn("declare sinks").await?;
        lanes::declare(&conn, sinks).await
    }

    async fn hold_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError> {
        transaction!(self, "hold a lane", |conn| {
            let now = self.now(&conn).await?;
            lanes::hold(&conn, sink, actor, now).await
        })
    }

    async fn release_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError> {
        let lane = transaction!(self, "release a lane", |conn| {
            let now = self.now(&conn).await?;
            lanes::release(&conn, sink, actor, now).await
        })?;
        self.ring_deliveries().await;
        Ok(lane)
    }

    async fn ask_probe(&self, sink: &str) -> Result<(), StoreError> {
        let conn = self.conn("ask for a probe").await?;
        lanes::ask_probes(&conn, &[sink]).await
    }

    async fn replay(
        &self,
        which: ReplayFilter,
        force: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Replayed, StoreError> {
        let done = transaction!(self, "replay", |conn| {
            replay::replay(&conn, &which, force, actor, now).await
        })?;
        if done.replayed > 0 {
            self.ring_deliveries().await;
        }
        Ok(done)
    }
}

/// Who holds a lane, by its column.
pub(super) fn held_by(number: Option<i16>) -> Option<HeldBy> {
    number.map(|n| if n == 1 { HeldBy::Hand } else { HeldBy::Fault })
}
