//! Structured data of RFC 5424 as JSON text: `{"id":{"name":"value"}}`.

use std::ops::Range;

use super::{format, notes};
use crate::octets::{escaped, find, hash, no_name, run, same};
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
        let end = id_end(bytes, start)?;
        if end == start || !matches!(bytes[end], b' ' | b']') {
            return None;
        }
        let id = &self.text[start..end];
        let junos = id.starts_with("junos@");
        if let Some(dialect) = dialect(id) {
            self.dialect = dialect;
        }
        self.push_id(id);
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
    #[inline(always)]
    fn next(&mut self, junos: bool) -> Option<Option<Param>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Some(None);
        }
        let (param, behind) = param(bytes, self.at)?;
        self.at = behind;
        if !param.quoted {
            self.note = Some(notes::UNQUOTED);
        }
        if junos && self.resource.is_none() {
            self.resource = junos_resource(param.name(self.text), param.value(self.text));
        }
        Some(Some(param))
    }

    /// Writes parameters as they come, up to the bracket behind them; false when a name comes again.
    fn distinct(&mut self, junos: bool) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let mut flat = self.elements == 1 && matches!(self.dialect, format::F5 | format::VMWARE);
        let (mut names, mut count) = ([(0, 0); MAX_COMPARED], 0);
        // One bit for each kind of name seen, so that most names need no comparison.
        let mut seen = [0u64; 4];
        let start = self.json.len();
        self.json.put(b"\"");
        while let Some(param) = self.next(junos)? {
            if count == MAX_COMPARED {
                (count, seen, flat) = (0, [0; 4], false);
            }
            let name = param.key(self.text);
            let hash = hash(name);
            let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
            if seen[word] & bit != 0
                && names[..count].iter().any(|&(from, len): &(u32, u32)| {
                    same(&bytes[from as usize..][..len as usize], name)
                })
            {
                return Some(false);
            }
            seen[word] |= bit;
            names[count] = (param.name.0 as u32, name.len() as u32);
            count += 1;
            if param.plain {
                let value = &bytes[param.value.0..param.value.1];
                // Of these fields there is more to say.
                flat = flat
                    && !matches!(value, b"" | b"true" | b"false")
                    && !matches!(name, b"level" | b"errorCode");
                self.json.part_and(name, b"\":\"");
                self.json.part_and(value, b"\",\"");
            } else {
                flat = false;
                self.json.escaped(param.name(self.text));
                self.json.put(b"\":\"");
                push_unescaped(&mut self.json, param.value(self.text));
                self.json.put(b"\",\"");
            }
        }
        // The quote of a next name and the comma before it.
        let end = self.json.len();
        self.json.truncate(if end == start + 1 { start } else { end - 2 });
        let written = start..self.json.len();
        self.flat = Some(written).filter(|written| flat && (1..FLAT_MAX).contains(&written.len()));
        Some(true)
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

    /// Writes `"id":{`, the id made unique.
    fn push_id(&mut self, id: &str) {
        let json = &mut self.json;
        if json.len() > 1 {
            json.put(b",");
        }
        let start = json.len();
        json.put(b"\"");
        match find(id.as_bytes(), 0, escaped) {
            None => json.part(id.as_bytes()),
            Some(_) => json.escaped(id),
        }
        json.put(b"\":{");
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

/// Where the id ends that begins at `from`.
fn id_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut end = from;
    loop {
        end = find(bytes, end, no_name)?;
        match bytes.get(end)? {
            b' ' | b']' | b'=' | b'"' | b'[' => return Some(end),
            _ => end += 1,
        }
    }
}

/// Hands out names and values, as written, of every element of structured data that was read, and
/// whether JSON escapes nothing in them.
pub(crate) fn each_param<'a>(data: &'a str, mut take: impl FnMut(&'a str, &'a str, bool)) {
    let (bytes, mut at) = (data.as_bytes(), 0);
    while bytes.get(at) == Some(&b'[') {
        let Some(end) = id_end(bytes, at + 1) else { return };
        at = end;
        loop {
            while bytes.get(at) == Some(&b' ') {
                at += 1;
            }
            if bytes.get(at) == Some(&b']') {
                at += 1;
                break;
            }
            let Some((param, behind)) = param(bytes, at) else { return };
            take(param.name(data), param.value(data), param.plain);
            at = behind;
        }
    }
}

/// Vendors by their enterprise numbers.
fn dialect(id: &str) -> Option<&'static str> {
    let at = near(b'@', id.as_bytes())?;
    match (&id[..at], &id[at + 1..]) {
        ("junos", _) => Some(format::JUNIPER),
        ("F5", "12276") => Some(format::F5),
        (_, "6876") => Some(format::VMWARE),
        (_, "2620") => Some(format::CHECKPOINT),
        _ => None,
    }
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

/// `name="value"`, or `name=value` as VMware writes it, at this place; and the place behind it.
#[inline(always)]
fn param(bytes: &[u8], from: usize) -> Option<(Param, usize)> {
    let mut end = find(bytes, from, no_name)?;
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

/// The interface or peer of a Junos element, without a remark behind it.
fn junos_resource<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    let known = matches!(name, "interface-name" | "peer-name" | "neighbor-address" | "ifname");
    if !known || value.contains('\\') {
        return None;
    }
    value.split(' ').next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

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
