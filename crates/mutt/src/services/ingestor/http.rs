//! HTTP ingest: a request is accepted whole or refused whole, and 200 comes after it is durable.

mod answer;
mod body;
mod hec;
mod keys;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{any, get, post};
use mutt_model::codes::{self, Code};
use mutt_model::{DedupKey, Timestamp};
use mutt_store::queue::QueueError;
use mutt_wire::http::{BodyError, Defaults, RECORDS_MAX, Record, Shape};
use mutt_wire::snmp::names::Names;
use mutt_wire::{Frame, http, syslog};

use self::answer::{Refusal, Taken};
pub use self::keys::{Key, Limits, Rate};
use super::batcher::{Batcher, Collected};
use super::{Ingest, ListenerMetrics, code_of};
use crate::secrets::Keyring;

/// The listener's name in events and metrics.
pub const NAME: &str = "http";
/// A client's correlation id is kept when it is not longer and has only visible ASCII.
pub const CORRELATION_ID_MAX: usize = 128;

/// What the route needs.
#[derive(Debug)]
pub struct HttpDoor {
    /// The shared part.
    pub ingest: Arc<Ingest>,
    /// Counters of this listener.
    pub metrics: ListenerMetrics,
    /// Known keys.
    pub keys: ArcSwap<Vec<Key>>,
    /// What their rates have left.
    pub limits: Limits,
    /// Tells whether a key is still waited for.
    pub keyring: Keyring,
    /// How lines of text are read.
    pub options: syslog::Options,
    /// The names of OIDs in force.
    pub names: Arc<ArcSwap<Names>>,
    /// `ingestor.http.max_body`: bytes, compressed and unpacked.
    pub max_body: usize,
    /// `ingestor.http.max_records`
    pub max_records: usize,
    /// `ingestor.http.request_timeout`
    pub timeout: Duration,
    /// `ingestor.dedup_window_http`
    pub dedup_window: Duration,
}

/// Whose clients a path speaks with: in what they send, and in what they want to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Our own: JSON in the shapes of common senders, or lines of text.
    Plain,
    /// Loki's push API.
    Loki,
    /// Events of the Splunk HTTP Event Collector.
    Hec,
    /// Lines of its raw endpoint.
    HecRaw,
    /// OpenTelemetry logs.
    Otlp,
}

/// Every path that takes events.
pub const PATHS: &[(&str, Api)] = &[
    ("/ingest", Api::Plain),
    ("/api/v1/ingest", Api::Plain),
    ("/api/v2/ingest", Api::Plain),
    ("/loki/api/v1/push", Api::Loki),
    ("/services/collector", Api::Hec),
    ("/services/collector/event", Api::Hec),
    ("/services/collector/event/1.0", Api::Hec),
    ("/services/collector/raw", Api::HecRaw),
    ("/services/collector/raw/1.0", Api::HecRaw),
    ("/v1/logs", Api::Otlp),
];

/// The ingest routes.
pub fn router(door: Arc<HttpDoor>) -> Router {
    let wrong_method = || async { StatusCode::METHOD_NOT_ALLOWED };
    let mut router = Router::new();
    for (path, api) in PATHS {
        let api = *api;
        let take = move |State(door): State<Arc<HttpDoor>>,
                         ConnectInfo(peer): ConnectInfo<SocketAddr>,
                         uri: Uri,
                         headers: HeaderMap,
                         body: Body| async move {
            ingest(&door, Asked { api, peer, uri, headers }, body).await
        };
        router = router.route(path, post(take).fallback(any(wrong_method)));
    }
    for path in ["/services/collector/health", "/services/collector/health/1.0"] {
        router = router.route(path, get(hec::health).fallback(any(wrong_method)));
    }
    let acknowledged = post(hec::acknowledged).fallback(any(wrong_method));
    router.route("/services/collector/ack", acknowledged).with_state(door)
}

/// A request before it is known who sends it.
struct Asked {
    api: Api,
    peer: SocketAddr,
    uri: Uri,
    headers: HeaderMap,
}

/// Who asks, and what with.
struct Request {
    asked: Asked,
    /// The ingest key that it carries.
    key: Key,
    shape: Shape,
    correlation_id: String,
}

async fn ingest(door: &HttpDoor, asked: Asked, body: Body) -> Response {
    let start = door.ingest.clock.monotonic();
    let correlation_id = correlation_id(&asked.headers).unwrap_or_else(|| {
        mutt_model::IdSource::from_entropy().next(door.ingest.clock.wall()).to_string()
    });
    let form = answer::Form::of(&asked);
    let peer = asked.peer;
    let outcome = serve(door, asked, &correlation_id, body).await;
    if let Err(refusal) = &outcome {
        tell_refused(door, peer, refusal, &correlation_id);
    }
    let (status, reason) = match &outcome {
        Ok(_) => ("success", ""),
        Err(refusal) => ("fail", refusal.reason),
    };
    let labels = vec![("status", status.to_owned()), ("reason", reason.to_owned())];
    door.ingest.metrics.requests.get_or_create(&labels).inc();
    let elapsed = door.ingest.clock.monotonic().saturating_sub(start);
    door.ingest.metrics.latency.observe(elapsed.as_secs_f64());
    let mut response = match outcome {
        Ok(taken) => answer::taken(form, &taken, &correlation_id),
        Err(refusal) => answer::refused(form, refusal, &correlation_id),
    };
    if let Ok(value) = HeaderValue::from_str(&correlation_id) {
        response.headers_mut().insert("x-correlation-id", value);
    }
    response
}

/// Most characters of a refusal's words in the log: some repeat what the client has sent.
const REFUSAL_CHARS_MAX: usize = 300;

/// Many clients throw away what is refused for good: who does so stands in the log. What is sent again
/// has words of its own.
fn tell_refused(door: &HttpDoor, peer: SocketAddr, refusal: &Refusal, correlation_id: &str) {
    let reason = refusal.reason;
    if !["auth", "json", "encoding", "too_large"].contains(&reason) {
        return;
    }
    let now = door.ingest.clock.monotonic();
    if door.ingest.requests.is_news_about(peer.ip(), [NAME, reason], now) {
        let why: String = refusal.message.chars().take(REFUSAL_CHARS_MAX).collect();
        let (code, status) = (refusal.code, refusal.status.as_u16());
        tracing::warn!(code, %peer, status, reason, why, correlation_id, "a request was refused; the next ones of its sender for this reason are only counted for a minute");
    }
}

async fn serve(
    door: &HttpDoor,
    asked: Asked,
    correlation_id: &str,
    body: Body,
) -> Result<Taken, Refusal> {
    if !door.ingest.lets_connect(&door.metrics, asked.peer.ip()) {
        let why = "no allow-list names your address".to_owned();
        let (status, code) = (StatusCode::FORBIDDEN, codes::INGEST_NOT_ALLOWED);
        return Err(Refusal::new(status, code, why, "not_allowed"));
    }
    let key = keys::authorised(door, &asked.headers)?;
    let shape = shape(&asked)?;
    let late = |_| {
        let why = "the body did not arrive in time".to_owned();
        Refusal::new(StatusCode::REQUEST_TIMEOUT, codes::INGEST_NOT_JSON, why, "json")
    };
    let reading = body::read(door, &asked.headers, body);
    let body = tokio::time::timeout(door.timeout, reading).await.map_err(late)??;
    let correlation_id = correlation_id.to_owned();
    take(door, &Request { asked, key, shape, correlation_id }, &body).await
}

/// The client's own id, when it is sane.
fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-correlation-id")?.to_str().ok()?.trim();
    let sane = !id.is_empty()
        && id.len() <= CORRELATION_ID_MAX
        && id.bytes().all(|b| b.is_ascii_graphic());
    sane.then(|| id.to_owned())
}

/// The content type without its parameters, lower case.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The shape in which the body comes. Many clients name a wrong type for JSON: only what is surely
/// something else is refused.
fn shape(asked: &Asked) -> Result<Shape, Refusal> {
    let content_type = content_type(&asked.headers);
    let unknown = |instead: &str| {
        let message = format!("Content-Type `{content_type}` is not understood here; {instead}");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(Refusal::new(status, codes::INGEST_ENCODING, message, "encoding"))
    };
    let is_protobuf = matches!(
        content_type.as_str(),
        "application/x-protobuf" | "application/protobuf" | "application/grpc"
    );
    let is_msgpack = matches!(
        content_type.as_str(),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack"
    );
    match asked.api {
        Api::Otlp if is_protobuf => Ok(Shape::OtlpProto),
        Api::Otlp if content_type == "application/json" => Ok(Shape::OtlpJson),
        Api::Otlp => unknown("send application/x-protobuf or application/json"),
        _ if is_msgpack => unknown("send JSON (Fluent Bit: format json)"),
        Api::Loki if is_protobuf => {
            unknown("send Loki's JSON as application/json, or OpenTelemetry to /v1/logs")
        }
        _ if is_protobuf => unknown("send JSON; OpenTelemetry logs go to /v1/logs"),
        Api::Plain if content_type == "text/plain" => Ok(Shape::Text),
        Api::Plain => Ok(Shape::Json),
        Api::Loki => Ok(Shape::Loki),
        Api::Hec => Ok(Shape::Hec),
        Api::HecRaw => Ok(Shape::HecRaw),
    }
}

/// What stands for lines that do not say it themselves.
fn defaults(request: &Request, records: usize) -> Defaults {
    match request.asked.api {
        Api::HecRaw => hec::query(&request.asked.uri).defaults(),
        // syslog-ng tells of a message in headers; of a batch they would tell of its first only.
        Api::Plain if records == 1 && request.shape == Shape::Text => {
            let get = |name: &str| {
                let value = request.asked.headers.get(name)?.to_str().ok()?.trim();
                (!value.is_empty()).then(|| value.to_owned())
            };
            Defaults {
                host: get("x-syslog-host"),
                app: get("x-syslog-program"),
                facility: get("x-syslog-facility")
                    .and_then(|text| mutt_model::event::facility_number(&text)),
                severity: get("x-syslog-level").and_then(|t| mutt_model::Severity::parse(&t)),
                ..Defaults::default()
            }
        }
        _ => Defaults::default(),
    }
}

fn not_understood(door: &HttpDoor, request: &Request, error: &BodyError) -> Refusal {
    let too_large = |message| {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Refusal::new(status, codes::INGEST_TOO_LARGE, message, "too_large")
    };
    let bad = |code: Code, message| Refusal::new(StatusCode::BAD_REQUEST, code, message, "json");
    match error {
        BodyError::TooManyRecords => too_large(format!(
            "the request holds more records than ingestor.http.max_records = {}",
            door.max_records.min(RECORDS_MAX)
        )),
        BodyError::TooWide => too_large(error.to_string()),
        BodyError::NotOtlp { .. } => bad(codes::INGEST_NOT_OTLP, error.to_string()),
        BodyError::NotJson { .. } if request.asked.api == Api::Plain => bad(
            codes::INGEST_NOT_JSON,
            format!("{error}; lines of text are taken as Content-Type text/plain"),
        ),
        BodyError::NotJson { .. } => bad(codes::INGEST_NOT_JSON, error.to_string()),
    }
}

/// Records that were read. Unless they are stored their sender has them still: also when it went away
/// before it was answered.
struct Arrived<'a> {
    metrics: &'a ListenerMetrics,
    records: u64,
}

impl<'a> Arrived<'a> {
    fn new(metrics: &'a ListenerMetrics, records: usize) -> Self {
        let records = records as u64;
        metrics.arrived.inc_by(records);
        Self { metrics, records }
    }

    fn are_stored(mut self) {
        self.records = 0;
    }
}

impl Drop for Arrived<'_> {
    fn drop(&mut self) {
        self.metrics.gave_back(self.records);
    }
}

/// Decodes, reserves room for all, appends.
async fn take(door: &HttpDoor, request: &Request, body: &[u8]) -> Result<Taken, Refusal> {
    let is_hec = matches!(request.asked.api, Api::Hec | Api::HecRaw);
    if is_hec && body.trim_ascii().is_empty() {
        let why = "the request has no body".to_owned();
        let status = StatusCode::BAD_REQUEST;
        return Err(Refusal::new(status, codes::INGEST_NOT_JSON, why, "json").hec(5));
    }
    let records = tokio::task::block_in_place(|| http::read(request.shape, body));
    let records = records.map_err(|error| not_understood(door, request, &error))?;
    if records.len() > door.max_records {
        return Err(not_understood(door, request, &BodyError::TooManyRecords));
    }
    let arrived = Arrived::new(&door.metrics, records.len());
    keys::within_rate(door, &request.key, records.len())?;
    let (collected, mut batcher) = tokio::task::block_in_place(|| decode(door, request, &records));
    let flagged = collected.iter().map(|c| c.parse[1] + c.parse[2]).sum::<u64>();
    if let Err(refusal) = append(door, &collected).await {
        // Its sender has them still, and pays when it sends them again.
        keys::give_back(door, &request.key, records.len());
        return Err(refusal);
    }
    batcher.note_sources();
    arrived.are_stored();
    let events = records.len() as u64;
    keys::count(door, &request.key, "accepted", events);
    Ok(Taken {
        accepted: events,
        flagged,
        queue_depth: door.ingest.queue.stats().pending_events,
        ack_id: is_hec.then(|| hec::ack_id(&request.asked, door.ingest.clock.wall())).flatten(),
    })
}

/// The batches of a request, and what has seen their sources.
fn decode(door: &HttpDoor, request: &Request, records: &[Record<'_>]) -> (Vec<Collected>, Batcher) {
    let received_at = door.ingest.clock.wall();
    let keep_until = received_at.plus(door.dedup_window);
    let peer = request.asked.peer.to_string();
    let key_name = request.key.name.as_bytes();
    let request_key = request.asked.headers.get("idempotency-key").map(HeaderValue::as_bytes);
    let defaults = defaults(request, records.len());
    let mut batcher = Batcher::new(&door.ingest, &door.metrics);
    let mut collected = Vec::new();
    let names = door.names.load();
    let with = http::With { options: &door.options, names: &names };
    for (position, record) in records.iter().enumerate() {
        let (id, raw) = (batcher.id(received_at), record.raw());
        let frame = Frame { id, received_at, listener: NAME, peer: &peer, raw };
        let mut decoded = http::decode_record(frame, record, &defaults, with);
        decoded.event.correlation_id = Some(request.correlation_id.as_str().into());
        // A record's own id is stronger than the request's key: it recognises a record that comes
        // again in another batch. Both hold within one sender's key only; and an `event_id` that is
        // no id but a kind of message (as some systems name it) must not swallow other records.
        decoded.event.dedup = match (&decoded.event_id, request_key) {
            (Some(id), _) => {
                let parts: [&[u8]; 4] = [b"event_id", key_name, id.as_bytes(), raw];
                Some(digest_key(&parts, keep_until))
            }
            (None, Some(key)) => {
                let parts: [&[u8]; 4] = [b"request", key_name, key, &position.to_be_bytes()];
                Some(digest_key(&parts, keep_until))
            }
            (None, None) => None,
        };
        batcher.push(&decoded.event);
        if batcher.is_full() {
            collected.push(batcher.take());
        }
    }
    if !batcher.is_empty() {
        collected.push(batcher.take());
    }
    (collected, batcher)
}

async fn append(door: &HttpDoor, collected: &[Collected]) -> Result<(), Refusal> {
    let batches: Vec<_> = collected.iter().flat_map(|c| c.batches.clone()).collect();
    if batches.is_empty() {
        return Ok(());
    }
    let events = collected.iter().map(|c| c.events).sum();
    let bytes = batches.iter().map(|b| b.as_bytes().len() as u64).sum();
    let queue = &door.ingest.queue;
    let result = match queue.reserve(events, bytes).await {
        Ok(reservation) => queue.append(batches, Some(reservation)).await,
        Err(error) => Err(error),
    };
    door.ingest.say(result.as_ref().err());
    match result {
        Ok(()) => {
            for part in collected {
                door.metrics.stored(part.events, part.bytes, part.parse);
            }
            Ok(())
        }
        Err(error) => {
            let reason = match error {
                QueueError::Full(_) => "queue_full",
                _ => "not_durable",
            };
            let message = format!("{error}; nothing of the request was taken, send it again");
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code_of(&error), message, reason))
        }
    }
}

/// First 16 bytes of SHA-256 over the parts, each with its length, so that no two lists look alike.
#[must_use]
pub fn digest_key(parts: &[&[u8]], keep_until: Timestamp) -> DedupKey {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&context.finish().as_ref()[..16]);
    DedupKey { digest, keep_until }
}
