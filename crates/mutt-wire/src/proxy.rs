//! The header of the PROXY protocol, versions 1 and 2: whose connection a proxy passes on.
//!
//! The reader says how many bytes certainly still belong to the header, so that a caller who reads no
//! more than that has nothing of what follows in its hands (a TLS handshake, a message).
//!
//! ```
//! use mutt_wire::proxy::{Parsed, parse};
//!
//! let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 40022 514\r\n";
//! assert_eq!(parse(&header[..20]), Parsed::NeedMore(2));
//! let client = Some("192.0.2.7:40022".parse().unwrap());
//! assert_eq!(parse(header), Parsed::Header { consumed: header.len(), client });
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read: version 2 may carry a certificate's names behind the addresses.
pub const HEADER_BYTES_MAX: usize = 4_096;

/// Both versions are at least this long: `PROXY UNKNOWN` with its CR LF.
const SHORTEST: usize = 15;
/// Version 1 is a line of at most this length, with CR LF.
const LINE_MAX: usize = 107;
const WORD: &[u8] = b"PROXY ";
/// How version 2 begins: no text protocol does.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// What stands at the front of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// So many more bytes are the header's for certain, and perhaps more after them.
    NeedMore(usize),
    /// The header is whole.
    Header {
        /// Its length.
        consumed: usize,
        /// Who has connected to the proxy; `None` when the proxy speaks for itself (a health check) or
        /// does not know.
        client: Option<SocketAddr>,
    },
    /// It is no header; says why.
    Malformed(&'static str),
}

/// Reads the header at the front of `buf`.
#[must_use]
pub fn parse(buf: &[u8]) -> Parsed {
    let begins = |with: &[u8]| {
        let common = buf.len().min(with.len());
        buf[..common] == with[..common]
    };
    if !begins(WORD) && !begins(SIGNATURE) {
        return Parsed::Malformed("it does not begin with a PROXY header");
    }
    if buf.len() < SHORTEST {
        if begins(WORD)
            && memchr::memchr2(b'\r', b'\n', &buf[..buf.len().min(SHORTEST - 2)]).is_some()
        {
            return Parsed::Malformed("the line of version 1 is too short");
        }
        return Parsed::NeedMore(SHORTEST - buf.len());
    }
    if begins(WORD) { line(buf) } else { binary(buf) }
}

/// Version 1.
fn line(buf: &[u8]) -> Parsed {
    let window = &buf[..buf.len().min(LINE_MAX)];
    let Some(cr) = memchr::memchr2(b'\r', b'\n', window) else {
        return if window.len() < LINE_MAX {
            Parsed::NeedMore(2)
        } else {
            Parsed::Malformed("the line of version 1 does not end")
        };
    };
    match buf.get(cr + 1) {
        _ if buf[cr] == b'\n' => {
            return Parsed::Malformed("the line of version 1 does not end in CR LF");
        }
        None if cr + 1 < LINE_MAX => return Parsed::NeedMore(1),
        Some(b'\n') if cr + 2 <= LINE_MAX => {}
        _ => return Parsed::Malformed("the line of version 1 does not end in CR LF"),
    }
    let Ok(text) = std::str::from_utf8(&buf[WORD.len()..cr]) else {
        return Parsed::Malformed("the line of version 1 is no ASCII");
    };
    let consumed = cr + 2;
    let mut words = text.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Parsed::Header { consumed, client: None };
    }
    let mut next = || words.next().unwrap_or_default();
    let (from, to, from_port, to_port) = (next(), next(), next(), next());
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(|address: Ipv6Addr| IpAddr::V6(address).to_canonical()),
            _ => None,
        }
    };
    let addresses = address(from).zip(address(to));
    let ports = port(from_port).zip(port(to_port));
    match (addresses, ports, words.next()) {
        (Some((from, _)), Some((port, _)), None) => {
            Parsed::Header { consumed, client: Some(SocketAddr::new(from, port)) }
        }
        _ => Parsed::Malformed("family, addresses or ports of version 1 are none"),
    }
}

/// A decimal number without leading zeros.
fn port(text: &str) -> Option<u16> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

/// Version 2.
fn binary(buf: &[u8]) -> Parsed {
    if buf.len() < FIXED {
        return Parsed::NeedMore(FIXED - buf.len());
    }
    let (version, command) = (buf[12] >> 4, buf[12] & 0x0f);
    let (family, transport) = (buf[13] >> 4, buf[13] & 0x0f);
    let rest = usize::from(u16::from_be_bytes([buf[14], buf[15]]));
    let consumed = FIXED + rest;
    if version != 2 || command > 1 || family > 3 || transport > 2 {
        return Parsed::Malformed("version, command or family of version 2 are none");
    }
    if consumed > HEADER_BYTES_MAX {
        return Parsed::Malformed("the header of version 2 is too long");
    }
    let needed = match family {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    if rest < needed {
        return Parsed::Malformed("the addresses of version 2 are cut off");
    }
    if buf.len() < consumed {
        return Parsed::NeedMore(consumed - buf.len());
    }
    let at = &buf[FIXED..consumed];
    let client = match (command, family) {
        (1, 1) => address::<4>(at, 0)
            .zip(number(at, 8))
            .map(|(octets, port)| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port)),
        (1, 2) => address::<16>(at, 0).zip(number(at, 32)).map(|(octets, port)| {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(), port)
        }),
        _ => None,
    };
    Parsed::Header { consumed, client }
}

fn address<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    address::<2>(bytes, at).map(u16::from_be_bytes)
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
