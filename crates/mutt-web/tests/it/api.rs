//! The REST API by subject: shapes, paging, changes with their log, the earlier paths.

use axum::http::StatusCode;
use mutt_model::Severity;
use mutt_store::store::{ProcessReport, SettingsStore as _};
use mutt_web::Role;
use serde_json::{Value, json};

use crate::support::{START, World};

#[tokio::test]
async fn events_are_searched_by_pages_and_shown_with_their_whole_life() {
    let world = World::new();
    world.rules().await;
    let mut events = Vec::new();
    for n in 0..25 {
        events.push(world.event("edge-r1", Severity::ERROR, &format!("port {n} down")));
    }
    events.push(world.event("core", Severity::INFO, "hello"));
    world.commit(&events).await;

    let (mut ids, mut path) = (Vec::new(), "/api/v2/events?limit=10&host=EDGE-R1".to_owned());
    loop {
        let page = world.get(&path).await;
        assert_eq!(page["complete"], true);
        for item in page["items"].as_array().unwrap() {
            ids.push(item["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v2/events?limit=10&host=edge-r1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 25);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");

    let one = world.get(&format!("/api/v2/events/{}", ids[0])).await;
    assert_eq!((&one["host"], &one["decision"]), (&json!("edge-r1"), &json!("Page_and_ticket")));
    assert!(one["raw_base64"].as_str().unwrap().len() > 10);
    let lineage = &one["lineage"];
    assert_eq!(lineage["explanation"]["agrees"], true);
    assert_eq!(lineage["explanation"]["tried"].as_array().unwrap().len(), 2);
    assert_eq!(lineage["alert"]["id"], one["alert_id"]);
    assert!(lineage["timeline"].is_array() && lineage["attempts"].is_array());

    assert_eq!(world.get("/api/v2/events?handled=false").await["items"][0]["host"], "core");
    let (status, body) = world.call(Role::Viewer, "GET", "/api/v2/events?cursor=zzz", None).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("MUTT-W004")));
    let gone = "/api/v2/events/01a20a78-86f0-7641-85fc-000000000000";
    assert_eq!(world.call(Role::Viewer, "GET", gone, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_alert_is_acknowledged_noted_and_cleared() {
    let world = World::new();
    world.rules().await;
    world.commit(&[world.event("r1", Severity::ERROR, "uplink down")]).await;
    let list = world.get("/api/v2/alerts?state=open").await;
    let path = format!("/api/v2/alerts/{}", list["items"][0]["id"].as_str().unwrap());
    assert!(list["items"][0]["resource"].is_null(), "absent is null");
    let act = async |what: &str, body: Value| {
        world.call(Role::Operator, "POST", &format!("{path}/{what}"), Some(body)).await
    };
    let (status, alert) = act("acknowledge", json!({"reason": "on it"})).await;
    assert_eq!((status, &alert["acknowledged_by"]), (StatusCode::OK, &json!("the-operator")));
    assert_eq!(act("note", json!({"text": "fibre cut"})).await.0, StatusCode::OK);
    assert_eq!(act("note", json!({"text": "  "})).await.0, StatusCode::BAD_REQUEST);
    let (status, alert) = act("clear", json!({})).await;
    assert_eq!((status, &alert["state"]), (StatusCode::OK, &json!("cleared")));
    let words: Vec<Value> = world.get(&path).await["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["what"].clone())
        .collect();
    for what in ["opened", "acknowledged", "note", "cleared"] {
        assert!(words.contains(&json!(what)), "{what} in {words:?}");
    }
    let (status, body) = act("clear", json!({"raeson": "x"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

#[tokio::test]
async fn dead_letters_are_listed_and_replayed_once() {
    let world = World::new();
    world.rules().await;
    world.commit(&[world.event("r1", Severity::ERROR, "uplink down")]).await;
    world.kill_one("moog").await;
    let dead = world.get("/api/v2/deliveries?state=dead").await;
    let id = dead["items"][0]["id"].as_str().unwrap().to_owned();
    let one = world.get(&format!("/api/v2/deliveries/{id}")).await;
    assert_eq!(one["attempts"][0]["status"], 422);
    assert_eq!(one["attempt_count"], 1);
    assert_eq!(world.get("/api/v2/ledger").await["deliveries"]["dead"], 1);
    let replay = |body: Value| {
        let world = &world;
        async move { world.call(Role::Operator, "POST", "/api/v2/deliveries/replay", Some(body)).await }
    };
    let (status, body) = replay(json!({"filter": {"sink": "mogo"}})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["detail"].as_str().unwrap().contains("did you mean `moog`"), "{body}");
    let (status, _) = replay(json!({"filter": {"state": "delivered"}})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, body) =
        replay(json!({"filter": {"state": "dead", "sink": "moog"}, "reason": "mended"})).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"replayed": 1, "passed_over": 0})));
    assert_eq!(world.get("/api/v2/ledger").await["deliveries"]["dead"], 0);
    let changes = world.get("/api/v2/changes").await;
    assert!(changes["items"].as_array().unwrap().iter().any(|c| c["reason"] == "mended"));
}

#[tokio::test]
async fn lanes_are_held_released_and_tested() {
    let world = World::new();
    world.rules().await;
    world.commit(&[world.event("r1", Severity::ERROR, "uplink down")]).await;
    world.kill_one("moog").await;
    let post = async |path: &str| world.call(Role::Operator, "POST", path, Some(json!({}))).await;
    let (status, lane) = post("/api/v2/sinks/moog/hold").await;
    assert_eq!((status, &lane["held_by"]), (StatusCode::OK, &json!("hand")));
    let (_, lane) = post("/api/v2/sinks/moog/release").await;
    assert!(lane["held_by"].is_null() && lane["name"] == "moog");
    assert_eq!(post("/api/v2/sinks/moog/test").await.1["ok"], true);
    assert_eq!(post("/api/v2/sinks/nobody/test").await.0, StatusCode::NOT_FOUND);
    assert_eq!(post("/api/v2/sinks/nobody/hold").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/v2/sinks").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn rules_are_created_changed_deleted_and_logged() {
    let world = World::new();
    let rule = json!({"match_string": "fan", "prod_handling": "page_only", "dev_handling": "Ignore",
        "syslog_severity": "critical", "reason": "new chassis"});
    let (status, made) = world.call(Role::Admin, "POST", "/api/v2/rules", Some(rule)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["prod_handling"], &made["syslog_severity"]),
        (&json!("Page_only"), &json!(2))
    );
    let path = format!("/api/v2/rules/{}", made["id"]);
    let call =
        async |method: &str, body: Value| world.call(Role::Admin, method, &path, Some(body)).await;
    let (status, patched) = call("PATCH", json!({"priority": 7, "syslog_severity": null})).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    assert_eq!((&patched["priority"], &patched["match_string"]), (&json!(7), &json!("fan")));
    assert!(patched["syslog_severity"].is_null());
    let refuse = async |body: Value, words: &str| {
        let (status, answer) = call("PUT", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    };
    refuse(
        json!({"match_sting": "x", "prod_handling": "Ignore", "dev_handling": "Ignore"}),
        "did you mean `match_string`?",
    )
    .await;
    refuse(
        json!({"match_string": "x", "prod_handling": "Page_onyl", "dev_handling": "Ignore"}),
        "Page_only",
    )
    .await;
    refuse(json!({"match_string": "(", "match_type": "regex", "prod_handling": "Ignore", "dev_handling": "Ignore"}), "regex").await;
    assert_eq!(world.call(Role::Admin, "DELETE", &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.call(Role::Admin, "GET", &path, None).await.0, StatusCode::NOT_FOUND);
    let changes = world.get("/api/v2/changes").await;
    let items = changes["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[2]["reason"], &items[2]["who"]),
        (3, &json!("new chassis"), &json!("the-admin"))
    );
    assert_eq!(world.program.changed.lock().unwrap().len(), 3, "the Alerter is told");
}

#[tokio::test]
async fn a_test_says_what_would_match_and_why() {
    let world = World::new();
    world.rules().await;
    let test = async |body: Value| {
        world.call(Role::Viewer, "POST", "/api/v2/rules/test", Some(body)).await
    };
    let (status, body) =
        test(json!({"events": [{"message": "uplink DOWN", "host": "r1"}, "quiet"]})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["results"][0]["verdict"]["decision"], "Page_and_ticket");
    assert_eq!(body["results"][0]["verdict"]["alert"]["problem"], "link-down");
    assert_eq!(body["results"][1]["verdict"]["handled"], false);
    let rule = json!({"match_string": "uplink", "priority": 1, "prod_handling": "Ignore", "dev_handling": "Ignore"});
    let (_, body) = test(json!({"rule": rule, "events": [{"message": "uplink down"}]})).await;
    assert_eq!(body["results"][0]["rule"]["wins"], true);
    assert!(body["results"][0]["verdict"]["rule_id"].is_null());
    let (status, body) = test(json!({"events": [{"mesage": "x"}]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["detail"].as_str().unwrap().contains("did you mean `message`"), "{body}");
    assert_eq!(world.get("/api/v2/ledger").await["events"]["received"], 0, "nothing is stored");
}

#[tokio::test]
async fn hosts_and_teams_are_kept_in_lower_case() {
    let world = World::new();
    let call = async |method: &str, path: &str, body: Option<Value>| {
        world.call(Role::Admin, method, path, body).await
    };
    let (status, host) =
        call("POST", "/api/v2/dev-hosts", Some(json!({"hostname": "LAB-1"}))).await;
    assert_eq!((status, host), (StatusCode::CREATED, json!({"id": "lab-1", "hostname": "lab-1"})));
    let twice = call("POST", "/api/v2/dev-hosts", Some(json!({"hostname": "lab-1"}))).await;
    assert_eq!(twice.0, StatusCode::CONFLICT);
    assert_eq!(call("DELETE", "/api/v2/dev-hosts/Lab-1", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call("GET", "/api/v2/dev-hosts/lab-1", None).await.0, StatusCode::NOT_FOUND);
    let team = json!({"hostname": "R1", "team_assignment": "NetOps"});
    assert_eq!(call("POST", "/api/v2/teams", Some(team)).await.0, StatusCode::CREATED);
    let (status, team) =
        call("PUT", "/api/v2/teams/r1", Some(json!({"team_assignment": "Core"}))).await;
    assert_eq!((status, &team["team_assignment"]), (StatusCode::OK, &json!("Core")));
    assert_eq!(
        call("PUT", "/api/v2/teams/r2", Some(json!({"team_assignment": "x"}))).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn holds_keep_rows_and_archives_bring_them_back() {
    use mutt_store::store::{RetentionPolicy, UpkeepStore as _};

    let world = World::new();
    let call = async |method: &str, path: &str, body: Option<Value>| {
        world.call(Role::Admin, method, path, body).await
    };
    let events = [
        world.event("R1", mutt_model::Severity::ERROR, "of r1"),
        world.event("r2", mutt_model::Severity::ERROR, "of r2"),
    ];
    world.commit(&events).await;
    let nameless = call("POST", "/api/v2/holds", Some(json!({"host": "r1"}))).await;
    assert_eq!(nameless.0, StatusCode::BAD_REQUEST, "a hold says why: {}", nameless.1);
    let body = json!({"host": "R1", "since": START.to_string(), "reason": "case 7"});
    let refused = world.call(Role::Operator, "POST", "/api/v2/holds", Some(body.clone())).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN);
    let (status, hold) = call("POST", "/api/v2/holds", Some(body)).await;
    assert_eq!(
        (status, &hold["host"], &hold["reason"]),
        (StatusCode::CREATED, &json!("r1"), &json!("case 7"))
    );
    let dir = tempfile::tempdir().unwrap();
    let days = |n: u64| std::time::Duration::from_secs(n * 86_400);
    let policy = RetentionPolicy {
        handled: days(1),
        unhandled: days(1),
        archive: Some(dir.path().to_path_buf()),
        ..RetentionPolicy::default()
    };
    world.store.retain(&policy, START.plus(days(9))).await.unwrap();
    let left = world.get("/api/v2/events").await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["host"], "R1");
    let state = world.get("/api/v2/retention").await;
    assert_eq!((&state["holds"], &state["archives"]), (&json!(1), &json!(1)));
    assert!(state["last_run"].is_string());
    let archives = world.get("/api/v2/archives").await;
    assert_eq!(archives["items"][0]["rows"], 1);
    let file = dir.path().join(archives["items"][0]["name"].as_str().unwrap());
    let body = json!({"file": file});
    let (status, back) = call("POST", "/api/v2/archives/restore", Some(body)).await;
    assert_eq!((status, &back["rows"]), (StatusCode::OK, &json!(1)), "{back}");
    assert_eq!(world.get("/api/v2/events").await["items"].as_array().unwrap().len(), 2);
    let missing = json!({"file": dir.path().join("none")});
    let missing = call("POST", "/api/v2/archives/restore", Some(missing)).await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
    let path = format!("/api/v2/holds/{}", hold["id"]);
    assert_eq!(call("DELETE", &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call("DELETE", &path, None).await.0, StatusCode::NOT_FOUND);
    let holds = world.get("/api/v2/holds").await;
    assert_eq!(holds["items"].as_array().unwrap().len(), 1, "the archive's own stands");
    let log = world.get("/api/v2/changes").await;
    assert_eq!(
        (&log["items"][0]["object"], &log["items"][0]["action"]),
        (&json!("hold"), &json!("release"))
    );
}

#[tokio::test]
async fn the_earlier_paths_keep_their_shapes() {
    let world = World::new();
    let call = async |method: &str, path: &str, body: Option<Value>| {
        world.call(Role::Admin, method, path, body).await
    };
    let rule = json!({"match_string": "down", "prod_handling": "Page_only", "dev_handling": "Ignore", "team_assignment": "Net"});
    let (status, made) = call("POST", "/api/v1/rules", Some(rule)).await;
    assert_eq!(
        (status, &made["message"]),
        (StatusCode::CREATED, &json!("Rule created successfully"))
    );
    let path = format!("/api/v1/rules/{}", made["id"]);
    let (_, changed) = call("PUT", &path, Some(json!({"priority": 3}))).await;
    assert_eq!(changed, json!({"message": "Rule updated successfully"}));
    let (status, refused) = call("GET", "/api/v1/rules/999", None).await;
    assert_eq!((status, &refused["error"]), (StatusCode::NOT_FOUND, &json!("Rule not found")));
    assert_eq!(world.get("/api/v1/rules").await["rules"][0].as_object().unwrap().len(), 10);
    let (_, host) = call("POST", "/api/v1/dev-hosts", Some(json!({"hostname": "lab"}))).await;
    assert_eq!(host["message"], "Dev host added successfully");
    let (status, again) = call("POST", "/api/v1/dev-hosts", Some(json!({"hostname": "lab"}))).await;
    assert_eq!(
        (status, &again["error"]),
        (StatusCode::CONFLICT, &json!("Hostname already exists"))
    );
    let events: Vec<_> =
        (0..3).map(|n| world.event("r1", Severity::ERROR, &format!("{n} down"))).collect();
    world.commit(&events).await;
    let logs = world.get("/api/v1/audit-logs?limit=2&page=2").await;
    assert_eq!(logs["logs"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&logs["pagination"]["total"], &logs["pagination"]["pages"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(logs["logs"][0]["handling_decision"], "Page_only");
    assert_eq!(
        world.get("/api/v1/metrics").await["chart_24h"]["data"].as_array().unwrap().len(),
        24
    );
    assert_eq!(world.get("/api/v1/version").await["current_version"], "3.0");
}

#[tokio::test]
async fn state_is_shown() {
    let world = World::new();
    world.rules().await;
    world.commit(&[world.event("r1", Severity::ERROR, "uplink down")]).await;
    assert_eq!(world.get("/api/v2/ledger").await["events"]["unaccounted"], 0);
    assert_eq!(world.get("/api/v2/health").await["status"], "healthy");
    assert_eq!(world.get("/api/v2/slo").await["objectives"][0]["state"], "ok");
    assert_eq!(world.get("/api/v2/queue").await["pending_events"], 0);
    assert_eq!(world.get("/api/v2/whoami").await["role"], "viewer");
    assert_eq!(world.get("/api/v2/config").await["sinks"]["moog"]["auth"], "***");
    assert_eq!(world.get("/api/v2/rates").await["items"][0]["audited"], 1);
    let backup = |file: &str| {
        let (world, body) = (&world, json!({"file": file}));
        async move { world.call(Role::Admin, "POST", "/api/v2/backup", Some(body)).await }
    };
    assert_eq!(backup("a.db").await.1["bytes"], 4096);
    assert_eq!(backup("../a.db").await.0, StatusCode::BAD_REQUEST);
    world.call(Role::Operator, "POST", "/api/v2/sinks/moog/test", None).await;
    let (_, log) = world.call(Role::Viewer, "GET", "/api/v2/changes?limit=2", None).await;
    let told: Vec<_> =
        (0..2).map(|at| (&log["items"][at]["object"], &log["items"][at]["action"])).collect();
    assert_eq!(told, [(&json!("sink"), &json!("test")), (&json!("store"), &json!("backup"))]);
    let report = ProcessReport { id: "p1".to_owned(), ..ProcessReport::default() };
    world.store.report_process(&report).await.unwrap();
    let (status, listed) = world.call(Role::Viewer, "GET", "/api/v2/processes", None).await;
    assert_eq!((status, &listed["items"][0]["id"]), (StatusCode::OK, &json!("p1")));
    assert_eq!(listed["items"][0]["live"], true);
}
