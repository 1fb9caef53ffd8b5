//! The watch over silent sources: looks at the registry by the store's clock, works out who went quiet,
//! and raises and clears the alerts. One Remediation at a time does it, by a lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::alert::AlertState;
use mutt_model::rule::RuleAction;
use mutt_model::source::SourceKey;
use mutt_model::source::quiet::{About, EVERY_LISTENER, Ear, Step, View, judge};
use mutt_model::verdict::{AlertChange, Environment};
use mutt_model::{Clock, Severity, Timestamp, amount, codes, metrics as names};
use mutt_store::store::{AlertQuery, CommitPolicy, ListenerReport, Process, Store, StoreError};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::services::Service;
use crate::services::alerter::{own_alert, rest};
use crate::telemetry::metrics::{Counters, Gauges, ServiceMetrics};

/// Rounds of the watch are not further apart than this.
pub const WATCH_PERIOD: Duration = Duration::from_secs(10);
/// A Remediation that ends without a word is followed after this time.
const LEASE: Duration = Duration::from_secs(60);
/// After the store was away, Ingestors get this time to tell what they heard meanwhile.
pub const SETTLE: Duration = Duration::from_secs(20);
/// An Ingestor that does not report any more is missed for this long.
const MISSED: Duration = Duration::from_secs(86_400);
/// Alerts that one round raises; the rest comes with the next.
const ALERTS_PER_ROUND: usize = 200;
/// Sources are forgotten this often.
const TIDY_PERIOD: Duration = Duration::from_secs(60);

/// The problem's name of an alert about a silent source.
pub const SOURCE_QUIET: &str = "mutt-source-quiet";
/// The problem's name of an alert about a silent relay.
pub const RELAY_QUIET: &str = "mutt-relay-quiet";
/// The problem's name of an alert about MUTT's own deafness.
pub const DEAF: &str = "mutt-deaf";

/// What the watch works with.
#[derive(Debug)]
pub struct QuietWatch {
    /// Where everything lies.
    pub store: Arc<dyn Store>,
    /// Routing of the alerts.
    pub policy: Arc<arc_swap::ArcSwap<CommitPolicy>>,
    /// What may change while it runs.
    pub limits: watch::Receiver<Limits>,
    /// Time.
    pub clock: Clock,
    /// This process, for the lease.
    pub owner: String,
    /// What is counted.
    pub metrics: QuietMetrics,
}

/// The watch's metrics.
#[derive(Debug)]
pub struct QuietMetrics {
    sources: Gauges,
    alerts: Counters,
    forgotten: Counter,
}

impl QuietMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            sources: metrics.gauges(&names::SOURCES),
            alerts: metrics.counters(&names::SOURCE_ALERTS),
            forgotten: metrics.counter(&names::SOURCES_FORGOTTEN),
        }
    }
}

/// What a run remembers of the Ingestors.
#[derive(Debug, Default)]
struct Memory {
    /// By host: when it was seen last, and how it hears.
    ears: BTreeMap<String, (Timestamp, Ear)>,
    /// Drops by process and listener: of the kernel, and before the append.
    drops: BTreeMap<(String, String), (u64, u64)>,
    /// Whether somebody was told that MUTT is deaf; `None` before the first round.
    deaf_told: Option<bool>,
    /// Rounds succeed since then (monotonic).
    settled: Option<Duration>,
    tidied_at: Option<Duration>,
    /// Devices' teams and development hosts, where a round needed them.
    rules: Option<Arc<mutt_model::rule::RuleSet>>,
}

impl Memory {
    /// Takes over how the Ingestors hear.
    fn listen(&mut self, processes: &[Process], now: Timestamp) -> BTreeMap<String, Ear> {
        let mut heard: BTreeMap<String, Ear> = BTreeMap::new();
        let mut drops = BTreeMap::new();
        let ingestor = |process: &&Process| {
            process.live && process.report.services.contains(Service::Ingestor.name())
        };
        for process in processes.iter().filter(ingestor) {
            let report = &process.report;
            let before = self.ears.get(&report.host);
            let ear = heard.entry(report.host.clone()).or_default();
            ear.since = ear.since.max(report.started_at);
            if let Some((_, known)) = before {
                ear.trouble.extend(known.trouble.clone());
            }
            if report.starved {
                let what = "the event queue does not take events".to_owned();
                ear.trouble.insert(EVERY_LISTENER.to_owned(), (now, what));
            }
            for listener in &report.listeners {
                ear.listeners.insert(listener.name.clone());
                let counted = drops_of(listener);
                let key = (report.id.clone(), listener.name.clone());
                if let Some((kernel, own)) = self.drops.get(&key) {
                    let what = if counted.0 > *kernel {
                        "the kernel drops datagrams of"
                    } else if counted.1 > *own {
                        "the event queue did not take events of"
                    } else {
                        ""
                    };
                    if !what.is_empty() {
                        let what = format!("{what} {}", listener.name);
                        ear.trouble.insert(listener.name.clone(), (now, what));
                    }
                }
                drops.insert(key, counted);
            }
        }
        self.drops = drops;
        self.ears.retain(|_, (seen, _)| now.since(*seen) < MISSED);
        for (host, ear) in &heard {
            self.ears.insert(host.clone(), (now, ear.clone()));
        }
        for (host, (_, ear)) in &mut self.ears {
            if !heard.contains_key(host) {
                // When it is back, its silence until then was ours.
                let what = "the Ingestor did not report".to_owned();
                ear.trouble.insert(EVERY_LISTENER.to_owned(), (now, what));
            }
        }
        heard
    }
}

fn drops_of(listener: &ListenerReport) -> (u64, u64) {
    let own = ["queue_full", "not_durable"];
    let dropped = own.iter().filter_map(|reason| listener.dropped.get(*reason));
    (listener.sockets.iter().map(|socket| socket.kernel_drops).sum(), dropped.sum())
}

impl QuietWatch {
    /// Works in rounds until `stop`.
    ///
    /// # Errors
    ///
    /// Never: a failed round is tried again; the rounds of Remediation tell of the store.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), String> {
        let mut memory = Memory::default();
        while !stop.is_cancelled() {
            let limits = self.limits.borrow().clone();
            if self.store.state().is_ready() {
                if let Err(error) = self.round(&mut memory, &limits).await {
                    tracing::debug!(%error, "a round of the watch over sources failed");
                    memory.settled = None;
                }
            } else {
                memory.settled = None;
            }
            rest(&stop, limits.interval.min(WATCH_PERIOD)).await;
        }
        Ok(())
    }

    async fn round(&self, memory: &mut Memory, limits: &Limits) -> Result<(), StoreError> {
        let looked = self.store.watch_sources(&self.owner, LEASE, &limits.quiet).await?;
        let Some(seen) = looked else {
            *memory = Memory::default();
            return Ok(());
        };
        let ears = memory.listen(&self.store.processes().await?, seen.now);
        let monotonic = self.clock.monotonic();
        let settled = *memory.settled.get_or_insert(monotonic);
        if monotonic.saturating_sub(settled) >= SETTLE {
            let deaf_told = match memory.deaf_told {
                Some(told) => told,
                None => self.deaf_was_told().await?,
            };
            memory.deaf_told = Some(deaf_told);
            let view =
                View { now: seen.now, sources: seen.sources, newest: seen.newest, ears, deaf_told };
            memory.rules = None;
            for step in judge(&view, &limits.quiet).into_iter().take(ALERTS_PER_ROUND) {
                self.take(step, memory).await?;
            }
        }
        self.keep(memory, limits).await
    }

    /// Whether an earlier run told that MUTT is deaf, and nobody told since that it hears.
    async fn deaf_was_told(&self) -> Result<bool, StoreError> {
        let query = AlertQuery {
            state: Some(AlertState::Open),
            problem: Some(DEAF.to_owned()),
            ..AlertQuery::default()
        };
        Ok(!self.store.alerts(&query, 1, None).await?.items.is_empty())
    }

    /// Tells, and then notes that it was told: a crash in between repeats a notice at most.
    async fn take(&self, step: Step, memory: &mut Memory) -> Result<(), StoreError> {
        if let Some((change, kind)) = self.alert(&step.about, memory).await? {
            let policy = self.policy.load_full();
            let is_problem = change.action == RuleAction::Problem;
            tracing::info!(kind, raised = is_problem, "{}", change.message);
            if let About::Deaf(why, silent) = &step.about {
                tracing::warn!(code = %codes::DEAF, why, silent, "MUTT does not hear sources that usually speak; no alert is raised about them");
            }
            self.store.raise(change, policy, None, self.clock.wall()).await?;
            if is_problem {
                self.metrics.alerts.get_or_create(&vec![("kind", kind.to_owned())]).inc();
            }
        }
        match step.about {
            About::Deaf(..) => memory.deaf_told = Some(true),
            About::Hears => memory.deaf_told = Some(false),
            _ => {}
        }
        if step.marks.is_empty() { Ok(()) } else { self.store.mark_sources(step.marks).await }
    }

    async fn alert(
        &self,
        about: &About,
        memory: &mut Memory,
    ) -> Result<Option<(AlertChange, &'static str)>, StoreError> {
        let time = |time: &Duration| amount::format_duration(Duration::from_secs(time.as_secs()));
        let (problem, clear) = (RuleAction::Problem, RuleAction::Clear);
        let built = match about {
            About::Nobody => return Ok(None),
            About::Quiet(key, silence, gap) => {
                let message = format!(
                    "{} is silent for {}; usually it speaks every {} or more often",
                    key.host,
                    time(silence),
                    time(gap)
                );
                (self.of_source(key, problem, message, memory).await?, "source")
            }
            About::Back(key) => {
                let message = format!("{} is heard again, or not watched any more", key.host);
                (self.of_source(key, clear, message, memory).await?, "source")
            }
            About::RelayQuiet(peer, silence, silent, of) => {
                let silence = time(silence);
                let message = format!(
                    "nothing comes from behind {peer} for {silence}: {silent} of {of} sources are silent"
                );
                (self.own(RELAY_QUIET, peer, Severity::ERROR, problem, message), "relay")
            }
            About::RelayBack(peer) => {
                let message = format!("{peer} passes events on again");
                (self.own(RELAY_QUIET, peer, Severity::ERROR, clear, message), "relay")
            }
            About::Deaf(why, silent) => {
                let message = format!("MUTT does not hear {silent} sources: {why}");
                (self.own(DEAF, "ingestor", Severity::CRITICAL, problem, message), "deaf")
            }
            About::Hears => {
                let message = "MUTT hears its sources again".to_owned();
                (self.own(DEAF, "ingestor", Severity::CRITICAL, clear, message), "deaf")
            }
        };
        Ok(Some(built))
    }

    fn own(
        &self,
        problem: &str,
        resource: &str,
        severity: Severity,
        action: RuleAction,
        message: String,
    ) -> AlertChange {
        let policy = self.policy.load();
        own_alert(problem, resource, severity, action, message, &policy, &self.clock)
    }

    /// An alert about a device: with its name, its team, and as a development host where it is one.
    async fn of_source(
        &self,
        key: &SourceKey,
        action: RuleAction,
        message: String,
        memory: &mut Memory,
    ) -> Result<AlertChange, StoreError> {
        let rules = match &memory.rules {
            Some(rules) => Arc::clone(rules),
            None => {
                let rules = Arc::new(self.store.rule_set(None).await?);
                memory.rules = Some(Arc::clone(&rules));
                rules
            }
        };
        let mut change = self.own(SOURCE_QUIET, &key.peer, Severity::WARNING, action, message);
        change.key = format!("{SOURCE_QUIET}/{}/{}", key.host, key.peer);
        change.host.clone_from(&key.host);
        if let Some(team) = rules.teams.get(&key.host) {
            change.team.clone_from(team);
        }
        if rules.dev_hosts.contains(&key.host) {
            change.environment = Environment::Dev;
        }
        Ok(change)
    }

    /// Forgets what is old, and shows how many there are.
    async fn keep(&self, memory: &mut Memory, limits: &Limits) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        if memory.tidied_at.is_some_and(|at| now.saturating_sub(at) < TIDY_PERIOD) {
            return Ok(());
        }
        memory.tidied_at = Some(now);
        let gone = self.store.tidy_sources(limits.keep_sources, limits.max_sources).await?;
        self.metrics.forgotten.inc_by(gone);
        let counts = self.store.source_counts().await?;
        let set = |state: &str, count: u64| {
            let labels = vec![("state", state.to_owned())];
            self.metrics.sources.get_or_create(&labels).set(count as f64);
        };
        set("all", counts.all);
        set("quiet", counts.quiet);
        set("pending", counts.pending);
        set("muted", counts.muted);
        set("unparsed", counts.unparsed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
