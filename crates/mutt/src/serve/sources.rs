//! Tells the store every few seconds which sources this Ingestor hears. It never waits for the store:
//! what cannot be told is kept, bounded by the table of sources.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::codes;
use mutt_store::store::{REPORT_SOURCES_MAX, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::services::alerter::rest;
use crate::services::ingestor::sources::Sources;

/// How often it is told.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// Tells until `stop`, and then once more.
///
/// # Errors
///
/// Never.
pub(super) async fn run(
    sources: Arc<Sources>,
    store: Arc<dyn Store>,
    host: String,
    stop: CancellationToken,
) -> Result<(), String> {
    loop {
        let over = stop.is_cancelled();
        if over {
            sources.tell_all();
        }
        tell(&sources, &store, &host).await;
        if over {
            return Ok(());
        }
        rest(&stop, PERIOD).await;
    }
}

async fn tell(sources: &Sources, store: &Arc<dyn Store>, host: &str) {
    loop {
        let deltas = sources.drain(REPORT_SOURCES_MAX);
        if deltas.is_empty() {
            return;
        }
        let last = deltas.len() < REPORT_SOURCES_MAX;
        match store.report_sources(host, deltas.clone()).await {
            Ok(()) => {}
            // The same data would be refused again for ever.
            Err(StoreError::Data(error)) => {
                tracing::warn!(code = %codes::STORE_QUERY, error, sources = deltas.len(), "the store does not take what was seen of these sources; it is not told again");
            }
            Err(error) => {
                tracing::debug!(%error, "sources are told later");
                sources.keep(deltas);
                return;
            }
        }
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::source::SourceKey;
    use mutt_model::{Clock, Timestamp};
    use mutt_store::sqlite::{SqliteOptions, SqliteStore};
    use mutt_store::store::SourceStore as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sources_are_told_and_kept_while_the_store_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_secs(1_764_000_000));
        let options = SqliteOptions { clock: clock.clone(), ..SqliteOptions::default() };
        let path = dir.path().join("store.db");
        let store = Arc::new(SqliteStore::open(&path, options).unwrap());
        let sources = Arc::new(Sources::new(clock, 100));
        let refuse = |n: u8| sources.refused([192, 0, 2, n].into(), "syslog-udp", "not_allowed", 3);
        refuse(1);
        let told: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let stop = CancellationToken::new();
        stop.cancel();
        let run = || run(Arc::clone(&sources), Arc::clone(&told), "a".to_owned(), stop.clone());
        run().await.unwrap();
        let key = SourceKey::new("192.0.2.1", "192.0.2.1");
        let seen = store.source(&key).await.unwrap().unwrap();
        assert_eq!((seen.facts.dropped["not_allowed"], seen.heard_by.as_str()), (3, "a"));
        // Away: kept for later.
        refuse(1);
        told.close().await;
        run().await.unwrap();
        let kept = sources.drain(9);
        assert_eq!((kept.len(), kept[0].dropped["not_allowed"]), (1, 3));
    }
}
