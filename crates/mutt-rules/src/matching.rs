//! One rule on one event, written plainly: what the rules mean. The judge must agree with it; explain
//! uses it to say why a rule did not match.

use mutt_model::event::Event;
use mutt_model::oid;
use mutt_model::rule::{MatchType, Rule};
use regex::{Regex, RegexBuilder};

use crate::text::fold;
use crate::validate::REGEX_SIZE_LIMIT;

/// The regex of a rule: case-insensitive, of bounded size.
pub(crate) fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(REGEX_SIZE_LIMIT).build()
}

/// Whether the rule matches, and why or why not in a phrase.
pub(crate) fn matches(rule: &Rule, event: &Event<'_>) -> (bool, String) {
    match refusal(rule, event) {
        Some(why) => (false, why),
        None => (true, "all conditions hold".to_owned()),
    }
}

fn refusal(rule: &Rule, event: &Event<'_>) -> Option<String> {
    if !rule.is_active {
        return Some("the rule is inactive".to_owned());
    }
    if let Some(wanted) = &rule.trap_oid {
        let Some(wanted) = oid::normalise(wanted) else {
            return Some("the rule's trap_oid is no OID".to_owned());
        };
        let Some(given) = event.trap_oid.as_deref() else {
            return Some("the event is no trap".to_owned());
        };
        if !oid::normalise(given).is_some_and(|given| oid::notification_under(&wanted, &given)) {
            return Some(format!("trap OID {given} does not lie under {wanted}"));
        }
    }
    if let Some(wanted) = rule.syslog_severity
        && event.severity != Some(wanted)
    {
        return Some(format!("severity {} is not {wanted}", severity_text(event)));
    }
    if let Some(limit) = rule.severity_max
        && event.severity.is_none_or(|given| given > limit)
    {
        return Some(format!("severity {} is not {limit} or worse", severity_text(event)));
    }
    if let Some(host) = &rule.host
        && fold(host) != fold(&event.host)
    {
        return Some(format!("host {} is not {host}", event.host));
    }
    text_refusal(rule, event)
}

fn text_refusal(rule: &Rule, event: &Event<'_>) -> Option<String> {
    let text = rule.match_string.as_deref()?;
    match rule.match_type {
        MatchType::OidPrefix => None,
        MatchType::Contains if fold(&event.message).contains(&fold(text)) => None,
        MatchType::Contains => Some(format!("message does not contain `{text}`")),
        MatchType::Regex => match regex(text) {
            Ok(regex) if regex.is_match(&event.message) => None,
            Ok(_) => Some(format!("regex `{text}` is not found in message")),
            Err(_) => Some("the regex does not compile".to_owned()),
        },
    }
}

fn severity_text(event: &Event<'_>) -> &'static str {
    event.severity.map_or("none", mutt_model::Severity::name)
}
