//! The Alerter: claims batches, judges them with the rule set in force, commits, acknowledges. While
//! one round is committed the next one is claimed and judged.

pub mod rules;
pub mod share;
pub mod suspects;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::alert::{AlertState, Transition};
use mutt_model::audit::UNJUDGED;
use mutt_model::metrics as names;
use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Environment, Verdict};
use mutt_model::{Clock, Event, Id, Severity, codes, failpoint};
use mutt_rules::{CompiledRules, Scratch, judge};
use mutt_store::queue::{CLAIM_BYTES, ClaimedBatch, EventQueue, Position, QueueError, ShardLease};
use mutt_store::store::{
    AlertQuery, CommitPolicy, CommitWork, Committed, JudgedBatch, Store, StoreError,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio_util::sync::CancellationToken;

use self::rules::LiveRules;
use self::share::Share;
use self::suspects::{DEATHS_MAX, Notes, Suspects};
use crate::health::{HealthBoard, Lack, STORE};
use crate::services::{Service, Wait};
use crate::telemetry::metrics::{Counters, FloatGauge, ServiceMetrics};

/// Events that one commit takes when so many wait; one claim may carry it over.
pub const EVENTS_PER_COMMIT: usize = 8_000;
/// Bytes of batches at which a commit takes no further ones; one claim may carry it over. Large events
/// would otherwise make a commit that is not written within `store.statement_timeout`.
pub const BYTES_PER_COMMIT: usize = 16 << 20;
/// Batches that the first claim for a commit takes at most; how many events they have is not known yet.
pub const BATCHES_FIRST: usize = 16;
/// Batches that each further claim takes at most, of batches that turned out to be small.
pub const BATCHES_NEXT: usize = 64;
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

/// A batch that was claimed this often without a commit is judged warily, one event after the other:
/// see [`Wary`].
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
    /// Which events it died of.
    pub suspects: Suspects,
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

/// What a shard's loop waits for, so that it is told once, and what failures left to be heeded.
#[derive(Debug)]
struct Trouble {
    queue: Wait,
    commit: Wait,
    pause: Duration,
    goal: Goal,
    /// Committed, and its acknowledgement was not answered.
    owed: Option<Done>,
    /// The event queue gives out from what was acknowledged on. An acknowledgement is cumulative: while
    /// something may be claimed that nobody holds any more, nothing further is claimed.
    begun: bool,
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            queue: Wait::default(),
            commit: Wait::default(),
            pause: COMMIT_PAUSE,
            goal: Goal::default(),
            owed: None,
            begun: false,
        }
    }
}

/// How much a round claims: halved by each commit that fails, doubled after some that succeed, so that
/// what the store cannot take at once is taken in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Goal {
    halved: u32,
    succeeded: u32,
}

impl Goal {
    /// A round is one batch from here on.
    const SMALLEST: u32 = EVENTS_PER_COMMIT.ilog2();

    /// So many commits in a row succeed before more is tried at once: a try that fails takes as long as
    /// the store's `statement_timeout`.
    const ENOUGH: u32 = 8;

    fn halve(&mut self) {
        *self = Self { halved: (self.halved + 1).min(Self::SMALLEST), succeeded: 0 };
    }

    fn succeed(&mut self) {
        self.succeeded += 1;
        if self.succeeded >= Self::ENOUGH {
            *self = Self { halved: self.halved.saturating_sub(1), succeeded: 0 };
        }
    }

    fn events(self) -> usize {
        EVENTS_PER_COMMIT >> self.halved
    }

    fn bytes(self) -> usize {
        BYTES_PER_COMMIT >> self.halved
    }

    fn first_batches(self) -> usize {
        (BATCHES_FIRST >> self.halved).max(1)
    }
}

/// What a commit has made safe.
#[derive(Clone, Copy, Debug)]
struct Done {
    until: Position,
    /// Of some of it notes were made.
    wary: bool,
}

/// Judged batches on their way to one commit.
#[derive(Debug)]
struct Round {
    work: CommitWork,
    until: Position,
    events: u64,
    began: Duration,
    /// Of some of it notes were made.
    wary: bool,
    /// Why events were not judged.
    aside: Vec<String>,
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
                    if trouble.begun {
                        // What hindered its commits is for the next owner to tell.
                        self.board.set(Service::Alerter, true, "running");
                        self.board.has(Service::Alerter, STORE);
                    }
                    (ready, trouble.begun, trouble.owed) = (None, false, None);
                    rest(stop, CLAIM_WAIT).await;
                    continue;
                }
                Err(error) => {
                    self.trouble(&error, &mut trouble, stop).await?;
                    continue;
                }
            };
            self.share.took(shard, self.clock.monotonic());
            if !trouble.begun {
                trouble.begun = self.queue.rewind(lease).await.is_ok();
                if !trouble.begun {
                    rest(stop, CLAIM_WAIT).await;
                    continue;
                }
            }
            if let Some(owed) = trouble.owed.take_if(|_| ready.is_none()) {
                // Nothing may come any more that is acknowledged with it.
                self.acknowledge(lease, owed, &mut trouble, stop).await?;
                continue;
            }
            let surplus = self.share.is_surplus(shard, self.clock.monotonic());
            let Some(round) = ready.take() else {
                if surplus {
                    self.hand_over(shard, stop).await;
                    trouble.begun = false;
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
        let mut gather_trouble = Trouble { goal: trouble.goal, ..Trouble::default() };
        let (done, next) = tokio::join!(self.commit(&round), async {
            if last {
                return Ok(None);
            }
            self.gather(lease, Duration::ZERO, scratch, &mut gather_trouble, stop).await
        });
        match done {
            Ok(done) => {
                self.after_commit(&round, &done).await;
                failpoint::hit("alerter.before_ack");
                let wary = round.wary || trouble.owed.is_some_and(|owed| owed.wary);
                let done = Done { until: round.until, wary };
                self.acknowledge(lease, done, trouble, stop).await?;
                self.board.set(Service::Alerter, true, "running");
                self.board.has(Service::Alerter, STORE);
                trouble.pause = COMMIT_PAUSE;
                trouble.goal.succeed();
                if trouble.commit.over() {
                    tracing::info!("commits succeed again");
                }
                next
            }
            Err(error) => {
                self.metrics.count("error", round.events);
                // A shard that another owner took is its business: with nothing left to commit, this
                // Alerter would be called not ready for ever.
                if !matches!(error, StoreError::LeaseLost) {
                    self.board.set(Service::Alerter, false, "commits fail");
                }
                if let Some(code) = error.hindrance().filter(|_| self.store.state().is_ready()) {
                    let lack = Lack::new(STORE, &self.clock, code, error.to_string());
                    self.board.lack(Service::Alerter, lack);
                }
                if trouble.commit.is_news(self.clock.monotonic()) {
                    let code = error.hindrance().unwrap_or(codes::ALERTER_COMMIT_FAILED);
                    tracing::warn!(%code, %error, events = round.events, "a commit failed; its events stay in the event queue");
                }
                drop(next);
                trouble.begun = self.queue.rewind(lease).await.is_ok();
                trouble.owed = None;
                trouble.goal.halve();
                rest(stop, trouble.pause).await;
                trouble.pause = (trouble.pause * 2).min(COMMIT_PAUSE_MAX);
                Ok(None)
            }
        }
    }

    /// Takes everything up to here as done at the event queue. An acknowledgement that fails is owed:
    /// the one of the next round covers it, and without a next round it is made again.
    async fn acknowledge(
        &self,
        lease: ShardLease,
        done: Done,
        trouble: &mut Trouble,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        trouble.owed = None;
        match self.queue.acknowledge(lease, done.until).await {
            Ok(()) if done.wary => self.suspects.clear(lease.shard),
            Ok(()) | Err(QueueError::LeaseLost(_)) => {}
            Err(error) => {
                self.trouble(&error, trouble, stop).await?;
                trouble.owed = Some(done);
            }
        }
        Ok(())
    }

    /// Claims and judges what waits, up to about the goal.
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
            claimed = self.queue.claim(lease, trouble.goal.first_batches(), wait) => claimed,
        };
        let claimed = match claimed {
            Ok(claimed) => self.claim_more(lease, trouble.goal, claimed).await,
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
        let suspected = |claim: &ClaimedBatch| claim.deliveries_before >= CLAIMS_BEFORE_WARY;
        let mut wary = claimed
            .iter()
            .any(suspected)
            .then(|| Wary { notes: self.suspects.open(lease.shard), aside: Vec::new() });
        let counts = self.queue.counts_deliveries();
        let batches: Vec<JudgedBatch> = tokio::task::block_in_place(|| {
            let judged = claimed.into_iter().map(|claim| {
                let mut warily = wary.as_mut().filter(|_| suspected(&claim));
                let mut verdict = |place: usize, event: &Event<'_>| match &mut warily {
                    Some(wary) => wary.judge(&rules, claim.batch.id(), place, event, scratch),
                    None => judge_one(&rules, event, scratch),
                };
                let events = claim.batch.iter().enumerate();
                let verdicts = events
                    .map(|(place, event)| event.ok().map(|event| verdict(place, &event)))
                    .collect();
                let first = counts && claim.deliveries_before == 0;
                JudgedBatch { batch: Arc::new(claim.batch), verdicts, first }
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
        let (wary, aside) = wary.map_or((false, Vec::new()), |wary| (true, wary.aside));
        Ok(Some(Round { work, until, events, began, wary, aside }))
    }

    /// Claims what waits behind a full claim: many senders at a moderate rate make many small batches,
    /// and a commit costs the same for few events as for many. What fails here is met again by the next
    /// claim.
    async fn claim_more(
        &self,
        lease: ShardLease,
        goal: Goal,
        mut claimed: Vec<ClaimedBatch>,
    ) -> Vec<ClaimedBatch> {
        let size = |claims: &[ClaimedBatch]| -> usize {
            claims.iter().map(|claim| claim.batch.as_bytes().len()).sum()
        };
        let mut asked = goal.first_batches();
        let (mut got, mut bytes) = (claimed.len(), size(&claimed));
        let mut last_bytes = bytes;
        // A claim that gave less than was asked for, and not for its bytes, has met the end.
        while got >= asked || last_bytes >= CLAIM_BYTES {
            let events: usize = claimed.iter().map(|claim| claim.batch.len() as usize).sum();
            let room = goal.events().saturating_sub(events);
            if room == 0 || bytes >= goal.bytes() {
                break;
            }
            let usual = (events / claimed.len().max(1)).max(1);
            asked = room.div_ceil(usual).min(BATCHES_NEXT);
            match self.queue.claim(lease, asked, Duration::ZERO).await {
                Ok(more) => {
                    (got, last_bytes) = (more.len(), size(&more));
                    bytes += last_bytes;
                    claimed.extend(more);
                }
                Err(_) => break,
            }
        }
        claimed
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

    async fn after_commit(&self, round: &Round, done: &Committed) {
        self.metrics.committed(done);
        self.metrics.count("unjudged", round.aside.len() as u64);
        for why in &round.aside {
            tracing::error!(code = %codes::ALERTER_UNJUDGED, shard = round.work.shard, "{why}");
            let change = own_alert(
                UNJUDGED_PROBLEM,
                "event",
                Severity::ERROR,
                RuleAction::Problem,
                why.clone(),
                &round.work.policy,
                &self.clock,
            );
            let policy = Arc::clone(&round.work.policy);
            if let Err(error) = self.store.raise(change, policy, None, self.clock.wall()).await {
                tracing::info!(%error, "no alert was raised about it");
            }
        }
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

fn judge_one(rules: &CompiledRules, event: &Event<'_>, scratch: &mut Scratch) -> Verdict {
    failpoint::hit_on("alerter.judge", &event.message);
    judge(rules, event, scratch)
}

/// Judges the events of a batch that was claimed again and again, one after the other: one that makes
/// judging panic, or of which the process died before, is audited unjudged, so that it does not hold up
/// all that come after it.
struct Wary {
    notes: Notes,
    aside: Vec<String>,
}

impl Wary {
    fn judge(
        &mut self,
        rules: &CompiledRules,
        batch: Id,
        place: usize,
        event: &Event<'_>,
        scratch: &mut Scratch,
    ) -> Verdict {
        let deaths = self.notes.deaths(batch, place);
        if deaths >= DEATHS_MAX {
            return self.set_aside(event, &format!("an Alerter died {deaths} times judging it"));
        }
        self.notes.judging(batch, place);
        let judged =
            std::panic::catch_unwind(AssertUnwindSafe(|| judge_one(rules, event, scratch)));
        self.notes.judged();
        judged.unwrap_or_else(|_| {
            *scratch = Scratch::new();
            self.set_aside(event, "judging it panicked")
        })
    }

    fn set_aside(&mut self, event: &Event<'_>, why: &str) -> Verdict {
        self.aside.push(format!("event {} of {} is audited unjudged: {why}", event.id, event.host));
        Verdict { decision: Some(Handling::Unknown(UNJUDGED.to_owned())), ..Verdict::default() }
    }
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

/// The problem's name of an alert about events that could not be judged.
pub const UNJUDGED_PROBLEM: &str = "mutt-event-unjudged";

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
