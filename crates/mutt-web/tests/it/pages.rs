//! Pages: each is made, carries the strict headers, holds no inline code, and shows device text inert.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mutt_model::Severity;
use mutt_store::store::ReadStore as _;
use mutt_web::Role;

use crate::support::{World, text_of, token};

async fn furnished() -> (World, Vec<String>) {
    let world = World::new();
    world.rules().await;
    let nasty = "<script>alert('x')</script> \u{1b}[31m \u{202e}exe.gnp down";
    world
        .commit(&[
            world.event("r1", Severity::CRITICAL, nasty),
            world.event("r2\"><img src=x>", Severity::DEBUG, "unhandled & quiet"),
        ])
        .await;
    world.kill_one("moog").await;
    let event = world.get("/api/v2/events?handled=true").await["items"][0]["id"].clone();
    let alert = world.get("/api/v2/alerts").await["items"][0]["id"].clone();
    let dead = world.get("/api/v2/deliveries?state=dead").await["items"][0]["id"].clone();
    let mut paths: Vec<String> = [
        "/",
        "/live",
        "/events",
        "/events?q=down&severity=2",
        "/alerts",
        "/alerts?state=open",
        "/rules",
        "/rules/new",
        "/rules/1",
        "/rules/test",
        "/deliveries",
        "/deliveries?state=pending",
        "/lanes",
        "/changes",
        "/sign-in",
    ]
    .map(str::to_owned)
    .into();
    paths.push(format!("/events/{}", event.as_str().unwrap()));
    paths.push(format!("/alerts/{}", alert.as_str().unwrap()));
    paths.push(format!("/deliveries/{}", dead.as_str().unwrap()));
    (world, paths)
}

/// No inline code or style, no markup from devices, no character that acts on the screen.
fn clean(path: &str, html: &str) {
    for wrong in ["<script>", " style=", "<style", "javascript:", "<img", " onclick=", " onload="] {
        assert!(!html.contains(wrong), "{path} holds {wrong}");
    }
    let acting = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(*c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    assert_eq!(html.chars().find(acting), None, "{path}");
}

#[tokio::test]
async fn every_page_is_made_for_every_role_and_is_clean() {
    let (world, paths) = furnished().await;
    for role in Role::ALL {
        for path in paths.iter().filter(|path| *path != "/sign-in") {
            let (status, html) = world.page(role, path).await;
            if path == "/rules/new" && role != Role::Admin {
                assert_eq!(status, StatusCode::FORBIDDEN);
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{path}");
            clean(path, &html);
            assert!(
                html.contains("<main id=\"main\"") && html.contains("class=\"skip\""),
                "{path}"
            );
            assert_eq!(html.matches("<h1").count(), 1, "{path}");
            if role == Role::Viewer {
                assert!(
                    !html.contains("id=\"acknowledge\"") && !html.contains("id=\"replay\""),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let (world, paths) = furnished().await;
    let more = ["/static/app.css", "/api/v2/ledger", "/nothing", "/api/openapi.json"];
    for path in paths.iter().map(String::as_str).chain(more) {
        let request = Request::builder()
            .uri(path)
            .header("x-api-key", token(Role::Admin))
            .body(Body::empty())
            .unwrap();
        let response = world.send(request).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{path}");
    }
}

#[tokio::test]
async fn every_field_of_every_form_has_a_label() {
    let (world, paths) = furnished().await;
    for path in &paths {
        let (_, html) = world.page(Role::Admin, path).await;
        for tag in ["<input ", "<select ", "<textarea "] {
            for (at, _) in html.match_indices(tag) {
                let field = &html[at..at + html[at..].find('>').unwrap()];
                if field.contains("type=\"hidden\"") {
                    continue;
                }
                let before = &html[..at];
                let wrapped =
                    before.rfind("<label").is_some_and(|l| !before[l..].contains("</label"));
                let id = field.split(" id=\"").nth(1).and_then(|rest| rest.split('"').next());
                let named = id.is_some_and(|id| html.contains(&format!("for=\"{id}\"")));
                assert!(wrapped || named, "{path}: {field}");
            }
        }
    }
}

#[tokio::test]
async fn naughty_strings_are_shown_inert() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora/text/blns.txt");
    let Ok(text) = std::fs::read(path) else {
        println!("skipped: corpora not present");
        return;
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let world = World::new();
    let events: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| world.event(line, Severity::NOTICE, line))
        .collect();
    assert!(events.len() > 400);
    world.commit(&events).await;
    let (status, html) = world.page(Role::Viewer, "/events?limit=1000").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(html.matches("<tr data-id=").count(), events.len());
    let table = &html[html.find("<tbody>").unwrap()..];
    let opened: std::collections::BTreeSet<&str> = table
        .split('<')
        .skip(1)
        .map(|tag| tag.split([' ', '>', '/']).find(|name| !name.is_empty()).unwrap_or_default())
        .collect();
    let ours = [
        "a", "bdi", "body", "div", "footer", "html", "main", "nav", "span", "table", "tbody", "td",
        "time", "tr",
    ];
    assert!(opened.iter().all(|tag| ours.contains(tag)), "{opened:?}");
}

async fn post(world: &World, role: Role, path: &str, form: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("x-api-key", token(role))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let response = world.send(request).await;
    let status = response.status();
    let place = response.headers().get("location").map(|v| v.to_str().unwrap().to_owned());
    (status, place.unwrap_or(text_of(response).await))
}

#[tokio::test]
async fn forms_act_and_lead_back() {
    let (world, paths) = furnished().await;
    let alert = paths.iter().find(|path| path.starts_with("/alerts/")).unwrap();
    let (status, place) =
        post(&world, Role::Operator, &format!("{alert}/acknowledge"), "reason=mine").await;
    assert_eq!((status, place), (StatusCode::SEE_OTHER, format!("{alert}?done=acknowledged")));
    post(&world, Role::Operator, &format!("{alert}/note"), "text=%3Cb%3Ecut%3C%2Fb%3E").await;
    let (_, html) = world.page(Role::Operator, &format!("{alert}?done=noted")).await;
    assert!(html.contains("&lt;b&gt;cut&lt;/b&gt;") && html.contains("The note is kept."));
    assert!(!html.contains("id=\"acknowledge\""), "it is acknowledged already");

    let (status, place) =
        post(&world, Role::Operator, "/deliveries/replay", "sink=moog&reason=x").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{place}");
    assert_eq!(place, "/deliveries?sink=moog&replayed=1&passed_over=0");
    assert_eq!(world.page(Role::Viewer, &place).await.0, StatusCode::OK);

    let (_, place) = post(&world, Role::Operator, "/lanes/moog/hold", "").await;
    assert_eq!(place, "/lanes?done=held");
    let (_, html) = world.page(Role::Operator, "/lanes").await;
    assert!(html.contains("held by hand") && html.contains("id=\"release-moog\""));

    let rule = "match_string=fan+failed&match_type=contains&prod_handling=Page_only&dev_handling=Ignore&priority=20&is_active=1&action=problem";
    let (status, place) = post(&world, Role::Admin, "/rules/new", rule).await;
    assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, "/rules/3?done=created"));
    let (status, html) = post(
        &world,
        Role::Admin,
        "/rules/3",
        "match_type=regex&match_string=%28&prod_handling=Ignore&dev_handling=Ignore",
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        html.contains("id=\"problem\"") && html.contains("value=\"(\""),
        "what was typed stays"
    );

    let (status, html) =
        post(&world, Role::Viewer, "/rules/test", "sample=fan+failed&host=r1").await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("Page_only") && html.contains("by rule 3"));
    let query = Default::default();
    assert_eq!(
        world.store.events(&query, 10, None).await.unwrap().items.len(),
        2,
        "nothing is stored"
    );
}

#[tokio::test]
async fn static_files_have_strong_tags() {
    let world = World::new();
    let get = async |tag: &str| {
        let mut request = Request::builder().uri("/static/app.css");
        if !tag.is_empty() {
            request = request.header("if-none-match", tag);
        }
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let first = get("").await;
    assert_eq!(first.headers()["content-type"], "text/css; charset=utf-8");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"'));
    assert_eq!(get(&tag).await.status(), StatusCode::NOT_MODIFIED);
}
