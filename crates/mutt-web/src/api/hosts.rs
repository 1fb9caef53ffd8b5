//! Development hosts and the teams of devices.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use mutt_store::store::{RuleChange, tag};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{change, expected};
use super::{Shown, missing, whole};
use crate::params::{IfMatch, JsonBody, etag};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// A host name or a team's name may hold this many bytes.
const NAME_MAX: usize = 255;

/// A host's name as it is kept: lower case, no spaces around.
pub(crate) fn host_name(text: &str) -> Answer<String> {
    let host = checked(text, "hostname")?.to_lowercase();
    if host.chars().any(char::is_whitespace) {
        return Err(Problem::bad("hostname holds spaces"));
    }
    Ok(host)
}

pub(crate) fn checked<'a>(text: &'a str, field: &str) -> Answer<&'a str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::bad(format!("{field} is required")));
    }
    if text.len() > NAME_MAX || text.chars().any(char::is_control) {
        return Err(Problem::bad(format!(
            "{field} is at most {NAME_MAX} bytes without control characters"
        )));
    }
    Ok(text)
}

fn dev_json(host: &str) -> Value {
    json!({"id": host, "hostname": host})
}

/// The tag of a development host: it has nothing but its name.
pub(crate) fn dev_tag(host: &str) -> String {
    tag(&host)
}

/// The tag of a device's team.
pub(crate) fn team_tag(host: &str, team: &str) -> String {
    tag(&(host, team))
}

fn team_json(host: &str, team: &str) -> Value {
    json!({"id": host, "hostname": host, "team_assignment": team})
}

/// A path segment that names a host, safe in a Location header.
fn place(collection: &str, host: &str) -> [(header::HeaderName, String); 1] {
    let safe: String = host
        .bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-._~:".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    [(header::LOCATION, format!("/api/v2/{collection}/{safe}"))]
}

pub(crate) async fn dev_index(State(state): State<WebState>) -> Shown {
    let set = state.store.rule_set(None).await?;
    let mut answer = whole(set.dev_hosts.iter().map(|host| dev_json(host)).collect());
    answer["ruleset"] = json!(set.version);
    Ok(answer)
}

pub(crate) async fn dev_one(State(state): State<WebState>, Path(host): Path<String>) -> Answer {
    let host = host.to_lowercase();
    let set = state.store.rule_set(None).await?;
    let found = set.dev_hosts.get(&host).ok_or_else(|| missing("development host", &host))?;
    Ok((etag(&dev_tag(found)), Json(dev_json(found))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DevBody {
    hostname: String,
}

pub(crate) async fn dev_create(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let DevBody { hostname } = body.into()?;
    let host = host_name(&hostname)?;
    change(&state, &who, RuleChange::AddDevHost(host.clone()), None, reason).await?;
    let (place, tag) = (place("dev-hosts", &host), etag(&dev_tag(&host)));
    Ok((StatusCode::CREATED, place, tag, Json(dev_json(&host))).into_response())
}

/// Another name in the place of this one.
pub(crate) async fn dev_rename(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(from): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let DevBody { hostname } = body.into()?;
    let (from, to) = (host_name(&from)?, host_name(&hostname)?);
    let rename = RuleChange::RenameDevHost { from, to: to.clone() };
    change(&state, &who, rename, expected, reason).await?;
    Ok((etag(&dev_tag(&to)), Json(dev_json(&to))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) async fn dev_delete(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let Nothing {} = body.into()?;
    change(&state, &who, RuleChange::RemoveDevHost(host.to_lowercase()), expected, reason).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn team_index(State(state): State<WebState>) -> Shown {
    let set = state.store.rule_set(None).await?;
    let mut answer = whole(set.teams.iter().map(|(host, team)| team_json(host, team)).collect());
    answer["ruleset"] = json!(set.version);
    Ok(answer)
}

pub(crate) async fn team_one(State(state): State<WebState>, Path(host): Path<String>) -> Answer {
    let host = host.to_lowercase();
    let set = state.store.rule_set(None).await?;
    let team = set.teams.get(&host).ok_or_else(|| missing("team of device", &host))?;
    Ok((etag(&team_tag(&host, team)), Json(team_json(&host, team))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TeamBody {
    #[serde(default)]
    hostname: Option<String>,
    #[serde(alias = "team")]
    team_assignment: String,
}

pub(crate) async fn team_create(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let TeamBody { hostname, team_assignment } = body.into()?;
    let host = host_name(hostname.as_deref().unwrap_or_default())?;
    let team_assignment = checked(&team_assignment, "team_assignment")?.to_owned();
    let team = team_assignment.clone();
    let json = team_json(&host, &team);
    let set = RuleChange::SetTeam { host: host.clone(), team, create: true };
    let tag = etag(&team_tag(&host, &team_assignment));
    change(&state, &who, set, None, reason).await?;
    Ok((StatusCode::CREATED, place("teams", &host), tag, Json(json)).into_response())
}

pub(crate) async fn team_update(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let TeamBody { hostname, team_assignment } = body.into()?;
    let host = host_name(&host)?;
    if hostname.is_some_and(|other| other.trim().to_lowercase() != host) {
        return Err(Problem::bad("the body's hostname is not the path's"));
    }
    let set = state.store.rule_set(None).await?;
    if !set.teams.contains_key(&host) {
        return Err(missing("team of device", &host));
    }
    let team = checked(&team_assignment, "team_assignment")?.to_owned();
    let (json, tag) = (team_json(&host, &team), etag(&team_tag(&host, &team)));
    let set = RuleChange::SetTeam { host, team, create: false };
    change(&state, &who, set, expected, reason).await?;
    Ok((tag, Json(json)).into_response())
}

pub(crate) async fn team_delete(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(host): Path<String>,
    if_match: IfMatch,
    mut body: JsonBody,
) -> Answer {
    let reason = body.take_reason()?;
    let expected = expected(if_match, &mut body)?;
    let Nothing {} = body.into()?;
    change(&state, &who, RuleChange::RemoveTeam(host.to_lowercase()), expected, reason).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
