//! Everything that is not RFC 5424: RFC 3164 and the headers that network devices send instead.
//!
//! One reader takes the parts as they come (sequence numbers, origin, node, stamp, host, tag), since
//! relays put one header before another and each dialect leaves out other parts.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::stamp::{self, Stamp};
use super::zone::{self, Sync};
use super::{Options, format, fortinet, paloalto, set_host, tag};

/// A header before a header is read this often.
const MAX_HEADERS: usize = 3;

/// What was found so far.
#[derive(Default)]
struct Header<'a> {
    stamp: Option<(Stamp<'a>, Sync)>,
    uptime: Option<&'a str>,
    host: Option<&'a str>,
    relay: Option<&'a str>,
    app: Option<&'a str>,
    /// The line card of IOS-XR: `RP/0/RSP0/CPU0`.
    node: Option<&'a str>,
    /// A sequence number or a colon where only Cisco has one.
    cisco: bool,
}

pub(crate) fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    let text = text.trim_start_matches(' ');
    if fortinet::begins(text) {
        return fortinet::read(text, event, options);
    }
    let mut header = Header::default();
    let mut rest = text;
    for _ in 0..MAX_HEADERS {
        match header.read(rest) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    rest = header.read_origin_without_stamp(rest);
    apply(&header, event, options);
    let rest = read_tag(rest.trim_start_matches(' '), header.app, event);
    let message = rest.trim_start_matches([' ', '\u{feff}']);
    if fortinet::begins(message) {
        return fortinet::read(message, event, options);
    }
    let known = header.stamp.is_some() || header.uptime.is_some();
    let found = super::read_message(event, message, header.dialect(event.app.is_some()));
    let format = paloalto::read(event, message).unwrap_or(found);
    if !known && format != format::PALOALTO {
        let note = if format == format::UNKNOWN { "no header" } else { "no timestamp" };
        event.note(ParseStatus::Partial, note);
    }
    event.parse.format = Cow::Borrowed(format);
}

fn apply<'a>(header: &Header<'a>, event: &mut Event<'a>, options: &Options) {
    if let Some(host) = header.host {
        set_host(event, host, header.relay);
    }
    if let Some((stamp, sync)) = &header.stamp {
        (event.device_time, event.time_note) =
            zone::resolve(stamp, *sync, event.received_at, &options.zone);
    } else if let Some(uptime) = header.uptime {
        event.time_note = Some(Cow::Owned(format!("uptime {uptime}")));
    }
    if let Some(node) = header.node {
        let mut fields = String::with_capacity(node.len() + 12);
        fields.push_str("{\"node\":");
        crate::text::push_json_str(&mut fields, node);
        fields.push('}');
        event.fields = Some(Cow::Owned(fields));
    }
}

fn read_tag<'a>(rest: &'a str, app: Option<&'a str>, event: &mut Event<'a>) -> &'a str {
    if let Some(app) = app {
        event.app = Some(Cow::Borrowed(app));
        return rest;
    }
    match tag::read(behind_level(rest)) {
        Some(tag) if !tag_is_mnemonic(tag.app) => {
            event.app = Some(Cow::Borrowed(tag.app));
            event.procid = tag.procid.map(Cow::Borrowed);
            tag.rest
        }
        _ => rest,
    }
}

/// F5 writes the level's name before the tag: `notice tmm[123]: `.
fn behind_level(rest: &str) -> &str {
    const LEVELS: [&str; 8] =
        ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    match word(rest) {
        Some((level, behind)) if LEVELS.contains(&level) => {
            let tagged = tag::read(behind).is_some_and(|tag| tag.procid.is_some());
            if tagged { behind } else { rest }
        }
        _ => rest,
    }
}

/// `RPD_BGP_NEIGHBOR_STATE_CHANGED: ` without a process before it is the message's own first word;
/// `RT_FLOW: ` is the process.
fn tag_is_mnemonic(app: &str) -> bool {
    let shouted = app.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    shouted && app.bytes().filter(|&b| b == b'_').count() >= 2
}

impl<'a> Header<'a> {
    fn dialect(&self, has_app: bool) -> &'static str {
        if self.node.is_some() {
            return format::CISCO_IOSXR;
        }
        match &self.stamp {
            Some((stamp, _)) if stamp.year_first && !has_app => format::CISCO_NXOS,
            Some(_) if self.cisco => format::CISCO_IOS,
            Some(_) => format::RFC3164,
            None if self.cisco => format::CISCO_IOS,
            None if has_app => format::RFC3164,
            None => format::UNKNOWN,
        }
    }

    /// Reads one header; `None` when none stands there. A second one moves the first one's host to
    /// `relay`.
    fn read(&mut self, text: &'a str) -> Option<&'a str> {
        let (text, numbered) = sequence_numbers(text.trim_start_matches(' '));
        let (origin, node, app, stamped) = match Stamped::read(text) {
            Some(stamped) => (None, None, None, Some(stamped)),
            None => match behind_origin(text) {
                Some((origin, node, app, stamped)) => (origin, node, app, Some(stamped)),
                None => (None, None, None, None),
            },
        };
        let Some(stamped) = stamped else {
            let bare = numbered && text.starts_with('%');
            self.cisco |= bare;
            return bare.then_some(text);
        };
        if self.host.is_some()
            && (stamped.plain() && !stamped.colon && origin.is_none() && !numbered)
            && next_host(stamped.rest).is_none()
        {
            // A stamp inside the message: it belongs to the message.
            return None;
        }
        self.take(stamped, numbered, origin, node, app)
    }

    fn take(
        &mut self,
        stamped: Stamped<'a>,
        numbered: bool,
        origin: Option<&'a str>,
        node: Option<&'a str>,
        app: Option<&'a str>,
    ) -> Option<&'a str> {
        match stamped.time {
            Time::Stamp(stamp, sync) => {
                self.stamp = Some((stamp, sync));
                self.cisco |= sync != Sync::Plain;
            }
            Time::Uptime(uptime) => self.uptime = Some(uptime),
        }
        self.node = node.or(self.node);
        self.app = app.or(self.app);
        self.cisco |= numbered || stamped.colon;
        let (host, rest) = if let Some((host, rest)) = forwarded_from(stamped.rest) {
            (Some(host), rest)
        } else if stamped.colon || app.is_some() {
            (origin, stamped.rest)
        } else {
            match next_host(stamped.rest) {
                Some((host, rest)) => (Some(host), rest),
                None => (origin, stamped.rest),
            }
        };
        if let Some(host) = host {
            self.relay = self.host.or(self.relay);
            self.host = Some(host);
        }
        Some(rest)
    }

    /// `fw01 : %ASA-...` and `fw01 %LINK-...` without a stamp.
    fn read_origin_without_stamp(&mut self, text: &'a str) -> &'a str {
        let text = text.trim_start_matches(' ');
        if self.host.is_none()
            && self.node.is_none()
            && let Some((word, behind)) = word(text)
        {
            let behind = behind.trim_start_matches([' ', ':']);
            let host = word.trim_end_matches(':');
            let asa = ["%ASA-", "%FTD-", "%PIX-"].iter().any(|start| behind.starts_with(start));
            let bare =
                behind.starts_with('%') && !word.ends_with([':', ']']) && self.stamp.is_none();
            if (asa || bare) && is_host(host) && !host.starts_with('%') {
                self.host = Some(host);
                return behind;
            }
        }
        match text.strip_prefix(": ") {
            Some(behind) if self.stamp.is_some() => behind,
            _ => text,
        }
    }
}

enum Time<'a> {
    Stamp(Stamp<'a>, Sync),
    Uptime(&'a str),
}

/// A stamp at the front and what follows.
struct Stamped<'a> {
    time: Time<'a>,
    rest: &'a str,
    /// A colon closed it, as Cisco does: no host follows.
    colon: bool,
}

impl<'a> Stamped<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (sync, marked) = match text.as_bytes().first()? {
            b'*' => (Sync::Never, &text[1..]),
            b'.' => (Sync::Lost, &text[1..]),
            _ => (Sync::Plain, text),
        };
        if let Some((stamp, len)) = stamp::read(marked) {
            let rest = &marked[len..];
            let spaced = rest.trim_start_matches(' ');
            let closed = spaced.strip_prefix(':').filter(|behind| {
                behind.is_empty() || behind.starts_with(' ') || behind.starts_with('%')
            });
            if closed.is_none() && !rest.is_empty() && !rest.starts_with([' ', '\t']) {
                return None;
            }
            let rest = closed.unwrap_or(spaced);
            return Some(Self { time: Time::Stamp(stamp, sync), rest, colon: closed.is_some() });
        }
        let len = stamp::read_uptime(marked)?;
        let rest = marked[len..].strip_prefix(": ")?;
        Some(Self { time: Time::Uptime(&marked[..len]), rest, colon: true })
    }

    fn plain(&self) -> bool {
        matches!(self.time, Time::Stamp(_, Sync::Plain))
    }
}

/// `45: `, `45: 000046: `, `: `; true when one was there.
fn sequence_numbers(text: &str) -> (&str, bool) {
    let mut rest = text;
    for _ in 0..3 {
        let digits = rest.bytes().take(11).take_while(u8::is_ascii_digit).count();
        match rest.as_bytes().get(digits) {
            Some(b':') if digits <= 10 => {
                let behind = &rest[digits + 1..];
                // `<166>:Aug` has no space; `00:01:01` is a clock.
                if digits > 0 && !behind.starts_with(' ') {
                    break;
                }
                rest = behind.trim_start_matches(' ');
            }
            _ => break,
        }
    }
    (rest, rest.len() != text.len())
}

type Origin<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Stamped<'a>);

/// A stamp behind an origin (`r1: *Mar ...`), a node (`RP/0/RSP0/CPU0:Aug ...`), both, or a host and a
/// port's name as Opengear writes them: (host, node, app, stamp).
fn behind_origin(text: &str) -> Option<Origin<'_>> {
    if let Some((node, stamped)) = node(text) {
        return Some((None, Some(node), None, stamped));
    }
    if let Some((task, stamped)) = task(text) {
        return Some((None, None, Some(task), stamped));
    }
    let (first, behind) = word(text)?;
    let host = first.strip_suffix(':').unwrap_or(first);
    if !is_host(host) {
        return None;
    }
    if let Some((task, stamped)) = task(behind) {
        return Some((Some(host), None, Some(task), stamped));
    }
    if let Some((node, stamped)) = node(behind) {
        return Some((Some(host), Some(node), None, stamped));
    }
    // Behind a host any time will do; an uptime only where a colon closed the host.
    let unmistakable =
        |stamped: &Stamped<'_>| matches!(stamped.time, Time::Stamp(..)) || first.ends_with(':');
    if let Some(stamped) = Stamped::read(behind).filter(unmistakable) {
        return Some((Some(host), None, None, stamped));
    }
    let (second, behind) = word(behind)?;
    let stamped =
        behind.starts_with(|c: char| c.is_ascii_digit()).then(|| Stamped::read(behind))??;
    let app = is_host(second) && !first.ends_with(':') && !second.ends_with(':');
    (app && stamped.plain()).then_some((Some(host), None, Some(second), stamped))
}

/// `*spamApTask1: `, as wireless controllers of Cisco write their tasks.
fn task(text: &str) -> Option<(&str, Stamped<'_>)> {
    let (first, behind) = word(text.strip_prefix('*')?)?;
    let task = first.strip_suffix(':').filter(|task| is_host(task))?;
    Some((task, Stamped::read(behind)?))
}

fn node(text: &str) -> Option<(&str, Stamped<'_>)> {
    let len = text
        .bytes()
        .take(40)
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'/' | b'_'))
        .count();
    let name = &text[..len];
    let behind = text[len..].strip_prefix(':')?;
    if !name.contains('/') {
        return None;
    }
    Some((name, Stamped::read(behind.trim_start_matches(' '))?))
}

/// The first word and what stands behind its spaces.
fn word(text: &str) -> Option<(&str, &str)> {
    let len = memchr::memchr(b' ', text.as_bytes())?;
    (len > 0).then(|| (&text[..len], text[len..].trim_start_matches(' ')))
}

/// The host behind an RFC 3164 stamp. A word that is a tag means that the host was left out.
fn next_host(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    let len = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    let (first, behind) = text.split_at(len);
    if !is_host(first) || first.ends_with(':') {
        return None;
    }
    let is_tag = memchr::memchr(b'[', first.as_bytes()).is_some_and(|at| at > 0)
        && tag::read(text).is_some_and(|tag| tag.procid.is_some());
    (!is_tag).then_some((first, behind))
}

/// AIX: `Message forwarded from aix1: sshd[12]: ...`
fn forwarded_from(text: &str) -> Option<(&str, &str)> {
    let behind = text.strip_prefix("Message forwarded from ")?;
    let (host, rest) = word(behind)?;
    Some((host.strip_suffix(':').filter(|host| is_host(host))?, rest))
}

/// Names, addresses and what else stands in their place: `fe80::1`, `user@host`, `slot1/host`.
fn is_host(word: &str) -> bool {
    word.len() <= 255
        && word.bytes().any(|b| b.is_ascii_alphanumeric() || b >= 0x80)
        && word.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || b >= 0x80
                || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'@' | b'[' | b']' | b'+' | b'#')
        })
}
