//! A small pool: connections in number bounded, none used again whose transaction was interrupted.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mutt_model::Clock;
use mutt_model::codes::{self, Code};
use mutt_model::secret::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use super::errors::words;
use super::target::{Driver, Target, Trouble};
use crate::state::EngineState;
use crate::store::StoreError;

/// A caller waits so long for a connection while all are in use.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared; when there are more, all are made anew.
const STATEMENTS_MAX: usize = 256;
/// A connection is replaced after this time, so that a server that was failed over is left.
const AGE_MAX: Duration = Duration::from_secs(1_800);

/// What the parameters of a statement are given as.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Called with each message that the server sends unasked.
pub(super) type OnMessage = Box<dyn FnMut(AsyncMessage) + Send>;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Live {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
    secrets: Arc<[Secret]>,
    made: Duration,
}

/// Connections of one role.
pub(super) struct Pool {
    pub(super) target: Target,
    clock: Clock,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Live>>,
    drivers: Mutex<JoinSet<()>>,
    state: Mutex<EngineState>,
    /// See [`super::locks::keys_max`].
    keys_max: AtomicUsize,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(target: Target, size: usize, clock: Clock) -> Self {
        let state = EngineState::Away {
            since: clock.wall(),
            code: codes::STORE_AWAY,
            why: "not connected yet".to_owned(),
        };
        Self {
            target,
            clock,
            permits: Arc::new(Semaphore::new(size.max(1))),
            idle: Mutex::new(Vec::new()),
            drivers: Mutex::new(JoinSet::new()),
            state: Mutex::new(state),
            keys_max: AtomicUsize::new(super::locks::keys_max(0)),
        }
    }

    /// The server has room for so many locks.
    pub(super) fn set_lock_table(&self, locks: i64) {
        self.keys_max.store(super::locks::keys_max(locks), Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> EngineState {
        held(&self.state).clone()
    }

    /// Takes calls again.
    pub(super) fn set_ready(&self) {
        *held(&self.state) = EngineState::Ready;
    }

    /// Refuses calls from now on and ends what is under way; since when stays while it stays away.
    pub(super) fn set_away(&self, trouble: &Trouble) {
        let mut state = held(&self.state);
        let since = match &*state {
            EngineState::Away { since, .. } => *since,
            EngineState::Ready => self.clock.wall(),
        };
        *state = EngineState::Away { since, code: trouble.code, why: trouble.why.clone() };
        drop(state);
        held(&self.idle).clear();
        held(&self.drivers).abort_all();
    }

    pub(super) fn shut(&self) {
        let why = "the store is closed".to_owned();
        self.set_away(&Trouble { code: codes::STORE_AWAY, why });
        self.permits.close();
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a connection is driven by a task of the engine's own; it ends with its client"
    )]
    fn drive(&self, mut driver: Driver, mut on_message: OnMessage) {
        let mut drivers = held(&self.drivers);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| driver.poll_message(context)).await {
                on_message(message);
            }
        });
    }

    /// Connects and drives the connection until one of both ends is closed.
    pub(super) async fn connect(&self, on_message: OnMessage) -> Result<Client, Trouble> {
        let (client, driver) = self.target.connect().await?;
        self.drive(driver, on_message);
        let away = |e: tokio_postgres::Error| super::target::trouble(&e);
        client.batch_execute(self.target.setup()).await.map_err(away)?;
        Ok(client)
    }

    /// A connection, waiting for one while all are in use.
    pub(super) async fn conn(self: &Arc<Self>, doing: &'static str) -> Result<Conn, StoreError> {
        let transient = |why: String| StoreError::Transient { doing, why };
        let told = |code: Code, why: String| {
            if code == codes::STORE_AWAY {
                transient(why)
            } else {
                StoreError::Hindered { code: Box::new(code), doing, why }
            }
        };
        let ready = || match self.state() {
            EngineState::Ready => Ok(()),
            EngineState::Away { code, why, .. } => Err(told(code, why)),
        };
        ready()?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(WAIT_MAX, permit)
            .await
            .map_err(|_| transient("all connections are in use (store.pool_size)".to_owned()))?
            .map_err(|_| transient("the store is closed".to_owned()))?;
        ready()?;
        let secrets = self.target.secrets();
        let now = self.clock.monotonic();
        let usable = |live: &Live| {
            !live.client.is_closed()
                && Arc::ptr_eq(&live.secrets, &secrets)
                && now.saturating_sub(live.made) < AGE_MAX
        };
        let idle = {
            let mut idle = held(&self.idle);
            idle.retain(usable);
            idle.pop()
        };
        let live = match idle {
            Some(live) => live,
            None => Live {
                client: self
                    .connect(Box::new(|_| ()))
                    .await
                    .map_err(|trouble| told(trouble.code, trouble.why))?,
                statements: Mutex::default(),
                secrets,
                made: now,
            },
        };
        Ok(Conn {
            live: Some(live),
            pool: Arc::clone(self),
            open: AtomicBool::new(false),
            doing,
            _permit: permit,
        })
    }
}

/// A connection in use. Dropped inside a transaction it is closed, which rolls back.
pub(crate) struct Conn {
    live: Option<Live>,
    pool: Arc<Pool>,
    /// Inside a transaction.
    open: AtomicBool,
    doing: &'static str,
    _permit: OwnedSemaphorePermit,
}

impl Conn {
    fn live(&self) -> Result<&Live, StoreError> {
        self.live.as_ref().ok_or_else(|| StoreError::Transient {
            doing: self.doing,
            why: "the connection is gone".to_owned(),
        })
    }

    /// The driver's client, for what the methods here do not offer (COPY).
    pub(crate) fn client(&self) -> Result<&Client, StoreError> {
        Ok(&self.live()?.client)
    }

    /// Keys that a transaction may lock one by one.
    pub(super) fn keys_max(&self) -> usize {
        self.pool.keys_max.load(Ordering::Relaxed)
    }

    /// The error with what was tried.
    pub(crate) fn failed(&self, error: tokio_postgres::Error) -> StoreError {
        match StoreError::from(error) {
            StoreError::Transient { why, .. } => StoreError::Transient { doing: self.doing, why },
            StoreError::Hindered { code, why, .. } => {
                StoreError::Hindered { code, doing: self.doing, why }
            }
            other => other,
        }
    }

    /// The statement, prepared once for each connection.
    pub(crate) async fn prepared(&self, sql: &str) -> Result<Statement, StoreError> {
        let live = self.live()?;
        if let Some(known) = held(&live.statements).get(sql) {
            return Ok(known.clone());
        }
        let made = live.client.prepare(sql).await.map_err(|e| self.failed(e))?;
        let mut statements = held(&live.statements);
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), made.clone());
        Ok(made)
    }

    /// Prepares what is not yet prepared: calls of these statements that are polled together then leave
    /// in the order in which they are polled first.
    pub(crate) async fn ready(&self, statements: &[&str]) -> Result<(), StoreError> {
        {
            let mut known = held(&self.live()?.statements);
            if known.len() + statements.len() > STATEMENTS_MAX {
                known.clear();
            }
        }
        for sql in statements {
            self.prepared(sql).await?;
        }
        Ok(())
    }

    /// All rows. Futures of several calls that are polled together (`try_join!`) travel together.
    pub(crate) async fn all(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql).await?;
        self.client()?.query(&statement, params).await.map_err(|e| self.failed(e))
    }

    /// The first row, if any.
    pub(crate) async fn opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, StoreError> {
        let statement = self.prepared(sql).await?;
        let rows = self.client()?.query(&statement, params).await.map_err(|e| self.failed(e))?;
        Ok(rows.into_iter().next())
    }

    /// The one row that there always is.
    pub(crate) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        let statement = self.prepared(sql).await?;
        self.client()?.query_one(&statement, params).await.map_err(|e| self.failed(e))
    }

    /// Runs a statement; how many rows it touched.
    pub(crate) async fn run(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        let statement = self.prepared(sql).await?;
        self.client()?.execute(&statement, params).await.map_err(|e| self.failed(e))
    }

    /// Runs statements without parameters.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.client()?.batch_execute(sql).await.map_err(|e| self.failed(e))
    }

    /// Begins a transaction (READ COMMITTED: each statement sees what was committed before it).
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        self.mark_open();
        self.batch("BEGIN").await
    }

    /// Begins one that only reads, all in one snapshot.
    pub(crate) async fn begin_snapshot(&self) -> Result<(), StoreError> {
        self.mark_open();
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// The caller sends the BEGIN itself.
    pub(crate) fn mark_open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Commits; the connection can be used on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Transient`]: committed or not, nobody knows.
    pub(crate) async fn commit(&self) -> Result<(), StoreError> {
        self.batch("COMMIT").await?;
        self.mark_closed();
        Ok(())
    }

    /// The caller has seen its COMMIT or ROLLBACK answered.
    pub(crate) fn mark_closed(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Rolls back and gives the error on: `return Err(conn.refuse(error).await)`. Without it the
    /// connection is closed when it is dropped, which does the same at a higher price.
    pub(crate) async fn refuse(&self, error: StoreError) -> StoreError {
        if self.batch("ROLLBACK").await.is_ok() {
            self.mark_closed();
        }
        error
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.open.load(Ordering::Acquire) || !self.pool.state().is_ready() {
            return;
        }
        if let Some(live) = self.live.take().filter(|live| !live.client.is_closed()) {
            held(&self.pool.idle).push(live);
        }
    }
}

/// The error of a single statement on a bare client.
pub(super) fn bare(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> StoreError {
    move |error| StoreError::Transient { doing, why: words(&error) }
}
