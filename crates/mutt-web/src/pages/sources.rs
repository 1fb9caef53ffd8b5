//! The pages of sources: who is heard and how, what could not be understood, what each listener counted.

use axum::extract::{Extension, Path, State};
use minijinja::{Value, context};
use mutt_store::store::SourceAct;

use super::{done_words, encoded, filled, go, next_link, render, value};
use crate::api::missing;
use crate::api::sources::{key, listener_rows, query, source_json};
use crate::params::{FormBody, Params};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let page = state.store.sources(&query(&params)?, params.limit()?, params.get("cursor")).await?;
    let now = state.clock.wall();
    let rows: Vec<Value> = page
        .items
        .iter()
        .map(|source| {
            let mut row = source_json(source, now);
            let counts = row["dropped"].as_object().into_iter().flat_map(|counts| counts.values());
            row["refused"] = counts.filter_map(serde_json::Value::as_u64).sum::<u64>().into();
            value(row)
        })
        .collect();
    let counts = state.store.source_counts().await?;
    let listeners: Vec<Value> =
        listener_rows(&state.store.processes().await?).iter().map(value).collect();
    let content = context! {
        page => "sources", rows, listeners,
        counts => context! {
            all => counts.all, quiet => counts.quiet, pending => counts.pending,
            muted => counts.muted, unparsed => counts.unparsed,
        },
        later => params.get("cursor").is_some(),
        next => next_link("/sources", &params, page.next_cursor.as_deref()),
        done => done_words(&params),
        form => filled(&params, &["q", "state", "relay"]),
    };
    render(&state, Some(&who), "sources.html", content)
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let found = state.store.source(&key(&id)?).await?.ok_or_else(|| missing("source", &id))?;
    let source = source_json(&found, state.clock.wall());
    let counted = |name: &str| -> Vec<Value> {
        let counts = source[name].as_object();
        counts
            .into_iter()
            .flatten()
            .map(|(reason, count)| context! { reason, count => count.as_u64() })
            .collect()
    };
    let content = context! {
        page => "sources",
        reasons => counted("reasons"),
        dropped => counted("dropped"),
        source => value(&source),
        done => done_words(&params),
    };
    render(&state, Some(&who), "source.html", content)
}

async fn act(
    state: &WebState,
    who: &Principal,
    id: &str,
    form: &FormBody,
    what: SourceAct,
) -> Answer {
    let actor = who.actor(form.get("reason"));
    state.store.act_on_source(&key(id)?, what, &actor, state.clock.wall()).await?;
    Ok(match what {
        SourceAct::Mute => go(&format!("/sources/{}?done=source_muted", encoded(id))),
        SourceAct::Unmute => go(&format!("/sources/{}?done=source_unmuted", encoded(id))),
        SourceAct::Forget => go("/sources?done=source_forgotten"),
    })
}

pub(crate) async fn mute(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    act(&state, &who, &id, &form, SourceAct::Mute).await
}

pub(crate) async fn unmute(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    act(&state, &who, &id, &form, SourceAct::Unmute).await
}

pub(crate) async fn forget(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    act(&state, &who, &id, &form, SourceAct::Forget).await
}
