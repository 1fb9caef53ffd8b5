//! The readers of usual headers give what the readers of their parts give: over every line of testdata
//! and of the corpora, each cut anywhere and changed in many ways.

use std::path::Path;

use super::*;

/// Changes of a line that are tried.
const CHANGES: usize = 150;

/// Both ways give one event.
pub(super) fn check(raw: &[u8]) {
    let Some(text) = text::plain(without_end(raw)) else { return };
    let eastern = Options { zone: Zone::Fixed(7200), zones: Vec::new() };
    for options in [Options::default(), eastern] {
        let (usual, parts) =
            (decode(frame(raw), &options), decode_by_parts(frame(raw), text, &options));
        assert_eq!(usual, parts, "{text}");
    }
}

/// What is put into a line: marks that headers are made of, and words that begin something.
const INSERTS: &[&str] = &[
    " ",
    "  ",
    ":",
    ": ",
    ",",
    "[",
    "]",
    "]:",
    "<",
    ">",
    "%",
    "-",
    "=",
    "|",
    "/",
    "*",
    ".",
    "\"",
    "\t",
    "0",
    "7",
    "a",
    "A",
    "\u{fc}",
    "\u{feff}",
    "1 ",
    "45: ",
    "Aug  6 10:00:00 ",
    "2026-08-06T10:00:00Z ",
    "UTC",
    "su: ",
    "named: ",
    "notice ",
    "Message forwarded from ",
    "CEF:0|",
    "%ASA-6-302013: ",
    "%LINK-3-UPDOWN: ",
    "RP/0/RSP0/CPU0:",
    "08/06/2026:10:00:00 GMT ",
    "00076 ports: ",
    "802aa8000001,",
    "Interface Gi0/1",
    "<13>",
    "x=y",
    "#ILO 4: ",
    "BOM",
    "[junos@2636.1.1.1.2.29 ifname=\"ge-0/0/1\" a=\"b\"] ",
    "[F5@12276 action=\"Drop\"] ",
    "[a@1 b=\"c\"] ",
    " msg_id=\"3000-0148\"",
    "LEEF:2.0|",
    ", ",
    " out:",
    "Event|401|LOG_INFO|AMM|1/1|",
    "bgp|1894|W: ",
    "17 Base ",
    "info hostd[7] ",
    "[Originator@6876 sub=a] ",
    "LEEF:1.0|",
    "msg_id=\"",
];

/// Structured data of vendors, with a text behind them and without.
const DATA: &[&str] = &[
    "<28>1 2026-08-06T10:00:00.123+02:00 r1 mib2d 24 SNMP_TRAP_LINK_DOWN [junos@2636.1.1.1.2.29 admin-status=\"up(1)\" interface-name=\"ge-0/0/12\"]",
    "<14>1 2026-08-06T10:00:00.123Z fw1 RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.26 source-address=\"192.0.2.1\" reason=\"a: b, c\"] session created",
    "<14>1 2026-08-06T10:00:00Z r1 rpd 9 - [junos@2636.1.1.1.2.26 peer-name=\"192.0.2.1 (Internal AS 1)\"]",
    "<134>1 2026-08-06T10:00:00.969759-07:00 bigip1 tmm 16694 23003139 [F5@12276 action=\"Drop\" hostname=\"b1\"] DNS attack",
    "<134>1 2026-08-06T10:00:00.969759-07:00 bigip1 tmm 16694 01490248:5: [F5@12276 action=\"true\"] Interface 1.1 up",
    "<165>1 2026-08-06T10:00:00.003+02:00 web1 evntslog 8710 ID47 [exampleSDID@32473 iut=\"3\" eventID=\"1011\"] An entry",
    "<165>1 2026-08-06T10:00:00.003+02:00 web1 bgpd 8710 ID47 [a b=\"c\"][d e=\"f\"] neighbor 192.0.2.1 down",
    "<166>1 2026-08-06T10:00:00Z esx1 Hostd 9 - [Originator@6876 sub=\"Vim\" opID=\"5e\"] Event 616 : user",
    "<13>1 2026-08-06T10:00:00Z gw CheckPoint 9 - [sk@2620 flags=\"1\" rule=\"2\"]",
];

fn check_changes(line: &str, seed: &mut u64) {
    check(line.as_bytes());
    let mut random = |below: usize| {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize % below.max(1)
    };
    for end in (0..line.len().min(160)).filter(|end| line.is_char_boundary(*end)) {
        check(&line.as_bytes()[..end]);
    }
    for _ in 0..CHANGES {
        let mut changed = line.to_owned();
        for _ in 0..=random(3) {
            // Most of what decides stands in front.
            let front = changed.len().min(if random(4) == 0 { usize::MAX } else { 90 });
            let from = changed.floor_char_boundary(random(front + 1));
            let to = changed.floor_char_boundary(from + random(4).min(changed.len() - from));
            let insert = if random(3) == 0 { "" } else { INSERTS[random(INSERTS.len())] };
            changed.replace_range(from..to.max(from), insert);
        }
        check(changed.as_bytes());
    }
}

#[test]
fn usual_headers_are_read_as_their_parts_are() {
    let mut seed = 4711;
    let texts = [
        include_str!("../../../testdata/syslog/rfc5424.txt"),
        include_str!("../../../testdata/syslog/rfc3164.txt"),
        include_str!("../../../testdata/syslog/cisco.txt"),
        include_str!("../../../testdata/syslog/vendors.txt"),
    ];
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("    "))
    {
        check_changes(line, &mut seed);
    }
    for line in DATA {
        check_changes(line, &mut seed);
    }
    for (_, case) in vendors::cases() {
        check_changes(case["raw"].as_str().expect("raw"), &mut seed);
    }
}

/// Behind usual headers, or none, what is read by its first words alone.
#[test]
fn first_words_are_read_as_parts_are() {
    const LINES: &[&str] = &[
        "something that is no message at all, of the usual length of a line",
        "link 3/1 of the switch is down",
        "<166>2026-08-06T10:00:00.123Z esx1 Hostd: info hostd[2099457] [Originator@6876 sub=Vimsvc.ha opID=58b4 user=vpxuser] Event 616 : User x logged in",
        "<166>Aug  6 10:00:00 esx1 vobd: warning hostd[7] [vob.net.vmnic.linkstate.down] vmnic vmnic1 linkstate down",
        "<30>Aug  6 10:00:00 lobby-ap 802aa8000001,UAP-AC-Lite-6.8.2+15592: mcad: mcad[1837]: wireless_agg_stats: bssid=00:00:5e:00:53:ad",
        "<30>Aug  6 10:00:00 lobby-ap BZ2,80:2a:a8:00:00:01,v6.6.55: switch: TRAPMGR: Link Up: 0/9",
        "<30>Aug  6 10:00:00 lobby-ap (\"U7LT,802aa8000001,v3.7.17.5220\") hostapd: ath0: STA associated",
        "<190>2026-08-06T10:00:00.861162+00:00 cx1 ops-switchd[1489]: Event|8120|LOG_INFO|AMM|1/1|Tunnel 192.0.2.9 of port 1/1/3 is up",
        "<188>Jan  2 18:43:23 192.0.2.108 TMNX: 17 Base SYSTEM-WARNING-tmnxStateChange-2009 [CHASSIS]:  Status of Card 1 changed, state: inService",
        "<180>Jan 11 18:39:00 srl-1 sr_bgp_mgr: bgp|1894|1965|00071|W: In network-instance default, the session: Peer 192.0.2.5 moved to lower state",
    ];
    let mut seed = 42;
    for line in LINES {
        for _ in 0..5 {
            check_changes(line, &mut seed);
        }
    }
}

#[test]
fn usual_headers_of_the_corpora_are_read_as_their_parts_are() {
    fn files(folder: &Path, take: &mut impl FnMut(&str)) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension().and_then(|end| end.to_str()) {
                _ if path.is_dir() => files(&path, take),
                Some("json" | "pcap" | "pcapng" | "md") => {}
                _ => take(&std::fs::read_to_string(&path).unwrap_or_default()),
            }
        }
    }
    let Some(folder) = corpora::corpora() else { return };
    let (mut lines, mut usual) = (0usize, 0usize);
    files(&folder, &mut |text| {
        for line in text.lines().take(20_000) {
            check(line.as_bytes());
            lines += 1;
            usual += usize::from(line.starts_with('<'));
        }
    });
    println!("{lines} lines, {usual} with a priority");
}
