//! How configuration becomes what the store needs to reach PostgreSQL.

use mutt_model::codes::{self, Code};
use mutt_store::postgres::{PgOptions, PgRole, TlsMode};

use crate::config::{Config, StoreTlsMode, StoreUrl};
use crate::secrets::Keyring;

/// Why PostgreSQL cannot be used as configured.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What `muttctl explain` tells about.
    pub code: &'static Code,
    /// What is wrong.
    pub why: String,
}

/// The options for a process of this name (`mutt-<service>`); its passwords follow the keyring.
///
/// # Errors
///
/// When the store is not PostgreSQL.
pub fn options(
    config: &Config,
    application: &str,
    keyring: &Keyring,
) -> Result<PgOptions, Refused> {
    let store = &config.store;
    let StoreUrl::Postgres(url) = &store.url else {
        let why = "the store is SQLite, which needs none of this: store.url is not postgres://...";
        return Err(Refused { code: &codes::USAGE, why: why.to_owned() });
    };
    let owner = store
        .owner
        .user
        .as_ref()
        .map(|user| PgRole { user: user.clone(), passwords: keyring.live("store.owner.password") });
    let tls = store.tls.mode.map(|mode| match mode {
        StoreTlsMode::Off => TlsMode::Disable,
        StoreTlsMode::Require => TlsMode::Require,
        StoreTlsMode::VerifyCa => TlsMode::VerifyCa,
        StoreTlsMode::VerifyFull => TlsMode::VerifyFull,
    });
    let files = &store.tls.files;
    Ok(PgOptions {
        passwords: keyring.live("store.password"),
        owner,
        tls,
        ca: files.ca.clone(),
        cert: files.cert.clone(),
        key: files.key.as_ref().map(|_| keyring.live("store.tls.key")),
        pool_size: store.pool,
        connect_timeout: store.connect_timeout,
        statement_timeout: store.statement_timeout,
        lock_timeout: store.lock_timeout,
        application: application.to_owned(),
        ..PgOptions::new(url.clone())
    })
}
