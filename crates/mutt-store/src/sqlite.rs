//! The embedded store on SQLite: one writer thread, a few readers, one file owned by one process.

use std::path::{Path, PathBuf};

use mutt_model::Clock;

use crate::signal::Signals;
use crate::store::{SignalStore, StoreError};

mod alerts;
mod audit;
mod backup;
mod cap;
mod commit;
mod counting;
mod deliveries;
mod engine;
mod holds;
mod lanes;
mod mibs;
mod open;
mod read;
mod replay;
mod rules;
mod settings;
mod sources;
mod take;
mod totals;
mod upkeep;

pub use backup::{restore, verify};
use engine::Engine;

/// How the embedded store is run.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// `store.max_bytes`: above it the oldest rows go: unhandled events, deliveries that are over,
    /// handled events, dead deliveries.
    pub max_bytes: u64,
    /// Reading threads; one of them is kept for short queries.
    pub readers: usize,
    /// Page cache of the writer in bytes; each reader has an eighth of it.
    pub cache_bytes: usize,
    /// The store's clock, for leases.
    pub clock: Clock,
    /// Seed of the ids that the store makes (alerts, deliveries); `None` for the machine's entropy.
    pub id_seed: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            max_bytes: 5 << 30,
            readers: 3,
            cache_bytes: 48 << 20,
            clock: Clock::System,
            id_seed: None,
        }
    }
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    engine: Engine,
    path: PathBuf,
    clock: Clock,
    signals: Signals,
    reports: settings::Reports,
}

impl SqliteStore {
    /// Opens or creates the store. Migrations run forward only, after a copy `<path>.before-vN`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`]: newer schema, in use by another process, or not to be opened.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let (lock, conn) = open::open(path, &options)?;
        let clock = options.clock.clone();
        let engine = Engine::start(lock, conn, path, &options)?;
        Ok(Self {
            engine,
            path: path.to_path_buf(),
            clock,
            signals: Signals::default(),
            reports: settings::Reports::default(),
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl SignalStore for SqliteStore {
    fn signals(&self) -> Signals {
        self.signals.clone()
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let refused = match &error {
            rusqlite::Error::SqliteFailure(e, _) => {
                matches!(e.code, Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch)
            }
            rusqlite::Error::ToSqlConversionFailure(_)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..) => true,
            _ => false,
        };
        if refused {
            Self::Data(error.to_string())
        } else {
            Self::Transient { doing: "answer", why: error.to_string() }
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Data(error.to_string())
    }
}
