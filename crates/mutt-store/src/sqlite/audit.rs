//! Rows of the audit: how an event is written and read back.

use std::collections::HashSet;

use mutt_model::audit::{AuditedEvent, Judgement};
use mutt_model::batch::decode_body;
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use mutt_model::{Event, Id};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::totals::signed;
use crate::counting::lower;
use crate::rows::JudgedAs;
use crate::store::StoreError;

/// The columns that [`from_row`] reads, in order.
pub(super) const COLUMNS: &str =
    "seq, id, severity, ruleset, rule_id, decision, dev, team, alert_id, body";

/// The table of handled or of unhandled events.
pub(super) const fn table(handled: bool) -> &'static str {
    if handled { "audit_handled" } else { "audit_unhandled" }
}

/// One row to be written.
pub(super) struct NewRow<'a> {
    pub(super) seq: i64,
    pub(super) event: &'a Event<'a>,
    pub(super) judgement: JudgedAs<'a>,
    pub(super) body: &'a [u8],
}

pub(super) fn insert(conn: &Connection, row: &NewRow<'_>) -> rusqlite::Result<()> {
    const HANDLED: &str = "INSERT INTO audit_handled (seq, id, host, severity, ruleset, rule_id, \
        decision, dev, team, alert_id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    const UNHANDLED: &str = "INSERT INTO audit_unhandled (seq, id, host, severity, ruleset, \
        rule_id, decision, dev, team, alert_id, body) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let judged = &row.judgement;
    let host = lower(&row.event.host);
    conn.prepare_cached(if judged.handled { HANDLED } else { UNHANDLED })?.execute((
        row.seq,
        row.event.id.0.as_slice(),
        host.as_ref(),
        row.event.severity.map(mutt_model::Severity::number),
        judged.ruleset,
        judged.rule_id,
        judged.decision,
        judged.environment == Environment::Dev,
        judged.team,
        judged.alert_id.as_ref().map(|id| id.0.as_slice()),
        row.body,
    ))?;
    Ok(())
}

/// Whether an event with this id stands in the audit.
pub(super) fn exists(conn: &Connection, id: Id) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM audit_handled WHERE id = ?1)
             OR EXISTS (SELECT 1 FROM audit_unhandled WHERE id = ?1)",
    )?
    .query_row([id.0.as_slice()], |row| row.get(0))
}

/// Reads the columns of [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>, handled: bool) -> Result<AuditedEvent, StoreError> {
    let body = row.get_ref(9)?.as_blob().map_err(|e| StoreError::Data(e.to_string()))?;
    let event = decode_body(body)
        .ok_or_else(|| StoreError::Data("an audit row holds no readable event".to_owned()))?;
    let decision: Option<String> = row.get(5)?;
    let environment = if row.get(6)? { Environment::Dev } else { Environment::Prod };
    Ok(AuditedEvent {
        seq: row.get(0)?,
        event: event.into_owned(),
        judgement: Judgement {
            ruleset: row.get(3)?,
            handled,
            rule_id: row.get(4)?,
            decision: decision.as_deref().map(Handling::parse),
            environment,
            team: row.get(7)?,
            alert_id: opt_id(row, 8)?,
        },
    })
}

pub(super) fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<Id> {
    row.get(at).map(Id)
}

pub(super) fn opt_id(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Id>> {
    Ok(row.get::<_, Option<[u8; 16]>>(at)?.map(Id))
}

/// The audited event with this id.
pub(super) fn by_id(conn: &Connection, id: Id) -> Result<Option<AuditedEvent>, StoreError> {
    for handled in [true, false] {
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE id = ?1", table(handled));
        let found = conn
            .prepare_cached(&sql)?
            .query_row([id.0.as_slice()], |row| Ok(from_row(row, handled)))
            .optional()?;
        if let Some(found) = found {
            return found.map(Some);
        }
    }
    Ok(None)
}

/// Which of these events stand.
pub(super) fn standing(conn: &Connection, ids: &[Id]) -> Result<HashSet<Id>, StoreError> {
    let mut found = HashSet::new();
    for handled in [true, false] {
        let mut look =
            conn.prepare_cached(&format!("SELECT 1 FROM {} WHERE id = ?1", table(handled)))?;
        for id in ids {
            if look.exists([id.0.as_slice()])? {
                found.insert(*id);
            }
        }
    }
    Ok(found)
}

/// Rows after `seq` in commit order, at most `limit`.
pub(super) fn after(
    conn: &Connection,
    seq: i64,
    limit: usize,
) -> Result<Vec<AuditedEvent>, StoreError> {
    let mut items = Vec::new();
    for handled in [true, false] {
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            table(handled)
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query((seq, signed(limit as u64)))?;
        while let Some(row) = rows.next()? {
            items.push(from_row(row, handled)?);
        }
    }
    items.sort_by_key(|item| item.seq);
    items.truncate(limit);
    Ok(items)
}
