//! Moogsoft Cloud (APEX AIOps): Events API.

use mutt_model::delivery::Delivery;
use serde_json::{Map, Value, json};

use super::{
    MANAGER, TEXT_MAX, context, cut, description, event_type, happened_at, moogsoft_severity,
    or_unknown, signature,
};

/// The names of the severities 0 to 5.
const SEVERITIES: [&str; 6] = ["clear", "unknown", "warning", "minor", "major", "critical"];

/// An array of one event.
pub(super) fn body(delivery: &Delivery) -> Value {
    let alert = &delivery.notice.alert;
    let severity = moogsoft_severity(delivery.notice.kind, alert.severity);
    json!([{
        "source": cut(or_unknown(&alert.host), TEXT_MAX),
        "check": cut(or_unknown(&alert.problem), TEXT_MAX),
        "severity": SEVERITIES[usize::from(severity)],
        "description": description(delivery),
        "deduplication_key": signature(&alert.key),
        "time": happened_at(delivery).secs(),
        "manager": MANAGER,
        "class": or_unknown(&alert.problem),
        "type": event_type(delivery),
        "tags": tags(delivery),
    }])
}

/// Tags are flat texts; what is absent is left out.
fn tags(delivery: &Delivery) -> Map<String, Value> {
    let mut tags = context(delivery);
    tags.insert("resource".to_owned(), delivery.notice.alert.resource.clone().into());
    tags.into_iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some((name, Value::String(text))),
            other => Some((name, Value::String(other.to_string()))),
        })
        .collect()
}
