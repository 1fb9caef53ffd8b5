//! The page of lanes: what each sink's lane does, hold, release, test.

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use minijinja::{Value, context};

use super::{done_words, go, render, value};
use crate::api::{shown, sinks};
use crate::params::{FormBody, Params};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

async fn page(
    state: &WebState,
    who: &Principal,
    done: Option<&str>,
    tested: Option<Value>,
) -> Answer<Response> {
    let lanes = rows(state).await?;
    let content = context! { page => "lanes", lanes => lanes, done => done, tested => tested };
    render(state, Some(who), "lanes.html", content)
}

/// The lanes for templates.
pub(super) async fn rows(state: &WebState) -> Answer<Vec<Value>> {
    let all = sinks::lanes(state).await?;
    Ok(all
        .iter()
        .map(|(lane, route)| {
            context! { configured => route.is_some(), ..value(shown(lane)) }
        })
        .collect())
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    page(&state, &who, done_words(&params), None).await
}

pub(crate) async fn hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    form: FormBody,
) -> Answer {
    state.store.hold_lane(&name, &who.actor(form.get("reason"))).await?;
    Ok(go("/lanes?done=held"))
}

pub(crate) async fn release(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    form: FormBody,
) -> Answer {
    state.store.release_lane(&name, &who.actor(form.get("reason"))).await?;
    Ok(go("/lanes?done=released"))
}

pub(crate) async fn test(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
) -> Answer {
    let result = sinks::try_sink(&state, &who, &name, None).await?;
    let tested = context! { name => name, ..value(shown(&result)) };
    page(&state, &who, None, Some(tested)).await
}
