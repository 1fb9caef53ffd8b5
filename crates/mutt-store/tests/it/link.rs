//! Connections to real Redis servers: logins, TLS, breaks, Sentinel, Cluster.

mod breaks;
pub(crate) mod cluster;
mod login;
pub(crate) mod net;
mod sentinel;
pub(crate) mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Clock;
use mutt_store::redis::link::{Known, Link, LinkError, Links, Preflight};
use mutt_store::redis::{RedisOptions, RedisUrl};
use redis::{Pipeline, Value};

use crate::redis_server::PATIENCE;

/// Takes any server.
#[derive(Debug)]
struct Any;

#[async_trait]
impl Preflight for Any {
    async fn check(&self, _: &Link, _: &Known) -> Result<(), LinkError> {
        Ok(())
    }
}

/// The longest that one step may take in these tests.
const STEP: Duration = Duration::from_secs(2);

fn options(url: &str) -> RedisOptions {
    let basis = crate::redis_server::options("redis://unused");
    RedisOptions { url: RedisUrl::parse(url).unwrap(), timeout: STEP, ..basis }
}

fn links(options: &RedisOptions) -> Links {
    Links::new(options, Clock::default(), Arc::new(Any))
}

fn pipeline(commands: &[&[&str]]) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in commands {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        pipeline.add_command(cmd);
    }
    pipeline
}

/// One command on this link; its reply.
async fn say(link: &Link, command: &[&str]) -> Result<Value, LinkError> {
    let mut values = link.run(&pipeline(&[command]), STEP).await?;
    Ok(values.remove(0))
}

/// As text.
fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".into(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A link of the first shard, also while the servers come back; none of the tries takes long.
async fn linked(links: &Links) -> Link {
    linked_to(links, 0).await
}

async fn linked_to(links: &Links, shard: u16) -> Link {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    loop {
        match links.writer(shard).await {
            Ok(link) => return link,
            Err(why) => assert!(clock.monotonic() < until, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until no link can be had, for this reason; its words.
async fn refused(links: &Links, words: &str) -> String {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    loop {
        let seen = match links.writer(0).await {
            Ok(_) => "a link".to_owned(),
            Err(why) => why.to_string(),
        };
        if seen.contains(words) {
            return seen;
        }
        assert!(clock.monotonic() < until, "waited for `{words}`, have: {seen}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for what others bring about.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let clock = Clock::default();
    let until = clock.monotonic() + PATIENCE;
    while !condition().await {
        assert!(clock.monotonic() < until, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
