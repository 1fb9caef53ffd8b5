//! Remediation: redrives expired deliveries when their sink is healthy again, clears alerts by age,
//! tells of lanes that stay held, and keeps what the retention policy says.

pub mod quiet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::delivery::{DeadReason, DeliveryState, HeldBy, Lane};
use mutt_model::metrics as names;
use mutt_model::rule::RuleAction;
use mutt_model::source::quiet::QuietPolicy;
use mutt_model::{Clock, Severity, Timestamp, codes};
use mutt_store::store::{Actor, CommitPolicy, ReplayFilter, RetentionPolicy, Store, StoreError};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::alerter::{own_alert, rest};
use crate::health::{ARCHIVE, HealthBoard, Lack};
use crate::services::{Service, Wait};
use crate::telemetry::metrics::{Counters, FloatGauge, Gauges, ServiceMetrics};

/// A lane that is held this long raises an alert to every other sink.
pub const HELD_ALARM_AFTER: Duration = Duration::from_secs(300);
/// Alerts that one transaction clears by age.
pub const AGED_PER_ROUND: usize = 500;
/// Pause after a failed round, when the interval is not shorter.
pub const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// At the start the store is looked at this often until it is there.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// Retention is looked at this often, whatever the interval of rounds.
pub const RETENTION_PERIOD: Duration = Duration::from_secs(60);

/// What may change while Remediation runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long what is kept.
    pub retention: RetentionPolicy,
    /// `remediation.interval`
    pub interval: Duration,
    /// `remediation.redrive_batch`: expired deliveries of one sink that a round makes pending.
    pub redrive_batch: u64,
    /// `remediation.quiet`
    pub quiet: QuietPolicy,
    /// `store.retention.sources`
    pub keep_sources: Duration,
    /// `ingestor.max_sources`
    pub max_sources: u64,
}

/// What Remediation works with.
#[derive(Debug)]
pub struct Remediation {
    /// Where everything lies.
    pub store: Arc<dyn Store>,
    /// Routing of clears by age and of MUTT's own alerts.
    pub policy: Arc<ArcSwap<CommitPolicy>>,
    /// What may change while it runs.
    pub limits: watch::Receiver<Limits>,
    /// Time.
    pub clock: Clock,
    /// Where its own state is told.
    pub board: Arc<HealthBoard>,
    /// What is counted.
    pub metrics: RemediationMetrics,
}

/// Remediation's metrics.
#[derive(Debug)]
pub struct RemediationMetrics {
    loops: Counter,
    dead: Gauges,
    success: Counter,
    fail: Counters,
    poison: Counter,
    health: Gauges,
    duration: Histogram,
    aged: Counter,
    removed: Counters,
    bytes: FloatGauge,
    last_run: FloatGauge,
    partitions: Counter,
    archived: Counter,
    holds: FloatGauge,
}

impl RemediationMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            loops: metrics.counter(&names::REMEDIATION_LOOPS),
            dead: metrics.gauges(&names::REMEDIATION_DLQ),
            success: metrics.counter(&names::REMEDIATION_SUCCESS),
            fail: metrics.counters(&names::REMEDIATION_FAIL),
            poison: metrics.counter(&names::REMEDIATION_POISON),
            health: metrics.gauges(&names::REMEDIATION_HEALTH),
            duration: metrics.histogram(&names::REMEDIATION_DURATION),
            aged: metrics.counter(&names::REMEDIATION_AGED),
            removed: metrics.counters(&names::REMEDIATION_REMOVED),
            bytes: metrics.gauge(&names::REMEDIATION_STORE_BYTES),
            last_run: metrics.gauge(&names::RETENTION_LAST_RUN),
            partitions: metrics.counter(&names::RETENTION_PARTITIONS),
            archived: metrics.counter(&names::RETENTION_ARCHIVED_BYTES),
            holds: metrics.gauge(&names::RETENTION_HOLDS),
        }
    }
}

/// What a run remembers; losing it costs a repeated notice at most.
#[derive(Debug, Default)]
struct Memory {
    /// What was told of each lane: held since then, or (`None`) that it runs.
    told: BTreeMap<String, Option<Timestamp>>,
    retained_at: Option<Duration>,
    /// Whether an archive could not be written when retention looked last.
    unarchived: bool,
    refused_seen: u64,
}

impl Remediation {
    /// Works in rounds until `stop`.
    ///
    /// # Errors
    ///
    /// Never: a failed round is logged, counted and tried again.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), String> {
        let (mut memory, mut wait) = (Memory::default(), Wait::default());
        let mut changes = self.limits.clone();
        // A round before the store's first answer would fail for nothing; who waits for it tells so.
        while !stop.is_cancelled() && !self.store.state().is_ready() {
            self.board.set(Service::Remediation, false, "waits for the store");
            rest(&stop, FIRST_LOOK).await;
        }
        while !stop.is_cancelled() {
            let start = self.clock.monotonic();
            let interval = changes.borrow_and_update().interval;
            let round = tokio::select! {
                round = self.round(&mut memory) => round,
                // Retention may take minutes; what it has begun is undone and begun anew.
                () = stop.cancelled() => break,
            };
            let pause = match round {
                Ok(()) => {
                    self.board.set(Service::Remediation, true, "running");
                    if wait.over() {
                        tracing::info!("rounds of Remediation succeed again");
                    }
                    interval
                }
                Err(error) => {
                    let labels = vec![("reason", "store".to_owned())];
                    self.metrics.fail.get_or_create(&labels).inc();
                    self.board.set(Service::Remediation, false, "the store does not answer");
                    if wait.is_news(self.clock.monotonic()) {
                        tracing::warn!(code = %codes::REDRIVE_FAILED, %error, "a round of Remediation failed");
                    }
                    // Not the whole interval: it may be long, and the store may be back soon.
                    interval.min(RETRY_PAUSE)
                }
            };
            self.metrics.loops.inc();
            let took = self.clock.monotonic().saturating_sub(start);
            self.metrics.duration.observe(took.as_secs_f64());
            tokio::select! {
                () = rest(&stop, pause) => {}
                // A new limit is not waited for: the next round keeps it.
                Ok(()) = changes.changed() => memory.retained_at = None,
            }
        }
        Ok(())
    }

    async fn round(&self, memory: &mut Memory) -> Result<(), StoreError> {
        self.clear_aged().await?;
        let lanes = self.store.lanes().await?;
        for lane in &lanes {
            self.tell_of_hold(lane, memory).await?;
            self.redrive(lane).await?;
        }
        self.count_dead(memory).await?;
        self.retain(memory).await
    }

    async fn clear_aged(&self) -> Result<(), StoreError> {
        let policy = self.policy.load_full();
        loop {
            let now = self.clock.wall();
            let cleared = self.store.clear_aged(&policy.sinks, AGED_PER_ROUND, now).await?;
            self.metrics.aged.inc_by(cleared);
            if cleared > 0 {
                tracing::info!(alerts = cleared, "cleared by age");
            }
            if cleared < AGED_PER_ROUND as u64 {
                return Ok(());
            }
        }
    }

    /// Makes expired deliveries pending again: many where the sink has taken deliveries since its
    /// last failure, one as a probe where that is not known. A held lane is left alone: its Forwarder
    /// probes it with what it holds.
    async fn redrive(&self, lane: &Lane) -> Result<(), StoreError> {
        let healthy = lane.held_by.is_none()
            && lane.last_ok_at.is_some_and(|ok| lane.last_error_at.is_none_or(|error| ok > error));
        let labels = vec![("sink", lane.sink.clone())];
        self.metrics.health.get_or_create(&labels).set(if healthy { 1.0 } else { 0.0 });
        // While deliveries wait, they are the probe.
        let limit = match (healthy, lane.pending) {
            (true, _) => self.limits.borrow().redrive_batch,
            (false, 0) => 1,
            (false, _) => return Ok(()),
        };
        if lane.held_by.is_some() || lane.dead == 0 {
            return Ok(());
        }
        let which = ReplayFilter {
            state: Some(DeliveryState::Dead),
            sink: Some(lane.sink.clone()),
            reason: Some(DeadReason::Expired.name().to_owned()),
            limit: Some(limit),
            id: None,
        };
        let reason = if healthy { "the sink is healthy again" } else { "probe" };
        let actor = Actor { name: "remediation".to_owned(), reason: Some(reason.to_owned()) };
        let done = self.store.replay(which, false, &actor, self.clock.wall()).await?;
        self.metrics.success.inc_by(done.replayed);
        if done.replayed > 0 {
            tracing::info!(sink = lane.sink, deliveries = done.replayed, reason, "redriven");
        }
        Ok(())
    }

    /// Raises an alert about a lane that stays held to every other sink, and clears it afterwards.
    async fn tell_of_hold(&self, lane: &Lane, memory: &mut Memory) -> Result<(), StoreError> {
        let now = self.clock.wall();
        let (action, message) = match lane.held_since {
            Some(since) if now.since(since) >= HELD_ALARM_AFTER => {
                if memory.told.get(&lane.sink) == Some(&Some(since)) {
                    return Ok(());
                }
                let by = if lane.held_by == Some(HeldBy::Hand) { "by hand" } else { "by a fault" };
                let why = lane.held_reason.as_deref().unwrap_or("no reason given");
                let waiting = lane.held + lane.pending;
                (
                    RuleAction::Problem,
                    format!(
                        "lane {} is held {by} since {since}: {why}; {waiting} deliveries wait",
                        lane.sink
                    ),
                )
            }
            Some(_) => return Ok(()),
            None if memory.told.get(&lane.sink) == Some(&None) => return Ok(()),
            // Also once after a start: an earlier run may have told of a hold that is over since. A
            // clear that finds nothing to clear tells nobody.
            None => (RuleAction::Clear, format!("lane {} runs again", lane.sink)),
        };
        let policy = self.policy.load_full();
        let change = own_alert(
            "mutt-lane-held",
            &lane.sink,
            Severity::CRITICAL,
            action,
            message,
            &policy,
            &self.clock,
        );
        self.store.raise(change, policy, Some(&lane.sink), now).await?;
        memory.told.insert(lane.sink.clone(), lane.held_since);
        Ok(())
    }

    /// Tells when archives cannot be written, and when they can again. It stops nothing else.
    fn tell_of_archive(&self, memory: &mut Memory, error: Option<String>) {
        let was = std::mem::replace(&mut memory.unarchived, error.is_some());
        let Some(error) = error else {
            self.board.has(Service::Remediation, ARCHIVE);
            if was {
                tracing::info!("archives are written again");
            }
            return;
        };
        let labels = vec![("reason", "archive".to_owned())];
        self.metrics.fail.get_or_create(&labels).inc();
        if !was {
            tracing::warn!(code = %codes::ARCHIVE_UNWRITABLE, error, "audit rows stay that cannot be archived; let MUTT write to store.archive.dir");
        }
        let lack = Lack::new(ARCHIVE, &self.clock, codes::ARCHIVE_UNWRITABLE, error);
        self.board.note(Service::Remediation, lack);
    }

    async fn count_dead(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let dead = self.store.dead_by_reason().await?;
        let of = |reason: DeadReason| dead.get(reason.name()).copied().unwrap_or(0);
        let refused = of(DeadReason::Refused);
        self.metrics.poison.inc_by(refused.saturating_sub(memory.refused_seen));
        memory.refused_seen = refused;
        for reason in [DeadReason::Expired, DeadReason::Refused] {
            let labels = vec![("dlq_name", reason.name().to_owned())];
            self.metrics.dead.get_or_create(&labels).set(of(reason) as f64);
        }
        Ok(())
    }

    async fn retain(&self, memory: &mut Memory) -> Result<(), StoreError> {
        self.metrics.bytes.set(self.store.bytes() as f64);
        let now = self.clock.monotonic();
        if memory.retained_at.is_some_and(|at| now.saturating_sub(at) < RETENTION_PERIOD) {
            return Ok(());
        }
        memory.retained_at = Some(now);
        let retention = self.limits.borrow().retention.clone();
        let done = self.store.retain(&retention, self.clock.wall()).await?;
        for (table, rows) in &done.removed {
            let labels = vec![("table", table.clone())];
            self.metrics.removed.get_or_create(&labels).inc_by(*rows);
        }
        self.metrics.partitions.inc_by(done.partitions);
        self.metrics.archived.inc_by(done.archived_bytes);
        if done.archives > 0 {
            tracing::info!(archives = done.archives, bytes = done.archived_bytes, "archived");
        }
        if done.elsewhere {
            // Whoever works now tells of the archive itself.
            memory.unarchived = false;
        }
        self.tell_of_archive(memory, done.archive_error);
        let state = self.store.retention_state().await?;
        self.metrics.last_run.set(state.last_run.map_or(0.0, |at| at.secs() as f64));
        self.metrics.holds.set(state.holds as f64);
        if done.removed_by_cap > 0 {
            tracing::warn!(code = %codes::STORE_OVER_CAP, rows = done.removed_by_cap, "store.max_bytes is met; the oldest rows were removed early");
        }
        Ok(())
    }
}
