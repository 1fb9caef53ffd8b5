//! Rules: create, read, update, delete, and what a rule or the whole set makes of sample events.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mutt_model::rule::{Rule, RuleSet};
use mutt_store::store::{Expected, RuleChange, tag};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Shown, missing, shown, whole};
use crate::judging;
use crate::params::{IfMatch, JsonBody, PAGE_DEFAULT, Params, etag, read_value};
use crate::problem::{Answer, Problem, nearest};
use crate::state::{Principal, WebState};

/// One test may judge this many sample events.
pub(crate) const SAMPLES_MAX: usize = 100;

/// Fields of a rule as the API and imports write them.
pub(crate) const FIELDS: [&str; 20] = [
    "id",
    "name",
    "match_string",
    "match_type",
    "trap_oid",
    "syslog_severity",
    "severity_max",
    "host",
    "priority",
    "prod_handling",
    "dev_handling",
    "team_assignment",
    "is_active",
    "action",
    "problem",
    "key",
    "resource",
    "alert_severity",
    "clear_after",
    "description",
];

/// A rule with all its fields, absent ones null.
pub(crate) fn rule_json(rule: &Rule) -> Value {
    let given = shown(rule);
    let all: Map<String, Value> =
        FIELDS.iter().map(|name| ((*name).to_owned(), given[*name].clone())).collect();
    Value::Object(all)
}

/// A rule from a body. Nulls stand for defaults, severities may be names, unknown fields are refused.
pub(crate) fn read_rule(value: Value) -> Answer<Rule> {
    let Value::Object(map) = value else {
        return Err(Problem::bad("a rule is a JSON object"));
    };
    if let Some(unknown) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let hint = nearest(unknown, FIELDS).map_or_else(
            || format!("; allowed: {}", FIELDS.join(", ")),
            |near| format!(", did you mean `{near}`?"),
        );
        return Err(Problem::bad(format!("unknown field `{unknown}`{hint}")));
    }
    let mut clean = Map::new();
    for (name, value) in map {
        let severity = matches!(&*name, "syslog_severity" | "severity_max" | "alert_severity");
        let value = match value {
            Value::Null => continue,
            Value::String(text) if severity => {
                let severity = mutt_model::Severity::parse(&text).ok_or_else(|| {
                    Problem::bad(format!("{name}: `{text}` is no severity (0 to 7 or a name)"))
                })?;
                Value::from(severity.number())
            }
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) if matches!(&*name, "match_type" | "action") => {
                Value::String(text.to_ascii_lowercase())
            }
            value => value,
        };
        clean.insert(name, value);
    }
    read_value(Value::Object(clean))
}

pub(crate) fn find(set: &RuleSet, id: i64) -> Answer<&Rule> {
    set.rules.iter().find(|rule| rule.id == id).ok_or_else(|| missing("rule", id))
}

/// Rules in the order in which they are tried.
pub(crate) fn in_order(set: &RuleSet) -> Vec<&Rule> {
    let mut rules: Vec<&Rule> = set.rules.iter().collect();
    rules.sort_by_key(|rule| (rule.priority, rule.id));
    rules
}

fn path_rule(text: &str) -> Answer<i64> {
    text.parse().map_err(|_| missing("rule", text))
}

pub(crate) async fn index(State(state): State<WebState>, params: Params) -> Shown {
    let set = state.store.rule_set(None).await?;
    let active = params.flag("is_active")?;
    let kept = in_order(&set).into_iter().filter(|rule| active.is_none_or(|a| a == rule.is_active));
    let mut answer = whole(kept.map(rule_json).collect());
    answer["ruleset"] = json!(set.version);
    Ok(answer)
}

/// A rule as an answer, with the tag that `If-Match` takes.
fn answer(rule: &Rule) -> Response {
    (etag(&tag(rule)), Json(rule_json(rule))).into_response()
}

pub(crate) async fn one(State(state): State<WebState>, Path(id): Path<String>) -> Answer {
    let set = state.store.rule_set(None).await?;
    Ok(answer(find(&set, path_rule(&id)?)?))
}

/// What a write expects to stand: the tag of its header, or the version of its body.
pub(crate) fn expected(if_match: IfMatch, body: &mut JsonBody) -> Answer<Option<Expected>> {
    let version = body.take_expected_version()?;
    match (if_match.0, version) {
        (Some(_), Some(_)) => Err(Problem::bad("send If-Match or `expected_version`, not both")),
        (Some(tag), None) => Ok(Some(Expected::Object(tag))),
        (None, version) => Ok(version.map(Expected::Version)),
    }
}

/// Validates and writes one change; shared by API, v1 and pages.
pub(crate) async fn change(
    state: &WebState,
    who: &Principal,
    change: RuleChange,
    expected: Option<Expected>,
    reason: Option<String>,
) -> Answer<(RuleSet, Option<i64>)> {
    if let RuleChange::CreateRule(rule) | RuleChange::UpdateRule(rule) = &change {
        judging::validate(rule)?;
    }
    let (now, named) = (state.clock.wall(), named(&change));
    let by_version = matches!(expected, Some(Expected::Version(_)));
    match state.store.change_rules(change, expected, &who.actor(reason), now).await {
        Ok((set, id)) => {
            state.program.rules_changed(set.version);
            Ok((set, id))
        }
        Err(error) => {
            let mut problem = Problem::from(error);
            if problem.status == StatusCode::PRECONDITION_FAILED {
                if let Some(by) = changed_by(state, named).await {
                    problem.detail = format!("{} ({by})", problem.detail);
                }
                if by_version {
                    problem.status = StatusCode::CONFLICT;
                }
            }
            Err(problem)
        }
    }
}

/// As the change log calls the object of a change.
fn named(change: &RuleChange) -> Option<(&'static str, String)> {
    Some(match change {
        RuleChange::UpdateRule(rule) => ("rule", rule.id.to_string()),
        RuleChange::DeleteRule(id) => ("rule", id.to_string()),
        RuleChange::RemoveDevHost(host) | RuleChange::RenameDevHost { from: host, .. } => {
            ("dev_host", host.to_lowercase())
        }
        RuleChange::SetTeam { host, .. } | RuleChange::RemoveTeam(host) => {
            ("team", host.to_lowercase())
        }
        RuleChange::CreateRule(_) | RuleChange::AddDevHost(_) | RuleChange::First(_) => {
            return None;
        }
    })
}

/// Who was faster, when and why, as far as the newest page of the change log tells.
async fn changed_by(state: &WebState, named: Option<(&str, String)>) -> Option<String> {
    let (object, id) = named?;
    let page = state.store.changes(PAGE_DEFAULT, None).await.ok()?;
    let last = page.items.into_iter().find(|c| c.object == object && c.object_id == id)?;
    let why = last.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Some(format!("changed by {} at {}{why}", last.who, last.at))
}

/// Creates a rule; gives it back as it is stored.
pub(crate) async fn create_rule(
    state: &WebState,
    who: &Principal,
    mut rule: Rule,
    reason: Option<String>,
) -> Answer<Rule> {
    rule.id = 0;
    let (set, id) =
        change(state, who, RuleChange::CreateRule(Box::new(rule)), None, reason).await?;
    let id = id.or_else(|| set.rules.iter().map(|rule| rule.id).max()).unwrap_or_default();
    find(&set, id).cloned()
}

pub(crate) async fn create(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let rule = create_rule(&state, &who, read_rule(body.0)?, reason).await?;
    let place = [(header::LOCATION, format!("/api/v2/rules/{}", rule.id))];
    Ok((StatusCode::CREATED, place, answer(&rule)).into_response())
}

/// Replaces a rule; shared by API, v1 and pages.
pub(crate) async fn update_rule(
    state: &WebState,
    who: &Principal,
    id: i64,
    mut rule: Rule,
    expected: Option<Expected>,
    reason: Option<String>,
) -> Answer<Rule> {
    if rule.id != 0 && rule.id != id {
        return Err(Problem::bad(format!("the body's id {} is not the path's {id}", rule.id)));
    }
    rule.id = id;
    let update = RuleChange::UpdateRule(Box::new(rule));
    let (set, _) = change(state, who, update, expected, reason).await?;
    find(&set, id).cloned()
}

pub(crate) async fn replace(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let id = path_rule(&id)?;
    let rule = update_rule(&state, &who, id, read_rule(body.0)?, expected, reason).await?;
    Ok(answer(&rule))
}

/// A stored rule with some of its fields changed. A null sets a field back to its default.
pub(crate) fn patched(rule: &Rule, patch: Value) -> Answer<Rule> {
    let Value::Object(patch) = patch else {
        return Err(Problem::bad("a rule is a JSON object"));
    };
    let mut value = rule_json(rule);
    for (name, field) in patch {
        value[name.as_str()] = field;
    }
    read_rule(value)
}

/// A change of some fields is read, made and written so often, when others write the rule meanwhile.
const PATCH_TRIES: usize = 5;

/// Changes some fields of a stored rule; the others stay as whoever wrote them last left them.
pub(crate) async fn patch_rule(
    state: &WebState,
    who: &Principal,
    id: i64,
    patch: &Value,
    expected: Option<Expected>,
    reason: Option<String>,
) -> Answer<Rule> {
    let mut tries = 1..=PATCH_TRIES;
    loop {
        let set = state.store.rule_set(None).await?;
        let stored = find(&set, id)?;
        let rule = patched(stored, patch.clone())?;
        let guard = expected.clone().unwrap_or_else(|| Expected::Object(tag(stored)));
        let _ = tries.next();
        match update_rule(state, who, id, rule, Some(guard), reason.clone()).await {
            Err(problem)
                if problem.status == StatusCode::PRECONDITION_FAILED
                    && expected.is_none()
                    && !tries.is_empty() => {}
            done => return done,
        }
    }
}

pub(crate) async fn update(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let id = path_rule(&id)?;
    Ok(answer(&patch_rule(&state, &who, id, &body.0, expected, reason).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn delete(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let Nothing {} = body.into()?;
    change(&state, &who, RuleChange::DeleteRule(path_rule(&id)?), expected, reason).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    #[serde(default)]
    rule: Value,
    #[serde(alias = "event", alias = "sample", alias = "samples")]
    events: Value,
}

pub(crate) async fn test(State(state): State<WebState>, body: JsonBody) -> Answer<Response> {
    let TestBody { rule, events } = body.into()?;
    let samples = match events {
        Value::Array(samples) => samples,
        one => vec![one],
    };
    if samples.is_empty() || samples.len() > SAMPLES_MAX {
        return Err(Problem::bad(format!("give 1 to {SAMPLES_MAX} sample events in `events`")));
    }
    let rule = if rule.is_null() { None } else { Some(read_rule(rule)?) };
    if let Some(rule) = &rule {
        judging::validate(rule)?;
    }
    let set = state.store.rule_set(None).await?;
    let results = samples
        .iter()
        .map(|sample| judging::sample(&state, &set, rule.as_ref(), sample))
        .collect::<Answer<Vec<Value>>>()?;
    Ok(Json(json!({"ruleset": set.version, "results": results})).into_response())
}
