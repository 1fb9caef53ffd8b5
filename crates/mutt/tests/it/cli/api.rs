//! The commands of the REST API against a server of the test's own that answers from a script.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::{Place, Said};

/// Answers each connection with the next status and body; gives the requests back.
fn server(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        answers.into_iter().map(|(status, body)| answer(&listener, status, &body)).collect()
    });
    (url, serving)
}

fn answer(listener: &TcpListener, status: u16, body: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0_u8; 4096];
    let whole = |seen: &[u8]| {
        let text = String::from_utf8_lossy(seen).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        (body.len() >= length.unwrap_or(0)).then_some(())
    };
    while whole(&seen).is_none() {
        let length = stream.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..length]);
    }
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    String::from_utf8(seen).unwrap()
}

/// Runs a command against scripted answers.
fn against(args: &[&str], answers: &[(u16, &str)]) -> (Said, Vec<String>) {
    let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    let (url, serving) = server(answers);
    let place = Place::new();
    let args = [args, &["--url", &url]].concat();
    let said = place.run_with(&args, &[("MUTT_TOKEN", "the-token")]);
    (said, serving.join().unwrap())
}

const EVENT: &str = r#"{"id":"1","received_at":"2026-11-23T12:00:00Z","severity":3,"host":"edge-r1","app":null,"decision":"Ignore","message":"a\u001b[2Jb"}"#;

#[test]
fn a_list_follows_its_cursor_and_is_one_object_a_line_or_a_table() {
    let first = format!(r#"{{"items":[{EVENT}],"next_cursor":"c 1"}}"#);
    let last = format!(r#"{{"items":[{EVENT}],"next_cursor":null}}"#);
    let answers = [(200, first.as_str()), (200, last.as_str())];
    let (said, seen) = against(&["events", "list", "--host", "a b", "--json"], &answers);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(said.out.lines().count(), 2);
    assert!(seen[0].starts_with("GET /api/v2/events?host=a+b&limit=50 "), "{}", seen[0]);
    assert!(seen[1].contains("limit=49&cursor=c+1"), "{}", seen[1]);
    assert!(seen[0].to_ascii_lowercase().contains("authorization: bearer the-token"));
    let (said, _) = against(&["events", "list"], &answers[1..]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "RECEIVED\tSEV\tHOST\tAPP\tDECISION\tMESSAGE\tID");
    assert_eq!(lines[1], "2026-11-23T12:00:00Z\t3\tedge-r1\t\tIgnore\ta\\u{1b}[2Jb\t1");
}

#[test]
fn writes_carry_their_reason_and_say_what_was_done_on_standard_error() {
    let args = ["sinks", "hold", "moog", "--reason", "maintenance"];
    let (said, seen) = against(&args, &[(200, r#"{"name":"moog"}"#)]);
    assert_eq!((said.exit, said.out.as_str()), (0, ""), "{said:?}");
    assert!(said.err.contains("held moog"));
    assert!(seen[0].starts_with("POST /api/v2/sinks/moog/hold "), "{}", seen[0]);
    assert!(seen[0].ends_with(r#"{"reason":"maintenance"}"#), "{}", seen[0]);
    let args = ["deliveries", "replay", "--sink", "moog", "--dead-reason", "refused"];
    let (_, seen) = against(&args, &[(200, r#"{"replayed":2,"passed_over":0}"#)]);
    let filter = r#"{"filter":{"sink":"moog","reason":"refused"},"force":false}"#;
    assert!(seen[0].ends_with(filter), "{}", seen[0]);
    let (said, _) = against(&["dev-hosts", "delete", "lab/r1"], &[(204, "")]);
    assert_eq!(said.exit, 0, "{said:?}");
}

#[test]
fn a_refusal_carries_the_servers_code_and_words() {
    let problem = r#"{"type":"x","title":"There is no such thing","status":404,"detail":"no rule 7","code":"MUTT-W003"}"#;
    let (said, _) = against(&["rules", "show", "7"], &[(404, problem)]);
    assert_eq!((said.exit, said.out.as_str()), (1, ""));
    assert!(said.err.contains("error[MUTT-W003]: no rule 7 (HTTP 404)"), "{said:?}");
    let (said, _) = against(&["rules", "list"], &[(401, "")]);
    assert!(said.err.contains("error[MUTT-W001]"), "{said:?}");
    let (said, _) = against(&["rules", "list"], &[(200, "<html>")]);
    assert!(said.err.contains("answers no JSON"), "{said:?}");
}

#[test]
fn a_sink_that_refuses_the_test_is_a_failure() {
    let refused = r#"{"ok":false,"status":401,"latency_ms":3,"detail":"unauthorized"}"#;
    let (said, _) = against(&["sinks", "test", "moog"], &[(200, refused)]);
    assert_eq!(said.exit, 1);
    assert!(said.out.contains("unauthorized"));
}

#[test]
fn events_are_followed() {
    let stream = format!(
        ": hello\n\nevent: event\nid: 1\ndata: {EVENT}\n\nevent: gap\ndata: {{}}\n\nevent: event\ndata: {EVENT}\n\n"
    );
    let args = ["events", "tail", "--count", "2", "--json", "--severity-max", "3"];
    let (said, seen) = against(&args, &[(200, &stream)]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(said.out.lines().count(), 2);
    assert!(said.err.contains("passed over"));
    assert!(seen[0].starts_with("GET /api/v2/events/stream?severity_max=3 "), "{}", seen[0]);
}

#[test]
fn rules_are_exported_as_a_file_that_can_be_imported() {
    let rules = r#"{"items":[{"id":7,"name":"uplinks","match_string":"LINK","match_type":"contains","priority":10,"prod_handling":"Page_only","dev_handling":"Ignore","is_active":true,"action":"problem","clear_after":"1d","description":null}],"next_cursor":null}"#;
    let hosts = r#"{"items":[{"hostname":"lab1"}],"next_cursor":null}"#;
    let teams = r#"{"items":[{"hostname":"r1","team_assignment":"NetOps"}],"next_cursor":null}"#;
    let in_force = [(200, rules), (200, hosts), (200, teams)];
    let (said, _) = against(&["rules", "export"], &in_force);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("[[rules]]") && said.out.contains("lab1"), "{}", said.out);
    let place = Place::new();
    let file = place.write("rules.toml", &said.out);
    let import = ["rules", "import", &file, "--reason", "review"];
    let (said, _) = against(&import, &in_force);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains("0 rules created, 0 replaced, 1 unchanged"), "{said:?}");
    let other = rules.replace("\"priority\":10", "\"priority\":11");
    let mut answers = in_force.to_vec();
    answers[0].1 = &other;
    answers.push((200, "{}"));
    let (said, seen) = against(&import, &answers);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(seen[3].starts_with("PUT /api/v2/rules/7 "), "{}", seen[3]);
    assert!(said.err.contains("0 rules created, 1 replaced, 0 unchanged"), "{said:?}");
}
