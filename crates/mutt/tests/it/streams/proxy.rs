//! The PROXY protocol: whose message it is, who passed it on, and who may say so.

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::json;

use super::{certificates, connect, tls_listener, write_and_read};
use crate::support::{Setup, tools, until};

const HEADER: &str = "PROXY TCP4 192.0.2.7 192.0.2.1 40022 514\r\n";

/// Sends over plain TCP; the connection ends at once.
fn send(address: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
}

fn behind_proxies(sources: &str) -> Setup {
    let mut setup = Setup::new();
    setup.set(
        "ingestor.syslog",
        &format!("proxy_protocol = \"required\"\nproxy_sources = [{sources}]"),
    );
    setup
}

#[test]
fn the_header_names_the_sender_and_the_proxy_is_the_relay() {
    let program = behind_proxies("\"127.0.0.0/8\"").start();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    v2.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    v2.extend([0; 16]);
    v2.extend([0x9c, 0x56, 2, 2]);
    v2.extend(b"<13>1 - edge-r2 app - - - by version two\n");
    let one = format!("{HEADER}<13>1 - edge-r1 app - - - by version one\n");
    send(program.syslog_tcp(), one.as_bytes());
    send(program.syslog_tcp(), &v2);
    send(program.syslog_tcp(), b"PROXY UNKNOWN\r\n<13>1 - edge-r3 app - - - of the proxy itself\n");
    let check = |query: &str, peer: &str, relay: serde_json::Value| {
        let event = &program.events(query, 1)[0];
        assert_eq!((&event["peer"], &event["relay"]), (&json!(peer), &relay), "{event:#}");
    };
    check("q=by+version+one", "192.0.2.7:40022", json!("127.0.0.1"));
    check("q=by+version+two", "[2001:db8::7]:40022", json!("127.0.0.1"));
    let event = &program.events("q=of+the+proxy+itself", 1)[0];
    assert!(event["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{event:#}");
    program.at_rest();
    program.stop();
}

#[test]
fn a_connection_without_a_good_header_is_closed_and_counted() {
    let program = behind_proxies("\"127.0.0.1\"").start();
    for bytes in ["<13>no header\n", "PROXY TCP4 x y 1 2\r\n<13>m\n", "PROXY UDP4\r\n"] {
        assert_eq!(write_and_read(&mut connect(program.syslog_tcp()), bytes.as_bytes()), "");
    }
    let closed = || {
        let labels = ["listener=\"syslog-tcp\"", "reason=\"proxy\""];
        program.ingestor_metric("mutt_ingest_connections_closed_total", &labels)
    };
    assert!((closed() - 3.0).abs() < f64::EPSILON, "{}", closed());
    let line = program.log().lines().find(|line| line.contains("MUTT-I030")).unwrap().to_owned();
    crate::provoked::provoked("MUTT-I030", &line);
    // A good one is taken all the same.
    send(program.syslog_tcp(), format!("{HEADER}<13>1 - r app - - - good\n").as_bytes());
    program.events("q=good", 1);
    assert_eq!(program.at_rest().events.audited, 1);
    program.stop();
}

#[test]
fn an_address_that_is_no_proxy_is_not_believed() {
    let program = behind_proxies("\"198.51.100.0/24\"").start();
    let line = format!("{HEADER}<13>1 - r app - - - forged\n");
    assert_eq!(write_and_read(&mut connect(program.syslog_tcp()), line.as_bytes()), "");
    let log = until("the refusal in the log", || {
        program.log().lines().find(|line| line.contains("MUTT-I030")).map(str::to_owned)
    });
    assert!(log.contains("proxy_sources"), "{log}");
    assert_eq!(program.at_rest().events.received, 0);
    program.stop();
}

#[test]
fn the_header_stands_before_the_handshake_of_tls() {
    let Some(openssl) = tools::find("openssl") else { return };
    let mut setup = behind_proxies("\"127.0.0.0/8\"");
    certificates(setup.folder());
    let table = tls_listener(setup.folder(), "127.0.0.1:0", false);
    setup.set("ingestor.syslog", &format!("tls = [{table}]"));
    let program = setup.start();
    // A proxy of this test: it writes the header and passes on what openssl says.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let front = listener.local_addr().unwrap();
    let back = program.syslog_tls();
    let proxy = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = connect(back);
        server.write_all(HEADER.as_bytes()).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let answers = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut client, &mut server);
        let _ = server.shutdown(std::net::Shutdown::Both);
        let _ = answers.join().unwrap();
    });
    super::tls::s_client(&openssl, front, &[], "<13>1 - r app - - - through both\n");
    let event = &program.events("q=through+both", 1)[0];
    assert_eq!(
        (&event["peer"], &event["listener"]),
        (&json!("192.0.2.7:40022"), &json!("syslog-tls"))
    );
    proxy.join().unwrap();
    program.at_rest();
    program.stop();
}

#[test]
fn traps_over_tcp_pass_a_proxy_too() {
    use crate::support::senders::inform_pdu;

    let mut setup = Setup::new();
    setup.env("MUTT__INGESTOR__SNMP__TCP", "[\"127.0.0.1:0\"]");
    let proxied = "proxy_protocol = \"required\"\nproxy_sources = [\"127.0.0.1\"]";
    // The device may send, and the proxy that passes its messages on need not.
    setup.set(
        "ingestor.snmp",
        &format!("{proxied}\nallow = [\"192.0.2.7\"]\nmax_connections_per_source = 1"),
    );
    let program = setup.start();
    let door = program.listening("snmp_tcp")[0];
    let mut first = connect(door);
    first.write_all(HEADER.as_bytes()).unwrap();
    first.write_all(&inform_pdu(5, "of the device")).unwrap();
    let event = &program.events("q=of+the+device", 1)[0];
    let expected = (json!("192.0.2.7:40022"), json!("127.0.0.1"), json!("192.0.2.7"));
    assert_eq!(
        (&event["peer"], &event["relay"], &event["host"]),
        (&expected.0, &expected.1, &expected.2)
    );
    // One source has one connection here; another device has its own.
    assert_eq!(write_and_read(&mut connect(door), HEADER.as_bytes()), "");
    assert_eq!(write_and_read(&mut connect(door), &inform_pdu(6, "no header")), "");
    let closed = program.ingestor_metric(
        "mutt_ingest_connections_closed_total",
        &["listener=\"snmp-tcp\"", "reason=\"proxy\""],
    );
    assert!((closed - 1.0).abs() < f64::EPSILON, "{closed}");
    let refused = program
        .ingestor_metric("mutt_ingest_connections_refused_total", &["listener=\"snmp-tcp\""]);
    assert!((refused - 1.0).abs() < f64::EPSILON, "{refused}");
    drop(first);
    assert_eq!(program.at_rest().events.audited, 1);
    program.stop();
}
