//! How long what is kept: the policy, legal holds and archives, as every store keeps them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::{Timestamp, codes};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::store::{Actor, Change, StoreError};

/// How long what is kept. The default removes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Handled audit rows.
    pub handled: Duration,
    /// Unhandled audit rows.
    pub unhandled: Duration,
    /// Cleared alerts and ended deliveries.
    pub alerts: Duration,
    /// Attempts, also of deliveries that are kept longer.
    pub attempts: Duration,
    /// Receipts of batches; the newest of each shard are kept whatever their age, so that whatever
    /// the event queue may give again meets its receipt.
    pub receipts: Duration,
    /// The change log, and holds that were released.
    pub changes: Duration,
    /// The store's cap in bytes (SQLite).
    pub max_bytes: u64,
    /// Where audit rows are archived before they go; `None`: they are not.
    pub archive: Option<PathBuf>,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            handled: Duration::MAX,
            unhandled: Duration::MAX,
            alerts: Duration::MAX,
            attempts: Duration::MAX,
            receipts: Duration::MAX,
            changes: Duration::MAX,
            max_bytes: u64::MAX,
            archive: None,
        }
    }
}

/// What one round of upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Rows removed by retention, by table.
    pub removed: BTreeMap<String, u64>,
    /// Rows removed early because of the cap since the last round, also between rounds.
    pub removed_by_cap: u64,
    /// Partitions dropped (PostgreSQL).
    pub partitions: u64,
    /// Archives written.
    pub archives: u64,
    /// Their bytes.
    pub archived_bytes: u64,
    /// Another Remediation had the upkeep lease: nothing was done.
    pub elsewhere: bool,
    /// Why an archive could not be written: the folder and the system's words. What it was to hold
    /// stays; the rest of the round was done, and the round does not count as a whole one.
    pub archive_error: Option<String>,
}

impl Upkeep {
    /// Keeps the error of an archive until the round's end; any other ends the round at once.
    pub(crate) fn go_on_after(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Hindered { code, why, .. } if *code == codes::ARCHIVE_UNWRITABLE => {
                self.archive_error = Some(why);
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// Audit rows of these hosts and times outlive retention until the hold is released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHold {
    /// This host (exact, case-insensitive); `None` for every host.
    #[serde(default)]
    pub host: Option<String>,
    /// `received_at` not before; `None` for ever.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// `received_at` before; `None` for ever.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// A hold that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Given by the store.
    pub id: i64,
    /// Which rows.
    #[serde(flatten)]
    pub rows: NewHold,
    /// Why.
    pub reason: String,
    /// The token's name.
    pub who: String,
    /// Since when it stands.
    pub at: Timestamp,
    /// The archive whose restored rows it keeps.
    pub archive: Option<String>,
}

impl Hold {
    /// The change log's entry of what became of it: `hold` or `release`.
    pub(crate) fn change(&self, action: &str, actor: &Actor, now: Timestamp) -> Change {
        let shown = Some(json!(self));
        let (old, new) = if action == "release" { (shown, None) } else { (None, shown) };
        Change {
            id: 0,
            at: now,
            who: actor.name.clone(),
            object: "hold".to_owned(),
            object_id: self.id.to_string(),
            action: action.to_owned(),
            old,
            new,
            reason: actor.reason.clone(),
        }
    }
}

/// A whole archive of audit rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The file's name in `store.archive.dir`.
    pub name: String,
    /// `audit_handled` or `audit_unhandled`.
    pub table: String,
    /// `received_at` of its rows is not before this.
    pub from: Timestamp,
    /// And before this.
    pub until: Timestamp,
    /// Audit rows.
    pub rows: u64,
    /// The file's size.
    pub bytes: u64,
    /// SHA-256 of its rows as they were before they were compressed, hexadecimal.
    pub sha256: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// When its rows were put back last.
    pub restored_at: Option<Timestamp>,
}

/// What putting an archive back did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredArchive {
    /// The archive.
    pub archive: Archive,
    /// Rows that are in the audit again by this.
    pub rows: u64,
    /// Rows that stood there already.
    pub present: u64,
    /// The hold that shields them from retention until it is released.
    pub hold: i64,
}

/// Whether retention works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionState {
    /// The end of the last whole round, by the clock of whoever ran it.
    pub last_run: Option<Timestamp>,
    /// Holds that stand.
    pub holds: u64,
    /// Archives that are listed.
    pub archives: u64,
    /// Their bytes.
    pub archive_bytes: u64,
}

/// Holds and archives, and how retention goes.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Makes a hold, with its entry in the change log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] when it could hold no row, [`StoreError::Transient`].
    async fn add_hold(
        &self,
        hold: NewHold,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError>;

    /// The holds that stand, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// Releases a hold, with its entry in the change log; its rows go with the next round of retention
    /// when their time is over.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn release_hold(
        &self,
        id: i64,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Hold, StoreError>;

    /// Archives that were written or put back, newest rows first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn archives(&self) -> Result<Vec<Archive>, StoreError>;

    /// Puts the rows of an archive back into the audit, behind a hold. May be repeated: rows that
    /// stand there are left alone. Nothing of it is counted in the ledger, as nothing was when they
    /// went.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] when the file is not whole (nothing was put back),
    /// [`StoreError::NotFound`], [`StoreError::Transient`].
    async fn restore_archive(
        &self,
        file: &Path,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<RestoredArchive, StoreError>;

    /// Whether retention works, for metrics and doctor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn retention_state(&self) -> Result<RetentionState, StoreError>;
}

/// Holds at most; more of them would make every round of retention slow.
pub const HOLDS_MAX: u64 = 1_000;

/// Refuses a hold that could hold no row.
pub(crate) fn check_hold(hold: &NewHold) -> Result<(), StoreError> {
    let empty = matches!((hold.since, hold.until), (Some(since), Some(until)) if since >= until);
    let nameless = hold.host.as_deref().is_some_and(|host| host.trim().is_empty());
    match (empty, nameless) {
        (true, _) => Err(StoreError::Data("`until` must be after `since`".to_owned())),
        (_, true) => {
            Err(StoreError::Data("`host` is empty; leave it out for every host".to_owned()))
        }
        _ => Ok(()),
    }
}
