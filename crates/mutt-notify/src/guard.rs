//! The guards of a sink: limiter, breaker and backoff, pure and with time passed in.
//!
//! `now` is monotonic time since a fixed start ([`mutt_model::Clock::monotonic`]). A refusal by a guard
//! counts nothing: no attempt, no age, no failure.

mod backoff;
mod breaker;
mod limiter;

use std::time::Duration;

pub use backoff::Backoff;
pub use breaker::{Admission, Breaker, BreakerState};
pub use limiter::Limiter;

/// Whether something may start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Ready,
    /// Not before this monotonic time.
    NotBefore(Duration),
}

/// A guard that cannot be made from these numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The rate is zero, negative, not a number, or more than a machine can mean.
    #[error("the rate must be above 0 and at most 1000000 per second")]
    Rate,
    /// The burst is zero.
    #[error("the burst must be at least 1")]
    Burst,
    /// The breaker would open without a failure, or probe without a pause.
    #[error("the breaker needs at least 1 failure and a probe interval above 0")]
    Breaker,
    /// The base is zero or above the cap.
    #[error("the backoff needs a base above 0 and a cap that is not below it")]
    Backoff,
    /// Nothing could ever start.
    #[error("at least 1 delivery must be allowed in flight")]
    InFlight,
}
