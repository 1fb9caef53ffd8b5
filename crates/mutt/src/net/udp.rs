//! UDP listeners: sockets with their buffers, and answers from the address that was asked.

mod receiver;

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

pub use receiver::{DATAGRAMS_PER_CALL, Receiver};

/// The largest UDP payload.
pub const DATAGRAM_MAX: usize = 65_535;

/// A bound UDP socket.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    local: SocketAddr,
    /// Whether each datagram tells which address was asked.
    tells_asked: bool,
    /// Receive buffer in bytes that was asked for.
    pub asked: usize,
    /// Receive buffer in bytes that the kernel granted (it counts its own overhead, too).
    pub granted: usize,
}

impl Listener {
    /// Binds `address` and asks for a receive buffer of `asked` bytes.
    ///
    /// # Errors
    ///
    /// The system's own, when the address is taken or not permitted.
    pub fn bind(address: SocketAddr, asked: usize) -> io::Result<Self> {
        // The address that was asked is needed to answer from it.
        Self::open(address, asked, false, address.ip().is_unspecified())
    }

    /// Binds so many sockets to one address, of which nothing is answered; the kernel gives each sender,
    /// by address and port, to one of them.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub fn bind_many(address: SocketAddr, asked: usize, count: usize) -> io::Result<Vec<Self>> {
        // Alone first: sockets that share their port would join another program's without a word.
        let alone = Self::open(address, asked, false, false)?;
        if count <= 1 {
            return Ok(vec![alone]);
        }
        drop(alone);
        let first = Self::open(address, asked, true, false)?;
        let address = first.local();
        let mut all = vec![first];
        for _ in 1..count {
            all.push(Self::open(address, asked, true, false)?);
        }
        Ok(all)
    }

    fn open(
        address: SocketAddr,
        asked: usize,
        shared: bool,
        tells_asked: bool,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(address.ip() != IpAddr::from([0u16; 8]))?;
        }
        // SO_RCVBUFFORCE needs CAP_NET_ADMIN and is not capped by net.core.rmem_max.
        if setsockopt(&socket, sockopt::RcvBufForce, &asked).is_err() {
            socket.set_recv_buffer_size(asked)?;
        }
        let granted = socket.recv_buffer_size()? / 2;
        if tells_asked {
            if address.is_ipv4() {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            } else {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        Ok(Self { socket, local, tells_asked, asked, granted })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The inode by which the kernel lists the socket.
    #[must_use]
    pub fn inode(&self) -> Option<u64> {
        super::kernel::inode(&self.socket)
    }

    /// Sends one answer to `peer`, from `from` where the socket listens on every address.
    ///
    /// # Errors
    ///
    /// The system's own; a full send buffer is an error, too (the peer repeats).
    pub fn answer(&self, bytes: &[u8], peer: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let to = SockaddrStorage::from(peer);
        let slices = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        match from.filter(|_| self.local.ip().is_unspecified()) {
            Some(IpAddr::V4(from)) => {
                let info = nix::libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
                    ipi_addr: nix::libc::in_addr { s_addr: 0 },
                };
                sendmsg(fd, &slices, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))?;
            }
            Some(IpAddr::V6(from)) => {
                let info = nix::libc::in6_pktinfo {
                    ipi6_addr: nix::libc::in6_addr { s6_addr: from.octets() },
                    ipi6_ifindex: 0,
                };
                sendmsg(fd, &slices, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))?;
            }
            None => {
                sendmsg(fd, &slices, &[], flags, Some(&to))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::Clock;
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    fn receiver(listener: &Listener) -> Receiver<'_> {
        Receiver::new(listener, &Clock::default(), &Counter::default())
    }

    #[tokio::test]
    async fn many_sockets_share_an_address_and_each_datagram_comes_to_one_of_them() {
        let all = Listener::bind_many("127.0.0.1:0".parse().unwrap(), 1 << 20, 4).unwrap();
        let address = all[0].local();
        assert!(all.iter().all(|listener| listener.local() == address));
        let inodes: std::collections::BTreeSet<_> = all.iter().map(Listener::inode).collect();
        assert_eq!(inodes.len(), 4);
        for _ in 0..64 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"x", address).unwrap();
        }
        let mut counts = Vec::new();
        for listener in &all {
            let (mut receiver, mut count) = (receiver(listener), 0);
            while receiver.take_now(|_, _, _| count += 1).unwrap() > 0 {}
            counts.push(count);
        }
        assert_eq!(counts.iter().sum::<usize>(), 64);
        assert!(counts.iter().filter(|count| **count > 0).count() > 1, "{counts:?}");
        // Another program cannot join, nor does this one join another.
        assert!(UdpSocket::bind(address).is_err());
        let other = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr();
        let held = UdpSocket::bind(other.unwrap()).unwrap();
        assert!(Listener::bind_many(held.local_addr().unwrap(), 1 << 20, 2).is_err());
    }

    #[tokio::test]
    async fn a_dual_stack_socket_shows_each_peer_by_its_own_address() {
        let Ok(listener) = Listener::bind("[::]:0".parse().unwrap(), 1 << 20) else {
            println!("skipped: this host has no IPv6");
            return;
        };
        let port = listener.local().port();
        let (mut receiver, mut seen) = (receiver(&listener), Vec::new());
        for (from, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let client = UdpSocket::bind(from).unwrap();
            client.send_to(b"x", (to, port)).unwrap();
            receiver.wait().await.unwrap();
            receiver.take(|_, peer, _| seen.push(peer)).unwrap();
            assert_eq!(seen.pop(), Some(client.local_addr().unwrap()));
        }
    }

    #[tokio::test]
    async fn datagrams_arrive_with_their_peer_and_answers_leave_from_the_address_that_was_asked() {
        let listener = Listener::bind("0.0.0.0:0".parse().unwrap(), 1 << 20).unwrap();
        let port = listener.local().port();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"one", ("127.0.0.9", port)).unwrap();
        client.send_to(b"", ("127.0.0.9", port)).unwrap();
        client.send_to(b"three", ("127.0.0.9", port)).unwrap();
        let (mut receiver, mut seen) = (receiver(&listener), Vec::new());
        while seen.len() < 3 {
            receiver.wait().await.unwrap();
            receiver.take(|bytes, peer, asked| seen.push((bytes.to_vec(), peer, asked))).unwrap();
        }
        let texts: Vec<&[u8]> = seen.iter().map(|s| s.0.as_slice()).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"three"]);
        assert_eq!(seen[0].1, client.local_addr().unwrap());
        assert_eq!(seen[0].2, Some("127.0.0.9".parse().unwrap()));
        listener.answer(b"yes", seen[0].1, seen[0].2).unwrap();
        let mut answer = [0; 8];
        let (length, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!(
            (&answer[..length], from.to_string()),
            (&b"yes"[..], format!("127.0.0.9:{port}"))
        );
    }
}
