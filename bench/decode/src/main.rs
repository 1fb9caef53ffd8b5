//! Decoding alone, for each dialect beside a crate of others: `bench/run decode [NAME [CALLS [SIDE]]]`
//! prints nanoseconds a message, MB a second and the ratio. Ours and theirs take turns, so that what
//! else the machine does meets both; the figure is a median. With CALLS it calls each so often (SIDE
//! `ours` or `theirs`: only that) and measures nothing; `=NAME` is one dialect alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mutt_model::{Id, Timestamp};
use mutt_wire::syslog::framing::{FrameOutcome, Framer};
use mutt_wire::{Frame, http, snmp, syslog};
use rasn_snmp::{v2::Pdus, v2c::Message};
use syslog_loose::Variant;

mod lines;
mod patterns;
mod peers;
#[cfg(feature = "vector")]
mod vector;

use lines::LINES;

/// Turns of each side, and how long one lasts at least.
const TURNS: usize = 9;
const TURN: Duration = Duration::from_millis(40);
/// How long calls run between two looks at the clock: so short that the process rarely has to give
/// its core away within.
const BATCH: Duration = Duration::from_micros(40);

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| {
        only.as_deref().is_none_or(|only| {
            name.contains(only.trim_start_matches('='))
                && (!only.starts_with('=') || name == &only[1..])
        })
    };
    println!("CPU: {}", cpu());
    println!(
        "{:22} {:>6} {:>9} {:>9} {:>12} {:>7}  peer",
        "dialect", "bytes", "ns", "MB/s", "peer's ns", "ratio"
    );
    let options = syslog::Options::default();
    for (name, line) in LINES.iter().filter(|(name, _)| wanted(name)) {
        let ours = || {
            black_box(&syslog::decode(frame("syslog-udp", black_box(line).as_bytes()), &options));
        };
        let theirs = || {
            black_box(&syslog_loose::parse_message(black_box(line), Variant::Either));
        };
        show(name, line.len(), beside(ours, theirs), "syslog_loose 0.23: header");
        for (peer, read) in peers::of(name) {
            let theirs = || read(black_box(line));
            show(name, line.len(), beside(ours, theirs), peer);
        }
        #[cfg(feature = "vector")]
        {
            let theirs = vector::of(name, line);
            show(name, line.len(), beside(ours, theirs), "Vector's VRL 0.38");
        }
    }
    if wanted("framing") {
        framing();
    }
    let names = snmp::names::Names::builtin();
    for (name, datagram) in datagrams().iter().filter(|(name, _)| wanted(name)) {
        let ours = || {
            black_box(snmp::decode(frame("snmp-udp", black_box(datagram)), names));
        };
        let theirs = || {
            let message = snmp_parser::parse_snmp_v2c(black_box(datagram));
            assert!(black_box(message).is_ok());
        };
        show(name, datagram.len(), beside(ours, theirs), "snmp-parser 0.11: no names");
        let theirs = || {
            let message = rasn::ber::decode::<Message<Pdus>>(black_box(datagram));
            assert!(black_box(message).is_ok());
        };
        show(name, datagram.len(), beside(ours, theirs), "rasn-snmp 0.30: no names");
    }
    let body = json_body();
    if wanted("http json") {
        let ours = || {
            for record in http::records(black_box(body.as_bytes())).into_iter().flatten() {
                black_box(http::decode(frame("http", record)));
            }
        };
        let theirs = || {
            black_box(serde_json::from_str::<serde_json::Value>(black_box(&body)).is_ok());
        };
        let name = "http json record";
        let each = |(ours, theirs): (f64, f64)| (ours / RECORDS as f64, theirs / RECORDS as f64);
        let pair = each(beside(ours, theirs));
        show(name, body.len() / RECORDS, pair, "serde_json to Value");
        #[cfg(feature = "vector")]
        {
            let theirs = vector::of(name, &body);
            show(name, body.len() / RECORDS, each(beside(ours, theirs)), "Vector's VRL 0.38");
        }
    }
}

fn frame<'a>(listener: &'a str, raw: &'a [u8]) -> Frame<'a> {
    Frame {
        id: Id([7; 16]),
        received_at: Timestamp(1_786_017_600_000_000),
        listener,
        peer: "192.0.2.7:40022",
        raw,
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("?", |(_, value)| value)
    };
    format!(
        "{} (family {} model {} stepping {}), {} MHz",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        field("stepping"),
        field("cpu MHz"),
    )
}

/// Nanoseconds for one call of each: the median of short batches, in turns that alternate. A batch in
/// which the process had to give its core away is far from the median and changes nothing.
fn beside(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    if let Some(calls) = std::env::args().nth(2).and_then(|calls| calls.parse::<u32>().ok()) {
        // For a counter of instructions around the program.
        let side = std::env::args().nth(3);
        if side.as_deref() != Some("theirs") {
            (0..calls).for_each(|_| ours());
        }
        if side.as_deref() != Some("ours") {
            (0..calls).for_each(|_| theirs());
        }
        return (0.0, 0.0);
    }
    let (mut ours_ns, mut theirs_ns) = (Vec::new(), Vec::new());
    let (our_calls, their_calls) = (calls(&mut ours), calls(&mut theirs));
    for _ in 0..TURNS {
        turn(&mut ours, our_calls, &mut ours_ns);
        turn(&mut theirs, their_calls, &mut theirs_ns);
    }
    (median(ours_ns), median(theirs_ns))
}

/// How many calls fill a batch.
fn calls(run: &mut impl FnMut()) -> u32 {
    let one = (0..64).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    let one = one.min().unwrap_or(BATCH).max(Duration::from_nanos(1));
    u32::try_from(BATCH.as_nanos() / one.as_nanos()).map_or(1, |calls| calls.clamp(1, 1_000))
}

fn turn(run: &mut impl FnMut(), calls: u32, batches: &mut Vec<f64>) {
    let begin = Instant::now();
    while begin.elapsed() < TURN {
        let start = Instant::now();
        for _ in 0..calls {
            run();
        }
        batches.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn show(name: &str, bytes: usize, (ours, theirs): (f64, f64), peer: &str) {
    let rate = bytes as f64 * 1e3 / ours;
    let ratio = theirs / ours;
    println!("{name:22} {bytes:6} {ours:9.0} {rate:9.0} {theirs:12.0} {ratio:7.2}  {peer}");
}

/// Lines out of a full buffer of a stream; the peer splits at line ends and knows nothing else.
fn framing() {
    let line = LINES[2].1;
    let stream: Vec<u8> = line.bytes().chain([b'\n']).cycle().take(64 << 10).collect();
    let frames = stream.len() / (line.len() + 1);
    let ours = || {
        let (mut framer, mut at) = (Framer::default(), 0);
        loop {
            match framer.next(black_box(&stream[at..])) {
                FrameOutcome::Frame { consumed, .. } | FrameOutcome::Skip { consumed } => {
                    at += consumed;
                }
                FrameOutcome::NeedMore => return,
            }
        }
    };
    let theirs = || {
        for line in stream.split(|byte| *byte == b'\n') {
            black_box(line);
        }
    };
    let (ours, theirs) = beside(ours, theirs);
    let each = |ns: f64| ns / frames as f64;
    show("framing of lines", line.len(), (each(ours), each(theirs)), "slice::split");
}

/// v2c notifications: a linkDown as net-snmp sends it, and one with twelve varbinds of an enterprise.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    use snmp::encode::{Value, trap_v2c};
    let link = [
        ("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12)),
        ("1.3.6.1.2.1.2.2.1.2.12", Value::Octets(b"GigabitEthernet0/1".to_vec())),
        ("1.3.6.1.2.1.2.2.1.7.12", Value::Integer(1)),
        ("1.3.6.1.2.1.2.2.1.8.12", Value::Integer(2)),
    ];
    let names: Vec<String> = (1..=12).map(|n| format!("1.3.6.1.4.1.32473.1.{n}.0")).collect();
    let many: Vec<(&str, Value)> = names
        .iter()
        .enumerate()
        .map(|(n, name)| match n % 3 {
            0 => (name.as_str(), Value::Octets(format!("text of varbind {n}").into_bytes())),
            1 => (name.as_str(), Value::Gauge32(4_000_000_000)),
            _ => (name.as_str(), Value::Oid("1.3.6.1.4.1.32473.9.7".to_owned())),
        })
        .collect();
    let link = trap_v2c(b"public", 4711, 4200, "1.3.6.1.6.3.1.1.5.3", &link);
    let many = trap_v2c(b"public", 4711, 4200, "1.3.6.1.4.1.32473.0.1", &many);
    [("snmp v2c linkDown", link), ("snmp v2c 12 varbinds", many)]
        .into_iter()
        .map(|(name, datagram)| (name, datagram.expect("OIDs that can be written")))
        .collect()
}

const RECORDS: usize = 100;

fn json_body() -> String {
    let records: Vec<String> = (0..RECORDS)
        .map(|n| {
            format!(
                r#"{{"timestamp":"2026-08-06T10:00:00.{n:03}Z","host":"web{n}.example.net","severity":"error","facility":"daemon","app":"shop","message":"order {n} could not be written: timeout after 30 s","region":"eu-1","attempt":{n}}}"#
            )
        })
        .collect();
    format!("[{}]", records.join(","))
}
