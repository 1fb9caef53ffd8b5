//! The one HTTP sink: it renders, posts, reads a bounded answer and classifies.

mod classify;
mod client;
mod resolver;
mod scrub;

use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Clock;
use mutt_model::delivery::{Attempt, Delivery, Outcome};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response, Url};

pub use classify::{Class, RETRY_AFTER_MAX, outcome_of, retry_after};

use crate::payload::{self, Rendered};
use crate::sink::{BuildError, Sink, SinkConfig, SinkKind, TestResult};
use scrub::Scrub;

/// At most this much of an answer is read; the status has already said what counts.
pub const ANSWER_MAX: usize = 64 * 1024;

/// A sink that is reached by HTTP.
pub struct HttpSink {
    name: String,
    kind: SinkKind,
    location: String,
    url: Url,
    auth: Option<(HeaderName, HeaderValue)>,
    client: reqwest::Client,
    scrub: Scrub,
    clock: Clock,
}

impl std::fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSink")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// How one exchange ended.
struct Exchange {
    outcome: Outcome,
    class: Class,
    status: Option<u16>,
    detail: String,
}

impl HttpSink {
    /// Makes the sink; connects nothing.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work.
    pub fn new(name: &str, config: SinkConfig, clock: Clock) -> Result<Self, BuildError> {
        let parts = client::prepare(&config)?;
        Ok(Self {
            name: name.to_owned(),
            kind: config.kind,
            location: config.location,
            url: parts.url,
            auth: parts.auth,
            client: parts.client,
            scrub: parts.scrub,
            clock,
        })
    }

    fn request(&self, method: Method) -> reqwest::RequestBuilder {
        let request = self.client.request(method, self.url.clone());
        match &self.auth {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
    }

    async fn post(&self, rendered: Rendered) -> Exchange {
        let mut request = self.request(Method::POST).header("content-type", "application/json");
        for (name, value) in rendered.headers {
            request = request.header(name, value);
        }
        match request.body(rendered.body).send().await {
            Ok(answer) => self.judge(answer).await,
            Err(error) => self.failed(error, None),
        }
    }

    fn failed(&self, error: reqwest::Error, status: Option<u16>) -> Exchange {
        let (class, outcome) = classify::failure(&error, status.is_some());
        Exchange { outcome, class, status, detail: self.scrub.detail(&classify::describe(error)) }
    }

    async fn judge(&self, mut answer: Response) -> Exchange {
        let status = answer.status().as_u16();
        let after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, self.clock.wall()));
        let html =
            answer.headers().get("content-type").and_then(|value| value.to_str().ok()).is_some_and(
                |value| value.trim_start().to_ascii_lowercase().starts_with("text/html"),
            );
        let outcome = outcome_of(status, after);
        let body = match read_bounded(&mut answer).await {
            Ok(body) => body,
            // Only an acceptance needs its whole answer; every other status has spoken.
            Err(error) if outcome == Outcome::Ok => return self.failed(error, Some(status)),
            Err(_) => Vec::new(),
        };
        let text = String::from_utf8_lossy(&body);
        let detail = self.scrub.detail(&text);
        if outcome == Outcome::Ok && self.is_login_page(&text, html) {
            return Exchange {
                outcome: Outcome::Hold,
                class: Class::Body,
                status: Some(status),
                detail: self.scrub.detail(&format!(
                    "the answer is a web page (login?), not an acknowledgement: {text}"
                )),
            };
        }
        let class = if (300..400).contains(&status) { Class::Redirect } else { Class::Http };
        Exchange { outcome, class, status: Some(status), detail }
    }

    /// Moogsoft answers a wrong path or credential with 200 and its login page: the lane is at
    /// fault, nothing was taken.
    fn is_login_page(&self, text: &str, html: bool) -> bool {
        let moogsoft = matches!(self.kind, SinkKind::Moogsoft | SinkKind::MoogsoftCloud);
        let page = || text.to_ascii_lowercase().contains("<html");
        moogsoft && (text.contains("Login.php") || (html && page()))
    }

    fn elapsed_ms(&self, since: Duration) -> u64 {
        u64::try_from(self.clock.monotonic().saturating_sub(since).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Reads the answer up to [`ANSWER_MAX`]; what comes after it is not waited for.
async fn read_bounded(answer: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER_MAX {
        let Some(chunk) = answer.chunk().await? else { break };
        let room = ANSWER_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

#[async_trait]
impl Sink for HttpSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SinkKind {
        self.kind
    }

    async fn send(&self, delivery: &Delivery) -> Attempt {
        let (at, begun) = (self.clock.wall(), self.clock.monotonic());
        let exchange = self.post(payload::render(self.kind, delivery, &self.location)).await;
        Attempt {
            at,
            outcome: exchange.outcome,
            status: exchange.status,
            latency_ms: self.elapsed_ms(begun),
            class: exchange.class.name().to_owned(),
            detail: exchange.detail,
        }
    }

    /// Asks with OPTIONS, which no receiver takes for an event.
    async fn test(&self) -> TestResult {
        let begun = self.clock.monotonic();
        let exchange = match self.request(Method::OPTIONS).send().await {
            Ok(answer) => self.judge(answer).await,
            Err(error) => self.failed(error, None),
        };
        let authorised = match exchange.status {
            Some(401 | 403 | 407) => Some(false),
            Some(_) if exchange.class == Class::Body => Some(false),
            Some(200..=299) => Some(true),
            _ => None,
        };
        TestResult {
            reachable: exchange.status.is_some(),
            authorised,
            status: exchange.status,
            latency_ms: self.elapsed_ms(begun),
            class: exchange.class.name().to_owned(),
            detail: exchange.detail,
        }
    }
}
