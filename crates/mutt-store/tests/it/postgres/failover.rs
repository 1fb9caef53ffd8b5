//! Several hosts in the URL: the one that writes is found, also after the first was killed, stands still,
//! or only reads.

use std::time::Duration;

use mutt_model::{Clock, Timestamp, codes};
use mutt_store::postgres::{PgOptions, PostgresStore, TlsMode};
use mutt_store::store::{Actor, RuleChange, RuleStore as _, SignalStore as _};

use super::server::{Server, away_with, until};

const TRUST: &str = "host all mutt,mutt_owner 127.0.0.1/32 trust\n";

fn options(server: &Server, ports: &[u16]) -> PgOptions {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    PgOptions {
        url: format!("postgres://mutt@{}/mutt", hosts.join(",")),
        tls: Some(TlsMode::Disable),
        connect_timeout: Duration::from_millis(500),
        ..server.options()
    }
}

async fn dev_host(store: &PostgresStore, name: &str) {
    let actor = Actor { name: "anna".to_owned(), reason: None };
    let change = RuleChange::AddDevHost(name.to_owned());
    store.change_rules(change, None, &actor, Timestamp::from_secs(1_764_000_000)).await.unwrap();
}

/// A primary on loopback, and a server that follows it.
async fn pair() -> (Server, Server) {
    let mut primary = Server::migrated(&[]).await;
    primary.let_in(TRUST);
    primary.listen(&[]).await;
    let standby = primary.standby().await;
    (primary, standby)
}

#[tokio::test]
async fn a_killed_primary_is_left_for_the_server_that_was_promoted() {
    let (mut primary, standby) = pair().await;
    let options = options(&primary, &[primary.port(), standby.port()]);
    let store = PostgresStore::open(&options, Clock::System).unwrap();
    until("the store is ready", || store.state().is_ready()).await;
    dev_host(&store, "before").await;
    primary.kill().await;
    let why = away_with(&store, codes::STORE_READ_ONLY).await;
    assert!(
        why.contains(&primary.port().to_string()) && why.contains(&standby.port().to_string()),
        "{why}"
    );
    standby.superuser("mutt").await.batch_execute("SELECT pg_promote()").await.unwrap();
    until("the promoted server takes over", || store.state().is_ready()).await;
    dev_host(&store, "after").await;
    let hosts = store.rule_set(None).await.unwrap().dev_hosts;
    assert!(hosts.contains("before") && hosts.contains("after"), "{hosts:?}");
}

#[tokio::test]
async fn a_host_that_only_reads_or_stands_still_does_not_keep_from_the_next() {
    let (primary, standby) = pair().await;
    let reads = options(&primary, &[standby.port(), primary.port()]);
    let store = PostgresStore::open(&reads, Clock::System).unwrap();
    until("the second host is found", || store.state().is_ready()).await;
    dev_host(&store, "one").await;
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let still = options(&primary, &[silent.local_addr().unwrap().port(), primary.port()]);
    let store = PostgresStore::open(&still, Clock::System).unwrap();
    until("the second host is found", || store.state().is_ready()).await;
    dev_host(&store, "two").await;
}
