//! Who gets in: roles of every route, sessions, requests from other sites, keys in URLs, throttling.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mutt_model::{Clock, Secret};
use mutt_web::{Access, Role, Token, route_facts};

use crate::support::{START, World, text_of, token};

fn concrete(path: &str) -> String {
    path.replace("{id}", "01a20a78-86f0-7641-85fc-000000000000")
        .replace("{name}", "nobody")
        .replace("{hostname}", "nohost")
}

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_of_the_table() {
    let world = World::new();
    for route in route_facts().filter(|route| route.path != "/sign-in") {
        for role in [None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)] {
            let mut request = Request::builder().method(route.method).uri(concrete(route.path));
            if let Some(role) = role {
                request = request.header("x-api-key", token(role));
            }
            let response = world.send(request.body(Body::empty()).unwrap()).await;
            let status = response.status();
            let cell = format!("{} {} as {role:?}: {status}", route.method, route.path);
            match (route.access, role) {
                (Access::Public, _) => {
                    assert!(
                        status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
                        "{cell}"
                    );
                }
                (Access::Needs(_), None) if route.path.starts_with("/api/") => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{cell}");
                }
                (Access::Needs(_), None) => {
                    assert_eq!(status, StatusCode::SEE_OTHER, "{cell}");
                    let place = response.headers()["location"].to_str().unwrap();
                    assert!(place.starts_with("/sign-in?next="), "{cell}");
                }
                (Access::Needs(needed), Some(role)) if role < needed => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{cell}");
                }
                (Access::Needs(_), Some(_)) => {
                    assert!(
                        status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
                        "{cell}"
                    );
                    assert!(status != StatusCode::METHOD_NOT_ALLOWED, "{cell}");
                    assert!(!status.is_server_error(), "{cell}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_document_holds_every_route_of_the_api_and_no_other() {
    let document = mutt_web::openapi_document("3.0.0");
    let documented: Vec<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|m| (path.clone(), m.to_uppercase()))
        })
        .collect();
    let routed: Vec<(String, String)> = route_facts()
        .filter(|route| route.path.starts_with("/api/"))
        .map(|route| (route.path.to_owned(), route.method.to_owned()))
        .collect();
    assert_eq!(documented.len(), routed.len());
    assert!(routed.iter().all(|route| documented.contains(route)));
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_code_and_correlation_id() {
    let world = World::new();
    let check = async |request: Request<Body>, status: u16, code: &str| {
        let response = world.send(request).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-correlation-id"], "mine-1");
        let body: serde_json::Value = serde_json::from_str(&text_of(response).await).unwrap();
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        assert_eq!(body["correlation_id"], "mine-1");
    };
    let request = |method: &str, uri: &str| {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("x-correlation-id", "mine-1")
            .header("x-api-key", token(Role::Admin))
            .body(Body::empty())
            .unwrap()
    };
    let wrong = Request::builder()
        .uri("/api/v2/ledger")
        .header("x-correlation-id", "mine-1")
        .header("authorization", "Bearer wrong")
        .body(Body::empty())
        .unwrap();
    check(wrong, 401, "MUTT-W001").await;
    check(request("GET", "/api/v2/nothing"), 404, "MUTT-W003").await;
    check(request("PUT", "/api/v2/ledger"), 405, "MUTT-W003").await;
    check(request("GET", "/api/v2/events?hots=a"), 400, "MUTT-W004").await;
    check(request("GET", "/api/v2/events?api_key=x"), 400, "MUTT-W006").await;
    check(request("GET", "/api/v2/events?limit=100000"), 400, "MUTT-W004").await;
    let large = Request::builder()
        .method("POST")
        .uri("/api/v2/rules")
        .header("x-correlation-id", "mine-1")
        .header("x-api-key", token(Role::Admin))
        .body(Body::from(vec![b' '; 1024 * 1024 + 1]))
        .unwrap();
    check(large, 413, "MUTT-W004").await;
}

fn form(path: &str, body: &str) -> axum::http::request::Builder {
    let _ = body;
    Request::builder()
        .method("POST")
        .uri(path)
        .header("host", "mutt.example:8090")
        .header("content-type", "application/x-www-form-urlencoded")
}

async fn sign_in(world: &World, role: Role) -> String {
    let body = format!("token={}&next=%2Falerts", token(role));
    let response = world.send(form("/sign-in", "").body(Body::from(body)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/alerts");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

async fn with_cookie(world: &World, cookie: &str, path: &str) -> StatusCode {
    let request =
        Request::builder().uri(path).header("cookie", cookie).body(Body::empty()).unwrap();
    world.send(request).await.status()
}

#[tokio::test]
async fn a_session_begins_ends_and_grows_old() {
    let clock = Clock::manual(START);
    let world = World::with(clock.clone());
    let cookie = sign_in(&world, Role::Viewer).await;
    assert_eq!(with_cookie(&world, &cookie, "/api/v2/whoami").await, StatusCode::OK);
    assert_ne!(cookie, sign_in(&world, Role::Viewer).await, "a new id at each sign-in");

    let out = form("/sign-out", "")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "same-origin")
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.send(out).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(with_cookie(&world, &cookie, "/api/v2/whoami").await, StatusCode::UNAUTHORIZED);

    let idle = sign_in(&world, Role::Viewer).await;
    clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(with_cookie(&world, &idle, "/api/v2/whoami").await, StatusCode::UNAUTHORIZED);

    let busy = sign_in(&world, Role::Viewer).await;
    for _ in 0..13 {
        clock.advance(Duration::from_secs(3600));
        assert_eq!(with_cookie(&world, &busy, "/api/v2/whoami").await, StatusCode::OK);
    }
    clock.advance(Duration::from_secs(3600));
    assert_eq!(with_cookie(&world, &busy, "/api/v2/whoami").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let world = World::new();
    let cookie = sign_in(&world, Role::Admin).await;
    let changed = Token {
        name: "the-admin".to_owned(),
        role: Role::Admin,
        secret: Secret::new("another value"),
    };
    *world.program.tokens.lock().unwrap() = vec![changed].into();
    assert_eq!(with_cookie(&world, &cookie, "/api/v2/whoami").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn changes_by_session_must_come_from_our_own_pages() {
    let world = World::new();
    let cookie = sign_in(&world, Role::Admin).await;
    let check = async |name: &str, value: &str, expected: StatusCode| {
        let mut request = form("/api/v2/dev-hosts", "").header("cookie", &cookie);
        if !name.is_empty() {
            request = request.header(name, value);
        }
        let body = Body::from(r#"{"hostname":"lab"}"#);
        let response = world.send(request.body(body).unwrap()).await;
        assert_eq!(response.status(), expected, "{name}: {value}");
    };
    check("", "", StatusCode::FORBIDDEN).await;
    check("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN).await;
    check("sec-fetch-site", "same-site", StatusCode::FORBIDDEN).await;
    check("origin", "http://evil.example", StatusCode::FORBIDDEN).await;
    check("origin", "null", StatusCode::FORBIDDEN).await;
    check("origin", "http://mutt.example:8090", StatusCode::CREATED).await;
    check("sec-fetch-site", "same-origin", StatusCode::CONFLICT).await;
}

#[tokio::test]
async fn failed_sign_ins_are_held_back_for_a_minute() {
    let clock = Clock::manual(START);
    let world = World::with(clock.clone());
    let attempt = async |token: String| {
        let body = Body::from(format!("token={token}"));
        world.send(form("/sign-in", "").body(body).unwrap()).await
    };
    for _ in 0..10 {
        assert_eq!(attempt("wrong".to_owned()).await.status(), StatusCode::UNAUTHORIZED);
    }
    let held = attempt(token(Role::Admin)).await;
    assert_eq!(held.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(held.headers()["retry-after"], "60");
    assert!(text_of(held).await.contains("MUTT-W007"));
    clock.advance(Duration::from_secs(60));
    assert_eq!(attempt(token(Role::Admin)).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn requests_are_observed_by_template_and_not_by_path() {
    let world = World::new();
    world.call(Role::Viewer, "GET", "/api/v2/rules/77", None).await;
    world.call(Role::Viewer, "GET", "/secret/place", None).await;
    let seen = world.program.observed.lock().unwrap().clone();
    assert_eq!(seen[0], ("/api/v2/rules/{id}".to_owned(), "GET".to_owned(), 404));
    assert_eq!(seen[1], ("unmatched".to_owned(), "GET".to_owned(), 404));
}
