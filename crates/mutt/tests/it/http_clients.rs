//! HTTP as clients of the field send it: real ones where they can be had, and the bodies that the
//! others document. Each ends as audited events, or hears why not in its own words.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::provoked::provoked;
use crate::support::http::{Answer, Client};
use crate::support::{Program, Setup, tools, until};

/// A file of the repository.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn body(name: &str) -> Vec<u8> {
    std::fs::read(file("testdata/http").join(name)).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn post(program: &Program, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    Client::new(program.http()).request("POST", path, headers, body).unwrap()
}

/// The ledger and the rows agree on `count`.
#[track_caller]
fn balances(program: Program, count: u64) {
    let ledger = program.at_rest();
    assert_eq!((ledger.events.received, ledger.events.audited), (count, count), "{ledger:?}");
    assert_eq!(program.stop().audit().events.len() as u64, count);
}

#[test]
fn bodies_of_every_client_are_taken_and_audited() {
    let program = Setup::new().start();
    let key = program.ingest_key();
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("any:{key}"));
    let basic = format!("Basic {basic}");
    let (bearer, splunk) = (format!("Bearer {key}"), format!("Splunk {key}"));
    let (json, text) = ("application/json", "text/plain");
    let mut sent = 0;
    // Twice each: the second is packed, and carries the same key as the first of its kind.
    for (name, path, content_type, authorization, status, events) in [
        ("rsyslog-single.json", "/ingest", json, &basic, 200, 1),
        ("rsyslog-newline.txt", "/ingest", text, &basic, 200, 2),
        ("rsyslog-jsonarray.json", "/ingest", json, &basic, 200, 2),
        ("rsyslog-kafkarest.json", "/ingest", "application/vnd.kafka.v1+json", &basic, 200, 2),
        ("rsyslog-lokirest.json", "/ingest", json, &basic, 200, 3),
        ("rsyslog-lokirest.json", "/loki/api/v1/push", json, &bearer, 204, 3),
        ("syslog-ng.json", "/ingest", text, &bearer, 200, 2),
        ("vector.ndjson", "/ingest", "application/x-ndjson", &bearer, 200, 2),
        ("fluent-bit.json_stream", "/ingest", json, &basic, 200, 2),
        ("splunk-hec.json", "/services/collector", json, &splunk, 200, 4),
        ("splunk-hec.json", "/services/collector/event/1.0", text, &splunk, 200, 4),
        ("rsyslog-newline.txt", "/services/collector/raw", text, &splunk, 200, 2),
        ("loki.json", "/loki/api/v1/push", json, &basic, 204, 1),
        ("otlp.json", "/v1/logs", json, &bearer, 200, 2),
    ] {
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type)];
        let answer = post(&program, path, &headers, &body(name));
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{name} to {path}: {said}");
        let repeat = [&headers[..], &[("content-encoding", "gzip"), ("idempotency-key", name)]];
        let packed = gzip(&body(name));
        for _ in 0..2 {
            assert_eq!(post(&program, path, &repeat.concat(), &packed).status, status, "{name}");
        }
        match path {
            "/ingest" => assert_eq!(answer.json()["accepted"], events, "{name}: {said}"),
            "/v1/logs" => assert_eq!(answer.json(), json!({"partialSuccess": {}})),
            "/loki/api/v1/push" => assert_eq!(said, ""),
            _ => assert_eq!(answer.json(), json!({"text": "Success", "code": 0})),
        }
        sent += 3 * events;
    }
    let events = program.at_rest().events;
    assert_eq!(events.received, sent, "{events:?}");
    assert_eq!(events.audited + events.duplicates, sent, "{events:?}");
    // Of the packed ones each record was taken once by key, name and position.
    let one_key: u64 = 1 + 2 + 2 + 2 + 3 + 2 + 2 + 2 + 4 + 1 + 2;
    assert_eq!(events.audited, sent / 3 + one_key, "{events:?}");
    let found = program.events("q=payment+failed", 4);
    let formats: Vec<_> = found.iter().map(|e| e["parse"]["format"].as_str().unwrap()).collect();
    assert!(formats.contains(&"otlp") && formats.contains(&"loki"), "{formats:?}");
    let otlp = found.iter().find(|event| event["parse"]["format"] == "otlp").unwrap();
    assert_eq!(otlp["host"], "node-7", "{otlp:#}");
    assert_eq!(otlp["fields"]["count"], 9_007_199_254_740_993_u64, "{otlp:#}");
    let accepted = ["key=\"ingest-key\"", "outcome=\"accepted\""];
    let counted = program.ingestor_metric("mutt_ingest_key_events_total", &accepted);
    assert_eq!(counted as u64, sent);
}

#[test]
fn curl_speaks_to_the_event_collector() {
    let Some(curl) = tools::find("curl") else { return };
    let setup = Setup::new();
    let program = setup.start();
    let base = format!("http://{}/services/collector", program.http());
    let token = format!("Authorization: Splunk {}", program.ingest_key());
    let ask = |more: &[&str]| -> Value {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--fail-with-body"]).args(more);
        serde_json::from_slice(&tools::run(&mut command).stdout).unwrap()
    };
    let packed = setup.folder().join("body.gz");
    std::fs::write(&packed, gzip(br#"{"event":"packed","host":"h"}{"event":"too","host":"h"}"#))
        .unwrap();
    let data = format!("@{}", packed.display());
    let gz = "Content-Encoding: gzip";
    let said = ask(&["-H", &token, "-H", gz, "--data-binary", &data, &format!("{base}/event")]);
    assert_eq!(said, json!({"text": "Success", "code": 0}));
    // With a channel there is an id to ask for: all that were given are durable.
    let channel = "X-Splunk-Request-Channel: FE0ECFAD-13D5-401B-847D-77833BD77131";
    let raw = format!("{base}/raw?host=h9&sourcetype=st");
    let said = ask(&["-H", &token, "-H", channel, "--data-binary", "one\ntwo", &raw]);
    let id = said["ackId"].as_u64().unwrap();
    let acks = format!("{{\"acks\":[{id},{}]}}", id + 1_000_000_000_000);
    let said = ask(&["-H", &token, "-H", channel, "-d", &acks, &format!("{base}/ack")]);
    assert_eq!(said["acks"][id.to_string()], true, "{said}");
    assert_eq!(said["acks"][(id + 1_000_000_000_000).to_string()], false, "{said}");
    let said = ask(&[&format!("{base}/health")]);
    assert_eq!(said["code"], 17);
    let events = program.events("host=h9", 2);
    assert!(events.iter().all(|event| event["fields"]["sourcetype"] == "st"), "{events:#?}");
    balances(program, 4);
}

#[test]
fn refusals_are_told_in_the_words_of_each_client() {
    let mut setup = Setup::new();
    setup.set("ingestor.http", "max_body = \"64KiB\"").only(Some("ingestor"));
    let program = setup.start();
    let key = program.ingest_key();
    let token = ("x-api-key", key.as_str());
    let splunk = |status: u16, code: u64, path: &str, headers: &[(&str, &str)], body: &str| {
        let path = format!("/services/collector{path}");
        let answer = post(&program, &path, headers, body.as_bytes());
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (status, Some(code)), "{body}");
    };
    splunk(401, 2, "/event", &[], "{}");
    splunk(401, 3, "/event", &[("authorization", "Digest x")], "{}");
    splunk(403, 4, "/event", &[("authorization", "Splunk x")], "{}");
    splunk(400, 5, "/event", &[token], " \n");
    splunk(400, 6, "/event", &[token], "{\"event\":1}{");
    splunk(400, 10, "/ack", &[token], "{\"acks\":[1]}");
    splunk(400, 6, "/ack?channel=c", &[token], "{\"acks\":1}");
    splunk(415, 6, "/event", &[token, ("content-encoding", "br")], "{}");
    let of = |path: &str, content_type: &str, body: &[u8]| {
        post(&program, path, &[token, ("content-type", content_type)], body)
    };
    let answer = of("/ingest", "application/msgpack", b"\x80");
    assert_eq!(answer.status, 415);
    provoked("MUTT-I041", &String::from_utf8(answer.body).unwrap());
    let answer = of("/v1/logs", "application/json", br#"{"resourceLogs":{}}"#);
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (400, Some(3)));
    provoked("MUTT-I042", &String::from_utf8(answer.body).unwrap());
    let answer = of("/v1/logs", "application/x-protobuf", b"\x0a\xff");
    assert_eq!((answer.status, &answer.body[..3]), (400, &[8, 3, 0x12][..]));
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    let unknown = post(&program, "/v1/logs", &[("content-type", "application/json")], b"{}");
    assert_eq!((unknown.status, unknown.json()["code"].as_u64()), (401, Some(16)));
    assert_eq!(of("/loki/api/v1/push", "application/x-protobuf", b"").status, 415);
    assert_eq!(of("/loki/api/v1/push", "application/json", b"{").status, 400);
    assert_eq!(post(&program, "/v1/traces", &[token], b"").status, 404);
    // A bomb ends at the cap, and others are served meanwhile and after.
    for size in [70_000, 8_000_000] {
        let bomb = gzip(&vec![b' '; size]);
        let headers = [token, ("content-encoding", "gzip")];
        assert_eq!(post(&program, "/ingest", &headers, &bomb).status, 413, "{size}");
    }
    assert_eq!(of("/ingest", "text/plain", b"<13>still here").status, 200);
    assert_eq!(program.ingestor_metric("mutt_ingest_received_total", &["\"http\""]) as u64, 1);
}

#[test]
fn a_key_over_its_rate_hears_who_it_is_and_others_do_not_wait() {
    let mut setup = Setup::new();
    let secret = |name: &str| {
        let path = setup.folder().join(name);
        std::fs::write(&path, format!("secret-of-{name}")).unwrap();
        format!("key = {{ file = {path:?} }}")
    };
    let (loud, calm) = (secret("loud"), secret("calm"));
    let keys = format!(
        "keys = [{{ name = \"loud\", {loud}, rate = \"1/h\", burst = 3 }}, {{ name = \"calm\", {calm} }}]"
    );
    setup.set("ingestor.http", &keys).only(Some("ingestor"));
    let program = setup.start();
    let loud = [("x-api-key", "secret-of-loud")];
    assert_eq!(post(&program, "/ingest", &loud, b"[{},{},{}]").status, 200);
    for _ in 0..2 {
        let answer = post(&program, "/ingest", &loud, b"[{},{}]");
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("3600"));
        assert_eq!(answer.json()["key"], "loud");
        provoked("MUTT-I040", &String::from_utf8(answer.body).unwrap());
    }
    let answer = post(&program, "/services/collector", &loud, b"{}");
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (429, Some(9)));
    let json = [loud[0], ("content-type", "application/json")];
    let answer = post(&program, "/v1/logs", &json, &body("otlp.json"));
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (429, Some(8)));
    assert_eq!(answer.header("retry-after"), Some("3600"));
    let calm = [("x-api-key", "secret-of-calm")];
    assert_eq!(post(&program, "/ingest", &calm, b"{}").status, 200);
    let counted = |key: &str, outcome: &str| {
        let labels = [format!("key=\"{key}\""), format!("outcome=\"{outcome}\"")];
        let labels = [labels[0].as_str(), labels[1].as_str()];
        program.ingestor_metric("mutt_ingest_key_events_total", &labels) as u64
    };
    assert_eq!((counted("loud", "accepted"), counted("loud", "held_back")), (3, 7));
    assert_eq!((counted("calm", "accepted"), counted("calm", "held_back")), (1, 0));
    let refused = program.ingestor_metric("mutt_ingest_requests_total", &["\"rate_limit\""]);
    assert_eq!(refused as u64, 4);
    let records = |what: &str| program.ingestor_metric(what, &["\"http\""]) as u64;
    let arrived = records("mutt_ingest_arrived_total");
    assert_eq!((arrived, records("mutt_ingest_given_back_total")), (4 + 7, 7));
    // Whom nobody knows is told of once, by sender and reason.
    for _ in 0..3 {
        assert_eq!(post(&program, "/ingest", &[("x-api-key", "old")], b"{}").status, 401);
    }
    assert_eq!(post(&program, "/ingest", &calm, b"{").status, 400);
    let log = program.log();
    let about = |code: &str| log.lines().filter(|line| line.contains(code)).count();
    assert_eq!((about("MUTT-I002"), about("MUTT-I001")), (1, 1), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("MUTT-I040")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("loud") && !log.contains("secret-of"), "{told:?}");
}

#[test]
fn the_guide_names_every_path() {
    let guide = std::fs::read_to_string(file("docs/operations/CONFIGURATION_GUIDE.md")).unwrap();
    for (path, _) in mutt::services::ingestor::http::PATHS {
        assert!(guide.contains(&format!("`{path}`")), "{path}");
    }
}

/// Python with the senders that scripts/install-tools fetches.
fn senders() -> Option<Command> {
    let python = file("target/tools/senders/bin/python3");
    if !python.is_file() {
        println!("skipped: target/tools/senders is missing; run scripts/install-tools");
        return None;
    }
    Some(Command::new(python))
}

#[test]
fn the_exporter_of_opentelemetry_is_heard() {
    let Some(mut python) = senders() else { return };
    let program = Setup::new().start();
    let script = r#"
import logging, os
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
headers = {"Authorization": "Bearer " + os.environ["KEY"]}
resource = Resource.create({"service.name": "billing", "host.name": "node-7"})
provider = LoggerProvider(resource=resource)
exporter = OTLPLogExporter(endpoint=os.environ["URL"], headers=headers, compression=Compression.Gzip)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
log = logging.getLogger("payments")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=provider))
log.error("payment %s failed", 17, extra={"amount": 12.5, "retried": True})
log.warning("payment is late")
assert provider.force_flush()
provider.shutdown()
"#;
    python.args(["-c", script]).env("KEY", program.ingest_key());
    tools::run(python.env("URL", format!("http://{}/v1/logs", program.http())));
    let event = &program.events("q=payment+17+failed", 1)[0];
    assert_eq!(event["parse"]["format"], "otlp", "{event:#}");
    assert_eq!((&event["host"], &event["app"]), (&json!("node-7"), &json!("billing")));
    assert_eq!((&event["severity"], &event["source"]), (&json!(3), &json!("http")));
    assert_eq!(event["parse"]["status"], "ok", "{event:#}");
    assert_eq!(
        (&event["fields"]["amount"], &event["fields"]["retried"]),
        (&json!(12.5), &json!(true))
    );
    assert!(event["device_time"].is_string());
    balances(program, 2);
}

#[test]
fn a_handler_of_splunk_is_heard() {
    let Some(mut python) = senders() else { return };
    let program = Setup::new().start();
    let script = r#"
import logging, os
from splunk_handler import SplunkHandler
handler = SplunkHandler(
    host=os.environ["HOST"], port=os.environ["PORT"], token=os.environ["KEY"], index="main",
    protocol="http", hostname="edge-r1", source="tester", sourcetype="_json", flush_interval=0.2)
log = logging.getLogger("tester")
log.addHandler(handler)
log.error("fan 1 failed")
log.error("fan 2 failed")
handler.force_flush()
logging.shutdown()
"#;
    let address = program.http();
    python.args(["-c", script]).env("KEY", program.ingest_key());
    tools::run(
        python.env("HOST", address.ip().to_string()).env("PORT", address.port().to_string()),
    );
    let events = program.events("host=edge-r1", 2);
    for event in &events {
        assert_eq!(event["parse"]["format"], "hec", "{event:#}");
        assert!(event["message"].as_str().unwrap().ends_with(" failed"), "{event:#}");
        assert_eq!(
            (&event["fields"]["index"], &event["fields"]["source"]),
            (&json!("main"), &json!("tester"))
        );
        assert!(event["device_time"].is_string(), "{event:#}");
    }
    balances(program, 2);
}

#[test]
fn syslog_ng_sends_in_batches_as_the_guide_says() {
    let Some(syslog_ng) = tools::syslog_ng() else { return };
    let setup = Setup::new();
    let program = setup.start();
    let folder = setup.folder();
    let snippet =
        std::fs::read_to_string(file("docs/operations/snippets/syslog-ng-http.conf")).unwrap();
    let snippet = snippet
        .replace("http://mutt.example.net:8080", &format!("http://{}", program.http()))
        .replace("YOUR-INGEST-KEY", &program.ingest_key());
    let input = folder.join("input");
    let lines = (0..25).map(|n| format!("<187>Nov 23 20:00:00 edge-r1 rpd[47]: down nr={n}\n"));
    std::fs::write(&input, lines.collect::<String>()).unwrap();
    let config = folder.join("syslog-ng.conf");
    let source = format!("source s_devices {{ file({input:?} follow-freq(1)); }};");
    std::fs::write(&config, format!("@version: 3.38\n{source}\n{snippet}")).unwrap();
    let of = |name: &str| folder.join(name).display().to_string();
    let mut command = syslog_ng;
    command.args(["--foreground", "--no-caps", "--cfgfile", &of("syslog-ng.conf")]);
    command.args(["--persist-file", &of("persist"), "--pidfile", &of("pid")]);
    command.args(["--control", &of("control")]);
    let said = std::fs::File::create(folder.join("said")).unwrap();
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    let mut child = Ended(command.spawn().unwrap());
    let mut api = program.api();
    until("the lines of syslog-ng", || {
        if let Some(status) = child.0.try_wait().unwrap() {
            panic!("{status}: {}", std::fs::read_to_string(folder.join("said")).unwrap());
        }
        (api.ledger().events.audited >= 25).then_some(())
    });
    drop(child);
    let event = &program.events("q=nr%3D24", 1)[0];
    let found =
        ["host", "app", "procid", "facility"].map(|field| event[field].as_str().unwrap_or(""));
    assert_eq!(found, ["edge-r1", "rpd", "47", "local7"], "{event:#}");
    assert_eq!((&event["severity"], &event["message"]), (&json!(3), &json!("down nr=24")));
    assert_eq!(event["parse"]["status"], "ok", "{event:#}");
    let requests = program.ingestor_metric("mutt_ingest_requests_total", &["success"]) as u64;
    assert!(requests < 25, "{requests} requests: no batches");
    balances(program, 25);
}

/// A program that ends with its test, by its process id.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
