//! Measures the event queue on a Redis that syncs before it answers: events appended in a second, and
//! appended, read and acknowledged in a second, in batches of 1,000.
//!
//! `cargo run --release -p mutt-store --example redis_queue URL` (the queue `{bench:N}` is emptied)

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Clock, Event, IdSource, LiveSecrets, Source};
use mutt_store::queue::EventQueue;
use mutt_store::redis::{Durability, RedisOptions, RedisQueue, RedisTls, RedisUrl};

type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUND: Duration = Duration::from_secs(5);
const SHARDS: u16 = 8;
/// Requests under way for each shard.
const SENDERS: u64 = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Done<()> {
    let url = std::env::args().nth(1).ok_or("usage: redis_queue URL")?;
    let options = RedisOptions {
        url: RedisUrl::parse(&url)?,
        user: None,
        passwords: LiveSecrets::default(),
        sentinel_user: None,
        sentinel_passwords: None,
        timeout: Duration::from_secs(5),
        tls: RedisTls::default(),
        durability: Durability::Fsync,
        accept_failover_loss: false,
        shards: SHARDS,
        max_events: 1 << 40,
        max_bytes: 1 << 40,
        prefix: "bench".into(),
        name: "bench".into(),
    };
    let queue = Arc::new(RedisQueue::open(options, Clock::default()));
    drain(&queue).await?;
    let mut out = std::io::stdout().lock();
    let appended = append(&queue).await?;
    writeln!(out, "appended: {appended:.0} events/s")?;
    drain(&queue).await?;
    let (appended, read) = tokio::try_join!(append(&queue), read(&queue))?;
    writeln!(out, "appended and read at once: {appended:.0} and {read:.0} events/s")?;
    drain(&queue).await?;
    writeln!(out, "{:?}", queue.stats())?;
    queue.close().await;
    Ok(())
}

fn batch(ids: &mut IdSource, shard: u16) -> Batch {
    let clock = Clock::default();
    let at = clock.wall();
    let mut builder = BatchBuilder::new(ids.next(at), shard);
    let raw = b"<189>Nov 24 10:11:12 edge-r1.example.net %LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/1, changed state to down";
    for _ in 0..1_000 {
        builder.push(&Event::from_raw(ids.next(at), at, Source::Syslog, "udp", "192.0.2.1", raw));
    }
    builder.finish()
}

async fn append(queue: &Arc<RedisQueue>) -> Done<f64> {
    let clock = Clock::default();
    let begun = clock.monotonic();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS * u64::from(SHARDS) {
        let (queue, clock) = (Arc::clone(queue), clock.clone());
        senders.spawn(async move {
            let mut ids = IdSource::new(sender);
            let shard = u16::try_from(sender % u64::from(SHARDS))?;
            let mut events = 0u64;
            while clock.monotonic() - begun < ROUND {
                queue.append(vec![batch(&mut ids, shard)], None).await?;
                events += 1_000;
            }
            Done::Ok(events)
        });
    }
    let mut events = 0;
    while let Some(done) = senders.join_next().await {
        events += done??;
    }
    Ok(events as f64 / (clock.monotonic() - begun).as_secs_f64())
}

/// Reads all shards as long as the appends last.
async fn read(queue: &Arc<RedisQueue>) -> Done<f64> {
    let clock = Clock::default();
    let begun = clock.monotonic();
    let mut readers = tokio::task::JoinSet::new();
    for shard in 0..SHARDS {
        let (queue, clock) = (Arc::clone(queue), clock.clone());
        readers.spawn(async move {
            let mut events = 0u64;
            while clock.monotonic() - begun < ROUND {
                events += take(&queue, shard, Duration::from_millis(100)).await?;
            }
            Done::Ok(events)
        });
    }
    let mut events = 0;
    while let Some(done) = readers.join_next().await {
        events += done??;
    }
    Ok(events as f64 / (clock.monotonic() - begun).as_secs_f64())
}

async fn take(queue: &RedisQueue, shard: u16, wait: Duration) -> Done<u64> {
    let ttl = Duration::from_secs(10);
    let lease = queue.lease(shard, "bench", ttl).await?.ok_or("no lease")?;
    let claimed = queue.claim(lease, 16, wait).await?;
    if let Some(last) = claimed.last() {
        queue.acknowledge(lease, last.position).await?;
    }
    Ok(claimed.iter().map(|claim| u64::from(claim.batch.len())).sum())
}

async fn drain(queue: &RedisQueue) -> Done<()> {
    for shard in 0..SHARDS {
        while take(queue, shard, Duration::ZERO).await? > 0 {}
    }
    Ok(())
}
