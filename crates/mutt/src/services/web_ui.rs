//! The Web UI service: what mutt-web needs to know of the running program.

mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use mutt_model::alert::SinkRoute;
use mutt_model::metrics as names;
use mutt_model::{Clock, IdSource, codes};
use mutt_notify::{Sink, test_delivery};
use mutt_store::queue::{EventQueue, QueueStats};
use mutt_store::store::{ProcessReport, Settings, Store};
use mutt_web::{BackupDone, HookError, KeyState, Notice, Program, ServiceHealth, SinkTest, Token};

use super::moog_forwarder::MakeSink;
use crate::config::live::LiveConfig;
use crate::config::v2;
use crate::health::HealthBoard;
use crate::mibs;
use crate::mibs::live::MibNames;
use crate::mibs::report::State;
use crate::secrets::Keyring;
use crate::serve::clock_watch;
use crate::telemetry::metrics::{Counters, Histograms, ServiceMetrics};

/// Modules that did not load in whole and are shown; `muttctl mib check` shows all.
const MIBS_SHOWN_MAX: usize = 200;

/// The running program as the web service sees it.
pub struct Running {
    /// Tokens in force.
    pub tokens: ArcSwap<Vec<Token>>,
    /// The effective configuration, redacted.
    pub config: ArcSwap<serde_json::Value>,
    /// Configured sinks.
    pub sinks: Vec<SinkRoute>,
    /// How to make each.
    pub make_sinks: BTreeMap<String, MakeSink>,
    /// Configuration and settings in force.
    pub live: Arc<LiveConfig>,
    /// The event queue, where it is in this process.
    pub queue: Option<Arc<dyn EventQueue>>,
    /// The store, for backups.
    pub store: Arc<dyn Store>,
    /// How the services are.
    pub board: Arc<HealthBoard>,
    /// What everybody should know.
    pub notices: ArcSwap<Vec<Notice>>,
    /// This host's name.
    pub host: String,
    /// `data_dir`
    pub data_dir: PathBuf,
    /// The Ingestor's names of OIDs, where it is in this process.
    pub mibs: Option<Arc<MibNames>>,
    /// What cannot be read again is a notice.
    pub keyring: Keyring,
    /// Time.
    pub clock: Clock,
    /// Requests by route.
    pub metrics: WebMetrics,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// The Web UI's metrics.
#[derive(Debug)]
pub struct WebMetrics {
    requests: Counters,
    latency: Histograms,
}

impl WebMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &ServiceMetrics) -> Self {
        Self {
            requests: metrics.counters(&names::WEB_REQUESTS),
            latency: metrics.histograms(&names::WEB_LATENCY),
        }
    }
}

fn done(path: &std::path::Path) -> BackupDone {
    let bytes = std::fs::metadata(path).map(|m| m.len()).unwrap_or_default();
    BackupDone { file: path.display().to_string(), bytes }
}

impl Running {
    fn sink(&self, name: &str) -> Result<Arc<dyn Sink>, HookError> {
        let make = self
            .make_sinks
            .get(name)
            .ok_or_else(|| HookError::NotFound(format!("no sink is called `{name}`")))?;
        make().map_err(HookError::Unavailable)
    }

    /// A backup goes into `<data_dir>/backups` by name, or to an absolute path.
    fn backup_path(&self, file: &str) -> Result<PathBuf, HookError> {
        let path = PathBuf::from(file);
        if path.is_absolute() {
            return Ok(path);
        }
        let plain = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if file.is_empty() || !plain {
            return Err(HookError::Bad("name a file, or an absolute path".to_owned()));
        }
        let folder = self.data_dir.join("backups");
        std::fs::create_dir_all(&folder).map_err(|e| HookError::Unavailable(e.to_string()))?;
        Ok(folder.join(path))
    }
}

#[async_trait]
impl Program for Running {
    fn tokens(&self) -> Arc<[Token]> {
        self.tokens.load().as_slice().into()
    }

    async fn queue(&self) -> QueueStats {
        let Some(queue) = &self.queue else { return QueueStats::default() };
        queue.refresh().await;
        queue.stats()
    }

    fn is_own(&self, report: &ProcessReport) -> bool {
        report.pid == std::process::id() && report.host == self.host
    }

    fn config(&self) -> serde_json::Value {
        self.config.load().as_ref().clone()
    }

    fn keys(&self, settings: Option<&Settings>) -> Vec<KeyState> {
        match settings {
            Some(settings) => settings::shown(&self.live.with(settings)),
            None => settings::shown(&self.live.current()),
        }
    }

    fn check_setting(
        &self,
        key: &str,
        value: Option<&str>,
        settings: &Settings,
    ) -> Result<mutt_web::Role, HookError> {
        settings::check(&self.live, key, value, settings)
    }

    fn read_mib(&self, octets: &[u8]) -> (String, Vec<String>) {
        let text = mibs::mended(octets);
        let modules = mibs::modules(&text);
        (text, modules)
    }

    fn mibs(&self) -> Option<serde_json::Value> {
        let report = self.mibs.as_ref()?.report.load();
        let wrong = report.entries.iter().filter(|entry| entry.state != State::Loaded);
        let wrong: Vec<_> = wrong.take(MIBS_SHOWN_MAX).collect();
        Some(serde_json::json!({
            "files": report.files, "loaded": report.loaded, "partial": report.partial,
            "failed": report.failed, "duplicate": report.duplicate, "names": report.names,
            "wrong": wrong,
        }))
    }

    fn earlier_keys(&self) -> Vec<(String, &'static str)> {
        v2::live_names().collect()
    }

    fn earlier_setting(&self, name: &str, value: &str) -> Option<(&'static str, String)> {
        v2::live_setting(name, value)
    }

    fn sinks(&self) -> Vec<SinkRoute> {
        self.sinks.clone()
    }

    fn default_team(&self) -> String {
        self.live.current().config.alerter.default_team.clone()
    }

    fn services(&self) -> Vec<ServiceHealth> {
        let service =
            |(service, condition): (crate::services::Service, crate::health::Condition)| {
                let lacks = condition.missing.iter().chain(&condition.notes);
                let lacks: Vec<String> = lacks.map(ToString::to_string).collect();
                ServiceHealth {
                    name: service.name().to_owned(),
                    ready: condition.ready,
                    state: condition.state,
                    since: Some(condition.since),
                    detail: (!lacks.is_empty()).then(|| lacks.join("; ")),
                }
            };
        self.board.all().into_iter().map(service).collect()
    }

    fn notices(&self) -> Vec<Notice> {
        let mut notices = self.notices.load().as_ref().clone();
        if self.sinks.is_empty() {
            notices.push(Notice {
                level: "warning".to_owned(),
                code: None,
                text: "No sink is configured: alerts are kept, nothing is delivered.".to_owned(),
            });
        }
        if let Some(trouble) = self.keyring.trouble() {
            let (why, since) = (trouble.why, trouble.since);
            notices.push(Notice {
                level: "error".to_owned(),
                code: Some(trouble.code.id.to_owned()),
                text: format!("Secrets cannot be read again since {since}: {why}. Those that were read stay in force."),
            });
        }
        for lack in self.board.noted() {
            notices.push(Notice {
                level: "error".to_owned(),
                code: Some(lack.code.to_owned()),
                text: format!("Without the {lack}"),
            });
        }
        let behind = clock_watch::behind(&self.clock).as_secs();
        if behind > 0 {
            notices.push(Notice {
                level: "error".to_owned(),
                code: Some(codes::CLOCK_STEP.id.to_owned()),
                text: format!(
                    "The clock of this host was set back: it is {behind} s behind the newest event."
                ),
            });
        }
        notices
    }

    fn rules_changed(&self, version: i64) {
        tracing::debug!(version, "the rule set was changed");
    }

    fn observe(&self, endpoint: &str, _method: &str, status: u16, took: Duration) {
        let outcome = match status {
            0..400 => "success",
            400..500 => "error_invalid",
            _ => "fail_unknown",
        };
        let endpoint = ("endpoint", endpoint.to_owned());
        let labels = vec![endpoint.clone(), ("status", outcome.to_owned())];
        self.metrics.requests.get_or_create(&labels).inc();
        self.metrics.latency.get_or_create(&vec![endpoint]).observe(took.as_secs_f64());
    }

    async fn test_sink(&self, name: &str) -> Result<SinkTest, HookError> {
        let sink = self.sink(name)?;
        let now = self.clock.wall();
        let delivery = test_delivery(name, IdSource::from_entropy().next(now), now);
        let attempt = sink.send(&delivery).await;
        Ok(SinkTest {
            ok: attempt.outcome == mutt_model::delivery::Outcome::Ok,
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            detail: format!("{}: {}", attempt.class, attempt.detail),
        })
    }

    async fn backup(&self, file: &str) -> Result<BackupDone, HookError> {
        let path = self.backup_path(file)?;
        self.store
            .backup(&path, Box::new(|_, _| {}))
            .await
            .map_err(|error| HookError::Conflict(error.to_string()))?;
        Ok(done(&path))
    }

    async fn restore(&self, file: &str) -> Result<BackupDone, HookError> {
        let path = self.backup_path(file)?;
        if !path.exists() {
            return Err(HookError::NotFound(format!("there is no file {}", path.display())));
        }
        self.store.restore(&path).await.map_err(|error| HookError::Conflict(error.to_string()))?;
        Ok(done(&path))
    }
}
