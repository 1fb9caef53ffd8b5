//! What each service logs at a healthy start stands in SERVICE_OPERATIONS, and is what it logs.

use serde_json::Value;

use crate::docs;
use crate::support::site::SERVICES;
use crate::support::{Program, Setup, Site, until};

/// The lines that the document shows below its heading, as JSON.
fn shown() -> Vec<Value> {
    let text = docs::read("docs/operations/SERVICE_OPERATIONS.md");
    let (_, section) = text.split_once("### The log of a healthy start").expect("the heading");
    let block = section.split("```").nth(1).expect("a block");
    let lines = block.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the program has logged this line.
#[track_caller]
fn logs(program: &Program, line: &Value) {
    let fits = |logged: &Value| {
        ["level", "message", "service"].iter().all(|field| logged[field] == line[field])
    };
    until(&format!("the line {line}"), || {
        let log = program.log();
        let logged = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        logged.into_iter().any(|logged: Value| fits(&logged)).then_some(())
    });
}

fn warns_of_nothing(log: &str, whose: &str) {
    let warned = log.lines().find(|l| l.contains("\"WARN\"") || l.contains("\"ERROR\""));
    assert_eq!(warned, None, "{whose}");
}

#[test]
fn each_service_logs_what_the_document_shows_and_no_warning() {
    let lines = shown();
    let of = |service: &str| lines.iter().filter(|l| l["service"] == service).count();
    assert!(SERVICES.iter().all(|service| of(service) == 1) && lines.len() == 5, "{lines:?}");
    let mut site = Site::new();
    site.start_all(&SERVICES);
    site.ready();
    for line in &lines {
        logs(site.program(line["service"].as_str().unwrap()), line);
    }
    for service in SERVICES {
        warns_of_nothing(&site.stop(service), service);
    }
}

#[test]
fn one_process_logs_a_line_for_each_of_its_services_and_no_warning() {
    let program = Setup::new().start();
    for line in shown() {
        logs(&program, &line);
    }
    warns_of_nothing(&program.stop().log, "all in one");
}
