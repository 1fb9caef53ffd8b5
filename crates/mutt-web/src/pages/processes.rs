//! The page of processes: what runs where, with which version of program, settings and rules.

use axum::extract::{Extension, State};
use minijinja::{Value, context};
use mutt_model::Timestamp;
use mutt_store::store::{PROCESS_REPORT_PERIOD, Process};

use super::{render, value};
use crate::problem::Answer;
use crate::state::{Principal, WebState};

/// A process that has missed so many reports is late.
const LATE_REPORTS: u32 = 3;

/// `gone`, `late` or `live`. Late is against the newest report of all, since all are by the store's clock.
fn state_of(process: &Process, newest: Timestamp) -> &'static str {
    match process.live {
        false => "gone",
        true if newest.since(process.reported_at) > PROCESS_REPORT_PERIOD * LATE_REPORTS => "late",
        true => "live",
    }
}

pub(crate) async fn index(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    let processes = state.store.processes().await?;
    let settings = state.store.settings_version().await?;
    let ruleset = state.store.rule_set_version().await?;
    let newest = processes.iter().map(|process| process.reported_at).max().unwrap_or_default();
    let row = |process: &Process| {
        let report = &process.report;
        context! {
            state => state_of(process, newest),
            names => report.services.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            other_program => report.program != state.version,
            settings_behind => report.settings.is_none_or(|version| version != settings),
            ruleset_behind => report.ruleset.is_some_and(|version| version != ruleset),
            lacks => report.dependencies.iter().filter(|(_, dependency)| !dependency.ready)
                .map(|(name, dependency)| context! { name, ..value(dependency) })
                .collect::<Vec<_>>(),
            ignored => report.settings_ignored.iter()
                .map(|(key, why)| context! { key, why }).collect::<Vec<_>>(),
            ..value(process)
        }
    };
    let rows: Vec<Value> = processes.iter().map(row).collect();
    let content = context! {
        page => "processes", rows, settings, ruleset,
        report_period => PROCESS_REPORT_PERIOD.as_secs(),
    };
    render(&state, Some(&who), "processes.html", content)
}
