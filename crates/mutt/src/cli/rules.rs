//! `muttctl rules`: list and change rules, test them on sample events, check, import and export files.

use std::io::Read as _;
use std::path::Path;

use mutt_model::codes;
use mutt_model::rule::{Rule, RuleSet};
use mutt_rules::Finding;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, block_on, body};
use super::args::{Reason, RulesVerb, Target};
use super::failure::Failure;
use super::objects::{RULES, act, expected, reason, show, whole};
use super::output::{self, Mark};
use super::rule_file::{self, Written};

/// Does what the verb says.
pub(super) fn run(target: &Target, verb: &RulesVerb) -> Result<(), Failure> {
    match verb {
        RulesVerb::List => whole(target, "rules", RULES),
        RulesVerb::Show { id } => show(target, &["rules", &id.to_string()]),
        RulesVerb::Add { rule, reason: why } => {
            let payload = with_reason(input(&rule.rule)?, why)?;
            let api = Api::new(target)?;
            let made = block_on(api.call(Method::POST, &["rules"], &[], Some(&payload)))?;
            Ok(output::object(&made, target.json)?)
        }
        RulesVerb::Update { id, rule, expect, reason: why } => {
            let mut payload = with_reason(input(&rule.rule)?, why)?;
            if let (name, Some(version)) = expected(expect) {
                payload[name] = version;
            }
            let api = Api::new(target)?;
            let path = ["rules", &id.to_string()];
            let made = block_on(api.call(Method::PATCH, &path, &[], Some(&payload)))?;
            Ok(output::object(&made, target.json)?)
        }
        RulesVerb::Delete { id, expect, reason: why } => {
            let path = ["rules", &id.to_string()];
            let (payload, done) =
                (body([expected(expect), reason(why)]), format!("deleted rule {id}"));
            act(target, Method::DELETE, &path, &payload, &done).map(drop)
        }
        RulesVerb::Test { message, host, severity, trap_oid, event, rule } => {
            let event = match event {
                Some(text) => input(text)?,
                None => body([
                    ("message", message.clone().map(Value::from)),
                    ("host", host.clone().map(Value::from)),
                    ("severity", severity.clone().map(Value::from)),
                    ("trap_oid", trap_oid.clone().map(Value::from)),
                ]),
            };
            let rule = rule.as_deref().map(input).transpose()?;
            test(target, event, rule)
        }
        RulesVerb::Check { file: Some(file) } => check_file(file, target.json),
        RulesVerb::Check { file: None } => {
            let set = in_force(&Api::new(target)?)?;
            report(&mutt_rules::lint(&set), set.rules.len(), target.json)
        }
        RulesVerb::Import { file, dry_run, reason: why } => import(target, file, *dry_run, why),
        RulesVerb::Export => export(target),
    }
}

/// JSON from the command line, `-` or `@FILE`.
fn input(text: &str) -> Result<Value, Failure> {
    let unreadable =
        |why: std::io::Error| Failure::new(&codes::OUTPUT, format!("cannot read {text}: {why}"));
    let json = match (text, text.strip_prefix('@')) {
        ("-", _) => {
            let mut all = String::new();
            std::io::stdin().lock().read_to_string(&mut all).map_err(unreadable)?;
            all
        }
        (_, Some(path)) => std::fs::read_to_string(path).map_err(unreadable)?,
        (inline, None) => inline.to_owned(),
    };
    serde_json::from_str(&json).map_err(|why| {
        Failure::usage(format!("not JSON: {why}"))
            .hint("write '{\"match_string\":\"...\"}', @FILE or -")
    })
}

fn with_reason(mut rule: Value, why: &Reason) -> Result<Value, Failure> {
    let Some(map) = rule.as_object_mut() else {
        return Err(Failure::usage("a rule is a JSON object"));
    };
    if let (name, Some(value)) = reason(why) {
        map.insert(name.to_owned(), value);
    }
    Ok(rule)
}

fn test(target: &Target, event: Value, rule: Option<Value>) -> Result<(), Failure> {
    if event.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(Failure::usage("give a sample: --message TEXT, or --event JSON"));
    }
    let api = Api::new(target)?;
    let payload = body([("events", Some(json!([event]))), ("rule", rule)]);
    let value = block_on(api.call(Method::POST, &["rules", "test"], &[], Some(&payload)))?;
    if target.json {
        return Ok(output::line(&value.to_string())?);
    }
    let results = ["results", "items", "events"].iter().find_map(|name| value[*name].as_array());
    for result in results.map_or(std::slice::from_ref(&value), Vec::as_slice) {
        explanation(result)?;
    }
    Ok(())
}

/// The rule under test has no id yet.
fn called(value: &Value) -> String {
    match output::cell(value, "/rule_id") {
        id if id.is_empty() => "the rule under test".to_owned(),
        id => format!("rule {id}"),
    }
}

/// Which rules were tried, why each did or did not match, and what was decided.
pub(super) fn explanation(value: &Value) -> Result<(), Failure> {
    let tried = value["tried"].as_array().cloned().unwrap_or_default();
    for tried in &tried {
        let matched = tried["matched"].as_bool() == Some(true);
        let (mark, word) = if matched { (Mark::Good, "match ") } else { (Mark::Warn, "no    ") };
        let name = output::cell(tried, "/name");
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        output::marked(
            mark,
            word,
            &format!(
                "{}{name}, priority {}: {}",
                called(tried),
                output::cell(tried, "/priority"),
                output::cell(tried, "/why"),
            ),
        )?;
    }
    if let Some(why) = value["unavailable"].as_str() {
        output::line(&format!("the rule set of its time is gone: {}", output::plain(why)))?;
    }
    let verdict = &value["verdict"];
    if !verdict.is_null() {
        if output::cell(verdict, "/decision").is_empty() {
            return Ok(output::heading("no rule matches: unhandled, audited only")?);
        }
        output::heading(&format!(
            "decided by {}: {} for {} ({})",
            called(verdict),
            output::cell(verdict, "/decision"),
            output::cell(verdict, "/team"),
            output::cell(verdict, "/environment"),
        ))?;
    }
    Ok(())
}

/// The rules, development hosts and teams in force.
pub(super) fn in_force(api: &Api) -> Result<RuleSet, Failure> {
    block_on(async {
        let mut set = RuleSet { version: 1, ..RuleSet::default() };
        for value in api.whole(&["rules"]).await? {
            let rule: Rule = serde_json::from_value(without_nulls(value)).map_err(|why| {
                Failure::new(&codes::CONFIG_RULE_FILE, format!("a rule cannot be read: {why}"))
            })?;
            set.rules.push(rule);
        }
        for host in api.whole(&["dev-hosts"]).await? {
            set.dev_hosts.extend(host["hostname"].as_str().map(str::to_owned));
        }
        for team in api.whole(&["teams"]).await? {
            if let (Some(host), Some(name)) =
                (team["hostname"].as_str(), team["team_assignment"].as_str())
            {
                set.teams.insert(host.to_owned(), name.to_owned());
            }
        }
        Ok(set)
    })
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

fn check_file(file: &Path, json: bool) -> Result<(), Failure> {
    let rules = rule_file::read(file).map_err(|errors| Failure::config(&errors))?;
    let set = rule_file::as_set(&rules);
    report(&mutt_rules::lint(&set), set.rules.len(), json)
}

fn report(findings: &[Finding], rules: usize, json: bool) -> Result<(), Failure> {
    for finding in findings {
        if json {
            output::line(&serde_json::to_string(finding).unwrap_or_default())?;
        } else {
            let name = finding.rule_name.as_deref().unwrap_or_default();
            let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
            let message = output::plain(&finding.message);
            output::line(&format!("rule {}{name}: {message}", finding.rule_id))?;
        }
    }
    if findings.is_empty() {
        output::note(&format!("{rules} rules, nothing odd"));
        return Ok(());
    }
    let found = output::counted(findings.len(), "finding");
    Err(Failure::new(&codes::FOUND, format!("{found} in {rules} rules")))
}

fn import(target: &Target, file: &Path, dry_run: bool, why: &Reason) -> Result<(), Failure> {
    let rules = rule_file::read(file).map_err(|errors| Failure::config(&errors))?;
    let api = Api::new(target)?;
    let known = in_force(&api)?;
    let (mut made, mut replaced, mut unchanged) = (0, 0, 0);
    for Written { rule, .. } in &rules {
        if known.rules.iter().any(|known| same(known, rule)) {
            unchanged += 1;
            continue;
        }
        let twin = rule
            .name
            .as_ref()
            .and_then(|name| known.rules.iter().find(|known| known.name.as_ref() == Some(name)));
        let name = rule.name.clone().or_else(|| rule.match_string.clone()).unwrap_or_default();
        let mut payload = without_nulls(serde_json::to_value(rule).unwrap_or_default());
        if let Some(map) = payload.as_object_mut() {
            map.shift_remove("id");
        }
        let payload = with_reason(payload, why)?;
        let (method, path, word) = match twin {
            Some(twin) => (Method::PUT, vec!["rules".to_owned(), twin.id.to_string()], "replace"),
            None => (Method::POST, vec!["rules".to_owned()], "create"),
        };
        if dry_run {
            output::line(&format!("{word}\t{}", output::plain(&name)))?;
        } else {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            block_on(api.call(method, &path, &[], Some(&payload)))?;
        }
        if twin.is_some() { replaced += 1 } else { made += 1 }
    }
    let would = if dry_run { "would be " } else { "" };
    output::note(&format!(
        "{made} rules {would}created, {replaced} {would}replaced, {unchanged} unchanged"
    ));
    Ok(())
}

/// Whether the rule of a file is in force already: to write it again would only make a new version.
fn same(known: &Rule, rule: &Rule) -> bool {
    Rule { id: known.id, ..rule.clone() } == *known
}

/// What an exported file holds.
#[derive(serde::Serialize)]
struct Exported {
    dev_hosts: Vec<String>,
    teams: std::collections::BTreeMap<String, String>,
    rules: Vec<Rule>,
}

fn export(target: &Target) -> Result<(), Failure> {
    let mut set = in_force(&Api::new(target)?)?;
    set.rules.sort_by_key(|rule| (rule.priority, rule.id));
    let exported = Exported {
        dev_hosts: set.dev_hosts.into_iter().collect(),
        teams: set.teams,
        rules: set.rules,
    };
    let text = if target.json {
        serde_json::to_string_pretty(&exported).map_err(|why| why.to_string())
    } else {
        toml::to_string(&exported).map_err(|why| why.to_string())
    };
    let text = text.map_err(|why| Failure::new(&codes::OUTPUT, format!("cannot write: {why}")))?;
    Ok(output::line(text.trim_end())?)
}
