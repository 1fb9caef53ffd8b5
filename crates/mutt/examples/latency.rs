//! Measures the time from a syslog line's write to the socket until a sink's request about it has been
//! read, open loop: each line is due at a fixed time whatever the answers do, and its latency counts
//! from when it was due. Loopback only, bounded, ends by itself.
//!
//! `latency SYSLOG RECEIVER [rate=1000] [seconds=60] [think_ms=5] [wait=30]`
//!
//! Listens on `RECEIVER` for the sink's webhook and answers 200 after `think_ms`. Each line is written
//! as `<187>1 - keyN load - - - LATENCY key N` for a distinct N, so that it opens an alert of its own;
//! the rule that makes it one is the caller's. Prints percentiles and what never arrived.

#![expect(clippy::disallowed_methods, reason = "a load generator lives by the real clock")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A request's body is read up to this length.
const BODY_MAX: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Plan {
    syslog: SocketAddr,
    receiver: SocketAddr,
    rate: u64,
    seconds: u64,
    think: Duration,
    wait: Duration,
}

/// When each line was due and when a request named it, both since the start.
#[derive(Debug)]
struct Book {
    start: Instant,
    arrived: Mutex<Vec<Option<Duration>>>,
}

fn main() -> std::process::ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("latency: {why}");
            return std::process::ExitCode::from(2);
        }
    };
    match run(&plan) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("latency: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn plan(arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut addresses = Vec::new();
    let mut numbers = [("rate", 1_000), ("seconds", 60), ("think_ms", 5), ("wait", 30)];
    for argument in arguments {
        let Some((name, value)) = argument.split_once('=') else {
            let address: SocketAddr =
                argument.parse().map_err(|_| format!("`{argument}` is no address"))?;
            if !address.ip().is_loopback() {
                return Err("loads go to loopback addresses only".to_owned());
            }
            addresses.push(address);
            continue;
        };
        let known = numbers.iter_mut().find(|(known, _)| *known == name);
        let known = known.ok_or_else(|| format!("no option `{name}`"))?;
        known.1 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
    }
    let [syslog, receiver] = addresses[..] else {
        return Err("name the syslog listener and the address of the receiver".to_owned());
    };
    let [rate, seconds, think, wait] = numbers.map(|(_, number): (&str, u64)| number);
    Ok(Plan {
        syslog,
        receiver,
        rate: rate.max(1),
        seconds,
        think: Duration::from_millis(think),
        wait: Duration::from_secs(wait),
    })
}

fn run(plan: &Plan) -> std::io::Result<()> {
    let lines = usize::try_from(plan.rate * plan.seconds).unwrap_or(usize::MAX);
    let listener = TcpListener::bind(plan.receiver)?;
    let mut stream = TcpStream::connect(plan.syslog)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let book = Arc::new(Book { start: Instant::now(), arrived: Mutex::new(vec![None; lines]) });
    let (taker, think) = (Arc::clone(&book), plan.think);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let book = Arc::clone(&taker);
            std::thread::spawn(move || serve(connection, &book, think));
        }
    });
    let step = Duration::from_secs_f64(1.0 / plan.rate as f64);
    let mut late = Duration::ZERO;
    for n in 0..lines {
        let due = step * u32::try_from(n).unwrap_or(u32::MAX);
        if let Some(early) = due.checked_sub(book.start.elapsed()) {
            std::thread::sleep(early);
        }
        late = late.max(book.start.elapsed().saturating_sub(due));
        stream.write_all(format!("<187>1 - key{n} load - - - LATENCY key {n}\n").as_bytes())?;
    }
    let end = Instant::now() + plan.wait;
    let missing = || held(&book.arrived).iter().filter(|at| at.is_none()).count();
    while missing() > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    report(&held(&book.arrived), step, late);
    Ok(())
}

fn report(arrived: &[Option<Duration>], step: Duration, late: Duration) {
    let mut latencies: Vec<Duration> = arrived
        .iter()
        .enumerate()
        .filter_map(|(n, at)| {
            Some(at.as_ref()?.saturating_sub(step * u32::try_from(n).unwrap_or(u32::MAX)))
        })
        .collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let last = latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
    };
    println!(
        "lines {} arrived {} p50 {:.1} ms p90 {:.1} ms p99 {:.1} ms max {:.1} ms, generator at most {:.1} ms late",
        arrived.len(),
        latencies.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        late.as_secs_f64() * 1_000.0
    );
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads requests of one connection; the time of arrival is when the whole request has been read.
fn serve(connection: TcpStream, book: &Book, think: Duration) {
    let _ = connection.set_nodelay(true);
    let Ok(mut answers) = connection.try_clone() else { return };
    let mut requests = BufReader::new(connection);
    while let Some(body) = request(&mut requests) {
        let now = book.start.elapsed();
        {
            let mut arrived = held(&book.arrived);
            for number in numbers(&body) {
                if let Some(at) = arrived.get_mut(number) {
                    at.get_or_insert(now);
                }
            }
        }
        std::thread::sleep(think);
        if answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` when the peer has ended or sends what this cannot read.
fn request(from: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    if length > BODY_MAX {
        return None;
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

/// The numbers after each `LATENCY key `.
fn numbers(body: &str) -> Vec<usize> {
    let after = body.split("LATENCY key ").skip(1);
    after
        .filter_map(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse().ok()
        })
        .collect()
}
