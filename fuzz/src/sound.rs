//! What holds for the event of every decoder.

use mutt_model::{Event, batch};
use serde_json::Value;

/// What every decoder promises of every event: texts without NUL, nothing present and empty, JSON that
/// is JSON, as many raw bytes as came, and a stored form that gives the same event. Says what is not so.
pub fn unsound(event: &Event<'_>, raw: &[u8]) -> Option<&'static str> {
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
    let optional = || optional.into_iter().flatten();
    let always = [&event.host, &event.message, &event.parse.format, &event.parse.notes];
    let mut json = [&event.structured_data, &event.fields, &event.varbinds].into_iter().flatten();
    let is_json =
        |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| !has_nul(&value));
    let faults = [
        (event.raw.len() != raw.len(), "the raw bytes are not kept"),
        (
            [&event.host, &event.parse.format, &event.listener].iter().any(|text| text.is_empty()),
            "host, format or listener is empty",
        ),
        (always.into_iter().chain(optional()).any(|text| text.contains('\0')), "a text has NUL"),
        (optional().any(|text| text.is_empty()), "what is present is empty"),
        (!json.all(|text| is_json(text)), "no store takes the JSON"),
        (event.facility.is_some_and(|facility| facility > 23), "no such facility"),
        (
            batch::decode_body(&batch::encode_body(event)).as_ref() != Some(event),
            "the stored form gives another event",
        ),
    ];
    faults.into_iter().find_map(|(found, what)| found.then_some(what))
}

/// Holds an event to that.
pub fn assert_sound(event: &Event<'_>, raw: &[u8]) {
    assert_eq!(unsound(event, raw), None, "{event:?}");
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
