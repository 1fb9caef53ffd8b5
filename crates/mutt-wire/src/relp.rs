//! RELP, the protocol in which rsyslog waits for an answer to each message: a stream of bytes into
//! commands, and what is answered to them.
//!
//! As the framer of syslog does, a session works over a buffer that its caller owns. It never says when
//! a message may be answered: that is the caller's, who knows when it is durable. Answers go out in the
//! order of the steps. RELP has no key by which a repeat could be recognised: what a sender repeats
//! after a broken connection is a new event.
//!
//! ```
//! use mutt_wire::relp::{Session, Step};
//!
//! let mut session = Session::new(64 * 1024);
//! let Step::Reply { consumed, .. } = session.next(b"1 open 30 relp_version=0\ncommands=syslog\n")
//! else { panic!("the session was not opened") };
//! let Step::Message { range, txnr, .. } = session.next(b"2 syslog 5 <13>a\n") else { panic!("no message") };
//! assert_eq!((consumed, range, txnr), (41, 11..16, 2));
//! ```

use std::io::Write as _;
use std::ops::Range;

/// A frame whose data is said to be longer than this is damage.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Data of a command other than `syslog`.
pub const OFFERS_BYTES_MAX: usize = 4_096;
/// Digits of a transaction number and of a length.
const DIGITS_MAX: usize = 9;
const COMMAND_MAX: usize = 32;
/// Number, command, length, each with its space.
const HEADER_MAX: usize = DIGITS_MAX + 1 + COMMAND_MAX + 1 + DIGITS_MAX + 1;

/// What the session found at the front of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The frame is not whole: call again with more bytes behind it.
    NeedMore,
    /// A message lies at `range` (empty when it has no bytes); answer `txnr` with [`ok`] once it is
    /// durable, then drop `consumed` bytes from the front.
    Message {
        /// Where it lies, without trailing line ends.
        range: Range<usize>,
        /// Bytes to drop from the front.
        consumed: usize,
        /// What is answered.
        txnr: u32,
        /// It was longer than the limit.
        cut: bool,
    },
    /// The middle of a message that is above the limit: take these bytes out of the buffer, keep what
    /// stands before and behind them.
    TakeOut {
        /// What goes.
        range: Range<usize>,
    },
    /// Send this behind the answers to all messages before it.
    Reply {
        /// Bytes to drop from the front.
        consumed: usize,
        /// Whole frames.
        answer: Vec<u8>,
    },
    /// As `Reply`; then the session is over.
    End {
        /// Bytes to drop from the front.
        consumed: usize,
        /// Whole frames.
        answer: Vec<u8>,
    },
    /// It is no RELP from here on: close the connection. What came before is good.
    Broken(&'static str),
}

/// One sender's session.
#[derive(Clone, Debug)]
pub struct Session {
    max_message: usize,
    is_open: bool,
    /// Bytes of the frame at the front that were taken out.
    taken_out: usize,
}

/// The head of a frame.
struct Head<'a> {
    txnr: u32,
    command: &'a [u8],
    /// Where the data begins.
    data: usize,
    length: usize,
}

impl Session {
    /// A session that cuts messages at `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self { max_message: max_message.max(64), is_open: false, taken_out: 0 }
    }

    /// The room that a caller's buffer must have so that [`Step::NeedMore`] cannot stall.
    #[must_use]
    pub fn buffer_needed(&self) -> usize {
        HEADER_MAX + self.max_message.max(OFFERS_BYTES_MAX) + 2
    }

    /// Looks at the front of `buf`.
    pub fn next(&mut self, buf: &[u8]) -> Step {
        let head = match head(buf) {
            Ok(Some(head)) => head,
            Ok(None) => return Step::NeedMore,
            Err(why) => return Step::Broken(why),
        };
        let is_message = head.command == b"syslog";
        if head.length > if is_message { FRAME_BYTES_MAX } else { OFFERS_BYTES_MAX } {
            return Step::Broken("the length is none that a sender may name");
        }
        if is_message && !self.is_open {
            return Step::Broken("a message came before the session was opened");
        }
        let kept = if is_message { head.length.min(self.max_message) } else { head.length };
        let end = head.data + kept;
        let to_take_out = head.length - kept - self.taken_out;
        if to_take_out > 0 {
            let range = end..buf.len().min(end + to_take_out);
            if range.is_empty() {
                return Step::NeedMore;
            }
            self.taken_out += range.len();
            return Step::TakeOut { range };
        }
        match buf.get(end) {
            None => return Step::NeedMore,
            Some(b'\n') => {}
            Some(_) => return Step::Broken("a frame does not end where its length says"),
        }
        self.taken_out = 0;
        let consumed = end + 1;
        let txnr = head.txnr;
        if is_message {
            let cut = kept < head.length;
            let range = head.data..if cut {
                whole_characters(buf, head.data, end)
            } else {
                trimmed_end(buf, head.data, end)
            };
            return Step::Message { range, consumed, txnr, cut };
        }
        self.command(head.command, &buf[head.data..end], txnr, consumed)
    }

    fn command(&mut self, command: &[u8], data: &[u8], txnr: u32, consumed: usize) -> Step {
        match command {
            b"open" => match refused(data) {
                None if !self.is_open => {
                    self.is_open = true;
                    let offers = concat!(
                        "200 OK\nrelp_version=0\nrelp_software=mutt,",
                        env!("CARGO_PKG_VERSION"),
                        "\ncommands=syslog"
                    );
                    Step::Reply { consumed, answer: response(txnr, offers) }
                }
                None => Step::Broken("the session was opened twice"),
                Some(why) => Step::End { consumed, answer: response(txnr, why) },
            },
            b"close" => {
                let mut answer = response(txnr, "");
                answer.extend_from_slice(SERVER_CLOSE);
                Step::End { consumed, answer }
            }
            b"rsp" => Step::Broken("an answer came to nothing that was asked"),
            _ => Step::Reply { consumed, answer: response(txnr, "500 unknown command") },
        }
    }
}

/// What a server sends before it closes by itself.
pub const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";

/// Adds the answer to a message that is durable.
pub fn ok(txnr: u32, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = writeln!(out, "{txnr} rsp 6 200 OK");
}

fn response(txnr: u32, text: &str) -> Vec<u8> {
    let space = if text.is_empty() { "" } else { " " };
    format!("{txnr} rsp {}{space}{text}\n", text.len()).into_bytes()
}

/// Why a session with these offers cannot be opened.
fn refused(offers: &[u8]) -> Option<&'static str> {
    let offer = |name: &[u8]| {
        offers
            .split(|&byte| byte == b'\n')
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(b"="))
    };
    // Every version begins with what version 0 has; the answer names the one that is spoken.
    if offer(b"relp_version").is_none() {
        return Some("500 no relp_version is offered");
    }
    let known = offer(b"commands").is_none_or(|commands| {
        commands.split(|&byte| byte == b',').any(|command| command == b"syslog")
    });
    if known { None } else { Some("500 the command syslog is required") }
}

/// The head of the frame at the front; `None` when it is not whole yet.
fn head(buf: &[u8]) -> Result<Option<Head<'_>>, &'static str> {
    let Some((txnr, at)) = number(buf, 0, "a frame does not begin with a number")? else {
        return Ok(None);
    };
    if txnr == 0 {
        return Err("the number 0 is the server's");
    }
    match buf.get(at) {
        None => return Ok(None),
        Some(b' ') => {}
        Some(_) => return Err("no space stands behind the number"),
    }
    let name = at + 1;
    let letters = buf[name..].iter().take(COMMAND_MAX + 1);
    let letters = letters.take_while(|byte| byte.is_ascii_alphabetic()).count();
    let at = name + letters;
    match buf.get(at) {
        None if letters <= COMMAND_MAX => return Ok(None),
        Some(b' ') if (1..=COMMAND_MAX).contains(&letters) => {}
        _ => return Err("no command stands behind the number"),
    }
    let Some((length, end)) = number(buf, at + 1, "no length stands behind the command")? else {
        return Ok(None);
    };
    // A frame without data has no space behind its length; some senders put one there.
    let data = match buf.get(end) {
        None => return Ok(None),
        Some(b' ') => end + 1,
        Some(b'\n') if length == 0 => end,
        Some(_) => return Err("no space stands behind the length"),
    };
    Ok(Some(Head { txnr, command: &buf[name..at], data, length: length as usize }))
}

/// A decimal number at `at`, and where it ends; `None` while it may go on.
fn number(
    buf: &[u8],
    at: usize,
    wrong: &'static str,
) -> Result<Option<(u32, usize)>, &'static str> {
    let rest = buf.get(at..).unwrap_or_default();
    let digits = rest.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > DIGITS_MAX {
        return Err(wrong);
    }
    if digits == rest.len() {
        return Ok(None);
    }
    if digits == 0 {
        return Err(wrong);
    }
    let value = rest[..digits].iter().fold(0u32, |n, byte| n * 10 + u32::from(byte - b'0'));
    Ok(Some((value, at + digits)))
}

/// The end of a message that was cut at `end`, without half a character.
fn whole_characters(buf: &[u8], start: usize, end: usize) -> usize {
    let tail = end.saturating_sub(3).max(start)..end;
    let lead = tail.rev().find(|&at| buf[at] & 0xc0 != 0x80);
    let Some(lead) = lead else { return end };
    let length = match buf[lead] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    if lead + length > end { lead } else { end }
}

fn trimmed_end(buf: &[u8], start: usize, end: usize) -> usize {
    let is_trailer = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    buf[start..end]
        .iter()
        .rposition(|byte| !is_trailer(byte))
        .map_or(start, |last| start + last + 1)
}

#[cfg(test)]
#[path = "relp_tests.rs"]
mod tests;
