//! What happens while Vault does not give what it is asked for.

use serde_json::json;

use super::{post, ready, until_status, with_key};
use crate::provoked::provoked;
use crate::support::{Program, Setup, Vault, until};

/// Keeps the first log line with this code.
#[track_caller]
fn logged(program: &Program, code: &str) {
    let line = until(&format!("{code} in the log"), || {
        program.log().lines().find(|line| line.contains(code)).map(ToOwned::to_owned)
    });
    provoked(code, &line);
}

/// The secret stays in force, and readiness says since when it could not be read again.
#[track_caller]
fn kept(program: &Program, code: &str) {
    until("the note of readiness", || ready(program.http()).1.contains(code).then_some(()));
    let (status, text) = ready(program.http());
    assert_eq!(status, 200, "{text}");
    assert_eq!(post(program, "good-key"), 200);
    assert_eq!(program.ingestor_metric("mutt_vault_up", &[]), 0.0);
    let mut api = program.api();
    let health = api.get("/api/v2/health");
    let notices = health["notices"].as_array().unwrap();
    assert!(notices.iter().any(|notice| notice["code"] == code), "{health}");
}

#[track_caller]
fn well_again(program: &Program) {
    until("no note any more", || (ready(program.http()).1 == "ready\n").then_some(()));
    assert_eq!(program.ingestor_metric("mutt_vault_up", &[]), 1.0);
}

#[test]
fn a_sealed_vault_takes_nothing_away() {
    let vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let program = with_key(&vault).start();
    vault.seal();
    kept(&program, "MUTT-C011");
    logged(&program, "MUTT-C011");
    vault.unseal();
    well_again(&program);
    program.stop();
}

#[test]
fn a_vault_that_was_killed_and_comes_back_sealed_is_waited_for() {
    let mut vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let program = with_key(&vault).start();
    vault.kill();
    kept(&program, "MUTT-C010");
    vault.run();
    kept(&program, "MUTT-C011");
    vault.unseal();
    well_again(&program);
    vault.put("mutt/prod", &json!({ "INGEST": "new-key" }));
    until_status(&program, "new-key", 200);
    program.stop();
}

#[test]
fn a_policy_that_is_taken_away_is_told_and_takes_nothing_away() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let program = with_key(&vault).start();
    vault.permit("path \"kv1/other\" { capabilities = [\"read\"] }");
    kept(&program, "MUTT-C013");
    logged(&program, "MUTT-C013");
    vault.permit("path \"secret/data/mutt/*\" { capabilities = [\"read\"] }");
    well_again(&program);
    program.stop();
}

#[test]
fn a_key_that_is_deleted_stays_in_force_and_is_told() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let program = with_key(&vault).start();
    vault.put("mutt/prod", &json!({ "OTHER": "x" }));
    kept(&program, "MUTT-C014");
    logged(&program, "MUTT-C014");
    vault.call("DELETE", "secret/data/mutt/prod", None);
    kept(&program, "MUTT-C014");
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    well_again(&program);
    program.stop();
}

#[test]
fn a_program_that_starts_before_vault_waits_and_then_works() {
    let mut vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let setup = with_key(&vault);
    vault.kill();
    let program = setup.start();
    let (status, text) = ready(program.http());
    assert_eq!(status, 503);
    assert!(text.contains("missing: vault") && text.contains("MUTT-C010"), "{text}");
    logged(&program, "MUTT-C010");
    // It may be the right key: the sender is to come again, not to give up.
    assert_eq!(post(&program, "good-key"), 503);
    assert_eq!(program.ingestor_metric("mutt_secrets_missing", &[]), 1.0);
    vault.run();
    until("sealed", || ready(program.http()).1.contains("MUTT-C011").then_some(()));
    vault.unseal();
    until_status(&program, "good-key", 200);
    well_again(&program);
    assert_eq!(post(&program, "another"), 401);
    program.stop();
}

#[test]
fn a_secret_id_that_is_used_up_is_told_and_a_new_one_is_taken_without_a_restart() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    vault.role(&json!({ "token_ttl": "3s", "token_max_ttl": "4s", "secret_id_num_uses": 1 }));
    let setup = with_key(&vault);
    let program = setup.start();
    kept(&program, "MUTT-C012");
    logged(&program, "MUTT-C012");
    assert!(ready(program.http()).1.contains("vault write -f auth/approle/role/"));
    assert!(program.ingestor_metric("mutt_vault_logins_total", &["outcome=\"refused\""]) >= 1.0);
    vault.role(&json!({ "secret_id_num_uses": 0 }));
    std::fs::write(setup.folder().join("secret_id"), vault.new_secret_id()).unwrap();
    well_again(&program);
    program.stop();
}

#[test]
fn a_wrong_secret_id_is_waited_for() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    let setup = with_key(&vault);
    std::fs::write(setup.folder().join("secret_id"), "wrong").unwrap();
    let program = setup.start();
    assert!(ready(program.http()).1.contains("MUTT-C012"));
    std::fs::write(setup.folder().join("secret_id"), vault.new_secret_id()).unwrap();
    until_status(&program, "good-key", 200);
    program.stop();
}

#[test]
fn a_community_in_vault_is_waited_for_and_never_any() {
    use crate::support::senders::{ask, inform_pdu};
    use std::net::UdpSocket;
    let mut vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "COMMUNITY": "public" }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    setup.set("ingestor.snmp", "communities = [{ vault = \"secret/mutt/prod#COMMUNITY\" }]");
    vault.kill();
    let program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&inform_pdu(1, "a"), program.snmp()).unwrap();
    until("the drop", || {
        let dropped = program.ingestor_metric("mutt_ingest_dropped_total", &["community"]);
        (dropped >= 1.0).then_some(())
    });
    vault.run();
    vault.unseal();
    until("readiness", || (ready(program.http()).0 == 200).then_some(()));
    socket.set_read_timeout(Some(crate::support::wait::LONG)).unwrap();
    ask(&socket, program.snmp(), &inform_pdu(2, "a"), 2).unwrap();
    program.stop();
}
