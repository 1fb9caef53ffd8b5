//! Rule sets by version: each change to rules, development hosts or teams makes a new one.

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::rule::{Rule, RuleSet};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::SqliteStore;
use super::engine::Writer;
use super::totals::Totals;
use crate::store::{Actor, Change, RuleChange, RuleStore, StoreError};

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
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(RuleSet, Option<i64>), StoreError> {
        let actor = actor.clone();
        let apply = move |writer: &mut Writer| apply(&writer.conn, change, &actor, now);
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

/// An entry for the change log, as a change to rules makes it.
struct Entry {
    object: &'static str,
    object_id: String,
    action: &'static str,
    old: Option<Value>,
    new: Option<Value>,
}

fn apply(
    conn: &Connection,
    change: RuleChange,
    actor: &Actor,
    now: Timestamp,
) -> Result<(RuleSet, Option<i64>), StoreError> {
    let mut totals = Totals::load(conn)?;
    let mut set = load(conn, totals.ruleset)?;
    let mut id = None;
    let Some(entry) = edit(&mut set, &mut totals, change, &mut id)? else {
        return Ok((set, None));
    };
    set.version += 1;
    totals.ruleset = set.version;
    conn.execute(
        "INSERT INTO rule_sets VALUES (?1, ?2)",
        (set.version, serde_json::to_string(&set)?),
    )?;
    totals.save(conn)?;
    let Entry { object, object_id, action, old, new } = entry;
    log_change(
        conn,
        &Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: object.to_owned(),
            object_id,
            action: action.to_owned(),
            old,
            new,
            reason: actor.reason.clone(),
        },
    )?;
    Ok((set, id))
}

fn no_rule(id: i64) -> StoreError {
    StoreError::NotFound(format!("no rule has the id {id}"))
}

/// Makes the change in the set; `None` where nothing is to be done.
fn edit(
    set: &mut RuleSet,
    totals: &mut Totals,
    change: RuleChange,
    id: &mut Option<i64>,
) -> Result<Option<Entry>, StoreError> {
    let entry = |object, object_id: &dyn ToString, action, old, new| {
        let object_id = object_id.to_string();
        Ok(Some(Entry { object, object_id, action, old, new }))
    };
    match change {
        RuleChange::CreateRule(rule) => {
            let rule = with_next_id(*rule, totals);
            *id = Some(rule.id);
            let new = serde_json::to_value(&rule)?;
            set.rules.push(rule);
            entry("rule", &id.unwrap_or_default(), "create", None, Some(new))
        }
        RuleChange::UpdateRule(rule) => {
            let stood =
                set.rules.iter_mut().find(|r| r.id == rule.id).ok_or_else(|| no_rule(rule.id))?;
            let (old, new) = (serde_json::to_value(&*stood)?, serde_json::to_value(&rule)?);
            *id = Some(rule.id);
            *stood = *rule;
            entry("rule", &id.unwrap_or_default(), "update", Some(old), Some(new))
        }
        RuleChange::DeleteRule(gone) => {
            let at = set.rules.iter().position(|r| r.id == gone).ok_or_else(|| no_rule(gone))?;
            let old = serde_json::to_value(set.rules.remove(at))?;
            *id = Some(gone);
            entry("rule", &gone, "delete", Some(old), None)
        }
        RuleChange::AddDevHost(host) => {
            let host = host.to_lowercase();
            if !set.dev_hosts.insert(host.clone()) {
                return Err(StoreError::Conflict(format!("{host} is a development host already")));
            }
            entry("dev_host", &host, "create", None, Some(Value::String(host.clone())))
        }
        RuleChange::RemoveDevHost(host) => {
            let host = host.to_lowercase();
            if !set.dev_hosts.remove(&host) {
                return Err(StoreError::NotFound(format!("{host} is no development host")));
            }
            entry("dev_host", &host, "delete", Some(Value::String(host.clone())), None)
        }
        RuleChange::SetTeam { host, team, create } => {
            let host = host.to_lowercase();
            if create && set.teams.contains_key(&host) {
                return Err(StoreError::Conflict(format!("{host} has a team already")));
            }
            let old = set.teams.insert(host.clone(), team.clone()).map(Value::String);
            let action = if old.is_some() { "update" } else { "create" };
            entry("team", &host, action, old, Some(Value::String(team)))
        }
        RuleChange::RemoveTeam(host) => {
            let host = host.to_lowercase();
            let Some(old) = set.teams.remove(&host) else {
                return Err(StoreError::NotFound(format!("{host} has no team")));
            };
            entry("team", &host, "delete", Some(Value::String(old)), None)
        }
        RuleChange::First(rules) => {
            if set.version != 0 {
                return Ok(None);
            }
            let count = rules.len();
            set.rules = rules.into_iter().map(|rule| with_next_id(rule, totals)).collect();
            entry("rule", &"all", "create", None, Some(serde_json::json!({ "rules": count })))
        }
    }
}

fn with_next_id(mut rule: Rule, totals: &mut Totals) -> Rule {
    totals.rule_id += 1;
    rule.id = totals.rule_id;
    rule
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
