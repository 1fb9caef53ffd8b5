//! Structured data of RFC 5424 as JSON text: `{"id":{"name":"value"}}`.

use super::{format, notes};
use crate::text::{near, push_json_part, push_json_str};

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
    let mut params = [Param::default(); MAX_COMPARED];
    let mut count = 0;
    let mut rest = &inside[id_len..];
    let mut wrote = false;
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(behind) = rest.strip_prefix(']') {
            rest = behind;
            break;
        }
        let (param, behind, quoted) = param(rest)?;
        rest = behind;
        if !quoted {
            out.note = Some(notes::UNQUOTED);
        }
        if junos && out.resource.is_none() {
            out.resource = junos_resource(param);
        }
        if count == MAX_COMPARED {
            push_params(&mut out.json, &params, &mut wrote);
            count = 0;
        }
        params[count] = param;
        count += 1;
    }
    push_params(&mut out.json, &params[..count], &mut wrote);
    out.json.push('}');
    out.rest = rest;
    Some(())
}

/// Hands out names and values, as written, of every element of structured data that was read.
pub(crate) fn each_param<'a>(data: &'a str, mut take: impl FnMut(&'a str, &'a str)) {
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
            let Some((found, behind, _)) = param(rest) else { return };
            take(found.name, found.value);
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

/// `name="value"`, or `name=value` as VMware writes it.
fn param(text: &str) -> Option<(Param<'_>, &str, bool)> {
    let name_len = text.bytes().position(|b| matches!(b, b'=' | b' ' | b']' | b'"' | b'['))?;
    if name_len == 0 || text.as_bytes()[name_len] != b'=' {
        return None;
    }
    let (name, value) = (&text[..name_len], &text[name_len + 1..]);
    let Some(inside) = value.strip_prefix('"') else {
        let len = value.bytes().position(|b| matches!(b, b' ' | b']'))?;
        return Some((Param { name, value: &value[..len] }, &value[len..], false));
    };
    let end = closing_quote(inside)?;
    let behind = &inside[end + 1..];
    // An unescaped quote inside a value would stand before anything but these.
    if !behind.starts_with([' ', ']']) {
        return None;
    }
    Some((Param { name, value: &inside[..end] }, behind, true))
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn push_params(json: &mut String, params: &[Param<'_>], wrote: &mut bool) {
    for (at, param) in params.iter().enumerate() {
        if params[..at].iter().any(|p| p.name == param.name) {
            continue;
        }
        push_name(json, param.name, wrote);
        let mut same = params[at + 1..].iter().filter(|p| p.name == param.name).peekable();
        if same.peek().is_none() {
            push_value(json, param.value);
            continue;
        }
        json.push('[');
        push_value(json, param.value);
        for other in same {
            json.push(',');
            push_value(json, other.value);
        }
        json.push(']');
    }
}

fn push_name(json: &mut String, name: &str, wrote: &mut bool) {
    json.push_str(if std::mem::replace(wrote, true) { ",\"" } else { "\"" });
    push_json_part(json, name);
    json.push_str("\":");
}

/// Writes a value; `\"`, `\\` and `\]` lose their backslash, any other backslash stays.
fn push_value(json: &mut String, value: &str) {
    json.push('"');
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
    json.push('"');
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
