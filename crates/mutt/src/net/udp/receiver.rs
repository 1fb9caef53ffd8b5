//! One task's way to a socket's datagrams: many for one call of the kernel. While they are few the task is
//! woken by each; while they are many that would cost more than the datagrams do, and it looks once in a
//! millisecond what has come.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use mutt_model::Clock;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use prometheus_client::metrics::counter::Counter;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{DATAGRAM_MAX, Listener};

/// Datagrams that are taken from the kernel in one call at most.
pub const DATAGRAMS_PER_CALL: usize = 64;
/// A quiet socket is asked for so many.
const DATAGRAMS_FIRST: usize = 8;
/// From one datagram's place to the next: a round number would put the beginnings of all of them into the
/// same few lines of the processor's caches.
const PLACE: usize = DATAGRAM_MAX + 1 + 320;
/// How often a socket with many datagrams is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// So many in that time are many.
const MANY: usize = 10;
/// What the kernel counts for a datagram beside its bytes, about.
const OVERHEAD: usize = 1_024;

/// See the module.
pub struct Receiver<'l> {
    listener: &'l Listener,
    clock: Clock,
    /// The socket as the runtime watches it: wakes the task for each datagram, as long as it is there.
    watch: Option<UdpSocket>,
    /// Zeroed pages that no datagram touches cost no memory.
    bytes: Vec<u8>,
    /// Datagrams that the next call asks for.
    next: usize,
    /// Whether the last call did not find their end.
    has_more: bool,
    is_busy: bool,
    recent: Recent,
    /// Datagrams that the kernel gave, whatever becomes of them.
    arrived: Counter,
}

/// What came since it was looked at whether that is much.
#[derive(Debug, Default)]
struct Recent {
    since: Duration,
    datagrams: usize,
    bytes: usize,
}

impl std::fmt::Debug for Receiver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({}, busy: {})", self.listener.local(), self.is_busy)
    }
}

impl<'l> Receiver<'l> {
    /// The only one of this socket at one time; counts each datagram that it takes.
    #[must_use]
    pub fn new(listener: &'l Listener, clock: &Clock, arrived: &Counter) -> Self {
        Self {
            listener,
            clock: clock.clone(),
            watch: None,
            bytes: vec![0; DATAGRAMS_PER_CALL * PLACE],
            next: DATAGRAMS_FIRST,
            has_more: false,
            is_busy: false,
            recent: Recent { since: clock.monotonic(), ..Recent::default() },
            arrived: arrived.clone(),
        }
    }

    /// Waits until there may be something to take. May be dropped and called again at any time; must be
    /// called inside the runtime.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub async fn wait(&mut self) -> io::Result<()> {
        if self.has_more {
            // Others have their turn, too.
            tokio::task::consume_budget().await;
            return Ok(());
        }
        if self.is_busy {
            tokio::time::sleep(LOOK).await;
            return Ok(());
        }
        let watch = match &mut self.watch {
            Some(watch) => watch,
            None => {
                let socket = self.listener.socket.try_clone()?;
                self.watch.insert(UdpSocket::from_std(socket)?)
            }
        };
        watch.readable().await
    }

    /// Takes up to [`DATAGRAMS_PER_CALL`] of those that [`Self::wait`] waited for, each with its sender
    /// and, where the socket tells it, the address that was asked; `Ok(0)` when there is none.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn take(
        &mut self,
        each: impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        let watch = self.watch.take();
        let result = match &watch {
            None => self.take_now(each),
            Some(watch) => {
                let mut taken = 0;
                let fill = || {
                    taken = self.take_now(each)?;
                    // Its end was found: the next one is told of by the kernel.
                    if self.has_more { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
                };
                match watch.try_io(Interest::READABLE, fill) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                    _ => Ok(taken),
                }
            }
        };
        if !self.is_busy {
            self.watch = watch;
        }
        result
    }

    /// Takes what the kernel already holds, without a wait before it; `Ok(0)` when that is nothing.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn take_now(
        &mut self,
        mut each: impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        let wanted = self.next;
        let count = match self.fill(wanted, &mut each) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        self.next = (count * 2).clamp(DATAGRAMS_FIRST, DATAGRAMS_PER_CALL);
        self.has_more = count == wanted;
        self.judge();
        Ok(count)
    }

    /// Whether so many come that waiting for each does not pay, and so few that the buffer holds them
    /// meanwhile several times.
    fn judge(&mut self) {
        let now = self.clock.monotonic();
        let passed = now.saturating_sub(self.recent.since);
        if passed < LOOK {
            return;
        }
        let Recent { datagrams, bytes, .. } = self.recent;
        let in_a_look = |count: usize| {
            usize::try_from(count as u128 * LOOK.as_micros() / passed.as_micros().max(1))
                .unwrap_or(usize::MAX)
        };
        self.is_busy = in_a_look(datagrams) >= MANY
            && in_a_look(bytes + datagrams * OVERHEAD) <= self.listener.granted / 4;
        self.recent = Recent { since: now, ..Recent::default() };
    }

    /// One call of the kernel; how many datagrams it gave.
    fn fill(
        &mut self,
        wanted: usize,
        each: &mut impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        // Headers hold pointers and so cannot outlive the call in a task that changes threads. As many
        // are made as datagrams are expected: a few instructions for each of them.
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .bytes
            .chunks_exact_mut(PLACE)
            .take(wanted)
            .map(|place| [IoSliceMut::new(&mut place[..DATAGRAM_MAX])])
            .collect();
        let tells_asked = self.listener.tells_asked;
        let space =
            tells_asked.then(|| nix::cmsg_space!(nix::libc::in_pktinfo, nix::libc::in6_pktinfo));
        let mut headers: MultiHeaders<SockaddrStorage> = MultiHeaders::preallocate(wanted, space);
        let socket = self.listener.socket.as_raw_fd();
        let received =
            recvmmsg(socket, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for message in received {
            count += 1;
            self.arrived.inc();
            let Some(peer) = message.address.as_ref().and_then(socket_address) else { continue };
            let asked = if tells_asked {
                message.cmsgs().ok().and_then(|mut list| list.find_map(|m| asked(&m)))
            } else {
                None
            };
            let bytes = message.iovs().next().unwrap_or_default();
            self.recent.bytes += bytes.len();
            each(bytes, peer, asked);
        }
        self.recent.datagrams += count;
        Ok(count)
    }
}

fn asked(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    let v6 = address.as_sockaddr_in6()?;
    // A peer of a dual-stack socket is shown by its IPv4 address.
    let ip = v6.ip().to_ipv4_mapped().map_or(IpAddr::V6(v6.ip()), IpAddr::V4);
    Some(SocketAddr::new(ip, v6.port()))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use mutt_model::Timestamp;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pair(buffer: usize) -> (Listener, UdpSocket) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), buffer).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(listener.local()).unwrap();
        (listener, client)
    }

    /// Waits once and takes everything.
    async fn drain(receiver: &mut Receiver<'_>, seen: &mut Vec<Vec<u8>>) {
        tokio::time::timeout(PATIENCE, receiver.wait()).await.unwrap().unwrap();
        while receiver.take(|bytes, _, _| seen.push(bytes.to_vec())).unwrap() > 0 {}
    }

    #[tokio::test]
    async fn every_datagram_comes_whole_once_and_in_order_however_many_wait() {
        let (listener, client) = pair(8 << 20);
        let arrived = Counter::default();
        let clock = Clock::manual(Timestamp::from_secs(1));
        let mut receiver = Receiver::new(&listener, &clock, &arrived);
        let (mut seen, mut sent) = (Vec::new(), Vec::<Vec<u8>>::new());
        for round in 1..=6 {
            // Fewer than one call takes, more, and exactly as many as the next asks for.
            for number in 0..[1, 7, 200, 64, 8, 65][round - 1] {
                let length = [0, 1, 256, 2_048, 9_000, 65_507][(number * round) % 6];
                let datagram = vec![u8::try_from((number + round) % 256).unwrap(); length];
                if client.send(&datagram).is_ok() {
                    sent.push(datagram);
                }
                if number % 40 == 20 {
                    drain(&mut receiver, &mut seen).await;
                }
            }
            drain(&mut receiver, &mut seen).await;
            assert_eq!(seen.len(), sent.len(), "round {round}");
        }
        assert!(seen == sent);
        // Nothing is there, and what comes now is told.
        assert_eq!(receiver.take_now(|_, _, _| ()).unwrap(), 0);
        assert_eq!(receiver.take(|_, _, _| ()).unwrap(), 0);
        client.send(b"late").unwrap();
        drain(&mut receiver, &mut seen).await;
        assert_eq!(seen.last().unwrap(), b"late");
        assert_eq!(arrived.get(), seen.len() as u64);
    }

    #[tokio::test]
    async fn many_are_looked_for_in_turns_few_are_waited_for_and_none_is_missed_between() {
        let (listener, client) = pair(1 << 20);
        let clock = Clock::manual(Timestamp::from_secs(1));
        let mut receiver = Receiver::new(&listener, &clock, &Counter::default());
        let mut seen = Vec::new();
        let mut sent = 0;
        let mut check = async |receiver: &mut Receiver<'_>, count: usize, busy: bool| {
            let send = |count| (0..count).for_each(|_| assert_eq!(client.send(b"x").unwrap(), 1));
            send(count - 1);
            if count > 1 {
                drain(receiver, &mut seen).await;
            }
            // It is judged with the next ones after that time.
            clock.advance(LOOK);
            send(1);
            drain(receiver, &mut seen).await;
            sent += count;
            assert_eq!((seen.len(), receiver.is_busy), (sent, busy), "{count}");
            assert!(receiver.watch.is_none() || !busy, "nobody is woken");
        };
        check(&mut receiver, 1, false).await;
        check(&mut receiver, MANY - 1, false).await;
        check(&mut receiver, MANY, true).await;
        check(&mut receiver, 3 * MANY, true).await;
        // More than the buffer holds easily: it is told of each.
        check(&mut receiver, 400, false).await;
        check(&mut receiver, 3 * MANY, true).await;
        // The wait is over in any case, and finds nothing.
        clock.advance(LOOK);
        drain(&mut receiver, &mut seen).await;
        assert!(!receiver.is_busy, "nothing came");
        client.send(b"x").unwrap();
        drain(&mut receiver, &mut seen).await;
    }
}
