//! OpenTelemetry log records: what both encodings of `ExportLogsServiceRequest` are read into, and its
//! event.

pub(super) mod json;
pub(super) mod proto;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use mutt_model::{ParseStatus, Severity, Timestamp};

use super::With;
use super::members::Members;
use super::payload::{Parts, assemble};
use super::record::{Decoded, read_severity};
use crate::Frame;
use crate::text::push_json_str;

/// `parse.format` of these.
const FORMAT: &str = "otlp";
/// How deep values may nest; what lies deeper is left out and remarked on.
const DEPTH_MAX: usize = 32;

/// What all records of one scope share: resource and scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// As the members of an object: `resource`, `scope`.
    fields: Values,
    host: Option<String>,
    app: Option<String>,
}

/// A log record.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    shared: Arc<Shared>,
    time: u64,
    observed: u64,
    severity: u64,
    severity_text: String,
    /// A text as it is, anything else as JSON.
    body: Option<Values>,
    /// The members of an object.
    attributes: Values,
    trace_id: String,
    span_id: String,
    event_name: String,
}

/// JSON that is written, and what had to be remarked on meanwhile.
#[derive(Clone, Debug, Default)]
struct Values {
    json: String,
    replaced: bool,
    deep: bool,
}

impl Values {
    /// Begins the next member or element.
    fn next(&mut self) {
        if !matches!(self.json.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.json.push(',');
        }
    }

    fn key(&mut self, key: &[u8]) {
        self.next();
        self.text(key);
        self.json.push(':');
    }

    fn text(&mut self, bytes: &[u8]) {
        let text = self.clean(bytes);
        push_json_str(&mut self.json, &text);
    }

    fn clean<'t>(&mut self, bytes: &'t [u8]) -> Cow<'t, str> {
        let text = String::from_utf8_lossy(bytes);
        self.replaced |= matches!(text, Cow::Owned(_)) || text.contains('\0');
        if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        push_json_str(&mut self.json, &base64::prelude::BASE64_STANDARD.encode(bytes));
    }

    fn double(&mut self, number: f64) {
        match serde_json::Number::from_f64(number) {
            Some(number) => self.json.push_str(&number.to_string()),
            // JSON has no word for these.
            None => push_json_str(&mut self.json, &number.to_string()),
        }
    }

    fn too_deep(&mut self) {
        self.deep = true;
        self.json.push_str("null");
    }

    fn object(&self) -> String {
        format!("{{{}}}", self.json)
    }
}

impl Shared {
    /// Of the members of a resource's and a scope's attributes.
    fn new(resource: &Values, scope: Values) -> Self {
        let object = resource.object();
        let mut members = Members::read(object.as_bytes());
        let mut get = |keys: &[&str]| members.first(keys).map(|(_, text)| text.into_owned());
        let host = get(&["host.name", "k8s.node.name", "host.id"]);
        let app = get(&["service.name"]).filter(|name| !name.starts_with("unknown_service"));
        let mut fields = Values {
            json: String::new(),
            replaced: resource.replaced | scope.replaced,
            deep: resource.deep | scope.deep,
        };
        if !resource.json.is_empty() {
            fields.json = format!("\"resource\":{object}");
        }
        if !scope.json.is_empty() {
            fields.next();
            fields.json.push_str(&format!("\"scope\":{}", scope.object()));
        }
        Self { fields, host, app }
    }

    fn octets(&self) -> usize {
        self.fields.json.len()
    }
}

/// The severity of a number of OpenTelemetry's 24: its appendix says which of them syslog's become, and
/// this is the way back.
fn severity(number: u64) -> Option<Severity> {
    Some(match number {
        1..=8 => Severity::DEBUG,
        9 => Severity::INFO,
        10..=12 => Severity::NOTICE,
        13..=16 => Severity::WARNING,
        17 => Severity::ERROR,
        18 => Severity::CRITICAL,
        19..=20 => Severity::ALERT,
        21..=24 => Severity::EMERGENCY,
        _ => return None,
    })
}

fn time(nanos: u64) -> Option<Timestamp> {
    (nanos > 0).then(|| Timestamp(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)))
}

/// Members of a log that have no place in an event of their own.
fn own_fields(log: &Log) -> Values {
    let mut own = Values::default();
    for (key, text) in [
        ("severity_text", &log.severity_text),
        ("event_name", &log.event_name),
        ("trace_id", &log.trace_id),
        ("span_id", &log.span_id),
    ] {
        if !text.is_empty() {
            own.key(key.as_bytes());
            own.text(text.as_bytes());
        }
    }
    own
}

pub(super) fn decode<'a>(frame: Frame<'a>, log: &Log, with: With<'_>) -> Decoded<'a> {
    let (attributes, own, shared) =
        (log.attributes.object(), own_fields(log).object(), log.shared.fields.object());
    let mut members = Members::read(attributes.as_bytes());
    members.merge_object(own.as_bytes());
    members.merge_object(shared.as_bytes());
    let body = log.body.as_ref().map(|body| Cow::Borrowed(body.json.as_str()));
    let name = Some(log.event_name.as_str()).filter(|name| !name.is_empty());
    let parts = Parts {
        format: FORMAT,
        text: body.filter(|body| !body.is_empty()),
        fallback: name.map(Cow::Borrowed),
        members,
        keep: true,
        weak_host: log.shared.host.as_deref().map(Cow::Borrowed),
        weak_app: log.shared.app.as_deref().map(Cow::Borrowed),
        time: time(log.time).or(time(log.observed)),
        severity: severity(log.severity).or_else(|| read_severity(&log.severity_text)),
        ..Parts::default()
    };
    let mut decoded = assemble(frame, parts, with);
    let event = &mut decoded.event;
    if log.time == 0 && log.observed > 0 {
        event.time_note = Some(Cow::Borrowed("time observed"));
    }
    let parts = [Some(&log.attributes), log.body.as_ref(), Some(&log.shared.fields)];
    if parts.iter().flatten().any(|values| values.replaced) {
        event.note(ParseStatus::Partial, "invalid utf-8 replaced");
    }
    if parts.iter().flatten().any(|values| values.deep) {
        event.note(ParseStatus::Partial, "a value nests too deep and is left out");
    }
    decoded
}
