//! `[queue]`: the event queue's engine, how it is reached, its caps and the spill before it.

use std::path::PathBuf;
use std::time::Duration;

use mutt_model::amount;
use serde::Serialize;

use super::{QueueUrl, size_text};
use crate::secrets::SecretRef;

/// `[queue]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueConfig {
    /// Which engine, and where it is.
    pub url: QueueUrl,
    /// ACL user of Redis.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
    /// What an acknowledgement survives.
    pub durability: QueueDurability,
    /// Replicas that must have it.
    pub replicas: u64,
    /// How Sentinels are logged in to.
    pub sentinel: SentinelConfig,
    /// `fsync` alone with Sentinel or Cluster is meant.
    pub accept_failover_loss: bool,
    /// Shards of a new queue.
    pub shards: u64,
    /// For `rediss`.
    pub tls: EngineTls,
    /// One step of connecting, and one answer, may take this long.
    #[serde(with = "amount::duration_text")]
    pub timeout: Duration,
    /// Where the Ingestor keeps events while Redis is away.
    pub spill: SpillConfig,
    /// Waiting events at most.
    pub max_events: u64,
    /// Bytes at most.
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
    /// Free disk space that is left to others.
    #[serde(serialize_with = "size_text")]
    pub min_free: u64,
}

/// `[queue.sentinel]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SentinelConfig {
    /// ACL user of the Sentinels.
    pub user: Option<String>,
    /// Current, next.
    pub password: Vec<SecretRef>,
}

/// `[queue.spill]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpillConfig {
    /// Events at most.
    pub max_events: u64,
    /// Bytes at most.
    #[serde(serialize_with = "size_text")]
    pub max_bytes: u64,
}

/// What an acknowledged event survives in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum QueueDurability {
    /// The end of the server process, power.
    #[serde(rename = "fsync")]
    Fsync,
    /// A failover.
    #[serde(rename = "replica")]
    Replica,
    /// Both.
    #[serde(rename = "fsync+replica")]
    FsyncReplica,
    /// Neither.
    #[serde(rename = "fast")]
    Fast,
}

impl QueueDurability {
    /// Whether replicas are waited for.
    #[must_use]
    pub fn waits_for_replicas(self) -> bool {
        matches!(self, Self::Replica | Self::FsyncReplica)
    }
}

/// `queue.tls`, and part of `store.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EngineTls {
    /// Trust this instead of the host's.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<SecretRef>,
}
