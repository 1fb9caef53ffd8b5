//! Years, zones and summer time as tables.

use super::*;
use crate::syslog::stamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

fn check(written: &str, received: &str, zone: &Zone, expected: &str, note: &str) {
    let (stamp, len) = stamp::read(written).expect("a stamp");
    assert_eq!(len, written.len(), "{written}");
    let (got, how) = resolve(&stamp, Sync::Plain, at(received), Assumed { zone, by_rule: false });
    assert_eq!(got, Some(at(expected)), "{written} received {received}");
    assert_eq!(how.as_deref().unwrap_or_default(), note, "{written} received {received}");
}

#[test]
fn the_year_is_the_one_nearest_to_the_receive_time() {
    let utc = Zone::default();
    let check = |written: &str, received: &str, expected: &str| {
        check(written, received, &utc, expected, "year guessed, zone assumed");
    };
    check("Dec 31 23:59:59", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z");
    check("Jan  1 00:00:05", "2026-12-31T23:59:59Z", "2027-01-01T00:00:05Z");
    check("Jun  3 00:00:00", "2026-06-01T12:00:00Z", "2026-06-03T00:00:00Z");
    check("Jun  4 00:00:00", "2026-06-01T12:00:00Z", "2025-06-04T00:00:00Z");
    check("Jun  1 11:59:59", "2026-06-01T12:00:00Z", "2026-06-01T11:59:59Z");
    check("Feb 29 10:00:00", "2026-06-01T12:00:00Z", "2024-02-29T10:00:00Z");
    check("Feb 29 10:00:00", "2028-02-28T12:00:00Z", "2028-02-29T10:00:00Z");
    check("Feb 29 10:00:00", "2103-06-01T12:00:00Z", "2096-02-29T10:00:00Z");
}

#[test]
fn zones_are_written_named_or_assumed() {
    let received = "2026-08-06T12:00:00Z";
    let plus2 = Zone::Fixed(7200);
    check("2026-08-06 10:00:00", received, &plus2, "2026-08-06T08:00:00Z", "zone assumed");
    check("2026-08-06T10:00:00Z", received, &plus2, "2026-08-06T10:00:00Z", "");
    check("2026-08-06T10:00:00+05:30", received, &plus2, "2026-08-06T04:30:00Z", "");
    check("Aug 6 2026 10:00:00 CEST", received, &Zone::default(), "2026-08-06T08:00:00Z", "");
    check("Aug 6 2026 10:00:00 TZ-6", received, &Zone::default(), "2026-08-06T16:00:00Z", "");
    let settled = "zone by receive time";
    check("Aug 6 2026 20:00:00 CST", received, &Zone::default(), "2026-08-06T12:00:00Z", settled);
    check("Aug 6 2026 06:00:00 CST", received, &Zone::default(), "2026-08-06T12:00:00Z", settled);
    let ambiguous = "zone name ambiguous";
    check("Aug 6 2026 05:00:00 CST", received, &Zone::default(), "2026-08-06T11:00:00Z", ambiguous);
    check("Aug 6 2026 17:29:00 IST", received, &Zone::default(), "2026-08-06T11:59:00Z", settled);
    check("Aug 6 2026 12:59:00 IST", received, &Zone::default(), "2026-08-06T11:59:00Z", settled);
}

#[test]
fn a_rule_of_the_source_is_no_guess() {
    let (stamp, _) = stamp::read("2026-08-06 10:00:00").expect("a stamp");
    let zone = Zone::Fixed(7200);
    let (got, how) = resolve(
        &stamp,
        Sync::Lost,
        at("2026-08-06T12:00:00Z"),
        Assumed { zone: &zone, by_rule: true },
    );
    assert_eq!(got, Some(at("2026-08-06T08:00:00Z")));
    assert_eq!(how.as_deref(), Some("zone by rule, clock not synchronised"));
}

#[test]
fn offsets_are_read() {
    let check = |text: &str, expected: Option<i32>| {
        let got = Zone::parse_offset(text).map(|zone| match zone {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(_) => panic!("{text} has a name"),
        });
        assert_eq!(got, expected, "{text}");
    };
    check("+02:00", Some(7200));
    check("-0330", Some(-12_600));
    check("+05", Some(18_000));
    check("UTC", Some(0));
    check("Z", Some(0));
    check("+2", None);
    check("02:00", None);
    check("+99:00", None);
    check("+02:00x", None);
    check("Europe/Berlin", None);
}

#[test]
fn summer_time_of_a_named_zone() {
    // Rules written out: no host's zone files are read.
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let zone = Zone::from(berlin);
    let assumed = "zone assumed";
    check("2026-08-06 10:00:00", "2026-08-06T12:00:00Z", &zone, "2026-08-06T08:00:00Z", assumed);
    check("2026-01-06 10:00:00", "2026-08-06T12:00:00Z", &zone, "2026-01-06T09:00:00Z", assumed);
    let gap = "zone assumed, in a summer time gap";
    check("2026-03-29 02:30:00", "2026-03-29T01:31:00Z", &zone, "2026-03-29T01:30:00Z", gap);
    let fold = "zone assumed, in a summer time fold";
    check("2026-10-25 02:30:00", "2026-10-25T00:31:00Z", &zone, "2026-10-25T00:30:00Z", fold);
    check("2026-10-25 02:30:00", "2026-10-25T01:31:00Z", &zone, "2026-10-25T01:30:00Z", fold);
    assert!(matches!(Zone::from(TimeZone::UTC), Zone::Fixed(0)));
    let china = TimeZone::posix("CST-8").map(Zone::Named).expect("a zone");
    check("Aug 6 2026 20:00:00 CST", "2026-09-06T12:00:00Z", &china, "2026-08-06T12:00:00Z", "");
}

#[test]
fn days_agree_with_the_calendar() {
    let (mut year, mut month, mut day) = (1999i64, 1u8, 1u8);
    let mut number = days(year, month, day).expect("a day");
    assert_eq!(days(1970, 1, 1), Some(0));
    while year < 2105 {
        assert_eq!(year_of(Timestamp::from_secs(number * 86_400 + 86_399)), year);
        let civil = civil::date(year as i16, month as i8, day as i8);
        let next = civil.tomorrow().expect("a day");
        (year, month, day) = (next.year().into(), next.month() as u8, next.day() as u8);
        number += 1;
        assert_eq!(days(year, month, day), Some(number));
    }
    assert_eq!(days(2026, 2, 29), None);
    assert_eq!(days(2100, 2, 29), None);
    assert_eq!(days(2026, 0, 1), None);
    assert_eq!(days(2026, 13, 1), None);
}

#[test]
fn what_is_usual_is_worked_out_alike() {
    let named = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").map(Zone::Named).expect("a zone");
    let zones = [Zone::Fixed(0), Zone::Fixed(-39_600), named];
    let received = ["1970-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2024-02-29T12:00:00Z"];
    let received = received
        .map(at)
        .into_iter()
        .chain([at("2026-12-31T23:59:59Z"), at("2100-03-01T00:00:00Z")]);
    for received in received {
        for day in 0..800 {
            let (month, day) = (day / 62 + 1, (day % 62) as u8);
            let (hour, day) = if day > 31 { (23, day - 31) } else { (0, day) };
            for (year, offset, name) in [
                (None, None, None),
                (None, Some(7200), None),
                (None, None, Some("UTC")),
                (None, None, Some("CET")),
                (Some(2026), None, None),
                (Some(2024), Some(-3600), Some("UTC")),
            ] {
                let stamp = Stamp {
                    year,
                    month: month as u8,
                    day,
                    hour,
                    offset,
                    zone: name,
                    ..Stamp::default()
                };
                for (zone, by_rule) in zones.iter().flat_map(|zone| [(zone, false), (zone, true)]) {
                    for sync in [Sync::Plain, Sync::Lost] {
                        let zone = Assumed { zone, by_rule };
                        assert_eq!(
                            resolve(&stamp, sync, received, zone),
                            work_out(&stamp, sync, received, zone),
                            "{stamp:?} {received}"
                        );
                    }
                }
            }
        }
    }
}
