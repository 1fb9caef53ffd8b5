//! Codes on the way of an event: listeners, event queue, judging, store.

use std::net::{TcpStream, UdpSocket};

use serde_json::json;

use super::{logged, no_more_files, segment, sql};
use crate::provoked::provoked;
use crate::support::http::Client;
use crate::support::senders::inform_pdu;
use crate::support::{Receiver, Reply, Setup, tools, until};

const EVENT: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;

#[test]
fn a_full_event_queue_is_told_to_the_sender() {
    let mut setup = Setup::new();
    setup.set("queue", "max_events = 1000").only(Some("ingestor"));
    let program = setup.start();
    let records: Vec<_> = (0..1_000).map(|n| json!({"hostname": "h", "message": n})).collect();
    let records = serde_json::Value::from(records).to_string();
    assert_eq!(program.ingest(&[], &records).status, 200);
    let answer = program.ingest(&[], EVENT);
    assert_eq!(answer.status, 503);
    provoked("MUTT-I004", &String::from_utf8(answer.body).unwrap());
    // What was refused was read, and its sender has it still.
    let metric = |name: &str| program.ingestor_metric(name, &["listener=\"http\""]) as u64;
    assert_eq!(metric("mutt_ingest_arrived_total"), 1_001);
    assert_eq!(metric("mutt_ingest_given_back_total"), 1);
}

#[test]
fn an_append_that_is_not_durable_is_told_to_the_sender() {
    let mut setup = Setup::new();
    setup.only(Some("ingestor"));
    let mut program = setup.start();
    let key = program.ingest_key();
    let mut client = Client::new(program.http());
    assert_eq!(client.request("GET", "/health/live", &[], b"").unwrap().status, 200);
    // The first append needs a new file.
    no_more_files(&mut program);
    let answer = client.request("POST", "/ingest", &[("x-api-key", &key)], EVENT.as_bytes());
    let answer = answer.unwrap();
    assert_eq!(answer.status, 503);
    provoked("MUTT-I005", &String::from_utf8(answer.body).unwrap());
}

#[test]
fn one_connection_too_many_is_closed_and_told() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "max_connections = 1").only(Some("ingestor"));
    let program = setup.start();
    let _first = TcpStream::connect(program.syslog_tcp()).unwrap();
    let _second = TcpStream::connect(program.syslog_tcp()).unwrap();
    logged(&program, "MUTT-I006");
}

#[test]
fn a_receive_buffer_that_the_kernel_refuses_is_told() {
    if tools::find("setpriv").is_none() {
        return;
    }
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "receive_buffer = \"1GiB\"").only(Some("ingestor"));
    if nix::unistd::geteuid().is_root() {
        setup.through(&["setpriv", "--bounding-set=-net_admin"]);
    }
    let program = setup.start();
    let line = program.log();
    let line = line.lines().find(|line| line.contains("MUTT-I008")).unwrap();
    let granted =
        line.split("\"granted\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    provoked("MUTT-I008", &line.replace(granted, "4194304"));
}

#[test]
fn an_unknown_community_is_told() {
    let mut setup = Setup::new();
    let file = setup.folder().join("community");
    std::fs::write(&file, "known").unwrap();
    let known = format!("communities = [{{ file = {file:?} }}]");
    setup.set("ingestor.snmp", &known).only(Some("ingestor"));
    let program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for request in 1..=5 {
        socket.send_to(&inform_pdu(request, "a"), program.snmp()).unwrap();
    }
    until("five drops", || {
        let dropped = program.ingestor_metric("mutt_ingest_dropped_total", &["community"]);
        (dropped >= 5.0).then_some(())
    });
    logged(&program, "MUTT-I009");
    assert_eq!(program.log().matches("MUTT-I009").count(), 1);
}

#[test]
fn a_listener_that_can_take_no_connection_is_told() {
    let mut setup = Setup::new();
    setup.only(Some("ingestor"));
    let mut program = setup.start();
    no_more_files(&mut program);
    let _stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    logged(&program, "MUTT-I010");
}

#[test]
fn a_commit_that_fails_is_tried_again_and_a_queue_that_cannot_be_read_is_waited_for() {
    let setup = Setup::new();
    let program = setup.start();
    let other = rusqlite::Connection::open(setup.data_dir().join("mutt.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    // After the failed commit it is read again, from the file: which cannot be read any more.
    let path = segment(setup.data_dir());
    std::fs::rename(&path, path.with_extension("kept")).unwrap();
    std::fs::create_dir(&path).unwrap();
    logged(&program, "MUTT-A001");
    logged(&program, "MUTT-A006");
    // It is there again: the event is judged after all.
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(path.with_extension("kept"), &path).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(program.at_rest().events.audited, 1);
}

#[test]
fn an_event_that_the_store_refuses_is_audited_from_its_raw_bytes() {
    let setup = Setup::new();
    let program = setup.start();
    sql(
        setup.data_dir(),
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_unhandled WHEN new.host = 'poison'
         BEGIN SELECT RAISE(ABORT, 'refused for a test'); END",
    );
    assert_eq!(program.ingest(&[], r#"{"hostname":"poison","message":"x"}"#).status, 200);
    logged(&program, "MUTT-A002");
    assert_eq!(program.at_rest().events.audited, 1);
}

#[test]
fn a_rule_set_that_cannot_be_read_leaves_the_last_good_one_in_force() {
    let setup = Setup::new();
    let program = setup.start();
    sql(
        setup.data_dir(),
        "BEGIN; INSERT INTO rule_sets (version, body) VALUES (2, '{'); UPDATE totals SET ruleset = 2; COMMIT",
    );
    logged(&program, "MUTT-A003");
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    assert_eq!(program.events("handled=true", 1)[0]["ruleset"], 1);
}

#[test]
fn a_store_that_cannot_answer_is_told_by_all_who_ask_it() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    setup.set("remediation", "interval = \"1s\"").webhook("moog", &receiver.url(), "");
    let program = setup.start();
    sql(setup.data_dir(), "BEGIN; DROP TABLE lanes; DROP TABLE alerts; COMMIT");
    // What was asked first when the tables went differs from run to run.
    for (code, doing) in [("MUTT-R001", "clear aged alerts"), ("MUTT-S005", "take deliveries")] {
        let line = until(code, || {
            // The tables may have gone before the sinks were made known: that is told, too.
            let told = |line: &&str| line.contains(code) && !line.contains("not set up yet");
            program.log().lines().find(told).map(ToOwned::to_owned)
        });
        let (before, _) = line.split_once("the store cannot ").unwrap();
        provoked(code, &format!("{before}the store cannot {doing} now: no such table\"}}"));
    }
    let answer = program.api().call("GET", "/api/v2/alerts", None).unwrap();
    assert_eq!(answer.status, 503);
    let id = answer.json()["correlation_id"].as_str().unwrap().to_owned();
    let why = until("the reason in the log", || {
        program.log().lines().find(|line| line.contains("MUTT-W008")).map(ToOwned::to_owned)
    });
    assert!(why.contains(&id) && why.contains("no such table"), "{why}");
    let body = String::from_utf8(answer.body).unwrap();
    provoked("MUTT-W008", &body.replace(&id, "pfzYicuM3NF8dcod"));
}

#[test]
fn a_store_at_its_cap_removes_the_oldest_rows_and_says_so() {
    let mut setup = Setup::new();
    let program = setup.start();
    let text = "x".repeat(16 << 10);
    let records: Vec<_> =
        (0..100).map(|n| json!({"hostname": "h", "message": format!("{n} {text}")})).collect();
    let records = serde_json::Value::from(records).to_string();
    for _ in 0..15 {
        assert_eq!(program.ingest(&[], &records).status, 200);
    }
    assert_eq!(program.at_rest().events.audited, 1_500);
    program.stop();
    setup.set("store", "max_bytes = \"16MiB\"");
    let program = setup.start();
    let line = until("MUTT-R002", || {
        program.log().lines().find(|line| line.contains("MUTT-R002")).map(ToOwned::to_owned)
    });
    let rows = line.split("\"rows\":").nth(1).unwrap().trim_end_matches('}').to_owned();
    provoked("MUTT-R002", &line.replace(&format!("\"rows\":{rows}"), "\"rows\":500"));
    assert_eq!(program.at_rest().events.unaccounted, 0);
}

#[test]
fn a_clock_that_is_set_back_is_told_and_received_at_does_not_step_back() {
    let Some(fake) = fake_clock() else { return };
    let mut setup = Setup::new();
    let time = setup.folder().join("clock");
    std::fs::write(&time, "+0").unwrap();
    setup.env("LD_PRELOAD", &fake).env("FAKETIME_TIMESTAMP_FILE", time.to_str().unwrap());
    setup.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let program = setup.start();
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    std::fs::write(&time, "-1h").unwrap();
    let line = until("MUTT-P003", || {
        program.log().lines().find(|line| line.contains("MUTT-P003")).map(ToOwned::to_owned)
    });
    let seconds = line.split("\"seconds\":").nth(1).unwrap().split(',').next().unwrap();
    assert!((3_500..3_700).contains(&seconds.parse::<u64>().unwrap()), "{line}");
    provoked("MUTT-P003", &line.replace(&format!(":{seconds},"), ":3600,"));
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    let times: Vec<String> = program
        .events("", 2)
        .iter()
        .map(|e| e["received_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// The library that shows a program another time.
pub(super) fn fake_clock() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: libfaketime is not installed");
    }
    Some(found?.display().to_string())
}
