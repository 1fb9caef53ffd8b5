//! What must hold of a Redis server before the event queue stands on it, looked at on each new
//! connection and from time to time.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Pipeline, Value};
use async_trait::async_trait;
use mutt_model::codes::{self, Code};

use super::link::{Known, KnownReplica, Link, LinkError, Preflight, said};
use super::script::{COMMANDS, NoAnswer, call_permitted, refusal, words};
use super::{Durability, Kind, RedisOptions};

/// Servers of which it is kept that appendonly was off.
const RUNS_MAX: usize = 64;

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
    /// What Sentinels or the Cluster last said of the replicas of each node.
    replicas: Mutex<HashMap<String, Vec<KnownReplica>>>,
    /// Runs of servers whose appendonly was seen off: what is switched on there is durable when the first
    /// rewrite has ended.
    off: Mutex<BTreeSet<String>>,
    /// Runs of servers that were seen with appendonly on and no rewrite under way.
    rested: Mutex<BTreeSet<String>>,
    /// The window of `fast` was told.
    told: AtomicBool,
}

/// What was read of a server.
#[derive(Debug, Default)]
struct Server {
    info: HashMap<String, String>,
    config: HashMap<String, String>,
    /// The configuration was asked for and may not be read.
    hidden: bool,
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

/// What permits a command, no more of it than is needed.
fn rule(command: &str) -> String {
    match command {
        "CONFIG" => "+config|get".to_owned(),
        "CLIENT" => "+client|setname".to_owned(),
        "CLUSTER" => "+cluster|slots +cluster|nodes".to_owned(),
        "XINFO" => "+xinfo|stream".to_owned(),
        other => format!("+{}", other.to_lowercase()),
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
            off: Mutex::default(),
            rested: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// The command that permits everything that the queue does.
    #[must_use]
    pub(super) fn acl_line(&self) -> String {
        let commands: Vec<String> = COMMANDS.iter().map(|command| rule(command)).collect();
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
        let node = link.address().to_string();
        let replicas = held(&self.replicas).get(&node).cloned().unwrap_or_default();
        self.judge(&server, &replicas)?;
        self.permitted(link).await?;
        self.tell_window(&server);
        Ok(())
    }

    /// Tries every command that the queue will ever send, so that none is refused in the middle of a
    /// script, when the half of it is done.
    async fn permitted(&self, link: &Link) -> Result<(), LinkError> {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(call_permitted(&self.prefix, link.shard()));
        let mut direct = vec!["EVAL"];
        pipeline.cmd("EVALSHA").arg("0".repeat(40)).arg(0);
        direct.push("EVALSHA");
        if self.durability.replicas() > 0 {
            pipeline.cmd("WAIT").arg(0).arg(1);
            direct.push("WAIT");
        }
        let mut denied = Vec::new();
        for (command, value) in direct.into_iter().zip(link.run(&pipeline, self.timeout).await?) {
            match value {
                // Another refusal (its memory is used up, it loads, the name of a script is not known) is
                // no matter of the user's.
                Value::ServerError(error) => {
                    if let NoAnswer::NotPermitted(_) = refusal(&said(&error)) {
                        denied.push(rule(command));
                    }
                }
                Value::Array(names) => {
                    denied.extend(names.iter().filter_map(words).map(|name| rule(&name)));
                }
                _ => {}
            }
        }
        if denied.is_empty() {
            return Ok(());
        }
        let (user, rules) = (&self.user, denied.join(" "));
        Err(refuse(
            codes::QUEUE_REDIS_ACL,
            format!(
                "the user `{user}` may not do all that the event queue needs; run at the server: ACL SETUSER {user} ~{{{}:* {rules} (everything that is needed: {})",
                self.prefix,
                self.acl_line()
            ),
        ))
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
            Some(Value::ServerError(_)) => server.hidden = true,
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
        if self.durability != Durability::Fast {
            self.judge_first_rewrite(server)?;
        }
        if self.durability.fsync() {
            judge_fsync(server)?;
        }
        match usize::from(self.durability.replicas()) {
            0 => Ok(()),
            wanted => judge_replicas(server, known, wanted),
        }
    }

    /// A server says `aof_enabled:1` as soon as appendonly is switched on, and what it appends is durable
    /// only when the first rewrite has ended. A usual rewrite has a base (`aof_base_size`) that stands
    /// already; one of an earlier time is told too, so that a server that was seen off is remembered.
    fn judge_first_rewrite(&self, server: &Server) -> Result<(), LinkError> {
        let run = server.info("run_id");
        let (mut off, mut rested) = (held(&self.off), held(&self.rested));
        let remember = |runs: &mut BTreeSet<String>| {
            if runs.len() >= RUNS_MAX {
                runs.clear();
            }
            runs.insert(run.to_owned());
        };
        if server.info("aof_enabled") != "1" {
            remember(&mut off);
            rested.remove(run);
            return Ok(());
        }
        let rewriting = server.info("aof_rewrite_in_progress") == "1"
            || server.info("aof_rewrite_scheduled") == "1";
        let failed = server.info("aof_last_bgrewrite_status") == "err";
        if !(rewriting || failed) {
            off.remove(run);
            remember(&mut rested);
            return Ok(());
        }
        // A server that was started with appendonly has no base before its first rewrite, and keeps all
        // the same what it appends.
        if rested.contains(run) {
            return Ok(());
        }
        let has_base = !matches!(server.info("aof_base_size"), "" | "0");
        if has_base && !off.contains(run) {
            return Ok(());
        }
        let state = if rewriting {
            "that is under way: the queue waits for its end"
        } else {
            "and the last one failed: look at the server's log and disk, then run: BGREWRITEAOF"
        };
        Err(LinkError::Away(format!(
            "what is appended is durable for certain only after the first rewrite since appendonly was switched on, {state}"
        )))
    }

    /// What may be lost of what was answered.
    fn window(&self, server: &Server) -> String {
        let by_power = match (server.info("aof_enabled"), server.config("appendfsync")) {
            ("1", "everysec") => "up to 2 seconds before a power cut (appendfsync everysec)",
            ("1", "always") => "nothing by a power cut (appendfsync always)",
            ("1", _) if server.hidden => {
                "by a power cut nobody knows how much: the user may not read appendfsync (permit it with +config|get)"
            }
            ("1", _) => "what the system had not yet written, often 30 seconds (appendfsync no)",
            _ => "everything since the last snapshot (appendonly no)",
        };
        let by_failover = match self.kind {
            Kind::Standalone => "",
            Kind::Sentinel | Kind::Cluster => {
                ", and by a failover what the replica that takes over had not yet received"
            }
        };
        format!("{by_power}{by_failover}")
    }

    fn tell_window(&self, server: &Server) {
        if self.durability != Durability::Fast || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let window = self.window(server);
        tracing::warn!(code = %codes::QUEUE_REDIS_FAST, window, "durability is `fast`: answered events may be lost with the server");
    }
}

#[async_trait]
impl Preflight for Checks {
    fn learn(&self, known: &Known) -> bool {
        let node = known.node.to_string();
        let before = held(&self.replicas).insert(node, known.replicas.clone()).unwrap_or_default();
        promotable(&before) != promotable(&known.replicas)
    }

    async fn check(&self, link: &Link, known: &Known) -> Result<(), LinkError> {
        self.learn(known);
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

fn held<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of these may be promoted.
fn promotable(known: &[KnownReplica]) -> usize {
    known.iter().filter(|replica| replica.priority > 0).count()
}

/// WAIT counts any replicas. So that those which have an append are all that may be promoted, it
/// must count all there are.
fn judge_replicas(server: &Server, known: &[KnownReplica], wanted: usize) -> Result<(), LinkError> {
    let (connected, online) = server.replicas();
    let promotable = promotable(known);
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
            "replica = {wanted} does not cover the {must} replicas of which one may be promoted ({connected} connected, {promotable} known that may be promoted): set queue.replicas = {must}"
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
            off: Mutex::default(),
            rested: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_first_rewrite_is_waited_for_and_a_usual_one_is_not() {
        let always = [("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
        let fsync = checks(Durability::Fsync, Kind::Standalone, false);
        let judge = |lines: &[(&str, &str)]| fsync.judge(&server(lines, &always), &[]);
        let run = ("run_id", "one");
        let (based, empty) = (("aof_base_size", "300"), ("aof_base_size", "0"));
        let rewrites = ("aof_rewrite_in_progress", "1");
        let waits = |lines: &[(&str, &str)], words: &str| match judge(lines) {
            Err(LinkError::Away(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        };
        judge(&[run, based, rewrites]).unwrap();
        let failed = ("aof_last_bgrewrite_status", "err");
        waits(&[run, empty, rewrites], "waits for its end");
        waits(&[run, empty, ("aof_rewrite_scheduled", "1")], "waits for its end");
        waits(&[run, empty, failed], "BGREWRITEAOF");
        // One that was started with appendonly has no base, and was seen at rest.
        judge(&[run, empty]).unwrap();
        judge(&[run, empty, rewrites]).unwrap();
        judge(&[run, empty, failed]).unwrap();
        // One that was seen off has a base of the time before.
        let off = judge(&[run, ("aof_enabled", "0")]);
        refused(off, codes::QUEUE_REDIS_FSYNC, "CONFIG SET appendonly yes");
        waits(&[run, based, rewrites], "waits for its end");
        judge(&[("run_id", "two"), based, rewrites]).unwrap();
        judge(&[run, based]).unwrap();
        judge(&[run, based, rewrites]).unwrap();
    }

    #[test]
    fn the_window_of_fast_is_what_is_known_of_it() {
        let window = |kind, server: &Server| checks(Durability::Fast, kind, false).window(server);
        let always = server(&[], &[("appendfsync", "always")]);
        assert_eq!(
            window(Kind::Standalone, &always),
            "nothing by a power cut (appendfsync always)"
        );
        let hidden = Server { hidden: true, ..server(&[], &[]) };
        let said = window(Kind::Standalone, &hidden);
        assert!(said.contains("+config|get") && !said.contains("appendfsync no"), "{said}");
        assert!(window(Kind::Standalone, &server(&[], &[])).contains("appendfsync no"));
        for kind in [Kind::Sentinel, Kind::Cluster] {
            let said = window(kind, &always);
            assert!(said.contains("by a failover what the replica"), "{said}");
        }
    }

    #[test]
    fn a_change_of_the_replicas_that_may_be_promoted_is_noticed() {
        let checks = checks(Durability::Replica(1), Kind::Sentinel, false);
        let known = |replicas: &[KnownReplica]| Known {
            kind: Kind::Sentinel,
            node: super::super::Address::Tcp { host: "192.0.2.9".into(), port: 6379 },
            replicas: replicas.to_vec(),
        };
        assert!(checks.learn(&known(&[replica(100)])));
        assert!(!checks.learn(&known(&[replica(100)])));
        assert!(!checks.learn(&known(&[replica(100), replica(0)])), "it is never promoted");
        assert!(checks.learn(&known(&[replica(100), replica(1)])));
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
