//! Locks of keys: whoever changes alerts or deliveries of a key holds its lock until the transaction's
//! end, so that no two see half of each other's work and no two wait for each other.

use std::collections::BTreeSet;

use super::Conn;
use crate::counting::hash;
use crate::store::StoreError;

/// The share of the server's table of locks that one transaction may take for keys; above it the whole
/// space is locked instead. No more than the shards (8) commit at one time, and they leave half of it.
const SHARE: i64 = 16;
/// What it may take at least: a server as it is packaged has room for 6,400.
const KEYS_MIN: usize = 384;
/// "MUTT": the first half of this program's advisory locks.
const SPACE: i32 = 0x4d55_5454;
/// The second half for the whole space of keys; partitions and migrations have 1 and 2.
const ALL_KEYS: i32 = 3;

/// The statements, for those who send them together with others.
pub(super) const SHARED: &str = "SELECT pg_advisory_xact_lock_shared($1, $2)";
/// unnest keeps the order of the array.
pub(super) const EACH: &str = "SELECT pg_advisory_xact_lock(h) FROM unnest($1::bigint[]) AS h";
pub(super) const ALL: &str = "SELECT pg_advisory_xact_lock($1, $2)";

/// Keys that one transaction may lock one by one on a server with room for so many locks.
pub(super) fn keys_max(table: i64) -> usize {
    usize::try_from(table / SHARE).unwrap_or(usize::MAX).max(KEYS_MIN)
}

/// Takes the locks of these keys, in an order that is the same for everybody. To be called once in a
/// transaction, before it reads what it changes: each statement sees what was committed before it. When
/// its statements are prepared they leave at the first poll, before what is polled after it.
///
/// # Errors
///
/// [`StoreError::Transient`] when `lock_timeout` passes.
pub(crate) async fn keys(
    conn: &Conn,
    keys: impl IntoIterator<Item = &str>,
) -> Result<(), StoreError> {
    let hashes: BTreeSet<i64> =
        keys.into_iter().map(|key| hash(&["key", key]).cast_signed()).collect();
    if hashes.is_empty() {
        return Ok(());
    }
    if hashes.len() > conn.keys_max() {
        return all(conn).await;
    }
    let hashes: Vec<i64> = hashes.into_iter().collect();
    conn.ready(&[SHARED, EACH]).await?;
    let (shared, each) = futures_util::future::join(
        conn.run(SHARED, &[&SPACE, &ALL_KEYS]),
        conn.run(EACH, &[&hashes]),
    )
    .await;
    shared?;
    each?;
    Ok(())
}

/// Takes the lock of all keys.
///
/// # Errors
///
/// [`StoreError::Transient`] when `lock_timeout` passes.
pub(crate) async fn all(conn: &Conn) -> Result<(), StoreError> {
    conn.run(ALL, &[&SPACE, &ALL_KEYS]).await?;
    Ok(())
}
