//! Row 35, its long form: Vault is sealed, killed, forbids, has no use of a secret id left, again and
//! again. The last good secret stays in force, no other is ever taken, and none is in the log. The short
//! forms stand in `secrets/trouble.rs`.

use std::time::Duration;

use serde_json::json;

use super::seed;
use crate::secrets::{post, ready, until_status, with_key};
use crate::support::wait::within;
use crate::support::{Program, Vault, until};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Sealed,
    Killed,
    Forbidden,
    UsedUp,
}

const RIGHTS: &str = "path \"secret/data/mutt/*\" { capabilities = [\"read\"] }";

impl Fault {
    fn begins(self, vault: &mut Vault, secret_id: &std::path::Path) -> &'static [&'static str] {
        match self {
            Self::Sealed => vault.seal(),
            Self::Killed => vault.kill(),
            Self::Forbidden => {
                vault.permit("path \"kv1/other\" { capabilities = [\"read\"] }");
            }
            Self::UsedUp => {
                vault.role(&json!({ "secret_id_num_uses": 1 }));
                let id = vault.new_secret_id();
                // Its one use.
                let body = json!({ "role_id": vault.role_id(), "secret_id": id });
                vault.must("POST", "auth/approle/login", &body);
                std::fs::write(secret_id, id).unwrap();
            }
        }
        match self {
            Self::Sealed => &["MUTT-C011"],
            Self::Killed => &["MUTT-C010"],
            Self::Forbidden => &["MUTT-C013"],
            Self::UsedUp => &["MUTT-C012"],
        }
    }

    fn ends(self, vault: &mut Vault, secret_id: &std::path::Path) {
        match self {
            Self::Sealed => vault.unseal(),
            Self::Killed => {
                vault.run();
                vault.unseal();
            }
            Self::Forbidden => vault.permit(RIGHTS),
            Self::UsedUp => {
                vault.role(&json!({ "secret_id_num_uses": 0 }));
                std::fs::write(secret_id, vault.new_secret_id()).unwrap();
            }
        }
    }
}

/// Posts for a while: the key that is good is taken, another one never.
fn in_force(program: &Program, key: &str, old: &str) -> usize {
    let mut posts = 0;
    within(Duration::from_millis(1_500), || {
        assert_eq!(post(program, key), 200);
        for wrong in [old, "", "mutt", "changeme"] {
            assert_eq!(post(program, wrong), 401, "{wrong:?} was let in");
        }
        posts += 1;
        None::<()>
    });
    posts
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_35_vault() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut vault = Vault::on_disk();
    // The token's lease ends while Vault is away.
    vault.role(&json!({ "token_ttl": "3s", "token_max_ttl": "6s" }));
    vault.put("mutt/prod", &json!({ "INGEST": "key-of-round-0" }));
    let setup = with_key(&vault);
    let secret_id = setup.folder().join("secret_id");
    let program = setup.start();
    let (mut key, mut old, mut posts) = ("key-of-round-0".to_owned(), "none".to_owned(), 0);
    for round in 1..=20 {
        let faults = [Fault::Sealed, Fault::Killed, Fault::Forbidden, Fault::UsedUp];
        let fault = random.choice(faults).unwrap();
        println!("row 35: round {round}, {fault:?}");
        let codes = fault.begins(&mut vault, &secret_id);
        until("the note of readiness", || {
            let (status, text) = ready(program.http());
            assert_eq!(status, 200, "{text}");
            codes.iter().any(|code| text.contains(code)).then_some(())
        });
        posts += in_force(&program, &key, &old);
        fault.ends(&mut vault, &secret_id);
        until("no note any more", || (ready(program.http()).1 == "ready\n").then_some(()));
        let next = format!("key-of-round-{round}");
        vault.put("mutt/prod", &json!({ "INGEST": next }));
        until_status(&program, &next, 200);
        old = std::mem::replace(&mut key, next);
    }
    let log = program.log();
    assert!(!log.contains("key-of-round"), "a secret is in the log");
    println!(
        "row 35: seed {}, 20 faults, {posts} posts with the last good key taken meanwhile, {} with another refused, 0 secrets in the log",
        seed(),
        posts * 4
    );
    program.stop();
}
