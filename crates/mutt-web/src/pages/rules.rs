//! Pages of rules: the list, one to read or change, and a test on sample events.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::{Value, context};
use mutt_model::rule::Handling;
use mutt_store::store::RuleChange;
use serde_json::{Map, json};

use super::{done_words, go, render, value};
use crate::api::missing;
use crate::api::rules::{
    FIELDS, SAMPLES_MAX, change, create_rule, find, in_order, patched, read_rule, rule_json,
    update_rule,
};
use crate::judging;
use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let set = state.store.rule_set(None).await?;
    let rows: Vec<Value> = in_order(&set).into_iter().map(|rule| value(rule_json(rule))).collect();
    let findings: Vec<Value> = mutt_rules::lint(&set)
        .iter()
        .map(|finding| context! { rule_id => finding.rule_id, message => finding.message.clone() })
        .collect();
    let content = context! {
        page => "rules", rows => rows, ruleset => set.version, done => done_words(&params),
        findings => findings,
        dev_hosts => set.dev_hosts.iter().map(|host| Value::from(host.as_str())).collect::<Vec<_>>(),
        teams => set.teams.iter().map(|(host, team)| context! { host => host.as_str(), team => team.as_str() }).collect::<Vec<_>>(),
    };
    render(&state, Some(&who), "rules.html", content)
}

/// The page of one rule: `values` fill the form, whose texts may be wrong.
fn form_page(
    state: &WebState,
    who: &Principal,
    values: &serde_json::Value,
    problem: Option<&Problem>,
    done: Option<&str>,
) -> Answer<Response> {
    let content = context! {
        page => "rules",
        rule => value(values),
        handlings => Handling::KNOWN,
        severities => mutt_model::Severity::NAMES,
        problem => problem.map(|problem| &problem.detail),
        done => done,
    };
    let mut response = render(state, Some(who), "rule.html", content)?;
    if let Some(problem) = problem {
        *response.status_mut() = problem.status;
    }
    Ok(response)
}

fn path_rule(text: &str) -> Answer<i64> {
    text.parse().map_err(|_| missing("rule", text))
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let set = state.store.rule_set(None).await?;
    let values = rule_json(find(&set, path_rule(&id)?)?);
    form_page(&state, &who, &values, None, done_words(&params))
}

fn blank_values() -> serde_json::Value {
    let rule = mutt_model::rule::Rule::contains("", Handling::TicketOnly);
    let mut values = rule_json(&rule);
    values["match_string"] = serde_json::Value::Null;
    values
}

pub(crate) async fn blank(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    form_page(&state, &who, &blank_values(), None, None)
}

/// A form's fields as a rule's JSON; what the form leaves empty is null.
fn form_json(form: &FormBody) -> Answer<serde_json::Value> {
    let mut map = Map::new();
    for field in FIELDS.into_iter().filter(|field| *field != "id") {
        let text = form.get(field);
        let value = match (field, text) {
            ("is_active", text) => json!(text.is_some()),
            (_, None) => serde_json::Value::Null,
            ("priority", Some(text)) => json!(
                text.parse::<i64>()
                    .map_err(|_| { Problem::bad(format!("priority: `{text}` is no number")) })?
            ),
            (_, Some(text)) => json!(text),
        };
        map.insert(field.to_owned(), value);
    }
    Ok(serde_json::Value::Object(map))
}

/// What was typed, to be shown again beside what is wrong with it.
fn typed(form: &FormBody, id: i64) -> serde_json::Value {
    let mut values = blank_values();
    for field in FIELDS.into_iter().filter(|field| *field != "id") {
        values[field] = form.get(field).map_or(serde_json::Value::Null, |text| json!(text));
    }
    values["is_active"] = json!(form.get("is_active").is_some());
    values["id"] = json!(id);
    for field in ["syslog_severity", "severity_max", "alert_severity"] {
        let severity = form.get(field).and_then(|text| mutt_model::Severity::parse(&text));
        values[field] = json!(severity.map(mutt_model::Severity::number));
    }
    values
}

pub(crate) async fn create(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    let made = match form_json(&form).and_then(read_rule) {
        Ok(rule) => create_rule(&state, &who, rule, form.get("reason")).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(rule) => Ok(go(&format!("/rules/{}?done=created", rule.id))),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            form_page(&state, &who, &typed(&form, 0), Some(&problem), None)
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn update(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    let id = path_rule(&id)?;
    let set = state.store.rule_set(None).await?;
    let stored = find(&set, id)?;
    let made = match form_json(&form).and_then(|patch| patched(stored, patch)) {
        Ok(rule) => update_rule(&state, &who, id, rule, form.get("reason")).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(go(&format!("/rules/{id}?done=updated"))),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            form_page(&state, &who, &typed(&form, id), Some(&problem), None)
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn delete(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    form: FormBody,
) -> Answer {
    let delete = RuleChange::DeleteRule(path_rule(&id)?);
    change(&state, &who, delete, form.get("reason")).await?;
    Ok(go("/rules?done=deleted"))
}

const SAMPLE: &str = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down";

fn test_page(
    state: &WebState,
    who: &Principal,
    form: &FormBody,
    results: Option<Vec<Value>>,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let given = |name: &str| form.0.get(name).cloned().unwrap_or_default();
    let sample =
        if results.is_none() && problem.is_none() { SAMPLE.to_owned() } else { given("sample") };
    let content = context! {
        page => "rules", results => results,
        problem => problem.map(|problem| &problem.detail),
        sample => sample, host => given("host"), severity => given("severity"),
        trap_oid => given("trap_oid"), rule => given("rule"),
        severities => mutt_model::Severity::NAMES,
    };
    let mut response = render(state, Some(who), "rule_test.html", content)?;
    if let Some(problem) = problem {
        *response.status_mut() = problem.status;
    }
    Ok(response)
}

pub(crate) async fn test_form(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    test_page(&state, &who, &FormBody::default(), None, None)
}

/// One sample for each line; a line that starts with a brace is an event as JSON.
async fn judged(state: &WebState, form: &FormBody) -> Answer<Vec<Value>> {
    let rule = match form.get("rule") {
        Some(text) => {
            let value = serde_json::from_str(&text)
                .map_err(|err| Problem::bad(format!("the rule is no JSON: {err}")))?;
            Some(read_rule(value)?)
        }
        None => None,
    };
    if let Some(rule) = &rule {
        judging::validate(rule)?;
    }
    let text = form.get("sample").unwrap_or_default();
    let lines: Vec<&str> = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Object(_)) => vec![text.as_str()],
        _ => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
    };
    if lines.is_empty() || lines.len() > SAMPLES_MAX {
        return Err(Problem::bad(format!("give 1 to {SAMPLES_MAX} samples, one on each line")));
    }
    let set = state.store.rule_set(None).await?;
    let mut results = Vec::with_capacity(lines.len());
    for line in lines {
        let mut sample = match line.starts_with('{') {
            true => serde_json::from_str(line)
                .map_err(|err| Problem::bad(format!("a sample is no JSON: {err}")))?,
            false => json!({"message": line}),
        };
        for field in ["host", "severity", "trap_oid"] {
            if let (Some(text), true) = (form.get(field), sample[field].is_null()) {
                sample[field] = json!(text);
            }
        }
        let result = judging::sample(state, &set, rule.as_ref(), &sample)?;
        results.push(value(&result));
    }
    Ok(results)
}

pub(crate) async fn test(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    match judged(&state, &form).await {
        Ok(results) => test_page(&state, &who, &form, Some(results), None),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            test_page(&state, &who, &form, None, Some(&problem))
        }
        Err(problem) => Err(problem),
    }
}
