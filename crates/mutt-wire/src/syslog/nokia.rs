//! Nokia SR OS (`TMNX: 17 Base SYSTEM-WARNING-tmnxStateChange-2009 [CHASSIS]:  text`) and SR Linux
//! (`sr_bgp_mgr: bgp|1894|1965|00071|W: text`).

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::devices::{Name, fields, named_behind, names, until};
use super::format;
use crate::octets::{all_digits, rfind};
use crate::text::Words;

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

static SROS: [Name; 5] = names(["sequence", "router", "application", "severity", "subject"]);

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
    event.fields = fields(message, &SROS, [sequence, router, application, level, subject]);
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

static SRLINUX: [Name; 4] = names(["subsystem", "thread", "sequence", "level"]);

/// `subsystem|pid|thread|sequence|level: text`; some releases leave thread and sequence out.
pub(crate) fn srlinux<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let front = &message.as_bytes()[..message.len().min(96)];
    let end = memchr::memchr2(b' ', b':', front)?;
    if front[end] != b':' {
        return None;
    }
    let last = rfind(&front[..end], b'|')?;
    let level = &message[last + 1..end];
    let (subsystem, rest) = until(&message[..last], b'|')?;
    let (pid, rest) = until(rest, b'|').unwrap_or((rest, ""));
    let (thread, rest) = until(rest, b'|').unwrap_or((rest, ""));
    let sequence = until(rest, b'|').map_or(rest, |(sequence, _)| sequence);
    let severity = lettered(level)?;
    let word = subsystem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !word || pid.is_empty() || !all_digits(pid.as_bytes()) {
        return None;
    }
    if event.severity.is_none() {
        event.severity = Some(severity);
    }
    if event.procid.is_none() {
        event.procid = Some(Cow::Borrowed(pid));
    }
    event.fields = fields(message, &SRLINUX, [subsystem, thread, sequence, level]);
    let text = message[end + 1..].trim_start_matches(' ');
    event.message = Cow::Borrowed(text);
    event.resource = resource(text).map(Cow::Borrowed);
    Some(format::NOKIA_SRLINUX)
}

/// `Peer 10.1.2.5`, `Interface ethernet-1/1`, `Session from 10.1.2.1:1 to 10.1.2.5:1`.
fn resource(text: &str) -> Option<&str> {
    static THINGS: Words<7> =
        Words::new(["Peer", "peer", "neighbor", "Interface", "interface", "Port", "port"]);
    named_behind(text, &THINGS, (24, 64))
}
