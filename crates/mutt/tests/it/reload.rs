//! SIGHUP: what CONFIG.md says is reloaded takes effect while events flow; a wrong file changes nothing.

use std::net::UdpSocket;

use nix::sys::signal::Signal;

use crate::support::http::{Api, Client};
use crate::support::senders::{ask, inform_pdu};
use crate::support::{Program, Setup, until};

/// Secrets in files, so that they can be changed.
fn with_secrets() -> Setup {
    let mut setup = Setup::new();
    for name in ["key", "token", "community"] {
        std::fs::write(setup.folder().join(name), "old").unwrap();
    }
    let file = |name: &str| format!("{{ file = {:?} }}", setup.folder().join(name));
    let key = format!("keys = [{{ name = \"sender\", key = {} }}]", file("key"));
    let token =
        format!("tokens = [{{ name = \"ops\", role = \"admin\", token = {} }}]", file("token"));
    let known = format!("communities = [{}]", file("community"));
    setup.set("ingestor.http", &key).set("web_ui", &token).set("ingestor.snmp", &known);
    setup
}

fn post(program: &Program, key: &str) -> u16 {
    let headers = [("x-api-key", key)];
    let body = br#"{"hostname":"h","message":"m"}"#;
    Client::new(program.http()).request("POST", "/ingest", &headers, body).unwrap().status
}

fn reload(program: &mut Program) {
    let before = program.log().matches("was read again").count();
    program.process().signal(Signal::SIGHUP);
    until("the reload", || {
        (program.log().matches("was read again").count() > before).then_some(())
    });
}

#[test]
fn secrets_and_log_level_are_taken_over_without_a_restart() {
    let mut setup = with_secrets();
    let mut program = setup.start();
    assert_eq!((post(&program, "old"), post(&program, "new")), (200, 401));
    for name in ["key", "token", "community"] {
        std::fs::write(setup.folder().join(name), "public").unwrap();
    }
    let _ = setup.set("log", "level = \"debug\"").write();
    reload(&mut program);
    assert_eq!((post(&program, "old"), post(&program, "public")), (401, 200));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(crate::support::wait::LONG)).unwrap();
    ask(&socket, program.snmp(), &inform_pdu(1, "a"), 1).unwrap();
    let mut api = Api::new(program.pages(), "public".to_owned());
    assert_eq!(api.call("GET", "/api/v2/ledger", None).unwrap().status, 200);
    let mut api = Api::new(program.pages(), "old".to_owned());
    assert_eq!(api.call("GET", "/api/v2/ledger", None).unwrap().status, 401);
    until("a line at debug", || program.log().contains("\"DEBUG\"").then_some(()));
}

#[test]
fn a_wrong_file_leaves_what_runs_in_force() {
    let mut setup = with_secrets();
    let mut program = setup.start();
    setup.set("queue", "max_event = 1").write();
    program.process().signal(Signal::SIGHUP);
    until("the refusal", || program.log().contains("stays in force").then_some(()));
    assert_eq!(post(&program, "old"), 200);
}

#[test]
fn the_first_community_closes_the_door_at_once_and_none_does_not_open_it() {
    let mut setup = Setup::new();
    let path = setup.folder().join("community");
    std::fs::write(&path, "s3cret").unwrap();
    let mut program = setup.start();
    let plain = std::fs::read_to_string(setup.write()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(crate::support::wait::LONG)).unwrap();
    ask(&socket, program.snmp(), &inform_pdu(1, "open"), 1).unwrap();
    let known = format!("communities = [{{ file = {path:?} }}]");
    let file = setup.set("ingestor.snmp", &known).write();
    reload(&mut program);
    let refused = |program: &Program, request: i32, times: f64| {
        socket.send_to(&inform_pdu(request, "refused"), program.snmp()).unwrap();
        until("the drop", || {
            let labels = ["reason=\"community\""];
            let dropped = program.ingestor_metric("mutt_ingest_dropped_total", &labels);
            (dropped >= times).then_some(())
        });
    };
    refused(&program, 2, 1.0);
    std::fs::write(&file, plain).unwrap();
    reload(&mut program);
    refused(&program, 3, 2.0);
    let log = program.log();
    assert!(log.contains("stay in force until a restart"), "{log}");
    let line = log.lines().rfind(|line| line.contains("was read again")).unwrap();
    assert!(line.contains("ingestor.snmp.communities"), "{line}");
    assert_eq!(program.at_rest().events.audited, 1);
}
