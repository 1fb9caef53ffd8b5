//! Rows of the audit as they are read: by place, by id. An id carries its moment, so that a look-up
//! touches the partitions of that moment only.

use std::collections::{HashMap, HashSet};

use mutt_model::audit::{AuditedEvent, Judgement};
use mutt_model::batch::decode_body;
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use mutt_model::{Id, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Conn;
use super::types::Uid;
use crate::store::StoreError;

/// The columns that [`from_row`] reads, in order.
pub(super) const COLUMNS: &str = "handled, received_at, id, seq, ruleset, rule_id, alert_id, dev, decision, team, body, severity, host";

/// The same of one parent.
pub(super) fn columns_of(handled: bool) -> String {
    COLUMNS.replacen("handled", if handled { "true AS handled" } else { "false AS handled" }, 1)
}

/// An id is given with the moment of receipt. Several listeners share one source of ids, so that one
/// that was a moment late has an id of a moment after its `received_at`.
const LATE: i64 = 60_000_000;

/// Reads the columns of [`COLUMNS`].
pub(super) fn from_row(row: &Row) -> Result<AuditedEvent, StoreError> {
    let event = decode_body(row.get(10))
        .ok_or_else(|| StoreError::Data("an audit row holds no readable event".to_owned()))?;
    let decision: Option<&str> = row.get(8);
    let environment = if row.get(7) { Environment::Dev } else { Environment::Prod };
    Ok(AuditedEvent {
        seq: row.get(3),
        event: event.into_owned(),
        judgement: Judgement {
            ruleset: row.get(4),
            handled: row.get(0),
            rule_id: row.get(5),
            decision: decision.map(Handling::parse),
            environment,
            team: row.get(9),
            alert_id: row.get::<_, Option<Uid>>(6).map(|id| id.0),
        },
    })
}

/// The microsecond that an id was made for: its 12 bits below the millisecond name it.
pub(super) fn moment(id: Id) -> i64 {
    let sub = i64::from(u16::from_be_bytes([id.0[6] & 0x0f, id.0[7]]));
    let micros = (sub * 1_000 + 4_095) / 4_096;
    i64::try_from(id.millis()).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000) + micros
}

/// Runs a query on the audit that is planned for its parameters, so that partitions outside of them are
/// neither planned nor locked.
pub(super) async fn query(
    conn: &Conn,
    sql: &str,
    params: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, StoreError> {
    conn.client()?.query_typed(sql, params).await.map_err(|e| conn.failed(e))
}

/// The audited events with these ids, as far as they are kept.
pub(super) async fn by_ids(
    conn: &Conn,
    ids: impl Iterator<Item = Id>,
) -> Result<HashMap<Id, AuditedEvent>, StoreError> {
    let mut wanted: Vec<Id> = ids.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = HashMap::with_capacity(wanted.len());
    let Some((first, last)) = wanted.first().zip(wanted.last()) else { return Ok(found) };
    let (from, to) = (moment(*first), moment(*last));
    let at: Vec<i64> = wanted.iter().map(|id| moment(*id)).collect();
    let uids: Vec<Uid> = wanted.iter().copied().map(Uid).collect();
    let part = |handled: bool| {
        let (columns, table) = (columns_of(handled), super::copy::table(handled));
        format!(
            "SELECT {columns} FROM {table}
             WHERE (received_at, id) IN (SELECT * FROM unnest($1::bigint[], $2::uuid[]))
                AND received_at >= $3 AND received_at <= $4"
        )
    };
    let sql = format!("{} UNION ALL {}", part(true), part(false));
    let params: [(&(dyn ToSql + Sync), Type); 4] = [
        (&at, Type::INT8_ARRAY),
        (&uids, Type::UUID_ARRAY),
        (&from, Type::INT8),
        (&to, Type::INT8),
    ];
    for row in query(conn, &sql, &params).await? {
        found.insert(row.get::<_, Uid>(2).0, from_row(&row)?);
    }
    Ok(found)
}

/// Which of these events stand, each looked for in the partition of its moment.
pub(super) async fn standing(
    conn: &Conn,
    events: &[(Timestamp, Id)],
) -> Result<HashSet<Id>, StoreError> {
    let at: Vec<i64> = events.iter().map(|(at, _)| at.0).collect();
    let uids: Vec<Uid> = events.iter().map(|(_, id)| Uid(*id)).collect();
    let (Some(from), Some(to)) = (at.iter().min(), at.iter().max()) else {
        return Ok(HashSet::new());
    };
    let part = |handled: bool| {
        let table = super::copy::table(handled);
        format!(
            "SELECT a.id FROM unnest($1::bigint[], $2::uuid[]) AS w (at, id)
             JOIN {table} a ON a.received_at = w.at AND a.id = w.id
             WHERE a.received_at >= $3 AND a.received_at <= $4"
        )
    };
    let sql = format!("{} UNION ALL {}", part(true), part(false));
    let params: [(&(dyn ToSql + Sync), Type); 4] =
        [(&at, Type::INT8_ARRAY), (&uids, Type::UUID_ARRAY), (from, Type::INT8), (to, Type::INT8)];
    let rows = query(conn, &sql, &params).await?;
    Ok(rows.iter().map(|row| row.get::<_, Uid>(0).0).collect())
}

/// The audited event with this id.
pub(super) async fn by_id(conn: &Conn, id: Id) -> Result<Option<AuditedEvent>, StoreError> {
    let at = moment(id);
    for (from, to) in [(at, at), (at.saturating_sub(LATE), at)] {
        let sql = format!(
            "SELECT {COLUMNS} FROM audit WHERE received_at >= $1 AND received_at <= $2 AND id = $3
             LIMIT 1"
        );
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&from, Type::INT8), (&to, Type::INT8), (&Uid(id), Type::UUID)];
        if let Some(row) = query(conn, &sql, &params).await?.first() {
            return from_row(row).map(Some);
        }
    }
    Ok(None)
}

/// The start of the day of a moment (UTC), in microseconds: where its partition begins.
pub(super) fn start_of_day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY) * DAY
}

/// Microseconds of a day, the span of a partition.
pub(super) const DAY: i64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use mutt_model::IdSource;

    use super::*;

    #[test]
    fn an_id_names_the_microsecond_of_its_receipt() {
        let mut ids = IdSource::new(5);
        for micros in (1_764_000_000_000_000i64..).step_by(1).take(2_001) {
            assert_eq!(moment(ids.next(Timestamp(micros))), micros);
        }
    }
}
