//! Opens the event queue and the store, as far as the services of this process need them.

use std::path::Path;
use std::sync::Arc;

use mutt_model::Clock;
use mutt_model::codes;
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueError, QueueOptions};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{OpenError, Store, StoreError};

use super::{ServeError, waiting};
use crate::config::{Config, QUEUE_DIR, QueueUrl, STORE_FILE, StoreUrl};
use crate::health;
use crate::services::Service;

/// What is durable in this process.
#[derive(Debug)]
pub(super) struct Engines {
    /// First hand-over.
    pub(super) queue: Option<Arc<dyn EventQueue>>,
    /// Second hand-over.
    pub(super) store: Option<Arc<dyn Store>>,
}

impl Engines {
    /// For readiness.
    pub(super) fn watched(&self) -> health::Engines {
        health::Engines {
            queue: self.queue.clone(),
            primary: self.queue.clone(),
            store: self.store.clone(),
        }
    }

    /// Makes counters durable and releases files, the store last.
    pub(super) async fn close(&self) {
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
        if let Some(store) = &self.store {
            store.close().await;
        }
    }
}

/// Opens what `services` need.
pub(super) async fn open(
    config: &Config,
    services: &[Service],
    clock: &Clock,
) -> Result<Engines, ServeError> {
    if config.queue.url != QueueUrl::Embedded || config.store.url != StoreUrl::Sqlite {
        let why = "this build has no production engines yet";
        return Err(ServeError::new(codes::CONFIG_ENGINES, why));
    }
    make_data_dir(&config.data_dir)?;
    let needs_queue = services.iter().any(|s| matches!(s, Service::Ingestor | Service::Alerter));
    let needs_store = services.iter().any(|s| *s != Service::Ingestor);
    let queue = if needs_queue { Some(open_queue(config, clock)?) } else { None };
    let store = if needs_store { Some(open_store(config, clock).await?) } else { None };
    Ok(Engines { queue, store })
}

fn make_data_dir(dir: &Path) -> Result<(), ServeError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let result = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    result.map_err(|error| {
        ServeError::new(
            codes::START_FAILED,
            format!("data_dir {} cannot be made: {error}", dir.display()),
        )
    })
}

fn open_queue(config: &Config, clock: &Clock) -> Result<Arc<dyn EventQueue>, ServeError> {
    let options = QueueOptions {
        max_events: config.queue.max_events,
        max_bytes: config.queue.max_bytes,
        min_free: config.queue.min_free,
        ..QueueOptions::default()
    };
    let dir = config.data_dir.join(QUEUE_DIR);
    match EmbeddedQueue::open(&dir, options, clock.clone()) {
        Ok(queue) => Ok(Arc::new(queue)),
        Err(QueueError::InUse(why)) => Err(ServeError::new(codes::DATA_DIR_IN_USE, why)),
        Err(error @ QueueError::Format(_)) => {
            Err(ServeError::new(codes::ALERTER_RECORD_FORMAT, named(&dir, &error)))
        }
        Err(error) => Err(ServeError::new(codes::QUEUE_OPEN, named(&dir, &error))),
    }
}

/// What happened and to which file or folder.
fn named(path: &Path, error: &impl std::fmt::Display) -> String {
    let (path, error) = (path.display().to_string(), error.to_string());
    if error.contains(&path) { error } else { format!("{path}: {error}") }
}

async fn open_store(config: &Config, clock: &Clock) -> Result<Arc<dyn Store>, ServeError> {
    let options = SqliteOptions {
        max_bytes: config.store.max_bytes,
        clock: clock.clone(),
        ..SqliteOptions::default()
    };
    let path = config.data_dir.join(STORE_FILE);
    let failed = |error: StoreError| {
        let code = match &error {
            StoreError::Open(OpenError::Newer { .. }) => codes::STORE_NEWER,
            StoreError::Open(OpenError::InUse(_)) => codes::DATA_DIR_IN_USE,
            _ => codes::STORE_OPEN,
        };
        ServeError::new(code, named(&path, &error))
    };
    let store = SqliteStore::open(&path, options).map_err(failed)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let sinks: Vec<String> = config.sinks.keys().cloned().collect();
    waiting::try_set_up(&store, &sinks, clock).await.map_err(failed)?;
    Ok(store)
}
