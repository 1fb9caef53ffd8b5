//! `[ingestor.snmp]`: listeners, communities, SNMPv3 users, and what is known of devices.

use std::net::SocketAddr;
use std::time::Duration;

use mutt_model::{Secret, amount};
use mutt_wire::snmp::usm::PASSWORD_MIN;
use serde::Serialize;

use super::{ProxyProtocol, size_text};
use crate::net::network::Network;
use crate::secrets::SecretRef;

/// `[ingestor.snmp]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnmpConfig {
    /// Who may send, in the place of `ingestor.allow`.
    pub allow: Vec<Network>,
    /// UDP listeners.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners.
    pub tcp: Vec<SocketAddr>,
    /// Known communities; none: any, on loopback only.
    pub communities: Vec<SecretRef>,
    /// SNMPv3 users.
    pub users: Vec<SnmpUser>,
    /// What becomes of a v3 trap outside the time window.
    pub time_window: TimeWindow,
    /// Devices for which that is different.
    pub devices: Vec<SnmpDevices>,
    /// Whether TCP connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Whose headers are believed.
    pub proxy_sources: Vec<Network>,
    /// Most connections of one TCP listener.
    pub max_connections: usize,
    /// Most connections of one source to one TCP listener.
    pub max_connections_per_source: usize,
    /// A silent connection is closed after this.
    #[serde(with = "amount::duration_text")]
    pub idle_timeout: Duration,
    /// `SO_RCVBUF` of each socket.
    #[serde(serialize_with = "size_text")]
    pub receive_buffer: u64,
    /// Folders with MIB files; none: the usual ones.
    pub mib_dirs: Vec<String>,
}

/// `[[ingestor.snmp.users]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnmpUser {
    /// The security name.
    pub name: String,
    /// The one engine that it is of, in hexadecimal; `None`: every engine.
    pub engine_id: Option<String>,
    /// How its messages are authenticated.
    pub auth: Option<SnmpProtocol>,
    /// How they are encrypted.
    #[serde(rename = "priv")]
    pub privacy: Option<SnmpProtocol>,
}

impl SnmpUser {
    /// The name, with the engine where it is of one.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.engine_id {
            Some(engine_id) => format!("{}@{engine_id}", self.name),
            None => self.name.clone(),
        }
    }

    /// The key under which the secrets of `part` (`auth` or `priv`) stand.
    #[must_use]
    pub fn slot(&self, part: &str) -> String {
        format!("ingestor.snmp.users.{}.{part}.secret", self.label())
    }

    /// Its secrets with their keys.
    pub(super) fn secret_refs(&self) -> impl Iterator<Item = (String, &SecretRef)> {
        let parts = [("auth", &self.auth), ("priv", &self.privacy)];
        parts.into_iter().flat_map(move |(part, protocol)| {
            let secrets = protocol.iter().flat_map(|protocol| &protocol.secret);
            secrets.map(move |secret| (self.slot(part), secret))
        })
    }
}

/// `auth = { protocol, secret }`, `priv = { protocol, secret }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnmpProtocol {
    /// A name that mutt-wire knows.
    pub protocol: String,
    /// Current, next.
    pub secret: Vec<SecretRef>,
}

/// `ingestor.snmp.time_window`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeWindow {
    /// The trap is dropped and counted.
    Reject,
    /// It is taken and flagged.
    Warn,
}

/// `[[ingestor.snmp.devices]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnmpDevices {
    /// Their addresses.
    pub sources: Vec<Network>,
    /// What becomes of their traps outside the time window.
    pub time_window: TimeWindow,
}

/// Why a secret cannot be an SNMPv3 user's; `None` for one that can, and for any other secret.
pub(super) fn unfit(key: &str, secret: &Secret) -> Option<String> {
    let is_short = secret.expose().len() < PASSWORD_MIN;
    (key.starts_with("ingestor.snmp.users.") && is_short).then(|| {
        format!("the password has fewer than {PASSWORD_MIN} octets, which no device takes")
    })
}
