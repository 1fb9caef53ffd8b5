//! The rule set in force: looked for when the store rings and several times a second, compiled beside
//! the old one, swapped in whole. A failed load never means an empty set: the last good one stays, and
//! nothing is judged before there is a first one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mutt_model::metrics as names;
use mutt_model::rule::RuleSet;
use mutt_model::{Clock, codes};
use mutt_rules::{CompileOptions, CompiledRules};
use mutt_store::store::Store;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::health::{HealthBoard, Lack};
use crate::services::{Service, Wait};
use crate::telemetry::metrics::{FloatGauge, ServiceMetrics};

/// How often the version is looked at.
pub const RELOAD_PERIOD: Duration = Duration::from_millis(200);
/// A set that comes within this time was only waited for as at every start.
const STARTING: Duration = Duration::from_secs(3);
/// What readiness calls it.
const RULE_SET: &str = "rule set";

/// The rule set in force.
#[derive(Debug)]
pub struct LiveRules {
    current: ArcSwapOption<CompiledRules>,
    loaded: watch::Sender<bool>,
    board: Arc<HealthBoard>,
    options: watch::Sender<CompileOptions>,
    clock: Clock,
    reload: Histogram,
    failures: Counter,
    rules: FloatGauge,
    dev_hosts: FloatGauge,
    teams: FloatGauge,
    version: FloatGauge,
}

impl LiveRules {
    /// Without a set; [`LiveRules::follow`] loads the first one when the store has it.
    #[must_use]
    pub fn new(
        options: CompileOptions,
        clock: Clock,
        board: Arc<HealthBoard>,
        metrics: &ServiceMetrics,
    ) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            loaded: watch::Sender::new(false),
            board,
            options: watch::Sender::new(options),
            clock,
            reload: metrics.histogram(&names::ALERTER_RELOAD),
            failures: metrics.counter(&names::ALERTER_RELOAD_FAILURES),
            rules: metrics.gauge(&names::ALERTER_RULES),
            dev_hosts: metrics.gauge(&names::ALERTER_DEV_HOSTS),
            teams: metrics.gauge(&names::ALERTER_TEAMS),
            version: metrics.gauge(&names::ALERTER_RULESET),
        }
    }

    /// Another team for alerts that have none: the set is compiled anew.
    pub fn set_default_team(&self, team: &str) {
        self.options.send_if_modified(|options| {
            let other = options.default_team != team;
            if other {
                team.clone_into(&mut options.default_team);
            }
            other
        });
    }

    /// The set in force; `None` before the first one is loaded.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CompiledRules>> {
        self.current.load_full()
    }

    /// Waits for the first set; `false` when told to end before.
    pub async fn wait(&self, stop: &CancellationToken) -> bool {
        let mut loaded = self.loaded.subscribe();
        tokio::select! {
            () = stop.cancelled() => false,
            found = loaded.wait_for(|loaded| *loaded) => found.is_ok(),
        }
    }

    /// Follows the store until `stop`.
    ///
    /// # Errors
    ///
    /// Never: a failure is logged, counted and tried again.
    pub async fn follow(
        &self,
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Result<(), String> {
        let mut bell = store.signals().rules.listen();
        let (mut failed_at, mut wait) = (None, Wait::default());
        let begun = self.clock.monotonic();
        let starting = || self.clock.monotonic().saturating_sub(begun) < STARTING;
        let (mut options, mut stale) = (self.options.subscribe(), false);
        while !stop.is_cancelled() {
            bell.mark_unchanged();
            stale |= options.has_changed().unwrap_or(false);
            options.mark_unchanged();
            let in_force = self.current().map(|rules| rules.version());
            match store.rule_set_version().await {
                // Version 0 is a store that nobody has set up yet: it judges nothing.
                Ok(0) if in_force.is_none() => {
                    self.lacks(&mut wait, "the store holds no rule set yet", starting());
                }
                Ok(version) if stale || Some(version) != in_force => {
                    self.load(&store, version, &mut failed_at, &mut wait).await;
                    stale &= failed_at.is_some();
                }
                Ok(_) => {}
                Err(error) if in_force.is_none() => {
                    self.lacks(&mut wait, &error.to_string(), starting());
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = bell.changed() => {}
                Ok(()) = options.changed() => options.mark_changed(),
                () = tokio::time::sleep(RELOAD_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// There is no first set yet: that is shown, told when it is not only `starting`, and nothing is
    /// judged.
    fn lacks(&self, wait: &mut Wait, why: &str, starting: bool) {
        let code = codes::ALERTER_RULES_UNREADABLE;
        self.board.lack(Service::Alerter, Lack::new(RULE_SET, &self.clock, code, why));
        if !starting && wait.is_news(self.clock.monotonic()) {
            tracing::warn!(%code, why, "the Alerter waits for its first rule set");
        }
    }

    async fn load(
        &self,
        store: &Arc<dyn Store>,
        version: i64,
        failed_at: &mut Option<i64>,
        wait: &mut Wait,
    ) {
        let start = self.clock.monotonic();
        let loaded = match store.rule_set(None).await {
            Ok(set) => {
                let options = self.options.borrow().clone();
                tokio::task::block_in_place(|| compile(&set, &options)).map(|c| (set, c))
            }
            Err(error) => Err(error.to_string()),
        };
        match loaded {
            Ok((set, compiled)) => {
                self.current.store(Some(Arc::new(compiled)));
                self.loaded.send_replace(true);
                self.board.has(Service::Alerter, RULE_SET);
                self.show(&set);
                self.reload.observe(self.clock.monotonic().saturating_sub(start).as_secs_f64());
                tracing::info!(
                    version = set.version,
                    rules = set.rules.len(),
                    "a new rule set is in force"
                );
                *failed_at = None;
                wait.over();
            }
            Err(why) => {
                if *failed_at != Some(version) {
                    self.failures.inc();
                    tracing::error!(code = %codes::ALERTER_RULES_UNREADABLE, why, version, "the rule set cannot be used; the last good one stays in force");
                }
                *failed_at = Some(version);
                if self.current().is_none() {
                    self.lacks(wait, &why, false);
                }
            }
        }
    }

    fn show(&self, set: &RuleSet) {
        self.rules.set(set.rules.iter().filter(|rule| rule.is_active).count() as f64);
        self.dev_hosts.set(set.dev_hosts.len() as f64);
        self.teams.set(set.teams.len() as f64);
        self.version.set(set.version as f64);
    }
}

fn compile(set: &RuleSet, options: &CompileOptions) -> Result<CompiledRules, String> {
    CompiledRules::compile(set, options)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}
