//! Who sends: the ingest key that a request carries, in each way that clients carry one, and the rate
//! that it may send with.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mutt_model::{Secret, codes};

use super::HttpDoor;
use super::answer::Refusal;

/// A key that is held back is told of again after this time.
const TELL_PERIOD: Duration = Duration::from_secs(60);
/// Longest time that a client is told to wait.
const WAIT_MAX: u64 = 3_600;
/// Without a burst of its own a key may save up its rate for so many seconds.
const BURST_SECONDS: f64 = 10.0;

/// An ingest key by name. Several secrets overlap during a rotation.
#[derive(Clone, Debug)]
pub struct Key {
    /// For people and logs.
    pub name: String,
    /// Any of these.
    pub secrets: Vec<Secret>,
    /// What may come with it.
    pub rate: Option<Rate>,
}

/// Events that may come with a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: f64,
}

impl Rate {
    /// So many in a second, and at once.
    #[must_use]
    pub fn new(per_second: f64, burst: Option<u64>) -> Self {
        let burst = burst.map_or(per_second * BURST_SECONDS, |burst| burst as f64);
        Self { per_second, burst: burst.max(1.0) }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(1.0, "s"), (60.0, "m"), (3_600.0, "h")];
        let unit = units.iter().find(|(seconds, _)| self.per_second * seconds >= 1.0);
        let (seconds, unit) = unit.unwrap_or(&units[2]);
        let rounded = (self.per_second * seconds * 1_000.0).round() / 1_000.0;
        write!(f, "{rounded}/{unit}, burst {}", self.burst)
    }
}

/// What the rates of keys have left, by name.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    /// Below zero: a request larger than the burst is paid off.
    tokens: f64,
    filled_at: Duration,
    told_at: Option<Duration>,
}

/// A request that must wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Seconds.
    wait: u64,
    /// Whether it is time to tell of it.
    is_news: bool,
}

impl Limits {
    /// Takes so many events of a key. A request larger than the burst passes when the burst is saved
    /// up, else it never would.
    pub(super) fn take(
        &self,
        name: &str,
        rate: Rate,
        events: usize,
        now: Duration,
    ) -> Result<(), Held> {
        // Who panics with the lock held leaves numbers that are as good as any.
        let mut buckets = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bucket = buckets.entry(name.to_owned()).or_insert_with(|| Bucket {
            tokens: rate.burst,
            filled_at: now,
            told_at: None,
        });
        let passed = now.saturating_sub(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate.per_second).min(rate.burst);
        bucket.filled_at = bucket.filled_at.max(now);
        let wanted = events as f64;
        let missing = wanted.min(rate.burst) - bucket.tokens;
        if missing <= 1e-6 {
            bucket.tokens -= wanted;
            return Ok(());
        }
        let lately = |at: Duration| now.saturating_sub(at) < TELL_PERIOD;
        let is_news = !bucket.told_at.is_some_and(lately);
        if is_news {
            bucket.told_at = Some(now);
        }
        let wait = (missing / rate.per_second).ceil().clamp(1.0, WAIT_MAX as f64) as u64;
        Err(Held { wait, is_news })
    }

    /// Gives back what was taken for events that were not stored.
    pub(super) fn give_back(&self, name: &str, rate: Rate, events: usize) {
        let mut buckets = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(name) {
            bucket.tokens = (bucket.tokens + events as f64).min(rate.burst);
        }
    }
}

/// Gives a key back what it paid for events that were not stored.
pub(super) fn give_back(door: &HttpDoor, key: &Key, events: usize) {
    if let Some(rate) = key.rate {
        door.limits.give_back(&key.name, rate, events);
    }
}

/// Counts events of a key.
pub(super) fn count(door: &HttpDoor, key: &Key, outcome: &'static str, events: u64) {
    let labels = vec![("key", key.name.clone()), ("outcome", outcome.to_owned())];
    door.ingest.metrics.by_key.get_or_create(&labels).inc_by(events);
}

/// Refuses a request whose key sends more than it may.
pub(super) fn within_rate(door: &HttpDoor, key: &Key, events: usize) -> Result<(), Refusal> {
    let Some(rate) = key.rate else { return Ok(()) };
    let now = door.ingest.clock.monotonic();
    let Err(held) = door.limits.take(&key.name, rate, events, now) else { return Ok(()) };
    count(door, key, "held_back", events as u64);
    let (name, code) = (&key.name, codes::INGEST_RATE);
    if held.is_news {
        tracing::warn!(%code, key = %name, rate = %rate, events, "an ingest key sends more than its rate; its requests are answered 429");
    }
    let message = format!(
        "the key `{name}` sends more than its rate ({rate}): {events} events are held back, send them again in {} s",
        held.wait
    );
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, code, message, "rate_limit");
    Err(refusal.held_back(name, held.wait))
}

/// What a request carries as its key.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    /// A scheme that carries no key.
    Unknown,
    Key(Vec<u8>),
}

/// `X-API-KEY`; else `Authorization` as Bearer, as Splunk's clients write it, or the password of Basic.
fn given(headers: &HeaderMap) -> Given {
    if let Some(key) = headers.get("x-api-key") {
        return Given::Key(key.as_bytes().to_vec());
    }
    let Some(value) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return Given::Nothing;
    };
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(space);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"splunk") {
        return Given::Key(rest.to_vec());
    }
    if scheme.eq_ignore_ascii_case(b"basic")
        && let Ok(pair) = BASE64_STANDARD.decode(rest)
        && let Some(colon) = pair.iter().position(|byte| *byte == b':')
    {
        return Given::Key(pair[colon + 1..].to_vec());
    }
    Given::Unknown
}

/// The key that a request carries.
pub(super) fn authorised(door: &HttpDoor, headers: &HeaderMap) -> Result<Key, Refusal> {
    let (key, number) = match given(headers) {
        Given::Nothing => (None, 2),
        Given::Unknown => (None, 3),
        Given::Key(secret) => (known(&door.keys.load(), &secret), 4),
    };
    key.ok_or_else(|| unknown_key(door, number == 4).hec(number))
}

fn known(keys: &[Key], given: &[u8]) -> Option<Key> {
    // Digests are compared, so that the time tells nothing about the key.
    let given = ring::digest::digest(&ring::digest::SHA256, given);
    let mut found = None;
    for key in keys {
        for secret in &key.secrets {
            let known = ring::digest::digest(&ring::digest::SHA256, secret.expose().as_bytes());
            if !secret.is_empty() && known.as_ref() == given.as_ref() {
                found = Some(key);
            }
        }
    }
    found.cloned()
}

/// A key that is not known is refused; while one of ours is still waited for, it may be that one.
fn unknown_key(door: &HttpDoor, was_given: bool) -> Refusal {
    match door.keyring.missing(|key| key.starts_with("ingestor.http.keys.")) {
        Some(missing) => {
            let why = "an ingest key of this listener is not known yet: its secret is waited for";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Refusal::new(status, *missing.trouble.code, why.to_owned(), "secret")
        }
        None => {
            let why = if was_given {
                "the ingest key that was sent is not known here"
            } else {
                "send the ingest key as X-API-KEY or as a bearer token"
            };
            Refusal::new(StatusCode::UNAUTHORIZED, codes::INGEST_BAD_KEY, why.to_owned(), "auth")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_way_that_clients_carry_it() {
        let check = |name: &str, value: &str, expected: Given| {
            let mut headers = HeaderMap::new();
            let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            assert_eq!(given(&headers), expected, "{value}");
        };
        let key = |key: &str| Given::Key(key.as_bytes().to_vec());
        check("x-api-key", "abc", key("abc"));
        check("authorization", "Bearer  abc", key("abc"));
        check("authorization", "bearer abc", key("abc"));
        check("authorization", "Splunk abc", key("abc"));
        check("authorization", "Basic dXNlcjphOmI=", key("a:b"));
        check("authorization", "Basic abc", Given::Unknown);
        check("authorization", "Digest abc", Given::Unknown);
        check("authorization", "", Given::Unknown);
        assert_eq!(given(&HeaderMap::new()), Given::Nothing);
    }

    #[test]
    fn a_rate_holds_and_large_requests_are_paid_off() {
        let (limits, rate) = (Limits::default(), Rate::new(10.0, Some(20)));
        let take = |events, at| limits.take("k", rate, events, Duration::from_millis(at));
        assert_eq!(take(15, 0), Ok(()));
        assert_eq!(take(6, 0), Err(Held { wait: 1, is_news: true }));
        assert_eq!(take(20, 0), Err(Held { wait: 2, is_news: false }));
        assert_eq!(take(5, 0), Ok(()));
        // Larger than the burst: when the burst is there.
        assert_eq!(take(100, 1_999), Err(Held { wait: 1, is_news: false }));
        assert_eq!(take(100, 2_000), Ok(()));
        assert_eq!(take(1, 10_000), Err(Held { wait: 1, is_news: false }));
        assert_eq!(take(1, 10_100), Ok(()));
        assert_eq!(take(20, 61_000), Ok(()));
        assert_eq!(take(1, 61_000), Err(Held { wait: 1, is_news: true }));
        // What was not stored is not paid.
        limits.give_back("k", rate, 20);
        assert_eq!(take(20, 61_000), Ok(()));
        limits.give_back("k", rate, 1_000);
        assert_eq!(take(20, 61_000), Ok(()));
        assert_eq!(take(1, 61_000), Err(Held { wait: 1, is_news: false }), "beyond the burst");
        // Another key has its own.
        assert_eq!(limits.take("other", rate, 20, Duration::from_secs(61)), Ok(()));
        // A clock that did not move gives nothing, and a slow rate does not make anybody wait for ever.
        let slow = Rate::new(1e-6, Some(1));
        assert_eq!(limits.take("slow", slow, 1, Duration::ZERO), Ok(()));
        let held = limits.take("slow", slow, 1, Duration::ZERO);
        assert_eq!(held, Err(Held { wait: WAIT_MAX, is_news: true }));
        let shown = |per_second| Rate::new(per_second, None).to_string();
        assert_eq!(shown(5.0), "5/s, burst 50");
        assert_eq!(shown(90.0 / 60.0), "1.5/s, burst 15");
        assert_eq!(shown(30.0 / 60.0), "30/m, burst 5");
        assert_eq!(shown(1.0 / 3_600.0), "1/h, burst 1");
    }
}
