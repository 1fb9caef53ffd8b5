//! WatchGuard Firebox: `SERIAL firewall: msg_id="3000-0148" Deny 1-Trusted 0-External 52 tcp 20 127
//! 192.0.2.1 198.51.100.2 43123 443 ... geo_dst="USA" (Policy-00)`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use mutt_model::Event;

use super::MAX_MARK;
use super::map::{MAX_FIELDS, Map, Type, Value};
use super::pairs::Spaced;
use crate::octets::hash;
use crate::syslog::format;

const MARK: &str = "msg_id=\"";
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
/// So many words are looked at for the packet.
const MAX_WORDS: usize = 32;

fn is_number(key: &str) -> bool {
    matches!(
        key,
        "rc" | "duration"
            | "sent_pkts"
            | "rcvd_pkts"
            | "sent_bytes"
            | "rcvd_bytes"
            | "src_port"
            | "dst_port"
            | "pri"
            | "sig_vers"
    )
}

/// Where the message begins, and what the serial number, the device's name and the process before it
/// are.
fn front(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(MARK) {
        return Some(("", text));
    }
    let near = &text.as_bytes()[..text.len().min(MAX_MARK)];
    let at = FINDER.find(near)?;
    let before = text[..at].strip_suffix(": ")?;
    (before.split(' ').count() <= 3).then(|| (before, &text[at..]))
}

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (before, text) = front(message)?;
    let (id, rest) = text[MARK.len()..].split_once('"')?;
    let mut map = Map::with_capacity(message, 24);
    if !before.is_empty() {
        let mut words = before.rsplit(' ');
        let process = words.next().unwrap_or_default();
        let (name, pid) = process.split_once('[').unwrap_or((process, ""));
        event.app = Some(Cow::Borrowed(name)).filter(|name| !name.is_empty());
        event.procid = Some(Cow::Borrowed(pid.trim_end_matches(']'))).filter(|p| !p.is_empty());
        map.push("serial", before.split(' ').next().filter(|word| *word != process).unwrap_or(""));
        event.message = Cow::Borrowed(text);
    }
    map.push("msg_id", id);
    event.mnemonic = Some(Cow::Borrowed(id)).filter(|id| !id.is_empty());
    packet(rest, &mut map);
    for (key, raw) in Spaced::new(rest).take(MAX_FIELDS + 1) {
        map.push_pair((key, hash(key.as_bytes())), raw, b"", Type::number(is_number(key)));
    }
    if let Some(policy) = rest.trim_end().strip_suffix(')').and_then(|r| r.rsplit_once('(')) {
        map.push("policy", policy.1);
    }
    map.finish(event);
    Some(format::WATCHGUARD)
}

/// `Deny 1-Trusted 0-External 52 tcp 20 127 192.0.2.1 198.51.100.2 43123 443`: names of interfaces may
/// have spaces, so that the numbers and addresses are what is looked for.
fn packet<'a>(text: &'a str, map: &mut Map<'a>) {
    let text = text.trim_start_matches(' ');
    let mut words = [""; MAX_WORDS];
    let mut count = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()).take(MAX_WORDS) {
        words[count] = word;
        count += 1;
    }
    let words = &words[..count];
    let number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let address = |word: &str| word.parse::<IpAddr>().is_ok();
    let found = (1..count.saturating_sub(5)).find(|&at| {
        number(words[at])
            && (number(words[at + 2]) && number(words[at + 3]))
            && (address(words[at + 4]) && address(words[at + 5]))
    });
    let Some(at) = found else { return };
    map.push("disposition", words[0]);
    if at == 3 {
        map.push("in_interface", words[1]);
        map.push("out_interface", words[2]);
    }
    let numbers = [("length", at), ("ttl", at + 3)];
    for (name, place) in numbers {
        map.push(name, Value::typed(Cow::Borrowed(words[place]), true));
    }
    map.push("protocol", words[at + 1]);
    map.push("src", words[at + 4]);
    map.push("dst", words[at + 5]);
    for (name, place) in [("srcport", at + 6), ("dstport", at + 7)] {
        if let Some(word) = words.get(place).filter(|word| number(word)) {
            map.push(name, Value::typed(Cow::Borrowed(word), true));
        }
    }
}
