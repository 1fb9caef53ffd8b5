//! Upkeep on PostgreSQL: one Remediation at a time by a lease, alerts that age out, what is removed in
//! chunks, partitions.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Timestamp;
use mutt_model::alert::{ClearedBy, SinkRoute};
use mutt_model::delivery::Attempt;

use super::transaction::transaction;
use super::types::Uid;
use super::{Conn, NO_SHARD, PostgresStore, alerts_read, counts, locks, partitions, retention};
use crate::store::{RetentionPolicy, StoreError, Upkeep, UpkeepStore};

/// Rows removed in one transaction of retention.
const CHUNK: i64 = 5_000;
/// Chunks of one table in one round; what is left comes with the next round.
const CHUNKS_MAX: usize = 200;
/// Receipts kept of each shard, whatever their age. Commits follow the queue's order, so that what can
/// be claimed again is among the newest.
const RECEIPTS_KEPT: i64 = 10_000;
/// A Remediation that ends without a word is followed after this time. Renewed with each step, and from
/// time to time within those that take long.
const LEASE: Duration = Duration::from_secs(600);
/// Within a long step it is renewed after this time.
const RENEWAL: Duration = Duration::from_secs(60);
/// How often a long step looks whether that has passed.
const LOOK: Duration = Duration::from_secs(1);
/// A shard that committed nothing for so long no longer keeps the keys of repeats.
const IDLE_SHARD: i64 = 7 * 86_400;

/// The right to work on what is old.
pub(super) struct UpkeepLease {
    generation: i64,
}

impl UpkeepLease {
    /// Takes or renews the lease; `None` while another process holds it.
    async fn take(store: &PostgresStore) -> Result<Option<Self>, StoreError> {
        let owner = store.upkeep_owner.as_str();
        transaction!(store, "lease upkeep", |conn| {
            conn.run("INSERT INTO leases VALUES ('upkeep', '', 0, 0) ON CONFLICT DO NOTHING", &[])
                .await?;
            let row = conn
                .one(
                    "SELECT owner, generation, lease_until FROM leases WHERE name = 'upkeep'
                     FOR UPDATE",
                    &[],
                )
                .await?;
            let now = store.now(&conn).await?;
            let ours = row.get::<_, &str>(0) == owner;
            if !ours && row.get::<_, i64>(2) > now.0 {
                return Ok(None);
            }
            let generation = row.get::<_, i64>(1) + i64::from(!ours);
            conn.run(
                "UPDATE leases SET owner = $1, generation = $2, lease_until = $3
                 WHERE name = 'upkeep'",
                &[&owner, &generation, &now.plus(LEASE).0],
            )
            .await?;
            Ok(Some(Self { generation }))
        })
    }

    /// To be called first in each transaction that removes something: renews the lease and holds it
    /// until the transaction's end.
    pub(super) async fn check(&self, store: &PostgresStore, conn: &Conn) -> Result<(), StoreError> {
        let until = store.now(conn).await?.plus(LEASE).0;
        let renewed = conn
            .run(
                "UPDATE leases SET lease_until = $2 WHERE name = 'upkeep' AND generation = $1",
                &[&self.generation, &until],
            )
            .await?;
        if renewed == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    /// Does what may take longer than the lease, which is renewed meanwhile on another connection: no
    /// other Remediation begins the same. Given up when the lease has moved on.
    pub(super) async fn during<T>(
        &self,
        store: &PostgresStore,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut work = Box::pin(work);
        let mut renewed = store.clock.monotonic();
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK) => {}
            }
            if store.clock.monotonic().saturating_sub(renewed) < RENEWAL {
                continue;
            }
            let renewal = Box::pin(async {
                let conn = store.conn("renew the lease of upkeep").await?;
                self.check(store, &conn).await
            });
            match renewal.await {
                Ok(()) => renewed = store.clock.monotonic(),
                Err(StoreError::LeaseLost) => return Err(StoreError::LeaseLost),
                // Tried again with the next look, long before the lease is over.
                Err(_) => {}
            }
        }
    }
}

/// What is removed a chunk at a time.
#[derive(Clone, Copy)]
enum Old {
    Attempts,
    /// Delivered and suppressed ones.
    Deliveries,
    Dead,
    Alerts,
    Changes,
    Rates,
    Dedup,
    Receipts,
}

impl Old {
    const fn table(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Deliveries | Self::Dead => "deliveries",
            Self::Alerts => "alerts",
            Self::Changes => "changes",
            Self::Rates => "rates",
            Self::Dedup => "dedup",
            Self::Receipts => "receipts",
        }
    }

    /// One chunk of what is older than `before`; how many rows went.
    async fn remove(self, conn: &Conn, before: i64) -> Result<u64, StoreError> {
        let sql = match self {
            Self::Attempts => return remove_attempts(conn, Timestamp(before)).await,
            Self::Deliveries => return remove_ended(conn, "state IN (3, 4)", before).await,
            Self::Dead => return remove_ended(conn, "state = 5", before).await,
            Self::Alerts => return remove_alerts(conn, before).await,
            Self::Changes => {
                "DELETE FROM changes WHERE id IN
                    (SELECT id FROM changes WHERE at < $1 ORDER BY at LIMIT $2)"
            }
            Self::Rates => {
                "DELETE FROM rates WHERE (minute, slot) IN
                    (SELECT minute, slot FROM rates WHERE minute < $1 ORDER BY minute LIMIT $2)"
            }
            Self::Dedup => {
                "DELETE FROM dedup WHERE digest IN (SELECT digest FROM dedup
                    WHERE keep_until < $1 ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED)"
            }
            Self::Receipts => return remove_receipts(conn, before).await,
        };
        conn.run(sql, &[&before, &CHUNK]).await
    }
}

/// Attempts are numbered as they were made, so that the oldest are looked at only.
async fn remove_attempts(conn: &Conn, before: Timestamp) -> Result<u64, StoreError> {
    let mut newest = None;
    for row in conn.all("SELECT n, body FROM attempts ORDER BY n LIMIT $1", &[&CHUNK]).await? {
        if serde_json::from_str::<Attempt>(row.get(1))?.at >= before {
            break;
        }
        newest = Some(row.get::<_, i64>(0));
    }
    let Some(newest) = newest else { return Ok(0) };
    conn.run("DELETE FROM attempts WHERE n <= $1", &[&newest]).await
}

/// Ended deliveries with their attempts; what they counted stays in the ledger.
async fn remove_ended(conn: &Conn, which: &str, before: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "WITH gone AS MATERIALIZED (SELECT seq FROM deliveries WHERE {which} AND ended_at < $1
            ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED),
         tries AS (DELETE FROM attempts WHERE delivery_seq IN (SELECT seq FROM gone)),
         rows AS (DELETE FROM deliveries WHERE seq IN (SELECT seq FROM gone)
            RETURNING sink, state)
         SELECT sink, state, COUNT(*) FROM rows GROUP BY sink, state"
    );
    let rows = conn.all(&sql, &[&before, &CHUNK]).await?;
    let mut changes: Vec<(&str, i16, i64, i64)> = Vec::new();
    for row in &rows {
        let n: i64 = row.get(2);
        changes.push((row.get(0), row.get(1), -n, n));
    }
    let gone = changes.iter().map(|change| change.3).sum::<i64>();
    counts::deliveries(conn, NO_SHARD, &mut changes).await?;
    if gone == 0 {
        // The newest places that keys have delivered go with the last of their deliveries.
        conn.run(
            "DELETE FROM key_delivered WHERE seq < COALESCE(
                (SELECT MIN(seq) FROM deliveries), (SELECT last_value FROM deliveries_seq))",
            &[],
        )
        .await?;
    }
    Ok(u64::try_from(gone).unwrap_or(0))
}

/// Cleared alerts with their timelines.
async fn remove_alerts(conn: &Conn, before: i64) -> Result<u64, StoreError> {
    let rows = conn
        .all(
            "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts
                WHERE cleared AND cleared_at < $1 ORDER BY cleared_at LIMIT $2
                FOR UPDATE SKIP LOCKED) RETURNING id",
            &[&before, &CHUNK],
        )
        .await?;
    let ids: Vec<Uid> = rows.iter().map(|row| row.get(0)).collect();
    if !ids.is_empty() {
        conn.run("DELETE FROM timeline WHERE alert_id = ANY($1)", &[&ids]).await?;
    }
    Ok(ids.len() as u64)
}

/// The oldest receipts beyond those that are kept of each shard.
async fn remove_receipts(conn: &Conn, before: i64) -> Result<u64, StoreError> {
    conn.run(
        "DELETE FROM receipts r USING (
            SELECT s.shard, o.n FROM shards s CROSS JOIN LATERAL
                (SELECT n FROM receipts WHERE shard = s.shard AND n <= s.receipts - $3
                    AND committed_at < $1 ORDER BY n LIMIT $2) o) AS old
         WHERE r.shard = old.shard AND r.n = old.n",
        &[&before, &CHUNK, &RECEIPTS_KEPT],
    )
    .await
}

/// Rule sets that no audit row names any more, except the one in force.
async fn remove_rule_sets(conn: &Conn) -> Result<u64, StoreError> {
    for (handled, table) in [(true, "audit_handled"), (false, "audit_unhandled")] {
        let oldest: Option<i64> = conn
            .opt(&format!("SELECT received_at FROM {table} ORDER BY received_at LIMIT 1"), &[])
            .await?
            .map(|row| row.get(0));
        conn.run(
            "DELETE FROM rule_set_use WHERE handled = $1 AND newest <= $2",
            &[&handled, &oldest.unwrap_or(i64::MAX)],
        )
        .await?;
    }
    conn.run(
        "DELETE FROM rule_sets WHERE version < (SELECT version FROM rule_state)
            AND version NOT IN (SELECT version FROM rule_set_use)",
        &[],
    )
    .await
}

/// Keys of repeats that no event can meet any more. A key is valid by `received_at`, so that what
/// still waits in the event queue is measured by what the slowest shard committed last, not by the
/// wall clock.
async fn dedup_over(conn: &Conn, now: Timestamp) -> Result<i64, StoreError> {
    let row = conn
        .one(
            "SELECT MIN(newest) FILTER (WHERE newest >= (SELECT MAX(minute) FROM rates) - $1)
             FROM (SELECT slot, MAX(minute) AS newest FROM rates
                WHERE audited > 0 AND slot >= 0 GROUP BY slot) AS shards",
            &[&IDLE_SHARD],
        )
        .await?;
    // The minute's start: events of one minute may be committed in another order.
    let newest: Option<i64> = row.get(0);
    Ok(newest.map_or(0, |minute| now.min(Timestamp::from_secs(minute)).0))
}

impl PostgresStore {
    async fn remove(
        &self,
        lease: &UpkeepLease,
        upkeep: &mut Upkeep,
        old: Old,
        before: i64,
    ) -> Result<(), StoreError> {
        for _ in 0..CHUNKS_MAX {
            let conn = self.owner_conn("remove what is old").await?;
            let removed = transaction!(on conn, {
                lease.check(self, &conn).await?;
                old.remove(&conn, before).await
            })?;
            if removed == 0 {
                break;
            }
            *upkeep.removed.entry(old.table().to_owned()).or_default() += removed;
        }
        Ok(())
    }

    async fn round(
        &self,
        lease: &UpkeepLease,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<Upkeep, StoreError> {
        let mut done = Upkeep::default();
        let up = &mut done;
        let conn = self.owner_conn("forget released holds").await?;
        transaction!(on conn, {
            lease.check(self, &conn).await?;
            conn.run("DELETE FROM holds WHERE released", &[]).await
        })?;
        drop(conn);
        partitions::make_ahead(self, now).await?;
        for (handled, keep) in [(false, policy.unhandled), (true, policy.handled)] {
            let floor = now.minus(keep);
            retention::expire(self, lease, policy, handled, floor, now, up).await?;
        }
        let before = |keep: Duration| now.minus(keep).0;
        self.remove(lease, up, Old::Attempts, before(policy.attempts)).await?;
        self.remove(lease, up, Old::Deliveries, before(policy.alerts)).await?;
        self.remove(lease, up, Old::Dead, before(policy.alerts)).await?;
        self.remove(lease, up, Old::Alerts, before(policy.alerts)).await?;
        self.remove(lease, up, Old::Changes, before(policy.changes)).await?;
        self.remove(lease, up, Old::Rates, now.minus(policy.handled).secs()).await?;
        let conn = self.conn("look for old keys").await?;
        let over = dedup_over(&conn, now).await?;
        drop(conn);
        self.remove(lease, up, Old::Dedup, over).await?;
        self.remove(lease, up, Old::Receipts, before(policy.receipts)).await?;
        let conn = self.owner_conn("remove what is old").await?;
        let sets = transaction!(on conn, {
            lease.check(self, &conn).await?;
            let sets = remove_rule_sets(&conn).await?;
            if up.archive_error.is_none() {
                conn.run("UPDATE retention SET last_run = $1", &[&now.0]).await?;
            }
            Ok(sets)
        })?;
        if sets > 0 {
            *up.removed.entry("rule_sets".to_owned()).or_default() += sets;
        }
        let size: i64 = conn.one("SELECT pg_database_size(current_database())", &[]).await?.get(0);
        self.bytes.store(u64::try_from(size).unwrap_or(0), Ordering::Relaxed);
        Ok(done)
    }
}

#[async_trait]
impl UpkeepStore for PostgresStore {
    async fn clear_aged(
        &self,
        sinks: &[SinkRoute],
        limit: usize,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut ids = self.own_ids(now);
        let sql = "SELECT key FROM alerts WHERE NOT cleared AND ages_out_at <= $1
            AND ($2::text[] IS NULL OR key = ANY($2)) ORDER BY ages_out_at LIMIT $3";
        let cleared = transaction!(self, "clear aged alerts", |conn| {
            let none: Option<Vec<String>> = None;
            let rows = conn.all(sql, &[&now.0, &none, &limit]).await?;
            let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            locks::keys(&conn, keys.iter().map(String::as_str)).await?;
            // Once more: an event may have come while this waited for the locks.
            let rows = conn.all(sql, &[&now.0, &Some(keys), &limit]).await?;
            let keys: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            if keys.is_empty() {
                return Ok(0);
            }
            alerts_read::clear(&conn, &mut ids, &keys, sinks, &ClearedBy::Age, now)
                .await
                .map(|cleared| cleared.len() as u64)
        })?;
        if cleared > 0 {
            self.ring_deliveries().await;
        }
        Ok(cleared)
    }

    async fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Upkeep, StoreError> {
        let elsewhere = || Upkeep { elsewhere: true, ..Upkeep::default() };
        let Some(lease) = UpkeepLease::take(self).await? else { return Ok(elsewhere()) };
        match self.round(&lease, policy, now).await {
            Err(StoreError::LeaseLost) => Ok(elsewhere()),
            done => done,
        }
    }

    async fn backup(&self, _: &Path, _: Box<dyn Fn(u64, u64) + Send>) -> Result<(), StoreError> {
        Err(StoreError::Conflict(
            "the store is on PostgreSQL, which makes its own backups: \
             pg_dump --format=custom --schema=mutt --file=FILE DATABASE, \
             or pg_basebackup with archived WAL for a moment in time"
                .to_owned(),
        ))
    }

    async fn restore(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::Conflict(
            "the store is on PostgreSQL: stop every service of MUTT, then \
             pg_restore --clean --if-exists --dbname=DATABASE FILE, then start them"
                .to_owned(),
        ))
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        self.shut();
    }
}
