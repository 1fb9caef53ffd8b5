//! The text of one MIB file: encodings mended, and what a first look over it says: which modules begin
//! where, and whether it is nested like a bomb.

/// Brackets in brackets; real modules have about five.
pub const NESTING_MAX: usize = 64;

/// A module's header in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
}

/// What a first look says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// In the order of the file.
    pub modules: Vec<Header>,
    /// Where brackets are nested too deep.
    pub bomb: Option<usize>,
    /// Headers without an END after the last of them.
    pub unfinished: bool,
}

/// The text as UTF-8 with line feeds, whatever wrote it: UTF-16 with or without mark, a mark before
/// UTF-8, Latin-1, carriage returns, zeros. Line numbers stay.
#[must_use]
pub fn repair(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => plain(rest),
        _ if looks_utf16(bytes, 1) => utf16(bytes, u16::from_le_bytes),
        _ if looks_utf16(bytes, 0) => utf16(bytes, u16::from_be_bytes),
        _ => plain(bytes),
    };
    if !text.contains(['\r', '\0', '\u{1a}']) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // One line end, however it is written.
            '\r' => {
                rest.next_if_eq(&'\n');
                out.push('\n');
            }
            '\0' | '\u{1a}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn looks_utf16(bytes: &[u8], zeros_at: usize) -> bool {
    let head = bytes.get(..bytes.len().min(64)).unwrap_or(bytes);
    let zeros = head.iter().skip(zeros_at).step_by(2).filter(|b| **b == 0).count();
    head.len() >= 16 && zeros * 2 * 10 >= head.len() * 9
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| Some(read(pair.try_into().ok()?)));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// UTF-8, or Latin-1 when it is none: then every byte is a character.
fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    /// A quoted text: where it lies in the file, without its quotes.
    Quoted(usize, usize),
    Mark(u8),
}

/// Reads words, quoted texts and marks; comments and blanks are left out.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Tokens<'t> {
    const fn new(text: &'t str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        if self.byte(0) == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    /// A comment ends with its line, or at the next two dashes on it.
    fn skip_comment(&mut self) {
        self.at += 2;
        while let Some(byte) = self.byte(0) {
            if byte == b'\n' {
                return;
            }
            if byte == b'-' && self.byte(1) == Some(b'-') {
                // A line of dashes is one comment, however many they are.
                while self.byte(0) == Some(b'-') {
                    self.at += 1;
                }
                return;
            }
            self.at += 1;
        }
    }
}

impl<'t> Iterator for Tokens<'t> {
    /// The token and its line.
    type Item = (Token<'t>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let byte = self.byte(0)?;
            let (start, line) = (self.at, self.line);
            if byte == b'-' && self.byte(1) == Some(b'-') {
                self.skip_comment();
            } else if byte == b'"' {
                self.step();
                while self.byte(0).is_some_and(|byte| byte != b'"') {
                    self.step();
                }
                self.step();
                let end = self.at.saturating_sub(1).max(start + 1).min(self.text.len());
                return Some((Token::Quoted(start + 1, end), line));
            } else if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 {
                while self.byte(0).is_some_and(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || byte >= 0x80
                }) {
                    // `name--comment`: the comment ends the word.
                    if self.byte(0) == Some(b'-') && self.byte(1) == Some(b'-') {
                        break;
                    }
                    self.at += 1;
                }
                return Some((Token::Word(self.text.get(start..self.at).unwrap_or("")), line));
            } else {
                self.step();
                if !byte.is_ascii_whitespace() {
                    return Some((Token::Mark(byte), line));
                }
            }
        }
    }
}

/// The modules of a file and what is wrong with the whole of it.
#[must_use]
pub fn outline(text: &str) -> Outline {
    let mut out = Outline::default();
    let (mut before, mut depth) = (None, 0usize);
    let mut ended = true;
    let mut macros = false;
    for (token, line) in Tokens::new(text) {
        match token {
            Token::Word("DEFINITIONS") => {
                if let Some((name, line)) = before.take() {
                    out.modules.push(Header { name, line });
                    ended = false;
                }
                depth = 0;
            }
            Token::Word("MACRO") => macros = true,
            // The END of a macro is not the module's.
            Token::Word("END") if macros => macros = false,
            Token::Word("END") => ended = true,
            // `NAME { iso ... } DEFINITIONS`: the name stays while its OID passes.
            Token::Word(word) if depth == 0 => before = Some((word.to_owned(), line)),
            Token::Mark(b'{' | b'(' | b'[') => {
                depth += 1;
                if depth > NESTING_MAX {
                    out.bomb.get_or_insert(line);
                }
            }
            Token::Mark(b'}' | b')' | b']') => depth = depth.saturating_sub(1),
            Token::Word(_) | Token::Mark(_) | Token::Quoted(..) => {}
        }
    }
    out.unfinished = !ended;
    out
}

/// The text without its long prose, which nobody asks for here and which is most of it; the lines
/// stay where they are.
#[must_use]
pub fn slim(text: &str) -> String {
    /// Hints, dates and the like are shorter.
    const PROSE: usize = 200;
    let mut out = String::with_capacity(text.len() / 2);
    let mut copied = 0;
    for (token, _) in Tokens::new(text) {
        let Token::Quoted(start, end) = token else { continue };
        let Some(prose) = text.get(start..end).filter(|prose| prose.len() > PROSE) else {
            continue;
        };
        out.push_str(text.get(copied..start).unwrap_or(""));
        out.extend(prose.bytes().filter(|byte| *byte == b'\n').map(char::from));
        copied = end;
    }
    out.push_str(text.get(copied..).unwrap_or(""));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_becomes_the_same_text() {
        let text = "A-MIB DEFINITIONS ::= BEGIN\nEND\n";
        let check = |bytes: &[u8]| assert_eq!(repair(bytes), text, "{bytes:02x?}");
        check(text.as_bytes());
        check(&[b"\xef\xbb\xbf", text.as_bytes()].concat());
        check(text.replace('\n', "\r\n").as_bytes());
        check(text.replace('\n', "\r").as_bytes());
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&le);
        check(&be);
        check(&[&[0xff, 0xfe], le.as_slice()].concat());
        check(&[&[0xfe, 0xff], be.as_slice()].concat());
        assert_eq!(repair(b"gr\xf6\xdfe\0\x1a"), "größe  ");
        assert_eq!(repair(b""), "");
    }

    #[test]
    fn modules_are_found_with_their_lines() {
        let check = |text: &str, expected: &[(&str, usize)], unfinished: bool| {
            let found = outline(text);
            let names: Vec<_> = found.modules.iter().map(|m| (m.name.as_str(), m.line)).collect();
            assert_eq!((names.as_slice(), found.unfinished), (expected, unfinished), "{text}");
        };
        check("A-MIB DEFINITIONS ::= BEGIN END", &[("A-MIB", 1)], false);
        check(
            "-- x DEFINITIONS\n\nA DEFINITIONS ::= BEGIN\nEND\nB DEFINITIONS::=BEGIN\n",
            &[("A", 3), ("B", 5)],
            true,
        );
        check("A { iso org(3) 1 } DEFINITIONS ::= BEGIN END", &[("A", 1)], false);
        check("\"B DEFINITIONS\" A--c--DEFINITIONS ::= BEGIN END", &[("A", 1)], false);
        check("A DEFINITIONS ::= BEGIN M MACRO ::= BEGIN END", &[("A", 1)], true);
        check("-----------\nA DEFINITIONS ::= BEGIN END", &[("A", 2)], false);
        check("DEFINITIONS ::= BEGIN", &[], false);
        check("just words \"and no end", &[], false);
        check("", &[], false);
    }

    #[test]
    fn bombs_are_seen() {
        let text = format!("A DEFINITIONS ::= BEGIN\nx ::= {}", "{".repeat(100_000));
        assert_eq!(outline(&text).bomb, Some(2));
        assert_eq!(outline("A DEFINITIONS ::= BEGIN x { y { z(1) } } END").bomb, None);
    }

    #[test]
    fn prose_goes_and_lines_stay() {
        let prose = "word\n".repeat(100);
        let text = format!("a \"{prose}\" b \"255a\" -- \"{prose}\nc");
        let slim = slim(&text);
        assert_eq!(slim.lines().count(), text.lines().count());
        assert!(slim.starts_with("a \"\n\n") && slim.contains("\" b \"255a\" -- "), "{slim}");
        assert!(slim.contains("255a") && slim.len() < text.len());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let text = repair(&bytes);
            let _ = outline(&text);
            proptest::prop_assert_eq!(slim(&text).matches('\n').count(), text.matches('\n').count());
        }
    }
}
