//! A whole site: a PostgreSQL, a Redis that syncs, and the five services as processes of their own,
//! any number of each, with their own data directories and ports.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use mutt_model::batch::decode_body;
use mutt_model::ledger::Ledger;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::Runtime;
use tokio_postgres::Client as Sql;

use super::http::{Answer, Client};
use super::program::{MUTTCTL, Program, Setup};
use super::wait::{LONG, within};
use super::{Audit, tools};
use crate::postgres_server::Server;
use crate::redis_server::RedisServer;

/// What a sender shows.
pub(crate) const INGEST_KEY: &str = "a-key-of-the-whole-site";
/// What an administrator shows.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-of-the-whole-site";
/// Each service once, in flow order.
pub(crate) const SERVICES: [&str; 5] =
    ["ingestor", "alerter", "moog-forwarder", "remediation", "web-ui"];

/// A process of the site, also while it does not run.
struct Member {
    service: String,
    setup: Setup,
    program: Option<Program>,
}

/// Processes that stand still (SIGSTOP) and go on (SIGCONT) when this is dropped.
pub(crate) struct Halted(Vec<Pid>);

impl Halted {
    fn these(ids: Vec<u32>) -> Self {
        let ids = ids.into_iter().map(|id| Pid::from_raw(i32::try_from(id).unwrap())).collect();
        let halted = Self(ids);
        halted.signal(Signal::SIGSTOP);
        halted
    }

    fn signal(&self, signal: Signal) {
        for id in &self.0 {
            // A child of a server may have ended by itself.
            let _ = kill(*id, signal);
        }
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

/// See the module. Names of processes: the service, or the service, a dash and what tells it from the
/// others (`alerter-2`).
pub(crate) struct Site {
    // Processes end before the servers do.
    members: BTreeMap<String, Member>,
    /// Lines that every process gets, by section.
    sections: Vec<(String, String)>,
    /// Where the services find PostgreSQL.
    url: String,
    folder: tempfile::TempDir,
    /// The ingest key, as the configuration names it; a file of each process unless a test says otherwise.
    ingest_key: Option<String>,
    pub(crate) redis: RedisServer,
    pub(crate) postgres: Server,
    sql: OnceLock<Mutex<Option<Sql>>>,
    runtime: Runtime,
}

#[allow(dead_code, reason = "crash tests use more of it")]
impl Site {
    /// Both servers, the schema, no process yet. The services work as the role `mutt`.
    pub(crate) fn new() -> Self {
        let site = Self::bare();
        site.migrate();
        site
    }

    /// As [`Site::new`], without the schema.
    pub(crate) fn bare() -> Self {
        Self::bare_as("mutt", "")
    }

    /// Without the schema; the services work as this role, which is made with these options besides
    /// where it is not `mutt`.
    pub(crate) fn bare_as(role: &str, options: &str) -> Self {
        Self::made(role, options, None)
    }

    /// As [`Site::new`], with the tables of PostgreSQL in this folder, its WAL elsewhere.
    pub(crate) fn on(tables: &Path) -> Self {
        let site = Self::made("mutt", "", Some(tables));
        site.migrate();
        site
    }

    fn made(role: &str, options: &str, tables: Option<&Path>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // Production's durability: without it the services refuse the server.
        let settings = ["fsync=on", "max_connections=200"];
        let postgres = runtime.block_on(Server::bare_on(tables, &settings));
        let site = Self {
            members: BTreeMap::new(),
            sections: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            ingest_key: None,
            url: postgres.url(role),
            redis: RedisServer::durable(),
            postgres,
            sql: OnceLock::new(),
            runtime,
        };
        if role != "mutt" {
            site.execute(&format!("CREATE ROLE {role} LOGIN {options}"));
        }
        site
    }

    /// Adds lines to the configuration of every process that is added afterwards.
    pub(crate) fn configure(&mut self, section: &str, lines: &str) -> &mut Self {
        self.sections.push((section.to_owned(), lines.to_owned()));
        self
    }

    /// Another way to PostgreSQL for every process that is added afterwards.
    pub(crate) fn store_url(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// A folder that is removed with the site.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another place of the ingest key for every process that is added afterwards.
    pub(crate) fn ingest_key(&mut self, place: &str) {
        self.ingest_key = Some(place.to_owned());
    }

    /// A webhook for all.
    pub(crate) fn webhook(&mut self, name: &str, url: &str, lines: &str) -> &mut Self {
        let lines = format!("kind = \"webhook\"\nurl = \"{url}\"\n{lines}");
        self.configure(&format!("sinks.{name}"), &lines)
    }

    /// The configuration of one process.
    pub(crate) fn setup(&self, service: &str) -> Setup {
        let mut setup = Setup::new();
        std::fs::create_dir_all(setup.data_dir()).unwrap();
        // Where the tests look for them, too.
        let secret = |name: &str, value: &str| {
            let path = setup.data_dir().join(name);
            std::fs::write(&path, value).unwrap();
            path
        };
        let (key, token) = (secret("ingest-key", INGEST_KEY), secret("admin-token", ADMIN_TOKEN));
        let key = self.ingest_key.clone().unwrap_or_else(|| format!("{{ file = {key:?} }}"));
        let redis = self.redis.socket();
        setup
            .set("queue", &format!("url = \"unix://{}\"", redis.display()))
            .set("store", &format!("url = \"{}\"", self.url))
            .set("store.owner", "user = \"mutt_owner\"")
            .set(
                "ingestor.http",
                &format!("keys = [{{ name = \"test\", key = {key} }}]"),
            )
            .set(
                "web_ui",
                &format!(
                    "tokens = [{{ name = \"admin\", role = \"admin\", token = {{ file = {token:?} }} }}]"
                ),
            );
        for (section, lines) in &self.sections {
            setup.set(section, lines);
        }
        setup.only(Some(service));
        setup
    }

    /// `muttctl db migrate`
    #[track_caller]
    pub(crate) fn migrate(&self) {
        let setup = self.setup("web-ui");
        let mut command = Command::new(MUTTCTL);
        command.args(["db", "migrate", "--config"]).arg(setup.write());
        tools::run(&mut command);
    }

    /// `muttctl doctor` where the Web UI runs.
    pub(crate) fn doctor(&self) -> String {
        let mut command = self.asking(&["doctor"]);
        command.arg("--config").arg(self.members["web-ui"].setup.write());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// `muttctl` against the API of the Web UI, as an administrator; it must succeed.
    #[track_caller]
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.asking(words).output().unwrap();
        assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn asking(&self, words: &[&str]) -> Command {
        let program = self.program("web-ui");
        let mut command = Command::new(MUTTCTL);
        command.args(words).args(["--url", &format!("http://{}", program.pages())]);
        command.arg("--token-file").arg(program.data_dir().join("admin-token"));
        command
    }

    /// `muttctl` with the configuration of the Web UI.
    pub(crate) fn muttctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new(MUTTCTL);
        command.args(words).arg("--config").arg(self.members["web-ui"].setup.write());
        command.output().unwrap()
    }

    /// Starts a process of this name, made now or stopped before, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&mut self, name: &str) -> &Program {
        self.start_with(name, None)
    }

    /// As [`Site::start`], with an armed fail point.
    #[track_caller]
    pub(crate) fn start_with(&mut self, name: &str, failpoint: Option<&str>) -> &Program {
        self.prepare(name);
        let member = self.members.get_mut(name).unwrap();
        assert!(member.program.is_none(), "{name} runs already");
        member.program.insert(member.setup.start_with(failpoint))
    }

    /// A process of this name that does not run yet, made now unless it was: its configuration.
    #[track_caller]
    pub(crate) fn prepare(&mut self, name: &str) -> &mut Setup {
        let service = SERVICES.iter().find(|service| name.starts_with(*service));
        let service = service.unwrap_or_else(|| panic!("`{name}` begins with no service's name"));
        if !self.members.contains_key(name) {
            let setup = self.setup(service);
            let member = Member { service: (*service).to_owned(), setup, program: None };
            self.members.insert(name.to_owned(), member);
        }
        self.setup_of(name)
    }

    /// Starts each of these.
    #[track_caller]
    pub(crate) fn start_all(&mut self, names: &[&str]) {
        for name in names {
            self.start(name);
        }
    }

    /// The running process of this name.
    #[track_caller]
    pub(crate) fn program(&self, name: &str) -> &Program {
        let program = self.members.get(name).and_then(|member| member.program.as_ref());
        program.unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// To change the configuration of a process before it is started again.
    #[track_caller]
    pub(crate) fn setup_of(&mut self, name: &str) -> &mut Setup {
        &mut self.members.get_mut(name).unwrap().setup
    }

    /// The running process of this name, for a test that sees it die.
    #[track_caller]
    pub(crate) fn take(&mut self, name: &str) -> Program {
        let program = self.members.get_mut(name).and_then(|member| member.program.take());
        program.unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Gives a process back that was taken.
    pub(crate) fn put(&mut self, name: &str, program: Program) {
        self.members.get_mut(name).unwrap().program = Some(program);
    }

    /// `kill -9`
    #[track_caller]
    pub(crate) fn kill(&mut self, name: &str) {
        self.take(name).kill();
    }

    /// SIGTERM; it must end well. Gives its log.
    #[track_caller]
    pub(crate) fn stop(&mut self, name: &str) -> String {
        self.take(name).stop().log
    }

    /// `kill -9`, and started again.
    #[track_caller]
    pub(crate) fn restart(&mut self, name: &str) -> &Program {
        self.kill(name);
        self.start(name)
    }

    /// Waits until a process has died at its fail point.
    #[track_caller]
    pub(crate) fn dies_at(&mut self, name: &str, point: &str) {
        self.take(name).died(point);
    }

    /// Whether a process that was started has ended by itself.
    pub(crate) fn ended(&mut self, name: &str) -> bool {
        let program = self.members.get_mut(name).and_then(|member| member.program.as_mut());
        program.is_none_or(|program| program.process().poll().is_some())
    }

    /// Starts a process that dies at a fail point of its start, before it listens.
    #[track_caller]
    pub(crate) fn dies_at_start(&mut self, name: &str, point: &str) {
        let member = &self.members[name];
        assert!(member.program.is_none(), "{name} runs already");
        member.setup.spawn(Some(point)).died(point);
    }

    /// Halts a process until what is given back is dropped.
    #[must_use]
    pub(crate) fn halt(&self, name: &str) -> Halted {
        Halted::these(vec![self.program(name).id()])
    }

    /// Halts Redis until what is given back is dropped.
    #[must_use]
    pub(crate) fn halt_redis(&self) -> Halted {
        Halted::these(vec![self.redis.id()])
    }

    /// Halts PostgreSQL with all its children until what is given back is dropped.
    #[must_use]
    pub(crate) fn halt_postgres(&self) -> Halted {
        Halted::these(self.postgres.processes())
    }

    /// Which process owns which shard.
    pub(crate) fn owners(&self) -> Vec<u32> {
        let owner = |shard: i32| {
            let said = self.redis.command(&["HGET", &format!("{{mutt:{shard}}}:state"), "owner"]);
            said.split(':').nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0)
        };
        (0..8).map(owner).collect()
    }

    /// The names of what runs.
    pub(crate) fn running(&self) -> Vec<String> {
        let runs = self.members.iter().filter(|(_, member)| member.program.is_some());
        runs.map(|(name, _)| name.clone()).collect()
    }

    /// Stops all that runs, in flow order; each must end well.
    #[track_caller]
    pub(crate) fn stop_all(&mut self) {
        for service in SERVICES {
            for name in self.running() {
                if self.members[&name].service == service {
                    self.stop(&name);
                }
            }
        }
    }

    /// The server dies as in a crash.
    pub(crate) fn kill_postgres(&mut self) {
        self.forget_sql();
        self.runtime.block_on(self.postgres.kill());
    }

    /// Starts the server (again) on its data.
    pub(crate) fn start_postgres(&mut self) {
        self.runtime.block_on(self.postgres.start());
    }

    fn forget_sql(&mut self) {
        self.sql = OnceLock::new();
    }

    fn with_sql<T>(&self, ask: impl AsyncFnOnce(&Sql) -> T) -> T {
        let mut kept = self.sql.get_or_init(Mutex::default).lock().unwrap();
        self.runtime.block_on(async {
            if kept.as_ref().is_none_or(Sql::is_closed) {
                *kept = Some(self.postgres.superuser("mutt").await);
            }
            ask(kept.as_ref().unwrap()).await
        })
    }

    /// A statement as the server's superuser.
    #[track_caller]
    pub(crate) fn execute(&self, statement: &str) {
        let done = self.with_sql(async |sql| sql.batch_execute(statement).await);
        done.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    /// As [`Site::execute`], where it may be refused.
    pub(crate) fn try_execute(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        self.with_sql(async |sql| sql.batch_execute(statement).await)
    }

    /// How the server refuses a statement of this role.
    #[track_caller]
    pub(crate) fn refused(&self, role: &str, statement: &str) -> String {
        let done = self.runtime.block_on(async {
            let client = self.postgres.connect(role, "mutt").await.unwrap();
            client.batch_execute(statement).await
        });
        let error = done.expect_err(statement);
        error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned())
    }

    /// Whether the server lets the role in with this password.
    pub(crate) fn lets_in(&self, role: &str, password: &str) -> bool {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.postgres.folder()).user(role).dbname("mutt").password(password);
        self.runtime.block_on(config.connect(tokio_postgres::NoTls)).is_ok()
    }

    /// The number that a query gives.
    #[track_caller]
    pub(crate) fn count(&self, query: &str) -> i64 {
        let row = self.with_sql(async |sql| sql.query_one(query, &[]).await);
        row.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
    }

    /// The first column of each row, as text.
    #[track_caller]
    pub(crate) fn texts(&self, query: &str) -> Vec<String> {
        let rows = self.with_sql(async |sql| sql.query(query, &[]).await);
        let rows = rows.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Audited events, counted past the program.
    pub(crate) fn audited(&self) -> i64 {
        self.count("SELECT count(*) FROM mutt.audit")
    }

    /// What the tables hold, read past the program.
    pub(crate) fn audit(&self) -> Audit {
        let bodies = self.with_sql(async |sql| {
            sql.query("SELECT body FROM mutt.audit ORDER BY seq", &[]).await.unwrap()
        });
        let events = bodies
            .iter()
            .map(|row| decode_body(row.get::<_, &[u8]>(0)).unwrap().into_owned())
            .collect();
        let delivered = self.texts("SELECT id::text FROM mutt.deliveries WHERE state = 3");
        Audit { events, delivered }
    }

    /// POST /ingest at this Ingestor.
    pub(crate) fn ingest(&self, name: &str, body: &str) -> Answer {
        self.program(name).ingest(&[], body)
    }

    /// What a process says at `/health/ready`: the status, and the body as JSON.
    #[track_caller]
    pub(crate) fn readiness(&self, name: &str) -> (u16, serde_json::Value) {
        let address = self.program(name).health_of(&self.members[name].service);
        let headers = [("accept", "application/json")];
        let answer = Client::new(address).request("GET", "/health/ready", &headers, b"").unwrap();
        (answer.status, answer.json())
    }

    /// Waits until all that runs is ready.
    #[track_caller]
    pub(crate) fn ready(&self) {
        for name in self.running() {
            let mut last = None;
            let found = within(LONG, || {
                let said = self.readiness(&name);
                let ready = said.0 == 200;
                last = Some(said);
                ready.then_some(())
            });
            assert!(found.is_some(), "{name}: {last:?}\n{}", self.program(&name).log());
        }
    }

    /// Waits until nothing is under way, as the Web UI's ledger says, and gives the ledger.
    #[track_caller]
    pub(crate) fn at_rest(&self) -> Ledger {
        self.program("web-ui").at_rest()
    }
}
