//! `muttctl send` against sockets of the test's own: what really goes over the wire.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use super::{Place, nobody};
use crate::provoked::provoked;

fn datagram(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0_u8; 4096];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn syslog_goes_out_in_both_forms() {
    let place = Place::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let common =
        ["--to", &to, "--hostname", "edge-r1", "--severity", "err", "--facility", "local0"];
    let said = place.run(&[&["send", "syslog", "link down"], &common[..]].concat());
    assert_eq!((said.exit, said.out.as_str()), (0, ""), "{said:?}");
    let text = String::from_utf8(datagram(&socket)).unwrap();
    assert!(text.starts_with("<131>1 ") && text.ends_with(" - - link down"), "{text}");
    assert!(text.contains(" edge-r1 muttctl "));
    place.run(&[&["send", "syslog", "link down", "--format", "rfc3164"], &common[..]].concat());
    let text = String::from_utf8(datagram(&socket)).unwrap();
    assert!(text.starts_with("<131>") && text.ends_with("]: link down"), "{text}");
}

#[test]
fn the_program_that_runs_here_is_found() {
    let place = Place::new();
    let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (syslog, traps) = (bind(), bind());
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    std::fs::create_dir(place.path("mutt-data")).unwrap();
    let text = format!(
        "{{\"syslog_udp\":[\"0.0.0.0:{}\"],\"snmp_udp\":[\"127.0.0.1:{}\"]}}",
        port(&syslog),
        port(&traps)
    );
    place.write("mutt-data/listeners.json", &text);
    let said = place.run(&["send", "syslog", "x"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains(&format!("to 127.0.0.1:{}", port(&syslog))), "{said:?}");
    assert!(datagram(&syslog).ends_with(b" x"));
    let said = place.run(&["send", "trap"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(datagram(&traps)[0], 0x30);
}

#[test]
fn tcp_is_octet_counted_and_counts() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        listener.accept().unwrap().0.read_to_string(&mut all).unwrap();
        all
    });
    let said = place.run(&["send", "syslog", "x", "--tcp", "--count", "3", "--to", &to]);
    assert_eq!(said.exit, 0, "{said:?}");
    let all = reader.join().unwrap();
    let (length, rest) = all.split_once(' ').unwrap();
    assert!(rest[..length.parse().unwrap()].ends_with("x seq=1"), "{all}");
    assert!(all.ends_with("x seq=3"));
}

#[test]
fn a_message_that_nobody_hears_is_a_failure() {
    let place = Place::new();
    for extra in ["--tcp", "--format=rfc3164"] {
        let said = place.run(&["send", "syslog", "x", extra, "--to", &nobody()]);
        assert_eq!(said.exit, 1, "{said:?}");
        provoked("MUTT-P007", &said.err);
    }
}

#[test]
fn traps_and_informs_are_snmp() {
    let place = Place::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap().to_string();
    for (version, tag) in [("1", 0xA4), ("2c", 0xA7)] {
        let varbind = "1.3.6.1.2.1.2.2.1.1.12=i:12";
        let said = place.run(&["send", "trap", varbind, "--snmp-version", version, "--to", &to]);
        assert_eq!(said.exit, 0, "{said:?}");
        let packet = datagram(&socket);
        assert!(packet[0] == 0x30 && packet.contains(&tag), "{packet:x?}");
    }
    let answering = std::thread::spawn(move || {
        let mut buffer = [0_u8; 4096];
        let (length, peer) = socket.recv_from(&mut buffer).unwrap();
        // The same message with the tag of a response.
        let response: Vec<u8> =
            buffer[..length].iter().map(|b| if *b == 0xA6 { 0xA2 } else { *b }).collect();
        socket.send_to(&response, peer).unwrap();
    });
    let said = place.run(&["send", "trap", "--inform", "--to", &to]);
    answering.join().unwrap();
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains("sent 1 acknowledged inform"));
    assert_eq!(place.run(&["send", "trap", "nonsense", "--to", &to]).exit, 2);
}

#[test]
fn http_carries_the_key_and_prints_the_answer() {
    let place = Place::new();
    let key = place.write("key", "secret-key\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}/ingest", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0_u8; 4096];
        while !seen.ends_with(b"}") {
            let length = stream.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..length]);
        }
        let body = r#"{"status":"queued","accepted":1}"#;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8(seen).unwrap()
    });
    let said = place.run(&["send", "http", "--to", &to, "--key-file", &key, "--message", "up"]);
    let request = server.join().unwrap();
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(said.out, "{\"status\":\"queued\",\"accepted\":1}\n");
    assert!(request.to_ascii_lowercase().contains("x-api-key: secret-key"), "{request}");
    assert!(request.contains("\"message\":\"up\"") && request.contains("\"syslog_severity\":5"));
    assert!(!said.err.contains("secret-key"));
}
