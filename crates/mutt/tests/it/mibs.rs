//! MIBs end to end: dropped in a folder, uploaded, deleted, broken and hostile ones; real traps get the
//! names. What `muttctl mib` says of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::provoked::provoked;
use crate::support::{Program, Setup, tools, until};

/// MUTT's own examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/mibs")
}

fn drop_in(folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(examples().join(name), folder.join(name)).unwrap();
}

/// A fan of tray 3 fails.
fn send_fan_trap(program: &Program) -> bool {
    let Some(snmptrap) = tools::find("snmptrap") else { return false };
    let mut command = Command::new(snmptrap);
    command.args(["-v", "2c", "-c", "public", &program.snmp().to_string(), "4711"]);
    command.arg("1.3.6.1.4.1.32473.2.1.0.1");
    let column = |column: u32| format!("1.3.6.1.4.1.32473.2.1.1.1.1.{column}.3.2.109.49");
    for (of, kind, value) in [
        (3, "i", "7"),
        (4, "i", "815"),
        (5, "x", "c040"),
        (6, "x", "001bff010203"),
        (8, "i", "1"),
        (9, "x", "c0000209"),
    ] {
        command.args([&column(of), kind, value]);
    }
    command.args(["1.3.6.1.4.1.32473.8.1", "o", "1.3.6.1.4.1.32473.2.1.1.1.1.3.3.2.109.49"]);
    tools::run(&mut command);
    true
}

const NAMED: &str = "acmeFanFailed acmeFanState.3.\"m1\"=broken(7) acmeFanTemp.3.\"m1\"=81.5(815) \
    acmeFanAlarms.3.\"m1\"=tooSlow,tooWarm,noPower(0xc040) acmeFanMac.3.\"m1\"=00:1b:ff:01:02:03 \
    acmeFanPeerType.3.\"m1\"=ipv4(1) acmeFanPeer.3.\"m1\"=192.0.2.9 \
    1.3.6.1.4.1.32473.8.1=acmeFanState.3.\"m1\"";

fn is_loaded(program: &Program, times: usize) {
    until("the MIBs", || (program.log().matches("MIBs: ").count() >= times).then_some(()));
}

#[test]
fn a_mib_dropped_in_the_folder_names_the_next_trap_after_sighup() {
    let program = Setup::new().start();
    if !send_fan_trap(&program) {
        return;
    }
    let event = &program.events("q=32473", 1)[0];
    assert_eq!(event["trap_name"], Value::Null);
    assert_eq!(event["parse"]["status"], "ok");
    assert_eq!(
        event["parse"]["notes"],
        json!(["mib missing: 1.3.6.1.4.1.32473.2.1.0.1 and 7 more"])
    );
    let folder = program.data_dir().join("mibs");
    drop_in(&folder, "ACME-SMI.mib");
    drop_in(&folder, "ACME-FAN-MIB.mib");
    let mut program = program;
    program.process().signal(Signal::SIGHUP);
    is_loaded(&program, 1);
    send_fan_trap(&program);
    let event = &program.events("q=acmeFanFailed", 1)[0];
    assert_eq!(event["trap_name"], "acmeFanFailed");
    assert_eq!(event["message"], NAMED);
    let state = &event["varbinds"][2];
    assert_eq!(
        *state,
        json!({"oid": "1.3.6.1.4.1.32473.2.1.1.1.1.3.3.2.109.49", "name": "acmeFanState.3.\"m1\"",
            "type": "INTEGER", "value": 7, "label": "broken"})
    );
    assert!(program.data_dir().join("mibs.compiled").exists());
    // A trap that comes over HTTP has the same names.
    let trap = json!({"hostname": "h1", "trap_oid": "1.3.6.1.4.1.32473.2.1.0.1"});
    assert_eq!(program.ingest(&[], &trap.to_string()).status, 200);
    assert_eq!(program.events("host=h1", 1)[0]["trap_name"], "acmeFanFailed");
}

#[test]
fn an_upload_names_the_next_trap_and_its_deletion_takes_the_names_away() {
    let program = Setup::new().start();
    let mut api = program.api();
    for name in ["ACME-SMI.mib", "ACME-FAN-MIB.mib"] {
        let text = std::fs::read_to_string(examples().join(name)).unwrap();
        let answer =
            api.post("/api/v2/mibs", &json!({"name": name, "text": text, "reason": "fans"}));
        assert_eq!((&answer["name"], &answer["who"]), (&json!(name), &json!("admin")));
    }
    let listed = api.get("/api/v2/mibs");
    assert_eq!(listed["items"][0]["modules"], json!(["ACME-FAN-MIB"]));
    until("both uploads in force", || {
        (program.api().get("/api/v2/mibs")["loaded"]["loaded"] == 2).then_some(())
    });
    if !send_fan_trap(&program) {
        return;
    }
    assert_eq!(program.events("q=acmeFanFailed", 1)[0]["message"], NAMED);
    let gone = api.call("DELETE", "/api/v2/mibs/ACME-FAN-MIB.mib", Some(&json!({}))).unwrap();
    assert_eq!(gone.status, 204);
    until("the names gone", || {
        (program.api().get("/api/v2/mibs")["loaded"]["loaded"] == 1).then_some(())
    });
    send_fan_trap(&program);
    program.events("q=1.3.6.1.4.1.32473.2.1.0.1", 1);
    let changes = api.get("/api/v2/changes");
    let of_mibs: Vec<_> =
        changes["items"].as_array().unwrap().iter().filter(|c| c["object"] == "mib").collect();
    assert_eq!(of_mibs.len(), 3, "{changes:#}");
    assert_eq!((&of_mibs[0]["action"], &of_mibs[2]["reason"]), (&json!("delete"), &json!("fans")));
    for (body, status) in [
        (json!({"name": "../../etc/passwd", "text": "x"}), 400),
        (json!({"name": ".hidden", "text": "x"}), 400),
        (json!({"name": "empty", "text": " "}), 400),
        (json!({"name": "fans.txt.gz", "text": "x"}), 400),
        (json!({"name": "x"}), 400),
    ] {
        assert_eq!(api.call("POST", "/api/v2/mibs", Some(&body)).unwrap().status, status, "{body}");
    }
    assert_eq!(api.call("DELETE", "/api/v2/mibs/none", Some(&json!({}))).unwrap().status, 404);
}

#[test]
fn what_is_broken_costs_only_its_own_names() {
    let setup = Setup::new();
    let folder = setup.data_dir().join("mibs");
    for name in ["ACME-SMI.mib", "ACME-FAN-MIB.mib"] {
        drop_in(&folder, name);
    }
    for name in ["ACME-ORPHAN-MIB.mib", "ACME-CUT-MIB.mib", "letter.txt"] {
        std::fs::copy(examples().join("broken").join(name), folder.join(name)).unwrap();
    }
    let bomb = format!("BOMB DEFINITIONS ::= BEGIN\nx ::= {}", "{ (".repeat(200_000));
    std::fs::write(folder.join("bomb.mib"), bomb).unwrap();
    let loop_ = "LOOP DEFINITIONS ::= BEGIN IMPORTS a FROM LOOP; a OBJECT IDENTIFIER ::= { b 1 }\n\
        b OBJECT IDENTIFIER ::= { a 1 } T ::= U U ::= T END";
    std::fs::write(folder.join("loop.mib"), loop_).unwrap();
    let program = setup.start();
    is_loaded(&program, 1);
    let line = program.log().lines().find(|line| line.contains("MUTT-I061")).unwrap().to_owned();
    assert!(line.contains("2 modules loaded"), "{line}");
    if send_fan_trap(&program) {
        assert_eq!(program.events("q=acmeFanFailed", 1)[0]["message"], NAMED);
    }
}

#[test]
fn a_file_that_takes_all_memory_ends_its_own_process_and_costs_its_own_names_only() {
    let setup = Setup::new();
    let folder = setup.data_dir().join("mibs");
    std::fs::create_dir_all(&folder).unwrap();
    let deep: String =
        (0..20_000).map(|n| format!("n{} OBJECT IDENTIFIER ::= {{ n{n} 1 }}\n", n + 1)).collect();
    let deep =
        format!("DEEP DEFINITIONS ::= BEGIN\nn0 OBJECT IDENTIFIER ::= {{ iso 9 }}\n{deep}END");
    std::fs::write(folder.join("deep.mib"), deep).unwrap();
    for name in ["ACME-SMI.mib", "ACME-FAN-MIB.mib"] {
        drop_in(&folder, name);
    }
    let program = setup.start();
    // It is searched for meanwhile: numbers where a name is missing, and nothing is lost.
    if send_fan_trap(&program) {
        assert_eq!(program.events("q=32473", 1)[0]["parse"]["status"], "ok");
    }
    is_loaded(&program, 1);
    let listed = program.api().get("/api/v2/mibs");
    assert_eq!(listed["loaded"]["failed"], 1, "{listed:#}");
    assert!(listed.to_string().contains("it ends the process that compiles it"), "{listed:#}");
    if send_fan_trap(&program) {
        assert_eq!(program.events("q=acmeFanFailed", 1)[0]["message"], NAMED);
    }
}

fn muttctl(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_muttctl")).arg("mib").args(args).output().unwrap()
}

#[test]
fn check_says_what_did_not_load_and_what_to_add() {
    let folder = examples();
    let folder = folder.to_str().unwrap();
    let output = muttctl(&["check", folder, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = rows.pop().unwrap();
    let of = |name: &str| {
        let row = rows.iter().find(|row| row["module"] == name);
        row.unwrap_or_else(|| panic!("{name} is not in {text}")).clone()
    };
    for whole in ["ACME-SMI", "ACME-FAN-MIB", "ACME-WIDE-MIB", "ACME-DOS-MIB"] {
        assert_eq!(of(whole)["state"], "loaded", "{}", of(whole));
    }
    let orphan = of("ACME-ORPHAN-MIB");
    assert_eq!(orphan["state"], "failed");
    let problem = &orphan["problems"][0];
    assert_eq!(problem["line"], 5);
    assert!(problem["fix"].as_str().unwrap().contains("ACME-GONE-MIB"), "{problem}");
    assert_eq!(of("ACME-CUT-MIB")["state"], "partial");
    let letter =
        rows.iter().find(|row| row["file"].as_str().unwrap().ends_with("letter.txt")).unwrap();
    assert_eq!((&letter["state"], &letter["module"]), (&json!("failed"), &json!("")));
    let second = rows.iter().find(|row| row["state"] == "duplicate").unwrap();
    assert!(second["file"].as_str().unwrap().ends_with("ACME-SMI-copy.mib"), "{second}");
    assert_eq!(summary["summary"]["files"], 9);

    let good = format!("{folder}/ACME-SMI.mib");
    assert_eq!(muttctl(&["check", &good]).status.code(), Some(0));
    assert_eq!(muttctl(&["check", "/no/such/folder"]).status.code(), Some(2));
    let words = String::from_utf8(muttctl(&["check", folder]).stdout).unwrap();
    assert!(words.contains("-> add the file that has the module ACME-GONE-MIB"), "{words}");
}

#[test]
fn resolve_knows_both_ways() {
    let folder = examples();
    let dir = format!("--dir={}", folder.display());
    let check = |what: &str, expected: &str| {
        let output = muttctl(&["resolve", what, &dir]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.trim_end(), expected, "{what}");
    };
    check("1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.3 = linkDown (trap)");
    check(
        "ACME-FAN-MIB::acmeFanFailed",
        "1.3.6.1.4.1.32473.2.1.0.1 = ACME-FAN-MIB::acmeFanFailed (trap)",
    );
    check("acmeFanState", "1.3.6.1.4.1.32473.2.1.1.1.1.3 = ACME-FAN-MIB::acmeFanState (column)");
    check(
        "acmeFanState.3.2.109.49",
        "1.3.6.1.4.1.32473.2.1.1.1.1.3.3.2.109.49 = ACME-FAN-MIB::acmeFanState.3.\"m1\" (column)",
    );
    // AUGMENTS has the index of the row that it augments.
    check(
        "1.3.6.1.4.1.32473.2.1.1.2.1.1.3.2.109.49",
        "1.3.6.1.4.1.32473.2.1.1.2.1.1.3.2.109.49 = ACME-FAN-MIB::acmeFanMaker.3.\"m1\" (column)",
    );
    check(
        "1.3.6.1.4.1.32473.2.1.1.3.1.6.192.0.2.1.0.27.255.1.2.3.1.4.192.0.2.9.97.98",
        "1.3.6.1.4.1.32473.2.1.1.3.1.6.192.0.2.1.0.27.255.1.2.3.1.4.192.0.2.9.97.98 = \
         ACME-FAN-MIB::acmePortSpeed.192.0.2.1.00:1b:ff:01:02:03.ipv4.\"192.0.2.9\".\"ab\" (column)",
    );
    // SMIv1: a trap's OID is made of its enterprise; underscores are taken as they come.
    check(
        "1.3.6.1.4.1.32473.3.0.17",
        "1.3.6.1.4.1.32473.3.0.17 = ACME-OLD-MIB::acmeOldOverflow (trap)",
    );
    check("acme_old_level.0", "1.3.6.1.4.1.32473.3.1.0 = ACME-OLD-MIB::acme_old_level.0 (scalar)");
    check("acmeOlder", "1.3.6.1.4.1.32473.3.9 = ACME-OLDER-MIB::acmeOlder (node)");
    check("acmeWide", "1.3.6.1.4.1.32473.6 = ACME-WIDE-MIB::acmeWide (node)");
    assert_eq!(muttctl(&["resolve", "nobody", &dir]).status.code(), Some(1));
}

#[test]
fn the_codes_of_mibs_are_seen() {
    let setup = Setup::new();
    let folder = setup.data_dir().join("mibs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(examples().join("broken/letter.txt"), folder.join("letter.txt")).unwrap();
    let program = setup.start();
    let logged = |code: &str| {
        until(code, || program.log().lines().find(|line| line.contains(code)).map(str::to_owned))
    };
    provoked("MUTT-I061", &logged("MUTT-I061"));
    // A folder stands where the compiled names would go.
    let out = program.data_dir().join("mibs.compiled");
    std::fs::remove_file(&out).unwrap();
    std::fs::create_dir_all(out.join("taken")).unwrap();
    drop_in(&folder, "ACME-SMI.mib");
    let mut program = program;
    program.process().signal(Signal::SIGHUP);
    let line = until("MUTT-I060", || {
        program.log().lines().find(|line| line.contains("MUTT-I060")).map(str::to_owned)
    });
    provoked("MUTT-I060", &line);
    assert!(line.contains("tried again in"), "{line}");
    // What was in the way is gone: the names come without anybody's asking.
    std::fs::remove_dir_all(&out).unwrap();
    until("the names", || program.log().contains("1 modules loaded").then_some(()));
}
