//! Redis servers and Sentinels on ports of their own, which tests kill, stop and start again; and a
//! proxy that cuts.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mutt_model::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::redis_server::PATIENCE;

/// On loopback only, also for those who come from another address of it.
const BASIS: [&str; 9] = [
    "--bind",
    "127.0.0.1",
    "--protected-mode",
    "no",
    "--save",
    "",
    "--repl-diskless-sync-delay",
    "0",
    "--dir",
];

/// A port that nobody listens on, below those that the kernel gives to connections.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A Redis server or a Sentinel; it and its folder go with it.
#[derive(Debug)]
pub(crate) struct Node {
    dir: tempfile::TempDir,
    child: Child,
    arguments: Vec<String>,
    /// What redis-cli needs to be let in.
    cli: Vec<String>,
    pub(crate) port: u16,
}

impl Node {
    /// A server with these settings beside its port.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let port = free_port();
        Self::start_at(port, &["--port", &port.to_string()], settings, &[])
    }

    /// A server whose default user has this password.
    pub(crate) fn with_password(password: &str) -> Self {
        let port = free_port();
        let settings = ["--requirepass", password, "--masterauth", password];
        let cli = ["-a", password, "--no-auth-warning"];
        Self::start_at(port, &["--port", &port.to_string()], &settings, &cli)
    }

    /// A server that is told its ports by the caller, and how redis-cli reaches it.
    pub(crate) fn start_at(port: u16, ports: &[&str], settings: &[&str], cli: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = BASIS.map(ToOwned::to_owned).to_vec();
        arguments.push(dir.path().display().to_string());
        arguments.extend(ports.iter().chain(settings).map(|word| (*word).to_owned()));
        Self::spawned(dir, port, arguments, cli)
    }

    /// A Sentinel with this configuration, in which `PORT` stands for its port.
    pub(crate) fn sentinel(configuration: &str, cli: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let own = format!("port {port}\nbind 127.0.0.1 127.0.0.3\ndir {}\n", dir.path().display());
        let own = own + &configuration.replace("PORT", &port.to_string());
        std::fs::write(&file, own).unwrap();
        let arguments = vec![file.display().to_string(), "--sentinel".into()];
        Self::spawned(dir, port, arguments, cli)
    }

    fn spawned(dir: tempfile::TempDir, port: u16, arguments: Vec<String>, cli: &[&str]) -> Self {
        let child = spawn(dir.path(), &arguments);
        let cli = cli.iter().map(|word| (*word).to_owned()).collect();
        let mut node = Self { dir, child, arguments, cli, port };
        node.answers();
        node
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Dies at once; its files stay.
    pub(crate) fn kill(&mut self) {
        // A stopped process is killed all the same.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.dir.path(), &self.arguments);
        self.answers();
    }

    /// Answers nothing any more, while the kernel still takes connections for it.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Goes on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    fn answers(&mut self) {
        let clock = Clock::default();
        let until = clock.monotonic() + PATIENCE;
        while self.command(&["PING"]) != "PONG" {
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "redis-server ended: {}", log());
            assert!(clock.monotonic() < until, "redis-server does not answer: {}", log());
        }
    }

    /// What redis-cli prints.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let out = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(&self.cli)
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Waits until redis-cli prints something with these words in it.
    pub(crate) async fn tells(&self, words: &[&str], expected: &str) {
        let clock = Clock::default();
        let until = clock.monotonic() + PATIENCE;
        loop {
            let said = self.command(words);
            if said.contains(expected) {
                return;
            }
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                clock.monotonic() < until,
                "waited for `{expected}`, {words:?} says: {said}\n{}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, arguments: &[String]) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    Command::new("redis-server")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .expect("redis-server must be installed")
}

/// Writes a file for a test's server or client.
pub(crate) fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Stands between a client and a server, and cuts when told.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Wire>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Wire {
    /// Bytes of replies that still pass before the connection is cut; `usize::MAX` is all.
    left: AtomicUsize,
    taken: AtomicUsize,
    /// Of clients from these addresses nothing passes and nothing is cut, as when a link is down.
    held: Mutex<Vec<Ipv4Addr>>,
}

impl Proxy {
    #[expect(clippy::disallowed_methods, reason = "a test's own task")]
    pub(crate) async fn before(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Arc::new(Wire {
            left: AtomicUsize::new(usize::MAX),
            taken: AtomicUsize::new(0),
            held: Mutex::default(),
        });
        let wire = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, from)) = listener.accept().await {
                wire.taken.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(client, from.ip(), port, Arc::clone(&wire)));
            }
        });
        Self { port: own, shared, task }
    }

    /// Lets this many bytes of replies pass and cuts then, in the middle of one.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.shared.left.store(bytes, Ordering::SeqCst);
    }

    /// Connections that were ever made.
    pub(crate) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// Holds what goes to and comes from clients at these addresses, on old connections and new ones.
    pub(crate) fn hold(&self, clients: &[Ipv4Addr]) {
        *self.shared.held.lock().unwrap() = clients.to_vec();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, from: IpAddr, port: u16, wire: Arc<Wire>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut asks, mut replies) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asks) => {
                let Ok(n @ 1..) = read else { return };
                passable(&wire, from).await;
                if server.write_all(&asks[..n]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut replies) => {
                let Ok(n @ 1..) = read else { return };
                passable(&wire, from).await;
                let left = wire.left.load(Ordering::SeqCst);
                let pass = n.min(left);
                if client.write_all(&replies[..pass]).await.is_err() {
                    return;
                }
                if left != usize::MAX {
                    wire.left.store(left - pass, Ordering::SeqCst);
                    if pass == left {
                        // The next connections are whole again.
                        wire.left.store(usize::MAX, Ordering::SeqCst);
                        return;
                    }
                }
            }
        }
    }
}

async fn passable(wire: &Wire, from: IpAddr) {
    let held = || wire.held.lock().unwrap().iter().any(|held| from == *held);
    while held() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
