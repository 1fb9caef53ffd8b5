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
    let waits = |program: &Program| {
        until("the wait in the log", || {
            program.log().contains("the event queue is away; this process waits").then_some(())
        });
    };
    waits(&program);
    // Killed while events lie in the spill: the next run finds them.
    program.kill();
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_muttctl"));
    check.args(["queue", "check", "--data-dir"]).arg(setup.data_dir());
    let checked = crate::support::tools::run(&mut check).stdout;
    let checked = String::from_utf8(checked).unwrap();
    assert!(checked.contains("1 events wait of 1 ever appended"), "{checked}");
    let program = setup.start();
    send(&program, "edge-r2");
    waits(&program);
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

/// The log's line with a code.
fn told(program: &Program, code: &str) -> String {
    until(code, || {
        let log = program.log();
        log.lines().find(|line| line.contains(code)).map(str::to_owned)
    })
}

#[test]
fn a_spill_is_told_when_it_begins_and_when_it_is_full() {
    let mut redis = RedisServer::durable();
    redis.kill();
    let mut setup = ingestor(&redis);
    setup.set("queue.spill", "max_events = 1000");
    let program = setup.start();
    // So that the spill names what is wrong, not that nothing is known yet.
    until("the wait in the log", || {
        program.log().contains("the event queue is away; this process waits").then_some(())
    });
    let event = r#"{"hostname":"edge-r1","severity":3,"message":"down"}"#;
    let many = format!("[{}]", vec![event; 600].join(","));
    assert_eq!(program.ingest(&[], &many).status, 200);
    spilling(&program);
    provoked("MUTT-S050", &told(&program, "MUTT-S050"));
    let metric = |name| program.ingestor_metric(name, &[]);
    assert!(metric("mutt_queue_spilling") == 1.0 && metric("mutt_queue_spill_depth") == 600.0);
    assert_eq!(program.ingest(&[], &many).status, 503);
    // A request takes room first; what comes without asking meets the cap itself.
    let line = "<11>1 2026-11-23T12:00:00Z edge-r1 app - - - down";
    until("the spill is full", || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            socket.send_to(line.as_bytes(), program.syslog_udp()).unwrap();
        }
        program.log().contains("MUTT-S051").then_some(())
    });
    provoked("MUTT-S051", &told(&program, "MUTT-S051"));
    redis.restart();
    until("the spill is drained", || (metric("mutt_queue_spill_depth") == 0.0).then_some(()));
    until("it is told", || (metric("mutt_queue_spilling") == 0.0).then_some(()));
    assert_eq!(
        metric("mutt_queue_drained_events_total"),
        metric("mutt_queue_spilled_events_total")
    );
    program.stop();
}
