//! Wires the services of this process and starts their stages, in flow order.

mod alerter;
mod ingestor;
mod moog_forwarder;
mod remediation;
mod web_ui;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use axum::Router;
use mutt_model::{Clock, IdSource, codes};
use mutt_store::store::Store;

pub(super) use self::ingestor::{configured_keys, mib_places};
use self::moog_forwarder::make_sinks;
pub(super) use self::web_ui::configured_tokens;
use super::engines::Engines;
use super::listeners::Bound;
use super::reload::{Live, Reloaded};
use super::report::Reporter;
use super::settings::{self, Takers};
use super::summary::Summary;
use super::{ServeError, ServeOptions, clock_watch, demo, sources, waiting};
use crate::config::live::LiveConfig;
use crate::config::{Config, Read, SinkConfig};
use crate::health::{HealthBoard, Port};
use crate::net::http::HttpListener;
use crate::secrets::Keyring;
use crate::services::Service;
use crate::services::ingestor::Ingest;
use crate::services::moog_forwarder::MakeSink;
use crate::supervise::{Phase, Supervisor};
use crate::telemetry::metrics::{ServiceMetrics, raise_to};
use crate::{health, secrets};

/// What every service is wired from.
pub(super) struct Wiring<'a> {
    pub(super) supervisor: &'a mut Supervisor,
    pub(super) config: &'a Config,
    board: &'a Arc<HealthBoard>,
    pub(super) clock: &'a Clock,
    takers: Takers,
    settings: Arc<LiveConfig>,
    owner: String,
    pub(super) summary: Summary,
    pub(super) live: Reloaded,
    sinks: BTreeMap<String, (SinkConfig, MakeSink)>,
    pub(super) keyring: &'a Keyring,
    /// The Ingestor of this process, where it runs one.
    ingest: Option<Arc<Ingest>>,
}

/// Starts the stages of `services`.
#[expect(clippy::too_many_arguments, reason = "the composition root is where everything meets")]
pub(super) async fn start(
    supervisor: &mut Supervisor,
    read: Read,
    services: &[Service],
    bound: Bound,
    engines: &Engines,
    board: &Arc<HealthBoard>,
    clock: &Clock,
    options: &ServeOptions,
    keyring: &Keyring,
) -> Result<Live, ServeError> {
    let mut config = read.config.clone();
    if options.demo {
        demo::receiver(supervisor, &mut config).await?;
    }
    let settings = Arc::new(LiveConfig::new(read, &config));
    settings::first_look(&settings, engines.store.as_ref()).await;
    let config = settings.current().config.clone();
    let sinks = make_sinks(&config, clock, keyring)?;
    let summary = Summary {
        data_dir: config.data_dir.clone(),
        file: Summary::file_of(services),
        sinks: config.sinks.keys().cloned().collect(),
        community: match &config.ingestor.snmp {
            snmp if !snmp.communities.is_empty() => Some("COMMUNITY"),
            snmp => snmp.users.is_empty().then_some("public"),
        },
        ..Summary::default()
    };
    let mut wiring = Wiring {
        supervisor,
        config: &config,
        board,
        clock,
        takers: Takers::new(&config),
        settings: Arc::clone(&settings),
        owner: owner_name(clock),
        summary,
        live: Reloaded::default(),
        sinks,
        keyring,
        ingest: None,
    };
    wiring.clock_watch();
    if let (true, Some(queue)) = (services.contains(&Service::Ingestor), &engines.queue) {
        wiring.ingestor(queue, &bound)?;
        wiring.mibs(engines);
    }
    if let (true, Some(queue), Some(store)) =
        (services.contains(&Service::Alerter), &engines.primary, &engines.store)
    {
        wiring.alerter(queue, store, &bound);
    }
    if let Some(store) = &engines.store {
        if services.contains(&Service::MoogForwarder) {
            wiring.moog_forwarder(store, &bound);
        }
        if services.contains(&Service::Remediation) {
            wiring.remediation(store, &bound);
        }
        if services.contains(&Service::WebUi) {
            wiring.live.running = Some(wiring.web_ui(store, engines.queue.as_ref(), &bound)?);
        }
    }
    wiring.waiting(engines);
    wiring.report(services, engines);
    if options.demo {
        demo::traffic(wiring.supervisor, &wiring.summary);
    }
    wiring.takers.running.clone_from(&wiring.live.running);
    let (takers, store) = (Arc::new(wiring.takers), engines.told().cloned());
    let (followed, stop) = (Arc::clone(&settings), wiring.supervisor.stop().working);
    wiring.supervisor.start(Phase::Working, "settings", move || {
        Box::pin(Arc::clone(&takers).follow(Arc::clone(&followed), store.clone(), stop.clone()))
    });
    let (summary, reloaded) = (wiring.summary, Arc::new(wiring.live));
    let config = Arc::new(ArcSwap::from_pointee(config));
    Ok(Live { summary, reloaded, config, settings, keyring: keyring.clone() })
}

/// This start of this process, as leases show it: host, process id, and what no other start has. In
/// containers the first two are often those of others, too.
fn owner_name(clock: &Clock) -> String {
    let start = IdSource::from_entropy().next(clock.wall());
    format!("{}:{}:{start}", host_name(), std::process::id())
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "mutt".to_owned())
}

impl Wiring<'_> {
    /// Metrics of one service, with the count of restarts of this process.
    fn metrics(&self) -> Arc<ServiceMetrics> {
        let metrics = ServiceMetrics::new(self.clock);
        let counter = metrics.counters(&mutt_model::metrics::STAGE_RESTARTS);
        let counter = counter.get_or_create(&vec![("stage", "all".to_owned())]).clone();
        let restarts = self.supervisor.restarts();
        metrics.on_scrape(move || {
            raise_to(&counter, restarts.load(Ordering::Relaxed));
        });
        let (version, in_force) = (
            metrics.gauge(&mutt_model::metrics::SETTINGS_VERSION),
            Arc::clone(&self.takers.in_force),
        );
        metrics.on_scrape(move || {
            version.set(in_force.load(Ordering::Acquire) as f64);
        });
        self.keyring.export(&metrics);
        Arc::new(metrics)
    }

    /// Serves health, metrics and `routes` on a listener.
    fn serve(
        &mut self,
        service: Service,
        listener: &Arc<HttpListener>,
        metrics: &Arc<ServiceMetrics>,
        routes: Router,
    ) {
        let port = Port { service, board: Arc::clone(self.board), metrics: Arc::clone(metrics) };
        let router = health::router(port).merge(routes);
        let stop = self.supervisor.stop();
        let (phase, token) = match service {
            Service::Ingestor => (Phase::Accepting, stop.accepting),
            _ => (Phase::Serving, stop.serving),
        };
        let listener = Arc::clone(listener);
        self.supervisor.start(phase, format!("{service} http"), move || {
            let (listener, router, token) = (Arc::clone(&listener), router.clone(), token.clone());
            Box::pin(async move {
                listener.serve(router, token).await;
                Ok(())
            })
        });
    }

    fn serve_health(
        &mut self,
        service: Service,
        listeners: &[Arc<HttpListener>],
        metrics: &Arc<ServiceMetrics>,
    ) {
        for listener in listeners {
            if let Ok(address) = listener.local() {
                self.summary.health.push((service.name(), address));
            }
            self.serve(service, listener, metrics, Router::new());
        }
    }

    /// Tells the store that this process lives.
    fn report(&mut self, services: &[Service], engines: &Engines) {
        let Some(store) = engines.told().cloned() else { return };
        self.report_sources(&store);
        let dir = &self.config.data_dir;
        let mut reporter = Reporter::new(services, host_name(), dir, engines.watched(), self.clock);
        let (board, settings) = (Arc::clone(self.board), Arc::clone(&self.settings));
        reporter.runs_with(board, settings, self.takers.rules.clone());
        reporter.hears_by(self.ingest.clone());
        let reporter = Arc::new(reporter);
        let stop = self.supervisor.stop().working;
        self.supervisor.start(Phase::Working, "process report", move || {
            Box::pin(Arc::clone(&reporter).run(Arc::clone(&store), stop.clone()))
        });
    }

    /// Tells of engines that are away, and sets the store up when it is there.
    fn waiting(&mut self, engines: &Engines) {
        let (board, clock) = (Arc::clone(self.board), self.clock.clone());
        let stop = self.supervisor.stop().serving;
        self.supervisor.start(Phase::Serving, "engine watch", move || {
            Box::pin(waiting::tell(Arc::clone(&board), clock.clone(), stop.clone()))
        });
        let Some(store) = engines.store.clone() else { return };
        let sinks: Vec<String> = self.config.sinks.keys().cloned().collect();
        let (clock, stop) = (self.clock.clone(), self.supervisor.stop().working);
        self.supervisor.start(Phase::Working, "store setup", move || {
            Box::pin(waiting::set_up(
                Arc::clone(&store),
                sinks.clone(),
                clock.clone(),
                stop.clone(),
            ))
        });
    }

    fn clock_watch(&mut self) {
        let (clock, stop) = (self.clock.clone(), self.supervisor.stop().working);
        self.supervisor.start(Phase::Working, "clock watch", move || {
            Box::pin(clock_watch::run(clock.clone(), stop.clone()))
        });
    }

    /// Tells the store of the sources of this process.
    fn report_sources(&mut self, store: &Arc<dyn Store>) {
        let Some(ingest) = &self.ingest else { return };
        let (heard, store, host) = (Arc::clone(&ingest.sources), Arc::clone(store), host_name());
        let stop = self.supervisor.stop().working;
        self.supervisor.start(Phase::Working, "source report", move || {
            let (heard, store) = (Arc::clone(&heard), Arc::clone(&store));
            Box::pin(sources::run(heard, store, host.clone(), stop.clone()))
        });
    }
}

fn first_start(config: &Config) -> Result<secrets::FirstStart, ServeError> {
    secrets::first_start(&config.data_dir).map_err(|error| {
        ServeError::new(codes::START_FAILED, format!("the first tokens cannot be written: {error}"))
    })
}

fn scheme(listener: &HttpListener) -> &'static str {
    if listener.is_tls() { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_starts_of_one_process_id_on_one_host_are_two_owners() {
        let (one, two) = (owner_name(&Clock::System), owner_name(&Clock::System));
        assert_ne!(one, two);
        let pid = std::process::id().to_string();
        assert_eq!(one.split(':').nth(1), Some(pid.as_str()), "{one}");
    }
}
