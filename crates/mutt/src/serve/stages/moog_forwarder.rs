//! The Moog Forwarder's stages: one for each sink's lane, and how each sink is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, codes};
use mutt_notify::{Auth, SinkConfig as NotifyConfig, SinkKind as NotifyKind};
use mutt_store::store::Store;
use tokio::sync::watch;

use super::super::ServeError;
use super::super::listeners::Bound;
use super::{Wiring, host_name};
use crate::config::{Config, SinkAuth, SinkConfig, sink_slot};
use crate::secrets::{Keyring, SecretRef};
use crate::services::Service;
use crate::services::moog_forwarder::{ForwarderMetrics, Lane, MakeSink};
use crate::supervise::{Phase, Supervisor};
use crate::telemetry::metrics::ServiceMetrics;

impl Wiring<'_> {
    pub(super) fn moog_forwarder(&mut self, store: &Arc<dyn Store>, bound: &Bound) {
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
}

/// How to make each sink; what cannot ever work is an error now.
pub(super) fn make_sinks(
    config: &Config,
    clock: &Clock,
    keyring: &Keyring,
) -> Result<BTreeMap<String, (SinkConfig, MakeSink)>, ServeError> {
    let mut sinks = BTreeMap::new();
    for (name, sink) in &config.sinks {
        NotifyKind::parse(sink.kind.name()).map_err(|error| {
            ServeError::new(codes::CONFIG_BAD_VALUE, format!("sinks.{name}: {error}"))
        })?;
        let (owned, clock, called) = (sink.clone(), clock.clone(), name.clone());
        let keys = keyring.clone();
        let make: MakeSink = Arc::new(move || make_sink(&called, &owned, &keys, clock.clone()));
        sinks.insert(name.clone(), (sink.clone(), make));
    }
    Ok(sinks)
}

fn make_sink(
    name: &str,
    config: &SinkConfig,
    keyring: &Keyring,
    clock: Clock,
) -> Result<Arc<dyn mutt_notify::Sink>, String> {
    let resolve = |r: &SecretRef| keyring.get(r).map_err(|e| format!("sinks.{name}.auth: {e}"));
    let kind = NotifyKind::parse(config.kind.name()).map_err(|e| e.to_string())?;
    let mut built = NotifyConfig::new(kind, config.url.clone());
    built.timeout = config.timeout;
    built.connect_timeout = built.connect_timeout.min(config.timeout);
    built.location = host_name();
    built.auth = match &config.auth {
        None => None,
        Some(SinkAuth::Bearer(token)) => Some(Auth::Bearer(resolve(token)?)),
        Some(SinkAuth::Basic { user, password }) => {
            Some(Auth::Basic { user: user.clone(), password: resolve(password)? })
        }
        Some(SinkAuth::Header { name: header, value }) => {
            Some(Auth::Header { name: header.clone(), value: resolve(value)? })
        }
    };
    if let Some(path) = &config.ca {
        let pem =
            std::fs::read(path).map_err(|e| format!("sinks.{name}.ca: {}: {e}", path.display()))?;
        built.ca_pem = Some(pem);
    }
    mutt_notify::build(name, built, clock).map_err(|e| format!("sinks.{name}: {e}"))
}

/// Deliveries by state: asked of the store a few times a minute, shown at each scrape.
fn delivery_gauges(
    store: &Arc<dyn Store>,
    metrics: &Arc<ServiceMetrics>,
    supervisor: &mut Supervisor,
) {
    let states = metrics.gauges(&mutt_model::metrics::DELIVERIES);
    let dead = metrics.gauge(&mutt_model::metrics::MOOG_DLQ);
    let store = Arc::clone(store);
    let stop = supervisor.stop().working;
    supervisor.start(Phase::Working, "delivery gauges", move || {
        let (store, states, dead, stop) =
            (Arc::clone(&store), states.clone(), dead.clone(), stop.clone());
        Box::pin(async move {
            while !stop.is_cancelled() {
                if let Ok(ledger) = store.delivery_ledger().await {
                    let set = |state: &str, value: u64| {
                        states.get_or_create(&vec![("state", state.to_owned())]).set(value as f64);
                    };
                    set("pending", ledger.pending);
                    set("leased", ledger.leased);
                    set("held", ledger.held);
                    set("delivered", ledger.delivered);
                    set("suppressed", ledger.suppressed);
                    set("dead", ledger.dead);
                    dead.set(ledger.dead as f64);
                }
                crate::services::alerter::rest(&stop, Duration::from_secs(5)).await;
            }
            Ok(())
        })
    });
}
