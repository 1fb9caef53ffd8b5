//! Live events are seen within a second, and many of them do not stop the page.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::driver::{Browser, ENTER};
use super::signed_in;
use crate::support::{Program, Setup, Stopwatch, until};

/// From the sender to the eye.
const SEEN_WITHIN: Duration = Duration::from_secs(1);
/// An answer of the page to whoever asks it something, on a machine that has other tests to run.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Rows that the page keeps.
const ROWS: u64 = 500;
/// Elements of a page with all its rows; a row has about fifteen.
const NODES: u64 = 20_000;

fn line(host: &str, message: &str) -> String {
    format!("<187>1 2026-11-23T10:00:00Z {host} app - - - {message}\n")
}

fn live_page(browser: &mut Browser) {
    browser.follow("#nav-live");
    browser.wait("document.body.dataset.live === 'connected'");
}

#[test]
fn an_event_is_on_the_live_page_within_a_second() {
    let program = Setup::new().start();
    let Some(mut browser) = signed_in(&program) else { return };
    live_page(&mut browser);
    let mut stream = TcpStream::connect(program.syslog_tcp()).unwrap();
    for number in 0..5 {
        let seen = format!(
            "document.querySelector('#live-rows tr .message')?.textContent === 'live {number}'"
        );
        let watch = Stopwatch::start();
        stream.write_all(line("edge-r1", &format!("live {number}")).as_bytes()).unwrap();
        assert!(browser.wait_for(SEEN_WITHIN, &seen), "{:?}", browser.text("#live-rows"));
        println!("seen after {:?}", watch.elapsed());
    }
    // A paused list stands still and catches up.
    browser.tab_to("#live-pause");
    browser.keys(ENTER);
    stream.write_all(line("edge-r1", "while paused").as_bytes()).unwrap();
    browser.wait("document.querySelector('#live-status').textContent === 'Paused, 1 waiting'");
    assert!(!browser.text("#live-rows").contains("while paused"));
    browser.keys(ENTER);
    browser.wait("document.querySelector('#live-rows').textContent.includes('while paused')");
    // A filter looks at live events too.
    browser.open("/live?host=edge-r2");
    browser.wait("document.body.dataset.live === 'connected'");
    stream.write_all(line("edge-r1", "not wanted").as_bytes()).unwrap();
    stream.write_all(line("edge-r2", "wanted").as_bytes()).unwrap();
    browser.wait("document.querySelector('#live-rows').textContent.includes('wanted')");
    assert!(!browser.text("#live-rows").contains("not wanted"));
    browser.is_quiet();
    drop(browser);
    program.stop();
}

/// Fills the store.
fn fill(program: &Program, count: usize) {
    let records = |from: usize| -> String {
        let record = |n: usize| json!({"hostname": format!("host-{}", n % 500), "severity": 6, "message": format!("old number {n}")});
        Value::from_iter((from..from + 1_000).map(record)).to_string()
    };
    for from in (0..count).step_by(1_000) {
        let body = records(from);
        until("room for a thousand", || (program.ingest(&[], &body).status == 200).then_some(()));
    }
    let mut api = program.api();
    until("all are audited", || (api.ledger().events.audited == count as u64).then_some(()));
}

/// The page answers in time; after which time, and its size.
#[track_caller]
fn answers(browser: &mut Browser) -> (Duration, u64) {
    let watch = Stopwatch::start();
    let nodes = browser.value("document.querySelectorAll('*').length").as_u64().unwrap();
    let took = watch.elapsed();
    assert!(took < ANSWER_WITHIN, "the page answers after {took:?}");
    assert!(nodes < NODES, "the page has {nodes} elements");
    (took, nodes)
}

#[test]
fn a_hundred_thousand_rows_do_not_freeze_the_pages() {
    let program = Setup::new().start();
    let Some(mut browser) = signed_in(&program) else { return };
    let watch = Stopwatch::start();
    fill(&program, 100_000);
    println!("100000 rows after {:?}", watch.elapsed());
    for page in ["overview", "events", "alerts", "rules", "deliveries", "changes"] {
        let watch = Stopwatch::start();
        browser.follow(&format!("#nav-{page}"));
        let (_, nodes) = answers(&mut browser);
        println!("{page}: {:?}, {nodes} elements", watch.elapsed());
    }
    // A search looks at so many rows at a time, says so, and goes on where it stopped.
    browser.open("/events?q=number+4711");
    while !browser.text("#events").contains("old number 4711") {
        browser.follow("#page-next");
        answers(&mut browser);
    }
    live_page(&mut browser);
    let to = program.syslog_tcp();
    let sending = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        for number in 0..2_000 {
            stream.write_all(line("edge-r1", &format!("new number {number}")).as_bytes()).unwrap();
        }
    });
    let mut slowest = Duration::ZERO;
    until("the newest stands on top", || {
        slowest = slowest.max(answers(&mut browser).0);
        let rows = browser.value("document.querySelectorAll('#live-rows tr').length");
        assert!(rows.as_u64().unwrap() <= ROWS, "{rows}");
        browser
            .value(
                "document.querySelector('#live-rows .message').textContent === 'new number 1999'",
            )
            .as_bool()
            .filter(|there| *there)
    });
    sending.join().unwrap();
    println!("the slowest answer while 2000 events came took {slowest:?}");
    // And it can be worked with.
    let watch = Stopwatch::start();
    browser.tab_to("#live-clear");
    browser.keys(ENTER);
    browser.wait("document.querySelectorAll('#live-rows tr').length === 0");
    println!("cleared by keyboard after {:?}", watch.elapsed());
    browser.is_quiet();
    drop(browser);
    program.stop();
}
