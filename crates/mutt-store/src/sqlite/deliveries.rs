//! Deliveries: the rows, leases of sinks, attempts and what follows from them.

use std::time::Duration;

use async_trait::async_trait;
use mutt_model::audit::event_json;
use mutt_model::delivery::{
    Attempt, Delivery, DeliveryState, Finished, Lane, Next, Notice, NoticeKind,
};
use mutt_model::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::engine::Writer;
use super::totals::unsigned;
use super::{SqliteStore, audit, lanes, replay, take};
pub(super) use crate::deliveries::{Brief, DEAD, DELIVERED, LEASED, SUPPRESSED, WAITING};
use crate::deliveries::{kind, kind_number};
use crate::store::{
    Actor, DeliveryStore, LaneReport, ReplayFilter, Replayed, SinkLease, StoreError, Take,
};

pub(super) struct NewDelivery<'a> {
    pub(super) seq: i64,
    pub(super) id: Id,
    pub(super) sink: &'a str,
    pub(super) key: &'a str,
    pub(super) kind: NoticeKind,
    pub(super) now: Timestamp,
    pub(super) alert_id: Id,
    pub(super) event_id: Option<Id>,
    pub(super) alert: &'a str,
}

/// A new one waits; it is the head of its key when no other of it is unfinished.
pub(super) fn insert(conn: &Connection, new: &NewDelivery<'_>) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO deliveries (seq, id, sink, key, kind, state, head, attempts, stands_for,
            created_at, due_at, alert_id, event_id, alert)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, NOT EXISTS (SELECT 1 FROM deliveries
                WHERE sink = ?3 AND key = ?4 AND state < 3), 0, 1, ?6, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        new.seq,
        new.id.0.as_slice(),
        new.sink,
        new.key,
        kind_number(new.kind),
        new.now.0,
        new.alert_id.0.as_slice(),
        new.event_id.as_ref().map(|id| id.0.as_slice()),
        new.alert,
    ))?;
    Ok(())
}

/// While nothing can leave, a repeat becomes part of the repeat of its alert that waits last in its
/// key, untried: that one tells the newest and carries the count. So an outage of a sink costs a row
/// for each problem, not one for each event. False when there is none.
pub(super) fn join_waiting(conn: &Connection, new: &NewDelivery<'_>) -> rusqlite::Result<bool> {
    if new.kind != NoticeKind::Repeated {
        return Ok(false);
    }
    let last = briefs(
        conn,
        "sink = ?1 AND key = ?2 AND state < 3 ORDER BY seq DESC LIMIT 1",
        (new.sink, new.key),
    )?;
    let Some(last) = last.first().filter(|last| {
        (last.state, last.attempts, last.alert_id) == (WAITING, 0, new.alert_id)
            && last.kind == NoticeKind::Repeated
    }) else {
        return Ok(false);
    };
    conn.prepare_cached(
        "UPDATE deliveries SET alert = ?2, event_id = ?3, stands_for = stands_for + 1
         WHERE seq = ?1",
    )?
    .execute((last.seq, new.alert, new.event_id.as_ref().map(|id| id.0.as_slice())))?;
    Ok(true)
}

/// What was joined was made and ended suppressed (coalesced) at once: in the ledger, without rows.
pub(super) fn count_joined(conn: &Connection, sink: &str, by: i64) -> rusqlite::Result<()> {
    if by > 0 {
        conn.prepare_cached(
            "INSERT INTO delivery_counts VALUES (?1, ?2, 0, ?3)
             ON CONFLICT DO UPDATE SET removed = removed + ?3",
        )?
        .execute((sink, SUPPRESSED, by))?;
    }
    Ok(())
}

/// Keeps the number of rows of a sink in a state.
pub(super) fn count(conn: &Connection, sink: &str, state: i64, by: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO delivery_counts VALUES (?1, ?2, ?3, 0)
         ON CONFLICT DO UPDATE SET n = n + ?3",
    )?
    .execute((sink, state, by))?;
    Ok(())
}

const BRIEF: &str = "seq, id, sink, key, kind, state, alert_id, attempts, stands_for";

fn brief_row(row: &Row<'_>) -> rusqlite::Result<Brief> {
    Ok(Brief {
        seq: row.get(0)?,
        id: audit::id(row, 1)?,
        sink: row.get(2)?,
        key: row.get(3)?,
        kind: kind(row.get(4)?),
        state: row.get(5)?,
        alert_id: audit::id(row, 6)?,
        attempts: row.get(7)?,
        stands_for: row.get(8)?,
    })
}

/// Briefs by a condition, with its parameters.
pub(super) fn briefs(
    conn: &Connection,
    condition: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Brief>> {
    conn.prepare_cached(&format!("SELECT {BRIEF} FROM deliveries WHERE {condition}"))?
        .query_map(params, brief_row)?
        .collect()
}

pub(super) fn brief(conn: &Connection, id: Id) -> rusqlite::Result<Option<Brief>> {
    Ok(briefs(conn, "id = ?1", [id.0.as_slice()])?.pop())
}

/// Moves a row to a live state (waiting, leased).
pub(super) fn set_state(conn: &Connection, row: &Brief, state: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE deliveries SET state = ?2 WHERE seq = ?1")?
        .execute((row.seq, state))?;
    count(conn, &row.sink, row.state, -1)?;
    count(conn, &row.sink, state, 1)
}

/// Ends a row and lets the next of its key go.
pub(super) fn end(
    conn: &Connection,
    row: &Brief,
    state: i64,
    reason: Option<&str>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE deliveries SET state = ?2, reason = ?3, ended_at = ?4, head = 0 WHERE seq = ?1",
    )?
    .execute((row.seq, state, reason, at.0))?;
    count(conn, &row.sink, row.state, -1)?;
    count(conn, &row.sink, state, 1)?;
    if state == DELIVERED {
        conn.prepare_cached(
            "INSERT INTO key_delivered VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET seq = MAX(seq, ?3)",
        )?
        .execute((&row.sink, &row.key, row.seq))?;
    }
    rehead(conn, &row.sink, &row.key)
}

/// The head of a key is its first unfinished delivery; while one is leased no other may go.
pub(super) fn rehead(conn: &Connection, sink: &str, key: &str) -> rusqlite::Result<()> {
    let first: Option<(i64, i64, bool)> = conn
        .prepare_cached(
            "SELECT seq, state, head FROM deliveries WHERE sink = ?1 AND key = ?2 AND state < 3
             ORDER BY state = 1 DESC, seq LIMIT 1",
        )?
        .query_row((sink, key), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, state, head)) = first else { return Ok(()) };
    conn.prepare_cached(
        "UPDATE deliveries SET head = 0
         WHERE sink = ?1 AND key = ?2 AND state < 3 AND head = 1 AND seq <> ?3",
    )?
    .execute((sink, key, seq))?;
    if !head && state == WAITING {
        conn.prepare_cached("UPDATE deliveries SET head = 1 WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(())
}

/// Removes ended deliveries (the dead, or all others) with their attempts, oldest first; what they
/// counted stays in the ledger.
pub(super) fn remove_ended(
    conn: &Connection,
    dead: bool,
    before: Timestamp,
    limit: i64,
) -> rusqlite::Result<u64> {
    conn.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone (seq INTEGER PRIMARY KEY)")?;
    conn.prepare_cached("DELETE FROM temp.gone")?.execute([])?;
    conn.prepare_cached(
        "INSERT INTO temp.gone SELECT seq FROM deliveries WHERE state >= 3
         AND (state = 5) = ?1 AND ended_at < ?2 ORDER BY ended_at LIMIT ?3",
    )?
    .execute((dead, before.0, limit))?;
    conn.prepare_cached(
        "UPDATE delivery_counts SET (n, removed) = (n - g.c, removed + g.c) FROM
         (SELECT sink, state, COUNT(*) AS c FROM deliveries
          WHERE seq IN (SELECT seq FROM temp.gone) GROUP BY sink, state) AS g
         WHERE delivery_counts.sink = g.sink AND delivery_counts.state = g.state",
    )?
    .execute([])?;
    conn.prepare_cached("DELETE FROM attempts WHERE delivery_seq IN (SELECT seq FROM temp.gone)")?
        .execute([])?;
    conn.prepare_cached("DELETE FROM deliveries WHERE seq IN (SELECT seq FROM temp.gone)")?
        .execute([])
        .map(|gone| gone as u64)
}

/// The columns that [`from_row`] reads.
pub(super) const COLUMNS: &str = "d.seq, d.id, d.sink, d.key, d.kind, d.state, d.reason, \
    d.attempts, d.stands_for, d.created_at, d.due_at, d.first_attempt_at, d.ended_at, d.event_id, \
    d.alert, EXISTS (SELECT 1 FROM lanes l WHERE l.sink = d.sink AND l.held_by IS NOT NULL) AS held";

/// The state of a row of [`COLUMNS`].
pub(super) fn state(row: &Row<'_>) -> rusqlite::Result<DeliveryState> {
    Ok(match row.get::<_, i64>(5)? {
        WAITING if row.get(15)? => DeliveryState::Held,
        WAITING => DeliveryState::Pending,
        LEASED => DeliveryState::Leased,
        DELIVERED => DeliveryState::Delivered,
        SUPPRESSED => DeliveryState::Suppressed,
        _ => DeliveryState::Dead,
    })
}

/// Reads the columns of [`COLUMNS`]; the event comes from the audit, while it is kept there.
pub(super) fn from_row(conn: &Connection, row: &Row<'_>) -> Result<Delivery, StoreError> {
    let event = match audit::opt_id(row, 13)? {
        Some(id) => audit::by_id(conn, id)?.map(|e| event_json(&e.event, Some(&e.judgement))),
        None => None,
    };
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|t| t.map(Timestamp));
    let alert: String = row.get(14)?;
    Ok(Delivery {
        id: audit::id(row, 1)?,
        sink: row.get(2)?,
        seq: row.get(0)?,
        key: row.get(3)?,
        notice: Notice {
            kind: kind(row.get(4)?),
            alert: serde_json::from_str(&alert)?,
            event,
            stands_for: unsigned(row.get(8)?),
        },
        state: state(row)?,
        reason: row.get(6)?,
        attempts: row.get(7)?,
        created_at: Timestamp(row.get(9)?),
        due_at: Timestamp(row.get(10)?),
        first_attempt_at: time(11)?,
        ended_at: time(12)?,
    })
}

pub(super) fn load(conn: &Connection, id: Id) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.0.as_slice()])?;
    rows.next()?.map(|row| from_row(conn, row)).transpose()
}

pub(super) fn attempts(conn: &Connection, seq: i64) -> Result<Vec<Attempt>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT body FROM attempts WHERE delivery_seq = ?1 ORDER BY n")?;
    let mut rows = statement.query([seq])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        attempts.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(attempts)
}

fn finish(
    conn: &Connection,
    lease: &SinkLease,
    finished: &[Finished],
    report: &LaneReport,
) -> Result<(), StoreError> {
    lanes::check(conn, lease)?;
    for one in finished {
        let row = brief(conn, one.delivery)?;
        // Nothing but what this lease took is changed.
        let Some(row) = row.filter(|r| r.state == LEASED && r.sink == lease.sink) else { continue };
        record(conn, &row, one)?;
    }
    lanes::set_breaker(conn, &lease.sink, &report.breaker)
}

fn record(conn: &Connection, row: &Brief, one: &Finished) -> Result<(), StoreError> {
    let attempt = &one.attempt;
    let over = attempt.at.plus(Duration::from_millis(attempt.latency_ms));
    conn.prepare_cached("INSERT INTO attempts (delivery_seq, body) VALUES (?1, ?2)")?
        .execute((row.seq, serde_json::to_string(attempt)?))?;
    // `retry_for` counts from here: a fault of the lane uses none of it up.
    let first = (!matches!(one.next, Next::HoldLane(_))).then_some(attempt.at.0);
    conn.prepare_cached(
        "UPDATE deliveries SET attempts = attempts + 1,
            first_attempt_at = COALESCE(first_attempt_at, ?2) WHERE seq = ?1",
    )?
    .execute((row.seq, first))?;
    if one.next != Next::Delivered {
        lanes::note_error(conn, &row.sink, &attempt.detail, over)?;
    }
    match &one.next {
        Next::Delivered => {
            end(conn, row, DELIVERED, None, over)?;
            lanes::note_ok(conn, &row.sink, over)?;
        }
        Next::RetryAt(at) => {
            conn.prepare_cached("UPDATE deliveries SET due_at = ?2 WHERE seq = ?1")?
                .execute((row.seq, at.0))?;
            back_to_waiting(conn, row)?;
        }
        Next::HoldLane(why) => {
            back_to_waiting(conn, row)?;
            lanes::hold_by_fault(conn, &row.sink, why, over)?;
        }
        Next::Dead(reason) => end(conn, row, DEAD, Some(reason.name()), over)?,
    }
    Ok(())
}

pub(super) fn back_to_waiting(conn: &Connection, row: &Brief) -> rusqlite::Result<()> {
    set_state(conn, row, WAITING)?;
    rehead(conn, &row.sink, &row.key)
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn lease_sink(
        &self,
        sink: &str,
        owner: &str,
        ttl: Duration,
        fresh: bool,
    ) -> Result<Option<SinkLease>, StoreError> {
        let (sink, owner, clock) = (sink.to_owned(), owner.to_owned(), self.clock.clone());
        self.write("lease a sink", move |w| {
            lanes::lease(&w.conn, &sink, &owner, ttl, fresh, clock.wall())
        })
        .await
    }

    async fn turn(
        &self,
        lease: &SinkLease,
        finished: Vec<Finished>,
        report: LaneReport,
        take: Take,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let lease = lease.clone();
        self.write("record attempts and take deliveries", move |w| {
            finish(&w.conn, &lease, &finished, &report)?;
            if take.limit == 0 {
                return Ok(Vec::new());
            }
            take::due(&w.conn, &lease, take.limit, take.coalesce, now)
        })
        .await
    }

    async fn next_due(&self, sink: &str) -> Result<Option<Timestamp>, StoreError> {
        let sink = sink.to_owned();
        self.read("look for deliveries", move |conn| take::next_due(conn, &sink)).await
    }

    async fn give_back(&self, lease: &SinkLease, deliveries: &[Id]) -> Result<(), StoreError> {
        let (lease, ids) = (lease.clone(), deliveries.to_vec());
        self.write("give deliveries back", move |w| {
            lanes::check(&w.conn, &lease)?;
            for id in ids {
                let row = brief(&w.conn, id)?;
                if let Some(row) = row.filter(|r| r.state == LEASED && r.sink == lease.sink) {
                    back_to_waiting(&w.conn, &row)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        let now = self.clock.wall();
        self.read("read the lanes", move |conn| lanes::all(conn, now)).await
    }

    async fn declare_sinks(&self, sinks: &[String]) -> Result<(), StoreError> {
        let sinks = sinks.to_vec();
        self.write("declare sinks", move |w| {
            sinks.iter().try_for_each(|sink| lanes::declare(&w.conn, sink))
        })
        .await
    }

    async fn hold_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError> {
        let (sink, actor, now) = (sink.to_owned(), actor.clone(), self.clock.wall());
        let lane =
            self.write("hold a lane", move |w| lanes::hold(&w.conn, &sink, &actor, now)).await?;
        self.signals.settings.ring();
        Ok(lane)
    }

    async fn release_lane(&self, sink: &str, actor: &Actor) -> Result<Lane, StoreError> {
        let (sink, actor, now) = (sink.to_owned(), actor.clone(), self.clock.wall());
        let release = move |w: &mut Writer| lanes::release(&w.conn, &sink, &actor, now);
        let lane = self.write("release a lane", release).await?;
        self.signals.settings.ring();
        self.signals.deliveries.ring();
        Ok(lane)
    }

    async fn ask_probe(&self, sink: &str) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        self.write("ask for a probe", move |w| lanes::ask_probe(&w.conn, &sink)).await
    }

    async fn replay(
        &self,
        which: ReplayFilter,
        force: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Replayed, StoreError> {
        let actor = actor.clone();
        let replay = move |w: &mut Writer| replay::replay(&w.conn, &which, force, &actor, now);
        let done = self.write("replay", replay).await?;
        if done.replayed > 0 {
            self.signals.deliveries.ring();
        }
        Ok(done)
    }
}
