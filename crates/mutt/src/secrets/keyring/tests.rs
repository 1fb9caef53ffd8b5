//! Which secrets a process looks for.

use super::*;
use crate::config::env::NoEnv;
use crate::config::{Overrides, load};

const WHOLE: &str = r#"
[queue]
url = "rediss://redis.example.net:6380"
user = "mutt"
password = { vault = "secret/queue#PASSWORD" }
[store]
url = "postgres://mutt@db.example.net/mutt"
password = { vault = "secret/store#PASSWORD" }
owner = { user = "mutt_owner", password = { vault = "secret/owner#PASSWORD" } }
[ingestor.http]
keys = [{ name = "senders", key = { vault = "secret/ingest#KEY" } }]
[sinks.hook]
kind = "webhook"
url = "https://hook.example.net/"
auth = { bearer = { vault = "secret/sinks#HOOK" } }
[web_ui]
tokens = [{ name = "boss", role = "admin", token = { vault = "secret/people#BOSS" } }]
[vault]
url = "https://vault.example.net:8200"
role_id = { file = "/role" }
secret_id = { file = "/secret" }
"#;

fn config(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mutt.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file), &NoEnv, &Overrides::default()).unwrap_or_else(|e| panic!("{e:#?}"))
}

/// The paths of Vault that these services ask for, without the mount.
fn asked(keyring: &Keyring) -> String {
    let held = keyring.held();
    let paths = held.places.keys().filter_map(|place| match place {
        SecretRef::Vault(reference) => reference.path.strip_prefix("secret/").map(str::to_owned),
        _ => None,
    });
    paths.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_process_asks_for_the_secrets_of_its_services_and_no_others() {
    let whole = config(WHOLE);
    let of = |services: &[Service]| {
        asked(&Keyring::of(services, &whole, Box::new(NoEnv), Clock::System))
    };
    assert_eq!(of(&[Service::Ingestor]), "ingest queue store");
    assert_eq!(of(&[Service::Alerter]), "queue store");
    assert_eq!(of(&[Service::MoogForwarder]), "sinks store");
    assert_eq!(of(&[Service::Remediation]), "owner store");
    assert_eq!(of(&[Service::WebUi]), "owner people queue sinks store");
    assert_eq!(of(&[Service::Alerter, Service::Remediation]), "owner queue store");
    let all = "ingest owner people queue sinks store";
    assert_eq!(of(&Service::ALL), all);
    // `muttctl check` looks at the whole configuration.
    assert_eq!(asked(&Keyring::new(&whole, Box::new(NoEnv), Clock::System)), all);
}

#[test]
fn an_ingestor_without_a_report_needs_no_password_of_the_store_also_after_a_reload() {
    let quiet =
        config(&WHOLE.replace("[ingestor.http]", "[ingestor]\nreport = false\n[ingestor.http]"));
    let keyring = Keyring::of(&[Service::Ingestor], &quiet, Box::new(NoEnv), Clock::System);
    assert_eq!(asked(&keyring), "ingest queue");
    keyring.declare(&config(WHOLE));
    assert_eq!(asked(&keyring), "ingest queue store");
    keyring.declare(&quiet);
    assert_eq!(asked(&keyring), "ingest queue");
}
