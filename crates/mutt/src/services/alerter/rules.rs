//! The rule set in force: looked for several times a second, compiled beside the old one, swapped in
//! whole. A failed load never means an empty set: the last good one stays.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::metrics as names;
use mutt_model::rule::RuleSet;
use mutt_model::{Clock, codes};
use mutt_rules::{CompileOptions, CompiledRules};
use mutt_store::store::Store;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio_util::sync::CancellationToken;

use super::rest;
use crate::telemetry::metrics::{FloatGauge, ServiceMetrics};

/// How often the version is looked at.
pub const RELOAD_PERIOD: Duration = Duration::from_millis(200);

/// The rule set in force.
#[derive(Debug)]
pub struct LiveRules {
    current: ArcSwap<CompiledRules>,
    options: CompileOptions,
    clock: Clock,
    reload: Histogram,
    failures: Counter,
    rules: FloatGauge,
    dev_hosts: FloatGauge,
    teams: FloatGauge,
    version: FloatGauge,
}

impl LiveRules {
    /// Loads and compiles the set in force.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or the set does not compile: there is no last good one yet.
    pub async fn load(
        store: &Arc<dyn Store>,
        options: CompileOptions,
        clock: Clock,
        metrics: &ServiceMetrics,
    ) -> Result<Self, String> {
        let set = store.rule_set(None).await.map_err(|e| e.to_string())?;
        let compiled = compile(&set, &options)?;
        let live = Self {
            current: ArcSwap::from_pointee(compiled),
            options,
            clock,
            reload: metrics.histogram(&names::ALERTER_RELOAD),
            failures: metrics.counter(&names::ALERTER_RELOAD_FAILURES),
            rules: metrics.gauge(&names::ALERTER_RULES),
            dev_hosts: metrics.gauge(&names::ALERTER_DEV_HOSTS),
            teams: metrics.gauge(&names::ALERTER_TEAMS),
            version: metrics.gauge(&names::ALERTER_RULESET),
        };
        live.show(&set);
        Ok(live)
    }

    /// The set in force.
    #[must_use]
    pub fn current(&self) -> Arc<CompiledRules> {
        self.current.load_full()
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
        let mut failed_at = None;
        while !stop.is_cancelled() {
            rest(&stop, RELOAD_PERIOD).await;
            let version = match store.rule_set_version().await {
                Ok(version) if version != self.current().version() => version,
                _ => continue,
            };
            let start = self.clock.monotonic();
            let loaded = match store.rule_set(None).await {
                Ok(set) => {
                    tokio::task::block_in_place(|| compile(&set, &self.options)).map(|c| (set, c))
                }
                Err(error) => Err(error.to_string()),
            };
            match loaded {
                Ok((set, compiled)) => {
                    self.current.store(Arc::new(compiled));
                    self.show(&set);
                    self.reload.observe(self.clock.monotonic().saturating_sub(start).as_secs_f64());
                    tracing::info!(
                        version = set.version,
                        rules = set.rules.len(),
                        "a new rule set is in force"
                    );
                    failed_at = None;
                }
                Err(why) => {
                    if failed_at != Some(version) {
                        self.failures.inc();
                        tracing::error!(code = %codes::ALERTER_RULES_UNREADABLE, why, version, "the rule set cannot be used; the last good one stays in force");
                    }
                    failed_at = Some(version);
                }
            }
        }
        Ok(())
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
