//! The Ingestor as a process of its own before a Redis that comes and goes.

use serde_json::Value;

use crate::provoked::provoked;
use crate::redis_server::RedisServer;
use crate::support::http::{Answer, Client};
use crate::support::{Program, Setup, until};

/// An Ingestor over this Redis, alone; its key lies where the tests look for it.
fn ingestor(redis: &RedisServer) -> Setup {
    let mut setup = Setup::new();
    let key = setup.data_dir().join("ingest-key");
    std::fs::create_dir_all(setup.data_dir()).unwrap();
    std::fs::write(&key, "a-key-of-tests").unwrap();
    setup
        .set("queue", &format!("url = \"unix://{}\"\nshards = 8", redis.socket().display()))
        .set("store", "url = \"postgres://mutt@127.0.0.1:1/mutt\"")
        .set(
            "ingestor.http",
            &format!("keys = [{{ name = \"test\", key = {{ file = {key:?} }} }}]"),
        )
        .only(Some("ingestor"));
    setup
}

fn ask(program: &Program, path: &str, accept: &str) -> Answer {
    let headers = [("accept", accept)];
    Client::new(program.http()).request("GET", path, &headers, b"").unwrap()
}

fn readiness(program: &Program) -> (u16, Value) {
    let answer = ask(program, "/health/ready", "application/json");
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[track_caller]
fn spilling(program: &Program) {
    until("the spill is told", || {
        let (status, json) = readiness(program);
        let note = json["notes"][0]["code"] == "MUTT-S050";
        (status == 200 && note && json["notes"][0]["since"].is_string()).then_some(())
    });
}

#[track_caller]
fn send(program: &Program, host: &str) {
    let event = format!(r#"{{"hostname":"{host}","severity":3,"message":"down"}}"#);
    let answer = program.ingest(&[], &event);
    assert_eq!(answer.status, 200, "{}", program.log());
}

/// Batches of all shards in Redis.
fn in_redis(redis: &RedisServer) -> u64 {
    (0..8)
        .map(|shard| {
            let stream = format!("{{mutt:{shard}}}:stream");
            redis.command(&["XLEN", &stream]).parse::<u64>().unwrap_or(0)
        })
        .sum()
}

#[test]
fn an_ingestor_that_starts_before_redis_accepts_and_drains_when_it_comes() {
    let mut redis = RedisServer::durable();
    redis.kill();
    let setup = ingestor(&redis);
    let program = setup.start();
    assert_eq!(ask(&program, "/health/live", "*/*").status, 200);
    send(&program, "edge-r1");
    spilling(&program);
    let words = ask(&program, "/health/ready", "*/*");
    let words = String::from_utf8(words.body).unwrap();
    assert!(words.starts_with("ready\nnote: event queue since "), "{words}");
    let told = until("the spill in the log", || {
        program.log().lines().find(|line| line.contains("MUTT-S050")).map(ToOwned::to_owned)
    });
    provoked("MUTT-S050", &told);
    until("the wait in the log", || {
        program.log().contains("the event queue is away; this process waits").then_some(())
    });
    // Killed while events lie in the spill: the next run finds them.
    program.kill();
    let program = setup.start();
    send(&program, "edge-r2");
    redis.restart();
    until("both events in Redis", || (in_redis(&redis) == 2).then_some(()));
    until("no note", || readiness(&program).1["notes"].as_array()?.is_empty().then_some(()));
    let log = program.log();
    assert_eq!(log.matches("the event queue is away; this process waits").count(), 1, "{log}");
    until("the recovery in the log", || {
        program.log().contains("the event queue answers again").then_some(())
    });
    send(&program, "edge-r3");
    assert_eq!(in_redis(&redis), 3);
    program.stop();
}

#[test]
fn an_ingestor_goes_on_when_redis_is_killed_under_it() {
    let mut redis = RedisServer::durable();
    let program = ingestor(&redis).start();
    until("Redis takes events", || {
        send(&program, "edge-r1");
        (in_redis(&redis) > 0).then_some(())
    });
    until("no note", || readiness(&program).1["notes"].as_array()?.is_empty().then_some(()));
    let before = in_redis(&redis);
    redis.kill();
    send(&program, "edge-r2");
    spilling(&program);
    redis.restart();
    until("the spill is drained", || (in_redis(&redis) == before + 1).then_some(()));
    program.stop();
}
