//! Follows the settings in the store and puts them in force in this process: log level, routing of the
//! Alerter, limits of the lanes, rounds and retention of Remediation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_notify::LaneConfig;
use mutt_store::store::{CommitPolicy, RetentionPolicy, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::live::{InForce, LiveConfig};
use crate::config::{Config, SinkConfig};
use crate::services::alerter::rules::LiveRules;
use crate::services::remediation::Limits;
use crate::services::web_ui::Running;
use crate::telemetry::logs;

/// The version is looked at this often, also when nothing rings.
const POLL_PERIOD: Duration = Duration::from_millis(250);
/// At the start the store is waited for this long; afterwards the settings come when it is there.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// The running parts that take settings over.
#[derive(Debug)]
pub(super) struct Takers {
    /// Of Alerter and Remediation.
    pub(super) policy: Arc<ArcSwap<CommitPolicy>>,
    /// Of each sink's lane.
    pub(super) lanes: BTreeMap<String, watch::Sender<LaneConfig>>,
    /// Of Remediation.
    pub(super) limits: watch::Sender<Limits>,
    /// The rule set is compiled with a default team.
    pub(super) rules: Option<Arc<LiveRules>>,
    /// What the web service shows.
    pub(super) running: Option<Arc<Running>>,
    /// The version that was put in force last.
    pub(super) in_force: Arc<AtomicI64>,
}

/// The limits of a sink's lane.
pub(super) fn lane_config(sink: &SinkConfig) -> LaneConfig {
    LaneConfig {
        max_in_flight: sink.in_flight,
        probe_every: sink.probe_interval,
        retry_for: sink.retry_for,
        ..sink
            .rate
            .map_or_else(|| LaneConfig { rate: None, ..LaneConfig::default() }, LaneConfig::at_rate)
    }
}

/// The limits of Remediation.
pub(super) fn limits(config: &Config) -> Limits {
    let retention = &config.store.retention;
    Limits {
        retention: RetentionPolicy {
            handled: retention.handled,
            unhandled: retention.unhandled,
            alerts: retention.alerts,
            attempts: retention.attempts,
            receipts: retention.receipts,
            changes: retention.changes,
            max_bytes: config.store.max_bytes,
            archive: config.store.archive.dir.clone(),
        },
        interval: config.remediation.interval,
        redrive_batch: config.remediation.redrive_batch,
        quiet: config.remediation.quiet.policy(),
        keep_sources: retention.sources,
        max_sources: config.ingestor.max_sources,
    }
}

impl Takers {
    /// For a configuration, before anything runs.
    pub(super) fn new(config: &Config) -> Self {
        let policy = CommitPolicy {
            unhandled_threshold: config.alerter.unhandled_threshold,
            unhandled_window: config.alerter.unhandled_window,
            default_team: config.alerter.default_team.clone(),
            sinks: config.sinks.iter().map(|(name, sink)| sink.route(name)).collect(),
        };
        let lanes = config.sinks.iter();
        Self {
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            lanes: lanes.map(|(n, s)| (n.clone(), watch::Sender::new(lane_config(s)))).collect(),
            limits: watch::Sender::new(limits(config)),
            rules: None,
            running: None,
            in_force: Arc::default(),
        }
    }

    /// Puts a configuration in force, as far as it may change while MUTT runs.
    fn take(&self, now: &InForce) {
        let config = &now.config;
        logs::set_level(&config.log.level);
        let before = self.policy.load_full();
        let policy = CommitPolicy {
            unhandled_threshold: config.alerter.unhandled_threshold,
            unhandled_window: config.alerter.unhandled_window,
            default_team: config.alerter.default_team.clone(),
            // Which sinks there are is no setting.
            sinks: before.sinks.clone(),
        };
        if *before != policy {
            self.policy.store(Arc::new(policy));
        }
        for (name, lane) in &self.lanes {
            if let Some(sink) = config.sinks.get(name) {
                set(lane, lane_config(sink));
            }
        }
        // What of it is no setting stays as it was at the start.
        let started = self.limits.borrow().retention.clone();
        let mut limits = limits(config);
        limits.retention.max_bytes = started.max_bytes;
        limits.retention.archive = started.archive;
        set(&self.limits, limits);
        if let Some(rules) = &self.rules {
            rules.set_default_team(&config.alerter.default_team);
        }
        if let Some(running) = &self.running {
            running.config.store(Arc::new(config.redacted()));
        }
        self.in_force.store(now.version.unwrap_or(0), Ordering::Release);
    }

    /// Puts in force what changes, until `stop`. Without a store only the file changes.
    ///
    /// # Errors
    ///
    /// Never: while the store is away, what is in force stays.
    pub(super) async fn follow(
        self: Arc<Self>,
        live: Arc<LiveConfig>,
        store: Option<Arc<dyn Store>>,
        stop: CancellationToken,
    ) -> Result<(), String> {
        let mut changes = live.subscribe();
        let mut taken: Option<Arc<InForce>> = None;
        let mut bell = store.as_ref().map(|store| store.signals().settings.listen());
        while !stop.is_cancelled() {
            if let Some(bell) = &mut bell {
                bell.mark_unchanged();
            }
            if let Some(store) = &store {
                look(&live, store).await;
            }
            let now = changes.borrow_and_update().clone();
            if !taken.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, &now)) {
                self.take(&now);
                taken = Some(now);
            }
            let rung = async {
                match &mut bell {
                    Some(bell) => bell.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                true = rung => {}
                Ok(()) = changes.changed() => changes.mark_changed(),
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }
}

fn set<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|held| {
        let other = *held != value;
        if other {
            *held = value;
        }
        other
    });
}

/// Takes the settings of the store when they are other ones.
async fn look(live: &LiveConfig, store: &Arc<dyn Store>) {
    let Ok(version) = store.settings_version().await else { return };
    if live.current().version == Some(version) {
        return;
    }
    if let Ok(settings) = store.settings(None).await {
        tracing::info!(version = settings.version, "settings are in force");
        live.take(settings);
    }
}

/// The settings before anything runs, when the store has them soon.
pub(super) async fn first_look(live: &LiveConfig, store: Option<&Arc<dyn Store>>) {
    let Some(store) = store else { return };
    if tokio::time::timeout(FIRST_LOOK, look(live, store)).await.is_err() {
        tracing::info!("the store is away: the configuration is in force without settings");
    }
}
