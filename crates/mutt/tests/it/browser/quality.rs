//! Every page: nothing on the console, nothing from elsewhere, both themes, each control reached by Tab
//! with a focus that is seen and a name that is read out, and nothing wider than a telephone.

use serde_json::{Value, json};

use super::driver::{Browser, ENTER, TAB};
use super::signed_in;
use crate::support::{Program, Receiver, Reply, Setup, until};

/// A program that has something on each page; the pages.
fn world() -> (Receiver, Program, Vec<String>) {
    let receiver = Receiver::answering(Reply::status(400));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "probe_interval = \"200ms\"");
    let program = setup.start();
    let records: Vec<Value> = (0..12)
        .map(|n| json!({"hostname": format!("edge-r{n}"), "severity": n % 8, "message": format!("%LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to down")}))
        .collect();
    assert_eq!(program.ingest(&[], &Value::from(records).to_string()).status, 200);
    until("dead letters", || (program.api().ledger().deliveries.dead == 12).then_some(()));
    let mut api = program.api();
    api.post("/api/v2/rules", &json!({"name": "Fans", "match_string": "FAN", "match_type": "contains", "priority": 10, "prod_handling": "Page_only", "dev_handling": "Ignore"}));
    api.post("/api/v2/dev-hosts", &json!({"hostname": "lab-1"}));
    api.post("/api/v2/teams", &json!({"hostname": "edge-r1", "team": "Core"}));
    api.post("/api/v2/holds", &json!({"host": "edge-r1", "reason": "case 12"}));
    for (status, value, reason) in [(201, "debug", "a look"), (200, "info", "enough")] {
        let body = json!({"value": value, "reason": reason});
        let answer = api.call("PUT", "/api/v2/config/log.level", Some(&body)).unwrap();
        assert_eq!(answer.status, status);
    }
    let source = until("a source", || {
        api.get("/api/v2/sources")["items"][0]["id"].as_str().map(ToOwned::to_owned)
    });
    let mib = json!({"name": "letter.txt", "text": "no MIB"});
    api.post("/api/v2/mibs", &mib);
    let mut first = |path: &str| {
        let id = api.get(&format!("/api/v2/{path}"))["items"][0]["id"].clone();
        format!("/{path}/{}", id.to_string().trim_matches('"'))
    };
    let mut pages: Vec<String> = [
        "/",
        "/live",
        "/alerts",
        "/events",
        "/rules",
        "/rules/new",
        "/rules/test",
        "/deliveries",
        "/lanes",
        "/changes",
        "/hosts",
        "/hosts/dev/lab-1",
        "/hosts/team/edge-r1",
        "/settings",
        "/settings?apply=restart",
        "/settings/log.level",
        "/settings/history",
        "/settings/versions/1",
        "/processes",
        "/retention",
        "/sources",
        "/mibs",
        "/sign-in",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    pages.push(format!("/sources/{source}"));
    pages.extend(["alerts", "events", "rules", "deliveries"].map(&mut first));
    (receiver, program, pages)
}

fn scheme(browser: &mut Browser, name: &str) {
    let features = json!({"features": [{"name": "prefers-color-scheme", "value": name}]});
    browser.devtools("Emulation.setEmulatedMedia", &features);
}

fn size(browser: &mut Browser, width: u32, height: u32) {
    let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", &size);
}

/// How bright what lies behind everything is, 0 to 255.
fn brightness(browser: &mut Browser) -> u64 {
    let sum = browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)");
    sum.as_u64().unwrap() / 3
}

/// What makes a page wider than the screen: it must be scrolled inside its own part.
const WIDE: &str = "
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('body *')]
        .filter((one) => one.getBoundingClientRect().right > innerWidth)
        .map((one) => one.outerHTML.slice(0, 120));";

#[test]
fn every_page_is_quiet_and_has_two_themes() {
    let (_receiver, program, pages) = world();
    let Some(mut browser) = signed_in(&program) else { return };
    for page in &pages {
        browser.open(page);
        browser.wait("document.readyState === 'complete'");
        let policy = browser.eval("return fetch(location.href).then((answer) => answer.headers.get('content-security-policy'));");
        let policy = policy.as_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        scheme(&mut browser, "dark");
        let (dark, night) = (browser.picture(), brightness(&mut browser));
        scheme(&mut browser, "light");
        let (light, day) = (browser.picture(), brightness(&mut browser));
        assert!(dark != light && night < 60 && day > 200, "{page}: {night} and {day}");
        // Where little fits side by side, the page does not get wider than the screen.
        size(&mut browser, 420, 900);
        assert_eq!(browser.eval(WIDE), json!([]), "{page} is wider than 420 pixels");
        browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
    }
    browser.is_quiet();
    // A theme that was chosen stays, whatever the system says.
    browser.open("/rules");
    browser.tab_to("#theme");
    browser.keys(ENTER);
    assert_eq!(browser.text("#theme-name"), "dark");
    browser.open("/lanes");
    assert!(brightness(&mut browser) < 60);
    // What does not exist is said as a page, with its code.
    browser.open("/alerts/no-such-alert");
    assert!(browser.text(".door").contains("MUTT-"));
    drop(browser);
    program.stop();
}

/// Everything that can be worked with and is seen, marked in the page's order; each gets its number.
const MARK: &str = "
    const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')];
    const seen = all.filter((one) => one.type !== 'hidden' && !one.disabled && one.checkVisibility());
    seen.forEach((one, at) => { one.dataset.at = at; });
    window.reached = [];
    document.addEventListener('focusin', ({target}) => {
        const style = getComputedStyle(target);
        const box = target.getBoundingClientRect();
        window.reached.push({
            at: target.dataset.at ?? null,
            what: target.outerHTML.slice(0, 120),
            outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
            shown: box.width > 4 && box.height > 4 && box.bottom > 0 && box.top < innerHeight
                && box.right > 0 && box.left < innerWidth,
        });
    });
    return seen.map((one) => one.outerHTML.slice(0, 120));";

#[test]
fn every_control_is_reached_by_tab_and_has_a_name() {
    let (_receiver, program, pages) = world();
    let Some(mut browser) = signed_in(&program) else { return };
    for page in &pages {
        browser.open(page);
        browser.wait("document.readyState === 'complete'");
        // A page that draws itself anew would take the marks away.
        browser.eval("document.getElementById('refresh')?.click();");
        let all = browser.eval(MARK);
        let all = all.as_array().unwrap();
        browser.keys(&TAB.repeat(all.len() + 3));
        let reached = browser.value("window.reached");
        let reached = reached.as_array().unwrap();
        for (at, what) in all.iter().enumerate() {
            let found = reached.iter().find(|one| one["at"].as_str() == Some(&at.to_string()));
            let found = found.unwrap_or_else(|| panic!("{what} on {page} is not reached by Tab"));
            assert!(found["outline"].as_f64().unwrap() >= 2.0, "no focus is seen: {found}");
            assert_eq!(found["shown"], true, "what has the focus is not seen: {found}");
        }
        let names = browser.names("[data-at]");
        assert_eq!(names.len(), all.len());
        for (name, what) in names.iter().zip(all) {
            assert!(!name.trim().is_empty(), "{what} on {page} has no name");
        }
    }
    drop(browser);
    program.stop();
}
