//! Rows for measurements on PostgreSQL, and what to measure them against. The database is the caller's,
//! and private: `bench/run` starts one.
//!
//! `postgres_speed fill URL [rows=20000000] [days=30] [hosts=1000]`: commits rows through the store, of
//! hosts drawn from a Zipf, evenly over so many days that end now; makes the schema first.
//!
//! `postgres_speed commit URL [seconds=20] [shards=8] [keys=4]`: commits batches of so many shards at
//! once as fast as it goes, three of ten events repeating one of `keys` alerts of their host.
//!
//! `postgres_speed copy URL FOLDER [seconds=60] [chunk=100000]`: copies the rows of
//! `FOLDER/audit_handled` and `FOLDER/audit_unhandled` (dumps by COPY, binary) into the schema again and
//! again over one connection, as new rows of now, in transactions of `chunk` rows.

#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

#[path = "postgres_speed/copying.rs"]
mod copying;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mutt_model::event::Source;
use mutt_model::rule::{Handling, RuleAction};
use mutt_model::verdict::{AlertChange, Environment, Verdict};
use mutt_model::{BatchBuilder, Clock, Event, IdSource, Severity, Timestamp};
use mutt_store::postgres::{PgOptions, PgRole, PostgresStore, migrate};
use mutt_store::store::{
    CommitPolicy, CommitStore as _, CommitWork, JudgedBatch, SignalStore as _,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Batches of a commit, and events of a batch.
const BATCHES: usize = 16;
const EVENTS: usize = 1_000;
/// Bytes of a line.
const LINE: usize = 256;
/// Shards that the rows are committed by.
const FILLERS: u16 = 2;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let what = args.next().ok_or("fill, commit or copy")?;
    let url = args.next().ok_or("the database's URL is missing")?;
    let mut folder = None;
    let mut numbers = BTreeMap::new();
    for argument in args {
        match argument.split_once('=') {
            Some((name, number)) => drop(numbers.insert(name.to_owned(), number.parse()?)),
            None => folder = Some(argument),
        }
    }
    let number = |name: &str, or: u64| numbers.get(name).copied().unwrap_or(or);
    let seconds = |or| Duration::from_secs(number("seconds", or));
    match what.as_str() {
        "fill" => {
            fill(&url, number("rows", 20_000_000), number("days", 30), number("hosts", 1_000)).await
        }
        "commit" => commit(&url, seconds(20), number("shards", 8), number("keys", 4)).await,
        "copy" => {
            let folder = folder.ok_or("the folder of the dumps is missing")?;
            copying::copy(&url, folder.as_ref(), seconds(60), number("chunk", 100_000)).await
        }
        other => Err(format!("`{other}` is none of fill, commit, copy").into()),
    }
}

/// The store, ready; the URL's user owns the schema unless `mutt_owner` does.
async fn open(url: &str) -> Result<Arc<PostgresStore>> {
    let owner = PgRole { user: "mutt_owner".to_owned(), passwords: <_>::default() };
    let options = PgOptions { owner: Some(owner), accept_no_fsync: true, ..PgOptions::new(url) };
    migrate(&options, &Clock::System, &|_, _| ()).await?;
    let store = PostgresStore::open(&options, Clock::System)?;
    let begun = Instant::now();
    while !store.state().is_ready() {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("the store is away: {:?}", store.state()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Arc::new(store))
}

/// Hosts by rank, the first the busiest.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(hosts: u64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=hosts)
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self) -> usize {
        let at = fastrand::f64() * self.0.last().copied().unwrap_or(1.0);
        self.0.partition_point(|sum| *sum < at).min(self.0.len().saturating_sub(1))
    }
}

/// One line as the load generator sends it, and the host of it.
fn line(host: usize, n: u64, handled: bool) -> (String, String) {
    let name = format!("host{host:04}");
    let text = if handled {
        format!("%LINK-3-UPDOWN: Interface GigabitEthernet0/{}, changed state to down", n % 48)
    } else {
        format!("%SEC-6-IPACCESSLOGP: list 101 permitted tcp 10.1.{}.7(4711), {n} packets", n % 250)
    };
    let mut line = format!("<187>1 2026-01-01T00:00:00.000Z {name} load - - - {text}");
    while line.len() + 1 < LINE {
        line.push(if line.len() % 8 == 0 { ' ' } else { 'x' });
    }
    (name, line)
}

fn event<'a>(ids: &mut IdSource, at: Timestamp, host: &'a str, raw: &'a str) -> Event<'a> {
    let peer = "127.0.0.1:40022";
    let mut event =
        Event::from_raw(ids.next(at), at, Source::Syslog, "syslog-tcp", peer, raw.as_bytes());
    event.host = Cow::Borrowed(host);
    event.message = Cow::Borrowed(raw.split_once(" - - - ").map_or(raw, |(_, message)| message));
    event.severity = Some(Severity::ERROR);
    event.facility = Some(23);
    event
}

/// Handled ones repeat one of `keys` alerts of their host.
fn verdict(event: &Event<'_>, n: u64, handled: bool, keys: u64) -> Verdict {
    let team = "NetOps".to_owned();
    if !handled {
        return Verdict { team, ..Verdict::default() };
    }
    let (resource, decision) = (format!("{}", n % keys.max(1)), Handling::PageAndTicket);
    let change = (keys > 0).then(|| AlertChange {
        key: format!("link/{}/{resource}", event.host),
        action: RuleAction::Problem,
        problem: "link".to_owned(),
        host: event.host.to_string(),
        resource,
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
    Verdict { rule_id: Some(7), decision: Some(decision), team, change, ..Verdict::default() }
}

/// Batches of these moments, of hosts that `host` gives.
fn work(
    ids: &mut IdSource,
    shard: u16,
    moments: &mut impl Iterator<Item = (u64, Timestamp)>,
    host: &impl Fn() -> usize,
    keys: u64,
) -> Option<CommitWork> {
    let policy = CommitPolicy {
        unhandled_threshold: 0,
        unhandled_window: Duration::from_secs(86_400),
        default_team: "NETO".to_owned(),
        sinks: Vec::new(),
    };
    let (mut batches, mut newest) = (Vec::with_capacity(BATCHES), Timestamp(0));
    for _ in 0..BATCHES {
        let first = moments.next()?;
        let mut builder = BatchBuilder::new(ids.next(first.1), shard);
        let mut verdicts = Vec::with_capacity(EVENTS);
        for (n, at) in std::iter::once(first).chain(moments.by_ref().take(EVENTS - 1)) {
            let handled = n % 10 < 3;
            let (name, raw) = line(host(), n, handled);
            let event = event(ids, at, &name, &raw);
            builder.push(&event);
            verdicts.push(Some(verdict(&event, n / 10, handled, keys)));
            newest = at;
        }
        batches.push(JudgedBatch { batch: Arc::new(builder.finish()), verdicts, first: false });
    }
    let policy = Arc::new(policy);
    Some(CommitWork { shard, generation: 1, ruleset: 1, batches, policy, now: newest })
}

/// Hosts of one of `shards`.
fn of_shard(host: usize, shard: u16, shards: u64) -> bool {
    host as u64 % shards == u64::from(shard)
}

async fn fill(url: &str, rows: u64, days: u64, hosts: u64) -> Result<()> {
    let store = open(url).await?;
    let zipf = Arc::new(Zipf::new(hosts));
    let span = Duration::from_secs(days * 86_400);
    let start = Clock::System.wall().minus(span);
    let step = span.as_micros() as u64 / rows.max(1);
    let begun = Instant::now();
    let mut fillers = tokio::task::JoinSet::new();
    for shard in 0..FILLERS {
        let (store, zipf) = (Arc::clone(&store), Arc::clone(&zipf));
        fillers.spawn(async move {
            let mut ids = IdSource::from_entropy();
            let host = || loop {
                let host = zipf.draw();
                if of_shard(host, shard, u64::from(FILLERS)) {
                    return host;
                }
            };
            let mut moments = (0..rows / u64::from(FILLERS)).map(|n| {
                (
                    n,
                    start.plus(Duration::from_micros(
                        (n * u64::from(FILLERS) + u64::from(shard)) * step,
                    )),
                )
            });
            let mut written = 0;
            while let Some(work) = work(&mut ids, shard, &mut moments, &host, 1) {
                written += store.commit(work).await?.audited;
                if shard == 0 && written % 1_600_000 == 0 {
                    println!(
                        "{written} rows of one of {FILLERS} shards after {:.0} s",
                        begun.elapsed().as_secs_f64()
                    );
                }
            }
            Result::Ok(written)
        });
    }
    let mut written = 0;
    while let Some(done) = fillers.join_next().await {
        written += done??;
    }
    println!("{written} rows in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn commit(url: &str, length: Duration, shards: u64, keys: u64) -> Result<()> {
    let store = open(url).await?;
    let begun = Instant::now();
    let mut committers = tokio::task::JoinSet::new();
    for shard in 0..u16::try_from(shards)? {
        let store = Arc::clone(&store);
        committers.spawn(async move {
            let mut ids = IdSource::from_entropy();
            let host = || loop {
                let host = fastrand::usize(..1_000);
                if of_shard(host, shard, shards) {
                    return host;
                }
            };
            let mut moments = (0..).map(|n| (n, Clock::System.wall()));
            let (mut written, mut commits, mut waited) = (0, 0_u32, Duration::ZERO);
            while begun.elapsed() < length {
                let Some(work) = work(&mut ids, shard, &mut moments, &host, keys) else { break };
                let asked = Instant::now();
                written += store.commit(work).await?.audited;
                waited += asked.elapsed();
                commits += 1;
            }
            Result::Ok((written, commits, waited))
        });
    }
    let (mut written, mut commits, mut waited) = (0, 0, Duration::ZERO);
    while let Some(done) = committers.join_next().await {
        let done = done??;
        (written, commits, waited) = (written + done.0, commits + done.1, waited + done.2);
    }
    let spent = begun.elapsed().as_secs_f64();
    println!(
        "{:.0} events/s: {written} in {spent:.1} s, {commits} commits of {:.0} ms",
        written as f64 / spent,
        waited.as_secs_f64() * 1_000.0 / f64::from(commits.max(1))
    );
    Ok(())
}
