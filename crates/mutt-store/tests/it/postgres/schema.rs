//! The schema: migrations, the two roles, what a server must be like.

use std::time::Duration;

use mutt_model::{Clock, codes};
use mutt_store::postgres::{PostgresStore, migrate, status};
use mutt_store::store::{CommitStore as _, RuleStore as _, SignalStore as _, StoreError};

use super::server::{Server, away_with, until};
use crate::store::support::*;

#[tokio::test]
async fn a_service_waits_for_the_schema_and_never_makes_it() {
    let server = Server::bare(&[]).await;
    let clock = Clock::manual(START);
    let store = PostgresStore::open(&server.options(), clock.clone()).unwrap();
    let why = away_with(&store, codes::STORE_OLDER).await;
    assert!(why.contains("muttctl db migrate"), "{why}");
    let refused = store.rule_set_version().await;
    assert!(matches!(refused, Err(StoreError::Transient { .. })), "{refused:?}");
    assert_eq!(status(&server.options(), &clock).await.unwrap().found, 0);
    let done = migrate(&server.options(), &clock, &|_, _| ()).await.unwrap();
    assert_eq!(done.from, 0);
    until("the migrated schema is found", || store.state().is_ready()).await;
    assert_eq!(store.rule_set_version().await.unwrap(), 0);
}

#[tokio::test]
async fn migrations_run_once_also_side_by_side() {
    let server = Server::bare(&[]).await;
    let (options, clock) = (server.options(), Clock::manual(START));
    let quiet = |_: u64, _: u64| ();
    let (one, two) =
        tokio::join!(migrate(&options, &clock, &quiet), migrate(&options, &clock, &quiet),);
    let mut from = [one.unwrap().from, two.unwrap().from];
    from.sort_unstable();
    let known = status(&options, &clock).await.unwrap().known;
    assert_eq!(from, [0, known], "the second one found the work done");
    assert_eq!(migrate(&options, &clock, &quiet).await.unwrap().from, known, "again: nothing");
}

#[tokio::test]
async fn a_newer_schema_is_left_alone_unless_it_only_expanded() {
    let server = Server::migrated(&[]).await;
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    owner.batch_execute("INSERT INTO schema_version VALUES (900, 1, 0)").await.unwrap();
    let store = server.store().await;
    assert_eq!(store.rule_set_version().await.unwrap(), 0, "it only expanded");
    owner.batch_execute("INSERT INTO schema_version VALUES (901, 901, 0)").await.unwrap();
    let newer = PostgresStore::open(&server.options(), Clock::manual(START)).unwrap();
    let why = away_with(&newer, codes::STORE_NEWER).await;
    assert!(why.contains("901"), "{why}");
    let refused = migrate(&server.options(), &Clock::manual(START), &|_, _| ()).await;
    assert!(matches!(refused, Err(StoreError::Open(_))), "{refused:?}");
}

/// Row 34: what is audited cannot be taken back by the services' role.
#[tokio::test]
async fn the_services_role_can_only_add_to_the_audit() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    store.commit(work(vec![batch(&[(event(0, "r1", "x"), unhandled("x"))])])).await.unwrap();
    let app = server.connect("mutt", "mutt").await.unwrap();
    for table in ["audit_handled", "audit_unhandled", "receipts", "changes"] {
        for sql in [
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("DROP TABLE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
        ] {
            let error = app.batch_execute(&sql).await.unwrap_err();
            assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}: {error}");
        }
    }
    for sql in [
        "UPDATE audit_unhandled SET host = 'other'",
        "UPDATE receipts SET digest = ''",
        "UPDATE changes SET who = 'other'",
        "INSERT INTO schema_version VALUES (7, 7, 7)",
        "UPDATE audit_unhandled_p20251124 SET host = 'other'",
        "DROP TABLE audit_unhandled_p20251124",
        "CREATE TABLE mine (x int)",
    ] {
        let error = app.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}: {error}");
    }
    let rows = app.query("SELECT host FROM audit", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_server_that_could_lose_data_or_cannot_write_is_refused() {
    for (setting, code) in [
        ("fsync=off", codes::STORE_UNSAFE),
        ("synchronous_commit=off", codes::STORE_UNSAFE),
        ("default_transaction_read_only=on", codes::STORE_READ_ONLY),
    ] {
        let server = Server::bare(&[]).await;
        migrate(&server.options(), &Clock::manual(START), &|_, _| ()).await.unwrap();
        let superuser = server.superuser("postgres").await;
        let (name, value) = setting.split_once('=').unwrap();
        if name != "fsync" {
            let sql = format!("ALTER ROLE mutt SET {name} = {value}");
            superuser.batch_execute(&sql).await.unwrap();
        }
        let mut options = server.options();
        options.accept_no_fsync = name == "default_transaction_read_only";
        let store = PostgresStore::open(&options, Clock::manual(START)).unwrap();
        let why = away_with(&store, code).await;
        if code == codes::STORE_UNSAFE {
            assert!(why.contains("ALTER SYSTEM SET fsync = on"), "{why}");
        }
    }
}

#[tokio::test]
async fn the_next_password_is_tried_when_the_current_one_is_refused() {
    let server = Server::migrated(&[]).await;
    let superuser = server.superuser("mutt").await;
    let sql = "CREATE ROLE mutt_locked LOGIN PASSWORD 'old'; GRANT mutt TO mutt_locked";
    superuser.batch_execute(sql).await.unwrap();
    let options = server.options_as("mutt_locked", &["old", "new"]);
    let store = server.store_with(&options).await;
    assert_eq!(store.rule_set_version().await.unwrap(), 0);
    superuser.batch_execute("ALTER ROLE mutt_locked PASSWORD 'new'").await.unwrap();
    // Idle connections are made anew when the secrets change.
    options.passwords.set(options.passwords.get().to_vec());
    assert_eq!(store.rule_set_version().await.unwrap(), 0, "with the second one");
    let wrong = server.options_as("mutt_locked", &["neither"]);
    let refused = PostgresStore::open(&wrong, Clock::manual(START)).unwrap();
    let why = away_with(&refused, codes::STORE_AUTH).await;
    assert!(!why.contains("neither"), "{why}");
}

#[tokio::test]
async fn bells_ring_in_other_processes() {
    let server = Server::migrated(&[]).await;
    let (one, two) = (server.store().await, server.store().await);
    let (mut rules, mut deliveries) =
        (two.signals().rules.listen(), two.signals().deliveries.listen());
    rules.mark_unchanged();
    deliveries.mark_unchanged();
    let change = mutt_store::store::RuleChange::AddDevHost("lab".to_owned());
    one.change_rules(change, &actor("anna"), START).await.unwrap();
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, rules.changed()).await.unwrap().unwrap();
    assert_eq!(two.rule_set_version().await.unwrap(), 1);
    let problem = event(0, "r1", "down");
    let verdict = alerting(&problem, "k", mutt_model::rule::RuleAction::Problem);
    one.commit(work(vec![batch(&[(problem, verdict)])])).await.unwrap();
    tokio::time::timeout(patience, deliveries.changed()).await.unwrap().unwrap();
}
