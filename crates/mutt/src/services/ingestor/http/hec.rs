//! What the Splunk HTTP Event Collector has beside events: health, acknowledgements, and the query of
//! its raw endpoint.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use mutt_model::{Timestamp, codes};
use mutt_wire::http::Query;
use serde_json::{Map, Value, json};

use super::answer::{self, Form, Refusal};
use super::{HttpDoor, body, correlation_id, keys};

/// Acknowledgements that may be asked for at once.
const ACKS_MAX: usize = 10_000;

/// The id that was given last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Whether events would be taken.
pub(super) async fn health(State(door): State<Arc<HttpDoor>>) -> Response {
    if door.ingest.takes_events() {
        return Json(json!({"text": "HEC is healthy", "code": 17})).into_response();
    }
    let body = json!({"text": "HEC is unhealthy, queues are full", "code": 18});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// The pairs of a query, decoded.
pub(super) fn query(uri: &Uri) -> Query {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    Query { pairs: pairs.map(|axum::extract::Query(pairs)| pairs).unwrap_or_default() }
}

/// The channel that a client names, in a header or in the query.
fn channel(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let header = headers.get("x-splunk-request-channel").and_then(|value| value.to_str().ok());
    let header = header.map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    header.or_else(|| query(uri).get("channel").map(ToOwned::to_owned))
}

/// The id by which a client that names a channel may ask whether its events are safe. It is the time of
/// the answer in microseconds, given once: so that another Ingestor, and this one after a restart, know
/// which ids can have been given.
pub(super) fn ack_id(asked: &super::Asked, now: Timestamp) -> Option<u64> {
    channel(&asked.headers, &asked.uri)?;
    next_id(&LAST, now)
}

fn next_id(last: &AtomicU64, now: Timestamp) -> Option<u64> {
    let now = u64::try_from(now.0).unwrap_or(0);
    let next = |last: u64| Some(now.max(last.saturating_add(1)));
    next(last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(now))
}

/// Whether an id can have been given: by a clock that stood later, too.
fn was_given(last: &AtomicU64, id: u64, now: Timestamp) -> bool {
    let now = u64::try_from(now.0).unwrap_or(0);
    id > 0 && id <= now.max(last.load(Ordering::Relaxed))
}

/// Which of these ids stand for events that are durable: all that were ever given, because an answer
/// comes after the append.
pub(super) async fn acknowledged(
    State(door): State<Arc<HttpDoor>>,
    ConnectInfo(_): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match acks(&door, &uri, &headers, body).await {
        Ok(acks) => Json(json!({"acks": acks})).into_response(),
        Err(refusal) => {
            let id = correlation_id(&headers).unwrap_or_default();
            answer::refused(Form::Hec, refusal, &id)
        }
    }
}

async fn acks(
    door: &HttpDoor,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Map<String, Value>, Refusal> {
    let bad = |why: &str, number| {
        let status = StatusCode::BAD_REQUEST;
        Refusal::new(status, codes::INGEST_NOT_JSON, why.to_owned(), "json").hec(number)
    };
    keys::authorised(door, headers)?;
    if channel(headers, uri).is_none() {
        return Err(bad("name the channel, as X-Splunk-Request-Channel or in the query", 10));
    }
    let reading = body::read(door, headers, body);
    let body = tokio::time::timeout(door.timeout, reading).await;
    let body = body.map_err(|_| bad("the body did not arrive in time", 6))??;
    let asked: Value = serde_json::from_slice(&body)
        .map_err(|error| bad(&format!("the body is no JSON: {error}"), 6))?;
    let ids = asked.get("acks").and_then(Value::as_array);
    let ids = ids.filter(|ids| ids.len() <= ACKS_MAX);
    let ids = ids.ok_or_else(|| bad("send {\"acks\":[ID, ...]}, 10000 at most", 6))?;
    let now = door.ingest.clock.wall();
    let mut acks = Map::new();
    for id in ids {
        let given = id.as_u64().is_some_and(|id| was_given(&LAST, id, now));
        acks.insert(id.to_string(), given.into());
    }
    Ok(acks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_given_is_known_also_when_the_clock_stands_earlier() {
        let last = AtomicU64::new(0);
        let ids = [100, 100, 90].map(|now| next_id(&last, Timestamp(now)).unwrap());
        assert_eq!(ids, [100, 101, 102]);
        let check = |id, now, expected| {
            assert_eq!(was_given(&last, id, Timestamp(now)), expected, "{id} at {now}");
        };
        check(102, 50, true);
        check(103, 50, false);
        check(103, 103, true);
        check(0, 103, false);
    }
}
