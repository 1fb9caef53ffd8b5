//! Waiting for a condition with a deadline. The one place of the system tests that reads a clock.

use std::time::{Duration, Instant};

/// How long a condition is waited for unless a test says otherwise. Long, because the machine may be
/// busy with other tests: it is met only by what is broken.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// Between two looks at something that cannot ring.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until there is something, and gives it.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match within(LONG, look) {
        Some(found) => found,
        None => panic!("waited {LONG:?} in vain: {what}"),
    }
}

/// Looks until there is something or the time is over.
#[expect(clippy::disallowed_methods, reason = "another process cannot ring: it is looked at again")]
pub(crate) fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if watch.elapsed() > time {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Lets time pass where time itself is what is tested: a slow receiver, load of a certain length.
#[expect(clippy::disallowed_methods, reason = "a slow peer is played, nothing is waited for")]
pub(crate) fn dawdle(time: Duration) {
    std::thread::sleep(time);
}

/// Time since a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "deadlines and figures of tests")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A variable of the environment that steers a test.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are steered by the environment, not by configuration"
)]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
