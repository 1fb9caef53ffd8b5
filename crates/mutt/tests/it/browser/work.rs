//! What people on call do, from the sign-in to the released lane, by keyboard alone.

use super::driver::{Browser, ENTER, SPACE, TAB};
use super::sign_in;
use crate::support::{Receiver, Reply, Setup, until};

const DOWN: &str = r#"{"hostname":"edge-r1","severity":3,"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"}"#;

#[test]
fn the_work_of_a_shift_is_done_by_keyboard_alone() {
    let receiver = Receiver::answering(Reply::status(400));
    let mut setup = Setup::new();
    setup.webhook("hook", &receiver.url(), "probe_interval = \"200ms\"");
    let program = setup.start();
    assert_eq!(program.ingest(&[], DOWN).status, 200);
    until("a dead letter", || (program.api().ledger().deliveries.dead == 1).then_some(()));
    let Some(mut browser) = Browser::start(program.pages()) else { return };
    let browser = &mut browser;

    browser.open("/events?host=edge-r1");
    browser.wait("location.pathname === '/sign-in'");
    sign_in(browser, "not-the-token");
    assert_eq!(browser.text("#problem"), "This token is not known.");
    sign_in(browser, &program.admin_token());
    browser.wait("location.pathname + location.search === '/events?host=edge-r1'");

    read_the_life_of_an_event(browser);
    write_a_rule_and_try_it(browser);
    replay_a_dead_letter(browser, &receiver);
    act_on_an_alert(browser);
    hold_and_release_a_lane(browser);
    say_why(browser);

    browser.follow("#sign-out");
    browser.open("/rules");
    browser.wait("location.pathname === '/sign-in'");
    program.stop();
}

fn read_the_life_of_an_event(browser: &mut Browser) {
    browser.follow("#nav-events");
    browser.fill("#search-q", "CHANGED state");
    browser.enter();
    assert_eq!(browser.value("document.querySelectorAll('#events tbody tr').length"), 1);
    browser.follow("#events tbody a");
    assert!(browser.text("#event-message").ends_with("changed state to down"));
    assert_eq!(browser.text("#event-decision"), "Page_and_ticket");
    assert_eq!(browser.text("#tried .winner .badge"), "wins");
    // The life goes on to the alert, the delivery, and what the sink said.
    let lineage = browser.text("#event-deliveries");
    assert!(lineage.contains("hook") && lineage.contains("dead"), "{lineage}");
    browser.tab_to("#event-raw");
    let raw = browser.text("#event-raw");
    assert!(raw.starts_with("000000  7b 22 68 6f 73 74") && raw.contains("{\"hostname\""), "{raw}");
    browser.tab_to("summary");
    browser.keys(ENTER);
    browser.wait("document.querySelector('#event-json').offsetHeight > 0");
    assert!(browser.text("#event-json").contains("\"raw_base64\""));
}

fn write_a_rule_and_try_it(browser: &mut Browser) {
    browser.follow("#nav-rules");
    browser.follow("#rule-new");
    browser.fill("#f-name", "Fans");
    browser.fill("#f-match_string", "FAN-2-FAILED");
    browser.fill("#f-priority", "x");
    browser.follow("#save");
    // What is wrong is said, and what was typed is kept.
    assert!(browser.text("#problem").contains("priority"), "{}", browser.text("#problem"));
    browser.tab_to("#f-name");
    assert_eq!(browser.value("document.activeElement.value"), "Fans");
    browser.tab_to("#f-priority");
    browser.retype("3");
    browser.fill("#f-prod_handling", "Page only");
    browser.fill("#rule-reason", "fans fail in rack 12");
    browser.follow("#save");
    assert!(browser.text("#done").starts_with("The rule is created"));
    let heading = browser.text("h1");
    let rule = heading.strip_prefix("Rule ").unwrap();

    browser.follow("#nav-rules");
    browser.follow("#rule-test");
    browser.tab_to("#sample");
    browser.retype("%ENVMON-FAN-2-FAILED: tray 2 stands still");
    browser.follow("#run-test");
    let result = browser.text(".result");
    assert!(result.starts_with("Page_only"), "{result}");
    assert!(result.contains(&format!("by rule {rule}")), "{result}");
}

fn replay_a_dead_letter(browser: &mut Browser, receiver: &Receiver) {
    browser.follow("#nav-deliveries");
    browser.follow("#deliveries tbody a");
    assert!(browser.text("#delivery-state").contains("dead"));
    assert!(browser.text("#attempts").contains("400"));
    receiver.now_answers(Reply::status(200));
    browser.fill("#replay-reason", "the receiver was mended");
    browser.follow("#replay");
    assert!(browser.text("#done").starts_with("The delivery waits"));
    until("the letter arrives", || (receiver.count() == 2).then_some(()));
    until("it is known to have arrived", || {
        browser.follow("#nav-deliveries");
        browser.follow("#tab-delivered");
        browser
            .value("document.querySelectorAll('#deliveries tbody a').length > 0")
            .as_bool()
            .filter(|found| *found)
    });
}

fn act_on_an_alert(browser: &mut Browser) {
    browser.follow("#nav-alerts");
    browser.follow("#alerts tbody a");
    browser.fill("#ack-reason", "mine");
    browser.follow("#acknowledge");
    assert!(browser.text("#alert-acknowledged").starts_with("admin"));
    browser.fill("#note-text", "Carrier informed, ticket 4711");
    browser.enter();
    assert!(browser.text("#timeline").contains("Carrier informed, ticket 4711"));
    browser.follow("#clear");
    assert!(browser.text("#alert-cleared").starts_with("admin"));
    assert_eq!(browser.text(".headline .badge"), "cleared");
    browser.follow("#nav-alerts");
    assert_eq!(browser.value("document.querySelectorAll('#alerts tbody a').length"), 0);
}

fn hold_and_release_a_lane(browser: &mut Browser) {
    browser.follow("#nav-lanes");
    browser.tab_to("#lane-hook form[action$='/hold'] input");
    browser.keys("maintenance until noon");
    browser.keys(TAB);
    browser.enter();
    let lane = browser.text("#lane-hook");
    assert!(lane.contains("held by hand") && lane.contains("maintenance until noon"), "{lane}");
    browser.tab_to("#release-hook");
    // Space presses a button too.
    browser.eval("window.before = true;");
    browser.keys(SPACE);
    browser.wait("!window.before && document.readyState === 'complete'");
    assert!(browser.text("#lane-hook").contains("running"));
}

/// Everything that was changed stands in the log, with its reason.
fn say_why(browser: &mut Browser) {
    browser.follow("#nav-changes");
    let changes = browser.text("#changes");
    for reason in ["fans fail in rack 12", "the receiver was mended", "maintenance until noon"] {
        assert!(changes.contains(reason), "{reason} in {changes}");
    }
}
