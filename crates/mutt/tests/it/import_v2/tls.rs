//! v2's PostgreSQL and Redis over TLS with an authority of one's own, client certificates and passwords
//! in files.

use serde_json::json;

use super::{AUDITED, Site, event, numbers, push};
use crate::redis_server::RedisServer;
use crate::support::vault::free_port;
use crate::tls::{authority, issued};

const SECRETS: [&str; 2] = ["password-of-v2-database", "password-of-v2-redis"];

fn joined<'a>(parts: [&[&'a str]; 2]) -> Vec<&'a str> {
    parts.concat()
}

#[tokio::test]
async fn v2_is_reached_over_tls_with_certificates_and_passwords_from_files() {
    let mut site = Site::new().await;
    let (ca, issuer) = authority();
    let ca = site.write("ca.pem", &ca);
    let (cert, key) = issued(&issuer, "127.0.0.1");
    let (client, client_key) = issued(&issuer, "reader");
    let (client, client_key) =
        (site.write("client.pem", &client), site.write("client.key", &client_key));
    let files = [SECRETS[0], SECRETS[1]].map(|secret| site.write(secret, &format!("{secret}\n")));

    site.sql(&format!(
        "CREATE ROLE reader LOGIN PASSWORD '{}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        SECRETS[0]
    ))
    .await;
    let hba = "hostssl all reader 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    let port = site.server.with_tls(&cert, &key, &std::fs::read_to_string(&ca).unwrap(), hba).await;
    let database = format!("postgres://reader@127.0.0.1:{port}/mutt_db?sslmode=verify-full");

    let (cert, key) = (site.write("server.pem", &cert), site.write("server.key", &key));
    let redis_port = free_port().to_string();
    let redis = RedisServer::start(&[
        "--tls-port",
        &redis_port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ]);
    push(&redis, "mutt:ingest_queue", &event("one"));
    redis.command(&["ACL", "SETUSER", "drain", "on", &format!(">{}", SECRETS[1]), "~*", "+@all"]);
    let url = format!("rediss://127.0.0.1:{redis_port}");

    let config = site.embedded();
    let of_database = ["--database", database.as_str(), "--database-password-file", &files[0]];
    let of_redis =
        ["--redis", url.as_str(), "--redis-user", "drain", "--redis-password-file", &files[1]];
    let certificates = [
        "--database-ca",
        ca.as_str(),
        "--database-cert",
        &client,
        "--database-key-file",
        &client_key,
        "--redis-ca",
        &ca,
        "--redis-cert",
        &client,
        "--redis-key-file",
        &client_key,
    ];
    let basis = ["--config", config.as_str(), "--apply"];
    let args = [&basis[..], &of_database, &of_redis, &certificates].concat();
    let (exit, report) = site.import(&args);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(numbers(&report, "event_audit_log"), [AUDITED - 1, 0, AUDITED - 1, 0]);
    assert_eq!(numbers(&report, "mutt:ingest_queue"), [1, 0, 1, 0]);
    assert_eq!(report["applied"], json!(true));

    // Without a certificate, with another authority, or with a password in the URL: refused in words.
    let (other, _) = authority();
    let other = site.write("other.pem", &other);
    let wrong = |args: &[&str], words: &str| {
        let said = site.run(&[&basis[..], args].concat());
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(if words.contains("--") { 2 } else { 1 }), "{error}");
        assert!(error.contains(words), "{words}: {error}");
        assert!(!SECRETS.iter().any(|secret| error.contains(secret)), "{error}");
    };
    wrong(&joined([&of_database, &["--database-ca", &other]]), "is not signed by");
    wrong(&joined([&of_redis, &["--redis-ca", &other]]), "is not signed by");
    wrong(&joined([&of_redis, &["--redis-ca", &ca]]), "asks for a client certificate");
    wrong(
        &["--redis", &url.replace("//", "//drain:password-of-v2-redis@")],
        "--redis-password-file",
    );
    let open = database.replace("reader@", "reader:password-of-v2-database@");
    wrong(&["--database", &open], "--database-password-file");
    wrong(&joined([&of_redis, &["--redis-cert", &client]]), "--redis-key-file");
}
