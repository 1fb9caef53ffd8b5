//! The one row of totals: what grows with every commit and outlives retention.

use rusqlite::Connection;

/// Read at the start of a transaction, written at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// The newest audit row of both tables.
    pub(super) seq: i64,
    /// The newest delivery.
    pub(super) delivery_seq: i64,
    /// The newest rule.
    pub(super) rule_id: i64,
    /// The rule set in force.
    pub(super) ruleset: i64,
    /// Events audited.
    pub(super) audited: i64,
    /// Repeats dropped.
    pub(super) duplicates: i64,
    /// Events that could not be read from their batch.
    pub(super) lost: i64,
    /// Deliveries made.
    pub(super) deliveries: i64,
}

impl Totals {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.prepare_cached(
            "SELECT seq, delivery_seq, rule_id, ruleset, audited, duplicates, lost, deliveries
             FROM totals",
        )?
        .query_row([], |row| {
            Ok(Self {
                seq: row.get(0)?,
                delivery_seq: row.get(1)?,
                rule_id: row.get(2)?,
                ruleset: row.get(3)?,
                audited: row.get(4)?,
                duplicates: row.get(5)?,
                lost: row.get(6)?,
                deliveries: row.get(7)?,
            })
        })
    }

    pub(super) fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "UPDATE totals SET seq = ?1, delivery_seq = ?2, rule_id = ?3, ruleset = ?4,
             audited = ?5, duplicates = ?6, lost = ?7, deliveries = ?8",
        )?
        .execute((
            self.seq,
            self.delivery_seq,
            self.rule_id,
            self.ruleset,
            self.audited,
            self.duplicates,
            self.lost,
            self.deliveries,
        ))?;
        Ok(())
    }
}

/// A count as SQLite keeps it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as SQLite gave it.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
