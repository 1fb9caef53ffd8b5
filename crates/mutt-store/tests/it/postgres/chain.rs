//! The chain of receipts: what is changed behind MUTT's back is found and named.

use mutt_model::Id;
use mutt_model::rule::RuleAction::Problem;
use mutt_store::postgres::{AuditFault, AuditVerify, PostgresStore};
use mutt_store::retention::RetentionStore as _;
use mutt_store::store::CommitStore as _;

use super::server::Server;
use crate::store::retention::{DAY, commit_days, policy_with};
use crate::store::support::*;

async fn verify(store: &PostgresStore) -> AuditVerify {
    store.verify_chain(None, &|_, _| ()).await.unwrap()
}

/// Three batches of five events on each of two shards; the ids by shard and batch.
async fn filled(store: &PostgresStore) -> Vec<Vec<Id>> {
    let mut ids = Vec::new();
    for n in 0..6u16 {
        let mut events = Vec::new();
        for at in 0..5i64 {
            let event = event(i64::from(n) * 10 + at, &format!("r{at}"), "down");
            let verdict = if at % 2 == 0 {
                unhandled("down")
            } else {
                alerting(&event, &format!("k{at}"), Problem)
            };
            events.push((event, verdict));
        }
        ids.push(events.iter().map(|(event, _)| event.id).collect());
        let mut work = work(vec![batch(&events)]);
        work.shard = n % 2;
        store.commit(work).await.unwrap();
    }
    ids
}

#[tokio::test]
async fn an_untouched_audit_is_sound_and_what_is_touched_is_named() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let ids = filled(&store).await;
    let sound = verify(&store).await;
    assert_eq!((sound.receipts, sound.rows, sound.retired), (6, 30, 0));
    assert!(sound.is_sound(), "{sound:?}");

    let client = server.superuser("mutt").await;
    let change = async |sql: String| client.batch_execute(&sql).await.unwrap();
    change(format!("UPDATE audit_unhandled SET host = 'other' WHERE id = '{}'", ids[2][0])).await;
    change(format!("DELETE FROM audit_handled WHERE id = '{}'", ids[3][1])).await;
    let forged = Id([7; 16]);
    change(format!(
        "INSERT INTO audit_unhandled SELECT received_at, '{forged}', seq + 500, ruleset, rule_id,
            alert_id, severity, dev, host, decision, team, body FROM audit_unhandled
         WHERE id = '{}'",
        ids[4][0]
    ))
    .await;
    let report = verify(&store).await;
    let found = |fault: AuditFault| -> Vec<_> {
        let of_it = report.findings.iter().filter(|f| f.fault == fault);
        of_it.map(|f| (f.shard, f.receipt, f.events.clone())).collect()
    };
    assert_eq!(found(AuditFault::Altered), [(Some(0), Some(2), vec![ids[2][0]])]);
    assert_eq!(found(AuditFault::Missing), [(Some(1), Some(2), vec![ids[3][1]])]);
    assert_eq!(found(AuditFault::Extra), [(None, None, vec![forged])]);
    assert_eq!((report.faults, report.rows), (3, 28));
}

/// What the services' role can do to the audit is add rows: those that no commit wrote are found,
/// whatever place they claim.
#[tokio::test]
async fn rows_that_were_added_are_named_whatever_place_they_claim() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    let ids = filled(&store).await;
    let app = server.connect("mutt", "mutt").await.unwrap();
    let forged: Vec<Id> = (1..=4).map(|n| Id([n; 16])).collect();
    // In a receipt's range at another time; twice no place at all; beyond what any commit gave.
    let claims = [
        ("received_at + 3600000000", "seq"),
        ("received_at", "0"),
        ("received_at", "-7"),
        ("received_at", "seq + 1000"),
    ];
    for (id, (at, seq)) in forged.iter().zip(claims) {
        let sql = format!(
            "INSERT INTO audit_unhandled SELECT {at}, '{id}', {seq}, ruleset, rule_id, alert_id,
                severity, dev, host, decision, team, body FROM audit_unhandled WHERE id = '{}'",
            ids[4][0]
        );
        app.batch_execute(&sql).await.unwrap();
    }
    let report = verify(&store).await;
    assert!(report.findings.iter().all(|found| found.fault == AuditFault::Extra), "{report:?}");
    let mut named: Vec<Id> =
        report.findings.iter().flat_map(|found| found.events.clone()).collect();
    named.sort_unstable();
    assert_eq!(named, forged);
    assert_eq!(report.rows, 30);
}

/// SQLite's archives know no places of rows: what is put back from one is no forgery.
#[tokio::test]
async fn an_archive_of_a_store_without_places_may_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let old = sqlite(dir.path());
    commit_days(&old, 0..1).await;
    let archives = dir.path().join("archives");
    old.retain(&policy_with(Some(&archives)), at(200 * DAY)).await.unwrap();
    let file = archives.join(&old.archives().await.unwrap()[0].name);
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    filled(&store).await;
    let back = store.restore_archive(&file, &actor("anna"), START).await.unwrap();
    assert_eq!(back.rows, 2);
    let report = verify(&store).await;
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn changed_and_removed_receipts_break_the_chain() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    filled(&store).await;
    let client = server.superuser("mutt").await;
    let faults = async || -> Vec<_> {
        let report = verify(&store).await;
        report.findings.iter().map(|f| (f.fault, f.shard, f.receipt)).collect()
    };
    client
        .batch_execute("UPDATE receipts SET seq_first = seq_first + 1 WHERE shard = 0 AND n = 2")
        .await
        .unwrap();
    assert!(faults().await.contains(&(AuditFault::ReceiptAltered, Some(0), Some(2))));
    let sql = "UPDATE receipts SET seq_first = seq_first - 1 WHERE shard = 0 AND n = 2;
        DELETE FROM receipts WHERE shard = 1 AND n = 2";
    client.batch_execute(sql).await.unwrap();
    let found = faults().await;
    assert!(found.contains(&(AuditFault::ReceiptMissing, Some(1), Some(3))), "{found:?}");
    let sql = "DELETE FROM receipts WHERE shard = 0 AND n = 3";
    client.batch_execute(sql).await.unwrap();
    let found = faults().await;
    assert!(found.contains(&(AuditFault::ReceiptMissing, Some(0), Some(3))), "{found:?}");
}

#[tokio::test]
async fn days_that_retention_took_are_retired_not_missing() {
    let server = Server::migrated(&[]).await;
    let store = server.store().await;
    filled(&store).await;
    let owner = server.connect("mutt_owner", "mutt").await.unwrap();
    owner.batch_execute("DROP TABLE audit_unhandled_p20251124").await.unwrap();
    let report = verify(&store).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.rows, report.retired), (12, 18));
}
