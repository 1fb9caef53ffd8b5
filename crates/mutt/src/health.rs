//! Health of the services, and the routes that every service's port has: liveness, readiness, the
//! v2 health shape and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mutt_model::codes::{self, Code};
use mutt_model::{Clock, Timestamp};
use mutt_store::queue::EventQueue;
use mutt_store::state::EngineState;
use mutt_store::store::Store;
use serde::Serialize;
use serde_json::json;

use crate::services::Service;
use crate::telemetry::metrics::ServiceMetrics;

/// Something that a service needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// `event queue`, `store`, `rule set`, `spill`.
    pub dependency: &'static str,
    /// What `muttctl explain` tells about.
    pub code: &'static str,
    /// What happened.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

impl Lack {
    /// From now on.
    #[must_use]
    pub fn new(
        dependency: &'static str,
        clock: &Clock,
        code: Code,
        why: impl Into<String>,
    ) -> Self {
        Self { dependency, code: code.id, why: why.into(), since: clock.wall() }
    }

    fn of(dependency: &'static str, state: EngineState) -> Option<Self> {
        match state {
            EngineState::Ready => None,
            EngineState::Away { since, code, why } => {
                Some(Self { dependency, code: code.id, why, since })
            }
        }
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} since {} ({}): {}", self.dependency, self.since, self.code, self.why)
    }
}

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it does its work.
    pub ready: bool,
    /// A few words.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// What it needs and does not have; ready means that this is empty.
    pub missing: Vec<Lack>,
    /// What is away and does not stop it.
    pub notes: Vec<Lack>,
}

/// What the services of this process stand on.
#[derive(Debug, Default)]
pub struct Engines {
    /// The event queue: for the Ingestor with its spill.
    pub queue: Option<Arc<dyn EventQueue>>,
    /// The event queue without the spill.
    pub primary: Option<Arc<dyn EventQueue>>,
    /// The store.
    pub store: Option<Arc<dyn Store>>,
}

/// How the services of this process are.
#[derive(Debug)]
pub struct HealthBoard {
    clock: Clock,
    engines: Engines,
    services: Mutex<BTreeMap<Service, (bool, String, Timestamp)>>,
    lacks: Mutex<BTreeMap<(Service, &'static str), Lack>>,
}

/// The spill takes the events meanwhile: that is worth telling.
fn spilling(queue: &Arc<dyn EventQueue>) -> Option<Lack> {
    let spill = queue.stats().spill?;
    let since = spill.spilling_since?;
    let why = spill.why.unwrap_or_default();
    let why = format!("{} events are spilled to {}: {why}", spill.pending_events, spill.place);
    Some(Lack { dependency: QUEUE, code: codes::QUEUE_SPILLING.id, why, since })
}

/// The name of the first hand-over in readiness.
pub const QUEUE: &str = "event queue";
/// The name of the second.
pub const STORE: &str = "store";

impl HealthBoard {
    /// A board without services, over these engines.
    #[must_use]
    pub fn new(clock: Clock, engines: Engines) -> Self {
        Self { clock, engines, services: Mutex::default(), lacks: Mutex::default() }
    }

    /// Notes how a service is; `since` moves only when that differs from before.
    pub fn set(&self, service: Service, ready: bool, state: &str) {
        let Ok(mut services) = self.services.lock() else { return };
        let unchanged = services.get(&service).is_some_and(|(r, s, _)| *r == ready && s == state);
        if !unchanged {
            services.insert(service, (ready, state.to_owned(), self.clock.wall()));
        }
    }

    /// Notes that a service lacks something; since when is kept while it lasts.
    pub fn lack(&self, service: Service, mut lack: Lack) {
        let Ok(mut lacks) = self.lacks.lock() else { return };
        if let Some(known) = lacks.get(&(service, lack.dependency)) {
            lack.since = known.since;
        }
        lacks.insert((service, lack.dependency), lack);
    }

    /// It has it now.
    pub fn has(&self, service: Service, dependency: &'static str) {
        if let Ok(mut lacks) = self.lacks.lock() {
            lacks.remove(&(service, dependency));
        }
    }

    /// The engines that are away, asked now.
    #[must_use]
    pub fn away(&self) -> Vec<Lack> {
        let queue = self.engines.primary.as_ref().map(|queue| (QUEUE, queue.state()));
        let store = self.engines.store.as_ref().map(|store| (STORE, store.state()));
        [queue, store].into_iter().flatten().filter_map(|(n, state)| Lack::of(n, state)).collect()
    }

    fn lacks_of(&self, service: Service) -> (Vec<Lack>, Vec<Lack>) {
        let queue = |queue: &Option<Arc<dyn EventQueue>>| {
            Lack::of(QUEUE, queue.as_ref().map_or(EngineState::Ready, |queue| queue.state()))
        };
        let store = || {
            let state = self.engines.store.as_ref().map(|store| store.state());
            Lack::of(STORE, state.unwrap_or(EngineState::Ready))
        };
        let (mut missing, mut notes) = (Vec::new(), Vec::new());
        match service {
            Service::Ingestor => {
                missing.extend(queue(&self.engines.queue));
                if missing.is_empty() {
                    notes.extend(self.engines.queue.as_ref().and_then(spilling));
                }
            }
            Service::Alerter => {
                missing.extend(queue(&self.engines.primary).into_iter().chain(store()))
            }
            Service::MoogForwarder | Service::Remediation => missing.extend(store()),
            Service::WebUi => {
                missing.extend(store());
                notes.extend(queue(&self.engines.primary));
            }
        }
        if let Ok(lacks) = self.lacks.lock() {
            missing
                .extend(lacks.iter().filter(|((s, _), _)| *s == service).map(|(_, l)| l.clone()));
        }
        (missing, notes)
    }

    /// How a service is; `None` when it does not run in this process.
    #[must_use]
    pub fn get(&self, service: Service) -> Option<Condition> {
        let (ready, state, since) = self.services.lock().ok()?.get(&service).cloned()?;
        let (missing, notes) = self.lacks_of(service);
        if missing.is_empty() {
            let state = match notes.first() {
                Some(note) if ready => format!("{state}, without the {}", note.dependency),
                _ => state,
            };
            return Some(Condition { ready, state, since, missing, notes });
        }
        let names: Vec<&str> = missing.iter().map(|lack| lack.dependency).collect();
        let state = format!("waits for: {}", names.join(", "));
        let since = missing.iter().map(|lack| lack.since).min().unwrap_or(since);
        Some(Condition { ready: false, state, since, missing, notes })
    }

    /// All services of this process.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Service, Condition> {
        let names: Vec<Service> =
            self.services.lock().map(|s| s.keys().copied().collect()).unwrap_or_default();
        names.into_iter().filter_map(|service| Some((service, self.get(service)?))).collect()
    }
}

/// What the routes of one port need.
#[derive(Clone, Debug)]
pub struct Port {
    /// Whose port it is.
    pub service: Service,
    /// How it is.
    pub board: Arc<HealthBoard>,
    /// What it exports.
    pub metrics: Arc<ServiceMetrics>,
}

/// `/health/live`, `/health/ready`, `/health` and `/metrics`.
pub fn router(port: Port) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/health/ready", get(ready))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(port)
}

async fn ready(State(port): State<Port>, headers: HeaderMap) -> Response {
    let condition = port.board.get(port.service);
    let is_ready = condition.as_ref().is_some_and(|c| c.ready);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let wants_json = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if wants_json {
        let body = json!({
            "ready": is_ready,
            "service": port.service.name(),
            "state": condition.as_ref().map_or("starting", |c| c.state.as_str()),
            "since": condition.as_ref().map(|c| c.since),
            "missing": condition.as_ref().map_or(&[][..], |c| &c.missing),
            "notes": condition.as_ref().map_or(&[][..], |c| &c.notes),
        });
        return (status, Json(body)).into_response();
    }
    let Some(condition) = condition else { return (status, "starting\n").into_response() };
    let mut text = match (condition.ready, condition.missing.is_empty()) {
        (true, _) => "ready\n".to_owned(),
        (false, true) => format!("not ready since {}: {}\n", condition.since, condition.state),
        (false, false) => format!("not ready since {}\n", condition.since),
    };
    for (word, lacks) in [("missing", &condition.missing), ("note", &condition.notes)] {
        for lack in lacks {
            text.push_str(&format!("{word}: {lack}\n"));
        }
    }
    (status, text).into_response()
}

/// The shape of the Python MUTT, so that its probes keep working.
async fn health(State(port): State<Port>) -> Response {
    let condition = port.board.get(port.service);
    let ready = condition.as_ref().is_some_and(|c| c.ready);
    let mut body = json!({
        "status": if ready { "healthy" } else { "unhealthy" },
        "service": format!("mutt-{}", port.service.name()),
        "version": env!("CARGO_PKG_VERSION"),
        "state": condition.as_ref().map(|c| c.state.clone()),
        "since": condition.as_ref().map(|c| c.since),
    });
    let lacks = condition.map(|c| [c.missing, c.notes].concat()).unwrap_or_default();
    if !lacks.is_empty() {
        let errors: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        body["errors"] = json!(errors);
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn metrics(State(port): State<Port>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], port.metrics.text()).into_response()
}
