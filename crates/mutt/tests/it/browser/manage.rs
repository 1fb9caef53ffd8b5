//! What people who run MUTT do on its pages: settings with history and rollback, hosts and teams, holds,
//! processes; and what the slower of two people at one thing is shown.

use serde_json::{Value, json};

use super::driver::Browser;
use super::signed_in;
use crate::support::{Program, Setup, until};

#[test]
fn a_setting_of_one_session_is_live_and_another_rolls_it_back() {
    let setup = Setup::new();
    let program = setup.start();
    let Some(mut one) = signed_in(&program) else { return };
    one.follow("#nav-settings");
    assert!(one.text("#settings-version").ends_with('0'));
    one.follow("#settings a[href='/settings/log.level']");
    one.tab_to("#f-value");
    one.retype("loud");
    one.fill("#set-reason", "a look");
    one.follow("#set");
    // What is wrong is said at the field; what was typed is kept.
    let said = one.value("document.getElementById(document.querySelector('#f-value').getAttribute('aria-describedby').split(' ')[1]).innerText");
    assert!(said.as_str().unwrap().contains("loud"), "{said}");
    assert_eq!(one.value("document.querySelector('#set-reason').value"), "a look");
    set(&mut one, "debug", "");
    assert_eq!(one.text("#key-value"), "debug");
    until("a line at debug", || program.log().contains("\"DEBUG\"").then_some(()));

    // Somebody else sees it, and two write at once.
    let Some(mut other) = signed_in(&program) else { return };
    other.open("/settings/log.level");
    assert_eq!(other.text("#key-value"), "debug");
    assert!(other.text("#key-changes").contains("a look"));
    set(&mut one, "warn", "enough of it");
    other.tab_to("#f-value");
    other.retype("error");
    other.follow("#set");
    let problem = other.text("#problem");
    for words in ["You looked at version 1", "version 2 is in force", "`warn` by admin", "enough"] {
        assert!(problem.contains(words), "{words} in {problem}");
    }
    assert_eq!(other.value("document.querySelector('#f-value').value"), "error");
    assert_eq!(program.api().get("/api/v2/config/log.level")["value"], "warn");

    other.follow("#nav-settings");
    other.follow("#settings-history");
    other.follow("#versions tr[data-id='1'] a");
    let diff = other.text("#diff");
    assert!(
        diff.contains("log.level") && diff.contains("warn") && diff.contains("debug"),
        "{diff}"
    );
    other.fill("#rollback-reason", "not enough after all");
    other.follow("#rollback");
    let newest = other.text("#versions tbody tr");
    assert!(newest.contains("back to version 1") && newest.contains("not enough"), "{newest}");
    assert_eq!(program.api().get("/api/v2/config/log.level")["value"], "debug");
    every_process_runs_with(&mut other, &program, 3);
    drop((one, other));
    program.stop();
}

/// Types a value into the field of a key's page and sets it.
#[track_caller]
fn set(browser: &mut Browser, value: &str, reason: &str) {
    browser.tab_to("#f-value");
    browser.retype(value);
    if !reason.is_empty() {
        browser.fill("#set-reason", reason);
    }
    browser.follow("#set");
    assert!(browser.text("#done").starts_with("The setting is in force"));
}

/// The page of processes shows who runs with which version.
fn every_process_runs_with(browser: &mut Browser, program: &Program, version: i64) {
    until("the process reports the version", || {
        let list = program.api().get("/api/v2/processes");
        (list["items"][0]["settings"] == version).then_some(())
    });
    browser.follow("#nav-processes");
    assert_eq!(browser.text("#settings-version"), version.to_string());
    let rows = browser.text("#processes tbody");
    let services = "alerter, ingestor, moog-forwarder, remediation, web-ui";
    assert!(rows.contains("live") && rows.contains(services) && !rows.contains("behind"), "{rows}");
}

#[test]
fn hosts_teams_and_holds_are_kept_by_keyboard_and_logged() {
    let setup = Setup::new();
    let program = setup.start();
    let Some(mut browser) = signed_in(&program) else { return };
    let browser = &mut browser;
    browser.follow("#nav-rules");
    browser.follow("#rule-hosts");
    browser.fill("#dev-host", "LAB-1");
    browser.fill("#dev-reason", "the new rack");
    browser.follow("#dev-add-button");
    assert_eq!(browser.text("#dev-hosts"), "lab-1");
    browser.follow("#dev-hosts a");
    browser.tab_to("#host-value");
    browser.retype("lab-2");
    browser.fill("#host-reason", "it was renamed");
    browser.follow("#host-save");
    assert_eq!(browser.text("#dev-hosts"), "lab-2");
    browser.fill("#team-host", "edge-r1");
    browser.fill("#team-team", "Core");
    browser.follow("#team-add-button");

    // Two at one team: the second is shown both, and decides.
    browser.follow("#teams a");
    let other = json!({"team_assignment": "Edge", "reason": "the night shift"});
    assert_eq!(
        program.api().call("PUT", "/api/v2/teams/edge-r1", Some(&other)).unwrap().status,
        200
    );
    browser.tab_to("#host-value");
    browser.retype("Lab");
    browser.follow("#host-save");
    assert!(browser.text("#problem").contains("the night shift"));
    let both = browser.text("#conflict tbody");
    assert!(both.contains("Lab") && both.contains("Edge"), "{both}");
    browser.fill("#host-reason", "agreed by telephone");
    browser.follow("#host-save");
    assert!(browser.text("#teams").contains("Lab"));

    browser.follow("#nav-retention");
    browser.fill("#hold-host", "edge-r1");
    browser.fill("#hold-since", "2026-01-31T08:00Z");
    browser.fill("#hold-reason", "case 12");
    browser.follow("#hold");
    assert!(browser.text("#holds").contains("case 12"));
    browser.fill("#release-reason-1", "the case is closed");
    browser.follow("#release-1");
    assert!(browser.text("#done").starts_with("The hold is released"));
    assert_eq!(browser.value("document.querySelector('#holds')"), Value::Null);

    browser.follow("#nav-changes");
    let changes = browser.text("#changes");
    for reason in
        ["the new rack", "it was renamed", "agreed by telephone", "case 12", "the case is closed"]
    {
        assert!(changes.contains(reason), "{reason} in {changes}");
    }
    program.stop();
}

#[test]
fn the_slower_of_two_at_one_rule_sees_both_versions() {
    let setup = Setup::new();
    let program = setup.start();
    let mut api = program.api();
    let rule = json!({"name": "Fans", "match_string": "FAN", "priority": 10, "prod_handling": "Page_only", "dev_handling": "Ignore"});
    let id = api.post("/api/v2/rules", &rule)["id"].clone();
    let Some(mut browser) = signed_in(&program) else { return };
    browser.open(&format!("/rules/{id}"));
    let other = json!({"priority": 20, "reason": "the night shift"});
    let path = format!("/api/v2/rules/{id}");
    assert_eq!(api.call("PATCH", &path, Some(&other)).unwrap().status, 200);
    browser.tab_to("#f-priority");
    browser.retype("30");
    browser.follow("#save");
    assert!(browser.text("#problem").contains("the night shift"), "{}", browser.text("#problem"));
    let both = browser.text("#conflict tbody");
    assert!(both.contains("priority") && both.contains("30") && both.contains("20"), "{both}");
    assert_eq!(api.get(&path)["priority"], 20, "nothing was overwritten");
    browser.fill("#rule-reason", "agreed by telephone");
    browser.follow("#save");
    assert!(browser.text("#done").starts_with("The rule is changed"));
    assert_eq!(api.get(&path)["priority"], 30);
    drop(browser);
    program.stop();
}

#[test]
fn a_mib_is_taken_from_a_file_and_what_is_none_is_told() {
    let setup = Setup::new();
    let program = setup.start();
    let Some(mut browser) = signed_in(&program) else { return };
    let mut choose = |octets: &[u8], name: &str| {
        browser.open("/mibs");
        browser.eval(&format!(
            "const t = new DataTransfer(); t.items.add(new File([new Uint8Array({octets:?})], {name:?}));\
             const f = document.getElementById('mib-file'); f.files = t.files; f.dispatchEvent(new Event('change'))"
        ));
        browser.wait("document.querySelector('#mib-text').value !== ''");
        browser.follow("#mib-upload");
        (browser.text("#done"), browser.text("#mibs"))
    };
    // Latin-1, as a vendor's editor wrote it.
    let mib = "ACME-MIB DEFINITIONS ::= BEGIN -- caf\u{e9}\nIMPORTS enterprises FROM SNMPv2-SMI;\n\
        acme OBJECT IDENTIFIER ::= { enterprises 32473 }\nEND\n";
    let latin: Vec<u8> = mib.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let (done, mibs) = choose(&latin, "ACME MIB.txt");
    assert!(done.contains("in force") && mibs.contains("ACME_MIB.txt"), "{done} {mibs}");
    let (done, mibs) = choose(b"a letter", "letter.txt");
    assert!(done.contains("no module begins") && mibs.contains("letter.txt"), "{done} {mibs}");
    drop(browser);
    program.stop();
}
