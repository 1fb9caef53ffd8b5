//! What a start waits for instead of ending: engines that are away, a store that nobody has set up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, codes};
use mutt_store::store::{Actor, RuleChange, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::health::HealthBoard;
use crate::services::Wait;
use crate::services::alerter::rest;

/// The engines are looked at this often.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// The store is tried this often until it is set up.
const SET_UP_PERIOD: Duration = Duration::from_secs(1);

/// Tells of engines that are away: once, then each minute, and when they are back; and of each service
/// that has become ready. What is not there at one look and is at the next is only starting.
///
/// # Errors
///
/// Never.
pub(super) async fn tell(
    board: Arc<HealthBoard>,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut waits: BTreeMap<&'static str, Wait> = BTreeMap::new();
    let (mut before, mut ready) = (BTreeSet::new(), BTreeMap::new());
    while !stop.is_cancelled() {
        let away = board.away();
        for lack in &away {
            if before.contains(lack.dependency)
                && waits.entry(lack.dependency).or_default().is_news(clock.monotonic())
            {
                tracing::warn!(code = lack.code, since = %lack.since, why = lack.why, "the {} is away; this process waits for it", lack.dependency);
            }
        }
        for (name, wait) in &mut waits {
            if !away.iter().any(|lack| lack.dependency == *name) && wait.over() {
                tracing::info!("the {name} answers again");
            }
        }
        before = away.iter().map(|lack| lack.dependency).collect();
        for (service, condition) in board.all() {
            let was = ready.insert(service, condition.ready).unwrap_or(false);
            if condition.ready && !was {
                tracing::info!(%service, "the service is ready");
            }
        }
        rest(&stop, LOOK_PERIOD).await;
    }
    Ok(())
}

/// Gives a new store its first rule set and makes the sinks known, as soon as the store answers.
///
/// # Errors
///
/// Never: what is refused is told and tried again.
pub(super) async fn set_up(
    store: Arc<dyn Store>,
    sinks: Vec<String>,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut wait = Wait::default();
    while !stop.is_cancelled() {
        match try_set_up(&store, &sinks, &clock).await {
            Ok(()) => return Ok(()),
            Err(error) if store.state().is_ready() && wait.is_news(clock.monotonic()) => {
                tracing::warn!(code = %codes::STORE_QUERY, %error, "the store is not set up yet; it is tried again");
            }
            Err(_) => {}
        }
        rest(&stop, SET_UP_PERIOD).await;
    }
    Ok(())
}

/// Once; also where an earlier start or another process did it.
///
/// # Errors
///
/// Those of the store.
pub(super) async fn try_set_up(
    store: &Arc<dyn Store>,
    sinks: &[String],
    clock: &Clock,
) -> Result<(), StoreError> {
    let actor = Actor { name: "muttctl".to_owned(), reason: Some("first rule set".to_owned()) };
    let first = RuleChange::First(mutt_rules::first_rule_set());
    store.change_rules(first, None, &actor, clock.wall()).await?;
    store.declare_sinks(sinks).await
}
