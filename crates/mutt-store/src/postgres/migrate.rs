//! `muttctl db migrate`: the schema forward, one version in one transaction, one migrator at a time.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::codes::Code;
use mutt_model::{Clock, codes};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::errors::words;
use super::pool::Pool;
use super::target::Target;
use super::{PgOptions, identifier, schema};
use crate::store::{OpenError, StoreError};

/// A step that meets the locks of services at work waits so long for each lock, since whoever comes
/// behind it waits as long; then it is taken back and tried again, so often.
const LOCK_TIMEOUT: &str = "5s";
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(250);
/// Days for which partitions are made ahead.
const DAYS_AHEAD: i64 = 7;

/// Whether a role can change or remove what is audited; false before there is a schema.
const AUDIT_OPEN: &str = "SELECT EXISTS (SELECT 1 FROM pg_class c, pg_roles r
    WHERE c.oid IN (to_regclass('mutt.audit_handled'), to_regclass('mutt.audit_unhandled'))
        AND r.rolname = $1 AND has_table_privilege(r.oid, c.oid, 'UPDATE, DELETE, TRUNCATE'))";

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version that stood; 0 for none.
    pub from: i64,
    /// The version that stands now.
    pub to: i64,
}

/// How the schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// The version that stands; 0 for none.
    pub found: i64,
    /// The newest version that this program knows.
    pub known: i64,
    /// The oldest version that a program must know to work on what stands.
    pub needs: i64,
    /// The services' role (the URL's user) can change or remove what is audited: it owns the tables, is
    /// a superuser, or was granted it.
    pub audit_open: bool,
}

impl SchemaState {
    /// The code of what is wrong; `None` when this program can work on it.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        if self.found < self.known {
            Some(codes::STORE_OLDER)
        } else if self.needs > self.known {
            Some(codes::STORE_NEWER)
        } else {
            None
        }
    }
}

fn open(why: String) -> StoreError {
    StoreError::Open(OpenError::Other(why))
}

/// A single connection, and the pool that drives it.
async fn connect(options: &PgOptions, clock: &Clock) -> Result<(Client, Arc<Pool>), StoreError> {
    let target = Target::new(options, options.owner.as_ref()).map_err(open)?;
    let pool = Arc::new(Pool::new(target, 1, clock.clone()));
    let client = pool.connect(Box::new(|_| ())).await.map_err(|t| StoreError::Transient {
        doing: "connect",
        why: format!("{} ({})", t.why, t.code),
    })?;
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await
        .map_err(super::pool::bare("connect"))?;
    Ok((client, pool))
}

/// How the schema stands; changes nothing.
///
/// # Errors
///
/// [`StoreError::Open`] for options that cannot work, [`StoreError::Transient`].
pub async fn status(options: &PgOptions, clock: &Clock) -> Result<SchemaState, StoreError> {
    let (client, _pool) = connect(options, clock).await?;
    let (found, needs) = schema::found(&client)
        .await
        .map_err(|why| StoreError::Transient { doing: "read the schema's version", why })?;
    let app = Target::new(options, None).map_err(open)?;
    let row = client
        .query_one(AUDIT_OPEN, &[&app.user()])
        .await
        .map_err(super::pool::bare("read who may change the audit"))?;
    Ok(SchemaState { found, known: schema::known(), needs, audit_open: row.get(0) })
}

/// Brings the schema forward as its owner, grants the services' role (the URL's user) what it may do,
/// makes the partitions of the coming week. A second one at the same time waits. `progress` is called
/// with (versions done, versions in all).
///
/// # Errors
///
/// [`StoreError::Open`]: a newer schema, options that cannot work; [`StoreError::Transient`].
pub async fn migrate(
    options: &PgOptions,
    clock: &Clock,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Migrated, StoreError> {
    let (client, _pool) = connect(options, clock).await?;
    let failed = super::pool::bare("migrate");
    // Held by the session: it ends with the connection, whatever happens.
    client.batch_execute("SELECT pg_advisory_lock(1297437780, 2)").await.map_err(&failed)?;
    let (from, needs) = schema::found(&client)
        .await
        .map_err(|why| StoreError::Transient { doing: "read the schema's version", why })?;
    let known = schema::known();
    if needs > known {
        return Err(StoreError::Open(OpenError::Newer { found: from, known }));
    }
    let steps = schema::MIGRATIONS;
    let begun = usize::try_from(from).unwrap_or(usize::MAX).min(steps.len());
    let all = (steps.len() - begun) as u64;
    for (at, step) in steps.iter().enumerate().skip(begun) {
        progress((at - begun) as u64, all);
        apply(&client, at as i64 + 1, step, clock).await?;
    }
    progress(all, all);
    let app = Target::new(options, None).map_err(open)?;
    if app.user() != options.owner.as_ref().map_or_else(|| app.user(), |o| o.user.as_str()) {
        let app = identifier(app.user());
        let grants = schema::GRANTS.replace("{app}", &app);
        let sql = format!("BEGIN; SET LOCAL search_path = mutt; {grants} COMMIT");
        client.batch_execute(&sql).await.map_err(|e| {
            open(format!(
                "cannot grant the role {app} what it needs (CREATE ROLE {app} LOGIN PASSWORD '...' \
                 comes first): {}",
                words(&e)
            ))
        })?;
    }
    let today = clock.wall().secs().div_euclid(86_400);
    for day in today - 1..=today + DAYS_AHEAD {
        let day = i32::try_from(day).unwrap_or(0);
        client
            .execute("SELECT mutt.mutt_make_partition(date '1970-01-01' + $1::int)", &[&day])
            .await
            .map_err(&failed)?;
    }
    Ok(Migrated { from, to: from.max(known) })
}

async fn apply(
    client: &Client,
    version: i64,
    step: &schema::Migration,
    clock: &Clock,
) -> Result<(), StoreError> {
    let first = if version == 1 {
        "CREATE SCHEMA IF NOT EXISTS mutt;
         CREATE TABLE mutt.schema_version (
            version bigint PRIMARY KEY, needs bigint NOT NULL, migrated_at bigint NOT NULL);"
    } else {
        ""
    };
    let sql = format!(
        "BEGIN; {first} SET LOCAL search_path = mutt; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {}
         INSERT INTO schema_version VALUES ({version}, {}, {}); COMMIT",
        step.sql,
        step.needs,
        clock.wall().0
    );
    for tried in 1.. {
        let Err(error) = client.batch_execute(&sql).await else { break };
        let _ = client.batch_execute("ROLLBACK").await;
        let locked = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE];
        if tried < TRIES && error.code().is_some_and(|code| locked.contains(code)) {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let why = format!("cannot migrate to version {version}: {}", words(&error));
        let refused = error.as_db_error().is_some();
        return Err(if refused {
            open(why)
        } else {
            StoreError::Transient { doing: "migrate", why }
        });
    }
    Ok(())
}
