//! One stream of bytes into frames: RFC 6587 octet counting and trailers, told apart for each message.
//!
//! The framer works over a buffer that its caller owns and answers with ranges; it copies nothing.
//! It never asks for the connection to be closed: a message above the limit is cut (its first bytes
//! are what an operator wants to read, and the connection's later messages are worth more than its
//! end), the rest is thrown away as it comes, and the stream is in step again at the next trailer or
//! at the end of the count. So the caller needs no more memory than [`Framer::buffer_needed`].

//!
//! ```
//! use mutt_wire::syslog::framing::{FrameOutcome, Framer};
//!
//! let (mut framer, buf, mut at, mut seen) = (Framer::default(), b"5 <13>a<13>b\n<13>c", 0, Vec::new());
//! loop {
//!     match framer.next(&buf[at..]) {
//!         FrameOutcome::Frame { range, consumed, .. } => {
//!             seen.push(&buf[at + range.start..at + range.end]);
//!             at += consumed;
//!         }
//!         FrameOutcome::Skip { consumed } => at += consumed,
//!         FrameOutcome::NeedMore => break, // read more behind `buf[at..]`
//!     }
//! }
//! assert_eq!(seen, [b"<13>a", b"<13>b"]); // at the end of the stream `finish` gives `<13>c`
//! ```

use std::ops::Range;

/// The longest message by default, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// An octet count above this is not believed: the text is taken to be a line.
pub const MAX_OCTET_COUNT: usize = 16 * 1024 * 1024;
/// The most digits that an octet count has.
pub const MAX_COUNT_DIGITS: usize = 9;
/// A space before the count, the count, a space, another one, `<`, three digits, `>`.
const MAX_PREFIX: usize = 1 + MAX_COUNT_DIGITS + 1 + 1 + 5;
/// The note for an event whose frame was cut.
pub const NOTE_CUT: &str = "message cut at the limit";

/// What the framer found at the front of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameOutcome {
    /// A message lies at `range`; drop `consumed` bytes from the front before the next call.
    Frame {
        /// Where the message lies, without count and trailer; never empty.
        range: Range<usize>,
        /// Bytes to drop from the front.
        consumed: usize,
        /// It was longer than the limit, or the stream ended inside it; add [`NOTE_CUT`].
        cut: bool,
    },
    /// No message: drop `consumed` bytes (an empty line, the rest of a message that was cut).
    Skip {
        /// Bytes to drop from the front.
        consumed: usize,
    },
    /// The buffer's front is an incomplete message: call again with more bytes behind it.
    NeedMore,
}

/// What is being thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    Nothing,
    Octets(usize),
    ToTrailer,
}

/// How the front of the buffer is framed.
enum Front {
    Counted { prefix: usize, count: usize },
    Line,
    Unclear,
}

/// Finds messages in one stream. One for each connection.
#[derive(Clone, Debug)]
pub struct Framer {
    max_message: usize,
    skipping: Skipping,
    /// Bytes at the front in which no trailer was found, so that slow bytes are looked at once.
    scanned: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_MESSAGE)
    }
}

impl Framer {
    /// A framer that cuts messages at `max_message` bytes (at least 64).
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self { max_message: max_message.max(64), skipping: Skipping::Nothing, scanned: 0 }
    }

    /// The room that a caller's buffer must have so that [`FrameOutcome::NeedMore`] cannot stall.
    #[must_use]
    pub const fn buffer_needed(&self) -> usize {
        self.max_message + MAX_PREFIX + 1
    }

    /// Whether nothing is being thrown away.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.skipping == Skipping::Nothing
    }

    /// Looks at the front of `buf`. After `NeedMore` the next call must have the same front.
    pub fn next(&mut self, buf: &[u8]) -> FrameOutcome {
        match self.skipping {
            Skipping::Octets(left) if !buf.is_empty() => return self.skip_octets(buf.len(), left),
            Skipping::ToTrailer if !buf.is_empty() => return self.skip_to_trailer(buf),
            _ => {}
        }
        if buf.is_empty() {
            return FrameOutcome::NeedMore;
        }
        let idle = buf.iter().take_while(|&&b| is_trailer(b)).count();
        if idle > 0 {
            self.scanned = 0;
            return FrameOutcome::Skip { consumed: idle };
        }
        match front(buf) {
            Front::Unclear => FrameOutcome::NeedMore,
            Front::Counted { prefix, count } => self.counted(buf, prefix, count),
            Front::Line => self.line(buf),
        }
    }

    /// What is left when the stream has ended: a message without its trailer is a message. Call it
    /// after `next` said `NeedMore`; it gives at most one frame.
    pub fn finish(&mut self, buf: &[u8]) -> FrameOutcome {
        let skipping = std::mem::replace(&mut self.skipping, Skipping::Nothing);
        self.scanned = 0;
        if skipping != Skipping::Nothing || buf.is_empty() {
            return FrameOutcome::Skip { consumed: buf.len() };
        }
        let (start, cut) = match front(buf) {
            Front::Counted { prefix, .. } => (prefix, true),
            Front::Line | Front::Unclear => (0, false),
        };
        let limit = buf.len().min(start + self.max_message);
        let end = trimmed_end(buf, start, limit);
        if end == start {
            return FrameOutcome::Skip { consumed: buf.len() };
        }
        FrameOutcome::Frame {
            range: start..end,
            consumed: buf.len(),
            cut: cut || limit < buf.len(),
        }
    }

    fn counted(&mut self, buf: &[u8], prefix: usize, count: usize) -> FrameOutcome {
        if count <= self.max_message {
            let Some(end) = prefix.checked_add(count).filter(|&end| end <= buf.len()) else {
                return FrameOutcome::NeedMore;
            };
            let range = prefix..trimmed_end(buf, prefix, end);
            return FrameOutcome::Frame { range, consumed: end, cut: false };
        }
        let limit = prefix + self.max_message;
        if buf.len() <= limit {
            return FrameOutcome::NeedMore;
        }
        let end = char_boundary(buf, limit);
        self.skipping = Skipping::Octets(prefix + count - end);
        FrameOutcome::Frame { range: prefix..end, consumed: end, cut: true }
    }

    fn line(&mut self, buf: &[u8]) -> FrameOutcome {
        let window = buf.len().min(self.max_message + 1);
        match trailer(buf, self.scanned.min(window), window) {
            Trailer::At(end) => {
                self.scanned = 0;
                let range = 0..trimmed_end(buf, 0, end);
                return FrameOutcome::Frame { range, consumed: end + 1, cut: false };
            }
            Trailer::Unclear(at) => {
                self.scanned = at;
                return FrameOutcome::NeedMore;
            }
            Trailer::None => {}
        }
        if buf.len() <= self.max_message {
            self.scanned = buf.len();
            return FrameOutcome::NeedMore;
        }
        self.scanned = 0;
        self.skipping = Skipping::ToTrailer;
        let end = char_boundary(buf, self.max_message);
        FrameOutcome::Frame { range: 0..end, consumed: end, cut: true }
    }

    fn skip_octets(&mut self, have: usize, left: usize) -> FrameOutcome {
        let consumed = have.min(left);
        self.skipping =
            if consumed == left { Skipping::Nothing } else { Skipping::Octets(left - consumed) };
        FrameOutcome::Skip { consumed }
    }

    fn skip_to_trailer(&mut self, buf: &[u8]) -> FrameOutcome {
        match trailer(buf, 0, buf.len()) {
            Trailer::At(at) => {
                self.skipping = Skipping::Nothing;
                FrameOutcome::Skip { consumed: at + 1 }
            }
            Trailer::Unclear(0) => FrameOutcome::NeedMore,
            Trailer::Unclear(at) => FrameOutcome::Skip { consumed: at },
            Trailer::None => FrameOutcome::Skip { consumed: buf.len() },
        }
    }
}

/// The first trailer of a stretch.
enum Trailer {
    At(usize),
    /// A CR that the next bytes decide about.
    Unclear(usize),
    None,
}

/// Looks for a trailer in `from..to`. LF and NUL always are one. A CR is one before LF and NUL, and where
/// a whole `<PRI>` follows: some devices end their lines so, and others have a CR inside a message.
fn trailer(buf: &[u8], from: usize, to: usize) -> Trailer {
    let mut from = from;
    while let Some(found) = memchr::memchr3(b'\n', 0, b'\r', &buf[from..to]) {
        let at = from + found;
        if buf[at] != b'\r' {
            return Trailer::At(at);
        }
        match begins_with_priority(&buf[at + 1..]) {
            Some(true) => return Trailer::At(at),
            Some(false) => from = at + 1,
            None => return Trailer::Unclear(at),
        }
    }
    Trailer::None
}

/// Whether a line ends before these bytes, as far as they tell: `<PRI>`, LF, NUL.
fn begins_with_priority(bytes: &[u8]) -> Option<bool> {
    match bytes.first()? {
        b'\n' | 0 => return Some(true),
        b'<' => {}
        _ => return Some(false),
    }
    let digits = bytes[1..].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    if digits > 3 {
        return Some(false);
    }
    bytes.get(1 + digits).map(|&byte| byte == b'>' && digits > 0)
}

const fn is_trailer(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// The end of a message that stands in `start..end`, without trailers.
fn trimmed_end(buf: &[u8], start: usize, end: usize) -> usize {
    let kept = buf[start..end].iter().rposition(|&b| !is_trailer(b)).map_or(0, |last| last + 1);
    start + kept
}

/// The last place at or before `at` that is not inside a UTF-8 sequence.
fn char_boundary(buf: &[u8], at: usize) -> usize {
    let back =
        buf[at.saturating_sub(3)..=at].iter().rev().take_while(|&&b| b & 0xc0 == 0x80).count();
    if back <= 3 { at - back.min(at) } else { at }
}

/// Tells a counted message from a line: a count begins with a digit that is not zero and has at most
/// nine, then comes a space and then a whole `<PRI>` that the count covers. A line such as
/// `54 <1 minute elapsed` is therefore a line. Cisco ASA may put a space before the count, others one
/// before `<PRI>`.
fn front(buf: &[u8]) -> Front {
    let lead = usize::from(buf.first() == Some(&b' '));
    let digits = buf[lead..].iter().take(MAX_COUNT_DIGITS + 1).take_while(|b| b.is_ascii_digit());
    let digits = digits.count();
    let at = lead + digits;
    match buf.get(lead) {
        None => return Front::Unclear,
        Some(b'1'..=b'9') if digits <= MAX_COUNT_DIGITS => {}
        Some(_) => return Front::Line,
    }
    match buf.get(at) {
        None => return Front::Unclear,
        Some(b' ') => {}
        Some(_) => return Front::Line,
    }
    let prefix = at + 1;
    let open = prefix + usize::from(buf.get(prefix) == Some(&b' '));
    match buf.get(open) {
        None => return Front::Unclear,
        Some(b'<') => {}
        Some(_) => return Front::Line,
    }
    let pri = buf[open + 1..].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    if pri > 3 {
        return Front::Line;
    }
    let close = open + 1 + pri;
    match buf.get(close) {
        None => return Front::Unclear,
        Some(b'>') if pri > 0 => {}
        Some(_) => return Front::Line,
    }
    let count = buf[lead..at].iter().fold(0usize, |n, b| n * 10 + usize::from(b - b'0'));
    if count > MAX_OCTET_COUNT || prefix + count <= close {
        return Front::Line;
    }
    Front::Counted { prefix, count }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
