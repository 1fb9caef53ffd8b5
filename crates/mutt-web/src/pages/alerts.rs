//! Pages of alerts: the list, one with its timeline, and acting on it.

use axum::extract::{Extension, Path, State};
use minijinja::{Value, context};
use mutt_store::store::{AlertAct, DeliveryQuery};

use super::{done_words, filled, go, next_link, render, value};
use crate::api::{alerts, deliveries, missing};
use crate::params::{FormBody, Params, path_id};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

/// Deliveries shown with an alert.
const DELIVERIES_SHOWN: usize = 20;

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let query = alerts::query(&params)?;
    let page = state.store.alerts(&query, params.limit()?, params.get("cursor")).await?;
    let rows: Vec<Value> =
        page.items.iter().map(|alert| value(alerts::alert_json(alert))).collect();
    let content = context! {
        page => "alerts", rows => rows, done => done_words(&params),
        complete => page.complete,
        later => params.get("cursor").is_some(),
        next => next_link("/alerts", &params, page.next_cursor.as_deref()),
        form => filled(&params, &["state", "host", "team", "problem", "q"]),
    };
    render(&state, Some(&who), "alerts.html", content)
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let at = path_id(&id)?;
    let found = state.store.alert(at).await?;
    let (alert, timeline) = found.ok_or_else(|| missing("alert", &id))?;
    let query = DeliveryQuery { alert: Some(at), ..DeliveryQuery::default() };
    let sent = state.store.deliveries(&query, DELIVERIES_SHOWN, None).await?;
    let sent_complete = sent.complete;
    let sent: Vec<Value> =
        sent.items.iter().map(|delivery| value(deliveries::delivery_json(delivery))).collect();
    let content = context! {
        page => "alerts",
        alert => value(alerts::alert_json(&alert)),
        cleared_by => alert.cleared_by.as_ref().map(cleared_words),
        timeline => value(&timeline),
        deliveries => sent, sent_complete,
        no_sinks => state.program.sinks().is_empty(),
        done => done_words(&params),
    };
    render(&state, Some(&who), "alert.html", content)
}

fn cleared_words(by: &mutt_model::alert::ClearedBy) -> String {
    use mutt_model::alert::ClearedBy;
    match by {
        ClearedBy::Rule => "a clear rule".to_owned(),
        ClearedBy::Hand(name) => name.clone(),
        ClearedBy::Age => "age: no matching event for clear_after".to_owned(),
    }
}

pub(crate) async fn acknowledge(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    alerts::act(&state, &who, path_id(&id)?, AlertAct::Acknowledge, form.get("reason")).await?;
    Ok(go(&format!("/alerts/{id}?done=acknowledged")))
}

pub(crate) async fn clear(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    alerts::act(&state, &who, path_id(&id)?, AlertAct::Clear, form.get("reason")).await?;
    Ok(go(&format!("/alerts/{id}?done=cleared")))
}

pub(crate) async fn note(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    let text = alerts::checked_note(form.get("text").unwrap_or_default())?;
    alerts::act(&state, &who, path_id(&id)?, AlertAct::Note(text), None).await?;
    Ok(go(&format!("/alerts/{id}?done=noted")))
}
