//! `muttctl send`: real traffic to a listener, as a device or a client would send it.

mod http;
mod syslog;
mod trap;
mod trap_v3;

use std::net::{Ipv4Addr, SocketAddr};

use mutt_model::codes;

use super::api::running_listener;
use super::args::{SendArgs, SendWhat};
use super::failure::Failure;
use super::output;

/// Sends what was asked for.
pub(super) fn run(args: &SendArgs) -> Result<(), Failure> {
    match &args.what {
        SendWhat::Syslog(args) => syslog::run(args),
        SendWhat::Trap(args) => trap::run(args),
        SendWhat::Http(args) => http::run(args),
    }
}

/// The listener that was named, that of the program on this host, or the usual port on loopback.
fn listener(named: Option<SocketAddr>, kind: &str, port: u16) -> SocketAddr {
    named
        .or_else(|| running_listener(kind))
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn failed(to: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::new(&codes::SEND_FAILED, format!("{to}: {why}"))
}

fn sent(count: u64, what: &str, to: impl std::fmt::Display) {
    let plural = if count == 1 { "" } else { "s" };
    output::note(&format!("sent {count} {what}{plural} to {to}"));
}

/// A datagram socket that speaks to one address, so that a refusal comes back.
fn datagrams(to: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}

/// A datagram that nobody listens for is refused by the host's kernel with the next call.
fn check_heard(socket: &std::net::UdpSocket) -> std::io::Result<()> {
    socket.take_error()?.map_or(Ok(()), Err)
}
