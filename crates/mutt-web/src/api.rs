//! The REST API: handlers by subject. Every answer is JSON; lists are newest first with a cursor.

pub(crate) mod alerts;
pub(crate) mod config;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod hosts;
pub(crate) mod mibs;
pub(crate) mod retention;
pub(crate) mod rules;
pub(crate) mod sinks;
pub(crate) mod sources;
pub(crate) mod status;
pub(crate) mod v1;

use axum::Json;
use mutt_store::store::Page;
use serde_json::{Value, json};

use crate::problem::{Answer, Problem};

/// A JSON answer.
pub(crate) type Shown = Answer<Json<Value>>;

/// A page of a list.
pub(crate) fn list<T>(page: Page<T>, show: impl Fn(&T) -> Value) -> Json<Value> {
    let items: Vec<Value> = page.items.iter().map(show).collect();
    Json(json!({"items": items, "next_cursor": page.next_cursor}))
}

/// A page of a search that looks at so many rows at most: when it met that, it says so, and goes on with
/// the cursor.
pub(crate) fn searched<T>(page: Page<T>, show: impl Fn(&T) -> Value) -> Json<Value> {
    let complete = page.complete;
    let mut answer = list(page, show);
    answer["complete"] = complete.into();
    answer
}

/// A list that is always given whole.
pub(crate) fn whole(items: Vec<Value>) -> Json<Value> {
    Json(json!({"items": items, "next_cursor": null}))
}

/// An object through its serde form. The words of the model always serialise; if one ever does not,
/// the answer is a null and not a panic.
pub(crate) fn shown<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Empty texts in these fields become null: absent is null, never an empty text.
pub(crate) fn empty_to_null(value: &mut Value, fields: &[&str]) {
    for field in fields {
        if value.get(*field).and_then(Value::as_str) == Some("") {
            value[*field] = Value::Null;
        }
    }
}

/// There is no such object.
pub(crate) fn missing(what: &str, id: impl std::fmt::Display) -> Problem {
    Problem::not_found(format!("there is no {what} {id}"))
}
