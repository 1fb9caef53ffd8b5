//! The whole path through five processes: from three kinds of senders to audited rows and a receiver.

use std::io::Write as _;
use std::net::TcpStream;

use crate::support::site::SERVICES;
use crate::support::{Receiver, Reply, Site, tools, until};

fn syslog(site: &Site, host: &str, text: &str) {
    let mut stream = TcpStream::connect(site.program("ingestor").syslog_tcp()).unwrap();
    let line = format!("<187>1 2026-11-23T12:00:00Z {host} app - - - {text}\n");
    stream.write_all(line.as_bytes()).unwrap();
}

/// As a device does it; `false` where the program is missing.
fn snmptrap(site: &Site) -> bool {
    let Some(program) = tools::find("snmptrap") else { return false };
    let mut command = std::process::Command::new(program);
    command
        .args(["-v", "2c", "-c", "public"])
        .arg(site.program("ingestor").snmp().to_string())
        .args(["", "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.12", "i", "12"]);
    tools::run(&mut command);
    true
}

fn http(site: &Site, host: &str) {
    let text = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down";
    let event = format!(r#"{{"hostname":"{host}","severity":3,"message":"{text}"}}"#);
    let answer = site.ingest("ingestor", &event);
    assert_eq!(answer.status, 200, "{}", site.program("ingestor").log());
}

#[test]
fn an_event_goes_through_five_processes() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut site = Site::new();
    site.webhook("hook", &receiver.url(), "");
    site.start_all(&SERVICES);
    site.ready();
    let down = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down";
    syslog(&site, "edge-r1", down);
    http(&site, "edge-r2");
    let traps = i64::from(snmptrap(&site));
    until("all are audited", || (site.audited() == 2 + traps).then_some(()));
    until("both links are told", || (receiver.count() >= 2).then_some(()));
    let ledger = site.at_rest();
    assert_eq!(ledger.events.unaccounted, 0);
    assert_eq!(i64::try_from(ledger.events.audited).unwrap(), site.audited());
    let delivered = site.count("SELECT count(*) FROM mutt.deliveries WHERE state = 3");
    assert_eq!(i64::try_from(ledger.deliveries.delivered).unwrap(), delivered);
    assert_eq!(i64::try_from(receiver.count()).unwrap(), delivered);
    let said = until("the doctor knows all", || {
        let said = site.doctor();
        said.contains("services: remediation on ").then_some(said)
    });
    for name in ["alerter", "moog-forwarder", "remediation"] {
        assert!(said.contains(&format!("ok   services: {name} on ")), "{said}");
    }
    site.kill("remediation");
    until("the doctor misses one", || {
        site.doctor().contains("bad  services: remediation runs nowhere").then_some(())
    });
    site.start("remediation");
    site.stop_all();
}
