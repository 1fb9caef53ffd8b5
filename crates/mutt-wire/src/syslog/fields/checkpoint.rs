//! Check Point: what Log Exporter writes (`[action:"Accept"; ...]`, `time=...|hostname=...|`) and the
//! older `field: value; ` and `field="value"; ` forms. Its CEF and LEEF are read as those.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::clock::{self, Written};
use super::map::{MAX_FIELDS, Map, Type};
use super::pairs::{self, Separated};
use super::{graded, set_origin};
use crate::octets::{Keys, hash};
use crate::syslog::{Options, format};
use crate::text::behind_spaces;

/// How the fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `[action:"Accept"; flags:"1"; ]`, with or without the brackets.
    Quoted,
    /// `time=1|hostname=gw|product=Firewall|`
    Bars,
    /// `21Aug2007 12:00:00 accept 192.0.2.1 >eth0 rule: 100; src: 192.0.2.3; `
    Plain,
}

/// The form, when a text is one of them.
pub(crate) fn form(text: &str) -> Option<Form> {
    match text.as_bytes().first()? {
        b'[' | b'a'..=b'z' | b'_' if is_quoted(text.strip_prefix('[').unwrap_or(text)) => {
            Some(Form::Quoted)
        }
        b't' | b'|' | b'h' => is_barred(text).then_some(Form::Bars),
        b'0'..=b'9' => plain(text).map(|_| Form::Plain),
        _ => None,
    }
}

/// A key, a colon and a quote.
fn is_quoted(text: &str) -> bool {
    let front = &text.as_bytes()[..text.len().min(64)];
    pairs::key_before(front, b':').is_some_and(|at| front.get(at + 1) == Some(&b'"'))
}

fn is_barred(text: &str) -> bool {
    let text = text.trim_start_matches('|');
    let front = &text.as_bytes()[..text.len().min(256)];
    let Some(bar) = memchr::memchr(b'|', front) else { return false };
    let first = pairs::leading_key(text).map(|(key, _)| key);
    matches!(first, Some("time" | "hostname"))
        && [&b"|hostname="[..], b"|product=", b"|action=", b"|loguid="]
            .iter()
            .any(|key| memchr::memmem::find(&front[bar..], key).is_some())
}

/// `21Aug2007 12:00:00 accept 192.0.2.1 >eth0 ` in front of the fields: (time, action, origin,
/// direction and interface, fields).
fn plain(text: &str) -> Option<[&str; 5]> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if !text.as_bytes().get(digits).is_some_and(u8::is_ascii_alphabetic) {
        return None;
    }
    let (date, rest) = text.split_once(' ')?;
    let shaped = date.len() == digits + 7
        && date.as_bytes()[digits..digits + 3].iter().all(u8::is_ascii_alphabetic)
        && date.as_bytes()[digits + 3..].iter().all(u8::is_ascii_digit);
    if digits == 0 || !shaped {
        return None;
    }
    let (clock, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let when = &text[..text.len() - rest.len() - 1];
    let (action, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (origin, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (interface, rest) = match rest.split_once(' ') {
        Some((word, behind)) if word.starts_with(['<', '>']) => (word, behind),
        _ => ("", rest),
    };
    let clocked = clock.len() == 8 && clock.bytes().filter(|b| *b == b':').count() == 2;
    (clocked && rest.contains(';')).then_some([when, action, origin, interface, rest])
}

/// The fields that the document types as integers.
pub(crate) fn is_number(key: &str, hash: u8) -> bool {
    static NUMBERS: Keys<42> = Keys::new([
        "time",
        "lastupdatetime",
        "sequencenum",
        "version",
        "flags",
        "logid",
        "log_id",
        "proto",
        "s_port",
        "service",
        "xlatesport",
        "xlatedport",
        "rule",
        "match_id",
        "parent_rule",
        "nat_rulenum",
        "nat_addtnl_rulenum",
        "bytes",
        "packets",
        "sent_bytes",
        "received_bytes",
        "client_inbound_bytes",
        "client_outbound_bytes",
        "client_inbound_packets",
        "client_outbound_packets",
        "server_inbound_bytes",
        "server_outbound_bytes",
        "server_inbound_packets",
        "server_outbound_packets",
        "severity",
        "confidence_level",
        "performance_impact",
        "suppressed_logs",
        "duration",
        "icmp_type",
        "icmp_code",
        "operation_number",
        "http_status",
        "content_length",
        "policy_time",
        "segment_time",
        "log_delay",
    ]);
    NUMBERS.contains(key, hash)
}

pub(crate) fn read<'a>(
    event: &mut Event<'a>,
    message: &'a str,
    form: Form,
    options: &Options,
) -> &'static str {
    let mut map = Map::of_pairs(message, 24);
    match form {
        Form::Quoted => {
            let inside = message.strip_prefix('[').unwrap_or(message);
            push_all(Separated::new(inside, b';'), &mut map);
        }
        Form::Bars => push_all(Separated::new(message, b'|'), &mut map),
        Form::Plain => {
            if let Some([when, action, origin, interface, rest]) = plain(message) {
                push_plain(when, event, options);
                map.push("action", action);
                map.push("origin", origin);
                let direction = if interface.starts_with('>') { "inbound" } else { "outbound" };
                map.push("ifdir", if interface.is_empty() { "" } else { direction });
                map.push("ifname", interface.trim_start_matches(['<', '>']));
                push_all(Separated::new(rest, b';'), &mut map);
            }
        }
    }
    envelope(event, &map);
    map.finish(event);
    format::CHECKPOINT
}

fn push_all<'a>(pairs: Separated<'a>, map: &mut Map<'a>) {
    for (key, raw) in pairs.take(MAX_FIELDS + 1) {
        let hash = hash(key.as_bytes());
        map.push_pair((key, hash), raw, b"\"\\]|=", Type::number(is_number(key, hash)));
    }
}

/// `21Aug2007 12:00:00`
fn push_plain(when: &str, event: &mut Event<'_>, options: &Options) {
    let Some((date, clock)) = when.split_once(' ') else { return };
    let digits = date.bytes().take_while(u8::is_ascii_digit).count();
    let (day, month_year) = date.split_at(digits);
    let (month, year) = month_year.split_at(3);
    let text = format!("{month} {day} {year} {}", behind_spaces(clock));
    clock::fill(event, Written::from(text.as_str()), options);
}

/// Fields that any of the forms has, those in structured data too.
pub(crate) fn envelope<'a>(event: &mut Event<'a>, map: &Map<'a>) {
    // The header names the server that exports; the gateway is the origin, unless they are one.
    let name = map.first(&["originsicname", "origin_sic_name"]).unwrap_or_default();
    let common = name
        .get(3..)
        .filter(|_| name.get(..3).is_some_and(|cn| cn.eq_ignore_ascii_case("cn=")))
        .map(|name| name.split(',').next().unwrap_or_default());
    let exporter = common.is_some_and(|common| common.eq_ignore_ascii_case(&event.host));
    if !exporter && let Some(origin) = map.first(&["origin", "hostname"]) {
        set_origin(event, origin);
    }
    if event.severity.is_none() {
        event.severity = map.get("severity").and_then(|word| match word {
            "0" => Some(Severity::INFO),
            "1" => Some(Severity::NOTICE),
            "2" => Some(Severity::WARNING),
            "3" => Some(Severity::ERROR),
            "4" => Some(Severity::CRITICAL),
            word => graded(word),
        });
    }
    if event.app.is_none() {
        event.app = map.get("product").map(Cow::Borrowed);
    }
    event.resource = map.get("ifname").map(Cow::Borrowed);
    if let Some(at) = map.get("time").and_then(clock::epoch)
        && (event.device_time.is_none() || clock::is_guessed(event.time_note.as_deref()))
    {
        (event.device_time, event.time_note) = (Some(at), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        let check = |text: &str, expected: Option<Form>| assert_eq!(form(text), expected, "{text}");
        check("[action:\"Accept\"; flags:\"1\";]", Some(Form::Quoted));
        check("action:\"Accept\"; flags:\"1\"", Some(Form::Quoted));
        check("time=1570561225|hostname=gw|product=IPS|", Some(Form::Bars));
        check("|hostname=gw|product=IPS|", Some(Form::Bars));
        check("21Aug2007 12:00:00 accept 192.0.2.1 >eth0 rule: 1; x: y;", Some(Form::Plain));
        check("3Sep2007 15:10:28 drop 192.0.2.1 rule: 9; x: y;", Some(Form::Plain));
        check("21Aug2007  12:00:00 accept 192.0.2.1 >eth0 rule: 1; x: y;", Some(Form::Plain));
        // Found by fuzzing: two spaces, and no clock but letters of more than a byte.
        check("21Aug2007  aciv\u{fffd} accept 192.0.2.1 rule: 1;", None);
        check("[Originator@6876 sub=x]", None);
        check("time=12:00 level=info", None);
        check("12:00:00 x", None);
        check("error:\" x", Some(Form::Quoted));
        check("", None);
    }
}
