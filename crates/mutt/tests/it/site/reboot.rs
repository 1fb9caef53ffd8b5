//! After a reboot the services stand before Redis, PostgreSQL and Vault, and these come in any order:
//! each process waits, says what it misses, ends never, lets nobody in meanwhile, and works in the end.

use serde_json::json;

use super::load::soak_seed;
use crate::support::http::Client;
use crate::support::site::{INGEST_KEY, SERVICES};
use crate::support::{Receiver, Reply, Site, Vault, until};

/// The role that the server asks for a password.
const ROLE: &str = "mutt_locked";
/// Every order in which three servers may come.
const ORDERS: [[&str; 3]; 6] = [
    ["vault", "redis", "postgres"],
    ["vault", "postgres", "redis"],
    ["redis", "vault", "postgres"],
    ["redis", "postgres", "vault"],
    ["postgres", "vault", "redis"],
    ["postgres", "redis", "vault"],
];
/// Orders of the short form.
const SHORT: usize = 2;

/// A site whose ingest key and password of PostgreSQL lie in Vault.
fn with_vault(vault: &Vault, receiver: &Receiver) -> Site {
    let mut site = Site::bare_as(ROLE, "PASSWORD 'pg-of-vault'");
    vault.put("mutt/prod", &json!({ "INGEST": INGEST_KEY, "PG": "pg-of-vault" }));
    site.webhook("hook", &receiver.url(), "");
    site.ingest_key("{ vault = \"secret/mutt/prod#INGEST\" }");
    site.configure("store", "password = { vault = \"secret/mutt/prod#PG\" }");
    site.configure("vault", &vault.section(site.folder(), "refresh = \"1s\""));
    site
}

fn post(site: &Site, key: &str) -> u16 {
    let body = br#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;
    let headers = [("x-api-key", key)];
    let http = site.program("ingestor").http();
    Client::new(http).request("POST", "/ingest", &headers, body).unwrap().status
}

/// What a service says that it misses, as codes.
fn missing(site: &Site, service: &str) -> String {
    let (status, said) = site.readiness(service);
    let missing = said["missing"].to_string();
    assert!(status == 503 || missing == "[]", "{service}: {status} {said}");
    missing
}

/// All five start while all three servers are away, which then come in this order.
fn come(site: &mut Site, vault: &mut Vault, receiver: &Receiver, order: [&str; 3]) {
    let (audited, told) = (site.audited(), receiver.count());
    site.redis.kill();
    site.kill_postgres();
    vault.kill();
    site.start_all(&SERVICES);
    let processes: Vec<u32> = SERVICES.map(|name| site.program(name).id()).into();
    let mut away = order.to_vec();
    for server in order {
        // Nobody is let in by a key that cannot be compared, and nobody is told that it is wrong.
        let expected = if away.contains(&"vault") { 503 } else { 401 };
        assert_eq!(post(site, "another"), expected, "{away:?}");
        for (service, lacks, code) in [
            ("ingestor", "vault", "MUTT-C01"),
            ("moog-forwarder", "postgres", "MUTT-"),
            ("alerter", "redis", "MUTT-S028"),
        ] {
            if away.contains(&lacks) {
                until(&format!("{service} misses {lacks}"), || {
                    missing(site, service).contains(code).then_some(())
                });
            }
        }
        match server {
            "redis" => site.redis.restart(),
            "postgres" => site.start_postgres(),
            _ => {
                vault.run();
                vault.unseal();
                until("the key is known", || (post(site, "another") == 401).then_some(()));
            }
        }
        away.retain(|name| *name != server);
    }
    site.ready();
    assert_eq!(post(site, INGEST_KEY), 200);
    assert_eq!(post(site, "another"), 401);
    until("it is audited", || (site.audited() == audited + 1).then_some(()));
    if told == 0 {
        until("it is told", || (receiver.count() == 1).then_some(()));
    }
    let ledger = site.at_rest();
    assert_eq!(ledger.events.unaccounted, 0, "{order:?}: {ledger:?}");
    let now: Vec<u32> = SERVICES.map(|name| site.program(name).id()).into();
    assert_eq!(now, processes);
    assert!(!SERVICES.iter().any(|name| site.ended(name)), "{order:?}");
    for name in SERVICES {
        assert!(!site.program(name).log().contains("pg-of-vault"), "{name}");
    }
    site.stop_all();
}

fn orders(count: usize, seed: u64) {
    let mut orders = ORDERS;
    fastrand::Rng::with_seed(seed).shuffle(&mut orders);
    let receiver = Receiver::answering(Reply::status(200));
    let mut vault = Vault::on_disk();
    let mut site = with_vault(&vault, &receiver);
    site.migrate();
    for order in &orders[..count] {
        come(&mut site, &mut vault, &receiver, *order);
    }
    println!("row 10: seed {seed}, five services waited for {:?}", &orders[..count]);
}

#[test]
fn row_10_the_engines_and_vault_come_in_a_random_order() {
    orders(SHORT, 20_261_124);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_10_every_order() {
    orders(ORDERS.len(), soak_seed());
}
