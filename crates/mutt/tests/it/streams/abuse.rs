//! Senders that mean no good, over each kind of stream: memory and connections are bounded, and a
//! neighbour's messages arrive as if they were not there.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::connect;
use crate::support::{Program, Setup, Stopwatch, tools, until};

/// A neighbour's message is audited within this time, whatever others do.
const SOON: Duration = Duration::from_secs(5);

fn metric(program: &Program, name: &str, labels: &[&str]) -> f64 {
    program.ingestor_metric(name, labels)
}

/// Resident memory of the program, in KiB.
fn memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends one message over a connection that is open already, and waits until it is audited.
#[track_caller]
fn neighbour(program: &Program, stream: &mut TcpStream, name: &str) {
    let begun = Stopwatch::start();
    stream.write_all(format!("<13>1 - neighbour app - - - {name}\n").as_bytes()).unwrap();
    program.events(&format!("q={name}"), 1);
    assert!(begun.elapsed() < SOON, "{name} took {:?}", begun.elapsed());
}

#[test]
fn framing_abuse_is_bounded_and_a_neighbour_does_not_notice() {
    let program = Setup::new().start();
    let mut good = connect(program.syslog_tcp());
    neighbour(&program, &mut good, "before");
    let before = memory(&program);
    // Each of them on a connection of its own, with a message behind it that must arrive.
    for (at, abuse) in [
        "999999999 <13>count above all\n",
        "0 <13>no count\n",
        "005 <13>leading zeros\n",
        "-5 <13>negative\n",
        "54 <1 minute elapsed\n",
        "5 <13>a5 <13>b<13>mixed\n6 <13>c\n",
        "<13>nul\0<13>within\0",
        "<13>cr\r<13>within\r\n",
        "\n\n\r\n\0\0",
        "7 <999>aaa\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = connect(program.syslog_tcp());
        stream.write_all(abuse.as_bytes()).unwrap();
        stream.write_all(format!("<13>1 - r app - - - behind-{at}-abuse\n").as_bytes()).unwrap();
        drop(stream);
        program.events(&format!("q=behind-{at}-abuse"), 1);
    }
    // A line that does not end, 64 MiB of it, from four senders at once.
    let address = program.syslog_tcp();
    let endless = |_| {
        std::thread::spawn(move || {
            let mut stream = connect(address);
            stream.write_all(b"<13>endless ").unwrap();
            let part = vec![b'x'; 1 << 20];
            (0..64).for_each(|_| stream.write_all(&part).unwrap());
            stream.write_all(b"\n<13>1 - r app - - - in-step-again\n").unwrap();
        })
    };
    let senders: Vec<_> = (0..4).map(endless).collect();
    neighbour(&program, &mut good, "during");
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    program.events("q=in-step-again", 4);
    let cut = metric(&program, "mutt_ingest_cut_total", &["listener=\"syslog-tcp\""]);
    assert!((cut - 4.0).abs() < f64::EPSILON, "{cut}");
    let more = memory(&program).saturating_sub(before);
    assert!(more < 96 * 1024, "{more} KiB more than before");
    neighbour(&program, &mut good, "after");
    program.at_rest();
    program.stop();
}

#[test]
fn a_message_that_comes_byte_by_byte_is_kept_in_part_and_its_connection_closed() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "message_timeout = \"1s\"");
    let program = setup.start();
    let mut good = connect(program.syslog_tcp());
    neighbour(&program, &mut good, "whole");
    let mut slow = connect(program.syslog_tcp());
    slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = b"<13>1 - slow app - - - one byte at a time and never an end ".iter().cycle();
    // Each byte comes well within any timeout that begins anew with each.
    let ended = until("the end of the slow connection", || {
        let written = slow.write_all(&[*bytes.next().unwrap()]);
        let read = slow.read(&mut [0; 1]);
        (written.is_err() || matches!(read, Ok(0))).then_some(true)
    });
    assert!(ended);
    let labels = ["listener=\"syslog-tcp\"", "reason=\"slow\""];
    until("the slow one is counted", || {
        (metric(&program, "mutt_ingest_connections_closed_total", &labels) > 0.0).then_some(())
    });
    let event = &program.events("host=slow", 1)[0];
    assert_eq!(event["parse"]["status"], "partial", "{event:#}");
    // Who has said all that it began may be silent.
    neighbour(&program, &mut good, "patient");
    program.at_rest();
    program.stop();
}

#[test]
fn a_silent_connection_is_closed_after_the_idle_timeout() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "idle_timeout = \"1s\"\nrelp = [\"127.0.0.1:0\"]");
    let program = setup.start();
    for (address, name) in [(program.syslog_tcp(), "syslog-tcp"), (program.relp(), "relp")] {
        let mut stream = connect(address);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "{name}");
        let listener = format!("listener=\"{name}\"");
        let labels = [listener.as_str(), "reason=\"idle\""];
        until("the idle one is counted", || {
            (metric(&program, "mutt_ingest_connections_closed_total", &labels) > 0.0).then_some(())
        });
    }
    program.stop();
}

/// A connection from another address of loopback.
fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn one_source_cannot_take_all_connections() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "max_connections = 60\nmax_connections_per_source = 50");
    let program = setup.start();
    let flood: Vec<_> =
        (0..80).map(|_| connect_from([127, 0, 0, 77], program.syslog_tcp())).collect();
    let refused = || metric(&program, "mutt_ingest_connections_refused_total", &["syslog-tcp"]);
    until("thirty refusals", || (refused() >= 30.0).then_some(()));
    assert!((refused() - 30.0).abs() < f64::EPSILON, "{}", refused());
    let open = metric(&program, "mutt_ingest_connections", &["syslog-tcp"]);
    assert!(open <= 50.0, "{open}");
    let mut other = connect_from([127, 0, 0, 78], program.syslog_tcp());
    neighbour(&program, &mut other, "there-is-room");
    // Those that were let in may speak, and their places are free when they end.
    let mut first = flood.into_iter().next().unwrap();
    neighbour(&program, &mut first, "first-of-the-flood");
    until("room again", || {
        let mut stream = connect_from([127, 0, 0, 77], program.syslog_tcp());
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            .then_some(())
    });
    assert!(program.log().contains("too many connections of one source"));
    program.at_rest();
    program.stop();
}

#[test]
fn a_thousand_silent_connections_cost_little_and_neighbours_go_on() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "max_connections_per_source = 1000");
    let program = setup.start();
    let before = memory(&program);
    let silent: Vec<_> =
        (0..1_000).map(|_| connect_from([127, 0, 0, 80], program.syslog_tcp())).collect();
    until("a thousand connections", || {
        (metric(&program, "mutt_ingest_connections", &["syslog-tcp"]) >= 1_000.0).then_some(())
    });
    let more = memory(&program).saturating_sub(before);
    assert!(more < 64 * 1024, "{more} KiB for a thousand silent connections");
    let mut good = connect(program.syslog_tcp());
    neighbour(&program, &mut good, "beside-them");
    drop(silent);
    program.stop();
}

#[test]
fn a_silent_source_does_not_hold_up_the_handshakes_of_others() {
    let Some(openssl) = tools::find("openssl") else { return };
    let setup = super::with_tls(false);
    let program = setup.start();
    let silent: Vec<_> =
        (0..400).map(|_| connect_from([127, 0, 0, 81], program.syslog_tls())).collect();
    until("more connections than there are handshakes", || {
        (metric(&program, "mutt_ingest_connections", &["syslog-tls"]) > 256.0).then_some(())
    });
    assert!(super::tls::s_client(
        &openssl,
        program.syslog_tls(),
        &[],
        "<13>1 - r a - - - let-in\n"
    ));
    program.events("q=let-in", 1);
    until("those that waited too long", || {
        let refused = metric(&program, "mutt_ingest_connections_refused_total", &["syslog-tls"]);
        (refused >= 300.0).then_some(())
    });
    drop(silent);
    program.at_rest();
    program.stop();
}
