//! Settings by REST: who may change what, what is refused and with which words, history, rollback.

use axum::http::StatusCode;
use mutt_web::Role;
use serde_json::{Value, json};

use crate::support::World;

const LEVEL: &str = "/api/v2/config/log.level";
const TEAM: &str = "/api/v2/config/alerter.default_team";

async fn put(world: &World, role: Role, path: &str, body: Value) -> (StatusCode, Value) {
    world.call(role, "PUT", path, Some(body)).await
}

#[tokio::test]
async fn a_key_is_set_by_its_role_and_refused_with_words() {
    let world = World::new();
    let value = json!({"value": "debug", "reason": "a look"});
    let rows = [
        (Role::Viewer, LEVEL, &value, StatusCode::FORBIDDEN, "MUTT-W002"),
        (Role::Operator, LEVEL, &value, StatusCode::CREATED, ""),
        (Role::Operator, LEVEL, &value, StatusCode::OK, ""),
        (Role::Operator, TEAM, &value, StatusCode::FORBIDDEN, "MUTT-W002"),
        (Role::Admin, TEAM, &value, StatusCode::CREATED, ""),
        (Role::Admin, "/api/v2/config/queue.url", &value, StatusCode::BAD_REQUEST, "MUTT-W004"),
        (Role::Admin, "/api/v2/config/nothing", &value, StatusCode::NOT_FOUND, ""),
    ];
    for (role, path, body, expected, _) in rows {
        let (status, answer) = put(&world, role, path, body.clone()).await;
        assert_eq!(status, expected, "{role:?} {path}: {answer}");
        if !expected.is_success() {
            assert!(answer["code"].as_str().unwrap().starts_with("MUTT-W"), "{answer}");
        }
    }
    for (body, words) in [
        (json!({"value": "wrong"}), "not allowed"),
        (json!({"value": ["a"]}), "a text or a number"),
        (json!({}), "value"),
        (json!({"value": "x", "vaule": 1}), "vaule"),
    ] {
        let (status, answer) = put(&world, Role::Admin, LEVEL, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    let config = world.get("/api/v2/config").await;
    assert_eq!(config["data_dir"], "/var/lib/mutt", "the effective object stays");
    assert_eq!((&config["version"], &config["keys"][0]["value"]), (&json!(2), &json!("debug")));
    let changes = world.get("/api/v2/changes").await;
    assert_eq!(changes["items"][1]["object_id"], "log.level");
    assert_eq!(changes["items"][1]["reason"], "a look");
}

#[tokio::test]
async fn of_two_writers_the_second_is_told_and_a_rollback_is_a_new_version() {
    let world = World::new();
    let first = json!({"value": "debug", "expected_version": 0});
    assert_eq!(put(&world, Role::Admin, LEVEL, first.clone()).await.1["version"], 1);
    let (status, answer) = put(&world, Role::Admin, LEVEL, first).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("MUTT-W005")));
    let _ = put(&world, Role::Admin, TEAM, json!({"value": "Core"})).await;
    let why = json!({"reason": "enough"});
    let (status, key) = world.call(Role::Operator, "DELETE", LEVEL, Some(why)).await;
    assert_eq!((status, &key["source"]), (StatusCode::OK, &json!("default")), "{key}");
    let (status, _) = world.call(Role::Operator, "DELETE", LEVEL, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is not overridden");
    let diff = world.get("/api/v2/config/diff?from=0&to=2").await;
    assert_eq!(diff["edits"].as_array().unwrap().len(), 2);
    let back = json!({"version": 1, "reason": "as before"});
    let path = "/api/v2/config/rollback";
    let (status, _) = world.call(Role::Operator, "POST", path, Some(back.clone())).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, done) = world.call(Role::Admin, "POST", path, Some(back)).await;
    assert_eq!((status, &done["version"]), (StatusCode::OK, &json!(4)), "{done}");
    assert_eq!(done["values"], json!({"log.level": "debug"}));
    let history = world.get("/api/v2/config/history?limit=2").await;
    assert_eq!(history["items"][0]["rolled_back_to"], 1);
    assert_eq!(history["items"][0]["reason"], "as before");
    assert!(history["next_cursor"].is_string());
    let (status, _) = world.call(Role::Admin, "POST", path, Some(json!({"version": 99}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_setting_answers_its_version_as_a_tag_that_a_write_may_name() {
    let world = World::new();
    let value = json!({"value": "debug"});
    let (status, tag, _) = world.tagged("PUT", LEVEL, Some("\"0\""), Some(value.clone())).await;
    assert_eq!((status, tag.as_str()), (StatusCode::CREATED, "\"1\""));
    let (status, _, answer) = world.tagged("PUT", LEVEL, Some("\"0\""), Some(value)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::PRECONDITION_FAILED, &json!("MUTT-W005")));
    let (_, tag, _) = world.tagged("GET", LEVEL, None, None).await;
    let (status, _, _) = world.tagged("DELETE", LEVEL, Some(&tag), None).await;
    assert_eq!(status, StatusCode::OK);
    let both = json!({"value": "info", "expected_version": 2});
    let (status, _, _) = world.tagged("PUT", LEVEL, Some("\"2\""), Some(both)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "one of them");
}

#[tokio::test]
async fn a_key_by_the_name_of_an_earlier_client_is_the_key_that_it_stands_for() {
    let world = World::new();
    let named = "/api/v1/config/default_team";
    let (status, answer) = put(&world, Role::Admin, named, json!({"value": "A"})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let expected = json!({"key": "default_team", "alias_of": "alerter.default_team",
        "old_value": "info", "new_value": "team A"});
    assert_eq!(answer, expected);
    assert_eq!(world.get(TEAM).await["value"], "team A");
}

#[tokio::test]
async fn earlier_clients_find_keys_changes_and_objectives_where_they_were() {
    let world = World::new();
    let level = "/api/v1/config/log.level";
    let (status, answer) = put(&world, Role::Admin, level, json!({"reason": "x"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"], "Missing 'value' in request body");
    let (status, answer) =
        put(&world, Role::Operator, level, json!({"value": "debug", "reason": "a look"})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer, json!({"key": "log.level", "old_value": "info", "new_value": "debug"}));
    let (status, _) =
        put(&world, Role::Operator, "/api/v1/config/nothing", json!({"value": 1})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let config = world.get("/api/v1/config").await;
    assert_eq!(config["config"], json!({"alerter.default_team": "info", "log.level": "debug"}));
    assert_eq!(config["aliases"], json!({"default_team": "alerter.default_team"}));
    let named = "/api/v1/config/default_team";
    let (status, _) = put(&world, Role::Operator, named, json!({"value": "A"})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the role is that of the key");
    let host = json!({"hostname": "lab-1", "reason": "new"});
    let _ = world.call(Role::Admin, "POST", "/api/v1/dev-hosts", Some(host)).await;
    let _ = world.call(Role::Admin, "DELETE", "/api/v1/dev-hosts/lab-1", None).await;
    let history = world.get("/api/v1/config/history").await;
    let entry = &history["history"][0];
    assert_eq!(history["pagination"]["total"], 1, "{history}");
    assert_eq!(entry["operation"], "CREATE");
    assert_eq!(entry["table_name"], "dynamic_config");
    assert_eq!(entry["new_values"], json!({"key": "log.level", "value": "debug"}));
    assert!(entry["created_at"].is_string() && entry["old_values"].is_null());
    for (filter, total) in [
        ("", 3),
        ("?table_name=development_hosts", 2),
        ("?operation=delete", 1),
        ("?changed_by=OPER", 1),
        ("?record_id=lab-1&limit=1&page=2", 2),
        ("?start_date=2030-01-01T00:00:00Z", 0),
    ] {
        let found = world.get(&format!("/api/v1/audit{filter}")).await;
        assert_eq!(found["pagination"]["total"], total, "{filter}: {found}");
    }
    let second = world.get("/api/v1/audit?record_id=lab-1&limit=1&page=2").await;
    assert_eq!(second["logs"][0]["new_values"], json!({"hostname": "lab-1"}), "{second}");
    let (status, _) = world.call(Role::Viewer, "GET", "/api/v1/audit?operation=read", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let slo = world.get("/api/v1/slo").await;
    let first = &slo["slos"][0];
    assert!(slo["timestamp"].is_string() && first["slo_name"].is_string(), "{slo}");
    assert_eq!(first["status"], "no_data", "{first}");
}
