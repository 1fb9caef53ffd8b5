//! HPE: ArubaOS-Switch and ProCurve (`00076 ports: port 2 is now on-line`), ArubaOS-CX
//! (`Event|401|LOG_INFO|AMM|1/1|text`), iLO (`#ILO 4: 08/06/2026 10:00 text`). Comware is read with VRP.

use std::borrow::Cow;

use mutt_model::{Event, Severity};

use super::devices::{Name, fields, named_behind, names, until};
use super::stamp::Stamp;
use super::{format, tag};
use crate::text::Words;

/// The event's number and the module, then the text.
pub(crate) fn procurve(text: &str) -> Option<(&str, &str, &str)> {
    let number = text.get(..5).filter(|number| number.bytes().all(|b| b.is_ascii_digit()))?;
    let behind = text[5..].strip_prefix(' ')?.trim_start_matches(' ');
    // Modules may be called `802.1x`; a tag has no spaces.
    let (module, text) = until(behind, b':')?;
    let word = !module.is_empty()
        && module.len() <= 32
        && module.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    word.then(|| (number, module, text.trim_start_matches(' ')))
}

pub(crate) fn read_procurve<'a>(event: &mut Event<'a>, found: (&'a str, &'a str, &'a str)) {
    let (number, module, text) = found;
    event.msgid = Some(Cow::Borrowed(number));
    event.app = Some(Cow::Borrowed(module));
    event.message = Cow::Borrowed(text);
    event.resource = port(text).map(Cow::Borrowed);
    event.parse.format = Cow::Borrowed(format::HPE_PROCURVE);
}

/// `port 2 is now on-line`, `Port 1/A1-...`, `interface 1/1/24`.
fn port(text: &str) -> Option<&str> {
    static THINGS: Words<5> = Words::new(["port", "Port", "interface", "Interface", "trunk"]);
    named_behind(text, &THINGS, (32, 16))
}

static AOSCX: [Name; 4] = names(["event_id", "level", "module", "slot"]);

/// `Event|number|LOG_level|module|slot|text`.
pub(crate) fn aoscx<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let rest = message.strip_prefix("Event|")?;
    let (number, rest) = until(rest, b'|')?;
    let (level, rest) = until(rest, b'|')?;
    let (module, rest) = until(rest, b'|')?;
    let (slot, text) = until(rest, b'|')?;
    let level_name = level.strip_prefix("LOG_")?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if event.severity.is_none() {
        event.severity = Severity::parse(level_name);
    }
    if event.msgid.is_none() {
        event.msgid = Some(Cow::Borrowed(number));
    }
    let slot = if slot == "-" { "" } else { slot };
    event.fields = fields(message, &AOSCX, [number, level, module, slot]);
    event.resource = port(text).map(Cow::Borrowed);
    event.message = Cow::Borrowed(text);
    Some(format::HPE_AOSCX)
}

/// `<404003> <WARN> |AP ap1@192.0.2.5 sapd| text`, or `<522125> <2435> <WARN> <host> text`: number,
/// perhaps the process, level.
pub(crate) fn arubaos<'a>(event: &mut Event<'a>, message: &'a str) -> Option<&'static str> {
    let (number, mut rest) = angled(message)?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if number.len() != 6 || !digits(number) {
        return None;
    }
    let (mut level, behind) = angled(rest)?;
    rest = behind;
    if digits(level) {
        (level, rest) = angled(rest)?;
    }
    let severity = match level {
        "EMER" | "EMRG" => Severity::EMERGENCY,
        "ALRT" | "ALER" => Severity::ALERT,
        "CRIT" => Severity::CRITICAL,
        "ERRS" | "ERR" => Severity::ERROR,
        "WARN" => Severity::WARNING,
        "NOTI" => Severity::NOTICE,
        "INFO" => Severity::INFO,
        "DBUG" => Severity::DEBUG,
        _ => return None,
    };
    if event.severity.is_none() {
        event.severity = Some(severity);
    }
    if event.msgid.is_none() {
        event.msgid = Some(Cow::Borrowed(number));
    }
    let point = rest.strip_prefix("|AP ").and_then(|inside| until(inside, b'@'));
    if let Some((point, _)) = point.filter(|(point, _)| !point.is_empty() && point.len() <= 64) {
        event.resource = Some(Cow::Borrowed(point));
    }
    event.message = Cow::Borrowed(rest);
    Some(format::HPE_ARUBAOS)
}

/// What stands in angle brackets at the front, and the text behind.
fn angled(text: &str) -> Option<(&str, &str)> {
    let (inside, behind) = until(text.strip_prefix('<')?, b'>')?;
    (!inside.is_empty() && inside.len() <= 16).then(|| (inside, behind.trim_start_matches(' ')))
}

/// The name of the management processor, its stamp where it wrote one, and the text.
pub(crate) struct Ilo<'a> {
    pub(crate) app: &'a str,
    pub(crate) stamp: Option<Stamp<'a>>,
    pub(crate) text: &'a str,
}

/// `#ILO 4: 11/21/2017 02:04 Server reset.`
pub(crate) fn ilo(text: &str) -> Option<Ilo<'_>> {
    let inside = text.strip_prefix('#')?;
    if !inside.get(..3)?.eq_ignore_ascii_case("ilo") {
        return None;
    }
    let (app, behind) = until(inside, b':')?;
    if app.len() > 16 {
        return None;
    }
    let behind = behind.trim_start_matches(' ');
    match minute(behind) {
        Some((stamp, text)) => Some(Ilo { app, stamp: Some(stamp), text }),
        None => Some(Ilo { app, stamp: None, text: behind }),
    }
}

/// `MM/DD/YYYY HH:MM `
fn minute(text: &str) -> Option<(Stamp<'_>, &str)> {
    let front = text.as_bytes().get(..16)?;
    let number = |range: std::ops::Range<usize>| {
        front[range]
            .iter()
            .try_fold(0u16, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))
    };
    let shaped = front[2] == b'/' && front[5] == b'/' && front[10] == b' ' && front[13] == b':';
    if !shaped {
        return None;
    }
    let small = |range| number(range).and_then(|n| u8::try_from(n).ok());
    let stamp = Stamp {
        year: i16::try_from(number(6..10)?).ok(),
        month: small(0..2)?,
        day: small(3..5)?,
        hour: small(11..13).filter(|&hour| hour < 24)?,
        minute: small(14..16).filter(|&minute| minute < 60)?,
        ..Stamp::default()
    };
    Some((stamp, text[16..].trim_start_matches(' ')))
}

/// True for the word of a ProCurve event where a host is looked for: its number, then a module.
pub(crate) fn is_event_number(word: &str, behind: &str) -> bool {
    word.len() == 5
        && word.bytes().all(|b| b.is_ascii_digit())
        && tag::read(behind.trim_start_matches(' ')).is_some_and(|tag| tag.procid.is_none())
}
