//! v2's queues: each item becomes a queued event, and leaves Redis when that is durable.

use std::collections::BTreeMap;
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Clock, IdSource, Timestamp, failpoint};
use mutt_store::queue::EventQueue;
use mutt_store::redis::link::LinkError;
use mutt_store::redis::v2::{V2_STAGED_MAX, V2Lists};

use super::super::failure::Failure;
use super::records::{Record, queued};
use super::report::{Report, shown};
use super::{queue_failed, redis_failed};

/// A repeat of an item is recognised for this long: an import that died is run again before.
const RECOGNISED: Duration = Duration::from_secs(30 * 86_400);

/// v2's lists with the setting that gives each another name. The oldest work first.
const LISTS: &[(&str, &str)] = &[
    ("MOOG_DLQ_NAME", "mutt:dlq:moog"),
    ("ALERT_QUEUE_NAME", "mutt:alert_queue"),
    ("DEAD_LETTER_QUEUE", "mutt:dlq:dead"),
    ("ALERTER_DLQ_NAME", "mutt:dlq:alerter"),
    ("INGEST_QUEUE_NAME", "mutt:ingest_queue"),
];
/// Beginnings of the lists that v2's workers kept for themselves.
const WORKERS: &[(&str, &str)] = &[
    ("MOOG_PROCESSING_LIST_PREFIX", "mutt:processing:moog"),
    ("ALERTER_PROCESSING_LIST_PREFIX", "mutt:processing:alerter"),
];
/// Workers that are alive say so under these.
const HEARTBEATS: &[(&str, &str)] = &[
    ("MOOG_HEARTBEAT_PREFIX", "mutt:heartbeat:moog"),
    ("ALERTER_HEARTBEAT_PREFIX", "mutt:heartbeat:alerter"),
];

fn named<'a>(env: &'a BTreeMap<String, String>, (name, default): (&str, &'a str)) -> &'a str {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).unwrap_or(default)
}

/// Looks at every list and, with `queue`, drains it.
pub(super) async fn import(
    lists: &V2Lists,
    env: &BTreeMap<String, String>,
    queue: Option<&dyn EventQueue>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut names = Vec::new();
    for worker in WORKERS {
        let prefix = format!("{}:", named(env, *worker));
        names.extend(lists.keys(&prefix).await.map_err(|error| redis_failed(&error))?);
    }
    names.extend(LISTS.iter().map(|list| named(env, *list).to_owned()));
    for list in lists.unfinished().await.map_err(|error| redis_failed(&error))? {
        if !names.contains(&list) {
            names.push(list);
        }
    }
    let Some(queue) = queue else {
        for name in &names {
            look(lists, name, report).await.map_err(|error| redis_failed(&error))?;
        }
        return Ok(());
    };
    if !lists.lock().await.map_err(|error| redis_failed(&error))? {
        let why = "another import drains this Redis, or died less than half a minute ago";
        return Err(redis_failed(&LinkError::Server(why.to_owned())));
    }
    let mut done = Ok(());
    for name in &names {
        done = drain(lists, name, queue, report).await;
        if done.is_err() {
            break;
        }
    }
    // It ends by itself too.
    let _ = lists.unlock().await;
    done
}

/// Two that take from one list would share it: v2 must be stopped.
pub(super) async fn alive(
    lists: &V2Lists,
    env: &BTreeMap<String, String>,
    apply: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    for heartbeat in HEARTBEATS {
        let prefix = format!("{}:", named(env, *heartbeat));
        let Some(key) =
            lists.keys(&prefix).await.map_err(|error| redis_failed(&error))?.into_iter().next()
        else {
            continue;
        };
        let why = format!("v2 still runs: {key}; stop its services, and wait half a minute");
        if apply {
            return Err(redis_failed(&LinkError::Server(why)));
        }
        report.note(why);
    }
    Ok(())
}

async fn look(lists: &V2Lists, name: &str, report: &mut Report) -> Result<(), LinkError> {
    let length = lists.length(name).await?;
    let refused = earlier(lists, name, report).await?;
    let (mut from, now) = (0, Clock::System.wall());
    loop {
        let items = lists.peek(name, from).await?;
        for (at, item) in items.iter().enumerate() {
            if let Err(why) = queued(name, (0, from + at), item, now, now) {
                report.refuse(name, shown_safely(item), why);
            }
        }
        from += items.len();
        if items.len() < V2_STAGED_MAX {
            break;
        }
    }
    let count = report.count(name);
    count.found += length;
    count.taken = length.saturating_sub(count.refused - refused);
    Ok(())
}

/// What earlier imports did with this list: what they took is there, and what they could not take is
/// told again as long as it is kept. Gives how many were refused.
async fn earlier(lists: &V2Lists, name: &str, report: &mut Report) -> Result<u64, LinkError> {
    let taken = lists.taken(name).await?;
    let kept = lists.refused(name).await?;
    let count = report.count(name);
    count.found += taken + kept.count;
    count.there += taken;
    for item in &kept.first {
        let why =
            format!("refused by an earlier import; it is kept in mutt:import:v2:refused:{name}");
        report.refuse(name, shown_safely(item), why);
    }
    report.refuse_more(name, kept.count.saturating_sub(kept.first.len() as u64));
    Ok(kept.count)
}

/// An item that is no JSON may still hold a key: it is named by its length and its first word only.
fn shown_safely(item: &[u8]) -> String {
    let start = item.iter().take(8).copied().collect::<Vec<u8>>();
    format!("of {} octets, `{}`", item.len(), shown(&start).escape_debug())
}

async fn drain(
    lists: &V2Lists,
    name: &str,
    queue: &dyn EventQueue,
    report: &mut Report,
) -> Result<(), Failure> {
    earlier(lists, name, report).await.map_err(|error| redis_failed(&error))?;
    loop {
        let staged = lists.stage(name).await.map_err(|error| redis_failed(&error))?;
        failpoint::hit("import.queue.after_stage");
        if staged.items.is_empty() {
            report.count(name);
            return Ok(());
        }
        let now = Clock::System.wall();
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for (at, item) in staged.items.iter().enumerate() {
            report.count(name).found += 1;
            match queued(name, (staged.number, at), item, now, now.plus(RECOGNISED)) {
                Ok(record) => records.push(record),
                Err(why) => {
                    let why = format!("{why}; it is kept in mutt:import:v2:refused:{name}");
                    report.refuse(name, shown_safely(item), why);
                    refused.push(item.clone());
                }
            }
        }
        let taken = records.len() as u64;
        for batch in batches(&records, queue.shards(), now) {
            queue.append(vec![batch], None).await.map_err(|error| queue_failed(&error))?;
            failpoint::hit("import.queue.after_append");
        }
        lists.done(name, taken, &refused).await.map_err(|error| redis_failed(&error))?;
        failpoint::hit("import.queue.after_done");
        report.count(name).taken += taken;
    }
}

/// The records in batches by shard, in their order.
fn batches(records: &[Record], shards: u16, now: Timestamp) -> Vec<Batch> {
    let mut ids = IdSource::from_entropy();
    let mut open: BTreeMap<u16, BatchBuilder> = BTreeMap::new();
    let mut done = Vec::new();
    for record in records {
        let shard = record.shard(shards);
        let builder = open.entry(shard).or_insert_with(|| BatchBuilder::new(ids.next(now), shard));
        record.push(builder);
        if builder.is_full() {
            done.extend(open.remove(&shard).map(BatchBuilder::finish));
        }
    }
    done.extend(open.into_values().map(BatchBuilder::finish));
    done
}
