//! The arcs of an object identifier, read from octets or from text into room that is used again.

use mutt_model::oid::OID_ARCS_MAX;

use super::ber::{self, BerError};
use super::digits::{push_arc, push_arcs, push_number};

/// An object identifier.
#[derive(Debug)]
pub(super) struct Arcs {
    room: [u32; OID_ARCS_MAX],
    /// Arcs in it: all, or those before the first that does not fit 32 bits.
    count: usize,
    /// The whole as text, where not all arcs fit.
    odd: Option<String>,
}

impl Arcs {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { room: [0; OID_ARCS_MAX], count: 0, odd: None }
    }

    pub(super) fn of(text: &str) -> Self {
        let mut arcs = Self::new();
        arcs.parse(text);
        arcs
    }

    /// Of arcs that are known; more than an OID may have are left out.
    pub(super) fn known_as(arcs: &[u32]) -> Self {
        let mut room = [0; OID_ARCS_MAX];
        let count = arcs.len().min(OID_ARCS_MAX);
        room.iter_mut().zip(arcs).for_each(|(place, arc)| *place = *arc);
        Self { room, count, odd: None }
    }

    /// Reads an object identifier from its octets.
    ///
    /// # Errors
    ///
    /// As [`ber::oid`].
    #[inline]
    pub(super) fn read(&mut self, content: &[u8]) -> Result<(), BerError> {
        if self.odd.is_some() {
            self.odd = None;
        }
        match fill(&mut self.room, content) {
            Some(count) => {
                self.count = count;
                Ok(())
            }
            None => {
                self.parse(&ber::oid(content)?.text);
                Ok(())
            }
        }
    }

    /// Reads an object identifier from text.
    pub(super) fn parse(&mut self, text: &str) {
        (self.odd, self.count) = (None, 0);
        for arc in text.split('.') {
            let (Ok(arc), Some(place)) = (arc.parse(), self.room.get_mut(self.count)) else {
                self.odd = Some(text.to_owned());
                return;
            };
            *place = arc;
            self.count += 1;
        }
    }

    /// The arcs; not all of them when it is not whole.
    #[inline]
    pub(super) fn known(&self) -> &[u32] {
        self.room.get(..self.count).unwrap_or_default()
    }

    /// Whether every arc fits 32 bits, as RFC 2578 wants.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        self.odd.is_none()
    }

    /// Whether it is this one.
    #[inline]
    pub(super) fn is(&self, arcs: &[u32]) -> bool {
        self.is_whole() && self.known() == arcs
    }

    /// The arcs behind the first `skip`, each with a dot before it.
    #[inline]
    pub(super) fn push_rest(&self, skip: usize, out: &mut String) {
        if let Some(text) = &self.odd {
            if let Some(rest) = behind(text, skip) {
                out.push('.');
                out.push_str(rest);
            }
            return;
        }
        match self.known().get(skip..).unwrap_or_default() {
            [arc] => push_arc(out, *arc),
            arcs => push_arcs(out, arcs),
        }
    }

    pub(super) fn push(&self, out: &mut String) {
        if let Some(text) = &self.odd {
            out.push_str(text);
        } else if let [first, rest @ ..] = self.known() {
            push_number(out, u64::from(*first));
            push_arcs(out, rest);
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::with_capacity(self.count * 3);
        self.push(&mut out);
        out
    }

    /// The other spelling of a notification, see [`mutt_model::oid::other_spelling`].
    pub(super) fn other_spelling(&self) -> Option<Self> {
        let arcs = self.known();
        let (last, head) = arcs.split_last().filter(|_| self.is_whole() && arcs.len() > 1)?;
        let head = match head {
            [enterprise @ .., 0] if !enterprise.is_empty() => enterprise,
            _ => head,
        };
        let zero = head.len() + 1 == arcs.len();
        let count = head.len() + 1 + usize::from(zero);
        let mut room = [0; OID_ARCS_MAX];
        room.get_mut(..head.len())?.copy_from_slice(head);
        *room.get_mut(count - 1)? = *last;
        Some(Self { room, count, odd: None })
    }
}

/// What stands behind the first arcs of a text.
pub(super) fn behind(text: &str, arcs: usize) -> Option<&str> {
    let mut rest = text;
    for _ in 0..arcs {
        rest = rest.split_once('.')?.1;
    }
    Some(rest)
}

/// Reads what nearly every device sends; the rest is left to [`ber::oid`], with what is wrong.
#[inline]
fn fill(room: &mut [u32; OID_ARCS_MAX], content: &[u8]) -> Option<usize> {
    let (first, mut rest) = content.split_first().filter(|(first, _)| **first < 0x80)?;
    let first = u32::from(*first);
    let top = (first / 40).min(2);
    (room[0], room[1]) = (top, first - top * 40);
    let mut count = 2;
    // Nearly every arc is one octet.
    for (place, octet) in room[2..].iter_mut().zip(rest) {
        if *octet >= 0x80 {
            break;
        }
        *place = u32::from(*octet);
        count += 1;
    }
    rest = rest.get(count - 2..)?;
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        let mut arc = u32::from(*octet);
        if arc >= 0x80 {
            arc &= 0x7f;
            loop {
                let (octet, after) = rest.split_first().filter(|_| arc >> 25 == 0)?;
                rest = after;
                arc = arc << 7 | u32::from(octet & 0x7f);
                if *octet < 0x80 {
                    break;
                }
            }
        }
        *room.get_mut(count)? = arc;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use mutt_model::oid;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arcs_are_read_as_their_text_is() {
        let check = |text: &str, known: usize, whole: bool| {
            let arcs = Arcs::of(text);
            assert_eq!((arcs.known().len(), arcs.is_whole()), (known, whole), "{text}");
            assert_eq!(arcs.text(), text);
        };
        check("1.3.6.1", 4, true);
        check("1", 1, true);
        check("1.3.4294967296.5", 2, false);
        check("1.3.x", 2, false);
        check("", 0, false);
        let mut rest = String::new();
        Arcs::of("1.3.6.1.4294967295").push_rest(2, &mut rest);
        Arcs::of("1.3.4294967296.5").push_rest(1, &mut rest);
        Arcs::of("1.3").push_rest(2, &mut rest);
        assert_eq!(rest, ".6.1.4294967295.3.4294967296.5");
    }

    proptest! {
        #[test]
        fn octets_are_read_as_the_reader_of_texts_reads_them(
            content in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..140),
        ) {
            let mut arcs = Arcs::new();
            let read = arcs.read(&content).map(|()| (arcs.text(), !arcs.is_whole()));
            prop_assert_eq!(read, ber::oid(&content).map(|oid| (oid.text, oid.wide)));
        }

        #[test]
        fn the_other_spelling_is_that_of_the_text(
            arcs in proptest::collection::vec(prop_oneof![Just(0u32), any::<u32>()], 1..8),
        ) {
            let text = oid::format(&arcs);
            let other = Arcs::of(&text).other_spelling().map(|other| other.text());
            prop_assert_eq!(other, oid::other_spelling(&text));
        }
    }
}
