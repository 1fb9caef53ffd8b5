//! What MUTT says of itself: logs and metrics.

pub mod logs;
pub mod metrics;
