//! DISPLAY-HINT, RFC 2579 section 3.1: how a number or octets are to be shown.

use std::fmt::Write as _;

use super::digits::{push_hex, push_number};

/// One part of a hint for octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// `*`: the first octet says how often the part applies.
    repeat: bool,
    /// Octets for one application; 0 writes the separator only.
    length: usize,
    format: u8,
    separator: Option<char>,
    terminator: Option<char>,
}

/// Octets as their hint says; `None` when there is no hint that can be read.
pub(super) fn octets(hint: &str, octets: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(octets.len() * 3);
    let mut rest = octets;
    let mut parts = hint;
    let (mut part, mut last_consumed) = (None, true);
    // The whole hint must be one, whether or not the octets need all of it.
    check(hint)?;
    while !rest.is_empty() {
        if !parts.is_empty() {
            let (next, after) = read_part(parts)?;
            (part, parts) = (Some(next), after);
        } else if !last_consumed {
            // The last part applies again and again; one that takes nothing would do so for ever.
            break;
        }
        let part = part?;
        let before = rest.len();
        rest = apply(&part, rest, &mut out);
        last_consumed = rest.len() < before;
    }
    Some(out)
}

/// Whether octets with this hint are text.
pub(super) fn is_text(hint: &str) -> bool {
    matches!(read_part(hint), Some((part, "")) if matches!(part.format, b'a' | b't') && part.length > 1)
}

/// Octets of text that a hint shows in one piece; `None` when it is no hint of text.
pub(super) fn text_length(hint: &str) -> Option<u16> {
    let (part, _) = read_part(hint).filter(|(part, _)| is_text(hint) && !part.repeat)?;
    u16::try_from(part.length).ok()
}

fn check(hint: &str) -> Option<()> {
    let mut rest = hint;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        (_, rest) = read_part(rest)?;
    }
    Some(())
}

fn read_part(hint: &str) -> Option<(Part, &str)> {
    let (repeat, rest) = match hint.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, hint),
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let length: usize = rest.get(..digits)?.parse().ok().filter(|length| *length <= 65_535)?;
    let rest = rest.get(digits..)?;
    let format = *rest.as_bytes().first().filter(|format| b"xdoat".contains(format))?;
    let mut rest = rest.get(1..)?;
    let mut delimiter = |wanted: bool| {
        let next = rest
            .chars()
            .next()
            .filter(|c| wanted && !c.is_ascii_digit() && !['*', '\0'].contains(c))?;
        rest = rest.get(next.len_utf8()..)?;
        Some(next)
    };
    let separator = delimiter(true);
    let terminator = delimiter(repeat && separator.is_some());
    Some((Part { repeat, length, format, separator, terminator }, rest))
}

fn apply<'o>(part: &Part, octets: &'o [u8], out: &mut String) -> &'o [u8] {
    let (mut rest, times) = match octets.split_first() {
        Some((times, rest)) if part.repeat => (rest, usize::from(*times)),
        _ => (octets, 1),
    };
    for time in 0..times {
        let (now, after) = rest.split_at(part.length.min(rest.len()));
        if now.is_empty() && part.length > 0 {
            break;
        }
        write(part.format, now, out);
        rest = after;
        // No separator at the end of the octets, nor where the terminator comes.
        let last = time + 1 == times;
        let ends = rest.is_empty() || last && part.terminator.is_some();
        if let Some(separator) = part.separator.filter(|_| !ends) {
            out.push(separator);
        }
        if part.length == 0 {
            break;
        }
    }
    if let Some(terminator) = part.terminator.filter(|_| !rest.is_empty()) {
        out.push(terminator);
    }
    rest
}

fn write(format: u8, octets: &[u8], out: &mut String) {
    if octets.is_empty() {
        return;
    }
    if matches!(format, b'a' | b't') {
        out.push_str(&super::value::clean(octets));
        return;
    }
    let number = octets
        .iter()
        .try_fold(0u64, |sum, octet| sum.checked_mul(256).map(|sum| sum | u64::from(*octet)));
    // Writing to a String cannot fail.
    match (format, number) {
        (b'd', Some(number)) => push_number(out, number),
        (b'o', Some(number)) => drop(write!(out, "{number:o}")),
        _ => push_hex(out, octets),
    }
}

/// A number as its hint says: `d`, `d-2` (the point moved to the left), `x`, `o`, `b`. `None` when
/// there is no hint that can be read.
pub(super) fn integer(hint: &str, number: i64) -> Option<String> {
    let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    match hint {
        "d" => Some(number.to_string()),
        "x" => Some(format!("{sign}{size:x}")),
        "o" => Some(format!("{sign}{size:o}")),
        "b" => Some(format!("{sign}{size:b}")),
        _ => {
            let places: usize = hint.strip_prefix("d-")?.parse().ok().filter(|p| *p <= 32)?;
            let digits = format!("{size:0>width$}", width = places + 1);
            let (whole, part) = digits.split_at(digits.len() - places);
            Some(if places == 0 { number.to_string() } else { format!("{sign}{whole}.{part}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_shown_as_their_hint_says() {
        let check = |hint: &str, value: &[u8], expected: Option<&str>| {
            assert_eq!(octets(hint, value).as_deref(), expected, "{hint} {value:02x?}");
        };
        check("1x:", &[0, 0x1b, 0xff], Some("00:1b:ff"));
        check("1x:", &[], Some(""));
        check("1d.1d.1d.1d", &[192, 0, 2, 1], Some("192.0.2.1"));
        check("1d.1d.1d.1d:2d", &[192, 0, 2, 1, 0, 161], Some("192.0.2.1:161"));
        check("1d.1d.1d.1d", &[192, 0], Some("192.0"));
        check("255a", b"eth0 up", Some("eth0 up"));
        check("255t", "größe".as_bytes(), Some("größe"));
        check("255a", b"a\xff\0", Some("a\u{fffd}\u{fffd}"));
        check("2a", b"abcde", Some("abcde"));
        check("1a-", b"abc", Some("a-b-c"));
        let date = &[0x07, 0xea, 11, 23, 21, 5, 9, 3, b'+', 2, 0];
        let form = "2d-1d-1d,1d:1d:1d.1d,1a1d:1d";
        check(form, date, Some("2026-11-23,21:5:9.3,+2:0"));
        check(form, &date[..8], Some("2026-11-23,21:5:9.3"));
        let v6 = "2x:2x:2x:2x:2x:2x:2x:2x";
        check(
            v6,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            Some("2001:0db8:0000:0000:0000:0000:0000:0001"),
        );
        check("0a[2x:2x]0a:2d", &[0x20, 1, 0xd, 0xb8, 0, 161], Some("[2001:0db8]:161"));
        check("*1x:/1x:", &[2, 10, 11, 12, 13], Some("0a:0b/0c:0d"));
        check("*1d.", &[9, 1, 2], Some("1.2"));
        check("1o", &[8], Some("10"));
        check("9d", &[1; 9], Some("010101010101010101"));
        check("0a-", &[1, 2], Some("-"));
        check("", &[1], None);
        check("x", &[1], None);
        check("1q", &[1], None);
        check("1x:junk", &[1], None);
        // A NUL goes into no text: PostgreSQL keeps none.
        check("1x\0", &[1, 2], None);
        check("*1d.\0", &[1, 1, 2], None);
        check("99999999999999999999d", &[1], None);
    }

    #[test]
    fn numbers_are_shown_as_their_hint_says() {
        let check = |hint: &str, number: i64, expected: Option<&str>| {
            assert_eq!(integer(hint, number).as_deref(), expected, "{hint} {number}");
        };
        check("d", -5, Some("-5"));
        check("d-2", 2_345, Some("23.45"));
        check("d-2", -5, Some("-0.05"));
        check("d-0", 7, Some("7"));
        check("x", 255, Some("ff"));
        check("o", 8, Some("10"));
        check("b", 5, Some("101"));
        check("d-3", i64::MIN, Some("-9223372036854775.808"));
        check("d-99", 1, None);
        check("255a", 1, None);
        check("", 1, None);
    }

    #[test]
    fn text_is_told_from_other_forms() {
        let check = |hint, expected| assert_eq!(is_text(hint), expected, "{hint}");
        check("255a", true);
        check("32t", true);
        check("1a", false);
        check("1x:", false);
        check("2d-1d-1d,1d:1d:1d.1d,1a1d:1d", false);
    }

    proptest::proptest! {
        #[test]
        fn any_hint_ends(hint in "[0-9*xdoat:.,-]{0,12}", value in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            if let Some(text) = octets(&hint, &value) {
                proptest::prop_assert!(text.len() <= value.len() * 12 + hint.len() * 4 + 12);
            }
        }
    }
}
