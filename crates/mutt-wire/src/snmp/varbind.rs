//! Varbinds out of a datagram or out of JSON, each with its name and what its value means.

use std::borrow::Cow;

use mutt_model::oid;
use serde_json::{Map, Value};

use super::arcs::Arcs;
use super::ber::{self, BerError, Element, Reader};
use super::names::{
    Base, Beside, Convention, Form, Found, Kind as Defined, Names, SNMP_TRAP_OID,
    SNMP_TRAP_OID_OCTETS,
};
use super::sheet::{InetType, Kind, Line, Quick, Sheet, Varbind, inet_type};
use super::value::{self, Shown, Type};
use super::{hint, instance};

/// Varbinds that are decoded; what follows is in the raw bytes only, and noted.
pub const VARBINDS_MAX: usize = 1_024;

/// Makes a sheet, and makes it again where an InetAddress is only understood by what stands elsewhere.
pub(super) fn settled<'n>(make: impl Fn(&[InetType]) -> Sheet<'n>) -> Sheet<'n> {
    let sheet = make(&[]);
    match sheet.inet_types() {
        Some(types) => make(&types),
        None => sheet,
    }
}

/// Reads a list to its end or to the first varbind whose bounds cannot be known.
pub(super) fn read_all(sheet: &mut Sheet<'_>, mut list: Reader<'_>, types: &[InetType]) {
    let (mut line, mut slow) = (Line::new(), None);
    let mut position = 0;
    while !list.is_empty() {
        position += 1;
        if position > VARBINDS_MAX {
            sheet.notes.push(format!("more than {VARBINDS_MAX} varbinds"));
            break;
        }
        let pair = match list.expect(ber::SEQUENCE) {
            Ok(pair) => pair,
            Err(why) => {
                sheet.notes.push(format!("varbind {position}: {why}"));
                break;
            }
        };
        if let Err(why) = read_one(sheet, &pair, types, (&mut line, &mut slow)) {
            sheet.notes.push(format!("varbind {position}: {why}"));
        }
    }
    sheet.settle(&mut line);
}

/// Room for what is not put together at once, made when it is needed.
struct Slow {
    oid: Arcs,
    value: Arcs,
    beside: Beside,
}

impl Slow {
    fn new() -> Self {
        Self { oid: Arcs::new(), value: Arcs::new(), beside: Beside::default() }
    }
}

fn read_one(
    sheet: &mut Sheet<'_>,
    pair: &Element<'_>,
    types: &[InetType],
    (line, slow): (&mut Line, &mut Option<Slow>),
) -> Result<(), BerError> {
    let mut pair = pair.inside();
    let octets = pair.expect(ber::OBJECT_IDENTIFIER)?.content;
    if let Some(ready) = sheet.names().find_ready(octets) {
        read_ready(sheet, ready, octets, &pair.element()?, (line, slow));
        return Ok(());
    }
    let Slow { oid, value: value_oid, beside } = slow.get_or_insert_with(Slow::new);
    oid.read(octets)?;
    let element = pair.element()?;
    let place = sheet.names().find_beside(oid.known(), beside);
    let object = place.filter(Found::is_object);
    if object.is_none()
        && oid.is_whole()
        && !oid.is(SNMP_TRAP_OID)
        && let Some((of, quick)) = value::quick(&element, sheet.names())
        && sheet.put_unnamed(line, (oid.known(), place), of, quick)
    {
        return Ok(());
    }
    sheet.settle(line);
    if !oid.is_whole() {
        sheet.notes.push(format!("{}: an arc over 32 bits", oid.text()));
    }
    if object.is_some_and(|object| object.form() == Form::Secret) {
        sheet.secrets.push(element.range());
        sheet.put(oid, secret(object, Kind::Wire(&value::OCTETS)));
        return Ok(());
    }
    let (of, mut value, odd) = value::read(&element, object.as_ref(), value_oid);
    let is_trap = oid.is(SNMP_TRAP_OID);
    let label = match (object, &value) {
        (Some(object), _) if element.tag == ber::OCTET_STRING && object.base() == Base::Bits => {
            bits(&object, element.content).map(Cow::Owned)
        }
        (Some(object), Shown::Number(number)) => number_label(&object, *number),
        (_, Shown::Oid) => {
            let (text, label) = oid_value(sheet, value_oid, is_trap);
            value = Shown::Text(text);
            label
        }
        _ => None,
    };
    if is_trap {
        // Where it is no OID, a later one does not count either.
        sheet.take_trap(None, None);
    }
    if let Some(object) = object.filter(|o| o.convention() == Convention::InetAddress) {
        sheet.addressed = true;
        let text = instance::inet_address(element.content, inet_type(types, &object, oid));
        value = text.map_or(value, Shown::from);
    }
    if let Some(odd) = odd {
        sheet.notes.push(format!("{}: {odd}", oid.text()));
    }
    sheet.put(oid, Varbind { object, place, given: None, kind: Kind::Wire(of), value, label });
    Ok(())
}

/// The same where all that is said of the object is at hand.
#[inline]
fn read_ready<'n>(
    sheet: &mut Sheet<'n>,
    (object, arc): (Found<'n>, u32),
    octets: &[u8],
    element: &Element<'_>,
    (line, slow): (&mut Line, &mut Option<Slow>),
) {
    let is_trap = octets == SNMP_TRAP_OID_OCTETS;
    if let Some((of, quick)) = value::quick(element, sheet.names()) {
        let trap = match quick {
            Quick::Oid(found) if is_trap && found.kind() == Defined::Trap => Some(found),
            _ => None,
        };
        if is_trap == trap.is_some() && sheet.put_quick(line, (object, arc), of, quick) {
            if let Some(trap) = trap {
                sheet.settle_message(line);
                let text = trap.oid_text().unwrap_or_default();
                sheet.take_trap_text(Some(text.to_owned()), Some(trap));
            }
            return;
        }
    }
    sheet.settle(line);
    let Slow { oid, value: value_oid, .. } = slow.get_or_insert_with(Slow::new);
    let (of, mut value, odd) = value::read(element, Some(&object), value_oid);
    let label = match &value {
        Shown::Number(number) => number_label(&object, *number),
        Shown::Oid => {
            let (text, label) = oid_value(sheet, value_oid, is_trap);
            value = Shown::Text(text);
            label
        }
        _ => None,
    };
    if is_trap {
        sheet.take_trap(None, None);
    }
    if let Some(odd) = odd
        && oid.read(octets).is_ok()
    {
        sheet.notes.push(format!("{}: {odd}", oid.text()));
    }
    sheet.put_ready((object, arc), of, &value, label.as_deref());
}

/// An OID that is a value as text, and what it is called; where it is that of the notification, it is
/// said so.
fn oid_value<'n>(
    sheet: &mut Sheet<'n>,
    oid: &Arcs,
    is_trap: bool,
) -> (Cow<'n, str>, Option<Cow<'n, str>>) {
    let names = sheet.names();
    let (found, known) = names.walk(oid.known());
    let exact = found.filter(|found| found.is_exact(oid));
    let text = exact.and_then(|found| found.oid_text());
    let text = text.map_or_else(|| Cow::Owned(oid.text()), Cow::Borrowed);
    if is_trap {
        sheet.take_trap(Some(oid), names.trap_of(oid, found, known));
    }
    (text, oid_label(names, oid, (found, known)))
}

/// A community's value is never shown.
fn secret<'n, 'v>(object: Option<Found<'n>>, kind: Kind<'v>) -> Varbind<'n, 'v> {
    let value = Shown::Text(Cow::Borrowed("*"));
    Varbind { object, place: object, given: None, kind, value, label: None }
}

/// Appends a varbind that the decoder adds, as RFC 3584 section 3.1 wants.
pub(super) fn put_made(sheet: &mut Sheet<'_>, oid: &Arcs, of: &'static Type, value: Shown<'_>) {
    put_known(sheet, oid, Kind::Wire(of), None, value);
}

/// Appends a varbind whose value is shown already: an OID is a text.
fn put_known(
    sheet: &mut Sheet<'_>,
    oid: &Arcs,
    kind: Kind<'_>,
    given: Option<&str>,
    value: Shown<'_>,
) {
    let names = sheet.names();
    let place = names.find_arcs(oid.known());
    let object = place.filter(Found::is_object);
    if object.is_some_and(|object| object.form() == Form::Secret) {
        return sheet.put(oid, secret(object, kind));
    }
    let number = match &value {
        Shown::Number(number) => Some(*number),
        Shown::Json(value) => value.as_i64(),
        _ => None,
    };
    let label = match (object, number, &value) {
        (Some(object), Some(number), _) => number_label(&object, number),
        (_, _, Shown::Text(text)) if kind.is_oid() => {
            let value = Arcs::of(text);
            oid_label(names, &value, names.walk(value.known()))
        }
        _ => None,
    };
    sheet.put(oid, Varbind { object, place, given, kind, value, label });
}

/// The word for a number, or the number with its point.
fn number_label<'n>(object: &Found<'n>, number: i64) -> Option<Cow<'n, str>> {
    if let Some(label) = object.label(number) {
        return Some(Cow::Borrowed(label));
    }
    match object.hint() {
        "" | "d" => None,
        hint => hint::integer(hint, number).map(Cow::Owned),
    }
}

/// What an OID that is a value is called: a notification, an object with its instance, or another
/// place that has a name of its own.
fn oid_label<'n>(
    names: &'n Names,
    oid: &Arcs,
    (found, known): (Option<Found<'n>>, usize),
) -> Option<Cow<'n, str>> {
    let found = found?;
    if found.is_exact(oid) {
        return Some(Cow::Borrowed(found.name()));
    }
    // The other spelling of a trap only where nothing has this one.
    if let Some(trap) = names.trap_of(oid, Some(found), known) {
        return Some(Cow::Borrowed(trap.name()));
    }
    found.is_object().then(|| {
        let mut name = String::new();
        found.display_arcs(oid, &mut name);
        Cow::Owned(name)
    })
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
pub(crate) fn read_json<'n>(names: &'n Names, text: &str) -> Option<Sheet<'n>> {
    let mut sheet = Sheet::new(names, text.len());
    match serde_json::from_str(text).ok()? {
        Value::Object(pairs) => {
            for (oid, value) in pairs {
                put_json(&mut sheet, &oid, None, None, value)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                put_item(&mut sheet, item)?;
            }
        }
        _ => return None,
    }
    Some(sheet)
}

fn put_item(sheet: &mut Sheet<'_>, item: Value) -> Option<()> {
    let Value::Object(mut item) = item else { return None };
    let text = |item: &mut Map<String, Value>, key| match item.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (oid, kind, name) =
        (text(&mut item, "oid")?, text(&mut item, "type"), text(&mut item, "name"));
    let value = item.remove("value").unwrap_or_default();
    put_json(sheet, &oid, kind.as_deref(), name.as_deref(), value)
}

fn put_json(
    sheet: &mut Sheet<'_>,
    oid: &str,
    kind: Option<&str>,
    name: Option<&str>,
    value: Value,
) -> Option<()> {
    let oid = Arcs::of(&oid::normalise(oid)?);
    let value = match value {
        Value::String(text) => text.into(),
        value => Shown::Json(value),
    };
    put_known(sheet, &oid, Kind::Given(kind), name, value);
    Some(())
}
