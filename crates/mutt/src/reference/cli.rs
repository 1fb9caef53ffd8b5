//! CLI.md: every command with its help text.

use super::Header;

const HEADER: Header = Header {
    title: "MUTT Command Reference",
    audience: "Operators, on-call engineers",
    related: "[Configuration](CONFIG.md), [Errors](ERRORS.md)",
    intro: "Exit codes: 0 done, 1 failed or found something, 2 usage, 78 bad configuration. Data goes to\nstandard output, words to standard error. `--json` prints one object a line.",
};

/// The heading of the flags that every command of the REST API has.
const SHARED: &str = "REST API:";

pub(super) fn page(date: &str) -> String {
    let mut text = HEADER.render(date);
    let mut root = crate::cli::command().term_width(100);
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    let mut shared = String::new();
    let mut body = String::new();
    for command in &mut commands {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let (own, flags) = split(&command.render_help().to_string());
        if shared.is_empty() {
            shared = flags;
        }
        body += &format!("\n## `{name}`\n\n```text\n{}\n```\n", own.trim_end());
    }
    text += "\n## Flags of every command that asks the running program\n\n";
    text += &format!("```text\n{}\n```\n", shared.trim_end());
    text + &body
}

/// A help text without the shared flags, and these.
fn split(help: &str) -> (String, String) {
    let (mut own, mut shared) = (String::new(), String::new());
    let mut in_shared = false;
    for line in help.lines().map(str::trim_end) {
        if !line.is_empty() && !line.starts_with(' ') {
            in_shared = line == SHARED;
        }
        let part = if in_shared { &mut shared } else { &mut own };
        part.push_str(line);
        part.push('\n');
    }
    (own, shared)
}

fn collect(command: &clap::Command, found: &mut Vec<clap::Command>) {
    found.push(command.clone());
    let subs = command.get_subcommands();
    for sub in subs.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        collect(sub, found);
    }
}
