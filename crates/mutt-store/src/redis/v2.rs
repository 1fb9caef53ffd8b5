//! Drains the lists of the Python MUTT (v2). Items are first moved to a list of the import's own, in
//! their order, and leave Redis only when the caller says that they are durable elsewhere: an import
//! that died goes on with what it had moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mutt_model::Clock;
use redis::{Pipeline, Value, cmd};

use super::RedisOptions;
use super::link::{Known, Link, LinkError, Links, Preflight, all_done};

/// What the import keeps in v2's Redis starts so.
pub const V2_IMPORT: &str = "mutt:import:v2";
/// Items that are moved and given out at once.
pub const V2_STAGED_MAX: usize = 500;
/// Without a sign of life for this long an import is over and another may begin.
const LOCK_MS: u64 = 30_000;
/// Keys that a pattern finds at most.
const KEYS_MAX: usize = 10_000;

/// Removes what was staged, counts on, keeps the items that could not be taken; only for the owner.
const DONE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 4, #ARGV do redis.call('LPUSH', KEYS[4], ARGV[i]) end
redis.call('DEL', KEYS[2])
redis.call('INCR', KEYS[3])
redis.call('INCRBY', KEYS[5], ARGV[3])
return 1";
/// Moves the oldest items; only for the owner.
const STAGE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = redis.call('LLEN', KEYS[2]) + 1, tonumber(ARGV[3]) do
  if not redis.call('RPOPLPUSH', KEYS[3], KEYS[2]) then break end
end
return 1";
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1";

/// v2's Redis needs nothing but an answer.
#[derive(Debug)]
struct Anything;

#[async_trait]
impl Preflight for Anything {
    async fn check(&self, _: &Link, _: &Known) -> Result<(), LinkError> {
        Ok(())
    }
}

/// Items that were moved out of one list, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Grows with each lot of this list that is done; with an item's place it names the item for ever.
    pub number: u64,
    /// The items.
    pub items: Vec<Vec<u8>>,
}

/// Items of one list that could not be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many there are.
    pub count: u64,
    /// The newest of them.
    pub first: Vec<Vec<u8>>,
}

/// v2's Redis.
#[derive(Debug)]
pub struct V2Lists {
    links: Links,
    timeout: Duration,
    owner: String,
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Int(n) => u64::try_from(*n).unwrap_or(0),
        _ => 0,
    }
}

fn list(value: Option<Value>) -> Vec<Vec<u8>> {
    match value {
        Some(Value::Array(values)) => values.into_iter().filter_map(bytes).collect(),
        _ => Vec::new(),
    }
}

fn own(kind: &str, name: &str) -> String {
    format!("{V2_IMPORT}:{kind}:{name}")
}

impl V2Lists {
    /// Without any I/O. `owner` names this import among others.
    #[must_use]
    pub fn open(options: &RedisOptions, owner: String, clock: Clock) -> Self {
        let links = Links::new(options, clock, Arc::new(Anything));
        Self { links, timeout: options.timeout, owner }
    }

    async fn run(&self, pipeline: &Pipeline) -> Result<Vec<Value>, LinkError> {
        let link = self.links.writer(0).await?;
        all_done(link.run(pipeline, self.timeout).await?)
    }

    async fn one(&self, command: redis::Cmd) -> Result<Option<Value>, LinkError> {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command);
        Ok(self.run(&pipeline).await?.into_iter().next())
    }

    /// Runs a script that answers -1 to whoever is not the owner.
    async fn owned(&self, script: &str, keys: &[&str], args: &[&[u8]]) -> Result<(), LinkError> {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len() + 1).arg(own("lock", "all"));
        for key in keys {
            command.arg(*key);
        }
        command.arg(&self.owner).arg(LOCK_MS);
        for arg in args {
            command.arg(*arg);
        }
        match self.one(command).await? {
            Some(Value::Int(1)) => Ok(()),
            _ => Err(LinkError::Server("another import has taken over".to_owned())),
        }
    }

    /// Takes the lock that keeps a second import away; false while another one holds it.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn lock(&self) -> Result<bool, LinkError> {
        let mut command = cmd("SET");
        command.arg(own("lock", "all")).arg(&self.owner).arg("NX").arg("PX").arg(LOCK_MS);
        Ok(matches!(self.one(command).await?, Some(Value::Okay)))
    }

    /// Lets the lock go.
    ///
    /// # Errors
    ///
    /// What Redis said; the lock then ends by itself.
    pub async fn unlock(&self) -> Result<(), LinkError> {
        self.owned(RELEASE, &[], &[]).await
    }

    /// Keys that start with `prefix`, sorted.
    ///
    /// # Errors
    ///
    /// What Redis said; too many keys.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, LinkError> {
        let (mut found, mut cursor) = (std::collections::BTreeSet::new(), b"0".to_vec());
        loop {
            let mut command = cmd("SCAN");
            command.arg(&cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
            let Some(Value::Array(mut parts)) = self.one(command).await? else { break };
            let keys = list(parts.pop());
            found.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
            if found.len() > KEYS_MAX {
                return Err(LinkError::Server(format!("more than {KEYS_MAX} keys are {prefix}*")));
            }
            cursor = parts.pop().and_then(bytes).unwrap_or_else(|| b"0".to_vec());
            if cursor == b"0" {
                break;
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The dynamic configuration: values by key, without the prefix.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn settings(&self) -> Result<BTreeMap<String, String>, LinkError> {
        const PREFIX: &str = "mutt:config:";
        let mut values = BTreeMap::new();
        for key in self.keys(PREFIX).await? {
            let mut command = cmd("GET");
            command.arg(&key);
            let value = self.one(command).await?.and_then(bytes);
            let value = value.and_then(|value| String::from_utf8(value).ok());
            if let (Some(name), Some(value)) = (key.strip_prefix(PREFIX), value) {
                values.insert(name.to_owned(), value);
            }
        }
        Ok(values)
    }

    /// Items that wait in a list, and in what was staged of it.
    ///
    /// # Errors
    ///
    /// What Redis said, also where the key is no list.
    pub async fn length(&self, name: &str) -> Result<u64, LinkError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("LLEN").arg(name).cmd("LLEN").arg(own("staged", name));
        let lengths = self.run(&pipeline).await?;
        Ok(lengths.iter().map(number).sum())
    }

    /// Looks at the items of a list without moving any, oldest first, from this place on.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn peek(&self, name: &str, from: usize) -> Result<Vec<Vec<u8>>, LinkError> {
        let mut command = cmd("LRANGE");
        let last = from + V2_STAGED_MAX;
        command.arg(name).arg(format!("-{last}")).arg(format!("-{}", from + 1));
        let mut items = list(self.one(command).await?);
        items.reverse();
        Ok(items)
    }

    /// The lists of which something was staged and not done.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn unfinished(&self) -> Result<Vec<String>, LinkError> {
        let prefix = own("staged", "");
        let keys = self.keys(&prefix).await?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    /// The items of a list that could not be taken, as they are kept.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn refused(&self, name: &str) -> Result<Kept, LinkError> {
        let key = own("refused", name);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("LLEN").arg(&key);
        pipeline.cmd("LRANGE").arg(&key).arg(0).arg(V2_STAGED_MAX - 1);
        let mut values = self.run(&pipeline).await?.into_iter();
        let count = values.next().map_or(0, |value| number(&value));
        Ok(Kept { count, first: list(values.next()) })
    }

    /// Items of a list that imports took so far, over all their runs.
    ///
    /// # Errors
    ///
    /// What Redis said.
    pub async fn taken(&self, name: &str) -> Result<u64, LinkError> {
        let mut command = cmd("GET");
        command.arg(own("taken", name));
        let value = self.one(command).await?.and_then(bytes);
        let text = value.and_then(|value| String::from_utf8(value).ok());
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Moves the oldest items aside and gives them; what an earlier import had moved comes first, in
    /// the same places.
    ///
    /// # Errors
    ///
    /// What Redis said; whatever was moved stays for the next call.
    pub async fn stage(&self, name: &str) -> Result<Staged, LinkError> {
        let staged = own("staged", name);
        let max = V2_STAGED_MAX.to_string();
        self.owned(STAGE, &[&staged, name], &[max.as_bytes()]).await?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg(own("number", name));
        pipeline.cmd("LRANGE").arg(&staged).arg(0).arg(-1);
        let mut values = self.run(&pipeline).await?.into_iter();
        let number = values.next().and_then(bytes).and_then(|n| String::from_utf8(n).ok());
        let mut items = list(values.next());
        items.reverse();
        Ok(Staged { number: number.and_then(|n| n.parse().ok()).unwrap_or(0), items })
    }

    /// Everything staged of this list is durable elsewhere: removes it, and counts what was `taken`.
    /// `refused` are the items that could not be taken; they are kept apart.
    ///
    /// # Errors
    ///
    /// What Redis said; another import took over.
    pub async fn done(&self, name: &str, taken: u64, refused: &[Vec<u8>]) -> Result<(), LinkError> {
        let keys = ["staged", "number", "refused", "taken"].map(|kind| own(kind, name));
        let keys = keys.each_ref().map(String::as_str);
        let taken = taken.to_string();
        let mut args = vec![taken.as_bytes()];
        args.extend(refused.iter().map(Vec::as_slice));
        self.owned(DONE, &keys, &args).await
    }
}
