//! The shapes in which clients send: a body of each into its records.

use super::payload::{self, Defaults, Parts};
use super::record::{self, Decoded};
use super::scan::{Fault, Kind, Repairs, Scanner, unescape};
use super::{BodyError, RECORDS_MAX, SPREAD_MAX, With, hec, loki, not_json, otlp};
use crate::Frame;

/// What a client sends, by the path and the content type of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON value, values each on its own line, objects one after the other, or arrays of values.
    /// rsyslog's batches `kafkarest` and `lokirest` are recognised.
    Json,
    /// Lines of text, each what a device says; a body of JSON is read as [`Shape::Json`] all the same,
    /// because many clients call JSON `text/plain`.
    Text,
    /// The JSON of Loki's push API.
    Loki,
    /// Objects of the Splunk HTTP Event Collector, with or without anything between them.
    Hec,
    /// Lines of its raw endpoint.
    HecRaw,
    /// OpenTelemetry's `ExportLogsServiceRequest` as JSON.
    OtlpJson,
    /// The same as protobuf.
    OtlpProto,
}

/// One record of a body.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    raw: &'a [u8],
    form: Form<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum Form<'a> {
    Json,
    Line,
    Hec,
    HecLine,
    Loki(loki::Entry<'a>),
    Otlp(Box<otlp::Log>),
}

impl<'a> Record<'a> {
    /// Its bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub(super) fn decode(
        &self,
        frame: Frame<'a>,
        defaults: &Defaults,
        with: With<'_>,
    ) -> Decoded<'a> {
        match &self.form {
            Form::Json => json(frame, with),
            Form::Line => payload::line(frame, defaults, None, with),
            Form::Hec => hec::decode(frame, with),
            Form::HecLine => payload::line(frame, defaults, Some(hec::FORMAT), with),
            Form::Loki(entry) => loki::decode(frame, entry, with),
            Form::Otlp(log) => otlp::decode(frame, log, with),
        }
    }
}

/// A text that is a whole syslog line is read as one; any other value as ever.
fn json<'a>(frame: Frame<'a>, with: With<'_>) -> Decoded<'a> {
    if frame.raw.first() != Some(&b'"') {
        return record::decode_with(frame, with.names);
    }
    let mut repairs = Repairs::default();
    let text = unescape(frame.raw, &mut repairs);
    if !payload::is_syslog(&text) && payload::object_in(&text).is_none() {
        return record::decode_with(frame, with.names);
    }
    let parts = Parts { format: "json", text: Some(text), ..Parts::default() };
    let mut decoded = payload::assemble(frame, parts, with);
    super::members::note_repairs(&mut decoded.event, repairs);
    decoded
}

/// The records of a body.
///
/// # Errors
///
/// When the body is no JSON or no protobuf where its shape asks for it (one fault anywhere refuses all
/// of it), or holds too many records.
pub fn read(shape: Shape, body: &[u8]) -> Result<Vec<Record<'_>>, BodyError> {
    let mut found = Found::default();
    match shape {
        Shape::Json | Shape::Loki => found.json(body, Form::Json)?,
        Shape::Hec => found.json(body, Form::Hec)?,
        Shape::HecRaw => found.lines(body, &Form::HecLine)?,
        Shape::Text if begins_json(body) => match found.json(body, Form::Json) {
            Err(BodyError::NotJson { .. }) => {
                found = Found::default();
                found.lines(body, &Form::Line)?;
            }
            other => other?,
        },
        Shape::Text => found.lines(body, &Form::Line)?,
        Shape::OtlpJson => otlp::json::read(body, &mut found)?,
        Shape::OtlpProto => otlp::proto::read(body, &mut found)?,
    }
    Ok(found.records)
}

fn begins_json(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    matches!(text.first(), Some(b'{' | b'['))
}

/// The records found so far, within their bounds.
#[derive(Default)]
pub(super) struct Found<'a> {
    records: Vec<Record<'a>>,
    spread: usize,
}

impl<'a> Found<'a> {
    /// Adds a record that shares so many octets with others.
    pub(super) fn add(
        &mut self,
        raw: &'a [u8],
        form: Form<'a>,
        shared: usize,
    ) -> Result<(), BodyError> {
        if self.records.len() >= RECORDS_MAX {
            return Err(BodyError::TooManyRecords);
        }
        self.spread = self.spread.saturating_add(shared);
        if self.spread > SPREAD_MAX {
            return Err(BodyError::TooWide);
        }
        self.records.push(Record { raw, form });
        Ok(())
    }

    fn lines(&mut self, body: &'a [u8], form: &Form<'a>) -> Result<(), BodyError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        for line in body.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.trim_ascii().is_empty() {
                self.add(line, form.clone(), 0)?;
            }
        }
        Ok(())
    }

    /// One value, objects one after the other, values each on its own line, or arrays of values. The
    /// content type plays no part.
    fn json(&mut self, body: &'a [u8], form: Form<'a>) -> Result<(), BodyError> {
        let start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut scanner = Scanner::new(body.get(start..).unwrap_or_default());
        let wrong = |fault: Fault| not_json(body, Fault { at: fault.at + start, ..fault });
        scanner.skip_space();
        loop {
            let is_object = scanner.peek() == Some(b'{');
            if scanner.peek() == Some(b'[') {
                self.array(&mut scanner, &form, wrong)?;
            } else {
                let raw = scanner.value().map_err(wrong)?.raw;
                if !(matches!(form, Form::Json) && is_object && self.envelope(raw)?) {
                    self.add(raw, form.clone(), 0)?;
                }
            }
            let newline = scanner.skip_space();
            match scanner.peek() {
                None => return Ok(()),
                Some(b'{') if is_object => {}
                Some(_) if newline => {}
                Some(_) => {
                    let why = "the next record must stand on a line of its own";
                    return Err(wrong(Fault { at: scanner.at, why }));
                }
            }
        }
    }

    fn array(
        &mut self,
        scanner: &mut Scanner<'a>,
        form: &Form<'a>,
        wrong: impl Fn(Fault) -> BodyError,
    ) -> Result<(), BodyError> {
        for value in scanner.elements() {
            self.add(value.map_err(&wrong)?, form.clone(), 0)?;
        }
        Ok(())
    }

    /// Takes a batch of rsyslog's or Loki's apart; `false` when the object is none.
    fn envelope(&mut self, object: &'a [u8]) -> Result<bool, BodyError> {
        let mut scanner = Scanner::new(object);
        scanner.take(b'{');
        scanner.skip_space();
        let entries = match scanner.key() {
            Ok(b"\"records\"") => kafka(object).map(|values| {
                values.into_iter().map(|raw| (raw, Form::Json, 0)).collect::<Vec<_>>()
            }),
            Ok(b"\"streams\"") => loki::entries(object).map(|entries| {
                let spread = |entry: &loki::Entry<'_>| entry.labels.len();
                entries
                    .into_iter()
                    .map(|(raw, entry)| (raw, Form::Loki(entry.clone()), spread(&entry)))
                    .collect()
            }),
            _ => None,
        };
        let Some(entries) = entries else { return Ok(false) };
        for (raw, form, shared) in entries {
            self.add(raw, form, shared)?;
        }
        Ok(true)
    }
}

/// The values of `{"records":[{"value":...}]}`; none when the object is anything else, however little.
fn kafka(object: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    for record in alone(object, "records")? {
        let mut scanner = Scanner::new(record);
        let mut value = None;
        for member in scanner.members() {
            let (key, found) = member.ok()?;
            match key {
                b"\"value\"" => value = Some(found.raw),
                b"\"key\"" | b"\"partition\"" => {}
                _ => return None,
            }
        }
        values.push(value?);
    }
    Some(values)
}

/// The elements of the array that is an object's only member.
pub(super) fn alone<'a>(object: &'a [u8], name: &str) -> Option<Vec<&'a [u8]>> {
    let mut scanner = Scanner::new(object);
    let mut members = scanner.members();
    let (key, value) = members.next()?.ok()?;
    let is_alone = members.next().is_none();
    if !is_alone || key.get(1..key.len().wrapping_sub(1)) != Some(name.as_bytes()) {
        return None;
    }
    elements(value.raw, value.kind)
}

/// The elements of an array, as far as it is one.
pub(super) fn elements(raw: &[u8], kind: Kind) -> Option<Vec<&[u8]>> {
    if kind != Kind::Array {
        return None;
    }
    Scanner::new(raw).elements().collect::<Result<_, _>>().ok()
}
