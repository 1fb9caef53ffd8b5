//! Why an event was judged as it was: every rule tried in order, and what each said.

use mutt_model::event::Event;
use mutt_model::rule::{Rule, RuleSet};
use mutt_model::verdict::Verdict;
use serde::Serialize;

use crate::compile::CompileOptions;
use crate::matching::matches;
use crate::outcome::{Outcome, Places};
use crate::text::fold;
use crate::validate::compile_errors;

/// One rule and what it said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The rule.
    pub rule_id: i64,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its priority.
    pub priority: i64,
    /// Whether all its conditions hold. Only the first match decides.
    pub matched: bool,
    /// Why, or why not.
    pub why: String,
}

/// The rules in the order in which they are tried, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Every rule, also those after the winner: what would match if it were not there.
    pub tried: Vec<Tried>,
    /// What judging gives.
    pub verdict: Verdict,
}

/// Judges an event rule by rule, without the index that judging uses, and says why. An invalid rule
/// is named as such and does not match.
#[must_use]
pub fn explain(set: &RuleSet, options: &CompileOptions, event: &Event<'_>) -> Explanation {
    let mut rules: Vec<&Rule> = set.rules.iter().collect();
    rules.sort_by_key(|rule| (rule.priority, rule.id));
    let mut tried = Vec::with_capacity(rules.len());
    let mut winner = None;
    for rule in rules {
        let (matched, why) = match usable(rule) {
            Ok(outcome) => {
                let (matched, why) = matches(rule, event);
                if matched && winner.is_none() {
                    winner = Some(outcome);
                }
                (matched, why)
            }
            Err(why) => (false, why),
        };
        let name = rule.name.clone();
        tried.push(Tried { rule_id: rule.id, name, priority: rule.priority, matched, why });
    }
    let places = Places::new(set, &options.default_team);
    Explanation { tried, verdict: places.verdict(winner.as_ref(), event, &fold(&event.host)) }
}

fn usable(rule: &Rule) -> Result<Outcome, String> {
    let fault = |errors: &[crate::RuleError]| {
        errors.first().map_or_else(String::new, |e| format!("invalid: {}: {}", e.field, e.message))
    };
    let errors = compile_errors(rule);
    if !errors.is_empty() {
        return Err(fault(&errors));
    }
    Outcome::read(rule).map_err(|errors| fault(&errors))
}
