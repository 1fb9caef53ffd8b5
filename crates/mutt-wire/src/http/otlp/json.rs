//! `ExportLogsServiceRequest` as JSON: names in camel case, numbers of 64 bits as texts, ids in
//! hexadecimal. Unknown names are passed over.

use std::borrow::Cow;
use std::sync::Arc;

use super::{DEPTH_MAX, Log, Shared, Values};
use crate::http::scan::{Fault, Kind, Repairs, Scanned, Scanner, unescape, write_clean};
use crate::http::shape::{Form, Found};
use crate::http::{BodyError, not_json};

/// Why a text is not of this shape.
type Wrong = &'static str;

/// The log records of a request.
pub(in crate::http) fn read<'a>(body: &'a [u8], found: &mut Found<'a>) -> Result<(), BodyError> {
    let wrong = |fault: Fault| not_json(body, fault);
    let mut scanner = Scanner::new(body);
    let request = scanner.value().map_err(wrong)?;
    scanner.skip_space();
    if scanner.peek().is_some() {
        return Err(wrong(Fault { at: scanner.at, why: "more follows the request" }));
    }
    for resource in under(request, "resourceLogs")? {
        let mut attributes = Values::default();
        if let Some(resource) = member(resource, "resource")? {
            self::attributes(resource, &mut attributes)?;
        }
        for scope in under(resource, "scopeLogs")? {
            scope_logs(scope, &attributes, found)?;
        }
    }
    Ok(())
}

fn not_otlp(why: Wrong) -> BodyError {
    BodyError::NotOtlp { why }
}

/// A member that is not null; names are compared as they are written.
fn member<'a>(object: Scanned<'a>, name: &str) -> Result<Option<Scanned<'a>>, BodyError> {
    let mut found = None;
    for member in Scanner::new(object.raw).members() {
        let (key, value) = member.map_err(|_| not_otlp("an object must stand where none does"))?;
        if key.get(1..key.len().saturating_sub(1)) == Some(name.as_bytes()) {
            found = Some(value);
        }
    }
    Ok(found.filter(|value| value.kind != Kind::Null))
}

/// The elements of the array under a name; none where there is none.
fn under<'a>(object: Scanned<'a>, name: &str) -> Result<Vec<Scanned<'a>>, BodyError> {
    let Some(array) = member(object, name)? else { return Ok(Vec::new()) };
    if array.kind != Kind::Array {
        return Err(not_otlp("an array must stand where none does"));
    }
    elements(array)
}

fn elements(array: Scanned<'_>) -> Result<Vec<Scanned<'_>>, BodyError> {
    let scan = |raw: Result<_, Fault>| Scanner::new(raw?).value();
    let found: Result<_, Fault> = Scanner::new(array.raw).elements().map(scan).collect();
    found.map_err(|_| not_otlp("an array is damaged"))
}

fn scope_logs<'a>(
    scope: Scanned<'a>,
    resource: &Values,
    found: &mut Found<'a>,
) -> Result<(), BodyError> {
    let logs = under(scope, "logRecords")?;
    if logs.is_empty() {
        return Ok(());
    }
    let mut members = Values::default();
    if let Some(scope) = member(scope, "scope")? {
        for name in ["name", "version"] {
            let text = text_under(scope, name, &mut members)?;
            if !text.is_empty() {
                members.key(name.as_bytes());
                members.text(text.as_bytes());
            }
        }
        attributes(scope, &mut members)?;
    }
    let shared = Arc::new(Shared::new(resource, members));
    for record in logs {
        let log = log(record, &shared)?;
        found.add(record.raw, Form::Otlp(Box::new(log)), shared.octets())?;
    }
    Ok(())
}

fn log(record: Scanned<'_>, shared: &Arc<Shared>) -> Result<Log, BodyError> {
    let mut log = Log { shared: Arc::clone(shared), ..Log::default() };
    log.time = number_under(record, "timeUnixNano")?;
    log.observed = number_under(record, "observedTimeUnixNano")?;
    log.severity = severity_under(record)?;
    let mut remarks = Values::default();
    log.severity_text = text_under(record, "severityText", &mut remarks)?.into_owned();
    log.event_name = text_under(record, "eventName", &mut remarks)?.into_owned();
    log.trace_id = hex(&text_under(record, "traceId", &mut remarks)?);
    log.span_id = hex(&text_under(record, "spanId", &mut remarks)?);
    attributes(record, &mut log.attributes)?;
    log.attributes.replaced |= remarks.replaced;
    if let Some(body) = member(record, "body")? {
        let mut values = Values::default();
        match member(body, "stringValue")?.filter(|text| text.kind == Kind::Text) {
            Some(text) => {
                values.json = unescaped(text, &mut values).into_owned();
            }
            None => any_value(body, 0, &mut values)?,
        }
        log.body = Some(values);
    }
    Ok(log)
}

fn unescaped<'a>(text: Scanned<'a>, remarks: &mut Values) -> Cow<'a, str> {
    let mut repairs = Repairs::default();
    let found = unescape(text.raw, &mut repairs);
    remarks.replaced |= repairs.nul | repairs.not_unicode;
    found
}

fn text_under<'a>(
    object: Scanned<'a>,
    name: &str,
    remarks: &mut Values,
) -> Result<Cow<'a, str>, BodyError> {
    Ok(match member(object, name)? {
        Some(value) if value.kind == Kind::Text => unescaped(value, remarks),
        Some(_) => return Err(not_otlp("a text must stand where none does")),
        None => Cow::Borrowed(""),
    })
}

/// A number of 64 bits, as a text or as it is.
fn number_under(object: Scanned<'_>, name: &str) -> Result<u64, BodyError> {
    let Some(value) = member(object, name)? else { return Ok(0) };
    let text = String::from_utf8_lossy(value.raw);
    let text = text.trim_matches('"');
    text.parse().map_err(|_| not_otlp("a number must stand where none does"))
}

/// A number; some senders write the name of the enumeration.
fn severity_under(record: Scanned<'_>) -> Result<u64, BodyError> {
    let Some(value) = member(record, "severityNumber")? else { return Ok(0) };
    if value.kind != Kind::Text {
        return number_under(record, "severityNumber");
    }
    let name = unescape(value.raw, &mut Repairs::default()).to_ascii_uppercase();
    let name = name.strip_prefix("SEVERITY_NUMBER_").unwrap_or(&name);
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let step = name[word.len()..].parse::<u64>().unwrap_or(1).clamp(1, 4);
    let words = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let at = words.iter().position(|known| *known == word);
    Ok(at.map_or(0, |at| at as u64 * 4 + step))
}

fn hex(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).take(64).collect::<String>().to_ascii_lowercase()
}

/// The list of `{"key":...,"value":{...}}` under `attributes`, as members.
fn attributes(object: Scanned<'_>, out: &mut Values) -> Result<(), BodyError> {
    key_values(under(object, "attributes")?, 0, out)
}

fn key_values(pairs: Vec<Scanned<'_>>, depth: usize, out: &mut Values) -> Result<(), BodyError> {
    for pair in pairs {
        let key = text_under(pair, "key", out)?;
        out.key(key.as_bytes());
        match member(pair, "value")? {
            Some(value) => any_value(value, depth, out)?,
            None => out.json.push_str("null"),
        }
    }
    Ok(())
}

/// An `AnyValue` as JSON; one without a value is null.
fn any_value(value: Scanned<'_>, depth: usize, out: &mut Values) -> Result<(), BodyError> {
    let mut last = None;
    for member in Scanner::new(value.raw).members() {
        last = Some(member.map_err(|_| not_otlp("a value must be an object"))?);
    }
    let Some((key, inner)) = last else {
        out.json.push_str("null");
        return Ok(());
    };
    match (key, inner.kind) {
        (b"\"arrayValue\"" | b"\"kvlistValue\"", _) if depth >= DEPTH_MAX => out.too_deep(),
        (b"\"arrayValue\"", Kind::Object) => {
            out.json.push('[');
            for element in under(inner, "values")? {
                out.next();
                any_value(element, depth + 1, out)?;
            }
            out.json.push(']');
        }
        (b"\"kvlistValue\"", Kind::Object) => {
            out.json.push('{');
            key_values(under(inner, "values")?, depth + 1, out)?;
            out.json.push('}');
        }
        (b"\"intValue\"", Kind::Text) => {
            let text = unescape(inner.raw, &mut Repairs::default());
            match text.parse::<i64>() {
                Ok(number) => out.json.push_str(&number.to_string()),
                Err(_) => out.text(text.as_bytes()),
            }
        }
        (_, Kind::Object | Kind::Array) => out.json.push_str("null"),
        _ => {
            let mut repairs = Repairs::default();
            write_clean(inner.raw, &mut out.json, &mut repairs);
            out.replaced |= repairs.nul | repairs.not_unicode;
        }
    }
    Ok(())
}
