//! The configuration as it is, and what of it is changed while MUTT runs: one version after another,
//! with who, why, history, difference and rollback.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_store::store::{Settings, SettingsChange, diff as difference};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, list, shown};
use crate::params::{JsonBody, Params};
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

fn key_of(state: &WebState, settings: &Settings, key: &str) -> Shown {
    let keys = state.program.keys(Some(settings));
    let found = keys.iter().find(|known| known.key == key);
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no key `{key}`")))?;
    let mut answer = shown(found);
    answer["version"] = settings.version.into();
    Ok(Json(answer))
}

pub(crate) async fn one(State(state): State<WebState>, Path(key): Path<String>) -> Shown {
    key_of(&state, &state.store.settings(None).await?, &key)
}

/// A value as an environment variable holds it.
fn text_of(value: Value) -> Answer<String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(Problem::bad("`value` is a text or a number, as \"50/s\" or 100")),
    }
}

/// Validates and makes one change of one key.
async fn change(
    state: &WebState,
    who: &Principal,
    key: String,
    value: Option<String>,
    reason: Option<String>,
    expected: Option<i64>,
) -> Shown {
    let before = state.store.settings(None).await?;
    let needs = state.program.check_setting(&key, value.as_deref(), &before)?;
    if who.role < needs {
        return Err(Problem::forbidden(format!(
            "`{key}` is set by the role {}; this token has {}",
            needs.name(),
            who.role.name()
        )));
    }
    let edit = SettingsChange::Edit(BTreeMap::from([(key.clone(), value)]));
    let now = state.clock.wall();
    let after = state.store.change_settings(edit, expected, &who.actor(reason), now).await?;
    tracing::info!(who = who.name, key, version = after.version, "a setting was changed");
    match key_of(state, &after, &key) {
        // What fitted no more is unset, and nothing is left of it to show.
        Err(_) => Ok(Json(json!({"key": key, "value": null, "version": after.version}))),
        shown => shown,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    value: Value,
    #[serde(default)]
    expected_version: Option<i64>,
}

pub(crate) async fn set(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let SetBody { value, expected_version } = body.into()?;
    change(&state, &who, key, Some(text_of(value)?), reason, expected_version).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsetBody {
    #[serde(default)]
    expected_version: Option<i64>,
}

pub(crate) async fn unset(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let UnsetBody { expected_version } = body.into()?;
    change(&state, &who, key, None, reason, expected_version).await
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
    #[serde(default)]
    expected_version: Option<i64>,
}

/// What no longer fits the configuration comes back too: it is shown as ignored, and never fatal.
pub(crate) async fn rollback(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    debug_assert!(who.role >= Role::Admin, "the route's guard lets nobody else in");
    let reason = body.take_reason()?;
    let RollbackBody { version, expected_version } = body.into()?;
    let (back, now) = (SettingsChange::RollBack(version), state.clock.wall());
    let after =
        state.store.change_settings(back, expected_version, &who.actor(reason), now).await?;
    tracing::info!(who = who.name, to = version, version = after.version, "settings rolled back");
    let keys = state.program.keys(Some(&after)).into_iter();
    let ignored: BTreeMap<String, String> =
        keys.filter_map(|key| Some((key.key, key.ignored?))).collect();
    Ok(Json(json!({"version": after.version, "values": after.values, "ignored": ignored})))
}
