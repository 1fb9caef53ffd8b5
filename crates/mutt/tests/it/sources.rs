//! Sources of the running program: who is heard, who may send and how much, and who went quiet.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use mutt_wire::snmp::encode::trap_v2c;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::provoked::provoked;
use crate::support::{Program, Setup, until};

fn send(program: &Program, host: &str, text: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let line = format!("<189>Nov 29 10:00:00 {host} app: {text}");
    socket.send_to(line.as_bytes(), program.syslog_udp()).unwrap();
}

#[track_caller]
fn source(program: &Program, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(&format!("source {id}"), || {
        let list = program.api().get("/api/v2/sources?limit=1000");
        let found = list["items"].as_array()?.iter().find(|source| source["id"] == id)?.clone();
        wanted(&found).then_some(found)
    })
}

fn dropped(program: &Program, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    program.ingestor_metric("mutt_ingest_dropped_total", &[&label])
}

#[track_caller]
fn told(program: &Program, code: &str) {
    let line = until(code, || {
        program.log().lines().find(|line| line.contains(code)).map(ToOwned::to_owned)
    });
    provoked(code, &line);
    assert_eq!(program.log().matches(code).count(), 1, "once a minute for each sender");
}

#[test]
fn who_is_heard_is_listed_with_what_is_odd_about_it() {
    let setup = Setup::new();
    let program = setup.start();
    for n in 0..20 {
        send(&program, "Edge-R1", &format!("number {n}"));
    }
    send(&program, "edge-r2", "one");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"no priority at all", program.syslog_udp()).unwrap();
    let found = source(&program, "edge-r1@127.0.0.1", |source| source["events"] == 20);
    assert_eq!((&found["state"], &found["listener"]), (&"active".into(), &"syslog-udp".into()));
    assert!(found["format"].is_string() && found["skew_ms"].is_i64(), "{found}");
    let found = source(&program, "127.0.0.1@127.0.0.1", |source| source["events"] == 1);
    assert!(found["reasons"].as_object().is_some_and(|reasons| !reasons.is_empty()), "{found}");
    let unparsed = program.api().get("/api/v2/sources?state=unparsed");
    assert_eq!(unparsed["items"][0]["id"], "127.0.0.1@127.0.0.1");
    until("the event among those not understood", || {
        let partial = program.api().get("/api/v2/events?parse=partial")["items"].as_array()?.len();
        let failed = program.api().get("/api/v2/events?parse=failed")["items"].as_array()?.len();
        (partial + failed == 1).then_some(())
    });
    until("the listener's numbers", || {
        let rows = program.api().get("/api/v2/listeners");
        let row = rows["items"].as_array()?.iter().find(|r| r["listener"] == "syslog-udp")?.clone();
        (row["received"] == 22 && row["stored"] == 22 && row["kernel_drops"] == 0).then_some(())
    });
    let body = serde_json::json!({"reason": "a test"});
    let muted = program.api().call("POST", "/api/v2/sources/edge-r1@127.0.0.1/mute", Some(&body));
    assert_eq!(muted.unwrap().json()["muted"], true);
    let gone = program.api().call("POST", "/api/v2/sources/edge-r2@127.0.0.1/forget", Some(&body));
    assert_eq!(gone.unwrap().status, 200);
    let list = program.api().get("/api/v2/sources?q=edge");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let log = program.api().get("/api/v2/changes");
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][1]["action"]),
        (&"forget".into(), &"mute".into())
    );
    program.stop();
}

#[test]
fn who_may_not_send_is_refused_counted_and_let_in_by_a_reload() {
    let mut setup = Setup::new();
    setup.set("ingestor", "allow = [\"192.0.2.0/24\"]");
    let program = setup.start();
    for n in 0..7 {
        send(&program, "r1", &format!("number {n}"));
    }
    until("seven refusals", || (dropped(&program, "not_allowed") >= 7.0).then_some(()));
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    let mut end = [0; 1];
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert!(matches!(std::io::Read::read(&mut stream, &mut end), Ok(0) | Err(_)));
    let refused = program.ingestor_metric("mutt_ingest_connections_not_allowed_total", &[]);
    assert!(refused >= 1.0, "{refused}");
    assert_eq!(program.ingest(&[], r#"{"message":"x"}"#).status, 403);
    told(&program, "MUTT-I070");
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.dropped["not_allowed"]), (7, 7), "{ledger:?}");
    source(&program, "127.0.0.1@127.0.0.1", |source| {
        source["dropped"]["not_allowed"].as_u64().is_some_and(|count| count >= 8)
    });
    let path = setup.write();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"192.0.2.0/24\"", "\"127.0.0.0/8\"")).unwrap();
    let process = nix::unistd::Pid::from_raw(i32::try_from(program.id()).unwrap());
    nix::sys::signal::kill(process, Signal::SIGHUP).unwrap();
    until("the new list in force", || {
        (program.ingest(&[], r#"{"message":"x"}"#).status == 200).then_some(())
    });
    // Back again: who is connected is asked anew, and what it said is kept.
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"<13>1 - r2 app - - - said while it might\n").unwrap();
    program.events("q=said+while", 1);
    std::fs::write(&path, text).unwrap();
    nix::sys::signal::kill(process, Signal::SIGHUP).unwrap();
    assert!(matches!(std::io::Read::read(&mut stream, &mut end), Ok(0)), "it is still connected");
    program.stop();
}

#[test]
fn limits_drop_datagrams_and_hold_streams_back_exactly() {
    let mut setup = Setup::new();
    setup.set("", "[[ingestor.limits]]\nsources = [\"127.0.0.0/8\"]\nrate = \"20/s\"\nburst = 30");
    let program = setup.start();
    for n in 0..200 {
        send(&program, "r1", &format!("number {n}"));
    }
    let ledger = || program.api().get("/api/v2/ledger")["events"].clone();
    let counted = until("all datagrams counted", || {
        let events = ledger();
        (events["received"] == 200 && events["pending"] == 0).then_some(events)
    });
    let over = counted["dropped"]["source_limit"].as_u64().unwrap();
    assert!((120..=170).contains(&over), "{counted}");
    assert_eq!(
        (counted["audited"].as_u64(), &counted["unaccounted"]),
        (Some(200 - over), &0.into())
    );
    told(&program, "MUTT-I071");
    // A stream over the limit waits, and loses nothing.
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    let lines: String = (0..60).map(|n| format!("<189>1 - r1 app - - - line {n}\n")).collect();
    stream.write_all(lines.as_bytes()).unwrap();
    stream.write_all(b"<189>1 - r1 app - - - the last\n").unwrap();
    drop(stream);
    until("all lines", || (ledger()["audited"].as_u64() == Some(200 - over + 61)).then_some(()));
    let held = program.ingestor_metric("mutt_ingest_held_back_seconds_total", &[]);
    assert!(held > 0.5, "{held}");
    source(&program, "127.0.0.1@127.0.0.1", |source| {
        source["dropped"]["source_limit"] == over && source["held"].as_u64() > Some(0)
    });
    program.stop();
}

/// Traps of SNMPv2c with this community, one behind the other.
fn traps(community: &[u8], count: i32) -> Vec<Vec<u8>> {
    let trap = |request| trap_v2c(community, request, 4_200, "1.3.6.1.6.3.1.1.5.3", &[]).unwrap();
    (0..count).map(trap).collect()
}

#[test]
fn snmp_over_tcp_is_held_back_at_its_limit_and_loses_nothing() {
    let mut setup = Setup::new();
    setup.set("", "[[ingestor.limits]]\nsources = [\"127.0.0.0/8\"]\nrate = \"20/s\"\nburst = 30");
    setup.env("MUTT__INGESTOR__SNMP__TCP", "[\"127.0.0.1:0\"]");
    let program = setup.start();
    let mut stream = TcpStream::connect(program.listening("snmp_tcp")[0]).unwrap();
    stream.write_all(&traps(b"public", 60).concat()).unwrap();
    // What is over the limit is read once the debt is paid.
    stream.write_all(&traps(b"public", 1).concat()).unwrap();
    drop(stream);
    until("all traps", || (program.api().ledger().events.audited == 61).then_some(()));
    let held = program.ingestor_metric("mutt_ingest_held_back_seconds_total", &["snmp-tcp"]);
    assert!(held > 0.5, "{held}");
    let source = source(&program, "127.0.0.1@127.0.0.1", |source| source["held"] != 0);
    assert_eq!(source["dropped"], json!({}), "{source}");
    program.stop();
}

/// The row of a listener once nothing of it is on its way; what it counted as received.
#[track_caller]
fn accounted(program: &Program, listener: &str, received: u64) -> Value {
    let mut last = Value::Null;
    let row = crate::support::wait::within(crate::support::wait::LONG, || {
        let rows = program.api().get("/api/v2/listeners");
        let row = rows["items"].as_array()?.iter().find(|row| row["listener"] == listener)?;
        last.clone_from(row);
        (row["received"] == received && row["unaccounted"] == 0).then(|| row.clone())
    });
    row.unwrap_or_else(|| panic!("{listener}: {received} were sent: {last:#}"))
}

#[test]
fn what_was_sent_is_what_arrived_and_each_of_it_is_somewhere() {
    let mut setup = Setup::new();
    let write = |name: &str, text: &str| {
        let file = setup.folder().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let (community, password) = (write("community", "known"), write("auth", "authentic-pass"));
    let user = "{ name = \"known\", auth = { protocol = \"SHA-512\", secret = { env = \"V3\" } } }";
    let lines = format!("communities = [{{ file = {community:?} }}]\nusers = [{user}]");
    setup.set("ingestor.snmp", &lines).env("V3", "authentic-pass");
    setup.env("MUTT__INGESTOR__SNMP__TCP", "[\"127.0.0.1:0\"]");
    let program = setup.start();
    for n in 0..50 {
        send(&program, "r1", &format!("number {n}"));
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"", program.syslog_udp()).unwrap();
    let row = accounted(&program, "syslog-udp", 51);
    assert_eq!((&row["stored"], &row["dropped"]), (&json!(50), &json!({"empty": 1})));
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    let lines: String = (0..40).map(|n| format!("<189>1 - r1 app - - - line {n}\n")).collect();
    stream.write_all(lines.as_bytes()).unwrap();
    drop(stream);
    assert_eq!(accounted(&program, "syslog-tcp", 40)["stored"], 40);
    // Known and unknown communities, what is no SNMP, a user whom nobody knows and one whom we know.
    let mut sent = 0;
    for datagram in [
        traps(b"known", 5),
        traps(b"wrong", 3),
        vec![vec![0x30, 5, 2, 1, 3, 4, 0]; 2],
        vec![b"no SNMP".to_vec()],
    ]
    .concat()
    {
        socket.send_to(&datagram, program.snmp()).unwrap();
        sent += 1;
    }
    for user in ["known", "stranger"] {
        let mut trap = Command::new(env!("CARGO_BIN_EXE_muttctl"));
        trap.args(["send", "trap", "--to", &program.snmp().to_string(), "--v3-user", user]);
        trap.args(["--v3-auth", "sha-512", "--v3-auth-file"]).arg(&password).env_clear();
        assert!(trap.output().unwrap().status.success());
        sent += 1;
    }
    let row = accounted(&program, "snmp-udp", sent);
    let wanted = json!({"community": 3, "framing": 1, "usm_malformed": 2, "usm_unknown_user": 1});
    assert_eq!((&row["stored"], &row["dropped"]), (&json!(6), &wanted));
    let mut stream = TcpStream::connect(program.listening("snmp_tcp")[0]).unwrap();
    stream.write_all(&[traps(b"known", 4), traps(b"wrong", 2)].concat().concat()).unwrap();
    drop(stream);
    let row = accounted(&program, "snmp-tcp", 6);
    assert_eq!((&row["stored"], &row["dropped"]), (&json!(4), &json!({"community": 2})));
    let records: Vec<_> = (0..7).map(|n| json!({"hostname": "r1", "message": n})).collect();
    assert_eq!(program.ingest(&[], &Value::from(records).to_string()).status, 200);
    assert_eq!(program.ingest(&[], "no records").status, 400);
    assert_eq!(accounted(&program, "http", 7)["stored"], 7);
    let ledger = program.at_rest().events;
    assert_eq!((ledger.audited, ledger.dropped.values().sum::<u64>()), (107, 10), "{ledger:?}");
    let metric = |name: &str| program.ingestor_metric(name, &["listener="]) as u64;
    assert_eq!(metric("mutt_ingest_arrived_total"), 51 + 40 + sent + 6 + 7);
    assert_eq!(metric("mutt_ingest_given_back_total"), 0);
    program.stop();
}

#[test]
fn when_nobody_at_all_is_heard_it_is_told_as_our_own_deafness() {
    let mut setup = Setup::new();
    // They say the same until they have a history, which is no news here.
    setup.set("alerter", "unhandled_threshold = 1000000");
    setup.set("remediation", "interval = \"1s\"");
    setup.set("remediation.quiet", "history = \"2s\"\nfloor = \"10s\"\nfactor = 1");
    let program = setup.start();
    let relays = ["127.0.0.2:0", "127.0.0.3:0"].map(|from| UdpSocket::bind(from).unwrap());
    let all_speak = || {
        for (relay, n) in relays.iter().flat_map(|relay| (0..6).map(move |n| (relay, n))) {
            let line = format!("<189>1 - host{n} app - - - still here");
            relay.send_to(line.as_bytes(), program.syslog_udp()).unwrap();
        }
    };
    let at = |text: &Value| mutt_model::Timestamp::parse_rfc3339(text.as_str()?);
    until("a history of some seconds", || {
        all_speak();
        let list = program.api().get("/api/v2/sources?q=host");
        let items = list["items"].as_array()?;
        let old = |source: &Value| {
            let (first, last) = (at(&source["first_seen"]), at(&source["last_seen"]));
            first.zip(last).is_some_and(|(first, last)| last.since(first).as_secs() > 3)
        };
        (items.len() == 12 && items.iter().all(old)).then_some(())
    });
    // Twelve sources behind two relays, and then nobody.
    all_speak();
    told(&program, "MUTT-R010");
    let alerts = until("the alert about us", || {
        let alerts = program.api().get("/api/v2/alerts?state=open&limit=100");
        let problems: Vec<_> = alerts["items"].as_array()?.iter().map(|a| &a["problem"]).collect();
        (!problems.is_empty()).then(|| json!(problems))
    });
    assert_eq!(alerts, json!(["mutt-deaf"]), "one, and none about devices");
    until("the clear", || {
        all_speak();
        let alerts = program.api().get("/api/v2/alerts?state=open");
        alerts["items"].as_array()?.is_empty().then_some(())
    });
    program.stop();
}

#[test]
fn a_device_that_falls_silent_is_told_and_its_next_event_clears_it() {
    let mut setup = Setup::new();
    setup.set("remediation", "interval = \"1s\"");
    setup.set("remediation.quiet", "history = \"2s\"\nfloor = \"3s\"\nfactor = 1");
    let program = setup.start();
    let open = |program: &Program| {
        let alerts = program.api().get("/api/v2/alerts?state=open&problem=mutt-source-quiet");
        alerts["items"].as_array().cloned().unwrap_or_default()
    };
    // As long as it speaks nobody is told; then it stops.
    let mut spoken = 0;
    until("a history of some seconds", || {
        send(&program, "edge-r9", &format!("number {spoken}"));
        spoken += 1;
        (spoken > 40).then_some(())
    });
    until("the next seconds", || {
        send(&program, "edge-r9", "and on");
        let list = program.api().get("/api/v2/sources?q=edge-r9");
        let first = list["items"][0]["first_seen"].as_str()?.to_owned();
        let last = list["items"][0]["last_seen"].as_str()?.to_owned();
        let at = |text: &str| mutt_model::Timestamp::parse_rfc3339(text).unwrap();
        (at(&last).since(at(&first)) > Duration::from_secs(3)).then_some(())
    });
    let alert = until("an alert about the silence", || open(&program).first().cloned());
    assert_eq!((&alert["host"], &alert["resource"]), (&"edge-r9".into(), &"127.0.0.1".into()));
    source(&program, "edge-r9@127.0.0.1", |source| source["state"] == "quiet");
    send(&program, "edge-r9", "back again");
    until("the clear", || open(&program).is_empty().then_some(()));
    program.stop();
}
