//! A private Redis server for tests: on a Unix socket in a folder of its own, killed by its own id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mutt_model::{Clock, LiveSecrets};
use mutt_store::redis::{Durability, RedisOptions, RedisTls, RedisUrl};

/// How long a condition may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The server; it and its folder go with it.
#[derive(Debug)]
pub(crate) struct RedisServer {
    dir: tempfile::TempDir,
    data: PathBuf,
    child: Child,
    program: PathBuf,
    settings: Vec<String>,
}

/// `appendonly yes` with a sync before each answer.
pub(crate) const FSYNC: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

impl RedisServer {
    /// Starts one that syncs before it answers, and waits until it answers.
    pub(crate) fn durable() -> Self {
        Self::start(FSYNC)
    }

    /// Starts one with these settings besides.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::started(dir, data, "redis-server".into(), settings)
    }

    /// The oldest Redis that is supported, which RHEL 9 has: `scripts/install-tools` fetches it. It syncs
    /// before it answers.
    #[allow(dead_code, reason = "the tests of the queue use it")]
    pub(crate) fn of_rhel_9() -> Self {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/redis-server-6.2");
        assert!(program.exists(), "scripts/install-tools fetches {}", program.display());
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::started(dir, data, program, FSYNC)
    }

    /// As [`RedisServer::start`], with its files in this folder.
    #[allow(dead_code, reason = "the system tests of the program use it")]
    pub(crate) fn start_in(data: PathBuf, settings: &[&str]) -> Self {
        Self::started(tempfile::tempdir().unwrap(), data, "redis-server".into(), settings)
    }

    fn started(dir: tempfile::TempDir, data: PathBuf, program: PathBuf, settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let child = spawn(&program, dir.path(), &data, &settings);
        let server = Self { dir, data, child, program, settings };
        server.answers();
        server
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Where its files lie.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Does nothing any more, and answers nobody, until it is killed.
    #[allow(dead_code, reason = "the system tests of the program use it")]
    pub(crate) fn freeze(&self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGSTOP).unwrap();
        let clock = Clock::default();
        let until = clock.monotonic() + PATIENCE;
        let stat = format!("/proc/{id}/stat");
        while !std::fs::read_to_string(&stat).unwrap().contains(") T") {
            assert!(clock.monotonic() < until, "it does not stop");
        }
    }

    /// Dies at once; its files stay, and nothing listens.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_file(self.socket());
    }

    /// The server's process.
    #[allow(dead_code, reason = "tests of the whole program pause it")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.program, self.dir.path(), &self.data, &self.settings);
        self.answers();
    }

    fn answers(&self) {
        let clock = Clock::default();
        let until = clock.monotonic() + PATIENCE;
        while !self.try_command(&["PING"]).contains("PONG") {
            assert!(clock.monotonic() < until, "redis-server does not answer");
        }
    }

    /// What redis-cli prints.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let said = self.try_command(words);
        assert!(!said.starts_with("ERR"), "{words:?}: {said}");
        said
    }

    /// The same; what the server says may be a refusal.
    pub(crate) fn try_command(&self, words: &[&str]) -> String {
        let socket = self.socket();
        let out = Command::new("redis-cli").arg("-s").arg(socket).args(words).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    pub(crate) fn options(&self) -> RedisOptions {
        options(&format!("unix://{}", self.socket().display()))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, dir: &Path, data: &Path, settings: &[String]) -> Child {
    std::fs::create_dir_all(data).unwrap();
    Command::new(program)
        .args(["--port", "0", "--save", "", "--repl-diskless-sync-delay", "0", "--unixsocket"])
        .arg(dir.join("redis.sock"))
        .arg("--dir")
        .arg(data)
        .args(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server must be installed")
}

/// A queue of one shard that syncs, with caps that no test meets by chance.
pub(crate) fn options(url: &str) -> RedisOptions {
    RedisOptions {
        url: RedisUrl::parse(url).unwrap(),
        user: None,
        passwords: LiveSecrets::default(),
        sentinel_user: None,
        sentinel_passwords: None,
        timeout: Duration::from_secs(10),
        tls: RedisTls::default(),
        durability: Durability::Fsync,
        accept_failover_loss: false,
        shards: 1,
        max_events: 1 << 40,
        max_bytes: 1 << 40,
        prefix: "mutt".into(),
        name: "test".into(),
    }
}
