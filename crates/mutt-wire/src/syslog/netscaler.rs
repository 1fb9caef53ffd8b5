//! Citrix NetScaler: `08/06/2026:10:00:00 GMT ns1 0-PPE-0 : default TCP CONN_DELINK 1234 0 :  text`.

use std::borrow::Cow;

use mutt_model::{Event, Timestamp};

use super::devices::until;
use super::fields as body;
use super::fields::map::Map;
use super::stamp::Stamp;
use super::zone::{self, Sync};
use super::{Options, format, set_host};

/// True where the date of a NetScaler stands: `MM/DD/YYYY:`, or as the operator set it `DD/MM/YYYY:`
/// or `YYYY/MM/DD:`.
pub(crate) fn begins(text: &str) -> bool {
    let Some(front) = text.as_bytes().get(..11) else { return false };
    let slashes = (front[2] == b'/' && front[5] == b'/') || (front[4] == b'/' && front[7] == b'/');
    slashes && front[10] == b':' && front[0].is_ascii_digit()
}

/// What a frame of NetScaler tells; `None` when it is none after all.
pub(crate) fn read<'a>(
    text: &'a str,
    relay: Option<&'a str>,
    event: &mut Event<'a>,
    options: &Options,
) -> Option<()> {
    let (dates, rest) = stamps(text)?;
    let at = rest.find(" : ")?;
    let (front, message) = (&rest[..at], rest[at + 3..].trim_start_matches(' '));
    let mut words = front.split(' ').filter(|word| !word.is_empty());
    let mut next = words.next();
    let zone = next.filter(|word| zone::is_known(word) || *word == "LOCAL");
    if zone.is_some() {
        next = words.next();
    }
    let (host, engine) = match (next, words.next()) {
        (Some(host), Some(engine)) => (Some(host), engine),
        (Some(engine), None) => (None, engine),
        _ => return None,
    };
    if !engine.contains("PPE") || words.next().is_some() {
        return None;
    }
    match (host, relay) {
        (Some(host), relay) => set_host(event, host, relay),
        (None, Some(relay)) => set_host(event, relay, None),
        (None, None) => {}
    }
    let zone = zone.filter(|word| *word != "LOCAL");
    (event.device_time, event.time_note) = nearest(dates, zone, event, options);
    event.procid = Some(Cow::Borrowed(engine));
    read_event(message, event);
    event.message = Cow::Borrowed(message);
    event.parse.format = Cow::Borrowed(format::NETSCALER);
    Some(())
}

/// `default TCP CONN_DELINK 1234 0 :  text`; older releases have no partition.
fn read_event<'a>(message: &'a str, event: &mut Event<'a>) {
    let front = message.split_once(" :").map_or(message, |(front, _)| front);
    let mut words = front.split(' ').filter(|word| !word.is_empty());
    let (Some(first), Some(second), Some(third)) = (words.next(), words.next(), words.next())
    else {
        return;
    };
    let number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let (partition, feature, name, sequence) = if number(third) {
        ("", first, second, third)
    } else {
        (first, second, third, words.next().filter(|word| number(word)).unwrap_or_default())
    };
    event.app = Some(Cow::Borrowed(feature));
    event.mnemonic = Some(Cow::Borrowed(name));
    let mut map = Map::with_capacity(message, 16);
    map.push("partition", partition);
    map.push("sequence", sequence);
    if let Some((_, text)) = message.split_once(" :") {
        body::netscaler::push(text, &mut map);
    }
    map.finish(event);
    // `Device "server_svc_TCP_192.0.2.1:636" - State DOWN`
    if feature == "EVENT"
        && let Some((_, behind)) = message.split_once(" \"")
        && let Some((device, _)) = until(behind, b'"')
        && !device.is_empty()
    {
        event.resource = Some(Cow::Borrowed(device));
    }
}

/// The readings of the stamp that are dates, and what stands behind it.
fn stamps(text: &str) -> Option<([Option<Stamp<'_>>; 2], &str)> {
    let front = text.as_bytes().get(..19)?;
    let number = |at: usize, len: usize| {
        front[at..at + len]
            .iter()
            .try_fold(0u16, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))
    };
    let year_first = front[4] == b'/';
    let (year, a, b) = if year_first {
        (number(0, 4)?, number(5, 2)?, number(8, 2)?)
    } else {
        (number(6, 4)?, number(0, 2)?, number(3, 2)?)
    };
    let clock = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let shaped = front[10] == b':' && front[13] == b':' && front[16] == b':';
    if !shaped || clock.0 > 23 || clock.1 > 59 || clock.2 > 60 {
        return None;
    }
    let stamp = |month: u16, day: u16| {
        let small = |n: u16| u8::try_from(n).ok();
        let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
        Some(Stamp {
            year: i16::try_from(year).ok(),
            month: small(month)?,
            day: small(day)?,
            hour: small(clock.0)?,
            minute: small(clock.1)?,
            second: small(clock.2)?,
            ..Stamp::default()
        })
        .filter(|_| valid)
    };
    let readings = [stamp(a, b), stamp(b, a).filter(|_| !year_first)];
    (readings[0].is_some() || readings[1].is_some()).then(|| (readings, &text[19..]))
}

/// Month first is the default of the device; the other reading is taken when it is nearer to the
/// receive time.
fn nearest<'a>(
    readings: [Option<Stamp<'a>>; 2],
    zone: Option<&'a str>,
    event: &Event<'_>,
    options: &Options,
) -> (Option<Timestamp>, Option<Cow<'static, str>>) {
    let resolved = readings.into_iter().flatten().map(|stamp| {
        let stamp = Stamp { zone, ..stamp };
        zone::resolve(&stamp, Sync::Plain, event.received_at, options.zone_for(event))
    });
    resolved
        .min_by_key(|(at, _)| {
            at.map_or(u64::MAX, |at| at.micros().abs_diff(event.received_at.micros()))
        })
        .unwrap_or_default()
}

/// The part of a text that a header before it left: its first word may be the host of a relay.
pub(crate) fn behind_word(text: &str) -> Option<(&str, &str)> {
    let (word, behind) = until(text, b' ')?;
    let behind = behind.trim_start_matches(' ');
    begins(behind).then_some((word, behind))
}
