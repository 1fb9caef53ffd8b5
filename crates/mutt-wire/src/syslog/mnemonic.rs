//! Recognises a vendor by the first words of its message: `%FAC-SEV-MNEMONIC:`, `%%01MOD/4/NAME`,
//! `RPD_BGP_NEIGHBOR_STATE_CHANGED:`.

use mutt_model::Severity;

use super::format;
use crate::octets::{self, find, no_name};
use crate::text::{Words, kind, near, run, table};

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
        Some(b'%') => match cisco(behind_vdc(message)) {
            Some((name, severity)) => percent(message, name, severity, app, dialect),
            None => vrp(message)
                .or_else(|| junos_priority(message, app, dialect))
                .unwrap_or(Found { look_for_resource: true, ..nothing }),
        },
        // Newer releases of AireOS write `#` where others have `%`.
        Some(b'#') if dialect == format::CISCO_WLC => match cisco(message) {
            Some((name, severity)) => percent(message, name, severity, app, dialect),
            None => nothing,
        },
        Some(b'A'..=b'Z') if !matches!(dialect, format::RFC3164 | format::JUNIPER) => {
            by_process(app, nothing)
        }
        Some(b'A'..=b'Z') => match behind_word(message) {
            Some(b':') => match junos(message) {
                Some(name) => Found {
                    mnemonic: Some(name),
                    format: format::JUNIPER,
                    look_for_resource: true,
                    text_at: name.len() + 1,
                    ..nothing
                },
                None => by_process(app, nothing),
            },
            Some(b'/') if dialect == format::RFC3164 => {
                vrp(message).unwrap_or(by_process(app, nothing))
            }
            _ => by_process(app, nothing),
        },
        Some(b'0'..=b'9') if dialect == format::RFC3164 => {
            vrp(message).unwrap_or(by_process(app, nothing))
        }
        _ => by_process(app, nothing),
    }
}

/// A message that begins with `%FAC-SEV-NAME`: of Cisco, of Arista, or of Junos with its priority
/// written out (`%DAEMON-6-CHASSISD_PARSE_COMPLETE:`).
fn percent<'a>(
    message: &'a str,
    name: &'a str,
    severity: Severity,
    app: Option<&str>,
    dialect: &'static str,
) -> Found<'a> {
    let text_at = message.len() - behind_vdc(message).len() + 1 + name.len();
    let at = || near(b'-', name.as_bytes()).unwrap_or(name.len());
    // Behind the facility a hyphen, the level and another.
    let tag = || name.get(at() + 1..).and_then(|rest| rest.split_once('-')).map(|(_, tag)| tag);
    let junos = app.is_some_and(|app| {
        let facility = &name[..at()];
        JUNOS_PROCESSES.contains(app)
            || JUNOS_FACILITIES.contains(facility) && tag().is_some_and(|tag| tag.contains('_'))
    });
    if junos && dialect != format::CISCO_IOSXR {
        return Found {
            mnemonic: tag(),
            severity: Some(severity),
            format: format::JUNIPER,
            look_for_resource: true,
            text_at,
        };
    }
    let spaced = message[text_at..].starts_with(" :");
    Found {
        mnemonic: Some(name),
        severity: Some(severity),
        format: cisco_dialect(name, app, spaced, dialect),
        look_for_resource: true,
        text_at,
    }
}

/// Facilities as Junos writes them out. Those that Cisco or Arista have too are left out.
static JUNOS_FACILITIES: Words<14> = Words::new([
    "AUTH", "AUTHPRIV", "CHANGE", "CONFLICT", "CRON", "DAEMON", "DFC", "EXTERNAL", "FIREWALL",
    "FTP", "INTERACT", "KERN", "PFE", "USER",
]);

/// `%DAEMON-6: text`, where the message has no tag of its own.
fn junos_priority<'a>(
    message: &'a str,
    app: Option<&str>,
    dialect: &'static str,
) -> Option<Found<'a>> {
    let word = message.strip_prefix('%')?;
    let facility = word.split('-').next()?;
    let level = word.as_bytes().get(facility.len() + 1)?.wrapping_sub(b'0');
    let closed = word.as_bytes().get(facility.len() + 2) == Some(&b':');
    if !closed || app.is_none() || !JUNOS_FACILITIES.contains(facility) {
        return None;
    }
    let ours = matches!(dialect, format::RFC3164 | format::UNKNOWN | format::JUNIPER);
    let severity = Severity::new(level).filter(|_| ours)?;
    Some(Found {
        mnemonic: None,
        severity: Some(severity),
        format: format::JUNIPER,
        look_for_resource: true,
        text_at: facility.len() + 4,
    })
}

/// NX-OS may name its virtual device context first: `%$ VDC-1 %$ %ETHPORT-5-...`.
fn behind_vdc(message: &str) -> &str {
    let Some(name) = message.strip_prefix("%$ ") else { return message };
    name.split_once(" %$ ").map_or(message, |(_, behind)| behind.trim_start_matches(' '))
}

/// `%FAC-SUB-SEV-NAME` with a colon, a space and a colon, or a space behind it.
fn cisco(message: &str) -> Option<(&str, Severity)> {
    let word = message.strip_prefix(['%', '#'])?;
    let bytes = word.as_bytes();
    let front = &bytes[..bytes.len().min(MAX_MNEMONIC + 1)];
    let len = find(front, 0, no_name).map_or(front.len(), |at| at.min(front.len()));
    if len > MAX_MNEMONIC || !matches!(bytes.get(len), None | Some(b':' | b' ')) {
        return None;
    }
    let name = &word[..len];
    let mut at = near(b'-', name.as_bytes())?;
    while !matches!(name.as_bytes().get(at + 1..at + 3), Some([b'0'..=b'7', b'-'])) {
        at += 1 + near(b'-', &name.as_bytes()[at + 1..])?;
    }
    if at == 0 || at + 3 == len {
        return None;
    }
    Some((name, Severity::new(name.as_bytes()[at + 1] - b'0')?))
}

fn cisco_dialect(
    name: &str,
    app: Option<&str>,
    spaced: bool,
    dialect: &'static str,
) -> &'static str {
    let firewalls = ["ASA-", "FTD-", "PIX-", "FWSM-"];
    if firewalls.iter().any(|front| name.starts_with(front)) {
        return format::CISCO_ASA;
    }
    match dialect {
        // A space before the colon is a habit of IOS-XR alone.
        format::RFC3164 | format::RFC5424 if spaced && app.is_some() => format::CISCO_IOSXR,
        format::RFC3164 | format::RFC5424 | format::UNKNOWN if app.is_some() => format::ARISTA_EOS,
        format::RFC3164 | format::RFC5424 | format::UNKNOWN => format::CISCO_IOS,
        other => other,
    }
}

/// True where a mnemonic of VRP or Comware stands at the front.
pub(crate) fn is_vrp(text: &str) -> bool {
    vrp(text).is_some()
}

/// What stands behind the letters, digits and marks of a mnemonic's first word.
fn behind_word(text: &str) -> Option<u8> {
    static WORD: [bool; 256] = table(kind::LETTER | kind::DIGIT | kind::UNDERSCORE | kind::HYPHEN);
    let bytes = text.as_bytes();
    bytes.get(octets::run(bytes, 0, &WORD)).copied()
}

/// VRP and Comware: `%%01IFNET/4/IF_STATE(l)[4997]:`, `%%10IFNET/3/LINK_UPDOWN:`, `%% 01 ...` as some
/// documents print it, `%10...` (cmcc), `10IFNET/2/serial:` (unicom), `IFNET/5/UPDOWN:` of old releases.
/// The number is the version of the format: Comware's is 10.
fn vrp(message: &str) -> Option<Found<'_>> {
    // Without the mark a module of letters and digits has its slash before any other mark.
    if !message.starts_with('%') && behind_word(message) != Some(b'/') {
        return None;
    }
    let marked = message.trim_start_matches('%');
    let marks = message.len() - marked.len();
    let word = if marks == 2 { marked.trim_start_matches(' ') } else { marked };
    let version = word.bytes().take(3).take_while(u8::is_ascii_digit).count();
    if marks > 2 || !(version == 2 || (version == 0 && marks == 0)) {
        return None;
    }
    let comware = &word[..version] == "10";
    let word = if marks == 2 { word[version..].trim_start_matches(' ') } else { &word[version..] };
    let len = word
        .bytes()
        .take(MAX_MNEMONIC)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'))
        .count();
    let name = &word[..len];
    let mut parts = name.split('/');
    let (module, severity, brief) = (parts.next()?, parts.next()?, parts.next()?);
    let shaped = !brief.is_empty() && parts.next().is_none() && severity.len() == 1;
    // Without the mark only the whole shape counts.
    let closed = matches!(word.as_bytes().get(len), Some(b':' | b'('));
    if !shaped || module.is_empty() || (marks < 2 && !closed) {
        return None;
    }
    let behind = message.len() - word.len() + len;
    let text_at = behind + memchr::memchr(b':', &word.as_bytes()[len..]).map_or(0, |at| at + 1);
    let severity = severity.parse().ok().and_then(Severity::new);
    if marks < 2 && severity.is_none() {
        return None;
    }
    Some(Found {
        mnemonic: Some(name),
        severity,
        format: if comware { format::HPE_COMWARE } else { format::HUAWEI },
        look_for_resource: true,
        text_at,
    })
}

/// `SNMP_TRAP_LINK_DOWN:`: capitals with at least one underscore, then a colon.
fn junos(message: &str) -> Option<&str> {
    let front = &message.as_bytes()[..message.len().min(MAX_MNEMONIC)];
    let (len, _) = run(front, kind::UPPER | kind::DIGIT | kind::UNDERSCORE);
    let name = &message[..len];
    let closed = message.as_bytes().get(len) == Some(&b':');
    (closed && len >= 5 && name.contains('_')).then_some(name)
}

/// Processes that only Junos has.
static JUNOS_PROCESSES: Words<34> = Words::new([
    "/kernel", "alarmd", "apsd", "bfdd", "cfmd", "chassisd", "cosd", "craftd", "dcd", "dfwd",
    "eswd", "ethd", "fud", "idpd", "jddosd", "jlaunchd", "jsrpd", "kmd", "l2ald", "l2cpd", "lacpd",
    "lfmd", "mgd", "mib2d", "pfed", "ppmd", "rmopd", "rpd", "RT_FLOW", "RT_IDS", "RT_UTM",
    "sampled", "vrrpd", "xntpd",
]);

/// Processes of other network devices that write plain sentences: NetIron, SONiC, FRRouting.
static DEVICE_PROCESSES: Words<8> =
    Words::new(["BGP", "OSPF", "System", "bgpd", "isisd", "orchagent", "ospfd", "zebra"]);

/// True for a process of which only network devices have one.
pub(crate) fn is_device_process(app: &str) -> bool {
    DEVICE_PROCESSES.contains(app)
}

fn by_process<'a>(app: Option<&str>, nothing: Found<'a>) -> Found<'a> {
    let junos =
        nothing.format == format::RFC3164 && app.is_some_and(|app| JUNOS_PROCESSES.contains(app));
    if junos {
        return Found { format: format::JUNIPER, look_for_resource: true, ..nothing };
    }
    let device = app.is_some_and(is_device_process);
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
        check("%%10IFNET/3/LINK_UPDOWN: x", None, Some("IFNET/3/LINK_UPDOWN"), "hpe-comware");
        check("%10SHELL/5/SHELL_LOGIN: x", None, Some("SHELL/5/SHELL_LOGIN"), "hpe-comware");
        check(
            "10IFNET/2/210231A64JX073000020: x",
            None,
            Some("IFNET/2/210231A64JX073000020"),
            "hpe-comware",
        );
        check("%% 01 HWCM/5/EXIT(l)[1]: x", None, Some("HWCM/5/EXIT"), "huawei");
        check("IFNET/5/UPDOWN:x", None, Some("IFNET/5/UPDOWN"), "huawei");
        check("A/B/C: x", None, None, "rfc3164");
        check("10/8/x y", None, None, "rfc3164");
        check("%DAEMON-6-A_B: x", Some("chassisd"), Some("A_B"), "juniper");
        check("%DAEMON-3-A_B: x", Some("snmpd"), Some("A_B"), "juniper");
        check("%PFE-3: x", Some("fpc0"), None, "juniper");
        check("%PFE-9: x", Some("fpc0"), None, "rfc3164");
        check(
            "%PKT_INFRA-LINK-3-UPDOWN : x",
            Some("ifmgr"),
            Some("PKT_INFRA-LINK-3-UPDOWN"),
            "cisco-iosxr",
        );
        check("UI_COMMIT: x", Some("mgd"), Some("UI_COMMIT"), "juniper");
        check("AR: x", None, None, "rfc3164");
        check("bgp_recv: read", Some("rpd"), None, "juniper");
        check("Accepted key", Some("sshd"), None, "rfc3164");
    }
}
