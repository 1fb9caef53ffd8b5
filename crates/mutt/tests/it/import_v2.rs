//! `muttctl import v2` on the schema and the lists that the Python MUTT leaves.

mod archive;
mod dynamic;
mod kills;
mod rows;
mod tls;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use mutt_model::rule::{Handling, MatchType};
use mutt_model::verdict::Environment;
use mutt_model::{Clock, Timestamp};
use mutt_store::queue::{EmbeddedQueue, EventQueue as _, QueueOptions};
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{EventQuery, ReadStore, RuleStore};
use serde_json::{Value, json};

use crate::postgres_server::Server;
use crate::redis_server::RedisServer;

const SCHEMA: &str = include_str!("../../../../testdata/v2/schema.sql");
const EVENTS: &str = include_str!("../../../../testdata/v2/events.sql");
const AUDITED: u64 = 702;
const KEY: &str = "moog-api-key-which-nobody-may-see";

/// v2 and a folder for what takes its place.
struct Site {
    server: Server,
    dir: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let server = Server::bare(&["fsync=on"]).await;
        let admin = server.superuser("postgres").await;
        admin.batch_execute("CREATE DATABASE mutt_db").await.unwrap();
        let site = Self { server, dir: tempfile::tempdir().unwrap() };
        site.sql(SCHEMA).await;
        site.sql(EVENTS).await;
        site
    }

    async fn sql(&self, sql: &str) {
        let v2 = self.server.superuser("mutt_db").await;
        v2.batch_execute(&format!("SET search_path = public; {sql}")).await.unwrap();
    }

    /// All of v2 in one text.
    async fn dump(&self) -> String {
        let v2 = self.server.superuser("mutt_db").await;
        let sql = "SELECT (SELECT string_agg(t::text, '|' ORDER BY id) FROM public.alert_rules t)
            || (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM public.event_audit_log t)";
        v2.query_one(sql, &[]).await.unwrap().get(0)
    }

    fn database(&self) -> String {
        let url = self.server.options().url;
        url.replace("mutt@", "postgres@").replace("/mutt", "/mutt_db")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration with SQLite and the embedded queue.
    fn embedded(&self) -> String {
        let text = format!("data_dir = \"{}\"\n", self.path("data").display());
        self.write("mutt.toml", &text)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// Runs it; the exit code and the report.
    fn import(&self, args: &[&str]) -> (i32, Value) {
        let Output { status, stdout, stderr } = self.run(args);
        let words = String::from_utf8(stdout).unwrap();
        let report = serde_json::from_str(&words).unwrap_or_else(|why| {
            panic!("{why}: {words}{}", String::from_utf8_lossy(&stderr));
        });
        (status.code().unwrap(), report)
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muttctl"));
        command.args(["import", "v2", "--json"]).args(args);
        command.current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path("data").join("mutt.db"), SqliteOptions::default()).unwrap()
    }

    fn queue(&self) -> EmbeddedQueue {
        let dir = self.path("data").join("queue");
        EmbeddedQueue::open(&dir, QueueOptions::default(), Clock::System).unwrap()
    }
}

fn numbers(report: &Value, what: &str) -> [u64; 4] {
    let count = &report["counts"][what];
    ["found", "there", "taken", "refused"].map(|name| count[name].as_u64().unwrap())
}

fn notes(report: &Value) -> String {
    report["notes"].to_string()
}

#[tokio::test]
async fn the_tables_come_over_once_and_a_dry_run_changes_nothing() {
    let site = Site::new().await;
    let (config, database) = (site.embedded(), site.database());
    let before = site.dump().await;
    let args = ["--config", &config, "--database", &database];
    let (exit, report) = site.import(&args);
    assert_eq!((exit, &report["applied"]), (0, &json!(false)), "{report}");
    assert_eq!(numbers(&report, "alert_rules"), [5, 0, 5, 0]);
    assert_eq!(numbers(&report, "event_audit_log"), [AUDITED - 1, 0, AUDITED - 1, 0]);
    assert!(!site.path("data").exists(), "a dry run makes nothing");
    assert!(notes(&report).contains("config_audit_log: 4 rows stay in v2's database"), "{report}");
    let old =
        "store.retention.handled is 90d and the oldest imported event is of 2024-02-29T12:00:00";
    assert!(notes(&report).contains(old), "{report}");

    let args = ["--config", &config, "--database", &database, "--apply"];
    let (exit, report) = site.import(&args);
    assert_eq!((exit, &report["applied"]), (0, &json!(true)), "{report}");
    assert_eq!(numbers(&report, "alert_rules"), [5, 0, 5, 0]);
    assert_eq!(numbers(&report, "development_hosts"), [3, 0, 3, 0]);
    assert_eq!(numbers(&report, "device_teams"), [4, 0, 4, 0]);
    assert_eq!(numbers(&report, "event_audit_log"), [AUDITED - 1, 0, AUDITED - 1, 0]);
    assert_eq!(numbers(&report, "event_audit_log_archive"), [1, 0, 1, 0]);
    assert!(notes(&report).contains(old), "{report}");
    let (exit, again) = site.import(&args);
    assert_eq!(exit, 0, "{again}");
    assert_eq!(numbers(&again, "alert_rules"), [5, 5, 0, 0]);
    assert_eq!(numbers(&again, "event_audit_log"), [AUDITED - 1, AUDITED - 1, 0, 0]);
    assert_eq!(numbers(&again, "event_audit_log_archive"), [1, 1, 0, 0]);
    assert_eq!(site.dump().await, before);

    stands(&site.store()).await;
    // More that v2 wrote since comes over alone.
    site.sql(
        "INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id,
        handling_decision) VALUES ('2025-11-11 10:00Z', 'edge-r1', 1, 'Page_and_ticket')",
    )
    .await;
    let (_, more) = site.import(&args);
    assert_eq!(numbers(&more, "event_audit_log"), [AUDITED, AUDITED - 1, 1, 0]);
}

/// What the first import left.
async fn stands(store: &SqliteStore) {
    let set = store.rule_set(None).await.unwrap();
    let oid = set.rules.iter().find(|rule| rule.match_type == MatchType::OidPrefix).unwrap();
    assert_eq!(oid.trap_oid.as_deref(), Some("1.3.6.1.4.1.9.9.41.2"));
    assert_eq!((oid.priority, oid.prod_handling.clone()), (15, Handling::PageAndTicket));
    assert!(set.dev_hosts.contains("dev-router1"));
    assert_eq!(set.teams["server1.prod.example.com"], "SysAdmin");

    let query = EventQuery { host: Some("dev-router1".to_owned()), ..EventQuery::default() };
    let page = store.events(&query, 10, None).await.unwrap();
    let row = &page.items[0];
    let at = Timestamp::parse_rfc3339("2025-11-10T10:00:00.123456Z").unwrap();
    assert_eq!(row.event.received_at, at);
    let judged = (row.judgement.decision.clone(), row.judgement.environment);
    assert_eq!(judged, (Some(Handling::Ignore), Environment::Dev));

    let link = set.rules.iter().find(|rule| rule.match_string.as_deref() == Some("LINK-DOWN"));
    let query = EventQuery { rule: Some(link.unwrap().id), ..EventQuery::default() };
    assert_eq!(store.events(&query, 1_000, None).await.unwrap().items.len(), 700);
    let ledger = store.ledger(&mutt_store::queue::QueueStats::default()).await.unwrap();
    assert_eq!((ledger.events.audited, ledger.events.unaccounted), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_and_the_exit_code_says_so() {
    let site = Site::new().await;
    site.sql(
        "INSERT INTO alert_rules (match_string, match_type, prod_handling, dev_handling,
            team_assignment) VALUES ('(unclosed', 'regex', 'Page_only', 'Email_only', 'NETO');
        INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id,
            handling_decision) VALUES ('2099-01-05Z', 'future-r1', 6, 'Page_only'),
            ('2025-11-12Z', 'edge-r9', 6, 'Page_only')",
    )
    .await;
    let (config, database) = (site.embedded(), site.database());
    let args = ["--config", &config, "--database", &database, "--apply"];
    let (exit, report) = site.import(&args);
    assert_eq!(exit, 1);
    let refused = report["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!((&refused[0]["what"], &refused[0]["item"]), (&json!("alert_rules"), &json!("6")));
    assert!(refused[1]["why"].as_str().unwrap().contains("the future"), "{refused:?}");
    assert!(report["notes"].to_string().contains("Email_only"));

    let store = site.store();
    let set = store.rule_set(None).await.unwrap();
    let kept = set.rules.iter().find(|r| r.match_string.as_deref() == Some("(unclosed")).unwrap();
    assert!(!kept.is_active);
    let query = EventQuery { rule: Some(kept.id), ..EventQuery::default() };
    assert_eq!(store.events(&query, 10, None).await.unwrap().items.len(), 1);
    drop(store);
    let (exit, again) = site.import(&args);
    assert_eq!((exit, numbers(&again, "alert_rules")), (1, [6, 6, 0, 1]));
}

#[tokio::test]
async fn a_table_that_is_too_long_is_refused_whole_before_anything_is_changed() {
    let site = Site::new().await;
    site.sql("INSERT INTO development_hosts SELECT 'lab-' || n FROM generate_series(1, 100000) n")
        .await;
    let (config, database) = (site.embedded(), site.database());
    let said = site.run(&["--config", &config, "--database", &database, "--apply"]);
    assert_eq!(said.status.code(), Some(1));
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(words.contains("development_hosts has more than 100000 rows"), "{words}");
    assert_eq!(site.store().rule_set(None).await.unwrap().rules, []);
}

fn push(redis: &RedisServer, list: &str, item: &Value) {
    redis.command(&["LPUSH", list, &item.to_string()]);
}

fn event(message: &str) -> Value {
    json!({ "hostname": "edge-r1", "message": message, "timestamp": "2025-11-10T10:00:00Z",
        "_correlation_id": format!("id of {message}") })
}

fn fill(redis: &RedisServer) {
    let plain: Vec<String> = (0..620).map(|n| event(&format!("plain {n}")).to_string()).collect();
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    redis.command(&[&["LPUSH", "mutt:ingest_queue"], &plain[..]].concat());
    let mut retried = event("retried");
    retried["_retry_count"] = json!(2);
    push(redis, "mutt:ingest_queue", &retried);
    push(redis, "mutt:processing:alerter:alerter-0a1b2c", &event("in work"));
    let mut shed = event("shed");
    shed["shedding_reason"] = json!("queue_depth_exceeded:2001>2000");
    push(redis, "mutt:dlq:alerter", &shed);
    let mut poison = event("poison");
    poison["_retry_count"] = json!(4);
    push(redis, "mutt:dlq:alerter", &poison);
    push(redis, "mutt:dlq:dead", &event("dead"));
    let alert = |message: &str, retries: u64| {
        json!({ "api_key": KEY, "hostname": "edge-r1", "team_assignment": "NetOps",
            "severity": "Warning", "message_body": message, "raw_json": event(message),
            "_correlation_id": "c", "_moog_retry_count": retries })
    };
    push(redis, "mutt:alert_queue", &alert("waiting alert", 1));
    push(redis, "mutt:dlq:moog", &alert("dead alert", 6));
    redis.command(&["LPUSH", "mutt:ingest_queue", "[1,2]"]);
    redis.command(&["SET", "mutt:config:unhandled_threshold", "70"]);
}

/// The messages of all events in the queue, with their fields, and every byte of it.
async fn queued(site: &Site) -> (Vec<(String, String)>, String) {
    let queue = site.queue();
    let ttl = std::time::Duration::from_secs(60);
    let lease = queue.lease(0, "test", ttl).await.unwrap().unwrap();
    let (mut events, mut bytes) = (Vec::new(), String::new());
    loop {
        let wait = std::time::Duration::from_millis(200);
        let claimed = queue.claim(lease, 100, wait).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        for claimed in claimed {
            bytes.push_str(&String::from_utf8_lossy(claimed.batch.as_bytes()));
            for event in &claimed.batch {
                let event = event.unwrap();
                let fields = event.fields.unwrap_or_default().into_owned();
                events.push((event.message.into_owned(), fields));
            }
        }
    }
    queue.close().await;
    (events, bytes)
}

#[tokio::test]
async fn the_lists_are_drained_once_in_order_and_without_secrets() {
    let site = Site::new().await;
    let redis = RedisServer::durable();
    fill(&redis);
    let url = format!("unix://{}", redis.socket().display());
    let config = site.embedded();
    let dry = ["--config", config.as_str(), "--redis", &url];
    let (exit, report) = site.import(&dry);
    assert_eq!((exit, numbers(&report, "mutt:ingest_queue")), (1, [622, 0, 621, 1]), "{report}");
    assert_eq!(report["settings"][0]["key"], "alerter.unhandled_threshold", "{report}");
    assert_eq!(redis.command(&["LLEN", "mutt:ingest_queue"]), "622");
    assert_eq!(redis.command(&["KEYS", "mutt:import:*"]), "");

    // An import that died had moved the oldest item and nothing else.
    let staged = "mutt:import:v2:staged:mutt:ingest_queue";
    redis.command(&["RPOPLPUSH", "mutt:ingest_queue", staged]);
    let apply = ["--config", config.as_str(), "--redis", &url, "--apply"];
    let (exit, report) = site.import(&apply);
    assert_eq!((exit, numbers(&report, "mutt:ingest_queue")), (1, [622, 0, 621, 1]), "{report}");
    assert_eq!(numbers(&report, "mutt:dlq:alerter"), [2, 0, 2, 0]);
    assert!(!report.to_string().contains(KEY));
    let left = redis.command(&["KEYS", "*"]);
    let gone = |key: &str| {
        let list = ["mutt:ingest_queue", "mutt:alert_queue"].contains(&key);
        list || ["mutt:dlq:", "mutt:processing:"].iter().any(|start| key.starts_with(start))
    };
    assert!(!left.lines().any(gone), "{left}");
    assert!(!left.contains(":staged:") && !left.contains(":lock:"), "{left}");
    let refused = "mutt:import:v2:refused:mutt:ingest_queue";
    assert_eq!(redis.command(&["LRANGE", refused, "0", "-1"]), "[1,2]");

    let (events, bytes) = queued(&site).await;
    assert_eq!(events.len(), 627);
    let plain: Vec<&str> = events.iter().map(|(message, _)| message.as_str()).collect();
    let plain: Vec<&str> = plain.into_iter().filter(|m| m.starts_with("plain")).collect();
    assert_eq!((plain.len(), plain[0], plain[619]), (620, "plain 0", "plain 619"));
    let fields = |message: &str| &events.iter().find(|(m, _)| m == message).unwrap().1;
    assert!(fields("retried").contains("\"_retry_count\":2"));
    assert!(fields("poison").contains("\"_retry_count\":4"));
    assert!(fields("shed").contains("queue_depth_exceeded:2001>2000"));
    assert!(fields("dead alert").contains("\"retry_count\":6"));
    assert!(!bytes.contains(KEY) && !bytes.contains("api_key"));

    let (exit, again) = site.import(&apply);
    assert_eq!((exit, numbers(&again, "mutt:ingest_queue")), (1, [622, 621, 0, 1]), "{again}");
    assert_eq!(queued(&site).await.0.len(), 627);
}

#[tokio::test]
async fn nothing_is_drained_while_v2_or_this_mutt_runs() {
    let site = Site::new().await;
    let redis = RedisServer::durable();
    push(&redis, "mutt:ingest_queue", &event("one"));
    let url = format!("unix://{}", redis.socket().display());
    let config = site.embedded();
    let apply = ["--config", config.as_str(), "--redis", &url, "--apply"];
    redis.command(&["SET", "mutt:heartbeat:alerter:alerter-1", "alive"]);
    let said = site.run(&apply);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("v2 still runs"));
    redis.command(&["DEL", "mutt:heartbeat:alerter:alerter-1"]);

    let running = site.queue();
    let said = site.run(&apply);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("MUTT-S003"));
    running.close().await;
    assert_eq!(redis.command(&["LLEN", "mutt:ingest_queue"]), "1");
}

#[tokio::test]
async fn a_site_on_postgresql_gets_partitions_for_the_past_and_redis_gets_the_events() {
    let site = Site::new().await;
    let redis = RedisServer::durable();
    fill(&redis);
    let url = format!("unix://{}", redis.socket().display());
    let store = site.server.options().url;
    let text = format!(
        "data_dir = \"{}\"\n[store]\nurl = \"{store}\"\nowner = {{ user = \"mutt_owner\" }}\n\
         [queue]\nurl = \"{url}\"\n",
        site.path("data").display()
    );
    let config = site.write("mutt.toml", &text);
    let migrated = Command::new(env!("CARGO_BIN_EXE_muttctl"))
        .args(["db", "migrate", "--config", &config])
        .env_clear()
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let database = site.database();
    let args = ["--config", config.as_str(), "--database", &database, "--redis", &url, "--apply"];
    let (exit, report) = site.import(&args);
    assert_eq!((exit, numbers(&report, "mutt:ingest_queue")), (1, [622, 0, 621, 1]), "{report}");
    assert_eq!(numbers(&report, "event_audit_log"), [AUDITED - 1, 0, AUDITED - 1, 0]);
    let (_, again) = site.import(&args);
    assert_eq!(numbers(&again, "event_audit_log"), [AUDITED - 1, AUDITED - 1, 0, 0]);

    let here = site.server.superuser("mutt").await;
    let sql = "SELECT count(*) FROM mutt.audit";
    let rows: i64 = here.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(u64::try_from(rows).unwrap(), AUDITED);
    let verified = Command::new(env!("CARGO_BIN_EXE_muttctl"))
        .args(["audit", "verify", "--config", &config])
        .env_clear()
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
