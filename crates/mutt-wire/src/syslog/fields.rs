//! Messages that carry fields: which dialect a body is of, its map of fields, and what they tell of
//! the envelope where the header does not.
//!
//! A value never replaces what the header says, with two exceptions: a device that names itself behind
//! the header of a relay is the host (the relay stays `relay`), and a moment that needs no guess
//! replaces one that did. The message stays whole, so that rules can look for any field in it.

use std::borrow::Cow;

use mutt_model::event::peer_host;
use mutt_model::{Event, Severity};

use super::{Options, format, netscreen, set_host, structured};
use crate::octets;

mod barracuda;
mod cef;
mod checkpoint;
mod clock;
mod fortinet;
mod json;
mod keyvalue;
mod leef;
pub(crate) mod map;
mod meraki;
mod mikrotik;
pub(crate) mod netscaler;
mod pairs;
mod paloalto;
mod watchguard;

/// How far a mark of CEF or LEEF is looked for behind other words.
const MAX_BEFORE: usize = 128;
/// So far into a message stand the marks of all that are known by one.
const MAX_MARK: usize = 160;

/// True for a body that is known by its first characters: no header and no tag is looked for in it.
pub(crate) fn begins(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'C') => cef::begins(text),
        Some(b'L') => leef::begins(text),
        Some(b'{' | b'@') => json::begins(text),
        Some(b'[' | b'|') => checkpoint::form(text).is_some(),
        Some(b'0'..=b'9' | b',') => {
            paloalto::begins(text) || meraki::begins(text) || checkpoint::form(text).is_some()
        }
        Some(b'd' | b'l' | b't') if fortinet::begins(text) => true,
        Some(b't' | b'h') => checkpoint::form(text).is_some(),
        Some(b'A' | b'd' | b'f' | b'i' | b'u') => keyvalue::begins(text),
        _ => false,
    }
}

/// True for CEF and LEEF, which say their names.
pub(crate) fn is_marked(text: &str) -> bool {
    cef::begins(text) || leef::begins(text)
}

/// True where Check Point writes its fields in the place of structured data.
pub(crate) fn in_place_of_structured_data(text: &str) -> bool {
    text.starts_with('[') && checkpoint::form(text).is_some()
}

/// What structured data of a vendor say are its fields, too; `level` is the plain word that stood before
/// them, `flat` what of the structured data the map of fields would write, where that is known.
pub(crate) fn of_structured_data<'a>(
    event: &mut Event<'a>,
    data: &'a str,
    dialect: &str,
    level: &'a str,
    flat: Option<&str>,
) {
    if !matches!(dialect, format::VMWARE | format::CHECKPOINT | format::F5) {
        return;
    }
    if let Some(params) = flat
        && dialect != format::CHECKPOINT
    {
        if dialect == format::VMWARE {
            event.mnemonic = None;
        }
        event.fields = Some(Cow::Owned(match level {
            "" => braced(params),
            level => ["{\"level\":\"", level, "\",", params, "}"].concat(),
        }));
        return;
    }
    let mut map = map::Map::with_capacity(data, 16);
    map.push("level", level);
    structured::each_param(data, |name, value, plain| {
        let hash = octets::hash(name.as_bytes());
        let number = dialect == format::CHECKPOINT && checkpoint::is_number(name, hash);
        if plain {
            return map.push_plain((name, hash), value, map::Type::number(number));
        }
        map.push(name, map::Value::typed(pairs::unescape(value, b"\"\\]"), number));
    });
    match dialect {
        format::CHECKPOINT => checkpoint::envelope(event, &map),
        // NSX numbers its faults.
        format::VMWARE => event.mnemonic = map.get("errorCode").map(Cow::Borrowed),
        _ => {}
    }
    map.finish(event);
}

/// The parameters as a map of fields.
#[inline]
pub(crate) fn braced(params: &str) -> String {
    let mut map = String::with_capacity(params.len() + 2);
    map.push('{');
    map.push_str(params);
    map.push('}');
    map
}

/// True for a message in which `read` finds nothing: the mnemonic of Junos stands before its structured
/// data, a word in capitals longer than those with which Barracuda begins.
#[inline]
pub(crate) fn is_junos(message: &str, mnemonic: usize) -> bool {
    let (name, rest) = message.as_bytes().split_at(mnemonic);
    rest.first() == Some(&b' ')
        && name.len() > 5
        && name[0].is_ascii_uppercase()
        && name.iter().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
        && !may_be_marked(message)
}

/// True for most messages in which `read` finds nothing.
#[inline]
pub(crate) fn is_plain(message: &str) -> bool {
    let Some(first) = message.as_bytes().first() else { return true };
    let front = match first {
        b'%' => return true,
        b'C' => cef::begins(message),
        b'L' => leef::begins(message),
        b'{' | b'@' | b',' | b'0'..=b'9' => true,
        b'd' | b'l' | b't' => fortinet::begins(message),
        b'A' | b'N' | b'S' | b'T' | b'W' => matches!(
            message.as_bytes(),
            [b'T', b'R', b' ', ..]
                | [b'N' | b'W', b'F', b' ', ..]
                | [b'S', b'Y', b'S', b' ', ..]
                | [b'A', b'U', b'D', b'I', b'T', b' ', ..]
        ),
        _ => false,
    };
    if front {
        return false;
    }
    let bytes = message.as_bytes();
    let Some(at) = memchr::memchr3(b':', b'=', b'|', bytes) else {
        return !first.is_ascii_lowercase() || memchr::memchr(b',', bytes).is_none();
    };
    bytes[at] == b':'
        && memchr::memchr3(b'=', b'|', b',', bytes).is_none()
        && checkpoint::form(message).is_none()
}

/// Reads the fields of a message; gives the format when it is of a dialect that has some.
pub(crate) fn read<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    options: &Options,
) -> Option<&'static str> {
    let first = *message.as_bytes().first()?;
    event.message = Cow::Borrowed(message);
    match first {
        // A mnemonic says whose the message is.
        b'%' => return None,
        b'C' if cef::begins(message) => return Some(cef::read(event, message, options)),
        b'L' if leef::begins(message) => return Some(leef::read(event, message, options)),
        b'{' | b'@' => return json::read(event, message, options),
        b'0'..=b'9' | b',' if paloalto::begins(message) => {
            return paloalto::read(event, message, options);
        }
        b'0'..=b'9' if meraki::begins(message) => return meraki::read(event, message),
        b'd' | b'l' | b't' if fortinet::begins(message) => {
            return Some(fortinet::read(event, message, options));
        }
        // It reads its own, once the tag is known.
        b'N' if netscreen::begins(message) && !may_be_marked(message) => return None,
        _ => {}
    }
    if let Some(first_value) = pairs_alone(message) {
        return keyvalue::read_pairs(event, message, message, first_value, options);
    }
    read_marked(event, message, options)
}

/// The dialects that are known by marks within the message.
fn read_marked<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    options: &Options,
) -> Option<&'static str> {
    // Most messages have none of the marks that these readers need: one look tells.
    let first = *message.as_bytes().first()?;
    let bytes = message.as_bytes();
    let colon = memchr::memchr(b':', bytes).is_some();
    let marked = memchr::memchr2(b'=', b'|', bytes).is_some();
    let comma = || memchr::memchr(b',', bytes).is_some();
    if (colon || marked)
        && let Some(form) = checkpoint::form(message)
    {
        return Some(checkpoint::read(event, message, form, options));
    }
    if marked && let Some((before, marked)) = behind_words(message) {
        if event.app.is_none() {
            event.app = before.map(Cow::Borrowed);
        }
        return read(event, marked, options);
    }
    // Nobody else begins as these do.
    if keyvalue::begins(message) {
        return keyvalue::read(event, message, options);
    }
    if matches!(first, b'A' | b'N' | b'S' | b'T' | b'W')
        && let Some(format) = barracuda::read(event, message)
    {
        return Some(format);
    }
    // Its topics have a comma behind the first, its packets before the protocol.
    if (colon || first.is_ascii_lowercase())
        && comma()
        && let Some(format) = mikrotik::read(event, message)
    {
        return Some(format);
    }
    if !marked {
        return None;
    }
    watchguard::read(event, message).or_else(|| keyvalue::read(event, message, options))
}

/// Pairs in which no reader but that of pairs finds something: where the first value begins.
fn pairs_alone(message: &str) -> Option<usize> {
    let (key, first_value) = pairs::leading_key(message)?;
    let others = match key {
        "msg_id" => true,
        "time" | "hostname" => memchr::memchr(b'|', message.as_bytes()).is_some(),
        _ => false,
    };
    (!others && !may_be_marked(message)).then_some(first_value)
}

/// False where no colon can be one of `CEF:`, `LEEF:`, MikroTik's ` out:` or WatchGuard's `: msg_id=`:
/// fields stand behind other words in no message without these.
pub(crate) fn may_be_marked(message: &str) -> bool {
    let front = &message.as_bytes()[..message.len().min(MAX_MARK)];
    memchr::memchr_iter(b':', front)
        .any(|at| matches!(front[..at], [.., b'F' | b't']) || front[at + 1..].starts_with(b" m"))
}

/// Where a short mark that ends in a colon or an equals sign first stands: its last byte is rare, so
/// that one quick look often tells that there is none.
pub(crate) fn mark(front: &[u8], mark: &[u8]) -> Option<usize> {
    let last = *mark.last()?;
    memchr::memchr_iter(last, front)
        .find(|at| front[..=*at].ends_with(mark))
        .map(|at| at + 1 - mark.len())
}

/// CEF or LEEF behind a host or a program's name that no colon closed: the last word before it, and
/// what begins there.
fn behind_words(message: &str) -> Option<(Option<&str>, &str)> {
    let front = &message.as_bytes()[..message.len().min(MAX_BEFORE)];
    // Its letter is rarer than its colon.
    let at = memchr::memchr_iter(b'F', front)
        .find(|at| front.get(at + 1) == Some(&b':') && front[..*at].ends_with(b"E"))?
        - 1;
    let start = match &front[..at] {
        [.., b' ', b'C'] => at - 1,
        [.., b' ', b'L', b'E'] => at - 2,
        _ => return None,
    };
    let (before, marked) = message.split_at(start);
    let word = before.trim_matches([' ', ':']).rsplit(' ').next();
    is_marked(marked).then(|| (word.filter(|word| pairs::is_key(word)), marked))
}

/// True where nothing but the peer's address is known of the device.
fn lacks_host(event: &Event<'_>) -> bool {
    event.relay.is_none() && event.host == peer_host(&event.peer)
}

/// The device names itself; whoever was taken for it passed its message on.
fn set_origin<'a>(event: &mut Event<'a>, host: &'a str) {
    if !host.is_empty() && host.len() <= 255 && event.host != host {
        let relay = event.relay.take();
        set_host(event, host, None);
        // The header's host is nearer to the device than who the header's relay was.
        event.relay = event.relay.take().or(relay);
    }
}

/// A grade of security products: 0 to 10, or a word. CEF gives the bands.
fn graded(word: &str) -> Option<Severity> {
    if let Ok(grade) = word.parse::<u8>() {
        return match grade {
            0..=3 => Some(Severity::NOTICE),
            4..=6 => Some(Severity::WARNING),
            7..=8 => Some(Severity::ERROR),
            9..=10 => Some(Severity::CRITICAL),
            _ => None,
        };
    }
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    match () {
        () if is("low") => Some(Severity::NOTICE),
        () if is("medium") => Some(Severity::WARNING),
        () if is("high") => Some(Severity::ERROR),
        () if is("very-high") || is("veryhigh") => Some(Severity::CRITICAL),
        () => Severity::parse(word),
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::{Id, Source, Timestamp};
    use proptest::prelude::*;

    use super::*;

    /// What pairs are made of, and the marks of the others.
    const PIECES: &[&str] = &[
        "a=1",
        "time=1",
        "hostname=h",
        "msg_id=\"3000\"",
        " ",
        " b=2",
        " c=\"x y\"",
        "|",
        "|product=p",
        ":",
        ": ",
        ", ",
        "F:",
        " CEF:0|a|b|1|2|n|3|x=y",
        " LEEF:1.0|a|b|1|2|x=y",
        "forward: in:e1 out:e2, proto TCP, 192.0.2.1:1->192.0.2.2:2, len 64",
        " out:",
        "in:",
        "w msg_id=\"3000\"",
        "NetScreen device_id=fw1  [Root]system-notification-1(a): s=1",
        "word",
    ];

    fn long(pieces: &[&str], spaces: usize) -> String {
        pieces.concat().replacen(' ', &" ".repeat(1 + spaces), 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn marks_are_not_missed(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..8),
            spaces in prop_oneof![Just(0usize), 100usize..170],
        ) {
            let text = long(&pieces, spaces);
            let quick = pairs_alone(&text).is_some()
                || (netscreen::begins(&text) && !may_be_marked(&text));
            if quick && !fortinet::begins(&text) {
                let given = |read: fn(&mut Event<'static>, &'static str, &Options) -> _| {
                    let text: &'static str = text.clone().leak();
                    let (id, time) = (Id::default(), Timestamp::default());
                    let mut event = Event::from_raw(id, time, Source::Syslog, "", "", b"");
                    let format: Option<&'static str> = read(&mut event, text, &Options::default());
                    event.message = Cow::Borrowed(text);
                    (format, event)
                };
                prop_assert_eq!(given(read), given(read_marked));
            }
        }
    }
}
