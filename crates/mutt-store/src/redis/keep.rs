//! What is done from time to time: counters are fetched, drops are told, the server is checked again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::link::{LinkError, said};
use super::queue::{Shared, stopped};
use super::script;
use crate::state::EngineState;

/// How old counters are at most that other processes changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Every so many looks the server is checked again: somebody may have changed its settings.
const CHECK_EVERY: u32 = 10;
/// Tokens by which counters that were told twice are recognised.
const TOKENS: u64 = 256;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut looks = 0u32;
    let mut told = None;
    loop {
        let work = async {
            shared.look_at_all().await;
            if looks % CHECK_EVERY == CHECK_EVERY - 1 {
                shared.check_again().await;
            }
            let _ = shared.tell_drops().await;
        };
        tokio::select! {
            () = work => {}
            () = stopped(&mut stop) => return,
        }
        looks = looks.wrapping_add(1);
        say(&shared.engine(), &mut told);
        let rest = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => break,
                () = shared.dropped.notified() => { let _ = shared.tell_drops().await; }
                () = stopped(&mut stop) => return,
            }
        }
    }
}

/// Logs when the queue goes away and when it is there again, not each time it is met.
fn say(now: &EngineState, told: &mut Option<EngineState>) {
    let same = match (&now, &told) {
        (EngineState::Ready, Some(EngineState::Ready)) => true,
        (EngineState::Away { code, .. }, Some(EngineState::Away { code: before, .. })) => {
            code == before
        }
        _ => false,
    };
    if same {
        return;
    }
    match now {
        EngineState::Ready => tracing::info!("the event queue on Redis is there"),
        EngineState::Away { since, code, why } => {
            tracing::warn!(code = %code, %since, %why, "the event queue on Redis is away");
        }
    }
    *told = Some(now.clone());
}

impl Shared {
    /// Fetches the counters of every shard that answers.
    pub(super) async fn look_at_all(&self) {
        let all = (0..self.options.shards.max(1)).map(|shard| self.look(shard, 0, 0));
        futures_util::future::join_all(all).await;
    }

    /// Checks each server that is connected as at the start; a link that is refused is left, and the
    /// next attempt says why.
    async fn check_again(&self) {
        for shard in 0..self.options.shards.max(1) {
            let Ok(link) = self.links.writer(shard).await else { continue };
            if let Err(LinkError::Refused { why, .. }) = self.checks.look(&link).await {
                link.retire(&why);
            }
        }
    }

    /// Adds what was dropped since, and what spills never handed on, to the counters that Redis keeps,
    /// once each.
    pub(super) async fn tell_drops(&self) -> Result<(), LinkError> {
        for source in [false, true] {
            let mut cmd = script::call_drops(source, &self.keys[0]);
            let token = {
                let mut state = self.state();
                let (token, known, new) = state.drops.send();
                cmd.arg(format!("{token:016x}")).arg(TOKENS);
                for pairs in [&known, &new] {
                    cmd.arg(pairs.len());
                    for (reason, events) in pairs {
                        cmd.arg(reason).arg(events);
                    }
                }
                for (field, reason, total) in state.drops.of_spills() {
                    cmd.arg(field).arg(reason).arg(total);
                }
                token
            };
            let mut pipeline = ::redis::Pipeline::with_capacity(1);
            pipeline.add_command(cmd);
            let values = self.links.writer(0).await?.run(&pipeline, self.options.timeout).await?;
            match values.into_iter().next() {
                Some(Value::ServerError(error)) if error.code() == "NOSCRIPT" => {}
                Some(Value::ServerError(error)) => return Err(LinkError::Server(said(&error))),
                Some(Value::Array(pairs)) => {
                    self.state().drops.told(token, counters(&pairs));
                    return Ok(());
                }
                _ => return Err(LinkError::Server("an answer that was not understood".into())),
            }
        }
        Err(LinkError::Server("NOSCRIPT".into()))
    }
}

fn counters(pairs: &[Value]) -> BTreeMap<String, u64> {
    let pair = |pair: &[Value]| {
        let [reason, events] = pair else { return None };
        Some((script::words(reason)?, script::number(events)?))
    };
    pairs.chunks(2).filter_map(pair).collect()
}
