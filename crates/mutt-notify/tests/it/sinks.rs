//! Every answer and every failure, from the socket to the outcome.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::delivery::{ATTEMPT_DETAIL_MAX, Attempt, Delivery, Outcome};
use mutt_model::{Clock, IdSource, Secret, Timestamp};
use mutt_notify::{Auth, BuildError, Sink, SinkConfig, SinkKind, build, test_delivery};

use crate::receiver::{Receiver, Script, Then};

const SECRET: &str = "s3cr3t-t0ken";
const RETRY: Outcome = Outcome::Retry { after: None };

fn config(kind: SinkKind, url: &str) -> SinkConfig {
    SinkConfig {
        auth: Some(Auth::Bearer(Secret::new(SECRET))),
        timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(200),
        ..SinkConfig::new(kind, url)
    }
}

/// A timeout that only a hanging test meets.
fn patient(kind: SinkKind, url: &str) -> SinkConfig {
    SinkConfig {
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
        ..config(kind, url)
    }
}

fn made(config: SinkConfig) -> Arc<dyn Sink> {
    build("target", config, Clock::System).unwrap()
}

fn delivery() -> Delivery {
    let now = Timestamp::from_secs(1_754_500_000);
    test_delivery("target", IdSource::new(1).next(now), now)
}

async fn attempt(script: Script) -> Attempt {
    let receiver = Receiver::start(script).await;
    made(patient(SinkKind::Webhook, &receiver.url())).send(&delivery()).await
}

#[tokio::test]
async fn every_status_on_the_wire_has_its_outcome() {
    let table: &[(&[u16], &str, &str)] = &[
        (&[200, 201, 202, 203, 204, 207], "ok", "http"),
        (&[408, 409, 421, 423, 425, 429, 500, 501, 502, 503, 504, 599], "retry", "http"),
        (&[401, 402, 403, 404, 405, 406, 407, 410, 411, 418, 451], "hold", "http"),
        (&[300, 301, 302, 303, 304, 307, 308], "hold", "redirect"),
        (&[400, 413, 415, 422], "poison", "http"),
    ];
    for (statuses, outcome, class) in table {
        for status in *statuses {
            let got = attempt(Script::answer(*status, "location: /elsewhere\r\n", "")).await;
            assert_eq!(
                (got.outcome.name(), got.class.as_str(), got.status),
                (*outcome, *class, Some(*status))
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = Receiver::start(Script::answer(200, "", "{}")).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    for status in [301, 302, 303, 307, 308] {
        let got = attempt(Script::answer(status, &location, "")).await;
        assert_eq!(got.outcome, Outcome::Hold);
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_the_sink_asks_to_wait_is_obeyed_and_capped() {
    for (header, secs) in [
        ("7", Some(7)),
        ("999999", Some(3_600)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("x", None),
    ] {
        let got = attempt(Script::answer(429, &format!("retry-after: {header}\r\n"), "")).await;
        assert_eq!(
            got.outcome,
            Outcome::Retry { after: secs.map(Duration::from_secs) },
            "{header}"
        );
    }
}

#[tokio::test]
async fn broken_answers_are_retried() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("reply lost after it was read", Script::raw("", Then::Close), "connect"),
        ("reset", Script::raw("", Then::Reset), "connect"),
        ("garbage", Script::raw("\u{1}\u{2}nonsense\r\n\r\n", Then::Close), "connect"),
        ("half a head", Script::raw("HTTP/1.1 200 O", Then::Close), "connect"),
        ("half a body", Script::raw(format!("{head}{{\"a\""), Then::Close), "body"),
        ("no end of chunks", Script::raw(format!("{chunked}3\r\nabc\r\n"), Then::Close), "body"),
        ("bad chunk", Script::raw(format!("{chunked}zz\r\nabc\r\n"), Then::Close), "body"),
    ];
    for (name, script, class) in cases {
        let got = attempt(script).await;
        assert_eq!((got.outcome, got.class.as_str()), (RETRY, class), "{name}: {got:?}");
    }
}

#[tokio::test]
async fn what_hangs_times_out() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    for script in [Script::raw("", Then::Hang), Script::raw(head, Then::Hang)] {
        let receiver = Receiver::start(script).await;
        let got = made(config(SinkKind::Webhook, &receiver.url())).send(&delivery()).await;
        assert_eq!((got.outcome, got.class.as_str()), (RETRY, "timeout"), "{got:?}");
    }
}

#[tokio::test]
async fn a_refusal_counts_though_its_body_breaks_off() {
    for (status, outcome) in [(400, Outcome::Poison), (401, Outcome::Hold)] {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\nab");
        assert_eq!(attempt(Script::raw(head, Then::Close)).await.outcome, outcome);
    }
}

#[tokio::test]
async fn an_endless_answer_is_read_only_so_far() {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let got = attempt(Script::raw(head, Then::Endless)).await;
    assert_eq!(got.outcome, Outcome::Ok);
    assert_eq!(got.detail.len(), ATTEMPT_DETAIL_MAX);
    let head = "HTTP/1.1 200 OK\r\nx-long: ";
    let got = attempt(Script::raw(head, Then::Endless)).await;
    assert_eq!((got.outcome, got.class.as_str()), (RETRY, "connect"), "an endless head: {got:?}");
}

#[tokio::test]
async fn nobody_listens() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{port}/x?key={SECRET}");
    let got = made(patient(SinkKind::Webhook, &url)).send(&delivery()).await;
    assert_eq!((got.outcome, got.class.as_str(), got.status), (RETRY, "connect", None));
    assert!(!got.detail.contains(SECRET), "{}", got.detail);
}

#[tokio::test]
async fn tls_is_verified_and_its_failure_holds_the_lane() {
    let (receiver, pem) = Receiver::start_tls(Script::answer(200, "", "{}")).await;
    let (_other, other_pem) = Receiver::start_tls(Script::answer(200, "", "{}")).await;
    let https = receiver.url().replace("http:", "https:");
    let with = |url: &str, pem: &[u8]| {
        made(SinkConfig { ca_pem: Some(pem.to_vec()), ..patient(SinkKind::Webhook, url) })
    };
    assert_eq!(with(&https, &pem).send(&delivery()).await.outcome, Outcome::Ok);
    let named = https.replace("127.0.0.1", "localhost");
    for (why, sink) in
        [("another authority", with(&https, &other_pem)), ("another name", with(&named, &pem))]
    {
        let got = sink.send(&delivery()).await;
        assert_eq!((got.outcome, got.class.as_str()), (Outcome::Hold, "tls"), "{why}: {got:?}");
    }
    assert_eq!(receiver.requests().len(), 1, "nothing is sent to whom we do not trust");
}

#[tokio::test]
async fn moogsofts_login_page_is_a_fault_of_the_lane() {
    let table = [
        (SinkKind::Moogsoft, "", r#"{"redirect":"/Login.php"}"#, "hold"),
        (SinkKind::Moogsoft, "content-type: text/html\r\n", "<HTML><body>sign in", "hold"),
        (SinkKind::MoogsoftCloud, "", "Login.php", "hold"),
        (SinkKind::Moogsoft, "content-type: text/html\r\n", "", "ok"),
        (SinkKind::Moogsoft, "", r#"{"success":true}"#, "ok"),
        (SinkKind::Webhook, "content-type: text/html\r\n", "<html>Login.php", "ok"),
    ];
    for (kind, headers, body, outcome) in table {
        let receiver = Receiver::start(Script::answer(200, headers, body)).await;
        let got = made(patient(kind, &receiver.url())).send(&delivery()).await;
        assert_eq!(got.outcome.name(), outcome, "{kind:?} {body}");
    }
}

#[tokio::test]
async fn an_echoed_secret_is_not_kept() {
    let pair = "bXV0dDpzM2NyM3QtdDBrZW4="; // mutt:s3cr3t-t0ken
    let auths = [
        Auth::Bearer(Secret::new(SECRET)),
        Auth::Basic { user: "mutt".to_owned(), password: Secret::new(SECRET) },
        Auth::Header { name: "apiKey".to_owned(), value: Secret::new(SECRET) },
    ];
    for auth in auths {
        let body = format!("refused: {SECRET} {pair}");
        let receiver = Receiver::start(Script::answer(403, "", &body)).await;
        let url = format!("{}?key=url-{SECRET}", receiver.url());
        let sent_as = match &auth {
            Auth::Bearer(_) => ("authorization", format!("Bearer {SECRET}")),
            Auth::Basic { .. } => ("authorization", format!("Basic {pair}")),
            Auth::Header { .. } => ("apikey", SECRET.to_owned()),
        };
        let basic = matches!(auth, Auth::Basic { .. });
        let config = SinkConfig { auth: Some(auth), ..patient(SinkKind::Webhook, &url) };
        assert!(!format!("{config:?}").contains(SECRET), "{config:?}");
        let sink = made(config);
        assert!(!format!("{sink:?}").contains(SECRET), "{sink:?}");
        let got = sink.send(&delivery()).await;
        assert!(got.detail.starts_with("refused: ***"), "{}", got.detail);
        assert!(!basic || !got.detail.contains(pair), "{}", got.detail);
        let request = &receiver.requests()[0];
        assert_eq!(request.header(sent_as.0), Some(sent_as.1.as_str()));
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
}

#[tokio::test]
async fn an_echoed_address_is_not_kept() {
    let body = "Cannot POST /hooks/T0/B0/path-key?v=1&key=query-key; key query-key";
    let receiver = Receiver::start(Script::answer(404, "", body)).await;
    let url = format!("http://{}/hooks/T0/B0/path-key?v=1&key=query-key", receiver.address);
    let got = made(patient(SinkKind::Webhook, &url)).send(&delivery()).await;
    assert_eq!(got.detail, "Cannot POST ***?***; key ***");
}

#[tokio::test]
async fn every_try_of_a_delivery_is_the_same() {
    for kind in SinkKind::ALL {
        let receiver = Receiver::start(Script::raw("", Then::Close)).await;
        let sink = made(patient(kind, &receiver.url()));
        let delivery = delivery();
        for _ in 0..2 {
            assert_eq!(sink.send(&delivery).await.outcome, RETRY);
        }
        let requests = receiver.requests();
        assert_eq!(requests.len(), 2, "one request for each try, none by the client itself");
        assert_eq!(requests[0].body, requests[1].body);
        for request in &requests {
            assert!(request.head.starts_with("POST /events HTTP/1.1"));
            assert_eq!(request.header("idempotency-key"), Some(delivery.id.to_string().as_str()));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let body = request.json();
            let text = body.to_string();
            assert!(text.contains(&delivery.id.to_string()), "{text}");
        }
    }
}

#[tokio::test]
async fn a_test_sends_no_event() {
    let table = [
        (200, true, Some(true)),
        (204, true, Some(true)),
        (401, true, Some(false)),
        (403, true, Some(false)),
        (405, true, None),
        (503, true, None),
    ];
    for (status, reachable, authorised) in table {
        let receiver = Receiver::start(Script::answer(status, "", "")).await;
        let result = made(patient(SinkKind::Moogsoft, &receiver.url())).test().await;
        assert_eq!((result.reachable, result.authorised), (reachable, authorised), "{status}");
        let request = &receiver.requests()[0];
        assert!(request.head.starts_with("OPTIONS ") && request.body.is_empty());
    }
    let gone = made(patient(SinkKind::Webhook, "http://127.0.0.1:1/")).test().await;
    assert_eq!((gone.reachable, gone.authorised), (false, None));
}

#[test]
fn what_cannot_work_is_refused_and_says_why() {
    let check = |config: SinkConfig, expected: BuildError| {
        let error = build("target", config, Clock::System).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains(SECRET));
    };
    let good = || config(SinkKind::Webhook, "http://127.0.0.1/x");
    let url = |text: &str| config(SinkKind::Webhook, text);
    check(url("nonsense"), BuildError::Url("is no URL"));
    check(url("ftp://h/x"), BuildError::Url("must begin with https:// or http://"));
    let never = BuildError::Url("names a link-local, multicast or unspecified address");
    for host in ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.0.1]", "0.0.0.0"] {
        check(url(&format!("http://{host}/latest")), never.clone());
    }
    let user = BuildError::Url("must not hold a user or password; use auth");
    check(url(&format!("https://u:{SECRET}@h/x")), user);
    check(SinkConfig { timeout: Duration::ZERO, ..good() }, BuildError::Timeout);
    check(SinkConfig { ca_pem: Some(b"none".to_vec()), ..good() }, BuildError::Ca);
    let auth = |auth| SinkConfig { auth: Some(auth), ..good() };
    let split = Secret::new(format!("{SECRET}\r\nx-evil: 1"));
    let carry = BuildError::Auth("holds characters that a header cannot carry");
    check(auth(Auth::Bearer(split.clone())), carry.clone());
    check(auth(Auth::Header { name: "k".to_owned(), value: split }), carry);
    check(auth(Auth::Bearer(Secret::default())), BuildError::Auth("is empty"));
    let name = Auth::Header { name: "a b".to_owned(), value: Secret::new(SECRET) };
    check(auth(name), BuildError::Auth("names no valid header"));
    for later in SinkKind::LATER {
        assert!(SinkKind::parse(later).unwrap_err().to_string().contains("not built"));
    }
    assert!(SinkKind::parse("smoke").unwrap_err().to_string().contains("known: moogsoft"));
    for kind in SinkKind::ALL {
        assert_eq!(SinkKind::parse(kind.name()), Ok(kind));
    }
}
