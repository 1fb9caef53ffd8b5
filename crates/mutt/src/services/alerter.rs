//! The Alerter: claims batches, judges them with the rule set in force, commits, acknowledges. While
//! one round is committed the next one is claimed and judged.

pub mod rules;
pub mod share;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::alert::{AlertState, Transition};
use mutt_model::metrics as names;
use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Environment, Verdict};
use mutt_model::{Clock, Event, Severity, codes, failpoint};
use mutt_rules::{CompiledRules, Scratch, judge};
use mutt_store::queue::{EventQueue, Position, QueueError, ShardLease};
use mutt_store::store::{
    AlertQuery, CommitPolicy, CommitWork, Committed, JudgedBatch, Store, StoreError,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio_util::sync::CancellationToken;

use self::rules::LiveRules;
use self::share::Share;
use crate::health::HealthBoard;
use crate::services::{Service, Wait};
use crate::telemetry::metrics::{Counters, FloatGauge, ServiceMetrics};

/// Batches that one commit takes at most.
pub const BATCHES_PER_COMMIT: usize = 16;
/// How long a claim waits for the first batch before the loop looks around.
pub const CLAIM_WAIT: Duration = Duration::from_millis(500);
/// A shard's lease; renewed in every round, and while a commit takes long.
pub const SHARD_LEASE: Duration = Duration::from_secs(10);
/// A lease that is renewed for this long is given back.
const GIVEN_BACK: Duration = Duration::from_millis(1);
/// Pause after a failed commit; doubles up to [`COMMIT_PAUSE_MAX`].
pub const COMMIT_PAUSE: Duration = Duration::from_millis(200);
/// See [`COMMIT_PAUSE`].
pub const COMMIT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Pause after the event queue could not be read.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);

/// A batch that was claimed this often without a commit is judged warily: see [`judge_warily`].
const CLAIMS_BEFORE_WARY: u32 = 3;

/// What the Alerter works with.
#[derive(Debug)]
pub struct Alerter {
    /// Batches come from here.
    pub queue: Arc<dyn EventQueue>,
    /// And are committed here.
    pub store: Arc<dyn Store>,
    /// The rule set in force.
    pub rules: Arc<LiveRules>,
    /// Counting and routing.
    pub policy: Arc<ArcSwap<CommitPolicy>>,
    /// For `now` of a commit.
    pub clock: Clock,
    /// How many shards are for this process.
    pub share: Arc<Share>,
    /// This process, as leases show it.
    pub owner: String,
    /// Where its own state is told.
    pub board: Arc<HealthBoard>,
    /// What is counted.
    pub metrics: AlerterMetrics,
}

/// The Alerter's metrics.
#[derive(Debug)]
pub struct AlerterMetrics {
    events: Counters,
    forwarded: Counter,
    meta_alerts: Counter,
    round: Histogram,
    write: Histogram,
    waiting: FloatGauge,
}

impl AlerterMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            events: metrics.counters(&names::ALERTER_EVENTS),
            forwarded: metrics.counter(&names::ALERTER_FORWARDED),
            meta_alerts: metrics.counter(&names::ALERTER_META),
            round: metrics.histogram(&names::ALERTER_LATENCY),
            write: metrics.histogram(&names::DB_WRITE),
            waiting: metrics.gauge(&names::ALERTER_QUEUE_DEPTH),
        }
    }

    fn count(&self, status: &str, events: u64) {
        if events > 0 {
            self.events.get_or_create(&vec![("status", status.to_owned())]).inc_by(events);
        }
    }

    fn committed(&self, done: &Committed) {
        self.count("handled", done.handled);
        self.count("unhandled", done.audited - done.handled);
        self.count("duplicate", done.duplicates);
        self.count("unstorable", done.unstorable);
        self.count("lost", done.lost);
        self.forwarded.inc_by(done.deliveries.values().sum());
        self.meta_alerts.inc_by(done.meta_alerts);
    }
}

/// What a shard's loop waits for, so that it is told once, and the pause before the next commit.
#[derive(Debug)]
struct Trouble {
    queue: Wait,
    commit: Wait,
    pause: Duration,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { queue: Wait::default(), commit: Wait::default(), pause: COMMIT_PAUSE }
    }
}

/// Judged batches on their way to one commit.
#[derive(Debug)]
struct Round {
    work: CommitWork,
    until: Position,
    events: u64,
    began: Duration,
}

impl Alerter {
    /// Serves one shard until `stop`, whenever it is for this process; what is claimed at the end is
    /// finished, and the shard is given back so that another Alerter has it at once.
    ///
    /// # Errors
    ///
    /// When the event queue fails; the supervisor starts the stage again.
    pub async fn run(&self, shard: u16, stop: CancellationToken) -> Result<(), String> {
        self.share.lost(shard);
        if !self.rules.wait(&stop).await {
            return Ok(());
        }
        let result = self.serve(shard, &stop).await;
        self.share.lost(shard);
        result
    }

    async fn serve(&self, shard: u16, stop: &CancellationToken) -> Result<(), String> {
        let mut scratch = Scratch::new();
        let mut trouble = Trouble::default();
        let mut ready: Option<Round> = None;
        let mut begun = false;
        while !stop.is_cancelled() || ready.is_some() {
            let pause = self.share.pause_before(shard);
            if !pause.is_zero() && ready.is_none() {
                rest(stop, pause).await;
            }
            let lease = match self.queue.lease(shard, &self.owner, SHARD_LEASE).await {
                Ok(Some(lease)) => lease,
                // What is claimed and not committed is claimed again after the next start.
                Ok(None) | Err(_) if stop.is_cancelled() => return Ok(()),
                Ok(None) => {
                    self.share.lost(shard);
                    (ready, begun) = (None, false);
                    rest(stop, CLAIM_WAIT).await;
                    continue;
                }
                Err(error) => {
                    self.trouble(&error, &mut trouble, stop).await?;
                    continue;
                }
            };
            self.share.took(shard, self.clock.monotonic());
            if !begun {
                // A run that failed may have claimed batches that nobody holds any more: an
                // acknowledgement is cumulative, so they must be claimed again.
                begun = self.queue.rewind(lease).await.is_ok();
                if !begun {
                    rest(stop, CLAIM_WAIT).await;
                    continue;
                }
            }
            let surplus = self.share.is_surplus(shard, self.clock.monotonic());
            let Some(round) = ready.take() else {
                if surplus {
                    self.hand_over(shard, stop).await;
                    begun = false;
                } else {
                    ready =
                        self.gather(lease, CLAIM_WAIT, &mut scratch, &mut trouble, stop).await?;
                }
                continue;
            };
            ready = self.round(lease, round, surplus, &mut scratch, &mut trouble, stop).await?;
        }
        let _ = self.queue.lease(shard, &self.owner, GIVEN_BACK).await;
        Ok(())
    }

    /// Lets another Alerter have the shard, and leaves it the time to take it.
    async fn hand_over(&self, shard: u16, stop: &CancellationToken) {
        tracing::info!(shard, "the shard is handed over: another Alerter holds fewer");
        let _ = self.queue.lease(shard, &self.owner, GIVEN_BACK).await;
        self.share.lost(shard);
        rest(stop, share::BEYOND_PAUSE).await;
    }

    /// Commits and acknowledges a round; meanwhile the next one is claimed and judged, unless this is
    /// the last one before the shard is handed over.
    async fn round(
        &self,
        lease: ShardLease,
        round: Round,
        last: bool,
        scratch: &mut Scratch,
        trouble: &mut Trouble,
        stop: &CancellationToken,
    ) -> Result<Option<Round>, String> {
        let mut gather_trouble = Trouble::default();
        let (done, next) = tokio::join!(self.commit(&round), async {
            if last {
                return Ok(None);
            }
            self.gather(lease, Duration::ZERO, scratch, &mut gather_trouble, stop).await
        });
        match done {
            Ok(done) => {
                self.after_commit(&round, &done);
                failpoint::hit("alerter.before_ack");
                match self.queue.acknowledge(lease, round.until).await {
                    Ok(()) | Err(QueueError::LeaseLost(_)) => {}
                    Err(error) => self.trouble(&error, trouble, stop).await?,
                }
                self.board.set(Service::Alerter, true, "running");
                trouble.pause = COMMIT_PAUSE;
                if trouble.commit.over() {
                    tracing::info!("commits succeed again");
                }
                next
            }
            Err(error) => {
                self.metrics.count("error", round.events);
                self.board.set(Service::Alerter, false, "commits fail");
                if trouble.commit.is_news(self.clock.monotonic()) {
                    tracing::warn!(code = %codes::ALERTER_COMMIT_FAILED, %error, events = round.events, "a commit failed; its events stay in the event queue");
                }
                drop(next);
                let _ = self.queue.rewind(lease).await;
                rest(stop, trouble.pause).await;
                trouble.pause = (trouble.pause * 2).min(COMMIT_PAUSE_MAX);
                Ok(None)
            }
        }
    }

    /// Claims and judges what waits, up to [`BATCHES_PER_COMMIT`].
    async fn gather(
        &self,
        lease: ShardLease,
        wait: Duration,
        scratch: &mut Scratch,
        trouble: &mut Trouble,
        stop: &CancellationToken,
    ) -> Result<Option<Round>, String> {
        if stop.is_cancelled() || self.rules.current().is_none() {
            return Ok(None);
        }
        let claimed = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            claimed = self.queue.claim(lease, BATCHES_PER_COMMIT, wait) => claimed,
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(QueueError::LeaseLost(_)) => return Ok(None),
            Err(error @ QueueError::Format(_)) => {
                tracing::error!(code = %codes::ALERTER_RECORD_FORMAT, %error, "judging stands still");
                rest(stop, COMMIT_PAUSE_MAX).await;
                return Ok(None);
            }
            Err(error) => {
                self.trouble(&error, trouble, stop).await?;
                return Ok(None);
            }
        };
        let Some(last) = claimed.last() else { return Ok(None) };
        let (until, began) = (last.position, self.clock.monotonic());
        // Only now: a claim waits, and a rule set that came meanwhile judges what came after it.
        let Some(rules) = self.rules.current() else { return Ok(None) };
        let batches: Vec<JudgedBatch> = tokio::task::block_in_place(|| {
            let judged = claimed.into_iter().map(|claim| {
                let wary = claim.deliveries_before >= CLAIMS_BEFORE_WARY;
                let mut verdict = |event: &Event<'_>| {
                    if wary {
                        judge_warily(&rules, event, scratch)
                    } else {
                        judge(&rules, event, scratch)
                    }
                };
                let events = claim.batch.iter();
                let verdicts =
                    events.map(|event| event.ok().map(|event| verdict(&event))).collect();
                JudgedBatch { batch: Arc::new(claim.batch), verdicts }
            });
            judged.collect()
        });
        failpoint::hit("alerter.after_judge");
        let events = batches.iter().map(|b| u64::from(b.batch.len())).sum();
        let work = CommitWork {
            shard: lease.shard,
            generation: lease.generation,
            ruleset: rules.version(),
            batches,
            policy: self.policy.load_full(),
            now: self.clock.wall(),
        };
        Ok(Some(Round { work, until, events, began }))
    }

    /// A disk that refuses may be mended, a server that is away comes back: wait and try again. Anything
    /// else ends the stage.
    async fn trouble(
        &self,
        error: &QueueError,
        trouble: &mut Trouble,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        if !matches!(error, QueueError::Io { .. }) {
            return Err(error.to_string());
        }
        // An engine that is away is told of once for the whole process.
        if self.queue.state().is_ready() && trouble.queue.is_news(self.clock.monotonic()) {
            tracing::warn!(code = %codes::ALERTER_QUEUE_TROUBLE, %error, "judging waits for the event queue");
        }
        rest(stop, QUEUE_PAUSE).await;
        Ok(())
    }

    /// Commits, and keeps the shard meanwhile.
    async fn commit(&self, round: &Round) -> Result<Committed, StoreError> {
        let start = self.clock.monotonic();
        let mut commit = std::pin::pin!(self.store.commit(round.work.clone()));
        let done = loop {
            tokio::select! {
                done = &mut commit => break done?,
                () = tokio::time::sleep(SHARD_LEASE / 3) => {
                    let _ = self.queue.lease(round.work.shard, &self.owner, SHARD_LEASE).await;
                }
            }
        };
        let now = self.clock.monotonic();
        self.metrics.write.observe(now.saturating_sub(start).as_secs_f64() * 1000.0);
        self.metrics.round.observe(now.saturating_sub(round.began).as_secs_f64());
        Ok(done)
    }

    fn after_commit(&self, round: &Round, done: &Committed) {
        self.metrics.committed(done);
        if done.unstorable > 0 {
            tracing::error!(code = %codes::ALERTER_UNSTORABLE, events = done.unstorable, shard = round.work.shard, "events were stored from their raw bytes alone");
        }
        for (alert, transition) in &done.transitions {
            let what = match transition {
                Transition::Opened => "opened",
                Transition::SeverityChanged { .. } => "severity changed",
                Transition::Cleared(_) => "cleared",
                Transition::Repeated | Transition::Nothing => continue,
            };
            tracing::debug!(key = alert.key, alert = %alert.id, state = ?alert.state, correlation_id = alert.correlation_id, "alert {what}");
            debug_assert!(
                alert.state == AlertState::Open || matches!(transition, Transition::Cleared(_))
            );
        }
    }
}

/// Judges an event of a batch that was claimed again and again: an event that makes judging panic is
/// audited unjudged, so that it does not hold up all that come after it.
fn judge_warily(rules: &CompiledRules, event: &Event<'_>, scratch: &mut Scratch) -> Verdict {
    let judged = std::panic::catch_unwind(AssertUnwindSafe(|| judge(rules, event, scratch)));
    judged.unwrap_or_else(|_| {
        *scratch = Scratch::new();
        tracing::error!(code = %codes::ALERTER_UNSTORABLE, event = %event.id, "judging an event failed; it is audited unjudged");
        Verdict::default()
    })
}

/// Waits unless told to end.
pub async fn rest(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// An alert of MUTT's own: `problem` on `resource` of this installation.
#[must_use]
pub fn own_alert(
    problem: &str,
    resource: &str,
    severity: Severity,
    action: RuleAction,
    message: String,
    policy: &CommitPolicy,
    clock: &Clock,
) -> AlertChange {
    AlertChange {
        key: format!("{problem}/mutt/{resource}"),
        action,
        problem: problem.to_owned(),
        host: "mutt".to_owned(),
        resource: resource.to_owned(),
        severity,
        team: policy.default_team.clone(),
        decision: Handling::PageAndTicket,
        environment: Environment::Prod,
        rule_id: None,
        clear_after: Duration::ZERO,
        message,
        at: clock.wall(),
        event_id: None,
        correlation_id: None,
    }
}

/// The problem's name of an alert about lost events.
pub const QUEUE_DAMAGED: &str = "mutt-queue-damaged";

/// Raises an alert when the event queue has lost events or set a file aside, once for each loss.
///
/// # Errors
///
/// Never: what cannot be raised now is raised in the next round.
pub async fn watch_queue(alerter: Arc<Alerter>, stop: CancellationToken) -> Result<(), String> {
    let (mut told, mut files) = (0, 0);
    while !stop.is_cancelled() {
        if let Ok(ledger) = alerter.store.delivery_ledger().await {
            alerter.metrics.waiting.set(ledger.pending as f64);
        }
        let stats = alerter.queue.stats();
        if stats.lost_events > told || stats.set_aside.len() > files {
            let (lost, aside) = (stats.lost_events, stats.set_aside.len());
            let message = format!(
                "the event queue has lost {} events; set aside: {}",
                stats.lost_events,
                if stats.set_aside.is_empty() {
                    "nothing".to_owned()
                } else {
                    stats.set_aside.join(", ")
                }
            );
            // An earlier run may have told of this very loss.
            let query =
                AlertQuery { problem: Some(QUEUE_DAMAGED.to_owned()), ..AlertQuery::default() };
            let newest = alerter.store.alerts(&query, 1, None).await;
            if newest.is_ok_and(|page| page.items.first().is_some_and(|a| a.message == message)) {
                (told, files) = (lost, aside);
                continue;
            }
            tracing::error!(code = %codes::ALERTER_QUEUE_DAMAGED, lost, "{message}");
            let policy = alerter.policy.load_full();
            let change = own_alert(
                QUEUE_DAMAGED,
                "event-queue",
                Severity::CRITICAL,
                RuleAction::Problem,
                message,
                &policy,
                &alerter.clock,
            );
            if alerter.store.raise(change, policy, None, alerter.clock.wall()).await.is_ok() {
                (told, files) = (lost, aside);
            }
        }
        rest(&stop, Duration::from_secs(2)).await;
    }
    Ok(())
}
