//! Everything that is not RFC 5424: RFC 3164 and the headers that network devices send instead.
//!
//! One reader takes the parts as they come (sequence numbers, origin, node, stamp, host, tag), since
//! relays put one header before another and each dialect leaves out other parts.

use std::borrow::Cow;

use mutt_model::{Event, ParseStatus};

use super::stamp::{self, Stamp};
use super::zone::{self, Sync};
use super::{
    Options, devices, fields, format, hpe, mnemonic, netscaler, netscreen, notes, rfc5424,
    set_host, tag, ubiquiti,
};
use crate::text::{Words, behind_spaces, kind, made_of, near};

mod front;

pub(super) use front::{
    Usual, is_bare, levelled_tag, own_device, stamp_and_colon, stamp_and_host, stamp_and_node,
    usual_tag,
};

/// A header before a header is read this often.
const MAX_HEADERS: usize = 3;

/// False where no header can begin: what every header has in its first three words is not there. Most
/// messages are seen off here, so this looks at few bytes.
fn may_hold_header(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else { return false };
    match first {
        // A number, a clock, a mark, or the colon of a sequence without its number.
        b'0'..=b'9' | b':' | b'*' | b'.' => return true,
        b'%' | b'{' | b'<' | b'(' | b'"' => return false,
        _ => {}
    }
    if stamp::begins_with_name(bytes) {
        return true;
    }
    let len = near(b' ', bytes).unwrap_or(bytes.len());
    if may_be_node(&bytes[..len]) {
        return true;
    }
    if *first != b'[' && bytes[..len].ends_with(b"]:") {
        // A tag.
        return false;
    }
    // Behind an origin a stamp, a sequence number, a task or a node.
    let behind = behind_spaces(&text[len..]).as_bytes();
    if matches!(behind.first(), Some(b'0'..=b'9' | b':' | b'*' | b'.'))
        || stamp::begins_with_name(behind)
    {
        return true;
    }
    let len = near(b' ', behind).unwrap_or(behind.len());
    // Behind two words a stamp that begins with its year.
    let third = behind[len..].iter().find(|byte| **byte != b' ');
    let dated = third.is_some_and(u8::is_ascii_digit) && !behind[..len].ends_with(b":");
    may_be_node(&behind[..len]) || dated
}

/// `RP/0/RSP0/CPU0:Aug`
fn may_be_node(word: &[u8]) -> bool {
    matches!(word.first(), Some(b'A'..=b'Z' | b'/' | b'_')) && near(b'/', word).is_some()
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Header<'a> {
    pub(super) stamp: Option<(Stamp<'a>, Sync)>,
    pub(super) uptime: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) relay: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    /// The line card of IOS-XR: `RP/0/RSP0/CPU0`.
    pub(super) node: Option<&'a str>,
    /// A sequence number or a colon where only Cisco has one.
    pub(super) cisco: bool,
    /// A task of AireOS stood before the stamp.
    pub(super) wlc: bool,
}

pub(crate) fn read<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    let mut header = Header::default();
    match Usual::read(text, &mut header) {
        Some(usual) => read_usual(&header, usual, event, options),
        None => read_parts(text, event, options),
    }
}

/// Puts into the event what stands before the message, and reads that.
pub(super) fn read_usual<'a>(
    header: &Header<'a>,
    usual: Usual<'a>,
    event: &mut Event<'a>,
    options: &Options,
) {
    apply(header, event, options);
    event.app = usual.app.map(Cow::Borrowed);
    event.procid = usual.procid.map(Cow::Borrowed);
    read_body(usual.message, header, usual.levelled, event, options);
}

/// What `read` does, part after part, for whatever headers there are.
pub(super) fn read_parts<'a>(text: &'a str, event: &mut Event<'a>, options: &Options) {
    let mut header = Header::default();
    let mut rest = behind_spaces(text);
    let mut with_fields = fields::begins(rest);
    for _ in 0..MAX_HEADERS {
        if with_fields || !may_hold_header(rest) {
            break;
        }
        match header.read(rest) {
            Some(behind) => rest = behind_spaces(behind),
            None => break,
        }
        with_fields = fields::begins(rest);
        let Some(relay) = header.host else { continue };
        if let Some((Some(priority), behind)) = super::written_priority(rest) {
            rest = header.wrapped(priority, behind, event).unwrap_or(rest);
            with_fields = fields::begins(rest);
        }
        if rfc5424::begins_inside(rest) {
            return rfc5424::read(rest, Some(relay), event, options);
        }
    }
    if header.host.is_none()
        && let Some((host, behind)) = word(rest)
        && fields::is_marked(behind)
        && is_host(host)
    {
        header.host = Some(host);
        rest = behind;
        with_fields = true;
    }
    if with_fields {
        return read_with_fields(rest, &header, event, options);
    }
    rest = behind_spaces(header.read_origin_without_stamp(rest));
    let (relay, behind) = match header.host {
        None => {
            netscaler::behind_word(rest).map_or((None, rest), |(host, text)| (Some(host), text))
        }
        host => (host, rest),
    };
    if netscaler::begins(behind) && netscaler::read(behind, relay, event, options).is_some() {
        return;
    }
    apply(&header, event, options);
    if let Some(format) = by_header(rest, &header, event, options) {
        return finish(&header, event, format);
    }
    let (rest, levelled) = read_tag(rest, header.app, event);
    let message = rest.trim_start_matches([' ', '\u{feff}']);
    read_body(message, &header, levelled, event, options);
}

/// Puts into the event what stands before fields, and reads those.
pub(super) fn read_with_fields<'a>(
    text: &'a str,
    header: &Header<'a>,
    event: &mut Event<'a>,
    options: &Options,
) {
    apply(header, event, options);
    let format = fields::read(event, text, options)
        .unwrap_or_else(|| super::read_message(event, text, header.dialect(false)));
    finish(header, event, format);
}

/// The text behind the tag.
fn read_body<'a>(
    message: &'a str,
    header: &Header<'a>,
    levelled: bool,
    event: &mut Event<'a>,
    options: &Options,
) {
    if let Some(format) = fields::read(event, message, options) {
        return finish(header, event, format);
    }
    let message = behind_own_stamp(behind_sequence(message), event, options);
    let found = super::read_message(event, message, header.dialect(event.app.is_some()));
    let levelled = levelled && found == format::RFC3164;
    let format = if levelled { format::F5 } else { found };
    if format == format::NETSCREEN && header.stamp.is_none() {
        read_time(netscreen::time(message), event, options);
    }
    finish(header, event, format);
}

fn finish(header: &Header<'_>, event: &mut Event<'_>, format: &'static str) {
    let known = header.stamp.is_some() || header.uptime.is_some() || event.device_time.is_some();
    if !known {
        let note = if format == format::UNKNOWN { notes::NO_HEADER } else { notes::NO_TIMESTAMP };
        notes::add(event, ParseStatus::Partial, note);
    }
    event.parse.format = Cow::Borrowed(format);
}

fn read_time(text: Option<&str>, event: &mut Event<'_>, options: &Options) {
    if let Some((stamp, _)) = text.and_then(stamp::read) {
        resolve(&stamp, Sync::Plain, event, options);
    }
}

fn resolve(stamp: &Stamp<'_>, sync: Sync, event: &mut Event<'_>, options: &Options) {
    (event.device_time, event.time_note) =
        zone::resolve(stamp, sync, event.received_at, options.zone_for(event));
}

/// Devices that are known by what stands where others have host and tag.
fn by_header<'a>(
    rest: &'a str,
    header: &Header<'a>,
    event: &mut Event<'a>,
    options: &Options,
) -> Option<&'static str> {
    if header.cisco {
        return None;
    }
    match rest.as_bytes().first()? {
        b'#' => {
            let ilo = hpe::ilo(rest)?;
            if let (Some(stamp), None) = (&ilo.stamp, &header.stamp) {
                resolve(stamp, Sync::Plain, event, options);
            }
            event.app = Some(Cow::Borrowed(ilo.app));
            event.message = Cow::Borrowed(ilo.text);
            return Some(format::HPE_ILO);
        }
        b'0'..=b'9' if header.stamp.is_some() => {
            if let Some(found) = hpe::procurve(rest) {
                hpe::read_procurve(event, found);
                return Some(format::HPE_PROCURVE);
            }
        }
        _ => {}
    }
    if header.stamp.is_some_and(|(stamp, _)| stamp.day_first)
        && devices::bind_category(rest).is_some()
    {
        event.app = Some(Cow::Borrowed("named"));
        return Some(super::read_message(event, rest, format::BIND));
    }
    let device = ubiquiti::device(rest)?;
    read_device(rest, device, header.host.is_some(), event);
    Some(format::UBIQUITI)
}

/// What stands behind the description that a device of Ubiquiti puts in front of a text.
pub(super) fn read_device<'a>(
    text: &str,
    device: ubiquiti::Device<'a>,
    named: bool,
    event: &mut Event<'a>,
) {
    ubiquiti::take(event, text, device, named);
    let (mut text, _) = read_tag(device.rest, None, event);
    // `mcad: mcad[1837]: text`
    if let Some(again) = tag::read(text.trim_start_matches(' '))
        && event.app.as_deref() == Some(again.app)
    {
        event.procid = again.procid.map(Cow::Borrowed);
        text = again.rest;
    }
    let message = behind_spaces(text);
    super::read_message(event, message, format::UBIQUITI);
    if event.resource.is_none() {
        event.resource = ubiquiti::port(message).map(Cow::Borrowed);
    }
}

/// Arista numbers its messages behind the tag: `Ebra: 000123: %LINEPROTO-5-UPDOWN: ...`.
fn behind_sequence(message: &str) -> &str {
    if !message.starts_with(|c: char| c.is_ascii_digit()) {
        return message;
    }
    match sequence_numbers(message) {
        (behind, true) if behind.starts_with('%') => behind,
        _ => message,
    }
}

/// BIND may write its own stamp into its text; it is finer than the header's.
fn behind_own_stamp<'a>(message: &'a str, event: &mut Event<'_>, options: &Options) -> &'a str {
    if event.app.as_deref() != Some("named") {
        return message;
    }
    match stamp::read(message) {
        Some((stamp, len)) if stamp.day_first => {
            resolve(&stamp, Sync::Plain, event, options);
            message[len..].trim_start_matches(' ')
        }
        _ => message,
    }
}

fn apply<'a>(header: &Header<'a>, event: &mut Event<'a>, options: &Options) {
    if let Some(host) = header.host {
        set_host(event, host, header.relay);
    }
    if let Some((stamp, sync)) = &header.stamp {
        resolve(stamp, *sync, event, options);
    } else if let Some(uptime) = header.uptime {
        event.time_note = Some(Cow::Owned(format!("uptime {uptime}")));
    }
    if let Some(node) = header.node {
        event.fields = Some(node_fields(node));
    }
}

/// The line card of IOS-XR as a field.
pub(super) fn node_fields(node: &str) -> Cow<'static, str> {
    let mut fields = String::with_capacity(node.len() + 12);
    fields.push_str("{\"node\":");
    crate::text::push_json_str(&mut fields, node);
    fields.push('}');
    Cow::Owned(fields)
}

/// Reads the tag; true when a level stood before it, as only BIG-IP writes it.
fn read_tag<'a>(rest: &'a str, app: Option<&'a str>, event: &mut Event<'a>) -> (&'a str, bool) {
    if let Some(app) = app {
        event.app = Some(Cow::Borrowed(app));
        return (rest, false);
    }
    let tagged = behind_level(rest);
    match tag::read(tagged) {
        Some(tag) if !tag_is_mnemonic(tag.app, tagged) => {
            event.app = Some(Cow::Borrowed(tag.app));
            event.procid = tag.procid.map(Cow::Borrowed);
            (tag.rest, tagged.len() != rest.len())
        }
        _ => (rest, false),
    }
}

/// F5 writes the level's name before the tag: `notice tmm[123]: `.
fn behind_level(rest: &str) -> &str {
    static LEVELS: Words<8> =
        Words::new(["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]);
    if !matches!(rest.as_bytes().first(), Some(b'a' | b'c'..=b'e' | b'i' | b'n' | b'w')) {
        return rest;
    }
    match word(rest) {
        Some((level, behind)) if LEVELS.contains(level) => {
            let tagged = tag::read(behind).is_some_and(|tag| tag.procid.is_some());
            if tagged { behind } else { rest }
        }
        _ => rest,
    }
}

/// `RPD_BGP_NEIGHBOR_STATE_CHANGED: ` without a process before it is the message's own first word, and
/// so is `IFNET/5/UPDOWN: `; `RT_FLOW: ` is the process.
fn tag_is_mnemonic(app: &str, text: &str) -> bool {
    match made_of(app, kind::UPPER | kind::DIGIT | kind::UNDERSCORE) {
        Some(_) => app.bytes().filter(|&b| b == b'_').count() >= 2,
        None => near(b'/', app.as_bytes()).is_some() && mnemonic::is_vrp(text),
    }
}

impl<'a> Header<'a> {
    pub(super) fn of(stamp: Stamp<'a>, host: &'a str) -> Self {
        Self { stamp: Some((stamp, Sync::Plain)), host: Some(host), ..Self::default() }
    }

    pub(super) fn dialect(&self, has_app: bool) -> &'static str {
        if self.node.is_some() {
            return format::CISCO_IOSXR;
        }
        if self.wlc {
            return format::CISCO_WLC;
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

    /// The same as `stamp_and_host`, or a stamp that a colon closes.
    fn read_stamp_and_host(&mut self, text: &'a str) -> Option<&'a str> {
        let (stamp, len) = stamp::read(text)?;
        if text[len..].starts_with(':') {
            return self.read(text).map(behind_spaces);
        }
        let (host, behind) = front::usual_host(&text[len..])?;
        self.stamp = Some((stamp, Sync::Plain));
        self.host = Some(host);
        Some(behind)
    }

    /// A whole message within another: its own priority holds, and the host so far was the relay. The
    /// text behind its header; `None` when no header follows.
    fn wrapped(&mut self, priority: u8, text: &'a str, event: &mut Event<'_>) -> Option<&'a str> {
        let text = behind_spaces(text);
        let rest = if rfc5424::begins_inside(text) { text } else { self.read(text)? };
        super::take_priority(event, priority);
        Some(behind_spaces(rest))
    }

    /// Reads one header; `None` when none stands there. A second one moves the first one's host to
    /// `relay`.
    fn read(&mut self, text: &'a str) -> Option<&'a str> {
        let (text, numbered) = sequence_numbers(behind_spaces(text));
        let origin = match Stamped::read(text) {
            Some(stamped) => Some(Origin::of(stamped)),
            None => behind_origin(text),
        };
        let Some(origin) = origin else {
            return self.read_unstamped(text, numbered);
        };
        let stamped = &origin.stamped;
        if self.host.is_some()
            && (stamped.plain() && !stamped.colon && origin.host.is_none() && !numbered)
            && next_host(stamped.rest).is_none()
        {
            // A stamp inside the message: it belongs to the message.
            return None;
        }
        Some(self.take(origin, numbered))
    }

    /// `45: %SYS-5-...`, `45: r1: %SYS-5-...` and `192.0.2.12 83: %APBR-6-...`
    fn read_unstamped(&mut self, text: &'a str, numbered: bool) -> Option<&'a str> {
        if numbered && text.starts_with('%') {
            self.cisco = true;
            return Some(text);
        }
        let (first, behind) = word(text)?;
        let host = first.strip_suffix(':').unwrap_or(first);
        let (behind, again) = sequence_numbers(behind);
        // Behind a header it is a tag: `sw1 Ebra: 000123: %LINEPROTO-5-...`.
        let bare = self.host.is_none() && self.stamp.is_none();
        let origin = (numbered && host.len() < first.len()) || (again && bare);
        if !origin || !behind.starts_with('%') || !is_host(host) {
            return None;
        }
        self.cisco = true;
        self.set_host(host);
        Some(behind)
    }

    fn set_host(&mut self, host: &'a str) {
        self.relay = self.host.or(self.relay);
        self.host = Some(host);
    }

    fn take(&mut self, origin: Origin<'a>, numbered: bool) -> &'a str {
        let stamped = origin.stamped;
        let mut hostless = stamped.colon || origin.app.is_some();
        match stamped.time {
            Time::Stamp(stamp, sync) => {
                hostless |= stamp.day_first;
                self.stamp = Some((stamp, sync));
                self.cisco |= sync != Sync::Plain;
            }
            Time::Uptime(uptime) => self.uptime = Some(uptime),
        }
        self.node = origin.node.or(self.node);
        self.app = origin.app.or(self.app);
        self.wlc |= origin.wlc;
        self.cisco |= numbered || stamped.colon;
        let (host, rest) = if let Some((host, rest)) = forwarded_from(stamped.rest) {
            (Some(host), rest)
        } else if hostless {
            (origin.host, stamped.rest)
        } else {
            match next_host(stamped.rest) {
                Some((host, rest)) => (Some(host), behind_host_again(host, rest)),
                None => (origin.host, stamped.rest),
            }
        };
        if let Some(host) = host {
            self.set_host(host);
        }
        rest
    }

    /// `fw01 : %ASA-...` and `fw01 %LINK-...` without a stamp.
    fn read_origin_without_stamp(&mut self, text: &'a str) -> &'a str {
        let text = behind_spaces(text);
        if self.host.is_none()
            && self.node.is_none()
            && let Some((word, behind)) = word(text)
        {
            let behind = behind.trim_start_matches([' ', ':']);
            let host = word.trim_end_matches(':');
            let asa = ["%ASA-", "%FTD-", "%PIX-"].iter().any(|start| behind.starts_with(start));
            let bare =
                behind.starts_with('%') && !word.ends_with([':', ']']) && self.stamp.is_none();
            let screen = word.ends_with(':') && netscreen::begins(behind);
            if (asa || bare || screen) && is_host(host) && !host.starts_with('%') {
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
            b'*' | b'.' => (Sync::Lost, &text[1..]),
            _ => (Sync::Plain, text),
        };
        if let Some((stamp, len)) = stamp::read(marked) {
            let rest = &marked[len..];
            let spaced = behind_spaces(rest);
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
                rest = behind_spaces(behind);
            }
            _ => break,
        }
    }
    (rest, rest.len() != text.len())
}

/// A stamp and what stood before it.
struct Origin<'a> {
    host: Option<&'a str>,
    node: Option<&'a str>,
    app: Option<&'a str>,
    wlc: bool,
    stamped: Stamped<'a>,
}

impl<'a> Origin<'a> {
    fn of(stamped: Stamped<'a>) -> Self {
        Self { host: None, node: None, app: None, wlc: false, stamped }
    }
}

/// A stamp behind an origin (`r1: *Mar ...`), a node (`RP/0/RSP0/CPU0:Aug ...`), both, or a host and a
/// port's name as Opengear writes them.
fn behind_origin(text: &str) -> Option<Origin<'_>> {
    if let Some((node, stamped)) = node(text) {
        return Some(Origin { node: Some(node), ..Origin::of(stamped) });
    }
    if let Some((task, stamped)) = task(text) {
        return Some(Origin { app: Some(task), wlc: true, ..Origin::of(stamped) });
    }
    let (first, behind) = word(text)?;
    let host = first.strip_suffix(':').unwrap_or(first);
    // `named[53]:` is a tag.
    if !is_host(host) || (first.ends_with("]:") && !first.starts_with('[')) {
        return None;
    }
    let host = Some(host);
    // The origin may stand before the sequence number: `r1: 000046: *Mar ...`, `nexus1 : 2026 ...`.
    let (behind, numbered) = sequence_numbers(behind);
    if let Some((task, stamped)) = task(behind) {
        return Some(Origin { host, app: Some(task), wlc: true, ..Origin::of(stamped) });
    }
    if let Some((node, stamped)) = node(behind) {
        return Some(Origin { host, node: Some(node), ..Origin::of(stamped) });
    }
    // Behind a host any time will do; an uptime only where a colon closed the host.
    let unmistakable =
        |stamped: &Stamped<'_>| matches!(stamped.time, Time::Stamp(..)) || first.ends_with(':');
    if let Some(stamped) = Stamped::read(behind).filter(unmistakable) {
        return Some(Origin { host, ..Origin::of(stamped) });
    }
    if numbered {
        return None;
    }
    let (second, behind) = word(behind)?;
    let stamped =
        behind.starts_with(|c: char| c.is_ascii_digit()).then(|| Stamped::read(behind))??;
    let app = is_host(second) && !first.ends_with(':') && !second.ends_with(':');
    (app && stamped.plain()).then_some(Origin { host, app: Some(second), ..Origin::of(stamped) })
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
    let len = near(b' ', text.as_bytes())?;
    (len > 0).then(|| (&text[..len], behind_spaces(&text[len..])))
}

/// The host behind an RFC 3164 stamp. A word that is a tag means that the host was left out.
fn next_host(text: &str) -> Option<(&str, &str)> {
    let text = behind_spaces(text);
    let len = near(b' ', text.as_bytes()).unwrap_or(text.len());
    let (first, behind) = text.split_at(len);
    if first.ends_with(':') || first.starts_with('#') || !is_host(first) {
        return None;
    }
    if first.len() == 5 && hpe::is_event_number(first, behind) {
        return None;
    }
    let is_tag = near(b'[', first.as_bytes()).is_some_and(|at| at > 0)
        && tag::read(text).is_some_and(|tag| tag.procid.is_some());
    (!is_tag).then_some((first, behind))
}

/// UniFi consoles write their name twice: `UDMPro UDMPro kernel: ...`.
fn behind_host_again<'a>(host: &str, rest: &'a str) -> &'a str {
    match behind_spaces(rest).strip_prefix(host) {
        Some(behind) if behind.starts_with(' ') && tag::read(behind.trim_start()).is_some() => {
            behind
        }
        _ => rest,
    }
}

/// AIX: `Message forwarded from aix1: sshd[12]: ...`
fn forwarded_from(text: &str) -> Option<(&str, &str)> {
    let behind = text.strip_prefix("Message forwarded from ")?;
    let (host, rest) = word(behind)?;
    Some((host.strip_suffix(':').filter(|host| is_host(host))?, rest))
}

/// Names, addresses and what else stands in their place: `fe80::1`, `user@host`, `slot1/host`.
fn is_host(word: &str) -> bool {
    made_of(word, HOST).is_some_and(|seen| seen & NAME != 0) && word.len() <= 255
}

const HOST: u16 = kind::LETTER
    | kind::HIGH
    | kind::DIGIT
    | kind::DOT
    | kind::HYPHEN
    | kind::UNDERSCORE
    | kind::COLON
    | kind::SLASH
    | kind::AT
    | kind::BRACKET
    | kind::MARK;
const NAME: u16 = kind::LETTER | kind::HIGH | kind::DIGIT;
