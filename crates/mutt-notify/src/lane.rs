//! The lane: what becomes of a delivery after an attempt, and which delivery may start now. Pure.

mod scheduler;

use std::time::Duration;

use mutt_model::Timestamp;
use mutt_model::delivery::{Attempt, DeadReason, Delivery, Next, Outcome};

pub use scheduler::{Changed, Ended, Hold, LaneConfig, LaneScheduler, Start};

use crate::guard::Backoff;

/// What becomes of a delivery after a real attempt. It expires only after a retryable failure, when
/// `retry_for` has passed since its first attempt; never by count, and never for a fault of the lane.
pub fn decide(
    delivery: &Delivery,
    attempt: &Attempt,
    now: Timestamp,
    retry_for: Duration,
    backoff: &mut Backoff,
) -> Next {
    match attempt.outcome {
        Outcome::Ok => Next::Delivered,
        Outcome::Poison => Next::Dead(DeadReason::Refused),
        Outcome::Hold => Next::HoldLane(hold_reason(attempt)),
        Outcome::Retry { after } => {
            let first = delivery.first_attempt_at.unwrap_or(attempt.at);
            if now.since(first) >= retry_for {
                return Next::Dead(DeadReason::Expired);
            }
            let wait = backoff.delay(delivery.attempts).max(after.unwrap_or_default());
            Next::RetryAt(now.plus(wait))
        }
    }
}

/// Why a lane is held, for people.
fn hold_reason(attempt: &Attempt) -> String {
    match attempt.status {
        Some(status) if attempt.detail.is_empty() => format!("{}: status {status}", attempt.class),
        Some(status) => format!("{}: status {status}: {}", attempt.class, attempt.detail),
        None => format!("{}: {}", attempt.class, attempt.detail),
    }
}

#[cfg(test)]
mod tests;
