//! `[store]`: the store's engine, how it is reached, how long what is kept.

use std::path::PathBuf;
use std::time::Duration;

use mutt_model::amount;
use serde::Serialize;

use super::{EngineTls, StoreUrl, size_text};
use crate::secrets::SecretRef;

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreConfig {
    /// Which engine, and where it is.
    pub url: StoreUrl,
    /// Current, next.
    pub password: Vec<SecretRef>,
    /// The role that owns the tables.
    pub owner: OwnerConfig,
    /// TLS to PostgreSQL.
    pub tls: StoreTls,
    /// Connections at most.
    pub pool: usize,
    /// Connecting may take this long.
    #[serde(with = "amount::duration_text")]
    pub connect_timeout: Duration,
    /// One statement may take this long.
    #[serde(with = "amount::duration_text")]
    pub statement_timeout: Duration,
    /// A statement waits this long for a lock.
    #[serde(with = "amount::duration_text")]
    pub lock_timeout: Duration,
    /// The store's cap (SQLite).
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
    /// How long what is kept.
    pub retention: RetentionConfig,
    /// What becomes of audit rows before they go.
    pub archive: ArchiveConfig,
}

/// `[store.archive]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchiveConfig {
    /// Where archives are written; `None`: nothing is archived.
    pub dir: Option<PathBuf>,
}

/// `[store.owner]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnerConfig {
    /// The role; none: the one of the URL.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
}

/// `[store.tls]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreTls {
    /// What is checked; `None`: everything, and no TLS on loopback and unix sockets.
    pub mode: Option<StoreTlsMode>,
    /// CA, certificate, key.
    #[serde(flatten)]
    pub files: EngineTls,
}

/// What TLS to PostgreSQL checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreTlsMode {
    /// No TLS.
    Off,
    /// Encrypted, the server is not checked.
    Require,
    /// The certificate is checked.
    VerifyCa,
    /// Certificate and name are checked.
    VerifyFull,
}

/// `[store.retention]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionConfig {
    /// Handled audit rows.
    #[serde(with = "amount::duration_text")]
    pub handled: Duration,
    /// Unhandled audit rows.
    #[serde(with = "amount::duration_text")]
    pub unhandled: Duration,
    /// Cleared alerts; ended deliveries.
    #[serde(with = "amount::duration_text")]
    pub alerts: Duration,
    /// Attempts.
    #[serde(with = "amount::duration_text")]
    pub attempts: Duration,
    /// Receipts of batches.
    #[serde(with = "amount::duration_text")]
    pub receipts: Duration,
    /// The change log.
    #[serde(with = "amount::duration_text")]
    pub changes: Duration,
    /// Sources that are not heard any more.
    #[serde(with = "amount::duration_text")]
    pub sources: Duration,
}
