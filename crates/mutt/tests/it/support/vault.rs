//! A real Vault-compatible server (OpenBao) on a free port: in memory, or on disk so that it comes back
//! sealed. It is ended by its process id only.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::Setup;
use super::http::{Answer, Client};
use super::wait::{LONG, env, until, within};

/// The token of the root of a server in memory.
const ROOT: &str = "root-of-this-test";

/// Where the server's program lies: named by MUTT_BAO, or fetched by scripts/install-tools.
pub(crate) fn bao() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/bao");
    let file = env("MUTT_BAO").map_or(fetched, PathBuf::from);
    assert!(file.is_file(), "{} is not there: run scripts/install-tools", file.display());
    file
}

/// A server that runs, or that was killed and may run again.
pub(crate) struct Vault {
    folder: Arc<tempfile::TempDir>,
    address: SocketAddr,
    root: String,
    unseal: Option<String>,
    on_disk: bool,
    /// A second listener, with TLS, that wants a certificate of this authority: its port.
    tls: Option<u16>,
    process: Option<Child>,
}

impl Vault {
    /// In memory, unsealed, with KV version 2 at `secret/`, version 1 at `kv1/` and AppRole for the role
    /// `mutt`, whose policy may read `secret/mutt/*` and `kv1/mutt`.
    #[track_caller]
    pub(crate) fn in_memory() -> Self {
        let mut vault = Self::at_a_free_port(false);
        vault.run();
        vault.prepare();
        vault
    }

    /// On disk: `kill` and `run` bring it back sealed.
    #[track_caller]
    pub(crate) fn on_disk() -> Self {
        Self::initialised(Self::at_a_free_port(true))
    }

    /// As [`Vault::on_disk`], and it also listens with TLS and wants a certificate of `ca`.
    #[track_caller]
    pub(crate) fn with_tls(ca: &str, cert: &str, key: &str) -> Self {
        let mut vault = Self::at_a_free_port(true);
        vault.tls = Some(free_port());
        for (name, pem) in [("ca.pem", ca), ("cert.pem", cert), ("key.pem", key)] {
            std::fs::write(vault.folder.path().join(name), pem).unwrap();
        }
        Self::initialised(vault)
    }

    #[track_caller]
    fn initialised(mut vault: Self) -> Self {
        vault.run();
        let body = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = vault.call("PUT", "sys/init", Some(&body));
        assert_eq!(made.status, 200, "{}", String::from_utf8_lossy(&made.body));
        let made = made.json();
        vault.root = made["root_token"].as_str().unwrap().to_owned();
        vault.unseal = Some(made["keys"][0].as_str().unwrap().to_owned());
        vault.unseal();
        vault.must(
            "POST",
            "sys/mounts/secret",
            &json!({ "type": "kv", "options": { "version": "2" } }),
        );
        vault.prepare();
        vault
    }

    fn at_a_free_port(on_disk: bool) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            address: free.local_addr().unwrap(),
            root: ROOT.to_owned(),
            unseal: None,
            on_disk,
            tls: None,
            process: None,
        }
    }

    /// Starts the server and waits until it answers.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        let log = self.folder.path().join("log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(bao());
        command.arg("server").env("HOME", self.folder.path()).current_dir(self.folder.path());
        if self.on_disk {
            command.arg(format!("-config={}", self.write_config().display()));
        } else {
            command.args(["-dev", "-dev-no-store-token"]);
            command.arg(format!("-dev-root-token-id={ROOT}"));
            command.arg(format!("-dev-listen-address={}", self.address));
        }
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        self.process = Some(command.spawn().unwrap());
        let answers = || {
            let answer = Client::new(self.address).request("GET", "/v1/sys/health", &[], b"");
            answer.ok().filter(|answer| [200, 429, 501, 503].contains(&answer.status)).map(|_| ())
        };
        if within(LONG, answers).is_none() {
            panic!("the server does not answer:\n{}", self.log());
        }
    }

    fn write_config(&self) -> PathBuf {
        let data = self.folder.path().join("raft");
        std::fs::create_dir_all(&data).unwrap();
        let at = |name: &str| self.folder.path().join(name);
        let tls = self.tls.map_or_else(String::new, |port| {
            format!(
                "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{}\"\n  tls_cert_file = {:?}\n  tls_key_file = {:?}\n  tls_client_ca_file = {:?}\n  tls_require_and_verify_client_cert = true\n}}\n",
                free_port(),
                at("cert.pem"),
                at("key.pem"),
                at("ca.pem"),
            )
        });
        let text = format!(
            "ui = false\ndisable_mlock = true\napi_addr = \"http://{0}\"\ncluster_addr = \"http://127.0.0.1:{1}\"\n\
             storage \"raft\" {{\n  path = {2:?}\n  node_id = \"one\"\n}}\n\
             listener \"tcp\" {{\n  address = \"{0}\"\n  cluster_address = \"127.0.0.1:{1}\"\n  tls_disable = true\n}}\n{tls}",
            self.address,
            free_port(),
            data
        );
        let path = self.folder.path().join("server.hcl");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn prepare(&self) {
        self.must(
            "POST",
            "sys/mounts/kv1",
            &json!({ "type": "kv", "options": { "version": "1" } }),
        );
        self.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
        self.permit("path \"secret/data/mutt/*\" { capabilities = [\"read\"] }\npath \"kv1/mutt\" { capabilities = [\"read\"] }");
        self.role(&json!({ "token_ttl": "1h", "token_max_ttl": "24h" }));
    }

    /// The policy of the role.
    #[track_caller]
    pub(crate) fn permit(&self, policy: &str) {
        self.must("PUT", "sys/policies/acl/mutt", &json!({ "policy": policy }));
    }

    /// Changes the role; what is not named stays.
    #[track_caller]
    pub(crate) fn role(&self, settings: &Value) {
        let mut settings = settings.clone();
        settings["token_policies"] = json!("mutt");
        self.must("POST", "auth/approle/role/mutt", &settings);
    }

    pub(crate) fn role_id(&self) -> String {
        let answer = self.call("GET", "auth/approle/role/mutt/role-id", None).json();
        answer["data"]["role_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn new_secret_id(&self) -> String {
        let answer = self.must("POST", "auth/approle/role/mutt/secret-id", &json!({}));
        answer["data"]["secret_id"].as_str().unwrap().to_owned()
    }

    /// Writes a secret of KV version 2 as a whole: `mutt/prod` under `secret/`.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, keys: &Value) {
        self.must("POST", &format!("secret/data/{path}"), &json!({ "data": keys }));
    }

    /// Calls the server as root.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let headers = [("x-vault-token", self.root.as_str())];
        let path = format!("/v1/{path}");
        Client::new(self.address).request(method, &path, &headers, body.as_bytes()).unwrap()
    }

    /// A call that must succeed. A server that has just been unsealed needs a moment to lead.
    #[track_caller]
    pub(crate) fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut last = String::new();
        let answer = within(LONG, || {
            let answer = self.call(method, path, Some(body));
            last = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
            (200..300).contains(&answer.status).then_some(answer)
        });
        let answer = answer.unwrap_or_else(|| panic!("{method} {path}: {last}"));
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    pub(crate) fn seal(&self) {
        let answer = self.call("PUT", "sys/seal", Some(&json!({})));
        assert_eq!(answer.status, 204);
    }

    #[track_caller]
    pub(crate) fn unseal(&self) {
        let key = self.unseal.as_deref().unwrap();
        self.must("PUT", "sys/unseal", &json!({ "key": key }));
        until("a server that is not sealed", || {
            (self.call("GET", "sys/health", None).status == 200).then_some(())
        });
    }

    /// `kill -9`.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        kill(Pid::from_raw(i32::try_from(process.id()).unwrap()), Signal::SIGKILL).unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn url(&self) -> String {
        match self.tls {
            Some(port) => format!("https://127.0.0.1:{port}"),
            None => format!("http://{}", self.address),
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The section of a program that uses this server; role and secret id lie in files of its folder.
    #[track_caller]
    pub(crate) fn configure(&self, setup: &mut Setup, lines: &str) {
        let section = self.section(setup.folder(), lines);
        setup.set("vault", &section);
    }

    /// The lines of the section, with role and secret id in files of this folder.
    #[track_caller]
    pub(crate) fn section(&self, folder: &Path, lines: &str) -> String {
        let (role, secret) = (folder.join("role_id"), folder.join("secret_id"));
        std::fs::write(&role, self.role_id()).unwrap();
        std::fs::write(&secret, self.new_secret_id()).unwrap();
        format!(
            "url = {:?}\nrole_id = {{ file = {role:?} }}\nsecret_id = {{ file = {secret:?} }}\n{lines}",
            self.url()
        )
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
