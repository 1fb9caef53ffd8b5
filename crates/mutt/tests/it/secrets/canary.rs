//! No secret shows: not in the log, not in metrics, not in an answer, not in what commands print.

use std::process::{Command, Stdio};

use serde_json::json;

use super::{ready, with_key};
use crate::support::http::{Api, Client};
use crate::support::program::MUTTCTL;
use crate::support::{Program, Receiver, Reply, Setup, Vault, until};

/// What a command printed, on both ways, and how it ended.
fn muttctl(setup: &Setup, args: &[&str]) -> (i32, String) {
    let out = Command::new(MUTTCTL)
        .args(args)
        .current_dir(setup.folder())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap(), String::from_utf8(text).unwrap())
}

const EVENT: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;

/// Everything that somebody who may read everything can read.
fn all_that_shows(program: &Program, setup: &Setup, token: &str) -> String {
    let mut shown = program.log();
    let config = setup.folder().join("mutt.toml").display().to_string();
    for address in [program.http(), program.pages()] {
        let metrics = Client::new(address).request("GET", "/metrics", &[], b"").unwrap();
        shown.push_str(&String::from_utf8(metrics.body).unwrap());
        shown.push_str(&ready(address).1);
    }
    let mut api = Api::new(program.pages(), token.to_owned());
    for path in ["health", "config", "sinks", "deliveries", "events", "changes", "ledger"] {
        let answer = api.call("GET", &format!("/api/v2/{path}"), None).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        shown.push_str(&String::from_utf8(answer.body).unwrap());
    }
    let url = format!("http://{}", program.pages());
    std::fs::write(setup.folder().join("cli-token"), token).unwrap();
    for args in [
        &["check", "--config", &config, "--secrets"][..],
        &["config", "origin", "--config", &config],
        &["config", "show", "--url", &url, "--token-file", "cli-token"],
        &["doctor", "--config", &config, "--url", &url, "--token-file", "cli-token"],
    ] {
        shown.push_str(&muttctl(setup, args).1);
    }
    shown
}

#[test]
fn no_secret_shows_anywhere() {
    let vault = Vault::on_disk();
    let canaries = json!({
        "INGEST": "canary-ingest-key", "NEXT": "canary-ingest-next", "TOKEN": "canary-web-token",
        "MOOG": "canary-sink-credential", "COMMUNITY": "canary-community",
    });
    vault.put("mutt/prod", &canaries);
    let receiver = Receiver::answering(Reply::status(401));
    let mut setup = Setup::new();
    vault.configure(&mut setup, "refresh = \"1s\"");
    let place = |key: &str| format!("{{ vault = \"secret/mutt/prod#{key}\" }}");
    let keys =
        format!("keys = [{{ name = \"a\", key = [{}, {}] }}]", place("INGEST"), place("NEXT"));
    let tokens =
        format!("tokens = [{{ name = \"ops\", role = \"admin\", token = {} }}]", place("TOKEN"));
    setup.set("ingestor.http", &keys).set("web_ui", &tokens);
    setup.set("ingestor.snmp", &format!("communities = [{}]", place("COMMUNITY")));
    setup.set("log", "level = \"trace\"");
    setup.webhook("moog", &receiver.url(), &format!("auth = {{ bearer = {} }}", place("MOOG")));
    let program = setup.start();
    let mut ingest = Client::new(program.http());
    let headers = [("x-api-key", "canary-ingest-key")];
    let answer = ingest.request("POST", "/ingest", &headers, EVENT.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    until("the hold", || program.log().contains("MUTT-F002").then_some(()));
    // A rotation, a refusal and a seal, so that each of their words is there too.
    let mut changed = canaries.clone();
    changed["MOOG"] = json!("canary-other-credential");
    vault.put("mutt/prod", &changed);
    until("the change", || program.log().contains("new credential").then_some(()));
    vault.seal();
    until("the seal", || program.log().contains("MUTT-C011").then_some(()));
    let shown = all_that_shows(&program, &setup, "canary-web-token");
    assert!(shown.contains("secret/mutt/prod#INGEST"), "references are shown");
    let opener = |name: &str| std::fs::read_to_string(setup.folder().join(name)).unwrap();
    for secret in ["canary-", &opener("secret_id"), &opener("role_id")] {
        let at = shown.find(secret);
        let near = at.map(|at| &shown[at.saturating_sub(200)..(at + 60).min(shown.len())]);
        assert_eq!(near, None, "`{secret}` shows");
    }
    // A token of Vault begins with `s.` or `hvs.` and goes on for 24 signs.
    let token = regex::Regex::new(r"\b(hv)?s\.[A-Za-z0-9]{24}").unwrap();
    assert!(token.find(&shown).is_none());
    program.stop();
}

#[test]
fn check_asks_vault_and_names_what_cannot_be_had_without_a_value() {
    let vault = Vault::in_memory();
    vault.put("mutt/prod", &json!({ "INGEST": "canary-ingest-key" }));
    let mut setup = with_key(&vault);
    let config = setup.write().display().to_string();
    let (exit, said) = muttctl(&setup, &["check", "--config", &config, "--secrets"]);
    assert_eq!(exit, 0, "{said}");
    assert!(!said.contains("canary"), "{said}");
    setup.set(
        "ingestor.snmp",
        "communities = [{ vault = \"secret/mutt/prod#NONE\" }, { vault = \"secret/other#X\" }]",
    );
    setup.write();
    let (exit, said) = muttctl(&setup, &["check", "--config", &config]);
    assert_eq!(exit, 0, "without --secrets Vault is not asked: {said}");
    let (exit, said) = muttctl(&setup, &["check", "--config", &config, "--secrets"]);
    assert_eq!(exit, 78, "{said}");
    assert!(said.contains("MUTT-C014") && said.contains("has no key NONE"), "{said}");
    assert!(said.contains("MUTT-C013") && said.contains("secret/data/other"), "{said}");
    assert!(said.contains("`ingestor.snmp.communities`") && !said.contains("canary"), "{said}");
}
