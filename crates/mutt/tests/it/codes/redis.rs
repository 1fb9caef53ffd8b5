//! Codes of the event queue on Redis: a real server is set up wrong, or hurt; the queue's own log is
//! kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use mutt_model::{Batch, BatchBuilder, Clock, Event, Id, LiveSecrets, Secret, Source, Timestamp};
use mutt_store::queue::EventQueue;
use mutt_store::redis::{Durability, RedisOptions, RedisQueue};

use super::stage::Lines;
use crate::provoked::provoked;
use crate::redis_server::{FSYNC, PATIENCE, RedisServer, options};

/// Waits for a line with this code in the log of this thread, and keeps it.
pub(super) async fn keep(lines: &Lines, code: &str) {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    loop {
        if let Some(line) = lines.text().lines().find(|line| line.contains(code)) {
            return provoked(code, line);
        }
        assert!(clock.monotonic() < until, "{code} is not in the log: {}", lines.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens a queue and keeps what it says.
async fn told(options: RedisOptions, code: &str) {
    let lines = Lines::default();
    let _logs = lines.listen();
    let _queue = RedisQueue::open(options, Clock::default());
    keep(&lines, code).await;
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(Id([7; 16]), 0);
    let at = Timestamp::from_secs(1);
    builder.push(&Event::from_raw(Id([7; 16]), at, Source::Syslog, "syslog-tcp", "peer", b"up"));
    builder.finish()
}

#[tokio::test]
async fn a_server_that_is_set_up_wrong_is_told_by_code() {
    let cache = RedisServer::start(&[FSYNC, &["--maxmemory-policy", "allkeys-lru"]].concat());
    told(cache.options(), "MUTT-S030").await;
    let lazy = RedisServer::start(&["--appendonly", "yes"]);
    told(lazy.options(), "MUTT-S031").await;
    let alone = RedisOptions { durability: Durability::Replica(1), ..lazy.options() };
    told(alone, "MUTT-S032").await;
    let fast = RedisOptions { durability: Durability::Fast, ..lazy.options() };
    told(fast, "MUTT-S039").await;
    told(options("redis+sentinel://127.0.0.1:1/mymaster"), "MUTT-S033").await;
}

#[tokio::test]
async fn a_server_that_is_away_or_lets_nobody_in_is_told_by_code() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("redis.sock");
    told(options(&format!("unix://{}", nowhere.display())), "MUTT-S028").await;
    let closed = RedisServer::durable();
    closed.command(&["ACL", "SETUSER", "mutt", "on", ">another", "~*", "+@all"]);
    let wrong = RedisOptions {
        user: Some("mutt".into()),
        passwords: LiveSecrets::new(vec![Secret::new("hunter2")]),
        ..closed.options()
    };
    told(wrong, "MUTT-S029").await;
}

#[tokio::test]
async fn a_user_and_a_key_that_do_not_serve_are_told_by_code() {
    let server = RedisServer::durable();
    server.command(&["ACL", "SETUSER", "mutt", "on", ">secret", "~*", "+@all", "-config"]);
    let user = RedisOptions {
        user: Some("mutt".into()),
        passwords: LiveSecrets::new(vec![Secret::new("secret")]),
        ..server.options()
    };
    told(user, "MUTT-S035").await;
    server.command(&["HSET", "{other:0}:state", "shards", "8"]);
    let shards = RedisOptions { prefix: "other".into(), ..server.options() };
    told(shards, "MUTT-S036").await;
    server.command(&["SET", "{taken:0}:stream", "a string"]);
    let taken = RedisOptions { prefix: "taken".into(), ..server.options() };
    told(taken, "MUTT-S037").await;
}

#[tokio::test]
async fn a_deleted_queue_is_told_by_code() {
    let server = RedisServer::durable();
    let lines = Lines::default();
    let _logs = lines.listen();
    let queue = RedisQueue::open(server.options(), Clock::default());
    queue.append(vec![batch()], None).await.unwrap();
    let lease = queue.lease(0, "alerter", PATIENCE).await.unwrap().unwrap();
    assert_eq!(server.command(&["FLUSHALL"]), "OK");
    assert!(queue.claim(lease, 1, Duration::ZERO).await.unwrap().is_empty());
    keep(&lines, "MUTT-S038").await;
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_by_code() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // No such server can be had any more: one that says what Redis 6.0 says.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || old_server(stream));
        }
    });
    told(options(&format!("unix://{}", socket.display())), "MUTT-S034").await;
}

fn old_server(stream: std::os::unix::net::UnixStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    let number = |lines: &mut BufReader<_>| {
        let mut line = String::new();
        BufRead::read_line(lines, &mut line).ok()?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    while let Some(words) = number(&mut lines) {
        let mut command = Vec::new();
        for _ in 0..words {
            let Some(length) = number(&mut lines) else { return };
            let mut word = vec![0; length + 2];
            lines.read_exact(&mut word).unwrap();
            command.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        let said = "redis_version:6.0.16\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n";
        let reply = match command.first().map(String::as_str) {
            Some("INFO") => format!("${}\r\n{said}\r\n", said.len()),
            Some("ROLE") => "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n".to_owned(),
            Some("CONFIG") => "*0\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        if out.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
