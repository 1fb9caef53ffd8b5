//! The password of Redis is changed at the server under load: no event is refused, none is lost, and
//! the old password is refused at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::ready;
use crate::redis_server::RedisServer;
use crate::support::http::Client;
use crate::support::{Program, Setup, Vault, until};

/// An Ingestor over this Redis, alone, with both passwords from Vault.
fn ingestor(redis: &RedisServer, vault: &Vault) -> Setup {
    let mut setup = Setup::new();
    let key = setup.folder().join("key");
    std::fs::write(&key, "a-key-of-tests").unwrap();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let url = format!("url = \"unix://{}\"", redis.socket().display());
    let pair = "password = [{ vault = \"secret/mutt/prod#REDIS\" }, { vault = \"secret/mutt/prod#REDIS_NEXT\" }]";
    setup
        .set("queue", &format!("{url}\nuser = \"mutt\"\n{pair}"))
        .set("store", "url = \"postgres://mutt@127.0.0.1:1/mutt\"")
        .set(
            "ingestor.http",
            &format!("keys = [{{ name = \"test\", key = {{ file = {key:?} }} }}]"),
        )
        .only(Some("ingestor"));
    setup
}

fn post(client: &mut Client, number: usize) -> u16 {
    let body = format!(r#"{{"hostname":"h{}","severity":3,"message":"{number}"}}"#, number % 50);
    let headers = [("x-api-key", "a-key-of-tests")];
    client.request("POST", "/ingest", &headers, body.as_bytes()).unwrap().status
}

/// Requests that are in Redis: each is a batch of its own.
fn in_redis(redis: &RedisServer) -> usize {
    let length = |shard: i32| {
        let stream = format!("{{mutt:{shard}}}:stream");
        redis.command(&["XLEN", &stream]).parse::<usize>().unwrap_or(0)
    };
    (0..8).map(length).sum()
}

#[track_caller]
fn settled(program: &Program) {
    until("readiness without a note", || (ready(program.http()).1 == "ready\n").then_some(()));
}

/// Whether the server lets the user in with this password.
fn lets_in(redis: &RedisServer, password: &str) -> bool {
    redis.command(&["AUTH", "mutt", password]) == "OK"
}

#[test]
fn the_password_of_redis_is_rotated_under_load() {
    let redis = RedisServer::durable();
    redis.command(&["ACL", "SETUSER", "mutt", "on", ">redis-one", "~*", "&*", "+@all"]);
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "REDIS": "redis-one" }));
    let program = ingestor(&redis, &vault).start();
    settled(&program);
    let (end, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut client = Client::new(program.http());
            let mut refused = Vec::new();
            while !end.load(Ordering::SeqCst) {
                let status = post(&mut client, sent.fetch_add(1, Ordering::SeqCst));
                if status != 200 {
                    refused.push(status);
                }
            }
            refused
        });
        until("load", || (sent.load(Ordering::SeqCst) > 100).then_some(()));
        vault.put("mutt/prod", &json!({ "REDIS": "redis-one", "REDIS_NEXT": "redis-two" }));
        until("the next one", || program.log().contains("\"queue.password\"").then_some(()));
        // The server takes the new one only, and ends every connection of the old one.
        redis.command(&["ACL", "SETUSER", "mutt", ">redis-two", "<redis-one"]);
        redis.command(&["CLIENT", "KILL", "USER", "mutt"]);
        let before = sent.load(Ordering::SeqCst);
        until("load after it", || (sent.load(Ordering::SeqCst) > before + 100).then_some(()));
        settled(&program);
        vault.put("mutt/prod", &json!({ "REDIS": "redis-two" }));
        end.store(true, Ordering::SeqCst);
        assert_eq!(load.join().unwrap(), Vec::<u16>::new(), "{}", program.log());
    });
    assert!(!lets_in(&redis, "redis-one") && lets_in(&redis, "redis-two"));
    let sent = sent.load(Ordering::SeqCst);
    until("every event in Redis", || (in_redis(&redis) == sent).then_some(()));
    // Once more with the new one alone: a connection from the beginning.
    until("the end of the overlap", || {
        (program.log().matches("\"queue.password\"").count() == 2).then_some(())
    });
    redis.command(&["CLIENT", "KILL", "USER", "mutt"]);
    assert_eq!(post(&mut Client::new(program.http()), sent), 200);
    until("the last event", || (in_redis(&redis) == sent + 1).then_some(()));
    assert!(!program.log().contains("redis-one") && !program.log().contains("redis-two"));
    program.stop();
}
