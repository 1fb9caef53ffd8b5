//! The commands that list, show and act on objects of the REST API. Each verb becomes one request;
//! what comes back is a list, an object, or nothing.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, block_on, body};
use super::args::{
    AlertsVerb, ArchiveVerb, ChangesVerb, Command, ConfigVerb, DeliveriesVerb, DevHostsVerb,
    EventsVerb, Expect, HoldVerb, Limit, Reason, SinksVerb, Target, TeamsVerb,
};
use super::failure::Failure;
use super::output::{self, Column};
use super::{settings, sources, tail};
use crate::config::{Overrides, ProcessEnv, keys, tree};

const EVENTS: &[Column] = &[
    ("RECEIVED", "/received_at"),
    ("SEV", "/severity"),
    ("HOST", "/host"),
    ("APP", "/app"),
    ("DECISION", "/decision"),
    ("MESSAGE", "/message"),
    ("ID", "/id"),
];
const ALERTS: &[Column] = &[
    ("LAST SEEN", "/last_seen"),
    ("STATE", "/state"),
    ("SEV", "/severity"),
    ("HOST", "/host"),
    ("PROBLEM", "/problem"),
    ("RESOURCE", "/resource"),
    ("COUNT", "/count"),
    ("TEAM", "/team"),
    ("ACK BY", "/acknowledged_by"),
    ("ID", "/id"),
];
const DELIVERIES: &[Column] = &[
    ("CREATED", "/created_at"),
    ("SINK", "/sink"),
    ("STATE", "/state"),
    ("REASON", "/reason"),
    ("KIND", "/notice/kind"),
    ("TRIES", "/attempt_count"),
    ("KEY", "/key"),
    ("ID", "/id"),
];
const SINKS: &[Column] = &[
    ("SINK", "/name"),
    ("HELD BY", "/held_by"),
    ("WHY", "/held_reason"),
    ("BREAKER", "/breaker"),
    ("PENDING", "/pending"),
    ("HELD", "/held"),
    ("DEAD", "/dead"),
    ("LAST OK", "/last_ok_at"),
    ("LAST ERROR", "/last_error"),
];
/// Columns of rules, also for [`super::rules`].
pub(super) const RULES: &[Column] = &[
    ("ID", "/id"),
    ("PRIO", "/priority"),
    ("ACTIVE", "/is_active"),
    ("NAME", "/name"),
    ("TYPE", "/match_type"),
    ("MATCH", "/match_string"),
    ("TRAP OID", "/trap_oid"),
    ("PROD", "/prod_handling"),
    ("DEV", "/dev_handling"),
    ("TEAM", "/team_assignment"),
    ("ACTION", "/action"),
];
const DEV_HOSTS: &[Column] = &[("HOST", "/hostname")];
const TEAMS: &[Column] = &[("HOST", "/hostname"), ("TEAM", "/team_assignment")];
const CHANGES: &[Column] = &[
    ("AT", "/at"),
    ("WHO", "/who"),
    ("ACTION", "/action"),
    ("OBJECT", "/object"),
    ("ID", "/object_id"),
    ("REASON", "/reason"),
];
const HOLDS: &[Column] = &[
    ("ID", "/id"),
    ("HOST", "/host"),
    ("SINCE", "/since"),
    ("UNTIL", "/until"),
    ("WHO", "/who"),
    ("AT", "/at"),
    ("ARCHIVE", "/archive"),
    ("REASON", "/reason"),
];
const ARCHIVES: &[Column] = &[
    ("NAME", "/name"),
    ("FROM", "/from"),
    ("UNTIL", "/until"),
    ("ROWS", "/rows"),
    ("BYTES", "/bytes"),
    ("WRITTEN", "/written_at"),
    ("RESTORED", "/restored_at"),
];
const SERVICES: &[Column] =
    &[("SERVICE", "/name"), ("READY", "/ready"), ("STATE", "/state"), ("DETAIL", "/detail")];

/// Does what a command of an object says.
pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Events(args) => events(&args.target, args.verb),
        Command::Alerts(args) => alerts(&args.target, args.verb),
        Command::Deliveries(args) => deliveries(&args.target, args.verb),
        Command::Sinks(args) => sinks(&args.target, args.verb),
        Command::DevHosts(args) => dev_hosts(&args.target, &args.verb),
        Command::Teams(args) => teams(&args.target, &args.verb),
        Command::Config(args) => config(&args.target, &args.verb),
        Command::Changes(args) => {
            let ChangesVerb::List { limit } = args.verb;
            list(&args.target, "changes", Vec::new(), &limit, CHANGES)
        }
        Command::Hold(args) => hold(&args.target, &args.verb),
        Command::Archive(args) => archive(&args.target, &args.verb),
        Command::Sources(args) => sources::run(&args.target, args.verb),
        Command::Ledger(args) => show(&args.target, &["ledger"]),
        Command::Processes(args) => settings::processes(&args.target),
        Command::Status(args) => status(&args.target),
        // The other commands never come here; there is nothing to do for them.
        _ => Ok(()),
    }
}

/// Query parameters that were given.
pub(super) fn given<const N: usize>(
    all: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

pub(super) fn list(
    target: &Target,
    path: &str,
    query: Vec<(&str, String)>,
    limit: &Limit,
    columns: &[Column],
) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let (items, more) = block_on(api.list(&[path], &query, limit.limit))?;
    output::items(&items, columns, target.json)?;
    if more {
        output::note(&format!("there are more: --limit {}", limit.limit.saturating_mul(10)));
    }
    Ok(())
}

/// A list that the API gives whole.
pub(super) fn whole(target: &Target, path: &str, columns: &[Column]) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let mut answer = block_on(api.get(&[path], &[]))?;
    let items = match answer["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    output::items(&items, columns, target.json)?;
    if let Some(version) = answer["ruleset"].as_i64() {
        output::note(&format!("rule set {version}"));
    }
    Ok(())
}

/// One object.
pub(super) fn show(target: &Target, path: &[&str]) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let value = block_on(api.get(path, &[]))?;
    Ok(output::object(&value, target.json)?)
}

/// A request that changes something; what it answers is shown.
pub(super) fn act(
    target: &Target,
    method: Method,
    path: &[&str],
    payload: &Value,
    done: &str,
) -> Result<Value, Failure> {
    let api = Api::new(target)?;
    let value = block_on(api.call(method, path, &[], Some(payload)))?;
    if target.json && !value.is_null() {
        output::line(&value.to_string())?;
    } else {
        output::note(done);
    }
    Ok(value)
}

pub(super) fn reason(reason: &Reason) -> (&'static str, Option<Value>) {
    ("reason", reason.reason.clone().map(Value::from))
}

pub(super) fn expected(expect: &Expect) -> (&'static str, Option<Value>) {
    ("expected_version", expect.expected_version.map(Value::from))
}

fn events(target: &Target, verb: EventsVerb) -> Result<(), Failure> {
    match verb {
        EventsVerb::List { filter, severity, rule, alert, since, until, limit } => {
            let query = given([
                ("host", filter.host),
                ("q", filter.q),
                ("handled", filter.handled.map(|flag| flag.to_string())),
                ("severity", severity),
                ("rule", rule.map(|id| id.to_string())),
                ("alert", alert),
                ("since", since),
                ("until", until),
            ]);
            list(target, "events", query, &limit, EVENTS)
        }
        EventsVerb::Show { id } => show(target, &["events", &id]),
        EventsVerb::Tail { filter, severity_max, count } => {
            let query = given([
                ("host", filter.host),
                ("q", filter.q),
                ("handled", filter.handled.map(|flag| flag.to_string())),
                ("severity_max", severity_max),
            ]);
            tail::run(target, &query, count, &EVENTS[..6])
        }
    }
}

fn alerts(target: &Target, verb: AlertsVerb) -> Result<(), Failure> {
    let post = |id: &str, what: &str, payload: Value, done: &str| {
        act(target, Method::POST, &["alerts", id, what], &payload, &format!("{done} {id}"))
    };
    match verb {
        AlertsVerb::List { state, host, team, problem, q, limit } => {
            let query = given([
                ("state", state),
                ("host", host),
                ("team", team),
                ("problem", problem),
                ("q", q),
            ]);
            return list(target, "alerts", query, &limit, ALERTS);
        }
        AlertsVerb::Show { id } => return show(target, &["alerts", &id]),
        AlertsVerb::Acknowledge { id, reason: why } => {
            post(&id, "acknowledge", body([reason(&why)]), "acknowledged")
        }
        AlertsVerb::Clear { id, reason: why } => {
            post(&id, "clear", body([reason(&why)]), "cleared")
        }
        AlertsVerb::Note { id, text } => post(&id, "note", json!({ "text": text }), "noted on"),
    }
    .map(drop)
}

fn deliveries(target: &Target, verb: DeliveriesVerb) -> Result<(), Failure> {
    match verb {
        DeliveriesVerb::List { state, sink, alert, event, limit } => {
            let query =
                given([("state", state), ("sink", sink), ("alert", alert), ("event", event)]);
            list(target, "deliveries", query, &limit, DELIVERIES)
        }
        DeliveriesVerb::Show { id } => show(target, &["deliveries", &id]),
        DeliveriesVerb::Replay { id, sink, state, dead_reason, limit, force, reason: why } => {
            let forced = ("force", Some(Value::from(force)));
            let api = Api::new(target)?;
            let value = match id {
                Some(id) => {
                    let payload = body([forced, reason(&why)]);
                    let path = ["deliveries", id.as_str(), "replay"];
                    block_on(api.call(Method::POST, &path, &[], Some(&payload)))?
                }
                None => {
                    if sink.is_none() && state.is_none() && dead_reason.is_none() {
                        return Err(Failure::usage("replay needs an id or a filter")
                            .hint("muttctl deliveries replay --sink NAME --reason TEXT"));
                    }
                    let filter = body([
                        ("sink", sink.map(Value::from)),
                        ("state", state.map(Value::from)),
                        ("reason", dead_reason.map(Value::from)),
                        ("limit", limit.map(Value::from)),
                    ]);
                    let payload = body([("filter", Some(filter)), forced, reason(&why)]);
                    let path = ["deliveries", "replay"];
                    block_on(api.call(Method::POST, &path, &[], Some(&payload)))?
                }
            };
            Ok(output::object(&value, target.json)?)
        }
    }
}

fn sinks(target: &Target, verb: SinksVerb) -> Result<(), Failure> {
    match verb {
        SinksVerb::List => whole(target, "sinks", SINKS),
        SinksVerb::Show { name } => show(target, &["sinks", &name]),
        SinksVerb::Hold { name, reason: why } => {
            let payload = body([reason(&why)]);
            let done = format!("held {name}: nothing leaves, nothing is lost");
            act(target, Method::POST, &["sinks", &name, "hold"], &payload, &done).map(drop)
        }
        SinksVerb::Release { name, reason: why } => {
            let payload = body([reason(&why)]);
            let done = format!("released {name}");
            act(target, Method::POST, &["sinks", &name, "release"], &payload, &done).map(drop)
        }
        SinksVerb::Test { name } => {
            let api = Api::new(target)?;
            let path = ["sinks", name.as_str(), "test"];
            let value = block_on(api.call(Method::POST, &path, &[], Some(&json!({}))))?;
            output::object(&value, target.json)?;
            if value["ok"].as_bool() == Some(true) { Ok(()) } else { Err(not_accepted(&name)) }
        }
    }
}

fn not_accepted(name: &str) -> Failure {
    Failure::new(&mutt_model::codes::SINK_RETRY, format!("sink {name} did not accept the test"))
}

fn hold(target: &Target, verb: &HoldVerb) -> Result<(), Failure> {
    match verb {
        HoldVerb::List => whole(target, "holds", HOLDS),
        HoldVerb::Add { host, since, until, reason } => {
            let text = |text: &Option<String>| text.clone().map(Value::from);
            let payload = body([
                ("host", text(host)),
                ("since", text(since)),
                ("until", text(until)),
                ("reason", Some(Value::from(reason.as_str()))),
            ]);
            let done = "held: these rows outlive retention until the hold is released";
            act(target, Method::POST, &["holds"], &payload, done).map(drop)
        }
        HoldVerb::Release { id, reason: why } => {
            let id = id.to_string();
            let done = format!("released hold {id}");
            let payload = body([reason(why)]);
            act(target, Method::DELETE, &["holds", &id], &payload, &done).map(drop)
        }
    }
}

fn archive(target: &Target, verb: &ArchiveVerb) -> Result<(), Failure> {
    match verb {
        ArchiveVerb::List => whole(target, "archives", ARCHIVES),
        ArchiveVerb::Restore { file, reason: why } => {
            // The running program has another working directory.
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            let file = Value::from(file.to_string_lossy().into_owned());
            let payload = body([("file", Some(file)), reason(why)]);
            let api = Api::new(target)?;
            let path = ["archives", "restore"];
            let value = block_on(api.call(Method::POST, &path, &[], Some(&payload)))?;
            Ok(output::object(&value, target.json)?)
        }
    }
}

fn dev_hosts(target: &Target, verb: &DevHostsVerb) -> Result<(), Failure> {
    match verb {
        DevHostsVerb::List => whole(target, "dev-hosts", DEV_HOSTS),
        DevHostsVerb::Add { hostname, reason: why } => {
            let payload = body([("hostname", Some(Value::from(hostname.as_str()))), reason(why)]);
            let done = format!("{hostname} is a development host");
            act(target, Method::POST, &["dev-hosts"], &payload, &done).map(drop)
        }
        DevHostsVerb::Rename { hostname, new_hostname, expect, reason: why } => {
            let host = ("hostname", Some(Value::from(new_hostname.as_str())));
            let payload = body([host, expected(expect), reason(why)]);
            let done = format!("{new_hostname} is a development host in the place of {hostname}");
            act(target, Method::PUT, &["dev-hosts", hostname], &payload, &done).map(drop)
        }
        DevHostsVerb::Delete { hostname, expect, reason: why } => {
            let done = format!("{hostname} is a production host");
            let payload = body([expected(expect), reason(why)]);
            act(target, Method::DELETE, &["dev-hosts", hostname], &payload, &done).map(drop)
        }
    }
}

fn teams(target: &Target, verb: &TeamsVerb) -> Result<(), Failure> {
    let team_of = |team: &str| ("team_assignment", Some(Value::from(team)));
    match verb {
        TeamsVerb::List => whole(target, "teams", TEAMS),
        TeamsVerb::Show { hostname } => show(target, &["teams", hostname]),
        TeamsVerb::Add { hostname, team, reason: why } => {
            let host = ("hostname", Some(Value::from(hostname.as_str())));
            let payload = body([host, team_of(team), reason(why)]);
            let done = format!("{hostname} belongs to {team}");
            act(target, Method::POST, &["teams"], &payload, &done).map(drop)
        }
        TeamsVerb::Update { hostname, team, expect, reason: why } => {
            let payload = body([team_of(team), expected(expect), reason(why)]);
            let done = format!("{hostname} belongs to {team}");
            act(target, Method::PUT, &["teams", hostname], &payload, &done).map(drop)
        }
        TeamsVerb::Delete { hostname, expect, reason: why } => {
            let done = format!("{hostname} has no team of its own");
            let payload = body([expected(expect), reason(why)]);
            act(target, Method::DELETE, &["teams", hostname], &payload, &done).map(drop)
        }
    }
}

fn config(target: &Target, verb: &ConfigVerb) -> Result<(), Failure> {
    match verb {
        ConfigVerb::Show { key } => {
            let api = Api::new(target)?;
            let value = block_on(api.get(&["config"], &[]))?;
            let part = match key {
                None => Some(&value),
                Some(key) => value.pointer(&format!("/{}", key.replace('.', "/"))),
            };
            let part = part.ok_or_else(|| {
                let key = key.as_deref().unwrap_or_default();
                Failure::usage(format!("there is no key `{key}` in the effective configuration"))
            })?;
            Ok(output::object(part, target.json)?)
        }
        ConfigVerb::List { .. }
        | ConfigVerb::Get { .. }
        | ConfigVerb::Set { .. }
        | ConfigVerb::Unset { .. }
        | ConfigVerb::History { .. }
        | ConfigVerb::Diff { .. }
        | ConfigVerb::Rollback { .. } => settings::run(target, verb),
        ConfigVerb::Origin { config } => origin(config.as_deref(), target.json),
    }
}

/// Each key with where its value comes from, without asking a running program.
fn origin(file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let config = crate::config::load(file, &ProcessEnv, &Overrides::default())
        .map_err(|errors| Failure::config(&errors))?;
    let written = crate::config::written(file, &ProcessEnv, &mut Vec::new());
    let mut items = Vec::new();
    leaves(&config.redacted(), &mut Vec::new(), &written, &mut items);
    Ok(output::items(&items, &[("KEY", "/key"), ("VALUE", "/value"), ("FROM", "/origin")], json)?)
}

fn leaves(value: &Value, path: &mut Vec<String>, written: &tree::Node, items: &mut Vec<Value>) {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match value {
        Value::Object(map) if !map.is_empty() && keys::find(&parts).is_none() => {
            for (name, value) in map {
                path.push(name.clone());
                leaves(value, path, written, items);
                path.pop();
            }
        }
        value => {
            let origin = written
                .get(&parts)
                .map_or_else(|| "default".to_owned(), |node| node.origin.to_string());
            items.push(json!({ "key": path.join("."), "value": value, "origin": origin }));
        }
    }
}

fn status(target: &Target) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let value = block_on(api.get(&["health"], &[]))?;
    if target.json {
        output::line(&value.to_string())?;
    } else {
        output::line(&format!(
            "MUTT {} is {}, store {}",
            output::cell(&value, "/version"),
            output::cell(&value, "/status"),
            output::cell(&value, "/store")
        ))?;
        let services = value["services"].as_array().cloned().unwrap_or_default();
        output::items(&services, SERVICES, false)?;
        for notice in value["notices"].as_array().into_iter().flatten() {
            output::warning(&output::cell(notice, "/text"));
        }
    }
    if value["status"] == "healthy" {
        return Ok(());
    }
    Err(Failure::new(&mutt_model::codes::FOUND, "not every service is ready")
        .hint("muttctl doctor says what is wrong and what mends it"))
}
