//! Pages of settings: every key and what may be done with it, one key with its form, the versions with
//! their differences, and the way back to one.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::{Value, context};
use mutt_store::store::{SETTINGS_VERSIONS_KEPT, Settings, SettingsVersion, diff};

use super::{done_words, encoded, filled, go, next_link, render, render_form, theirs, value};
use crate::api::{config, missing};
use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{KeyState, Principal, WebState};

/// Changes of one key that are shown with it.
const KEY_CHANGES_SHOWN: usize = 20;
/// A write of one key is made anew so often, when other keys change meanwhile.
const WRITE_TRIES: usize = 5;

/// A value of the configuration as people read it.
fn value_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn key_row(who: &Principal, key: &KeyState) -> Value {
    context! {
        text => value_text(&key.value),
        may_set => key.role.is_some_and(|role| who.role >= role),
        role => key.role.map(crate::state::Role::name),
        ..value(key)
    }
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    // While the store is away, what this process runs with is shown, and no version.
    let settings = state.store.settings(None).await.ok();
    let part = params.get("q").unwrap_or_default().to_lowercase();
    let mut keys = state.program.keys(settings.as_ref());
    keys.retain(|key| {
        key.key.to_lowercase().contains(&part) || key.what.to_lowercase().contains(&part)
    });
    let count = |apply: &str| keys.iter().filter(|key| key.apply == apply).count();
    let words =
        [("live", "Changed here"), ("reload", "Need a reload"), ("restart", "Need a restart")];
    let tabs = words.map(|(name, words)| context! { name, words, count => count(name) });
    let current = params.get("apply").filter(|apply| words.iter().any(|(name, _)| name == apply));
    let current = current.unwrap_or("live");
    let shown = keys.iter().filter(|key| key.apply == current);
    let content = context! {
        page => "settings", tabs, current,
        rows => shown.map(|key| key_row(&who, key)).collect::<Vec<_>>(),
        set => keys.iter().filter(|key| key.setting.is_some()).count(),
        in_force => settings.map(|settings| settings.version),
        done => done_words(&params),
        form => filled(&params, &["q", "apply"]),
    };
    render(&state, Some(&who), "settings.html", content)
}

/// What is wrong with what was typed, or who was faster.
struct Refused<'a> {
    problem: &'a Problem,
    typed: Option<String>,
    reason: Option<String>,
}

async fn key_page(
    state: &WebState,
    who: &Principal,
    key: &str,
    refused: Option<Refused<'_>>,
    done: Option<&str>,
) -> Answer<Response> {
    let settings = state.store.settings(None).await?;
    let keys = state.program.keys(Some(&settings));
    let found = keys.iter().find(|known| known.key == key).ok_or_else(|| missing("key", key))?;
    let history = state.store.settings_history(SETTINGS_VERSIONS_KEPT, None).await?;
    let of_key = |version: &SettingsVersion| {
        let edit = version.edits.iter().find(|edit| edit.key == key)?;
        Some(context! { edit => value(edit), ..value(version) })
    };
    let changes: Vec<Value> =
        history.items.iter().filter_map(of_key).take(KEY_CHANGES_SHOWN).collect();
    let status = refused.as_ref().map(|refused| refused.problem.status);
    let wrong_value = status == Some(StatusCode::BAD_REQUEST);
    let (words, typed, reason) = match refused {
        Some(Refused { problem, typed, reason }) => (Some(&problem.detail), typed, reason),
        None => (None, None, None),
    };
    let content = context! {
        page => "settings",
        key => key_row(who, found),
        // What stands is typed over, not typed again.
        typed => typed.or_else(|| found.setting.clone()).or_else(|| value_text(&found.value)),
        reason,
        field_problem => words.filter(|_| wrong_value),
        problem => words.filter(|_| !wrong_value),
        in_force => settings.version,
        changes,
        done,
    };
    let mut response = render(state, Some(who), "setting.html", content)?;
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    Ok(response)
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    params: Params,
) -> Answer {
    key_page(&state, &who, &key, None, done_words(&params)).await
}

/// The version that the form was made from.
fn version_of(form: &FormBody) -> Answer<Option<i64>> {
    let read = |text: String| text.parse().map_err(|_| Problem::bad("`version` is a number"));
    form.get("version").map(read).transpose()
}

/// Changes one key of somebody who looked at a version. That other keys changed since is no conflict;
/// that this one did is, and the words tell both.
async fn write(
    state: &WebState,
    who: &Principal,
    key: &str,
    new: Option<String>,
    form: &FormBody,
) -> Answer<()> {
    let seen = version_of(form)?;
    let mut expected = seen;
    for _ in 0..WRITE_TRIES {
        let reason = form.get("reason");
        let done = config::change(state, who, key, new.clone(), expected, reason).await;
        match (done, seen) {
            (Err(problem), Some(seen)) if problem.status == StatusCode::CONFLICT => {
                let now = state.store.settings(None).await?;
                let looked_at = state.store.settings(Some(seen)).await.ok();
                if looked_at.is_none_or(|then| then.values.get(key) != now.values.get(key)) {
                    return Err(overtaken(state, key, seen, &now).await);
                }
                expected = Some(now.version);
            }
            (done, _) => return done.map(drop),
        }
    }
    Err(Problem::conflict("The settings change faster than this one can be written: try again."))
}

/// The refusal of one who was too late, with what stands now and who made it.
async fn overtaken(state: &WebState, key: &str, seen: i64, now: &Settings) -> Problem {
    let stands = now
        .values
        .get(key)
        .map_or_else(|| "is not set any more".to_owned(), |value| format!("is set to `{value}`"));
    let history = state.store.settings_history(SETTINGS_VERSIONS_KEPT, None).await;
    let versions = history.map(|page| page.items).unwrap_or_default();
    let last = versions.iter().find(|v| v.edits.iter().any(|edit| edit.key == key));
    let by = last.map_or_else(String::new, |last| {
        let why = last.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        format!(" by {} in version {}{why}", last.who, last.version)
    });
    Problem::conflict(format!(
        "Somebody was faster. You looked at version {seen}; version {} is in force, and `{key}` \
         {stands}{by}. What you typed is kept below: save again to put it in force all the same.",
        now.version
    ))
}

/// To the key's page, or to the list where nothing is left of the key.
async fn lead_back(state: &WebState, key: &str, done: &str) -> Answer {
    let settings = state.store.settings(None).await?;
    let stands = state.program.keys(Some(&settings)).iter().any(|known| known.key == key);
    let place = if stands { format!("/settings/{}", encoded(key)) } else { "/settings".to_owned() };
    Ok(go(&format!("{place}?done={done}")))
}

pub(crate) async fn set(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    form: FormBody,
) -> Answer {
    let typed = form.get("value").unwrap_or_default();
    match write(&state, &who, &key, Some(typed.clone()), &form).await {
        Ok(()) => lead_back(&state, &key, "set").await,
        Err(problem) if theirs(&problem) => {
            let (typed, reason) = (Some(typed), form.get("reason"));
            let refused = Refused { problem: &problem, typed, reason };
            key_page(&state, &who, &key, Some(refused), None).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn unset(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    form: FormBody,
) -> Answer {
    match write(&state, &who, &key, None, &form).await {
        Ok(()) => lead_back(&state, &key, "unset").await,
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            let refused = Refused { problem: &problem, typed: None, reason: None };
            key_page(&state, &who, &key, Some(refused), None).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn history(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let page = state.store.settings_history(params.limit()?, params.get("cursor")).await?;
    let content = context! {
        page => "settings",
        rows => page.items.iter().map(value).collect::<Vec<_>>(),
        current => state.store.settings_version().await?,
        kept => SETTINGS_VERSIONS_KEPT,
        later => params.get("cursor").is_some(),
        next => next_link("/settings/history", &params, page.next_cursor.as_deref()),
        done => done_words(&params),
    };
    render(&state, Some(&who), "settings_history.html", content)
}

async fn version_page(
    state: &WebState,
    who: &Principal,
    version: i64,
    with: Option<i64>,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let shown = state.store.settings(Some(version)).await?;
    let current = state.store.settings(None).await?;
    let other = match with.filter(|with| *with != current.version) {
        Some(with) => state.store.settings(Some(with)).await?,
        None => current.clone(),
    };
    let history = state.store.settings_history(SETTINGS_VERSIONS_KEPT, None).await?;
    let content = context! {
        page => "settings", shown => version,
        entry => history.items.iter().find(|entry| entry.version == version).map(value),
        values => shown.values.iter().map(|(key, set)| context! { key, set }).collect::<Vec<_>>(),
        // From what is in force to this one: what a rollback would change.
        edits => diff(&other, &shown).iter().map(value).collect::<Vec<_>>(),
        other => other.version, current => current.version,
    };
    render_form(state, Some(who), "settings_version.html", content, problem)
}

fn path_version(text: &str) -> Answer<i64> {
    text.parse().map_err(|_| missing("version", text))
}

pub(crate) async fn version(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(version): Path<String>,
    params: Params,
) -> Answer {
    version_page(&state, &who, path_version(&version)?, params.number("with")?, None).await
}

pub(crate) async fn roll_back(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(version): Path<String>,
    form: FormBody,
) -> Answer {
    let version = path_version(&version)?;
    let (expected, reason) = (version_of(&form)?, form.get("reason"));
    match config::roll_back(&state, &who, version, expected, reason).await {
        Ok(_) => Ok(go("/settings/history?done=rolled_back")),
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            version_page(&state, &who, version, None, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}
