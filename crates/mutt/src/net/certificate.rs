//! Whose certificate it is: the common name and the alternative names of an X.509 certificate, as people
//! know them. Whether the certificate is good has been decided before.

use std::net::IpAddr;

/// Names that are shown of one certificate.
const NAMES_MAX: usize = 8;
/// Characters that are shown of one name.
const NAME_CHARACTERS_MAX: usize = 128;

const SEQUENCE: u8 = 0x30;
/// `[0]`, the version.
const VERSION: u8 = 0xa0;
/// `[3]`, the extensions.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// `CN=sender.test, DNS:sender.test, IP:192.0.2.7`; empty when nothing of it can be read.
#[must_use]
pub fn names(der: &[u8]) -> String {
    let mut found = Vec::new();
    let _ = read(der, &mut found);
    found.truncate(NAMES_MAX);
    found.join(", ")
}

fn read(der: &[u8], found: &mut Vec<String>) -> Option<()> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature, issuer, validity.
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (_, subject, mut fields) = element(fields)?;
    for set in elements(subject) {
        for pair in elements(set.1) {
            let mut parts = elements(pair.1);
            let (name, value) = (parts.next()?, parts.next()?);
            if name.1 == COMMON_NAME {
                found.push(format!("CN={}", shown(value.1)));
            }
        }
    }
    while let Some((tag, value, rest)) = element(fields) {
        fields = rest;
        if tag != EXTENSIONS {
            continue;
        }
        for extension in elements(element(value)?.1) {
            let mut parts = elements(extension.1);
            if parts.next()?.1 == ALTERNATIVE_NAMES {
                // Behind an optional mark of importance.
                let names = element(parts.last()?.1).filter(|(tag, ..)| *tag == SEQUENCE)?.1;
                found.extend(elements(names).filter_map(|(kind, name)| alternative(kind, name)));
            }
        }
    }
    Some(())
}

fn alternative(kind: u8, name: &[u8]) -> Option<String> {
    match kind {
        0x81 => Some(format!("email:{}", shown(name))),
        0x82 => Some(format!("DNS:{}", shown(name))),
        0x86 => Some(format!("URI:{}", shown(name))),
        0x87 => {
            let address = <[u8; 4]>::try_from(name)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from));
            address.ok().map(|address| format!("IP:{address}"))
        }
        _ => None,
    }
}

/// Text of a sender for a log line: bounded, and without what a terminal would obey.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(NAME_CHARACTERS_MAX).map(plain).collect()
}

/// The elements that stand one behind the other.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, value))
    })
}

/// Tag, value, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(long & 0x7f)?;
            (octets.iter().fold(0, |n, octet| n << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(common: Option<&str>, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Operations");
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_shown_by_its_names() {
        let check = |common, alternative: &[&str], expected: &str| {
            assert_eq!(names(&certificate(common, alternative)), expected);
        };
        check(Some("edge-r1"), &[], "CN=edge-r1");
        check(Some("edge-r1"), &["a.test", "192.0.2.7"], "CN=edge-r1, DNS:a.test, IP:192.0.2.7");
        check(None, &["2001:db8::7"], "IP:2001:db8::7");
        check(Some("M\u{fc}nchen\u{1b}[2J"), &[], "CN=M\u{fc}nchen\u{fffd}[2J");
        let many: Vec<String> = (0..20).map(|n| format!("n{n}.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(names(&certificate(None, &many)).matches("DNS:").count(), NAMES_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(at in 0usize..400, byte: u8, cut in 0usize..600) {
            let mut der = certificate(Some("edge-r1"), &["a.test"]);
            let at = at.min(der.len() - 1);
            der[at] = byte;
            der.truncate(cut);
            let _ = names(&der);
        }

        #[test]
        fn nor_does_noise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = names(&bytes);
        }
    }
}
