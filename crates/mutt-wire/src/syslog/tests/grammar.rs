//! Headers put together from their parts, every part with every other: what no table of lines holds.

use super::*;

/// A stamp as written, the moment that it means with the zone behind it, and whether it has a year.
const STAMPS: [(&str, &str); 8] = [
    ("Aug  6 10:00:00", "10:00:00.000000"),
    ("Aug 06 10:00:00.1", "10:00:00.100000"),
    ("Aug  6 10:00:00.123", "10:00:00.123000"),
    ("Aug  6 10:00:00.123456", "10:00:00.123456"),
    ("Aug  6 2026 10:00:00.5", "10:00:00.500000"),
    ("2026 Aug  6 10:00:00.250", "10:00:00.250000"),
    ("2026-08-06T10:00:00.123456789", "10:00:00.123456"),
    ("2026-08-06 10:00:00,12", "10:00:00.120000"),
];

fn check(raw: &str, expected: &[(&str, &str)], wrong: &mut Vec<String>) {
    let event = event(raw.as_bytes());
    for (name, value) in expected {
        let got = field(&event, name);
        if got != *value {
            wrong.push(format!("{raw}\n    {name}: {got}, wanted {value}"));
        }
    }
    assert!(is_sound(&event, raw.as_bytes()), "{event:?}");
}

fn done(count: usize, wrong: &[String]) {
    println!("{count} headers");
    let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {count} wrong, the first are\n{shown}", wrong.len());
}

/// Sequence number, origin, sequence number, clock mark, stamp, zone, colon, mnemonic.
#[test]
fn headers_of_cisco_in_every_combination() {
    let message = "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down";
    let (mut wrong, mut count) = (Vec::new(), 0);
    for relay in ["", "Aug  6 10:00:02 relay1 "] {
        for first in ["", "45: ", ": ", "000046: ", "45: 000046: "] {
            for origin in ["", "r1: ", "r1.example.net: ", "192.0.2.9: ", "2001:db8::9: "] {
                for second in ["", "000047: "] {
                    for mark in ["", "*", "."] {
                        for (stamp, clock) in STAMPS {
                            for (zone, hour) in
                                [("", 0), (" UTC", 0), (" CEST", 2), (" XYT", 0), (" UTC+02:00", 2)]
                            {
                                let raw = format!(
                                    "<187>{relay}{first}{origin}{second}{mark}{stamp}{zone}: {message}"
                                );
                                let hours = 10 - hour;
                                let time = format!("2026-08-06T{hours:02}{}Z", &clock[2..]);
                                let host = match (origin.trim_end_matches([':', ' ']), relay) {
                                    ("", "") => "192.0.2.7",
                                    ("", _) => "relay1",
                                    (origin, _) => origin,
                                };
                                let expected = [
                                    ("host", host),
                                    ("device_time", &*time),
                                    ("severity", "3"),
                                    ("mnemonic", "LINK-3-UPDOWN"),
                                    ("resource", "GigabitEthernet0/1"),
                                    ("app", "-"),
                                    ("message", message),
                                    ("status", "ok"),
                                ];
                                check(&raw, &expected, &mut wrong);
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    done(count, &wrong);
}

/// A space behind the priority, a relay's header, stamp, zone, host, tag.
#[test]
fn headers_of_rfc3164_in_every_combination() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let hosts = [
        "web1",
        "web1.example.net",
        "slot1/web1",
        "192.0.2.9",
        "2001:db8::9",
        "root@web1",
        "re0-web1",
    ];
    let tags = [
        ("sshd[12]:", "sshd", "12"),
        ("sshd:", "sshd", "-"),
        ("sshd(pam_unix)[12]:", "sshd(pam_unix)", "12"),
        ("/usr/sbin/cron[12]:", "/usr/sbin/cron", "12"),
        ("postfix/smtpd[12]:", "postfix/smtpd", "12"),
        ("systemd-logind[12]", "systemd-logind", "12"),
    ];
    for space in ["", " "] {
        for relay in ["", "Aug  6 10:00:02 relay1 ", "2026-08-06T10:00:02Z relay1 <189>"] {
            for (stamp, clock) in STAMPS {
                for (zone, hour) in [("", 0), (" CEST", 2), (" +02:00", 2)] {
                    for host in hosts {
                        for (tag, app, procid) in tags {
                            let raw =
                                format!("<187>{space}{relay}{stamp}{zone} {host} {tag} a: text");
                            let hours = 10 - hour;
                            let time = format!("2026-08-06T{hours:02}{}Z", &clock[2..]);
                            let severity = if relay.ends_with('>') { "5" } else { "3" };
                            let expected = [
                                ("host", host),
                                ("relay", if relay.is_empty() { "192.0.2.7" } else { "relay1" }),
                                ("device_time", &*time),
                                ("severity", severity),
                                ("app", app),
                                ("procid", procid),
                                ("message", "a: text"),
                                ("status", "ok"),
                            ];
                            check(&raw, &expected, &mut wrong);
                            count += 1;
                        }
                    }
                }
            }
        }
    }
    done(count, &wrong);
}

/// Version, stamp, host, the rest nil or not, structured data, text with and without a mark.
#[test]
fn messages_of_rfc5424_in_every_combination() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let stamps = [
        ("2026-08-06T10:00:00Z", "2026-08-06T10:00:00.000000Z"),
        ("2026-08-06T10:00:00.123456+02:00", "2026-08-06T08:00:00.123456Z"),
        ("2026-08-06T10:00:00.123456789-03:30", "2026-08-06T13:30:00.123456Z"),
        ("2026-08-06t10:00:00.1z", "2026-08-06T10:00:00.100000Z"),
        ("-", "-"),
    ];
    let data = [
        ("-", "-"),
        ("[a@1]", r#"{"a@1":{}}"#),
        (r#"[a@1 k="v"][b@2 k="\"\]\\"]"#, r#"{"a@1":{"k":"v"},"b@2":{"k":"\"]\\"}}"#),
    ];
    for relay in ["", "Aug  6 10:00:02 relay1 ", "Aug  6 10:00:02 relay1 <187>"] {
        for (stamp, time) in stamps {
            // A nil stamp is not looked for behind a relay's header.
            if stamp == "-" && !relay.is_empty() {
                continue;
            }
            for host in ["web1", "slot1/web1", "2001:db8::9", "fe80::1%eth0", "root@web1[2]", "-"] {
                for app in ["app", "-"] {
                    for procid in ["12", "-"] {
                        for (written, json) in data {
                            for bom in ["", "\u{feff}"] {
                                let raw = format!(
                                    "<187>{relay}1 {stamp} {host} {app} {procid} ID {written} {bom}a text"
                                );
                                let named = match (host, relay) {
                                    ("-", "") => "192.0.2.7",
                                    ("-", _) => "relay1",
                                    (host, _) => host,
                                };
                                let expected = [
                                    ("host", named),
                                    ("device_time", time),
                                    ("app", app),
                                    ("procid", procid),
                                    ("msgid", "ID"),
                                    ("structured_data", json),
                                    ("message", "a text"),
                                    ("status", "ok"),
                                ];
                                check(&raw, &expected, &mut wrong);
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    done(count, &wrong);
}
