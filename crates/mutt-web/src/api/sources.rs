//! Sources: the devices that were heard, what is odd about them, and what each listener counted.

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_model::Timestamp;
use mutt_model::source::{SeenSource, SourceKey};
use mutt_store::store::{ListenerReport, Process, SourceAct, SourceQuery, SourceState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, list, missing, whole};
use crate::params::{JsonBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// A time that may never have been.
fn time(at: Timestamp) -> Option<Timestamp> {
    (at.0 != 0).then_some(at)
}

/// A rate with three digits behind the point.
fn rate(per_second: f64) -> f64 {
    (per_second * 1_000.0).round() / 1_000.0
}

/// A source as everybody sees it.
pub(crate) fn source_json(source: &SeenSource, now: Timestamp) -> Value {
    let facts = &source.facts;
    let (minute, hour) = facts.rates(source.first_seen, now);
    json!({
        "id": source.key.to_string(),
        "host": source.key.host,
        "peer": source.key.peer,
        "relayed": source.key.host != source.key.peer,
        "state": source.state(),
        "muted": source.muted,
        "listener": source.listener,
        "heard_by": source.heard_by,
        "format": facts.format,
        "first_seen": time(source.first_seen),
        "last_seen": time(source.last_seen),
        "events": facts.events,
        "bytes": facts.bytes,
        "rate_minute": rate(minute),
        "rate_hour": rate(hour),
        "usual_gap_seconds": source.usual_gap().as_secs(),
        "skew_ms": facts.skew.map(|skew| skew.last_ms),
        "skew_smoothed_ms": facts.skew.map(|skew| rate(skew.smoothed_ms)),
        "partial": facts.partial,
        "failed": facts.failed,
        "reasons": facts.reasons,
        "dropped": facts.dropped,
        "held": facts.held,
        "held_ms": facts.held_ms,
        "pending": facts.is_pending(),
        "usm": facts.usm,
    })
}

/// What a list is narrowed to; shared by API and pages.
pub(crate) fn query(params: &Params) -> Answer<SourceQuery> {
    let state =
        params.with("state", "active, quiet, pending, muted or unparsed", SourceState::parse)?;
    Ok(SourceQuery { q: params.owned("q"), state, relay: params.owned("relay") })
}

pub(crate) async fn index(State(state): State<WebState>, params: Params) -> Shown {
    let query = query(&params)?;
    let page = state.store.sources(&query, params.limit()?, params.get("cursor")).await?;
    let now = state.clock.wall();
    Ok(list(page, |source| source_json(source, now)))
}

/// The key of a path.
pub(crate) fn key(text: &str) -> Answer<SourceKey> {
    text.parse().map_err(Problem::not_found)
}

pub(crate) async fn one(State(state): State<WebState>, Path(id): Path<String>) -> Shown {
    let found = state.store.source(&key(&id)?).await?.ok_or_else(|| missing("source", &id))?;
    Ok(Json(source_json(&found, state.clock.wall())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn act(
    state: &WebState,
    who: &Principal,
    id: &str,
    mut body: JsonBody,
    act: SourceAct,
) -> Shown {
    let reason = body.take_reason()?;
    let Nothing {} = body.into()?;
    let key = key(id)?;
    state.store.act_on_source(&key, act, &who.actor(reason), state.clock.wall()).await?;
    let found = state.store.source(&key).await?;
    let now = state.clock.wall();
    Ok(Json(found.map_or_else(|| json!({"id": key.to_string()}), |s| source_json(&s, now))))
}

pub(crate) async fn mute(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Shown {
    act(&state, &who, &id, body, SourceAct::Mute).await
}

pub(crate) async fn unmute(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Shown {
    act(&state, &who, &id, body, SourceAct::Unmute).await
}

pub(crate) async fn forget(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    body: JsonBody,
) -> Shown {
    act(&state, &who, &id, body, SourceAct::Forget).await
}

/// What was read and is not stored, dropped or given back (yet).
fn unaccounted(listener: &ListenerReport, dropped: u64) -> i64 {
    let known = listener.stored + dropped + listener.given_back;
    i64::try_from(i128::from(listener.arrived) - i128::from(known)).unwrap_or(i64::MAX)
}

/// A row for each listener of each process.
pub(crate) fn listener_rows(processes: &[Process]) -> Vec<Value> {
    let live = processes.iter().filter(|process| process.live);
    let rows = live.flat_map(|process| {
        process.report.listeners.iter().map(move |listener| {
            let sum = |of: fn(&mutt_store::store::SocketReport) -> u64| {
                listener.sockets.iter().map(of).sum::<u64>()
            };
            let dropped: u64 = listener.dropped.values().sum();
            let kernel = sum(|socket| socket.kernel_drops);
            json!({
                "host": process.report.host,
                "pid": process.report.pid,
                "listener": listener.name,
                "since": process.report.started_at,
                // What came to the host for it: counted where it is read, and by the kernel.
                "received": listener.arrived + kernel,
                "stored": listener.stored,
                "given_back": listener.given_back,
                // What is on its way to the event queue; 0 at rest.
                "unaccounted": unaccounted(listener, dropped),
                "bytes": listener.bytes,
                "dropped": listener.dropped,
                "dropped_all": dropped,
                "kernel_drops": kernel,
                "waiting_bytes": sum(|socket| socket.waiting),
                "buffer_bytes": sum(|socket| socket.buffer),
                "sockets": listener.sockets,
            })
        })
    });
    rows.collect()
}

pub(crate) async fn listeners(State(state): State<WebState>) -> Shown {
    Ok(whole(listener_rows(&state.store.processes().await?)))
}
