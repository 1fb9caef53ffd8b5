//! Locks of keys: whoever changes alerts or deliveries of a key holds its lock until the transaction's
//! end, so that no two see half of each other's work and no two wait for each other.

use std::collections::BTreeSet;

use super::Conn;
use crate::counting::hash;
use crate::store::StoreError;

/// Above so many keys the whole space is locked instead: the server's table of locks is bounded.
const KEYS_MAX: usize = 384;
/// "MUTT": the first half of this program's advisory locks.
const SPACE: i32 = 0x4d55_5454;
/// The second half for the whole space of keys; partitions and migrations have 1 and 2.
const ALL_KEYS: i32 = 3;

/// Takes the locks of these keys, in an order that is the same for everybody. To be called once in a
/// transaction, before it reads what it changes: each statement sees what was committed before it.
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
    if hashes.len() > KEYS_MAX {
        return all(conn).await;
    }
    conn.run("SELECT pg_advisory_xact_lock_shared($1, $2)", &[&SPACE, &ALL_KEYS]).await?;
    let hashes: Vec<i64> = hashes.into_iter().collect();
    // unnest keeps the order of the array.
    conn.run("SELECT pg_advisory_xact_lock(h) FROM unnest($1::bigint[]) AS h", &[&hashes]).await?;
    Ok(())
}

/// Takes the lock of all keys.
///
/// # Errors
///
/// [`StoreError::Transient`] when `lock_timeout` passes.
pub(crate) async fn all(conn: &Conn) -> Result<(), StoreError> {
    conn.run("SELECT pg_advisory_xact_lock($1, $2)", &[&SPACE, &ALL_KEYS]).await?;
    Ok(())
}
