//! The real program: `muttctl serve` with a data directory of its own and every listener on a free
//! port of loopback; it is ended by its process id only.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::http::{Api, Client};
use super::wait::{LONG, until, within};

/// The program that was built with the tests.
pub(crate) const MUTTCTL: &str = env!("CARGO_BIN_EXE_muttctl");

/// The program under test: the one that was just built, or the one that MUTT_TEST_PROGRAM names.
fn muttctl() -> PathBuf {
    let named = super::wait::env("MUTT_TEST_PROGRAM");
    named.map_or_else(|| PathBuf::from(MUTTCTL), PathBuf::from)
}

/// An address of loopback that no other test listens on: a sender that repeats what it sent to a dead
/// program must not be answered by the program of another test, which got the same port.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 16 + COUNT.fetch_add(1, Ordering::Relaxed) % 200, high, low)
}

/// How a program is started; the data outlives its runs.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: Arc<tempfile::TempDir>,
    data_dir: PathBuf,
    sections: BTreeMap<String, Vec<String>>,
    env: Vec<(String, String)>,
    only: Option<String>,
    through: Vec<String>,
    program: Option<PathBuf>,
}

impl Setup {
    /// Everything on loopback, an empty data directory, no sink.
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let data_dir = folder.path().join("data");
        let mut setup = Self {
            folder,
            data_dir,
            sections: BTreeMap::new(),
            env: Vec::new(),
            only: None,
            through: Vec::new(),
            program: None,
        };
        let any = format!("\"{}:0\"", own_address());
        for section in ["ingestor.http", "alerter", "moog_forwarder", "remediation", "web_ui"] {
            setup.set(section, &format!("listen = {any}"));
        }
        setup.set("ingestor.syslog", &format!("udp = [{any}]\ntcp = [{any}]"));
        setup.set("ingestor.snmp", &format!("udp = [{any}]"));
        setup.set("queue", "min_free = \"0B\"");
        setup
    }

    /// Adds lines to a section of the configuration; the nameless one stands above all.
    pub(crate) fn set(&mut self, section: &str, lines: &str) -> &mut Self {
        self.sections.entry(section.to_owned()).or_default().push(lines.to_owned());
        self
    }

    /// Adds a webhook.
    pub(crate) fn webhook(&mut self, name: &str, url: &str, lines: &str) -> &mut Self {
        let section = format!("sinks.{name}");
        self.set(&section, &format!("kind = \"webhook\"\nurl = \"{url}\"\n{lines}"))
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// These services only; none: all.
    pub(crate) fn only(&mut self, services: Option<&str>) -> &mut Self {
        self.only = services.map(ToOwned::to_owned);
        self
    }

    /// Starts it through another program, which must become it.
    pub(crate) fn through(&mut self, words: &[&str]) -> &mut Self {
        self.through = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Another program than the one under test, as one of another version; none: that one.
    pub(crate) fn program(&mut self, path: Option<&str>) -> &mut Self {
        self.program = path.map(PathBuf::from);
        self
    }

    /// Puts the data elsewhere.
    pub(crate) fn data_in(&mut self, dir: PathBuf) -> &mut Self {
        self.data_dir = dir;
        self
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A folder beside the data that is removed with the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration; a program that runs reads it with SIGHUP.
    pub(crate) fn write(&self) -> PathBuf {
        let mut text = format!("data_dir = {:?}\n", self.data_dir);
        for (section, lines) in &self.sections {
            let head = if section.is_empty() { String::new() } else { format!("[{section}]") };
            let _ = writeln!(text, "{head}\n{}", lines.join("\n"));
        }
        let path = self.folder.path().join("mutt.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Where the program says what it listens on.
    fn listeners(&self) -> PathBuf {
        self.data_dir.join(match &self.only {
            None => "listeners.json".to_owned(),
            Some(only) => format!("listeners-{}.json", only.replace(',', "-")),
        })
    }

    /// Starts a process and does not wait for it. `failpoint`: where it is to die.
    pub(crate) fn spawn(&self, failpoint: Option<&str>) -> Process {
        let _ = std::fs::remove_file(self.listeners());
        let log = self.folder.path().join("log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let from = out.metadata().unwrap().len();
        let program = self.program.clone().unwrap_or_else(muttctl);
        let mut command = match self.through.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.arg("serve").arg("--config").arg(self.write());
        if let Some(only) = &self.only {
            command.arg("--only").arg(only);
        }
        command.env_clear().env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(point) = failpoint {
            command.env("MUTT_FAILPOINT", point);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let folder = Arc::clone(&self.folder);
        Process { child: command.spawn().unwrap(), log, from, ended: None, _folder: folder }
    }

    /// Starts the program and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Program {
        self.start_with(None)
    }

    /// As [`Setup::start`], with an armed fail point.
    #[track_caller]
    pub(crate) fn start_with(&self, failpoint: Option<&str>) -> Program {
        let mut process = self.spawn(failpoint);
        let file = self.listeners();
        let found = within(LONG, || {
            if let Some(status) = process.poll() {
                panic!("muttctl ended at start with {status}:\n{}", process.log());
            }
            let text = std::fs::read_to_string(&file).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let Some(listeners) = found else {
            panic!("muttctl does not listen after {LONG:?}:\n{}", process.log())
        };
        Program { process, listeners, data_dir: self.data_dir.clone() }
    }
}

/// A process of the program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    from: u64,
    ended: Option<ExitStatus>,
    /// The data outlives the setup where a test has no further use for it.
    _folder: Arc<tempfile::TempDir>,
}

impl Process {
    /// How it ended, when it has.
    pub(crate) fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        match within(LONG, || self.poll()) {
            Some(status) => status,
            None => panic!("muttctl does not end:\n{}", self.log()),
        }
    }

    /// Waits until it has died at an armed fail point.
    #[track_caller]
    pub(crate) fn died(&mut self, point: &str) {
        let status = self.wait();
        let log = self.log();
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{point}: {status}\n{log}");
    }

    /// What this run has logged.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap().min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.poll().is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            println!("--- the last lines of the program's log");
            for line in tail.iter().rev() {
                println!("{line}");
            }
        }
    }
}

/// A program that listens.
#[derive(Debug)]
pub(crate) struct Program {
    process: Process,
    listeners: Value,
    data_dir: PathBuf,
}

impl Program {
    fn address(&self, pointer: &str) -> SocketAddr {
        let text = self.listeners.pointer(pointer).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("no {pointer} in {}", self.listeners));
        text.rsplit('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn syslog_udp(&self) -> SocketAddr {
        self.address("/syslog_udp/0")
    }

    pub(crate) fn syslog_tcp(&self) -> SocketAddr {
        self.address("/syslog_tcp/0")
    }

    /// Every address of a kind of listener, as `snmp_udp`.
    pub(crate) fn listening(&self, kind: &str) -> Vec<SocketAddr> {
        let all = self.listeners[kind].as_array().unwrap();
        all.iter().map(|address| address.as_str().unwrap().parse().unwrap()).collect()
    }

    pub(crate) fn syslog_tls(&self) -> SocketAddr {
        self.address("/syslog_tls/0")
    }

    pub(crate) fn relp(&self) -> SocketAddr {
        self.address("/relp/0")
    }

    pub(crate) fn relp_tls(&self) -> SocketAddr {
        self.address("/relp_tls/0")
    }

    pub(crate) fn snmp(&self) -> SocketAddr {
        self.address("/snmp_udp/0")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.address("/http")
    }

    /// Where a service tells how it is.
    pub(crate) fn health_of(&self, service: &str) -> SocketAddr {
        match service {
            "ingestor" => self.http(),
            "web-ui" => self.pages(),
            other => self.address(&format!("/health/{other}")),
        }
    }

    /// Where people look.
    pub(crate) fn pages(&self) -> SocketAddr {
        self.address("/web_ui")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn ingest_key(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("ingest-key")).unwrap().trim().to_owned()
    }

    pub(crate) fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("admin-token")).unwrap().trim().to_owned()
    }

    /// The REST API with the admin's token.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.address("/web_ui"), self.admin_token())
    }

    /// POST /ingest with the first-start key.
    pub(crate) fn ingest(&self, headers: &[(&str, &str)], body: &str) -> super::http::Answer {
        let key = self.ingest_key();
        let mut all = vec![("x-api-key", key.as_str())];
        all.extend_from_slice(headers);
        Client::new(self.http()).request("POST", "/ingest", &all, body.as_bytes()).unwrap()
    }

    /// The sum of a metric's samples on the Ingestor's port whose labels hold all of `labels`.
    pub(crate) fn ingestor_metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metric("ingestor", name, labels)
    }

    /// The same on the port of another service.
    pub(crate) fn metric(&self, service: &str, name: &str, labels: &[&str]) -> f64 {
        let mut client = Client::new(self.health_of(service));
        let answer = client.request("GET", "/metrics", &[], b"").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|r| r.starts_with(['{', ' ']))
                && labels.iter().all(|l| line.contains(l))
        });
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until nothing is under way: the event queue is empty and no delivery waits.
    #[track_caller]
    pub(crate) fn at_rest(&self) -> mutt_model::ledger::Ledger {
        self.at_rest_within(LONG)
    }

    /// As [`Program::at_rest`], for a backlog that takes its time.
    #[track_caller]
    pub(crate) fn at_rest_within(&self, time: Duration) -> mutt_model::ledger::Ledger {
        let mut api = self.api();
        let mut last = None;
        let found = within(time, || {
            let ledger = api.ledger();
            let (e, d) = (&ledger.events, &ledger.deliveries);
            let rest = e.pending == 0 && d.pending + d.leased + d.held == 0 && e.unaccounted == 0;
            last = Some(ledger.clone());
            rest.then_some(ledger)
        });
        found.unwrap_or_else(|| {
            panic!("it does not come to rest: {last:?}\n{}{}", self.threads(), self.log())
        })
    }

    /// What is audited so far, read past the program.
    pub(crate) fn audit(&self) -> super::Audit {
        super::Audit::read(&self.data_dir)
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// What its threads do, for a test that waits in vain.
    pub(crate) fn threads(&self) -> String {
        let tasks = format!("/proc/{}/task", self.process.child.id());
        let mut text = String::new();
        for task in std::fs::read_dir(tasks).unwrap().flatten() {
            let read =
                |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let stat = read("stat");
            let times: Vec<&str> = stat.split(' ').skip(13).take(2).collect();
            let _ = writeln!(
                text,
                "{} {} {} {times:?}",
                read("comm").trim(),
                read("wchan"),
                read("syscall").trim()
            );
        }
        text
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// See [`Process::died`].
    #[track_caller]
    pub(crate) fn died(mut self, point: &str) {
        self.process.died(point);
    }

    /// `kill -9`, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        let status = self.process.wait();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{}", self.log());
    }

    /// SIGTERM; it must end well, without a stage that failed, and leave nothing half written.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Stopped {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait();
        let log = self.log();
        assert_eq!(status.code(), Some(0), "{status}:\n{log}");
        for wrong in ["MUTT-P001", "panicked", "MUTT-P002"] {
            assert!(!log.contains(wrong), "{wrong} in the log:\n{log}");
        }
        let left: Vec<_> =
            std::fs::read_dir(&self.data_dir).unwrap().map(|f| f.unwrap().path()).collect();
        let half =
            left.iter().find(|path| path.extension().is_some_and(|e| e == "new" || e == "tmp"));
        assert_eq!(half, None, "a file was left half written");
        Stopped { log, data_dir: self.data_dir.clone(), _folder: Arc::clone(&self.process._folder) }
    }

    /// Waits for audited events that `choose` takes: `count` of them, oldest first.
    #[track_caller]
    pub(crate) fn events(&self, query: &str, count: usize) -> Vec<Value> {
        let mut api = self.api();
        let path = format!("/api/v2/events?limit=1000&{query}");
        let mut events = until(&format!("{count} events of {query}"), || {
            let items = api.get(&path)["items"].as_array().unwrap().clone();
            (items.len() >= count).then_some(items)
        });
        assert_eq!(events.len(), count, "{events:#?}");
        events.reverse();
        events
    }
}

/// A program that was ended well, with its data.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) log: String,
    data_dir: PathBuf,
    _folder: Arc<tempfile::TempDir>,
}

impl Stopped {
    /// What its store holds.
    pub(crate) fn audit(&self) -> super::Audit {
        super::Audit::read(&self.data_dir)
    }
}
