//! Object identifiers as dotted text: reading, comparing, prefixes at an arc boundary, and the two
//! spellings of one notification (with and without the `.0.` before its last arc).

use std::borrow::Cow;
use std::cmp::Ordering;

/// Arcs that an OID may have, RFC 2578 section 3.5.
pub const OID_ARCS_MAX: usize = 128;

/// The OID in its one form: no leading dot, no blanks around it, no leading zeros in an arc. `None`
/// when the text is no OID (an arc that is not a number, an empty arc, more than 128 arcs).
#[must_use]
pub fn normalise(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let text = text.strip_prefix('.').unwrap_or(text);
    let mut plain = true;
    let mut arcs = 0;
    for arc in text.split('.') {
        if arc.is_empty() || !arc.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        plain &= arc.len() == 1 || !arc.starts_with('0');
        arcs += 1;
    }
    if arcs > OID_ARCS_MAX {
        return None;
    }
    if plain {
        return Some(Cow::Borrowed(text));
    }
    let arcs: Vec<&str> = text.split('.').map(significant).collect();
    Some(Cow::Owned(arcs.join(".")))
}

fn significant(arc: &str) -> &str {
    let digits = arc.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// Reads the arcs of a normalised OID; `None` when one does not fit 32 bits, as RFC 2578 wants.
#[must_use]
pub fn arcs(oid: &str) -> Option<Vec<u32>> {
    oid.split('.').map(|arc| arc.parse().ok()).collect()
}

/// Writes arcs as dotted text.
#[must_use]
pub fn format(arcs: &[u32]) -> String {
    let texts: Vec<String> = arcs.iter().map(u32::to_string).collect();
    texts.join(".")
}

/// The order of the MIB tree: arc by arc as numbers, so `1.3.9` comes before `1.3.10`.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let mut left = a.split('.').map(significant);
    let mut right = b.split('.').map(significant);
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Whether `oid` is `prefix` or lies under it. `1.3.6.1.4.1.9` is no prefix of `1.3.6.1.4.1.99`.
#[must_use]
pub fn is_prefix(prefix: &str, oid: &str) -> bool {
    rest_after(prefix, oid).is_some()
}

/// What follows `prefix` in `oid`, without the dot between: empty when both are the same, `None`
/// when `prefix` is no prefix at an arc boundary.
#[must_use]
pub fn rest_after<'o>(prefix: &str, oid: &'o str) -> Option<&'o str> {
    let rest = oid.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// The other spelling of a notification's OID. A v1 trap is always `enterprise.0.specific`, while
/// many vendors' v2 definitions leave the `0` out, so one alarm comes under two names: with a `0`
/// before the last arc this gives the OID without it, else the OID with it. `None` for one arc.
#[must_use]
pub fn other_spelling(oid: &str) -> Option<String> {
    let (head, last) = oid.rsplit_once('.')?;
    Some(match head.strip_suffix(".0") {
        Some(enterprise) => format!("{enterprise}.{last}"),
        None => format!("{head}.0.{last}"),
    })
}

/// Whether two OIDs name the same notification, whichever spelling each has.
#[must_use]
pub fn same_notification(a: &str, b: &str) -> bool {
    a == b || other_spelling(a).is_some_and(|other| other == b)
}

/// Whether a notification lies under `prefix` in either spelling.
#[must_use]
pub fn notification_under(prefix: &str, oid: &str) -> bool {
    is_prefix(prefix, oid) || other_spelling(oid).is_some_and(|other| is_prefix(prefix, &other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_has_one_form() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(normalise(text).as_deref(), expected, "{text}");
        };
        check("1.3.6", Some("1.3.6"));
        check(" .1.3.6\n", Some("1.3.6"));
        check("1.03.0", Some("1.3.0"));
        check("1.3.6.18446744073709551616", Some("1.3.6.18446744073709551616"));
        check("", None);
        check("..1", None);
        check("1..3", None);
        check("1.3.", None);
        check("1.3.x", None);
        check("-1.3", None);
        check(&["1"; OID_ARCS_MAX + 1].join("."), None);
    }

    #[test]
    fn arcs_are_read_and_written() {
        assert_eq!(arcs("1.3.4294967295"), Some(vec![1, 3, u32::MAX]));
        assert_eq!(arcs("1.3.4294967296"), None);
        assert_eq!(format(&[1, 3, 6]), "1.3.6");
    }

    #[test]
    fn order_is_by_number() {
        let check = |a: &str, b: &str, expected| assert_eq!(compare(a, b), expected, "{a} {b}");
        check("1.3.9", "1.3.10", Ordering::Less);
        check("1.3", "1.3.0", Ordering::Less);
        check("1.3.6", "1.3.6", Ordering::Equal);
        check("1.3.18446744073709551616", "1.3.9", Ordering::Greater);
    }

    #[test]
    fn a_prefix_ends_at_an_arc() {
        let check = |prefix: &str, oid: &str, expected| {
            assert_eq!(is_prefix(prefix, oid), expected, "{prefix} {oid}");
        };
        check("1.3.6.1.4.1.9", "1.3.6.1.4.1.9", true);
        check("1.3.6.1.4.1.9", "1.3.6.1.4.1.9.9.41", true);
        check("1.3.6.1.4.1.9", "1.3.6.1.4.1.99", false);
        check("1.3.6.1.4.1.9.9", "1.3.6.1.4.1.9", false);
    }

    #[test]
    fn both_spellings_name_one_notification() {
        let with = "1.3.6.1.4.1.9.9.41.2.0.1";
        let without = "1.3.6.1.4.1.9.9.41.2.1";
        assert_eq!(other_spelling(with).as_deref(), Some(without));
        assert_eq!(other_spelling(without).as_deref(), Some(with));
        assert!(same_notification(with, without) && same_notification(without, with));
        assert!(!same_notification(with, "1.3.6.1.4.1.9.9.41.2.0.2"));
        for oid in [with, without] {
            for prefix in [with, without, "1.3.6.1.4.1.9.9.41.2", "1.3.6.1.4.1.9.9.41.2.0"] {
                assert!(notification_under(prefix, oid), "{prefix} {oid}");
            }
            assert!(!notification_under("1.3.6.1.4.1.9.9.4", oid));
        }
    }
}
