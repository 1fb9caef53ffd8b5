//! Opens the event queue and the store, as far as the services of this process need them.

use std::path::Path;
use std::sync::Arc;

use mutt_model::{Clock, codes};
use mutt_store::postgres::{PgOptions, PostgresStore};
use mutt_store::queue::{EmbeddedQueue, EventQueue, QueueError, QueueOptions, SpillStats};
use mutt_store::redis::{Durability, RedisOptions, RedisQueue, RedisTls, RedisUrl};
use mutt_store::spill::{SpillOptions, SpillQueue};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::state::EngineState;
use mutt_store::store::{OpenError, Store, StoreError};

use super::{ServeError, waiting};
use crate::config::{
    Config, QUEUE_DIR, QueueDurability, QueueUrl, SPILL_DIR, STORE_FILE, StoreUrl,
};
use crate::health;
use crate::secrets::Keyring;
use crate::services::Service;

/// What is durable in this process.
#[derive(Debug)]
pub(super) struct Engines {
    /// First hand-over, as the Ingestor appends to it: with a spill before a server.
    pub(super) queue: Option<Arc<dyn EventQueue>>,
    /// The same without the spill, as the Alerter claims from it.
    pub(super) primary: Option<Arc<dyn EventQueue>>,
    /// Second hand-over.
    pub(super) store: Option<Arc<dyn Store>>,
    /// Where a process that needs no store files its report and reads the settings. It never waits for
    /// it, and no answer to a sender depends on it. A report in Redis would be gone just while there is
    /// something to tell: when Redis is away and the spill fills.
    pub(super) reports: Option<Arc<dyn Store>>,
}

impl Engines {
    /// For readiness.
    pub(super) fn watched(&self) -> health::Engines {
        let state = |queue: &Arc<dyn EventQueue>| {
            let queue = Arc::clone(queue);
            Arc::new(move || queue.state()) as health::Look<EngineState>
        };
        let store = |store: &Arc<dyn Store>| {
            let store = Arc::clone(store);
            Arc::new(move || store.state()) as health::Look<EngineState>
        };
        let spill = |queue: &Arc<dyn EventQueue>| {
            let queue = Arc::clone(queue);
            Arc::new(move || queue.stats().spill) as health::Look<Option<SpillStats>>
        };
        health::Engines {
            queue: self.queue.as_ref().map(state),
            primary: self.primary.as_ref().map(state),
            spill: self.queue.as_ref().map(spill),
            store: self.store.as_ref().map(store),
        }
    }

    /// Where this process reports and reads the settings.
    pub(super) fn told(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref().or(self.reports.as_ref())
    }

    /// Makes counters durable and releases files, the store last.
    pub(super) async fn close(&self) {
        // A spill closes the queue that it stands before.
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
        if let Some(store) = self.told() {
            store.close().await;
        }
    }
}

/// Opens what `services` need. A server that is away is no error: what needs it waits.
pub(super) async fn open(
    config: &Config,
    services: &[Service],
    clock: &Clock,
    keyring: &Keyring,
) -> Result<Engines, ServeError> {
    make_data_dir(&config.data_dir)?;
    let has = |service| services.contains(&service);
    let (queue, primary) = match &config.queue.url {
        QueueUrl::Embedded if has(Service::Ingestor) || has(Service::Alerter) => {
            let queue = embedded_queue(config, clock)?;
            (Some(Arc::clone(&queue)), Some(queue))
        }
        QueueUrl::Redis(url)
            if has(Service::Ingestor) || has(Service::Alerter) || has(Service::WebUi) =>
        {
            let primary = redis_queue(config, url, services, clock, keyring)?;
            let queue = if has(Service::Ingestor) {
                spill(config, Arc::clone(&primary), clock)?
            } else {
                Arc::clone(&primary)
            };
            (Some(queue), Some(primary))
        }
        QueueUrl::Embedded | QueueUrl::Redis(_) => (None, None),
    };
    let store = match &config.store.url {
        _ if !services.iter().any(|s| *s != Service::Ingestor) => None,
        StoreUrl::Sqlite => Some(sqlite_store(config, clock).await?),
        StoreUrl::Postgres(_) => Some(postgres_store(config, services, clock, keyring)?),
    };
    let reports = match &store {
        None if config.ingestor.report => reports_store(config, services, clock, keyring),
        _ => None,
    };
    Ok(Engines { queue, primary, store, reports })
}

/// The event queue alone, without the spill: for an import while no Ingestor or Alerter of this data
/// directory runs.
pub(crate) fn open_queue(
    config: &Config,
    clock: &Clock,
    keyring: &Keyring,
) -> Result<Arc<dyn EventQueue>, ServeError> {
    make_data_dir(&config.data_dir)?;
    match &config.queue.url {
        QueueUrl::Embedded => embedded_queue(config, clock),
        QueueUrl::Redis(url) => redis_queue(config, url, &[], clock, keyring),
    }
}

/// Returns at once; the queue connects by itself and says how it is.
fn redis_queue(
    config: &Config,
    url: &str,
    services: &[Service],
    clock: &Clock,
    keyring: &Keyring,
) -> Result<Arc<dyn EventQueue>, ServeError> {
    let queue = &config.queue;
    let wrong =
        |why: String| ServeError::new(codes::CONFIG_BAD_VALUE, format!("`queue.url`: {why}"));
    let replicas = u8::try_from(queue.replicas).unwrap_or(u8::MAX);
    let options = RedisOptions {
        url: RedisUrl::parse(url).map_err(wrong)?,
        user: queue.user.clone(),
        passwords: keyring.live("queue.password"),
        sentinel_user: queue.sentinel.user.clone(),
        sentinel_passwords: (!queue.sentinel.password.is_empty())
            .then(|| keyring.live("queue.sentinel.password")),
        timeout: queue.timeout,
        tls: RedisTls {
            ca: queue.tls.ca.clone(),
            cert: queue.tls.cert.clone(),
            key: queue.tls.key.as_ref().map(|_| keyring.live("queue.tls.key")),
        },
        durability: match queue.durability {
            QueueDurability::Fsync => Durability::Fsync,
            QueueDurability::Replica => Durability::Replica(replicas),
            QueueDurability::FsyncReplica => Durability::FsyncReplica(replicas),
            QueueDurability::Fast => Durability::Fast,
        },
        accept_failover_loss: queue.accept_failover_loss,
        shards: u16::try_from(queue.shards).unwrap_or(u16::MAX),
        max_events: queue.max_events,
        max_bytes: queue.max_bytes,
        prefix: "mutt".to_owned(),
        name: process_name(services),
    };
    Ok(Arc::new(RedisQueue::open(options, clock.clone())))
}

/// How this process shows itself to servers.
fn process_name(services: &[Service]) -> String {
    match services {
        [one] => format!("mutt-{one}"),
        _ => "mutt".to_owned(),
    }
}

fn postgres_store(
    config: &Config,
    services: &[Service],
    clock: &Clock,
    keyring: &Keyring,
) -> Result<Arc<dyn Store>, ServeError> {
    let options = crate::postgres::options(config, &process_name(services), keyring)
        .map_err(|refused| ServeError::new(*refused.code, refused.why))?;
    let store = PostgresStore::open(&options, clock.clone())
        .map_err(|error| ServeError::new(codes::STORE_OPEN, error.to_string()))?;
    Ok(Arc::new(store))
}

/// The store of an Ingestor alone, on one connection. What is wrong with it keeps no Ingestor from
/// hearing devices.
fn reports_store(
    config: &Config,
    services: &[Service],
    clock: &Clock,
    keyring: &Keyring,
) -> Option<Arc<dyn Store>> {
    if config.store.url == StoreUrl::Sqlite {
        return None;
    }
    let opened = crate::postgres::options(config, &process_name(services), keyring)
        .map_err(|refused| (*refused.code, refused.why))
        .and_then(|options| {
            let options = PgOptions { owner: None, pool_size: 1, ..options };
            PostgresStore::open(&options, clock.clone())
                .map_err(|error| (codes::STORE_OPEN, error.to_string()))
        });
    match opened {
        Ok(store) => Some(Arc::new(store)),
        Err((code, why)) => {
            tracing::warn!(%code, why, "this process files no report and follows no settings; it hears devices all the same");
            None
        }
    }
}

/// The spill before Redis; what the last run left in it is drained first.
fn spill(
    config: &Config,
    primary: Arc<dyn EventQueue>,
    clock: &Clock,
) -> Result<Arc<dyn EventQueue>, ServeError> {
    let caps = QueueOptions {
        max_events: config.queue.spill.max_events,
        max_bytes: config.queue.spill.max_bytes,
        min_free: config.queue.min_free,
        ..QueueOptions::default()
    };
    let options = SpillOptions { append_timeout: config.queue.timeout, ..SpillOptions::default() };
    let dir = config.data_dir.join(SPILL_DIR);
    SpillQueue::open(primary, &dir, caps, options, clock.clone())
        .map(|queue| Arc::new(queue) as Arc<dyn EventQueue>)
        .map_err(|error| queue_refused(&dir, error))
}

pub(crate) fn make_data_dir(dir: &Path) -> Result<(), ServeError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let result = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    result.map_err(|error| {
        ServeError::new(
            codes::START_FAILED,
            format!("data_dir {} cannot be made: {error}", dir.display()),
        )
    })
}

fn embedded_queue(config: &Config, clock: &Clock) -> Result<Arc<dyn EventQueue>, ServeError> {
    let options = QueueOptions {
        max_events: config.queue.max_events,
        max_bytes: config.queue.max_bytes,
        min_free: config.queue.min_free,
        ..QueueOptions::default()
    };
    let dir = config.data_dir.join(QUEUE_DIR);
    EmbeddedQueue::open(&dir, options, clock.clone())
        .map(|queue| Arc::new(queue) as Arc<dyn EventQueue>)
        .map_err(|error| queue_refused(&dir, error))
}

fn queue_refused(dir: &Path, error: QueueError) -> ServeError {
    match error {
        QueueError::InUse(why) => ServeError::new(codes::DATA_DIR_IN_USE, why),
        error @ QueueError::Format(_) => {
            ServeError::new(codes::ALERTER_RECORD_FORMAT, named(dir, &error))
        }
        error => ServeError::new(codes::QUEUE_OPEN, named(dir, &error)),
    }
}

/// What happened and to which file or folder.
fn named(path: &Path, error: &impl std::fmt::Display) -> String {
    let (path, error) = (path.display().to_string(), error.to_string());
    if error.contains(&path) { error } else { format!("{path}: {error}") }
}

async fn sqlite_store(config: &Config, clock: &Clock) -> Result<Arc<dyn Store>, ServeError> {
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
