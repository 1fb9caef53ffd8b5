//! How many events each second the embedded store commits into an audit that is large already.
//!
//! `cargo run --release -p mutt-store --example store_speed -- DIR [ROWS] [SECONDS] [ALERTING %] [CAP MiB]`:
//! ROWS stand before (written past the store, without syncs), then batches are committed for SECONDS,
//! 16 of 1,000 events in a transaction, 1,000 hosts, 30 % handled, of these ALERTING % with a delivery.

#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::borrow::Cow;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::batch::encode_body;
use mutt_model::event::Source;
use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Environment, Verdict};
use mutt_model::{Batch, BatchBuilder, Clock, Event, IdSource, Severity, Timestamp};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{CommitPolicy, CommitStore, CommitWork, JudgedBatch, UpkeepStore};
use rusqlite::Connection;

const HOSTS: usize = 1_000;
const BATCHES: usize = 16;
const EVENTS: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("give a directory")?;
    let mut number = |or: u64| args.next().map_or(Ok(or), |a| a.parse());
    let (rows, seconds, alerting) = (number(5_000_000)?, number(20)?, number(0)?);
    let max_bytes = number(1 << 20)? << 20;
    let path = Path::new(&dir).join("speed.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = || SqliteOptions { max_bytes, ..SqliteOptions::default() };
    runtime.block_on(SqliteStore::open(&path, options())?.close());
    let started = Instant::now();
    prefill(&path, rows)?;
    println!("{rows} rows stand after {:.1} s", started.elapsed().as_secs_f64());
    let store = SqliteStore::open(&path, options())?;
    runtime.block_on(measure(&store, Duration::from_secs(seconds), alerting))?;
    println!("{} MiB on disk", store.bytes() >> 20);
    runtime.block_on(store.close());
    Ok(())
}

fn message(host: usize, n: u64) -> String {
    format!(
        "<187>Nov 23 22:00:00 edge-r{host}.example.net {n}: %LINK-3-UPDOWN: Interface \
         GigabitEthernet0/{}/{}, changed state to down",
        n % 4,
        n % 48
    )
}

fn event<'a>(ids: &mut IdSource, at: Timestamp, host: &'a str, raw: &'a str) -> Event<'a> {
    let peer = "192.0.2.7:40022";
    let mut event =
        Event::from_raw(ids.next(at), at, Source::Syslog, "syslog-udp", peer, raw.as_bytes());
    event.host = Cow::Borrowed(host);
    event.message = Cow::Borrowed(&raw[raw.len() / 3..]);
    event.severity = Some(Severity::ERROR);
    event.facility = Some(23);
    event.parse.format = Cow::Borrowed("cisco-ios");
    event
}

fn prefill(path: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
    let mut conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA cache_size = -262144",
    )?;
    let mut ids = IdSource::new(1);
    let start = Clock::System.wall().minus(Duration::from_secs(3_600));
    let tx = conn.transaction()?;
    for n in 0..rows {
        let host = n as usize * 7 % HOSTS;
        let name = format!("edge-r{host}.example.net");
        let raw = message(host, n);
        let event = event(&mut ids, start.plus(Duration::from_micros(n * 100)), &name, &raw);
        let handled = n % 10 < 3;
        let table = if handled { "audit_handled" } else { "audit_unhandled" };
        tx.prepare_cached(&format!(
            "INSERT INTO {table} VALUES (?1, ?2, ?3, 3, 1, ?4, 'Ignore', 0, 'NetOps', NULL, ?5)"
        ))?
        .execute((
            (n + 1).cast_signed(),
            event.id.0.as_slice(),
            &name,
            handled.then_some((n % 50).cast_signed()),
            encode_body(&event),
        ))?;
    }
    tx.execute("UPDATE totals SET seq = ?1, audited = ?1", [rows.cast_signed()])?;
    tx.commit()?;
    Ok(())
}

fn verdict(event: &Event<'_>, n: u64, alerting: u64) -> Verdict {
    let team = "NetOps".to_owned();
    if n % 10 >= 3 {
        let template = Some("Interface <*>, changed state to <*>".to_owned());
        return Verdict { team, template, ..Verdict::default() };
    }
    let delivers = n / 10 % 100 < alerting;
    let decision = if delivers { Handling::PageOnly } else { Handling::Ignore };
    let change = delivers.then(|| AlertChange {
        key: format!("link/{}", event.host),
        action: RuleAction::Problem,
        problem: "link".to_owned(),
        host: event.host.to_string(),
        resource: String::new(),
        severity: Severity::ERROR,
        team: team.clone(),
        decision: decision.clone(),
        environment: Environment::Prod,
        rule_id: Some(7),
        clear_after: Duration::from_secs(86_400),
        message: event.message.to_string(),
        at: event.received_at,
        event_id: Some(event.id),
        correlation_id: None,
    });
    let rule_id = Some((n % 50).cast_signed());
    Verdict { rule_id, decision: Some(decision), team, change, ..Verdict::default() }
}

fn work(ids: &mut IdSource, n: &mut u64, alerting: u64, policy: &Arc<CommitPolicy>) -> CommitWork {
    let now = Clock::System.wall();
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let mut builder = BatchBuilder::new(ids.next(now), 0);
        let mut verdicts = Vec::with_capacity(EVENTS);
        for _ in 0..EVENTS {
            *n += 1;
            let host = fastrand::usize(..HOSTS);
            let (name, raw) = (format!("edge-r{host}.example.net"), message(host, *n));
            let event = event(ids, now, &name, &raw);
            builder.push(&event);
            verdicts.push(Some(verdict(&event, *n, alerting)));
        }
        let batch: Batch = builder.finish();
        batches.push(JudgedBatch { batch: Arc::new(batch), verdicts, first: false });
    }
    CommitWork { shard: 0, generation: 1, ruleset: 1, batches, policy: Arc::clone(policy), now }
}

async fn measure(
    store: &SqliteStore,
    length: Duration,
    alerting: u64,
) -> Result<(), Box<dyn Error>> {
    let sink = SinkRoute {
        name: "moog".to_owned(),
        teams: vec![],
        decisions: vec![],
        environments: vec![],
        repeat: Repeat::Every,
    };
    let policy = Arc::new(CommitPolicy {
        unhandled_threshold: 100,
        unhandled_window: Duration::from_secs(86_400),
        default_team: "NETO".to_owned(),
        sinks: vec![sink],
    });
    let (mut audited, mut deliveries, mut slowest) = (0, 0, Duration::ZERO);
    // Batches are made ahead by another thread, as the Ingestor does.
    let (made, next) = std::sync::mpsc::sync_channel(2);
    std::thread::spawn(move || {
        let (mut ids, mut n) = (IdSource::from_entropy(), 0);
        while made.send(work(&mut ids, &mut n, alerting, &policy)).is_ok() {}
    });
    let started = Instant::now();
    while started.elapsed() < length {
        let work = next.recv()?;
        let begun = Instant::now();
        let done = store.commit(work).await?;
        slowest = slowest.max(begun.elapsed());
        audited += done.audited;
        deliveries += done.deliveries.values().sum::<u64>();
    }
    let spent = started.elapsed().as_secs_f64();
    println!(
        "{:.0} events/s: {audited} in {spent:.1} s, slowest commit {} ms; {deliveries} deliveries",
        audited as f64 / spent,
        slowest.as_millis()
    );
    Ok(())
}
