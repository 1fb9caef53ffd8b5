//! The words of MUTT, each defined once: event, batch, rule, verdict, alert, delivery; ids, time,
//! secrets; the registries of error codes and metrics. No I/O, no tokio.

pub mod alert;
pub mod amount;
pub mod audit;
pub mod batch;
pub mod codes;
pub mod delivery;
pub mod event;
pub mod failpoint;
pub mod id;
pub mod ledger;
pub mod metrics;
pub mod oid;
pub mod rule;
pub mod secret;
pub mod source;
pub mod time;
pub mod verdict;

pub use batch::{Batch, BatchBuilder, BatchError};
pub use event::{DedupKey, Event, Parse, ParseStatus, Severity, Source};
pub use id::{Id, IdSource};
pub use secret::{LiveSecrets, Secret};
pub use time::{Clock, Timestamp};
