//! Live events: one bounded ring that all listeners share, filled from the store's tail every 250 ms
//! while somebody listens. The listener whose turn it is polls; nobody listening, nobody polls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::sse::Event as Sent;
use futures_util::stream::{Stream, unfold};
use mutt_model::audit::AuditedEvent;
use mutt_model::{Severity, codes};
use mutt_store::store::{ReadStore, Store, StoreError};
use serde_json::json;
use tokio::sync::Mutex;

use crate::auth;
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// How often the store is asked.
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// Without a listener for this long the ring starts anew at the newest row.
const STALE: Duration = Duration::from_secs(5);
/// Rows of one question to the store ...
const TAIL_ROWS: usize = 500;
/// ... and questions in one turn; more arrived means a gap, and the newest place.
const TAIL_TURNS: usize = 4;
/// Rows that a listener may be behind.
const RING: usize = 2_000;
/// Listeners at a time.
const LISTENERS: usize = 200;
/// What a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Row {
    seq: i64,
    host: String,
    message: String,
    severity: Option<Severity>,
    handled: bool,
    json: String,
}

impl Row {
    fn new(row: &AuditedEvent) -> Self {
        Self {
            seq: row.seq,
            host: row.event.host.to_lowercase(),
            message: row.event.message.to_lowercase(),
            severity: row.event.severity,
            handled: row.judgement.handled,
            json: row.to_json().to_string(),
        }
    }
}

/// What a listener wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Lower case, exact.
    pub(crate) host: Option<String>,
    /// Lower case, part of the message.
    pub(crate) q: Option<String>,
    /// This severe or more.
    pub(crate) severity_max: Option<Severity>,
    pub(crate) handled: Option<bool>,
}

impl Filter {
    fn wants(&self, row: &Row) -> bool {
        self.host.as_ref().is_none_or(|host| *host == row.host)
            && self.q.as_ref().is_none_or(|q| row.message.contains(q.as_str()))
            && self.severity_max.is_none_or(|max| row.severity.is_some_and(|s| s <= max))
            && self.handled.is_none_or(|handled| handled == row.handled)
    }
}

#[derive(Debug, Default)]
struct Ring {
    rows: VecDeque<Arc<Row>>,
    /// The store's place up to which rows were read; `None` before the first question.
    place: Option<i64>,
    /// Rows up to this place are not in the ring.
    before: i64,
    asked_at: Option<Duration>,
}

/// The ring and who listens.
#[derive(Debug, Default)]
pub(crate) struct Live {
    ring: Mutex<Ring>,
    listeners: Arc<AtomicUsize>,
}

/// What a listener gets in one turn.
struct Turn {
    rows: Vec<Arc<Row>>,
    /// Where it stands after it.
    place: i64,
    /// Rows were passed over.
    gap: bool,
}

impl Live {
    async fn turn(
        &self,
        store: &dyn Store,
        now: Duration,
        place: Option<i64>,
    ) -> Result<Turn, StoreError> {
        let mut ring = self.ring.lock().await;
        let age = ring.asked_at.map(|at| now.saturating_sub(at));
        if age.is_none_or(|age| age >= POLL) {
            if age.is_some_and(|age| age > STALE) {
                *ring = Ring::default();
            }
            ring.asked_at = Some(now);
            ring.fill(store).await?;
        }
        let newest = ring.place.unwrap_or_default();
        let from = place.unwrap_or(newest);
        Ok(Turn {
            rows: ring.rows.iter().filter(|row| row.seq > from).cloned().collect(),
            place: newest.max(from),
            gap: from < ring.before,
        })
    }
}

impl Ring {
    async fn fill(&mut self, store: &(impl ReadStore + ?Sized)) -> Result<(), StoreError> {
        let Some(mut place) = self.place else {
            let (_, place) = store.tail(None, 0).await?;
            (self.place, self.before) = (Some(place), place);
            return Ok(());
        };
        for _ in 0..TAIL_TURNS {
            let (rows, next) = store.tail(Some(place), TAIL_ROWS).await?;
            let full = rows.len() >= TAIL_ROWS;
            self.rows.extend(rows.iter().map(|row| Arc::new(Row::new(row))));
            place = next;
            self.place = Some(place);
            while self.rows.len() > RING {
                if let Some(gone) = self.rows.pop_front() {
                    self.before = gone.seq;
                }
            }
            if !full {
                return Ok(());
            }
        }
        // More arrives than anybody could read: show the newest and say that rows were passed over.
        let (_, newest) = store.tail(None, 0).await?;
        if newest > place {
            self.rows.clear();
            (self.place, self.before) = (Some(newest), newest);
        }
        Ok(())
    }
}

/// Counts a listener for as long as it lives.
#[derive(Debug)]
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Listener {
    state: WebState,
    who: Principal,
    filter: Filter,
    place: Option<i64>,
    /// Where the reader left off, until it was caught up.
    resume: Option<i64>,
    waiting: VecDeque<Sent>,
    troubled: bool,
    _seat: Seat,
}

/// A stream of events from now on, or from `resume` (the `seq` of the last one seen).
pub(crate) fn listen(
    state: &WebState,
    who: Principal,
    filter: Filter,
    resume: Option<i64>,
) -> Answer<impl Stream<Item = Sent> + use<>> {
    let seats = Arc::clone(&state.live.listeners);
    let taken = seats.fetch_add(1, Ordering::Relaxed);
    let seat = Seat(seats);
    if taken >= LISTENERS {
        let words = format!("{LISTENERS} listeners are connected already.");
        return Err(Problem::unavailable(words));
    }
    let hello = Sent::default().event("hello").retry(RETRY).data("{}");
    let waiting = VecDeque::from([hello]);
    let state = state.clone();
    let first =
        Listener { state, who, filter, place: None, resume, waiting, troubled: false, _seat: seat };
    Ok(unfold(first, |mut listener| async move {
        loop {
            if let Some(sent) = listener.waiting.pop_front() {
                return Some((sent, listener));
            }
            let mut stop = listener.state.stop.clone();
            if *stop.borrow() || !auth::still_valid(&listener.state, &listener.who) {
                return None;
            }
            if listener.place.is_some() {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    _ = stop.wait_for(|stop| *stop) => return None,
                }
            }
            match listener.resume.take() {
                Some(place) => listener.catch_up(place).await,
                None => listener.look().await,
            }
        }
    }))
}

impl Listener {
    /// Reads what came since the reader left off, when that is little; else says that rows are missing.
    async fn catch_up(&mut self, place: i64) {
        let now = self.state.clock.monotonic();
        let store = self.state.store.as_ref();
        let read = async {
            // The ring stands first, so that nothing falls between it and what is read here.
            let stands = self.state.live.turn(store, now, None).await?.place;
            let (rows, _) = store.tail(Some(place.min(stands)), TAIL_ROWS).await?;
            Ok::<_, StoreError>((rows, stands))
        };
        match read.await {
            Ok((rows, stands)) if rows.len() < TAIL_ROWS => {
                self.place = Some(stands);
                for row in rows.iter().filter(|row| row.seq <= stands) {
                    self.push(&Row::new(row));
                }
            }
            // Too much, or the store is away: the next look goes on from the newest place.
            Ok(_) | Err(_) => self.gap(),
        }
    }

    fn push(&mut self, row: &Row) {
        if self.filter.wants(row) {
            let sent = Sent::default().event("event").id(row.seq.to_string());
            self.waiting.push_back(sent.data(&row.json));
        }
    }

    fn gap(&mut self) {
        let words = json!({"why": "more events arrived than are shown live"});
        self.waiting.push_back(Sent::default().event("gap").data(words.to_string()));
    }

    async fn look(&mut self) {
        let now = self.state.clock.monotonic();
        match self.state.live.turn(self.state.store.as_ref(), now, self.place).await {
            Ok(turn) => {
                if self.troubled {
                    self.troubled = false;
                    self.waiting.push_back(status("connected"));
                }
                if turn.gap && self.place.is_some() {
                    self.gap();
                }
                self.place = Some(turn.place);
                turn.rows.iter().for_each(|row| self.push(row));
            }
            Err(err) => {
                if !self.troubled {
                    self.troubled = true;
                    tracing::warn!(code = %codes::API_INTERNAL, error = %err, "no live events");
                    self.waiting.push_back(status("waiting for the store"));
                }
                // A listener that has no place yet would ask again at once.
                if self.place.is_none() {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
}

fn status(text: &str) -> Sent {
    Sent::default().event("status").data(json!({"state": text}).to_string())
}
