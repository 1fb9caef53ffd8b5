//! Rotations under traffic: nothing is refused wrongly, the old secret is refused at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::{post, until_status};
use crate::support::http::{Api, Client};
use crate::support::{Program, Receiver, Reply, Setup, Vault, until};

/// Current and next in Vault, read every second.
fn with_pair(vault: &Vault) -> Setup {
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let pair = r#"keys = [{ name = "sender", key = [{ vault = "secret/mutt/prod#CURRENT" }, { vault = "secret/mutt/prod#NEXT" }] }]"#;
    setup.set("ingestor.http", pair);
    setup
}

/// Sends with a key until told to end; gives how many were accepted and what else was answered.
fn traffic(program: &Program, key: &str, end: &AtomicBool, sent: &AtomicUsize) -> (u64, Vec<u16>) {
    let mut client = Client::new(program.http());
    let (mut accepted, mut other) = (0, Vec::new());
    while !end.load(Ordering::SeqCst) {
        let body =
            format!(r#"{{"hostname":"h","message":"{}"}}"#, sent.fetch_add(1, Ordering::SeqCst));
        let answer = client.request("POST", "/ingest", &[("x-api-key", key)], body.as_bytes());
        match answer.unwrap().status {
            200 => accepted += 1,
            status => other.push(status),
        }
    }
    (accepted, other)
}

#[test]
fn an_ingest_key_is_rotated_with_overlap_under_traffic() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "CURRENT": "key-one" }));
    let program = with_pair(&vault).start();
    let (old_ends, new_ends, sent) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    let accepted = std::thread::scope(|scope| {
        let old = scope.spawn(|| traffic(&program, "key-one", &old_ends, &sent));
        until("traffic", || (sent.load(Ordering::SeqCst) > 50).then_some(()));
        // The overlap begins: both are good.
        vault.put("mutt/prod", &json!({ "CURRENT": "key-one", "NEXT": "key-two" }));
        until_status(&program, "key-two", 200);
        let new = scope.spawn(|| traffic(&program, "key-two", &new_ends, &sent));
        assert_eq!(post(&program, "key-one"), 200);
        old_ends.store(true, Ordering::SeqCst);
        let (a, refused) = old.join().unwrap();
        assert_eq!(refused, Vec::<u16>::new(), "the old key was refused before its end");
        // The senders have the new one: it becomes the current one, and there is no next.
        vault.put("mutt/prod", &json!({ "CURRENT": "key-two" }));
        until_status(&program, "key-one", 401);
        new_ends.store(true, Ordering::SeqCst);
        let (b, refused) = new.join().unwrap();
        assert_eq!(refused, Vec::<u16>::new(), "the new key was refused");
        a + b
    });
    let log = program.log();
    assert!(log.contains("ingestor.http.keys.sender.key") && !log.contains("key-two"), "{log}");
    let changes =
        program.ingestor_metric("mutt_secret_changes_total", &["ingestor.http.keys.sender.key"]);
    assert_eq!(changes, 2.0);
    let ledger = program.at_rest();
    assert!(ledger.events.received >= accepted && ledger.events.unaccounted == 0, "{ledger:?}");
    program.stop();
}

#[test]
fn a_key_in_a_file_changes_without_a_signal() {
    let mut setup = Setup::new();
    let file = setup.folder().join("key");
    std::fs::write(&file, "old").unwrap();
    let key = format!("keys = [{{ name = \"sender\", key = {{ file = {file:?} }} }}]");
    setup.set("ingestor.http", &key);
    let program = setup.start();
    assert_eq!((post(&program, "old"), post(&program, "new")), (200, 401));
    std::fs::write(&file, "new").unwrap();
    until_status(&program, "new", 200);
    assert_eq!(post(&program, "old"), 401);
    // What is gone or empty takes nothing away.
    std::fs::write(&file, "").unwrap();
    until("the warning", || program.log().contains("cannot be read again").then_some(()));
    assert_eq!(post(&program, "new"), 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(post(&program, "new"), 200);
    program.stop();
}

#[test]
fn a_web_token_in_vault_is_rotated() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "TOKEN": "token-one" }));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let tokens = r#"tokens = [{ name = "ops", role = "admin", token = { vault = "secret/mutt/prod#TOKEN" } }]"#;
    setup.set("web_ui", tokens);
    let program = setup.start();
    let status = |token: &str| {
        let mut api = Api::new(program.pages(), token.to_owned());
        api.call("GET", "/api/v2/ledger", None).unwrap().status
    };
    assert_eq!((status("token-one"), status("token-two")), (200, 401));
    vault.put("mutt/prod", &json!({ "TOKEN": "token-two" }));
    until("the new token", || (status("token-two") == 200).then_some(()));
    assert_eq!(status("token-one"), 401);
    program.stop();
}

const PROBLEM: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;
const OTHER: &str = r#"{"hostname":"edge-r2","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/2, changed state to down"}"#;

#[test]
fn a_sink_that_demands_the_new_credential_gets_it_and_no_attempt_is_lost() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "MOOG": "credential-one" }));
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let auth = "auth = { bearer = { vault = \"secret/mutt/prod#MOOG\" } }";
    setup.webhook("moog", &receiver.url(), auth);
    let program = setup.start();
    assert_eq!(program.ingest(&[], PROBLEM).status, 200);
    until("the first delivery", || (receiver.count() == 1).then_some(()));
    assert_eq!(receiver.seen()[0].headers["authorization"], "Bearer credential-one");
    // The receiver wants another one from now on: the lane is held, nothing is burnt.
    receiver.now_answers(Reply::status(401));
    assert_eq!(program.ingest(&[], OTHER).status, 200);
    until("the hold", || program.log().contains("MUTT-F002").then_some(()));
    receiver.now_answers(Reply::status(200));
    vault.put("mutt/prod", &json!({ "MOOG": "credential-two" }));
    let taken = until("the delivery with the new one", || {
        let seen = receiver.seen();
        let found = seen.iter().find(|s| s.headers["authorization"] == "Bearer credential-two");
        found.filter(|seen| seen.status == 200).cloned()
    });
    assert!(taken.key().contains("edge-r2"), "{}", taken.key());
    let ledger = program.at_rest();
    assert_eq!((ledger.deliveries.delivered, ledger.deliveries.dead), (2, 0), "{ledger:?}");
    program.stop();
}
