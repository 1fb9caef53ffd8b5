//! The audit as its file holds it, read past the program: tests compare with this, never with the
//! ledger alone.

use std::collections::BTreeMap;
use std::path::Path;

use mutt_model::Event;
use mutt_model::batch::decode_body;
use rusqlite::{Connection, OpenFlags};

/// What the store of a program that was ended holds.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Every audited event.
    pub(crate) events: Vec<Event<'static>>,
    /// The id of every delivery in state delivered.
    pub(crate) delivered: Vec<String>,
}

impl Audit {
    /// Reads both tables of the audit, and the deliveries.
    pub(crate) fn read(data_dir: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = Connection::open_with_flags(data_dir.join("mutt.db"), flags).unwrap();
        let mut events = Vec::new();
        for table in ["audit_handled", "audit_unhandled"] {
            let mut rows = file.prepare(&format!("SELECT body FROM {table} ORDER BY seq")).unwrap();
            let bodies = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
            events.extend(bodies.map(|body| decode_body(&body.unwrap()).unwrap().into_owned()));
        }
        let mut rows = file.prepare("SELECT id FROM deliveries WHERE state = 3").unwrap();
        let ids = rows.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
        let delivered = ids.map(|id| mutt_model::Id(id.unwrap()).to_string()).collect();
        Self { events, delivered }
    }

    /// How often each number of a sender stands in the audit.
    pub(crate) fn numbers(&self) -> BTreeMap<String, usize> {
        let mut numbers = BTreeMap::new();
        for number in self.events.iter().filter_map(|e| super::senders::number_in(&e.message)) {
            *numbers.entry(number.to_owned()).or_default() += 1;
        }
        numbers
    }
}
