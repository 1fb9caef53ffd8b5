//! Settings made while MUTT runs are in force within a second or so, without a restart, and outlive one.

use serde_json::{Value, json};

use crate::provoked::provoked;
use crate::support::http::Api;
use crate::support::{Receiver, Reply, Setup, until};

#[track_caller]
fn set(api: &mut Api, key: &str, value: &str) -> i64 {
    let body = json!({"value": value, "reason": "a test"});
    let answer = api.call("PUT", &format!("/api/v2/config/{key}"), Some(&body)).unwrap();
    assert!([200, 201].contains(&answer.status), "{key} = {value}: {}", answer.status);
    answer.json()["version"].as_i64().unwrap()
}

/// Waits until every process reports this version.
#[track_caller]
fn reported(api: &mut Api, version: i64) -> Value {
    until(&format!("version {version} in the report"), || {
        let list = api.get("/api/v2/processes");
        let items = list["items"].as_array().unwrap();
        let all = items.iter().all(|process| process["settings"] == version);
        (!items.is_empty() && all).then(|| list.clone())
    })
}

fn unknown(n: usize) -> String {
    json!({"hostname": "quiet-r1", "severity": 6, "message": format!("nobody knows port {n}")})
        .to_string()
}

#[test]
fn level_threshold_team_and_rate_change_while_events_flow() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "rate = \"1/h\"");
    let program = setup.start();
    let mut api = program.api();
    assert!(!program.log().contains("\"DEBUG\""));
    let _ = set(&mut api, "log.level", "debug");
    let event = json!({"hostname": "edge-r1", "severity": 3, "message": "%LINK-3-UPDOWN: Interface Gi9/9, changed state to down"});
    until("a line at debug", || {
        assert_eq!(program.ingest(&[], &event.to_string()).status, 200);
        program.log().contains("\"DEBUG\"").then_some(())
    });
    let _ = set(&mut api, "alerter.default_team", "Core");
    let version = set(&mut api, "alerter.unhandled_threshold", "3");
    let list = reported(&mut api, version);
    assert!(list["items"][0]["ruleset"].is_number(), "{list}");
    for n in 0..3 {
        assert_eq!(program.ingest(&[], &unknown(n)).status, 200);
    }
    let alert = until("the meta-alert", || {
        let list = program.api().get("/api/v2/alerts?host=quiet-r1");
        list["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!(alert["team"], "Core", "{alert}");
    // One token was there; whatever follows waits an hour, unless the rate is another one.
    for n in 0..3 {
        let message = format!("%LINK-3-UPDOWN: Interface Gi0/{n}, changed state to down");
        let event = json!({"hostname": "edge-r1", "severity": 3, "message": message}).to_string();
        assert_eq!(program.ingest(&[], &event).status, 200);
    }
    until("one delivery", || (receiver.count() == 1).then_some(()));
    let _ = set(&mut api, "sinks.hook.rate", "100/s");
    until("the others", || (receiver.count() >= 3).then_some(()));
    let back = api.post("/api/v2/config/rollback", &json!({"version": 1, "reason": "enough"}));
    assert_eq!(back["values"], json!({"log.level": "debug"}));
    program.stop();
}

#[test]
fn a_setting_whose_sink_is_gone_is_told_and_the_program_starts() {
    let receiver = Receiver::answering(Reply::status(200));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "");
    let program = setup.start();
    let _ = set(&mut program.api(), "sinks.hook.rate", "7/s");
    program.stop();
    let mut other = Setup::new();
    other.data_in(setup.data_dir().to_path_buf());
    let program = other.start();
    let line = until("MUTT-C015", || {
        program.log().lines().find(|line| line.contains("MUTT-C015")).map(ToOwned::to_owned)
    });
    provoked("MUTT-C015", &line);
    let list = reported(&mut program.api(), 1);
    let why = &list["items"][0]["settings_ignored"]["sinks.hook.rate"];
    assert!(why.as_str().unwrap().contains("hook"), "{list}");
    // It fits no more, and can be unset all the same.
    let mut api = program.api();
    let body = json!({"reason": "the sink is gone"});
    let answer = api.call("DELETE", "/api/v2/config/sinks.hook.rate", Some(&body)).unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json(), json!({"key": "sinks.hook.rate", "value": null, "version": 2}));
    let list = reported(&mut api, 2);
    assert_eq!(list["items"][0]["settings_ignored"], json!({}), "{list}");
    let change = &api.get("/api/v2/changes")["items"][0];
    assert_eq!((&change["action"], &change["old"]), (&json!("unset"), &json!("7/s")), "{change}");
    let again = api.call("DELETE", "/api/v2/config/sinks.hook.rate", Some(&body)).unwrap();
    assert_eq!(again.status, 404);
    program.stop();
}
