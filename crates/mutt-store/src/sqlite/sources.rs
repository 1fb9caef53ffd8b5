//! Sources on SQLite. The store belongs to one process, so that the watch needs no lease.

use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::source::quiet::{Mark, QuietPolicy, Watched};
use mutt_model::source::{SeenSource, SourceDelta, SourceKey, Told};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::read::{collect, wrong_cursor};
use super::rules::log_change;
use super::totals::unsigned;
use crate::sources::{SourceRow, facts_of, like, micros, place_of, policy_params};
use crate::store::{
    Actor, Page, SourceAct, SourceCounts, SourceQuery, SourceState, SourceStore, SourceWatch,
    StoreError,
};

fn load(conn: &Connection, key: &SourceKey) -> Result<Option<SourceRow>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT listener, heard_by, first_seen, last_seen, body, forgotten FROM sources
             WHERE host = ?1 AND peer = ?2",
        )?
        .query_row((&key.host, &key.peer), |row| {
            let row = (
                SourceRow {
                    listener: row.get(0)?,
                    heard_by: row.get(1)?,
                    first_seen: row.get(2)?,
                    last_seen: row.get(3)?,
                    forgotten: row.get(5)?,
                    ..SourceRow::default()
                },
                row.get::<_, String>(4)?,
            );
            Ok(row)
        })
        .optional()?;
    let Some((mut row, body)) = found else { return Ok(None) };
    row.facts = facts_of(key, &body);
    Ok(Some(row))
}

fn add(
    conn: &Connection,
    heard_by: &str,
    delta: &SourceDelta,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut row = load(conn, &delta.key)?.unwrap_or_default();
    row.add(heard_by, delta, now);
    conn.prepare_cached(
        "INSERT INTO sources (host, peer, listener, heard_by, first_seen, last_seen, usual_gap,
            pending, unparsed, body, reported_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (host, peer) DO UPDATE SET (listener, heard_by, first_seen, last_seen,
            usual_gap, pending, unparsed, body, reported_at, forgotten)
            = (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)",
    )?
    .execute(params![
        delta.key.host,
        delta.key.peer,
        row.listener,
        row.heard_by,
        row.first_seen,
        row.last_seen,
        row.usual_gap(),
        row.facts.is_pending(),
        row.unparsed(),
        serde_json::to_string(&row.facts)?,
        now.0,
    ])?;
    Ok(())
}

const COLUMNS: &str = "host, peer, listener, heard_by, first_seen, last_seen, body, muted, told";

fn seen(row: &Row<'_>) -> Result<SeenSource, StoreError> {
    let key = SourceKey { host: row.get(0)?, peer: row.get(1)? };
    let facts = facts_of(&key, &row.get::<_, String>(6)?);
    Ok(SeenSource {
        key,
        listener: row.get(2)?,
        heard_by: row.get(3)?,
        first_seen: Timestamp(row.get(4)?),
        last_seen: Timestamp(row.get(5)?),
        facts,
        muted: row.get(7)?,
        told: Told::from_number(row.get(8)?),
    })
}

fn list(
    conn: &Connection,
    query: &SourceQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<SeenSource>, StoreError> {
    let after = cursor.map(|cursor| place_of(cursor).ok_or_else(wrong_cursor)).transpose()?;
    let (host, peer) = after.unwrap_or_default();
    let state = query.state.map_or("TRUE", SourceState::condition);
    let sql = format!(
        "SELECT {COLUMNS} FROM sources WHERE forgotten = 0 AND (host, peer) > (?1, ?2) AND {state}
            AND (?3 IS NULL OR host LIKE ?3 ESCAPE '\\' OR peer LIKE ?3 ESCAPE '\\')
            AND (?4 IS NULL OR peer = ?4)
         ORDER BY host, peer"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let q = query.q.as_deref().map(like);
    let mut rows = statement.query(params![host, peer, q, query.relay])?;
    let place =
        |row: &Row<'_>| Ok(format!("{}@{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    collect(&mut rows, limit, place, |row| seen(row).map(Some))
}

fn act(
    conn: &Connection,
    key: &SourceKey,
    act: SourceAct,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let found: Option<(bool, i16)> = conn
        .query_row(
            "SELECT muted, told FROM sources WHERE host = ?1 AND peer = ?2 AND forgotten = 0",
            (&key.host, &key.peer),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((muted, told)) = found else {
        return Err(StoreError::NotFound(format!("no source is called {key}")));
    };
    let sql = match act {
        SourceAct::Mute | SourceAct::Unmute if muted == (act == SourceAct::Mute) => return Ok(()),
        SourceAct::Mute => "UPDATE sources SET muted = 1 WHERE host = ?1 AND peer = ?2",
        SourceAct::Unmute => "UPDATE sources SET muted = 0 WHERE host = ?1 AND peer = ?2",
        SourceAct::Forget if told == 0 => "DELETE FROM sources WHERE host = ?1 AND peer = ?2",
        SourceAct::Forget => "UPDATE sources SET forgotten = 1 WHERE host = ?1 AND peer = ?2",
    };
    conn.execute(sql, (&key.host, &key.peer))?;
    log_change(conn, &act.change(key, actor, now))
}

fn watch(
    conn: &Connection,
    policy: &QuietPolicy,
    now: Timestamp,
) -> Result<SourceWatch, StoreError> {
    let (factor, floor, history) = policy_params(policy);
    let mut statement = conn.prepare_cached(
        "SELECT host, peer, listener, heard_by, first_seen, last_seen, usual_gap, excused, muted,
            forgotten, told, told_last
         FROM sources WHERE told <> 0 OR forgotten <> 0 OR peer IN (SELECT peer FROM sources
            WHERE told = 0 AND muted = 0 AND last_seen > 0 AND last_seen - first_seen >= ?4
                AND last_seen < ?1 - ?3 AND last_seen + MAX(?2 * usual_gap, ?3) < ?1)
            OR peer IN (SELECT peer FROM sources WHERE told <> 0)",
    )?;
    let sources = statement
        .query_map((now.0, factor, floor, history), |row| {
            Ok(Watched {
                key: SourceKey { host: row.get(0)?, peer: row.get(1)? },
                listener: row.get(2)?,
                heard_by: row.get(3)?,
                first_seen: Timestamp(row.get(4)?),
                last_seen: Timestamp(row.get(5)?),
                usual_gap: Duration::from_micros(unsigned(row.get(6)?)),
                excused: Timestamp(row.get(7)?),
                muted: row.get(8)?,
                forgotten: row.get(9)?,
                told: Told::from_number(row.get(10)?),
                told_last: Timestamp(row.get(11)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let newest: i64 = conn
        .prepare_cached("SELECT COALESCE(MAX(last_seen), 0) FROM sources")?
        .query_row([], |row| row.get(0))?;
    Ok(SourceWatch { now, sources, newest: Timestamp(newest) })
}

fn mark(conn: &Connection, mark: &Mark) -> Result<(), StoreError> {
    let key = &mark.key;
    if mark.remove {
        // It may have been heard meanwhile: then it is a new one.
        conn.prepare_cached("DELETE FROM sources WHERE host = ?1 AND peer = ?2 AND forgotten = 1")?
            .execute((&key.host, &key.peer))?;
    }
    conn.prepare_cached(
        "UPDATE sources SET told = ?3, told_last = ?4, excused = MAX(excused, ?5)
         WHERE host = ?1 AND peer = ?2",
    )?
    .execute((
        &key.host,
        &key.peer,
        mark.told.number(),
        mark.told_last.0,
        mark.excused.unwrap_or_default().0,
    ))?;
    Ok(())
}

/// The oldest that may go: those not heard since, and those beyond the number.
fn tidy(conn: &Connection, before: i64, most: u64) -> Result<u64, StoreError> {
    let all: i64 = conn.query_row("SELECT COUNT(*) FROM sources", [], |row| row.get(0))?;
    let beyond = unsigned(all).saturating_sub(most);
    let beyond = i64::try_from(beyond).unwrap_or(i64::MAX);
    // What was never heard is as old as its last report.
    let oldest = "SELECT host, peer FROM sources WHERE MAX(last_seen, reported_at) < ?1
        UNION SELECT host, peer FROM (SELECT host, peer FROM sources
            ORDER BY MAX(last_seen, reported_at) LIMIT ?2)";
    conn.execute(
        &format!(
            "UPDATE sources SET forgotten = 1
             WHERE told <> 0 AND forgotten = 0 AND (host, peer) IN ({oldest})"
        ),
        (before, beyond),
    )?;
    let gone = conn.execute(
        &format!("DELETE FROM sources WHERE told = 0 AND (host, peer) IN ({oldest})"),
        (before, beyond),
    )?;
    Ok(gone as u64)
}

#[async_trait]
impl SourceStore for SqliteStore {
    async fn report_sources(
        &self,
        heard_by: &str,
        deltas: Vec<SourceDelta>,
    ) -> Result<(), StoreError> {
        let (heard_by, now) = (heard_by.to_owned(), self.clock.wall());
        self.write("report sources", move |w| {
            deltas.iter().try_for_each(|delta| add(&w.conn, &heard_by, delta, now))
        })
        .await
    }

    async fn sources(
        &self,
        query: &SourceQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SeenSource>, StoreError> {
        let (query, cursor) = (query.clone(), cursor.map(str::to_owned));
        self.search("read sources", move |conn| list(conn, &query, limit, cursor.as_deref())).await
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<SeenSource>, StoreError> {
        let key = key.clone();
        self.read("read a source", move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM sources WHERE host = ?1 AND peer = ?2 AND forgotten = 0"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query((&key.host, &key.peer))?;
            rows.next()?.map(seen).transpose()
        })
        .await
    }

    async fn source_counts(&self) -> Result<SourceCounts, StoreError> {
        self.read("count sources", |conn| {
            let count = |row: &Row<'_>, at: usize| row.get::<_, i64>(at).map(unsigned);
            Ok(conn.query_row(
                "SELECT COUNT(*), COUNT(*) FILTER (WHERE told <> 0),
                    COUNT(*) FILTER (WHERE pending <> 0), COUNT(*) FILTER (WHERE muted <> 0),
                    COUNT(*) FILTER (WHERE unparsed > 0) FROM sources WHERE forgotten = 0",
                [],
                |row| {
                    Ok(SourceCounts {
                        all: count(row, 0)?,
                        quiet: count(row, 1)?,
                        pending: count(row, 2)?,
                        muted: count(row, 3)?,
                        unparsed: count(row, 4)?,
                    })
                },
            )?)
        })
        .await
    }

    async fn act_on_source(
        &self,
        key: &SourceKey,
        what: SourceAct,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, actor) = (key.clone(), actor.clone());
        self.write("change a source", move |w| act(&w.conn, &key, what, &actor, now)).await
    }

    async fn watch_sources(
        &self,
        _: &str,
        _: Duration,
        policy: &QuietPolicy,
    ) -> Result<Option<SourceWatch>, StoreError> {
        let (policy, now) = (*policy, self.clock.wall());
        self.search("watch sources", move |conn| watch(conn, &policy, now).map(Some)).await
    }

    async fn mark_sources(&self, marks: Vec<Mark>) -> Result<(), StoreError> {
        self.write("mark sources", move |w| marks.iter().try_for_each(|m| mark(&w.conn, m))).await
    }

    async fn tidy_sources(&self, keep: Duration, most: u64) -> Result<u64, StoreError> {
        let before = self.clock.wall().0.saturating_sub(micros(keep));
        self.write("tidy sources", move |w| tidy(&w.conn, before, most)).await
    }
}
