//! Codes of a program that does not start, or does not end in time.

use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{logged, segment, sql};
use crate::provoked::provoked;
use crate::support::{Receiver, Reply, Setup, until};

const EVENT: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;

/// Starts, and keeps what is said at its end.
#[track_caller]
fn refused(setup: &Setup, code: &str) {
    let mut process = setup.spawn(None);
    assert_eq!(process.wait().code(), Some(1), "{}", process.log());
    provoked(code, &process.log());
}

/// Event queue and store with one event that waits.
fn waiting() -> Setup {
    let mut setup = Setup::new();
    setup.start().stop();
    setup.only(Some("ingestor"));
    let program = setup.start();
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    program.stop();
    setup.only(None);
    setup
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let setup = Setup::new();
    setup.start().stop();
    sql(setup.data_dir(), "PRAGMA user_version = 99");
    refused(&setup, "MUTT-S001");
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data_dir().join("mutt.db")).unwrap();
    refused(&setup, "MUTT-S002");
}

#[test]
fn an_event_queue_that_cannot_be_opened_is_named() {
    let setup = Setup::new();
    let queue = setup.data_dir().join("queue");
    std::fs::create_dir_all(setup.data_dir()).unwrap();
    std::fs::write(&queue, "a file where the folder should be").unwrap();
    let mut process = setup.spawn(None);
    assert_eq!(process.wait().code(), Some(1), "{}", process.log());
    let log = process.log();
    assert!(log.contains("MUTT-S004") && log.contains(&queue.display().to_string()), "{log}");
}

#[test]
fn a_data_dir_that_cannot_be_made_is_named() {
    let mut setup = Setup::new();
    let file = setup.folder().join("file");
    std::fs::write(&file, "").unwrap();
    setup.data_in(file.join("data"));
    refused(&setup, "MUTT-P008");
}

#[test]
fn a_record_of_another_version_is_kept() {
    let setup = waiting();
    let path = segment(setup.data_dir());
    let mut bytes = std::fs::read(&path).unwrap();
    // The format's number in the file's header, under a checksum that is right.
    bytes[8] = 9;
    let sum = crc32(&bytes[..68]);
    bytes[68..72].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    refused(&setup, "MUTT-A004");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn damage_in_the_event_queue_is_counted_and_told() {
    let setup = waiting();
    let path = segment(setup.data_dir());
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let at = bytes.windows(4).position(|window| window == b"LINK").unwrap();
    file.seek(std::io::SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"KNIL").unwrap();
    drop(file);
    let program = setup.start();
    logged(&program, "MUTT-A005");
    let ledger = until("the loss in the ledger", || {
        let ledger = program.api().ledger().events;
        (ledger.lost == 1 && ledger.pending == 0).then_some(ledger)
    });
    assert_eq!((ledger.received, ledger.unaccounted), (1, 0), "{ledger:?}");
}

#[test]
fn an_end_that_takes_too_long_is_told() {
    let receiver = Receiver::answering(Reply::status(200).after(Duration::from_secs(6)));
    let mut setup = Setup::new();
    setup.set("", "shutdown_timeout = \"1s\"").webhook("moog", &receiver.url(), "");
    let mut program = setup.start();
    assert_eq!(program.ingest(&[], EVENT).status, 200);
    until("an attempt under way", || (receiver.open() == 1).then_some(()));
    program.process().signal(Signal::SIGTERM);
    assert_eq!(program.process().wait().code(), Some(0), "{}", program.log());
    logged(&program, "MUTT-P002");
}

/// The checksum of the event queue's files, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}
