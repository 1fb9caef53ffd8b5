//! ERRORS.md: the page of every code, with what a test captured when it provoked the code.

use std::path::Path;

use mutt_model::codes::{self, Code};

use super::Header;

const HEADER: Header = Header {
    title: "MUTT Error Reference",
    audience: "On-call engineers, SREs",
    related: "[Configuration](CONFIG.md), [Commands](CLI.md)",
    intro: "Every log line at warn or above, every HTTP error body and every non-zero exit carries one of these\ncodes. `muttctl explain CODE` prints the same page offline. The examples were captured by the tests\nthat provoke the codes; times, ids and ports are replaced.",
};

pub(super) fn page(examples: &Path, date: &str) -> String {
    let mut text = HEADER.render(date);
    for code in codes::all() {
        text += &entry(code, examples);
    }
    text
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
