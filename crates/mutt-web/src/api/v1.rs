//! The paths of the earlier system with their shapes, for clients that have not moved yet.

pub(crate) mod changes;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use mutt_model::Timestamp;
use mutt_model::rule::Handling;
use mutt_store::store::{EventQuery, RuleChange};
use serde_json::{Map, Value, json};

use super::hosts::{checked, host_name};
use super::rules::{change, create_rule, find, in_order, patch_rule, read_rule, rule_json};
use super::{Shown, missing};
use crate::params::{JsonBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// `X-API-Version`
pub(crate) const CURRENT: &str = "3.0";
/// `X-API-Supported-Versions`
pub(crate) const SUPPORTED_LINE: &str = "3.0, 2.5, 2.0, 1.0";
/// The earlier system counted all rows of a search; this many are counted exactly.
const COUNT_MAX: usize = 10_000;

const RULE_FIELDS: [&str; 10] = [
    "id",
    "match_string",
    "trap_oid",
    "syslog_severity",
    "match_type",
    "priority",
    "prod_handling",
    "dev_handling",
    "team_assignment",
    "is_active",
];

fn narrow(rule: &mutt_model::rule::Rule) -> Value {
    let all = rule_json(rule);
    let few: Map<String, Value> =
        RULE_FIELDS.iter().map(|name| ((*name).to_owned(), all[*name].clone())).collect();
    Value::Object(few)
}

fn rule_id(text: &str) -> Answer<i64> {
    text.parse().map_err(|_| Problem::not_found("Rule not found"))
}

fn no_rule(problem: Problem) -> Problem {
    if problem.status == StatusCode::NOT_FOUND {
        Problem::not_found("Rule not found")
    } else {
        problem
    }
}

fn said(message: &str) -> Json<Value> {
    Json(json!({"message": message}))
}

pub(crate) async fn rules(State(state): State<WebState>) -> Shown {
    let set = state.store.rule_set(None).await?;
    let rules: Vec<Value> = in_order(&set).into_iter().map(narrow).collect();
    Ok(Json(json!({"rules": rules})))
}

pub(crate) async fn rule(State(state): State<WebState>, Path(id): Path<String>) -> Shown {
    let set = state.store.rule_set(None).await?;
    Ok(Json(narrow(find(&set, rule_id(&id)?).map_err(no_rule)?)))
}

pub(crate) async fn create(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let given = |name: &str| body.0.get(name).is_some_and(|v| !v.is_null() && *v != "");
    let needed = ["prod_handling", "dev_handling", "team_assignment"];
    let absent: Vec<&str> = needed.into_iter().filter(|name| !given(name)).collect();
    if !absent.is_empty() {
        return Err(Problem::bad(format!("Missing required fields: {absent:?}")));
    }
    if !given("match_string") && !given("trap_oid") {
        return Err(Problem::bad("Either match_string or trap_oid is required"));
    }
    let rule = create_rule(&state, &who, read_rule(body.0)?, reason).await?;
    let answer = json!({"id": rule.id, "message": "Rule created successfully"});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

pub(crate) async fn update(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let id = rule_id(&id)?;
    if body.0.as_object().is_none_or(Map::is_empty) {
        return Err(Problem::bad("No fields to update"));
    }
    patch_rule(&state, &who, id, &body.0, None, reason).await.map_err(no_rule)?;
    Ok(said("Rule updated successfully"))
}

pub(crate) async fn delete(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    change(&state, &who, RuleChange::DeleteRule(rule_id(&id)?), None, reason)
        .await
        .map_err(no_rule)?;
    Ok(said("Rule deleted successfully"))
}

pub(crate) async fn audit_logs(State(state): State<WebState>, params: Params) -> Shown {
    let page = params.number::<usize>("page")?.unwrap_or(1).max(1);
    let limit = params.number::<usize>("limit")?.unwrap_or(50).clamp(1, 200);
    let query = EventQuery {
        host: params.owned("hostname"),
        rule: params.number("rule_id")?,
        since: params.time("start_date")?,
        // The earlier system's end was part of the range.
        until: params.time("end_date")?.map(|at| Timestamp(at.0.saturating_add(1))),
        ..EventQuery::default()
    };
    let (from, to) = ((page - 1).saturating_mul(limit), page.saturating_mul(limit));
    let (mut logs, mut total, mut cursor) = (Vec::new(), 0usize, None::<String>);
    loop {
        let most = mutt_store::store::PAGE_MAX;
        let found = state.store.events(&query, most, cursor.as_deref()).await?;
        for (at, row) in (total..).zip(&found.items) {
            if (from..to).contains(&at) {
                logs.push(log_json(row));
            }
        }
        total += found.items.len();
        cursor = found.next_cursor;
        if cursor.is_none() || total >= COUNT_MAX {
            break;
        }
    }
    Ok(Json(json!({
        "logs": logs,
        "pagination": {
            "page": page, "limit": limit, "total": total, "pages": total.div_ceil(limit),
            "total_is_exact": cursor.is_none(),
        },
    })))
}

fn log_json(row: &mutt_model::audit::AuditedEvent) -> Value {
    let delivers = row.judgement.decision.as_ref().is_some_and(Handling::delivers);
    json!({
        "id": row.event.id,
        "event_timestamp": row.event.device_time.unwrap_or(row.event.received_at),
        "hostname": row.event.host,
        "matched_rule_id": row.judgement.rule_id,
        "handling_decision": row.judgement.decision.as_ref().map(Handling::name),
        "forwarded_to_moog": delivers && row.judgement.alert_id.is_some(),
        "raw_message": row.event.message,
    })
}

pub(crate) async fn hosts(State(state): State<WebState>) -> Shown {
    let set = state.store.rule_set(None).await?;
    let hosts: Vec<Value> = set.dev_hosts.iter().map(|host| json!({"hostname": host})).collect();
    Ok(Json(json!({"hosts": hosts})))
}

fn field(body: &JsonBody, name: &str) -> Answer<String> {
    let text = body.0.get(name).and_then(Value::as_str).unwrap_or_default();
    checked(text, name).map(str::to_owned)
}

pub(crate) async fn add_host(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let host = host_name(&field(&body, "hostname")?)?;
    change(&state, &who, RuleChange::AddDevHost(host), None, reason)
        .await
        .map_err(|problem| told(problem, "Hostname already exists"))?;
    Ok((StatusCode::CREATED, said("Dev host added successfully")).into_response())
}

/// The earlier system's words for a conflict or a missing host.
fn told(mut problem: Problem, conflict: &str) -> Problem {
    match problem.status {
        StatusCode::CONFLICT => conflict.clone_into(&mut problem.detail),
        StatusCode::NOT_FOUND => "Hostname not found".clone_into(&mut problem.detail),
        _ => {}
    }
    problem
}

pub(crate) async fn remove_host(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    change(&state, &who, RuleChange::RemoveDevHost(host.to_lowercase()), None, reason)
        .await
        .map_err(|problem| told(problem, ""))?;
    Ok(said("Dev host deleted successfully"))
}

pub(crate) async fn teams(State(state): State<WebState>) -> Shown {
    let set = state.store.rule_set(None).await?;
    let show = |(host, team)| json!({"hostname": host, "team_assignment": team});
    let teams: Vec<Value> = set.teams.iter().map(show).collect();
    Ok(Json(json!({"teams": teams})))
}

pub(crate) async fn add_team(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let host = host_name(&field(&body, "hostname")?)?;
    let team = field(&body, "team_assignment")?;
    change(&state, &who, RuleChange::SetTeam { host, team, create: true }, None, reason)
        .await
        .map_err(|problem| told(problem, "Hostname already has a team assignment"))?;
    Ok((StatusCode::CREATED, said("Team assignment added successfully")).into_response())
}

pub(crate) async fn set_team(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let host = host_name(&host)?;
    let team = field(&body, "team_assignment")?;
    let set = state.store.rule_set(None).await?;
    if !set.teams.contains_key(&host) {
        return Err(told(missing("host", &host), ""));
    }
    change(&state, &who, RuleChange::SetTeam { host, team, create: false }, None, reason).await?;
    Ok(said("Team assignment updated successfully"))
}

pub(crate) async fn remove_team(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    change(&state, &who, RuleChange::RemoveTeam(host.to_lowercase()), None, reason)
        .await
        .map_err(|problem| told(problem, ""))?;
    Ok(said("Team assignment deleted successfully"))
}

const DAY_HOURS: i64 = 24;

#[expect(clippy::cast_precision_loss, reason = "rates for people, two decimals")]
fn per_minute(events: u64, minutes: u64) -> f64 {
    (events as f64 / minutes as f64 * 100.0).round() / 100.0
}

/// Events per minute, as the earlier dashboard read them. Idle minutes count as zero here.
pub(crate) async fn metrics(State(state): State<WebState>) -> Shown {
    let now = state.clock.wall();
    let hour = now.secs().div_euclid(3_600);
    let first = (hour - DAY_HOURS + 1) * 3_600;
    let rates = state.store.rates(Timestamp::from_secs(first)).await?;
    let minute = now.secs().div_euclid(60) * 60;
    let over = |minutes: i64| -> u64 {
        let from = minute - minutes * 60;
        rates.iter().filter(|r| r.minute >= from && r.minute < minute).map(|r| r.audited).sum()
    };
    let (mut labels, mut data) = (Vec::new(), Vec::new());
    for back in (0..DAY_HOURS).rev() {
        let this = hour - back;
        let events: u64 =
            rates.iter().filter(|r| r.minute.div_euclid(3_600) == this).map(|r| r.audited).sum();
        labels.push(format!("{:02}:00", this.rem_euclid(DAY_HOURS)));
        data.push(per_minute(events, 60));
    }
    Ok(Json(json!({
        "summary": {
            "current_rate_1m": per_minute(over(1), 1),
            "avg_rate_15m": per_minute(over(15), 15),
            "avg_rate_1h": per_minute(over(60), 60),
        },
        "chart_24h": {"labels": labels, "data": data},
    })))
}

pub(crate) async fn version(State(state): State<WebState>) -> Shown {
    Ok(Json(json!({
        "current_version": CURRENT,
        "default_version": CURRENT,
        "supported_versions": SUPPORTED_LINE.split(", ").collect::<Vec<_>>(),
        "product_version": state.version,
        "version_history": {
            "3.0": {"status": "current",
                "changes": ["canonical paths under /api/v2", "problem details with error codes"]},
            "2.5": {"released": "2025-11-10", "status": "supported", "changes": []},
            "2.0": {"released": "2025-11-10", "status": "supported", "changes": []},
            "1.0": {"released": "2024-01-01", "status": "supported", "changes": []},
        },
    })))
}
