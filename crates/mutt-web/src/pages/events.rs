//! Pages of events: live list, search, the life of one.

use axum::extract::{Extension, Path, State};
use base64::Engine as _;
use minijinja::{Value, context};

use super::{filled, next_link, render, value};
use crate::api::{events, missing};
use crate::params::{Params, path_id};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

/// Rows that the live page starts with.
const LIVE_FIRST: usize = 50;
/// Bytes of a raw frame that are shown as a dump.
const DUMP_MAX: usize = 4_096;

pub(crate) async fn live(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let names = ["host", "q", "severity_max", "handled"];
    let filtered = names.iter().any(|name| params.get(name).is_some());
    // The newest events of all; with a filter the list starts empty rather than with wrong ones.
    let query = mutt_store::store::EventQuery {
        host: params.owned("host"),
        q: params.owned("q"),
        handled: params.flag("handled")?,
        ..mutt_store::store::EventQuery::default()
    };
    let first = match params.get("severity_max") {
        Some(_) => Vec::new(),
        None => state.store.events(&query, LIVE_FIRST, None).await?.items,
    };
    let rows: Vec<Value> = first.iter().map(|row| value(row.to_json())).collect();
    let content = context! {
        page => "live", rows => rows, place => first.first().map(|row| row.seq), filtered => filtered, form => filled(&params, &names),
    };
    render(&state, Some(&who), "live.html", content)
}

pub(crate) async fn search(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    params: Params,
) -> Answer {
    let query = events::query(&params)?;
    let page = state.store.events(&query, params.limit()?, params.get("cursor")).await?;
    let rows: Vec<Value> = page.items.iter().map(|row| value(row.to_json())).collect();
    let names = ["host", "q", "severity", "rule", "handled", "alert", "since", "until", "parse"];
    let content = context! {
        page => "events", rows => rows, complete => page.complete,
        later => params.get("cursor").is_some(),
        next => next_link("/events", &params, page.next_cursor.as_deref()),
        form => filled(&params, &names),
    };
    render(&state, Some(&who), "events.html", content)
}

pub(crate) async fn one(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
) -> Answer {
    let life = events::life(&state, path_id(&id)?).await?.ok_or_else(|| missing("event", &id))?;
    let (event, lineage) = life;
    let raw = event["raw_base64"].as_str().unwrap_or_default();
    let raw = base64::prelude::BASE64_STANDARD.decode(raw).unwrap_or_default();
    let json = serde_json::to_string_pretty(&event).unwrap_or_default();
    let content = context! {
        page => "events",
        event => value(&event),
        lineage => value(&lineage),
        unavailable => lineage["explanation"]["unavailable"].as_str(),
        json => json.lines().map(Value::from).collect::<Vec<_>>(),
        dump => dump(&raw),
        raw_bytes => raw.len(),
        raw_cut => raw.len() > DUMP_MAX,
    };
    render(&state, Some(&who), "event.html", content)
}

/// Bytes as offset, hexadecimal digits and characters.
fn dump(raw: &[u8]) -> String {
    let mut out = String::new();
    for (at, line) in raw[..raw.len().min(DUMP_MAX)].chunks(16).enumerate() {
        let digits: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let text: String = line
            .iter()
            .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' })
            .collect();
        out.push_str(&format!("{:06x}  {:<47}  {text}\n", at * 16, digits.join(" ")));
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_dump_has_offset_digits_and_characters() {
        let text = super::dump(b"<13>link\x00down now!");
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("000000  3c 31 33 3e 6c") && first.ends_with("<13>link.down no"));
        assert_eq!(text.lines().count(), 2);
    }
}
