//! Text out of bytes that strangers sent: valid UTF-8 without U+0000, borrowed where it can be; and
//! the writing of JSON strings.

use std::borrow::Cow;

/// What had to be done to make a text of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: the bytes are the text.
    None,
    /// NUL bytes became U+FFFD.
    Nul,
    /// The bytes were evidently Latin-1 and were read as such.
    Latin1,
    /// Bytes that are no UTF-8 became U+FFFD.
    Replaced,
}

impl Repair {
    /// The note for `parse.notes`; `None` when nothing was done.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Nul => Some("nul replaced"),
            Self::Latin1 => Some("latin-1 assumed"),
            Self::Replaced => Some("invalid utf-8 replaced"),
        }
    }
}

/// The bytes as a text that every store takes: valid UTF-8 without U+0000.
///
/// Bytes that are no UTF-8 are read as Latin-1 only when each of them stands where Latin-1 has a
/// printable character, nothing in the text is a UTF-8 sequence of several bytes, and the text was
/// not merely cut inside one; else they become U+FFFD.
#[must_use]
pub fn clean(bytes: &[u8]) -> (Cow<'_, str>, Repair) {
    match std::str::from_utf8(bytes) {
        Ok(text) if memchr::memchr(0, bytes).is_none() => (Cow::Borrowed(text), Repair::None),
        Ok(text) => (Cow::Owned(text.replace('\0', "\u{fffd}")), Repair::Nul),
        Err(error) => repair(bytes, error),
    }
}

fn repair(bytes: &[u8], error: std::str::Utf8Error) -> (Cow<'static, str>, Repair) {
    if error.error_len().is_some() && is_latin1(bytes) {
        let text = bytes.iter().map(|&b| if b == 0 { '\u{fffd}' } else { char::from(b) }).collect();
        return (Cow::Owned(text), Repair::Latin1);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() };
    (Cow::Owned(text), Repair::Replaced)
}

/// True when every byte above ASCII is a printable Latin-1 character and none of them begins a
/// valid UTF-8 sequence.
fn is_latin1(bytes: &[u8]) -> bool {
    bytes
        .utf8_chunks()
        .all(|chunk| chunk.valid().is_ascii() && chunk.invalid().iter().all(|&b| b >= 0xa0))
}

/// Appends `text` as a JSON string, quotes included.
pub fn push_json_str(out: &mut String, text: &str) {
    out.push('"');
    push_json_part(out, text);
    out.push('"');
}

/// Appends `text` escaped for the inside of a JSON string.
pub fn push_json_part(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        from = at + 1;
        if escape.is_empty() {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
            out.push_str("\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text() {
        let check = |bytes: &[u8], text: &str, repair: Repair| {
            assert_eq!(clean(bytes), (Cow::Borrowed(text), repair), "{bytes:?}");
        };
        check(b"plain", "plain", Repair::None);
        check("Zürich".as_bytes(), "Zürich", Repair::None);
        check(b"a\0b", "a\u{fffd}b", Repair::Nul);
        check(b"Z\xfcrich", "Zürich", Repair::Latin1);
        check(b"M\xfcnchen Stra\xdfe", "München Straße", Repair::Latin1);
        check(b"cut \xc3", "cut \u{fffd}", Repair::Replaced);
        check(b"\x80\x81", "\u{fffd}\u{fffd}", Repair::Replaced);
        check(b"\xc3\xbc and \xfc", "ü and \u{fffd}", Repair::Replaced);
        check(b"\xff\0", "ÿ\u{fffd}", Repair::Latin1);
    }

    #[test]
    fn json_strings_are_escaped() {
        let mut out = String::new();
        push_json_str(&mut out, "a\"b\\c\nd\x1be\u{2028}");
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\u001be\u{2028}\"");
        assert_eq!(
            serde_json::from_str::<String>(&out).expect("valid JSON"),
            "a\"b\\c\nd\x1be\u{2028}"
        );
    }
}
