//! HTTP ingest: a request is accepted whole or refused whole, and 200 comes after it is durable.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use http_body_util::{BodyExt as _, Limited};
use mutt_model::codes::{self, Code};
use mutt_model::{DedupKey, ParseStatus, Secret, Timestamp};
use mutt_store::queue::QueueError;
use mutt_wire::http::{BodyError, RECORDS_MAX};
use mutt_wire::{Frame, http};
use serde_json::json;

use super::batcher::{Batcher, Collected};
use super::{Ingest, ListenerMetrics, code_of};
use crate::secrets::Keyring;

/// The listener's name in events and metrics.
pub const NAME: &str = "http";
/// Seconds that a refused client is told to wait.
pub const RETRY_AFTER: &str = "1";
/// A client's correlation id is kept when it is not longer and has only visible ASCII.
pub const CORRELATION_ID_MAX: usize = 128;

/// An ingest key by name. Several secrets overlap during a rotation.
#[derive(Clone, Debug)]
pub struct Key {
    /// For people and logs.
    pub name: String,
    /// Any of these.
    pub secrets: Vec<Secret>,
}

/// What the route needs.
#[derive(Debug)]
pub struct HttpDoor {
    /// The shared part.
    pub ingest: Arc<Ingest>,
    /// Counters of this listener.
    pub metrics: ListenerMetrics,
    /// Known keys.
    pub keys: ArcSwap<Vec<Key>>,
    /// Tells whether a key is still waited for.
    pub keyring: Keyring,
    /// `ingestor.http.max_body`: bytes, compressed and unpacked.
    pub max_body: usize,
    /// `ingestor.http.max_records`
    pub max_records: usize,
    /// `ingestor.http.request_timeout`
    pub timeout: Duration,
    /// `ingestor.dedup_window_http`
    pub dedup_window: Duration,
}

/// The ingest routes.
pub fn router(door: Arc<HttpDoor>) -> Router {
    let wrong_method = || async { StatusCode::METHOD_NOT_ALLOWED };
    let mut router = Router::new();
    for path in ["/ingest", "/api/v1/ingest", "/api/v2/ingest"] {
        router = router.route(path, post(ingest).fallback(any(wrong_method)));
    }
    router.with_state(door)
}

/// Who asks, and what with.
struct Request {
    peer: SocketAddr,
    /// The name of the ingest key.
    key: String,
    headers: HeaderMap,
    correlation_id: String,
}

/// A refusal: status, code, words, and the reason that is counted.
struct Refusal(StatusCode, Code, String, &'static str);

async fn ingest(
    State(door): State<Arc<HttpDoor>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let start = door.ingest.clock.monotonic();
    let correlation_id = correlation_id(&headers).unwrap_or_else(|| {
        mutt_model::IdSource::from_entropy().next(door.ingest.clock.wall()).to_string()
    });
    let outcome = match authorised(&door, &headers) {
        None => Err(unknown_key(&door)),
        Some(key) => {
            let request = Request { peer, key, headers, correlation_id: correlation_id.clone() };
            match tokio::time::timeout(door.timeout, body_of(&door, &request.headers, body)).await {
                Err(_) => Err(Refusal(
                    StatusCode::REQUEST_TIMEOUT,
                    codes::INGEST_NOT_JSON,
                    "the body did not arrive in time".to_owned(),
                    "json",
                )),
                Ok(Err(refusal)) => Err(refusal),
                Ok(Ok(body)) => take(&door, &request, &body).await,
            }
        }
    };
    let (status, reason) = match &outcome {
        Ok(_) => ("success", ""),
        Err(refusal) => ("fail", refusal.3),
    };
    let labels = vec![("status", status.to_owned()), ("reason", reason.to_owned())];
    door.ingest.metrics.requests.get_or_create(&labels).inc();
    let elapsed = door.ingest.clock.monotonic().saturating_sub(start);
    door.ingest.metrics.latency.observe(elapsed.as_secs_f64());
    let mut response = match outcome {
        Ok(taken) => taken,
        Err(refusal) => refuse(refusal, &correlation_id),
    };
    if let Ok(value) = HeaderValue::from_str(&correlation_id) {
        response.headers_mut().insert("x-correlation-id", value);
    }
    response
}

/// A key that is not known is refused; while one of ours is still waited for, it may be that one.
fn unknown_key(door: &HttpDoor) -> Refusal {
    match door.keyring.missing(|key| key.starts_with("ingestor.http.keys.")) {
        Some(missing) => Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            *missing.trouble.code,
            "an ingest key of this listener is not known yet: its secret is waited for".to_owned(),
            "secret",
        ),
        None => Refusal(
            StatusCode::UNAUTHORIZED,
            codes::INGEST_BAD_KEY,
            "send the ingest key as X-API-KEY or as a bearer token".to_owned(),
            "auth",
        ),
    }
}

fn refuse(Refusal(status, code, message, _): Refusal, correlation_id: &str) -> Response {
    let body = json!({
        "status": "error", "code": code.id, "message": message, "correlation_id": correlation_id,
    });
    let mut response = (status, Json(body)).into_response();
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// The client's own id, when it is sane.
fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-correlation-id")?.to_str().ok()?.trim();
    let sane = !id.is_empty()
        && id.len() <= CORRELATION_ID_MAX
        && id.bytes().all(|b| b.is_ascii_graphic());
    sane.then(|| id.to_owned())
}

/// Reads and unpacks the body.
async fn body_of(door: &HttpDoor, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            codes::INGEST_TOO_LARGE,
            format!("the body is larger than ingestor.http.max_body = {} bytes", door.max_body),
            "too_large",
        )
    };
    let bytes = match Limited::new(body, door.max_body).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Err(error) => {
            let why = format!("the body could not be read: {error}");
            return Err(Refusal(StatusCode::BAD_REQUEST, codes::INGEST_NOT_JSON, why, "json"));
        }
    };
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    match encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(bytes.to_vec()),
        Some(name) if name.eq_ignore_ascii_case("gzip") => {
            let mut unpacked = Vec::new();
            let limit = door.max_body as u64 + 1;
            let mut gzip = flate2::read::MultiGzDecoder::new(&bytes[..]).take(limit);
            let read = tokio::task::block_in_place(|| gzip.read_to_end(&mut unpacked));
            match read {
                Ok(_) if unpacked.len() > door.max_body => Err(too_large()),
                Ok(_) => Ok(unpacked),
                Err(error) => Err(Refusal(
                    StatusCode::BAD_REQUEST,
                    codes::INGEST_NOT_JSON,
                    format!("the body is not gzip as Content-Encoding says: {error}"),
                    "json",
                )),
            }
        }
        Some(other) => Err(Refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::INGEST_NOT_JSON,
            format!("Content-Encoding `{other}` is not understood; send gzip or plain JSON"),
            "json",
        )),
    }
}

/// The name of the key that the request carries.
fn authorised(door: &HttpDoor, headers: &HeaderMap) -> Option<String> {
    let given = headers
        .get("x-api-key")
        .map(HeaderValue::as_bytes)
        .or_else(|| bearer(headers.get(header::AUTHORIZATION)?.as_bytes()));
    // Digests are compared, so that the time tells nothing about the key.
    let given = ring::digest::digest(&ring::digest::SHA256, given?);
    let mut name = None;
    for key in door.keys.load().iter() {
        for secret in &key.secrets {
            let known = ring::digest::digest(&ring::digest::SHA256, secret.expose().as_bytes());
            if !secret.is_empty() && known.as_ref() == given.as_ref() {
                name = Some(key.name.clone());
            }
        }
    }
    name
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Decodes, reserves room for all, appends, answers.
async fn take(door: &HttpDoor, request: &Request, body: &[u8]) -> Result<Response, Refusal> {
    let too_many = || {
        Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            codes::INGEST_TOO_LARGE,
            format!(
                "the request holds more records than ingestor.http.max_records = {}",
                door.max_records.min(RECORDS_MAX)
            ),
            "too_large",
        )
    };
    let records = tokio::task::block_in_place(|| http::records(body));
    let records = records.map_err(|error| match error {
        BodyError::TooManyRecords => too_many(),
        error @ BodyError::NotJson { .. } => {
            Refusal(StatusCode::BAD_REQUEST, codes::INGEST_NOT_JSON, error.to_string(), "json")
        }
    })?;
    if records.len() > door.max_records {
        return Err(too_many());
    }
    let collected = tokio::task::block_in_place(|| decode(door, request, &records));
    let flagged = collected.iter().map(|c| c.parse[1] + c.parse[2]).sum::<u64>();
    append(door, &collected).await?;
    let depth = door.ingest.queue.stats().pending_events;
    Ok(Json(json!({
        "status": "queued", "correlation_id": request.correlation_id, "queue_depth": depth,
        "accepted": records.len(), "flagged": flagged,
    }))
    .into_response())
}

fn decode(door: &HttpDoor, request: &Request, records: &[&[u8]]) -> Vec<Collected> {
    let received_at = door.ingest.clock.wall();
    let keep_until = received_at.plus(door.dedup_window);
    let peer = request.peer.to_string();
    let request_key = request.headers.get("idempotency-key").map(HeaderValue::as_bytes);
    let mut batcher = Batcher::new(&door.ingest, &door.metrics);
    let mut collected = Vec::new();
    for (position, raw) in records.iter().enumerate() {
        let id = batcher.id(received_at);
        let frame = Frame { id, received_at, listener: NAME, peer: &peer, raw };
        let mut decoded = http::decode(frame);
        decoded.event.correlation_id = Some(request.correlation_id.as_str().into());
        // A record's own id is stronger than the request's key: it recognises a record that comes
        // again in another batch. Both hold within one sender's key only; and an `event_id` that is
        // no id but a kind of message (as some systems name it) must not swallow other records.
        decoded.event.dedup = match (&decoded.event_id, request_key) {
            (Some(id), _) => {
                let parts: [&[u8]; 4] = [b"event_id", request.key.as_bytes(), id.as_bytes(), raw];
                Some(digest_key(&parts, keep_until))
            }
            (None, Some(key)) => {
                let parts: [&[u8]; 4] =
                    [b"request", request.key.as_bytes(), key, &position.to_be_bytes()];
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
    collected
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
            Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, code_of(&error), message, reason))
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

/// How many of a request's events were flagged is told by their parse status.
const _: () = assert!(ParseStatus::Ok as u8 == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_lists_apart() {
        let key = |parts: &[&[u8]]| digest_key(parts, Timestamp(0)).digest;
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
    }

    #[test]
    fn a_sane_correlation_id_is_kept() {
        let check = |value: &str, kept: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("x-correlation-id", HeaderValue::from_str(value).unwrap());
            assert_eq!(correlation_id(&headers).is_some(), kept, "{value}");
        };
        check("abc-123", true);
        check("two words", false);
        check(&"x".repeat(129), false);
    }

    #[test]
    fn a_bearer_token_is_found() {
        assert_eq!(bearer(b"Bearer  abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc="), None);
        assert_eq!(bearer(b"Bea"), None);
    }
}
