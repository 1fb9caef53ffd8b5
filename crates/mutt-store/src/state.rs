//! How an engine is: what every backend tells of itself, so that readiness can name what is missing.

use mutt_model::Timestamp;
use mutt_model::codes::Code;

/// Whether an engine answers, since when, and what is wrong where it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// It works.
    Ready,
    /// It does not: away, refused, a schema that is not known.
    Away {
        /// Since when, by the wall clock.
        since: Timestamp,
        /// What `muttctl explain` tells about.
        code: Code,
        /// What happened, with the command that mends it where there is one.
        why: String,
    },
}

impl EngineState {
    /// Whether it works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}
