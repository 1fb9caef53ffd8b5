//! A password is changed at its server under load: nothing is refused, the balance is exact, no process
//! is started again, and the old password is refused at the end. Once with both passwords given before,
//! and once with a single value that is replaced when the server refuses it already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::http::Client;
use crate::support::site::{INGEST_KEY, SERVICES};
use crate::support::{Site, until};

/// The role that the server asks for a password.
const ROLE: &str = "mutt_locked";

/// Ends the load also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn post(client: &mut Client, number: usize) -> u16 {
    let body = format!(r#"{{"hostname":"h{}","severity":5,"message":"{number}"}}"#, number % 50);
    let headers = [("x-api-key", INGEST_KEY)];
    client.request("POST", "/ingest", &headers, body.as_bytes()).unwrap().status
}

/// Posts one event after the other, until some were audited that were sent after `change`. None may be
/// refused. Gives how many were sent.
fn under_load(site: &Site, change: impl FnOnce()) -> usize {
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
        let ends = Ends(&end);
        until("load is audited", || (site.audited() > 100).then_some(()));
        change();
        let before = i64::try_from(sent.load(Ordering::SeqCst)).unwrap();
        until("what was sent after it is audited", || {
            (site.audited() > before + 100).then_some(())
        });
        drop(ends);
        assert_eq!(load.join().unwrap(), Vec::<u16>::new());
    });
    sent.load(Ordering::SeqCst)
}

/// Every process is the one that was started, and is ready; each of the events stands in the audit
/// once; no password stands in a log.
fn balanced(site: &mut Site, sent: usize, passwords: [&str; 2]) {
    assert!(SERVICES.iter().all(|name| !site.ended(name)));
    site.ready();
    let ledger = site.at_rest();
    assert_eq!((ledger.events.received, ledger.events.unaccounted), (sent as u64, 0));
    let audit = site.audit();
    let numbers: BTreeSet<&str> = audit.events.iter().map(|event| &*event.message).collect();
    assert_eq!((audit.events.len(), numbers.len()), (sent, sent));
    for name in SERVICES {
        let log = site.program(name).log();
        assert!(!passwords.iter().any(|password| log.contains(password)), "{name}");
    }
    site.stop_all();
}

/// A secret in a file, put there whole.
fn secret(folder: &Path, name: &str, value: &str) -> PathBuf {
    let (path, beside) = (folder.join(name), folder.join("beside"));
    std::fs::write(&beside, value).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    path
}

/// Takes another password from the role, and ends every connection of the one before.
fn change_role(site: &Site) {
    site.execute(&format!("ALTER ROLE {ROLE} PASSWORD 'pg-two'"));
    let ended = site.count(&format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    ));
    assert!(ended >= 4, "each of four services is connected: {ended}");
    assert!(!site.lets_in(ROLE, "pg-one") && site.lets_in(ROLE, "pg-two"));
}

/// Waits until each of these says that it is not ready.
fn miss_it(site: &Site, services: &[&str]) {
    for name in services {
        until(&format!("{name} is refused"), || (site.readiness(name).0 == 503).then_some(()));
    }
}

#[test]
fn the_password_of_postgresql_is_rotated_under_load() {
    let mut site = Site::bare_as(ROLE, "PASSWORD 'pg-one'");
    let current = secret(site.folder(), "current", "pg-one");
    let next = secret(site.folder(), "next", "pg-two");
    site.configure(
        "store",
        &format!("password = [{{ file = {current:?} }}, {{ file = {next:?} }}]"),
    );
    site.migrate();
    site.start_all(&SERVICES);
    site.ready();
    let sent = under_load(&site, || change_role(&site));
    balanced(&mut site, sent, ["pg-one", "pg-two"]);
}

#[test]
fn one_password_of_postgresql_is_replaced_in_its_file_while_the_server_refuses_the_old_one() {
    let mut site = Site::bare_as(ROLE, "PASSWORD 'pg-one'");
    let file = secret(site.folder(), "password", "pg-one");
    site.configure("store", &format!("password = {{ file = {file:?} }}"));
    site.migrate();
    site.start_all(&SERVICES);
    site.ready();
    let sent = under_load(&site, || {
        change_role(&site);
        miss_it(&site, &SERVICES[1..]);
        secret(site.folder(), "password", "pg-two");
    });
    balanced(&mut site, sent, ["pg-one", "pg-two"]);
}

#[test]
fn one_password_of_redis_is_replaced_in_its_file_while_the_server_refuses_the_old_one() {
    let mut site = Site::new();
    site.redis.command(&["ACL", "SETUSER", "mutt", "on", ">redis-one", "~*", "&*", "+@all"]);
    let file = secret(site.folder(), "password", "redis-one");
    site.configure("queue", &format!("user = \"mutt\"\npassword = {{ file = {file:?} }}"));
    site.start_all(&SERVICES);
    site.ready();
    let sent = under_load(&site, || {
        site.redis.command(&["ACL", "SETUSER", "mutt", ">redis-two", "<redis-one"]);
        site.redis.command(&["CLIENT", "KILL", "USER", "mutt"]);
        miss_it(&site, &["alerter"]);
        secret(site.folder(), "password", "redis-two");
    });
    let lets_in = |password| site.redis.command(&["AUTH", "mutt", password]) == "OK";
    assert!(!lets_in("redis-one") && lets_in("redis-two"));
    balanced(&mut site, sent, ["redis-one", "redis-two"]);
}
