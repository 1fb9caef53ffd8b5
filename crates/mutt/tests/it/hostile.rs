//! Text that means to become something else (row 51): a line of its own, a colour of the terminal, a
//! script, a formula. One event stays one event in audit, API, own log and webhook; what people see of
//! it in the pages is looked at in a browser (`browser::hostile`).

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};

use serde_json::{Value, json};

use crate::support::{Receiver, Reply, Setup, until};

/// Without the bytes that end a line, which not every listener can carry.
const TEXT: &str = "hostile \u{1b}[31mred\u{1b}[2J \u{feff}BOM \u{202e}RTL <script>alert(1)</script> \
    =cmd|' /C calc'!A0 \"}]{\"message\":\"forged\"} %00 {{ 7*7 }} '; DROP TABLE alerts; --";
/// What would be a second event if a line ended here.
const SECOND: &str = "\r\n<11>Nov 29 10:00:00 forged app: forged\n\0<11>forged";

#[test]
fn one_event_stays_one_event_wherever_it_goes() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "");
    let program = setup.start();
    program.api().post(
        "/api/v2/rules",
        &json!({
            "name": TEXT, "match_string": "hostile", "match_type": "contains", "priority": 1,
            "prod_handling": "Page_only", "dev_handling": "Ignore", "description": TEXT,
            "team_assignment": TEXT, "problem": "hostile",
        }),
    );
    // A datagram, a counted frame and a record can hold ends of lines; a line cannot.
    let text = format!("{TEXT}{SECOND}");
    let datagram = format!("<10>1 - by-udp app - - - {text}");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(datagram.as_bytes(), program.syslog_udp()).unwrap();
    let frame = format!("<10>1 - by-count app - - - {text}");
    let line = format!("<10>1 - by-line app - - - {TEXT}\n");
    for bytes in [format!("{} {frame}", frame.len()), line] {
        let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
    }
    let record = json!({"hostname": "by-http", "severity": 2, "message": text, "program": TEXT, "more": {TEXT: text}});
    assert_eq!(program.ingest(&[], &record.to_string()).status, 200);

    until("four deliveries", || (receiver.count() >= 4).then_some(()));
    let ledger = program.at_rest();
    assert_eq!((ledger.events.received, ledger.events.audited), (4, 4), "{ledger:?}");
    assert_eq!((ledger.deliveries.created, receiver.count()), (4, 4), "{ledger:?}");
    let mut hosts: Vec<String> = Vec::new();
    for seen in receiver.seen() {
        // It was read as JSON; the text came through whole and as text.
        let host = seen.body["alert"]["host"].as_str().unwrap().to_owned();
        let message = seen.body["event"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("hostile \u{1b}[31mred"), "{:#}", seen.body);
        assert!(
            message.contains("=cmd|' /C calc'!A0") && message.contains("forged"),
            "{message:?}"
        );
        assert!(seen.headers.values().all(|value| !value.contains(['\r', '\n', '\u{1b}'])));
        hosts.push(host);
    }
    hosts.sort();
    assert_eq!(hosts, ["by-count", "by-http", "by-line", "by-udp"]);
    let events = program.events("q=hostile", 4);
    for event in &events {
        let host = event["host"].as_str().unwrap();
        let message = event["message"].as_str().unwrap();
        assert!(message.contains("<script>alert(1)</script>"), "{event:#}");
        assert_eq!(message.contains("<11>"), host != "by-line", "{event:#}");
    }
    assert_eq!(program.api().get("/api/v2/events?host=forged")["items"], json!([]));
    let alerts = program.api().get("/api/v2/alerts?state=open&limit=100");
    assert_eq!(alerts["items"].as_array().map(Vec::len), Some(4));
    let stopped = program.stop();
    // A line of the own log is one record (behind the words at the start), and acts on no terminal.
    let (words, records): (Vec<&str>, Vec<&str>) =
        stopped.log.lines().partition(|line| !line.starts_with('{'));
    assert!(!words.concat().contains("forged") && !records.is_empty(), "{words:#?}");
    assert!(!stopped.log.contains(|c: char| c.is_control() && c != '\n'), "{}", stopped.log);
    for record in records {
        assert!(serde_json::from_str::<Value>(record).is_ok(), "{record:?}");
    }
    let raw: Vec<_> = stopped.audit().events.into_iter().map(|event| event.raw).collect();
    assert_eq!(raw.len(), 4);
    assert!(raw.iter().any(|raw| **raw == *datagram.as_bytes()), "the bytes are kept as they came");
    assert!(raw.iter().any(|raw| **raw == *frame.as_bytes()));
}
