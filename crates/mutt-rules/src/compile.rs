//! A rule set made ready for judging. An invalid rule refuses the whole new set.

use std::sync::atomic::{AtomicU64, Ordering};

use mutt_model::rule::{Rule, RuleSet};

use crate::error::RuleError;
use crate::index::Index;
use crate::outcome::{Outcome, Places};
use crate::validate::compile_errors;

/// What compiling needs beside the rule set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompileOptions {
    /// The team where neither rule nor device names one.
    pub default_team: String,
}

/// A rule set ready for judging; immutable, shared by all threads.
#[derive(Debug)]
pub struct CompiledRules {
    version: i64,
    /// Tells one compiled set from another, so that a scratch knows when to begin anew.
    pub(crate) serial: u64,
    pub(crate) index: Index,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) places: Places,
}

impl CompiledRules {
    /// Compiles the active rules of a set.
    ///
    /// # Errors
    ///
    /// Every fault of every rule; the caller keeps judging by the last good set.
    pub fn compile(set: &RuleSet, options: &CompileOptions) -> Result<Self, Vec<RuleError>> {
        let mut rules: Vec<Rule> =
            set.rules.iter().filter(|rule| rule.is_active).cloned().collect();
        rules.sort_by_key(|rule| (rule.priority, rule.id));
        let mut errors = Vec::new();
        let mut outcomes = Vec::with_capacity(rules.len());
        for rule in &rules {
            errors.extend(compile_errors(rule));
            match Outcome::read(rule) {
                Ok(outcome) => outcomes.push(outcome),
                Err(more) => errors.extend(more),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let places = Places::new(set, &options.default_team);
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let index = Index::build(&rules).map_err(|error| {
            vec![RuleError {
                rule_id: 0,
                rule_name: None,
                field: "match_string",
                message: format!("all rules together are too large to search for: {error}"),
                suggestion: Some("use fewer or shorter match strings".to_owned()),
            }]
        })?;
        Ok(Self { version: set.version, serial, index, outcomes, places })
    }

    /// The version of the rule set.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How many active rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether no rule is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}
