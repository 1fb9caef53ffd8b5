//! Name resolution that never leads to an address no sink has (the metadata service of a cloud above
//! all). Private addresses are allowed: most sinks stand there.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Checks what a name resolved to, in the connector, so that no later answer of the name server can
/// differ from what was checked.
#[derive(Debug)]
pub(super) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(allowed(found)?.into_iter()) as Addrs)
        })
    }
}

fn allowed(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, std::io::Error> {
    let usable: Vec<SocketAddr> = found.filter(|at| !never_a_sink(at.ip())).collect();
    if usable.is_empty() {
        return Err(std::io::Error::other("the name has no address that a sink can have"));
    }
    Ok(usable)
}

/// Link-local, multicast, broadcast and unspecified addresses.
pub(super) fn never_a_sink(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_no_sink_has_are_left_out() {
        let check = |text: &str, never: bool| {
            assert_eq!(never_a_sink(text.parse().unwrap()), never, "{text}");
        };
        for text in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "ff02::1", "::"] {
            check(text, true);
        }
        for text in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
            check(text, true);
        }
        for text in ["127.0.0.1", "10.0.0.1", "192.0.2.1", "::1", "fd00::1", "2001:db8::1"] {
            check(text, false);
        }
        let both = ["169.254.1.1:0", "10.0.0.1:0"].map(|text| text.parse().unwrap());
        assert_eq!(allowed(both.into_iter()).unwrap(), [both[1]]);
        assert!(allowed(both[..1].iter().copied()).is_err());
    }
}
