//! What holds for the event of every decoder.

use mutt_model::{Event, batch};
use serde_json::Value;

/// What every decoder promises of every event: texts without NUL, nothing present and empty, JSON that
/// is JSON, no more raw bytes than came, and a stored form that gives the same event.
pub fn assert_sound(event: &Event<'_>, raw: &[u8]) {
    assert_eq!(event.raw.len(), raw.len(), "the raw bytes are kept");
    for text in [&event.host, &event.parse.format, &event.listener] {
        assert!(!text.is_empty(), "{event:?}");
    }
    for text in [&event.host, &event.message, &event.parse.format, &event.parse.notes] {
        assert!(!text.contains('\0'), "{event:?}");
    }
    let optional = [
        &event.time_note,
        &event.relay,
        &event.app,
        &event.procid,
        &event.msgid,
        &event.mnemonic,
        &event.resource,
        &event.structured_data,
        &event.fields,
        &event.trap_oid,
        &event.trap_name,
        &event.varbinds,
        &event.correlation_id,
    ];
    for text in optional.into_iter().flatten() {
        assert!(!text.is_empty() && !text.contains('\0'), "{event:?}");
    }
    for json in [&event.structured_data, &event.fields, &event.varbinds].into_iter().flatten() {
        let parsed = serde_json::from_str::<Value>(json);
        assert!(parsed.is_ok_and(|value| !has_nul(&value)), "no store takes it: {json}");
    }
    assert!(event.facility.is_none_or(|facility| facility < 24), "{event:?}");
    let body = batch::encode_body(event);
    let back = batch::decode_body(&body);
    assert_eq!(back.as_ref(), Some(event), "the stored form gives the same event");
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
        }
        _ => false,
    }
}
