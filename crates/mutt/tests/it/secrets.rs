//! Secrets while the program runs: from Vault and from files, rotated without a restart, kept when their
//! place cannot be asked, never shown.

mod canary;
mod certificates;
mod engines;
mod rotation;
mod tls;
mod trouble;

use std::net::SocketAddr;

use serde_json::json;

use crate::support::http::Client;
use crate::support::{Program, Setup, Vault, until};

/// An ingest key in Vault, version 2, read every second.
pub(super) fn with_key(vault: &Vault) -> Setup {
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let key = r#"keys = [{ name = "sender", key = { vault = "secret/mutt/prod#INGEST" } }]"#;
    setup.set("ingestor.http", key);
    setup
}

/// What the Ingestor answers to an event with this key.
pub(super) fn post(program: &Program, key: &str) -> u16 {
    let body = br#"{"hostname":"h","message":"m"}"#;
    let headers = [("x-api-key", key)];
    Client::new(program.http()).request("POST", "/ingest", &headers, body).unwrap().status
}

#[track_caller]
pub(super) fn until_status(program: &Program, key: &str, status: u16) {
    until(&format!("{status} for a key"), || (post(program, key) == status).then_some(()));
}

/// Status and text of the readiness of a port.
pub(super) fn ready(address: SocketAddr) -> (u16, String) {
    let answer = Client::new(address).request("GET", "/health/ready", &[], b"").unwrap();
    (answer.status, String::from_utf8(answer.body).unwrap())
}

#[test]
fn secrets_of_both_kv_versions_are_read_and_the_version_is_found_out() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "key-of-two" }));
    vault.must("POST", "kv1/mutt", &json!({ "INGEST": "key-of-one" }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let keys = r#"keys = [{ name = "two", key = { vault = "secret/mutt/prod#INGEST" } }, { name = "one", key = { vault = "kv1/mutt#INGEST" } }]"#;
    setup.set("ingestor.http", keys);
    let program = setup.start();
    for (key, status) in [("key-of-two", 200), ("key-of-one", 200), ("another", 401)] {
        assert_eq!(post(&program, key), status, "{key}");
    }
    assert_eq!(program.ingestor_metric("mutt_vault_up", &[]), 1.0);
    program.stop();
}

#[test]
fn the_version_is_found_out_where_mounts_may_not_be_asked_for() {
    let vault = Vault::in_memory();
    vault.permit(
        "path \"secret/data/mutt/*\" { capabilities = [\"read\"] }\npath \"kv1/mutt\" { capabilities = [\"read\"] }\npath \"sys/internal/ui/mounts/*\" { capabilities = [\"deny\"] }",
    );
    vault.put("mutt/prod", &json!({ "INGEST": "key-of-two" }));
    vault.must("POST", "kv1/mutt", &json!({ "INGEST": "key-of-one" }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "");
    let keys = r#"keys = [{ name = "two", key = { vault = "secret/mutt/prod#INGEST" } }, { name = "one", key = { vault = "kv1/mutt#INGEST" } }]"#;
    setup.set("ingestor.http", keys);
    let program = setup.start();
    assert_eq!((post(&program, "key-of-two"), post(&program, "key-of-one")), (200, 200));
    program.stop();
}

#[test]
fn a_token_is_renewed_and_replaced_at_the_end_that_no_renewal_passes() {
    let vault = Vault::in_memory();
    vault.role(&json!({ "token_ttl": "4s", "token_max_ttl": "7s" }));
    vault.put("mutt/prod", &json!({ "INGEST": "first" }));
    let program = with_key(&vault).start();
    let logins = || program.ingestor_metric("mutt_vault_logins_total", &["outcome=\"ok\""]);
    until("three logins", || (logins() >= 3.0).then_some(()));
    vault.put("mutt/prod", &json!({ "INGEST": "second" }));
    until_status(&program, "second", 200);
    for wrong in ["MUTT-C010", "MUTT-C011", "MUTT-C012", "MUTT-C013"] {
        assert!(!program.log().contains(wrong), "{}", program.log());
    }
    program.stop();
}
