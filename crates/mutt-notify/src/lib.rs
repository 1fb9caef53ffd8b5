//! Alerts to the outside: the sinks, the guards that protect them (limiter, breaker, backoff) and the
//! lane, the order in which one sink is served.
//!
//! What guards and lanes decide is pure: time comes in as `now`. Only the sinks do I/O.

pub mod guard;
pub mod http;
pub mod lane;
pub mod payload;
pub mod sink;

pub use guard::{Backoff, Breaker, BreakerState, GuardError, Limiter, Permit};
pub use lane::{Changed, Ended, Hold, LaneConfig, LaneScheduler, Start, decide};
pub use sink::{Auth, BuildError, Sink, SinkConfig, SinkKind, TestResult, build, test_delivery};
