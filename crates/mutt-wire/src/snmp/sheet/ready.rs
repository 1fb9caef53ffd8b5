//! Puts varbinds together in one piece where all their texts are ready, as they are of nearly every trap
//! that comes in numbers.

use super::super::digits::{DIGITS_MAX, number_at};
use super::super::names::direct::{CHUNK, LEAD, MIDDLE};
use super::super::names::{Found, Role};
use super::super::value::Type;
use super::{Seen, Sheet, Told};

/// Octets of JSON that are put together before they are appended.
const JSON: usize = 1_024;
/// The same for the message.
const MESSAGE: usize = 512;
/// What is around the texts of a varbind in JSON: dots, quotes, keys and the digits of numbers; with
/// what is copied too much.
const AROUND: usize = 256;
/// The same in the message.
const AROUND_PAIR: usize = 112;
/// What stands before a label.
const LABEL: &[u8; 10] = b",\"label\":\"";
/// Digits of an arc that [`Names::find_ready`](super::super::names::Names) gives, and more.
const ARC: usize = 16;

/// A value that is shown as it stands here.
#[derive(Clone, Copy)]
pub(in crate::snmp) enum Quick<'n, 'v> {
    Number(i64),
    /// Printable ASCII of which JSON escapes nothing.
    Text(&'v [u8]),
    /// What the OID is; its text is ready too.
    Oid(Found<'n>),
}

/// Varbinds that are put together but not in the sheet yet: [`Sheet::settle`] brings them there.
pub(in crate::snmp) struct Line {
    json: [u8; JSON],
    json_at: usize,
    message: [u8; MESSAGE],
    message_at: usize,
}

impl Line {
    pub(in crate::snmp) const fn new() -> Self {
        Self { json: [0; JSON], json_at: 0, message: [0; MESSAGE], message_at: 0 }
    }
}

/// Writes where there is room; the caller has looked that there is.
struct Pen<'r, const N: usize> {
    room: &'r mut [u8; N],
    at: usize,
}

impl<const N: usize> Pen<'_, N> {
    /// Appends a piece of the texts of names: more is copied, in chunks, and written over again.
    #[inline(always)]
    fn ready(&mut self, texts: &[u8], (from, length): (usize, usize)) {
        let mut done = 0;
        while done < length {
            let text = texts.get(from + done..).and_then(<[u8]>::first_chunk::<CHUNK>);
            self.chunk(done, text.unwrap_or(&[b' '; CHUNK]));
            done += CHUNK;
        }
        self.at += length;
    }

    /// Writes `skip` behind the end without moving it.
    #[inline(always)]
    fn chunk<const M: usize>(&mut self, skip: usize, chunk: &[u8; M]) {
        let place = self.room.get_mut(self.at + skip..).and_then(<[u8]>::first_chunk_mut::<M>);
        if let Some(place) = place {
            *place = *chunk;
        }
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.chunk(0, &[byte]);
        self.at += 1;
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.room.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }

    #[inline(always)]
    fn digits<const M: usize>(&mut self, digits: &[u8; M], count: usize) {
        self.chunk(0, digits);
        self.at += count;
    }
}

impl<'n> Sheet<'n> {
    /// Appends what is put together.
    #[inline]
    pub(in crate::snmp) fn settle(&mut self, line: &mut Line) {
        if line.json_at == 0 {
            return;
        }
        let json = line.json.get(..line.json_at).unwrap_or_default();
        self.json.push_str(std::str::from_utf8(json).unwrap_or_default());
        let message = line.message.get(..line.message_at).unwrap_or_default();
        self.message.push_str(std::str::from_utf8(message).unwrap_or_default());
        (line.json_at, line.message_at) = (0, 0);
    }

    /// Puts one varbind together, of an object whose texts are ready, with its instance of one arc;
    /// says whether it could.
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
        let pair = name.1 + length + label.map_or(0, |label| label.1);
        if line.json_at + oid.1 + pair + AROUND > JSON
            || line.message_at + pair + AROUND_PAIR > MESSAGE
        {
            self.settle(line);
            if oid.1 + pair + AROUND > JSON || pair + AROUND_PAIR > MESSAGE {
                return false;
            }
        }
        let texts = self.names.texts();
        let base = self.json.len();
        let mut json = Pen { room: &mut line.json, at: line.json_at };
        let mut room = [0; DIGITS_MAX];
        let arc_digits = number_at(&mut room, u64::from(arc));
        let arc = room.first_chunk::<ARC>().unwrap_or(&[0; ARC]);

        let lead = if base == 0 && json.at == 0 {
            json.byte(b'[');
            2
        } else {
            0
        };
        let oid_from = base + json.at + LEAD.len() - lead;
        json.ready(texts, (oid.0 - LEAD.len() + lead, LEAD.len() - lead + oid.1 + 1));
        json.digits(arc, arc_digits);
        let seen_oid = oid_from..base + json.at;
        json.ready(texts, (name.0 - MIDDLE.len(), MIDDLE.len() + name.1 + 1));
        json.digits(arc, arc_digits);
        json.chunk(0, of.chunk);
        json.at += of.json.len();
        let mut number = ([0; DIGITS_MAX], 0);
        let told = match value {
            Quick::Number(of) => {
                if of < 0 {
                    json.byte(b'-');
                }
                number.1 = number_at(&mut number.0, of.unsigned_abs());
                json.digits(&number.0, number.1);
                Told::Number(of)
            }
            Quick::Text(text) => {
                json.byte(b'"');
                let at = base + json.at;
                json.bytes(text);
                json.byte(b'"');
                Told::Text(at..at + length)
            }
            Quick::Oid(found) => {
                json.byte(b'"');
                let at = base + json.at;
                json.ready(texts, found.oid_at());
                json.byte(b'"');
                Told::Text(at..at + length)
            }
        };
        if let Some(label) = label {
            json.digits(LABEL, LABEL.len());
            json.ready(texts, label);
            json.byte(b'"');
        }
        line.json_at = json.at;
        self.seen.push(Seen { object, oid: seen_oid, told });
        if object.role() == Role::Envelope {
            return true;
        }

        let mut message = Pen { room: &mut line.message, at: line.message_at };
        message.byte(b' ');
        message.ready(texts, (name.0, name.1 + 1));
        message.digits(arc, arc_digits);
        message.byte(b'=');
        match value {
            Quick::Number(of) => {
                if let Some(label) = label {
                    message.ready(texts, label);
                    message.byte(b'(');
                }
                if of < 0 {
                    message.byte(b'-');
                }
                message.digits(&number.0, number.1);
                if label.is_some() {
                    message.byte(b')');
                }
            }
            Quick::Text(text) if text.contains(&b' ') => {
                message.byte(b'"');
                message.bytes(text);
                message.byte(b'"');
            }
            Quick::Text(text) => message.bytes(text),
            Quick::Oid(_) => message.ready(texts, label.unwrap_or_default()),
        }
        line.message_at = message.at;
        true
    }
}
