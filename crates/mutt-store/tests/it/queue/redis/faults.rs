//! Deaths, deletions and repeats: what was answered is read once, what is gone is counted.

use std::time::Duration;

use mutt_model::Clock;
use mutt_store::queue::{EventQueue, FullBecause, QueueError};
use mutt_store::redis::{Durability, RedisOptions, RedisQueue, script};

use super::super::support::{
    NO_WAIT, OWNER, TTL, append, balanced, batch, claim_all, lease, number, numbers,
};
use super::{leased, patiently, ready, seen_by_another, until};
use crate::redis_server::{FSYNC, PATIENCE, RedisServer};

#[tokio::test]
async fn a_queue_opens_before_its_server_and_says_that_it_is_away() {
    let mut server = RedisServer::durable();
    server.kill();
    let queue = RedisQueue::open(server.options(), Clock::default());
    let refused = queue.append(vec![batch(0, 1, 10)], None).await;
    assert!(matches!(refused, Err(QueueError::Io { .. })), "{refused:?}");
    let mtt = queue.state();
    assert!(
        matches!(&mtt, mutt_store::state::EngineState::Away { code, .. } if code.id == "MUTT-S028"),
        "{mtt:?}"
    );
    queue.count_dropped("queue_full", 2);
    server.restart();
    until("the queue is there", || queue.state().is_ready()).await;
    append(&queue, 0..1, 1).await;
    assert_eq!(queue.stats().pending_events, 1);
    let told = || server.command(&["HGET", "{mutt:0}:dropped", "queue_full"]) == "2";
    until("the drops are kept", told).await;
}

#[tokio::test]
async fn what_was_answered_survives_a_killed_server() {
    let mut server = RedisServer::durable();
    let queue = std::sync::Arc::new(ready(server.options()).await);
    let mut appending = tokio::task::JoinSet::new();
    appending.spawn({
        let queue = std::sync::Arc::clone(&queue);
        async move {
            let (mut answered, mut unknown) = (Vec::new(), 0);
            for n in 0..4_000 {
                match queue.append(vec![batch(n, 2, 100)], None).await {
                    Ok(()) => answered.push(n),
                    Err(QueueError::Io { .. }) => unknown += 1,
                    Err(error) => panic!("{error}"),
                }
                if unknown > 3 {
                    break;
                }
            }
            answered
        }
    });
    until("appends are under way", || queue.stats().appended_events > 200).await;
    server.kill();
    let answered = appending.join_next().await.unwrap().unwrap();
    server.restart();
    let held = leased(&queue, OWNER).await;
    let found = numbers(&claim_all(&*queue, held).await);
    for n in &answered {
        assert!(found.contains(n), "answered append {n} is lost");
    }
    assert!(found.len() <= answered.len() + 1, "one was under way");
    assert!(found.is_sorted());
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.pending_events, stats.lost_events), (found.len() as u64 * 2, 0));
}

#[tokio::test]
async fn an_append_that_is_repeated_is_stored_once() {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..3, 2).await;
    append(&queue, 1..4, 2).await;
    // Another process that took the batch over into its spill, as a part of a larger request.
    let other = ready(server.options()).await;
    other.append(vec![batch(2, 2, 64), batch(9, 2, 64)], None).await.unwrap();
    let held = leased(&other, OWNER).await;
    assert_eq!(numbers(&claim_all(&other, held).await), [0, 1, 2, 3, 9]);
    let stats = other.stats();
    assert_eq!((stats.appended_events, stats.pending_events), (10, 10));
    balanced(&stats);
}

/// Six events in three batches, of which the first batch is done; then a disaster.
async fn disaster(happens: impl Fn(&RedisServer), left: &[u64], lost: u64) {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..3, 2).await;
    let held = lease(&queue).await;
    let first = queue.claim(held, 1, NO_WAIT).await.unwrap();
    queue.acknowledge(held, first[0].position).await.unwrap();
    happens(&server);
    append(&queue, 3..5, 2).await;
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    assert_eq!(numbers(&claimed), left);
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.appended_events, stats.acknowledged_events), (10, 2), "{stats:?}");
    assert_eq!((stats.lost_events, stats.pending_events), (lost, 8 - lost), "{stats:?}");
    // Counted once, however often it is met.
    queue.rewind(held).await.unwrap();
    let again = claim_all(&queue, held).await;
    assert_eq!(numbers(&again), left);
    queue.acknowledge(held, again.last().unwrap().position).await.unwrap();
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.pending_events, stats.lost_events), (0, lost), "{stats:?}");
    assert_eq!(seen_by_another(&server).await.lost_events, lost);
}

#[tokio::test]
async fn a_deleted_stream_is_counted_and_healed() {
    let stream = "{mutt:0}:stream";
    disaster(|s| assert_eq!(s.command(&["DEL", stream]), "1"), &[3, 4], 4).await;
    let flush = |s: &RedisServer| assert_eq!(s.command(&["FLUSHALL"]), "OK");
    disaster(flush, &[3, 4], 4).await;
    // The last entry alone, in the middle of what follows.
    disaster(|s| assert_eq!(s.command(&["XDEL", stream, "6-2"]), "1"), &[1, 3, 4], 2).await;
    disaster(|s| assert_eq!(s.command(&["XTRIM", stream, "MAXLEN", "0"]), "2"), &[3, 4], 4).await;
}

#[tokio::test]
async fn deleted_state_is_healed_from_the_stream_and_from_memory() {
    let all = &[1, 2, 3, 4];
    disaster(|s| assert_eq!(s.command(&["DEL", "{mutt:0}:state"]), "1"), all, 0).await;
    disaster(|s| assert_eq!(s.command(&["DEL", "{mutt:0}:recent"]), "1"), all, 0).await;
    let reading = ["DEL", "{mutt:0}:claims", "{mutt:0}:tries", "{mutt:0}:gaps"];
    disaster(|s| drop(s.command(&reading)), all, 0).await;
    // MUTT uses no group: one that somebody made and destroyed changes nothing.
    let group = |s: &RedisServer| {
        s.command(&["XGROUP", "CREATE", "{mutt:0}:stream", "g", "0"]);
        assert_eq!(s.command(&["XGROUP", "DESTROY", "{mutt:0}:stream", "g"]), "1");
    };
    disaster(group, all, 0).await;
}

#[tokio::test]
async fn what_was_in_hand_when_everything_was_deleted_is_acknowledged_not_lost() {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..3, 2).await;
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    server.command(&["FLUSHALL"]);
    queue.acknowledge(held, claimed[1].position).await.unwrap();
    assert!(claim_all(&queue, held).await.is_empty());
    queue.rewind(held).await.unwrap();
    assert!(claim_all(&queue, held).await.is_empty());
    let stats = queue.stats();
    balanced(&stats);
    let counted = (stats.appended_events, stats.acknowledged_events, stats.lost_events);
    assert_eq!(counted, (6, 4, 2), "{stats:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_with_less_is_told_what_was_there() {
    let mut server = RedisServer::start(&["--appendonly", "no"]);
    let options = RedisOptions { durability: Durability::Fast, ..server.options() };
    let (queue, other) = (ready(options.clone()).await, ready(options).await);
    append(&queue, 0..4, 2).await;
    let held = lease(&queue).await;
    let first = queue.claim(held, 1, NO_WAIT).await.unwrap();
    queue.acknowledge(held, first[0].position).await.unwrap();
    server.command(&["SAVE"]);
    append(&queue, 4..6, 2).await;
    other.append(vec![batch(6, 2, 64)], None).await.unwrap();
    let claimed = claim_all(&queue, held).await;
    assert_eq!(claimed.len(), 6);
    queue.acknowledge(held, claimed[3].position).await.unwrap();
    // The snapshot has neither the last three batches nor what was acknowledged since.
    server.kill();
    server.restart();
    patiently(async || other.append(vec![batch(7, 2, 64)], None).await).await;
    let held = leased(&queue, OWNER).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [7]);
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.appended_events, stats.acknowledged_events), (16, 10), "{stats:?}");
    assert_eq!((stats.pending_events, stats.lost_events), (2, 4), "{stats:?}");
    assert_eq!(number(&claim_after(&queue).await), 7);
}

#[tokio::test]
async fn holes_that_two_processes_tell_of_are_counted_once() {
    let mut server = RedisServer::start(&["--appendonly", "no"]);
    let options = RedisOptions { durability: Durability::Fast, ..server.options() };
    let (owner, other) = (ready(options.clone()).await, ready(options).await);
    append(&owner, 0..3, 2).await;
    server.command(&["SAVE"]);
    server.command(&["FLUSHALL"]);
    let held = leased(&owner, OWNER).await;
    assert!(claim_all(&owner, held).await.is_empty(), "six events are gone");
    // It knows of these six; of the next eight only the owner.
    other.lease(0, "nobody", Duration::ZERO).await.unwrap();
    append(&owner, 3..7, 2).await;
    server.command(&["DEL", "{mutt:0}:stream"]);
    assert!(claim_all(&owner, held).await.is_empty(), "eight more");
    // The snapshot has the first six, as if nothing had happened to them.
    server.kill();
    server.restart();
    for queue in [&other, &owner] {
        patiently(async || queue.lease(0, "nobody", Duration::ZERO).await).await;
    }
    let stats = owner.stats();
    balanced(&stats);
    let counted = (stats.appended_events, stats.acknowledged_events, stats.lost_events);
    assert_eq!(counted, (14, 0, 14), "{stats:?}");
    // What an earlier version left below nothing is healed by the next look.
    server.command(&["HSET", "{mutt:0}:state", "acked", "-6", "lost", "20"]);
    patiently(async || owner.lease(0, "nobody", Duration::ZERO).await).await;
    let stats = owner.stats();
    assert_eq!((stats.acknowledged_events, stats.lost_events), (0, 14), "{stats:?}");
}

/// The first batch that a new owner gets.
async fn claim_after(queue: &RedisQueue) -> mutt_model::Batch {
    queue.lease(0, OWNER, Duration::ZERO).await.unwrap();
    let next = leased(queue, "alerter-9").await;
    let claimed = queue.claim(next, 1, PATIENCE).await.unwrap();
    claimed[0].batch.clone()
}

#[tokio::test]
async fn how_often_a_batch_was_given_out_survives_its_owners() {
    let mut server = RedisServer::durable();
    for owner in 0..3u32 {
        let queue = ready(server.options()).await;
        if owner == 0 {
            append(&queue, 0..2, 1).await;
        }
        let held = leased(&queue, &format!("alerter-{owner}")).await;
        let claimed = queue.claim(held, 1, NO_WAIT).await.unwrap();
        assert_eq!((number(&claimed[0].batch), claimed[0].deliveries_before), (0, owner));
        // The owner dies without a word; its lease runs out by the server's clock.
        let millis = Duration::from_millis(1);
        queue.lease(0, &format!("alerter-{owner}"), millis).await.unwrap();
        drop(queue);
        server.kill();
        server.restart();
    }
    let queue = ready(server.options()).await;
    let held = leased(&queue, OWNER).await;
    let before: Vec<_> =
        claim_all(&queue, held).await.iter().map(|c| c.deliveries_before).collect();
    assert_eq!(before, [3, 0]);
}

#[tokio::test]
async fn an_owner_that_was_paused_changes_nothing_after_a_takeover() {
    let server = RedisServer::durable();
    let (paused, other) = (ready(server.options()).await, ready(server.options()).await);
    append(&paused, 0..3, 1).await;
    let old = paused.lease(0, "alerter-1", Duration::from_millis(200)).await.unwrap().unwrap();
    let claimed = claim_all(&paused, old).await;
    // As if the server's clock had been set back by hours: the lease lasts no longer for it.
    server.command(&["HSET", "{mutt:0}:state", "until", "9999999999999"]);
    let clock = Clock::default();
    let end = clock.monotonic() + PATIENCE;
    let new = loop {
        if let Some(new) = other.lease(0, "alerter-2", TTL).await.unwrap() {
            break new;
        }
        assert!(clock.monotonic() < end);
    };
    assert!(new.generation > old.generation);
    let late = paused.acknowledge(old, claimed[2].position).await;
    assert!(matches!(late, Err(QueueError::LeaseLost(0))), "{late:?}");
    assert!(matches!(paused.claim(old, 1, NO_WAIT).await, Err(QueueError::LeaseLost(0))));
    assert!(matches!(paused.rewind(old).await, Err(QueueError::LeaseLost(0))));
    assert_eq!(paused.lease(0, "alerter-1", TTL).await.unwrap(), None);
    let again = claim_all(&other, new).await;
    assert_eq!(numbers(&again), [0, 1, 2]);
    assert!(again.iter().all(|c| c.deliveries_before == 1));
}

#[tokio::test]
async fn a_server_that_cannot_save_refuses_and_resumes_by_itself() {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..1, 1).await;
    // A snapshot whose place is taken stops writes as a full disk does.
    server.command(&["CONFIG", "SET", "save", "3600 1"]);
    let taken = server.data().join("dump.rdb");
    std::fs::create_dir(&taken).unwrap();
    server.command(&["BGSAVE"]);
    let failed = || server.command(&["INFO", "persistence"]).contains("last_bgsave_status:err");
    until("the snapshot has failed", failed).await;
    let refused = queue.append(vec![batch(1, 1, 10)], None).await;
    assert!(
        matches!(&refused, Err(QueueError::Io { why, .. }) if why.contains("MISCONF")),
        "{refused:?}"
    );
    let state = queue.state();
    assert!(
        matches!(&state, mutt_store::state::EngineState::Away { code, .. } if code.id == "MUTT-S037"),
        "{state:?}"
    );
    std::fs::remove_dir(&taken).unwrap();
    server.command(&["BGSAVE"]);
    patiently(async || queue.append(vec![batch(1, 1, 10)], None).await).await;
    until("the queue is there", || queue.state().is_ready()).await;
    let held = leased(&queue, OWNER).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [0, 1]);
}

#[tokio::test]
async fn a_server_without_memory_is_full_and_can_be_drained() {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..2, 1).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = queue.append(vec![batch(2, 1, 10)], None).await;
    assert!(matches!(refused, Err(QueueError::Full(FullBecause::Bytes))), "{refused:?}");
    let held = lease(&queue).await;
    let claimed = claim_all(&queue, held).await;
    assert_eq!(numbers(&claimed), [0, 1]);
    queue.acknowledge(held, claimed[1].position).await.unwrap();
    assert_eq!(queue.stats().pending_events, 0);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    append(&queue, 2..3, 1).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [2]);
}

#[tokio::test]
async fn an_append_waits_for_its_replicas_and_says_when_they_are_too_few() {
    // Over the loopback for the two servers, on a port that the kernel chose.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = RedisServer::start(&[FSYNC, &["--port", &port.to_string()]].concat());
    let replica = RedisServer::start(&[]);
    replica.command(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
    let follows = || server.command(&["INFO", "replication"]).contains("state=online");
    until("the replica follows", follows).await;
    let options = RedisOptions {
        durability: Durability::FsyncReplica(1),
        timeout: Duration::from_secs(3),
        ..server.options()
    };
    let queue = ready(options).await;
    append(&queue, 0..3, 1).await;
    assert_eq!(replica.command(&["XLEN", "{mutt:0}:stream"]), "3");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let gone = || !server.command(&["INFO", "replication"]).contains("state=online");
    until("the replica has gone", gone).await;
    let refused = queue.append(vec![batch(3, 1, 64)], None).await;
    assert!(
        matches!(&refused, Err(QueueError::Io { why, .. }) if why.contains("0 of 1 replicas")),
        "{refused:?}"
    );
    // It is in the server; when it is repeated it is answered only after a replica has it.
    replica.command(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
    patiently(async || queue.append(vec![batch(3, 1, 64)], None).await).await;
    assert_eq!(replica.command(&["XLEN", "{mutt:0}:stream"]), "4");
    assert_eq!(queue.stats().pending_events, 4);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted_and_the_others_are_given_out() {
    let server = RedisServer::durable();
    let queue = ready(server.options()).await;
    append(&queue, 0..1, 2).await;
    server.command(&["XADD", "{mutt:0}:stream", "5-3", "d", "rubbish"]);
    append(&queue, 1..2, 2).await;
    let held = lease(&queue).await;
    assert_eq!(numbers(&claim_all(&queue, held).await), [0, 1]);
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.pending_events, stats.lost_events), (4, 3), "{stats:?}");
}

#[tokio::test]
async fn a_request_that_is_refused_halfway_leaves_nothing_that_the_state_does_not_know() {
    let server = RedisServer::durable();
    // Room for one batch of this many events before the last mark that a stream can hold.
    let (at, events, behind) = ("18446744073709547520", "2048", "18446744073709549568");
    let keys =
        ["stream", "state", "recent", "claims", "tries", "gaps"].map(|k| format!("{{m:0}}:{k}"));
    let state =
        ["shards", "1", "line", "l", "run", "r", "base", at, "cum", at, "ack", at, "acked", at];
    server.command(&[&["HSET", keys[1].as_str()], state.as_slice()].concat());
    let memory = ["1", "f", "", "0", "0", "0", "0", "", "0"];
    let limits = ["1000000", "1000000", "10"];
    let batches = ["a", events, "0", "128", "x", "b", events, "0", "128", "x"];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let eval = ["EVAL", script::APPEND.source(), "6"];
    let words = [&eval[..], &keys, &memory, &limits, &batches].concat();
    let said = server.try_command(&words);
    assert!(said.contains("Invalid stream ID"), "{said}");
    assert_eq!(server.command(&["XLEN", keys[0]]), "1");
    assert_eq!(server.command(&["HGET", keys[1], "cum"]), behind);
    assert_eq!(server.command(&["HGET", keys[1], "bytes"]), "129");
}

#[tokio::test]
async fn a_queue_with_several_shards_is_one_to_its_callers() {
    let server = RedisServer::durable();
    let queue = ready(RedisOptions { shards: 3, max_events: 8, ..server.options() }).await;
    let on = |n: u64, shard: u16| {
        let mut id = [0u8; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        let mut builder = mutt_model::BatchBuilder::new(mutt_model::Id(id), shard);
        builder.push(&mutt_model::Event::from_raw(
            mutt_model::Id(id),
            mutt_model::Timestamp::from_secs(n.cast_signed()),
            mutt_model::Source::Syslog,
            "syslog-tcp",
            "peer",
            b"hello",
        ));
        builder.finish()
    };
    queue.append((0..6).map(|n| on(n, (n % 3) as u16)).collect(), None).await.unwrap();
    assert_eq!(queue.stats().pending_events, 6);
    let refused = queue.append((6..9).map(|n| on(n, (n % 3) as u16)).collect(), None).await;
    assert!(matches!(refused, Err(QueueError::Full(FullBecause::Events))), "{refused:?}");
    for shard in 0..3u16 {
        let held = queue.lease(shard, OWNER, TTL).await.unwrap().unwrap();
        let claimed = claim_all(&queue, held).await;
        assert_eq!(numbers(&claimed), [u64::from(shard), u64::from(shard) + 3]);
        queue.acknowledge(held, claimed[1].position).await.unwrap();
    }
    balanced(&queue.stats());
    assert_eq!(queue.stats().acknowledged_events, 6);
    let wrong = queue.append(vec![on(9, 7)], None).await;
    assert!(matches!(wrong, Err(QueueError::Io { .. })), "{wrong:?}");
    let wrong = RedisQueue::open(RedisOptions { shards: 4, ..server.options() }, Clock::default());
    let state = || match wrong.state() {
        mutt_store::state::EngineState::Away { code, why, .. } => (code.id, why),
        mutt_store::state::EngineState::Ready => ("", String::new()),
    };
    until("the number of shards is refused", || state().0 == "MUTT-S036").await;
    assert!(state().1.contains("made with 3 shards"), "{:?}", state());
}
