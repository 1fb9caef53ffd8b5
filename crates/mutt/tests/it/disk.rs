//! What the disk does to MUTT: power cut, full, damaged. What was acknowledged is there, and what is
//! lost is counted and told.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::disk::Disk;
use crate::support::senders::{Load, Senders, answered};
use crate::support::wait::within;
use crate::support::{Receiver, Reply, Setup, until};

/// A power cut under load: the program is frozen first, because a call of it that is in the kernel at
/// the moment of the cut may still come back with success, which no power cut lets happen.
fn cut_under_load(setup: &Setup, disk: &mut Disk, senders: &Senders) {
    let mut program = setup.start();
    senders.aim(&program);
    answered(senders, senders.acknowledged() + 1_000);
    assert!(senders.open() > 0, "there is no load");
    program.process().signal(Signal::SIGSTOP);
    disk.cut();
    program.kill();
    disk.reboot();
}

/// A disk that goes away under a living program: nobody is told that anything is durable.
fn cut_while_it_lives(setup: &Setup, disk: &mut Disk, senders: &Senders) {
    let program = setup.start();
    senders.aim(&program);
    answered(senders, senders.acknowledged() + 200);
    let mut api = program.api();
    senders.rest();
    disk.cut();
    let (refused, known) = (senders.refused(), senders.acknowledged());
    senders.aim_at_http(&program);
    until("senders are refused", || (senders.refused() > refused + 20).then_some(()));
    assert_eq!(senders.acknowledged(), known, "something was acknowledged without a disk");
    // The program waits for its disk instead of dying.
    until("the log tells", || program.log().contains("MUTT-I005").then_some(()));
    assert_eq!(api.get("/api/v2/whoami")["name"], "admin");
    program.kill();
    disk.reboot();
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(mut disk) = Disk::new(96) else { return };
    let mut setup = Setup::new();
    setup.data_in(disk.path().join("data")).set("queue", "max_bytes = \"8MiB\"");
    let senders = Senders::start(Load::STEADY);
    cut_under_load(&setup, &mut disk, &senders);
    cut_while_it_lives(&setup, &mut disk, &senders);
    cut_under_load(&setup, &mut disk, &senders);
    let program = setup.start();
    senders.aim(&program);
    let told = senders.finish();
    let ledger = program.at_rest().events;
    let stopped = program.stop();
    told.check(&stopped.audit());
    assert_eq!((ledger.lost, ledger.audited), (0, told.sent.len() as u64), "{ledger:?}");
    println!("power cut three times: {} acknowledged, 0 lost, 0 twice", told.acknowledged.len());
}

#[test]
fn a_full_disk_refuses_and_takes_again_when_there_is_space() {
    let Some(disk) = Disk::new(96) else { return };
    let mut setup = Setup::new();
    setup.data_in(disk.path().join("data")).set("queue", "max_bytes = \"8MiB\"");
    let program = setup.start();
    let senders = Senders::start(Load { filling: 500, ..Load::STEADY });
    senders.aim(&program);
    answered(&senders, 500);
    let filler = disk.fill();
    let refused = senders.refused();
    until("senders are refused", || (senders.refused() > refused + 20).then_some(()));
    // It still lives, and says what is wrong.
    until("the log tells", || {
        let log = program.log();
        (log.contains("MUTT-I004") || log.contains("MUTT-I005")).then_some(())
    });
    assert_eq!(program.api().get("/api/v2/whoami")["name"], "admin");
    filler.remove();
    answered(&senders, senders.acknowledged() + 500);
    let told = senders.finish();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.lost, ledger.audited), (0, told.sent.len() as u64), "{ledger:?}");
    told.check(&program.stop().audit());
    println!(
        "disk full: {} refused, {} acknowledged, 0 lost",
        told.refused,
        told.acknowledged.len()
    );
}

/// Files of the event queue that hold records, oldest first.
fn segments(setup: &Setup) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(setup.data_dir().join("queue")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "log"));
    files.sort();
    files
}

/// Appends `batches` requests of ten events each and ends, with nobody to judge them.
fn appended(setup: &mut Setup, batches: usize) {
    setup.only(Some("ingestor"));
    let program = setup.start();
    for batch in 0..batches {
        let records: Vec<_> = (0..10)
            .map(|n| json!({"hostname": "h", "message": format!("nr={batch}-{n}; {}", "x".repeat(100))}))
            .collect();
        let answer = program.ingest(&[], &serde_json::Value::from(records).to_string());
        assert_eq!(answer.status, 200);
    }
    program.stop();
    setup.only(None);
}

#[test]
fn damage_in_the_queue_is_counted_set_aside_and_told() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "");
    appended(&mut setup, 5);
    // One octet in the middle of the file: it belongs to one event of one of the five records.
    let file = segments(&setup).pop().unwrap();
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let at = bytes.windows(7).position(|w| w == b"nr=2-4;").expect("the event is in the file");
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"#").unwrap();
    drop(file);
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert!((1..=10).contains(&ledger.lost), "{ledger:?}");
    assert_eq!((ledger.received, ledger.audited), (50, 50 - ledger.lost), "{ledger:?}");
    // Ingest goes on, and somebody is told.
    assert_eq!(program.ingest(&[], r#"{"message":"after the damage"}"#).status, 200);
    program.events("q=after+the+damage", 1);
    until("the alert about it", || {
        receiver
            .seen()
            .iter()
            .any(|s| s.body["alert"]["problem"] == "mutt-queue-damaged")
            .then_some(())
    });
    let stopped = program.stop();
    assert!(stopped.log.contains("MUTT-A005"), "{}", stopped.log);
    let audit = stopped.audit();
    let order: Vec<String> = audit
        .events
        .iter()
        .filter_map(|e| crate::support::senders::number_in(&e.message).map(ToOwned::to_owned))
        .collect();
    assert!(order.is_sorted() && !order.contains(&"2-4".to_owned()), "{order:?}");
}

#[test]
fn a_torn_tail_costs_nothing_that_was_acknowledged() {
    let mut setup = Setup::new();
    appended(&mut setup, 3);
    let file = segments(&setup).pop().unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(&[0x4d; 37]).unwrap();
    drop(file);
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert_eq!((ledger.audited, ledger.lost), (30, 0), "{ledger:?}");
    program.stop();
}

#[test]
fn a_missing_file_is_never_an_empty_start() {
    let mut setup = Setup::new();
    setup.set("queue", "max_bytes = \"1MiB\"");
    appended(&mut setup, 300);
    let files = segments(&setup);
    assert!(files.len() > 2, "{files:?}");
    std::fs::remove_file(&files[1]).unwrap();
    let program = setup.start();
    let ledger = program.at_rest().events;
    assert!(ledger.lost > 0, "{ledger:?}");
    assert_eq!(ledger.received, 3_000, "{ledger:?}");
    assert_eq!(ledger.audited + ledger.lost, 3_000, "{ledger:?}");
    let told =
        within(Duration::from_secs(20), || program.log().contains("MUTT-A005").then_some(()));
    assert!(told.is_some(), "{}", program.log());
    program.stop();
}
