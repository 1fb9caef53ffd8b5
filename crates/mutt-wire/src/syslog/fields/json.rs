//! A message that is one JSON object, with the cookie `@cee:` or without.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Value};
use super::{graded, lacks_host, set_origin};
use crate::http::scan::{Kind, Repairs, Scanned, Scanner, unescape, write_clean};
use crate::syslog::{Options, format, notes};

/// Objects that nest deeper are text.
const MAX_DEPTH: usize = 32;

/// The object, and whether the cookie stands before it.
fn object(text: &str) -> Option<(&str, bool)> {
    let behind = text.strip_prefix("@cee:");
    let object = behind.unwrap_or(text).trim_matches([' ', '\t']);
    (object.starts_with('{') && object.ends_with('}')).then_some((object, behind.is_some()))
}

pub(crate) fn begins(text: &str) -> bool {
    object(text).is_some()
}

pub(crate) fn read<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    options: &Options,
) -> Option<&'static str> {
    let (object, cookie) = object(message)?;
    let mut repairs = Repairs::default();
    let map = members(object, &mut repairs)?;
    envelope(event, &map, options);
    map.finish(event);
    if repairs.nul || repairs.not_unicode {
        notes::add(event, ParseStatus::Partial, notes::JSON_REPAIRED);
    }
    Some(if cookie { format::CEE } else { format::JSON })
}

/// The members of an object; `None` when it is no JSON.
fn members<'a>(object: &'a str, repairs: &mut Repairs) -> Option<Map<'a>> {
    let mut whole = Scanner::new(object.as_bytes());
    let scanned = whole.value().ok()?;
    if scanned.kind != Kind::Object || scanned.depth > MAX_DEPTH || whole.at != object.len() {
        return None;
    }
    let mut map = Map::with_capacity(24);
    let mut scanner = Scanner::new(object.as_bytes());
    scanner.take(b'{');
    for _ in 0..=MAX_FIELDS {
        scanner.skip_space();
        let Ok(key) = scanner.key() else { break };
        let key = unescape(key, repairs);
        let value = scanner.value().ok()?;
        map.push(key, member(value, repairs));
        scanner.skip_space();
        if !scanner.take(b',') {
            break;
        }
    }
    Some(map)
}

fn member<'a>(scanned: Scanned<'a>, repairs: &mut Repairs) -> Value<'a> {
    match scanned.kind {
        Kind::Text => Value::Text(unescape(scanned.raw, repairs)),
        // Nothing is what no key says, too.
        Kind::Null => Value::from(""),
        _ => {
            let mut clean = String::with_capacity(scanned.raw.len());
            write_clean(scanned.raw, &mut clean, repairs);
            Value::Json(Cow::Owned(clean))
        }
    }
}

fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>, options: &Options) {
    if lacks_host(event)
        && let Some(host) = map.first(&["hostname", "host"])
    {
        set_origin(event, host);
    }
    if event.severity.is_none() {
        let word = map.first(&["severity", "level", "crit", "pri"]);
        event.severity = word.and_then(|word| Severity::parse(word).or_else(|| graded(word)));
    }
    if event.app.is_none() {
        event.app = map.first(&["appname", "app", "program", "pname"]).map(Cow::Borrowed);
    }
    if let Some(text) = map.first(&["@timestamp", "timestamp", "time"]) {
        clock::fill(event, Written::from(text), options);
    }
}
