//! The pairs of a NetScaler's message: `Source 192.0.2.1:47990 - Destination 198.51.100.2:80 -
//! Total_bytes_send 1`.

use std::borrow::Cow;

use super::map::{MAX_FIELDS, Map, Value};
use super::pairs::is_key;

/// Names of one word without an underscore.
const NAMES: [&str; 16] = [
    "Browser_type",
    "Command",
    "Context",
    "Customername",
    "Destination",
    "Duration",
    "Event",
    "LogoutMethod",
    "Memory",
    "NatIP",
    "SessionId",
    "Sessionid",
    "Source",
    "Status",
    "User",
    "Vserver",
];

/// Adds the pairs of the text behind the event's name.
pub(crate) fn push<'a>(text: &'a str, map: &mut Map<'a>) {
    let mut rest = text;
    for _ in 0..=MAX_FIELDS {
        rest = rest.trim_start_matches([' ', '-']);
        if rest.is_empty() {
            return;
        }
        let end = dash(rest);
        if let Some((name, value)) = pair(&rest[..end]) {
            let number = name.starts_with("Total_");
            map.push(name, Value::typed(Cow::Borrowed(value), number));
        }
        rest = &rest[end..];
    }
}

/// Where the next ` - ` outside of quotes stands.
fn dash(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut inside) = (0, false);
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'-', rest)) {
        at += found;
        if bytes[at] == b'"' {
            inside = !inside;
        } else if !inside
            && bytes.get(at + 1) == Some(&b' ')
            && at.checked_sub(1).is_some_and(|before| bytes[before] == b' ')
        {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// `Start Time 08/06/2026:09:59:15 GMT`, `Client_ip 192.0.2.121`; free text is none.
fn pair(part: &str) -> Option<(&str, &str)> {
    let part = part.trim_matches(' ');
    let (first, behind) = part.split_once(' ')?;
    let (name, value) = match behind.split_once(' ') {
        Some(("Time" | "time", value)) => (&part[..first.len() + 5], value),
        _ => (first.trim_end_matches(':'), behind),
    };
    let known = name.len() > first.len() || name.contains('_') || NAMES.contains(&name);
    let value = value.trim_matches(' ');
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    (known && name.split(' ').all(is_key)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stand_between_dashes() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let mut map = Map::with_capacity(text, 8);
            push(text, &mut map);
            let seen: Vec<(String, String)> = map
                .keys()
                .map(|key| (key.to_owned(), map.get(key).unwrap_or_default().to_owned()))
                .collect();
            let seen: Vec<_> = seen.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(seen, expected, "{text}");
        };
        check(
            "Source 192.0.2.1:47990 - Start Time 08/06/2026:09:59:15 GMT - Total_bytes_recv 1",
            &[
                ("Source", "192.0.2.1:47990"),
                ("Start Time", "08/06/2026:09:59:15 GMT"),
                ("Total_bytes_recv", "1"),
            ],
        );
        check(
            "User nsroot - Command \"add - x\" - Status \"Success\"",
            &[("User", "nsroot"), ("Command", "add - x"), ("Status", "Success")],
        );
        check("System stopped - Memory 1585RMB", &[("Memory", "1585RMB")]);
        check(" - - ", &[]);
    }
}
