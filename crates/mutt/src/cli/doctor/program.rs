//! Checks of the running program, over its REST API.

use std::path::Path;

use mutt_model::Clock;
use mutt_model::Timestamp;
use mutt_model::codes;
use mutt_rules::FindingKind;
use serde_json::Value;

use super::{Context, Finding};
use crate::cli::api::{Api, block_on, running_on};
use crate::cli::args::Target;
use crate::cli::output::cell;
use crate::cli::rules::in_force;
use crate::config::{EnvSource as _, ProcessEnv, StoreUrl};
use crate::secrets::ADMIN_TOKEN_FILE;
use crate::services::Service;

/// Events that wait longer than this are worth a look; ten times longer is bad.
const BACKLOG_SECS: u64 = 60;
/// No event for this long is worth a look.
const SILENCE_SECS: u64 = 600;
/// Retention works every minute; a round that archives much may take an hour.
const RETENTION_SECS: u64 = 6 * 3_600;
/// An event this far in the future was received before the clock was set back.
const AHEAD_SECS: u64 = 5;

/// Finds the running program; where nothing else is said, the one on the configuration's `data_dir`.
pub(super) fn connect(target: &Target, data_dir: &Path) -> (Option<Api>, Option<Value>, Finding) {
    let mut target = target.clone();
    target.url = target.url.or_else(|| running_on(data_dir, "web_ui"));
    let token = data_dir.join(ADMIN_TOKEN_FILE);
    if target.token_file.is_none() && ProcessEnv.var("MUTT_TOKEN").is_none() && token.is_file() {
        target.token_file = Some(token);
    }
    let found = Api::new(&target).and_then(|api| {
        let health = block_on(api.get(&["health"], &[]))?;
        Ok((api, health))
    });
    match found {
        Ok((api, health)) => {
            let text = format!("MUTT {} answers", cell(&health, "/version"));
            (Some(api), Some(health), Finding::ok(text))
        }
        Err(failure) => {
            let finding = Finding::bad(failure.message(), failure.hint_text());
            (None, None, finding)
        }
    }
}

fn ask(context: &Context, path: &str) -> Option<Value> {
    block_on(context.api.as_ref()?.get(&[path], &[])).ok()
}

/// Each service does its work.
pub(super) fn services(context: &Context) -> Vec<Finding> {
    let Some(health) = &context.health else { return Vec::new() };
    let mut findings: Vec<Finding> = health["services"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|service| {
            let (name, state) = (cell(service, "/name"), cell(service, "/state"));
            if service["ready"] == Value::Bool(true) {
                return Finding::ok(format!("{name} is {state}"));
            }
            // A state is a word or a sentence.
            let text = format!("{name} is not ready: {state} {}", cell(service, "/detail"));
            Finding::bad(text.trim_end(), "journalctl -u mutt -n 50")
        })
        .collect();
    let running: Vec<String> = health["services"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|service| cell(service, "/name"))
        .collect();
    let others = Service::ALL.iter().filter(|s| !running.iter().any(|name| name == s.name()));
    let processes = match context.config.store.url {
        StoreUrl::Postgres(_) => ask(context, "processes"),
        StoreUrl::Sqlite => None,
    };
    for service in others {
        match &processes {
            Some(processes) => findings.extend(elsewhere(*service, processes)),
            None => {
                let text = format!("{service} does not run in this process (serve --only)");
                findings.push(Finding::warn(text, "start MUTT without --only"));
            }
        }
    }
    for notice in health["notices"].as_array().into_iter().flatten() {
        let code = cell(notice, "/code");
        // These have checks of their own; the one without a code is that no sink is configured.
        if ["", codes::INGEST_RCVBUF.id, codes::CLOCK_STEP.id].contains(&code.as_str()) {
            continue;
        }
        findings.push(Finding::warn(cell(notice, "/text"), format!("muttctl explain {code}")));
    }
    findings
}

/// A service that runs in processes of its own, as these tell the store.
fn elsewhere(service: Service, processes: &Value) -> Vec<Finding> {
    let name = service.name();
    let runs = |process: &&Value| {
        let services = process["services"].as_array();
        process["live"] == Value::Bool(true)
            && services.is_some_and(|s| s.iter().any(|s| s == name))
    };
    let mut findings = Vec::new();
    for process in processes["items"].as_array().into_iter().flatten().filter(runs) {
        let place = format!("{name} on {} (pid {})", cell(process, "/host"), process["pid"]);
        let away = process["dependencies"].as_object().into_iter().flatten();
        let away: Vec<_> = away.filter(|(_, state)| state["ready"] == Value::Bool(false)).collect();
        for (dependency, state) in &away {
            let code = cell(state, "/code");
            let (since, why) = (cell(state, "/since"), cell(state, "/why"));
            let text = format!("{place} waits for the {dependency} since {since}: {why}");
            findings.push(Finding::bad(text, format!("muttctl explain {code}")));
        }
        if away.is_empty() {
            findings.push(Finding::ok(format!("{place} runs")));
        }
    }
    if findings.is_empty() {
        let text = format!("{name} runs nowhere");
        let fix = format!("muttctl serve --only {name}");
        findings.push(match service {
            // One may be told not to report (ingestor.report = false).
            Service::Ingestor => Finding::warn(format!("{text} that the store was told of"), fix),
            _ => Finding::bad(text, fix),
        });
    }
    findings
}

/// What lies in spills, here and on other hosts, and whether somebody is there to drain it.
fn spills(queue: &Value) -> Vec<Finding> {
    let spills = queue["spills"].as_array().into_iter().flatten();
    let finding = |spill: &Value| {
        let (host, place) = (cell(spill, "/host"), cell(spill, "/place"));
        let age = spill["oldest_age_seconds"].as_u64().unwrap_or(0);
        let events = cell(spill, "/pending_events");
        let text =
            format!("{events} events lie in the spill {host}:{place}, the oldest for {age} s");
        if spill["live"] != Value::Bool(true) {
            let since = cell(spill, "/reported_at");
            return Finding::bad(
                format!("{text}, and its Ingestor is gone since {since}"),
                format!("start the Ingestor on {host} with the same data_dir: it drains it"),
            );
        }
        let why = cell(spill, "/why");
        let fix = format!("muttctl explain {}", codes::QUEUE_SPILLING);
        if age > BACKLOG_SECS * 10 {
            Finding::bad(format!("{text}: {why}"), fix)
        } else {
            Finding::warn(format!("{text}: {why}"), fix)
        }
    };
    spills.map(finding).collect()
}

/// The event queue drains, and nothing was damaged.
pub(super) fn backlog(context: &Context) -> Vec<Finding> {
    let Some(queue) = ask(context, "queue") else { return Vec::new() };
    let pending = queue["pending_events"].as_u64().unwrap_or(0);
    let age = queue["oldest_age_seconds"].as_u64().unwrap_or(0);
    let text = format!("{pending} events wait, the oldest for {age} s");
    let fix = "muttctl status; the Alerter's log says what it waits for";
    let cap = context.config.queue.max_events;
    let mut findings = vec![if pending >= cap {
        let text = format!("{text}: it is full (MUTT-I004, queue.max_events = {cap})");
        Finding::bad(text, fix)
    } else if age > BACKLOG_SECS * 10 {
        Finding::bad(text, fix)
    } else if age > BACKLOG_SECS {
        Finding::warn(text, fix)
    } else {
        Finding::ok(text)
    }];
    findings.extend(spills(&queue));
    for file in queue["set_aside"].as_array().into_iter().flatten() {
        let text = format!("damaged and set aside: {}", file.as_str().unwrap_or_default());
        findings.push(Finding::bad(
            text,
            "muttctl queue check; look at the disk, then move the file away",
        ));
    }
    findings
}

/// Retention does its rounds.
pub(super) fn retention(context: &Context) -> Vec<Finding> {
    let Some(state) = ask(context, "retention") else { return Vec::new() };
    let fix = "the log of Remediation says why: journalctl -u mutt -u mutt-remediation -n 50";
    let last = state["last_run"].as_str().and_then(Timestamp::parse_rfc3339);
    let Some(last) = last else {
        return vec![Finding::warn("retention has not done a whole round yet", fix)];
    };
    let age = Clock::System.wall().since(last).as_secs();
    let text = format!("retention last ran {age} s ago");
    vec![if age > RETENTION_SECS {
        Finding::bad(format!("{text}: what is old stays, the disk fills"), fix)
    } else {
        Finding::ok(text)
    }]
}

/// What is audited nobody takes back.
pub(super) fn roles(context: &Context) -> Vec<Finding> {
    let open = match context.config.store.url {
        StoreUrl::Postgres(_) => crate::cli::db::open_audit(&context.config),
        StoreUrl::Sqlite => None,
    };
    open.map(|(words, fix)| Finding::warn(words, fix)).into_iter().collect()
}

/// The ledger adds up.
pub(super) fn ledger(context: &Context) -> Vec<Finding> {
    let Some(ledger) = ask(context, "ledger") else { return Vec::new() };
    let events = &ledger["events"];
    let mut findings = Vec::new();
    let lost = events["lost"].as_u64().unwrap_or(0);
    if lost > 0 {
        findings
            .push(Finding::bad(format!("{lost} events were lost"), "muttctl explain MUTT-A005"));
    }
    let queue = ask(context, "queue");
    let at_rest = queue.is_some_and(|queue| queue["pending_events"] == 0);
    let unaccounted = events["unaccounted"].as_i64().unwrap_or(0);
    if unaccounted != 0 && at_rest {
        let text = format!("{unaccounted} events are unaccounted for");
        findings.push(Finding::warn(text, "muttctl ledger; ask again at rest, then report it"));
    }
    let dropped = events["dropped"].as_object().into_iter().flatten();
    for (reason, count) in dropped.filter(|(_, count)| count.as_u64() != Some(0)) {
        let text = format!("{count} events dropped so far: {reason}");
        findings.push(Finding::warn(text, dropped_fix(reason)));
    }
    let dead = ledger["deliveries"]["dead"].as_u64().unwrap_or(0);
    if dead > 0 {
        let text = format!("{dead} deliveries are dead");
        findings.push(Finding::warn(text, "muttctl deliveries list --state dead"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{} events received, all accounted for",
            cell(events, "/received")
        )));
    }
    findings
}

/// What to look at for a reason of drops.
fn dropped_fix(reason: &str) -> &'static str {
    match reason {
        "community" => "muttctl explain MUTT-I009; the log names the sender",
        "usm_unknown_user" => "muttctl explain MUTT-I050; the log names address, engine and user",
        "usm_unknown_engine" => "muttctl explain MUTT-I051; the log names address, engine and user",
        "usm_unsupported_level" => "muttctl explain MUTT-I052; the log names the sender",
        "usm_wrong_digest" => "muttctl explain MUTT-I053; the log names the sender",
        "usm_decryption_error" => "muttctl explain MUTT-I054; the log names the sender",
        "usm_not_in_time_window" => "muttctl explain MUTT-I055; the log names the sender",
        "usm_malformed" | "usm_security_model" | "framing" | "oversize" => {
            "muttctl explain MUTT-I056; the log names the sender"
        }
        "not_allowed" => "muttctl explain MUTT-I070; muttctl sources list names the senders",
        "source_limit" => "muttctl explain MUTT-I071; muttctl sources list names the senders",
        "empty" => "nothing was in them; muttctl sources list names the senders",
        "queue_full" | "not_durable" => "muttctl queue status; muttctl explain MUTT-I004",
        _ => "muttctl queue status; METRICS.md tells the reasons",
    }
}

/// Something was heard lately.
pub(super) fn silence(context: &Context) -> Vec<Finding> {
    let Some(api) = &context.api else { return Vec::new() };
    let Ok((items, _)) = block_on(api.list(&["events"], &[], 1)) else { return Vec::new() };
    let newest =
        items.first().and_then(|event| Timestamp::parse_rfc3339(event["received_at"].as_str()?));
    let fix = "muttctl send syslog test; then look at the senders and the firewall";
    match newest {
        None => vec![Finding::warn("no event was ever heard", fix)],
        Some(at) => {
            let now = Clock::System.wall();
            let ahead = at.since(now).as_secs();
            if ahead > AHEAD_SECS {
                let text = format!(
                    "the newest event is {ahead} s in the future: this host's clock was set back (MUTT-P003)"
                );
                return vec![Finding::bad(text, "chronyc makestep; muttctl explain MUTT-P003")];
            }
            let age = now.since(at).as_secs();
            let text = format!("the newest event is {age} s old");
            let silent = age > SILENCE_SECS;
            vec![if silent { Finding::warn(text, fix) } else { Finding::ok(text) }]
        }
    }
}

/// Lanes move.
pub(super) fn lanes(context: &Context) -> Vec<Finding> {
    let Some(api) = &context.api else { return Vec::new() };
    let Ok(lanes) = block_on(api.whole(&["sinks"])) else { return Vec::new() };
    lanes
        .iter()
        .map(|lane| {
            let name = cell(lane, "/name");
            let waiting =
                format!("{} pending, {} held", cell(lane, "/pending"), cell(lane, "/held"));
            match lane["held_by"].as_str() {
                Some("hand") => Finding::warn(
                    format!("{name} is held by hand, {waiting}"),
                    format!("muttctl sinks release {name} --reason TEXT"),
                ),
                Some(_) => {
                    let why = cell(lane, "/held_reason");
                    let first = match why.contains("status 401") || why.contains("status 403") {
                        true => format!("put the right credential where sinks.{name}.auth points"),
                        false => "mend it".to_owned(),
                    };
                    Finding::bad(
                        format!("{name} is held (MUTT-F002): {why}, {waiting}"),
                        format!("{first}, then: muttctl sinks test {name}; muttctl sinks release {name} --reason TEXT"),
                    )
                }
                None if lane["breaker"] == "open" => Finding::bad(
                    format!(
                        "{name} does not answer (MUTT-F005), {waiting}: {}",
                        cell(lane, "/last_error")
                    ),
                    format!("mend the sink; it is probed by itself; muttctl sinks test {name} asks now"),
                ),
                None => Finding::ok(format!("{name}: {waiting}")),
            }
        })
        .collect()
}

/// No rule is odd.
pub(super) fn rules(context: &Context) -> Vec<Finding> {
    let Some(api) = &context.api else { return Vec::new() };
    let set = match in_force(api) {
        Ok(set) => set,
        Err(failure) => return vec![Finding::bad(failure.message(), "muttctl rules list")],
    };
    let mut findings: Vec<Finding> = mutt_rules::lint(&set)
        .into_iter()
        .filter(|finding| finding.kind != FindingKind::Inactive)
        .map(|finding| {
            let text = format!("rule {}: {}", finding.rule_id, finding.message);
            let fix = format!("muttctl rules show {}", finding.rule_id);
            if finding.kind == FindingKind::Invalid {
                Finding::bad(text, fix)
            } else {
                Finding::warn(text, fix)
            }
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(format!("{} rules, nothing odd", set.rules.len())));
    }
    findings
}
