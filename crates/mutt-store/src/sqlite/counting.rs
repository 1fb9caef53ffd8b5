//! The tables of what counts across events: windows of unhandled shapes, minute rates.

use std::collections::HashMap;

use mutt_model::Event;
use mutt_model::verdict::{AlertChange, Verdict};
use rusqlite::{Connection, OptionalExtension as _};

use super::totals::{signed, unsigned};
use crate::counting::{Rates, Window, meta_alert, shape};
use crate::store::{CommitPolicy, StoreError};

/// The table of unhandled shapes holds at most this many rows; the oldest windows go first.
const UNHANDLED_ROWS_MAX: i64 = 200_000;
/// This many go at once.
const UNHANDLED_EVICT: i64 = 20_000;

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
        let Some(shape) = shape(policy, event, verdict) else { return Ok(None) };
        let window = match self.windows.entry(shape.key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let found = load(conn, shape.key)?;
                entry.insert(found.unwrap_or_else(|| Window::fresh(event.received_at)))
            }
        };
        let crossed = window.count(policy, event.received_at);
        Ok(crossed.then(|| meta_alert(policy, event, verdict, &shape, window.count)))
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

/// Adds the minutes' counts.
pub(super) fn save_rates(conn: &Connection, rates: &Rates) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO rates VALUES (?1, ?2, ?3, ?4) ON CONFLICT (minute) DO UPDATE SET
         audited = audited + ?2, handled = handled + ?3, deliveries = deliveries + ?4",
    )?;
    for (minute, (audited, handled, deliveries)) in &rates.minutes {
        statement.execute((minute, audited, handled, deliveries))?;
    }
    Ok(())
}
