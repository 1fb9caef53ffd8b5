//! What counts across events: unhandled shapes by host within the window, and the minute rates.

use std::collections::{BTreeMap, HashMap};

use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Verdict};
use mutt_model::{Event, Severity};
use rusqlite::{Connection, OptionalExtension as _};

use super::totals::{signed, unsigned};
use crate::store::{CommitPolicy, StoreError};

/// The table of unhandled shapes holds at most this many rows; the oldest windows go first.
const UNHANDLED_ROWS_MAX: i64 = 200_000;
/// This many go at once.
const UNHANDLED_EVICT: i64 = 20_000;

/// FNV-1a with a final mix: stable across versions, as the table outlives the program.
fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[derive(Clone, Copy)]
struct Window {
    first_at: i64,
    count: u64,
    fired: bool,
}

/// Counts of one range of events, read on first use, written by `close`.
#[derive(Default)]
pub(super) struct Unhandled {
    windows: HashMap<i64, Window>,
}

impl Unhandled {
    /// Counts one unhandled event; the meta-alert when it crosses the threshold. One for each window.
    pub(super) fn count(
        &mut self,
        conn: &Connection,
        policy: &CommitPolicy,
        event: &Event<'_>,
        verdict: &Verdict,
    ) -> Result<Option<AlertChange>, StoreError> {
        let Some(template) = &verdict.template else { return Ok(None) };
        if policy.unhandled_threshold == 0 {
            return Ok(None);
        }
        let host = super::audit::lower(&event.host);
        let key = hash(&[&host, template]).cast_signed();
        let at = event.received_at.0;
        let fresh = Window { first_at: at, count: 0, fired: false };
        let window = match self.windows.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(load(conn, key)?.unwrap_or(fresh))
            }
        };
        let length = i64::try_from(policy.unhandled_window.as_micros()).unwrap_or(i64::MAX);
        if at.saturating_sub(window.first_at) >= length {
            *window = fresh;
        }
        window.count += 1;
        if window.fired || window.count < policy.unhandled_threshold {
            return Ok(None);
        }
        window.fired = true;
        Ok(Some(meta_alert(policy, event, verdict, &host, template, window.count)))
    }

    pub(super) fn close(self, conn: &Connection) -> Result<(), StoreError> {
        if self.windows.is_empty() {
            return Ok(());
        }
        let mut statement =
            conn.prepare_cached("REPLACE INTO unhandled VALUES (?1, ?2, ?3, ?4)")?;
        let mut windows: Vec<_> = self.windows.into_iter().collect();
        windows.sort_unstable_by_key(|(key, _)| *key);
        for (key, window) in windows {
            statement.execute((key, window.first_at, signed(window.count), window.fired))?;
        }
        Ok(())
    }
}

fn load(conn: &Connection, key: i64) -> rusqlite::Result<Option<Window>> {
    conn.prepare_cached("SELECT first_at, count, fired FROM unhandled WHERE hash = ?1")?
        .query_row([key], |row| {
            Ok(Window { first_at: row.get(0)?, count: unsigned(row.get(1)?), fired: row.get(2)? })
        })
        .optional()
}

/// Ticket_only: a shape that no rule knows is work for the day, not a page at night.
fn meta_alert(
    policy: &CommitPolicy,
    event: &Event<'_>,
    verdict: &Verdict,
    host: &str,
    template: &str,
    count: u64,
) -> AlertChange {
    let short = format!("{:012x}", hash(&[template]) >> 16);
    AlertChange {
        key: format!("unhandled/{host}/{short}"),
        action: RuleAction::Problem,
        problem: "unhandled".to_owned(),
        host: event.host.to_string(),
        resource: short,
        severity: Severity::WARNING,
        team: policy.default_team.clone(),
        decision: Handling::TicketOnly,
        environment: verdict.environment,
        rule_id: None,
        clear_after: policy.unhandled_window,
        message: format!(
            "{count} events on {} within {} match no rule: {template}",
            event.host,
            mutt_model::amount::format_duration(policy.unhandled_window)
        ),
        at: event.received_at,
        event_id: Some(event.id),
        correlation_id: event.correlation_id.as_deref().map(str::to_owned),
    }
}

/// Keeps the table of unhandled shapes bounded.
pub(super) fn evict(conn: &Connection) -> rusqlite::Result<()> {
    let rows: i64 =
        conn.prepare_cached("SELECT COUNT(*) FROM unhandled")?.query_row([], |row| row.get(0))?;
    if rows > UNHANDLED_ROWS_MAX {
        let go = rows - UNHANDLED_ROWS_MAX + UNHANDLED_EVICT;
        conn.execute(
            "DELETE FROM unhandled WHERE hash IN
             (SELECT hash FROM unhandled ORDER BY first_at LIMIT ?1)",
            [go],
        )?;
    }
    Ok(())
}

/// Events and deliveries by minute.
#[derive(Clone, Default)]
pub(super) struct Rates {
    minutes: BTreeMap<i64, (i64, i64, i64)>,
}

impl Rates {
    pub(super) fn event(&mut self, at: mutt_model::Timestamp, handled: bool) {
        let minute = self.minutes.entry(start_of_minute(at)).or_default();
        minute.0 += 1;
        minute.1 += i64::from(handled);
    }

    pub(super) fn deliveries(&mut self, at: mutt_model::Timestamp, made: i64) {
        if made > 0 {
            self.minutes.entry(start_of_minute(at)).or_default().2 += made;
        }
    }

    pub(super) fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(
            "INSERT INTO rates VALUES (?1, ?2, ?3, ?4) ON CONFLICT (minute) DO UPDATE SET
             audited = audited + ?2, handled = handled + ?3, deliveries = deliveries + ?4",
        )?;
        for (minute, (audited, handled, deliveries)) in &self.minutes {
            statement.execute((minute, audited, handled, deliveries))?;
        }
        Ok(())
    }
}

fn start_of_minute(at: mutt_model::Timestamp) -> i64 {
    at.secs().div_euclid(60) * 60
}
