//! Uploaded MIB files on PostgreSQL.

use async_trait::async_trait;
use mutt_model::Timestamp;
use tokio_postgres::Row;

use super::rules::log_change;
use super::{Conn, PostgresStore};
use crate::store::mibs::{self, Mib, MibStore, NewMib};
use crate::store::{Actor, StoreError};

const MIB: &str = "name, bytes, at, who, modules";

fn from_row(row: &Row) -> Result<Mib, StoreError> {
    Ok(Mib {
        name: row.get(0),
        bytes: u64::try_from(row.get::<_, i64>(1)).unwrap_or(0),
        at: Timestamp(row.get(2)),
        who: row.get(3),
        modules: serde_json::from_str(row.get(4))?,
    })
}

async fn version(conn: &Conn) -> Result<i64, StoreError> {
    Ok(conn.one("SELECT COALESCE(MAX(version), 0) FROM mibs", &[]).await?.get(0))
}

async fn one(conn: &Conn, name: &str) -> Result<Option<Mib>, StoreError> {
    let sql = format!("SELECT {MIB} FROM mibs WHERE name = $1 AND text IS NOT NULL");
    conn.opt(&sql, &[&name]).await?.as_ref().map(from_row).transpose()
}

/// One change at a time; readers go on. Later than every one before it, also when the clock went back.
async fn next_version(conn: &Conn, now: Timestamp) -> Result<i64, StoreError> {
    conn.batch("LOCK TABLE mibs IN SHARE ROW EXCLUSIVE MODE").await?;
    Ok(now.0.max(version(conn).await?.saturating_add(1)))
}

async fn put(conn: &Conn, new: &NewMib, actor: &Actor, now: Timestamp) -> Result<Mib, StoreError> {
    mibs::check(new)?;
    let version = next_version(conn, now).await?;
    let old = one(conn, &new.name).await?;
    let others = "SELECT COUNT(*), COALESCE(SUM(bytes), 0)::bigint FROM mibs
                  WHERE text IS NOT NULL AND name <> $1";
    let row = conn.one(others, &[&new.name]).await?;
    let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    mibs::check_room(number(0), number(1), new)?;
    let kept = mibs::kept(new, actor, now);
    let bytes = i64::try_from(kept.bytes).unwrap_or(i64::MAX);
    let modules = mibs::modules_text(&new.modules)?;
    conn.run(
        "INSERT INTO mibs (name, version, at, who, modules, bytes, text)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (name) DO UPDATE SET version = $2, at = $3, who = $4, modules = $5, bytes = $6,
           text = $7",
        &[&kept.name, &version, &now.0, &kept.who, &modules, &bytes, &new.text],
    )
    .await?;
    log_change(conn, &mibs::put_entry(old.as_ref(), &kept).into_change(actor, now)).await?;
    Ok(kept)
}

async fn delete(conn: &Conn, name: &str, actor: &Actor, now: Timestamp) -> Result<(), StoreError> {
    let version = next_version(conn, now).await?;
    let old = one(conn, name).await?.ok_or_else(|| mibs::missing(name))?;
    conn.run(
        "UPDATE mibs SET text = NULL, version = $2, at = $3, who = $4 WHERE name = $1",
        &[&name, &version, &now.0, &actor.name],
    )
    .await?;
    log_change(conn, &mibs::delete_entry(&old).into_change(actor, now)).await
}

#[async_trait]
impl MibStore for PostgresStore {
    async fn mibs_version(&self) -> Result<i64, StoreError> {
        version(&self.conn("read the MIBs' version").await?).await
    }

    async fn mibs(&self) -> Result<Vec<Mib>, StoreError> {
        let sql =
            format!("SELECT {MIB} FROM mibs WHERE text IS NOT NULL ORDER BY name COLLATE \"C\"");
        let rows = self.conn("read the MIBs").await?.all(&sql, &[]).await?;
        rows.iter().map(from_row).collect()
    }

    async fn mib(&self, name: &str) -> Result<Option<String>, StoreError> {
        let conn = self.conn("read a MIB").await?;
        let row = conn.opt("SELECT text FROM mibs WHERE name = $1", &[&name]).await?;
        Ok(row.and_then(|row| row.get(0)))
    }

    async fn put_mib(&self, new: NewMib, actor: &Actor, now: Timestamp) -> Result<Mib, StoreError> {
        let conn = self.conn("keep a MIB").await?;
        conn.begin().await?;
        let kept = match put(&conn, &new, actor, now).await {
            Ok(kept) => kept,
            Err(error) => return Err(conn.refuse(error).await),
        };
        conn.commit().await?;
        Ok(kept)
    }

    async fn delete_mib(
        &self,
        name: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let conn = self.conn("delete a MIB").await?;
        conn.begin().await?;
        if let Err(error) = delete(&conn, name, actor, now).await {
            return Err(conn.refuse(error).await);
        }
        conn.commit().await.map(drop)
    }
}
