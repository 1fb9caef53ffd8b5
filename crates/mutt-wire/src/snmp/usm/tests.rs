//! Keys against the vectors of the RFCs, and messages from both ends.

use mutt_model::{Id, ParseStatus, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::Frame;
use crate::snmp::encode::{self, Value};
use crate::snmp::names::Names;
use crate::snmp::{Authentic, decode_v3, is_v3};
use std::sync::Arc;

const DEVICE: &[u8] = b"\x80\x00\x7e\xd9\x05device01";
const OURS: &[u8] = b"\x80\x00\x7e\xd9\x05mutt-own";
const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn user(name: &str, auth: Option<Auth>, privacy: Option<Privacy>) -> Arc<User> {
    let auth = auth.map(|auth| (auth, &b"authentic"[..]));
    let privacy = privacy.map(|privacy| (privacy, &b"encrypted"[..]));
    Arc::new(User::new(name.as_bytes(), None, auth, privacy).unwrap())
}

fn engine(users: &[Arc<User>]) -> Engine {
    let mut engine = Engine::new(OURS, 7);
    engine.set_users(users);
    engine
}

fn open<'a>(engine: &mut Engine, raw: &'a [u8], now: u32) -> Result<Authentic<'a>, Refused> {
    open_with(engine, raw, now, Window::Reject)
}

fn open_with<'a>(
    engine: &mut Engine,
    raw: &'a [u8],
    now: u32,
    window: Window,
) -> Result<Authentic<'a>, Refused> {
    let (id, received_at) = (Id([1; 16]), Timestamp(5));
    let frame = Frame { id, received_at, listener: "snmp-udp", peer: "192.0.2.7:40022", raw };
    decode_v3(frame, Names::builtin(), engine, Now(now), window)
}

fn why(engine: &mut Engine, raw: &[u8], now: u32) -> Option<Refusal> {
    open(engine, raw, now).err().map(|refused| refused.why)
}

/// A message as a device writes it.
struct Sent<'a> {
    user: &'a User,
    level: Level,
    engine: &'a [u8],
    time: (u32, u32),
    reportable: bool,
}

impl Sent<'_> {
    fn write(&self, pdu: &[u8]) -> Vec<u8> {
        let keys = Keys::new(self.user, self.engine);
        let out = Outgoing {
            message_id: 4_711,
            reportable: self.reportable,
            engine_id: self.engine,
            time: self.time,
            user: self.user.name(),
            keys: keys.as_ref().map(|keys| (self.user, keys)),
            level: self.level,
            context: (self.engine, b"ctx"),
            salt: 99,
        };
        seal(&out, pdu).unwrap()
    }
}

fn trap_of(user: &User, level: Level, time: (u32, u32)) -> Vec<u8> {
    let pdu = pdu(false);
    Sent { user, level, engine: DEVICE, time, reportable: false }.write(&pdu)
}

fn pdu(inform: bool) -> Vec<u8> {
    let varbinds = [
        ("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12)),
        ("1.3.6.1.2.1.2.2.1.2.12", Value::Octets(b"Gi0/1".to_vec())),
    ];
    encode::pdu(inform, 0x0102_0304, 4_200, LINK_DOWN, &varbinds).unwrap()
}

#[test]
fn passwords_become_the_keys_of_the_rfc() {
    // RFC 3414 section A.3 for MD5 and SHA-1; the others from the definition, by Python's hashlib.
    let at = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let check = |auth: Auth, master: &str, local: &str| {
        let key = MasterKey::new(auth, b"maplesyrup").unwrap();
        assert_eq!(hex(&key.octets), master, "{auth:?}");
        assert_eq!(hex(&key.localised(&at)), local, "{auth:?}");
    };
    check(Auth::Md5, "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b");
    check(
        Auth::Sha1,
        "9fb5cc0381497b3793528939ff788d5d79145211",
        "6695febc9288e36282235fc7151f128497b38f3f",
    );
    check(
        Auth::Sha224,
        "282a5867ee9aac639ad59df9572c7d3ac0fbc13a905b6df07dbbf00b",
        "0bd8827c6e29f8065e08e09237f177e410f69b90e1782be682075674",
    );
    check(
        Auth::Sha256,
        "ab51014d1e077f6017df2b12bee5f5aa72993177e9bb569c4dff5a4ca0b4afac",
        "8982e0e549e866db361a6b625d84cccc11162d453ee8ce3a6445c2d6776f0f8b",
    );
    check(
        Auth::Sha384,
        "e06eccdf2c68a06ed034723c9c26e0db3b669e1e2efed49150b55377a2e98f383c86fb836857444654b287c93f51ff64",
        "3b298f16164a11184279d5432bf169e2d2a48307de02b3d3f7e2b4f36eb6f0455a53689a3937eea07319a633d2ccba78",
    );
    check(
        Auth::Sha512,
        "7e4396de5aadc77be853819b98c9406265b3a9c37cc3176569847a4e4f6fba63dd3a73d04924d31a63f95a601f9385af6be4ed1b37f87d040f7c6ed6f8d38a91",
        "22a5a36cedfcc085807a128d7bc6c2382167ad6c0dbc5fdff856740f3d84c099ad1ea87a8db096714d9788bd544047c9021e4229ce27e4c0a69250adfcffbb0b",
    );
}

#[test]
fn short_keys_are_made_longer_in_both_forms() {
    let at = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let check = |auth: Auth, privacy: Privacy, expected: &str| {
        let key = MasterKey::new(auth, b"maplesyrup").unwrap();
        assert_eq!(hex(&key.localised_for(privacy, &at)), expected, "{auth:?} {privacy:?}");
    };
    let blumenthal = "526f5eed9fcce26f8964c2930787d82bfa24a92467426c2f4b09192be10dfaec";
    let reeder = "526f5eed9fcce26f8964c2930787d82b79eff44a90650ee0a3a40abfac5acc12";
    check(Auth::Md5, Privacy::Des, &blumenthal[..32]);
    check(Auth::Md5, Privacy::Aes128, &blumenthal[..32]);
    check(Auth::Md5, Privacy::Aes192, &blumenthal[..48]);
    check(Auth::Md5, Privacy::Aes256, blumenthal);
    check(Auth::Md5, Privacy::Aes192C, &reeder[..48]);
    check(Auth::Md5, Privacy::Aes256C, reeder);
    let blumenthal = "6695febc9288e36282235fc7151f128497b38f3f505e07eb9af25568fa1f5dbe";
    let reeder = "6695febc9288e36282235fc7151f128497b38f3f9b8b6d78936ba6e7d19dfd9c";
    check(Auth::Sha1, Privacy::Aes256, blumenthal);
    check(Auth::Sha1, Privacy::Aes256C, reeder);
    let long = "8982e0e549e866db361a6b625d84cccc11162d453ee8ce3a6445c2d6776f0f8b";
    check(Auth::Sha256, Privacy::Aes256, long);
    check(Auth::Sha256, Privacy::Aes256C, long);
    let blumenthal = "0bd8827c6e29f8065e08e09237f177e410f69b90e1782be682075674e82d9bf0";
    check(Auth::Sha224, Privacy::Aes256, blumenthal);
}

#[test]
fn users_that_cannot_be_are_refused() {
    let check = |name: &str, id: Option<&[u8]>, auth: Option<&str>, privacy: Option<&str>| {
        let auth = auth.map(|password| (Auth::Sha256, password.as_bytes()));
        let privacy = privacy.map(|password| (Privacy::Aes128, password.as_bytes()));
        User::new(name.as_bytes(), id, auth, privacy).err()
    };
    let good = Some("12345678");
    assert_eq!(check("u", None, good, good), None);
    assert_eq!(check("u", Some(DEVICE), good, None), None);
    assert_eq!(check("u", None, None, None), None);
    assert_eq!(check("", None, None, None), Some(UserFault::Name));
    assert_eq!(check(&"u".repeat(33), None, None, None), Some(UserFault::Name));
    assert_eq!(check("u", Some(&[1; 4]), good, None), Some(UserFault::EngineId));
    assert_eq!(check("u", None, Some("1234567"), None), Some(UserFault::ShortPassword));
    assert_eq!(check("u", None, good, Some("")), Some(UserFault::ShortPassword));
    assert_eq!(check("u", None, None, good), Some(UserFault::PrivacyAlone));
}

#[test]
fn every_pair_of_protocols_is_read_back() {
    let now = 50;
    for (auth_name, auth) in Auth::NAMES {
        assert_eq!(Auth::parse(auth_name), Some(auth));
        let privacies = Privacy::NAMES.into_iter().map(|(name, privacy)| {
            assert_eq!(Privacy::parse(name), Some(privacy));
            Some(privacy)
        });
        for privacy in privacies.chain([None]) {
            let sender = user("trapuser", Some(auth), privacy);
            let level = if privacy.is_some() { Level::AuthPrivacy } else { Level::Auth };
            let raw = trap_of(&sender, level, (3, 100));
            assert!(is_v3(&raw));
            if privacy.is_some() {
                assert!(!raw.windows(5).any(|octets| octets == b"Gi0/1"));
            }
            let mut engine = engine(&[sender]);
            let taken = open(&mut engine, &raw, now).unwrap();
            let event = &taken.event;
            assert_eq!(
                (event.parse.status, event.parse.format.as_ref()),
                (ParseStatus::Ok, "snmp-v3")
            );
            assert_eq!(event.message, "linkDown ifIndex.12=12 ifDescr.12=Gi0/1");
            assert_eq!(event.raw.as_ref(), raw);
            assert!(taken.inform.is_none() && taken.pdu.is_empty() && !taken.late);
            let fields = event.fields.as_deref().unwrap();
            let shown: serde_json::Value = serde_json::from_str(fields).unwrap();
            assert_eq!(shown["snmp_user"], "trapuser");
            assert_eq!(shown["snmp_context"], "ctx");
            assert_eq!(shown["snmp_security_level"], level.name());
        }
    }
}

#[test]
fn each_error_is_told_from_the_others() {
    let known = user("known", Some(Auth::Sha256), Some(Privacy::Aes128));
    let open_user = user("open", None, None);
    let elsewhere = Arc::new(
        User::new(b"elsewhere", Some(b"other-engine"), Some((Auth::Md5, b"authentic")), None)
            .unwrap(),
    );
    let mut engine = engine(&[Arc::clone(&known), Arc::clone(&open_user), elsewhere]);
    let mut check = |sender: &User, level, expected: Option<Refusal>| {
        let raw = trap_of(sender, level, (3, 100));
        assert_eq!(why(&mut engine, &raw, 1), expected, "{level:?} {}", hex(sender.name()));
    };
    check(&known, Level::AuthPrivacy, None);
    check(&known, Level::Auth, None);
    check(&open_user, Level::NoAuth, None);
    check(&user("unknown", Some(Auth::Md5), None), Level::Auth, Some(Refusal::UnknownUser));
    check(&user("unknown", None, None), Level::NoAuth, Some(Refusal::UnknownUser));
    check(&user("elsewhere", Some(Auth::Md5), None), Level::Auth, Some(Refusal::UnknownEngine));
    // Nobody speaks for a user who has a key without showing it.
    check(&known, Level::NoAuth, Some(Refusal::Level));
    check(&user("open", Some(Auth::Md5), None), Level::Auth, Some(Refusal::Level));
    // Another protocol, another password.
    check(&user("known", Some(Auth::Sha1), None), Level::Auth, Some(Refusal::Digest));
    let other = User::new(b"known", None, Some((Auth::Sha256, b"other-password")), None).unwrap();
    check(&other, Level::Auth, Some(Refusal::Digest));
    let other = user("known", Some(Auth::Sha256), Some(Privacy::Des));
    check(&other, Level::AuthPrivacy, Some(Refusal::Decryption));
    let privacy = Some((Privacy::Aes128, &b"other-password"[..]));
    let other = User::new(b"known", None, Some((Auth::Sha256, b"authentic")), privacy).unwrap();
    check(&other, Level::AuthPrivacy, Some(Refusal::Decryption));
}

#[test]
fn one_name_has_other_secrets_on_other_engines() {
    let of = |engine: Option<&[u8]>, password: &[u8]| {
        Arc::new(User::new(b"same", engine, Some((Auth::Sha1, password)), None).unwrap())
    };
    let (here, all) = (of(Some(DEVICE), b"password-one"), of(None, b"password-two"));
    let mut engine = engine(&[Arc::clone(&all), Arc::clone(&here)]);
    let mut check = |user: &User, at: &[u8], expected: Option<Refusal>| {
        let sent = Sent { user, level: Level::Auth, engine: at, time: (1, 1), reportable: false };
        assert_eq!(why(&mut engine, &sent.write(&pdu(false)), 1), expected);
    };
    check(&here, DEVICE, None);
    check(&all, DEVICE, Some(Refusal::Digest));
    check(&all, b"\x80\x00\x00\x01another", None);
    check(&here, b"\x80\x00\x00\x01another", Some(Refusal::Digest));
}

#[test]
fn a_password_that_is_being_changed_is_taken_old_and_new() {
    let with = |password: &[u8]| {
        Arc::new(User::new(b"same", None, Some((Auth::Sha1, password)), None).unwrap())
    };
    let (current, next) = (with(b"password-one"), with(b"password-two"));
    let mut engine = engine(&[Arc::clone(&current), Arc::clone(&next)]);
    for sender in [&current, &next, &current] {
        assert_eq!(why(&mut engine, &trap_of(sender, Level::Auth, (1, 5)), 1), None);
    }
    engine.set_users(&[Arc::clone(&next)]);
    assert_eq!(why(&mut engine, &trap_of(&current, Level::Auth, (1, 6)), 1), Some(Refusal::Digest));
    assert_eq!(why(&mut engine, &trap_of(&next, Level::Auth, (1, 6)), 1), None);
}

#[test]
fn the_time_window_of_a_device_is_kept_or_told() {
    let sender = user("u", Some(Auth::Sha1), None);
    let mut engine = engine(&[Arc::clone(&sender)]);
    let mut check = |time: (u32, u32), now: u32, expected: Option<Refusal>| {
        let raw = trap_of(&sender, Level::Auth, time);
        assert_eq!(why(&mut engine, &raw, now), expected, "{time:?} at {now}");
        let late = open_with(&mut engine, &raw, now, Window::Warn).unwrap();
        assert_eq!(late.late, expected.is_some());
        let notes = late.event.parse.notes.as_ref();
        assert_eq!(notes.contains("outside the time window"), expected.is_some(), "{notes}");
    };
    // Whatever is heard first is where its clock stands.
    check((4, 1_000), 0, None);
    check((4, 1_000), 150, None);
    check((4, 1_000), 151, Some(Refusal::Time));
    check((4, 1_151), 151, None);
    // A little ahead is taken and becomes the clock; what is older than the window then is not.
    check((4, 5_000), 151, None);
    check((4, 4_850), 151, None);
    check((4, 4_849), 151, Some(Refusal::Time));
    // Its clock runs slowly, or it was paused with its host: what is newer than all before is no replay.
    check((4, 5_001), 20_000, None);
    check((4, 5_001), 20_150, None);
    check((4, 5_001), 20_151, Some(Refusal::Time));
    check((4, 5_000), 20_151, Some(Refusal::Time));
    check((4, 5_002), 90_000, None);
    check((4, 4_851), 90_000, Some(Refusal::Time));
    check((4, 4_852), 90_000, None);
    // It starts again: the old boots are over.
    check((5, 3), 90_001, None);
    check((4, 5_003), 90_001, Some(Refusal::Time));
    check((0, 0), 90_002, Some(Refusal::Time));
    check((2_147_483_647, 1), 90_003, Some(Refusal::Time));
}

#[test]
fn an_inform_finds_us_and_is_answered_under_its_own_security() {
    for privacy in [None, Some(Privacy::Aes128), Some(Privacy::Des)] {
        let sender = user("informer", Some(Auth::Sha256), privacy);
        let level = if privacy.is_some() { Level::AuthPrivacy } else { Level::Auth };
        let mut engine = engine(&[Arc::clone(&sender)]);
        // First: who are you?
        let nobody = user("x", None, None);
        let probe = Sent {
            user: &nobody,
            level: Level::NoAuth,
            engine: b"",
            time: (0, 0),
            reportable: true,
        };
        let refused = open(&mut engine, &probe.write(&encode::discovery_pdu(77)), 40).unwrap_err();
        assert_eq!((refused.why, refused.why.is_drop()), (Refusal::Discovery, false));
        let report = heard(refused.report.as_deref().unwrap());
        assert_eq!((report.engine_id.as_slice(), report.time), (OURS, (7, 40)));
        assert_eq!((report.tag, report.request_id), (0xa8, vec![2, 1, 77]));
        assert!(report.varbinds.contains("1.3.6.1.6.3.15.1.1.4.0"), "{}", report.varbinds);
        assert!(report.varbinds.contains("Counter32"), "{}", report.varbinds);
        // Second: how late is it?
        let mut sent = Sent { user: &sender, level, engine: OURS, time: (0, 0), reportable: true };
        let refused = open(&mut engine, &sent.write(&pdu(true)), 41).unwrap_err();
        assert_eq!((refused.why, refused.why.is_drop()), (Refusal::TimeSync, false));
        let raw = refused.report.unwrap();
        let report = heard(&raw);
        assert_eq!((report.flags, report.time), (1, (7, 41)));
        let keys = Keys::new(&sender, OURS).unwrap();
        let read = read_answer(&raw, Some((&sender, &keys))).unwrap();
        assert_eq!(read.said, Said::Report("usmStatsNotInTimeWindows".to_owned()));
        assert_eq!(read_answer(&raw, None), None, "it is not believed without the key");
        assert!(report.varbinds.contains("1.3.6.1.6.3.15.1.1.2.0"), "{}", report.varbinds);
        assert!(is_signed(&sender, &raw));
        // Third: the inform.
        sent.time = (7, 41);
        let raw = sent.write(&pdu(true));
        let taken = open(&mut engine, &raw, 42).unwrap();
        assert_eq!(taken.event.trap_name.as_deref(), Some("linkDown"));
        assert_eq!((taken.user.as_slice(), taken.pdu), (&b"informer"[..], pdu(true)));
        let answer = taken.inform.unwrap();
        assert!(is_signed(&sender, answer.datagram()));
        let keys = Keys::new(&sender, OURS).unwrap();
        let read = read_answer(answer.datagram(), Some((&sender, &keys))).unwrap();
        assert_eq!((read.said, read.level, read.message_id), (Said::Response(0), level, 4_711));
        let answer = heard_by(&sender, answer.datagram());
        assert_eq!((answer.tag, answer.request_id), (0xa2, vec![2, 4, 1, 2, 3, 4]));
        assert!(answer.varbinds.contains("Gi0/1"), "{}", answer.varbinds);
        // Old boots, as after a restart of ours, are told.
        sent.time = (6, 41);
        let refused = open(&mut engine, &sent.write(&pdu(true)), 42).unwrap_err();
        assert_eq!((refused.why, refused.why.is_drop()), (Refusal::Time, true));
        assert!(is_signed(&sender, &refused.report.unwrap()));
        // A forged one is told, too, but nothing is signed for it.
        let forger =
            User::new(b"informer", None, Some((Auth::Sha256, b"guessed-it")), None).unwrap();
        let forged = Sent {
            user: &forger,
            level: Level::Auth,
            engine: OURS,
            time: (7, 41),
            reportable: true,
        };
        let refused = open(&mut engine, &forged.write(&pdu(true)), 42).unwrap_err();
        assert_eq!(refused.why, Refusal::Digest);
        assert_eq!(heard(&refused.report.unwrap()).flags, 0);
        // One for an engine that is not ours is told who we are.
        sent.engine = DEVICE;
        let refused = open(&mut engine, &sent.write(&pdu(true)), 42).unwrap_err();
        assert_eq!(refused.why, Refusal::UnknownEngine);
        assert_eq!(heard(&refused.report.unwrap()).engine_id, OURS);
    }
}

#[test]
fn an_answer_that_its_sender_would_not_take_is_too_big() {
    let sender = user("u", None, None);
    let varbinds = [("1.3.6.1.4.1.32473.1", Value::Octets(vec![b'x'; 2_000]))];
    let pdu = encode::pdu(true, 5, 1, LINK_DOWN, &varbinds).unwrap();
    let sent =
        Sent { user: &sender, level: Level::NoAuth, engine: OURS, time: (0, 0), reportable: true };
    let mut raw = sent.write(&pdu);
    // 65507 in the header data becomes 1472, in as many octets.
    let at = raw.windows(5).position(|octets| octets == [2, 3, 0, 0xff, 0xe3]).unwrap();
    raw[at..at + 5].copy_from_slice(&[2, 3, 0, 0x05, 0xc0]);
    let mut engine = engine(&[Arc::clone(&sender)]);
    let taken = open(&mut engine, &raw, 1).unwrap();
    assert!(taken.event.message.len() > 2_000);
    let answer = heard(taken.inform.unwrap().datagram());
    assert_eq!((answer.tag, answer.error_status, answer.varbinds.as_str()), (0xa2, 1, "[]"));
}

#[test]
fn nobody_who_does_not_ask_is_answered() {
    let known = user("known", Some(Auth::Md5), None);
    let mut engine = engine(&[Arc::clone(&known)]);
    for sender in [user("unknown", None, None), user("known", Some(Auth::Sha1), None)] {
        let level = if sender.auth.is_some() { Level::Auth } else { Level::NoAuth };
        assert_eq!(
            open(&mut engine, &trap_of(&sender, level, (1, 1)), 1).unwrap_err().report,
            None
        );
    }
}

#[test]
fn only_who_shows_a_key_is_remembered_and_the_table_is_bounded() {
    let known = user("known", Some(Auth::Md5), None);
    let forger = user("known", Some(Auth::Sha1), None);
    let mut engine = engine(&[Arc::clone(&known)]);
    for number in 0..100u32 {
        let id = [&[0x80, 0, 0, 9, 5][..], &number.to_be_bytes()].concat();
        let sent = Sent {
            user: &forger,
            level: Level::Auth,
            engine: &id,
            time: (1, 1),
            reportable: false,
        };
        assert_eq!(why(&mut engine, &sent.write(&pdu(false)), 1), Some(Refusal::Digest));
    }
    assert_eq!(engine.engines(), 0);
    let pdu = pdu(false);
    for number in 0..u32::try_from(ENGINES_MAX + 50).unwrap() {
        let id = [&[0x80, 0, 0, 9, 5][..], &number.to_be_bytes()].concat();
        let sent =
            Sent { user: &known, level: Level::Auth, engine: &id, time: (1, 1), reportable: false };
        assert_eq!(why(&mut engine, &sent.write(&pdu), number), None);
    }
    assert!(engine.engines() <= ENGINES_MAX && engine.engines() > ENGINES_MAX / 2);
}

#[test]
fn malformed_messages_are_refused_by_name() {
    let known = user("known", Some(Auth::Sha1), Some(Privacy::Aes128));
    let good = trap_of(&known, Level::AuthPrivacy, (1, 1));
    let mut engine = engine(&[Arc::clone(&known)]);
    let mut check = |raw: &[u8], expected: Refusal| {
        assert_eq!(why(&mut engine, raw, 1), Some(expected), "{}", hex(raw));
    };
    check(&[], Refusal::Malformed);
    check(&[0x30, 3, 2, 1, 3], Refusal::Malformed);
    check(&good[..good.len() - 1], Refusal::Malformed);
    let flags = good.windows(3).position(|octets| octets == [4, 1, 3]).unwrap() + 2;
    let model = flags + 3;
    for (at, octet, expected) in [
        (flags, 2, Refusal::Malformed),
        (flags, 0, Refusal::Level),
        (flags, 7, Refusal::UnknownEngine),
        (model, 2, Refusal::SecurityModel),
    ] {
        let mut raw = good.clone();
        raw[at] = octet;
        check(&raw, expected);
    }
    // A digest of another length, also of none, is no digest.
    let sent = |user: &User| trap_of(user, Level::Auth, (1, 1));
    check(&sent(&user("known", Some(Auth::Sha512), None)), Refusal::Digest);
    let none = {
        let out = Outgoing {
            message_id: 1,
            reportable: false,
            engine_id: DEVICE,
            time: (1, 1),
            user: b"known",
            keys: None,
            level: Level::NoAuth,
            context: (DEVICE, b""),
            salt: 0,
        };
        let mut raw = seal(&out, &pdu(false)).unwrap();
        let flags = raw.windows(3).position(|octets| octets == [4, 1, 0]).unwrap() + 2;
        raw[flags] = 1;
        raw
    };
    check(&none, Refusal::Digest);
    let long = [&[0x80, 0, 0, 1, 5][..], &[7; 40]].concat();
    let sent =
        Sent { user: &known, level: Level::Auth, engine: &long, time: (1, 1), reportable: false };
    check(&sent.write(&pdu(false)), Refusal::Malformed);
    let sent =
        Sent { user: &known, level: Level::Auth, engine: b"", time: (1, 1), reportable: false };
    check(&sent.write(&pdu(false)), Refusal::UnknownEngine);
}

/// What a device reads of an answer.
struct Heard {
    engine_id: Vec<u8>,
    time: (u32, u32),
    flags: u8,
    tag: u8,
    request_id: Vec<u8>,
    error_status: i64,
    varbinds: String,
}

fn heard(raw: &[u8]) -> Heard {
    heard_by(&user("nobody", None, None), raw)
}

fn heard_by(user: &User, raw: &[u8]) -> Heard {
    use crate::snmp::ber::{INTEGER, Reader, SEQUENCE};
    use crate::snmp::message::{self, Message};
    let Ok(Message::V3(v3)) = message::read(raw) else { panic!("no v3 message") };
    let secured = v3.secured.unwrap();
    let time = (u32::try_from(v3.boots).unwrap(), u32::try_from(v3.time).unwrap());
    let mut data = secured.data.whole.to_vec();
    if v3.flags & 2 != 0 {
        let keys = Keys::new(user, v3.engine_id).unwrap();
        data = secured.data.content.to_vec();
        keys.decrypt(user, v3.engine_id, time, secured.salt.content, &mut data).unwrap();
    }
    let scoped = message::read_scoped(&mut Reader::new(&data)).unwrap();
    let mut pdu = scoped.pdu.inside();
    let request_id = pdu.expect(INTEGER).unwrap().whole.to_vec();
    let error_status = pdu.integer().unwrap();
    pdu.integer().unwrap();
    let list = pdu.expect(SEQUENCE).unwrap();
    let mut sheet = crate::snmp::Sheet::new(Names::builtin(), list.whole.len());
    crate::snmp::varbind::read_all(&mut sheet, list.inside(), &[]);
    Heard {
        engine_id: v3.engine_id.to_vec(),
        time,
        flags: v3.flags,
        tag: scoped.pdu.tag,
        request_id,
        error_status,
        varbinds: sheet.json(),
    }
}

fn is_signed(user: &User, raw: &[u8]) -> bool {
    use crate::snmp::message::{self, Message};
    let Ok(Message::V3(v3)) = message::read(raw) else { return false };
    let keys = Keys::new(user, v3.engine_id).unwrap();
    keys.verify(v3.whole, v3.secured.unwrap().digest.range())
}

fn any_user() -> impl Strategy<Value = Arc<User>> {
    // Made once: each costs a mebibyte or two.
    static USERS: std::sync::OnceLock<Vec<Arc<User>>> = std::sync::OnceLock::new();
    let users = USERS.get_or_init(|| {
        vec![
            user("u", Some(Auth::Md5), Some(Privacy::Des)),
            user("u", Some(Auth::Sha1), Some(Privacy::Aes128)),
            user("u", Some(Auth::Sha512), Some(Privacy::Aes256)),
            user("u", Some(Auth::Sha256), Some(Privacy::Aes192)),
        ]
    });
    (0..users.len()).prop_map(|at| Arc::clone(&users[at]))
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut engine = engine(&[user_without_key()]);
        let _ = open(&mut engine, &raw, 5);
    }

    #[test]
    fn no_flipped_bit_authenticates(
        sender in any_user(),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
        encrypted: bool,
    ) {
        let level = if encrypted { Level::AuthPrivacy } else { Level::Auth };
        let mut raw = trap_of(&sender, level, (9, 9));
        let mut engine = engine(&[Arc::clone(&sender)]);
        prop_assert!(open(&mut engine, &raw, 1).is_ok());
        let at = at.index(raw.len());
        raw[at] ^= 1 << bit;
        prop_assert!(open(&mut engine, &raw, 1).is_err(), "bit {} of octet {}", bit, at);
    }

    #[test]
    fn damage_never_panics(
        sender in any_user(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        level in 0u8..3,
    ) {
        let level = [Level::NoAuth, Level::Auth, Level::AuthPrivacy][usize::from(level)];
        let mut raw = trap_of(&sender, level, (9, 9));
        for (at, octet) in changes {
            let at = at.index(raw.len());
            raw[at] = octet;
        }
        let mut engine = engine(&[sender, user_without_key()]);
        let _ = open(&mut engine, &raw, 1);
        raw.truncate(cut.index(raw.len()));
        let _ = open(&mut engine, &raw, 1);
    }

    #[test]
    fn what_is_encrypted_is_decrypted(
        sender in any_user(),
        plain in proptest::collection::vec(any::<u8>(), 0..200),
        salt: u64,
    ) {
        let keys = Keys::new(&sender, DEVICE).unwrap();
        let mut data = plain.clone();
        let sent = keys.encrypt(&sender, DEVICE, (1, 2), salt, &mut data).unwrap();
        let opened = keys.decrypt(&sender, DEVICE, (1, 2), &sent, &mut data);
        prop_assert!(opened.is_some() || plain.is_empty());
        prop_assert_eq!(&data[..plain.len()], plain.as_slice());
    }
}

fn user_without_key() -> Arc<User> {
    user("open", None, None)
}
