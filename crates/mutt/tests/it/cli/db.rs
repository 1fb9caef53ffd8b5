//! `muttctl db` and `muttctl audit` against a PostgreSQL of the test's own.

use std::sync::Arc;

use mutt_model::{BatchBuilder, Clock, Event, IdSource, Source};
use mutt_store::store::{CommitPolicy, CommitStore as _, CommitWork, JudgedBatch};

use super::{Place, Said};
use crate::postgres_server::Server;
use crate::provoked::provoked;

/// A batch of three events, unjudged.
fn work() -> CommitWork {
    let now = Clock::System.wall();
    let mut ids = IdSource::from_entropy();
    let mut builder = BatchBuilder::new(ids.next(now), 0);
    for _ in 0..3 {
        let id = ids.next(now);
        builder.push(&Event::from_raw(id, now, Source::Syslog, "syslog-tcp", "peer", b"up"));
    }
    let batches = vec![JudgedBatch {
        batch: Arc::new(builder.finish()),
        verdicts: vec![None; 3],
        first: false,
    }];
    let policy = Arc::new(CommitPolicy {
        unhandled_threshold: 100,
        unhandled_window: std::time::Duration::from_secs(60),
        default_team: "NETO".to_owned(),
        sinks: vec![],
    });
    CommitWork { shard: 0, generation: 1, ruleset: 1, batches, policy, now }
}

#[tokio::test]
async fn the_schema_is_brought_forward_and_a_changed_row_is_found() {
    let server = Server::bare(&["fsync=on"]).await;
    let place = Place::new();
    let text =
        format!("[store]\nurl = \"{}\"\nowner = {{ user = \"mutt_owner\" }}\n", server.url("mutt"));
    let file = place.write("mutt.toml", &text);
    let run = |words: &[&str]| -> Said { place.run(&[words, &["--config", &file]].concat()) };

    let said = run(&["db", "status"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("MUTT-S022") && said.out.contains("version 0"), "{said:?}");
    let said = run(&["db", "migrate"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("from version 0 to"), "{said:?}");
    let said = run(&["db", "migrate"]);
    assert!(said.exit == 0 && said.out.contains("already"), "{said:?}");
    let said = run(&["db", "status"]);
    assert!(said.exit == 0 && !said.out.contains("can change"), "{said:?}");
    // One role for everything works, and is told with what mends it.
    let alone = format!("[store]\nurl = \"{}\"\n", server.url("mutt_owner"));
    let alone = place.write("alone.toml", &alone);
    let said = place.run(&["db", "status", "--config", &alone]);
    assert!(said.exit == 0 && said.out.contains("mutt_owner can change and remove"), "{said:?}");
    let said = place.run(&["doctor", "--config", &alone]);
    assert!(said.out.contains("store roles: the services' role mutt_owner"), "{said:?}");
    assert!(said.out.contains("REASSIGN OWNED BY mutt_owner TO "), "{said:?}");

    server.store().await.commit(work()).await.unwrap();
    let said = run(&["audit", "verify"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("1 receipts walked, 3 rows as committed"), "{said:?}");
    let admin = server.superuser("mutt").await;
    let sql = "UPDATE audit_unhandled SET host = 'other'
        WHERE id = (SELECT id FROM audit_unhandled ORDER BY id LIMIT 1)";
    admin.batch_execute(sql).await.unwrap();
    let said = run(&["audit", "verify"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.out.contains("altered: receipt 1 of shard 0\n  event "), "{said:?}");
    provoked("MUTT-S026", &said.err);
    let said = run(&["audit", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.exit, &report["faults"], &report["rows"]), (1, &1.into(), &2.into()));
}
