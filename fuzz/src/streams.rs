//! The targets for what stands before and around the messages of a stream: RELP, the PROXY header.

use mutt_wire::proxy::{self, Parsed};
use mutt_wire::relp::{self, Session, Step};

use crate::bound::{Bound, bounded};
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "relp", run: run_relp, seeds: seeds_relp },
    Target { name: "proxy", run: run_proxy, seeds: seeds_proxy },
];

fn seeds_relp() -> Vec<Vec<u8>> {
    let open = "1 open 30 relp_version=0\ncommands=syslog\n";
    let session = "2 syslog 5 <13>a\n3 syslog 6 <13>b\n\n4 syslog 0\n5 close 0\n";
    let long = format!("2 syslog 200 {}\n", "x".repeat(200));
    [
        [open, session].concat(),
        [open, &long].concat(),
        "1 open 0\n".to_owned(),
        "2 syslog 5 <13>a\n".to_owned(),
        "0 serverclose 0\n".to_owned(),
    ]
    .iter()
    .zip([0, 7, 14, 21, 28])
    .map(|(text, chunks)| [&[chunks][..], text.as_bytes()].concat())
    .collect()
}

/// All that a session says of a stream.
#[derive(Debug, Default, PartialEq)]
struct Said {
    messages: Vec<(u32, Vec<u8>, bool)>,
    answers: Vec<u8>,
    end: &'static str,
}

/// A whole session whose bytes come in chunks.
fn session(stream: &[u8], chunk: impl Fn(usize) -> usize) -> Said {
    let mut session = Session::new(64);
    let (mut buf, mut rest, mut turn, mut said) = (Vec::new(), stream, 0, Said::default());
    said.end = loop {
        match session.next(&buf) {
            Step::Message { range, consumed, txnr, cut } => {
                assert!(range.end <= consumed && consumed <= buf.len() && consumed > 0);
                assert!(range.len() <= 64);
                said.messages.push((txnr, buf[range].to_vec(), cut));
                relp::ok(txnr, &mut said.answers);
                buf.drain(..consumed);
            }
            Step::TakeOut { range } => {
                assert!(!range.is_empty() && range.end <= buf.len(), "it goes forward");
                buf.drain(range);
            }
            Step::Reply { consumed, answer } => {
                assert!(consumed > 0 && consumed <= buf.len());
                said.answers.extend(answer);
                buf.drain(..consumed);
            }
            Step::End { consumed, answer } => {
                assert!(consumed <= buf.len());
                said.answers.extend(answer);
                break "end";
            }
            Step::Broken(why) => break why,
            Step::NeedMore if rest.is_empty() => break "open",
            Step::NeedMore => {
                assert!(buf.len() < session.buffer_needed(), "more is asked for than is promised");
                turn += 1;
                let (now, later) = rest.split_at(chunk(turn).clamp(1, rest.len()));
                buf.extend_from_slice(now);
                rest = later;
            }
        }
    };
    said
}

fn run_relp(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    // All at once is more than the buffer that is promised to be enough.
    let few = |_: usize| 512;
    let bound = Bound { per_byte: 64, fixed: 32 << 10 };
    let whole = bounded(stream.len(), bound, || session(stream, few));
    let odd = |turn: usize| (usize::from(seed).wrapping_mul(turn) ^ (turn << 2)) % 97;
    assert_eq!(session(stream, odd), whole, "chunks do not matter");
    assert_eq!(session(stream, |_| 1), whole, "single bytes do not matter");
}

fn seeds_proxy() -> Vec<Vec<u8>> {
    let two = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", rest].concat();
    let four = b"\xc0\x00\x02\x07\xc0\x00\x02\x01\x9c\x56\x02\x02";
    vec![
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40022 514\r\n<13>x".to_vec(),
        b"PROXY TCP6 2001:db8::7 2001:db8::1 40022 514\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        two(&[b"\x21\x11\x00\x0c", &four[..], b"<13>x"].concat()),
        two(b"\x20\x00\x00\x00"),
        two(&[&b"\x21\x21\x00\x24"[..], &[1; 36]].concat()),
        two(&[&b"\x21\x31\x00\xd8"[..], &[b'u'; 216]].concat()),
        two(&[b"\x21\x11\x00\x11", &four[..], b"\x04\x00\x02ab"].concat()),
    ]
}

/// What is decided does not depend on how the header came, and nothing behind it is asked for.
fn run_proxy(data: &[u8]) {
    let parsed = bounded(data.len(), Bound { per_byte: 0, fixed: 1 << 10 }, || proxy::parse(data));
    if let Parsed::Header { consumed, .. } = parsed {
        assert!(consumed <= data.len() && consumed <= proxy::HEADER_BYTES_MAX);
        assert_eq!(proxy::parse(&data[..consumed]), parsed, "what follows does not matter");
    }
    // As a caller reads it: no more than is asked for.
    let mut have = 0;
    loop {
        match proxy::parse(&data[..have]) {
            Parsed::NeedMore(more) => {
                assert!(more > 0 && have + more <= proxy::HEADER_BYTES_MAX, "{have} and {more}");
                if have + more > data.len() {
                    assert!(!matches!(parsed, Parsed::Header { .. }), "it was all there");
                    return;
                }
                have += more;
            }
            Parsed::Malformed(_) => {
                assert!(matches!(parsed, Parsed::Malformed(_)), "{parsed:?} at once");
                return;
            }
            header => {
                assert_eq!(header, parsed, "in steps and at once");
                return;
            }
        }
    }
}
