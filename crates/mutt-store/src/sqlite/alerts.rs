//! The book of alerts inside one transaction: changes applied in event order in memory, each alert
//! read once and written once, and the deliveries that each change makes.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use mutt_model::alert::{Alert, AlertState, ClearedBy, SinkRoute, Transition};
use mutt_model::rule::RuleAction;
use mutt_model::verdict::AlertChange;
use mutt_model::{Id, IdSource, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::deliveries::{self, NewDelivery, WAITING};
use super::lanes;
use super::totals::{Totals, signed};
use crate::store::{Committed, StoreError};

/// What is known of a key in this transaction.
struct Slot {
    open: Option<Alert>,
    dirty: bool,
}

/// Alerts that this transaction has touched.
pub(super) struct Book<'a> {
    conn: &'a Connection,
    ids: &'a mut IdSource,
    pub(super) totals: &'a mut Totals,
    pub(super) out: &'a mut Committed,
    sinks: Vec<&'a SinkRoute>,
    now: Timestamp,
    keys: HashMap<String, Slot>,
    ended: Vec<Alert>,
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
        let sinks = sinks.collect();
        Self {
            conn,
            ids,
            totals,
            out,
            sinks,
            now,
            keys: HashMap::new(),
            ended: Vec::new(),
            made: BTreeMap::new(),
            blocked: HashMap::new(),
        }
    }

    fn slot(&mut self, key: &str) -> Result<Option<Alert>, StoreError> {
        if let Some(slot) = self.keys.get_mut(key) {
            return Ok(slot.open.take());
        }
        let open = load_open(self.conn, key)?;
        self.keys.insert(key.to_owned(), Slot { open: None, dirty: false });
        Ok(open)
    }

    fn put_back(&mut self, alert: Alert, touched: bool) {
        if alert.state == AlertState::Cleared {
            if let Some(slot) = self.keys.get_mut(&alert.key) {
                slot.dirty = false;
            }
            self.ended.push(alert);
        } else if let Some(slot) = self.keys.get_mut(&alert.key) {
            slot.dirty |= touched;
            slot.open = Some(alert);
        }
    }

    /// Applies one change; the id of the alert that it opened, repeated or cleared.
    pub(super) fn apply(&mut self, change: &AlertChange) -> Result<Option<Id>, StoreError> {
        let (mut alert, transition) = match (self.slot(&change.key)?, change.action) {
            (Some(mut alert), _) => {
                let transition = alert.apply(change);
                (alert, transition)
            }
            (None, RuleAction::Problem) => {
                (Alert::open(self.ids.next(self.now), change), Transition::Opened)
            }
            (None, RuleAction::Clear) => return Ok(None),
        };
        let id = alert.id;
        let touched = transition != Transition::Nothing;
        if touched {
            let who =
                change.rule_id.map_or_else(|| "mutt".to_owned(), |rule| format!("rule {rule}"));
            self.tell(&mut alert, &transition, change.at, &who, change.event_id)?;
        }
        self.put_back(alert, touched);
        Ok(touched.then_some(id))
    }

    /// Clears an alert by hand or by age.
    pub(super) fn clear(
        &mut self,
        key: &str,
        at: Timestamp,
        by: ClearedBy,
    ) -> Result<Option<Alert>, StoreError> {
        let Some(mut alert) = self.slot(key)? else { return Ok(None) };
        let who = match &by {
            ClearedBy::Rule => "rule".to_owned(),
            ClearedBy::Hand(name) => name.clone(),
            ClearedBy::Age => "age".to_owned(),
        };
        let transition = alert.clear(at, by);
        // No event stands behind it.
        alert.event_id = None;
        alert.correlation_id = None;
        self.tell(&mut alert, &transition, at, &who, None)?;
        self.put_back(alert.clone(), true);
        Ok(Some(alert))
    }

    /// The timeline, what the caller is told, and the deliveries of one transition.
    fn tell(
        &mut self,
        alert: &mut Alert,
        transition: &Transition,
        at: Timestamp,
        who: &str,
        event_id: Option<Id>,
    ) -> Result<(), StoreError> {
        let (what, text) = match transition {
            Transition::Nothing => return Ok(()),
            Transition::Repeated => (None, None),
            Transition::Opened => (Some("opened"), Some(alert.severity.name().to_owned())),
            Transition::SeverityChanged { from } => {
                let text = format!("{} -> {}", from.name(), alert.severity.name());
                (Some("severity_changed"), Some(text))
            }
            Transition::Cleared(_) => (Some("cleared"), None),
        };
        let mut kinds = Vec::new();
        for sink in &self.sinks {
            if let Some(kind) = sink.notice(alert, transition) {
                kinds.push((sink.name.as_str(), kind));
            }
        }
        if let Some(what) = what {
            add_timeline(self.conn, alert.id, at, what, who, text.as_deref(), event_id)?;
            self.out.transitions.push((alert.clone(), transition.clone()));
        }
        if kinds.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_string(alert)?;
        for (sink, kind) in kinds {
            let new = NewDelivery {
                seq: self.totals.delivery_seq + 1,
                id: self.ids.next(self.now),
                sink,
                key: &alert.key,
                kind,
                now: self.now,
                alert_id: alert.id,
                event_id,
                alert: &body,
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
        for alert in &self.ended {
            save(self.conn, alert)?;
        }
        for slot in self.keys.values() {
            if let (Some(alert), true) = (&slot.open, slot.dirty) {
                save(self.conn, alert)?;
            }
        }
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
