//! The supervisor: the only place that spawns. It starts stages, restarts one that fails, and shuts
//! down in flow order: listeners first, then what works, then what is durable is closed.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use mutt_model::{Clock, codes};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A stage that fails this often within [`FAILURE_WINDOW`] ends the process with exit code 1.
pub const FAILURES_MAX: usize = 5;
/// See [`FAILURES_MAX`].
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Pause before a failed stage is started again; doubles with each failure in the window.
pub const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// How a stage ends when it is not asked to.
pub type StageResult = Result<(), String>;
/// A stage's future.
pub type StageFuture = Pin<Box<dyn Future<Output = StageResult> + Send>>;

/// What tells stages to end, in the order of the flow.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Listeners: take nothing new, make durable what was read.
    pub accepting: CancellationToken,
    /// Everything behind the event queue: finish what is claimed.
    pub working: CancellationToken,
    /// The last: APIs and metrics.
    pub serving: CancellationToken,
}

/// To which part of the shutdown order a stage belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Ends first.
    Accepting,
    /// Ends when nothing is accepted any more.
    Working,
    /// Ends last.
    Serving,
}

/// Starts stages and ends them in order.
#[derive(Debug)]
pub struct Supervisor {
    stop: Stop,
    clock: Clock,
    accepting: JoinSet<()>,
    working: JoinSet<()>,
    serving: JoinSet<()>,
    failed: CancellationToken,
    restarts: Arc<AtomicU64>,
}

impl Supervisor {
    /// A supervisor without stages.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            stop: Stop::default(),
            clock,
            accepting: JoinSet::new(),
            working: JoinSet::new(),
            serving: JoinSet::new(),
            failed: CancellationToken::new(),
            restarts: Arc::default(),
        }
    }

    /// The tokens that stages watch.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Cancelled when a stage failed too often.
    #[must_use]
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// How many restarts there were, for the metric.
    #[must_use]
    pub fn restarts(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.restarts)
    }

    /// Starts a stage. `make` is called again after a failure or panic; it must look at the durable
    /// state, not at what the failed run had in hand.
    pub fn start<F>(&mut self, phase: Phase, name: impl Into<String>, make: F)
    where
        F: Fn() -> StageFuture + Send + 'static,
    {
        let name = name.into();
        let token = match phase {
            Phase::Accepting => self.stop.accepting.clone(),
            Phase::Working => self.stop.working.clone(),
            Phase::Serving => self.stop.serving.clone(),
        };
        let watch = watch(
            name,
            make,
            token,
            self.failed.clone(),
            self.clock.clone(),
            Arc::clone(&self.restarts),
        );
        match phase {
            Phase::Accepting => self.accepting.spawn(watch),
            Phase::Working => self.working.spawn(watch),
            Phase::Serving => self.serving.spawn(watch),
        };
    }

    /// Ends all stages in order. `false` when `timeout` passed before all had ended.
    pub async fn shut_down(mut self, timeout: Duration) -> bool {
        let all = async {
            self.stop.accepting.cancel();
            while self.accepting.join_next().await.is_some() {}
            self.stop.working.cancel();
            while self.working.join_next().await.is_some() {}
            self.stop.serving.cancel();
            while self.serving.join_next().await.is_some() {}
        };
        tokio::time::timeout(timeout, all).await.is_ok()
    }
}

/// Runs one stage until it is told to end or fails too often.
async fn watch<F>(
    name: String,
    make: F,
    stop: CancellationToken,
    failed: CancellationToken,
    clock: Clock,
    restarts: Arc<AtomicU64>,
) where
    F: Fn() -> StageFuture + Send + 'static,
{
    let mut failures: VecDeque<Duration> = VecDeque::new();
    loop {
        let why = match AssertUnwindSafe(make()).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(_)) if stop.is_cancelled() => return,
            Ok(Err(why)) => why,
            Err(panic) => panic_text(panic.as_ref()),
        };
        let now = clock.monotonic();
        failures.push_back(now);
        while failures.front().is_some_and(|first| now.saturating_sub(*first) > FAILURE_WINDOW) {
            failures.pop_front();
        }
        restarts.fetch_add(1, Ordering::Relaxed);
        tracing::error!(code = %codes::STAGE_RESTARTED, stage = name, why, "a stage failed");
        if failures.len() >= FAILURES_MAX {
            failed.cancel();
            return;
        }
        let pause = RESTART_PAUSE * 2u32.pow(u32::try_from(failures.len()).unwrap_or(1) - 1);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_panics_is_started_again_and_too_many_failures_end_the_process() {
        let mut supervisor = Supervisor::new(Clock::System);
        let runs = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&runs);
        supervisor.start(Phase::Working, "test", move || {
            let seen = Arc::clone(&seen);
            Box::pin(async move {
                assert!(seen.fetch_add(1, Ordering::SeqCst) > 100, "boom");
                Ok(())
            })
        });
        supervisor.failed().cancelled().await;
        assert_eq!(runs.load(Ordering::SeqCst), FAILURES_MAX);
        assert!(supervisor.shut_down(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn listeners_end_before_workers() {
        let mut supervisor = Supervisor::new(Clock::System);
        let stop = supervisor.stop();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        for (phase, name) in [(Phase::Working, "alerter"), (Phase::Accepting, "listener")] {
            let (stop, order) = (stop.clone(), Arc::clone(&order));
            supervisor.start(phase, name, move || {
                let (stop, order) = (stop.clone(), Arc::clone(&order));
                Box::pin(async move {
                    match phase {
                        Phase::Accepting => stop.accepting.cancelled().await,
                        _ => stop.working.cancelled().await,
                    }
                    order.lock().unwrap().push(name);
                    Ok(())
                })
            });
        }
        assert!(supervisor.shut_down(Duration::from_secs(1)).await);
        assert_eq!(*order.lock().unwrap(), ["listener", "alerter"]);
    }
}
