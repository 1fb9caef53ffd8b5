//! `ExportLogsServiceRequest` as protobuf: a bounded reader of the wire format. Lengths are compared
//! with what is there before anything is made of them; unknown fields are passed over.

use std::sync::Arc;

use super::{DEPTH_MAX, Log, Shared, Values};
use crate::http::BodyError;
use crate::http::shape::{Form, Found};

/// Why bytes are no protobuf message.
type Wrong = &'static str;

const CUT: Wrong = "the message ends within a field";
const WRONG_TYPE: Wrong = "a field has the wrong wire type";

/// One field's value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], Wrong> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WRONG_TYPE) }
    }

    fn varint(self) -> Result<u64, Wrong> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(WRONG_TYPE) }
    }

    fn fixed64(self) -> Result<u64, Wrong> {
        if let Self::Fixed64(number) = self { Ok(number) } else { Err(WRONG_TYPE) }
    }
}

/// The fields of a message, one by one.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Wrong> {
        let count = usize::try_from(count).map_err(|_| CUT)?;
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(CUT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        self.take(N as u64)?.try_into().map_err(|_| CUT)
    }

    fn varint(&mut self) -> Result<u64, Wrong> {
        let mut number = 0u64;
        for shift in 0..10 {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return if shift == 9 && byte > 1 {
                    Err("a number is too large")
                } else {
                    Ok(number)
                };
            }
        }
        Err("a number is too long")
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), Wrong> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err("a field has no possible number");
        }
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err("a field has an unknown wire type"),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.bytes = &[];
        }
        Some(field)
    }
}

/// The log records of a request.
pub(in crate::http) fn read<'a>(body: &'a [u8], found: &mut Found<'a>) -> Result<(), BodyError> {
    for field in Fields::new(body) {
        if let (1, value) = field.map_err(not_otlp)? {
            resource_logs(value.bytes().map_err(not_otlp)?, found)?;
        }
    }
    Ok(())
}

fn not_otlp(why: Wrong) -> BodyError {
    BodyError::NotOtlp { why }
}

fn resource_logs<'a>(bytes: &'a [u8], found: &mut Found<'a>) -> Result<(), BodyError> {
    // The resource may stand behind what belongs to it.
    let mut resource = Values::default();
    let mut scopes = Vec::new();
    for field in Fields::new(bytes) {
        match field.map_err(not_otlp)? {
            (1, value) => {
                let bytes = value.bytes().map_err(not_otlp)?;
                attributes(bytes, 1, &mut resource).map_err(not_otlp)?;
            }
            (2, value) => scopes.push(value.bytes().map_err(not_otlp)?),
            _ => {}
        }
    }
    for scope in scopes {
        scope_logs(scope, &resource, found)?;
    }
    Ok(())
}

fn scope_logs<'a>(
    bytes: &'a [u8],
    resource: &Values,
    found: &mut Found<'a>,
) -> Result<(), BodyError> {
    let mut scope = Values::default();
    let mut logs = Vec::new();
    for field in Fields::new(bytes) {
        match field.map_err(not_otlp)? {
            (1, value) => {
                let bytes = value.bytes().map_err(not_otlp)?;
                scope_members(bytes, &mut scope).map_err(not_otlp)?;
            }
            (2, value) => logs.push(value.bytes().map_err(not_otlp)?),
            _ => {}
        }
    }
    if logs.is_empty() {
        return Ok(());
    }
    let shared = Arc::new(Shared::new(resource, scope));
    for raw in logs {
        let log = log(raw, &shared).map_err(not_otlp)?;
        found.add(raw, Form::Otlp(Box::new(log)), shared.octets())?;
    }
    Ok(())
}

fn scope_members(bytes: &[u8], out: &mut Values) -> Result<(), Wrong> {
    for field in Fields::new(bytes) {
        let (key, value) = match field? {
            (1, value) => ("name", value.bytes()?),
            (2, value) => ("version", value.bytes()?),
            _ => continue,
        };
        if !value.is_empty() {
            out.key(key.as_bytes());
            out.text(value);
        }
    }
    attributes(bytes, 3, out)
}

fn log(bytes: &[u8], shared: &Arc<Shared>) -> Result<Log, Wrong> {
    let mut log = Log { shared: Arc::clone(shared), ..Log::default() };
    for field in Fields::new(bytes) {
        match field? {
            (1, value) => log.time = value.fixed64()?,
            (2, value) => log.severity = value.varint()?,
            (3, value) => log.severity_text = text(value.bytes()?),
            (5, value) => body(value.bytes()?, &mut log)?,
            (9, value) => log.trace_id = hex(value.bytes()?),
            (10, value) => log.span_id = hex(value.bytes()?),
            (11, value) => log.observed = value.fixed64()?,
            (12, value) => log.event_name = text(value.bytes()?),
            _ => {}
        }
    }
    attributes(bytes, 6, &mut log.attributes)?;
    Ok(log)
}

fn text(bytes: &[u8]) -> String {
    Values::default().clean(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

fn body(bytes: &[u8], log: &mut Log) -> Result<(), Wrong> {
    let mut values = Values::default();
    let mut only_text = None;
    for field in Fields::new(bytes) {
        only_text = match field? {
            (1, value) => Some(value.bytes()?),
            (2..=7, _) => None,
            _ => continue,
        };
    }
    match only_text {
        Some(text) => values.json = values.clean(text).into_owned(),
        None => any_value(bytes, 0, &mut values)?,
    }
    log.body = Some(values);
    Ok(())
}

/// Every `KeyValue` that stands under this field number, as members.
fn attributes(bytes: &[u8], number: u64, out: &mut Values) -> Result<(), Wrong> {
    for field in Fields::new(bytes) {
        let (found, value) = field?;
        if found == number {
            key_value(value.bytes()?, 0, out)?;
        }
    }
    Ok(())
}

fn key_value(bytes: &[u8], depth: usize, out: &mut Values) -> Result<(), Wrong> {
    let (mut key, mut value) = (b"".as_slice(), b"".as_slice());
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => key = wire.bytes()?,
            (2, wire) => value = wire.bytes()?,
            _ => {}
        }
    }
    out.key(key);
    any_value(value, depth, out)
}

/// An `AnyValue` as JSON; one without a value is null.
fn any_value(bytes: &[u8], depth: usize, out: &mut Values) -> Result<(), Wrong> {
    let mut last = None;
    for field in Fields::new(bytes) {
        let (number, wire) = field?;
        if (1..=7).contains(&number) {
            last = Some((number, wire));
        }
    }
    match last {
        None => out.json.push_str("null"),
        Some((1, wire)) => out.text(wire.bytes()?),
        Some((2, wire)) => out.json.push_str(if wire.varint()? == 0 { "false" } else { "true" }),
        Some((3, wire)) => out.json.push_str(&wire.varint()?.cast_signed().to_string()),
        Some((4, wire)) => out.double(f64::from_bits(wire.fixed64()?)),
        Some((5 | 6, _)) if depth >= DEPTH_MAX => out.too_deep(),
        Some((5, wire)) => list(wire.bytes()?, depth + 1, out)?,
        Some((6, wire)) => {
            out.json.push('{');
            for field in Fields::new(wire.bytes()?) {
                if let (1, wire) = field? {
                    key_value(wire.bytes()?, depth + 1, out)?;
                }
            }
            out.json.push('}');
        }
        Some((_, wire)) => out.bytes(wire.bytes()?),
    }
    Ok(())
}

fn list(bytes: &[u8], depth: usize, out: &mut Values) -> Result<(), Wrong> {
    out.json.push('[');
    for field in Fields::new(bytes) {
        if let (1, wire) = field? {
            out.next();
            any_value(wire.bytes()?, depth, out)?;
        }
    }
    out.json.push(']');
    Ok(())
}
