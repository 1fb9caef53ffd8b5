//! MikroTik RouterOS: topics in front (`firewall,info `), and the firewall's
//! `forward: in:ether1 out:bridge, proto TCP (SYN), 192.0.2.1:1->192.0.2.2:2, len 64`.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use mutt_model::{Event, Severity};

use super::map::{Map, Value};
use super::pairs::is_key;
use super::{MAX_MARK, mark};
use crate::syslog::format;
use crate::text::Words;

/// Topics that nobody else writes with a comma behind them.
static TOPICS: Words<28> = Words::new([
    "account",
    "backup",
    "bfd",
    "bgp",
    "bridge",
    "caps",
    "certificate",
    "dhcp",
    "dns",
    "firewall",
    "hotspot",
    "interface",
    "ipsec",
    "l2tp",
    "lte",
    "mpls",
    "ntp",
    "ospf",
    "ovpn",
    "ppp",
    "pppoe",
    "pptp",
    "radius",
    "route",
    "script",
    "system",
    "watchdog",
    "wireless",
]);
const LEVELS: [(&str, Severity); 5] = [
    ("critical", Severity::CRITICAL),
    ("error", Severity::ERROR),
    ("warning", Severity::WARNING),
    ("info", Severity::INFO),
    ("debug", Severity::DEBUG),
];

/// Topics and what stands behind them.
fn topics(text: &str) -> Option<(&str, &str)> {
    let front = &text.as_bytes()[..text.len().min(64)];
    let letter = |b: &u8| b.is_ascii_lowercase() || matches!(b, b'-' | b'!' | b'0'..=b'9');
    let comma = front.iter().position(|b| !letter(b)).filter(|at| front[*at] == b',')?;
    if !TOPICS.contains(&text[..comma]) {
        return None;
    }
    let end = comma + memchr::memchr(b' ', &front[comma..])?;
    let word =
        text[..end].bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b',' | b'-' | b'!'));
    word.then(|| (&text[..end], &text[end + 1..]))
}

/// The packet that the firewall tells of, chain and prefix before it.
fn packet(text: &str) -> Option<(&str, &str)> {
    static OUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" out:"));
    let front = &text.as_bytes()[..text.len().min(MAX_MARK)];
    // The rarer of the two first: most texts have neither.
    OUT.find(front)?;
    let at = mark(front, b"in:")?;
    mark(&front[at..], b" out:")?;
    let before = text[..at].trim_end_matches(' ');
    let chained = before.is_empty() || before.ends_with(':');
    (chained && text[at..].contains(", proto ")).then(|| (before, &text[at..]))
}

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (topics, text) = match topics(message) {
        Some((topics, text)) => (topics, text),
        None => ("", message),
    };
    let packet = packet(text);
    if topics.is_empty() && packet.is_none() {
        return None;
    }
    let mut map = Map::with_capacity(message, 16);
    for topic in topics.split(',') {
        map.push("topics", topic);
        let level = LEVELS.iter().find(|(name, _)| *name == topic).map(|(_, level)| *level);
        event.severity = event.severity.or(level);
    }
    if event.app.is_none() && !topics.is_empty() {
        event.app = topics.split(',').next().map(Cow::Borrowed);
    }
    if let Some((before, packet)) = packet {
        read_packet(before, packet, event, &mut map);
    }
    map.finish(event);
    Some(format::MIKROTIK)
}

fn read_packet<'a>(before: &'a str, packet: &'a str, event: &mut Event<'a>, map: &mut Map<'a>) {
    // `prefix forward:`; where the chain was taken for the tag, the tag is it.
    let before = before.trim_end_matches(':');
    match before.rsplit_once(' ') {
        Some((prefix, chain)) => {
            map.push("prefix", prefix);
            map.push("chain", chain);
        }
        None if before.is_empty() => {
            if let Some(Cow::Borrowed(tag)) = event.app {
                map.push("chain", tag);
            }
        }
        None => map.push("chain", before),
    }
    let (interfaces, rest) = packet.split_once(", ").unwrap_or((packet, ""));
    let (inside, outside) = interfaces.split_once(" out:").unwrap_or((interfaces, ""));
    map.push("in", inside.trim_start_matches("in:"));
    map.push("out", outside);
    for part in rest.split(", ").take(16) {
        if let Some((from, to)) = part.split_once("->").filter(|_| !part.starts_with("NAT ")) {
            endpoint(from, "src", "srcport", map);
            endpoint(to, "dst", "dstport", map);
        } else if let Some((key, value)) =
            part.split_once([' ', ':']).filter(|(key, _)| is_key(key))
        {
            match key {
                "proto" => {
                    let (proto, flags) = value.split_once(' ').unwrap_or((value, ""));
                    map.push(key, proto);
                    map.push("flags", flags.trim_matches(['(', ')']));
                }
                "len" => map.push(key, Value::typed(Cow::Borrowed(value), true)),
                _ => map.push(key, value),
            }
        }
    }
}

fn endpoint<'a>(text: &'a str, address: &'static str, port: &'static str, map: &mut Map<'a>) {
    match text.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
            map.push(address, host.trim_matches(['[', ']']));
            map.push(port, Value::typed(Cow::Borrowed(number), true));
        }
        _ => map.push(address, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_known_words() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            assert_eq!(topics(text), expected, "{text}");
        };
        check("firewall,info forward: in:a", Some(("firewall,info", "forward: in:a")));
        check("system,info,account user a", Some(("system,info,account", "user a")));
        check("hello,world text", None);
        check("system restarted", None);
        check("firewall,info", None);
    }
}
