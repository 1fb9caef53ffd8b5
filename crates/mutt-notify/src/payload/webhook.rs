//! The generic webhook: the whole delivery as JSON, with the headers of a CloudEvent.
//!
//! Body: `{"delivery_id", "kind", "stands_for", "alert": {...}, "event": {...} or null}`. `kind` is
//! `opened`, `repeated`, `severity_changed`, `reminder` or `cleared`; `alert` and `event` are the
//! objects of the API.

use std::fmt::Write as _;

use mutt_model::delivery::Delivery;
use serde_json::{Value, json};

use super::happened_at;

/// A longer subject is left out; the body has the key.
const SUBJECT_MAX: usize = 1_024;

pub(super) fn body(delivery: &Delivery) -> Value {
    let notice = &delivery.notice;
    // An alert is plain data: it always serialises.
    let mut alert = serde_json::to_value(&notice.alert).unwrap_or(Value::Null);
    if let Some(fields) = alert.as_object_mut() {
        fields.shift_remove("told");
    }
    json!({
        "delivery_id": delivery.id.to_string(),
        "kind": notice.kind.name(),
        "stands_for": notice.stands_for,
        "alert": alert,
        "event": notice.event,
    })
}

/// CloudEvents 1.0, binary mode: a receiver that knows them can route and deduplicate by `ce-id`.
pub(super) fn cloud_event_headers(
    delivery: &Delivery,
    location: &str,
) -> Vec<(&'static str, String)> {
    let source = if location.is_empty() {
        "/mutt".to_owned()
    } else {
        format!("/mutt/{}", encode(location))
    };
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", delivery.id.to_string()),
        ("ce-source", source),
        ("ce-type", format!("io.mutt.alert.{}.v1", delivery.notice.kind.name())),
        ("ce-time", happened_at(delivery).to_string()),
    ];
    let subject = encode(&delivery.notice.alert.key);
    if !subject.is_empty() && subject.len() <= SUBJECT_MAX {
        headers.push(("ce-subject", subject));
    }
    headers
}

/// Percent-encoding of the HTTP binding: everything but printable ASCII, and space, `"` and `%`. No
/// text of a device can end the header.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
