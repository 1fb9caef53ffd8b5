//! Uploaded MIB files on SQLite.

use async_trait::async_trait;
use mutt_model::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::SqliteStore;
use super::rules::log_change;
use super::totals::{signed, unsigned};
use crate::store::mibs::{self, Mib, MibStore, NewMib};
use crate::store::{Actor, StoreError};

const MIB: &str = "name, bytes, at, who, modules";

fn from_row(row: &Row<'_>) -> Result<Mib, StoreError> {
    Ok(Mib {
        name: row.get(0)?,
        bytes: unsigned(row.get(1)?),
        at: Timestamp(row.get(2)?),
        who: row.get(3)?,
        modules: serde_json::from_str(&row.get::<_, String>(4)?)?,
    })
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT COALESCE(MAX(version), 0) FROM mibs")?
        .query_row([], |row| row.get(0))
}

fn all(conn: &Connection) -> Result<Vec<Mib>, StoreError> {
    let sql = format!("SELECT {MIB} FROM mibs WHERE text IS NOT NULL ORDER BY name");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(from_row(row)?);
    }
    Ok(all)
}

fn one(conn: &Connection, name: &str) -> Result<Option<Mib>, StoreError> {
    let sql = format!("SELECT {MIB} FROM mibs WHERE name = ?1 AND text IS NOT NULL");
    conn.prepare_cached(&sql)?.query_row([name], |row| Ok(from_row(row))).optional()?.transpose()
}

/// Later than every one before it, also when the clock went back.
fn next_version(conn: &Connection, now: Timestamp) -> rusqlite::Result<i64> {
    Ok(now.0.max(version(conn)?.saturating_add(1)))
}

fn put(conn: &Connection, new: &NewMib, actor: &Actor, now: Timestamp) -> Result<Mib, StoreError> {
    mibs::check(new)?;
    let old = one(conn, &new.name)?;
    let others =
        "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM mibs WHERE text IS NOT NULL AND name <> ?1";
    let (standing, bytes) = conn
        .query_row(others, [&new.name], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?;
    mibs::check_room(standing, bytes, new)?;
    let kept = mibs::kept(new, actor, now);
    conn.execute(
        "INSERT INTO mibs (name, version, at, who, modules, bytes, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET version = ?2, at = ?3, who = ?4, modules = ?5, bytes = ?6,
           text = ?7",
        (
            &kept.name,
            next_version(conn, now)?,
            now.0,
            &kept.who,
            mibs::modules_text(&new.modules)?,
            signed(kept.bytes),
            &new.text,
        ),
    )?;
    log_change(conn, &mibs::put_entry(old.as_ref(), &kept).into_change(actor, now))?;
    Ok(kept)
}

fn delete(conn: &Connection, name: &str, actor: &Actor, now: Timestamp) -> Result<(), StoreError> {
    let old = one(conn, name)?.ok_or_else(|| mibs::missing(name))?;
    conn.execute(
        "UPDATE mibs SET text = NULL, version = ?2, at = ?3, who = ?4 WHERE name = ?1",
        (name, next_version(conn, now)?, now.0, &actor.name),
    )?;
    log_change(conn, &mibs::delete_entry(&old).into_change(actor, now))
}

#[async_trait]
impl MibStore for SqliteStore {
    async fn mibs_version(&self) -> Result<i64, StoreError> {
        self.read("read the MIBs' version", |conn| Ok(version(conn)?)).await
    }

    async fn mibs(&self) -> Result<Vec<Mib>, StoreError> {
        self.read("read the MIBs", all).await
    }

    async fn mib(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read("read a MIB", move |conn| {
            let sql = "SELECT text FROM mibs WHERE name = ?1";
            Ok(conn.query_row(sql, [name], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    async fn put_mib(&self, new: NewMib, actor: &Actor, now: Timestamp) -> Result<Mib, StoreError> {
        let actor = actor.clone();
        self.write("keep a MIB", move |w| put(&w.conn, &new, &actor, now)).await
    }

    async fn delete_mib(
        &self,
        name: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, actor) = (name.to_owned(), actor.clone());
        self.write("delete a MIB", move |w| delete(&w.conn, &name, &actor, now)).await
    }
}
