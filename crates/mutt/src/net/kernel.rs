//! What the kernel did with a UDP socket's datagrams: drops per socket, from `/proc/self/net/udp`
//! (also there where a unit sees processes only, `ProcSubset=pid`).

use std::collections::HashMap;

/// Drops of every UDP socket of this network namespace, by inode.
#[must_use]
pub fn udp_drops() -> HashMap<u64, u64> {
    let mut drops = HashMap::new();
    for path in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        if let Ok(text) = std::fs::read_to_string(path) {
            drops.extend(parse(&text));
        }
    }
    drops
}

/// (inode, drops) of each line. The columns are the kernel's `udp4_format_sock`.
fn parse(text: &str) -> impl Iterator<Item = (u64, u64)> {
    text.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let inode = columns.nth(9)?.parse().ok()?;
        let drops = columns.nth(2)?.parse().ok()?;
        Some((inode, drops))
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
    fn drops_are_read_by_inode() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  507: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0000000000000000 17\n";
        assert_eq!(parse(text).collect::<Vec<_>>(), [(4242, 17)]);
    }

    #[test]
    fn a_socket_of_this_process_is_listed() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(udp_drops().get(&inode(&socket).unwrap()), Some(&0));
    }
}
