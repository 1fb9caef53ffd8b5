//! Syslog messages by UDP or TCP, in RFC 5424 or RFC 3164 form.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mutt_model::event::FACILITIES;
use mutt_model::{Clock, Severity, Timestamp};

use super::{check_heard, datagrams, failed, listener, sent};
use crate::cli::args::{SendSyslog, SyslogFormat};
use crate::cli::failure::Failure;

/// Where syslog is taken when nothing else is said.
const DEFAULT_PORT: u16 = 5514;
/// Connecting and writing may take this long.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(args: &SendSyslog) -> Result<(), Failure> {
    let severity = Severity::parse(&args.severity).ok_or_else(|| {
        Failure::usage(format!("`{}` is no severity: write 0 to 7 or a name", args.severity))
    })?;
    let facility = facility(&args.facility).ok_or_else(|| {
        Failure::usage(format!("`{}` is no facility: write 0 to 23 or a name", args.facility))
    })?;
    let priority = facility * 8 + u16::from(severity.number());
    let clock = Clock::System;
    let messages = (1..=args.count).map(|n| {
        let text = if args.count == 1 {
            args.message.clone()
        } else {
            format!("{} seq={n}", args.message)
        };
        render(args, priority, clock.wall(), &text)
    });
    let to = listener(args.to, if args.tcp { "syslog_tcp" } else { "syslog_udp" }, DEFAULT_PORT);
    let carried = if args.tcp { by_tcp(to, messages) } else { by_udp(to, messages) };
    carried.map_err(|why| failed(to, why))?;
    sent(args.count, "syslog message", to);
    Ok(())
}

fn by_udp(to: SocketAddr, messages: impl Iterator<Item = String>) -> std::io::Result<()> {
    let socket = datagrams(to)?;
    for message in messages {
        socket.send(message.as_bytes())?;
    }
    check_heard(&socket)
}

/// One connection, octet counted (RFC 6587 section 3.4.1).
fn by_tcp(to: SocketAddr, messages: impl Iterator<Item = String>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut buffer = Vec::new();
    for message in messages {
        buffer.extend_from_slice(format!("{} {message}", message.len()).as_bytes());
        if buffer.len() > 1 << 16 {
            stream.write_all(&buffer)?;
            buffer.clear();
        }
    }
    stream.write_all(&buffer)?;
    stream.shutdown(std::net::Shutdown::Write)
}

fn facility(text: &str) -> Option<u16> {
    let number = match text.parse::<u16>() {
        Ok(number) => number,
        Err(_) => {
            let at = FACILITIES.iter().position(|name| name.eq_ignore_ascii_case(text))?;
            u16::try_from(at).ok()?
        }
    };
    (number < 24).then_some(number)
}

fn render(args: &SendSyslog, priority: u16, now: Timestamp, text: &str) -> String {
    let (host, app) = (&args.hostname, &args.app);
    match args.format {
        SyslogFormat::Rfc5424 => {
            format!("<{priority}>1 {now} {host} {app} {} - - {text}", std::process::id())
        }
        SyslogFormat::Rfc3164 => {
            // The old form has the host's own wall time, without a zone.
            let stamp = jiff::Timestamp::from_microsecond(now.micros())
                .map(|at| {
                    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string()
                })
                .unwrap_or_default();
            format!("<{priority}>{stamp} {host} {app}[{}]: {text}", std::process::id())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_are_read_by_name_and_number() {
        assert_eq!(facility("local7"), Some(23));
        assert_eq!(facility("0"), Some(0));
        assert_eq!(facility("24"), None);
        assert_eq!(facility("radio"), None);
    }
}
