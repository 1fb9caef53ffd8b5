//! ScreenOS: `NetScreen device_id=fw1  [Root]system-notification-00257(traffic): start_time="..." ...`.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::devices::until;
use super::{format, set_host};
use crate::text::push_json_str;

const BEGINS: &str = "NetScreen device_id=";
const MAX_PAIRS: usize = 48;

/// True where a message of ScreenOS begins.
pub(crate) fn begins(message: &str) -> bool {
    message.starts_with(BEGINS)
}

/// Reads the message. What stood before it like a tag is the firewall's name.
pub(crate) fn read<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let behind = message.strip_prefix(BEGINS)?;
    let (device, behind) = until(behind, b' ')?;
    let device = device.trim_start_matches('[').trim_end_matches(']');
    let (vsys, behind) = until(behind.trim_start_matches(' ').strip_prefix('[')?, b']')?;
    let colon = behind.find(": ")?;
    let (name, text) = (&behind[..colon], &behind[colon + 2..]);
    let (mnemonic, kind) = match name.split_once('(') {
        Some((mnemonic, kind)) => (mnemonic, kind.trim_end_matches(')')),
        None => (name, ""),
    };
    let mut parts = mnemonic.splitn(3, '-');
    let (_system, level, number) = (parts.next()?, parts.next()?, parts.next()?);
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if let (Some(Cow::Borrowed(name)), None) = (event.app.take(), &event.procid)
        && !event.host.eq_ignore_ascii_case(name)
    {
        set_host(event, name, None);
    }
    event.app = Some(Cow::Borrowed("NetScreen"));
    event.mnemonic = Some(Cow::Borrowed(mnemonic));
    event.msgid = Some(Cow::Borrowed(number));
    if event.severity.is_none() {
        event.severity = Severity::parse(level);
    }
    let mut json = String::with_capacity(message.len() + message.len() / 4);
    json.push('{');
    for (name, value) in [("device_id", device), ("vsys", vsys), ("type", kind)] {
        push(&mut json, name, value);
    }
    for (name, value) in (Pairs { rest: text }).take(MAX_PAIRS) {
        push(&mut json, name, value);
    }
    json.push('}');
    event.fields = Some(Cow::Owned(json));
    event.message = Cow::Borrowed(message);
    Some(format::NETSCREEN)
}

fn push(json: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if json.len() > 1 {
        json.push(',');
    }
    push_json_str(json, name);
    json.push(':');
    push_json_str(json, value);
}

/// When it happened: what `start_time` says, or what stands in brackets at the end.
pub(crate) fn time(message: &str) -> Option<&str> {
    if let Some(at) = message.find("start_time=\"") {
        return until(&message[at + 12..], b'"').map(|(time, _)| time);
    }
    let (_, behind) = message.strip_suffix(')')?.rsplit_once('(')?;
    Some(behind)
}

/// Keys may have two words (`src zone`), values may have spaces without quotes
/// (`service=tcp/port 8080`): a value ends where the next key begins.
struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, behind) = until(self.rest, b'=')?;
        let name = key_of(name);
        if let Some(inside) = behind.strip_prefix('"')
            && let Some((value, rest)) = until(inside, b'"')
        {
            self.rest = rest;
            return Some((name, value));
        }
        match until(behind, b'=') {
            Some((before, _)) => {
                let at = before.len() - key_of(before).len();
                self.rest = &behind[at..];
                Some((name, behind[..at].trim()))
            }
            None => {
                self.rest = "";
                Some((name, behind.trim()))
            }
        }
    }
}

/// The key at the end of a text.
fn key_of(text: &str) -> &str {
    const TWO_WORDS: [&str; 4] = ["src zone", "dst zone", "src-xlated ip", "dst-xlated ip"];
    match TWO_WORDS.iter().find(|key| text.ends_with(**key)) {
        Some(key) => &text[text.len() - key.len()..],
        None => text.rsplit(' ').next().unwrap_or(text),
    }
}
