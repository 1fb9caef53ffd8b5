//! The bridge to mutt-rules: validating, explaining, judging sample events, judging again.

use std::borrow::Cow;

use mutt_model::audit::AuditedEvent;
use mutt_model::event::facility_number;
use mutt_model::rule::{Handling, Rule, RuleSet};
use mutt_model::verdict::Verdict;
use mutt_model::{Event, Id, Severity, Source};
use mutt_rules::{CompileOptions, Explanation};
use mutt_store::store::StoreError;
use serde_json::{Map, Value, json};

use crate::problem::{Answer, Problem, nearest};
use crate::state::WebState;

/// The first rule id that no stored rule has: a rule under test gets it.
const CANDIDATE: i64 = i64::MAX;
/// A sample's text fields may hold this many bytes each.
const SAMPLE_TEXT_MAX: usize = 64 * 1024;

pub(crate) fn validate(rule: &Rule) -> Answer<()> {
    mutt_rules::validate(rule).map_err(|errors| {
        let said: Vec<String> = errors
            .iter()
            .map(|error| match &error.suggestion {
                Some(hint) => format!("{}: {}; {hint}", error.field, error.message),
                None => format!("{}: {}", error.field, error.message),
            })
            .collect();
        Problem::bad(said.join("\n"))
    })
}

fn options(state: &WebState) -> CompileOptions {
    CompileOptions { default_team: state.program.default_team() }
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "handled": verdict.handled(),
        "rule_id": verdict.rule_id,
        "decision": verdict.decision.as_ref().map(Handling::name),
        "environment": verdict.environment.name(),
        "team": (!verdict.team.is_empty()).then_some(&verdict.team),
        "template": verdict.template,
        "alert": verdict.change.as_ref().map(|change| json!({
            "key": change.key, "action": change.action, "problem": change.problem,
            "resource": (!change.resource.is_empty()).then_some(&change.resource),
            "severity": change.severity,
        })),
    })
}

/// An explanation as JSON. The rule under test has no id yet: null.
fn explanation_json(explanation: &Explanation) -> Value {
    let id = |id: i64| if id == CANDIDATE { Value::Null } else { json!(id) };
    let tried: Vec<Value> = explanation
        .tried
        .iter()
        .map(|tried| {
            json!({
                "rule_id": id(tried.rule_id), "name": tried.name, "priority": tried.priority,
                "matched": tried.matched, "why": tried.why,
            })
        })
        .collect();
    let mut verdict = verdict_json(&explanation.verdict);
    verdict["rule_id"] = explanation.verdict.rule_id.map_or(Value::Null, id);
    json!({"verdict": verdict, "tried": tried})
}

/// Judges an audited event with the rule set of its time; says so when that set is gone.
pub(crate) async fn again(state: &WebState, audited: &AuditedEvent) -> Answer<Value> {
    match state.store.rule_set(Some(audited.judgement.ruleset)).await {
        Ok(set) => {
            let explanation = mutt_rules::explain(&set, &options(state), &audited.event);
            let mut value = explanation_json(&explanation);
            let same = explanation.verdict.rule_id == audited.judgement.rule_id;
            value["ruleset"] = json!(set.version);
            value["agrees"] = json!(same);
            Ok(value)
        }
        Err(StoreError::NotFound(why)) => {
            Ok(json!({"ruleset": audited.judgement.ruleset, "unavailable": why, "tried": []}))
        }
        Err(err) => Err(err.into()),
    }
}

/// What the rule set, with a candidate rule where one is given, makes of a sample event.
pub(crate) fn sample(
    state: &WebState,
    set: &RuleSet,
    candidate: Option<&Rule>,
    sample: &Value,
) -> Answer<Value> {
    let event = sample_event(state, sample)?;
    let mut set = Cow::Borrowed(set);
    if let Some(rule) = candidate {
        let replaces = rule.id;
        let with = set.to_mut();
        with.rules.retain(|other| replaces == 0 || other.id != replaces);
        let id = if replaces == 0 { CANDIDATE } else { replaces };
        with.rules.push(Rule { id, ..rule.clone() });
    }
    let explanation = mutt_rules::explain(&set, &options(state), &event);
    let mut value = explanation_json(&explanation);
    if let Some(rule) = candidate {
        let id = if rule.id == 0 { CANDIDATE } else { rule.id };
        let own = explanation.tried.iter().find(|tried| tried.rule_id == id);
        value["rule"] = json!({
            "matched": own.is_some_and(|tried| tried.matched),
            "wins": explanation.verdict.rule_id == Some(id),
            "why": own.map(|tried| tried.why.as_str()),
        });
    }
    value["event"] = json!({"host": event.host, "message": event.message});
    Ok(value)
}

/// Fields of a sample: those of an event as JSON, and the names that ingest over HTTP understands.
const SAMPLE_FIELDS: [&str; 14] = [
    "message",
    "host",
    "hostname",
    "severity",
    "syslog_severity",
    "facility",
    "app",
    "program",
    "resource",
    "mnemonic",
    "trap_oid",
    "trap_name",
    "varbinds",
    "source",
];
/// Fields of an event as JSON that judging does not look at: accepted, so that an event can be pasted.
const SAMPLE_IGNORED: [&str; 23] = [
    "id",
    "received_at",
    "device_time",
    "time_note",
    "listener",
    "peer",
    "relay",
    "procid",
    "msgid",
    "structured_data",
    "fields",
    "parse",
    "raw_base64",
    "correlation_id",
    "ruleset",
    "handled",
    "rule_id",
    "decision",
    "environment",
    "team",
    "alert_id",
    "lineage",
    "timestamp",
];

fn sample_event(state: &WebState, sample: &Value) -> Answer<Event<'static>> {
    let owned;
    let map = match sample {
        Value::Object(map) => map,
        Value::String(message) => {
            owned = Map::from_iter([("message".to_owned(), json!(message))]);
            &owned
        }
        _ => return Err(Problem::bad("a sample event is a JSON object or a message text")),
    };
    let known = || SAMPLE_FIELDS.into_iter().chain(SAMPLE_IGNORED);
    if let Some(unknown) = map.keys().find(|name| !known().any(|k| k == name.as_str())) {
        let hint = nearest(unknown, SAMPLE_FIELDS)
            .map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        return Err(Problem::bad(format!("unknown field `{unknown}` in a sample event{hint}")));
    }
    let text = |names: &[&str]| -> Answer<Option<Cow<'static, str>>> {
        for name in names {
            match map.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.len() <= SAMPLE_TEXT_MAX => {
                    return Ok(Some(Cow::Owned(text.replace('\0', "\u{fffd}"))));
                }
                Some(_) => {
                    let words = format!("`{name}` of a sample event is a text of at most 64 KiB");
                    return Err(Problem::bad(words));
                }
            }
        }
        Ok(None)
    };
    let plain = |name: &str| {
        map.get(name).filter(|v| !v.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let trap_oid = text(&["trap_oid"])?;
    let source = match plain("source").as_deref() {
        Some("snmp") => Source::Snmp,
        Some("syslog") => Source::Syslog,
        Some("http") => Source::Http,
        _ if trap_oid.is_some() => Source::Snmp,
        _ => Source::Syslog,
    };
    let at = state.clock.wall();
    let mut event = Event::from_raw(Id::floor_of(at), at, source, "sample", "sample", b"");
    event.message = text(&["message"])?.unwrap_or_default();
    event.host = text(&["host", "hostname"])?.unwrap_or(Cow::Borrowed("sample"));
    event.app = text(&["app", "program"])?;
    event.resource = text(&["resource"])?;
    event.mnemonic = text(&["mnemonic"])?;
    event.trap_name = text(&["trap_name"])?;
    event.trap_oid = trap_oid.map(|oid| Cow::Owned(oid.trim_start_matches('.').to_owned()));
    if let Some(said) = plain("severity").or_else(|| plain("syslog_severity")) {
        let severity = Severity::parse(&said);
        let wrong = || Problem::bad(format!("`{said}` is no severity (0 to 7 or a name)"));
        event.severity = Some(severity.ok_or_else(wrong)?);
    }
    event.facility = plain("facility").and_then(|said| facility_number(&said));
    event.varbinds =
        map.get("varbinds").filter(|v| v.is_array()).map(|v| Cow::Owned(v.to_string()));
    Ok(event)
}
