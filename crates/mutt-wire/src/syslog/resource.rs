//! The thing on the device that a message is about: an interface, a neighbour. Only what network
//! devices say in fixed phrases is taken; no phrase, no resource.

use std::borrow::Cow;
use std::net::IpAddr;

use super::format;
use crate::octets;
use crate::text::{Words as Known, kind, made_of, near};

/// Longer messages name what they are about early.
const MAX_SEARCH: usize = 512;
const MAX_NAME: usize = 64;

/// Looks for the resource in the text behind the mnemonic.
pub(crate) fn find<'a>(text: &'a str, dialect: &str) -> Option<Cow<'a, str>> {
    let mut end = text.len().min(MAX_SEARCH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let mut words = Words { text, at: 0 };
    let mut previous = "";
    let mut first = true;
    while let Some(word) = words.next() {
        if let Some(found) = at_word(word, previous, first, words, dialect) {
            return Some(found);
        }
        // A lone colon stands behind the mnemonic of IOS-XR.
        first = first && word == ":";
        previous = word;
    }
    None
}

#[derive(Clone, Copy)]
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let mut from = self.at;
        while let Some(b' ' | b':') = bytes.get(from) {
            from += 1;
        }
        let behind = bytes.get(from..)?;
        self.at = near(b' ', behind).map_or(bytes.len(), |len| from + len);
        let word = &self.text[from..self.at];
        (!word.is_empty()).then_some(word)
    }
}

/// The words of the phrases, so that other words cost little.
static PHRASES: Known<17> = Known::new([
    "Interface",
    "interface",
    "ifName",
    "port",
    "Port",
    "Intf",
    "intf",
    "neighbor",
    "Neighbor",
    "peer",
    "Peer",
    "Nbr",
    "nbr",
    "addr",
    "from",
    "to",
    "SystemID",
]);

fn at_word<'a>(
    word: &'a str,
    previous: &str,
    first: bool,
    mut ahead: Words<'a>,
    dialect: &str,
) -> Option<Cow<'a, str>> {
    if !first && dialect != format::JUNIPER && !PHRASES.may_hold(word) {
        return None;
    }
    match word {
        "Interface" | "interface" | "ifName" | "port" | "Port" | "Intf" | "intf" => {
            interface(ahead).map(|name| canonical_for(name, dialect))
        }
        "neighbor" | "Neighbor" | "peer" | "Peer" | "Nbr" | "nbr" | "addr" => {
            neighbour(ahead).map(Cow::Borrowed)
        }
        "from" if matches!(previous, "received" | "Packet") => {
            ahead.next().and_then(address).map(Cow::Borrowed)
        }
        "to" if previous == "sent" => ahead.next().and_then(address).map(Cow::Borrowed),
        "to" if previous.eq_ignore_ascii_case("adjacency") => {
            ahead.next().map(|name| Cow::Borrowed(name.trim_end_matches([',', '.', ':'])))
        }
        "SystemID" => ahead.next().map(Cow::Borrowed),
        // `GigabitEthernet3/1/6 link status is DOWN`
        _ if first && matches!(dialect, format::HUAWEI | format::HPE_COMWARE) => {
            let port = word.contains('/') && is_interface(word);
            port.then_some(Cow::Borrowed(word))
        }
        _ if dialect == format::JUNIPER && word.len() > 4 => {
            let name = word.trim_end_matches([',', ';', ':', ')', '.']);
            if is_junos_port(name) || (first && is_junos_logical(name)) {
                return Some(Cow::Borrowed(name));
            }
            if first { address(word).map(Cow::Borrowed) } else { None }
        }
        _ => None,
    }
}

/// `GigabitEthernet0/1,`; `ethernet 1/1/36,`, which SNMP calls `ethernet1/1/36`; a name of ASA (`inside, changed state`).
fn interface(mut ahead: Words<'_>) -> Option<Cow<'_, str>> {
    let word = ahead.next()?;
    let after = ahead.next().unwrap_or_default();
    let name = trimmed(word);
    if is_interface(name) {
        return Some(Cow::Borrowed(name));
    }
    let letters = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    if letters && after.starts_with(|c: char| c.is_ascii_digit()) {
        let name = [word, trimmed(after)].concat();
        return (name.len() <= MAX_NAME).then_some(Cow::Owned(name));
    }
    let named = word.ends_with(',') && after == "changed" && name.len() <= MAX_NAME;
    (named && !name.is_empty()).then_some(Cow::Borrowed(name))
}

fn trimmed(word: &str) -> &str {
    let mark = |b: &u8| matches!(b, b',' | b'.' | b';' | b':' | b'(' | b')' | b'"' | b'\'');
    let bytes = word.as_bytes();
    let Some(from) = bytes.iter().position(|b| !mark(b)) else { return "" };
    let end = bytes.iter().rposition(|b| !mark(b)).map_or(from, |at| at + 1);
    &word[from..end]
}

fn is_interface(name: &str) -> bool {
    let bytes = name.as_bytes();
    name.len() <= MAX_NAME
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        // Nearly every name ends in a digit.
        && bytes.iter().rev().any(u8::is_ascii_digit)
        && octets::find(bytes, 0, octets::no_name).is_none_or(|end| match bytes.get(end) {
            Some(b':') => made_of(name, NAME).is_some(),
            other => other.is_none(),
        })
}

/// What the names of interfaces are made of.
const NAME: u16 = kind::LETTER
    | kind::DIGIT
    | kind::SLASH
    | kind::DOT
    | kind::COLON
    | kind::HYPHEN
    | kind::UNDERSCORE;

/// `ge-0/0/12`, `xe-1/0/0:3.0`
fn is_junos_port(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 5
        && bytes[0].is_ascii_lowercase()
        && bytes[1].is_ascii_lowercase()
        && bytes[2] == b'-'
        && bytes[3].is_ascii_digit()
        && name.contains('/')
        && is_interface(name)
}

/// `ae105`, `reth0.0`, `irb.10`
fn is_junos_logical(name: &str) -> bool {
    ["ae", "reth", "irb.", "st0.", "lo0."].iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    })
}

/// The word behind `neighbor`; a remark in brackets between them is passed over, or searched when it
/// is the whole description (`peer (vrf:default, ip:18.11.5.1, intf:Ethernet50/1, ...)`).
fn neighbour(mut ahead: Words<'_>) -> Option<&str> {
    let mut word = ahead.next()?;
    if word.starts_with('(') {
        loop {
            if let Some(found) = word.strip_prefix("ip:").and_then(address) {
                return Some(found);
            }
            let closed = word.ends_with(')');
            word = ahead.next()?;
            if closed {
                break;
            }
        }
    }
    address(word)
}

/// The address at the front of a word, without port (`+51528`), LDP space (`:0`) or remark (`(x)`).
fn address(word: &str) -> Option<&str> {
    let word = word.strip_prefix(['(', '<']).unwrap_or(word);
    if !word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') {
        return None;
    }
    let cut = word.find(['(', ')', ',', ';', '+', '>', '/', '%']).unwrap_or(word.len());
    let word = word[..cut].trim_end_matches('.');
    let is = |text: &str| text.parse::<IpAddr>().is_ok();
    if is(word) {
        return Some(word);
    }
    let (before, behind) = word.rsplit_once(':')?;
    let number = behind.bytes().all(|b| b.is_ascii_digit());
    (number && is(before)).then_some(before)
}

fn canonical_for<'a>(name: Cow<'a, str>, dialect: &str) -> Cow<'a, str> {
    match (dialect, name) {
        (format::JUNIPER | format::HUAWEI | format::HPE_COMWARE, name) => name,
        (_, Cow::Borrowed(name)) => canonical_interface(name),
        (_, Cow::Owned(name)) => Cow::Owned(canonical_interface(&name).into_owned()),
    }
}

/// Cisco's and Arista's short names of interfaces and what they stand for.
const SHORT_NAMES: [(&str, &str); 14] = [
    ("Fa", "FastEthernet"),
    ("Gi", "GigabitEthernet"),
    ("Te", "TenGigabitEthernet"),
    ("Twe", "TwentyFiveGigE"),
    ("Fo", "FortyGigabitEthernet"),
    ("Fi", "FiftyGigE"),
    ("Hu", "HundredGigE"),
    ("Eth", "Ethernet"),
    ("Et", "Ethernet"),
    ("Po", "Port-channel"),
    ("Lo", "Loopback"),
    ("Vl", "Vlan"),
    ("Tu", "Tunnel"),
    ("Se", "Serial"),
];

/// The full name of an interface that Cisco or Arista shortened (`Gi0/1` is `GigabitEthernet0/1`), so
/// that the same port is the same resource wherever it is named; other names as they are.
#[must_use]
pub fn canonical_interface(name: &str) -> Cow<'_, str> {
    let Some(digit) = name.bytes().take(4).position(|b| b.is_ascii_digit()) else {
        return Cow::Borrowed(name);
    };
    let (short, number) = name.split_at(digit);
    match SHORT_NAMES.iter().find(|(known, _)| *known == short) {
        Some((_, long)) => Cow::Owned(format!("{long}{number}")),
        None => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_name_their_resource() {
        let check = |text: &str, dialect: &str, expected: Option<&str>| {
            assert_eq!(find(text, dialect).as_deref(), expected, "{text}");
        };
        let ios = format::CISCO_IOS;
        let junos = format::JUNIPER;
        check(
            ": Interface GigabitEthernet0/1, changed state to down",
            ios,
            Some("GigabitEthernet0/1"),
        );
        check(": Interface Gi0/1, changed state to down", ios, Some("GigabitEthernet0/1"));
        check(": Line protocol on Interface inside, changed state to up", ios, Some("inside"));
        check(" : Interface TenGigE0/2/0/4, changed state to Up", ios, Some("TenGigE0/2/0/4"));
        check(": Interface ethernet 1/1/36, state down", ios, Some("ethernet1/1/36"));
        check(": sent to neighbor 10.0.0.7 4/0 (hold time expired)", ios, Some("10.0.0.7"));
        check(" NOTIFICATION sent to 10.0.0.8+44759 (proto): code 2", junos, Some("10.0.0.8"));
        check(": neighbor 10.0.0.1 Down BGP Notification sent", ios, Some("10.0.0.1"));
        check(": LDP Neighbor 10.0.0.2:0 (1) is UP", ios, Some("10.0.0.2"));
        check(": Process 1, Nbr 10.0.0.3 on Gi2 from FULL to DOWN", ios, Some("10.0.0.3"));
        check(": neighbor 2001:db8::1 Up", ios, Some("2001:db8::1"));
        check(": peer (vrf:default, ip:18.0.0.1, intf:Et5, t) is", ios, Some("18.0.0.1"));
        check(": Peer (VRF: x) 10.0.0.9 DOWN", ios, Some("10.0.0.9"));
        check(": Configured from console by admin", ios, None);
        check(": Disabling port.", ios, None);
        check(" ifIndex 502, ifName ge-0/0/12", junos, Some("ge-0/0/12"));
        check(" ae105: Interface marked down", junos, Some("ae105"));
        check(" 192.0.2.1 (External AS 1): limit", junos, Some("192.0.2.1"));
        check(" reached for ge-1/0/23.0; count 3", junos, Some("ge-1/0/23.0"));
        check("", ios, None);
        check(" Interface", ios, None);
    }

    #[test]
    fn short_names_are_made_long() {
        let check = |name: &str, expected: &str| assert_eq!(canonical_interface(name), expected);
        check("Gi0/1", "GigabitEthernet0/1");
        check("Et7", "Ethernet7");
        check("GigabitEthernet0/1", "GigabitEthernet0/1");
        check("ge-0/0/1", "ge-0/0/1");
        check("inside", "inside");
    }
}
