//! Tells the store every few seconds that this process lives, and what it runs with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, IdSource, Timestamp};
use mutt_store::state::EngineState;
use mutt_store::store::{Dependency, PROCESS_REPORT_PERIOD, ProcessReport, ProcessSpill, Store};
use tokio_util::sync::CancellationToken;

use crate::config::live::LiveConfig;
use crate::health::{Engines, HealthBoard, Lack, Look, QUEUE, STORE};
use crate::services::Service;
use crate::services::alerter::rest;
use crate::services::alerter::rules::LiveRules;
use crate::services::ingestor::Ingest;

/// How late at most it is told that a spill began or ended.
const SPILL_LOOK_PERIOD: Duration = Duration::from_millis(100);

/// What is told of this process.
#[derive(Debug)]
pub(super) struct Reporter {
    /// What never changes while it runs.
    base: ProcessReport,
    engines: Engines,
    /// What its services noted of themselves.
    board: Option<Arc<HealthBoard>>,
    /// Settings and rule set in force.
    settings: Option<Arc<LiveConfig>>,
    rules: Option<Arc<LiveRules>>,
    /// What its listeners count.
    ingest: Option<Arc<Ingest>>,
}

fn dependency(look: &Look<EngineState>) -> Dependency {
    match look() {
        EngineState::Ready => Dependency { ready: true, since: None, code: None, why: None },
        EngineState::Away { since, code, why } => Dependency {
            ready: false,
            since: Some(since),
            code: Some(code.id.to_owned()),
            why: Some(why),
        },
    }
}

fn lacking(lack: Lack) -> (String, Dependency) {
    let Lack { dependency, code, why, since } = lack;
    let (since, code, why) = (Some(since), Some(code.to_owned()), Some(why));
    (dependency.to_owned(), Dependency { ready: false, since, code, why })
}

impl Reporter {
    /// For this process, from now on.
    pub(super) fn new(
        services: &[Service],
        host: String,
        data_dir: &Path,
        engines: Engines,
        clock: &Clock,
    ) -> Self {
        let started_at: Timestamp = clock.wall();
        let base = ProcessReport {
            id: IdSource::from_entropy().next(started_at).to_string(),
            services: services.iter().map(|service| service.name().to_owned()).collect(),
            host,
            pid: std::process::id(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            data_dir: data_dir.display().to_string(),
            ..ProcessReport::default()
        };
        Self { base, engines, board: None, settings: None, rules: None, ingest: None }
    }

    /// What it runs with is told, too, and what its services note.
    pub(super) fn runs_with(
        &mut self,
        board: Arc<HealthBoard>,
        settings: Arc<LiveConfig>,
        rules: Option<Arc<LiveRules>>,
    ) {
        self.board = Some(board);
        self.settings = Some(settings);
        self.rules = rules;
    }

    /// What its listeners count is told, too.
    pub(super) fn hears_by(&mut self, ingest: Option<Arc<Ingest>>) {
        self.ingest = ingest;
    }

    /// How it is now.
    pub(super) fn report(&self) -> ProcessReport {
        let engines = &self.engines;
        let looked = [(QUEUE, &engines.primary), (STORE, &engines.store)];
        let noted = self.board.iter().flat_map(|board| board.noted());
        let dependencies: BTreeMap<String, Dependency> = looked
            .into_iter()
            .filter_map(|(name, look)| Some((name.to_owned(), dependency(look.as_ref()?))))
            .chain(noted.map(lacking))
            .collect();
        let spill = engines.spill.as_ref().and_then(|spill| spill());
        let spilled_events = spill.as_ref().map_or(0, |spill| spill.pending_events);
        let in_force = self.settings.as_ref().map(|live| live.current());
        let judging = self.rules.as_ref().and_then(|rules| rules.current());
        ProcessReport {
            spilled_events,
            spill: spill.map(|spill| ProcessSpill {
                place: spill.place,
                spilling_since: spill.spilling_since,
                why: spill.why,
                oldest_received_at: spill.oldest_received_at,
                bytes: spill.bytes,
            }),
            dependencies,
            listeners: self.ingest.as_ref().map(|i| i.listeners()).unwrap_or_default(),
            starved: self.ingest.as_ref().is_some_and(|ingest| ingest.is_starved()),
            settings: in_force.as_ref().and_then(|now| now.version),
            settings_ignored: in_force.map(|now| now.ignored.clone()).unwrap_or_default(),
            ruleset: judging.map(|rules| rules.version()),
            ..self.base.clone()
        }
    }

    /// Waits until the next report is due. That a spill began or ended since the last one is told at
    /// once: until then the ledger does not know where the events are.
    async fn rest(&self, last: &ProcessReport, stop: &CancellationToken) {
        let told = last.spill.as_ref().is_some_and(|spill| spill.spilling_since.is_some());
        let spill = || self.engines.spill.as_ref().and_then(|spill| spill());
        let looks = PROCESS_REPORT_PERIOD.as_millis() / SPILL_LOOK_PERIOD.as_millis();
        for _ in 0..looks {
            rest(stop, SPILL_LOOK_PERIOD).await;
            let spills = spill().is_some_and(|spill| spill.spilling_since.is_some());
            if stop.is_cancelled() || spills != told {
                return;
            }
        }
    }

    /// Reports until `stop`, then ends the report. While the store is away nobody can be told.
    ///
    /// # Errors
    ///
    /// Never.
    pub(super) async fn run(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Result<(), String> {
        while !stop.is_cancelled() {
            let report = self.report();
            if let Err(error) = store.report_process(&report).await {
                tracing::debug!(%error, "the process could not report");
            }
            self.rest(&report, &stop).await;
        }
        // What was spilled since is not forgotten with the report.
        if let Err(error) = store.report_process(&self.report()).await {
            tracing::debug!(%error, "the process could not report its end");
        }
        if let Err(error) = store.end_process(&self.base.id).await {
            tracing::debug!(%error, "the process's report ends by its age");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mutt_model::codes;
    use mutt_store::queue::SpillStats;
    use mutt_store::sqlite::{SqliteOptions, SqliteStore};
    use mutt_store::store::SettingsStore as _;

    use super::*;
    use crate::health::ARCHIVE;
    use crate::secrets::Keyring;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_process_is_listed_with_what_it_needs_and_is_gone_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
        let away = EngineState::Away {
            since: Timestamp::from_secs(5),
            code: codes::STORE_OPEN,
            why: "refused".to_owned(),
        };
        let engines = Engines {
            primary: Some(Arc::new(move || away.clone())),
            store: Some(Arc::new(|| EngineState::Ready)),
            spill: Some(Arc::new(|| {
                Some(SpillStats { pending_events: 7, ..SpillStats::default() })
            })),
            ..Engines::default()
        };
        let services = [Service::Ingestor, Service::Alerter];
        let mut reporter =
            Reporter::new(&services, "a".to_owned(), dir.path(), engines, &Clock::System);
        let keyring = Keyring::empty(Clock::System);
        let board = HealthBoard::new(Clock::System, Engines::default(), keyring);
        let lack = Lack::new(ARCHIVE, &Clock::System, codes::ARCHIVE_UNWRITABLE, "full");
        board.note(Service::Remediation, lack);
        reporter.board = Some(Arc::new(board));
        let reporter = Arc::new(reporter);
        let stop = CancellationToken::new();
        let told: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let running = Arc::clone(&reporter).run(told, stop.clone());
        let watched = async {
            let mut listed = store.processes().await.unwrap();
            while listed.is_empty() {
                tokio::task::yield_now().await;
                listed = store.processes().await.unwrap();
            }
            stop.cancel();
            listed
        };
        let both = async { tokio::join!(running, watched) };
        let (ended, listed) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        ended.unwrap();
        let report = &listed[0].report;
        assert_eq!((listed.len(), report.host.as_str(), report.spilled_events), (1, "a", 7));
        assert!(report.services.contains("alerter") && report.services.contains("ingestor"));
        let queue = &report.dependencies[QUEUE];
        assert_eq!((queue.ready, queue.why.as_deref()), (false, Some("refused")));
        assert!(report.dependencies[STORE].ready);
        let archive = &report.dependencies[ARCHIVE];
        assert_eq!((archive.ready, archive.code.as_deref()), (false, Some("MUTT-R003")));
        assert!(store.processes().await.unwrap().is_empty(), "it ended in order");
    }
}
