//! The commands against the real program: what it refuses, and under which code.

use std::io::{Read as _, Write as _};

use super::{Place, Said};
use crate::provoked::provoked;
use crate::support::{Program, Setup};

/// A program with an admin's and a viewer's token, and the URL of its REST API.
fn program() -> (Program, String) {
    let mut setup = Setup::new();
    setup
        .set(
            "web_ui",
            "tokens = [{ name = \"boss\", role = \"admin\", token = { env = \"BOSS\" } }, { name = \"eye\", role = \"viewer\", token = { env = \"EYE\" } }]",
        )
        .set("ingestor.http", "max_body = \"64KiB\"")
        .env("BOSS", "boss-token")
        .env("EYE", "eye-token");
    let program = setup.start();
    let listeners = std::fs::read(program.data_dir().join("listeners.json")).unwrap();
    let listeners: serde_json::Value = serde_json::from_slice(&listeners).unwrap();
    let url = listeners["web_ui"].as_str().unwrap().to_owned();
    (program, url)
}

fn ask(url: &str, token: &str, args: &[&str]) -> Said {
    Place::new().run_with(&[args, &["--url", url]].concat(), &[("MUTT_TOKEN", token)])
}

#[test]
fn the_api_refuses_with_its_codes() {
    let (_program, url) = program();
    let refused = |code: &str, token: &str, args: &[&str]| {
        let said = ask(&url, token, args);
        assert_eq!(said.exit, 1, "{said:?}");
        provoked(code, &said.err);
    };
    refused("MUTT-W001", "nobody", &["rules", "list"]);
    refused("MUTT-W002", "eye-token", &["dev-hosts", "add", "lab1"]);
    refused("MUTT-W003", "eye-token", &["rules", "show", "99999"]);
    refused("MUTT-W004", "eye-token", &["events", "list", "--severity", "loud"]);
    assert_eq!(ask(&url, "boss-token", &["dev-hosts", "add", "lab1"]).exit, 0);
    refused("MUTT-W005", "boss-token", &["dev-hosts", "add", "lab1"]);
    assert_eq!(ask(&url, "eye-token", &["status"]).exit, 0);
    assert_eq!(ask(&url, "eye-token", &["rules", "check"]).exit, 0);
}

#[test]
fn of_two_at_the_command_line_the_second_is_told() {
    let (_program, url) = program();
    let ask = |args: &[&str]| ask(&url, "boss-token", args);
    let listed = ask(&["rules", "list"]);
    let seen = listed.err.trim().strip_prefix("rule set ").unwrap().to_owned();
    let seen = ["--expected-version", seen.as_str()];
    let with = |args: &[&str]| ask(&[args, &seen].concat());
    // The first makes another version, and the others looked at the one before.
    let said = with(&["rules", "update", "1", "{\"priority\":7}", "--reason", "mine"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(ask(&["dev-hosts", "add", "lab1"]).exit, 0);
    assert_eq!(ask(&["teams", "add", "r1", "Core"]).exit, 0);
    for late in [
        &["rules", "update", "1", "{\"priority\":8}"] as &[&str],
        &["rules", "delete", "1"],
        &["dev-hosts", "rename", "lab1", "lab2"],
        &["dev-hosts", "delete", "lab1"],
        &["teams", "update", "r1", "Edge"],
        &["teams", "delete", "r1"],
    ] {
        let said = with(late);
        assert_eq!(said.exit, 1, "{late:?}: {said:?}");
        assert!(said.err.contains("MUTT-W005") && said.err.contains(seen[1]), "{said:?}");
    }
    assert_eq!(ask(&["dev-hosts", "rename", "lab1", "lab2"]).exit, 0);
    let hosts = ask(&["dev-hosts", "list"]);
    assert!(hosts.out.contains("lab2") && !hosts.out.contains("lab1"), "{hosts:?}");
}

#[test]
fn a_setting_is_shown_and_an_earlier_version_stands_again_while_nobody_was_faster() {
    let (_program, url) = program();
    let ask = |args: &[&str]| ask(&url, "boss-token", args);
    let shown = || {
        let said = ask(&["config", "get", "log.level", "--json"]);
        assert_eq!(said.exit, 0, "{said:?}");
        let key: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        (key["value"].as_str().unwrap().to_owned(), key["source"].as_str().unwrap().to_owned())
    };
    let (first, place) = shown();
    assert_eq!((first.as_str(), place.as_str()), ("info", "default"));
    let of_setting = |value: &str| (value.to_owned(), "setting log.level".to_owned());
    for (value, version) in [("debug", "0"), ("warn", "1")] {
        let said = ask(&["config", "set", "log.level", value, "--expected-version", version]);
        assert_eq!(said.exit, 0, "{said:?}");
    }
    assert_eq!(shown(), of_setting("warn"));
    // Looked at before the second change: it is refused, and nothing is written.
    let back = ["config", "rollback", "1", "--reason", "as before", "--expected-version"];
    let said = ask(&[&back[..], &["1"]].concat());
    assert!(said.exit == 1 && said.err.contains("MUTT-W005"), "{said:?}");
    assert_eq!(shown().0, "warn");
    let said = ask(&[&back[..], &["2"]].concat());
    assert!(said.exit == 0 && said.err.contains("version 1 stand again"), "{said:?}");
    assert_eq!(shown(), of_setting("debug"));
    assert_eq!(ask(&["config", "rollback", "0"]).exit, 0);
    assert_eq!(shown(), (first, place));
    let said = ask(&["config", "get", "log.loudness"]);
    assert!(said.exit == 1 && said.err.contains("MUTT-W003"), "{said:?}");
}

#[test]
fn ingest_refuses_with_its_codes() {
    let (program, _) = program();
    let place = Place::new();
    let key = place.write("key", &program.ingest_key());
    let to = format!("http://{}/ingest", program.http());
    let send = |key: &str, body: &str| {
        let body = place.write("body", body);
        place.run(&["send", "http", "--to", &to, "--key-file", key, "--body", &body])
    };
    let refused = |code: &str, said: &Said| {
        assert_eq!(said.exit, 1, "{said:?}");
        provoked(code, &said.err);
    };
    refused("MUTT-I001", &send(&key, "<event/>"));
    refused("MUTT-I002", &send(&place.write("other", "nobody"), "{}"));
    refused("MUTT-I003", &send(&key, &format!("{{\"message\":\"{}\"}}", "x".repeat(70_000))));
    assert_eq!(send(&key, "{\"message\":\"x\"}").exit, 0);
}

#[test]
fn a_second_program_is_refused() {
    let (program, _) = program();
    let place = Place::new();
    let zero = "listen = \"127.0.0.1:0\"\n";
    let quiet = format!(
        "[alerter]\n{zero}[moog_forwarder]\n{zero}[remediation]\n{zero}[web_ui]\n{zero}[ingestor.http]\n{zero}[ingestor.snmp]\nudp = []\n[ingestor.syslog]\ntcp = []\n"
    );
    let taken = format!("{quiet}udp = [\"{}\"]\n", program.syslog_udp());
    let file = place.write("taken.toml", &taken);
    let said = place.run(&["serve", "--config", &file, "--data-dir", "other"]);
    assert_eq!(said.exit, 1, "{said:?}");
    provoked("MUTT-I007", last_error(&said));
    let file = place.write("same.toml", &format!("{quiet}udp = []\n"));
    let data_dir = program.data_dir().display().to_string();
    let said = place.run(&["serve", "--config", &file, "--data-dir", &data_dir]);
    assert_eq!(said.exit, 1, "{said:?}");
    provoked("MUTT-S003", last_error(&said));
}

/// The error and its hint, without the log before it.
fn last_error(said: &Said) -> &str {
    said.err.rfind("error[").map_or(said.err.as_str(), |at| &said.err[at..])
}

/// The body of the answer to a plain request.
fn ask_plainly(url: &str, head: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-correlation-id: example\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// More wrong tokens than anybody mistypes in a minute.
const GUESSES: usize = 100;

#[test]
fn keys_in_urls_and_guessing_are_refused() {
    let (_program, url) = program();
    let body = ask_plainly(&url, "GET /api/v2/rules?api_key=boss-token", "");
    provoked("MUTT-W006", &body);
    let guess = |_| ask_plainly(&url, "POST /sign-in", "token=guess");
    let refused = (0..GUESSES).map(guess).find(|body| body.contains("MUTT-W007")).unwrap();
    let line = refused.lines().find(|line| line.contains("MUTT-W007")).unwrap();
    provoked("MUTT-W007", line.trim());
}
