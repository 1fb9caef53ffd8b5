//! (event, rule set) to verdict: compile, judge, validate, lint, explain; the shape of a message and
//! the first rule set. Pure: no I/O, no clock, the same verdict for the same event and rule set.

pub mod compile;
pub mod error;
pub mod explain;
pub mod first;
mod index;
pub mod judge;
mod key;
pub mod lint;
mod literals;
mod matching;
mod needles;
mod outcome;
mod regexes;
mod resource;
pub mod template;
mod text;
pub mod validate;

pub use compile::{CompileOptions, CompiledRules};
pub use error::RuleError;
pub use explain::{Explanation, Tried, explain};
pub use first::first_rule_set;
pub use judge::{Scratch, judge};
pub use lint::{Finding, FindingKind, lint};
pub use validate::validate;
