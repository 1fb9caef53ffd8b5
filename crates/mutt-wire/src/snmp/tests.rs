//! Whole datagrams: own packets and damage done to them.

use mutt_model::{Event, Id, ParseStatus, Secret, Timestamp};
use proptest::prelude::*;

use super::encode::{self, Value};
use super::*;

mod captured;

const COMMUNITY: &[u8] = b"s3cret-c0mmunity";
const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";
const PEER: &str = "192.0.2.7:40022";

fn frame<'a>(peer: &'a str, raw: &'a [u8]) -> Frame<'a> {
    Frame { id: Id([1; 16]), received_at: Timestamp(5), listener: "snmp-udp", peer, raw }
}

fn decoded(raw: &[u8]) -> Decoded<'_> {
    decode(frame(PEER, raw), Names::builtin())
}

fn octets(text: &str) -> Value {
    Value::Octets(text.as_bytes().to_vec())
}

fn interface_varbinds() -> Vec<(&'static str, Value)> {
    vec![
        ("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12)),
        ("1.3.6.1.2.1.2.2.1.2.12", octets("GigabitEthernet0/1")),
        ("1.3.6.1.2.1.2.2.1.8.12", Value::Integer(2)),
    ]
}

fn link_down() -> Vec<u8> {
    encode::trap_v2c(COMMUNITY, 77, 4_200, LINK_DOWN, &interface_varbinds()).unwrap()
}

/// Status and notes, without the one that only says that a MIB would help; it is the last.
fn notes<'e>(event: &'e Event<'_>) -> (ParseStatus, &'e str) {
    let notes = event.parse.notes.as_ref();
    let at = notes.find(MIB_MISSING).unwrap_or(notes.len());
    (event.parse.status, notes[..at].trim_end())
}

#[test]
fn a_v2c_link_down_is_named_rendered_and_has_its_interface() {
    let raw = link_down();
    let decoded = decoded(&raw);
    let event = &decoded.event;
    assert_eq!(notes(event), (ParseStatus::Ok, ""));
    assert_eq!(event.parse.format, "snmp-v2c");
    assert_eq!(
        (event.source, event.host.as_ref(), event.relay.as_deref()),
        (Source::Snmp, "192.0.2.7", None)
    );
    assert_eq!(event.trap_oid.as_deref(), Some(LINK_DOWN));
    assert_eq!(event.trap_name.as_deref(), Some("linkDown"));
    assert_eq!(event.severity.map(|s| s.number()), Some(3));
    assert_eq!(event.resource.as_deref(), Some("GigabitEthernet0/1"));
    assert_eq!(
        event.message,
        "linkDown ifIndex.12=12 ifDescr.12=GigabitEthernet0/1 ifOperStatus.12=down(2)"
    );
    assert_eq!(event.device_time, None);
    assert_eq!(
        event.varbinds.as_deref().unwrap(),
        concat!(
            r#"[{"oid":"1.3.6.1.2.1.1.3.0","name":"sysUpTime.0","type":"TimeTicks","value":4200},"#,
            r#"{"oid":"1.3.6.1.6.3.1.1.4.1.0","name":"snmpTrapOID.0","type":"OBJECT IDENTIFIER","value":"1.3.6.1.6.3.1.1.5.3","label":"linkDown"},"#,
            r#"{"oid":"1.3.6.1.2.1.2.2.1.1.12","name":"ifIndex.12","type":"INTEGER","value":12},"#,
            r#"{"oid":"1.3.6.1.2.1.2.2.1.2.12","name":"ifDescr.12","type":"OCTET STRING","value":"GigabitEthernet0/1"},"#,
            r#"{"oid":"1.3.6.1.2.1.2.2.1.8.12","name":"ifOperStatus.12","type":"INTEGER","value":2,"label":"down"}]"#
        )
    );
    assert!(decoded.inform.is_none());
}

#[test]
fn what_no_mib_names_is_kept_in_numbers_and_said() {
    let check = |trap_oid: &str, varbinds: &[(&str, Value)], expected: &str| {
        let raw = encode::trap_v2c(COMMUNITY, 1, 1, trap_oid, varbinds).unwrap();
        let event = decoded(&raw).event;
        assert_eq!((event.parse.status, event.parse.notes.as_ref()), (ParseStatus::Ok, expected));
    };
    let own = || ("1.3.6.1.4.1.32473.1.6.1", octets("x"));
    check(LINK_DOWN, &[], "");
    check(LINK_DOWN, &[own()], "mib missing: 1.3.6.1.4.1.32473.1.6.1");
    check(LINK_DOWN, &[own(), own(), own()], "mib missing: 1.3.6.1.4.1.32473.1.6.1 and 2 more");
    check("1.3.6.1.4.1.32473.0.1", &[], "mib missing: 1.3.6.1.4.1.32473.0.1");
    check("1.3.6.1.4.1.32473.0.1", &[own()], "mib missing: 1.3.6.1.4.1.32473.0.1 and 1 more");
}

#[test]
fn the_community_is_given_to_the_caller_and_nowhere_else() {
    let raw = link_down();
    let decoded = decoded(&raw);
    let community = decoded.community.unwrap();
    let matches = |text: &str| community.matches(&Secret::new(text));
    assert!(matches("s3cret-c0mmunity"));
    assert!(!matches("s3cret-c0mmunitY") && !matches("s3cret") && !matches(""));
    assert_eq!(community.expose(), COMMUNITY);
    let masked = [b'*'; COMMUNITY.len()];
    let expected: Vec<u8> = [&raw[..8], masked.as_slice(), &raw[8 + COMMUNITY.len()..]].concat();
    assert_eq!(decoded.event.raw.as_ref(), expected);
    assert!(!format!("{decoded:?}").contains("s3cret"));
    assert!(decoded.pdu.starts_with(&[TRAP_V2]) && raw.ends_with(decoded.pdu));
}

#[test]
fn a_community_that_a_proxy_passes_on_is_hidden_too() {
    let proxied = [("1.3.6.1.6.3.18.1.4.0", octets("inner-s3cret"))];
    let raw = encode::trap_v2c(COMMUNITY, 1, 1, LINK_DOWN, &proxied).unwrap();
    let decoded = decoded(&raw);
    let raw = String::from_utf8_lossy(&decoded.event.raw).into_owned();
    let all = format!("{:?} {raw}", decoded.event);
    assert!(!all.contains("s3cret"), "{all}");
    assert!(decoded.event.varbinds.as_deref().unwrap().contains(r#""value":"*""#));
}

#[test]
fn v1_traps_are_translated_as_rfc_3584_wants() {
    let check = |trap_oid: &str, expected: &str, name: Option<&str>| {
        let raw = encode::trap_v1(COMMUNITY, [192, 0, 2, 7], 9, trap_oid, &[]).unwrap();
        let event = decoded(&raw).event;
        assert_eq!(notes(&event), (ParseStatus::Ok, ""), "{trap_oid}");
        assert_eq!(event.parse.format, "snmp-v1");
        assert_eq!((event.trap_oid.as_deref(), event.trap_name.as_deref()), (Some(expected), name));
    };
    check("1.3.6.1.6.3.1.1.5.1", "1.3.6.1.6.3.1.1.5.1", Some("coldStart"));
    check(LINK_DOWN, LINK_DOWN, Some("linkDown"));
    check("1.3.6.1.6.3.1.1.5.6", "1.3.6.1.6.3.1.1.5.6", Some("egpNeighborLoss"));
    check("1.3.6.1.4.1.9.9.41.2.0.1", "1.3.6.1.4.1.9.9.41.2.0.1", None);
    check("1.3.6.1.4.1.9.9.41.2.1", "1.3.6.1.4.1.9.9.41.2.0.1", None);
    check("1.3.6.1.2.1.15.7.2", "1.3.6.1.2.1.15.7.0.2", Some("bgpBackwardTransition"));
}

#[test]
fn a_v1_trap_and_the_same_v2c_trap_say_the_same() {
    let v1 = encode::trap_v1(COMMUNITY, [192, 0, 2, 7], 4_200, LINK_DOWN, &interface_varbinds());
    let (v1, v2) = (v1.unwrap(), link_down());
    let (v1, v2) = (decoded(&v1).event, decoded(&v2).event);
    assert_eq!(v1.message, v2.message);
    assert_eq!((v1.resource, v1.severity, v1.host), (v2.resource, v2.severity, v2.host));
    let varbinds = v1.varbinds.unwrap();
    assert!(varbinds.contains(
        r#"{"oid":"1.3.6.1.6.3.18.1.3.0","name":"snmpTrapAddress.0","type":"IpAddress","value":"192.0.2.7"}"#
    ));
    assert!(varbinds.contains(
        r#""name":"snmpTrapEnterprise.0","type":"OBJECT IDENTIFIER","value":"1.3.6.1.6.3.1.1.5""#
    ));
    assert!(!varbinds.contains("snmpTrapCommunity"));
}

#[test]
fn the_agent_address_names_the_device_and_the_sender_the_relay() {
    let check = |agent, peer: &str, host: &str, relay: Option<&str>| {
        let raw = encode::trap_v1(COMMUNITY, agent, 9, LINK_DOWN, &[]).unwrap();
        let event = decode(frame(peer, &raw), Names::builtin()).event;
        assert_eq!(
            (event.host.as_ref(), event.relay.as_deref()),
            (host, relay),
            "{agent:?} {peer}"
        );
    };
    check([0, 0, 0, 0], PEER, "192.0.2.7", None);
    check([192, 0, 2, 7], PEER, "192.0.2.7", None);
    check([10, 0, 0, 1], PEER, "10.0.0.1", Some("192.0.2.7"));
    check([192, 0, 2, 7], "[::ffff:192.0.2.7]:9", "::ffff:192.0.2.7", None);
    check([10, 0, 0, 1], "[2001:db8::1]:9", "10.0.0.1", Some("2001:db8::1"));
}

#[test]
fn the_resource_is_in_the_words_of_syslog() {
    let check = |trap_oid: &str, varbinds: &[(&str, Value)], expected: Option<&str>| {
        let raw = encode::trap_v2c(COMMUNITY, 1, 1, trap_oid, varbinds).unwrap();
        assert_eq!(decoded(&raw).event.resource.as_deref(), expected, "{varbinds:?}");
    };
    let index = ("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12));
    let status = ("1.3.6.1.2.1.2.2.1.8.7", Value::Integer(2));
    let descr = ("1.3.6.1.2.1.2.2.1.2.12", octets("GigabitEthernet0/1"));
    let name = ("1.3.6.1.2.1.31.1.1.1.1.12", octets("Gi0/1"));
    let sentence = ("1.3.6.1.2.1.2.2.1.2.12", octets("1/1/1, 10-Gig Ethernet"));
    check(LINK_DOWN, &[index.clone(), name.clone(), descr.clone()], Some("GigabitEthernet0/1"));
    check(LINK_DOWN, &[index.clone(), name.clone()], Some("GigabitEthernet0/1"));
    check(LINK_DOWN, &[index.clone(), sentence.clone(), name], Some("GigabitEthernet0/1"));
    check(LINK_DOWN, &[sentence], Some("1/1/1, 10-Gig Ethernet"));
    check(LINK_DOWN, &[index], Some("ifIndex.12"));
    check(LINK_DOWN, &[status], Some("ifIndex.7"));
    check(LINK_DOWN, &[], None);
    let state = ("1.3.6.1.2.1.15.3.1.2.198.51.100.9", Value::Integer(1));
    let remote = ("1.3.6.1.2.1.15.3.1.7.198.51.100.9", Value::IpAddress([198, 51, 100, 9]));
    check("1.3.6.1.2.1.15.7.2", std::slice::from_ref(&state), Some("198.51.100.9"));
    check("1.3.6.1.2.1.15.0.2", &[remote, state], Some("198.51.100.9"));
    let router = ("1.3.6.1.2.1.14.10.1.3.10.0.0.2.0", Value::IpAddress([10, 0, 0, 9]));
    let neighbour = ("1.3.6.1.2.1.14.10.1.6.10.0.0.2.0", Value::Integer(8));
    check("1.3.6.1.2.1.14.16.2.2", &[neighbour.clone(), router], Some("10.0.0.9"));
    check("1.3.6.1.2.1.14.16.2.2", &[neighbour], Some("10.0.0.2"));
    check("1.3.6.1.4.1.9.1", &[descr], None);
}

#[test]
fn an_inform_is_owed_a_response_with_its_own_words() {
    let raw = encode::inform_v2c(COMMUNITY, -77, 5, LINK_DOWN, &interface_varbinds()).unwrap();
    let decoded = decoded(&raw);
    assert_eq!(notes(&decoded.event), (ParseStatus::Ok, ""));
    let mut expected = raw.clone();
    let pdu_at = raw.len() - decoded.pdu.len();
    expected[pdu_at] = 0xa2;
    assert_eq!(decoded.inform.as_ref().unwrap().datagram(), expected);
    assert!(!format!("{decoded:?}").contains("s3cret"));
}

#[test]
fn an_inform_with_an_odd_varbind_is_answered_and_one_without_a_pdu_is_not() {
    let mut raw = encode::inform_v2c(COMMUNITY, 1, 5, LINK_DOWN, &interface_varbinds()).unwrap();
    let last = raw.len() - 3;
    raw[last] = 0x7f; // the type of the last value
    let odd = decoded(&raw);
    assert_eq!(odd.event.parse.status, ParseStatus::Partial);
    assert!(odd.inform.unwrap().datagram().ends_with(&raw[raw.len() - 10..]));
    assert!(decoded(&raw[..raw.len() - 1]).inform.is_none());
}

#[test]
fn what_is_no_notification_is_kept_and_flagged() {
    let check = |raw: &[u8], format: &str, note: &str| {
        let decoded = decoded(raw);
        assert_eq!(notes(&decoded.event), (ParseStatus::Failed, note), "{raw:02x?}");
        assert_eq!(decoded.event.parse.format, format);
        assert!(!decoded.event.message.is_empty());
        assert!(decoded.inform.is_none());
    };
    check(b"", "snmp", "message: cut off");
    check(b"GET / HTTP/1.1\r\n\r\n", "snmp", "message: a length runs over the end");
    check(&[0x30, 0x80, 2, 1, 1], "snmp", "message: indefinite length");
    check(&[0x30, 3, 2, 1, 9], "snmp", "there is no SNMP version 9");
    check(&[0x30, 3, 2, 1, 1], "snmp", "community: cut off");
    let get = [0x30, 10, 2, 1, 1, 4, 1, b'x', 0xa0, 2, 5, 0];
    check(&get, "snmp-v2c", "a GetRequest, not a notification");
    let mut short = link_down();
    short.pop();
    check(&short, "snmp", "message: a length runs over the end");
}

#[test]
fn what_is_odd_is_decoded_as_far_as_it_goes() {
    let check = |raw: &[u8], note: &str, message: &str| {
        let event = decoded(raw).event;
        assert_eq!(notes(&event), (ParseStatus::Partial, note));
        assert_eq!(event.message, message);
    };
    let mut trailing = encode::trap_v2c(b"c", 1, 1, LINK_DOWN, &[]).unwrap();
    trailing.extend_from_slice(b"more");
    check(&trailing, "bytes follow the message", "linkDown");
    // A v2c notification without any varbind.
    let none = [0x30, 19, 2, 1, 1, 4, 1, b'x', 0xa7, 11, 2, 1, 1, 2, 1, 0, 2, 1, 0, 0x30, 0];
    check(&none, "no snmpTrapOID.0", "notification");
    let mut list = encode::trap_v2c(b"c", 1, 1, LINK_DOWN, &interface_varbinds()).unwrap();
    let at = list.len() - 17;
    assert_eq!(list[at], 0x30);
    list[at] = 0x31;
    check(
        &list,
        "varbind 5: tag 0x31 where 0x30 must stand",
        "linkDown ifIndex.12=12 ifDescr.12=GigabitEthernet0/1",
    );
    let mut v1 = encode::trap_v1(b"c", [0; 4], 1, LINK_DOWN, &[]).unwrap();
    let generic = v1.windows(3).position(|w| w == [2, 1, 2]).unwrap();
    v1[generic + 2] = 9;
    check(&v1, "there is no generic trap 9", "1.3.6.1.6.3.1.1.5.0.0");
}

#[test]
fn a_list_without_end_is_cut_and_noted() {
    let many = vec![("0.0", Value::Null); VARBINDS_MAX + 50];
    let raw = encode::trap_v2c(COMMUNITY, 1, 1, LINK_DOWN, &many).unwrap();
    let event = decoded(&raw).event;
    assert_eq!(notes(&event), (ParseStatus::Partial, "more than 1024 varbinds"));
    assert_eq!(event.varbinds.unwrap().matches("\"oid\"").count(), VARBINDS_MAX);
}

#[test]
fn v3_is_recognised_and_shows_whom_it_is_from() {
    let usm = [
        &[0x30u8, 21][..],
        &[4, 5, 0x80, 0, 0, 0, 1],
        &[2, 1, 7, 2, 1, 9],
        &[4, 4],
        b"user",
        &[4, 0, 4, 0],
    ]
    .concat();
    let usm = [&[0x30, 23][..], &usm[2..]].concat();
    let global = [0x30, 13, 2, 1, 5, 2, 2, 0x05, 0xdc, 4, 1, 3, 2, 1, 3];
    let mut body = vec![2, 1, 3];
    body.extend_from_slice(&global);
    body.extend_from_slice(&[4, usm.len() as u8]);
    body.extend_from_slice(&usm);
    body.extend_from_slice(&[4, 2, 0xde, 0xad]);
    let raw = [&[0x30, body.len() as u8][..], &body].concat();
    let decoded = decoded(&raw);
    let event = decoded.event;
    assert_eq!(notes(&event), (ParseStatus::Failed, "SNMPv3 is not configured"));
    assert_eq!(event.parse.format, "snmp-v3");
    let fields = event.fields.unwrap();
    assert!(fields.contains(r#""snmp_engine_id":"0x8000000001""#), "{fields}");
    assert!(
        fields.contains(r#""snmp_user":"user""#) && fields.contains(r#""authPriv""#),
        "{fields}"
    );
    assert_eq!(event.raw.as_ref(), raw);
    assert!(decoded.community.is_none() && decoded.inform.is_none());
}

#[test]
fn values_to_send_are_read_by_their_letter() {
    let check = |letter, text: &str, expected: Option<Value>| {
        assert_eq!(Value::parse(letter, text).ok(), expected, "{letter} {text}");
    };
    check('i', "-5", Some(Value::Integer(-5)));
    check('s', "up", Some(octets("up")));
    check('x', "0x00:FF 7", None);
    check('x', "00:ff", Some(Value::Octets(vec![0, 255])));
    check('o', ".1.3.6", Some(Value::Oid("1.3.6".to_owned())));
    check('a', "192.0.2.1", Some(Value::IpAddress([192, 0, 2, 1])));
    check('t', "4294967296", None);
    check('C', "18446744073709551615", Some(Value::Counter64(u64::MAX)));
    check('n', "", Some(Value::Null));
    check('q', "", None);
    for wrong in ["", "1", "1.40", "3.1", "1.3.4294967296", "linkDown"] {
        assert!(encode::trap_v2c(b"c", 1, 1, wrong, &[]).is_err(), "{wrong}");
    }
}

#[test]
fn no_cut_datagram_keeps_its_community() {
    for raw in [link_down(), encode::trap_v1(COMMUNITY, [0; 4], 1, LINK_DOWN, &[]).unwrap()] {
        for length in 0..raw.len() {
            let decoded = decoded(&raw[..length]);
            let kept = String::from_utf8_lossy(&decoded.event.raw).into_owned();
            assert!(!kept.contains("s3c"), "{length}: {kept}");
            assert_eq!(decoded.event.raw.len(), length);
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Octets),
        proptest::collection::vec(any::<u32>(), 0..20).prop_map(|arcs| Value::Oid(format!(
            "2.5{}",
            arcs.iter().map(|a| format!(".{a}")).collect::<String>()
        ))),
        any::<[u8; 4]>().prop_map(Value::IpAddress),
        any::<u32>().prop_map(Value::Counter32),
        any::<u32>().prop_map(Value::TimeTicks),
        any::<u64>().prop_map(Value::Counter64),
        Just(Value::Null),
    ]
}

/// What holds for every datagram.
fn check_total(raw: &[u8]) {
    let decoded = decoded(raw);
    let event = &decoded.event;
    assert_eq!(event.raw.len(), raw.len());
    assert!(!event.host.is_empty() && !event.message.is_empty() && !event.parse.format.is_empty());
    for text in [event.varbinds.as_deref(), event.fields.as_deref(), Some(&event.message)]
        .into_iter()
        .flatten()
    {
        assert!(!text.contains('\0'));
        // A varbind of 8 octets becomes some 100 of JSON; nothing grows beyond a fixed factor.
        assert!(text.len() <= 1_000 + raw.len() * 64, "{} from {}", text.len(), raw.len());
    }
    if let Some(varbinds) = &event.varbinds {
        assert!(serde_json::from_str::<serde_json::Value>(varbinds).is_ok());
    }
    if let Some(reply) = &decoded.inform {
        assert!(reply.datagram().len() <= raw.len() + 16);
    }
}

proptest! {
    #[test]
    fn any_bytes_become_an_event(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_total(&raw);
    }

    #[test]
    fn what_is_sent_is_read_back(
        values in proptest::collection::vec(any_value(), 0..8),
        inform: bool,
        request_id: i32,
    ) {
        let varbinds: Vec<_> = values.into_iter().map(|v| ("1.3.6.1.4.1.32473.1.2", v)).collect();
        let write = if inform { encode::inform_v2c } else { encode::trap_v2c };
        let raw = write(COMMUNITY, request_id, 1, "1.3.6.1.4.1.32473.0.1", &varbinds).unwrap();
        check_total(&raw);
        let decoded = decoded(&raw);
        prop_assert_eq!(notes(&decoded.event), (ParseStatus::Ok, ""));
        prop_assert_eq!(decoded.inform.is_some(), inform);
        let items: Vec<serde_json::Value> =
            serde_json::from_str(decoded.event.varbinds.as_deref().unwrap()).unwrap();
        prop_assert_eq!(items.len(), varbinds.len() + 2);
    }

    #[test]
    fn damage_never_panics(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        v1: bool,
    ) {
        let mut raw = if v1 {
            encode::trap_v1(COMMUNITY, [10, 0, 0, 1], 1, LINK_DOWN, &interface_varbinds()).unwrap()
        } else {
            encode::inform_v2c(COMMUNITY, 9, 1, LINK_DOWN, &interface_varbinds()).unwrap()
        };
        for (at, byte) in &changes {
            let at = at.index(raw.len());
            raw[at] = *byte;
        }
        check_total(&raw);
        raw.truncate(cut.index(raw.len()));
        check_total(&raw);
    }
}

/// OIDs with one arc of instance, with none, with several; with a name and without.
fn shown_oid() -> impl Strategy<Value = String> {
    let head = prop_oneof![
        Just("1.3.6.1.2.1.2.2.1.1"),
        Just("1.3.6.1.2.1.2.2.1.2"),
        Just("1.3.6.1.2.1.2.2.1.8"),
        Just("1.3.6.1.2.1.1.3"),
        Just("1.3.6.1.4.1.32473.1"),
        Just("1.0.8802.1"),
    ];
    let arc = prop_oneof![0u32..1_200, any::<u32>()];
    (head, proptest::collection::vec(arc, 0..4)).prop_map(|(head, arcs)| {
        arcs.iter().fold(head.to_owned(), |oid, arc| format!("{oid}.{arc}"))
    })
}

fn shown_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3i64..9).prop_map(Value::Integer),
        any::<i32>().prop_map(|number| Value::Integer(number.into())),
        any::<u32>().prop_map(Value::Gauge32),
        "[ -~]{0,40}".prop_map(|text| octets(&text)),
        "[a-z ]{200,700}".prop_map(|text| octets(&text)),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Octets),
        shown_oid().prop_map(Value::Oid),
        Just(Value::Oid(LINK_DOWN.to_owned())),
    ]
}

proptest! {
    #[test]
    fn varbinds_put_together_at_once_are_those_put_one_by_one(
        list in proptest::collection::vec((shown_oid(), shown_value()), 0..24),
    ) {
        let list: Vec<(&str, Value)> = list.iter().map(|(o, v)| (o.as_str(), v.clone())).collect();
        let raw = encode::trap_v2c(COMMUNITY, 77, 4_200, LINK_DOWN, &list).unwrap();
        let event = decoded(&raw).event;
        let varbinds = event.varbinds.as_deref().unwrap();
        let mut other = frame(PEER, b"").event(Source::Snmp);
        let read = || varbind::read_json(Names::builtin(), varbinds);
        prop_assert_eq!(read().unwrap().json(), varbinds);
        let message = describe(&mut other, Names::builtin(), Some(LINK_DOWN.to_owned()), read());
        prop_assert_eq!(message, &*event.message);
        prop_assert_eq!(other.resource, event.resource);
    }
}
