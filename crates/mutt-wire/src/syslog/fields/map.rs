//! The map of fields of one event, and its JSON text.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::pairs::{Raw, unescape};
use crate::octets::{hash, same};
use crate::syslog::notes;
use crate::text::push_json_part;
use crate::writer::Writer;

/// So many fields are kept of one message.
pub(crate) const MAX_FIELDS: usize = 256;
/// So many bytes of keys and values.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// So many bytes of JSON: escapes make a text longer.
pub(crate) const MAX_JSON: usize = 96 * 1024;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    /// Written as JSON writes numbers.
    Number(&'a str),
    Bool(bool),
}

impl<'a> Value<'a> {
    /// A text; `true` and `false` are booleans, and so is a number where the dialect's document says
    /// that the field is one.
    pub(crate) fn typed(text: Cow<'a, str>, number: bool) -> Self {
        match text {
            Cow::Borrowed(text) if number && is_number(text) => Self::Number(text),
            text => match truth(&text) {
                Some(truth) => Self::Bool(truth),
                None => Self::Text(text),
            },
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(text) => text.len(),
            Self::Bool(_) => TRUTH,
        }
    }

    /// The value as it stands in the message, where it does.
    pub(crate) fn raw(&self) -> Option<&'a str> {
        match self {
            Self::Text(Cow::Borrowed(text)) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn push(&self, json: &mut Writer<'_>) {
        match self {
            Self::Text(text) => {
                json.put(b"\"");
                json.escaped(text);
                json.put(b"\"");
            }
            Self::Number(text) => json.part(text.as_bytes()),
            Self::Bool(true) => json.put(b"true"),
            Self::Bool(false) => json.put(b"false"),
        }
    }
}

/// What a text may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Itself.
    Text,
    /// Itself, or a boolean.
    Word,
    /// A number, where it is one.
    Number,
}

impl Type {
    #[inline(always)]
    pub(crate) fn number(number: bool) -> Self {
        if number { Self::Number } else { Self::Word }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// A name that MUTT gives, with its hash and as JSON writes it before a text: `vendor":"`.
pub(crate) struct Name {
    word: &'static str,
    hash: u8,
    written: [u8; 24],
}

impl Name {
    /// JSON escapes nothing in it, and it has at most 21 letters.
    pub(crate) const fn new(word: &'static str) -> Self {
        let (bytes, mut written) = (word.as_bytes(), [0; 24]);
        let mut at = 0;
        while at < bytes.len() {
            written[at] = bytes[at];
            at += 1;
        }
        (written[at], written[at + 1], written[at + 2]) = (b'"', b':', b'"');
        Self { word, hash: hash(bytes), written }
    }
}

/// How many bytes a boolean counts for.
pub(crate) const TRUTH: usize = 5;

#[inline(always)]
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// A number that every reader of JSON takes and no reader rounds: at most eighteen digits, or an
/// integer that fits into 64 bits.
#[inline(always)]
pub(crate) fn is_number(text: &str) -> bool {
    // Most numbers are a few digits; every one of nineteen fits, too.
    match text.as_bytes() {
        b"0" => true,
        [b'1'..=b'9', more @ ..] if more.len() <= 18 && more.iter().all(u8::is_ascii_digit) => true,
        _ => is_odd_number(text),
    }
}

fn is_odd_number(text: &str) -> bool {
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

/// What of a field is looked up again; key and value themselves stand in the JSON text.
#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Where in the text the key begins; its end is two before its value, and the value's end is two
    /// before the next key.
    key: u32,
    value: u32,
    /// How long the value is without escapes.
    len: u32,
    /// The value as it stands in the message, where it does.
    raw: Option<&'a str>,
    /// The entry before this one in its bucket, counted from 1; 0 for none.
    before: u16,
    /// The key came before: its first entry writes all values as a list.
    again: bool,
    repeated: bool,
}

/// A field that is being written: where its key and its value begin.
#[derive(Clone, Copy)]
struct Begun {
    key: usize,
    value: usize,
}

/// So many lists of keys that need a comparison; a power of two.
const BUCKETS: usize = 128;

/// Fields in the order in which they came, written as JSON as they come; bounded, empty ones left out.
pub(crate) struct Map<'a> {
    entries: Vec<Entry<'a>>,
    /// `{"`, then each field and `,"` behind it.
    json: Writer<'a>,
    /// For each bucket its last entry with a key of its own, counted from 1; 0 for none.
    last: [u16; BUCKETS],
    bytes: usize,
    cut: bool,
    /// A key came again: the text is put together anew.
    repeats: bool,
}

impl<'a> Map<'a> {
    /// For some fields of a text.
    pub(crate) fn with_capacity(text: &'a str, fields: usize) -> Self {
        Self::sized(text, fields, fields * 24)
    }

    /// For a text that is pairs throughout.
    pub(crate) fn of_pairs(text: &'a str, fields: usize) -> Self {
        Self::sized(text, fields, text.len() + fields * 4)
    }

    /// Room for so many fields and bytes of JSON.
    pub(crate) fn sized(text: &'a str, fields: usize, bytes: usize) -> Self {
        let mut json = Writer::new(text, bytes.min(MAX_JSON));
        json.put(b"{\"");
        Self {
            entries: Vec::with_capacity(fields.min(MAX_FIELDS)),
            json,
            last: [0; BUCKETS],
            bytes: 0,
            cut: false,
            repeats: false,
        }
    }

    /// Adds a field; one without key or value is none.
    pub(crate) fn push<'k>(&mut self, key: impl Into<Cow<'k, str>>, value: impl Into<Value<'a>>) {
        let (key, value) = (key.into(), value.into());
        let size = value.len();
        if !self.admits(&key, size) {
            return;
        }
        let begun = self.begin(&key);
        value.push(&mut self.json);
        self.end(begun, hash(key.as_bytes()), value.raw(), size);
    }

    /// Adds a field as it stands in the message: JSON escapes nothing in it.
    #[inline(always)]
    pub(crate) fn push_plain(&mut self, (key, hash): (&str, u8), value: &'a str, of: Type) {
        let truth = of != Type::Text && truth(value).is_some();
        let size = if truth { TRUTH } else { value.len() };
        if !self.admits(key, size) {
            return;
        }
        let start = self.json.len();
        let begun = Begun { key: start, value: start + key.len() + 2 };
        let (key, text) = (key.as_bytes(), value.as_bytes());
        if truth || (of == Type::Number && is_number(value)) {
            self.json.pair((key, b"\":"), (text, b",\""));
        } else {
            self.json.pair((key, b"\":\""), (text, b"\",\""));
        }
        self.note(begun, hash, if truth { None } else { Some(value) }, size);
    }

    /// Adds a text; `plain` when JSON escapes nothing in it.
    #[inline]
    pub(crate) fn push_text(&mut self, name: &Name, text: &'a str, plain: bool) {
        if !plain {
            return self.push(name.word, text);
        }
        if self.admits(name.word, text.len()) {
            let start = self.json.len();
            let begun = Begun { key: start, value: start + name.word.len() + 2 };
            self.json.most_of(&name.written, name.word.len() + 3);
            self.json.part_and(text.as_bytes(), b"\",\"");
            self.note(begun, name.hash, Some(text), text.len());
        }
    }

    /// Adds a pair; in a value that is not plain these bytes may be escaped.
    #[inline(always)]
    pub(crate) fn push_pair(&mut self, key: (&str, u8), raw: Raw<'a>, escapes: &[u8], of: Type) {
        if raw.plain {
            return self.push_plain(key, raw.text, of);
        }
        if raw.as_json > 0 && escapes.starts_with(b"\"\\") {
            return self.push_as_json(key, raw.text, raw.as_json);
        }
        self.push_escaped(key.0, raw.text, escapes, of);
    }

    /// Adds a text whose escapes are those of JSON; without them it is so long.
    #[inline(never)]
    fn push_as_json(&mut self, (key, hash): (&str, u8), text: &'a str, len: usize) {
        if self.admits(key, len) {
            let start = self.json.len();
            let begun = Begun { key: start, value: start + key.len() + 2 };
            self.json.pair((key.as_bytes(), b"\":\""), (text.as_bytes(), b"\",\""));
            self.note(begun, hash, None, len);
        }
    }

    #[inline(never)]
    fn push_escaped(&mut self, key: &str, text: &'a str, escapes: &[u8], of: Type) {
        let text = unescape(text, escapes);
        let value = match of {
            Type::Text => Value::Text(text),
            Type::Word => Value::typed(text, false),
            Type::Number => Value::typed(text, true),
        };
        self.push(key, value);
    }

    /// Adds a field whose value is JSON as it stands in the message; JSON escapes nothing in its key.
    #[inline]
    pub(crate) fn push_bare(&mut self, (key, hash): (&str, u8), value: &str) {
        if self.admits(key, value.len()) {
            let start = self.json.len();
            let begun = Begun { key: start, value: start + key.len() + 2 };
            self.json.pair((key.as_bytes(), b"\":"), (value.as_bytes(), b",\""));
            self.note(begun, hash, None, value.len());
        }
    }

    /// Adds a field whose value `write` writes as JSON; where it writes nothing, none.
    pub(crate) fn push_json(&mut self, key: &str, write: impl FnOnce(&mut Writer<'a>)) {
        let begun = self.begin(key);
        write(&mut self.json);
        let size = self.json.len() - begun.value;
        if self.admits(key, size) {
            self.end(begun, hash(key.as_bytes()), None, size);
        } else {
            self.json.truncate(begun.key);
        }
    }

    /// Adds the value of the entry `of` under another name.
    pub(crate) fn push_again(&mut self, key: &str, of: usize) {
        let entry = self.entries[of];
        if self.admits(key, entry.len as usize) {
            let value = entry.value as usize..self.value_end(of);
            let begun = self.begin(key);
            self.json.again(value);
            self.end(begun, hash(key.as_bytes()), entry.raw, entry.len as usize);
        }
    }

    /// Whether there is room for a field; one without key or value is none.
    #[inline(always)]
    fn admits(&mut self, key: &str, size: usize) -> bool {
        if key.is_empty() || size == 0 {
            return false;
        }
        if self.entries.len() >= MAX_FIELDS || self.bytes + key.len() + size > MAX_BYTES {
            self.cut = true;
            return false;
        }
        self.bytes += key.len() + size;
        true
    }

    fn begin(&mut self, key: &str) -> Begun {
        let start = self.json.len();
        self.json.escaped(key);
        self.json.put(b"\":");
        Begun { key: start, value: self.json.len() }
    }

    /// Ends the field that was written.
    fn end(&mut self, begun: Begun, hash: u8, raw: Option<&'a str>, len: usize) {
        self.json.put(b",\"");
        self.note(begun, hash, raw, len);
    }

    /// Notes a field that was written.
    #[inline(always)]
    fn note(&mut self, begun: Begun, hash: u8, raw: Option<&'a str>, len: usize) {
        let bucket = usize::from(hash) % BUCKETS;
        let before = self.last[bucket];
        let mut entry = Entry {
            key: begun.key as u32,
            value: begun.value as u32,
            len: len as u32,
            raw,
            before,
            again: false,
            repeated: false,
        };
        if before > 0
            && let Some(first) = self.in_bucket(before, self.key(&entry))
        {
            self.entries[first].repeated = true;
            (entry.again, self.repeats) = (true, true);
        }
        self.entries.push(entry);
        if !entry.again {
            self.last[bucket] = self.entries.len() as u16;
        }
    }

    /// The key of an entry, as JSON writes it.
    #[inline(always)]
    fn key(&self, entry: &Entry<'_>) -> &[u8] {
        &self.json.written()[entry.key as usize..entry.value as usize - 2]
    }

    /// Where the value of the entry `at` ends.
    fn value_end(&self, at: usize) -> usize {
        let behind = self.entries.get(at + 1).map_or(self.json.len(), |next| next.key as usize);
        behind - ",\"".len()
    }

    /// The entry of a bucket that has this key, as JSON writes it.
    #[inline]
    fn in_bucket(&self, last: u16, key: &[u8]) -> Option<usize> {
        let mut at = usize::from(last);
        while at > 0 {
            let entry = &self.entries[at - 1];
            if same(self.key(entry), key) {
                return Some(at - 1);
            }
            at = usize::from(entry.before);
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is a field of this name, whatever is in the name.
    pub(crate) fn contains(&self, key: &str) -> bool {
        let last = self.last[usize::from(hash(key.as_bytes())) % BUCKETS];
        let mut written = String::new();
        push_json_part(&mut written, key);
        last > 0 && self.in_bucket(last, written.as_bytes()).is_some()
    }

    /// The first entry of a key in which JSON escapes nothing.
    #[inline(always)]
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let last = self.last[usize::from(hash(key.as_bytes())) % BUCKETS];
        if last > 0 { self.in_bucket(last, key.as_bytes()) } else { None }
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| std::str::from_utf8(self.key(entry)).ok())
    }

    /// The first value of a key as it stands in the message.
    #[inline(always)]
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.find(key).and_then(|at| self.entries[at].raw)
    }

    /// The first of several keys, with their hashes, that has a value.
    pub(crate) fn first_named(&self, keys: &[(&str, u8)]) -> Option<&'a str> {
        keys.iter().find_map(|(key, hash)| {
            let last = self.last[usize::from(*hash) % BUCKETS];
            let at = if last > 0 { self.in_bucket(last, key.as_bytes())? } else { return None };
            self.entries[at].raw
        })
    }

    /// The first of several keys that has a value.
    #[inline(always)]
    pub(crate) fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Writes the map into the event.
    pub(crate) fn finish(mut self, event: &mut Event<'a>) {
        if self.entries.is_empty() {
            return;
        }
        let end = self.json.len() - ",\"".len();
        if self.repeats || end > MAX_JSON {
            self.put_together();
        } else {
            self.json.truncate(end);
        }
        self.json.put(b"}");
        event.fields = Some(Cow::Owned(self.json.finish()));
        if self.cut {
            notes::add(event, ParseStatus::Partial, notes::FIELDS_CUT);
        }
    }

    /// Writes the text anew: lists where keys came again, and no more than is kept.
    #[cold]
    fn put_together(&mut self) {
        let mut json = Writer::new("", self.json.len().min(MAX_JSON) + 64);
        json.put(b"{");
        for at in 0..self.entries.len() {
            let before = json.len();
            self.write(at, &mut json);
            if json.len() > MAX_JSON {
                json.truncate(before);
                self.cut = true;
                break;
            }
        }
        self.json = json;
    }

    fn write(&self, at: usize, json: &mut Writer<'_>) {
        let entry = &self.entries[at];
        if entry.again {
            return;
        }
        let value =
            |at: usize| &self.json.written()[self.entries[at].value as usize..self.value_end(at)];
        if json.len() > 1 {
            json.put(b",");
        }
        json.put(b"\"");
        json.part_and(self.key(entry), b"\":");
        if !entry.repeated {
            json.part(value(at));
            return;
        }
        json.put(b"[");
        json.part(value(at));
        for (other, more) in self.entries.iter().enumerate().skip(at + 1) {
            if more.again && self.key(more) == self.key(entry) {
                json.put(b",");
                json.part(value(other));
            }
        }
        json.put(b"]");
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
        let mut map = Map::with_capacity("", 4);
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
    fn escapes_are_those_of_the_dialect() {
        let check = |text: &str, escapes: &[u8], expected: &str| {
            let mut map = Map::with_capacity(text, 1);
            let raw = Raw { text, quoted: true, plain: false, as_json: 0 };
            map.push_pair(("a", hash(b"a")), raw, escapes, Type::Word);
            let mut event = event();
            map.finish(&mut event);
            assert_eq!(event.fields.as_deref(), Some(expected), "{text}");
        };
        check(r#"q\"r\\s"#, b"\"\\", r#"{"a":"q\"r\\s"}"#);
        check(r#"q\"r\\s"#, b"\"", r#"{"a":"q\"r\\\\s"}"#);
        check(r#"q\"r\\s"#, b"", r#"{"a":"q\\\"r\\\\s"}"#);
        check(r"q\n", b"\"\\", r#"{"a":"q\\n"}"#);
        check("q\t\\\"", b"\"\\", r#"{"a":"q\t\""}"#);
        check("q\\", b"\"\\", r#"{"a":"q\\"}"#);
    }

    #[test]
    fn count_and_size_are_bounded() {
        let keys: Vec<String> = (0..MAX_FIELDS + 1).map(|n| format!("k{n}")).collect();
        let mut map = Map::with_capacity("", 0);
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
        let mut map = Map::with_capacity("", 0);
        map.push("short", "v");
        map.push("long", long.as_str());
        map.push("again", long.as_str());
        let mut escaped = event();
        map.finish(&mut escaped);
        assert_eq!(escaped.fields.as_deref(), Some(r#"{"short":"v"}"#));
        assert_eq!(escaped.parse.notes, notes::FIELDS_CUT);
    }
}
