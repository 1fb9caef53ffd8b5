//! TLS with Vault, and the private key of a listener that lies in it.

use serde_json::json;

use super::{post, ready, until_status, with_key};
use crate::support::{Setup, Vault, until};
use crate::tls::{authority, client, issued, post as post_over_tls};

#[test]
fn vault_is_asked_over_tls_with_our_certificate_and_its_own_authority() {
    let (ca_pem, ca) = authority();
    let (cert, key) = issued(&ca, "127.0.0.1");
    let vault = Vault::with_tls(&ca_pem, &cert, &key);
    vault.put("mutt/prod", &json!({ "INGEST": "good-key" }));
    // Without the authority its certificate is not trusted: nothing is sent to it.
    let program = with_key(&vault).start();
    let (status, text) = ready(program.http());
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("MUTT-C010") && text.to_lowercase().contains("certificate"), "{text}");
    program.stop();
    let mut setup = with_key(&vault);
    let (ours, our_key) = issued(&ca, "mutt.test");
    for (name, pem) in [("ca.pem", &ca_pem), ("ours.pem", &ours), ("ours.key", &our_key)] {
        std::fs::write(setup.folder().join(name), pem).unwrap();
    }
    let at = |name: &str| setup.folder().join(name);
    let lines = format!(
        "ca = {:?}\nclient_cert = {:?}\nclient_key = {{ file = {:?} }}",
        at("ca.pem"),
        at("ours.pem"),
        at("ours.key")
    );
    let program = setup.set("vault", &lines).start();
    assert_eq!(post(&program, "good-key"), 200, "{}", program.log());
    vault.put("mutt/prod", &json!({ "INGEST": "new-key" }));
    until_status(&program, "new-key", 200);
    program.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_key_of_a_listener_comes_from_vault_when_vault_does() {
    let (ca_pem, ca) = authority();
    let (cert, key) = issued(&ca, "ingest.test");
    let mut vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "TLS": key }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let file = setup.folder().join("cert.pem");
    std::fs::write(&file, cert).unwrap();
    let tls = format!("tls = {{ cert = {file:?}, key = {{ vault = \"secret/mutt/prod#TLS\" }} }}");
    setup.set("ingestor.http", &tls);
    vault.kill();
    let program = setup.start();
    assert!(post_over_tls(&program, &client(&program, &ca_pem, None)).await.is_err());
    vault.run();
    vault.unseal();
    until("the key", || program.log().contains("Vault gives secrets again").then_some(()));
    assert_eq!(post_over_tls(&program, &client(&program, &ca_pem, None)).await.unwrap(), 200);
    // Both are changed, one after the other: in between the last good pair stays.
    let (cert, key) = issued(&ca, "ingest.test");
    vault.put("mutt/prod", &json!({ "TLS": key }));
    until("the change", || program.log().contains("ingestor.http.tls.key").then_some(()));
    assert_eq!(post_over_tls(&program, &client(&program, &ca_pem, None)).await.unwrap(), 200);
    std::fs::write(&file, cert).unwrap();
    assert_eq!(post_over_tls(&program, &client(&program, &ca_pem, None)).await.unwrap(), 200);
    program.stop();
}
