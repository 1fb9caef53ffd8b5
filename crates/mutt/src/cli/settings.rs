//! `muttctl config list|get|set|unset|history|diff|rollback` and `muttctl processes`: what is changed
//! while MUTT runs, and who runs with it.

use reqwest::Method;
use serde_json::Value;

use super::api::{Api, block_on, body};
use super::args::{ConfigVerb, Target};
use super::failure::Failure;
use super::objects::{act, reason};
use super::output::{self, Column};

const KEYS: &[Column] = &[
    ("KEY", "/key"),
    ("VALUE", "/value"),
    ("FROM", "/source"),
    ("APPLIES", "/apply"),
    ("ROLE", "/role"),
    ("IGNORED", "/ignored"),
];
const HISTORY: &[Column] = &[
    ("VERSION", "/version"),
    ("AT", "/at"),
    ("WHO", "/who"),
    ("CHANGED", "/changed"),
    ("BACK TO", "/rolled_back_to"),
    ("REASON", "/reason"),
];
const EDITS: &[Column] = &[("KEY", "/key"), ("BEFORE", "/old"), ("AFTER", "/new")];
const PROCESSES: &[Column] = &[
    ("HOST", "/host"),
    ("PID", "/pid"),
    ("SERVICES", "/services"),
    ("PROGRAM", "/program"),
    ("SETTINGS", "/settings"),
    ("RULES", "/ruleset"),
    ("LIVE", "/live"),
    ("SPILLED", "/spilled_events"),
    ("REPORTED", "/reported_at"),
];

/// Does what a verb about settings says.
pub(super) fn run(target: &Target, verb: &ConfigVerb) -> Result<(), Failure> {
    match verb {
        ConfigVerb::List { part } => keys(target, part.as_deref().unwrap_or_default()),
        ConfigVerb::Get { key } => {
            let api = Api::new(target)?;
            Ok(output::object(&block_on(api.get(&["config", key], &[]))?, target.json)?)
        }
        ConfigVerb::Set { key, value, expected_version, reason: why } => {
            let expected = ("expected_version", expected_version.map(Value::from));
            let payload = body([("value", Some(value.as_str().into())), expected, reason(why)]);
            let done = format!("{key} is {value} in every process within a second");
            act(target, Method::PUT, &["config", key], &payload, &done).map(drop)
        }
        ConfigVerb::Unset { key, expected_version, reason: why } => {
            let expected = ("expected_version", expected_version.map(Value::from));
            let done = format!("{key} is what file and environment say");
            let payload = body([expected, reason(why)]);
            act(target, Method::DELETE, &["config", key], &payload, &done).map(drop)
        }
        ConfigVerb::History { limit } => history(target, limit.limit),
        ConfigVerb::Diff { from, to } => {
            let of = |name, version: &Option<i64>| version.map(|v| (name, v.to_string()));
            let query: Vec<_> = [of("from", from), of("to", to)].into_iter().flatten().collect();
            let api = Api::new(target)?;
            let found = block_on(api.get(&["config", "diff"], &query))?;
            let edits = found["edits"].as_array().cloned().unwrap_or_default();
            Ok(output::items(&edits, EDITS, target.json)?)
        }
        ConfigVerb::Rollback { version, expected_version, reason: why } => {
            let expected = ("expected_version", expected_version.map(Value::from));
            let payload = body([("version", Some((*version).into())), expected, reason(why)]);
            let done = format!("the settings of version {version} stand again");
            let answer = act(target, Method::POST, &["config", "rollback"], &payload, &done)?;
            for (key, why) in answer["ignored"].as_object().into_iter().flatten() {
                output::warning(&format!("{key} is not used: {}", output::text(why)));
            }
            Ok(())
        }
        ConfigVerb::Show { .. } | ConfigVerb::Origin { .. } => Ok(()),
    }
}

fn keys(target: &Target, part: &str) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let mut config = block_on(api.get(&["config"], &[]))?;
    let keys = match config["keys"].take() {
        Value::Array(keys) => keys,
        _ => Vec::new(),
    };
    let holds = |key: &Value| key["key"].as_str().is_some_and(|name| name.contains(part));
    let keys: Vec<Value> = keys.into_iter().filter(holds).collect();
    Ok(output::items(&keys, KEYS, target.json)?)
}

fn history(target: &Target, limit: u64) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let (mut items, more) = block_on(api.list(&["config", "history"], &[], limit))?;
    if !target.json {
        for item in &mut items {
            let keys = item["edits"].as_array().into_iter().flatten();
            let keys: Vec<&str> = keys.filter_map(|edit| edit["key"].as_str()).collect();
            item["changed"] = keys.join(", ").into();
        }
    }
    output::items(&items, HISTORY, target.json)?;
    if more {
        output::note(&format!("there are more: --limit {}", limit.saturating_mul(10)));
    }
    Ok(())
}

/// The processes of all hosts.
pub(super) fn processes(target: &Target) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let mut items = block_on(api.whole(&["processes"]))?;
    if !target.json {
        for item in &mut items {
            let names = item["services"].as_array().into_iter().flatten();
            let names: Vec<&str> = names.filter_map(Value::as_str).collect();
            item["services"] = names.join(",").into();
        }
    }
    Ok(output::items(&items, PROCESSES, target.json)?)
}
