//! Text from devices is text: whatever it holds, it is seen and does nothing.

use std::net::UdpSocket;

use mutt_wire::snmp::encode::{Value as Varbind, inform_v2c};
use serde_json::{Value, json};

use super::signed_in;
use crate::support::{Setup, until};

/// What acts when it is taken for something else than text.
const TEXTS: [&str; 7] = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=\"window.pwned=2\">",
    "'\"><svg onload=window.pwned=3>",
    "{{ 7*7 }} {% raw %} javascript:window.pwned=4",
    "</textarea></title></pre><iframe srcdoc='<script>parent.pwned=5</script>'>",
    "\u{1b}[31mred\u{1b}[2J\u{1b}]0;title\u{7}",
    "invoice\u{202e}fdp.exe",
];

/// What people see of the last two.
const SIGNS: [&str; 2] = ["ESC[31mredESC[2JESC]0;titleBEL", "invoiceU+202Efdp.exe"];

fn wanted() -> Vec<String> {
    TEXTS[..5].iter().chain(&SIGNS).map(|text| (*text).to_owned()).collect()
}

#[test]
fn text_from_devices_is_inert() {
    let mut setup = Setup::new();
    setup.webhook("hook", "http://127.0.0.1:9/", "retry_for = \"1s\"");
    let program = setup.start();
    let mut api = program.api();
    let mut rule =
        |text: &str, at: usize| {
            api.post("/api/v2/rules", &json!({
            "name": text, "match_string": format!("hostile {at};"), "match_type": "contains",
            "priority": 1, "prod_handling": "Page_only", "dev_handling": "Ignore",
            "problem": text, "description": text, "team_assignment": text, "resource": text,
        }))["id"].clone()
        };
    let rules: Vec<Value> = TEXTS.iter().enumerate().map(|(at, text)| rule(text, at)).collect();
    let Some(mut browser) = signed_in(&program) else { return };
    // The live page is there before the events, so that its script draws them.
    browser.open("/live");
    browser.wait("document.body.dataset.live === 'connected'");
    let record = |(at, text): (usize, &&str)| json!({"hostname": text, "severity": 2, "program": text, "message": format!("hostile {at}; {text}"), "more": {*text: text}});
    let body = Value::from_iter(TEXTS.iter().enumerate().map(record)).to_string();
    assert_eq!(program.ingest(&[], &body).status, 200);
    trap(&program);
    until("all are judged", || (program.api().ledger().events.audited == 8).then_some(()));
    browser.wait("document.querySelectorAll('#live-rows tr').length >= 8");

    let mut pages: Vec<String> = [
        "/live",
        "/events",
        "/",
        "/alerts",
        "/rules",
        "/changes",
        "/deliveries?state=pending",
        "/lanes",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    let list = |path: &str| program.api().get(path)["items"].as_array().unwrap().clone();
    for (place, items) in [("events", list("/api/v2/events")), ("alerts", list("/api/v2/alerts"))] {
        let ids = items.iter().map(|item| item["id"].as_str().unwrap());
        pages.extend(ids.map(|id| format!("/{place}/{id}")));
    }
    pages.extend(rules.iter().map(|id| format!("/rules/{id}")));
    let mut shown = String::new();
    for (at, page) in pages.iter().enumerate() {
        // The first is there already, as its script drew it.
        if at > 0 {
            browser.open(page);
        }
        let state = browser.eval("return [typeof window.pwned, document.querySelectorAll('img, iframe, body script, svg[onload]').length, document.querySelector('main').innerText];");
        assert_eq!((&state[0], &state[1]), (&json!("undefined"), &json!(0)), "{page}");
        let text = state[2].as_str().unwrap();
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        assert_eq!(text.find(acts), None, "{page}: {text:?}");
        if matches!(page.as_str(), "/live" | "/events" | "/alerts" | "/rules") {
            for wanted in wanted() {
                assert!(text.contains(&wanted), "{wanted} on {page}: {text}");
            }
        }
        shown.push_str(text);
    }
    assert!(shown.contains("varbind <script>window.pwned=6</script>"), "{shown}");
    browser.is_quiet();

    // The alarm rings: a script in the page is refused by its policy, and the console says so.
    browser.eval("const made = document.createElement('script'); made.textContent = 'window.pwned = 7'; document.body.append(made);");
    assert_eq!(browser.value("typeof window.pwned"), "undefined");
    let said = browser.console().join("\n");
    assert!(said.contains("Content Security Policy"), "{said}");
    drop(browser);
    program.stop();
}

/// An inform whose varbind holds a script.
fn trap(program: &crate::support::Program) {
    let text = b"varbind <script>window.pwned=6</script>".to_vec();
    let varbinds = [("1.3.6.1.2.1.31.1.1.1.18.12", Varbind::Octets(text))];
    let pdu = inform_v2c(b"public", 7, 4_200, "1.3.6.1.6.3.1.1.5.3", &varbinds).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&pdu, program.snmp()).unwrap();
}
