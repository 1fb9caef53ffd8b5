//! Changes to a rule set, without an engine: the set after it, and its entry in the change log.

use mutt_model::Timestamp;
use mutt_model::rule::{Rule, RuleSet};
use serde_json::Value;

use crate::store::{Actor, Change, Expected, RuleChange, StoreError, tag};

/// An entry for the change log, as a change to rules makes it.
pub(crate) struct Entry {
    object: &'static str,
    object_id: String,
    action: &'static str,
    old: Option<Value>,
    new: Option<Value>,
}

impl Entry {
    /// As the change log has it.
    pub(crate) fn into_change(self, actor: &Actor, now: Timestamp) -> Change {
        let Self { object, object_id, action, old, new } = self;
        Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: object.to_owned(),
            object_id,
            action: action.to_owned(),
            old,
            new,
            reason: actor.reason.clone(),
        }
    }
}

fn no_rule(id: i64) -> StoreError {
    StoreError::NotFound(format!("no rule has the id {id}"))
}

fn no_dev_host(host: &str) -> StoreError {
    StoreError::NotFound(format!("{host} is no development host"))
}

fn no_team(host: &str) -> StoreError {
    StoreError::NotFound(format!("{host} has no team"))
}

/// The object that a change names, in words, and its tag as it stands.
fn standing(set: &RuleSet, change: &RuleChange) -> Result<Option<(String, String)>, StoreError> {
    let found = match change {
        RuleChange::UpdateRule(rule) => rule_tag(set, rule.id)?,
        RuleChange::DeleteRule(id) => rule_tag(set, *id)?,
        RuleChange::RemoveDevHost(host) | RuleChange::RenameDevHost { from: host, .. } => {
            let host = host.to_lowercase();
            let stands = set.dev_hosts.get(&host).ok_or_else(|| no_dev_host(&host))?;
            (format!("the development host {host}"), tag(stands))
        }
        RuleChange::SetTeam { host, create: false, .. } | RuleChange::RemoveTeam(host) => {
            let host = host.to_lowercase();
            let team = set.teams.get(&host).ok_or_else(|| no_team(&host))?;
            (format!("the team of {host}"), tag(&(&host, team)))
        }
        RuleChange::CreateRule(_)
        | RuleChange::AddDevHost(_)
        | RuleChange::SetTeam { create: true, .. }
        | RuleChange::First(_) => return Ok(None),
    };
    Ok(Some(found))
}

fn rule_tag(set: &RuleSet, id: i64) -> Result<(String, String), StoreError> {
    let rule = set.rules.iter().find(|rule| rule.id == id).ok_or_else(|| no_rule(id))?;
    Ok((format!("rule {id}"), tag(rule)))
}

/// Refuses a change whose maker looked at something that stands no more.
fn check(set: &RuleSet, change: &RuleChange, expected: &Expected) -> Result<(), StoreError> {
    match expected {
        Expected::Version(version) if *version != set.version => Err(StoreError::Stale(format!(
            "the rule set in force is version {}, not {version}: look again, then change",
            set.version
        ))),
        Expected::Version(_) => Ok(()),
        Expected::Object(expected) => match standing(set, change)? {
            Some((what, stands)) if stands != *expected => Err(StoreError::Stale(format!(
                "{what} is \"{stands}\" now, not \"{expected}\": look again, then change"
            ))),
            _ => Ok(()),
        },
    }
}

/// Makes the change in the set, `newest` is the last rule id that was given; `None` where nothing is to be done.
pub(crate) fn edit(
    set: &mut RuleSet,
    newest: &mut i64,
    change: RuleChange,
    expected: Option<&Expected>,
    id: &mut Option<i64>,
) -> Result<Option<Entry>, StoreError> {
    if let Some(expected) = expected {
        check(set, &change, expected)?;
    }
    let entry = |object, object_id: &dyn ToString, action, old, new| {
        let object_id = object_id.to_string();
        Ok(Some(Entry { object, object_id, action, old, new }))
    };
    match change {
        RuleChange::CreateRule(rule) => {
            let rule = with_next_id(*rule, newest);
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
                return Err(no_dev_host(&host));
            }
            entry("dev_host", &host, "delete", Some(Value::String(host.clone())), None)
        }
        RuleChange::RenameDevHost { from, to } => {
            let (from, to) = (from.to_lowercase(), to.to_lowercase());
            if !set.dev_hosts.contains(&from) {
                return Err(no_dev_host(&from));
            }
            if from == to {
                return Ok(None);
            }
            if !set.dev_hosts.insert(to.clone()) {
                return Err(StoreError::Conflict(format!("{to} is a development host already")));
            }
            set.dev_hosts.remove(&from);
            let (old, new) = (Value::String(from.clone()), Value::String(to));
            entry("dev_host", &from, "update", Some(old), Some(new))
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
                return Err(no_team(&host));
            };
            entry("team", &host, "delete", Some(Value::String(old)), None)
        }
        RuleChange::First(rules) => {
            if set.version != 0 {
                return Ok(None);
            }
            let count = rules.len();
            set.rules = rules.into_iter().map(|rule| with_next_id(rule, newest)).collect();
            entry("rule", &"all", "create", None, Some(serde_json::json!({ "rules": count })))
        }
    }
}

fn with_next_id(mut rule: Rule, newest: &mut i64) -> Rule {
    *newest += 1;
    rule.id = *newest;
    rule
}
