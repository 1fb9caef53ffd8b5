//! Pages of deliveries: dead letters and all others, one with its attempts, replays.

use axum::extract::{Extension, Path, State};
use minijinja::{Value, context};
use mutt_model::delivery::DeliveryState;
use mutt_store::store::ReplayFilter;

use super::{done_words, encoded, filled, go, next_link, render, value};
use crate::api::{deliveries, missing};
use crate::params::{FormBody, Params, path_id};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let mut query = deliveries::query(&params)?;
    // Without a question the page is what people come for: the dead letters.
    let asked = params.all().keys().any(|name| matches!(&**name, "state" | "alert" | "event"));
    if !asked {
        query.state = Some(DeliveryState::Dead);
    }
    let page = state.store.deliveries(&query, params.limit()?, params.get("cursor")).await?;
    let ledger = state.store.delivery_ledger().await?;
    let rows: Vec<Value> =
        page.items.iter().map(|delivery| value(deliveries::delivery_json(delivery))).collect();
    let mut sinks: Vec<String> = state.store.lanes().await?.into_iter().map(|l| l.sink).collect();
    sinks.sort();
    let content = context! {
        page => "deliveries", rows => rows, done => done_words(&params),
        complete => page.complete,
        current => query.state.map(DeliveryState::name),
        states => DeliveryState::ALL.map(DeliveryState::name),
        ledger => value(&ledger),
        sinks => sinks,
        replayed => params.number::<u64>("replayed")?,
        passed_over => params.number::<u64>("passed_over")?.unwrap_or(0),
        later => params.get("cursor").is_some(),
        next => next_link("/deliveries", &params, page.next_cursor.as_deref()),
        form => filled(&params, &["state", "sink", "alert", "event"]),
    };
    render(&state, Some(&who), "deliveries.html", content)
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let life = state.store.delivery(path_id(&id)?).await?;
    let life = life.ok_or_else(|| missing("delivery", &id))?;
    let attempts: Vec<Value> =
        life.attempts.iter().map(|attempt| value(deliveries::attempt_json(attempt))).collect();
    let content = context! {
        page => "deliveries",
        delivery => value(deliveries::delivery_json(&life.delivery)),
        attempts => attempts,
        done => done_words(&params),
    };
    render(&state, Some(&who), "delivery.html", content)
}

pub(crate) async fn replay_one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    let filter = ReplayFilter { id: Some(path_id(&id)?), ..ReplayFilter::default() };
    let force = form.get("force").is_some();
    deliveries::replay(&state, &who, filter, force, form.get("reason")).await?;
    Ok(go(&format!("/deliveries/{id}?done=replayed")))
}

pub(crate) async fn replay_many(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    let filter = ReplayFilter {
        state: Some(DeliveryState::Dead),
        sink: form.get("sink"),
        ..ReplayFilter::default()
    };
    let sink = filter.sink.clone().unwrap_or_default();
    let force = form.get("force").is_some();
    let done = deliveries::replay(&state, &who, filter, force, form.get("reason")).await?;
    Ok(go(&format!(
        "/deliveries?sink={}&replayed={}&passed_over={}",
        encoded(&sink),
        done.replayed,
        done.passed_over
    )))
}
