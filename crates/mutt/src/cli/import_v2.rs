//! `muttctl import v2`: what the Python MUTT left in PostgreSQL, Redis and its environment file. A dry
//! run unless told; may be run again.

mod audit;
mod dynamic;
mod env_file;
mod lists;
mod progress;
mod records;
mod report;
mod rules;
mod scratch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, LiveSecrets, Secret, Timestamp, codes, failpoint};
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
use crate::config::{self, Config, EnvSource as _, Overrides, ProcessEnv, STORE_FILE, StoreUrl};
use crate::postgres;
use crate::secrets::{Keyring, SecretRef};
use dynamic::Dynamic;
use env_file::V2Env;
use report::Report;
use scratch::Scratch;

/// Who the change log names, and why.
const WHO: &str = "import v2";
const REASON: &str = "imported from MUTT v2";
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
    if let StoreError::Conflict(why) = error {
        return Failure::new(&codes::STORE_QUERY, format!("v2's database: {why}"))
            .hint("remove there what v2 needs no longer, then run the import again");
    }
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
    if let Some(spec) = ProcessEnv.var("MUTT_FAILPOINT") {
        failpoint::arm(&spec).map_err(Failure::usage)?;
    }
    let report = block_on(import(args))?;
    report.print(args.json)
}

/// A secret of a file that the command line names. It is read once: an import is not rotated.
fn secret(file: &Path) -> Result<Secret, Failure> {
    SecretRef::File(file.to_owned())
        .resolve()
        .map_err(|error| Failure::new(error.code, error.to_string()))
}

fn secrets(file: Option<&Path>) -> Result<LiveSecrets, Failure> {
    Ok(LiveSecrets::new(file.map(secret).transpose()?.into_iter().collect()))
}

fn named(file: Option<&Path>) -> Result<Option<LiveSecrets>, Failure> {
    file.map(|file| secrets(Some(file))).transpose()
}

fn lists(url: &str, args: &ImportV2Args) -> Result<V2Lists, Failure> {
    let url = RedisUrl::parse(url).map_err(|why| {
        let why = why.replace("queue.password", "--redis-password-file");
        Failure::usage(format!("--redis: {why}"))
    })?;
    if args.redis_ca.is_some() && !url.tls() {
        return Err(Failure::usage("--redis-ca is for a rediss:// URL"));
    }
    let options = RedisOptions {
        url,
        user: args.redis_user.clone(),
        passwords: secrets(args.redis_password_file.as_deref())?,
        sentinel_user: args.sentinel_user.clone(),
        sentinel_passwords: named(args.sentinel_password_file.as_deref())?,
        timeout: Duration::from_secs(10),
        tls: RedisTls {
            ca: args.redis_ca.clone(),
            cert: args.redis_cert.clone(),
            key: named(args.redis_key_file.as_deref())?,
        },
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
    let env = env_file.map(|path| env_file::read(path, &mut report));
    let mut env = env.transpose()?.unwrap_or_default();
    let lists = args.redis.as_deref().map(|url| lists(url, args)).transpose()?;
    let dynamic = match &lists {
        Some(lists) => lists.settings().await.map_err(|error| redis_failed(&error))?,
        None => std::collections::BTreeMap::new(),
    };
    let dynamic = dynamic::parts(&env, &dynamic);
    env_file::overlay(&mut env, &dynamic.written);
    if env_file.is_some() || !dynamic.written.is_empty() {
        env_file::into_report(&env, &dynamic.written, &mut report)?;
    }
    if args.database.is_none() && lists.is_none() {
        return Ok(report);
    }
    if let Some(lists) = &lists {
        lists::alive(lists, &env.0, args.apply, &mut report).await?;
    }
    let loaded = config::load(args.config.as_deref(), &ProcessEnv, &Overrides::default());
    let config = loaded.map_err(|errors| Failure::config(&errors))?;
    let keyring = Keyring::new(&config, Box::new(ProcessEnv), Clock::System);
    keyring.look_at_vault().await;
    keyring.end().await;
    if args.database.is_some() || !dynamic.settings.is_empty() {
        let scratch = Scratch::for_dry_run(&config, args.apply)?;
        let store = open_store(&config, scratch.as_ref(), &keyring).await?;
        let done = into_store(args, &dynamic, store.as_ref(), &mut report).await;
        store.close().await;
        done?;
    }
    if let Some(lists) = &lists {
        queues(lists, &env, args.apply, &config, &keyring, &mut report).await?;
    }
    Ok(report)
}

async fn into_store(
    args: &ImportV2Args,
    dynamic: &Dynamic,
    store: &dyn Store,
    report: &mut Report,
) -> Result<(), Failure> {
    let (file, mut oldest) = (args.config.as_deref(), None);
    if let Some(url) = &args.database {
        oldest = database(url, args, store, report).await?;
    }
    if !dynamic.settings.is_empty() {
        dynamic::import(&dynamic.settings, file, store, args.apply, report).await?;
        failpoint::hit("import.settings.after_change");
    }
    dynamic::covers(oldest, file, store, report).await
}

/// Gives the time of the oldest event that it has.
async fn database(
    url: &str,
    args: &ImportV2Args,
    store: &dyn Store,
    report: &mut Report,
) -> Result<Option<Timestamp>, Failure> {
    let options = PgOptions {
        passwords: secrets(args.database_password_file.as_deref())?,
        ca: args.database_ca.clone(),
        cert: args.database_cert.clone(),
        key: named(args.database_key_file.as_deref())?,
        application: "mutt-import".to_owned(),
        ..PgOptions::new(url)
    };
    let v2 = match V2Database::open(&options, &Clock::System).await {
        Ok(v2) => v2,
        Err(StoreError::Open(why)) => {
            let why = why.to_string().replace("store.password", "--database-password-file");
            return Err(Failure::usage(format!("--database: {why}")));
        }
        Err(error) => return Err(v2_failed(&error)),
    };
    let ids = rules::import(&v2, store, args.apply, report).await?;
    let oldest = audit::import(&v2, store, &ids, args.apply, report).await?;
    if v2.has("config_audit_log").await.map_err(|error| v2_failed(&error))? {
        let rows = v2.config_changes().await.map_err(|error| v2_failed(&error))?;
        if rows > 0 {
            report.note(format!(
                "config_audit_log: {rows} rows stay in v2's database; the change log here begins with the import"
            ));
        }
    }
    Ok(oldest)
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

async fn open_store(
    config: &Config,
    scratch: Option<&Scratch>,
    keyring: &Keyring,
) -> Result<Arc<dyn Store>, Failure> {
    let store: Arc<dyn Store> = match &config.store.url {
        StoreUrl::Sqlite => {
            let options =
                SqliteOptions { max_bytes: config.store.max_bytes, ..SqliteOptions::default() };
            let dir = scratch.map_or(config.data_dir.as_path(), Scratch::path);
            crate::serve::make_data_dir(dir)
                .map_err(|error| Failure::serve(&error.code, &error.message))?;
            let path = dir.join(STORE_FILE);
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
