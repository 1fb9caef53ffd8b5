//! Puts a varbind together in one piece where all its texts are ready, as they are of nearly every trap
//! that comes in numbers.

use super::super::digits::{DIGITS_MAX, number_at};
use super::super::names::direct::{CHUNK, LEAD, MIDDLE};
use super::super::names::{Found, Role};
use super::super::value::Type;
use super::{Seen, Sheet, Told};

/// Octets that one varbind may take as JSON and in the message.
const ROOM: usize = 640;
/// What is around the texts of a varbind: dots, quotes, keys and the digits of numbers.
const AROUND: usize = 256;
/// What stands before a label.
const LABEL: &[u8; 10] = b",\"label\":\"";

/// A value that is shown as it stands here.
#[derive(Clone, Copy)]
pub(in crate::snmp) enum Quick<'n, 'v> {
    Number(i64),
    /// Printable ASCII of which JSON escapes nothing.
    Text(&'v [u8]),
    /// What the OID is; its text is ready too.
    Oid(Found<'n>),
}

/// Where a varbind is put together.
pub(in crate::snmp) struct Line {
    room: [u8; ROOM],
    at: usize,
}

impl Line {
    pub(in crate::snmp) const fn new() -> Self {
        Self { room: [0; ROOM], at: 0 }
    }

    /// Appends a piece of the texts of names: more is copied, in chunks, and written over again.
    #[inline]
    fn ready(&mut self, texts: &[u8], (from, length): (usize, usize)) {
        let mut done = 0;
        while done < length {
            let text = texts.get(from + done..).and_then(<[u8]>::first_chunk::<CHUNK>);
            self.chunk(done, text.unwrap_or(&[b' '; CHUNK]));
            done += CHUNK;
        }
        self.at += length;
    }

    #[inline]
    fn chunk<const N: usize>(&mut self, skip: usize, chunk: &[u8; N]) {
        let place = self.room.get_mut(self.at + skip..).and_then(<[u8]>::first_chunk_mut::<N>);
        if let Some(place) = place {
            *place = *chunk;
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.chunk(0, &[byte]);
        self.at += 1;
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.room.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }

    #[inline]
    fn number(&mut self, number: u64) {
        if let Some(room) =
            self.room.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut::<DIGITS_MAX>)
        {
            self.at += number_at(room, number);
        }
    }

    #[inline]
    fn signed(&mut self, number: i64) {
        if number < 0 {
            self.byte(b'-');
        }
        self.number(number.unsigned_abs());
    }
}

impl<'n> Sheet<'n> {
    /// Appends one varbind of an object whose texts are ready, with its instance of one arc; says
    /// whether it could.
    #[inline]
    pub(in crate::snmp) fn put_quick(
        &mut self,
        line: &mut Line,
        (object, arc): (Found<'n>, u32),
        of: &'static Type,
        value: Quick<'n, '_>,
    ) -> bool {
        let (label, length) = match value {
            Quick::Number(number) if object.shows_numbers() => (object.word(number), 0),
            Quick::Text(text) if text.len() <= object.shows_text() => (None, text.len()),
            Quick::Oid(found) if found.is_written() => (Some(found.name_at()), found.oid_at().1),
            _ => return false,
        };
        let (oid, name) = (object.oid_at(), object.name_at());
        let most = oid.1 + 2 * (name.1 + length + label.map_or(0, |label| label.1));
        if most + AROUND > ROOM {
            return false;
        }
        let texts = self.names.texts();
        line.at = 0;
        let lead = if self.json.is_empty() {
            self.json.push('[');
            2
        } else {
            0
        };
        let base = self.json.len();
        let oid_from = base + LEAD.len() - lead;
        line.ready(texts, (oid.0 - LEAD.len() + lead, LEAD.len() - lead + oid.1 + 1));
        line.number(u64::from(arc));
        let seen_oid = oid_from..base + line.at;
        line.ready(texts, (name.0 - MIDDLE.len(), MIDDLE.len() + name.1 + 1));
        line.number(u64::from(arc));
        line.chunk(0, of.chunk);
        line.at += of.json.len();
        let told = self.quick_value(line, base, value);
        if let Some(label) = label {
            line.chunk(0, LABEL);
            line.at += LABEL.len();
            line.ready(texts, label);
            line.byte(b'"');
        }
        let end = line.at;
        if object.role() != Role::Envelope {
            line.byte(b' ');
            line.ready(texts, (name.0, name.1 + 1));
            line.number(u64::from(arc));
            line.byte(b'=');
            tell(line, texts, value, label);
        }
        self.seen.push(Seen { object, oid: seen_oid, told });
        let written = line.room.get(..line.at).unwrap_or_default();
        let written = std::str::from_utf8(written).unwrap_or_default();
        let (json, message) = written.split_at_checked(end).unwrap_or_default();
        self.json.push_str(json);
        self.message.push_str(message);
        true
    }

    #[inline]
    fn quick_value(&self, line: &mut Line, base: usize, value: Quick<'_, '_>) -> Told {
        match value {
            Quick::Number(number) => {
                line.signed(number);
                return Told::Number(number);
            }
            Quick::Text(text) => {
                line.byte(b'"');
                line.bytes(text);
            }
            Quick::Oid(found) => {
                line.byte(b'"');
                line.ready(self.names.texts(), found.oid_at());
            }
        }
        let (end, length) = match value {
            Quick::Text(text) => (base + line.at, text.len()),
            Quick::Oid(found) => (base + line.at, found.oid_at().1),
            Quick::Number(_) => (0, 0),
        };
        line.byte(b'"');
        Told::Text(end - length..end)
    }
}

/// Writes the value as it stands in a message.
#[inline]
fn tell(line: &mut Line, texts: &[u8], value: Quick<'_, '_>, label: Option<(usize, usize)>) {
    match (value, label) {
        (Quick::Number(number), Some(label)) => {
            line.ready(texts, label);
            line.byte(b'(');
            line.signed(number);
            line.byte(b')');
        }
        (Quick::Number(number), None) => line.signed(number),
        (Quick::Text(text), _) if text.is_empty() || text.contains(&b' ') => {
            line.byte(b'"');
            line.bytes(text);
            line.byte(b'"');
        }
        (Quick::Text(text), _) => line.bytes(text),
        (Quick::Oid(_), label) => line.ready(texts, label.unwrap_or_default()),
    }
}
