//! The configuration as it is, and what of it is changed while MUTT runs: one version after another,
//! with who, why, history, difference and rollback.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use mutt_store::store::{Settings, SettingsChange, diff as difference};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, list, shown};
use crate::params::{IfMatch, JsonBody, Params, etag};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, Role, WebState};

/// The effective configuration, each key with what may be done with it, and the settings' version. While
/// the store is away, what this process runs with is shown, and no version.
pub(crate) async fn index(State(state): State<WebState>) -> Shown {
    let settings = state.store.settings(None).await.ok();
    let mut answer = state.program.config();
    answer["keys"] = shown(&state.program.keys(settings.as_ref()));
    answer["version"] = settings.map(|settings| settings.version).into();
    Ok(Json(answer))
}

fn key_of(state: &WebState, settings: &Settings, key: &str) -> Answer<Value> {
    let keys = state.program.keys(Some(settings));
    let found = keys.iter().find(|known| known.key == key);
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no key `{key}`")))?;
    let mut answer = shown(found);
    answer["version"] = settings.version.into();
    Ok(answer)
}

/// An answer about settings of a version; `If-Match` takes that version.
fn at(version: i64, answer: Value) -> Response {
    (etag(&version.to_string()), Json(answer)).into_response()
}

pub(crate) async fn one(State(state): State<WebState>, Path(key): Path<String>) -> Answer {
    let settings = state.store.settings(None).await?;
    Ok(at(settings.version, key_of(&state, &settings, &key)?))
}

/// The version that a write expects to be in force, and the status that says that it is not.
type Expected = (Option<i64>, StatusCode);

fn expected(if_match: IfMatch, version: Option<i64>) -> Answer<Expected> {
    match (if_match.0, version) {
        (Some(_), Some(_)) => Err(Problem::bad("send If-Match or `expected_version`, not both")),
        (Some(tag), None) => {
            let version =
                tag.parse().map_err(|_| Problem::stale(format!("no version is {tag}")))?;
            Ok((Some(version), StatusCode::PRECONDITION_FAILED))
        }
        (None, version) => Ok((version, StatusCode::CONFLICT)),
    }
}

/// A value as an environment variable holds it.
pub(crate) fn text_of(value: Value) -> Answer<String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(Problem::bad("`value` is a text or a number, as \"50/s\" or 100")),
    }
}

/// Validates and makes one change of one key; shared by API, v1 and pages.
pub(crate) async fn change(
    state: &WebState,
    who: &Principal,
    key: &str,
    value: Option<String>,
    expected: Option<i64>,
    reason: Option<String>,
) -> Answer<Settings> {
    let before = state.store.settings(None).await?;
    let needs = state.program.check_setting(key, value.as_deref(), &before)?;
    if who.role < needs {
        return Err(Problem::forbidden(format!(
            "`{key}` is set by the role {}; this token has {}",
            needs.name(),
            who.role.name()
        )));
    }
    let edit = SettingsChange::Edit(BTreeMap::from([(key.to_owned(), value)]));
    let now = state.clock.wall();
    let after = state.store.change_settings(edit, expected, &who.actor(reason), now).await?;
    tracing::info!(who = who.name, key, version = after.version, "a setting was changed");
    Ok(after)
}

/// As [`change`], with the key as it is then for an answer.
async fn changed(
    state: &WebState,
    who: &Principal,
    key: &str,
    value: Option<String>,
    (expected, stale): Expected,
    reason: Option<String>,
) -> Answer {
    let after = change(state, who, key, value, expected, reason).await;
    let after = after.map_err(|problem| told(problem, stale))?;
    let version = after.version;
    // What fitted no more is unset, and nothing is left of it to show.
    let answer = key_of(state, &after, key)
        .unwrap_or_else(|_| json!({"key": key, "value": null, "version": version}));
    Ok(at(version, answer))
}

/// A conflict under the status that the client asked for by the way it named the version.
fn told(mut problem: Problem, stale: StatusCode) -> Problem {
    if problem.status == StatusCode::CONFLICT {
        problem.status = stale;
    }
    problem
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    value: Value,
}

pub(crate) async fn set(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, body.take_expected_version()?)?;
    let SetBody { value } = body.into()?;
    let is_new = !state.store.settings(None).await?.values.contains_key(&key);
    let value = Some(text_of(value)?);
    let answer = changed(&state, &who, &key, value, expected, reason).await?;
    Ok(if is_new { (StatusCode::CREATED, answer).into_response() } else { answer })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn unset(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, body.take_expected_version()?)?;
    let Nothing {} = body.into()?;
    changed(&state, &who, &key, None, expected, reason).await
}

pub(crate) async fn history(State(state): State<WebState>, params: Params) -> Shown {
    let page = state.store.settings_history(params.limit()?, params.get("cursor")).await?;
    Ok(list(page, shown))
}

pub(crate) async fn diff(State(state): State<WebState>, params: Params) -> Shown {
    let to = state.store.settings(params.number("to")?).await?;
    let from = params.number("from")?.unwrap_or_else(|| (to.version - 1).max(0));
    let from = state.store.settings(Some(from)).await?;
    let edits = shown(&difference(&from, &to));
    Ok(Json(json!({"from": from.version, "to": to.version, "edits": edits})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    version: i64,
}

/// Makes the overrides of an earlier version stand again; gives them, and those that are not used.
/// What no longer fits the configuration comes back too: it is shown as ignored, and never fatal.
pub(crate) async fn roll_back(
    state: &WebState,
    who: &Principal,
    version: i64,
    expected: Option<i64>,
    reason: Option<String>,
) -> Answer<(Settings, BTreeMap<String, String>)> {
    let (back, now) = (SettingsChange::RollBack(version), state.clock.wall());
    let after = state.store.change_settings(back, expected, &who.actor(reason), now).await?;
    tracing::info!(who = who.name, to = version, version = after.version, "settings rolled back");
    let keys = state.program.keys(Some(&after)).into_iter();
    let ignored = keys.filter_map(|key| Some((key.key, key.ignored?))).collect();
    Ok((after, ignored))
}

pub(crate) async fn rollback(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    debug_assert!(who.role >= Role::Admin, "the route's guard lets nobody else in");
    let reason = body.take_reason()?;
    let (expected, stale) = expected(if_match, body.take_expected_version()?)?;
    let RollbackBody { version } = body.into()?;
    let done = roll_back(&state, &who, version, expected, reason).await;
    let (after, ignored) = done.map_err(|problem| told(problem, stale))?;
    let answer = json!({"version": after.version, "values": after.values, "ignored": ignored});
    Ok(at(after.version, answer))
}
