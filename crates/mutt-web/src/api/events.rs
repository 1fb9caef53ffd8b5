//! Events: search, one event with its whole life, the live stream.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{KeepAlive, Sse};
use mutt_model::audit::AuditedEvent;
use mutt_model::{Id, ParseStatus, Severity};
use mutt_store::store::{DeliveryQuery, EventQuery};
use serde_json::{Value, json};

use super::deliveries::{attempt_json, delivery_json};
use super::{Shown, alerts, missing, searched, shown};
use crate::judging;
use crate::live::{self, Filter};
use crate::params::{Params, path_id};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

/// At most this many deliveries of one event are shown with it.
const DELIVERIES_SHOWN: usize = 100;

pub(crate) fn query(params: &Params) -> Answer<EventQuery> {
    Ok(EventQuery {
        host: params.owned("host"),
        q: params.owned("q"),
        severity: params
            .with("severity", "0 to 7 or a name", Severity::parse)?
            .map(Severity::number),
        rule: params.number("rule")?,
        handled: params.flag("handled")?,
        alert: params.id("alert")?,
        since: params.time("since")?,
        until: params.time("until")?,
        parse: params.with("parse", "ok, partial or failed", ParseStatus::parse)?,
    })
}

pub(crate) async fn index(State(state): State<WebState>, params: Params) -> Shown {
    let query = query(&params)?;
    let page = state.store.events(&query, params.limit()?, params.get("cursor")).await?;
    Ok(searched(page, AuditedEvent::to_json))
}

pub(crate) async fn one(State(state): State<WebState>, Path(id): Path<String>) -> Shown {
    let life = life(&state, path_id(&id)?).await?.ok_or_else(|| missing("event", &id))?;
    let (mut value, lineage) = life;
    value["lineage"] = lineage;
    Ok(Json(value))
}

/// An event as JSON and what became of it: judged again with the rule set of its time, its alert,
/// deliveries and attempts.
pub(crate) async fn life(state: &WebState, id: Id) -> Answer<Option<(Value, Value)>> {
    let Some(audited) = state.store.event(id).await? else { return Ok(None) };
    let explanation = judging::again(state, &audited).await?;
    let (mut alert, mut timeline) = (Value::Null, Value::Array(Vec::new()));
    if let Some(alert_id) = audited.judgement.alert_id
        && let Some((found, entries)) = state.store.alert(alert_id).await?
    {
        alert = alerts::alert_json(&found);
        timeline = shown(&entries);
    }
    let query = DeliveryQuery { event: Some(id), ..DeliveryQuery::default() };
    let page = state.store.deliveries(&query, DELIVERIES_SHOWN, None).await?;
    let (mut deliveries, mut attempts) = (Vec::new(), Vec::new());
    for delivery in &page.items {
        deliveries.push(delivery_json(delivery));
        if let Some(life) = state.store.delivery(delivery.id).await? {
            for attempt in &life.attempts {
                let mut value = attempt_json(attempt);
                value["delivery_id"] = json!(delivery.id);
                value["sink"] = json!(delivery.sink);
                attempts.push(value);
            }
        }
    }
    let lineage = json!({
        "ruleset": audited.judgement.ruleset,
        "explanation": explanation,
        "alert": alert,
        "timeline": timeline,
        "deliveries": deliveries,
        "attempts": attempts,
    });
    Ok(Some((audited.to_json(), lineage)))
}

pub(crate) async fn stream(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
    headers: HeaderMap,
) -> Answer {
    let filter = Filter {
        host: params.get("host").map(str::to_lowercase),
        q: params.get("q").map(str::to_lowercase),
        severity_max: params.with("severity_max", "0 to 7 or a name", Severity::parse)?,
        handled: params.flag("handled")?,
    };
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let resume = match last.and_then(|v| v.parse().ok()) {
        Some(place) => Some(place),
        None => params.number("after")?,
    };
    let events = live::listen(&state, who, filter, resume)?;
    let events = futures_util::StreamExt::map(events, Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // A proxy in between must not collect the stream.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}
