//! DIALECTS.md: every dialect of syslog, how it is recognised, and how many facts of the lines and of the
//! corpora are right.

use mutt_wire::syslog::dialects::{ALL, Dialect};
use serde_json::Value;

use super::{Header, code, head, row};

const HEADER: Header = Header {
    title: "MUTT Syslog Dialects",
    audience: "On-call engineers, SREs, System Administrators",
    related: "[Configuration](CONFIG.md), [Metrics](METRICS.md)",
    intro: "What MUTT understands of what network devices send over syslog. A message that is of none of these\nbecomes an event all the same; its `parse.notes` say what was missing.",
};

/// What the tests of the decoder counted last; they fail when it is not what they count now.
const SCORE: &str = include_str!("../../../mutt-wire/testdata/syslog/score.json");

/// The columns: names in the score, headings.
const COLUMNS: [(&str, &str); 8] = [
    ("host", "host"),
    ("device_time", "time"),
    ("severity", "severity"),
    ("facility", "facility"),
    ("app", "app"),
    ("mnemonic", "mnemonic"),
    ("resource", "resource"),
    ("fields", "fields"),
];

/// The columns of the oracle: it knows no fields, and says what the message is.
const SYSTEMS: [(&str, &str); 8] = [
    ("host", "host"),
    ("device_time", "time"),
    ("severity", "severity"),
    ("facility", "facility"),
    ("app", "app"),
    ("mnemonic", "mnemonic"),
    ("resource", "resource"),
    ("message", "message"),
];

pub(super) fn page(date: &str) -> String {
    let score: Value = serde_json::from_str(SCORE).unwrap_or_default();
    let mut text = HEADER.render(date);
    text += "\n## Dialects\n\nThe name stands in an event's `parse.format`. The event page and `muttctl events show` show it, and the\nfields.\n";
    text += &head(&["format", "vendor", "devices or programs", "recognised by"]);
    for dialect in ALL {
        let Dialect { format, vendor, product, recognised } = *dialect;
        text += &row(&[&code(format), vendor, product, recognised]);
    }
    text += "\n## What is filled\n\nLines in the shapes that the vendors' documents print, and of each fact that the documents state how\nmany times the decoder gives it: `3/3` is three of three. A dash: the dialect does not say it, or no\nline states it. PRI gives severity and facility of every dialect.\n";
    text += &table("lines", "format", ALL.iter().map(|d| d.format), &score["lines"], &COLUMNS);
    text += "\n## Corpora of others\n\nDevice lines of napalm-logs with what their authors say they mean, by operating system.\n";
    let named = |part: &'static str| -> Vec<String> {
        score[part].as_object().map(|rows| rows.keys().cloned().collect()).unwrap_or_default()
    };
    let systems = named("napalm-logs");
    let names = systems.iter().map(String::as_str);
    text += &table("cases", "system", names, &score["napalm-logs"], &SYSTEMS);
    text += "\nCaptured datagrams. No one says what they mean: counted is whether the priority that stands in them was\nread, and whether the message is whole.\n";
    let captures = named("pcap");
    let columns = [("severity", "severity"), ("facility", "facility"), ("message", "message")];
    let names = captures.iter().map(String::as_str);
    text += &table("datagrams", "capture", names, &score["pcap"], &columns);
    text += "\nThe corpora do not come with MUTT. Where they lie beside the project, its tests compare these figures;\nwhere they do not, the tests say that they skip.\n";
    text
}

/// A row for each name that has lines.
fn table<'n>(
    lines: &str,
    first: &str,
    names: impl Iterator<Item = &'n str>,
    score: &Value,
    columns: &[(&str, &str)],
) -> String {
    let mut headings = vec![first, lines];
    headings.extend(columns.iter().map(|(_, heading)| *heading));
    let mut text = head(&headings);
    for name in names {
        let Some(count) = score[name][lines].as_u64() else { continue };
        let mut cells = vec![code(name), count.to_string()];
        cells.extend(columns.iter().map(|(column, _)| {
            let of = &score[name][*column];
            match (of[0].as_u64(), of[1].as_u64()) {
                (Some(right), Some(wanted)) => format!("{right}/{wanted}"),
                _ => "–".to_owned(),
            }
        }));
        text += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}
