//! The tag of RFC 3164: `rpd[1234]: `, `su: `, `/kernel: `.

use crate::octets::{self, find, no_digit};
use crate::text::{kind, table};

/// A tag and the text behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) app: &'a str,
    pub(crate) procid: Option<&'a str>,
    pub(crate) rest: &'a str,
}

const MAX_TAG: usize = 64;
/// What a name may be made of.
const TAG: u16 = kind::LETTER
    | kind::HIGH
    | kind::DIGIT
    | kind::DOT
    | kind::UNDERSCORE
    | kind::HYPHEN
    | kind::SLASH
    | kind::AT
    | kind::MARK
    | kind::ROUND;

/// Reads a tag at the front: a name, perhaps a process id in brackets, a colon. Without the colon
/// (RFC 3164's own `10.0.0.99 Use the BFG!`) the first word is a word of the message, not a tag; only
/// a process id in brackets stands for it.
pub(crate) fn read(text: &str) -> Option<Tag<'_>> {
    // The wireless controllers of Cisco put a star before the task's name.
    let text = text.strip_prefix('*').unwrap_or(text);
    let bytes = text.as_bytes();
    let end = name_end(&bytes[..bytes.len().min(MAX_TAG)])?;
    let app = &text[..end];
    match bytes.get(end)? {
        b':' => {
            let rest = &text[end + 1..];
            let ends = rest.is_empty() || rest.starts_with([' ', '\t']);
            ends.then_some(Tag { app, procid: None, rest })
        }
        b'[' => {
            let inside = &text[end + 1..];
            let front = &inside.as_bytes()[..inside.len().min(MAX_TAG)];
            let digits = find(front, 0, no_digit).map_or(front.len(), |at| at.min(front.len()));
            let close = match inside.as_bytes().get(digits) {
                Some(b']') if digits < MAX_TAG => digits,
                _ => inside.bytes().take(MAX_TAG).position(|b| matches!(b, b']' | b' '))?,
            };
            if inside.as_bytes()[close] != b']' {
                return None;
            }
            let rest = &inside[close + 1..];
            let rest = match rest.strip_prefix(':') {
                Some(rest) => rest,
                None if rest.is_empty() || rest.starts_with(' ') => rest,
                None => return None,
            };
            Some(Tag { app, procid: Some(&inside[..close]).filter(|id| !id.is_empty()), rest })
        }
        _ => None,
    }
}

/// Where the name ends that stands at the front; `None` where there is none, or no end.
#[inline]
fn name_end(front: &[u8]) -> Option<usize> {
    static TABLE: [bool; 256] = table(TAG);
    let end = octets::run(front, 0, &TABLE);
    let named = front.first()?.is_ascii_alphabetic()
        || front[..end].iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    (named && end < MAX_TAG).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        let check = |text: &str, expected: Option<(&str, Option<&str>, &str)>| {
            assert_eq!(read(text).map(|t| (t.app, t.procid, t.rest)), expected, "{text}");
        };
        check("su: 'su root'", Some(("su", None, " 'su root'")));
        check("rpd[12]: text", Some(("rpd", Some("12"), " text")));
        check("rpd[12] text", Some(("rpd", Some("12"), " text")));
        check("/kernel: text", Some(("/kernel", None, " text")));
        check("sshd(pam_unix)[3]:x", Some(("sshd(pam_unix)", Some("3"), "x")));
        check("*spamApTask1: %X", Some(("spamApTask1", None, " %X")));
        check("app:", Some(("app", None, "")));
        check("Use the BFG!", None);
        check("http://x", None);
        check("12: x", None);
        check("%LINK-3-UPDOWN: x", None);
        check("a[b c]: x", None);
        check("", None);
        check(":", None);
        check(&"x".repeat(200), None);
        check(&"\u{fffd}".repeat(30), None);
    }
}
