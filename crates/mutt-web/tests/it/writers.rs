//! Two who write rules, development hosts and teams by REST: the second is told, in the form asked for.

use axum::http::StatusCode;
use mutt_web::Role;
use serde_json::{Value, json};

use crate::support::World;

const RULE: &str = "/api/v2/rules/1";
const MISSED: StatusCode = StatusCode::PRECONDITION_FAILED;

fn rule(priority: i64) -> Value {
    json!({"match_string": "down", "match_type": "contains", "priority": priority,
        "prod_handling": "Page_only", "dev_handling": "Ignore", "reason": "a test"})
}

#[tokio::test]
async fn a_rule_is_written_by_one_who_saw_what_stands() {
    let world = World::new();
    world.rules().await;
    let (_, seen, _) = world.tagged("GET", RULE, None, None).await;
    assert!(seen.len() > 10 && seen.starts_with('"'), "{seen}");
    let (status, tag, _) = world.tagged("PUT", RULE, Some(&seen), Some(rule(5))).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(tag, seen);
    for (method, body) in [
        ("PUT", Some(rule(6))),
        ("PATCH", Some(json!({"priority": 6}))),
        ("DELETE", Some(json!({"reason": "x"}))),
    ] {
        let (status, _, answer) = world.tagged(method, RULE, Some(&seen), body).await;
        assert_eq!((status, &answer["code"]), (MISSED, &json!("MUTT-W005")), "{method}: {answer}");
        let words = answer["detail"].as_str().unwrap();
        // Both versions, and who made the one that stands.
        for part in [seen.trim_matches('"'), tag.trim_matches('"'), "the-admin", "a test"] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }
    // What happens to other rules is nobody's business; a weak tag is the same tag; * is whatever stands.
    let (status, _, _) = world.tagged("DELETE", "/api/v2/rules/2", Some("*"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let weak = format!("W/{tag}");
    let (status, now, _) =
        world.tagged("PATCH", RULE, Some(&weak), Some(json!({"priority": 7}))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, read, _) = world.tagged("GET", RULE, None, None).await;
    assert_eq!((status, read), (StatusCode::OK, now));
    for wrong in ["tag", "\"a\", \"b\""] {
        let (status, _, _) = world.tagged("PUT", RULE, Some(wrong), Some(rule(8))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // Without a condition the last one wins, as ever.
    let (status, _, _) = world.tagged("PUT", RULE, None, Some(rule(8))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_version_in_the_body_is_the_rule_sets() {
    let world = World::new();
    world.rules().await;
    let list = world.get("/api/v2/rules").await;
    let seen = list["ruleset"].as_i64().unwrap();
    let at = |version: i64| {
        let mut body = rule(5);
        body["expected_version"] = json!(version);
        Some(body)
    };
    let (status, _, _) = world.tagged("PUT", RULE, None, at(seen)).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _, answer) = world.tagged("PUT", RULE, None, at(seen)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let words = answer["detail"].as_str().unwrap();
    assert!(words.contains(&format!("version {}, not {seen}", seen + 1)), "{words}");
    let (status, _, _) = world.tagged("PUT", RULE, Some("\"a\""), at(seen + 1)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "one of them");
}

#[tokio::test]
async fn hosts_and_teams_too() {
    let world = World::new();
    world.rules().await;
    let body = json!({"hostname": "lab-1"});
    let (status, dev, _) = world.tagged("POST", "/api/v2/dev-hosts", None, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = "/api/v2/dev-hosts/lab-1";
    let to = |name: &str| Some(json!({"hostname": name, "reason": "moved"}));
    let (status, _, _) = world.tagged("PUT", path, Some("\"other\""), to("lab-2")).await;
    assert_eq!(status, MISSED);
    let (status, _, answer) = world.tagged("PUT", path, Some(&dev), to("LAB-2")).await;
    assert_eq!((status, &answer["hostname"]), (StatusCode::OK, &json!("lab-2")));
    let (status, _, _) = world.tagged("PUT", path, Some(&dev), to("lab-3")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it has another name");
    let (status, _) =
        world.call(Role::Operator, "PUT", "/api/v2/dev-hosts/lab-2", to("lab-3")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let team = json!({"hostname": "r1", "team_assignment": "Core"});
    let (_, seen, _) = world.tagged("POST", "/api/v2/teams", None, Some(team)).await;
    let path = "/api/v2/teams/r1";
    let to = |team: &str| Some(json!({"team_assignment": team}));
    let (status, now, _) = world.tagged("PUT", path, Some(&seen), to("Edge")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _, _) = world.tagged("PUT", path, Some(&seen), to("Lab")).await;
    assert_eq!(status, MISSED);
    let (status, _, _) = world.tagged("DELETE", path, Some(&seen), None).await;
    assert_eq!(status, MISSED);
    let (_, read, _) = world.tagged("GET", path, None, None).await;
    assert_eq!(read, now);
    let (status, _, _) = world.tagged("DELETE", path, Some(&now), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}
