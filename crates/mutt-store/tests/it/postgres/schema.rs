//! The schema: migrations, the two roles, what a server must be like.

use std::time::Duration;

use mutt_model::{Clock, codes};
use mutt_store::postgres::{PgOptions, PostgresStore, migrate, status};
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
    let refused = store.rule_set_version().await.unwrap_err();
    assert_eq!(refused.hindrance(), Some(codes::STORE_OLDER), "{refused}");
    assert_eq!(status(&server.options(), &clock).await.unwrap().found, 0);
    let done = migrate(&server.options(), &clock, &|_, _| ()).await.unwrap();
    assert_eq!(done.from, 0);
    until("the migrated schema is found", || store.state().is_ready()).await;
    assert_eq!(store.rule_set_version().await.unwrap(), 0);
}

/// The schema as its first version left it.
async fn first_version(server: &Server) {
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    let sql = concat!(
        "CREATE SCHEMA mutt; SET search_path = mutt;
         CREATE TABLE schema_version (version bigint PRIMARY KEY, needs bigint NOT NULL,
            migrated_at bigint NOT NULL);",
        include_str!("../../../migrations/postgres/0001_first.sql"),
        "; INSERT INTO schema_version VALUES (1, 1, 0)"
    );
    owner.batch_execute(sql).await.unwrap();
}

/// Services of the version before work while the schema is expanded: a step that meets their locks gives
/// way and is tried again.
#[tokio::test]
async fn a_step_that_meets_the_locks_of_work_is_tried_again() {
    let server = Server::bare(&["deadlock_timeout=1s"]).await;
    first_version(&server).await;
    let (options, clock) = (server.options(), Clock::manual(START));
    let working = server.superuser("mutt").await;
    // It does not look for deadlocks, so that the step is what gives way.
    let held = "SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE alerts IN ROW EXCLUSIVE MODE";
    working.batch_execute(held).await.unwrap();
    let work = async {
        let sql = "SELECT COUNT(*) FROM pg_locks
            WHERE NOT granted AND relation = 'mutt.alerts'::regclass";
        while working.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The step has changed deliveries and waits for alerts.
        working.batch_execute("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE; COMMIT").await
    };
    let migrating = migrate(&options, &clock, &|_, _| ());
    let (migrated, worked) = tokio::join!(migrating, work);
    worked.unwrap();
    let migrated = migrated.unwrap();
    assert_eq!((migrated.from, migrated.to), (1, status(&options, &clock).await.unwrap().known));
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'mutt'";
    let row = working.query_one(deadlocks, &[]).await.unwrap();
    println!("the step gave way after {} deadlocks", row.get::<_, i64>(0));
    assert!(server.store().await.state().is_ready());
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

/// What is refused, by name and with the command that mends it; mended, it is taken.
#[tokio::test]
async fn a_server_that_could_lose_data_is_refused_until_that_is_mended() {
    // The last of several counts: this one server is safe.
    let mut server = Server::bare(&["fsync=on"]).await;
    migrate(&server.options(), &Clock::manual(START), &|_, _| ()).await.unwrap();
    let mut options = server.options();
    options.accept_no_fsync = false;
    let refused = async |name: &str| {
        let store = PostgresStore::open(&options, Clock::manual(START)).unwrap();
        let why = away_with(&store, codes::STORE_UNSAFE).await;
        assert!(why.starts_with(&format!("{name} is off")), "{why}");
        assert!(why.contains(&format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()")));
        why
    };
    let superuser = server.superuser("postgres").await;
    let run = async |sql: &str| superuser.batch_execute(sql).await.unwrap();
    server.store_with(&options).await;
    run("ALTER ROLE mutt SET synchronous_commit = off").await;
    let why = refused("synchronous_commit").await;
    let mend = "ALTER ROLE mutt RESET synchronous_commit";
    assert!(why.contains(mend), "{why}");
    run(mend).await;
    server.store_with(&options).await;
    for name in ["synchronous_commit", "full_page_writes"] {
        run(&format!("ALTER SYSTEM SET {name} = off")).await;
        run("SELECT pg_reload_conf()").await;
        refused(name).await;
        run(&format!("ALTER SYSTEM SET {name} = on")).await;
        run("SELECT pg_reload_conf()").await;
        server.store_with(&options).await;
    }
    drop(superuser);
    server.stop();
    let unsafe_server = Server::bare(&[]).await;
    migrate(&unsafe_server.options(), &Clock::manual(START), &|_, _| ()).await.unwrap();
    options.url = unsafe_server.url("mutt");
    let store = PostgresStore::open(&options, Clock::manual(START)).unwrap();
    let why = away_with(&store, codes::STORE_UNSAFE).await;
    assert!(why.contains("ALTER SYSTEM SET fsync = on"), "{why}");
}

#[tokio::test]
async fn a_server_that_cannot_write_is_refused() {
    let server = Server::migrated(&[]).await;
    let superuser = server.superuser("postgres").await;
    let sql = "ALTER ROLE mutt SET default_transaction_read_only = on";
    superuser.batch_execute(sql).await.unwrap();
    let store = PostgresStore::open(&server.options(), Clock::manual(START)).unwrap();
    away_with(&store, codes::STORE_READ_ONLY).await;
}

/// One role for everything works, and is told: what it audits it can take back.
#[tokio::test]
async fn a_role_that_can_take_back_what_is_audited_is_told() {
    let server = Server::bare(&[]).await;
    let clock = Clock::manual(START);
    let superuser = server.superuser("mutt").await;
    let run = async |sql: &str| superuser.batch_execute(sql).await.unwrap();
    run("ALTER DATABASE mutt OWNER TO mutt").await;
    let alone = PgOptions { owner: None, ..server.options() };
    assert!(!status(&alone, &clock).await.unwrap().audit_open, "nothing stands yet");
    migrate(&alone, &clock, &|_, _| ()).await.unwrap();
    assert!(status(&alone, &clock).await.unwrap().audit_open);
    // As doctor says it is mended.
    run("REASSIGN OWNED BY mutt TO mutt_owner").await;
    run("REVOKE UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA mutt FROM mutt").await;
    migrate(&server.options(), &clock, &|_, _| ()).await.unwrap();
    assert!(!status(&server.options(), &clock).await.unwrap().audit_open);
    let store = server.store().await;
    store.commit(work(vec![batch(&[(event(0, "r1", "x"), unhandled("x"))])])).await.unwrap();
    run("GRANT DELETE ON mutt.audit_unhandled TO mutt").await;
    assert!(status(&server.options(), &clock).await.unwrap().audit_open, "by a grant, too");
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
    one.change_rules(change, None, &actor("anna"), START).await.unwrap();
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, rules.changed()).await.unwrap().unwrap();
    assert_eq!(two.rule_set_version().await.unwrap(), 1);
    let problem = event(0, "r1", "down");
    let verdict = alerting(&problem, "k", mutt_model::rule::RuleAction::Problem);
    one.commit(work(vec![batch(&[(problem, verdict)])])).await.unwrap();
    tokio::time::timeout(patience, deliveries.changed()).await.unwrap().unwrap();
}
