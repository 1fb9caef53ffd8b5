//! From a matching rule to the receiver: delivered, dead and replayed, held and released by itself,
//! retried, and in order for each key.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Program, Receiver, Reply, Setup, tools, until};

const DOWN: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;
const UP: &str = r#"{"hostname":"edge-r1","severity":5,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to up"}"#;
/// Probes come often, so that a test need not wait.
const QUICK: &str = "probe_interval = \"200ms\"";

fn with_sink(receiver: &Receiver, lines: &str) -> (Setup, Program) {
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), lines);
    let program = setup.start();
    (setup, program)
}

#[track_caller]
fn received(receiver: &Receiver, count: usize) {
    until(&format!("{count} requests at the receiver"), || {
        (receiver.count() >= count).then_some(())
    });
}

#[track_caller]
fn deliveries(program: &Program, state: &str, count: usize) -> Vec<Value> {
    let mut api = program.api();
    until(&format!("{count} deliveries in state {state}"), || {
        let page = api.get(&format!("/api/v2/deliveries?limit=1000&state={state}"));
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
}

#[test]
fn a_problem_and_its_clear_reach_the_webhook() {
    let receiver = Receiver::answering(Reply::status(200));
    let (_setup, program) = with_sink(&receiver, QUICK);
    assert_eq!(program.ingest(&[("x-correlation-id", "corr-1")], DOWN).status, 200);
    received(&receiver, 1);
    assert_eq!(program.ingest(&[], UP).status, 200);
    received(&receiver, 2);
    let seen = receiver.seen();
    assert_eq!(seen[0].kind(), "opened");
    assert_eq!(seen[1].kind(), "cleared");
    assert_eq!(seen[0].key(), seen[1].key());
    assert_eq!(seen[0].body["event"]["correlation_id"], "corr-1");
    assert_eq!(seen[0].body["alert"]["host"], "edge-r1");
    let ledger = program.at_rest().deliveries;
    assert_eq!((ledger.created, ledger.delivered), (2, 2), "{ledger:?}");
    // The life of the event, down to the attempt.
    let event = &program.events("q=to+down", 1)[0];
    let life = program.api().get(&format!("/api/v2/events/{}", event["id"].as_str().unwrap()));
    assert_eq!(life.pointer("/lineage/attempts/0/status"), Some(&json!(200)), "{life:#}");
    program.stop();
}

#[test]
fn a_refused_payload_is_dead_and_replayed_with_the_same_key() {
    let receiver = Receiver::answering(Reply::status(400));
    let (_setup, program) = with_sink(&receiver, QUICK);
    program.ingest(&[], DOWN);
    let dead = deliveries(&program, "dead", 1);
    assert_eq!(dead[0]["reason"], "refused");
    receiver.now_answers(Reply::status(200));
    let id = dead[0]["id"].as_str().unwrap();
    let path = format!("/api/v2/deliveries/{id}/replay");
    let done = program.api().post(&path, &json!({"reason": "the receiver was mended"}));
    assert_eq!(done["replayed"], 1, "{done}");
    let delivered = deliveries(&program, "delivered", 1);
    assert_eq!(delivered[0]["id"], dead[0]["id"]);
    let seen = receiver.seen();
    assert_eq!(seen.iter().map(|s| s.status).collect::<Vec<_>>(), [400, 200]);
    assert_eq!((seen[0].id(), seen[1].id()), (id, id));
    assert_eq!(seen[0].headers.get("idempotency-key"), seen[1].headers.get("idempotency-key"));
    assert!(seen[0].headers.contains_key("idempotency-key"), "{:?}", seen[0].headers);
    let ledger = program.at_rest().deliveries;
    assert_eq!((ledger.created, ledger.delivered, ledger.dead), (1, 1, 0), "{ledger:?}");
    let log = program.stop().log;
    assert!(log.contains("MUTT-F003"), "{log}");
}

#[test]
fn a_401_holds_the_lane_and_the_alert_arrives_by_itself() {
    let receiver = Receiver::answering(Reply::status(401));
    let (_setup, program) = with_sink(&receiver, QUICK);
    program.ingest(&[], DOWN);
    received(&receiver, 3);
    let lane = program.api().get("/api/v2/sinks/hook");
    assert_eq!((&lane["held_by"], &lane["dead"]), (&json!("fault"), &json!(0)), "{lane}");
    // Other alerts wait with it; none is burnt.
    for host in 0..5 {
        program.ingest(&[], &DOWN.replace("edge-r1", &format!("other-{host}")));
    }
    deliveries(&program, "held", 6);
    receiver.now_answers(Reply::status(200));
    deliveries(&program, "delivered", 6);
    let ids: Vec<String> = receiver.seen().iter().map(|s| s.id().to_owned()).collect();
    let accepted = receiver.seen().iter().filter(|s| s.status == 200).count();
    assert_eq!(accepted, 6, "{ids:?}");
    let ledger = program.at_rest().deliveries;
    assert_eq!((ledger.created, ledger.delivered), (6, 6), "{ledger:?}");
    let lane = program.api().get("/api/v2/sinks/hook");
    assert_eq!(lane["held_by"], Value::Null, "{lane}");
    program.stop();
}

#[test]
fn what_is_retried_is_delivered_and_a_pause_is_kept() {
    let mut answers = [503, 429, 200].into_iter();
    let receiver = Receiver::start(move |_| {
        let status = answers.next().unwrap_or(200);
        Reply { retry_after: (status == 429).then_some(1), ..Reply::status(status) }
    });
    let (_setup, program) = with_sink(&receiver, QUICK);
    program.ingest(&[], DOWN);
    let delivered = deliveries(&program, "delivered", 1);
    assert_eq!(delivered[0]["attempt_count"], 3);
    let ids: Vec<String> = receiver.seen().iter().map(|s| s.id().to_owned()).collect();
    assert_eq!(ids, vec![ids[0].clone(); 3]);
    program.stop();
}

#[test]
fn an_open_breaker_loses_nothing_and_closes_by_itself() {
    let receiver = Receiver::answering(Reply::status(503));
    let (_setup, program) = with_sink(&receiver, QUICK);
    for host in 0..20 {
        program.ingest(&[], &DOWN.replace("edge-r1", &format!("host-{host}")));
    }
    let mut api = program.api();
    until("the breaker is open", || {
        (api.get("/api/v2/sinks/hook")["breaker"] == "open").then_some(())
    });
    receiver.now_answers(Reply::status(200));
    let ledger = program.at_rest().deliveries;
    assert_eq!((ledger.created, ledger.delivered), (20, 20), "{ledger:?}");
    program.stop();
}

#[test]
fn what_has_expired_is_redriven_when_the_sink_is_well_again() {
    let receiver = Receiver::answering(Reply::status(503));
    let mut setup = Setup::new();
    setup.set("remediation", "interval = \"1s\"");
    setup.webhook("hook", &receiver.url(), &format!("retry_for = \"1s\"\n{QUICK}"));
    let program = setup.start();
    program.ingest(&[], DOWN);
    let expired = until("it expires", || {
        // Remediation makes it pending for a probe now and then.
        let page = program.api().get("/api/v2/deliveries?state=dead");
        let first = page["items"][0].clone();
        (first["reason"] == "expired").then_some(first)
    });
    receiver.now_answers(Reply::status(200));
    let delivered = deliveries(&program, "delivered", 1);
    assert_eq!(delivered[0]["id"], expired["id"]);
    let changes = program.api().get("/api/v2/changes")["items"].to_string();
    assert!(changes.contains("remediation"), "each redrive is in the change log: {changes}");
    program.stop();
}

#[test]
fn a_sink_is_served_when_its_secret_is_there() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    let secret = setup.folder().join("token");
    let lines = format!("auth = {{ bearer = {{ file = {secret:?} }} }}");
    setup.webhook("hook", &receiver.url(), &lines);
    let program = setup.start();
    program.ingest(&[], DOWN);
    until("the log tells", || program.log().contains("MUTT-F006").then_some(()));
    std::fs::write(&secret, "hush").unwrap();
    deliveries(&program, "delivered", 1);
    assert_eq!(receiver.seen()[0].headers["authorization"], "Bearer hush");
    let log = program.stop().log;
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn an_answer_that_is_lost_makes_a_double_with_the_same_key() {
    let mut first = true;
    let receiver = Receiver::start(move |_| {
        let delay = if std::mem::take(&mut first) { 2_000 } else { 0 };
        Reply::status(200).after(Duration::from_millis(delay))
    });
    let (_setup, program) = with_sink(&receiver, "timeout = \"500ms\"");
    program.ingest(&[], DOWN);
    deliveries(&program, "delivered", 1);
    let seen = receiver.seen();
    assert_eq!((seen.len(), seen[0].id()), (2, seen[1].id()));
    program.stop();
}

#[test]
fn syslog_and_trap_of_one_interface_meet_in_one_alert() {
    let Some(snmptrap) = tools::find("snmptrap") else { return };
    let program = Setup::new().start();
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    stream.write_all(b"<187>1 2026-11-23T10:00:00Z 127.0.0.1 link - - - %LINK-3-UPDOWN: Interface GigabitEthernet0/12, changed state to down\n").unwrap();
    let mut api = program.api();
    let alerts = |api: &mut crate::support::http::Api| {
        api.get("/api/v2/alerts?problem=link-down")["items"].as_array().unwrap().clone()
    };
    until("the alert of the syslog line", || (alerts(&mut api).len() == 1).then_some(()));
    let trap = |oid: &str| {
        let mut command = Command::new(&snmptrap);
        command.args(["-v", "2c", "-c", "public", &program.snmp().to_string(), "1", oid]);
        command.args(["1.3.6.1.2.1.2.2.1.1.12", "i", "12"]);
        tools::run(command.args(["1.3.6.1.2.1.2.2.1.2.12", "s", "GigabitEthernet0/12"]));
    };
    trap("1.3.6.1.6.3.1.1.5.3");
    let alert = until("both count in one alert", || {
        let found = alerts(&mut api);
        (found[0]["count"] == 2 && found.len() == 1).then(|| found[0].clone())
    });
    assert_eq!(
        (&alert["resource"], &alert["state"]),
        (&json!("GigabitEthernet0/12"), &json!("open"))
    );
    trap("1.3.6.1.6.3.1.1.5.4");
    until("the trap clears it", || (alerts(&mut api)[0]["state"] == "cleared").then_some(()));
    assert_eq!(alerts(&mut api).len(), 1);
    program.stop();
}

/// Hosts of the order test; each has one alert key.
const KEYS: usize = 250;
/// Pairs of problem and clear on each.
const PAIRS: usize = 40;

#[test]
fn ten_thousand_pairs_arrive_in_the_order_of_their_key() {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let receiver = Receiver::start(move |_| {
        Reply::status(200).after(Duration::from_micros(random.u64(0..2_000)))
    });
    let (_setup, program) = with_sink(&receiver, "rate = \"1000000/s\"\nin_flight = 8");
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    for pair in 0..PAIRS {
        let mut lines = String::new();
        for state in ["down", "up"] {
            for key in 0..KEYS {
                lines.push_str(&format!("<187>1 2026-11-23T10:00:00Z key-{key} link - - - %LINK-3-UPDOWN: Interface Gi0/1, changed state to {state} nr={pair};\n"));
            }
        }
        stream.write_all(lines.as_bytes()).unwrap();
    }
    drop(stream);
    let mut api = program.api();
    let ledger = until("every delivery has ended", || {
        let ledger = api.ledger().deliveries;
        let ended = ledger.delivered + ledger.suppressed;
        (ended == (2 * KEYS * PAIRS) as u64).then_some(ledger)
    });
    // The limiter was never met: nothing was passed over.
    assert_eq!((ledger.delivered, ledger.suppressed), ((2 * KEYS * PAIRS) as u64, 0));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2 * KEYS * PAIRS, "each delivery was accepted at once");
    let mut told: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for one in &seen {
        let alert = one.body["alert"]["id"].as_str().unwrap().to_owned();
        told.entry(one.key().to_owned()).or_default().push((one.kind().to_owned(), alert));
    }
    assert_eq!(told.len(), KEYS);
    for (key, told) in &told {
        assert_eq!(told.len(), 2 * PAIRS);
        for (at, pair) in told.chunks(2).enumerate() {
            assert_eq!(
                (pair[0].0.as_str(), pair[1].0.as_str()),
                ("opened", "cleared"),
                "{key} pair {at}"
            );
            assert_eq!(pair[0].1, pair[1].1, "{key} pair {at} is of one alert");
        }
        // Alerts of one key follow each other: their ids grow with time.
        let ids: Vec<&String> = told.iter().step_by(2).map(|t| &t.1).collect();
        assert!(ids.is_sorted(), "{key}");
    }
    println!("most in flight at one time: {}", receiver.most_open());
    assert!(receiver.most_open() > 1 && receiver.most_open() <= 8, "{}", receiver.most_open());
    program.stop();
}

#[test]
fn under_a_limiter_nothing_is_lost_and_repeats_are_counted_in_what_leaves() {
    let receiver = Receiver::answering(Reply::status(200));
    let (_setup, program) = with_sink(&receiver, "rate = \"20/s\"\nrepeat = \"every\"");
    let records: Vec<Value> = (0..400)
        .map(|n| json!({"hostname": format!("key-{}", n % 4), "severity": 3, "message": "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}))
        .collect();
    program.ingest(&[], &Value::from(records).to_string());
    let ledger = program.at_rest().deliveries;
    assert_eq!((ledger.created, ledger.dead), (400, 0), "{ledger:?}");
    assert_eq!(ledger.delivered + ledger.suppressed, 400, "{ledger:?}");
    let mut stands_for = BTreeMap::new();
    for seen in receiver.seen() {
        let count = seen.body["stands_for"].as_u64().unwrap();
        *stands_for.entry(seen.key().to_owned()).or_insert(0) += count;
    }
    let counts: Vec<u64> = stands_for.into_values().collect();
    assert_eq!(counts, [100; 4], "each event is told or stood for");
    program.stop();
}
