//! Deliveries: dead letters, what is held, and replays.

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_model::delivery::{Attempt, Delivery, DeliveryState};
use mutt_store::store::{DeliveryQuery, ReplayFilter, Replayed};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, alerts::alert_json, missing, searched, shown};
use crate::params::{JsonBody, Params, path_id};
use crate::problem::{Answer, Problem, nearest};
use crate::state::{Principal, WebState};

/// A delivery as the API shows it: `attempt_count` counts, `attempts` (on one delivery) lists.
pub(crate) fn delivery_json(delivery: &Delivery) -> Value {
    let mut value = shown(delivery);
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("attempts");
        map.insert("attempt_count".to_owned(), json!(delivery.attempts));
        map.insert("alert_id".to_owned(), json!(delivery.notice.alert.id));
        map.insert("event_id".to_owned(), json!(delivery.notice.alert.event_id));
    }
    value["notice"]["alert"] = alert_json(&delivery.notice.alert);
    value
}

pub(crate) fn attempt_json(attempt: &Attempt) -> Value {
    let mut value = shown(attempt);
    value["outcome"] = Value::from(attempt.outcome.name());
    value
}

fn state_names() -> String {
    DeliveryState::ALL.map(DeliveryState::name).join(", ")
}

pub(crate) fn query(params: &Params) -> Answer<DeliveryQuery> {
    Ok(DeliveryQuery {
        state: params.with("state", &format!("one of {}", state_names()), DeliveryState::parse)?,
        sink: params.owned("sink"),
        alert: params.id("alert")?,
        event: params.id("event")?,
    })
}

pub(crate) async fn index(State(state): State<WebState>, params: Params) -> Shown {
    let query = query(&params)?;
    let page = state.store.deliveries(&query, params.limit()?, params.get("cursor")).await?;
    Ok(searched(page, delivery_json))
}

pub(crate) async fn one(State(state): State<WebState>, Path(id): Path<String>) -> Shown {
    let life = state.store.delivery(path_id(&id)?).await?;
    let life = life.ok_or_else(|| missing("delivery", &id))?;
    let mut value = delivery_json(&life.delivery);
    value["attempts"] = life.attempts.iter().map(attempt_json).collect();
    Ok(Json(value))
}

/// Replays; shared by API and pages. The filter's state must be one that can be replayed.
pub(crate) async fn replay(
    state: &WebState,
    who: &Principal,
    filter: ReplayFilter,
    force: bool,
    reason: Option<String>,
) -> Answer<Replayed> {
    if let Some(wrong) =
        filter.state.filter(|state| !matches!(state, DeliveryState::Dead | DeliveryState::Held))
    {
        return Err(Problem::bad(format!(
            "deliveries in state {} cannot be replayed, only dead or held ones",
            wrong.name()
        )));
    }
    if let Some(sink) = &filter.sink {
        known_sink(state, sink).await?;
    }
    let now = state.clock.wall();
    Ok(state.store.replay(filter, force, &who.actor(reason), now).await?)
}

async fn known_sink(state: &WebState, sink: &str) -> Answer<()> {
    let lanes = state.store.lanes().await?;
    let sinks = state.program.sinks();
    let names: Vec<&str> = lanes
        .iter()
        .map(|l| l.sink.as_str())
        .chain(sinks.iter().map(|s| s.name.as_str()))
        .collect();
    if names.contains(&sink) {
        return Ok(());
    }
    let hint = nearest(sink, names).map_or(String::new(), |n| format!(", did you mean `{n}`?"));
    Err(Problem::bad(format!("there is no sink `{sink}`{hint}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    #[serde(default)]
    force: bool,
}

pub(crate) async fn replay_one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let One { force } = body.into()?;
    let filter = ReplayFilter { id: Some(path_id(&id)?), ..ReplayFilter::default() };
    Ok(Json(shown(&replay(&state, &who, filter, force, reason).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    filter: FilterBody,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    state: Option<String>,
    sink: Option<String>,
    reason: Option<String>,
    limit: Option<u64>,
}

pub(crate) async fn replay_many(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let Many { filter, force } = body.into()?;
    let wanted = filter
        .state
        .map(|name| {
            DeliveryState::parse(&name)
                .ok_or_else(|| Problem::bad(format!("`{name}` is none of {}", state_names())))
        })
        .transpose()?;
    if let Some(why) = filter.reason.as_deref().filter(|r| !matches!(*r, "refused" | "expired")) {
        return Err(Problem::bad(format!("`{why}` is no reason: refused or expired is expected")));
    }
    let filter = ReplayFilter {
        id: None,
        state: wanted,
        sink: filter.sink,
        reason: filter.reason,
        limit: filter.limit,
    };
    Ok(Json(shown(&replay(&state, &who, filter, force, reason).await?)))
}
