//! Rule sets by version: each change to rules, development hosts or teams makes a new one.

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::rule::RuleSet;
use serde_json::Value;

use super::{Conn, PostgresStore, signal};
use crate::rule_edit::edit;
use crate::store::{Actor, Change, Expected, RuleChange, RuleStore, StoreError};

#[async_trait]
impl RuleStore for PostgresStore {
    async fn rule_set_version(&self) -> Result<i64, StoreError> {
        let conn = self.conn("read the rules' version").await?;
        Ok(conn.one("SELECT version FROM rule_state", &[]).await?.get(0))
    }

    async fn rule_set(&self, version: Option<i64>) -> Result<RuleSet, StoreError> {
        let conn = self.conn("read the rules").await?;
        let version = match version {
            Some(version) => version,
            None => conn.one("SELECT version FROM rule_state", &[]).await?.get(0),
        };
        load(&conn, version).await
    }

    async fn change_rules(
        &self,
        change: RuleChange,
        expected: Option<Expected>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(RuleSet, Option<i64>), StoreError> {
        let conn = self.conn("change the rules").await?;
        conn.begin().await?;
        let changed = match apply(&conn, change, expected.as_ref(), actor, now).await {
            Ok(changed) => changed,
            Err(error) => return Err(conn.refuse(error).await),
        };
        conn.commit().await?;
        self.signals.rules.ring();
        Ok(changed)
    }
}

async fn load(conn: &Conn, version: i64) -> Result<RuleSet, StoreError> {
    match conn.opt("SELECT body FROM rule_sets WHERE version = $1", &[&version]).await? {
        Some(row) => Ok(serde_json::from_str(row.get(0))?),
        None if version == 0 => Ok(RuleSet::default()),
        None => Err(StoreError::NotFound(format!("no rule set of version {version} is kept"))),
    }
}

async fn apply(
    conn: &Conn,
    change: RuleChange,
    expected: Option<&Expected>,
    actor: &Actor,
    now: Timestamp,
) -> Result<(RuleSet, Option<i64>), StoreError> {
    // One change at a time: the row is locked until the end.
    let state = conn.one("SELECT version, rule_id FROM rule_state FOR UPDATE", &[]).await?;
    let (version, mut newest): (i64, i64) = (state.get(0), state.get(1));
    let mut set = load(conn, version).await?;
    let mut id = None;
    let Some(entry) = edit(&mut set, &mut newest, change, expected, &mut id)? else {
        return Ok((set, None));
    };
    set.version += 1;
    let body = serde_json::to_string(&set)?;
    conn.run("INSERT INTO rule_sets VALUES ($1, $2)", &[&set.version, &body]).await?;
    conn.run("UPDATE rule_state SET version = $1, rule_id = $2", &[&set.version, &newest]).await?;
    log_change(conn, &entry.into_change(actor, now)).await?;
    conn.batch(signal::NOTIFY_RULES).await?;
    Ok((set, id))
}

/// Writes an entry of the change log; its id is given here.
pub(crate) async fn log_change(conn: &Conn, change: &Change) -> Result<(), StoreError> {
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    conn.run(
        "INSERT INTO changes (at, who, object, object_id, action, old, new, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &change.at.0,
            &change.who,
            &change.object,
            &change.object_id,
            &change.action,
            &text(&change.old),
            &text(&change.new),
            &change.reason,
        ],
    )
    .await?;
    Ok(())
}
