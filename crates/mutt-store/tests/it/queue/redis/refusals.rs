//! Servers that the queue must not stand on, each refused by its code; and what the code may send.

use std::collections::BTreeSet;

use mutt_model::{Clock, LiveSecrets, Secret};
use mutt_store::queue::EventQueue;
use mutt_store::redis::script::{ACKNOWLEDGE, APPEND, CLAIM, COMMANDS, DROPS, LEASE, LOOK};
use mutt_store::redis::{Durability, RedisOptions, RedisQueue};
use mutt_store::state::EngineState;

use super::super::support::append;
use super::{ready, until};
use crate::redis_server::{FSYNC, RedisServer};

/// Waits until the queue says this code; its words.
async fn away(queue: &RedisQueue, code: &str) -> String {
    let mut words = String::new();
    until(code, || match queue.state() {
        EngineState::Away { code: found, why, .. } if found.id == code => {
            words = why;
            true
        }
        _ => false,
    })
    .await;
    words
}

#[tokio::test]
async fn a_server_that_may_evict_is_refused_until_it_is_mended() {
    let server = RedisServer::start(&[FSYNC, &["--maxmemory-policy", "allkeys-lru"]].concat());
    let queue = RedisQueue::open(server.options(), Clock::default());
    let why = away(&queue, "MUTT-S030").await;
    assert!(why.contains("CONFIG SET maxmemory-policy noeviction"), "{why}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until("the queue is there", || queue.state().is_ready()).await;
    append(&queue, 0..1, 1).await;
    // Changed under way: noticed without a reconnect.
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    away(&queue, "MUTT-S030").await;
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_refused_for_fsync() {
    let server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let queue = RedisQueue::open(server.options(), Clock::default());
    let why = away(&queue, "MUTT-S031").await;
    assert!(why.contains("CONFIG SET appendfsync always"), "{why}");
    ready(RedisOptions { durability: Durability::Fast, ..server.options() }).await;
    let options = RedisOptions { durability: Durability::Replica(1), ..server.options() };
    away(&RedisQueue::open(options, Clock::default()), "MUTT-S032").await;
}

#[tokio::test]
async fn appendonly_that_was_switched_on_a_moment_ago_is_waited_for() {
    let server = RedisServer::start(&["--appendonly", "no", "--appendfsync", "always"]);
    let queue = RedisQueue::open(server.options(), Clock::default());
    let why = away(&queue, "MUTT-S031").await;
    assert!(why.contains("CONFIG SET appendonly yes"), "{why}");
    // The first rewrite takes as long as this many keys at a pause each.
    for n in 0..30 {
        server.command(&["SET", &n.to_string(), "v"]);
    }
    server.command(&["CONFIG", "SET", "rdb-key-save-delay", "200000"]);
    server.command(&["CONFIG", "SET", "appendonly", "yes"]);
    let persistence = || server.command(&["INFO", "persistence"]);
    assert!(persistence().contains("aof_rewrite_in_progress:1"));
    // Also for one that comes only now.
    let other = RedisQueue::open(server.options(), Clock::default());
    for queue in [&queue, &other] {
        until("the first rewrite is told", || match queue.state() {
            EngineState::Away { why, .. } => why.contains("only after the first rewrite"),
            EngineState::Ready => panic!("{}", persistence()),
        })
        .await;
    }
    until("the queue is there", || queue.state().is_ready()).await;
    assert!(persistence().contains("aof_rewrite_in_progress:0"));
    // A usual rewrite keeps nobody away.
    server.command(&["BGREWRITEAOF"]);
    let third = ready(server.options()).await;
    let rewriting = persistence().contains("aof_rewrite_in_progress:1");
    assert!(rewriting, "it was there during the rewrite");
    append(&third, 0..1, 1).await;
}

#[tokio::test]
async fn a_user_that_may_not_is_told_the_line_that_permits_it() {
    let server = RedisServer::durable();
    server.command(&[
        "ACL", "SETUSER", "mutt", "on", ">secret", "~{mutt:*", "+@all", "-config", "-info",
    ]);
    let options = RedisOptions {
        user: Some("mutt".into()),
        passwords: LiveSecrets::new(vec![Secret::new("secret")]),
        ..server.options()
    };
    let queue = RedisQueue::open(options, Clock::default());
    let why = away(&queue, "MUTT-S035").await;
    assert!(why.contains("ACL SETUSER mutt +info"), "{why}");
    // What the message names in full is enough, for a user that may nothing else.
    let full = why.split("everything that is needed: ").nth(1).unwrap().trim_end_matches(')');
    server.command(&["ACL", "SETUSER", "mutt", "reset", "on", ">secret"]);
    let line: Vec<&str> = full.split_whitespace().collect();
    assert_eq!(server.command(&line), "OK", "{full}");
    until("the queue is there", || queue.state().is_ready()).await;
    append(&queue, 0..2, 1).await;
    assert_eq!(queue.stats().pending_events, 2);
}

#[tokio::test]
async fn each_single_command_that_is_not_permitted_is_told_before_anything_is_done() {
    let server = RedisServer::durable();
    let user = |rules: &[&str]| {
        let reset = ["ACL", "SETUSER", "mutt", "reset", "on", ">secret", "~{mutt:*", "+@all"];
        assert_eq!(server.command(&[&reset[..], rules].concat()), "OK");
    };
    let options = RedisOptions {
        user: Some("mutt".into()),
        passwords: LiveSecrets::new(vec![Secret::new("secret")]),
        ..server.options()
    };
    // Not of the data: how one logs in and is known, topologies, and what other settings need.
    let elsewhere =
        ["AUTH", "CLIENT", "CLUSTER", "CONFIG", "PING", "ROLE", "SELECT", "WAIT", "INFO"];
    for command in COMMANDS.iter().filter(|command| !elsewhere.contains(command)) {
        user(&[&format!("-{}", command.to_lowercase())]);
        let queue = RedisQueue::open(options.clone(), Clock::default());
        let why = away(&queue, "MUTT-S035").await;
        assert!(why.contains(&format!("+{}", command.to_lowercase())), "{command}: {why}");
    }
    assert_eq!(server.command(&["DBSIZE"]), "0", "a look has changed something");
    user(&["resetkeys", "~other"]);
    let queue = RedisQueue::open(options.clone(), Clock::default());
    let why = away(&queue, "MUTT-S035").await;
    assert!(why.contains("~{mutt:*"), "{why}");
    user(&[]);
    until("the queue is there", || queue.state().is_ready()).await;
    append(&queue, 0..1, 1).await;

    // Taken away while it works: it stays away with the code until it is given back.
    user(&["-zadd"]);
    let why = away(&queue, "MUTT-S035").await;
    assert!(why.contains("+zadd"), "{why}");
    let clock = Clock::default();
    let begun = clock.monotonic();
    until("two seconds of looks", || {
        assert!(!queue.state().is_ready(), "it came back without its permission");
        clock.monotonic() - begun > std::time::Duration::from_secs(2)
    })
    .await;
    user(&[]);
    until("the queue is there", || queue.state().is_ready()).await;
    append(&queue, 1..2, 1).await;
    assert_eq!(queue.stats().pending_events, 2);
}

/// Every command of Redis 6.2 that a queue might use; from its own COMMAND list.
const REDIS_6_2: &[&str] = &[
    "AUTH",
    "CLIENT",
    "CLUSTER",
    "CONFIG",
    "DEL",
    "EVAL",
    "EVALSHA",
    "EXISTS",
    "HDEL",
    "HELLO",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HLEN",
    "HMGET",
    "HSET",
    "INFO",
    "PING",
    "ROLE",
    "SCRIPT",
    "SELECT",
    "SENTINEL",
    "TIME",
    "WAIT",
    "XACK",
    "XADD",
    "XAUTOCLAIM",
    "XDEL",
    "XINFO",
    "XLEN",
    "XRANGE",
    "XREAD",
    "XREVRANGE",
    "XTRIM",
    "ZADD",
    "ZCARD",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREM",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZSCORE",
];

/// The words behind each of these beginnings, up to the closing quote.
fn named(text: &str, before: &str, quote: char) -> BTreeSet<String> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| part.split(quote).next()).map(str::to_owned).collect()
}

#[test]
fn only_commands_of_redis_6_2_are_sent() {
    let table: BTreeSet<&str> = COMMANDS.iter().copied().collect();
    for command in &table {
        assert!(REDIS_6_2.contains(command), "{command} is not of Redis 6.2");
    }
    let mut used = BTreeSet::new();
    for script in [&APPEND, &CLAIM, &ACKNOWLEDGE, &LEASE, &LOOK, &DROPS] {
        let source = script.source();
        used.extend(named(source, "redis.call('", '\''));
        used.extend(named(source, "redis.pcall('", '\''));
        let calls = source.matches("redis.call(").count() + source.matches("redis.pcall(").count();
        let plain =
            source.matches("redis.call('").count() + source.matches("redis.pcall('").count();
        assert_eq!(calls, plain, "a command that is not written out");
        assert!(!source.contains("MAXLEN") && !source.contains("#!lua"), "trims or needs 7.0");
        assert!(!source.contains("'~'") && !source.contains("LIMIT"), "trims by guess");
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redis");
    for file in ["append.rs", "claim.rs", "keep.rs", "preflight.rs", "queue.rs", "script.rs"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        used.extend(named(&text, ".cmd(\"", '"'));
        used.extend(named(&text, "redis::cmd(\"", '"'));
    }
    // What Sentinels are asked is permitted at them, not at the server.
    for file in std::fs::read_dir(folder.join("link")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let plain = text.split("#[cfg(test)]").next().unwrap();
        used.extend(named(plain, "redis::cmd(\"", '"'));
    }
    assert!(used.len() > 20, "{used:?}");
    for command in &used {
        assert!(table.contains(command.as_str()), "{command} is not in the table");
    }
}
