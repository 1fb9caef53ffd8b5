//! Searches of the audit: index ranges from the newest partition backwards, a chunk at a time, until
//! the page is full or the scan budget is met.

use mutt_model::audit::AuditedEvent;
use mutt_model::{Id, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::types::Uid;
use super::{Conn, audit, copy};
use crate::store::{EventQuery, PAGE_MAX, Page, SCAN_BUDGET_ROWS, StoreError};

/// Rows looked at in one query when more than the index decides.
const CHUNK: usize = 2_000;
/// The spans that are searched one after the other where no `since` is given, in days: most searches
/// find their page in the first, and partitions outside of a span are not even planned.
const SPANS: [i64; 2] = [2, 16];

pub(super) fn wrong_cursor() -> StoreError {
    StoreError::Data("the cursor is not one that this store gave".to_owned())
}

pub(super) fn contains(text: &str, needle: &str) -> bool {
    text.to_lowercase().contains(needle)
}

/// Place of a row in the order of the audit: `micros.id`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(i64, Id);

impl Place {
    fn of(row: &Row) -> Self {
        Self(row.get(1), row.get::<_, Uid>(2).0)
    }

    fn parse(cursor: &str) -> Result<Self, StoreError> {
        let (at, id) = cursor.split_once('.').ok_or_else(wrong_cursor)?;
        let at = at.parse().map_err(|_| wrong_cursor())?;
        Ok(Self(at, id.parse().map_err(|_| wrong_cursor())?))
    }
}

/// What decides which index is used, and what is looked at row by row afterwards.
struct Search<'a> {
    query: &'a EventQuery,
    host: Option<String>,
    q: Option<String>,
    sql: String,
    /// The first parameter, where the index has one.
    value: Option<(Box<dyn ToSql + Sync + Send>, Type)>,
    /// Whether a row may be refused that the index gave.
    picky: bool,
}

impl<'a> Search<'a> {
    fn new(query: &'a EventQuery) -> Self {
        let host = query.host.as_deref().map(str::to_lowercase);
        let q = query.q.as_deref().map(str::to_lowercase);
        let mut picky = q.is_some() || query.severity.is_some() || query.parse.is_some();
        let (condition, value): (_, Option<(Box<dyn ToSql + Sync + Send>, Type)>) =
            if let Some(alert) = query.alert {
                picky |= host.is_some() || query.rule.is_some();
                ("alert_id = $5", Some((Box::new(Uid(alert)), Type::UUID)))
            } else if let Some(host) = &host {
                picky |= query.rule.is_some();
                ("host = $5", Some((Box::new(host.clone()), Type::TEXT)))
            } else if let Some(rule) = query.rule {
                ("rule_id = $5", Some((Box::new(rule), Type::INT8)))
            } else {
                ("true", None)
            };
        let part = |handled: bool| {
            format!(
                "(SELECT {} FROM {} WHERE received_at >= $1 AND received_at <= $2
                    AND (received_at, id) < ($2, $3) AND {condition}
                  ORDER BY received_at DESC, id DESC LIMIT $4)",
                audit::columns_of(handled),
                copy::table(handled)
            )
        };
        let tables = [true, false].into_iter().filter(|handled| {
            query.handled.is_none_or(|wanted| wanted == *handled)
                && (*handled || query.rule.is_none())
        });
        let parts: Vec<String> = tables.map(part).collect();
        let sql = match parts.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            all => {
                format!("{} ORDER BY received_at DESC, id DESC LIMIT $4", all.join(" UNION ALL "))
            }
        };
        Self { query, host, q, sql, value, picky }
    }

    async fn chunk(
        &self,
        conn: &Conn,
        since: i64,
        before: Place,
        rows: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let id = Uid(before.1);
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&since, Type::INT8),
            (&before.0, Type::INT8),
            (&id, Type::UUID),
            (&rows, Type::INT8),
        ];
        if let Some((value, kind)) = &self.value {
            params.push((value.as_ref(), kind.clone()));
        }
        audit::query(conn, &self.sql, &params).await
    }

    /// The event of a row, when it is wanted.
    fn read(&self, row: &Row) -> Result<Option<AuditedEvent>, StoreError> {
        let query = self.query;
        let severity = query.severity.map(i16::from);
        if severity.is_some() && row.get::<_, Option<i16>>(11) != severity
            || query.rule.is_some() && row.get::<_, Option<i64>>(5) != query.rule
            || self.host.as_deref().is_some_and(|host| row.get::<_, &str>(12) != host)
        {
            return Ok(None);
        }
        let item = audit::from_row(row)?;
        let wanted = self.q.as_deref().is_none_or(|q| contains(&item.event.message, q))
            && query.parse.is_none_or(|parse| parse == item.event.parse.status);
        Ok(wanted.then_some(item))
    }
}

pub(super) async fn events(
    conn: &Conn,
    query: &EventQuery,
    limit: usize,
    cursor: Option<&str>,
    now: Timestamp,
) -> Result<Page<AuditedEvent>, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let search = Search::new(query);
    let mut page = Page::default();
    let mut before = Place(i64::MAX, Id([0xff; 16]));
    if let Some(until) = query.until {
        before = Place(until.0, Id::default());
    }
    if let Some(cursor) = cursor {
        before = before.min(Place::parse(cursor)?);
    }
    if search.sql.is_empty() {
        return Ok(page);
    }
    let mut scanned = 0;
    for since in spans(query.since, before, now) {
        loop {
            let left = SCAN_BUDGET_ROWS - scanned;
            let wanted = limit + 1 - page.items.len();
            let rows = if search.picky { CHUNK.max(wanted) } else { wanted }.min(left + 1);
            let chunk = search.chunk(conn, since, before, rows).await?;
            for row in &chunk {
                if page.items.len() == limit || scanned == SCAN_BUDGET_ROWS {
                    // There is another row: this page ends before it.
                    page.complete = page.items.len() == limit;
                    page.next_cursor = Some(format!("{}.{}", before.0, before.1));
                    return Ok(page);
                }
                scanned += 1;
                before = Place::of(row);
                page.items.extend(search.read(row)?);
            }
            if chunk.len() < rows {
                break;
            }
        }
    }
    Ok(page)
}

/// Where the searched spans begin, newest first; the last is where the search ends.
fn spans(since: Option<Timestamp>, before: Place, now: Timestamp) -> Vec<i64> {
    let end = since.map_or(0, |at| at.0);
    let start = before.0.min(now.0.saturating_add(audit::DAY));
    let mut spans: Vec<i64> = SPANS
        .into_iter()
        .map(|days| audit::start_of_day(Timestamp(start)) - days * audit::DAY)
        .filter(|from| *from > end)
        .collect();
    spans.push(end);
    spans
}
