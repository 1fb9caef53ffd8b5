//! RELP by hand and by rsyslog's omrelp, in clear and over TLS: what was answered is never lost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{certificates, connect, snippet_for, tls_listener, with_tls, write_and_read};
use crate::support::forwarder::{fixed_address, lines};
use crate::support::wait::{LONG, within};
use crate::support::{Forwarder, Program, Setup, until};

const OPEN: &str = "1 open 30 relp_version=0\ncommands=syslog\n";

fn message(txnr: usize, text: &str) -> String {
    format!("{txnr} syslog {} {text}\n", text.len())
}

fn numbered(txnr: usize, number: &str) -> String {
    message(txnr, &format!("<187>1 - edge-r1 app - - - nr={number};"))
}

/// Reads answers until so many messages are answered with 200.
fn answers(reader: &mut BufReader<TcpStream>, count: usize) -> Vec<usize> {
    let mut answered = Vec::new();
    while answered.len() < count {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "it closed after {answered:?}");
        if let Some(txnr) = line.strip_suffix(" rsp 6 200 OK\n") {
            answered.push(txnr.parse().unwrap());
        }
    }
    answered
}

#[test]
fn messages_are_answered_in_order_when_they_are_durable() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "relp = [\"127.0.0.1:0\"]");
    let program = setup.start();
    let mut stream = connect(program.relp());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // All at once: answers are pipelined. One is of no use, one is too long, one is empty.
    let mut all = OPEN.to_owned();
    (2..500).for_each(|n| all += &numbered(n, &format!("R-{n}")));
    all += "500 dance 1 x\n";
    all += &message(501, &"y".repeat(100_000));
    all += "502 syslog 0\n";
    stream.write_all(all.as_bytes()).unwrap();
    let expected: Vec<usize> = (2..500).chain([501, 502]).collect();
    assert_eq!(answers(&mut reader, expected.len()), expected);
    // What was answered is in the queue's file, whatever becomes of the process.
    program.kill();
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.audited, ledger.dropped.get("empty")), (499, Some(&1)), "{ledger:?}");
    let audit = program.stop().audit();
    assert_eq!(audit.numbers().len(), 498);
    assert!(audit.events.iter().all(|e| e.listener == "relp"));
    let cut = audit.events.iter().find(|e| e.raw.starts_with(b"y")).unwrap();
    assert_eq!((cut.raw.len(), cut.parse.status.name()), (65_536, "partial"));
}

#[test]
fn a_session_is_closed_in_order_and_damage_closes_one_connection() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "relp = [\"127.0.0.1:0\"]");
    let program = setup.start();
    let mut neighbour = connect(program.relp());
    let mut reader = BufReader::new(neighbour.try_clone().unwrap());
    neighbour.write_all(format!("{OPEN}{}", numbered(2, "N-1")).as_bytes()).unwrap();
    assert_eq!(answers(&mut reader, 1), [2]);

    let text = format!("{OPEN}{}3 close 0\n", numbered(2, "C-1"));
    let said = write_and_read(&mut connect(program.relp()), text.as_bytes());
    assert!(said.ends_with("2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n"), "{said}");
    let text = format!("{OPEN}{}3 syslog 999999999 <13>bomb", numbered(2, "D-1"));
    let said = write_and_read(&mut connect(program.relp()), text.as_bytes());
    assert!(said.ends_with("2 rsp 6 200 OK\n"), "what came before the damage is good: {said}");
    // Of one address one is told of in a while: the first.
    until("what is told of it", || program.log().contains("MUTT-I032").then_some(()));
    let said = write_and_read(&mut connect(program.relp()), b"<13>plain syslog\n");
    assert_eq!(said, "");

    neighbour.write_all(numbered(3, "N-2").as_bytes()).unwrap();
    assert_eq!(answers(&mut reader, 1), [3], "a neighbour was disturbed");
    let labels = ["listener=\"relp\"", "reason=\"relp\""];
    let closed = until("both are counted", || {
        let closed = program.ingestor_metric("mutt_ingest_connections_closed_total", &labels);
        (closed >= 2.0).then_some(closed)
    });
    assert!((closed - 2.0).abs() < f64::EPSILON, "{closed}");
    crate::provoked::provoked(
        "MUTT-I032",
        program.log().lines().find(|line| line.contains("MUTT-I032")).unwrap(),
    );
    neighbour.shutdown(Shutdown::Write).unwrap();
    let stopped = {
        program.at_rest();
        program.stop()
    };
    let numbers = stopped.audit().numbers();
    assert_eq!(
        numbers.keys().map(String::as_str).collect::<Vec<_>>(),
        ["C-1", "D-1", "N-1", "N-2"]
    );
}

#[test]
fn an_end_of_the_program_is_told_to_the_sender() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "relp = [\"127.0.0.1:0\"]");
    let program = setup.start();
    let mut stream = connect(program.relp());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    stream.write_all(format!("{OPEN}{}", numbered(2, "S-1")).as_bytes()).unwrap();
    assert_eq!(answers(&mut reader, 1), [2]);
    let watched = std::thread::spawn(move || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        drop(stream);
        line
    });
    program.at_rest();
    assert_eq!(program.stop().audit().numbers().len(), 1);
    assert_eq!(watched.join().unwrap(), "0 serverclose 0\n");
}

/// rsyslog's action for RELP, as the documents give it.
fn omrelp(address: SocketAddr, more: &str) -> String {
    snippet_for("rsyslog_relp.conf", "port=\"2514\"", address, None)
        .replace("type=\"omrelp\"", &format!("type=\"omrelp\" {more}"))
        .replace("resumeInterval=\"5\"", "resumeInterval=\"1\"")
}

/// Waits until every number of the forwarder is audited; gives how many stand there twice.
#[track_caller]
fn all_arrive(program: Program, count: usize) -> usize {
    let mut api = program.api();
    let enough = within(LONG, || (api.ledger().events.audited >= count as u64).then_some(()));
    assert!(enough.is_some(), "{:?}\n{}", api.ledger(), program.log());
    // What the forwarder repeats counts as well, and what a kill met stands at the end of its queue.
    let _ = within(LONG, || (program.audit().numbers().len() >= count).then_some(()));
    program.at_rest();
    let numbers = program.stop().audit().numbers();
    let missing: Vec<usize> =
        (0..count).filter(|n| !numbers.contains_key(&format!("F-{n}"))).take(10).collect();
    assert_eq!((numbers.len(), missing), (count, Vec::new()));
    numbers.values().map(|times| times - 1).sum()
}

#[test]
fn omrelp_in_clear() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "relp = [\"127.0.0.1:0\"]");
    let program = setup.start();
    let to = omrelp(program.relp(), "");
    let Some(_forwarder) = Forwarder::rsyslog(&lines(2_000), &to) else { return };
    assert_eq!(all_arrive(program, 2_000), 0);
}

#[test]
fn omrelp_over_tls_with_client_certificates() {
    let setup = with_tls(true);
    let program = setup.start();
    let folder = Some(setup.folder());
    let to = snippet_for("rsyslog_relp_tls.conf", "port=\"2514\"", program.relp_tls(), folder);
    let Some(_forwarder) = Forwarder::rsyslog(&lines(2_000), &to) else { return };
    let events = program.events("q=nr=F-1999%3B", 1);
    assert_eq!(events[0]["listener"], "relp-tls");
    assert_eq!(all_arrive(program, 2_000), 0);
}

#[test]
fn omrelp_loses_nothing_when_the_program_is_killed_again_and_again() {
    let mut setup = Setup::new();
    let address = fixed_address();
    setup.set("ingestor.syslog", &format!("relp = [{address:?}]"));
    let count = 12_000;
    // Slow enough that each kill meets messages on their way.
    let to = omrelp(
        address.parse().unwrap(),
        "queue.dequeueBatchSize=\"64\" queue.dequeueSlowDown=\"60000\"",
    );
    let mut program = setup.start();
    let Some(_forwarder) = Forwarder::rsyslog(&lines(count), &to) else { return };
    for _ in 0..3 {
        until("a thousand messages", || {
            let labels = ["listener=\"relp\""];
            (program.ingestor_metric("mutt_ingest_received_total", &labels) >= 1_000.0)
                .then_some(())
        });
        program.kill();
        program = setup.start();
    }
    let twice = all_arrive(program, count);
    println!("{count} messages, 3 kills, {twice} repeats");
    assert!(twice < count / 10, "{twice} of {count} stand there twice");
}

#[test]
fn a_certificate_is_changed_while_omrelp_sends() {
    let setup = {
        let mut setup = Setup::new();
        certificates(setup.folder());
        let table = tls_listener(setup.folder(), "127.0.0.1:0", false);
        setup.set("ingestor.syslog", &format!("relp = [{table}]"));
        setup
    };
    let program = setup.start();
    let folder = Some(setup.folder());
    let slow = "tls=\"on\" queue.dequeueBatchSize=\"64\" queue.dequeueSlowDown=\"20000\"";
    let to = snippet_for("rsyslog_relp_tls.conf", "port=\"2514\"", program.relp_tls(), folder)
        .replace("tls=\"on\"", slow)
        .replace("queue.filename=\"to_mutt_relp_tls\" queue.maxDiskSpace=\"1g\"", "");
    let Some(_forwarder) = Forwarder::rsyslog(&lines(4_000), &to) else { return };
    until("the first messages", || {
        (program.ingestor_metric("mutt_ingest_received_total", &["relp-tls"]) > 100.0).then_some(())
    });
    // The open connection goes on with what it has; nothing is sent twice.
    certificates(setup.folder());
    assert_eq!(all_arrive(program, 4_000), 0);
}
