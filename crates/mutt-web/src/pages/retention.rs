//! The page of retention: how it goes, legal holds and archives; placing and releasing a hold, putting
//! an archive back.

use std::path::Path as FilePath;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use minijinja::{Value, context};

use super::{done_words, go, render_form, theirs, typed, value};
use crate::api::{missing, retention};
use crate::params::{FormBody, Params, read_time};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// Where archives lie, as this process is configured.
fn archive_dir(state: &WebState) -> Option<String> {
    let config = state.program.config();
    config.pointer("/store/archive/dir").and_then(|dir| dir.as_str()).map(str::to_owned)
}

async fn page(
    state: &WebState,
    who: &Principal,
    form: &FormBody,
    problem: Option<&Problem>,
    done: Option<&str>,
) -> Answer<Response> {
    let holds: Vec<Value> = state.store.holds().await?.iter().map(value).collect();
    let archives: Vec<Value> = state.store.archives().await?.iter().map(value).collect();
    let content = context! {
        page => "retention", holds, archives, done,
        going => value(state.store.retention_state().await?),
        archive_dir => archive_dir(state),
        form => typed(form, &["host", "since", "until", "reason"]),
    };
    render_form(state, Some(who), "retention.html", content, problem)
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    page(&state, &who, &FormBody::default(), None, done_words(&params)).await
}

async fn placed(state: &WebState, who: &Principal, form: &FormBody) -> Answer<()> {
    let time = |name: &str| {
        let read = |text: String| {
            let wrong =
                || Problem::bad(format!("{name}: `{text}` is no time as 2026-01-31T08:00Z"));
            read_time(&text).ok_or_else(wrong)
        };
        form.get(name).map(read).transpose()
    };
    let (since, until) = (time("since")?, time("until")?);
    retention::place_hold(state, who, form.get("host"), since, until, form.get("reason"))
        .await
        .map(drop)
}

pub(crate) async fn add_hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    match placed(&state, &who, &form).await {
        Ok(()) => Ok(go("/retention?done=hold_placed")),
        Err(problem) if theirs(&problem) => page(&state, &who, &form, Some(&problem), None).await,
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn release_hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    let number: i64 = id.parse().map_err(|_| missing("hold", &id))?;
    let actor = who.actor(form.get("reason"));
    state.store.release_hold(number, &actor, state.clock.wall()).await?;
    Ok(go("/retention?done=hold_released"))
}

/// Only an archive that is listed is put back here, from the folder where archives lie.
pub(crate) async fn restore(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    let name = form.get("file").unwrap_or_default();
    let listed = state.store.archives().await?.into_iter().any(|archive| archive.name == name);
    let dir = archive_dir(&state).filter(|_| listed).ok_or_else(|| missing("archive", &name))?;
    let file = FilePath::new(&dir).join(&name);
    match retention::put_back(&state, &who, &file, form.get("reason")).await {
        Ok(_) => Ok(go("/retention?done=archive_restored")),
        Err(problem) if problem.status.is_client_error() => {
            page(&state, &who, &FormBody::default(), Some(&problem), None).await
        }
        Err(problem) => Err(problem),
    }
}
