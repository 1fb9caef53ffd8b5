//! One transaction from its begin to its end.

/// Runs a block with a connection inside a transaction: committed when it is `Ok`, rolled back when it
/// is not. Evaluates to the block's result.
macro_rules! transaction {
    ($store:expr, $doing:literal, |$conn:ident| $work:expr) => {{
        let $conn = $store.conn($doing).await?;
        $crate::postgres::transaction::transaction!(on $conn, $work)
    }};
    (on $conn:ident, $work:expr) => {{
        $conn.begin().await?;
        let done: Result<_, $crate::store::StoreError> = async { $work }.await;
        match done {
            Ok(done) => $conn.commit().await.map(|()| done),
            Err(error) => Err($conn.refuse(error).await),
        }
    }};
}
pub(super) use transaction;

/// Runs a block that only reads in one snapshot.
macro_rules! snapshot {
    ($store:expr, $doing:literal, |$conn:ident| $work:expr) => {{
        let $conn = $store.conn($doing).await?;
        $conn.begin_snapshot().await?;
        let done: Result<_, $crate::store::StoreError> = async { $work }.await;
        match done {
            Ok(done) => $conn.commit().await.map(|()| done),
            Err(error) => Err($conn.refuse(error).await),
        }
    }};
}
pub(super) use snapshot;
