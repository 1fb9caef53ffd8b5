//! What the store's tests share: a store on a manual clock, events, verdicts, batches.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::delivery::{Attempt, Delivery, Finished, Next, Outcome};
use mutt_model::event::Source;
use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Environment, Verdict};
use mutt_model::{BatchBuilder, Clock, Event, Id, IdSource, Severity, Timestamp};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{
    Actor, CommitPolicy, CommitWork, Committed, JudgedBatch, LaneReport, SinkLease, Store,
};

pub(crate) const START: Timestamp = Timestamp::from_secs(1_764_000_000);
pub(crate) const SINK: &str = "moog";

pub(crate) fn options() -> SqliteOptions {
    SqliteOptions {
        clock: Clock::manual(START),
        id_seed: Some(1),
        cache_bytes: 4 << 20,
        ..SqliteOptions::default()
    }
}

pub(crate) fn sqlite(dir: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&dir.join("store.db"), options()).unwrap())
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(START.0 + seconds * 1_000_000)
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor { name: name.to_owned(), reason: Some("because".to_owned()) }
}

/// Ids of events and batches, different in the whole process.
pub(crate) fn fresh_id(at: Timestamp) -> Id {
    static SEED: AtomicU64 = AtomicU64::new(1_000);
    IdSource::new(SEED.fetch_add(1, Ordering::Relaxed)).next(at)
}

pub(crate) fn event(seconds: i64, host: &str, message: &str) -> Event<'static> {
    let received_at = at(seconds);
    let id = fresh_id(received_at);
    let mut event = Event::from_raw(id, received_at, Source::Syslog, "tcp", "192.0.2.7:9", b"");
    event.raw = Cow::Owned(message.as_bytes().to_vec());
    event.message = Cow::Owned(message.to_owned());
    event.host = Cow::Owned(host.to_owned());
    event.severity = Some(Severity::ERROR);
    event.into_owned()
}

pub(crate) fn unhandled(template: &str) -> Verdict {
    Verdict { team: "NETO".to_owned(), template: Some(template.to_owned()), ..Verdict::default() }
}

/// A verdict of rule 7 that changes the alert of this key.
pub(crate) fn alerting(event: &Event<'_>, key: &str, action: RuleAction) -> Verdict {
    let decision = Handling::PageAndTicket;
    let change = AlertChange {
        key: key.to_owned(),
        action,
        problem: "link".to_owned(),
        host: event.host.to_string(),
        resource: String::new(),
        severity: event.severity.unwrap_or(Severity::WARNING),
        team: "NetOps".to_owned(),
        decision: decision.clone(),
        environment: Environment::Prod,
        rule_id: Some(7),
        clear_after: Duration::from_secs(3_600),
        message: event.message.to_string(),
        at: event.received_at,
        event_id: Some(event.id),
        correlation_id: None,
    };
    Verdict {
        rule_id: Some(7),
        decision: Some(decision),
        environment: Environment::Prod,
        team: "NetOps".to_owned(),
        change: Some(change),
        template: None,
    }
}

pub(crate) fn route(name: &str, repeat: Repeat) -> SinkRoute {
    SinkRoute {
        name: name.to_owned(),
        teams: vec![],
        decisions: vec![],
        environments: vec![],
        repeat,
    }
}

pub(crate) fn policy() -> CommitPolicy {
    CommitPolicy {
        unhandled_threshold: 3,
        unhandled_window: Duration::from_secs(3_600),
        default_team: "NETO".to_owned(),
        sinks: vec![route(SINK, Repeat::Every)],
    }
}

pub(crate) fn batch(events: &[(Event<'_>, Verdict)]) -> JudgedBatch {
    let mut builder = BatchBuilder::new(fresh_id(START), 0);
    for (event, _) in events {
        builder.push(event);
    }
    let verdicts = events.iter().map(|(_, verdict)| Some(verdict.clone())).collect();
    JudgedBatch { batch: Arc::new(builder.finish()), verdicts, first: false }
}

pub(crate) fn work(batches: Vec<JudgedBatch>) -> CommitWork {
    let policy = Arc::new(policy());
    CommitWork { shard: 0, generation: 1, ruleset: 1, batches, policy, now: START }
}

/// Commits one batch of (seconds, key, action) on as many hosts as there are keys.
pub(crate) async fn commit_changes(
    store: &Arc<dyn Store>,
    changes: &[(i64, &str, RuleAction)],
) -> Committed {
    let events: Vec<_> = changes
        .iter()
        .map(|(seconds, key, action)| {
            let event = event(*seconds, "r1", &format!("{key} at {seconds}"));
            let verdict = alerting(&event, key, *action);
            (event, verdict)
        })
        .collect();
    store.commit(work(vec![batch(&events)])).await.unwrap()
}

pub(crate) async fn lease(store: &Arc<dyn Store>) -> SinkLease {
    store.lease_sink(SINK, "forwarder-1", Duration::from_secs(30), false).await.unwrap().unwrap()
}

pub(crate) async fn take(store: &Arc<dyn Store>, lease: &SinkLease, limit: usize) -> Vec<Delivery> {
    store.take_due(lease, limit, false, START).await.unwrap()
}

pub(crate) fn attempted(id: Id, next: Next) -> Finished {
    let outcome = match &next {
        Next::Delivered => Outcome::Ok,
        Next::RetryAt(_) => Outcome::Retry { after: None },
        Next::HoldLane(_) => Outcome::Hold,
        Next::Dead(_) => Outcome::Poison,
    };
    let attempt = Attempt {
        at: START,
        outcome,
        status: Some(500),
        latency_ms: 5,
        class: "http".to_owned(),
        detail: "said so".to_owned(),
    };
    Finished { delivery: id, attempt, next }
}

pub(crate) async fn finish(store: &Arc<dyn Store>, lease: &SinkLease, id: Id, next: Next) {
    let report = LaneReport { breaker: "closed".to_owned() };
    store.finish(lease, vec![attempted(id, next)], report).await.unwrap();
}
