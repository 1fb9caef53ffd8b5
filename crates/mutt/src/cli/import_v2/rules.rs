//! v2's rules, development hosts and teams.

use std::collections::BTreeMap;

use mutt_model::rule::{Handling, MatchType, Rule, RuleSet};
use mutt_model::{Clock, Severity, failpoint};
use mutt_store::postgres::v2::{V2Database, V2Rule};
use mutt_store::store::{Actor, RuleChange, Store};

use super::super::failure::Failure;
use super::report::Report;
use super::{REASON, WHO, store_failed, v2_failed};

const RULES: &str = "alert_rules";
const HOSTS: &str = "development_hosts";
const TEAMS: &str = "device_teams";

/// Here's id of each v2 rule. In a dry run a rule that is not there yet has v2's.
pub(super) type RuleIds = BTreeMap<i64, Rule>;

/// By this name a second run finds the rule again.
fn name(id: i64) -> String {
    format!("v2 rule {id}")
}

/// The rule as it is here, or, inactive, what can be kept of one that cannot work, with why.
fn translated(v2: &V2Rule) -> (Rule, Option<String>) {
    let oid = v2.trap_oid.as_deref().map(|oid| {
        oid.trim().trim_start_matches('.').trim_end_matches('*').trim_end_matches('.').to_owned()
    });
    let team = v2.team_assignment.trim();
    let mut rule = Rule {
        name: Some(name(v2.id)),
        match_string: v2.match_string.clone().filter(|text| !text.is_empty()),
        match_type: match v2.match_type.as_str() {
            "regex" => MatchType::Regex,
            "oid_prefix" => MatchType::OidPrefix,
            _ => MatchType::Contains,
        },
        trap_oid: oid.filter(|oid| !oid.is_empty()),
        syslog_severity: v2
            .syslog_severity
            .and_then(|n| u8::try_from(n).ok())
            .and_then(Severity::new),
        priority: v2.priority,
        dev_handling: Handling::parse(&v2.dev_handling),
        team_assignment: (!team.is_empty()).then(|| team.to_owned()),
        is_active: v2.is_active,
        ..Rule::contains("", Handling::parse(&v2.prod_handling))
    };
    // v2 looked at an OID or at a text, never at both.
    match rule.match_type {
        MatchType::OidPrefix => {
            rule.match_string = None;
            rule.syslog_severity = None;
        }
        MatchType::Contains | MatchType::Regex => rule.trap_oid = None,
    }
    let errors = mutt_rules::validate(&rule).err().unwrap_or_default();
    // A handling that is not known only audits, here as in v2.
    let fault = errors.iter().find(|error| !error.field.ends_with("_handling"));
    let Some(fault) = fault else { return (rule, None) };
    let why = format!("`{}`: {}", fault.field, fault.message);
    let text = v2.match_string.as_deref().or(v2.trap_oid.as_deref()).unwrap_or_default();
    let kept = Rule {
        match_string: Some(if text.trim().is_empty() { name(v2.id) } else { text.to_owned() }),
        match_type: MatchType::Contains,
        trap_oid: None,
        is_active: false,
        description: Some(format!("inactive: as v2 had it ({}) it cannot work", v2.match_type)),
        ..rule
    };
    (kept, Some(why))
}

fn notes(report: &mut Report, v2: &V2Rule) {
    for handling in [&v2.prod_handling, &v2.dev_handling] {
        if matches!(Handling::parse(handling), Handling::Unknown(_)) {
            report.note(format!(
                "v2 rule {}: `{handling}` is no handling here; it audits only, as in v2",
                v2.id
            ));
        }
    }
    if v2.match_type != "oid_prefix" && v2.trap_oid.is_some() {
        report.note(format!(
            "v2 rule {} had an OID beside its text, which v2 never matched; only the text was taken",
            v2.id
        ));
    }
}

/// Reads them and, with `apply`, makes those that are not there.
pub(super) async fn import(
    v2: &V2Database,
    store: &dyn Store,
    apply: bool,
    report: &mut Report,
) -> Result<RuleIds, Failure> {
    let actor = Actor { name: WHO.to_owned(), reason: Some(REASON.to_owned()) };
    let change = async |change: RuleChange| -> Result<Option<i64>, Failure> {
        if !apply {
            return Ok(None);
        }
        let done = store.change_rules(change, None, &actor, Clock::System.wall()).await;
        failpoint::hit("import.rules.after_change");
        Ok(done.map_err(|error| store_failed(&error))?.1)
    };
    // A table that cannot be read whole is told before anything is changed.
    let rules = v2.rules().await.map_err(|error| v2_failed(&error))?;
    let hosts = v2.development_hosts().await.map_err(|error| v2_failed(&error))?;
    let teams = v2.teams().await.map_err(|error| v2_failed(&error))?;
    let here = store.rule_set(None).await.map_err(|error| store_failed(&error))?;
    let mut ids = RuleIds::new();
    for rule in rules {
        report.count(RULES).found += 1;
        let (mut made, fault) = translated(&rule);
        notes(report, &rule);
        if let Some(why) = fault {
            report.refuse(RULES, rule.id, format!("{why}; it is kept inactive"));
        }
        if let Some(there) = here.rules.iter().find(|there| there.name == made.name) {
            report.count(RULES).there += 1;
            ids.insert(rule.id, there.clone());
            continue;
        }
        report.count(RULES).taken += 1;
        made.id = change(RuleChange::CreateRule(Box::new(made.clone()))).await?.unwrap_or(rule.id);
        ids.insert(rule.id, made);
    }
    devices(hosts, teams, &here, &change, report).await?;
    Ok(ids)
}

async fn devices(
    hosts: Vec<String>,
    teams: Vec<(String, String)>,
    here: &RuleSet,
    change: &impl AsyncFn(RuleChange) -> Result<Option<i64>, Failure>,
    report: &mut Report,
) -> Result<(), Failure> {
    for host in hosts {
        report.count(HOSTS).found += 1;
        let lower = host.trim().to_lowercase();
        if lower.is_empty() {
            report.refuse(HOSTS, "``", "it has no name");
        } else if here.dev_hosts.contains(&lower) {
            report.count(HOSTS).there += 1;
        } else {
            report.count(HOSTS).taken += 1;
            change(RuleChange::AddDevHost(lower)).await?;
        }
    }
    for (host, team) in teams {
        report.count(TEAMS).found += 1;
        let lower = host.trim().to_lowercase();
        if lower.is_empty() || team.trim().is_empty() {
            report.refuse(TEAMS, &host, "it has no name or no team");
        } else if let Some(there) = here.teams.get(&lower) {
            report.count(TEAMS).there += 1;
            if *there != team {
                report
                    .note(format!("{lower} has team {there} here and {team} in v2; left as it is"));
            }
        } else {
            report.count(TEAMS).taken += 1;
            change(RuleChange::SetTeam { host: lower, team, create: false }).await?;
        }
    }
    Ok(())
}
