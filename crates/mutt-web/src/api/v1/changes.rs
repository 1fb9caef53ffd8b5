//! The earlier system's paths for its dynamic keys, its objectives and its record of changes.

use axum::Json;
use axum::extract::{Extension, Path, State};
use mutt_model::Timestamp;
use mutt_store::store::Change;
use serde_json::{Value, json};

use super::COUNT_MAX;
use crate::api::{Shown, config, status};
use crate::params::{JsonBody, PAGE_DEFAULT, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// Objects of the change log under the names of the earlier system's tables; others keep their own.
const TABLES: [(&str, &str); 4] = [
    ("rule", "alert_rules"),
    ("dev_host", "development_hosts"),
    ("team", "device_teams"),
    ("config", "dynamic_config"),
];
const OPERATIONS: [&str; 3] = ["CREATE", "UPDATE", "DELETE"];
const LIMIT_MAX: usize = 200;

/// A value as the earlier system kept it: always a text.
fn text(value: &Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value.clone(),
        other => other.to_string().into(),
    }
}

/// The keys that may be changed while MUTT runs, with what is in force.
pub(crate) async fn config(State(state): State<WebState>) -> Shown {
    let settings = state.store.settings(None).await?;
    let keys = state.program.keys(Some(&settings)).into_iter().filter(|key| key.role.is_some());
    let config: serde_json::Map<String, Value> =
        keys.map(|key| (key.key, text(&key.value))).collect();
    let aliases = state.program.earlier_keys().into_iter();
    let aliases: serde_json::Map<String, Value> = aliases
        .filter(|(_, key)| config.contains_key(*key))
        .map(|(name, key)| (name, key.into()))
        .collect();
    Ok(Json(json!({"count": config.len(), "config": config, "aliases": aliases})))
}

/// Sets one key, by its name here or by the earlier system's; unlike there only a known one, to a value
/// that fits.
pub(crate) async fn set(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    mut body: JsonBody,
) -> Shown {
    let reason = body.take_reason()?;
    let given = body.0.get("value").filter(|value| !value.is_null()).cloned();
    let new = given.ok_or_else(|| Problem::bad("Missing 'value' in request body"))?;
    let before = state.store.settings(None).await?;
    let new = config::text_of(new)?;
    let (sets, new) = match state.program.earlier_setting(&key, &new) {
        Some((sets, new)) => (sets.to_owned(), new),
        None => (key.clone(), new),
    };
    let old = state.program.keys(Some(&before)).into_iter().find(|known| known.key == sets);
    config::change(&state, &who, &sets, Some(new.clone()), None, reason).await?;
    let old = old.map_or(Value::Null, |known| text(&known.value));
    let mut answer = json!({"key": key, "old_value": old, "new_value": new});
    if sets != key {
        answer["alias_of"] = sets.into();
    }
    Ok(Json(answer))
}

fn table_name(object: &str) -> &str {
    TABLES.iter().find(|(known, _)| *known == object).map_or(object, |(_, table)| table)
}

fn operation(change: &Change) -> &'static str {
    match (&change.old, &change.new) {
        (None, Some(_)) => OPERATIONS[0],
        (Some(_), None) => OPERATIONS[2],
        _ => OPERATIONS[1],
    }
}

/// Values by column, as the earlier system's rows had them.
fn values(change: &Change, value: Option<&Value>) -> Value {
    let Some(value) = value else { return Value::Null };
    let id = &change.object_id;
    match (change.object.as_str(), value) {
        (_, Value::Object(_)) => value.clone(),
        ("config", value) => json!({"key": id, "value": value}),
        ("dev_host", value) => json!({"hostname": value}),
        ("team", value) => json!({"hostname": id, "team_assignment": value}),
        (_, value) => json!({"value": value}),
    }
}

fn entry(change: &Change, at: &str) -> Value {
    let number = change.object_id.parse::<i64>().map(Value::from);
    let mut entry = json!({
        "id": change.id,
        "changed_by": change.who,
        "operation": operation(change),
        "table_name": table_name(&change.object),
        "record_id": number.unwrap_or_else(|_| change.object_id.clone().into()),
        "old_values": values(change, change.old.as_ref()),
        "new_values": values(change, change.new.as_ref()),
        "reason": change.reason,
        "correlation_id": null,
    });
    entry[at] = json!(change.at);
    entry
}

/// One page of the changes that fit, newest first, under `list`; `at` is what the time is called.
async fn page(
    state: &WebState,
    params: &Params,
    (list, at): (&str, &str),
    fits: impl Fn(&Change) -> bool,
) -> Shown {
    let page = params.number::<usize>("page")?.unwrap_or(1).max(1);
    let limit = params.number::<usize>("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, LIMIT_MAX);
    let wanted = (page - 1).saturating_mul(limit)..page.saturating_mul(limit);
    let (mut found, mut total, mut read, mut cursor) = (Vec::new(), 0, 0, None::<String>);
    loop {
        let next = state.store.changes(mutt_store::store::PAGE_MAX, cursor.as_deref()).await?;
        read += next.items.len();
        for change in next.items.iter().filter(|change| fits(change)) {
            if wanted.contains(&total) {
                found.push(entry(change, at));
            }
            total += 1;
        }
        cursor = next.next_cursor;
        if cursor.is_none() || read >= COUNT_MAX {
            break;
        }
    }
    let mut answer = json!({"pagination": {
        "page": page, "limit": limit, "total": total, "pages": total.div_ceil(limit),
        "total_is_exact": cursor.is_none(),
    }});
    answer[list] = found.into();
    Ok(Json(answer))
}

/// Changes of keys.
pub(crate) async fn history(State(state): State<WebState>, params: Params) -> Shown {
    page(&state, &params, ("history", "created_at"), |change| change.object == "config").await
}

fn operation_asked(params: &Params) -> Answer<Option<&'static str>> {
    params.with("operation", &OPERATIONS.join(", "), |text| {
        OPERATIONS.into_iter().find(|known| known.eq_ignore_ascii_case(text))
    })
}

/// The record of all changes, with its filters.
pub(crate) async fn audit(State(state): State<WebState>, params: Params) -> Shown {
    let wanted = operation_asked(&params)?;
    let since = params.time("start_date")?;
    // The earlier system's end was part of the range.
    let until = params.time("end_date")?.map(|at| Timestamp(at.0.saturating_add(1)));
    let by = params.get("changed_by").map(str::to_lowercase);
    let (table, record) = (params.get("table_name"), params.get("record_id"));
    let fits = |change: &Change| {
        wanted.is_none_or(|wanted| operation(change) == wanted)
            && by.as_ref().is_none_or(|by| change.who.to_lowercase().contains(by))
            && table.is_none_or(|table| table_name(&change.object) == table)
            && record.is_none_or(|record| change.object_id == record)
            && since.is_none_or(|since| change.at >= since)
            && until.is_none_or(|until| change.at < until)
    };
    page(&state, &params, ("logs", "changed_at"), fits).await
}

/// The objectives under the earlier names; over what time they are is said in each message.
pub(crate) async fn slo(State(state): State<WebState>) -> Shown {
    let queue = state.program.queue().await;
    let ledger = state.store.ledger(&queue).await?;
    let now = status::objectives(&state, &ledger, &queue);
    let of = |objective: &Value| {
        let seconds = !objective["target_seconds"].is_null();
        let target = if seconds { "target_seconds" } else { "target" };
        let actual = if seconds { "actual_seconds" } else { "actual" };
        let mut slo = json!({
            "slo_name": objective["name"],
            "description": objective["description"],
            "window_hours": null,
            "actual_value": objective[actual],
            "status": match objective["state"].as_str() {
                Some("breached") => "breaching",
                Some("no data") => "no_data",
                _ => "ok",
            },
            "error_budget_remaining": objective["error_budget_remaining"],
            "burn_rate": objective["burn_rate"],
            "message": now["window"],
        });
        slo[target] = objective[target].clone();
        slo
    };
    let slos: Vec<Value> = now["objectives"].as_array().into_iter().flatten().map(of).collect();
    Ok(Json(json!({"timestamp": state.clock.wall(), "slos": slos})))
}
