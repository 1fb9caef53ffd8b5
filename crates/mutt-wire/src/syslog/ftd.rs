//! Events of Cisco Secure Firewall Threat Defense (intrusion, connection, file, malware) as a field map:
//! `%FTD-1-430003: EventPriority: Low, SrcIP: 192.0.2.9, URL: http://a/?b, c, User: No Authentication`.

use std::borrow::Cow;

use crate::octets::{escaped, find, is, run};
use crate::text::{kind, push_json_part, table};

const MAX_PAIRS: usize = 128;
const MAX_KEY: usize = 48;

/// True for the numbers whose text is a list of pairs: 430001 to 430005.
pub(crate) fn has_pairs(mnemonic: &str) -> bool {
    let number = mnemonic.strip_prefix("FTD-").and_then(|rest| rest.get(1..));
    number
        .and_then(|n| n.strip_prefix("-43000"))
        .is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5"))
}

/// The pairs of the text behind the mnemonic; `None` when it has none.
pub(crate) fn fields(text: &str) -> Option<Cow<'static, str>> {
    let bytes = text.as_bytes();
    let mut at = bytes.iter().position(|byte| !matches!(byte, b':' | b' '))?;
    let mut key_end = key_at(bytes, at)?;
    let mut json = String::with_capacity(text.len() + text.len() / 2);
    json.push_str("{\"");
    for _ in 0..MAX_PAIRS {
        json.push_str(&text[at..key_end]);
        json.push_str("\":\"");
        let Value { end, plain, next } = value(bytes, key_end + 2);
        let value = &text[key_end + 2..end];
        if plain {
            json.push_str(value);
        } else {
            push_json_part(&mut json, value);
        }
        json.push_str("\",\"");
        let Some((next, next_end)) = next else { break };
        (at, key_end) = (next, next_end);
    }
    json.truncate(json.len() - ",\"".len());
    json.push('}');
    Some(Cow::Owned(json))
}

/// Where the key ends that begins here: a capital, letters and digits, then `: `.
fn key_at(bytes: &[u8], at: usize) -> Option<usize> {
    static KEY: [bool; 256] = table(kind::LETTER | kind::DIGIT | kind::UNDERSCORE);
    if !bytes.get(at)?.is_ascii_uppercase() {
        return None;
    }
    let end = at + run(&bytes[..bytes.len().min(at + MAX_KEY)], at, &KEY);
    (end > at + 1 && bytes[end..].starts_with(b": ")).then_some(end)
}

/// Where a value ends, and where the key behind it begins and ends.
struct Value {
    end: usize,
    /// JSON escapes nothing in it.
    plain: bool,
    next: Option<(usize, usize)>,
}

/// A value ends where a comma and a key follow; it may hold commas of its own.
#[inline]
fn value(bytes: &[u8], from: usize) -> Value {
    let (mut at, mut plain) = (from, true);
    while let Some(found) = find(bytes, at, |word| is(word, b',') | escaped(word)) {
        at = found + 1;
        if bytes.get(found) != Some(&b',') {
            plain = false;
        } else if bytes.get(at) == Some(&b' ')
            && let Some(end) = key_at(bytes, at + 1)
        {
            return Value { end: found, plain, next: Some((at + 1, end)) };
        }
    }
    Value { end: bytes.len(), plain, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(fields(text).as_deref(), expected, "{text}");
        };
        check(
            ": EventPriority: Low, URL: http://a/?b, c, User: No Authentication Required",
            Some(
                r#"{"EventPriority":"Low","URL":"http://a/?b, c","User":"No Authentication Required"}"#,
            ),
        );
        check(
            ": SrcIP: 2001:db8::1, DstPort: 53",
            Some(r#"{"SrcIP":"2001:db8::1","DstPort":"53"}"#),
        );
        check(": a text: with colons", None);
        check("", None);
    }

    #[test]
    fn numbers_with_pairs() {
        let check = |name: &str, expected: bool| assert_eq!(has_pairs(name), expected, "{name}");
        check("FTD-1-430003", true);
        check("FTD-6-430001", true);
        check("FTD-6-430006", false);
        check("FTD-6-302013", false);
        check("ASA-6-430003", false);
        check("FTD-", false);
    }
}
