//! MIBs of a site: what is uploaded once names the traps of every Ingestor.

use serde_json::json;

use crate::support::{Program, Site, until};

const INGESTORS: [&str; 2] = ["ingestor-1", "ingestor-2"];
const FAN_FAILED: &str = "1.3.6.1.4.1.32473.2.1.0.1";

fn example(name: &str) -> String {
    let path = format!("{}/../../testdata/mibs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What a trap that comes in at this Ingestor is called in the audit.
fn name_at(site: &Site, ingestor: &str, round: usize) -> Option<String> {
    let host = format!("{ingestor}-{round}");
    let trap = json!({"hostname": host, "trap_oid": FAN_FAILED, "message": "a fan"});
    assert_eq!(site.ingest(ingestor, &trap.to_string()).status, 200);
    let found = |program: &Program| {
        let events = program.api().get(&format!("/api/v2/events?host={host}"));
        events["items"].as_array().unwrap().first().cloned()
    };
    let event = until("it is audited", || found(site.program("web-ui")));
    event["trap_name"].as_str().map(str::to_owned)
}

#[test]
fn an_upload_names_the_traps_of_every_ingestor_and_its_deletion_takes_the_names_away() {
    let mut site = Site::new();
    site.start_all(&INGESTORS);
    site.start_all(&["alerter", "web-ui"]);
    site.ready();
    let round = std::cell::Cell::new(0);
    let called = |name: Option<&str>| {
        until("every Ingestor has the names in force", || {
            round.set(round.get() + 1);
            let names = INGESTORS.map(|ingestor| name_at(&site, ingestor, round.get()));
            names.iter().all(|found| found.as_deref() == name).then_some(())
        });
    };
    called(None);
    let mut api = site.program("web-ui").api();
    for name in ["ACME-SMI.mib", "ACME-FAN-MIB.mib"] {
        api.post("/api/v2/mibs", &json!({"name": name, "text": example(name)}));
    }
    called(Some("acmeFanFailed"));
    let gone = api.call("DELETE", "/api/v2/mibs/ACME-FAN-MIB.mib", Some(&json!({}))).unwrap();
    assert_eq!(gone.status, 204);
    called(None);
    site.stop_all();
}
