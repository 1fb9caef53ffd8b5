//! A private PostgreSQL server for one test, on a Unix socket in a folder of its own; it ends with the
//! test, also when the test's process is killed.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mutt_model::secret::{LiveSecrets, Secret};
use mutt_model::{Clock, Timestamp};
use mutt_store::postgres::{PgOptions, PgRole, PostgresStore, migrate};
use mutt_store::state::EngineState;
use mutt_store::store::SignalStore as _;

/// What the store's clock shows.
const START: Timestamp = Timestamp::from_secs(1_764_000_000);
/// How long a condition may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The running server.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    /// Where its WAL lies, when it is not with the tables.
    _wal: Option<tempfile::TempDir>,
    child: Option<Child>,
    settings: Vec<String>,
    /// Names the socket, too.
    port: u16,
}

/// Of each server; PostgreSQL 13 stores passwords as MD5 unless it is told.
const SETTINGS: [&str; 5] = [
    "listen_addresses=",
    "fsync=off",
    "shared_buffers=32MB",
    "max_connections=60",
    "password_encryption=scram-sha-256",
];

/// A port of loopback that nobody listens on, below those that the kernel gives to connections.
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where PostgreSQL's programs are: where MUTT_TEST_POSTGRES_BIN says, on the path, or where packages put them.
#[expect(clippy::disallowed_methods, reason = "a test looks for a program")]
fn program(name: &str) -> PathBuf {
    if let Ok(folder) = std::env::var("MUTT_TEST_POSTGRES_BIN") {
        return PathBuf::from(folder).join(name);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for parent in ["/usr/lib/postgresql", "/usr"] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            folders.push(entry.path().join("bin"));
        }
    }
    // Wrappers on the path may change the user by themselves: the packages' own come first.
    folders.sort_by_key(|folder| !folder.starts_with("/usr/lib/postgresql"));
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("this test needs PostgreSQL's `{name}`"))
}

/// The program as a user that PostgreSQL accepts: never root. It dies with this thread.
fn command(name: &str) -> Command {
    let program = program(name);
    if !nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig").arg("QUIT").arg(program);
        return command;
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"])
        .args(["--pdeathsig", "QUIT"])
        .arg(program);
    command
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// What it prints.
fn run_for_words(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}

/// A dump of the database `mutt` of one server, put into the same database of another, which is empty.
pub(crate) fn copy_database(from: &Server, to: &Server) {
    let file = to.dir.path().join("dump");
    let of = |name, server: &Server| {
        let mut command = command(name);
        command.arg("-h").arg(server.folder()).args(["-U", "postgres", "-d", "mutt"]);
        command
    };
    run(of("pg_dump", from).args(["-Fc", "-f"]).arg(&file));
    run(of("pg_restore", to).arg(&file));
}

/// A new data folder: everybody on the socket is let in, but `mutt_locked`.
fn init(data: &Path) {
    let args = ["-U", "postgres", "-A", "trust", "--wal-segsize=1", "-N", "--locale=C"];
    run(command("initdb").arg("-D").arg(data).args(args).args(["-E", "UTF8"]));
    let hba = "local all mutt_locked scram-sha-256\nlocal all all trust\n";
    std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
}

/// A data folder made once and copied for each test.
fn data_folder(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    // An example of Cargo's has no folder for temporary files.
    let Some(target) = option_env!("CARGO_TARGET_TMPDIR") else {
        init(&data);
        return data;
    };
    let version = run_for_words(command("postgres").arg("--version"));
    let kept = format!("postgres-template-{}", version.trim().replace(' ', "-"));
    let kept = Path::new(target).join(kept);
    if kept.join("PG_VERSION").exists() {
        copy(&kept, &data);
        return data;
    }
    init(&data);
    let own = PathBuf::from(format!("{}.{}", kept.display(), std::process::id()));
    copy(&data, &own);
    // Another process may have been quicker.
    if std::fs::rename(&own, &kept).is_err() {
        std::fs::remove_dir_all(&own).unwrap();
    }
    data
}

/// The server's user may work in this folder.
fn hand_over(dir: &Path) {
    let user = nix::unistd::User::from_name("postgres").unwrap();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    if let (true, Some(user)) = (nix::unistd::geteuid().is_root(), user) {
        nix::unistd::chown(dir, Some(user.uid), Some(user.gid)).unwrap();
    }
}

impl Server {
    /// A server with the roles `mutt_owner` (owns the database `mutt`) and `mutt`, not migrated.
    pub(crate) async fn bare(settings: &[&str]) -> Self {
        Self::bare_on(None, settings).await
    }

    /// As [`Server::bare`], with its tables in a folder of this one and its WAL elsewhere.
    pub(crate) async fn bare_on(tables: Option<&Path>, settings: &[&str]) -> Self {
        let dir = match tables {
            None => tempfile::tempdir().unwrap(),
            Some(tables) => tempfile::tempdir_in(tables).unwrap(),
        };
        hand_over(dir.path());
        let data = data_folder(dir.path());
        let wal = tables.map(|_| {
            let wal = tempfile::tempdir().unwrap();
            hand_over(wal.path());
            let (own, there) = (data.join("pg_wal"), wal.path().join("pg_wal"));
            copy(&own, &there);
            std::fs::remove_dir_all(&own).unwrap();
            std::os::unix::fs::symlink(there, own).unwrap();
            wal
        });
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut server = Self { dir, _wal: wal, child: None, settings, port: 5432 };
        server.start().await;
        let sql = [
            "CREATE ROLE mutt_owner LOGIN",
            "CREATE ROLE mutt LOGIN",
            "CREATE DATABASE mutt OWNER mutt_owner",
        ];
        let client = server.superuser("postgres").await;
        for statement in sql {
            client.batch_execute(statement).await.unwrap();
        }
        server
    }

    /// A server with the schema.
    pub(crate) async fn migrated(settings: &[&str]) -> Self {
        let server = Self::bare(settings).await;
        migrate(&server.options(), &Clock::manual(START), &|_, _| ()).await.unwrap();
        server
    }

    /// Starts it, or starts it again.
    pub(crate) async fn start(&mut self) {
        let data = self.dir.path().join("data");
        let mut command = command("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(self.dir.path());
        for setting in SETTINGS.iter().copied().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let begun = Clock::System.monotonic();
        while self.try_superuser("postgres").await.is_err() {
            assert!(Clock::System.monotonic() - begun < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it again with TLS on loopback: the server's certificate and key, whom it believes about
    /// clients, and the lines that let them in, before those of the socket. Gives its port.
    pub(crate) async fn with_tls(&mut self, cert: &str, key: &str, ca: &str, hba: &str) -> u16 {
        let data = self.dir.path().join("data");
        for (name, pem) in [("server.crt", cert), ("server.key", key), ("clients.crt", ca)] {
            self.own(&data.join(name), pem);
        }
        self.let_in(hba);
        self.listen(&["ssl=on", "ssl_cert_file=server.crt", "ssl_key_file=server.key"]).await
    }

    /// Lets others in: lines before those of the socket, from the next start on.
    pub(crate) fn let_in(&self, hba: &str) {
        let file = self.dir.path().join("data/pg_hba.conf");
        let sockets = std::fs::read_to_string(&file).unwrap();
        self.own(&file, &format!("{hba}{sockets}"));
    }

    /// Starts it again with these settings, on a free port of loopback, too.
    pub(crate) async fn listen(&mut self, settings: &[&str]) -> u16 {
        self.stop();
        let ca = self.dir.path().join("data/clients.crt").exists();
        self.settings.extend(ca.then(|| "ssl_ca_file=clients.crt".to_owned()));
        self.settings.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let port = free_port();
        self.settings.push("listen_addresses=127.0.0.1".to_owned());
        self.settings.push(format!("port={port}"));
        self.port = port;
        self.start().await;
        port
    }

    /// A second server that follows this one and only reads until it is promoted. This one is started
    /// again; what it answers from then on the other one has.
    pub(crate) async fn standby(&mut self) -> Self {
        let data = self.dir.path().join("data");
        self.let_in("local replication postgres trust\n");
        self.stop();
        let dir = tempfile::tempdir().unwrap();
        hand_over(dir.path());
        copy(&data, &dir.path().join("data"));
        let primary = format!(
            "primary_conninfo=host={} port={} user=postgres",
            self.dir.path().display(),
            self.port
        );
        let mut other = Self {
            dir,
            _wal: None,
            child: None,
            settings: self.settings.clone(),
            port: free_port(),
        };
        other.settings.extend([primary, format!("port={}", other.port)]);
        other.own(&other.dir.path().join("data/standby.signal"), "");
        self.settings.push("synchronous_standby_names=*".to_owned());
        self.start().await;
        other.start().await;
        other
    }

    /// The port of loopback, after [`Server::listen`].
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A file that is the server's alone.
    fn own(&self, path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        let meta = std::fs::metadata(self.dir.path().join("data")).unwrap();
        let owner =
            (nix::unistd::Uid::from_raw(meta.uid()), nix::unistd::Gid::from_raw(meta.gid()));
        nix::unistd::chown(path, Some(owner.0), Some(owner.1)).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it as a crash does: the postmaster is killed, its children follow.
    pub(crate) async fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let children = children_of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Clock::System.monotonic();
        while children.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            assert!(Clock::System.monotonic() - begun < PATIENCE, "children stay");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The postmaster and its children, where it runs.
    #[allow(dead_code, reason = "tests of the whole program pause them")]
    pub(crate) fn processes(&self) -> Vec<u32> {
        let Some(child) = &self.child else { return Vec::new() };
        let mut all = vec![child.id()];
        all.extend(children_of(child.id()));
        all
    }

    /// Stops it in order, ending all connections.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        child.wait().unwrap();
    }

    /// Where its Unix socket lies.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// How a role reaches the database.
    pub(crate) fn url(&self, user: &str) -> String {
        let dir = self.dir.path().to_str().unwrap().replace('/', "%2F");
        match self.port {
            5432 => format!("postgres://{user}@{dir}/mutt"),
            port => format!("postgres://{user}@{dir}:{port}/mutt"),
        }
    }

    /// How the services reach it, with the owner's role beside.
    pub(crate) fn options(&self) -> PgOptions {
        let owner = PgRole { user: "mutt_owner".to_owned(), passwords: LiveSecrets::default() };
        PgOptions {
            owner: Some(owner),
            accept_no_fsync: true,
            id_seed: Some(1),
            ..PgOptions::new(self.url("mutt"))
        }
    }

    /// As another role, with these passwords.
    pub(crate) fn options_as(&self, user: &str, passwords: &[&str]) -> PgOptions {
        let secrets = passwords.iter().map(|p| Secret::new(*p)).collect();
        let passwords = LiveSecrets::new(secrets);
        PgOptions { url: self.url(user), passwords, ..self.options() }
    }

    /// The store, connected.
    pub(crate) async fn store(&self) -> Arc<PostgresStore> {
        self.store_with(&self.options()).await
    }

    /// The store with other options, connected.
    pub(crate) async fn store_with(&self, options: &PgOptions) -> Arc<PostgresStore> {
        let store = PostgresStore::open(options, Clock::manual(START)).unwrap();
        until("the store is ready", || store.state().is_ready()).await;
        Arc::new(store)
    }

    async fn try_superuser(
        &self,
        db: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect("postgres", db).await
    }

    /// A client that may do everything.
    pub(crate) async fn superuser(&self, db: &str) -> tokio_postgres::Client {
        self.try_superuser(db).await.unwrap()
    }

    /// A client of this role.
    #[expect(clippy::disallowed_methods, reason = "a test's own connection")]
    pub(crate) async fn connect(
        &self,
        user: &str,
        db: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder()).port(self.port).user(user).dbname(db);
        config.options("-c search_path=mutt");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
            let _ = child.wait();
        }
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits for a condition, with patience.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Clock::System.monotonic();
    while !condition() {
        assert!(Clock::System.monotonic() - begun < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The code of the state, once the store has one that is not [`EngineState::Ready`] and not this.
pub(crate) async fn away_with(store: &PostgresStore, code: mutt_model::codes::Code) -> String {
    let mut said = String::new();
    until(code.id, || match store.state() {
        EngineState::Away { code: found, why, .. } if found == code => {
            said = why;
            true
        }
        _ => false,
    })
    .await;
    said
}
