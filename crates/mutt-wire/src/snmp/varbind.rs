//! One varbind: its value as JSON and as the text of the message.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use mutt_model::oid;
use serde_json::{Map, Value};

use super::ber::{self, BerError, Element, Reader};
use super::message::{IP_ADDRESS, TIME_TICKS};
use super::names::{Base, Convention, Form, Found, Kind, Names};
use super::{hint, instance};
use crate::text::push_json_str;

/// Varbinds that are decoded; what follows is in the raw bytes only, and noted.
pub const VARBINDS_MAX: usize = 1_024;

/// The largest number that every reader of JSON keeps exactly.
const EXACT_MAX: u64 = 1 << 53;

/// A varbind as the contract shows it.
#[derive(Debug)]
pub(crate) struct Varbind<'n> {
    pub(super) oid: String,
    pub(super) name: Option<String>,
    pub(super) kind: Option<Cow<'static, str>>,
    pub(super) value: Value,
    /// What the MIB says that a number, a set of bits or an OID means.
    pub(super) label: Option<String>,
    /// The object that it is an instance of, where that is known.
    pub(super) object: Option<Found<'n>>,
}

impl<'n> Varbind<'n> {
    /// Names what an OID stands for; a community's value is never shown.
    fn new(names: &'n Names, oid: String, kind: Option<Cow<'static, str>>, value: Value) -> Self {
        let object = names.find_object(&oid);
        let name = object.map(|object| object.display(&oid));
        let secret = object.is_some_and(|object| object.form() == Form::Secret);
        let value = if secret { Value::String("*".to_owned()) } else { value };
        let mut made = Self { oid, name, kind, value, label: None, object };
        made.label = made.find_label(names);
        made
    }

    /// A varbind that the decoder adds, as RFC 3584 section 3.1 wants.
    pub(super) fn made(names: &'n Names, oid: &str, kind: &'static str, value: Value) -> Self {
        Self::new(names, oid.to_owned(), Some(Cow::Borrowed(kind)), value)
    }

    /// The name without instance.
    pub(super) fn base_name(&self) -> Option<&'n str> {
        self.object.map(|object| object.name())
    }

    /// The arcs behind the object's own, where the object is known.
    pub(super) fn instance(&self) -> Option<&str> {
        Some(self.object?.instance(&self.oid))
    }

    /// The word for a number, the number with its point, the name of an OID. Bits are named where the
    /// octets are at hand.
    fn find_label(&self, names: &'n Names) -> Option<String> {
        if let (Some(object), Some(number)) = (self.object, self.value.as_i64()) {
            let label = || object.label(number).map(str::to_owned);
            let scaled = || match object.hint() {
                "" | "d" => None,
                hint => hint::integer(hint, number),
            };
            return label().or_else(scaled);
        }
        let text =
            self.value.as_str().filter(|_| self.kind.as_deref() == Some("OBJECT IDENTIFIER"))?;
        oid_name(names, text)
    }

    /// Writes ` name=value` as it stands in a message.
    pub(super) fn write_pair(&self, out: &mut String) {
        let key = self.name.as_deref().unwrap_or(&self.oid);
        out.push(' ');
        out.push_str(key);
        out.push('=');
        // Writing to a String cannot fail.
        match (&self.value, &self.label) {
            (Value::String(_), Some(name)) if self.kind.as_deref() == Some("OBJECT IDENTIFIER") => {
                out.push_str(name);
            }
            (Value::String(text), Some(label)) => drop(write!(out, "{label}({text})")),
            (number, Some(label)) => drop(write!(out, "{label}({number})")),
            (Value::String(text), None)
                if text.is_empty() || text.contains([' ', '\t', '\n', '\r']) =>
            {
                out.push('"');
                out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
                out.push('"');
            }
            (Value::String(text), None) => out.push_str(text),
            (other, None) => drop(write!(out, "{other}")),
        }
    }
}

/// The list as JSON text, into room made before.
pub(super) fn to_json(items: &[Varbind<'_>]) -> String {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let room = items.iter().map(|item| {
        let value = item.value.as_str().map_or(20, str::len);
        80 + item.oid.len() + text(&item.name) + value + text(&item.label)
    });
    let mut out = String::with_capacity(room.sum());
    let push = |out: &mut String, text: Option<&str>| match text {
        Some(text) => push_json_str(out, text),
        None => out.push_str("null"),
    };
    for item in items {
        out.push_str(if out.is_empty() { "[{\"oid\":" } else { ",{\"oid\":" });
        push_json_str(&mut out, &item.oid);
        out.push_str(",\"name\":");
        push(&mut out, item.name.as_deref());
        out.push_str(",\"type\":");
        push(&mut out, item.kind.as_deref());
        out.push_str(",\"value\":");
        match &item.value {
            Value::String(text) => push_json_str(&mut out, text),
            // Writing to a String cannot fail.
            other => drop(write!(out, "{other}")),
        }
        if let Some(label) = &item.label {
            out.push_str(",\"label\":");
            push_json_str(&mut out, label);
        }
        out.push('}');
    }
    out.push_str(if out.is_empty() { "[]" } else { "]" });
    out
}

/// What an OID that is a value is called: a notification, an object with its instance, or another
/// place that has a name of its own.
fn oid_name(names: &Names, oid: &str) -> Option<String> {
    let found = names.find(oid)?;
    let exact = found.instance(oid).is_empty();
    // The other spelling of a trap only where nothing has this one.
    if let Some(trap) = names.find_trap(oid).filter(|_| !exact) {
        return Some(trap.name().to_owned());
    }
    let object = matches!(found.kind(), Kind::Scalar | Kind::Column);
    (exact || object).then(|| found.display(oid))
}

/// What a list of varbinds gave.
#[derive(Debug, Default)]
pub(super) struct Varbinds<'n> {
    pub(super) items: Vec<Varbind<'n>>,
    pub(super) notes: Vec<String>,
    /// Where communities stand in the datagram that a proxy passed on in snmpTrapCommunity.
    pub(super) secrets: Vec<Range<usize>>,
}

/// Reads a list to its end or to the first varbind whose bounds cannot be known.
pub(super) fn read_all<'n>(names: &'n Names, mut list: Reader<'_>) -> Varbinds<'n> {
    let mut out = Varbinds::default();
    let mut addresses = Vec::new();
    let mut position = 0;
    while !list.is_empty() {
        position += 1;
        if position > VARBINDS_MAX {
            out.notes.push(format!("more than {VARBINDS_MAX} varbinds"));
            break;
        }
        let pair = match list.expect(ber::SEQUENCE) {
            Ok(pair) => pair,
            Err(why) => {
                out.notes.push(format!("varbind {position}: {why}"));
                break;
            }
        };
        if let Err(why) = read_one(names, &pair, &mut out, &mut addresses) {
            out.notes.push(format!("varbind {position}: {why}"));
        }
    }
    settle_addresses(&mut out.items, &addresses);
    out
}

/// An InetAddress is what its InetAddressType says, the varbind before it with the same instance. It
/// was read by its length before, and stays so where there is none.
fn settle_addresses(items: &mut [Varbind<'_>], addresses: &[(usize, &[u8])]) {
    for (at, octets) in addresses {
        let Some(item) = items.get(*at) else { continue };
        let mut beside = items.iter().filter(|other| {
            let inet = other.object.is_some_and(|o| o.convention() == Convention::InetType);
            inet && other.instance() == item.instance()
        });
        // Rows may have several; the nearest before the address is its own.
        let kind = beside.rfind(|other| oid::compare(&other.oid, &item.oid).is_lt());
        let kind = kind.and_then(|kind| kind.value.as_i64());
        if let (Some(text), Some(item)) = (instance::inet_address(octets, kind), items.get_mut(*at))
        {
            item.value = Value::String(text);
        }
    }
}

fn read_one<'n, 'a>(
    names: &'n Names,
    pair: &Element<'a>,
    out: &mut Varbinds<'n>,
    addresses: &mut Vec<(usize, &'a [u8])>,
) -> Result<(), BerError> {
    let mut pair = pair.inside();
    let name = ber::oid(pair.expect(ber::OBJECT_IDENTIFIER)?.content)?;
    let element = pair.element()?;
    let mut varbind = Varbind::new(names, name.text, None, Value::Null);
    let object = varbind.object;
    let mut odd = None;
    if object.is_some_and(|object| object.form() == Form::Secret) {
        out.secrets.push(element.range());
        varbind.kind = Some(Cow::Borrowed("OCTET STRING"));
    } else {
        let shown = read_value(&element, object.as_ref());
        (varbind.kind, varbind.value, odd) = (Some(Cow::Borrowed(shown.0)), shown.1, shown.2);
        varbind.label = match (object, element.tag) {
            (Some(object), ber::OCTET_STRING) if object.base() == Base::Bits => {
                bits(&object, element.content)
            }
            _ => varbind.find_label(names),
        };
        if object.is_some_and(|o| o.convention() == Convention::InetAddress) {
            addresses.push((out.items.len(), element.content));
        }
    }
    if name.wide {
        out.notes.push(format!("{}: an arc over 32 bits", varbind.oid));
    }
    if let Some(odd) = odd {
        out.notes.push(format!("{}: {odd}", varbind.oid));
    }
    out.items.push(varbind);
    Ok(())
}

/// The names of the bits that are set; the first bit is the highest of the first octet.
fn bits(object: &Found<'_>, octets: &[u8]) -> Option<String> {
    let mut out = String::new();
    for (number, at) in (0..octets.len().saturating_mul(8)).zip(0i64..) {
        let set = octets.get(number / 8).is_some_and(|octet| octet & (0x80 >> (number % 8)) != 0);
        let Some(label) = object.label(at).filter(|_| set) else { continue };
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(label);
    }
    (!out.is_empty()).then_some(out)
}

/// Reads varbinds that came as JSON: the contract's list of objects, or one object of OIDs and values.
/// `None` when it is neither, or one of them names no OID.
pub(crate) fn read_json<'n>(names: &'n Names, text: &str) -> Option<Vec<Varbind<'n>>> {
    match serde_json::from_str(text).ok()? {
        Value::Object(pairs) => {
            pairs.into_iter().map(|(oid, value)| from_json(names, &oid, None, value)).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| item_from_json(names, item)).collect(),
        _ => None,
    }
}

fn item_from_json<'n>(names: &'n Names, item: Value) -> Option<Varbind<'n>> {
    let Value::Object(mut item) = item else { return None };
    let text = |item: &mut Map<String, Value>, key| match item.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (oid, kind, name) =
        (text(&mut item, "oid")?, text(&mut item, "type"), text(&mut item, "name"));
    let mut varbind = from_json(names, &oid, kind, item.remove("value").unwrap_or_default())?;
    varbind.name = varbind.name.or(name);
    Some(varbind)
}

fn from_json<'n>(
    names: &'n Names,
    text: &str,
    kind: Option<String>,
    value: Value,
) -> Option<Varbind<'n>> {
    let oid = oid::normalise(text)?.into_owned();
    Some(Varbind::new(names, oid, kind.map(Cow::Owned), value))
}

type Shown = (&'static str, Value, Option<&'static str>);

/// The value with its type; what does not fit its type is kept in hexadecimal with a remark.
fn read_value(element: &Element<'_>, object: Option<&Found<'_>>) -> Shown {
    let octets = element.content;
    let number = |kind, read: Result<Value, BerError>| match read {
        Ok(value) => (kind, value, None),
        Err(_) => (kind, Value::String(hex(octets)), Some("a number that cannot be read")),
    };
    let unsigned = |kind| number(kind, ber::unsigned(octets).map(unsigned_value));
    match element.tag {
        ber::INTEGER => number("INTEGER", ber::signed(octets).map(signed_value)),
        ber::OCTET_STRING => ("OCTET STRING", Value::String(object_text(octets, object)), None),
        ber::NULL => ("NULL", Value::Null, None),
        ber::OBJECT_IDENTIFIER => match ber::oid(octets) {
            Ok(oid) => {
                let odd = oid.wide.then_some("an arc over 32 bits");
                ("OBJECT IDENTIFIER", Value::String(oid.text), odd)
            }
            Err(_) => {
                let odd = Some("an object identifier that cannot be read");
                ("OBJECT IDENTIFIER", Value::String(hex(octets)), odd)
            }
        },
        IP_ADDRESS => ip_address(octets),
        0x41 => unsigned("Counter32"),
        0x42 => unsigned("Gauge32"),
        TIME_TICKS => unsigned("TimeTicks"),
        0x44 => opaque(octets),
        0x45 => ("NsapAddress", Value::String(hex(octets)), None),
        0x46 => unsigned("Counter64"),
        0x47 => unsigned("UInteger32"),
        0x80 => ("noSuchObject", Value::Null, None),
        0x81 => ("noSuchInstance", Value::Null, None),
        0x82 => ("endOfMibView", Value::Null, None),
        _ => ("unknown", Value::String(hex(element.whole)), Some("a type that does not exist")),
    }
}

fn ip_address(octets: &[u8]) -> Shown {
    match <[u8; 4]>::try_from(octets) {
        Ok(four) => ("IpAddress", Value::String(dotted(four)), None),
        Err(_) => {
            ("IpAddress", Value::String(hex(octets)), Some("an address that is not of four octets"))
        }
    }
}

/// Opaque holds BER of its own; net-snmp wraps float (0x9f78), double (0x9f79), Counter64 (0x9f76),
/// signed (0x9f7a) and unsigned (0x9f7b) 64-bit numbers in it.
fn opaque(octets: &[u8]) -> Shown {
    let raw = || ("Opaque", Value::String(hex(octets)), None);
    let [0x9f, kind, length, inner @ ..] = octets else { return raw() };
    if usize::from(*length) != inner.len() {
        return raw();
    }
    let real = |kind, number: f64| match serde_json::Number::from_f64(number) {
        Some(number) => (kind, Value::Number(number), None),
        // JSON has no word for NaN and the infinities.
        None => (kind, Value::String(number.to_string()), None),
    };
    match (kind, inner) {
        (0x78, [a, b, c, d]) => {
            real("Opaque Float", f64::from(f32::from_be_bytes([*a, *b, *c, *d])))
        }
        (0x79, inner) => match <[u8; 8]>::try_from(inner) {
            Ok(eight) => real("Opaque Double", f64::from_be_bytes(eight)),
            Err(_) => raw(),
        },
        (0x76 | 0x7b, inner) => match ber::unsigned(inner) {
            Ok(number) => ("Opaque Counter64", unsigned_value(number), None),
            Err(_) => raw(),
        },
        (0x7a, inner) => match ber::signed(inner) {
            Ok(number) => ("Opaque Integer64", signed_value(number), None),
            Err(_) => raw(),
        },
        _ => raw(),
    }
}

fn unsigned_value(number: u64) -> Value {
    if number > EXACT_MAX { Value::String(number.to_string()) } else { Value::from(number) }
}

fn signed_value(number: i64) -> Value {
    if number.unsigned_abs() > EXACT_MAX {
        Value::String(number.to_string())
    } else {
        Value::from(number)
    }
}

/// An address in dotted form.
pub(super) fn dotted(four: [u8; 4]) -> String {
    std::net::Ipv4Addr::from(four).to_string()
}

/// Octets as `0x` and hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(2 + octets.len() * 2);
    out.push_str("0x");
    for octet in octets {
        // Writing to a String cannot fail.
        let _ = write!(out, "{octet:02x}");
    }
    out
}

/// Octets as the object's convention or hint says, or as they look.
fn object_text(octets: &[u8], object: Option<&Found<'_>>) -> String {
    let Some(object) = object else { return octets_text(octets, Form::Guess) };
    let special = match object.convention() {
        Convention::InetAddress => instance::inet_address(octets, None),
        Convention::Date => date_and_time(octets),
        Convention::None | Convention::InetType => None,
    };
    if let Some(text) = special {
        return text;
    }
    let hint = object.hint();
    if object.base() == Base::Bits {
        return hex(octets);
    }
    if !hint.is_empty() {
        let octets = if hint::is_text(hint) { trim_nul(octets) } else { octets };
        if let Some(text) = hint::octets(hint, octets) {
            return text;
        }
    }
    octets_text(octets, object.form())
}

fn octets_text(octets: &[u8], form: Form) -> String {
    match form {
        Form::Hex => hex(octets),
        Form::Text => clean(&String::from_utf8_lossy(trim_nul(octets))),
        Form::Guess | Form::Secret => match std::str::from_utf8(trim_nul(octets)) {
            Ok(text) if text.chars().all(printable) => text.to_owned(),
            _ => date_and_time(octets).unwrap_or_else(|| hex(octets)),
        },
    }
}

/// C programs send the closing zero of their strings.
fn trim_nul(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(&[0]).unwrap_or(octets)
}

fn printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\t' | '\n' | '\r')
}

/// Text of a MIB's object, whatever the octets are.
pub(super) fn clean_text(octets: &[u8]) -> String {
    clean(&String::from_utf8_lossy(octets))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if printable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
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

    use super::*;

    #[test]
    fn values_of_every_type() {
        let check = |bytes: &[u8], kind: &str, value: Value| {
            let element = Reader::new(bytes).element().unwrap();
            let (found_kind, found, _) = read_value(&element, None);
            assert_eq!((found_kind, found), (kind, value), "{bytes:02x?}");
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
