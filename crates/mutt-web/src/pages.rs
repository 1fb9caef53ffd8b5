//! The web UI: pages made on the server from templates that lie in the program. They work without
//! script but for the live list; script refreshes and keeps the place.

pub(crate) mod alerts;
pub(crate) mod changes;
pub(crate) mod deliveries;
pub(crate) mod events;
mod filters;
pub(crate) mod hosts;
pub(crate) mod lanes;
pub(crate) mod mibs;
pub(crate) mod overview;
pub(crate) mod processes;
pub(crate) mod retention;
pub(crate) mod rules;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod sources;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, Role, WebState};

const TEMPLATES: &[(&str, &str)] = &[
    ("alert.html", include_str!("../templates/alert.html")),
    ("alerts.html", include_str!("../templates/alerts.html")),
    ("base.html", include_str!("../templates/base.html")),
    ("changes.html", include_str!("../templates/changes.html")),
    ("deliveries.html", include_str!("../templates/deliveries.html")),
    ("delivery.html", include_str!("../templates/delivery.html")),
    ("event.html", include_str!("../templates/event.html")),
    ("events.html", include_str!("../templates/events.html")),
    ("host.html", include_str!("../templates/host.html")),
    ("hosts.html", include_str!("../templates/hosts.html")),
    ("lanes.html", include_str!("../templates/lanes.html")),
    ("live.html", include_str!("../templates/live.html")),
    ("overview.html", include_str!("../templates/overview.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    ("problem.html", include_str!("../templates/problem.html")),
    ("processes.html", include_str!("../templates/processes.html")),
    ("mibs.html", include_str!("../templates/mibs.html")),
    ("retention.html", include_str!("../templates/retention.html")),
    ("rule.html", include_str!("../templates/rule.html")),
    ("rule_test.html", include_str!("../templates/rule_test.html")),
    ("rules.html", include_str!("../templates/rules.html")),
    ("setting.html", include_str!("../templates/setting.html")),
    ("settings.html", include_str!("../templates/settings.html")),
    ("settings_history.html", include_str!("../templates/settings_history.html")),
    ("settings_version.html", include_str!("../templates/settings_version.html")),
    ("sign_in.html", include_str!("../templates/sign_in.html")),
    ("source.html", include_str!("../templates/source.html")),
    ("sources.html", include_str!("../templates/sources.html")),
];

/// The templates, ready.
#[derive(Debug)]
pub(crate) struct Pages {
    env: Environment<'static>,
}

impl Pages {
    pub(crate) fn new() -> Result<Self, minijinja::Error> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        filters::add(&mut env);
        for (name, source) in TEMPLATES {
            env.add_template(name, source)?;
        }
        Ok(Self { env })
    }
}

/// A page for somebody, its own `content` over what every page has.
fn render(
    state: &WebState,
    who: Option<&Principal>,
    template: &str,
    content: Value,
) -> Answer<Response> {
    let can = |role: Role| who.is_some_and(|who| who.role >= role);
    let notices: Vec<Value> = match who {
        Some(_) => state.program.notices().iter().map(value).collect(),
        None => Vec::new(),
    };
    let whole = context! {
        me => who.map(|who| context! { name => who.name.as_str(), role => who.role.name() }),
        can_operate => can(Role::Operator),
        can_admin => can(Role::Admin),
        notices => notices,
        version => state.version.as_str(),
        now => state.clock.wall().to_string(),
        ..content
    };
    let made = state.pages.env.get_template(template).and_then(|page| page.render(whole));
    match made {
        Ok(html) => Ok(Html(html).into_response()),
        Err(err) => {
            tracing::error!(code = %mutt_model::codes::API_INTERNAL, template, error = %err,
                "a page could not be made");
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                &mutt_model::codes::API_INTERNAL,
                "The page could not be made; the log has the details.",
            ))
        }
    }
}

/// The page of a form. With `problem` it says what was wrong with what was typed, and has its status.
fn render_form(
    state: &WebState,
    who: Option<&Principal>,
    template: &str,
    content: Value,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let words = problem.map(|problem| &problem.detail);
    let mut response = render(state, who, template, context! { problem => words, ..content })?;
    if let Some(problem) = problem {
        *response.status_mut() = problem.status;
    }
    Ok(response)
}

/// What a person can put right is said on the page where it was typed.
fn theirs(problem: &Problem) -> bool {
    matches!(
        problem.status,
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED
    )
}

/// A refusal as a page; without a session the way leads to the sign-in.
pub(crate) fn problem_page(
    state: &WebState,
    problem: &Problem,
    path: &str,
    target: &str,
    correlation: &str,
) -> Response {
    if problem.status == StatusCode::UNAUTHORIZED && path != "/sign-in" {
        return go(&format!("/sign-in?next={}", encoded(target)));
    }
    let content = context! {
        page => "problem",
        status => problem.status.as_u16(),
        title => problem.code.title,
        detail => problem.detail.as_str(),
        code => problem.code.id,
        fix => problem.code.fix.to_vec(),
        correlation => correlation,
    };
    let mut response = match render(state, None, "problem.html", content) {
        Ok(response) => response,
        Err(_) => problem.detail.clone().into_response(),
    };
    *response.status_mut() = problem.status;
    response
}

/// Anything that serialises, for templates.
fn value<T: serde::Serialize>(shown: T) -> Value {
    Value::from(minijinja::value::Serde(shown))
}

/// After a form: look at the page it leads to.
fn go(place: &str) -> Response {
    // Every place is a path of ours with encoded parts; a broken one leads home.
    let place = axum::http::HeaderValue::try_from(place)
        .unwrap_or(axum::http::HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// A text as part of a URL.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// The link to the next page of a list: the same question with its cursor.
fn next_link(path: &str, params: &Params, cursor: Option<&str>) -> Option<String> {
    let cursor = cursor?;
    let mut link = format!("{path}?");
    for (name, value) in params.all() {
        if !matches!(&**name, "cursor" | "done" | "replayed" | "passed_over") {
            link.push_str(&format!("{}={}&", encoded(name), encoded(value)));
        }
    }
    Some(format!("{link}cursor={}", encoded(cursor)))
}

/// What was just done, in words.
fn done_words(params: &Params) -> Option<&'static str> {
    Some(match params.get("done")? {
        "acknowledged" => "The alert is acknowledged.",
        "cleared" => "The alert is cleared. The next matching event opens it anew.",
        "noted" => "The note is kept.",
        "created" => "The rule is created and in force.",
        "updated" => "The rule is changed; the new rule set is in force.",
        "deleted" => "The rule is deleted.",
        "held" => "The lane is held: nothing leaves through this sink.",
        "released" => "The lane is released.",
        "replayed" => "The delivery waits to be sent again.",
        "set" => "The setting is in force in every process within a second.",
        "unset" => "The setting is gone: what file and environment say is in force.",
        "rolled_back" => "The settings of the earlier version stand again, as a new version.",
        "dev_host_added" => "The development host is added; the new rule set is in force.",
        "dev_host_renamed" => {
            "The development host has its new name; the new rule set is in force."
        }
        "dev_host_removed" => "The host is a production host from now on.",
        "team_set" => "The team is set; the new rule set is in force.",
        "team_removed" => "The device has no team of its own any more.",
        "hold_placed" => "The hold stands: its rows outlive retention.",
        "hold_released" => "The hold is released; its rows go when their time is over.",
        "mib_uploaded" => {
            "The MIB is kept; its names are in force in every Ingestor within seconds."
        }
        "mib_without_module" => {
            "The file is kept, but no module begins in it (NAME DEFINITIONS ::= BEGIN): it gives no names."
        }
        "mib_deleted" => "The MIB is deleted; its names are gone within seconds.",
        "archive_restored" => "The archive's rows are in the audit again, behind a hold.",
        "source_muted" => "The source is muted: nobody is told of its silence.",
        "source_unmuted" => "The source is watched again.",
        "source_forgotten" => "The source is forgotten, until it is heard again.",
        _ => return None,
    })
}

/// The parameters of a search, to fill its form again: every name is there, absent ones empty.
fn filled(params: &Params, names: &[&str]) -> Value {
    let given = |name: &&str| ((*name).to_owned(), params.get(name).unwrap_or_default().to_owned());
    value(names.iter().map(given).collect::<std::collections::BTreeMap<String, String>>())
}

/// What was typed into these fields, to show it again; nothing in those that were not filled.
fn typed(form: &FormBody, names: &[&str]) -> Value {
    let given = |name: &&str| ((*name).to_owned(), form.0.get(*name).cloned().unwrap_or_default());
    value(names.iter().map(given).collect::<std::collections::BTreeMap<String, String>>())
}

/// One header more.
fn with_header(
    mut response: Response,
    name: HeaderName,
    value: axum::http::HeaderValue,
) -> Response {
    response.headers_mut().append(name, value);
    response
}
