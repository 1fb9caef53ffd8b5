//! Nokia SR OS (`TMNX: 17 Base SYSTEM-WARNING-tmnxStateChange-2009 [CHASSIS]:  text`) and SR Linux
//! (`sr_bgp_mgr: bgp|1894|1965|00071|W: text`).

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::devices::{fields, until};
use super::format;
use crate::text::{near, words};

/// The levels of syslog that the documents of SR OS map its severities to.
fn severity(name: &str) -> Option<Severity> {
    Some(match name {
        "CRITICAL" => Severity::ALERT,
        "MAJOR" => Severity::CRITICAL,
        "MINOR" => Severity::ERROR,
        "WARNING" => Severity::WARNING,
        "CLEARED" | "INDETERMINATE" => Severity::INFO,
        _ => return None,
    })
}

/// Sequence number, router instance, then `application-SEVERITY-event-number [subject]:  text`.
pub(crate) fn sros<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (sequence, rest) = until(message, b' ')?;
    if sequence.len() > 10 || !sequence.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (router, text) = until(rest, b' ')?;
    let text = text.trim_start_matches(' ');
    let (name, behind) = until(text, b' ')?;
    let (application, parts) = until(name, b'-')?;
    let (level, parts) = until(parts, b'-')?;
    let (_event, number) = until(parts, b'-')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let severity = severity(level)?;
    if event.severity.is_none() {
        event.severity = Some(severity);
    }
    let subject = behind.strip_prefix('[').and_then(subject_in);
    let subject = subject.unwrap_or_default();
    event.fields = fields(
        message,
        &[
            ("sequence", sequence),
            ("router", router),
            ("application", application),
            ("severity", level),
            ("subject", subject),
        ],
    );
    event.mnemonic = Some(Cow::Borrowed(name));
    if !subject.is_empty() {
        event.resource = Some(Cow::Borrowed(subject));
    }
    event.message = Cow::Borrowed(text);
    Some(format::NOKIA_SROS)
}

/// What stands before the first bracket that a colon follows.
fn subject_in(text: &str) -> Option<&str> {
    let closes = |at: &usize| text.as_bytes().get(at + 1) == Some(&b':');
    let at = memchr::memchr_iter(b']', text.as_bytes()).find(closes)?;
    Some(&text[..at])
}

/// The severity of a letter of SR Linux.
fn lettered(letter: &str) -> Option<Severity> {
    Some(match letter {
        "D" => Severity::DEBUG,
        "I" => Severity::INFO,
        "N" => Severity::NOTICE,
        "W" => Severity::WARNING,
        "E" => Severity::ERROR,
        "C" => Severity::CRITICAL,
        "A" => Severity::ALERT,
        "M" | "X" | "P" => Severity::EMERGENCY,
        _ => return None,
    })
}

/// False where no bar stands in the first word.
#[inline]
pub(crate) fn may_be_srlinux(message: &str) -> bool {
    let word = near(b' ', message.as_bytes()).unwrap_or(message.len());
    near(b'|', &message.as_bytes()[..word]).is_some()
}

/// `subsystem|pid|thread|sequence|level: text`; some releases leave thread and sequence out.
pub(crate) fn srlinux<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let front = &message.as_bytes()[..message.len().min(96)];
    let end = memchr::memchr2(b' ', b':', front)?;
    if front[end] != b':' || memchr::memchr(b'|', &front[..end]).is_none() {
        return None;
    }
    let head = &message[..end];
    let mut parts = head.split('|');
    let (subsystem, pid) = (parts.next()?, parts.next()?);
    let level = parts.next_back()?;
    let severity = lettered(level)?;
    let word = subsystem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !word || pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (thread, sequence) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if event.severity.is_none() {
        event.severity = Some(severity);
    }
    if event.procid.is_none() {
        event.procid = Some(Cow::Borrowed(pid));
    }
    event.fields = fields(
        message,
        &[("subsystem", subsystem), ("thread", thread), ("sequence", sequence), ("level", level)],
    );
    let text = message[end + 1..].trim_start_matches(' ');
    event.message = Cow::Borrowed(text);
    event.resource = resource(text).map(Cow::Borrowed);
    Some(format::NOKIA_SRLINUX)
}

/// `Peer 10.1.2.5`, `Interface ethernet-1/1`, `Session from 10.1.2.1:1 to 10.1.2.5:1`.
fn resource(text: &str) -> Option<&str> {
    let mut words = words(text).take(24);
    while let Some(word) = words.next() {
        let name = match word {
            "Peer" | "peer" | "neighbor" | "Interface" | "interface" | "Port" | "port" => {
                words.next()?
            }
            _ => continue,
        };
        let name = name.trim_end_matches([',', '.', ';', ':']);
        if name.bytes().any(|b| b.is_ascii_digit()) && name.len() <= 64 {
            return Some(name);
        }
    }
    None
}
