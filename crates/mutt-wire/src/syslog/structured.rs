//! Structured data of RFC 5424 as JSON text: `{"id":{"name":"value"}}`.

use std::ops::Range;

use super::{format, notes};
use crate::octets::{below, escaped, find, hash, is, run};
use crate::text::near;
use crate::writer::Writer;

/// What was read.
pub(crate) struct Structured<'a> {
    pub(crate) json: String,
    pub(crate) rest: &'a str,
    pub(crate) note: Option<&'static str>,
    /// Whose elements they are: `junos@2636...`, `F5@12276`, `Originator@6876`.
    pub(crate) dialect: &'static str,
    /// The interface or peer that Junos names.
    pub(crate) resource: Option<&'a str>,
    /// Where in `json` the parameters stand, when there is one element and a map of fields would write
    /// its parameters in the same way.
    pub(crate) flat: Option<Range<usize>>,
}

impl Structured<'_> {
    /// The parameters as a map of fields writes them, where that is the same.
    pub(crate) fn flat(&self) -> Option<&str> {
        self.json.get(self.flat.clone()?)
    }
}

/// A map of fields keeps all of so many bytes.
const FLAT_MAX: usize = 32 * 1024;

/// So many parameters at a time, and so many elements, are compared for repeated names: a bound on
/// the work that a hostile frame can ask for.
const MAX_COMPARED: usize = 32;
const MAX_UNIQUE_ELEMENTS: usize = 16;

/// A parameter: where its name and its value, as written, begin and end.
#[derive(Clone, Copy, Default)]
struct Param {
    name: (usize, usize),
    value: (usize, usize),
    /// There are no escapes, and JSON escapes nothing in name and value.
    plain: bool,
    quoted: bool,
}

impl Param {
    fn name(self, text: &str) -> &str {
        &text[self.name.0..self.name.1]
    }

    fn value(self, text: &str) -> &str {
        &text[self.value.0..self.value.1]
    }

    #[inline(always)]
    fn key(self, text: &str) -> &[u8] {
        &text.as_bytes()[self.name.0..self.name.1]
    }
}

/// Reads all elements at the front of `text`; `None` when it is no structured data. A parameter that
/// stands several times (RFC 5424 section 6.3.3 allows it) becomes an array; an element whose id is
/// already there gets `#2`, `#3` behind it.
pub(crate) fn read(text: &str) -> Option<Structured<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        json: Writer::new(text, 80.min(text.len()) + text.len() / 2),
        note: None,
        dialect: format::RFC5424,
        resource: None,
        elements: 0,
        flat: None,
    };
    reader.json.put(b"{");
    while text.as_bytes().get(reader.at) == Some(&b'[') {
        reader.element()?;
    }
    reader.json.put(b"}");
    let Reader { at, json, note, dialect, resource, flat, .. } = reader;
    if !matches!(text.as_bytes().get(at), None | Some(b' ')) {
        return None;
    }
    let json = json.finish();
    Some(Structured { json, rest: &text[at..], note, dialect, resource, flat })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    json: Writer<'a>,
    note: Option<&'static str>,
    dialect: &'static str,
    resource: Option<&'a str>,
    elements: usize,
    flat: Option<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn element(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let (end, plain) = id_end(bytes, start)?;
        if end == start || !matches!(bytes[end], b' ' | b']') {
            return None;
        }
        let id = &self.text[start..end];
        let dialect = dialect(id);
        if let Some(dialect) = dialect {
            self.dialect = dialect;
        }
        let junos = dialect == Some(format::JUNIPER);
        self.push_id(id, plain);
        let written = self.json.len();
        self.at = end;
        if !self.distinct(junos)? {
            self.json.truncate(written);
            (self.at, self.flat) = (end, None);
            self.repeated(junos)?;
        }
        self.json.put(b"}");
        Some(())
    }

    /// The next parameter; none where a bracket closes the element, which is taken away.
    fn next(&mut self, junos: bool) -> Option<Option<Param>> {
        let (param, behind) = next(self.text.as_bytes(), self.at)?;
        self.at = behind;
        if let Some(param) = param {
            self.note(param, junos);
        }
        Some(param)
    }

    /// Keeps what a parameter says beside its value.
    fn note(&mut self, param: Param, junos: bool) {
        if !param.quoted {
            self.note = Some(notes::UNQUOTED);
        }
        if junos && names_resource(param.key(self.text)) {
            self.take_resource(param.value, param.plain);
        }
    }

    /// Keeps the first interface or peer that Junos names, without a remark behind it.
    #[inline(never)]
    fn take_resource(&mut self, (from, to): (usize, usize), plain: bool) {
        let value = &self.text[from..to];
        if self.resource.is_none() && (plain || !value.contains('\\')) {
            let end = near(b' ', value.as_bytes()).unwrap_or(value.len());
            self.resource = Some(&value[..end]).filter(|value| !value.is_empty());
        }
    }

    /// Writes parameters as they come, up to the bracket behind them; false when a name comes again.
    #[inline(never)]
    fn distinct(&mut self, junos: bool) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let start = self.json.len();
        self.json.put(b"\"");
        let mut seen = Seen::default();
        // Whether a map of fields would write the same.
        let mut flat = self.elements == 1 && matches!(self.dialect, format::F5 | format::VMWARE);
        let mut rest = bytes.get(self.at..)?;
        loop {
            rest = match rest {
                [b' ', behind @ ..] => behind,
                [b']', behind @ ..] => {
                    rest = behind;
                    break;
                }
                _ => return None,
            };
            let from = bytes.len() - rest.len();
            let Some(Usual { name, value, behind, quoted }) = usual_param(rest) else {
                let (param, behind) = next(bytes, from)?;
                rest = bytes.get(behind..)?;
                let Some(param) = param else { break };
                if seen.again(bytes, param.name.0, param.key(self.text)) {
                    return Some(false);
                }
                flat &= self.push_odd(param, junos);
                continue;
            };
            if seen.again(bytes, from, name) {
                return Some(false);
            }
            if !quoted {
                self.note = Some(notes::UNQUOTED);
            }
            if junos && names_resource(name) {
                let end = bytes.len() - behind.len() - usize::from(quoted);
                self.take_resource((end - value.len(), end), true);
            }
            flat = flat && is_flat(name, value);
            self.json.pair((name, b"\":\""), (value, b"\",\""));
            rest = behind;
        }
        self.at = bytes.len() - rest.len();
        // The quote of a next name and the comma before it.
        let end = self.json.len();
        self.json.truncate(if end == start + 1 { start } else { end - 2 });
        let (flat, written) = (flat && !seen.wrapped, start..self.json.len());
        self.flat = Some(written).filter(|written| flat && (1..FLAT_MAX).contains(&written.len()));
        Some(true)
    }

    /// Writes a parameter of which something is odd; whether a map of fields would write the same.
    #[inline(never)]
    fn push_odd(&mut self, param: Param, junos: bool) -> bool {
        self.note(param, junos);
        let (name, value) = (param.name(self.text), param.value(self.text));
        if param.plain {
            self.json.pair((name.as_bytes(), b"\":\""), (value.as_bytes(), b"\",\""));
            return is_flat(name.as_bytes(), value.as_bytes());
        }
        self.json.escaped(name);
        self.json.put(b"\":\"");
        push_unescaped(&mut self.json, value);
        self.json.put(b"\",\"");
        false
    }

    /// The same where names come again: their values become lists.
    fn repeated(&mut self, junos: bool) -> Option<()> {
        let mut params = [Param::default(); MAX_COMPARED];
        let (mut count, mut wrote) = (0, false);
        while let Some(param) = self.next(junos)? {
            if count == MAX_COMPARED {
                self.push_params(&params, &mut wrote);
                count = 0;
            }
            params[count] = param;
            count += 1;
        }
        self.push_params(&params[..count], &mut wrote);
        Some(())
    }

    /// Writes `"id":{`, the id made unique; `plain` where JSON escapes nothing in it.
    fn push_id(&mut self, id: &str, plain: bool) {
        let json = &mut self.json;
        if json.len() > 1 {
            json.put(b",");
        }
        let start = json.len();
        json.put(b"\"");
        if plain {
            json.part_and(id.as_bytes(), b"\":{");
        } else {
            json.escaped(id);
            json.put(b"\":{");
        }
        let taken = |json: &Writer<'_>| {
            let (before, key) = json.written().split_at(start);
            memchr::memmem::find(before, key).is_some()
        };
        self.elements += 1;
        let compare = self.elements <= MAX_UNIQUE_ELEMENTS;
        let mut number = 2;
        while compare && start > 1 && taken(json) {
            self.note = Some(notes::REPEATED_ID);
            json.truncate(start + 1);
            json.escaped(id);
            json.part(format!("#{number}").as_bytes());
            json.put(b"\":{");
            number += 1;
        }
    }

    fn push_params(&mut self, params: &[Param], wrote: &mut bool) {
        let text = self.text;
        for (at, param) in params.iter().enumerate() {
            let again = |other: &&Param| other.key(text) == param.key(text);
            if params[..at].iter().any(|other| again(&other)) {
                continue;
            }
            self.push_name(*param, wrote);
            let mut same = params[at + 1..].iter().filter(again).peekable();
            if same.peek().is_none() {
                self.push_value(*param);
                continue;
            }
            self.json.put(b"[");
            self.push_value(*param);
            for other in same {
                self.json.put(b",");
                self.push_value(*other);
            }
            self.json.put(b"]");
        }
    }

    fn push_name(&mut self, param: Param, wrote: &mut bool) {
        if std::mem::replace(wrote, true) {
            self.json.put(b",");
        }
        self.json.put(b"\"");
        self.json.escaped(param.name(self.text));
        self.json.put(b"\":");
    }

    fn push_value(&mut self, param: Param) {
        self.json.put(b"\"");
        push_unescaped(&mut self.json, param.value(self.text));
        self.json.put(b"\"");
    }
}

/// Names of an element; the last so many are compared.
#[derive(Default)]
struct Seen {
    /// Where they begin; an equals sign ends each.
    names: [u32; MAX_COMPARED],
    count: usize,
    /// One bit for each kind of name seen, so that most names need no comparison.
    kinds: [u64; 4],
    wrapped: bool,
}

impl Seen {
    /// Adds the name that begins there; true when it was there before.
    #[inline(always)]
    fn again(&mut self, bytes: &[u8], from: usize, name: &[u8]) -> bool {
        if self.count >= MAX_COMPARED {
            (self.count, self.kinds, self.wrapped) = (0, [0; 4], true);
        }
        let hash = hash(name);
        let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
        if self.kinds[word] & bit != 0 && self.holds(bytes, name) {
            return true;
        }
        self.kinds[word] |= bit;
        self.names[self.count] = from as u32;
        self.count += 1;
        false
    }

    #[inline(never)]
    fn holds(&self, bytes: &[u8], name: &[u8]) -> bool {
        self.names[..self.count].iter().any(|from| {
            let behind = bytes[*from as usize..].strip_prefix(name);
            behind.is_some_and(|behind| behind.first() == Some(&b'='))
        })
    }
}

/// Marks what cannot stand in a name or is escaped there: control characters, spaces, quotes, brackets,
/// backslashes, the equals sign; and exclamation marks, so that it is one comparison less.
#[inline(always)]
const fn ends_name(word: u64) -> u64 {
    let bracket = word ^ 0x5c5c_5c5c_5c5c_5c5c;
    below(word, b'"' + 1) | is(word, b'=') | is(word, b'[') | below(bracket, 2)
}

/// Where the id ends that begins at `from`, and whether JSON escapes nothing in it.
#[inline(always)]
fn id_end(bytes: &[u8], from: usize) -> Option<(usize, bool)> {
    let (mut end, mut plain) = (from, true);
    loop {
        end = find(bytes, end, ends_name)?;
        match bytes[end] {
            b' ' | b']' | b'=' | b'"' | b'[' => return Some((end, plain)),
            byte => plain &= byte == b'!',
        }
        end += 1;
    }
}

/// The next parameter, or none where a bracket closes the element, and the place behind it.
#[inline(never)]
fn next(bytes: &[u8], from: usize) -> Option<(Option<Param>, usize)> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b' ' => at += 1,
            b']' => return Some((None, at + 1)),
            _ => return param(bytes, at).map(|(param, behind)| (Some(param), behind)),
        }
    }
}

/// Hands out names and values, as written, of every element of structured data that was read, and
/// whether JSON escapes nothing in them.
pub(crate) fn each_param<'a>(data: &'a str, mut take: impl FnMut(&'a str, &'a str, bool)) {
    let (bytes, mut at) = (data.as_bytes(), 0);
    while bytes.get(at) == Some(&b'[') {
        let Some((end, _)) = id_end(bytes, at + 1) else { return };
        at = end;
        loop {
            let Some((param, behind)) = next(bytes, at) else { return };
            at = behind;
            let Some(param) = param else { break };
            take(param.name(data), param.value(data), param.plain);
        }
    }
}

/// Vendors by their enterprise numbers.
#[inline]
fn dialect(id: &str) -> Option<&'static str> {
    if id.starts_with("junos@") {
        return Some(format::JUNIPER);
    }
    let (name, number) = id.as_bytes().split_last_chunk()?;
    let found = match number {
        b"@6876" => format::VMWARE,
        b"@2620" => format::CHECKPOINT,
        b"12276" if name == b"F5@" => format::F5,
        _ => return None,
    };
    // The number stands behind the first of these signs.
    (found == format::F5 || near(b'@', name).is_none()).then_some(found)
}

/// Bytes of names that JSON does not escape.
static NAME: [bool; 256] = {
    let mut kind = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let stops = matches!(byte as u8, b'=' | b' ' | b']' | b'"' | b'[');
        kind[byte] = !stops && byte >= 0x20 && byte as u8 != b'\\';
        byte += 1;
    }
    kind
};

/// A parameter in which JSON escapes nothing, as in nearly all, and what is behind it.
struct Usual<'t> {
    name: &'t [u8],
    value: &'t [u8],
    behind: &'t [u8],
    quoted: bool,
}

/// `name="value"` or `name=value` at the front.
#[inline(always)]
fn usual_param(text: &[u8]) -> Option<Usual<'_>> {
    let (name, behind) = text.split_at_checked(find(text, 0, ends_name)?)?;
    let [b'=', behind @ ..] = behind else { return None };
    if name.is_empty() {
        return None;
    }
    let [b'"', value @ ..] = behind else {
        let (value, behind) = behind.split_at_checked(unquoted_end(behind)?)?;
        return Some(Usual { name, value, behind, quoted: false });
    };
    match value.split_at_checked(find(value, 0, escaped)?)? {
        (value, [b'"', behind @ ..]) => Some(Usual { name, value, behind, quoted: true }),
        _ => None,
    }
}

/// Where a value without quotes ends, in which JSON escapes nothing.
#[inline(never)]
fn unquoted_end(value: &[u8]) -> Option<usize> {
    let end = find(value, 0, |word| below(word, b'"' + 1) | is(word, b'\\') | is(word, b']'))?;
    matches!(value[end], b' ' | b']').then_some(end)
}

/// Whether a map of fields writes this parameter, in which nothing is escaped, as it stands.
#[inline(always)]
fn is_flat(name: &[u8], value: &[u8]) -> bool {
    // Of these fields there is more to say.
    !matches!(value, b"" | b"true" | b"false") && !matches!(name, b"level" | b"errorCode")
}

/// `name="value"`, or `name=value` as VMware writes it, at this place; and the place behind it.
fn param(bytes: &[u8], from: usize) -> Option<(Param, usize)> {
    let mut end = find(bytes, from, ends_name)?;
    let mut plain = true;
    if bytes.get(end) != Some(&b'=') {
        (end, plain) = odd_name_end(bytes, end)?;
    }
    let start = end + 1;
    if end == from {
        return None;
    }
    if bytes.get(start) != Some(&b'"') {
        return unquoted(bytes, (from, end), plain);
    }
    let start = start + 1;
    let mut at = start;
    let end_of_value = loop {
        let found = find(bytes, at, escaped)?;
        if bytes[found] == b'"' {
            break found;
        }
        plain = false;
        at = found + if bytes[found] == b'\\' { 2 } else { 1 };
    };
    // An unescaped quote inside a value would stand before anything but these.
    let Some(b' ' | b']') = bytes.get(end_of_value + 1) else { return None };
    let param = Param { name: (from, end), value: (start, end_of_value), plain, quoted: true };
    Some((param, end_of_value + 1))
}

/// Where a name ends of which this is the first odd character, and whether JSON escapes nothing in
/// it; `None` where no equals sign is behind it.
#[cold]
fn odd_name_end(bytes: &[u8], odd: usize) -> Option<(usize, bool)> {
    let (mut end, mut plain) = (odd + run(bytes, odd, &NAME), true);
    while let Some(0..=0x1f | b'\\') = bytes.get(end) {
        plain = false;
        end += 1 + run(bytes, end + 1, &NAME);
    }
    (bytes.get(end) == Some(&b'=')).then_some((end, plain))
}

/// A parameter whose value has no quotes.
fn unquoted(bytes: &[u8], name: (usize, usize), plain: bool) -> Option<(Param, usize)> {
    let start = name.1 + 1;
    let len = bytes.get(start..)?.iter().position(|b| matches!(b, b' ' | b']'))?;
    let value = (start, start + len);
    let plain = plain && find(&bytes[..value.1], start, escaped).is_none();
    Some((Param { name, value, plain, quoted: false }, value.1))
}

/// Writes a value; `\"`, `\\` and `\]` lose their backslash, any other backslash stays.
fn push_unescaped(json: &mut Writer<'_>, value: &str) {
    let mut rest = value;
    while let Some(at) = near(b'\\', rest.as_bytes()) {
        let escaped = matches!(rest.as_bytes().get(at + 1), Some(b'"' | b'\\' | b']'));
        json.escaped(&rest[..at]);
        if escaped {
            json.escaped(&rest[at + 1..at + 2]);
            rest = &rest[at + 2..];
        } else {
            json.put(b"\\\\");
            rest = &rest[at + 1..];
        }
    }
    json.escaped(rest);
}

/// Whether Junos names an interface or a peer so.
#[inline(always)]
fn names_resource(name: &[u8]) -> bool {
    matches!(name.len(), 6 | 9 | 14 | 16)
        && matches!(name, b"ifname" | b"peer-name" | b"interface-name" | b"neighbor-address")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as a value, parameter after parameter.
    fn by_parts(text: &str) -> Option<serde_json::Value> {
        let (bytes, mut at) = (text.as_bytes(), 0);
        let mut elements = serde_json::Map::new();
        while bytes.get(at) == Some(&b'[') {
            let start = at + 1;
            at = id_end(bytes, start)?.0;
            let id = text[start..at].to_owned();
            if id.is_empty() || !matches!(bytes[at], b' ' | b']') {
                return None;
            }
            let mut params = serde_json::Map::new();
            loop {
                let (param, behind) = next(bytes, at)?;
                at = behind;
                let Some(param) = param else { break };
                let mut json = Writer::new(text, 0);
                push_unescaped(&mut json, param.value(text));
                let value =
                    serde_json::from_str(&format!("\"{}\"", json.finish())).expect("a text");
                match params.get_mut(param.name(text)) {
                    None => {
                        params.insert(param.name(text).to_owned(), value);
                    }
                    Some(serde_json::Value::Array(values)) => values.push(value),
                    Some(first) => *first = vec![first.take(), value].into(),
                }
            }
            let mut name = id.clone();
            for number in 2.. {
                if !elements.contains_key(&name) {
                    break;
                }
                name = format!("{id}#{number}");
            }
            elements.insert(name, params.into());
        }
        matches!(bytes.get(at), None | Some(b' ')).then(|| elements.into())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_usual_is_read_alike(parts in proptest::collection::vec(proptest::sample::select(vec![
            "[a", "[F5@12276", "[junos@2636.1", "[x@6876", "[a@1@6876", " k=\"v\"", " k=\"\"", " key=\"a longer value\"",
            " interface-name=\"ge-0/0/1 x\"", " ifname=\"a\\\\b\"", " peer-name=\"\"", " q=\"a\\\"b\\]\"", " u=v", " n!=\"1\"",
            " level=\"x\"", " t=\"true\"", " \u{fc}=\"\u{fc}\"", " c=\"\u{1}\"", " a_name_of_more_than_thirty_two_letters=\"v\"",
            " l=\"a value of more than thirty-two letters\"", " k[=\"v\"", " =\"v\"", " ", "]", "]", "\"", "=", "x", "] text",
        ]), 0..14)) {
            let text = parts.concat();
            let got = read(&text);
            let json = got.as_ref().map(|got| serde_json::from_str(&got.json).expect("JSON"));
            proptest::prop_assert_eq!(json, by_parts(&text), "{}", text);
            if let Some(got) = got && let Some(flat) = got.flat() {
                let fields = |flat| {
                    let (id, at) = (mutt_model::Id([0; 16]), mutt_model::Timestamp(0));
                    let mut event = mutt_model::Event::from_raw(id, at, mutt_model::Source::Syslog, "", "", b"");
                    let data = &text[..text.len() - got.rest.len()];
                    crate::syslog::fields::of_structured_data(&mut event, data, got.dialect, "", flat);
                    event.fields.map(std::borrow::Cow::into_owned)
                };
                proptest::prop_assert_eq!(fields(Some(flat)), fields(None), "{}", text);
            }
        }
    }

    #[test]
    fn many_parameters_keep_their_order() {
        let params: Vec<String> = (0..70).map(|n| format!(" k{n}=\"{n}\"")).collect();
        let got = read(&format!("[a{}]", params.concat())).expect("structured data").json;
        let wanted: Vec<String> = (0..70).map(|n| format!("\"k{n}\":\"{n}\"")).collect();
        assert_eq!(got, format!("{{\"a\":{{{}}}}}", wanted.join(",")));
    }

    #[test]
    fn structured_data_becomes_json() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let got = read(text);
            assert_eq!(got.as_ref().map(|s| (s.json.as_str(), s.rest)), expected, "{text}");
            if let Some(got) = got {
                serde_json::from_str::<serde_json::Value>(&got.json).expect("valid JSON");
            }
        };
        check("[a@1 k=\"v\"] m", Some((r#"{"a@1":{"k":"v"}}"#, " m")));
        check("[a@1][b k=\"v\"]", Some((r#"{"a@1":{},"b":{"k":"v"}}"#, "")));
        check(r#"[a k="q\"b\\c\]d\n"] m"#, Some((r#"{"a":{"k":"q\"b\\c]d\\n"}}"#, " m")));
        check("[a k=\"]\"]", Some((r#"{"a":{"k":"]"}}"#, "")));
        check("[o ip=\"1\" x=\"y\" ip=\"2\"]", Some((r#"{"o":{"ip":["1","2"],"x":"y"}}"#, "")));
        check("[a k=\"1\"][a k=\"2\"]", Some((r#"{"a":{"k":"1"},"a#2":{"k":"2"}}"#, "")));
        check(
            "[Originator@6876 sub=vpxa op=1]",
            Some((r#"{"Originator@6876":{"sub":"vpxa","op":"1"}}"#, "")),
        );
        check(&"[a]".repeat(3), Some((r##"{"a":{},"a#2":{},"a#3":{}}"##, "")));
        check("[not structured] text", None);
        check("[a k=\"v\"", None);
        check("[a k=\"v", None);
        check("[a k=\"\\", None);
        check("[a]text", None);
        check("[]", None);
        check("[", None);
    }
}
