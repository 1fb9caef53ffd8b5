//! A private Redis server for tests: on a Unix socket in a folder of its own, killed by its own id.

use std::path::PathBuf;
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
    child: Child,
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
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let child = spawn(&dir, &settings);
        let server = Self { dir, child, settings };
        server.answers();
        server
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Where its files lie.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Dies at once; its files stay, and nothing listens.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.dir, &self.settings);
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

    fn try_command(&self, words: &[&str]) -> String {
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

fn spawn(dir: &tempfile::TempDir, settings: &[String]) -> Child {
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--repl-diskless-sync-delay", "0", "--unixsocket"])
        .arg(dir.path().join("redis.sock"))
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
        sentinel_passwords: LiveSecrets::default(),
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
