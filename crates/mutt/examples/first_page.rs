//! Times the first page of one host's last day through the Web UI's API: hosts drawn from a Zipf, one
//! request after the other, each on the same connection. Loopback only, ends by itself.
//!
//! `first_page ADDRESS TOKEN_FILE [draws=200] [hosts=1000] [limit=100]`

#![expect(clippy::disallowed_methods, reason = "it measures by the real clock")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::io::{BufRead as _, BufReader, Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("first_page: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::other(why.into())
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or_else(|| wrong("the address is missing"))?;
    let address: SocketAddr = address.parse().map_err(|_| wrong("no address"))?;
    if !address.ip().is_loopback() {
        return Err(wrong("measurements go to loopback addresses only"));
    }
    let token = arguments.next().ok_or_else(|| wrong("the token's file is missing"))?;
    let token = std::fs::read_to_string(token)?;
    let mut numbers = [("draws", 200), ("hosts", 1_000), ("limit", 100)];
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or_else(|| wrong("name=number"))?;
        let known = numbers.iter_mut().find(|(known, _)| *known == name);
        let known = known.ok_or_else(|| wrong(format!("no option `{name}`")))?;
        known.1 = value.parse().map_err(|_| wrong(format!("`{value}` is no number")))?;
    }
    let [draws, hosts, limit] = numbers.map(|(_, number): (&str, usize)| number);
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let (mut times, mut events) = (Vec::with_capacity(draws), 0);
    for _ in 0..draws {
        let host = zipf(hosts);
        let request = format!(
            "GET /api/v2/events?host=host{host:04}&since={}&limit={limit} HTTP/1.1\r\n\
             host: {address}\r\nauthorization: Bearer {}\r\n\r\n",
            a_day_ago(),
            token.trim()
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes())?;
        let body = answer(&mut answers)?;
        times.push(begun.elapsed());
        let found = body.matches("\"received_at\"").count();
        if found == 0 {
            return Err(wrong(format!("host{host:04} has no events: {body}")));
        }
        events += found;
        // As people ask: not one upon the other.
        std::thread::sleep(Duration::from_millis(100));
    }
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    };
    println!(
        "first-page: {draws} draws, {events} events on the pages, p50 {:.1} ms p95 {:.1} ms max {:.1} ms",
        at(0.5),
        at(0.95),
        at(1.0)
    );
    Ok(())
}

/// A host by rank: the first is the busiest.
fn zipf(hosts: usize) -> usize {
    let sum: f64 = (1..=hosts).map(|rank| 1.0 / rank as f64).sum();
    let mut left = fastrand::f64() * sum;
    for rank in 0..hosts {
        left -= 1.0 / (rank + 1) as f64;
        if left <= 0.0 {
            return rank;
        }
    }
    hosts - 1
}

/// In RFC 3339, to the second.
fn a_day_ago() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let at = i64::try_from(now).unwrap_or_default() - 86_400;
    mutt_model::Timestamp::from_secs(at).to_string()
}

/// The body of the next answer; it must be a success.
fn answer(from: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut line, mut length, mut status) = (String::new(), None, String::new());
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(wrong("the connection was closed"));
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if status.is_empty() {
            text.clone_into(&mut status);
        }
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.ok_or_else(|| wrong(format!("no length: {status}")))?];
    from.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.split(' ').nth(1) == Some("200") {
        Ok(body)
    } else {
        Err(wrong(format!("{status}: {body}")))
    }
}
