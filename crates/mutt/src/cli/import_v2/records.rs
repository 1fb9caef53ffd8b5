//! How a row or a queued item of v2 becomes an event: its JSON text, without secrets, and its ids,
//! which follow from v2's alone.

use mutt_model::{BatchBuilder, DedupKey, Id, Timestamp};
use mutt_store::postgres::v2::{V2Audit, V2AuditRow};
use mutt_wire::{Frame, http};
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value, json};

use super::report::member;

/// The name that the events' listener has.
const LISTENER: &str = "import";
/// A shorter secret is not looked for in other texts: it would be found everywhere.
const SECRET_MIN: usize = 8;
/// Members that v2 filled with a secret, at any depth.
const SECRETS: [&str; 3] = ["api_key", "x-api-key", "x_api_key"];

/// The first 16 bytes of SHA-256 over the parts, each with its length.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut sixteen = [0; 16];
    sixteen.copy_from_slice(&context.finish().as_ref()[..16]);
    sixteen
}

/// A UUIDv7 for this moment whose random part is a digest: the same for the same thing.
pub(super) fn derived(at: Timestamp, parts: &[&[u8]]) -> Id {
    let mut id = Id::floor_of(at);
    let digest = digest(parts);
    id.0[8..].copy_from_slice(&digest[..8]);
    id.0[8] = id.0[8] & 0x3f | 0x80;
    id
}

/// An event in the making.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: Id,
    pub(super) received_at: Timestamp,
    /// The event's JSON text.
    pub(super) text: String,
    /// The device, where it is known better than the text says.
    pub(super) host: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) dedup: Option<DedupKey>,
}

impl Record {
    /// Adds it to a batch.
    pub(super) fn push(&self, builder: &mut BatchBuilder) {
        let frame = Frame {
            id: self.id,
            received_at: self.received_at,
            listener: LISTENER,
            peer: "v2",
            raw: self.text.as_bytes(),
        };
        let mut event = http::decode(frame).event;
        if let Some(host) = &self.host {
            event.host = host.as_str().into();
        }
        event.correlation_id = self.correlation_id.as_deref().map(Into::into);
        event.dedup = self.dedup;
        builder.push(&event);
    }

    /// The device, as its shard is chosen by.
    pub(super) fn shard(&self, shards: u16) -> u16 {
        let value: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let host = member(&value, "hostname").or_else(|| member(&value, "host"));
        let host = self.host.as_deref().or(host).unwrap_or("v2").trim();
        let shard = crate::services::ingestor::batcher::shard_of(host, usize::from(shards));
        u16::try_from(shard).unwrap_or(0)
    }
}

/// v2 wrote `unknown` where it knew none.
fn correlation(value: &Value) -> Option<String> {
    let id = member(value, "_correlation_id").filter(|id| *id != "unknown");
    id.map(|id| id.chars().filter(|c| *c != '\0').take(128).collect())
}

/// Takes secrets out; says whether there were any.
pub(super) fn without_secrets(value: &mut Value) -> bool {
    let mut found = Vec::new();
    let removed = remove(value, &mut found);
    found.retain(|secret: &String| secret.len() >= SECRET_MIN);
    if !found.is_empty() {
        cover(value, &found);
    }
    removed
}

fn remove(value: &mut Value, found: &mut Vec<String>) -> bool {
    match value {
        Value::Object(members) => {
            let names: Vec<String> = members
                .keys()
                .filter(|name| SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name)))
                .cloned()
                .collect();
            let mut removed = !names.is_empty();
            for name in names {
                if let Some(Value::String(secret)) = members.remove(&name) {
                    found.push(secret);
                }
            }
            for member in members.values_mut() {
                removed |= remove(member, found);
            }
            removed
        }
        Value::Array(items) => {
            items.iter_mut().fold(false, |removed, item| remove(item, found) | removed)
        }
        _ => false,
    }
}

/// A sender's event may quote the secret.
fn cover(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "***");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cover(item, secrets)),
        Value::Object(members) => members.values_mut().for_each(|item| cover(item, secrets)),
        _ => {}
    }
}

/// The event of a queued item: of an alert the event that it was made of. `list` is v2's list,
/// `place` names the item among all that ever were in it.
///
/// # Errors
///
/// Why it cannot be taken, in words.
pub(super) fn queued(
    list: &str,
    place: (u64, usize),
    item: &[u8],
    now: Timestamp,
    keep_until: Timestamp,
) -> Result<Record, String> {
    let text = std::str::from_utf8(item).map_err(|_| "it is no text".to_owned())?;
    let mut value: Value =
        serde_json::from_str(text).map_err(|why| format!("it is no JSON: {why}"))?;
    if !value.is_object() {
        return Err("it is JSON and no object".to_owned());
    }
    let cleaned = without_secrets(&mut value);
    let correlation_id = correlation(&value);
    let is_alert = value.get("message_body").is_some() && value.get("team_assignment").is_some();
    let text = if is_alert {
        alert(list, &value).to_string()
    } else if cleaned {
        value.to_string()
    } else {
        text.to_owned()
    };
    let (number, at) = (place.0.to_le_bytes(), place.1.to_le_bytes());
    let parts = [b"v2 queue".as_slice(), list.as_bytes(), &number, &at, item];
    Ok(Record {
        id: derived(now, &parts),
        received_at: now,
        text,
        host: None,
        correlation_id,
        dedup: Some(DedupKey { digest: digest(&parts), keep_until }),
    })
}

/// The event that an alert was made of, with what v2 had decided beside it.
fn alert(list: &str, alert: &Value) -> Value {
    let text = |name: &str| alert.get(name).cloned().unwrap_or_default();
    let mut event = match alert.get("raw_json") {
        Some(Value::Object(event)) => event.clone(),
        _ => Map::new(),
    };
    event.entry("hostname").or_insert_with(|| text("hostname"));
    event.entry("message").or_insert_with(|| text("message_body"));
    let kept = json!({
        "list": list,
        "team_assignment": text("team_assignment"),
        "severity": text("severity"),
        "retry_count": text("_moog_retry_count"),
    });
    event.insert("v2_alert".to_owned(), kept);
    Value::Object(event)
}

/// The event of an audit row. A row that v2 has moved to its archive is the row that it was.
pub(super) fn audited(table: V2Audit, row: &V2AuditRow, at: Timestamp) -> Record {
    let raw = row.raw.as_deref().unwrap_or_default();
    let value = serde_json::from_str::<Value>(raw).ok().filter(Value::is_object);
    let correlation_id = value.as_ref().and_then(correlation);
    let text = match value {
        Some(mut value) => {
            if without_secrets(&mut value) {
                value.to_string()
            } else {
                raw.to_owned()
            }
        }
        None => json!({ "hostname": row.hostname, "message": raw }).to_string(),
    };
    let (table, id) = row.original_id.map_or((table, row.id), |id| (V2Audit::Log, id));
    let (table, id) = (table.table().as_bytes(), id.to_le_bytes());
    let parts = [b"v2 audit".as_slice(), table, &id, &at.0.to_le_bytes()];
    Record {
        id: derived(at, &parts),
        received_at: at,
        text,
        host: Some(row.hostname.trim().to_owned()),
        correlation_id,
        dedup: None,
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::Batch;

    use super::*;

    const NOW: Timestamp = Timestamp(1_764_000_000_000_000);

    fn batch(record: &Record) -> Batch {
        let mut builder = BatchBuilder::new(Id([1; 16]), 0);
        record.push(&mut builder);
        builder.finish()
    }

    #[test]
    fn an_alert_becomes_the_event_that_it_was_made_of_and_its_key_is_nowhere() {
        let item = br#"{"api_key": "moog-secret-1234", "hostname": "r1", "team_assignment": "NetOps",
            "severity": "Warning", "message_body": "LINK-DOWN", "_moog_retry_count": 3,
            "_correlation_id": "c-1", "raw_json": {"hostname": "r1", "timestamp": "2025-11-10T10:00:00Z",
            "message": "LINK-DOWN with moog-secret-1234", "api_key": "other", "_correlation_id": "c-1"}}"#;
        let record = queued("mutt:alert_queue", (0, 0), item, NOW, NOW).unwrap();
        let batch = batch(&record);
        let event = batch.iter().next().unwrap().unwrap();
        assert_eq!((event.host.as_ref(), event.correlation_id.as_deref()), ("r1", Some("c-1")));
        assert_eq!(event.message, "LINK-DOWN with ***");
        assert!(event.fields.as_deref().unwrap().contains("\"retry_count\":3"));
        assert!(event.device_time.is_some());
        let stored = String::from_utf8_lossy(batch.as_bytes()).into_owned();
        assert!(!stored.contains("moog-secret") && !stored.contains("api_key"), "{stored}");
    }

    #[test]
    fn ids_follow_from_the_item_and_its_place_alone() {
        let item = br#"{"hostname": "r1", "message": "x", "timestamp": "t"}"#;
        let id = |place| queued("l", place, item, NOW, NOW).unwrap().dedup.unwrap().digest;
        assert_eq!(id((0, 0)), id((0, 0)));
        assert_ne!(id((0, 0)), id((0, 1)));
        assert_ne!(id((0, 0)), id((1, 0)));
        let made = derived(NOW, &[b"a"]);
        assert_eq!((made.millis(), made.0[6] >> 4, made.0[8] >> 6), (NOW.millis(), 7, 2));
    }

    #[test]
    fn what_is_no_object_is_refused_with_words() {
        let check = |item: &[u8], words: &str| {
            let why = queued("l", (0, 0), item, NOW, NOW).unwrap_err();
            assert!(why.contains(words), "{why}");
        };
        check(b"{broken", "no JSON");
        check(b"[1]", "no object");
        check(b"\xff", "no text");
    }
}
