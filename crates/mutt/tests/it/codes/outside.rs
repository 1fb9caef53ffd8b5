//! Codes on the way to sinks.

use crate::support::{Program, Receiver, Reply, Setup};

use super::events::fake_clock;
use super::logged;

fn alerts(program: &Program, count: usize) {
    for n in 0..count {
        let event = serde_json::json!({
            "hostname": format!("edge-r{n}"), "severity": 3,
            "message": "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
        });
        assert_eq!(program.ingest(&[], &event.to_string()).status, 200);
    }
}

fn with_status(status: u16) -> (Receiver, Setup) {
    let receiver = Receiver::answering(Reply::status(status));
    let mut setup = Setup::new();
    setup.webhook("moog", &receiver.url(), "");
    (receiver, setup)
}

#[test]
fn a_sink_that_fails_is_told_and_its_breaker_opens_once() {
    let (_receiver, mut setup) = with_status(503);
    setup.set("sinks.moog", "probe_interval = \"100ms\"");
    let program = setup.start();
    alerts(&program, 8);
    logged(&program, "MUTT-F001");
    logged(&program, "MUTT-F005");
    // Probes that fail are no news.
    crate::support::until("probes", || {
        (program.log().matches("MUTT-F001").count() > 12).then_some(())
    });
    assert_eq!(program.log().matches("MUTT-F005").count(), 1);
}

#[test]
fn a_sink_that_knows_us_not_holds_its_lane() {
    let (_receiver, setup) = with_status(401);
    let program = setup.start();
    alerts(&program, 1);
    logged(&program, "MUTT-F002");
}

#[test]
fn a_sink_that_refuses_a_payload_kills_the_delivery() {
    let (_receiver, setup) = with_status(400);
    let program = setup.start();
    alerts(&program, 1);
    logged(&program, "MUTT-F003");
}

#[test]
fn a_delivery_that_was_tried_for_too_long_is_dead() {
    let Some(fake) = fake_clock() else { return };
    let (_receiver, mut setup) = with_status(503);
    setup.set("sinks.moog", "retry_for = \"1m\"\nprobe_interval = \"100ms\"");
    // A minute of wall time passes in a fraction of a second.
    setup.env("LD_PRELOAD", &fake).env("FAKETIME", "+0 x100");
    setup.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let program = setup.start();
    alerts(&program, 1);
    logged(&program, "MUTT-F004");
}

#[test]
fn a_sink_without_its_credential_is_named() {
    let (_receiver, mut setup) = with_status(200);
    let missing = setup.folder().join("missing");
    setup.set("sinks.moog", &format!("auth = {{ bearer = {{ file = {missing:?} }} }}"));
    let program = setup.start();
    logged(&program, "MUTT-F006");
}
