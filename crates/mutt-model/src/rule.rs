//! Rules as operators write them, and the rule set that is judged by: rules, development hosts, teams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Severity;

/// How `match_string` is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchType {
    /// Case-insensitive substring of `message`.
    #[default]
    Contains,
    /// Case-insensitive regular expression searched in `message`.
    Regex,
    /// `trap_oid` is a prefix of the event's trap OID, at an arc boundary; traps only.
    OidPrefix,
}

/// What a matching event does to its alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Opens the alert, or repeats it.
    #[default]
    Problem,
    /// Clears the alert of the same key, when that is not newer.
    Clear,
}

/// What is to be done with a matching event. `Ignore` and unknown names are audited only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handling {
    /// Delivers: page and ticket.
    PageAndTicket,
    /// Delivers: page.
    PageOnly,
    /// Delivers: ticket.
    TicketOnly,
    /// Audited only.
    Ignore,
    /// An imported name that MUTT does not know: audited only, listed by doctor.
    Unknown(String),
}

impl Handling {
    /// The four known names.
    pub const KNOWN: [&'static str; 4] = ["Page_and_ticket", "Page_only", "Ticket_only", "Ignore"];

    /// Reads a name in any case; never fails.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match Self::KNOWN.iter().position(|known| known.eq_ignore_ascii_case(name.trim())) {
            Some(0) => Self::PageAndTicket,
            Some(1) => Self::PageOnly,
            Some(2) => Self::TicketOnly,
            Some(_) => Self::Ignore,
            None => Self::Unknown(name.trim().to_owned()),
        }
    }

    /// The name as written in API and audit.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::PageAndTicket => Self::KNOWN[0],
            Self::PageOnly => Self::KNOWN[1],
            Self::TicketOnly => Self::KNOWN[2],
            Self::Ignore => Self::KNOWN[3],
            Self::Unknown(name) => name,
        }
    }

    /// Whether alerts under it leave through sinks.
    #[must_use]
    pub fn delivers(&self) -> bool {
        matches!(self, Self::PageAndTicket | Self::PageOnly | Self::TicketOnly)
    }
}

impl Serialize for Handling {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Handling {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&<std::borrow::Cow<'de, str>>::deserialize(deserializer)?))
    }
}

/// A rule: match + decision, with a priority. The lowest number that matches wins, ties by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Given by the store; 0 in a rule that is not stored yet.
    #[serde(default)]
    pub id: i64,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Text or pattern for `message`.
    #[serde(default)]
    pub match_string: Option<String>,
    /// How it is compared.
    #[serde(default)]
    pub match_type: MatchType,
    /// OID for `oid_prefix`; with `contains` or `regex` it narrows the rule to traps under it.
    #[serde(default)]
    pub trap_oid: Option<String>,
    /// The event's severity must be this.
    #[serde(default)]
    pub syslog_severity: Option<Severity>,
    /// The event's severity must be this or more severe (a number not above it).
    #[serde(default)]
    pub severity_max: Option<Severity>,
    /// The event's host must be this (case-insensitive, exact).
    #[serde(default)]
    pub host: Option<String>,
    /// Lowest wins.
    #[serde(default = "default_priority")]
    pub priority: i64,
    /// Decision on production hosts.
    pub prod_handling: Handling,
    /// Decision on development hosts.
    pub dev_handling: Handling,
    /// Team; else the device's, else `alerter.default_team`.
    #[serde(default)]
    pub team_assignment: Option<String>,
    /// An inactive rule is kept and never matches.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// Problem or clear.
    #[serde(default)]
    pub action: RuleAction,
    /// Name of the trouble; default: the rule's id. Rules for the same trouble give the same name.
    #[serde(default)]
    pub problem: Option<String>,
    /// Template of the alert's key; default `{problem}/{host}/{resource}`.
    #[serde(default)]
    pub key: Option<String>,
    /// Where the resource comes from: `regex:NAME` (a named group of the rule's regex), `varbind:NAME`
    /// (a varbind's name or OID, without instance), or a fixed text. Default: the decoder's.
    #[serde(default)]
    pub resource: Option<String>,
    /// The alert's severity; default: the event's, else warning.
    #[serde(default)]
    pub alert_severity: Option<Severity>,
    /// An open alert without a matching event for this long clears by itself; `0s` never; default 24h.
    #[serde(default = "default_clear_after", with = "crate::amount::duration_text")]
    pub clear_after: Duration,
    /// Words for the next reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `clear_after` where a rule names none.
pub const CLEAR_AFTER_DEFAULT: Duration = Duration::from_secs(86_400);
/// `priority` where a rule names none.
pub const PRIORITY_DEFAULT: i64 = 100;
/// `key` where a rule names none.
pub const KEY_DEFAULT: &str = "{problem}/{host}/{resource}";

fn default_priority() -> i64 {
    PRIORITY_DEFAULT
}

fn default_clear_after() -> Duration {
    CLEAR_AFTER_DEFAULT
}

fn yes() -> bool {
    true
}

impl Rule {
    /// A contains rule with everything else at its default, for tests and first steps.
    #[must_use]
    pub fn contains(match_string: &str, handling: Handling) -> Self {
        Self {
            id: 0,
            name: None,
            match_string: Some(match_string.to_owned()),
            match_type: MatchType::Contains,
            trap_oid: None,
            syslog_severity: None,
            severity_max: None,
            host: None,
            priority: PRIORITY_DEFAULT,
            prod_handling: handling,
            dev_handling: Handling::Ignore,
            team_assignment: None,
            is_active: true,
            action: RuleAction::Problem,
            problem: None,
            key: None,
            resource: None,
            alert_severity: None,
            clear_after: CLEAR_AFTER_DEFAULT,
            description: None,
        }
    }

    /// The name of the trouble: given, else the id.
    #[must_use]
    pub fn problem_name(&self) -> String {
        self.problem.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// Everything that judging needs, at one version. Each change to rules, development hosts or teams
/// makes a new version, kept as long as an audit row names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Grows by one with each change; 0 is the empty set before the first.
    pub version: i64,
    /// All rules, active or not, in no promised order.
    pub rules: Vec<Rule>,
    /// Development hosts, lower case.
    pub dev_hosts: BTreeSet<String>,
    /// Team of a device, by host in lower case.
    pub teams: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handling_names_are_read_in_any_case_and_unknown_ones_kept() {
        let check = |text: &str, name: &str, delivers: bool| {
            let handling = Handling::parse(text);
            assert_eq!((handling.name(), handling.delivers()), (name, delivers));
        };
        check("PAGE_AND_TICKET", "Page_and_ticket", true);
        check("ticket_only", "Ticket_only", true);
        check("ignore", "Ignore", false);
        check("Email_only", "Email_only", false);
    }

    #[test]
    fn a_rule_with_few_fields_gets_the_defaults_and_unknown_fields_are_refused() {
        let rule: Rule = serde_json::from_str(
            r#"{"match_string":"down","prod_handling":"Page_only","dev_handling":"Ignore"}"#,
        )
        .unwrap();
        assert_eq!((rule.priority, rule.is_active), (100, true));
        assert_eq!(rule.clear_after, CLEAR_AFTER_DEFAULT);
        let wrong = r#"{"match_sting":"down","prod_handling":"Page_only","dev_handling":"Ignore"}"#;
        assert!(serde_json::from_str::<Rule>(wrong).is_err());
    }
}
