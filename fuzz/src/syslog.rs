//! The targets for syslog: a line of any dialect, the framing of a stream.

use mutt_wire::syslog;
use mutt_wire::syslog::framing::{FrameOutcome, Framer};

use crate::bound::{Bound, bounded};
use crate::given::{fixture_lines, frame};
use crate::sound::assert_sound;
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "syslog_line", run: run_syslog_line, seeds: fixture_lines },
    Target { name: "syslog_framing", run: run_syslog_framing, seeds: seeds_syslog_framing },
];

/// A text, its JSON and its notes may each be a small multiple of the input.
const EVENT: Bound = Bound { per_byte: 24, fixed: 16 << 10 };

#[allow(clippy::needless_update, reason = "an option more is no concern of this target")]
fn run_syslog_line(data: &[u8]) {
    let zone = match data.len() % 3 {
        0 => syslog::Zone::default(),
        1 => syslog::Zone::Fixed(-12_600),
        _ => syslog::Zone::Fixed(50_400),
    };
    let options = syslog::Options { zone, ..syslog::Options::default() };
    let decode = || syslog::decode(frame("syslog-udp", data), &options);
    let event = bounded(data.len(), EVENT, decode);
    assert_eq!(*event.raw, *data);
    assert_sound(&event, data);
    assert_eq!(decode(), event, "the same for the same bytes");
}

fn seeds_syslog_framing() -> Vec<Vec<u8>> {
    let lines = fixture_lines();
    let with = |chunks: u8, parts: &[&[u8]]| [&[chunks][..], &parts.concat()].concat();
    let mut seeds: Vec<Vec<u8>> =
        lines.chunks(3).map(|lines| with(1, &[&lines.join(&b"\n"[..]), b"\n"])).collect();
    for (number, line) in lines.iter().enumerate().take(40) {
        let count = format!("{} ", line.len());
        seeds.push(with(number as u8, &[count.as_bytes(), line, b"<13>x\n", b"5 <13>a"]));
    }
    seeds.push(with(3, &[b"6  <13>a5 <13>b 54 <1 minute elapsed\n\0\r\n999999999 <13>a\n"]));
    seeds
}

/// All frames of a stream that comes in chunks, and that the framer asked for no more room than it
/// promises.
fn frames(stream: &[u8], chunk: impl Fn(usize) -> usize, max: usize) -> Vec<(Vec<u8>, bool)> {
    let mut framer = Framer::new(max);
    let (mut buf, mut rest, mut out, mut turn) = (Vec::new(), stream, Vec::new(), 0);
    loop {
        match framer.next(&buf) {
            FrameOutcome::Frame { range, consumed, cut } => {
                assert!(!range.is_empty() && range.end <= consumed && consumed <= buf.len());
                assert!(range.len() <= max.max(64));
                out.push((buf[range].to_vec(), cut));
                buf.drain(..consumed);
            }
            FrameOutcome::Skip { consumed } => {
                assert!(consumed > 0 && consumed <= buf.len());
                buf.drain(..consumed);
            }
            FrameOutcome::NeedMore if rest.is_empty() => break,
            FrameOutcome::NeedMore => {
                assert!(buf.len() < framer.buffer_needed(), "more is asked for than is promised");
                turn += 1;
                let (now, later) = rest.split_at(chunk(turn).clamp(1, rest.len()));
                buf.extend_from_slice(now);
                rest = later;
            }
        }
    }
    if let FrameOutcome::Frame { range, cut, .. } = framer.finish(&buf) {
        out.push((buf[range].to_vec(), cut));
    }
    out
}

fn run_syslog_framing(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    for max in [64, 64 << 10] {
        let whole = frames(stream, |_| usize::MAX, max);
        let odd = |turn: usize| (usize::from(seed).wrapping_mul(turn) ^ (turn << 2)) % 97;
        assert_eq!(frames(stream, odd, max), whole, "chunks do not matter");
        assert_eq!(frames(stream, |_| 1, max), whole, "single bytes do not matter");
    }
}
