//! Too much at once, and an end under load: senders are held back or counted, never lost in silence.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::senders::{Load, Senders, answered, inform_pdu, number_in};
use crate::support::tools::{find, run};
use crate::support::wait::within;
use crate::support::{Program, Setup, until};

/// The cap of the tests that fill the event queue, in events: the smallest that is allowed.
const CAP: u64 = 1_000;

fn line(number: &str) -> String {
    format!("<190>1 - load app - - - nr={number}; {}\n", "x".repeat(200))
}

/// An Ingestor alone, with nobody to drain its queue.
fn filled() -> (Setup, crate::support::Program) {
    let mut setup = Setup::new();
    setup.set("queue", &format!("max_events = {CAP}")).only(Some("ingestor"));
    let program = setup.start();
    let records: Vec<_> = (0..CAP).map(|n| json!({"hostname": "h", "message": n})).collect();
    let answer = program.ingest(&[], &serde_json::Value::from(records).to_string());
    assert_eq!(answer.status, 200);
    (setup, program)
}

#[test]
fn a_full_queue_answers_503_and_takes_nothing_of_the_request() {
    let (mut setup, program) = filled();
    let two = r#"[{"message":"one more"},{"message":"and another"}]"#;
    let answer = program.ingest(&[("x-correlation-id", "full-1")], two);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let body = answer.json();
    assert_eq!((&body["code"], &body["correlation_id"]), (&json!("MUTT-I004"), &json!("full-1")));
    program.stop();
    // With an Alerter it drains, and takes again.
    setup.only(None);
    let program = setup.start();
    until("room again", || (program.ingest(&[], two).status == 200).then_some(()));
    let ledger = program.at_rest().events;
    assert_eq!(ledger.audited, CAP + 2, "{ledger:?}");
    assert_eq!(program.stop().audit().events.len() as u64, CAP + 2);
}

#[test]
fn a_full_queue_drops_datagrams_and_counts_each() {
    let (mut setup, program) = filled();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..50 {
        socket.send_to(line(&number.to_string()).as_bytes(), program.syslog_udp()).unwrap();
    }
    let labels = ["reason=\"queue_full\"", "listener=\"syslog-udp\""];
    until("fifty drops in the metric", || {
        let dropped = program.ingestor_metric("mutt_ingest_dropped_total", &labels);
        ((dropped - 50.0).abs() < f64::EPSILON).then_some(())
    });
    program.stop();
    // The ledger keeps them over the restart.
    setup.only(None);
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited), (CAP + 50, CAP), "{ledger:?}");
    assert_eq!(ledger.dropped.get("queue_full"), Some(&50), "{ledger:?}");
    program.stop();
}

#[test]
fn a_full_queue_stops_reading_tcp() {
    let (_setup, program) = filled();
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let lines = line("tcp").repeat(100);
    let mut written = 0_u64;
    // What the kernel and one connection's buffer hold is far below this.
    let most = 256 << 20;
    while written < most && stream.write_all(lines.as_bytes()).is_ok() {
        written += lines.len() as u64;
    }
    assert!(written < most, "TCP is still read though the queue is full");
    let received =
        program.ingestor_metric("mutt_ingest_received_total", &["listener=\"syslog-tcp\""]);
    assert!(received < 1.0, "{received} events were taken over the cap");
    let depth = program.ingestor_metric("mutt_ingest_queue_depth", &[]);
    assert!((depth - CAP as f64).abs() < f64::EPSILON, "{depth}");
    drop(stream);
    program.kill();
}

/// Writes numbered lines until the reader half-closes; gives how many it wrote whole.
fn write_until_told(address: SocketAddr, lane: usize, written: &AtomicUsize) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut count = 0;
    loop {
        let mut lines = String::new();
        for _ in 0..20 {
            lines.push_str(&line(&format!("T{lane}-{count}")));
            count += 1;
        }
        stream.write_all(lines.as_bytes()).expect("the connection was cut under the sender");
        written.fetch_add(20, Ordering::SeqCst);
        stream.set_nonblocking(true).unwrap();
        let told = matches!(stream.read(&mut [0; 1]), Ok(0));
        stream.set_nonblocking(false).unwrap();
        if told {
            stream.shutdown(Shutdown::Write).unwrap();
            // The end of the reader is its word that all was read.
            let _ = stream.read(&mut [0; 1]);
            return count;
        }
    }
}

#[test]
fn sigterm_under_load_loses_nothing_of_tcp() {
    let setup = Setup::new();
    let program = setup.start();
    let written = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4)
        .map(|lane| {
            let (address, written) = (program.syslog_tcp(), Arc::clone(&written));
            std::thread::spawn(move || write_until_told(address, lane, &written))
        })
        .collect();
    until("load", || (written.load(Ordering::SeqCst) > 4_000).then_some(()));
    program.stop();
    let sent: usize = senders.into_iter().map(|s| s.join().unwrap()).sum();
    // What was judged is in the audit, what was not yet is in the queue.
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited), (sent as u64, sent as u64), "{ledger:?}");
    let audit = program.stop().audit();
    assert_eq!(audit.numbers().len(), sent);
    assert!(audit.events.iter().all(|e| number_in(&e.message).is_some()));
}

#[test]
fn what_the_kernel_holds_at_sigterm_is_read() {
    let setup = Setup::new();
    let mut program = setup.start();
    // While it sleeps, senders connect, write and end, and datagrams arrive; it wakes up to the end.
    program.process().signal(Signal::SIGSTOP);
    for lane in 0..5 {
        let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
        stream.write_all(line(&format!("T{lane}")).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..50 {
        let text = line(&format!("U{number}"));
        socket.send_to(text.as_bytes(), program.syslog_udp()).unwrap();
    }
    socket.send_to(&inform_pdu(1, "I0"), program.snmp()).unwrap();
    program.process().signal(Signal::SIGTERM);
    program.process().signal(Signal::SIGCONT);
    program.stop();
    let answered = ask_for_answer(&socket);
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited), (56, 56), "{ledger:?}");
    assert!(answered, "the inform was made durable and not answered");
    assert_eq!(program.stop().audit().numbers().len(), 56);
}

/// Whether a response lies at the socket.
fn ask_for_answer(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.recv(&mut [0; 2_048]).is_ok()
}

#[test]
fn datagrams_that_the_kernel_drops_are_counted_for_their_socket() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "receive_buffer = \"64KiB\"");
    let mut program = setup.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    program.process().signal(Signal::SIGSTOP);
    let (sent, to) = (2_000_u64, program.syslog_udp());
    for number in 0..sent {
        socket.send_to(line(&number.to_string()).as_bytes(), to).unwrap();
    }
    program.process().signal(Signal::SIGCONT);
    let labels = [format!("socket=\"{to}\"")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut api = program.api();
    let mut last = (0, 0);
    let all = within(crate::support::wait::LONG, || {
        let dropped = program.ingestor_metric("mutt_ingest_kernel_drops_total", &labels);
        last = (api.ledger().events.audited, dropped as u64);
        (last.0 + last.1 == sent).then_some(())
    });
    assert!(all.is_some(), "audited and dropped by the kernel: {last:?} of {sent}");
    assert!(last.1 > 0, "the buffer held everything");
    program.stop();
}

#[test]
fn a_connection_too_many_is_closed_and_told() {
    let mut setup = Setup::new();
    setup.set("ingestor.syslog", "max_connections = 1");
    let program = setup.start();
    let mut first = TcpStream::connect(program.syslog_tcp()).unwrap();
    first.write_all(line("first").as_bytes()).unwrap();
    program.events("q=nr%3Dfirst", 1);
    let mut second = TcpStream::connect(program.syslog_tcp()).unwrap();
    assert_eq!(second.read(&mut [0; 1]).unwrap(), 0, "it is closed at once");
    first.write_all(line("still").as_bytes()).unwrap();
    program.events("q=nr%3Dstill", 1);
    drop(first);
    assert!(program.stop().log.contains("MUTT-I006"));
}

#[test]
fn a_sender_that_does_not_end_cannot_hold_the_shutdown_up() {
    let mut setup = Setup::new();
    setup.set("", "shutdown_timeout = \"1s\"");
    let mut program = setup.start();
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    stream.write_all(line("first").as_bytes()).unwrap();
    program.events("q=nr%3Dfirst", 1);
    program.process().signal(Signal::SIGTERM);
    assert_eq!(program.process().wait().code(), Some(0), "{}", program.log());
    assert!(program.log().contains("MUTT-P002"), "{}", program.log());
    drop(stream);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let setup = Setup::new();
    let program = setup.start();
    let mut second = setup.spawn(None);
    assert_eq!(second.wait().code(), Some(1), "{}", second.log());
    assert!(second.log().contains("MUTT-S003"), "{}", second.log());
    // The first one did not notice.
    assert_eq!(program.ingest(&[], r#"{"message":"still here"}"#).status, 200);
    program.events("q=still+here", 1);
    program.stop();
}

/// What the program may grow by before its memory ends, and what is asked of it at one time.
const SPARE: u64 = 24 << 20;
const SPARE_OF_SOAK: std::ops::Range<u64> = 1 << 20..96 << 20;
const LARGE: usize = 15 << 20;
const LARGE_AT_ONCE: usize = 16;
const HOLD: Duration = Duration::from_secs(5);

/// A program whose allocator keeps no address space in reserve, so that the limit is what it can use.
fn of_one_arena() -> Setup {
    let mut setup = Setup::new();
    setup.env("MALLOC_ARENA_MAX", "1");
    setup
}

/// From now on the program gets so much more memory than it has.
fn end_memory(program: &Program, spare: u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let size: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let limit = size * 1024 + spare;
    let mut command = Command::new("prlimit");
    run(command.args(["--pid", &program.id().to_string(), &format!("--as={limit}:{limit}")]));
}

/// Sends all of a large event but its end, so that it is held in memory until somebody gives up.
fn hold_a_large_event(address: SocketAddr, key: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_write_timeout(Some(HOLD))?;
    stream.set_read_timeout(Some(HOLD))?;
    let length = LARGE + 1;
    let head = format!(
        "POST /ingest HTTP/1.1\r\nhost: h\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&vec![b' '; LARGE])?;
    stream.read(&mut [0; 1]).map(|_| ())
}

/// Runs the program out of its memory under load until it is gone.
fn die_of_memory(setup: &Setup, senders: &Senders, spare: u64) {
    let mut program = setup.start();
    senders.aim(&program);
    answered(senders, senders.acknowledged() + 50);
    end_memory(&program, spare);
    let (address, key, over) = (program.http(), program.ingest_key(), AtomicBool::new(false));
    let ended = std::thread::scope(|threads| {
        for _ in 0..LARGE_AT_ONCE {
            threads.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let _ = hold_a_large_event(address, &key);
                }
            });
        }
        let ended = within(crate::support::wait::LONG, || program.process().poll());
        over.store(true, Ordering::SeqCst);
        ended
    });
    let log = program.log();
    let status = ended.unwrap_or_else(|| panic!("it lives without memory:\n{log}"));
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{status}\n{log}");
    assert!(log.contains("memory allocation of"), "{log}");
}

/// Starts it again, as systemd does, and compares what was acknowledged with the audit.
fn nothing_is_lost(setup: &Setup, senders: Senders) {
    let program = setup.start();
    senders.aim(&program);
    answered(&senders, senders.acknowledged() + 50);
    let told = senders.finish();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.unaccounted, ledger.lost), (0, 0), "{ledger:?}");
    told.check(&program.stop().audit());
    println!("row 6: acknowledged {}, {ledger:?}", told.acknowledged.len());
}

#[test]
fn a_program_whose_memory_ends_is_killed_and_loses_nothing_that_was_acknowledged() {
    if find("prlimit").is_none() {
        return;
    }
    let (setup, senders) = (of_one_arena(), Senders::start(Load::STEADY));
    die_of_memory(&setup, &senders, SPARE);
    nothing_is_lost(&setup, senders);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_06_memory() {
    let seed = crate::support::wait::env("MUTT_SOAK_SEED").map_or(6, |text| text.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let (setup, senders) = (of_one_arena(), Senders::start(Load::STEADY));
    for _ in 0..20 {
        die_of_memory(&setup, &senders, random.u64(SPARE_OF_SOAK));
    }
    nothing_is_lost(&setup, senders);
    println!("row 6: seed {seed}, 20 deaths");
}
