//! Long blocking work on a thread of its own, so that neither commits nor reads wait for it.

use crate::store::StoreError;

/// Runs `work` on a new thread and waits for its answer.
pub(crate) async fn aside<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let failed = move |why: String| StoreError::Transient { doing, why };
    std::thread::Builder::new()
        .name("store-aside".to_owned())
        .spawn(move || {
            let _ = reply.send(work());
        })
        .map_err(|e| failed(e.to_string()))?;
    answer.await.unwrap_or_else(|_| Err(failed("its thread failed".to_owned())))
}
