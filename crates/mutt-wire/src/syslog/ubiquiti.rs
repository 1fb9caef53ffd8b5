//! Ubiquiti: what UniFi access points and switches write in the place of a host or tag
//! (`("U7LT,802aa8000001,v3.7.17.5220") hostapd: ...`, `802aa8000001,UAP-AC-Lite-6.8.2+15592: mcad: ...`),
//! and the firewall log of EdgeOS.

use std::borrow::Cow;

use mutt_model::Event;

use super::devices::{Name, fields, names, until};
use super::{format, set_host};
use crate::octets::rfind;
use crate::text::near;

/// A UniFi device as it names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device<'a> {
    pub(crate) model: &'a str,
    pub(crate) mac: &'a str,
    pub(crate) version: &'a str,
    pub(crate) rest: &'a str,
}

/// Reads a device's own description at the front of a text.
pub(crate) fn device(text: &str) -> Option<Device<'_>> {
    let (inside, rest) = match text.strip_prefix('(') {
        Some(inside) => {
            let (inside, rest) = until(inside, b')')?;
            (inside.trim_matches('"'), rest)
        }
        None => {
            let (word, rest) = text.split_at(near(b' ', text.as_bytes())?);
            // Nearly every word that stands here has no comma.
            near(b',', word.as_bytes())?;
            let rest = &rest[1..];
            (word.strip_suffix(':').unwrap_or(word), rest)
        }
    };
    if inside.len() > 96 {
        return None;
    }
    let (first, behind) = until(inside, b',')?;
    let rest = rest.trim_start_matches([' ', ':']);
    if is_mac(first) {
        // `UAP-AC-Lite-6.8.2+15592`: the version is the last part that begins with a digit.
        let (model, version) = rfind(behind.as_bytes(), b'-')
            .map(|at| (&behind[..at], &behind[at + 1..]))
            .filter(|(_, version)| version.as_bytes().first().is_some_and(u8::is_ascii_digit))
            .unwrap_or((behind, ""));
        return Some(Device { model, mac: first, version, rest });
    }
    let (mac, version) = behind.split_once(',').unwrap_or((behind, ""));
    is_mac(mac).then_some(Device { model: first, mac, version, rest })
}

fn is_mac(word: &str) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    match word.as_bytes() {
        plain if plain.len() == 12 => hex(plain),
        parted if parted.len() == 17 => {
            parted.chunks(3).all(|part| hex(&part[..2]) && part.get(2).is_none_or(|b| *b == b':'))
        }
        _ => false,
    }
}

static FIELDS: [Name; 3] = names(["model", "mac", "version"]);

/// Puts the device, which this text names, into the event; where no host was named, its MAC address is
/// the host.
pub(crate) fn take<'a>(event: &mut Event<'a>, text: &str, device: Device<'a>, named: bool) {
    if !named {
        set_host(event, device.mac, None);
    }
    let version = device.version.trim_start_matches('v');
    event.fields = fields(text, &FIELDS, [device.model, device.mac, version]);
    event.parse.format = Cow::Borrowed(format::UBIQUITI);
}

/// `TRAPMGR: Link Up: 0/9`: the switch's port.
pub(crate) fn port(text: &str) -> Option<&str> {
    let first = memchr::memchr(b'L', text.as_bytes())?;
    let behind = |mark: &str| {
        memchr::memchr_iter(b'L', &text.as_bytes()[first..])
            .map(|at| first + at)
            .find(|at| text.as_bytes()[*at..].starts_with(mark.as_bytes()))
            .map(|at| at + mark.len())
    };
    let at = behind("Link Up: ").or_else(|| behind("Link Down: "))?;
    let port = text[at..].split(' ').next().unwrap_or_default();
    (!port.is_empty() && port.len() <= 16).then_some(port)
}

/// `[WAN_LOCAL-default-D]IN=eth0 OUT= ...`: rule set, rule and what was done.
pub(crate) fn firewall<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    // Before the rule the kernel may write its uptime.
    let message = match message.strip_prefix('[').and_then(|inside| until(inside, b']')) {
        Some((uptime, behind)) if is_uptime(uptime) => behind.trim_start_matches(' '),
        _ => message,
    };
    let (rule, behind) = until(message.strip_prefix('[')?, b']')?;
    let done = matches!(rule.rsplit('-').next(), Some("A" | "D" | "R" | "RET")) || {
        rule.rsplit('-').next().is_some_and(|last| last.len() > 4 && last.parse::<u64>().is_ok())
    };
    let behind = behind.trim_start_matches(' ');
    if !done || !(behind.starts_with("IN=") || behind.starts_with("DESCR=")) {
        return None;
    }
    event.mnemonic = Some(Cow::Borrowed(rule));
    let device = behind.find("IN=").map(|at| &behind[at + 3..]).and_then(|text| until(text, b' '));
    if let Some((device, _)) = device.filter(|(device, _)| !device.is_empty()) {
        event.resource = Some(Cow::Borrowed(device));
    }
    Some(format::UBIQUITI)
}

fn is_uptime(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_name_themselves() {
        let check = |text: &str, expected: Option<(&str, &str, &str, &str)>| {
            let got = device(text).map(|d| (d.model, d.mac, d.version, d.rest));
            assert_eq!(got, expected, "{text}");
        };
        let mac = "802aa8000001";
        check(
            "(\"U7LT,802aa8000001,v3.7.17.5220\") hostapd: x",
            Some(("U7LT", mac, "v3.7.17.5220", "hostapd: x")),
        );
        check("(BZ2LR,802aa8000001,v3.2.5.2791) x", Some(("BZ2LR", mac, "v3.2.5.2791", "x")));
        check(
            "802aa8000001,UAP-AC-Lite-6.8.2+15592: mcad: x",
            Some(("UAP-AC-Lite", mac, "6.8.2+15592", "mcad: x")),
        );
        check(
            "BZ2,80:2a:a8:00:00:01,v6.6.55: hostapd: x",
            Some(("BZ2", "80:2a:a8:00:00:01", "v6.6.55", "hostapd: x")),
        );
        check("a,b,c: x", None);
        check("(a", None);
        check("word", None);
        check("80:2a:a8-00:00:01,b: x", None);
    }
}
