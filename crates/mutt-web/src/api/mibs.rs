//! Uploaded MIB files: list, upload, delete.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use mutt_store::store::{Mib, NewMib};
use serde::Deserialize;
use serde_json::json;

use super::{Shown, shown};
use crate::params::{JsonBody, Params, read_value};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// What a body with a MIB may have: the text, and what a form or JSON adds to it.
pub(crate) const UPLOAD_MAX: usize = 12 << 20;

pub(crate) async fn index(State(state): State<WebState>) -> Shown {
    let items: Vec<_> = state.store.mibs().await?.iter().map(shown).collect();
    // How the files of this process's folders fared, where it has an Ingestor.
    Ok(Json(json!({"items": items, "next_cursor": null, "loaded": state.program.mibs()})))
}

/// Keeps an upload; shared by API and pages.
pub(crate) async fn upload(
    state: &WebState,
    who: &Principal,
    name: &str,
    octets: &[u8],
    reason: Option<String>,
) -> Answer<Mib> {
    let (text, modules) = state.program.read_mib(octets);
    if text.trim().is_empty() {
        return Err(Problem::bad("the MIB is empty: send the file's text"));
    }
    let new = NewMib { name: name.to_owned(), text, modules };
    Ok(state.store.put_mib(new, &who.actor(reason), state.clock.wall()).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MibBody {
    name: String,
    text: String,
}

/// JSON with name and text, or the file itself with the name as parameter.
pub(crate) async fn add(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
    headers: HeaderMap,
    octets: Bytes,
) -> Answer {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
    let mib = if is_json {
        let value = serde_json::from_slice(&octets)
            .map_err(|err| Problem::bad(format!("the body is no JSON: {err}")))?;
        let mut body = JsonBody(value);
        let reason = body.take_reason()?;
        let MibBody { name, text } = read_value(body.0)?;
        upload(&state, &who, &name, text.as_bytes(), reason).await?
    } else {
        let name = params.get("name").ok_or_else(|| {
            Problem::bad("`name` is required as a parameter when the body is the MIB itself")
        })?;
        upload(&state, &who, name, &octets, params.owned("reason")).await?
    };
    let place = [(header::LOCATION, format!("/api/v2/mibs/{}", mib.name))];
    Ok((StatusCode::CREATED, place, Json(shown(&mib))).into_response())
}

/// The text as it was kept.
pub(crate) async fn text(State(state): State<WebState>, Path(name): Path<String>) -> Shown {
    let text = state.store.mib(&name).await?;
    let text = text.ok_or_else(|| super::missing("uploaded MIB", &name))?;
    Ok(Json(json!({"name": name, "text": text})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn remove(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let Nothing {} = body.into()?;
    state.store.delete_mib(&name, &who.actor(reason), state.clock.wall()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
