//! Statements of one transaction that do not depend on one another, sent without waiting in between:
//! what a commit costs is then not the number of its statements times the way to the server.

use futures_util::future::{BoxFuture, join_all};

use super::errors::is_consequence;
use crate::store::StoreError;

/// Runs all to their end, begun in this order. Of several failures the cause is told, not what
/// followed from it: whether data was refused decides what is done next.
pub(super) async fn together(
    parts: Vec<BoxFuture<'_, Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    let mut failed = None;
    for error in join_all(parts).await.into_iter().filter_map(Result::err) {
        if failed.as_ref().is_none_or(is_consequence) {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_several_failures_the_cause_is_told() {
        let transient = |why: &str| StoreError::Transient { doing: "commit", why: why.to_owned() };
        let followed = || transient("current transaction is aborted [25P02]");
        let run = |errors: Vec<Option<StoreError>>| {
            let parts = errors
                .into_iter()
                .map(|error| -> BoxFuture<'_, _> { Box::pin(async { error.map_or(Ok(()), Err) }) });
            together(parts.collect())
        };
        let refused = run(vec![None, Some(followed()), Some(StoreError::Data("no".to_owned()))]);
        assert!(matches!(refused.await, Err(StoreError::Data(_))));
        let timeout = run(vec![Some(transient("lock timeout [55P03]")), Some(followed())]).await;
        assert!(timeout.unwrap_err().to_string().contains("55P03"));
        assert!(run(vec![Some(followed()), None]).await.is_err());
        assert!(run(vec![None, None]).await.is_ok());
    }
}
