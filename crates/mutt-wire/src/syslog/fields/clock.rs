//! Times that stand in fields: seconds or finer since 1970, written stamps, and stamps whose form a
//! pattern of Java's SimpleDateFormat tells (LEEF's `devTimeFormat`).

use std::borrow::Cow;

use mutt_model::{Event, Timestamp};

use super::super::Options;
use super::super::stamp::{self, Stamp};
use super::super::zone::{self, Assumed, Sync};
use crate::octets::{find, is, no_digit};
use crate::text::trimmed;

/// A longer text is no time.
const MAX_TIME: usize = 64;

/// What a field says about time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written<'t> {
    pub(crate) text: &'t str,
    /// `+0200` or a name, from a field of its own.
    pub(crate) zone: Option<&'t str>,
    pub(crate) pattern: Option<&'t str>,
}

impl<'t> From<&'t str> for Written<'t> {
    fn from(text: &'t str) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Fills the device's time where the header has none, or had to guess and the field does not.
pub(crate) fn fill(event: &mut Event<'_>, written: Written<'_>, options: &Options) {
    let header = event.device_time.is_some();
    if header && !is_guessed(event.time_note.as_deref()) {
        return;
    }
    let zone = options.zone_for(event);
    let Some((at, note)) = read(written, event.received_at, zone) else { return };
    if !header || !is_guessed(note.as_deref()) {
        event.device_time = Some(at);
        event.time_note = note;
    }
}

/// Whether a time had to be guessed in part: the year, the zone.
pub(crate) fn is_guessed(note: Option<&str>) -> bool {
    note.is_some_and(|note| !matches!(note, "fraction cut" | "zone by rule"))
}

type Read = (Timestamp, Option<Cow<'static, str>>);

fn read(written: Written<'_>, received_at: Timestamp, zone: Assumed<'_>) -> Option<Read> {
    let text = trimmed(written.text);
    if text.is_empty() || text.len() > MAX_TIME {
        return None;
    }
    if let Some(at) = epoch(text) {
        return Some((at, None));
    }
    let resolved = |stamp: &Stamp<'_>| {
        let (at, note) = zone::resolve(stamp, Sync::Plain, received_at, zone);
        at.map(|at| (at, note))
    };
    if let Some(pattern) = written.pattern.filter(|pattern| pattern.len() <= MAX_TIME)
        && let Some(stamp) = by_pattern(pattern, text)
    {
        return resolved(&stamp);
    }
    let normal = normalised(text, written.zone);
    let (stamp, len) = stamp::read(&normal)?;
    trimmed(&normal[len..]).is_empty().then(|| resolved(&stamp))?
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their digits; or
/// seconds with a fraction.
pub(crate) fn epoch(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = find(bytes, 0, no_digit).unwrap_or(bytes.len()).min(bytes.len());
    let (whole, fraction) = match bytes.get(digits) {
        None => (text, ""),
        Some(b'.') => (&text[..digits], &text[digits + 1..]),
        Some(_) => return None,
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits(fraction) || (!fraction.is_empty() && whole.len() > 10) {
        return None;
    }
    let value = match whole.as_bytes() {
        few if few.len() <= 18 => few.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')),
        _ => whole.parse().ok()?,
    };
    let micros = match fraction {
        "" => 0,
        _ => (fraction.bytes().chain(std::iter::repeat(b'0')).take(6))
            .fold(0, |n, b| n * 10 + i64::from(b - b'0')),
    };
    Some(Timestamp::from_micros(match whole.len() {
        9..=10 => value.checked_mul(1_000_000)?.checked_add(micros)?,
        13 => value.checked_mul(1000)?,
        16 => value,
        19 => value / 1000,
        _ => return None,
    }))
}

/// With dashes for slashes in a date, and the zone behind it.
fn normalised<'t>(text: &'t str, zone: Option<&str>) -> Cow<'t, str> {
    let zone = zone.map(str::trim).filter(|zone| !zone.is_empty() && zone.len() <= 8);
    let bytes = text.as_bytes();
    let read_as_is = match (bytes.get(4), bytes.get(7)) {
        (Some(b'/'), Some(b'/')) => find(bytes, 8, |word| is(word, b'/')).is_none(),
        (Some(b'/'), _) => false,
        _ => true,
    };
    if zone.is_none() && read_as_is {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    if text.as_bytes().get(4) == Some(&b'/') {
        out.extend(text.chars().map(|c| if c == '/' { '-' } else { c }));
    } else {
        out.push_str(text);
    }
    match zone {
        Some(zone) if zone.starts_with(['+', '-']) => out.push_str(zone),
        Some(zone) => {
            out.push(' ');
            out.push_str(zone);
        }
        None => {}
    }
    Cow::Owned(out)
}

/// Reads a stamp as its pattern says: `yyyy MM MMM dd HH mm ss SSS a`, `z`, `Z`, `X`, texts in
/// apostrophes.
fn by_pattern<'t>(pattern: &str, text: &'t str) -> Option<Stamp<'t>> {
    let mut stamp = Stamp::default();
    let mut rest = text;
    let mut afternoon = None;
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            for literal in letters.by_ref().take_while(|c| *c != '\'') {
                rest = rest.strip_prefix(literal)?;
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        let mut width = 1;
        while letters.next_if_eq(&letter).is_some() {
            width += 1;
        }
        rest = element(letter, width, rest, &mut stamp, &mut afternoon)?;
    }
    match afternoon {
        Some(true) if stamp.hour < 12 => stamp.hour += 12,
        Some(false) if stamp.hour == 12 => stamp.hour = 0,
        _ => {}
    }
    let valid = stamp.month >= 1 && stamp.day >= 1 && rest.is_empty();
    valid.then_some(stamp)
}

fn element<'t>(
    letter: char,
    width: usize,
    text: &'t str,
    stamp: &mut Stamp<'t>,
    afternoon: &mut Option<bool>,
) -> Option<&'t str> {
    let number = |most: u32| -> Option<(u32, &'t str)> {
        let len = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
        let value = text[..len].parse().ok().filter(|value| *value <= most)?;
        Some((value, &text[len..]))
    };
    let small = |(value, rest): (u32, &'t str)| Some((u8::try_from(value).ok()?, rest));
    let rest;
    match letter {
        'y' | 'u' => {
            let (value, behind) = number(9999)?;
            let value = if width <= 2 && value < 100 { 2000 + value } else { value };
            stamp.year = Some(i16::try_from(value).ok().filter(|y| (1970..2200).contains(y))?);
            rest = behind;
        }
        'M' | 'L' if width >= 3 => {
            (stamp.month, rest) = stamp::month_name(text)?;
        }
        'M' | 'L' => (stamp.month, rest) = small(number(12)?)?,
        'd' => (stamp.day, rest) = small(number(31)?)?,
        'H' | 'h' | 'k' | 'K' => {
            (stamp.hour, rest) = small(number(24)?)?;
            stamp.hour %= if letter == 'k' { 24 } else { 25 };
        }
        'm' => (stamp.minute, rest) = small(number(59)?)?,
        's' => (stamp.second, rest) = small(number(60)?)?,
        'S' => {
            let len = text.bytes().take(9).take_while(u8::is_ascii_digit).count();
            stamp.micros = text[..len]
                .bytes()
                .chain(std::iter::repeat(b'0'))
                .take(6)
                .fold(0, |n, b| n * 10 + u32::from(b - b'0'));
            rest = &text[len..];
        }
        'a' => {
            let half = text.get(..2)?;
            *afternoon = Some(half.eq_ignore_ascii_case("pm"));
            rest = &text[2..];
        }
        'E' => {
            rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        }
        'z' | 'Z' | 'X' | 'x' => rest = zone_of(text, stamp)?,
        _ => return None,
    }
    Some(rest)
}

fn zone_of<'t>(text: &'t str, stamp: &mut Stamp<'t>) -> Option<&'t str> {
    let len = text.bytes().take(9).take_while(|b| !matches!(b, b' ' | b',')).count();
    let (name, rest) = text.split_at_checked(len)?;
    if name.starts_with(['+', '-']) {
        stamp.offset = Some(stamp::whole_offset(name)?);
    } else if matches!(name, "Z" | "z") {
        stamp.offset = Some(0);
    } else if !name.is_empty() {
        stamp.zone = Some(name);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::Zone;

    fn told(written: Written<'_>) -> String {
        let received = Timestamp::parse_rfc3339("2026-08-06T12:00:00Z").expect("a time");
        let utc = Zone::default();
        match read(written, received, Assumed { zone: &utc, by_rule: false }) {
            Some((at, note)) => format!("{at} {}", note.as_deref().unwrap_or("")),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn times_of_fields_are_read() {
        let check = |text: &str, expected: &str| assert_eq!(told(text.into()), expected, "{text}");
        check("1545937675", "2018-12-27T19:07:55.000000Z ");
        check("1557513467369", "2019-05-10T18:37:47.369000Z ");
        check("1557513467369913239", "2019-05-10T18:37:47.369913Z ");
        check("1515988859.626061236", "2018-01-15T04:00:59.626061Z ");
        check("12345", "none");
        check("2021/10/25 20:25:39", "2021-10-25T20:25:39.000000Z zone assumed");
        check("2023-10-25T20:25:39.421+01:00", "2023-10-25T19:25:39.421000Z ");
        check("Mar 01 2021 21:20:13", "2021-03-01T21:20:13.000000Z zone assumed");
        check("May 06 2019 11:13:53 GMT", "2019-05-06T11:13:53.000000Z ");
        check("2014-01-10 12:11:10 UTC", "2014-01-10T12:11:10.000000Z ");
        check("2024-05-02T11:03:12+0200", "2024-05-02T09:03:12.000000Z ");
        check("Jul 25 11:47:52", "2026-07-25T11:47:52.000000Z year guessed, zone assumed");
        check("soon", "none");
        check("", "none");
    }

    #[test]
    fn zones_of_their_own_and_patterns() {
        let zoned = |text, zone| told(Written { text, zone: Some(zone), pattern: None });
        assert_eq!(zoned("2018-12-27T11:07:55", "+0200"), "2018-12-27T09:07:55.000000Z ");
        assert_eq!(zoned("Mar 01 2021 21:20:13", "UTC"), "2021-03-01T21:20:13.000000Z ");
        let check = |text, pattern, expected: &str| {
            let got = told(Written { text, zone: None, pattern: Some(pattern) });
            assert_eq!(got, expected, "{text} by {pattern}");
        };
        check("27/12/2018 11:07", "dd/MM/yyyy HH:mm", "2018-12-27T11:07:00.000000Z zone assumed");
        let iso = "yyyy-MM-dd'T'HH:mm:ss.SSSZ";
        check("2018-12-27T11:07:55.120+0100", iso, "2018-12-27T10:07:55.120000Z ");
        let named = "MMM dd yyyy hh:mm:ss a z";
        check("Dec 27 2018 01:07:55 PM CET", named, "2018-12-27T12:07:55.000000Z ");
        check("12:00", "HH:mm", "none");
        // A pattern that does not fit, as documents have them: the text is read without it.
        check(
            "2020-10-13T03:31:40.000000Z",
            "YYYY-MM-DDTHH:MM:SSZ",
            "2020-10-13T03:31:40.000000Z ",
        );
    }
}
