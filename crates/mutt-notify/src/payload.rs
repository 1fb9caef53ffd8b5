//! What a delivery looks like to each kind of sink. Pure: the same delivery gives the same bytes in
//! every attempt and replay.

mod moogsoft;
mod moogsoft_cloud;
mod webhook;

use mutt_model::delivery::{Delivery, NoticeKind};
use mutt_model::{Severity, Timestamp};
use serde_json::{Map, Value};

use crate::sink::SinkKind;

pub use moogsoft::{SIGNATURE_MAX, signature};

/// What calls itself so to every target.
const MANAGER: &str = "MUTT";
/// Longer texts are cut; below the 32,500 that Moogsoft Cloud allows.
pub const TEXT_MAX: usize = 32_000;

/// A request of a sink without its address and credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The JSON body.
    pub body: Vec<u8>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

/// Renders a delivery for a kind of sink. Every kind gets `Idempotency-Key: <delivery id>`.
#[must_use]
pub fn render(kind: SinkKind, delivery: &Delivery, location: &str) -> Rendered {
    let body = match kind {
        SinkKind::Moogsoft => moogsoft::body(delivery, location),
        SinkKind::MoogsoftCloud => moogsoft_cloud::body(delivery),
        SinkKind::Webhook => webhook::body(delivery),
    };
    let mut headers = vec![("idempotency-key", delivery.id.to_string())];
    if kind == SinkKind::Webhook {
        headers.extend(webhook::cloud_event_headers(delivery, location));
    }
    Rendered { body: body.to_string().into_bytes(), headers }
}

/// The severity of Moogsoft: 0 clear, 1 indeterminate, 2 warning, 3 minor, 4 major, 5 critical.
#[must_use]
pub const fn moogsoft_severity(kind: NoticeKind, severity: Severity) -> u8 {
    if matches!(kind, NoticeKind::Cleared) {
        return 0;
    }
    match severity.number() {
        0..=2 => 5,
        3 => 4,
        4 => 2,
        _ => 1,
    }
}

/// When what the delivery tells happened.
fn happened_at(delivery: &Delivery) -> Timestamp {
    let alert = &delivery.notice.alert;
    match delivery.notice.kind {
        NoticeKind::Cleared => alert.cleared_at.unwrap_or(alert.last_seen),
        _ => alert.last_seen,
    }
}

/// The message, or what stands for it when there is none: targets refuse an empty description.
fn description(delivery: &Delivery) -> String {
    let alert = &delivery.notice.alert;
    if alert.message.trim().is_empty() {
        let text = format!("{} {}", alert.problem, delivery.notice.kind.name());
        return cut(&text, TEXT_MAX).to_owned();
    }
    cut(&alert.message, TEXT_MAX).to_owned()
}

/// What the event was: its trap, mnemonic or source; `mutt` for MUTT's own alerts.
fn event_type(delivery: &Delivery) -> &str {
    let field = |name| {
        let value = delivery.notice.event.as_ref()?.get(name)?.as_str()?;
        (!value.is_empty()).then_some(value)
    };
    field("trap_name").or_else(|| field("mnemonic")).or_else(|| field("source")).unwrap_or("mutt")
}

/// `unknown` for what must not be empty.
fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

/// What of the alert every target is told beside its own fields.
fn context(delivery: &Delivery) -> Map<String, Value> {
    let notice = &delivery.notice;
    let alert = &notice.alert;
    let id = |id: Option<mutt_model::Id>| id.map_or(Value::Null, |id| id.to_string().into());
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    put("delivery_id", delivery.id.to_string().into());
    put("alert_id", alert.id.to_string().into());
    put("key", alert.key.clone().into());
    put("kind", notice.kind.name().into());
    put("team", alert.team.clone().into());
    put("decision", alert.decision.name().into());
    put("environment", alert.environment.name().into());
    put("rule_id", alert.rule_id.map_or(Value::Null, Value::from));
    put("count", alert.count.into());
    put("stands_for", notice.stands_for.into());
    put("event_id", id(alert.event_id));
    put("correlation_id", alert.correlation_id.clone().map_or(Value::Null, Value::from));
    map
}

/// The longest part of a text that has at most `max` bytes and whole characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
pub(crate) mod tests;
