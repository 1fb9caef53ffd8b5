//! Loki's push API as JSON: streams of labels with entries of time and line, which Loki's own clients
//! and rsyslog's `lokirest` batches send.

use std::borrow::Cow;

use super::With;
use super::members::Members;
use super::payload::{Parts, assemble, text_of};
use super::record::{Decoded, read_epoch, read_severity};
use super::scan::{Kind, Repairs, Scanned, Scanner};
use super::shape::{alone, elements};
use crate::Frame;

/// `parse.format` of these.
const FORMAT: &str = "loki";
/// Labels that name the device where none of a record's names for it is there.
const WEAK_HOST: &[&str] = &["instance"];
/// Labels that name the program, likewise.
const WEAK_APP: &[&str] = &["service_name", "service", "unit", "container", "job"];
/// Labels that name the severity, likewise.
const SEVERITY: &[&str] = &["detected_level", "severity_text"];

/// One entry of a stream.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// The stream's labels, as an object.
    pub(super) labels: &'a [u8],
    time: &'a [u8],
    line: &'a [u8],
    /// Structured metadata, as an object.
    metadata: Option<&'a [u8]>,
}

/// The entries of `{"streams":[{"stream":{...},"values":[["ns","line"],...]}]}`, each with its bytes;
/// none when the object is anything else.
pub(super) fn entries(object: &[u8]) -> Option<Vec<(&[u8], Entry<'_>)>> {
    let mut found = Vec::new();
    for stream in alone(object, "streams")? {
        let (mut labels, mut values) = (b"{}".as_slice(), None);
        for member in Scanner::new(stream).members() {
            let (key, value) = member.ok()?;
            match key {
                b"\"stream\"" if value.kind == Kind::Object => labels = value.raw,
                b"\"values\"" => values = Some(elements(value.raw, value.kind)?),
                _ => return None,
            }
        }
        for raw in values? {
            found.push((raw, entry(labels, raw)?));
        }
    }
    Some(found)
}

fn entry<'a>(labels: &'a [u8], raw: &'a [u8]) -> Option<Entry<'a>> {
    let parts = elements(raw, Scanner::new(raw).value().ok()?.kind)?;
    let &[time, line, ref more @ ..] = parts.as_slice() else { return None };
    let is_object = |raw: &&[u8]| raw.first() == Some(&b'{');
    let metadata = match more {
        [] => None,
        [metadata] if is_object(metadata) => Some(*metadata),
        _ => return None,
    };
    let is_time = matches!(time.first(), Some(b'"' | b'0'..=b'9'));
    is_time.then_some(Entry { labels, time, line, metadata })
}

fn scanned(raw: &[u8]) -> Option<Scanned<'_>> {
    Scanner::new(raw).value().ok()
}

pub(super) fn decode<'a>(frame: Frame<'a>, entry: &Entry<'a>, with: With<'_>) -> Decoded<'a> {
    let mut repairs = Repairs::default();
    let text = |raw: &'a [u8], repairs: &mut Repairs| match scanned(raw) {
        Some(value) => text_of(&value, repairs),
        None => Cow::Borrowed(""),
    };
    let time = read_epoch(text(entry.time, &mut repairs).trim());
    let line = text(entry.line, &mut repairs);
    let mut members = Members::read(entry.labels);
    if let Some(metadata) = entry.metadata {
        members.merge_object(metadata);
    }
    members.repairs.nul |= repairs.nul;
    members.repairs.not_unicode |= repairs.not_unicode;
    let first = |members: &mut Members<'a>, keys| members.first(keys).map(|(_, text)| text);
    let severity = first(&mut members, SEVERITY).and_then(|text| read_severity(&text));
    let parts = Parts {
        format: FORMAT,
        text: Some(line),
        weak_host: first(&mut members, WEAK_HOST),
        weak_app: first(&mut members, WEAK_APP),
        members,
        keep: true,
        time,
        ..Parts::default()
    };
    let mut decoded = assemble(frame, parts, with);
    decoded.event.severity = decoded.event.severity.or(severity);
    if time.is_none() {
        decoded.event.note(mutt_model::ParseStatus::Partial, "timestamp not understood");
    }
    decoded
}
