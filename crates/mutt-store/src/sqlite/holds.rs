//! Legal holds and archives on SQLite: which rows outlive retention, and how days are put aside.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use mutt_model::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::rules::log_change;
use super::totals::{signed, unsigned};
use super::{SqliteStore, audit, backup, open};
use crate::archive::{self, Header, Writing};
use crate::retention::{
    Archive, HOLDS_MAX, Hold, NewHold, RestoredArchive, RetentionState, RetentionStore, check_hold,
};
use crate::store::{Actor, StoreError};

/// Rows that one transaction puts back.
const RESTORE_CHUNK: usize = 2_000;
/// Whose archives these are: no other process has the file open.
const OWNER: &str = "sqlite";

/// The condition that a row of the audit table `t` is not held. Released holds count until the round
/// after, so that a row that an archive passed over is never removed by the same round.
pub(super) const NOT_HELD: &str = "NOT EXISTS (SELECT 1 FROM holds h
    WHERE (h.host IS NULL OR h.host = t.host) AND t.id >= h.since_id AND t.id < h.until_id)";

/// Whether any hold stands or was released a moment ago.
pub(super) fn any(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM holds)")?.query_row([], |row| row.get(0))
}

/// Forgets holds that were released; only while no round of retention works.
pub(super) fn forget_released(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM holds WHERE released = 1", []).map(drop)
}

/// Takes note that a round of retention is over.
pub(super) fn note_run(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute("UPDATE retention SET last_run = ?1", [now.0]).map(drop)
}

const HOLD: &str = "id, host, since, until, reason, who, at, archive";

fn hold_row(row: &Row<'_>) -> rusqlite::Result<Hold> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|t| t.map(Timestamp));
    Ok(Hold {
        id: row.get(0)?,
        rows: NewHold { host: row.get(1)?, since: time(2)?, until: time(3)? },
        reason: row.get(4)?,
        who: row.get(5)?,
        at: Timestamp(row.get(6)?),
        archive: row.get(7)?,
    })
}

fn add(
    conn: &Connection,
    new: &NewHold,
    archive: Option<&str>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Hold, StoreError> {
    check_hold(new)?;
    let standing: i64 = conn.query_row("SELECT COUNT(*) FROM holds", [], |row| row.get(0))?;
    if unsigned(standing) >= HOLDS_MAX {
        return Err(StoreError::Conflict(format!("{HOLDS_MAX} holds stand; release some first")));
    }
    let floor = |at: Option<Timestamp>, or: u8| at.map_or([or; 16], |at| Id::floor_of(at).0);
    let host = new.host.as_deref().map(str::to_lowercase);
    let reason = actor.reason.clone().unwrap_or_default();
    conn.execute(
        "INSERT INTO holds (host, since, until, since_id, until_id, reason, who, at, archive,
            released) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)",
        (
            &host,
            new.since.map(|at| at.0),
            new.until.map(|at| at.0),
            floor(new.since, 0).as_slice(),
            floor(new.until, 0xff).as_slice(),
            &reason,
            &actor.name,
            now.0,
            archive,
        ),
    )?;
    let id = conn.last_insert_rowid();
    let hold = one(conn, id)?;
    log_change(conn, &hold.change("hold", actor, now))?;
    Ok(hold)
}

fn one(conn: &Connection, id: i64) -> Result<Hold, StoreError> {
    conn.query_row(
        &format!("SELECT {HOLD} FROM holds WHERE id = ?1 AND released = 0"),
        [id],
        hold_row,
    )
    .optional()?
    .ok_or_else(|| StoreError::NotFound(format!("no hold has the id {id}")))
}

fn release(conn: &Connection, id: i64, actor: &Actor, now: Timestamp) -> Result<Hold, StoreError> {
    let hold = one(conn, id)?;
    conn.execute("UPDATE holds SET released = 1 WHERE id = ?1", [id])?;
    log_change(conn, &hold.change("release", actor, now))?;
    Ok(hold)
}

/// The oldest row of a table that may go: after `after`, before `floor`, not held.
pub(super) fn oldest(
    conn: &Connection,
    handled: bool,
    after: Id,
    floor: Id,
) -> rusqlite::Result<Option<Id>> {
    let sql = format!(
        "SELECT t.id FROM {} t WHERE t.id > ?1 AND t.id < ?2 AND {NOT_HELD} ORDER BY t.id LIMIT 1",
        audit::table(handled)
    );
    conn.prepare_cached(&sql)?
        .query_row((after.0.as_slice(), floor.0.as_slice()), |row| audit::id(row, 0))
        .optional()
}

/// Writes the rows of a span that may go into an archive, from one snapshot; the archive and the
/// newest `seq` that it may hold. `None` when no row of it may go.
pub(super) fn put_aside(
    path: &Path,
    dir: &Path,
    header: Header,
) -> Result<Option<(Archive, i64)>, StoreError> {
    let mut conn = open::open_reader(path, 1 << 20)?;
    let snapshot = conn.transaction()?;
    let newest = snapshot.query_row("SELECT seq FROM totals", [], |row| row.get(0))?;
    let sql = format!(
        "SELECT t.id, t.host, t.severity, t.ruleset, t.rule_id, t.decision, t.dev, t.team,
            t.alert_id, t.body FROM {} t WHERE t.id >= ?1 AND t.id < ?2 AND {NOT_HELD}
         ORDER BY t.id",
        header.table
    );
    let (from, until) = (Id::floor_of(header.from), Id::floor_of(header.until));
    let mut writing = Writing::begin(dir, OWNER, header)?;
    let mut statement = snapshot.prepare(&sql)?;
    let mut rows = statement.query((from.0.as_slice(), until.0.as_slice()))?;
    while let Some(row) = rows.next()? {
        writing.push(&archive::Row {
            id: audit::id(row, 0)?,
            // Places change when rows come back here; the same rows must make the same archive.
            seq: 0,
            host: row.get(1)?,
            severity: row.get(2)?,
            ruleset: row.get(3)?,
            rule_id: row.get(4)?,
            decision: row.get(5)?,
            dev: row.get(6)?,
            team: row.get(7)?,
            alert_id: audit::opt_id(row, 8)?,
            body: row.get(9)?,
        })?;
    }
    if writing.rows() == 0 {
        writing.discard();
        return Ok(None);
    }
    Ok(Some((writing.finish()?, newest)))
}

/// Lists an archive.
pub(super) fn list(conn: &Connection, archive: &Archive) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO archives VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (name) DO UPDATE SET (source, span_from, span_until, rows, bytes, sha256,
            written_at, restored_at) = (?2, ?3, ?4, ?5, ?6, ?7, ?8, COALESCE(?9, restored_at))",
        (
            &archive.name,
            &archive.table,
            archive.from.0,
            archive.until.0,
            signed(archive.rows),
            signed(archive.bytes),
            &archive.sha256,
            archive.written_at.0,
            archive.restored_at.map(|at| at.0),
        ),
    )?;
    Ok(())
}

/// Puts rows back that do not stand in the audit; how many. They get places before all others, so that
/// no live stream takes them for new and the cap takes them first.
fn put_back(conn: &Connection, handled: bool, rows: &[archive::Row]) -> rusqlite::Result<u64> {
    let mut seq: i64 = conn.query_row(
        "SELECT MIN(0, COALESCE((SELECT MIN(seq) FROM audit_handled), 0),
            COALESCE((SELECT MIN(seq) FROM audit_unhandled), 0))",
        [],
        |row| row.get(0),
    )?;
    let sql = format!(
        "INSERT INTO {} (seq, id, host, severity, ruleset, rule_id, decision, dev, team, alert_id,
            body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING",
        audit::table(handled)
    );
    let mut insert = conn.prepare_cached(&sql)?;
    let mut done = 0;
    // The newest gets the greatest place.
    for row in rows.iter().rev() {
        seq -= 1;
        done += insert.execute((
            seq,
            row.id.0.as_slice(),
            &row.host,
            row.severity,
            row.ruleset,
            row.rule_id,
            &row.decision,
            row.dev,
            &row.team,
            row.alert_id.as_ref().map(|id| id.0.as_slice()),
            row.body.as_slice(),
        ))?;
    }
    Ok(done as u64)
}

fn archive_row(row: &Row<'_>) -> rusqlite::Result<Archive> {
    Ok(Archive {
        name: row.get(0)?,
        table: row.get(1)?,
        from: Timestamp(row.get(2)?),
        until: Timestamp(row.get(3)?),
        rows: unsigned(row.get(4)?),
        bytes: unsigned(row.get(5)?),
        sha256: row.get(6)?,
        written_at: Timestamp(row.get(7)?),
        restored_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
    })
}

#[async_trait]
impl RetentionStore for SqliteStore {
    async fn add_hold(
        &self,
        hold: NewHold,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError> {
        let actor = actor.clone();
        self.write("make a hold", move |w| add(&w.conn, &hold, None, &actor, now)).await
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.read("list holds", |conn| {
            Ok(conn
                .prepare(&format!("SELECT {HOLD} FROM holds WHERE released = 0 ORDER BY id DESC"))?
                .query_map([], hold_row)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn release_hold(
        &self,
        id: i64,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError> {
        let actor = actor.clone();
        self.write("release a hold", move |w| release(&w.conn, id, &actor, now)).await
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        self.read("list archives", |conn| {
            Ok(conn
                .prepare("SELECT * FROM archives ORDER BY span_from DESC, name DESC")?
                .query_map([], archive_row)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn restore_archive(
        &self,
        file: &Path,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<RestoredArchive, StoreError> {
        let path = file.to_path_buf();
        let mut facts =
            backup::aside("read an archive", move || archive::read_facts(&path)).await?;
        let span = NewHold { host: None, since: Some(facts.from), until: Some(facts.until) };
        let (name, actor) = (facts.name.clone(), actor.clone());
        // The hold first: what is put back must not go again at once.
        let hold = self
            .write("make a hold", move |w| {
                let standing: Option<i64> = w
                    .conn
                    .query_row(
                        "SELECT id FROM holds WHERE archive = ?1 AND released = 0",
                        [&name],
                        |row| row.get(0),
                    )
                    .optional()?;
                match standing {
                    Some(id) => Ok(id),
                    None => add(&w.conn, &span, Some(&name), &actor, now).map(|hold| hold.id),
                }
            })
            .await?;
        let rows = self.put_back_all(file.to_path_buf(), facts.table == "audit_handled").await?;
        facts.restored_at = Some(now);
        let listed = facts.clone();
        self.write("list an archive", move |w| list(&w.conn, &listed)).await?;
        let present = facts.rows.saturating_sub(rows);
        Ok(RestoredArchive { archive: facts, rows, present, hold })
    }

    async fn retention_state(&self) -> Result<RetentionState, StoreError> {
        self.read("read the state of retention", |conn| {
            Ok(conn.query_row(
                "SELECT (SELECT last_run FROM retention),
                    (SELECT COUNT(*) FROM holds WHERE released = 0),
                    (SELECT COUNT(*) FROM archives), (SELECT COALESCE(SUM(bytes), 0) FROM archives)",
                [],
                |row| {
                    Ok(RetentionState {
                        last_run: row.get::<_, Option<i64>>(0)?.map(Timestamp),
                        holds: unsigned(row.get(1)?),
                        archives: unsigned(row.get(2)?),
                        archive_bytes: unsigned(row.get(3)?),
                    })
                },
            )?)
        })
        .await
    }
}

impl SqliteStore {
    /// Reads the archive on a thread of its own; its rows come a chunk at a time to the writer.
    async fn put_back_all(&self, path: PathBuf, handled: bool) -> Result<u64, StoreError> {
        let (reading, mut chunks) = archive::read_aside(path, RESTORE_CHUNK);
        // The receiver goes with this, so that a writer that gave up does not keep the reader waiting.
        let writing = async move {
            let mut done = 0;
            while let Some(rows) = chunks.recv().await {
                done += self
                    .write("restore an archive", move |w| Ok(put_back(&w.conn, handled, &rows)?))
                    .await?;
            }
            Ok::<u64, StoreError>(done)
        };
        let (read, written) = tokio::join!(reading, writing);
        let written = written?;
        read.map(|()| written)
    }
}
