//! The event queue on Redis: what it is given, and the parts that it stands on.
//!
//! Parts: `url.rs` and `link.rs` (addresses, TLS, logins, connections that never repeat a command),
//! `preflight.rs` (what must hold of a server before it is used), `script.rs` (what runs inside the
//! server), `queue.rs` with `append.rs`, `claim.rs`, `keep.rs` (the queue), `known.rs` (what one process
//! knows of it).

mod append;
mod claim;
mod keep;
mod known;
pub mod link;
mod preflight;
mod queue;
pub mod script;
mod url;
pub mod v2;

use std::path::PathBuf;
use std::time::Duration;

use mutt_model::LiveSecrets;

pub use queue::{RECOGNISED, RedisQueue};
pub use url::{Address, Kind, RedisUrl};

/// Which failures an answered append survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of the server's process and of its power: `appendfsync always`.
    Fsync,
    /// A failover: this many replicas have it. They must be all that may be promoted.
    Replica(u8),
    /// Both.
    FsyncReplica(u8),
    /// Neither: what the server had not yet synced or copied is gone with it.
    Fast,
}

impl Durability {
    /// Whether the server must sync before it answers.
    #[must_use]
    pub fn fsync(self) -> bool {
        matches!(self, Self::Fsync | Self::FsyncReplica(_))
    }

    /// How many replicas must have an append before it is answered.
    #[must_use]
    pub fn replicas(self) -> u8 {
        match self {
            Self::Replica(n) | Self::FsyncReplica(n) => n,
            Self::Fsync | Self::Fast => 0,
        }
    }
}

/// What TLS is made with, each in PEM; looked at anew by each connection.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Who may have signed the server's certificate; the host's own list where there is none.
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    pub cert: Option<PathBuf>,
    /// The key of the client's certificate: a secret that may change while it is used.
    pub key: Option<LiveSecrets>,
}

/// How an event queue on Redis is set up.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where Redis is, and the database.
    pub url: RedisUrl,
    /// The user of the ACL, before the URL's; the server's default user where there is none.
    pub user: Option<String>,
    /// The password in force, then the next one; asked anew by each connection.
    pub passwords: LiveSecrets,
    /// The user of the Sentinels; their default user where there is none.
    pub sentinel_user: Option<String>,
    /// The passwords of the Sentinels. Where neither these nor a user are named, Sentinels are shown
    /// the login of Redis.
    pub sentinel_passwords: Option<LiveSecrets>,
    /// The longest that a caller waits for a connection, and one step of making it takes.
    pub timeout: Duration,
    /// Files of TLS.
    pub tls: RedisTls,
    /// What an answered append survives.
    pub durability: Durability,
    /// Lets Sentinel or Cluster stand with durability that does not cover a failover.
    pub accept_failover_loss: bool,
    /// Streams; fixed when the queue is created.
    pub shards: u16,
    /// Unacknowledged events at most, over all shards.
    pub max_events: u64,
    /// Bytes of unacknowledged batches at most, over all shards.
    pub max_bytes: u64,
    /// What each key begins with.
    pub prefix: String,
    /// Names this process to the server and to people.
    pub name: String,
}
