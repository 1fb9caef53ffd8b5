//! Moogsoft Enterprise: webhook and REST LAM.

use mutt_model::delivery::Delivery;
use serde_json::{Value, json};

use super::{
    MANAGER, context, cut, description, event_type, happened_at, moogsoft_severity, or_unknown,
};

/// The column of a signature holds this many bytes.
pub const SIGNATURE_MAX: usize = 767;
/// Hexadecimal digits of a SHA-256.
const DIGEST_LEN: usize = 64;

/// `{"events":[...]}` with one event.
pub(super) fn body(delivery: &Delivery, location: &str) -> Value {
    let alert = &delivery.notice.alert;
    let mut custom = context(delivery);
    custom.insert("event".to_owned(), delivery.notice.event.clone().unwrap_or(Value::Null));
    json!({"events": [{
        "signature": signature(&alert.key),
        "source_id": or_unknown(&alert.host),
        "external_id": delivery.id.to_string(),
        "manager": MANAGER,
        "source": or_unknown(&alert.host),
        "class": or_unknown(&alert.problem),
        "agent_location": or_unknown(location),
        "type": event_type(delivery),
        "severity": moogsoft_severity(delivery.notice.kind, alert.severity),
        "description": description(delivery),
        "first_occurred": alert.first_seen.secs(),
        "agent_time": happened_at(delivery).secs().to_string(),
        "custom_info": custom,
    }]})
}

/// The identity of an alert in Moogsoft: `MUTT::<alert key>`. A key that does not fit is cut and ends
/// in its digest, so that two keys never share a signature.
#[must_use]
pub fn signature(key: &str) -> String {
    let whole = format!("{MANAGER}::{key}");
    if whole.len() <= SIGNATURE_MAX {
        return whole;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}::{hex}", cut(&whole, SIGNATURE_MAX - DIGEST_LEN - 2))
}
