//! Health of the services, and the routes that every service's port has: liveness, readiness, the
//! v2 health shape and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mutt_model::{Clock, Timestamp};
use serde_json::json;

use crate::services::Service;
use crate::telemetry::metrics::ServiceMetrics;

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it does its work.
    pub ready: bool,
    /// A few words.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
}

/// How the services of this process are.
#[derive(Debug)]
pub struct HealthBoard {
    clock: Clock,
    services: Mutex<BTreeMap<Service, Condition>>,
}

impl HealthBoard {
    /// A board without services.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, services: Mutex::default() }
    }

    /// Notes how a service is; `since` moves only when that differs from before.
    pub fn set(&self, service: Service, ready: bool, state: &str) {
        let Ok(mut services) = self.services.lock() else { return };
        let unchanged =
            services.get(&service).is_some_and(|c| c.ready == ready && c.state == state);
        if !unchanged {
            let condition = Condition { ready, state: state.to_owned(), since: self.clock.wall() };
            services.insert(service, condition);
        }
    }

    /// How a service is; `None` when it does not run in this process.
    #[must_use]
    pub fn get(&self, service: Service) -> Option<Condition> {
        self.services.lock().ok()?.get(&service).cloned()
    }

    /// All services of this process.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Service, Condition> {
        self.services.lock().map(|services| services.clone()).unwrap_or_default()
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

async fn ready(State(port): State<Port>) -> Response {
    match port.board.get(port.service) {
        Some(condition) if condition.ready => (StatusCode::OK, "ready\n").into_response(),
        Some(condition) => {
            let text = format!("not ready since {}: {}\n", condition.since, condition.state);
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
    }
}

/// The shape of the Python MUTT, so that its probes keep working.
async fn health(State(port): State<Port>) -> Response {
    let condition = port.board.get(port.service);
    let ready = condition.as_ref().is_some_and(|c| c.ready);
    let body = json!({
        "status": if ready { "healthy" } else { "unhealthy" },
        "service": format!("mutt-{}", port.service.name()),
        "version": env!("CARGO_PKG_VERSION"),
        "state": condition.as_ref().map(|c| c.state.clone()),
        "since": condition.as_ref().map(|c| c.since),
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn metrics(State(port): State<Port>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], port.metrics.text()).into_response()
}
