//! What a report does to a source, in memory, for both stores.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mutt_model::source::quiet::QuietPolicy;
use mutt_model::source::{SourceDelta, SourceFacts, SourceKey};
use mutt_model::{Timestamp, codes};

/// A row, as far as reports change it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceRow {
    pub(crate) listener: String,
    pub(crate) heard_by: String,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) facts: SourceFacts,
    /// A person made it go; the next report begins it anew.
    pub(crate) forgotten: bool,
}

impl SourceRow {
    /// Adds what an Ingestor saw.
    pub(crate) fn add(&mut self, heard_by: &str, delta: &SourceDelta, now: Timestamp) {
        if self.forgotten {
            *self = Self::default();
        }
        if delta.events > 0 {
            let first = delta.first.0;
            self.first_seen = if self.first_seen == 0 { first } else { self.first_seen.min(first) };
            // Of two Ingestors that hear it the later one is watched.
            if delta.last.0 >= self.last_seen {
                self.last_seen = delta.last.0;
                delta.listener.clone_into(&mut self.listener);
                heard_by.clone_into(&mut self.heard_by);
            }
        } else if self.heard_by.is_empty() {
            delta.listener.clone_into(&mut self.listener);
            heard_by.clone_into(&mut self.heard_by);
        }
        self.facts.add(delta, now);
    }

    pub(crate) fn usual_gap(&self) -> i64 {
        micros(self.facts.gaps.p99())
    }

    pub(crate) fn unparsed(&self) -> i64 {
        i64::try_from(self.facts.partial + self.facts.failed).unwrap_or(i64::MAX)
    }
}

/// The facts of a row as they are stored. Those that cannot be read begin anew, so that one row does not
/// keep the others from being told and shown; that is said once.
pub(crate) fn facts_of(key: &SourceKey, body: &str) -> SourceFacts {
    static SAID: AtomicBool = AtomicBool::new(false);
    if body.is_empty() {
        return SourceFacts::default();
    }
    serde_json::from_str(body).unwrap_or_else(|error| {
        if !SAID.swap(true, Ordering::Relaxed) {
            tracing::warn!(code = %codes::STORE_QUERY, source = %key, %error, "what is stored of a source cannot be read and begins anew; others like it are not told of");
        }
        SourceFacts::default()
    })
}

/// A time in microseconds, as stored.
pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The numbers of a policy as both dialects of SQL are given them: factor, floor, history. A factor of
/// a usual gap never overflows: neither is longer than the buckets of gaps.
pub(crate) fn policy_params(policy: &QuietPolicy) -> (i64, i64, i64) {
    (i64::from(policy.factor.min(1_000)), micros(policy.floor), micros(policy.history))
}

/// Splits a cursor into host and peer.
pub(crate) fn place_of(cursor: &str) -> Option<(&str, &str)> {
    cursor.rsplit_once('@')
}

/// A text as part of a LIKE pattern with `\` as escape.
pub(crate) fn like(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(first: i64, last: i64, events: u64, listener: &str) -> SourceDelta {
        let (first, last) = (Timestamp(first), Timestamp(last));
        SourceDelta { first, last, events, listener: listener.to_owned(), ..SourceDelta::default() }
    }

    #[test]
    fn reports_in_any_order_give_the_first_and_the_last_event() {
        let mut row = SourceRow::default();
        row.add("b", &delta(50, 60, 3, "syslog-udp"), Timestamp(70));
        row.add("a", &delta(40, 55, 2, "syslog-tcp"), Timestamp(71));
        row.add("c", &delta(0, 0, 0, "snmp-udp"), Timestamp(72));
        assert_eq!((row.first_seen, row.last_seen, row.facts.events), (40, 60, 5));
        assert_eq!((row.heard_by.as_str(), row.listener.as_str()), ("b", "syslog-udp"));
        row.forgotten = true;
        row.add("a", &delta(90, 90, 1, "syslog-tcp"), Timestamp(91));
        assert_eq!((row.first_seen, row.facts.events, row.forgotten), (90, 1, false));
    }

    #[test]
    fn facts_that_cannot_be_read_begin_anew() {
        let key = SourceKey::new("r1", "192.0.2.1");
        let mut row = SourceRow::default();
        row.add("a", &delta(40, 55, 2, "syslog-tcp"), Timestamp(71));
        let written = serde_json::to_string(&row.facts).unwrap();
        assert_eq!(facts_of(&key, &written).events, 2);
        for damaged in ["", "{", "[]", "{\"events\":\"many\"}"] {
            assert_eq!(facts_of(&key, damaged).events, 0, "{damaged}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_searched_as_it_is() {
        assert_eq!(like("Edge_R1%\\"), "%edge\\_r1\\%\\\\%");
    }
}
