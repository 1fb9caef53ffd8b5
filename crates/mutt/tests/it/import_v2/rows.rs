//! Many audited rows: how fast they come over, and how fast a second run sees that they stand.

use super::{Site, numbers};
use crate::support::Stopwatch;
use crate::support::wait::env;

#[tokio::test]
#[ignore = "takes minutes: scripts/soak runs it"]
async fn soak_a_million_rows_of_v2_come_over_and_a_second_run_sees_them() {
    let rows: u64 = env("MUTT_SOAK_ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let site = Site::new().await;
    site.sql(&format!(
        "CREATE TABLE event_audit_log_2025_09 PARTITION OF event_audit_log
            FOR VALUES FROM ('2025-09-01') TO ('2025-10-01');
         INSERT INTO event_audit_log (event_timestamp, hostname, matched_rule_id, handling_decision,
            forwarded_to_moog, raw_message)
         SELECT timestamptz '2025-09-01Z' + n * interval '2 seconds', 'edge-r' || n % 1000, 3,
            'Page_and_ticket', true, json_build_object('hostname', 'edge-r' || n % 1000,
                'message', 'LINK-DOWN on port ' || n, '_correlation_id', 'c-' || n)::text
         FROM generate_series(1, {rows}) AS n"
    ))
    .await;
    let total = rows + super::AUDITED - 1;
    let database = site.database();
    let store = site.server.options().url;
    let text = format!(
        "data_dir = \"{}\"\n[store]\nurl = \"{store}\"\nowner = {{ user = \"mutt_owner\" }}\n",
        site.path("data").display()
    );
    let postgres = site.write("postgres.toml", &text);
    let migrated = std::process::Command::new(env!("CARGO_BIN_EXE_muttctl"))
        .args(["db", "migrate", "--config", &postgres])
        .env_clear()
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    for (name, config) in [("PostgreSQL", postgres), ("SQLite", site.embedded())] {
        let args = ["--config", config.as_str(), "--database", &database, "--apply"];
        for expected in [[total, 0, total, 0], [total, total, 0, 0]] {
            let watch = Stopwatch::start();
            let (exit, report) = site.import(&args);
            let seconds = watch.elapsed().as_secs_f64();
            assert_eq!((exit, numbers(&report, "event_audit_log")), (0, expected), "{report}");
            let rate = total as f64 / seconds;
            println!(
                "{name}: {total} rows in {seconds:.1} s, {rate:.0} rows/s, {} stood",
                expected[1]
            );
        }
    }
}
