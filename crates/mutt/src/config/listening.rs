//! The addresses that a configuration listens on, and that no two of them are the same.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::error::ConfigError;
use super::tree::Node;
use super::{Config, StreamListener};

/// One address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// `udp` or `tcp`.
    pub protocol: &'static str,
    /// The key that names it.
    pub key: &'static str,
    /// Where.
    pub address: SocketAddr,
}

impl Config {
    /// What the Ingestor listens on.
    #[must_use]
    pub fn ingestor_listens(&self) -> Vec<Listening> {
        let (syslog, snmp) = (&self.ingestor.syslog, &self.ingestor.snmp);
        let streams =
            |doors: &[StreamListener]| doors.iter().map(|door| door.listen).collect::<Vec<_>>();
        let http = self.ingestor.http.iter().map(|http| http.listen).collect();
        let lists = [
            ("tcp", "ingestor.http.listen", http),
            ("udp", "ingestor.syslog.udp", syslog.udp.clone()),
            ("tcp", "ingestor.syslog.tcp", syslog.tcp.clone()),
            ("tcp", "ingestor.syslog.tls", streams(&syslog.tls)),
            ("tcp", "ingestor.syslog.relp", streams(&syslog.relp)),
            ("udp", "ingestor.snmp.udp", snmp.udp.clone()),
            ("tcp", "ingestor.snmp.tcp", snmp.tcp.clone()),
        ];
        let each = |(protocol, key, list): (_, _, Vec<SocketAddr>)| {
            list.into_iter().map(move |address| Listening { protocol, key, address })
        };
        lists.into_iter().flat_map(each).collect()
    }

    /// What all services listen on.
    #[must_use]
    pub fn listens(&self) -> Vec<Listening> {
        let (alerter, forwarder, remediation) =
            (&self.alerter, &self.moog_forwarder, &self.remediation);
        let others = [
            ("alerter.listen", Some(alerter.listen)),
            ("alerter.metrics_listen", alerter.metrics_listen),
            ("moog_forwarder.listen", Some(forwarder.listen)),
            ("moog_forwarder.metrics_listen", forwarder.metrics_listen),
            ("remediation.listen", Some(remediation.listen)),
            ("remediation.metrics_listen", remediation.metrics_listen),
            ("web_ui.listen", Some(self.web_ui.listen)),
        ];
        let others = others.into_iter().filter_map(|(key, address)| {
            Some(Listening { protocol: "tcp", key, address: address? })
        });
        self.ingestor_listens().into_iter().chain(others).collect()
    }
}

/// Two listeners of the Ingestor cannot have one address. Services may run on hosts of their own, so
/// theirs may be the same.
pub(super) fn check(config: &Config, root: &Node, errors: &mut Vec<ConfigError>) {
    let all = config.ingestor_listens();
    for (at, second) in all.iter().enumerate() {
        let Some(first) = all[..at].iter().find(|first| collide(first, second)) else { continue };
        let path: Vec<&str> = second.key.split('.').collect();
        let (key, here, there) = (second.key, second.address, first.address);
        let why = if here == there {
            format!("{here} is taken by {}; allowed: each address once", first.key)
        } else {
            // Said, since many write both to hear both.
            let whole = if here.ip().is_unspecified() { here } else { there };
            format!(
                "{here} and {there} of {} are one address: {whole} has them all{}; allowed: one of them",
                first.key,
                if whole.is_ipv6() { ", IPv4 and IPv6" } else { "" },
            )
        };
        errors.push(ConfigError::value(root.origin_of(&path), key, format!("`{key}`: {why}")));
    }
}

fn collide(a: &Listening, b: &Listening) -> bool {
    let (x, y) = (a.address, b.address);
    if a.protocol != b.protocol || x.port() != y.port() || x.port() == 0 {
        return false;
    }
    // `[::]` hears IPv4, too; `0.0.0.0` hears IPv4 only.
    let covers = |all: IpAddr, one: IpAddr| {
        all == one
            || all == Ipv6Addr::UNSPECIFIED
            || all.is_unspecified() && all.is_ipv4() == one.is_ipv4()
    };
    covers(x.ip(), y.ip()) || covers(y.ip(), x.ip())
}
