//! Notices when the wall clock of this host is stepped, and says so once for each step.

use std::time::Duration;

use mutt_model::{Clock, Timestamp, codes};
use tokio_util::sync::CancellationToken;

use crate::services::alerter::rest;
use crate::supervise::StageResult;

/// How often the clocks are compared.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// A difference between wall and monotonic time that slewing cannot make in one period.
const STEP_MIN: Duration = Duration::from_secs(2);

/// How far the wall clock lies behind the newest time that was given out; zero when it does not.
#[must_use]
pub fn behind(clock: &Clock) -> Duration {
    let behind = clock.wall().since(clock.wall_unclamped());
    if behind < STEP_MIN { Duration::ZERO } else { behind }
}

/// Compares the clocks until `stop`.
pub(super) async fn run(clock: Clock, stop: CancellationToken) -> StageResult {
    let mut last = (clock.wall_unclamped(), clock.monotonic());
    while !stop.is_cancelled() {
        rest(&stop, LOOK_PERIOD).await;
        let now = (clock.wall_unclamped(), clock.monotonic());
        let (back, forward) = stepped(last, now);
        last = now;
        if back >= STEP_MIN {
            let seconds = back.as_secs();
            tracing::warn!(code = %codes::CLOCK_STEP, seconds, now = %now.0, "the clock of this host was set back; times of receipt stand still until it has caught up");
        } else if forward >= STEP_MIN {
            let seconds = forward.as_secs();
            tracing::warn!(code = %codes::CLOCK_STEP, seconds, now = %now.0, "the clock of this host was set forward");
        }
    }
    Ok(())
}

/// How far the wall clock fell behind or ran ahead of the monotonic one between two looks.
fn stepped(last: (Timestamp, Duration), now: (Timestamp, Duration)) -> (Duration, Duration) {
    let expected = last.0.plus(now.1.saturating_sub(last.1));
    (expected.since(now.0), now.0.since(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_by_how_much() {
        let check = |wall: i64, back: u64, forward: u64| {
            let last = (Timestamp::from_secs(100), Duration::from_secs(10));
            let now = (Timestamp::from_secs(wall), Duration::from_secs(15));
            let expected = (Duration::from_secs(back), Duration::from_secs(forward));
            assert_eq!(stepped(last, now), expected);
        };
        check(105, 0, 0);
        check(7_305, 0, 7_200);
        check(45, 60, 0);
    }
}
