//! Retention of the audit on PostgreSQL: whole partitions, archived first where that is asked for;
//! holds; archives put back.

use std::path::{Path, PathBuf};
use std::pin::pin;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mutt_model::batch::decode_body;
use mutt_model::{Timestamp, failpoint};
use tokio_postgres::Row;

use super::partitions::{self, Partition};
use super::rules::log_change;
use super::transaction::transaction;
use super::types::Uid;
use super::upkeep::UpkeepLease;
use super::{Conn, PostgresStore, audit, copy};
use crate::archive::{self, Header, Keeper};
use crate::aside::aside;
use crate::retention::{
    Archive, HOLDS_MAX, Hold, NewHold, RestoredArchive, RetentionState, RetentionStore, check_hold,
};
use crate::store::{Actor, RetentionPolicy, StoreError, Upkeep};

/// Partitions of one parent that one round takes; the rest comes with the next round.
const PARTITIONS_MAX: usize = 31;
/// Rows that go to the archive's thread, or come from it, at once.
const CHUNK: usize = 2_000;
/// Before a whole partition is read, for that transaction only: the connection is used again.
const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";
/// Tries to lock a parent, each of half a second at most, in one round.
const TRIES: usize = 20;

/// Takes out the partitions of one parent that are over. An archive that cannot be written ends this,
/// not the round: what it was to hold stays.
pub(super) async fn expire(
    store: &PostgresStore,
    lease: &UpkeepLease,
    policy: &RetentionPolicy,
    handled: bool,
    floor: Timestamp,
    now: Timestamp,
    upkeep: &mut Upkeep,
) -> Result<(), StoreError> {
    let conn = store.owner_conn("look for old partitions").await?;
    let parts = partitions::expired(&conn, handled, floor).await?;
    drop(conn);
    let mut taken = 0;
    for part in parts {
        // What is held takes no place: however much it is, what lies behind it goes.
        if taken == PARTITIONS_MAX {
            break;
        }
        let (rows, held) = Box::pin(lease.during(store, look_into(store, &part))).await?;
        if rows == 0 && held {
            continue;
        }
        let archive = match &policy.archive {
            Some(dir) if rows > 0 => {
                match Box::pin(lease.during(store, put_aside(store, dir, &part, now))).await {
                    Ok(archive) => Some(archive),
                    Err(error) => return upkeep.go_on_after(error),
                }
            }
            _ => None,
        };
        failpoint::hit("store.archive.before_remove");
        let Some(rows) = remove(store, lease, &part, archive.as_ref()).await? else { continue };
        failpoint::hit("store.archive.after_remove");
        taken += 1;
        upkeep.partitions += 1;
        if rows > 0 {
            *upkeep.removed.entry(copy::table(handled).to_owned()).or_default() += rows;
        }
        if let Some(archive) = archive {
            upkeep.archives += 1;
            upkeep.archived_bytes += archive.bytes;
        }
    }
    Ok(())
}

/// Rows of a partition: those that may go, and whether any is held.
async fn look_into(store: &PostgresStore, part: &Partition) -> Result<(u64, bool), StoreError> {
    let conn = store.owner_conn("look into a partition").await?;
    transaction!(on conn, {
        conn.batch(NO_TIMEOUT).await?;
        partitions::count(&conn, part).await
    })
}

/// Takes a partition out; `None` when rows came to it since it was archived: the next round takes it.
async fn remove(
    store: &PostgresStore,
    lease: &UpkeepLease,
    part: &Partition,
    archive: Option<&Archive>,
) -> Result<Option<u64>, StoreError> {
    let mut tried = 0;
    loop {
        tried += 1;
        let conn = store.owner_conn("remove a partition").await?;
        let done = transaction!(on conn, {
            lease.check(store, &conn).await?;
            // A hold that is made now waits, so that none stands whose rows go.
            conn.batch(&format!(
                "SET LOCAL statement_timeout = 0; LOCK TABLE holds IN SHARE MODE;
                 LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
                part.name
            ))
            .await?;
            let (rows, held) = partitions::count(&conn, part).await?;
            if archive.is_some_and(|archive| archive.rows != rows) {
                return Ok(None);
            }
            if let Some(archive) = archive {
                list(&conn, archive).await?;
            }
            partitions::take_out(&conn, part, held).await?;
            Ok(Some(rows))
        });
        match done {
            Err(StoreError::Transient { why, .. }) if tried < TRIES && why.contains("[55P03]") => {
                // Somebody reads the parent for longer: those behind us go first.
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            done => return done,
        }
    }
}

/// Writes the rows of a partition that may go into an archive.
async fn put_aside(
    store: &PostgresStore,
    dir: &Path,
    part: &Partition,
    now: Timestamp,
) -> Result<Archive, StoreError> {
    let header = Header::new(part.handled, part.from, part.until, now);
    let owner = store.upkeep_owner.clone();
    let mut keeper = Keeper::start(dir.to_path_buf(), owner, header).await?;
    let conn = store.owner_conn("archive a partition").await?;
    // A failure closes the connection: nobody waits for the rows that are still to come.
    conn.begin().await?;
    conn.batch(NO_TIMEOUT).await?;
    push_all(&conn, part, &mut keeper).await?;
    conn.commit().await?;
    drop(conn);
    // Outside of the transaction: what is read back may take its time.
    keeper.finish().await
}

async fn push_all(conn: &Conn, part: &Partition, keeper: &mut Keeper) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT id, host, severity, ruleset, rule_id, decision, dev, team, alert_id, body,
            seq FROM {} WHERE NOT mutt_held(host, received_at) ORDER BY received_at, id",
        part.name
    );
    let none: [i64; 0] = [];
    let rows = conn.client()?.query_raw(&sql, none).await.map_err(|e| conn.failed(e))?;
    let mut rows = pin!(rows);
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(row) = rows.try_next().await.map_err(|e| conn.failed(e))? {
        chunk.push(archived(&row));
        if chunk.len() == CHUNK {
            keeper.push(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).await?;
        }
    }
    keeper.push(chunk).await
}

fn archived(row: &Row) -> archive::Row {
    archive::Row {
        id: row.get::<_, Uid>(0).0,
        seq: row.get(10),
        host: row.get(1),
        severity: row.get(2),
        ruleset: row.get(3),
        rule_id: row.get(4),
        decision: row.get(5),
        dev: row.get(6),
        team: row.get(7),
        alert_id: row.get::<_, Option<Uid>>(8).map(|id| id.0),
        body: row.get(9),
    }
}

/// Lists an archive.
async fn list(conn: &Conn, archive: &Archive) -> Result<(), StoreError> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    conn.run(
        "INSERT INTO archives AS a VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (name) DO UPDATE SET source = $2, span_from = $3, span_until = $4, rows = $5,
            bytes = $6, sha256 = $7, written_at = $8, restored_at = COALESCE($9, a.restored_at)",
        &[
            &archive.name,
            &archive.table,
            &archive.from.0,
            &archive.until.0,
            &count(archive.rows),
            &count(archive.bytes),
            &archive.sha256,
            &archive.written_at.0,
            &archive.restored_at.map(|at| at.0),
        ],
    )
    .await?;
    Ok(())
}

fn archive_row(row: &Row) -> Archive {
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Archive {
        name: row.get(0),
        table: row.get(1),
        from: Timestamp(row.get(2)),
        until: Timestamp(row.get(3)),
        rows: count(4),
        bytes: count(5),
        sha256: row.get(6),
        written_at: Timestamp(row.get(7)),
        restored_at: row.get::<_, Option<i64>>(8).map(Timestamp),
    }
}

/// Puts rows back that do not stand in the audit; how many. They get the places that they had, so that
/// they are what their receipts say and no live stream takes them for new.
async fn put_back(conn: &Conn, handled: bool, rows: &[archive::Row]) -> Result<u64, StoreError> {
    let at = |row: &archive::Row| {
        decode_body(&row.body).map_or(audit::moment(row.id), |event| event.received_at.0)
    };
    let received: Vec<i64> = rows.iter().map(at).collect();
    let ids: Vec<Uid> = rows.iter().map(|row| Uid(row.id)).collect();
    let rulesets: Vec<i64> = rows.iter().map(|row| row.ruleset).collect();
    let rules: Vec<Option<i64>> = rows.iter().map(|row| row.rule_id).collect();
    let alerts: Vec<Option<Uid>> = rows.iter().map(|row| row.alert_id.map(Uid)).collect();
    let severities: Vec<Option<i16>> = rows.iter().map(|row| row.severity).collect();
    let dev: Vec<bool> = rows.iter().map(|row| row.dev).collect();
    let hosts: Vec<&str> = rows.iter().map(|row| row.host.as_str()).collect();
    let decisions: Vec<Option<&str>> = rows.iter().map(|row| row.decision.as_deref()).collect();
    let teams: Vec<Option<&str>> = rows.iter().map(|row| row.team.as_deref()).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let bodies: Vec<&[u8]> = rows.iter().map(|row| row.body.as_slice()).collect();
    let sql = format!(
        "INSERT INTO {} (received_at, id, seq, ruleset, rule_id, alert_id, severity, dev, host,
            decision, team, body)
         SELECT u.at, u.id, u.seq, u.ruleset, u.rule, u.alert, u.severity, u.dev, u.host, u.decision,
            u.team, u.body
         FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[],
            $6::smallint[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::bytea[],
            $12::bigint[])
            AS u (at, id, ruleset, rule, alert, severity, dev, host, decision, team, body, seq)
         ON CONFLICT (received_at, id) DO NOTHING",
        copy::table(handled)
    );
    conn.run(
        &sql,
        &[
            &received,
            &ids,
            &rulesets,
            &rules,
            &alerts,
            &severities,
            &dev,
            &hosts,
            &decisions,
            &teams,
            &bodies,
            &seqs,
        ],
    )
    .await
}

const HOLD: &str = "id, host, since, until, reason, who, at, archive";

fn hold_row(row: &Row) -> Hold {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(Timestamp);
    Hold {
        id: row.get(0),
        rows: NewHold { host: row.get(1), since: time(2), until: time(3) },
        reason: row.get(4),
        who: row.get(5),
        at: Timestamp(row.get(6)),
        archive: row.get(7),
    }
}

async fn add(
    conn: &Conn,
    new: &NewHold,
    archive: Option<&str>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Hold, StoreError> {
    check_hold(new)?;
    let standing: i64 = conn.one("SELECT COUNT(*) FROM holds", &[]).await?.get(0);
    if u64::try_from(standing).unwrap_or(0) >= HOLDS_MAX {
        return Err(StoreError::Conflict(format!("{HOLDS_MAX} holds stand; release some first")));
    }
    let sql = format!(
        "INSERT INTO holds (host, since, until, reason, who, at, archive)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {HOLD}"
    );
    let row = conn
        .one(
            &sql,
            &[
                &new.host.as_deref().map(str::to_lowercase),
                &new.since.map(|at| at.0),
                &new.until.map(|at| at.0),
                &actor.reason.as_deref().unwrap_or_default(),
                &actor.name,
                &now.0,
                &archive,
            ],
        )
        .await?;
    let hold = hold_row(&row);
    log_change(conn, &hold.change("hold", actor, now)).await?;
    Ok(hold)
}

#[async_trait]
impl RetentionStore for PostgresStore {
    async fn add_hold(
        &self,
        hold: NewHold,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError> {
        transaction!(self, "make a hold", |conn| add(&conn, &hold, None, actor, now).await)
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let conn = self.conn("list holds").await?;
        let sql = format!("SELECT {HOLD} FROM holds WHERE NOT released ORDER BY id DESC");
        Ok(conn.all(&sql, &[]).await?.iter().map(hold_row).collect())
    }

    async fn release_hold(
        &self,
        id: i64,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError> {
        let sql = format!(
            "UPDATE holds SET released = true WHERE id = $1 AND NOT released RETURNING {HOLD}"
        );
        transaction!(self, "release a hold", |conn| {
            let row = conn
                .opt(&sql, &[&id])
                .await?
                .ok_or_else(|| StoreError::NotFound(format!("no hold has the id {id}")))?;
            let hold = hold_row(&row);
            log_change(&conn, &hold.change("release", actor, now)).await?;
            Ok(hold)
        })
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        let conn = self.conn("list archives").await?;
        let rows =
            conn.all("SELECT * FROM archives ORDER BY span_from DESC, name DESC", &[]).await?;
        Ok(rows.iter().map(archive_row).collect())
    }

    async fn restore_archive(
        &self,
        file: &Path,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<RestoredArchive, StoreError> {
        let path = file.to_path_buf();
        let mut facts = aside("read an archive", move || archive::read_facts(&path)).await?;
        // The hold first: what is put back must not go again at once.
        let span = NewHold { host: None, since: Some(facts.from), until: Some(facts.until) };
        let hold = transaction!(self, "make a hold", |conn| {
            let standing = conn
                .opt("SELECT id FROM holds WHERE archive = $1 AND NOT released", &[&facts.name])
                .await?;
            match standing {
                Some(row) => Ok(row.get(0)),
                None => add(&conn, &span, Some(&facts.name), actor, now).await.map(|hold| hold.id),
            }
        })?;
        partitions::make(self, facts.from).await?;
        let rows = self.put_back_all(file.to_path_buf(), facts.table == "audit_handled").await?;
        facts.restored_at = Some(now);
        let conn = self.conn("list an archive").await?;
        list(&conn, &facts).await?;
        let present = facts.rows.saturating_sub(rows);
        Ok(RestoredArchive { archive: facts, rows, present, hold })
    }

    async fn retention_state(&self) -> Result<RetentionState, StoreError> {
        let conn = self.conn("read the state of retention").await?;
        let row = conn
            .one(
                "SELECT (SELECT last_run FROM retention),
                    (SELECT COUNT(*) FROM holds WHERE NOT released),
                    (SELECT COUNT(*) FROM archives),
                    (SELECT COALESCE(SUM(bytes), 0)::bigint FROM archives)",
                &[],
            )
            .await?;
        let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        Ok(RetentionState {
            last_run: row.get::<_, Option<i64>>(0).map(Timestamp),
            holds: count(1),
            archives: count(2),
            archive_bytes: count(3),
        })
    }
}

impl PostgresStore {
    /// Reads the archive on a thread of its own; its rows come a chunk at a time.
    async fn put_back_all(&self, path: PathBuf, handled: bool) -> Result<u64, StoreError> {
        let (reading, mut chunks) = archive::read_aside(path, CHUNK);
        // The receiver goes with this, so that a writer that gave up does not keep the reader waiting.
        let writing = async move {
            let mut done = 0;
            while let Some(rows) = chunks.recv().await {
                let conn = self.conn("restore an archive").await?;
                done += put_back(&conn, handled, &rows).await?;
            }
            Ok::<u64, StoreError>(done)
        };
        let (read, written) = tokio::join!(reading, writing);
        let written = written?;
        read.map(|()| written)
    }
}
