//! Row 34: the role of the services cannot change the audit, and what a superuser changes is found.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Loaded, seed};
use crate::support::Site;

/// What nobody may do but who owns the tables.
const FORBIDDEN: [&str; 6] = [
    "UPDATE mutt.audit_handled SET host = 'x'",
    "UPDATE mutt.audit_unhandled SET body = ''",
    "DELETE FROM mutt.audit_handled",
    "DELETE FROM mutt.audit_unhandled",
    "TRUNCATE mutt.audit_handled",
    "TRUNCATE mutt.audit_unhandled",
];

/// A site at rest with events in its audit.
#[track_caller]
fn filled() -> Site {
    let loaded = Loaded::start(Site::new(), &["alerter"]);
    let told = loaded.senders.finish();
    loaded.site.at_rest();
    assert!(told.acknowledged.len() >= 200);
    loaded.site
}

/// What `muttctl audit verify` says: the events that it names, and how many rows it walked.
#[track_caller]
fn verify(site: &Site) -> (BTreeSet<String>, i64) {
    let output = site.muttctl(&["audit", "verify", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(output.status.success(), findings.is_empty(), "{report}");
    let named = findings.iter().flat_map(|finding| finding["events"].as_array().unwrap());
    let named = named.map(|id| id.as_str().unwrap().to_owned()).collect();
    (named, report["rows"].as_i64().unwrap())
}

/// Changes one row as a superuser may; its event.
#[track_caller]
fn tampered(site: &Site, random: &mut fastrand::Rng, before: &BTreeSet<String>) -> String {
    let ids = site.texts("SELECT id::text FROM mutt.audit ORDER BY id");
    let free: Vec<&String> = ids.iter().filter(|id| !before.contains(*id)).collect();
    let id = free[random.usize(0..free.len())].clone();
    let changes = [
        format!("SET host = 'other' WHERE id = '{id}'"),
        format!("SET team = 'other' WHERE id = '{id}'"),
        format!("SET decision = 'Ignored' WHERE id = '{id}'"),
        format!("SET body = body || '\\x00' WHERE id = '{id}'"),
    ];
    for table in ["mutt.audit_handled", "mutt.audit_unhandled"] {
        if random.u8(0..5) == 0 {
            site.execute(&format!("DELETE FROM {table} WHERE id = '{id}'"));
        } else {
            site.execute(&format!("UPDATE {table} {}", changes[random.usize(0..changes.len())]));
        }
    }
    id
}

#[track_caller]
fn rounds(rounds: usize) {
    let mut site = filled();
    let rows = site.audited();
    for statement in FORBIDDEN {
        let refused = site.refused("mutt", statement);
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
    assert_eq!(verify(&site), (BTreeSet::new(), rows));
    let mut random = fastrand::Rng::with_seed(seed());
    let mut known = BTreeSet::new();
    for _ in 0..rounds {
        known.insert(tampered(&site, &mut random, &known));
        assert_eq!(verify(&site).0, known);
    }
    println!(
        "row 34: seed {}, {rows} rows, {} statements refused, {rounds} rows changed by a superuser, {} found, 0 wrongly named",
        seed(),
        FORBIDDEN.len(),
        known.len()
    );
    site.stop_all();
}

#[test]
fn the_services_cannot_change_the_audit_and_what_a_superuser_changes_is_found() {
    rounds(3);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_34_audit_tampering() {
    rounds(50);
}
