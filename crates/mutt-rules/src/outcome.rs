//! What a rule does once it has won: the verdict and the alert change, rendered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mutt_model::event::{Event, Severity};
use mutt_model::rule::{Handling, KEY_DEFAULT, Rule, RuleAction, RuleSet};
use mutt_model::verdict::{AlertChange, Environment, Verdict};

use crate::error::RuleError;
use crate::key::KeyTemplate;
use crate::resource::ResourceSpec;
use crate::text::fold;

/// The half of a rule that is needed after it has won.
#[derive(Debug)]
pub(crate) struct Outcome {
    rule_id: i64,
    rule_id_text: String,
    prod: Handling,
    dev: Handling,
    team: Option<String>,
    action: RuleAction,
    problem: String,
    key: KeyTemplate,
    resource: ResourceSpec,
    alert_severity: Option<Severity>,
    clear_after: Duration,
}

impl Outcome {
    /// Reads the fields of a rule that say what it does.
    ///
    /// # Errors
    ///
    /// Each field at fault.
    pub(crate) fn read(rule: &Rule) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let key = KeyTemplate::parse(rule.key.as_deref().unwrap_or(KEY_DEFAULT));
        let key = key.map_err(|(message, nearest)| {
            let error = RuleError::new(rule, "key", message);
            errors.push(match nearest {
                Some(name) => error.suggest(format!("did you mean {{{name}}}?")),
                None => error,
            });
        });
        let resource = ResourceSpec::read(rule)
            .map_err(|message| errors.push(RuleError::new(rule, "resource", message)));
        let (Ok(key), Ok(resource)) = (key, resource) else { return Err(errors) };
        Ok(Self {
            rule_id: rule.id,
            rule_id_text: rule.id.to_string(),
            prod: rule.prod_handling.clone(),
            dev: rule.dev_handling.clone(),
            team: rule.team_assignment.clone().filter(|team| !team.is_empty()),
            action: rule.action,
            problem: rule.problem_name(),
            key,
            resource,
            alert_severity: rule.alert_severity,
            clear_after: rule.clear_after,
        })
    }
}

/// Where hosts belong: development or production, and to which team.
#[derive(Debug)]
pub(crate) struct Places {
    dev_hosts: HashSet<String>,
    teams: HashMap<String, String>,
    default_team: String,
}

impl Places {
    /// Folds the names of a rule set's hosts.
    pub(crate) fn new(set: &RuleSet, default_team: &str) -> Self {
        Self {
            dev_hosts: set.dev_hosts.iter().map(|host| fold(host)).collect(),
            teams: set.teams.iter().map(|(host, team)| (fold(host), team.clone())).collect(),
            default_team: default_team.to_owned(),
        }
    }

    fn environment(&self, host: &str) -> Environment {
        if self.dev_hosts.contains(host) { Environment::Dev } else { Environment::Prod }
    }

    fn team(&self, host: &str) -> &str {
        self.teams.get(host).unwrap_or(&self.default_team)
    }

    /// The verdict on an event that `winner` matched, or none did. `host` is the folded host.
    pub(crate) fn verdict(
        &self,
        winner: Option<&Outcome>,
        event: &Event<'_>,
        host: &str,
    ) -> Verdict {
        let environment = self.environment(host);
        let team = winner.and_then(|w| w.team.as_deref()).unwrap_or_else(|| self.team(host));
        let mut verdict = Verdict { environment, team: team.to_owned(), ..Verdict::default() };
        let Some(winner) = winner else {
            let mut template = String::with_capacity(event.message.len().min(64) + 64);
            crate::template::shape(&event.message, &mut template);
            verdict.template = Some(template);
            return verdict;
        };
        let decision = match environment {
            Environment::Prod => &winner.prod,
            Environment::Dev => &winner.dev,
        };
        verdict.rule_id = Some(winner.rule_id);
        verdict.decision = Some(decision.clone());
        // A clear takes effect whatever its handling says: an alert that stays open misleads.
        if decision.delivers() || winner.action == RuleAction::Clear {
            verdict.change = Some(change(winner, event, host, &verdict, decision));
        }
        verdict
    }
}

fn change(
    winner: &Outcome,
    event: &Event<'_>,
    host: &str,
    verdict: &Verdict,
    decision: &Handling,
) -> AlertChange {
    let severity = winner.alert_severity.or(event.severity).unwrap_or(Severity::WARNING);
    let resource = winner.resource.of(event);
    let key = winner.key.render(&[
        &winner.problem,
        host,
        &resource,
        &winner.rule_id_text,
        severity.name(),
        event.app.as_deref().unwrap_or_default(),
        event.mnemonic.as_deref().unwrap_or_default(),
        event.trap_oid.as_deref().unwrap_or_default(),
        &verdict.team,
    ]);
    AlertChange {
        key,
        action: winner.action,
        problem: winner.problem.clone(),
        host: event.host.clone().into_owned(),
        resource: resource.into_owned(),
        severity,
        team: verdict.team.clone(),
        decision: decision.clone(),
        environment: verdict.environment,
        rule_id: Some(winner.rule_id),
        clear_after: winner.clear_after,
        message: event.message.clone().into_owned(),
        at: event.received_at,
        event_id: Some(event.id),
        correlation_id: event.correlation_id.as_deref().map(str::to_owned),
    }
}
