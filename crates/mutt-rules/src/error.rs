//! What is wrong with a rule: which one, which field, why, and what would be right.

use std::fmt;

use mutt_model::rule::Rule;
use serde::Serialize;

/// One fault of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct RuleError {
    /// The rule's id; 0 when it is not stored yet.
    pub rule_id: i64,
    /// Its name, where it has one.
    pub rule_name: Option<String>,
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is known.
    pub suggestion: Option<String>,
}

impl RuleError {
    pub(crate) fn new(rule: &Rule, field: &'static str, message: impl Into<String>) -> Self {
        Self {
            rule_id: rule.id,
            rule_name: rule.name.clone(),
            field,
            message: message.into(),
            suggestion: None,
        }
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.rule_id)?;
        if let Some(name) = &self.rule_name {
            write!(f, " ({name})")?;
        }
        write!(f, ": {}: {}", self.field, self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}
