//! What is odd about a rule set without being wrong.

use std::collections::{HashMap, HashSet};

use mutt_model::oid;
use mutt_model::rule::{Handling, MatchType, Rule, RuleAction, RuleSet};
use serde::Serialize;

use crate::literals::{LITERAL_BYTES_MIN, required};
use crate::outcome::Outcome;
use crate::text::fold;
use crate::validate::{compile_errors, handling_errors};

/// What kind of oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The rule cannot be compiled.
    Invalid,
    /// An earlier rule always matches first.
    NeverWins,
    /// The same rule twice.
    Duplicate,
    /// A regex without a literal of three bytes or more: tried on every message.
    SlowRegex,
    /// A handling name that MUTT does not know: audited only.
    UnknownHandling,
    /// A clear rule whose problem no problem rule names.
    ClearsNothing,
    /// A field that the rule's match type does not look at.
    UnusedField,
    /// The rule is inactive.
    Inactive,
}

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule_id: i64,
    /// Its name, where it has one.
    pub rule_name: Option<String>,
    /// What kind.
    pub kind: FindingKind,
    /// What is odd, and what to do.
    pub message: String,
}

/// Pairs of rules looked at for [`FindingKind::NeverWins`]; above it only the first rules are compared.
const PAIRS_MAX: usize = 20_000_000;

/// Everything odd about a rule set, by rule in the order of judging.
#[must_use]
pub fn lint(set: &RuleSet) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rules: Vec<&Rule> = set.rules.iter().collect();
    rules.sort_by_key(|rule| (rule.priority, rule.id));
    let active = || rules.iter().filter(|rule| rule.is_active);
    let problems: HashSet<String> = active()
        .filter(|rule| rule.action == RuleAction::Problem)
        .map(|rule| rule.problem_name())
        .collect();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    let mut same: HashMap<Reach<'_>, &Rule> = HashMap::new();
    let reach_max = PAIRS_MAX / rules.len().max(1);
    for rule in &rules {
        let mut add = |kind, message: String| {
            findings.push(Finding {
                rule_id: rule.id,
                rule_name: rule.name.clone(),
                kind,
                message,
            });
        };
        if !rule.is_active {
            add(FindingKind::Inactive, "the rule is inactive and never matches".to_owned());
            continue;
        }
        let errors =
            compile_errors(rule).into_iter().chain(Outcome::read(rule).err().into_iter().flatten());
        let before = errors.map(|e| add(FindingKind::Invalid, e.to_string())).count();
        if before > 0 {
            continue;
        }
        own_findings(rule, &problems, &mut add);
        let reach = Reach::of(rule);
        if let Some(twin) = same.get(&reach) {
            let alike = outcome_of(twin) == outcome_of(rule);
            let kind = if alike { FindingKind::Duplicate } else { FindingKind::NeverWins };
            add(kind, format!("{} matches exactly the same events first", naming(twin)));
            continue;
        }
        if let Some(broader) = earlier.iter().find(|other| other.covers(&reach)) {
            let message =
                format!("{} matches everything that it matches, first", naming(broader.rule));
            add(FindingKind::NeverWins, message);
        }
        same.insert(reach.clone(), rule);
        if earlier.len() < reach_max {
            earlier.push(reach);
        }
    }
    findings
}

/// What can be said of a rule alone.
fn own_findings(
    rule: &Rule,
    problems: &HashSet<String>,
    add: &mut impl FnMut(FindingKind, String),
) {
    let text = rule.match_string.as_deref();
    if rule.match_type == MatchType::Regex && text.is_some_and(|text| required(text).is_empty()) {
        add(
            FindingKind::SlowRegex,
            format!(
                "the regex has no literal of {LITERAL_BYTES_MIN} bytes that every match holds, so it \
                 is tried on every message: add a word that is always there"
            ),
        );
    }
    for error in handling_errors(rule) {
        let suggestion = error.suggestion.map_or_else(String::new, |text| format!("; {text}"));
        add(FindingKind::UnknownHandling, format!("{}{suggestion}", error.message));
    }
    if rule.match_type == MatchType::OidPrefix && text.is_some() {
        let message = "match_type oid_prefix does not look at match_string";
        add(FindingKind::UnusedField, message.to_owned());
    }
    if rule.action == RuleAction::Clear && !problems.contains(&rule.problem_name()) {
        let message = format!("no active problem rule names the problem `{}`", rule.problem_name());
        add(FindingKind::ClearsNothing, message);
    }
}

fn naming(rule: &Rule) -> String {
    match &rule.name {
        Some(name) => format!("rule {} ({name}, priority {})", rule.id, rule.priority),
        None => format!("rule {} (priority {})", rule.id, rule.priority),
    }
}

/// Everything that a rule does, for comparing; not what it matches or is called.
fn outcome_of(rule: &Rule) -> Rule {
    let mut bare = Rule::contains("", Handling::Ignore);
    bare.prod_handling = rule.prod_handling.clone();
    bare.dev_handling = rule.dev_handling.clone();
    bare.team_assignment = rule.team_assignment.clone();
    bare.action = rule.action;
    bare.problem = rule.problem.clone();
    bare.key = rule.key.clone();
    bare.resource = rule.resource.clone();
    bare.alert_severity = rule.alert_severity;
    bare.clear_after = rule.clear_after;
    bare
}

/// Which events a rule matches, in a form that can be compared.
#[derive(Clone)]
struct Reach<'r> {
    rule: &'r Rule,
    contains: Option<String>,
    regex: Option<&'r str>,
    oid: Option<String>,
    host: Option<String>,
    /// Bit n: severity n will do; bit 8: none will do.
    severities: u16,
}

impl PartialEq for Reach<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Reach<'_> {}

impl std::hash::Hash for Reach<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

type Parts<'p> = (Option<&'p str>, Option<&'p str>, Option<&'p str>, Option<&'p str>, u16);

impl<'r> Reach<'r> {
    fn parts(&self) -> Parts<'_> {
        (
            self.contains.as_deref(),
            self.regex,
            self.oid.as_deref(),
            self.host.as_deref(),
            self.severities,
        )
    }

    fn of(rule: &'r Rule) -> Self {
        let text = rule.match_string.as_deref();
        let oid = rule.trap_oid.as_deref().and_then(oid::normalise);
        Self {
            rule,
            contains: text.filter(|_| rule.match_type == MatchType::Contains).map(fold),
            regex: text.filter(|_| rule.match_type == MatchType::Regex),
            oid: oid.map(std::borrow::Cow::into_owned),
            host: rule.host.as_deref().map(fold),
            severities: crate::index::severity_bits(rule),
        }
    }

    /// Whether every event that `other` matches is matched here too. A regex covers only itself and
    /// what a contains text broadens.
    fn covers(&self, other: &Self) -> bool {
        let text = match (&self.contains, self.regex) {
            (None, None) => true,
            (Some(needle), _) => {
                other.contains.as_ref().is_some_and(|text| text.contains(needle))
                    || other.regex.is_some_and(|regex| {
                        required(regex).iter().any(|set| set.iter().all(|l| l.contains(needle)))
                    })
            }
            (None, Some(regex)) => other.regex == Some(regex),
        };
        let oid = self.oid.as_deref().is_none_or(|wanted| {
            other.oid.as_deref().is_some_and(|given| oid::is_prefix(wanted, given))
        });
        let host = self.host.is_none() || self.host == other.host;
        text && oid && host && other.severities & !self.severities == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mutt_model::Severity;

    fn kinds(rules: Vec<Rule>) -> Vec<(i64, FindingKind)> {
        let mut set = RuleSet { rules, ..RuleSet::default() };
        for (id, rule) in (1..).zip(&mut set.rules) {
            rule.id = id;
        }
        lint(&set).into_iter().map(|finding| (finding.rule_id, finding.kind)).collect()
    }

    fn contains(text: &str) -> Rule {
        Rule::contains(text, Handling::PageOnly)
    }

    fn with(text: &str, change: impl Fn(&mut Rule)) -> Rule {
        let mut rule = contains(text);
        change(&mut rule);
        rule
    }

    #[test]
    fn rules_that_never_win_are_found() {
        let check = |first: Rule, second: Rule, expected: Option<FindingKind>| {
            let found = kinds(vec![first, second]);
            assert_eq!(found.iter().find(|(id, _)| *id == 2).map(|(_, kind)| *kind), expected);
        };
        let never = Some(FindingKind::NeverWins);
        let regex = |text: &str| with(text, |r| r.match_type = MatchType::Regex);
        let under = |oid: &'static str| {
            with("", |r| {
                r.match_type = MatchType::OidPrefix;
                (r.match_string, r.trap_oid) = (None, Some(oid.to_owned()));
            })
        };
        check(contains("down"), contains("link DOWN"), never);
        check(contains("link down"), contains("down"), None);
        check(contains("down"), contains("DOWN"), Some(FindingKind::Duplicate));
        check(contains("down"), with("Down", |r| r.prod_handling = Handling::Ignore), never);
        check(contains("down"), with("down", |r| r.priority = 1), None);
        check(contains("down"), with("down", |r| r.host = Some("a".into())), never);
        check(with("down", |r| r.host = Some("a".into())), contains("down"), None);
        check(with("down", |r| r.severity_max = Some(Severity::ERROR)), contains("down"), None);
        check(
            with("down", |r| r.severity_max = Some(Severity::ERROR)),
            with("down", |r| r.syslog_severity = Some(Severity::ALERT)),
            never,
        );
        check(contains("down"), regex("link .*down"), never);
        check(contains("down"), regex("link (up|down)"), None);
        check(regex("link .*x"), regex("link .*x"), Some(FindingKind::Duplicate));
        check(under("1.3.6.1.4.1.9"), under("1.3.6.1.4.1.9.5"), never);
        check(under("1.3.6.1.4.1.9"), under("1.3.6.1.4.1.99"), None);
        check(with("down", |r| r.is_active = false), contains("down"), None);
    }

    #[test]
    fn single_rules_are_looked_at() {
        let check = |change: &dyn Fn(&mut Rule), expected: FindingKind| {
            assert_eq!(kinds(vec![with("down", change)]), [(1, expected)]);
        };
        check(&|r| r.is_active = false, FindingKind::Inactive);
        check(&|r| r.key = Some("{".into()), FindingKind::Invalid);
        check(&|r| r.dev_handling = Handling::parse("Email"), FindingKind::UnknownHandling);
        check(
            &|r| (r.match_type, r.match_string) = (MatchType::Regex, Some(r"\d+".into())),
            FindingKind::SlowRegex,
        );
        check(
            &|r| (r.match_type, r.trap_oid) = (MatchType::OidPrefix, Some("1.3".into())),
            FindingKind::UnusedField,
        );
        check(
            &|r| (r.action, r.problem) = (RuleAction::Clear, Some("x".into())),
            FindingKind::ClearsNothing,
        );
    }
}
