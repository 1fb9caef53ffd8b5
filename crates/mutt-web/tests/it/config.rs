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
        (Role::Operator, LEVEL, &value, StatusCode::OK, ""),
        (Role::Operator, TEAM, &value, StatusCode::FORBIDDEN, "MUTT-W002"),
        (Role::Admin, TEAM, &value, StatusCode::OK, ""),
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
