//! Reading for API, UI and CLI: lists with cursors and a scan budget, the ledger, rates.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use mutt_model::alert::{Alert, SinkRoute};
use mutt_model::audit::AuditedEvent;
use mutt_model::delivery::{Delivery, DeliveryState};
use mutt_model::ledger::{DeliveryLedger, EventLedger, Ledger};
use mutt_model::{Id, IdSource, Timestamp};
use tokio_postgres::Row;

use super::deliveries::{self, COLUMNS};
use super::search::wrong_cursor;
use super::transaction::{snapshot, transaction};
use super::types::Uid;
use super::{Conn, PostgresStore, alerts_read, audit, search, tail};
use crate::deliveries::{DELIVERED, LEASED, SUPPRESSED, WAITING};
use crate::queue::QueueStats;
use crate::store::{
    Actor, AlertAct, AlertQuery, Change, DeliveryLife, DeliveryQuery, EventQuery, MinuteRate,
    PAGE_MAX, Page, ReadStore, SCAN_BUDGET_ROWS, StoreError, TimelineEntry,
};

/// Rows of deliveries looked at in one query when more than the index decides.
const CHUNK: usize = 2_000;

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The condition that one index serves, without parameters beyond `$3`.
fn served_by(query: &DeliveryQuery) -> (&'static str, Option<Uid>) {
    if let Some(event) = query.event {
        return ("d.event_id = $3", Some(Uid(event)));
    }
    if let Some(alert) = query.alert {
        return ("d.alert_id = $3", Some(Uid(alert)));
    }
    let condition = match query.state {
        Some(DeliveryState::Pending | DeliveryState::Held) => "d.state = 0 AND d.state < 3",
        Some(DeliveryState::Leased) => "d.state = 1 AND d.state < 3",
        Some(DeliveryState::Dead) => "d.state = 5",
        // Most rows are delivered; the few others are looked for within the budget.
        Some(DeliveryState::Delivered | DeliveryState::Suppressed) | None => "true",
    };
    (condition, None)
}

async fn search_deliveries(
    conn: &Conn,
    query: &DeliveryQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Delivery>, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut before: i64 = cursor.map_or(Ok(i64::MAX), str::parse).map_err(|_| wrong_cursor())?;
    let (condition, id) = served_by(query);
    let condition = if id.is_some() {
        condition.to_owned()
    } else {
        format!("{condition} AND $3::uuid IS NULL")
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries d WHERE d.seq < $1 AND {condition}
         ORDER BY d.seq DESC LIMIT $2"
    );
    let picky = query.sink.is_some() || query.state.is_some() || query.alert.is_some();
    let mut found: Vec<Row> = Vec::new();
    let mut page = Page::default();
    let mut scanned = 0;
    'page: loop {
        let wanted = limit + 1 - found.len();
        let rows = if picky { CHUNK.max(wanted) } else { wanted };
        let rows = rows.min(SCAN_BUDGET_ROWS - scanned + 1);
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let chunk = conn.all(&sql, &[&before, &count, &id]).await?;
        let last = chunk.len() < rows;
        for row in chunk {
            if found.len() == limit || scanned == SCAN_BUDGET_ROWS {
                page.complete = found.len() == limit;
                page.next_cursor = Some(before.to_string());
                break 'page;
            }
            scanned += 1;
            before = row.get(0);
            let fits = query.sink.as_deref().is_none_or(|sink| row.get::<_, &str>(2) == sink)
                && query.state.is_none_or(|state| deliveries::state(&row) == state)
                && query.alert.is_none_or(|alert| row.get::<_, Uid>(16).0 == alert);
            if fits {
                found.push(row);
            }
        }
        if last {
            break;
        }
    }
    page.items = deliveries::load(conn, &found).await?;
    Ok(page)
}

async fn search_changes(
    conn: &Conn,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Change>, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let before: i64 = cursor.map_or(Ok(i64::MAX), str::parse).map_err(|_| wrong_cursor())?;
    let count = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let rows = conn
        .all(
            "SELECT id, at, who, object, object_id, action, old, new, reason FROM changes
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[&before, &count],
        )
        .await?;
    let json = |text: Option<&str>| text.map(serde_json::from_str).transpose();
    let mut items = Vec::with_capacity(rows.len().min(limit));
    for row in rows.iter().take(limit) {
        items.push(Change {
            id: row.get(0),
            at: Timestamp(row.get(1)),
            who: row.get(2),
            object: row.get(3),
            object_id: row.get(4),
            action: row.get(5),
            old: json(row.get(6))?,
            new: json(row.get(7))?,
            reason: row.get(8),
        });
    }
    let more = rows.len() > limit;
    let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Page { items, next_cursor, complete: true })
}

async fn delivery_ledger(conn: &Conn) -> Result<DeliveryLedger, StoreError> {
    let rows = conn
        .all(
            "SELECT c.state, SUM(c.n + c.removed)::bigint, l.held_by IS NOT NULL AS held,
                (SELECT COALESCE(SUM(deliveries), 0)::bigint FROM totals)
             FROM delivery_counts c LEFT JOIN lanes l ON l.sink = c.sink GROUP BY 1, 3",
            &[],
        )
        .await?;
    let mut ledger = DeliveryLedger::default();
    for row in &rows {
        ledger.created = unsigned(row.get(3));
        let slot = match i64::from(row.get::<_, i16>(0)) {
            WAITING if row.get(2) => &mut ledger.held,
            WAITING => &mut ledger.pending,
            LEASED => &mut ledger.leased,
            DELIVERED => &mut ledger.delivered,
            SUPPRESSED => &mut ledger.suppressed,
            _ => &mut ledger.dead,
        };
        *slot += unsigned(row.get(1));
    }
    Ok(ledger)
}

/// The queue's part and the store's part, read one after the other: a batch between the two shows as
/// unaccounted for that moment.
async fn ledger(conn: &Conn, queue: &QueueStats) -> Result<Ledger, StoreError> {
    let row = conn
        .one(
            "SELECT COALESCE(SUM(audited), 0)::bigint, COALESCE(SUM(duplicates), 0)::bigint,
                COALESCE(SUM(lost), 0)::bigint FROM totals",
            &[],
        )
        .await?;
    let events = EventLedger {
        received: queue.appended_events + queue.dropped.values().sum::<u64>(),
        audited: unsigned(row.get(0)),
        pending: queue.pending_events,
        spilled: BTreeMap::new(),
        duplicates: unsigned(row.get(1)),
        dropped: queue.dropped.clone(),
        lost: queue.lost_events + unsigned(row.get(2)),
        unaccounted: 0,
    };
    Ok(Ledger { events: events.balanced(), deliveries: delivery_ledger(conn).await? })
}

#[async_trait]
impl ReadStore for PostgresStore {
    async fn events(
        &self,
        query: &EventQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<AuditedEvent>, StoreError> {
        let conn = self.conn("search").await?;
        search::events(&conn, query, limit, cursor, self.clock.wall()).await
    }

    async fn event(&self, id: Id) -> Result<Option<AuditedEvent>, StoreError> {
        let conn = self.conn("read an event").await?;
        audit::by_id(&conn, id).await
    }

    async fn standing(&self, events: &[(Timestamp, Id)]) -> Result<HashSet<Id>, StoreError> {
        let conn = self.conn("look for events").await?;
        audit::standing(&conn, events).await
    }

    async fn tail(
        &self,
        seq: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<AuditedEvent>, i64), StoreError> {
        snapshot!(self, "tail the audit", |conn| tail::after(&conn, seq, limit).await)
    }

    async fn alerts(
        &self,
        query: &AlertQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Alert>, StoreError> {
        let conn = self.conn("list alerts").await?;
        alerts_read::search(&conn, query, limit, cursor).await
    }

    async fn alert(&self, id: Id) -> Result<Option<(Alert, Vec<TimelineEntry>)>, StoreError> {
        snapshot!(self, "read an alert", |conn| {
            match alerts_read::load(&conn, id).await? {
                Some(alert) => Ok(Some((alert, alerts_read::timeline(&conn, id).await?))),
                None => Ok(None),
            }
        })
    }

    async fn act_on_alert(
        &self,
        id: Id,
        act: AlertAct,
        actor: &Actor,
        sinks: &[SinkRoute],
        now: Timestamp,
    ) -> Result<Alert, StoreError> {
        let mut ids = self.own_ids(now);
        let clears = act == AlertAct::Clear;
        let alert = transaction!(self, "act on an alert", |conn| {
            alerts_read::act(&conn, &mut ids, id, act, actor, sinks, now).await
        })?;
        if clears {
            self.ring_deliveries().await;
        }
        Ok(alert)
    }

    async fn deliveries(
        &self,
        query: &DeliveryQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Delivery>, StoreError> {
        let conn = self.conn("list deliveries").await?;
        search_deliveries(&conn, query, limit, cursor).await
    }

    async fn delivery(&self, id: Id) -> Result<Option<DeliveryLife>, StoreError> {
        snapshot!(self, "read a delivery", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.id = $1");
            let rows = conn.all(&sql, &[&Uid(id)]).await?;
            let Some(delivery) = deliveries::load(&conn, &rows).await?.pop() else {
                return Ok(None);
            };
            let attempts = deliveries::attempts(&conn, delivery.seq).await?;
            Ok(Some(DeliveryLife { delivery, attempts }))
        })
    }

    async fn changes(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Change>, StoreError> {
        let conn = self.conn("read the change log").await?;
        search_changes(&conn, limit, cursor).await
    }

    async fn ledger(&self, queue: &QueueStats) -> Result<Ledger, StoreError> {
        snapshot!(self, "read the ledger", |conn| ledger(&conn, queue).await)
    }

    async fn delivery_ledger(&self) -> Result<DeliveryLedger, StoreError> {
        let conn = self.conn("read the ledger").await?;
        delivery_ledger(&conn).await
    }

    async fn dead_by_reason(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let conn = self.conn("count the dead").await?;
        let rows = conn
            .all(
                "SELECT COALESCE(reason, ''), COUNT(*) FROM deliveries WHERE state = 5
                 GROUP BY reason",
                &[],
            )
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), unsigned(row.get(1)))).collect())
    }

    async fn rates(&self, since: Timestamp) -> Result<Vec<MinuteRate>, StoreError> {
        let conn = self.conn("read the rates").await?;
        let rows = conn
            .all(
                "SELECT minute, SUM(audited)::bigint, SUM(handled)::bigint, SUM(deliveries)::bigint
                 FROM rates WHERE minute >= $1 GROUP BY minute ORDER BY minute",
                &[&(since.secs().div_euclid(60) * 60)],
            )
            .await?;
        let rate = |row: &Row| MinuteRate {
            minute: row.get(0),
            audited: unsigned(row.get(1)),
            handled: unsigned(row.get(2)),
            deliveries: unsigned(row.get(3)),
        };
        Ok(rows.iter().map(rate).collect())
    }
}

impl PostgresStore {
    /// A source of ids for one transaction: the store's own cannot be held while it waits.
    pub(super) fn own_ids(&self, now: Timestamp) -> IdSource {
        let seed = self.next_id(now).as_u128();
        IdSource::new(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(0))
    }
}
