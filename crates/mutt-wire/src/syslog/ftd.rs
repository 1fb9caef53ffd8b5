//! Events of Cisco Secure Firewall Threat Defense (intrusion, connection, file, malware) as a field map:
//! `%FTD-1-430003: EventPriority: Low, SrcIP: 192.0.2.9, URL: http://a/?b, c, User: No Authentication`.

use std::borrow::Cow;

use crate::text::push_json_str;

const MAX_PAIRS: usize = 128;

/// True for the numbers whose text is a list of pairs: 430001 to 430005.
pub(crate) fn has_pairs(mnemonic: &str) -> bool {
    let number = mnemonic.strip_prefix("FTD-").and_then(|rest| rest.get(1..));
    number
        .and_then(|n| n.strip_prefix("-43000"))
        .is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5"))
}

/// The pairs of the text behind the mnemonic; `None` when it has none.
pub(crate) fn fields(text: &str) -> Option<Cow<'static, str>> {
    let mut rest = text.trim_start_matches([':', ' ']);
    let mut json = String::with_capacity(text.len() + text.len() / 2);
    let mut count = 0;
    while let Some(key) = key_at(rest).filter(|_| count < MAX_PAIRS) {
        let behind = &rest[key.len() + 2..];
        let end = value_end(behind);
        json.push(if json.is_empty() { '{' } else { ',' });
        push_json_str(&mut json, key);
        json.push(':');
        push_json_str(&mut json, &behind[..end]);
        rest = behind[end..].trim_start_matches([',', ' ']);
        count += 1;
    }
    if count == 0 {
        return None;
    }
    json.push('}');
    Some(Cow::Owned(json))
}

/// A key at the front: letters and digits, then `: `.
fn key_at(text: &str) -> Option<&str> {
    let len = text.bytes().take(48).take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let key = text.starts_with(|c: char| c.is_ascii_uppercase());
    (key && len > 1 && text[len..].starts_with(": ")).then(|| &text[..len])
}

/// A value ends where a comma and a key follow; it may hold commas of its own.
fn value_end(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text.as_bytes()[from..], b", ") {
        if key_at(&text[from + at + 2..]).is_some() {
            return from + at;
        }
        from += at + 2;
    }
    text.len()
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
