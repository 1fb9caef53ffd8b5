//! Puts varbinds together in one piece where all their texts are ready, as they are of nearly every trap
//! that comes in numbers.

use super::super::digits::{DIGITS_MAX, arc_text, number_at};
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
/// Octets of an arc with its dot, at most.
const ARC_TEXT: usize = 11;
/// Octets before the OID of the first varbind.
const FIRST: usize = LEAD.len() - 1;
/// What stands between an OID without a name and the comma before its type.
const NO_NAME: &[u8; 13] = b"\",\"name\":null";
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

    /// Appends arcs, each with a dot before it.
    #[inline(always)]
    fn arcs(&mut self, arcs: &[u32]) {
        for arc in arcs {
            if let Some((text, length)) = arc_text(*arc) {
                self.digits(text, length);
            } else {
                self.byte(b'.');
                let mut room = [0; DIGITS_MAX];
                let count = number_at(&mut room, u64::from(*arc));
                self.digits(&room, count);
            }
        }
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

    /// The same where only what is in the message counts.
    #[inline]
    pub(in crate::snmp) fn settle_message(&mut self, line: &mut Line) {
        if line.message_at > 0 {
            self.settle(line);
        }
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
        let digits = Digits::of(value);
        let told = write_value(&mut json, texts, base, value, &digits);
        if let Some(label) = label {
            json.digits(LABEL, LABEL.len());
            json.ready(texts, label);
            json.byte(b'"');
        }
        line.json_at = json.at;
        let role = object.role();
        self.seen.push(Seen { object, role, oid: seen_oid, told });
        if role == Role::Envelope {
            return true;
        }

        let mut message = Pen { room: &mut line.message, at: line.message_at };
        message.byte(b' ');
        message.ready(texts, (name.0, name.1 + 1));
        message.digits(arc, arc_digits);
        message.byte(b'=');
        write_shown(&mut message, texts, value, label, &digits);
        line.message_at = message.at;
        true
    }

    /// The same of what has no name, below a place that may have one.
    #[inline]
    pub(in crate::snmp) fn put_unnamed(
        &mut self,
        line: &mut Line,
        (oid, place): (&[u32], Option<Found<'n>>),
        of: &'static Type,
        value: Quick<'n, '_>,
    ) -> bool {
        let length = match value {
            Quick::Number(_) => 0,
            Quick::Text(text) => text.len(),
            Quick::Oid(_) => return false,
        };
        let pair = oid.len() * ARC_TEXT + length;
        if line.json_at + pair + AROUND > JSON || line.message_at + pair + AROUND_PAIR > MESSAGE {
            self.settle(line);
            if pair + AROUND > JSON || pair + AROUND_PAIR > MESSAGE {
                return false;
            }
        }
        let texts = self.names.texts();
        let base = self.json.len();
        let mut json = Pen { room: &mut line.json, at: line.json_at };
        if base == 0 && json.at == 0 {
            json.digits(b"[{\"oid\":\"", FIRST);
        } else {
            json.digits(b"},{\"oid\":\"", LEAD.len());
        }
        let from = json.at;
        match place.filter(Found::is_written) {
            Some(place) => {
                json.ready(texts, place.oid_at());
                json.arcs(oid.get(place.arcs()..).unwrap_or_default());
            }
            None => {
                let (first, rest) = oid.split_first().unwrap_or((&0, &[]));
                let mut room = [0; DIGITS_MAX];
                let count = number_at(&mut room, u64::from(*first));
                json.digits(&room, count);
                json.arcs(rest);
            }
        }
        let written = from..json.at;
        // The type begins with the quote of a name, which is written over.
        json.chunk(NO_NAME.len() - 1, of.chunk);
        json.digits(NO_NAME, NO_NAME.len());
        json.at += of.json.len() - 1;
        let digits = Digits::of(value);
        write_value(&mut json, texts, base, value, &digits);
        line.json_at = json.at;

        let oid = line.json.get(written).unwrap_or_default();
        match &mut self.missing {
            Some((_, more)) => *more += 1,
            None => self.missing = Some((String::from_utf8_lossy(oid).into_owned(), 0)),
        }
        let mut message = Pen { room: &mut line.message, at: line.message_at };
        message.byte(b' ');
        message.bytes(oid);
        message.byte(b'=');
        write_shown(&mut message, texts, value, None, &digits);
        line.message_at = message.at;
        true
    }
}

/// The digits of a number.
struct Digits {
    room: [u8; DIGITS_MAX],
    count: usize,
    minus: bool,
}

impl Digits {
    #[inline(always)]
    fn of(value: Quick<'_, '_>) -> Self {
        let mut digits = Self { room: [0; DIGITS_MAX], count: 0, minus: false };
        if let Quick::Number(number) = value {
            digits.minus = number < 0;
            digits.count = number_at(&mut digits.room, number.unsigned_abs());
        }
        digits
    }

    #[inline(always)]
    fn write<const N: usize>(&self, out: &mut Pen<'_, N>) {
        if self.minus {
            out.byte(b'-');
        }
        out.digits(&self.room, self.count);
    }
}

/// Writes the value as JSON, which begins at `base`.
#[inline(always)]
fn write_value(
    json: &mut Pen<'_, JSON>,
    texts: &[u8],
    base: usize,
    value: Quick<'_, '_>,
    digits: &Digits,
) -> Told {
    let from = base + json.at + 1;
    let length = match value {
        Quick::Number(number) => {
            digits.write(json);
            return Told::Number(number);
        }
        Quick::Text(text) => {
            json.byte(b'"');
            json.bytes(text);
            text.len()
        }
        Quick::Oid(found) => {
            json.byte(b'"');
            json.ready(texts, found.oid_at());
            found.oid_at().1
        }
    };
    json.byte(b'"');
    Told::Text(from..from + length)
}

/// Writes the value as it stands in a message.
#[inline(always)]
fn write_shown(
    message: &mut Pen<'_, MESSAGE>,
    texts: &[u8],
    value: Quick<'_, '_>,
    label: Option<(usize, usize)>,
    digits: &Digits,
) {
    match (value, label) {
        (Quick::Number(_), Some(label)) => {
            message.ready(texts, label);
            message.byte(b'(');
            digits.write(message);
            message.byte(b')');
        }
        (Quick::Number(_), None) => digits.write(message),
        (Quick::Text(text), _) if text.contains(&b' ') => {
            message.byte(b'"');
            message.bytes(text);
            message.byte(b'"');
        }
        (Quick::Text(text), _) => message.bytes(text),
        (Quick::Oid(_), label) => message.ready(texts, label.unwrap_or_default()),
    }
}
