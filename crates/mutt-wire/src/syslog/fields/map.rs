//! The map of fields of one event, and its JSON text.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use crate::syslog::notes;
use crate::text::{push_json_part, push_json_str};

/// So many fields are kept of one message.
pub(crate) const MAX_FIELDS: usize = 256;
/// So many bytes of keys and values.
const MAX_BYTES: usize = 64 * 1024;
/// So many bytes of JSON: escapes make a text longer.
const MAX_JSON: usize = 96 * 1024;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    /// Written as JSON writes numbers.
    Number(&'a str),
    Bool(bool),
    /// Any JSON that is known to be clean.
    Json(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// A text; `true` and `false` are booleans, and so is a number where the dialect's document says
    /// that the field is one.
    pub(crate) fn typed(text: Cow<'a, str>, number: bool) -> Self {
        match text {
            Cow::Borrowed(text) if number && is_number(text) => Self::Number(text),
            _ if text == "true" => Self::Bool(true),
            _ if text == "false" => Self::Bool(false),
            text => Self::Text(text),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Number(text) => text.len(),
            Self::Bool(_) => 5,
        }
    }

    fn push(&self, json: &mut String) {
        match self {
            Self::Text(text) => push_json_str(json, text),
            Self::Number(text) => json.push_str(text),
            Self::Json(text) => json.push_str(text),
            Self::Bool(true) => json.push_str("true"),
            Self::Bool(false) => json.push_str("false"),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// A number that every reader of JSON takes and no reader rounds: at most eighteen digits, or an
/// integer that fits into 64 bits.
pub(crate) fn is_number(text: &str) -> bool {
    // Most numbers are a few digits.
    if let [b'1'..=b'9', rest @ ..] = text.as_bytes()
        && rest.len() < 18
        && rest.iter().all(u8::is_ascii_digit)
    {
        return true;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return false;
    }
    match fraction {
        Some(fraction) => all_digits(fraction) && digits.len() <= 16,
        None if digits.len() <= 18 => true,
        None => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
    }
}

#[derive(Debug)]
struct Entry<'a> {
    key: Cow<'a, str>,
    value: Value<'a>,
    /// The key came before: its first entry writes all values as a list.
    again: bool,
    repeated: bool,
}

/// Fields in the order in which they came; bounded, empty ones left out.
#[derive(Debug)]
pub(crate) struct Map<'a> {
    entries: Vec<Entry<'a>>,
    /// One bit for each kind of key seen, so that most keys need no comparison.
    seen: [u64; 4],
    bytes: usize,
    cut: bool,
}

impl<'a> Map<'a> {
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self {
            entries: Vec::with_capacity(fields.min(MAX_FIELDS)),
            seen: [0; 4],
            bytes: 0,
            cut: false,
        }
    }

    /// Adds a field; one without key or value is none.
    pub(crate) fn push(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) {
        let (key, value) = (key.into(), value.into());
        let size = key.len() + value.len();
        if key.is_empty() || value.len() == 0 {
            return;
        }
        if self.entries.len() >= MAX_FIELDS || self.bytes + size > MAX_BYTES {
            self.cut = true;
            return;
        }
        self.bytes += size;
        let again = self.mark(&key);
        self.entries.push(Entry { key, value, again, repeated: false });
    }

    /// Word and bit of `seen` for a key.
    fn place(key: &str) -> (usize, u64) {
        let bytes = key.as_bytes();
        let [.., last] = bytes else { return (0, 0) };
        let hash = (bytes.len() as u8)
            .wrapping_mul(31)
            .wrapping_add(bytes[0].wrapping_mul(7))
            .wrapping_add(bytes[bytes.len() / 2].wrapping_mul(13))
            .wrapping_add(last.wrapping_mul(131));
        (usize::from(hash >> 6), 1u64 << (hash & 63))
    }

    fn mark(&mut self, key: &str) -> bool {
        let (word, bit) = Self::place(key);
        let maybe = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        if maybe && let Some(first) = self.entries.iter_mut().find(|e| !e.again && e.key == key) {
            first.repeated = true;
            return true;
        }
        false
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The first value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&Value<'a>> {
        let (word, bit) = Self::place(key);
        if self.seen[word] & bit == 0 {
            return None;
        }
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The first value of a key as it stands in the message.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        match self.value(key)? {
            Value::Text(Cow::Borrowed(text)) | Value::Number(text) => Some(text),
            _ => None,
        }
    }

    /// The first of several keys that has a value.
    pub(crate) fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Keys with their values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Cow<'a, str>, &Value<'a>)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// Writes the map into the event.
    pub(crate) fn finish(mut self, event: &mut Event<'a>) {
        if self.entries.is_empty() {
            return;
        }
        let mut json = String::with_capacity(self.bytes + self.entries.len() * 6 + 2);
        json.push('{');
        for at in 0..self.entries.len() {
            let before = json.len();
            self.write(at, &mut json);
            if json.len() > MAX_JSON {
                json.truncate(before);
                self.cut = true;
                break;
            }
        }
        json.push('}');
        event.fields = Some(Cow::Owned(json));
        if self.cut {
            notes::add(event, ParseStatus::Partial, notes::FIELDS_CUT);
        }
    }

    fn write(&self, at: usize, json: &mut String) {
        let entry = &self.entries[at];
        if entry.again {
            return;
        }
        json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
        push_json_part(json, &entry.key);
        json.push_str("\":");
        if !entry.repeated {
            return entry.value.push(json);
        }
        json.push('[');
        entry.value.push(json);
        for other in self.entries[at + 1..].iter().filter(|e| e.again && e.key == entry.key) {
            json.push(',');
            other.value.push(json);
        }
        json.push(']');
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::{Id, Source, Timestamp};

    use super::*;

    fn event() -> Event<'static> {
        Event::from_raw(Id::default(), Timestamp::default(), Source::Syslog, "", "", b"")
    }

    #[test]
    fn numbers_are_those_that_nothing_rounds() {
        let check = |text: &str, expected: bool| assert_eq!(is_number(text), expected, "{text}");
        check("0", true);
        check("-5", true);
        check("1.5", true);
        check("18446744073709551615", true);
        check("-9223372036854775808", true);
        check("18446744073709551616", false);
        check("0000000013", false);
        check("1515988859.626061236", false);
        check("1.", false);
        check(".5", false);
        check("-", false);
        check("", false);
        check("1e5", false);
        check("0x10", false);
    }

    #[test]
    fn repeated_keys_become_lists() {
        let mut map = Map::with_capacity(4);
        map.push("a", "1");
        map.push("b", Value::Number("2"));
        map.push("a", Value::Bool(true));
        map.push("c", "");
        map.push("", "x");
        map.push("a", "q\"");
        assert_eq!((map.len(), map.get("b"), map.first(&["x", "a"])), (4, Some("2"), Some("1")));
        let mut event = event();
        map.finish(&mut event);
        assert_eq!(event.fields.as_deref(), Some(r#"{"a":["1",true,"q\""],"b":2}"#));
        assert_eq!(event.parse.notes, "");
    }

    #[test]
    fn count_and_size_are_bounded() {
        let keys: Vec<String> = (0..MAX_FIELDS + 1).map(|n| format!("k{n}")).collect();
        let mut map = Map::with_capacity(0);
        for key in &keys {
            map.push(key.as_str(), "v");
        }
        let mut many = event();
        map.finish(&mut many);
        let json: serde_json::Value =
            serde_json::from_str(many.fields.as_deref().expect("fields")).expect("JSON");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(MAX_FIELDS));
        assert_eq!(many.parse.notes, notes::FIELDS_CUT);
        let long = "\u{1}".repeat(MAX_BYTES / 2);
        let mut map = Map::with_capacity(0);
        map.push("short", "v");
        map.push("long", long.as_str());
        map.push("again", long.as_str());
        let mut escaped = event();
        map.finish(&mut escaped);
        assert_eq!(escaped.fields.as_deref(), Some(r#"{"short":"v"}"#));
        assert_eq!(escaped.parse.notes, notes::FIELDS_CUT);
    }
}
