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
use mutt_store::queue::SpillStats;
use mutt_store::state::EngineState;
use serde::Serialize;
use serde_json::json;

use crate::secrets::Keyring;
use crate::secrets::keyring::Trouble;
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

/// Asks an engine how it is.
pub type Look<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What the services of this process stand on; `None` where it is not in this process.
#[derive(Clone, Default)]
pub struct Engines {
    /// The event queue as the Ingestor appends to it: with its spill.
    pub queue: Option<Look<EngineState>>,
    /// The event queue without the spill.
    pub primary: Option<Look<EngineState>>,
    /// The spill, while there is one.
    pub spill: Option<Look<Option<SpillStats>>>,
    /// The store.
    pub store: Option<Look<EngineState>>,
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").finish_non_exhaustive()
    }
}

fn lack(dependency: &'static str, engine: &Option<Look<EngineState>>) -> Option<Lack> {
    Lack::of(dependency, engine.as_ref().map_or(EngineState::Ready, |look| look()))
}

/// How the services of this process are.
#[derive(Debug)]
pub struct HealthBoard {
    clock: Clock,
    engines: Engines,
    keyring: Keyring,
    services: Mutex<BTreeMap<Service, (bool, String, Timestamp)>>,
    lacks: Mutex<Own>,
    notes: Mutex<Own>,
}

/// What services told of themselves.
type Own = BTreeMap<(Service, &'static str), Lack>;

/// Since when is kept while it lasts.
fn keep(own: &Mutex<Own>, service: Service, mut lack: Lack) {
    let Ok(mut own) = own.lock() else { return };
    if let Some(known) = own.get(&(service, lack.dependency)) {
        lack.since = known.since;
    }
    own.insert((service, lack.dependency), lack);
}

fn of(own: &Mutex<Own>, service: Service) -> Vec<Lack> {
    let own = own.lock().ok();
    let own = own.iter().flat_map(|own| own.iter());
    own.filter(|((of, _), _)| *of == service).map(|(_, lack)| lack.clone()).collect()
}

/// The spill takes the events meanwhile: that is worth telling.
fn spilling(spill: &SpillStats) -> Option<Lack> {
    let since = spill.spilling_since?;
    let why = spill.why.as_deref().unwrap_or_default();
    let why = format!("{} events are spilled to {}: {why}", spill.pending_events, spill.place);
    Some(Lack { dependency: QUEUE, code: codes::QUEUE_SPILLING.id, why, since })
}

/// The name of the first hand-over in readiness.
pub const QUEUE: &str = "event queue";
/// The name of the second.
pub const STORE: &str = "store";
/// Where audit rows go before retention removes them.
pub const ARCHIVE: &str = "archive";
/// Where a secret is waited for.
pub const VAULT: &str = "vault";
/// Secrets that cannot be read again, wherever they lie.
pub const SECRETS: &str = "secrets";

impl HealthBoard {
    /// A board without services, over these engines.
    #[must_use]
    pub fn new(clock: Clock, engines: Engines, keyring: Keyring) -> Self {
        Self {
            clock,
            engines,
            keyring,
            services: Mutex::default(),
            lacks: Mutex::default(),
            notes: Mutex::default(),
        }
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
    pub fn lack(&self, service: Service, lack: Lack) {
        keep(&self.lacks, service, lack);
    }

    /// Notes that a service lacks something that does not stop it.
    pub fn note(&self, service: Service, lack: Lack) {
        keep(&self.notes, service, lack);
    }

    /// It has it now.
    pub fn has(&self, service: Service, dependency: &'static str) {
        for own in [&self.lacks, &self.notes] {
            if let Ok(mut own) = own.lock() {
                own.remove(&(service, dependency));
            }
        }
    }

    /// What services of this process noted that does not stop them.
    #[must_use]
    pub fn noted(&self) -> Vec<Lack> {
        Service::ALL.into_iter().flat_map(|service| of(&self.notes, service)).collect()
    }

    /// The engines that are away, asked now.
    #[must_use]
    pub fn away(&self) -> Vec<Lack> {
        let engines = &self.engines;
        lack(QUEUE, &engines.primary).into_iter().chain(lack(STORE, &engines.store)).collect()
    }

    /// What a service misses, and what is away and does not stop it.
    fn lacks_of(&self, service: Service) -> (Vec<Lack>, Vec<Lack>) {
        let engines = &self.engines;
        // An engine whose secret is waited for is not away for another reason: it was not asked.
        // The owner's password is for another connection.
        let others = |key: &str| key.starts_with("store.owner.");
        let asked = |keys: &str| {
            self.keyring.missing(|key| key.starts_with(keys) && !others(key)).is_none()
        };
        let queue = lack(QUEUE, &engines.primary).filter(|_| asked("queue."));
        let store = lack(STORE, &engines.store).filter(|_| asked("store."));
        let (mut missing, mut notes) = (Vec::new(), Vec::new());
        match service {
            Service::Ingestor => {
                missing.extend(lack(QUEUE, &engines.queue));
                let spill = engines.spill.as_ref().and_then(|spill| spill());
                notes.extend(spill.as_ref().and_then(spilling).filter(|_| missing.is_empty()));
            }
            Service::Alerter => missing.extend(queue.into_iter().chain(store)),
            Service::MoogForwarder | Service::Remediation => missing.extend(store),
            Service::WebUi => {
                missing.extend(store);
                notes.extend(queue);
            }
        }
        missing.extend(of(&self.lacks, service));
        notes.extend(of(&self.notes, service));
        match self.keyring.missing(|key| service.needs_secret(key)) {
            Some(lacking) => {
                let dependency = if lacking.in_vault { VAULT } else { SECRETS };
                let Trouble { code, why, since } = lacking.trouble;
                let why = format!("{} is waited for: {why}", lacking.key);
                missing.push(Lack { dependency, code: code.id, why, since });
            }
            None => notes.extend(self.keyring.trouble().map(|trouble| {
                let Trouble { code, why, since } = trouble;
                let why = format!("{why}; the secrets that were read stay in force");
                Lack { dependency: SECRETS, code: code.id, why, since }
            })),
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
                // With secrets that were read once everything runs.
                Some(note) if ready && note.dependency != SECRETS => {
                    format!("{state}, without the {}", note.dependency)
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::from_secs(1_000);

    fn away(code: Code) -> Option<Look<EngineState>> {
        let why = "connection refused".to_owned();
        Some(Arc::new(move || EngineState::Away { since: SINCE, code, why: why.clone() }))
    }

    fn there() -> Option<Look<EngineState>> {
        Some(Arc::new(|| EngineState::Ready))
    }

    fn spill() -> SpillStats {
        SpillStats {
            place: "/var/lib/mutt/spill".to_owned(),
            spilling_since: Some(SINCE),
            why: Some("connection refused".to_owned()),
            pending_events: 7,
            ..SpillStats::default()
        }
    }

    fn board(engines: Engines) -> HealthBoard {
        let board = HealthBoard::new(Clock::System, engines, Keyring::empty(Clock::System));
        Service::ALL.into_iter().for_each(|service| board.set(service, true, "running"));
        board
    }

    /// Which services are ready, and which of the others name what.
    fn cells(board: &HealthBoard) -> Vec<(bool, String)> {
        let cell = |service| {
            let condition = board.get(service).unwrap();
            let named = |lacks: &[Lack]| -> Vec<String> {
                lacks.iter().map(|lack| format!("{} {}", lack.dependency, lack.code)).collect()
            };
            let lacks: Vec<String> = [named(&condition.missing), named(&condition.notes)].concat();
            assert!(condition.missing.iter().all(|lack| lack.since == SINCE));
            (condition.ready, lacks.join(", "))
        };
        Service::ALL.into_iter().map(cell).collect()
    }

    #[test]
    fn every_service_names_every_dependency_that_is_away() {
        let (queue, store) = (codes::QUEUE_OPEN, codes::STORE_AWAY);
        let check = |engines: Engines, expected: [(bool, &str); 5]| {
            let expected: Vec<_> = expected.iter().map(|(r, s)| (*r, (*s).to_owned())).collect();
            assert_eq!(cells(&board(engines)), expected);
        };
        let (no_queue, no_store) = ("event queue MUTT-S004", "store MUTT-S020");
        let spills = "event queue MUTT-S050";
        // Ingestor, Alerter, Moog Forwarder, Remediation, Web UI.
        let all = Engines { queue: there(), primary: there(), spill: None, store: there() };
        check(all.clone(), [(true, ""); 5]);
        let engines = Engines {
            primary: away(queue),
            spill: Some(Arc::new(|| Some(spill()))),
            ..all.clone()
        };
        check(
            engines.clone(),
            [(true, spills), (false, no_queue), (true, ""), (true, ""), (true, no_queue)],
        );
        let full = Engines { queue: away(queue), ..engines };
        let ingestor = |expected| {
            let condition = board(Engines { store: away(store), ..full.clone() });
            assert_eq!(cells(&condition), expected);
        };
        ingestor(
            [
                (false, no_queue.to_owned()),
                (false, format!("{no_queue}, {no_store}")),
                (false, no_store.to_owned()),
                (false, no_store.to_owned()),
                (false, format!("{no_store}, {no_queue}")),
            ]
            .to_vec(),
        );
        let engines = Engines { store: away(store), ..all };
        check(
            engines,
            [
                (true, ""),
                (false, no_store),
                (false, no_store),
                (false, no_store),
                (false, no_store),
            ],
        );
    }

    #[test]
    fn what_a_service_lacks_of_its_own_is_kept_since_when() {
        let board = board(Engines::default());
        let lack =
            |why| Lack::new("rule set", &Clock::System, codes::ALERTER_RULES_UNREADABLE, why);
        board.lack(Service::Alerter, Lack { since: SINCE, ..lack("away") });
        board.lack(Service::Alerter, lack("still away"));
        let condition = board.get(Service::Alerter).unwrap();
        assert_eq!((condition.ready, condition.since), (false, SINCE));
        assert_eq!(condition.state, "waits for: rule set");
        assert_eq!(condition.missing[0].why, "still away");
        assert!(board.get(Service::Remediation).unwrap().ready);
        board.has(Service::Alerter, "rule set");
        assert!(board.get(Service::Alerter).unwrap().ready);
        let lack = Lack::new(ARCHIVE, &Clock::System, codes::ARCHIVE_UNWRITABLE, "full");
        board.note(Service::Remediation, Lack { since: SINCE, ..lack.clone() });
        board.note(Service::Remediation, lack);
        let condition = board.get(Service::Remediation).unwrap();
        assert!(condition.ready, "it does not stop it");
        assert_eq!(condition.state, "running, without the archive");
        assert_eq!((board.noted().len(), board.noted()[0].since), (1, SINCE));
        board.has(Service::Remediation, ARCHIVE);
        assert!(board.noted().is_empty());
    }

    #[tokio::test]
    async fn readiness_is_told_as_words_json_and_in_the_shape_of_v2() {
        use tower::ServiceExt as _;
        let board = Arc::new(board(Engines {
            primary: away(codes::QUEUE_OPEN),
            store: away(codes::STORE_AWAY),
            ..Engines::default()
        }));
        let metrics = Arc::new(ServiceMetrics::new(&Clock::System));
        let router = router(Port { service: Service::Alerter, board, metrics });
        let ask = async |path: &str, accept: &str| {
            let request = axum::http::Request::get(path).header("accept", accept);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask("/health/live", "*/*").await.0, 200);
        let (status, text) = ask("/health/ready", "*/*").await;
        assert_eq!(status, 503);
        for lack in ["event queue", "store"] {
            let line = format!("missing: {lack} since 1970-01-01T00:16:40");
            assert!(text.contains(&line), "{text}");
        }
        let (status, text) = ask("/health/ready", "application/json").await;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &json["ready"]), (503, &false.into()));
        assert_eq!(json["missing"][1]["code"], "MUTT-S020");
        assert_eq!(json["missing"][1]["why"], "connection refused");
        let (status, text) = ask("/health", "*/*").await;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, json["status"].as_str()), (503, Some("unhealthy")));
        assert_eq!(json["errors"].as_array().unwrap().len(), 2);
    }
}
