//! What must hold of a Redis server before the event queue stands on it, looked at on each new
//! connection and from time to time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Pipeline, Value};
use async_trait::async_trait;
use mutt_model::codes::{self, Code};

use super::link::{Known, KnownReplica, Link, LinkError, Preflight, said};
use super::script::{COMMANDS, NoAnswer, refusal, words};
use super::{Durability, Kind, RedisOptions};

/// The oldest server whose commands are enough.
const OLDEST: (u32, u32) = (6, 2);

/// The checks of one queue.
#[derive(Debug)]
pub(super) struct Checks {
    durability: Durability,
    accept_failover_loss: bool,
    kind: Kind,
    user: String,
    prefix: String,
    name: String,
    timeout: Duration,
    /// What the Sentinels last said of the replicas.
    replicas: Mutex<Vec<KnownReplica>>,
    /// The window of `fast` was told.
    told: AtomicBool,
}

/// What was read of a server.
#[derive(Debug, Default)]
struct Server {
    info: HashMap<String, String>,
    config: HashMap<String, String>,
}

impl Server {
    fn info(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    fn config(&self, name: &str) -> &str {
        self.config.get(name).map_or("", String::as_str)
    }

    /// Replicas connected, and those of them that follow.
    fn replicas(&self) -> (usize, usize) {
        let lines = self.info.iter().filter(|(name, line)| {
            let number = name.strip_prefix("slave").map(|n| n.parse::<u32>().is_ok());
            number == Some(true) && line.contains("state=")
        });
        lines.fold((0, 0), |(all, online), (_, line)| {
            (all + 1, online + usize::from(line.contains("state=online")))
        })
    }
}

fn refuse(code: Code, why: impl Into<String>) -> LinkError {
    LinkError::Refused { code, why: why.into() }
}

impl Checks {
    /// For a queue that is set up so.
    #[must_use]
    pub(super) fn new(options: &RedisOptions) -> Self {
        let user = options.user.as_deref().or_else(|| options.url.user()).unwrap_or("default");
        Self {
            durability: options.durability,
            accept_failover_loss: options.accept_failover_loss,
            kind: options.url.kind(),
            user: user.to_owned(),
            prefix: options.prefix.clone(),
            name: options.name.clone(),
            timeout: options.timeout,
            replicas: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// The command that permits everything that the queue does.
    #[must_use]
    pub(super) fn acl_line(&self) -> String {
        let commands: Vec<String> = COMMANDS
            .iter()
            .map(|command| match *command {
                "CONFIG" => "+config|get".to_owned(),
                "CLIENT" => "+client|setname".to_owned(),
                "CLUSTER" => "+cluster|slots".to_owned(),
                "XINFO" => "+xinfo|stream".to_owned(),
                other => format!("+{}", other.to_lowercase()),
            })
            .collect();
        format!("ACL SETUSER {} ~{{{}:* {}", self.user, self.prefix, commands.join(" "))
    }

    /// Looks at the server behind a link.
    ///
    /// # Errors
    ///
    /// [`LinkError::Refused`] with the command that mends it; others as they come.
    pub(super) async fn look(&self, link: &Link) -> Result<(), LinkError> {
        self.judge_setting()?;
        let server = self.read(link).await?;
        let replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.judge(&server, &replicas)?;
        self.tell_window(&server);
        Ok(())
    }

    /// What the options alone say.
    pub(super) fn judge_setting(&self) -> Result<(), LinkError> {
        let fails_over = self.kind != Kind::Standalone;
        if fails_over && self.durability == Durability::Fsync && !self.accept_failover_loss {
            return Err(refuse(
                codes::QUEUE_REDIS_FAILOVER,
                "durability `fsync` does not survive a failover, and the URL names Sentinel or Cluster, which fail over; set queue.durability = \"fsync+replica\" (or \"replica\"), or queue.accept_failover_loss = true",
            ));
        }
        Ok(())
    }

    async fn read(&self, link: &Link) -> Result<Server, LinkError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO");
        let config = self.durability.fsync() || self.durability == Durability::Fast;
        if config {
            pipeline.cmd("CONFIG").arg("GET").arg("*append*fsync*");
        }
        let mut values = link.run(&pipeline, self.timeout).await?.into_iter();
        let info = match values.next().unwrap_or_default() {
            Value::ServerError(error) => {
                return Err(self.unreadable("INFO", "+info", &said(&error)));
            }
            other => words(&other).or_else(|| verbatim(other)).unwrap_or_default(),
        };
        let pair = |line: &str| {
            let (name, value) = line.trim_end().split_once(':')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let mut server =
            Server { info: info.lines().filter_map(pair).collect(), ..Server::default() };
        match values.next() {
            Some(Value::ServerError(error)) if self.durability.fsync() => {
                let error = said(&error);
                return Err(self.unreadable("CONFIG GET appendfsync", "+config|get", &error));
            }
            Some(value) => server.config = settings(value),
            None => {}
        }
        Ok(server)
    }

    fn unreadable(&self, what: &str, rule: &str, said: &str) -> LinkError {
        if said.starts_with("LOADING") || said.starts_with("MASTERDOWN") {
            return LinkError::Away(format!("Redis says: {said}"));
        }
        let mend = match refusal(said) {
            NoAnswer::NotPermitted(_) => format!(
                "run at the server: ACL SETUSER {} {rule} (everything that is needed: {})",
                self.user,
                self.acl_line()
            ),
            _ => "the queue must not stand on what cannot be checked: let the server answer it"
                .into(),
        };
        refuse(codes::QUEUE_REDIS_ACL, format!("{what} cannot be read ({said}); {mend}"))
    }

    fn judge(&self, server: &Server, known: &[KnownReplica]) -> Result<(), LinkError> {
        let version = server.info("redis_version");
        let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
            return Err(refuse(
                codes::QUEUE_REDIS_VERSION,
                format!(
                    "the server is Redis {version}; the event queue needs 6.2 or later: update it"
                ),
            ));
        }
        let role = server.info("role");
        if role != "master" {
            return Err(LinkError::Away(format!("the server is a replica (role {role})")));
        }
        let policy = server.info("maxmemory_policy");
        if policy != "noeviction" {
            return Err(refuse(
                codes::QUEUE_REDIS_EVICTS,
                format!(
                    "maxmemory-policy is `{policy}`: the server may delete the queue; run: CONFIG SET maxmemory-policy noeviction, then: CONFIG REWRITE"
                ),
            ));
        }
        if self.durability.fsync() {
            judge_fsync(server)?;
        }
        match usize::from(self.durability.replicas()) {
            0 => Ok(()),
            wanted => judge_replicas(server, known, wanted),
        }
    }

    fn tell_window(&self, server: &Server) {
        if self.durability != Durability::Fast || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let window = match (server.info("aof_enabled"), server.config("appendfsync")) {
            ("1", "everysec") => "up to 2 seconds before a power cut (appendfsync everysec)",
            ("1", "always") => "nothing by a power cut (appendfsync always)",
            ("1", _) => "what the system had not yet written, often 30 seconds (appendfsync no)",
            _ => "everything since the last snapshot (appendonly no)",
        };
        tracing::warn!(code = %codes::QUEUE_REDIS_FAST, window, "durability is `fast`: answered events may be lost with the server");
    }
}

#[async_trait]
impl Preflight for Checks {
    async fn check(&self, link: &Link, known: &Known) -> Result<(), LinkError> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&known.replicas);
        // Only so that CLIENT LIST names us: a refusal changes nothing.
        let mut name = Pipeline::with_capacity(1);
        name.cmd("CLIENT").arg("SETNAME").arg(&self.name);
        link.run(&name, self.timeout).await?;
        self.look(link).await
    }
}

fn judge_fsync(server: &Server) -> Result<(), LinkError> {
    let not_durable = |why: &str| Err(refuse(codes::QUEUE_REDIS_FSYNC, why));
    if server.info("aof_enabled") != "1" {
        return not_durable(
            "appendonly is `no`, so `fsync` cannot be kept; run: CONFIG SET appendonly yes, CONFIG SET appendfsync always, then: CONFIG REWRITE",
        );
    }
    if server.config("appendfsync") != "always" {
        return not_durable(
            "appendfsync is not `always`, so `fsync` cannot be kept; run: CONFIG SET appendfsync always, then: CONFIG REWRITE",
        );
    }
    if server.config("no-appendfsync-on-rewrite") == "yes" {
        return not_durable(
            "no-appendfsync-on-rewrite is `yes`, so `fsync` is not kept during a rewrite; run: CONFIG SET no-appendfsync-on-rewrite no, then: CONFIG REWRITE",
        );
    }
    Ok(())
}

/// WAIT counts any replicas. So that those which have an append are all that may be promoted, it
/// must count all there are.
fn judge_replicas(server: &Server, known: &[KnownReplica], wanted: usize) -> Result<(), LinkError> {
    let (connected, online) = server.replicas();
    let promotable = known.iter().filter(|replica| replica.priority > 0).count();
    let refuse = |why: String| Err(refuse(codes::QUEUE_REDIS_REPLICAS, why));
    // A master that comes back empty before a failover is followed by its replicas.
    if server.info("aof_enabled") != "1" {
        return refuse(
            "appendonly is off: started again at once, the server would come back empty, and its replicas would follow it; run on it and on each replica: CONFIG SET appendonly yes, then: CONFIG REWRITE"
                .into(),
        );
    }
    let must = connected.max(promotable);
    if wanted < must {
        return refuse(format!(
            "replica = {wanted} does not cover the {must} replicas of which one may be promoted ({connected} connected, {promotable} promotable by Sentinel): set queue.replicas = {must}"
        ));
    }
    if online < wanted {
        return refuse(format!(
            "replica = {wanted}, and {online} replicas follow the server now: start the missing ones (REPLICAOF HOST PORT), or set queue.replicas to their number"
        ));
    }
    Ok(())
}

/// Text of the newer protocol.
fn verbatim(value: Value) -> Option<String> {
    match value {
        Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The answer of CONFIG GET in either protocol.
fn settings(value: Value) -> HashMap<String, String> {
    match value {
        Value::Array(parts) => parts
            .chunks(2)
            .filter_map(|pair| Some((words(pair.first()?)?, words(pair.get(1)?)?)))
            .collect(),
        Value::Map(pairs) => {
            pairs.iter().filter_map(|(name, value)| Some((words(name)?, words(value)?))).collect()
        }
        _ => HashMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(lines: &[(&str, &str)], config: &[(&str, &str)]) -> Server {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let sound = [
            ("redis_version", "6.2.7"),
            ("role", "master"),
            ("maxmemory_policy", "noeviction"),
            ("aof_enabled", "1"),
        ];
        let mut all = server_info(owned(&sound), owned(lines));
        all.config = owned(config);
        all
    }

    fn server_info(sound: HashMap<String, String>, lines: HashMap<String, String>) -> Server {
        Server { info: sound.into_iter().chain(lines).collect(), ..Server::default() }
    }

    fn replica(priority: u32) -> KnownReplica {
        KnownReplica {
            address: "192.0.2.1:6379".into(),
            priority,
            flags: vec!["slave".into()],
            master_link_up: true,
        }
    }

    fn checks(durability: Durability, kind: Kind, accept_failover_loss: bool) -> Checks {
        Checks {
            durability,
            accept_failover_loss,
            kind,
            user: "mutt".into(),
            prefix: "mutt".into(),
            name: "mutt".into(),
            timeout: Duration::from_secs(5),
            replicas: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    #[track_caller]
    fn refused(done: Result<(), LinkError>, code: Code, words: &str) {
        match done {
            Err(LinkError::Refused { code: found, why }) => {
                assert_eq!(found.id, code.id, "{why}");
                assert!(why.contains(words), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_bad_server_is_refused_with_the_command_that_mends_it() {
        let fsync = checks(Durability::Fsync, Kind::Standalone, false);
        let always = [("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
        fsync.judge(&server(&[], &always), &[]).unwrap();
        let judge = |lines: &[(&str, &str)], config: &[(&str, &str)]| {
            fsync.judge(&server(lines, config), &[])
        };
        let evicts = [("maxmemory_policy", "volatile-lru")];
        refused(judge(&evicts, &always), codes::QUEUE_REDIS_EVICTS, "CONFIG SET maxmemory-policy");
        let old = [("redis_version", "6.0.16")];
        refused(judge(&old, &always), codes::QUEUE_REDIS_VERSION, "6.0.16");
        let no_aof = [("aof_enabled", "0")];
        refused(judge(&no_aof, &always), codes::QUEUE_REDIS_FSYNC, "CONFIG SET appendonly yes");
        let everysec = [("appendfsync", "everysec")];
        refused(judge(&[], &everysec), codes::QUEUE_REDIS_FSYNC, "appendfsync always");
        let rewrite = [("appendfsync", "always"), ("no-appendfsync-on-rewrite", "yes")];
        refused(judge(&[], &rewrite), codes::QUEUE_REDIS_FSYNC, "no-appendfsync-on-rewrite no");
        assert!(matches!(judge(&[("role", "slave")], &always), Err(LinkError::Away(_))));
        let fast = checks(Durability::Fast, Kind::Sentinel, false);
        fast.judge(&server(&no_aof, &[]), &[]).unwrap();
        fast.judge_setting().unwrap();
    }

    #[test]
    fn replicas_must_be_there_and_be_all_that_may_be_promoted() {
        let one = [("slave0", "ip=192.0.2.1,port=6379,state=online,offset=1,lag=0")];
        let syncing = [("slave0", "ip=192.0.2.1,port=6379,state=wait_bgsave,offset=0,lag=0")];
        let two = [one[0], ("slave1", "ip=192.0.2.2,port=6379,state=online,offset=1,lag=0")];
        let judge = |n: u8, lines: &[(&str, &str)], known: &[KnownReplica]| {
            checks(Durability::Replica(n), Kind::Sentinel, false).judge(&server(lines, &[]), known)
        };
        judge(1, &one, &[replica(100)]).unwrap();
        judge(1, &one, &[replica(100), replica(0)]).unwrap();
        judge(2, &two, &[replica(100), replica(0)]).unwrap();
        let code = codes::QUEUE_REDIS_REPLICAS;
        refused(judge(1, &[], &[]), code, "0 replicas follow");
        let forgetful = [one[0], ("aof_enabled", "0")];
        refused(judge(1, &forgetful, &[replica(100)]), code, "CONFIG SET appendonly yes");
        refused(judge(1, &syncing, &[replica(100)]), code, "0 replicas follow");
        refused(judge(1, &two, &[]), code, "queue.replicas = 2");
        refused(judge(1, &one, &[replica(100), replica(1)]), code, "queue.replicas = 2");
        refused(judge(2, &one, &[replica(100)]), code, "1 replicas follow");
    }

    #[test]
    fn fsync_alone_is_refused_where_servers_fail_over() {
        for kind in [Kind::Sentinel, Kind::Cluster] {
            let refusal = checks(Durability::Fsync, kind, false).judge_setting();
            refused(refusal, codes::QUEUE_REDIS_FAILOVER, "accept_failover_loss");
            checks(Durability::Fsync, kind, true).judge_setting().unwrap();
            checks(Durability::FsyncReplica(1), kind, false).judge_setting().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_line_that_permits_it() {
        let checks = checks(Durability::Fsync, Kind::Standalone, false);
        let said = "NOPERM this user has no permissions to run the 'config|get' command";
        let Err(LinkError::Refused { code, why }) =
            Err::<(), _>(checks.unreadable("CONFIG GET appendfsync", "+config|get", said))
        else {
            panic!("not refused");
        };
        assert_eq!(code.id, codes::QUEUE_REDIS_ACL.id);
        assert!(why.contains("ACL SETUSER mutt +config|get"), "{why}");
        assert!(matches!(checks.unreadable("INFO", "+info", "LOADING it"), LinkError::Away(_)));
    }
}
