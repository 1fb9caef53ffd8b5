//! The sections of the engines: `[queue]` and `[store]`.

use super::{Reader, Table, value};
use crate::config::{
    ArchiveConfig, EngineTls, OwnerConfig, QueueConfig, QueueDurability, QueueUrl, RetentionConfig,
    SentinelConfig, SpillConfig, StoreConfig, StoreTls, StoreTlsMode, StoreUrl,
};

pub(super) fn queue(r: &mut Reader<'_>, table: &Table<'_>) -> QueueConfig {
    let (spill, sentinel) = (table.table("spill"), table.table("sentinel"));
    let durability = r.field(table, "durability", |kind, value| {
        Ok(match value::text(kind, value)?.as_str() {
            "replica" => QueueDurability::Replica,
            "fsync+replica" => QueueDurability::FsyncReplica,
            "fast" => QueueDurability::Fast,
            _ => QueueDurability::Fsync,
        })
    });
    QueueConfig {
        url: r.field(table, "url", value::queue_url).unwrap_or(QueueUrl::Embedded),
        user: r.field(table, "user", value::text),
        password: r.secrets(table, "password"),
        durability: durability.unwrap_or(QueueDurability::Fsync),
        replicas: r.count(table, "replicas"),
        sentinel: SentinelConfig {
            user: r.field(&sentinel, "user", value::text),
            password: r.secrets(&sentinel, "password"),
        },
        accept_failover_loss: r.flag(table, "accept_failover_loss"),
        shards: r.count(table, "shards"),
        tls: tls(r, &table.table("tls")),
        timeout: r.duration(table, "timeout"),
        spill: SpillConfig {
            max_events: r.count(&spill, "max_events"),
            max_bytes: r.size(&spill, "max_bytes"),
        },
        max_events: r.count(table, "max_events"),
        max_bytes: r.size(table, "max_bytes"),
        min_free: r.size(table, "min_free"),
    }
}

pub(super) fn store(r: &mut Reader<'_>, table: &Table<'_>) -> StoreConfig {
    let (owner, retention) = (table.table("owner"), table.table("retention"));
    let tls_table = table.table("tls");
    let mode = r.field(&tls_table, "mode", |kind, value| {
        Ok(match value::text(kind, value)?.as_str() {
            "off" => StoreTlsMode::Off,
            "require" => StoreTlsMode::Require,
            "verify-ca" => StoreTlsMode::VerifyCa,
            _ => StoreTlsMode::VerifyFull,
        })
    });
    StoreConfig {
        url: r.field(table, "url", value::store_url).unwrap_or(StoreUrl::Sqlite),
        password: r.secrets(table, "password"),
        owner: OwnerConfig {
            user: r.field(&owner, "user", value::text),
            password: r.secrets(&owner, "password"),
        },
        tls: StoreTls { mode, files: tls(r, &tls_table) },
        pool: r.small(table, "pool"),
        connect_timeout: r.duration(table, "connect_timeout"),
        statement_timeout: r.duration(table, "statement_timeout"),
        lock_timeout: r.duration(table, "lock_timeout"),
        max_bytes: r.size(table, "max_bytes"),
        retention: RetentionConfig {
            handled: r.duration(&retention, "handled"),
            unhandled: r.duration(&retention, "unhandled"),
            alerts: r.duration(&retention, "alerts"),
            attempts: r.duration(&retention, "attempts"),
            receipts: r.duration(&retention, "receipts"),
            changes: r.duration(&retention, "changes"),
            sources: r.duration(&retention, "sources"),
        },
        archive: ArchiveConfig { dir: r.path(&table.table("archive"), "dir") },
    }
}

fn tls(r: &mut Reader<'_>, table: &Table<'_>) -> EngineTls {
    EngineTls {
        ca: r.path(table, "ca"),
        cert: r.path(table, "cert"),
        key: r.field(table, "key", |_, value| value::secret(value)),
    }
}
