//! TLS to a real PostgreSQL: each mode with an own authority, certificates of clients, and what is wrong
//! told by code and in words.

use std::path::Path;
use std::sync::Arc;

use mutt_model::{Clock, Secret, codes};
use mutt_store::postgres::{PgOptions, PostgresStore, TlsMode};
use mutt_store::store::{RuleStore as _, SignalStore as _};

use super::server::{Server, away_with, until};
use crate::link::tls::{Authority, key_of};

/// Both roles, over TLS alone.
const ENCRYPTED: &str = "hostssl all mutt,mutt_owner 127.0.0.1/32 trust\n";
/// The certificate names the role.
const CERTIFIED: &str = "hostssl all mutt 127.0.0.1/32 cert\n";

struct Site {
    server: Server,
    dir: tempfile::TempDir,
    authority: Authority,
    port: u16,
}

fn text(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

impl Site {
    /// A migrated server with a certificate for 127.0.0.1 that lets these in.
    async fn new(hba: &str) -> Self {
        let (mut server, dir) = (Server::migrated(&[]).await, tempfile::tempdir().unwrap());
        let authority = Authority::new();
        std::fs::write(dir.path().join("ca.crt"), &authority.1).unwrap();
        authority.issue(dir.path(), "server", "127.0.0.1", false);
        authority.issue(dir.path(), "mutt", "mutt", false);
        let (cert, key) = (text(dir.path(), "server.crt"), text(dir.path(), "server.key"));
        let port = server.with_tls(&cert, &key, &authority.1, hba).await;
        Self { server, dir, authority, port }
    }

    fn options(&self, mode: TlsMode) -> PgOptions {
        PgOptions {
            url: format!("postgres://mutt@127.0.0.1:{}/mutt", self.port),
            tls: Some(mode),
            ca: Some(self.dir.path().join("ca.crt")),
            ..self.server.options()
        }
    }

    fn certified(&self) -> PgOptions {
        PgOptions {
            cert: Some(self.dir.path().join("mutt.crt")),
            key: Some(key_of(self.dir.path(), "mutt")),
            ..self.options(TlsMode::VerifyFull)
        }
    }

    /// What the server says of the services' connections: encrypted, and whose certificate.
    async fn connections(&self) -> Vec<(bool, Option<String>)> {
        let sql = "SELECT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE usename = 'mutt' AND client_addr IS NOT NULL";
        let rows = self.server.superuser("mutt").await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// The store works over these options.
async fn works(options: &PgOptions) -> Arc<PostgresStore> {
    let store = PostgresStore::open(options, Clock::System).unwrap();
    until("the store is ready", || store.state().is_ready()).await;
    store.rule_set(None).await.unwrap();
    Arc::new(store)
}

/// It is refused with this code and these words.
async fn refused(options: &PgOptions, code: codes::Code, words: &str) {
    let store = PostgresStore::open(options, Clock::System).unwrap();
    let why = away_with(&store, code).await;
    assert!(why.contains(words), "{words}: {why}");
}

#[tokio::test]
async fn each_mode_checks_what_it_says_and_no_more() {
    let site = Site::new(ENCRYPTED).await;
    let by_name = |mode| {
        let options = site.options(mode);
        PgOptions { url: options.url.replace("127.0.0.1", "localhost"), ..options }
    };
    let stranger = Authority::new();
    let foreign = site.dir.path().join("stranger.crt");
    std::fs::write(&foreign, &stranger.1).unwrap();
    let strange = |mode| PgOptions { ca: Some(foreign.clone()), ..site.options(mode) };
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let store = works(&site.options(mode)).await;
        let connections = site.connections().await;
        assert!(!connections.is_empty() && connections.iter().all(|c| c.0), "{connections:?}");
        drop(store);
    }
    works(&strange(TlsMode::Require)).await;
    works(&by_name(TlsMode::VerifyCa)).await;
    let code = codes::STORE_TLS;
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        refused(&strange(mode), code, "not signed by an authority that is trusted").await;
    }
    refused(&by_name(TlsMode::VerifyFull), code, "not for this name").await;
    // Without TLS this server lets nobody in.
    refused(&site.options(TlsMode::Disable), codes::STORE_AUTH, "no pg_hba.conf entry").await;
    let mut plain = Server::migrated(&[]).await;
    let port = plain.listen(&[]).await;
    let url = format!("postgres://mutt@127.0.0.1:{port}/mutt");
    refused(&PgOptions { url, ..site.options(TlsMode::Require) }, code, "TLS").await;
}

#[tokio::test]
async fn a_client_certificate_is_the_login_and_is_replaced_while_the_store_runs() {
    let site = Site::new(CERTIFIED).await;
    let options = site.certified();
    let key = options.key.clone().unwrap();
    let store = works(&options).await;
    let connections = site.connections().await;
    let named = |c: &(bool, Option<String>)| c.1.as_deref().is_some_and(|dn| dn.contains("mutt"));
    assert!(!connections.is_empty() && connections.iter().all(named), "{connections:?}");
    refused(&site.options(TlsMode::VerifyFull), codes::STORE_AUTH, "client certificate").await;

    let (other, stranger) = (tempfile::tempdir().unwrap(), Authority::new());
    stranger.issue(other.path(), "mutt", "mutt", false);
    let strange = PgOptions {
        cert: Some(other.path().join("mutt.crt")),
        key: Some(key_of(other.path(), "mutt")),
        ..site.options(TlsMode::VerifyFull)
    };
    refused(&strange, codes::STORE_TLS, "does not trust our client certificate").await;
    let mixed = PgOptions { key: strange.key, ..site.certified() };
    let why = PostgresStore::open(&mixed, Clock::System).unwrap_err().to_string();
    assert!(why.contains("mutt.crt"), "{why}");

    // Another pair takes the place of this one: the next connections show it.
    site.authority.issue(site.dir.path(), "mutt", "mutt", false);
    key.set(key_of(site.dir.path(), "mutt").get().to_vec());
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mutt'";
    site.server.superuser("mutt").await.batch_execute(sql).await.unwrap();
    until("the break is noticed or mended", || store.state().is_ready()).await;
    let mut again = store.rule_set(None).await;
    while again.is_err() {
        until("the store is ready", || store.state().is_ready()).await;
        again = store.rule_set(None).await;
    }
    // A key that does not belong to the certificate is told, and mended without a restart.
    key.set(vec![Secret::new(text(other.path(), "mutt.key"))]);
    site.server.superuser("mutt").await.batch_execute(sql).await.unwrap();
    away_with(&store, codes::STORE_TLS).await;
    key.set(key_of(site.dir.path(), "mutt").get().to_vec());
    until("the store is ready", || store.state().is_ready()).await;
    store.rule_set(None).await.unwrap();
}
