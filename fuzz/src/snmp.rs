//! The targets for SNMP: BER, whole messages of every version, streams of them, names with hints.

use std::cell::OnceCell;
use std::sync::Arc;

use mutt_wire::snmp;
use mutt_wire::snmp::ber::{self, Reader};
use mutt_wire::snmp::encode::{self, Value};
use mutt_wire::snmp::names::{Base, Convention, Definition, IndexPart, Kind, Names};
use mutt_wire::snmp::stream::{self, Next};
use mutt_wire::snmp::usm::{Auth, Engine, Keys, Level, Now, Outgoing, Privacy, User, Window, seal};

use crate::bound::{Bound, bounded};
use crate::corpus;
use crate::given::frame;
use crate::sound::assert_sound;
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "snmp_message", run: run_snmp_message, seeds: seeds_snmp },
    Target { name: "snmp_v3", run: run_snmp_v3, seeds: seeds_snmp_v3 },
    Target { name: "snmp_sealed", run: run_snmp_sealed, seeds: seeds_snmp_sealed },
    Target { name: "snmp_stream", run: run_snmp_stream, seeds: seeds_snmp_stream },
    Target { name: "snmp_hint", run: run_snmp_hint, seeds: seeds_snmp_hint },
    Target { name: "snmp_ber", run: run_snmp_ber, seeds: seeds_snmp },
];

/// Each varbind of a few octets becomes a record with name, type and value.
const VARBINDS: Bound = Bound { per_byte: 160, fixed: 32 << 10 };
/// With the keys of a user at a new engine: a schedule and two digests.
const SECURED: Bound = Bound { per_byte: 160, fixed: 64 << 10 };

/// The datagrams of `testdata/snmp`.
fn seeds_snmp() -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(corpus::root().join("crates/mutt-wire/testdata/snmp"));
    let mut seeds = Vec::new();
    for file in folder.expect("testdata/snmp").flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let octet = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        seeds.extend((0..digits.len() / 2).map(|n| octet(n * 2)).collect::<Option<Vec<u8>>>());
    }
    seeds
}

fn run_snmp_message(data: &[u8]) {
    // Made when first used, and not because of this input.
    let names = Names::builtin();
    let decode = || snmp::decode(frame("snmp-udp", data), names);
    let decoded = bounded(data.len(), VARBINDS, decode);
    assert_sound(&decoded.event, data);
    if let Some(community) = decoded.community {
        let octets = community.expose();
        let at = octets.as_ptr() as usize - data.as_ptr() as usize;
        let kept = &decoded.event.raw[at..at + octets.len()];
        assert!(kept.iter().all(|octet| *octet == b'*'), "the community is not kept");
    }
    if let Some(reply) = &decoded.inform {
        assert!(reply.datagram().len() <= data.len() + 64);
        let mut outer = Reader::new(reply.datagram());
        assert!(
            outer.expect(ber::SEQUENCE).is_ok() && outer.is_empty(),
            "the answer is one message"
        );
    }
    assert_eq!(decode().event, decoded.event, "the same for the same bytes");
}

fn run_snmp_ber(data: &[u8]) {
    let bound = Bound { per_byte: 32, fixed: 8 << 10 };
    bounded(data.len(), bound, || walk(Reader::new(data), data, 0));
    let mut clamped = Reader::new(data);
    let mut left = clamped.rest().len();
    while let Some(element) = clamped.element_clamped() {
        assert_eq!(&data[element.range()], element.content);
        let now = clamped.rest().len();
        assert!(now < left, "it goes forward");
        left = now;
    }
}

fn walk(mut reader: Reader<'_>, data: &[u8], depth: usize) {
    loop {
        let before = reader.rest().len();
        let Ok(element) = reader.element() else {
            assert_eq!(reader.rest().len(), before, "a reader that fails stays where it is");
            return;
        };
        assert_eq!(before - reader.rest().len(), element.whole.len());
        assert_eq!(&data[element.range()], element.content, "it knows where it stands");
        let (signed, unsigned) = (ber::signed(element.content), ber::unsigned(element.content));
        if let (Ok(signed), Ok(unsigned)) = (signed, unsigned)
            && signed >= 0
        {
            assert_eq!(signed as u64, unsigned);
        }
        if let Ok(oid) = ber::oid(element.content) {
            let arcs = oid.text.split('.').map(str::parse::<u64>);
            assert!(arcs.clone().all(|arc| arc.is_ok()) && arcs.count() >= 2, "{}", oid.text);
        }
        if depth < 8 {
            walk(element.inside(), data, depth + 1);
        }
    }
}

fn seeds_snmp_hint() -> Vec<Vec<u8>> {
    let seed = |hint: &str, kinds: &[u8], octets: &[u8]| {
        [&[hint.len() as u8][..], hint.as_bytes(), kinds, octets].concat()
    };
    let hints = [
        "1x:",
        "255a",
        "255t",
        "1d.1d.1d.1d",
        "2d-1d-1d,1d:1d:1d.1d,1a1d:1d",
        "*1x:/1x",
        "d-2",
        "x",
        "0a[2x]",
    ];
    let mut seeds: Vec<Vec<u8>> = (0u8..)
        .zip(hints)
        .map(|(n, hint)| {
            seed(hint, &[n, n / 2, n % 3], b"\x07\xea\x0b\x17\x15\x05\x09\x03+\x02\x00text")
        })
        .collect();
    seeds.push(seed("", &[2, 1, 0], b"\x01\x04\xc0\x00\x02\x01\xf0"));
    seeds
}

/// A value and an index under a definition that a strange MIB could have.
fn run_snmp_hint(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (hint, rest) = rest.split_at(usize::from(length % 48).min(rest.len()));
    let &[base, convention, fixed, ref octets @ ..] = rest else { return };
    let bases = [Base::Any, Base::Integer, Base::Octets, Base::Bits, Base::Oid, Base::Address];
    let base_of = |number: u8| bases[usize::from(number) % bases.len()];
    let conventions =
        [Convention::None, Convention::InetType, Convention::InetAddress, Convention::Date];
    let table = |arcs: &[u32]| [&[1, 3, 6, 1, 4, 1, 32_473, 1][..], arcs].concat();
    let part = |base, fixed: u8, implied| IndexPart {
        oid: Vec::new(),
        base,
        fixed: u16::from(fixed % 8),
        implied,
    };
    let row = Definition {
        oid: table(&[1]),
        name: "fuzzRow".to_owned(),
        kind: Kind::Row,
        index: vec![part(base_of(convention), fixed, false), part(base_of(base), 0, fixed > 127)],
        ..Definition::default()
    };
    let column = Definition {
        oid: table(&[1, 1]),
        name: "fuzzColumn".to_owned(),
        kind: Kind::Column,
        base: base_of(base),
        hint: String::from_utf8_lossy(hint).into_owned(),
        convention: conventions[usize::from(convention) % conventions.len()],
        labels: vec![(1, "one".to_owned()), (7, "seven".to_owned())],
        fixed: u16::from(fixed % 16),
        ..Definition::default()
    };
    let names = Names::with(vec![row, column]);
    let arcs = octets.iter().take(24).map(|octet| format!(".{octet}")).collect::<String>();
    let oid = format!("1.3.6.1.4.1.32473.1.1.1{arcs}");
    let number = octets.iter().take(8).fold(0i64, |sum, octet| sum << 8 | i64::from(*octet));
    let varbinds = [
        (oid.as_str(), Value::Octets(octets.to_vec())),
        (oid.as_str(), Value::Integer(number)),
        (oid.as_str(), Value::Oid(oid.clone())),
    ];
    let datagram = encode::trap_v2c(b"public", 1, 2, "1.3.6.1.4.1.32473.1.0.1", &varbinds);
    let datagram = datagram.expect("OIDs that can be written");
    let decode = || snmp::decode(frame("snmp-udp", &datagram), &names).event;
    let event = bounded(datagram.len(), VARBINDS, decode);
    assert_sound(&event, &datagram);
    assert_eq!(decode(), event, "the same for the same bytes");
}

/// The engine that sends.
const SENDER: &[u8] = b"\x80\x00\x1f\x88\x80\x01\x02\x03\x04";
const OWN: &[u8] = b"\x80\x00\x1f\x88\x04mutt-fuzz";
const NAMES: [&[u8]; 4] = [b"plain", b"auth", b"des", b"aes"];

thread_local! {
    /// Passwords take a mebibyte of hashing each: once.
    static USERS: OnceCell<Vec<Arc<User>>> = const { OnceCell::new() };
}

fn users() -> Vec<Arc<User>> {
    let auth = |auth| Some((auth, &b"a password of many"[..]));
    let privacy = |privacy| Some((privacy, &b"another password"[..]));
    let make = || {
        let all = [
            User::new(NAMES[0], None, None, None),
            User::new(NAMES[1], None, auth(Auth::Sha256), None),
            User::new(NAMES[2], None, auth(Auth::Md5), privacy(Privacy::Des)),
            User::new(NAMES[3], None, auth(Auth::Sha1), privacy(Privacy::Aes128)),
        ];
        all.into_iter().map(|user| Arc::new(user.expect("a user"))).collect()
    };
    USERS.with(|users| users.get_or_init(make).clone())
}

fn engine() -> Engine {
    let mut engine = Engine::new(OWN, 7);
    engine.set_users(&users());
    engine
}

/// A message of one of the users, as safe as that user's keys make it: to us when `reportable`, else a
/// trap of its own engine.
fn sealed(user: usize, reportable: bool, pdu: &[u8]) -> Option<Vec<u8>> {
    let (engine_id, time) = if reportable { (OWN, (7, 60)) } else { (SENDER, (3, 1_000)) };
    let users = users();
    let user = &users[user % users.len()];
    let keys = Keys::new(user, engine_id);
    let level = match (&keys, user.name() == NAMES[1]) {
        (None, _) => Level::NoAuth,
        (Some(_), true) => Level::Auth,
        (Some(_), false) => Level::AuthPrivacy,
    };
    let out = Outgoing {
        message_id: 4_711,
        reportable,
        engine_id,
        time,
        user: user.name(),
        keys: keys.as_ref().map(|keys| (&**user, keys)),
        level,
        context: (engine_id, b""),
        salt: 99,
    };
    seal(&out, pdu)
}

fn notification(inform: bool) -> Vec<u8> {
    let varbinds = [("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12))];
    let pdu = encode::pdu(inform, 9, 4_200, "1.3.6.1.6.3.1.1.5.3", &varbinds);
    pdu.expect("OIDs that can be written")
}

fn seeds_snmp_v3() -> Vec<Vec<u8>> {
    let mut seeds = seeds_snmp();
    for user in 0..NAMES.len() {
        seeds.extend(sealed(user, false, &notification(false)));
        seeds.extend(sealed(user, true, &notification(true)));
    }
    seeds
}

/// A message as it came: what is not authentic goes no further, and every refusal is told.
fn run_snmp_v3(data: &[u8]) {
    for window in [Window::Reject, Window::Warn] {
        let taken = is_taken(data, window);
        assert_eq!(taken, is_taken(data, window), "the same for the same bytes");
    }
}

fn is_taken(data: &[u8], window: Window) -> bool {
    let (mut engine, names) = (engine(), Names::builtin());
    let decode = || snmp::decode_v3(frame("snmp-udp", data), names, &mut engine, Now(60), window);
    match bounded(data.len(), SECURED, decode) {
        Ok(authentic) => {
            assert!(snmp::is_v3(data));
            assert_sound(&authentic.event, data);
            assert!(NAMES.contains(&&*authentic.user), "a user that is known");
            true
        }
        Err(refused) => {
            if let Some(report) = refused.report {
                let mut outer = Reader::new(&report);
                assert!(outer.expect(ber::SEQUENCE).is_ok() && outer.is_empty());
                assert!(report.len() < data.len() + 512, "a report does not amplify");
            }
            false
        }
    }
}

fn seeds_snmp_sealed() -> Vec<Vec<u8>> {
    let choices = [(0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (3, 1)];
    let seed =
        |(user, inform): (u8, u8)| [&[user, inform][..], &notification(inform == 1)].concat();
    choices.into_iter().map(seed).collect()
}

/// What a user with a key may send: anything, inside a message that is authentic.
fn run_snmp_sealed(data: &[u8]) {
    let &[user, choice, ref pdu @ ..] = data else { return };
    let Some(message) = sealed(usize::from(user), choice & 1 == 1, pdu) else { return };
    let (mut engine, names) = (engine(), Names::builtin());
    let decode = || {
        snmp::decode_v3(frame("snmp-udp", &message), names, &mut engine, Now(60), Window::Reject)
    };
    match bounded(message.len(), SECURED, decode) {
        Ok(authentic) => assert_sound(&authentic.event, &message),
        Err(refused) => assert!(refused.report.is_none_or(|report| report.len() < 1_024)),
    }
}

fn seeds_snmp_stream() -> Vec<Vec<u8>> {
    let all = seeds_snmp();
    let long = b"0\x82\xff\xff".to_vec();
    vec![all.concat(), all.into_iter().take(2).flatten().collect(), long]
}

/// Messages of a stream, whose bounds do not depend on how it is cut.
fn run_snmp_stream(data: &[u8]) {
    let mut left = data;
    loop {
        let next = stream::next(left);
        for end in 0..left.len().min(16) {
            match stream::next(&left[..end]) {
                Next::NeedMore => {}
                early => assert_eq!(early, next, "what is decided early stays so"),
            }
        }
        let Next::Message(length) = next else { return };
        assert!((2..=stream::MESSAGE_MAX).contains(&length) && length <= left.len());
        left = &left[length..];
    }
}
