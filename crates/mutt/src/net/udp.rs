//! UDP listeners: many datagrams for one call of the kernel, and answers from the address that was
//! asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmsg, setsockopt, sockopt,
};
use prometheus_client::metrics::counter::Counter;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket as AsyncSocket;

/// Datagrams that are taken from the kernel in one call.
pub const DATAGRAMS_PER_CALL: usize = 64;
/// The largest UDP payload.
pub const DATAGRAM_MAX: usize = 65_535;

/// A bound UDP socket.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncSocket,
    local: SocketAddr,
    /// Receive buffer in bytes that was asked for.
    pub asked: usize,
    /// Receive buffer in bytes that the kernel granted (it counts its own overhead, too).
    pub granted: usize,
}

impl Listener {
    /// Binds `address` and asks for a receive buffer of `asked` bytes. Must be called inside the
    /// runtime.
    ///
    /// # Errors
    ///
    /// The system's own, when the address is taken or not permitted.
    pub fn bind(address: SocketAddr, asked: usize) -> io::Result<Self> {
        Self::open(address, asked, false)
    }

    /// Binds so many sockets to one address; the kernel gives each sender, by address and port, to one
    /// of them.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub fn bind_many(address: SocketAddr, asked: usize, count: usize) -> io::Result<Vec<Self>> {
        if count <= 1 {
            return Ok(vec![Self::bind(address, asked)?]);
        }
        // Alone first: sockets that share their port would join another program's without a word.
        drop(Self::open(address, asked, false)?);
        let first = Self::open(address, asked, true)?;
        let address = first.local();
        let mut all = vec![first];
        for _ in 1..count {
            all.push(Self::open(address, asked, true)?);
        }
        Ok(all)
    }

    fn open(address: SocketAddr, asked: usize, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(address.ip() != IpAddr::from([0u16; 8]))?;
        }
        // SO_RCVBUFFORCE needs CAP_NET_ADMIN and is not capped by net.core.rmem_max.
        if setsockopt(&socket, sockopt::RcvBufForce, &asked).is_err() {
            socket.set_recv_buffer_size(asked)?;
        }
        let granted = socket.recv_buffer_size()? / 2;
        if address.ip().is_unspecified() {
            // The address that was asked is needed to answer from it.
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
        Ok(Self { socket: AsyncSocket::from_std(socket)?, local, asked, granted })
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

    /// Waits for datagrams and takes up to [`DATAGRAMS_PER_CALL`].
    ///
    /// # Errors
    ///
    /// The system's own.
    pub async fn receive(
        &self,
        room: &mut Room,
        mut each: impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            let fill = || room.fill(self.socket.as_raw_fd(), &mut each);
            match self.socket.try_io(Interest::READABLE, fill) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Takes what the kernel already holds; `Ok(0)` when that is nothing.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn receive_now(
        &self,
        room: &mut Room,
        mut each: impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        match room.fill(self.socket.as_raw_fd(), &mut each) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
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

/// Buffers for one receiving task.
pub struct Room {
    buffers: Vec<Vec<u8>>,
    /// Datagrams that the kernel gave, whatever becomes of them.
    arrived: Counter,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Room({})", self.buffers.len())
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::counting(&Counter::default())
    }
}

impl Room {
    /// Counts each datagram that comes into it.
    #[must_use]
    pub fn counting(arrived: &Counter) -> Self {
        Self {
            arrived: arrived.clone(),
            // Zeroed pages that no datagram touches cost no memory.
            buffers: (0..DATAGRAMS_PER_CALL).map(|_| vec![0; DATAGRAM_MAX]).collect(),
        }
    }

    fn fill(
        &mut self,
        socket: RawFd,
        each: &mut impl FnMut(&[u8], SocketAddr, Option<IpAddr>),
    ) -> io::Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
        // Headers hold pointers and so cannot outlive the call in a task that changes threads; one
        // allocation for up to 64 datagrams is little.
        let space = nix::cmsg_space!(nix::libc::in_pktinfo, nix::libc::in6_pktinfo);
        let mut headers: MultiHeaders<SockaddrStorage> =
            MultiHeaders::preallocate(DATAGRAMS_PER_CALL, Some(space));
        let received =
            recvmmsg(socket, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for message in received {
            count += 1;
            self.arrived.inc();
            let Some(peer) = message.address.as_ref().and_then(socket_address) else { continue };
            let asked = message.cmsgs().ok().and_then(|mut list| list.find_map(|m| asked(&m)));
            let bytes = message.iovs().next().unwrap_or_default();
            each(bytes, peer, asked);
        }
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
    use super::*;

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
        let (mut room, mut counts) = (Room::default(), Vec::new());
        for listener in &all {
            let mut count = 0;
            while listener.receive_now(&mut room, |_, _, _| count += 1).unwrap() > 0 {}
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
        let (mut room, mut seen) = (Room::default(), Vec::new());
        for (from, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let client = UdpSocket::bind(from).unwrap();
            client.send_to(b"x", (to, port)).unwrap();
            listener.receive(&mut room, |_, peer, _| seen.push(peer)).await.unwrap();
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
        let (mut room, mut seen) = (Room::default(), Vec::new());
        while seen.len() < 3 {
            listener
                .receive(&mut room, |bytes, peer, asked| seen.push((bytes.to_vec(), peer, asked)))
                .await
                .unwrap();
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
