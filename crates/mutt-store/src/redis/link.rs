//! One connection to a Redis server: what is sent on it and what comes back, once and in order.
//!
//! A link never connects again by itself and never repeats a command, because WAIT counts the replicas
//! of the connection that wrote. [`Links`] makes a new link where one broke.

mod cluster;
mod directory;
mod links;
mod open;
mod sentinel;
mod stream;
mod tls;

pub use links::{Links, NodeState};

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Pipeline, ServerError, Value};
use async_trait::async_trait;
use mutt_model::codes::Code;
use mutt_model::{Clock, Secret, Timestamp};

pub use super::url::{Address, Kind};

/// The hash tag of a shard: keys that hold it live on one node of a Cluster, in one slot.
#[must_use]
pub fn hash_tag(prefix: &str, shard: u16) -> String {
    format!("{{{prefix}:{shard}}}")
}

/// Why a connection did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no connection. Nothing was sent.
    #[error("{0}")]
    Away(String),
    /// It was sent, or may have been, and no answer came: whether it was done is unknown.
    #[error("no answer, so whether it was done is unknown: {0}")]
    Lost(String),
    /// Redis answers and does not let us work: a person must change something.
    #[error("{why}")]
    Refused {
        /// What `muttctl explain` tells about.
        code: Code,
        /// What is refused, with the command that mends it where there is one.
        why: String,
    },
    /// The server's own words about a command. The others of the same pipeline were done or not,
    /// each for itself.
    #[error("Redis says: {0}")]
    Server(String),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Appends and everything that answers at once; shared by any number of callers.
    Writer,
    /// Commands that block; what else is sent on it waits behind them.
    Reader,
    /// Questions to a Sentinel or about the slots of a Cluster.
    Guide,
}

/// A replica, as the Sentinels or the Cluster know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownReplica {
    /// Its address as announced.
    pub address: String,
    /// `replica-priority`; 0 is never promoted.
    pub priority: u32,
    /// Their flags: `slave`, `s_down`, `disconnected` ...
    pub flags: Vec<String>,
    /// Whether its replication from the master is up.
    pub master_link_up: bool,
}

/// What is known of the topology when a link is made.
#[derive(Clone, Debug)]
pub struct Known {
    /// How the servers belong together.
    pub kind: Kind,
    /// The address of the node that the link goes to.
    pub node: Address,
    /// The node's replicas as the Sentinels or the Cluster know them; empty where there are neither.
    pub replicas: Vec<KnownReplica>,
}

/// What must hold on each new connection before it is given out.
#[async_trait]
pub trait Preflight: Send + Sync + fmt::Debug {
    /// Takes in what is known of a node now; whether links to it must be looked at again.
    fn learn(&self, _known: &Known) -> bool {
        false
    }

    /// Looks at the server that this link goes to.
    ///
    /// # Errors
    ///
    /// [`LinkError::Refused`] where the server cannot be used as it is set up; others as they come.
    async fn check(&self, link: &Link, known: &Known) -> Result<(), LinkError>;
}

/// Why a link is not to be given out any more.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) at: Timestamp,
    pub(super) why: String,
}

/// One live connection; clones share it. It is closed when the last clone is gone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    connection: MultiplexedConnection,
    driver: tokio::task::AbortHandle,
    address: Address,
    purpose: Purpose,
    shard: u16,
    clock: Clock,
    opened: Duration,
    /// The password that the server took, to notice that it is no longer in force.
    password: std::sync::Mutex<Option<Secret>>,
    /// Set by the driver too, so that a server that closes is noticed while nothing is sent.
    broken: Arc<OnceLock<Broken>>,
    /// What the stream failed with.
    heard: Arc<OnceLock<String>>,
    /// The server said something that means that the topology has changed.
    doubted: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.0.address)
            .field("purpose", &self.0.purpose)
            .field("shard", &self.0.shard)
            .field("broken", &self.0.broken.get())
            .finish()
    }
}

impl Link {
    /// Sends the commands in one write, in order and without others between them on this link, and
    /// waits for their replies. A command that the server refuses stands as `Value::ServerError` at
    /// its place; of an atomic pipeline the replies of its commands are given.
    ///
    /// Nothing is repeated. Without all replies within `deadline` the link is broken: it is not
    /// given out again, and a reply that still comes is thrown away.
    ///
    /// # Errors
    ///
    /// [`LinkError::Away`] when the link was broken before, [`LinkError::Lost`] when it broke now or
    /// the deadline passed, [`LinkError::Server`] when a transaction was refused as a whole.
    pub async fn run(
        &self,
        pipeline: &Pipeline,
        deadline: Duration,
    ) -> Result<Vec<Value>, LinkError> {
        if let Some(broken) = self.0.broken.get() {
            return Err(LinkError::Away(broken.why.clone()));
        }
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let (skip, count) =
            if pipeline.is_transaction() { (pipeline.len() + 1, 1) } else { (0, pipeline.len()) };
        let mut connection = self.0.connection.clone();
        let sent = connection.send_packed_commands(pipeline, skip, count);
        let values = match tokio::time::timeout(deadline, sent).await {
            Ok(Ok(values)) => values,
            Ok(Err(error)) => {
                if let Some(errors) = error.clone().into_server_errors() {
                    for (_, error) in errors.iter() {
                        self.heed(error);
                    }
                    return Err(LinkError::Server(error.to_string()));
                }
                let heard = self.0.heard.get().cloned();
                let words = heard.unwrap_or_else(|| crate::handshake::words(&error.to_string()));
                let why = format!("{}: {words}", self.0.address);
                self.break_off(why.clone());
                return Err(LinkError::Lost(why));
            }
            Err(_) => {
                let why = format!("{} did not answer within {deadline:?}", self.0.address);
                self.break_off(why.clone());
                return Err(LinkError::Lost(why));
            }
        };
        for value in &values {
            if let Value::ServerError(error) = value {
                self.heed(error);
            }
        }
        if !pipeline.is_transaction() {
            return Ok(values);
        }
        match values.into_iter().next() {
            Some(Value::Array(replies)) => Ok(replies),
            Some(Value::ServerError(error)) => Err(LinkError::Server(said(&error))),
            _ => Err(LinkError::Server("the transaction was not executed".into())),
        }
    }

    /// The node that it goes to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// The shard that it serves.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.0.shard
    }

    /// Whether it may still be used.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.broken.get().is_some()
    }

    /// Takes it out of use: calls on their way end as they end, new ones are refused.
    pub fn retire(&self, why: &str) {
        self.break_off(format!("{}: {why}", self.0.address));
    }

    fn break_off(&self, why: String) {
        let _ = self.0.broken.set(Broken { at: self.0.clock.wall(), why });
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.0.broken.get()
    }

    /// Whether the server said that the topology is not what it was; asked once.
    pub(super) fn take_doubt(&self) -> bool {
        self.0.doubted.swap(false, Ordering::AcqRel)
    }

    pub(super) fn age(&self) -> Duration {
        self.0.clock.monotonic().saturating_sub(self.0.opened)
    }

    pub(super) fn password(&self) -> Option<Secret> {
        self.0.password.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn set_password(&self, password: Option<Secret>) {
        *self.0.password.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = password;
    }

    /// Draws the conclusions from what the server refused.
    fn heed(&self, error: &ServerError) {
        match Trouble::of(error) {
            Trouble::None => {}
            Trouble::Elsewhere => {
                self.0.doubted.store(true, Ordering::Release);
                self.break_off(format!("{} says: {}", self.0.address, said(error)));
            }
            Trouble::Changing => self.0.doubted.store(true, Ordering::Release),
            Trouble::LoggedOut => {
                self.break_off(format!("{} says: {}", self.0.address, said(error)));
            }
        }
    }
}

/// What a server's error says about the connection, beyond the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nothing.
    None,
    /// This node is not, or no longer, the one for these keys.
    Elsewhere,
    /// The topology is changing; the node may be right again in a moment.
    Changing,
    /// The login is gone.
    LoggedOut,
}

impl Trouble {
    fn of(error: &ServerError) -> Self {
        match error.code() {
            "READONLY" | "MOVED" | "MASTERDOWN" => Self::Elsewhere,
            "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" => Self::Changing,
            "NOAUTH" => Self::LoggedOut,
            // Redis 6.2 wraps what a command inside a script was answered.
            "ERR" if error.details().is_some_and(|words| words.contains("-READONLY")) => {
                Self::Elsewhere
            }
            _ => Self::None,
        }
    }
}

/// The server's own words, on one line.
#[must_use]
pub fn said(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// The replies when none of them is an error.
///
/// # Errors
///
/// [`LinkError::Server`] with the first error's words.
pub fn all_done(values: Vec<Value>) -> Result<Vec<Value>, LinkError> {
    match values.iter().find_map(|v| if let Value::ServerError(e) = v { Some(e) } else { None }) {
        Some(error) => Err(LinkError::Server(said(error))),
        None => Ok(values),
    }
}
