//! The page of MIBs: how the files of the Ingestor fared, the uploads, uploading and deleting.

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use minijinja::{Value, context};

use super::{done_words, go, render_form, theirs, typed, value};
use crate::api::mibs;
use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

async fn page(
    state: &WebState,
    who: &Principal,
    form: &FormBody,
    problem: Option<&Problem>,
    done: Option<&str>,
) -> Answer<Response> {
    let uploads: Vec<Value> = state.store.mibs().await?.iter().map(value).collect();
    let content = context! {
        page => "settings", uploads, done,
        loaded => state.program.mibs().map(value),
        form => typed(form, &["name", "text", "reason"]),
    };
    render_form(state, Some(who), "mibs.html", content, problem)
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    page(&state, &who, &FormBody::default(), None, done_words(&params)).await
}

pub(crate) async fn add(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    let (name, text) = (form.get("name").unwrap_or_default(), form.get("text").unwrap_or_default());
    match mibs::upload(&state, &who, &name, text.as_bytes(), form.get("reason")).await {
        Ok(mib) if mib.modules.is_empty() => Ok(go("/mibs?done=mib_without_module")),
        Ok(_) => Ok(go("/mibs?done=mib_uploaded")),
        Err(problem) if theirs(&problem) => page(&state, &who, &form, Some(&problem), None).await,
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn remove(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    form: FormBody,
) -> Answer {
    let actor = who.actor(form.get("reason"));
    state.store.delete_mib(&name, &actor, state.clock.wall()).await?;
    Ok(go("/mibs?done=mib_deleted"))
}
