//! The watchdog of systemd: told that the program lives, as long as its workers do their rounds. The
//! heart beats on a worker of the runtime and is watched from outside of them, so that a runtime whose
//! workers are all stuck falls silent and is restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::services::alerter::rest;
use crate::supervise::{Phase, Supervisor};

/// Beats in one period that systemd allows.
const BEATS: u32 = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Watchdog {
    period: Option<Duration>,
    heart: Arc<AtomicU64>,
    seen: u64,
}

impl Watchdog {
    /// Starts the heart where systemd asked for it (`WatchdogSec` in the unit).
    pub(super) fn start(supervisor: &mut Supervisor) -> Self {
        Self::every(sd_notify::watchdog_enabled().map(|allowed| allowed / BEATS), supervisor)
    }

    fn every(period: Option<Duration>, supervisor: &mut Supervisor) -> Self {
        let heart: Arc<AtomicU64> = Arc::default();
        if let Some(period) = period {
            let (heart, stop) = (Arc::clone(&heart), supervisor.stop().serving);
            supervisor.start(Phase::Serving, "heart", move || {
                let (heart, stop) = (Arc::clone(&heart), stop.clone());
                Box::pin(async move {
                    while !stop.is_cancelled() {
                        heart.fetch_add(1, Ordering::Relaxed);
                        rest(&stop, period / 2).await;
                    }
                    Ok(())
                })
            });
        }
        Self { period, heart, seen: 0 }
    }

    /// Waits for the next look and tells systemd when the heart has beaten since the last one.
    pub(super) async fn beat(&mut self) {
        if self.look().await {
            super::notify_systemd(&[sd_notify::NotifyState::Watchdog]);
        }
    }

    async fn look(&mut self) -> bool {
        let Some(period) = self.period else { return std::future::pending().await };
        tokio::time::sleep(period).await;
        let beats = self.heart.load(Ordering::Relaxed);
        std::mem::replace(&mut self.seen, beats) != beats
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::Clock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_heart_that_stands_still_is_not_told_as_alive() {
        let mut supervisor = Supervisor::new(Clock::System);
        let mut watchdog = Watchdog::every(Some(Duration::from_secs(1)), &mut supervisor);
        for _ in 0..3 {
            assert!(watchdog.look().await);
        }
        supervisor.stop().serving.cancel();
        // The beat that was under way when it stopped may still be counted.
        watchdog.look().await;
        assert!(!watchdog.look().await && !watchdog.look().await);
        assert!(supervisor.shut_down(Duration::from_secs(1)).await);
    }
}
