//! The password of PostgreSQL is changed at the server under load: nothing is refused, the balance is
//! exact, and the old password is refused at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::http::Client;
use crate::support::site::{INGEST_KEY, SERVICES};
use crate::support::{Site, until};

/// The role that the server asks for a password.
const ROLE: &str = "mutt_locked";

fn post(client: &mut Client, number: usize) -> u16 {
    let body = format!(r#"{{"hostname":"h{}","severity":5,"message":"{number}"}}"#, number % 50);
    let headers = [("x-api-key", INGEST_KEY)];
    client.request("POST", "/ingest", &headers, body.as_bytes()).unwrap().status
}

#[test]
fn the_password_of_postgresql_is_rotated_under_load() {
    let mut site = Site::bare_as(ROLE, "PASSWORD 'pg-one'");
    let secrets = tempfile::tempdir().unwrap();
    let file = |name: &str, value: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, value).unwrap();
        path
    };
    let (current, next) = (file("current", "pg-one"), file("next", "pg-two"));
    site.configure(
        "store",
        &format!("password = [{{ file = {current:?} }}, {{ file = {next:?} }}]"),
    );
    site.migrate();
    site.start_all(&SERVICES);
    site.ready();
    let (end, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let http = site.program("ingestor").http();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut client = Client::new(http);
            let mut refused = Vec::new();
            while !end.load(Ordering::SeqCst) {
                let status = post(&mut client, sent.fetch_add(1, Ordering::SeqCst));
                if status != 200 {
                    refused.push(status);
                }
            }
            refused
        });
        until("load is audited", || (site.audited() > 100).then_some(()));
        site.execute(&format!("ALTER ROLE {ROLE} PASSWORD 'pg-two'"));
        let ended = site.count(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        ));
        assert!(ended >= 4, "each of four services is connected: {ended}");
        let before = i64::try_from(sent.load(Ordering::SeqCst)).unwrap();
        until("what was sent after it is audited", || {
            (site.audited() > before + 100).then_some(())
        });
        end.store(true, Ordering::SeqCst);
        assert_eq!(load.join().unwrap(), Vec::<u16>::new());
    });
    assert!(!site.lets_in(ROLE, "pg-one") && site.lets_in(ROLE, "pg-two"));
    site.ready();
    let sent = sent.load(Ordering::SeqCst);
    let ledger = site.at_rest();
    assert_eq!((ledger.events.received, ledger.events.unaccounted), (sent as u64, 0));
    assert_eq!(site.audited(), i64::try_from(sent).unwrap());
    for name in SERVICES {
        let log = site.program(name).log();
        assert!(!log.contains("pg-one") && !log.contains("pg-two"), "{name}");
    }
    site.stop_all();
}
