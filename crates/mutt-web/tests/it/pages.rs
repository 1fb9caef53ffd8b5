//! Pages: each is made, carries the strict headers, holds no inline code, and shows device text inert.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mutt_model::{Severity, Timestamp};
use mutt_store::store::{
    Dependency, ProcessReport, ReadStore as _, RetentionPolicy, SettingsStore as _,
    UpkeepStore as _,
};
use mutt_web::Role;
use serde_json::json;

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
        "/hosts",
        "/hosts/dev/lab-1",
        "/hosts/team/r1",
        "/settings",
        "/settings?apply=restart&q=queue",
        "/settings/log.level",
        "/settings/history",
        "/settings/versions/0",
        "/settings/versions/1",
        "/processes",
        "/retention",
        "/sign-in",
    ]
    .map(str::to_owned)
    .into();
    let written = [
        ("POST", "/api/v2/dev-hosts", json!({"hostname": "lab-1"})),
        ("POST", "/api/v2/teams", json!({"hostname": "r1", "team": "<b>Core</b>"})),
        ("PUT", "/api/v2/config/log.level", json!({"value": "debug", "reason": nasty})),
        ("POST", "/api/v2/holds", json!({"host": "r1", "reason": nasty})),
    ];
    for (method, path, body) in written {
        let (status, answer) = world.call(Role::Admin, method, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    world.store.report_process(&process()).await.unwrap();
    paths.push(format!("/events/{}", event.as_str().unwrap()));
    paths.push(format!("/alerts/{}", alert.as_str().unwrap()));
    paths.push(format!("/deliveries/{}", dead.as_str().unwrap()));
    (world, paths)
}

/// A process that lacks something, told in the words of others.
fn process() -> ProcessReport {
    let why = Some("<b>refused</b> \u{1b}[31m".to_owned());
    let lacks = Dependency { ready: false, since: None, code: None, why };
    ProcessReport {
        id: "p1".to_owned(),
        services: ["alerter".to_owned(), "web-ui".to_owned()].into(),
        host: "mon-1".to_owned(),
        pid: 4711,
        program: "2.9.0".to_owned(),
        settings: Some(0),
        ruleset: Some(1),
        spilled_events: 12,
        dependencies: [("queue".to_owned(), lacks)].into(),
        ..ProcessReport::default()
    }
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
async fn the_page_of_an_event_shows_its_fields() {
    let world = World::new();
    world.rules().await;
    let mut event = world.event("fw1", Severity::ALERT, "CEF:0|v|p|1|100|link down|10|spt=22");
    event.fields = Some(r#"{"spt":22,"msg":"<b>x</b>","seen":true,"layer":["a","b"]}"#.into());
    event.structured_data = Some(r#"{"a@1":{"k":"v"}}"#.into());
    world.commit(&[event]).await;
    let id = world.get("/api/v2/events").await["items"][0]["id"].clone();
    let path = format!("/events/{}", id.as_str().unwrap());
    let (_, html) = world.page(Role::Viewer, &path).await;
    clean(&path, &html);
    let table = html.split("id=\"event-fields\"").nth(1).unwrap();
    let table = table.split("</table>").next().unwrap();
    for wanted in
        ["<bdi>spt</bdi>", "<bdi>22</bdi>", "&lt;b&gt;x", "<bdi>true</bdi>", "<bdi>layer</bdi>"]
    {
        assert!(table.contains(wanted), "{wanted} in {table}");
    }
    assert!(html.contains("id=\"event-data\"") && html.contains("<bdi>a@1</bdi>"), "{html}");
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

/// The value of a hidden field.
fn hidden(html: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&mark).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn of_two_people_at_one_rule_or_team_the_second_sees_both_versions() {
    let (world, _) = furnished().await;
    let (_, html) = world.page(Role::Admin, "/rules/1").await;
    let tag = hidden(&html, "tag");
    let form = |priority: &str, reason: &str| {
        format!(
            "name=mine&match_string=down&match_type=contains&prod_handling=Page_only&dev_handling=Ignore&priority={priority}&is_active=1&action=problem&clear_after=24h&tag={tag}&reason={reason}"
        )
    };
    let (status, _) = post(&world, Role::Admin, "/rules/1", &form("7", "rack+12")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, html) = post(&world, Role::Admin, "/rules/1", &form("9", "mine")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    assert!(html.contains("changed by the-admin at") && html.contains("rack 12"), "{html}");
    let table = html.split("id=\"conflict\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert!(
        table.contains("priority") && table.contains(">9<") && table.contains(">7<"),
        "{table}"
    );
    assert_eq!(table.matches("<tr>").count(), 2, "only what differs: {table}");
    assert!(html.contains("name=\"priority\" value=\"9\""), "what was typed is kept");
    let (status, _) = post(&world, Role::Admin, "/rules/1/delete", &format!("tag={tag}")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    // Saving again, knowing both, is allowed.
    let again = form("9", "mine").replace(&tag, &hidden(&html, "tag"));
    assert_eq!(post(&world, Role::Admin, "/rules/1", &again).await.0, StatusCode::SEE_OTHER);
    assert_eq!(world.get("/api/v2/rules/1").await["priority"], 9);

    let (_, html) = world.page(Role::Admin, "/hosts/team/r1").await;
    let tag = hidden(&html, "tag");
    let form = |team: &str| format!("value={team}&tag={tag}");
    let (status, place) = post(&world, Role::Admin, "/hosts/team/r1", &form("Edge")).await;
    assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, "/hosts?done=team_set"));
    let (status, html) = post(&world, Role::Admin, "/hosts/team/r1", &form("Lab")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    assert!(html.contains("id=\"conflict\"") && html.contains("Lab") && html.contains("Edge"));
    let (status, _) = post(&world, Role::Operator, "/hosts/team/r1", &form("Lab")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn hosts_are_added_renamed_and_removed() {
    let (world, _) = furnished().await;
    let (status, html) = post(&world, Role::Admin, "/hosts/dev", "dev_host=LAB-1").await;
    assert_eq!(status, StatusCode::CONFLICT, "it is there already");
    assert!(html.contains("value=\"LAB-1\"") && html.contains("id=\"problem\""));
    let (status, _) = post(&world, Role::Admin, "/hosts/dev", "dev_host=two+words").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let rows = [
        ("/hosts/dev", "dev_host=lab-2&reason=new+rack", "/hosts?done=dev_host_added"),
        ("/hosts/dev/lab-2", "value=Lab-3&reason=moved", "/hosts?done=dev_host_renamed"),
        ("/hosts/dev/lab-1/remove", "reason=gone", "/hosts?done=dev_host_removed"),
        ("/hosts/team", "host=r9&team=Core&reason=x", "/hosts?done=team_set"),
        ("/hosts/team/r9/remove", "", "/hosts?done=team_removed"),
    ];
    for (path, form, expected) in rows {
        let (status, place) = post(&world, Role::Admin, path, form).await;
        assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, expected), "{path}");
    }
    let hosts = world.get("/api/v2/dev-hosts").await;
    assert_eq!(hosts["items"], json!([{"id": "lab-3", "hostname": "lab-3"}]));
    let changes = world.get("/api/v2/changes?limit=1000").await;
    let reasons: Vec<_> =
        changes["items"].as_array().unwrap().iter().map(|c| &c["reason"]).collect();
    for reason in ["new rack", "moved", "gone"] {
        assert!(reasons.contains(&&json!(reason)), "{reason} in {reasons:?}");
    }
}

#[tokio::test]
async fn settings_are_set_with_words_at_the_field_and_other_keys_are_no_conflict() {
    let (world, _) = furnished().await;
    let (_, html) = world.page(Role::Operator, "/settings/log.level").await;
    let seen = hidden(&html, "version");
    let (status, html) =
        post(&world, Role::Operator, "/settings/log.level", "value=wrong&reason=a+look").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let at = html.split("aria-invalid=\"true\"").nth(1).unwrap();
    assert!(at.contains("id=\"value-problem\"") && at.contains("`wrong` is not allowed"), "{at}");
    assert!(html.contains("value=\"wrong\"") && html.contains("value=\"a look\""));
    // Another key changes meanwhile: nobody's conflict.
    let team = json!({"value": "Core"});
    let (status, _) =
        world.call(Role::Admin, "PUT", "/api/v2/config/alerter.default_team", Some(team)).await;
    assert_eq!(status, StatusCode::CREATED);
    let form = |value: &str| format!("value={value}&version={seen}&reason=b");
    let (status, place) = post(&world, Role::Operator, "/settings/log.level", &form("warn")).await;
    assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, "/settings/log.level?done=set"));
    // The same key did: both versions are told, and nothing is overwritten.
    let (status, html) = post(&world, Role::Operator, "/settings/log.level", &form("info")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let words = "is set to `warn` by the-operator in version 3 (b)";
    assert!(html.contains("You looked at version 1; version 3 is in force"), "{html}");
    assert!(html.contains(words) && html.contains("value=\"info\""), "{html}");
    let (status, _) = post(&world, Role::Viewer, "/settings/log.level", "value=info").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) =
        post(&world, Role::Operator, "/settings/alerter.default_team", "value=X").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "an admin's key");
    let (_, html) = world.page(Role::Operator, "/settings/alerter.default_team").await;
    assert!(html.contains("id=\"may-not\"") && !html.contains("id=\"setting-form\""));

    let (status, html) =
        post(&world, Role::Admin, "/settings/versions/1/rollback", "version=2&reason=too+late")
            .await;
    assert_eq!(status, StatusCode::CONFLICT, "version 3 is in force");
    assert!(html.contains("id=\"problem\""));
    let (_, html) = world.page(Role::Admin, "/settings/versions/1").await;
    let diff = html.split("id=\"diff\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert!(diff.contains("log.level") && diff.contains("alerter.default_team"), "{diff}");
    let (status, place) = post(
        &world,
        Role::Admin,
        "/settings/versions/1/rollback",
        &format!("version={}&reason=enough", hidden(&html, "version")),
    )
    .await;
    assert_eq!(
        (status, place.as_str()),
        (StatusCode::SEE_OTHER, "/settings/history?done=rolled_back")
    );
    let (_, html) = world.page(Role::Viewer, &place).await;
    assert!(html.contains("back to version 1") && html.contains("enough"), "{html}");
    let (_, place) =
        post(&world, Role::Operator, "/settings/log.level/unset", "reason=done+looking").await;
    assert_eq!(place, "/settings/log.level?done=unset");
    assert_eq!(world.get("/api/v2/config/log.level").await["source"], "default");
}

#[tokio::test]
async fn holds_are_placed_and_released_and_processes_say_what_they_lack() {
    let (world, _) = furnished().await;
    let (status, html) =
        post(&world, Role::Admin, "/retention/holds", "host=r2&since=noon&reason=x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(html.contains("`noon` is no time") && html.contains("value=\"r2\""), "{html}");
    let form = "host=r2&since=2026-01-31T08%3A00Z&until=2026-01-31T09%3A00Z&reason=case+12";
    let (status, place) = post(&world, Role::Admin, "/retention/holds", form).await;
    assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, "/retention?done=hold_placed"));
    let (_, html) = world.page(Role::Viewer, "/retention").await;
    assert!(html.contains("case 12") && !html.contains("id=\"hold\""), "a viewer sees: {html}");
    let hold = world.get("/api/v2/holds").await["items"][0].clone();
    assert_eq!((&hold["host"], &hold["who"]), (&json!("r2"), &json!("the-admin")));
    let path = format!("/retention/holds/{}/release", hold["id"]);
    assert_eq!(post(&world, Role::Operator, &path, "").await.0, StatusCode::FORBIDDEN);
    let (_, place) = post(&world, Role::Admin, &path, "reason=case+closed").await;
    assert_eq!(place, "/retention?done=hold_released");
    assert_eq!(world.get("/api/v2/holds").await["items"].as_array().unwrap().len(), 1);
    let elsewhere = "file=..%2F..%2Fetc%2Fpasswd";
    let (status, _) = post(&world, Role::Admin, "/retention/archives/restore", elsewhere).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "only what is listed");

    let (_, html) = world.page(Role::Viewer, "/processes").await;
    for words in ["alerter, web-ui", "mon-1", "other version", "behind", "12 events", "refused"] {
        assert!(html.contains(words), "{words} in {html}");
    }
}

#[tokio::test]
async fn an_archive_is_listed_and_its_rows_are_put_back() {
    let (world, _) = furnished().await;
    let day = Duration::from_secs(86_400);
    let policy = RetentionPolicy {
        handled: day,
        unhandled: day,
        archive: Some(world.program.archives.clone()),
        ..RetentionPolicy::default()
    };
    let late = Timestamp(world.clock.wall().0 + 10 * 86_400_000_000);
    assert_eq!(world.store.retain(&policy, late).await.unwrap().archives, 1, "r1 is held");
    let name = world.get("/api/v2/archives").await["items"][0]["name"].clone();
    let name = name.as_str().unwrap();
    let (_, html) = world.page(Role::Viewer, "/retention").await;
    assert!(html.contains(name) && !html.contains("id=\"restore-form\""), "{html}");
    let (_, html) = world.page(Role::Admin, "/retention").await;
    assert!(html.contains(&format!("<option>{name}</option>")), "{html}");
    let form = format!("file={name}&reason=asked+by+the+court");
    let path = "/retention/archives/restore";
    assert_eq!(post(&world, Role::Operator, path, &form).await.0, StatusCode::FORBIDDEN);
    let gone = world.get("/api/v2/events").await["items"].as_array().unwrap().len();
    let (status, place) = post(&world, Role::Admin, path, &form).await;
    assert_eq!(
        (status, place.as_str()),
        (StatusCode::SEE_OTHER, "/retention?done=archive_restored")
    );
    let back = world.get("/api/v2/events").await["items"].as_array().unwrap().len();
    assert_eq!((gone, back), (1, 2));
    let (_, html) = world.page(Role::Viewer, "/retention").await;
    assert!(html.contains("asked by the court"), "behind a hold: {html}");
}
