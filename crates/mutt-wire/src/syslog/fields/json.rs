//! A message that is one JSON object, with the cookie `@cee:` or without.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type, Value};
use super::{graded, lacks_host, set_origin};
use crate::http::scan::{Kind, Repairs, Scanner, unescape, write_clean};
use crate::octets::hash;
use crate::syslog::{Options, format, notes};
use crate::text::without_blanks;

/// Objects that nest deeper are text.
const MAX_DEPTH: usize = 32;

/// The object, and whether the cookie stands before it.
fn object(text: &str) -> Option<(&str, bool)> {
    let behind = text.strip_prefix("@cee:");
    let object = without_blanks(behind.unwrap_or(text));
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
        scanner.odd = false;
        let key = scanner.key().ok()?;
        let key = Part { object, from: start, to: start + key.len(), odd: scanner.odd };
        scanner.skip_space();
        scanner.odd = false;
        let value = scanner.value().ok()?;
        if value.depth >= MAX_DEPTH {
            return None;
        }
        if count <= MAX_FIELDS {
            let (from, to) = (scanner.at - value.raw.len(), scanner.at);
            push(key, value.kind, Part { object, from, to, odd: scanner.odd }, map, repairs);
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

/// A part of the object, and whether anything in it may have to be written in another way.
#[derive(Clone, Copy)]
struct Part<'a> {
    object: &'a str,
    from: usize,
    to: usize,
    odd: bool,
}

impl<'a> Part<'a> {
    #[inline(always)]
    fn text(self) -> &'a str {
        &self.object[self.from..self.to]
    }

    /// What stands in the quotes.
    #[inline(always)]
    fn inside(self) -> &'a str {
        &self.object[self.from + 1..self.to - 1]
    }

    fn unescaped(self, repairs: &mut Repairs) -> Cow<'a, str> {
        match self.odd {
            false => Cow::Borrowed(self.inside()),
            true => unescape(self.text().as_bytes(), repairs),
        }
    }
}

/// Adds a member: its key in quotes, its value as it was scanned.
#[inline(always)]
fn push<'a>(key: Part<'a>, kind: Kind, value: Part<'a>, map: &mut Map<'a>, repairs: &mut Repairs) {
    if kind == Kind::Text && !key.odd && !value.odd {
        let key = key.inside();
        return map.push_plain((key, hash(key.as_bytes())), value.inside(), Type::Text);
    }
    if !matches!(kind, Kind::Text | Kind::Null) && !key.odd && !value.odd {
        let key = key.inside();
        return map.push_bare((key, hash(key.as_bytes())), value.text());
    }
    push_odd(key, kind, value, map, repairs);
}

#[inline(never)]
fn push_odd<'a>(
    key: Part<'a>,
    kind: Kind,
    value: Part<'a>,
    map: &mut Map<'a>,
    repairs: &mut Repairs,
) {
    let key = key.unescaped(repairs);
    match kind {
        Kind::Text => map.push(key, Value::Text(value.unescaped(repairs))),
        // Nothing is what no key says, too.
        Kind::Null => {}
        _ => map.push_json(&key, |json| {
            let mut text = String::with_capacity(value.to - value.from);
            write_clean(value.text().as_bytes(), &mut text, repairs);
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
