//! The page of the change log.

use axum::extract::{Extension, State};
use minijinja::{Value, context};

use super::{next_link, render, value};
use crate::api::shown;
use crate::params::Params;
use crate::problem::Answer;
use crate::state::{Principal, WebState};

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let page = state.store.changes(params.limit()?, params.get("cursor")).await?;
    let rows: Vec<Value> = page
        .items
        .iter()
        .map(|change| {
            let text = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
            context! {
                old_text => text(&change.old), new_text => text(&change.new),
                ..value(shown(change))
            }
        })
        .collect();
    let content = context! {
        page => "changes", rows => rows, later => params.get("cursor").is_some(),
        next => next_link("/changes", &params, page.next_cursor.as_deref()),
    };
    render(&state, Some(&who), "changes.html", content)
}
