//! Header and tag as nearly every sender writes them, read in one go: what the reader of the parts makes
//! of them. Whatever is odd is left to it.

use super::{
    HOST, Header, NAME, behind_level, devices, fields, may_hold_header, netscaler, stamp, tag,
    tag_is_mnemonic, ubiquiti,
};
use crate::syslog::stamp::Stamp;
use crate::syslog::tag::Tag;
use crate::syslog::zone::Sync;
use crate::text::{behind_spaces, kind, near, run};

/// What stands behind a header: tag and message, when nothing odd is between.
pub(in crate::syslog) struct Usual<'a> {
    pub(in crate::syslog) app: Option<&'a str>,
    pub(in crate::syslog) procid: Option<&'a str>,
    pub(in crate::syslog) message: &'a str,
    /// A level stood before the tag.
    pub(in crate::syslog) levelled: bool,
}

impl<'a> Usual<'a> {
    /// A message without a tag.
    pub(in crate::syslog) fn of(message: &'a str) -> Self {
        Self { app: None, procid: None, message, levelled: false }
    }

    /// Reads header and tag as nearly every sender writes them: what `read_parts` makes of them. Whatever
    /// is odd is left to it.
    #[inline]
    pub(in crate::syslog) fn read(text: &'a str, header: &mut Header<'a>) -> Option<Self> {
        let rest = match text.as_bytes().first()? {
            b'A'..=b'Z' => header.read_stamp_and_host(text)?,
            b'0'..=b'9' | b':' | b'*' | b'.' if !fields::begins(text) => {
                behind_spaces(header.read(text)?)
            }
            _ => return None,
        };
        match rest.as_bytes().first()? {
            b'%' => Self::untagged(rest, header),
            b'A'..=b'Z' | b'a'..=b'z' | b'/' => Self::tagged(rest, header),
            _ => None,
        }
    }

    /// A mnemonic stands where others have a tag.
    fn untagged(message: &'a str, header: &Header<'a>) -> Option<Self> {
        let passed_on = header.host.is_none() && netscaler::behind_word(message).is_some();
        if passed_on || (!header.cisco && ubiquiti::device(message).is_some()) {
            return None;
        }
        Some(Self { app: header.app, ..Self::of(message) })
    }

    fn tagged(text: &'a str, header: &mut Header<'a>) -> Option<Self> {
        if header.host.is_none() || header.app.is_some() || fields::begins(text) {
            return None;
        }
        let (usual, plain) = Self::tag(text)?;
        let follows = !plain && may_hold_header(text) && header.read(text).is_some();
        (!follows).then_some(usual)
    }

    /// The tag at the front; true when it is so plain that no header can be looked for in it.
    #[inline]
    fn tag(text: &'a str) -> Option<(Self, bool)> {
        let Tag { app, procid, rest } = tag::read(text)?;
        let bytes = text.as_bytes();
        let small = bytes[0].is_ascii_lowercase();
        // `sshd[12]:`
        let plain = small
            && procid.is_some()
            && bytes[bytes.len() - rest.len() - 1] == b':'
            && !stamp::begins_with_name(bytes);
        // A comma in the first word is a mark of Ubiquiti.
        let odd = !rest.starts_with(' ')
            || procid.is_some_and(|id| near(b',', id.as_bytes()).is_some())
            || tag_is_mnemonic(app, text);
        let message = match rest.as_bytes() {
            [b' ', b'!'..=b'~', ..] => &rest[1..],
            _ => rest.trim_start_matches([' ', '\u{feff}']),
        };
        (!odd).then_some((Self { app: Some(app), procid, ..Self::of(message) }, plain))
    }
}

/// A stamp of RFC 3164 and a host, one space behind each, neither of them odd; the text behind them.
#[inline]
pub(in crate::syslog) fn stamp_and_host(text: &str) -> Option<(Stamp<'_>, &str, &str)> {
    let (stamp, len) = stamp::read(text).filter(|(stamp, _)| !stamp.day_first)?;
    let (host, behind) = usual_host(&text[len..])?;
    Some((stamp, host, behind))
}

#[inline]
pub(super) fn usual_host(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix(' ')?;
    let bytes = rest.as_bytes();
    let (len, seen) = run(bytes, HOST & !kind::BRACKET);
    let odd = matches!(bytes.first()?, b'#' | b':')
        || *bytes.get(len)? != b' '
        || seen & NAME == 0
        // Five digits may be the number of an event.
        || seen & (kind::LETTER | kind::DOT) == 0
        || len > 255
        || bytes[len - 1] == b':';
    if odd {
        return None;
    }
    let (host, behind) = (&rest[..len], behind_spaces(&rest[len..]));
    let twice = bytes[0] == *behind.as_bytes().first()? && behind.starts_with(host);
    (!twice && host != "Message").then_some((host, behind))
}

/// The tag behind a stamp and a host, where no fields begin.
#[inline]
pub(in crate::syslog) fn usual_tag<'a>(
    text: &'a str,
    stamp: &Stamp<'a>,
    host: &'a str,
) -> Option<Usual<'a>> {
    let (usual, plain) = Usual::tag(text)?;
    if plain {
        return Some(usual);
    }
    // A number and a word behind a tag are no header.
    let numbered = || {
        devices::is_numbered(usual.message.as_bytes())
            && usual.procid.is_none()
            && !stamp::begins_with_name(text.as_bytes())
    };
    let follows = may_hold_header(text) && !numbered() && header_follows(text, stamp, host);
    (!follows).then_some(usual)
}

/// True for a text that begins with a small letter and has none of the marks of headers, tags, fields
/// and devices. A comma is one in the first word only.
pub(in crate::syslog) fn is_bare(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && memchr::memchr3(b':', b'=', b'|', bytes).is_none()
        && memchr::memchr2(b'[', b'%', bytes).is_none()
        && memchr::memchr2(b' ', b',', bytes).is_none_or(|at| bytes[at] == b' ')
        && !may_hold_header(text)
}

/// The description of a device of Ubiquiti behind a stamp and a host, where no fields begin.
pub(in crate::syslog) fn own_device<'a>(
    text: &'a str,
    stamp: &Stamp<'a>,
    host: &'a str,
) -> Option<ubiquiti::Device<'a>> {
    if !matches!(text.as_bytes().first()?, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'(') {
        return None;
    }
    let device = ubiquiti::device(text).filter(|_| !netscaler::begins(text))?;
    // No header begins with the twelve digits of an address and a comma.
    let addressed = device.mac.len() == 12 && text.starts_with(device.mac);
    let follows = !addressed && may_hold_header(text) && header_follows(text, stamp, host);
    (!follows).then_some(device)
}

/// The same behind the level that BIG-IP writes.
pub(in crate::syslog) fn levelled_tag<'a>(
    text: &'a str,
    stamp: &Stamp<'a>,
    host: &'a str,
) -> Option<Usual<'a>> {
    let tagged = behind_level(text);
    if tagged.len() == text.len() {
        return None;
    }
    let (usual, _) = Usual::tag(tagged)?;
    let follows = may_hold_header(text) && header_follows(text, stamp, host);
    (!follows).then_some(Usual { levelled: true, ..usual })
}

#[cold]
fn header_follows<'a>(text: &'a str, stamp: &Stamp<'a>, host: &'a str) -> bool {
    Header::of(*stamp, host).read(text).is_some()
}

/// A sequence number or its colon, a host with a colon, the sync mark, a stamp and the colon that
/// closes it, each where it is; a mnemonic follows.
#[inline]
pub(in crate::syslog) fn stamp_and_colon(
    text: &str,
) -> Option<(Option<&str>, Sync, Stamp<'_>, &str)> {
    let rest = behind_sequence(text)?;
    let mut host = None;
    let (sync, marked) = marked(rest);
    let (sync, (stamp, len), marked) = match stamp::read(marked) {
        Some(found) => (sync, found, marked),
        None => {
            let (len, seen) =
                run(rest.as_bytes(), NAME | kind::DOT | kind::HYPHEN | kind::UNDERSCORE);
            let named = seen & NAME != 0 && len <= 255 && rest[len..].starts_with(": ");
            // A host may be an address, but no uptime.
            if !named || stamp::read_uptime(marked).is_some() {
                return None;
            }
            host = Some(&rest[..len]);
            let (sync, marked) = marked_stamp(behind_spaces(&rest[len + 1..]))?;
            (sync, stamp::read(marked)?, marked)
        }
    };
    let closed = behind_spaces(&marked[len..]).strip_prefix(':')?;
    let message = behind_spaces(closed);
    message.starts_with('%').then_some((host, sync, stamp, message))
}

/// What stands behind a sequence number or its colon, where there is one; `None` where there are two,
/// and for fields.
#[inline(always)]
fn behind_sequence(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let digits = run(&bytes[..bytes.len().min(11)], kind::DIGIT).0;
    if bytes.get(digits) != Some(&b':') || digits > 10 {
        // No fields begin with a number and a colon.
        return (!fields::begins(text)).then_some(text);
    }
    let rest = &text[digits + 1..];
    if digits > 0 && !rest.starts_with(' ') {
        return None;
    }
    let rest = behind_spaces(rest);
    let bytes = rest.as_bytes();
    let again = run(&bytes[..bytes.len().min(11)], kind::DIGIT).0;
    (bytes.get(again) != Some(&b':')).then_some(rest)
}

/// A sequence number, a host, a node with a stamp at its colon, and a tag with the number of its process,
/// where they are; a mnemonic follows.
pub(in crate::syslog) fn stamp_and_node(text: &str) -> Option<(Header<'_>, Usual<'_>)> {
    const HOST: u16 = NAME | kind::DOT | kind::HYPHEN | kind::UNDERSCORE;
    let rest = behind_sequence(text)?;
    let (len, seen) = run(rest.as_bytes(), HOST);
    let (host, rest) = match rest.as_bytes().get(len)? {
        b' ' if seen & NAME != 0 && len <= 255 => (Some(&rest[..len]), behind_spaces(&rest[len..])),
        b'/' => (None, rest),
        _ => return None,
    };
    let front = &rest.as_bytes()[..rest.len().min(40)];
    let (len, seen) = run(front, kind::UPPER | kind::DIGIT | kind::SLASH | kind::UNDERSCORE);
    if seen & kind::SLASH == 0 || front.get(len) != Some(&b':') {
        return None;
    }
    let (sync, stamped) = marked(behind_spaces(&rest[len + 1..]));
    let (stamp, at) = stamp::read(stamped)?;
    let text = behind_spaces(behind_spaces(&stamped[at..]).strip_prefix(": ")?);
    let usual = match text.as_bytes().first()? {
        b'%' => Usual::of(text),
        _ => {
            let (usual, plain) = Usual::tag(text)?;
            (plain && !fields::begins(text)).then_some(usual)?
        }
    };
    let passed_on = host.is_none() && netscaler::behind_word(text).is_some();
    if passed_on || !usual.message.starts_with('%') {
        return None;
    }
    let header = Header { node: Some(&rest[..len]), cisco: true, host, ..Header::default() };
    Some((Header { stamp: Some((stamp, sync)), ..header }, usual))
}

#[inline]
fn marked(text: &str) -> (Sync, &str) {
    match text.as_bytes().first() {
        Some(b'*' | b'.') => (Sync::Lost, &text[1..]),
        _ => (Sync::Plain, text),
    }
}

/// A stamp that begins with its mark or its month.
#[inline]
fn marked_stamp(text: &str) -> Option<(Sync, &str)> {
    let (sync, marked) = marked(text);
    marked.as_bytes().first()?.is_ascii_uppercase().then_some((sync, marked))
}
