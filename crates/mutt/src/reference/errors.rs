//! ERRORS.md, ERRORS_INTAKE.md and ERRORS_STORAGE.md: the page of every code, with what a test captured when it provoked
//! the code.

use std::path::Path;

use mutt_model::codes::{self, Code};

use super::Header;

const HEADER: Header = Header {
    title: "MUTT Error Reference",
    audience: "On-call engineers, SREs",
    related: "[Errors of the Ingestor](ERRORS_INTAKE.md), [Errors of engines and host](ERRORS_STORAGE.md), [Configuration](CONFIG.md), [Commands](CLI.md)",
    intro: "Codes of the services and of the configuration: MUTT-A Alerter, F Moog Forwarder, W Web UI, R\nRemediation, C configuration. MUTT-I (Ingestor) is in [Errors of the Ingestor](ERRORS_INTAKE.md); MUTT-S (event queue and store) and MUTT-P (program and host) are in\n[Errors of engines and host](ERRORS_STORAGE.md).\n\nEvery log line at warn or above, every HTTP error body and every non-zero exit carries one of these\ncodes. `muttctl explain CODE` prints the same page offline. The examples were captured by the tests\nthat provoke the codes; times, ids and ports are replaced.",
};

const INTAKE_HEADER: Header = Header {
    title: "MUTT Error Reference: Ingestor",
    audience: "On-call engineers, SREs, network engineers",
    related: "[Errors of the services](ERRORS.md), [Keys of the Ingestor](CONFIG_INTAKE.md), [Intake troubleshooting](../TROUBLESHOOTING_INTAKE.md)",
    intro: "MUTT-I: listeners, senders, SNMP users, MIBs. The others are in [Errors of the services](ERRORS.md) and\n[Errors of engines and host](ERRORS_STORAGE.md).",
};

const STORAGE_HEADER: Header = Header {
    title: "MUTT Error Reference: Engines and Host",
    audience: "On-call engineers, SREs, database administrators",
    related: "[Errors of the services](ERRORS.md), [Configuration of the engines](CONFIG_ENGINES.md), [Commands](CLI.md)",
    intro: "MUTT-S: event queue and store, embedded or on Redis and PostgreSQL. MUTT-P: the program and its host. The\nothers are in [Errors of the services](ERRORS.md).",
};

pub(super) fn page(examples: &Path, date: &str) -> String {
    HEADER.render(date) + &entries(examples, |code| !of_storage(code) && !of_intake(code))
}

pub(super) fn intake_page(examples: &Path, date: &str) -> String {
    INTAKE_HEADER.render(date) + &entries(examples, of_intake)
}

/// Whether the code is one of the Ingestor, by its letter.
fn of_intake(code: &Code) -> bool {
    code.id.starts_with("MUTT-I")
}

pub(super) fn storage_page(examples: &Path, date: &str) -> String {
    STORAGE_HEADER.render(date) + &entries(examples, of_storage)
}

/// Whether the code is one of the engines or the host, by its letter.
fn of_storage(code: &Code) -> bool {
    ["MUTT-S", "MUTT-P"].iter().any(|letter| code.id.starts_with(letter))
}

fn entries(examples: &Path, wanted: fn(&Code) -> bool) -> String {
    codes::all().filter(|code| wanted(code)).map(|code| entry(code, examples)).collect()
}

fn entry(code: &Code, examples: &Path) -> String {
    let mut text = format!("\n## {}: {}\n\n{}\n", code.id, code.title, code.means);
    if let Ok(example) = std::fs::read_to_string(examples.join(format!("{}.txt", code.id))) {
        text += &format!("\n**What is seen**\n\n```text\n{}\n```\n", example.trim_end());
    }
    for (heading, lines) in
        [("Likely causes", code.causes), ("Check", code.check), ("Fix", code.fix)]
    {
        text += &format!("\n**{heading}**\n\n");
        for line in lines {
            let command = line.starts_with("muttctl ") && !line.contains(": ");
            text += &if command { format!("- `{line}`\n") } else { format!("- {line}\n") };
        }
    }
    text
}
