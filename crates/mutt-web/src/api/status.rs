//! How MUTT is: ledger, queue, rates, health, objectives, change log, configuration, backup.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::IntoResponse;
use mutt_model::ledger::Ledger;
use mutt_store::queue::{QueueStats, SpillStats};
use mutt_store::store::{Change, Recorded};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, list, shown};
use crate::openapi;
use crate::params::{JsonBody, Params};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

pub(crate) async fn ledger(State(state): State<WebState>) -> Shown {
    Ok(Json(shown(&state.store.ledger(&state.program.queue()).await?)))
}

pub(crate) async fn queue(State(state): State<WebState>) -> Shown {
    let stats = state.program.queue();
    Ok(Json(json!({
        "pending_events": stats.pending_events,
        "pending_batches": stats.pending_batches,
        "bytes": stats.bytes,
        "appended_events": stats.appended_events,
        "acknowledged_events": stats.acknowledged_events,
        "lost_events": stats.lost_events,
        "dropped": stats.dropped,
        "oldest_received_at": stats.oldest_received_at,
        "oldest_age_seconds": oldest_age(&state, &stats),
        "set_aside": stats.set_aside,
        "spill": stats.spill.as_ref().map(spill_json),
    })))
}

/// The part of what waits that is on local disk, with its place.
fn spill_json(spill: &SpillStats) -> Value {
    json!({
        "place": spill.place,
        "spilling_since": spill.spilling_since,
        "why": spill.why,
        "pending_events": spill.pending_events,
        "pending_batches": spill.pending_batches,
        "bytes": spill.bytes,
        "spilled_events": spill.spilled_events,
        "drained_events": spill.drained_events,
    })
}

/// How long the oldest waiting batch has waited.
pub(crate) fn oldest_age(state: &WebState, stats: &QueueStats) -> Option<u64> {
    stats.oldest_received_at.map(|at| state.clock.wall().since(at).as_secs())
}

pub(crate) async fn rates(State(state): State<WebState>, params: Params) -> Shown {
    let since = match params.time("since")? {
        Some(since) => since,
        None => state.clock.wall().minus(std::time::Duration::from_secs(3600)),
    };
    Ok(super::whole(state.store.rates(since).await?.iter().map(shown).collect()))
}

pub(crate) async fn health(State(state): State<WebState>) -> Shown {
    let services = state.program.services();
    let store = state.store.rule_set_version().await;
    let well = store.is_ok() && services.iter().all(|service| service.ready);
    Ok(Json(json!({
        "status": if well { "healthy" } else { "degraded" },
        "version": state.version,
        "store": if store.is_ok() { "connected" } else { "unavailable" },
        "ruleset": store.ok(),
        "services": services,
        "notices": state.program.notices(),
    })))
}

/// An objective: what is promised, what is so, and how much of the allowance is spent.
fn objective(name: &str, words: &str, target: f64, good: u64, all: u64) -> Value {
    if all == 0 {
        return json!({
            "name": name, "description": words, "target": target, "actual": null, "good": 0, "all": 0,
            "state": "no data", "error_budget_remaining": null, "burn_rate": null,
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let actual = good as f64 / all as f64;
    let burn = (1.0 - actual) / (1.0 - target);
    json!({
        "name": name, "description": words, "target": target, "actual": actual,
        "good": good, "all": all,
        "state": if actual >= target { "ok" } else { "breached" },
        "error_budget_remaining": 1.0 - burn, "burn_rate": burn,
    })
}

/// The promise that a waiting event is judged within this time.
const AUDITED_WITHIN_SECS: u64 = 60;

/// Only what ledger and queue prove is reported; latencies over time are in the metrics.
pub(crate) fn objectives(state: &WebState, ledger: &Ledger, queue: &QueueStats) -> Value {
    let events = &ledger.events;
    let dropped: u64 = events.dropped.values().sum();
    let missing = u64::try_from(events.unaccounted).unwrap_or(0) + events.lost;
    let accepted = events.received.saturating_sub(dropped);
    let ended = ledger.deliveries.delivered + ledger.deliveries.dead;
    let age = oldest_age(state, queue);
    let within = age.is_none_or(|age| age <= AUDITED_WITHIN_SECS);
    json!({
        "window": "since the store was created",
        "objectives": [
            objective("events_accepted", "Frames that arrived and were not dropped before the append.",
                0.999, accepted, events.received),
            objective("events_kept", "Accepted events that are audited, waiting or known repeats.",
                0.99999, accepted.saturating_sub(missing), accepted),
            objective("alerts_delivered", "Ended deliveries that the sink accepted; dead ones count against it.",
                0.999, ledger.deliveries.delivered, ended),
            json!({
                "name": "events_audited_in_time",
                "description": "The oldest waiting event is not older than a minute (now, not over time).",
                "target_seconds": AUDITED_WITHIN_SECS, "actual_seconds": age.unwrap_or(0),
                "state": if within { "ok" } else { "breached" },
                "error_budget_remaining": null, "burn_rate": null,
            }),
        ],
        "not_reported": "Availability and latency over a window need a history that only the metrics have.",
    })
}

pub(crate) async fn slo(State(state): State<WebState>) -> Shown {
    let queue = state.program.queue();
    let ledger = state.store.ledger(&queue).await?;
    Ok(Json(objectives(&state, &ledger, &queue)))
}

fn change_json(change: &Change) -> Value {
    shown(change)
}

pub(crate) async fn changes(State(state): State<WebState>, params: Params) -> Shown {
    let page = state.store.changes(params.limit()?, params.get("cursor")).await?;
    Ok(list(page, change_json))
}

pub(crate) async fn whoami(Extension(who): Extension<Principal>) -> Shown {
    Ok(Json(json!({"name": who.name, "role": who.role})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupBody {
    file: String,
}

/// Puts what was done outside the store's tables into the change log.
pub(crate) async fn record(
    state: &WebState,
    who: &Principal,
    object: &'static str,
    object_id: &str,
    action: &'static str,
    new: Option<Value>,
    reason: Option<String>,
) -> Answer<()> {
    let change = Recorded { object, object_id: object_id.to_owned(), action, old: None, new };
    Ok(state.store.record_change(change, &who.actor(reason), state.clock.wall()).await?)
}

/// The live processes of all hosts, and those that are gone with events in their spill.
pub(crate) async fn processes(State(state): State<WebState>) -> Shown {
    Ok(super::whole(state.store.processes().await?.iter().map(shown).collect()))
}

pub(crate) async fn backup(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let BackupBody { file } = body.into()?;
    let done = state.program.backup(&file).await?;
    record(&state, &who, "store", &done.file, "backup", Some(shown(&done)), reason).await?;
    tracing::info!(who = who.name, file = done.file, bytes = done.bytes, "backup written");
    Ok(Json(shown(&done)))
}

pub(crate) async fn restore(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let BackupBody { file } = body.into()?;
    let done = state.program.restore(&file).await?;
    // In the store as it is now: the change log of the backup goes on.
    record(&state, &who, "store", &done.file, "restore", Some(shown(&done)), reason).await?;
    tracing::info!(who = who.name, file = done.file, "the store was restored from a backup");
    Ok(Json(shown(&done)))
}

pub(crate) async fn openapi_json(State(state): State<WebState>) -> Answer {
    let body = openapi::document(&state.version).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
