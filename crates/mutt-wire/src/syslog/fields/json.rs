//! A message that is one JSON object, with the cookie `@cee:` or without.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type, Value};
use super::{graded, lacks_host, set_origin};
use crate::http::scan::{Kind, Repairs, Scanner, unescape, write_clean};
use crate::octets::{find, hash, is};
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
    let mut map = Map::of_pairs(object, 16);
    members(object, &mut map, &mut repairs)?;
    envelope(event, &map, options);
    map.finish(event);
    if repairs.nul || repairs.not_unicode {
        notes::add(event, ParseStatus::Partial, notes::JSON_REPAIRED);
    }
    Some(if cookie { format::CEE } else { format::JSON })
}

/// The members of an object; `None` when it is no JSON.
fn members<'a>(object: &'a str, map: &mut Map<'a>, repairs: &mut Repairs) -> Option<()> {
    let mut scanner = Scanner::new(object.as_bytes());
    scanner.take(b'{');
    scanner.skip_space();
    let mut another = !scanner.take(b'}');
    let mut count = 0;
    while another {
        scanner.skip_space();
        let start = scanner.at;
        let key = scanner.key().ok()?;
        let key = &object[start..start + key.len()];
        let value = scanner.value().ok()?;
        if value.depth >= MAX_DEPTH {
            return None;
        }
        if count <= MAX_FIELDS {
            let text = &object[scanner.at - value.raw.len()..scanner.at];
            push(key, value.kind, text, map, repairs);
        }
        count += 1;
        scanner.skip_space();
        another = scanner.take(b',');
        if !another && !scanner.take(b'}') {
            return None;
        }
    }
    (scanner.at == object.len()).then_some(())
}

/// Adds a member: its key in quotes, its value as it was scanned.
fn push<'a>(key: &'a str, kind: Kind, value: &'a str, map: &mut Map<'a>, repairs: &mut Repairs) {
    let plain = |text: &str| find(text.as_bytes(), 0, |word| is(word, b'\\')).is_none();
    let inside = |text: &'a str| &text[1..text.len() - 1];
    let plain_key = plain(key);
    if kind == Kind::Text && plain_key && plain(value) {
        let (key, value) = (inside(key), inside(value));
        return map.push_plain((key, hash(key.as_bytes())), value, Type::Text);
    }
    let key =
        if plain_key { Cow::Borrowed(inside(key)) } else { unescape(key.as_bytes(), repairs) };
    match kind {
        Kind::Text => map.push(key, Value::Text(unescape(value.as_bytes(), repairs))),
        // Nothing is what no key says, too.
        Kind::Null => {}
        Kind::Bool => map.push_json(&key, |json| json.part(value.as_bytes())),
        // Only an exponent, or hundreds of digits, leave the range of doubles.
        Kind::Number if value.len() < 300 && !value.contains(['e', 'E']) => {
            map.push_json(&key, |json| json.part(value.as_bytes()));
        }
        _ => map.push_json(&key, |json| {
            let mut text = String::with_capacity(value.len());
            write_clean(value.as_bytes(), &mut text, repairs);
            json.part(text.as_bytes());
        }),
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
