//! The audited event: an event with what judging said of it, and the one JSON form of both that API,
//! `--json`, live stream and sinks show.

use base64::Engine as _;
use serde_json::{Map, Value, value::RawValue};

use crate::event::{Event, FACILITIES, Severity};
use crate::id::Id;
use crate::rule::Handling;
use crate::verdict::Environment;

/// The decision of an event that no backend could store as it is: audited from its raw bytes alone.
pub const UNSTORABLE: &str = "unstorable";

/// The decision of an event that was set aside: judging it failed again and again.
pub const UNJUDGED: &str = "unjudged";

/// What judging said, as it stands in the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Version of the rule set that judged.
    pub ruleset: i64,
    /// Whether a rule won.
    pub handled: bool,
    /// Which.
    pub rule_id: Option<i64>,
    /// Its decision (or [`UNSTORABLE`], [`UNJUDGED`]).
    pub decision: Option<Handling>,
    /// Production or development.
    pub environment: Environment,
    /// Who it is for.
    pub team: Option<String>,
    /// The alert that it opened, repeated or cleared.
    pub alert_id: Option<Id>,
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditedEvent {
    /// The store's own order of commits, for tailing; not shown.
    pub seq: i64,
    /// The event.
    pub event: Event<'static>,
    /// What judging said.
    pub judgement: Judgement,
}

impl AuditedEvent {
    /// The event as the contract writes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        event_json(&self.event, Some(&self.judgement))
    }
}

fn text(value: Option<&str>) -> Value {
    value.filter(|t| !t.is_empty()).map_or(Value::Null, |t| Value::String(t.to_owned()))
}

/// JSON kept as text becomes JSON again; what does not parse stays visible as a string.
fn embedded(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |t| {
        serde_json::from_str::<&RawValue>(t)
            .ok()
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_else(|| Value::String(t.to_owned()))
    })
}

/// The one JSON form of an event. Without a judgement (a sample, a test) its fields are null.
#[must_use]
pub fn event_json(event: &Event<'_>, judgement: Option<&Judgement>) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    put("id", Value::String(event.id.to_string()));
    put("received_at", Value::String(event.received_at.to_string()));
    put("device_time", event.device_time.map_or(Value::Null, |t| Value::String(t.to_string())));
    put("time_note", text(event.time_note.as_deref()));
    put("source", Value::String(event.source.name().to_owned()));
    put("listener", text(Some(&event.listener)));
    put("peer", text(Some(&event.peer)));
    put("host", text(Some(&event.host)));
    put("relay", text(event.relay.as_deref()));
    let facility = event.facility.and_then(|n| FACILITIES.get(usize::from(n)).copied());
    put("facility", text(facility));
    put("severity", event.severity.map(Severity::number).map_or(Value::Null, Value::from));
    put("app", text(event.app.as_deref()));
    put("procid", text(event.procid.as_deref()));
    put("msgid", text(event.msgid.as_deref()));
    put("mnemonic", text(event.mnemonic.as_deref()));
    put("resource", text(event.resource.as_deref()));
    put("message", Value::String(event.message.to_string()));
    put("structured_data", embedded(event.structured_data.as_deref()));
    put("fields", embedded(event.fields.as_deref()));
    put("trap_oid", text(event.trap_oid.as_deref()));
    put("trap_name", text(event.trap_name.as_deref()));
    put("varbinds", embedded(event.varbinds.as_deref()));
    let notes: Vec<&str> = event.parse.notes.lines().collect();
    put(
        "parse",
        serde_json::json!({
            "status": event.parse.status.name(), "format": event.parse.format, "notes": notes,
        }),
    );
    put("raw_base64", Value::String(base64::prelude::BASE64_STANDARD.encode(&event.raw)));
    let correlation =
        event.correlation_id.as_deref().map_or_else(|| event.id.to_string(), str::to_owned);
    put("correlation_id", Value::String(correlation));
    put("ruleset", judgement.map_or(Value::Null, |j| Value::from(j.ruleset)));
    put("handled", judgement.map_or(Value::Null, |j| Value::from(j.handled)));
    put("rule_id", judgement.and_then(|j| j.rule_id).map_or(Value::Null, Value::from));
    put("decision", text(judgement.and_then(|j| j.decision.as_ref()).map(Handling::name)));
    put("environment", text(judgement.map(|j| j.environment.name())));
    put("team", text(judgement.and_then(|j| j.team.as_deref())));
    let alert = judgement.and_then(|j| j.alert_id);
    put("alert_id", alert.map_or(Value::Null, |id| Value::String(id.to_string())));
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::event::Source;
    use crate::time::Timestamp;

    #[test]
    fn an_event_as_json_has_nulls_for_what_is_absent_and_json_where_text_holds_json() {
        let mut event = Event::from_raw(
            Id::default(),
            Timestamp(0),
            Source::Snmp,
            "snmp-udp",
            "192.0.2.7:162",
            b"\x30",
        );
        event.varbinds = Some(Cow::Borrowed(r#"[{"oid":"1.3"}]"#));
        event.fields = Some(Cow::Borrowed("{broken"));
        event.facility = Some(23);
        let json = event_json(&event, None);
        assert_eq!(json["host"], "192.0.2.7");
        assert_eq!(json["varbinds"][0]["oid"], "1.3");
        assert_eq!(json["fields"], "{broken");
        assert_eq!(json["facility"], "local7");
        assert_eq!(json["raw_base64"], "MA==");
        assert!(json["app"].is_null() && json["handled"].is_null());
    }
}
