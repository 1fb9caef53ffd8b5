//! Partitions of the audit: made ahead, found, replaced by what is held of them, dropped.

use mutt_model::Timestamp;

use super::audit::{self, DAY};
use super::{Conn, PostgresStore, copy};
use crate::store::StoreError;

/// Days for which partitions are made ahead.
const DAYS_AHEAD: i64 = 7;

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) handled: bool,
    pub(super) name: String,
    /// `received_at` of its rows is not before this.
    pub(super) from: Timestamp,
    /// And before this.
    pub(super) until: Timestamp,
}

impl Partition {
    /// Of the name that the schema's function gave it, `..._pYYYYMMDD`.
    fn named(handled: bool, name: String, days: i32) -> Self {
        let from = Timestamp(i64::from(days) * DAY);
        Self { handled, name, from, until: Timestamp(from.0 + DAY) }
    }
}

/// Makes the partitions of yesterday and of the coming week; those that stand are left alone.
pub(super) async fn make_ahead(store: &PostgresStore, now: Timestamp) -> Result<(), StoreError> {
    let today = audit::start_of_day(now) / DAY;
    for day in today - 1..=today + DAYS_AHEAD {
        make(store, Timestamp(day * DAY)).await?;
    }
    Ok(())
}

/// Makes the two partitions of a moment's day.
pub(super) async fn make(store: &PostgresStore, at: Timestamp) -> Result<(), StoreError> {
    let day = i32::try_from(audit::start_of_day(at) / DAY).unwrap_or(0);
    let conn = store.owner_conn("make a partition").await?;
    conn.run("SELECT mutt_make_partition(date '1970-01-01' + $1::int)", &[&day]).await?;
    Ok(())
}

/// The partitions of one parent whose rows are all before `floor`, oldest first.
pub(super) async fn expired(
    conn: &Conn,
    handled: bool,
    floor: Timestamp,
) -> Result<Vec<Partition>, StoreError> {
    let rows = conn
        .all(
            "SELECT name, day FROM (
                SELECT c.relname::text AS name,
                    to_date(right(c.relname::text, 8), 'YYYYMMDD') - date '1970-01-01' AS day
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = to_regclass($1) AND c.relname::text ~ '_p[0-9]{8}$') AS parts
             WHERE (day + 1)::bigint * 86400000000 <= $2 ORDER BY day",
            &[&format!("mutt.{}", copy::table(handled)), &floor.0],
        )
        .await?;
    Ok(rows.iter().map(|row| Partition::named(handled, row.get(0), row.get(1))).collect())
}

/// Rows of a partition: those that may go, and whether any is held.
pub(super) async fn count(conn: &Conn, part: &Partition) -> Result<(u64, bool), StoreError> {
    let sql = format!(
        "SELECT COUNT(*) FILTER (WHERE NOT mutt_held(host, received_at)),
            COALESCE(bool_or(mutt_held(host, received_at)), false) FROM {}",
        part.name
    );
    let row = conn.one(&sql, &[]).await?;
    Ok((u64::try_from(row.get::<_, i64>(0)).unwrap_or(0), row.get(1)))
}

/// Takes a partition out, inside a transaction: what of it is held stays as a partition of the same
/// name. The parent is locked at the very end only, and not for long: who comes behind this waits.
pub(super) async fn take_out(conn: &Conn, part: &Partition, held: bool) -> Result<(), StoreError> {
    let (parent, name) = (copy::table(part.handled), part.name.as_str());
    let day = i32::try_from(part.from.0 / DAY).unwrap_or(0);
    conn.run(
        "INSERT INTO retired_days VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[&part.handled, &day],
    )
    .await?;
    if held {
        // Whole before the parent is locked: attaching finds its indexes and, by the condition, need
        // not look at its rows.
        conn.batch(&format!(
            "CREATE TABLE {name}_held (LIKE {parent} INCLUDING DEFAULTS INCLUDING INDEXES,
                CONSTRAINT {name}_held_span CHECK (received_at >= {} AND received_at < {}));
             INSERT INTO {name}_held SELECT * FROM {name} WHERE mutt_held(host, received_at)",
            part.from.0, part.until.0
        ))
        .await?;
    }
    conn.batch(&format!(
        "SET LOCAL lock_timeout = '500ms'; ALTER TABLE {parent} DETACH PARTITION {name};
         DROP TABLE {name}"
    ))
    .await?;
    if held {
        conn.batch(&format!(
            "ALTER TABLE {name}_held RENAME TO {name};
             ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({}) TO ({})",
            part.from.0, part.until.0
        ))
        .await?;
    }
    Ok(())
}
