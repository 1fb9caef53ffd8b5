//! The share of one Alerter: how many shards it may hold, so that they spread over all Alerters that
//! live. It converges: who holds more than its share hands over at the end of a round, who holds less
//! takes what is free at once, and what nobody takes is taken by anybody after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mutt_model::Clock;
use mutt_store::store::{PROCESS_REPORT_PERIOD, PROCESS_TTL, Store};
use tokio_util::sync::CancellationToken;

use super::rest;
use crate::services::Service;

/// A shard beyond the share is asked for this often only: whoever lacks one comes first.
pub const BEYOND_PAUSE: Duration = Duration::from_secs(3);
/// A shard that was taken beyond the share is kept this long: its owner died, and the share is right
/// again when its report has ended.
pub const BEYOND_KEPT: Duration = Duration::from_secs(PROCESS_TTL.as_secs() + 5);

/// See the module.
#[derive(Debug)]
pub struct Share {
    shards: u16,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Shards that may be held.
    target: usize,
    /// Shards that are held; those beyond the share with the moment until which they are kept.
    held: BTreeMap<u16, Option<Duration>>,
}

impl Share {
    /// The only Alerter, until others are known.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        let state = State { target: usize::from(shards), held: BTreeMap::new() };
        Self { shards, state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many Alerters live, this one included.
    pub fn divide(&self, alerters: usize) {
        self.state().target = usize::from(self.shards).div_ceil(alerters.max(1));
    }

    /// How long to wait before a shard that is not held is asked for.
    #[must_use]
    pub fn pause_before(&self, shard: u16) -> Duration {
        let state = self.state();
        let room = state.held.contains_key(&shard) || state.held.len() < state.target;
        if room { Duration::ZERO } else { BEYOND_PAUSE }
    }

    /// The shard is held now.
    pub fn took(&self, shard: u16, now: Duration) {
        let mut state = self.state();
        let beyond = (state.held.len() >= state.target).then(|| now + BEYOND_KEPT);
        state.held.entry(shard).or_insert(beyond);
    }

    /// The shard is held no longer.
    pub fn lost(&self, shard: u16) {
        self.state().held.remove(&shard);
    }

    /// Whether this shard is to be handed over: it is the highest of those that need not be kept, and
    /// these are more than the share.
    #[must_use]
    pub fn is_surplus(&self, shard: u16, now: Duration) -> bool {
        let state = self.state();
        let free = |(_, kept): &(&u16, &Option<Duration>)| kept.is_none_or(|until| now >= until);
        let mut free = state.held.iter().rev().filter(free);
        let highest = free.next().is_some_and(|(highest, _)| *highest == shard);
        highest && 1 + free.count() > state.target
    }

    /// Shards that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state().held.len()
    }

    /// Follows the reports of processes until `stop`.
    ///
    /// # Errors
    ///
    /// Never: while the store does not answer, the share stays.
    pub async fn follow(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<(), String> {
        let name = Service::Alerter.name();
        let mut told = 0;
        while !stop.is_cancelled() {
            if let Ok(processes) = store.processes().await {
                let alerters = processes
                    .iter()
                    .filter(|process| process.live && process.report.services.contains(name))
                    .count();
                self.divide(alerters);
                if alerters != told && self.shards > 1 {
                    told = alerters;
                    let share = self.state().target;
                    tracing::info!(alerters, share, at = %clock.wall(), "the shards are shared");
                }
            }
            rest(&stop, PROCESS_REPORT_PERIOD).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(100);

    fn hold(share: &Share, shards: std::ops::Range<u16>) {
        shards.for_each(|shard| share.took(shard, AT));
    }

    #[test]
    fn who_holds_more_than_its_share_hands_over_the_highest_first() {
        let share = Share::new(8);
        hold(&share, 0..8);
        assert!((0..8).all(|shard| !share.is_surplus(shard, AT)));
        share.divide(3);
        let mut given = Vec::new();
        while let Some(shard) = (0..8).find(|shard| share.is_surplus(*shard, AT)) {
            share.lost(shard);
            given.push(shard);
        }
        assert_eq!((given, share.held()), (vec![7, 6, 5, 4, 3], 3));
        assert_eq!(share.pause_before(5), BEYOND_PAUSE);
        assert_eq!(share.pause_before(0), Duration::ZERO);
    }

    #[test]
    fn what_a_dead_alerter_held_is_taken_and_kept_until_the_share_is_right() {
        let share = Share::new(8);
        share.divide(3);
        hold(&share, 0..3);
        share.took(7, AT);
        assert!((0..8).all(|shard| !share.is_surplus(shard, AT)));
        assert!(share.is_surplus(7, AT + BEYOND_KEPT));
        let share = Share::new(8);
        share.divide(8);
        hold(&share, 0..1);
        share.took(7, AT);
        share.lost(0);
        share.divide(2);
        hold(&share, 0..3);
        assert!((0..8).all(|shard| !share.is_surplus(shard, AT + BEYOND_KEPT)));
    }
}
