//! `[ingestor.syslog]`: listeners of syslog and RELP, and what bounds them.

use std::net::SocketAddr;
use std::time::Duration;

use mutt_model::amount;
use serde::Serialize;

use super::{TlsConfig, size_text};
use crate::net::network::Network;

/// `[ingestor.syslog]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyslogConfig {
    /// Who may send, in the place of `ingestor.allow`.
    pub allow: Vec<Network>,
    /// UDP listeners.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners.
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners.
    pub tls: Vec<StreamListener>,
    /// RELP listeners, with and without TLS.
    pub relp: Vec<StreamListener>,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Whose headers are believed.
    pub proxy_sources: Vec<Network>,
    /// Sockets of each UDP address.
    pub udp_sockets: usize,
    /// Longest message; longer ones are cut and flagged.
    #[serde(serialize_with = "size_text")]
    pub max_message: u64,
    /// Most connections of one listener.
    pub max_connections: usize,
    /// Most connections of one source to one listener.
    pub max_connections_per_source: usize,
    /// A message that was begun must be whole after this.
    #[serde(with = "amount::duration_text")]
    pub message_timeout: Duration,
    /// When the kernel asks whether a silent sender is there.
    #[serde(with = "amount::duration_text")]
    pub keepalive: Duration,
    /// A silent connection is closed after this.
    #[serde(with = "amount::duration_text")]
    pub idle_timeout: Duration,
    /// `SO_RCVBUF` of each UDP socket.
    #[serde(serialize_with = "size_text")]
    pub receive_buffer: u64,
    /// The zone of stamps that carry none: a name or an offset.
    pub zone: String,
    /// Sources whose clocks run in another zone; the first that matches.
    pub zones: Vec<SourceZone>,
}

/// One of `[[ingestor.syslog.zones]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceZone {
    /// Addresses, networks, names of hosts with `*`.
    pub sources: Vec<String>,
    /// A name or an offset.
    pub zone: String,
}

/// `[[ingestor.syslog.tls]]`, `[[ingestor.syslog.relp]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamListener {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate and key; `None`: in clear.
    #[serde(flatten)]
    pub tls: Option<TlsConfig>,
}

/// `ingestor.syslog.proxy_protocol`, `ingestor.snmp.proxy_protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// Connections come from the devices themselves.
    Off,
    /// Connections come from proxies and begin with a header.
    Required,
}

impl ProxyProtocol {
    /// Whose headers are required and believed; `None`: there is no header.
    #[must_use]
    pub fn believed(self, sources: &[Network]) -> Option<Vec<Network>> {
        (self == Self::Required).then(|| sources.to_vec())
    }
}
