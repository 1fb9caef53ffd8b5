//! The overview: rates, queue, ledger, lanes, services, newest open alerts.

use std::time::Duration;

use axum::extract::{Extension, State};
use minijinja::{Value, context};
use mutt_model::alert::AlertState;
use mutt_store::store::AlertQuery;

use super::{lanes, render, value};
use crate::api::status::{objectives, oldest_age, waiting};
use crate::api::{alerts, shown};
use crate::chart;
use crate::problem::Answer;
use crate::state::{Principal, WebState};

/// Minutes in the chart.
const MINUTES: i64 = 60;
/// Open alerts shown.
const ALERTS_SHOWN: usize = 8;

pub(crate) async fn page(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    let now = state.clock.wall();
    let waiting = waiting(&state).await;
    let (ledger, queue) = (waiting.ledger(&state).await?, &waiting.queue);
    let since = now.minus(Duration::from_secs(3_600 + 60));
    let rates = state.store.rates(since).await?;
    let rates = chart::rates(&rates, now, MINUTES);
    let open = AlertQuery { state: Some(AlertState::Open), ..AlertQuery::default() };
    let open = state.store.alerts(&open, ALERTS_SHOWN + 1, None).await?;
    let more = open.items.len() > ALERTS_SHOWN;
    let newest: Vec<Value> = open
        .items
        .iter()
        .take(ALERTS_SHOWN)
        .map(|alert| value(alerts::alert_json(alert)))
        .collect();
    let dropped: u64 = ledger.events.dropped.values().sum();
    let content = context! {
        page => "overview",
        rates => rates,
        ledger => value(&ledger),
        dropped => dropped,
        objectives => value(objectives(&state, &ledger, queue)),
        pending => queue.pending_events,
        queue_bytes => queue.bytes,
        queue_age => oldest_age(&state, queue),
        set_aside => queue.set_aside.clone(),
        lanes => lanes::rows(&state).await?,
        no_sinks => state.program.sinks().is_empty(),
        alerts => newest,
        more_alerts => more,
        services => state.program.services().iter().map(|s| value(shown(s)))
            .collect::<Vec<_>>(),
    };
    render(&state, Some(&who), "overview.html", content)
}
