//! What attempts did to deliveries on PostgreSQL: their rows, written by the set.

use std::collections::BTreeMap;
use std::time::Duration;

use mutt_model::delivery::{Finished, Next};

use super::Conn;
use super::deliveries::{REHEAD, rehead, small};
use super::lanes::Report;
use super::together::together;
use crate::deliveries::{Brief, DEAD, DELIVERED, WAITING};
use crate::store::StoreError;

const ATTEMPTS: &str = "INSERT INTO attempts (delivery_seq, body)
    SELECT u.seq, u.body FROM unnest($1::bigint[], $2::text[]) AS u (seq, body)";
const ROWS: &str = "UPDATE deliveries d SET attempts = d.attempts + 1,
        first_attempt_at = COALESCE(d.first_attempt_at, u.first), state = u.state,
        reason = u.reason, due_at = COALESCE(u.due, d.due_at), ended_at = u.ended,
        head = d.head AND u.state < 3
    FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[],
        $6::bigint[]) AS u (seq, state, reason, due, first, ended) WHERE d.seq = u.seq";
const NEWEST: &str = "INSERT INTO key_delivered (sink, key, seq)
    SELECT $1, u.key, u.seq FROM unnest($2::text[], $3::bigint[]) AS u (key, seq)
    ON CONFLICT (sink, key) DO UPDATE SET seq = GREATEST(key_delivered.seq, EXCLUDED.seq)";

/// What attempts did to rows, one entry for each, as the columns of one statement.
#[derive(Default)]
pub(super) struct Ends {
    /// The rows, and the state that each has now.
    pub(super) moved: Vec<(Brief, i64)>,
    seqs: Vec<i64>,
    bodies: Vec<String>,
    states: Vec<i16>,
    reasons: Vec<Option<&'static str>>,
    due: Vec<Option<i64>>,
    first: Vec<Option<i64>>,
    ended: Vec<Option<i64>>,
}

impl Ends {
    /// What these attempts do to the rows that the lease has, and to the lane. Nothing but what the
    /// lease took is changed.
    pub(super) fn of(
        finished: &[Finished],
        leased: Vec<Brief>,
        lane: &mut Report,
    ) -> Result<Self, StoreError> {
        let mut rows: BTreeMap<_, Brief> = leased.into_iter().map(|row| (row.id, row)).collect();
        let mut ends = Self::default();
        for one in finished {
            if let Some(row) = rows.remove(&one.delivery) {
                ends.push(row, one, lane)?;
            }
        }
        Ok(ends)
    }

    fn push(&mut self, row: Brief, one: &Finished, lane: &mut Report) -> Result<(), StoreError> {
        let over = one.attempt.at.plus(Duration::from_millis(one.attempt.latency_ms));
        let (state, reason, due) = match &one.next {
            Next::Delivered => (DELIVERED, None, None),
            Next::RetryAt(at) => (WAITING, None, Some(at.0)),
            Next::HoldLane(_) => (WAITING, None, None),
            Next::Dead(reason) => (DEAD, Some(reason.name()), None),
        };
        match &one.next {
            Next::Delivered => lane.note_ok(over),
            Next::HoldLane(why) => {
                lane.note_error(&one.attempt.detail, over);
                lane.hold_by_fault(why, over);
            }
            Next::RetryAt(_) | Next::Dead(_) => lane.note_error(&one.attempt.detail, over),
        }
        self.seqs.push(row.seq);
        self.bodies.push(serde_json::to_string(&one.attempt)?);
        self.states.push(small(state));
        self.reasons.push(reason);
        self.due.push(due);
        // `retry_for` counts from here: a fault of the lane uses none of it up.
        self.first.push((!matches!(one.next, Next::HoldLane(_))).then_some(one.attempt.at.0));
        self.ended.push((state >= DELIVERED).then_some(over.0));
        self.moved.push((row, state));
        Ok(())
    }

    /// Their keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.moved.iter().map(|(row, _)| row.key.as_str())
    }

    /// Moves that are to be counted: sink, from, to.
    pub(super) fn moves(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.moved.iter().map(|(row, to)| (row.sink.as_str(), row.state, *to))
    }

    /// The statements of [`Self::write`].
    pub(super) const STATEMENTS: [&str; 4] = [ATTEMPTS, ROWS, NEWEST, REHEAD];

    /// Writes the rows and lets the next of their keys go. Their keys are locked. When its statements
    /// are prepared they leave at the first poll.
    pub(super) async fn write(&self, conn: &Conn, sink: &str) -> Result<(), StoreError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let attempts = async { conn.run(ATTEMPTS, &[&self.seqs, &self.bodies]).await.map(drop) };
        let rows = async {
            conn.run(
                ROWS,
                &[&self.seqs, &self.states, &self.reasons, &self.due, &self.first, &self.ended],
            )
            .await
            .map(drop)
        };
        together(vec![
            Box::pin(attempts),
            Box::pin(rows),
            Box::pin(self.note_delivered(conn, sink)),
            Box::pin(rehead(conn, sink, self.keys())),
        ])
        .await
    }

    /// The newest that each key has delivered; a replay must not be older.
    async fn note_delivered(&self, conn: &Conn, sink: &str) -> Result<(), StoreError> {
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for (row, _) in self.moved.iter().filter(|(_, state)| *state == DELIVERED) {
            let seq = newest.entry(&row.key).or_default();
            *seq = row.seq.max(*seq);
        }
        if newest.is_empty() {
            return Ok(());
        }
        let (keys, seqs): (Vec<&str>, Vec<i64>) = newest.into_iter().unzip();
        conn.run(NEWEST, &[&sink, &keys, &seqs]).await?;
        Ok(())
    }
}
