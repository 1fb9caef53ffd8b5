//! TLS with an authority and certificates of one's own: what is wrong is told in words, and what is
//! replaced is used from the next connection on.

use std::path::Path;

use mutt_model::{LiveSecrets, Secret};
use mutt_store::redis::{RedisOptions, RedisTls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::net::{Node, file, free_port};
use super::{linked, links, options, refused, say, text, until};

/// Who signs; with its own certificate.
pub(crate) struct Authority(Issuer<'static, KeyPair>, pub(crate) String);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        let name = format!("authority {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Writes NAME.crt and NAME.key.
    pub(crate) fn issue(&self, dir: &Path, name: &str, for_host: &str, expired: bool) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![for_host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        let pem = params.signed_by(&key, &self.0).unwrap().pem();
        file(dir, &format!("{name}.crt"), &pem);
        file(dir, &format!("{name}.key"), &key.serialize_pem());
    }
}

/// A folder with an authority, a server's certificate and a client's.
fn folder() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    file(dir.path(), "ca.crt", &authority.1);
    authority.issue(dir.path(), "server", "127.0.0.1", false);
    authority.issue(dir.path(), "client", "mutt", false);
    (dir, authority)
}

/// A server that speaks only TLS and wants to see a client certificate.
fn server(dir: &Path) -> Node {
    let port = free_port();
    let path = |name: &str| dir.join(name).display().to_string();
    Node::start_at(
        port,
        &["--port", "0", "--tls-port", &port.to_string()],
        &[
            "--tls-cert-file",
            &path("server.crt"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.crt"),
        ],
        &[
            "--tls",
            "--cacert",
            &path("ca.crt"),
            "--cert",
            &path("client.crt"),
            "--key",
            &path("client.key"),
        ],
    )
}

/// The client's key as a secret.
pub(crate) fn key_of(dir: &Path, name: &str) -> LiveSecrets {
    let pem = std::fs::read_to_string(dir.join(format!("{name}.key"))).unwrap();
    LiveSecrets::new(vec![Secret::new(pem)])
}

fn trusting(dir: &Path) -> RedisTls {
    RedisTls {
        ca: Some(dir.join("ca.crt")),
        cert: Some(dir.join("client.crt")),
        key: Some(key_of(dir, "client")),
    }
}

fn tls_options(port: u16, tls: RedisTls) -> RedisOptions {
    RedisOptions { tls, ..options(&format!("rediss://127.0.0.1:{port}")) }
}

#[tokio::test]
async fn tls_with_an_own_authority_and_a_client_certificate() {
    let (dir, _) = folder();
    let node = server(dir.path());
    let links = links(&tls_options(node.port, trusting(dir.path())));
    let link = linked(&links).await;
    assert_eq!(text(&say(&link, &["ECHO", "sealed"]).await.unwrap()), "sealed");
    let large = "x".repeat(3 << 20);
    assert_eq!(text(&say(&link, &["ECHO", &large]).await.unwrap()), large);
    let named = RedisOptions {
        url: mutt_store::redis::RedisUrl::parse(&format!("rediss://localhost:{}", node.port))
            .unwrap(),
        ..tls_options(node.port, trusting(dir.path()))
    };
    let why = refused(&super::links(&named), "not for this name").await;
    assert!(why.contains("localhost"), "{why}");
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told_in_words() {
    let (dir, authority) = folder();
    let node = server(dir.path());
    let check = async |tls: RedisTls, words: &str| {
        let links = links(&tls_options(node.port, tls));
        let why = refused(&links, words).await;
        assert!(why.contains(&node.port.to_string()), "{why}");
    };
    let other = tempfile::tempdir().unwrap();
    let stranger = Authority::new();
    let foreign = Some(file(other.path(), "ca.crt", &stranger.1));
    check(RedisTls { ca: foreign, ..trusting(dir.path()) }, "not signed by an authority").await;
    let none = RedisTls { cert: None, key: None, ..trusting(dir.path()) };
    check(none, "asks for a client certificate").await;
    stranger.issue(other.path(), "client", "mutt", false);
    let strange = RedisTls {
        cert: Some(other.path().join("client.crt")),
        key: Some(key_of(other.path(), "client")),
        ..trusting(dir.path())
    };
    check(strange, "does not trust our client certificate").await;
    let missing = RedisTls { ca: Some(dir.path().join("gone.crt")), ..trusting(dir.path()) };
    check(missing, "gone.crt").await;
    let half = RedisTls { key: None, ..trusting(dir.path()) };
    check(half, "needs both").await;
    let plain = Node::start(&[]);
    let links = links(&tls_options(plain.port, trusting(dir.path())));
    refused(&links, "may be one without TLS").await;
    drop(node);
    authority.issue(dir.path(), "server", "127.0.0.1", true);
    // redis-cli sees that it has expired, too: only the server's own answer is waited for.
    let node = server_without_check(dir.path());
    let links = super::links(&tls_options(node.port, trusting(dir.path())));
    refused(&links, "has expired").await;
}

/// As [`server`], asked by redis-cli without a look at its certificate.
fn server_without_check(dir: &Path) -> Node {
    let port = free_port();
    let path = |name: &str| dir.join(name).display().to_string();
    let (cert, key, ca) = (path("server.crt"), path("server.key"), path("ca.crt"));
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let (client, client_key) = (path("client.crt"), path("client.key"));
    let cli = ["--tls", "--insecure", "--cert", &client, "--key", &client_key];
    Node::start_at(port, &["--port", "0", "--tls-port", &port.to_string()], &files, &cli)
}

#[tokio::test]
async fn certificates_that_are_replaced_are_used_from_the_next_connection_on() {
    let (dir, _) = folder();
    let mut node = server(dir.path());
    let tls = trusting(dir.path());
    let key = tls.key.clone().unwrap();
    let links = links(&tls_options(node.port, tls));
    let link = linked(&links).await;
    let next = Authority::new();
    file(dir.path(), "ca.crt", &next.1);
    next.issue(dir.path(), "server", "127.0.0.1", false);
    next.issue(dir.path(), "client", "mutt", false);
    key.set(key_of(dir.path(), "client").get().to_vec());
    // What is connected goes on.
    assert_eq!(text(&say(&link, &["ECHO", "on"]).await.unwrap()), "on");
    node.kill();
    node.restart();
    until("the break is noticed", async || link.is_broken()).await;
    assert_eq!(text(&say(&linked(&links).await, &["ECHO", "new"]).await.unwrap()), "new");
}

#[tokio::test]
async fn sentinels_and_their_master_are_both_reached_over_tls() {
    let (dir, _) = folder();
    let node = server(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let configuration = format!(
        "port 0\ntls-port PORT\ntls-replication yes\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\nsentinel monitor mutt 127.0.0.1 {} 1\n",
        path("server.crt"),
        path("server.key"),
        path("ca.crt"),
        node.port
    );
    let (ca, cert, key) = (path("ca.crt"), path("client.crt"), path("client.key"));
    let cli = ["--tls", "--cacert", &ca, "--cert", &cert, "--key", &key];
    let sentinel = Node::sentinel(&configuration, &cli);
    let url = format!("redis+sentinel://127.0.0.1:{}/mutt", sentinel.port);
    let sealed =
        RedisOptions { tls: trusting(dir.path()), ..options(&url.replace("redis+", "rediss+")) };
    let link = linked(&links(&sealed)).await;
    assert_eq!(link.address().to_string(), format!("127.0.0.1:{}", node.port));
    assert_eq!(text(&say(&link, &["ECHO", "a"]).await.unwrap()), "a");
    refused(&links(&options(&url)), "no Sentinel answers").await;
}
