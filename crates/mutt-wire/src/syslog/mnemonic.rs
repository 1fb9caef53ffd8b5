//! Recognises a vendor by the first words of its message: `%FAC-SEV-MNEMONIC:`, `%%01MOD/4/NAME`,
//! `RPD_BGP_NEIGHBOR_STATE_CHANGED:`.

use mutt_model::Severity;

use super::format;

/// What the first words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) mnemonic: Option<&'a str>,
    pub(crate) severity: Option<Severity>,
    pub(crate) format: &'static str,
    /// A network device speaks: worth looking for an interface or a neighbour.
    pub(crate) look_for_resource: bool,
    /// Where the text behind the mnemonic begins.
    pub(crate) text_at: usize,
}

const MAX_MNEMONIC: usize = 96;

/// Looks at the front of a message. `dialect` is what the header told.
pub(crate) fn read<'a>(message: &'a str, app: Option<&str>, dialect: &'static str) -> Found<'a> {
    let nothing = Found {
        mnemonic: None,
        severity: None,
        format: dialect,
        look_for_resource: !matches!(dialect, format::RFC5424 | format::RFC3164 | format::UNKNOWN),
        text_at: 0,
    };
    match message.as_bytes().first() {
        Some(b'%') if message.starts_with("%%") => huawei(message).unwrap_or(nothing),
        Some(b'%') => match cisco(behind_vdc(message)) {
            Some((name, severity)) => Found {
                mnemonic: Some(name),
                severity: Some(severity),
                format: cisco_dialect(name, app, dialect),
                look_for_resource: true,
                text_at: message.len() - behind_vdc(message).len() + 1 + name.len(),
            },
            None => Found { look_for_resource: true, ..nothing },
        },
        Some(b'A'..=b'Z') => match junos(message) {
            Some(name) if dialect == format::RFC3164 || dialect == format::JUNIPER => Found {
                mnemonic: Some(name),
                format: format::JUNIPER,
                look_for_resource: true,
                text_at: name.len() + 1,
                ..nothing
            },
            _ => by_process(app, nothing),
        },
        _ => by_process(app, nothing),
    }
}

/// NX-OS may name its virtual device context first: `%$ VDC-1 %$ %ETHPORT-5-...`.
fn behind_vdc(message: &str) -> &str {
    let Some(name) = message.strip_prefix("%$ ") else { return message };
    name.split_once(" %$ ").map_or(message, |(_, behind)| behind.trim_start_matches(' '))
}

/// `%FAC-SUB-SEV-NAME` with a colon, a space and a colon, or a space behind it.
fn cisco(message: &str) -> Option<(&str, Severity)> {
    let word = message.strip_prefix('%')?;
    let len = word
        .bytes()
        .take(MAX_MNEMONIC + 1)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.'))
        .count();
    if len > MAX_MNEMONIC || !matches!(word.as_bytes().get(len), None | Some(b':' | b' ')) {
        return None;
    }
    let name = &word[..len];
    let at = name
        .as_bytes()
        .windows(3)
        .position(|w| w[0] == b'-' && matches!(w[1], b'0'..=b'7') && w[2] == b'-')?;
    if at == 0 || at + 3 == len {
        return None;
    }
    Some((name, Severity::new(name.as_bytes()[at + 1] - b'0')?))
}

fn cisco_dialect(name: &str, app: Option<&str>, dialect: &'static str) -> &'static str {
    let facility = name.split('-').next().unwrap_or_default();
    if matches!(facility, "ASA" | "FTD" | "PIX" | "FWSM") {
        return format::CISCO_ASA;
    }
    match dialect {
        format::RFC3164 | format::UNKNOWN if app.is_some() => format::ARISTA_EOS,
        format::RFC3164 | format::UNKNOWN => format::CISCO_IOS,
        other => other,
    }
}

/// `%%01IFNET/4/IF_STATE(l)[4997]:`
fn huawei(message: &str) -> Option<Found<'_>> {
    let word = message.strip_prefix("%%")?;
    if !word.as_bytes().get(..2)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let word = &word[2..];
    let len = word
        .bytes()
        .take(MAX_MNEMONIC)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'))
        .count();
    let name = &word[..len];
    let mut parts = name.split('/');
    let (_, severity, brief) = (parts.next()?, parts.next()?, parts.next()?);
    if brief.is_empty() || parts.next().is_some() || severity.len() != 1 {
        return None;
    }
    let text_at = 4 + len + word[len..].find(':').map_or(0, |colon| colon + 1);
    Some(Found {
        mnemonic: Some(name),
        severity: severity.parse().ok().and_then(Severity::new),
        format: format::HUAWEI,
        look_for_resource: true,
        text_at,
    })
}

/// `SNMP_TRAP_LINK_DOWN:`: capitals with at least one underscore, then a colon.
fn junos(message: &str) -> Option<&str> {
    let len = message
        .bytes()
        .take(MAX_MNEMONIC)
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let name = &message[..len];
    let closed = message.as_bytes().get(len) == Some(&b':');
    (closed && len >= 5 && name.contains('_')).then_some(name)
}

/// Processes that only Junos has.
const JUNOS_PROCESSES: [&str; 34] = [
    "/kernel", "alarmd", "apsd", "bfdd", "cfmd", "chassisd", "cosd", "craftd", "dcd", "dfwd",
    "eswd", "ethd", "fud", "idpd", "jddosd", "jlaunchd", "jsrpd", "kmd", "l2ald", "l2cpd", "lacpd",
    "lfmd", "mgd", "mib2d", "pfed", "ppmd", "rmopd", "rpd", "RT_FLOW", "RT_IDS", "RT_UTM",
    "sampled", "vrrpd", "xntpd",
];

/// Processes of other network devices that write plain sentences: NetIron, SONiC, FRRouting.
const DEVICE_PROCESSES: [&str; 8] =
    ["BGP", "OSPF", "System", "bgpd", "isisd", "orchagent", "ospfd", "zebra"];

fn by_process<'a>(app: Option<&str>, nothing: Found<'a>) -> Found<'a> {
    let junos =
        nothing.format == format::RFC3164 && app.is_some_and(|app| JUNOS_PROCESSES.contains(&app));
    if junos {
        return Found { format: format::JUNIPER, look_for_resource: true, ..nothing };
    }
    let device = app.is_some_and(|app| DEVICE_PROCESSES.contains(&app));
    Found { look_for_resource: nothing.look_for_resource || device, ..nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_known_by_their_first_words() {
        let check = |message: &str, app: Option<&str>, name: Option<&str>, expected: &str| {
            let found = read(message, app, format::RFC3164);
            assert_eq!((found.mnemonic, found.format), (name, expected), "{message}");
        };
        check("%LINK-3-UPDOWN: x", None, Some("LINK-3-UPDOWN"), "cisco-ios");
        check("%LINK-3-UPDOWN: x", Some("Ebra"), Some("LINK-3-UPDOWN"), "arista-eos");
        check("%PKT_INFRA-LINK-3-UPDOWN : x", None, Some("PKT_INFRA-LINK-3-UPDOWN"), "cisco-ios");
        check("%ASA-6-302013: x", None, Some("ASA-6-302013"), "cisco-asa");
        check("%FTD-6-430003: x", None, Some("FTD-6-430003"), "cisco-asa");
        check("%ADJCHANGE: x", None, None, "rfc3164");
        check("%-3-X: x", None, None, "rfc3164");
        check("%A-9-X: x", None, None, "rfc3164");
        check("%A-3-: x", None, None, "rfc3164");
        check("100% of x", None, None, "rfc3164");
        check("%%01IFNET/4/IF_STATE(l)[49]:x", None, Some("IFNET/4/IF_STATE"), "huawei");
        check("%%01IFNET:x", None, None, "rfc3164");
        check("UI_COMMIT: x", Some("mgd"), Some("UI_COMMIT"), "juniper");
        check("AR: x", None, None, "rfc3164");
        check("bgp_recv: read", Some("rpd"), None, "juniper");
        check("Accepted key", Some("sshd"), None, "rfc3164");
    }
}
