//! Pages of rules: the list, one to read or change, and a test on sample events.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::{Value, context};
use mutt_model::rule::{Handling, Rule};
use mutt_store::store::{Expected, RuleChange, tag};
use serde_json::{Map, json};

use super::{done_words, go, render, render_form, value};
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
        dev_hosts => set.dev_hosts.len(), teams => set.teams.len(),
    };
    render(&state, Some(&who), "rules.html", content)
}

/// What the form of a rule shows.
#[derive(Default)]
struct Form<'a> {
    /// Its fields, whose texts may be wrong.
    values: serde_json::Value,
    /// The tag of the rule that it was made from, or that is known to stand now.
    tag: Option<String>,
    problem: Option<&'a Problem>,
    /// Field by field, what was typed and what somebody else made of the rule meanwhile.
    conflict: Option<Vec<Value>>,
    done: Option<&'a str>,
}

fn form_page(state: &WebState, who: &Principal, form: Form<'_>) -> Answer<Response> {
    let content = context! {
        page => "rules",
        rule => value(&form.values),
        tag => form.tag,
        handlings => Handling::KNOWN,
        severities => mutt_model::Severity::NAMES,
        conflict => form.conflict,
        done => form.done,
    };
    render_form(state, Some(who), "rule.html", content, form.problem)
}

/// The form again for one who was too late: what was typed, what stands now, and where they differ.
async fn overtaken(
    state: &WebState,
    who: &Principal,
    id: i64,
    typed: Option<Rule>,
    problem: &Problem,
) -> Answer<Response> {
    let set = state.store.rule_set(None).await?;
    let stored = find(&set, id)?;
    let stands = rule_json(stored);
    let values = typed.as_ref().map_or_else(|| stands.clone(), rule_json);
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let differ = FIELDS.into_iter().filter(|field| text(&values[*field]) != text(&stands[*field]));
    let rows = differ.map(|field| {
        context! { field, yours => text(&values[field]), now => text(&stands[field]) }
    });
    let form = Form {
        conflict: Some(rows.collect()),
        tag: Some(tag(stored)),
        problem: Some(problem),
        values,
        done: None,
    };
    form_page(state, who, form)
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
    let rule = find(&set, path_rule(&id)?)?;
    let (values, tag) = (rule_json(rule), Some(tag(rule)));
    let form = Form { values, tag, done: done_words(&params), ..Form::default() };
    form_page(&state, &who, form)
}

fn blank_values() -> serde_json::Value {
    let rule = Rule::contains("", Handling::TicketOnly);
    let mut values = rule_json(&rule);
    values["match_string"] = serde_json::Value::Null;
    values
}

pub(crate) async fn blank(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    form_page(&state, &who, Form { values: blank_values(), ..Form::default() })
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
            let (values, problem) = (typed(&form, 0), Some(&problem));
            form_page(&state, &who, Form { values, problem, ..Form::default() })
        }
        Err(problem) => Err(problem),
    }
}

/// What the form expects to stand: the rule that its page showed.
fn seen(form: &FormBody) -> Option<Expected> {
    form.get("tag").map(Expected::Object)
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
    let rule = form_json(&form).and_then(|patch| patched(stored, patch));
    let made = match rule.clone() {
        Ok(rule) => update_rule(&state, &who, id, rule, seen(&form), form.get("reason")).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(go(&format!("/rules/{id}?done=updated"))),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let (values, problem) = (typed(&form, id), Some(&problem));
            let again = Form { values, tag: form.get("tag"), problem, ..Form::default() };
            form_page(&state, &who, again)
        }
        Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
            overtaken(&state, &who, id, rule.ok(), &problem).await
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
    let id = path_rule(&id)?;
    let delete = RuleChange::DeleteRule(id);
    match change(&state, &who, delete, seen(&form), form.get("reason")).await {
        Ok(_) => Ok(go("/rules?done=deleted")),
        Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
            overtaken(&state, &who, id, None, &problem).await
        }
        Err(problem) => Err(problem),
    }
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
        sample => sample, host => given("host"), severity => given("severity"),
        trap_oid => given("trap_oid"), rule => given("rule"),
        severities => mutt_model::Severity::NAMES,
    };
    render_form(state, Some(who), "rule_test.html", content, problem)
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
