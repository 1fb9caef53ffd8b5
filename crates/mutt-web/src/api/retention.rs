//! Legal holds, archives, and how retention goes.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use mutt_model::Timestamp;
use mutt_store::retention::{Hold, NewHold, RestoredArchive};
use serde::Deserialize;

use super::hosts::host_name;
use super::{Shown, missing, shown, whole};
use crate::params::JsonBody;
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

pub(crate) async fn holds(State(state): State<WebState>) -> Shown {
    Ok(whole(state.store.holds().await?.iter().map(shown).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    since: Option<Timestamp>,
    #[serde(default)]
    until: Option<Timestamp>,
}

/// Places a hold; shared by API and pages.
pub(crate) async fn place_hold(
    state: &WebState,
    who: &Principal,
    host: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    reason: Option<String>,
) -> Answer<Hold> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if reason.is_none() {
        return Err(Problem::bad("`reason` is required: a hold says why rows are kept"));
    }
    let host = host.as_deref().map(host_name).transpose()?;
    let hold = NewHold { host, since, until };
    Ok(state.store.add_hold(hold, &who.actor(reason), state.clock.wall()).await?)
}

pub(crate) async fn add_hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let HoldBody { host, since, until } = body.into()?;
    let hold = place_hold(&state, &who, host, since, until, reason).await?;
    let place = [(header::LOCATION, format!("/api/v2/holds/{}", hold.id))];
    Ok((StatusCode::CREATED, place, Json(shown(&hold))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn release_hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let Nothing {} = body.into()?;
    let number: i64 = id.parse().map_err(|_| missing("hold", &id))?;
    state.store.release_hold(number, &who.actor(reason), state.clock.wall()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn archives(State(state): State<WebState>) -> Shown {
    Ok(whole(state.store.archives().await?.iter().map(shown).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    file: PathBuf,
}

/// Puts an archive back; shared by API and pages.
pub(crate) async fn put_back(
    state: &WebState,
    who: &Principal,
    file: &std::path::Path,
    reason: Option<String>,
) -> Answer<RestoredArchive> {
    let reason = reason.or_else(|| Some("restored from an archive".to_owned()));
    Ok(state.store.restore_archive(file, &who.actor(reason), state.clock.wall()).await?)
}

pub(crate) async fn restore_archive(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let FileBody { file } = body.into()?;
    Ok(Json(shown(&put_back(&state, &who, &file, reason).await?)))
}

pub(crate) async fn state(State(state): State<WebState>) -> Shown {
    Ok(Json(shown(&state.store.retention_state().await?)))
}
