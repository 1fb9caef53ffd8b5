//! The instance of a column in words: its arcs read as the row's INDEX says. What does not fit stays
//! in numbers, so that nothing of it is lost.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::arcs::Arcs;
use super::digits::{address, push_arc};
use super::hint;
use super::names::{Base, Convention, Found, Part, PartFacts};

/// Writes `.part.part` for the arcs behind the object's own.
pub(super) fn write(found: &Found<'_>, oid: &Arcs, own: usize, out: &mut String) {
    let index = found.index();
    if index.is_empty() || !oid.is_whole() {
        return oid.push_rest(own, out);
    }
    let mut arcs = oid.known().get(own..).unwrap_or_default();
    if arcs.is_empty() {
        return;
    }
    // What an InetAddress is says the InetAddressType before it.
    let mut inet_type = None;
    for part in index {
        let facts = found.part(part);
        let Some(rest) = write_part(part, &facts, arcs, &mut inet_type, out) else { break };
        arcs = rest;
    }
    arcs.iter().for_each(|arc| push_arc(out, *arc));
}

/// Writes one part and gives what is left; `None`, and nothing written, when it does not fit.
fn write_part<'a>(
    part: &Part,
    facts: &PartFacts<'_>,
    arcs: &'a [u32],
    inet_type: &mut Option<u32>,
    out: &mut String,
) -> Option<&'a [u32]> {
    match part.base {
        Base::Integer => {
            let (number, rest) = arcs.split_first()?;
            if facts.convention() == Convention::InetType {
                *inet_type = Some(*number);
            }
            // An index is written without sign; a negative one comes as its 32 bits.
            let label = facts.label(i64::from(*number));
            match label {
                Some(label) => {
                    out.push('.');
                    out.push_str(label);
                }
                None => push_arc(out, *number),
            }
            Some(rest)
        }
        Base::Address => {
            let (four, rest) = arcs.split_at_checked(4)?;
            if four.iter().any(|arc| *arc > 255) {
                return None;
            }
            four.iter().for_each(|arc| push_arc(out, *arc));
            Some(rest)
        }
        Base::Octets | Base::Bits => {
            let (octets, rest) = take(part, arcs)?;
            match octets_text(facts, octets, inet_type.take()) {
                Some(text) => {
                    out.push('.');
                    out.push_str(&text);
                }
                None => write_arcs(arcs, rest, out),
            }
            Some(rest)
        }
        Base::Oid => {
            let (_, rest) = take(part, arcs)?;
            write_arcs(arcs, rest, out);
            Some(rest)
        }
        Base::Any => None,
    }
}

/// In numbers, its length too where the index has one: without it nobody could read them back.
fn write_arcs(arcs: &[u32], rest: &[u32], out: &mut String) {
    arcs.iter().take(arcs.len() - rest.len()).for_each(|arc| push_arc(out, *arc));
}

/// The arcs of one value whose length is fixed, implied or stands before it.
fn take<'a>(part: &Part, arcs: &'a [u32]) -> Option<(&'a [u32], &'a [u32])> {
    if part.implied {
        return Some((arcs, &[]));
    }
    if part.fixed > 0 {
        return arcs.split_at_checked(usize::from(part.fixed));
    }
    let (length, rest) = arcs.split_first()?;
    rest.split_at_checked(usize::try_from(*length).ok()?)
}

fn octets_of(arcs: &[u32]) -> Option<Vec<u8>> {
    arcs.iter().map(|arc| u8::try_from(*arc).ok()).collect()
}

fn octets_text(facts: &PartFacts<'_>, arcs: &[u32], inet_type: Option<u32>) -> Option<String> {
    let octets = octets_of(arcs)?;
    if facts.convention() == Convention::InetAddress
        && let Some(address) = inet_address(&octets, inet_type.map(i64::from))
    {
        return Some(format!("\"{address}\""));
    }
    let hint = facts.hint();
    if !hint.is_empty() && !hint::is_text(hint) {
        let text = hint::octets(hint, &octets)?;
        return text.bytes().all(|b| b.is_ascii_graphic() && b != b'"').then_some(text);
    }
    let plain = |b: &u8| (b.is_ascii_graphic() || *b == b' ') && *b != b'"';
    octets.iter().all(plain).then(|| format!("\"{}\"", String::from_utf8_lossy(&octets)))
}

/// An InetAddress of RFC 4001 as text, by its InetAddressType where one is known and by its length
/// otherwise; `None` when it is neither.
pub(super) fn inet_address(octets: &[u8], inet_type: Option<i64>) -> Option<String> {
    let zone = |zone: &[u8]| zone.try_into().map(u32::from_be_bytes).ok();
    let v4 = |four: &[u8]| <[u8; 4]>::try_from(four).ok().map(Ipv4Addr::from);
    let v6 = |many: &[u8]| <[u8; 16]>::try_from(many).ok().map(Ipv6Addr::from);
    match (inet_type, octets.len()) {
        (None | Some(1), 4) => Some(address(octets.try_into().ok()?)),
        (None | Some(2), 16) => Some(v6(octets)?.to_string()),
        (Some(3), 8) => Some(format!("{}%{}", v4(&octets[..4])?, zone(&octets[4..])?)),
        (None | Some(4), 20) => Some(format!("{}%{}", v6(&octets[..16])?, zone(&octets[16..])?)),
        (Some(16), 1..=255) => std::str::from_utf8(octets)
            .ok()
            .filter(|name| name.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
            .map(str::to_owned),
        _ => None,
    }
}
