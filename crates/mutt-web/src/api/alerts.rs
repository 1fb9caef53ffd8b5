//! Alerts: states, timeline, and what people do to them.

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_model::Id;
use mutt_model::alert::{Alert, AlertState};
use mutt_store::store::{AlertAct, AlertQuery};
use serde::Deserialize;
use serde_json::Value;

use super::{Shown, empty_to_null, missing, searched, shown};
use crate::params::{JsonBody, Params, path_id};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// A note may hold this many bytes.
pub(crate) const NOTE_MAX: usize = 4_000;

/// An alert as the API shows it.
pub(crate) fn alert_json(alert: &Alert) -> Value {
    let mut value = shown(alert);
    empty_to_null(&mut value, &["resource", "team", "host"]);
    value
}

pub(crate) fn query(params: &Params) -> Answer<AlertQuery> {
    Ok(AlertQuery {
        state: params.with("state", "open or cleared", |text| match text {
            "open" => Some(AlertState::Open),
            "cleared" => Some(AlertState::Cleared),
            _ => None,
        })?,
        host: params.owned("host"),
        team: params.owned("team"),
        problem: params.owned("problem"),
        q: params.owned("q"),
    })
}

pub(crate) async fn index(State(state): State<WebState>, params: Params) -> Shown {
    let query = query(&params)?;
    let page = state.store.alerts(&query, params.limit()?, params.get("cursor")).await?;
    Ok(searched(page, alert_json))
}

pub(crate) async fn one(State(state): State<WebState>, Path(id): Path<String>) -> Shown {
    let found = state.store.alert(path_id(&id)?).await?;
    let (alert, timeline) = found.ok_or_else(|| missing("alert", &id))?;
    let mut value = alert_json(&alert);
    value["timeline"] = shown(&timeline);
    Ok(Json(value))
}

/// Does something to an alert; shared by API and pages.
pub(crate) async fn act(
    state: &WebState,
    who: &Principal,
    id: Id,
    act: AlertAct,
    reason: Option<String>,
) -> Answer<Alert> {
    let now = state.clock.wall();
    let sinks = state.program.sinks();
    let alert = state.store.act_on_alert(id, act, &who.actor(reason), &sinks, now).await?;
    Ok(alert)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn acknowledge(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Shown {
    simple(state, who, id, body, AlertAct::Acknowledge).await
}

pub(crate) async fn clear(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Shown {
    simple(state, who, id, body, AlertAct::Clear).await
}

async fn simple(
    state: WebState,
    who: Principal,
    id: String,
    mut body: JsonBody,
    what: AlertAct,
) -> Shown {
    let reason = body.take_reason()?;
    let Nothing {} = body.into()?;
    let alert = act(&state, &who, path_id(&id)?, what, reason).await?;
    Ok(Json(alert_json(&alert)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteBody {
    #[serde(alias = "note")]
    text: String,
}

pub(crate) async fn note(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let NoteBody { text } = body.into()?;
    let text = checked_note(text)?;
    let alert = act(&state, &who, path_id(&id)?, AlertAct::Note(text), reason).await?;
    Ok(Json(alert_json(&alert)))
}

/// The words of a note, when they can be kept.
pub(crate) fn checked_note(text: String) -> Answer<String> {
    let text = text.replace('\0', "\u{fffd}");
    match text.trim() {
        "" => Err(Problem::bad("the note is empty")),
        note if note.len() > NOTE_MAX => {
            Err(Problem::bad(format!("the note is longer than {NOTE_MAX} bytes")))
        }
        note => Ok(note.to_owned()),
    }
}
