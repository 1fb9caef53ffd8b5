//! JSON text put together out of parts of a message.

use crate::text::each_json_part;

/// Most parts are no longer. So many bytes are copied in one step, whatever of them is wanted, where
/// they are there: that is quicker than to copy as many as are wanted.
const STEP: usize = 32;
/// A step and what is written behind it.
const WINDOW: usize = STEP + 8;
/// Two steps, each with what is written behind it.
const PAIR: usize = 2 * WINDOW;

/// Writes parts one behind the other.
pub(crate) struct Writer<'t> {
    /// The message whose parts most are.
    text: &'t [u8],
    /// Its last step and as much behind it, so that there is a step wherever a part begins.
    tail: [u8; 2 * STEP],
    /// What was written; what stands from `at` on is of no meaning.
    out: Vec<u8>,
    at: usize,
}

impl<'t> Writer<'t> {
    /// Room for so many bytes at first.
    #[expect(
        clippy::slow_vector_initialization,
        reason = "memory that the allocator zeroes does not come from the thread's cache: measured, slower"
    )]
    pub(crate) fn new(text: &'t str, bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes + PAIR);
        out.resize(bytes + PAIR, 0);
        let (text, mut tail) = (text.as_bytes(), [0; 2 * STEP]);
        match text.last_chunk::<STEP>() {
            Some(last) => tail[..STEP].copy_from_slice(last),
            None => tail[..text.len()].copy_from_slice(text),
        }
        Self { text, tail, out, at: 0 }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.at
    }

    /// What was written.
    #[inline(always)]
    pub(crate) fn written(&self) -> &[u8] {
        &self.out[..self.at]
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.at = self.at.min(len);
    }

    /// Writes a few bytes.
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        let end = self.at + N;
        match self.out.get_mut(self.at..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at = end;
            }
            None => self.put_slowly(bytes),
        }
    }

    /// Writes so many of these bytes; at most all.
    #[inline(always)]
    pub(crate) fn most_of<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        match self.out.get_mut(self.at..self.at + N) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at += len;
            }
            None => self.put_slowly(&bytes[..len]),
        }
    }

    /// Writes a part as it stands.
    #[inline(always)]
    pub(crate) fn part(&mut self, part: &[u8]) {
        self.part_and(part, b"");
    }

    /// Writes a part as it stands and a few bytes behind it, at most eight.
    #[inline(always)]
    pub(crate) fn part_and<const N: usize>(&mut self, part: &[u8], behind: &[u8; N]) {
        if part.len() <= STEP
            && let Some(step) = step(self.text, &self.tail, part)
            && let Some(place) = self.out.get_mut(self.at..)
            && let Some(place) = place.first_chunk_mut::<WINDOW>()
        {
            place[..STEP].copy_from_slice(step);
            place[part.len()..part.len() + N].copy_from_slice(behind);
            self.at += part.len() + N;
            return;
        }
        self.put_slowly(part);
        self.put(behind);
    }

    /// Writes two parts, a few bytes behind each.
    #[inline(always)]
    pub(crate) fn pair<const N: usize, const M: usize>(
        &mut self,
        (one, between): (&[u8], &[u8; N]),
        (other, behind): (&[u8], &[u8; M]),
    ) {
        let (text, tail) = (self.text, &self.tail);
        if one.len() <= STEP
            && other.len() <= STEP
            && let (Some(first), Some(second)) = (step(text, tail, one), step(text, tail, other))
            && let Some(place) = self.out.get_mut(self.at..)
            && let Some(place) = place.first_chunk_mut::<PAIR>()
        {
            place[..STEP].copy_from_slice(first);
            place[one.len()..one.len() + N].copy_from_slice(between);
            let from = one.len() + N;
            place[from..from + STEP].copy_from_slice(second);
            let end = from + other.len();
            place[end..end + M].copy_from_slice(behind);
            self.at += end + M;
            return;
        }
        self.part_and(one, between);
        self.part_and(other, behind);
    }

    #[inline(never)]
    fn put_slowly(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end + PAIR > self.out.len() {
            self.out.resize(2 * end + PAIR, 0);
        }
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// Writes a text for the inside of a JSON string.
    pub(crate) fn escaped(&mut self, text: &str) {
        each_json_part(text, |part| self.part(part.as_bytes()));
    }

    /// Writes again what stands there already.
    pub(crate) fn again(&mut self, range: std::ops::Range<usize>) {
        let part = self.out[range].to_vec();
        self.put_slowly(&part);
    }

    /// The text. Parts are whole texts, and so is what was made of them.
    pub(crate) fn finish(mut self) -> String {
        self.out.truncate(self.at);
        // Were they ever not, a text with a mark in it is still JSON; none would not be.
        String::from_utf8(self.out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The short part and what stands behind it, where it is one of the message.
#[inline(always)]
fn step<'s>(text: &'s [u8], tail: &'s [u8; 2 * STEP], part: &[u8]) -> Option<&'s [u8; STEP]> {
    // Where it stands in the message; beyond its end where it does not.
    let from = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let behind = text.get(from..)?;
    match behind.first_chunk() {
        Some(step) => Some(step),
        // What begins at the end may be of another text.
        None if part.len() > behind.len() => None,
        None => tail.get(from - text.len().saturating_sub(STEP)..)?.first_chunk(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_written_as_they_stand(
            text in "[a-z\u{fc}]{0,100}",
            cuts in proptest::collection::vec((0usize..100, 0usize..60), 0..20),
            room in 0usize..200,
        ) {
            let (mut writer, mut expected) = (Writer::new(&text, room), String::new());
            for (from, len) in cuts {
                let from = text.floor_char_boundary(from);
                let to = text.floor_char_boundary(from + len);
                let part = &text.as_bytes()[from..to];
                let half = text.floor_char_boundary(from + part.len() / 2) - from;
                writer.part_and(part, b"\":\"");
                writer.pair((part, b"\":"), (&part[half..], b"\",\""));
                writer.pair((b"name", b"\":"), (part, b","));
                expected.push_str(&text[from..to]);
                expected.push_str("\":\"");
                expected.push_str(&text[from..to]);
                expected.push_str("\":");
                expected.push_str(&text[from + half..to]);
                expected.push_str("\",\"name\":");
                expected.push_str(&text[from..to]);
                expected.push(',');
                writer.part(b"of another text");
                writer.put(b",");
                writer.most_of(b"names and more", 5);
                writer.escaped("\"\u{1}");
                expected.push_str("of another text,names\\\"\\u0001");
            }
            let len = expected.floor_char_boundary(expected.len() / 2);
            writer.again(0..len);
            writer.truncate(expected.len() + len);
            expected.extend_from_within(..len);
            prop_assert_eq!(writer.written(), expected.as_bytes());
            prop_assert_eq!(writer.finish(), expected);
        }
    }
}
