//! Records of the Splunk HTTP Event Collector: an envelope with `time`, `host`, `source`, `sourcetype`,
//! `index` and `fields` around an event that is a text or an object.

use std::borrow::Cow;

use mutt_model::ParseStatus;

use super::With;
use super::members::Members;
use super::payload::{Defaults, Parts, assemble, compact, text_of};
use super::record::{Decoded, read_time};
use super::scan::{Kind, Scanner};
use crate::Frame;

/// `parse.format` of these.
pub(super) const FORMAT: &str = "hec";
/// Members of the envelope that are kept as fields.
const KEPT: [&str; 3] = ["source", "sourcetype", "index"];

pub(super) fn decode<'a>(frame: Frame<'a>, with: With<'_>) -> Decoded<'a> {
    let object = Scanner::new(frame.raw).value().ok().filter(|value| value.kind == Kind::Object);
    let Some(object) = object else {
        let mut decoded = super::record::decode_with(frame, with.names);
        decoded.event.parse.format = Cow::Borrowed(FORMAT);
        return decoded;
    };
    let mut envelope = Members::read(object.raw);
    let host = envelope.text("host");
    let written = envelope.text("time");
    let time = written.as_deref().and_then(|text| read_time(text.trim())).map(|(at, _)| at);
    let (event, fields) = (envelope.peek("event"), envelope.peek("fields"));
    let metric = event.is_some_and(|event| event.raw == b"\"metric\"");
    let mut members = Members::default();
    let (mut text, mut fallback) = (None, None);
    match event {
        Some(event) if event.kind == Kind::Object => {
            members.merge_object(event.raw);
            fallback = Some(compact(&event, &mut members.repairs));
        }
        Some(event) => text = Some(text_of(&event, &mut members.repairs)),
        None => {}
    }
    if let Some(fields) = fields.filter(|fields| fields.kind == Kind::Object && !metric) {
        members.merge_object(fields.raw);
        envelope.remove("fields");
    }
    for key in ["host", "event"] {
        envelope.remove(key);
    }
    if time.is_some() {
        envelope.remove("time");
    }
    members.merge(envelope);
    let parts = Parts { format: FORMAT, text, fallback, members, host, time, ..Parts::default() };
    let mut decoded = assemble(frame, parts, with);
    if event.is_none() {
        decoded.event.note(ParseStatus::Partial, "no event");
    }
    if written.is_some() && time.is_none() {
        decoded.event.note(ParseStatus::Partial, "time not understood");
    }
    decoded
}

/// What the query of a request to the raw endpoint says of all its lines.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Names and values, decoded.
    pub pairs: Vec<(String, String)>,
}

impl Query {
    /// The value of a name that is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// What stands for each line.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        let kept = KEPT.into_iter();
        Defaults {
            host: self.get("host").map(ToOwned::to_owned),
            time: self.get("time").and_then(read_time).map(|(at, _)| at),
            fields: kept.filter_map(|key| Some((key, self.get(key)?.to_owned()))).collect(),
            ..Defaults::default()
        }
    }
}
