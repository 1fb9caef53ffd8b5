//! Datagrams, each a message of its own, from several addresses.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use crate::{BLOCK, Plan};

/// Datagrams that one source sends before the next one's turn.
const TURN: usize = 64;

/// Takes datagrams on a thread that ends with the process.
pub(crate) fn discard(address: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // An error is a refusal that came back for an answer nobody sent: nothing to do.
            let _ = socket.recv(&mut buffer);
        }
    });
    Ok(())
}

pub(crate) fn send(plan: &Plan, number: usize, payload: &[Vec<u8>], start: Instant) -> u64 {
    let mut sources = match sources(plan, number) {
        Ok(sources) => sources,
        Err(why) => {
            eprintln!("load: {}: {why}", plan.address);
            return 0;
        }
    };
    // A paced sender wakes 500 times a second, so that its bursts are small beside a receive buffer.
    let step = if plan.share() == 0 { TURN } else { plan.step(500).min(TURN * 16) };
    let (mut written, mut turn) = (0u64, 0);
    while !plan.is_over(start, written) {
        let mut left = step;
        while left > 0 {
            let from = usize::try_from(written).unwrap_or(0) % BLOCK.min(payload.len());
            let count = left.min(TURN).min(payload.len() - from);
            let at = turn % sources.len();
            written += sources[at].send(&payload[from..from + count]);
            left -= count;
            turn += 1;
        }
        plan.wait(start, written);
    }
    written
}

/// A connected socket; loopback has a whole network of addresses for its other end.
struct Sender {
    socket: UdpSocket,
    headers: Option<MultiHeaders<SockaddrStorage>>,
    call: usize,
}

fn sources(plan: &Plan, number: usize) -> std::io::Result<Vec<Sender>> {
    let open = |at: usize| {
        let last = u8::try_from(at % 250 + 2).unwrap_or(2);
        let third = u8::try_from(number % 250).unwrap_or(0);
        let local = match plan.address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(127, 0, third, last)),
            other @ IpAddr::V6(_) => other,
        };
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(plan.address)?;
        let headers = (plan.call > 1).then(|| MultiHeaders::preallocate(plan.call, None));
        Ok(Sender { socket, headers, call: plan.call })
    };
    (0..plan.sources).map(open).collect()
}

impl Sender {
    /// How many of them the kernel took: for a datagram on loopback also one that it throws away
    /// because the receiver's buffer is full.
    fn send(&mut self, datagrams: &[Vec<u8>]) -> u64 {
        let Some(headers) = &mut self.headers else {
            return datagrams.iter().filter(|datagram| self.socket.send(datagram).is_ok()).count()
                as u64;
        };
        let mut sent = 0;
        for group in datagrams.chunks(self.call) {
            let slices: Vec<[IoSlice<'_>; 1]> =
                group.iter().map(|datagram| [IoSlice::new(datagram)]).collect();
            let nowhere = vec![None::<SockaddrStorage>; group.len()];
            let results =
                sendmmsg(self.socket.as_raw_fd(), headers, &slices, nowhere, [], MsgFlags::empty());
            sent += results.map_or(0, Iterator::count) as u64;
        }
        sent
    }
}
