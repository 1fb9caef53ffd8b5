//! Which zone a source's clock runs in, where the operator says so: rules by address, network or name
//! of host, the first that matches.

use std::net::IpAddr;

use mutt_model::event;

use super::Zone;

/// One rule.
#[derive(Clone, Debug)]
pub struct ZoneRule {
    /// Whom it is for.
    pub sources: Vec<SourcePattern>,
    /// The zone of their stamps that carry none.
    pub zone: Zone,
}

/// Sources, as an operator writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePattern {
    /// An address or a network: the bits from the left that must agree.
    Net(IpAddr, u8),
    /// A host's name in lower case; `*` stands for any characters.
    Name(String),
}

impl SourcePattern {
    /// Reads `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`, `edge-*`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address, width(address)));
        }
        if let Some((address, bits)) = text.split_once('/')
            && let Ok(address) = address.parse::<IpAddr>()
        {
            return match bits.parse() {
                Ok(bits) if bits <= width(address) => Ok(Self::Net(address, bits)),
                _ => Err(format!("`{text}`: the prefix is a number up to {}", width(address))),
            };
        }
        let name = |c: char| c.is_alphanumeric() || "*.-_:/@".contains(c);
        if text.is_empty() || text.len() > 255 || !text.chars().all(name) {
            return Err(format!("`{text}` is no address, no network and no name of a host"));
        }
        Ok(Self::Name(text.to_lowercase()))
    }

    fn matches(&self, address: Option<IpAddr>, name: &str) -> bool {
        match self {
            Self::Net(net, bits) => address.is_some_and(|address| within(*net, *bits, address)),
            Self::Name(pattern) => glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn within(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    net.is_ipv4() == address.is_ipv4()
        && (number(net) ^ number(address)).leading_zeros() >= u32::from(bits)
}

/// True when the pattern, in lower case, matches the whole name in any case.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == name[n].to_ascii_lowercase() => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                // The star takes one byte more.
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host.split('%').next().unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The zone of the first rule that matches the sender's address, the device or its relay.
#[inline(never)]
pub(super) fn rule_for<'z>(
    rules: &'z [ZoneRule],
    host: &str,
    relay: Option<&str>,
    peer: &str,
) -> Option<&'z Zone> {
    let peer = event::peer_host(peer);
    let names = [host, relay.unwrap_or(peer), peer];
    let sources = names.map(|name| (address(name), name));
    let matches = |pattern: &SourcePattern| {
        sources.iter().any(|(address, name)| pattern.matches(*address, name))
    };
    rules.iter().find(|rule| rule.sources.iter().any(matches)).map(|rule| &rule.zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_matched() {
        let check = |pattern: &str, source: &str, expected: bool| {
            let pattern = SourcePattern::parse(pattern).expect(pattern);
            assert_eq!(pattern.matches(address(source), source), expected, "{pattern:?} {source}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::7", true);
        check("2001:db8::/32", "2001:db9::7", false);
        check("192.0.2.0/24", "::ffff:192.0.2.9", true);
        check("fe80::/10", "fe80::1%eth0", true);
        check("edge-*", "EDGE-7.example.net", true);
        check("edge-*", "core-7", false);
        check("*.example.net", "a.b.example.net", true);
        check("*-*-sw", "a-b-c-sw", true);
        check("*", "", true);
        check("edge", "edge1", false);
        check("edge1", "edge", false);
    }

    #[test]
    fn what_is_no_source_is_told() {
        for text in ["", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/x", "two words", "a;b"] {
            assert!(SourcePattern::parse(text).is_err(), "{text}");
        }
    }
}
