//! The keeper: one connection that listens, and by its life tells whether PostgreSQL is there. It
//! checks the server before any call is let through, and again after each reconnect.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::codes;
use tokio::sync::oneshot;
use tokio_postgres::{AsyncMessage, Client};

use super::errors::words;
use super::pool::Pool;
use super::target::Trouble;
use super::{identifier, schema, signal};
use crate::signal::Signals;

/// The first and the longest pause between tries.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a silent server is asked, and how long it may take.
const PROBE: Duration = Duration::from_secs(5);
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The oldest server: `server_version_num`.
const VERSION_MIN: i32 = 130_000;

/// Whether nothing can be written.
const READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'";

fn read_only() -> Trouble {
    let why = "the server is read-only (a standby, or default_transaction_read_only)".to_owned();
    Trouble { code: codes::STORE_READ_ONLY, why }
}

/// Starts the keeper; it runs until it is aborted.
#[allow(
    clippy::disallowed_methods,
    reason = "the engine's one background task, begun here and aborted when the store is dropped"
)]
pub(super) fn keep(
    pool: Arc<Pool>,
    owners: Arc<Pool>,
    signals: Signals,
) -> tokio::task::AbortHandle {
    tokio::spawn(async move {
        let mut pause = PAUSE;
        let mut said = None;
        loop {
            let trouble = match listen(&pool, &owners, &signals).await {
                Ok((client, lost)) => {
                    pause = PAUSE;
                    said = None;
                    tracing::info!(user = pool.target.user(), "PostgreSQL answers");
                    pool.set_ready();
                    owners.set_ready();
                    signal::ring_all(&signals);
                    watch(&client, lost).await
                }
                Err(trouble) => trouble,
            };
            pool.set_away(&trouble);
            owners.set_away(&trouble);
            if said != Some(trouble.code) {
                said = Some(trouble.code);
                tracing::warn!(code = %trouble.code, why = trouble.why, "the store waits for PostgreSQL");
            }
            tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() * 0.5)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    })
    .abort_handle()
}

/// Connects, checks, listens. The receiver ends when the connection does.
async fn listen(
    pool: &Pool,
    owners: &Pool,
    signals: &Signals,
) -> Result<(Client, oneshot::Receiver<()>), Trouble> {
    let (alive, lost) = oneshot::channel::<()>();
    let signals = signals.clone();
    let client = pool
        .connect(Box::new(move |message| {
            // Held by the driver's task: dropped with it.
            let _ = &alive;
            if let AsyncMessage::Notification(note) = message {
                signal::ring(&signals, note.channel());
            }
        }))
        .await?;
    let locks = check(&client, pool).await?;
    pool.set_lock_table(locks);
    owners.set_lock_table(locks);
    client.batch_execute(signal::LISTEN).await.map_err(|e| super::target::trouble(&e))?;
    Ok((client, lost))
}

/// Asks from time to time; returns when the server does not answer or the connection ends.
async fn watch(client: &Client, mut lost: oneshot::Receiver<()>) -> Trouble {
    let away = |why: String| Trouble { code: codes::STORE_AWAY, why };
    loop {
        if tokio::time::timeout(PROBE, &mut lost).await.is_ok() {
            return away("the connection was lost".to_owned());
        }
        // As a commit would find it: a server may become read-only under way.
        let asked = client.query_one(READ_ONLY, &[]);
        match tokio::time::timeout(PROBE_MAX, asked).await {
            Ok(Ok(row)) if row.get(0) => return read_only(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return super::target::trouble(&error),
            Err(_) => return away(format!("no answer within {PROBE_MAX:?}")),
        }
    }
}

/// Whether what is committed here is kept, and whether this program knows the schema. Gives how many
/// locks the server has room for.
async fn check(client: &Client, pool: &Pool) -> Result<i64, Trouble> {
    let failed = |e: tokio_postgres::Error| Trouble { code: codes::STORE_AWAY, why: words(&e) };
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('fsync'),
                current_setting('full_page_writes'),
                (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'),
                pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
                current_setting('server_version'),
                current_setting('max_locks_per_transaction')::bigint
                    * (current_setting('max_connections')::bigint
                        + current_setting('max_prepared_transactions')::bigint)",
            &[],
        )
        .await
        .map_err(failed)?;
    if row.get::<_, i32>(0) < VERSION_MIN {
        let why = format!("PostgreSQL {} is older than 13", row.get::<_, &str>(5));
        return Err(Trouble { code: codes::STORE_SERVER, why });
    }
    if row.get(4) {
        return Err(read_only());
    }
    let settings = [("fsync", 1), ("full_page_writes", 2), ("synchronous_commit", 3)];
    for (name, at) in settings {
        if row.get::<_, &str>(at) == "off" && !pool.target.accept_no_fsync {
            let mut why = format!(
                "{name} is off: what is acknowledged could be lost. As a superuser: \
                 ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            );
            if name == "synchronous_commit" {
                // Alone of these it can be set for a role, which then counts.
                let role = identifier(pool.target.user());
                why.push_str(&format!(
                    " where the role has its own: ALTER ROLE {role} RESET {name};"
                ));
            }
            return Err(Trouble { code: codes::STORE_UNSAFE, why });
        }
    }
    let (found, needs) =
        schema::found(client).await.map_err(|why| Trouble { code: codes::STORE_AWAY, why })?;
    let known = schema::known();
    if found < known {
        let why = format!(
            "the schema has version {found}, this program needs {known}: run `muttctl db migrate`"
        );
        return Err(Trouble { code: codes::STORE_OLDER, why });
    }
    if needs > known {
        let why = format!(
            "the schema has version {found}, this program knows {known}; it changes nothing"
        );
        return Err(Trouble { code: codes::STORE_NEWER, why });
    }
    client
        .execute(
            // A dump restored into another cluster: its transaction ids begin low again.
            "UPDATE mutt.seq_base SET base = (SELECT MAX(seq_first) FROM mutt.receipts) / 1048576 + 1
             WHERE base + txid_current() <= (SELECT MAX(seq_first) FROM mutt.receipts) / 1048576",
            &[],
        )
        .await
        .map_err(failed)?;
    Ok(row.get(6))
}
