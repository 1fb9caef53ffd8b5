//! What keeps the store itself: clearing by age, retention, backup and restore.

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::alert::SinkRoute;

use super::{RetentionPolicy, StoreError, Upkeep};

/// Remediation's side, and what keeps the store itself.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Clears open alerts whose `clear_after` has passed, with their deliveries; at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`].
    async fn clear_aged(
        &self,
        sinks: &[SinkRoute],
        limit: usize,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Removes what the policy says, in small transactions; archives audit rows before, where it says
    /// so. Keeps what a hold covers, and rule-set versions that audit rows name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`]; what was done until then stays done.
    async fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Upkeep, StoreError>;

    /// A consistent copy of the whole store into a new file, while running.
    /// `progress` is called with (pages done, pages in all).
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`], [`StoreError::Conflict`] when the target exists.
    async fn backup(
        &self,
        target: &std::path::Path,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<(), StoreError>;

    /// Puts a backup in the place of the whole store, while running, in one transaction; commits wait
    /// meanwhile, but not while it is verified. What was counted of events and the generations of the
    /// shards are carried over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Data`] when the backup is not whole, [`StoreError::Open`] when it is newer,
    /// [`StoreError::Conflict`], [`StoreError::Transient`]; the store is unchanged in each case.
    async fn restore(&self, backup: &std::path::Path) -> Result<(), StoreError>;

    /// Bytes on disk.
    fn bytes(&self) -> u64;

    /// Finishes what was begun and releases files.
    async fn close(&self);
}
