//! Rows that v2 moves to its archive between two runs, and how long what was imported is kept.

use mutt_store::store::{EventQuery, ReadStore as _, SettingsStore as _};

use super::{Site, notes, numbers};
use crate::redis_server::RedisServer;

/// As `archive_old_events` moves rows.
const MOVE: &str = "WITH moved AS (
        DELETE FROM event_audit_log WHERE hostname = 'edge-r1' RETURNING *)
    INSERT INTO event_audit_log_archive (event_timestamp, hostname, matched_rule_id,
        handling_decision, forwarded_to_moog, raw_message, archived_from_partition, original_id,
        original_partition_timestamp)
    SELECT event_timestamp, hostname, matched_rule_id, handling_decision, forwarded_to_moog,
        raw_message, 'event_audit_log_2025_10', id, event_timestamp FROM moved";

#[tokio::test]
async fn a_row_that_v2_archived_between_two_runs_stands_once() {
    let site = Site::new().await;
    let (config, database) = (site.embedded(), site.database());
    let args = ["--config", &config, "--database", &database, "--apply"];
    assert_eq!(site.import(&args).0, 0);
    site.sql(MOVE).await;
    // A run of v2's archiving that was repeated left some twice.
    site.sql(
        "INSERT INTO event_audit_log_archive (event_timestamp, hostname, matched_rule_id,
            handling_decision, original_id)
         SELECT event_timestamp, hostname, matched_rule_id, handling_decision, original_id
         FROM event_audit_log_archive WHERE original_id IS NOT NULL ORDER BY id LIMIT 10",
    )
    .await;
    let (exit, again) = site.import(&args);
    assert_eq!((exit, numbers(&again, "event_audit_log")), (0, [601, 601, 0, 0]), "{again}");
    assert_eq!(numbers(&again, "event_audit_log_archive"), [111, 111, 0, 0]);
    let query = EventQuery { host: Some("edge-r1".to_owned()), ..EventQuery::default() };
    let found = site.store().events(&query, 1_000, None).await.unwrap();
    assert_eq!(found.items.len(), 100);

    // The same with the archived rows alone: each stands once.
    std::fs::remove_dir_all(site.path("data")).unwrap();
    let (exit, anew) = site.import(&args);
    assert_eq!((exit, numbers(&anew, "event_audit_log_archive")), (0, [111, 10, 101, 0]), "{anew}");
}

#[tokio::test]
async fn a_retention_that_is_shorter_than_the_one_in_force_is_not_taken() {
    let site = Site::new().await;
    let redis = RedisServer::durable();
    for (key, days) in [("event_retention_days", "90"), ("config_audit_retention_days", "400")] {
        redis.command(&["SET", &format!("mutt:config:{key}"), days]);
    }
    let url = format!("unix://{}", redis.socket().display());
    let database = site.database();
    let config = |handled: &str| {
        let data = site.path("data").display().to_string();
        let text = format!("data_dir = \"{data}\"\n[store.retention]\nhandled = \"{handled}\"\n");
        site.write("mutt.toml", &text)
    };
    let run = |handled: &str| {
        let config = config(handled);
        site.import(&["--config", &config, "--database", &database, "--redis", &url, "--apply"])
    };
    let (exit, report) = run("400d");
    assert_eq!((exit, numbers(&report, "mutt:config")), (0, [2, 1, 1, 0]), "{report}");
    let told = notes(&report);
    assert!(told.contains("mutt:config:event_retention_days says 90d"), "{told}");
    assert!(told.contains("store.retention.handled is 400d and the oldest"), "{told}");
    let (exit, report) = run("3650d");
    assert_eq!(exit, 0, "{report}");
    assert!(!notes(&report).contains("the oldest imported event"), "{report}");
    // The same as in force is no setting either: it would lie over a longer one of the file.
    let (exit, report) = run("90d");
    assert_eq!((exit, numbers(&report, "mutt:config")), (0, [2, 2, 0, 0]), "{report}");
    let settings = site.store().settings(None).await.unwrap().values;
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(settings, [("store.retention.changes", "400d")]);
}
