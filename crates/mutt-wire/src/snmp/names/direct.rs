//! Names found in one step, by the octets of an OID as they came, where a varbind is what nearly every
//! one is: an object without an index of its own kind and one arc of instance.

use super::{EDGE_STEPS, Found, NONE, Names, Node};

/// What stands before an OID in the JSON of a varbind that is not the first.
pub(in crate::snmp) const LEAD: &str = "},{\"oid\":\"";
/// What stands between an OID with its last dot and its name.
pub(in crate::snmp) const MIDDLE: &str = "\",\"name\":\"";

/// Texts are copied in pieces of so many octets; behind the last one there are as many.
pub(in crate::snmp) const CHUNK: usize = 32;

impl Names {
    /// All texts, one behind the other.
    #[inline]
    pub(in crate::snmp) fn texts(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The object of which this is an instance of one arc, and the arc, where it is one whose texts are
    /// ready; `None` says nothing.
    #[inline]
    pub(in crate::snmp) fn find_ready<'n>(&'n self, oid: &[u8]) -> Option<(Found<'n>, u32)> {
        let (head, arc) = split_last_arc(oid)?;
        let node = self.at_octets(head).filter(|node| node.ready)?;
        Some((Found { names: self, node, length: usize::from(node.depth) }, arc))
    }

    /// The definition with this OID; `None` says nothing.
    #[inline]
    pub(in crate::snmp) fn find_exact<'n>(&'n self, oid: &[u8]) -> Option<Found<'n>> {
        let node = self.at_octets(oid)?;
        Some(Found { names: self, node, length: usize::from(node.depth) })
    }

    #[inline(always)]
    fn at_octets(&self, oid: &[u8]) -> Option<&Node> {
        let at = place(oid);
        for step in 0..EDGE_STEPS {
            let places = self.direct.len();
            let node = *self.direct.get(at.wrapping_add(step) & places.wrapping_sub(1))?;
            let node = self.nodes.get(node as usize)?;
            let from = node.octets.at as usize;
            if self.octets.get(from..from + usize::from(node.octets.length)) == Some(oid) {
                return Some(node);
            }
        }
        None
    }

    /// Makes each definition be found by the octets of its OID.
    pub(super) fn join_octets(&mut self) {
        let known = self.nodes.iter().filter(|node| node.octets.length > 0).count();
        let places = (known * 2).next_power_of_two();
        self.direct = vec![NONE; places];
        for (node, number) in self.nodes.iter().zip(0..) {
            let from = node.octets.at as usize;
            let octets = self.octets.get(from..from + usize::from(node.octets.length));
            let Some(octets) = octets.filter(|octets| !octets.is_empty()) else { continue };
            let at = place(octets);
            let mut steps = (0..EDGE_STEPS).map(|step| at.wrapping_add(step) & (places - 1));
            let free = steps.find(|place| self.direct.get(*place) == Some(&NONE));
            if let Some(place) = free.and_then(|place| self.direct.get_mut(place)) {
                *place = number;
            }
        }
    }
}

/// Where the texts of a definition stand in [`Names::texts`], and how long they are.
impl Found<'_> {
    /// Its OID, with [`LEAD`] before and a dot behind it.
    #[inline]
    pub(in crate::snmp) fn oid_at(&self) -> (usize, usize) {
        let length = usize::from(self.node.oid);
        ((self.node.name.at as usize).saturating_sub(MIDDLE.len() + 1 + length), length)
    }

    /// Its name, with [`MIDDLE`] before and a dot behind it.
    #[inline]
    pub(in crate::snmp) fn name_at(&self) -> (usize, usize) {
        (self.node.name.at as usize, usize::from(self.node.name.length))
    }

    /// The word for a number.
    #[inline]
    pub(in crate::snmp) fn word(&self, number: i64) -> Option<(usize, usize)> {
        let word = self.names.word(self.facts(), number)?;
        Some((word.at as usize, usize::from(word.length)))
    }

    /// Whether its OID and its name stand in the texts as JSON has them.
    #[inline]
    pub(in crate::snmp) fn is_written(&self) -> bool {
        self.node.plain && self.node.oid > 0
    }

    /// Whether a number is shown by its digits, and by its word where it has one, which JSON need not
    /// escape.
    #[inline]
    pub(in crate::snmp) fn shows_numbers(&self) -> bool {
        self.facts().numbers
    }

    /// Up to how many octets that are printable ASCII are shown as they are.
    #[inline]
    pub(in crate::snmp) fn shows_text(&self) -> usize {
        usize::from(self.facts().printable)
    }
}

/// Where in [`Names::direct`] the search for an OID begins: by its end, and by where an enterprise
/// stands.
#[inline]
fn place(oid: &[u8]) -> usize {
    let end = match oid.last_chunk::<8>() {
        Some(end) => u64::from_be_bytes(*end),
        None => oid.iter().fold(0, |end, octet| end << 8 | u64::from(*octet)),
    };
    let enterprise = oid.get(5..).and_then(<[u8]>::first_chunk::<4>);
    let enterprise = enterprise.map_or(0, |four| u64::from(u32::from_le_bytes(*four)));
    let mixed = u128::from(end ^ enterprise << 32) * 0x9e37_79b9_7f4a_7c15;
    ((mixed >> 64) ^ mixed) as usize
}

/// The last arc, where it is below 2^28.
#[inline]
fn split_last_arc(oid: &[u8]) -> Option<(&[u8], u32)> {
    let (last, mut head) = oid.split_last().filter(|(last, _)| **last < 0x80)?;
    let (mut arc, mut shift) = (u32::from(*last), 7);
    while let Some((octet, before)) = head.split_last().filter(|(octet, _)| **octet >= 0x80) {
        if shift > 21 {
            return None;
        }
        arc |= u32::from(octet & 0x7f) << shift;
        shift += 7;
        head = before;
    }
    Some((head, arc))
}

/// The octets of an OID as most senders write it; empty where the first two arcs do not fit one octet.
pub(super) fn octets_of(arcs: &[u32]) -> Vec<u8> {
    let [first, second, rest @ ..] = arcs else { return Vec::new() };
    if !matches!((first, second), (0 | 1, 0..40) | (2, 0..48)) {
        return Vec::new();
    }
    let mut out = vec![(first * 40 + second) as u8];
    for arc in rest {
        let septets = arc.checked_ilog2().map_or(1, |log| log / 7 + 1);
        for septet in (0..septets).rev() {
            let more = if septet > 0 { 0x80 } else { 0 };
            out.push((arc >> (septet * 7) & 0x7f) as u8 | more);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::ber;
    use super::*;

    #[test]
    fn octets_are_those_that_the_reader_reads() {
        let check = |arcs: &[u32], expected: &[u8]| {
            assert_eq!(octets_of(arcs), expected, "{arcs:?}");
            if !expected.is_empty() {
                assert_eq!(ber::oid(expected).unwrap().text, mutt_model::oid::format(arcs));
            }
        };
        check(&[1, 3, 6, 1], &[0x2b, 6, 1]);
        check(&[2, 47, 127, 128, u32::MAX], &[127, 127, 0x81, 0, 0x8f, 0xff, 0xff, 0xff, 0x7f]);
        check(&[0, 0, 0, 16_383, 16_384], &[0, 0, 0xff, 0x7f, 0x81, 0x80, 0]);
        check(&[2, 48], &[]);
        check(&[1, 40], &[]);
        check(&[1], &[]);
    }

    #[test]
    fn the_last_arc_is_told_from_those_before_it() {
        let check = |oid: &[u8], expected: Option<(&[u8], u32)>| {
            assert_eq!(split_last_arc(oid), expected, "{oid:02x?}");
        };
        check(&[0x2b, 6, 1], Some((&[0x2b, 6], 1)));
        check(&[0x2b, 0x81, 0], Some((&[0x2b], 128)));
        check(&[0x2b, 0xff, 0xff, 0xff, 0x7f], Some((&[0x2b], (1 << 28) - 1)));
        check(&[0x2b, 0x81, 0x80, 0x80, 0x80, 0], None);
        check(&[0x2b, 0x81], None);
        check(&[], None);
    }

    #[test]
    fn what_is_found_in_one_step_is_what_the_tree_finds() {
        let names = Names::builtin();
        let mut ready = 0;
        for (oid, name) in names.iter() {
            let arcs = mutt_model::oid::arcs(&oid).unwrap();
            let mut octets = octets_of(&arcs);
            let exact = names.find_exact(&octets).map(|found| (found.name(), found.length));
            assert_eq!(exact, (arcs.len() > 1).then_some((name, arcs.len())), "{oid}");
            octets.extend([0x81, 1]);
            if let Some((found, arc)) = names.find_ready(&octets) {
                ready += 1;
                let tree = names.find(&format!("{oid}.129")).unwrap();
                assert_eq!((found.name(), found.length, arc), (tree.name(), tree.length, 129));
                assert_eq!(found.lead(), format!("{LEAD}{oid}."));
                assert_eq!(found.middle(), format!("{MIDDLE}{name}."));
            }
        }
        assert!(ready > 40, "{ready}");
    }
}
