//! A web service over a real store with a hand-moved clock, and requests against it in process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mutt_model::alert::{Repeat, SinkRoute};
use mutt_model::delivery::{Attempt, DeadReason, Finished, Next, Outcome};
use mutt_model::rule::{Handling, Rule};
use mutt_model::{BatchBuilder, Clock, Event, IdSource, Secret, Severity, Source, Timestamp};
use mutt_rules::{CompileOptions, CompiledRules, Scratch, judge};
use mutt_store::queue::QueueStats;
use mutt_store::sqlite::{SqliteOptions, SqliteStore};
use mutt_store::store::{
    Actor, CommitPolicy, CommitStore as _, CommitWork, DeliveryStore as _, JudgedBatch, LaneReport,
    RuleChange, RuleStore as _, Settings,
};
use mutt_web::{
    BackupDone, HookError, KeyState, Notice, Program, Role, ServiceHealth, SinkTest, Token,
    WebParts, WebState,
};
use serde_json::Value;
use tower::ServiceExt as _;

/// One request that was observed: endpoint, method, status.
pub(crate) type Observed = (String, String, u16);

#[derive(Debug)]
pub(crate) struct TestProgram {
    pub(crate) archives: std::path::PathBuf,
    pub(crate) tokens: Mutex<Arc<[Token]>>,
    pub(crate) queue: Mutex<QueueStats>,
    pub(crate) observed: Mutex<Vec<Observed>>,
    pub(crate) changed: Mutex<Vec<i64>>,
}

pub(crate) fn token(role: Role) -> String {
    format!("{}-token-0123456789", role.name())
}

fn tokens() -> Arc<[Token]> {
    let token = |role: Role| Token {
        name: format!("the-{}", role.name()),
        role,
        secret: Secret::new(token(role)),
    };
    Role::ALL.map(token).into()
}

#[async_trait]
impl Program for TestProgram {
    fn tokens(&self) -> Arc<[Token]> {
        Arc::clone(&self.tokens.lock().unwrap())
    }
    async fn queue(&self) -> QueueStats {
        self.queue.lock().unwrap().clone()
    }
    fn config(&self) -> Value {
        serde_json::json!({
            "data_dir": "/var/lib/mutt", "sinks": {"moog": {"auth": "***"}},
            "store": {"archive": {"dir": self.archives}},
        })
    }
    fn keys(&self, settings: Option<&Settings>) -> Vec<KeyState> {
        let of = |(name, apply, role): (&str, &str, Option<Role>)| {
            let setting = settings.and_then(|s| s.values.get(name).cloned());
            KeyState {
                key: name.to_owned(),
                value: setting.clone().unwrap_or_else(|| "info".to_owned()).into(),
                default: Some("info".to_owned()),
                source: if setting.is_some() { "setting" } else { "default" }.to_owned(),
                apply: apply.to_owned(),
                range: "text".to_owned(),
                unit: "text".to_owned(),
                role,
                what: "What it does.".to_owned(),
                setting,
                ignored: None,
            }
        };
        let live = [("log.level", Role::Operator), ("alerter.default_team", Role::Admin)];
        let live = live.map(|(name, role)| (name, "live", Some(role)));
        live.into_iter().chain([("queue.url", "restart", None)]).map(of).collect()
    }
    fn check_setting(
        &self,
        key: &str,
        value: Option<&str>,
        _: &Settings,
    ) -> Result<Role, HookError> {
        let known = self.keys(None).into_iter().find(|known| known.key == key);
        let known = known.ok_or_else(|| HookError::NotFound(format!("there is no key `{key}`")))?;
        let role = known.role.ok_or_else(|| HookError::Bad("restart the service".to_owned()))?;
        match value {
            Some("wrong") => Err(HookError::Bad("`wrong` is not allowed".to_owned())),
            _ => Ok(role),
        }
    }
    fn earlier_keys(&self) -> Vec<(String, &'static str)> {
        vec![
            ("default_team".to_owned(), "alerter.default_team"),
            ("gone".to_owned(), "not.live.here"),
        ]
    }
    fn earlier_setting(&self, name: &str, value: &str) -> Option<(&'static str, String)> {
        (name == "default_team").then(|| ("alerter.default_team", format!("team {value}")))
    }
    fn sinks(&self) -> Vec<SinkRoute> {
        let route = |name: &str, repeat| SinkRoute {
            name: name.to_owned(),
            teams: vec![],
            decisions: vec![],
            environments: vec![],
            repeat,
        };
        vec![
            route("moog", Repeat::Every),
            route("pager", Repeat::Changes { interval: Duration::from_secs(3600) }),
        ]
    }
    fn default_team(&self) -> String {
        "NETO".to_owned()
    }
    fn services(&self) -> Vec<ServiceHealth> {
        ["ingestor", "alerter", "moog-forwarder", "remediation", "web-ui"]
            .map(|name| ServiceHealth {
                name: name.to_owned(),
                ready: true,
                state: "running".to_owned(),
                since: None,
                detail: None,
            })
            .into()
    }
    fn notices(&self) -> Vec<Notice> {
        vec![]
    }
    fn rules_changed(&self, version: i64) {
        self.changed.lock().unwrap().push(version);
    }
    fn observe(&self, endpoint: &str, method: &str, status: u16, _: Duration) {
        self.observed.lock().unwrap().push((endpoint.to_owned(), method.to_owned(), status));
    }
    async fn test_sink(&self, name: &str) -> Result<SinkTest, HookError> {
        if name == "moog" {
            return Ok(SinkTest {
                ok: true,
                status: Some(200),
                latency_ms: 12,
                detail: "accepted".to_owned(),
            });
        }
        Err(HookError::NotFound(format!("there is no sink {name}")))
    }
    async fn backup(&self, file: &str) -> Result<BackupDone, HookError> {
        if file.contains("..") {
            return Err(HookError::Bad("the file must lie in the backups folder".to_owned()));
        }
        Ok(BackupDone { file: format!("/var/lib/mutt/backups/{file}"), bytes: 4096 })
    }
    async fn restore(&self, file: &str) -> Result<BackupDone, HookError> {
        self.backup(file).await
    }
}

/// The service, and what a test needs to move it.
pub(crate) struct World {
    pub(crate) app: Router,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) program: Arc<TestProgram>,
    pub(crate) clock: Clock,
    pub(crate) stop: tokio::sync::watch::Sender<bool>,
    ids: Mutex<IdSource>,
    _dir: tempfile::TempDir,
}

pub(crate) const START: Timestamp = Timestamp::from_secs(1_780_000_000);

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Clock::manual(START))
    }

    pub(crate) fn with(clock: Clock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            SqliteOptions { clock: clock.clone(), id_seed: Some(7), ..SqliteOptions::default() };
        let store = Arc::new(SqliteStore::open(&dir.path().join("store.db"), options).unwrap());
        let program = Arc::new(TestProgram {
            archives: dir.path().join("archives"),
            tokens: Mutex::new(tokens()),
            queue: Mutex::default(),
            observed: Mutex::default(),
            changed: Mutex::default(),
        });
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let state = WebState::new(WebParts {
            store: Arc::clone(&store) as _,
            program: Arc::clone(&program) as _,
            clock: clock.clone(),
            version: "3.0.0".to_owned(),
            secure: false,
            stop: stopped,
        })
        .unwrap();
        let app = mutt_web::router(state);
        let ids = Mutex::new(IdSource::new(11));
        Self { app, store, program, clock, stop, ids, _dir: dir }
    }

    /// Stores rules: anything with `down` pages, `up` clears, `flap` makes a ticket.
    pub(crate) async fn rules(&self) {
        let mut down = Rule::contains("down", Handling::PageAndTicket);
        (down.name, down.problem) = (Some("link down".to_owned()), Some("link-down".to_owned()));
        let mut flap = Rule::contains("flap", Handling::TicketOnly);
        (flap.name, flap.priority) = (Some("flapping".to_owned()), 50);
        let actor = Actor { name: "test".to_owned(), reason: None };
        let first = RuleChange::First(vec![down, flap]);
        self.store.change_rules(first, None, &actor, self.clock.wall()).await.unwrap();
    }

    /// An event as it would come by syslog, now.
    pub(crate) fn event(&self, host: &str, severity: Severity, message: &str) -> Event<'static> {
        let now = self.clock.wall();
        let id = self.ids.lock().unwrap().next(now);
        let raw = format!("<187>{host} {message}").into_bytes();
        let mut event =
            Event::from_raw(id, now, Source::Syslog, "syslog-udp", "192.0.2.7:514", &raw)
                .into_owned();
        event.host = host.to_owned().into();
        event.severity = Some(severity);
        event.facility = Some(23);
        event.app = Some("rpd".into());
        event.message = message.replace('\0', "\u{fffd}").into();
        event.parse.format = "rfc3164".into();
        event
    }

    /// Judges and commits events as the Alerter does.
    pub(crate) async fn commit(&self, events: &[Event<'static>]) {
        let set = self.store.rule_set(None).await.unwrap();
        let options = CompileOptions { default_team: "NETO".to_owned() };
        let rules = CompiledRules::compile(&set, &options).unwrap();
        let mut scratch = Scratch::new();
        let now = self.clock.wall();
        for chunk in events.chunks(500) {
            let mut builder = BatchBuilder::new(self.ids.lock().unwrap().next(now), 0);
            for event in chunk {
                builder.push(event);
            }
            let verdicts =
                chunk.iter().map(|event| Some(judge(&rules, event, &mut scratch))).collect();
            let work = CommitWork {
                shard: 0,
                generation: 1,
                ruleset: set.version,
                batches: vec![JudgedBatch {
                    batch: Arc::new(builder.finish()),
                    verdicts,
                    first: false,
                }],
                policy: Arc::new(CommitPolicy {
                    unhandled_threshold: 0,
                    unhandled_window: Duration::from_secs(86_400),
                    default_team: "NETO".to_owned(),
                    sinks: self.program.sinks(),
                }),
                now,
            };
            self.store.commit(work).await.unwrap();
        }
        let mut queue = self.program.queue.lock().unwrap();
        queue.appended_events += events.len() as u64;
        queue.acknowledged_events += events.len() as u64;
        queue.dropped = BTreeMap::new();
    }

    /// Lets a sink refuse its first waiting delivery for good.
    pub(crate) async fn kill_one(&self, sink: &str) {
        let now = self.clock.wall();
        let names = ["moog".to_owned(), "pager".to_owned()];
        self.store.declare_sinks(&names).await.unwrap();
        let ttl = Duration::from_secs(60);
        let lease = self.store.lease_sink(sink, "forwarder-1", ttl, false).await.unwrap().unwrap();
        let due = self.store.take_due(&lease, 1, false, now).await.unwrap();
        let attempt = Attempt {
            at: now,
            outcome: Outcome::Poison,
            status: Some(422),
            latency_ms: 31,
            class: "http".to_owned(),
            detail: "<b>unprocessable</b>".to_owned(),
        };
        let dead = Next::Dead(DeadReason::Refused);
        let finished = Finished { delivery: due[0].id, attempt, next: dead };
        let report = LaneReport { breaker: "closed".to_owned() };
        self.store.finish(&lease, vec![finished], report).await.unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    /// A request with a role's token; the answer's status and JSON.
    pub(crate) async fn call(
        &self,
        role: Role,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", token(role)));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self.send(request.body(body).unwrap()).await;
        let status = response.status();
        let text = text_of(response).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// An admin's request that may name a tag: status, the answer's tag, its JSON.
    pub(crate) async fn tagged(
        &self,
        method: &str,
        path: &str,
        if_match: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, String, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", token(Role::Admin)));
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self.send(request.body(body).unwrap()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let tag = headers.get("etag").map_or("", |tag| tag.to_str().unwrap()).to_owned();
        let text = text_of(response).await;
        (status, tag, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A page as a role sees it.
    pub(crate) async fn page(&self, role: Role, path: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .uri(path)
            .header("authorization", format!("Bearer {}", token(role)))
            .body(Body::empty())
            .unwrap();
        let response = self.send(request).await;
        (response.status(), text_of(response).await)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Role::Viewer, "GET", path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}

pub(crate) async fn text_of(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
