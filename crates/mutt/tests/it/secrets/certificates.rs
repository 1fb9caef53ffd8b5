//! Keys of certificates and the login of Sentinels are secrets as all others are: they come from Vault,
//! change there, and the next connection uses the new ones.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::ready;
use crate::postgres_server::Server;
use crate::redis_server::{FSYNC, RedisServer};
use crate::support::http::Client;
use crate::support::vault::free_port;
use crate::support::{Program, Setup, Vault, until};
use crate::tls::{authority, issued};

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// An Ingestor that reads this Vault each second, with a key of its own.
fn ingestor(vault: &Vault) -> Setup {
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let key = write(setup.folder(), "key", "a-key-of-tests");
    setup
        .set("store", "url = \"postgres://mutt@127.0.0.1:1/mutt\"")
        .set(
            "ingestor.http",
            &format!("keys = [{{ name = \"test\", key = {{ file = {key:?} }} }}]"),
        )
        .only(Some("ingestor"));
    setup
}

#[track_caller]
fn settled(program: &Program) {
    until("readiness without a note", || (ready(program.http()).1 == "ready\n").then_some(()));
}

fn post(program: &Program) -> u16 {
    let body = br#"{"hostname":"h","severity":3,"message":"m"}"#;
    let headers = [("x-api-key", "a-key-of-tests")];
    Client::new(program.http()).request("POST", "/ingest", &headers, body).unwrap().status
}

/// A Sentinel; killed by its own id.
struct Sentinel {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Sentinel {
    /// It watches the server at this port. Its own user is `default`, with this password; `watcher` is
    /// another.
    fn of(master: u16, password: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nuser default on >own-of-sentinel ~* &* +@all\n\
             user watcher on >{password} ~* &* +@all\nsentinel monitor mutt 127.0.0.1 {master} 1\n",
            dir.path().display()
        );
        let file = write(dir.path(), "sentinel.conf", &text);
        let child = Command::new("redis-server")
            .args([&file, "--sentinel"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sentinel = Self { child, port, _dir: dir };
        until("the Sentinel", || (sentinel.command(&["PING"]) == "PONG").then_some(()));
        sentinel
    }

    fn command(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let login = ["-p", &port, "-a", "own-of-sentinel", "--no-auth-warning"];
        let out = Command::new("redis-cli").args(login).args(words).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_login_of_sentinels_is_their_own_and_is_rotated() {
    let port = free_port();
    let on_loopback = ["--port", &port.to_string(), "--bind", "127.0.0.1"];
    let redis = RedisServer::start(&[FSYNC, &on_loopback].concat());
    redis.command(&["ACL", "SETUSER", "mutt", "on", ">of-redis", "~*", "&*", "+@all"]);
    let sentinel = Sentinel::of(port, "watch-one");
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "REDIS": "of-redis", "SENTINEL": "wrong-one" }));
    let mut setup = ingestor(&vault);
    let place = |key: &str| format!("{{ vault = \"secret/mutt/prod#{key}\" }}");
    setup.set(
        "queue",
        &format!(
            "url = \"redis+sentinel://127.0.0.1:{}/mutt\"\naccept_failover_loss = true\n\
             user = \"mutt\"\npassword = {}\nsentinel = {{ user = \"watcher\", password = {} }}",
            sentinel.port,
            place("REDIS"),
            place("SENTINEL")
        ),
    );
    let program = setup.start();
    // Redis' own password is never shown to a Sentinel that has another.
    until("the refusal", || program.log().contains("`queue.sentinel.password`").then_some(()));
    assert!(program.log().contains("MUTT-S029") && !program.log().contains("wrong-one"));
    vault.put("mutt/prod", &json!({ "REDIS": "of-redis", "SENTINEL": "watch-one" }));
    let watched = || sentinel.command(&["CLIENT", "LIST"]).contains("user=watcher");
    until("a login", || watched().then_some(()));
    assert_eq!(post(&program), 200);
    let in_redis = || redis.command(&["EXISTS", "{mutt:0}:state"]) == "1";
    until("the queue in Redis", || in_redis().then_some(()));
    settled(&program);

    vault.put("mutt/prod", &json!({ "REDIS": "of-redis", "SENTINEL": "watch-two" }));
    let changes = || program.log().matches("\"queue.sentinel.password\"").count();
    until("the new one", || (changes() == 2).then_some(()));
    sentinel.command(&["ACL", "SETUSER", "watcher", ">watch-two", "<watch-one"]);
    sentinel.command(&["CLIENT", "KILL", "USER", "watcher"]);
    until("another login", || {
        let _ = post(&program);
        watched().then_some(())
    });
    settled(&program);
    assert_eq!(post(&program), 200);
    program.stop();
}

#[test]
fn the_key_of_the_certificate_for_redis_is_in_vault_and_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let ((ca, issuer), (next_ca, next_issuer)) = (authority(), authority());
    let (cert, key) = issued(&issuer, "127.0.0.1");
    let (ca, next_ca) = (write(dir.path(), "ca.pem", &ca), write(dir.path(), "next.pem", &next_ca));
    let (cert, key) = (write(dir.path(), "redis.pem", &cert), write(dir.path(), "redis.key", &key));
    let port = free_port();
    let tls = [
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ];
    let redis = RedisServer::start(&[FSYNC, &tls].concat());
    let vault = Vault::in_memory();
    let (client, client_key) = issued(&issuer, "mutt");
    let client = write(dir.path(), "client.pem", &client);
    vault.put("mutt/prod", &json!({ "KEY": client_key }));
    let mut setup = ingestor(&vault);
    setup.set("queue", &format!("url = \"rediss://127.0.0.1:{port}\""));
    let key = "{ vault = \"secret/mutt/prod#KEY\" }";
    setup.set("queue.tls", &format!("ca = {ca:?}\ncert = {client:?}\nkey = {key}"));
    let program = setup.start();
    settled(&program);
    assert_eq!(post(&program), 200);

    // Another authority signs for clients: the pair that it signed is put in place, then the server
    // believes it alone, and every connection ends.
    let (next, next_key) = issued(&next_issuer, "mutt");
    write(dir.path(), "client.pem", &next);
    vault.put("mutt/prod", &json!({ "KEY": next_key }));
    until("the new key", || program.log().contains("\"queue.tls.key\"").then_some(()));
    assert_eq!(redis.command(&["CONFIG", "SET", "tls-ca-cert-file", &next_ca]), "OK");
    redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("what was accepted since is in Redis", || {
        let accepted = post(&program) == 200;
        (accepted && ready(program.http()).1 == "ready\n").then_some(())
    });
    assert!(!program.log().contains("PRIVATE KEY"));
    program.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_certificate_for_postgresql_is_in_vault_and_is_replaced() {
    let (ca, issuer) = authority();
    let (cert, key) = issued(&issuer, "127.0.0.1");
    let mut server = Server::migrated(&["fsync=on"]).await;
    let hba = "hostssl all mutt 127.0.0.1/32 trust clientcert=verify-ca\n";
    let port = server.with_tls(&cert, &key, &ca, hba).await;
    let vault = Vault::in_memory();
    let (client, client_key) = issued(&issuer, "mutt");
    vault.put("mutt/prod", &json!({ "KEY": client_key }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let dir = setup.folder().to_path_buf();
    let (ca, client) = (write(&dir, "ca.pem", &ca), write(&dir, "client.pem", &client));
    let token = write(&dir, "token", "a-token-of-tests");
    let door =
        format!("tokens = [{{ name = \"t\", role = \"admin\", token = {{ file = {token:?} }} }}]");
    let tls = "key = { vault = \"secret/mutt/prod#KEY\" }";
    setup
        .set("store", &format!("url = \"postgres://mutt@127.0.0.1:{port}/mutt\""))
        .set("store.tls", &format!("mode = \"verify-full\"\nca = {ca:?}\ncert = {client:?}\n{tls}"))
        .set("web_ui", &door)
        .only(Some("web-ui"));
    let program = setup.start();
    let is_ready = || ready(program.pages()).1 == "ready\n";
    until("readiness", || is_ready().then_some(()));
    let admin = server.superuser("mutt").await;
    let serials = async || {
        let sql = "SELECT DISTINCT client_serial::text FROM pg_stat_ssl JOIN pg_stat_activity
            USING (pid) WHERE usename = 'mutt' AND client_addr IS NOT NULL";
        let rows = admin.query(sql, &[]).await.unwrap();
        rows.iter().filter_map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let before = serials().await;
    assert_eq!(before.len(), 1, "{before:?}");

    let (next, next_key) = issued(&issuer, "mutt");
    write(&dir, "client.pem", &next);
    vault.put("mutt/prod", &json!({ "KEY": next_key }));
    until("the new key", || program.log().contains("\"store.tls.key\"").then_some(()));
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mutt'";
    admin.batch_execute(sql).await.unwrap();
    let begun = crate::support::Stopwatch::start();
    loop {
        let now = serials().await;
        if !now.is_empty() && now != before && is_ready() {
            break;
        }
        assert!(begun.elapsed() < crate::support::wait::LONG, "{now:?}\n{}", program.log());
    }
    assert!(!program.log().contains("PRIVATE KEY"));
    program.stop();
}
