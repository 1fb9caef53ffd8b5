//! The Moog Forwarder: serves each sink's lane. It owns a sink by a lease, so that limiter, breaker
//! and order per key are local and true; what it decides is in mutt-notify, what it records in the
//! store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mutt_model::delivery::{Attempt, DeadReason, Delivery, Finished, HeldBy, Next, Outcome};
use mutt_model::metrics as names;
use mutt_model::{Clock, Id, LiveSecrets, Secret, codes, failpoint};
use mutt_notify::{BreakerState, LaneConfig, LaneScheduler, Sink, Start};
use mutt_store::store::{LaneReport, SinkLease, Store, StoreError, Take};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::alerter::rest;
use crate::health::HealthBoard;
use crate::services::{Service, Wait};
use crate::telemetry::metrics::{Counters, Gauges, Histograms, ServiceMetrics};

/// A sink's lease by the store's clock.
pub const SINK_LEASE: Duration = Duration::from_secs(15);
/// The lease is renewed and the lane looked at this often.
pub const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Deliveries are looked for this often when nothing rings.
pub const POLL_PERIOD: Duration = Duration::from_secs(1);
/// A lease that is renewed for this long is given back.
const GIVEN_BACK: Duration = Duration::from_millis(1);
/// Pause when the store fails or a sink's secret is missing.
pub const TROUBLE_PAUSE: Duration = Duration::from_secs(2);

/// Makes the sink anew: its secrets are resolved at that moment.
pub type MakeSink = Arc<dyn Fn() -> Result<Arc<dyn Sink>, String> + Send + Sync>;

/// One sink's lane.
pub struct Lane {
    /// The sink's name.
    pub name: String,
    /// See [`MakeSink`].
    pub make: MakeSink,
    /// The credential that `make` puts in, as it changes; empty for a sink without one.
    pub credential: LiveSecrets,
    /// Limits, as they change.
    pub config: watch::Receiver<LaneConfig>,
    /// Deliveries come from here.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Clock,
    /// This process, as leases show it.
    pub owner: String,
    /// Where its own state is told.
    pub board: Arc<HealthBoard>,
    /// What is counted.
    pub metrics: Arc<ForwarderMetrics>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({})", self.name)
    }
}

/// The Forwarder's metrics.
#[derive(Debug)]
pub struct ForwarderMetrics {
    requests: Counters,
    latency: Histograms,
    limited: Counters,
    processed: Counters,
    breaker_state: Gauges,
    breaker_failures: Gauges,
    breaker_changes: Counters,
    held: Gauges,
}

impl ForwarderMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            requests: metrics.counters(&names::MOOG_REQUESTS),
            latency: metrics.histograms(&names::MOOG_LATENCY),
            limited: metrics.counters(&names::MOOG_LIMITED),
            processed: metrics.counters(&names::MOOG_PROCESSED),
            breaker_state: metrics.gauges(&names::BREAKER_STATE),
            breaker_failures: metrics.gauges(&names::BREAKER_FAILURES),
            breaker_changes: metrics.counters(&names::BREAKER_CHANGES),
            held: metrics.gauges(&names::LANE_HELD),
        }
    }
}

type Flight = BoxFuture<'static, (Id, Attempt)>;

/// What one run of a lane holds in hand; all of it may be lost and redone.
struct Run<'a> {
    lane: &'a Lane,
    sink: Arc<dyn Sink>,
    /// The credential that the sink was made with.
    made_with: Arc<[Secret]>,
    lease: SinkLease,
    scheduler: LaneScheduler,
    limits: watch::Receiver<LaneConfig>,
    flights: FuturesUnordered<Flight>,
    /// Attempts that ended and are not yet recorded.
    ended: Vec<(Id, Attempt)>,
    looked_at: Duration,
    failures: u32,
    /// The open breaker was told: a probe that fails is no news.
    open_told: bool,
    /// The breaker's state when it was last told.
    breaker_was: BreakerState,
    limited: Counter,
    /// The last turn filled its room: look again at once.
    more_waits: bool,
    /// Deliveries in state held when the lane was last looked at: something to probe with.
    held_waiting: u64,
    /// Rung when deliveries wait that were not there.
    bell: watch::Receiver<u64>,
}

impl Lane {
    /// Serves the lane until `stop`; attempts on their way are finished and recorded.
    ///
    /// # Errors
    ///
    /// When the lane's numbers mean nothing.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), String> {
        let (mut unmade, mut away) = (Wait::default(), Wait::default());
        while !stop.is_cancelled() {
            let made_with = self.credential.get();
            let sink = match (self.make)() {
                Ok(sink) => sink,
                Err(why) => {
                    self.board.set(Service::MoogForwarder, false, "a sink cannot be served");
                    if unmade.is_news(self.clock.monotonic()) {
                        tracing::error!(code = %codes::SINK_SECRET, sink = self.name, why, "the sink cannot be served");
                    }
                    rest(&stop, TROUBLE_PAUSE).await;
                    continue;
                }
            };
            let lease = match self.store.lease_sink(&self.name, &self.owner, SINK_LEASE, true).await
            {
                Ok(Some(lease)) => lease,
                Ok(None) => {
                    self.board.set(Service::MoogForwarder, true, "stands by");
                    rest(&stop, TROUBLE_PAUSE).await;
                    continue;
                }
                Err(_) => {
                    rest(&stop, TROUBLE_PAUSE).await;
                    continue;
                }
            };
            let mut limits = self.config.clone();
            let first = limits.borrow_and_update().clone();
            let scheduler = LaneScheduler::new(first, fastrand::u64(..))
                .map_err(|error| format!("sink {}: {error}", self.name))?;
            let labels = vec![("sink", self.name.clone())];
            let mut run = Run {
                lane: self,
                sink,
                made_with,
                lease,
                scheduler,
                limits,
                flights: FuturesUnordered::new(),
                ended: Vec::new(),
                looked_at: Duration::ZERO,
                failures: 0,
                open_told: false,
                breaker_was: BreakerState::Closed,
                limited: self.metrics.limited.get_or_create(&labels).clone(),
                more_waits: false,
                held_waiting: 0,
                bell: self.store.signals().deliveries.listen(),
            };
            self.board.set(Service::MoogForwarder, true, "running");
            unmade.over();
            match run.serve(&stop).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if !matches!(error, StoreError::LeaseLost) {
                        self.board.set(Service::MoogForwarder, false, "the store does not answer");
                    }
                    if away.is_news(self.clock.monotonic()) {
                        tracing::warn!(code = %codes::STORE_QUERY, sink = self.name, %error, "the lane starts anew");
                    }
                    rest(&stop, TROUBLE_PAUSE).await;
                }
            }
        }
        Ok(())
    }
}

impl Run<'_> {
    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            // Before looking, so that a ring in between is not missed.
            self.bell.mark_unchanged();
            self.follow_limits();
            self.look().await?;
            self.turn(true).await?;
            let wait = self.take_off();
            if !self.ended.is_empty() {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => {
                    self.ended.push(landed);
                }
                _ = self.bell.changed() => {}
                Ok(()) = self.limits.changed() => self.limits.mark_changed(),
                () = tokio::time::sleep(wait) => {}
            }
        }
        let back: Vec<Id> = self.scheduler.withdraw().iter().map(|d| d.id).collect();
        if !back.is_empty() {
            self.lane.store.give_back(&self.lease, &back).await?;
        }
        while !self.flights.is_empty() {
            tokio::select! {
                Some(landed) = self.flights.next() => self.ended.push(landed),
                () = tokio::time::sleep(LOOK_PERIOD) => {}
            }
            // An attempt may take longer than the lease: who stands by must not send what comes after it.
            self.look().await?;
            self.turn(false).await?;
        }
        self.turn(false).await?;
        // Whoever stands by has the sink at once.
        let lane = self.lane;
        let _ = lane.store.lease_sink(&lane.name, &lane.owner, GIVEN_BACK, false).await;
        Ok(())
    }

    /// Waits for the store while attempts go on.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => {
                    self.ended.push(landed);
                }
            }
        }
    }

    /// Renews the lease and follows what operators did to the lane.
    async fn look(&mut self) -> Result<(), StoreError> {
        let now = self.lane.clock.monotonic();
        if self.looked_at != Duration::ZERO && now.saturating_sub(self.looked_at) < LOOK_PERIOD {
            return Ok(());
        }
        self.looked_at = now;
        self.follow_credential();
        let lane = self.lane;
        let (store, name) = (&lane.store, &lane.name);
        let renewed = store.lease_sink(name, &lane.owner, SINK_LEASE, false);
        match self.meanwhile(renewed).await? {
            Some(lease) if lease.generation == self.lease.generation => {}
            _ => return Err(StoreError::LeaseLost),
        }
        let lanes = self.meanwhile(store.lanes()).await?;
        let Some(lane) = lanes.into_iter().find(|lane| lane.sink == *name) else { return Ok(()) };
        self.held_waiting = lane.held;
        let here = self.scheduler.held().map(|hold| hold.by);
        match (lane.held_by, here) {
            (Some(by), here) if here != Some(by) => {
                // A hold by hand stands above one by a fault: what the store says now replaces it.
                self.scheduler.release();
                self.scheduler.hold(by, lane.held_reason.unwrap_or_default(), now);
                let back: Vec<Id> = self.scheduler.withdraw().iter().map(|d| d.id).collect();
                if !back.is_empty() {
                    store.give_back(&self.lease, &back).await?;
                }
            }
            (None, Some(_)) => {
                // What was mended may be a credential: resolve it again.
                if let Ok(sink) = (self.lane.make)() {
                    self.sink = sink;
                }
                self.scheduler.release();
            }
            _ => {}
        }
        let labels = vec![("sink", name.clone())];
        self.lane.metrics.held.get_or_create(&labels).set(if lane.held_by.is_some() {
            1.0
        } else {
            0.0
        });
        self.show_breaker();
        Ok(())
    }

    /// Takes over limits that were changed; tokens, breaker and hold stay.
    fn follow_limits(&mut self) {
        if !self.limits.has_changed().unwrap_or(false) {
            return;
        }
        let limits = self.limits.borrow_and_update().clone();
        match self.scheduler.set_config(limits, self.lane.clock.monotonic()) {
            Ok(()) => tracing::info!(sink = self.lane.name, "the lane has new limits"),
            Err(error) => {
                tracing::error!(code = %codes::CONFIG_OVERRIDE, sink = self.lane.name, %error, "the lane keeps its limits");
            }
        }
    }

    /// Makes the sink anew when its credential has changed. Attempts on their way end with the old one;
    /// a lane that a fault holds tries the new one at once.
    fn follow_credential(&mut self) {
        let now = self.lane.credential.get();
        if *now == *self.made_with {
            return;
        }
        match (self.lane.make)() {
            Ok(sink) => {
                self.sink = sink;
                self.made_with = now;
                self.scheduler.probe_soon();
                tracing::info!(sink = self.lane.name, "the sink is served with its new credential");
            }
            Err(why) => {
                tracing::error!(code = %codes::SINK_SECRET, sink = self.lane.name, why, "the new credential cannot be used; the old one stays");
                self.made_with = now;
            }
        }
    }

    /// Records what ended and leases deliveries as far as the lane has room for them (`takes`), in one
    /// transaction. What comes up meanwhile is for the next one.
    async fn turn(&mut self, takes: bool) -> Result<(), StoreError> {
        self.more_waits = false;
        let finished = self.landed();
        let take = if takes { self.room().await? } else { Take::default() };
        if finished.is_empty() && take.limit == 0 {
            return Ok(());
        }
        let records = !finished.is_empty();
        let report = LaneReport { breaker: self.scheduler.breaker().name().to_owned() };
        let (lane, lease) = (self.lane, self.lease.clone());
        let turn = lane.store.turn(&lease, finished, report, take, lane.clock.wall());
        let due = self.meanwhile(turn).await?;
        if records {
            failpoint::hit("forwarder.after_record");
        }
        self.more_waits = take.limit > 0 && due.len() == take.limit;
        let back: Vec<Id> =
            due.into_iter().filter_map(|d| self.scheduler.offer(d)).map(|d| d.id).collect();
        if !back.is_empty() {
            lane.store.give_back(&lease, &back).await?;
        }
        Ok(())
    }

    /// What the lane can use now.
    async fn room(&mut self) -> Result<Take, StoreError> {
        let now = self.lane.clock.monotonic();
        let limit = self.scheduler.room(now);
        if limit > 0 && self.scheduler.held().is_some_and(|hold| hold.by == HeldBy::Fault) {
            if self.held_waiting == 0 {
                return Ok(Take::default());
            }
            // A credential may have been mended: resolve it again before the probe.
            if let Ok(sink) = (self.lane.make)() {
                self.sink = sink;
            }
            self.lane.store.ask_probe(&self.lane.name).await?;
        }
        Ok(Take { limit, coalesce: self.scheduler.limited(now) })
    }

    /// Starts what may start; says how long to wait when nothing happens.
    fn take_off(&mut self) -> Duration {
        loop {
            let now = self.lane.clock.monotonic();
            match self.scheduler.start(now) {
                Start::Send(delivery) => self.send(delivery),
                Start::WaitUntil(at) => {
                    // Otherwise a pause, the breaker or a hold makes it wait.
                    if self.scheduler.held().is_none()
                        && self.scheduler.breaker() == BreakerState::Closed
                    {
                        self.limited.inc();
                    }
                    return at.saturating_sub(now).min(LOOK_PERIOD).max(Duration::from_millis(1));
                }
                Start::Idle if self.more_waits && self.scheduler.room(now) > 0 => {
                    return Duration::from_millis(1);
                }
                Start::Idle => {
                    let wake = self.scheduler.wake_at(now).map(|at| at.saturating_sub(now));
                    let wait = wake.unwrap_or(POLL_PERIOD).min(POLL_PERIOD);
                    return wait.max(Duration::from_millis(1));
                }
            }
        }
    }

    fn send(&self, delivery: Delivery) {
        failpoint::hit("forwarder.before_attempt");
        let sink = Arc::clone(&self.sink);
        self.flights.push(Box::pin(async move {
            let attempt = sink.send(&delivery).await;
            tracing::debug!(sink = delivery.sink, delivery = %delivery.id, key = delivery.key, correlation_id = delivery.notice.alert.correlation_id, outcome = attempt.outcome.name(), status = attempt.status, "attempt");
            (delivery.id, attempt)
        }));
    }

    /// Takes note of the attempts that ended; what is to be recorded of them.
    fn landed(&mut self) -> Vec<Finished> {
        while let Some(Some(more)) = futures_util::FutureExt::now_or_never(self.flights.next()) {
            self.ended.push(more);
        }
        if !self.ended.is_empty() {
            failpoint::hit("forwarder.after_attempt");
        }
        let (wall, now) = (self.lane.clock.wall(), self.lane.clock.monotonic());
        let mut finished = Vec::with_capacity(self.ended.len());
        for (id, attempt) in std::mem::take(&mut self.ended) {
            let Some(end) = self.scheduler.finish(id, attempt, wall, now) else { continue };
            self.count(&end.finished);
            if let Some(reason) = &end.changed.held {
                tracing::error!(code = %codes::LANE_HELD, sink = self.lane.name, reason, "the lane is held, nothing is lost: mend what the reason names; it is probed with a real delivery");
            }
            if end.changed.released {
                tracing::info!(
                    sink = self.lane.name,
                    "the sink takes deliveries again; the lane runs"
                );
            }
            if let Some(state) = end.changed.breaker {
                self.breaker_changed(state);
            }
            finished.push(end.finished);
        }
        finished
    }

    fn count(&mut self, finished: &Finished) {
        let (attempt, sink) = (&finished.attempt, &self.lane.name);
        let metrics = &self.lane.metrics;
        let ok = attempt.outcome == Outcome::Ok;
        self.failures = if ok { 0 } else { self.failures + 1 };
        let labels = vec![
            ("sink", sink.clone()),
            ("status", if ok { "success" } else { "fail" }.to_owned()),
            ("reason", if ok { String::new() } else { attempt.class.clone() }),
        ];
        metrics.requests.get_or_create(&labels).inc();
        let latency = Duration::from_millis(attempt.latency_ms).as_secs_f64();
        metrics.latency.get_or_create(&vec![("sink", sink.clone())]).observe(latency);
        let status = match &finished.next {
            Next::Delivered => "success",
            Next::Dead(_) => "dlq",
            Next::RetryAt(_) | Next::HoldLane(_) => "error",
        };
        metrics.processed.get_or_create(&vec![("status", status.to_owned())]).inc();
        match &finished.next {
            Next::Dead(reason) => {
                let code = match reason {
                    DeadReason::Refused => codes::DELIVERY_REFUSED,
                    DeadReason::Expired => codes::DELIVERY_EXPIRED,
                };
                tracing::error!(%code, sink, delivery = %finished.delivery, status = attempt.status, detail = attempt.detail, "a delivery is dead");
            }
            Next::RetryAt(at) => {
                tracing::warn!(code = %codes::SINK_RETRY, sink, delivery = %finished.delivery, status = attempt.status, class = attempt.class, detail = attempt.detail, next = %at, "a delivery will be tried again");
            }
            Next::Delivered | Next::HoldLane(_) => {}
        }
    }

    fn breaker_changed(&mut self, state: BreakerState) {
        let name = self.lane.name.clone();
        let from = std::mem::replace(&mut self.breaker_was, state);
        let labels = vec![
            ("name", name.clone()),
            ("from_state", from.name().to_owned()),
            ("to_state", state.name().to_owned()),
        ];
        self.lane.metrics.breaker_changes.get_or_create(&labels).inc();
        match state {
            BreakerState::Open if !self.open_told => {
                self.open_told = true;
                tracing::error!(code = %codes::BREAKER_OPEN, sink = name, "the sink does not answer: its breaker is open, deliveries wait and do not age; it is probed with a real delivery");
            }
            BreakerState::Closed => {
                self.open_told = false;
                tracing::info!(sink = name, "the sink answers again: its breaker is closed");
            }
            BreakerState::Open | BreakerState::HalfOpen => {}
        }
        self.show_breaker();
    }

    fn show_breaker(&self) {
        let labels = vec![("name", self.lane.name.clone())];
        let value = match self.scheduler.breaker() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        self.lane.metrics.breaker_state.get_or_create(&labels).set(value);
        self.lane.metrics.breaker_failures.get_or_create(&labels).set(f64::from(self.failures));
    }
}
