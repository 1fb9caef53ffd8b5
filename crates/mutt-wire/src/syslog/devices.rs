//! Devices that are known by the shape of their message: which reader a message belongs to.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::{format, hpe, netscreen, nokia, ubiquiti, vmware};
use crate::text::{near, words};
use crate::writer::Writer;

/// Looks at a message in which no mnemonic of Cisco's or Huawei's kind stands. The answer is the
/// format; message, fields and what else the device tells are in the event then.
pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let by_shape = match message.as_bytes().first()? {
        b'0'..=b'9' => f5(event, message).or_else(|| nokia::sros(event, message)),
        b'E' => hpe::aoscx(event, message).or_else(|| vmware::vcenter(event, message)),
        b'[' => {
            vmware::originator(event, message, "").or_else(|| ubiquiti::firewall(event, message))
        }
        b'<' => hpe::arubaos(event, message),
        b'N' => netscreen::read(event, message),
        b'a'..=b'z' => nokia::srlinux(event, message).or_else(|| vmware::levelled(event, message)),
        _ => None,
    };
    by_shape.or_else(|| by_process(event, message))
}

/// True for most messages in which `read` finds nothing, where no field reader found a mark either.
#[inline]
pub(crate) fn is_plain(message: &str, app: Option<&str>) -> bool {
    let shaped = match message.as_bytes().first() {
        Some(b'0'..=b'9' | b'E' | b'[' | b'<' | b'N') => true,
        Some(b'a'..=b'z') => nokia::may_be_srlinux(message) || vmware::may_be_levelled(message),
        _ => false,
    };
    !shaped && !app.is_some_and(|app| app == "named" || vmware::is_process(app))
}

fn by_process<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let app = event.app.as_deref()?;
    if app == "named" {
        return Some(bind(event, message));
    }
    vmware::is_process(app).then(|| vmware::plain(event, message))
}

/// `01010028:5: No members available for pool /Common/web`: a number of eight hexadecimal digits and
/// the level. With RFC 5424 it stands in MSGID.
fn f5<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (number, level) = f5_number(message)?;
    let text = message[11..].trim_start_matches(' ');
    event.mnemonic = Some(Cow::Borrowed(number));
    if event.severity.is_none() {
        event.severity = Severity::new(level);
    }
    if event.resource.is_none() {
        event.resource = f5_resource(text).map(Cow::Borrowed);
    }
    Some(format::F5)
}

/// The number and level in front of a text, each closed by a colon.
pub(crate) fn f5_number(text: &str) -> Option<(&str, u8)> {
    let bytes = text.as_bytes().get(..11)?;
    let level = bytes[9].wrapping_sub(b'0');
    let shaped = bytes[8] == b':' && bytes[10] == b':' && level < 8;
    (shaped && bytes[..8].iter().all(u8::is_ascii_hexdigit)).then(|| (&text[..8], level))
}

/// The pool member, node, pool or virtual server that a message of BIG-IP names.
fn f5_resource(text: &str) -> Option<&str> {
    let mut words = words(text).take(24).peekable();
    let mut found = None;
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or_default();
        let name = next.trim_end_matches([',', '.', ':', ';']);
        if !name.starts_with('/') {
            continue;
        }
        match word {
            "member" | "Member" | "Node" | "node" => return Some(name),
            "Pool" | "pool" | "Virtual" | "virtual" | "Server" => found = found.or(Some(name)),
            _ => {}
        }
    }
    found
}

/// Categories of BIND are words joined by hyphens; its levels are these.
const BIND_LEVELS: [&str; 6] = ["critical", "error", "warning", "notice", "info", "debug"];

/// `queries: info: client ...` is what named writes with `print-category` and `print-severity`, with
/// `print-time` a stamp before it.
fn bind<'a>(event: &mut Event<'a>, message: &'a str) -> &'static str {
    if let Some((category, level, _)) = bind_category(message) {
        event.mnemonic = Some(Cow::Borrowed(category));
        if event.severity.is_none() {
            event.severity = Severity::parse(level);
        }
    }
    format::BIND
}

/// Category, level and text.
pub(crate) fn bind_category(message: &str) -> Option<(&str, &str, &str)> {
    let (category, behind) = message.split_once(": ")?;
    let (level, text) = behind.split_once(": ")?;
    let word = category.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let level = level.split(' ').next().unwrap_or_default();
    (word && !category.is_empty() && BIND_LEVELS.contains(&level))
        .then_some((category, level, text))
}

/// A field map of the pairs that have a value, with names in which JSON escapes nothing; `None` when
/// none has. Most values stand in the message.
pub(crate) fn fields(message: &str, pairs: &[(&str, &str)]) -> Option<Cow<'static, str>> {
    let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let mut json = Writer::new(message, size + 2);
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        json.put(if json.len() == 0 { b"{\"" } else { b",\"" });
        json.part_and(name.as_bytes(), b"\":\"");
        json.escaped(value);
        json.put(b"\"");
    }
    if json.len() == 0 {
        return None;
    }
    json.put(b"}");
    Some(Cow::Owned(json.finish()))
}

/// The text up to `close` and what stands behind it.
pub(crate) fn until(text: &str, close: u8) -> Option<(&str, &str)> {
    let at = near(close, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_big_ip_are_named() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(f5_resource(text), expected, "{text}");
        };
        check("Pool /Common/web member /Common/n1:80 monitor status down.", Some("/Common/n1:80"));
        check("No members available for pool /Common/web", Some("/Common/web"));
        check("Node /Common/n1 address 192.0.2.1 monitor status down.", Some("/Common/n1"));
        check("Virtual /Common/vs1 has become available", Some("/Common/vs1"));
        check("per-invocation log rate exceeded; throttling.", None);
    }

    #[test]
    fn numbers_of_big_ip_are_read() {
        let check = |text: &str, expected: Option<(&str, u8)>| {
            assert_eq!(f5_number(text), expected, "{text}");
        };
        check("01010028:5: No members", Some(("01010028", 5)));
        check("011ae0f2:4: x", Some(("011ae0f2", 4)));
        check("01010028:9: x", None);
        check("01010028: x", None);
        check("0101002ü:5: x", None);
        check("", None);
    }

    #[test]
    fn fields_are_json() {
        assert_eq!(
            fields("1", &[("a", "1"), ("b", ""), ("c", "\"")]).as_deref(),
            Some(r#"{"a":"1","c":"\""}"#)
        );
        assert_eq!(fields("", &[("a", "")]), None);
    }
}
