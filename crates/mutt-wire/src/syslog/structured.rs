//! Structured data of RFC 5424 as JSON text: `{"id":{"name":"value"}}`.

use super::{format, notes};
use crate::octets::{escaped, find, hash, run, same};
use crate::text::{behind_spaces, near, push_json_part, push_json_str};

/// What was read.
pub(crate) struct Structured<'a> {
    pub(crate) json: String,
    pub(crate) rest: &'a str,
    pub(crate) note: Option<&'static str>,
    /// Whose elements they are: `junos@2636...`, `F5@12276`, `Originator@6876`.
    pub(crate) dialect: &'static str,
    /// The interface or peer that Junos names.
    pub(crate) resource: Option<&'a str>,
    elements: usize,
}

/// So many parameters at a time, and so many elements, are compared for repeated names: a bound on
/// the work that a hostile frame can ask for.
const MAX_COMPARED: usize = 32;
const MAX_UNIQUE_ELEMENTS: usize = 16;

#[derive(Clone, Copy, Default)]
struct Param<'a> {
    name: &'a str,
    /// As written, escapes and all.
    value: &'a str,
    /// There are none, and JSON escapes nothing in name and value.
    plain: bool,
    quoted: bool,
}

/// Reads all elements at the front of `text`; `None` when it is no structured data. A parameter that
/// stands several times (RFC 5424 section 6.3.3 allows it) becomes an array; an element whose id is
/// already there gets `#2`, `#3` behind it.
pub(crate) fn read(text: &str) -> Option<Structured<'_>> {
    let mut out = Structured {
        json: String::with_capacity(80.min(text.len()) + text.len() / 2),
        rest: text,
        note: None,
        dialect: format::RFC5424,
        resource: None,
        elements: 0,
    };
    out.json.push('{');
    while out.rest.starts_with('[') {
        element(&mut out)?;
    }
    out.json.push('}');
    matches!(out.rest.as_bytes().first(), None | Some(b' ')).then_some(out)
}

impl<'a> Structured<'a> {
    fn take_note(&mut self, param: Param<'a>, junos: bool) {
        if !param.quoted {
            self.note = Some(notes::UNQUOTED);
        }
        if junos && self.resource.is_none() {
            self.resource = junos_resource(param);
        }
    }
}

fn element(out: &mut Structured<'_>) -> Option<()> {
    let inside = &out.rest[1..];
    let id_len = inside.bytes().position(|b| matches!(b, b' ' | b']' | b'=' | b'"' | b'['))?;
    let id = &inside[..id_len];
    if id.is_empty() || !matches!(inside.as_bytes()[id_len], b' ' | b']') {
        return None;
    }
    let junos = id.starts_with("junos@");
    if let Some(dialect) = dialect(id) {
        out.dialect = dialect;
    }
    push_id(out, id);
    let (start, params) = (out.json.len(), &inside[id_len..]);
    out.rest = match distinct(out, params, junos)? {
        Some(rest) => rest,
        None => {
            out.json.truncate(start);
            repeated(out, params, junos)?
        }
    };
    out.json.push('}');
    Some(())
}

/// Writes parameters as they come, up to the bracket behind them; the rest is `None` when a name comes
/// again.
fn distinct<'a>(out: &mut Structured<'a>, text: &'a str, junos: bool) -> Option<Option<&'a str>> {
    let (mut names, mut count) = ([""; MAX_COMPARED], 0);
    // One bit for each kind of name seen, so that most names need no comparison.
    let mut seen = [0u64; 4];
    let (mut rest, mut wrote) = (text, false);
    loop {
        rest = behind_spaces(rest);
        if let Some(behind) = rest.strip_prefix(']') {
            return Some(Some(behind));
        }
        let (param, behind) = param(rest)?;
        rest = behind;
        out.take_note(param, junos);
        if count == MAX_COMPARED {
            (count, seen) = (0, [0; 4]);
        }
        let hash = hash(param.name.as_bytes());
        let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
        if seen[word] & bit != 0
            && names[..count].iter().any(|name| same(name.as_bytes(), param.name.as_bytes()))
        {
            return Some(None);
        }
        seen[word] |= bit;
        names[count] = param.name;
        count += 1;
        push_name(&mut out.json, param, &mut wrote);
        push_value(&mut out.json, param);
    }
}

/// The same where names come again: their values become lists.
fn repeated<'a>(out: &mut Structured<'a>, text: &'a str, junos: bool) -> Option<&'a str> {
    let mut params = [Param::default(); MAX_COMPARED];
    let mut count = 0;
    let (mut rest, mut wrote) = (text, false);
    loop {
        rest = behind_spaces(rest);
        if let Some(behind) = rest.strip_prefix(']') {
            push_params(&mut out.json, &params[..count], &mut wrote);
            return Some(behind);
        }
        let (param, behind) = param(rest)?;
        rest = behind;
        out.take_note(param, junos);
        if count == MAX_COMPARED {
            push_params(&mut out.json, &params, &mut wrote);
            count = 0;
        }
        params[count] = param;
        count += 1;
    }
}

/// Hands out names and values, as written, of every element of structured data that was read, and
/// whether JSON escapes nothing in them.
pub(crate) fn each_param<'a>(data: &'a str, mut take: impl FnMut(&'a str, &'a str, bool)) {
    let mut rest = data;
    while let Some(inside) = rest.strip_prefix('[') {
        let id = inside.bytes().position(|b| matches!(b, b' ' | b']')).unwrap_or(inside.len());
        rest = &inside[id..];
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(behind) = rest.strip_prefix(']') {
                rest = behind;
                break;
            }
            let Some((found, behind)) = param(rest) else { return };
            take(found.name, found.value, found.plain);
            rest = behind;
        }
    }
}

/// Vendors by their enterprise numbers.
fn dialect(id: &str) -> Option<&'static str> {
    let (name, number) = id.split_once('@')?;
    match (name, number) {
        ("junos", _) => Some(format::JUNIPER),
        ("F5", "12276") => Some(format::F5),
        (_, "6876") => Some(format::VMWARE),
        (_, "2620") => Some(format::CHECKPOINT),
        _ => None,
    }
}

/// Writes `"id":{`, the id made unique.
fn push_id(out: &mut Structured<'_>, id: &str) {
    let json = &mut out.json;
    if json.len() > 1 {
        json.push(',');
    }
    let start = json.len();
    push_json_str(json, id);
    json.push_str(":{");
    let taken = |json: &str, start: usize| {
        let (before, key) = json.split_at(start);
        memchr::memmem::find(before.as_bytes(), key.as_bytes()).is_some()
    };
    out.elements += 1;
    let compare = out.elements <= MAX_UNIQUE_ELEMENTS;
    let mut number = 2;
    while compare && start > 1 && taken(json, start) {
        out.note = Some(notes::REPEATED_ID);
        json.truncate(start + 1);
        push_json_part(json, id);
        json.push_str(&format!("#{number}\":{{"));
        number += 1;
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

/// `name="value"`, or `name=value` as VMware writes it.
#[inline(always)]
fn param(text: &str) -> Option<(Param<'_>, &str)> {
    let bytes = text.as_bytes();
    let mut end = run(bytes, 0, &NAME);
    let mut plain = true;
    while let Some(0..=0x1f | b'\\') = bytes.get(end) {
        plain = false;
        end += 1 + run(bytes, end + 1, &NAME);
    }
    if end == 0 || bytes.get(end) != Some(&b'=') {
        return None;
    }
    let (name, start) = (&text[..end], end + 1);
    if bytes.get(start) != Some(&b'"') {
        let value = &text[start..];
        let len = value.bytes().position(|b| matches!(b, b' ' | b']'))?;
        let value = &value[..len];
        plain &= find(value.as_bytes(), 0, escaped).is_none();
        return Some((Param { name, value, plain, quoted: false }, &text[start + len..]));
    }
    let mut at = start + 1;
    let end = loop {
        let found = find(bytes, at, escaped)?;
        if bytes[found] == b'"' {
            break found;
        }
        plain = false;
        at = found + if bytes[found] == b'\\' { 2 } else { 1 };
    };
    // An unescaped quote inside a value would stand before anything but these.
    if !matches!(bytes.get(end + 1), Some(b' ' | b']')) {
        return None;
    }
    let value = &text[start + 1..end];
    Some((Param { name, value, plain, quoted: true }, &text[end + 1..]))
}

fn push_params(json: &mut String, params: &[Param<'_>], wrote: &mut bool) {
    for (at, param) in params.iter().enumerate() {
        if params[..at].iter().any(|p| p.name == param.name) {
            continue;
        }
        push_name(json, *param, wrote);
        let mut same = params[at + 1..].iter().filter(|p| p.name == param.name).peekable();
        if same.peek().is_none() {
            push_value(json, *param);
            continue;
        }
        json.push('[');
        push_value(json, *param);
        for other in same {
            json.push(',');
            push_value(json, *other);
        }
        json.push(']');
    }
}

#[inline(always)]
fn push_name(json: &mut String, param: Param<'_>, wrote: &mut bool) {
    json.push_str(if std::mem::replace(wrote, true) { ",\"" } else { "\"" });
    if param.plain {
        json.push_str(param.name);
    } else {
        push_json_part(json, param.name);
    }
    json.push_str("\":");
}

#[inline(always)]
fn push_value(json: &mut String, param: Param<'_>) {
    json.push('"');
    if param.plain {
        json.push_str(param.value);
    } else {
        push_unescaped(json, param.value);
    }
    json.push('"');
}

/// Writes a value; `\"`, `\\` and `\]` lose their backslash, any other backslash stays.
fn push_unescaped(json: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = near(b'\\', rest.as_bytes()) {
        let escaped = matches!(rest.as_bytes().get(at + 1), Some(b'"' | b'\\' | b']'));
        push_json_part(json, &rest[..at]);
        if escaped {
            push_json_part(json, &rest[at + 1..at + 2]);
            rest = &rest[at + 2..];
        } else {
            json.push_str("\\\\");
            rest = &rest[at + 1..];
        }
    }
    push_json_part(json, rest);
}

/// The interface or peer of a Junos element, without a remark behind it.
fn junos_resource<'a>(param: Param<'a>) -> Option<&'a str> {
    let known =
        matches!(param.name, "interface-name" | "peer-name" | "neighbor-address" | "ifname");
    if !known || param.value.contains('\\') {
        return None;
    }
    param.value.split(' ').next().filter(|value| !value.is_empty())
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
