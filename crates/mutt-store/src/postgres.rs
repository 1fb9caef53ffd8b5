//! The store of several processes on PostgreSQL 13 and later: partitions, receipts, COPY, two roles.
//!
//! A transaction that changes alerts or deliveries of a key first takes the key's lock
//! ([`locks::keys`]), all of its keys in one call: that takes the place of SQLite's one writer. What is
//! counted is kept by slot (the shard, or [`NO_SHARD`]), so that commits of two shards share no row.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::secret::LiveSecrets;
use mutt_model::{Clock, IdSource};

use crate::signal::Signals;
use crate::state::EngineState;
use crate::store::{OpenError, SignalStore, StoreError};

mod alerts;
mod alerts_read;
mod audit;
mod commit;
mod copy;
mod counts;
mod deliveries;
mod ends;
mod errors;
mod lanes;
mod locks;
mod mibs;
mod migrate;
mod open;
mod partitions;
mod pool;
mod read;
mod receipts;
mod replay;
mod retention;
mod rules;
mod schema;
mod search;
mod settings;
mod signal;
mod sources;
mod tail;
mod take;
mod target;
mod tls;
mod together;
mod transaction;
mod turn;
mod types;
mod upkeep;
pub mod v2;
mod verify;

pub use migrate::{Migrated, SchemaState, migrate, status};
pub(crate) use pool::Conn;
use pool::Pool;
pub use target::TlsMode;
pub use types::identifier;
pub use verify::{AuditFault, AuditFinding, AuditVerify};

/// The slot of what belongs to no shard: changes by hand, by age, by Forwarders, by retention.
pub(crate) const NO_SHARD: i32 = -1;

/// A role with its passwords.
#[derive(Clone, Debug)]
pub struct PgRole {
    /// The role's name.
    pub user: String,
    /// The current password and the next one; tried in order. Empty: none is sent.
    pub passwords: LiveSecrets,
}

/// How PostgreSQL is reached and used.
#[derive(Clone, Debug)]
pub struct PgOptions {
    /// `postgres://user@host[:port][,host[:port]]/db[?sslmode=...]`. A host that begins with `/`
    /// (written `%2F`) is the directory of a Unix socket. It holds no password.
    pub url: String,
    /// Passwords of the URL's user: the current one and the next one; tried in order.
    pub passwords: LiveSecrets,
    /// The role that owns the schema: migrations, retention. `None`: the URL's user is the owner.
    pub owner: Option<PgRole>,
    /// Protection of the connection; `None`: the URL's `sslmode`, else verify-full, and nothing on
    /// Unix sockets and loopback.
    pub tls: Option<TlsMode>,
    /// The certificate authorities to trust (PEM); `None`: the URL's `sslrootcert`, else the host's.
    pub ca: Option<PathBuf>,
    /// The client's certificate (PEM).
    pub cert: Option<PathBuf>,
    /// Its key (PEM), which may change while it is used: each connection looks anew.
    pub key: Option<LiveSecrets>,
    /// Connections at most, beside the one that listens and the owner's two.
    pub pool_size: usize,
    /// For each connection that is made.
    pub connect_timeout: Duration,
    /// `statement_timeout` of each connection.
    pub statement_timeout: Duration,
    /// `lock_timeout` of each connection.
    pub lock_timeout: Duration,
    /// `application_name`: `mutt-<service>`.
    pub application: String,
    /// Seed of the ids that the store makes; `None` for the machine's entropy.
    pub id_seed: Option<u64>,
    /// Takes a server whose fsync is off. For tests.
    pub accept_no_fsync: bool,
}

impl PgOptions {
    /// The services' role: the URL's user.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        target::Target::new(self, None).ok().map(|target| target.user().to_owned())
    }

    /// With this URL and the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            passwords: LiveSecrets::default(),
            owner: None,
            tls: None,
            ca: None,
            cert: None,
            key: None,
            pool_size: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            application: "mutt".to_owned(),
            id_seed: None,
            accept_no_fsync: false,
        }
    }
}

/// The store on PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    /// The owner's connections: retention, partitions.
    owners: Arc<Pool>,
    clock: Clock,
    signals: Signals,
    ids: std::sync::Mutex<IdSource>,
    /// Days whose partitions are known to stand.
    days: std::sync::Mutex<HashSet<i64>>,
    /// Who this process is when it leases upkeep.
    upkeep_owner: String,
    /// The database's size when retention last looked.
    bytes: std::sync::atomic::AtomicU64,
    keeper: tokio::task::AbortHandle,
}

impl PostgresStore {
    /// Returns at once and connects in the background; see [`SignalStore::state`] for how it stands.
    /// Nothing is migrated. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] for options that cannot work: the URL, the TLS files.
    pub fn open(options: &PgOptions, clock: Clock) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Open(OpenError::Other(why));
        let target = target::Target::new(options, None).map_err(wrong)?;
        let owner = options.owner.as_ref();
        let owner_target = target::Target::new(options, owner).map_err(wrong)?;
        let signals = Signals::default();
        let pool = Arc::new(Pool::new(target, options.pool_size, clock.clone()));
        let owners = Arc::new(Pool::new(owner_target, 2, clock.clone()));
        let keeper = open::keep(Arc::clone(&pool), Arc::clone(&owners), signals.clone());
        let ids = options.id_seed.map_or_else(IdSource::from_entropy, IdSource::new);
        Ok(Self {
            pool,
            owners,
            clock,
            signals,
            ids: std::sync::Mutex::new(ids),
            days: std::sync::Mutex::default(),
            upkeep_owner: format!("{}-{:016x}", options.application, fastrand::u64(..)),
            bytes: std::sync::atomic::AtomicU64::new(0),
            keeper,
        })
    }

    /// A connection for statements outside transactions, [`Conn::begin`] for one. Quick to say
    /// [`StoreError::Transient`] while PostgreSQL is away.
    pub(crate) async fn conn(&self, doing: &'static str) -> Result<Conn, StoreError> {
        self.pool.conn(doing).await
    }

    /// A connection of the owner's role, for what the services' role may not do.
    pub(crate) async fn owner_conn(&self, doing: &'static str) -> Result<Conn, StoreError> {
        self.owners.conn(doing).await
    }

    /// The next id for what the store makes.
    pub(crate) fn next_id(&self, at: mutt_model::Timestamp) -> mutt_model::Id {
        self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next(at)
    }

    /// The store's clock, for leases: the server's, or the one that a test moves by hand.
    pub(crate) async fn now(&self, conn: &Conn) -> Result<mutt_model::Timestamp, StoreError> {
        if let Clock::Manual(_) = self.clock {
            return Ok(self.clock.wall());
        }
        let row = conn
            .one("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint", &[])
            .await?;
        Ok(mutt_model::Timestamp(row.get(0)))
    }

    /// Ends all connections; calls are refused from now on.
    pub(crate) fn shut(&self) {
        self.keeper.abort();
        self.pool.shut();
        self.owners.shut();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shut();
    }
}

impl SignalStore for PostgresStore {
    fn signals(&self) -> Signals {
        self.signals.clone()
    }

    fn state(&self) -> EngineState {
        self.pool.state()
    }
}
