//! Pages of development hosts and of the teams of devices: the lists, adding, changing, removing.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::{Value, context};
use mutt_store::store::{Expected, RuleChange};

use super::{done_words, filled, go, render_form, theirs, typed};
use crate::api::hosts::{checked, dev_tag, host_name, team_tag};
use crate::api::missing;
use crate::api::rules::change;
use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// Entries of one list on the page; a filter finds the others.
const SHOWN_MAX: usize = 500;

async fn lists(
    state: &WebState,
    who: &Principal,
    params: &Params,
    form: &FormBody,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let set = state.store.rule_set(None).await?;
    let part = params.get("q").unwrap_or_default().to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&part);
    let dev: Vec<&String> = set.dev_hosts.iter().filter(|host| fits(host)).collect();
    let teams: Vec<_> = set.teams.iter().filter(|(host, team)| fits(host) || fits(team)).collect();
    let content = context! {
        page => "rules",
        ruleset => set.version,
        dev_hosts => dev.iter().take(SHOWN_MAX).map(|host| Value::from(host.as_str())).collect::<Vec<_>>(),
        teams => teams.iter().take(SHOWN_MAX).map(|(host, team)| context! { host => host.as_str(), team => team.as_str() }).collect::<Vec<_>>(),
        dev_count => dev.len(), team_count => teams.len(), shown_max => SHOWN_MAX,
        default_team => state.program.default_team(),
        done => done_words(params),
        form => filled(params, &["q"]),
        typed => typed(form, &["dev_host", "host", "team"]),
    };
    render_form(state, Some(who), "hosts.html", content, problem)
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    lists(&state, &who, &params, &FormBody::default(), None).await
}

fn field(form: &FormBody, name: &str, words: &str) -> Answer<String> {
    checked(&form.get(name).unwrap_or_default(), words).map(str::to_owned)
}

async fn added(state: &WebState, who: &Principal, form: &FormBody, dev: bool) -> Answer<()> {
    let add = if dev {
        RuleChange::AddDevHost(host_name(&form.get("dev_host").unwrap_or_default())?)
    } else {
        let host = host_name(&form.get("host").unwrap_or_default())?;
        RuleChange::SetTeam { host, team: field(form, "team", "team")?, create: true }
    };
    change(state, who, add, None, form.get("reason")).await.map(drop)
}

async fn add(state: &WebState, who: &Principal, form: &FormBody, dev: bool) -> Answer {
    match added(state, who, form, dev).await {
        Ok(()) if dev => Ok(go("/hosts?done=dev_host_added")),
        Ok(()) => Ok(go("/hosts?done=team_set")),
        Err(problem) if theirs(&problem) => {
            lists(state, who, &Params::default(), form, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn dev_add(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    add(&state, &who, &form, true).await
}

pub(crate) async fn team_add(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    form: FormBody,
) -> Answer {
    add(&state, &who, &form, false).await
}

/// The page of one entry: `typed` is what its field holds, when it is not what stands.
async fn entry_page(
    state: &WebState,
    who: &Principal,
    host: &str,
    dev: bool,
    typed: Option<&str>,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let set = state.store.rule_set(None).await?;
    let (stands, tag) = if dev {
        let found = set.dev_hosts.get(host).ok_or_else(|| missing("development host", host))?;
        (found.as_str(), dev_tag(found))
    } else {
        let team = set.teams.get(host).ok_or_else(|| missing("team of device", host))?;
        (team.as_str(), team_tag(host, team))
    };
    let overtaken = problem.is_some_and(|p| p.status == StatusCode::PRECONDITION_FAILED);
    let conflict = typed.filter(|typed| overtaken && *typed != stands).map(|typed| {
        let label = if dev { "Host" } else { "Team" };
        vec![context! { field => label, yours => typed, now => stands }]
    });
    let content = context! {
        page => "rules", host, dev, tag,
        value => typed.unwrap_or(stands),
        conflict,
    };
    render_form(state, Some(who), "host.html", content, problem)
}

pub(crate) async fn dev_one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
) -> Answer {
    entry_page(&state, &who, &host.to_lowercase(), true, None, None).await
}

pub(crate) async fn team_one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
) -> Answer {
    entry_page(&state, &who, &host.to_lowercase(), false, None, None).await
}

/// What the form expects to stand: what its page showed.
fn seen(form: &FormBody) -> Option<Expected> {
    form.get("tag").map(Expected::Object)
}

async fn write(
    state: &WebState,
    who: &Principal,
    host: &str,
    dev: bool,
    made: Answer<RuleChange>,
    form: &FormBody,
    done: &str,
) -> Answer {
    let written = match made {
        Ok(made) => change(state, who, made, seen(form), form.get("reason")).await,
        Err(problem) => Err(problem),
    };
    match written {
        Ok(_) => Ok(go(&format!("/hosts?done={done}"))),
        Err(problem) if theirs(&problem) => {
            let typed = form.get("value");
            entry_page(state, who, host, dev, typed.as_deref(), Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn dev_rename(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    form: FormBody,
) -> Answer {
    let from = host.to_lowercase();
    let to = host_name(&form.get("value").unwrap_or_default());
    let rename = to.map(|to| RuleChange::RenameDevHost { from: from.clone(), to });
    write(&state, &who, &from, true, rename, &form, "dev_host_renamed").await
}

pub(crate) async fn dev_remove(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    form: FormBody,
) -> Answer {
    let host = host.to_lowercase();
    let remove = Ok(RuleChange::RemoveDevHost(host.clone()));
    write(&state, &who, &host, true, remove, &form, "dev_host_removed").await
}

pub(crate) async fn team_set(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    form: FormBody,
) -> Answer {
    let host = host.to_lowercase();
    // A team that is gone by now is not made anew by a change.
    if !state.store.rule_set(None).await?.teams.contains_key(&host) {
        return Err(missing("team of device", &host));
    }
    let team = field(&form, "value", "team");
    let set = team.map(|team| RuleChange::SetTeam { host: host.clone(), team, create: false });
    write(&state, &who, &host, false, set, &form, "team_set").await
}

pub(crate) async fn team_remove(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    form: FormBody,
) -> Answer {
    let host = host.to_lowercase();
    let remove = Ok(RuleChange::RemoveTeam(host.clone()));
    write(&state, &who, &host, false, remove, &form, "team_removed").await
}
