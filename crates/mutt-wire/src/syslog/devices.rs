//! Devices that are known by the shape of their message: which reader a message belongs to.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::{fields as body, format, hpe, netscreen, nokia, stamp, ubiquiti, vmware};
use crate::octets::{escaped, find, no_digit, no_name};
use crate::text::{Words, near, words};
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
        b'a'..=b'z' => by_first_word(message).and_then(|read| read(event, message)),
        _ => None,
    };
    by_shape.or_else(|| by_process(event, message))
}

/// Reads a message into its event; `None`, and nothing done, where it is not the device's after all.
pub(crate) type Reader = for<'a> fn(&mut Event<'a>, &'a str) -> Option<&'static str>;

/// The reader that `read` comes to for a message that begins as those of one device alone do, where
/// no reader of fields finds anything in it.
#[inline]
pub(crate) fn shaped(message: &str) -> Option<Reader> {
    let bytes = message.as_bytes();
    let reader: Reader = match bytes.first()? {
        b'0'..=b'9' if is_numbered(bytes) => nokia::sros,
        b'E' if message.starts_with("Event|") => hpe::aoscx,
        b'a'..=b'z' => by_first_word(message)?,
        _ => return None,
    };
    (!body::may_be_marked(message)).then_some(reader)
}

/// The only reader that may know a message that begins with a small letter.
#[inline]
fn by_first_word(message: &str) -> Option<Reader> {
    let bytes = message.as_bytes();
    let end = find(bytes, 0, no_name)?;
    match bytes.get(end)? {
        b'|' => Some(nokia::srlinux),
        b' ' if vmware::is_level(&message[..end]) => Some(vmware::levelled),
        _ => None,
    }
}

/// True for a number and a word behind it, as SR OS begins: no stamp, no sequence number of Cisco's.
pub(crate) fn is_numbered(bytes: &[u8]) -> bool {
    let end = find(bytes, 0, no_digit).unwrap_or_default();
    end > 0
        && bytes.get(end) == Some(&b' ')
        && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
        && !stamp::begins_with_name(&bytes[end + 1..])
}

/// True for most messages in which `read` finds nothing, where no field reader found a mark either.
#[inline]
pub(crate) fn is_plain(message: &str, app: Option<&str>) -> bool {
    let shaped = match message.as_bytes().first() {
        Some(b'0'..=b'9' | b'E' | b'[' | b'<' | b'N') => true,
        Some(b'a'..=b'z') => by_first_word(message).is_some(),
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

/// The name of a field with all that JSON writes between it and its value: `"name":"`.
pub(crate) struct Name {
    json: [u8; Self::ROOM],
    len: usize,
}

impl Name {
    const ROOM: usize = 16;

    /// A name in which JSON escapes nothing.
    const fn new(name: &str) -> Self {
        let (name, mut json) = (name.as_bytes(), [b'"'; Self::ROOM]);
        let mut at = 0;
        while at < name.len() {
            json[at + 1] = name[at];
            at += 1;
        }
        json[at + 2] = b':';
        Self { json, len: at + 4 }
    }
}

/// The names of a device's fields.
pub(crate) const fn names<const N: usize>(words: [&str; N]) -> [Name; N] {
    let mut names = [const { Name::new("") }; N];
    let mut at = 0;
    while at < N {
        names[at] = Name::new(words[at]);
        at += 1;
    }
    names
}

/// A field map of the names that have a value; `None` when none has. Most values stand in the message.
pub(crate) fn fields<const N: usize>(
    message: &str,
    names: &[Name; N],
    values: [&str; N],
) -> Option<Cow<'static, str>> {
    let size: usize = values.iter().map(|value| value.len() + Name::ROOM + 2).sum();
    let mut json = Writer::new(message, size + 2);
    json.put(b"{");
    for (name, value) in names.iter().zip(values) {
        if value.is_empty() {
            continue;
        }
        json.most_of(&name.json, name.len);
        match find(value.as_bytes(), 0, escaped) {
            None => json.part_and(value.as_bytes(), b"\","),
            Some(_) => {
                json.escaped(value);
                json.put(b"\",");
            }
        }
    }
    // The comma behind the last, or the brace.
    let end = json.len() - 1;
    if end == 0 {
        return None;
    }
    json.truncate(end);
    json.put(b"}");
    Some(Cow::Owned(json.finish()))
}

/// The name that stands behind a word for such a thing, among so many words: it has a digit and is
/// not too long.
pub(crate) fn named_behind<'a, const N: usize>(
    text: &'a str,
    things: &Words<N>,
    (words, longest): (usize, usize),
) -> Option<&'a str> {
    let (mut from, mut is_name) = (0, false);
    for _ in 0..words {
        let rest = text.as_bytes().get(from..)?;
        let end = near(b' ', rest).map_or(text.len(), |len| from + len);
        if is_name {
            let name = text[from..end].trim_end_matches([',', '.', ';', ':']);
            if name.len() <= longest && name.bytes().any(|b| b.is_ascii_digit()) {
                return Some(name);
            }
            is_name = false;
        } else {
            // Most words are seen off by their first letter.
            is_name = things.may_begin(rest.first()) && things.contains(&text[from..end]);
        }
        from = end + 1;
    }
    None
}

/// The text up to `close` and what stands behind it.
#[inline]
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
    fn names_stand_behind_words_for_things() {
        static THINGS: Words<2> = Words::new(["port", "Peer"]);
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(named_behind(text, &THINGS, (6, 4)), expected, "{text}");
        };
        check("port 1/2, is up", Some("1/2"));
        check("a Peer port port1 x", None);
        check("a port is port 7", Some("7"));
        check("port", None);
        check("port ", None);
        check("port  1", None);
        check("a b c d e port 1", None);
        check("a b c d port 1", Some("1"));
        check("port 1/2/3", None);
        check("", None);
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
        static NAMES: [Name; 3] = names(["a", "b", "twelve_bytes"]);
        let check = |values: [&str; 3], expected: Option<&str>| {
            assert_eq!(fields("1", &NAMES, values).as_deref(), expected, "{values:?}");
        };
        check(["1", "", "\""], Some(r#"{"a":"1","twelve_bytes":"\""}"#));
        check(["", "", "1"], Some(r#"{"twelve_bytes":"1"}"#));
        check(["\u{fc}", "2", ""], Some("{\"a\":\"\u{fc}\",\"b\":\"2\"}"));
        check([""; 3], None);
    }
}
