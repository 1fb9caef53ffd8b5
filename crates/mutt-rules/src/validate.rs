//! Whether a rule may be written, and whether it can be compiled: every fault is named with what
//! would be right.

use mutt_model::oid;
use mutt_model::rule::{Handling, MatchType, Rule, RuleAction};

use crate::error::RuleError;
use crate::outcome::Outcome;

/// Most bytes of `match_string`.
pub const MATCH_STRING_BYTES_MAX: usize = 4_096;
/// Most bytes that a regex may take when compiled; `(a{1000}){1000}` is refused here.
pub const REGEX_SIZE_LIMIT: usize = 4 * 1024 * 1024;
/// Deepest nesting of a regex.
pub const REGEX_NEST_LIMIT: u32 = 64;
/// Most bytes of a name, problem, host, team, key template, resource or unknown handling.
pub const FIELD_BYTES_MAX: usize = 255;
/// Most bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 4_096;

/// Whether a rule may be written: everything that compiling wants, and known handling names.
///
/// # Errors
///
/// Every fault found.
pub fn validate(rule: &Rule) -> Result<(), Vec<RuleError>> {
    let mut errors = handling_errors(rule);
    errors.extend(compile_errors(rule));
    if let Err(more) = Outcome::read(rule) {
        errors.extend(more);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Unknown handling names: refused in writes, kept in imported rules.
pub(crate) fn handling_errors(rule: &Rule) -> Vec<RuleError> {
    let fields = [("prod_handling", &rule.prod_handling), ("dev_handling", &rule.dev_handling)];
    let unknown = fields.into_iter().filter_map(|(field, handling)| match handling {
        Handling::Unknown(name) => Some((field, name)),
        _ => None,
    });
    unknown
        .map(|(field, name)| {
            let message =
                format!("`{name}` is no handling; known are {}", Handling::KNOWN.join(", "));
            let error = RuleError::new(rule, field, message);
            match nearest(name, &Handling::KNOWN) {
                Some(known) => error.suggest(format!("did you mean {known}?")),
                None => error,
            }
        })
        .collect()
}

/// What keeps a rule from being matched with; [`Outcome::read`] finds the faults of the rest.
pub(crate) fn compile_errors(rule: &Rule) -> Vec<RuleError> {
    let mut errors = length_errors(rule);
    let fault = |field, message: &str| RuleError::new(rule, field, message);
    let text = rule.match_string.as_deref();
    if let Some(trap_oid) = &rule.trap_oid
        && oid::normalise(trap_oid).is_none()
    {
        errors.push(
            fault("trap_oid", "it is no OID: numbers joined by dots")
                .suggest("as 1.3.6.1.6.3.1.1.5.3"),
        );
    }
    match (rule.match_type, text) {
        (MatchType::OidPrefix, _) if rule.trap_oid.is_none() => {
            let error = fault("trap_oid", "match_type oid_prefix needs a trap_oid");
            errors.push(match text.and_then(oid::normalise) {
                Some(oid) => error.suggest(format!("move {oid} from match_string to trap_oid")),
                None => error,
            });
        }
        (MatchType::Contains | MatchType::Regex, Some("")) => {
            errors.push(
                fault("match_string", "an empty text matches every message")
                    .suggest("leave the field out and give trap_oid, host or a severity"),
            );
        }
        (MatchType::Regex, None) => {
            errors.push(fault("match_string", "match_type regex needs a match_string"));
        }
        (MatchType::Regex, Some(pattern)) if pattern.len() <= MATCH_STRING_BYTES_MAX => {
            errors.extend(regex_error(rule, pattern));
        }
        (MatchType::Contains, None) if !narrows(rule) => {
            errors.push(
                fault("match_string", "the rule would match every event")
                    .suggest("give match_string, trap_oid, host or a severity"),
            );
        }
        _ => {}
    }
    if rule.action == RuleAction::Clear && rule.problem.is_none() {
        errors.push(
            fault("problem", "a clear rule names the problem that it clears")
                .suggest("give the same problem as the rule that opens the alert"),
        );
    }
    errors
}

fn narrows(rule: &Rule) -> bool {
    rule.trap_oid.is_some()
        || rule.host.is_some()
        || rule.syslog_severity.is_some()
        || rule.severity_max.is_some()
}

fn regex_error(rule: &Rule, pattern: &str) -> Option<RuleError> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parser = parser.case_insensitive(true).nest_limit(REGEX_NEST_LIMIT);
    if let Err(error) = parser.build().parse(pattern) {
        let message = error.to_string();
        let last = message.lines().last().unwrap_or_default();
        let reason = last.strip_prefix("error: ").unwrap_or(last);
        return Some(
            RuleError::new(rule, "match_string", format!("the regex is not valid: {reason}"))
                .suggest("write it in RE2 syntax: no look-around, no back-references"),
        );
    }
    match crate::matching::regex(pattern) {
        Ok(_) => None,
        Err(regex::Error::CompiledTooBig(limit)) => Some(
            RuleError::new(
                rule,
                "match_string",
                format!("the regex takes more than {limit} bytes when compiled"),
            )
            .suggest("lower its counted repetitions, or write [0-9A-Za-z_] for \\w"),
        ),
        Err(error) => {
            Some(RuleError::new(rule, "match_string", format!("the regex is not valid: {error}")))
        }
    }
}

fn length_errors(rule: &Rule) -> Vec<RuleError> {
    let fields = [
        ("match_string", &rule.match_string, MATCH_STRING_BYTES_MAX),
        ("trap_oid", &rule.trap_oid, 1_024),
        ("name", &rule.name, FIELD_BYTES_MAX),
        ("host", &rule.host, FIELD_BYTES_MAX),
        ("team_assignment", &rule.team_assignment, FIELD_BYTES_MAX),
        ("problem", &rule.problem, FIELD_BYTES_MAX),
        ("key", &rule.key, FIELD_BYTES_MAX),
        ("resource", &rule.resource, FIELD_BYTES_MAX),
        ("description", &rule.description, DESCRIPTION_BYTES_MAX),
    ];
    let mut errors = Vec::new();
    for (field, text, max) in fields {
        let Some(text) = text else { continue };
        if text.len() > max {
            let message = format!("{} bytes are too many; at most {max}", text.len());
            errors.push(RuleError::new(rule, field, message));
        }
        if text.contains('\0') {
            errors.push(RuleError::new(rule, field, "the text holds a NUL character"));
        }
    }
    for (field, text) in [("host", &rule.host), ("problem", &rule.problem)] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            errors.push(
                RuleError::new(rule, field, "the text is empty").suggest("leave the field out"),
            );
        }
    }
    errors
}

/// The known name that is nearest to a mistyped one, if any is near enough.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = crate::text::fold(crate::text::cut(name, 64));
    let scored = known.iter().map(|k| (distance(&name, &crate::text::fold(k)), *k));
    let (score, nearest) = scored.min_by_key(|(score, _)| *score)?;
    let near = score <= 2.max(nearest.len() / 3);
    let starts = name.len() >= 4 && nearest.to_ascii_lowercase().starts_with(&name);
    (near || starts).then_some(nearest)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule::contains("link down", Handling::PageOnly)
    }

    #[test]
    fn faults_are_named_by_field() {
        let check = |change: &dyn Fn(&mut Rule), expected: &[&str]| {
            let mut rule = rule();
            change(&mut rule);
            let fields: Vec<&str> = match validate(&rule) {
                Ok(()) => Vec::new(),
                Err(errors) => errors.iter().map(|error| error.field).collect(),
            };
            assert_eq!(fields, expected, "{rule:?}");
        };
        let regex = |pattern: &'static str| {
            move |rule: &mut Rule| {
                rule.match_type = MatchType::Regex;
                rule.match_string = Some(pattern.to_owned());
            }
        };
        check(&|_| {}, &[]);
        check(&|r| r.prod_handling = Handling::parse("Page_and_tiket"), &["prod_handling"]);
        check(&|r| r.dev_handling = Handling::parse("Email_only"), &["dev_handling"]);
        check(&|r| r.match_string = None, &["match_string"]);
        check(&|r| r.match_string = Some(String::new()), &["match_string"]);
        check(&|r| r.match_string = Some("x".repeat(4_097)), &["match_string"]);
        check(&|r| r.trap_oid = Some("1.3.x".into()), &["trap_oid"]);
        check(&|r| r.trap_oid = Some(".1.3.6".into()), &[]);
        check(&|r| r.match_type = MatchType::OidPrefix, &["trap_oid"]);
        check(&|r| (r.match_string, r.host) = (None, Some("a".into())), &[]);
        check(&|r| (r.match_string, r.trap_oid) = (None, Some("1.3".into())), &[]);
        check(&|r| r.host = Some(" ".into()), &["host"]);
        check(&|r| r.name = Some("a\0b".into()), &["name"]);
        check(&|r| r.key = Some("{hots}".into()), &["key"]);
        check(&|r| r.action = RuleAction::Clear, &["problem"]);
        check(&|r| r.resource = Some("regex:port".into()), &["resource"]);
        check(&|r| r.resource = Some("varbind:".into()), &["resource"]);
        check(&|r| r.resource = Some("varbind:ifDescr".into()), &[]);
        check(&regex("(?P<port>ge-\\S+)"), &[]);
        for pattern in
            ["(", "(?=x)", "(a)\\1", "(a{1000}){1000}", "(?:x?){4294967295}", "x{5000000000}"]
        {
            check(&regex(pattern), &["match_string"]);
        }
        let deep = "(".repeat(200) + "a" + &")".repeat(200);
        check(
            &|r| {
                r.match_type = MatchType::Regex;
                r.match_string = Some(deep.clone());
            },
            &["match_string"],
        );
        check(
            &|r| {
                r.match_type = MatchType::Regex;
                r.match_string = Some("a(".repeat(500_000));
            },
            &["match_string"],
        );
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, &Handling::KNOWN), expected, "{name}");
        };
        check("page_and_tiket", Some("Page_and_ticket"));
        check("Page", Some("Page_only"));
        check("ticket-only", Some("Ticket_only"));
        check("Ignored", Some("Ignore"));
        check("Email_everyone", None);
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        let mut rule = rule();
        (rule.id, rule.name) = (7, Some("link".into()));
        rule.prod_handling = Handling::parse("Page_onyl");
        let errors = validate(&rule).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "rule 7 (link): prod_handling: `Page_onyl` is no handling; known are Page_and_ticket, \
             Page_only, Ticket_only, Ignore; did you mean Page_only?"
        );
    }
}
