//! Users of SNMPv3 that go on as before: their messages are only counted, and told once a minute, so that
//! a flood of good traps costs the registry a lock and a hash for each.

use std::net::IpAddr;
use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::source::UsmState;

use super::UsmNote;
use super::hash::ByHash;

/// Users (address, engine, name) that are remembered; others are told with each message.
pub(super) const USERS_MAX: usize = 8_192;
/// What did not change is told this often.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// One user as it was told last.
#[derive(Debug)]
struct User {
    peer: IpAddr,
    state: UsmState,
    /// Its next message is told at once.
    changed: bool,
    /// `None`: it is due.
    told_at: Option<Duration>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steady(ByHash<User>);

impl Steady {
    /// Counts a message that was taken. `false` when there is something to tell: a new user, another
    /// level or boots, or one that was refused before; [`Steady::remember`] makes it known.
    pub(super) fn goes_on(&mut self, hash: u64, at: Timestamp, note: &UsmNote<'_>) -> bool {
        let Some(user) = self.0.get_mut(&hash) else { return false };
        if user.changed || user.state.boots != note.boots || user.state.level != note.level {
            return false;
        }
        user.state.time = note.time;
        user.state.at = at;
        user.state.taken += 1;
        true
    }

    /// This was told now.
    pub(super) fn remember(&mut self, hash: u64, peer: IpAddr, state: &UsmState, now: Duration) {
        if self.0.len() >= USERS_MAX && !self.0.contains_key(&hash) {
            self.0.retain(|_, user| user.state.taken > 0);
            if self.0.len() >= USERS_MAX {
                return;
            }
        }
        let user = User {
            peer,
            state: UsmState { taken: 0, ..state.clone() },
            changed: false,
            told_at: Some(now),
        };
        if let Some(before) = self.0.insert(hash, user)
            && let Some(user) = self.0.get_mut(&hash)
        {
            // What was counted before it changed is told with what follows.
            user.state.taken = before.state.taken;
        }
    }

    /// A message of it was refused.
    pub(super) fn changed(&mut self, hash: u64) {
        if let Some(user) = self.0.get_mut(&hash) {
            user.changed = true;
        }
    }

    /// All are due.
    pub(super) fn all_due(&mut self) {
        self.0.values_mut().for_each(|user| user.told_at = None);
    }

    /// Those with something to tell that were not told of for long.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(IpAddr, UsmState)> {
        let is_due = |user: &&mut User| {
            user.state.taken > 0
                && user.told_at.is_none_or(|told| now.saturating_sub(told) >= PERIOD)
        };
        let due = self.0.values_mut().filter(is_due).map(|user| {
            user.told_at = Some(now);
            let told = user.state.clone();
            user.state.taken = 0;
            (user.peer, told)
        });
        due.collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
