//! Rule sets by version: each change to rules, development hosts or teams makes a new one.

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::rule::RuleSet;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::SqliteStore;
use super::engine::Writer;
use super::totals::Totals;
use crate::rule_edit::edit;
use crate::store::{Actor, Change, Expected, RuleChange, RuleStore, StoreError};

#[async_trait]
impl RuleStore for SqliteStore {
    async fn rule_set_version(&self) -> Result<i64, StoreError> {
        self.read("read the rules' version", |conn| Ok(Totals::load(conn)?.ruleset)).await
    }

    async fn rule_set(&self, version: Option<i64>) -> Result<RuleSet, StoreError> {
        self.read("read the rules", move |conn| {
            let version = match version {
                Some(version) => version,
                None => Totals::load(conn)?.ruleset,
            };
            load(conn, version)
        })
        .await
    }

    async fn change_rules(
        &self,
        change: RuleChange,
        expected: Option<Expected>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(RuleSet, Option<i64>), StoreError> {
        let actor = actor.clone();
        let apply =
            move |writer: &mut Writer| apply(&writer.conn, change, expected.as_ref(), &actor, now);
        let changed = self.write("change the rules", apply).await?;
        self.signals.rules.ring();
        Ok(changed)
    }
}

pub(super) fn load(conn: &Connection, version: i64) -> Result<RuleSet, StoreError> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM rule_sets WHERE version = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    match body {
        Some(body) => Ok(serde_json::from_str(&body)?),
        None if version == 0 => Ok(RuleSet::default()),
        None => Err(StoreError::NotFound(format!("no rule set of version {version} is kept"))),
    }
}

fn apply(
    conn: &Connection,
    change: RuleChange,
    expected: Option<&Expected>,
    actor: &Actor,
    now: Timestamp,
) -> Result<(RuleSet, Option<i64>), StoreError> {
    let mut totals = Totals::load(conn)?;
    let mut set = load(conn, totals.ruleset)?;
    let mut id = None;
    let Some(entry) = edit(&mut set, &mut totals.rule_id, change, expected, &mut id)? else {
        return Ok((set, None));
    };
    set.version += 1;
    totals.ruleset = set.version;
    conn.execute(
        "INSERT INTO rule_sets VALUES (?1, ?2)",
        (set.version, serde_json::to_string(&set)?),
    )?;
    totals.save(conn)?;
    log_change(conn, &entry.into_change(actor, now))?;
    Ok((set, id))
}

/// Writes an entry of the change log; its id is given here.
pub(super) fn log_change(conn: &Connection, change: &Change) -> Result<(), StoreError> {
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    conn.prepare_cached(
        "INSERT INTO changes (at, who, object, object_id, action, old, new, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        change.at.0,
        &change.who,
        &change.object,
        &change.object_id,
        &change.action,
        text(&change.old),
        text(&change.new),
        &change.reason,
    ))?;
    Ok(())
}
