//! The ledger: what came in and where each of it is. Tests compare it with the sender's numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// received = audited + pending + duplicates + dropped + lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLedger {
    /// Appended to the event queue, plus drops.
    pub received: u64,
    /// Committed to the audit.
    pub audited: u64,
    /// In the event queue, and in spills.
    pub pending: u64,
    /// How many of the pending ones lie in the spill of which place (`host:directory`); absent while
    /// nothing is spilled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spilled: BTreeMap<String, u64>,
    /// Repeats recognised by their key.
    pub duplicates: u64,
    /// Refused or dropped before the append, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Appended, and no longer readable.
    pub lost: u64,
    /// The signed difference, 0 at rest.
    pub unaccounted: i64,
}

/// created = pending + leased + held + delivered + suppressed + dead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLedger {
    /// Made in commits.
    pub created: u64,
    /// Waiting.
    pub pending: u64,
    /// Being tried.
    pub leased: u64,
    /// In a held lane.
    pub held: u64,
    /// Accepted by the sink.
    pub delivered: u64,
    /// Not needed any more.
    pub suppressed: u64,
    /// Given up.
    pub dead: u64,
}

/// Both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Events.
    pub events: EventLedger,
    /// Deliveries.
    pub deliveries: DeliveryLedger,
}

impl EventLedger {
    /// Works out [`EventLedger::unaccounted`] from the other numbers.
    #[must_use]
    pub fn balanced(mut self) -> Self {
        let known = self.audited
            + self.pending
            + self.duplicates
            + self.lost
            + self.dropped.values().sum::<u64>();
        self.unaccounted = i64::try_from(self.received).unwrap_or(i64::MAX)
            - i64::try_from(known).unwrap_or(i64::MAX);
        self
    }
}
