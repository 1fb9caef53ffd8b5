//! Sources on PostgreSQL: reports of several Ingestors are added up row by row, under the row's lock.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::source::quiet::{Mark, QuietPolicy, Watched};
use mutt_model::source::{SeenSource, SourceDelta, SourceKey, Told};
use tokio_postgres::Row;

use super::rules::log_change;
use super::transaction::transaction;
use super::{Conn, PostgresStore};
use crate::sources::{SourceRow, facts_of, like, micros, place_of, policy_params};
use crate::store::{
    Actor, PAGE_MAX, Page, SourceAct, SourceCounts, SourceQuery, SourceState, SourceStore,
    SourceWatch, StoreError,
};

/// The lease of the watch, beside that of upkeep.
const LEASE: &str = "sources";

/// Keys of a statement, in two columns.
struct Keys<'a> {
    hosts: Vec<&'a str>,
    peers: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(keys: impl Iterator<Item = &'a SourceKey>) -> Self {
        let (hosts, peers) = keys.map(|key| (key.host.as_str(), key.peer.as_str())).unzip();
        Self { hosts, peers }
    }
}

async fn add(
    conn: &Conn,
    heard_by: &str,
    deltas: &BTreeMap<&SourceKey, Vec<&SourceDelta>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    // In the order of the keys, so that two reports never wait for each other.
    let keys = Keys::of(deltas.keys().copied());
    conn.run(
        "INSERT INTO sources (host, peer, listener, heard_by, first_seen, last_seen, usual_gap,
            pending, unparsed, body, reported_at)
         SELECT host, peer, '', '', 0, 0, 0, 0, 0, '', 0 FROM unnest($1::text[], $2::text[])
            AS k (host, peer)
         ON CONFLICT DO NOTHING",
        &[&keys.hosts, &keys.peers],
    )
    .await?;
    let rows = conn
        .all(
            "SELECT host, peer, listener, heard_by, first_seen, last_seen, body, forgotten
             FROM sources WHERE (host, peer) IN (SELECT * FROM unnest($1::text[], $2::text[]))
             ORDER BY host, peer FOR UPDATE",
            &[&keys.hosts, &keys.peers],
        )
        .await?;
    let mut written: Vec<(SourceKey, SourceRow)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = SourceKey { host: row.get(0), peer: row.get(1) };
        let mut known = SourceRow {
            listener: row.get(2),
            heard_by: row.get(3),
            first_seen: row.get(4),
            last_seen: row.get(5),
            forgotten: row.get::<_, i16>(7) != 0,
            ..SourceRow::default()
        };
        known.facts = facts_of(&key, row.get(6));
        for delta in deltas.get(&key).into_iter().flatten() {
            known.add(heard_by, delta, now);
        }
        written.push((key, known));
    }
    let keys = Keys::of(written.iter().map(|(key, _)| key));
    let rows = || written.iter().map(|(_, row)| row);
    let listeners: Vec<&str> = rows().map(|row| row.listener.as_str()).collect();
    let heard: Vec<&str> = rows().map(|row| row.heard_by.as_str()).collect();
    let first: Vec<i64> = rows().map(|row| row.first_seen).collect();
    let last: Vec<i64> = rows().map(|row| row.last_seen).collect();
    let gaps: Vec<i64> = rows().map(SourceRow::usual_gap).collect();
    let pending: Vec<i16> = rows().map(|row| i16::from(row.facts.is_pending())).collect();
    let unparsed: Vec<i64> = rows().map(SourceRow::unparsed).collect();
    let bodies =
        rows().map(|row| serde_json::to_string(&row.facts)).collect::<Result<Vec<_>, _>>()?;
    conn.run(
        "UPDATE sources s SET listener = d.listener, heard_by = d.heard_by,
            first_seen = d.first_seen, last_seen = d.last_seen, usual_gap = d.usual_gap,
            pending = d.pending, unparsed = d.unparsed, body = d.body, reported_at = $11,
            forgotten = 0
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::smallint[], $9::bigint[], $10::text[]) AS d (host, peer, listener,
            heard_by, first_seen, last_seen, usual_gap, pending, unparsed, body)
         WHERE s.host = d.host AND s.peer = d.peer",
        &[
            &keys.hosts,
            &keys.peers,
            &listeners,
            &heard,
            &first,
            &last,
            &gaps,
            &pending,
            &unparsed,
            &bodies,
            &now.0,
        ],
    )
    .await
    .map(drop)
}

const COLUMNS: &str = "host, peer, listener, heard_by, first_seen, last_seen, body, muted, told";

fn seen(row: &Row) -> SeenSource {
    let key = SourceKey { host: row.get(0), peer: row.get(1) };
    let facts = facts_of(&key, row.get(6));
    SeenSource {
        key,
        listener: row.get(2),
        heard_by: row.get(3),
        first_seen: Timestamp(row.get(4)),
        last_seen: Timestamp(row.get(5)),
        facts,
        muted: row.get::<_, i16>(7) != 0,
        told: Told::from_number(row.get(8)),
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn watched(row: &Row) -> Watched {
    let flag = |at: usize| row.get::<_, i16>(at) != 0;
    Watched {
        key: SourceKey { host: row.get(0), peer: row.get(1) },
        listener: row.get(2),
        heard_by: row.get(3),
        first_seen: Timestamp(row.get(4)),
        last_seen: Timestamp(row.get(5)),
        usual_gap: Duration::from_micros(unsigned(row.get(6))),
        excused: Timestamp(row.get(7)),
        muted: flag(8),
        forgotten: flag(9),
        told: Told::from_number(row.get(10)),
        told_last: Timestamp(row.get(11)),
    }
}

async fn act(
    conn: &Conn,
    key: &SourceKey,
    act: SourceAct,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let found = conn
        .opt(
            "SELECT muted, told FROM sources WHERE host = $1 AND peer = $2 AND forgotten = 0
             FOR UPDATE",
            &[&key.host, &key.peer],
        )
        .await?;
    let Some(row) = found else {
        return Err(StoreError::NotFound(format!("no source is called {key}")));
    };
    let (muted, told) = (row.get::<_, i16>(0) != 0, row.get::<_, i16>(1));
    let sql = match act {
        SourceAct::Mute | SourceAct::Unmute if muted == (act == SourceAct::Mute) => return Ok(()),
        SourceAct::Mute => "UPDATE sources SET muted = 1 WHERE host = $1 AND peer = $2",
        SourceAct::Unmute => "UPDATE sources SET muted = 0 WHERE host = $1 AND peer = $2",
        SourceAct::Forget if told == 0 => "DELETE FROM sources WHERE host = $1 AND peer = $2",
        SourceAct::Forget => "UPDATE sources SET forgotten = 1 WHERE host = $1 AND peer = $2",
    };
    conn.run(sql, &[&key.host, &key.peer]).await?;
    log_change(conn, &act.change(key, actor, now)).await
}

/// Takes or renews the lease of the watch.
async fn leases(
    store: &PostgresStore,
    conn: &Conn,
    owner: &str,
    lease: Duration,
) -> Result<Option<Timestamp>, StoreError> {
    let now = store.now(conn).await?;
    let until = now.plus(lease).0;
    let taken = conn
        .run(
            "INSERT INTO leases VALUES ($1, $2, 1, $4) ON CONFLICT (name) DO UPDATE SET owner = $2,
                generation = leases.generation + 1, lease_until = $4
             WHERE leases.owner = $2 OR leases.lease_until <= $3",
            &[&LEASE, &owner, &now.0, &until],
        )
        .await?;
    Ok((taken > 0).then_some(now))
}

#[async_trait]
impl SourceStore for PostgresStore {
    async fn report_sources(
        &self,
        heard_by: &str,
        deltas: Vec<SourceDelta>,
    ) -> Result<(), StoreError> {
        let mut by_key: BTreeMap<&SourceKey, Vec<&SourceDelta>> = BTreeMap::new();
        for delta in &deltas {
            by_key.entry(&delta.key).or_default().push(delta);
        }
        if by_key.is_empty() {
            return Ok(());
        }
        transaction!(self, "report sources", |conn| {
            let now = self.now(&conn).await?;
            add(&conn, heard_by, &by_key, now).await
        })
    }

    async fn sources(
        &self,
        query: &SourceQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<SeenSource>, StoreError> {
        let wrong = || StoreError::Data("the cursor is not one that this store gave".to_owned());
        let after = cursor.map(|cursor| place_of(cursor).ok_or_else(wrong)).transpose()?;
        let (host, peer) = after.unwrap_or_default();
        let state = query.state.map_or("TRUE", SourceState::condition);
        let limit = limit.clamp(1, PAGE_MAX);
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let sql = format!(
            "SELECT {COLUMNS} FROM sources WHERE forgotten = 0 AND (host, peer) > ($1, $2)
                AND {state} AND body <> ''
                AND ($3::text IS NULL OR host LIKE $3 OR peer LIKE $3)
                AND ($4::text IS NULL OR peer = $4)
             ORDER BY host, peer LIMIT $5"
        );
        let q = query.q.as_deref().map(like);
        let conn = self.conn("read sources").await?;
        let rows = conn.all(&sql, &[&host, &peer, &q, &query.relay, &most]).await?;
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(seen).collect::<Vec<_>>();
        let next_cursor = items.last().filter(|_| more).map(|last| last.key.to_string());
        Ok(Page { items, next_cursor, complete: true })
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<SeenSource>, StoreError> {
        let conn = self.conn("read a source").await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM sources WHERE host = $1 AND peer = $2 AND forgotten = 0"
        );
        Ok(conn.opt(&sql, &[&key.host, &key.peer]).await?.as_ref().map(seen))
    }

    async fn source_counts(&self) -> Result<SourceCounts, StoreError> {
        let conn = self.conn("count sources").await?;
        let row = conn
            .one(
                "SELECT COUNT(*), COUNT(*) FILTER (WHERE told <> 0),
                    COUNT(*) FILTER (WHERE pending <> 0), COUNT(*) FILTER (WHERE muted <> 0),
                    COUNT(*) FILTER (WHERE unparsed > 0) FROM sources WHERE forgotten = 0",
                &[],
            )
            .await?;
        let count = |at: usize| unsigned(row.get(at));
        Ok(SourceCounts {
            all: count(0),
            quiet: count(1),
            pending: count(2),
            muted: count(3),
            unparsed: count(4),
        })
    }

    async fn act_on_source(
        &self,
        key: &SourceKey,
        what: SourceAct,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transaction!(self, "change a source", |conn| act(&conn, key, what, actor, now).await)
    }

    async fn watch_sources(
        &self,
        owner: &str,
        lease: Duration,
        policy: &QuietPolicy,
    ) -> Result<Option<SourceWatch>, StoreError> {
        let conn = self.conn("watch sources").await?;
        let Some(now) = leases(self, &conn, owner, lease).await? else { return Ok(None) };
        let (factor, floor, history) = policy_params(policy);
        let rows = conn
            .all(
                "SELECT host, peer, listener, heard_by, first_seen, last_seen, usual_gap, excused,
                    muted, forgotten, told, told_last
                 FROM sources WHERE told <> 0 OR forgotten <> 0 OR peer IN (SELECT peer FROM sources
                    WHERE told = 0 AND muted = 0 AND last_seen > 0 AND last_seen - first_seen >= $4
                        AND last_seen < $1::bigint - $3::bigint
                        AND last_seen + GREATEST($2 * usual_gap, $3) < $1)
                    OR peer IN (SELECT peer FROM sources WHERE told <> 0)",
                &[&now.0, &factor, &floor, &history],
            )
            .await?;
        let newest = conn.one("SELECT COALESCE(MAX(last_seen), 0) FROM sources", &[]).await?;
        let sources = rows.iter().map(watched).collect();
        Ok(Some(SourceWatch { now, sources, newest: Timestamp(newest.get(0)) }))
    }

    async fn mark_sources(&self, mut marks: Vec<Mark>) -> Result<(), StoreError> {
        marks.sort_by(|a, b| a.key.cmp(&b.key));
        let keys = Keys::of(marks.iter().map(|mark| &mark.key));
        let told: Vec<i16> = marks.iter().map(|mark| mark.told.number()).collect();
        let last: Vec<i64> = marks.iter().map(|mark| mark.told_last.0).collect();
        let excused: Vec<i64> =
            marks.iter().map(|mark| mark.excused.unwrap_or_default().0).collect();
        let gone = Keys::of(marks.iter().filter(|mark| mark.remove).map(|mark| &mark.key));
        transaction!(self, "mark sources", |conn| {
            conn.all(
                "SELECT 1 FROM sources WHERE (host, peer) IN (SELECT * FROM unnest($1::text[],
                    $2::text[])) ORDER BY host, peer FOR UPDATE",
                &[&keys.hosts, &keys.peers],
            )
            .await?;
            // One of these may have been heard meanwhile: then it is a new one.
            conn.run(
                "DELETE FROM sources WHERE forgotten <> 0
                    AND (host, peer) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
                &[&gone.hosts, &gone.peers],
            )
            .await?;
            conn.run(
                "UPDATE sources s SET told = d.told, told_last = d.told_last,
                    excused = GREATEST(s.excused, d.excused)
                 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[])
                    AS d (host, peer, told, told_last, excused)
                 WHERE s.host = d.host AND s.peer = d.peer",
                &[&keys.hosts, &keys.peers, &told, &last, &excused],
            )
            .await
            .map(drop)
        })
    }

    async fn tidy_sources(&self, keep: Duration, most: u64) -> Result<u64, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        transaction!(self, "tidy sources", |conn| {
            let before = self.now(&conn).await?.0.saturating_sub(micros(keep));
            let all: i64 = conn.one("SELECT COUNT(*) FROM sources", &[]).await?.get(0);
            let beyond = (all - most).max(0);
            // What was never heard is as old as its last report. Rows that others write are let be.
            let rows = conn
                .all(
                    "SELECT host, peer FROM sources WHERE (host, peer) IN
                        (SELECT host, peer FROM sources
                            WHERE GREATEST(last_seen, reported_at) < $1
                         UNION (SELECT host, peer FROM sources
                            ORDER BY GREATEST(last_seen, reported_at) LIMIT $2))
                     ORDER BY host, peer FOR UPDATE SKIP LOCKED",
                    &[&before, &beyond],
                )
                .await?;
            let keys: Vec<SourceKey> =
                rows.iter().map(|row| SourceKey { host: row.get(0), peer: row.get(1) }).collect();
            let keys = Keys::of(keys.iter());
            conn.run(
                "UPDATE sources SET forgotten = 1 WHERE told <> 0 AND forgotten = 0
                    AND (host, peer) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
                &[&keys.hosts, &keys.peers],
            )
            .await?;
            conn.run(
                "DELETE FROM sources WHERE told = 0
                    AND (host, peer) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
                &[&keys.hosts, &keys.peers],
            )
            .await
        })
    }
}
