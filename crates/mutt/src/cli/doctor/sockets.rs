//! Who has which port, from `/proc`.

use std::net::SocketAddr;

use super::{Context, Finding};

/// Processes by id with their short names.
pub(super) fn processes() -> impl Iterator<Item = (u32, String)> {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    })
}

/// Every configured port is free, or taken by MUTT.
pub(super) fn ports(context: &Context) -> Vec<Finding> {
    let wanted = context.config.listens().into_iter().filter(|each| each.address.port() != 0);
    let mut findings: Vec<Finding> =
        wanted.filter_map(|each| taken(context, each.protocol, each.key, each.address)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("every configured port is free or MUTT's own"));
    }
    findings
}

fn taken(context: &Context, protocol: &str, key: &str, address: SocketAddr) -> Option<Finding> {
    let inode = socket_inode(protocol, address.port());
    let running = context.api.is_some();
    match inode {
        None if running => Some(Finding::warn(
            format!("nothing listens on {address} ({key})"),
            "muttctl status; does this configuration belong to the running program?",
        )),
        None => None,
        Some(inode) => {
            let (pid, name) = owner(inode)?;
            // Also one that lies under the name of its version.
            (!name.starts_with("muttctl")).then(|| {
                Finding::bad(
                    format!("{address} ({key}) is taken by {name}, process {pid}"),
                    format!("stop it (kill {pid}), or choose another port under {key}"),
                )
            })
        }
    }
}

/// The inode of a listening (TCP) or bound (UDP) socket on this port.
fn socket_inode(protocol: &str, port: u16) -> Option<u64> {
    ["", "6"].iter().find_map(|version| {
        let table = std::fs::read_to_string(format!("/proc/net/{protocol}{version}")).ok()?;
        table.lines().skip(1).find_map(|line| row(line, protocol, port))
    })
}

fn row(line: &str, protocol: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let matches = u16::from_str_radix(local_port, 16).ok()? == port;
    let listens = protocol == "udp" || *fields.get(3)? == LISTEN;
    if matches && listens { fields.get(9)?.parse().ok() } else { None }
}

/// The process that holds a socket; `None` when it belongs to another user.
fn owner(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    processes().find(|(pid, _)| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.into_iter().any(|fd| {
            std::fs::read_link(fd.path()).is_ok_and(|link| link.to_str() == Some(wanted.as_str()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_ours_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pid, _) = owner(socket_inode("tcp", port).unwrap()).unwrap();
        assert_eq!(pid, std::process::id());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(socket_inode("udp", port).is_some());
        drop(socket);
        assert!(socket_inode("udp", port).is_none());
    }
}
