//! A bounded load for measurements: loopback only, ends by itself, prints how much it sent and its own
//! processor time.
//!
//! `load ADDRESS [seconds=60] [connections=4] [rate=0] [lines=0] [match=30] [hosts=1000] [bytes=256]
//! [discard=0] [kind=tcp] [ca=FILE] [users=100] [sources=16] [call=1]`
//!
//! `kind` is `tcp` (syslog lines), `tls` (the same; the server's certificate is for `localhost` and signed
//! by `ca`), `udp` (a line a datagram), `traps` (SNMP v2c linkDown) or `v3` (the same, authPriv with
//! SHA-1 and AES-128 by `users` users, each on an engine of its own).
//! `rate` is messages per second in all (0: as fast as it goes), `lines` ends the load early. Of `match`
//! percent of the lines the text is one that the rules of `bench/rules.json` match. Datagrams come from
//! `sources` addresses in turns, `call` of them in one call of the kernel.
//! With `discard=1` it listens on ADDRESS itself and throws away what it sends: the generator alone.

#![expect(clippy::disallowed_methods, reason = "a load generator lives by the real clock")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod datagrams;
mod lines;
mod stream;
mod traps;

/// Messages are rendered once and sent again and again in blocks of this many.
const BLOCK: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Tls,
    Udp,
    Traps,
    V3,
}

#[derive(Clone, Debug)]
struct Plan {
    address: SocketAddr,
    kind: Kind,
    ca: String,
    seconds: u64,
    connections: usize,
    rate: u64,
    lines: u64,
    matching: usize,
    hosts: usize,
    bytes: usize,
    users: usize,
    sources: usize,
    call: usize,
    discard: bool,
}

fn main() -> std::process::ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("load: {why}");
            return std::process::ExitCode::from(2);
        }
    };
    let is_stream = matches!(plan.kind, Kind::Tcp | Kind::Tls);
    let discard = if is_stream { stream::discard } else { datagrams::discard };
    if plan.discard
        && let Err(why) = discard(plan.address)
    {
        eprintln!("load: {}: {why}", plan.address);
        return std::process::ExitCode::FAILURE;
    }
    let send = if is_stream { stream::send } else { datagrams::send };
    let payloads: Vec<Vec<Vec<u8>>> =
        (0..plan.connections).map(|number| payload(&plan, number)).collect();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let written: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = payloads
            .iter()
            .enumerate()
            .map(|(number, payload)| {
                let plan = plan.clone();
                scope.spawn(move || send(&plan, number, payload, start))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "lines {written} seconds {seconds:.2} rate {:.0} cpu_seconds {:.2}",
        written as f64 / seconds,
        cpu_seconds() - cpu
    );
    std::process::ExitCode::SUCCESS
}

fn payload(plan: &Plan, number: usize) -> Vec<Vec<u8>> {
    match plan.kind {
        Kind::Tcp | Kind::Tls | Kind::Udp => lines::block(plan, number),
        Kind::Traps => traps::v2c(),
        Kind::V3 => traps::v3(plan.users),
    }
}

fn plan(arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan {
        address: SocketAddr::from(([127, 0, 0, 1], 5514)),
        kind: Kind::Tcp,
        ca: String::new(),
        seconds: 60,
        connections: 0,
        rate: 0,
        lines: 0,
        matching: 30,
        hosts: 1_000,
        bytes: 256,
        users: 100,
        sources: 16,
        call: 1,
        discard: false,
    };
    for argument in arguments {
        let Some((name, value)) = argument.split_once('=') else {
            plan.address = argument.parse().map_err(|_| format!("`{argument}` is no address"))?;
            continue;
        };
        match name {
            "kind" => plan.kind = kind(value)?,
            "ca" => value.clone_into(&mut plan.ca),
            _ => number(&mut plan, name, value)?,
        }
    }
    if !plan.address.ip().is_loopback() {
        return Err("loads go to loopback addresses only".to_owned());
    }
    if plan.connections == 0 {
        // One thread sends datagrams as fast as the kernel takes them.
        plan.connections = if matches!(plan.kind, Kind::Tcp | Kind::Tls) { 4 } else { 1 };
    }
    Ok(plan)
}

fn kind(name: &str) -> Result<Kind, String> {
    Ok(match name {
        "tcp" => Kind::Tcp,
        "tls" => Kind::Tls,
        "udp" => Kind::Udp,
        "traps" => Kind::Traps,
        "v3" => Kind::V3,
        _ => return Err(format!("`{name}` is no kind: tcp, tls, udp, traps, v3")),
    })
}

fn number(plan: &mut Plan, name: &str, value: &str) -> Result<(), String> {
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
        "users" => plan.users = size.clamp(1, 10_000),
        "sources" => plan.sources = size.clamp(1, 250),
        "call" => plan.call = size.clamp(1, 64),
        "discard" => plan.discard = number > 0,
        _ => return Err(format!("no option `{name}`")),
    }
    Ok(())
}

impl Plan {
    /// Messages at a time so that a paced sender wakes `steps` times a second.
    fn step(&self, steps: u64) -> usize {
        match self.share() {
            0 => BLOCK,
            share => usize::try_from(share / steps).unwrap_or(BLOCK).clamp(1, BLOCK),
        }
    }

    /// A second's worth of one connection; 0 for as fast as it goes.
    fn share(&self) -> u64 {
        self.rate / self.connections as u64
    }

    fn is_over(&self, start: Instant, written: u64) -> bool {
        let most = self.lines / self.connections as u64;
        start.elapsed() >= Duration::from_secs(self.seconds) || (most > 0 && written >= most)
    }

    /// Waits until as much is due as was written.
    fn wait(&self, start: Instant, written: u64) {
        if self.share() > 0 {
            let due = Duration::from_secs_f64(written as f64 / self.share() as f64);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
        }
    }
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
