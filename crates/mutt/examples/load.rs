//! A bounded load of syslog lines over TCP for measurements: loopback only, ends by itself, prints how
//! many lines it wrote and its own processor time.
//!
//! `load ADDRESS [seconds=60] [connections=4] [rate=0] [lines=0] [match=30] [hosts=1000] [bytes=256]`
//!
//! `rate` is lines per second in all (0: as fast as the peer reads), `lines` ends the load early. Of
//! `match` percent of the lines the text is one that the rules of `bench/rules.json` match.

#![expect(clippy::disallowed_methods, reason = "a load generator lives by the real clock")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Lines are rendered once and written again and again in blocks of this many.
const BLOCK: usize = 1_000;

/// Texts that the rules match, in turns.
const MATCHING: [&str; 6] = [
    "%LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to down",
    "%BGP-5-ADJCHANGE: neighbor 192.0.2.{n} Down BGP Notification sent",
    "%OSPF-5-ADJCHG: Process 1, Nbr 198.51.100.{n} on Vlan{n} from FULL to DOWN, Neighbor Down",
    "%ENVMON-2-FAN_FAILED: Fan {n} not rotating",
    "%SYS-2-MALLOCFAIL: Memory allocation of {n} bytes failed",
    "%PLATFORM_ENV-1-PWR: Power supply {n} is faulty",
];

/// Texts that no rule matches, in turns.
const OTHERS: [&str; 4] = [
    "%SEC-6-IPACCESSLOGP: list 101 permitted tcp 10.1.{n}.7(4711) -> 10.2.0.9(443), 1 packet",
    "%SYS-5-CONFIG_I: Configured from console by admin{n} on vty0 (10.0.0.{n})",
    "session {n} opened for user operator by (uid=0)",
    "%DOT1X-5-SUCCESS: Authentication successful for client (0011.2233.{n}) on Interface Gi1/0/{n}",
];

#[derive(Clone, Debug)]
struct Plan {
    address: SocketAddr,
    seconds: u64,
    connections: usize,
    rate: u64,
    lines: u64,
    matching: usize,
    hosts: usize,
    bytes: usize,
}

fn main() -> std::process::ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("load: {why}");
            return std::process::ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let written: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                let plan = plan.clone();
                scope.spawn(move || send(&plan, number, start))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "lines {written} seconds {seconds:.2} rate {:.0} cpu_seconds {:.2}",
        written as f64 / seconds,
        cpu_seconds()
    );
    std::process::ExitCode::SUCCESS
}

fn plan(arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan {
        address: SocketAddr::from(([127, 0, 0, 1], 5514)),
        seconds: 60,
        connections: 4,
        rate: 0,
        lines: 0,
        matching: 30,
        hosts: 1_000,
        bytes: 256,
    };
    for argument in arguments {
        let Some((name, value)) = argument.split_once('=') else {
            plan.address = argument.parse().map_err(|_| format!("`{argument}` is no address"))?;
            continue;
        };
        let number: u64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        let size = usize::try_from(number).map_err(|_| format!("`{value}` is too large"))?;
        match name {
            "seconds" => plan.seconds = number,
            "connections" => plan.connections = size.max(1),
            "rate" => plan.rate = number,
            "lines" => plan.lines = number,
            "match" => plan.matching = size.min(100),
            "hosts" => plan.hosts = size.max(1),
            "bytes" => plan.bytes = size,
            _ => return Err(format!("no option `{name}`")),
        }
    }
    if !plan.address.ip().is_loopback() {
        return Err("loads go to loopback addresses only".to_owned());
    }
    Ok(plan)
}

/// One connection's block of lines, newline framed, of exactly `bytes` each.
fn block(plan: &Plan, number: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK * (plan.bytes + 1));
    for line in 0..BLOCK {
        // A fixed shuffle spreads the matching lines over the block.
        let matches = (line * 37 + number * 11) % 100 < plan.matching;
        let n = line % 250 + 1;
        let text =
            if matches { MATCHING[line % MATCHING.len()] } else { OTHERS[line % OTHERS.len()] };
        let host = (line * plan.connections + number) % plan.hosts;
        let mut rendered = format!(
            "<187>1 2026-01-01T00:00:00.000Z host{host:04} load - - - {}",
            text.replace("{n}", &n.to_string())
        );
        while rendered.len() + 1 < plan.bytes {
            rendered.push(if rendered.len() % 8 == 0 { ' ' } else { 'x' });
        }
        rendered.truncate(plan.bytes.saturating_sub(1).max(40));
        block.extend_from_slice(rendered.as_bytes());
        block.push(b'\n');
    }
    block
}

fn send(plan: &Plan, number: usize, start: Instant) -> u64 {
    let Ok(mut stream) = TcpStream::connect(plan.address) else {
        eprintln!("load: {} does not accept", plan.address);
        return 0;
    };
    if stream.set_write_timeout(Some(Duration::from_millis(200))).is_err() {
        return 0;
    }
    let block = block(plan, number);
    let length = block.len() / BLOCK;
    let end = start + Duration::from_secs(plan.seconds);
    let share = plan.rate / plan.connections as u64;
    let most = plan.lines / plan.connections as u64;
    // A tenth of a second's worth at a time when paced.
    let step = if share == 0 {
        BLOCK
    } else {
        usize::try_from(share / 10).unwrap_or(BLOCK).clamp(1, BLOCK)
    };
    let mut written = 0u64;
    while Instant::now() < end && (most == 0 || written < most) {
        let from = (usize::try_from(written).unwrap_or(0) % BLOCK) * length;
        let lines = step.min((block.len() - from) / length);
        if !write_until(&mut stream, &block[from..from + lines * length], end) {
            break;
        }
        written += lines as u64;
        if share > 0 {
            let due = Duration::from_secs_f64(written as f64 / share as f64);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
        }
    }
    written
}

/// Writes whole lines; a peer that no longer reads ends the load when its time is over.
fn write_until(stream: &mut TcpStream, mut bytes: &[u8], end: Instant) -> bool {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return false,
            Ok(count) => bytes = &bytes[count..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if Instant::now() >= end {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

/// User and system time of this process, from `/proc/self/stat` in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}
