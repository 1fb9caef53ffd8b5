//! Live events: they arrive, in order, once, filtered, and the stream ends when it must.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use mutt_model::{Clock, Secret, Severity};
use mutt_store::store::ReadStore as _;
use mutt_web::Role;

use crate::support::{World, token};

/// Time is the machine's here: the listener waits for real turns, the test only for what it awaits.
const DEADLINE: Duration = Duration::from_secs(20);

struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    async fn open(world: &World, query: &str) -> Self {
        let mut stream = Self::start(world, query).await;
        stream.until("event: hello").await;
        // The first turn finds the place to start from; the one after it waits for rows.
        assert!(stream.frame(Duration::from_millis(300)).await.is_none(), "nothing old is sent");
        stream
    }

    async fn start(world: &World, query: &str) -> Self {
        let request = Request::builder()
            .uri(format!("/api/v2/events/stream{query}"))
            .header("x-api-key", token(Role::Viewer))
            .body(Body::empty())
            .unwrap();
        let response = world.send(request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next piece; `None` when none comes in time.
    async fn frame(&mut self, within: Duration) -> Option<bool> {
        let next = tokio::time::timeout(within, self.body.frame()).await.ok()?;
        let Some(frame) = next else { return Some(false) };
        let bytes = frame.unwrap().into_data().unwrap();
        self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        Some(true)
    }

    async fn until(&mut self, words: &str) {
        // Keep-alives come too: count pieces, so that a stream without the words ends the test.
        for _ in 0..10_000 {
            if self.text.contains(words) {
                return;
            }
            assert!(
                !self.text.ends_with("\n\n:\n\n"),
                "only keep-alives, no {words}: {}",
                self.text
            );
            assert_eq!(
                self.frame(DEADLINE).await,
                Some(true),
                "waiting for {words}: {}",
                self.text
            );
        }
    }

    async fn end(&mut self) {
        while self.frame(DEADLINE).await.expect("the stream ends") {}
    }
}

#[tokio::test]
async fn events_arrive_in_order_once_and_filtered() {
    let world = World::with(Clock::System);
    world.rules().await;
    world.commit(&[world.event("r0", Severity::INFO, "old")]).await;
    let mut all = Stream::open(&world, "").await;
    let mut few = Stream::open(&world, "?host=R2&severity_max=error").await;
    for n in 0..5 {
        let host = format!("r{n}");
        world.commit(&[world.event(&host, Severity::ERROR, &format!("message {n}."))]).await;
    }
    all.until("message 4.").await;
    let at: Vec<usize> = (0..5).map(|n| all.text.find(&format!("message {n}.")).unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(all.text.matches("event: event").count(), 5);
    assert!(!all.text.contains("\"old\""));
    few.until("message 2.").await;
    assert_eq!(few.text.matches("event: event").count(), 1);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_left_off() {
    let world = World::with(Clock::System);
    world.commit(&[world.event("r1", Severity::INFO, "first.")]).await;
    let (rows, _) = world.store.tail(Some(0), 10).await.unwrap();
    world.commit(&[world.event("r1", Severity::INFO, "second.")]).await;
    let mut stream = Stream::start(&world, &format!("?after={}", rows[0].seq)).await;
    stream.until("second.").await;
    world.commit(&[world.event("r1", Severity::INFO, "third.")]).await;
    stream.until("third.").await;
    assert_eq!(stream.text.matches("event: event").count(), 2, "{}", stream.text);
}

#[tokio::test]
async fn a_flood_is_cut_and_said_so() {
    let world = World::with(Clock::System);
    let mut stream = Stream::open(&world, "").await;
    let flood: Vec<_> =
        (0..5_000).map(|n| world.event("r1", Severity::INFO, &format!("flood {n}"))).collect();
    world.commit(&flood).await;
    stream.until("event: gap").await;
    assert!(stream.text.matches("event: event").count() <= 4_000);
}

#[tokio::test]
async fn the_stream_ends_with_the_service_and_with_the_token() {
    let world = World::with(Clock::System);
    let mut stream = Stream::open(&world, "").await;
    world.stop.send(true).unwrap();
    stream.end().await;

    let world = World::with(Clock::System);
    let mut stream = Stream::open(&world, "").await;
    *world.program.tokens.lock().unwrap() = Vec::new().into();
    stream.end().await;

    let world = World::with(Clock::System);
    let mut stream = Stream::open(&world, "").await;
    let mut tokens = world.program.tokens.lock().unwrap().to_vec();
    for token in &mut tokens {
        token.secret = Secret::new(format!("{}, changed", token.secret.expose()));
    }
    *world.program.tokens.lock().unwrap() = tokens.into();
    stream.end().await;
}
