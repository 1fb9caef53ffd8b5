//! What the kernel did with a UDP socket's datagrams: drops and waiting bytes per socket, from `/proc/self/net/udp`
//! (also there where a unit sees processes only, `ProcSubset=pid`).

use std::collections::HashMap;

/// One socket as the kernel lists it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpSocketState {
    /// Datagrams that were dropped because the receive buffer was full.
    pub drops: u64,
    /// Bytes that wait in it, with the kernel's overhead.
    pub waiting: u64,
}

/// Every UDP socket of this network namespace, by inode.
#[must_use]
pub fn udp_sockets() -> HashMap<u64, UdpSocketState> {
    let mut drops = HashMap::new();
    for path in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        if let Ok(text) = std::fs::read_to_string(path) {
            drops.extend(parse(&text));
        }
    }
    drops
}

/// Each line by its inode. The columns are the kernel's `udp4_format_sock`.
fn parse(text: &str) -> impl Iterator<Item = (u64, UdpSocketState)> {
    text.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let (_, waiting) = columns.nth(4)?.split_once(':')?;
        let waiting = u64::from_str_radix(waiting, 16).ok()?;
        let inode = columns.nth(4)?.parse().ok()?;
        let drops = columns.nth(2)?.parse().ok()?;
        Some((inode, UdpSocketState { drops, waiting }))
    })
}

/// The inode by which the kernel lists a socket.
#[must_use]
pub fn inode(socket: &impl std::os::fd::AsFd) -> Option<u64> {
    nix::sys::stat::fstat(socket).ok().map(|stat| stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_by_inode() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  507: 0100007F:158A 00000000:0000 07 00000000:00000500 00:00000000 00000000     0        0 4242 2 0000000000000000 17\n";
        assert_eq!(
            parse(text).collect::<Vec<_>>(),
            [(4242, UdpSocketState { drops: 17, waiting: 0x500 })]
        );
    }

    #[test]
    fn a_socket_of_this_process_is_listed() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let state = |socket| udp_sockets()[&inode(socket).unwrap()];
        assert_eq!(state(&socket), UdpSocketState::default());
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(state(&socket).waiting > 0, "{:?}", state(&socket));
    }
}
