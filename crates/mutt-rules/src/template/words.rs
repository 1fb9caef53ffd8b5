//! The words that templates know: mnemonics, months, what stands before a user name, which keys tell
//! the kind of a message.

/// `%LINK-3-UPDOWN`, `%%01IFNET/4/LINK_STATE`: a vendor's name of the kind.
pub(super) fn is_verbatim(token: &str) -> bool {
    let Some(rest) = token.strip_prefix('%') else { return is_mnemonic(token) };
    rest.starts_with('%') || rest.starts_with(|c: char| c.is_ascii_uppercase())
}

/// `LINK-3-UPDOWN` without its per cent sign.
fn is_mnemonic(token: &str) -> bool {
    let bytes = token.as_bytes();
    let severity =
        bytes.windows(3).any(|w| w[0] == b'-' && w[2] == b'-' && (b'0'..b'8').contains(&w[1]));
    severity
        && bytes[0].is_ascii_uppercase()
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_-".contains(b))
}

/// `L2ALD_MAC_LIMIT_REACHED_IF`: capitals joined by underscores.
pub(super) fn is_code(token: &str) -> bool {
    let bytes = token.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes.contains(&b'_')
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        && bytes.iter().filter(|b| b.is_ascii_uppercase()).count() >= 4
}

/// Names of protocols that hold a digit.
pub(super) fn is_named_with_digit(token: &str) -> bool {
    const NAMES: [&str; 24] = [
        "ipv4", "ipv6", "ssh1", "ssh2", "ospfv2", "ospfv3", "icmpv6", "igmpv2", "igmpv3", "v2c",
        "snmpv1", "snmpv2", "snmpv2c", "snmpv3", "ikev1", "ikev2", "802.1x", "dot1x", "md5",
        "sha1", "sha256", "l2tp", "dhcpv6", "bgp4",
    ];
    token.len() <= 8 && NAMES.iter().any(|name| name.eq_ignore_ascii_case(token))
}

/// Whether the token is a month's name, short or long.
pub(super) fn is_month(token: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    token.len() >= 3
        && MONTHS.iter().any(|m| *m == token || (token.len() == 3 && m.starts_with(token)))
}

/// Whether the token is a day's short name.
pub(super) fn is_weekday(token: &str) -> bool {
    matches!(token, "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun")
}

/// A host's name: three labels or more, or two of which the second is a known top one.
pub(super) fn is_host(token: &str) -> bool {
    const TOPS: [&str; 10] =
        ["com", "net", "org", "local", "lan", "internal", "corp", "edu", "gov", "io"];
    let Some((head, top)) = token.rsplit_once('.') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    label(top)
        && head.split('.').all(label)
        && (TOPS.contains(&top) || (head.contains('.') && !matches!(top, "service" | "socket")))
}

/// Whether a user's name follows this word.
pub(super) fn names_a_user(word: &str) -> bool {
    const WORDS: [&str; 6] = ["user", "username", "logname", "account", "uname", "administrator"];
    word.len() >= 4 && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Words that follow `user` without being one's name.
pub(super) fn not_a_user(word: &str) -> bool {
    const WORDS: [&str; 52] = [
        "a",
        "access",
        "account",
        "added",
        "and",
        "are",
        "at",
        "authenticated",
        "authentication",
        "authorization",
        "by",
        "cannot",
        "command",
        "configuration",
        "could",
        "created",
        "deleted",
        "disconnected",
        "does",
        "exec",
        "executed",
        "failed",
        "for",
        "from",
        "group",
        "has",
        "id",
        "in",
        "interface",
        "is",
        "locked",
        "logged",
        "login",
        "logout",
        "mode",
        "name",
        "not",
        "of",
        "on",
        "or",
        "password",
        "process",
        "removed",
        "request",
        "requested",
        "session",
        "space",
        "the",
        "to",
        "was",
        "with",
        "unlocked",
    ];
    WORDS.contains(&word)
}

/// Keys whose values tell the kind of the message.
pub(super) fn is_kind_key(key: &str) -> bool {
    const ENDS: [&str; 12] = [
        "status", "state", "type", "action", "level", "event", "result", "logdesc", "severity",
        "msgid", "code", "reason",
    ];
    ENDS.iter().any(|end| {
        key.len()
            .checked_sub(end.len())
            .and_then(|from| key.get(from..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    })
}
