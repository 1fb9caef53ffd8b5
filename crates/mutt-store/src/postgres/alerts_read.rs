//! Alerts as people see them: lists, timelines, what somebody does to one.

use mutt_model::alert::{Alert, AlertState, ClearedBy, SinkRoute};
use mutt_model::{Id, IdSource, Timestamp};
use tokio_postgres::Row;

use super::rules::log_change;
use super::search::{contains, wrong_cursor};
use super::types::Uid;
use super::{Conn, NO_SHARD, alerts, counts, locks};
use crate::book::Book;
use crate::counting::Rates;
use crate::store::{
    Actor, AlertAct, AlertQuery, Change, Committed, PAGE_MAX, Page, SCAN_BUDGET_ROWS, StoreError,
    TimelineEntry,
};

/// Rows looked at in one query.
const CHUNK: usize = 2_000;

/// Cursor of a list that is sorted by a number and an id: `number.id`.
fn pair_cursor(cursor: &str) -> Result<(i64, Id), StoreError> {
    let (number, id) = cursor.split_once('.').ok_or_else(wrong_cursor)?;
    let number = number.parse().map_err(|_| wrong_cursor())?;
    Ok((number, id.parse().map_err(|_| wrong_cursor())?))
}

pub(super) async fn search(
    conn: &Conn,
    query: &AlertQuery,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<Alert>, StoreError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let lower = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    let (host, team, problem) = (lower(&query.host), lower(&query.team), lower(&query.problem));
    let cleared = query.state.map(|state| state == AlertState::Cleared);
    let q = lower(&query.q);
    let (mut seen, mut id) = cursor.map_or(Ok((i64::MAX, Id([0xff; 16]))), pair_cursor)?;
    let mut page = Page::default();
    let mut scanned = 0;
    // One statement for each index; the rest is looked at row by row, so that the budget counts.
    let sql = format!(
        "SELECT last_seen, id, cleared, team, problem, body FROM alerts
         WHERE (last_seen, id) < ($1, $2) AND {} ORDER BY last_seen DESC, id DESC LIMIT $4",
        if host.is_some() { "host = $3" } else { "$3::text IS NULL" },
    );
    loop {
        let rows = CHUNK.min(SCAN_BUDGET_ROWS - scanned + 1);
        let wanted = i64::try_from(rows).unwrap_or(i64::MAX);
        let chunk = conn.all(&sql, &[&seen, &Uid(id), &host, &wanted]).await?;
        for row in &chunk {
            if page.items.len() == limit || scanned == SCAN_BUDGET_ROWS {
                page.complete = page.items.len() == limit;
                page.next_cursor = Some(format!("{seen}.{id}"));
                return Ok(page);
            }
            scanned += 1;
            (seen, id) = (row.get(0), row.get::<_, Uid>(1).0);
            let fits = cleared.is_none_or(|cleared| row.get::<_, bool>(2) == cleared)
                && team.as_deref().is_none_or(|team| row.get::<_, &str>(3) == team)
                && problem.as_deref().is_none_or(|problem| row.get::<_, &str>(4) == problem);
            if !fits {
                continue;
            }
            let alert: Alert = serde_json::from_str(row.get(5))?;
            let wanted = |q: &str| contains(&alert.key, q) || contains(&alert.message, q);
            if q.as_deref().is_none_or(wanted) {
                page.items.push(alert);
            }
        }
        if chunk.len() < rows {
            return Ok(page);
        }
    }
}

pub(super) async fn load(conn: &Conn, id: Id) -> Result<Option<Alert>, StoreError> {
    let row = conn.opt("SELECT body FROM alerts WHERE id = $1", &[&Uid(id)]).await?;
    row.map(|row| Ok(serde_json::from_str(row.get(0))?)).transpose()
}

pub(super) async fn timeline(conn: &Conn, id: Id) -> Result<Vec<TimelineEntry>, StoreError> {
    let rows = conn
        .all(
            "SELECT at, what, who, text, event_id FROM timeline WHERE alert_id = $1 ORDER BY n",
            &[&Uid(id)],
        )
        .await?;
    let entry = |row: &Row| TimelineEntry {
        at: Timestamp(row.get(0)),
        what: row.get(1),
        who: row.get(2),
        text: row.get(3),
        event_id: row.get::<_, Option<Uid>>(4).map(|id| id.0),
    };
    Ok(rows.iter().map(entry).collect())
}

async fn note(
    conn: &Conn,
    id: Id,
    at: Timestamp,
    what: &str,
    who: &str,
    text: Option<&str>,
) -> Result<(), StoreError> {
    conn.run(
        "INSERT INTO timeline (alert_id, at, what, who, text) VALUES ($1, $2, $3, $4, $5)",
        &[&Uid(id), &at.0, &what, &who, &text],
    )
    .await?;
    Ok(())
}

/// Clears open alerts and makes their deliveries. The keys are locked.
pub(super) async fn clear(
    conn: &Conn,
    ids: &mut IdSource,
    keys: &[&str],
    sinks: &[SinkRoute],
    by: &ClearedBy,
    now: Timestamp,
) -> Result<Vec<Alert>, StoreError> {
    let mut open = alerts::load_open(conn, keys).await?;
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    let blocked = alerts::blocked(conn, &names).await?;
    let mut book = Book::new(ids, sinks.iter(), now);
    let mut cleared = Vec::new();
    for key in keys {
        book.learn(key, open.remove(*key));
        cleared.extend(book.clear(key, now, by.clone())?);
    }
    let mut out = Committed::default();
    alerts::write(conn, NO_SHARD, book.close(), &blocked, now, &mut out).await?;
    counts::add(conn, NO_SHARD, &out, Rates::default(), now).await?;
    Ok(cleared)
}

pub(super) async fn act(
    conn: &Conn,
    ids: &mut IdSource,
    id: Id,
    act: AlertAct,
    actor: &Actor,
    sinks: &[SinkRoute],
    now: Timestamp,
) -> Result<Alert, StoreError> {
    let missing = || StoreError::NotFound(format!("no alert has the id {id}"));
    let over = || StoreError::Conflict("the alert is cleared already".to_owned());
    let key = load(conn, id).await?.ok_or_else(missing)?.key;
    locks::keys(conn, [key.as_str()]).await?;
    let mut alert = load(conn, id).await?.ok_or_else(missing)?;
    let (action, text) = match act {
        AlertAct::Note(text) => {
            note(conn, id, now, "note", &actor.name, Some(&text)).await?;
            ("note", Some(text))
        }
        AlertAct::Acknowledge => {
            if alert.state == AlertState::Cleared {
                return Err(over());
            }
            alert.acknowledged_by = Some(actor.name.clone());
            alert.acknowledged_at = Some(now);
            alerts::save(conn, [&alert]).await?;
            note(conn, id, now, "acknowledged", &actor.name, actor.reason.as_deref()).await?;
            ("acknowledge", None)
        }
        AlertAct::Clear => {
            if alert.state == AlertState::Cleared {
                return Err(over());
            }
            let by = ClearedBy::Hand(actor.name.clone());
            let cleared = clear(conn, ids, &[key.as_str()], sinks, &by, now).await?;
            alert = cleared.into_iter().next().ok_or_else(over)?;
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
    log_change(conn, &entry).await?;
    Ok(alert)
}
