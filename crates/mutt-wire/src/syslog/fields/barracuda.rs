//! Barracuda Web Application Firewall: words in the order of its documents behind the type of the log,
//! `WF ALER SQL_INJECTION_IN_PARAM 192.0.2.117 34006 ...`.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::map::{Map, Value};
use crate::syslog::format;
use crate::text::near;

const LEVELS: [(&str, Severity); 8] = [
    ("EMER", Severity::EMERGENCY),
    ("ALER", Severity::ALERT),
    ("CRIT", Severity::CRITICAL),
    ("ERRO", Severity::ERROR),
    ("WARN", Severity::WARNING),
    ("NOTI", Severity::NOTICE),
    ("INFO", Severity::INFO),
    ("DEBU", Severity::DEBUG),
];

/// `#` marks a number; the last name of an open list takes the rest.
const WF: [&str; 22] = [
    "log_type",
    "severity",
    "attack",
    "client_ip",
    "#client_port",
    "service_ip",
    "#service_port",
    "rule",
    "rule_type",
    "action",
    "followup_action",
    "attack_details",
    "method",
    "url",
    "protocol",
    "session_id",
    "user_agent",
    "proxy_ip",
    "#proxy_port",
    "user",
    "referer",
    "-",
];
const NF: [&str; 10] = [
    "log_type",
    "severity",
    "protocol",
    "source_ip",
    "#source_port",
    "destination_ip",
    "#destination_port",
    "action",
    "acl",
    "details",
];
const SYS: [&str; 5] = ["log_type", "module", "severity", "event_id", "details"];
const AUDIT: [&str; 15] = [
    "log_type",
    "admin",
    "client_type",
    "login_ip",
    "#login_port",
    "transaction_type",
    "transaction_id",
    "command",
    "change_type",
    "object_type",
    "object",
    "variable",
    "old_value",
    "new_value",
    "additional_data",
];
const TR: [&str; 33] = [
    "log_type",
    "service_ip",
    "#service_port",
    "client_ip",
    "#client_port",
    "login",
    "certificate_user",
    "method",
    "protocol",
    "host",
    "version",
    "#status",
    "#bytes_sent",
    "#bytes_received",
    "cache_hit",
    "#time_taken",
    "server_ip",
    "#server_port",
    "#server_time",
    "session_id",
    "response_type",
    "profile_matched",
    "protected",
    "wf_matched",
    "url",
    "query",
    "referer",
    "cookie",
    "user_agent",
    "proxy_ip",
    "#proxy_port",
    "user",
    "custom",
];

/// Columns, whether the last takes the rest, and which is the message's own name.
fn columns(text: &str) -> Option<(&'static [&'static str], bool, &'static str)> {
    let (kind, rest) = text.split_at(near(b' ', text.as_bytes()).filter(|at| *at <= 5)?);
    if !matches!(kind, "WF" | "NF" | "SYS" | "TR" | "AUDIT") {
        return None;
    }
    let rest = &rest[1..];
    let mut words = rest.split(' ');
    let (first, second) = (words.next()?, words.next()?);
    let level = |word: &str| LEVELS.iter().any(|(name, _)| *name == word);
    let address = |word: &str| word.parse::<std::net::IpAddr>().is_ok();
    let port = |word: &str| word.parse::<u16>().is_ok();
    match kind {
        "WF" if level(first) => Some((&WF, false, "attack")),
        "NF" if level(first) => Some((&NF, true, "action")),
        "SYS" if level(second) => Some((&SYS, true, "event_id")),
        "TR" if address(first) && port(second) => Some((&TR, true, "")),
        "AUDIT" if words.next().is_some_and(address) => Some((&AUDIT, true, "transaction_type")),
        _ => None,
    }
}

pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (columns, open, own_name) = columns(message)?;
    let mut map = Map::with_capacity(message, columns.len());
    let mut rest = message;
    for (at, name) in columns.iter().enumerate() {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            break;
        }
        let last = open && at + 1 == columns.len();
        let (value, behind) = if last { (rest, "") } else { word(rest) };
        rest = behind;
        let (name, number) = name.strip_prefix('#').map_or((*name, false), |name| (name, true));
        if name != "-" && !matches!(value, "-" | "\"-\"") {
            map.push(name, Value::typed(Cow::Borrowed(value), number));
        }
    }
    if event.severity.is_none() {
        let level = map.get("severity").unwrap_or_default();
        event.severity = LEVELS.iter().find(|(name, _)| *name == level).map(|(_, level)| *level);
    }
    event.app = event.app.take().or_else(|| map.get("log_type").map(Cow::Borrowed));
    event.mnemonic = map.get(own_name).map(Cow::Borrowed);
    map.finish(event);
    Some(format::BARRACUDA)
}

/// A word, a text in quotes, or one in brackets.
fn word(text: &str) -> (&str, &str) {
    let close = match text.as_bytes().first() {
        Some(b'"') => Some(b'"'),
        Some(b'[') => Some(b']'),
        _ => None,
    };
    if let Some(close) = close
        && let Some(end) = memchr::memchr(close, &text.as_bytes()[1..])
        && matches!(text.as_bytes().get(end + 2), None | Some(b' '))
    {
        return (&text[1..=end], &text[end + 2..]);
    }
    let end = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    (&text[..end], &text[end..])
}
