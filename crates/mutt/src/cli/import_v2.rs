//! `muttctl import v2`: what the Python MUTT left in PostgreSQL, Redis and its environment file. A dry
//! run unless told; may be run again.

mod audit;
mod env_file;
mod lists;
mod records;
mod report;
mod rules;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, LiveSecrets, Secret, codes};
use mutt_store::postgres::v2::V2Database;
use mutt_store::postgres::{PgOptions, PostgresStore};
use mutt_store::queue::{EventQueue, QueueError};
use mutt_store::redis::link::LinkError;
use mutt_store::redis::v2::V2Lists;
use mutt_store::redis::{Durability, RedisOptions, RedisTls, RedisUrl};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::state::EngineState;
use mutt_store::store::{OpenError, Store, StoreError};

use super::api::block_on;
use super::args::{ImportArgs, ImportV2Args, ImportVerb};
use super::failure::Failure;
use crate::config::{self, Config, Overrides, ProcessEnv, STORE_FILE, StoreUrl};
use crate::postgres;
use crate::secrets::Keyring;
use env_file::V2Env;
use report::Report;

/// How long an engine may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

fn store_failed(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Open(OpenError::Newer { .. }) => &codes::STORE_NEWER,
        StoreError::Open(OpenError::InUse(_)) => &codes::DATA_DIR_IN_USE,
        StoreError::Open(_) => &codes::STORE_OPEN,
        _ => &codes::STORE_AWAY,
    };
    Failure::new(code, error.to_string())
}

fn v2_failed(error: &StoreError) -> Failure {
    Failure::new(&codes::STORE_AWAY, format!("v2's database: {error}"))
        .hint("look at --database and --database-password-file; nothing of it was changed")
}

fn redis_failed(error: &LinkError) -> Failure {
    Failure::new(&codes::REDIS_AWAY, format!("v2's Redis: {error}"))
        .hint("look at --redis and --redis-password-file, then run the import again: it goes on")
}

fn queue_failed(error: &QueueError) -> Failure {
    let code = match error {
        QueueError::InUse(_) => &codes::DATA_DIR_IN_USE,
        QueueError::Full(_) => &codes::INGEST_QUEUE_FULL,
        _ => &codes::QUEUE_OPEN,
    };
    Failure::new(code, error.to_string())
        .hint("mend it, then run the import again: what was moved already is recognised")
}

/// Does what the verb says.
pub(super) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let ImportVerb::V2(args) = &args.verb;
    if args.database.is_none() && args.redis.is_none() && args.env_file.is_none() {
        return Err(Failure::usage("say where v2 is: --database, --redis or --env-file"));
    }
    let report = block_on(import(args))?;
    report.print(args.json)
}

fn passwords(file: Option<&Path>) -> Result<LiveSecrets, Failure> {
    let Some(file) = file else { return Ok(LiveSecrets::default()) };
    let text = std::fs::read_to_string(file).map_err(|why| {
        Failure::new(&codes::CONFIG_SECRET, format!("cannot read {}: {why}", file.display()))
    })?;
    Ok(LiveSecrets::new(vec![Secret::new(text.trim_end_matches(['\r', '\n']))]))
}

fn lists(url: &str, args: &ImportV2Args) -> Result<V2Lists, Failure> {
    let options = RedisOptions {
        url: RedisUrl::parse(url).map_err(|why| Failure::usage(format!("--redis: {why}")))?,
        user: None,
        passwords: passwords(args.redis_password_file.as_deref())?,
        sentinel_passwords: LiveSecrets::default(),
        timeout: Duration::from_secs(10),
        tls: RedisTls { ca: args.redis_ca.clone(), ..RedisTls::default() },
        durability: Durability::Fast,
        accept_failover_loss: true,
        shards: 1,
        max_events: 1,
        max_bytes: 1,
        prefix: "mutt".to_owned(),
        name: "mutt-import".to_owned(),
    };
    let owner = mutt_model::IdSource::from_entropy().next(Clock::System.wall()).to_string();
    Ok(V2Lists::open(&options, owner, Clock::System))
}

async fn import(args: &ImportV2Args) -> Result<Report, Failure> {
    let mut report = Report { applied: args.apply, ..Report::default() };
    let env_file = args.env_file.as_deref();
    let mut env = env_file.map(env_file::read).transpose()?.unwrap_or_default();
    let lists = args.redis.as_deref().map(|url| lists(url, args)).transpose()?;
    let dynamic = match &lists {
        Some(lists) => lists.settings().await.map_err(|error| redis_failed(&error))?,
        None => std::collections::BTreeMap::new(),
    };
    env_file::overlay(&mut env, &dynamic);
    if env_file.is_some() || !dynamic.is_empty() {
        env_file::into_report(&env, &dynamic, &mut report)?;
    }
    if args.database.is_none() && lists.is_none() {
        return Ok(report);
    }
    let loaded = config::load(args.config.as_deref(), &ProcessEnv, &Overrides::default());
    let config = loaded.map_err(|errors| Failure::config(&errors))?;
    let keyring = Keyring::new(&config, Box::new(ProcessEnv), Clock::System);
    keyring.look_at_vault().await;
    keyring.end().await;
    if let Some(url) = &args.database {
        database(url, args, &config, &keyring, &mut report).await?;
    }
    if let Some(lists) = &lists {
        queues(lists, &env, args.apply, &config, &keyring, &mut report).await?;
    }
    Ok(report)
}

async fn database(
    url: &str,
    args: &ImportV2Args,
    config: &Config,
    keyring: &Keyring,
    report: &mut Report,
) -> Result<(), Failure> {
    let options = PgOptions {
        passwords: passwords(args.database_password_file.as_deref())?,
        ca: args.database_ca.clone(),
        application: "mutt-import".to_owned(),
        ..PgOptions::new(url)
    };
    let v2 = V2Database::open(&options, &Clock::System).await.map_err(|error| v2_failed(&error))?;
    let store = open_store(config, keyring).await?;
    let done = async {
        let ids = rules::import(&v2, store.as_ref(), args.apply, report).await?;
        audit::import(&v2, store.as_ref(), &ids, args.apply, report).await?;
        if v2.has("config_audit_log").await.map_err(|error| v2_failed(&error))? {
            let rows = v2.config_changes().await.map_err(|error| v2_failed(&error))?;
            if rows > 0 {
                report.note(format!(
                    "config_audit_log: {rows} rows stay in v2's database; the change log here begins with the import"
                ));
            }
        }
        Ok(())
    };
    let done = done.await;
    store.close().await;
    done
}

/// Waits until it says that it is ready.
async fn ready(state: impl Fn() -> EngineState) -> Result<(), Failure> {
    let clock = Clock::System;
    let begun = clock.monotonic();
    loop {
        match state() {
            EngineState::Ready => return Ok(()),
            EngineState::Away { code, why, .. } if clock.monotonic() - begun > READY_MAX => {
                let code = codes::find(code.id).unwrap_or(&codes::STORE_AWAY);
                return Err(Failure::new(code, why));
            }
            EngineState::Away { .. } => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn open_store(config: &Config, keyring: &Keyring) -> Result<Arc<dyn Store>, Failure> {
    let store: Arc<dyn Store> = match &config.store.url {
        StoreUrl::Sqlite => {
            let options =
                SqliteOptions { max_bytes: config.store.max_bytes, ..SqliteOptions::default() };
            crate::serve::make_data_dir(&config.data_dir)
                .map_err(|error| Failure::serve(&error.code, &error.message))?;
            let path = config.data_dir.join(STORE_FILE);
            Arc::new(SqliteStore::open(&path, options).map_err(|error| store_failed(&error))?)
        }
        StoreUrl::Postgres(_) => {
            let options = postgres::options(config, "mutt-import", keyring)
                .map_err(|refused| Failure::new(refused.code, refused.why))?;
            let store = PostgresStore::open(&options, Clock::System);
            Arc::new(store.map_err(|error| store_failed(&error))?)
        }
    };
    ready(|| store.state()).await?;
    Ok(store)
}

async fn queues(
    lists: &V2Lists,
    env: &V2Env,
    apply: bool,
    config: &Config,
    keyring: &Keyring,
    report: &mut Report,
) -> Result<(), Failure> {
    if !apply {
        return lists::import(lists, &env.0, None, report).await;
    }
    let queue: Arc<dyn EventQueue> = crate::serve::open_queue(config, &Clock::System, keyring)
        .map_err(|error| Failure::serve(&error.code, &error.message))?;
    ready(|| queue.state()).await?;
    let done = lists::import(lists, &env.0, Some(queue.as_ref()), report).await;
    queue.close().await;
    done
}
