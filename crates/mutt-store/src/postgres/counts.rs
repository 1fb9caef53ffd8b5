//! Counters by slot: totals, minute rates, deliveries by state. No two shards share a row.

use mutt_model::Timestamp;

use super::Conn;
use crate::counting::Rates;
use crate::store::{Committed, StoreError};

/// A count as PostgreSQL keeps it.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds to the rows of deliveries by (sink, state): n, removed.
pub(crate) async fn deliveries(
    conn: &Conn,
    slot: i32,
    changes: &mut Vec<(&str, i16, i64, i64)>,
) -> Result<(), StoreError> {
    changes.retain(|(_, _, n, removed)| *n != 0 || *removed != 0);
    if changes.is_empty() {
        return Ok(());
    }
    changes.sort_unstable();
    let sinks: Vec<&str> = changes.iter().map(|c| c.0).collect();
    let states: Vec<i16> = changes.iter().map(|c| c.1).collect();
    let n: Vec<i64> = changes.iter().map(|c| c.2).collect();
    let removed: Vec<i64> = changes.iter().map(|c| c.3).collect();
    conn.run(
        "INSERT INTO delivery_counts AS c (slot, sink, state, n, removed)
         SELECT $1::int, sink, state, SUM(n)::bigint, SUM(removed)::bigint
         FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[])
            AS u (sink, state, n, removed) GROUP BY sink, state ORDER BY sink, state
         ON CONFLICT (slot, sink, state)
         DO UPDATE SET n = c.n + excluded.n, removed = c.removed + excluded.removed",
        &[&slot, &sinks, &states, &n, &removed],
    )
    .await?;
    Ok(())
}

/// Adds what a transaction did to the totals and the rates. Its last statement but the COMMIT.
pub(crate) async fn add(
    conn: &Conn,
    slot: i32,
    out: &Committed,
    mut rates: Rates,
    now: Timestamp,
) -> Result<(), StoreError> {
    let made = signed(out.deliveries.values().sum());
    rates.deliveries(now, made);
    let counts = [signed(out.audited), signed(out.duplicates), signed(out.lost), made];
    if counts != [0; 4] {
        conn.run(
            "INSERT INTO totals AS t (slot, audited, duplicates, lost, deliveries)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (slot) DO UPDATE SET
                audited = t.audited + excluded.audited,
                duplicates = t.duplicates + excluded.duplicates, lost = t.lost + excluded.lost,
                deliveries = t.deliveries + excluded.deliveries",
            &[&slot, &counts[0], &counts[1], &counts[2], &counts[3]],
        )
        .await?;
    }
    if !rates.minutes.is_empty() {
        let minutes: Vec<i64> = rates.minutes.keys().copied().collect();
        let audited: Vec<i64> = rates.minutes.values().map(|m| m.0).collect();
        let handled: Vec<i64> = rates.minutes.values().map(|m| m.1).collect();
        let made: Vec<i64> = rates.minutes.values().map(|m| m.2).collect();
        conn.run(
            "INSERT INTO rates AS r (minute, slot, audited, handled, deliveries)
             SELECT m, $1::int, a, h, d
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS u (m, a, h, d)
             ON CONFLICT (minute, slot) DO UPDATE SET audited = r.audited + excluded.audited,
                handled = r.handled + excluded.handled,
                deliveries = r.deliveries + excluded.deliveries",
            &[&slot, &minutes, &audited, &handled, &made],
        )
        .await?;
    }
    Ok(())
}
