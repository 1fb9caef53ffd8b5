//! SERVICE_OPERATIONS has a table of what each service does when the event queue, the store or Vault is
//! away. Each cell is read out of the document and seen at the process: whether it is ready, and the
//! codes that it names. So document and program cannot part.

use std::collections::BTreeSet;
use std::net::UdpSocket;

use serde_json::json;

use crate::docs;
use crate::support::site::SERVICES;
use crate::support::wait::{LONG, within};
use crate::support::{Receiver, Reply, Site, Vault, until};

/// The same from a device that cannot be answered.
const SAID: &[u8] = b"<189>1 2026-11-23T12:00:00Z edge-r2 app - - - nobody is told of this";
const DOWN: &str = r#"{"hostname":"edge-r1","severity":5,"message":"nobody is told of this"}"#;
/// The columns, by their heads.
const HEADS: [&str; 4] =
    ["event queue away", "store away", "Vault away at the start", "Vault away later"];

/// What a cell promises.
#[derive(Debug, PartialEq, Eq)]
struct Cell {
    ready: bool,
    codes: BTreeSet<String>,
}

impl Cell {
    fn of(text: &str) -> Self {
        let ready = text.starts_with("ready");
        assert!(
            ready || text.starts_with("not ready"),
            "a cell says first whether it is ready: {text}"
        );
        let code = regex::Regex::new("MUTT-[A-Z][0-9]{3}").unwrap();
        Self { ready, codes: code.find_iter(text).map(|found| found.as_str().to_owned()).collect() }
    }
}

/// The cells of a column, in the order of [`SERVICES`].
fn column(head: &str) -> Vec<Cell> {
    let text = docs::read("docs/operations/SERVICE_OPERATIONS.md");
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines =
        text.lines().skip_while(|line| !line.starts_with("| service | event queue away"));
    let heads = cells(lines.next().expect("the table"));
    assert_eq!(heads[1..], HEADS);
    let at = heads.iter().position(|found| found == head).unwrap();
    let rows: Vec<Vec<String>> =
        lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    let names: Vec<String> =
        rows.iter().map(|row| row[0].to_lowercase().replace(' ', "-")).collect();
    assert_eq!(names, SERVICES, "each service has its row");
    rows.iter().map(|row| Cell::of(&row[at])).collect()
}

/// A sealed Vault is the same with another code.
fn sealed(head: &str) -> Vec<Cell> {
    let mut cells = column(head);
    for cell in &mut cells {
        assert!(cell.codes.remove("MUTT-C010"));
        cell.codes.insert("MUTT-C011".to_owned());
    }
    cells
}

/// What a process says of itself: ready, what it misses and what it notes.
fn said(site: &Site, service: &str) -> Cell {
    let (status, json) = site.readiness(service);
    let codes = ["missing", "notes"].into_iter().flat_map(|list| json[list].as_array().unwrap());
    let codes = codes.map(|lack| lack["code"].as_str().unwrap().to_owned()).collect();
    Cell { ready: status == 200, codes }
}

/// Waits until every service is as its cell of this column says, and names nothing else.
#[track_caller]
fn as_the_document_says(site: &Site, head: &str) {
    each_says(site, head, column(head));
}

#[track_caller]
fn each_says(site: &Site, head: &str, cells: Vec<Cell>) {
    for (service, cell) in SERVICES.iter().zip(cells) {
        let mut last = None;
        let found = within(LONG, || {
            let now = said(site, service);
            let right = now == cell;
            last = Some(now);
            right.then_some(())
        });
        assert!(found.is_some(), "{service}, {head}: the document says {cell:?}, not {last:?}");
    }
}

/// An event over HTTP, which is answered, and one over syslog, which is not.
#[track_caller]
fn hear(site: &Site) {
    assert_eq!(site.ingest("ingestor", DOWN).status, 200);
    let device = UdpSocket::bind("127.0.0.1:0").unwrap();
    device.send_to(SAID, site.program("ingestor").syslog_udp()).unwrap();
}

/// Deliveries that wait in the store.
fn waiting(site: &Site) -> i64 {
    site.count("SELECT count(*) FROM mutt.deliveries WHERE state < 3")
}

#[test]
fn every_cell_of_the_engines_is_as_the_document_says() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "rate = \"1/h\"");
    site.start_all(&SERVICES);
    site.ready();
    site.redis.kill();
    hear(&site);
    as_the_document_says(&site, HEADS[0]);
    site.redis.restart();
    until("what was spilled is audited", || (site.audited() == 2).then_some(()));
    // One is told, and one waits for the next hour.
    for port in 0..2 {
        let text = format!("%LINK-3-UPDOWN: Interface Gi0/{port}, changed state to down");
        let event = format!(r#"{{"hostname":"edge-r1","severity":3,"message":"{text}"}}"#);
        assert_eq!(site.ingest("ingestor", &event).status, 200);
    }
    until("one waits", || (receiver.count() == 1 && waiting(&site) == 1).then_some(()));
    site.ready();
    site.kill_postgres();
    as_the_document_says(&site, HEADS[1]);
    hear(&site);
    assert_eq!(receiver.count(), 1);
    site.start_postgres();
    // Nobody could be told how the Ingestor is; now it is told again.
    let reports = "SELECT count(*) FROM mutt.processes WHERE body LIKE '%\"ingestor\"%'";
    let back = site.count("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    until("the Ingestor's report", || {
        (site.count(&format!("{reports} AND reported_at > {back}")) == 1).then_some(())
    });
    site.ready();
    until("what came meanwhile is audited", || (site.audited() == 6).then_some(()));
    // The lane starts anew, with a token.
    until("what stayed in the store is told", || {
        (receiver.count() == 2 && waiting(&site) == 0).then_some(())
    });
    site.stop_all();
}

#[test]
fn every_cell_of_vault_is_as_the_document_says() {
    let mut vault = Vault::on_disk();
    vault.put("mutt/prod", &json!({ "STORE": "pg-one", "REDIS": "redis-one" }));
    let mut site = Site::bare_as("mutt_locked", "PASSWORD 'pg-one'");
    site.migrate();
    site.redis.command(&["ACL", "SETUSER", "mutt", "on", ">redis-one", "~*", "&*", "+@all"]);
    site.configure("store", "password = { vault = \"secret/mutt/prod#STORE\" }");
    site.configure("queue", "user = \"mutt\"\npassword = { vault = \"secret/mutt/prod#REDIS\" }");
    for service in SERVICES {
        vault.configure(site.prepare(service), "refresh = \"1s\"");
    }
    vault.kill();
    site.start_all(&SERVICES);
    as_the_document_says(&site, HEADS[2]);
    // What was not read yet is not replaced by anything: nobody tried to log in.
    assert_eq!(site.redis.command(&["ACL", "LOG"]), "");
    let log = site.postgres.log();
    assert!(!log.contains("authentication failed"), "{log}");
    // Devices are heard all the same.
    hear(&site);
    vault.run();
    let mut cells = sealed(HEADS[2]);
    // What was heard lies in the spill of the Ingestor, which tells of it.
    cells[0].codes.insert("MUTT-S050".to_owned());
    each_says(&site, HEADS[2], cells);
    hear(&site);
    vault.unseal();
    site.ready();
    until("what was heard is audited", || (site.audited() == 4).then_some(()));
    vault.kill();
    as_the_document_says(&site, HEADS[3]);
    hear(&site);
    until("work goes on", || (site.audited() == 6).then_some(()));
    vault.run();
    each_says(&site, HEADS[3], sealed(HEADS[3]));
    hear(&site);
    until("work goes on", || (site.audited() == 8).then_some(()));
    vault.unseal();
    site.ready();
    site.stop_all();
}
