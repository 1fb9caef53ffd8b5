//! Datagrams that others wrote: net-snmp's in `testdata`, and the corpora where they are present.

use base64::Engine as _;

use super::*;

/// A datagram that net-snmp wrote; the command stands above it.
fn fixture(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u32> = lines.flat_map(str::chars).map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn what_net_snmp_writes_is_what_we_write_and_read() {
    let status = ("1.3.6.1.2.1.2.2.1.7.12", Value::Integer(1));
    let mut varbinds = interface_varbinds();
    varbinds.insert(2, status);
    let community = b"fixture-community";

    let raw = fixture(include_str!("../../../testdata/snmp/v2c-link-down.hex"));
    let request_id = i32::from_be_bytes(raw[30..34].try_into().unwrap());
    assert_eq!(encode::trap_v2c(community, request_id, 4_200, LINK_DOWN, &varbinds).unwrap(), raw);
    let v2c = decoded(&raw).event;
    assert_eq!(notes(&v2c), (ParseStatus::Ok, ""));

    let raw = fixture(include_str!("../../../testdata/snmp/v1-link-down.hex"));
    let v1 = decoded(&raw).event;
    assert_eq!((v1.message, v1.host.as_ref()), (v2c.message, "10.0.0.1"));
    assert!(v1.varbinds.unwrap().contains(r#""value":"1.3.6.1.4.1.32473.9"}]"#));

    let raw = fixture(include_str!("../../../testdata/snmp/v1-enterprise.hex"));
    let own = [("1.3.6.1.4.1.32473.1.6", octets("fan failed"))];
    let trap_oid = "1.3.6.1.4.1.32473.9.0.17";
    assert_eq!(encode::trap_v1(community, [0; 4], 4_200, trap_oid, &own).unwrap(), raw);
    let event = decoded(&raw).event;
    assert_eq!((event.trap_oid.as_deref(), event.host.as_ref()), (Some(trap_oid), "192.0.2.7"));
    assert_eq!(event.message, r#"1.3.6.1.4.1.32473.9.0.17 1.3.6.1.4.1.32473.1.6="fan failed""#);

    let raw = fixture(include_str!("../../../testdata/snmp/v2c-inform.hex"));
    let decoded_inform = decoded(&raw);
    let event = decoded_inform.event;
    assert_eq!(event.trap_name.as_deref(), Some("bgpBackwardTransition"));
    assert_eq!(event.resource.as_deref(), Some("198.51.100.9"));
    assert!(
        event
            .message
            .ends_with("bgpPeerLastError.198.51.100.9=0x0400 bgpPeerState.198.51.100.9=idle(1)")
    );
    let reply = decoded_inform.inform.unwrap();
    let differs: Vec<_> = (0..raw.len()).filter(|at| raw[*at] != reply.datagram()[*at]).collect();
    assert_eq!((reply.datagram().len(), differs.len()), (raw.len(), 1));

    let raw = fixture(include_str!("../../../testdata/snmp/v3-no-auth.hex"));
    let event = decoded(&raw).event;
    assert!(
        event.fields.unwrap().contains(
            r#""snmp_security_level":"noAuthNoPriv","snmp_engine_id":"0x8000000001020304""#
        )
    );
}

#[test]
fn every_type_that_net_snmp_writes_is_read() {
    let raw = fixture(include_str!("../../../testdata/snmp/v2c-every-type.hex"));
    let event = decoded(&raw).event;
    assert_eq!(notes(&event), (ParseStatus::Ok, ""));
    let items: Vec<serde_json::Value> =
        serde_json::from_str(event.varbinds.as_deref().unwrap()).unwrap();
    let found: Vec<_> =
        items[2..].iter().map(|v| format!("{} {}", v["type"], v["value"])).collect();
    assert_eq!(
        found,
        [
            r#""INTEGER" -7"#,
            r#""Gauge32" 4294967295"#,
            r#""Counter32" 4000000000"#,
            r#""Counter64" "18446744073709551615""#,
            r#""TimeTicks" 360000"#,
            r#""OCTET STRING" "plain text""#,
            r#""OCTET STRING" "0x00ff10""#,
            r#""OBJECT IDENTIFIER" "1.3.6.1.4.1.32473""#,
            r#""IpAddress" "192.0.2.9""#,
            r#""Opaque Float" 1.5"#,
            r#""Opaque Double" -2.25"#,
            r#""OCTET STRING" "2026-11-23T21:05:09.3+02:00""#,
        ]
    );
}

/// The folder of test data of others, where it is present.
fn corpus(folder: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        println!("skipped: corpora not present");
        return None;
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    Some(files)
}

#[test]
fn the_pdus_of_gosnmp_are_survived_and_their_values_read() {
    let Some(files) = corpus("gosnmp") else { return };
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".b64")) {
        let text: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        let mut raw = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        check_total(&raw);
        // They are SetRequests; as traps their values are read.
        let set = raw.iter().position(|b| *b == 0xa3).unwrap();
        raw[set] = TRAP_V2;
        let event = decoded(&raw).event;
        assert_eq!(notes(&event), (ParseStatus::Partial, "no snmpTrapOID.0"), "{name}");
        let kind = event.varbinds.unwrap().to_lowercase();
        let wanted = [
            "integer",
            "counter32",
            "gauge32",
            "octet string",
            "ipaddress",
            "opaque float",
            "opaque double",
            "timeticks",
            "uinteger32",
            "counter64",
        ];
        let flat = name.to_lowercase().replace("uuinteger", "uinteger");
        let known = wanted
            .iter()
            .filter(|kind| flat.contains(&kind.replace(' ', "")))
            .max_by_key(|kind| kind.len());
        assert!(kind.contains(&format!("\"type\":\"{}\"", known.unwrap())), "{name}: {kind}");
    }
}

#[test]
fn the_v3_traps_of_sharpsnmplib_show_their_user() {
    let Some(files) = corpus("snmp") else { return };
    for (name, raw) in files.iter().filter(|(name, _)| name.contains("v3")) {
        check_total(raw);
        let event = decoded(raw).event;
        assert_eq!(event.parse.format, "snmp-v3", "{name}");
        let fields = event.fields.unwrap();
        let user = if name.contains("Issue") { "test" } else { "lextm" };
        assert!(fields.contains(&format!("\"snmp_user\":\"{user}\"")), "{name}: {fields}");
    }
}

#[test]
fn the_v3_traps_of_sharpsnmplib_are_opened_with_their_passwords() {
    use crate::snmp::usm::{Auth, Engine, Now, Privacy, Refusal, User, Window};
    let Some(files) = corpus("snmp") else { return };
    let with = |auth: Option<&[u8]>, privacy: Option<&[u8]>| {
        let auth = auth.map(|password| (Auth::Md5, password));
        let privacy = privacy.map(|password| (Privacy::Des, password));
        let mut engine = Engine::new(b"\x80\0\0\0\x05ours", 1);
        engine.set_users(&[User::new(b"lextm", None, auth, privacy).unwrap().into()]);
        engine
    };
    let (auth, privacy) = (Some(&b"authentication"[..]), Some(&b"privacyphrase"[..]));
    let check = |name: &str, mut engine: Engine, expected: Option<Refusal>| {
        let (_, raw) = files.iter().find(|(file, _)| file == name).unwrap();
        let opened =
            decode_v3(frame(PEER, raw), Names::builtin(), &mut engine, Now(1), Window::Reject);
        if let Ok(taken) = &opened {
            assert_eq!(taken.event.trap_oid.as_deref(), Some("1.3.6"), "{name}");
            assert_eq!(notes(&taken.event), (ParseStatus::Ok, ""), "{name}");
        }
        assert_eq!(opened.err().map(|refused| refused.why), expected, "{name}");
    };
    check("sharpsnmplib-trapv3", with(None, None), None);
    check("sharpsnmplib-trapv3", with(auth, None), Some(Refusal::Level));
    check("sharpsnmplib-trapv3auth", with(auth, None), None);
    check("sharpsnmplib-trapv3auth", with(privacy, None), Some(Refusal::Digest));
    check("sharpsnmplib-trapv3authpriv", with(auth, privacy), None);
    check("sharpsnmplib-trapv3authpriv", with(auth, auth), Some(Refusal::Decryption));
    check("sharpsnmplib-trapv3authpriv", with(auth, None), Some(Refusal::Level));
    check("sharpsnmplib-v3authNoPriv_BER_Issue", with(auth, None), Some(Refusal::UnknownUser));
}

/// The UDP payloads of a classic pcap file: Ethernet, raw IP or null link layer, IPv4 and IPv6.
fn udp_payloads(file: &[u8]) -> Vec<&[u8]> {
    let Some(magic) = file.get(..4) else { return Vec::new() };
    let big = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
        _ => return Vec::new(),
    };
    let number = |at: usize| -> Option<usize> {
        let four: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize)
    };
    let link = number(20).unwrap_or(0);
    let (mut at, mut payloads) = (24, Vec::new());
    while let Some(length) = number(at + 8) {
        let Some(packet) = file.get(at + 16..(at + 16 + length).min(file.len())) else { break };
        at += 16 + length;
        let skip = match link {
            1 => 14,
            0 | 108 => 4,
            113 => 16,
            _ => 0,
        };
        let Some(ip) = packet.get(skip..) else { continue };
        let udp = match ip.first().map(|b| b >> 4) {
            Some(4) if ip.get(9) == Some(&17) => ip.get(usize::from(ip[0] & 15) * 4..),
            Some(6) if ip.get(6) == Some(&17) => ip.get(40..),
            _ => None,
        };
        payloads.extend(udp.and_then(|udp| udp.get(8..)));
    }
    payloads
}

#[test]
fn the_captures_of_zeek_and_tcpdump_are_survived() {
    let Some(files) = corpus("pcap") else { return };
    let mut seen = 0;
    for (name, file) in files.iter().filter(|(name, _)| name.contains("snmp")) {
        for payload in udp_payloads(file) {
            check_total(payload);
            seen += 1;
            if name.contains("v1_trap") {
                let event = decoded(payload).event;
                assert_eq!(event.parse.status, ParseStatus::Ok, "{}", event.parse.notes);
                assert!(event.trap_oid.is_some());
            }
        }
    }
    assert!(seen > 20, "{seen} payloads");
}
