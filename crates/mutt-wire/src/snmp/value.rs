//! The value of a varbind: what it is called on the wire and how it is shown.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::arcs::Arcs;
use super::ber::{self, BerError, Element};
use super::digits::{address, hex};
use super::message::{IP_ADDRESS, TIME_TICKS};
use super::names::{Base, Convention, Form, Found, Names};
use super::sheet::Quick;
use super::{hint, instance};
use crate::octets;

/// The largest number that every reader of JSON keeps exactly.
const EXACT_MAX: u64 = 1 << 53;

/// A type by its name, with what stands before a value of it in JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) name: &'static str,
    /// It begins with the quote that ends the name before it.
    pub(super) json: &'static str,
    /// The same with more behind it, to be copied at once.
    pub(super) chunk: &'static [u8; TYPE_CHUNK],
}

/// Octets that a type takes in JSON, at most.
const TYPE_CHUNK: usize = 48;

/// A text with zeros behind it.
const fn chunk(text: &str) -> [u8; TYPE_CHUNK] {
    let (text, mut out, mut at) = (text.as_bytes(), [0; TYPE_CHUNK], 0);
    while at < text.len() {
        out[at] = text[at];
        at += 1;
    }
    out
}

macro_rules! types {
    ($($of:ident = $name:literal;)*) => {
        $(pub(super) static $of: Type = Type {
            name: $name,
            json: concat!("\",\"type\":\"", $name, "\",\"value\":"),
            chunk: const { &chunk(concat!("\",\"type\":\"", $name, "\",\"value\":")) },
        };)*
    };
}

types! {
    INTEGER = "INTEGER";
    OCTETS = "OCTET STRING";
    NULL = "NULL";
    OID = "OBJECT IDENTIFIER";
    ADDRESS = "IpAddress";
    COUNTER = "Counter32";
    GAUGE = "Gauge32";
    TICKS = "TimeTicks";
    OPAQUE = "Opaque";
    OPAQUE_FLOAT = "Opaque Float";
    OPAQUE_DOUBLE = "Opaque Double";
    OPAQUE_COUNTER = "Opaque Counter64";
    OPAQUE_INTEGER = "Opaque Integer64";
    NSAP = "NsapAddress";
    LARGE_COUNTER = "Counter64";
    UNSIGNED = "UInteger32";
    NO_OBJECT = "noSuchObject";
    NO_INSTANCE = "noSuchInstance";
    END_OF_VIEW = "endOfMibView";
    UNKNOWN = "unknown";
}

/// What is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown<'v> {
    Null,
    Number(i64),
    Text(Cow<'v, str>),
    /// The object identifier that was read beside it.
    Oid,
    /// What has none of these forms.
    Json(Value),
}

impl From<String> for Shown<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// The value with its type; what does not fit its type is kept in hexadecimal with a remark. An object
/// identifier is read into `oid`.
#[inline]
pub(super) fn read<'a>(
    element: &Element<'a>,
    object: Option<&Found<'_>>,
    oid: &mut Arcs,
) -> (&'static Type, Shown<'a>, Option<&'static str>) {
    let octets = element.content;
    let number = |of, read: Result<Shown<'a>, BerError>| match read {
        Ok(value) => (of, value, None),
        Err(_) => (of, hex(octets).into(), Some("a number that cannot be read")),
    };
    let unsigned = |of| number(of, ber::unsigned(octets).map(unsigned));
    match element.tag {
        ber::INTEGER => number(&INTEGER, ber::signed(octets).map(signed)),
        ber::OCTET_STRING => (&OCTETS, Shown::Text(object_text(octets, object)), None),
        ber::NULL => (&NULL, Shown::Null, None),
        ber::OBJECT_IDENTIFIER => match oid.read(octets) {
            Ok(()) => (&OID, Shown::Oid, (!oid.is_whole()).then_some("an arc over 32 bits")),
            Err(_) => (&OID, hex(octets).into(), Some("an object identifier that cannot be read")),
        },
        IP_ADDRESS => match <[u8; 4]>::try_from(octets) {
            Ok(four) => (&ADDRESS, address(four).into(), None),
            Err(_) => (&ADDRESS, hex(octets).into(), Some("an address that is not of four octets")),
        },
        0x41 => unsigned(&COUNTER),
        0x42 => unsigned(&GAUGE),
        TIME_TICKS => unsigned(&TICKS),
        0x44 => opaque(octets),
        0x45 => (&NSAP, hex(octets).into(), None),
        0x46 => unsigned(&LARGE_COUNTER),
        0x47 => unsigned(&UNSIGNED),
        0x80 => (&NO_OBJECT, Shown::Null, None),
        0x81 => (&NO_INSTANCE, Shown::Null, None),
        0x82 => (&END_OF_VIEW, Shown::Null, None),
        _ => (&UNKNOWN, hex(element.whole).into(), Some("a type that does not exist")),
    }
}

/// The value where it is shown as it stands there, as nearly every one is: a number, a text of printable
/// ASCII, an OID that has a name.
#[inline(always)]
pub(super) fn quick<'n, 'v>(
    element: &Element<'v>,
    names: &'n Names,
) -> Option<(&'static Type, Quick<'n, 'v>)> {
    let octets = element.content;
    let of = match element.tag {
        ber::INTEGER => {
            let number = ber::signed(octets).ok()?;
            let exact = number.unsigned_abs() <= EXACT_MAX;
            return exact.then_some((&INTEGER, Quick::Number(number)));
        }
        ber::OCTET_STRING => {
            return is_simple(octets).then_some((&OCTETS, Quick::Text(octets)));
        }
        ber::OBJECT_IDENTIFIER => return Some((&OID, Quick::Oid(names.find_exact(octets)?))),
        0x41 => &COUNTER,
        0x42 => &GAUGE,
        TIME_TICKS => &TICKS,
        0x46 => &LARGE_COUNTER,
        _ => return None,
    };
    let number = ber::unsigned(octets).ok().filter(|number| *number <= EXACT_MAX)?;
    Some((of, Quick::Number(i64::try_from(number).ok()?)))
}

/// Whether these are printable ASCII, at least one, and JSON escapes none of them.
fn is_simple(octets: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let marks = |word| octets::escaped(word) | octets::is(word, 0x7f) | word & HIGH;
    // Behind the end stand octets that are marked.
    !octets.is_empty() && octets::find(octets, 0, marks).is_none_or(|at| at >= octets.len())
}

/// Opaque holds BER of its own; net-snmp wraps float (0x9f78), double (0x9f79), Counter64 (0x9f76),
/// signed (0x9f7a) and unsigned (0x9f7b) 64-bit numbers in it.
fn opaque(octets: &[u8]) -> (&'static Type, Shown<'static>, Option<&'static str>) {
    let raw = || (&OPAQUE, hex(octets).into(), None);
    let [0x9f, kind, length, inner @ ..] = octets else { return raw() };
    if usize::from(*length) != inner.len() {
        return raw();
    }
    let real = |of, number: f64| match serde_json::Number::from_f64(number) {
        Some(number) => (of, Shown::Json(Value::Number(number)), None),
        // JSON has no word for NaN and the infinities.
        None => (of, number.to_string().into(), None),
    };
    match (kind, inner) {
        (0x78, [a, b, c, d]) => {
            real(&OPAQUE_FLOAT, f64::from(f32::from_be_bytes([*a, *b, *c, *d])))
        }
        (0x79, inner) => match <[u8; 8]>::try_from(inner) {
            Ok(eight) => real(&OPAQUE_DOUBLE, f64::from_be_bytes(eight)),
            Err(_) => raw(),
        },
        (0x76 | 0x7b, inner) => match ber::unsigned(inner) {
            Ok(number) => (&OPAQUE_COUNTER, unsigned(number), None),
            Err(_) => raw(),
        },
        (0x7a, inner) => match ber::signed(inner) {
            Ok(number) => (&OPAQUE_INTEGER, signed(number), None),
            Err(_) => raw(),
        },
        _ => raw(),
    }
}

fn unsigned(number: u64) -> Shown<'static> {
    match i64::try_from(number) {
        Ok(exact) if number <= EXACT_MAX => Shown::Number(exact),
        _ => number.to_string().into(),
    }
}

fn signed(number: i64) -> Shown<'static> {
    if number.unsigned_abs() > EXACT_MAX {
        number.to_string().into()
    } else {
        Shown::Number(number)
    }
}

/// Octets as the object's convention or hint says, or as they look.
fn object_text<'a>(octets: &'a [u8], object: Option<&Found<'_>>) -> Cow<'a, str> {
    let Some(object) = object else { return octets_text(octets, Form::Guess) };
    let special = match object.convention() {
        Convention::InetAddress => instance::inet_address(octets, None),
        Convention::Date => date_and_time(octets),
        Convention::None | Convention::InetType => None,
    };
    if let Some(text) = special {
        return Cow::Owned(text);
    }
    if object.base() == Base::Bits {
        return Cow::Owned(hex(octets));
    }
    let hint = object.hint();
    if !hint.is_empty() {
        let octets = if hint::is_text(hint) { trim_nul(octets) } else { octets };
        if (1..=object.text_hint()).contains(&octets.len()) {
            return clean(octets);
        }
        if let Some(text) = hint::octets(hint, octets) {
            return Cow::Owned(text);
        }
    }
    octets_text(octets, object.form())
}

fn octets_text(octets: &[u8], form: Form) -> Cow<'_, str> {
    match form {
        Form::Hex => Cow::Owned(hex(octets)),
        Form::Text => clean(trim_nul(octets)),
        Form::Guess | Form::Secret => match std::str::from_utf8(trim_nul(octets)) {
            Ok(text) if is_printable(text) => Cow::Borrowed(text),
            _ => Cow::Owned(date_and_time(octets).unwrap_or_else(|| hex(octets))),
        },
    }
}

/// C programs send the closing zero of their strings.
fn trim_nul(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(&[0]).unwrap_or(octets)
}

fn is_printable(text: &str) -> bool {
    // Without a branch for each byte.
    let odd = |odd, byte: &u8| odd | !(b' '..0x7f).contains(byte);
    !text.as_bytes().iter().fold(false, odd) || text.chars().all(printable)
}

fn printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\t' | '\n' | '\r')
}

/// Text of a MIB's object, whatever the octets are.
pub(super) fn clean(octets: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(octets)
        && is_printable(text)
    {
        return Cow::Borrowed(text);
    }
    let shown = |c| if printable(c) { c } else { char::REPLACEMENT_CHARACTER };
    Cow::Owned(String::from_utf8_lossy(octets).chars().map(shown).collect())
}

/// DateAndTime of SNMPv2-TC, 8 or 11 octets, as RFC 3339; without a zone there is no offset.
fn date_and_time(octets: &[u8]) -> Option<String> {
    let (local, zone) = match octets.len() {
        8 => (octets, None),
        11 => (&octets[..8], Some((octets[8], octets[9], octets[10]))),
        _ => return None,
    };
    let year = u16::from_be_bytes([local[0], local[1]]);
    let [_, _, month, day, hour, minute, second, deci] = *local else { return None };
    let plausible = (1970..=2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && deci < 10;
    if !plausible {
        return None;
    }
    let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{deci}");
    if let Some((sign, hours, minutes)) = zone {
        if !matches!(sign, b'+' | b'-') || hours > 14 || minutes > 59 {
            return None;
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{hours:02}:{minutes:02}", char::from(sign));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ber::Reader;
    use super::*;

    #[test]
    fn values_of_every_type() {
        let check = |bytes: &[u8], kind: &str, value: Value| {
            let element = Reader::new(bytes).element().unwrap();
            let mut oid = Arcs::new();
            let (found_kind, found, _) = read(&element, None, &mut oid);
            let found = match found {
                Shown::Null => Value::Null,
                Shown::Number(number) => json!(number),
                Shown::Text(text) => json!(text),
                Shown::Oid => json!(oid.text()),
                Shown::Json(value) => value,
            };
            assert_eq!((found_kind.name, found), (kind, value), "{bytes:02x?}");
        };
        check(&[2, 1, 0xff], "INTEGER", json!(-1));
        check(&[2, 0], "INTEGER", json!("0x"));
        check(b"\x04\x03abc", "OCTET STRING", json!("abc"));
        check(b"\x04\x04abc\0", "OCTET STRING", json!("abc"));
        check(&[4, 0], "OCTET STRING", json!(""));
        check(&[4, 2, 0, 0xff], "OCTET STRING", json!("0x00ff"));
        check(&[4, 2, 0xc3, 0xa9], "OCTET STRING", json!("é"));
        check(&[5, 0], "NULL", Value::Null);
        check(&[6, 2, 0x2b, 6], "OBJECT IDENTIFIER", json!("1.3.6"));
        check(&[6, 2, 0x2b, 0x86], "OBJECT IDENTIFIER", json!("0x2b86"));
        check(&[0x40, 4, 192, 0, 2, 1], "IpAddress", json!("192.0.2.1"));
        check(&[0x40, 3, 192, 0, 2], "IpAddress", json!("0xc00002"));
        check(&[0x41, 4, 0xff, 0xff, 0xff, 0xff], "Counter32", json!(4_294_967_295u32));
        check(&[0x42, 5, 0, 0xff, 0xff, 0xff, 0xff], "Gauge32", json!(4_294_967_295u32));
        check(&[0x43, 1, 7], "TimeTicks", json!(7));
        check(&[0x46, 7, 0x20, 0, 0, 0, 0, 0, 0], "Counter64", json!(1u64 << 53));
        check(&[0x46, 7, 0x20, 0, 0, 0, 0, 0, 1], "Counter64", json!("9007199254740993"));
        check(&[0x44, 7, 0x9f, 0x78, 4, 0x41, 0x20, 0, 0], "Opaque Float", json!(10.0));
        check(&[0x44, 7, 0x9f, 0x78, 4, 0x7f, 0xc0, 0, 0], "Opaque Float", json!("NaN"));
        check(
            &[0x44, 11, 0x9f, 0x79, 8, 0x40, 0x24, 0, 0, 0, 0, 0, 0],
            "Opaque Double",
            json!(10.0),
        );
        check(&[0x44, 4, 0x9f, 0x76, 1, 9], "Opaque Counter64", json!(9));
        check(&[0x44, 4, 0x9f, 0x7a, 1, 0xff], "Opaque Integer64", json!(-1));
        check(&[0x44, 2, 1, 2], "Opaque", json!("0x0102"));
        check(&[0x80, 0], "noSuchObject", Value::Null);
        check(&[0x99, 1, 3], "unknown", json!("0x990103"));
    }

    #[test]
    fn dates_are_told_from_other_octets() {
        let check = |octets: &[u8], expected: &str| {
            assert_eq!(octets_text(octets, Form::Guess), expected, "{octets:02x?}");
        };
        check(&[0x07, 0xea, 11, 23, 21, 5, 9, 3], "2026-11-23T21:05:09.3");
        check(&[0x07, 0xea, 11, 23, 21, 5, 9, 3, b'+', 2, 0], "2026-11-23T21:05:09.3+02:00");
        check(&[0x07, 0xea, 13, 23, 21, 5, 9, 3], "0x07ea0d1715050903");
        check(&[0x07, 0xea, 11, 23, 21, 5, 9, 3, b'x', 2, 0], "0x07ea0b1715050903780200");
    }

    #[test]
    fn a_column_that_is_text_or_hexadecimal_stays_so() {
        assert_eq!(octets_text(b"\xe9t\xe9\0", Form::Text), "\u{fffd}t\u{fffd}");
        assert_eq!(octets_text(b"a\0b\0", Form::Text), "a\u{fffd}b");
        assert_eq!(octets_text(b"abcdef", Form::Hex), "0x616263646566");
    }
}
