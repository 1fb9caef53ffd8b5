//! Sinks and their lanes: hold, release, test.

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::delivery::Lane;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, empty_to_null, missing, shown, whole};
use crate::params::JsonBody;
use crate::problem::Answer;
use crate::state::{Principal, SinkTest, WebState};

/// A lane with what routing says of its sink; a sink that is no longer configured says so.
fn lane_json(lane: &Lane, route: Option<&SinkRoute>) -> Value {
    let mut value = shown(lane);
    empty_to_null(&mut value, &["breaker"]);
    value["name"] = json!(lane.sink);
    value["configured"] = json!(route.is_some());
    value["route"] = route.map_or(Value::Null, |route| {
        json!({
            "teams": route.teams,
            "decisions": route.decisions,
            "environments": route.environments,
            "repeat": match route.repeat { Repeat::Every => "every", Repeat::Changes { .. } => "changes" },
        })
    });
    value
}

/// All lanes, also of sinks that were configured a moment ago and have none yet, by name.
pub(crate) async fn lanes(state: &WebState) -> Answer<Vec<(Lane, Option<SinkRoute>)>> {
    let mut routes = state.program.sinks();
    let mut all: Vec<(Lane, Option<SinkRoute>)> = Vec::new();
    for lane in state.store.lanes().await? {
        let at = routes.iter().position(|route| route.name == lane.sink);
        let route = at.map(|at| routes.swap_remove(at));
        all.push((lane, route));
    }
    for route in routes {
        let lane = Lane { sink: route.name.clone(), ..Lane::default() };
        all.push((lane, Some(route)));
    }
    all.sort_by(|a, b| a.0.sink.cmp(&b.0.sink));
    Ok(all)
}

pub(crate) async fn index(State(state): State<WebState>) -> Shown {
    let all = lanes(&state).await?;
    Ok(whole(all.iter().map(|(lane, route)| lane_json(lane, route.as_ref())).collect()))
}

pub(crate) async fn one(State(state): State<WebState>, Path(name): Path<String>) -> Shown {
    let all = lanes(&state).await?;
    let found = all.iter().find(|(lane, _)| lane.sink == name);
    let (lane, route) = found.ok_or_else(|| missing("sink", &name))?;
    Ok(Json(lane_json(lane, route.as_ref())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn only_reason(mut body: JsonBody) -> Answer<Option<String>> {
    let reason = body.take_reason()?;
    let Nothing {} = body.into()?;
    Ok(reason)
}

pub(crate) async fn hold(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    body: JsonBody,
) -> Shown {
    let lane = state.store.hold_lane(&name, &who.actor(only_reason(body)?)).await?;
    let routes = state.program.sinks();
    Ok(Json(lane_json(&lane, routes.iter().find(|route| route.name == name))))
}

pub(crate) async fn release(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    body: JsonBody,
) -> Shown {
    let lane = state.store.release_lane(&name, &who.actor(only_reason(body)?)).await?;
    let routes = state.program.sinks();
    Ok(Json(lane_json(&lane, routes.iter().find(|route| route.name == name))))
}

pub(crate) async fn test(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(name): Path<String>,
    body: JsonBody,
) -> Shown {
    let reason = only_reason(body)?;
    Ok(Json(shown(&try_sink(&state, &who, &name, reason).await?)))
}

/// Sends a test notice and puts that into the change log.
pub(crate) async fn try_sink(
    state: &WebState,
    who: &Principal,
    name: &str,
    reason: Option<String>,
) -> Answer<SinkTest> {
    let done = state.program.test_sink(name).await?;
    super::status::record(state, who, "sink", name, "test", Some(shown(&done)), reason).await?;
    Ok(done)
}
