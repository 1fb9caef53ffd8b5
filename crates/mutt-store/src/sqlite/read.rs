//! Reading for API, UI and CLI: searches with cursors and a scan budget, the ledger, rates.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use mutt_model::alert::{Alert, AlertState, ClearedBy, SinkRoute};
use mutt_model::audit::AuditedEvent;
use mutt_model::delivery::{Delivery, DeliveryState};
use mutt_model::ledger::{DeliveryLedger, EventLedger, Ledger};
use mutt_model::{Id, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Rows, params_from_iter};

use super::alerts::{self, Book};
use super::commit::finish;
use super::engine::Writer;
use super::totals::{Totals, unsigned};
use super::{SqliteStore, audit, deliveries, rules};
use crate::counting::Rates;
use crate::queue::QueueStats;
use crate::store::{
    Actor, AlertAct, AlertQuery, Change, Committed, DeliveryLife, DeliveryQuery, EventQuery,
    MinuteRate, PAGE_MAX, Page, ReadStore, SCAN_BUDGET_ROWS, StoreError, TimelineEntry,
};

/// Conditions of a search with their parameters: what one index serves. All others are looked at row
/// by row, so that the scan budget counts every row that is read.
#[derive(Default)]
struct Filter {
    sql: String,
    params: Vec<Value>,
}

impl Filter {
    /// Adds a condition that stands as it is.
    fn literal(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Adds `column op ?`.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.literal(condition);
        self.sql.push_str(" ?");
        self.params.push(value.into());
    }
}

fn blob(id: Id) -> Value {
    Value::Blob(id.0.to_vec())
}

pub(super) fn wrong_cursor() -> StoreError {
    StoreError::Data("the cursor is not one that this store gave".to_owned())
}

fn contains(text: &str, needle: &str) -> bool {
    text.to_lowercase().contains(needle)
}

/// Collects one page from rows that are newest first, within the scan budget.
pub(super) fn collect<T>(
    rows: &mut Rows<'_>,
    limit: usize,
    cursor: impl Fn(&Row<'_>) -> rusqlite::Result<String>,
    mut read: impl FnMut(&Row<'_>) -> Result<Option<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut page = Page::default();
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        page.items.extend(read(row)?);
        scanned += 1;
        if page.items.len() == limit || scanned == SCAN_BUDGET_ROWS {
            page.complete = page.items.len() == limit;
            page.next_cursor = Some(cursor(row)?);
            if rows.next()?.is_none() {
                page.complete = true;
                page.next_cursor = None;
            }
            break;
        }
    }
    Ok(page)
}

fn search_events(
    conn: &Connection,
    query: &EventQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<AuditedEvent>, StoreError> {
    let before: Option<Id> = cursor.map(|c| c.parse().map_err(|_| wrong_cursor())).transpose()?;
    let limit = limit.clamp(1, PAGE_MAX);
    let q = query.q.as_deref().map(str::to_lowercase);
    let host = query.host.as_deref().map(str::to_lowercase);
    let handled_row = |handled: bool| query.handled.is_none_or(|wanted| wanted == handled);
    let mut found = Vec::new();
    // Each table is read up to the budget; where one stopped early nothing older is shown.
    let mut horizon: Option<Id> = None;
    for handled in [true, false] {
        if !handled_row(handled) || (!handled && query.rule.is_some()) {
            continue;
        }
        let filter = event_filter(query, before);
        let sql = format!(
            "SELECT {}, host FROM {}{} ORDER BY id DESC",
            audit::COLUMNS,
            audit::table(handled),
            filter.sql
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(&filter.params))?;
        let (mut taken, mut scanned, mut last) = (0, 0, None);
        while let Some(row) = rows.next()? {
            if taken == limit || scanned == SCAN_BUDGET_ROWS {
                horizon = horizon.max(last);
                break;
            }
            scanned += 1;
            last = Some(audit::id(row, 1)?);
            if !event_fits(query, host.as_deref(), row)? {
                continue;
            }
            let item = audit::from_row(row, handled)?;
            if query.parse.is_some_and(|parse| parse != item.event.parse.status) {
                continue;
            }
            if q.as_deref().is_none_or(|q| contains(&item.event.message, q)) {
                found.push(item);
                taken += 1;
            }
        }
    }
    found.retain(|item| horizon.is_none_or(|horizon| item.event.id >= horizon));
    found.sort_by_key(|item| std::cmp::Reverse(item.event.id));
    let cut = found.len() > limit;
    found.truncate(limit);
    let next = if cut { found.last().map(|item| item.event.id) } else { horizon };
    let complete = next.is_none() || found.len() == limit;
    Ok(Page { items: found, next_cursor: next.map(|id| id.to_string()), complete })
}

/// The conditions that can be told from the columns; the text of the message comes after.
fn event_fits(query: &EventQuery, host: Option<&str>, row: &Row<'_>) -> Result<bool, StoreError> {
    if query.severity.is_some() && row.get::<_, Option<u8>>(2)? != query.severity
        || query.rule.is_some() && row.get::<_, Option<i64>>(4)? != query.rule
    {
        return Ok(false);
    }
    fits(row, 10, host)
}

/// Whether a text column is what was asked for.
fn fits(row: &Row<'_>, at: usize, wanted: Option<&str>) -> Result<bool, StoreError> {
    let Some(wanted) = wanted else { return Ok(true) };
    row.get_ref(at)?.as_str().map(|is| is == wanted).map_err(|e| StoreError::Data(e.to_string()))
}

fn event_filter(query: &EventQuery, before: Option<Id>) -> Filter {
    let mut filter = Filter::default();
    if let Some(alert) = query.alert {
        filter.and("alert_id =", blob(alert));
    } else if let Some(host) = &query.host {
        filter.and("host =", host.to_lowercase());
    } else if let Some(rule) = query.rule {
        filter.and("rule_id =", rule);
    }
    if let Some(since) = query.since {
        filter.and("id >=", blob(Id::floor_of(since)));
    }
    let until = query.until.map(Id::floor_of);
    if let Some(upper) = [until, before].into_iter().flatten().min() {
        filter.and("id <", blob(upper));
    }
    filter
}

/// Cursor of a list that is sorted by a number and an id: `number.id`.
fn pair_cursor(cursor: &str) -> Result<(i64, Id), StoreError> {
    let (number, id) = cursor.split_once('.').ok_or_else(wrong_cursor)?;
    let number = number.parse().map_err(|_| wrong_cursor())?;
    Ok((number, id.parse().map_err(|_| wrong_cursor())?))
}

fn search_alerts(
    conn: &Connection,
    query: &AlertQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Alert>, StoreError> {
    let mut filter = Filter::default();
    let lower = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    let (host, team, problem) = (lower(&query.host), lower(&query.team), lower(&query.problem));
    let cleared = query.state.map(|state| state == AlertState::Cleared);
    if let Some(host) = host {
        filter.and("host =", host);
    } else if let Some(cleared) = cleared {
        filter.and("cleared =", i64::from(cleared));
    }
    if let Some(cursor) = cursor {
        let (last_seen, id) = pair_cursor(cursor)?;
        filter.and("(last_seen, id) < (", last_seen);
        filter.params.push(blob(id));
        filter.sql.push_str(", ?)");
    }
    let q = lower(&query.q);
    let sql = format!(
        "SELECT last_seen, id, cleared, team, problem, body FROM alerts{}
         ORDER BY last_seen DESC, id DESC",
        filter.sql
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&filter.params))?;
    let cursor = |row: &Row<'_>| Ok(format!("{}.{}", row.get::<_, i64>(0)?, audit::id(row, 1)?));
    collect(&mut rows, limit, cursor, |row| {
        let in_state = cleared.is_none() || cleared == Some(row.get(2)?);
        if !(in_state && fits(row, 3, team.as_deref())? && fits(row, 4, problem.as_deref())?) {
            return Ok(None);
        }
        let body = row.get_ref(5)?.as_str().map_err(|e| StoreError::Data(e.to_string()))?;
        let alert: Alert = serde_json::from_str(body)?;
        let wanted =
            q.as_deref().is_none_or(|q| contains(&alert.key, q) || contains(&alert.message, q));
        Ok(wanted.then_some(alert))
    })
}

fn search_deliveries(
    conn: &Connection,
    query: &DeliveryQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Delivery>, StoreError> {
    let mut filter = Filter::default();
    if let Some(event) = query.event {
        filter.and("d.event_id =", blob(event));
    } else if let Some(alert) = query.alert {
        filter.and("d.alert_id =", blob(alert));
    } else {
        // Literals, so that the partial indexes of live and dead rows serve.
        match query.state {
            Some(DeliveryState::Pending | DeliveryState::Held) => {
                filter.literal("d.state = 0 AND d.state < 3");
            }
            Some(DeliveryState::Leased) => filter.literal("d.state = 1 AND d.state < 3"),
            Some(DeliveryState::Dead) => filter.literal("d.state = 5"),
            // Most rows are delivered; the few others are looked for within the budget.
            Some(DeliveryState::Delivered | DeliveryState::Suppressed) | None => {}
        }
    }
    if let Some(cursor) = cursor {
        let seq: i64 = cursor.parse().map_err(|_| wrong_cursor())?;
        filter.and("d.seq <", seq);
    }
    let sql = format!(
        "SELECT {}, d.alert_id FROM deliveries d{} ORDER BY d.seq DESC",
        deliveries::COLUMNS,
        filter.sql
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&filter.params))?;
    let cursor = |row: &Row<'_>| row.get::<_, i64>(0).map(|seq| seq.to_string());
    collect(&mut rows, limit, cursor, |row| {
        let fitting = fits(row, 2, query.sink.as_deref())?
            && (query.state.is_none() || query.state == Some(deliveries::state(row)?))
            && (query.alert.is_none() || query.alert == Some(audit::id(row, 16)?));
        if fitting { deliveries::from_row(conn, row).map(Some) } else { Ok(None) }
    })
}

fn timeline(conn: &Connection, id: Id) -> Result<Vec<TimelineEntry>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT at, what, who, text, event_id FROM timeline WHERE alert_id = ?1 ORDER BY n",
        )?
        .query_map([id.0.as_slice()], |row| {
            Ok(TimelineEntry {
                at: Timestamp(row.get(0)?),
                what: row.get(1)?,
                who: row.get(2)?,
                text: row.get(3)?,
                event_id: audit::opt_id(row, 4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?)
}

fn act(
    writer: &mut Writer,
    id: Id,
    act: AlertAct,
    actor: &Actor,
    sinks: &[SinkRoute],
    now: Timestamp,
) -> Result<Alert, StoreError> {
    let mut alert = alerts::load(&writer.conn, id)?
        .ok_or_else(|| StoreError::NotFound(format!("no alert has the id {id}")))?;
    let note = |what, text: Option<&str>| {
        alerts::add_timeline(&writer.conn, id, now, what, &actor.name, text, None)
    };
    let over = || StoreError::Conflict("the alert is cleared already".to_owned());
    let (action, text) = match act {
        AlertAct::Note(text) => {
            note("note", Some(&text))?;
            ("note", Some(text))
        }
        AlertAct::Acknowledge => {
            if alert.state == AlertState::Cleared {
                return Err(over());
            }
            alert.acknowledged_by = Some(actor.name.clone());
            alert.acknowledged_at = Some(now);
            alerts::save(&writer.conn, &alert)?;
            note("acknowledged", actor.reason.as_deref())?;
            ("acknowledge", None)
        }
        AlertAct::Clear => {
            let mut totals = Totals::load(&writer.conn)?;
            let mut out = Committed::default();
            let (conn, ids) = (&writer.conn, &mut writer.ids);
            let mut book = Book::new(conn, ids, &mut totals, &mut out, sinks.iter(), now);
            let by = ClearedBy::Hand(actor.name.clone());
            if alert.state == AlertState::Cleared {
                return Err(over());
            }
            alert = book.clear(&alert.key, now, by)?.ok_or_else(over)?;
            book.close()?;
            finish(&writer.conn, &totals, &out, Rates::default(), now)?;
            ("clear", None)
        }
    };
    let entry = Change {
        id: 0,
        at: now,
        who: actor.name.clone(),
        object: "alert".to_owned(),
        object_id: id.to_string(),
        action: action.to_owned(),
        old: None,
        new: text.map(serde_json::Value::String),
        reason: actor.reason.clone(),
    };
    rules::log_change(&writer.conn, &entry)?;
    Ok(alert)
}

fn search_changes(
    conn: &Connection,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Change>, StoreError> {
    let before: i64 = cursor.map_or(Ok(i64::MAX), str::parse).map_err(|_| wrong_cursor())?;
    let mut statement = conn.prepare_cached(
        "SELECT id, at, who, object, object_id, action, old, new, reason FROM changes
         WHERE id < ?1 ORDER BY id DESC",
    )?;
    let mut rows = statement.query([before])?;
    let json = |text: Option<String>| text.map(|t| serde_json::from_str(&t)).transpose();
    let cursor = |row: &Row<'_>| row.get::<_, i64>(0).map(|id| id.to_string());
    collect(&mut rows, limit, cursor, |row| {
        Ok(Some(Change {
            id: row.get(0)?,
            at: Timestamp(row.get(1)?),
            who: row.get(2)?,
            object: row.get(3)?,
            object_id: row.get(4)?,
            action: row.get(5)?,
            old: json(row.get(6)?)?,
            new: json(row.get(7)?)?,
            reason: row.get(8)?,
        }))
    })
}

fn delivery_ledger(conn: &Connection) -> Result<DeliveryLedger, StoreError> {
    let mut ledger =
        DeliveryLedger { created: unsigned(Totals::load(conn)?.deliveries), ..Default::default() };
    let mut statement = conn.prepare_cached(
        "SELECT c.state, c.n + c.removed, EXISTS (SELECT 1 FROM lanes l
            WHERE l.sink = c.sink AND l.held_by IS NOT NULL) FROM delivery_counts c",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let slot = match row.get::<_, i64>(0)? {
            deliveries::WAITING if row.get(2)? => &mut ledger.held,
            deliveries::WAITING => &mut ledger.pending,
            deliveries::LEASED => &mut ledger.leased,
            deliveries::DELIVERED => &mut ledger.delivered,
            deliveries::SUPPRESSED => &mut ledger.suppressed,
            _ => &mut ledger.dead,
        };
        *slot += unsigned(row.get(1)?);
    }
    Ok(ledger)
}

/// The queue's part and the store's part, read one after the other: a batch between the two shows as
/// unaccounted for that moment.
fn ledger(conn: &Connection, queue: &QueueStats) -> Result<Ledger, StoreError> {
    let totals = Totals::load(conn)?;
    let events = EventLedger {
        received: queue.appended_events + queue.dropped.values().sum::<u64>(),
        audited: unsigned(totals.audited),
        pending: queue.pending_events,
        spilled: BTreeMap::new(),
        duplicates: unsigned(totals.duplicates),
        dropped: queue.dropped.clone(),
        lost: queue.lost_events + unsigned(totals.lost),
        unaccounted: 0,
    };
    Ok(Ledger { events: events.balanced(), deliveries: delivery_ledger(conn)? })
}

fn rates(conn: &Connection, since: Timestamp) -> Result<Vec<MinuteRate>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT * FROM rates WHERE minute >= ?1 ORDER BY minute")?
        .query_map([since.secs().div_euclid(60) * 60], |row| {
            Ok(MinuteRate {
                minute: row.get(0)?,
                audited: unsigned(row.get(1)?),
                handled: unsigned(row.get(2)?),
                deliveries: unsigned(row.get(3)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?)
}

#[async_trait]
impl ReadStore for SqliteStore {
    async fn events(
        &self,
        query: &EventQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<AuditedEvent>, StoreError> {
        let (query, cursor) = (query.clone(), cursor.map(str::to_owned));
        self.search("search", move |conn| search_events(conn, &query, limit, cursor.as_deref()))
            .await
    }

    async fn event(&self, id: Id) -> Result<Option<AuditedEvent>, StoreError> {
        self.read("read an event", move |conn| audit::by_id(conn, id)).await
    }

    async fn standing(&self, events: &[(Timestamp, Id)]) -> Result<HashSet<Id>, StoreError> {
        let ids: Vec<Id> = events.iter().map(|(_, id)| *id).collect();
        self.search("look for events", move |conn| audit::standing(conn, &ids)).await
    }

    async fn tail(
        &self,
        seq: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<AuditedEvent>, i64), StoreError> {
        self.search("tail the audit", move |conn| {
            let end = Totals::load(conn)?.seq;
            // A place beyond the end is one from before a restore.
            let Some(seq) = seq.filter(|seq| *seq <= end) else { return Ok((Vec::new(), end)) };
            let items = audit::after(conn, seq, limit.clamp(1, PAGE_MAX))?;
            let place = items.last().map_or(seq, |item| item.seq);
            Ok((items, place))
        })
        .await
    }

    async fn alerts(
        &self,
        query: &AlertQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Alert>, StoreError> {
        let (query, cursor) = (query.clone(), cursor.map(str::to_owned));
        self.search("list alerts", move |conn| {
            search_alerts(conn, &query, limit, cursor.as_deref())
        })
        .await
    }

    async fn alert(&self, id: Id) -> Result<Option<(Alert, Vec<TimelineEntry>)>, StoreError> {
        self.search("read an alert", move |conn| {
            let Some(alert) = alerts::load(conn, id)? else { return Ok(None) };
            Ok(Some((alert, timeline(conn, id)?)))
        })
        .await
    }

    async fn act_on_alert(
        &self,
        id: Id,
        what: AlertAct,
        actor: &Actor,
        sinks: &[SinkRoute],
        now: Timestamp,
    ) -> Result<Alert, StoreError> {
        let (actor, sinks) = (actor.clone(), sinks.to_vec());
        let clears = what == AlertAct::Clear;
        let alert =
            self.write("act on an alert", move |w| act(w, id, what, &actor, &sinks, now)).await?;
        if clears {
            self.signals.deliveries.ring();
        }
        Ok(alert)
    }

    async fn deliveries(
        &self,
        query: &DeliveryQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Delivery>, StoreError> {
        let (query, cursor) = (query.clone(), cursor.map(str::to_owned));
        self.search("list deliveries", move |conn| {
            search_deliveries(conn, &query, limit, cursor.as_deref())
        })
        .await
    }

    async fn delivery(&self, id: Id) -> Result<Option<DeliveryLife>, StoreError> {
        self.search("read a delivery", move |conn| {
            let Some(delivery) = deliveries::load(conn, id)? else { return Ok(None) };
            let attempts = deliveries::attempts(conn, delivery.seq)?;
            Ok(Some(DeliveryLife { delivery, attempts }))
        })
        .await
    }

    async fn changes(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Change>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        self.search("read the change log", move |conn| {
            search_changes(conn, limit, cursor.as_deref())
        })
        .await
    }

    async fn ledger(&self, queue: &QueueStats) -> Result<Ledger, StoreError> {
        let queue = queue.clone();
        self.read("read the ledger", move |conn| ledger(conn, &queue)).await
    }

    async fn delivery_ledger(&self) -> Result<DeliveryLedger, StoreError> {
        self.read("read the ledger", delivery_ledger).await
    }

    async fn dead_by_reason(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.search("count the dead", |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT COALESCE(reason, ''), COUNT(*) FROM deliveries WHERE state = 5
                     GROUP BY reason",
                )?
                .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn rates(&self, since: Timestamp) -> Result<Vec<MinuteRate>, StoreError> {
        self.search("read the rates", move |conn| rates(conn, since)).await
    }
}
