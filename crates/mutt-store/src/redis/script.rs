//! What runs inside the server: the scripts, their arguments and their answers.
//!
//! Each step of a shard is one script, so that caps, counters, entries and the lease change together
//! or not at all. All keys of a shard share one hash tag. Only what Redis 6.2 knows is used; see
//! [`COMMANDS`].

use std::sync::LazyLock;

use ::redis::{Cmd, Value};
use mutt_model::Timestamp;

use super::link::{LinkError, hash_tag, said};

/// Every command that is sent or called inside a script. All are of Redis 6.2, and this is what the
/// user's ACL must permit.
pub const COMMANDS: &[&str] = &[
    "AUTH",
    "CLIENT",
    "CLUSTER",
    "CONFIG",
    "DEL",
    "EVAL",
    "EVALSHA",
    "EXISTS",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HMGET",
    "HSET",
    "INFO",
    "PING",
    "ROLE",
    "SELECT",
    "TIME",
    "WAIT",
    "XADD",
    "XDEL",
    "XINFO",
    "XLEN",
    "XRANGE",
    "XREAD",
    "XTRIM",
    "ZADD",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREM",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZSCORE",
];

/// A first write that needs no memory: what comes after it in the same script is done also while
/// the server's memory is used up, so that readers can make room.
const FREE: &str = "redis.call('HDEL', KEYS[2], '')\n";

/// A script with the name by which the server knows it.
#[derive(Debug)]
pub struct Script {
    source: String,
    sha: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let source = parts.concat();
        let sha = ::redis::Script::new(&source).get_hash().to_owned();
        Self { source, sha }
    }

    /// What is executed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A call with these keys; with `source` it teaches the script to the server.
    fn call(&self, source: bool, keys: &[String]) -> Cmd {
        let (command, script) =
            if source { ("EVAL", &self.source) } else { ("EVALSHA", &self.sha) };
        let mut cmd = ::redis::cmd(command);
        cmd.arg(script).arg(keys.len());
        for key in keys {
            cmd.arg(key);
        }
        cmd
    }
}

const SHARD: &str = include_str!("script/shard.lua");

/// Appends batches.
pub static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[SHARD, include_str!("script/append.lua")]));
/// Gives batches out.
pub static CLAIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FREE, SHARD, include_str!("script/claim.lua")]));
/// Takes batches as done.
pub static ACKNOWLEDGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FREE, SHARD, include_str!("script/acknowledge.lua")]));
/// Gives and renews leases.
pub static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FREE, SHARD, include_str!("script/lease.lua")]));
/// Looks at a shard.
pub static LOOK: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FREE, SHARD, include_str!("script/look.lua")]));
/// Keeps drop counters.
pub static DROPS: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("script/drops.lua")]));

/// Tells which of the commands of the others the user may not run.
pub static PERMITTED: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("script/permitted.lua")]));

/// The keys of one shard.
#[derive(Clone, Debug)]
pub struct Keys {
    shard: Vec<String>,
    drops: Vec<String>,
}

impl Keys {
    /// Of this shard of the queue with this prefix.
    #[must_use]
    pub fn new(prefix: &str, shard: u16) -> Self {
        let tag = hash_tag(prefix, shard);
        let named = |names: &[&str]| names.iter().map(|name| format!("{tag}:{name}")).collect();
        Self {
            shard: named(&["stream", "state", "recent", "claims", "tries", "gaps"]),
            drops: named(&["dropped", "drops"]),
        }
    }

    /// The stream's key.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.shard[0]
    }
}

/// What one process knows of a shard and tells with each call, so that a shard that lost its state
/// or came back with an older one is healed by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The line of history that it knows; none at first.
    pub line: String,
    /// Events ever appended, as a mark.
    pub cum: u64,
    /// The mark up to which everything is done.
    pub ack: u64,
    /// Events ever acknowledged.
    pub acked: u64,
    /// The lease that this process holds; 0 is none.
    pub generation: u64,
    /// Its owner.
    pub owner: String,
    /// Milliseconds for which it was given.
    pub ttl: u64,
}

/// A call of a shard's script; its own arguments are added behind.
#[must_use]
pub fn call(script: &Script, source: bool, keys: &Keys, shards: u16, memory: &Memory) -> Cmd {
    let mut cmd = script.call(source, &keys.shard);
    cmd.arg(shards)
        .arg(format!("{:016x}", fastrand::u64(..)))
        .arg(&memory.line)
        .arg(memory.cum)
        .arg(memory.ack)
        .arg(memory.acked)
        .arg(memory.generation)
        .arg(&memory.owner)
        .arg(memory.ttl);
    cmd
}

/// A call that keeps drop counters.
#[must_use]
pub fn call_drops(source: bool, keys: &Keys) -> Cmd {
    DROPS.call(source, &keys.drops)
}

/// A question for what the user may not run, on a key of this shard that never is there.
#[must_use]
pub fn call_permitted(prefix: &str, shard: u16) -> Cmd {
    PERMITTED.call(true, &[format!("{}:probe", hash_tag(prefix, shard))])
}

/// How a shard is, as a script answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The line of history: another one after each restart of the server and each loss of state.
    pub line: String,
    /// The mark up to which the caller's line, where it is another, is also this one.
    pub shared: u64,
    /// Events ever appended.
    pub cum: u64,
    /// The mark up to which everything is done.
    pub ack: u64,
    /// Events ever acknowledged.
    pub acked: u64,
    /// Events that were appended and can no longer be read.
    pub lost: u64,
    /// Batches that wait.
    pub batches: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// When the first of them was received.
    pub oldest: Option<Timestamp>,
    /// The generation of the lease.
    pub generation: u64,
}

/// What a script decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Ok,
    /// A cap is met: `events` or `bytes`.
    Full(String),
    /// The lease has another generation.
    LeaseMoved,
    /// Another owner holds the lease.
    Held,
}

/// The answer of a shard's script.
#[derive(Debug)]
pub struct Answer {
    /// What was decided.
    pub verdict: Verdict,
    /// How the shard is after it.
    pub status: Status,
    /// What was asked for.
    pub rest: Vec<Value>,
}

/// Why a call gave no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The script is not known to the server; nothing was done.
    Unknown,
    /// The queue was made with another number of shards.
    Shards(u64),
    /// The server's memory is used up; nothing was done.
    Memory(String),
    /// The user may not do it.
    NotPermitted(String),
    /// The server cannot write now, or what it said was not understood.
    Refused(String),
}

/// Reads the answer of a shard's script.
///
/// # Errors
///
/// [`NoAnswer`] says why there is none.
pub fn answer(value: Value) -> Result<Answer, NoAnswer> {
    let strange = || NoAnswer::Refused("an answer that was not understood".into());
    let parts = match value {
        Value::Array(parts) => parts,
        Value::ServerError(error) => {
            // Redis 7 adds where in the script it was, which says nothing to a person.
            let words = said(&error);
            return Err(refusal(words.split(" script: ").next().unwrap_or(&words)));
        }
        _ => return Err(strange()),
    };
    let mut parts = parts.into_iter();
    let word = parts.next().as_ref().and_then(words).unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    if word == "SHARDS" {
        return Err(NoAnswer::Shards(words(&second).and_then(|n| n.parse().ok()).unwrap_or(0)));
    }
    let status = status(&second).ok_or_else(strange)?;
    let rest = match parts.next() {
        Some(Value::Array(rest)) => rest,
        _ => Vec::new(),
    };
    let verdict = match word.as_str() {
        "OK" => Verdict::Ok,
        "FULL" => Verdict::Full(rest.first().and_then(words).unwrap_or_default()),
        "LEASE" => Verdict::LeaseMoved,
        "HELD" => Verdict::Held,
        _ => return Err(strange()),
    };
    Ok(Answer { verdict, status, rest })
}

/// What a server's words mean. Redis 6.2 wraps what a command inside a script was answered, so they
/// are looked for anywhere.
#[must_use]
pub fn refusal(said: &str) -> NoAnswer {
    let has = |word: &str| said.contains(word);
    if said.starts_with("NOSCRIPT") {
        NoAnswer::Unknown
    } else if has("NOPERM") || has("no permissions") || has("can't run this command") {
        NoAnswer::NotPermitted(said.to_owned())
    } else if has("OOM command not allowed") {
        NoAnswer::Memory(said.to_owned())
    } else {
        NoAnswer::Refused(said.to_owned())
    }
}

impl From<NoAnswer> for LinkError {
    fn from(no: NoAnswer) -> Self {
        match no {
            NoAnswer::Unknown => Self::Server("NOSCRIPT".into()),
            NoAnswer::Shards(n) => Self::Server(format!("the queue has {n} shards")),
            NoAnswer::Memory(said) | NoAnswer::NotPermitted(said) | NoAnswer::Refused(said) => {
                Self::Server(said)
            }
        }
    }
}

/// A reply's text.
#[must_use]
pub fn words(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Okay => Some("OK".into()),
        Value::Int(n) => Some(n.to_string()),
        _ => None,
    }
}

/// A reply's number.
#[must_use]
pub fn number(value: &Value) -> Option<u64> {
    words(value)?.parse().ok()
}

fn status(value: &Value) -> Option<Status> {
    let Value::Array(parts) = value else { return None };
    let [line, shared, cum, ack, acked, lost, batches, bytes, oldest, generation] =
        parts.as_slice()
    else {
        return None;
    };
    Some(Status {
        line: words(line)?,
        shared: number(shared)?,
        cum: number(cum)?,
        ack: number(ack)?,
        acked: number(acked)?,
        lost: words(lost)?.parse::<i64>().ok()?.try_into().unwrap_or(0),
        batches: number(batches)?,
        bytes: words(bytes)?.parse::<i64>().ok()?.try_into().unwrap_or(0),
        oldest: words(oldest)?.parse().ok().map(Timestamp::from_micros),
        generation: number(generation)?,
    })
}
