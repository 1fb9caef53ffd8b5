//! Alerts: the book of one transaction with its rows, and the rows themselves.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use mutt_model::alert::{Alert, AlertState, ClearedBy, SinkRoute};
use mutt_model::verdict::AlertChange;
use mutt_model::{Id, IdSource, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::deliveries::{self, NewDelivery, WAITING};
use super::lanes;
use super::totals::{Totals, signed};
use crate::store::{Committed, StoreError};

/// The book of one transaction, with its rows: what is not known is read, what is made is written.
pub(super) struct Book<'a> {
    conn: &'a Connection,
    pub(super) totals: &'a mut Totals,
    pub(super) out: &'a mut Committed,
    now: Timestamp,
    book: crate::book::Book<'a, 'a>,
    made: BTreeMap<&'a str, Made>,
    /// Sinks of which it is known whether anything can leave to them.
    blocked: HashMap<&'a str, bool>,
}

/// Deliveries made for one sink.
#[derive(Clone, Copy, Default)]
struct Made {
    waiting: u64,
    /// Those that became part of one that waits already.
    joined: u64,
}

impl<'a> Book<'a> {
    pub(super) fn new(
        conn: &'a Connection,
        ids: &'a mut IdSource,
        totals: &'a mut Totals,
        out: &'a mut Committed,
        sinks: impl Iterator<Item = &'a SinkRoute>,
        now: Timestamp,
    ) -> Self {
        let book = crate::book::Book::new(ids, sinks, now);
        Self { conn, totals, out, now, book, made: BTreeMap::new(), blocked: HashMap::new() }
    }

    fn learn(&mut self, key: &str) -> Result<(), StoreError> {
        if !self.book.knows(key) {
            let open = load_open(self.conn, key)?;
            self.book.learn(key, open);
        }
        Ok(())
    }

    /// Applies one change; the id of the alert that it opened, repeated or cleared.
    pub(super) fn apply(&mut self, change: &AlertChange) -> Result<Option<Id>, StoreError> {
        self.learn(&change.key)?;
        let id = self.book.apply(change)?;
        self.tell()?;
        Ok(id)
    }

    /// Clears an alert by hand or by age.
    pub(super) fn clear(
        &mut self,
        key: &str,
        at: Timestamp,
        by: ClearedBy,
    ) -> Result<Option<Alert>, StoreError> {
        self.learn(key)?;
        let cleared = self.book.clear(key, at, by)?;
        self.tell()?;
        Ok(cleared)
    }

    /// Writes what the last change made: the timeline, the deliveries.
    fn tell(&mut self) -> Result<(), StoreError> {
        for row in self.book.timeline.drain(..) {
            let text = row.text.as_deref();
            add_timeline(self.conn, row.alert, row.at, row.what, &row.who, text, row.event)?;
        }
        for new in std::mem::take(&mut self.book.notices) {
            let sink = new.sink;
            let new = NewDelivery {
                seq: self.totals.delivery_seq + 1,
                id: new.id,
                sink,
                key: &new.key,
                kind: new.kind,
                now: self.now,
                alert_id: new.alert_id,
                event_id: new.event_id,
                alert: &new.alert,
            };
            self.deliver(sink, &new)?;
        }
        Ok(())
    }

    fn deliver(&mut self, sink: &'a str, new: &NewDelivery<'_>) -> Result<(), StoreError> {
        let blocked = match self.blocked.entry(sink) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(lanes::is_blocked(self.conn, sink)?),
        };
        let made = self.made.entry(sink).or_default();
        if blocked && deliveries::join_waiting(self.conn, new)? {
            made.joined += 1;
            return Ok(());
        }
        self.totals.delivery_seq = new.seq;
        deliveries::insert(self.conn, new)?;
        made.waiting += 1;
        Ok(())
    }

    /// Writes what was touched. Ended alerts first, so that a key is free for the one that follows.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let touched = self.book.close();
        for alert in touched.ended.iter().chain(touched.open.values()) {
            save(self.conn, alert)?;
        }
        self.out.transitions.extend(touched.transitions);
        for (sink, made) in self.made {
            let all = made.waiting + made.joined;
            deliveries::count(self.conn, sink, WAITING, signed(made.waiting))?;
            deliveries::count_joined(self.conn, sink, signed(made.joined))?;
            self.totals.deliveries += signed(all);
            *self.out.deliveries.entry(sink.to_owned()).or_default() += all;
        }
        Ok(())
    }
}

fn parse(body: &str) -> Result<Alert, StoreError> {
    Ok(serde_json::from_str(body)?)
}

fn load_open(conn: &Connection, key: &str) -> Result<Option<Alert>, StoreError> {
    conn.prepare_cached("SELECT body FROM alerts WHERE key = ?1 AND cleared = 0")?
        .query_row([key], |row| Ok(parse(row.get_ref(0)?.as_str()?)))
        .optional()?
        .transpose()
}

/// Whether a key has an open alert.
pub(super) fn is_open(conn: &Connection, key: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM alerts WHERE key = ?1 AND cleared = 0)")?
        .query_row([key], |row| row.get(0))
}

/// The alert with this id.
pub(super) fn load(conn: &Connection, id: Id) -> Result<Option<Alert>, StoreError> {
    conn.prepare_cached("SELECT body FROM alerts WHERE id = ?1")?
        .query_row([id.0.as_slice()], |row| Ok(parse(row.get_ref(0)?.as_str()?)))
        .optional()?
        .transpose()
}

pub(super) fn save(conn: &Connection, alert: &Alert) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO alerts (id, key, cleared, host, team, problem, last_seen, ages_out_at,
            cleared_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET cleared = ?3, team = ?5, last_seen = ?7, ages_out_at = ?8,
            cleared_at = ?9, body = ?10",
    )?
    .execute((
        alert.id.0.as_slice(),
        &alert.key,
        alert.state == AlertState::Cleared,
        alert.host.to_lowercase(),
        alert.team.to_lowercase(),
        alert.problem.to_lowercase(),
        alert.last_seen.0,
        alert.ages_out_at().map(|at| at.0),
        alert.cleared_at.map(|at| at.0),
        serde_json::to_string(alert)?,
    ))?;
    Ok(())
}

pub(super) fn add_timeline(
    conn: &Connection,
    alert: Id,
    at: Timestamp,
    what: &str,
    who: &str,
    text: Option<&str>,
    event: Option<Id>,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO timeline (alert_id, at, what, who, text, event_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        alert.0.as_slice(),
        at.0,
        what,
        who,
        text,
        event.as_ref().map(|id| id.0.as_slice()),
    ))?;
    Ok(())
}
