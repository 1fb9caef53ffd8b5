//! The reference documents that are generated from the registries: keys, metrics, codes, commands.
//! `muttctl reference --write DIR` writes them; a test fails when what is committed differs.

mod cli;
mod config;
mod dialects;
mod errors;
mod metrics;
mod units;

use std::path::Path;

pub use units::units;

/// A generated document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its file name.
    pub file: &'static str,
    /// Its whole text.
    pub text: String,
}

/// Every generated document, none longer than what a search answers from. `examples` is the folder with what the tests captured for each code,
/// `date` the day for the header.
#[must_use]
pub fn pages(examples: &Path, date: &str) -> Vec<Page> {
    vec![
        Page { file: "CONFIG.md", text: config::page(date) },
        Page { file: "CONFIG_INTAKE.md", text: config::intake_page(date) },
        Page { file: "CONFIG_ENGINES.md", text: config::engines_page(date) },
        Page { file: "METRICS.md", text: metrics::page(date) },
        Page { file: "ERRORS.md", text: errors::page(examples, date) },
        Page { file: "ERRORS_INTAKE.md", text: errors::intake_page(examples, date) },
        Page { file: "ERRORS_STORAGE.md", text: errors::storage_page(examples, date) },
        Page { file: "DIALECTS.md", text: dialects::page(date) },
        Page { file: "CLI.md", text: cli::page(date) },
        Page { file: "CLI_HOST.md", text: cli::host_page(date) },
    ]
}

/// What a document's header says.
struct Header {
    title: &'static str,
    audience: &'static str,
    related: &'static str,
    intro: &'static str,
}

impl Header {
    fn render(&self, date: &str) -> String {
        format!(
            "# {}\n\n**Version:** {}\n**Last Updated:** {date}\n**Maintained By:** Operations Team\n**Audience:** {}\n**Prerequisites:** none\n**Related Docs:** {}\n\n---\n\nGenerated from the program's registries by `scripts/gen-reference`; do not edit by hand.\n\n{}\n",
            self.title,
            env!("CARGO_PKG_VERSION"),
            self.audience,
            self.related,
            self.intro
        )
    }
}

/// The text without the line that only says when it was written.
#[must_use]
pub fn undated(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("**Last Updated:**"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Text that may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A row of a table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
fn head(headings: &[&str]) -> String {
    format!("\n{}|{}\n", row(headings), " --- |".repeat(headings.len()))
}

/// Text as code, empty as a dash.
fn code(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { format!("`{text}`") }
}
