//! From a civil stamp to a moment: the year that is missing, the zone that is missing or named, gaps
//! and folds of summer time. Nothing asks a clock: the receive time is the reference.

use std::borrow::Cow;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use mutt_model::Timestamp;

use super::stamp::Stamp;
use crate::text::Words;

/// How far ahead of the receive time a stamp without a year may lie before it is taken for last
/// year's: two days cover a wrong zone and a clock that is a little fast.
pub const FUTURE_SKEW_SECONDS: i64 = 2 * 24 * 3600;

/// An ambiguous zone name is settled when one of its meanings lies this near to the receive time, and
/// no other does.
const SETTLED_SECONDS: u64 = 15 * 60;

/// The zone in which stamps without one are read.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    /// A zone with summer time; its rules were loaded by the caller.
    Named(TimeZone),
}

impl Zone {
    /// Reads an offset from UTC: `+02:00`, `-0330`, `+02`, `Z`, `UTC`; `None` for anything else, which
    /// may be the name of a zone whose rules the caller can load.
    #[must_use]
    pub fn parse_offset(text: &str) -> Option<Self> {
        match text.trim() {
            "Z" | "UTC" | "utc" => Some(Self::Fixed(0)),
            text => super::stamp::whole_offset(text).map(Self::Fixed),
        }
    }
}

/// The zone for stamps that carry none.
#[derive(Clone, Copy)]
pub(crate) struct Assumed<'z> {
    pub(crate) zone: &'z Zone,
    /// A rule says so for this source.
    pub(crate) by_rule: bool,
}

impl Default for Zone {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        match zone.to_fixed_offset() {
            Ok(offset) => Self::Fixed(offset.seconds()),
            Err(_) => Self::Named(zone),
        }
    }
}

/// The sync mark that Cisco puts before a stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sync {
    #[default]
    Plain,
    /// `*`: the clock was never set, or not by NTP; `.`: NTP was lost.
    Lost,
}

/// Zone names that devices write, with the offsets in minutes that each may mean.
const ZONES: [(&str, &[i16]); 52] = [
    ("UTC", &[0]),
    ("GMT", &[0]),
    ("Z", &[0]),
    ("CET", &[60]),
    ("CEST", &[120]),
    ("MET", &[60]),
    ("MEST", &[120]),
    ("MEZ", &[60]),
    ("MESZ", &[120]),
    ("WET", &[0]),
    ("WEST", &[60]),
    ("EET", &[120]),
    ("EEST", &[180]),
    ("MSK", &[180]),
    ("BST", &[60, 360]),
    ("IST", &[330, 60, 120]),
    ("IDT", &[180]),
    ("EST", &[-300, 600]),
    ("EDT", &[-240, 660]),
    ("CST", &[-360, 480, -300]),
    ("CDT", &[-300]),
    ("MST", &[-420]),
    ("MDT", &[-360]),
    ("PST", &[-480, 480]),
    ("PDT", &[-420]),
    ("AKST", &[-540]),
    ("AKDT", &[-480]),
    ("HST", &[-600]),
    ("AST", &[-240, 180]),
    ("ADT", &[-180]),
    ("NST", &[-210]),
    ("NDT", &[-150]),
    ("BRT", &[-180]),
    ("ART", &[-180]),
    ("JST", &[540]),
    ("KST", &[540]),
    ("HKT", &[480]),
    ("SGT", &[480]),
    ("PKT", &[300]),
    ("AEST", &[600]),
    ("AEDT", &[660]),
    ("AWST", &[480]),
    ("ACST", &[570]),
    ("ACDT", &[630]),
    ("WIB", &[420]),
    ("ICT", &[420]),
    ("PHT", &[480]),
    ("SAST", &[120]),
    ("CLST", &[-180]),
    ("MSD", &[240]),
    ("NZST", &[720]),
    ("NZDT", &[780]),
];

static NAMES: Words<{ ZONES.len() }> = {
    let mut names = [""; ZONES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = ZONES[at].0;
        at += 1;
    }
    Words::new(names)
};

fn meanings(name: &str) -> Option<&'static [i16]> {
    NAMES.position(name).map(|at| ZONES[at].1)
}

/// Hours east of UTC as RFC 3164 writes them: `TZ-6`.
fn posix_like(name: &str) -> Option<i32> {
    let hours: i32 = name.strip_prefix("TZ")?.parse().ok()?;
    (-14..=14).contains(&hours).then_some(hours * 3600)
}

/// True for a word that can only be a zone: `CEST`, `TZ-6`, `DST`.
pub(crate) fn is_known(name: &str) -> bool {
    name == "DST" || meanings(name).is_some() || posix_like(name).is_some()
}

/// Days since 1970-01-01 of a civil date; `None` when there is no such day.
#[inline]
fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    /// Days of a common year before the month.
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let of_month = usize::from(month.checked_sub(1)?);
    let length = *LENGTHS.get(of_month)?;
    let leap = year & 3 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day == 0 || day > length || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let of_year = i64::from(BEFORE[of_month]) + i64::from(leap && month > 2) + i64::from(day) - 1;
    let whole = year - 1;
    // Each fourth year before this one, but for the centuries that are none; 477 of them before 1970.
    let leaps = if PLAIN_YEARS.contains(&year) {
        (whole >> 2) - 15
    } else {
        whole.div_euclid(4) - whole.div_euclid(100) + whole.div_euclid(400)
    };
    Some((year - 1970) * 365 + leaps - 477 + of_year)
}

/// Years between two centuries that are no leap years: each fourth is one.
const PLAIN_YEARS: std::ops::RangeInclusive<i64> = 1970..=2099;

/// The civil year of a moment in UTC.
#[inline]
fn year_of(at: Timestamp) -> i64 {
    let day = at.secs().div_euclid(86_400);
    if (0..47_482).contains(&day) {
        return (day * 4 + 2) / 1461 + PLAIN_YEARS.start();
    }
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    of_era + era * 400 + i64::from(of_year >= 306)
}

/// The moment that a stamp means, and how it was worked out where that was not plain.
#[inline]
pub(crate) fn resolve(
    stamp: &Stamp<'_>,
    sync: Sync,
    received_at: Timestamp,
    zone: Assumed<'_>,
) -> (Option<Timestamp>, Option<Cow<'static, str>>) {
    match usual(stamp, sync, received_at, zone) {
        Some((at, note)) => (Some(at), note.map(Cow::Borrowed)),
        None => work_out(stamp, sync, received_at, zone),
    }
}

/// The moment of a stamp whose offset is known and whose note is a common one.
#[inline]
fn usual(
    stamp: &Stamp<'_>,
    sync: Sync,
    received_at: Timestamp,
    zone: Assumed<'_>,
) -> Option<(Timestamp, Option<&'static str>)> {
    let (offset, assumed) = match (stamp.offset, stamp.zone, zone.zone) {
        (Some(offset), ..) => (offset, false),
        (None, None, Zone::Fixed(offset)) if !zone.by_rule => (*offset, true),
        (None, Some("UTC"), Zone::Fixed(_)) => (0, false),
        _ => return None,
    };
    let note = match common_note(sync, stamp.year.is_none(), assumed) {
        note if !stamp.cut => note,
        None => Some("fraction cut"),
        Some(_) => return None,
    };
    let shift = i64::from(offset) * 1_000_000;
    if let Some(year) = stamp.year {
        return Some((Timestamp::from_micros(local_micros(stamp, i64::from(year))? - shift), note));
    }
    let latest = received_at.micros().saturating_add(FUTURE_SKEW_SECONDS * 1_000_000);
    // Only a day of January is so near to the year before that it may be next year's.
    let year = year_of(received_at) + i64::from(stamp.month == 1);
    let at = local_micros(stamp, year)? - shift;
    let at = if at <= latest { at } else { local_micros(stamp, year - 1)? - shift };
    (at <= latest).then_some((Timestamp::from_micros(at), note))
}

fn work_out(
    stamp: &Stamp<'_>,
    sync: Sync,
    received_at: Timestamp,
    zone: Assumed<'_>,
) -> (Option<Timestamp>, Option<Cow<'static, str>>) {
    let mut how = How { sync, cut: stamp.cut, ..How::default() };
    let at = match stamp.year {
        Some(year) => place(stamp, i64::from(year), received_at, zone, &mut how),
        None => guess_year(stamp, received_at, zone, &mut how),
    };
    if at.is_none() {
        return (None, Some(Cow::Borrowed("no such day")));
    }
    (at, how.note())
}

/// The latest year in which the stamp is a day that exists and is not too far ahead: eight years
/// back reach the leap year before last, whatever century it is.
fn guess_year(
    stamp: &Stamp<'_>,
    received_at: Timestamp,
    zone: Assumed<'_>,
    how: &mut How,
) -> Option<Timestamp> {
    let latest = received_at.micros().saturating_add(FUTURE_SKEW_SECONDS * 1_000_000);
    let this_year = year_of(received_at);
    how.year = true;
    // Only a day of January is so near to the year before that it may be next year's.
    let next = i64::from(stamp.month == 1);
    (0..=9).find_map(|back| {
        place(stamp, this_year + next - back, received_at, zone, how)
            .filter(|at| at.micros() <= latest)
    })
}

/// What the stamp reads in this year, counted as if its clock ran in UTC.
#[inline]
fn local_micros(stamp: &Stamp<'_>, year: i64) -> Option<i64> {
    let day = days(year, stamp.month, stamp.day)?;
    let clock =
        i64::from(stamp.hour) * 3600 + i64::from(stamp.minute) * 60 + i64::from(stamp.second);
    Some((day * 86_400 + clock) * 1_000_000 + i64::from(stamp.micros))
}

/// The stamp in this year; `None` when there is no such day.
fn place(
    stamp: &Stamp<'_>,
    year: i64,
    received_at: Timestamp,
    zone: Assumed<'_>,
    how: &mut How,
) -> Option<Timestamp> {
    let local = local_micros(stamp, year)?;
    let shifted = |seconds: i32| Timestamp::from_micros(local - i64::from(seconds) * 1_000_000);
    if let Some(offset) = stamp.offset {
        return Some(shifted(offset));
    }
    if let Some(name) = stamp.zone {
        if let Some(offset) = posix_like(name) {
            return Some(shifted(offset));
        }
        if let Some(offset) = own_zone_named(name, shifted(0), zone.zone) {
            return Some(shifted(offset));
        }
        if let Some(offsets) = meanings(name) {
            let candidates = offsets.iter().map(|&minutes| shifted(i32::from(minutes) * 60));
            let best = candidates.min_by_key(|at| distance(*at, received_at))?;
            if offsets.len() > 1 {
                // Meanings lie half an hour apart or more: only one can be as near as this.
                how.settled = distance(best, received_at) <= SETTLED_SECONDS * 1_000_000;
                how.ambiguous = !how.settled;
            }
            return Some(best);
        }
        how.unknown_zone = true;
    }
    how.zone = !zone.by_rule;
    how.rule = zone.by_rule;
    match zone.zone {
        Zone::Fixed(offset) => Some(shifted(*offset)),
        Zone::Named(zone) => in_named(stamp, year, zone, local, received_at, how),
    }
}

fn distance(a: Timestamp, b: Timestamp) -> u64 {
    a.micros().abs_diff(b.micros())
}

/// The offset of the configured zone when it is the one that the stamp names: that settles `CST`.
fn own_zone_named(name: &str, near: Timestamp, zone: &Zone) -> Option<i32> {
    let Zone::Named(zone) = zone else { return None };
    let at = jiff::Timestamp::from_microsecond(near.micros()).ok()?;
    let around = [at, at.checked_sub(jiff::SignedDuration::from_hours(24)).ok()?];
    around.into_iter().find_map(|at| {
        let info = zone.to_offset_info(at);
        (info.abbreviation() == name).then(|| info.offset().seconds())
    })
}

fn in_named(
    stamp: &Stamp<'_>,
    year: i64,
    zone: &TimeZone,
    local: i64,
    received_at: Timestamp,
    how: &mut How,
) -> Option<Timestamp> {
    let second = stamp.second.min(59).cast_signed();
    let civil = civil::DateTime::new(
        i16::try_from(year).ok()?,
        stamp.month.cast_signed(),
        stamp.day.cast_signed(),
        stamp.hour.cast_signed(),
        stamp.minute.cast_signed(),
        second,
        0,
    )
    .ok()?;
    let at = |offset: jiff::tz::Offset| {
        Timestamp::from_micros(local - i64::from(offset.seconds()) * 1_000_000)
    };
    Some(match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset),
        AmbiguousOffset::Gap { before, .. } => {
            how.shift = Some("in a summer time gap");
            at(before)
        }
        AmbiguousOffset::Fold { before, after } => {
            how.shift = Some("in a summer time fold");
            let (first, second) = (at(before), at(after));
            if distance(first, received_at) <= distance(second, received_at) {
                first
            } else {
                second
            }
        }
    })
}

/// The notes that cost no allocation.
#[inline]
fn common_note(sync: Sync, year: bool, zone: bool) -> Option<&'static str> {
    match (sync, year, zone) {
        (Sync::Plain, false, false) => None,
        (Sync::Plain, true, false) => Some("year guessed"),
        (Sync::Plain, false, true) => Some("zone assumed"),
        (Sync::Plain, true, true) => Some("year guessed, zone assumed"),
        (Sync::Lost, true, true) => Some("year guessed, zone assumed, clock not synchronised"),
        (Sync::Lost, true, false) => Some("year guessed, clock not synchronised"),
        (Sync::Lost, false, true) => Some("zone assumed, clock not synchronised"),
        (Sync::Lost, false, false) => Some("clock not synchronised"),
    }
}

/// What `time_note` says.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one word of the note")]
struct How {
    year: bool,
    zone: bool,
    rule: bool,
    ambiguous: bool,
    settled: bool,
    unknown_zone: bool,
    cut: bool,
    shift: Option<&'static str>,
    sync: Sync,
}

impl How {
    /// The notes, joined; the common ones cost no allocation.
    fn note(&self) -> Option<Cow<'static, str>> {
        let rare = self.ambiguous || self.settled || self.unknown_zone || self.rule || self.cut;
        let plain = !rare && self.shift.is_none();
        if plain {
            return common_note(self.sync, self.year, self.zone).map(Cow::Borrowed);
        }
        let parts = [
            self.year.then_some("year guessed"),
            self.zone.then_some("zone assumed"),
            self.rule.then_some("zone by rule"),
            self.unknown_zone.then_some("zone name unknown"),
            self.ambiguous.then_some("zone name ambiguous"),
            self.settled.then_some("zone by receive time"),
            self.shift,
            self.cut.then_some("fraction cut"),
            (self.sync == Sync::Lost).then_some("clock not synchronised"),
        ];
        Some(Cow::Owned(parts.into_iter().flatten().collect::<Vec<_>>().join(", ")))
    }
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
