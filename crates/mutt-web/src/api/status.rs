//! How MUTT is: ledger, queue, rates, health, objectives, change log, configuration, backup.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::IntoResponse;
use mutt_model::codes;
use mutt_model::ledger::Ledger;
use mutt_store::queue::{QueueStats, SpillStats};
use mutt_store::store::{Change, Process, Recorded};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shown, list, shown};
use crate::openapi;
use crate::params::{JsonBody, Params};
use crate::problem::Answer;
use crate::state::{BackupDone, Principal, WebState};

/// The event queue, with what lies in the spills of all hosts.
pub(crate) struct Waiting {
    /// The spills of other processes are in its pending and appended numbers, too.
    pub(crate) queue: QueueStats,
    /// The processes, here and elsewhere, in whose spills events lie.
    pub(crate) spills: Vec<Process>,
}

/// As of the last reports, which are a few seconds old. While the store is away nobody knows of others.
pub(crate) async fn waiting(state: &WebState) -> Waiting {
    let mut queue = state.program.queue().await;
    let mut spills = state.store.processes().await.unwrap_or_default();
    spills.retain(|process| process.report.spilled_events > 0);
    for process in spills.iter().filter(|process| !state.program.is_own(&process.report)) {
        let report = &process.report;
        queue.pending_events += report.spilled_events;
        queue.appended_events += report.spilled_events;
        if let Some(spill) = &report.spill {
            queue.bytes += spill.bytes;
            let oldest = [queue.oldest_received_at, spill.oldest_received_at];
            queue.oldest_received_at = oldest.into_iter().flatten().min();
        }
    }
    Waiting { queue, spills }
}

impl Waiting {
    /// The ledger with the pending events in their places.
    pub(crate) async fn ledger(&self, state: &WebState) -> Answer<Ledger> {
        let mut ledger = state.store.ledger(&self.queue).await?;
        for process in &self.spills {
            let report = &process.report;
            let dir = report.spill.as_ref().map_or("", |spill| spill.place.as_str());
            let place = format!("{}:{dir}", report.host);
            *ledger.events.spilled.entry(place).or_default() += report.spilled_events;
        }
        Ok(ledger)
    }
}

pub(crate) async fn ledger(State(state): State<WebState>) -> Shown {
    Ok(Json(shown(&waiting(&state).await.ledger(&state).await?)))
}

pub(crate) async fn queue(State(state): State<WebState>) -> Shown {
    let Waiting { queue: stats, spills } = waiting(&state).await;
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
        "spills": spills.iter().map(|process| remote_json(&state, process)).collect::<Vec<_>>(),
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

/// A spill as the process of its host told of it.
fn remote_json(state: &WebState, process: &Process) -> Value {
    let report = &process.report;
    let spill = report.spill.clone().unwrap_or_default();
    let oldest = spill.oldest_received_at;
    json!({
        "host": report.host,
        "pid": report.pid,
        "live": process.live,
        "reported_at": process.reported_at,
        "place": spill.place,
        "spilling_since": spill.spilling_since,
        "why": spill.why,
        "pending_events": report.spilled_events,
        "bytes": spill.bytes,
        "oldest_age_seconds": oldest.map(|at| state.clock.wall().since(at).as_secs()),
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
    let waiting = waiting(&state).await;
    let ledger = waiting.ledger(&state).await?;
    Ok(Json(objectives(&state, &ledger, &waiting.queue)))
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

/// What was done stands, whether or not the change log can be written now: an error would be taken for
/// a backup that failed.
async fn note(
    state: &WebState,
    who: &Principal,
    done: &BackupDone,
    action: &'static str,
    reason: Option<String>,
) {
    let noted = record(state, who, "store", &done.file, action, Some(shown(done)), reason).await;
    if let Err(problem) = noted {
        tracing::warn!(code = %codes::STORE_QUERY, who = who.name, file = done.file, why = problem.cause.unwrap_or(problem.detail), "the {action} was made; its entry in the change log was not");
    }
}

pub(crate) async fn backup(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let BackupBody { file } = body.into()?;
    let done = state.program.backup(&file).await?;
    note(&state, &who, &done, "backup", reason).await;
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
    note(&state, &who, &done, "restore", reason).await;
    tracing::info!(who = who.name, file = done.file, "the store was restored from a backup");
    Ok(Json(shown(&done)))
}

pub(crate) async fn openapi_json(State(state): State<WebState>) -> Answer {
    let body = openapi::document(&state.version).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
