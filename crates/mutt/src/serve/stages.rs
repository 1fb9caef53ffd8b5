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
<<<<<<< HEAD
=======

    fn syslog(&mut self, ingest: &Arc<Ingest>, bound: &Bound) {
        let syslog = &self.config.ingestor.syslog;
        let max_message = usize::try_from(syslog.max_message).unwrap_or(usize::MAX);
        let options = syslog.options();
        let reading = syslog_udp::Reading { max_message, options: options.clone() };
        for socket in &bound.syslog_udp {
            self.summary.syslog_udp.push(socket.local());
            let (ingest, socket, stop) =
                (Arc::clone(ingest), Arc::clone(socket), self.supervisor.stop().accepting);
            let reading = reading.clone();
            self.supervisor.start(Phase::Accepting, syslog_udp::NAME, move || {
                Box::pin(syslog_udp::run(
                    Arc::clone(&ingest),
                    Arc::clone(&socket),
                    reading.clone(),
                    stop.clone(),
                ))
            });
        }
        // Sockets that share an address are one listener to those who send.
        self.summary.syslog_udp.dedup();
        let limits = Arc::new(streams::Limits {
            max_message,
            max_connections: syslog.max_connections,
            max_per_source: syslog.max_connections_per_source,
            idle_timeout: syslog.idle_timeout,
            message_timeout: syslog.message_timeout,
            first_timeout: None,
            keepalive: syslog.keepalive,
            proxies: syslog.proxy_protocol.believed(&syslog.proxy_sources),
            options: Arc::new(options),
            snmp: None,
        });
        for door in &bound.syslog_streams {
            if let Ok(address) = door.listener.local_addr() {
                self.summary.syslog_streams.push((door.name(), address));
            }
            let (ingest, door, stop) =
                (Arc::clone(ingest), Arc::clone(door), self.supervisor.stop().accepting);
            let limits = Arc::clone(&limits);
            self.supervisor.start(Phase::Accepting, door.name(), move || {
                Box::pin(streams::run(
                    Arc::clone(&ingest),
                    Arc::clone(&door),
                    Arc::clone(&limits),
                    stop.clone(),
                ))
            });
        }
    }

    /// Names of MIBs are read beside everything else: what is built in is in force meanwhile.
    fn mibs(&mut self, engines: &Engines) {
        let loading = mibs::live::Loading {
            mibs: Arc::clone(&self.live.mibs),
            places: Arc::clone(&self.live.mib_places),
            store: engines.told().cloned(),
            clock: self.clock.clone(),
        };
        loading.places.store(Arc::new(mib_places(self.config)));
        self.live.has_mibs = true;
        let stop = self.supervisor.stop().accepting;
        self.supervisor.start(Phase::Accepting, "mibs", move || {
            Box::pin(mibs::live::follow(loading.clone(), stop.clone()))
        });
    }

    fn http_door(&mut self, ingest: &Arc<Ingest>) -> Result<Arc<HttpDoor>, ServeError> {
        let Some(http) = &self.config.ingestor.http else {
            return Err(ServeError::new(codes::START_FAILED, "no [ingestor.http]"));
        };
        let mut keys = configured_keys(self.keyring, &http.keys);
        if keys.is_empty() {
            let first = first_start(self.config)?;
            self.summary.ingest_key = Some(first.ingest_key_file);
            let (name, secrets) = ("ingest-key".to_owned(), vec![first.ingest_key]);
            keys.push(Key { name, secrets, rate: None });
        }
        Ok(Arc::new(HttpDoor {
            metrics: ingest.listener(ingestor::http::NAME),
            ingest: Arc::clone(ingest),
            keys: ArcSwap::from_pointee(keys),
            limits: Limits::default(),
            keyring: self.keyring.clone(),
            options: self.config.ingestor.syslog.options(),
            names: Arc::clone(&self.live.mibs.names),
            max_body: usize::try_from(http.max_body).unwrap_or(usize::MAX),
            max_records: http.max_records,
            timeout: http.request_timeout,
            dedup_window: self.config.ingestor.dedup_window_http,
        }))
    }

    fn alerter(&mut self, queue: &Arc<dyn EventQueue>, store: &Arc<dyn Store>, bound: &Bound) {
        let metrics = self.metrics();
        let options = CompileOptions { default_team: self.config.alerter.default_team.clone() };
        let board = Arc::clone(self.board);
        let rules = LiveRules::new(options, self.clock.clone(), board, &metrics);
        let share = Arc::new(Share::new(queue.shards()));
        let alerter = Arc::new(Alerter {
            queue: Arc::clone(queue),
            store: Arc::clone(store),
            rules: Arc::new(rules),
            policy: Arc::clone(&self.takers.policy),
            clock: self.clock.clone(),
            share: Arc::clone(&share),
            owner: self.owner.clone(),
            suspects: Suspects::new(Some(self.config.data_dir.clone())),
            board: Arc::clone(self.board),
            metrics: AlerterMetrics::new(&metrics),
        });
        self.takers.rules = Some(Arc::clone(&alerter.rules));
        backlog_gauges(&alerter, &metrics);
        let stop = self.supervisor.stop().working;
        for shard in 0..queue.shards() {
            let (alerter, stop) = (Arc::clone(&alerter), stop.clone());
            self.supervisor.start(Phase::Working, format!("alerter shard {shard}"), move || {
                let (alerter, stop) = (Arc::clone(&alerter), stop.clone());
                Box::pin(async move { alerter.run(shard, stop).await })
            });
        }
        let (watched, token) = (Arc::clone(&alerter), stop.clone());
        self.supervisor.start(Phase::Working, "alerter queue watch", move || {
            Box::pin(watch_queue(Arc::clone(&watched), token.clone()))
        });
        let (shared, clock, token) = (Arc::clone(store), self.clock.clone(), stop.clone());
        self.supervisor.start(Phase::Working, "alerter share", move || {
            let (share, store) = (Arc::clone(&share), Arc::clone(&shared));
            Box::pin(share.follow(store, clock.clone(), token.clone()))
        });
        let (rules, store) = (Arc::clone(&alerter.rules), Arc::clone(store));
        self.supervisor.start(Phase::Working, "alerter rules", move || {
            let (rules, store, stop) = (Arc::clone(&rules), Arc::clone(&store), stop.clone());
            Box::pin(async move { rules.follow(store, stop).await })
        });
        self.board.set(Service::Alerter, true, "running");
        self.serve_health(Service::Alerter, &bound.alerter, &metrics);
    }

    fn moog_forwarder(&mut self, store: &Arc<dyn Store>, bound: &Bound) {
        let metrics = self.metrics();
        let counted = Arc::new(ForwarderMetrics::new(&metrics));
        delivery_gauges(store, &metrics, self.supervisor);
        for (name, (config, make)) in &self.sinks {
            let Some(limits) = self.takers.lanes.get(name).map(watch::Sender::subscribe) else {
                continue;
            };
            let lane = Arc::new(Lane {
                name: name.clone(),
                make: Arc::clone(make),
                credential: sink_slot(name, config.auth.as_ref())
                    .map(|slot| self.keyring.live(&slot))
                    .unwrap_or_default(),
                config: limits,
                store: Arc::clone(store),
                clock: self.clock.clone(),
                owner: self.owner.clone(),
                board: Arc::clone(self.board),
                metrics: Arc::clone(&counted),
            });
            let stop = self.supervisor.stop().working;
            self.supervisor.start(Phase::Working, format!("lane {name}"), move || {
                let (lane, stop) = (Arc::clone(&lane), stop.clone());
                Box::pin(async move { lane.run(stop).await })
            });
        }
        self.board.set(Service::MoogForwarder, true, "running");
        self.serve_health(Service::MoogForwarder, &bound.moog_forwarder, &metrics);
    }

    fn remediation(&mut self, store: &Arc<dyn Store>, bound: &Bound) {
        let metrics = self.metrics();
        let remediation = Arc::new(Remediation {
            store: Arc::clone(store),
            policy: Arc::clone(&self.takers.policy),
            limits: self.takers.limits.subscribe(),
            clock: self.clock.clone(),
            board: Arc::clone(self.board),
            metrics: RemediationMetrics::new(&metrics),
        });
        let quiet = Arc::new(QuietWatch {
            store: Arc::clone(store),
            policy: Arc::clone(&self.takers.policy),
            limits: self.takers.limits.subscribe(),
            clock: self.clock.clone(),
            owner: self.owner.clone(),
            metrics: QuietMetrics::new(&metrics),
        });
        let stop = self.supervisor.stop().working;
        let token = stop.clone();
        self.supervisor.start(Phase::Working, "quiet watch", move || {
            Box::pin(Arc::clone(&quiet).run(token.clone()))
        });
        self.supervisor.start(Phase::Working, "remediation", move || {
            let (remediation, stop) = (Arc::clone(&remediation), stop.clone());
            Box::pin(async move { remediation.run(stop).await })
        });
        self.serve_health(Service::Remediation, &bound.remediation, &metrics);
    }

    fn web_ui(
        &mut self,
        store: &Arc<dyn Store>,
        queue: Option<&Arc<dyn EventQueue>>,
        bound: &Bound,
    ) -> Result<Arc<Running>, ServeError> {
        let metrics = self.metrics();
        let running = Arc::new(Running {
            tokens: ArcSwap::from_pointee(self.tokens()?),
            config: ArcSwap::from_pointee(self.config.redacted()),
            sinks: self.takers.policy.load().sinks.clone(),
            live: Arc::clone(&self.settings),
            make_sinks: self
                .sinks
                .iter()
                .map(|(name, (_, make))| (name.clone(), Arc::clone(make)))
                .collect(),
            queue: queue.cloned(),
            store: Arc::clone(store),
            board: Arc::clone(self.board),
            notices: ArcSwap::from_pointee(small_buffers(bound)),
            host: host_name(),
            data_dir: self.config.data_dir.clone(),
            mibs: self.live.has_mibs.then(|| Arc::clone(&self.live.mibs)),
            keyring: self.keyring.clone(),
            clock: self.clock.clone(),
            metrics: WebMetrics::new(&metrics),
        });
        let Some(listener) = &bound.web_ui else { return Ok(running) };
        if let Ok(address) = listener.local() {
            self.summary.web_ui = Some((scheme(listener), address));
        }
        let (tell, stop) = tokio::sync::watch::channel(false);
        let token = self.supervisor.stop().working;
        let tell = Arc::new(tell);
        self.supervisor.start(Phase::Working, "web-ui stop", move || {
            let (token, tell) = (token.clone(), Arc::clone(&tell));
            Box::pin(async move {
                token.cancelled().await;
                tell.send_replace(true);
                Ok(())
            })
        });
        let state = WebState::new(WebParts {
            store: Arc::clone(store),
            program: Arc::clone(&running) as Arc<dyn mutt_web::Program>,
            clock: self.clock.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            secure: listener.is_tls() || self.config.web_ui.behind_proxy,
            stop,
        })
        .map_err(|why| ServeError::new(codes::START_FAILED, why))?;
        let routes = mutt_web::router(state).layer(axum::middleware::map_request(tell_peer));
        self.board.set(Service::WebUi, true, "running");
        self.serve(Service::WebUi, listener, &metrics, routes);
        Ok(running)
    }

    fn tokens(&mut self) -> Result<Vec<Token>, ServeError> {
        if !self.config.web_ui.tokens.is_empty() {
            return Ok(configured_tokens(self.keyring, self.config));
        }
        let first = first_start(self.config)?;
        self.summary.admin_token = Some(first.admin_token_file);
        Ok(vec![Token {
            name: "admin".to_owned(),
            role: mutt_web::Role::Admin,
            secret: first.admin_token,
        }])
    }
}

/// The address that the sign-in throttle and the log see.
async fn tell_peer(mut request: axum::extract::Request) -> axum::extract::Request {
    let peer = request
        .extensions()
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
        .map(|info| info.0.ip());
    if let Some(peer) = peer {
        request.extensions_mut().insert(mutt_web::Peer(peer));
    }
    request
}

/// What everybody should know about receive buffers that the kernel refused.
fn small_buffers(bound: &Bound) -> Vec<Notice> {
    let sockets = bound.syslog_udp.iter().chain(&bound.snmp_udp);
    sockets
        .filter(|socket| socket.granted < socket.asked)
        .map(|socket| Notice {
            level: "warning".to_owned(),
            code: Some(codes::INGEST_RCVBUF.id.to_owned()),
            text: format!(
                "The kernel granted {} a receive buffer of {} bytes instead of {}: a burst may be dropped.",
                socket.local(),
                socket.granted,
                socket.asked
            ),
        })
        .collect()
}

/// The tokens whose secrets are known.
pub(super) fn configured_tokens(keyring: &Keyring, config: &Config) -> Vec<Token> {
    let mut tokens = Vec::new();
    for token in &config.web_ui.tokens {
        let role = match token.role {
            Role::Viewer => mutt_web::Role::Viewer,
            Role::Operator => mutt_web::Role::Operator,
            Role::Admin => mutt_web::Role::Admin,
        };
        for secret in keyring.live(&token_slot(&token.name)).get().iter() {
            tokens.push(Token { name: token.name.clone(), role, secret: secret.clone() });
        }
    }
    tokens
}

/// The ingest keys; one whose secret is waited for has none.
pub(super) fn configured_keys(keyring: &Keyring, keys: &[IngestKey]) -> Vec<Key> {
    let known = |key: &IngestKey| Key {
        name: key.name.clone(),
        secrets: keyring.live(&ingest_key_slot(&key.name)).get().to_vec(),
        rate: key.rate.map(|per_second| Rate::new(per_second, key.burst)),
    };
    keys.iter().map(known).collect()
>>>>>>> work-snm
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
