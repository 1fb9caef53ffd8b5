//! The shape of a message: its variable parts taken out, so that unhandled messages can be counted by
//! kind. Whatever holds a digit varies (numbers, addresses, interfaces, times, ids), but for the
//! mnemonics and a few words that name the kind; paths, quoted texts, user names and the values of
//! `key=value` vary too, but for keys that tell the kind (`status=`, `type=`, `logid=`).

mod words;

use words::{
    is_code, is_host, is_kind_key, is_month, is_verbatim, is_weekday, names_a_user, not_a_user,
};

/// Most bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 256;
/// Stands for a variable part.
pub const VARIABLE: &str = "<*>";
/// A token longer than this names nothing that a person wrote.
const WORD_BYTES_MAX: usize = 48;

/// Appends the shape of a message: at most [`TEMPLATE_BYTES_MAX`] bytes, the same for the same text.
pub fn shape(message: &str, out: &mut String) {
    let start = out.len();
    let mut shaper = Shaper { text: message, at: 0, out, start, previous: "", gap: false };
    shaper.run();
    let end = start + crate::text::cut(&out[start..], TEMPLATE_BYTES_MAX).len();
    out.truncate(end);
}

struct Shaper<'m, 'o> {
    text: &'m str,
    at: usize,
    out: &'o mut String,
    start: usize,
    /// The word before.
    previous: &'m str,
    /// White space was met and is not written yet.
    gap: bool,
}

/// Whether a byte is part of a token.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte >= 0x80 || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"_-./:@#%+*~$&\\^!`?";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Most tokens are such words, and most questions about tokens need not be asked of them.
fn is_lower(token: &str) -> bool {
    token.bytes().all(|b| b.is_ascii_lowercase())
}

fn has_digit(token: &str) -> bool {
    token.bytes().any(|b| b.is_ascii_digit())
}

impl<'m> Shaper<'m, '_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek() {
            if self.out.len() - self.start >= TEMPLATE_BYTES_MAX {
                break;
            }
            match byte {
                0..=b' ' | 0x7f => {
                    self.gap = true;
                    self.at += 1;
                }
                b'"' | b'<' => self.quoted(if byte == b'<' { b'>' } else { byte }),
                b'\'' if !self.after_word() => self.quoted(b'\''),
                _ if is_token(byte) => self.token(),
                b'=' if self.gap => self.spaced_value(),
                _ => {
                    self.write_char(byte);
                    self.at += 1;
                }
            }
            if self.is_record() {
                break;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn after_word(&self) -> bool {
        self.at > 0 && self.text.as_bytes()[self.at - 1].is_ascii_alphanumeric()
    }

    fn space(&mut self) {
        if self.gap && self.out.len() > self.start && !self.out.ends_with([' ', '[', '(']) {
            self.out.push(' ');
        }
        self.gap = false;
    }

    fn write(&mut self, text: &str) {
        self.space();
        self.out.push_str(text);
    }

    fn write_char(&mut self, byte: u8) {
        self.space();
        self.out.push(char::from(byte));
        self.previous = "";
    }

    /// Writes the placeholder, once for several in a row: lists and dates have as many parts as they
    /// like.
    fn variable(&mut self) {
        self.previous = "";
        let written = &self.out[self.start..];
        let head = written.trim_end_matches([' ', ',', ':', '-']);
        if head.ends_with(VARIABLE) {
            let end = self.start + head.len();
            self.out.truncate(end);
            self.gap = false;
            return;
        }
        self.write(VARIABLE);
    }

    /// A quoted text; a quote that is not closed is a character like others.
    fn quoted(&mut self, close: u8) {
        let open = self.text.as_bytes()[self.at];
        let inner = &self.text.as_bytes()[self.at + 1..];
        let end = inner.iter().position(|b| *b == close).filter(|end| {
            let after = inner.get(end + 1).copied().unwrap_or(b' ');
            match close {
                b'\'' => !after.is_ascii_alphanumeric(),
                b'>' => *end > 0 && *end <= WORD_BYTES_MAX,
                _ => true,
            }
        });
        let Some(end) = end else {
            self.write_char(open);
            self.at += 1;
            return;
        };
        self.space();
        self.out.push(char::from(open));
        self.out.push_str(VARIABLE);
        self.out.push(char::from(close));
        self.previous = "";
        self.at += end + 2;
    }

    fn token(&mut self) {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|b| !is_token(b)).unwrap_or(rest.len());
        let whole = &rest[..length];
        if rest.as_bytes().get(length) == Some(&b'=') && self.pair(whole, &rest[length + 1..]) {
            return;
        }
        if let Some(verbatim) = self.verbatim(whole) {
            self.write(verbatim);
            self.at += verbatim.len();
            self.previous = "";
            return;
        }
        let token = whole.trim_end_matches(['.', ':', '!', '?', '-']);
        if token.is_empty() {
            self.write(whole);
            self.previous = "";
            self.at += length;
            return;
        }
        self.at += token.len();
        self.word(token);
        if token.len() < length {
            self.space();
            self.out.push_str(&whole[token.len()..]);
            self.at += length - token.len();
        }
    }

    /// The part of a token that names the kind: `%LINK-3-UPDOWN`, a message code at the start.
    fn verbatim(&self, token: &'m str) -> Option<&'m str> {
        if is_lower(token) {
            return None;
        }
        let first = self.out.len() == self.start;
        let code = token.split(':').next().unwrap_or(token);
        if is_verbatim(code) || (is_code(code) && (first || code.len() < token.len())) {
            return Some(code);
        }
        // F5: eight hex digits, a colon, the severity, a colon.
        let numbered = first
            && token.len() >= 10
            && token.as_bytes()[8] == b':'
            && token.as_bytes()[9].is_ascii_digit()
            && token.bytes().take(8).all(|b| b.is_ascii_hexdigit());
        numbered.then(|| &token[..10])
    }

    fn word(&mut self, token: &'m str) {
        let bare = token.trim_start_matches(['*', '.', '-', '+', '#']);
        if bare.is_empty() {
            self.write(token);
            self.previous = "";
        } else if self.varies(bare) {
            self.variable();
        } else {
            let after_variable = self.out.ends_with(VARIABLE);
            self.write(if after_variable { singular(token) } else { token });
            self.previous = token;
        }
    }

    fn varies(&self, token: &str) -> bool {
        if has_digit(token) {
            return !words::is_named_with_digit(token);
        }
        token.len() > WORD_BYTES_MAX
            || (!is_lower(token) && is_path_or_address(token))
            || (token.len() >= 8 && token.bytes().all(|b| b.is_ascii_hexdigit()))
            || self.is_user(token)
            || self.is_date(token)
            || (self.previous.starts_with("ssh") && self.next_word().starts_with("SHA256:"))
    }

    fn is_user(&self, token: &str) -> bool {
        if names_a_user(self.previous) {
            return !not_a_user(token);
        }
        (self.previous == "for" && self.next_word() == "from")
            || (self.previous == "by" && self.next_word() == "on")
            || self.text[self.at..].starts_with(" : TTY=")
    }

    fn is_date(&self, token: &str) -> bool {
        if matches!(token, "AM" | "PM" | "am" | "pm") {
            return self.out.ends_with(VARIABLE);
        }
        if token.len() < 3 || !(is_month(token) || is_weekday(token)) {
            return false;
        }
        let next = self.next_word();
        let numbered = next.bytes().next().is_some_and(|b| b.is_ascii_digit());
        (is_month(token) && (numbered || self.out.ends_with(VARIABLE)))
            || (is_weekday(token) && (is_month(next) || numbered))
    }

    fn next_word(&self) -> &'m str {
        let rest = self.text[self.at..].trim_start_matches([' ', ',']);
        &rest[..rest.bytes().position(|b| !is_token(b)).unwrap_or(rest.len())]
    }

    /// `key=value`; true when it was one.
    fn pair(&mut self, key: &'m str, value: &'m str) -> bool {
        if matches!(value.bytes().next(), Some(b'=' | b'>')) || key.bytes().all(|b| b == b'!') {
            return false;
        }
        let from = self.at;
        self.at += key.len() + 1;
        let key = match key.find(|c: char| c.is_ascii_digit()) {
            Some(0) => VARIABLE,
            Some(digit) if key.as_bytes()[digit - 1] == b'.' => {
                self.write(&key[..digit]);
                self.out.push_str(VARIABLE);
                self.out.push('=');
                return self.value(&self.text[from..from + digit - 1], value);
            }
            _ => key,
        };
        self.write(key);
        self.out.push('=');
        self.value(key, value)
    }

    /// `key = value`: the value is one token or quoted text.
    fn spaced_value(&mut self) {
        let key = self.previous;
        self.write_char(b'=');
        self.at += 1;
        if key.is_empty() || self.peek() != Some(b' ') {
            return;
        }
        self.at += 1;
        self.gap = true;
        self.space();
        self.value(key, &self.text[self.at..]);
    }

    fn value(&mut self, key: &str, value: &'m str) -> bool {
        let quoted = value.strip_prefix('"').and_then(|inner| inner.find('"').map(|n| (1, n)));
        let plain = || {
            let ends = |b: u8| b <= b' ' || b",;)]}|".contains(&b);
            (0, value.bytes().position(ends).unwrap_or(value.len()))
        };
        let (skip, length) = quoted.unwrap_or_else(plain);
        let inner = &value[skip..skip + length];
        self.previous = "";
        if key.eq_ignore_ascii_case("logid") || (is_kind_key(key) && !has_digit(inner)) {
            self.out.push_str(inner);
        } else if is_kind_key(key) && inner.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        {
            let end = inner.find(|c: char| c.is_ascii_digit()).unwrap_or(inner.len());
            self.out.push_str(&inner[..end]);
            self.out.push_str(VARIABLE);
        } else {
            self.out.push_str(VARIABLE);
        }
        self.at += length + 2 * skip;
        true
    }

    /// Comma-separated firewall records: after type and subtype everything varies.
    fn is_record(&mut self) -> bool {
        if self.peek() != Some(b',') || !matches!(self.previous, "TRAFFIC" | "THREAT") {
            return false;
        }
        let rest = &self.text[self.at + 1..];
        let Some((subtype, _)) = rest.split_once(',') else { return false };
        self.out.push(',');
        self.out.push_str(subtype);
        self.out.push_str(",<*>");
        true
    }
}

fn is_path_or_address(token: &str) -> bool {
    (token.starts_with('/') && token.len() > 1)
        || token.contains(['@', '\\'])
        || token.contains("::")
        || is_host(token)
}

/// `packets` after a number is `packet`, so that one and many are of one kind.
fn singular(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(one) if one.len() >= 3 && !one.ends_with(['s', 'u', 'i']) => one,
        _ => word,
    }
}

#[cfg(test)]
mod tests;
