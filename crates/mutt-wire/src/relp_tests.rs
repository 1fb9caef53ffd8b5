//! Sessions as rsyslog holds them, damage of every kind, and the promise that chunks do not matter.

use proptest::prelude::*;

use super::*;

/// What a session did with a stream.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: Vec<(u32, Vec<u8>, bool)>,
    answers: String,
    ended: bool,
    broken: Option<&'static str>,
    /// The most that had to be kept.
    kept: usize,
}

fn run(stream: &[u8], chunks: &[usize], max: usize) -> Seen {
    let mut session = Session::new(max);
    let (mut buf, mut rest, mut seen) = (Vec::new(), stream, Seen::default());
    let mut sizes = chunks.iter().copied().cycle();
    loop {
        match session.next(&buf) {
            Step::NeedMore if rest.is_empty() => return seen,
            Step::NeedMore => {
                assert!(buf.len() < session.buffer_needed(), "more is asked for than is promised");
                let room = session.buffer_needed() - buf.len();
                let count = sizes.next().unwrap_or(1).clamp(1, rest.len()).min(room);
                buf.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
                seen.kept = seen.kept.max(buf.len());
            }
            Step::Message { range, consumed, txnr, cut } => {
                assert!(range.end <= consumed && consumed <= buf.len());
                seen.messages.push((txnr, buf[range].to_vec(), cut));
                buf.drain(..consumed);
            }
            Step::TakeOut { range } => {
                assert!(!range.is_empty());
                buf.drain(range);
            }
            Step::Reply { consumed, answer } => {
                seen.answers += &String::from_utf8(answer).unwrap();
                buf.drain(..consumed);
            }
            Step::End { consumed, answer } => {
                seen.answers += &String::from_utf8(answer).unwrap();
                buf.drain(..consumed);
                seen.ended = true;
                return seen;
            }
            Step::Broken(why) => {
                seen.broken = Some(why);
                return seen;
            }
        }
    }
}

const OPEN: &str = "1 open 86 relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog\n";

fn check(stream: &str, messages: &[(u32, &str)], broken: Option<&str>) -> Seen {
    let whole = run(stream.as_bytes(), &[usize::MAX], 1_000);
    for chunks in [&[1][..], &[2], &[3, 1, 5]] {
        let parts = run(stream.as_bytes(), chunks, 1_000);
        assert_eq!(
            Seen { kept: 0, ..parts },
            Seen { kept: 0, ..run(stream.as_bytes(), &[usize::MAX], 1_000) }
        );
    }
    let found: Vec<(u32, &str)> = whole
        .messages
        .iter()
        .map(|(txnr, bytes, _)| (*txnr, std::str::from_utf8(bytes).unwrap()))
        .collect();
    assert_eq!(found, messages, "{stream:?}");
    match (whole.broken, broken) {
        (None, None) => {}
        (Some(found), Some(part)) => assert!(found.contains(part), "{found} for {stream:?}"),
        other => panic!("{other:?} for {stream:?}"),
    }
    whole
}

#[test]
fn a_session_of_rsyslog() {
    let stream = format!("{OPEN}2 syslog 5 <13>a\n3 syslog 6 <13>b\n\n4 close 0\n");
    let seen = check(&stream, &[(2, "<13>a"), (3, "<13>b")], None);
    let version = env!("CARGO_PKG_VERSION");
    let offers = format!("200 OK\nrelp_version=0\nrelp_software=mutt,{version}\ncommands=syslog");
    let expected = format!("1 rsp {} {offers}\n4 rsp 0\n0 serverclose 0\n", offers.len());
    assert_eq!((seen.answers, seen.ended), (expected, true));
    let mut out = Vec::new();
    ok(999_999_999, &mut out);
    assert_eq!(out, b"999999999 rsp 6 200 OK\n");
}

#[test]
fn what_is_not_known_is_answered_and_harms_nothing() {
    let stream = format!("{OPEN}2 starttls 0\n3 dance 5 a b\nc\n4 syslog 5 <13>a\n");
    let seen = check(&stream, &[(4, "<13>a")], None);
    assert!(seen.answers.contains("2 rsp 19 500 unknown command\n3 rsp 19 500"), "{seen:?}");
    // A message without a byte, in both spellings; line ends inside a message stay.
    check(
        &format!("{OPEN}2 syslog 0\n3 syslog 0 \n4 syslog 3 a\nb\n"),
        &[(2, ""), (3, ""), (4, "a\nb")],
        None,
    );
}

#[test]
fn a_session_that_cannot_be_opened_is_told_why() {
    for (offers, why) in [
        ("commands=syslog", "500 no relp_version"),
        ("relp_version=0\ncommands=eventlog", "500 the command syslog"),
    ] {
        let seen = check(&format!("1 open {} {offers}\n", offers.len()), &[], None);
        assert!(seen.ended && seen.answers.contains(why), "{seen:?}");
    }
    let several = "relp_version=1\ncommands=eventlog,syslog";
    let seen = check(&format!("1 open {} {several}\n", several.len()), &[], None);
    assert!(seen.answers.contains("relp_version=0"), "{seen:?}");
}

#[test]
fn damage_ends_the_session_and_what_came_before_is_good() {
    let good = format!("{OPEN}2 syslog 5 <13>a\n");
    for (damage, why) in [
        ("<13>no relp at all\n", "begin with a number"),
        ("\n", "begin with a number"),
        ("-3 syslog 5 <13>a\n", "begin with a number"),
        ("1234567890 syslog 5 <13>a\n", "begin with a number"),
        ("0 syslog 5 <13>a\n", "number 0"),
        ("3\tsyslog 5 <13>a\n", "no space stands behind the number"),
        ("3  5 <13>a\n", "no command"),
        ("3 sys_log 5 <13>a\n", "no command"),
        ("3 abcdefghijklmnopqrstuvwxyzabcdefg 5 <13>a\n", "no command"),
        ("3 syslog x <13>a\n", "no length"),
        ("3 syslog -1 <13>a\n", "no length"),
        ("3 syslog 1234567890 <13>a\n", "no length"),
        ("3 syslog 999999999 <13>a\n", "none that a sender may name"),
        ("3 dance 4097 x\n", "none that a sender may name"),
        ("3 syslog 5\n<13>a\n", "no space stands behind the length"),
        ("3 syslog 4 <13>a\n", "does not end where"),
        ("3 syslog 5 <13>aX", "does not end where"),
        ("3 open 16 relp_version=0\nx\n", "opened twice"),
        ("3 rsp 6 200 OK\n", "nothing that was asked"),
    ] {
        check(&format!("{good}{damage}"), &[(2, "<13>a")], Some(why));
    }
    check("1 syslog 5 <13>a\n", &[], Some("before the session was opened"));
}

#[test]
fn a_message_above_the_limit_is_cut_and_the_session_goes_on() {
    let long = "x".repeat(100_000);
    let stream = format!("{OPEN}2 syslog {} <13>{long}\n3 syslog 5 <13>b\n", long.len() + 4);
    for chunks in [1, 63, 1_000, 1 << 20] {
        let seen = run(stream.as_bytes(), &[chunks], 64);
        assert_eq!(seen.messages.len(), 2, "{seen:?}");
        assert_eq!((seen.messages[0].1.len(), seen.messages[0].2), (64, true));
        assert_eq!(seen.messages[1], (3, b"<13>b".to_vec(), false));
        assert!(seen.kept <= Session::new(64).buffer_needed(), "{} bytes were kept", seen.kept);
    }
    let umlauts = format!("{OPEN}2 syslog 205 <13>x{}\n", "\u{fc}".repeat(100));
    assert_eq!(
        run(umlauts.as_bytes(), &[50], 64).messages[0].1.len(),
        63,
        "a character was cut in two"
    );
}

proptest! {
    #[test]
    fn no_bytes_break_it_and_chunks_do_not_matter(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        texts in proptest::collection::vec("[ -~\n]{0,90}", 0..6),
        chunks in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let mut stream = OPEN.as_bytes().to_vec();
        for (at, text) in texts.iter().enumerate() {
            stream.extend(format!("{} syslog {} {text}\n", at + 2, text.len()).bytes());
        }
        stream.extend(&bytes);
        let whole = run(&stream, &[usize::MAX], 64);
        let parts = run(&stream, &chunks, 64);
        prop_assert!(whole.messages.len() >= texts.len());
        prop_assert_eq!(Seen { kept: 0, ..parts }, Seen { kept: 0, ..whole });
    }
}
