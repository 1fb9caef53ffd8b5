//! Syslog over UDP: what was sent is stored or counted, to the datagram, over IPv4 and IPv6.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use nix::sys::signal::Signal;

use crate::support::{Program, Setup, until};

fn line(number: usize) -> String {
    format!("<190>1 - load app - - - nr=U-{number}; {}", "x".repeat(200))
}

fn metric(program: &Program, name: &str) -> f64 {
    program.ingestor_metric(name, &["listener=\"syslog-udp\""])
}

/// Everything that was sent is audited or counted as dropped by the kernel.
#[track_caller]
fn accounted(program: &Program, sent: usize) -> (usize, usize) {
    let both = until("all that was sent is accounted for", || {
        let stored = metric(program, "mutt_ingest_received_total");
        let dropped = metric(program, "mutt_ingest_kernel_drops_total");
        (stored + dropped >= sent as f64).then_some((stored, dropped))
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    let both = (both.0 as usize, both.1 as usize);
    assert_eq!(both.0 + both.1, sent);
    assert_eq!(program.at_rest().events.audited, both.0 as u64);
    let arrived = metric(program, "mutt_ingest_arrived_total");
    assert!((arrived - both.0 as f64).abs() < f64::EPSILON, "{arrived} were read");
    // The API and the pages show the same.
    let row = until("the listener at rest", || {
        let rows = program.api().get("/api/v2/listeners");
        let row = rows["items"].as_array()?.iter().find(|row| row["listener"] == "syslog-udp")?;
        // What it reported may be of a moment at which they were read and not durable yet.
        (row["received"] == sent && row["unaccounted"] == 0).then(|| row.clone())
    });
    let numbers = ["stored", "kernel_drops", "dropped_all", "unaccounted"].map(|name| &row[name]);
    assert_eq!(
        numbers.map(serde_json::Value::as_u64),
        [both.0, both.1, 0, 0].map(|n| Some(n as u64))
    );
    both
}

#[test]
fn a_burst_that_overruns_the_buffer_is_counted_to_the_datagram() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "receive_buffer = \"64KiB\"");
    let mut program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = program.syslog_udp();
    program.process().signal(Signal::SIGSTOP);
    let sent = 2_000;
    for number in 0..sent {
        socket.send_to(line(number).as_bytes(), address).unwrap();
    }
    program.process().signal(Signal::SIGCONT);
    let (stored, dropped) = accounted(&program, sent);
    assert!(stored > 20 && dropped > 100, "{stored} stored, {dropped} dropped");
    assert_eq!(program.stop().audit().numbers().len(), stored);
}

#[test]
fn a_starved_socket_that_hears_on_loses_what_the_kernel_says_and_no_more() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "receive_buffer = \"64KiB\"");
    let mut program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (address, mut sent) = (program.syslog_udp(), 0);
    // It stands still three times; between them it reads while more is sent.
    for _ in 0..3 {
        for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
            program.process().signal(signal);
            for _ in 0..700 {
                socket.send_to(line(sent).as_bytes(), address).unwrap();
                sent += 1;
            }
        }
    }
    let (stored, dropped) = accounted(&program, sent);
    assert!(stored > 60 && dropped > 100, "{stored} stored, {dropped} dropped");
    let numbers = program.stop().audit().numbers();
    assert!(numbers.values().all(|times| *times == 1));
    assert_eq!(numbers.len(), stored);
}

#[test]
fn several_sockets_share_an_address_and_each_is_shown() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "udp_sockets = 4");
    let program = setup.start();
    let address = program.syslog_udp();
    // The kernel chooses the socket by the sender's port: sixty-four senders meet more than one.
    let senders: Vec<_> = (0..64).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for n in 0..640 {
        senders[n % 64].send_to(line(n).as_bytes(), address).unwrap();
    }
    let (stored, dropped) = accounted(&program, 640);
    assert_eq!((stored, dropped), (640, 0));
    for socket in [address.to_string(), format!("{address}#2"), format!("{address}#4")] {
        let label = format!("socket=\"{socket}\"");
        let granted = program.ingestor_metric("mutt_ingest_receive_buffer_bytes", &[&label]);
        assert!(granted > 0.0, "{socket}");
    }
    let stopped = program.stop();
    assert_eq!(stopped.audit().numbers().len(), 640);
    assert_eq!(stopped.log.matches("syslog UDP").count(), 1, "one listener to those who send");
}

#[test]
fn a_datagram_above_the_limit_is_cut_noted_and_counted() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "max_message = \"1KiB\"");
    let program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [1_024, 1_025, 65_507] {
        let head = format!("<13>1 - host{length} app - - - ");
        let text = head.clone() + &"y".repeat(length - head.len());
        socket.send_to(text.as_bytes(), program.syslog_udp()).unwrap();
    }
    for (length, status) in [(1_024, "ok"), (1_025, "partial"), (65_507, "partial")] {
        let event = &program.events(&format!("host=host{length}"), 1)[0];
        assert_eq!(event["parse"]["status"], status, "{length}");
    }
    let cut = metric(&program, "mutt_ingest_cut_total");
    assert!((cut - 2.0).abs() < f64::EPSILON, "{cut}");
    program.at_rest();
    let audit = program.stop().audit();
    assert!(audit.events.iter().all(|event| event.raw.len() == 1_024));
}

#[test]
fn ipv6_over_udp_and_tcp() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: this host has no IPv6");
        return;
    }
    let mut setup = Setup::new();
    // The environment is laid over the file.
    setup.env("MUTT__INGESTOR__SYSLOG__UDP", "[\"[::1]:0\"]");
    setup.env("MUTT__INGESTOR__SYSLOG__TCP", "[\"[::1]:0\"]");
    let program = setup.start();
    let text = "<13>1 - - app - - - over six";
    let from = UdpSocket::bind("[::1]:0").unwrap();
    from.send_to(text.as_bytes(), program.syslog_udp()).unwrap();
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    stream.write_all(format!("{text}\n").as_bytes()).unwrap();
    for event in program.events("q=over+six", 2) {
        let peer: SocketAddr = event["peer"].as_str().unwrap().parse().unwrap();
        assert_eq!((peer.ip().to_string().as_str(), &event["host"]), ("::1", &"::1".into()));
    }
    program.at_rest();
    program.stop();
}
