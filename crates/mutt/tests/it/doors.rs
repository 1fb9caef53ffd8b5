//! Every door: what real senders of the field send ends as an audited event with the right fields,
//! and the ledger agrees with the sender's numbers and with the rows.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::senders::{ask, inform_pdu};
use crate::support::{Program, Setup, tools, until};

fn check(event: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        let found = event.pointer(&format!("/{}", field.replace('.', "/")));
        assert_eq!(found, Some(value), "{field} of {event:#}");
    }
}

/// The ledger, the rows and the sender agree on `count`.
#[track_caller]
fn balances(program: Program, count: u64) {
    let ledger = program.at_rest();
    assert_eq!((ledger.events.received, ledger.events.audited), (count, count), "{ledger:?}");
    assert_eq!(program.stop().audit().events.len() as u64, count);
}

#[test]
fn logger_over_udp_and_tcp() {
    let Some(logger) = tools::find("logger") else { return };
    let program = Setup::new().start();
    for (transport, address) in [("--udp", program.syslog_udp()), ("--tcp", program.syslog_tcp())] {
        let mut command = Command::new(&logger);
        command.args([transport, "--server", &address.ip().to_string(), "--port"]);
        command.args([&address.port().to_string(), "--priority", "local7.err", "--tag", "edge"]);
        tools::run(command.arg(format!("logger by {transport}")));
    }
    let events = program.events("q=logger+by", 2);
    for (event, listener) in events.iter().zip(["syslog-udp", "syslog-tcp"]) {
        check(
            event,
            &json!({
                "source": "syslog", "listener": listener, "facility": "local7", "severity": 3,
                "app": "edge", "parse.status": "ok", "handled": false, "decision": null,
            }),
        );
        assert!(event["message"].as_str().unwrap().starts_with("logger by --"), "{event:#}");
    }
    balances(program, 2);
}

#[test]
fn loggen_counts_what_it_sent() {
    let Some(_) = tools::loggen() else { return };
    let program = Setup::new().start();
    let mut sent = 0;
    // RFC 3164 lines, RFC 5424 with octet counting, and datagrams: each numbered by loggen itself.
    for (flags, address) in [
        (["--inet", "--stream"].as_slice(), program.syslog_tcp()),
        (&["--inet", "--stream", "--syslog-proto"], program.syslog_tcp()),
        (&["--inet", "--dgram"], program.syslog_udp()),
    ] {
        let mut command = tools::loggen().unwrap();
        command.args(flags).args([
            "--number",
            "500",
            "--rate",
            "2000",
            "--interval",
            "20",
            "--size",
            "256",
        ]);
        let output =
            tools::run(command.args([&address.ip().to_string(), &address.port().to_string()]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = said
            .split("count=")
            .nth(1)
            .and_then(|rest| rest.split(',').next()?.trim().parse().ok());
        sent += count.unwrap_or(500_u64);
    }
    let mut api = program.api();
    until("all of loggen's messages", || (api.ledger().events.audited >= sent).then_some(()));
    let page = api.get("/api/v2/events?limit=1&q=seq:");
    check(&page["items"][0], &json!({"source": "syslog", "parse.status": "ok"}));
    balances(program, sent);
}

#[test]
fn snmptrap_v1_and_v2c() {
    let Some(snmptrap) = tools::find("snmptrap") else { return };
    let program = Setup::new().start();
    let address = program.snmp().to_string();
    let index = ["1.3.6.1.2.1.2.2.1.1.12", "i", "12"];
    let mut v1 = Command::new(&snmptrap);
    v1.args([
        "-v",
        "1",
        "-c",
        "public",
        &address,
        "1.3.6.1.4.1.9999",
        "192.0.2.44",
        "2",
        "0",
        "4711",
    ]);
    tools::run(v1.args(index));
    let mut v2 = Command::new(&snmptrap);
    tools::run(
        v2.args(["-v", "2c", "-c", "public", &address, "4712", "1.3.6.1.6.3.1.1.5.4"]).args(index),
    );
    let events = program.events("host=127.0.0.1", 1);
    check(
        &events[0],
        &json!({
            "source": "snmp", "listener": "snmp-udp", "trap_oid": "1.3.6.1.6.3.1.1.5.4",
            "trap_name": "linkUp", "varbinds.0.oid": "1.3.6.1.2.1.1.3.0", "handled": true,
        }),
    );
    let events = program.events("host=192.0.2.44", 1);
    check(
        &events[0],
        &json!({
            "trap_oid": "1.3.6.1.6.3.1.1.5.3", "trap_name": "linkDown", "handled": true,
            "decision": "Page_and_ticket", "environment": "prod",
        }),
    );
    // The community never gets into the record.
    let raw = events[0]["raw_base64"].as_str().unwrap();
    let raw = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, raw).unwrap();
    assert!(!raw.windows(6).any(|w| w == b"public") && raw.windows(6).any(|w| w == b"******"));
    balances(program, 2);
}

#[test]
fn snmpinform_is_answered() {
    let Some(snmpinform) = tools::find("snmpinform") else { return };
    let program = Setup::new().start();
    let mut command = Command::new(snmpinform);
    command.args(["-v", "2c", "-c", "public", "-r", "3", "-t", "5", &program.snmp().to_string()]);
    tools::run(command.args(["4712", "1.3.6.1.6.3.1.1.5.1"]));
    check(&program.events("q=coldStart", 1)[0], &json!({"trap_oid": "1.3.6.1.6.3.1.1.5.1"}));
    balances(program, 1);
}

#[test]
fn curl_posts_records() {
    let Some(curl) = tools::find("curl") else { return };
    let program = Setup::new().start();
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--fail-with-body", "-H"]);
    command.arg(format!("X-API-KEY: {}", program.ingest_key()));
    command.args(["-H", "X-Correlation-ID: ticket-7", "-d"]);
    command.arg(r#"[{"hostname":"edge-r1","message":"by curl","severity":"error","rack":"b7"},{"message":"hostless"}]"#);
    let output = tools::run(command.arg(format!("http://{}/ingest", program.http())));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    check(&answer, &json!({"status": "queued", "accepted": 2, "correlation_id": "ticket-7"}));
    let events = program.events("q=by+curl", 1);
    check(
        &events[0],
        &json!({
            "source": "http", "listener": "http", "host": "edge-r1", "severity": 3,
            "message": "by curl", "correlation_id": "ticket-7", "fields.rack": "b7",
        }),
    );
    balances(program, 2);
}

#[test]
fn an_unknown_community_is_dropped_and_counted() {
    let mut setup = Setup::new();
    let secret = setup.folder().join("community");
    std::fs::write(&secret, "s3cret").unwrap();
    setup.set("ingestor.snmp", &format!("communities = [{{ file = {secret:?} }}]"));
    let program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&inform_pdu(1, "refused"), program.snmp()).unwrap();
    let known = inform_pdu(2, "taken");
    // The known community is as long as the one in the encoded inform: put it in its place.
    let at = known.windows(6).position(|w| w == b"public").unwrap();
    let mut pdu = known;
    pdu[at..at + 6].copy_from_slice(b"s3cret");
    ask(&socket, program.snmp(), &pdu, 2).unwrap();
    let mut api = program.api();
    until("the drop in the ledger", || {
        let events = api.ledger().events;
        (events.dropped.get("community") == Some(&1) && events.audited == 1).then_some(())
    });
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited), (2, 1), "{ledger:?}");
    let dropped = program.ingestor_metric("mutt_ingest_dropped_total", &["reason=\"community\""]);
    assert!((dropped - 1.0).abs() < f64::EPSILON, "{dropped}");
    let log = program.stop().log;
    assert!(log.contains("MUTT-I009") && !log.contains("s3cret"), "{log}");
}

#[test]
fn a_repeat_is_answered_as_a_success_and_audited_once() {
    let program = Setup::new().start();
    let body = r#"[{"hostname":"h","message":"one"},{"hostname":"h","message":"two"}]"#;
    for _ in 0..3 {
        let answer = program.ingest(&[("idempotency-key", "abc")], body);
        assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (200, Some(2)));
    }
    // A record's own id recognises it in another request, too.
    for body in [
        r#"{"hostname":"h","message":"three","event_id":"x-1"}"#,
        r#"[{"hostname":"h","message":"four"},{"hostname":"h","message":"three","event_id":"x-1"}]"#,
    ] {
        assert_eq!(program.ingest(&[], body).status, 200);
    }
    // Without a key a repeat is a new event.
    for _ in 0..2 {
        assert_eq!(program.ingest(&[], r#"{"hostname":"h","message":"keyless"}"#).status, 200);
    }
    // An inform from one address is one event, from whichever socket; another request is another.
    let peers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for (peer, request, times) in [(0, 77, 3), (1, 77, 1), (1, 78, 2), (0, 78, 1)] {
        for _ in 0..times {
            let pdu = inform_pdu(request, "inform");
            ask(&peers[peer], program.snmp(), &pdu, request).unwrap();
        }
    }
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited, ledger.duplicates), (18, 8, 10), "{ledger:?}");
    let audit = program.stop().audit();
    let mut messages: Vec<String> = audit.events.iter().map(|e| e.message.to_string()).collect();
    messages.sort();
    messages.retain(|m| !m.contains("nr=inform"));
    assert_eq!(messages, ["four", "keyless", "keyless", "one", "three", "two"]);
}

#[test]
fn octets_of_every_kind_are_kept() {
    let program = Setup::new().start();
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    // Octet counting, newline, a header that is none, and a message that ends with the connection.
    stream.write_all(b"28 <34>1 - h1 app - - - counted").unwrap();
    stream
        .write_all(b"<187>Oct 11 22:14:15 h2 tag: by line\nno header at all \xff\n<13>last")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    program.ingest(&[], r#"{"hostname":"h3","message":"nul \u0000 here"}"#);
    let ledger = {
        let mut api = program.api();
        until("five events", || {
            let ledger = api.ledger();
            // Between a commit and its acknowledgement an event stands on both sides.
            (ledger.events.audited == 5 && ledger.events.pending == 0).then_some(ledger)
        })
    };
    assert_eq!(ledger.events.unaccounted, 0);
    let audit = program.stop().audit();
    let find = |part: &[u8]| {
        let found = audit.events.iter().find(|e| e.raw.windows(part.len()).any(|w| w == part));
        found.unwrap_or_else(|| panic!("{part:?} is not in the audit"))
    };
    assert_eq!(find(b"counted").host, "h1");
    assert_eq!(find(b"by line").host, "h2");
    assert_eq!(find(b"no header at all \xff").parse.status.name(), "partial");
    assert_eq!(find(b"<13>last").message, "last");
    assert!(!find(b"here").message.contains('\0'));
}
