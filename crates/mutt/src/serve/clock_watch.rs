//! Notices when the wall clock of this host is stepped, and says so once for each step.

use std::time::Duration;

use mutt_model::{Clock, codes};
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
    let (mut wall, mut monotonic) = (clock.wall_unclamped(), clock.monotonic());
    while !stop.is_cancelled() {
        rest(&stop, LOOK_PERIOD).await;
        let (now, passed) = (clock.wall_unclamped(), clock.monotonic());
        let expected = wall.plus(passed.saturating_sub(monotonic));
        (wall, monotonic) = (now, passed);
        let (back, forward) = (expected.since(now), now.since(expected));
        if back >= STEP_MIN {
            let seconds = back.as_secs();
            tracing::warn!(code = %codes::CLOCK_STEP, seconds, %now, "the clock of this host was set back; times of receipt stand still until it has caught up");
        } else if forward >= STEP_MIN {
            let seconds = forward.as_secs();
            tracing::warn!(code = %codes::CLOCK_STEP, seconds, %now, "the clock of this host was set forward");
        }
    }
    Ok(())
}
