//! Listeners of HTTP, and who may use them: keys of ingest, tokens of API and pages.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mutt_model::amount;
use serde::Serialize;

use super::{rate_text, size_text};
use crate::net::network::Network;
use crate::secrets::SecretRef;

/// `[ingestor.http]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpListener {
    /// Who may send, in the place of `ingestor.allow`.
    pub allow: Vec<Network>,
    /// Address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// TLS of our own.
    pub tls: Option<TlsConfig>,
    /// A proxy in front does TLS.
    pub behind_proxy: bool,
    /// Who may send. Empty: the first-start key in `<data_dir>/ingest-key`.
    pub keys: Vec<IngestKey>,
    /// Largest body, packed and unpacked.
    #[serde(serialize_with = "size_text")]
    pub max_body: u64,
    /// Most records in one request.
    pub max_records: usize,
    /// Most connections at one time.
    pub max_connections: usize,
    /// How long one request may take to arrive.
    #[serde(with = "amount::duration_text")]
    pub request_timeout: Duration,
}

/// `tls = { cert, key, client_ca }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsConfig {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: SecretRef,
    /// Clients must show a certificate of this CA.
    pub client_ca: Option<PathBuf>,
}

/// `[[ingestor.http.keys]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IngestKey {
    /// Who it belongs to, for logs and metrics.
    pub name: String,
    /// Current, next.
    pub key: Vec<SecretRef>,
    /// Events per second; none: no limit.
    #[serde(serialize_with = "rate_text")]
    pub rate: Option<f64>,
    /// Events at once; none: ten seconds of the rate.
    pub burst: Option<u64>,
}

/// `[web_ui]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebUiConfig {
    /// Address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// TLS of our own.
    pub tls: Option<TlsConfig>,
    /// A proxy in front does TLS.
    pub behind_proxy: bool,
    /// Who may use API and UI. Empty: the first-start token in `<data_dir>/admin-token`.
    pub tokens: Vec<ApiToken>,
    /// Most connections at one time.
    pub max_connections: usize,
}

/// `[[web_ui.tokens]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    /// Who, in the change log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Current, next.
    pub token: Vec<SecretRef>,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Read; act on alerts, deliveries and lanes.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The name in configuration and API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
