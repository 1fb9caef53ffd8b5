//! CLI.md: every command with its help text.

use super::Header;

const HEADER: Header = Header {
    title: "MUTT Command Reference",
    audience: "Operators, on-call engineers",
    related: "[Configuration](CONFIG.md), [Errors](ERRORS.md)",
    intro: "Exit codes: 0 done, 1 failed or found something, 2 usage, 78 bad configuration. Data goes to\nstandard output, words to standard error. `--json` prints one object a line.",
};

pub(super) fn page(date: &str) -> String {
    let mut text = HEADER.render(date);
    let mut root = crate::cli::command().disable_help_subcommand(true).term_width(100);
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    for command in &mut commands {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        text += &format!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    }
    text
}

fn collect(command: &clap::Command, found: &mut Vec<clap::Command>) {
    found.push(command.clone());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, found);
    }
}
